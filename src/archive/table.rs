//! Writes one table: rows into Parquet parts, and the same rows into the row tree.
//!
//! Memory is bounded by one row group and one batch. The bytes depend on the batches and on nothing else; the number
//! of threads has no influence.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use super::error::Error;
use super::files::{self, HashingFile, Written};
use super::keys::{self, OrderCheck};
use super::layout;
use super::leaf::LeafEncoder;
use super::staging::{StagedPart, StagedTable};
use super::table_schema::{RowOrder, TableSchema, TableSpec};
use super::tree::Tree;
use crate::crypto::Secret;
use crate::fsio;
use crate::model::Digest;

/// Rows per row group: a multiple of the hashing block, small enough that a group stays in memory.
const GROUP_ROWS: usize = 1 << 18;
/// Encoded bytes per row group.
const GROUP_BYTES: usize = 64 << 20;
/// A part is closed once it is this large, far enough below 4 GiB that one row group more does not matter.
const PART_BYTES: usize = 3 << 30;
const CREATED_BY: &str = concat!("sealport version ", env!("CARGO_PKG_VERSION"));

/// Writes one table of an archive; made by [`super::BagWriter::table`]. May live on its own thread.
pub struct TableWriter {
    spec: TableSpec,
    schema: SchemaRef,
    root: PathBuf,
    encoder: LeafEncoder,
    tree: Tree,
    order: Option<OrderCheck>,
    current: Option<(String, ArrowWriter<HashingFile>)>,
    parts: Vec<(String, Written)>,
    threads: usize,
    part_bytes: usize,
}

/// A finished table.
#[derive(Debug, Clone)]
pub struct TableSummary {
    /// Table id.
    pub name: String,
    /// Number of rows.
    pub rows: u64,
    /// Root of the row tree.
    pub root: Digest,
    /// Parts, absolute, for reading them back before the seal.
    pub parts: Vec<PathBuf>,
    /// Whether the key was proved to be unique.
    pub is_key_unique: bool,
    /// Order of the rows.
    pub order: RowOrder,
    pub(crate) schema: TableSchema,
    pub(crate) files: Vec<(String, Written)>,
}

impl TableSummary {
    /// A table that an earlier process finished; `root` is the folder of the bag.
    pub(super) fn restored(spec: TableSpec, staged: &StagedTable, root: &Path) -> Self {
        let order = if staged.is_in_key_order { RowOrder::Key } else { RowOrder::Source };
        let written = |part: &StagedPart| Written { digest: part.sha256, bytes: part.bytes };
        Self {
            name: staged.name.clone(),
            rows: staged.rows,
            root: staged.root,
            parts: staged.parts.iter().map(|p| root.join(&p.path)).collect(),
            is_key_unique: staged.is_key_unique,
            order,
            schema: TableSchema { spec, is_key_unique: staged.is_key_unique, order },
            files: staged.parts.iter().map(|p| (p.path.clone(), written(p))).collect(),
        }
    }

    /// Name of the identity class of a column, as the schema document says it.
    pub fn class_of(&self, column: &str) -> Option<&str> {
        self.schema.spec.columns.iter().find(|c| c.name == column).map(|c| c.class.as_str())
    }

    /// Whether the table has a key.
    pub fn has_key(&self) -> bool {
        !self.schema.spec.key.is_empty()
    }
}

