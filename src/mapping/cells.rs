//! Columns of raw cells to Arrow arrays, one column at a time, without allocating per row.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Int64Builder, StringBuilder, new_null_array,
};

use crate::rows::{RawBatch, RawColumn, RawValue};
use crate::schema::ColumnType;

use super::Error;
use super::conversion::{EnumMap, ListForm, OnUnknown};
use super::decimal::{self, DecimalError, Rounding};
use super::moment::{Moment, Times, time_cell};
use super::money::Money;
use super::plan::{Action, ColumnPlan, ConstValue, DECIMAL_LIMIT};
use super::reason::Reason;
use super::redact::{fingerprint, redact};
use super::time::ZoneClock;
use super::totals::ColumnCounts;

/// First failure of each row of a batch.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) rows: Vec<Option<(&'static str, Reason)>>,
    pub(super) count: usize,
}

impl Marks {
    pub(super) fn reset(&mut self, rows: usize) {
        self.rows.clear();
        self.rows.resize(rows, None);
        self.count = 0;
    }

    pub(super) fn fail(&mut self, row: usize, column: &'static str, reason: Reason) {
        if let Some(mark) = self.rows.get_mut(row)
            && mark.is_none()
        {
            *mark = Some((column, reason));
            self.count += 1;
        }
    }
}

/// Buffers used again from cell to cell.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    cell: String,
    out: String,
}

/// A finished column.
pub(super) struct Built {
    pub(super) array: ArrayRef,
    pub(super) counts: ColumnCounts,
}

/// The cell as text: integers in decimal, bytes if they are UTF-8. Fractions are text only where `real` allows
/// whole ones (codes).
fn text_of<'a>(value: RawValue<'a>, scratch: &'a mut String, real: bool) -> Result<Option<&'a str>, Reason> {
    match value {
        RawValue::Null => Ok(None),
        RawValue::Int(i) => {
            scratch.clear();
            // Writing to a String cannot fail.
            let _ = write!(scratch, "{i}");
            Ok(Some(scratch))
        }
        RawValue::Real(x) => {
            let i = whole(x).filter(|_| real).ok_or(Reason::WrongType)?;
            scratch.clear();
            let _ = write!(scratch, "{i}");
            Ok(Some(scratch))
        }
        RawValue::Text(text) => checked(text).map(Some),
        RawValue::Bytes(bytes) => checked(std::str::from_utf8(bytes).map_err(|_| Reason::InvalidUtf8)?).map(Some),
    }
}

fn checked(text: &str) -> Result<&str, Reason> {
    if text.as_bytes().contains(&0) { Err(Reason::NulCharacter) } else { Ok(text) }
}

/// A floating point number that is a whole number and exactly one.
pub(super) fn whole(x: f64) -> Option<i64> {
    // 2^53: above it neighbouring integers are no longer distinct.
    (x.fract() == 0.0 && x.abs() <= 9_007_199_254_740_992.0).then_some(x as i64)
}

fn arena(raw: &RawBatch, source: usize) -> usize {
    raw.columns.get(source).map_or(0, RawColumn::arena_bytes)
}

