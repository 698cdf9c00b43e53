//! SQLite databases, read-only and in one snapshot.
//!
//! The file is opened read-only, the session refuses writes (`PRAGMA query_only`), and one transaction spans the
//! life of the object, so every query sees the same state. Statements are stepped on a blocking thread, straight into
//! columnar batches. Cells come by storage class, never by declared type: SQLite lets any value stand in any column.
//! A file that is no database or was cut off is refused before the engine sees it.
//!
//! Limits: a database in WAL mode may gain its `-shm` and `-wal` files, which SQLite needs to read it; the parameters
//! of a query are bound as text; a table whose virtual-table module is missing is listed, not counted.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row, params_from_iter};
use tokio::sync::mpsc::Sender;

use super::database::{Privileges, QueryPlan, RowSource, Select, SourceColumn, SourceDescription, TableInfo, text};
use super::{Error, statement};
use crate::fsio;
use crate::model::Engine;
use crate::progress::Cancel;
use crate::rows::{BATCH_BYTES_MAX, BATCH_ROWS_MAX, RawBatch, RawValue};

/// Rows between two looks at the cancel flag.
const CANCEL_EVERY: u64 = 256;

/// A SQLite database opened for reading.
#[derive(Debug)]
pub struct SqliteSource {
    /// Away only while a blocking thread works with it.
    connection: Option<Connection>,
    path: PathBuf,
    description: SourceDescription,
}

impl SqliteSource {
    /// Opens the file and begins the transaction all queries run in.
    ///
    /// # Errors
    /// A missing, foreign, truncated, damaged or locked file, each as its own error.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        check_file(path)?;
        let path = path.to_owned();
        blocking(move || {
            let connection =
                Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
                    .map_err(|e| engine(&path, "open", e))?;
            Self::begin(connection, path)
        })
        .await
    }

    /// Takes over a database in memory that holds exported files; `settings` say which. `path` stands for it in messages.
    ///
    /// # Errors
    /// What the engine says.
    pub(super) fn of_exports(
        connection: Connection,
        path: &Path,
        settings: BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        let mut source = Self::begin(connection, path.to_owned())?;
        source.description.engine = "files".into();
        source.description.snapshot = "files read once".into();
        source.description.settings = settings;
        Ok(source)
    }

    fn begin(connection: Connection, path: PathBuf) -> Result<Self, Error> {
        let run = |sql: &str| connection.execute_batch(sql).map_err(|e| engine(&path, "read", e));
        run("PRAGMA query_only = ON; PRAGMA temp_store = MEMORY; BEGIN DEFERRED")?;
        // A deferred transaction takes its snapshot with the first read.
        one(&connection, &path, "SELECT COUNT(*) FROM sqlite_schema")?;
        let version = one(&connection, &path, "SELECT sqlite_version()")?;
        let mut settings = BTreeMap::new();
        for (name, sql) in [
            ("encoding", "PRAGMA encoding"),
            ("journal_mode", "PRAGMA journal_mode"),
            ("page_size", "PRAGMA page_size"),
            ("page_count", "PRAGMA page_count"),
            ("schema_version", "PRAGMA schema_version"),
            ("user_version", "PRAGMA user_version"),
            ("application_id", "PRAGMA application_id"),
            ("query_only", "PRAGMA query_only"),
        ] {
            settings.insert(name.into(), one(&connection, &path, sql)?);
        }
        let snapshot = "one read transaction".into();
        let description = SourceDescription { engine: "sqlite".into(), version, snapshot, settings };
        Ok(Self { connection: Some(connection), path, description })
    }

    /// Lends the connection to a blocking thread and takes it back, whatever the outcome.
    async fn on_thread<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Connection, &Path) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let connection = self.connection.take().ok_or(Error::ReceiverGone)?;
        let path = self.path.clone();
        let (connection, result) = blocking(move || {
            let result = work(&connection, &path);
            Ok((connection, result))
        })
        .await?;
        self.connection = Some(connection);
        result
    }
}

