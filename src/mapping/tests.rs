//! Mapping against a real SQLite database: what is written, what is quarantined, and that the source agrees.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType};
use proptest::prelude::*;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params_from_iter};

use crate::rows::{RawBatch, RawValue};
use crate::schema;

use super::*;

const SHOP: &str = include_str!("fixtures/shop.toml");

fn shop() -> Mapping {
    let params = BTreeMap::from([("zone".to_owned(), "Asia/Shanghai".to_owned())]);
    Mapping::parse("shop.toml", SHOP).expect("no mistakes").bind(crate::model::Engine::Sqlite, &params).expect("binds")
}

fn part(mapping: &Mapping, dataset: &str) -> Part {
    mapping.parts().iter().find(|p| p.dataset.name == dataset).expect("mapped").clone()
}

fn context(zone: chrono_tz::Tz) -> Context<'static> {
    Context { zone, src_system: "shop@2", fingerprint: Arc::new(|b| format!("fp:{}", b.len())) }
}

/// Runs a statement and hands the rows over as a source does.
fn read(schema_sql: &str, sql: &str, values: &[String]) -> (Vec<String>, RawBatch) {
    let connection = Connection::open_in_memory().expect("opens");
    connection.execute_batch(schema_sql).expect("schema");
    let mut statement = connection.prepare(sql).expect("prepares");
    let header: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut batch = RawBatch::new(header.len());
    let mut rows = statement.query(params_from_iter(values)).expect("runs");
    while let Some(row) = rows.next().expect("row") {
        for (i, column) in batch.columns.iter_mut().enumerate() {
            column.push(match row.get_ref(i).expect("cell") {
                ValueRef::Null => RawValue::Null,
                ValueRef::Integer(n) => RawValue::Int(n),
                ValueRef::Real(x) => RawValue::Real(x),
                ValueRef::Text(text) => RawValue::Text(std::str::from_utf8(text).expect("UTF-8")),
                ValueRef::Blob(bytes) => RawValue::Bytes(bytes),
            });
        }
    }
    (header, batch)
}

fn source_totals(schema_sql: &str, part: &Part) -> SourceTotals {
    let query = control_sql(part, &|_| None);
    let (_, batch) = read(schema_sql, &query.sql, &query.values);
    let row: Vec<Option<String>> = batch
        .columns
        .iter()
        .map(|c| match c.get(0) {
            RawValue::Int(i) => Some(i.to_string()),
            other => panic!("not an integer: {other:?}"),
        })
        .collect();
    query.totals(&row).expect("as asked")
}

fn text(batch: &RecordBatch, column: &str, row: usize) -> Option<String> {
    let array = batch.column_by_name(column).expect("column").as_string::<i32>();
    array.is_valid(row).then(|| array.value(row).to_owned())
}

fn int(batch: &RecordBatch, column: &str, row: usize) -> Option<i64> {
    let array = batch.column_by_name(column).expect("column").as_primitive::<Int64Type>();
    array.is_valid(row).then(|| array.value(row))
}

