//! MySQL and MariaDB, read-only and in one snapshot.
//!
//! One connection holds a `START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY` for the life of the object; several
//! connections of these engines cannot share a snapshot, so there is one. Rows stream in the binary protocol. The
//! session's zone is UTC and asserted, its SQL mode is fixed, so that the same statement means the same on every
//! server.
//!
//! Limits: tables of engines without transactions (MyISAM, Aria, MEMORY) lie outside the snapshot; their checksums
//! are taken when the source is opened and again at the end. While the transaction lives, the server makes whoever
//! alters one of the tables read wait.

mod cells;

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use futures::{FutureExt as _, TryStreamExt as _};
use sqlx::mysql::{MySql, MySqlConnectOptions, MySqlConnection, MySqlRow, MySqlTypeInfo};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Decode, Executor as _, Row as _, SqlSafeStr as _, Statement as _,
    Type, TypeInfo as _, ValueRef as _,
};
use tokio::sync::mpsc::Sender;

use super::database::{
    Privileges, QueryPlan, RowSource, Select, SourceColumn, SourceDescription, TableInfo, named, settled, text,
};
use super::server::{Address, connect, driver, unless_cancelled};
use super::{Error, statement};
use crate::model::Engine;
use crate::progress::Cancel;
use crate::rows::{RawBatch, RawValue};
use cells::Layout;

/// A MySQL or MariaDB database opened for reading.
#[derive(Debug)]
pub(super) struct MySqlSource {
    connection: MySqlConnection,
    description: SourceDescription,
    /// Tables outside the snapshot with their checksums when the source was opened.
    checksums: BTreeMap<String, String>,
    marks: BTreeMap<String, String>,
}

impl MySqlSource {
    /// Connects and begins the transaction all queries run in.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::AccessDenied`], [`Error::Tls`], or what the server says.
    pub(super) async fn open(address: &Address) -> Result<Self, Error> {
        let options = MySqlConnectOptions::from_url(&address.url()?)
            .map_err(|e| driver(Engine::MySql, "connect to", e))?
            .timezone(Some("+00:00".to_owned()))
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .charset("utf8mb4")
            .disable_statement_logging();
        if options.get_database().unwrap_or_default().is_empty() {
            return Err(Error::Address { reason: "it names no database, e.g. mysql://user@host:3306/shop" });
        }
        let connection = connect(Engine::MySql, options.connect()).await?;
        let description = SourceDescription {
            engine: "mysql".into(),
            version: String::new(),
            snapshot: String::new(),
            settings: BTreeMap::new(),
        };
        let mut source = Self { connection, description, checksums: BTreeMap::new(), marks: BTreeMap::new() };
        source.begin().await?;
        Ok(source)
    }

    async fn begin(&mut self) -> Result<(), Error> {
        self.description.version = self.one("SELECT VERSION()").await?;
        let is_mariadb = self.description.version.to_lowercase().contains("mariadb");
        if is_mariadb {
            self.description.engine = "mariadb".into();
        }
        if !is_mariadb {
            // Times of changes as they are, not as they were a day ago.
            // Servers of before 8.0 do not know the setting and keep no old ones.
            let _ = self.connection.execute("SET SESSION information_schema_stats_expiry = 0").await;
        }
        let before = self.changes().await?;
        for sql in [
            "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'",
            // A reader that waits for the writer of an archive must not be cut off.
            "SET SESSION net_write_timeout = 3600, net_read_timeout = 3600, wait_timeout = 28800",
            "SET SESSION lock_wait_timeout = 30",
            if is_mariadb { "SET SESSION max_statement_time = 0" } else { "SET SESSION max_execution_time = 0" },
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        ] {
            self.connection.execute(sql).await.map_err(failed)?;
        }
        let position = if is_mariadb {
            let status = "SELECT GROUP_CONCAT(VARIABLE_VALUE ORDER BY VARIABLE_NAME SEPARATOR ':') FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME LIKE 'BINLOG_SNAPSHOT_%'";
            self.one(status).await
        } else {
            self.one("SELECT @@global.gtid_executed").await
        };
        self.description.snapshot = match position.unwrap_or_default().replace(['\n', ' '], "") {
            p if p.trim_matches(':').is_empty() => "consistent snapshot".into(),
            p => format!("consistent snapshot at {p}"),
        };
        for (name, sql) in [
            ("time_zone", "SELECT @@session.time_zone"),
            ("sql_mode", "SELECT @@session.sql_mode"),
            ("character_set_results", "SELECT @@session.character_set_results"),
            ("collation_connection", "SELECT @@session.collation_connection"),
            ("character_set_database", "SELECT @@character_set_database"),
            ("lower_case_table_names", "SELECT CAST(@@lower_case_table_names AS CHAR)"),
            ("system_time_zone", "SELECT @@system_time_zone"),
        ] {
            let value = self.one(sql).await?;
            self.description.settings.insert(name.into(), value);
        }
        self.assert_zone()?;
        let tls = self.shown("SHOW SESSION STATUS LIKE 'Ssl_version'", 1).await?;
        self.description.settings.insert("tls".into(), tls.filter(|v| !v.is_empty()).unwrap_or_else(|| "none".into()));
        let lag = self.replica_lag(is_mariadb).await;
        self.description.settings.insert("replica_lag_seconds".into(), lag);
        self.checksums = self.checksums_now().await?;
        let after = self.changes().await?;
        self.marks = settled(&before, after, &self.one("SELECT CAST(SYSDATE(6) AS CHAR)").await?);
        self.marks.extend(self.checksums.clone());
        Ok(())
    }

