//! The shipped queries of derived datasets over made-up shops: whatever bills and records hold, nothing is lost and
//! nothing counted twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, Date32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use chrono::NaiveDate;

use super::*;
use crate::policy::facts::epoch_days;
use crate::query::{Params, Session};
use crate::schema::{self, ColumnType};

type Row = BTreeMap<&'static str, String>;

/// Rows of the declared columns; what a row does not name is null.
fn table(derived: &Derived, name: &str, rows: &[Row]) -> RecordBatch {
    let dataset = schema::dataset(name).expect("dataset");
    let columns: Vec<_> = derived.needs[name].iter().map(|c| dataset.column(c).expect("column")).collect();
    let cell = |row: &Row, name: &str| row.get(name).cloned();
    let arrays = columns.iter().map(|c| -> ArrayRef {
        let cells: Vec<Option<String>> = rows.iter().map(|r| cell(r, c.name)).collect();
        let numbers = || cells.iter().map(|v| v.as_ref().map(|v| v.parse::<i64>().expect("number")));
        match c.ty {
            ColumnType::Text => Arc::new(StringArray::from_iter(cells)),
            ColumnType::Int => Arc::new(Int64Array::from_iter(numbers())),
            ColumnType::Bool => {
                Arc::new(BooleanArray::from_iter(cells.iter().map(|v| v.as_ref().map(|v| v == "true"))))
            }
            ColumnType::Date => Arc::new(Date32Array::from_iter(
                cells.iter().map(|v| v.as_ref().map(|v| epoch_days(v.parse::<NaiveDate>().expect("day")))),
            )),
            ColumnType::Instant => Arc::new(TimestampMicrosecondArray::from_iter(numbers()).with_timezone("UTC")),
            ColumnType::Decimal(_) => panic!("no decimal is read"),
        }
    });
    let arrays: Vec<ArrayRef> = arrays.collect();
    let fields: Vec<Field> = columns.iter().map(|c| Field::new(c.name, c.ty.arrow(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("batch")
}

/// A small generator: the same seed gives the same shop.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn maybe(&mut self, text: String) -> Option<String> {
        (self.roll(4) > 0).then_some(text)
    }
}

fn day(n: u64) -> String {
    format!("2026-07-{:02}", n + 1)
}

fn put(row: &mut Row, name: &'static str, value: Option<String>) {
    if let Some(value) = value {
        row.insert(name, value);
    }
}

/// Few numbers and days, so that repeats, both ways of matching and missing bills all occur.
fn shop(seed: u64) -> BTreeMap<&'static str, Vec<Row>> {
    let mut d = Dice(seed);
    let platforms = ["wechat", "alipay", "unionpay"];
    let mut tables: BTreeMap<&'static str, Vec<Row>> = BTreeMap::new();
    for b in 0..4 + d.roll(3) {
        let (mch, on) = (format!("m{}", d.roll(2)), day(d.roll(5)));
        let mut bill = Row::from([("bill_ref", format!("b{b}")), ("bill_kind", "trade".into())]);
        put(&mut bill, "mch_id", d.maybe(mch.clone()));
        put(&mut bill, "bill_on", d.maybe(on.clone()));
        tables.entry("bills").or_default().push(bill);
        for n in 0..d.roll(7) {
            let is_refund = d.roll(3) == 0;
            let mut line = Row::from([
                ("bill_ref", format!("b{b}")),
                ("line_no", (n + 1).to_string()),
                ("bill_kind", "trade".into()),
                ("platform", platforms[d.roll(3) as usize].into()),
                (
                    "state",
                    ["SUCCESS", "REFUND", "REVOKED"][if is_refund { 1 } else { (d.roll(8) / 7 * 2) as usize }].into(),
                ),
            ]);
            if d.roll(8) == 0 {
                line.insert("state", "UNCLASSIFIED".into());
            }
            put(&mut line, "mch_id", d.maybe(mch.clone()));
            put(&mut line, "bill_on", d.maybe(on.clone()));
            let (channel, own) = (format!("n{}", d.roll(9)), format!("o{}", d.roll(6)));
            let (channel, own) = (d.maybe(channel), d.maybe(own));
            if is_refund {
                put(&mut line, "channel_refund_no", channel);
                put(&mut line, "out_refund_no", own);
                let fen = d.roll(3).to_string();
                put(&mut line, "refund_fen", d.maybe(fen));
            } else {
                put(&mut line, "channel_trade_no", channel);
                put(&mut line, "out_trade_no", own);
                let fen = d.roll(3).to_string();
                put(&mut line, "order_fen", d.maybe(fen));
            }
            tables.entry("bill_lines").or_default().push(line);
        }
    }
    for p in 0..d.roll(9) {
        let status = ["succeeded", "closed", "refunded", "pending"][d.roll(4) as usize];
        let mut payment = Row::from([
            ("payment_ref", format!("p{p}")),
            ("status", status.into()),
            ("platform", platforms[d.roll(3) as usize].into()),
        ]);
        let (own, mch, on, fen) =
            (format!("o{}", d.roll(6)), format!("m{}", d.roll(2)), day(d.roll(5)), d.roll(3).to_string());
        put(&mut payment, "out_trade_no", d.maybe(own));
        put(&mut payment, "mch_id", d.maybe(mch));
        put(&mut payment, "paid_on", d.maybe(on));
        put(&mut payment, "amount_fen", d.maybe(fen));
        tables.entry("payments").or_default().push(payment);
        for f in 0..d.roll(3) {
            let tender = ["wechat", "alipay", "unionpay", "coupon"][d.roll(4) as usize];
            let status = ["succeeded", "failed"][d.roll(2) as usize];
            let mut flow = Row::from([
                ("flow_ref", format!("f{p}.{f}")),
                ("payment_ref", format!("p{p}")),
                ("tender", tender.into()),
                ("status", status.into()),
            ]);
            let number = format!("n{}", d.roll(9));
            put(&mut flow, "channel_trade_no", d.maybe(number));
            tables.entry("payment_flows").or_default().push(flow);
        }
        if d.roll(2) == 0 {
            let status = ["succeeded", "processing", "failed"][d.roll(3) as usize];
            let mut refund = Row::from([
                ("refund_ref", format!("r{p}")),
                ("payment_ref", format!("p{p}")),
                ("status", status.into()),
            ]);
            let (channel, own, on, fen) =
                (format!("n{}", d.roll(9)), format!("o{}", d.roll(6)), day(d.roll(5)), d.roll(3).to_string());
            put(&mut refund, "channel_refund_no", d.maybe(channel));
            put(&mut refund, "out_refund_no", d.maybe(own));
            put(&mut refund, "succeeded_on", d.maybe(on));
            put(&mut refund, "amount_fen", d.maybe(fen));
            tables.entry("refunds").or_default().push(refund);
        }
    }
    tables
}

