use std::sync::Arc;

use arrow::array::{Array as _, BooleanArray, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;

use super::*;

fn numbers(n: i64) -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![
        Field::new("ref", DataType::Utf8, false),
        Field::new("amount_fen", DataType::Int64, true),
        Field::new("paid_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
    ]));
    RecordBatch::try_new(
        schema,
        vec![
            Arc::new((0..n).map(|i| Some(format!("p{i}"))).collect::<StringArray>()),
            Arc::new((0..n).map(|i| if i % 7 == 3 { None } else { Some(i) }).collect::<Int64Array>()),
            Arc::new(
                (0..n)
                    .map(|i| Some(1_700_000_000_000_000 + i))
                    .collect::<TimestampMicrosecondArray>()
                    .with_timezone("UTC"),
            ),
        ],
    )
    .expect("batch")
}

async fn count(session: &Session, sql: &str, params: &Params) -> i64 {
    let batches = session.collect(sql, params).await.expect(sql);
    let column = batches[0].column(0).as_any().downcast_ref::<Int64Array>().expect("bigint").clone();
    column.value(0)
}

fn session(dir: &tempfile::TempDir) -> Session {
    Session::new(&Limits::in_dir(dir.path())).expect("session")
}

/// Literal row sets and those written to a file answer alike; types and nulls survive; parameters bind by name.
#[tokio::test]
async fn rows_and_parameters() {
    let dir = tempfile::tempdir().expect("dir");
    let base = session(&dir);
    for n in [0, 1, 64, 65, 1000] {
        let session = base.fork();
        session.add_rows("payments", numbers(n)).await.expect("added");
        let params = Params::from([
            ("low".to_owned(), Value::Int(10)),
            ("as_of".to_owned(), Value::Instant(DateTime::from_timestamp_micros(1_700_000_000_000_020).expect("time"))),
            ("wanted".to_owned(), Value::Bool(true)),
            ("after".to_owned(), Value::Text("1 hour".into())),
            ("day".to_owned(), Value::Date(NaiveDate::from_ymd_opt(2023, 11, 14).expect("date"))),
        ]);
        assert_eq!(count(&session, "SELECT COUNT(*) FROM payments", &params).await, n);
        let nulls = (0..n).filter(|i| i % 7 == 3).count() as i64;
        assert_eq!(count(&session, "SELECT COUNT(*) FROM payments WHERE amount_fen IS NULL", &params).await, nulls);
        let hits = (0..n).filter(|i| i % 7 != 3 && *i >= 10 && *i < 20).count() as i64;
        let sql = "SELECT COUNT(*) FROM payments WHERE amount_fen >= $low AND paid_at < $as_of AND $wanted \
                   AND paid_at + CAST($after AS INTERVAL) > $as_of AND CAST($day + INTERVAL '1' MONTH AS DATE) > $day";
        assert_eq!(count(&session, sql, &params).await, hits, "{n} rows");
    }
}

/// A table shows nothing but the declared columns, over several files with a path that needs escaping.
#[tokio::test]
async fn parquet_with_declared_columns_only() {
    let dir = tempfile::tempdir().expect("dir");
    let odd = dir.path().join("订单 [a]*?#%20");
    std::fs::create_dir(&odd).expect("folder");
    let mut files = Vec::new();
    for i in 0..2 {
        let path = odd.join(format!("part-{i}.parquet"));
        let mut writer = parquet::arrow::ArrowWriter::try_new(
            std::fs::File::create(&path).expect("file"),
            numbers(100).schema(),
            None,
        )
        .expect("writer");
        writer.write(&numbers(100)).expect("written");
        writer.close().expect("closed");
        files.push(path);
    }
    let session = session(&dir);
    session.add_parquet("payments", &files, numbers(0).schema(), Some(&["amount_fen"])).await.expect("added");
    session.add_parquet("refunds", &[], numbers(0).schema(), None).await.expect("added");
    let none = Params::new();
    assert_eq!(count(&session, "SELECT COUNT(*) FROM payments WHERE amount_fen < 10", &none).await, 18);
    assert_eq!(count(&session, "SELECT COUNT(*) FROM refunds", &none).await, 0);
    let error = session.collect("SELECT ref FROM payments", &none).await.expect_err("undeclared");
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    let error = session.add_parquet("x", &files, numbers(0).schema(), Some(&["nope"])).await.expect_err("unknown");
    assert!(matches!(error, Error::Table { .. }), "{error}");
}

