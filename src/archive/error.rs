//! What can go wrong while writing or reading an archive. Judgements of a verification are not errors.

use std::path::PathBuf;

use crate::clock::NoRandomness;
use crate::crypto;
use crate::fsio;
use crate::hint::Hint;
use crate::model::{Exit, Lang};
use crate::progress::Interrupted;

/// An archive, signed folder, keyring or chain file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] fsio::Error),
    /// A key could not be used.
    #[error(transparent)]
    Key(#[from] crypto::Error),
    /// No random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The user asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The Parquet library refused.
    #[error("cannot write or read the rows of table `{table}`")]
    Parquet {
        /// Which table.
        table: String,
        /// Why.
        source: parquet::errors::ParquetError,
    },
    /// The Arrow library refused.
    #[error("cannot encode the key of table `{table}`")]
    Arrow {
        /// Which table.
        table: String,
        /// Why.
        source: arrow::error::ArrowError,
    },
    /// A batch does not have the columns of its table.
    #[error("a batch for table `{table}` does not have the columns of its schema")]
    WrongColumns {
        /// Which table.
        table: String,
    },
    /// A value cannot be written in the archive's canonical form.
    #[error("table `{table}`, column `{column}`, row {row}: {problem}")]
    Value {
        /// Which table.
        table: String,
        /// Which column.
        column: String,
        /// Row number from 0.
        row: u64,
        /// What is wrong; never the value.
        problem: &'static str,
    },
    /// A name does not follow the rules of the format.
    #[error("`{name}` is not an allowed {what}")]
    Name {
        /// The name.
        name: String,
        /// What it should name.
        what: &'static str,
    },
    /// The same name was given twice.
    #[error("`{name}` was added twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// A limit of the format is exceeded.
    #[error("{what} exceeds the format's limit of {limit}")]
    Limit {
        /// What is too large.
        what: String,
        /// The limit.
        limit: u64,
    },
    /// The statement's inputs contradict each other or the format.
    #[error("the archive cannot be described: {problem}")]
    Spec {
        /// What is wrong.
        problem: String,
    },
    /// What was read back from disk is not what was written.
    #[error("`{}` changed between writing and reading back", path.display())]
    ReadBack {
        /// Which file.
        path: PathBuf,
    },
    /// A document cannot be understood.
    #[error("`{}` is malformed: {problem}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The chain head in the case does not fit.
    #[error("stream `{stream}`: sequence {offered} does not follow {head}")]
    ChainBroken {
        /// Which stream.
        stream: String,
        /// Number of the last archive.
        head: u64,
        /// Number that was offered.
        offered: u64,
    },
}

impl Hint for Error {
    fn hint(&self, lang: Lang) -> Option<String> {
        let text = match self {
            Self::File(e) => return e.hint(lang),
            Self::Key(e) => return e.hint(lang),
            Self::ReadBack { .. } => lang.pick(
                "磁盘可能有故障：请换一块磁盘后重新封存；未留下任何看似已封存的文件夹。",
                "The disk may be failing: seal again on another one; no folder that looks sealed was left.",
            ),
            Self::Malformed { .. } => {
                lang.pick("请用 `sealport verify` 检查该文件夹。", "Run `sealport verify` on the folder.")
            }
            Self::ChainBroken { .. } => lang.pick(
                "`chain.json` 记录了上一个存档；请恢复它的最新副本。",
                "`chain.json` records the previous archive; restore its latest copy.",
            ),
            Self::Limit { .. } => lang.pick("请拆成几个存档。", "Split the data into several archives."),
            _ => return None,
        };
        Some(text.to_owned())
    }

    fn exit(&self) -> Exit {
        match self {
            Self::File(e) => e.exit(),
            Self::Key(e) => e.exit(),
            Self::NoRandomness(_) => Exit::Io,
            Self::Interrupted(_) => Exit::Interrupted,
            Self::Parquet { source, .. } => match source {
                parquet::errors::ParquetError::External(_) => Exit::Io,
                _ => Exit::Internal,
            },
            Self::Arrow { .. } | Self::WrongColumns { .. } => Exit::Internal,
            Self::Value { .. } | Self::Name { .. } | Self::Twice { .. } | Self::Spec { .. } => Exit::Invalid,
            Self::Limit { .. } => Exit::CannotJudge,
            Self::ReadBack { .. } | Self::Malformed { .. } => Exit::Integrity,
            Self::ChainBroken { .. } => Exit::Trust,
        }
    }
}
