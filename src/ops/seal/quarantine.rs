//! Rows that were set aside, spooled beside the archive until its table `quarantine` is written.
//!
//! A line holds where a row comes from, its key with tokens in place of people, and the reason; never a value. The
//! spool is what lets a seal go on after an interruption: a table can only be written in one piece.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, new_null_array};
use serde::{Deserialize, Serialize};

use crate::archive::TableWriter;
use crate::fsio;
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

/// How much of a spool is certain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    bytes: u64,
}

/// The spool.
#[derive(Debug)]
pub(super) struct Spool {
    path: PathBuf,
    out: BufWriter<File>,
    bytes: u64,
}

impl Spool {
    /// Opens the spool of a folder at a mark; what stands behind it is of a table that was not finished.
    pub(super) fn open(folder: &Path, mark: Mark) -> Result<Self, Error> {
        let path = folder.join("quarantine.jsonl");
        let io = |e| fsio::Error::io("open", &path, e);
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(io)?;
        if file.metadata().map_err(io)?.len() < mark.bytes {
            return Err(fsio::Error::io("continue", &path, std::io::ErrorKind::UnexpectedEof.into()).into());
        }
        file.set_len(mark.bytes).map_err(io)?;
        Ok(Self { path, out: BufWriter::new(file), bytes: mark.bytes })
    }

    pub(super) fn push(&mut self, line: &Line) -> Result<(), Error> {
        let mut text = serde_json::to_vec(line).map_err(|_| Error::Worker { doing: "setting rows aside" })?;
        text.push(b'\n');
        self.out.write_all(&text).map_err(|e| fsio::Error::io("write", &self.path, e))?;
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// Makes everything so far durable.
    pub(super) fn mark(&mut self) -> Result<Mark, Error> {
        let io = |e| fsio::Error::io("write", &self.path, e);
        self.out.flush().map_err(io)?;
        self.out.get_ref().sync_all().map_err(io)?;
        Ok(Mark { bytes: self.bytes })
    }

    /// Writes the rows, numbered from 1, and removes the spool.
    pub(super) fn write(mut self, dataset: &Dataset, writer: &mut TableWriter, cancel: &Cancel) -> Result<(), Error> {
        self.mark()?;
        let io = |e| fsio::Error::io("read", &self.path, e);
        let mut lines = BufReader::new(File::open(&self.path).map_err(io)?).lines();
        let mut next_no = 1;
        loop {
            cancel.check()?;
            let mut rows: Vec<Line> = Vec::new();
            for line in lines.by_ref().take(BATCH_ROWS) {
                let line = serde_json::from_str(&line.map_err(io)?);
                rows.push(line.map_err(|_| Error::Worker { doing: "reading rows that were set aside" })?);
            }
            if rows.is_empty() {
                break;
            }
            writer.write(&batch(dataset, &rows, &mut next_no)?)?;
        }
        std::fs::remove_file(&self.path).map_err(|e| fsio::Error::io("remove", &self.path, e))?;
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn line(key: &str) -> Line {
        Line {
            dataset: "payments".into(),
            column: "amount_fen".into(),
            reason: "not_a_number".into(),
            table: "t_pay".into(),
            key: key.into(),
        }
    }

    /// What stands behind the mark belongs to a table that will be read again.
    #[test]
    fn a_spool_goes_on_at_its_mark() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path(), Mark::default()).unwrap();
        spool.push(&line("1")).unwrap();
        let mark = spool.mark().unwrap();
        spool.push(&line("2")).unwrap();
        spool.mark().unwrap();
        drop(spool);
        let mut spool = Spool::open(dir.path(), mark).unwrap();
        spool.push(&line("3")).unwrap();
        spool.mark().unwrap();
        let text = std::fs::read_to_string(dir.path().join("quarantine.jsonl")).unwrap();
        let keys: Vec<String> = text.lines().map(|l| serde_json::from_str::<Line>(l).unwrap().key).collect();
        assert_eq!(keys, ["1", "3"]);
        // A spool that lost rows is not gone on with.
        std::fs::write(dir.path().join("quarantine.jsonl"), "").unwrap();
        assert!(Spool::open(dir.path(), mark).is_err());
    }
}
