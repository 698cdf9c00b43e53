//! From conversions and a header to one executable plan per canonical column.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono_tz::Tz;

use crate::schema::{Column, ColumnType, Dataset, is_envelope};

use super::chain::{self, ChainPlan};
use super::conversion::{Conversion, EnumMap, Kind, ListForm, MoneyUnit, SecretForm, TimeMeaning, ZoneRef};
use super::decimal::{self, Rounding};
use super::lint::fillable;
use super::part::Part;
use super::time::{ZoneClock, instant, parse_civil};
use super::{Context, Error, Fingerprint};

/// A value that is the same in every row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ConstValue {
    Text(String),
    Int(i64),
    Bool(bool),
    Date(i32),
    Instant(i64),
    Decimal(i128),
}

/// Reads a constant as a value of a column; `None` when it is not one.
pub(super) fn constant(column: &Column, text: &str) -> Option<ConstValue> {
    match column.ty {
        ColumnType::Text => {
            let known = column.vocabulary.is_none_or(|words| words.contains(&text));
            (known && !text.contains('\0')).then(|| ConstValue::Text(text.to_owned()))
        }
        ColumnType::Int => {
            let value: i64 = text.parse().ok()?;
            let fits = column.unit().is_none() || column.is_signed() || value >= 0;
            fits.then_some(ConstValue::Int(value))
        }
        ColumnType::Bool => text.parse().ok().map(ConstValue::Bool),
        ColumnType::Date => {
            let civil = parse_civil(text, false).ok()?;
            (!civil.has_time).then_some(ConstValue::Date(civil.days))
        }
        ColumnType::Instant => {
            let civil = parse_civil(text, false).ok()?;
            instant(civil.seconds() - i64::from(civil.offset?), civil.micros).ok().map(ConstValue::Instant)
        }
        ColumnType::Decimal(scale) => {
            let value = decimal::parse(text, u32::try_from(scale).ok()?).ok()?.round(Rounding::Exact)?;
            (value.unsigned_abs() < DECIMAL_LIMIT).then_some(ConstValue::Decimal(value))
        }
    }
}

/// Decimals have 18 digits.
pub(super) const DECIMAL_LIMIT: u128 = 1_000_000_000_000_000_000;

/// What a time column's cells are and how they become instants.
#[derive(Debug, Clone)]
pub(super) struct TimePlan {
    pub(super) meaning: Meaning,
    pub(super) zero_is_value: bool,
    /// Zone of local times.
    pub(super) clock: ZoneClock,
    /// The case's zone, for columns of days made from instants.
    pub(super) days: ZoneClock,
}

/// Meaning of a time column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    Declared(TimeMeaning),
    /// Canonical text: an offset, or local in the case's zone; dates also as `2026/3/1`.
    Canonical,
}

/// How the cells of a column are turned into values.
#[derive(Clone)]
pub(super) enum Action {
    Null,
    Const(ConstValue),
    Text {
        source: usize,
        upper: bool,
        prefix: String,
        redact: Vec<String>,
    },
    Codes {
        sources: Vec<usize>,
        map: Arc<EnumMap>,
    },
    /// The source's code as text, beside a column filled by `Codes`.
    RawCode {
        sources: Vec<usize>,
    },
    Flag {
        source: usize,
        yes: Vec<String>,
        no: Vec<String>,
        null: Option<bool>,
    },
    Money {
        source: usize,
        unit: MoneyUnit,
        rounding: Rounding,
    },
    Int {
        source: usize,
    },
    Decimal {
        source: usize,
        percent: bool,
    },
    Time {
        source: usize,
        plan: Box<TimePlan>,
    },
    Secret {
        source: usize,
        form: SecretForm,
        fingerprint: Fingerprint,
    },
    List {
        source: usize,
        form: ListForm,
    },
    /// Whether the row's own digest is that of its content.
    Chain(Box<ChainPlan>),
}

/// One canonical column and how it is filled.
#[derive(Clone)]
pub(super) struct ColumnPlan {
    pub(super) column: &'static Column,
    pub(super) empty_is_null: bool,
    pub(super) action: Action,
}

impl ColumnPlan {
    /// Digits after the point of the money unit of the column: 2 for `_fen`, 6 for `_e6`.
    pub(super) fn money_digits(&self) -> u32 {
        money_digits(self.column)
    }

