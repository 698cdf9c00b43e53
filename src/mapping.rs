//! From rows as a source stores them to canonical batches: mapping files, their lint, conversion, quarantine,
//! control totals.
//!
//! Responsible for reading mapping files ([`Mapping`]), finding every mistake in them at once, turning
//! [`RawBatch`](crate::rows::RawBatch)es into record batches of exactly the canonical schema ([`Converter`]), saying
//! which rows could not be converted and why ([`Quarantined`]), planning the raw tables ([`raw`]), and generating the statements by which the source
//! itself counts and adds up what it gave ([`control_sql`]). Not responsible for running statements (`source`), for
//! tokens and redaction of names (`pseudonym`), or for writing anything.
//!
//! Limits: money from a mapping is at
//! most 10^15 units of its column (ten million million yuan in `_fen`): above that a source's own floating point could
//! no longer confirm a sum exactly, so such rows go to quarantine.

mod cells;
mod chain;
mod control;
mod conversion;
mod convert;
mod cut;
mod decimal;
mod file;
mod fit;
mod latest;
mod lint;
mod moment;
mod money;
mod part;
mod plan;
pub mod preset;
pub mod raw;
mod reason;
mod redact;
mod select;
mod staff;
#[cfg(test)]
mod tests;
mod time;
mod totals;

use std::sync::Arc;

use chrono_tz::Tz;

pub use control::{ControlColumn, ControlQuery, control_sql};
pub use convert::{Converted, Converter, Quarantined, canonical};
pub use cut::cut;
pub use file::{Mapping, lint};
pub use fit::{Family, Misfit, filled, misfits};
pub use latest::{LatestQuery, latest, latest_sql};
pub use part::Part;
pub use reason::Reason;
pub use staff::{StaffColumn, StaffQuery, StaffReader, staff_sql};
pub use totals::{Mismatch, PartTotals, SourceTotals, Sum, reconcile};

use crate::hint::Hint;
use crate::model::{Exit, Lang};

/// Turns the bytes of a secret into its keyed fingerprint.
pub type Fingerprint = Arc<dyn Fn(&[u8]) -> String + Send + Sync>;

/// What a conversion needs to know besides the mapping.
#[derive(Clone)]
pub struct Context<'a> {
    /// The case's business zone: date twins, and local times of canonical files.
    pub zone: Tz,
    /// Value of `src_system`; for a mapping [`Mapping::src_system`].
    pub src_system: &'a str,
    /// Fingerprints secrets; the key never comes here.
    pub fingerprint: Fingerprint,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("zone", &self.zone)
            .field("src_system", &self.src_system)
            .finish_non_exhaustive()
    }
}

/// A conversion cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The rows lack a column the mapping selects.
    #[error("dataset `{dataset}`: the rows have no column `{column}`")]
    MissingColumn {
        /// Which dataset.
        dataset: String,
        /// Which column.
        column: String,
    },
    /// Two columns of the rows have the same name.
    #[error("dataset `{dataset}`: column `{column}` appears twice")]
    DuplicateColumn {
        /// Which dataset.
        dataset: String,
        /// Which column.
        column: String,
    },
    /// A file has a column the dataset does not know.
    #[error("dataset `{dataset}` has no column `{column}`; accepted: {accepted}")]
    UnknownColumn {
        /// Which dataset.
        dataset: String,
        /// Which column.
        column: String,
        /// What is accepted.
        accepted: String,
    },
    /// A batch has another number of columns than its header.
    #[error("dataset `{dataset}`: {found} columns where the header names {expected}")]
    ColumnCount {
        /// Which dataset.
        dataset: String,
        /// Columns of the header.
        expected: usize,
        /// Columns of the batch.
        found: usize,
    },
    /// A source code is missing in an enum whose `on_unknown` is `fail`.
    #[error("dataset `{dataset}`, column `{column}`: source code `{code}` is not in [enum.{name}]")]
    UnknownCode {
        /// Which dataset.
        dataset: String,
        /// Which canonical column.
        column: String,
        /// Which enum.
        name: String,
        /// The code if it looks like one, else its length.
        code: String,
    },
    /// A parameter of the mapping has no value, or one that is not acceptable.
    #[error("mapping `{mapping}`: parameter `{param}` {problem}")]
    Param {
        /// Which mapping.
        mapping: String,
        /// Which parameter.
        param: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A part has no text for the engine of the source.
    #[error("mapping `{mapping}`: dataset `{dataset}` has no SELECT for {engine}")]
    NoStatement {
        /// Which mapping.
        mapping: String,
        /// Which dataset.
        dataset: String,
        /// Which engine.
        engine: &'static str,
    },
    /// The source's answer to a control query does not have the form asked for.
    #[error("dataset `{dataset}`: the source's control totals are not as asked: {detail}")]
    ControlAnswer {
        /// Which dataset.
        dataset: String,
        /// What was found.
        detail: String,
    },
    /// A batch is larger than the program accepts.
    #[error("dataset `{dataset}`: a batch of {bytes} bytes is too large")]
    BatchTooLarge {
        /// Which dataset.
        dataset: String,
        /// Its size.
        bytes: usize,
    },
    /// The columnar library refused what was built: a bug.
    #[error("dataset `{dataset}`: building a batch failed")]
    Batch {
        /// Which dataset.
        dataset: String,
        /// Why.
        source: arrow::error::ArrowError,
    },
}

impl Hint for Error {
    fn hint(&self, lang: Lang) -> Option<String> {
        let text = match self {
            Self::MissingColumn { .. } | Self::ColumnCount { .. } => lang.pick(
                "请用 `sealport mapping lint` 检查映射文件，并确认源库结构与其 requires 一致。",
                "Run `sealport mapping lint` on the mapping file and compare the source's tables with its `requires`.",
            ),
            Self::DuplicateColumn { .. } | Self::UnknownColumn { .. } => {
                lang.pick("请修改文件的表头后重试。", "Correct the header of the file and run again.")
            }
            Self::UnknownCode { .. } => lang.pick(
                "请在映射文件中给该代码一个含义，或将 on_unknown 设为 quarantine 或 keep_raw。",
                "Give the code a meaning in the mapping file, or set `on_unknown` to `quarantine` or `keep_raw`.",
            ),
            Self::Param { .. } => {
                lang.pick("请在 case.toml 的该来源下填写 params。", "Set it under `params` of the source in case.toml.")
            }
            Self::NoStatement { .. } => lang.pick(
                "请在映射文件中为该数据集补上 `sql.<引擎>` 或 `sql.default`，或改用适合该引擎的映射。",
                "Add `sql.ENGINE` or `sql.default` for the dataset, or use a mapping made for that engine.",
            ),
            Self::ControlAnswer { .. } | Self::BatchTooLarge { .. } | Self::Batch { .. } => return None,
        };
        Some(text.to_owned())
    }

    fn exit(&self) -> Exit {
        match self {
            Self::MissingColumn { .. }
            | Self::DuplicateColumn { .. }
            | Self::UnknownColumn { .. }
            | Self::ColumnCount { .. }
            | Self::UnknownCode { .. }
            | Self::Param { .. }
            | Self::NoStatement { .. } => Exit::Invalid,
            Self::ControlAnswer { .. } => Exit::Io,
            Self::BatchTooLarge { .. } => Exit::CannotJudge,
            Self::Batch { .. } => Exit::Internal,
        }
    }
}
