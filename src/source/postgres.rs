//! PostgreSQL, read-only and in one snapshot.
//!
//! One connection holds a `REPEATABLE READ READ ONLY` transaction for the life of the object and exports its snapshot,
//! which a server keeps alive exactly that long; further connections can take it over ([`RowSource::fork`]) and read
//! the very same state. Statements without parameters stream as binary `COPY`, decoded
//! straight into columns; statements with parameters stream through a portal of the extended protocol, in the same
//! binary forms. Types that are not decoded here are read as the text the server prints.
//!
//! Limits: what lies outside a database's transactions (foreign tables) is told apart; sequences are not read.

mod cells;
mod copy;

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use futures::{FutureExt as _, TryStreamExt as _};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow, PgTypeInfo, Postgres};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Executor as _, Row as _, SqlSafeStr as _, Statement as _,
    TypeInfo as _, ValueRef as _,
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
use copy::CopyRows;

/// A PostgreSQL database opened for reading.
#[derive(Debug)]
pub(super) struct PostgresSource {
    connection: PgConnection,
    description: SourceDescription,
    /// What others need to read the same state; `None` where they cannot, and in those others themselves.
    shared: Option<SharedView>,
    marks: BTreeMap<String, String>,
}

/// A snapshot that other connections may take over, and how to know that they have.
#[derive(Debug, Clone)]
struct SharedView {
    address: Address,
    /// Its id on the server.
    id: String,
    /// The transactions it sees, and when the server started: an id alone could name another server's snapshot.
    mark: (String, String),
}

impl PostgresSource {
    /// Connects and begins the transaction all queries run in.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::AccessDenied`], [`Error::Tls`], or what the server says.
    pub(super) async fn open(address: &Address) -> Result<Self, Error> {
        let mut source = Self::connect(address, "sealport").await?;
        let before = source.changes().await?;
        source.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        source.describe(address).await?;
        let after = source.changes().await?;
        source.marks = settled(&before, after, &source.description.snapshot);
        Ok(source)
    }

    /// A connection whose session is set up, outside of any transaction.
    async fn connect(address: &Address, application: &str) -> Result<Self, Error> {
        let options = PgConnectOptions::from_url(&address.url()?)
            .map_err(|e| driver(Engine::Postgres, "connect to", e))?
            .application_name(application)
            .disable_statement_logging();
        let connection = connect(Engine::Postgres, options.connect()).await?;
        let description = SourceDescription {
            engine: "postgres".into(),
            version: String::new(),
            snapshot: String::new(),
            settings: BTreeMap::new(),
        };
        let mut source = Self { connection, description, shared: None, marks: BTreeMap::new() };
        for sql in SESSION {
            source.run(sql).await?;
        }
        Ok(source)
    }

    /// A connection that reads the state of a snapshot held elsewhere.
    async fn join(view: &SharedView) -> Result<Self, Error> {
        let mut source = Self::connect(&view.address, "sealport reader").await?;
        // Whoever waits to alter a table makes later readers wait, and waits itself for the holder of the snapshot:
        // nobody would move. The holder can still read, so a reader gives up soon.
        source.run("SET SESSION lock_timeout = '5s'").await?;
        source.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let id = view.id.replace('\'', "''");
        source.run(&format!("SET TRANSACTION SNAPSHOT '{id}'")).await?;
        if source.mark_of_view().await? != view.mark {
            return Err(Error::Unreachable { engine: Engine::Postgres.word(), reason: "another server answers there" });
        }
        Ok(source)
    }

    async fn mark_of_view(&mut self) -> Result<(String, String), Error> {
        let transactions = self.one("SELECT txid_current_snapshot()::text").await?;
        Ok((transactions, self.one("SELECT pg_postmaster_start_time()::text").await?))
    }

    async fn run(&mut self, sql: &str) -> Result<(), Error> {
        self.connection.execute(AssertSqlSafe(sql.to_owned())).await.map(|_| ()).map_err(failed)
    }

    /// By table, how many rows were inserted, updated and deleted since the server began to count.
    async fn changes(&mut self) -> Result<BTreeMap<String, String>, Error> {
        Ok(named(self.texts(CHANGES).await?))
    }

