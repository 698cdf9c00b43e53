//! Real PostgreSQL and MySQL servers: every type comes across, the view is consistent, and what goes wrong is told.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sealport::archive::{Archive, BagWriter, TableSpec};
use sealport::clock::{FixedClock, SeededRandom};
use sealport::hint::Hint as _;
use sealport::model::{Engine, Exit, Lang};
use sealport::ops::seal::SealOptions;
use sealport::ops::{self, Env, Notices, Passwords};
use sealport::progress::{Cancel, Hidden};
use sealport::source::database::Select;

use crate::bag::at;
use crate::servers::{Scratch, cells, write_case};

struct Deaf;
impl Notices for Deaf {
    fn tell(&self, _: String) {}
}

pub(crate) fn env_with(passwords: Arc<dyn Passwords>) -> Env {
    Env {
        clock: Arc::new(FixedClock(at("2026-11-01T00:00:00Z"))),
        random: Arc::new(SeededRandom::new(*b"engines!!")),
        progress: Arc::new(Hidden),
        notices: Arc::new(Deaf),
        cancel: Cancel::default(),
        lang: Lang::En,
        secrets: None,
        passwords,
        executable: None,
    }
}

fn env() -> Env {
    env_with(Arc::new(ops::NoPasswords))
}

/// canonical-schema §9, on a real server: nothing is taken for a truth value, rounded, shifted or dropped.
#[tokio::test]
#[ignore = "needs SEALPORT_TEST_MYSQL, the URL of a MySQL or MariaDB server"]
async fn mysql_types() {
    let db = Scratch::mysql();
    db.sql(
        "CREATE TABLE `order` (
           id INT PRIMARY KEY, `key` TINYINT(1), bits BIT(9), flag BIT(1), day0 DATE, day DATE, t0 DATETIME, t DATETIME(6), ts TIMESTAMP(3) NULL,
           clock TIME, y YEAR, big BIGINT UNSIGNED, tiny TINYINT(1) UNSIGNED, mid MEDIUMINT, zf INT(8) ZEROFILL, huge DECIMAL(63,0), money DECIMAL(10,2),
           f FLOAT(10,2), d DOUBLE, e ENUM('a','b'), s SET('x','y'), j JSON, utf3 VARCHAR(20) CHARACTER SET utf8mb3, g VARCHAR(20) CHARACTER SET gbk,
           emoji TEXT CHARACTER SET utf8mb4, raw VARBINARY(4), nul VARCHAR(5)
         ) ENGINE = InnoDB;
         INSERT INTO `order` VALUES (1, -2, b'100000001', b'1', '0000-00-00', '2026-02-28', '0000-00-00 00:00:00', '2026-02-28 23:59:59.000001',
           '2026-02-28 16:00:00.123', '-838:59:59', 2026, 18446744073709551615, 200, -8388608, 42,
           123456789012345678901234567890123456789012345678901234567890123, 19.99, 12345.67, 0.1, 'b', 'x,y', '{\"a\": 1}', '水果', '水果', '🍎', x'00ff', 'a\\0b'),
           (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);",
    );
    let mut source = db.open().await;
    let columns = "`key`, bits, flag, day0, day, t0, t, ts, clock, y, big, tiny, mid, zf, huge, money, f, d, e, s, j, utf3, g, emoji, raw, nul";
    let found = cells(source.as_mut(), &format!("SELECT {columns} FROM `order` ORDER BY id"), &[]).await;
    let expected = [
        "int -2",
        "int 257",
        "int 1",
        "text 0000-00-00",
        "text 2026-02-28",
        "text 0000-00-00 00:00:00",
        "text 2026-02-28 23:59:59.000001",
        "text 2026-02-28 16:00:00.123000",
        "text -838:59:59",
        "int 2026",
        "text 18446744073709551615",
        "int 200",
        "int -8388608",
        "int 42",
        "text 123456789012345678901234567890123456789012345678901234567890123",
        "text 19.99",
        "real 12345.67",
        "real 0.1",
        "text b",
        "text x,y",
        "text {\"a\": 1}",
        "text 水果",
        "text 水果",
        "text 🍎",
        "bytes [0, 255]",
        "text a\0b",
    ];
    for (column, expected) in found.iter().zip(expected) {
        assert_eq!(column[0], expected);
        assert_eq!(column[1], "NULL");
    }
    assert_eq!(found.len(), expected.len());
    // With a parameter, and as text by the server itself: the same values.
    let same = cells(
        source.as_mut(),
        &format!("SELECT {columns} FROM `order` WHERE id = ? OR id = ?"),
        &["1".into(), "2".into()],
    )
    .await;
    assert_eq!(same, found);
    let printed = cells(
        source.as_mut(),
        "SELECT CAST(huge AS CHAR), CAST(big AS CHAR), CAST(t AS CHAR) FROM `order` WHERE id = 1",
        &[],
    )
    .await;
    assert_eq!([&printed[0][0], &printed[1][0], &printed[2][0]], [&found[14][0], &found[10][0], &found[6][0]]);
    let description = source.description();
    assert_eq!(description.settings["time_zone"], "+00:00");
    assert!(description.snapshot.starts_with("consistent snapshot"), "{}", description.snapshot);
}

