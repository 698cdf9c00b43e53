//! Exported files as the tables of a database, for merchants whose system gives no other access.
//!
//! CSV files (UTF-8 or GBK; comma, semicolon or tab) and workbooks of one folder are read once into a SQLite database
//! in memory, so that the SELECTs of a mapping join and filter them like any other source and nothing of them touches
//! the disk. Every column is text as the file shows it; an empty cell is NULL. A file is a table of the name of the
//! file; a workbook with several sheets is one table per sheet, `book:sheet`.
//!
//! Limits: the first row names the columns; all files together at most 1 GiB, a workbook at most 128 MiB; values that
//! a spreadsheet program has destroyed are refused by row and column, because no mapping can bring them back.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use calamine::{Data, Reader as _, open_workbook_auto};
use encoding_rs::{Decoder, DecoderResult, GB18030};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::canonical_files::file_name;
use super::sqlite::SqliteSource;
use super::{Error, damage};
use crate::model::Engine;
use crate::{crypto, fsio};

/// Bytes of all files together, at most: they are held in memory.
const FOLDER_BYTES_MAX: u64 = 1 << 30;
/// Bytes of a workbook, at most: it is packed, and unpacks to many times its size.
const WORKBOOK_BYTES_MAX: u64 = 128 << 20;
/// SQLite's own limit of columns.
const COLUMNS_MAX: usize = 2_000;

/// Reads every export of a folder and opens the result as a source.
///
/// # Errors
/// A folder without exports, a file of another form or too large, or every place a spreadsheet has destroyed.
pub(super) fn open(dir: &Path) -> Result<SqliteSource, Error> {
    let files = list(dir)?;
    let connection = Connection::open_in_memory().map_err(memory)?;
    let mut settings = BTreeMap::new();
    connection.execute_batch("BEGIN").map_err(memory)?;
    for path in &files {
        let (digest, _) = crypto::sha256_file(path)?;
        let name = file_name(path);
        let rows = if is_workbook(&name) { workbook(&connection, path)? } else { text_file(&connection, path)? };
        // The mapping must see the bytes that custody names.
        if crypto::sha256_file(path)?.0 != digest {
            return Err(Error::Changed { file: name });
        }
        settings.insert(format!("file {name}"), format!("sha256 {digest}, {rows} rows"));
    }
    connection.execute_batch("COMMIT").map_err(memory)?;
    SqliteSource::of_exports(connection, dir, settings)
}

/// The exports of a folder in name order; other files are passed over.
fn list(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir).map_err(|e| fsio::Error::io("open", dir, e))? {
        let path = entry.map_err(|e| fsio::Error::io("read", dir, e))?.path();
        let name = file_name(&path);
        // Names that begin with `~$` are locks of a spreadsheet program.
        if name.starts_with(['.', '~']) || !(is_workbook(&name) || is_text(&name)) || !path.is_file() {
            continue;
        }
        let length = path.metadata().map_err(|e| fsio::Error::io("read", &path, e))?.len();
        bytes += length;
        if bytes > FOLDER_BYTES_MAX || (is_workbook(&name) && length > WORKBOOK_BYTES_MAX) {
            return Err(Error::TooLarge { file: name });
        }
        files.push(path);
    }
    files.sort();
    if files.is_empty() { Err(Error::NoExports { path: dir.into() }) } else { Ok(files) }
}

fn has_ending(name: &str, endings: &[&str]) -> bool {
    name.rsplit_once('.').is_some_and(|(_, end)| endings.iter().any(|e| e.eq_ignore_ascii_case(end)))
}

fn is_workbook(name: &str) -> bool {
    has_ending(name, &["xlsx", "xlsm", "xls", "xlsb", "ods"])
}

fn is_text(name: &str) -> bool {
    has_ending(name, &["csv", "tsv", "txt"])
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default()
}

fn memory(source: rusqlite::Error) -> Error {
    Error::Engine { action: "fill", source: Box::new(source) }
}

/// One table being filled.
struct Table<'c> {
    insert: rusqlite::Statement<'c>,
    file: String,
    columns: Vec<String>,
    rows: u64,
    places: Vec<String>,
}

