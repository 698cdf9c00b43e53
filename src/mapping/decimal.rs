//! Exact decimal text to scaled integers. No floating point: what is below the unit is reported, never dropped.

/// How the digits below the unit compare with half a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// There are none (or only zeros).
    None,
    /// Less than half.
    Below,
    /// Exactly half.
    Half,
    /// More than half.
    Above,
}

/// A decimal number in units of 10^-scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scaled {
    pub(super) negative: bool,
    pub(super) magnitude: u128,
    pub(super) rest: Rest,
}

/// Why a text is no usable number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DecimalError {
    /// Not `[+-]digits[.digits]`.
    Malformed,
    /// Too many digits to hold.
    Overflow,
}

/// What to do with digits below the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounding {
    /// Refuse them.
    Exact,
    /// Towards minus infinity.
    Floor,
    /// To the nearest unit, halves to the even one.
    HalfEven,
}

/// Reads `[+-]digits[.digits]`, nothing else: no spaces, no exponent, no grouping.
pub(super) fn parse(text: &str, scale: u32) -> Result<Scaled, DecimalError> {
    let bytes = text.as_bytes();
    let (negative, digits) = match bytes.first() {
        Some(b'-') => (true, &bytes[1..]),
        Some(b'+') => (false, &bytes[1..]),
        _ => (false, bytes),
    };
    let point = digits.iter().position(|b| *b == b'.').unwrap_or(digits.len());
    let (whole, fraction) = (&digits[..point], digits.get(point + 1..).unwrap_or_default());
    let has_point = point < digits.len();
    if whole.is_empty() || (has_point && fraction.is_empty()) || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return Err(DecimalError::Malformed);
    }
    let mut magnitude: u128 = 0;
    let mut push = |digit: u8| -> Result<(), DecimalError> {
        magnitude = magnitude
            .checked_mul(10)
            .and_then(|m| m.checked_add(u128::from(digit - b'0')))
            .ok_or(DecimalError::Overflow)?;
        Ok(())
    };
    for digit in whole {
        push(*digit)?;
    }
    let scale = scale as usize;
    for i in 0..scale {
        push(fraction.get(i).copied().unwrap_or(b'0'))?;
    }
    let dropped = fraction.get(scale..).unwrap_or_default();
    let rest = match dropped.first() {
        None => Rest::None,
        Some(first) => {
            let tail = dropped[1..].iter().any(|d| *d != b'0');
            match (*first, tail) {
                (b'0', false) => Rest::None,
                (b'5', false) => Rest::Half,
                (b'0'..=b'4', _) => Rest::Below,
                _ => Rest::Above,
            }
        }
    };
    Ok(Scaled { negative, magnitude, rest })
}

impl Scaled {
    /// The value as an integer; `None` when digits would be lost and rounding is exact, or when it does not fit.
    pub(super) fn round(self, rounding: Rounding) -> Option<i128> {
        let up = match (self.rest, rounding) {
            (Rest::None, _) => false,
            (_, Rounding::Exact) => return None,
            (_, Rounding::Floor) => self.negative,
            (Rest::Below, Rounding::HalfEven) => false,
            (Rest::Half, Rounding::HalfEven) => self.magnitude % 2 == 1,
            (Rest::Above, Rounding::HalfEven) => true,
        };
        let magnitude = i128::try_from(self.magnitude).ok()?.checked_add(i128::from(up))?;
        Some(if self.negative { -magnitude } else { magnitude })
    }
}

/// The decimal number a text begins with, as `CAST` of the database engines sees it: `12.5abc`, ` -3e2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) is_negative: bool,
    /// Digits without point and leading zeros.
    digits: Vec<u8>,
    /// Where the point stands, counted from the first digit; may lie outside.
    point: i64,
}

/// More digits before the point than any amount has; the number counts as too large.
const WHOLE_DIGITS_MAX: i64 = 22;