const PAID: [&str; 3] = ["succeeded", "refunded", "partially_refunded"];

/// What must stand in the items whatever the bills say: flows and payments that were paid through a platform, and
/// refunds that went back the way they came.
fn owed(shop: &BTreeMap<&'static str, Vec<Row>>) -> BTreeSet<String> {
    let rows = |name: &str| shop.get(name).map(Vec::as_slice).unwrap_or_default();
    let is_paid = |row: &Row| PAID.contains(&row["status"].as_str());
    let mut owed = BTreeSet::new();
    for payment in rows("payments") {
        let flows: Vec<&Row> = rows("payment_flows")
            .iter()
            .filter(|f| f["payment_ref"] == payment["payment_ref"] && f["tender"] != "coupon")
            .collect();
        if flows.is_empty() && is_paid(payment) {
            owed.insert(payment["payment_ref"].clone());
        }
        owed.extend(flows.iter().filter(|f| is_paid(payment) && is_paid(f)).map(|f| f["flow_ref"].clone()));
    }
    owed.extend(rows("refunds").iter().filter(|r| r["status"] == "succeeded").map(|r| r["refund_ref"].clone()));
    owed
}

/// The rows, computed step by step as a check does.
async fn computed(session: &Session, derived: &Derived) -> Vec<RecordBatch> {
    let (steps, last) = derived.split().expect("the text falls into its steps");
    for (name, sql) in &steps {
        let schema = session.describe(sql, &Params::new()).await.expect("the step is planned");
        let fields: Vec<Field> = schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let batches = session.collect(sql, &Params::new()).await.expect("the step runs");
        let batches: Vec<RecordBatch> = batches
            .iter()
            .map(|b| RecordBatch::try_new(Arc::clone(&schema), b.columns().to_vec()).expect("the same columns"))
            .collect();
        session.add_rows(name, concat_batches(&schema, &batches).expect("one batch")).await.expect("the step is kept");
    }
    session.collect(&last, &Params::new()).await.expect("the last step runs")
}

