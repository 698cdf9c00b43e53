//! Errors as text or JSON, once, with the hint on a line of its own.

use serde_json::json;

use super::args::Format;
use super::console;
use super::settings::Settings;
use crate::hint::Hint;
use crate::model::{Exit, Lang};

/// Prints an error with its causes and its hint; returns the exit code.
pub(super) fn error(settings: &Settings, error: &dyn Hint) -> Exit {
    let exit = error.exit();
    let mut chain = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // `#[error(transparent)]` repeats its source; print each sentence once.
        if chain.last() != Some(&text) {
            chain.push(text);
        }
        source = cause.source();
    }
    let hint = error.hint(settings.lang);
    match settings.format {
        Format::Json => {
            let value = json!({ "error": { "code": exit.code(), "messages": chain, "hint": hint } });
            console::message(&serde_json::to_string(&value).unwrap_or_default());
        }
        Format::Text => {
            let label = settings.lang.pick("错误", "error");
            let label = if settings.color { format!("\u{1b}[1;31m{label}\u{1b}[0m") } else { label.to_owned() };
            console::message(&format!("{label}: {} ({})", chain[0], category(exit, settings.lang)));
            for cause in &chain[1..] {
                console::message(&format!("  {}: {cause}", settings.lang.pick("原因", "because")));
            }
            if let Some(hint) = hint {
                console::message(&format!("  {}: {hint}", settings.lang.pick("建议", "what to do")));
            }
        }
    }
    exit
}

/// The exit code in words, in the user's language.
pub(super) fn category(exit: Exit, lang: Lang) -> &'static str {
    match exit {
        Exit::Success => lang.pick("成功", "complete"),
        Exit::Findings => lang.pick("发现问题", "findings"),
        Exit::Invalid => lang.pick("输入有误，未执行", "invalid input, nothing ran"),
        Exit::Nothing => lang.pick("没有可评估的内容", "nothing to evaluate"),
        Exit::Integrity => lang.pick("完整性不符", "integrity failure"),
        Exit::Incomplete => lang.pick("未完整评估", "incomplete"),
        Exit::Trust => lang.pick("不可信", "trust failure"),
        Exit::CannotJudge => lang.pick("无法判断", "cannot judge"),
        Exit::Internal => lang.pick("内部错误", "internal error"),
        Exit::Io => lang.pick("读写失败", "input/output failure"),
        Exit::Interrupted => lang.pick("已中断", "interrupted"),
    }
}
