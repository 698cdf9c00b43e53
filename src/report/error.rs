//! What can go wrong while a report is made.

use crate::hint::Hint;
use crate::model::{Exit, Lang};

/// Why no report could be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A query over the sealed tables failed.
    #[error("cannot read the facts `{fact}` from the sealed tables: {source}")]
    Query {
        /// Which group of facts.
        fact: &'static str,
        /// What the engine said.
        source: crate::query::Error,
    },
    /// A query answered in a shape the report does not know.
    #[error("the facts `{fact}` have an unexpected form in column {column_number}")]
    Shape {
        /// Which group of facts.
        fact: &'static str,
        /// Position of the column, from 1.
        column_number: usize,
    },
    /// A built-in template is broken.
    #[error("the report template `{template}` cannot be filled: {source}")]
    Template {
        /// Template name.
        template: String,
        /// What the template engine said.
        source: minijinja::Error,
    },
    /// The model cannot be written as JSON.
    #[error("the report cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl Hint for Error {
    fn hint(&self, lang: Lang) -> Option<String> {
        match self {
            Self::Query { source, .. } => source.hint(lang),
            Self::Shape { .. } | Self::Template { .. } | Self::Json(_) => Some(
                lang.pick(
                    "这是程序缺陷，请连同命令与版本号一并反馈；归档与检查结果不受影响。",
                    "This is a defect of the program; please report it with the command and version. The archive and the assessment are not affected.",
                )
                .into(),
            ),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Query { source, .. } => source.exit(),
            Self::Shape { .. } | Self::Template { .. } | Self::Json(_) => Exit::Internal,
        }
    }
}
