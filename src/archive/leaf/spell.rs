//! Values as the texts of a leaf: digits, dates, instants, JSON strings, hex.

const HEX: &[u8; 16] = b"0123456789abcdef";

pub(super) fn write_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.chunks(32) {
        let mut text = [0_u8; 64];
        for (pair, b) in text.chunks_exact_mut(2).zip(chunk) {
            pair[0] = HEX[usize::from(b >> 4)];
            pair[1] = HEX[usize::from(b & 15)];
        }
        out.extend_from_slice(&text[..2 * chunk.len()]);
    }
}

/// Decimal digits of `magnitude`, the last `scale` of them after a point, at least one before it; never `-0`.
pub(super) fn write_integer(out: &mut Vec<u8>, is_negative: bool, magnitude: u128, scale: u32) {
    match u64::try_from(magnitude) {
        Ok(small) if scale == 0 => write_whole(out, is_negative, small),
        _ => write_scaled(out, is_negative, magnitude, scale),
    }
}

/// Nearly all numbers: no point, and a division of machine size.
fn write_whole(out: &mut Vec<u8>, is_negative: bool, magnitude: u64) {
    let mut digits = [0_u8; 21];
    let mut at = digits.len();
    let mut rest = magnitude;
    while rest >= 100 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&two((rest % 100) as u32));
        rest /= 100;
    }
    if rest >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&two(rest as u32));
    } else {
        at -= 1;
        digits[at] = b'0' + rest as u8;
    }
    if is_negative && magnitude > 0 {
        at -= 1;
        digits[at] = b'-';
    }
    out.extend_from_slice(&digits[at..]);
}

fn write_scaled(out: &mut Vec<u8>, is_negative: bool, magnitude: u128, scale: u32) {
    let mut digits = [0_u8; 42];
    let mut at = digits.len();
    let mut rest = magnitude;
    let mut written = 0;
    while rest > 0 || written <= scale {
        if written == scale && scale > 0 {
            at -= 1;
            digits[at] = b'.';
        }
        at -= 1;
        // 64-bit division is several times faster than 128-bit; nearly all values take this path.
        let digit = match u64::try_from(rest) {
            Ok(small) => {
                rest = u128::from(small / 10);
                small % 10
            }
            Err(_) => {
                let digit = rest % 10;
                rest /= 10;
                digit as u64
            }
        };
        digits[at] = b'0' + digit as u8;
        written += 1;
    }
    if is_negative && magnitude > 0 {
        at -= 1;
        digits[at] = b'-';
    }
    out.extend_from_slice(&digits[at..]);
}

/// The last two decimal digits.
fn two(value: u32) -> [u8; 2] {
    [b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]
}

/// Days since 1970-01-01 as `YYYY-MM-DD` (proleptic Gregorian calendar, years 1 to 9999).
fn date(days: i64) -> Result<[u8; 10], &'static str> {
    // 0001-01-01 and 9999-12-31 as days since 1970-01-01.
    if !(-719_162..=2_932_896).contains(&days) {
        return Err("the date is not within the years 1 to 9999");
    }
    // Count in eras of 400 years that begin on 1 March, so that the leap day is the last day of a year. Nothing is
    // negative here, and 32 bits are divided faster.
    let shifted = (days + 719_468) as u32;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u32::from(month <= 2);
    let ([y0, y1], [y2, y3]) = (two(year / 100), two(year));
    let ([m0, m1], [d0, d1]) = (two(month), two(day));
    Ok([y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1])
}

/// Days since 1970-01-01 as `YYYY-MM-DD`.
pub(super) fn write_date(out: &mut Vec<u8>, days: i64) -> Result<(), &'static str> {
    out.extend_from_slice(&date(days)?);
    Ok(())
}

