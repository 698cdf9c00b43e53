//! Row leaves, encoding `row-jcs-v1`: the canonical JSON of a row with its salt, and the hash of it.
//!
//! The encoder is prepared once per table (column fragments, HMAC pad states) and then works over batches without
//! allocating per row. Rows are hashed in blocks of 256 that are aligned to the row number, so that blocks can be
//! hashed by several threads and still join into the one tree of RFC 6962.

mod spell;

use std::ops::Range;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt64Array,
};

use super::layout::LEAF_BYTES_MAX;
use super::table_schema::{LeafType, TableSpec};
use super::tree::{Hash, Tree, node_hash};
use crate::crypto::{self, MacKey, Secret};
use spell::{write_date, write_hex, write_instant, write_integer, write_text};

/// Rows per block; a complete block is a subtree of [`BLOCK_LEVEL`] levels.
pub(crate) const BLOCK_ROWS: u64 = 1 << BLOCK_LEVEL;
const BLOCK_LEVEL: u32 = 8;

/// A value has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadValue {
    pub(crate) column: String,
    pub(crate) row: u64,
    pub(crate) problem: &'static str,
}

/// Makes the leaves of one table of one archive.
pub(crate) struct LeafEncoder {
    /// `0x00` and everything before the row number.
    head: Vec<u8>,
    /// Everything between salt and values.
    middle: Vec<u8>,
    /// Columns by name: position in the batch, type, and `"name":` with its comma.
    columns: Vec<(usize, LeafType, Vec<u8>)>,
    names: Vec<String>,
    salts: Salts,
}

/// Salts of one table (archive format, section 4.2).
struct Salts {
    key: MacKey,
    context: Vec<u8>,
}

impl Salts {
    fn new(seed: &Secret, table: &str) -> Self {
        let mut context = b"evidence-bag/v1 leaf-salt\0".to_vec();
        context.extend_from_slice(table.as_bytes());
        context.push(0);
        Self { key: MacKey::new(seed.expose()), context }
    }

    fn of_row(&self, row: u64) -> [u8; 16] {
        let mac = self.key.mac(&[&self.context, &row.to_be_bytes()]);
        let mut salt = [0; 16];
        salt.copy_from_slice(&mac[..16]);
        salt
    }
}

