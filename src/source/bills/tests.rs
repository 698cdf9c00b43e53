use std::collections::BTreeMap;

use proptest::prelude::*;

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

type Rows = Vec<BTreeMap<String, String>>;

/// The one bill of a file, and its rows.
fn read(path: &Path, given: &Given) -> (Bill, Rows) {
    let mut bills = inspect(path, given).unwrap();
    relate(&mut bills);
    assert_eq!(bills.len(), 1, "{}", path.display());
    let bill = bills.remove(0);
    let rows = rows(&bill);
    (bill, rows)
}

fn rows(bill: &Bill) -> Rows {
    let mut rows = Vec::new();
    let count = bill.lines::<Error>(&mut |lines| {
        rows.extend(named(&lines));
        Ok(())
    });
    assert_eq!(count.unwrap(), bill.rows);
    let is_named = |row: &BTreeMap<String, String>| row.contains_key("applicant_ref");
    // A copy has no lines, but its lines would have named the same people.
    assert!(bill.repeats.is_some() || bill.has_applicants == rows.iter().any(is_named), "{}", bill.file);
    rows
}

/// All bills of some files in a folder of their own.
fn read_all(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Vec<Bill>) {
    let dir = tempfile::tempdir().unwrap();
    let mut bills = Vec::new();
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
        bills.extend(inspect(&dir.path().join(name), &Given::default()).unwrap());
    }
    relate(&mut bills);
    (dir, bills)
}

/// The one bill in some bytes under some name.
fn read_bytes(name: &str, bytes: &[u8]) -> (Bill, Rows) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(name), bytes).unwrap();
    read(&dir.path().join(name), &Given::default())
}

fn refused(name: &str, bytes: &[u8]) -> Refusal {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    match inspect(&path, &Given::default()) {
        Err(Error::Refused { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    }
}

fn gbk(text: &str) -> Vec<u8> {
    encoding_rs::GBK.encode(text).0.into_owned()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

fn zipped(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut writer, bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
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
    assert!(bill.notes.contains_key("summary-missing") && bill.notes.contains_key("last-line-cut-off"));
    assert!(bill.is_partial);
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
        sha256: None,
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
        ("refused-api-error.json", Refusal::ApiError("NO_STATEMENT_EXIST".into())),
        ("refused-relayed.csv", Refusal::Relayed),
        ("README.md", Refusal::Unknown),
    ] {
        let error = inspect(&fixture(name), &Given::default()).unwrap_err();
        assert!(matches!(&error, Error::Refused { refusal, .. } if *refusal == expected), "{name}: {error}");
        assert!(error.hint(Lang::En).is_some() && error.hint(Lang::Zh).is_some());
    }
    let nested = zipped(&[("inner.zip", &zipped(&[("a", b"x")]))]);
    let twice = gzip(&gzip(b"x"));
    let many: Vec<(String, &[u8])> = (0..1_001).map(|i| (format!("m{i}"), &b""[..])).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(n, b)| (n.as_str(), *b)).collect();
    let bomb = gzip(&vec![b'a'; 80 << 20]);
    let workbook = zipped(&[("[Content_Types].xml", b"<x/>"), ("xl/workbook.xml", b"<x/>")]);
    for (name, bytes, expected) in [
        ("bill", &b"\x1f\x8b\x08"[..], Refusal::Unknown),
        ("bill", b"PK\x03\x04", Refusal::Archive("it is damaged or cut off")),
        ("bill.csv", &nested, Refusal::Archive("it holds another archive")),
        ("bill.csv", &twice, Refusal::Archive("it holds another archive")),
        ("bill.zip", &zipped(&many), Refusal::Archive("it has more than 1000 members")),
        ("bill.zip", &zipped(&[]), Refusal::Archive("it holds no file")),
        ("bill.gz", &bomb, Refusal::Archive("it unpacks to far more than a bill can hold")),
        ("bill.xlsx", &workbook, Refusal::Workbook),
        ("bill", b"", Refusal::Unknown),
        ("bill", b"\xff\xfe\n", Refusal::Unknown),
        ("IND15090501ACOM", b"x", Refusal::Institution),
        ("bill.csv", &gbk("#支付宝会员账单查询\r\n"), Refusal::AlipayOther),
        ("list.json", b"{\"download_bill_count\":1,\"download_bill_list\":[]}", Refusal::EncryptedList),
        ("bill.csv", "记账时间,微信支付业务单号,资金流水单号\r\n".as_bytes(), Refusal::MissingColumn("业务类型")),
        (
            "bill.csv",
            b"<xml><return_code><![CDATA[FAIL]]></return_code><return_msg><![CDATA[No Bill Exist]]>",
            Refusal::ApiError("No Bill Exist".into()),
        ),
    ] {
        let found = refused(name, bytes);
        assert_eq!(found, expected, "{name}");
        assert!(found.hint(Lang::En).is_some() && found.hint(Lang::Zh).is_some());
    }
}

/// A file that changes between the two readings is noticed.
#[test]
fn changes_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bill.csv");
    std::fs::copy(fixture("trade-all-27.csv"), &path).unwrap();
    let bill = inspect(&path, &Given::default()).unwrap().remove(0);
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
    ] {
        let error = inspect(&sample(name), &Given::default()).unwrap_err();
        assert!(matches!(&error, Error::Refused { refusal, .. } if *refusal == expected), "{name}: {error}");
    }
}

