//! Several connections on one snapshot of a real PostgreSQL server: the plain read is the oracle, and losing a reader
//! costs nothing but time.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealport::archive::Archive;
use sealport::hint::Hint as _;
use sealport::mapping::cut;
use sealport::model::{Engine, Exit};
use sealport::ops::seal::{Limits, SealOptions};
use sealport::ops::{self, Env, Error, Notices};
use sealport::progress::Cancel;
use sealport::rows::RawBatch;
use sealport::source::database::Select;
use sealport::source::{RowSource, with_readers};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use crate::engines::env_with;
use crate::servers::{Scratch, cells, texts, write_case};

const READERS: &str = "application_name = 'sealport reader'";

/// What was told about replaced connections.
type Told = Arc<Mutex<Vec<String>>>;

async fn source(db: &Scratch, connections: usize) -> (Box<dyn RowSource>, Told) {
    let told = Told::default();
    let tell = Arc::clone(&told);
    let replaced = move |e: &sealport::source::Error| tell.lock().unwrap().push(e.to_string());
    let mut source = with_readers(db.open().await, connections, Box::new(replaced));
    source.tables().await.unwrap();
    (source, told)
}

/// All rows as `read_cut` gives them; `meanwhile` runs after every batch, with their number so far.
async fn by_ranges(
    source: &mut dyn RowSource,
    sql: &str,
    values: &[String],
    mut meanwhile: impl FnMut(usize),
) -> Result<Vec<Vec<String>>, sealport::source::Error> {
    let cut = cut(Engine::Postgres, sql);
    assert!(cut.is_some(), "{sql}");
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<RawBatch>(1);
    let cancel = Cancel::default();
    let (read, rows) = tokio::join!(source.read_cut(Select { sql, values }, cut.as_ref(), sender, &cancel), async {
        let (mut rows, mut count) = (Vec::new(), 0);
        while let Some(batch) = receiver.recv().await {
            texts(&batch, &mut rows);
            count += 1;
            tokio::task::block_in_place(|| meanwhile(count));
        }
        rows
    });
    let total = read?;
    assert_eq!(rows.first().map_or(0, Vec::len) as u64, total);
    Ok(rows)
}

fn readers_of(source: &dyn RowSource) -> Option<String> {
    source.description().settings.get("reader_connections").cloned()
}

/// How many rows a statement of the test's own gives, on a connection of its own.
fn rows_of(db: &Scratch, sql: &str) -> usize {
    let (mut url, sql) = (db.url.clone(), sql.to_owned());
    let password = db.secret().map(|p| String::from_utf8(p.expose().to_vec()).unwrap());
    url.set_password(password.as_deref()).unwrap();
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut connection = sqlx::PgConnection::connect(url.as_str()).await.unwrap();
            connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap().len()
        })
    };
    std::thread::spawn(work).join().unwrap()
}

/// Ends connections to this database, or what they are doing; returns how many there were.
fn end(db: &Scratch, how: &str, which: &str) -> usize {
    let sql = format!("SELECT {how} FROM pg_stat_activity WHERE datname = current_database() AND {which}");
    rows_of(db, &sql)
}

fn terminate(db: &Scratch, which: &str) -> usize {
    end(db, "pg_terminate_backend(pid, 5000)", which)
}

