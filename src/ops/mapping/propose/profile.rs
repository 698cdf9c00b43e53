//! What is known about the tables of an unknown database: names, types, counts, and the shapes of some values.
//!
//! A bounded number of rows of each table is looked at in memory. What is kept of them are shapes (how many are digits
//! only, how many look like a date) and, for columns whose name says that they hold codes, the distinct codes with
//! their counts. A value that could be a name, a number of a person or a sentence is never kept.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use tokio::sync::mpsc;

use super::words;
use crate::mapping::Family;
use crate::ops::{Env, Error};
use crate::rows::{RawBatch, RawValue};
use crate::source::database::{Select, TableInfo};
use crate::source::{self, RowSource};

/// Rows of each table that are looked at.
const SAMPLE_ROWS: u64 = 2_000;
/// More distinct codes are no codes.
const CODES_MAX: usize = 30;
/// A code is at most this long.
const CODE_CHARS_MAX: usize = 24;
/// A code holds at most this many digits in a row: no telephone number, no order number.
const CODE_DIGITS_MAX: usize = 5;

/// What a column's values look like.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape {
    /// Cells with a value.
    pub(super) cells: u64,
    pub(super) nulls: u64,
    pub(super) ints: u64,
    pub(super) int_min: i64,
    pub(super) int_max: i64,
    pub(super) reals: u64,
    pub(super) texts: u64,
    /// Texts of digits only, and those of 10 and of 14.
    pub(super) digits: u64,
    pub(super) ten_digits: u64,
    pub(super) fourteen_digits: u64,
    /// `2026-03-01 08:00:00`, the same with an offset, `2026-03-01`.
    pub(super) times: u64,
    pub(super) zoned_times: u64,
    pub(super) days: u64,
    /// `19.99`.
    pub(super) decimals: u64,
    /// Texts and numbers that look like a telephone number, an e-mail address, a number of an identity card.
    pub(super) personal: u64,
    /// Long digests and hashed passwords.
    pub(super) hashes: u64,
    pub(super) distinct: u64,
}

impl Shape {
    /// Whether every text is of a kind that was counted so often.
    pub(super) fn all(&self, count: u64) -> bool {
        self.texts > 0 && count == self.texts && self.ints + self.reals == 0
    }
}

/// What a column should be protected as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    Secret,
    Contact,
    Name,
    Customer,
    Sentence,
    None,
}

impl Care {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Contact => "contact",
            Self::Name => "name of a person?",
            Self::Customer => "customer id",
            Self::Sentence => "free text",
            Self::None => "",
        }
    }
}

/// A column.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) type_name: String,
    pub(super) family: Family,
    pub(super) shape: Shape,
    pub(super) care: Care,
    /// Distinct codes with their counts, the most frequent first; `None` where values are not shown.
    pub(super) codes: Option<Vec<(String, u64)>>,
}

/// A table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) rows: u64,
    pub(super) is_readable: bool,
    pub(super) columns: Vec<Column>,
}

/// The words of a name in small letters: cut at signs and where small letters turn to capitals.
pub(super) fn tokens(name: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut was_small = false;
    for c in name.chars() {
        if !c.is_alphanumeric() {
            out.push(String::new());
        } else {
            if c.is_uppercase() && was_small {
                out.push(String::new());
            }
            if let Some(last) = out.last_mut() {
                last.extend(c.to_lowercase());
            }
        }
        was_small = c.is_lowercase();
    }
    out.retain(|t| !t.is_empty());
    out
}

/// Whether a name has one of the words in it: whole words, or any part where they are Chinese.
pub(super) fn has_word(name: &str, list: &[&str]) -> bool {
    let joined = format!("_{}_", tokens(name).join("_"));
    list.iter().any(|w| if w.is_ascii() { joined.contains(&format!("_{w}_")) } else { joined.contains(w) })
}

