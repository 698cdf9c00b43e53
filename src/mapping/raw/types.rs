//! From declared types to the one type each raw column has for the whole table.
//!
//! The declared type decides, never a value. What a type of the archive cannot hold exactly is text: floating point
//! numbers as the shortest text that reads back as the same number, decimals of more than 38 digits, times (engines
//! hold zero dates, infinity and years before Christ), JSON, lists. Values that do not fit their column's type
//! (SQLite accepts any value anywhere) stand beside the row, with their storage class.

use crate::model::Engine;

/// How the values of a raw column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawType {
    /// Whole numbers of 64 bits.
    Int,
    /// Whole numbers of 64 bits without sign.
    UInt,
    /// True or false.
    Bool,
    /// Decimals of so many digits, so many of them after the point.
    Decimal(u8, i8),
    /// Floating point numbers, as text.
    Real,
    /// Text that people or programs filled in freely.
    Text,
    /// Text whose form the engine enforces: times, enums, UUIDs, long decimals.
    Formed,
    /// Whatever SQLite's numeric affinity keeps: numbers as their text, texts that are no number.
    Loose,
    /// Bytes. `true`: the driver hands bytes that are UTF-8 over as text.
    Bytes(bool),
}

impl RawType {
    /// The type of a column by what its table declares.
    pub fn of(engine: Engine, declared: &str) -> Self {
        let declared = declared.trim().to_ascii_lowercase();
        match engine {
            Engine::Sqlite => sqlite(&declared),
            Engine::MySql => mysql(&declared),
            Engine::Postgres => postgres(&declared),
        }
    }

    /// Whether the column may hold what somebody wrote: names, sentences, secrets.
    pub fn may_hold_prose(self) -> bool {
        matches!(self, Self::Text | Self::Loose | Self::Bytes(_))
    }
}

/// SQLite's rules of affinity, in their order (documentation, "Datatypes In SQLite", section 3.1).
fn sqlite(declared: &str) -> RawType {
    let has = |words: &[&str]| words.iter().any(|w| declared.contains(w));
    if has(&["int"]) {
        RawType::Int
    } else if declared.is_empty() || has(&["char", "clob", "text"]) {
        RawType::Text
    } else if has(&["blob"]) {
        RawType::Bytes(false)
    } else if has(&["real", "floa", "doub"]) {
        RawType::Real
    } else {
        RawType::Loose
    }
}

fn mysql(declared: &str) -> RawType {
    let base = declared.split(['(', ' ']).next().unwrap_or_default();
    match base {
        "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "year" => RawType::Int,
        "bigint" if declared.contains("unsigned") => RawType::UInt,
        "bigint" => RawType::Int,
        "bit" => RawType::UInt,
        "decimal" | "numeric" | "dec" | "fixed" => decimal(declared),
        "float" | "double" | "real" => RawType::Real,
        "date" | "datetime" | "timestamp" | "time" | "enum" | "set" | "uuid" => RawType::Formed,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "vector" => RawType::Bytes(true),
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
        | "geometrycollection" => RawType::Bytes(true),
        _ => RawType::Text,
    }
}

fn postgres(declared: &str) -> RawType {
    if declared.ends_with(']') {
        return RawType::Text;
    }
    match declared.split('(').next().unwrap_or_default().trim() {
        "smallint" | "integer" | "bigint" | "oid" => RawType::Int,
        "boolean" => RawType::Bool,
        "numeric" => decimal(declared),
        "real" | "double precision" => RawType::Real,
        "bytea" => RawType::Bytes(false),
        "date" | "interval" | "uuid" | "bit" | "bit varying" | "money" => RawType::Formed,
        base if base.starts_with("time") => RawType::Formed,
        _ => RawType::Text,
    }
}

/// `decimal(10,2)` as such; without digits, with more than 38, or with an odd scale as text.
fn decimal(declared: &str) -> RawType {
    let digits = declared.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(inner, _)| inner);
    let Some(digits) = digits else { return RawType::Formed };
    let (precision, scale) = digits.split_once(',').unwrap_or((digits, "0"));
    match (precision.trim().parse::<u8>(), scale.trim().parse::<i8>()) {
        (Ok(p @ 1..=38), Ok(s)) if s >= 0 && s.unsigned_abs() <= p => RawType::Decimal(p, s),
        _ => RawType::Formed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row per kind of declared type that real schemas use.
    #[test]
    fn declared_types() {
        use RawType::*;
        for (engine, declared, expected) in [
            (Engine::Sqlite, "INTEGER", Int),
            (Engine::Sqlite, "tinyint(1)", Int),
            (Engine::Sqlite, "VARCHAR(20)", Text),
            (Engine::Sqlite, "", Text),
            (Engine::Sqlite, "BLOB", Bytes(false)),
            (Engine::Sqlite, "double", Real),
            (Engine::Sqlite, "DECIMAL(10,2)", Loose),
            (Engine::Sqlite, "DATETIME", Loose),
            (Engine::MySql, "tinyint(1)", Int),
            (Engine::MySql, "bigint(20)", Int),
            (Engine::MySql, "bigint(20) unsigned zerofill", UInt),
            (Engine::MySql, "bit(9)", UInt),
            (Engine::MySql, "decimal(10,2) unsigned", Decimal(10, 2)),
            (Engine::MySql, "decimal(63,0)", Formed),
            (Engine::MySql, "float(10,2)", Real),
            (Engine::MySql, "datetime(6)", Formed),
            (Engine::MySql, "enum('a','b')", Formed),
            (Engine::MySql, "longtext", Text),
            (Engine::MySql, "varbinary(4)", Bytes(true)),
            (Engine::Postgres, "numeric", Formed),
            (Engine::Postgres, "numeric(10,2)", Decimal(10, 2)),
            (Engine::Postgres, "numeric(3,-2)", Formed),
            (Engine::Postgres, "timestamp(3) with time zone", Formed),
            (Engine::Postgres, "character varying(9)", Text),
            (Engine::Postgres, "integer[]", Text),
            (Engine::Postgres, "boolean", Bool),
            (Engine::Postgres, "bit(3)", Formed),
            (Engine::Postgres, "mood", Text),
        ] {
            assert_eq!(RawType::of(engine, declared), expected, "{engine:?} {declared}");
        }
    }
}
