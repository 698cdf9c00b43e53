//! Turning a canonical batch with raw identifiers into one that may be sealed, column by column.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta};
use zeroize::Zeroize;

use super::matcher::StaffMatcher;
use super::redact::{self, RedactionCounts, Redactor};
use super::token::TokenKind;
use super::{Error, Keys};
use crate::schema::{Class, Column, ColumnType, Dataset, Raised, Whose};

/// Values of a kind whose tokens are remembered.
const CACHE_MAX: usize = 1 << 16;

/// Tokens already made. Holds raw identifiers, so it is wiped when emptied.
#[derive(Default)]
struct Cache(HashMap<String, String>);

impl Cache {
    fn clear(&mut self) {
        for (mut value, _) in self.0.drain() {
            value.zeroize();
        }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Replaces identifiers by the class of their column. One per thread; the same tokens from all.
pub struct Pseudonymiser {
    keys: Keys,
    matcher: Arc<StaffMatcher>,
    staff: Cache,
    customer: Cache,
    counts: RedactionCounts,
}

impl std::fmt::Debug for Pseudonymiser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pseudonymiser({:?}, {:?})", self.keys, self.matcher)
    }
}

impl Pseudonymiser {
    /// Prepares the work with these keys; free text is searched for the identifiers of the matcher.
    pub fn new(keys: &Keys, matcher: Arc<StaffMatcher>) -> Self {
        Self {
            keys: keys.clone(),
            matcher,
            staff: Cache::default(),
            customer: Cache::default(),
            counts: RedactionCounts::default(),
        }
    }

    /// Replaces what the classes of the dataset's columns demand (the schema's, or stronger ones of a mapping), and
    /// spells `src_key` from the new key columns.
    ///
    /// # Errors
    /// [`Error::Batch`] when the batch does not have the columns of the dataset.
    pub fn apply(
        &mut self,
        dataset: &'static Dataset,
        raised: &Raised,
        batch: RecordBatch,
    ) -> Result<RecordBatch, Error> {
        let wrong = |source| Error::Batch { dataset: dataset.name, source };
        let schema = batch.schema();
        let is_dataset = schema.fields().len() == dataset.columns.len()
            && schema
                .fields()
                .iter()
                .zip(&dataset.columns)
                .all(|(f, c)| f.name() == c.name && *f.data_type() == c.ty.arrow());
        if !is_dataset {
            return Err(wrong(None));
        }
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
        for (column, array) in dataset.columns.iter().zip(batch.columns()) {
            columns.push(match array.as_string_opt::<i32>() {
                Some(texts) if column.ty == ColumnType::Text => {
                    match self.column(dataset, column, raised.class_of(column), texts, &batch) {
                        Some(new) => Arc::new(new),
                        None => Arc::clone(array),
                    }
                }
                _ => Arc::clone(array),
            });
        }
        if let Some(at) = dataset.column_index("src_key") {
            columns[at] = Arc::new(source_keys(dataset, &columns, batch.num_rows()));
        }
        RecordBatch::try_new(schema, columns).map_err(|e| wrong(Some(e)))
    }

    /// The new cells of a text column; `None` when they stay as they are.
    fn column(
        &mut self,
        dataset: &'static Dataset,
        column: &Column,
        class: Class,
        texts: &StringArray,
        batch: &RecordBatch,
    ) -> Option<StringArray> {
        match class {
            Class::None | Class::BusinessId | Class::Network => None,
            Class::StaffId => Some(self.map(texts, |_| Some(TokenKind::Staff))),
            Class::CustomerId => Some(self.map(texts, |_| Some(TokenKind::Customer))),
            Class::PerRow(actor) => {
                let vocabulary = dataset.column(actor).and_then(|c| c.vocabulary).unwrap_or(&[]);
                let actors = batch.column_by_name(actor).and_then(|a| a.as_string_opt::<i32>().cloned());
                let actor = |row: usize| actors.as_ref().filter(|a| !a.is_null(row)).map(|a| a.value(row));
                Some(self.map(texts, |row| kind_of_actor(actor(row), vocabulary)))
            }
            Class::Contact => Some(texts.iter().map(|text| text.map(mask)).collect()),
            Class::FreeText => self.redacted(dataset.name, column.name, texts),
        }
    }

    fn map(&mut self, texts: &StringArray, kind: impl Fn(usize) -> Option<TokenKind>) -> StringArray {
        let mut out = StringBuilder::with_capacity(texts.len(), texts.len() * 28);
        for (row, text) in texts.iter().enumerate() {
            match (text, kind(row)) {
                (None, _) => out.append_null(),
                (Some(text), None) => out.append_value(text),
                (Some(text), Some(kind)) => out.append_value(self.cached(kind, text)),
            }
        }
        out.finish()
    }

    fn cached(&mut self, kind: TokenKind, value: &str) -> &str {
        let cache = match kind {
            TokenKind::Staff => &mut self.staff,
            TokenKind::Customer => &mut self.customer,
        };
        if !cache.0.contains_key(value) {
            if cache.0.len() >= CACHE_MAX {
                cache.clear();
            }
            cache.0.insert(value.to_owned(), self.keys.token(kind, value));
        }
        cache.0.get(value).map_or("", String::as_str)
    }

