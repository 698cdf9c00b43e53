//! Money, rates and times as WeChat Pay prints them.

use chrono::NaiveDateTime;

/// Decimal text as millionths, exactly; `None` for anything else, also for more than six digits after the point.
pub(super) fn millionths(text: &str) -> Option<i64> {
    scaled(text, 6)
}

/// Yuan as whole fen, exactly.
pub(super) fn fen(text: &str) -> Option<i64> {
    scaled(text, 2)
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

/// Local time (UTC+8); the platform's older examples print full-width colons.
pub(super) fn time(text: &str) -> Option<NaiveDateTime> {
    let parse = |t: &str| NaiveDateTime::parse_from_str(t, "%Y-%m-%d %H:%M:%S").ok();
    if text.contains('：') { parse(&text.replace('：', ":")) } else { parse(text) }
}

fn scaled(text: &str, digits: usize) -> Option<i64> {
    let (is_negative, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
    let is_number = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) || magnitude.ends_with('.') {
        return None;
    }
    let (kept, rest) = fraction.split_at(fraction.len().min(digits));
    if rest.bytes().any(|b| b != b'0') {
        return None;
    }
    let mut value: i64 = 0;
    let padding = std::iter::repeat_n(b'0', digits - kept.len());
    for digit in whole.bytes().chain(kept.bytes()).chain(padding) {
        value = value.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
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

    /// Both forms of the colon, nothing looser.
    #[test]
    fn times() {
        assert_eq!(time("2014-11-10 16：33：45"), time("2014-11-10 16:33:45"));
        assert!(time("2014-11-10 16:33:45").is_some());
        for bad in ["2014-11-10", "2014-13-10 00:00:00", "2014-11-10 16:33:45+08", ""] {
            assert_eq!(time(bad), None, "{bad}");
        }
    }
}
