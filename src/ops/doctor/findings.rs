//! What was found: one line per thing examined, in the order of examination.

use serde_json::{Value, json};

use crate::model::{Bilingual, Exit, Lang};
use crate::ops::table::table;

/// How a thing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// As it should be.
    Ok,
    /// To be looked at; stops nothing.
    Note,
    /// Stops a seal, or makes it wrong.
    Problem,
}

impl Mark {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Problem => "problem",
        }
    }

    fn shown(self, lang: Lang) -> &'static str {
        match self {
            Self::Ok => lang.pick("✓ 正常", "✓ ok"),
            Self::Note => lang.pick("! 注意", "! note"),
            Self::Problem => lang.pick("✗ 问题", "✗ problem"),
        }
    }
}

/// What was examined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    Connection,
    Account,
    Requires,
    Selects,
    Types,
    LeftOver,
    Zone,
    Files,
    Load,
    Disk,
}

impl Topic {
    fn word(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Account => "account",
            Self::Requires => "requires",
            Self::Selects => "selects",
            Self::Types => "types",
            Self::LeftOver => "left-over",
            Self::Zone => "zone",
            Self::Files => "files",
            Self::Load => "load",
            Self::Disk => "disk",
        }
    }

    fn shown(self, lang: Lang) -> &'static str {
        match self {
            Self::Connection => lang.pick("连接", "connection"),
            Self::Account => lang.pick("账号权限", "account"),
            Self::Requires => lang.pick("映射所需", "requires"),
            Self::Selects => lang.pick("查询语句", "SELECTs"),
            Self::Types => lang.pick("列类型", "types"),
            Self::LeftOver => lang.pick("未映射", "not mapped"),
            Self::Zone => lang.pick("时区", "zone"),
            Self::Files => lang.pick("文件", "files"),
            Self::Load => lang.pick("负载", "load"),
            Self::Disk => lang.pick("磁盘", "disk"),
        }
    }
}

/// One thing found.
#[derive(Debug)]
pub(super) struct Finding {
    mark: Mark,
    topic: Topic,
    source: Option<String>,
    text: Bilingual,
    /// Lines below it: statements to copy, lists.
    details: Vec<String>,
    facts: Value,
    exit: Exit,
}

impl Finding {
    /// Lines below the finding.
    pub(super) fn details(&mut self, details: Vec<String>) -> &mut Self {
        self.details = details;
        self
    }

    /// The same for programs.
    pub(super) fn facts(&mut self, facts: Value) -> &mut Self {
        self.facts = facts;
        self
    }

    /// The exit code a problem stands for; without it a problem means that something does not fit.
    pub(super) fn exit(&mut self, exit: Exit) -> &mut Self {
        self.exit = exit;
        self
    }
}

/// Everything found.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    /// Adds a finding.
    pub(super) fn add(&mut self, mark: Mark, topic: Topic, source: Option<&str>, text: Bilingual) -> &mut Finding {
        let exit = if mark == Mark::Problem { Exit::Invalid } else { Exit::Success };
        let source = source.map(str::to_owned);
        self.0.push(Finding { mark, topic, source, text, details: Vec::new(), facts: Value::Null, exit });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// The strongest exit code.
    pub(super) fn exit(&self) -> Exit {
        self.0.iter().map(|f| f.exit).fold(Exit::Success, Exit::worst)
    }

    /// A table with what belongs to a line indented below it.
    pub(super) fn text(&self, lang: Lang) -> String {
        let rows: Vec<Vec<String>> = self
            .0
            .iter()
            .map(|f| {
                vec![
                    f.mark.shown(lang).to_owned(),
                    f.source.clone().unwrap_or_else(|| "–".into()),
                    f.topic.shown(lang).to_owned(),
                    f.text.get(lang).to_owned(),
                ]
            })
            .collect();
        let mut out = String::new();
        for (line, finding) in table(&[], &rows).lines().zip(&self.0) {
            out.push_str(line);
            out.push('\n');
            for detail in &finding.details {
                out.push_str(&format!("      {detail}\n"));
            }
        }
        let count = |mark| self.0.iter().filter(|f| f.mark == mark).count();
        let (problems, notes) = (count(Mark::Problem), count(Mark::Note));
        out.push_str(&match lang {
            Lang::Zh => format!("\n问题 {problems} 个，注意事项 {notes} 个\n"),
            Lang::En => {
                let s = |n: usize| if n == 1 { "" } else { "s" };
                format!("\n{problems} problem{}, {notes} note{}\n", s(problems), s(notes))
            }
        });
        out
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        let list = self.0.iter().map(|f| {
            json!({
                "mark": f.mark.word(),
                "topic": f.topic.word(),
                "source": f.source,
                "text": { "zh": f.text.zh, "en": f.text.en },
                "details": f.details,
                "facts": f.facts,
            })
        });
        Value::Array(list.collect())
    }
}
