//! Whether conversions fit what a database holds: what a part fills, and which conversions cannot read the type of
//! their column.
//!
//! Types are judged by the engine's name of them. SQLite's are declarations that any value may ignore; what does not
//! fit there is a doubt, on servers it is a mistake.

use std::collections::BTreeSet;

use crate::model::{Bilingual, Engine};
use crate::schema::{Column, ColumnType};

use super::chain;
use super::conversion::{Kind, TimeMeaning};
use super::lint::fillable;
use super::part::Part;

/// What an engine's type holds, as far as conversions care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Whole numbers.
    Integer,
    /// Truth values; MySQL's `TINYINT(1)`.
    Bool,
    /// Exact decimals.
    Decimal,
    /// Floating point numbers.
    Float,
    /// Texts, enums and sets of texts, JSON.
    Text,
    /// Bytes.
    Bytes,
    /// Days.
    Date,
    /// Local dates with time, without a zone.
    LocalTime,
    /// Instants: MySQL's `TIMESTAMP`, PostgreSQL's `timestamptz`.
    Instant,
    /// Times of day and spans.
    TimeOfDay,
    /// Not known.
    Unknown,
}

impl Family {
    /// The family of a type by the engine's name of it, in any case and with or without its length.
    pub fn of(engine: Engine, type_name: &str) -> Self {
        let name = type_name.to_lowercase();
        let word = name.split(['(', ' ']).next().unwrap_or_default();
        match (engine, word) {
            (Engine::MySql, "timestamp") | (Engine::Postgres, "timestamptz") => Self::Instant,
            (Engine::Postgres, "timestamp") if name.contains("with time zone") => Self::Instant,
            (_, "timestamp" | "datetime") => Self::LocalTime,
            (_, "date") => Self::Date,
            (_, "time" | "timetz" | "interval") => Self::TimeOfDay,
            (Engine::MySql, "tinyint") if name.starts_with("tinyint(1)") => Self::Bool,
            (_, "bool" | "boolean") => Self::Bool,
            (_, "decimal" | "numeric" | "dec" | "fixed" | "money") => Self::Decimal,
            (_, "float" | "double" | "real" | "float4" | "float8") => Self::Float,
            (_, "bit" | "year" | "serial" | "bigserial" | "oid") => Self::Integer,
            (_, "json" | "jsonb" | "uuid" | "enum" | "set" | "inet" | "string") => Self::Text,
            (_, w) if w.contains("blob") || w.contains("binary") || matches!(w, "bytea" | "geometry") => Self::Bytes,
            (_, w) if w.contains("char") || w.contains("text") || w.contains("clob") => Self::Text,
            (_, w) if w.contains("int") => Self::Integer,
            _ => Self::Unknown,
        }
    }
}

/// A conversion that cannot read what its column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Canonical column.
    pub column: String,
    /// The conversion as written, e.g. `time = "session"`.
    pub conversion: String,
    /// The engine's name of the column's type.
    pub type_name: String,
    /// Why it does not fit and what does.
    pub why: Bilingual,
}

/// Canonical columns that a part fills, those included that are made beside them: the raw code of a status, the
/// result of a hash chain, the day of an instant.
pub fn filled(part: &Part) -> BTreeSet<&'static str> {
    let mut out = BTreeSet::new();
    for column in &part.dataset.columns {
        let is_selected = part.columns.iter().any(|c| c == column.name);
        let is_made =
            part.conversions.get(column.name).is_some_and(|c| matches!(c.kind, Kind::Const(_) | Kind::Enum2 { .. }));
        let is_chain = column.name == chain::OK && part.chain.is_some();
        let is_own = fillable(part.dataset, column.name).is_some();
        if is_own && (is_selected || is_made || is_chain) {
            out.insert(column.name);
        }
    }
    for column in &part.dataset.columns {
        let from_code = column.name.strip_suffix("_raw").is_some_and(|of| {
            let is_code = |k: &Kind| matches!(k, Kind::Enum(_) | Kind::Enum2 { .. });
            part.conversions.get(of).is_some_and(|c| is_code(&c.kind))
        });
        let from_instant = column.twin_of.is_some_and(|of| out.contains(of));
        if from_code || from_instant {
            out.insert(column.name);
        }
    }
    out
}