    async fn describe(&mut self, address: &Address) -> Result<(), Error> {
        self.description.version = self.one("SELECT current_setting('server_version')").await?;
        let mark = self.mark_of_view().await?;
        let id = self.one("SELECT pg_export_snapshot()").await?;
        self.description.snapshot = format!("repeatable read, exported {id}, transactions {}", mark.0);
        self.shared = Some(SharedView { address: address.clone(), id, mark });
        for (name, sql) in [
            ("server_encoding", "SELECT current_setting('server_encoding')"),
            ("client_encoding", "SELECT current_setting('client_encoding')"),
            ("TimeZone", "SELECT current_setting('TimeZone')"),
            ("transaction_isolation", "SELECT current_setting('transaction_isolation')"),
            ("transaction_read_only", "SELECT current_setting('transaction_read_only')"),
            ("lc_collate", "SELECT datcollate FROM pg_database WHERE datname = current_database()"),
            ("search_path", "SELECT current_schemas(false)::text"),
            ("in_recovery", "SELECT pg_is_in_recovery()::text"),
            ("tls", "SELECT COALESCE((SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl), 'none')"),
            (
                "replica_lag_seconds",
                "SELECT CASE WHEN pg_is_in_recovery() AND pg_last_xact_replay_timestamp() IS NOT NULL \
                 THEN round(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()))::text ELSE '0' END",
            ),
        ] {
            let value = self.one(sql).await?;
            self.description.settings.insert(name.into(), value);
        }
        Ok(())
    }

    /// The columns of a statement and how their bytes are read; `None` for types the server should print.
    async fn prepared(&mut self, sql: &str, params: usize) -> Result<Vec<(SourceColumn, Option<Layout>)>, Error> {
        statement::check(sql)?;
        let types = vec![PgTypeInfo::with_oid(sqlx::postgres::types::Oid(25)); params];
        let prepared =
            self.connection.prepare_with(AssertSqlSafe(sql.to_owned()).into_sql_str(), &types).await.map_err(failed)?;
        Ok(prepared
            .columns()
            .iter()
            .map(|c| {
                let info = c.type_info();
                let column = SourceColumn { name: c.name().to_owned(), type_name: info.name().to_lowercase() };
                (column, info.oid().and_then(|oid| Layout::of(oid.0)))
            })
            .collect())
    }

    /// The statement with every column in a form that is decoded here, and those forms.
    async fn readable(&mut self, select: &Select<'_>) -> Result<(String, Vec<Layout>), Error> {
        let columns = self.prepared(select.sql, select.values.len()).await?;
        let layouts: Vec<Layout> = columns.iter().map(|(_, layout)| layout.unwrap_or(Layout::Text)).collect();
        if columns.iter().all(|(_, layout)| layout.is_some()) {
            return Ok((select.sql.to_owned(), layouts));
        }
        let list: Vec<String> = columns
            .iter()
            .map(|(column, layout)| {
                let name = Engine::Postgres.quoted(&column.name);
                if layout.is_some() { name } else { format!("{name}::text AS {name}") }
            })
            .collect();
        Ok((format!("SELECT {} FROM (\n{}\n) AS part", list.join(", "), select.sql), layouts))
    }

    async fn copy(&mut self, sql: &str, layouts: Vec<Layout>, out: &Sender<RawBatch>) -> Result<u64, Error> {
        let width = layouts.len();
        let mut rows = CopyRows::new(layouts);
        let statement = format!("COPY (\n{sql}\n) TO STDOUT (FORMAT binary)");
        let mut stream = self.connection.copy_out_raw(&statement).await.map_err(failed)?;
        let mut batch = RawBatch::new(width);
        let mut total = 0;
        while let Some(message) = stream.try_next().await.map_err(failed)? {
            let found = rows.feed(&message, &mut batch).map_err(|_| malformed())?;
            total += found as u64;
            if batch.is_full() {
                send(out, &mut batch, width).await?;
            }
        }
        if !rows.has_ended {
            return Err(Error::ConnectionLost { engine: Engine::Postgres.word() });
        }
        send(out, &mut batch, width).await?;
        Ok(total)
    }

