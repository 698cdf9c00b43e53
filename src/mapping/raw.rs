//! The raw layer's side of a mapping: for every table a SELECT reads, a table `raw_…` with all its columns, one type
//! per column, and for each column what must happen to its values.
//!
//! Classes come from the mapping: what a canonical column takes away (tokens, masks, fingerprints) is taken away from
//! every raw column it is made of; a canonical column that is clear makes a raw column clear only where it is that
//! column's own value. `[raw.TABLE]` may say more. What nobody classified and may hold prose is redacted as free
//! text, and fingerprinted when its name names a secret.

mod carrier;
mod names;
mod origin;
mod types;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::Reader;
use crate::model::Engine;
use crate::schema::{Class, Column, ColumnType, Dataset};

use super::conversion::{EnumMap, Kind, SecretForm};
use super::part::Part;
use super::{Fingerprint, decimal, redact};
use origin::{Origin, origins};

pub use names::Names;
pub use types::RawType;

/// Columns that every raw table has before those of its source.
pub const OWN_COLUMNS: [&str; 2] = ["src_key", "src_misfit"];

/// What a mapping says about one table: `[raw.TABLE]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawRule {
    /// Why the table is left out of the raw layer.
    pub skip: Option<String>,
    classes: BTreeMap<String, Declared>,
    prefixes: BTreeMap<String, String>,
}

/// A class declared for a raw column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Declared {
    Class(Class),
    Secret,
    Drop,
}

const WORDS: [(&str, Declared); 9] = [
    ("none", Declared::Class(Class::None)),
    ("business_id", Declared::Class(Class::BusinessId)),
    ("network", Declared::Class(Class::Network)),
    ("free_text", Declared::Class(Class::FreeText)),
    ("contact", Declared::Class(Class::Contact)),
    ("customer_id", Declared::Class(Class::CustomerId)),
    ("staff_id", Declared::Class(Class::StaffId)),
    ("secret", Declared::Secret),
    ("drop", Declared::Drop),
];

/// Reads `[raw.TABLE]`; mistakes that need no database are reported at their place.
pub(super) fn read_rule(reader: &Reader<'_>) -> RawRule {
    let mut rule = RawRule { skip: reader.opt_text("skip"), ..RawRule::default() };
    if rule.skip.as_ref().is_some_and(|why| why.trim().is_empty()) {
        reader.problem_at("skip", "`skip` says why the table is left out");
    }
    if let Some(table) = reader.opt_table("class") {
        let words: Vec<&'static str> = WORDS.iter().map(|(word, _)| *word).collect();
        for column in table.keys() {
            let word = table.one_of(&column, &words);
            if let Some((_, declared)) = WORDS.iter().find(|(w, _)| *w == word) {
                rule.classes.insert(column, *declared);
            }
        }
    }
    if let Some(table) = reader.opt_table("prefix") {
        for column in table.keys() {
            let prefix = table.text(&column);
            let is_token =
                matches!(rule.classes.get(&column), Some(Declared::Class(Class::StaffId | Class::CustomerId)));
            if !is_token {
                table.problem_at(
                    &column,
                    format!("a prefix needs class.{column} = \"staff_id\" or \"customer_id\" beside it"),
                );
            }
            rule.prefixes.insert(column, prefix);
        }
    }
    reader.finish();
    rule
}

/// A table as the source lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTable {
    /// Its name, with a schema where it is not the connection's own.
    pub name: String,
    /// Names and declared types of its columns.
    pub columns: Vec<(String, String)>,
    /// Names of its primary key's columns, in order; empty without one.
    pub key: Vec<String>,
}

/// Whose identifier a value is, where that depends on the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// The same word in every row.
    Word(String),
    /// The word in a column of the raw table, or the code there of which an enum makes the word.
    Column(usize, ActorWords),
}

/// From codes to words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ActorWords(Option<Arc<EnumMap>>);

impl ActorWords {
    /// The word of a code; `None` when there is none.
    pub fn of<'a>(&'a self, code: &'a str) -> Option<&'a str> {
        match &self.0 {
            None => Some(code),
            Some(map) => map.word(code).flatten(),
        }
    }
}

