//! What a verification says: steps, verdict, and the same facts as text and as JSON.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::VerifyOptions;
use super::codes::Code;
use crate::archive::folder::FolderKind;
use crate::archive::keyring::{KeyRecord, spell};
use crate::archive::statement::Statement;
use crate::model::{Digest, Exit, Lang};

/// How far a verification looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything but the rows: V1 to V10.
    Files,
    /// Everything.
    Rows,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepOutcome {
    /// Performed, nothing wrong.
    Ok,
    /// Performed, something wrong.
    Failed,
    /// Nothing there to check.
    NotApplicable,
    /// Not done; never a pass.
    NotPerformed,
}

impl StepOutcome {
    /// Word used in text and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::NotApplicable => "not-applicable",
            Self::NotPerformed => "not-performed",
        }
    }
}

/// One step of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepReport {
    /// `V1` to `V12`.
    pub id: &'static str,
    /// How it ended.
    pub outcome: StepOutcome,
    /// Why it failed, or what it warns about.
    pub code: Option<Code>,
    /// The same for people; names paths and tables, never values.
    pub detail: String,
}

/// The result of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Everything was checked and is right.
    Valid,
    /// Everything that was asked for is right, but rows were not looked at.
    Partial,
    /// Content is not what was signed.
    Invalid,
    /// Not signed by those we trust, or a different history.
    Untrusted,
    /// No statement either way.
    CannotJudge,
}

impl Verdict {
    /// Word used in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Partial => "partial",
            Self::Invalid => "invalid",
            Self::Untrusted => "untrusted",
            Self::CannotJudge => "cannot-judge",
        }
    }
}

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerInfo {
    /// Key id: SHA-256 of the public key.
    pub key_id: String,
    /// Holder as the keyring names it; `None` for a key that is not in the keyring.
    pub holder: Option<String>,
    /// Roles as the keyring gives them.
    pub roles: Vec<&'static str>,
}

impl SignerInfo {
    pub(super) fn unknown(key_id: &str) -> Self {
        Self { key_id: key_id.into(), holder: None, roles: Vec::new() }
    }

    pub(super) fn trusted(key_id: &str, record: &KeyRecord) -> Self {
        let roles = record.roles.iter().map(|r| r.name()).collect();
        Self { key_id: key_id.into(), holder: Some(record.holder.clone()), roles }
    }

    /// Whether the keyring knows the key.
    pub fn is_trusted(&self) -> bool {
        self.holder.is_some()
    }
}

/// Which archive was verified, as its signed statement says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveRef {
    /// URN.
    pub id: String,
    /// Stream.
    pub stream: String,
    /// Number in the stream.
    pub sequence: u64,
    /// When the signer says it was made.
    pub created_at: DateTime<Utc>,
    /// Whether it is a draft.
    pub is_draft: bool,
}

/// Everything a verification found out.
#[derive(Debug, Clone)]
pub struct VerifyReport {
    /// What the folder is; an archive until its statement says otherwise.
    pub kind: FolderKind,
    /// The verdict.
    pub verdict: Verdict,
    /// What was asked for.
    pub scope: Scope,
    /// First line: what was looked at.
    pub scope_line: String,
    /// The archive, once its statement was read.
    pub archive: Option<ArchiveRef>,
    /// When an assessment or report says it was made.
    pub created_at: Option<DateTime<Utc>>,
    /// Archive digest (`sha256sum tagmanifest-sha256.txt`), or for a signed folder `sha256sum manifest-sha256.txt`.
    pub digest: Option<Digest>,
    /// SHA-256 of the statement payload.
    pub statement_hash: Option<Digest>,
    /// Who signed, unknown keys included.
    pub signers: Vec<SignerInfo>,
    /// All twelve steps, in order.
    pub steps: Vec<StepReport>,
    /// The exit code of the run.
    pub exit: Exit,
    keyring_source: Option<String>,
}

const IDS: [&str; 12] = ["V1", "V2", "V3", "V4", "V5", "V6", "V7", "V8", "V9", "V10", "V11", "V12"];