    /// A session in another zone would shift every TIMESTAMP without a word.
    fn assert_zone(&self) -> Result<(), Error> {
        match self.description.settings.get("time_zone").map(String::as_str) {
            Some("+00:00") => Ok(()),
            _ => Err(Error::SessionZone),
        }
    }

    /// Seconds behind the primary, `0` on a primary, `unknown` where the account may not ask.
    async fn replica_lag(&mut self, is_mariadb: bool) -> String {
        let sql = if is_mariadb { "SHOW SLAVE STATUS" } else { "SHOW REPLICA STATUS" };
        let row = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_optional(&mut self.connection).await;
        match row {
            Err(_) => "unknown".into(),
            Ok(None) => "0".into(),
            Ok(Some(row)) => ["Seconds_Behind_Master", "Seconds_Behind_Source"]
                .iter()
                .find_map(|name| {
                    let value = row.try_get_raw(*name).ok()?;
                    if value.is_null() {
                        return Some("replication stopped".to_owned());
                    }
                    let bytes = <&[u8] as Decode<MySql>>::decode(value).ok()?;
                    Some(String::from_utf8_lossy(bytes).into_owned())
                })
                .unwrap_or_else(|| "unknown".into()),
        }
    }

    /// By table, when it was changed last, as far as the server remembers; it forgets with a restart. A change of the
    /// last two seconds could be followed by another within the same one.
    async fn changes(&mut self) -> Result<BTreeMap<String, String>, Error> {
        Ok(named(self.texts(CHANGES).await?))
    }

    async fn checksums_now(&mut self) -> Result<BTreeMap<String, String>, Error> {
        let names: Vec<String> = self.texts(NON_TRANSACTIONAL).await?.into_iter().flatten().flatten().collect();
        let mut out = BTreeMap::new();
        for name in names {
            let sql = format!("CHECKSUM TABLE {}", Engine::MySql.quoted(&name));
            let sum = self.shown(&sql, 1).await?;
            out.insert(name, sum.unwrap_or_default());
        }
        Ok(out)
    }

