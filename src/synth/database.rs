//! Writes the batches of the generators into a new SQLite file.

use std::path::Path;

use rusqlite::{Connection, params_from_iter};
use tokio::sync::mpsc;

use super::Error;
use super::tables::{Batch, TABLES};
use crate::progress::{Cancel, Task};

/// Creates the database and inserts everything that arrives, in one transaction. Blocks.
pub(super) fn fill(
    path: &Path,
    mut batches: mpsc::Receiver<Batch>,
    task: &dyn Task,
    cancel: &Cancel,
) -> Result<(), Error> {
    let connection = Connection::open(path).map_err(Error::database)?;
    let execute = |sql: &str| connection.execute_batch(sql).map_err(Error::database);
    // A sample that a crash cuts short is thrown away, so neither journal nor syncing would buy anything.
    execute(
        "PRAGMA page_size = 8192; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536",
    )?;
    execute("BEGIN EXCLUSIVE")?;
    for table in TABLES {
        execute(&format!("CREATE TABLE {} ({})", table.name, table.columns.join(", ")))?;
    }
    let mut statements: Vec<(usize, String)> = vec![(0, String::new()); TABLES.len()];
    while let Some(batch) = batches.blocking_recv() {
        cancel.check()?;
        let (rows, sql) = &mut statements[batch.table as usize];
        if *rows != batch.rows {
            let row = format!("({})", vec!["?"; batch.table.table().columns.len()].join(","));
            *sql =
                format!("INSERT INTO {} VALUES {}", batch.table.table().name, vec![row.as_str(); batch.rows].join(","));
            *rows = batch.rows;
        }
        let mut insert = connection.prepare(sql).map_err(Error::database)?;
        insert.execute(params_from_iter(batch.values)).map_err(Error::database)?;
        task.advance(batch.orders);
    }
    for (table, column) in [("t_pay", "order_id"), ("sys_perm_log", "target_id")] {
        execute(&format!("CREATE INDEX idx_{table}_{column} ON {table} ({column})"))?;
    }
    execute("COMMIT")?;
    connection.close().map_err(|(_, e)| Error::database(e))
}
