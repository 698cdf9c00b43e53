//! Archives written once and opened for ever. `archives/README.md` says what each of them is.
//!
//! What is promised over the years is that these bytes verify, and that the same rows have the same leaves and
//! roots; Parquet bytes may differ from one version of the program to the next.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::*;
use sealport::archive::*;
use sealport::clock::{FixedClock, SeededRandom};
use sealport::crypto::{SigningKey, sha256};
use sealport::finding::{Assessment, Finding, Outcome, PolicyResult, ReasonCount, Severity, Summary};
use sealport::model::Bilingual;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::bag::*;

const ARCHIVE_ID: &str = "urn:uuid:5ea1f0de-0001-4000-8000-000000000001";
const ARCHIVE_DIGEST: &str = "c363b513f02a17718008fdd12bc9ce435594dae298ae31e9b7faf19bc1f2282e";
const STATEMENT_HASH: &str = "e45e58eda02166790fc6792e5a03176f64e3bd6d1d85b8448e2c0bb41b2d7676";
/// Rows and root of every table of the golden archive. `single` has one row, so its root is the hash of that leaf.
const ROOTS: [(&str, u64, &str); 5] = [
    ("every_type", 6, "4c83d585a73a70a35ea3997c94e9a07198fbe4d59e448c6dc638aa50437d22bf"),
    ("nothing", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("raw_notes", 4, "cd9853fb32a0e9f82d81bc9d4e31f67d308e697779a7434bd121fdc9fe13341d"),
    ("single", 1, "5cb34fbd1b58657e18b2b556867db4550653d4fc810151d67bdd177b7d75480c"),
    ("visits", 5, "186dd9a30bdd224c92ccb78a03bb02381204e4a34d0682c27c365fb758134b9c"),
];

fn archives() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("archives")
}

fn golden_keyring() -> Keyring {
    Keyring::load(&archives().join("1.0-keyring/keyring.json")).unwrap()
}

fn table(name: &str, columns: &[(&str, LeafType, bool)], key: &[&str], is_canonical: bool) -> TableSpec {
    let column = |(name, ty, nullable): &(&str, LeafType, bool)| ColumnSpec {
        name: (*name).into(),
        ty: *ty,
        nullable: *nullable,
        class: "none".into(),
        class_by: None,
        unit: name.ends_with("_fen").then(|| "fen".into()),
        is_signed: name.ends_with("_fen"),
        vocabulary: (*name == "state").then(|| vec!["open".into(), "closed".into()]),
        source: None,
    };
    TableSpec {
        name: name.into(),
        source_name: name.trim_start_matches("raw_").into(),
        canonical_version: is_canonical.then(|| "1.0".into()),
        columns: columns.iter().map(column).collect(),
        key: key.iter().map(|k| (*k).to_owned()).collect(),
        retention: is_canonical.then(|| ("payment-record".into(), None)),
    }
}

