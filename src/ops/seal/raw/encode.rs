//! Rows of a source table as rows of its raw table: one type per column, classes applied, nothing lost in silence.
//!
//! A value that its column's type cannot hold (a text in a column of numbers, bytes that are no text, a value too
//! long for a leaf) stands in `src_misfit` of the same row, under the column's name with what it was.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanBuilder, Decimal128Builder, Int64Builder, RecordBatch,
    StringBuilder, UInt64Builder,
};
use arrow::datatypes::{DataType, Int64Type, SchemaRef, UInt64Type};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::archive::{ColumnSpec, LeafType, TableSpec};
use crate::crypto;
use crate::mapping::Fingerprint;
use crate::mapping::raw::{Actor, KeyPiece, RawColumn, RawTable, RawType, Treatment, decimal_units, without_keys};
use crate::ops::Error;
use crate::pseudonym::{Pseudonymiser, Redactor, TokenKind, mask};
use crate::rows::{RawBatch, RawValue};
use crate::schema::{Class, Whose};

/// What the values of a row may take of its leaf (1 MiB), with room for names, escapes and labels.
const ROW_BYTES_MAX: usize = 800 << 10;
/// Most bytes that one byte of text takes in a leaf: a control character, written `\u00xx`.
const ESCAPE_FACTOR: usize = 6;

/// What was counted while the rows of a table were written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::ops::seal) struct RawTotals {
    pub(in crate::ops::seal) rows: u64,
    /// By column: values that stand in `src_misfit`.
    pub(in crate::ops::seal) misfits: BTreeMap<String, u64>,
    /// By column: values of which only length and digest were kept.
    pub(in crate::ops::seal) too_long: BTreeMap<String, u64>,
    /// By column: texts with a NUL character, kept as they are.
    pub(in crate::ops::seal) nul_characters: BTreeMap<String, u64>,
    /// By column of whole numbers or decimals: sum of the values in units of its last digit.
    pub(in crate::ops::seal) sums: BTreeMap<String, i128>,
}

/// The table as the archive writes it.
pub(in crate::ops::seal) fn spec(name: &str, table: &RawTable, retention: Option<&str>) -> TableSpec {
    let own = |name: &str, class: &str| ColumnSpec {
        name: name.into(),
        ty: LeafType::String,
        nullable: true,
        class: class.into(),
        class_by: None,
        unit: None,
        is_signed: false,
        vocabulary: None,
        source: None,
    };
    let mut columns = vec![own("src_key", Class::BusinessId.name()), own("src_misfit", Class::FreeText.name())];
    for column in &table.columns {
        let (class, class_by) = class_name(table, &column.treatment);
        columns.push(ColumnSpec {
            ty: leaf_type(column),
            class_by,
            source: Some((column.source_name.clone(), column.source_type.clone())),
            ..own(&column.name, class)
        });
    }
    TableSpec {
        name: name.into(),
        source_name: table.source_table.clone(),
        canonical_version: None,
        columns,
        key: table.key.iter().filter_map(|i| table.columns.get(*i)).map(|c| c.name.clone()).collect(),
        retention: retention.map(|class| (class.to_owned(), None)),
    }
}

/// Name of the class for the schema document, and the column that decides it row by row.
fn class_name(table: &RawTable, treatment: &Treatment) -> (&'static str, Option<String>) {
    match treatment {
        Treatment::Clear(class) => (class.name(), None),
        Treatment::FreeText(_) => (Class::FreeText.name(), None),
        Treatment::Contact => (Class::Contact.name(), None),
        Treatment::Staff(_) => (Class::StaffId.name(), None),
        Treatment::Customer(_) => (Class::CustomerId.name(), None),
        Treatment::Secret(_) => ("secret", None),
        Treatment::PerRow(Actor::Word(word), _, vocabulary) => match Whose::of(Some(word), vocabulary) {
            Whose::Staff => (Class::StaffId.name(), None),
            Whose::Customer => (Class::CustomerId.name(), None),
            Whose::Nobody => (Class::BusinessId.name(), None),
        },
        Treatment::PerRow(Actor::Column(index, _), _, _) => {
            (Class::PerRow("").name(), table.columns.get(*index).map(|c| c.name.clone()))
        }
    }
}