/// UnionPay's own sample: the trades and the summary agree to the fen, packed or not; the demonstration file names a
/// day before that of its trades, which is told.
#[test]
#[ignore = "needs the third-party bill samples (SEALPORT_TEST_BILLS)"]
fn real_unionpay_files() {
    let path = sample("unionpay-zm/802310048993424_20150905.zip");
    let mut bills = inspect(&path, &Given::default()).unwrap();
    for name in ["unionpay-zm/INN15090588ZM_802310048993424", "unionpay-zm/RD201015090501_802310048993424"] {
        bills.extend(inspect(&sample(name), &Given::default()).unwrap());
    }
    relate(&mut bills);
    assert_eq!(bills.len(), 4);
    let (copies, originals): (Vec<&Bill>, Vec<&Bill>) = bills.iter().partition(|b| b.repeats.is_some());
    assert_eq!((copies.len(), originals.len()), (2, 2));
    let zm = originals.iter().find(|b| b.layout == Layout::UnionpayZm).unwrap();
    assert_eq!((zm.rows, zm.rejected_count, zm.outside_count), (8, 0, 8));
    assert_eq!(zm.mch_id.as_deref(), Some("802310048993424"));
    assert_eq!(zm.bill_on, NaiveDate::from_ymd_opt(2015, 9, 5));
    assert!(zm.notes.is_empty(), "{:?}", zm.notes);
    assert_eq!((zm.total("total_fen"), zm.total("fee_e6")), ((Some(1_322_700), None), (Some(79_360_000), None)));
    let rd = originals.iter().find(|b| b.layout == Layout::UnionpayRd).unwrap();
    assert!(rd.agrees() && rd.totals.len() == 5 && rd.notes.is_empty() && !rd.is_partial, "{:?}", rd.totals);
    assert_eq!(rd.total("total_fen"), (Some(1_322_700), Some(1_322_700)));
    let lines = rows(zm);
    assert_has(
        &lines[0],
        &[
            ("platform", "unionpay"),
            ("state", "SUCCESS"),
            ("trade_kind", "S56"),
            ("occurred_at", "2015-09-06T11:22:03+08:00"),
            ("bill_on", "2015-09-05"),
            ("amount_fen", "476800"),
            ("fee_e6", "28610000"),
            ("channel_trade_no", "201509061122031906248"),
            ("out_trade_no", "10078087"),
            ("payer_ref", "622609******0048"),
        ],
    );
}

// --- packing ---------------------------------------------------------------------------------------------------

