use std::collections::BTreeMap;

use super::*;
use crate::hint::Hint;
use crate::model::Lang;
use crate::schema;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bills").join(name)
}

/// Third-party files that are never part of this repository.
fn sample(name: &str) -> PathBuf {
    let dir = std::env::var_os("SEALPORT_TEST_BILLS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/bills"), PathBuf::from);
    dir.join(name)
}

fn read(path: &Path, given: &Given) -> (Bill, Vec<BTreeMap<String, String>>) {
    let bill = inspect(path, given).unwrap();
    let mut rows = Vec::new();
    let count = bill.lines::<Error>(&mut |lines| {
        rows.extend(named(&lines));
        Ok(())
    });
    assert_eq!(count.unwrap(), bill.rows);
    (bill, rows)
}

/// Cells by name; NULL cells are left out.
fn named(rows: &CanonicalRows) -> Vec<BTreeMap<String, String>> {
    (0..rows.batch.rows())
        .map(|i| {
            let cells = rows.header.iter().zip(&rows.batch.columns).filter_map(|(name, column)| {
                let text = match column.get(i) {
                    RawValue::Text(s) => s.to_owned(),
                    RawValue::Int(n) => n.to_string(),
                    _ => return None,
                };
                Some((name.clone(), text))
            });
            cells.collect()
        })
        .collect()
}

fn assert_has(row: &BTreeMap<String, String>, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(row.get(*name).map_or("NULL", String::as_str), *value, "{name}");
    }
}

/// The columns written are the dataset's own, in its order, so the identity mapping takes them as they are.
#[test]
fn columns_are_the_schema() {
    let own = |name: &str| schema::dataset(name).unwrap().own_columns().map(|c| c.name).collect::<Vec<_>>();
    assert_eq!(LINE_COLUMNS.to_vec(), own("bill_lines"));
    let (bill, _) = read(&fixture("trade-all-27.csv"), &Given::default());
    let mut bills = own("bills");
    bills.retain(|c| *c != "downloaded_at");
    assert_eq!(bill.row().header, bills);
}

/// The platform's own form: every value where it belongs, every total equal to the summary.
#[test]
fn trade_bill() {
    let (bill, rows) = read(&fixture("trade-all-27.csv"), &Given::default());
    assert!(bill.agrees() && !bill.is_resaved && bill.rejected_count == 0);
    assert_eq!(bill.totals.len(), 7);
    assert_eq!(bill.notes, BTreeMap::from([("rejoined-text", 1)]));
    assert!(bill.bill_ref.starts_with("wechat-trade-1900000001-20260912-"));
    assert_has(
        &named(&bill.row())[0],
        &[
            ("layout", "wechat-trade-all-27"),
            ("bill_on", "2026-09-12"),
            ("is_bill_on_derived", "true"),
            ("is_resaved", "false"),
            ("row_count", "3"),
            ("stated_count", "3"),
            ("total_fen", "3580"),
            ("stated_total_fen", "3580"),
            ("refund_fen", "580"),
            ("fee_e6", "180000"),
            ("stated_fee_e6", "180000"),
            ("expected_digest", "NULL"),
        ],
    );
    assert_has(
        &rows[0],
        &[
            ("line_no", "1"),
            ("mch_id", "1900000001"),
            ("sub_mch_id", "NULL"),
            ("occurred_at", "2026-09-12T09:15:01+08:00"),
            ("amount_fen", "2580"),
            ("fee_e6", "150000"),
            ("fee_fen", "15"),
            ("fee_rate", "0.006"),
            ("out_refund_no", "NULL"),
            ("device", "till-3"),
            ("goods", "苹果 5 kg"),
            ("note", "NULL"),
        ],
    );
    assert_has(&rows[1], &[("note", "{\"a\":\"1,`2\",\"b\":\"x,y\"}"), ("fee_fen", "6"), ("sub_mch_id", "1900000077")]);
    assert_has(
        &rows[2],
        &[
            ("state", "REFUND"),
            ("amount_fen", "0"),
            ("refund_fen", "580"),
            ("coupon_fen", "100"),
            ("channel_refund_no", "50300001111202609120000000001"),
            ("fee_e6", "-30000"),
            ("fee_fen", "NULL"),
        ],
    );
}

