//! What every database source can do, whatever its engine: describe itself, list its tables, run a SELECT.
//!
//! One object stands for one consistent, read-only view of a database. Everything asked of it sees the same state
//! until it is dropped; tables outside the engine's transactions are told apart ([`TableInfo::is_transactional`]) and
//! compared at the end ([`RowSource::moved`]).

use std::collections::BTreeMap;
use std::path::PathBuf;

use data_encoding::HEXLOWER;
use futures::future::BoxFuture;
use tokio::sync::mpsc::Sender;

use super::{Address, Error};
use crate::model::Engine;
use crate::progress::Cancel;
use crate::rows::{KeyCut, RawBatch, RawValue};

/// Where a database lies.
#[derive(Debug, Clone)]
pub enum Location {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A folder of exported files.
    Files(PathBuf),
    /// A server.
    Server(Address),
}

/// What custody records about a source: never host, user or path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceDescription {
    /// Name of the engine: `sqlite`, `postgres`, `mysql`, `mariadb`.
    pub engine: String,
    /// Version of the engine.
    pub version: String,
    /// What makes the view consistent, e.g. the id of the exported snapshot.
    pub snapshot: String,
    /// Settings of the database and the session.
    pub settings: BTreeMap<String, String>,
}

/// A table of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableInfo {
    /// Name; with its schema where the schema is not the connection's own.
    pub name: String,
    /// Names and declared types of the columns (the type may be empty).
    pub columns: Vec<(String, String)>,
    /// Number of rows; 0 when not readable.
    pub rows: u64,
    /// False for a table this program or this account cannot read.
    pub is_readable: bool,
    /// False where the engine's transactions do not cover the table (MyISAM, Aria, MEMORY, foreign tables).
    pub is_transactional: bool,
}

/// A column a SELECT returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceColumn {
    /// Its alias.
    pub name: String,
    /// The engine's name of its type; empty where the engine cannot say.
    pub type_name: String,
}

/// A SELECT with the values of its parameters, which are always bound as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select<'a> {
    /// The statement.
    pub sql: &'a str,
    /// Values in the order of the engine's placeholders.
    pub values: &'a [String],
}

/// A cell as text, for totals and listings: numbers in full, bytes as hex.
pub(super) fn text(value: RawValue<'_>) -> Option<String> {
    match value {
        RawValue::Null => None,
        RawValue::Int(n) => Some(n.to_string()),
        RawValue::Real(x) => Some(x.to_string()),
        RawValue::Text(s) => Some(s.to_owned()),
        RawValue::Bytes(b) => Some(HEXLOWER.encode(b)),
    }
}

/// Rows of a name and a value as a map; those without either are left out.
pub(super) fn named(rows: Vec<Vec<Option<String>>>) -> BTreeMap<String, String> {
    let pair = |row: Vec<Option<String>>| {
        let mut cells = row.into_iter();
        Some((cells.next()??, cells.next()??))
    };
    rows.into_iter().filter_map(pair).collect()
}

/// Marks of changes that hold for a whole view: those that were the same before it began and after. Where a table changed
/// in between, it is not known on which side of the view; such a mark is never met again.
pub(super) fn settled(
    before: &BTreeMap<String, String>,
    after: BTreeMap<String, String>,
    view: &str,
) -> BTreeMap<String, String> {
    let settle = |(table, mark): (String, String)| {
        let mark = if before.get(&table) == Some(&mark) { mark } else { format!("changing at {view}") };
        (table, mark)
    };
    after.into_iter().map(settle).collect()
}

/// What an account may do that reading does not need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Privileges {
    /// Each excess right, in the engine's words; empty for an account that can only read.
    pub excess: Vec<String>,
    /// Statements that make an account which can only read; empty where the engine has no accounts.
    pub read_only_account: Vec<String>,
}