const ORDERS: &str = "
CREATE TABLE t_order (id, state, payable, paid, freight, created, paid_at, memo, deleted, cur, n, cashier, shop);
INSERT INTO t_order VALUES
 (1, 201, 19.99, '¥1,019.90', 0.005, '2026-03-01 02:03:04', 1772301784, 'x password=abc', 0, 'cny', 3, 'amy', '7'),
 (2, '301|x', '0.10', '', '0.0151', '2026-03-01 07:59:59.1234567', 0, NULL, NULL, '', NULL, NULL, '7'),
 (3, 101, 5, NULL, NULL, '0000-00-00 00:00:00', NULL, '', 1, NULL, '4', 17, '7'),
 (4, 201, 1.234, '1', 1, '2026-03-01 00:00:00', NULL, NULL, 0, NULL, NULL, NULL, '7'),
 (5, 999, 1, '1', 1, '2026-03-01 00:00:00', NULL, NULL, 0, NULL, NULL, NULL, '7'),
 (6, 201, -1, '1', 1, '2026-03-01 00:00:00', NULL, NULL, 0, NULL, NULL, NULL, '7'),
 (7, 201, '12abc', '1', 1, '2026-03-01 00:00:00', NULL, NULL, 0, NULL, NULL, NULL, '7'),
 (8, 201, 1, '1,0', 1, '2026-03-01 00:00:00', NULL, NULL, 0, NULL, NULL, NULL, '7'),
 (9, 201, 1, '1', 1, '2025-00-15', NULL, NULL, 0, NULL, NULL, NULL, '7'),
 (10, 201, 1, '1', 1, 'soon', NULL, NULL, 0, NULL, NULL, NULL, '7'),
 (11, 201, 1e300, '1', 1, '2026-03-01 00:00:00', NULL, NULL, 0, NULL, NULL, NULL, '7'),
 (12, 201, 9223372036854775807, '1', 1, '2026-03-01 00:00:00', NULL, NULL, 0, NULL, NULL, NULL, '7'),
 (13, 201, 1, '1', 1, '2026-03-01 00:00:00', NULL, 'a' || char(0), 0, NULL, NULL, NULL, '7'),
 (14, 201, 1, '1', 1, '2026-03-01 00:00:00', NULL, NULL, 2, NULL, NULL, NULL, '7'),
 (NULL, 201, 1, '1', 1, '2026-03-01 00:00:00', NULL, NULL, 0, NULL, NULL, NULL, '7'),
 (16, 201, x'3132', '1', 1, '2026-03-01 00:00:00', NULL, NULL, 0, NULL, NULL, NULL, '7'),
 (17, 201, 1, '1', 1, '2026-03-01 00:00:00', NULL, NULL, 0, 'jpy', NULL, NULL, '7'),
 (18, 201, 1, '1', 1, '2026-03-01 00:00:00', NULL, NULL, 0, NULL, 1.5, NULL, '7'),
 (99, 201, 1, '1', 1, '2026-03-01 00:00:00', NULL, NULL, 0, NULL, NULL, NULL, '8');
";