/// Looks at every table.
///
/// # Errors
/// When the connection is gone or the user asks to stop.
pub(super) async fn look(env: &Env, source: &mut dyn RowSource, tables: &[TableInfo]) -> Result<Vec<Table>, Error> {
    let mut out = Vec::new();
    for info in tables {
        env.cancel.check()?;
        let engine = source.engine();
        let mut columns: Vec<Column> = info
            .columns
            .iter()
            .map(|(name, type_name)| Column {
                name: name.clone(),
                type_name: type_name.clone(),
                family: Family::of(engine, type_name),
                shape: Shape::default(),
                care: Care::None,
                codes: None,
            })
            .collect();
        let mut is_readable = info.is_readable;
        if is_readable && info.rows > 0 {
            is_readable = sample(env, source, &info.name, &mut columns).await?;
        }
        for column in &mut columns {
            column.care = care(column);
        }
        if is_readable {
            for column in &mut columns {
                if may_hold_codes(column) {
                    column.codes = codes(env, source, &info.name, &column.name).await?;
                }
            }
        }
        out.push(Table { name: info.name.clone(), rows: info.rows, is_readable, columns });
    }
    Ok(out)
}

/// Takes the shapes of the first rows; false when the table refuses to be read.
async fn sample(env: &Env, source: &mut dyn RowSource, table: &str, columns: &mut [Column]) -> Result<bool, Error> {
    let engine = source.engine();
    // Bytes are not looked at: they may be large, and nothing is guessed from them.
    let mut wanted: Vec<&mut Column> = columns.iter_mut().filter(|c| c.family != Family::Bytes).collect();
    if wanted.is_empty() {
        return Ok(true);
    }
    let list: Vec<String> = wanted.iter().map(|c| engine.quoted(&c.name)).collect();
    let sql = format!("SELECT {} FROM {} LIMIT {SAMPLE_ROWS}", list.join(", "), engine.quoted_table(table));
    let mut distinct: Vec<HashSet<u64>> = vec![HashSet::new(); wanted.len()];
    rows(env, source, &sql, &mut |batch| {
        for ((column, seen), cells) in wanted.iter_mut().zip(&mut distinct).zip(&batch.columns) {
            for at in 0..cells.len() {
                column.shape.add(cells.get(at), seen);
            }
        }
    })
    .await
    .inspect(|_| {
        for (column, seen) in wanted.iter_mut().zip(&distinct) {
            column.shape.distinct = seen.len() as u64;
        }
    })
}

