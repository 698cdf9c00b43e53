//! TOML documents read key by key, collecting every mistake with file, line, column and the accepted values.
//!
//! Every reader must end with [`Reader::finish`], which reports the keys nobody asked for.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::Path;

use chrono::{DateTime, FixedOffset, NaiveDate, TimeZone as _, Utc};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml::value::Datetime;

use crate::fsio;
use crate::hint::Hint;
use crate::model::{Bilingual, Exit, Lang};

/// One mistake in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// File as the user named it.
    pub file: String,
    /// Line from 1; 0 when the mistake concerns the file as a whole.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong and what is accepted.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.file, self.message)
        } else {
            write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
        }
    }
}

/// All mistakes of one or several files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl Hint for Problems {
    fn hint(&self, lang: Lang) -> Option<String> {
        Some(
            lang.pick(
                "请按所列位置修改后重试；尚未执行任何操作。",
                "Correct the places listed and run again; nothing has run.",
            )
            .into(),
        )
    }
    fn exit(&self) -> Exit {
        Exit::Invalid
    }
}

impl Problems {
    /// A single mistake that concerns a whole file.
    pub fn in_file(file: &str, message: impl Into<String>) -> Self {
        Self(vec![Problem { file: file.into(), line: 0, column: 0, message: message.into() }])
    }

    /// `Ok(value)` when there is no mistake.
    ///
    /// # Errors
    /// The mistakes themselves.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

/// A parsed TOML file.
#[derive(Debug)]
pub struct Document {
    file: String,
    text: String,
    table: Table,
    problems: RefCell<Vec<Problem>>,
}

/// A file could not be read or is not TOML.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Not readable.
    #[error(transparent)]
    File(#[from] fsio::Error),
    /// Readable, but wrong.
    #[error(transparent)]
    Invalid(#[from] Problems),
}

impl Hint for LoadError {
    fn hint(&self, lang: Lang) -> Option<String> {
        match self {
            Self::File(e) => e.hint(lang),
            Self::Invalid(e) => e.hint(lang),
        }
    }
    fn exit(&self) -> Exit {
        match self {
            // A file the user named and that is not there is a usage error, not a failing disk.
            Self::File(fsio::Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Exit::Invalid
            }
            Self::File(e) => e.exit(),
            Self::Invalid(e) => e.exit(),
        }
    }
}

const FILE_BYTES_MAX: u64 = 16 << 20;

impl Document {
    /// Reads and parses a file of at most 16 MiB.
    ///
    /// # Errors
    /// [`LoadError::File`]; [`LoadError::Invalid`] with every syntax error.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let text = fsio::read_text(path, FILE_BYTES_MAX)?;
        Ok(Self::parse(&path.display().to_string(), &text)?)
    }

    /// Parses a text; `file` is the name used in messages.
    ///
    /// # Errors
    /// Every syntax error.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problems> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let problems: Vec<Problem> = errors
            .iter()
            .map(|e| {
                let (line, column) = position(text, e.span().unwrap_or(0..0).start);
                Problem { file: file.into(), line, column, message: e.message().replace('\n', ", ") }
            })
            .collect();
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let table = Table::from_parser(table.into_inner());
        Ok(Self { file: file.into(), text: text.into(), table, problems: RefCell::default() })
    }

    /// The root table.
    pub fn root(&self) -> Reader<'_> {
        Reader { document: self, table: &self.table, span: 0..0, seen: RefCell::default() }
    }

    /// All mistakes collected by the readers, in order of position.
    pub fn into_problems(self) -> Problems {
        let mut list = self.problems.into_inner();
        list.sort_by_key(|p| (p.line, p.column));
        Problems(list)
    }

    /// The text as read.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn push(&self, at: Range<usize>, message: String) {
        let (line, column) = position(&self.text, at.start);
        self.problems.borrow_mut().push(Problem { file: self.file.clone(), line, column, message });
    }
}

/// A TOML value with the positions of its parts. Integers beyond 64 bits and floats are kept as their text: nothing
/// in our files needs them.
#[derive(Debug, Clone)]
pub enum Value {
    /// Text.
    Text(String),
    /// Integer.
    Int(i64),
    /// Number that is not a 64-bit integer, as written.
    Number(String),
    /// Truth value.
    Bool(bool),
    /// Date, time or both.
    Datetime(Datetime),
    /// Array.
    Array(Vec<Spanned<Value>>),
    /// Table, in file order.
    Table(Table),
}

