//! Values of MySQL's binary protocol as cells.
//!
//! The layouts are those of the "binary protocol result set" of the MySQL and MariaDB documentation. Times become
//! text here and not through a date type, because the engine holds what no calendar does: `0000-00-00`, `2025-00-15`,
//! `838:59:59`.

use std::fmt::Write as _;

use crate::rows::{RawColumn, RawValue};
use crate::source::civil::{push_clock, push_date};

/// How the bytes of a column are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Signed,
    Unsigned,
    Float,
    Double,
    /// Up to 64 bits, first byte first.
    Bit,
    Date,
    DateTime,
    Time,
    /// Decimals, texts, enums, sets, JSON, and bytes that may be text.
    Text,
    /// Shapes: never text.
    Bytes,
}

impl Layout {
    /// The layout of a type by the driver's name for it.
    pub(super) fn of(name: &str, is_unsigned: bool) -> Self {
        match name {
            "BOOLEAN" | "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" if !is_unsigned => Self::Signed,
            "BOOLEAN" | "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" | "YEAR" => Self::Unsigned,
            _ if name.ends_with(" UNSIGNED") => Self::Unsigned,
            "FLOAT" => Self::Float,
            "DOUBLE" => Self::Double,
            "BIT" => Self::Bit,
            "DATE" => Self::Date,
            "DATETIME" | "TIMESTAMP" => Self::DateTime,
            "TIME" => Self::Time,
            "GEOMETRY" => Self::Bytes,
            _ => Self::Text,
        }
    }

    /// Appends the cell; `scratch` is any buffer. `None` when the bytes do not have the form of the type.
    pub(super) fn push(self, bytes: &[u8], column: &mut RawColumn, scratch: &mut String) -> Option<()> {
        scratch.clear();
        match self {
            Self::Signed => column.push(RawValue::Int(match bytes.len() {
                1 => i64::from(i8::from_le_bytes(fixed(bytes)?)),
                2 => i64::from(i16::from_le_bytes(fixed(bytes)?)),
                4 => i64::from(i32::from_le_bytes(fixed(bytes)?)),
                _ => i64::from_le_bytes(fixed(bytes)?),
            })),
            Self::Unsigned => {
                let value = match bytes.len() {
                    1 => u64::from(*bytes.first()?),
                    2 => u64::from(u16::from_le_bytes(fixed(bytes)?)),
                    4 => u64::from(u32::from_le_bytes(fixed(bytes)?)),
                    _ => u64::from_le_bytes(fixed(bytes)?),
                };
                push_unsigned(value, column, scratch);
            }
            // The shortest text of the single-precision number, not the digits of its neighbour in double precision.
            Self::Float => {
                let _ = write!(scratch, "{}", f32::from_le_bytes(fixed(bytes)?));
                column.push(RawValue::Real(scratch.parse().ok()?));
            }
            Self::Double => column.push(RawValue::Real(f64::from_le_bytes(fixed(bytes)?))),
            Self::Bit if bytes.len() <= 8 => {
                push_unsigned(bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)), column, scratch);
            }
            Self::Date => {
                date(bytes.get(1..)?, scratch)?;
                column.push(RawValue::Text(scratch));
            }
            Self::DateTime => {
                let body = bytes.get(1..)?;
                date(body, scratch)?;
                scratch.push(' ');
                let (hour, minute, second) = match body.get(4..7) {
                    Some(clock) => (clock[0], clock[1], clock[2]),
                    None => (0, 0, 0),
                };
                push_clock(scratch, hour.into(), minute.into(), second.into(), micros(body.get(7..))?);
                column.push(RawValue::Text(scratch));
            }
            Self::Time => {
                time(bytes.get(1..)?, scratch)?;
                column.push(RawValue::Text(scratch));
            }
            Self::Text => column.push(std::str::from_utf8(bytes).map_or(RawValue::Bytes(bytes), RawValue::Text)),
            Self::Bit | Self::Bytes => column.push(RawValue::Bytes(bytes)),
        }
        Some(())
    }
}

