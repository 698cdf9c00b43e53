//! Time cells: what a cell means under its declared meaning, as an instant or a day.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Builder, TimestampMicrosecondBuilder};

use crate::rows::RawValue;
use crate::schema::ColumnType;

use super::cells::whole;
use super::conversion::TimeMeaning;
use super::plan::{Meaning, TimePlan};
use super::reason::Reason;
use super::time::{Civil, ZoneClock, instant, is_zero_sentinel, parse_civil};

/// A time cell that was understood.
pub(super) enum Moment {
    /// NULL.
    Null,
    /// One of the ways to write "no date".
    Zero,
    /// A point in time.
    At { micros: i64, truncated: bool },
    /// A day without time, in days since 1970-01-01.
    Day(i32),
}

pub(super) fn time_cell(value: RawValue<'_>, plan: &mut TimePlan, is_day: bool) -> Result<Moment, Reason> {
    let sentinel = |is_zero: bool, plan: &TimePlan| is_zero && !plan.zero_is_value;
    match value {
        RawValue::Null => Ok(Moment::Null),
        RawValue::Bytes(_) => Err(Reason::WrongType),
        RawValue::Int(0) if sentinel(true, plan) => Ok(Moment::Zero),
        RawValue::Int(i) => epoch(i, plan),
        RawValue::Real(x) => match (whole(x), &plan.meaning) {
            (Some(0), _) if sentinel(true, plan) => Ok(Moment::Zero),
            (Some(i), Meaning::Declared(TimeMeaning::EpochS | TimeMeaning::EpochMs)) => epoch(i, plan),
            _ => Err(Reason::NotADate),
        },
        RawValue::Text(text) => {
            if sentinel(is_zero_sentinel(text), plan) {
                return Ok(Moment::Zero);
            }
            text_time(text, plan, is_day)
        }
    }
}

fn epoch(i: i64, plan: &TimePlan) -> Result<Moment, Reason> {
    let (seconds, micros) = match &plan.meaning {
        Meaning::Declared(TimeMeaning::EpochS | TimeMeaning::EpochSText) => (i, 0),
        Meaning::Declared(TimeMeaning::EpochMs) => (i.div_euclid(1000), i.rem_euclid(1000) * 1000),
        _ => return Err(Reason::NotADate),
    };
    Ok(Moment::At { micros: instant(seconds, micros)?, truncated: false })
}

fn text_time(text: &str, plan: &mut TimePlan, is_day: bool) -> Result<Moment, Reason> {
    let TimePlan { meaning, clock, zero_is_value, .. } = plan;
    let meaning = match meaning {
        Meaning::Canonical => {
            let civil = parse_civil(text, true)?;
            if is_day {
                return midnight(civil);
            }
            if !civil.has_time {
                return Ok(Moment::Day(civil.days));
            }
            let seconds = match civil.offset {
                Some(offset) => civil.seconds() - i64::from(offset),
                None => clock.utc(civil.seconds())?,
            };
            let micros = instant(seconds, civil.micros)?;
            return Ok(Moment::At { micros, truncated: civil.truncated });
        }
        Meaning::Declared(meaning) => meaning,
    };
    let civil = match meaning {
        TimeMeaning::EpochS | TimeMeaning::EpochMs => return Err(Reason::NotADate),
        TimeMeaning::EpochSText => {
            let seconds = text.parse().map_err(|_| Reason::NotADate)?;
            return Ok(Moment::At { micros: instant(seconds, 0)?, truncated: false });
        }
        TimeMeaning::Pattern(pattern) => {
            if !*zero_is_value && text.bytes().all(|b| b == b'0') {
                return Ok(Moment::Zero);
            }
            pattern.parse(text)?
        }
        _ => parse_civil(text, false)?,
    };
    if *meaning == TimeMeaning::Date {
        return midnight(civil);
    }
    if !civil.has_time {
        return Ok(Moment::Day(civil.days));
    }
    let seconds = match (meaning, civil.offset) {
        (TimeMeaning::Utc, offset) => civil.seconds() - i64::from(offset.unwrap_or(0)),
        (_, Some(_)) => return Err(Reason::NotADate),
        (TimeMeaning::Session, None) => civil.seconds(),
        _ => clock.utc(civil.seconds())?,
    };
    Ok(Moment::At { micros: instant(seconds, civil.micros)?, truncated: civil.truncated })
}

/// A date column may print midnight; any other time of day would be lost.
fn midnight(civil: Civil) -> Result<Moment, Reason> {
    let is_midnight = civil.second == 0 && civil.micros == 0 && !civil.truncated && civil.offset.is_none();
    if is_midnight { Ok(Moment::Day(civil.days)) } else { Err(Reason::NotADate) }
}

/// Times as instants or as days.
pub(super) enum Times {
    Instant(TimestampMicrosecondBuilder),
    Day(Date32Builder),
}

impl Times {
    pub(super) fn new(ty: ColumnType, rows: usize) -> Self {
        match ty {
            ColumnType::Date => Self::Day(Date32Builder::with_capacity(rows)),
            _ => Self::Instant(TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC")),
        }
    }

    pub(super) fn push(
        &mut self,
        moment: Moment,
        days: &mut ZoneClock,
        truncated_count: &mut u64,
    ) -> Result<(), Reason> {
        match (self, moment) {
            (Self::Instant(b), Moment::At { micros, truncated }) => {
                *truncated_count += u64::from(truncated);
                b.append_value(micros);
            }
            (Self::Day(b), Moment::Day(day)) => b.append_value(day),
            (Self::Day(b), Moment::At { micros, .. }) => {
                b.append_value(days.day_of(micros).ok_or(Reason::TimeOutOfRange)?);
            }
            // A day is not an instant: the time of day would be invented.
            _ => return Err(Reason::NotADate),
        }
        Ok(())
    }

    pub(super) fn push_null(&mut self) {
        match self {
            Self::Instant(b) => b.append_null(),
            Self::Day(b) => b.append_null(),
        }
    }

    pub(super) fn finish(self) -> ArrayRef {
        match self {
            Self::Instant(mut b) => Arc::new(b.finish()),
            Self::Day(mut b) => Arc::new(b.finish()),
        }
    }
}