/// What happens to the values of a raw column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Treatment {
    /// Kept; the class says why.
    Clear(Class),
    /// Redacted span by span; the values of these keys are removed first.
    FreeText(Vec<String>),
    /// Masked.
    Contact,
    /// A token of a member of staff; the text stands before the value, so that equal people have equal tokens.
    Staff(String),
    /// A token of a customer, as for staff.
    Customer(String),
    /// A token by the row's actor, or kept; the list is the actor's vocabulary.
    PerRow(Actor, String, &'static [&'static str]),
    /// A keyed fingerprint.
    Secret(SecretMarks),
}

/// How the secrets of a column are marked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SecretMarks(Option<SecretForm>);

impl SecretMarks {
    /// The fingerprint of a cell, or those of the paths a mapping names in it.
    pub fn mark(&self, text: &str, mac: &Fingerprint) -> String {
        match &self.0 {
            None => mac(text.as_bytes()),
            Some(form) => {
                let mut out = String::new();
                redact::fingerprint(text, form, mac, &mut out);
                out
            }
        }
    }
}

impl Treatment {
    /// How much is taken away; what several columns ask for, the strongest decides.
    fn strength(&self) -> u8 {
        match self {
            Self::Clear(class) => class.strength(),
            Self::FreeText(_) => Class::FreeText.strength(),
            Self::Contact => Class::Contact.strength(),
            Self::Customer(_) | Self::PerRow(..) => Class::CustomerId.strength(),
            Self::Staff(_) => Class::StaffId.strength(),
            Self::Secret(_) => Class::StaffId.strength() + 1,
        }
    }

    /// Whether values never stand as they are, whatever form they have.
    pub fn is_replaced(&self) -> bool {
        !matches!(self, Self::Clear(_) | Self::FreeText(_))
    }
}

/// One column of a raw table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawColumn {
    /// Its legal name.
    pub name: String,
    /// Its name in the source.
    pub source_name: String,
    /// Its declared type.
    pub source_type: String,
    /// What its values are.
    pub ty: RawType,
    /// What becomes of them.
    pub treatment: Treatment,
    /// The canonical column the treatment comes from; its own name where there is none.
    pub meaning: String,
    /// Whether a SELECT without conditions takes the column into that canonical column.
    pub is_taken_whole: bool,
}

/// One element of the key by which canonical rows name a raw row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPiece {
    /// The same text in every row.
    Word(String),
    /// Text before the value of a column, under the class of the canonical key column.
    Canonical {
        /// Text before the value.
        prefix: String,
        /// Position among [`RawTable::columns`].
        column: usize,
        /// Class of the key column.
        class: Class,
    },
    /// The value of a column as the raw row has it.
    Written(usize),
}

/// How the rows of one SELECT name the raw rows they were made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The dataset.
    pub dataset: &'static str,
    /// Position among the parts of the dataset.
    pub part: usize,
    /// The elements of `src_key`.
    pub key: Vec<KeyPiece>,
}

/// The statement whose rows carry the raw rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carrier {
    /// The dataset it feeds.
    pub dataset: &'static str,
    /// Position among the parts of the dataset.
    pub part: usize,
    /// The statement, with the table's columns behind its own.
    pub sql: String,
    /// Whether joins could repeat rows.
    pub has_joins: bool,
}

/// A table of the raw layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTable {
    /// Its name in the source.
    pub source_table: String,
    /// Its columns, without those in `dropped`.
    pub columns: Vec<RawColumn>,
    /// Names in the source of columns that the mapping leaves out.
    pub dropped: Vec<String>,
    /// Positions of the primary key's columns; empty without one or when one of them is left out.
    pub key: Vec<usize>,
    /// How canonical rows name the rows of this table, in the order of the mapping; the first also makes `src_key`.
    pub links: Vec<Link>,
    /// The datasets it feeds.
    pub datasets: BTreeSet<&'static str>,
    /// Statements that could carry it, best first.
    pub carriers: Vec<Carrier>,
    /// The statement that reads it alone.
    pub sql: String,
}

/// A table a mapping reads that has no raw table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name, as the mapping spells it.
    pub table: String,
    /// Why.
    pub reason: String,
}

