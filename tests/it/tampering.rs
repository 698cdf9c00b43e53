//! One valid archive, one change at a time; each must be refused with its code.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use sealport::archive::*;
use sealport::crypto::{SigningKey, sha256};
use serde_json::{Value, json};

use crate::bag::*;

type Change = Box<dyn Fn(&Path)>;

fn on(path: &'static str, edit: fn(Vec<u8>) -> Vec<u8>) -> Change {
    Box::new(move |bag| {
        let bytes = fs::read(bag.join(path)).unwrap();
        fs::write(bag.join(path), edit(bytes)).unwrap();
    })
}

fn text(path: &'static str, edit: fn(String) -> String) -> Change {
    Box::new(move |bag| {
        let text = fs::read_to_string(bag.join(path)).unwrap();
        fs::write(bag.join(path), edit(text)).unwrap();
    })
}

/// Edits a file, then makes every manifest and signature fit.
fn forged_text(path: &'static str, edit: fn(String) -> String) -> Change {
    Box::new(move |bag| {
        text(path, edit)(bag);
        resign(bag);
    })
}

fn envelope(edit: fn(&mut Value)) -> Change {
    Box::new(move |bag| {
        let path = envelope_path(bag);
        let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        edit(&mut value);
        fs::write(path, value.to_string()).unwrap();
    })
}

fn envelope_text(edit: fn(String) -> String) -> Change {
    Box::new(move |bag| {
        let path = envelope_path(bag);
        fs::write(&path, edit(fs::read_to_string(&path).unwrap())).unwrap();
    })
}

/// Changes the statement and signs it with the real key.
fn statement_edit(edit: fn(&mut Value)) -> Change {
    Box::new(move |bag| resign_with(bag, &edit))
}

/// A manifest edit, with tag manifest and statement made to fit.
fn manifest_edit(edit: fn(String) -> String) -> Change {
    Box::new(move |bag| {
        text("manifest-sha256.txt", edit)(bag);
        remake_tagmanifest(bag);
        let tag = sha256(&fs::read(bag.join("tagmanifest-sha256.txt")).unwrap()).to_string();
        let mut s = statement(bag);
        s["subject"][0]["digest"]["sha256"] = json!(tag);
        sign_payload(bag, &serde_json::to_vec(&s).unwrap(), &producer());
    })
}

/// Other rows under the old root, validly signed.
fn rows(part: &'static str, make: fn() -> RecordBatch) -> Change {
    Box::new(move |bag| {
        replace_rows(bag, part, &make(), None);
        resign(bag);
    })
}

fn zstd() -> parquet::file::properties::WriterPropertiesBuilder {
    WriterProperties::builder().set_compression(Compression::ZSTD(Default::default()))
}

fn rows_with(properties: fn() -> WriterProperties) -> Change {
    Box::new(move |bag| {
        replace_rows(bag, PAYMENTS, &payments(), Some(properties()));
        resign(bag);
    })
}

