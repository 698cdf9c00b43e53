//! Tests over whole samples.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use rusqlite::Connection;

use super::*;
use crate::progress::Hidden;

async fn sample(dir: &Path, name: &str, faults: FaultSelection) -> SynthSummary {
    let spec = SynthSpec { orders: 1_000, seed: 7, faults };
    write(&dir.join(name), &spec, &Hidden, &Cancel::default()).await.unwrap()
}

fn digests(dir: &Path) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                out.insert(name, crate::crypto::sha256_file(&path).unwrap().0.to_string());
            }
        }
    }
    out
}

fn number(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// The same seed gives the same bytes, database included; another selection of faults gives another merchant.
#[tokio::test]
async fn same_seed_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path(), "a", FaultSelection::All).await;
    sample(dir.path(), "b", FaultSelection::All).await;
    let (a, b) = (digests(&dir.path().join("a")), digests(&dir.path().join("b")));
    assert_eq!(a, b);
    assert!(a.len() > 100, "{}", a.len());
}

/// Every policy has a fault in the small sample, and the clean one has none at all.
#[tokio::test]
async fn faults_of_every_kind_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let all = sample(dir.path(), "all", FaultSelection::All).await;
    let wanted: Vec<String> = faults::POLICIES.iter().map(|p| (*p).to_owned()).collect();
    assert_eq!(all.policies, wanted);
    let text = std::fs::read_to_string(dir.path().join("all/truth.json")).unwrap();
    let list: Vec<BTreeMap<String, String>> = serde_json::from_str(&text).unwrap();
    assert_eq!(list.len() as u64, all.faults);
    let kinds: BTreeSet<(&str, &str)> = list.iter().map(|f| (f["policy"].as_str(), f["reason"].as_str())).collect();
    assert!(kinds.len() > 110, "{}", kinds.len());
    let clean = sample(dir.path(), "clean", FaultSelection::None).await;
    assert_eq!(clean.faults, 0);
    assert_eq!(std::fs::read_to_string(dir.path().join("clean/truth.json")).unwrap(), "[]\n");
    let one = sample(dir.path(), "one", FaultSelection::parse("txn-014").unwrap()).await;
    assert_eq!(one.policies, ["FND-004", "TXN-014"]);
}

/// The mapping reads what is there: every SELECT runs and yields as many rows as the generator counted.
#[tokio::test]
async fn mapping_fits_the_database() {
    let dir = tempfile::tempdir().unwrap();
    let summary = sample(dir.path(), "s", FaultSelection::All).await;
    let db = Connection::open(dir.path().join("s/source/shop.db")).unwrap();
    let mapping: toml::Table = files::MAPPING.parse().unwrap();
    for (name, part) in mapping["dataset"].as_table().unwrap() {
        let sql = part["sql"]["sqlite"].as_str().unwrap();
        let n = number(&db, &format!("SELECT COUNT(*) FROM ({sql})"));
        assert_eq!(n as u64, summary.rows[name], "{name}");
    }
}

/// Money adds up in a clean merchant: nothing stays in transit, stored value equals its ledger, tenders equal
/// payments, settlements equal their parts.
#[tokio::test]
async fn money_identities() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path(), "s", FaultSelection::None).await;
    let db = Connection::open(dir.path().join("s/source/shop.db")).unwrap();
    for sql in [
        "SELECT COALESCE(SUM(amt_cent), 0) FROM t_ledger WHERE acc_type = 1",
        "SELECT (SELECT COALESCE(SUM(amt_cent), 0) FROM t_ledger WHERE acc_type = 4) - (SELECT SUM(CAST(ROUND(balance * 100) AS INTEGER)) FROM t_member)",
        "SELECT COUNT(*) FROM t_pay p WHERE p.state IN (2, 6, 7) AND ROUND(p.amt * 100) <> (SELECT SUM(ROUND(f.amt * 100)) FROM t_pay_flow f WHERE f.pay_id = p.id AND f.effective = 1)",
        "SELECT COUNT(*) FROM t_settle WHERE ROUND(100 * (gross_amt - refund_amt - fee_amt - net_amt)) <> 0",
        "SELECT COUNT(*) FROM t_refund r WHERE r.state <> 3",
        "SELECT COUNT(*) FROM t_acc_snap WHERE snap_time > '2026-09-30' AND (avail_amt <> 0 OR frozen_amt <> 0)",
        "SELECT COUNT(*) FROM t_member WHERE balance < 0",
        "SELECT COUNT(*) FROM t_ledger WHERE book_time >= '2026-10-01'",
        "SELECT COUNT(*) FROM (SELECT out_trade_no FROM t_pay GROUP BY 1, mch_no HAVING COUNT(*) > 1)",
    ] {
        assert_eq!(number(&db, sql), 0, "{sql}");
    }
}

