//! A small archive for tests, and the means to forge it: change files and sign everything again, validly.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::*;
use chrono::{DateTime, Utc};
use data_encoding::BASE64;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use sealport::archive::*;
use sealport::clock::{FixedClock, SeededRandom};
use sealport::crypto::{PublicKey, SigningKey, sha256};
use sealport::progress::{Cancel, Hidden};
use serde_json::{Value, json};

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(crate) fn producer() -> SigningKey {
    SigningKey::from_seed(&sha256(b"TEST ONLY producer").0)
}

pub(crate) fn checkpoint() -> SigningKey {
    SigningKey::from_seed(&sha256(b"TEST ONLY checkpoint").0)
}

pub(crate) fn keyring() -> Keyring {
    Keyring::create(&producer().public(), &checkpoint().public(), "Example Fruit Ltd", at("2026-11-01T00:00:00Z"))
        .unwrap()
}

fn column(name: &str, ty: LeafType, nullable: bool) -> ColumnSpec {
    ColumnSpec {
        name: name.into(),
        ty,
        nullable,
        class: "none".into(),
        class_by: None,
        unit: None,
        is_signed: false,
        vocabulary: None,
        source: None,
    }
}

/// A table with every type, in key order.
pub(crate) fn payments_spec() -> TableSpec {
    TableSpec {
        name: "payments".into(),
        source_name: "payments".into(),
        canonical_version: Some("1.0".into()),
        columns: vec![
            column("payment_ref", LeafType::String, false),
            column("amount_fen", LeafType::Int64, true),
            column("quantity", LeafType::Decimal(18, 3), true),
            column("paid_at", LeafType::TimestampUtc, true),
            column("paid_on", LeafType::Date, true),
            column("is_combined", LeafType::Bool, true),
            column("memo", LeafType::String, true),
        ],
        key: vec!["payment_ref".into()],
        retention: Some(("payment-record".into(), Some("paid_on".into()))),
    }
}

/// A table whose rows are not in key order.
pub(crate) fn notes_spec() -> TableSpec {
    TableSpec {
        name: "notes".into(),
        source_name: "notes".into(),
        canonical_version: Some("1.0".into()),
        columns: vec![column("note_no", LeafType::Int64, false), column("text", LeafType::String, true)],
        key: vec!["note_no".into()],
        retention: None,
    }
}

pub(crate) const ROWS: usize = 600;
/// Smallest amount: easy to find as bytes in statistics.
pub(crate) const SMALLEST: i64 = 0x0102_0304_0506;

pub(crate) fn payments() -> RecordBatch {
    let n = ROWS as i64;
    RecordBatch::try_new(
        payments_spec().arrow_schema(),
        vec![
            Arc::new(StringArray::from_iter_values((0..n).map(|i| format!("P{i:06}")))),
            Arc::new(Int64Array::from_iter((0..n).map(|i| (i % 11 != 3).then_some(SMALLEST + i)))),
            Arc::new(
                Decimal128Array::from_iter((0..n).map(|i| (i % 5 != 1).then_some(i128::from(i - 300) * 7)))
                    .with_precision_and_scale(18, 3)
                    .unwrap(),
            ),
            Arc::new(
                TimestampMicrosecondArray::from_iter(
                    (0..n).map(|i| (i % 7 != 2).then_some(1_700_000_000_000_000 + i * 1_234_567)),
                )
                .with_timezone("UTC"),
            ),
            Arc::new(Date32Array::from_iter((0..n).map(|i| (i % 7 != 2).then_some(19_000 + i as i32)))),
            Arc::new(BooleanArray::from_iter((0..n).map(|i| (i % 3 != 0).then_some(i % 2 == 0)))),
            Arc::new(StringArray::from_iter((0..n).map(|i| match i % 4 {
                0 => None,
                1 => Some(String::new()),
                _ => Some(format!("退款 \"{i}\" \\ \u{7f}\t\u{2028}😀")),
            }))),
        ],
    )
    .unwrap()
}

pub(crate) fn notes() -> RecordBatch {
    RecordBatch::try_new(
        notes_spec().arrow_schema(),
        vec![
            Arc::new(Int64Array::from(vec![5, 3, 9, 1])),
            Arc::new(StringArray::from(vec![Some("a"), None, Some(""), Some("d")])),
        ],
    )
    .unwrap()
}