impl VerifyReport {
    pub(super) fn new(options: &VerifyOptions) -> Self {
        let step = |id| StepReport { id, outcome: StepOutcome::NotPerformed, code: None, detail: String::new() };
        Self {
            kind: FolderKind::Archive,
            verdict: Verdict::CannotJudge,
            scope: options.scope,
            scope_line: String::new(),
            archive: None,
            created_at: None,
            digest: None,
            statement_hash: None,
            signers: Vec::new(),
            steps: IDS.into_iter().map(step).collect(),
            exit: Exit::CannotJudge,
            keyring_source: options.keyring_source.clone(),
        }
    }

    pub(super) fn set(&mut self, id: usize, outcome: StepOutcome, code: Option<Code>, detail: &str) {
        if let Some(step) = self.steps.get_mut(id.wrapping_sub(1)) {
            step.outcome = outcome;
            step.code = code;
            step.detail = detail.into();
        }
    }

    pub(super) fn describe(&mut self, statement: &Statement) {
        self.digest = Some(statement.tagmanifest);
        self.created_at = Some(statement.created_at);
        self.archive = Some(ArchiveRef {
            id: statement.archive_id.clone(),
            stream: statement.stream.clone(),
            sequence: statement.sequence,
            created_at: statement.created_at,
            is_draft: statement.is_draft,
        });
    }

    /// Draws the verdict from the steps.
    pub(super) fn conclude(&mut self) {
        let failed = self.failure().and_then(|s| s.code);
        // What is present but cannot be checked keeps us from judging; a missing anchor or time-stamp does not.
        let unchecked = self
            .steps
            .iter()
            .find(|s| s.outcome == StepOutcome::NotPerformed && s.code.is_some_and(|c| c.exit() != Exit::Success));
        let is_open = |s: &&StepReport| {
            let excused = (s.id == "V11" && self.scope == Scope::Files) || s.code.is_some();
            s.outcome == StepOutcome::NotPerformed && !excused
        };
        (self.verdict, self.exit) = match (failed, unchecked) {
            (Some(code), _) => (verdict_of(code.exit()), code.exit()),
            (None, Some(_)) => (Verdict::CannotJudge, Exit::CannotJudge),
            (None, None) if self.steps.iter().any(|s| is_open(&s)) => (Verdict::CannotJudge, Exit::Internal),
            (None, None) if self.scope == Scope::Files && self.kind == FolderKind::Archive => {
                (Verdict::Partial, Exit::Success)
            }
            (None, None) => (Verdict::Valid, Exit::Success),
        };
        self.scope_line = self.first_line();
    }

    fn first_line(&self) -> String {
        if let Some(step) = self.failure() {
            let code = step.code.map_or("", Code::as_str);
            let asked = if self.scope == Scope::Rows { "files+rows" } else { "files" };
            return format!("STOPPED at {} {code}; asked for: {asked}", step.id);
        }
        let time = match self.step("V8").and_then(|s| s.code) {
            Some(Code::TimeUnchecked) => "time-stamp not checked",
            _ => "no time-stamp",
        };
        match (self.kind, self.scope) {
            (FolderKind::Archive, Scope::Files) => format!("PARTIAL: files only, {time}"),
            (FolderKind::Archive, Scope::Rows) => format!("FULL: files+rows, {time}"),
            (kind, _) => format!("FULL: files of the {}, {time}", kind.word()),
        }
    }

    /// The step of this id.
    pub fn step(&self, id: &str) -> Option<&StepReport> {
        self.steps.iter().find(|s| s.id == id)
    }

    /// The step that failed, if one did.
    pub fn failure(&self) -> Option<&StepReport> {
        self.steps.iter().find(|s| s.outcome == StepOutcome::Failed)
    }

    /// Whether everything that was asked for holds.
    pub fn is_good(&self) -> bool {
        self.exit == Exit::Success
    }

