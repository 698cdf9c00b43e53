//! The presets of ruoyi-vue-pro and CRMEB on real servers: a sample is loaded, sealed, verified, checked and reported.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sealport::archive::Archive;
use sealport::clock::{FixedClock, SeededRandom};
use sealport::model::{Exit, Lang};
use sealport::ops::check::CheckOptions;
use sealport::ops::synth::Place;
use sealport::ops::verify::VerifyRequest;
use sealport::ops::{self, Env, Notices};
use sealport::progress::{Cancel, Hidden};
use serde_json::Value;

use crate::bag::at;
use crate::servers::Scratch;

struct Deaf;
impl Notices for Deaf {
    fn tell(&self, _: String) {}
}

fn env(db: &Scratch) -> Env {
    Env {
        clock: Arc::new(FixedClock(at("2026-11-01T00:00:00Z"))),
        random: Arc::new(SeededRandom::new(*b"presets!!")),
        progress: Arc::new(Hidden),
        notices: Arc::new(Deaf),
        cancel: Cancel::default(),
        lang: Lang::En,
        secrets: None,
        passwords: db.passwords(),
        executable: None,
    }
}

fn fixture(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/systems").join(name)).unwrap()
}

/// Writes the sample of a system and loads it into tables of our own.
fn load(env: &Env, db: &Scratch, case: &Path, (system, dialect, tables): (&str, &str, &str)) {
    let place = Place { system, dialect: Some(dialect), url: Some(db.url.as_str()) };
    ops::synth::system(env, case, &place, 1_000, 7, "all").unwrap();
    db.sql(&fixture(tables));
    db.sql(&fs::read_to_string(case.join("data.sql")).unwrap());
}

/// Policy, subject and reason of every finding; those that only say what could not be examined are left out.
fn findings(rows: impl Iterator<Item = [String; 3]>) -> BTreeSet<[String; 3]> {
    rows.filter(|[policy, ..]| policy != "DAT-001").collect()
}

fn truth(case: &Path) -> BTreeSet<[String; 3]> {
    let list: Vec<Value> = serde_json::from_slice(&fs::read(case.join("truth.json")).unwrap()).unwrap();
    findings(list.iter().map(|f| ["policy", "subject", "reason"].map(|k| f[k].as_str().unwrap().to_owned())))
}

fn found(file: &str) -> BTreeSet<[String; 3]> {
    let mut reader = csv::Reader::from_path(file).unwrap();
    let headers = reader.headers().unwrap().clone();
    let places = ["policy", "subject", "reason"].map(|k| headers.iter().position(|h| h == k).unwrap());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    findings(rows.iter().map(|r| places.map(|p| r[p].to_owned())))
}

/// Every text of every table, and every other file as it is.
fn everything(dir: &Path, out: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            everything(&path, out);
        } else if path.extension().is_some_and(|e| e == "parquet") {
            let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&path).unwrap()).unwrap();
            for batch in reader.build().unwrap() {
                for column in batch.unwrap().columns() {
                    let texts = arrow::compute::cast(column, &DataType::Utf8).unwrap();
                    out.extend(texts.as_string::<i32>().iter().flatten().map(str::to_owned));
                }
            }
        } else {
            out.push(String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned());
        }
    }
}

/// The whole job on a loaded sample: nothing is set aside, no secret is left, every planted fault is found and nothing
/// else, and what was not taken is listed.
async fn prove(env: &Env, case: &Path) {
    let (answer, sealed) = ops::seal::seal(env, case, false).await.unwrap();
    assert_eq!(answer.exit, Exit::Success, "{}", answer.text);
    assert_eq!(answer.json["quarantined"], 0, "{}", answer.text);
    let verify = VerifyRequest {
        path: sealed.path.clone(),
        keyring: case.join("keyring/keyring.json"),
        rows: true,
        stream: None,
        min_sequence: None,
    };
    assert_eq!(ops::verify::verify(env, &verify).unwrap().exit, Exit::Success);
    let mut texts = Vec::new();
    everything(&sealed.path, &mut texts);
    assert!(texts.iter().any(|t| t.starts_with("hmac-sha256:")), "secrets leave a fingerprint");
    for text in &texts {
        assert!(!text.contains("PlantedSecret"), "{text}");
    }
    let (answer, _) = ops::check::check(env, case, &CheckOptions { fail_on: None, ..CheckOptions::default() }).await.unwrap();
    let (found, truth) = (found(answer.json["findings_file"].as_str().unwrap()), truth(case));
    let (missed, surplus): (Vec<_>, Vec<_>) = (truth.difference(&found).collect(), found.difference(&truth).collect());
    assert!(missed.is_empty() && surplus.is_empty(), "missed {missed:?}\nsurplus {surplus:?}");
    let answer = ops::report::report(env, case, None, &[Lang::Zh, Lang::En]).await.unwrap();
    assert_eq!(answer.exit, Exit::Success, "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_MYSQL, the URL of a MySQL or MariaDB server"]
async fn crmeb_on_mysql() {
    let dir = tempfile::tempdir().unwrap();
    let (db, case) = (Scratch::mysql(), dir.path().join("case"));
    let env = env(&db);
    load(&env, &db, &case, ("crmeb", "mysql", "crmeb.sql"));
    prove(&env, &case).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_MYSQL, the URL of a MySQL or MariaDB server"]
async fn ruoyi_on_mysql() {
    let dir = tempfile::tempdir().unwrap();
    let (db, case) = (Scratch::mysql(), dir.path().join("case"));
    let env = env(&db);
    load(&env, &db, &case, ("ruoyi-vue-pro", "mysql", "ruoyi-vue-pro.mysql.sql"));
    // Rows of another tenant are somebody else's.
    db.sql("INSERT INTO trade_order (id, no, tenant_id) VALUES (1, 'OTHER-TENANT', 1)");
    prove(&env, &case).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_POSTGRES, the URL of a PostgreSQL server"]
async fn ruoyi_on_postgres() {
    let dir = tempfile::tempdir().unwrap();
    let (db, case) = (Scratch::postgres(), dir.path().join("case"));
    let env = env(&db);
    load(&env, &db, &case, ("ruoyi-vue-pro", "postgres", "ruoyi-vue-pro.postgres.sql"));
    prove(&env, &case).await;
}

/// One story on two engines: the same canonical rows in the same order, so the same roots.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_MYSQL and SEALPORT_TEST_POSTGRES"]
async fn ruoyi_is_the_same_on_both_engines() {
    let dir = tempfile::tempdir().unwrap();
    let mut tables: Vec<Vec<(String, u64, String)>> = Vec::new();
    for (db, dialect, file) in [
        (Scratch::mysql(), "mysql", "ruoyi-vue-pro.mysql.sql"),
        (Scratch::postgres(), "postgres", "ruoyi-vue-pro.postgres.sql"),
    ] {
        let case = dir.path().join(dialect);
        let env = env(&db);
        load(&env, &db, &case, ("ruoyi-vue-pro", dialect, file));
        let (_, sealed) = ops::seal::seal(&env, &case, false).await.unwrap();
        let archive = Archive::open(&sealed.path).unwrap();
        let own = ["loaded_files", "record_inventory", "quarantine"];
        tables.push(
            archive
                .statement()
                .tables
                .iter()
                .filter(|t| !own.contains(&t.name.as_str()))
                .map(|t| (t.name.clone(), t.rows, t.root.to_string()))
                .collect(),
        );
    }
    assert!(tables[0].len() > 25, "{}", tables[0].len());
    assert_eq!(tables[0], tables[1]);
}