impl<'c> Table<'c> {
    fn create(connection: &'c Connection, file: &str, name: &str, header: &[String]) -> Result<Self, Error> {
        let bad = |reason: String| Error::BadLine { file: file.into(), line: 1, reason };
        if header.len() > COLUMNS_MAX {
            return Err(bad(format!("{} columns; at most {COLUMNS_MAX} are read", header.len())));
        }
        let mut columns: Vec<String> = Vec::with_capacity(header.len());
        for (i, cell) in header.iter().enumerate() {
            let cell = cell.trim();
            let base = if cell.is_empty() { format!("column_{}", i + 1) } else { cell.to_owned() };
            let taken = |name: &str| columns.iter().any(|c| c.eq_ignore_ascii_case(name));
            let name = (1..).map(|n| if n == 1 { base.clone() } else { format!("{base}_{n}") }).find(|n| !taken(n));
            columns.push(name.unwrap_or(base));
        }
        let list: Vec<String> = columns.iter().map(|c| format!("{} TEXT", Engine::Sqlite.quoted(c))).collect();
        let table = Engine::Sqlite.quoted(name);
        connection
            .execute_batch(&format!("CREATE TABLE {table} ({})", list.join(", ")))
            .map_err(|_| bad(format!("two tables would be called `{name}`")))?;
        let marks = vec!["?"; columns.len()].join(",");
        let insert = connection.prepare(&format!("INSERT INTO {table} VALUES ({marks})")).map_err(memory)?;
        Ok(Self { insert, file: file.into(), columns, rows: 0, places: Vec::new() })
    }

    /// Adds a row; `line` is where a person finds it.
    fn push<'v>(&mut self, line: u64, cells: impl Iterator<Item = Cell<'v>>) -> Result<(), Error> {
        let mut values: Vec<Value> = Vec::with_capacity(self.columns.len());
        for (i, cell) in cells.enumerate() {
            let (text, what) = match cell {
                Cell::Text(text) => (text, damage::of_text(text)),
                Cell::Destroyed(what) => ("", Some(what)),
            };
            if let Some(what) = what
                && self.places.len() < damage::PLACES_MAX
            {
                let column = self.columns.get(i).map_or("?", String::as_str);
                self.places.push(format!("row {line}, column `{column}`: {what}"));
            }
            values.push(if text.is_empty() { Value::Null } else { Value::Text(text.to_owned()) });
        }
        if values.iter().all(|v| *v == Value::Null) {
            return Ok(());
        }
        values.resize(self.columns.len(), Value::Null);
        self.insert.execute(params_from_iter(values)).map_err(memory)?;
        self.rows += 1;
        Ok(())
    }

    fn finish(self) -> Result<u64, Error> {
        if self.places.is_empty() {
            Ok(self.rows)
        } else {
            Err(Error::Damaged { file: self.file, places: self.places })
        }
    }
}

/// A cell as the file shows it.
enum Cell<'v> {
    Text(&'v str),
    /// What a spreadsheet did to it.
    Destroyed(&'static str),
}

/// A comma-, semicolon- or tab-separated file.
fn text_file(connection: &Connection, path: &Path) -> Result<u64, Error> {
    let file = file_name(path);
    let open = || File::open(path).map_err(|e| Error::from(fsio::Error::io("open", path, e)));
    let is_utf8 = is_utf8(&mut open()?).map_err(|e| fsio::Error::io("read", path, e))?;
    let input: Box<dyn Read> = if is_utf8 { Box::new(open()?) } else { Box::new(Transcoder::new(open()?)) };
    let mut input = BufReader::new(input);
    let separator = {
        use std::io::BufRead as _;
        let start = input.fill_buf().map_err(|e| transcoding(&file, &e))?;
        let line = start.split(|b| *b == b'\n').next().unwrap_or_default();
        let count = |separator: u8| line.iter().filter(|b| **b == separator).count();
        [b',', b'\t', b';'].into_iter().max_by_key(|s| (count(*s), *s == b',')).unwrap_or(b',')
    };
    let mut reader = csv::ReaderBuilder::new().delimiter(separator).has_headers(true).from_reader(input);
    let header: Vec<String> = reader
        .headers()
        .map_err(|e| super::delimited::bad(&file, &e))?
        .iter()
        .map(|name| name.trim_start_matches('\u{feff}').to_owned())
        .collect();
    let mut table = Table::create(connection, &file, &stem(path), &header)?;
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|e| super::delimited::bad(&file, &e))? {
        let line = record.position().map_or(0, csv::Position::line);
        // Exports pad ids with a tab so that spreadsheets keep them as text.
        table.push(line, record.iter().map(|cell| Cell::Text(cell.trim())))?;
    }
    table.finish()
}

