//! Dates and times as the texts that mappings read: `2026-03-01`, `08:00:00`, `08:00:00.123`.

use chrono::{Datelike as _, NaiveDate};

const MICROS_A_SECOND: u64 = 1_000_000;
const DAYS_1970_TO_2000: i64 = 10_957;

/// Appends `2026-03-01`; zero months and days, which MySQL may hold, are written as they are.
pub(super) fn push_date(out: &mut String, year: u32, month: u32, day: u32) {
    push_padded(out, year, 4);
    out.push('-');
    push_padded(out, month, 2);
    out.push('-');
    push_padded(out, day, 2);
}

/// Appends the day that lies so many days after 2000-01-01; false when no calendar holds it.
///
/// Years before the common era are written as PostgreSQL writes them, with ` BC` behind; no conversion reads that, so
/// such rows are set aside rather than misread.
pub(super) fn push_day(out: &mut String, days_after_2000: i64) -> bool {
    let day = days_after_2000.checked_add(DAYS_1970_TO_2000).and_then(|days| i32::try_from(days).ok());
    let Some(day) = day.and_then(NaiveDate::from_epoch_days) else { return false };
    match u32::try_from(day.year()) {
        Ok(year) if year > 0 => push_date(out, year, day.month(), day.day()),
        _ => {
            let year = u32::try_from(1 - i64::from(day.year())).unwrap_or(u32::MAX);
            push_date(out, year, day.month(), day.day());
            out.push_str(" BC");
        }
    }
    true
}

/// Appends `08:00:00`, with six digits after the point where there are any.
pub(super) fn push_time(out: &mut String, micros_of_day: u64) {
    let seconds = micros_of_day / MICROS_A_SECOND;
    push_clock(
        out,
        u32::try_from(seconds / 3600).unwrap_or(u32::MAX),
        u32::try_from(seconds / 60 % 60).unwrap_or(0),
        u32::try_from(seconds % 60).unwrap_or(0),
        u32::try_from(micros_of_day % MICROS_A_SECOND).unwrap_or(0),
    );
}

/// Appends hours, minutes, seconds and microseconds; hours may have more than two digits.
pub(super) fn push_clock(out: &mut String, hours: u32, minutes: u32, seconds: u32, micros: u32) {
    push_padded(out, hours, 2);
    out.push(':');
    push_padded(out, minutes, 2);
    out.push(':');
    push_padded(out, seconds, 2);
    if micros > 0 {
        out.push('.');
        push_padded(out, micros, 6);
    }
}

fn push_padded(out: &mut String, value: u32, width: u32) {
    let two = |value: u32| [b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8].map(char::from);
    match width {
        2 if value < 100 => return out.extend(two(value)),
        4 if value < 10_000 => {
            out.extend(two(value / 100));
            return out.extend(two(value));
        }
        _ => {}
    }
    let mut power = 10_u32.pow(width - 1);
    while value / power >= 10 {
        match power.checked_mul(10) {
            Some(next) => power = next,
            None => break,
        }
    }
    while power > 0 {
        out.push(char::from_digit(value / power % 10, 10).unwrap_or('0'));
        power /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days and clocks come out as people write them, zero dates as they stand.
    #[test]
    fn civil_texts() {
        let mut out = String::new();
        push_date(&mut out, 0, 0, 0);
        push_clock(&mut out, 838, 59, 59, 120);
        assert_eq!(out, "0000-00-00838:59:59.000120");
        for (days, text) in [(0, "2000-01-01"), (-1, "1999-12-31"), (9556, "2026-03-01"), (-730_120, "0001-12-31 BC")] {
            out.clear();
            let is_day = push_day(&mut out, days);
            assert!(is_day, "{days}");
            assert_eq!(out, text);
        }
        out.clear();
        assert!(!push_day(&mut out, i64::MAX));
        push_time(&mut out, 86_399_000_001);
        assert_eq!(out, "23:59:59.000001");
    }
}