/// Everything that is not one query over the session's tables is refused, without a panic.
#[tokio::test]
async fn hostile_statements_are_refused() {
    let dir = tempfile::tempdir().expect("dir");
    let session = session(&dir);
    session.add_rows("payments", numbers(3)).await.expect("added");
    let deep = format!("SELECT {}1{} FROM payments", "(".repeat(5000), ")".repeat(5000));
    let nots = format!("SELECT {}TRUE FROM payments", "NOT ".repeat(20_000));
    for sql in [
        "DROP TABLE payments",
        "CREATE TABLE t AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '/etc'",
        "COPY payments TO '/nowhere/out.csv'",
        "INSERT INTO payments VALUES ('x', 1, NULL)",
        "SET datafusion.execution.time_zone = 'Asia/Shanghai'",
        "EXPLAIN SELECT 1",
        "DESCRIBE payments",
        "SHOW TABLES",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM information_schema.tables",
        "SELECT 1; SELECT 2",
        "PREPARE p AS SELECT 1",
        "",
        "SELECT",
        &deep,
        &nots,
    ] {
        let error = session.collect(sql, &Params::new()).await.expect_err(&sql[..sql.len().min(60)]);
        assert!(matches!(error, Error::Refused { .. }), "{error}");
    }
    let error = session.collect("SELECT $missing FROM payments", &Params::new()).await.expect_err("unbound");
    assert!(!error.to_string().is_empty());
}

/// Limits stop a query with their own error; a failing value is not repeated in the message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_and_failures() {
    let dir = tempfile::tempdir().expect("dir");
    let base = session(&dir);
    let few = base.fork().with_query_limits(None, 10);
    few.add_rows("payments", numbers(11)).await.expect("added");
    assert!(few.collect("SELECT ref FROM payments", &Params::new()).await.expect_err("rows").is_limit());
    assert!(few.collect("SELECT ref FROM payments WHERE amount_fen < 5", &Params::new()).await.is_ok());
    let hurried = base.fork().with_query_limits(Some(1), usize::MAX);
    hurried.add_rows("n", numbers(1000)).await.expect("added");
    // A billion rows: whatever the machine, it is still at work after a second.
    let sql =
        "SELECT COUNT(*) FROM n a CROSS JOIN n b CROSS JOIN n c WHERE a.ref || b.ref || c.ref || a.ref || b.ref = 'x'";
    assert!(matches!(hurried.collect(sql, &Params::new()).await, Err(Error::Time { seconds: 1 })));
    let error = few.collect("SELECT CAST(ref AS BIGINT) FROM payments", &Params::new()).await.expect_err("cast");
    assert_eq!(error.to_string(), "query failed: a value cannot be converted");
}

/// A sort-merge join larger than the memory allowed spills and still answers.
#[tokio::test]
async fn joins_spill() {
    let dir = tempfile::tempdir().expect("dir");
    let limits = Limits { memory_bytes: 24 << 20, partitions: Some(2), ..Limits::in_dir(dir.path()) };
    let session = Session::new(&limits).expect("session");
    session.add_rows("a", numbers(400_000)).await.expect("added");
    session.add_rows("b", numbers(400_000)).await.expect("added");
    let sql = "SELECT COUNT(*) FROM a JOIN b ON b.ref = a.ref WHERE NOT EXISTS (SELECT 1 FROM b c WHERE c.ref = a.ref AND c.amount_fen = 5)";
    assert_eq!(count(&session, sql, &Params::new()).await, 399_999);
    let batches =
        session.collect("SELECT $b AS x", &Params::from([("b".to_owned(), Value::Bool(true))])).await.expect("runs");
    assert!(batches[0].column(0).as_any().downcast_ref::<BooleanArray>().expect("bool").value(0));
}