impl RowSource for SqliteSource {
    fn engine(&self) -> Engine {
        Engine::Sqlite
    }

    fn description(&self) -> SourceDescription {
        self.description.clone()
    }

    fn tables(&mut self) -> BoxFuture<'_, Result<Vec<TableInfo>, Error>> {
        self.on_thread(tables).boxed()
    }

    fn primary_key<'a>(&'a mut self, table: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        let table = table.to_owned();
        self.on_thread(move |connection, path| {
            let sql = "SELECT name FROM pragma_table_xinfo(?1) WHERE pk > 0 ORDER BY pk";
            Ok(rows(connection, path, sql, &[table], usize::MAX)?.into_iter().flatten().flatten().collect())
        })
        .boxed()
    }

    fn columns<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<Vec<SourceColumn>, Error>> {
        let sql = sql.to_owned();
        self.on_thread(move |connection, path| {
            statement::check(&sql)?;
            let prepared = connection.prepare(&sql).map_err(|e| engine(path, "query", e))?;
            let columns = prepared.columns();
            Ok(columns
                .map(|c| SourceColumn {
                    name: c.name().to_owned(),
                    type_name: c.decl_type().unwrap_or_default().to_owned(),
                })
                .collect())
        })
        .boxed()
    }

    fn read<'a>(
        &'a mut self,
        select: Select<'a>,
        out: Sender<RawBatch>,
        cancel: &'a Cancel,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        let (sql, values, cancel) = (select.sql.to_owned(), select.values.to_owned(), cancel.clone());
        self.on_thread(move |connection, path| step(connection, path, &sql, &values, &out, &cancel)).boxed()
    }

    fn first_row<'a>(&'a mut self, select: Select<'a>) -> BoxFuture<'a, Result<Vec<Option<String>>, Error>> {
        let (sql, values) = (select.sql.to_owned(), select.values.to_owned());
        self.on_thread(move |connection, path| {
            statement::check(&sql)?;
            Ok(rows(connection, path, &sql, &values, 1)?.into_iter().next().unwrap_or_default())
        })
        .boxed()
    }

    fn explain<'a>(&'a mut self, select: Select<'a>) -> BoxFuture<'a, Result<QueryPlan, Error>> {
        let (sql, values) = (select.sql.to_owned(), select.values.to_owned());
        self.on_thread(move |connection, path| {
            statement::check(&sql)?;
            let sql = format!("EXPLAIN QUERY PLAN {sql}");
            let listed = rows(connection, path, &sql, &values, usize::MAX)?;
            let steps: Vec<String> = listed.into_iter().filter_map(|row| row.into_iter().nth(3).flatten()).collect();
            let has = |words: &[&str]| steps.iter().any(|s| words.iter().any(|w| s.contains(w)));
            Ok(QueryPlan {
                has_sort: has(&["TEMP B-TREE FOR ORDER BY", "TEMP B-TREE FOR RIGHT PART OF ORDER BY"]),
                has_temporary: has(&[
                    "TEMP B-TREE FOR GROUP BY",
                    "TEMP B-TREE FOR DISTINCT",
                    "MATERIALIZE",
                    "AUTOMATIC",
                    "UNION USING TEMP",
                ]),
                cost: None,
                steps,
            })
        })
        .boxed()
    }

    fn moved(&mut self) -> BoxFuture<'_, Result<Vec<String>, Error>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn privileges(&mut self) -> BoxFuture<'_, Result<Privileges, Error>> {
        // The file is opened read-only; SQLite has no accounts.
        async { Ok(Privileges::default()) }.boxed()
    }
}

/// Runs work that blocks on a thread for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::ReceiverGone)?
}

