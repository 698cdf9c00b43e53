//! Every kind of value in every kind of column: kept exactly, replaced, or beside the row; nothing lost.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int64Type, UInt64Type};

use super::*;
use crate::mapping::Mapping;
use crate::mapping::raw::{SourceTable, plan};
use crate::model::Engine;
use crate::pseudonym::{IdentifierKind, Keys, StaffMatcherBuilder};

const MAPPING: &str = r#"
[mapping]
id = "shop"
version = 1
[enum.who]
"1" = "staff"
"2" = "customer"
[dataset.staff]
evidence = "recorded"
conv.state = { const = "active" }
sql.default = "SELECT 'u:' || u.id AS staff_ref, u.login AS login_name FROM t u"
[dataset.logins]
evidence = "recorded"
conv.actor_type = { enum = "who" }
sql.default = "SELECT u.no AS login_ref, u.kind AS actor_type, 'u:' || u.who AS actor_ref FROM t u"
"#;

struct Fixture {
    encoder: Encoder,
    keys: Keys,
}

fn fixture(engine: Engine, columns: &[(&str, &str)], rules: &str) -> Fixture {
    let text = format!("{MAPPING}\n[raw.t]\n{rules}\n");
    let mapping = Mapping::parse("m.toml", &text).unwrap().bind(engine, &BTreeMap::new()).unwrap();
    let parts: Vec<_> = mapping.parts().iter().collect();
    let source = SourceTable {
        name: "t".into(),
        columns: columns.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect(),
        key: Vec::new(),
    };
    let found = plan(engine, &parts, mapping.raw(), &[source], &crate::pseudonym::is_secret_name);
    assert_eq!(found.unknown, Vec::<String>::new());
    let table = Arc::new(found.tables.into_iter().next().unwrap());
    let keys = Keys::test_only(7);
    let mut staff = StaffMatcherBuilder::new();
    staff.add("zhang.wei", IdentifierKind::Login);
    let pseudonymiser = Pseudonymiser::new(&keys, Arc::new(staff.build().unwrap()));
    let mac_keys = keys.clone();
    let spec = spec("raw_t", &table, None);
    let encoder = Encoder::new(&spec, table, pseudonymiser, Arc::new(move |bytes| mac_keys.fingerprint(bytes)));
    Fixture { encoder, keys }
}

impl Fixture {
    /// Encodes one row.
    fn row(&mut self, cells: &[RawValue<'_>]) -> RecordBatch {
        let mut raw = RawBatch::new(cells.len());
        raw.columns.iter_mut().zip(cells).for_each(|(column, cell)| column.push(*cell));
        self.encoder.encode(&raw).unwrap()
    }
}

fn text<'b>(batch: &'b RecordBatch, column: &str) -> Option<&'b str> {
    let texts = batch.column_by_name(column).unwrap().as_string::<i32>();
    texts.is_valid(0).then(|| texts.value(0))
}

fn misfit(batch: &RecordBatch) -> Value {
    text(batch, "src_misfit").map_or(Value::Null, |m| serde_json::from_str(m).unwrap())
}

/// SQLite puts any value into any column: what fits the type stands there, everything else beside the row.
#[test]
fn storage_classes() {
    use RawValue::*;
    let columns = [("n", "INTEGER"), ("s", "TEXT"), ("d", "DECIMAL(10,2)"), ("r", "REAL"), ("b", "BLOB")];
    let mut f = fixture(Engine::Sqlite, &columns, "");
    let batch = f.row(&[Int(i64::MIN), Text("a\0b"), Int(5), Real(0.1), Bytes(&[0, 255])]);
    assert_eq!(batch.column_by_name("n").unwrap().as_primitive::<Int64Type>().value(0), i64::MIN);
    assert_eq!((text(&batch, "s"), text(&batch, "d"), text(&batch, "r")), (Some("a\0b"), Some("5"), Some("0.1")));
    assert_eq!(batch.column_by_name("b").unwrap().as_binary::<i32>().value(0), [0, 255]);
    assert_eq!(misfit(&batch), Value::Null);
    assert_eq!(f.encoder.totals.nul_characters, BTreeMap::from([("s".to_owned(), 1)]));

    let batch = f.row(&[Text("many"), Int(7), Text("1.50"), Text("x"), Text("y")]);
    assert!(["n", "s", "d", "r", "b"].iter().all(|c| batch.column_by_name(c).unwrap().is_null(0)));
    assert_eq!(
        misfit(&batch),
        json!({ "n": {"text": "many"}, "s": {"int": "7"}, "d": {"text": "1.50"}, "r": {"text": "x"}, "b": {"text": "y"} })
    );
    let batch = f.row(&[Real(-0.0), Bytes(&[0xff]), Real(1e300), Int(3), Null]);
    assert_eq!((text(&batch, "d"), text(&batch, "r")), (Some("1e300"), Some("3")));
    assert_eq!(misfit(&batch), json!({ "n": {"real": "-0.0"}, "s": {"bytes": "ff"} }));
    assert_eq!(f.encoder.totals.misfits["n"], 2);
    assert_eq!(f.encoder.totals.rows, 3);
    let batch = f.row(&[Null; 5]);
    assert!(batch.columns().iter().all(|c| c.is_null(0)));
}