/// Summaries of the WeChat files equal their rows, and the digest lists are right, when no fault says otherwise.
#[tokio::test]
async fn bills_agree_with_their_summaries() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path(), "s", FaultSelection::None).await;
    let cents = |text: &str| -> i64 {
        let (whole, rest) = text.trim_start_matches('-').split_once('.').unwrap();
        let value = whole.parse::<i64>().unwrap() * 100 + rest[..2].parse::<i64>().unwrap();
        if text.starts_with('-') { -value } else { value }
    };
    let mut files = 0;
    let folder = dir.path().join("s/source/bills");
    for (name, _) in digests(&folder).iter().filter(|(n, _)| n.ends_with(".csv") || n.ends_with(".csv.gz")) {
        let path = folder.join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        if name.ends_with(".gz") {
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut unpacked).unwrap();
            bytes = unpacked;
        }
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(text.starts_with('\u{feff}') && text.ends_with("\r\n"));
        let lines: Vec<&str> = text.lines().collect();
        let split = |line: &str| -> Vec<String> { line[1..].split(",`").map(str::to_owned).collect() };
        let rows: Vec<Vec<String>> = lines[1..lines.len() - 2].iter().map(|l| split(l)).collect();
        let summary = split(lines[lines.len() - 1]);
        if name.starts_with("trade") {
            assert!(rows.iter().all(|r| r.len() == 27));
            assert_eq!(summary[0].parse::<usize>().unwrap(), rows.len());
            for (total, column) in [(1, 12), (2, 16), (4, 22), (5, 24), (6, 25)] {
                assert_eq!(
                    cents(&summary[total]),
                    rows.iter().map(|r| cents(&r[column])).sum::<i64>(),
                    "{name} {total}"
                );
            }
        } else {
            assert!(rows.iter().all(|r| r.len() == 11));
            let side = |word: &str| rows.iter().filter(|r| r[5] == word).map(|r| cents(&r[6])).sum::<i64>();
            assert_eq!((cents(&summary[2]), cents(&summary[4])), (side("收入"), side("支出")), "{name}");
        }
        let sums = std::fs::read_to_string(path.with_file_name("SHA1SUMS")).unwrap();
        let file = path.file_name().unwrap().to_str().unwrap();
        assert!(sums.contains(&format!("{}  {file}\n", crate::crypto::sha1_hex(&bytes))), "{name}");
        files += 1;
    }
    assert!(files > 80, "{files}");
}

/// A folder that exists is never written into, sizes out of range and unknown names are refused, and an interrupted
/// run leaves nothing.
#[tokio::test]
async fn refusals_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let spec = SynthSpec { orders: 1_000, seed: 1, faults: FaultSelection::None };
    std::fs::create_dir(dir.path().join("full")).unwrap();
    std::fs::write(dir.path().join("full/keep"), "x").unwrap();
    let full = write(&dir.path().join("full"), &spec, &Hidden, &Cancel::default()).await;
    assert!(matches!(full, Err(Error::File(fsio::Error::Exists { .. }))));
    let few = SynthSpec { orders: 10, ..spec.clone() };
    assert!(matches!(
        write(&dir.path().join("few"), &few, &Hidden, &Cancel::default()).await,
        Err(Error::Orders { orders: 10, .. })
    ));
    assert!(matches!(FaultSelection::parse("XYZ-001"), Err(Error::UnknownFault { .. })));
    let cancel = Cancel::default();
    cancel.request();
    assert!(matches!(write(&dir.path().join("cut"), &spec, &Hidden, &cancel).await, Err(Error::Interrupted(_))));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
