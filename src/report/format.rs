//! Printing of amounts and days, and calendar arithmetic over ISO dates.

use chrono::{Datelike as _, Days, Months, NaiveDate};

/// Fen as yuan with thousands separators and two decimals: `-1,234.50`.
pub(super) fn yuan(fen: i64) -> String {
    let magnitude = fen.unsigned_abs();
    let sign = if fen < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", thousands(magnitude / 100), magnitude % 100)
}

/// A count with thousands separators.
pub(super) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The day at the head of an ISO date or instant.
pub(super) fn day(text: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text.get(..10)?, "%Y-%m-%d").ok()
}

/// The day this many days later (or earlier).
pub(super) fn add_days(day: NaiveDate, days: i64) -> NaiveDate {
    let span = Days::new(days.unsigned_abs());
    let moved = if days < 0 { day.checked_sub_days(span) } else { day.checked_add_days(span) };
    moved.unwrap_or(day)
}

/// The day at which a period such as `10 years`, `6 months` or `7 days` ends that began on `from`: the first day is
/// not counted, months and years end on the same day number or the month's last day.
pub(super) fn add_period(from: NaiveDate, period: &str) -> Option<NaiveDate> {
    let (number, unit) = period.trim().split_once(' ')?;
    let number: u32 = number.parse().ok()?;
    match unit.trim_end_matches('s') {
        "year" => from.checked_add_months(Months::new(number.checked_mul(12)?)),
        "month" => from.checked_add_months(Months::new(number)),
        "week" => from.checked_add_days(Days::new(u64::from(number) * 7)),
        "day" => from.checked_add_days(Days::new(u64::from(number))),
        "hour" => from.checked_add_days(Days::new(u64::from(number).div_ceil(24))),
        _ => None,
    }
}

/// Last day of the month.
pub(super) fn month_end(day: NaiveDate) -> NaiveDate {
    day.with_day(1).and_then(|d| d.checked_add_months(Months::new(1))).and_then(|d| d.pred_opt()).unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_counts() {
        assert_eq!(yuan(0), "0.00");
        assert_eq!(yuan(-5), "-0.05");
        assert_eq!(yuan(123_456_789), "1,234,567.89");
        assert_eq!(yuan(i64::MIN), "-92,233,720,368,547,758.08");
        assert_eq!(thousands(1000), "1,000");
    }

    #[test]
    fn periods_end_as_the_civil_code_says() {
        let d = |s| day(s).unwrap();
        assert_eq!(add_period(d("2024-02-29"), "1 year"), Some(d("2025-02-28")));
        assert_eq!(add_period(d("2026-01-31"), "1 months"), Some(d("2026-02-28")));
        assert_eq!(add_period(d("2026-01-31"), "7 days"), Some(d("2026-02-07")));
        assert_eq!(add_period(d("2026-01-31"), "some time"), None);
        assert_eq!(month_end(d("2026-02-03")), d("2026-02-28"));
    }
}
