//! The bills that the sample merchant gets, read by the reader of bills.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sealport::progress::{Cancel, Hidden};
use sealport::source::bills::{self, Given, Layout, Platform};
use sealport::synth::{self, FaultSelection, SynthSpec};

use crate::commands::rows;
use crate::support::{Place, csv};

fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, out) } else { out.push(path) }
    }
}

/// Every bill is read by the reader of bills: nothing is unusual about any, every printed total is that of the lines,
/// every digest is the stated one, and the summaries agree with the bills they sum up.
#[tokio::test]
async fn bills_are_what_the_platforms_write() {
    let dir = tempfile::tempdir().unwrap();
    let spec = SynthSpec { orders: 1_000, seed: 7, faults: FaultSelection::None };
    let summary = synth::write(&dir.path().join("s"), &spec, &Hidden, &Cancel::default()).await.unwrap();
    let mut paths = Vec::new();
    files(&dir.path().join("s/source/bills"), &mut paths);
    let mut all = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.ends_with("SUMS") {
            continue;
        }
        let stated = |list: &str| {
            let text = std::fs::read_to_string(path.with_file_name(list)).ok()?;
            text.lines().find_map(|l| l.strip_suffix(&format!("  {name}")).map(str::to_owned))
        };
        let given = Given { sha1: stated("SHA1SUMS"), sha256: stated("SHA256SUMS"), ..Given::default() };
        all.extend(bills::inspect(&path, &given).unwrap());
    }
    bills::relate(&mut all);
    let layouts: BTreeSet<&str> = all.iter().map(|b| b.layout.name()).collect();
    let expected = [
        Layout::WechatTradeAll27,
        Layout::WechatFund11,
        Layout::AlipayTrade25,
        Layout::AlipayTradeSummary12,
        Layout::UnionpayZm,
        Layout::UnionpayRd,
    ];
    assert_eq!(layouts, expected.iter().map(|l| l.name()).collect());
    for bill in &all {
        assert!(bill.agrees() && bill.rejected_count == 0, "{}: {:?}", bill.file, bill.totals);
        assert!(bill.outside_count == 0 && bill.merchant_count <= 1 && bill.overlap_count == 0, "{}", bill.file);
        assert!(!bill.is_partial && bill.repeats.is_none(), "{}", bill.file);
        assert_eq!(bill.is_digest_confirmed(), Some(true), "{}", bill.file);
        assert!(bill.notes.keys().all(|n| *n == "account-kind-from-name"), "{}: {:?}", bill.file, bill.notes);
        assert!(bill.layout.platform() != Platform::Unionpay || !bill.is_bill_on_derived, "{}", bill.file);
    }
    // The rest of the two datasets are the two days written down by hand.
    let lines: u64 = all.iter().map(|b| b.rows).sum();
    assert_eq!(all.len() as u64 + 2, summary.rows["bills"]);
    assert!(lines < summary.rows["bill_lines"] && lines + 20 > summary.rows["bill_lines"], "{lines}");
}

/// A case over the folder `bills`, judged as of the end of the quarter.
fn init(place: &Place) {
    assert_eq!(place.run(&["init", "case", "--kind", "audit", "--bills", "bills/*"]).code, 0);
    place.edit("case.toml", |text| {
        let line = |l: &str| match l.split(" = ").next().unwrap_or_default() {
            "title" => "title = \"账单\"".to_owned(),
            "merchant" => "merchant = \"示例商户\"".to_owned(),
            "as_of" => "as_of = 2026-10-01T00:00:00+08:00\ndecided_on = 2026-10-01".to_owned(),
            "window" => "window = { from = 2026-07-01, to = 2026-10-01 }".to_owned(),
            _ => l.to_owned(),
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n")
    });
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bills").join(name)).unwrap()
}

/// The same bill plain, saved anew and packed does not stop a seal and is not counted twice; what the pattern takes in
/// besides bills is a list of digests, never an error.
#[test]
fn copies_of_a_bill_are_sealed_once() {
    let place = Place::empty();
    let folder = place.path().join("bills");
    std::fs::create_dir(&folder).unwrap();
    let plain = fixture("trade-all-27.csv");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packed, &plain).unwrap();
    for (name, bytes) in [
        ("a.csv", plain.clone()),
        ("b-saved-anew", fixture("trade-all-27-resaved.csv")),
        ("c.bin", packed.finish().unwrap()),
        ("SHA1SUMS", format!("{}  c.bin\n", "0".repeat(40)).into_bytes()),
    ] {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    init(&place);
    let sealed = place.run(&["seal", "case"]);
    assert_eq!(sealed.code, 0, "{}", sealed.err);
    let archive = place.path().join(place.archive());
    let bills = rows(&archive, "bills", &["src_table", "bill_ref", "repeats_ref", "row_count", "total_fen"]);
    assert_eq!(bills.len(), 3);
    let original = bills.iter().find(|b| b[0] == "a.csv").unwrap();
    assert_eq!(original[2..], ["", "3", "3580"]);
    for copy in bills.iter().filter(|b| b[0] != "a.csv") {
        assert_eq!(copy[2..], [original[1].as_str(), "0", ""], "{copy:?}");
    }
    let lines = rows(&archive, "bill_lines", &["bill_ref", "line_no"]);
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|l| l[0] == original[1]));
}

