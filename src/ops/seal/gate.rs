//! The leak gate: the finished files are read back and scanned before anything is signed.

mod pages;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::super::{Env, Error};
use crate::archive::TableSummary;
use crate::config::case::LeakException;
use crate::fsio;
use crate::progress::Stage;
use crate::pseudonym::{LeakHit, StaffMatcher, scan_batch};
use crate::schema::Class;
use pages::{Stop, suspects};

/// Scans every column of texts or bytes of every finished table, raw ones included. All their pages are looked
/// through; the columns in which something may stand are decoded and judged text by text.
///
/// # Errors
/// [`Error::Leak`] on a hit that no exception of the case covers; the places are listed in a local file of mode 0600.
pub(super) fn scan(
    env: &Env,
    matcher: &StaffMatcher,
    tables: &[TableSummary],
    exceptions: &[LeakException],
    list: &Path,
) -> Result<Vec<LeakHit>, Error> {
    let rows = tables.iter().map(|t| t.rows).sum();
    let task = env.progress.start(Stage::ScanLeaks, Some(rows));
    let mut hits: Vec<LeakHit> = Vec::new();
    for table in tables {
        task.label(&table.name);
        let is_free_text = |column: &str| table.class_of(column) == Some(Class::FreeText.name());
        for part in &table.parts {
            let mut after_group = |rows| {
                task.advance(rows);
                Ok(env.cancel.check()?)
            };
            let suspects = match suspects(part, &|bytes| matcher.may_hold(bytes), &mut after_group) {
                Ok(suspects) => suspects,
                Err(Stop::Asked(error)) => return Err(error),
                Err(Stop::Unreadable) => return Err(unreadable(part)),
            };
            if suspects.is_empty() {
                continue;
            }
            for batch in decoded(part, suspects)? {
                env.cancel.check()?;
                hits.extend(scan_batch(matcher, &table.name, &is_free_text, &batch?));
            }
        }
    }
    let hits = merged(hits);
    let covered = |h: &LeakHit| exceptions.iter().any(|e| e.dataset == h.dataset && e.column == h.column);
    let leaks: Vec<&LeakHit> = hits.iter().filter(|h| !covered(h)).collect();
    if leaks.is_empty() {
        return Ok(hits);
    }
    let leaks: Vec<LeakHit> = leaks.into_iter().cloned().collect();
    Err(refuse(env, &leaks, list))
}

/// Writes the local list of hits and makes the error that stops the seal: a leak, whether or not the list can be kept.
pub(super) fn refuse(env: &Env, leaks: &[LeakHit], list: &Path) -> Error {
    if let Err(error) = write_list(list, leaks) {
        env.notices.tell(error.to_string());
    }
    let places = leaks.iter().map(|h| format!("{}.{} ({})", h.dataset, h.column, h.count)).collect();
    Error::Leak { places, list: list.to_owned() }
}

type Batches = Box<dyn Iterator<Item = Result<arrow::array::RecordBatch, Error>>>;

fn unreadable(part: &Path) -> Error {
    Error::Worker { doing: if part.exists() { "reading back a table" } else { "finding a table" } }
}

/// The columns at these positions, decoded.
fn decoded(part: &PathBuf, columns: BTreeSet<usize>) -> Result<Batches, Error> {
    let file = File::open(part).map_err(|e| fsio::Error::io("open", part, e))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|b| {
            let mask = ProjectionMask::leaves(b.parquet_schema(), columns);
            b.with_projection(mask).with_batch_size(8_192).build()
        })
        .map_err(|_| unreadable(part))?;
    let part = part.clone();
    Ok(Box::new(reader.map(move |batch| batch.map_err(|_| unreadable(&part)))))
}

/// One entry per dataset, column and kind.
fn merged(hits: Vec<LeakHit>) -> Vec<LeakHit> {
    let mut out: Vec<LeakHit> = Vec::new();
    for hit in hits {
        match out.iter_mut().find(|o| o.dataset == hit.dataset && o.column == hit.column && o.kind == hit.kind) {
            Some(o) => o.count += hit.count,
            None => out.push(hit),
        }
    }
    out
}

fn write_list(list: &Path, leaks: &[LeakHit]) -> Result<(), Error> {
    let mut text = Vec::new();
    for hit in leaks {
        // Place and kind only: the value itself stays in the source.
        let _ = writeln!(text, "{}.{}: {} × {}", hit.dataset, hit.column, hit.count, hit.kind);
    }
    if list.exists() {
        std::fs::remove_file(list).map_err(|e| fsio::Error::io("replace", list, e))?;
    }
    if let Some(parent) = list.parent() {
        fsio::create_dir(parent)?;
    }
    fsio::write_private_new(list, &text)?;
    Ok(())
}