fn leaf_type(column: &RawColumn) -> LeafType {
    match column.ty {
        _ if column.treatment.is_replaced() => LeafType::String,
        RawType::Int => LeafType::Int64,
        RawType::UInt => LeafType::UInt64,
        RawType::Bool => LeafType::Bool,
        RawType::Decimal(precision, scale) => LeafType::Decimal(precision, scale),
        RawType::Real | RawType::Text | RawType::Formed | RawType::Loose => LeafType::String,
        RawType::Bytes(_) => LeafType::Binary,
    }
}

/// Values of a batch that do not fit, by row.
type Misfits = BTreeMap<usize, Map<String, Value>>;

/// Turns batches of a table into batches of its raw table.
pub(in crate::ops::seal) struct Encoder {
    name: String,
    table: Arc<RawTable>,
    schema: SchemaRef,
    pub(in crate::ops::seal) pseudonymiser: Pseudonymiser,
    mac: Fingerprint,
    pub(in crate::ops::seal) totals: RawTotals,
}

impl Encoder {
    pub(in crate::ops::seal) fn new(
        spec: &TableSpec,
        table: Arc<RawTable>,
        pseudonymiser: Pseudonymiser,
        mac: Fingerprint,
    ) -> Self {
        Self {
            name: spec.name.clone(),
            table,
            schema: spec.arrow_schema(),
            pseudonymiser,
            mac,
            totals: RawTotals::default(),
        }
    }

    /// Encodes one batch whose columns are those of the table, in order.
    pub(in crate::ops::seal) fn encode(&mut self, raw: &RawBatch) -> Result<RecordBatch, Error> {
        let wrong = || Error::Worker { doing: "encoding raw rows" };
        let table = Arc::clone(&self.table);
        if raw.columns.len() != table.columns.len() {
            return Err(wrong());
        }
        let rows = raw.rows();
        let too_long = too_long(&table, raw);
        let mut misfits = Misfits::new();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(table.columns.len() + 2);
        for (index, column) in table.columns.iter().enumerate() {
            let cells = Cells { raw, index, column, too_long: &too_long };
            arrays.push(if column.treatment.is_replaced() {
                self.replaced(&table, &cells, &mut misfits)
            } else {
                self.typed(&cells, &mut misfits)
            });
        }
        let keys = self.keys(&table, raw, &arrays);
        let mut texts = StringBuilder::new();
        for row in 0..rows {
            texts.append_option(misfits.remove(&row).map(|m| Value::Object(m).to_string()));
        }
        arrays.splice(0..0, [keys, Arc::new(texts.finish()) as ArrayRef]);
        self.totals.rows += rows as u64;
        RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(|_| wrong())
    }

    /// A column of tokens, masks or fingerprints.
    fn replaced(&mut self, table: &RawTable, cells: &Cells<'_>, misfits: &mut Misfits) -> ArrayRef {
        let mut out = StringBuilder::new();
        let (mut scratch, mut actor) = (String::new(), String::new());
        let mac = Arc::clone(&self.mac);
        for row in 0..cells.raw.rows() {
            if cells.is_too_long(row) {
                out.append_null();
                self.digest(cells, row, misfits);
                continue;
            }
            let text = match text_of(cells.get(row), &mut scratch) {
                Spelled::Nothing => {
                    out.append_null();
                    continue;
                }
                // Bytes that are no text have no token of anybody; equal ones stay equal.
                Spelled::Bytes(bytes) => {
                    out.append_value(mac(bytes));
                    continue;
                }
                Spelled::Text(text) => text,
            };
            let (kind, prefix) = match &cells.column.treatment {
                Treatment::Staff(prefix) => (Some(TokenKind::Staff), prefix),
                Treatment::Customer(prefix) => (Some(TokenKind::Customer), prefix),
                Treatment::PerRow(who, prefix, vocabulary) => {
                    (kind(table, who, vocabulary, cells.raw, row, &mut actor), prefix)
                }
                Treatment::Secret(marks) => {
                    if text.is_empty() {
                        out.append_value("");
                    } else {
                        out.append_value(marks.mark(text, &mac));
                    }
                    continue;
                }
                Treatment::Contact | Treatment::Clear(_) | Treatment::FreeText(_) => {
                    out.append_value(mask(text));
                    continue;
                }
            };
            match kind {
                None => out.append_value(text),
                Some(kind) if prefix.is_empty() => out.append_value(self.pseudonymiser.token(kind, text)),
                Some(kind) => out.append_value(self.pseudonymiser.token(kind, &format!("{prefix}{text}"))),
            }
        }
        Arc::new(out.finish())
    }

