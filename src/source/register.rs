//! Registers: CSV files kept by people, one per dataset, in `registers/`.
//!
//! They come from spreadsheets, so UTF-8 with or without a byte order mark and GBK are read, cells are trimmed, empty
//! rows are skipped, and values that a spreadsheet has destroyed are refused by file, row and column. Dates such as
//! `2026/3/1` stay text; the identity mapping reads them. A `SHA256SUMS` file beside them states digests.
//!
//! Limits: a register is read whole and may have at most 64 MiB; a dropped leading zero cannot be noticed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use encoding_rs::GB18030;

use super::canonical_files::{file_name, is_suppliable, unknown};
use super::{CanonicalRows, Error, damage, delimited};
use crate::model::Digest;
use crate::rows::RawBatch;
use crate::schema;
use crate::{crypto, fsio};

/// Bytes of a register, at most.
const REGISTER_BYTES_MAX: u64 = 64 << 20;
/// Bytes of a list of digests, at most.
const SUMS_BYTES_MAX: u64 = 1 << 20;
/// Name of the list of digests.
const SUMS: &str = "SHA256SUMS";

/// A register file found in the folder.
#[derive(Debug, Clone)]
pub struct RegisterFile {
    /// Name of the dataset.
    pub dataset: String,
    /// Where the file is.
    pub path: PathBuf,
    /// Digest stated in `SHA256SUMS`, if any.
    pub expected_sha256: Option<Digest>,
}

/// What a folder of registers holds.
#[derive(Debug, Clone, Default)]
pub struct Registers {
    /// The files, in dataset order.
    pub files: Vec<RegisterFile>,
    /// Names in `SHA256SUMS` without a file.
    pub absent: Vec<String>,
}

/// The contents of a register.
#[derive(Debug, Clone)]
pub struct Register {
    /// Name of the dataset.
    pub dataset: String,
    /// Name of the file, without its folder.
    pub file: String,
    /// Canonical names of the columns, in the order of the file.
    pub header: Vec<String>,
    /// The rows; at least one batch, possibly empty.
    pub batches: Vec<RawBatch>,
    /// Number of rows.
    pub rows: u64,
    /// Digest of the bytes of the file.
    pub sha256: Digest,
    /// Digest stated in `SHA256SUMS`, if any; a difference is for a policy to find.
    pub expected_sha256: Option<Digest>,
}

/// Finds the registers of a folder; a folder that does not exist holds none. Files that are not `*.csv` are passed
/// over.
///
/// # Errors
/// [`Error::UnknownDataset`], [`Error::BadLine`] in `SHA256SUMS`, [`Error::File`].
pub fn list(dir: &Path) -> Result<Registers, Error> {
    let mut expected = sums(dir)?;
    let mut registers = Registers::default();
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(registers),
        Err(e) => return Err(fsio::Error::io("open", dir, e).into()),
    };
    for entry in entries {
        let path = entry.map_err(|e| fsio::Error::io("read", dir, e))?.path();
        let name = file_name(&path);
        let Some(stem) = name.strip_suffix(".csv").filter(|stem| !stem.starts_with('.')) else { continue };
        let dataset = schema::dataset(stem).filter(|d| is_suppliable(d)).ok_or_else(|| unknown(&name, "csv"))?;
        let expected_sha256 = expected.remove(&name);
        registers.files.push(RegisterFile { dataset: dataset.name.to_owned(), path, expected_sha256 });
    }
    registers.files.sort_by(|a, b| a.dataset.cmp(&b.dataset));
    registers.absent = expected.into_keys().collect();
    Ok(registers)
}

/// Reads `SHA256SUMS` as `sha256sum` writes it.
fn sums(dir: &Path) -> Result<BTreeMap<String, Digest>, Error> {
    let path = dir.join(SUMS);
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text = fsio::read_text(&path, SUMS_BYTES_MAX)?;
    let mut sums = BTreeMap::new();
    for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        let entry = text.split_once(' ').and_then(|(digest, name)| {
            let name = name.trim_start_matches([' ', '*']).trim_start_matches("./");
            digest.to_ascii_lowercase().parse::<Digest>().ok().map(|d| (name.to_owned(), d))
        });
        let (name, digest) = entry.ok_or_else(|| Error::BadLine {
            file: SUMS.into(),
            line,
            reason: "not a digest, two blanks and a file name".into(),
        })?;
        sums.insert(name, digest);
    }
    Ok(sums)
}

