//! V10: the Parquet files are what the schema documents say, and hold nothing else.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::Schema;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::{KeyValue, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use super::codes::{Check, Code, Failure, fail};
use super::pages::{self, Pages};
use crate::archive::layout;
use crate::archive::manifest::Manifest;
use crate::archive::statement::{Statement, TableStatement};
use crate::archive::table_schema::{TableSchema, TableSpec};
use crate::fsio;

/// One part whose structure was checked.
pub(super) struct Part {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) metadata: Arc<ParquetMetaData>,
    pub(super) pages: Pages,
}

/// One table whose structure was checked.
pub(super) struct CheckedTable<'a> {
    pub(super) statement: &'a TableStatement,
    pub(super) schema: TableSchema,
    pub(super) parts: Vec<Part>,
}

/// Checks all tables of the statement; the payload may hold no other table.
pub(super) fn tables<'a>(root: &Path, statement: &'a Statement, manifest: &Manifest) -> Check<Vec<CheckedTable<'a>>> {
    let component = |path: &str, prefix: &str| {
        path.strip_prefix(prefix).map(|r| r.split(['/', '.']).next().unwrap_or_default().to_owned())
    };
    for prefix in ["data/tables/", "data/schema/"] {
        let present: BTreeSet<String> = manifest.keys().filter_map(|p| component(p, prefix)).collect();
        let named: BTreeSet<String> = statement.tables.iter().map(|t| t.name.clone()).collect();
        if let Some(other) = present.symmetric_difference(&named).next() {
            return fail(Code::Schema, format!("`{prefix}{other}` is not among the signed tables or is missing"));
        }
    }
    statement.tables.iter().map(|t| table(root, t, manifest)).collect()
}

fn table<'a>(root: &Path, statement: &'a TableStatement, manifest: &Manifest) -> Check<CheckedTable<'a>> {
    let name = &statement.name;
    let schema_path = layout::schema_path(name);
    if manifest.get(&schema_path) != Some(&statement.schema) {
        return fail(Code::Schema, format!("`{schema_path}` is not the signed schema document"));
    }
    let bytes = fsio::read_bounded(&root.join(&schema_path), layout::DOCUMENT_BYTES_MAX)?;
    let schema = TableSchema::from_bytes(&bytes)
        .map_err(|why| Failure { code: Code::Schema, detail: format!("`{schema_path}`: {why}") })?;
    if schema.spec.name != *name {
        return fail(Code::Schema, format!("`{schema_path}` describes another table"));
    }
    let prefix = format!("data/tables/{name}/");
    let mut parts = Vec::new();
    for (index, path) in manifest.keys().filter(|p| p.starts_with(&prefix)).enumerate() {
        if *path != layout::part_path(name, index) {
            return fail(Code::Schema, format!("`{path}`: parts are not numbered from 0 without a gap"));
        }
        parts.push(part(root, path, &schema.spec)?);
    }
    Ok(CheckedTable { statement, schema, parts })
}

fn part(root: &Path, name: &str, spec: &TableSpec) -> Check<Part> {
    let path = root.join(name);
    let io = |e: std::io::Error| fsio::Error::io("read", &path, e);
    let mut file = File::open(&path).map_err(|e| fsio::Error::io("open", &path, e))?;
    let length = file.metadata().map_err(io)?.len();
    if length > layout::PART_BYTES_MAX {
        return fail(Code::Limit, format!("`{name}` is larger than 4 GiB"));
    }
    let footer_start = footer_start(&mut file, length, name)?;
    let metadata = ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Optional)
        .parse_and_finish(&file)
        .map_err(|_| Failure { code: Code::Schema, detail: format!("`{name}`: the footer cannot be read") })?;
    check_file(&metadata, spec, name)?;
    let pages = pages::walk(&mut file, length, footer_start, &metadata, name)?;
    Ok(Part { name: name.into(), path, metadata: Arc::new(metadata), pages })
}