/// The binary copy and the portal give the same cells, types that are not decoded come as the server prints them.
#[tokio::test]
#[ignore = "needs SEALPORT_TEST_POSTGRES, the URL of a PostgreSQL server"]
async fn postgres_types() {
    let db = Scratch::postgres();
    db.sql(
        "CREATE TYPE mood AS ENUM ('glad', 'sad');
         CREATE TABLE \"order\" (
           id int PRIMARY KEY, \"desc\" smallint, b boolean, n numeric, n2 numeric(10,2), nan numeric, f4 real, f8 double precision, ts timestamp,
           tz timestamptz, inf timestamptz, d date, t time, iv interval, u uuid, j json, jb jsonb, raw bytea, a int[], m mood, ip inet, c char(4), v varchar(9), oid oid, big bigint, x bit(3)
         );
         INSERT INTO \"order\" VALUES (1, -7, true, 123456789012345678901234567890.000100, 19.90, 'NaN', 0.1, 0.30000000000000004, '2026-02-28 23:59:59.000001',
           '2026-03-01 07:59:59+08', 'infinity', '0044-03-15 BC', '08:00:01', '1 day 2 hours', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{\"a\": 1}', '{\"a\":1}', '\\x00ff', '{1,2}', 'sad',
           '10.0.0.1', 'ab', '水果🍎', 42, 9223372036854775807, b'101'),
           (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);",
    );
    let mut source = db.open().await;
    let columns = "\"desc\", b, n, n2, nan, f4, f8, ts, tz, inf, d, t, iv, u, j, jb, raw, a, m, ip, c, v, oid, big, x";
    let copied = cells(source.as_mut(), &format!("SELECT {columns} FROM \"order\" ORDER BY id"), &[]).await;
    let expected = [
        "int -7",
        "int 1",
        "text 123456789012345678901234567890.000100",
        "text 19.90",
        "text NaN",
        "real 0.1",
        "real 0.30000000000000004",
        "text 2026-02-28 23:59:59.000001",
        "text 2026-02-28 23:59:59+00:00",
        "text infinity",
        "text 0044-03-15 BC",
        "text 08:00:01",
        "text P1DT2H",
        "text a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "text {\"a\": 1}",
        "text {\"a\": 1}",
        "bytes [0, 255]",
        "text {1,2}",
        "text sad",
        "text 10.0.0.1",
        "text ab  ",
        "text 水果🍎",
        "int 42",
        "int 9223372036854775807",
        "text 101",
    ];
    for (column, expected) in copied.iter().zip(expected) {
        assert_eq!(column[0], expected);
        assert_eq!(column[1], "NULL");
    }
    assert_eq!(copied.len(), expected.len());
    let sql = format!("SELECT {columns} FROM \"order\" WHERE id >= CAST($1 AS integer) ORDER BY id");
    assert_eq!(cells(source.as_mut(), &sql, &["1".into()]).await, copied, "portal and copy agree");
    assert!(source.description().snapshot.contains("exported"), "{}", source.description().snapshot);
    assert_eq!(source.description().settings["TimeZone"], "UTC");
}