    async fn portal(
        &mut self,
        sql: String,
        values: &[String],
        layouts: Vec<Layout>,
        out: &Sender<RawBatch>,
    ) -> Result<u64, Error> {
        let width = layouts.len();
        let mut rows = bound(sql, values).fetch(&mut self.connection);
        let mut batch = RawBatch::new(width);
        let (mut total, mut scratch) = (0, String::new());
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            for (i, (layout, column)) in layouts.iter().zip(&mut batch.columns).enumerate() {
                let value = row.try_get_raw(i).map_err(failed)?;
                if value.is_null() {
                    column.push(RawValue::Null);
                } else {
                    let bytes = value.as_bytes().map_err(|_| malformed())?;
                    layout.push(bytes, column, &mut scratch).ok_or_else(malformed)?;
                }
            }
            total += 1;
            if batch.is_full() {
                send(out, &mut batch, width).await?;
            }
        }
        send(out, &mut batch, width).await?;
        Ok(total)
    }

    /// All rows of a small query whose columns are texts.
    async fn texts(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        let rows = bound(sql.to_owned(), &[]).fetch_all(&mut self.connection).await.map_err(failed)?;
        rows.iter().map(row_texts).collect()
    }

    /// Begins a statement whose refusal must not end the snapshot: an error aborts a transaction back to its last mark.
    async fn mark(&mut self) -> Result<(), Error> {
        self.connection.execute("SAVEPOINT look").await.map(|_| ()).map_err(failed)
    }

    /// Ends what [`Self::mark`] began and hands the result on.
    async fn settle<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        let ends: &[&'static str] = match &result {
            Ok(_) => &["RELEASE SAVEPOINT look"],
            Err(_) => &["ROLLBACK TO SAVEPOINT look", "RELEASE SAVEPOINT look"],
        };
        for end in ends {
            let ended = self.connection.execute(*end).await;
            // What was refused says more than the connection that may be gone with it.
            if let (Err(e), true) = (ended, result.is_ok()) {
                return Err(failed(e));
            }
        }
        result
    }

    /// The steps of the plan of a statement.
    async fn steps(&mut self, select: &Select<'_>) -> Result<Vec<String>, Error> {
        statement::check(select.sql)?;
        let sql = format!("EXPLAIN {}", select.sql);
        let listed = bound(sql, select.values).fetch_all(&mut self.connection).await.map_err(failed)?;
        let mut steps = Vec::new();
        for row in &listed {
            steps.extend(row_texts(row)?.into_iter().flatten());
        }
        Ok(steps)
    }

    async fn first(&mut self, select: &Select<'_>) -> Result<Vec<Option<String>>, Error> {
        let (sql, layouts) = self.readable(select).await?;
        let row = bound(sql, select.values).fetch_optional(&mut self.connection).await.map_err(failed)?;
        row.map_or_else(|| Ok(Vec::new()), |row| layout_texts(&row, &layouts))
    }

    async fn one(&mut self, sql: &str) -> Result<String, Error> {
        Ok(self.texts(sql).await?.into_iter().flatten().flatten().next().unwrap_or_default())
    }
}

impl RowSource for PostgresSource {
    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn description(&self) -> SourceDescription {
        self.description.clone()
    }

