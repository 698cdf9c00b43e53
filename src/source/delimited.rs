//! Comma-separated files with canonical column names, shared by canonical files and registers.
//!
//! An empty cell is NULL, because the format cannot tell the two apart. Cells stay text.

use std::collections::BTreeSet;
use std::io::Read;

use super::Error;
use crate::rows::{RawBatch, RawValue};
use crate::schema::{Column, Dataset};

/// Some rows of a file with canonical column names. The first batch of a file may be empty: it brings the header.
#[derive(Debug, Clone)]
pub struct CanonicalRows {
    /// Canonical names of the columns, in the order of the file.
    pub header: Vec<String>,
    /// The rows.
    pub batch: RawBatch,
}

/// How a file is read.
pub(super) struct Options<'a> {
    /// Name of the file for errors.
    pub(super) file: &'a str,
    /// Its dataset.
    pub(super) dataset: &'static Dataset,
    /// Cells are trimmed and rows without any value skipped, as spreadsheets leave them.
    pub(super) is_spreadsheet: bool,
}

/// Checks a header against the dataset: known names, none twice, all key columns there.
pub(super) fn check_header(file: &str, dataset: &Dataset, header: &[String]) -> Result<(), Error> {
    let accepted: BTreeSet<&str> = dataset.fillable_columns().map(|c| c.name).collect();
    let mut seen = BTreeSet::new();
    for name in header {
        if !accepted.contains(name.as_str()) {
            let accepted: Vec<&str> = dataset.fillable_columns().map(|c| c.name).collect();
            return Err(Error::UnknownColumn {
                file: file.into(),
                column: name.clone(),
                accepted: accepted.join(", "),
            });
        }
        if !seen.insert(name.as_str()) {
            return Err(Error::DuplicateColumn { file: file.into(), column: name.clone() });
        }
    }
    match dataset.key.iter().find(|k| !seen.contains(**k)) {
        Some(key) => Err(Error::MissingColumn { file: file.into(), column: (*key).to_owned() }),
        None => Ok(()),
    }
}

/// Reads rows and hands them on in batches; `visit` sees every cell with its line. Returns the number of rows.
pub(super) fn read<E: From<Error>>(
    input: impl Read,
    options: &Options<'_>,
    visit: &mut dyn FnMut(u64, &Column, &str),
    sink: &mut dyn FnMut(CanonicalRows) -> Result<(), E>,
) -> Result<u64, E> {
    let Options { file, dataset, is_spreadsheet } = *options;
    let mut reader = csv::ReaderBuilder::new().has_headers(true).from_reader(input);
    let header: Vec<String> = reader
        .headers()
        .map_err(|e| bad(file, &e))?
        .iter()
        .map(|name| name.trim_start_matches('\u{feff}').trim().to_owned())
        .collect();
    check_header(file, dataset, &header)?;
    let columns: Vec<&Column> = header.iter().filter_map(|name| dataset.column(name)).collect();

    let mut batch = RawBatch::new(header.len());
    let mut record = csv::StringRecord::new();
    let mut rows = 0_u64;
    let mut batches = 0_u64;
    while reader.read_record(&mut record).map_err(|e| bad(file, &e))? {
        let line = record.position().map_or(0, csv::Position::line);
        let trimmed = |cell| if is_spreadsheet { str::trim(cell) } else { cell };
        if is_spreadsheet && record.iter().all(|cell| trimmed(cell).is_empty()) {
            continue;
        }
        for ((column, out), cell) in columns.iter().zip(&mut batch.columns).zip(&record) {
            let cell = trimmed(cell);
            visit(line, column, cell);
            out.push(if cell.is_empty() { RawValue::Null } else { RawValue::Text(cell) });
        }
        rows += 1;
        if batch.is_full() {
            let full = std::mem::replace(&mut batch, RawBatch::new(header.len()));
            batches += 1;
            sink(CanonicalRows { header: header.clone(), batch: full })?;
        }
    }
    if batch.rows() > 0 || batches == 0 {
        sink(CanonicalRows { header, batch })?;
    }
    Ok(rows)
}

/// A reader's complaint without the contents of the line.
pub(super) fn bad(file: &str, error: &csv::Error) -> Error {
    let line = error.position().map_or(1, csv::Position::line);
    let reason = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} cells instead of {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => return Error::Encoding { file: file.into() },
        csv::ErrorKind::Io(e) => format!("cannot be read ({})", e.kind()),
        _ => "not a CSV line".to_owned(),
    };
    Error::BadLine { file: file.into(), line, reason }
}