/// Typed engines: unsigned beyond i64, decimals digit by digit, bytes that look like text, what no decimal holds.
#[test]
fn typed_engines() {
    use RawValue::*;
    let columns =
        [("u", "bigint(20) unsigned"), ("d", "decimal(38,2)"), ("b", "varbinary(9)"), ("long", "decimal(63,0)")];
    let mut f = fixture(Engine::MySql, &columns, "");
    let digits = "9".repeat(63);
    let batch = f.row(&[
        Text("18446744073709551615"),
        Text("-999999999999999999999999999999999999.99"),
        Text("ab"),
        Text(&digits),
    ]);
    assert_eq!(batch.column_by_name("u").unwrap().as_primitive::<UInt64Type>().value(0), u64::MAX);
    let decimals = batch.column_by_name("d").unwrap().as_primitive::<Decimal128Type>();
    assert_eq!(decimals.value_as_string(0), "-999999999999999999999999999999999999.99");
    assert_eq!(batch.column_by_name("b").unwrap().as_binary::<i32>().value(0), b"ab");
    assert_eq!(text(&batch, "long"), Some(digits.as_str()));
    let mut f = fixture(Engine::Postgres, &[("d", "numeric(10,2)"), ("t", "boolean")], "");
    let batch = f.row(&[Text("NaN"), Int(1)]);
    assert_eq!(misfit(&batch), json!({ "d": {"text": "NaN"} }));
    assert!(batch.column_by_name("t").unwrap().as_boolean().value(0));
    f.row(&[Text("1.25"), Int(0)]);
    assert_eq!(f.encoder.totals.sums["d"], 125);
}

/// People become the tokens that the canonical layer has, whoever they are by the row; texts lose what must not be
/// sealed, in the right column and in the wrong one; secrets become fingerprints.
#[test]
fn classes() {
    use RawValue::*;
    let columns = [
        ("id", "INTEGER"),
        ("login", "TEXT"),
        ("no", "INTEGER"),
        ("kind", "INTEGER"),
        ("who", "INTEGER"),
        ("note", "TEXT"),
        ("api_key", "TEXT"),
        ("tel", "TEXT"),
        ("n", "INTEGER"),
        ("pic", "BLOB"),
    ];
    let mut f = fixture(Engine::Sqlite, &columns, "class.tel = \"contact\"");
    let row = |f: &mut Fixture, kind| {
        let pic = b"\xff zhang.wei \xfe".as_slice();
        f.row(&[
            Int(17),
            Text("zhang.wei"),
            Int(1),
            Int(kind),
            Int(17),
            Text("by zhang.wei"),
            Text("k1"),
            Text("13800138000"),
            Text("zhang.wei"),
            Bytes(pic),
        ])
    };
    let batch = row(&mut f, 1);
    let (staff, customer) = (f.keys.token(TokenKind::Staff, "u:17"), f.keys.token(TokenKind::Customer, "u:17"));
    assert_eq!(text(&batch, "id"), Some(staff.as_str()));
    assert_eq!(text(&batch, "who"), Some(staff.as_str()), "the same person in two columns");
    assert_eq!(text(&batch, "login"), Some(f.keys.token(TokenKind::Staff, "zhang.wei").as_str()));
    assert_eq!(text(&batch, "src_key"), Some(format!("[\"{staff}\"]").as_str()), "as the canonical row spells it");
    assert_eq!(text(&batch, "note"), Some("by [staff]"));
    assert_eq!(text(&batch, "api_key"), Some(f.keys.fingerprint(b"k1").as_str()));
    assert_eq!(text(&batch, "tel"), Some("1**********"));
    assert_eq!(misfit(&batch), json!({ "n": {"text": "[staff]"} }));
    assert_eq!(batch.column_by_name("pic").unwrap().as_binary::<i32>().value(0), b"\xff [staff] \xfe");
    assert_eq!(text(&row(&mut f, 2), "who"), Some(customer.as_str()));
    assert_eq!(text(&row(&mut f, 9), "who"), Some(staff.as_str()), "an unknown code is treated as staff");
}

/// A row longer than a leaf may be keeps everything but its longest values, and those leave digest and length.
#[test]
fn rows_too_long() {
    use RawValue::*;
    let columns = [("a", "TEXT"), ("b", "BLOB"), ("c", "TEXT")];
    let mut f = fixture(Engine::Sqlite, &columns, "class.a = \"none\"\nclass.b = \"none\"\nclass.c = \"none\"");
    let (long, bytes) = ("\u{1}".repeat(300_000), vec![7_u8; 200_000]);
    let batch = f.row(&[Text(&long), Bytes(&bytes), Text("short")]);
    assert_eq!(text(&batch, "c"), Some("short"));
    assert_eq!(batch.column_by_name("b").unwrap().as_binary::<i32>().value(0).len(), 200_000);
    let expected = json!({ "a": {"sha256": crypto::sha256(long.as_bytes()).to_string(), "bytes": "300000"} });
    assert_eq!(misfit(&batch), expected);
    assert_eq!(f.encoder.totals.too_long, BTreeMap::from([("a".to_owned(), 1)]));
    let fits = "x".repeat(700_000);
    assert_eq!(text(&f.row(&[Text(&fits), Null, Null]), "a").map(str::len), Some(700_000));
}

/// What is written is a table of the format: legal names, and the source's own beside them.
#[test]
fn schema_documents() {
    let f = fixture(Engine::Sqlite, &[("Order No", "TEXT"), ("src_key", "INTEGER"), ("id", "INTEGER")], "");
    let spec = spec("raw_t", &f.encoder.table, Some("payment-record"));
    let names: Vec<&str> = spec.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["src_key", "src_misfit", "order_no", "src_key_2", "id"]);
    assert_eq!(spec.columns[2].source, Some(("Order No".into(), "TEXT".into())));
    assert_eq!(spec.columns[4].class, "staff_id");
}
