//! The raw layer: every row of every table a mapping reads, the same people in both layers, nobody's name in either.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::Array as _;
use arrow::util::display::array_value_to_string;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sealport::archive::{Archive, Keyring, Verdict};
use sealport::clock::{FixedClock, SeededRandom};
use sealport::model::{Exit, Lang};
use sealport::ops::seal::SealOptions;
use sealport::ops::{self, Env, Notices, Passwords};
use sealport::progress::{Cancel, Hidden};
use serde_json::{Value, json};

use crate::bag::{at, judge, options};
use crate::servers::{Scratch, write_case};
use crate::support::{Place, sql};

type Row = BTreeMap<String, Option<String>>;

/// The rows of a table as texts.
fn rows(archive: &Path, table: &str) -> Vec<Row> {
    let archive = Archive::open(archive).unwrap();
    let info = archive.table(table).unwrap_or_else(|| panic!("no table {table}"));
    let mut out = Vec::new();
    for file in &info.files {
        let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(file).unwrap()).unwrap().build().unwrap();
        for batch in reader.map(Result::unwrap) {
            for row in 0..batch.num_rows() {
                let cells = batch.schema_ref().fields().iter().zip(batch.columns()).map(|(field, array)| {
                    let text = array.is_valid(row).then(|| array_value_to_string(array, row).unwrap());
                    (field.name().clone(), text)
                });
                out.push(cells.collect());
            }
        }
    }
    out
}

fn column(rows: &[Row], name: &str) -> Vec<Option<String>> {
    rows.iter().map(|r| r[name].clone()).collect()
}

fn set(rows: &[Row], name: &str) -> BTreeSet<String> {
    column(rows, name).into_iter().flatten().collect()
}

fn reconciliation(archive: &Path) -> Value {
    serde_json::from_slice(&fs::read(archive.join("data/custody/reconciliation.json")).unwrap()).unwrap()
}

fn database(place: &Place) -> rusqlite::Connection {
    let dir = place.case().join("source");
    let file = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).find(|p| p.extension().is_some_and(|e| e == "db"));
    rusqlite::Connection::open(file.expect("a database")).unwrap()
}