/// What the raw layer holds of one source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawTables {
    /// The tables, in name order.
    pub tables: Vec<RawTable>,
    /// What is missing, and why.
    pub left_out: Vec<LeftOut>,
    /// Rules that name a table or column the source does not have.
    pub unknown: Vec<String>,
}

/// Columns of a raw table, at most: the archive's limit without our own.
const COLUMNS_MAX: usize = 1_000 - OWN_COLUMNS.len();

/// Plans the raw tables of a source: those its parts read. `is_secret` says whether a column's name names a secret.
pub fn plan(
    engine: Engine,
    parts: &[&Part],
    rules: &BTreeMap<String, RawRule>,
    tables: &[SourceTable],
    is_secret: &dyn Fn(&str) -> bool,
) -> RawTables {
    let mut out = RawTables::default();
    let known: BTreeMap<String, BTreeSet<String>> = tables
        .iter()
        .map(|t| (bare(&t.name).to_lowercase(), t.columns.iter().map(|(c, _)| c.to_lowercase()).collect()))
        .collect();
    let traced: Vec<(&Part, BTreeMap<String, Origin>)> =
        parts.iter().map(|part| (*part, origins(&part.select, engine, &known))).collect();
    let read: BTreeSet<&String> = parts.iter().flat_map(|p| &p.tables).collect();
    for name in rules.keys() {
        if !tables.iter().any(|t| is_same(&t.name, name)) {
            out.unknown.push(name.clone());
        }
    }
    let mut done = BTreeSet::new();
    for name in read {
        let Some(table) = tables.iter().find(|t| is_same(&t.name, name)) else {
            out.left_out
                .push(LeftOut { table: name.clone(), reason: "not a table of its own (a view or a function)".into() });
            continue;
        };
        if !done.insert(table.name.clone()) {
            continue;
        }
        let rule = rules.iter().find(|(n, _)| is_same(&table.name, n)).map(|(_, rule)| rule);
        if let Some(reason) = rule.and_then(|r| r.skip.clone()) {
            out.left_out.push(LeftOut { table: table.name.clone(), reason });
            continue;
        }
        let columns = rule.map(|r| r.classes.keys().chain(r.prefixes.keys())).into_iter().flatten();
        for column in columns.filter(|c| !table.columns.iter().any(|(n, _)| n.eq_ignore_ascii_case(c))) {
            out.unknown.push(format!("{}.{column}", table.name));
        }
        if table.columns.is_empty() || table.columns.len() > COLUMNS_MAX {
            let reason = format!("{} columns; a table of an archive has 1 to {COLUMNS_MAX}", table.columns.len());
            out.left_out.push(LeftOut { table: table.name.clone(), reason });
            continue;
        }
        out.tables.push(one(engine, table, rule, &traced, is_secret));
    }
    out
}