/// Tables that ranges could get wrong: keys in clusters, below zero, at both ends of 64 bits, repeated, without a value.
fn tables() -> String {
    "CREATE TABLE even (id int PRIMARY KEY, v text);
     INSERT INTO even SELECT i, 'v' || i FROM generate_series(1, 100000) AS i;
     CREATE INDEX ON even (v);
     CREATE TABLE skewed (id bigint PRIMARY KEY, v text, n numeric(20, 4));
     INSERT INTO skewed SELECT i, 'low' || i, i / 3.0 FROM generate_series(-20000, 40000) AS i;
     INSERT INTO skewed SELECT 1700000000000000000 + i * 4096, 'high' || i, NULL FROM generate_series(1, 50000) AS i;
     INSERT INTO skewed VALUES (-9223372036854775808, 'least', 1), (9223372036854775807, 'most', 2);
     CREATE TABLE loose (k bigint, id int, v text);
     INSERT INTO loose SELECT CASE WHEN i % 11 = 0 THEN NULL WHEN i <= 40000 THEN 7 ELSE i / 2 END, i, 'v' || i FROM generate_series(1, 90000) AS i;
     CREATE INDEX ON loose (k);
     CREATE TABLE bare (id int, v text);
     INSERT INTO bare SELECT i, 'v' || i FROM generate_series(1, 100000) AS i;
     CREATE TABLE empty (id int PRIMARY KEY, v text);
     CREATE TABLE side (id int PRIMARY KEY, w text);
     INSERT INTO side SELECT i * 30, 'w' || i FROM generate_series(1, 3000) AS i;
     CREATE SCHEMA other;
     CREATE TABLE other.\"Even\" (\"Id\" smallint, id bigint PRIMARY KEY);
     INSERT INTO other.\"Even\" SELECT i % 100, i FROM generate_series(1, 60000) AS i;
     ANALYZE"
        .to_owned()
}

/// The same rows in the same order as the plain read, over one reader and over three, whatever the keys are like.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_POSTGRES, the URL of a PostgreSQL server"]
async fn ranges_give_what_the_plain_read_gives() {
    let db = Scratch::postgres();
    db.sql(&tables());
    // The statement, its parameters, and whether ranges are worth it.
    let statements: [(&str, &[&str], bool); 10] = [
        ("SELECT id, v FROM even ORDER BY id", &[], true),
        ("SELECT s.id, v, n FROM skewed s ORDER BY s.id", &[], true),
        ("SELECT v, n FROM skewed WHERE n > 5 OR v LIKE 'h%' -- both\nORDER BY id", &[], true),
        ("SELECT v AS x FROM skewed s WHERE s.v <> $1 OR s.n = 3 ORDER BY s.id, s.v", &["low7"], true),
        ("SELECT k, id, v FROM loose l ORDER BY l.k, l.id", &[], true),
        ("SELECT e.id, e.v, s.w FROM even e LEFT JOIN side s ON s.id = e.id ORDER BY e.id", &[], true),
        ("SELECT \"Id\", e.id FROM other.\"Even\" e ORDER BY e.id", &[], true),
        // Another index finds the few rows at once; ranges would read the whole table for them.
        ("SELECT id, v FROM even WHERE v = $1 ORDER BY id", &["v77"], false),
        ("SELECT id, v FROM bare ORDER BY id", &[], false),
        ("SELECT id, v FROM empty ORDER BY id", &[], false),
    ];
    for (sql, values, is_worth_it) in statements {
        let values: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
        for connections in [2, 4] {
            let (mut source, told) = source(&db, connections).await;
            let plain = cells(source.as_mut(), sql, &values).await;
            let ranged = by_ranges(source.as_mut(), sql, &values, |_| {}).await.unwrap();
            assert!(ranged == plain, "{sql}");
            let expected = is_worth_it.then(|| (connections - 1).to_string());
            assert_eq!(readers_of(source.as_ref()), expected, "{sql}");
            assert_eq!(told.lock().unwrap().len(), 0);
            // A second read goes over the same connections.
            if is_worth_it && connections == 2 {
                assert!(by_ranges(source.as_mut(), sql, &values, |_| {}).await.unwrap() == plain, "{sql} again");
                assert_eq!(readers_of(source.as_ref()), expected, "{sql} again");
            }
        }
    }
    let (mut source, _) = source(&db, 1).await;
    let rows = by_ranges(source.as_mut(), "SELECT id FROM even ORDER BY id", &[], |_| {}).await.unwrap();
    assert_eq!((rows[0].len(), readers_of(source.as_ref())), (100_000, None), "one connection reads the plain way");
}