fn texts(db: &rusqlite::Connection, sql: &str) -> Vec<Option<String>> {
    let mut statement = db.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// The sample merchant: as many rows as its tables have, clear values as they are, and every canonical row finds the
/// raw row it was made from.
#[test]
fn sample_merchant() {
    let place = Place::sealed_case();
    let archive = place.path().join(place.archive());
    let (db, account) = (database(&place), reconciliation(&archive));
    let raw = account["raw"].as_object().unwrap();
    assert!(raw.len() >= 25, "{} raw tables", raw.len());
    for (name, entry) in raw {
        let table = entry["table"].as_str().unwrap();
        let count = texts(&db, &format!("SELECT CAST(COUNT(*) AS TEXT) FROM \"{table}\"")).remove(0).unwrap();
        assert_eq!(entry["rows"].to_string(), count, "{name}");
        assert_eq!(entry["sourceRows"], entry["rows"], "{name}");
        // The sample's mapping leaves rows of this one out, so no SELECT gives the whole table.
        assert_eq!(entry["carriedBy"].is_string(), table != "sys_oplog", "{name}");
        for (column, sum) in entry["sums"].as_object().unwrap() {
            assert_eq!(sum["written"], sum["source"], "{name}.{column}");
        }
        let columns = texts(&db, &format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid"));
        let schema: Value =
            serde_json::from_slice(&fs::read(archive.join(format!("data/schema/{name}.schema.json"))).unwrap())
                .unwrap();
        let kept: Vec<Option<String>> = schema["columns"].as_array().unwrap()[2..]
            .iter()
            .map(|c| c["sourceName"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(kept, columns, "{name}");
    }
    assert_eq!(account["rawLeftOut"], json!([]));

    let pays = rows(&archive, "raw_t_pay");
    for name in ["out_trade_no", "id", "create_time", "state"] {
        let source = texts(&db, &format!("SELECT CAST({name} AS TEXT) FROM t_pay ORDER BY id"));
        assert_eq!(column(&pays, name), source, "{name}");
    }
    assert_eq!(set(&pays, "src_key"), set(&rows(&archive, "payments"), "src_key"));
    let users = rows(&archive, "raw_sys_user");
    assert_eq!(set(&users, "src_key"), set(&rows(&archive, "staff"), "src_key"));
    assert_eq!(set(&users, "id"), set(&rows(&archive, "staff"), "staff_ref"));
    // The log's operators are the accounts of the other table, in the raw layer as in the canonical one.
    let operators = set(&rows(&archive, "raw_sys_perm_log"), "op_id");
    assert_eq!(operators, set(&rows(&archive, "permission_changes"), "operator_ref"));
    assert!(operators.iter().all(|o| o.starts_with("s_")) && operators.len() > 1);
    let members = set(&rows(&archive, "raw_t_member"), "id");
    assert_eq!(members, set(&rows(&archive, "customers"), "customer_ref"));
    assert!(set(&rows(&archive, "raw_t_order"), "member_id").is_subset(&members));
    assert_eq!(raw["raw_t_pay"]["links"], json!([{ "dataset": "payments", "part": 0, "key": ["p{id}"] }]));

    let run = place.run(&["verify", &place.archive(), "--keyring", "case/keyring/keyring.json"]);
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
}

/// No identifier of staff and no secret of the database stands in any cell of any raw table.
#[test]
fn nobody_in_the_raw_layer() {
    let place = Place::sealed_case();
    let archive = place.path().join(place.archive());
    let db = database(&place);
    let mut planted = BTreeSet::new();
    for sql in [
        "SELECT emp_no FROM sys_user",
        "SELECT login FROM sys_user",
        "SELECT pwd_hash FROM sys_user",
        "SELECT real_name FROM sys_user",
        "SELECT mobile FROM sys_user",
        "SELECT openid FROM sys_user",
        "SELECT token FROM t_token",
        "SELECT app_secret FROM t_miniapp",
        "SELECT api_key FROM t_mch",
    ] {
        planted.extend(texts(&db, sql).into_iter().flatten().filter(|v| v.chars().count() > 2));
    }
    assert!(planted.len() > 300);
    let search = aho_corasick::AhoCorasick::new(&planted).unwrap();
    let mut cells = 0;
    for table in Archive::open(&archive).unwrap().tables().iter().filter(|t| t.is_raw()) {
        for row in rows(&archive, &table.name) {
            for (name, value) in row {
                cells += 1;
                let found = value.is_some_and(|v| search.is_match(&v));
                assert!(!found, "{}.{name}", table.name);
            }
        }
    }
    assert!(cells > 10_000);
    let users = rows(&archive, "raw_sys_user");
    assert!(set(&users, "pwd_hash").iter().all(|v| v.starts_with("hmac-sha256:")));
    let statement = Archive::open(&archive).unwrap();
    let columns = &statement.statement().predicate["pseudonymisation"]["columns"];
    assert!(columns["fingerprinted"].to_string().contains("raw_sys_user.pwd_hash"));
}

/// Without the raw layer the datasets are the same.
#[test]
fn canonical_only() {
    let place = Place::new_case();
    place.edit("case.toml", |text| text.replacen("[case]", "[case]\nlayers = [\"canonical\"]", 1));
    let run = place.run(&["seal", "case", "--quiet"]);
    assert_eq!(run.code, 0, "{}", run.err);
    let archive = place.path().join(place.archive());
    let opened = Archive::open(&archive).unwrap();
    assert!(opened.tables().iter().all(|t| !t.is_raw()));
    let both = Place::sealed_case();
    let both = Archive::open(&both.path().join(both.archive())).unwrap();
    let counts = |a: &Archive| -> Vec<(String, u64)> {
        a.tables().iter().filter(|t| !t.is_raw()).map(|t| (t.name.clone(), t.rows)).collect()
    };
    assert_eq!(counts(&opened), counts(&both));
    place.edit("case.toml", |text| text.replacen("[\"canonical\"]", "[\"raw\", \"cooked\"]", 1));
    let run = place.run(&["seal", "case", "--lang", "en"]);
    assert!(run.code == 2 && run.err.contains("`cooked`") && run.err.contains("canonical"), "{}", run.err);
}

struct Deaf;
impl Notices for Deaf {
    fn tell(&self, _: String) {}
}

fn env(passwords: Arc<dyn Passwords>) -> Env {
    Env {
        clock: Arc::new(FixedClock(at("2026-11-01T00:00:00Z"))),
        random: Arc::new(SeededRandom::new(*b"rawlayer!")),
        progress: Arc::new(Hidden),
        notices: Arc::new(Deaf),
        cancel: Cancel::default(),
        lang: Lang::En,
        secrets: None,
        passwords,
        executable: None,
    }
}

/// Seals a case of one database and verifies the archive, rows included.
async fn seal(dir: &Path, url: &str, mapping: &str, passwords: Arc<dyn Passwords>) -> std::path::PathBuf {
    write_case(dir, url, "mapping.toml");
    fs::write(dir.join("mapping.toml"), mapping).unwrap();
    let env = env(passwords);
    ops::keys::new(&env, &dir.join("secrets"), &dir.join("keyring")).unwrap();
    let (answer, sealed) = ops::seal::seal(&env, dir, &SealOptions::default()).await.unwrap();
    assert_eq!(answer.exit, Exit::Success, "{}", answer.text);
    let keyring = Keyring::load(&dir.join("keyring/keyring.json")).unwrap();
    let report = judge(&sealed.path, &keyring, &options());
    assert_eq!(report.verdict, Verdict::Valid, "{report:?}");
    sealed.path
}

const ODD: &str = r#"
[mapping]
id = "odd"
version = 1
zone = "Asia/Shanghai"
zone_evidence = "test"

[dataset.operation_logs]
evidence = "recorded"
order = "l.id"
conv.acted_at = { time = "local" }
conv.actor_type = { const = "staff" }
sql.default = "SELECT l.id AS log_ref, l.\"at\" AS acted_at, l.\"操作\" AS detail FROM \"Log Book\" l WHERE l.id < 3"

[dataset.staff]
evidence = "recorded"
conv.state = { const = "active" }
sql.default = "SELECT u.id AS staff_ref, d.title AS role_hint_raw_unused FROM users u LEFT JOIN duties d ON d.uid = u.id"

[raw."Log Book"]
class.badge = "staff_id"
prefix.badge = "u:"
class.scan = "drop"
"#;

/// Odd names, odd values, rows that the mapping leaves out, a join that repeats rows, a rule of the mapping: all rows
/// are there, once, and a badge that only the raw table knows is found in every text.
#[tokio::test(flavor = "multi_thread")]
async fn odd_tables() {
    let dir = tempfile::tempdir().unwrap();
    sql(
        &dir.path().join("odd.db"),
        "CREATE TABLE \"Log Book\" (id INTEGER PRIMARY KEY, \"at\" TEXT, \"操作\" TEXT, badge TEXT, scan BLOB, n INTEGER, \"N-1\" TEXT2, x);
         INSERT INTO \"Log Book\" VALUES (1, '2026-03-01 08:00:00', 'badge kx-7781-q used', 'kx-7781-q', x'00', 5, 1.5, 'x'),
           (2, '2026-03-01 08:00:00', 'none', 'kx-9902-r', NULL, 'five', 2, 7),
           (3, '2026-03-01 08:00:00', 'kx-9902-r again', NULL, NULL, 9223372036854775807, 'kx-7781-q', x'ff');
         CREATE TABLE users (id TEXT PRIMARY KEY, password TEXT); INSERT INTO users VALUES ('u-000001', 'p1'), ('u-000002', 'p2');
         CREATE TABLE duties (uid TEXT, title TEXT); INSERT INTO duties VALUES ('u-000001', 'a'), ('u-000001', 'b');",
    );
    let url = format!("sqlite://{}", dir.path().join("odd.db").display());
    let mapping = ODD.replace("d.title AS role_hint_raw_unused", "d.title AS belongs_to_ref");
    let archive = seal(&dir.path().join("case"), &url, &mapping, Arc::new(ops::NoPasswords)).await;
    let account = reconciliation(&archive);
    let log = rows(&archive, "raw_log_book");
    assert_eq!(log.len(), 3, "the row that the condition leaves out is in the raw layer");
    assert_eq!(account["raw"]["raw_log_book"]["carriedBy"], Value::Null);
    assert_eq!(account["raw"]["raw_log_book"]["dropped"], json!(["scan"]));
    assert_eq!(account["raw"]["raw_log_book"]["misfits"], json!({ "n": 1, "x": 2 }));
    assert_eq!(
        account["raw"]["raw_log_book"]["sums"]["n"],
        json!({ "written": "9223372036854775812", "source": "9223372036854775812" })
    );
    assert_eq!(column(&log, "u64cdu4f5c")[0].as_deref(), Some("badge [staff] used"));
    assert_eq!(column(&log, "u64cdu4f5c")[2].as_deref(), Some("[staff] again"));
    assert_eq!(column(&log, "n_1"), [Some("1.5".into()), Some("2".into()), Some("[staff]".into())]);
    let misfits: Vec<Value> = column(&log, "src_misfit")
        .into_iter()
        .map(|m| m.map_or(Value::Null, |m| serde_json::from_str(&m).unwrap()))
        .collect();
    assert_eq!(
        misfits,
        [Value::Null, json!({"n": {"text": "five"}, "x": {"int": "7"}}), json!({"x": {"bytes": "ff"}})]
    );
    let canonical = rows(&archive, "operation_logs");
    assert_eq!(canonical.len(), 2);
    assert_eq!(canonical[0]["detail"].as_deref(), Some("badge [staff] used"), "known from the raw table");
    assert_eq!(set(&canonical, "src_key"), log[..2].iter().map(|r| r["src_key"].clone().unwrap()).collect());

    let users = rows(&archive, "raw_users");
    assert_eq!(users.len(), 2, "the join repeats a row in the dataset, not in the raw layer");
    assert_eq!(rows(&archive, "staff").len(), 3);
    assert_eq!(account["raw"]["raw_users"]["carriedBy"], Value::Null);
    assert_eq!(set(&users, "id"), set(&rows(&archive, "staff"), "staff_ref"));
    assert!(set(&users, "password").iter().all(|p| p.starts_with("hmac-sha256:")));
    assert_eq!(rows(&archive, "raw_duties").len(), 2);

    let other = dir.path().join("other");
    write_case(&other, &url, "mapping.toml");
    fs::write(
        other.join("mapping.toml"),
        mapping.replace("class.badge", "class.badgee").replace("prefix.badge = \"u:\"", ""),
    )
    .unwrap();
    let env = env(Arc::new(ops::NoPasswords));
    ops::keys::new(&env, &other.join("secrets"), &other.join("keyring")).unwrap();
    let error = ops::seal::seal(&env, &other, &SealOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("Log Book.badgee"), "{error}");
}

const ONE_TABLE: &str =
    "[mapping]\nid = \"types\"\nversion = 1\n[dataset.campaigns]\nevidence = \"recorded\"\norder = \"o.id\"\n";

/// canonical-schema §9 through the raw layer: every odd type comes back exactly.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_MYSQL, the URL of a MySQL or MariaDB server"]
async fn mysql_types() {
    let dir = tempfile::tempdir().unwrap();
    let db = Scratch::mysql();
    db.sql(
        "CREATE TABLE `order` (
           id INT PRIMARY KEY, `key` TINYINT(1), bits BIT(9), day0 DATE, t0 DATETIME, t DATETIME(6), ts TIMESTAMP(3) NULL, clock TIME, y YEAR,
           big BIGINT UNSIGNED, tiny TINYINT(1) UNSIGNED, zf INT(8) ZEROFILL, huge DECIMAL(63,0), money DECIMAL(10,2), f FLOAT(10,2), d DOUBLE,
           e ENUM('a','b'), s SET('x','y'), j JSON, g VARCHAR(20) CHARACTER SET gbk, emoji TEXT CHARACTER SET utf8mb4, raw VARBINARY(4), nul VARCHAR(5), `Key No` INT
         ) ENGINE = InnoDB;
         INSERT INTO `order` VALUES (1, -2, b'100000001', '0000-00-00', '0000-00-00 00:00:00', '2026-02-28 23:59:59.000001', '2026-02-28 16:00:00.123',
           '-838:59:59', 2026, 18446744073709551615, 200, 42, 123456789012345678901234567890123456789012345678901234567890123, 19.90, 12345.67, 0.1,
           'b', 'x,y', '{\"a\": 1}', '水果', '🍎', x'00ff', 'a\\0b', 7),
           (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);",
    );
    let mapping = format!("{ONE_TABLE}sql.mysql = \"SELECT o.id AS campaign_ref FROM `order` o\"\n");
    let archive = seal(&dir.path().join("case"), db.url.as_str(), &mapping, db.passwords()).await;
    let found = rows(&archive, "raw_order");
    let expected = [
        ("key", "-2"),
        ("bits", "257"),
        ("day0", "0000-00-00"),
        ("t0", "0000-00-00 00:00:00"),
        ("t", "2026-02-28 23:59:59.000001"),
        ("ts", "2026-02-28 16:00:00.123000"),
        ("clock", "-838:59:59"),
        ("y", "2026"),
        ("big", "18446744073709551615"),
        ("tiny", "200"),
        ("zf", "42"),
        ("huge", "123456789012345678901234567890123456789012345678901234567890123"),
        ("money", "19.90"),
        ("f", "12345.67"),
        ("d", "0.1"),
        ("e", "b"),
        ("s", "x,y"),
        ("j", "{\"a\": 1}"),
        ("g", "水果"),
        ("emoji", "🍎"),
        ("raw", "00ff"),
        ("nul", "a\0b"),
        ("key_no", "7"),
    ];
    for (name, value) in expected {
        assert_eq!(found[0][name].as_deref(), Some(value), "{name}");
        assert_eq!(found[1][name], None, "{name}");
    }
    let account = reconciliation(&archive);
    let entry = &account["raw"]["raw_order"];
    assert_eq!(entry["carriedBy"], "campaigns");
    assert_eq!(entry["sums"]["money"], json!({ "written": "1990", "source": "1990" }));
    assert_eq!(entry["sums"]["big"]["source"], "18446744073709551615");
    assert_eq!((&entry["misfits"], &entry["nulCharacters"]), (&json!({}), &json!({ "nul": 1 })));
    assert_eq!(column(&found, "src_key"), [Some("[\"1\"]".into()), Some("[\"2\"]".into())]);
}

/// The same for PostgreSQL, with what only it has; the value that no decimal holds stands beside its row.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_POSTGRES, the URL of a PostgreSQL server"]
async fn postgres_types() {
    let dir = tempfile::tempdir().unwrap();
    let db = Scratch::postgres();
    db.sql(
        "CREATE TYPE mood AS ENUM ('glad', 'sad');
         CREATE TABLE \"Order\" (
           id int PRIMARY KEY, \"desc\" smallint, b boolean, n numeric, n2 numeric(10,2), nan numeric(10,2), f4 real, f8 double precision, ts timestamp,
           tz timestamptz, inf timestamptz, d date, t time, iv interval, u uuid, j json, jb jsonb, raw bytea, a int[], m mood, ip inet, c char(4), v varchar(9), oid oid, big bigint, x bit(3)
         );
         INSERT INTO \"Order\" VALUES (1, -7, true, 123456789012345678901234567890.000100, 19.90, 'NaN', 0.1, 0.30000000000000004, '2026-02-28 23:59:59.000001',
           '2026-03-01 07:59:59+08', 'infinity', '0044-03-15 BC', '08:00:01', '1 day 2 hours', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{\"a\": 1}', '{\"a\":1}', '\\x00ff', '{1,2}', 'sad',
           '10.0.0.1', 'ab', '水果🍎', 42, 9223372036854775807, b'101'),
           (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);",
    );
    let mapping = format!("{ONE_TABLE}sql.postgres = \"SELECT o.id AS campaign_ref FROM \\\"Order\\\" o\"\n");
    let archive = seal(&dir.path().join("case"), db.url.as_str(), &mapping, db.passwords()).await;
    let found = rows(&archive, "raw_order");
    let expected = [
        ("desc", "-7"),
        ("b", "true"),
        ("n", "123456789012345678901234567890.000100"),
        ("n2", "19.90"),
        ("f4", "0.1"),
        ("f8", "0.30000000000000004"),
        ("ts", "2026-02-28 23:59:59.000001"),
        ("tz", "2026-02-28 23:59:59+00:00"),
        ("inf", "infinity"),
        ("d", "0044-03-15 BC"),
        ("t", "08:00:01"),
        ("iv", "P1DT2H"),
        ("u", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("j", "{\"a\": 1}"),
        ("jb", "{\"a\": 1}"),
        ("raw", "00ff"),
        ("a", "{1,2}"),
        ("m", "sad"),
        ("ip", "10.0.0.1"),
        ("c", "ab  "),
        ("v", "水果🍎"),
        ("oid", "42"),
        ("big", "9223372036854775807"),
        ("x", "101"),
    ];
    for (name, value) in expected {
        assert_eq!(found[0][name].as_deref(), Some(value), "{name}");
        assert_eq!(found[1][name], None, "{name}");
    }
    assert_eq!(found[0]["src_misfit"].as_deref(), Some("{\"nan\":{\"text\":\"NaN\"}}"));
    let entry = reconciliation(&archive)["raw"]["raw_order"].clone();
    assert_eq!((&entry["carriedBy"], &entry["keyUnique"]), (&json!("campaigns"), &json!(true)));
    assert_eq!(entry["sums"]["n2"], json!({ "written": "1990", "source": "1990" }));
    assert_eq!(entry["misfits"], json!({ "nan": 1 }));
}