/// A TOML table, in file order.
#[derive(Debug, Clone, Default)]
pub struct Table(Vec<(Spanned<String>, Spanned<Value>)>);

impl Table {
    /// Looks a key up.
    pub fn get(&self, key: &str) -> Option<&Spanned<Value>> {
        self.0.iter().find(|(k, _)| k.get_ref() == key).map(|(_, v)| v)
    }

    /// Keys and values in file order.
    pub fn iter(&self) -> impl Iterator<Item = (&Spanned<String>, &Spanned<Value>)> {
        self.0.iter().map(|(k, v)| (k, v))
    }

    fn from_parser(table: DeTable<'_>) -> Self {
        Self(
            table
                .into_iter()
                .map(|(k, v)| (Spanned::new(k.span(), k.into_inner().into_owned()), Value::from_parser(v)))
                .collect(),
        )
    }
}

impl Value {
    fn from_parser(value: Spanned<DeValue<'_>>) -> Spanned<Self> {
        let span = value.span();
        let value = match value.into_inner() {
            DeValue::String(s) => Self::Text(s.into_owned()),
            DeValue::Boolean(b) => Self::Bool(b),
            DeValue::Datetime(d) => Self::Datetime(d),
            DeValue::Array(a) => Self::Array(a.into_iter().map(Self::from_parser).collect()),
            DeValue::Table(t) => Self::Table(Table::from_parser(t)),
            DeValue::Integer(i) => match i64::from_str_radix(i.as_str(), i.radix()) {
                Ok(n) => Self::Int(n),
                Err(_) => Self::Number(i.as_str().to_owned()),
            },
            DeValue::Float(x) => Self::Number(x.as_str().to_owned()),
        };
        Spanned::new(span, value)
    }

    /// Name of the type in messages.
    pub fn type_str(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Int(_) => "integer",
            Self::Number(_) => "number",
            Self::Bool(_) => "boolean",
            Self::Datetime(_) => "datetime",
            Self::Array(_) => "array",
            Self::Table(_) => "table",
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(s) => Some(s),
            _ => None,
        }
    }

    /// The elements, if it is an array.
    pub fn as_array(&self) -> Option<&[Spanned<Value>]> {
        match self {
            Self::Array(a) => Some(a),
            _ => None,
        }
    }

    /// The table, if it is one.
    pub fn as_table(&self) -> Option<&Table> {
        match self {
            Self::Table(t) => Some(t),
            _ => None,
        }
    }
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
    (line, column)
}

/// Reads the keys of one table. Wrong types and missing keys become problems of the document; the value returned
/// then is empty, so that reading can go on and find the next mistake.
#[derive(Debug)]
pub struct Reader<'d> {
    document: &'d Document,
    table: &'d Table,
    span: Range<usize>,
    seen: RefCell<BTreeSet<String>>,
}