/// Builds the array of one column for all rows; failures are marked and become NULL.
pub(super) fn build(
    plan: &mut ColumnPlan,
    dataset: &str,
    raw: &RawBatch,
    marks: &mut Marks,
    scratch: &mut Scratch,
) -> Result<Built, Error> {
    let rows = raw.rows();
    let mut counts = ColumnCounts::default();
    let column = plan.column;
    let empty_is_null = plan.empty_is_null;
    let digits = plan.money_digits();
    let cell = |source: usize, row: usize| raw.columns.get(source).map_or(RawValue::Null, |c| c.get(row));
    // Empty text counts as NULL where that is declared, whatever the conversion.
    let mut taken = |source: usize, row: usize| -> RawValue<'_> {
        let value = cell(source, row);
        if empty_is_null && value == RawValue::Text("") {
            counts.empty += 1;
            return RawValue::Null;
        }
        value
    };
    let array: ArrayRef = match &mut plan.action {
        Action::Null => new_null_array(&column.ty.arrow(), rows),
        Action::Const(value) => constant_array(value, column.ty, rows),
        Action::Text { source, upper, prefix, redact: keys } => {
            let mut builder = StringBuilder::with_capacity(rows, arena(raw, *source) + prefix.len() * rows);
            let is_plain = !*upper && prefix.is_empty() && keys.is_empty();
            // Looked for in all texts of the column at once.
            let has_nul = raw.columns.get(*source).is_some_and(RawColumn::has_nul);
            let mut redacted = 0;
            for row in 0..rows {
                let text = match taken(*source, row) {
                    RawValue::Text(text) if !has_nul => Ok(Some(text)),
                    value => text_of(value, &mut scratch.cell, false),
                };
                match text {
                    Ok(None) => builder.append_null(),
                    Ok(Some(text)) if is_plain => match known(text, column.vocabulary) {
                        Ok(text) => builder.append_value(text),
                        Err(reason) => {
                            marks.fail(row, column.name, reason);
                            builder.append_null();
                        }
                    },
                    Ok(Some(text)) => {
                        scratch.out.clear();
                        scratch.out.push_str(prefix);
                        if keys.is_empty() {
                            scratch.out.push_str(text);
                        } else {
                            redacted += redact(text, keys, &mut scratch.out);
                        }
                        if *upper {
                            scratch.out.make_ascii_uppercase();
                        }
                        match known(&scratch.out, column.vocabulary) {
                            Ok(text) => builder.append_value(text),
                            Err(reason) => {
                                marks.fail(row, column.name, reason);
                                builder.append_null();
                            }
                        }
                    }
                    Err(reason) => {
                        marks.fail(row, column.name, reason);
                        builder.append_null();
                    }
                }
            }
            counts.redacted = redacted;
            Arc::new(builder.finish())
        }
        Action::Codes { sources, map } => {
            let mut words = Words::new(column.ty, rows);
            let mut kept = 0;
            for row in 0..rows {
                let word = match sources.as_slice() {
                    [source] => match text_of(taken(*source, row), &mut scratch.cell, true) {
                        Ok(None) => Ok(None),
                        Ok(Some(code)) => {
                            word_of(code, map, column.name, dataset, column.vocabulary.is_some(), &mut kept)?
                        }
                        Err(reason) => Err(reason),
                    },
                    many => match join_codes(raw, many, row, scratch) {
                        Ok(()) => {
                            word_of(&scratch.out, map, column.name, dataset, column.vocabulary.is_some(), &mut kept)?
                        }
                        Err(reason) => Err(reason),
                    },
                };
                if let Err(reason) = word.and_then(|w| words.push(w)) {
                    marks.fail(row, column.name, reason);
                    words.push_null();
                }
            }
            counts.unknown_codes = kept;
            words.finish()
        }
        Action::RawCode { sources } => {
            let mut builder = StringBuilder::with_capacity(rows, sources.iter().map(|s| arena(raw, *s) + rows).sum());
            for row in 0..rows {
                // Failures of these cells are marked by the column that is made of them.
                match sources.as_slice() {
                    [source] => {
                        builder.append_option(text_of(taken(*source, row), &mut scratch.cell, true).unwrap_or(None))
                    }
                    many => match join_codes(raw, many, row, scratch) {
                        Ok(()) => builder.append_value(&scratch.out),
                        Err(_) => builder.append_null(),
                    },
                }
            }
            // Counted once, by the column itself.
            counts.empty = 0;
            Arc::new(builder.finish())
        }
        Action::Chain(plan) => {
            let mut builder = BooleanBuilder::with_capacity(rows);
            for row in 0..rows {
                builder.append_option(plan.row(raw, row, empty_is_null, &mut scratch.cell));
            }
            Arc::new(builder.finish())
        }
        Action::Flag { source, yes, no, null } => {
            let mut builder = BooleanBuilder::with_capacity(rows);
            for row in 0..rows {
                let value = match text_of(taken(*source, row), &mut scratch.cell, true) {
                    Ok(None) => Ok(*null),
                    Ok(Some(code)) if yes.iter().any(|y| y == code) => Ok(Some(true)),
                    Ok(Some(code)) if no.iter().any(|n| n == code) => Ok(Some(false)),
                    Ok(Some(_)) => Err(Reason::NotAFlag),
                    Err(reason) => Err(reason),
                };
                // The envelope's flag is never NULL.
                let value = match value {
                    Ok(None) if !column.nullable => Err(Reason::NotAFlag),
                    other => other,
                };
                builder.append_option(value.unwrap_or_else(|reason| {
                    marks.fail(row, column.name, reason);
                    None
                }));
            }
            Arc::new(builder.finish())
        }
        Action::Money { source, unit, rounding } => {
            let mut builder = Int64Builder::with_capacity(rows);
            let mut money = Money::new(*unit, *rounding, digits);
            for row in 0..rows {
                let value =
                    money.cell(taken(*source, row), &mut scratch.cell).and_then(|v| unsigned(v, column.is_signed()));
                builder.append_option(value.unwrap_or_else(|reason| {
                    marks.fail(row, column.name, reason);
                    None
                }));
            }
            counts.from_float = money.from_float;
            counts.rounded = money.rounded;
            Arc::new(builder.finish())
        }
        Action::Int { source } => {
            let mut builder = Int64Builder::with_capacity(rows);
            let may_be_negative = column.unit().is_none() || column.is_signed();
            for row in 0..rows {
                let value = int_cell(taken(*source, row)).and_then(|v| unsigned(v, may_be_negative));
                builder.append_option(value.unwrap_or_else(|reason| {
                    marks.fail(row, column.name, reason);
                    None
                }));
            }
            Arc::new(builder.finish())
        }
        Action::Decimal { source, percent } => {
            let scale = match column.ty {
                ColumnType::Decimal(scale) => u32::try_from(scale).unwrap_or_default(),
                _ => 0,
            };
            let mut builder = Decimal128Builder::with_capacity(rows).with_data_type(column.ty.arrow());
            for row in 0..rows {
                let value = decimal_cell(taken(*source, row), scale, *percent, &mut scratch.cell);
                builder.append_option(value.unwrap_or_else(|reason| {
                    marks.fail(row, column.name, reason);
                    None
                }));
            }
            Arc::new(builder.finish())
        }
        Action::Time { source, plan } => {
            let mut times = Times::new(column.ty, rows);
            let (mut zeros, mut truncated) = (0, 0);
            for row in 0..rows {
                match time_cell(taken(*source, row), plan, column.ty == ColumnType::Date) {
                    Ok(Moment::Null) => times.push_null(),
                    Ok(Moment::Zero) => {
                        zeros += 1;
                        times.push_null();
                    }
                    Ok(moment) => {
                        if let Err(reason) = times.push(moment, &mut plan.days, &mut truncated) {
                            marks.fail(row, column.name, reason);
                            times.push_null();
                        }
                    }
                    Err(reason) => {
                        marks.fail(row, column.name, reason);
                        times.push_null();
                    }
                }
            }
            counts.zero_sentinels = zeros;
            counts.truncated = truncated;
            times.finish()
        }
        Action::Secret { source, form, fingerprint: mac } => {
            let mut builder = StringBuilder::with_capacity(rows, rows * 32);
            for row in 0..rows {
                let value = taken(*source, row);
                // A secret may be bytes; then their fingerprint is taken as they are.
                if let (RawValue::Bytes(bytes), true) = (value, form.paths.is_empty()) {
                    builder.append_value(mac(bytes));
                    continue;
                }
                match text_of(value, &mut scratch.cell, false) {
                    Ok(None) => builder.append_null(),
                    Ok(Some(text)) => {
                        scratch.out.clear();
                        fingerprint(text, form, mac, &mut scratch.out);
                        builder.append_value(&scratch.out);
                    }
                    Err(reason) => {
                        marks.fail(row, column.name, reason);
                        builder.append_null();
                    }
                }
            }
            Arc::new(builder.finish())
        }
        Action::List { source, form } => {
            let mut builder = StringBuilder::with_capacity(rows, arena(raw, *source) + 8 * rows);
            for row in 0..rows {
                scratch.out.clear();
                let list = match text_of(taken(*source, row), &mut scratch.cell, false) {
                    Ok(None) => Ok(false),
                    Ok(Some(text)) => write_list(text, form, &mut scratch.out).map(|()| true),
                    Err(reason) => Err(reason),
                };
                match list {
                    Ok(true) => builder.append_value(&scratch.out),
                    Ok(false) => builder.append_null(),
                    Err(reason) => {
                        marks.fail(row, column.name, reason);
                        builder.append_null();
                    }
                }
            }
            Arc::new(builder.finish())
        }
    };
    if !column.nullable && array.null_count() > 0 {
        for row in (0..rows).filter(|row| array.is_null(*row)) {
            marks.fail(row, column.name, Reason::MissingKey);
        }
    }
    Ok(Built { array, counts })
}

