//! The source's own sums: what the statement says about a column does not depend on whether its type is known, and it
//! is what the conversion adds up.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealport::mapping::{Context, Converter, Mapping, SourceTotals, control_sql};
use sealport::progress::Cancel;
use sealport::rows::RawBatch;
use sealport::source::RowSource;
use sealport::source::database::Select;

use crate::servers::Scratch;

/// One column three times: exact, rounded down, rounded to even.
fn mapping(table: &str, unit: &str) -> String {
    let round = |how: &str| if unit == "yuan_int" { String::new() } else { format!(", round = \"{how}\"") };
    format!(
        "[mapping]\nid = \"sums\"\nversion = 1\nzone = \"UTC\"\nzone_evidence = \"test\"\n[dataset.payments]\nevidence = \"recorded\"\n\
         conv.amount_fen = {{ money = \"{unit}\" }}\nconv.fee_fen = {{ money = \"{unit}\"{} }}\nconv.refunded_fen = {{ money = \"{unit}\"{} }}\n\
         sql.default = \"SELECT t.id AS payment_ref, t.v AS amount_fen, t.v AS fee_fen, t.v AS refunded_fen FROM {table} t\"\n",
        round("floor"),
        round("half_even"),
    )
}

async fn totals(source: &mut dyn RowSource, text: &str) -> (SourceTotals, SourceTotals) {
    let mapping = Mapping::parse("sums", text).unwrap_or_else(|e| panic!("{e}"));
    let mapping = mapping.bind(source.engine(), &BTreeMap::new()).unwrap();
    let part = &mapping.parts()[0];
    let columns = source.columns(&part.sql).await.unwrap();
    let header: Vec<String> = columns.iter().map(|c| c.name.clone()).collect();
    let type_of = |name: &str| columns.iter().find(|c| c.name == name).map(|c| c.type_name.clone());
    let (typed, untyped) = (control_sql(part, &type_of), control_sql(part, &|_| None));
    let mut answers = Vec::new();
    for query in [&typed, &untyped] {
        let row = source.first_row(Select { sql: &query.sql, values: &query.values }).await.unwrap();
        answers.push(query.totals(&row).unwrap());
    }

    let context = Context { zone: chrono_tz::UTC, src_system: "sums@1", fingerprint: Arc::new(|_| String::new()) };
    let mut converter = Converter::new(part, &header, &context).unwrap();
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<RawBatch>(2);
    let cancel = Cancel::default();
    let (read, ()) = tokio::join!(source.read(Select { sql: &part.sql, values: &[] }, sender, &cancel), async {
        while let Some(batch) = receiver.recv().await {
            converter.convert(&batch).unwrap();
        }
    });
    read.unwrap();
    // Not `reconcile`: with rounding, its last rule has no answer for amounts above 10^9 yuan.
    let own = converter.totals();
    assert_eq!(answers[0].rows, own.rows_read);
    for (column, sum) in &answers[0].sums {
        let own = own.sums[column];
        assert_eq!(*sum, own.control_written + own.control_quarantined, "{column}");
    }
    (answers.remove(0), answers.remove(0))
}

async fn all(db: &Scratch, types: &[(&str, &[&str])]) {
    for (i, (ty, values)) in types.iter().enumerate() {
        let rows: Vec<String> = values.iter().enumerate().map(|(id, v)| format!("({id}, {v})")).collect();
        db.sql(&format!("CREATE TABLE t{i} (id INT, v {ty}); INSERT INTO t{i} VALUES (-1, NULL), {}", rows.join(", ")));
    }
    let mut source = db.open().await;
    for (i, (ty, values)) in types.iter().enumerate() {
        for unit in ["yuan", "fen", "yuan_int", "text_yuan"] {
            let (typed, untyped) = totals(source.as_mut(), &mapping(&format!("t{i}"), unit)).await;
            assert_eq!(typed.rows, values.len() as u64 + 1);
            assert_eq!(typed, untyped, "{ty} as {unit}");
        }
    }
}

const SMALL: &[&str] = &["0", "-32768", "32767", "7"];
const INTEGERS: &[&str] = &["-2147483648", "2147483647", "1999", "-1", "0"];
const BIG: &[&str] = &[
    "-9223372036854775807 - 1",
    "9223372036854775807",
    "10000000000000",
    "10000000000001",
    "-10000000000000",
    "1000000000000000",
    "1000000000000001",
    "1000000000",
    "1000000001",
];
const MONEY: &[&str] = &["19.99", "-0.01", "0.10", "99999999.99", "0.00"];
const LONG: &[&str] = &[
    "0.005",
    "0.00499999999999999999",
    "-0.015",
    "0.0000005",
    "1.0049999999995",
    "10000000000000",
    "10000000000000.0000000001",
    "-9999999999999.995",
    "999999999999999999",
    "1234.5",
];
const TEXTS: &[&str] = &[
    "'19.90'",
    "' 12.345abc'",
    "'-3.5e2'",
    "'¥1,019.90'",
    "'1,23'",
    "'.5'",
    "'5.'",
    "''",
    "'abc'",
    "'1e30'",
    "'12元'",
    "'1e13'",
    "'0.00499999999999999999'",
];
const FLOATS: &[&str] = &["0.1", "19.99", "-0.005", "1e20", "1e-7", "123456.785", "0"];

#[tokio::test]
#[ignore = "needs SEALPORT_TEST_POSTGRES, the URL of a PostgreSQL server"]
async fn postgres_sums_do_not_depend_on_known_types() {
    let long = [LONG, &["'NaN'", "'Infinity'", "'-Infinity'", "1e40"]].concat();
    let money = [MONEY, &["'NaN'"]].concat();
    let types: [(&str, &[&str]); 9] = [
        ("smallint", SMALL),
        ("integer", INTEGERS),
        ("bigint", BIG),
        ("numeric(10,2)", &money),
        ("numeric", &long),
        ("numeric(38,20)", LONG),
        ("double precision", FLOATS),
        ("real", FLOATS),
        ("text", TEXTS),
    ];
    all(&Scratch::postgres(), &types).await;
}

#[tokio::test]
#[ignore = "needs SEALPORT_TEST_MYSQL, the URL of a MySQL or MariaDB server"]
async fn mysql_sums_do_not_depend_on_known_types() {
    let types: [(&str, &[&str]); 10] = [
        ("TINYINT(1)", &["-2", "1", "0"]),
        ("SMALLINT", SMALL),
        ("MEDIUMINT", SMALL),
        ("INT", INTEGERS),
        ("BIGINT", BIG),
        ("BIGINT UNSIGNED", &["18446744073709551615", "10000000000000", "1000000000000001", "0"]),
        ("DECIMAL(10,2)", MONEY),
        ("DECIMAL(60,20)", LONG),
        ("DOUBLE", FLOATS),
        ("VARCHAR(60) CHARACTER SET utf8mb4", TEXTS),
    ];
    all(&Scratch::mysql(), &types).await;
}
