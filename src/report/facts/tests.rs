//! Every query runs on the engine, on empty tables and on rows with known answers.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};

use chrono::{DateTime, NaiveDate, Utc};
use parquet::arrow::ArrowWriter;

use super::read::uses;
use super::*;
use crate::query::{Limits, Session};
use crate::schema::{self, ColumnType};

const AS_OF: &str = "2026-09-30T16:00:00Z";

#[test]
fn a_parameter_is_not_the_beginning_of_another() {
    assert!(uses("x <= $as_of)", "as_of"));
    assert!(!uses("x <= $as_of_on", "as_of"));
    assert!(uses("x <= $as_of_on", "as_of_on"));
}

/// A batch of a dataset from column texts; what is not named is null, or empty where null is not allowed.
fn batch(dataset: &str, rows: &[&[(&str, &str)]]) -> RecordBatch {
    let dataset = schema::dataset(dataset).unwrap();
    let columns = dataset.columns.iter().map(|c| -> ArrayRef {
        let cells: Vec<Option<&str>> =
            rows.iter().map(|r| r.iter().find(|(n, _)| *n == c.name).map(|(_, v)| *v)).collect();
        let day = |v: &str| (v.parse::<NaiveDate>().unwrap() - NaiveDate::default()).num_days();
        match c.ty {
            ColumnType::Text => Arc::new(StringArray::from_iter(
                cells.iter().map(|v| if c.nullable { *v } else { Some(v.unwrap_or("")) }),
            )),
            ColumnType::Int => {
                Arc::new(Int64Array::from_iter(cells.iter().map(|v| v.map(|v| v.parse::<i64>().unwrap()))))
            }
            ColumnType::Bool => Arc::new(BooleanArray::from_iter(
                cells.iter().map(|v| if c.nullable { v.map(|v| v == "true") } else { Some(*v == Some("true")) }),
            )),
            ColumnType::Date => {
                Arc::new(Date32Array::from_iter(cells.iter().map(|v| v.map(|v| i32::try_from(day(v)).unwrap()))))
            }
            ColumnType::Instant => Arc::new(
                TimestampMicrosecondArray::from_iter(
                    cells.iter().map(|v| v.map(|v| v.parse::<DateTime<Utc>>().unwrap().timestamp_micros())),
                )
                .with_timezone("UTC"),
            ),
            ColumnType::Decimal(scale) => Arc::new(
                Decimal128Array::from_iter(cells.iter().map(|_| None::<i128>))
                    .with_precision_and_scale(18, scale)
                    .unwrap(),
            ),
        }
    });
    RecordBatch::try_new(dataset.arrow_schema(), columns.collect()).unwrap()
}

async fn read(filled: Vec<(&str, RecordBatch)>, names: &BTreeSet<String>) -> Facts {
    let folder = tempfile::tempdir().unwrap();
    let session = Session::new(&Limits::in_dir(folder.path())).unwrap();
    for name in names {
        match filled.iter().find(|(n, _)| n == name) {
            Some((_, batch)) => {
                let path = folder.path().join(format!("{name}.parquet"));
                let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
                writer.write(batch).unwrap();
                writer.close().unwrap();
                session.add_parquet(name, &[path], batch.schema(), None).await.unwrap();
            }
            None => session.add_parquet(name, &[], schema::dataset(name).unwrap().arrow_schema(), None).await.unwrap(),
        }
    }
    let day = |text: &str| text.parse::<NaiveDate>().unwrap();
    let window = (day("2026-07-01"), day("2026-10-01"));
    facts(&session, names, AS_OF.parse().unwrap(), day("2026-10-01"), window).await.unwrap()
}

fn all_tables() -> BTreeSet<String> {
    schema::datasets().map(|d| d.name.to_owned()).collect()
}

#[tokio::test]
async fn every_query_runs_on_empty_tables() {
    let f = read(vec![], &all_tables()).await;
    assert!(f.missing.is_empty() && f.balances.is_empty() && f.leavers_total == 0);
    assert_eq!((f.interfaces, f.bindings), (Some((0, 0)), Some((0, 0))));
}

#[tokio::test]
async fn absent_tables_are_named() {
    let f = read(vec![], &BTreeSet::new()).await;
    assert!(f.missing.contains(&"balances".to_owned()) && f.missing.contains(&"people".to_owned()));
    assert_eq!(f.interfaces, None);
}

