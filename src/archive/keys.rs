//! Proof that a key is unique, in bounded memory: rows in strictly ascending key order prove it on the fly;
//! otherwise the key columns are read again, several times if need be, and compared by hash, then by value.

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::Hasher;
use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::row::{OwnedRow, RowConverter, Rows, SortField};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use super::error::Error;
use super::table_schema::TableSpec;
use crate::fsio;

/// Hashes held at once: 32 MiB.
const HASHES_MAX: u64 = 4 << 20;
const BATCH_ROWS: usize = 8_192;

/// How a row's key compares to the key of the row before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutOfOrder {
    /// The same key.
    Equal,
    /// A smaller key.
    Less,
}

/// Watches whether rows stand in strictly ascending key order: integers by value, text by bytes, NULL first.
pub(crate) struct OrderCheck {
    converter: RowConverter,
    columns: Vec<usize>,
    last: Option<OwnedRow>,
}

impl OrderCheck {
    /// A check for the declared key; `None` without one.
    pub(crate) fn new(spec: &TableSpec) -> Result<Option<Self>, ArrowError> {
        let columns = spec.key_indices();
        if columns.is_empty() {
            return Ok(None);
        }
        let fields = columns.iter().map(|i| SortField::new(spec.columns[*i].ty.arrow())).collect();
        Ok(Some(Self { converter: RowConverter::new(fields)?, columns, last: None }))
    }

    /// Looks at the next rows; returns the first one that is not above its predecessor, counted in this batch.
    pub(crate) fn next(&mut self, batch: &RecordBatch) -> Result<Option<(usize, OutOfOrder)>, ArrowError> {
        let rows = self.rows(batch)?;
        let judge = |order: std::cmp::Ordering| match order {
            std::cmp::Ordering::Greater => None,
            std::cmp::Ordering::Equal => Some(OutOfOrder::Equal),
            std::cmp::Ordering::Less => Some(OutOfOrder::Less),
        };
        for i in 0..rows.num_rows() {
            let order = if i > 0 {
                rows.row(i).cmp(&rows.row(i - 1))
            } else if let Some(last) = &self.last {
                rows.row(0).cmp(&last.row())
            } else {
                continue;
            };
            if let Some(problem) = judge(order) {
                return Ok(Some((i, problem)));
            }
        }
        if let Some(last) = rows.num_rows().checked_sub(1) {
            self.last = Some(rows.row(last).owned());
        }
        Ok(None)
    }

    fn rows(&self, batch: &RecordBatch) -> Result<Rows, ArrowError> {
        let columns: Vec<_> = self.columns.iter().map(|i| batch.column(*i).clone()).collect();
        self.converter.convert_columns(&columns)
    }
}

/// Reads the key columns of the parts again and looks for a key that occurs twice. Returns the number of the second
/// row that carries it.
pub(crate) fn first_duplicate(spec: &TableSpec, parts: &[PathBuf], rows: u64) -> Result<Option<u64>, Error> {
    if spec.key.is_empty() || rows < 2 {
        return Ok(None);
    }
    let passes = rows.div_ceil(HASHES_MAX);
    let mut suspects = Vec::new();
    for pass in 0..passes {
        let mut hashes = Vec::with_capacity((rows / passes + 1_024) as usize);
        each_key(spec, parts, |_, key| {
            let hash = hash_of(key);
            if hash % passes == pass {
                hashes.push(hash);
            }
            true
        })?;
        hashes.sort_unstable();
        suspects.extend(hashes.windows(2).filter(|w| w[0] == w[1]).map(|w| w[0]));
        // Equal hashes are nearly always equal keys; one suspect settles it, so memory stays bounded here as well.
        if suspects.len() > 1_024 {
            suspects.truncate(1_024);
            break;
        }
    }
    if suspects.is_empty() {
        return Ok(None);
    }
    suspects.sort_unstable();
    suspects.dedup();
    let mut seen: BTreeMap<u64, Vec<Box<[u8]>>> = BTreeMap::new();
    let mut found = None;
    each_key(spec, parts, |row, key| {
        let hash = hash_of(key);
        if suspects.binary_search(&hash).is_ok() {
            let same = seen.entry(hash).or_default();
            if same.iter().any(|k| **k == *key) {
                found = Some(row);
                return false;
            }
            same.push(key.into());
        }
        true
    })?;
    Ok(found)
}

/// A hash without a secret: whoever crafts collisions makes a proof slower, never false.
fn hash_of(key: &[u8]) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(key);
    hasher.finish()
}

/// Calls `each` with row number and comparable bytes of every key until it returns false.
fn each_key(spec: &TableSpec, parts: &[PathBuf], mut each: impl FnMut(u64, &[u8]) -> bool) -> Result<(), Error> {
    let parquet = |source| Error::Parquet { table: spec.name.clone(), source };
    let arrow = |source| Error::Arrow { table: spec.name.clone(), source };
    let fields = spec.key_indices().iter().map(|i| SortField::new(spec.columns[*i].ty.arrow())).collect();
    let converter = RowConverter::new(fields).map_err(arrow)?;
    let mut row = 0;
    for part in parts {
        let file = File::open(part).map_err(|e| fsio::Error::io("open", part, e))?;
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(parquet)?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), spec.key.iter().map(String::as_str));
        let reader = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(parquet)?;
        for batch in reader {
            let batch = batch.map_err(arrow)?;
            // The projection keeps file order; the key has an order of its own.
            let columns: Option<Vec<_>> = spec.key.iter().map(|k| batch.column_by_name(k).cloned()).collect();
            let columns = columns.ok_or_else(|| Error::WrongColumns { table: spec.name.clone() })?;
            let rows = converter.convert_columns(&columns).map_err(arrow)?;
            for key in &rows {
                if !each(row, key.as_ref()) {
                    return Ok(());
                }
                row += 1;
            }
        }
    }
    Ok(())
}