/// Where the footer begins; also checks both magic words.
fn footer_start(file: &mut File, length: u64, name: &str) -> Check<u64> {
    let mut head = [0; 4];
    let mut tail = [0; 8];
    let whole = length >= 12
        && file.read_exact(&mut head).is_ok()
        && file.seek(SeekFrom::End(-8)).is_ok()
        && file.read_exact(&mut tail).is_ok();
    let footer = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    if !whole || &head != b"PAR1" || &tail[4..] != b"PAR1" || footer + 12 > length {
        return fail(Code::Schema, format!("`{name}` is not a Parquet file"));
    }
    if footer > layout::FOOTER_BYTES_MAX {
        return fail(Code::Limit, format!("`{name}`: the footer is larger than {} bytes", layout::FOOTER_BYTES_MAX));
    }
    Ok(length - 8 - footer)
}

fn check_file(metadata: &ParquetMetaData, spec: &TableSpec, name: &str) -> Check<()> {
    let file = metadata.file_metadata();
    let described = parquet_to_arrow_schema(file.schema_descr(), None)
        .map_err(|_| Failure { code: Code::Schema, detail: format!("`{name}`: the columns have no Arrow type") })?;
    let wanted = spec.arrow_schema();
    check_columns(&described, &wanted, name)?;
    for entry in file.key_value_metadata().into_iter().flatten() {
        check_metadata(entry, metadata, spec, name)?;
    }
    if file.created_by().is_some_and(|c| c.len() > 200 || c.contains(['/', '\\', '@'])) {
        return fail(Code::Schema, format!("`{name}`: the writer's name looks like a path or host"));
    }
    let mut rows = 0_i64;
    for group in metadata.row_groups() {
        if group.num_rows() > layout::ROW_GROUP_ROWS_MAX || group.total_byte_size() > layout::ROW_GROUP_BYTES_MAX {
            return fail(Code::Limit, format!("`{name}`: a row group is too large"));
        }
        if group.num_rows() < 0 || group.sorting_columns().is_some_and(|s| !s.is_empty()) {
            return fail(Code::ParquetStats, format!("`{name}`: a row group claims an order or a negative size"));
        }
        rows = rows.saturating_add(group.num_rows());
    }
    if rows != file.num_rows() {
        return fail(Code::Rows, format!("`{name}`: the row groups do not add up to the file's rows"));
    }
    Ok(())
}

fn check_columns(found: &Schema, wanted: &Schema, name: &str) -> Check<()> {
    if found.fields().len() != wanted.fields().len() {
        return fail(
            Code::Schema,
            format!("`{name}` has {} columns, the schema document {}", found.fields().len(), wanted.fields().len()),
        );
    }
    for (found, wanted) in found.fields().iter().zip(wanted.fields()) {
        if found.name() != wanted.name() {
            return fail(
                Code::Schema,
                format!("`{name}`: column `{}` stands where `{}` should", found.name(), wanted.name()),
            );
        }
        if found.data_type() != wanted.data_type() || found.is_nullable() != wanted.is_nullable() {
            return fail(
                Code::Schema,
                format!("`{name}`: column `{}` has another type than the schema document says", found.name()),
            );
        }
    }
    Ok(())
}

/// Only an Arrow schema that repeats the schema document may stand in the footer.
fn check_metadata(entry: &KeyValue, metadata: &ParquetMetaData, spec: &TableSpec, name: &str) -> Check<()> {
    if entry.key != "ARROW:schema" {
        return fail(Code::Schema, format!("`{name}`: the footer carries foreign metadata"));
    }
    let file = metadata.file_metadata();
    let Ok(hinted) = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata()) else {
        return fail(Code::Schema, format!("`{name}`: the Arrow schema in the footer cannot be read"));
    };
    check_columns(&hinted, &spec.arrow_schema(), name)?;
    let repeats = hinted.metadata().is_empty()
        && hinted.fields().iter().zip(&spec.columns).all(|(field, column)| {
            field.metadata().iter().all(|(key, value)| match key.as_str() {
                "class" => *value == column.class,
                "unit" => Some(value) == column.unit.as_ref(),
                "PARQUET:field_id" => true,
                _ => false,
            })
        });
    if repeats { Ok(()) } else { fail(Code::Schema, format!("`{name}`: the footer carries foreign metadata")) }
}