/// Copies that other programs made hold the same rows, and what was done to them is noted.
#[test]
fn copies() {
    let (_, expected) = read(&fixture("trade-all-27.csv"), &Given::default());
    let without_ref = |rows: &[BTreeMap<String, String>]| {
        let mut rows = rows.to_vec();
        rows.iter_mut().for_each(|r| drop(r.remove("bill_ref")));
        rows
    };
    for (name, note) in [
        ("trade-all-27-bom-twice-lf.csv", "byte-order-mark-repeated"),
        ("trade-all-27-question-mark.csv", "byte-order-mark-replaced"),
        ("trade-all-27-resaved.csv", "resaved-line"),
        ("trade-all-27-gb18030.csv", "gb18030"),
        ("trade-all-27-new-column.csv", "rejoined-text"),
    ] {
        let (bill, rows) = read(&fixture(name), &Given::default());
        assert!(bill.notes.contains_key(note), "{name}: {:?}", bill.notes);
        assert!(bill.agrees(), "{name}");
        assert_eq!(bill.is_resaved, name.contains("resaved"), "{name}");
        assert_eq!(without_ref(&rows), without_ref(&expected), "{name}");
        assert_eq!(bill.unknown_columns.len(), usize::from(name.contains("new-column")), "{name}");
    }
    let (bill, rows) = read(&fixture("trade-all-27-joined.csv"), &Given::default());
    assert!(bill.agrees() && bill.notes["several-files-joined"] == 1);
    assert_eq!((rows.len(), bill.total("total_fen")), (6, (Some(7160), Some(7160))));
}

/// A damaged end costs its line, not the file; a missing summary states nothing; a wrong one disagrees.
#[test]
fn damage_is_data() {
    let (bill, rows) = read(&fixture("trade-all-27-cut-off.csv"), &Given::default());
    assert_eq!(rows.len(), 2);
    assert_eq!(bill.rejected, [Rejected { line_no: 3, reason: "too-few-cells" }]);
    assert!(bill.notes.contains_key("summary-missing") && bill.notes.contains_key("last-line-end-missing"));
    let (bill, _) = read(&fixture("trade-all-27-no-summary.csv"), &Given::default());
    assert_has(&named(&bill.row())[0], &[("stated_count", "NULL"), ("row_count", "3"), ("total_fen", "3580")]);
    assert!(bill.agrees());
    let (bill, _) = read(&fixture("trade-all-27-wrong-summary.csv"), &Given::default());
    assert!(!bill.agrees());
    assert_has(&named(&bill.row())[0], &[("stated_count", "3"), ("row_count", "2"), ("fee_e6", "210000")]);
    let error = inspect(&fixture("trade-all-27-spreadsheet-damage.csv"), &Given::default()).unwrap_err().to_string();
    assert!(error.contains("detail line 1, column `channel_trade_no`") && !error.contains("E+27"), "{error}");
}

/// The other layouts, recognised by their names.
#[test]
fn other_layouts() {
    let (bill, rows) = read(&fixture("trade-success-20.csv"), &Given::default());
    assert_eq!(bill.layout, Layout::WechatTradeSuccess20);
    assert!(bill.agrees() && bill.totals.iter().all(|t| t.name != "申请退款总金额"));
    assert_has(&rows[0], &[("refund_fen", "NULL"), ("order_fen", "2580")]);

    let (bill, rows) = read(&fixture("trade-refund-29.csv"), &Given::default());
    assert_eq!(bill.layout.kind(), BillKind::Refund);
    assert!(bill.agrees());
    assert_has(&rows[0], &[("occurred_at", "2026-09-13T10:00:00+08:00"), ("bill_on", "2026-09-13")]);

    let given = Given {
        mch_id: Some("1900000001".into()),
        account_kind: Some("basic".into()),
        bill_on: NaiveDate::from_ymd_opt(2026, 9, 12),
        sha1: Some("00".repeat(20).to_uppercase()),
    };
    let (bill, rows) = read(&fixture("fund-11.csv"), &given);
    assert!(bill.agrees() && !bill.is_bill_on_derived);
    assert_eq!(bill.is_digest_confirmed(), Some(false));
    assert_has(
        &named(&bill.row())[0],
        &[
            ("bill_kind", "fund"),
            ("account_kind", "basic"),
            ("mch_id", "1900000001"),
            ("total_fen", "2580"),
            ("refund_fen", "592"),
            ("fee_e6", "NULL"),
        ],
    );
    assert_has(&rows[0], &[("direction", "in"), ("amount_fen", "2580"), ("balance_after_fen", "12580")]);
    assert_has(
        &rows[2],
        &[
            ("direction", "out"),
            ("mch_id", "1900000001"),
            ("channel_refund_no", "50300001111202609120000000001"),
            ("channel_trade_no", "4200001111202609120000000001"),
            ("note", "退款总金额5.80元,`含手续费0.03元"),
            ("applicant_ref", "1900000001API"),
        ],
    );
}