    /// A column of values as they are, or redacted.
    fn typed(&mut self, cells: &Cells<'_>, misfits: &mut Misfits) -> ArrayRef {
        let column = cells.column;
        let rows = cells.raw.rows();
        let mut sum: i128 = 0;
        let array: ArrayRef = match column.ty {
            RawType::Int => {
                let mut out = Int64Builder::with_capacity(rows);
                for row in 0..rows {
                    match cells.get(row) {
                        RawValue::Int(value) => {
                            sum += i128::from(value);
                            out.append_value(value);
                        }
                        other => {
                            out.append_null();
                            self.misfit(cells, row, other, misfits);
                        }
                    }
                }
                Arc::new(out.finish())
            }
            RawType::UInt => {
                let mut out = UInt64Builder::with_capacity(rows);
                for row in 0..rows {
                    let cell = cells.get(row);
                    let value = match cell {
                        RawValue::Int(value) => u64::try_from(value).ok(),
                        RawValue::Text(text) => text.parse().ok(),
                        _ => None,
                    };
                    sum += value.map_or(0, i128::from);
                    out.append_option(value);
                    if value.is_none() {
                        self.misfit(cells, row, cell, misfits);
                    }
                }
                Arc::new(out.finish())
            }
            RawType::Bool => {
                let mut out = BooleanBuilder::with_capacity(rows);
                for row in 0..rows {
                    let cell = cells.get(row);
                    let value = match cell {
                        RawValue::Int(0) => Some(false),
                        RawValue::Int(1) => Some(true),
                        _ => None,
                    };
                    out.append_option(value);
                    if value.is_none() {
                        self.misfit(cells, row, cell, misfits);
                    }
                }
                Arc::new(out.finish())
            }
            RawType::Decimal(precision, scale) => {
                let mut out =
                    Decimal128Builder::with_capacity(rows).with_data_type(DataType::Decimal128(precision, scale));
                let mut scratch = String::new();
                for row in 0..rows {
                    let cell = cells.get(row);
                    let value = match text_of(cell, &mut scratch) {
                        Spelled::Text(text) => decimal_units(text, precision, scale),
                        _ => None,
                    };
                    sum += value.unwrap_or(0);
                    out.append_option(value);
                    if value.is_none() {
                        self.misfit(cells, row, cell, misfits);
                    }
                }
                Arc::new(out.finish())
            }
            RawType::Real | RawType::Text | RawType::Formed | RawType::Loose => self.texts(cells, misfits),
            RawType::Bytes(text_is_bytes) => self.bytes(cells, text_is_bytes, misfits),
        };
        if matches!(column.ty, RawType::Int | RawType::UInt | RawType::Decimal(..)) {
            *self.totals.sums.entry(column.name.clone()).or_default() += sum;
        }
        array
    }