/// A table name without its schema.
fn bare(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Whether a mapping means this table; the statement may leave the schema out.
pub fn is_same(table: &str, named: &str) -> bool {
    table.eq_ignore_ascii_case(named) || bare(table).eq_ignore_ascii_case(named)
}

fn one(
    engine: Engine,
    table: &SourceTable,
    rule: Option<&RawRule>,
    traced: &[(&Part, BTreeMap<String, Origin>)],
    is_secret: &dyn Fn(&str) -> bool,
) -> RawTable {
    let mut names = Names::without(&OWN_COLUMNS);
    let (mut columns, mut dropped) = (Vec::new(), Vec::new());
    for (source_name, source_type) in &table.columns {
        let declared = |m: &BTreeMap<String, Declared>| {
            m.iter().find(|(n, _)| n.eq_ignore_ascii_case(source_name)).map(|(_, d)| *d)
        };
        let declared = rule.and_then(|r| declared(&r.classes));
        if declared == Some(Declared::Drop) {
            dropped.push(source_name.clone());
            continue;
        }
        let ty = RawType::of(engine, source_type);
        let default = match ty.may_hold_prose() {
            true if is_secret(source_name) => Treatment::Secret(SecretMarks::default()),
            true => Treatment::FreeText(Vec::new()),
            false => Treatment::Clear(Class::None),
        };
        let treatment = match declared {
            Some(Declared::Secret) => Treatment::Secret(SecretMarks::default()),
            Some(Declared::Class(class)) => {
                let prefix = rule
                    .and_then(|r| r.prefixes.iter().find(|(n, _)| n.eq_ignore_ascii_case(source_name)))
                    .map(|(_, p)| p.clone())
                    .unwrap_or_default();
                of_class(class, prefix).unwrap_or(default)
            }
            _ => default,
        };
        columns.push(RawColumn {
            name: names.give("", source_name),
            source_name: source_name.clone(),
            source_type: source_type.clone(),
            ty,
            treatment,
            meaning: source_name.clone(),
            is_taken_whole: false,
        });
    }
    let key: Option<Vec<usize>> = table.key.iter().map(|k| position(&columns, k)).collect();
    let mut raw = RawTable {
        source_table: table.name.clone(),
        dropped,
        key: key.unwrap_or_default(),
        links: Vec::new(),
        datasets: BTreeSet::new(),
        carriers: Vec::new(),
        sql: String::new(),
        columns,
    };
    classify(&mut raw, rule, traced);
    raw.links = links(&raw, traced);
    raw.datasets = traced
        .iter()
        .filter(|(part, _)| part.tables.iter().any(|t| is_same(&table.name, t)))
        .map(|(part, _)| part.dataset.name)
        .collect();
    statements(engine, &mut raw, traced);
    raw
}

fn position(columns: &[RawColumn], name: &str) -> Option<usize> {
    columns.iter().position(|c| c.source_name.eq_ignore_ascii_case(name))
}

fn of_class(class: Class, prefix: String) -> Option<Treatment> {
    Some(match class {
        Class::None | Class::BusinessId | Class::Network => Treatment::Clear(class),
        Class::FreeText => Treatment::FreeText(Vec::new()),
        Class::Contact => Treatment::Contact,
        Class::StaffId => Treatment::Staff(prefix),
        Class::CustomerId => Treatment::Customer(prefix),
        Class::PerRow(_) => return None,
    })
}

/// Puts on every column what the canonical columns made of it ask for.
fn classify(raw: &mut RawTable, rule: Option<&RawRule>, traced: &[(&Part, BTreeMap<String, Origin>)]) {
    let mut asked: BTreeMap<usize, Asked> = BTreeMap::new();
    let shown = shown(raw, traced);
    for (part, origins) in traced {
        let is_whole = part.conditions.is_empty() && is_same(&raw.source_table, &part.table);
        for column in &part.dataset.columns {
            for alias in aliases_of(part, column) {
                let Some(origin) = origins.get(&alias) else { continue };
                let prefix_of = |column_prefix: &str| format!("{}{column_prefix}", text_prefix(part, column.name));
                match origin {
                    Origin::Literal(_) => {}
                    Origin::Column { prefix, place } => {
                        if let Some(index) = place_in(raw, place)
                            && let Some(t) = treatment(raw, part, column, prefix_of(prefix), origins)
                        {
                            ask(
                                &mut asked,
                                index,
                                Asked { treatment: t, meaning: column.name, is_whole, is_own: true },
                            );
                        }
                    }
                    Origin::Made(places) => {
                        // A role's code does not name anybody because it is part of a key that does, where the
                        // archive shows the code itself; a value made of this column alone always counts.
                        let is_part = |index: &usize| places.len() == 1 || !shown.contains(index);
                        for index in places.iter().filter_map(|p| place_in(raw, p)).filter(is_part) {
                            let t = treatment(raw, part, column, String::new(), origins);
                            if let Some(t) = t.filter(Treatment::is_replaced) {
                                let (is_whole, is_own) = (false, false);
                                ask(&mut asked, index, Asked { treatment: t, meaning: column.name, is_whole, is_own });
                            }
                        }
                    }
                }
            }
        }
    }
    for (index, Asked { treatment, meaning, is_whole, .. }) in asked {
        let Some(column) = raw.columns.get_mut(index) else { continue };
        let is_declared = rule.is_some_and(|r| r.classes.keys().any(|n| n.eq_ignore_ascii_case(&column.source_name)));
        // What a mapping declares may make a column stronger, never weaker than the canonical layer has it.
        let wins = match (is_declared, treatment.is_replaced()) {
            (true, true) => treatment.strength() > column.treatment.strength(),
            (true, false) => false,
            (false, _) => true,
        };
        if wins {
            column.treatment = treatment;
            column.meaning = meaning.to_owned();
            column.is_taken_whole = is_whole;
        }
    }
}

/// Columns whose own value some canonical column shows in the clear.
fn shown(raw: &RawTable, traced: &[(&Part, BTreeMap<String, Origin>)]) -> BTreeSet<usize> {
    let mut out = BTreeSet::new();
    for (part, origins) in traced {
        for column in &part.dataset.columns {
            for alias in aliases_of(part, column) {
                if let Some(Origin::Column { prefix, place }) = origins.get(&alias)
                    && let Some(index) = place_in(raw, place)
                    && let Some(Treatment::Clear(_)) = treatment(raw, part, column, prefix.clone(), origins)
                {
                    out.insert(index);
                }
            }
        }
    }
    out
}

/// What a canonical column asks of a raw one.
struct Asked {
    treatment: Treatment,
    meaning: &'static str,
    is_whole: bool,
    /// Of the column's own value: only that knows the text before it, which makes tokens of both layers equal.
    is_own: bool,
}

fn ask(asked: &mut BTreeMap<usize, Asked>, index: usize, new: Asked) {
    match asked.get_mut(&index) {
        Some(held) if held.treatment.strength() > new.treatment.strength() => {}
        Some(held) if held.treatment.strength() == new.treatment.strength() && (held.is_own || !new.is_own) => {
            held.is_whole |= new.is_whole;
        }
        _ => {
            asked.insert(index, new);
        }
    }
}

/// The selected columns a canonical column is made from.
fn aliases_of(part: &Part, column: &Column) -> Vec<String> {
    match part.conversions.get(column.name).map(|c| &c.kind) {
        Some(Kind::Const(_)) => Vec::new(),
        Some(Kind::Enum2 { columns, .. }) => columns.clone(),
        _ => vec![column.name.to_owned()],
    }
}

/// Text that the mapping's conversion puts before the value.
fn text_prefix<'p>(part: &'p Part, column: &str) -> &'p str {
    match part.conversions.get(column).map(|c| &c.kind) {
        Some(Kind::Text { prefix, .. }) => prefix,
        _ => "",
    }
}

