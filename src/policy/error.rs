//! What stops a whole run; what stops one policy is an outcome, not an error.

use crate::config::Problems;
use crate::fsio;
use crate::hint::Hint;
use crate::model::{Exit, Lang};
use crate::progress::Interrupted;
use crate::query;

/// A check could not be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Profile, waivers, attestations and archive do not fit together.
    #[error(transparent)]
    Invalid(#[from] Problems),
    /// No policy is selected.
    #[error("profile `{profile}` selects no policy")]
    NothingSelected {
        /// Its id.
        profile: String,
    },
    /// The engine could not start.
    #[error(transparent)]
    Query(#[from] query::Error),
    /// Findings could not be written.
    #[error(transparent)]
    File(#[from] fsio::Error),
    /// Findings could not be written as Parquet or CSV.
    #[error("findings cannot be written: {message}")]
    Output {
        /// Why.
        message: String,
    },
    /// Calendars or tables of the pack could not be prepared.
    #[error("reference data cannot be prepared: {message}")]
    Reference {
        /// Why.
        message: String,
    },
    /// The user asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Hint for Error {
    fn hint(&self, lang: Lang) -> Option<String> {
        match self {
            Self::Invalid(e) => e.hint(lang),
            Self::NothingSelected { .. } => Some(
                lang.pick(
                    "请在 profile.toml 的 `sets` 中至少列出一个集合。",
                    "List at least one set under `sets` in profile.toml.",
                )
                .into(),
            ),
            Self::Query(e) => e.hint(lang),
            Self::File(e) => e.hint(lang),
            Self::Output { .. } => Some(
                lang.pick(
                    "请检查该位置的空间与权限后重试；未留下半成品。",
                    "Check space and permissions of that place and run again; nothing half-written remains.",
                )
                .into(),
            ),
            Self::Reference { .. } | Self::Interrupted(_) => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Invalid(e) => e.exit(),
            Self::NothingSelected { .. } => Exit::Nothing,
            Self::Query(e) => e.exit(),
            Self::File(e) => e.exit(),
            Self::Output { .. } => Exit::Io,
            Self::Reference { .. } => Exit::Internal,
            Self::Interrupted(_) => Exit::Interrupted,
        }
    }
}
