//! Raw batches to canonical record batches: column by column, then envelope, twins, quarantine and totals.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringBuilder, TimestampMicrosecondArray,
};
use arrow::compute::filter;
use arrow::datatypes::{Date32Type, Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDate, SecondsFormat};

use crate::model::Engine;
use crate::rows::{RawBatch, RawColumn, RawValue};
use crate::schema::{ColumnType, Dataset};

use super::cells::{Built, Marks, Scratch, build, days_of, repeated};
use super::conversion::MoneyUnit;
use super::decimal::Rounding;
use super::money::control_value;
use super::part::Part;
use super::plan::{Action, ColumnPlan, of_canonical, of_part};
use super::reason::Reason;
use super::time::ZoneClock;
use super::totals::{PartTotals, Sum};
use super::{Context, Error};

/// A batch is at most this many bytes of text: far above what sources hand over, far below what offsets can hold.
const BATCH_BYTES_MAX: usize = 512 << 20;

/// Currencies whose minor unit is not a hundredth (ISO 4217).
const OTHER_EXPONENTS: &[&str] = &[
    "BHD", "BIF", "CLF", "CLP", "DJF", "GNF", "IQD", "ISK", "JOD", "JPY", "KMF", "KRW", "KWD", "LYD", "OMR", "PYG",
    "RWF", "TND", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF",
];

/// A row that could not be converted. It holds no values, only where it is and why; `key` still holds raw
/// identifiers and must be tokenised before it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its table in the source.
    pub src_table: String,
    /// Texts of its key columns.
    pub key: Vec<Option<String>>,
    /// The column that could not be converted.
    pub column: String,
    /// Why, as a code of [`Reason`].
    pub reason: &'static str,
}

/// What became of a raw batch.
#[derive(Debug)]
pub struct Converted {
    /// The rows that were converted: exactly the dataset's Arrow schema, twins and envelope filled, identifiers raw.
    pub batch: RecordBatch,
    /// The rows that were not.
    pub quarantined: Vec<Quarantined>,
}

/// Converts the batches of one SELECT or file.
pub struct Converter {
    dataset: &'static Dataset,
    plans: Vec<ColumnPlan>,
    /// Key column names with the index of their plans.
    key: Vec<usize>,
    header_columns: usize,
    /// Whose arithmetic the control totals follow.
    engine: Engine,
    src_system: String,
    src_table: String,
    evidence: &'static str,
    twins: ZoneClock,
    totals: PartTotals,
    marks: Marks,
    scratch: Scratch,
}

impl std::fmt::Debug for Converter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Converter")
            .field("dataset", &self.dataset.name)
            .field("src_table", &self.src_table)
            .finish_non_exhaustive()
    }
}

/// A converter of rows that already are canonical (files, registers, bills, project rows): cells are canonical text
/// or integers, empty text means no value, dates also come as `2026/3/1`, instants with offset or as local time of
/// the case's zone, truth values as true, false, 1, 0, 是 or 否.
///
/// # Errors
/// [`Error::UnknownColumn`], [`Error::DuplicateColumn`], or [`Error::MissingColumn`] for a key column.
pub fn canonical(
    dataset: &'static Dataset,
    src_table: &str,
    header: &[String],
    context: &Context<'_>,
) -> Result<Converter, Error> {
    Ok(Converter::assemble(dataset, of_canonical(dataset, header, context)?, header, src_table, "recorded", context))
}

impl Converter {
    /// A converter for the rows of a part of a bound mapping; `header` names the columns as the source gave them.
    ///
    /// # Errors
    /// [`Error::MissingColumn`], [`Error::DuplicateColumn`], [`Error::Param`].
    pub fn new(part: &Part, header: &[String], context: &Context<'_>) -> Result<Self, Error> {
        let plans = of_part(part, header, context)?;
        let mut converter = Self::assemble(part.dataset, plans, header, &part.table, part.evidence, context);
        converter.engine = part.engine;
        Ok(converter)
    }

    fn assemble(
        dataset: &'static Dataset,
        plans: Vec<ColumnPlan>,
        header: &[String],
        src_table: &str,
        evidence: &'static str,
        context: &Context<'_>,
    ) -> Self {
        let key = dataset.key.iter().filter_map(|name| plans.iter().position(|p| p.column.name == *name)).collect();
        Self {
            dataset,
            plans,
            key,
            header_columns: header.len(),
            engine: Engine::Sqlite,
            src_system: context.src_system.to_owned(),
            src_table: src_table.to_owned(),
            evidence,
            twins: ZoneClock::new(context.zone),
            totals: PartTotals::default(),
            marks: Marks::default(),
            scratch: Scratch::default(),
        }
    }

    /// What was counted and added up so far.
    pub fn totals(&self) -> &PartTotals {
        &self.totals
    }