/// Every type of the format with its edges: smallest and largest values, nulls, texts that need escapes.
fn every_type() -> (TableSpec, RecordBatch) {
    use LeafType::*;
    let columns = [
        ("row_no", Int64, false),
        ("state", String, true),
        ("text", String, true),
        ("amount_fen", Int64, true),
        ("counter", UInt64, true),
        ("ratio", Decimal(38, 10), true),
        ("whole", Decimal(5, 0), true),
        ("is_open", Bool, true),
        ("day", Date, true),
        ("seen_at", TimestampUtc, true),
        ("digest", Binary, true),
    ];
    let spec = table("every_type", &columns, &["row_no"], true);
    let decimal = |values: [Option<i128>; 6], p, s| {
        Arc::new(Decimal128Array::from(values.to_vec()).with_precision_and_scale(p, s).unwrap())
    };
    let most = 10_i128.pow(38) - 1;
    let batch = RecordBatch::try_new(
        spec.arrow_schema(),
        vec![
            Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5, 6])),
            Arc::new(StringArray::from(vec![Some("open"), Some("closed"), None, Some("open"), None, Some("closed")])),
            Arc::new(StringArray::from(vec![
                Some(""),
                None,
                Some("退款 “鲜果”\u{3000}😀 e\u{301} \u{feff}"),
                Some("\" \\ / \u{8}\u{9}\u{a}\u{c}\u{d} \u{1} \u{1f} \u{7f}"),
                Some("\u{2028}\u{2029}\u{fffd}\u{10ffff} null true 0"),
                Some("  \\u001F \\\u{1a}  "),
            ])),
            Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(i64::MAX), Some(0), Some(-1), None, Some(1 << 53)])),
            Arc::new(UInt64Array::from(vec![
                Some(0),
                Some(u64::MAX),
                None,
                Some(1 << 63),
                Some(1),
                Some((1 << 53) + 1),
            ])),
            decimal([Some(most), Some(-most), Some(0), Some(-1), None, Some(12_345_678_901)], 38, 10),
            decimal([Some(99_999), Some(-99_999), Some(0), None, Some(7), Some(-7)], 5, 0),
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true), Some(false), None])),
            Arc::new(Date32Array::from(vec![Some(-719_162), Some(2_932_896), Some(0), Some(-1), None, Some(20_778)])),
            Arc::new(
                TimestampMicrosecondArray::from(vec![
                    Some(-62_135_596_800_000_000),
                    Some(253_402_300_799_999_999),
                    Some(0),
                    Some(-1),
                    None,
                    Some(1_795_248_000_123_456),
                ])
                .with_timezone("UTC"),
            ),
            Arc::new(BinaryArray::from_opt_vec(vec![
                Some(b""),
                Some(b"\x00\xff"),
                None,
                Some(b"PAR1"),
                Some(b"\n"),
                Some(&[0xfe; 40]),
            ])),
        ],
    )
    .unwrap();
    (spec, batch)
}

/// Rows as a source delivered them: repeated, unordered, without a key, times without a zone.
fn raw_notes() -> (TableSpec, RecordBatch) {
    let spec =
        table("raw_notes", &[("noted", LeafType::DatetimeLocal, true), ("text", LeafType::String, true)], &[], false);
    let times = vec![Some(1_795_248_000_000_000), None, Some(1_795_248_000_000_000), Some(-1)];
    let batch = RecordBatch::try_new(
        spec.arrow_schema(),
        vec![
            Arc::new(TimestampMicrosecondArray::from(times)),
            Arc::new(StringArray::from(vec![Some("b"), None, Some("b"), Some("a")])),
        ],
    )
    .unwrap();
    (spec, batch)
}

fn single() -> (TableSpec, RecordBatch) {
    let spec =
        table("single", &[("name", LeafType::String, false), ("amount_fen", LeafType::Int64, true)], &["name"], true);
    let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(vec!["梨"])), Arc::new(Int64Array::from(vec![-250]))];
    (spec.clone(), RecordBatch::try_new(spec.arrow_schema(), columns).unwrap())
}

fn nothing() -> (TableSpec, RecordBatch) {
    let spec = table("nothing", &[("name", LeafType::String, false)], &["name"], true);
    (spec.clone(), RecordBatch::new_empty(spec.arrow_schema()))
}

/// A key of two columns that is unique although the rows are not in its order.
fn visits() -> (TableSpec, RecordBatch) {
    let spec =
        table("visits", &[("shop", LeafType::String, false), ("no", LeafType::Int64, false)], &["shop", "no"], true);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["b", "a", "a", "é", "B"])),
        Arc::new(Int64Array::from(vec![1, 10, 9, -1, 0])),
    ];
    (spec.clone(), RecordBatch::try_new(spec.arrow_schema(), columns).unwrap())
}