    fn texts(&mut self, cells: &Cells<'_>, misfits: &mut Misfits) -> ArrayRef {
        let column = cells.column;
        let rows = cells.raw.rows();
        let mut out = StringBuilder::new();
        let mut scratch = String::new();
        let mut nul = 0;
        for row in 0..rows {
            let cell = cells.get(row);
            match (column.ty, cell) {
                _ if cells.is_too_long(row) => {
                    out.append_null();
                    self.digest(cells, row, misfits);
                }
                (RawType::Text | RawType::Formed, RawValue::Text(text)) => {
                    nul += u64::from(text.as_bytes().contains(&0));
                    match self.redacted(column, text, &mut scratch) {
                        Some(new) => out.append_value(new),
                        None => out.append_value(text),
                    }
                }
                // Numeric affinity makes a number of every text that looks like one.
                (RawType::Loose, RawValue::Text(text)) if text.trim().parse::<f64>().is_err() => {
                    nul += u64::from(text.as_bytes().contains(&0));
                    match self.redacted(column, text, &mut scratch) {
                        Some(new) => out.append_value(new),
                        None => out.append_value(text),
                    }
                }
                (RawType::Real | RawType::Loose, RawValue::Int(value)) => {
                    scratch.clear();
                    let _ = write!(scratch, "{value}");
                    out.append_value(&scratch);
                }
                (RawType::Real | RawType::Loose, RawValue::Real(value)) => {
                    write_real(value, &mut scratch);
                    out.append_value(&scratch);
                }
                (_, other) => {
                    out.append_null();
                    self.misfit(cells, row, other, misfits);
                }
            }
        }
        if nul > 0 {
            *self.totals.nul_characters.entry(column.name.clone()).or_default() += nul;
        }
        Arc::new(out.finish())
    }

    fn bytes(&mut self, cells: &Cells<'_>, text_is_bytes: bool, misfits: &mut Misfits) -> ArrayRef {
        let column = cells.column;
        let is_free_text = matches!(column.treatment, Treatment::FreeText(_));
        let mut out = BinaryBuilder::new();
        for row in 0..cells.raw.rows() {
            let cell = cells.get(row);
            let bytes = match cell {
                _ if cells.is_too_long(row) => {
                    out.append_null();
                    self.digest(cells, row, misfits);
                    continue;
                }
                RawValue::Bytes(bytes) => bytes,
                RawValue::Text(text) if text_is_bytes => text.as_bytes(),
                other => {
                    out.append_null();
                    self.misfit(cells, row, other, misfits);
                    continue;
                }
            };
            let clean = if is_free_text { self.redactor(column).bytes(bytes) } else { None };
            out.append_value(clean.as_deref().unwrap_or(bytes));
        }
        Arc::new(out.finish())
    }