#[test]
fn orders_convert_and_the_source_agrees() {
    let part = part(&shop(), "trade_orders");
    let (header, raw) = read(ORDERS, &part.sql, &part.values);
    let mut converter = Converter::new(&part, &header, &context(chrono_tz::Asia::Shanghai)).expect("fits");
    let converted = converter.convert(&raw).expect("converts");
    let batch = &converted.batch;
    assert_eq!(batch.schema(), part.dataset.arrow_schema());
    assert_eq!(batch.num_rows(), 3);
    assert_eq!(text(batch, "status", 0).as_deref(), Some("paid"));
    assert_eq!(text(batch, "status_raw", 0).as_deref(), Some("201"));
    assert_eq!(text(batch, "status", 1).as_deref(), Some("shipped"));
    assert_eq!([0, 1, 2].map(|r| int(batch, "payable_fen", r)), [Some(1999), Some(10), Some(500)]);
    assert_eq!([0, 1, 2].map(|r| int(batch, "paid_fen", r)), [Some(101_990), None, None]);
    assert_eq!([0, 1, 2].map(|r| int(batch, "freight_fen", r)), [Some(0), Some(2), None]);
    assert_eq!(text(batch, "buyer_note", 0).as_deref(), Some("x password=[redacted]"));
    assert_eq!(text(batch, "buyer_note", 2).as_deref(), Some(""), "empty text is not NULL");
    assert_eq!(text(batch, "currency", 0).as_deref(), Some("CNY"));
    assert_eq!(text(batch, "cashier_ref", 0).as_deref(), Some("u:amy"));
    assert_eq!(text(batch, "cashier_ref", 2).as_deref(), Some("u:17"));
    assert_eq!(text(batch, "src_key", 1).as_deref(), Some("[\"2\"]"));
    assert_eq!(text(batch, "src_system", 0).as_deref(), Some("shop@2"));
    assert_eq!(text(batch, "src_table", 0).as_deref(), Some("t_order"));
    assert_eq!(text(batch, "evidence", 0).as_deref(), Some("recorded"));
    let deleted = batch.column_by_name("is_deleted").expect("column").as_boolean();
    assert_eq!([0, 1, 2].map(|r| deleted.value(r)), [false, false, true]);
    let created = batch.column_by_name("created_at").expect("column").as_primitive::<TimestampMicrosecondType>();
    // 02:03:04 in Shanghai is the evening before in UTC; the twin is the local day.
    assert_eq!(created.value(0), 1_772_301_784_000_000);
    assert_eq!(created.value(1) % 1_000_000, 123_456);
    assert!(created.is_null(2));
    let on = batch.column_by_name("created_on").expect("column").as_primitive::<Date32Type>();
    assert_eq!(on.value(0), 20_513);
    let paid = batch.column_by_name("paid_at").expect("column").as_primitive::<TimestampMicrosecondType>();
    assert_eq!((paid.value(0), paid.is_null(1)), (1_772_301_784_000_000, true));

    let reasons: Vec<(Option<&str>, &str, &str)> =
        converted.quarantined.iter().map(|q| (q.key[0].as_deref(), q.column.as_str(), q.reason)).collect();
    assert_eq!(
        reasons,
        [
            (None, "order_ref", "missing-key"),
            (Some("4"), "payable_fen", "sub-fen-digits"),
            (Some("5"), "status", "unknown-code"),
            (Some("6"), "payable_fen", "negative-amount"),
            (Some("7"), "payable_fen", "not-a-number"),
            (Some("8"), "paid_fen", "not-a-number"),
            (Some("9"), "created_at", "partial-zero-date"),
            (Some("10"), "created_at", "not-a-date"),
            (Some("11"), "payable_fen", "number-out-of-range"),
            (Some("12"), "payable_fen", "number-out-of-range"),
            (Some("13"), "buyer_note", "nul-character"),
            (Some("14"), "is_deleted", "not-a-flag"),
            (Some("16"), "payable_fen", "wrong-type"),
            (Some("17"), "currency", "unsupported-currency"),
            (Some("18"), "item_count", "not-a-number"),
        ]
    );
    let totals = converter.totals();
    assert_eq!((totals.rows_read, totals.rows_written, totals.rows_quarantined), (18, 3, 15));
    assert_eq!(totals.zero_sentinels, BTreeMap::from([("created_at".into(), 1), ("paid_at".into(), 1)]));
    assert_eq!(totals.truncated, BTreeMap::from([("created_at".into(), 1)]));
    assert_eq!(totals.empty_as_null, BTreeMap::from([("currency".into(), 1), ("paid_fen".into(), 1)]));
    assert_eq!(totals.redacted, BTreeMap::from([("buyer_note".into(), 1)]));
    assert_eq!(totals.rounded.get("freight_fen"), Some(&2));
    assert_eq!(totals.sums["payable_fen"].written, 2509);
    // 0.005 went down to 0, 0.0151 up to 0.02.
    assert_eq!(totals.sums["freight_fen"].rounded_off_e6(), -5000 + 4900);
    let source = source_totals(ORDERS, &part);
    assert_eq!(source.rows, 18);
    assert_eq!(reconcile(&source, totals), []);
    let mut wrong = source;
    wrong.sums.insert("paid_fen".into(), 0);
    assert_eq!(reconcile(&wrong, totals).len(), 1);
}