fn golden_spec() -> BagSpec {
    let mut extra = Map::new();
    extra.insert("caseKind".into(), json!("audit"));
    extra.insert("schemaVersion".into(), json!("1.0"));
    BagSpec {
        id: Some(ARCHIVE_ID.into()),
        stream: "golden".into(),
        pseudonymisation: json!({
            "scheme": "sealport-token-v1", "staffKeyId": "0".repeat(16), "customerKeyId": "1".repeat(16),
            "fingerprintKeyId": "2".repeat(16), "columns": {},
        }),
        producer: Producer { tool: "sealport".into(), version: "0.1.0".into(), executable: None },
        extra,
        ..spec()
    }
}

fn custody() -> String {
    let lines = [
        json!({
            "event": "source", "source": "shop", "engine": "sqlite", "version": "3.51.3", "settings": {"encoding": "UTF-8"},
            "snapshot": "one read transaction", "mapping": "golden@1", "mappingSha256": sha256(b"mapping"),
            "zone": "Asia/Shanghai", "zoneEvidence": null, "tables": 3,
        }),
        json!({
            "event": "select", "source": "shop", "dataset": "single", "table": "fruit", "sql": "SELECT name FROM fruit",
            "sqlSha256": sha256(b"SELECT name FROM fruit"), "rows": 1,
        }),
        json!({
            "event": "file", "file": "registers/visits.csv", "dataset": "visits", "sha256": sha256(b"visits"),
            "expectedSha256": null, "rows": 5, "rejected": 0,
        }),
    ];
    lines.iter().map(|l| format!("{l}\n")).collect()
}

fn reconciliation() -> String {
    let value = json!({
        "reconciliationFormat": 1, "datasets": {}, "absent": {"recharges": "the merchant never had them"}, "notMapped": [],
        "redactions": {}, "acceptedLeaks": [], "missingRegisters": [],
    });
    format!("{value:#}\n")
}

fn write_golden(path: &Path) -> Sealed {
    let random = SeededRandom::new("TEST ONLY golden archive");
    let clock = FixedClock(at("2026-11-21T08:00:00Z"));
    let mut bag = BagWriter::create(path, golden_spec(), &random, &clock).unwrap();
    let mut summaries = Vec::new();
    for (spec, batch) in [every_type(), nothing(), raw_notes(), single(), visits()] {
        let mut table = bag.table(spec).unwrap();
        table.write(&batch).unwrap();
        summaries.push(table.finish().unwrap());
    }
    bag.add_file("data/custody/custody.jsonl", custody().as_bytes()).unwrap();
    bag.add_file("data/custody/reconciliation.json", reconciliation().as_bytes()).unwrap();
    bag.add_file("data/files/receipts/receipt-1.txt", "示例 / sample\n".as_bytes()).unwrap();
    let mut totals = Map::new();
    totals.insert("single".into(), json!({"rows": 1, "quarantined": 0, "sums": {"amount_fen": "-250"}}));
    let closing = Closing { control_totals: totals, readme: ReadmeFacts::default() };
    let (statement, checkpoint) = (producer(), checkpoint());
    bag.seal(Signers { statement: &statement, checkpoint: &checkpoint }, summaries, &closing, &mut |_| Ok(())).unwrap()
}