    fn redactor(&mut self, column: &RawColumn) -> Redactor<'_> {
        self.pseudonymiser.redactor(&self.name, &column.name)
    }

    /// The text without what must not be sealed; `None` when it stays as it is.
    fn redacted(&mut self, column: &RawColumn, text: &str, scratch: &mut String) -> Option<String> {
        let Treatment::FreeText(keys) = &column.treatment else { return None };
        if column.ty == RawType::Formed {
            return None;
        }
        let mut redactor = self.pseudonymiser.redactor(&self.name, &column.name);
        if keys.is_empty() {
            return redactor.text(text);
        }
        scratch.clear();
        let removed = without_keys(text, keys, scratch);
        redactor.removed(removed);
        match redactor.text(scratch) {
            Some(new) => Some(new),
            None => (removed > 0).then(|| scratch.clone()),
        }
    }

    /// Puts a value beside the row that its column cannot hold; NULL is no such value.
    fn misfit(&mut self, cells: &Cells<'_>, row: usize, value: RawValue<'_>, misfits: &mut Misfits) {
        let mut scratch = String::new();
        let shown = match value {
            RawValue::Null => return,
            RawValue::Int(value) => json!({ "int": value.to_string() }),
            RawValue::Real(value) => {
                write_real(value, &mut scratch);
                json!({ "real": scratch })
            }
            // Whatever the column is, a text in the wrong place is not trusted.
            RawValue::Text(text) => {
                let clean = self.redactor(cells.column).text(text);
                json!({ "text": clean.as_deref().unwrap_or(text) })
            }
            RawValue::Bytes(bytes) => {
                let clean = self.redactor(cells.column).bytes(bytes);
                json!({ "bytes": HEXLOWER.encode(clean.as_deref().unwrap_or(bytes)) })
            }
        };
        *self.totals.misfits.entry(cells.column.name.clone()).or_default() += 1;
        misfits.entry(row).or_default().insert(cells.column.name.clone(), shown);
    }

    /// Puts length and digest of a value beside the row that is too long for it.
    fn digest(&mut self, cells: &Cells<'_>, row: usize, misfits: &mut Misfits) {
        let bytes = match cells.get(row) {
            RawValue::Text(text) => text.as_bytes(),
            RawValue::Bytes(bytes) => bytes,
            _ => return,
        };
        let shown = json!({ "sha256": crypto::sha256(bytes).to_string(), "bytes": bytes.len().to_string() });
        *self.totals.too_long.entry(cells.column.name.clone()).or_default() += 1;
        misfits.entry(row).or_default().insert(cells.column.name.clone(), shown);
    }

    /// `src_key`: as the canonical rows of the first link spell it, else the primary key as the raw row has it.
    fn keys(&mut self, table: &RawTable, raw: &RawBatch, arrays: &[ArrayRef]) -> ArrayRef {
        let own: Vec<KeyPiece> = table.key.iter().map(|i| KeyPiece::Written(*i)).collect();
        let pieces = table.links.first().map_or(&own, |link| &link.key);
        let mut out = StringBuilder::new();
        let (mut scratch, mut value) = (String::new(), String::new());
        for row in 0..raw.rows() {
            if pieces.is_empty() {
                out.append_null();
                continue;
            }
            let mut elements: Vec<Option<String>> = Vec::with_capacity(pieces.len());
            for piece in pieces {
                elements.push(match piece {
                    KeyPiece::Word(word) => Some(word.clone()),
                    KeyPiece::Written(index) => arrays.get(*index).and_then(|array| written(array, row)),
                    KeyPiece::Canonical { prefix, column, class } => {
                        let cell = raw.columns.get(*column).map_or(RawValue::Null, |c| c.get(row));
                        match text_of(cell, &mut scratch) {
                            Spelled::Text(text) if text.len() <= ROW_BYTES_MAX / 8 => {
                                value.clear();
                                value.push_str(prefix);
                                value.push_str(text);
                                Some(match class {
                                    Class::StaffId => self.pseudonymiser.token(TokenKind::Staff, &value).to_owned(),
                                    Class::CustomerId => {
                                        self.pseudonymiser.token(TokenKind::Customer, &value).to_owned()
                                    }
                                    Class::Contact => mask(&value),
                                    _ => value.clone(),
                                })
                            }
                            _ => None,
                        }
                    }
                });
            }
            out.append_value(serde_json::to_string(&elements).unwrap_or_default());
        }
        Arc::new(out.finish())
    }
}

/// One column of a batch.
struct Cells<'a> {
    raw: &'a RawBatch,
    index: usize,
    column: &'a RawColumn,
    too_long: &'a BTreeSet<(usize, usize)>,
}

impl<'a> Cells<'a> {
    fn get(&self, row: usize) -> RawValue<'a> {
        self.raw.columns.get(self.index).map_or(RawValue::Null, |c| c.get(row))
    }

    fn is_too_long(&self, row: usize) -> bool {
        !self.too_long.is_empty() && self.too_long.contains(&(row, self.index))
    }
}