/// Rows that arrive after the source was opened are in neither counts nor reads; the session cannot write.
async fn consistent(db: &Scratch) {
    db.sql("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2)");
    let mut source = db.open().await;
    db.sql("INSERT INTO t VALUES (3); CREATE TABLE late (id INT)");
    let tables = source.tables().await.unwrap();
    let t = tables.iter().find(|t| t.name == "t").unwrap();
    assert_eq!((t.rows, t.is_readable, t.is_transactional), (2, true, true));
    assert_eq!(cells(source.as_mut(), "SELECT id FROM t ORDER BY id", &[]).await[0], ["int 1", "int 2"]);
    let sum = source.first_row(Select { sql: "SELECT COUNT(*), SUM(id) FROM t", values: &[] }).await.unwrap();
    assert_eq!(sum, [Some("2".to_owned()), Some("3".to_owned())]);
    assert_eq!(source.moved().await.unwrap(), Vec::<String>::new());
    for sql in ["DELETE FROM t", "COMMIT", "SELECT 1; DELETE FROM t"] {
        assert!(source.first_row(Select { sql, values: &[] }).await.is_err(), "{sql}");
    }
    let write = match db.engine {
        Engine::Postgres => "WITH x AS (DELETE FROM t RETURNING id) SELECT id FROM x",
        _ => "SELECT id FROM t FOR UPDATE",
    };
    let _ = source.first_row(Select { sql: write, values: &[] }).await;
    drop(source);
    let mut again = db.open().await;
    assert_eq!(again.tables().await.unwrap().iter().find(|t| t.name == "t").unwrap().rows, 3);
}

#[tokio::test]
#[ignore = "needs SEALPORT_TEST_MYSQL, the URL of a MySQL or MariaDB server"]
async fn mysql_snapshot() {
    consistent(&Scratch::mysql()).await;
}

#[tokio::test]
#[ignore = "needs SEALPORT_TEST_POSTGRES, the URL of a PostgreSQL server"]
async fn postgres_snapshot() {
    consistent(&Scratch::postgres()).await;
}

/// A table without transactions is told apart, and that it moved is seen.
#[tokio::test]
#[ignore = "needs SEALPORT_TEST_MYSQL, the URL of a MySQL or MariaDB server"]
async fn mysql_tables_outside_the_snapshot() {
    let db = Scratch::mysql();
    db.sql("CREATE TABLE k (id INT) ENGINE = MyISAM; INSERT INTO k VALUES (1); CREATE TABLE still (id INT) ENGINE = MyISAM");
    let mut source = db.open().await;
    assert!(source.tables().await.unwrap().iter().all(|t| !t.is_transactional));
    db.sql("INSERT INTO k VALUES (2)");
    assert_eq!(source.moved().await.unwrap(), ["k"]);
}

/// Names in two collations cannot be compared: the engine's words about the statement reach the user.
#[tokio::test]
#[ignore = "needs SEALPORT_TEST_MYSQL, the URL of a MySQL or MariaDB server"]
async fn mysql_mixed_collations() {
    let db = Scratch::mysql();
    db.sql(
        "CREATE TABLE a (n VARCHAR(9) COLLATE utf8mb4_general_ci); CREATE TABLE b (n VARCHAR(9) COLLATE utf8mb4_unicode_ci);
         INSERT INTO a VALUES ('x'); INSERT INTO b VALUES ('x')",
    );
    let mut source = db.open().await;
    let sql = "SELECT a.n FROM a JOIN b ON a.n = b.n";
    let error = source.first_row(Select { sql, values: &[] }).await.unwrap_err();
    assert!(error.to_string().contains("collations"), "{error}");
    assert_eq!(cells(source.as_mut(), "SELECT a.n FROM a JOIN b ON BINARY a.n = BINARY b.n", &[]).await[0], ["text x"]);
}

