//! PostgreSQL's binary values as cells.
//!
//! The layouts are those of the server's `*send` functions (PostgreSQL documentation, "Frontend/Backend Protocol" and
//! `COPY`, binary format). Every type that is not here is read as the text the server makes of it, so nothing is lost
//! and nothing is guessed.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::rows::{RawColumn, RawValue};
use crate::source::civil::{push_day, push_time};

const MICROS_A_DAY: i64 = 86_400_000_000;
/// What [`push_day`] writes behind a year before the common era.
const ERA: &str = " BC";

/// How the bytes of a column are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    Text,
    Jsonb,
    Bytes,
    Uuid,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Inet,
    Cidr,
}

impl Layout {
    /// The layout of a built-in type by its OID (`pg_type.dat`); `None` for everything the server should print.
    pub(super) fn of(oid: u32) -> Option<Self> {
        Some(match oid {
            16 => Self::Bool,
            17 => Self::Bytes,
            20 => Self::Int8,
            21 => Self::Int2,
            23 => Self::Int4,
            26 => Self::Oid,
            // name, text, json, unknown, bpchar, varchar
            19 | 25 | 114 | 705 | 1042 | 1043 => Self::Text,
            650 => Self::Cidr,
            700 => Self::Float4,
            701 => Self::Float8,
            869 => Self::Inet,
            1082 => Self::Date,
            1083 => Self::Time,
            1114 => Self::Timestamp,
            1184 => Self::TimestampTz,
            1700 => Self::Numeric,
            2950 => Self::Uuid,
            3802 => Self::Jsonb,
            _ => return None,
        })
    }