impl<'d> Reader<'d> {
    fn get(&self, key: &str) -> Option<&'d Spanned<Value>> {
        self.seen.borrow_mut().insert(key.to_owned());
        self.table.get(key)
    }

    fn wrong(&self, key: &str, value: &Spanned<Value>, expected: &str) {
        self.document.push(value.span(), format!("`{key}` must be {expected}, found {}", value.get_ref().type_str()));
    }

    fn missing(&self, key: &str, expected: &str) {
        self.document.push(self.span.clone(), format!("missing key `{key}` ({expected})"));
    }

    /// Whether the key is present (and marks it as known).
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The raw value of a key, with its position.
    pub fn raw(&self, key: &str) -> Option<&'d Spanned<Value>> {
        self.get(key)
    }

    /// Names of all keys, in file order.
    pub fn keys(&self) -> Vec<String> {
        self.table.iter().map(|(k, _)| k.get_ref().clone()).collect()
    }

    /// A text, if present.
    pub fn opt_text(&self, key: &str) -> Option<String> {
        let value = self.get(key)?;
        match value.get_ref() {
            Value::Text(s) => Some(s.clone()),
            _ => {
                self.wrong(key, value, "a text in quotes");
                None
            }
        }
    }

    /// A text that must be there and not be empty.
    pub fn text(&self, key: &str) -> String {
        if !self.has(key) {
            self.missing(key, "a text");
        }
        let text = self.opt_text(key).unwrap_or_default();
        if self.has(key)
            && text.trim().is_empty()
            && matches!(self.raw(key).map(Spanned::get_ref), Some(Value::Text(_)))
        {
            self.problem_at(key, format!("`{key}` must not be empty"));
        }
        text
    }

    /// An integer, if present.
    pub fn opt_int(&self, key: &str) -> Option<i64> {
        let value = self.get(key)?;
        match value.get_ref() {
            Value::Int(i) => Some(*i),
            _ => {
                self.wrong(key, value, "an integer");
                None
            }
        }
    }

    /// An integer that must be there.
    pub fn int(&self, key: &str) -> i64 {
        if !self.has(key) {
            self.missing(key, "an integer");
        }
        self.opt_int(key).unwrap_or_default()
    }

    /// `format = 1`, first thing in every file.
    pub fn format_one(&self) {
        let format = self.int("format");
        if self.has("format") && format != 1 {
            self.problem_at("format", format!("`format` is {format}; this version reads 1"));
        }
    }

    /// A truth value, if present.
    pub fn opt_bool(&self, key: &str) -> Option<bool> {
        let value = self.get(key)?;
        match value.get_ref() {
            Value::Bool(b) => Some(*b),
            _ => {
                self.wrong(key, value, "true or false");
                None
            }
        }
    }

    /// A local date, if present.
    pub fn opt_date(&self, key: &str) -> Option<NaiveDate> {
        let value = self.get(key)?;
        let date = match value.get_ref() {
            Value::Datetime(d) if d.time.is_none() && d.offset.is_none() => d.date.as_ref().and_then(to_date),
            _ => None,
        };
        if date.is_none() {
            self.wrong(key, value, "a date such as 2026-03-31, without quotes");
        }
        date
    }

    /// A local date that must be there.
    pub fn date(&self, key: &str) -> NaiveDate {
        if !self.has(key) {
            self.missing(key, "a date such as 2026-03-31");
        }
        self.opt_date(key).unwrap_or_default()
    }

    /// An instant with offset, if present.
    pub fn opt_instant(&self, key: &str) -> Option<DateTime<Utc>> {
        let value = self.get(key)?;
        let instant = to_instant(value.get_ref());
        if instant.is_none() {
            self.wrong(key, value, "an instant with offset such as 2026-03-31T18:00:00+08:00, without quotes");
        }
        instant
    }

    /// An instant that must be there.
    pub fn instant(&self, key: &str) -> DateTime<Utc> {
        if !self.has(key) {
            self.missing(key, "an instant with offset");
        }
        self.opt_instant(key).unwrap_or_default()
    }

    /// One of the accepted words, if present.
    pub fn opt_one_of(&self, key: &str, accepted: &[&'static str]) -> Option<&'static str> {
        let text = self.opt_text(key)?;
        let found = accepted.iter().copied().find(|a| *a == text);
        if found.is_none() {
            self.problem_at(key, format!("`{key}` is `{text}`; accepted: {}", accepted.join(", ")));
        }
        found
    }

    /// One of the accepted words; it must be there. Falls back to the first word after reporting a mistake.
    pub fn one_of(&self, key: &str, accepted: &[&'static str]) -> &'static str {
        if !self.has(key) {
            self.missing(key, &format!("one of {}", accepted.join(", ")));
        }
        self.opt_one_of(key, accepted).or(accepted.first().copied()).unwrap_or_default()
    }

    /// A list of texts; empty when absent.
    pub fn text_list(&self, key: &str) -> Vec<String> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong(key, value, "a list of texts");
            return Vec::new();
        };
        let mut out = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_str() {
                Some(s) => out.push(s.to_owned()),
                None => self.wrong(key, item, "a list of texts"),
            }
        }
        out
    }

    /// A text in both languages, `{ zh = …, en = … }`, if present.
    pub fn opt_bilingual(&self, key: &str) -> Option<Bilingual> {
        let table = self.opt_table(key)?;
        let text = Bilingual { zh: table.text("zh"), en: table.text("en") };
        table.finish();
        Some(text)
    }

    /// A text in both languages that must be there.
    pub fn bilingual(&self, key: &str) -> Bilingual {
        if !self.has(key) {
            self.missing(key, "{ zh = \"…\", en = \"…\" }");
        }
        self.opt_bilingual(key).unwrap_or_default()
    }

    /// A table, if present.
    pub fn opt_table(&self, key: &str) -> Option<Reader<'d>> {
        let value = self.get(key)?;
        match value.get_ref() {
            Value::Table(table) => {
                Some(Reader { document: self.document, table, span: value.span(), seen: RefCell::default() })
            }
            _ => {
                self.wrong(key, value, "a table");
                None
            }
        }
    }

    /// A table that must be there.
    pub fn table(&self, key: &str) -> Option<Reader<'d>> {
        if !self.has(key) {
            self.missing(key, &format!("a table [{key}]"));
        }
        self.opt_table(key)
    }

    /// An array of tables; empty when absent.
    pub fn tables(&self, key: &str) -> Vec<Reader<'d>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong(key, value, &format!("an array of tables [[{key}]]"));
            return Vec::new();
        };
        let mut out = Vec::new();
        for item in array.iter() {
            match item.get_ref() {
                Value::Table(table) => {
                    out.push(Reader { document: self.document, table, span: item.span(), seen: RefCell::default() });
                }
                _ => self.wrong(key, item, &format!("an array of tables [[{key}]]")),
            }
        }
        out
    }

    /// Reports a mistake at the value of a key (or at the table, if the key is absent).
    pub fn problem_at(&self, key: &str, message: impl Into<String>) {
        let span = self.table.get(key).map_or(self.span.clone(), Spanned::span);
        self.document.push(span, message.into());
    }

    /// Reports a mistake at the table itself.
    pub fn problem(&self, message: impl Into<String>) {
        self.document.push(self.span.clone(), message.into());
    }

    /// Reports every key that was never asked for.
    pub fn finish(&self) {
        let seen = self.seen.borrow();
        for (key, _) in self.table.iter() {
            let name = key.get_ref();
            if !seen.contains(name.as_str()) {
                let accepted: Vec<&str> = seen.iter().map(String::as_str).collect();
                self.document.push(key.span(), format!("unknown key `{name}`; accepted: {}", accepted.join(", ")));
            }
        }
    }
}

