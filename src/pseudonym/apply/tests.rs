use std::collections::BTreeMap;

use arrow::array::{BooleanArray, TimestampMicrosecondArray, new_null_array};
use proptest::prelude::*;

use super::super::{IdentifierKind, LeakHit, StaffMatcherBuilder, scan_batch};
use super::*;
use crate::schema;

type Cells<'a> = BTreeMap<&'a str, Vec<Option<&'a str>>>;

fn batch(dataset: &'static Dataset, cells: &Cells<'_>) -> RecordBatch {
    let rows = cells.values().next().map_or(0, Vec::len);
    let columns = dataset.columns.iter().map(|c| -> ArrayRef {
        match (cells.get(c.name), c.ty) {
            (Some(texts), ColumnType::Text) => Arc::new(StringArray::from(texts.clone())),
            (_, ColumnType::Text) if !c.nullable => Arc::new(StringArray::from(vec!["-"; rows])),
            (_, ColumnType::Bool) if !c.nullable => Arc::new(BooleanArray::from(vec![false; rows])),
            (_, ColumnType::Instant) if !c.nullable => {
                Arc::new(TimestampMicrosecondArray::from(vec![1_611_824_831_000_000; rows]).with_timezone("UTC"))
            }
            _ => new_null_array(&c.ty.arrow(), rows),
        }
    });
    let columns = columns.collect();
    RecordBatch::try_new(dataset.arrow_schema(), columns).unwrap()
}

