//! Canonical files: `csv:DIR` and `parquet:DIR`, one file per dataset, canonical column names.
//!
//! Rows are streamed; nothing is converted beyond spelling dates, instants and decimals of Parquet as text, so that
//! both kinds pass through the same identity mapping. A name that is no dataset is an error: a misspelt file must not
//! silently stay out of an archive.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::{CanonicalRows, Error, delimited, parquet_cells};
use crate::fsio;
use crate::schema::{self, Dataset, Origin};

/// Kind of the files of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Comma-separated, UTF-8, first line is the header.
    Csv,
    /// Parquet.
    Parquet,
}

impl FileKind {
    /// Extension of the files, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// A file that holds one dataset.
#[derive(Debug, Clone)]
pub struct CanonicalFile {
    /// Name of the dataset.
    pub dataset: String,
    /// Where the file is.
    pub path: PathBuf,
    /// How it is written.
    pub kind: FileKind,
}

/// Whether files may supply this dataset.
pub(super) fn is_suppliable(dataset: &Dataset) -> bool {
    matches!(dataset.origin, Origin::Mapped | Origin::Register)
}

/// The canonical files of a folder, in name order. Hidden files, `README*` and `SHA256SUMS` are passed over.
///
/// # Errors
/// [`Error::UnknownDataset`] for any other name, [`Error::File`] when the folder cannot be read.
pub fn list(dir: &Path, kind: FileKind) -> Result<Vec<CanonicalFile>, Error> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| fsio::Error::io("open", dir, e))? {
        let entry = entry.map_err(|e| fsio::Error::io("read", dir, e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name.starts_with("README") || name == "SHA256SUMS" {
            continue;
        }
        let stem = name.strip_suffix(kind.extension()).and_then(|s| s.strip_suffix('.'));
        match stem.and_then(schema::dataset).filter(|d| is_suppliable(d)) {
            Some(d) => files.push(CanonicalFile { dataset: d.name.to_owned(), path: entry.path(), kind }),
            None => return Err(unknown(&name, kind.extension())),
        }
    }
    files.sort_by(|a, b| a.dataset.cmp(&b.dataset));
    Ok(files)
}

/// The error for a file name that is no dataset.
pub(super) fn unknown(file: &str, extension: &str) -> Error {
    let accepted: Vec<String> =
        schema::datasets().filter(|d| is_suppliable(d)).map(|d| format!("{}.{extension}", d.name)).collect();
    Error::UnknownDataset { file: file.into(), accepted: accepted.join(", ") }
}

/// Reads a file and hands its rows on in batches, at least one (possibly empty) so that the header is known.
/// Returns the number of rows.
///
/// # Errors
/// What is wrong with the file, or whatever the sink returns.
pub fn read<E: From<Error>>(
    file: &CanonicalFile,
    sink: &mut dyn FnMut(CanonicalRows) -> Result<(), E>,
) -> Result<u64, E> {
    let name = file_name(&file.path);
    let dataset = schema::dataset(&file.dataset).ok_or_else(|| unknown(&name, file.kind.extension()))?;
    let input = File::open(&file.path).map_err(|e| Error::from(fsio::Error::io("open", &file.path, e)))?;
    match file.kind {
        FileKind::Csv => {
            let options = delimited::Options { file: &name, dataset, is_spreadsheet: false };
            delimited::read(BufReader::with_capacity(1 << 16, input), &options, &mut |_, _, _| (), sink)
        }
        FileKind::Parquet => parquet_cells::read(input, &name, dataset, sink),
    }
}

/// Last part of a path, for errors and records; never the folder.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
        TimestampMicrosecondArray,
    };

    use super::*;

    fn collect(file: &CanonicalFile) -> Result<(Vec<String>, Vec<Vec<String>>), Error> {
        let mut header = Vec::new();
        let mut rows = Vec::new();
        read(file, &mut |r: CanonicalRows| {
            header = r.header;
            for i in 0..r.batch.rows() {
                rows.push(r.batch.columns.iter().map(|c| format!("{:?}", c.get(i))).collect());
            }
            Ok::<(), Error>(())
        })?;
        Ok((header, rows))
    }

    /// CSV keeps text and knows NULL; names that are no dataset and columns that are no column are refused.
    #[test]
    fn csv_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stores.csv");
        std::fs::write(&path, "\u{feff}store_ref,name\n1,\"Fruit, Inc\"\n2,\n").unwrap();
        std::fs::write(dir.path().join("SHA256SUMS"), "").unwrap();
        let files = list(dir.path(), FileKind::Csv).unwrap();
        assert_eq!(files.len(), 1);
        let (header, rows) = collect(&files[0]).unwrap();
        assert_eq!(header, ["store_ref", "name"]);
        assert_eq!(rows, [["Text(\"1\")", "Text(\"Fruit, Inc\")"], ["Text(\"2\")", "Null"]]);

        for (content, expected) in [
            ("store_ref,nmae\n", "`stores.csv`: no column `nmae`"),
            ("store_ref,store_ref\n", "appears twice"),
            ("name\nx\n", "key column `store_ref` is missing"),
            ("store_ref,name\n1\n", "line 2: 1 cells instead of 2"),
        ] {
            std::fs::write(&path, content).unwrap();
            let error = collect(&files[0]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        std::fs::write(&path, "store_ref\n").unwrap();
        assert_eq!(collect(&files[0]).unwrap(), (vec!["store_ref".to_owned()], vec![]));
        std::fs::write(dir.path().join("storse.csv"), "").unwrap();
        let error = list(dir.path(), FileKind::Csv).unwrap_err().to_string();
        assert!(error.contains("`storse.csv`") && error.contains("stores.csv"), "{error}");
    }

    /// Every Parquet type of the schema arrives as the cell the identity mapping expects.
    #[test]
    fn parquet_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("order_items.parquet");
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("order_ref", Arc::new(StringArray::from(vec![Some("o1"), Some("o2")]))),
            ("item_ref", Arc::new(Int64Array::from(vec![Some(1), None]))),
            (
                "quantity",
                Arc::new(Decimal128Array::from(vec![Some(1500), None]).with_precision_and_scale(18, 3).unwrap()),
            ),
        ];
        let write = |path: &Path, batch: &RecordBatch| {
            let mut writer =
                parquet::arrow::ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
            writer.write(batch).unwrap();
            writer.close().unwrap();
        };
        write(&path, &RecordBatch::try_from_iter(columns).unwrap());
        let file = &list(dir.path(), FileKind::Parquet).unwrap()[0];
        let (_, rows) = collect(file).unwrap();
        assert_eq!(rows, [["Text(\"o1\")", "Int(1)", "Text(\"1.500\")"], ["Text(\"o2\")", "Null", "Null"]]);

        let path = dir.path().join("apps.parquet");
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("app_ref", Arc::new(StringArray::from(vec!["a"]))),
            ("icp_cancelled_on", Arc::new(Date32Array::from(vec![18_655]))),
        ];
        write(&path, &RecordBatch::try_from_iter(columns).unwrap());
        let file = CanonicalFile { dataset: "apps".into(), path, kind: FileKind::Parquet };
        assert_eq!(collect(&file).unwrap().1, [["Text(\"a\")", "Text(\"2021-01-28\")"]]);

        let path = dir.path().join("logins.parquet");
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("login_ref", Arc::new(StringArray::from(vec!["l"]))),
            (
                "logged_in_at",
                Arc::new(TimestampMicrosecondArray::from(vec![1_611_824_831_000_001]).with_timezone("UTC")),
            ),
            ("succeeded", Arc::new(BooleanArray::from(vec![true]))),
        ];
        write(&path, &RecordBatch::try_from_iter(columns).unwrap());
        let file = CanonicalFile { dataset: "logins".into(), path, kind: FileKind::Parquet };
        assert_eq!(
            collect(&file).unwrap().1,
            [["Text(\"l\")", "Text(\"2021-01-28T09:07:11.000001Z\")", "Text(\"true\")"]]
        );
    }

    /// A file that is no Parquet is an error, not a panic.
    #[test]
    fn broken_parquet() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("apps.parquet");
        std::fs::write(&path, "PAR1 nothing").unwrap();
        let file = CanonicalFile { dataset: "apps".into(), path, kind: FileKind::Parquet };
        assert!(matches!(collect(&file), Err(Error::Parquet { .. })));
    }
}