fn tables(connection: &Connection, path: &Path) -> Result<Vec<TableInfo>, Error> {
    let names = rows(
        connection,
        path,
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
        &[],
        usize::MAX,
    )?;
    let mut tables = Vec::new();
    for name in names.into_iter().filter_map(|row| row.into_iter().next().flatten()) {
        let sql = "SELECT name, type FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid";
        let (columns, is_known) = match rows(connection, path, sql, std::slice::from_ref(&name), usize::MAX) {
            Ok(columns) => (columns, true),
            Err(Error::Sql { .. }) => (Vec::new(), false),
            Err(e) => return Err(e),
        };
        let columns = columns
            .into_iter()
            .map(|row| {
                let mut cells = row.into_iter().map(Option::unwrap_or_default);
                (cells.next().unwrap_or_default(), cells.next().unwrap_or_default())
            })
            .collect();
        let count = format!("SELECT COUNT(*) FROM {}", Engine::Sqlite.quoted(&name));
        let (rows, is_readable) = match rows(connection, path, &count, &[], 1) {
            Ok(rows) => {
                (rows.into_iter().flatten().flatten().next().and_then(|n| n.parse().ok()).unwrap_or(0), is_known)
            }
            Err(Error::Sql { .. }) => (0, false),
            Err(e) => return Err(e),
        };
        tables.push(TableInfo { name, columns, rows, is_readable, is_transactional: true });
    }
    Ok(tables)
}

/// Steps a SELECT into batches.
fn step(
    connection: &Connection,
    path: &Path,
    sql: &str,
    values: &[String],
    out: &Sender<RawBatch>,
    cancel: &Cancel,
) -> Result<u64, Error> {
    statement::check(sql)?;
    let mut prepared = connection.prepare(sql).map_err(|e| engine(path, "query", e))?;
    let width = prepared.column_count();
    let mut rows = prepared.query(params_from_iter(values)).map_err(|e| engine(path, "query", e))?;
    let mut batch = RawBatch::new(width);
    let (mut batch_rows, mut batch_bytes, mut total) = (0, 0, 0_u64);
    while let Some(row) = rows.next().map_err(|e| engine(path, "read", e))? {
        batch_bytes += push_row(row, &mut batch, path)?;
        batch_rows += 1;
        total += 1;
        if total.is_multiple_of(CANCEL_EVERY) {
            cancel.check()?;
        }
        if batch_rows >= BATCH_ROWS_MAX || batch_bytes >= BATCH_BYTES_MAX {
            let full = std::mem::replace(&mut batch, RawBatch::new(width));
            (batch_rows, batch_bytes) = (0, 0);
            out.blocking_send(full).map_err(|_| Error::ReceiverGone)?;
        }
    }
    cancel.check()?;
    if batch_rows > 0 {
        out.blocking_send(batch).map_err(|_| Error::ReceiverGone)?;
    }
    Ok(total)
}

/// The first rows of a small query as texts.
fn rows(
    connection: &Connection,
    path: &Path,
    sql: &str,
    values: &[String],
    rows_max: usize,
) -> Result<Vec<Vec<Option<String>>>, Error> {
    let mut prepared = connection.prepare(sql).map_err(|e| engine(path, "query", e))?;
    let width = prepared.column_count();
    let mut rows = prepared.query(params_from_iter(values)).map_err(|e| engine(path, "query", e))?;
    let mut out = Vec::new();
    while out.len() < rows_max
        && let Some(row) = rows.next().map_err(|e| engine(path, "read", e))?
    {
        let cells = (0..width).map(|i| Ok(text(cell(row, i, path)?)));
        out.push(cells.collect::<Result<_, Error>>()?);
    }
    Ok(out)
}

fn one(connection: &Connection, path: &Path, sql: &str) -> Result<String, Error> {
    Ok(rows(connection, path, sql, &[], 1)?.into_iter().flatten().flatten().next().unwrap_or_default())
}