fn transcoding(file: &str, error: &std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::InvalidData {
        Error::Encoding { file: file.into() }
    } else {
        Error::BadLine { file: file.into(), line: 1, reason: format!("cannot be read ({})", error.kind()) }
    }
}

/// Whether all bytes are UTF-8, in constant memory.
fn is_utf8(input: &mut impl Read) -> std::io::Result<bool> {
    let mut buffer = vec![0_u8; 64 << 10];
    let mut kept = 0;
    loop {
        let read = input.read(&mut buffer[kept..])?;
        let length = kept + read;
        let (valid, is_cut) = match std::str::from_utf8(&buffer[..length]) {
            Ok(_) => (length, true),
            Err(e) => (e.valid_up_to(), e.error_len().is_none()),
        };
        if !is_cut || (read == 0 && valid < length) {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
        buffer.copy_within(valid..length, 0);
        kept = length - valid;
    }
}

/// GB18030 (which contains GBK and GB2312) as UTF-8; bytes that are neither end the reading.
struct Transcoder {
    input: File,
    decoder: Decoder,
    raw: Vec<u8>,
    raw_at: usize,
    has_ended: bool,
}

impl Transcoder {
    fn new(input: File) -> Self {
        let decoder = GB18030.new_decoder_without_bom_handling();
        Self { input, decoder, raw: Vec::new(), raw_at: 0, has_ended: false }
    }
}

impl Read for Transcoder {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        loop {
            if self.raw_at == self.raw.len() && !self.has_ended {
                self.raw.resize(64 << 10, 0);
                let read = self.input.read(&mut self.raw)?;
                self.raw.truncate(read);
                self.raw_at = 0;
                self.has_ended = read == 0;
            }
            let (result, used, written) =
                self.decoder.decode_to_utf8_without_replacement(&self.raw[self.raw_at..], out, self.has_ended);
            self.raw_at += used;
            match result {
                DecoderResult::Malformed(..) => return Err(std::io::ErrorKind::InvalidData.into()),
                _ if written > 0 => return Ok(written),
                DecoderResult::InputEmpty if self.has_ended => return Ok(0),
                _ => {}
            }
        }
    }
}

/// The sheets of a workbook.
fn workbook(connection: &Connection, path: &Path) -> Result<u64, Error> {
    let file = file_name(path);
    let unreadable = || Error::Workbook { file: file_name(path) };
    let mut book = open_workbook_auto(path).map_err(|_| unreadable())?;
    let mut sheets = Vec::new();
    for name in book.sheet_names() {
        let range = book.worksheet_range(&name).map_err(|_| unreadable())?;
        if !range.is_empty() {
            sheets.push((name, range));
        }
    }
    let is_single = sheets.len() == 1;
    let mut total = 0;
    for (name, range) in sheets {
        let table = if is_single { stem(path) } else { format!("{}:{name}", stem(path)) };
        let first = range.start().map_or(0, |(row, _)| u64::from(row)) + 1;
        let mut rows = range.rows();
        let header: Vec<String> =
            rows.next().unwrap_or_default().iter().map(|cell| shown(cell).unwrap_or_default()).collect();
        let mut table = Table::create(connection, &file, &table, &header)?;
        for (line, row) in (first + 1..).zip(rows) {
            let texts: Vec<Result<String, &'static str>> = row.iter().map(shown).collect();
            let cells = texts.iter().map(|text| match text {
                Ok(text) => Cell::Text(text.trim()),
                Err(what) => Cell::Destroyed(what),
            });
            table.push(line, cells)?;
        }
        total += table.finish()?;
    }
    Ok(total)
}

/// Digits of a whole number that a spreadsheet still knows for certain.
const WHOLE_MAX: f64 = 999_999_999_999_999.0;