    /// A cell of the first row of a `SHOW …` or the like, which cannot be prepared.
    async fn shown(&mut self, sql: &str, index: usize) -> Result<Option<String>, Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        let row = sqlx::raw_sql(sql).fetch_optional(&mut self.connection).await.map_err(failed)?;
        Ok(row.map(|row| raw_text(&row, index)).transpose()?.flatten())
    }

    /// The columns of a statement and how their bytes are read.
    async fn prepared(&mut self, sql: &str) -> Result<Vec<(SourceColumn, Layout)>, Error> {
        statement::check(sql)?;
        let prepared = self.connection.prepare(AssertSqlSafe(sql.to_owned()).into_sql_str()).await.map_err(failed)?;
        Ok(prepared
            .columns()
            .iter()
            .map(|c| {
                let info = c.type_info();
                let column = SourceColumn { name: c.name().to_owned(), type_name: type_name(info) };
                (column, Layout::of(info.name(), is_unsigned(info)))
            })
            .collect())
    }

    async fn stream(&mut self, select: &Select<'_>, out: &Sender<RawBatch>) -> Result<u64, Error> {
        let layouts: Vec<Layout> = self.prepared(select.sql).await?.into_iter().map(|(_, layout)| layout).collect();
        let width = layouts.len();
        let mut rows = bound(select.sql.to_owned(), select.values).fetch(&mut self.connection);
        let mut batch = RawBatch::new(width);
        let (mut total, mut scratch) = (0, String::new());
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            push_row(&row, &layouts, &mut batch, &mut scratch)?;
            total += 1;
            if batch.is_full() {
                let full = std::mem::replace(&mut batch, RawBatch::new(width));
                out.send(full).await.map_err(|_| Error::ReceiverGone)?;
            }
        }
        if batch.rows() > 0 {
            out.send(batch).await.map_err(|_| Error::ReceiverGone)?;
        }
        Ok(total)
    }

    /// All rows of a small query.
    async fn texts(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        let rows = bound(sql.to_owned(), &[]).fetch_all(&mut self.connection).await.map_err(failed)?;
        rows.iter().map(row_texts).collect()
    }

    async fn one(&mut self, sql: &str) -> Result<String, Error> {
        Ok(self.texts(sql).await?.into_iter().flatten().flatten().next().unwrap_or_default())
    }
}

impl RowSource for MySqlSource {
    fn engine(&self) -> Engine {
        Engine::MySql
    }

    fn description(&self) -> SourceDescription {
        self.description.clone()
    }

