//! Money cells: exactly into units of the column, and once more the way the source's control statement sees them.

use std::fmt::Write as _;

use crate::model::Engine;
use crate::rows::RawValue;

use super::conversion::MoneyUnit;
use super::decimal::{self, DecimalError, Rest, Rounding};
use super::reason::Reason;

/// Largest amount taken from a mapping, in units of the column: above it a source that keeps floating point could
/// not confirm a sum exactly.
pub(super) const AMOUNT_MAX: i128 = 1_000_000_000_000_000;

/// Places after the point to which MySQL's control statement reads a cell.
pub(super) const EXACT_PLACES: u32 = 12;

/// Reads money cells and counts what it meets.
pub(super) struct Money {
    unit: MoneyUnit,
    rounding: Rounding,
    digits: u32,
    pub(super) from_float: u64,
    pub(super) rounded: u64,
}

impl Money {
    /// A reader into a column whose unit has this many digits after the point.
    pub(super) fn new(unit: MoneyUnit, rounding: Rounding, digits: u32) -> Self {
        Self { unit, rounding, digits, from_float: 0, rounded: 0 }
    }

    /// Reads one cell; `scratch` is any buffer.
    pub(super) fn cell(&mut self, value: RawValue<'_>, scratch: &mut String) -> Result<Option<i64>, Reason> {
        let text = match value {
            RawValue::Null => return Ok(None),
            RawValue::Bytes(_) => return Err(Reason::WrongType),
            RawValue::Int(i) => {
                let value = i128::from(i) * source_factor(self.unit, self.digits);
                return bounded(value, false).map(Some);
            }
            RawValue::Real(x) => {
                if !x.is_finite() {
                    return Err(Reason::NotANumber);
                }
                self.from_float += 1;
                if let Some(units) = exact_units(x, source_digits(self.unit, self.digits))
                    && self.unit != MoneyUnit::YuanInt
                {
                    return bounded(units.into(), false).map(Some);
                }
                scratch.clear();
                // The shortest text that reads back as the same number: what a person would have written.
                let _ = write!(scratch, "{x}");
                scratch.as_str()
            }
            RawValue::Text(text) if self.unit == MoneyUnit::TextYuan => {
                if !clean_yuan(text, scratch) {
                    return Err(Reason::NotANumber);
                }
                scratch.as_str()
            }
            RawValue::Text(text) => text,
        };
        let scale = if self.unit.is_major() { self.digits } else { self.digits.saturating_sub(2) };
        let parsed = decimal::parse(text, scale).map_err(|e| match e {
            DecimalError::Malformed => Reason::NotANumber,
            DecimalError::Overflow => Reason::NumberOutOfRange,
        })?;
        if self.unit == MoneyUnit::YuanInt
            && (parsed.rest != Rest::None || text.contains('.') && parsed.magnitude % 10_u128.pow(scale) != 0)
        {
            return Err(Reason::NotANumber);
        }
        let value = parsed.round(self.rounding).ok_or(Reason::SubFenDigits)?;
        let value = bounded(value, parsed.rest != Rest::None)?;
        if parsed.rest != Rest::None {
            self.rounded += 1;
        }
        Ok(Some(value))
    }
}

/// A floating point number in units of 10^-scale, if its shortest text is a decimal of that many places.
///
/// Decimals of at most fifteen digits stand for different numbers. So the quotient that is this number again is what
/// the shortest text says, and the text need not be made.
fn exact_units(x: f64, scale: u32) -> Option<i64> {
    let factor = 10_i64.checked_pow(scale)? as f64;
    let units = (x * factor).round();
    (units.abs() < 1e15 && units / factor == x).then_some(units as i64)
}

fn bounded(value: i128, had_rest: bool) -> Result<i64, Reason> {
    let too_large = value.abs() > AMOUNT_MAX || (value.abs() == AMOUNT_MAX && had_rest);
    if too_large { Err(Reason::NumberOutOfRange) } else { i64::try_from(value).map_err(|_| Reason::NumberOutOfRange) }
}

/// Units of the given precision per unit of the source column.
pub(super) fn source_factor(unit: MoneyUnit, digits: u32) -> i128 {
    10_i128.pow(source_digits(unit, digits))
}