    /// Source column whose cell stands for this column when the value could not be converted.
    pub(super) fn source(&self) -> Option<usize> {
        match &self.action {
            Action::Null | Action::Const(_) | Action::Chain(_) => None,
            Action::Codes { sources, .. } | Action::RawCode { sources } => sources.first().copied(),
            Action::Text { source, .. }
            | Action::Flag { source, .. }
            | Action::Money { source, .. }
            | Action::Int { source }
            | Action::Decimal { source, .. }
            | Action::Time { source, .. }
            | Action::Secret { source, .. }
            | Action::List { source, .. } => Some(*source),
        }
    }
}

/// Digits after the point of the money unit of a column: 2 for `_fen`, 6 for `_e6`.
pub(super) fn money_digits(column: &Column) -> u32 {
    if column.name.ends_with("_e6") { 6 } else { 2 }
}

/// Positions of the names of a header.
pub(super) fn positions(dataset: &Dataset, header: &[String]) -> Result<BTreeMap<String, usize>, Error> {
    let mut out = BTreeMap::new();
    for (i, name) in header.iter().enumerate() {
        if out.insert(name.clone(), i).is_some() {
            return Err(Error::DuplicateColumn { dataset: dataset.name.into(), column: name.clone() });
        }
    }
    Ok(out)
}

/// The plans of the own columns of a dataset and of the two envelope columns a source may fill, in archive order.
pub(super) fn of_part(part: &Part, header: &[String], context: &Context<'_>) -> Result<Vec<ColumnPlan>, Error> {
    let found = positions(part.dataset, header)?;
    let mut plans = Vec::new();
    for column in part.dataset.columns.iter().filter(|c| fillable(part.dataset, c.name).is_some()) {
        plans.push(of_column(part, column, &found, context)?);
    }
    Ok(plans)
}

/// The plan of one column of a part.
pub(super) fn of_column(
    part: &Part,
    column: &'static Column,
    found: &BTreeMap<String, usize>,
    context: &Context<'_>,
) -> Result<ColumnPlan, Error> {
    let missing = |name: &str| Error::MissingColumn { dataset: part.dataset.name.into(), column: name.into() };
    let position = |name: &str| found.get(name).copied().ok_or_else(|| missing(name));
    if let Some(formula) = part.chain.as_ref().filter(|_| column.name == chain::OK) {
        let plan = formula.plan(found).map_err(|name| missing(&name))?;
        let empty_is_null = part.conversions.get("chain_hash").is_some_and(|c| c.empty_is_null);
        return Ok(ColumnPlan { column, empty_is_null, action: Action::Chain(Box::new(plan)) });
    }
    let conversion = part.conversions.get(column.name);
    let is_selected = part.columns.iter().any(|c| c == column.name);
    let action = match conversion.map(|c| &c.kind) {
        Some(Kind::Const(text)) => Action::Const(constant(column, text).ok_or_else(|| Error::Param {
            mapping: part.mapping_id.clone(),
            param: text.strip_prefix("param:").unwrap_or(column.name).to_owned(),
            problem: format!("is not a value of `{}`", column.name),
        })?),
        Some(Kind::Enum2 { columns, map }) => {
            let sources = columns.iter().map(|name| position(name)).collect::<Result<_, _>>()?;
            Action::Codes { sources, map: Arc::clone(map) }
        }
        _ if !is_selected => raw_code(part, column, &position)?.unwrap_or(default_of_absent(column)),
        Some(kind) => declared(kind, column, position(column.name)?, part, context)?,
        None => plain(column, position(column.name)?),
    };
    Ok(ColumnPlan { column, empty_is_null: conversion.is_some_and(|c: &Conversion| c.empty_is_null), action })
}

fn default_of_absent(column: &Column) -> Action {
    if column.name == "is_deleted" { Action::Const(ConstValue::Bool(false)) } else { Action::Null }
}

/// `status_raw` follows `status` when that is filled from codes.
fn raw_code(
    part: &Part,
    column: &Column,
    position: &dyn Fn(&str) -> Result<usize, Error>,
) -> Result<Option<Action>, Error> {
    let Some(stem) = column.name.strip_suffix("_raw") else { return Ok(None) };
    let sources = match part.conversions.get(stem).map(|c| &c.kind) {
        Some(Kind::Enum(_)) => vec![position(stem)?],
        Some(Kind::Enum2 { columns, .. }) => columns.iter().map(|name| position(name)).collect::<Result<_, _>>()?,
        _ => return Ok(None),
    };
    Ok(Some(Action::RawCode { sources }))
}