/// Names and kinds of the items, sorted.
fn refs(batches: &[RecordBatch]) -> Vec<(String, String)> {
    let mut refs = Vec::new();
    for batch in batches {
        let text = |name: &str| batch.column_by_name(name).expect("column").as_string::<i32>().clone();
        let (items, kinds) = (text("item_ref"), text("kind"));
        refs.extend((0..batch.num_rows()).map(|i| (items.value(i).to_owned(), kinds.value(i).to_owned())));
    }
    refs.sort();
    refs
}

/// Every line stands in exactly one item; every record of ours in at most one, and in one if it is owed; matched
/// items and one-sided ones add up to both sides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_counted_twice() {
    let dir = tempfile::tempdir().expect("dir");
    let base = Session::new(&limits(&dir)).expect("engine");
    let pack = Pack::embedded().unwrap_or_else(|e| panic!("the shipped pack loads: {e}"));
    let derived = pack.derived().find(|d| d.name == "recon_items").expect("recon_items").clone();
    let mut kinds = BTreeSet::new();
    for seed in 0..20 {
        let shop = shop(seed * 7_919 + 1);
        let session = base.fork();
        for name in derived.needs.keys() {
            let rows = shop.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
            session.add_rows(name, table(&derived, name, rows)).await.expect("rows");
        }
        let (mut items, mut lines, mut records) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (mut both, mut only_here, mut only_there) = (0, 0, 0);
        let by_steps = computed(&session, &derived).await;
        if seed == 0 {
            let whole = session.collect(&derived.sql, &Params::new()).await.expect("the text as it stands");
            assert_eq!(refs(&whole), refs(&by_steps), "the steps give other rows than the text");
        }
        for batch in by_steps {
            let text = |name: &str, i: usize| {
                let column = batch.column_by_name(name).expect("column").as_string::<i32>().clone();
                (!column.is_null(i)).then(|| column.value(i).to_owned())
            };
            for i in 0..batch.num_rows() {
                assert!(items.insert(text("item_ref", i)), "seed {seed}: an item twice");
                kinds.extend(text("kind", i));
                let line = text("bill_ref", i).map(|b| {
                    let number = batch.column_by_name("line_no").expect("line_no").as_primitive::<Int64Type>().value(i);
                    format!("{b}/{number}")
                });
                let record = text("flow_ref", i).or_else(|| text("local_ref", i));
                match (&line, &record) {
                    (Some(_), Some(_)) => both += 1,
                    (None, Some(_)) => only_here += 1,
                    (Some(_), None) => only_there += 1,
                    (None, None) => panic!("seed {seed}: an item about nothing"),
                }
                if let Some(line) = line {
                    assert!(lines.insert(line), "seed {seed}: a line twice");
                }
                if let Some(record) = record {
                    assert!(records.insert(record.clone()), "seed {seed}: {record} twice");
                }
            }
        }
        let printed = shop.get("bill_lines").map_or(0, Vec::len);
        assert_eq!(both + only_there, printed, "seed {seed}: lines");
        assert_eq!(both + only_here, records.len(), "seed {seed}: records");
        let missing: Vec<String> = owed(&shop).difference(&records).cloned().collect();
        assert_eq!(missing, [] as [String; 0], "seed {seed}: records that no item holds");
    }
    for kind in
        ["matched", "missing_local", "missing_platform", "amount", "status", "repeated", "not_compared", "unclassified"]
    {
        assert!(kinds.contains(kind), "the shops never show {kind}");
    }
}