    /// Appends the cell; `scratch` is any buffer. `None` when the bytes do not have the form of the type.
    pub(super) fn push(self, bytes: &[u8], column: &mut RawColumn, scratch: &mut String) -> Option<()> {
        scratch.clear();
        match self {
            Self::Bool => column.push(RawValue::Int(i64::from(*bytes.first()? != 0))),
            Self::Int2 => column.push(RawValue::Int(i64::from(i16::from_be_bytes(fixed(bytes)?)))),
            Self::Int4 => column.push(RawValue::Int(i64::from(i32::from_be_bytes(fixed(bytes)?)))),
            Self::Int8 => column.push(RawValue::Int(i64::from_be_bytes(fixed(bytes)?))),
            Self::Oid => column.push(RawValue::Int(i64::from(u32::from_be_bytes(fixed(bytes)?)))),
            // The shortest text of the single-precision number, not the digits of its neighbour in double precision.
            Self::Float4 => {
                let single = f32::from_be_bytes(fixed(bytes)?);
                let _ = write!(scratch, "{single}");
                column.push(RawValue::Real(scratch.parse().ok()?));
            }
            Self::Float8 => column.push(RawValue::Real(f64::from_be_bytes(fixed(bytes)?))),
            Self::Numeric => {
                numeric(bytes, scratch)?;
                column.push(RawValue::Text(scratch));
            }
            Self::Text => column.push(text(bytes)),
            // One byte of version before the text.
            Self::Jsonb => column.push(text(bytes.get(1..)?)),
            Self::Bytes => column.push(RawValue::Bytes(bytes)),
            Self::Uuid => {
                for (i, byte) in fixed::<16>(bytes)?.iter().enumerate() {
                    if matches!(i, 4 | 6 | 8 | 10) {
                        scratch.push('-');
                    }
                    let _ = write!(scratch, "{byte:02x}");
                }
                column.push(RawValue::Text(scratch));
            }
            Self::Date => {
                date(i32::from_be_bytes(fixed(bytes)?), scratch);
                column.push(RawValue::Text(scratch));
            }
            Self::Time => {
                push_time(scratch, u64::try_from(i64::from_be_bytes(fixed(bytes)?)).ok()?);
                column.push(RawValue::Text(scratch));
            }
            Self::Inet | Self::Cidr => {
                address(bytes, self == Self::Cidr, scratch)?;
                column.push(RawValue::Text(scratch));
            }
            Self::Timestamp | Self::TimestampTz => {
                let is_finite = timestamp(i64::from_be_bytes(fixed(bytes)?), scratch);
                if is_finite && self == Self::TimestampTz {
                    scratch.push_str("+00:00");
                }
                column.push(RawValue::Text(scratch));
            }
        }
        Some(())
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

/// A database in SQL_ASCII may hold text that is not UTF-8; the mapping quarantines it.
fn text(bytes: &[u8]) -> RawValue<'_> {
    std::str::from_utf8(bytes).map_or(RawValue::Bytes(bytes), RawValue::Text)
}

/// Family, bits of the mask, kind, length, bytes; the mask is printed where it does not name one host.
fn address(bytes: &[u8], has_mask: bool, out: &mut String) -> Option<()> {
    let [family, bits, _, length, address @ ..] = bytes else { return None };
    let address: IpAddr = match (family, length) {
        (2, 4) => fixed::<4>(address)?.into(),
        (3, 16) => fixed::<16>(address)?.into(),
        _ => return None,
    };
    let _ = write!(out, "{address}");
    if has_mask || *bits != if address.is_ipv4() { 32 } else { 128 } {
        let _ = write!(out, "/{bits}");
    }
    Some(())
}

/// Days after 2000-01-01; the two ends of the range mean infinity.
fn date(days: i32, out: &mut String) {
    match days {
        i32::MAX => out.push_str("infinity"),
        i32::MIN => out.push_str("-infinity"),
        days => {
            push_day(out, i64::from(days));
        }
    }
}

/// Microseconds after 2000-01-01; false for the two infinities.
fn timestamp(micros: i64, out: &mut String) -> bool {
    match micros {
        i64::MAX => out.push_str("infinity"),
        i64::MIN => out.push_str("-infinity"),
        micros => {
            push_day(out, micros.div_euclid(MICROS_A_DAY));
            // The era stands behind the time, not behind the day.
            let is_before = out.ends_with(ERA);
            if is_before {
                out.truncate(out.len() - ERA.len());
            }
            out.push(' ');
            push_time(out, u64::try_from(micros.rem_euclid(MICROS_A_DAY)).unwrap_or(0));
            if is_before {
                out.push_str(ERA.trim_start());
            }
            return !is_before;
        }
    }
    false
}

/// A group of up to four digits, with its leading zeros or without.
fn push_group(out: &mut String, group: u16, is_padded: bool) {
    if group > 9_999 {
        // No server sends that; it is written as the number it is.
        let _ = write!(out, "{group}");
        return;
    }
    let mut is_shown = is_padded;
    for power in [1_000, 100, 10, 1] {
        let digit = group / power % 10;
        is_shown |= digit > 0 || power == 1;
        if is_shown {
            out.push(char::from(b'0' + digit as u8));
        }
    }
}

/// A number in groups of four digits: count, weight of the first, sign, digits shown after the point, groups.
fn numeric(bytes: &[u8], out: &mut String) -> Option<()> {
    let word = |i: usize| Some(u16::from_be_bytes([*bytes.get(2 * i)?, *bytes.get(2 * i + 1)?]));
    let count = usize::from(word(0)?);
    let weight = i32::from(i16::from_be_bytes(word(1)?.to_be_bytes()));
    let shown = usize::from(word(3)?);
    match word(2)? {
        0x0000 => {}
        0x4000 => out.push('-'),
        special => {
            out.push_str(match special {
                0xc000 => "NaN",
                0xd000 => "Infinity",
                0xf000 => "-Infinity",
                _ => return None,
            });
            return Some(());
        }
    }
    let group = |i: i32| usize::try_from(i).ok().filter(|i| *i < count).map_or(Some(0), |i| word(4 + i));
    if weight < 0 {
        out.push('0');
    }
    for i in 0..=weight {
        push_group(out, group(i)?, i > 0);
    }
    if shown > 0 {
        out.push('.');
        let start = out.len();
        let mut i = weight + 1;
        while out.len() - start < shown {
            push_group(out, group(i)?, true);
            i += 1;
        }
        out.truncate(start + shown);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(layout: Layout, bytes: &[u8]) -> Option<String> {
        let mut column = RawColumn::default();
        layout.push(bytes, &mut column, &mut String::new())?;
        Some(match column.get(0) {
            RawValue::Null => "null".into(),
            RawValue::Int(i) => i.to_string(),
            RawValue::Real(x) => x.to_string(),
            RawValue::Text(t) => t.to_owned(),
            RawValue::Bytes(b) => format!("{b:?}"),
        })
    }

    fn groups(weight: i16, sign: u16, shown: u16, digits: &[u16]) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(u16::try_from(digits.len()).expect("few").to_be_bytes());
        out.extend(weight.to_be_bytes());
        out.extend(sign.to_be_bytes());
        out.extend(shown.to_be_bytes());
        digits.iter().for_each(|d| out.extend(d.to_be_bytes()));
        out
    }

    /// Numbers of any length come out digit by digit; nothing goes through a machine number.
    #[test]
    fn numerics() {
        for (bytes, text) in [
            (groups(0, 0, 2, &[19, 9900]), "19.99"),
            (groups(-1, 0x4000, 4, &[50]), "-0.0050"),
            (groups(-2, 0, 8, &[1]), "0.00000001"),
            (groups(1, 0, 0, &[1]), "10000"),
            (groups(0, 0, 0, &[]), "0"),
            (groups(0, 0, 3, &[]), "0.000"),
            (groups(2, 0, 1, &[1234, 5, 678, 9000]), "123400050678.9"),
            (groups(0, 0xc000, 0, &[]), "NaN"),
        ] {
            assert_eq!(read(Layout::Numeric, &bytes).as_deref(), Some(text));
        }
        assert_eq!(read(Layout::Numeric, &[0, 1, 0]), None);
    }

    /// Instants, days and the two infinities.
    #[test]
    fn times() {
        let micros = |m: i64| m.to_be_bytes();
        assert_eq!(read(Layout::Timestamp, &micros(0)).as_deref(), Some("2000-01-01 00:00:00"));
        assert_eq!(read(Layout::TimestampTz, &micros(-1)).as_deref(), Some("1999-12-31 23:59:59.999999+00:00"));
        assert_eq!(read(Layout::Timestamp, &micros(i64::MAX)).as_deref(), Some("infinity"));
        assert_eq!(read(Layout::Date, &i32::MIN.to_be_bytes()).as_deref(), Some("-infinity"));
        assert_eq!(read(Layout::Date, &9556_i32.to_be_bytes()).as_deref(), Some("2026-03-01"));
        assert_eq!(read(Layout::Float4, &0.1_f32.to_be_bytes()).as_deref(), Some("0.1"));
        assert_eq!(read(Layout::Bool, &[1]).as_deref(), Some("1"));
        assert_eq!(read(Layout::Jsonb, b"\x01{\"a\":1}").as_deref(), Some("{\"a\":1}"));
        assert_eq!(read(Layout::Int8, &[1, 2]), None);
    }

    proptest::proptest! {
        /// Bytes that are no value of the type are refused, whatever they are.
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..40)) {
            for oid in [650, 869, 16, 17, 19, 20, 21, 23, 26, 700, 701, 1082, 1083, 1114, 1184, 1700, 2950, 3802] {
                let _ = Layout::of(oid).map(|layout| read(layout, &bytes));
            }
        }
    }
}
