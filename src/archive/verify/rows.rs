//! V11: the rows are the signed ones, in the claimed order, each key once, and the statistics are true.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::datatypes::DataType;
use data_encoding::BASE64;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::column::page::Page;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;

use super::codes::{Check, Code, Failure, fail};
use super::content::Watch;
use super::parquet::{CheckedTable, Part};
use super::stats::GroupStats;
use crate::archive::error::Error;
use crate::archive::json::{self, Members};
use crate::archive::keys::{self, OrderCheck, OutOfOrder};
use crate::archive::layout;
use crate::archive::leaf::LeafEncoder;
use crate::archive::table_schema::RowOrder;
use crate::archive::tree::Tree;
use crate::crypto::Secret;
use crate::fsio;

const BATCH_ROWS: usize = 8_192;
/// Text a batch may unpack to when values repeat from a dictionary.
const BATCH_BYTES: usize = 64 << 20;

/// Checks the rows of all tables, several tables at a time; the first failure in table order is reported.
pub(super) fn check(root: &Path, archive_id: &str, tables: &[CheckedTable<'_>], watch: &Watch<'_>) -> Check<()> {
    let seeds = seeds(root)?;
    for table in tables {
        // The signed count stands before anything is unpacked.
        let rows: i64 = table.parts.iter().map(|p| p.metadata.file_metadata().num_rows()).sum();
        if u64::try_from(rows) != Ok(table.statement.rows) {
            let (name, signed) = (&table.statement.name, table.statement.rows);
            return fail(Code::Rows, format!("table `{name}` has {rows} rows, {signed} were signed"));
        }
    }
    // Large tables first, so that no thread is left with the largest one at the end.
    let mut order: Vec<usize> = (0..tables.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(tables[*i].statement.rows));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut failures = BTreeMap::new();
        while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(failure) = one(archive_id, &tables[*index], &seeds, watch) {
                failures.insert(*index, failure);
                break;
            }
        }
        failures
    };
    let failures = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..watch.threads.clamp(1, tables.len().max(1))).map(|_| scope.spawn(work)).collect();
        let mut all = BTreeMap::new();
        for worker in workers {
            match worker.join() {
                Ok(failures) => all.extend(failures),
                Err(_) => {
                    all.insert(0, Failure { code: Code::Internal, detail: "a worker failed".into() });
                }
            }
        }
        all
    });
    match failures.into_values().next() {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

fn seeds(root: &Path) -> Check<BTreeMap<String, Secret>> {
    let bytes = fsio::read_bounded(&root.join(layout::SALTS), layout::DOCUMENT_BYTES_MAX)?;
    let read = || -> Result<BTreeMap<String, Secret>, String> {
        let mut seeds = BTreeMap::new();
        for (table, entry) in json::parse_object(&bytes).map_err(|e| e.to_string())? {
            let Value::Object(entry) = entry else { return Err("an entry is not an object".into()) };
            if entry.text("alg")? != "HMAC-SHA-256" {
                return Err("the algorithm is unknown".into());
            }
            let seed = BASE64.decode(entry.text("seed")?.as_bytes()).map_err(|_| "a seed is not base64")?;
            if seed.len() != 32 {
                return Err("a seed is not 32 bytes long".into());
            }
            seeds.insert(table, Secret::new(seed));
        }
        Ok(seeds)
    };
    read().map_err(|why| Failure { code: Code::Leaf, detail: format!("`{}`: {why}", layout::SALTS) })
}

fn one(archive_id: &str, table: &CheckedTable<'_>, seeds: &BTreeMap<String, Secret>, watch: &Watch<'_>) -> Check<()> {
    let name = &table.statement.name;
    let Some(seed) = seeds.get(name) else {
        return fail(Code::Leaf, format!("table `{name}` has no salt seed"));
    };
    watch.task.label(name);
    let spec = &table.schema.spec;
    let internal = |_| Failure { code: Code::Internal, detail: format!("the key of `{name}` cannot be compared") };
    let mut state = Rows {
        name,
        encoder: LeafEncoder::new(archive_id, spec, seed),
        tree: Tree::default(),
        order: match table.schema.order {
            RowOrder::Key => OrderCheck::new(spec).map_err(internal)?,
            RowOrder::Source => None,
        },
        types: spec.columns.iter().map(|c| c.ty.arrow()).collect(),
    };
    for part in &table.parts {
        state.part(part, watch)?;
    }
    if state.tree.size() != table.statement.rows {
        return fail(Code::Rows, format!("table `{name}` unpacks to {} rows", state.tree.size()));
    }
    if state.tree.root() != table.statement.root.0 {
        return fail(Code::Root, format!("the rows of `{name}` are not the signed ones"));
    }
    if table.schema.is_key_unique && table.schema.order == RowOrder::Source {
        let parts: Vec<_> = table.parts.iter().map(|p| p.path.clone()).collect();
        match keys::first_duplicate(spec, &parts, table.statement.rows) {
            Ok(None) => {}
            Ok(Some(row)) => return fail(Code::RowDuplicate, format!("table `{name}`: row {row} repeats a key")),
            Err(Error::File(e)) => return Err(e.into()),
            Err(e) => return fail(Code::Internal, e.to_string()),
        }
    }
    Ok(())
}

/// State of one table.
struct Rows<'a> {
    name: &'a str,
    encoder: LeafEncoder,
    tree: Tree,
    order: Option<OrderCheck>,
    types: Vec<DataType>,
}