/// How an engine would run a SELECT.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryPlan {
    /// Its steps, in the engine's own words.
    pub steps: Vec<String>,
    /// Whether all rows are sorted before the first one comes.
    pub has_sort: bool,
    /// Whether rows are put aside in a temporary table or index.
    pub has_temporary: bool,
    /// What the engine expects it to cost, in a unit of its own; `None` where it does not say.
    pub cost: Option<u64>,
}

/// A consistent, read-only view of one database.
pub trait RowSource: Send {
    /// Whose SQL it speaks.
    fn engine(&self) -> Engine;

    /// Engine, version, snapshot and settings.
    fn description(&self) -> SourceDescription;

    /// All tables, in name order, with the number of rows in this snapshot.
    fn tables(&mut self) -> BoxFuture<'_, Result<Vec<TableInfo>, Error>>;

    /// Names of the columns of a table's primary key, in order; empty without one.
    fn primary_key<'a>(&'a mut self, _table: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// The columns a SELECT returns, without running it.
    fn columns<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<Vec<SourceColumn>, Error>>;

    /// Runs a SELECT and sends its rows on in batches; the channel bounds how far this runs ahead. Returns the number
    /// of rows.
    fn read<'a>(
        &'a mut self,
        select: Select<'a>,
        out: Sender<RawBatch>,
        cancel: &'a Cancel,
    ) -> BoxFuture<'a, Result<u64, Error>>;

    /// Like [`Self::read`], with the same rows in the same order, for a SELECT that may also be read in ranges of a key.
    /// The plain way unless an implementation knows better.
    fn read_cut<'a>(
        &'a mut self,
        select: Select<'a>,
        _cut: Option<&'a KeyCut>,
        out: Sender<RawBatch>,
        cancel: &'a Cancel,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        self.read(select, out, cancel)
    }

    /// Another connection that sees exactly the state this one sees, for reading beside it. `None` where the engine
    /// gives no proof that two connections see the same.
    fn fork(&mut self) -> BoxFuture<'_, Result<Option<Box<dyn RowSource>>, Error>> {
        Box::pin(async { Ok(None) })
    }

    /// The first row of a SELECT as text, for control totals: numbers exactly, bytes as hex. Empty without a row.
    fn first_row<'a>(&'a mut self, select: Select<'a>) -> BoxFuture<'a, Result<Vec<Option<String>>, Error>>;

    /// How the engine would run a SELECT; nothing of it is run.
    fn explain<'a>(&'a mut self, select: Select<'a>) -> BoxFuture<'a, Result<QueryPlan, Error>>;

    /// By table, what the server itself knows about changes of its content, as it was when the source was opened: a
    /// checksum where no transaction covers the table, else a count or time of changes. A mark that is different
    /// later means that the table changed, or that the server cannot tell any more.
    fn change_marks(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// Tables outside the snapshot whose content changed since the source was opened, in name order.
    fn moved(&mut self) -> BoxFuture<'_, Result<Vec<String>, Error>>;

    /// What the account may do besides reading.
    fn privileges(&mut self) -> BoxFuture<'_, Result<Privileges, Error>>;
}

impl std::fmt::Debug for dyn RowSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowSource").field("engine", &self.engine()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table that changed while the view began has a mark that no other view has.
    #[test]
    fn marks_hold_for_a_view_or_for_none() {
        let marks = |list: &[(&str, &str)]| -> BTreeMap<String, String> {
            list.iter().map(|(table, mark)| ((*table).to_owned(), (*mark).to_owned())).collect()
        };
        let before = marks(&[("a", "1"), ("b", "1")]);
        let after = marks(&[("a", "1"), ("b", "2"), ("c", "1")]);
        let first = settled(&before, after.clone(), "100:100:");
        assert_eq!(first["a"], "1");
        let second = settled(&after, after.clone(), "101:101:");
        assert_eq!(first["a"], second["a"]);
        assert!(first["b"] != second["b"] && first["c"] != second["c"]);
    }
}
