//! Rows as plain INSERT statements of many rows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::fsio;
use crate::synth::Error;
use crate::synth::local::yuan;
use crate::synth::tables::Cell;

/// Rows of one statement.
const ROWS_MAX: usize = 200;

/// An engine whose texts and names are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// MySQL and MariaDB.
    Mysql,
    /// PostgreSQL.
    Postgres,
}

impl Dialect {
    /// Word used on the command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Mysql => "mysql",
            Self::Postgres => "postgres",
        }
    }

    /// An address to be edited.
    pub(super) fn sample_url(self, database: &str) -> String {
        match self {
            Self::Mysql => format!("mysql://reader@127.0.0.1:3306/{database}"),
            Self::Postgres => format!("postgres://reader@127.0.0.1:5432/{database}"),
        }
    }

    /// Instants are written in the wall clock of the story, also into columns that keep instants.
    fn head(self) -> &'static str {
        match self {
            Self::Mysql => "SET NAMES utf8mb4;\nSET time_zone = '+08:00';\nSTART TRANSACTION;\n",
            Self::Postgres => "SET client_encoding = 'UTF8';\nSET timezone = 'Asia/Shanghai';\nBEGIN;\n",
        }
    }

    fn name(self, out: &mut String, name: &str) {
        match self {
            Self::Mysql => {
                let _ = write!(out, "`{name}`");
            }
            Self::Postgres => {
                let _ = write!(out, "\"{name}\"");
            }
        }
    }

    fn text(self, out: &mut String, text: &str) {
        out.push('\'');
        for c in text.chars() {
            match (self, c) {
                (_, '\'') => out.push_str("''"),
                (Self::Mysql, '\\') => out.push_str("\\\\"),
                _ => out.push(c),
            }
        }
        out.push('\'');
    }
}

/// A table that exists in the system, and the columns rows are written into.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [&'static str],
}

/// How many words a text has.
pub(super) const fn count(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut i, mut n) = (0, 1);
    while i < bytes.len() {
        if bytes[i] == b' ' {
            n += 1;
        }
        i += 1;
    }
    n
}

/// The words of a text.
pub(super) const fn words<const N: usize>(text: &'static str) -> [&'static str; N] {
    let bytes = text.as_bytes();
    let mut out = [""; N];
    let (mut start, mut i, mut n) = (0, 0, 0);
    while i <= bytes.len() {
        if i == bytes.len() || bytes[i] == b' ' {
            let (head, _) = text.split_at(i);
            let (_, word) = head.split_at(start);
            out[n] = word;
            n += 1;
            start = i + 1;
        }
        i += 1;
    }
    out
}

/// Declares tables as statics: `ID "table": "column column";`.
macro_rules! tables {
    ($($id:ident $name:literal: $columns:literal;)+) => { $(
        pub(super) static $id: Table = Table { name: $name, columns: &words::<{ count($columns) }>($columns) };
    )+ };
}
pub(super) use tables;

/// The file of statements.
pub(super) struct Dump {
    dialect: Dialect,
    path: PathBuf,
    out: BufWriter<File>,
    open: BTreeMap<&'static str, (usize, String)>,
    counts: BTreeMap<String, u64>,
}

impl Dump {
    /// Creates the file.
    pub(super) fn create(path: &Path, dialect: Dialect) -> Result<Self, Error> {
        let file = File::create_new(path).map_err(|e| fsio::Error::io("create", path, e))?;
        let mut dump = Self {
            dialect,
            path: path.to_owned(),
            out: BufWriter::new(file),
            open: BTreeMap::new(),
            counts: BTreeMap::new(),
        };
        dump.write(dialect.head())?;
        Ok(dump)
    }

    /// A truth value: a bit in MySQL, a BOOLEAN in PostgreSQL, which takes no number.
    pub(super) fn flag(&self, value: bool) -> Cell {
        match (self.dialect, value) {
            (Dialect::Mysql, value) => Cell::Int(i64::from(value)),
            (Dialect::Postgres, true) => Cell::Word("true"),
            (Dialect::Postgres, false) => Cell::Word("false"),
        }
    }

