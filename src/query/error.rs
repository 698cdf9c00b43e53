//! What can go wrong with a query.

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;

use crate::fsio;
use crate::hint::Hint;
use crate::model::{Exit, Lang};

/// A session could not be set up, or a query was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is not a query this session accepts; nothing was read.
    #[error("query refused: {message}")]
    Refused {
        /// Why; speaks about the SQL text only.
        message: String,
    },
    /// The query failed while reading rows.
    #[error("query failed: {kind}")]
    Failed {
        /// Kind of failure, without any value.
        kind: &'static str,
    },
    /// More memory was needed than the session may use.
    #[error("query needs more than the {memory_bytes} bytes of memory allowed")]
    Memory {
        /// The limit in force.
        memory_bytes: usize,
    },
    /// The query took too long.
    #[error("query exceeded {seconds} seconds")]
    Time {
        /// The limit in force.
        seconds: u64,
    },
    /// The query returned too many rows.
    #[error("query returned more than {rows_max} rows")]
    TooManyRows {
        /// The limit in force.
        rows_max: usize,
    },
    /// A table could not be added.
    #[error("table `{table}` cannot be added: {message}")]
    Table {
        /// Its name.
        table: String,
        /// Why.
        message: String,
    },
    /// The session could not be set up.
    #[error("query engine cannot start: {message}")]
    Setup {
        /// Why.
        message: String,
    },
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] fsio::Error),
}

impl Error {
    /// Whether a limit stopped the query, so that nothing is known about its result.
    pub fn is_limit(&self) -> bool {
        matches!(self, Self::Memory { .. } | Self::Time { .. } | Self::TooManyRows { .. })
    }

    pub(super) fn planning(error: &DataFusionError, memory_bytes: usize) -> Self {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => Self::Memory { memory_bytes },
            DataFusionError::IoError(_) | DataFusionError::ObjectStore(_) | DataFusionError::ParquetError(_) => {
                Self::running(error, memory_bytes)
            }
            root => {
                let text = root.strip_backtrace();
                // The engine appends a paragraph that asks to report bugs; it is of no use to the reader.
                let message =
                    text.split("\nThis issue was likely caused").next().unwrap_or(&text).trim().replace('\n', " ");
                Self::Refused { message }
            }
        }
    }

    pub(super) fn running(error: &DataFusionError, memory_bytes: usize) -> Self {
        let kind = match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => return Self::Memory { memory_bytes },
            DataFusionError::ArrowError(e, _) => match e.as_ref() {
                ArrowError::CastError(_) | ArrowError::ParseError(_) => "a value cannot be converted",
                ArrowError::DivideByZero => "division by zero",
                ArrowError::ArithmeticOverflow(_) => "arithmetic overflow",
                ArrowError::ComputeError(_) | ArrowError::InvalidArgumentError(_) => "a computation is impossible",
                ArrowError::IoError(_, _) => "input or output error",
                _ => "columnar error",
            },
            DataFusionError::ParquetError(_) => "a Parquet file is damaged",
            DataFusionError::IoError(_) | DataFusionError::ObjectStore(_) => "a file cannot be read or written",
            DataFusionError::Execution(_) => "execution error",
            DataFusionError::NotImplemented(_) => "not implemented by the engine",
            _ => "engine error",
        };
        Self::Failed { kind }
    }
}

impl Hint for Error {
    fn hint(&self, lang: Lang) -> Option<String> {
        let text = match self {
            Self::Memory { .. } => lang.pick(
                "请用 --memory-mib 提高上限，或缩小核查时段。",
                "Raise the limit with --memory-mib, or narrow the window.",
            ),
            Self::Time { .. } | Self::TooManyRows { .. } => lang.pick("请缩小核查时段。", "Narrow the window."),
            Self::Refused { .. } => {
                lang.pick("请按 docs/policies.md 修改 SQL。", "Correct the SQL after docs/policies.md.")
            }
            Self::File(e) => return e.hint(lang),
            Self::Failed { .. } | Self::Table { .. } | Self::Setup { .. } => return None,
        };
        Some(text.to_owned())
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Refused { .. } => Exit::Invalid,
            Self::Failed { .. } => Exit::Incomplete,
            Self::Memory { .. } | Self::Time { .. } | Self::TooManyRows { .. } => Exit::CannotJudge,
            Self::Table { .. } | Self::Setup { .. } => Exit::Io,
            Self::File(e) => e.exit(),
        }
    }
}