fn known<'t>(text: &'t str, vocabulary: Option<&[&str]>) -> Result<&'t str, Reason> {
    match vocabulary {
        Some(words) if !words.contains(&text) => Err(Reason::UnknownCode),
        _ => Ok(text),
    }
}

/// Several cells as one code: parts joined by `|`, NULL as `null`.
fn join_codes(raw: &RawBatch, sources: &[usize], row: usize, scratch: &mut Scratch) -> Result<(), Reason> {
    scratch.out.clear();
    for (i, source) in sources.iter().enumerate() {
        if i > 0 {
            scratch.out.push('|');
        }
        let value = raw.columns.get(*source).map_or(RawValue::Null, |c| c.get(row));
        scratch.out.push_str(text_of(value, &mut scratch.cell, true)?.unwrap_or("null"));
    }
    Ok(())
}

/// The word of a code, or what the enum says about unknown ones.
fn word_of<'a>(
    code: &'a str,
    map: &'a EnumMap,
    column: &str,
    dataset: &str,
    is_closed: bool,
    kept: &mut u64,
) -> Result<Result<Option<&'a str>, Reason>, Error> {
    if let Some(word) = map.word(code) {
        return Ok(Ok(word));
    }
    match map.on_unknown {
        OnUnknown::Fail => Err(Error::UnknownCode {
            dataset: dataset.to_owned(),
            column: column.to_owned(),
            name: map.name.clone(),
            code: shown_code(code),
        }),
        OnUnknown::Quarantine => Ok(Err(Reason::UnknownCode)),
        OnUnknown::KeepRaw => {
            *kept += 1;
            // A closed vocabulary cannot take the code; its raw column does.
            Ok(Ok((!is_closed).then_some(code)))
        }
    }
}