/// What another connection writes, deletes or changes while ranges are read is in none of them.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_POSTGRES, the URL of a PostgreSQL server"]
async fn readers_see_the_snapshot() {
    let db = Scratch::postgres();
    db.sql(&tables());
    let sql = "SELECT id, v FROM even ORDER BY id";
    let (mut source, _) = source(&db, 3).await;
    let plain = cells(source.as_mut(), sql, &[]).await;
    db.sql("INSERT INTO even SELECT i, 'late' FROM generate_series(100001, 150000) AS i; DELETE FROM even WHERE id % 5 = 0");
    let ranged = by_ranges(source.as_mut(), sql, &[], |batches| {
        if batches == 2 {
            db.sql("INSERT INTO even SELECT -i, 'later' FROM generate_series(1, 50000) AS i; DELETE FROM even WHERE id % 5 = 1");
            db.sql("UPDATE even SET v = 'changed', id = id + 1000000 WHERE id % 7 = 0");
        }
    })
    .await
    .unwrap();
    assert!(ranged == plain);
    assert_eq!(readers_of(source.as_ref()).as_deref(), Some("2"));
}

/// Readers are ended again and again while rows are read: every row comes, once and in order.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_POSTGRES, the URL of a PostgreSQL server"]
async fn lost_readers_are_replaced() {
    let db = Scratch::postgres();
    db.sql(&tables());
    for connections in [2, 4] {
        let sql = "SELECT id, v, n FROM skewed ORDER BY id";
        let (mut source, told) = source(&db, connections).await;
        let plain = cells(source.as_mut(), sql, &[]).await;
        let mut ended = 0;
        let ranged = by_ranges(source.as_mut(), sql, &[], |batches| {
            if batches % 4 == 1 {
                ended += terminate(&db, READERS);
            }
        })
        .await
        .unwrap();
        assert!(ranged == plain, "{connections} connections");
        let told = told.lock().unwrap();
        assert!(ended >= 2 && !told.is_empty(), "{ended} ended, {told:?}");
        assert!(told.iter().all(|t| t.contains("was lost")), "{told:?}");
        assert_eq!(source.description().settings["reader_connections_replaced"], told.len().to_string());
    }
}

/// A query that an administrator or a time-out ends is asked again.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_POSTGRES, the URL of a PostgreSQL server"]
async fn ended_queries_are_asked_again() {
    let db = Arc::new(Scratch::postgres());
    db.sql(&tables());
    // Slow enough to be met at work.
    let sql = "SELECT id, CASE WHEN id % 100 = 0 THEN CAST(pg_sleep(0.002) AS text) END AS s FROM even ORDER BY id";
    let (mut source, told) = source(&db, 2).await;
    let plain = cells(source.as_mut(), sql, &[]).await;
    let other = Arc::clone(&db);
    let at_work = format!("{READERS} AND state = 'active' AND query LIKE 'COPY%'");
    let ending = std::thread::spawn(move || {
        let is_ended = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            end(&other, "pg_cancel_backend(pid)", &at_work) > 0
        });
        assert!(is_ended);
    });
    let ranged = by_ranges(source.as_mut(), sql, &[], |_| {}).await.unwrap();
    ending.join().unwrap();
    assert!(ranged == plain);
    assert!(matches!(told.lock().unwrap().as_slice(), [one] if one.contains("timeout")), "{told:?}");
}

/// Whoever waits to alter a table holds readers off, not the snapshot: the holder reads instead, and nobody waits long.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_POSTGRES, the URL of a PostgreSQL server"]
async fn a_waiting_alter_does_not_stop_the_read() {
    let db = Arc::new(Scratch::postgres());
    db.sql(&tables());
    let sql = "SELECT id, v FROM even ORDER BY id";
    let (mut source, told) = source(&db, 2).await;
    let plain = cells(source.as_mut(), sql, &[]).await;
    let other = Arc::clone(&db);
    let alter = std::thread::spawn(move || {
        other.sql("SET application_name = 'altering'; ALTER TABLE even ADD COLUMN late int")
    });
    let waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'altering' AND wait_event_type = 'Lock'";
    while rows_of(&db, waiting) == 0 {
        std::thread::sleep(Duration::from_millis(50));
    }
    let ranged = by_ranges(source.as_mut(), sql, &[], |_| {}).await.unwrap();
    assert!(ranged == plain);
    assert!(told.lock().unwrap().iter().any(|t| t.contains("alter")), "{told:?}");
    drop(source);
    alter.join().unwrap();
}

