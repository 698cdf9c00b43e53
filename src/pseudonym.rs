//! Keyed tokens instead of people, redaction of free text, and the gate that proves it worked.
//!
//! Responsible for the three keys of a merchant, for turning identifiers into tokens by the identity class of their
//! column, for masking contacts, for redacting free text, and for finding raw staff identifiers in what is about to
//! be sealed. Not responsible for choosing columns: the class stands in the schema, or in a mapping that makes it
//! stronger.
//!
//! Limits: a name of one character, or an identifier of fewer than six, cannot be searched for without hiding half
//! the language; customers' names inside free text are not known to this module and stay. `docs/pseudonyms.md`
//! says what becomes of each class.

mod apply;
mod keys;
mod leak;
mod matcher;
mod patterns;
mod redact;
mod roster;
mod secrets;
mod token;

use crate::clock::NoRandomness;
use crate::fsio;
use crate::hint::Hint;
use crate::model::{Exit, Lang};

pub use apply::{Pseudonymiser, mask};
pub use keys::{KEY_FILES, Keys};
pub use leak::{LeakHit, scan_batch, scan_bytes};
pub use matcher::{IdentifierKind, Skipped, StaffMatcher, StaffMatcherBuilder};
pub use redact::{RedactionCounts, Redactor};
pub use roster::{RosterEntry, reidentify, roster};
pub use secrets::is_secret_name;
pub use token::{TokenKind, normalise, token};

/// Keys could not be used, or a batch does not fit its dataset.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key file could not be read or written.
    #[error(transparent)]
    File(#[from] fsio::Error),
    /// No random bytes to be had.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// A key is not 64 hex digits.
    #[error("`{file}` does not hold a key (64 hex digits)")]
    BadKey {
        /// Name of the file or setting, without its folder.
        file: String,
    },
    /// A key file is readable by others.
    #[error("`{file}` may be read by other users")]
    Exposed {
        /// Name of the file, without its folder.
        file: String,
    },
    /// The identifiers met are too many for one matcher.
    #[error("too many staff identifiers to search for")]
    TooManyIdentifiers,
    /// A batch does not have the columns of its dataset.
    #[error("a batch of `{dataset}` does not have the dataset's columns")]
    Batch {
        /// Name of the dataset.
        dataset: &'static str,
        /// What the columnar library says.
        #[source]
        source: Option<arrow::error::ArrowError>,
    },
}

impl Hint for Error {
    fn hint(&self, lang: Lang) -> Option<String> {
        let text = match self {
            Self::File(fsio::Error::Exists { .. }) => lang.pick(
                "密钥已存在，不会覆盖：换掉密钥会使旧档案中的代号无法对应。",
                "Keys exist and are never overwritten: new ones would break the link to the tokens of older archives.",
            ),
            Self::File(e) => return e.hint(lang),
            Self::BadKey { .. } => lang.pick(
                "密钥由 `sealport keys new` 生成；若由环境提供，请给出 64 位十六进制。",
                "Keys are made by `sealport keys new`; one from the environment must be 64 hex digits.",
            ),
            Self::Exposed { .. } => lang.pick("请执行 `chmod 600 secrets/*.key`。", "Run `chmod 600 secrets/*.key`."),
            Self::NoRandomness(_) | Self::TooManyIdentifiers | Self::Batch { .. } => return None,
        };
        Some(text.to_owned())
    }

    fn exit(&self) -> Exit {
        match self {
            Self::File(e) => e.exit(),
            Self::NoRandomness(_) => Exit::Io,
            Self::BadKey { .. } | Self::Exposed { .. } => Exit::Invalid,
            Self::TooManyIdentifiers => Exit::CannotJudge,
            Self::Batch { .. } => Exit::Internal,
        }
    }
}