/// Conversions of a part that cannot read the types of the columns its SELECT returns, given as alias and the engine's
/// name of the type.
pub fn misfits(part: &Part, types: &[(String, String)]) -> Vec<Misfit> {
    let mut out = Vec::new();
    for (alias, type_name) in types {
        let Some(column) = fillable(part.dataset, alias) else { continue };
        let family = Family::of(part.engine, type_name);
        if family == Family::Unknown {
            continue;
        }
        let kind = part.conversions.get(alias).map(|c| &c.kind);
        if let Some(why) = misfit(kind, column, family) {
            let conversion = kind.map_or_else(|| "no conversion".to_owned(), written);
            out.push(Misfit { column: alias.clone(), conversion, type_name: type_name.clone(), why });
        }
    }
    out
}

fn written(kind: &Kind) -> String {
    match kind {
        Kind::Money { unit, .. } => {
            let unit = match unit {
                super::conversion::MoneyUnit::Yuan => "yuan",
                super::conversion::MoneyUnit::YuanInt => "yuan_int",
                super::conversion::MoneyUnit::TextYuan => "text_yuan",
                super::conversion::MoneyUnit::Fen => "fen",
            };
            format!("money = \"{unit}\"")
        }
        Kind::Time { meaning, .. } => {
            let word = match meaning {
                TimeMeaning::Local => "local",
                TimeMeaning::Session => "session",
                TimeMeaning::Utc => "utc",
                TimeMeaning::EpochS => "epoch_s",
                TimeMeaning::EpochMs => "epoch_ms",
                TimeMeaning::EpochSText => "epoch_s_text",
                TimeMeaning::Pattern(_) => "pattern",
                TimeMeaning::Date => "date",
            };
            format!("time = \"{word}\"")
        }
        Kind::Enum(map) | Kind::Enum2 { map, .. } => format!("enum = \"{}\"", map.name),
        Kind::Flag { .. } => "flag".into(),
        Kind::Rate { .. } => "rate".into(),
        Kind::Secret(_) => "secret".into(),
        Kind::List(_) => "list".into(),
        Kind::Const(_) => "const".into(),
        Kind::Text { .. } => "text".into(),
    }
}

fn misfit(kind: Option<&Kind>, column: &Column, family: Family) -> Option<Bilingual> {
    use Family::{Bool, Bytes, Date, Float, Instant, LocalTime, TimeOfDay};
    let say = |zh: &str, en: &str| Some(Bilingual::new(zh, en));
    let is_time = matches!(family, Date | LocalTime | Instant | TimeOfDay);
    match kind {
        Some(Kind::Money { .. }) if is_time || matches!(family, Bool | Bytes) => {
            say("该列不是金额类型", "the column holds no amounts")
        }
        Some(Kind::Rate { .. }) if is_time || matches!(family, Bool | Bytes) => {
            say("该列不是数值类型", "the column holds no numbers")
        }
        Some(Kind::Flag { .. }) if is_time || matches!(family, Bytes | Float) => {
            say("该列不是标志类型", "the column holds no codes")
        }
        Some(Kind::Enum(_) | Kind::Enum2 { .. }) if is_time || family == Bytes => {
            say("该列不是代码类型", "the column holds no codes")
        }
        Some(Kind::Time { meaning, .. }) => time_misfit(meaning, family),
        Some(Kind::Text { .. }) | None if family == Float && column.ty == ColumnType::Text => {
            say("浮点数没有唯一的文本写法", "a floating point number has no single text")
        }
        None if matches!(column.ty, ColumnType::Int | ColumnType::Bool | ColumnType::Decimal(_))
            && (is_time || family == Bytes) =>
        {
            say("该列不是数值类型", "the column holds no numbers")
        }
        _ => None,
    }
}