fn place_in(raw: &RawTable, (table, column): &(String, String)) -> Option<usize> {
    if is_same(&raw.source_table, table) { position(&raw.columns, column) } else { None }
}

fn treatment(
    raw: &RawTable,
    part: &Part,
    column: &Column,
    prefix: String,
    origins: &BTreeMap<String, Origin>,
) -> Option<Treatment> {
    match part.conversions.get(column.name).map(|c| &c.kind) {
        Some(Kind::Secret(form)) => {
            let form = (!form.paths.is_empty()).then(|| form.clone());
            return Some(Treatment::Secret(SecretMarks(form)));
        }
        Some(Kind::Text { redact, .. }) if part.class_of(column) == Class::FreeText => {
            return Some(Treatment::FreeText(redact.clone()));
        }
        _ => {}
    }
    let Class::PerRow(actor) = part.class_of(column) else { return of_class(part.class_of(column), prefix) };
    let vocabulary = part.dataset.column(actor).and_then(|c| c.vocabulary).unwrap_or(&[]);
    let kind = part.conversions.get(actor).map(|c| &c.kind);
    let words = match kind {
        Some(Kind::Enum(map)) => Some(Arc::clone(map)),
        _ => None,
    };
    let who = match (kind, origins.get(actor)) {
        (Some(Kind::Const(word)), _) => Some(Actor::Word(word.clone())),
        (Some(Kind::Enum(map)), Some(Origin::Literal(code))) => {
            Some(Actor::Word(map.word(code).flatten().unwrap_or_default().to_owned()))
        }
        (None | Some(Kind::Text { .. }), Some(Origin::Literal(word))) => Some(Actor::Word(word.clone())),
        (None | Some(Kind::Text { .. } | Kind::Enum(_)), Some(Origin::Column { prefix: before, place }))
            if before.is_empty() =>
        {
            place_in(raw, place).map(|index| Actor::Column(index, ActorWords(words)))
        }
        _ => None,
    };
    // Who it is cannot be told from the raw row: staff is the safe answer.
    Some(who.map_or_else(|| Treatment::Staff(prefix.clone()), |who| Treatment::PerRow(who, prefix.clone(), vocabulary)))
}

