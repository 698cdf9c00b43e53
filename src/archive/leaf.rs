//! Row leaves, encoding `row-jcs-v1`: the canonical JSON of a row with its salt, and the hash of it.
//!
//! The encoder is prepared once per table (column fragments, HMAC pad states) and then works over batches without
//! allocating per row. Rows are hashed in blocks of 256 that are aligned to the row number, so that blocks can be
//! hashed by several threads and still join into the one tree of RFC 6962.

use std::ops::Range;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt64Array,
};

use super::layout::LEAF_BYTES_MAX;
use super::table_schema::{LeafType, TableSpec};
use super::tree::{Hash, Tree, node_hash};
use crate::crypto::{self, MacKey, Secret};

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

    fn cells<'a>(&'a self, batch: &'a RecordBatch) -> Option<Vec<(Cells<'a>, &'a [u8], usize)>> {
        self.columns
            .iter()
            .map(|(index, ty, fragment)| {
                Cells::of(batch.columns().get(*index)?, *ty).map(|c| (c, fragment.as_slice(), *index))
            })
            .collect()
    }

    /// Appends `0x00` and the leaf of one row.
    fn write_leaf(
        &self,
        cells: &[(Cells<'_>, &[u8], usize)],
        row_index: usize,
        row: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), BadValue> {
        let start = out.len();
        out.extend_from_slice(&self.head);
        write_integer(out, false, u128::from(row), 0);
        out.extend_from_slice(b"\",\"salt\":\"");
        write_hex(out, &self.salts.of_row(row));
        out.extend_from_slice(&self.middle);
        for (cell, fragment, index) in cells {
            out.extend_from_slice(fragment);
            cell.write(row_index, out).map_err(|problem| BadValue {
                column: self.names[*index].clone(),
                row,
                problem,
            })?;
        }
        out.extend_from_slice(b"}}");
        if out.len() - start - 1 > LEAF_BYTES_MAX {
            return Err(BadValue { column: String::new(), row, problem: "the row is longer than 1 MiB" });
        }
        Ok(())
    }

    /// The leaves of a batch, without the leading `0x00`.
    #[cfg(test)]
    pub(crate) fn leaves(&self, batch: &RecordBatch, first_row: u64) -> Result<Vec<Vec<u8>>, BadValue> {
        let cells = self.cells(batch).ok_or_else(|| self.wrong_columns(first_row))?;
        (0..batch.num_rows())
            .map(|i| {
                let mut out = Vec::new();
                self.write_leaf(&cells, i, first_row + i as u64, &mut out).map(|()| out.split_off(1))
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
        let cells = self.cells(batch).ok_or_else(|| self.wrong_columns(first_row))?;
        let ranges = blocks(first_row, batch.num_rows() as u64);
        let share = ranges.len().div_ceil(threads.max(1)).max(1);
        let hash = |ranges: &[Range<u64>]| self.hash_ranges(&cells, first_row, ranges);
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

    fn hash_ranges(
        &self,
        cells: &[(Cells<'_>, &[u8], usize)],
        first_row: u64,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Piece>, BadValue> {
        let mut arena = Vec::new();
        let mut ends = Vec::with_capacity(BLOCK_ROWS as usize);
        let mut pieces = Vec::with_capacity(ranges.len());
        for range in ranges {
            arena.clear();
            ends.clear();
            for row in range.clone() {
                self.write_leaf(cells, (row - first_row) as usize, row, &mut arena)?;
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

const HEX: &[u8; 16] = b"0123456789abcdef";

fn write_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for b in bytes {
        out.push(HEX[usize::from(b >> 4)]);
        out.push(HEX[usize::from(b & 15)]);
    }
}

/// Decimal digits of `magnitude`, the last `scale` of them after a point, at least one before it; never `-0`.
fn write_integer(out: &mut Vec<u8>, is_negative: bool, magnitude: u128, scale: u32) {
    let mut digits = [0_u8; 42];
    let mut at = digits.len();
    let mut rest = magnitude;
    let mut written = 0;
    while rest > 0 || written <= scale {
        if written == scale && scale > 0 {
            at -= 1;
            digits[at] = b'.';
        }
        at -= 1;
        // 64-bit division is several times faster than 128-bit; nearly all values take this path.
        let digit = match u64::try_from(rest) {
            Ok(small) => {
                rest = u128::from(small / 10);
                small % 10
            }
            Err(_) => {
                let digit = rest % 10;
                rest /= 10;
                digit as u64
            }
        };
        digits[at] = b'0' + digit as u8;
        written += 1;
    }
    if is_negative && magnitude > 0 {
        at -= 1;
        digits[at] = b'-';
    }
    out.extend_from_slice(&digits[at..]);
}

fn write_padded(out: &mut Vec<u8>, value: u64, width: usize) {
    let mut digits = [b'0'; 6];
    let mut rest = value;
    for d in digits[..width].iter_mut().rev() {
        *d = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits[..width]);
}

/// Days since 1970-01-01 as `YYYY-MM-DD` (proleptic Gregorian calendar, years 1 to 9999).
fn write_date(out: &mut Vec<u8>, days: i64) -> Result<(), &'static str> {
    // 0001-01-01 and 9999-12-31 as days since 1970-01-01.
    if !(-719_162..=2_932_896).contains(&days) {
        return Err("the date is not within the years 1 to 9999");
    }
    // Count in eras of 400 years that begin on 1 March, so that the leap day is the last day of a year.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    write_padded(out, year.unsigned_abs(), 4);
    out.push(b'-');
    write_padded(out, month.unsigned_abs(), 2);
    out.push(b'-');
    write_padded(out, day.unsigned_abs(), 2);
    Ok(())
}

/// Microseconds since the epoch as `YYYY-MM-DDTHH:MM:SS.ffffff`.
fn write_instant(out: &mut Vec<u8>, micros: i64) -> Result<(), &'static str> {
    const DAY: i64 = 86_400_000_000;
    write_date(out, micros.div_euclid(DAY)).map_err(|_| "the instant is not within the years 1 to 9999")?;
    let rest = micros.rem_euclid(DAY).unsigned_abs();
    let seconds = rest / 1_000_000;
    out.push(b'T');
    write_padded(out, seconds / 3_600, 2);
    out.push(b':');
    write_padded(out, seconds / 60 % 60, 2);
    out.push(b':');
    write_padded(out, seconds % 60, 2);
    out.push(b'.');
    write_padded(out, rest % 1_000_000, 6);
    Ok(())
}

/// A JSON string as RFC 8785 writes it: escapes only where JSON demands, short forms where they exist.
fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (i, b) in bytes.iter().enumerate() {
        if *b >= 0x20 && *b != b'"' && *b != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[copied..i]);
        copied = i + 1;
        match b {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x09 => out.extend_from_slice(b"\\t"),
            0x0a => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            0x0d => out.extend_from_slice(b"\\r"),
            control => {
                out.extend_from_slice(b"\\u00");
                write_hex(out, &[*control]);
            }
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
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
            columns: vec![column("b", LeafType::Binary, true), column("a", LeafType::String, true)],
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
        let batch =
            RecordBatch::try_new(spec.arrow_schema(), vec![Arc::new(b.finish()), Arc::new(a.finish())]).unwrap();
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

        /// Dates and instants are spelled as chrono spells them.
        #[test]
        fn dates_and_instants(micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000_i64) {
            let mut out = Vec::new();
            write_instant(&mut out, micros).unwrap();
            let expected = DateTime::from_timestamp_micros(micros).unwrap().format("%Y-%m-%dT%H:%M:%S%.6f").to_string();
            prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
        }

        /// Text is escaped as serde_json escapes it, which follows the same rules.
        #[test]
        fn texts(text in "\\PC*|[\\x00-\\x7f]*") {
            let mut out = Vec::new();
            write_text(&mut out, &text);
            prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
        }
    }

    /// Numbers at their limits.
    #[test]
    fn numbers() {
        let number = |negative, magnitude, scale| {
            let mut out = Vec::new();
            write_integer(&mut out, negative, magnitude, scale);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(number(false, 0, 0), "0");
        assert_eq!(number(true, 0, 2), "0.00");
        assert_eq!(number(true, 5, 2), "-0.05");
        assert_eq!(number(true, u128::from(i64::MIN.unsigned_abs()), 0), "-9223372036854775808");
        assert_eq!(number(true, i128::MIN.unsigned_abs(), 38), "-1.70141183460469231731687303715884105728");
        let mut out = Vec::new();
        assert!(write_date(&mut out, 2_932_897).is_err());
        assert!(write_date(&mut out, -719_163).is_err());
        write_date(&mut out, -719_162).unwrap();
        write_date(&mut out, 2_932_896).unwrap();
        assert_eq!(out, b"0001-01-019999-12-31");
    }
}