    /// Adds a row; a cell per column of the table.
    pub(super) fn row<const N: usize>(&mut self, table: &'static Table, cells: [Cell; N]) -> Result<(), Error> {
        debug_assert_eq!(N, table.columns.len(), "{}", table.name);
        let (rows, text) = self.open.entry(table.name).or_default();
        if *rows == 0 {
            text.push_str("INSERT INTO ");
            self.dialect.name(text, table.name);
            text.push_str(" (");
            for (i, column) in table.columns.iter().enumerate() {
                if i > 0 {
                    text.push_str(", ");
                }
                self.dialect.name(text, column);
            }
            text.push_str(") VALUES\n(");
        } else {
            text.push_str(",\n(");
        }
        for (i, cell) in cells.iter().enumerate() {
            if i > 0 {
                text.push(',');
            }
            match cell {
                Cell::Null => text.push_str("NULL"),
                Cell::Int(value) => {
                    let _ = write!(text, "{value}");
                }
                Cell::Yuan(fen) => text.push_str(&yuan(*fen)),
                Cell::Text(value) => self.dialect.text(text, value),
                Cell::Word(value) => self.dialect.text(text, value),
                Cell::Time(time) => self.dialect.text(text, &time.text()),
            }
        }
        text.push(')');
        *rows += 1;
        *self.counts.entry(table.name.to_owned()).or_default() += 1;
        if *rows == ROWS_MAX { self.flush(table.name) } else { Ok(()) }
    }

    fn flush(&mut self, table: &'static str) -> Result<(), Error> {
        let Some((rows, mut text)) = self.open.remove(table) else { return Ok(()) };
        if rows > 0 {
            text.push_str(";\n");
            self.write(&text)?;
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), Error> {
        self.out.write_all(text.as_bytes()).map_err(|e| fsio::Error::io("write", &self.path, e).into())
    }

    /// Writes what is left; returns the rows per table.
    pub(super) fn finish(mut self) -> Result<BTreeMap<String, u64>, Error> {
        for table in self.open.keys().copied().collect::<Vec<_>>() {
            self.flush(table)?;
        }
        self.write("COMMIT;\n")?;
        self.out.flush().map_err(|e| fsio::Error::io("write", &self.path, e))?;
        Ok(self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::tables::cells;

    /// Quotes, backslashes and NULL survive; statements are cut at their limit.
    #[test]
    fn statements() {
        static T: Table = Table { name: "t", columns: &["key", "b"] };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.sql");
        let mut dump = Dump::create(&path, Dialect::Mysql).unwrap();
        dump.row(&T, cells![1_i64, "it's \\ {\"a\":1}"]).unwrap();
        dump.row(&T, [Cell::Yuan(-5), Cell::Null]).unwrap();
        for i in 0..ROWS_MAX as i64 {
            dump.row(&T, cells![i, "x"]).unwrap();
        }
        assert_eq!(dump.finish().unwrap()["t"], ROWS_MAX as u64 + 2);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.contains("INSERT INTO `t` (`key`, `b`) VALUES\n(1,'it''s \\\\ {\"a\":1}'),\n(-0.05,NULL),"),
            "{text}"
        );
        assert_eq!(text.matches("INSERT INTO").count(), 2);
        assert!(text.ends_with("COMMIT;\n"));
    }

    /// PostgreSQL has its own names, keeps backslashes as they are, and takes truth values as words.
    #[test]
    fn postgres() {
        static T: Table = Table { name: "t", columns: &["key", "b"] };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.sql");
        let mut dump = Dump::create(&path, Dialect::Postgres).unwrap();
        let paid = dump.flag(true);
        dump.row(&T, [Cell::Text("it's \\".into()), paid]).unwrap();
        dump.finish().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("INSERT INTO \"t\" (\"key\", \"b\") VALUES\n('it''s \\','true');"), "{text}");
    }
}