/// How the rows of each part whose main table this is name its rows, where the statement shows it.
fn links(raw: &RawTable, traced: &[(&Part, BTreeMap<String, Origin>)]) -> Vec<Link> {
    let mut out = Vec::new();
    for (part, origins) in traced.iter().filter(|(part, _)| is_same(&raw.source_table, &part.table)) {
        let pieces = part.dataset.key.iter().map(|name| piece(raw, part, part.dataset, name, origins));
        if let Some(key) = pieces.collect::<Option<Vec<_>>>() {
            out.push(Link { dataset: part.dataset.name, part: part.index, key });
        }
    }
    out
}

fn piece(
    raw: &RawTable,
    part: &Part,
    dataset: &Dataset,
    name: &str,
    origins: &BTreeMap<String, Origin>,
) -> Option<KeyPiece> {
    let column = dataset.column(name)?;
    match part.conversions.get(name).map(|c| &c.kind) {
        Some(Kind::Const(word)) => return Some(KeyPiece::Word(word.clone())),
        None | Some(Kind::Text { upper: false, .. }) => {}
        Some(_) => return None,
    }
    let class = part.class_of(column);
    let is_spelled_alike = matches!(column.ty, ColumnType::Text | ColumnType::Int);
    if !is_spelled_alike || matches!(class, Class::PerRow(_) | Class::FreeText) {
        return None;
    }
    match origins.get(name)? {
        Origin::Literal(word) => Some(KeyPiece::Word(format!("{}{word}", text_prefix(part, name)))),
        Origin::Column { prefix, place } => Some(KeyPiece::Canonical {
            prefix: format!("{}{prefix}", text_prefix(part, name)),
            column: place_in(raw, place)?,
            class,
        }),
        Origin::Made(_) => None,
    }
}

/// The statement that reads the table alone, and those of the mapping that could carry it.
fn statements(engine: Engine, raw: &mut RawTable, traced: &[(&Part, BTreeMap<String, Origin>)]) {
    let names: Vec<&str> = raw.columns.iter().map(|c| c.source_name.as_str()).collect();
    let list: Vec<String> = names.iter().map(|n| engine.quoted(n)).collect();
    let order: Vec<&String> = raw.key.iter().filter_map(|i| list.get(*i)).collect();
    let mut sql = format!("SELECT {}\nFROM {}", list.join(", "), engine.quoted_table(&raw.source_table));
    if !order.is_empty() {
        let order: Vec<&str> = order.into_iter().map(String::as_str).collect();
        sql.push_str(&format!("\nORDER BY {}", order.join(", ")));
    }
    for (part, _) in traced.iter().filter(|(part, _)| is_same(&raw.source_table, &part.table)) {
        if let Some(extended) = carrier::extend(part, &raw.source_table, &names) {
            raw.carriers.push(Carrier {
                dataset: part.dataset.name,
                part: part.index,
                sql: extended.sql,
                has_joins: extended.has_joins,
            });
        }
    }
    raw.carriers.sort_by_key(|c| c.has_joins);
    raw.sql = sql;
}

/// Text of a decimal as units of this scale, where it is exactly one.
pub fn decimal_units(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let units = decimal::parse(text, u32::try_from(scale).ok()?).ok()?.round(decimal::Rounding::Exact)?;
    let limit = 10_i128.checked_pow(u32::from(precision))?;
    (units.unsigned_abs() < limit.unsigned_abs()).then_some(units)
}

/// Removes the values of these keys from a dump; returns how many.
pub fn without_keys(text: &str, keys: &[String], out: &mut String) -> u64 {
    redact::redact(text, keys, out)
}

#[cfg(test)]
mod tests;
