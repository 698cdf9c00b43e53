//! Reads an archive for the stages after the seal. It trusts what it reads: call [`super::verify()`] first.

use std::fs;
use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;

use super::dsse::Envelope;
use super::error::Error;
use super::layout;
use super::statement::Statement;
use super::table_schema::TableSchema;
use crate::crypto;
use crate::fsio;
use crate::model::Digest;

/// One table of an archive.
#[derive(Debug, Clone)]
pub struct TableInfo {
    /// Table id.
    pub name: String,
    /// Number of rows, as signed.
    pub rows: u64,
    /// Parts in order; the row number runs over them.
    pub files: Vec<PathBuf>,
    /// Columns, key and order.
    pub schema: TableSchema,
}

impl TableInfo {
    /// Whether it is a source table as it stood, not a canonical dataset.
    pub fn is_raw(&self) -> bool {
        self.name.starts_with(layout::RAW_PREFIX)
    }

    /// Arrow schema of the rows.
    pub fn arrow_schema(&self) -> SchemaRef {
        self.schema.spec.arrow_schema()
    }
}

/// An archive on disk.
#[derive(Debug)]
pub struct Archive {
    root: PathBuf,
    statement: Statement,
    statement_hash: Digest,
    tables: Vec<TableInfo>,
}

impl Archive {
    /// Opens an archive that was verified.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Malformed`].
    pub fn open(root: &Path) -> Result<Self, Error> {
        let signatures = root.join("signatures");
        let mut names: Vec<String> = fs::read_dir(&signatures)
            .map_err(|e| fsio::Error::io("list", &signatures, e))?
            .filter_map(|e| Some(e.ok()?.file_name().to_string_lossy().into_owned()))
            .filter(|n| layout::envelope_k8(n).is_some())
            .collect();
        names.sort_unstable();
        let malformed = |path: &Path, problem: &str| Error::Malformed { path: path.into(), problem: problem.into() };
        let Some(name) = names.first() else { return Err(malformed(&signatures, "there is no statement")) };
        let path = signatures.join(name);
        let envelope = Envelope::from_bytes(&fsio::read_bounded(&path, layout::ENVELOPE_BYTES_MAX)?)
            .map_err(|_| malformed(&path, "not a signed envelope"))?;
        let statement = Statement::from_bytes(&envelope.payload)
            .map_err(|_| malformed(&path, "not the statement of an archive"))?;
        let tables = statement
            .tables
            .iter()
            .map(|t| {
                let path = root.join(layout::schema_path(&t.name));
                let bytes = fsio::read_bounded(&path, layout::DOCUMENT_BYTES_MAX)?;
                let schema = TableSchema::from_bytes(&bytes)
                    .map_err(|problem| Error::Malformed { path: path.clone(), problem })?;
                Ok(TableInfo { name: t.name.clone(), rows: t.rows, files: parts(root, &t.name), schema })
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self { root: root.into(), statement_hash: crypto::sha256(&envelope.payload), statement, tables })
    }

    /// Where the archive stands.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What was signed.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// SHA-256 of the statement payload.
    pub fn statement_hash(&self) -> Digest {
        self.statement_hash
    }

    /// The archive digest: SHA-256 of `tagmanifest-sha256.txt`.
    pub fn digest(&self) -> Digest {
        self.statement.tagmanifest
    }

    /// Tables, in name order.
    pub fn tables(&self) -> &[TableInfo] {
        &self.tables
    }

    /// The table of this name.
    pub fn table(&self, name: &str) -> Option<&TableInfo> {
        self.tables.iter().find(|t| t.name == name)
    }

    /// Reads a document of the payload, e.g. `data/custody/reconciliation.json`.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::File`].
    pub fn document(&self, path: &str) -> Result<Vec<u8>, Error> {
        if !layout::is_path(path) {
            return Err(Error::Name { name: path.into(), what: "path of a payload file" });
        }
        Ok(fsio::read_bounded(&self.root.join(path), layout::DOCUMENT_BYTES_MAX)?)
    }

    /// `reconciliation.json`.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Malformed`].
    pub fn reconciliation(&self) -> Result<serde_json::Value, Error> {
        let malformed = |e: serde_json::Error| Error::Malformed {
            path: self.root.join(layout::RECONCILIATION),
            problem: e.to_string(),
        };
        serde_json::from_slice(&self.document(layout::RECONCILIATION)?).map_err(malformed)
    }

    /// Lines of `custody.jsonl`.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Malformed`].
    pub fn custody(&self) -> Result<Vec<serde_json::Value>, Error> {
        let malformed = |problem: String| Error::Malformed { path: self.root.join(layout::CUSTODY), problem };
        let text = String::from_utf8(self.document(layout::CUSTODY)?).map_err(|e| malformed(e.to_string()))?;
        text.lines()
            .filter(|l| !l.trim().is_empty())
            .map(|l| serde_json::from_str(l).map_err(|e| malformed(e.to_string())))
            .collect()
    }
}

/// Parts of a table that exist, counted from 0 without a gap.
pub(crate) fn parts(root: &Path, table: &str) -> Vec<PathBuf> {
    (0..layout::FILES_MAX)
        .map(|i| root.join(layout::part_path(table, i)))
        .take_while(|p| p.symlink_metadata().is_ok_and(|m| m.is_file()))
        .collect()
}