    fn tables(&mut self) -> BoxFuture<'_, Result<Vec<TableInfo>, Error>> {
        async move {
            let listed = self.texts(TABLES).await?;
            let mut tables: Vec<TableInfo> = Vec::new();
            for row in listed {
                let mut cells = row.into_iter().map(Option::unwrap_or_default);
                let mut next = || cells.next().unwrap_or_default();
                let (name, column, type_name, readable, kind) = (next(), next(), next(), next(), next());
                if tables.last().is_none_or(|t| t.name != name) {
                    tables.push(TableInfo {
                        name,
                        columns: Vec::new(),
                        rows: 0,
                        is_readable: readable == "true",
                        is_transactional: kind != "f",
                    });
                }
                if let Some(table) = tables.last_mut().filter(|_| !column.is_empty()) {
                    table.columns.push((column, type_name));
                }
            }
            for table in tables.iter_mut().filter(|t| t.is_readable) {
                let sql = format!("SELECT COUNT(*)::text FROM {}", Engine::Postgres.quoted_table(&table.name));
                table.rows = self.one(&sql).await?.parse().unwrap_or(0);
            }
            tables.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(tables)
        }
        .boxed()
    }

    fn primary_key<'a>(&'a mut self, table: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        async move {
            let name = Engine::Postgres.quoted_table(table);
            let rows = bound(PRIMARY_KEY.to_owned(), &[name]).fetch_all(&mut self.connection).await;
            let rows = rows.map_err(failed)?.iter().map(row_texts).collect::<Result<Vec<_>, _>>()?;
            Ok(rows.into_iter().flatten().flatten().collect())
        }
        .boxed()
    }

    fn columns<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<Vec<SourceColumn>, Error>> {
        async move {
            self.mark().await?;
            let prepared = self.prepared(sql, params_in(sql)).await;
            Ok(self.settle(prepared).await?.into_iter().map(|(column, _)| column).collect())
        }
        .boxed()
    }

    fn read<'a>(
        &'a mut self,
        select: Select<'a>,
        out: Sender<RawBatch>,
        cancel: &'a Cancel,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        let work = async move {
            let (sql, layouts) = self.readable(&select).await?;
            if select.values.is_empty() {
                self.copy(&sql, layouts, &out).await
            } else {
                self.portal(sql, select.values, layouts, &out).await
            }
        };
        unless_cancelled(cancel, work).boxed()
    }

    fn first_row<'a>(&'a mut self, select: Select<'a>) -> BoxFuture<'a, Result<Vec<Option<String>>, Error>> {
        async move {
            self.mark().await?;
            let row = self.first(&select).await;
            self.settle(row).await
        }
        .boxed()
    }

    fn explain<'a>(&'a mut self, select: Select<'a>) -> BoxFuture<'a, Result<QueryPlan, Error>> {
        async move {
            self.mark().await?;
            let steps = self.steps(&select).await;
            let steps = self.settle(steps).await?;
            let has = |words: &[&str]| {
                let node = |s: &str| s.trim_start().trim_start_matches("->").trim_start().to_owned();
                steps.iter().any(|s| words.iter().any(|w| node(s).starts_with(w)))
            };
            Ok(QueryPlan {
                cost: steps.first().and_then(|s| cost_of(s)),
                has_sort: has(&["Sort ", "Incremental Sort "]),
                has_temporary: has(&["Materialize ", "CTE Scan "]),
                steps,
            })
        }
        .boxed()
    }

    fn fork(&mut self) -> BoxFuture<'_, Result<Option<Box<dyn RowSource>>, Error>> {
        async move {
            let Some(view) = &self.shared else { return Ok(None) };
            let fork: Box<dyn RowSource> = Box::new(Self::join(view).await?);
            Ok(Some(fork))
        }
        .boxed()
    }

    fn change_marks(&self) -> BTreeMap<String, String> {
        self.marks.clone()
    }

    fn moved(&mut self) -> BoxFuture<'_, Result<Vec<String>, Error>> {
        // Foreign tables have no checksum to compare; they are told apart in the list of tables.
        async { Ok(Vec::new()) }.boxed()
    }

    fn privileges(&mut self) -> BoxFuture<'_, Result<Privileges, Error>> {
        async move {
            let excess = self.texts(EXCESS).await?.into_iter().flatten().flatten().collect();
            let schemas: Vec<String> = self
                .texts("SELECT unnest(current_schemas(false))::text")
                .await?
                .into_iter()
                .flatten()
                .flatten()
                .collect();
            let database = Engine::Postgres.quoted(&self.one("SELECT current_database()::text").await?);
            let mut read_only_account = vec![
                "CREATE ROLE sealport_read LOGIN PASSWORD '…'".to_owned(),
                format!("GRANT CONNECT ON DATABASE {database} TO sealport_read"),
                "ALTER ROLE sealport_read SET default_transaction_read_only = on".to_owned(),
            ];
            for schema in schemas {
                let schema = Engine::Postgres.quoted(&schema);
                read_only_account.push(format!("GRANT USAGE ON SCHEMA {schema} TO sealport_read"));
                read_only_account.push(format!("GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO sealport_read"));
            }
            Ok(Privileges { excess, read_only_account })
        }
        .boxed()
    }
}

/// How every session is set up.
const SESSION: [&str; 8] = [
    // Texts of times do not depend on the server's settings, and nothing of ours ends by a timer.
    "SET SESSION TimeZone = 'UTC'",
    "SET SESSION DateStyle = 'ISO, YMD'",
    "SET SESSION IntervalStyle = 'iso_8601'",
    "SET SESSION bytea_output = 'hex'",
    "SET SESSION statement_timeout = 0",
    "SET SESSION idle_in_transaction_session_timeout = 0",
    // Servers of before version 17 do not know it.
    "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'",
    "SET SESSION lock_timeout = '30s'",
];