/// Digits after the point of the source column that make one unit of the given precision.
pub(super) fn source_digits(unit: MoneyUnit, digits: u32) -> u32 {
    if unit.is_major() { digits } else { digits.saturating_sub(2) }
}

/// Takes currency signs, `元`, outer spaces and thousands commas away; false when the commas are misplaced.
fn clean_yuan(text: &str, out: &mut String) -> bool {
    out.clear();
    let body = text.trim().trim_end_matches('元').trim_end();
    let (sign, body) = match body.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", body),
    };
    let body = body.trim_start_matches(['¥', '￥']).trim_start();
    let (sign, body) = match body.strip_prefix('-') {
        Some(rest) if sign.is_empty() => ("-", rest),
        _ => (sign, body),
    };
    out.push_str(sign);
    let (whole, fraction) = body.split_at(body.find('.').unwrap_or(body.len()));
    for (i, group) in whole.split(',').enumerate() {
        let is_last_or_inner = i > 0;
        if (is_last_or_inner && group.len() != 3) || (i == 0 && whole.contains(',') && !(1..=3).contains(&group.len()))
        {
            return false;
        }
        out.push_str(group);
    }
    out.push_str(fraction);
    true
}

/// What the control statement makes of a money cell, in units of `digits` digits: the same steps in the engine's own
/// arithmetic, so that both sides also agree about cells that are no amounts.
pub(super) fn control_value(engine: Engine, value: RawValue<'_>, unit: MoneyUnit, digits: u32) -> i128 {
    match engine {
        Engine::Sqlite => floating_value(value, unit, digits),
        Engine::MySql => exact_value(value, unit, digits, Some(EXACT_PLACES)),
        Engine::Postgres => exact_value(value, unit, digits, None),
    }
}

/// In decimals, rounded half away from zero; MySQL rounds to twelve places first.
fn exact_value(value: RawValue<'_>, unit: MoneyUnit, digits: u32, places: Option<u32>) -> i128 {
    let factor_digits = source_digits(unit, digits);
    let text = match value {
        RawValue::Null => return 0,
        RawValue::Bytes(bytes) if places.is_some() => String::from_utf8_lossy(bytes).into_owned(),
        RawValue::Bytes(_) => return 0,
        RawValue::Int(i) => i.to_string(),
        RawValue::Real(x) if x.is_finite() => x.to_string(),
        RawValue::Real(_) => return 0,
        RawValue::Text(text) if unit == MoneyUnit::TextYuan => {
            text.replace([',', '¥', '￥', '元'], "").trim_matches(' ').to_owned()
        }
        RawValue::Text(text) => text.to_owned(),
    };
    let Some(number) = decimal::Prefix::of(&text) else { return 0 };
    let limit = AMOUNT_MAX / source_factor(unit, digits);
    let magnitude = match places {
        Some(places) => number.half_away(places).filter(|m| *m <= limit * 10_i128.pow(places)).map(|m| {
            // Twelve places are more than any column's digits.
            let unit = 10_i128.pow(places - factor_digits);
            (m + unit / 2) / unit
        }),
        None => number.at_most(limit).then(|| number.half_away(factor_digits)).flatten(),
    };
    let magnitude = magnitude.unwrap_or(0);
    if number.is_negative { -magnitude } else { magnitude }
}

fn floating_value(value: RawValue<'_>, unit: MoneyUnit, digits: u32) -> i128 {
    let factor = source_factor(unit, digits);
    let limit = AMOUNT_MAX / factor;
    let number = match value {
        RawValue::Null | RawValue::Bytes(_) => return 0,
        RawValue::Int(i) => return if i128::from(i).abs() <= limit { i128::from(i) * factor } else { 0 },
        RawValue::Real(x) => x,
        RawValue::Text(text) if unit == MoneyUnit::TextYuan => {
            numeric_prefix(text.replace([',', '¥', '￥', '元'], "").trim_matches(' '))
        }
        RawValue::Text(text) => numeric_prefix(text),
    };
    if !(-(limit as f64)..=limit as f64).contains(&number) {
        return 0;
    }
    let scaled = number * factor as f64;
    // Half away from zero, as SQLite's ROUND does it.
    (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }).trunc() as i128
}