/// An assessment of the golden archive, as `check` writes it.
fn assessment(sealed: &Sealed) -> Assessment {
    let finding = Finding {
        policy: "GLD-001".into(),
        subject_kind: "fruit".into(),
        subject: "梨".into(),
        reason: "negative".into(),
        severity: Severity::High,
        occurred: Some("2026-10-01".into()),
        evidence: BTreeMap::from([("amount_fen".into(), Some("-250".into())), ("checked_at".into(), None)]),
        fingerprint: "f1:aaaaaaaaaaaaaaaaaaaaaaaaaa".into(),
        waiver: None,
    };
    let policy = PolicyResult {
        id: "GLD-001".into(),
        revision: 1,
        digest: sha256(b"GLD-001"),
        title: Bilingual::new("金额不得为负", "Amounts are not negative"),
        rationale: Bilingual::new("示例", "sample"),
        severity: Severity::High,
        tier: 1,
        outcome: Outcome::Fail,
        why_code: None,
        why: None,
        population: Some(1),
        findings: 1,
        waived: 0,
        subject_kind: "fruit".into(),
        reasons: vec![ReasonCount { code: "negative".into(), text: Bilingual::new("负数", "negative"), count: 1 }],
        first: vec![finding],
        basis: Vec::new(),
        conflicts: Vec::new(),
        remedy: Default::default(),
        parameters: Vec::new(),
        datasets: vec!["single".into()],
    };
    Assessment {
        assessment_format: 1,
        tool_version: "0.1.0".into(),
        schema_version: "1.0".into(),
        archive_id: sealed.archive_id.clone(),
        archive_digest: sealed.digest,
        statement_hash: sealed.statement_hash,
        verification: "PARTIAL: files only, no time-stamp".into(),
        pack: "golden 1.0.0".into(),
        pack_digest: sha256(b"golden"),
        legal_review: None,
        sets: vec!["all".into()],
        role: "merchant".into(),
        as_of: "2026-10-01T00:00:00+08:00".into(),
        window: ("2026-07-01".into(), "2026-10-01".into()),
        decided_on: "2026-10-01".into(),
        zone: "Asia/Shanghai".into(),
        inputs: BTreeMap::from([("inputs/profile.toml".into(), sha256(b"format = 1\n"))]),
        profile_lines: Vec::new(),
        datasets: Vec::new(),
        waivers: Vec::new(),
        summary: Summary::of([&policy]),
        policies: vec![policy],
        findings_csv: "findings.csv".into(),
        findings_count: 1,
    }
}

fn write_assessment(dir: &Path, sealed: &Sealed) {
    let a = assessment(sealed);
    fs::create_dir_all(dir.join("inputs")).unwrap();
    fs::write(dir.join("inputs/profile.toml"), "format = 1\n").unwrap();
    fs::write(dir.join("assessment.json"), serde_json::to_string_pretty(&a).unwrap() + "\n").unwrap();
    fs::write(dir.join("findings.csv"), "policy,subject,reason\nGLD-001,梨,negative\n").unwrap();
    let predicate = json!({
        "archive": {"id": a.archive_id, "digest": a.archive_digest, "statementHash": a.statement_hash},
        "pack": {"name": a.pack, "digest": a.pack_digest},
        "run": {
            "asOf": a.as_of, "window": {"from": a.window.0, "to": a.window.1}, "decidedOn": a.decided_on, "zone": a.zone,
            "sets": a.sets,
        },
        "summary": a.summary,
    });
    let clock = FixedClock(at("2026-11-21T08:30:00Z"));
    seal_folder(dir, FolderKind::Assessment, predicate, &producer(), &clock).unwrap();
}

