//! A mapping that raises the class of a column: the raw value appears nowhere in the bag.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sealport::archive::Archive;
use sealport::clock::{FixedClock, SeededRandom};
use sealport::model::Lang;
use sealport::ops::seal::SealOptions;
use sealport::ops::{self, Env, Notices};
use sealport::progress::{Cancel, Hidden};

use crate::bag::at;
use crate::support::sql;

struct Deaf;
impl Notices for Deaf {
    fn tell(&self, _: String) {}
}

fn env() -> Env {
    Env {
        clock: Arc::new(FixedClock(at("2026-11-01T00:00:00Z"))),
        random: Arc::new(SeededRandom::new(*b"overrides")),
        progress: Arc::new(Hidden),
        notices: Arc::new(Deaf),
        cancel: Cancel::default(),
        lang: Lang::En,
        secrets: None,
        passwords: Arc::new(ops::NoPasswords),
        executable: None,
    }
}

const CASE: &str = r#"
format = 1
[case]
kind = "audit"
stream = "stores"
title = "Stores named after people"
merchant = "Example Fruit Ltd"
zone = "Asia/Shanghai"
as_of = 2026-10-01T00:00:00+08:00
window = { from = 2026-07-01, to = 2026-10-01 }
layers = ["canonical"]
[[source]]
name = "shop"
url = "sqlite://shop.db"
mapping = "mapping.toml"
[[source]]
name = "export"
url = "csv:export"
"#;

/// The first part says whose the keys of stores are; the second part and the CSV file say nothing.
const MAPPING: &str = r#"
[mapping]
id = "shop"
version = 1
[[dataset.stores.part]]
evidence = "recorded"
sql.sqlite = "SELECT s.id AS store_ref, s.title AS name, s.deleted AS is_deleted FROM store s"
CONV
[[dataset.stores.part]]
evidence = "recorded"
sql.sqlite = "SELECT k.id AS store_ref FROM kiosk k"
[dataset.operation_logs]
evidence = "recorded"
sql.sqlite = "SELECT l.id AS log_ref, l.txt AS detail FROM log l"
"#;

const RAISED: &str = "conv.store_ref = { class = \"staff_id\" }\nconv.name = { class = \"free_text\" }";
/// In a selected row, in a row that is set aside, in the silent part, in the silent file, in a sentence.
const PEOPLE: [&str; 4] = ["zhang.wei.shop", "wang.fang.shop", "li.qiang.kiosk", "zhao.min.stand"];

async fn case(dir: &Path, conversions: &str) -> Env {
    let env = env();
    fs::create_dir_all(dir.join("export")).unwrap();
    fs::create_dir_all(dir.join("registers")).unwrap();
    fs::write(dir.join("case.toml"), CASE).unwrap();
    fs::write(dir.join("mapping.toml"), MAPPING.replace("CONV", conversions)).unwrap();
    fs::write(dir.join("export/stores.csv"), "store_ref,name\nzhao.min.stand,booth of zhang.wei.shop\n").unwrap();
    sql(
        &dir.join("shop.db"),
        "CREATE TABLE store (id TEXT, title TEXT, deleted INTEGER); CREATE TABLE kiosk (id TEXT); CREATE TABLE log (id TEXT, txt TEXT);
         INSERT INTO store VALUES ('zhang.wei.shop', 'formerly wang.fang.shop', 0), ('wang.fang.shop', 'x', 7);
         INSERT INTO kiosk VALUES ('li.qiang.kiosk'); INSERT INTO log VALUES ('1', 'li.qiang.kiosk closed zhao.min.stand');",
    );
    ops::keys::new(&env, &dir.join("secrets"), &dir.join("keyring")).unwrap();
    env
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
        }
        if path.is_file() {
            out.push(String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned());
        }
    }
}

#[tokio::test]
async fn raised_columns_hold_no_raw_value() {
    let dir = tempfile::tempdir().unwrap();
    let env = case(dir.path(), RAISED).await;
    let (answer, sealed) = ops::seal::seal(&env, dir.path(), &SealOptions::default()).await.unwrap();
    assert_eq!(answer.json["quarantined"], 1);
    let mut texts = Vec::new();
    everything(&sealed.path, &mut texts);
    assert!(texts.len() > 30, "{}", texts.len());
    for text in &texts {
        for person in PEOPLE {
            assert!(!text.contains(person), "{person} stands in {text}");
        }
    }
    // The same with the tables as they are beside the datasets.
    let both = tempfile::tempdir().unwrap();
    let with_raw = case(both.path(), RAISED).await;
    fs::write(both.path().join("case.toml"), CASE.replace("layers = [\"canonical\"]\n", "")).unwrap();
    let (_, raw) = ops::seal::seal(&with_raw, both.path(), &SealOptions::default()).await.unwrap();
    let mut raw_texts = Vec::new();
    everything(&raw.path, &mut raw_texts);
    assert!(raw_texts.len() > texts.len());
    assert!(raw_texts.iter().all(|t| PEOPLE.iter().all(|p| !t.contains(p))), "a person stands in a raw table");
    // One token in the row, its key, and the row that was set aside.
    let tokens: Vec<&String> = texts.iter().filter(|t| t.starts_with("s_") && t.len() == 28).collect();
    assert_eq!(tokens.len(), 3);
    assert_eq!(texts.iter().filter(|t| t.starts_with("[\"s_")).count(), 4);
    assert!(texts.iter().any(|t| t == "formerly [staff]"));
    assert!(texts.iter().any(|t| t == "[staff] closed [staff]"));

    let archive = Archive::open(&sealed.path).unwrap();
    let statement = &archive.statement().predicate["pseudonymisation"];
    let listed = |treatment: &str, column: &str| {
        statement["columns"][treatment].as_array().unwrap().iter().any(|c| c.as_str() == Some(column))
    };
    assert!(listed("staff", "stores.store_ref") && listed("redacted", "stores.name"));
    assert_eq!(statement["raisedByMapping"]["stores.store_ref"], "staff_id");
    let table = archive.table("stores").unwrap();
    let class = |name: &str| table.schema.spec.columns.iter().find(|c| c.name == name).unwrap().class.clone();
    assert_eq!([class("store_ref"), class("name"), class("address")], ["staff_id", "free_text", "none"]);
    let reconciliation = archive.reconciliation().unwrap();
    let feeds = reconciliation["datasets"]["stores"]["feeds"].as_array().unwrap();
    let declared: Vec<&serde_json::Value> = feeds.iter().map(|f| &f["classOverrides"]).collect();
    assert_eq!(declared[0], &serde_json::json!({ "name": "free_text", "store_ref": "staff_id" }));
    assert!(declared[1..].iter().all(|d| d.as_object().unwrap().is_empty()));
    let request = ops::verify::VerifyRequest {
        path: sealed.path.clone(),
        keyring: dir.path().join("keyring/keyring.json"),
        rows: true,
        stream: None,
        min_sequence: None,
    };
    assert_eq!(ops::verify::verify(&env, &request).unwrap().exit.code(), 0);
}

/// Without the declaration the same values stand there in clear: the test above can fail.
#[tokio::test]
async fn undeclared_columns_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let env = case(dir.path(), "").await;
    let (_, sealed) = ops::seal::seal(&env, dir.path(), &SealOptions::default()).await.unwrap();
    let mut texts = Vec::new();
    everything(&sealed.path, &mut texts);
    for person in PEOPLE {
        assert!(texts.iter().any(|t| t.contains(person)), "{person}");
    }
    assert!(!texts.iter().any(|t| t.starts_with("s_")));
}