/// Appends a row and tells how many bytes of text it added.
fn push_row(row: &Row<'_>, batch: &mut RawBatch, path: &Path) -> Result<usize, Error> {
    let mut bytes = 0;
    for (i, column) in batch.columns.iter_mut().enumerate() {
        let value = cell(row, i, path)?;
        bytes += match value {
            RawValue::Text(s) => s.len(),
            RawValue::Bytes(b) => b.len(),
            _ => 0,
        };
        column.push(value);
    }
    Ok(bytes)
}

/// A cell by its storage class.
fn cell<'r>(row: &'r Row<'_>, index: usize, path: &Path) -> Result<RawValue<'r>, Error> {
    Ok(match row.get_ref(index).map_err(|e| engine(path, "decode a cell of", e))? {
        ValueRef::Null => RawValue::Null,
        ValueRef::Integer(n) => RawValue::Int(n),
        ValueRef::Real(x) => RawValue::Real(x),
        // Text that is not UTF-8 exists in real databases; the mapping quarantines it.
        ValueRef::Text(text) => std::str::from_utf8(text).map_or(RawValue::Bytes(text), RawValue::Text),
        ValueRef::Blob(bytes) => RawValue::Bytes(bytes),
    })
}

/// Looks at the header of the file: its magic and the length it promises (SQLite file format, section 1.3).
fn check_file(path: &Path) -> Result<(), Error> {
    let mut file = File::open(path).map_err(|e| fsio::Error::io("open", path, e))?;
    let actual_bytes = file.metadata().map_err(|e| fsio::Error::io("read", path, e))?.len();
    let mut header = Vec::with_capacity(100);
    (&mut file).take(100).read_to_end(&mut header).map_err(|e| fsio::Error::io("read", path, e))?;
    let magic = b"SQLite format 3\0";
    if header.len() < 100 {
        // A database is never shorter than its header; one that starts like a database was cut off.
        return Err(if !header.is_empty() && magic.starts_with(&header[..header.len().min(16)]) {
            Error::Truncated { path: path.into(), expected_bytes: 512, actual_bytes }
        } else {
            Error::NotADatabase { path: path.into() }
        });
    }
    if !header.starts_with(magic) {
        return Err(Error::NotADatabase { path: path.into() });
    }
    let u32_at = |i: usize| u64::from(u32::from_be_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]));
    let page_bytes = match u64::from(u16::from_be_bytes([header[16], header[17]])) {
        1 => 65_536,
        n => n,
    };
    // The page count is only meaningful when no older SQLite wrote last, and a write-ahead log may hold newer pages.
    let is_count_valid = u32_at(24) == u32_at(92) && u32_at(28) > 0;
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let has_wal = std::fs::metadata(PathBuf::from(wal)).is_ok_and(|m| m.len() > 0);
    let expected_bytes = u32_at(28) * page_bytes;
    if is_count_valid && !has_wal && actual_bytes < expected_bytes {
        return Err(Error::Truncated { path: path.into(), expected_bytes, actual_bytes });
    }
    Ok(())
}

/// Sorts an engine error by SQLite's primary result code.
fn engine(path: &Path, action: &'static str, error: rusqlite::Error) -> Error {
    let (code, message) = match &error {
        rusqlite::Error::SqliteFailure(e, message) => {
            (Some(e.extended_code & 0xff), message.clone().unwrap_or_else(|| e.to_string()))
        }
        rusqlite::Error::SqlInputError { error, msg, .. } => (Some(error.extended_code & 0xff), msg.clone()),
        _ => (None, String::new()),
    };
    let path = path.to_owned();
    match code {
        Some(1) => Error::Sql { message },
        Some(5 | 6) => Error::Busy { path },
        Some(8 | 14) => Error::CannotOpen { path, message },
        Some(10 | 11) => Error::Corrupt { path, message },
        Some(26) => Error::NotADatabase { path },
        Some(_) if action == "query" => Error::Sql { message },
        _ => Error::Engine { action, source: Box::new(error) },
    }
}

#[cfg(test)]
mod tests;