/// Runs a small SELECT; false when the engine refuses it.
async fn rows(
    env: &Env,
    source: &mut dyn RowSource,
    sql: &str,
    each: &mut (dyn FnMut(&RawBatch) + Send),
) -> Result<bool, Error> {
    let (sender, mut receiver) = mpsc::channel::<RawBatch>(2);
    let take = async {
        while let Some(batch) = receiver.recv().await {
            each(&batch);
        }
    };
    let (read, ()) = tokio::join!(source.read(Select { sql, values: &[] }, sender, &env.cancel), take);
    match read {
        Ok(_) => Ok(true),
        Err(source::Error::Sql { .. } | source::Error::Privilege { .. } | source::Error::Server { .. }) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

impl Shape {
    fn add(&mut self, value: RawValue<'_>, seen: &mut HashSet<u64>) {
        let mut hasher = DefaultHasher::new();
        match value {
            RawValue::Null => {
                self.nulls += 1;
                return;
            }
            RawValue::Int(i) => {
                i.hash(&mut hasher);
                self.int_min = if self.ints == 0 { i } else { self.int_min.min(i) };
                self.int_max = if self.ints == 0 { i } else { self.int_max.max(i) };
                self.ints += 1;
                self.personal += u64::from(is_phone(&i.to_string()));
            }
            RawValue::Real(x) => {
                x.to_bits().hash(&mut hasher);
                self.reals += 1;
            }
            RawValue::Text(text) => {
                text.hash(&mut hasher);
                self.text(text.trim());
            }
            RawValue::Bytes(bytes) => bytes.hash(&mut hasher),
        }
        self.cells += 1;
        seen.insert(hasher.finish());
    }

    fn text(&mut self, text: &str) {
        self.texts += 1;
        let bytes = text.as_bytes();
        let is_digits = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
        let count = |n: &mut u64, yes: bool| *n += u64::from(yes);
        count(&mut self.digits, is_digits);
        count(&mut self.ten_digits, is_digits && bytes.len() == 10 && bytes[0] == b'1');
        count(&mut self.fourteen_digits, is_digits && bytes.len() == 14 && matches!(bytes[0], b'1' | b'2'));
        let form: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        let is_day = form == "0000-00-00";
        let is_time = form.starts_with("0000-00-00 00:00") || form.starts_with("0000-00-00T00:00");
        let is_zoned = is_time && (form.ends_with('Z') || form[16..].contains(['+', '-']));
        count(&mut self.days, is_day);
        count(&mut self.times, is_time && !is_zoned);
        count(&mut self.zoned_times, is_zoned);
        let is_decimal = text.parse::<f64>().is_ok() && text.contains('.') && !text.contains(['e', 'E', 'n', 'N']);
        count(&mut self.decimals, is_decimal);
        let is_card =
            bytes.len() == 18 && bytes[..17].iter().all(u8::is_ascii_digit) && matches!(bytes[6], b'1' | b'2');
        let is_mail = text.split_once('@').is_some_and(|(a, b)| !a.is_empty() && b.contains('.') && !b.contains(' '));
        count(&mut self.personal, is_phone(text) || is_card || is_mail);
        let is_hex = bytes.len() >= 32 && bytes.iter().all(u8::is_ascii_hexdigit);
        count(&mut self.hashes, is_hex || text.starts_with("$2") || text.starts_with("$argon2"));
    }
}

/// A mobile number of the mainland, with or without its country code.
fn is_phone(text: &str) -> bool {
    let bare = text.strip_prefix("+86").or_else(|| text.strip_prefix("86")).unwrap_or(text).trim();
    let bytes = bare.as_bytes();
    bytes.len() == 11 && bytes.iter().all(u8::is_ascii_digit) && bytes[0] == b'1' && bytes[1] >= b'3'
}

/// What a column should be protected as, by its name, else by what its values look like.
fn care(column: &Column) -> Care {
    let named = |list: &[&str]| has_word(&column.name, list);
    let shape = &column.shape;
    let mostly = |count: u64| count > 0 && count * 2 >= shape.cells;
    if named(words::SECRETS) {
        Care::Secret
    } else if named(words::CONTACTS) || mostly(shape.personal) {
        Care::Contact
    } else if named(words::CUSTOMERS) {
        Care::Customer
    } else if named(words::NAMES) {
        Care::Name
    } else if mostly(shape.hashes) {
        Care::Secret
    } else if named(words::SENTENCES) {
        Care::Sentence
    } else {
        Care::None
    }
}

/// Codes repeat; words that hardly do may be names.
fn may_hold_codes(column: &Column) -> bool {
    let shape = &column.shape;
    let repeats = shape.texts == 0 || shape.distinct * 2 <= shape.cells;
    repeats
        && column.care == Care::None
        && has_word(&column.name, words::CODES)
        && shape.cells > 0
        && shape.distinct as usize <= CODES_MAX
        && shape.personal == 0
        && matches!(column.family, Family::Integer | Family::Bool | Family::Text | Family::Decimal | Family::Unknown)
}

/// Whether a value may be shown as a code: short, of letters, digits and signs, without a long number in it.
fn is_code(text: &str) -> bool {
    let mut run = 0;
    let mut longest = 0;
    for c in text.chars() {
        run = if c.is_ascii_digit() { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:+".contains(c));
    text.chars().count() <= CODE_CHARS_MAX && longest <= CODE_DIGITS_MAX && is_plain
}

/// The distinct codes of a column over the whole table; `None` when they are too many or one of them may not be shown.
async fn codes(
    env: &Env,
    source: &mut dyn RowSource,
    table: &str,
    column: &str,
) -> Result<Option<Vec<(String, u64)>>, Error> {
    let engine = source.engine();
    let (cell, table) = (engine.quoted(column), engine.quoted_table(table));
    let limit = CODES_MAX + 2;
    let sql = format!(
        "SELECT {cell} AS code, COUNT(*) AS row_count FROM {table} WHERE {cell} IS NOT NULL GROUP BY {cell} ORDER BY COUNT(*) DESC, {cell} LIMIT {limit}"
    );
    let mut found: Vec<(Option<String>, u64)> = Vec::new();
    let is_read = rows(env, source, &sql, &mut |batch| {
        let (Some(codes), Some(counts)) = (batch.columns.first(), batch.columns.get(1)) else { return };
        for at in 0..codes.len() {
            let code = match codes.get(at) {
                RawValue::Int(i) => Some(i.to_string()),
                RawValue::Text(text) => Some(text.to_owned()),
                _ => None,
            };
            let count = match counts.get(at) {
                RawValue::Int(n) => u64::try_from(n).unwrap_or(0),
                _ => 0,
            };
            found.push((code.filter(|c| is_code(c)), count));
        }
    })
    .await?;
    if !is_read || found.len() > CODES_MAX {
        return Ok(None);
    }
    Ok(found.into_iter().map(|(code, count)| code.map(|c| (c, count))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, values: &[RawValue<'_>]) -> Column {
        let mut shape = Shape::default();
        let mut seen = HashSet::new();
        values.iter().for_each(|v| shape.add(*v, &mut seen));
        shape.distinct = seen.len() as u64;
        let family = Family::Unknown;
        let mut column =
            Column { name: name.into(), type_name: String::new(), family, shape, care: Care::None, codes: None };
        column.care = care(&column);
        column
    }

    /// Names and numbers of people are recognised by the column's name or by what stands in it, and never listed.
    #[test]
    fn people_are_recognised() {
        for (name, value, expected) in [
            ("pay_pwd", "x", Care::Secret),
            ("userMobile", "x", Care::Contact),
            ("收货人姓名", "x", Care::Contact),
            ("xingming", "x", Care::Name),
            ("openId", "x", Care::Customer),
            ("beizhu", "x", Care::Sentence),
            ("f7", "13800138000", Care::Contact),
            ("state", "13800138000", Care::Contact),
            ("f8", "zhang@example.com", Care::Contact),
            ("f9", "$2a$10$abcdefgh", Care::Secret),
            ("status", "1", Care::None),
        ] {
            let column = column(name, &[RawValue::Text(value)]);
            assert_eq!(column.care, expected, "{name} {value}");
            let repeated = self::column(name, &[RawValue::Text(value); 2]);
            assert_eq!(may_hold_codes(&repeated), name == "status", "{name}");
            assert!(!may_hold_codes(&column), "{name}: a single word may be a name");
        }
    }

    /// What may be shown as a code is no name, no sentence and no long number.
    #[test]
    fn codes_are_short_and_plain() {
        for good in ["1", "-1", "PAID", "wx_lite", "A", ""] {
            assert!(is_code(good), "{good}");
        }
        for bad in ["张三", "Zhang San", "138001", "order-13800138000", "a_very_long_word_that_goes_on"] {
            assert!(!is_code(bad), "{bad}");
        }
    }

    /// Shapes tell dates, instants with and without offset, compact times, decimals apart.
    #[test]
    fn shapes() {
        let of = |v: &str| column("x", &[RawValue::Text(v)]).shape;
        assert_eq!(of("2026-03-01 08:00:00").times, 1);
        assert_eq!(of("2026-03-01T08:00:00+08:00").zoned_times, 1);
        assert_eq!(of("2026-03-01").days, 1);
        assert_eq!(of("20260301080000").fourteen_digits, 1);
        assert_eq!(of("1772323200").ten_digits, 1);
        assert_eq!(of("19.99").decimals, 1);
        assert_eq!(of("订单号").texts, 1);
        assert_eq!(tokens("payTimeUTC2"), ["pay", "time", "utc2"]);
        assert_eq!(tokens("F_create-time"), ["f", "create", "time"]);
    }
}