/// Rows too wide to be held stream in their turn, and what follows is cut smaller.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_POSTGRES, the URL of a PostgreSQL server"]
async fn wide_rows_stream() {
    let db = Scratch::postgres();
    db.sql(
        "CREATE TABLE wide (id int PRIMARY KEY, v text);
         INSERT INTO wide SELECT i, i || repeat('x', 3000) FROM generate_series(1, 70000) AS i; ANALYZE",
    );
    let (mut source, _) = source(&db, 3).await;
    let sql = "SELECT id, v FROM wide ORDER BY id";
    let plain = cells(source.as_mut(), sql, &[]).await;
    assert!(by_ranges(source.as_mut(), sql, &[], |_| {}).await.unwrap() == plain);
    assert_eq!(readers_of(source.as_ref()).as_deref(), Some("2"));
}

const MAPPING: &str = r#"
[mapping]
id = "shop"
version = 1
zone = "Asia/Shanghai"
zone_evidence = "test"

[dataset.payments]
evidence = "recorded"
order = "p.id"
conv.amount_fen = { money = "yuan" }
conv.status = { const = "succeeded" }
conv.currency = { const = "CNY" }
sql.default = "SELECT p.id AS payment_ref, p.no AS out_trade_no, p.amt AS amount_fen FROM t_pay p"

[dataset.operation_logs]
evidence = "recorded"
order = "l.id"
conv.acted_at = { time = "local" }
conv.actor_type = { const = "staff" }
sql.default = "SELECT l.id AS log_ref, l.made AS acted_at, l.login AS actor_ref, l.act AS action FROM t_log l WHERE l.act <> 'tick' OR l.id % 2 = 0"
"#;

fn shop(db: &Scratch) {
    db.sql(
        "CREATE TABLE t_pay (id bigint PRIMARY KEY, no text, amt numeric(12, 2));
         INSERT INTO t_pay SELECT i * 3 - 60000, 'T' || i, i / 100.0 FROM generate_series(1, 80000) AS i;
         CREATE TABLE t_log (id int PRIMARY KEY, made timestamp, login text, act text);
         INSERT INTO t_log SELECT i, timestamp '2026-03-01 08:00:00' + i * interval '1 second', 'zhang.wei.' || i % 20, 'tick'
           FROM generate_series(1, 80000) AS i;
         ANALYZE",
    );
}

struct Ear(Told);
impl Notices for Ear {
    fn tell(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }
}

/// Each call begins the same sequence of random numbers, so that equal rows have equal roots.
fn environment(db: &Scratch) -> (Env, Told) {
    let told = Told::default();
    let mut env = env_with(db.passwords());
    env.notices = Arc::new(Ear(Arc::clone(&told)));
    (env, told)
}

fn case(dir: &Path, db: &Scratch, keys: &Path) {
    write_case(dir, db.url.as_str(), "mapping.toml");
    fs::write(dir.join("mapping.toml"), MAPPING).unwrap();
    crate::support::copy_tree(keys, dir);
}

/// Held back a little, so that there are readers to end for a while on any machine.
fn over(connections: u16) -> SealOptions {
    let limits = Limits { connections_max: Some(connections), rows_per_second_max: Some(60_000), ..Limits::default() };
    SealOptions { limits, ..SealOptions::default() }
}

/// Ends connections while something else runs, every time it finds some, until it has found so many.
fn ending<'s>(
    scope: &'s std::thread::Scope<'s, '_>,
    db: &'s Scratch,
    which: &'static str,
    times: usize,
    is_over: &'s AtomicBool,
) -> std::thread::ScopedJoinHandle<'s, usize> {
    scope.spawn(move || {
        let mut found = 0;
        while found < times && !is_over.load(Ordering::SeqCst) {
            found += usize::from(terminate(db, which) > 0);
            std::thread::sleep(Duration::from_millis(150));
        }
        found
    })
}

/// Seals on a runtime of its own while connections are ended.
fn seal_while_ending(
    env: &Env,
    dir: &Path,
    connections: u16,
    db: &Scratch,
    which: &'static str,
    times: usize,
) -> (Result<sealport::archive::Sealed, Error>, usize) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let killer = ending(scope, db, which, times, &is_over);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let sealed = runtime.block_on(ops::seal::seal(env, dir, &over(connections)));
        is_over.store(true, Ordering::SeqCst);
        (sealed.map(|(_, sealed)| sealed), killer.join().unwrap())
    })
}