#[test]
fn statements_are_bound_and_described() {
    let part = part(&shop(), "trade_orders");
    assert_eq!(part.values, ["7"]);
    assert!(part.sql.ends_with("WHERE o.shop = ?1 -- only ours\nORDER BY o.id"), "{}", part.sql);
    assert_eq!(part.table, "t_order");
    assert_eq!(part.conditions, ["WHERE o.shop = ?1"]);
    let mapping = Mapping::parse("shop.toml", SHOP).expect("no mistakes");
    let params = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>()
    };
    let eb = mapping.bind(crate::model::Engine::Sqlite, &params(&[("zone", "UTC"), ("prefix", "eb_")])).expect("binds");
    assert_eq!(eb.parts()[0].table, "eb_order");
    assert_eq!(eb.missing_in(&BTreeMap::from([("EB_order".into(), vec!["ID".into()])])), ["eb_log", "eb_order.state"]);
    for bad in [
        params(&[]),
        params(&[("zone", "Mars")]),
        params(&[("zone", "UTC"), ("prefix", "x; DROP")]),
        params(&[("zone", "UTC"), ("typo", "1")]),
    ] {
        assert!(matches!(mapping.bind(crate::model::Engine::Sqlite, &bad), Err(Error::Param { .. })), "{bad:?}");
    }
}

const PAYMENTS: &str = "
CREATE TABLE t_pay (id, a, b, amount, at);
INSERT INTO t_pay VALUES ('p1', 1, 0, 100, '20260301000000'), ('p2', 1, 7, '25', 20260301000000), ('p3', 0, NULL, 3.0, '00000000000000'),
 ('p4', 5, 5, 1, '20260301000000'), ('p5', NULL, NULL, NULL, '20260301000000'), ('p6', 1, 0, 0.5, '20260301000000');
CREATE TABLE t_log (id, kind, who, detail);
INSERT INTO t_log VALUES (1, 'A', 'amy.wong', 'x'), (2, 'C', 'openid-1', 'y'), (3, NULL, 'bob.lee', 'z'), (4, 'A', 'amy.wong', 'w');
CREATE TABLE t_fee (no, fee, rate, day);
INSERT INTO t_fee VALUES (1, '0.0038', '0.60%', '2026-03-01'), (2, -0.38, 0.6, '2026-03-01 00:00:00'), (3, 0.0000001, '1', '2026-03-01'), (4, 1, '1', '2026-03-01 10:00:00');
";

#[test]
fn tuples_constants_and_companions() {
    let mapping = shop();
    let payments = part(&mapping, "payments");
    let (header, raw) = read(PAYMENTS, &payments.sql, &payments.values);
    let mut converter = Converter::new(&payments, &header, &context(chrono_tz::Asia::Shanghai)).expect("fits");
    let converted = converter.convert(&raw).expect("converts");
    let batch = &converted.batch;
    let words: Vec<Option<String>> = (0..batch.num_rows()).map(|r| text(batch, "status", r)).collect();
    assert_eq!(words, [Some("succeeded".into()), Some("created".into()), None, None]);
    let raws: Vec<Option<String>> = (0..batch.num_rows()).map(|r| text(batch, "status_raw", r)).collect();
    assert_eq!(raws, ["1|0", "0|null", "5|5", "null|null"].map(|s| Some(s.to_owned())));
    assert_eq!(converter.totals().unknown_codes, BTreeMap::from([("status".into(), 1)]));
    assert_eq!(text(batch, "merchant_ref", 0).as_deref(), Some("7"));
    assert_eq!(text(batch, "currency", 0).as_deref(), Some("CNY"));
    let reasons: Vec<&str> = converted.quarantined.iter().map(|q| q.reason).collect();
    assert_eq!(reasons, ["not-a-date", "sub-fen-digits"]);
    assert_eq!(reconcile(&source_totals(PAYMENTS, &payments), converter.totals()), []);

    let fees = part(&mapping, "bill_lines");
    let (header, raw) = read(PAYMENTS, &fees.sql, &fees.values);
    let mut converter = Converter::new(&fees, &header, &context(chrono_tz::Asia::Shanghai)).expect("fits");
    let converted = converter.convert(&raw).expect("converts");
    assert_eq!([0, 1].map(|r| int(&converted.batch, "fee_e6", r)), [Some(3800), Some(-380_000)]);
    let rates = converted.batch.column_by_name("fee_rate").expect("column").as_primitive::<Decimal128Type>();
    assert_eq!((rates.value(0), rates.value(1)), (600_000, 600_000));
    let reasons: Vec<&str> = converted.quarantined.iter().map(|q| q.reason).collect();
    assert_eq!(reasons, ["sub-fen-digits", "not-a-date"]);
    assert_eq!(reconcile(&source_totals(PAYMENTS, &fees), converter.totals()), []);
}