/// Packed or not, the bill is the same: its rows, its digest, and the SHA-1 of the unpacked bytes. That of the packed
/// ones is not accepted.
#[test]
fn packing() {
    let plain = std::fs::read(fixture("trade-all-27.csv")).unwrap();
    let (expected, expected_rows) = read(&fixture("trade-all-27.csv"), &Given::default());
    let packed = gzip(&plain);
    for (name, bytes, file) in [
        ("bill.csv", packed.clone(), "bill.csv"),
        ("bill.gz", zipped(&[("sub/内层.csv", &plain)]), "bill.gz!sub/内层.csv"),
    ] {
        let (bill, rows) = read_bytes(name, &bytes);
        assert_eq!((bill.file.as_str(), &bill.sha1), (file, &expected.sha1));
        assert_eq!((bill.content_sha256, &bill.bill_ref), (expected.content_sha256, &expected.bill_ref));
        assert_eq!(bill.sha256, crypto::sha256(&bytes));
        assert_eq!(rows, expected_rows);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bill.gz");
    std::fs::write(&path, &packed).unwrap();
    for (sha1, is_confirmed) in [(crypto::sha1_hex(&plain), true), (crypto::sha1_hex(&packed), false)] {
        let given = Given { sha1: Some(sha1), ..Given::default() };
        assert_eq!(read(&path, &given).0.is_digest_confirmed(), Some(is_confirmed));
    }
    let given = Given { sha256: Some(crypto::sha256(&packed).to_string()), ..Given::default() };
    let (bill, _) = read(&path, &given);
    assert_has(&named(&bill.row())[0], &[("digest_algorithm", "sha256")]);
    assert_eq!(bill.is_digest_confirmed(), Some(true));
}

/// An archive that is cut off costs its end and says so; one that contradicts itself is refused.
#[test]
fn damaged_archives() {
    let mut plain = std::fs::read(fixture("trade-all-27.csv")).unwrap();
    let row = plain[plain.iter().position(|b| *b == b'\n').unwrap() + 1..].to_vec();
    let row = &row[..=row.iter().position(|b| *b == b'\n').unwrap()];
    let end = plain.windows(4).position(|w| w == "总".as_bytes().iter().copied().chain([0xe4]).collect::<Vec<_>>());
    let tail = plain.split_off(end.unwrap());
    (0..20_000).for_each(|_| plain.extend_from_slice(row));
    plain.extend_from_slice(&tail);
    let mut packed = gzip(&plain);
    let last = packed.len() - 6;
    packed[last] ^= 1;
    assert_eq!(refused("bill.gz", &packed), Refusal::Archive("it is damaged"));
    packed.truncate(packed.len() / 2);
    let (bill, rows) = read_bytes("bill.gz", &packed);
    assert!(bill.is_partial && bill.notes.contains_key("archive-cut-off"), "{:?}", bill.notes);
    assert!(rows.len() > 1_000 && rows.len() < 20_000);
    let mut member = zipped(&[("a.csv", &plain)]);
    let at = member.len() / 3;
    member[at] ^= 0x55;
    assert_eq!(refused("bill.zip", &member), Refusal::Archive("it is damaged"));
}

/// Beyond the first block another thread reads: nothing is lost or repeated at the seams, long lines are passed over.
#[test]
fn large_files() {
    let plain = std::fs::read_to_string(fixture("trade-all-27.csv")).unwrap();
    let (head, rest) = plain.split_once("\r\n").unwrap();
    let (row, _) = rest.split_once("\r\n").unwrap();
    let mut text = format!("{head}\r\n");
    let count = 20_000_usize;
    for i in 0..count {
        text.push_str(&row.replace("A20260912001", &format!("B{i:011}")));
        text.push_str("\r\n");
    }
    text.push_str(&format!("`{}\r\n{row}\r\n", "x".repeat(3 << 20)));
    let (bill, rows) = read_bytes("bill.csv", text.as_bytes());
    assert_eq!((bill.rows, rows.len()), (count as u64 + 1, count + 1));
    assert_eq!(bill.rejected, [Rejected { line_no: count as u64 + 1, reason: "line-too-long" }]);
    assert!(rows.iter().take(count).enumerate().all(|(i, r)| r["out_trade_no"] == format!("B{i:011}")));
    assert_eq!(bill.content_sha256, crypto::sha256(text.as_bytes()));
    assert_eq!(bill.sha1, crypto::sha1_hex(text.as_bytes()));
}

// --- WeChat ----------------------------------------------------------------------------------------------------

const TRADE: &str =
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类";
const TRADE_OLD: &str =
    "交易时间,公众账号ID,商户号,子商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类";
const PAID: &str =
    "`2026-09-12 09:15:01,`wx1,`1900000001,`0,`,`4200000000000000000000000001,`A1,`o1,`JSAPI,`SUCCESS,`OTHERS,`CNY";

/// The layouts without fixture: older ones, and refunds of top-ups.
#[test]
fn older_layouts() {
    let refund_tail = "`50300000000000000000000000001,`R1,`5.00,`0.00,`ORIGINAL,`SUCCESS,`苹果,`";
    let text = format!(
        "{TRADE_OLD},总金额,代金券或立减优惠金额,商品名称,商户数据包,手续费,费率\r\n{PAID},`9,`0.0,`苹果,`,`0.05000,`0.60%\r\n总交易单数,总交易额,总退款金额,总代金券或立减优惠退款金额,手续费总金额\r\n`1,`9.00,`0.00,`0.00,`0.05000\r\n"
    );
    let (bill, rows) = read_bytes("b", text.as_bytes());
    assert_eq!((bill.layout, bill.agrees()), (Layout::WechatTradeSuccess18, true));
    assert_has(&rows[0], &[("amount_fen", "900"), ("order_fen", "NULL"), ("fee_e6", "50000")]);

    let refund = PAID.replace("SUCCESS", "REFUND");
    let text = format!(
        "{TRADE_OLD},总金额,代金券或立减优惠金额,退款申请时间,退款成功时间,微信退款单号,商户退款单号,退款金额,代金券或立减优惠退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率\r\n{refund},`0.00,`0.00,`2026-09-13 10:00:00,`,{refund_tail},`-0.03000,`0.60%\r\n总交易单数,总交易额,总退款金额,总企业红包退款金额,手续费总金额\r\n`1,`0.00,`5.00,`0.00,`-0.03000\r\n"
    );
    let (bill, rows) = read_bytes("b", text.as_bytes());
    assert_eq!((bill.layout, bill.layout.kind(), bill.agrees()), (Layout::WechatTradeRefund26, BillKind::Refund, true));
    assert_has(&rows[0], &[("refund_fen", "500"), ("fee_e6", "-30000"), ("bill_on", "2026-09-13")]);

    let text = format!(
        "{TRADE},应结订单金额,代金券金额,退款申请时间,退款成功时间,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,返还手续费,费率,订单金额,申请退款金额\r\n{refund},`0.00,`0.00,`2026-09-13 10:00:00,`2026-09-13 10:00:09,{refund_tail},`0.03000,`0.60%,`0.00,`5.00\r\n总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\r\n`1,`0.00,`5.00,`0.00,`-0.03000,`0.00,`5.00\r\n"
    );
    let (bill, rows) = read_bytes("b", text.as_bytes());
    assert_eq!((bill.layout, bill.agrees()), (Layout::WechatTradeRechargeRefund28, true));
    assert!(bill.notes.is_empty() || bill.notes.keys().all(|n| *n == "byte-order-mark-missing"), "{:?}", bill.notes);
    assert_has(&rows[0], &[("fee_e6", "-30000"), ("channel_refund_no", "50300000000000000000000000001")]);
}

/// What the totals cannot show is told beside them: two merchants, times outside the day, columns out of place,
/// totals of another order, a negative fee in the footer.
#[test]
fn unusual_bills() {
    let header = format!("{TRADE},应结订单金额,代金券金额,商品名称,商户数据包,手续费,费率,订单金额,费率备注");
    let row = |at: &str, mch: &str| {
        format!(
            "{},`9.00,`0.00,`苹果,`,`-0.05000,`0.60%,`9.00,`",
            PAID.replace("2026-09-12", at).replace("1900000001", mch)
        )
    };
    let text = format!(
        "{header}\r\n{}\r\n{}\r\n{}\r\n手续费总金额,总交易单数,订单总金额,应结订单总金额\r\n`-0.15000,`3,`27.00,`26.99\r\n",
        row("2026-09-12", "1900000001"),
        row("2026-09-12", "1900000002"),
        row("2026-09-14", "1900000001"),
    );
    // The summary header need not begin with the count.
    let text =
        text.replace("手续费总金额,总交易单数", "总交易单数,手续费总金额").replace("`-0.15000,`3", "`3,`-0.15000");
    let (bill, _) = read_bytes("b", text.as_bytes());
    assert_eq!((bill.merchant_count, bill.outside_count, bill.agrees()), (2, 1, false));
    assert_has(
        &named(&bill.row())[0],
        &[
            ("merchant_count", "2"),
            ("outside_count", "1"),
            ("is_partial", "false"),
            ("differing_totals", "应结订单总金额"),
            ("stated_fee_e6", "-150000"),
            ("fee_e6", "-150000"),
            ("notes", "byte-order-mark-missing=1"),
        ],
    );
}

/// Copies and overlaps: the same bytes, the same bill saved anew, another bill of the same day.
#[test]
fn copies_and_overlaps() {
    let plain = std::fs::read(fixture("trade-all-27.csv")).unwrap();
    let resaved = std::fs::read(fixture("trade-all-27-resaved.csv")).unwrap();
    let partial = std::fs::read(fixture("trade-all-27-cut-off.csv")).unwrap();
    let packed = gzip(&plain);
    let (_dir, bills) = read_all(&[
        ("a-resaved.csv", &resaved),
        ("b.csv", &plain),
        ("c.csv", &plain),
        ("d.csv", &packed),
        ("e.csv", &partial),
    ]);
    let by_file = |file: &str| bills.iter().find(|b| b.file == file).unwrap();
    let original = by_file("b.csv");
    assert_eq!((original.rows, &original.repeats, original.overlap_count), (3, &None, 1));
    for copy in ["a-resaved.csv", "c.csv", "d.csv"] {
        let copy = by_file(copy);
        assert_eq!((copy.rows, copy.repeats.as_ref()), (0, Some(&original.bill_ref)));
        assert!(rows(copy).is_empty() && copy.totals.is_empty());
    }
    // Not a copy: fewer lines. Both are kept, and both are told of the other.
    assert_eq!((by_file("e.csv").rows, by_file("e.csv").overlap_count), (2, 1));
    let references: std::collections::BTreeSet<&str> = bills.iter().map(|b| b.bill_ref.as_str()).collect();
    assert_eq!(references.len(), bills.len());
    assert_eq!(bills.iter().map(|b| b.rows).sum::<u64>(), 5);
}

/// A fund bill does not say which account it is of; its name may.
#[test]
fn accounts_of_fund_bills() {
    let bytes = std::fs::read(fixture("fund-11.csv")).unwrap();
    for (name, kind) in
        [("1900000001Operation2026.csv", Some("operation")), ("x-FEES.csv", Some("fee")), ("x.csv", None)]
    {
        let (bill, _) = read_bytes(name, &bytes);
        assert_eq!(bill.account_kind.as_deref(), kind);
        assert_eq!(bill.notes.contains_key("account-kind-from-name"), kind.is_some());
    }
}

// --- Alipay ----------------------------------------------------------------------------------------------------

const ALIPAY_HEADER: &str = "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注";

fn alipay_row(kind: &str, goods: &str, order: &str, received: &str, coupon: &str, request: &str, fee: &str) -> String {
    format!(
        "2026091222000000000000000001\t,A1\t,{kind}\t,{goods},2026-09-12 10:55:16,2026-09-12 10:56:48,\t,\t,\t,\t,*友(199****00)\t,{order},{received},0.00,0.00,0.00,{coupon},0.00,,0.00\t,0.00,{request}\t,{fee},0.00,备注"
    )
}

fn alipay_frame(title: &str, header: &str, rows: &[String], end: &str) -> Vec<u8> {
    gbk(&format!(
        "#支付宝{title}查询\r\n#账号：[20880000000001010156]\r\n#起始日期：[2026年09月12日 00:00:00]   终止日期：[2026年09月13日 00:00:00]\r\n#----------{title}列表----------\r\n{header}\r\n{}\r\n#----------{title}列表结束----------\r\n{end}#导出时间：[2026年09月13日 05:46:49]\r\n",
        rows.join("\r\n")
    ))
}

/// Detail and summary of one zip: signs turned round, totals of both files, a refund without its payment, a comma in
/// the goods, a kind that no total counts.
#[test]
fn alipay_trades() {
    let rows_text = [
        alipay_row("交易", "苹果,5斤", "10.00", "9.00", "1.00", "", "-0.05"),
        alipay_row("退款", "梨", "-4.00", "-3.50", "-0.50", "R1", "0.02"),
    ];
    let end = "#交易合计：1笔，商家实收共9.00元，商家优惠共1.00元\r\n#退款合计：1笔，商家实收退款共-3.50元，商家优惠退款共-0.50元\r\n";
    let detail = alipay_frame("业务明细", ALIPAY_HEADER, &rows_text, end);
    let summary_header = "门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）,商家实收（元）,支付宝优惠（元）,商家优惠（元）,卡消费金额（元）,服务费（元）,分润（元）,实收净额（元）";
    let figures = ",,1,1,6.00,5.50,0.00,0.50,0.00,-0.03,0.00,5.47";
    let summary = |net: &str| {
        let figures = figures.replace("5.50", net);
        alipay_frame("业务汇总", summary_header, &[figures.clone(), format!("合计{figures}")], "")
    };
    let archive = zipped(&[("甲_业务明细(汇总).csv", &summary("5.50")), ("甲_业务明细.csv", &detail)]);
    let (_dir, bills) = read_all(&[("20880000000001010156_20260912.csv.zip", &archive)]);
    assert_eq!(bills.len(), 2);
    let bill = bills.iter().find(|b| b.layout == Layout::AlipayTrade25).unwrap();
    assert!(bill.agrees() && !bill.is_partial && bill.outside_count == 0, "{:?}", bill.totals);
    assert_eq!(bill.notes, BTreeMap::from([("rejoined-text", 1)]));
    assert_eq!(bill.file, "20880000000001010156_20260912.csv.zip!甲_业务明细.csv");
    assert_has(
        &named(&bill.row())[0],
        &[
            ("platform", "alipay"),
            ("bill_kind", "trade"),
            ("mch_id", "2088000000000101"),
            ("bill_on", "2026-09-12"),
            ("bill_to_on", "2026-09-12"),
            ("is_bill_on_derived", "false"),
            ("row_count", "2"),
            ("stated_count", "2"),
            ("total_fen", "900"),
            ("stated_total_fen", "900"),
            ("refund_fen", "350"),
            ("stated_refund_fen", "350"),
            ("fee_e6", "30000"),
            ("stated_fee_e6", "NULL"),
            ("digest_algorithm", "sha256"),
        ],
    );
    let rows = rows(bill);
    assert_has(
        &rows[0],
        &[
            ("state", "SUCCESS"),
            ("trade_kind", "交易"),
            ("goods", "苹果,5斤"),
            ("amount_fen", "900"),
            ("order_fen", "1000"),
            ("coupon_fen", "100"),
            ("refund_fen", "0"),
            ("fee_e6", "50000"),
            ("channel_trade_no", "2026091222000000000000000001"),
            ("channel_refund_no", "NULL"),
            ("occurred_at", "2026-09-12T10:56:48+08:00"),
        ],
    );
    assert_has(
        &rows[1],
        &[
            ("state", "REFUND"),
            ("refund_state", "SUCCESS"),
            ("amount_fen", "0"),
            ("refund_fen", "350"),
            ("coupon_fen", "50"),
            ("out_refund_no", "R1"),
            ("channel_refund_no", "R1"),
            ("fee_e6", "-20000"),
        ],
    );
    let total = bills.iter().find(|b| b.layout == Layout::AlipayTradeSummary12).unwrap();
    assert!(total.agrees() && total.notes.is_empty() && total.totals.len() == 6, "{:?}", total.totals);
    assert_has(
        &named(&total.row())[0],
        &[
            ("bill_kind", "summary"),
            ("row_count", "0"),
            ("total_fen", "550"),
            ("stated_fee_e6", "30000"),
            ("fee_e6", "30000"),
        ],
    );

    // A summary that says otherwise, and one whose bill is not there.
    let archive = zipped(&[("s.csv", &summary("5.51")), ("d.csv", &detail)]);
    let (_dir, bills) = read_all(&[("a.zip", &archive)]);
    let total = bills.iter().find(|b| b.layout == Layout::AlipayTradeSummary12).unwrap();
    assert_has(&named(&total.row())[0], &[("differing_totals", "商家实收"), ("stated_total_fen", "551")]);
    let (bill, _) = read_bytes("s.csv", &summary("5.50"));
    assert!(bill.totals.is_empty() && bill.notes.contains_key("bill-missing"));

    // A kind that is neither payment nor refund goes by its sign and is in no printed total, which is told.
    let rows_text = [
        alipay_row("退款", "梨", "-4.00", "-4.00", "0.00", "R1", "0.00"),
        alipay_row("转账", "", "-1.00", "-1.00", "0.00", "", "0.00"),
    ];
    let end = "#交易合计：0笔，商家实收共0.00元，商家优惠共0.00元\r\n#退款合计：1笔，商家实收退款共-4.00元，商家优惠退款共0.00元\r\n";
    let (bill, lines) = read_bytes("d.csv", &alipay_frame("业务明细", ALIPAY_HEADER, &rows_text, end));
    assert!(bill.notes.contains_key("kind-in-no-total"));
    assert_has(&lines[1], &[("state", "转账"), ("refund_state", "NULL"), ("refund_fen", "100"), ("amount_fen", "0")]);
    assert_has(
        &named(&bill.row())[0],
        &[("differing_totals", "合计笔数,退款商家实收"), ("refund_fen", "500"), ("stated_refund_fen", "400")],
    );
    let wrong = [alipay_row("交易", "梨", "-4.00", "-4.00", "0.00", "", "0.00")];
    let (bill, _) = read_bytes("d.csv", &alipay_frame("业务明细", ALIPAY_HEADER, &wrong, end));
    assert_eq!(bill.rejected, [Rejected { line_no: 1, reason: "sign-contradicts-kind" }]);
}

/// The account bill: amounts in two columns whose signs vary, balances, both totals, a period of a month.
#[test]
fn alipay_accounts() {
    let header = "账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注";
    let row = |at: &str, paid: &str, spent: &str, balance: &str, kind: &str| {
        format!(
            "F{balance}\t,T1\t,A1\t,苹果,2026-09-{at} 08:00:00,x@example.com\t,{paid},{spent},{balance},支付宝,{kind},备"
        )
    };
    let rows_text = [
        row("12", "9.00", "0.00", "109.00", "在线支付"),
        row("20", "", "-0.05", "108.95", "收费"),
        row("30", "0.00", "2.00", "106.95", "交易退款"),
    ];
    let end = "#支出合计：2笔，共-2.05元,,,\r\n#收入合计：1笔，共9.00元,,,\r\n";
    let text = alipay_frame("账务明细", header, &rows_text, end);
    let text = gbk(&encoding_rs::GBK
        .decode(&text)
        .0
        .replace("[2026年09月12日", "[2026年09月01日")
        .replace("[2026年09月13日 00", "[2026年10月01日 00"));
    let (bill, rows) = read_bytes("账单.csv", &text);
    assert_eq!((bill.layout, bill.agrees(), bill.rows), (Layout::AlipayFund12, true, 3));
    assert_eq!(
        (bill.bill_on, bill.bill_to_on),
        (NaiveDate::from_ymd_opt(2026, 9, 1), NaiveDate::from_ymd_opt(2026, 9, 30))
    );
    assert_has(
        &named(&bill.row())[0],
        &[
            ("total_fen", "900"),
            ("stated_total_fen", "900"),
            ("refund_fen", "205"),
            ("stated_refund_fen", "205"),
            ("stated_count", "3"),
        ],
    );
    assert_has(
        &rows[1],
        &[
            ("direction", "out"),
            ("amount_fen", "5"),
            ("balance_after_fen", "10895"),
            ("bill_on", "2026-09-20"),
            ("channel_trade_no", "T1"),
        ],
    );

    let header = "类型,收入笔数,收入金额（+元）,支出笔数,支出金额（-元）,总金额（元）";
    let rows_text = [
        "在线支付,1,9.00,0,0.00,9.00",
        "收费,0,0.00,1,-0.05,-0.05",
        "交易退款,0,0.00,1,-2.00,-2.00",
        "合计,1,9.00,2,-2.05,6.95",
    ];
    let summary = alipay_frame("账务汇总", header, &rows_text.map(str::to_owned), "");
    let summary = gbk(&encoding_rs::GBK
        .decode(&summary)
        .0
        .replace("[2026年09月12日", "[2026年09月01日")
        .replace("[2026年09月13日 00", "[2026年10月01日 00"));
    let (_dir, bills) = read_all(&[("a.csv", &text), ("b.csv", &summary)]);
    let total = bills.iter().find(|b| b.layout == Layout::AlipayFundSummary6).unwrap();
    assert!(
        total.agrees() && total.totals.len() == 4 && total.notes.is_empty(),
        "{:?} {:?}",
        total.totals,
        total.notes
    );
}

// --- UnionPay --------------------------------------------------------------------------------------------------

/// A ZM record with some fields replaced: offset, width, text.
fn zm(fields: &[(usize, usize, &str)]) -> Vec<u8> {
    let mut record = vec![b' '; 607];
    let mut put = |at: usize, width: usize, text: &str| {
        let bytes = gbk(text);
        record[at..at + width].fill(b' ');
        record[at..at + bytes.len()].copy_from_slice(&bytes);
    };
    for (at, width, text) in [
        (0, 3, "S22"),
        (4, 11, "00010000"),
        (28, 6, "190624"),
        (35, 10, "0906112203"),
        (46, 19, "622600******0048"),
        (66, 12, "000000010000"),
        (87, 21, "202609061122031906248"),
        (112, 32, "A1"),
        (166, 13, "D000000000060"),
        (180, 13, "C000000009940"),
        (293, 15, "898000000000101"),
        (311, 15, "000000000000000"),
        (360, 13, " 000000000000"),
        (374, 13, "C000000009940"),
        (430, 13, " 000000000000"),
        (444, 13, " 000000000000"),
        (458, 12, " 00000000000"),
    ] {
        put(at, width, text);
    }
    fields.iter().for_each(|(at, width, text)| put(*at, *width, text));
    record.extend_from_slice(b"\r\n");
    record
}

/// Bytes are cut before they are decoded, the day is the file's, refunds and unknown codes are told by their letters,
/// full card numbers are masked, the years come from the query number.
#[test]
fn unionpay_trades() {
    let refund = [
        (0, 3, "S30"),
        (28, 6, "000007"),
        (35, 10, "0101000001"),
        (87, 21, "202701010000010000078"),
        (112, 32, "R1"),
        (166, 13, "C000000000060"),
        (180, 13, "D000000009940"),
        (271, 21, "202609061122031906248"),
        (476, 32, "A1"),
    ];
    let file = [
        zm(&[(35, 10, "1230230200"), (87, 21, "202612302302001906248"), (397, 32, "苹果，五斤")]),
        zm(&refund),
        zm(&[(0, 3, "S99"), (35, 10, "1231112203"), (87, 21, "202612311122031906248"), (46, 19, "6226000000000048")]),
        zm(&[(35, 10, "1231235959"), (87, 21, "202612312359591906248"), (180, 13, "C000000009941")]),
        b"S22 too short\r\n".to_vec(),
    ]
    .concat();
    let (bill, rows) = read_bytes("INN26123188ZM_898000000000101", &file);
    assert_eq!((bill.layout, bill.rows), (Layout::UnionpayZm, 4));
    assert_eq!(bill.rejected, [Rejected { line_no: 5, reason: "record-length" }]);
    assert_eq!(bill.bill_on, NaiveDate::from_ymd_opt(2026, 12, 31));
    // 30 December 23:02 is inside, the last second of the 31st and New Year are not.
    assert_eq!(bill.outside_count, 2);
    assert_eq!(bill.notes, BTreeMap::from([("full-card-number", 1), ("net-differs", 1), ("unclassified-code", 1)]));
    assert_has(
        &rows[0],
        &[
            ("state", "SUCCESS"),
            ("note", "苹果，五斤"),
            ("occurred_at", "2026-12-30T23:02:00+08:00"),
            ("bill_on", "2026-12-31"),
            ("amount_fen", "10000"),
            ("fee_e6", "600000"),
            ("fee_fen", "60"),
            ("sub_mch_id", "NULL"),
        ],
    );
    assert_has(
        &rows[1],
        &[
            ("state", "REFUND"),
            ("refund_fen", "10000"),
            ("amount_fen", "0"),
            ("fee_e6", "-600000"),
            ("occurred_at", "2027-01-01T00:00:01+08:00"),
            ("channel_refund_no", "202701010000010000078"),
            ("channel_trade_no", "202609061122031906248"),
            ("out_refund_no", "R1"),
            ("out_trade_no", "A1"),
        ],
    );
    assert_has(&rows[2], &[("state", "UNCLASSIFIED"), ("payer_ref", "622600******0048"), ("direction", "in")]);

    // The longer form, a copy whose trailing blanks are gone, and a file of no records.
    let mut long = zm(&[]);
    long.insert(607, b' ');
    let (bill, _) = read_bytes("INN26090688ZM_898000000000101", &long);
    assert_eq!((bill.rows, bill.outside_count, bill.notes.len()), (1, 0, 0));
    let short = zm(&[])[..475].to_vec();
    let (bill, _) = read_bytes("x", &short);
    assert_eq!((bill.rows, bill.is_bill_on_derived, bill.is_resaved), (1, true, true));
    let (bill, _) = read_bytes("INN26090688ZME_898000000000101", b"");
    assert_eq!((bill.layout, bill.rows), (Layout::UnionpayZme, 0));
}

/// The summary for people is compared with the trades beside it; entries in dispute are kept as they are, masked.
#[test]
fn unionpay_summary_and_disputes() {
    let report = |total: &str| {
        let row = |name: &str| format!("{name}   1   0.00   {total}   0.60   0.00   0.00   99.40\r\n");
        gbk(&format!(
            "          中国银联全渠道商户交易汇总表\r\n\r\n商户代码:898000000000101      清算币种:人民币\r\n收单机构:00010000     清算日期:20260906\r\n\r\n{}总计 {}\r\n{}总计 {}",
            row("消费"),
            row(""),
            row("借记卡"),
            row(""),
        ))
    };
    let mut entry = vec![b' '; 339];
    entry[..3].copy_from_slice(b"E22");
    entry[46..62].copy_from_slice(b"6226000000000048");
    entry.extend_from_slice(b"\r\n");
    for (total, differing) in [("100.00", "NULL"), ("100.01", "交易金额(贷)")] {
        let archive = zipped(&[
            ("INN26090688ZM_898000000000101", &zm(&[])),
            ("INN26090688ZME_898000000000101", &entry),
            ("RD201026090601_898000000000101", &report(total)),
        ]);
        let (_dir, bills) = read_all(&[("898000000000101_20260906.zip", &archive)]);
        assert_eq!(bills.len(), 3);
        let summary = bills.iter().find(|b| b.layout == Layout::UnionpayRd).unwrap();
        assert_has(
            &named(&summary.row())[0],
            &[
                ("differing_totals", differing),
                ("fee_e6", "600000"),
                ("stated_fee_e6", "600000"),
                ("mch_id", "898000000000101"),
            ],
        );
        let dispute = bills.iter().find(|b| b.layout == Layout::UnionpayZme).unwrap();
        assert_eq!(dispute.notes, BTreeMap::from([("disputed-entries", 1)]));
        let row = &rows(dispute)[0];
        assert_has(
            row,
            &[("bill_kind", "dispute"), ("state", "DISPUTE"), ("trade_kind", "E22"), ("occurred_at", "NULL")],
        );
        assert!(row["note"].contains("622600******0048") && !row["note"].contains("6226000000000048"));
    }
}

// --- anything --------------------------------------------------------------------------------------------------

/// Starts that lead into each reader, so that what follows is read and not only refused.
fn starts() -> Vec<Vec<u8>> {
    let header = |name: &str| {
        let bytes = std::fs::read(fixture(name)).unwrap();
        bytes[..=bytes.iter().position(|b| *b == b'\n').unwrap()].to_vec()
    };
    vec![
        Vec::new(),
        header("trade-all-27.csv"),
        header("fund-11.csv"),
        gbk(&format!("#支付宝业务明细查询\n{ALIPAY_HEADER}\n")),
        gbk("#支付宝业务汇总查询\n门店编号,商家实收（元）\n"),
        zm(&[]),
        gbk("中国银联全渠道商户交易汇总表\r\n"),
        b"\x1f\x8b\x08\0\0\0\0\0".to_vec(),
        b"PK\x03\x04".to_vec(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// No bytes make the reader panic, and what it reads once it reads twice.
    #[test]
    fn any_bytes(start in 0_usize..9, pieces in prop::collection::vec(prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        prop::sample::select(vec!["`", ",", "\t", "\r\n", "\"", "#", "合计：", "笔，共", "元", "0.01", "-", "[", "]", "2026-09-12 09:15:01",
            "总交易单数,手续费总金额\n", "交易", "退款", "总计 ", "收入", "S22 "]).prop_map(|s| s.as_bytes().to_vec()),
        prop::sample::select(vec!["合计：1笔，共0.01元\n", "列表结束\n"]).prop_map(gbk),
    ], 0..60)) {
        let mut bytes = starts()[start].clone();
        bytes.extend(pieces.concat());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bill");
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(mut bills) = inspect(&path, &Given::default()) {
            relate(&mut bills);
            for bill in &bills {
                prop_assert_eq!(rows(bill).len() as u64, bill.rows);
                prop_assert_eq!(named(&bill.row()).len(), 1);
            }
        }
    }
}
