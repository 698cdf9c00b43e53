//! SQLite databases, read-only and in one snapshot.
//!
//! The file is opened read-only, the session refuses writes (`PRAGMA query_only`), and one transaction spans the
//! life of the object, so every query sees the same state. Cells come by storage class, never by declared type:
//! SQLite lets any value stand in any column. A file that is no database or was cut off is refused before the engine
//! sees it.
//!
//! Limits: a database in WAL mode may gain its `-shm` and `-wal` files, which SQLite needs to read it; the parameters
//! of a query are bound as text; a table whose virtual-table module is missing is listed, not
//! counted.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use futures::TryStreamExt;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Decode, Executor, Row, SqlSafeStr, Sqlite, Statement, TypeInfo, ValueRef,
};
use tokio::sync::mpsc::Sender;

use super::{Error, statement};
use crate::fsio;
use crate::progress::Cancel;
use crate::rows::{BATCH_BYTES_MAX, BATCH_ROWS_MAX, RawBatch, RawValue};

/// Rows the engine's thread may be ahead of us; a row can be large, so this stays small.
const ROWS_AHEAD: usize = 256;
/// Rows between two looks at the cancel flag.
const CANCEL_EVERY: u64 = 256;

/// What custody records about a source: never host, user or path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceDescription {
    /// Name of the engine.
    pub engine: String,
    /// Version of the engine.
    pub version: String,
    /// Settings of the database and the session.
    pub settings: BTreeMap<String, String>,
}

/// A table of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableInfo {
    /// Name.
    pub name: String,
    /// Names and declared types of the columns (the type may be empty).
    pub columns: Vec<(String, String)>,
    /// Number of rows; 0 when not readable.
    pub rows: u64,
    /// False for a virtual table whose module this program does not have.
    pub is_readable: bool,
}

/// A SQLite database opened for reading.
#[derive(Debug)]
pub struct SqliteSource {
    connection: SqliteConnection,
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
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .create_if_missing(false)
            .row_buffer_size(ROWS_AHEAD)
            .pragma("query_only", "ON")
            .disable_statement_logging();
        let connection = options.connect().await.map_err(|e| engine(path, "open", e))?;
        let description =
            SourceDescription { engine: "sqlite".into(), version: String::new(), settings: BTreeMap::new() };
        let mut source = Self { connection, path: path.to_owned(), description };
        source.begin().await?;
        Ok(source)
    }

    async fn begin(&mut self) -> Result<(), Error> {
        self.connection.execute("BEGIN DEFERRED").await.map_err(|e| engine(&self.path, "read", e))?;
        // A deferred transaction takes its snapshot with the first read.
        self.one("SELECT COUNT(*) FROM sqlite_schema").await?;
        self.description.version = self.one("SELECT sqlite_version()").await?;
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
            let value = self.one(sql).await?;
            self.description.settings.insert(name.into(), value);
        }
        Ok(())
    }

    /// Engine, version and settings.
    pub fn description(&self) -> SourceDescription {
        self.description.clone()
    }

    /// All tables, in name order, with the number of rows in this snapshot.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tables(&mut self) -> Result<Vec<TableInfo>, Error> {
        let names = self
            .rows("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name", &[])
            .await?;
        let mut tables = Vec::new();
        for name in names.into_iter().filter_map(|row| row.into_iter().next().flatten()) {
            let sql = "SELECT name, type FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid";
            let columns = self.rows(sql, std::slice::from_ref(&name)).await;
            let (columns, is_known) = match columns {
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
            let count = self.scalar_row(&format!("SELECT COUNT(*) FROM {}", quote(&name)), &[]).await;
            let (rows, is_readable) = match count {
                Ok(row) => (row.into_iter().next().flatten().and_then(|n| n.parse().ok()).unwrap_or(0), is_known),
                Err(Error::Sql { .. }) => (0, false),
                Err(e) => return Err(e),
            };
            tables.push(TableInfo { name, columns, rows, is_readable });
        }
        Ok(tables)
    }

    /// Names of the columns a SELECT returns, without running it.
    ///
    /// # Errors
    /// [`Error::NotARead`], [`Error::Sql`].
    pub async fn columns_of(&mut self, sql: &str) -> Result<Vec<String>, Error> {
        statement::check(sql)?;
        let prepared = self
            .connection
            .prepare(AssertSqlSafe(sql.to_owned()).into_sql_str())
            .await
            .map_err(|e| engine(&self.path, "query", e))?;
        Ok(prepared.columns().iter().map(|c| c.name().to_owned()).collect())
    }

    /// Runs a SELECT and sends its rows on in batches; the channel bounds how far this runs ahead. Returns the
    /// number of rows.
    ///
    /// # Errors
    /// What the engine says, [`Error::Interrupted`], or [`Error::ReceiverGone`].
    pub async fn read(
        &mut self,
        sql: &str,
        params: &[String],
        out: Sender<RawBatch>,
        cancel: &Cancel,
    ) -> Result<u64, Error> {
        let width = self.columns_of(sql).await?.len();
        let path = &self.path;
        let mut rows = query(sql, params).fetch(&mut self.connection);
        let mut batch = RawBatch::new(width);
        let mut batch_rows = 0;
        let mut batch_bytes = 0;
        let mut total = 0_u64;
        while let Some(row) = rows.try_next().await.map_err(|e| engine(path, "read", e))? {
            batch_bytes += push_row(&row, &mut batch)?;
            batch_rows += 1;
            total += 1;
            if total.is_multiple_of(CANCEL_EVERY) {
                cancel.check()?;
            }
            if batch_rows >= BATCH_ROWS_MAX || batch_bytes >= BATCH_BYTES_MAX {
                let full = std::mem::replace(&mut batch, RawBatch::new(width));
                (batch_rows, batch_bytes) = (0, 0);
                out.send(full).await.map_err(|_| Error::ReceiverGone)?;
            }
        }
        cancel.check()?;
        if batch_rows > 0 {
            out.send(batch).await.map_err(|_| Error::ReceiverGone)?;
        }
        Ok(total)
    }

    /// The first row of a SELECT as text, for control totals: integers exactly, bytes as hex. Empty without a row.
    ///
    /// # Errors
    /// As [`SqliteSource::columns_of`].
    pub async fn scalar_row(&mut self, sql: &str, params: &[String]) -> Result<Vec<Option<String>>, Error> {
        statement::check(sql)?;
        let row = query(sql, params)
            .fetch_optional(&mut self.connection)
            .await
            .map_err(|e| engine(&self.path, "query", e))?;
        row.map_or_else(|| Ok(Vec::new()), |row| texts(&row))
    }

    /// All rows of a small query of our own.
    async fn rows(&mut self, sql: &str, params: &[String]) -> Result<Vec<Vec<Option<String>>>, Error> {
        let rows =
            query(sql, params).fetch_all(&mut self.connection).await.map_err(|e| engine(&self.path, "read", e))?;
        rows.iter().map(texts).collect()
    }

    async fn one(&mut self, sql: &str) -> Result<String, Error> {
        let rows = self.rows(sql, &[]).await?;
        Ok(rows.into_iter().flatten().flatten().next().unwrap_or_default())
    }
}