#[test]
fn first_read_finds_staff_only() {
    let mapping = shop();
    assert!(staff_sql(&part(&mapping, "payments")).is_none());
    let logs = part(&mapping, "operation_logs");
    let query = staff_sql(&logs).expect("has staff columns");
    let (header, raw) = read(PAYMENTS, &query.sql, &query.values);
    assert_eq!(header, ["actor_ref", "actor_type"]);
    let mut reader = StaffReader::new(&logs, &header, &context(chrono_tz::UTC)).expect("fits");
    let mut found = Vec::new();
    reader.each(&raw, &mut |column, value| found.push(format!("{}={value}", column.column.name))).expect("reads");
    found.sort();
    // Distinct rows; a missing actor counts as staff, a customer does not.
    assert_eq!(found, ["actor_ref=amy.wong", "actor_ref=bob.lee"]);
}

/// A raised column is read for staff identifiers, also by the parts that did not declare it; words of a vocabulary
/// name nobody and cannot be raised.
#[test]
fn raised_columns_are_staff_columns() {
    let text = |conv: &str| {
        format!(
            "[mapping]\nid = \"x\"\nversion = 1\n[[dataset.trade_orders.part]]\nevidence = \"recorded\"\n\
             sql.sqlite = \"SELECT a.id AS order_ref, a.s AS status FROM a\"\n{conv}\n\
             [[dataset.trade_orders.part]]\nevidence = \"recorded\"\nsql.sqlite = \"SELECT b.id AS order_ref FROM b\"\n"
        )
    };
    let raised = "conv.order_ref = { class = \"staff_id\" }";
    let mapping = Mapping::parse("x.toml", &text(raised))
        .expect("no mistakes")
        .bind(crate::model::Engine::Sqlite, &BTreeMap::new())
        .expect("binds");
    let [first, second] = mapping.parts() else { panic!("two parts") };
    assert!(staff_sql(first).expect("staff").sql.starts_with("SELECT DISTINCT \"order_ref\" FROM"));
    assert!(staff_sql(second).is_none());
    let mut all = schema::Raised::default();
    first.class_overrides().into_iter().for_each(|(column, class)| all.raise(column, class));
    let mut second = second.clone();
    second.raise(&all);
    assert_eq!(staff_sql(&second).expect("staff").columns[0].column.name, "order_ref");
    assert!(second.class_overrides().is_empty(), "it declares nothing itself");
    let problems = lint("x.toml", &text("conv.status = { class = \"staff_id\" }")).to_string();
    assert!(problems.contains("`status` takes words of a closed vocabulary"), "{problems}");
}

#[test]
fn an_unknown_code_stops_where_the_mapping_says_so() {
    let logs = part(&shop(), "operation_logs");
    let header: Vec<String> = logs.columns.clone();
    let mut raw = RawBatch::new(4);
    for (column, cell) in raw.columns.iter_mut().zip(["1", "Z", "x", "y"]) {
        column.push(RawValue::Text(cell));
    }
    let mut converter = Converter::new(&logs, &header, &context(chrono_tz::UTC)).expect("fits");
    let error = converter.convert(&raw).expect_err("stops");
    assert_eq!(
        error.to_string(),
        "dataset `operation_logs`, column `actor_type`: source code `Z` is not in [enum.who]"
    );
    assert!(matches!(Converter::new(&logs, &header[1..], &context(chrono_tz::UTC)), Err(Error::MissingColumn { .. })));
}