fn declared(kind: &Kind, column: &Column, source: usize, part: &Part, context: &Context<'_>) -> Result<Action, Error> {
    Ok(match kind {
        Kind::Text { upper, prefix, redact } if column.ty == ColumnType::Text => {
            Action::Text { source, upper: *upper, prefix: prefix.clone(), redact: redact.clone() }
        }
        // `empty = "null"` alone changes nothing about what the cell must be.
        Kind::Text { .. } | Kind::Const(_) | Kind::Enum2 { .. } => plain(column, source),
        Kind::Money { unit, rounding } => Action::Money { source, unit: *unit, rounding: *rounding },
        Kind::Time { meaning, zone, zero_is_value } => {
            let zone = resolve(zone.as_ref().or(part.zone.as_ref()), part, context)?;
            let plan = TimePlan {
                meaning: Meaning::Declared(meaning.clone()),
                zero_is_value: *zero_is_value,
                clock: ZoneClock::new(zone),
                days: ZoneClock::new(context.zone),
            };
            Action::Time { source, plan: Box::new(plan) }
        }
        Kind::Enum(map) => Action::Codes { sources: vec![source], map: Arc::clone(map) },
        Kind::Flag { yes, no, null } => Action::Flag { source, yes: yes.clone(), no: no.clone(), null: *null },
        Kind::Secret(form) => {
            Action::Secret { source, form: form.clone(), fingerprint: Arc::clone(&context.fingerprint) }
        }
        Kind::List(form) => Action::List { source, form: form.clone() },
        Kind::Rate { percent } => Action::Decimal { source, percent: *percent },
    })
}

fn resolve(zone: Option<&ZoneRef>, part: &Part, context: &Context<'_>) -> Result<Tz, Error> {
    match zone {
        Some(ZoneRef::Fixed(zone)) => Ok(*zone),
        Some(ZoneRef::Case) | None => Ok(context.zone),
        Some(ZoneRef::Param(name)) => {
            Err(Error::Param { mapping: part.mapping_id.clone(), param: name.clone(), problem: "has no value".into() })
        }
    }
}

/// A column without conversion: the cell must already be of its type.
fn plain(column: &Column, source: usize) -> Action {
    match column.ty {
        ColumnType::Text => Action::Text { source, upper: false, prefix: String::new(), redact: Vec::new() },
        ColumnType::Int => Action::Int { source },
        ColumnType::Bool => flag(source, &["1", "true"], &["0", "false"]),
        ColumnType::Decimal(_) => Action::Decimal { source, percent: false },
        // The lint asks for a conversion; a mapping without one is never used.
        ColumnType::Date | ColumnType::Instant => Action::Null,
    }
}

fn flag(source: usize, yes: &[&str], no: &[&str]) -> Action {
    let owned = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
    Action::Flag { source, yes: owned(yes), no: owned(no), null: None }
}

/// The plans of rows that already are canonical.
pub(super) fn of_canonical(
    dataset: &'static Dataset,
    header: &[String],
    context: &Context<'_>,
) -> Result<Vec<ColumnPlan>, Error> {
    let found = positions(dataset, header)?;
    let accepted = || dataset.fillable_columns().map(|c| c.name).collect::<Vec<_>>().join(", ");
    for name in header {
        if fillable(dataset, name).is_none() {
            return Err(Error::UnknownColumn {
                dataset: dataset.name.into(),
                column: name.clone(),
                accepted: accepted(),
            });
        }
    }
    for key in dataset.key {
        if !found.contains_key(*key) {
            return Err(Error::MissingColumn { dataset: dataset.name.into(), column: (*key).into() });
        }
    }
    let mut plans = Vec::new();
    for column in dataset.columns.iter().filter(|c| c.twin_of.is_none()) {
        if is_envelope(column.name) && fillable(dataset, column.name).is_none() {
            continue;
        }
        let action = match found.get(column.name) {
            None => default_of_absent(column),
            Some(source) => match column.ty {
                ColumnType::Bool => {
                    flag(*source, &["true", "1", "是", "TRUE", "True"], &["false", "0", "否", "FALSE", "False"])
                }
                ColumnType::Date | ColumnType::Instant => Action::Time {
                    source: *source,
                    plan: Box::new(TimePlan {
                        meaning: Meaning::Canonical,
                        zero_is_value: true,
                        clock: ZoneClock::new(context.zone),
                        days: ZoneClock::new(context.zone),
                    }),
                },
                _ => plain(column, *source),
            },
        };
        plans.push(ColumnPlan { column, empty_is_null: true, action });
    }
    Ok(plans)
}
