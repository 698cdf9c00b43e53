//! Real estates: orders in many tables of one shape, exported files beside a database, several sources in one case.

use std::fs;

use serde_json::Value;

use crate::support::{Place, sql};

const MAPPING: &str = r#"
[mapping]
id = "shards"
version = 1
zone = "Asia/Shanghai"
zone_evidence = "test"
requires = { "order_[0-9][0-9]" = ["id", "amt"] }

[dataset.payments]
evidence = "recorded"
tables = "order_[0-9][0-9]"
order = "o.id"
conv.amount_fen = { money = "yuan" }
conv.status = { const = "succeeded" }
conv.created_at = { time = "local" }
conv.currency = { const = "CNY" }
sql.default = "SELECT o.id AS payment_ref, o.id AS out_trade_no, o.amt AS amount_fen, o.made AS created_at FROM {table} o"
"#;

const EXPORTS: &str = r#"
[mapping]
id = "saas-export"
version = 1
zone = "Asia/Shanghai"
zone_evidence = "test"
requires = { "会员" = ["编号"], staff = ["login"] }

[dataset.customers]
evidence = "recorded"
conv.state = { const = "active" }
conv.registered_at = { time = "local" }
sql.default = 'SELECT m."编号" AS customer_ref, m."注册时间" AS registered_at FROM "会员" m WHERE m."编号" IS NOT NULL'

[dataset.staff]
evidence = "recorded"
conv.state = { const = "active" }
sql.default = "SELECT s.login AS staff_ref, s.login AS login_name FROM staff s"
"#;

const CASE: &str = r#"format = 1
[case]
kind = "audit"
title = "An estate"
merchant = "Example Fruit Ltd"
stream = "estate"
as_of = 2026-10-01T00:00:00+08:00
window = { from = 2026-01-01, to = 2026-10-01 }

[[source]]
name = "orders"
url = "sqlite://orders.db"
mapping = "shards.toml"

[[source]]
name = "members"
url = "files:exports"
mapping = "exports.toml"
"#;

fn estate() -> Place {
    let place = Place::empty();
    let case = place.case();
    fs::create_dir_all(case.join("exports")).unwrap();
    fs::write(case.join("case.toml"), CASE).unwrap();
    fs::write(case.join("shards.toml"), MAPPING).unwrap();
    fs::write(case.join("exports.toml"), EXPORTS).unwrap();
    sql(
        &case.join("orders.db"),
        "CREATE TABLE order_02 (id TEXT, amt TEXT, made TEXT); CREATE TABLE order_00 (id TEXT, amt TEXT, made TEXT); CREATE TABLE order_old (id TEXT);
         INSERT INTO order_02 VALUES ('c', '3.00', '2026-03-01 08:00:00'); INSERT INTO order_00 VALUES ('a', '1.00', '2026-03-01 08:00:00'), ('b', '2.50', '2026-03-01 09:00:00');
         INSERT INTO order_old VALUES ('x')",
    );
    let (gbk, _, _) = encoding_rs::GBK.encode("编号,注册时间\n\t0001\t,2026-01-02 03:04:05\n\t0002\t,\n,2026-01-01\n");
    fs::write(case.join("exports/会员.csv"), gbk).unwrap();
    fs::write(case.join("exports/staff.csv"), "login\nzhang.wei.estate\n").unwrap();
    assert_eq!(place.run(&["keys", "new", "case"]).code, 0);
    place
}

/// Every shard is counted on its own, tables outside the pattern are listed as not taken, files and database feed one archive.
#[test]
fn shards_and_exports_feed_one_case() {
    let place = estate();
    let run = place.run(&["seal", "case", "--format", "json"]);
    assert_eq!(run.code, 0, "{}", run.err);
    let archive = place.path().join(place.archive());
    let text = fs::read_to_string(archive.join("data/custody/reconciliation.json")).unwrap();
    let reconciliation: Value = serde_json::from_str(&text).unwrap();
    let payments = &reconciliation["datasets"]["payments"];
    assert_eq!(payments["rows"], 3);
    let feeds: Vec<(&str, u64, u64)> = payments["feeds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| {
            (f["table"].as_str().unwrap(), f["wholeTableRows"].as_u64().unwrap(), f["rowsWritten"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(feeds, [("order_00", 2, 2), ("order_02", 1, 1)]);
    assert_eq!(reconciliation["datasets"]["customers"]["rows"], 2);
    let not_mapped = reconciliation["notMapped"].to_string();
    assert!(not_mapped.contains("order_old") && !not_mapped.contains("order_00"), "{not_mapped}");
    let custody = fs::read_to_string(archive.join("data/custody/custody.jsonl")).unwrap();
    assert!(custody.contains("\"engine\":\"files\"") && custody.contains("file 会员.csv"), "{custody}");
    assert!(!custody.contains("zhang.wei"));
}

/// A pattern without a table, a damaged export and a folder without exports stop the seal before anything is written.
#[test]
fn estates_that_do_not_fit() {
    let place = estate();
    let case = place.case();
    fs::write(case.join("exports/staff.csv"), "login\n4.2E+27\n").unwrap();
    let run = place.run(&["seal", "case"]);
    assert!(run.code == 2 && run.err.contains("row 2, column `login`"), "{} {}", run.code, run.err);
    fs::write(case.join("exports/staff.csv"), "login\nzhang.wei.estate\n").unwrap();
    fs::write(case.join("shards.toml"), MAPPING.replace("order_[0-9][0-9]", "nothing_*")).unwrap();
    let run = place.run(&["seal", "case"]);
    assert!(run.code == 2 && run.err.contains("nothing_*"), "{}", run.err);
    fs::write(case.join("shards.toml"), MAPPING).unwrap();
    fs::remove_dir_all(case.join("exports")).unwrap();
    fs::create_dir_all(case.join("exports")).unwrap();
    let run = place.run(&["seal", "case"]);
    assert!(run.code == 2 && run.err.contains("no CSV file"), "{}", run.err);
    assert_eq!(fs::read_dir(case.join("out/archives")).map_or(0, Iterator::count), 0);
}

/// A password never stands in a case: neither `init` nor a case file accepts one, and messages do not repeat it.
#[test]
fn passwords_stay_out_of_cases() {
    let place = Place::empty();
    let url = "mysql://reader:geheim42@db.example/shop";
    let run = place.run(&["init", "case", "--kind", "audit", "--source", url, "--mapping", "m.toml"]);
    assert!(run.code == 2 && run.err.contains("SEALPORT_PASSWORD"), "{}", run.err);
    assert!(!run.err.contains("geheim42") && !run.out.contains("geheim42"));
    let place = estate();
    let case = place.case();
    fs::write(case.join("case.toml"), CASE.replace("sqlite://orders.db", url)).unwrap();
    let run = place.run(&["seal", "case"]);
    assert!(run.code == 2 && run.err.contains("holds a password"), "{}", run.err);
    assert!(!run.err.contains("geheim42"), "{}", run.err);
}

/// A rate that is not reached changes nothing, and limits that are none are refused.
#[test]
fn limits_are_kept() {
    let place = estate();
    let run = place.run(&["seal", "case", "--max-rate", "100000", "--max-connections", "1"]);
    assert_eq!(run.code, 0, "{}", run.err);
    for (flag, value) in [("--until", "six"), ("--until", "25:00"), ("--max-rate", "0"), ("--max-connections", "0")] {
        assert_eq!(place.run(&["seal", "case", flag, value]).code, 2, "{flag} {value}");
    }
}
