//! Declared conversions: `conv.COLUMN = { … }` as values that cannot be wrong.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono_tz::Tz;

use crate::config::Reader;
use crate::config::document::Value;
use crate::schema::{Class, Column, ColumnType};

use super::decimal::Rounding;
use super::time::Pattern;

/// A zone as written in a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ZoneRef {
    /// A zone by name.
    Fixed(Tz),
    /// The zone of the case.
    Case,
    /// The value of a parameter.
    Param(String),
}

impl ZoneRef {
    /// Reads `Area/City`, `case` or `param:NAME`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix("param:") {
            return Some(Self::Param(name.into()));
        }
        if text == "case" { Some(Self::Case) } else { text.parse().ok().map(Self::Fixed) }
    }
}

/// What a money column of the source counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MoneyUnit {
    Yuan,
    YuanInt,
    TextYuan,
    Fen,
}

impl MoneyUnit {
    /// Whether it counts the major unit of the currency.
    pub(super) fn is_major(self) -> bool {
        self != Self::Fen
    }
}

/// What a time column of the source means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TimeMeaning {
    Local,
    Session,
    Utc,
    EpochS,
    EpochMs,
    EpochSText,
    Pattern(Pattern),
    Date,
}

/// What happens to a code that is not in an enum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnUnknown {
    Fail,
    Quarantine,
    KeepRaw,
}

/// A declared map from source codes to canonical words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EnumMap {
    pub(super) name: String,
    /// `None` for codes that mean "no value".
    pub(super) codes: HashMap<String, Option<String>>,
    /// Codes with `*` parts, in file order.
    pub(super) wildcards: Vec<(Vec<String>, Option<String>)>,
    pub(super) on_unknown: OnUnknown,
}

impl EnumMap {
    /// The word of a code; the outer `None` means the code is unknown.
    pub(super) fn word(&self, code: &str) -> Option<Option<&str>> {
        if let Some(word) = self.codes.get(code) {
            return Some(word.as_deref());
        }
        self.wildcards
            .iter()
            .find(|(pattern, _)| {
                let mut parts = code.split('|');
                pattern.iter().all(|p| parts.next().is_some_and(|c| p == "*" || p == c)) && parts.next().is_none()
            })
            .map(|(_, word)| word.as_deref())
    }
}

/// How a list is written in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ListForm {
    Split(String),
    Json,
}

/// Which parts of a secret column are fingerprinted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SecretForm {
    /// Paths `$.a.b` into a JSON text; empty when the whole cell is the secret.
    pub(super) paths: Vec<String>,
    /// Whether keys nobody listed are fingerprinted too, or left out.
    pub(super) rest_is_secret: bool,
}

/// The one thing a conversion does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Text { upper: bool, prefix: String, redact: Vec<String> },
    Money { unit: MoneyUnit, rounding: Rounding },
    Time { meaning: TimeMeaning, zone: Option<ZoneRef>, zero_is_value: bool },
    Enum(Arc<EnumMap>),
    Enum2 { columns: Vec<String>, map: Arc<EnumMap> },
    Flag { yes: Vec<String>, no: Vec<String>, null: Option<bool> },
    Secret(SecretForm),
    List(ListForm),
    Const(String),
    Rate { percent: bool },
}

/// A conversion with what may accompany every kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conversion {
    pub(super) kind: Kind,
    pub(super) empty_is_null: bool,
    pub(super) class: Option<Class>,
}

const PRIMARY: [&str; 11] =
    ["money", "time", "enum", "enum2", "flag", "secret", "redact", "split", "json_list", "const", "rate"];

/// Reads the conversion of a column; mistakes are reported at their place.
pub(super) fn read(reader: &Reader<'_>, column: &Column, enums: &BTreeMap<String, Arc<EnumMap>>) -> Conversion {
    let present: Vec<&str> = PRIMARY.into_iter().filter(|k| reader.has(k)).collect();
    if present.len() > 1 {
        reader.problem(format!("one conversion per column, found {}", present.join(", ")));
    }
    let primary = present.first().copied();
    let kind = match primary {
        Some("money") => money(reader),
        Some("time") => time(reader),
        Some("enum") => match enum_of(reader, "enum", enums) {
            Some(map) => Kind::Enum(map),
            None => plain_text(reader),
        },
        Some("enum2") => enum2(reader, enums),
        Some("flag") => flag(reader),
        Some("secret") => secret(reader),
        Some("split") => {
            let separator = reader.text("split");
            Kind::List(ListForm::Split(separator))
        }
        Some("json_list") => {
            if reader.opt_bool("json_list") == Some(false) {
                reader.problem_at("json_list", "`json_list` is `true` or absent");
            }
            Kind::List(ListForm::Json)
        }
        Some("const") => Kind::Const(reader.opt_text("const").unwrap_or_default()),
        Some("rate") => Kind::Rate { percent: reader.one_of("rate", &["fraction", "percent"]) == "percent" },
        _ => plain_text(reader),
    };
    let empty_is_null = reader.opt_one_of("empty", &["null"]).is_some();
    let class = class(reader, column);
    check_type(reader, primary, &kind, column);
    reader.finish();
    Conversion { kind, empty_is_null, class }
}