/// Tables of the account's schemas by their own names, others with their schema; a partition is part of its parent.
const TABLES: &str = "
SELECT CASE WHEN n.nspname = ANY(current_schemas(false)) THEN c.relname ELSE n.nspname || '.' || c.relname END,
       a.attname::text, format_type(a.atttypid, a.atttypmod), has_table_privilege(c.oid, 'SELECT')::text, c.relkind::text
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relkind IN ('r', 'p', 'f', 'm') AND NOT c.relispartition
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'
 ORDER BY 1, n.nspname, a.attnum";

/// Tables by the names of [`TABLES`]; changes of partitions are those of their parent.
const CHANGES: &str = "
SELECT CASE WHEN n.nspname = ANY(current_schemas(false)) THEN c.relname ELSE n.nspname || '.' || c.relname END,
       sum(s.n_tup_ins)::text || ' ' || sum(s.n_tup_upd)::text || ' ' || sum(s.n_tup_del)::text
  FROM pg_stat_user_tables s
  JOIN pg_class c ON c.oid = COALESCE(pg_partition_root(s.relid)::oid, s.relid)
  JOIN pg_namespace n ON n.oid = c.relnamespace
 GROUP BY 1";

const PRIMARY_KEY: &str = "
SELECT a.attname::text
  FROM pg_index i
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
 WHERE i.indisprimary AND i.indrelid = to_regclass($1)
 ORDER BY array_position(i.indkey::int2[], a.attnum)";

/// What the account may do besides reading.
const EXCESS: &str = "
SELECT 'superuser' FROM pg_roles WHERE rolname = current_user AND rolsuper
UNION ALL SELECT 'may create roles' FROM pg_roles WHERE rolname = current_user AND rolcreaterole
UNION ALL SELECT 'may create databases' FROM pg_roles WHERE rolname = current_user AND rolcreatedb
UNION ALL SELECT 'CREATE on schema ' || n FROM unnest(current_schemas(false)) AS n WHERE has_schema_privilege(n, 'CREATE')
UNION ALL SELECT p || ' on ' || count(*) || ' tables'
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS p
 WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND has_table_privilege(c.oid, p)
 GROUP BY p HAVING count(*) > 0";

fn failed(error: sqlx::Error) -> Error {
    driver(Engine::Postgres, "read", error)
}

fn malformed() -> Error {
    Error::Server { engine: Engine::Postgres.word(), action: "read", code: "malformed value".into() }
}

/// The cost of a whole plan by its first line: `Sort  (cost=88.17..90.67 rows=1000 width=8)` costs 90.
fn cost_of(step: &str) -> Option<u64> {
    let (_, rest) = step.split_once("(cost=")?;
    let (_, total) = rest.split_once("..")?;
    total.split(['.', ' ']).next()?.parse().ok()
}

/// How many parameters a statement has: `$1` … outside texts, as the mapping numbers them.
fn params_in(sql: &str) -> usize {
    (1..=99).take_while(|n| sql.contains(&format!("${n}"))).count()
}

fn bound(sql: String, values: &[String]) -> sqlx::query::Query<'static, Postgres, sqlx::postgres::PgArguments> {
    let mut query = sqlx::query::<Postgres>(AssertSqlSafe(sql)).persistent(false);
    for value in values {
        query = query.bind(value.clone());
    }
    query
}

async fn send(out: &Sender<RawBatch>, batch: &mut RawBatch, width: usize) -> Result<(), Error> {
    if batch.rows() == 0 {
        return Ok(());
    }
    let full = std::mem::replace(batch, RawBatch::new(width));
    out.send(full).await.map_err(|_| Error::ReceiverGone)
}

fn row_texts(row: &PgRow) -> Result<Vec<Option<String>>, Error> {
    let layouts: Vec<Layout> = row
        .columns()
        .iter()
        .map(|c| c.type_info().oid().and_then(|oid| Layout::of(oid.0)).unwrap_or(Layout::Text))
        .collect();
    layout_texts(row, &layouts)
}

fn layout_texts(row: &PgRow, layouts: &[Layout]) -> Result<Vec<Option<String>>, Error> {
    let mut batch = RawBatch::new(layouts.len());
    let mut scratch = String::new();
    for (i, (layout, column)) in layouts.iter().zip(&mut batch.columns).enumerate() {
        let value = row.try_get_raw(i).map_err(failed)?;
        if value.is_null() {
            column.push(RawValue::Null);
        } else {
            layout.push(value.as_bytes().map_err(|_| malformed())?, column, &mut scratch).ok_or_else(malformed)?;
        }
    }
    Ok(batch.columns.iter().map(|c| text(c.get(0))).collect())
}