/// Microseconds since the epoch as `YYYY-MM-DDTHH:MM:SS.ffffff`.
pub(super) fn write_instant(out: &mut Vec<u8>, micros: i64) -> Result<(), &'static str> {
    const DAY: i64 = 86_400_000_000;
    let date = date(micros.div_euclid(DAY)).map_err(|_| "the instant is not within the years 1 to 9999")?;
    let rest = micros.rem_euclid(DAY).unsigned_abs();
    let (seconds, micros) = ((rest / 1_000_000) as u32, (rest % 1_000_000) as u32);
    let mut text = *b"0000-00-00T00:00:00.000000";
    text[..10].copy_from_slice(&date);
    for (at, value) in [
        (11, seconds / 3_600),
        (14, seconds / 60 % 60),
        (17, seconds % 60),
        (20, micros / 10_000),
        (22, micros / 100),
        (24, micros),
    ] {
        text[at..at + 2].copy_from_slice(&two(value));
    }
    out.extend_from_slice(&text);
    Ok(())
}

fn is_escaped(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// A JSON string as RFC 8785 writes it: escapes only where JSON demands, short forms where they exist.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    // Looked at without stopping at the first hit, many bytes are looked at at once.
    if bytes.iter().fold(false, |found, b| found | is_escaped(*b)) {
        write_escaped(out, bytes);
    } else {
        out.extend_from_slice(bytes);
    }
    out.push(b'"');
}

fn write_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut copied = 0;
    for (i, b) in bytes.iter().enumerate().filter(|(_, b)| is_escaped(**b)) {
        out.extend_from_slice(&bytes[copied..i]);
        copied = i + 1;
        match b {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x09 => out.extend_from_slice(b"\\t"),
            0x0a => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            0x0d => out.extend_from_slice(b"\\r"),
            control => {
                out.extend_from_slice(b"\\u00");
                write_hex(out, &[*control]);
            }
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Dates and instants are spelled as chrono spells them.
        #[test]
        fn dates_and_instants(micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000_i64) {
            let mut out = Vec::new();
            write_instant(&mut out, micros).unwrap();
            let expected = DateTime::from_timestamp_micros(micros).unwrap().format("%Y-%m-%dT%H:%M:%S%.6f").to_string();
            prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
        }

        /// Text is escaped as serde_json escapes it, which follows the same rules.
        #[test]
        fn texts(text in "\\PC*|[\\x00-\\x7f]*") {
            let mut out = Vec::new();
            write_text(&mut out, &text);
            prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
        }

        /// The short way of whole numbers and the long one agree.
        #[test]
        fn whole_numbers(value in any::<i64>(), digits in 0_u32..20) {
            let value = value / 10_i64.checked_pow(digits).unwrap_or(i64::MAX);
            let (mut short, mut long) = (Vec::new(), Vec::new());
            write_integer(&mut short, value < 0, u128::from(value.unsigned_abs()), 0);
            write_scaled(&mut long, value < 0, u128::from(value.unsigned_abs()), 0);
            prop_assert_eq!(&short, &long);
            prop_assert_eq!(String::from_utf8(short).unwrap(), value.to_string());
        }

        /// Bytes in hex, whatever their number.
        #[test]
        fn hex(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut out = Vec::new();
            write_hex(&mut out, &bytes);
            prop_assert_eq!(String::from_utf8(out).unwrap(), data_encoding::HEXLOWER.encode(&bytes));
        }
    }

    /// Numbers at their limits.
    #[test]
    fn numbers() {
        let number = |negative, magnitude, scale| {
            let mut out = Vec::new();
            write_integer(&mut out, negative, magnitude, scale);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(number(false, 0, 0), "0");
        assert_eq!(number(true, 0, 2), "0.00");
        assert_eq!(number(true, 5, 2), "-0.05");
        assert_eq!(number(true, u128::from(i64::MIN.unsigned_abs()), 0), "-9223372036854775808");
        assert_eq!(number(true, i128::MIN.unsigned_abs(), 38), "-1.70141183460469231731687303715884105728");
        let mut out = Vec::new();
        assert!(write_date(&mut out, 2_932_897).is_err());
        assert!(write_date(&mut out, -719_163).is_err());
        write_date(&mut out, -719_162).unwrap();
        write_date(&mut out, 2_932_896).unwrap();
        assert_eq!(out, b"0001-01-019999-12-31");
    }
}