/// Nobody there, a wrong password, no such database: each its own words, a next step, and exit 74.
#[tokio::test]
#[ignore = "needs SEALPORT_TEST_MYSQL and SEALPORT_TEST_POSTGRES"]
async fn servers_that_refuse() {
    for db in [Scratch::mysql(), Scratch::postgres()] {
        let mut nobody = db.url.clone();
        nobody.set_port(Some(1)).unwrap();
        let mut missing = db.url.clone();
        missing.set_path("no_such_database");
        let mut stranger = db.url.clone();
        stranger.set_username("no_such_user").unwrap();
        for (url, words) in [(nobody, "reached"), (missing, "database of that name"), (stranger, "refuses the account")]
        {
            let address = sealport::source::Address { engine: db.engine, url, password: db.secret() };
            let result = sealport::source::open(&sealport::source::database::Location::Server(address)).await;
            let error = result.err().unwrap();
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!(error.exit(), Exit::Io);
            assert!(error.hint(Lang::En).is_some() && error.hint(Lang::Zh).is_some());
        }
    }
}

/// A connection that is killed while rows are read ends the read with exit 74.
async fn killed(db: Scratch, insert: &str, kill: &str) {
    db.sql(&format!("CREATE TABLE t (id INT PRIMARY KEY, filler VARCHAR(500)); {insert}"));
    let mut source = db.open().await;
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let cancel = Cancel::default();
    let select = Select { sql: "SELECT id, filler FROM t", values: &[] };
    let (read, rows) = tokio::join!(source.read(select, sender, &cancel), async {
        let first = receiver.recv().await.unwrap().rows();
        tokio::task::block_in_place(|| db.sql(kill));
        let mut rows = first;
        while let Some(batch) = receiver.recv().await {
            rows += batch.rows();
        }
        rows
    });
    let error = read.unwrap_err();
    assert_eq!(error.exit(), Exit::Io, "{error}");
    assert!(error.to_string().contains("lost") || error.to_string().contains("ended"), "{error}");
    assert!(rows < 400_000);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_POSTGRES, the URL of a PostgreSQL server"]
async fn postgres_connection_killed() {
    killed(
        Scratch::postgres(),
        "INSERT INTO t SELECT i, repeat('x', 400) FROM generate_series(1, 400000) AS i",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'sealport'",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_MYSQL, the URL of a MySQL or MariaDB server"]
async fn mysql_connection_killed() {
    let kill = "BEGIN NOT ATOMIC FOR c IN (SELECT ID FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND ID <> CONNECTION_ID()) DO EXECUTE IMMEDIATE CONCAT('KILL ', c.ID); END FOR; END";
    killed(Scratch::mysql(), "INSERT INTO t SELECT seq, REPEAT('x', 400) FROM seq_1_to_400000", kill).await;
}

pub(crate) const MAPPING: &str = r#"
[mapping]
id = "shop"
version = 1
zone = "Asia/Shanghai"
zone_evidence = "test"
requires = { t_pay = ["id", "amt"], t_user = ["id", "login"] }

[enum.state]
"1" = "succeeded"
"2" = "failed"

[dataset.payments]
evidence = "recorded"
order = "p.id"
conv.amount_fen = { money = "yuan" }
conv.status = { enum = "state" }
conv.created_at = { time = "local" }
conv.paid_at = { time = "local" }
conv.currency = { const = "CNY" }
sql.default = "SELECT p.id AS payment_ref, p.no AS out_trade_no, p.amt AS amount_fen, p.state AS status, p.made AS created_at, p.paid AS paid_at FROM t_pay p"

[dataset.staff]
evidence = "recorded"
order = "u.id"
conv.state = { const = "active" }
sql.default = "SELECT u.id AS staff_ref, u.login AS login_name FROM t_user u"

[dataset.operation_logs]
evidence = "recorded"
order = "l.id"
conv.acted_at = { time = "local" }
conv.actor_type = { const = "staff" }
sql.default = "SELECT l.id AS log_ref, l.made AS acted_at, l.login AS actor_ref, l.act AS action, l.txt AS detail FROM t_log l"
"#;

pub(crate) fn schema(engine: Engine) -> String {
    let time = if engine == Engine::MySql { "DATETIME(6)" } else { "TIMESTAMP" };
    let money = if engine == Engine::Sqlite { "TEXT" } else { "DECIMAL(12,2)" };
    let text = if engine == Engine::MySql { "VARCHAR(190) CHARACTER SET utf8mb4" } else { "TEXT" };
    let mut out = format!(
        "CREATE TABLE t_pay (id INT PRIMARY KEY, no {text}, amt {money}, state INT, made {time}, paid {time});
         CREATE TABLE t_user (id {text}, login {text}); CREATE TABLE t_log (id INT PRIMARY KEY, made {time}, login {text}, act {text}, txt {text});
         CREATE TABLE t_other (x INT); INSERT INTO t_other VALUES (1), (2);
         INSERT INTO t_user VALUES ('zhang.wei.01', 'Zhang.Wei.01'), ('wang.fang.02', 'ZHANG.WEI.01');"
    );
    for i in 1..=500 {
        let paid = if i % 3 == 0 {
            "NULL".to_owned()
        } else {
            format!("'2026-0{}-1{} 08:00:0{}.5'", 1 + i % 9, i % 9, i % 10)
        };
        out.push_str(&format!(
            "INSERT INTO t_pay VALUES ({i}, 'T{i:05}', {sign}, {state}, '2026-03-01 07:59:59', {paid});",
            sign = if engine == Engine::Sqlite {
                format!("'{}.{:02}'", i, i % 100)
            } else {
                format!("{}.{:02}", i, i % 100)
            },
            state = 1 + i % 2,
        ));
        out.push_str(&format!(
            "INSERT INTO t_log VALUES ({i}, '2026-03-01 08:00:00', 'zhang.wei.01', 'pay', 'wang.fang.02 paid 水果🍎 {i}');"
        ));
    }
    out
}

/// All rows of a table of an archive.
fn rows_of(archive: &Path, table: &str) -> RecordBatch {
    let part = archive.join(format!("data/tables/{table}/part-00000.parquet"));
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(part).unwrap()).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// The root of rows as a table, with salts that are the same at every call.
fn root_of(rows: &RecordBatch, table: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let (random, clock) = (SeededRandom::new(*b"equal salts"), FixedClock(at("2026-11-01T00:00:00Z")));
    let bag = BagWriter::create(&dir.path().join("a"), crate::bag::spec(), &random, &clock).unwrap();
    let mut writer = bag.table(TableSpec::of(sealport::schema::dataset(table).unwrap())).unwrap();
    writer.write(rows).unwrap();
    writer.finish().unwrap().root.to_string()
}

/// Texts stay texts to `doctor` whatever their collation; bytes stay bytes.
#[tokio::test]
#[ignore = "needs SEALPORT_TEST_MYSQL, the URL of a MySQL or MariaDB server"]
async fn mysql_texts_of_binary_collations() {
    let db = Scratch::mysql();
    db.sql("CREATE TABLE t (j TEXT, v VARCHAR(9) COLLATE utf8mb4_bin, c CHAR(9) COLLATE utf8mb4_bin, b BLOB, n VARBINARY(9))");
    let sql = "SELECT JSON_UNQUOTE(JSON_EXTRACT(j, '$.a')) AS a, v, c, b, n FROM t";
    let columns = db.open().await.columns(sql).await.unwrap();
    let names: Vec<&str> = columns.iter().map(|c| c.type_name.as_str()).collect();
    assert_eq!(names, ["text", "varchar", "char", "blob", "varbinary"]);
}

/// The same data in four engines: the same canonical rows, and with equal salts the same row roots, so an archive
/// does not depend on where the data lay. Rows out of canonical Parquet name another origin in `src_system` and
/// `src_table`; in everything else they are equal too.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_MYSQL and SEALPORT_TEST_POSTGRES"]
async fn one_dataset_four_engines() {
    let dir = tempfile::tempdir().unwrap();
    let (mysql, postgres) = (Scratch::mysql(), Scratch::postgres());
    mysql.sql(&schema(Engine::MySql));
    postgres.sql(&schema(Engine::Postgres));
    crate::support::sql(&dir.path().join("shop.db"), &schema(Engine::Sqlite));
    let sqlite = format!("sqlite://{}", dir.path().join("shop.db").display());
    // Per engine: name, root and rows of each table.
    type Tables = Vec<(String, String, u64)>;
    let mut tables: Vec<(String, Tables)> = Vec::new();
    let keys = dir.path().join("keys");
    ops::keys::new(&env(), &keys.join("secrets"), &keys.join("keyring")).unwrap();
    for (name, url, env) in [
        ("sqlite", sqlite.as_str(), env()),
        ("mysql", mysql.url.as_str(), env_with(mysql.passwords())),
        ("postgres", postgres.url.as_str(), env_with(postgres.passwords())),
    ] {
        let case = dir.path().join(name);
        write_case(&case, url, "mapping.toml");
        fs::write(case.join("mapping.toml"), MAPPING).unwrap();
        crate::support::copy_tree(&keys, &case);
        let (answer, sealed) = ops::seal::seal(&env, &case, &SealOptions::default()).await.unwrap();
        assert_eq!(answer.exit, Exit::Success, "{}", answer.text);
        let archive = Archive::open(&sealed.path).unwrap();
        let found = archive
            .statement()
            .tables
            .iter()
            .filter(|t| ["payments", "staff", "operation_logs"].contains(&t.name.as_str()))
            .map(|t| (t.name.clone(), t.root.to_string(), t.rows))
            .collect();
        tables.push((name.to_owned(), found));
        let custody = fs::read_to_string(sealed.path.join("data/custody/custody.jsonl")).unwrap();
        assert!(!custody.contains("127.0.0.1") && !custody.contains("root"), "custody names no host and no account");
        let reconciliation = fs::read_to_string(sealed.path.join("data/custody/reconciliation.json")).unwrap();
        assert!(reconciliation.contains("t_other"), "tables that were not taken are listed");
    }
    assert_eq!(tables[0].1.len(), 3);
    for (name, found) in &tables[1..] {
        assert_eq!(found, &tables[0].1, "{name} against {}", tables[0].0);
    }

    let expected = rows_of(&dir.path().join("sqlite/out/archives/engines-0001"), "payments");
    let dataset = sealport::schema::dataset("payments").unwrap();
    let own: Vec<usize> = (0..dataset.columns.len())
        .filter(|i| {
            let column = &dataset.columns[*i];
            column.twin_of.is_none() && !column.name.starts_with("src_") && column.name != "evidence"
        })
        .collect();
    let canonical = expected.project(&own).unwrap();
    fs::create_dir_all(dir.path().join("files")).unwrap();
    let file = fs::File::create(dir.path().join("files/payments.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, canonical.schema(), None).unwrap();
    writer.write(&canonical).unwrap();
    writer.close().unwrap();
    let case = dir.path().join("parquet");
    write_case(&case, &format!("parquet:{}", dir.path().join("files").display()), "");
    let text = fs::read_to_string(case.join("case.toml")).unwrap();
    fs::write(case.join("case.toml"), text.replace("mapping = \"\"\n", "")).unwrap();
    crate::support::copy_tree(&keys, &case);
    let (answer, sealed) = ops::seal::seal(&env(), &case, &SealOptions::default()).await.unwrap();
    assert_eq!(answer.exit, Exit::Success, "{}", answer.text);
    let found = rows_of(&sealed.path, "payments");
    let mut columns = found.columns().to_vec();
    for origin in ["src_system", "src_table"] {
        let at = dataset.column_index(origin).unwrap();
        assert_ne!(columns[at].as_ref(), expected.columns()[at].as_ref(), "{origin} names where the rows came from");
        columns[at] = Arc::clone(&expected.columns()[at]);
    }
    let same = RecordBatch::try_new(expected.schema(), columns).unwrap();
    assert_eq!(same, expected);
    assert_eq!(same.num_rows(), 500);
    assert_eq!(root_of(&same, "payments"), root_of(&expected, "payments"));
    assert_ne!(root_of(&found, "payments"), root_of(&expected, "payments"));
}

/// A table that lost a column since the mapping was written stops the seal before a row is read.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_POSTGRES, the URL of a PostgreSQL server"]
async fn altered_table_is_told_before_reading() {
    let dir = tempfile::tempdir().unwrap();
    let db = Scratch::postgres();
    db.sql(&schema(Engine::Postgres));
    db.sql("ALTER TABLE t_pay DROP COLUMN amt");
    let case = dir.path().join("case");
    write_case(&case, db.url.as_str(), "mapping.toml");
    fs::write(case.join("mapping.toml"), MAPPING).unwrap();
    ops::keys::new(&env(), &case.join("secrets"), &case.join("keyring")).unwrap();
    let error = ops::seal::seal(&env_with(db.passwords()), &case, &SealOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("t_pay.amt"), "{error}");
    assert_eq!(error.exit(), Exit::Invalid);
    assert_eq!(fs::read_dir(case.join("out/archives")).map_or(0, Iterator::count), 0);
}

/// An account that may not read one of the tables: told before a row is read, without the account's name.
async fn privilege_missing(db: Scratch, account: &str, prepare: &str, exit: Exit, words: &str) {
    let dir = tempfile::tempdir().unwrap();
    db.sql(&schema(db.engine));
    db.sql(prepare);
    let (url, passwords) = db.as_account(account, "ro");
    let case = dir.path().join("case");
    write_case(&case, url.as_str(), "mapping.toml");
    fs::write(case.join("mapping.toml"), MAPPING).unwrap();
    ops::keys::new(&env(), &case.join("secrets"), &case.join("keyring")).unwrap();
    let error = ops::seal::seal(&env_with(passwords), &case, &SealOptions::default()).await.unwrap_err();
    let mut told = format!("{error}");
    let mut cause = std::error::Error::source(&error);
    while let Some(c) = cause {
        told = format!("{told}: {c}");
        cause = c.source();
    }
    assert_eq!(error.exit(), exit, "{told}");
    assert!(told.contains(words) && !told.contains(account), "{told}");
    assert!(error.hint(Lang::En).unwrap().contains("doctor"), "{:?}", error.hint(Lang::En));
    assert_eq!(fs::read_dir(case.join("out/archives")).map_or(0, Iterator::count), 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_POSTGRES, the URL of a PostgreSQL server"]
async fn postgres_privilege_missing() {
    let prepare = "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'sealport_it_few') THEN CREATE ROLE sealport_it_few LOGIN PASSWORD 'ro'; END IF; END $$;
        GRANT SELECT ON t_user, t_log TO sealport_it_few";
    privilege_missing(Scratch::postgres(), "sealport_it_few", prepare, Exit::Io, "t_pay").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_MYSQL, the URL of a MySQL or MariaDB server"]
async fn mysql_privilege_missing() {
    let db = Scratch::mysql();
    let name = db.url.path().trim_start_matches('/').to_owned();
    let prepare = format!(
        "CREATE OR REPLACE USER sealport_it_few@'%' IDENTIFIED BY 'ro';
         GRANT SELECT ON {name}.t_user TO sealport_it_few@'%'; GRANT SELECT ON {name}.t_log TO sealport_it_few@'%'"
    );
    privilege_missing(db, "sealport_it_few", &prepare, Exit::Invalid, "t_pay").await;
}