/// What a person sees in a cell, as text that a mapping reads; times as `2026-03-01 08:00:00`.
fn shown(cell: &Data) -> Result<String, &'static str> {
    Ok(match cell {
        Data::Empty => String::new(),
        Data::String(text) => text.clone(),
        Data::Int(n) => n.to_string(),
        Data::Bool(b) => u8::from(*b).to_string(),
        Data::Float(x) if x.fract() == 0.0 && x.abs() > WHOLE_MAX => {
            return Err("a number of more than 15 digits, the last ones are lost");
        }
        Data::Float(x) => x.to_string(),
        Data::DateTime(time) if time.is_datetime() => {
            let (year, month, day, hour, minute, second, milli) = time.to_ymd_hms_milli();
            let day = format!("{year:04}-{month:02}-{day:02}");
            match (hour, minute, second, milli) {
                (0, 0, 0, 0) => day,
                (.., 0) => format!("{day} {hour:02}:{minute:02}:{second:02}"),
                _ => format!("{day} {hour:02}:{minute:02}:{second:02}.{milli:03}"),
            }
        }
        Data::DateTime(duration) => duration.as_f64().to_string(),
        Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Error(_) => return Err("a spreadsheet error instead of a value"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::database::{RowSource as _, Select};

    async fn first(source: &mut SqliteSource, sql: &str) -> Vec<Option<String>> {
        source.first_row(Select { sql, values: &[] }).await.unwrap()
    }

    /// A GBK and a UTF-8 file join like tables; ids keep their zeros, empty cells are NULL, custody has the digests.
    #[tokio::test]
    async fn files_are_tables() {
        let dir = tempfile::tempdir().unwrap();
        let (gbk, _, _) = GB18030.encode("订单号,金额,会员\r\n\t00012\t,19.90,甲\r\n00013,,\r\n,,\r\n");
        std::fs::write(dir.path().join("订单.csv"), gbk).unwrap();
        std::fs::write(dir.path().join("members.csv"), "\u{feff}name;level;level\n甲;3;x\n").unwrap();
        std::fs::write(dir.path().join("note.pdf"), "not an export").unwrap();
        let mut source = open(dir.path()).unwrap();
        let sql = "SELECT o.\"订单号\", m.level, m.level_2, (SELECT COUNT(*) FROM \"订单\") FROM \"订单\" o JOIN members m ON m.name = o.\"会员\"";
        let row = first(&mut source, sql).await;
        assert_eq!(row, [Some("00012".into()), Some("3".into()), Some("x".into()), Some("2".into())]);
        assert_eq!(first(&mut source, "SELECT \"金额\" FROM \"订单\" ORDER BY 1").await, [None]);
        let description = source.description();
        assert_eq!(description.engine, "files");
        assert!(description.settings["file members.csv"].contains("1 rows"), "{description:?}");
        assert!(first(&mut source, "SELECT 1").await.len() == 1);
        assert!(source.first_row(Select { sql: "DELETE FROM members", values: &[] }).await.is_err());
    }

    /// What cannot be read is told by file and place, never by value.
    #[test]
    fn refusals() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(open(dir.path()), Err(Error::NoExports { .. })));
        let path = dir.path().join("a.csv");
        let refused = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            open(dir.path()).unwrap_err().to_string()
        };
        let damaged = refused(b"id,amount\n4.2E+27,1\n");
        assert!(damaged.contains("row 2, column `id`") && !damaged.contains("E+"), "{damaged}");
        assert!(refused(b"id,amount\n1\n").contains("1 cells instead of 2"));
        assert!(refused(b"id\n\xff\xff\xff\n").contains("neither UTF-8 nor GBK"));
        std::fs::write(&path, "id\n1\n").unwrap();
        std::fs::write(dir.path().join("b.xlsx"), "no workbook").unwrap();
        assert!(matches!(open(dir.path()), Err(Error::Workbook { .. })));
    }

    /// UTF-8 is told apart wherever its letters are cut.
    #[test]
    fn utf8_or_not() {
        let long = "水果".repeat(40_000);
        assert!(is_utf8(&mut long.as_bytes()).unwrap());
        assert!(is_utf8(&mut &b""[..]).unwrap());
        assert!(!is_utf8(&mut &long.as_bytes()[..long.len() - 1]).unwrap());
        assert!(!is_utf8(&mut &b"a\xffb"[..]).unwrap());
    }
}