fn to_date(d: &toml::value::Date) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(i32::from(d.year), u32::from(d.month), u32::from(d.day))
}

/// Reads a TOML value as an instant; `None` unless it is a date-time with offset.
pub fn to_instant(value: &Value) -> Option<DateTime<Utc>> {
    let Value::Datetime(d) = value else { return None };
    let time = d.time.as_ref()?;
    let naive = to_date(d.date.as_ref()?)?.and_hms_nano_opt(
        u32::from(time.hour),
        u32::from(time.minute),
        u32::from(time.second.unwrap_or(0)),
        time.nanosecond.unwrap_or(0),
    )?;
    let offset_seconds = match d.offset? {
        toml::value::Offset::Z => 0,
        toml::value::Offset::Custom { minutes } => i32::from(minutes) * 60,
    };
    let offset = FixedOffset::east_opt(offset_seconds)?;
    Some(offset.from_local_datetime(&naive).single()?.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Several mistakes in one file are all reported, each at its place, with what is accepted.
    #[test]
    fn all_mistakes_at_once() {
        let text = "format = 2\ntitle = 3\nkind = \"x\"\nwhen = 2026-01-01\nsurplus = 1\n";
        let document = Document::parse("f.toml", text).expect("parses");
        let root = document.root();
        root.format_one();
        root.text("title");
        root.one_of("kind", &["a", "b"]);
        root.opt_instant("when");
        root.text("absent");
        root.finish();
        let lines: Vec<String> = document.into_problems().0.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "f.toml:1:1: missing key `absent` (a text)",
                "f.toml:1:10: `format` is 2; this version reads 1",
                "f.toml:2:9: `title` must be a text in quotes, found integer",
                "f.toml:3:8: `kind` is `x`; accepted: a, b",
                "f.toml:4:8: `when` must be an instant with offset such as 2026-03-31T18:00:00+08:00, without quotes, found datetime",
                "f.toml:5:1: unknown key `surplus`; accepted: absent, format, kind, title, when",
            ]
        );
    }
}