/// Reads a register.
///
/// # Errors
/// A header that is not the dataset's, a line of another form, an unknown encoding, or [`Error::Damaged`] with every
/// place (up to twenty) a spreadsheet has destroyed.
pub fn read(file: &RegisterFile) -> Result<Register, Error> {
    let name = file_name(&file.path);
    let dataset = schema::dataset(&file.dataset).ok_or_else(|| unknown(&name, "csv"))?;
    let bytes = fsio::read_bounded(&file.path, REGISTER_BYTES_MAX)?;
    let sha256 = crypto::sha256(&bytes);
    let text = decode(&name, &bytes)?;

    let mut header = Vec::new();
    let mut batches = Vec::new();
    let mut places = Vec::new();
    let options = delimited::Options { file: &name, dataset, is_spreadsheet: true };
    let rows = delimited::read::<Error>(
        text.as_bytes(),
        &options,
        &mut |line, column, cell| {
            if let Some(what) = damage::of_cell(column, cell)
                && places.len() < damage::PLACES_MAX
            {
                places.push(format!("row {line}, column `{}`: {what}", column.name));
            }
        },
        &mut |rows: CanonicalRows| {
            header = rows.header;
            batches.push(rows.batch);
            Ok(())
        },
    )?;
    if places.is_empty() {
        let expected_sha256 = file.expected_sha256;
        Ok(Register { dataset: file.dataset.clone(), file: name, header, batches, rows, sha256, expected_sha256 })
    } else {
        Err(Error::Damaged { file: name, places })
    }
}

/// UTF-8 if valid, else GB18030, which contains GBK and GB2312.
fn decode<'a>(file: &str, bytes: &'a [u8]) -> Result<std::borrow::Cow<'a, str>, Error> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(text.into());
    }
    GB18030
        .decode_without_bom_handling_and_without_replacement(bytes)
        .ok_or_else(|| Error::Encoding { file: file.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::RawValue;

    fn register(bytes: &[u8]) -> Result<Register, Error> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("people.csv"), bytes).unwrap();
        let found = list(dir.path()).unwrap();
        read(&found.files[0])
    }

    /// The encodings people save in all give the same cells; dates stay as typed.
    #[test]
    fn encodings() {
        let text = "person_ref,employment_status,hired_on,store_ref\r\n 工号001 ,active,2026/3/1,\r\n,,,\r\n";
        let (gbk, _, _) = encoding_rs::GBK.encode(text);
        let bom = [b"\xef\xbb\xbf", text.as_bytes()].concat();
        for bytes in [text.as_bytes(), &bom, &gbk] {
            let r = register(bytes).unwrap();
            assert_eq!(r.rows, 1);
            assert_eq!(r.batches[0].columns[0].get(0), RawValue::Text("工号001"));
            assert_eq!(r.batches[0].columns[2].get(0), RawValue::Text("2026/3/1"));
            assert_eq!(r.batches[0].columns[3].get(0), RawValue::Null);
            assert_eq!(r.sha256, crypto::sha256(bytes));
        }
        assert!(matches!(register(b"person_ref\n\xff\xff\n"), Err(Error::Encoding { .. })));
    }

    /// Destroyed numbers are refused by row and column; the value is never shown.
    #[test]
    fn damage_is_refused() {
        let text = "person_ref,store_ref,hired_on\n1,2,2026/1/1\n1.38E+10,4.2E+27,2026/1/2\n3,4,########\n";
        let error = register(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("row 3, column `person_ref`") && error.contains("row 3, column `store_ref`"), "{error}");
        assert!(error.contains("row 4, column `hired_on`") && !error.contains("E+"), "{error}");
    }

    /// Stated digests arrive with their files, and names without a file are told.
    #[test]
    fn sums_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("people.csv"), "person_ref\n").unwrap();
        std::fs::write(path("note.txt"), "kept by hand").unwrap();
        let digest = crypto::sha256(b"person_ref\n");
        std::fs::write(path(SUMS), format!("{digest}  people.csv\n{digest} *receipts.csv\n")).unwrap();
        let found = list(dir.path()).unwrap();
        assert_eq!(found.files.len(), 1);
        assert_eq!(read(&found.files[0]).unwrap().expected_sha256, Some(digest));
        assert_eq!(found.absent, ["receipts.csv"]);

        std::fs::write(path(SUMS), "zz  people.csv\n").unwrap();
        assert!(matches!(list(dir.path()), Err(Error::BadLine { line: 1, .. })));
        std::fs::remove_file(path(SUMS)).unwrap();
        std::fs::write(path("peple.csv"), "x\n").unwrap();
        assert!(matches!(list(dir.path()), Err(Error::UnknownDataset { .. })));
        assert!(list(&path("nowhere")).unwrap().files.is_empty());
    }
}