    fn redacted(&mut self, dataset: &str, column: &str, texts: &StringArray) -> Option<StringArray> {
        let counts = self.counts.of(dataset, column);
        let mut out: Option<StringBuilder> = None;
        for (row, text) in texts.iter().enumerate() {
            let new = text.and_then(|t| redact::redact(&self.matcher, t, counts));
            if new.is_some() && out.is_none() {
                // Most columns stay as they are; copying starts with the first cell that does not.
                let mut builder = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
                texts.iter().take(row).for_each(|t| builder.append_option(t));
                out = Some(builder);
            }
            if let Some(builder) = &mut out {
                builder.append_option(new.as_deref().or(text));
            }
        }
        out.map(|mut builder| builder.finish())
    }

    /// `src_key` of a row that never became one: its key with every element under the class of its key column.
    pub fn token_for_key(&mut self, dataset: &'static Dataset, raised: &Raised, key: &[Option<String>]) -> String {
        let mut out = String::from("[");
        for (name, value) in dataset.key.iter().zip(key) {
            let class = dataset.column(name).map_or(Class::StaffId, |c| raised.class_of(c));
            let value = value.as_deref().map(|v| match class {
                Class::None | Class::BusinessId | Class::Network => v.to_owned(),
                Class::CustomerId => self.cached(TokenKind::Customer, v).to_owned(),
                Class::Contact => mask(v),
                // Without the row nobody knows whose it is; staff is the safe answer.
                Class::StaffId | Class::PerRow(_) => self.cached(TokenKind::Staff, v).to_owned(),
                Class::FreeText => "[redacted]".to_owned(),
            });
            push_json(&mut out, value.as_deref());
        }
        out.push(']');
        out
    }

    /// The token of a value.
    pub fn token(&mut self, kind: TokenKind, value: &str) -> &str {
        self.cached(kind, value)
    }

    /// Redacts the texts of a column of any table.
    pub fn redactor(&mut self, table: &str, column: &str) -> Redactor<'_> {
        Redactor { matcher: &self.matcher, counts: self.counts.of(table, column) }
    }

    /// Spans replaced in free text so far.
    pub fn counts(&self) -> &RedactionCounts {
        &self.counts
    }
}

/// Whose token a value becomes, by the actor of its row (see [`Class::PerRow`]).
fn kind_of_actor(actor: Option<&str>, vocabulary: &[&str]) -> Option<TokenKind> {
    match Whose::of(actor, vocabulary) {
        Whose::Staff => Some(TokenKind::Staff),
        Whose::Customer => Some(TokenKind::Customer),
        Whose::Nobody => None,
    }
}

/// The first character, then an asterisk for every letter and digit; marks and blanks keep the shape.
pub fn mask(text: &str) -> String {
    let mut is_first = true;
    text.chars()
        .map(|c| match c.is_alphanumeric() {
            true if std::mem::take(&mut is_first) => c,
            true => '*',
            false => c,
        })
        .collect()
}

/// Compact JSON arrays of the key columns' texts.
fn source_keys(dataset: &Dataset, columns: &[ArrayRef], rows: usize) -> StringArray {
    let keys: Vec<&ArrayRef> =
        dataset.key.iter().filter_map(|name| dataset.column_index(name)).map(|i| &columns[i]).collect();
    let mut out = StringBuilder::with_capacity(rows, rows * 24);
    let mut text = String::new();
    for row in 0..rows {
        text.clear();
        text.push('[');
        for key in &keys {
            match key.as_string_opt::<i32>() {
                Some(texts) => push_json(&mut text, (!texts.is_null(row)).then(|| texts.value(row))),
                None => push_json(&mut text, spell(key, row).as_deref()),
            }
        }
        text.push(']');
        out.append_value(&text);
    }
    out.finish()
}

/// A key value that is no text, as text: integers in decimal, days and instants in ISO form.
fn spell(array: &ArrayRef, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Int64 => Some(array.as_primitive::<Int64Type>().value(row).to_string()),
        DataType::Boolean => Some(array.as_boolean().value(row).to_string()),
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().value(row);
            NaiveDate::default().checked_add_signed(TimeDelta::days(days.into())).map(|d| d.to_string())
        }
        DataType::Timestamp(..) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            DateTime::from_timestamp_micros(micros).map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true))
        }
        DataType::Decimal128(..) => Some(array.as_primitive::<Decimal128Type>().value_as_string(row)),
        _ => None,
    }
}

/// Appends an element to an open JSON array.
fn push_json(out: &mut String, value: Option<&str>) {
    if out.len() > 1 {
        out.push(',');
    }
    let Some(value) = value else { return out.push_str("null") };
    out.push('"');
    if value.bytes().any(|b| b < b' ' || b == b'"' || b == b'\\') {
        push_escaped(out, value);
    } else {
        out.push_str(value);
    }
    out.push('"');
}

fn push_escaped(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests;