/// One damaged archive: the golden one with files replaced, added and removed.
#[derive(Debug, Deserialize)]
struct Damaged {
    folder: String,
    code: String,
    exit: u8,
    #[serde(default)]
    removed: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Expected {
    damaged: Vec<Damaged>,
}

fn expected() -> Vec<Damaged> {
    toml::from_str::<Expected>(&fs::read_to_string(archives().join("expected.toml")).unwrap()).unwrap().damaged
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// What was done to the golden archive to get each damaged one.
fn damage(name: &str, bag: &Path) {
    let edit_text = |path: PathBuf, edit: &dyn Fn(String) -> String| {
        let text = fs::read_to_string(&path).unwrap();
        let edited = edit(text.clone());
        assert_ne!(text, edited, "{name}");
        fs::write(path, edited).unwrap();
    };
    let edit_envelope = |edit: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_slice(&fs::read(envelope_path(bag)).unwrap()).unwrap();
        edit(&mut value);
        fs::write(envelope_path(bag), value.to_string()).unwrap();
    };
    match name {
        "1.0-bad-byte" => flip(&bag.join("data/tables/single/part-00000.parquet"), 40),
        "1.0-bad-added" => fs::write(bag.join("data/custody/custody-2.jsonl"), "{}\n").unwrap(),
        "1.0-bad-removed" => fs::remove_file(bag.join("data/files/receipts/receipt-1.txt")).unwrap(),
        "1.0-bad-signature" => edit_envelope(&|e| {
            let sig = e["signatures"][0]["sig"].as_str().unwrap().to_owned();
            let swapped = if sig.starts_with('A') { "B" } else { "A" };
            e["signatures"][0]["sig"] = json!(format!("{swapped}{}", &sig[1..]));
        }),
        "1.0-bad-stranger" => {
            let payload = serde_json::to_vec(&statement(bag)).unwrap();
            fs::remove_file(envelope_path(bag)).unwrap();
            sign_payload(bag, &payload, &SigningKey::from_seed(&sha256(b"TEST ONLY stranger").0));
        }
        "1.0-bad-member" => edit_text(envelope_path(bag), &|s| s.replacen('{', "{\"payloadType\":\"x\",", 1)),
        "1.0-bad-checkpoint" => {
            edit_text(bag.join("signatures/checkpoint.single.txt"), &|s| s.replacen("\n1\n", "\n2\n", 1));
        }
        // From here on everything is signed again with the right keys: only a deeper step can notice.
        "1.0-bad-row" => {
            let (spec, _) = single();
            let columns: Vec<ArrayRef> =
                vec![Arc::new(StringArray::from(vec!["梨"])), Arc::new(Int64Array::from(vec![250]))];
            let batch = RecordBatch::try_new(spec.arrow_schema(), columns).unwrap();
            replace_rows(bag, "data/tables/single/part-00000.parquet", &batch, None);
            resign(bag);
        }
        "1.0-bad-order" => {
            edit_text(bag.join("data/schema/visits.schema.json"), &|s| {
                s.replace("\"order\":\"source\"", "\"order\":\"key\"")
            });
            resign(bag);
        }
        "1.0-bad-version" => resign_with(bag, &|s| s["predicate"]["formatVersion"] = json!("2.0")),
        other => panic!("no such damage: {other}"),
    }
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(dir: &Path, prefix: &str, out: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &format!("{name}/"), out)
            } else {
                out.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    let mut out = BTreeMap::new();
    walk(dir, "", &mut out);
    out
}

/// Writes everything under `archives/` but README and `expected.toml`. Does nothing when the archives are there: they
/// are written once and never again, and all ignored tests may be run at once.
#[test]
#[ignore = "writes archives/1.0-*; run once per format version"]
fn write_archives() {
    let root = archives();
    let good = root.join("1.0-good");
    if good.exists() {
        return;
    }
    keyring().save(&root.join("1.0-keyring")).unwrap();
    let sealed = write_golden(&good);
    write_assessment(&root.join("1.0-assessment"), &sealed);
    let before = files(&good);
    for bad in expected() {
        let dir = tempfile::tempdir().unwrap();
        let bag = dir.path().join("bag");
        copy_tree(&good, &bag);
        damage(&bad.folder, &bag);
        let after = files(&bag);
        let removed: Vec<_> = before.keys().filter(|p| !after.contains_key(*p)).cloned().collect();
        assert_eq!(removed, bad.removed, "{}", bad.folder);
        for (path, bytes) in after.iter().filter(|(p, b)| before.get(*p) != Some(b)) {
            let target = root.join(&bad.folder).join(path);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::write(target, bytes).unwrap();
        }
    }
}

/// The golden archive verifies in full, and is the one that was written: digest, statement, rows, roots.
#[test]
fn golden_archive_verifies_for_ever() {
    let good = archives().join("1.0-good");
    let report = judge(&good, &golden_keyring(), &options());
    assert_eq!((report.verdict, report.exit.code()), (Verdict::Valid, 0), "{:#?}", report.steps);
    assert_eq!(report.scope_line, "FULL: files+rows, no time-stamp");
    assert_eq!(report.digest.unwrap().to_string(), ARCHIVE_DIGEST);
    assert_eq!(report.statement_hash.unwrap().to_string(), STATEMENT_HASH);
    let archive = Archive::open(&good).unwrap();
    assert_eq!(archive.statement().archive_id, ARCHIVE_ID);
    let tables: Vec<_> =
        archive.statement().tables.iter().map(|t| (t.name.clone(), t.rows, t.root.to_string())).collect();
    let constants: Vec<_> = ROOTS.iter().map(|(n, rows, root)| ((*n).to_owned(), *rows, (*root).to_owned())).collect();
    assert_eq!(tables, constants);
    let order = |name: &str| archive.table(name).map(|t| (t.schema.order, t.schema.is_key_unique)).unwrap();
    assert_eq!(order("every_type"), (RowOrder::Key, true));
    assert_eq!(order("visits"), (RowOrder::Source, true));
    assert_eq!(order("raw_notes"), (RowOrder::Source, false));
    assert_eq!(archive.custody().unwrap().len(), 3);
}

/// Each damaged archive is refused with its own code, and for ever with the same one.
#[test]
fn damaged_archives_are_refused_for_ever() {
    let all = expected();
    assert!(all.len() >= 10, "damaged archives are never taken away");
    for entry in fs::read_dir(archives()).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(
            !name.contains("-bad-") || all.iter().any(|b| b.folder == name),
            "{name} is not listed in expected.toml"
        );
    }
    for bad in &all {
        let dir = tempfile::tempdir().unwrap();
        let bag = dir.path().join("bag");
        copy_tree(&archives().join("1.0-good"), &bag);
        // The one that only lacks a file has no folder.
        if archives().join(&bad.folder).exists() {
            copy_tree(&archives().join(&bad.folder), &bag);
        }
        for path in &bad.removed {
            fs::remove_file(bag.join(path)).unwrap();
            // An empty folder would be a fault of its own.
            for parent in Path::new(path).ancestors().skip(1) {
                if fs::remove_dir(bag.join(parent)).is_err() {
                    break;
                }
            }
        }
        let report = judge(&bag, &golden_keyring(), &options());
        let code = report.failure().and_then(|s| s.code).map(Code::as_str);
        assert_eq!((code, report.exit.code()), (Some(bad.code.as_str()), bad.exit), "{}", bad.folder);
    }
}