fn rows(cells: &[&[RawValue<'_>]]) -> RawBatch {
    let mut raw = RawBatch::new(cells[0].len());
    for row in cells {
        for (column, cell) in raw.columns.iter_mut().zip(*row) {
            column.push(*cell);
        }
    }
    raw
}

#[test]
fn canonical_rows() {
    use RawValue::{Bytes, Int, Text};
    let dataset = schema::dataset("departures").expect("exists");
    let names = ["departure_ref", "departed_on", "access_removed_at", "funds_diff_fen"].map(str::to_owned);
    let context = context(chrono_tz::Asia::Shanghai);
    let mut converter = canonical(dataset, "registers/departures.csv", &names, &context).expect("fits");
    let converted = converter
        .convert(&rows(&[
            &[Text("d1"), Text("2026/3/1"), Text("2026-03-01 08:00"), Text("120")],
            &[Text("d2"), Text("2026-03-02"), Text("2026-03-01T08:00:00+08:00"), Int(5)],
            &[Text("d3"), Text(""), Text(""), Text("")],
            &[Text("d4"), Text("03-02-2026"), Text(""), Text("")],
            &[Text("d5"), Text(""), Text("2026-03-01"), Text("")],
            &[Text("d6"), Text(""), Text(""), Text("1.5")],
            &[Text(""), Text(""), Text(""), Text("1")],
            &[Bytes(&[0xff]), Text(""), Text(""), Text("1")],
        ]))
        .expect("converts");
    assert_eq!(converted.batch.num_rows(), 3);
    let removed =
        converted.batch.column_by_name("access_removed_at").expect("column").as_primitive::<TimestampMicrosecondType>();
    assert_eq!(removed.value(0), removed.value(1));
    assert!(removed.is_null(2));
    assert_eq!(text(&converted.batch, "src_table", 0).as_deref(), Some("registers/departures.csv"));
    let reasons: Vec<&str> = converted.quarantined.iter().map(|q| q.reason).collect();
    assert_eq!(reasons, ["not-a-date", "not-a-date", "not-a-number", "missing-key", "invalid-utf8"]);
    let error = canonical(dataset, "x", &["departure_ref".into(), "surprise".into()], &context).expect_err("refused");
    assert!(error.to_string().contains("accepted: departure_ref, person_ref"), "{error}");
    assert!(matches!(canonical(dataset, "x", &["departed_on".into()], &context), Err(Error::MissingColumn { .. })));
    assert!(matches!(
        canonical(dataset, "x", &["departure_ref".into(), "departure_ref".into()], &context),
        Err(Error::DuplicateColumn { .. })
    ));
}

/// Every mistake of a bad file in one go, each at its place.
#[test]
fn all_mistakes_at_once() {
    // The list of all datasets grows with the schema; what matters here is that it is given.
    let text = lint("mistakes.toml", include_str!("fixtures/mistakes.toml")).to_string();
    let lines: Vec<String> = text
        .lines()
        .map(|line| match line.split_once("accepted: aftersales, ") {
            Some((start, _)) => format!("{start}accepted: aftersales, …"),
            None => line.to_owned(),
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_good_file_has_no_mistakes() {
    assert_eq!(lint("shop.toml", SHOP).to_string(), "");
    assert!(!lint("x.toml", "").0.is_empty());
    assert!(!lint("x.toml", "[[[").0.is_empty());
}

fn any_cell() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        Just(None),
        "\\PC{0,8}".prop_map(Some),
        "-?[0-9]{1,6}(\\.[0-9]{1,3})?".prop_map(Some),
        Just(Some("2026-03-01 08:00:00".to_owned())),
        Just(Some("201".to_owned())),
        Just(Some("1".to_owned())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// How rows are cut into batches changes neither rows, nor quarantine, nor totals.
    #[test]
    fn batch_size_does_not_matter(cells in prop::collection::vec(prop::collection::vec(any_cell(), 12), 1..20), size in 1_usize..7) {
        let part = part(&shop(), "trade_orders");
        let context = context(chrono_tz::Asia::Shanghai);
        let run = |size: usize| {
            let mut converter = Converter::new(&part, &part.columns, &context).expect("fits");
            let (mut batches, mut quarantined) = (Vec::new(), Vec::new());
            for chunk in cells.chunks(size) {
                let mut raw = RawBatch::new(12);
                for row in chunk {
                    for (column, cell) in raw.columns.iter_mut().zip(row) {
                        column.push(cell.as_deref().map_or(RawValue::Null, RawValue::Text));
                    }
                }
                let converted = converter.convert(&raw).expect("converts");
                batches.push(converted.batch);
                quarantined.extend(converted.quarantined);
            }
            let all = arrow::compute::concat_batches(&part.dataset.arrow_schema(), &batches).expect("same schema");
            (all, quarantined, converter.totals().clone())
        };
        let whole = run(cells.len());
        prop_assert_eq!(whole.2.rows_read, whole.2.rows_written + whole.2.rows_quarantined);
        prop_assert_eq!(run(size), whole);
    }
}

/// A part for many tables becomes one part per table, in name order, and nothing else of the database.
#[test]
fn a_pattern_stands_for_many_tables() {
    let text = r#"
[mapping]
id = "shards"
version = 1
requires = { "{p}order_[0-9][0-9]" = ["id"] }
[params]
p = { kind = "prefix", default = "t_" }
[dataset.order_events]
evidence = "recorded"
tables = "{p}order_[0-9][0-9]"
order = "o.id"
sql.default = "SELECT o.id AS event_ref, o.id AS order_ref, o.what AS note FROM {table} o WHERE o.what <> 'sealport any table'"
"#;
    let mapping = Mapping::parse("x.toml", text).expect("no mistakes");
    for engine in crate::model::Engine::ALL {
        let bound = mapping.bind(engine, &BTreeMap::from([("p".to_owned(), "s_".to_owned())])).expect("binds");
        let part = &bound.parts()[0];
        assert_eq!(part.pattern(), Some("s_order_[0-9][0-9]"));
        let names = part.matching(["s_order_10", "s_order_02", "s_order_old", "t_order_01", "s_order_100"].into_iter());
        assert_eq!(names, ["s_order_02", "s_order_10"]);
        let first = part.for_table(names[0]);
        assert_eq!((first.table.as_str(), first.pattern()), ("s_order_02", None));
        assert!(
            first.sql.contains(&engine.quoted("s_order_02")) && first.sql.ends_with("ORDER BY o.id"),
            "{}",
            first.sql
        );
        assert!(first.sql.contains("'sealport any table'"), "texts stay: {}", first.sql);
        assert_eq!(first.tables.iter().collect::<Vec<_>>(), ["s_order_02"]);
        let present = |names: &[&str]| names.iter().map(|n| ((*n).to_owned(), vec!["id".to_owned()])).collect();
        assert_eq!(bound.missing_in(&present(&["s_order_01"])), Vec::<String>::new());
        assert_eq!(bound.missing_in(&present(&["s_order_x"])), ["s_order_[0-9][0-9]"]);
        let bare = BTreeMap::from([("s_order_07".to_owned(), Vec::new())]);
        assert_eq!(bound.missing_in(&bare), ["s_order_07.id"]);
    }
    let wrong = text.replace("FROM {table} o", "FROM orders o");
    assert!(Mapping::parse("x.toml", &wrong).unwrap_err().to_string().contains("{table}"));
}