/// Orders of a shop's payments and what its ledger says about both, right and wrong.
fn books(shop: &mut BTreeMap<&'static str, Vec<Row>>, seed: u64) {
    let mut d = Dice(seed);
    let (mut orders, mut lines) = (Vec::new(), Vec::new());
    for payment in shop.entry("payments").or_default() {
        let (order, fen) = (format!("s{}", d.roll(9)), d.roll(3).to_string());
        put(payment, "order_ref", d.maybe(order.clone()));
        let mut sold = Row::from([("order_ref", order.clone()), ("status", "paid".into())]);
        put(&mut sold, "paid_fen", d.maybe(fen.clone()));
        put(&mut sold, "paid_on", payment.get("paid_on").cloned());
        orders.push(sold);
        for _ in 0..d.roll(3) {
            let about = ["payment", "order"][d.roll(2) as usize];
            let mut line = Row::from([
                ("kind", "payment".into()),
                ("account_ref", format!("a{}", d.roll(2))),
                ("about_kind", about.into()),
                ("signed_fen", fen.clone()),
            ]);
            let named = if about == "order" { order.clone() } else { payment["payment_ref"].clone() };
            put(&mut line, "about_ref", d.maybe(named));
            put(&mut line, "booked_on", payment.get("paid_on").cloned());
            lines.push(line);
        }
    }
    shop.insert("trade_orders", orders);
    shop.insert("fund_flows", lines);
}

/// The daily totals are the same whether the text runs as a whole or step by step, and a day stands there once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn daily_totals_by_steps_and_as_a_whole() {
    let dir = tempfile::tempdir().expect("dir");
    let base = Session::new(&limits(&dir)).expect("engine");
    let pack = Pack::embedded().unwrap_or_else(|e| panic!("the shipped pack loads: {e}"));
    let derived = pack.derived().find(|d| d.name == "domain_days").expect("domain_days").clone();
    let mut kinds = BTreeSet::new();
    for seed in 0..4 {
        let mut shop = shop(seed * 7_919 + 1);
        books(&mut shop, seed);
        let session = base.fork();
        for name in derived.needs.keys() {
            let rows = shop.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
            session.add_rows(name, table(&derived, name, rows)).await.expect("rows");
        }
        let totals = |batches: &[RecordBatch]| {
            let mut totals = BTreeMap::new();
            for batch in batches {
                let number =
                    |name: &str| batch.column_by_name(name).expect("column").as_primitive::<Int64Type>().clone();
                let text = |name: &str| batch.column_by_name(name).expect("column").as_string::<i32>().clone();
                let (named, kind) = (text("total_ref"), text("kind"));
                let figures = ["item_count", "left_fen", "right_fen", "differing_count"].map(number);
                for i in 0..batch.num_rows() {
                    let row = (kind.value(i).to_owned(), figures.clone().map(|f| f.value(i)));
                    assert!(totals.insert(named.value(i).to_owned(), row).is_none(), "seed {seed}: a day twice");
                }
            }
            totals
        };
        let by_steps = totals(&computed(&session, &derived).await);
        let whole = totals(&session.collect(&derived.sql, &Params::new()).await.expect("the text as it stands"));
        assert_eq!(by_steps, whole, "seed {seed}");
        kinds.extend(whole.into_values().map(|(kind, _)| kind));
    }
    assert_eq!(kinds.len(), 3, "{kinds:?}");
}