/// The number a text begins with, as SQLite's CAST sees it; 0 when there is none.
fn numeric_prefix(text: &str) -> f64 {
    let text = text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut end = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let whole = digits(end);
    end += whole;
    let mut any = whole > 0;
    if bytes.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        any |= fraction > 0;
        end += 1 + fraction;
    }
    if !any {
        return 0.0;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
        let at = (end + 1 + sign).min(bytes.len());
        let exponent = digits(at);
        if exponent > 0 {
            end = at + exponent;
        }
    }
    text[..end].parse().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decorated_yuan() {
        let read = |text: &str| {
            let mut money = Money::new(MoneyUnit::TextYuan, Rounding::Exact, 2);
            money.cell(RawValue::Text(text), &mut String::new())
        };
        for (text, fen) in [
            ("¥1,234.50", 123_450),
            ("￥ 7", 700),
            (" 12.3元 ", 1230),
            ("-¥0.01", -1),
            ("¥-0.01", -1),
            ("1,234,567", 123_456_700),
        ] {
            assert_eq!(read(text), Ok(Some(fen)), "{text}");
        }
        for bad in ["1,2,3", "1,23", ",123", "", "元", "¥", "12.3.4", "1234,567", "--1"] {
            assert_eq!(read(bad), Err(Reason::NotANumber), "{bad}");
        }
    }

    #[test]
    fn numbers_texts_begin_with() {
        for (text, number) in [
            ("12abc", 12.0),
            (" -3.5e2x", -350.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("abc", 0.0),
            ("", 0.0),
            ("-", 0.0),
            ("1e", 1.0),
            ("0x10", 0.0),
            ("e5", 0.0),
        ] {
            assert_eq!(numeric_prefix(text), number, "{text}");
        }
    }

    proptest! {
        /// Whatever is converted exactly, the control statement's arithmetic counts the same.
        #[test]
        fn control_agrees_with_conversion(fen in -1_000_000_000_000_000_i64..=1_000_000_000_000_000) {
            let sign = if fen < 0 { "-" } else { "" };
            let text = format!("{sign}{}.{:02}", fen.unsigned_abs() / 100, fen.unsigned_abs() % 100);
            let real: f64 = text.parse().expect("a number");
            for value in [RawValue::Text(&text), RawValue::Real(real)] {
                let mut money = Money::new(MoneyUnit::Yuan, Rounding::Exact, 2);
                if let Ok(Some(converted)) = money.cell(value, &mut String::new()) {
                    prop_assert_eq!(converted, fen);
                    for engine in Engine::ALL {
                        prop_assert_eq!(control_value(engine, value, MoneyUnit::Yuan, 2), i128::from(fen));
                    }
                } else {
                    prop_assert!(false, "exact amounts are converted: {}", text);
                }
            }
        }

        /// Floating point numbers are read as their shortest texts are.
        #[test]
        fn numbers_and_their_texts(
            x in prop_oneof![
                any::<f64>(),
                (any::<i64>(), 0_i32..19).prop_map(|(n, places)| n as f64 / 10_f64.powi(places)),
                (-100_000_000_i64..100_000_000, 0_i32..6).prop_map(|(n, places)| n as f64 / 10_f64.powi(places)),
            ],
            unit in prop::sample::select(vec![MoneyUnit::Yuan, MoneyUnit::Fen, MoneyUnit::YuanInt]),
            rounding in prop::sample::select(vec![Rounding::Exact, Rounding::Floor, Rounding::HalfEven]),
            digits in prop::sample::select(vec![2_u32, 6]),
        ) {
            prop_assume!(x.is_finite());
            let read = |value: RawValue<'_>| {
                let mut money = Money::new(unit, rounding, digits);
                let value = money.cell(value, &mut String::new());
                (value, money.rounded)
            };
            let text = x.to_string();
            prop_assert_eq!(read(RawValue::Real(x)), read(RawValue::Text(&text)), "{}", text);
        }

        /// No text makes the number readers panic.
        #[test]
        fn any_text(text in "\\PC{0,30}") {
            let _ = numeric_prefix(&text);
            let _ = clean_yuan(&text, &mut String::new());
            for engine in Engine::ALL {
                let _ = control_value(engine, RawValue::Text(&text), MoneyUnit::TextYuan, 2);
            }
        }
    }
}
