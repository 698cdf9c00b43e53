//! Rows that were set aside, spooled beside the archive until its table `quarantine` is written.
//!
//! A line holds where a row comes from, its key with tokens in place of people, and the reason; never a value. The
//! spool is what lets a seal go on after an interruption: a table can only be written in one piece.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, new_null_array};
use serde::{Deserialize, Serialize};

use super::spool::Spool;
use crate::archive::TableWriter;
use crate::ops::Error;
use crate::progress::Cancel;
use crate::schema::Dataset;

/// Rows written at a time.
const BATCH_ROWS: usize = 8_192;

/// One row that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) dataset: String,
    pub(super) column: String,
    pub(super) reason: String,
    pub(super) table: String,
    pub(super) key: String,
}

/// Writes the rows of a spool, numbered from 1.
///
/// # Errors
/// When the spool cannot be read, or the table not be written; an interruption.
pub(super) fn write(
    spool: &mut Spool,
    dataset: &Dataset,
    writer: &mut TableWriter,
    cancel: &Cancel,
) -> Result<(), Error> {
    let mut lines = spool.values::<Line>()?;
    let mut next_no = 1;
    loop {
        cancel.check()?;
        let rows = lines.by_ref().take(BATCH_ROWS).collect::<Result<Vec<Line>, Error>>()?;
        if rows.is_empty() {
            return Ok(());
        }
        writer.write(&batch(dataset, &rows, &mut next_no)?)?;
    }
}

fn batch(dataset: &Dataset, rows: &[Line], next_no: &mut i64) -> Result<RecordBatch, Error> {
    let texts = |f: &dyn Fn(&Line) -> &str| Arc::new(StringArray::from_iter_values(rows.iter().map(f))) as ArrayRef;
    let first = *next_no;
    *next_no += i64::try_from(rows.len()).unwrap_or(0);
    let columns: Vec<ArrayRef> = dataset
        .columns
        .iter()
        .map(|c| match c.name {
            "quarantine_no" => Arc::new(Int64Array::from_iter_values(first..*next_no)) as ArrayRef,
            "dataset_name" => texts(&|r| &r.dataset),
            "column_name" => texts(&|r| &r.column),
            "reason" => texts(&|r| &r.reason),
            "src_system" => texts(&|_| "sealport"),
            "src_table" => texts(&|r| &r.table),
            "src_key" => texts(&|r| &r.key),
            "evidence" => texts(&|_| "recorded"),
            "is_deleted" => Arc::new(BooleanArray::from(vec![false; rows.len()])),
            _ => new_null_array(&c.ty.arrow(), rows.len()),
        })
        .collect();
    RecordBatch::try_new(dataset.arrow_schema(), columns).map_err(|_| Error::Worker { doing: "setting rows aside" })
}