/// Cells whose rows would be longer than a leaf may be; the longest go first.
fn too_long(table: &RawTable, raw: &RawBatch) -> BTreeSet<(usize, usize)> {
    let mut out = BTreeSet::new();
    let total: usize = raw.columns.iter().map(crate::rows::RawColumn::arena_bytes).sum();
    if total.saturating_mul(ESCAPE_FACTOR) <= ROW_BYTES_MAX {
        return out;
    }
    for row in 0..raw.rows() {
        let bytes: usize = raw.columns.iter().map(|c| c.bytes_at(row)).sum();
        if bytes.saturating_mul(ESCAPE_FACTOR) <= ROW_BYTES_MAX {
            continue;
        }
        let mut costs: Vec<(usize, usize)> = table
            .columns
            .iter()
            .enumerate()
            .filter(|(_, c)| !c.treatment.is_replaced() || c.treatment == Treatment::Contact)
            .map(|(index, _)| (cost(raw.columns.get(index).map_or(RawValue::Null, |c| c.get(row))), index))
            .collect();
        costs.sort_unstable();
        let mut sum: usize = costs.iter().map(|(cost, _)| cost).sum();
        while sum > ROW_BYTES_MAX
            && let Some((cost, index)) = costs.pop()
        {
            sum -= cost;
            out.insert((row, index));
        }
    }
    out
}

/// Bytes that a value takes in a leaf, at most.
fn cost(value: RawValue<'_>) -> usize {
    match value {
        RawValue::Text(text) => {
            let escaped = text.bytes().filter(|b| *b < 0x20 || matches!(b, b'"' | b'\\')).count();
            text.len() + escaped * (ESCAPE_FACTOR - 1)
        }
        RawValue::Bytes(bytes) => 2 * bytes.len(),
        _ => 24,
    }
}

/// A cell as text, where it has one.
enum Spelled<'a> {
    Nothing,
    Text(&'a str),
    Bytes(&'a [u8]),
}

fn text_of<'a>(value: RawValue<'a>, scratch: &'a mut String) -> Spelled<'a> {
    match value {
        RawValue::Null => Spelled::Nothing,
        RawValue::Int(value) => {
            scratch.clear();
            let _ = write!(scratch, "{value}");
            Spelled::Text(scratch)
        }
        RawValue::Real(value) => {
            write_real(value, scratch);
            Spelled::Text(scratch)
        }
        RawValue::Text(text) => Spelled::Text(text),
        RawValue::Bytes(bytes) => std::str::from_utf8(bytes).map_or(Spelled::Bytes(bytes), Spelled::Text),
    }
}

/// The shortest text that reads back as the same number.
fn write_real(value: f64, out: &mut String) {
    out.clear();
    if value.is_nan() {
        return out.push_str("NaN");
    }
    if value.is_infinite() {
        return out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    // Writing to a String cannot fail.
    if value != 0.0 && !(1e-4..1e16).contains(&value.abs()) {
        let _ = write!(out, "{value:e}");
        return;
    }
    let _ = write!(out, "{value}");
    // A point tells a floating point number from a whole one.
    if !out.contains('.') {
        out.push_str(".0");
    }
}

/// Whose token a value of this row becomes.
fn kind(
    table: &RawTable,
    who: &Actor,
    vocabulary: &[&str],
    raw: &RawBatch,
    row: usize,
    scratch: &mut String,
) -> Option<TokenKind> {
    let whose = match who {
        Actor::Word(word) => Whose::of(Some(word), vocabulary),
        Actor::Column(index, words) => {
            let cell = raw.columns.get(*index).filter(|_| *index < table.columns.len());
            match text_of(cell.map_or(RawValue::Null, |c| c.get(row)), scratch) {
                Spelled::Text(code) => Whose::of(words.of(code), vocabulary),
                Spelled::Nothing | Spelled::Bytes(_) => Whose::Staff,
            }
        }
    };
    match whose {
        Whose::Staff => Some(TokenKind::Staff),
        Whose::Customer => Some(TokenKind::Customer),
        Whose::Nobody => None,
    }
}

/// A value of the raw row as text.
fn written(array: &ArrayRef, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(row).to_owned()),
        DataType::Int64 => Some(array.as_primitive::<Int64Type>().value(row).to_string()),
        DataType::UInt64 => Some(array.as_primitive::<UInt64Type>().value(row).to_string()),
        DataType::Boolean => Some(array.as_boolean().value(row).to_string()),
        DataType::Binary => Some(HEXLOWER.encode(array.as_binary::<i32>().value(row))),
        DataType::Decimal128(..) => Some(array.as_primitive::<arrow::datatypes::Decimal128Type>().value_as_string(row)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