    fn tables(&mut self) -> BoxFuture<'_, Result<Vec<TableInfo>, Error>> {
        async move {
            let mut tables: Vec<TableInfo> = Vec::new();
            for row in self.texts(TABLES).await? {
                let mut cells = row.into_iter().map(Option::unwrap_or_default);
                let mut next = || cells.next().unwrap_or_default();
                let (name, column, type_name) = (next(), next(), next());
                if tables.last().is_none_or(|t| t.name != name) {
                    let is_transactional = !self.checksums.contains_key(&name);
                    tables.push(TableInfo { name, columns: Vec::new(), rows: 0, is_readable: true, is_transactional });
                }
                if let Some(table) = tables.last_mut() {
                    table.columns.push((column, type_name));
                }
            }
            for table in &mut tables {
                let sql = format!("SELECT CAST(COUNT(*) AS CHAR) FROM {}", Engine::MySql.quoted(&table.name));
                match self.one(&sql).await {
                    Ok(count) => table.rows = count.parse().unwrap_or(0),
                    // A table made or altered after the snapshot began is not readable in it.
                    Err(Error::Privilege { .. } | Error::Server { .. } | Error::Altered { .. }) => {
                        table.is_readable = false;
                    }
                    Err(e) => return Err(e),
                }
            }
            tables.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(tables)
        }
        .boxed()
    }

    fn primary_key<'a>(&'a mut self, table: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        async move {
            let rows = bound(PRIMARY_KEY.to_owned(), &[table.to_owned()]).fetch_all(&mut self.connection).await;
            let rows = rows.map_err(failed)?.iter().map(row_texts).collect::<Result<Vec<_>, _>>()?;
            Ok(rows.into_iter().flatten().flatten().collect())
        }
        .boxed()
    }

    fn columns<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<Vec<SourceColumn>, Error>> {
        async move { Ok(self.prepared(sql).await?.into_iter().map(|(column, _)| column).collect()) }.boxed()
    }

    fn read<'a>(
        &'a mut self,
        select: Select<'a>,
        out: Sender<RawBatch>,
        cancel: &'a Cancel,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        unless_cancelled(cancel, async move { self.stream(&select, &out).await }).boxed()
    }

    fn first_row<'a>(&'a mut self, select: Select<'a>) -> BoxFuture<'a, Result<Vec<Option<String>>, Error>> {
        async move {
            statement::check(select.sql)?;
            let row = bound(select.sql.to_owned(), select.values)
                .fetch_optional(&mut self.connection)
                .await
                .map_err(failed)?;
            row.map_or_else(|| Ok(Vec::new()), |row| row_texts(&row))
        }
        .boxed()
    }

    fn explain<'a>(&'a mut self, select: Select<'a>) -> BoxFuture<'a, Result<QueryPlan, Error>> {
        async move {
            statement::check(select.sql)?;
            let sql = format!("EXPLAIN {}", select.sql);
            let listed = bound(sql, select.values).fetch_all(&mut self.connection).await.map_err(failed)?;
            let mut steps = Vec::new();
            for row in &listed {
                let named: Vec<&str> = row.columns().iter().map(|c| c.name()).collect();
                let cells = named.into_iter().zip(row_texts(row)?);
                let shown = cells.filter(|(name, _)| ["table", "type", "key", "rows", "Extra"].contains(name));
                let words: Vec<String> = shown
                    .filter_map(|(name, cell)| Some(format!("{name}={}", cell.filter(|c| !c.is_empty())?)))
                    .collect();
                steps.push(words.join(" "));
            }
            let has = |word: &str| steps.iter().any(|s| s.contains(word));
            Ok(QueryPlan { has_sort: has("Using filesort"), has_temporary: has("Using temporary"), cost: None, steps })
        }
        .boxed()
    }

    fn change_marks(&self) -> BTreeMap<String, String> {
        self.marks.clone()
    }

    fn moved(&mut self) -> BoxFuture<'_, Result<Vec<String>, Error>> {
        async move {
            let now = self.checksums_now().await?;
            Ok(self
                .checksums
                .iter()
                .filter(|(name, sum)| now.get(*name) != Some(*sum))
                .map(|(n, _)| n.clone())
                .collect())
        }
        .boxed()
    }

    fn privileges(&mut self) -> BoxFuture<'_, Result<Privileges, Error>> {
        async move {
            let rows = sqlx::raw_sql("SHOW GRANTS").fetch_all(&mut self.connection).await.map_err(failed)?;
            let mut excess = Vec::new();
            for row in &rows {
                excess.extend(excess_of(&raw_text(row, 0)?.unwrap_or_default()));
            }
            let database = Engine::MySql.quoted(&self.one("SELECT DATABASE()").await?);
            let read_only_account = vec![
                "CREATE USER 'sealport_read'@'%' IDENTIFIED BY '…'".to_owned(),
                format!("GRANT SELECT, SHOW VIEW ON {database}.* TO 'sealport_read'@'%'"),
            ];
            Ok(Privileges { excess, read_only_account })
        }
        .boxed()
    }
}

const TABLES: &str = "
SELECT t.TABLE_NAME, c.COLUMN_NAME, c.COLUMN_TYPE
  FROM information_schema.TABLES t
  JOIN information_schema.COLUMNS c ON c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME
 WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')
 ORDER BY BINARY t.TABLE_NAME, c.ORDINAL_POSITION";

const PRIMARY_KEY: &str = "
SELECT k.COLUMN_NAME
  FROM information_schema.KEY_COLUMN_USAGE k
 WHERE k.TABLE_SCHEMA = DATABASE() AND k.TABLE_NAME = ? AND k.CONSTRAINT_NAME = 'PRIMARY'
 ORDER BY k.ORDINAL_POSITION";

/// Tables whose engine does not know transactions.
const CHANGES: &str = "
SELECT TABLE_NAME,
       CASE WHEN UPDATE_TIME IS NULL THEN 'not remembered'
            WHEN UPDATE_TIME >= SYSDATE() - INTERVAL 2 SECOND THEN CONCAT('changing at ', SYSDATE(6))
            ELSE CAST(UPDATE_TIME AS CHAR) END
  FROM information_schema.TABLES
 WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE'";

const NON_TRANSACTIONAL: &str = "
SELECT t.TABLE_NAME
  FROM information_schema.TABLES t
  LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE
 WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE = 'BASE TABLE' AND COALESCE(e.TRANSACTIONS, 'NO') <> 'YES'
 ORDER BY BINARY t.TABLE_NAME";

/// Rights that let an account read and nothing more.
const READING: [&str; 6] = ["USAGE", "SELECT", "SHOW VIEW", "SHOW DATABASES", "PROCESS", "REPLICATION CLIENT"];