    /// The report as people read it: scope, trust line, three sentences, then the steps.
    pub fn lines(&self, lang: Lang) -> Vec<String> {
        let mut lines = vec![self.scope_line.clone(), self.trust_line(lang)];
        if self.archive.as_ref().is_some_and(|a| a.is_draft) {
            lines.push(lang.pick("草稿：不作为证据使用。", "DRAFT: not meant as evidence.").into());
        }
        lines.extend(self.sentences(lang));
        if let Some(digest) = self.digest {
            let file = if self.kind == FolderKind::Archive { "tagmanifest-sha256.txt" } else { "manifest-sha256.txt" };
            lines.push(format!("{digest}  (sha256sum {file})"));
        }
        const GROUPS: [(&str, &str, &[&str]); 4] = [
            ("真实性", "authenticity", &["V2", "V3", "V4", "V7", "V8", "V9", "V12"]),
            ("完整性", "integrity", &["V5", "V6", "V11"]),
            ("可用性", "usability", &["V10"]),
            ("安全性", "security", &["V1"]),
        ];
        for (zh, en, ids) in GROUPS {
            lines.push(lang.pick(zh, en).into());
            for step in self.steps.iter().filter(|s| ids.contains(&s.id)) {
                let code = step.code.map_or(String::new(), |c| format!(" {}", c.as_str()));
                let detail = if step.detail.is_empty() { String::new() } else { format!(": {}", step.detail) };
                lines.push(
                    format!(
                        "  {:<4}{:<15}{} {}{detail}",
                        step.id,
                        step.outcome.word(),
                        title(step.id, lang),
                        code.trim()
                    )
                    .trim_end()
                    .to_owned(),
                );
            }
        }
        lines
    }

    /// Which key was trusted, from where, and what to compare it with.
    pub fn trust_line(&self, lang: Lang) -> String {
        let source = self.keyring_source.as_deref().unwrap_or("keyring.json");
        match self.signers.iter().find(|s| s.is_trusted()) {
            Some(s) => match lang {
                Lang::Zh => format!(
                    "信任的密钥：{}（{}），来自 {source}；请与本次交付以外的来源核对指纹。",
                    s.key_id,
                    s.holder.as_deref().unwrap_or_default()
                ),
                Lang::En => format!(
                    "Trusted key: {} ({}), from {source}; compare the fingerprint with a source outside this delivery.",
                    s.key_id,
                    s.holder.as_deref().unwrap_or_default()
                ),
            },
            None => match lang {
                Lang::Zh => format!("{source} 中没有任何一把受信任的密钥签署过此文件夹。"),
                Lang::En => format!("No key that {source} trusts was found to have signed this folder."),
            },
        }
    }

    /// Three plain sentences: content, signer, date.
    pub fn sentences(&self, lang: Lang) -> [String; 3] {
        let is_ok = |id| self.step(id).is_some_and(|s| s.outcome == StepOutcome::Ok);
        let (signed, files, rows) = (is_ok("V3"), is_ok("V5"), is_ok("V11"));
        let content = match (self.verdict, self.failure().is_some(), files, rows || self.kind != FolderKind::Archive) {
            (Verdict::Invalid, ..) => {
                lang.pick("内容与签名时不一致，或存档不完整。", "The content is not what was signed.")
            }
            (_, false, true, true) => {
                lang.pick("内容自签名以来没有改动。", "The content is unchanged since it was signed.")
            }
            (_, _, true, _) => lang.pick(
                "文件自签名以来没有改动；逐行数据未检查。",
                "The files are unchanged since they were signed; the rows were not checked.",
            ),
            _ => lang.pick("无法判断内容是否改动。", "Whether the content changed could not be judged."),
        };
        let holders: Vec<&str> = self.signers.iter().filter_map(|s| s.holder.as_deref()).collect();
        let who = if signed && !holders.is_empty() {
            match lang {
                Lang::Zh => format!("由 {} 签名。", holders.join("、")),
                Lang::En => format!("It was signed by {}.", holders.join(", ")),
            }
        } else {
            lang.pick("没有可信的签名。", "There is no signature that can be trusted.").into()
        };
        let date = match self.created_at.filter(|_| signed) {
            Some(at) => match lang {
                Lang::Zh => format!("日期 {} 是签名人自述，没有第三方时间戳证明。", spell(at)),
                Lang::En => {
                    format!("The date {} is the signer's word; no independent time-stamp proves it.", spell(at))
                }
            },
            None => lang.pick("日期未知。", "The date is unknown.").into(),
        };
        [content.to_owned(), who, date]
    }