fn plain_text(reader: &Reader<'_>) -> Kind {
    let redact = reader.text_list("redact");
    if reader.has("redact") && (redact.is_empty() || redact.iter().any(String::is_empty)) {
        reader.problem_at("redact", "`redact` lists the keys whose values are removed");
    }
    Kind::Text {
        upper: reader.opt_bool("upper").unwrap_or(false),
        prefix: reader.opt_text("prefix").unwrap_or_default(),
        redact,
    }
}

fn money(reader: &Reader<'_>) -> Kind {
    let unit = match reader.one_of("money", &["yuan", "fen", "yuan_int", "text_yuan"]) {
        "fen" => MoneyUnit::Fen,
        "yuan_int" => MoneyUnit::YuanInt,
        "text_yuan" => MoneyUnit::TextYuan,
        _ => MoneyUnit::Yuan,
    };
    let rounding = match reader.opt_one_of("round", &["exact", "floor", "half_even"]) {
        Some("floor") => Rounding::Floor,
        Some("half_even") => Rounding::HalfEven,
        _ => Rounding::Exact,
    };
    if rounding != Rounding::Exact && unit == MoneyUnit::YuanInt {
        reader.problem_at("round", "`yuan_int` has nothing to round");
    }
    Kind::Money { unit, rounding }
}

fn time(reader: &Reader<'_>) -> Kind {
    let word =
        reader.one_of("time", &["local", "session", "utc", "epoch_s", "epoch_ms", "epoch_s_text", "pattern", "date"]);
    let meaning = match word {
        "session" => TimeMeaning::Session,
        "utc" => TimeMeaning::Utc,
        "epoch_s" => TimeMeaning::EpochS,
        "epoch_ms" => TimeMeaning::EpochMs,
        "epoch_s_text" => TimeMeaning::EpochSText,
        "date" => TimeMeaning::Date,
        "pattern" => {
            let text = reader.text("pattern");
            match Pattern::compile(&text) {
                Some(pattern) => TimeMeaning::Pattern(pattern),
                None => {
                    if !text.is_empty() {
                        reader.problem_at(
                            "pattern",
                            format!("`pattern` is `{text}`; accepted: yyyy MM dd HH mm ss SSS, each once, and signs between them"),
                        );
                    }
                    TimeMeaning::Local
                }
            }
        }
        _ => TimeMeaning::Local,
    };
    let has_zone = matches!(word, "local" | "pattern");
    if !has_zone && reader.has("zone") {
        reader.problem_at("zone", format!("`zone` has no meaning with time = \"{word}\""));
    }
    let zone = zone(reader, "zone");
    let zero_is_value = reader.opt_one_of("zero", &["value"]).is_some();
    Kind::Time { meaning, zone, zero_is_value }
}

/// Reads a zone, if present.
pub(super) fn zone(reader: &Reader<'_>, key: &str) -> Option<ZoneRef> {
    let text = reader.opt_text(key)?;
    let zone = ZoneRef::parse(&text);
    if zone.is_none() {
        reader.problem_at(
            key,
            format!("`{key}` is `{text}`; accepted: a zone such as Asia/Shanghai, `case`, `param:NAME`"),
        );
    }
    zone
}

fn enum_of(reader: &Reader<'_>, key: &str, enums: &BTreeMap<String, Arc<EnumMap>>) -> Option<Arc<EnumMap>> {
    let name = reader.text(key);
    let found = enums.get(&name).cloned();
    if found.is_none() && !name.is_empty() {
        let known: Vec<&str> = enums.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none is declared".to_owned() } else { known.join(", ") };
        reader.problem_at(key, format!("there is no [enum.{name}]; accepted: {known}"));
    }
    found
}

fn enum2(reader: &Reader<'_>, enums: &BTreeMap<String, Arc<EnumMap>>) -> Kind {
    let Some(table) = reader.opt_table("enum2") else { return plain_text(reader) };
    let columns = table.text_list("columns");
    if columns.len() < 2 {
        table.problem_at("columns", "`columns` names at least two selected columns");
    }
    let map = enum_of(&table, "map", enums);
    if let Some(map) = &map {
        let parts = columns.len();
        let wrong = map
            .codes
            .keys()
            .map(|c| c.split('|').count())
            .chain(map.wildcards.iter().map(|(p, _)| p.len()))
            .any(|n| n != parts);
        if wrong && parts >= 2 {
            table.problem_at("map", format!("every code of [enum.{}] must have {parts} parts joined by `|`", map.name));
        }
    }
    table.finish();
    match map {
        Some(map) => Kind::Enum2 { columns, map },
        None => plain_text(reader),
    }
}