/// A UnionPay trade file as the sample merchant gets one, its first record under a code that nobody knows.
async fn unionpay_of_unknown_kind(dir: &Path) -> (String, Vec<u8>) {
    let spec = SynthSpec { orders: 1_000, seed: 7, faults: FaultSelection::None };
    synth::write(&dir.join("s"), &spec, &Hidden, &Cancel::default()).await.unwrap();
    let mut paths = Vec::new();
    files(&dir.join("s/source/bills/unionpay"), &mut paths);
    paths.sort();
    let zip = paths.iter().find(|p| p.extension().is_some_and(|e| e == "zip")).unwrap();
    let mut zip = zip::ZipArchive::new(std::fs::File::open(zip).unwrap()).unwrap();
    let name = zip.file_names().map(|n| n.unwrap().into_owned()).find(|n| n.starts_with("INN")).unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut zip.by_name(&name).unwrap(), &mut bytes).unwrap();
    bytes[..3].copy_from_slice(b"S99");
    (name, bytes)
}

/// Whatever the reader of bills sees about a file is a finding about that file.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_bill_is_a_finding() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::empty();
    let folder = place.path().join("bills");
    std::fs::create_dir(&folder).unwrap();
    let of_day = |name: &str, day: &str| {
        let text = String::from_utf8(fixture(name)).unwrap();
        text.replace("2026-09-12", &format!("2026-09-{day}")).replace("20260912", &format!("202609{day}"))
    };
    let whole = of_day("trade-all-27.csv", "01");
    let foreign = of_day("trade-all-27.csv", "04").replacen("`1900000001,`1900000077", "`1900000002,`1900000077", 1);
    let late = of_day("trade-all-27.csv", "05").replacen("2026-09-05 08:00:59", "2026-09-09 08:00:59", 1);
    let unreadable = of_day("trade-all-27.csv", "06").replacen("2026-09-06 08:00:59", "yesterday", 1);
    let other_total = of_day("trade-all-27.csv", "07").replacen("`37.80,`6.80", "`37.80,`6.81", 1);
    let (unionpay, records) = unionpay_of_unknown_kind(dir.path()).await;
    for (name, bytes) in [
        ("a-whole.csv", whole.clone().into_bytes()),
        ("b-again.csv", whole.into_bytes()),
        ("c-no-end.csv", of_day("trade-all-27-no-summary.csv", "02").into_bytes()),
        ("d-whole.csv", of_day("trade-all-27.csv", "03").into_bytes()),
        ("e-cut-off.csv", of_day("trade-all-27-cut-off.csv", "03").into_bytes()),
        ("f-foreign.csv", foreign.into_bytes()),
        ("g-late.csv", late.into_bytes()),
        ("h-unreadable.csv", unreadable.into_bytes()),
        ("i-other-total.csv", other_total.into_bytes()),
        (unionpay.as_str(), records),
    ] {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    init(&place);
    let sealed = place.run(&["seal", "case"]);
    assert_eq!(sealed.code, 0, "{}", sealed.err);
    let archive = place.path().join(place.archive());
    let names: BTreeMap<String, String> =
        rows(&archive, "bills", &["bill_ref", "src_table"]).into_iter().map(|r| (r[0].clone(), r[1].clone())).collect();
    // Most policies lack data here, which is said.
    assert_eq!(place.run(&["check", "case"]).code, 5);
    let findings = csv(&place.case().join("out/assessments/case-1-0001/findings.csv"));
    let told: BTreeSet<(&str, &str)> = findings
        .iter()
        .filter(|f| f["policy"] == "REC-003")
        .map(|f| (names[&f["subject"]].as_str(), f["reason"].as_str()))
        .collect();
    let expected = [
        ("b-again.csv", "repeated"),
        ("c-no-end.csv", "partial"),
        ("d-whole.csv", "overlapping"),
        ("e-cut-off.csv", "overlapping"),
        ("e-cut-off.csv", "partial"),
        ("f-foreign.csv", "foreign-merchant"),
        ("g-late.csv", "outside-days"),
        ("h-unreadable.csv", "lines-rejected"),
        ("i-other-total.csv", "other-total-differs"),
        (unionpay.as_str(), "lines-unclassified"),
    ];
    for one in expected {
        assert!(told.contains(&one), "{one:?} is not among {told:#?}");
    }
    // What is left over belongs to the files of which lines are missing.
    let others: Vec<_> = told.iter().filter(|t| !expected.contains(t)).collect();
    assert!(others.iter().all(|t| ["e-cut-off.csv", "h-unreadable.csv"].contains(&t.0)), "{others:#?}");
}
