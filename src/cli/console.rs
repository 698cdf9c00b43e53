//! stdout and stderr. Data goes to stdout, everything else to stderr; a closed pipe ends quietly.

use std::io::Write as _;

use super::args::Format;
use super::settings::Settings;
use crate::ops::Answer;

/// Writes an answer to stdout in the form the user asked for.
pub(super) fn answer(settings: &Settings, answer: &Answer) {
    let text = match settings.format {
        Format::Text => answer.text.trim_end().to_owned(),
        Format::Json => serde_json::to_string_pretty(&answer.json).unwrap_or_default(),
    };
    if !text.is_empty() {
        raw(&text);
        raw("\n");
    }
}

/// Writes text to stdout as it is.
pub(super) fn raw(text: &str) {
    let mut out = std::io::stdout().lock();
    // A closed pipe (`sealport … | head`) is the reader's wish, not an error.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes a line to stderr.
pub(super) fn message(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = writeln!(err, "{text}");
}

/// Starts the developer log; it carries names and numbers, never values of rows.
pub(super) fn start_log(settings: &Settings) {
    if settings.verbose {
        let _ = tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_ansi(settings.color)
            .with_env_filter(tracing_subscriber::EnvFilter::new("sealport=debug"))
            .try_init();
    }
}

/// Remarks on stderr, unless quiet.
#[derive(Debug)]
pub(super) struct Notes {
    quiet: bool,
    label: &'static str,
}

impl Notes {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { quiet: settings.quiet, label: settings.lang.pick("注意", "note") }
    }
}

impl crate::ops::Notices for Notes {
    fn tell(&self, text: String) {
        if !self.quiet {
            message(&format!("{}: {text}", self.label));
        }
    }
}