/// Words of an enum as texts or integers.
enum Words {
    Text(StringBuilder),
    Int(Int64Builder),
}

impl Words {
    fn new(ty: ColumnType, rows: usize) -> Self {
        match ty {
            ColumnType::Int => Self::Int(Int64Builder::with_capacity(rows)),
            _ => Self::Text(StringBuilder::with_capacity(rows, rows * 12)),
        }
    }

    fn push(&mut self, word: Option<&str>) -> Result<(), Reason> {
        match (self, word) {
            (Self::Text(b), word) => b.append_option(word),
            (Self::Int(b), None) => b.append_null(),
            (Self::Int(b), Some(word)) => b.append_value(word.parse().map_err(|_| Reason::UnknownCode)?),
        }
        Ok(())
    }

    fn push_null(&mut self) {
        match self {
            Self::Text(b) => b.append_null(),
            Self::Int(b) => b.append_null(),
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Text(mut b) => Arc::new(b.finish()),
            Self::Int(mut b) => Arc::new(b.finish()),
        }
    }
}

fn unsigned(value: Option<i64>, may_be_negative: bool) -> Result<Option<i64>, Reason> {
    match value {
        Some(v) if v < 0 && !may_be_negative => Err(Reason::NegativeAmount),
        other => Ok(other),
    }
}

fn int_cell(value: RawValue<'_>) -> Result<Option<i64>, Reason> {
    match value {
        RawValue::Null => Ok(None),
        RawValue::Int(i) => Ok(Some(i)),
        RawValue::Real(x) => whole(x).map(Some).ok_or(Reason::NotANumber),
        RawValue::Text(text) => {
            let parsed = decimal::parse(text, 0).map_err(|_| Reason::NotANumber)?;
            let value = parsed.round(Rounding::Exact).ok_or(Reason::NotANumber)?;
            i64::try_from(value).map(Some).map_err(|_| Reason::NumberOutOfRange)
        }
        RawValue::Bytes(_) => Err(Reason::WrongType),
    }
}