impl Rows<'_> {
    fn part(&mut self, part: &Part, watch: &Watch<'_>) -> Check<()> {
        let name = &part.name;
        let unreadable = |_| Failure { code: Code::Schema, detail: format!("`{name}` cannot be decoded") };
        let file = File::open(&part.path).map_err(|e| fsio::Error::io("open", &part.path, e))?;
        let clone = || file.try_clone().map_err(|e| fsio::Error::io("open", &part.path, e));
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let reader_metadata = ArrowReaderMetadata::try_new(part.metadata.clone(), options).map_err(unreadable)?;
        let plain = SerializedFileReader::new(clone()?).map_err(unreadable)?;
        for group in 0..part.metadata.num_row_groups() {
            let batch_rows = self.batch_rows(&plain, group, name)?;
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(clone()?, reader_metadata.clone())
                .with_row_groups(vec![group])
                .with_batch_size(batch_rows)
                .build()
                .map_err(unreadable)?;
            let mut stats = GroupStats::new(&part.metadata, group, &part.pages[group], &self.types);
            for batch in reader {
                watch.cancel.check()?;
                let Ok(batch) = batch else {
                    return fail(Code::Schema, format!("`{name}` cannot be decoded"));
                };
                let first_row = self.tree.size();
                let order = &mut self.order;
                let meanwhile = || {
                    stats.observe(&batch);
                    order.as_mut().map(|o| o.next(&batch)).transpose()
                };
                let ordered =
                    self.encoder.append_with(&mut self.tree, &batch, watch.threads, meanwhile).map_err(|bad| {
                        Failure {
                            code: if bad.column.is_empty() { Code::Limit } else { Code::Leaf },
                            detail: format!(
                                "table `{}`, column `{}`, row {}: {}",
                                self.name, bad.column, bad.row, bad.problem
                            ),
                        }
                    })?;
                match ordered {
                    Ok(None | Some(None)) => {}
                    Ok(Some(Some((index, problem)))) => {
                        let row = first_row + index as u64;
                        let code = if problem == OutOfOrder::Equal { Code::RowDuplicate } else { Code::RowOrder };
                        return fail(
                            code,
                            format!("table `{}`: row {row} does not follow the one before it", self.name),
                        );
                    }
                    Err(_) => return fail(Code::Internal, format!("the key of `{}` cannot be compared", self.name)),
                }
                watch.task.advance(batch.num_rows() as u64);
            }
            stats.finish(name)?;
        }
        Ok(())
    }

    /// Rows per batch such that even the longest dictionary values, repeated in every row, stay within the budget.
    fn batch_rows(&self, file: &SerializedFileReader<File>, group: usize, name: &str) -> Check<usize> {
        let unreadable = |_| Failure { code: Code::Schema, detail: format!("`{name}` cannot be decoded") };
        let reader = file.get_row_group(group).map_err(unreadable)?;
        let mut longest_row = 0;
        for (column, ty) in self.types.iter().enumerate() {
            if !matches!(ty, DataType::Utf8 | DataType::Binary)
                || reader.metadata().column(column).dictionary_page_offset().is_none()
            {
                continue;
            }
            let mut pages = reader.get_column_page_reader(column).map_err(unreadable)?;
            if let Some(Page::DictionaryPage { buf, .. }) = pages.get_next_page().map_err(unreadable)? {
                longest_row += longest_value(&buf);
            }
        }
        if longest_row > layout::LEAF_BYTES_MAX * self.types.len().max(1) {
            return fail(Code::Limit, format!("`{name}`: a value is longer than a row may be"));
        }
        Ok((BATCH_BYTES / longest_row.max(1)).clamp(1, BATCH_ROWS))
    }
}

/// Longest of the length-prefixed values of a dictionary page.
fn longest_value(mut bytes: &[u8]) -> usize {
    let mut longest = 0;
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        longest = longest.max(length.min(rest.len()));
        bytes = rest.get(length..).unwrap_or_default();
    }
    longest
}
