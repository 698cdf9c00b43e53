//! Findings on disk, and the short JSON of `check`.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::Error;
use crate::finding::{Assessment, Finding};
use crate::fsio;

/// Columns of the findings files, in order.
pub const COLUMNS: [&str; 9] =
    ["policy", "subject_kind", "subject", "reason", "severity", "occurred", "evidence", "fingerprint", "waiver"];

/// Rows gathered before a Parquet write.
const BATCH_ROWS: usize = 8_192;

/// Takes findings in policy and subject order.
pub trait FindingSink: Send {
    /// Takes one finding.
    ///
    /// # Errors
    /// When it cannot be written.
    fn write(&mut self, finding: &Finding) -> Result<(), Error>;
}

/// Keeps findings in memory; for tests and small runs.
impl FindingSink for Vec<Finding> {
    fn write(&mut self, finding: &Finding) -> Result<(), Error> {
        self.push(finding.clone());
        Ok(())
    }
}

/// `findings.csv` and `findings.parquet`, written side by side.
pub struct FindingFiles {
    csv_path: PathBuf,
    parquet_path: PathBuf,
    csv: csv::Writer<BufWriter<File>>,
    parquet: ArrowWriter<File>,
    builders: Vec<StringBuilder>,
    pending: usize,
}

impl std::fmt::Debug for FindingFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FindingFiles").field("csv", &self.csv_path).finish_non_exhaustive()
    }
}

fn output(error: impl std::fmt::Display) -> Error {
    Error::Output { message: error.to_string() }
}

fn schema() -> SchemaRef {
    let nullable = ["occurred", "waiver"];
    Arc::new(Schema::new(COLUMNS.map(|c| Field::new(c, DataType::Utf8, nullable.contains(&c))).to_vec()))
}

impl FindingFiles {
    /// Starts `findings.csv` and `findings.parquet` in a folder.
    ///
    /// # Errors
    /// When they cannot be created.
    pub fn create(dir: &Path) -> Result<Self, Error> {
        fsio::create_dir(dir)?;
        let (csv_path, parquet_path) = (dir.join("findings.csv"), dir.join("findings.parquet"));
        let open = |path: &Path| File::create(path).map_err(|e| fsio::Error::io("create", path, e));
        let mut csv = csv::WriterBuilder::new().from_writer(BufWriter::new(open(&csv_path)?));
        csv.write_record(COLUMNS).map_err(output)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).map_err(output)?))
            .set_created_by("sealport".into())
            .build();
        let parquet = ArrowWriter::try_new(open(&parquet_path)?, schema(), Some(properties)).map_err(output)?;
        let builders = COLUMNS.iter().map(|_| StringBuilder::new()).collect();
        Ok(Self { csv_path, parquet_path, csv, parquet, builders, pending: 0 })
    }

    fn flush(&mut self) -> Result<(), Error> {
        let columns: Vec<ArrayRef> = self.builders.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef).collect();
        self.pending = 0;
        let batch = RecordBatch::try_new(schema(), columns).map_err(output)?;
        self.parquet.write(&batch).map_err(output)
    }

    /// Finishes both files and syncs them; yields their paths, CSV first.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn finish(mut self) -> Result<(PathBuf, PathBuf), Error> {
        self.flush()?;
        let file = self.parquet.into_inner().map_err(output)?;
        file.sync_all().map_err(|e| fsio::Error::io("sync", &self.parquet_path, e))?;
        let csv = self.csv.into_inner().map_err(output)?.into_inner().map_err(output)?;
        csv.sync_all().map_err(|e| fsio::Error::io("sync", &self.csv_path, e))?;
        Ok((self.csv_path, self.parquet_path))
    }
}

impl FindingSink for FindingFiles {
    fn write(&mut self, finding: &Finding) -> Result<(), Error> {
        let evidence = serde_json::to_string(&finding.evidence).map_err(output)?;
        let cells = [
            Some(finding.policy.as_str()),
            Some(&finding.subject_kind),
            Some(&finding.subject),
            Some(&finding.reason),
            Some(finding.severity.word()),
            finding.occurred.as_deref(),
            Some(&evidence),
            Some(&finding.fingerprint),
            finding.waiver.as_deref(),
        ];
        // Data is written as it is, quoted where CSV asks for it: a cell that looks like a formula stays what it was.
        self.csv.write_record(cells.map(Option::unwrap_or_default)).map_err(output)?;
        for (builder, cell) in self.builders.iter_mut().zip(cells) {
            builder.append_option(cell);
        }
        self.pending += 1;
        if self.pending == BATCH_ROWS { self.flush() } else { Ok(()) }
    }
}

/// The JSON that `check` prints.
pub fn summary_json(assessment: &Assessment) -> serde_json::Value {
    let policies: Vec<serde_json::Value> = assessment
        .policies
        .iter()
        .map(|p| {
            serde_json::json!({
                "id": p.id,
                "outcome": p.outcome.word(),
                "severity": p.severity.word(),
                "population": p.population,
                "findings": p.findings,
            })
        })
        .collect();
    serde_json::json!({ "summary": assessment.summary, "policies": policies, "findings_file": assessment.findings_csv })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Severity;
    use std::collections::BTreeMap;

    fn finding() -> Finding {
        Finding {
            policy: "TXN-003".into(),
            subject_kind: "payment".into(),
            subject: "=1+1,\"p\"\n2".into(),
            reason: "late".into(),
            severity: Severity::Medium,
            occurred: None,
            evidence: BTreeMap::from([
                ("amount_fen".into(), Some("-123456".into())),
                ("closed_at".into(), Some("2026-03-01T02:00:00Z".into())),
                ("order_ref".into(), None),
            ]),
            fingerprint: "f1:x".into(),
            waiver: Some("W-1".into()),
        }
    }

    /// Both files hold the same rows, data unchanged even where it looks like a formula.
    #[test]
    fn files_agree() {
        let dir = tempfile::tempdir().expect("dir");
        let mut files = FindingFiles::create(dir.path()).expect("created");
        for _ in 0..3 {
            files.write(&finding()).expect("written");
        }
        let (csv_path, parquet_path) = files.finish().expect("finished");
        let mut reader = csv::Reader::from_path(csv_path).expect("csv");
        assert_eq!(reader.headers().expect("header").iter().collect::<Vec<_>>(), COLUMNS);
        let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().expect("rows");
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0].get(2), Some("=1+1,\"p\"\n2"));
        assert_eq!(
            rows[0].get(6),
            Some("{\"amount_fen\":\"-123456\",\"closed_at\":\"2026-03-01T02:00:00Z\",\"order_ref\":null}")
        );
        let file = File::open(parquet_path).expect("parquet");
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file)
            .expect("reader")
            .build()
            .expect("built");
        let rows: usize = reader.map(|b| b.expect("batch").num_rows()).sum();
        assert_eq!(rows, 3);
    }
}