#[tokio::test]
async fn money_counts_the_latest_balance_up_to_the_instant() {
    let account = |on: &'static str, fen: &'static str| {
        [
            ("account_ref", "a1"),
            ("observed_at", on),
            ("kind", "basic"),
            ("mch_id", "1900000101"),
            ("platform", "wechat"),
            ("owner_kind", "merchant"),
            ("available_fen", fen),
            ("frozen_fen", "5"),
        ]
    };
    let rows = [
        account("2026-09-01T00:00:00Z", "100"),
        account("2026-09-30T00:00:00Z", "70"),
        account("2026-10-02T00:00:00Z", "9"),
    ];
    let payment = |id, status, paid_at, paid_on, fen| {
        [
            ("payment_ref", id),
            ("mch_id", "1900000101"),
            ("platform", "wechat"),
            ("status", status),
            ("paid_at", paid_at),
            ("paid_on", paid_on),
            ("amount_fen", fen),
        ]
    };
    let payments = [
        payment("p1", "succeeded", "2026-08-31T17:00:00Z", "2026-09-01", "300"),
        payment("p2", "partially_refunded", "2026-09-02T01:00:00Z", "2026-09-02", "400"),
        payment("p3", "closed", "2026-09-02T01:00:00Z", "2026-09-02", "1000"),
        payment("p4", "succeeded", "2026-10-01T01:00:00Z", "2026-10-01", "1000"),
    ];
    let refund = |id, status, at, on, fen| {
        [
            ("refund_ref", id),
            ("mch_id", "1900000101"),
            ("platform", "wechat"),
            ("status", status),
            ("requested_at", at),
            ("requested_on", on),
            ("succeeded_at", at),
            ("succeeded_on", on),
            ("amount_fen", fen),
        ]
    };
    let refunds = [
        refund("r1", "succeeded", "2026-09-03T01:00:00Z", "2026-09-03", "150"),
        refund("r2", "processing", "2026-09-29T01:00:00Z", "2026-09-29", "40"),
    ];
    let f = read(
        vec![
            ("balances", batch("balances", &[&rows[0], &rows[1], &rows[2]])),
            ("payments", batch("payments", &[&payments[0], &payments[1], &payments[2], &payments[3]])),
            ("refunds", batch("refunds", &[&refunds[0], &refunds[1]])),
            (
                "mch_accounts",
                batch("mch_accounts", &[&[("mch_id", "1900000101"), ("platform", "wechat"), ("state", "active")]]),
            ),
        ],
        &all_tables(),
    )
    .await;
    assert_eq!(f.balances.len(), 1);
    assert_eq!((f.balances[0].available_fen, f.balances[0].frozen_fen), (70, 5));
    assert_eq!(
        f.months,
        [MonthFlow {
            month: "2026-09".into(),
            platform: "wechat".into(),
            payments: 2,
            paid_fen: 700,
            refunded_fen: 150
        }]
    );
    assert_eq!(
        f.refunds_in_flight,
        [RefundFact { mch_id: Some("1900000101".into()), platform: Some("wechat".into()), refunds: 1, amount_fen: 40 }]
    );
    assert_eq!(f.mchs[0].last_paid_on.as_deref(), Some("2026-09-02"));
    assert_eq!(f.mchs[0].last_trade_on.as_deref(), Some("2026-09-29"));
}

#[tokio::test]
async fn leavers_are_those_who_can_still_open_something() {
    let staff = |id, state| [("staff_ref", id), ("person_ref", id), ("role_hint", "cashier"), ("state", state)];
    let person = |id| [("person_ref", id), ("departed_on", "2026-06-30")];
    let (a, b, c) = (staff("s_a", "active"), staff("s_b", "released"), staff("s_c", "released"));
    let people = [person("s_a"), person("s_b"), person("s_c")];
    let f = read(
        vec![
            ("staff", batch("staff", &[&a, &b, &c])),
            ("people", batch("people", &[&people[0], &people[1], &people[2]])),
            (
                "tokens",
                batch(
                    "tokens",
                    &[&[
                        ("token_ref", "t1"),
                        ("actor_type", "staff"),
                        ("actor_ref", "s_b"),
                        ("expires_at", "2026-12-01T00:00:00Z"),
                    ]],
                ),
            ),
            (
                "grants",
                batch(
                    "grants",
                    &[&[
                        ("grant_ref", "g1"),
                        ("staff_ref", "s_a"),
                        ("permission", "refund.approve"),
                        ("is_money_related", "true"),
                    ]],
                ),
            ),
        ],
        &all_tables(),
    )
    .await;
    let found: Vec<(&str, u64, u64)> = f.leavers.iter().map(|l| (l.staff_ref.as_str(), l.grants, l.tokens)).collect();
    assert_eq!(found, [("s_a", 1, 0), ("s_b", 0, 1)]);
    assert_eq!(f.leavers_total, 2);
    assert_eq!(
        f.holders,
        [PermissionHolders {
            permission: "refund.approve".into(),
            is_money_related: true,
            roles: vec![("cashier".into(), 1)],
            accounts: 1
        }]
    );
}