fn time_misfit(meaning: &TimeMeaning, family: Family) -> Option<Bilingual> {
    use Family::{Date, Decimal, Float, Instant, Integer, LocalTime, Text, Unknown};
    let fits = match meaning {
        TimeMeaning::Local => matches!(family, LocalTime | Date | Text),
        TimeMeaning::Session => matches!(family, Instant | Text),
        TimeMeaning::Utc => matches!(family, Instant | LocalTime | Date | Text),
        TimeMeaning::EpochS | TimeMeaning::EpochMs => matches!(family, Integer | Decimal | Float),
        TimeMeaning::EpochSText | TimeMeaning::Pattern(_) => matches!(family, Text | Integer),
        TimeMeaning::Date => matches!(family, Date | LocalTime | Text),
    };
    if fits || family == Unknown {
        return None;
    }
    let (zh, en) = match (meaning, family) {
        (TimeMeaning::Session, LocalTime) => (
            "DATETIME 不随会话时区换算；应为 time = \"local\" 并给出 zone",
            "a DATETIME does not follow the session's zone; it takes time = \"local\" with a zone",
        ),
        (TimeMeaning::Local, Instant) => (
            "该列以 UTC 读出，按本地时间会偏移数小时；MySQL 用 \"session\"，PostgreSQL 用 \"utc\"",
            "the column is read as UTC and would be shifted by hours; it takes \"session\" (MySQL) or \"utc\" (PostgreSQL)",
        ),
        (TimeMeaning::EpochS | TimeMeaning::EpochMs, LocalTime | Date | Instant) => {
            ("该列是日期时间而不是秒数", "the column holds dates, not seconds")
        }
        (TimeMeaning::EpochS | TimeMeaning::EpochMs, Text) => {
            ("文本中的秒数用 \"epoch_s_text\"", "seconds in a text take \"epoch_s_text\"")
        }
        (_, Integer) => ("整数时间用 \"epoch_s\" 或 \"epoch_ms\"", "whole numbers take \"epoch_s\" or \"epoch_ms\""),
        _ => ("该列不是这种时间", "the column holds no such times"),
    };
    Some(Bilingual::new(zh, en))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Mapping;

    const TEXT: &str = r#"
[mapping]
id = "t"
version = 1
zone = "Asia/Shanghai"
zone_evidence = "test"
[enum.state]
"1" = "paid"
[dataset.trade_orders]
evidence = "recorded"
sql.default = "SELECT id AS order_ref, a AS payable_fen, b AS created_at, c AS paid_at, d AS closed_at, s AS status, g AS is_deleted FROM t"
conv.payable_fen = { money = "yuan" }
conv.created_at = { time = "session" }
conv.paid_at = { time = "local" }
conv.closed_at = { time = "epoch_s" }
conv.status = { enum = "state" }
conv.is_deleted = { flag = { true = ["1"], false = ["0"] } }
conv.currency = { const = "CNY" }
"#;

    fn part(engine: Engine) -> Part {
        let mapping = Mapping::parse("t", TEXT).unwrap().bind(engine, &Default::default()).unwrap();
        mapping.parts()[0].clone()
    }

    fn wrong(engine: Engine, types: &[(&str, &str)]) -> Vec<String> {
        let types: Vec<(String, String)> = types.iter().map(|(a, t)| ((*a).into(), (*t).into())).collect();
        misfits(&part(engine), &types).into_iter().map(|m| m.column).collect()
    }

    /// Every type a database can have for a conversion is either readable or told.
    #[test]
    fn types_that_cannot_be_read_are_told() {
        let good =
            [("payable_fen", "decimal"), ("created_at", "timestamp"), ("paid_at", "datetime"), ("closed_at", "bigint")];
        assert!(wrong(Engine::MySql, &good).is_empty());
        let bad = [
            ("payable_fen", "tinyint(1)"),
            ("created_at", "datetime"),
            ("paid_at", "timestamp"),
            ("closed_at", "datetime"),
            ("status", "blob"),
            ("is_deleted", "date"),
        ];
        assert_eq!(wrong(Engine::MySql, &bad).len(), bad.len());
        assert_eq!(wrong(Engine::Postgres, &[("paid_at", "timestamptz"), ("closed_at", "text")]).len(), 2);
        assert_eq!(
            wrong(Engine::Postgres, &[("paid_at", "timestamp without time zone"), ("order_ref", "uuid")]).len(),
            0
        );
        assert_eq!(
            wrong(Engine::Sqlite, &[("paid_at", "INTEGER"), ("payable_fen", "BLOB")]),
            ["paid_at", "payable_fen"]
        );
        assert_eq!(wrong(Engine::Sqlite, &[("paid_at", ""), ("payable_fen", "WHATEVER")]).len(), 0);
    }

    /// What is selected, constant, or made beside it is filled; nothing else.
    #[test]
    fn filled_columns() {
        let filled = filled(&part(Engine::Sqlite));
        for name in ["order_ref", "status", "status_raw", "created_at", "created_on", "currency", "is_deleted"] {
            assert!(filled.contains(name), "{name}");
        }
        for name in ["customer_ref", "shipped_at", "shipped_on", "src_key"] {
            assert!(!filled.contains(name), "{name}");
        }
    }
}