pub(crate) fn spec() -> BagSpec {
    BagSpec {
        id: None,
        stream: "example-shop".into(),
        sequence: 1,
        previous: None,
        organisation: "示例果品 Example Fruit Ltd".into(),
        custodian: "Records office".into(),
        coverage: (at("2025-12-31T16:00:00Z"), at("2026-10-31T16:00:00Z")),
        zone: chrono_tz::Asia::Shanghai,
        is_draft: false,
        pseudonymisation: json!({"scheme": "none", "columns": []}),
        producer: Producer { tool: "sealport".into(), version: "test".into(), executable: None },
        keyring: BagSpec::keyring_of(&keyring()),
        extra: serde_json::Map::new(),
    }
}

/// Writes a whole archive; `cut` is the number of rows per batch.
pub(crate) fn write_bag(
    path: &Path,
    spec: BagSpec,
    cut: usize,
    threads: usize,
    observer: Observer<'_>,
) -> Result<Sealed, Error> {
    write_rows(path, spec, &[(payments_spec(), payments()), (notes_spec(), notes())], cut, threads, observer)
}

pub(crate) type Observer<'a> = &'a mut dyn FnMut(SealStep) -> Result<(), sealport::progress::Interrupted>;

/// As [`write_bag`], with other tables.
pub(crate) fn write_rows(
    path: &Path,
    spec: BagSpec,
    tables: &[(TableSpec, RecordBatch)],
    cut: usize,
    threads: usize,
    observer: Observer<'_>,
) -> Result<Sealed, Error> {
    let random = SeededRandom::new("test");
    let clock = FixedClock(at("2026-11-21T08:00:00Z"));
    let mut bag = BagWriter::create(path, spec, &random, &clock)?;
    let mut summaries = Vec::new();
    for (spec, batch) in tables {
        let mut table = bag.table(spec.clone())?;
        table.set_threads(threads);
        let mut row = 0;
        while row < batch.num_rows() {
            let n = cut.min(batch.num_rows() - row);
            table.write(&batch.slice(row, n))?;
            row += n;
        }
        summaries.push(table.finish()?);
    }
    bag.add_file("data/custody/custody.jsonl", b"{\"event\":\"extract\"}\n")?;
    bag.add_file("data/custody/reconciliation.json", b"{\"tables\":{}}")?;
    let (statement, checkpoint) = (producer(), checkpoint());
    bag.seal(Signers { statement: &statement, checkpoint: &checkpoint }, summaries, &Closing::default(), observer)
}

pub(crate) fn new_bag(path: &Path) -> Sealed {
    write_bag(path, spec(), 8_192, 2, &mut |_| Ok(())).unwrap()
}

pub(crate) fn options() -> VerifyOptions {
    VerifyOptions::full(at("2026-11-22T08:00:00Z"))
}

pub(crate) fn judge(path: &Path, keyring: &Keyring, options: &VerifyOptions) -> VerifyReport {
    verify(path, keyring, options, &Hidden, &Cancel::default())
}

pub(crate) fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(crate) fn envelope_path(bag: &Path) -> PathBuf {
    bag.join("signatures").join(format!("statement.{}.dsse.json", &producer().public().key_id()[..8]))
}

pub(crate) fn statement(bag: &Path) -> Value {
    let envelope: Value = serde_json::from_slice(&fs::read(envelope_path(bag)).unwrap()).unwrap();
    serde_json::from_slice(&BASE64.decode(envelope["payload"].as_str().unwrap().as_bytes()).unwrap()).unwrap()
}

fn envelope_of(payload: &[u8], key: &SigningKey) -> Value {
    let sig = key.sign(&pae(PAYLOAD_TYPE, payload));
    json!({
        "payload": BASE64.encode(payload), "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": key.public().key_id(), "sig": BASE64.encode(&sig)}],
    })
}

/// Signs other payload bytes with a key, under the name of that key.
pub(crate) fn sign_payload(bag: &Path, payload: &[u8], key: &SigningKey) {
    let name = format!("statement.{}.dsse.json", &key.public().key_id()[..8]);
    fs::write(bag.join("signatures").join(name), envelope_of(payload, key).to_string()).unwrap();
}

pub(crate) fn note(origin: &str, rows: u64, root: &str, key: &SigningKey) -> String {
    let root = data_encoding::HEXLOWER.decode(root.as_bytes()).unwrap();
    let text = format!("{origin}\n{rows}\n{}\n", BASE64.encode(&root));
    let mut id = format!("{origin}\n\u{1}").into_bytes();
    id.extend_from_slice(&key.public().raw());
    let mut raw = sha256(&id).0[..4].to_vec();
    raw.extend_from_slice(&key.sign(text.as_bytes()));
    format!("{text}\n\u{2014} {origin} {}\n", BASE64.encode(&raw))
}