    /// The dataset it writes.
    pub fn dataset(&self) -> &'static Dataset {
        self.dataset
    }

    /// Converts one batch. How rows are cut into batches makes no difference to rows or totals.
    ///
    /// # Errors
    /// [`Error::UnknownCode`] where the mapping says so; [`Error::ColumnCount`], [`Error::BatchTooLarge`].
    pub fn convert(&mut self, raw: &RawBatch) -> Result<Converted, Error> {
        if raw.columns.len() != self.header_columns {
            return Err(Error::ColumnCount {
                dataset: self.dataset.name.into(),
                expected: self.header_columns,
                found: raw.columns.len(),
            });
        }
        let bytes: usize = raw.columns.iter().map(RawColumn::arena_bytes).sum();
        if bytes > BATCH_BYTES_MAX {
            return Err(Error::BatchTooLarge { dataset: self.dataset.name.into(), bytes });
        }
        let rows = raw.rows();
        self.marks.reset(rows);
        let mut built: Vec<Built> = Vec::with_capacity(self.plans.len());
        for plan in &mut self.plans {
            built.push(build(plan, self.dataset.name, raw, &mut self.marks, &mut self.scratch)?);
        }
        self.check_currency(&built);
        for (plan, column) in self.plans.iter().zip(&built) {
            self.totals.add(plan.column.name, &column.counts);
        }
        self.add_sums(raw, &built);
        self.totals.rows_read += rows as u64;
        let quarantined = self.quarantined(raw, &built);
        let batch =
            self.batch(built, rows).map_err(|source| Error::Batch { dataset: self.dataset.name.into(), source })?;
        self.totals.rows_written += batch.num_rows() as u64;
        Ok(Converted { batch, quarantined })
    }

    /// Amounts in yuan become hundredths, which is wrong for currencies with other minor units.
    fn check_currency(&mut self, built: &[Built]) {
        if !self.plans.iter().any(|p| matches!(&p.action, Action::Money { unit, .. } if unit.is_major())) {
            return;
        }
        let Some(currency) = self.plans.iter().position(|p| p.column.name == "currency") else { return };
        let Some(values) = built.get(currency).and_then(|b| b.array.as_string_opt::<i32>()) else { return };
        for row in 0..values.len() {
            if values.is_valid(row) && OTHER_EXPONENTS.iter().any(|c| c.eq_ignore_ascii_case(values.value(row))) {
                self.marks.fail(row, "currency", Reason::UnsupportedCurrency);
            }
        }
    }

    fn add_sums(&mut self, raw: &RawBatch, built: &[Built]) {
        for (plan, column) in self.plans.iter().zip(built) {
            if plan.column.unit().is_none() || matches!(plan.action, Action::Null | Action::Const(_)) {
                continue;
            }
            let Some(values) = column.array.as_primitive_opt::<Int64Type>() else { continue };
            let digits = plan.money_digits();
            let control = match &plan.action {
                Action::Money { source, unit, rounding } => {
                    raw.columns.get(*source).map(|cells| (cells, *unit, *rounding))
                }
                _ => None,
            };
            let sum = self.totals.sums.entry(plan.column.name.to_owned()).or_insert(Sum {
                control_digits: control.map_or(digits, |(_, _, rounding)| control_digits(rounding, digits)),
                digits,
                ..Sum::default()
            });
            add_column(sum, values, control, &self.marks, self.engine);
        }
    }

    fn quarantined(&mut self, raw: &RawBatch, built: &[Built]) -> Vec<Quarantined> {
        let mut out = Vec::with_capacity(self.marks.count);
        for (row, mark) in self.marks.rows.iter().enumerate() {
            let Some((column, reason)) = mark else { continue };
            self.totals.add_quarantined(*reason);
            let key = self
                .key
                .iter()
                .map(|i| {
                    let mut text = String::new();
                    let array = built.get(*i).map(|b| &b.array);
                    if array.is_some_and(|a| a.is_valid(row) && write_key(a, row, &mut text)) {
                        return Some(text);
                    }
                    let source = self.plans.get(*i).and_then(ColumnPlan::source)?;
                    raw_text(raw.columns.get(source)?.get(row))
                })
                .collect();
            out.push(Quarantined {
                src_table: self.src_table.clone(),
                key,
                column: (*column).to_owned(),
                reason: reason.code(),
            });
        }
        out
    }

    /// The rows that were converted, with twins and envelope, in archive order.
    fn batch(&mut self, built: Vec<Built>, rows: usize) -> Result<RecordBatch, arrow::error::ArrowError> {
        let mut arrays: BTreeMap<&'static str, ArrayRef> = BTreeMap::new();
        let mut kept = rows;
        let mask = (self.marks.count > 0)
            .then(|| BooleanArray::from_iter(self.marks.rows.iter().map(|mark| Some(mark.is_none()))));
        for (plan, column) in self.plans.iter().zip(built) {
            let array = match &mask {
                Some(mask) => filter(&column.array, mask)?,
                None => column.array,
            };
            kept = array.len();
            arrays.insert(plan.column.name, array);
        }
        let keys = self.keys(&arrays, kept);
        let mut columns = Vec::with_capacity(self.dataset.columns.len());
        for column in &self.dataset.columns {
            let array = match (column.name, column.twin_of) {
                (_, Some(instant)) => {
                    let instants: Option<&TimestampMicrosecondArray> =
                        arrays.get(instant).and_then(|a| a.as_primitive_opt::<TimestampMicrosecondType>());
                    instants.map(|i| days_of(i, &mut self.twins))
                }
                ("src_system", _) => Some(repeated(&self.src_system, kept)),
                ("src_table", _) => Some(repeated(&self.src_table, kept)),
                ("src_key", _) => Some(Arc::clone(&keys)),
                ("evidence", _) => Some(repeated(self.evidence, kept)),
                (name, None) => arrays.get(name).map(Arc::clone),
            };
            columns.push(array.unwrap_or_else(|| arrow::array::new_null_array(&column.ty.arrow(), kept)));
        }
        RecordBatch::try_new(self.dataset.arrow_schema(), columns)
    }

    /// `src_key`: a compact JSON array of the texts of the key columns.
    fn keys(&self, arrays: &BTreeMap<&'static str, ArrayRef>, rows: usize) -> ArrayRef {
        let columns: Vec<Option<&ArrayRef>> =
            self.key.iter().map(|i| self.plans.get(*i).and_then(|p| arrays.get(p.column.name))).collect();
        let mut builder = StringBuilder::with_capacity(rows, rows * 24);
        let mut key = String::new();
        let mut text = String::new();
        for row in 0..rows {
            key.clear();
            key.push('[');
            for (i, column) in columns.iter().enumerate() {
                if i > 0 {
                    key.push(',');
                }
                text.clear();
                if column.is_some_and(|a| a.is_valid(row) && write_key(a, row, &mut text)) {
                    write_json(&text, &mut key);
                } else {
                    key.push_str("null");
                }
            }
            key.push(']');
            builder.append_value(&key);
        }
        Arc::new(builder.finish())
    }
}