fn query(sql: &str, params: &[String]) -> sqlx::query::Query<'static, Sqlite, sqlx::sqlite::SqliteArguments> {
    let mut query = sqlx::query::<Sqlite>(AssertSqlSafe(sql.to_owned())).persistent(false);
    for param in params {
        query = query.bind(param.clone());
    }
    query
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn texts(row: &SqliteRow) -> Result<Vec<Option<String>>, Error> {
    (0..row.len())
        .map(|i| {
            Ok(match cell(row, i)? {
                RawValue::Null => None,
                RawValue::Int(n) => Some(n.to_string()),
                RawValue::Real(x) => Some(x.to_string()),
                RawValue::Text(s) => Some(s.to_owned()),
                RawValue::Bytes(b) => Some(HEXLOWER.encode(b)),
            })
        })
        .collect()
}

/// Appends a row and tells how many bytes of text it added.
fn push_row(row: &SqliteRow, batch: &mut RawBatch) -> Result<usize, Error> {
    let mut bytes = 0;
    for (i, column) in batch.columns.iter_mut().enumerate() {
        let value = cell(row, i)?;
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
fn cell(row: &SqliteRow, index: usize) -> Result<RawValue<'_>, Error> {
    let raw = || row.try_get_raw(index).map_err(|source| Error::Engine { action: "decode a cell of", source });
    let decode = |source| Error::Engine { action: "decode a cell of", source: sqlx::Error::Decode(source) };
    let value = raw()?;
    if value.is_null() {
        return Ok(RawValue::Null);
    }
    let class = value.type_info().into_owned();
    Ok(match class.name() {
        "INTEGER" => RawValue::Int(<i64 as Decode<Sqlite>>::decode(value).map_err(decode)?),
        "REAL" => RawValue::Real(<f64 as Decode<Sqlite>>::decode(value).map_err(decode)?),
        "TEXT" => match <&str as Decode<Sqlite>>::decode(value) {
            Ok(text) => RawValue::Text(text),
            // Text that is not UTF-8 exists in real databases; the mapping quarantines it.
            Err(_) => RawValue::Bytes(<&[u8] as Decode<Sqlite>>::decode(raw()?).map_err(decode)?),
        },
        _ => RawValue::Bytes(<&[u8] as Decode<Sqlite>>::decode(value).map_err(decode)?),
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
fn engine(path: &Path, action: &'static str, error: sqlx::Error) -> Error {
    let (code, message) = match &error {
        sqlx::Error::Database(e) => {
            (e.code().and_then(|c| c.parse::<u32>().ok()).map(|c| c & 0xff), e.message().to_owned())
        }
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
        _ => Error::Engine { action, source: error },
    }
}

#[cfg(test)]
mod tests;