/// Numbers above the largest signed one keep all their digits as text.
fn push_unsigned(value: u64, column: &mut RawColumn, scratch: &mut String) {
    match i64::try_from(value) {
        Ok(value) => column.push(RawValue::Int(value)),
        Err(_) => {
            let _ = write!(scratch, "{value}");
            column.push(RawValue::Text(scratch));
        }
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

/// Two bytes of year, month, day; nothing at all for the zero date.
fn date(bytes: &[u8], out: &mut String) -> Option<()> {
    if bytes.is_empty() {
        push_date(out, 0, 0, 0);
    } else {
        let year = u16::from_le_bytes(fixed(bytes.get(..2)?)?);
        push_date(out, year.into(), (*bytes.get(2)?).into(), (*bytes.get(3)?).into());
    }
    Some(())
}

/// Sign, four bytes of days, hours, minutes, seconds, microseconds; nothing at all for zero.
fn time(bytes: &[u8], out: &mut String) -> Option<()> {
    if bytes.is_empty() {
        push_clock(out, 0, 0, 0, 0);
        return Some(());
    }
    if *bytes.first()? != 0 {
        out.push('-');
    }
    let days = u32::from_le_bytes(fixed(bytes.get(1..5)?)?);
    let hours = days.checked_mul(24)?.checked_add((*bytes.get(5)?).into())?;
    push_clock(out, hours, (*bytes.get(6)?).into(), (*bytes.get(7)?).into(), micros(bytes.get(8..))?);
    Some(())
}

fn micros(bytes: Option<&[u8]>) -> Option<u32> {
    match bytes {
        None | Some([]) => Some(0),
        Some(bytes) => Some(u32::from_le_bytes(fixed(bytes)?)).filter(|m| *m < 1_000_000),
    }
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

    /// The facts about the engine that cost others their data, without a server: canonical-schema, section 9.
    #[test]
    fn values_others_lost() {
        let tiny = Layout::of("BOOLEAN", false);
        assert_eq!(read(tiny, &[254]).as_deref(), Some("-2"), "TINYINT(1) is not a truth value");
        assert_eq!(read(Layout::of("BOOLEAN", true), &[200]).as_deref(), Some("200"));
        assert_eq!(
            read(Layout::of("BIGINT UNSIGNED", true), &u64::MAX.to_le_bytes()).as_deref(),
            Some("18446744073709551615")
        );
        assert_eq!(read(Layout::of("YEAR", false), &2026_u16.to_le_bytes()).as_deref(), Some("2026"));
        assert_eq!(read(Layout::of("BIT", false), &[1, 0]).as_deref(), Some("256"));
        assert_eq!(read(Layout::of("DATE", false), &[0]).as_deref(), Some("0000-00-00"));
        assert_eq!(read(Layout::of("DATE", false), &[4, 0xe9, 0x07, 0, 15]).as_deref(), Some("2025-00-15"));
        assert_eq!(read(Layout::of("DATETIME", false), &[0]).as_deref(), Some("0000-00-00 00:00:00"));
        assert_eq!(read(Layout::of("DATETIME", false), &[4, 0xe9, 0x07, 1, 2]).as_deref(), Some("2025-01-02 00:00:00"));
        assert_eq!(
            read(Layout::of("TIMESTAMP", false), &[11, 0xe9, 0x07, 1, 2, 3, 4, 5, 0x40, 0xe2, 1, 0]).as_deref(),
            Some("2025-01-02 03:04:05.123456")
        );
        assert_eq!(read(Layout::of("TIME", false), &[8, 1, 34, 0, 0, 0, 22, 59, 59]).as_deref(), Some("-838:59:59"));
        assert_eq!(read(Layout::of("FLOAT", false), &0.1_f32.to_le_bytes()).as_deref(), Some("0.1"));
        let long = "123456789012345678901234567890123456789012345678901234567890123";
        assert_eq!(read(Layout::of("DECIMAL", false), long.as_bytes()).as_deref(), Some(long));
        assert_eq!(read(Layout::of("INT", false), &[1, 2, 3]), None);
    }

    proptest::proptest! {
        /// Bytes that are no value of the type are refused, whatever they are.
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..20)) {
            for name in ["INT", "BIGINT UNSIGNED", "FLOAT", "DOUBLE", "BIT", "DATE", "DATETIME", "TIME", "GEOMETRY", "VARCHAR"] {
                let _ = read(Layout::of(name, false), &bytes);
            }
        }
    }
}
