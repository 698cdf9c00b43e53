//! Progress bars on a terminal: waits a moment, redraws at a bounded rate, writes to stderr.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::model::Lang;
use crate::progress::{Progress, Stage, Task};

/// Bars for a terminal.
#[derive(Debug)]
pub(super) struct Bars {
    lang: Lang,
    all: MultiProgress,
}

impl Bars {
    pub(super) fn new(lang: Lang) -> Self {
        Self { lang, all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)) }
    }
}

fn title(stage: Stage, lang: Lang) -> &'static str {
    match stage {
        Stage::Synthesise => lang.pick("生成示例商户", "sample merchant"),
        Stage::Examine => lang.pick("检查案件", "examine"),
        Stage::AskTotals => lang.pick("源数据合计", "totals of the sources"),
        Stage::ReadStaff => lang.pick("读取员工标识", "staff identifiers"),
        Stage::Extract => lang.pick("抽取与归档", "extract and archive"),
        Stage::ScanLeaks => lang.pick("泄露检查", "leak gate"),
        Stage::Seal => lang.pick("摘要与签名", "digest and sign"),
        Stage::Verify => lang.pick("验证", "verify"),
        Stage::Check => lang.pick("策略检查", "check"),
        Stage::Report => lang.pick("报告", "report"),
    }
}

struct Bar(ProgressBar);

impl Task for Bar {
    fn advance(&self, amount: u64) {
        self.0.inc(amount);
    }
    fn label(&self, text: &str) {
        self.0.set_message(text.to_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Bars {
    fn start(&self, stage: Stage, total: Option<u64>) -> Box<dyn Task> {
        let template = if total.is_some() {
            "{prefix:>20} [{bar:28}] {human_pos}/{human_len} {per_sec} {eta_precise} {msg}"
        } else {
            "{prefix:>20} {spinner} {human_pos} {per_sec} {elapsed_precise} {msg}"
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = self.all.add(match total {
            Some(n) => ProgressBar::new(n),
            None => ProgressBar::new_spinner(),
        });
        bar.set_style(style.progress_chars("=> "));
        bar.set_prefix(title(stage, self.lang));
        bar.enable_steady_tick(Duration::from_millis(200));
        Box::new(Bar(bar))
    }
}

/// Without a terminal: a line when a stage starts and nothing else, unless quiet.
#[derive(Debug)]
pub(super) struct Lines {
    lang: Lang,
}

impl Lines {
    pub(super) fn new(lang: Lang) -> Self {
        Self { lang }
    }
}

impl Progress for Lines {
    fn start(&self, stage: Stage, total: Option<u64>) -> Box<dyn Task> {
        tracing::debug!(stage = title(stage, self.lang), total, "stage started");
        crate::progress::Hidden.start(stage, total)
    }
}