/// The same rows, keys and randomness still give the golden leaves: equal roots, equal schema documents, equal salts.
#[test]
fn same_rows_same_roots_as_golden() {
    let dir = tempfile::tempdir().unwrap();
    let sealed = write_golden(&dir.path().join("bag"));
    let (now, then) = (Archive::open(&sealed.path).unwrap(), Archive::open(&archives().join("1.0-good")).unwrap());
    assert_eq!(now.statement().tables, then.statement().tables);
    for path in
        ["data/blinding/leaf-salts.json", "data/schema/every_type.schema.json", "signatures/checkpoint.single.txt"]
    {
        assert_eq!(
            fs::read(sealed.path.join(path)).unwrap(),
            fs::read(archives().join("1.0-good").join(path)).unwrap(),
            "{path}"
        );
    }
    assert_eq!(keyring().bytes(), golden_keyring().bytes());
}

/// The golden assessment verifies, and its content is still understood.
#[test]
fn golden_assessment_is_read_for_ever() {
    let dir = archives().join("1.0-assessment");
    let report = judge(&dir, &golden_keyring(), &options());
    assert_eq!((report.verdict, report.kind), (Verdict::Valid, FolderKind::Assessment), "{:#?}", report.steps);
    let read: Assessment = serde_json::from_slice(&fs::read(dir.join("assessment.json")).unwrap()).unwrap();
    assert_eq!(read.archive_digest.to_string(), ARCHIVE_DIGEST);
    assert_eq!((read.findings_count, read.policies[0].first[0].subject.as_str()), (1, "梨"));
}