fn pick(batch: &RecordBatch, rows: impl Iterator<Item = usize>) -> RecordBatch {
    let index = UInt64Array::from_iter_values(rows.map(|r| r as u64));
    let columns = batch.columns().iter().map(|c| take(c, &index, None).unwrap()).collect();
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

/// The payments with one column replaced, name and type included.
fn with_column(index: usize, field: Field, array: ArrayRef) -> RecordBatch {
    let batch = payments();
    let mut fields: Vec<Field> = batch.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
    let mut columns = batch.columns().to_vec();
    fields[index] = field;
    columns[index] = array;
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn set_rows(bag: &Path, table: &str, rows: u64) {
    resign_with(bag, &|s| {
        let tables = s["predicate"]["tables"].as_array_mut().unwrap();
        tables.iter_mut().find(|t| t["name"] == table).unwrap()["rows"] = json!(rows);
    });
}

/// Puts bytes in front of the footer of a Parquet file.
fn gap(bytes: Vec<u8>) -> Vec<u8> {
    let n = bytes.len();
    let footer = u32::from_le_bytes(bytes[n - 8..n - 4].try_into().unwrap()) as usize;
    let at = n - 8 - footer;
    [&bytes[..at], b"hidden", &bytes[at..]].concat()
}

/// Makes the smallest amount in the footer larger than it is.
fn false_minimum(mut bytes: Vec<u8>) -> Vec<u8> {
    let n = bytes.len();
    let footer = u32::from_le_bytes(bytes[n - 8..n - 4].try_into().unwrap()) as usize;
    let pattern = SMALLEST.to_le_bytes();
    let hits: Vec<usize> = (n - 8 - footer..n - 16).filter(|i| bytes[*i..*i + 8] == pattern).collect();
    assert!(!hits.is_empty(), "the statistics hold the smallest amount");
    for hit in hits {
        bytes[hit] += 9;
    }
    bytes
}

/// The same in the column index alone.
fn false_index(mut bytes: Vec<u8>) -> Vec<u8> {
    let n = bytes.len();
    let footer = u32::from_le_bytes(bytes[n - 8..n - 4].try_into().unwrap()) as usize;
    let pattern = SMALLEST.to_le_bytes();
    let end = n - 8 - footer;
    let hit = (end.saturating_sub(4_000)..end - 8).rev().find(|i| bytes[*i..*i + 8] == pattern).unwrap();
    bytes[hit] += 9;
    bytes
}

fn cases() -> Vec<(&'static str, Code, Change)> {
    let other_key = || SigningKey::from_seed(&[9; 32]);
    vec![
        // Structure
        (
            "symbolic link instead of a file",
            Code::NotRegular,
            Box::new(|bag| {
                let path = bag.join("data/custody/custody.jsonl");
                fs::remove_file(&path).unwrap();
                std::os::unix::fs::symlink("reconciliation.json", path).unwrap();
            }),
        ),
        (
            "symbolic link instead of a folder",
            Code::NotRegular,
            Box::new(|bag| {
                fs::rename(bag.join("data/docs"), bag.join("docs2")).unwrap();
                std::os::unix::fs::symlink("../docs2", bag.join("data/docs")).unwrap();
            }),
        ),
        ("name with a trailing dot", Code::Name, Box::new(|bag| fs::write(bag.join("data/x."), "").unwrap())),
        ("name that is not ASCII", Code::Name, Box::new(|bag| fs::write(bag.join("data/é"), "").unwrap())),
        ("name of a device", Code::Name, Box::new(|bag| fs::write(bag.join("data/nul.txt"), "").unwrap())),
        ("backslash in a name", Code::Name, Box::new(|bag| fs::write(bag.join("data/a\\b"), "").unwrap())),
        (
            "paths that differ in case",
            Code::CaseCollision,
            Box::new(|bag| fs::write(bag.join("data/custody/Custody.jsonl"), "").unwrap()),
        ),
        ("BagIt version lowered", Code::BagitTxt, text("bagit.txt", |s| s.replace("1.0", "0.96"))),
        ("bagit.txt missing", Code::BagitTxt, Box::new(|bag| fs::remove_file(bag.join("bagit.txt")).unwrap())),
        ("fetch.txt", Code::Fetch, Box::new(|bag| fs::write(bag.join("fetch.txt"), "http://x - data/y\n").unwrap())),
        ("MD5 manifest", Code::Extra, Box::new(|bag| fs::write(bag.join("manifest-md5.txt"), "").unwrap())),
        ("file in the root", Code::Extra, Box::new(|bag| fs::write(bag.join("notes.txt"), "").unwrap())),
        (
            "new tag folder",
            Code::Extra,
            Box::new(|bag| {
                fs::create_dir(bag.join("meta")).unwrap();
                fs::write(bag.join("meta/x.txt"), "").unwrap();
            }),
        ),
        ("file in signatures", Code::Extra, Box::new(|bag| fs::write(bag.join("signatures/key.pem"), "").unwrap())),
        ("empty folder", Code::Extra, Box::new(|bag| fs::create_dir(bag.join("data/empty")).unwrap())),
        // Envelope
        ("payload type changed", Code::PayloadType, envelope(|e| e["payloadType"] = json!(KEYRING_TYPE))),
        ("member twice", Code::DupMember, envelope_text(|s| s.replacen('{', "{\"payloadType\":\"x\",", 1))),
        ("bytes behind the envelope", Code::Envelope, envelope_text(|s| s + "\n{}")),
        ("member too many", Code::Envelope, envelope(|e| e["extra"] = json!(1))),
        (
            "two signatures",
            Code::Envelope,
            envelope(|e| {
                let first = e["signatures"][0].clone();
                e["signatures"].as_array_mut().unwrap().push(first);
            }),
        ),
        (
            "deep nesting",
            Code::Envelope,
            envelope_text(|s| s.replacen('{', &format!("{{\"x\":{}{},", "[".repeat(100), "]".repeat(100)), 1)),
        ),
        (
            "URL-safe base64",
            Code::Base64,
            envelope(|e| {
                let sig = e["signatures"][0]["sig"].as_str().unwrap().replace('+', "-").replace('/', "_");
                e["signatures"][0]["sig"] = json!(format!("_{}", &sig[1..]));
            }),
        ),
        (
            "base64 without padding",
            Code::Base64,
            envelope(|e| {
                let sig = e["signatures"][0]["sig"].as_str().unwrap().trim_end_matches('=').to_owned();
                e["signatures"][0]["sig"] = json!(sig);
            }),
        ),
        (
            "junk in base64",
            Code::Base64,
            envelope(|e| {
                let payload = e["payload"].as_str().unwrap().to_owned();
                e["payload"] = json!(format!("{}\n{}", &payload[..8], &payload[8..]));
            }),
        ),
        (
            "two envelopes with different payloads",
            Code::PayloadMismatch,
            Box::new(move |bag| sign_payload(bag, b"{}", &other_key())),
        ),
        // Signatures
        ("signatures removed", Code::NoStatement, Box::new(|bag| fs::remove_file(envelope_path(bag)).unwrap())),
        ("key id of another key", Code::KeyId, envelope(|e| e["signatures"][0]["keyid"] = json!("0".repeat(64)))),
        (
            "signature bit flipped",
            Code::Signature,
            envelope(|e| {
                let sig = e["signatures"][0]["sig"].as_str().unwrap().to_owned();
                let flipped = if sig.starts_with('A') { "B" } else { "A" };
                e["signatures"][0]["sig"] = json!(format!("{flipped}{}", &sig[1..]));
            }),
        ),
        (
            "payload changed under the old signature",
            Code::Signature,
            envelope(|e| {
                let payload = e["payload"].as_str().unwrap();
                let bytes = data_encoding::BASE64.decode(payload.as_bytes()).unwrap();
                let text = String::from_utf8(bytes).unwrap().replace("example-shop", "another-shop");
                e["payload"] = json!(data_encoding::BASE64.encode(text.as_bytes()));
            }),
        ),
        (
            "signed again by a stranger",
            Code::Threshold,
            Box::new(|bag| {
                let payload = serde_json::to_vec(&statement(bag)).unwrap();
                fs::remove_file(envelope_path(bag)).unwrap();
                sign_payload(bag, &payload, &SigningKey::from_seed(&[9; 32]));
            }),
        ),
        (
            "signed by the checkpoint key",
            Code::Threshold,
            Box::new(|bag| {
                let payload = serde_json::to_vec(&statement(bag)).unwrap();
                fs::remove_file(envelope_path(bag)).unwrap();
                sign_payload(bag, &payload, &checkpoint());
            }),
        ),
        // Statement, validly signed
        (
            "statement type",
            Code::StatementType,
            statement_edit(|s| s["_type"] = json!("https://in-toto.io/Statement/v0.1")),
        ),
        (
            "assessment posing as archive",
            Code::StatementType,
            statement_edit(|s| s["predicateType"] = json!(ASSESSMENT_PREDICATE)),
        ),
        (
            "next major version",
            Code::Unsupported,
            statement_edit(|s| s["predicateType"] = json!("https://sealport.dev/evidence-bag/v2")),
        ),
        ("format version", Code::Unsupported, statement_edit(|s| s["predicate"]["formatVersion"] = json!("2.0"))),
        (
            "tree hash renamed",
            Code::Unsupported,
            statement_edit(|s| s["predicate"]["tables"][0]["treeHash"] = json!("rfc6962-md5")),
        ),
        (
            "unknown critical member",
            Code::Critical,
            statement_edit(|s| s["predicate"]["critical"] = json!(["embargo"])),
        ),
        (
            "second subject",
            Code::Subject,
            statement_edit(|s| {
                let first = s["subject"][0].clone();
                s["subject"].as_array_mut().unwrap().push(first);
            }),
        ),
        (
            "archive id differs from bag-info",
            Code::Field,
            statement_edit(|s| {
                let text = s.to_string();
                let id = s["predicate"]["archiveId"].as_str().unwrap().trim_start_matches("urn:uuid:").to_owned();
                *s = serde_json::from_str(&text.replace(&id, "00000000-0000-4000-8000-000000000000")).unwrap();
            }),
        ),
        (
            "coverage ends before it begins",
            Code::Field,
            statement_edit(|s| s["predicate"]["coverage"]["to"] = json!("2020-01-01T00:00:00Z")),
        ),
        ("number without predecessor", Code::Field, statement_edit(|s| s["predicate"]["sequence"] = json!(2))),
        ("draft mark removed from the stream", Code::Field, statement_edit(|s| s["predicate"]["draft"] = json!(true))),
        (
            "checkpoint origin of another archive",
            Code::Field,
            statement_edit(|s| {
                s["predicate"]["tables"][0]["checkpointOrigin"] =
                    json!("sealport.dev/00000000-0000-4000-8000-000000000000/notes");
            }),
        ),
        // Files
        (
            "flipped byte",
            Code::Digest,
            on(PAYMENTS, |mut b| {
                b[100] ^= 1;
                b
            }),
        ),
        (
            "truncated file",
            Code::Digest,
            on(PAYMENTS, |mut b| {
                b.truncate(b.len() - 1);
                b
            }),
        ),
        (
            "bytes behind the Parquet footer",
            Code::Digest,
            on(PAYMENTS, |mut b| {
                b.push(0);
                b
            }),
        ),
        (
            "swapped files",
            Code::Digest,
            Box::new(|bag| {
                let (a, b) = (fs::read(bag.join(PAYMENTS)).unwrap(), fs::read(bag.join(NOTES)).unwrap());
                fs::write(bag.join(PAYMENTS), b).unwrap();
                fs::write(bag.join(NOTES), a).unwrap();
            }),
        ),
        ("README changed", Code::Digest, text("README.txt", |s| s + "x")),
        (
            "manifest line removed",
            Code::TagManifest,
            text("manifest-sha256.txt", |s| s.lines().skip(1).map(|l| format!("{l}\n")).collect()),
        ),
        (
            "line and file removed, tag manifest made to fit",
            Code::TagManifest,
            Box::new(|bag| {
                fs::remove_file(bag.join("data/custody/custody.jsonl")).unwrap();
                remake_manifests(bag);
            }),
        ),
        (
            "tag manifest removed",
            Code::TagManifest,
            Box::new(|bag| fs::remove_file(bag.join("tagmanifest-sha256.txt")).unwrap()),
        ),
        (
            "file removed",
            Code::FileSet,
            Box::new(|bag| fs::remove_file(bag.join("data/custody/custody.jsonl")).unwrap()),
        ),
        (
            "file added to the payload",
            Code::FileSet,
            Box::new(|bag| fs::write(bag.join("data/custody/more.jsonl"), "").unwrap()),
        ),
        ("garbage line, validly signed", Code::ManifestSyntax, manifest_edit(|s| s + "garbage\n")),
        ("CRLF, validly signed", Code::ManifestSyntax, manifest_edit(|s| s.replace('\n', "\r\n"))),
        (
            "upper-case digests, validly signed",
            Code::ManifestSyntax,
            manifest_edit(|s| s.lines().map(|l| format!("{}{}\n", l[..64].to_ascii_uppercase(), &l[64..])).collect()),
        ),
        ("byte order mark, validly signed", Code::ManifestSyntax, manifest_edit(|s| format!("\u{feff}{s}"))),
        (
            "path twice, validly signed",
            Code::DupPath,
            manifest_edit(|s| {
                let first = s.lines().next().unwrap().to_owned();
                format!("{first}\n{s}")
            }),
        ),
        (
            "path through the parent, validly signed",
            Code::Path,
            manifest_edit(|s| s + &format!("{}  ../x\n", "0".repeat(64))),
        ),
        (
            "alias of a path, validly signed",
            Code::Path,
            manifest_edit(|s| format!("{}  ./bagit.txt\n{s}", "0".repeat(64))),
        ),
        (
            "absolute path, validly signed",
            Code::Path,
            manifest_edit(|s| format!("{}  /etc/passwd\n{s}", "0".repeat(64))),
        ),
        (
            "Oxum, validly signed",
            Code::Oxum,
            Box::new(|bag| {
                text("bag-info.txt", |s| s.replace("Payload-Oxum: ", "Payload-Oxum: 1"))(bag);
                remake_tagmanifest(bag);
                resign_with(bag, &|_| ());
            }),
        ),
        // Checkpoints
        (
            "checkpoint removed",
            Code::NoCheckpoint,
            Box::new(|bag| fs::remove_file(bag.join("signatures/checkpoint.notes.txt")).unwrap()),
        ),
        (
            "checkpoint of another table",
            Code::CheckpointMismatch,
            Box::new(|bag| {
                fs::copy(bag.join("signatures/checkpoint.payments.txt"), bag.join("signatures/checkpoint.notes.txt"))
                    .unwrap();
            }),
        ),
        (
            "checkpoint for no table",
            Code::CheckpointMismatch,
            Box::new(|bag| {
                fs::copy(bag.join("signatures/checkpoint.payments.txt"), bag.join("signatures/checkpoint.other.txt"))
                    .unwrap();
            }),
        ),
        (
            "checkpoint with another size",
            Code::CheckpointMismatch,
            text("signatures/checkpoint.notes.txt", |s| s.replacen("\n4\n", "\n5\n", 1)),
        ),
        (
            "checkpoint signed by the producer",
            Code::CheckpointSignature,
            Box::new(|bag| {
                let s = statement(bag);
                let t = s["predicate"]["tables"].as_array().unwrap().iter().find(|t| t["name"] == "notes").unwrap();
                let text =
                    note(t["checkpointOrigin"].as_str().unwrap(), 4, t["rootHash"].as_str().unwrap(), &producer());
                fs::write(bag.join("signatures/checkpoint.notes.txt"), text).unwrap();
            }),
        ),
        (
            "checkpoint without signature",
            Code::CheckpointSignature,
            text("signatures/checkpoint.notes.txt", |s| s.split("\n\n").next().unwrap().to_owned() + "\n"),
        ),
        // Columns, validly signed
        (
            "schema document of another digest",
            Code::Schema,
            statement_edit(|s| s["predicate"]["tables"][0]["schema"]["digest"]["sha256"] = json!("0".repeat(64))),
        ),
        (
            "schema document with a forbidden type",
            Code::Schema,
            forged_text("data/schema/notes.schema.json", |s| s.replace("\"int64\"", "\"double\"")),
        ),
        (
            "schema document with another type",
            Code::Schema,
            forged_text("data/schema/notes.schema.json", |s| s.replace("\"int64\"", "\"string\"")),
        ),
        (
            "table not in the statement",
            Code::Schema,
            Box::new(|bag| {
                fs::create_dir(bag.join("data/tables/hidden")).unwrap();
                fs::copy(bag.join(NOTES), bag.join("data/tables/hidden/part-00000.parquet")).unwrap();
                resign(bag);
            }),
        ),
        (
            "part numbers with a gap",
            Code::Schema,
            Box::new(|bag| {
                fs::rename(bag.join(NOTES), bag.join("data/tables/notes/part-00001.parquet")).unwrap();
                resign(bag);
            }),
        ),
        (
            "UTC flag dropped",
            Code::Schema,
            rows(PAYMENTS, || {
                let plain = payments()
                    .column(3)
                    .as_any()
                    .downcast_ref::<TimestampMicrosecondArray>()
                    .unwrap()
                    .clone()
                    .with_timezone_opt(None::<&str>);
                with_column(
                    3,
                    Field::new("paid_at", DataType::Timestamp(TimeUnit::Microsecond, None), true),
                    Arc::new(plain),
                )
            }),
        ),
        (
            "integer as text",
            Code::Schema,
            rows(PAYMENTS, || {
                let text = arrow::compute::cast(payments().column(1), &DataType::Utf8).unwrap();
                with_column(1, Field::new("amount_fen", DataType::Utf8, true), text)
            }),
        ),
        (
            "decimal with another scale",
            Code::Schema,
            rows(PAYMENTS, || {
                let wide = arrow::compute::cast(payments().column(2), &DataType::Decimal128(18, 4)).unwrap();
                with_column(2, Field::new("quantity", DataType::Decimal128(18, 4), true), wide)
            }),
        ),
        (
            "decimal as double",
            Code::Schema,
            rows(PAYMENTS, || {
                let double = arrow::compute::cast(payments().column(2), &DataType::Float64).unwrap();
                with_column(2, Field::new("quantity", DataType::Float64, true), double)
            }),
        ),
        (
            "required column made optional",
            Code::Schema,
            rows(PAYMENTS, || {
                with_column(0, Field::new("payment_ref", DataType::Utf8, true), payments().column(0).clone())
            }),
        ),
        (
            "columns in another order",
            Code::Schema,
            rows(PAYMENTS, || payments().project(&[1, 0, 2, 3, 4, 5, 6]).unwrap()),
        ),
        (
            "extra column",
            Code::Schema,
            rows(PAYMENTS, || {
                let batch = payments();
                let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
                fields.push(Arc::new(Field::new("hidden", DataType::Int64, true)));
                let mut columns = batch.columns().to_vec();
                columns.push(batch.column(1).clone());
                RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
            }),
        ),
        (
            "foreign metadata in the footer",
            Code::Schema,
            rows_with(|| {
                zstd().set_key_value_metadata(Some(vec![KeyValue::new("host".into(), "example".to_owned())])).build()
            }),
        ),
        (
            "path in the writer's name",
            Code::Schema,
            rows_with(|| zstd().set_created_by("/home/example".into()).build()),
        ),
        (
            "other compression",
            Code::Schema,
            rows_with(|| WriterProperties::builder().set_compression(Compression::UNCOMPRESSED).build()),
        ),
        (
            "bytes nothing points to",
            Code::ParquetGap,
            Box::new(|bag| {
                on(PAYMENTS, gap)(bag);
                resign(bag);
            }),
        ),
        (
            "statistics in page headers",
            Code::ParquetStats,
            rows_with(|| zstd().set_write_page_header_statistics(true).build()),
        ),
        // Rows, validly signed
        (
            "rows in another order, key order claimed",
            Code::RowOrder,
            rows(PAYMENTS, || pick(&payments(), (0..ROWS).rev())),
        ),
        (
            "rows in another order, source order claimed",
            Code::Root,
            rows(NOTES, || pick(&notes(), [1, 0, 2, 3].into_iter())),
        ),
        ("row dropped", Code::Rows, rows(PAYMENTS, || pick(&payments(), 1..ROWS))),
        (
            "row dropped, count made to fit",
            Code::Root,
            Box::new(|bag| {
                replace_rows(bag, PAYMENTS, &pick(&payments(), 1..ROWS), None);
                remake_manifests(bag);
                set_rows(bag, "payments", ROWS as u64 - 1);
            }),
        ),
        (
            "row doubled, count made to fit",
            Code::RowDuplicate,
            Box::new(|bag| {
                replace_rows(bag, PAYMENTS, &pick(&payments(), (0..ROWS).chain([ROWS - 1])), None);
                remake_manifests(bag);
                set_rows(bag, "payments", ROWS as u64 + 1);
            }),
        ),
        (
            "null instead of empty text",
            Code::Root,
            rows(NOTES, || {
                RecordBatch::try_new(
                    notes_spec().arrow_schema(),
                    vec![
                        Arc::new(Int64Array::from(vec![5, 3, 9, 1])),
                        Arc::new(StringArray::from(vec![Some("a"), None, None, Some("d")])),
                    ],
                )
                .unwrap()
            }),
        ),
        (
            "other Unicode form",
            Code::Root,
            rows(NOTES, || {
                RecordBatch::try_new(
                    notes_spec().arrow_schema(),
                    vec![
                        Arc::new(Int64Array::from(vec![5, 3, 9, 1])),
                        Arc::new(StringArray::from(vec![Some("a\u{301}"), None, Some(""), Some("d")])),
                    ],
                )
                .unwrap()
            }),
        ),
        (
            "instants shifted by eight hours",
            Code::Root,
            rows(PAYMENTS, || {
                let shifted: TimestampMicrosecondArray = payments()
                    .column(3)
                    .as_any()
                    .downcast_ref::<TimestampMicrosecondArray>()
                    .unwrap()
                    .iter()
                    .map(|v| v.map(|v| v + 28_800_000_000))
                    .collect();
                with_column(3, payments().schema().field(3).clone(), Arc::new(shifted.with_timezone("UTC")))
            }),
        ),
        (
            "primary key claimed but not unique",
            Code::RowDuplicate,
            Box::new(|bag| {
                fs::remove_dir_all(bag).unwrap();
                let doubled = pick(&notes(), [0, 1, 0, 3].into_iter());
                write_rows(
                    bag,
                    spec(),
                    &[(payments_spec(), payments()), (notes_spec(), doubled)],
                    8_192,
                    2,
                    &mut |_| Ok(()),
                )
                .unwrap();
                text("data/schema/notes.schema.json", |s| s.replacen('{', "{\"primaryKey\":[\"note_no\"],", 1))(bag);
                resign(bag);
            }),
        ),
        (
            "salts replaced",
            Code::Root,
            forged_text("data/blinding/leaf-salts.json", |s| {
                let mut v: Value = serde_json::from_str(&s).unwrap();
                v["notes"]["seed"] = json!(data_encoding::BASE64.encode(&[7; 32]));
                v.to_string()
            }),
        ),
        (
            "salt of a table missing",
            Code::Leaf,
            forged_text("data/blinding/leaf-salts.json", |s| {
                let mut v: Value = serde_json::from_str(&s).unwrap();
                v.as_object_mut().unwrap().remove("notes");
                v.to_string()
            }),
        ),
        (
            "false minimum in the statistics",
            Code::ParquetStats,
            Box::new(|bag| {
                on(PAYMENTS, false_minimum)(bag);
                resign(bag);
            }),
        ),
        (
            "false minimum in the column index",
            Code::ParquetStats,
            Box::new(|bag| {
                on(PAYMENTS, false_index)(bag);
                resign(bag);
            }),
        ),
    ]
}

/// Every change is refused with its own code; none of them passes, none is refused for another reason.
#[test]
fn every_tampering_is_refused_with_its_code() {
    let dir = tempfile::tempdir().unwrap();
    let good = dir.path().join("good");
    new_bag(&good);
    let report = judge(&good, &keyring(), &options());
    assert_eq!(report.verdict, Verdict::Valid, "{:#?}", report.steps);
    let cases = cases();
    assert!(cases.len() >= 40);
    let mut wrong = Vec::new();
    for (i, (name, code, change)) in cases.iter().enumerate() {
        let bag = dir.path().join(format!("case{i}"));
        copy_tree(&good, &bag);
        change(&bag);
        let report = judge(&bag, &keyring(), &options());
        let found = report.failure().and_then(|s| s.code);
        if found != Some(*code) || report.exit != code.exit() || report.verdict == Verdict::Valid {
            wrong.push(format!(
                "{name}: expected {}, got {:?} {:?}",
                code.as_str(),
                found.map(Code::as_str),
                report.failure().map(|s| &s.detail)
            ));
        }
        let failed_at = report.steps.iter().position(|s| s.outcome == StepOutcome::Failed).unwrap_or(11);
        assert!(report.steps[failed_at + 1..].iter().all(|s| s.outcome == StepOutcome::NotPerformed), "{name}");
        fs::remove_dir_all(&bag).unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the verifier is told from outside: keys, streams, known archives.
#[test]
fn keyring_and_policy() {
    let dir = tempfile::tempdir().unwrap();
    let bag = dir.path().join("bag");
    let sealed = new_bag(&bag);
    let id = id_of(&producer().public());
    let code = |keyring: &Keyring, options: &VerifyOptions| {
        judge(&bag, keyring, options).failure().and_then(|s| s.code).map(Code::as_str)
    };
    let ring = |edit: &dyn Fn(&mut Value)| keyring_with(&|v| edit(&mut v["keys"][&id]));
    assert_eq!(code(&ring(&|k| k["status"] = json!("revoked")), &options()), Some("E_KEY_REVOKED"));
    assert_eq!(code(&ring(&|k| k["status"] = json!("retired")), &options()), Some("E_KEY_EXPIRED"));
    assert_eq!(code(&ring(&|k| k["notAfter"] = json!("2026-11-22T00:00:00Z")), &options()), Some("E_KEY_EXPIRED"));
    assert_eq!(code(&ring(&|k| k["notBefore"] = json!("2026-11-22T00:00:00Z")), &options()), Some("E_KEY_EXPIRED"));
    let accept = VerifyOptions { accept_asserted_time: true, ..options() };
    assert_eq!(code(&ring(&|k| k["notAfter"] = json!("2026-11-22T00:00:00Z")), &accept), None);
    let weak = data_encoding::BASE64
        .encode(&[&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00][..], &[0; 32]].concat());
    assert_eq!(code(&ring(&|k| k["spki"] = json!(weak)), &options()), Some("E_KEY_WEAK"));
    assert_eq!(code(&ring(&|k| k["alg"] = json!("sm2")), &options()), Some("E_KEY_WEAK"));
    let other = data_encoding::BASE64.encode(&SigningKey::from_seed(&[9; 32]).public().spki_der().unwrap());
    assert_eq!(code(&ring(&|k| k["spki"] = json!(other)), &options()), Some("E_KEYID"));
    assert_eq!(
        code(&keyring_with(&|v| v["roles"]["producer"]["threshold"] = json!(2)), &options()),
        Some("E_THRESHOLD")
    );
    assert_eq!(
        code(&keyring_with(&|v| v["roles"]["custodian"] = json!({"threshold": 1})), &options()),
        Some("E_THRESHOLD")
    );
    let stranger = SigningKey::from_seed(&[9; 32]);
    let strange = Keyring::create(&stranger.public(), &checkpoint().public(), "x", at("2026-11-01T00:00:00Z")).unwrap();
    assert_eq!(code(&strange, &options()), Some("E_THRESHOLD"));

    let known = |entries: &[(u64, sealport::model::Digest)]| VerifyOptions {
        known_statements: entries.iter().copied().collect(),
        ..options()
    };
    let zero = sealport::model::Digest([0; 32]);
    assert_eq!(
        code(&keyring(), &VerifyOptions { expected_stream: Some("another-shop".into()), ..options() }),
        Some("E_FIELD")
    );
    assert_eq!(code(&keyring(), &VerifyOptions { min_sequence: Some(2), ..options() }), Some("E_ROLLBACK"));
    assert_eq!(code(&keyring(), &known(&[(1, zero)])), Some("E_FORK"));
    assert_eq!(code(&keyring(), &known(&[(2, zero)])), Some("E_ROLLBACK"));
    assert_eq!(code(&keyring(), &known(&[(1, sealed.statement_hash)])), None);
}
