//! Flags and environment become settings, once, before any work.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use super::args::{Color, Format, Global, LangArg};
use crate::model::Lang;

/// Settings of one run.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Language of messages.
    pub lang: Lang,
    /// Form of the answer.
    pub format: Format,
    /// Suppress everything but the answer and errors.
    pub quiet: bool,
    /// Developer log.
    pub verbose: bool,
    /// Colour messages on stderr and text on stdout.
    pub color: bool,
    /// Whether progress bars may be drawn.
    pub progress: bool,
    /// `SEALPORT_SECRETS`: folder of keys, instead of the case's.
    pub secrets: Option<PathBuf>,
}

impl Settings {
    /// Precedence: flag, then environment, then default.
    pub(super) fn resolve(global: &Global) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        Self {
            lang: match global.lang {
                Some(LangArg::Zh) => Lang::Zh,
                Some(LangArg::En) => Lang::En,
                None => locale(),
            },
            format: global.format,
            quiet: global.quiet,
            verbose: global.verbose,
            color: match global.color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto => terminal && !no_color && std::io::stdout().is_terminal(),
            },
            progress: terminal && !global.quiet && !global.verbose,
            secrets: std::env::var_os("SEALPORT_SECRETS").filter(|v| !v.is_empty()).map(PathBuf::from),
        }
    }
}

fn locale() -> Lang {
    let set =
        ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    if set.is_some_and(|v| v.to_ascii_lowercase().starts_with("zh")) { Lang::Zh } else { Lang::En }
}