/// What is no merchant's bill is refused by name, in both languages.
#[test]
fn refusals() {
    for (name, expected) in [
        ("refused-wechat-personal.csv", Refusal::PersonalWechat),
        ("refused-alipay-personal.csv", Refusal::PersonalAlipay),
        ("refused-alipay.csv", Refusal::Alipay),
        ("refused-api-error.json", Refusal::ApiError("NO_STATEMENT_EXIST".into())),
        ("refused-relayed.csv", Refusal::Relayed),
        ("README.md", Refusal::Unknown),
    ] {
        let error = recognise(&fixture(name)).unwrap_err();
        assert!(matches!(&error, Error::Refused { refusal, .. } if *refusal == expected), "{name}: {error}");
        assert!(error.hint(Lang::En).is_some() && error.hint(Lang::Zh).is_some());
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bill");
    for (bytes, expected) in [
        (&b"\x1f\x8b\x08"[..], Refusal::Gzip),
        (b"PK\x03\x04", Refusal::Zip),
        (b"", Refusal::Unknown),
        (b"\xff\xfe\n", Refusal::Unknown),
        (
            b"<xml><return_code><![CDATA[FAIL]]></return_code><return_msg><![CDATA[No Bill Exist]]>",
            Refusal::ApiError("No Bill Exist".into()),
        ),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = recognise(&path).unwrap_err();
        assert!(matches!(&error, Error::Refused { refusal, .. } if *refusal == expected), "{error}");
    }
}

/// A file that changes between the two readings is noticed.
#[test]
fn changes_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bill.csv");
    std::fs::copy(fixture("trade-all-27.csv"), &path).unwrap();
    let bill = inspect(&path, &Given::default()).unwrap();
    std::fs::copy(fixture("trade-all-27-wrong-summary.csv"), &path).unwrap();
    assert!(matches!(bill.lines::<Error>(&mut |_| Ok(())), Err(Error::Changed { .. })));
}

/// The one real bill whose bytes are proven: the platform's own digest is confirmed and its summary met.
#[test]
#[ignore = "needs the third-party bill samples (SEALPORT_TEST_BILLS)"]
fn real_trade_bill() {
    let given = Given { sha1: Some("dcd7ceb3d382a1181798368bb15d8437de46c00f".into()), ..Given::default() };
    let (bill, rows) = read(&sample("wechat-tradebill/trade-ALL-2021-01-28.csv"), &given);
    assert_eq!(bill.is_digest_confirmed(), Some(true));
    assert!(bill.agrees() && bill.notes.is_empty(), "{:?}", bill.notes);
    assert_eq!(bill.layout, Layout::WechatTradeAll27);
    assert_eq!(
        (rows.len(), bill.total("total_fen"), bill.total("row_count")),
        (3, (Some(3), Some(3)), (Some(3), Some(3)))
    );
    assert_eq!(bill.bill_on, NaiveDate::from_ymd_opt(2021, 1, 28));
}

/// Samples whose rows were removed keep the original's summary, so they must disagree with it.
#[test]
#[ignore = "needs the third-party bill samples (SEALPORT_TEST_BILLS)"]
fn real_trimmed_bills() {
    let (bill, rows) = read(&sample("wechat-tradebill/trade-SUCCESS-2019-07-23-masked-trimmed.csv"), &Given::default());
    assert_eq!((bill.layout, rows.len(), bill.agrees()), (Layout::WechatTradeSuccess20, 1, false));
    assert_eq!(bill.total("row_count"), (Some(1), Some(31)));
    assert_eq!(bill.total("fee_e6"), (Some(0), Some(20_000)));

    let (bill, rows) = read(&sample("wechat-fundflow/fundflow-BASIC-2021-02-01-trimmed.csv"), &Given::default());
    assert_eq!((bill.layout, rows.len(), bill.agrees()), (Layout::WechatFund11, 2, false));
    assert_eq!(bill.total("total_fen"), (Some(0), Some(1)));
    assert_eq!(bill.total("refund_fen"), (Some(2), Some(2)));

    let (bill, rows) = read(&sample("wechat-tradebill/trade-ALL-2014-legacy24-doc-example.csv"), &Given::default());
    assert_eq!((bill.layout, rows.len(), bill.agrees()), (Layout::WechatTradeAll24, 2, true));
    assert_eq!(bill.total("total_fen"), (Some(2), Some(2)));
}

/// Real files that must not be read.
#[test]
#[ignore = "needs the third-party bill samples (SEALPORT_TEST_BILLS)"]
fn real_refusals() {
    for (name, expected) in [
        ("personal-refuse/wechat-personal.csv", Refusal::PersonalWechat),
        ("personal-refuse/alipay-personal-gb18030.csv", Refusal::PersonalAlipay),
        ("unionpay-zm/802310048993424_20150905.zip", Refusal::Zip),
        ("unionpay-zm/INN15090588ZM_802310048993424", Refusal::UnionPay),
        ("unionpay-zm/RD201015090501_802310048993424", Refusal::UnionPay),
    ] {
        let error = inspect(&sample(name), &Given::default()).unwrap_err();
        assert!(matches!(&error, Error::Refused { refusal, .. } if *refusal == expected), "{name}: {error}");
    }
}
