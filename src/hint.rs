//! What every error of this crate can answer: what to do next, and how the run ends.

use crate::model::{Exit, Lang};

/// An error that teaches.
pub trait Hint: std::error::Error {
    /// What to do next, as one sentence naming the exact flag or file; `None` when the message says it all.
    fn hint(&self, lang: Lang) -> Option<String>;

    /// The exit code this error ends the run with.
    fn exit(&self) -> Exit;
}
