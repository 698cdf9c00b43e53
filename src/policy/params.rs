//! Parameters: types, values, bounds and who may move them which way.

use std::cmp::Ordering;
use std::fmt;

use chrono::NaiveDate;

use crate::config::Reader;
use crate::config::document::Value;
use crate::query;

/// Type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamType {
    /// Whole number.
    Int,
    /// Money in minor units.
    Fen,
    /// Truth value.
    Flag,
    /// Text.
    Text,
    /// Local date.
    Date,
    /// Decimal of at most eight places, written as text.
    Ratio,
    /// Seconds, minutes or hours.
    Duration,
    /// Days, months or years.
    Period,
    /// Texts, bound as the one-column table `param_NAME(value)`.
    List,
}

const TYPES: [(&str, ParamType); 9] = [
    ("int", ParamType::Int),
    ("fen", ParamType::Fen),
    ("flag", ParamType::Flag),
    ("text", ParamType::Text),
    ("date", ParamType::Date),
    ("ratio", ParamType::Ratio),
    ("duration", ParamType::Duration),
    ("period", ParamType::Period),
    ("list", ParamType::List),
];

impl ParamType {
    /// Words accepted in policy files.
    pub(super) const WORDS: [&'static str; 9] =
        ["int", "fen", "flag", "text", "date", "ratio", "duration", "period", "list"];

    pub(super) fn from_word(word: &str) -> Option<Self> {
        TYPES.iter().find(|(w, _)| *w == word).map(|(_, t)| *t)
    }

    /// The word used in files.
    pub fn word(self) -> &'static str {
        TYPES.iter().find(|(_, t)| *t == self).map_or("", |(w, _)| w)
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Int | Self::Fen => "an integer",
            Self::Flag => "true or false",
            Self::Text => "a text in quotes",
            Self::Date => "a date such as 2026-03-31, without quotes",
            Self::Ratio => "a decimal in quotes such as \"0.05\", at most eight places",
            Self::Duration => "a duration such as \"24 hours\" (seconds, minutes, hours)",
            Self::Period => "a period such as \"5 years\" (days, months, years)",
            Self::List => "a list of texts",
        }
    }
}

/// A valid value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParamValue {
    /// Whole number or money.
    Int(i64),
    /// Truth value.
    Flag(bool),
    /// Text.
    Text(String),
    /// Local date.
    Date(NaiveDate),
    /// Decimal: as written, and in units of 10^-8.
    Ratio(String, i64),
    /// As written, and in seconds.
    Duration(String, i64),
    /// As written, months, days.
    Period(String, i64, i64),
    /// Texts.
    List(Vec<String>),
}

impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(i) => write!(f, "{i}"),
            Self::Flag(b) => write!(f, "{b}"),
            Self::Text(s) | Self::Ratio(s, _) | Self::Duration(s, _) | Self::Period(s, ..) => f.write_str(s),
            Self::Date(d) => write!(f, "{d}"),
            Self::List(items) => f.write_str(&items.join(", ")),
        }
    }
}

impl ParamValue {
    /// Reads the value of `key` as this type; a wrong one is reported there.
    pub(super) fn read(reader: &Reader<'_>, key: &str, ty: ParamType) -> Option<Self> {
        if ty == ParamType::List {
            let is_list = matches!(reader.raw(key)?.get_ref(), Value::Array(_));
            let items = reader.text_list(key);
            return is_list.then_some(Self::List(items));
        }
        let raw = reader.raw(key)?.get_ref();
        let value = match (ty, raw) {
            (ParamType::Int | ParamType::Fen, Value::Int(_)) => reader.opt_int(key).map(Self::Int),
            (ParamType::Flag, Value::Bool(b)) => Some(Self::Flag(*b)),
            (ParamType::Text, Value::Text(s)) => Some(Self::Text(s.to_string())),
            (ParamType::Ratio, Value::Text(s)) => parse_ratio(s).map(|n| Self::Ratio(s.to_string(), n)),
            (ParamType::Duration, Value::Text(s)) => parse_duration(s).map(|n| Self::Duration(s.to_string(), n)),
            (ParamType::Period, Value::Text(s)) => parse_period(s).map(|(m, d)| Self::Period(s.to_string(), m, d)),
            (ParamType::Date, Value::Datetime(d)) if d.time.is_none() => reader.opt_date(key).map(Self::Date),
            _ => None,
        };
        if value.is_none() {
            reader.problem_at(key, format!("`{key}` must be {}", ty.expected()));
        }
        value
    }

    /// The bound value; `None` for lists, which are tables.
    pub(super) fn bound(&self) -> Option<query::Value> {
        Some(match self {
            Self::Int(i) => query::Value::Int(*i),
            Self::Flag(b) => query::Value::Bool(*b),
            Self::Date(d) => query::Value::Date(*d),
            Self::Text(s) | Self::Ratio(s, _) | Self::Duration(s, _) | Self::Period(s, ..) => {
                query::Value::Text(s.clone())
            }
            Self::List(_) => return None,
        })
    }