/// One column of a batch, with its type resolved.
enum Cells<'a> {
    Text(&'a StringArray),
    Int(&'a Int64Array),
    UInt(&'a UInt64Array),
    Decimal(&'a Decimal128Array, u32),
    Bool(&'a BooleanArray),
    Date(&'a Date32Array),
    Instant(&'a TimestampMicrosecondArray, &'static [u8]),
    Bytes(&'a BinaryArray),
}

impl<'a> Cells<'a> {
    fn of(array: &'a ArrayRef, ty: LeafType) -> Option<Self> {
        let any = array.as_any();
        Some(match ty {
            LeafType::String => Self::Text(any.downcast_ref()?),
            LeafType::Int64 => Self::Int(any.downcast_ref()?),
            LeafType::UInt64 => Self::UInt(any.downcast_ref()?),
            LeafType::Decimal(_, scale) => Self::Decimal(any.downcast_ref()?, u32::from(scale.unsigned_abs())),
            LeafType::Bool => Self::Bool(any.downcast_ref()?),
            LeafType::Date => Self::Date(any.downcast_ref()?),
            LeafType::TimestampUtc => Self::Instant(any.downcast_ref()?, b"Z\""),
            LeafType::DatetimeLocal => Self::Instant(any.downcast_ref()?, b"\""),
            LeafType::Binary => Self::Bytes(any.downcast_ref()?),
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Text(a) => a.is_null(row),
            Self::Int(a) => a.is_null(row),
            Self::UInt(a) => a.is_null(row),
            Self::Decimal(a, _) => a.is_null(row),
            Self::Bool(a) => a.is_null(row),
            Self::Date(a) => a.is_null(row),
            Self::Instant(a, _) => a.is_null(row),
            Self::Bytes(a) => a.is_null(row),
        }
    }

    /// Whether all rows hold the same value, and there is one.
    fn is_same_in_all_rows(&self) -> bool {
        fn all_same<T: PartialEq>(values: &[T]) -> bool {
            values.first().is_some_and(|first| values.iter().all(|v| v == first))
        }
        fn all_equal<'v, T: PartialEq + ?Sized + 'v>(mut values: impl Iterator<Item = Option<&'v T>>) -> bool {
            values.next().is_some_and(|first| values.all(|v| v == first))
        }
        let (nulls, rows) = match self {
            Self::Text(a) => (a.null_count(), a.len()),
            Self::Int(a) => (a.null_count(), a.len()),
            Self::UInt(a) => (a.null_count(), a.len()),
            Self::Decimal(a, _) => (a.null_count(), a.len()),
            Self::Bool(a) => (a.null_count(), a.len()),
            Self::Date(a) => (a.null_count(), a.len()),
            Self::Instant(a, _) => (a.null_count(), a.len()),
            Self::Bytes(a) => (a.null_count(), a.len()),
        };
        if nulls > 0 || rows == 0 {
            return nulls == rows && rows > 0;
        }
        match self {
            Self::Text(a) => all_equal(a.iter()),
            Self::Int(a) => all_same(a.values()),
            Self::UInt(a) => all_same(a.values()),
            Self::Decimal(a, _) => all_same(a.values()),
            Self::Bool(a) => matches!(a.true_count(), n if n == 0 || n == rows),
            Self::Date(a) => all_same(a.values()),
            Self::Instant(a, _) => all_same(a.values()),
            Self::Bytes(a) => all_equal(a.iter()),
        }
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        match self {
            Self::Text(a) => write_text(out, a.value(row)),
            Self::Int(a) => {
                let value = a.value(row);
                out.push(b'"');
                write_integer(out, value < 0, u128::from(value.unsigned_abs()), 0);
                out.push(b'"');
            }
            Self::UInt(a) => {
                out.push(b'"');
                write_integer(out, false, u128::from(a.value(row)), 0);
                out.push(b'"');
            }
            Self::Decimal(a, scale) => {
                let value = a.value(row);
                out.push(b'"');
                write_integer(out, value < 0, value.unsigned_abs(), *scale);
                out.push(b'"');
            }
            Self::Bool(a) => out.extend_from_slice(if a.value(row) { b"true" } else { b"false" }),
            Self::Date(a) => {
                out.push(b'"');
                write_date(out, i64::from(a.value(row)))?;
                out.push(b'"');
            }
            Self::Instant(a, end) => {
                out.push(b'"');
                write_instant(out, a.value(row))?;
                out.extend_from_slice(end);
            }
            Self::Bytes(a) => {
                out.push(b'"');
                write_hex(out, a.value(row));
                out.push(b'"');
            }
        }
        Ok(())
    }
}

/// A column whose values differ within a batch, and what stands before them in every row.
struct Varying<'a> {
    before: Vec<u8>,
    cells: Cells<'a>,
    /// Position in the batch.
    index: usize,
}

/// The rows of one batch, without what is their own.
struct RowForm<'a> {
    varying: Vec<Varying<'a>>,
    after: Vec<u8>,
}

/// Consecutive rows of one block, hashed.
enum Piece {
    Leaves(Vec<Hash>),
    Block(Hash),
}

impl LeafEncoder {
    pub(crate) fn new(archive_id: &str, spec: &TableSpec, seed: &Secret) -> Self {
        let mut head = vec![0];
        head.extend_from_slice(format!("{{\"archive\":\"{archive_id}\",\"row\":\"").as_bytes());
        let middle = format!("\",\"table\":\"{}\",\"values\":{{", spec.name).into_bytes();
        let mut order: Vec<usize> = (0..spec.columns.len()).collect();
        order.sort_by(|a, b| spec.columns[*a].name.cmp(&spec.columns[*b].name));
        let columns = order
            .into_iter()
            .enumerate()
            .map(|(i, index)| {
                let comma = if i == 0 { "" } else { "," };
                let fragment = format!("{comma}\"{}\":", spec.columns[index].name).into_bytes();
                (index, spec.columns[index].ty, fragment)
            })
            .collect();
        let names = spec.columns.iter().map(|c| c.name.clone()).collect();
        Self { head, middle, columns, names, salts: Salts::new(seed, &spec.name) }
    }

    /// How the rows of a batch are written: what is the same in all of them stands ready, as most columns of a wide
    /// table do.
    fn form<'a>(&self, batch: &'a RecordBatch) -> Option<RowForm<'a>> {
        let mut varying = Vec::new();
        let mut before = self.middle.clone();
        for (index, ty, fragment) in &self.columns {
            let cells = Cells::of(batch.columns().get(*index)?, *ty)?;
            before.extend_from_slice(fragment);
            let start = before.len();
            // A value without canonical form is left to its row, which tells where it stands.
            if cells.is_same_in_all_rows() && cells.write(0, &mut before).is_ok() {
                continue;
            }
            before.truncate(start);
            varying.push(Varying { before: std::mem::take(&mut before), cells, index: *index });
        }
        before.extend_from_slice(b"}}");
        Some(RowForm { varying, after: before })
    }

    /// Appends `0x00` and the leaf of one row.
    fn write_leaf(&self, form: &RowForm<'_>, row_index: usize, row: u64, out: &mut Vec<u8>) -> Result<(), BadValue> {
        let start = out.len();
        out.extend_from_slice(&self.head);
        write_integer(out, false, u128::from(row), 0);
        out.extend_from_slice(b"\",\"salt\":\"");
        write_hex(out, &self.salts.of_row(row));
        for column in &form.varying {
            out.extend_from_slice(&column.before);
            column.cells.write(row_index, out).map_err(|problem| BadValue {
                column: self.names[column.index].clone(),
                row,
                problem,
            })?;
        }
        out.extend_from_slice(&form.after);
        if out.len() - start - 1 > LEAF_BYTES_MAX {
            return Err(BadValue { column: String::new(), row, problem: "the row is longer than 1 MiB" });
        }
        Ok(())
    }

    /// The leaves of a batch, without the leading `0x00`.
    #[cfg(test)]
    pub(crate) fn leaves(&self, batch: &RecordBatch, first_row: u64) -> Result<Vec<Vec<u8>>, BadValue> {
        let form = self.form(batch).ok_or_else(|| self.wrong_columns(first_row))?;
        (0..batch.num_rows())
            .map(|i| {
                let mut out = Vec::new();
                self.write_leaf(&form, i, first_row + i as u64, &mut out).map(|()| out.split_off(1))
            })
            .collect()
    }

    fn wrong_columns(&self, row: u64) -> BadValue {
        BadValue { column: String::new(), row, problem: "the columns are not those of the schema" }
    }

    /// Appends the rows of a batch to the tree, hashing on up to `threads` threads, and does `meanwhile` on the calling
    /// thread. The tree's size is the number of the batch's first row.
    pub(crate) fn append_with<T>(
        &self,
        tree: &mut Tree,
        batch: &RecordBatch,
        threads: usize,
        meanwhile: impl FnOnce() -> T,
    ) -> Result<T, BadValue> {
        let first_row = tree.size();
        let form = self.form(batch).ok_or_else(|| self.wrong_columns(first_row))?;
        let ranges = blocks(first_row, batch.num_rows() as u64);
        let share = ranges.len().div_ceil(threads.max(1)).max(1);
        let hash = |ranges: &[Range<u64>]| self.hash_ranges(&form, first_row, ranges);
        let (pieces, other) = if ranges.len() < 4 {
            (vec![hash(&ranges)], meanwhile())
        } else {
            std::thread::scope(|scope| {
                let workers: Vec<_> = ranges.chunks(share).map(|part| scope.spawn(|| hash(part))).collect();
                let other = meanwhile();
                let lost = || Err(BadValue { column: String::new(), row: first_row, problem: "a worker failed" });
                (workers.into_iter().map(|w| w.join().unwrap_or_else(|_| lost())).collect(), other)
            })
        };
        for pieces in pieces {
            for piece in pieces? {
                match piece {
                    Piece::Block(root) => tree.push_subtree(BLOCK_LEVEL, root),
                    Piece::Leaves(leaves) => leaves.into_iter().for_each(|l| tree.push(l)),
                }
            }
        }
        Ok(other)
    }

    fn hash_ranges(&self, form: &RowForm<'_>, first_row: u64, ranges: &[Range<u64>]) -> Result<Vec<Piece>, BadValue> {
        let mut arena = Vec::new();
        let mut ends = Vec::with_capacity(BLOCK_ROWS as usize);
        let mut pieces = Vec::with_capacity(ranges.len());
        for range in ranges {
            arena.clear();
            ends.clear();
            for row in range.clone() {
                self.write_leaf(form, (row - first_row) as usize, row, &mut arena)?;
                ends.push(arena.len());
            }
            let mut hashes = hash_many(&arena, &ends);
            pieces.push(if hashes.len() as u64 == BLOCK_ROWS {
                while hashes.len() > 1 {
                    for i in 0..hashes.len() / 2 {
                        hashes[i] = node_hash(&hashes[2 * i], &hashes[2 * i + 1]);
                    }
                    hashes.truncate(hashes.len() / 2);
                }
                Piece::Block(hashes[0])
            } else {
                Piece::Leaves(hashes)
            });
        }
        Ok(pieces)
    }
}

/// Digests of consecutive messages in one buffer; the place where a multi-buffer SHA-256 fits in.
fn hash_many(arena: &[u8], ends: &[usize]) -> Vec<Hash> {
    let mut start = 0;
    ends.iter()
        .map(|end| {
            let hash = crypto::sha256(&arena[start..*end]).0;
            start = *end;
            hash
        })
        .collect()
}

/// Splits rows at multiples of [`BLOCK_ROWS`].
fn blocks(first_row: u64, rows: u64) -> Vec<Range<u64>> {
    let end = first_row + rows;
    let mut ranges = Vec::new();
    let mut at = first_row;
    while at < end {
        let next = ((at / BLOCK_ROWS + 1) * BLOCK_ROWS).min(end);
        ranges.push(at..next);
        at = next;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::archive::table_schema::ColumnSpec;
    use crate::archive::tree::{leaf_hash, root_of_path};
    use arrow::array::{BinaryBuilder, StringBuilder};
    use chrono::{DateTime, NaiveDate};
    use data_encoding::BASE64;
    use proptest::prelude::*;

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

    fn payments() -> (TableSpec, RecordBatch) {
        let spec = TableSpec {
            name: "payments".into(),
            source_name: "payments".into(),
            canonical_version: None,
            columns: vec![
                column("txn_id", LeafType::String, false),
                column("seq", LeafType::Int64, false),
                column("amount", LeafType::Decimal(18, 2), false),
                column("currency", LeafType::String, false),
                column("paid_at", LeafType::TimestampUtc, false),
                column("biz_date", LeafType::Date, false),
                column("refunded", LeafType::Bool, false),
                column("memo", LeafType::String, true),
                column("staff", LeafType::String, false),
            ],
            key: vec!["txn_id".into()],
            retention: None,
        };
        let instant = |s: &str| DateTime::parse_from_rfc3339(s).unwrap().timestamp_micros();
        let day =
            |s: &str| s.parse::<NaiveDate>().unwrap().signed_duration_since(NaiveDate::default()).num_days() as i32;
        let batch = RecordBatch::try_new(
            spec.arrow_schema(),
            vec![
                Arc::new(StringArray::from(vec!["T0001", "T0002", "T0003"])),
                Arc::new(Int64Array::from(vec![1, 2, 9_007_199_254_740_993])),
                Arc::new(
                    Decimal128Array::from(vec![12_800, -50, 999_999_999_999_999_999])
                        .with_precision_and_scale(18, 2)
                        .unwrap(),
                ),
                Arc::new(StringArray::from(vec!["CNY"; 3])),
                Arc::new(
                    TimestampMicrosecondArray::from(vec![
                        instant("2024-03-01T04:05:06.789Z"),
                        instant("2024-03-01T04:05:07Z"),
                        instant("2024-03-31T15:59:59.999999Z"),
                    ])
                    .with_timezone("UTC"),
                ),
                Arc::new(Date32Array::from(vec![day("2024-03-01"), day("2024-03-01"), day("2024-03-31")])),
                Arc::new(BooleanArray::from(vec![false, true, false])),
                Arc::new(StringArray::from(vec![None, Some(""), Some("退款 \"é\" \\ / \u{7f} \t\n \u{2028} 😀")])),
                Arc::new(StringArray::from(vec!["p_6f1c", "p_6f1c", "p_aa01"])),
            ],
        )
        .unwrap();
        (spec, batch)
    }

    const URN: &str = "urn:uuid:0b7d2f6e-5a51-4b6e-9c1e-6f1f0a3c9d10";

    fn seed() -> Secret {
        Secret::new(crypto::sha256(b"TEST ONLY leaf salt seed").0.to_vec())
    }

    /// Published vectors: salts of the first three rows.
    #[test]
    fn vector_salts() {
        let salts = Salts::new(&seed(), "payments");
        let hex = |row| data_encoding::HEXLOWER.encode(&salts.of_row(row));
        assert_eq!(hex(0), "d97f0645d63f45966ff92832bcf3a604");
        assert_eq!(hex(1), "4ac9298be3277f1a3a37603c5c18dc01");
        assert_eq!(hex(2), "e313f533c5b1a7281a9024e5a643f2ec");
    }

    const LEAF_0: &str = r#"{"archive":"urn:uuid:0b7d2f6e-5a51-4b6e-9c1e-6f1f0a3c9d10","row":"0","salt":"d97f0645d63f45966ff92832bcf3a604","table":"payments","values":{"amount":"128.00","biz_date":"2024-03-01","currency":"CNY","memo":null,"paid_at":"2024-03-01T04:05:06.789000Z","refunded":false,"seq":"1","staff":"p_6f1c","txn_id":"T0001"}}"#;
    const LEAF_1: &str = r#"{"archive":"urn:uuid:0b7d2f6e-5a51-4b6e-9c1e-6f1f0a3c9d10","row":"1","salt":"4ac9298be3277f1a3a37603c5c18dc01","table":"payments","values":{"amount":"-0.50","biz_date":"2024-03-01","currency":"CNY","memo":"","paid_at":"2024-03-01T04:05:07.000000Z","refunded":true,"seq":"2","staff":"p_6f1c","txn_id":"T0002"}}"#;
    const LEAF_2: &str = "eyJhcmNoaXZlIjoidXJuOnV1aWQ6MGI3ZDJmNmUtNWE1MS00YjZlLTljMWUtNmYxZjBhM2M5ZDEwIiwicm93IjoiMiIsInNhbHQiOiJlMzEzZjUzM2M1YjFhNzI4MWE5MDI0ZTVhNjQzZjJlYyIsInRhYmxlIjoicGF5bWVudHMiLCJ2YWx1ZXMiOnsiYW1vdW50IjoiOTk5OTk5OTk5OTk5OTk5OS45OSIsImJpel9kYXRlIjoiMjAyNC0wMy0zMSIsImN1cnJlbmN5IjoiQ05ZIiwibWVtbyI6IumAgOasviBcIsOpXCIgXFwgLyB/IFx0XG4g4oCoIPCfmIAiLCJwYWlkX2F0IjoiMjAyNC0wMy0zMVQxNTo1OTo1OS45OTk5OTlaIiwicmVmdW5kZWQiOmZhbHNlLCJzZXEiOiI5MDA3MTk5MjU0NzQwOTkzIiwic3RhZmYiOiJwX2FhMDEiLCJ0eG5faWQiOiJUMDAwMyJ9fQ==";

    /// Published vectors: leaves and leaf hashes of the first three rows.
    #[test]
    fn vector_leaves() {
        let (spec, batch) = payments();
        let encoder = LeafEncoder::new(URN, &spec, &seed());
        let leaves = encoder.leaves(&batch, 0).unwrap();
        assert_eq!(String::from_utf8(leaves[0].clone()).unwrap(), LEAF_0);
        assert_eq!(String::from_utf8(leaves[1].clone()).unwrap(), LEAF_1);
        let hashes = [
            "812f649784fb555de06644ad8c6c1ccbd36725d1b88860d939f83639114b6729",
            "de227d971b193b29731e618e6dbd93a35abe32d021729a74ae6d67502bf6f04f",
            "ffebc91744fdd7efb6b85da1080078136f82d0fd5fdcd776dee6d8dbc354b681",
        ];
        for (leaf, hash) in leaves.iter().zip(hashes) {
            assert_eq!(data_encoding::HEXLOWER.encode(&leaf_hash(leaf)), hash);
        }
        assert_eq!(leaves[2].len(), 373);
    }

    fn hash(hex: &str) -> Hash {
        hex.parse::<crate::model::Digest>().unwrap().0
    }

    /// Published vectors: root of five leaves, and the audit path of row 2 leads to it and to nothing else.
    #[test]
    fn vector_root_and_path() {
        let leaves = [
            "812f649784fb555de06644ad8c6c1ccbd36725d1b88860d939f83639114b6729",
            "de227d971b193b29731e618e6dbd93a35abe32d021729a74ae6d67502bf6f04f",
            "ffebc91744fdd7efb6b85da1080078136f82d0fd5fdcd776dee6d8dbc354b681",
            "58bf181790cbc665879fb545f6c93b59c66d9294eda99feb53825dcbefc98e0e",
            "1ac4252e9410e2b4f4b15722ba72c2e41a615e7030737e827f326a75192853ea",
        ]
        .map(hash);
        let root = hash("fffadfb7ee7485471e6ca0d8d11bb4f012cdb630e56604d1d0ba27fe5c549924");
        let mut tree = Tree::default();
        leaves.into_iter().for_each(|l| tree.push(l));
        assert_eq!(tree.root(), root);
        let path: Vec<Hash> = [
            "WL8YF5DLxmWHn7VF9sk7WcZtkpTtqZ/rU4Jdy+/Jjg4=",
            "0GC7vwRYO+kpPS1PfNZh5EngWl99m8OAEAju+0KPT0s=",
            "GsQlLpQQ4rT0sVciunLC5BphXnAwc36CfzJqdRkoU+o=",
        ]
        .iter()
        .map(|p| BASE64.decode(p.as_bytes()).unwrap().try_into().unwrap())
        .collect();
        let leaf = leaf_hash(&leaf_2());
        assert_eq!(leaf, leaves[2]);
        assert_eq!(root_of_path(leaf, 2, 5, &path), Some(root));
        assert_ne!(root_of_path(leaf, 3, 5, &path), Some(root));
        assert_ne!(root_of_path(leaf, 2, 6, &path[..2]), Some(root));
        assert_eq!(root_of_path(leaf, 2, 5, &path[..2]), None);
        assert_eq!(root_of_path(leaf, 5, 5, &path), None);
        let longer = [path.clone(), vec![root]].concat();
        assert_eq!(root_of_path(leaf, 2, 5, &longer), None);
    }

    fn leaf_2() -> Vec<u8> {
        let (spec, batch) = payments();
        let leaf = LeafEncoder::new(URN, &spec, &seed()).leaves(&batch, 0).unwrap().remove(2);
        assert_eq!(
            String::from_utf8(leaf.clone()).unwrap(),
            String::from_utf8(BASE64.decode(LEAF_2.as_bytes()).unwrap()).unwrap()
        );
        leaf
    }

    fn values_table(rows: usize) -> (TableSpec, RecordBatch) {
        let spec = TableSpec {
            name: "t".into(),
            source_name: "t".into(),
            canonical_version: None,
            columns: vec![
                column("b", LeafType::Binary, true),
                column("a", LeafType::String, true),
                // The same in all rows, in none, and in many that follow each other.
                column("same", LeafType::String, false),
                column("nothing", LeafType::Int64, true),
                column("day", LeafType::Date, false),
            ],
            key: vec![],
            retention: None,
        };
        let (mut b, mut a) = (BinaryBuilder::new(), StringBuilder::new());
        for i in 0..rows {
            if i % 7 == 0 {
                b.append_null()
            } else {
                b.append_value([i as u8, 0xab])
            }
            if i % 5 == 0 { a.append_null() } else { a.append_value(format!("v{i}")) }
        }
        let batch = RecordBatch::try_new(
            spec.arrow_schema(),
            vec![
                Arc::new(b.finish()),
                Arc::new(a.finish()),
                Arc::new(StringArray::from(vec!["\"same\""; rows])),
                Arc::new(Int64Array::new_null(rows)),
                Arc::new(Date32Array::from_iter_values((0..rows).map(|i| (i / 1_000) as i32))),
            ],
        )
        .unwrap();
        (spec, batch)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// The root depends neither on how rows are cut into batches nor on the number of threads.
        #[test]
        fn root_is_independent_of_batches_and_threads(rows in 0_usize..3_000, cut in 1_usize..1_500, threads in 1_usize..5) {
            let (spec, batch) = values_table(rows);
            let encoder = LeafEncoder::new(URN, &spec, &seed());
            let mut plain = Tree::default();
            for leaf in encoder.leaves(&batch, 0).unwrap() {
                plain.push(leaf_hash(&leaf));
            }
            let mut cut_up = Tree::default();
            let mut at = 0;
            while at < rows {
                let n = cut.min(rows - at);
                encoder.append_with(&mut cut_up, &batch.slice(at, n), threads, || ()).unwrap();
                at += n;
            }
            prop_assert_eq!(cut_up.root(), plain.root());
            prop_assert_eq!(cut_up.size(), rows as u64);
        }
    }
}