fn decimal_cell(value: RawValue<'_>, scale: u32, percent: bool, scratch: &mut String) -> Result<Option<i128>, Reason> {
    scratch.clear();
    let text = match value {
        RawValue::Null => return Ok(None),
        RawValue::Bytes(_) => return Err(Reason::WrongType),
        RawValue::Int(i) => {
            let _ = write!(scratch, "{i}");
            scratch.as_str()
        }
        RawValue::Real(x) if x.is_finite() => {
            let _ = write!(scratch, "{x}");
            scratch.as_str()
        }
        RawValue::Real(_) => return Err(Reason::NotANumber),
        RawValue::Text(text) if percent => text.trim_end_matches('%').trim_end(),
        RawValue::Text(text) => text,
    };
    // A percentage has two digits more to lose.
    let scale = if percent { scale.saturating_sub(2) } else { scale };
    let parsed = decimal::parse(text, scale).map_err(|e| match e {
        DecimalError::Malformed => Reason::NotANumber,
        DecimalError::Overflow => Reason::NumberOutOfRange,
    })?;
    let value = parsed.round(Rounding::Exact).ok_or(Reason::TooManyDigits)?;
    if value.unsigned_abs() >= DECIMAL_LIMIT { Err(Reason::NumberOutOfRange) } else { Ok(Some(value)) }
}

fn write_list(text: &str, form: &ListForm, out: &mut String) -> Result<(), Reason> {
    let items: Vec<String> = match form {
        ListForm::Split(_) if text.is_empty() => Vec::new(),
        ListForm::Split(separator) => text.split(separator.as_str()).map(|item| item.trim().to_owned()).collect(),
        ListForm::Json => {
            let items: Vec<serde_json::Value> = serde_json::from_str(text).map_err(|_| Reason::NotAList)?;
            items
                .into_iter()
                .map(|item| match item {
                    serde_json::Value::String(text) => Ok(text),
                    serde_json::Value::Number(number) => Ok(number.to_string()),
                    serde_json::Value::Bool(flag) => Ok(flag.to_string()),
                    _ => Err(Reason::NotAList),
                })
                .collect::<Result<_, _>>()?
        }
    };
    out.push_str(&serde_json::to_string(&items).map_err(|_| Reason::NotAList)?);
    Ok(())
}

/// An array that says the same in every row.
pub(super) fn constant_array(value: &ConstValue, ty: ColumnType, rows: usize) -> ArrayRef {
    match value {
        ConstValue::Text(text) => repeated(text, rows),
        ConstValue::Int(i) => Arc::new(arrow::array::Int64Array::from_value(*i, rows)),
        ConstValue::Bool(flag) => Arc::new(arrow::array::BooleanArray::from(vec![*flag; rows])),
        ConstValue::Date(days) => Arc::new(arrow::array::Date32Array::from_value(*days, rows)),
        ConstValue::Instant(micros) => {
            Arc::new(arrow::array::TimestampMicrosecondArray::from_value(*micros, rows).with_timezone("UTC"))
        }
        ConstValue::Decimal(value) => {
            Arc::new(arrow::array::Decimal128Array::from_value(*value, rows).with_data_type(ty.arrow()))
        }
    }
}

/// A text column that says the same in every row.
pub(super) fn repeated(text: &str, rows: usize) -> ArrayRef {
    let mut builder = StringBuilder::with_capacity(rows, rows * text.len());
    for _ in 0..rows {
        builder.append_value(text);
    }
    Arc::new(builder.finish())
}

/// The local days of a column of instants.
pub(super) fn days_of(instants: &arrow::array::TimestampMicrosecondArray, clock: &mut ZoneClock) -> ArrayRef {
    let mut builder = Date32Builder::with_capacity(instants.len());
    for at in instants {
        builder.append_option(at.and_then(|micros| clock.day_of(micros)));
    }
    Arc::new(builder.finish())
}

/// A code as messages may show it: what looks like a code is printed, anything else may be somebody's name or number.
fn shown_code(code: &str) -> String {
    let is_code =
        code.len() <= 12 && code.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    let is_long_number = code.len() > 6 && code.bytes().all(|b| b.is_ascii_digit());
    if is_code && !is_long_number {
        code.to_owned()
    } else {
        format!("(a text of {} characters)", code.chars().count())
    }
}