impl Prefix {
    /// `None` when the text does not begin with a number.
    pub(super) fn of(text: &str) -> Option<Self> {
        let text = text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
        let (is_negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let run = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
        let whole = run(rest);
        let mut digits = rest.as_bytes()[..whole].to_vec();
        let mut rest = &rest[whole..];
        if let Some(after) = rest.strip_prefix('.') {
            let fraction = run(after);
            digits.extend_from_slice(&after.as_bytes()[..fraction]);
            rest = &after[fraction..];
        }
        if digits.is_empty() {
            return None;
        }
        let exponent = rest.strip_prefix(['e', 'E']).and_then(|rest| {
            let (sign, rest) = match rest.strip_prefix('-') {
                Some(rest) => (-1, rest),
                None => (1, rest.strip_prefix('+').unwrap_or(rest)),
            };
            // Three digits, as the control statements read them; more would be out of any range.
            rest[..run(rest).min(3)].parse::<i64>().ok().map(|e| sign * e)
        });
        let zeros = digits.iter().take_while(|d| **d == b'0').count();
        digits.drain(..zeros);
        let point = whole as i64 - zeros as i64 + exponent.unwrap_or(0);
        Some(Self { is_negative, digits, point })
    }

    /// The magnitude in units of 10^-places, rounded half away from zero; `None` when it is out of any range.
    pub(super) fn half_away(&self, places: u32) -> Option<i128> {
        if self.digits.is_empty() {
            return Some(0);
        }
        if self.point > WHOLE_DIGITS_MAX {
            return None;
        }
        let end = self.point + i64::from(places);
        let mut magnitude: i128 = 0;
        for i in 0..end.max(0) {
            let digit = usize::try_from(i).ok().and_then(|i| self.digits.get(i)).copied().unwrap_or(b'0');
            magnitude = magnitude.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        }
        let next = usize::try_from(end).ok().and_then(|i| self.digits.get(i)).copied().unwrap_or(b'0');
        Some(magnitude + i128::from(next >= b'5'))
    }

    /// Whether the magnitude is at most this whole number.
    pub(super) fn at_most(&self, limit: i128) -> bool {
        if self.digits.is_empty() || self.point <= 0 {
            return true;
        }
        let whole = usize::try_from(self.point.min(WHOLE_DIGITS_MAX + 1)).unwrap_or(usize::MAX);
        if self.point > WHOLE_DIGITS_MAX {
            return false;
        }
        let value = (0..whole).try_fold(0_i128, |n, i| {
            let digit = self.digits.get(i).copied().unwrap_or(b'0');
            n.checked_mul(10)?.checked_add(i128::from(digit - b'0'))
        });
        let has_rest = self.digits.get(whole..).is_some_and(|rest| rest.iter().any(|d| *d != b'0'));
        value.is_some_and(|v| v < limit || (v == limit && !has_rest))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str, scale: u32, rounding: Rounding) -> Option<i128> {
        parse(text, scale).ok()?.round(rounding)
    }

    /// Numbers that texts begin with, rounded as the engines round decimals.
    #[test]
    fn prefixes() {
        for (text, places, value) in [
            ("12.345abc", 2, Some(1235)),
            (" -0.005", 2, Some(1)),
            ("0.0049999", 2, Some(0)),
            ("1e3", 2, Some(100_000)),
            ("5e-3", 2, Some(1)),
            ("4e-3", 2, Some(0)),
            (".5", 0, Some(1)),
            ("000.10", 2, Some(10)),
            ("0", 2, Some(0)),
            ("1e30", 2, None),
        ] {
            assert_eq!(Prefix::of(text).expect("a number").half_away(places), value, "{text}");
        }
        assert_eq!(Prefix::of("abc"), None);
        assert_eq!(Prefix::of("-"), None);
        for (text, limit, expected) in [
            ("10", 10, true),
            ("10.0", 10, true),
            ("10.01", 10, false),
            ("1e1", 10, true),
            ("0.5", 10, true),
            ("1e40", 10, false),
        ] {
            assert_eq!(Prefix::of(text).expect("a number").at_most(limit), expected, "{text}");
        }
    }

    #[test]
    fn exact_values_and_refusals() {
        assert_eq!(at("19.99", 2, Rounding::Exact), Some(1999));
        assert_eq!(at("-0.10", 2, Rounding::Exact), Some(-10));
        assert_eq!(at("+7", 2, Rounding::Exact), Some(700));
        assert_eq!(at("1.2300", 2, Rounding::Exact), Some(123));
        assert_eq!(at("1.234", 2, Rounding::Exact), None);
        for bad in ["", "-", ".", "1.", ".5", "1e3", " 1", "1 ", "1,000", "0x10", "１", "--1", "1.2.3", "NaN"] {
            assert_eq!(parse(bad, 2), Err(DecimalError::Malformed), "{bad}");
        }
        assert_eq!(parse(&"9".repeat(60), 2), Err(DecimalError::Overflow));
    }

    #[test]
    fn rounding_directions() {
        for (text, floor, half_even) in [
            ("0.005", 0, 0),
            ("0.015", 1, 2),
            ("0.0151", 1, 2),
            ("0.0149", 1, 1),
            ("-0.001", -1, 0),
            ("-0.015", -2, -2),
            ("-0.025", -3, -2),
            ("2.30000", 230, 230),
        ] {
            assert_eq!(at(text, 2, Rounding::Floor), Some(floor), "{text}");
            assert_eq!(at(text, 2, Rounding::HalfEven), Some(half_even), "{text}");
        }
    }

    proptest! {
        /// Every amount in fen, printed as yuan, comes back as itself.
        #[test]
        fn yuan_text_round_trips(fen in -1_000_000_000_000_000_i64..=1_000_000_000_000_000) {
            let sign = if fen < 0 { "-" } else { "" };
            let text = format!("{sign}{}.{:02}", fen.unsigned_abs() / 100, fen.unsigned_abs() % 100);
            prop_assert_eq!(at(&text, 2, Rounding::Exact), Some(i128::from(fen)));
        }

        /// Both roundings stay within one unit of the exact value, computed independently at a finer scale.
        #[test]
        fn rounding_is_near(millionths in -10_000_000_000_i64..=10_000_000_000) {
            let sign = if millionths < 0 { "-" } else { "" };
            let m = millionths.unsigned_abs();
            let text = format!("{sign}{}.{:06}", m / 1_000_000, m % 1_000_000);
            let floor = at(&text, 2, Rounding::Floor).expect("fits");
            let even = at(&text, 2, Rounding::HalfEven).expect("fits");
            prop_assert_eq!(floor, i128::from(millionths.div_euclid(10_000)));
            prop_assert!((even * 10_000 - i128::from(millionths)).abs() <= 5_000);
        }

        /// No text makes the parser panic.
        #[test]
        fn any_text(text in "\\PC{0,60}", scale in 0_u32..9) {
            let _ = parse(&text, scale);
        }
    }
}
