use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::*;
use crate::hint::Hint;
use crate::model::{Exit, Lang};

fn database(dir: &Path, sql: &str) -> PathBuf {
    let path = dir.join("shop.db");
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    path
}

fn select<'a>(sql: &'a str, values: &'a [String]) -> Select<'a> {
    Select { sql, values }
}

async fn read_all(source: &mut SqliteSource, sql: &str, params: &[String]) -> Result<Vec<RawBatch>, Error> {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(2);
    let cancel = Cancel::default();
    let (result, batches) = futures::join!(source.read(select(sql, params), sender, &cancel), async {
        let mut batches = Vec::new();
        while let Some(batch) = receiver.recv().await {
            batches.push(batch);
        }
        batches
    });
    result.map(|rows| {
        assert_eq!(rows as usize, batches.iter().map(RawBatch::rows).sum::<usize>());
        batches
    })
}

/// Storage class decides, not the declared type; invalid UTF-8 arrives as bytes.
#[tokio::test]
async fn cells_by_storage_class() {
    let dir = tempfile::tempdir().unwrap();
    let path = database(
        dir.path(),
        "CREATE TABLE t (a DATETIME, b BOOLEAN, c BLOB, d TEXT, e);
         INSERT INTO t VALUES ('2021-01-28', 7, x'00ff', CAST(x'ff' AS TEXT), NULL), (1.5, 'x', '', '', x'')",
    );
    let mut source = SqliteSource::open(&path).await.unwrap();
    let batches = read_all(&mut source, "SELECT * FROM t ORDER BY rowid", &[]).await.unwrap();
    let row = |i| batches[0].columns.iter().map(|c| c.get(i)).collect::<Vec<_>>();
    assert_eq!(
        row(0),
        [
            RawValue::Text("2021-01-28"),
            RawValue::Int(7),
            RawValue::Bytes(&[0, 255]),
            RawValue::Bytes(&[255]),
            RawValue::Null
        ]
    );
    assert_eq!(
        row(1),
        [RawValue::Real(1.5), RawValue::Text("x"), RawValue::Text(""), RawValue::Text(""), RawValue::Bytes(&[])]
    );
    let columns = source.columns("SELECT a, 1 AS one FROM t").await.unwrap();
    let named = |name: &str, type_name: &str| SourceColumn { name: name.into(), type_name: type_name.into() };
    assert_eq!(columns, [named("a", "DATETIME"), named("one", "")]);
    assert_eq!(
        source.first_row(select("SELECT COUNT(*), SUM(b), NULL FROM t WHERE a <> ?1", &["zz".into()])).await.unwrap(),
        [Some("2".into()), Some("7".into()), None]
    );
}

/// Tables come with counts; a table of another writer's later rows stays out of the snapshot.
#[tokio::test]
async fn tables_and_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let path = database(
        dir.path(),
        "PRAGMA journal_mode = WAL; CREATE TABLE \"or\"\"der\" (id INTEGER PRIMARY KEY, g AS (id * 2)); CREATE TABLE b (x);
         INSERT INTO b VALUES (1), (2)",
    );
    let mut source = SqliteSource::open(&path).await.unwrap();
    Connection::open(&path).unwrap().execute_batch("INSERT INTO b VALUES (3)").unwrap();
    let tables = source.tables().await.unwrap();
    assert_eq!(tables.iter().map(|t| (t.name.as_str(), t.rows)).collect::<Vec<_>>(), [("b", 2), ("or\"der", 0)]);
    assert_eq!(tables[1].columns.iter().map(|c| c.0.as_str()).collect::<Vec<_>>(), ["id", "g"]);
    let description = source.description();
    assert_eq!(description.engine, "sqlite");
    assert_eq!(description.settings["query_only"], "1");
    assert!(!format!("{description:?}").contains("shop.db"));
}

/// Many rows are split into bounded batches; a request to stop ends the reading.
#[tokio::test]
async fn batches_and_cancel() {
    let dir = tempfile::tempdir().unwrap();
    let path = database(dir.path(), "CREATE TABLE t (a)");
    let mut source = SqliteSource::open(&path).await.unwrap();
    let sql = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i, 'x' FROM n";
    let batches = read_all(&mut source, sql, &[]).await.unwrap();
    assert_eq!(batches.iter().map(RawBatch::rows).collect::<Vec<_>>(), [8192, 8192, 3616]);

    let cancel = Cancel::default();
    cancel.request();
    let (sender, _receiver) = tokio::sync::mpsc::channel(8);
    assert!(matches!(source.read(select(sql, &[]), sender, &cancel).await, Err(Error::Interrupted(_))));
    let (sender, receiver) = tokio::sync::mpsc::channel(8);
    drop(receiver);
    assert!(matches!(source.read(select(sql, &[]), sender, &Cancel::default()).await, Err(Error::ReceiverGone)));
    // The object is still usable after both.
    assert_eq!(source.first_row(select("SELECT 1", &[])).await.unwrap(), [Some("1".into())]);
}

/// Each kind of bad file has its own error, a next step and an exit code.
#[tokio::test]
async fn bad_files() {
    let dir = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE t (a TEXT);
        WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO t SELECT 'some text ' || i FROM n";
    let good = database(dir.path(), sql);
    let bytes = std::fs::read(&good).unwrap();
    let case = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let half = case("half.db", &bytes[..bytes.len() / 2]);
    let stub = case("stub.db", &bytes[..50]);
    let empty = case("empty.db", b"");
    let text = case("text.db", &[b'x'; 4096]);
    let mut broken = bytes.clone();
    broken[4096..].fill(0xa5);
    let broken = case("broken.db", &broken);

    let error = |path: PathBuf| async move {
        match SqliteSource::open(&path).await {
            Err(e) => e,
            Ok(mut source) => source.tables().await.unwrap_err(),
        }
    };
    let missing = error(dir.path().join("missing.db")).await;
    assert!(matches!(&missing, Error::File(_)) && missing.exit() == Exit::Io, "{missing}");
    for (path, expected) in
        [(half, "cut off"), (stub, "cut off"), (empty, "not a SQLite"), (text, "not a SQLite"), (broken, "damaged")]
    {
        let e = error(path).await;
        assert!(e.to_string().contains(expected), "{e}");
        assert!(e.hint(Lang::En).is_some() && e.hint(Lang::Zh).is_some());
        assert_eq!(e.exit(), Exit::Invalid);
    }
}

/// Nothing but one SELECT gets through, and the session refuses writes even so.
#[tokio::test]
async fn statements_are_reads() {
    let dir = tempfile::tempdir().unwrap();
    let path = database(dir.path(), "CREATE TABLE t (a)");
    let before = std::fs::read(&path).unwrap();
    let mut source = SqliteSource::open(&path).await.unwrap();
    assert!(matches!(source.columns("COMMIT").await, Err(Error::NotARead { .. })));
    let missing = source.columns("SELECT nothing FROM t").await.unwrap_err();
    assert!(missing.to_string().contains("nothing"), "{missing}");
    let write = source.first_row(select("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x RETURNING a", &[])).await;
    assert!(write.is_err());
    drop(source);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}