fn pseudonymiser() -> Pseudonymiser {
    let mut builder = StaffMatcherBuilder::new();
    for value in ["zhangwei88", "13900001111", "王小芳"] {
        builder.add(value, IdentifierKind::of("login_name", value));
    }
    Pseudonymiser::new(&Keys::test_only(1), Arc::new(builder.build().unwrap()))
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<Option<String>> {
    batch.column_by_name(column).unwrap().as_string::<i32>().iter().map(|t| t.map(str::to_owned)).collect()
}

fn scan(matcher: &StaffMatcher, dataset: &Dataset, raised: &Raised, batch: &RecordBatch) -> Vec<LeakHit> {
    let is_free_text = |name: &str| dataset.column(name).is_some_and(|c| raised.class_of(c) == Class::FreeText);
    scan_batch(matcher, dataset.name, &is_free_text, batch)
}

/// Staff and customers get tokens under different keys, contacts are masked, free text redacted, the rest kept.
#[test]
fn by_class() {
    let keys = Keys::test_only(1);
    let mut p = pseudonymiser();
    let orders = schema::dataset("trade_orders").unwrap();
    let cells = Cells::from([
        ("order_ref", vec![Some("A\"1"), Some("A2")]),
        ("customer_ref", vec![Some("u1"), None]),
        ("cashier_ref", vec![Some("u1"), Some("")]),
        ("receiver_phone", vec![Some("13800138000"), None]),
        ("receiver_address", vec![Some("上海 12号"), Some("")]),
        ("buyer_note", vec![Some("call zhangwei88 13800138000"), Some("thanks")]),
    ]);
    let out = p.apply(orders, &Raised::default(), batch(orders, &cells)).unwrap();
    assert_eq!(texts(&out, "customer_ref"), [Some(keys.token(TokenKind::Customer, "u1")), None]);
    assert_eq!(texts(&out, "cashier_ref"), [Some(keys.token(TokenKind::Staff, "u1")), Some(String::new())]);
    assert_eq!(texts(&out, "receiver_phone"), [Some("1**********".into()), None]);
    assert_eq!(texts(&out, "receiver_address"), [Some("上* ***".into()), Some(String::new())]);
    assert_eq!(texts(&out, "buyer_note"), [Some("call [staff] [phone]".into()), Some("thanks".into())]);
    assert_eq!(texts(&out, "order_ref"), [Some("A\"1".into()), Some("A2".into())]);
    assert_eq!(texts(&out, "src_key"), [Some(r#"["A\"1"]"#.into()), Some(r#"["A2"]"#.into())]);
    let counts: Vec<_> = p.counts().iter().collect();
    assert_eq!(counts, [("trade_orders", "buyer_note", "phone", 1), ("trade_orders", "buyer_note", "staff", 1)]);
    assert!(scan(&p.matcher, orders, &Raised::default(), &out).is_empty());
}

/// One column, four answers: whose token it is depends on the row.
#[test]
fn per_row() {
    let keys = Keys::test_only(1);
    let mut p = pseudonymiser();
    let logins = schema::dataset("logins").unwrap();
    let cells = Cells::from([
        ("login_ref", vec![Some("1"); 6]),
        (
            "actor_type",
            vec![Some("staff"), Some("customer"), Some("system"), Some("unknown"), None, Some("something else")],
        ),
        ("actor_ref", vec![Some("job-7"); 6]),
    ]);
    let out = p.apply(logins, &Raised::default(), batch(logins, &cells)).unwrap();
    let (staff, customer) = (keys.token(TokenKind::Staff, "job-7"), keys.token(TokenKind::Customer, "job-7"));
    let expected = [&*staff, &*customer, "job-7", &*staff, &*staff, &*staff].map(|s| Some(s.to_owned()));
    assert_eq!(texts(&out, "actor_ref"), expected);
}

/// Keys of people become tokens in `src_key` too, and keys that are no texts are spelled.
#[test]
fn source_keys_are_classed() {
    let keys = Keys::test_only(1);
    let mut p = pseudonymiser();
    let staff = schema::dataset("staff").unwrap();
    let out = p
        .apply(staff, &Raised::default(), batch(staff, &Cells::from([("staff_ref", vec![Some("zhangwei88")])])))
        .unwrap();
    let token = keys.token(TokenKind::Staff, "zhangwei88");
    assert_eq!(texts(&out, "src_key"), [Some(format!("[\"{token}\"]"))]);
    assert_eq!(p.token_for_key(staff, &Raised::default(), &[Some("zhangwei88".into())]), format!("[\"{token}\"]"));

    let balances = schema::dataset("balances").unwrap();
    let out = p
        .apply(balances, &Raised::default(), batch(balances, &Cells::from([("account_ref", vec![Some("a")])])))
        .unwrap();
    assert_eq!(texts(&out, "src_key"), [Some(r#"["a","2021-01-28T09:07:11Z"]"#.into())]);
    assert_eq!(p.token_for_key(balances, &Raised::default(), &[Some("[".into()), None]), r#"["[",null]"#);
}

/// The gate sees what a wrong mapping puts into a clear column, and says only where.
#[test]
fn the_gate_sees_clear_columns() {
    let mut p = pseudonymiser();
    let stores = schema::dataset("stores").unwrap();
    let cells = Cells::from([("store_ref", vec![Some("1")]), ("address", vec![Some("路1号 tel 13900001111")])]);
    let out = p.apply(stores, &Raised::default(), batch(stores, &cells)).unwrap();
    let hits = scan(&p.matcher, stores, &Raised::default(), &out);
    assert_eq!(hits.len(), 1);
    assert_eq!((hits[0].column.as_str(), hits[0].kind, hits[0].count), ("address", "phone", 1));
}

/// A column whose class a mapping made stronger is treated by that class, in `src_key` and in quarantine too; the gate
/// then looks for names in it as in any free text.
#[test]
fn raised_classes() {
    let keys = Keys::test_only(1);
    let mut p = pseudonymiser();
    let stores = schema::dataset("stores").unwrap();
    let cells = Cells::from([
        ("store_ref", vec![Some("zhangwei88"), Some("b")]),
        ("name", vec![Some("王小芳的店"), None]),
        ("address", vec![Some("上海 12号"), Some("")]),
        ("region_code", vec![Some("310000"), Some("x")]),
    ]);
    let mut raised = Raised::default();
    let raw = batch(stores, &cells);
    assert_eq!(p.apply(stores, &raised, raw.clone()).unwrap().column(0), raw.column(0));
    assert!(!scan(&p.matcher, stores, &raised, &raw).iter().any(|h| h.column == "name"));
    for (column, class) in [
        ("store_ref", Class::StaffId),
        ("name", Class::FreeText),
        ("address", Class::Contact),
        ("region_code", Class::CustomerId),
    ] {
        raised.raise(column, class);
    }
    assert!(scan(&p.matcher, stores, &raised, &raw).iter().any(|h| h.column == "name" && h.kind == "name"));
    let out = p.apply(stores, &raised, raw).unwrap();
    let (a, b) = (keys.token(TokenKind::Staff, "zhangwei88"), keys.token(TokenKind::Staff, "b"));
    assert_eq!(texts(&out, "store_ref"), [Some(a.clone()), Some(b.clone())]);
    assert_eq!(texts(&out, "src_key"), [Some(format!("[\"{a}\"]")), Some(format!("[\"{b}\"]"))]);
    assert_eq!(texts(&out, "name"), [Some("[staff]的店".into()), None]);
    assert_eq!(texts(&out, "address"), [Some("上* ***".into()), Some(String::new())]);
    assert_eq!(texts(&out, "region_code")[0], Some(keys.token(TokenKind::Customer, "310000")));
    assert_eq!(p.token_for_key(stores, &raised, &[Some("b".into())]), format!("[\"{b}\"]"));
    assert!(scan(&p.matcher, stores, &raised, &out).is_empty());
}

/// A batch of another dataset is refused.
#[test]
fn wrong_batch() {
    let (stores, staff) = (schema::dataset("stores").unwrap(), schema::dataset("staff").unwrap());
    let other = batch(stores, &Cells::from([("store_ref", vec![Some("1")])]));
    assert!(matches!(
        pseudonymiser().apply(staff, &Raised::default(), other),
        Err(Error::Batch { dataset: "staff", .. })
    ));
}

proptest! {
    /// How rows are cut into batches changes nothing, neither cells nor counts.
    #[test]
    fn batches_do_not_matter(rows in prop::collection::vec((any::<bool>(), "\\PC{0,12}", 0..3_usize), 1..40), cut in 0..40_usize) {
        let notes = ["", "by zhangwei88", "由王小芳处理 13900001111"];
        let logs = schema::dataset("operation_logs").unwrap();
        let cells = Cells::from([
            ("log_ref", rows.iter().map(|_| Some("r")).collect()),
            ("actor_type", rows.iter().map(|(s, _, _)| Some(if *s { "staff" } else { "customer" })).collect()),
            ("actor_ref", rows.iter().map(|(_, v, _)| Some(v.as_str())).collect()),
            ("detail", rows.iter().map(|(_, _, n)| Some(notes[*n])).collect()),
        ]);
        let whole = batch(logs, &cells);
        let cut = cut.min(rows.len());
        let (mut one, mut two) = (pseudonymiser(), pseudonymiser());
        let all = one.apply(logs, &Raised::default(), whole.clone()).unwrap();
        let parts = [whole.slice(0, cut), whole.slice(cut, rows.len() - cut)];
        let parts: Vec<RecordBatch> = parts.into_iter().map(|b| two.apply(logs, &Raised::default(), b).unwrap()).collect();
        let joined = arrow::compute::concat_batches(&logs.arrow_schema(), &parts).unwrap();
        prop_assert_eq!(&all, &joined);
        prop_assert_eq!(one.counts(), two.counts());
        prop_assert!(scan(&one.matcher, logs, &Raised::default(), &all).is_empty());
    }
}