fn flag(reader: &Reader<'_>) -> Kind {
    let Some(table) = reader.opt_table("flag") else {
        return Kind::Flag { yes: Vec::new(), no: Vec::new(), null: None };
    };
    let (yes, no, null) = (table.text_list("true"), table.text_list("false"), table.opt_bool("null"));
    if yes.is_empty() && no.is_empty() {
        table.problem("a flag needs the codes that mean `true` and `false`, as texts");
    }
    if let Some(both) = yes.iter().find(|y| no.contains(y)) {
        table.problem(format!("`{both}` means both true and false"));
    }
    table.finish();
    Kind::Flag { yes, no, null }
}

fn secret(reader: &Reader<'_>) -> Kind {
    let mut form = SecretForm { paths: Vec::new(), rest_is_secret: true };
    if matches!(reader.raw("secret").map(|v| v.get_ref()), Some(Value::Bool(true))) {
        return Kind::Secret(form);
    }
    if let Some(table) = reader.opt_table("secret") {
        form.paths = table.text_list("paths");
        for path in form.paths.iter().filter(|p| !p.starts_with("$.") || p.split('.').skip(1).any(str::is_empty)) {
            table.problem_at("paths", format!("`{path}` is not a path; write `$.key` or `$.key.inner`"));
        }
        if form.paths.is_empty() {
            table.problem("a secret is `true`, or names its `paths` in a JSON text");
        }
        form.rest_is_secret = table.opt_one_of("rest", &["fingerprint_unknown", "drop"]) != Some("drop");
        table.finish();
    }
    Kind::Secret(form)
}

fn class(reader: &Reader<'_>, column: &Column) -> Option<Class> {
    const CLASSES: [(&str, Class); 5] = [
        ("network", Class::Network),
        ("free_text", Class::FreeText),
        ("contact", Class::Contact),
        ("customer_id", Class::CustomerId),
        ("staff_id", Class::StaffId),
    ];
    let names = CLASSES.map(|(name, _)| name);
    let word = reader.opt_one_of("class", &names)?;
    let (_, class) = CLASSES.into_iter().find(|(name, _)| *name == word)?;
    if column.ty != ColumnType::Text {
        reader.problem_at("class", format!("`{}` is not a text column; its class cannot be changed", column.name));
        return None;
    }
    if column.vocabulary.is_some() {
        reader.problem_at(
            "class",
            format!(
                "`{}` takes words of a closed vocabulary, which name nobody; its class cannot be changed",
                column.name
            ),
        );
        return None;
    }
    if class.strength() <= column.class.strength() {
        let stronger: Vec<&str> =
            CLASSES.iter().filter(|(_, c)| c.strength() > column.class.strength()).map(|(n, _)| *n).collect();
        let stronger = if stronger.is_empty() { "none".to_owned() } else { stronger.join(", ") };
        reader.problem_at(
            "class",
            format!(
                "a class may only become stronger: `{}` is `{}`; accepted: {stronger}",
                column.name,
                column.class.name()
            ),
        );
        return None;
    }
    Some(class)
}

fn check_type(reader: &Reader<'_>, primary: Option<&str>, kind: &Kind, column: &Column) {
    let Some(primary) = primary.or_else(|| ["upper", "prefix"].into_iter().find(|k| reader.has(k))) else { return };
    let fits = match kind {
        Kind::Money { .. } => column.unit().is_some(),
        Kind::Time { meaning: TimeMeaning::Date, .. } => column.ty == ColumnType::Date,
        Kind::Time { .. } => matches!(column.ty, ColumnType::Instant | ColumnType::Date),
        Kind::Flag { .. } => column.ty == ColumnType::Bool,
        Kind::Rate { .. } => matches!(column.ty, ColumnType::Decimal(_)),
        Kind::Enum(_) | Kind::Enum2 { .. } => {
            column.ty == ColumnType::Text || (column.ty == ColumnType::Int && column.unit().is_none())
        }
        Kind::Text { .. } | Kind::Secret(_) | Kind::List(_) => column.ty == ColumnType::Text,
        Kind::Const(_) => true,
    };
    if !fits {
        reader
            .problem_at(primary, format!("`{primary}` does not fit `{}`; accepted: {}", column.name, accepted(column)));
    }
}

/// The conversions that fit a column, for messages.
pub(super) fn accepted(column: &Column) -> &'static str {
    match column.ty {
        ColumnType::Int if column.unit().is_some() => "money = yuan | fen | yuan_int | text_yuan, const",
        ColumnType::Int => "enum, enum2, const, or no conversion",
        ColumnType::Bool => "flag, const",
        ColumnType::Instant => "time = local | session | utc | epoch_s | epoch_ms | epoch_s_text | pattern, const",
        ColumnType::Date => "time = date | local | session | utc | epoch_s | epoch_ms | epoch_s_text | pattern, const",
        ColumnType::Decimal(_) => "rate = fraction | percent, const",
        ColumnType::Text => "enum, enum2, secret, redact, split, json_list, upper, prefix, const, or no conversion",
    }
}