    /// Which of two values of one type is larger; `None` where that means nothing.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b))
            | (Self::Ratio(_, a), Self::Ratio(_, b))
            | (Self::Duration(_, a), Self::Duration(_, b)) => Some(a.cmp(b)),
            (Self::Date(a), Self::Date(b)) => Some(a.cmp(b)),
            (Self::Flag(a), Self::Flag(b)) => Some(a.cmp(b)),
            (Self::Period(_, m1, d1), Self::Period(_, m2, d2)) => {
                Some(period_weight(*m1, *d1).cmp(&period_weight(*m2, *d2)))
            }
            _ => None,
        }
    }
}

/// Millionths of a day, a month taken as a twelfth of the mean Gregorian year; exact between equal units.
fn period_weight(months: i64, days: i64) -> i128 {
    i128::from(months) * 30_436_875 + i128::from(days) * 1_000_000
}

fn count_and_unit(text: &str) -> Option<(i64, &str)> {
    let (count, unit) = text.split_once(' ')?;
    if count.is_empty() || count.len() > 6 || !count.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((count.parse().ok()?, unit.strip_suffix('s').unwrap_or(unit)))
}

/// Seconds of a duration.
pub(super) fn parse_duration(text: &str) -> Option<i64> {
    let (count, unit) = count_and_unit(text)?;
    match unit {
        "second" => Some(count),
        "minute" => Some(count * 60),
        "hour" => Some(count * 3600),
        _ => None,
    }
}

/// Months and days of a period.
pub(super) fn parse_period(text: &str) -> Option<(i64, i64)> {
    let (count, unit) = count_and_unit(text)?;
    match unit {
        "day" => Some((0, count)),
        "month" => Some((count, 0)),
        "year" => Some((count * 12, 0)),
        _ => None,
    }
}

fn parse_ratio(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let ok = |s: &str, max: usize| !s.is_empty() && s.len() <= max && s.bytes().all(|b| b.is_ascii_digit());
    if !ok(whole, 9) || !ok(fraction, 8) {
        return None;
    }
    let units: i64 = format!("{fraction:0<8}").parse().ok()?;
    Some(sign * (whole.parse::<i64>().ok()? * 100_000_000 + units))
}

/// The day a period before another, clamped to the end of shorter months.
pub(super) fn day_before(day: NaiveDate, months: i64, days: i64) -> NaiveDate {
    u32::try_from(months)
        .ok()
        .and_then(|m| day.checked_sub_months(chrono::Months::new(m)))
        .and_then(|d| d.checked_sub_days(chrono::Days::new(u64::try_from(days).unwrap_or(0))))
        .unwrap_or(NaiveDate::MIN)
}

/// Which way a profile may move a value freely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tighten {
    /// Larger values are stricter.
    Up,
    /// Smaller values are stricter.
    Down,
    /// Neither is.
    Free,
}

/// A bound that only a lawyer may cross.
#[derive(Debug, Clone)]
pub struct LegalBound {
    /// The bound.
    pub value: ParamValue,
    /// Key of the law.
    pub source: String,
}

/// A declared parameter.
#[derive(Debug, Clone)]
pub struct Param {
    /// Its type.
    pub ty: ParamType,
    /// Value unless a profile says otherwise.
    pub default: ParamValue,
    min: Option<ParamValue>,
    max: Option<ParamValue>,
    tighten: Tighten,
    legal_floor: Option<LegalBound>,
    legal_ceiling: Option<LegalBound>,
}

/// What a value is in the light of a parameter's bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// The profile may set it.
    Free,
    /// Only an override may set it.
    Looser,
    /// Below the legal floor: only an override approved by legal.
    BelowFloor,
    /// Above the legal ceiling: only an override approved by legal.
    AboveCeiling,
    /// Outside `min` and `max`: nobody may.
    OutOfRange(String),
}

impl Param {
    pub(super) fn read(reader: &Reader<'_>) -> Option<Self> {
        let ty = ParamType::from_word(reader.one_of("type", &ParamType::WORDS))?;
        if !reader.has("default") {
            reader.problem("missing key `default`");
        }
        let value = |key: &str| if reader.has(key) { ParamValue::read(reader, key, ty) } else { None };
        let legal = |key: &str| {
            let table = reader.opt_table(key)?;
            let value = ParamValue::read(&table, "value", ty);
            let source = table.text("source");
            table.finish();
            Some(LegalBound { value: value?, source })
        };
        let tighten = match reader.opt_one_of("tighten", &["up", "down"]) {
            Some("up") => Tighten::Up,
            Some(_) => Tighten::Down,
            None => Tighten::Free,
        };
        let param = (value("default"), value("min"), value("max"), legal("legal_floor"), legal("legal_ceiling"));
        reader.opt_bilingual("text");
        reader.finish();
        let (default, min, max, legal_floor, legal_ceiling) = param;
        let param = Self { ty, default: default?, min, max, tighten, legal_floor, legal_ceiling };
        match param.standing(&param.default) {
            Standing::Free => {}
            Standing::OutOfRange(text) => reader.problem_at("default", format!("`default` {text}")),
            _ => reader.problem_at("default", "`default` crosses the legal bound"),
        }
        Some(param)
    }

