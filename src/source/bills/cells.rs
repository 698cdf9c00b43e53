//! Money, rates and times as the platforms print them.

use chrono::{Datelike as _, NaiveDate, NaiveDateTime, Timelike as _};

/// Decimal text as millionths, exactly; `None` for anything else, also for more than six digits after the point.
pub(super) fn millionths(text: &str) -> Option<i64> {
    scaled(text, 6)
}

/// Yuan as whole fen, exactly.
pub(super) fn fen(text: &str) -> Option<i64> {
    scaled(text, 2)
}

/// Digits alone, as whole fen.
pub(super) fn fen_digits(text: &str) -> Option<i64> {
    if text.bytes().all(|b| b.is_ascii_digit()) { scaled(text, 0) } else { None }
}

/// `0.60%` as a fraction in units of 10^-8.
pub(super) fn rate_e8(text: &str) -> Option<i64> {
    scaled(text.trim().strip_suffix('%')?, 6)
}

/// A fraction in units of 10^-8 as decimal text without useless zeros.
pub(super) fn rate_text(rate_e8: i64) -> String {
    let sign = if rate_e8 < 0 { "-" } else { "" };
    let magnitude = rate_e8.unsigned_abs();
    let text = format!("{sign}{}.{:08}", magnitude / 100_000_000, magnitude % 100_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Years a bill can be of; other dates are damage, and their number is bounded.
const YEARS: std::ops::Range<u32> = 1990..2200;

/// Local time (UTC+8) as `yyyy-MM-dd HH:mm:ss`; the platforms' older examples print full-width colons.
pub(super) fn time(text: &str) -> Option<NaiveDateTime> {
    match <&[u8; 19]>::try_from(text.as_bytes()) {
        Ok(b) => {
            let is_formed = b[4] == b'-' && b[7] == b'-' && b[10] == b' ' && b[13] == b':' && b[16] == b':';
            if !is_formed {
                return None;
            }
            moment(number(&b[..4])?, [&b[5..7], &b[8..10], &b[11..13], &b[14..16], &b[17..]])
        }
        Err(_) if text.len() < 40 && text.contains('：') => time(&text.replace('：', ":")),
        Err(_) => None,
    }
}

/// Local time of fourteen digits, `yyyyMMddHHmmss`.
pub(super) fn compact_time(text: &[u8]) -> Option<NaiveDateTime> {
    let b = <&[u8; 14]>::try_from(text).ok()?;
    moment(number(&b[..4])?, [&b[4..6], &b[6..8], &b[8..10], &b[10..12], &b[12..]])
}

/// A day of eight digits, `yyyyMMdd`.
pub(super) fn compact_day(text: &[u8]) -> Option<NaiveDate> {
    let b = <&[u8; 8]>::try_from(text).ok()?;
    day(number(&b[..4])?, number(&b[4..6])?, number(&b[6..])?)
}

/// A day of the years bills can be of.
pub(super) fn day(year: u32, month: u32, day: u32) -> Option<NaiveDate> {
    if YEARS.contains(&year) { NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day) } else { None }
}

fn moment(year: u32, rest: [&[u8]; 5]) -> Option<NaiveDateTime> {
    let [month, date, hour, minute, second] = rest.map(number);
    day(year, month?, date?)?.and_hms_opt(hour?, minute?, second?)
}

/// A few decimal digits as a number.
pub(super) fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |n, b| {
        b.is_ascii_digit().then_some(u32::from(b.wrapping_sub(b'0')))?.checked_add(n.checked_mul(10)?)
    })
}

/// `yyyy-MM-ddTHH:mm:ss+08:00`, written into a buffer without allocating. China has had no daylight saving since
/// 1992, before any of these platforms.
pub(super) fn instant(at: NaiveDateTime, out: &mut [u8; 25]) -> &str {
    *out = *b"0000-00-00T00:00:00+08:00";
    let mut put = |from: usize, width: usize, value: u32| {
        let mut rest = value;
        for place in out[from..from + width].iter_mut().rev() {
            *place = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    };
    put(0, 4, at.year().unsigned_abs());
    put(5, 2, at.month());
    put(8, 2, at.day());
    put(11, 2, at.hour());
    put(14, 2, at.minute());
    put(17, 2, at.second());
    std::str::from_utf8(out).unwrap_or_default()
}

/// Decimal text in units of 10^-`digits`, exactly; `None` for anything else.
fn scaled(text: &str, digits: usize) -> Option<i64> {
    let (is_negative, magnitude) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut value: i64 = 0;
    // Digits after the point so far; `None` before it.
    let mut fraction: Option<usize> = None;
    for (i, b) in magnitude.iter().enumerate() {
        match (b, fraction) {
            (b'0'..=b'9', Some(n)) if n >= digits => {
                if *b != b'0' {
                    return None;
                }
            }
            (b'0'..=b'9', _) => {
                value = value.checked_mul(10)?.checked_add(i64::from(b - b'0'))?;
                fraction = fraction.map(|n| n + 1);
            }
            (b'.', None) if i > 0 && i + 1 < magnitude.len() => fraction = Some(0),
            _ => return None,
        }
    }
    if magnitude.is_empty() {
        return None;
    }
    for _ in fraction.unwrap_or(0)..digits {
        value = value.checked_mul(10)?;
    }
    Some(if is_negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exact or nothing.
    #[test]
    fn numbers() {
        for (text, expected) in [
            ("0.01", Some(1)),
            ("0", Some(0)),
            ("0.0", Some(0)),
            ("12.3400", Some(1234)),
            ("-0.02", Some(-2)),
            ("0.001", None),
            ("1,000.00", None),
            ("", None),
            (".5", None),
            ("5.", None),
            ("¥1.00", None),
            ("92233720368547758.08", None),
        ] {
            assert_eq!(fen(text), expected, "{text}");
        }
        assert_eq!(millionths("-0.02000"), Some(-20_000));
        assert_eq!(millionths("0.0000001"), None);
        for (text, expected) in [
            ("0.60%", Some("0.006")),
            ("1.00%", Some("0.01")),
            ("0.54%", Some("0.0054")),
            ("0%", Some("0")),
            ("XXX", None),
        ] {
            assert_eq!(rate_e8(text).map(rate_text).as_deref(), expected, "{text}");
        }
    }

    /// Both forms of the colon, nothing looser; years beyond any bill are damage.
    #[test]
    fn times() {
        assert_eq!(time("2014-11-10 16：33：45"), time("2014-11-10 16:33:45"));
        assert!(time("2014-11-10 16:33:45").is_some());
        for bad in [
            "2014-11-10",
            "2014-13-10 00:00:00",
            "2014-11-10 16:33:45+08",
            "",
            "9014-11-10 16:33:45",
            "2014-11-10T16:33:45",
        ] {
            assert_eq!(time(bad), None, "{bad}");
        }
        assert_eq!(compact_time(b"20141110163345"), time("2014-11-10 16:33:45"));
        assert_eq!(compact_time(b"2014111016334x"), None);
        assert_eq!(compact_day(b"20150905"), NaiveDate::from_ymd_opt(2015, 9, 5));
        let mut buffer = [0; 25];
        assert_eq!(instant(time("2014-11-10 16:33:45").unwrap(), &mut buffer), "2014-11-10T16:33:45+08:00");
    }
}