/// Digits of the unit in which the source adds a column up: finer when the mapping rounds, so that the sum is of what
/// the source holds.
pub(super) fn control_digits(rounding: Rounding, digits: u32) -> u32 {
    if rounding == Rounding::Exact { digits } else { 6 }
}

fn add_column(
    sum: &mut Sum,
    values: &Int64Array,
    control: Option<(&RawColumn, MoneyUnit, Rounding)>,
    marks: &Marks,
    engine: Engine,
) {
    let rounds = control.is_some_and(|(_, _, rounding)| rounding != Rounding::Exact);
    if marks.count == 0 && !rounds {
        // No row failed, so the column is the control, and its NULLs add nothing.
        let total: i128 = values.iter().flatten().map(i128::from).sum();
        sum.written += total;
        sum.control_written += total;
        return;
    }
    for row in 0..values.len() {
        let value = if values.is_valid(row) { i128::from(values.value(row)) } else { 0 };
        let source = match control {
            // A converted amount is what the source holds, unless it was rounded.
            Some((cells, unit, _)) if rounds || !values.is_valid(row) => {
                control_value(engine, cells.get(row), unit, sum.control_digits)
            }
            _ => value,
        };
        if marks.rows.get(row).is_some_and(Option::is_some) {
            sum.control_quarantined += source;
        } else {
            sum.written += value;
            sum.control_written += source;
        }
    }
}

/// Writes the text of a key cell; false for types that cannot be keys.
fn write_key(array: &ArrayRef, row: usize, out: &mut String) -> bool {
    if let Some(texts) = array.as_string_opt::<i32>() {
        out.push_str(texts.value(row));
    } else if let Some(ints) = array.as_primitive_opt::<Int64Type>() {
        let _ = write!(out, "{}", ints.value(row));
    } else if let Some(instants) = array.as_primitive_opt::<TimestampMicrosecondType>() {
        match DateTime::from_timestamp_micros(instants.value(row)) {
            Some(at) => out.push_str(&at.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            None => return false,
        }
    } else if let Some(days) = array.as_primitive_opt::<Date32Type>() {
        match NaiveDate::from_epoch_days(days.value(row)) {
            Some(day) => {
                let _ = write!(out, "{day}");
            }
            None => return false,
        }
    } else {
        return false;
    }
    true
}

/// A key cell that could not be converted, as text.
fn raw_text(value: RawValue<'_>) -> Option<String> {
    match value {
        RawValue::Null | RawValue::Bytes(_) => None,
        RawValue::Int(i) => Some(i.to_string()),
        RawValue::Real(x) => Some(x.to_string()),
        RawValue::Text(text) => Some(text.to_owned()),
    }
}

/// Appends a text as a JSON string, escaped as little as JSON allows.
fn write_json(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|b| b < 0x20 || b == b'"' || b == b'\\') {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            other => {
                let _ = write!(out, "\\u{other:04x}");
            }
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// Whether a dataset column holds money, for callers that list control totals.
pub(super) fn is_money(dataset: &Dataset, name: &str) -> bool {
    dataset.column(name).is_some_and(|c| c.unit().is_some() && c.ty == ColumnType::Int)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Keys are spelled as serde_json spells them, so that whoever recomputes them agrees.
        #[test]
        fn keys_are_json(text in any::<String>()) {
            let mut out = String::new();
            write_json(&text, &mut out);
            prop_assert_eq!(out, serde_json::to_string(&text).expect("a text"));
        }
    }
}