#[tokio::test]
async fn reconciliation_counts_the_window_and_items_without_a_day() {
    let item = |id, on: &'static str, kind, local: &'static str, line: &'static str| {
        let mut row = vec![
            ("item_ref", id),
            ("kind", kind),
            ("about", "payment"),
            ("platform", "wechat"),
            ("mch_id", "100"),
            ("channel_trade_no", id),
        ];
        for (name, value) in [("recon_on", on), ("local_fen", local), ("platform_fen", line)] {
            if !value.is_empty() {
                row.push((name, value));
            }
        }
        if !local.is_empty() {
            row.push(("local_ref", id));
        }
        if !line.is_empty() {
            row.push(("bill_ref", "b1"));
        }
        row
    };
    let rows = [
        item("i1", "2026-07-01", "matched", "10", "10"),
        item("i2", "2026-07-01", "amount", "10", "12"),
        item("i3", "2026-09-30", "missing_platform", "7", ""),
        item("i4", "2026-09-30", "not_compared", "5", ""),
        item("i5", "", "missing_local", "", "3"),
        item("i6", "2026-10-01", "amount", "1", "2"),
        item("i7", "2026-06-30", "amount", "1", "2"),
    ];
    let rows: Vec<&[(&str, &str)]> = rows.iter().map(Vec::as_slice).collect();
    let bill = |id, on, stated| {
        [
            ("bill_ref", id),
            ("platform", "wechat"),
            ("bill_kind", "trade"),
            ("mch_id", "100"),
            ("bill_on", on),
            ("row_count", "2"),
            ("stated_count", stated),
        ]
    };
    let (good, cut, fund) = (
        bill("b1", "2026-07-01", "2"),
        bill("b2", "2026-07-02", "3"),
        [("bill_ref", "b3"), ("bill_kind", "fund"), ("bill_on", "2026-07-03")],
    );
    let f = read(
        vec![("recon_items", batch("recon_items", &rows)), ("bills", batch("bills", &[&good, &cut, &fund]))],
        &all_tables(),
    )
    .await;
    let recon = f.reconciliation.unwrap();
    let day = |d: &ReconDay| (d.day.clone().unwrap_or_default(), d.matched, d.different, d.not_compared);
    let mut days: Vec<_> = recon.days.iter().map(day).collect();
    days.sort();
    assert_eq!(
        days,
        [(String::new(), 0, 1, 0), ("2026-07-01".to_owned(), 1, 1, 0), ("2026-09-30".to_owned(), 0, 1, 1)]
    );
    let bills: Vec<_> = recon.bill_days.iter().map(|b| (b.day.as_deref().unwrap_or(""), b.is_damaged)).collect();
    assert_eq!(bills, [("2026-07-01", false), ("2026-07-02", true)]);
    let sums: Vec<_> = recon.sums.iter().map(|s| (s.kind.as_str(), s.local_fen, s.platform_fen)).collect();
    assert_eq!(
        sums,
        [
            ("amount", 10, 12),
            ("matched", 10, 10),
            ("missing_local", 0, 3),
            ("missing_platform", 7, 0),
            ("not_compared", 5, 0)
        ]
    );
    let numbers: Vec<_> = recon.differences.iter().filter_map(|d| d.number.as_deref()).collect();
    assert_eq!(numbers, ["i5", "i2", "i3"]);
    assert_eq!((recon.differences[0].local_fen, recon.differences[0].platform_fen), (None, Some(3)));
}
