//! Reading sealed tables by SQL; the only module that knows the query engine.
//!
//! Responsible for one configured engine: bounded memory with spilling, joins that can spill, UTC, queries only
//! (no definitions, no changes, no settings), tables that show nothing but the columns asked for, bound
//! parameters, limits of time and rows. Not responsible for what a query means.
//!
//! Limits: small row sets travel as literal values, larger ones as Parquet files in the session's own folder,
//! never as in-memory tables, so that the same plan could be shipped to a cluster. Messages of failures while
//! rows are flowing name the kind of failure only, never a value.

mod engine;
mod error;
mod inspect;

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, Utc};

pub use datafusion::sql::sqlparser;
pub use engine::{Rows, Session};
pub use error::Error;
pub use inspect::Inspection;

/// Memory of a session unless stated otherwise: 300 MiB.
pub const MEMORY_BYTES_DEFAULT: usize = 300 << 20;

/// What a session and each of its queries may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Memory of the session and all its forks together; what needs more spills or fails.
    pub memory_bytes: usize,
    /// Folder for spilled data and row sets; created if absent, own subfolders are removed again.
    pub spill_dir: PathBuf,
    /// Time a query may take, from its start to its last row; `None`: no limit.
    pub seconds: Option<u64>,
    /// Rows a query may return.
    pub rows_max: usize,
    /// Parallel parts of one query; `None`: as many as there are cores.
    pub partitions: Option<usize>,
}

impl Limits {
    /// The defaults, spilling into this folder: 300 MiB, no time limit, any number of rows.
    pub fn in_dir(spill_dir: impl Into<PathBuf>) -> Self {
        Self {
            memory_bytes: MEMORY_BYTES_DEFAULT,
            spill_dir: spill_dir.into(),
            seconds: None,
            rows_max: usize::MAX,
            partitions: None,
        }
    }
}

/// The value of a parameter, written `$name` in SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// BIGINT.
    Int(i64),
    /// BOOLEAN.
    Bool(bool),
    /// VARCHAR.
    Text(String),
    /// DATE.
    Date(NaiveDate),
    /// Instant, microseconds, UTC.
    Instant(DateTime<Utc>),
}

/// Parameter values by name, without the dollar sign.
pub type Params = BTreeMap<String, Value>;

#[cfg(test)]
mod tests;