/// An archive made over readers that are lost again and again has the rows, roots and sums of one made the plain way.
#[test]
#[ignore = "needs SEALPORT_TEST_POSTGRES, the URL of a PostgreSQL server"]
fn a_seal_survives_lost_readers() {
    let dir = tempfile::tempdir().unwrap();
    let db = Scratch::postgres();
    shop(&db);
    let keys = dir.path().join("keys");
    ops::keys::new(&environment(&db).0, &keys.join("secrets"), &keys.join("keyring")).unwrap();
    let mut found = Vec::new();
    for (name, connections, times) in [("plain", 1, 0), ("one-reader", 2, 3), ("three-readers", 4, 3)] {
        let place = dir.path().join(name);
        case(&place, &db, &keys);
        let (env, told) = environment(&db);
        let (sealed, ended) = seal_while_ending(&env, &place, connections, &db, READERS, times);
        let sealed = sealed.unwrap();
        assert!(ended <= times && (ended > 0) == (times > 0), "{name}: {ended}");
        let archive = Archive::open(&sealed.path).unwrap();
        let tables: Vec<(String, String, u64)> =
            archive.statement().tables.iter().map(|t| (t.name.clone(), t.root.to_string(), t.rows)).collect();
        let custody = fs::read_to_string(sealed.path.join("data/custody/custody.jsonl")).unwrap();
        let settings: serde_json::Value = serde_json::from_str(custody.lines().next().unwrap()).unwrap();
        let setting = |name: &str| settings["settings"][name].as_str().map(str::to_owned);
        let readers = (connections > 1).then(|| (connections - 1).to_string());
        assert_eq!(setting("reader_connections"), readers, "{name}");
        let replaced = setting("reader_connections_replaced").map_or(0, |n| n.parse::<usize>().unwrap());
        assert_eq!(replaced > 0, times > 0, "{name}: {replaced}");
        let told = std::mem::take(&mut *told.lock().unwrap());
        assert_eq!(told.iter().filter(|t| t.contains("read again")).count(), replaced, "{told:?}");
        assert!(!custody.contains("127.0.0.1") && told.iter().all(|t| !t.contains("127.0.0.1")));
        let reconciliation = fs::read_to_string(sealed.path.join("data/custody/reconciliation.json")).unwrap();
        found.push((tables, reconciliation));
    }
    assert!(found[0].0.iter().any(|(name, _, rows)| name == "raw_t_log" && *rows == 80_000), "{:?}", found[0].0);
    for other in &found[1..] {
        assert_eq!(other, &found[0]);
    }
}

/// With the connection that holds the snapshot everything ends: exit 74, and nothing that looks sealed.
#[test]
#[ignore = "needs SEALPORT_TEST_POSTGRES, the URL of a PostgreSQL server"]
fn a_seal_ends_with_its_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let db = Scratch::postgres();
    shop(&db);
    let (env, _) = environment(&db);
    let keys = dir.path().join("keys");
    ops::keys::new(&env, &keys.join("secrets"), &keys.join("keyring")).unwrap();
    // Once it has readers, so that they would outlive it.
    let which = "application_name = 'sealport' AND EXISTS (SELECT 1 FROM pg_stat_activity r WHERE r.datname = current_database() AND r.application_name = 'sealport reader')";
    for connections in [2, 4] {
        let place = dir.path().join(format!("holder-{connections}"));
        case(&place, &db, &keys);
        let (sealed, ended) = seal_while_ending(&env, &place, connections, &db, which, 1);
        let error = sealed.unwrap_err();
        assert_eq!(ended, 1);
        assert_eq!(error.exit(), Exit::Io, "{error}");
        let archives = crate::support::names(&place.join("out/archives"));
        assert!(archives.iter().all(|name| name.starts_with(".sealing-")), "{archives:?}");
        assert!(!place.join("chain.json").exists());
    }
}