    /// Judges a value that a profile or override wants to set.
    pub(super) fn standing(&self, value: &ParamValue) -> Standing {
        let is = |bound: &ParamValue, ordering| value.order(bound) == Some(ordering);
        if let Some(min) = &self.min
            && is(min, Ordering::Less)
        {
            return Standing::OutOfRange(format!("must be at least {min}, found {value}"));
        }
        if let Some(max) = &self.max
            && is(max, Ordering::Greater)
        {
            return Standing::OutOfRange(format!("must be at most {max}, found {value}"));
        }
        if self.legal_floor.as_ref().is_some_and(|f| is(&f.value, Ordering::Less)) {
            return Standing::BelowFloor;
        }
        if self.legal_ceiling.as_ref().is_some_and(|c| is(&c.value, Ordering::Greater)) {
            return Standing::AboveCeiling;
        }
        let is_looser = match self.tighten {
            Tighten::Up => is(&self.default, Ordering::Less),
            Tighten::Down => is(&self.default, Ordering::Greater),
            Tighten::Free => false,
        };
        if is_looser { Standing::Looser } else { Standing::Free }
    }

    /// The legal bound a value crosses, if any, and whether it is a floor.
    pub(super) fn crossed(&self, value: &ParamValue) -> Option<(&LegalBound, bool)> {
        match self.standing(value) {
            Standing::BelowFloor => self.legal_floor.as_ref().map(|b| (b, true)),
            Standing::AboveCeiling => self.legal_ceiling.as_ref().map(|b| (b, false)),
            _ => None,
        }
    }

    /// Whether the parameter has a legal bound at all.
    pub(super) fn has_legal_bound(&self) -> bool {
        self.legal_floor.is_some() || self.legal_ceiling.is_some()
    }

    /// Keys of laws its bounds name.
    pub(super) fn sources(&self) -> impl Iterator<Item = &str> {
        self.legal_floor.iter().chain(&self.legal_ceiling).map(|b| b.source.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Document;
    use proptest::prelude::*;

    fn param(text: &str) -> Param {
        let document = Document::parse("p.toml", text).expect("toml");
        let param = Param::read(&document.root()).expect("parameter");
        document.into_problems().or(param).expect("no mistakes")
    }

    fn period(text: &str) -> ParamValue {
        let (m, d) = parse_period(text).expect("period");
        ParamValue::Period(text.into(), m, d)
    }

    /// Free upwards, override downwards, a lawyer below the floor, nobody outside the range.
    #[test]
    fn standings() {
        let p = param(
            "type = \"period\"\ndefault = \"5 years\"\nmin = \"1 month\"\nmax = \"30 years\"\ntighten = \"up\"\nlegal_floor = { value = \"6 months\", source = \"CSL\" }\n",
        );
        for (value, expected) in [
            ("5 years", Standing::Free),
            ("60 months", Standing::Free),
            ("30 years", Standing::Free),
            ("59 months", Standing::Looser),
            ("6 months", Standing::Looser),
            ("5 months", Standing::BelowFloor),
            ("30 days", Standing::OutOfRange("must be at least 1 month, found 30 days".into())),
            ("31 years", Standing::OutOfRange("must be at most 30 years, found 31 years".into())),
        ] {
            assert_eq!(p.standing(&period(value)), expected, "{value}");
        }
        assert!(p.crossed(&period("5 months")).is_some_and(|(b, floor)| floor && b.source == "CSL"));
    }

    /// Values that are not exactly of the documented form are refused.
    #[test]
    fn malformed_values() {
        for text in ["", "5", "5years", "five years", "-1 days", "1.5 hours", "5  years", "9999999 days", "1 fortnight"]
        {
            assert!(parse_period(text).is_none() && parse_duration(text).is_none(), "{text}");
        }
        for text in ["", ".5", "1.", "1.123456789", "1e5", "--1", "+1", "0x1"] {
            assert!(parse_ratio(text).is_none(), "{text}");
        }
        assert_eq!(parse_ratio("-0.05"), Some(-5_000_000));
    }

    proptest! {
        /// Comparing ratios as units agrees with comparing the numbers; no text panics.
        #[test]
        fn ratios_order(a in -10_000_000i64..10_000_000, b in -10_000_000i64..10_000_000, junk in ".{0,12}") {
            let text = |n: i64| format!("{}{}.{:04}", if n < 0 { "-" } else { "" }, n.abs() / 10_000, n.abs() % 10_000);
            prop_assert_eq!(parse_ratio(&text(a)).cmp(&parse_ratio(&text(b))), a.cmp(&b));
            let _ = (parse_ratio(&junk), parse_period(&junk), parse_duration(&junk));
        }
    }
}