/// The rights of a line of `SHOW GRANTS` that reading does not need. The line itself may hold a password hash.
fn excess_of(line: &str) -> Vec<String> {
    let Some(rest) = line.strip_prefix("GRANT ") else { return Vec::new() };
    let Some((rights, target)) = rest.split_once(" ON ") else { return Vec::new() };
    let target = target.split(" TO ").next().unwrap_or_default();
    rights.split(", ").filter(|right| !READING.contains(right)).map(|right| format!("{right} on {target}")).collect()
}

fn failed(error: sqlx::Error) -> Error {
    driver(Engine::MySql, "read", error)
}

fn malformed() -> Error {
    Error::Server { engine: Engine::MySql.word(), action: "read", code: "malformed value".into() }
}

/// The engine's name of a type. The driver calls texts of a binary collation (`utf8mb4_bin`, what JSON functions give)
/// bytes by name, but knows that they can be read as texts.
fn type_name(info: &MySqlTypeInfo) -> String {
    let name = info.name();
    let is_text = <str as Type<MySql>>::compatible(info);
    match name {
        "BINARY" if is_text => "char".into(),
        "VARBINARY" if is_text => "varchar".into(),
        "TINYBLOB" | "BLOB" | "MEDIUMBLOB" | "LONGBLOB" if is_text => "text".into(),
        _ => name.to_lowercase(),
    }
}

/// The driver tells unsigned types apart by name, except where it calls a `TINYINT(1)` a truth value.
fn is_unsigned(info: &MySqlTypeInfo) -> bool {
    *info == <u8 as Type<MySql>>::type_info() || info.name().ends_with(" UNSIGNED")
}

fn bound(sql: String, values: &[String]) -> sqlx::query::Query<'static, MySql, sqlx::mysql::MySqlArguments> {
    let mut query = sqlx::query::<MySql>(AssertSqlSafe(sql)).persistent(false);
    for value in values {
        query = query.bind(value.clone());
    }
    query
}

fn push_row(row: &MySqlRow, layouts: &[Layout], batch: &mut RawBatch, scratch: &mut String) -> Result<(), Error> {
    for (i, (layout, column)) in layouts.iter().zip(&mut batch.columns).enumerate() {
        let value = row.try_get_raw(i).map_err(failed)?;
        // The driver calls a zero date NULL; only a cell without bytes is.
        match <&[u8] as Decode<MySql>>::decode(value) {
            Err(_) => column.push(RawValue::Null),
            Ok(bytes) => layout.push(bytes, column, scratch).ok_or_else(malformed)?,
        }
    }
    Ok(())
}

fn row_texts(row: &MySqlRow) -> Result<Vec<Option<String>>, Error> {
    let layouts: Vec<Layout> =
        row.columns().iter().map(|c| Layout::of(c.type_info().name(), is_unsigned(c.type_info()))).collect();
    let mut batch = RawBatch::new(layouts.len());
    push_row(row, &layouts, &mut batch, &mut String::new())?;
    Ok(batch.columns.iter().map(|c| text(c.get(0))).collect())
}

/// A cell of a row in the text protocol (`SHOW …`).
fn raw_text(row: &MySqlRow, index: usize) -> Result<Option<String>, Error> {
    let value = row.try_get_raw(index).map_err(failed)?;
    if value.is_null() {
        return Ok(None);
    }
    let bytes = <&[u8] as Decode<MySql>>::decode(value).map_err(|_| malformed())?;
    Ok(Some(String::from_utf8_lossy(bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rights beyond reading are named with their target; the password hash of the line is not.
    #[test]
    fn grants_beyond_reading() {
        let line = "GRANT SELECT, INSERT, SHOW VIEW ON `shop`.* TO `app`@`%` IDENTIFIED BY PASSWORD '*AAAA'";
        assert_eq!(excess_of(line), ["INSERT on `shop`.*"]);
        assert_eq!(excess_of("GRANT USAGE ON *.* TO `r`@`%`"), Vec::<String>::new());
        assert_eq!(excess_of("GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost`"), ["ALL PRIVILEGES on *.*"]);
    }
}
