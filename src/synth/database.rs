//! Writes the batches of the generators into a new SQLite file.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::sync::mpsc;

use super::Error;
use super::tables::{Batch, TABLES};
use crate::progress::{Cancel, Task};

/// Creates the database and inserts everything that arrives, in one transaction.
pub(super) async fn fill(
    path: &Path,
    mut batches: mpsc::Receiver<Batch>,
    task: &dyn Task,
    cancel: &Cancel,
) -> Result<(), Error> {
    // A sample that a crash cuts short is thrown away, so neither journal nor syncing would buy anything.
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Off)
        .synchronous(SqliteSynchronous::Off)
        .page_size(8_192)
        .pragma("cache_size", "-65536")
        .statement_cache_capacity(64);
    let mut connection = options.connect().await.map_err(Error::database)?;
    execute(&mut connection, "BEGIN EXCLUSIVE".into()).await?;
    for table in TABLES {
        execute(&mut connection, format!("CREATE TABLE {} ({})", table.name, table.columns.join(", "))).await?;
    }
    let mut statements: Vec<(usize, String)> = vec![(0, String::new()); TABLES.len()];
    while let Some(batch) = batches.recv().await {
        cancel.check()?;
        let (rows, sql) = &mut statements[batch.table as usize];
        if *rows != batch.rows {
            let row = format!("({})", vec!["?"; batch.table.table().columns.len()].join(","));
            *sql =
                format!("INSERT INTO {} VALUES {}", batch.table.table().name, vec![row.as_str(); batch.rows].join(","));
            *rows = batch.rows;
        }
        sqlx::query_with(AssertSqlSafe(sql.clone()), batch.arguments)
            .execute(&mut connection)
            .await
            .map_err(Error::database)?;
        task.advance(batch.orders);
    }
    for (table, column) in [("t_pay", "order_id"), ("sys_perm_log", "target_id")] {
        execute(&mut connection, format!("CREATE INDEX idx_{table}_{column} ON {table} ({column})")).await?;
    }
    execute(&mut connection, "COMMIT".into()).await?;
    connection.close().await.map_err(Error::database)
}

async fn execute(connection: &mut SqliteConnection, sql: String) -> Result<(), Error> {
    sqlx::query(AssertSqlSafe(sql)).execute(connection).await.map_err(Error::database)?;
    Ok(())
}