fn list(dir: &Path, prefix: &str, out: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() { list(&entry.path(), &format!("{path}/"), out) } else { out.push(path) }
    }
}

/// Writes manifests and tag manifest anew for the files as they are now.
pub(crate) fn remake_manifests(bag: &Path) {
    let mut files = Vec::new();
    list(&bag.join("data"), "data/", &mut files);
    files.sort();
    let line = |p: &String| format!("{}  {p}\n", sha256(&fs::read(bag.join(p)).unwrap()));
    fs::write(bag.join("manifest-sha256.txt"), files.iter().map(line).collect::<String>()).unwrap();
    let octets: u64 = files.iter().map(|p| fs::metadata(bag.join(p)).unwrap().len()).sum();
    let info = fs::read_to_string(bag.join("bag-info.txt")).unwrap();
    let info: Vec<String> = info
        .lines()
        .map(|l| {
            if l.starts_with("Payload-Oxum") { format!("Payload-Oxum: {octets}.{}", files.len()) } else { l.to_owned() }
        })
        .collect();
    fs::write(bag.join("bag-info.txt"), info.join("\n") + "\n").unwrap();
    remake_tagmanifest(bag);
}

pub(crate) fn remake_tagmanifest(bag: &Path) {
    let mut text = String::new();
    for name in ["README.txt", "bag-info.txt", "bagit.txt", "manifest-sha256.txt"] {
        text += &format!("{}  {name}\n", sha256(&fs::read(bag.join(name)).unwrap()));
    }
    fs::write(bag.join("tagmanifest-sha256.txt"), text).unwrap();
}

/// Makes the statement fit the files as they are now, lets `edit` change it, and signs statement and checkpoints.
pub(crate) fn resign_with(bag: &Path, edit: &dyn Fn(&mut Value)) {
    let mut statement = statement(bag);
    let manifest = fs::read_to_string(bag.join("manifest-sha256.txt")).unwrap();
    let octets: u64 = manifest.lines().filter_map(|l| fs::metadata(bag.join(&l[66..])).ok()).map(|m| m.len()).sum();
    statement["predicate"]["payload"] = json!({"octets": octets, "files": manifest.lines().count()});
    let tag = sha256(&fs::read(bag.join("tagmanifest-sha256.txt")).unwrap()).to_string();
    statement["subject"][0]["digest"]["sha256"] = json!(tag);
    for table in statement["predicate"]["tables"].as_array_mut().unwrap() {
        let schema = fs::read(bag.join(table["schema"]["name"].as_str().unwrap())).unwrap();
        table["schema"]["digest"]["sha256"] = json!(sha256(&schema).to_string());
    }
    edit(&mut statement);
    for t in statement["predicate"]["tables"].as_array().unwrap() {
        let (origin, rows) = (t["checkpointOrigin"].as_str().unwrap(), t["rows"].as_u64().unwrap());
        let text = note(origin, rows, t["rootHash"].as_str().unwrap(), &checkpoint());
        fs::write(bag.join(format!("signatures/checkpoint.{}.txt", t["name"].as_str().unwrap())), text).unwrap();
    }
    sign_payload(bag, &serde_json::to_vec(&statement).unwrap(), &producer());
}

pub(crate) fn resign(bag: &Path) {
    remake_manifests(bag);
    resign_with(bag, &|_| ());
}

pub(crate) const PAYMENTS: &str = "data/tables/payments/part-00000.parquet";
pub(crate) const NOTES: &str = "data/tables/notes/part-00000.parquet";

/// Replaces a part by other rows, written by a plain writer.
pub(crate) fn replace_rows(bag: &Path, part: &str, batch: &RecordBatch, properties: Option<WriterProperties>) {
    let properties = properties
        .unwrap_or_else(|| WriterProperties::builder().set_compression(Compression::ZSTD(Default::default())).build());
    let options = parquet::arrow::arrow_writer::ArrowWriterOptions::new()
        .with_properties(properties)
        .with_skip_arrow_metadata(true);
    let file = fs::File::create(bag.join(part)).unwrap();
    let mut writer = ArrowWriter::try_new_with_options(file, batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

/// A keyring file with one member of one key replaced.
pub(crate) fn keyring_with(edit: &dyn Fn(&mut Value)) -> Keyring {
    let mut value: Value = serde_json::from_slice(keyring().bytes()).unwrap();
    edit(&mut value);
    Keyring::from_bytes(value.to_string().as_bytes()).unwrap()
}

pub(crate) fn id_of(key: &PublicKey) -> String {
    key.key_id()
}