impl TableWriter {
    pub(crate) fn new(root: PathBuf, archive_id: &str, spec: TableSpec, seed: &Secret) -> Result<Self, Error> {
        spec.validate()?;
        let dir = root.join("data/tables").join(&spec.name);
        fs::create_dir_all(root.join("data/tables")).map_err(|e| fsio::Error::io("create", &dir, e))?;
        fs::create_dir(&dir).map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => Error::Twice { name: spec.name.clone() },
            _ => fsio::Error::io("create", &dir, e).into(),
        })?;
        let order = OrderCheck::new(&spec).map_err(|source| Error::Arrow { table: spec.name.clone(), source })?;
        let mut writer = Self {
            schema: spec.arrow_schema(),
            encoder: LeafEncoder::new(archive_id, &spec, seed),
            spec,
            root,
            tree: Tree::default(),
            order,
            current: None,
            parts: Vec::new(),
            threads: files::threads(),
            part_bytes: PART_BYTES,
        };
        writer.open_part()?;
        Ok(writer)
    }

    /// Uses so many threads for hashing; by default one per core, at most eight.
    pub fn set_threads(&mut self, threads: usize) {
        self.threads = threads.max(1);
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.tree.size()
    }

    fn parquet_error(table: &str, source: ParquetError) -> Error {
        match source {
            ParquetError::External(e) => match e.downcast::<std::io::Error>() {
                Ok(io) => fsio::Error::io("write", format!("data/tables/{table}"), *io).into(),
                Err(other) => Error::Parquet { table: table.into(), source: ParquetError::External(other) },
            },
            source => Error::Parquet { table: table.into(), source },
        }
    }

    fn open_part(&mut self) -> Result<(), Error> {
        let path = layout::part_path(&self.spec.name, self.parts.len());
        let file = HashingFile::create(&self.root.join(&path))?;
        let options = ArrowWriterOptions::new().with_properties(properties(&self.spec)).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(file, Arc::clone(&self.schema), options)
            .map_err(|e| Self::parquet_error(&self.spec.name, e))?;
        self.current = Some((path, writer));
        Ok(())
    }

    fn close_part(&mut self) -> Result<(), Error> {
        if let Some((path, writer)) = self.current.take() {
            let table = &self.spec.name;
            let failure = writer.inner().failure();
            // Writes the footer as well.
            let file = writer.into_inner().map_err(|e| match failure.error() {
                Some(io) => fsio::Error::io("write", format!("data/tables/{table}"), io).into(),
                None => Self::parquet_error(table, e),
            })?;
            let written = file.finish(&self.root.join(&path))?;
            self.parts.push((path, written));
        }
        Ok(())
    }

    /// Appends rows.
    ///
    /// # Errors
    /// [`Error::WrongColumns`] when the batch has other columns, [`Error::Value`] for a value without canonical
    /// form, [`Error::File`] or [`Error::Parquet`] when writing fails. After an error the table cannot be finished.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let fits = batch.num_columns() == self.schema.fields().len()
            && batch
                .schema()
                .fields()
                .iter()
                .zip(self.schema.fields())
                .all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type())
            && batch.columns().iter().zip(self.schema.fields()).all(|(c, f)| f.is_nullable() || c.null_count() == 0);
        if !fits {
            return Err(Error::WrongColumns { table: self.spec.name.clone() });
        }
        if batch.num_rows() == 0 {
            return Ok(());
        }
        // Nullability of the incoming schema may differ from ours; the values were checked above.
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), batch.columns().to_vec())
            .map_err(|source| Error::Arrow { table: self.spec.name.clone(), source })?;
        let table = &self.spec.name;
        let Some((_, writer)) = self.current.as_mut() else {
            return Err(Error::Spec { problem: format!("table `{table}` was already finished or failed") });
        };
        let order = &mut self.order;
        let meanwhile = || -> Result<bool, Error> {
            writer.write(&batch).map_err(|e| Self::parquet_error(table, e))?;
            match order {
                None => Ok(true),
                Some(check) => {
                    let problem = check.next(&batch).map_err(|source| Error::Arrow { table: table.clone(), source })?;
                    Ok(problem.is_none())
                }
            }
        };
        let result = self.encoder.append_with(&mut self.tree, &batch, self.threads, meanwhile);
        let still_ordered = match result {
            Ok(done) => done,
            Err(bad) => {
                let error =
                    Error::Value { table: table.clone(), column: bad.column, row: bad.row, problem: bad.problem };
                self.current = None;
                return Err(error);
            }
        };
        match still_ordered {
            Ok(true) => {}
            Ok(false) => self.order = None,
            Err(e) => {
                self.current = None;
                return Err(e);
            }
        }
        let is_full =
            self.current.as_ref().is_some_and(|(_, w)| w.bytes_written() + w.in_progress_size() >= self.part_bytes);
        if is_full {
            self.close_part()?;
            self.open_part()?;
        }
        Ok(())
    }

    /// Closes the table and settles whether its key is unique.
    ///
    /// # Errors
    /// As [`TableWriter::write`].
    pub fn finish(mut self) -> Result<TableSummary, Error> {
        if self.current.is_none() {
            return Err(Error::Spec { problem: format!("table `{}` failed before", self.spec.name) });
        }
        self.close_part()?;
        let parts: Vec<PathBuf> = self.parts.iter().map(|(p, _)| self.root.join(p)).collect();
        let rows = self.tree.size();
        let (is_key_unique, order) = match (&self.order, self.spec.key.is_empty()) {
            (_, true) => (false, RowOrder::Source),
            (Some(_), false) => (true, RowOrder::Key),
            (None, false) => (keys::first_duplicate(&self.spec, &parts, rows)?.is_none(), RowOrder::Source),
        };
        let schema = TableSchema { spec: self.spec.clone(), is_key_unique, order };
        Ok(TableSummary {
            name: self.spec.name,
            rows,
            root: Digest(self.tree.root()),
            parts,
            is_key_unique,
            order,
            schema,
            files: self.parts,
        })
    }
}

/// Every setting that shapes the bytes, spelled out.
fn properties(spec: &TableSpec) -> WriterProperties {
    let level = ZstdLevel::try_new(3).unwrap_or_default();
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(CREATED_BY.into())
        .set_compression(Compression::ZSTD(level))
        .set_dictionary_enabled(true)
        // A column that outgrows this hardly repeats; a larger dictionary takes longer and saves nothing.
        .set_dictionary_page_size_limit(1 << 18)
        .set_data_page_size_limit(1 << 20)
        .set_data_page_row_count_limit(20_000)
        .set_write_batch_size(1_024)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_max_row_group_bytes(Some(GROUP_BYTES))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_write_page_header_statistics(false)
        .set_statistics_truncate_length(Some(64))
        .set_column_index_truncate_length(Some(64))
        .set_bloom_filter_enabled(false)
        .set_key_value_metadata(None);
    // A key does not repeat, and neither does what is spelled from it.
    if let [key] = spec.key.as_slice() {
        for column in [key.as_str(), "src_key"] {
            builder = builder.set_column_dictionary_enabled(ColumnPath::from(column), false);
        }
    }
    builder.build()
}

impl std::fmt::Debug for TableWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableWriter")
            .field("table", &self.spec.name)
            .field("rows", &self.rows())
            .finish_non_exhaustive()
    }
}