    /// The report for programs.
    pub fn to_json(&self) -> Value {
        let archive = self.archive.as_ref().map(
            |a| json!({"id": a.id, "stream": a.stream, "sequence": a.sequence, "created_at": spell(a.created_at)}),
        );
        let signers: Vec<Value> = self
            .signers
            .iter()
            .map(|s| json!({"key_id": s.key_id, "holder": s.holder, "roles": s.roles, "trusted": s.is_trusted()}))
            .collect();
        let steps: Vec<Value> = self
            .steps
            .iter()
            .map(|s| json!({"id": s.id, "outcome": s.outcome.word(), "code": s.code.map(Code::as_str), "detail": s.detail}))
            .collect();
        json!({
            "result": self.verdict.word(), "scope": self.scope_line, "archive": archive,
            "signers": signers, "steps": steps,
        })
    }
}

fn verdict_of(exit: Exit) -> Verdict {
    match exit {
        Exit::Integrity => Verdict::Invalid,
        Exit::Trust => Verdict::Untrusted,
        _ => Verdict::CannotJudge,
    }
}

fn title(id: &str, lang: Lang) -> &'static str {
    let (zh, en) = match id {
        "V1" => ("结构", "structure"),
        "V2" => ("信封", "envelope"),
        "V3" => ("签名", "signatures"),
        "V4" => ("声明", "statement"),
        "V5" => ("文件摘要", "files and digests"),
        "V6" => ("国密摘要", "SM3 manifests"),
        "V7" => ("检查点", "checkpoints"),
        "V8" => ("时间戳", "time-stamp"),
        "V9" => ("序号", "sequence"),
        "V10" => ("表结构", "columns and file structure"),
        "V11" => ("逐行数据", "rows"),
        _ => ("续签", "renewals"),
    };
    lang.pick(zh, en)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(scope: Scope) -> VerifyReport {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let mut report = VerifyReport::new(&VerifyOptions { scope, ..VerifyOptions::full(now) });
        for id in [1, 2, 3, 4, 5, 7, 10, 11] {
            report.set(id, StepOutcome::Ok, None, "");
        }
        for id in [6, 8, 12] {
            report.set(id, StepOutcome::NotApplicable, None, "");
        }
        report.set(9, StepOutcome::NotPerformed, Some(Code::NoAnchor), "");
        report
    }

    /// `valid` is said only when everything was looked at; a step left out is never a pass.
    #[test]
    fn verdicts() {
        let mut full = report(Scope::Rows);
        full.conclude();
        assert_eq!((full.verdict, full.exit.code()), (Verdict::Valid, 0));
        assert_eq!(full.scope_line, "FULL: files+rows, no time-stamp");
        let mut files = report(Scope::Files);
        files.set(11, StepOutcome::NotPerformed, None, "");
        files.conclude();
        assert_eq!((files.verdict, files.exit.code()), (Verdict::Partial, 0));
        assert!(!files.to_json().to_string().contains("valid"));
        let mut forgotten = report(Scope::Rows);
        forgotten.set(11, StepOutcome::NotPerformed, None, "");
        forgotten.conclude();
        assert_eq!(forgotten.verdict, Verdict::CannotJudge);
        let mut renewed = report(Scope::Rows);
        renewed.set(12, StepOutcome::NotPerformed, Some(Code::Renewal), "");
        renewed.conclude();
        assert_eq!((renewed.verdict, renewed.exit.code()), (Verdict::CannotJudge, 7));
        for (code, verdict, exit) in [
            (Code::Digest, Verdict::Invalid, 4),
            (Code::Signature, Verdict::Untrusted, 6),
            (Code::Limit, Verdict::CannotJudge, 7),
            (Code::Io, Verdict::CannotJudge, 74),
        ] {
            let mut failed = report(Scope::Rows);
            failed.set(5, StepOutcome::Failed, Some(code), "");
            failed.conclude();
            assert_eq!((failed.verdict, failed.exit.code()), (verdict, exit), "{}", code.as_str());
        }
    }
}
