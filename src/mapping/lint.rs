//! Reading of one part of a mapping, with every check across SELECT, schema and conversions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::Reader;
use crate::model::Engine;
use crate::schema::{Column, ColumnType, Dataset, Raised};

use super::chain;
use super::conversion::{Conversion, EnumMap, Kind, OnUnknown, TimeMeaning, ZoneRef, accepted, read};
use super::file::check_param;
use super::part::{Part, PartSource, matcher, stand_in};
use super::plan::constant;
use super::select::{Facts, expand, facts, fill};

/// What a part is read against.
pub(super) struct PartContext<'a> {
    pub(super) mapping_id: &'a str,
    pub(super) zone: Option<&'a ZoneRef>,
    pub(super) params: &'a BTreeSet<String>,
    pub(super) prefixes: &'a BTreeMap<String, String>,
    pub(super) enums: &'a BTreeMap<String, Arc<EnumMap>>,
}

/// A column that takes the words of an enum.
pub(super) struct Target {
    pub(super) map: String,
    pub(super) dataset: &'static str,
    pub(super) column: Column,
    /// Whether the raw code is kept beside it.
    pub(super) has_raw: bool,
    pub(super) on_unknown: OnUnknown,
}

/// Reads a part; `None` when nothing of it can be used (its mistakes are reported).
pub(super) fn read_part(
    reader: &Reader<'_>,
    dataset: &'static Dataset,
    index: usize,
    context: &PartContext<'_>,
    targets: &mut Vec<Target>,
) -> Option<Part> {
    let evidence = reader.one_of("evidence", &["recorded", "derived", "inferred"]);
    let note = reader.opt_text("note");
    let where_note = reader.opt_text("where_note");
    let order = reader.opt_text("order");
    let table = reader.opt_text("table");
    let pattern = read_pattern(reader, table.is_some(), context);
    let key = reader.text_list("key");
    if reader.has("key") && key != dataset.key {
        reader.problem_at("key", format!("the key of `{}` is {}", dataset.name, dataset.key.join(", ")));
    }
    if evidence == "inferred" && note.is_none() {
        reader.problem_at("evidence", "`inferred` needs a `note` that says why");
    }
    let (sources, sql_facts) = read_sql(reader, order.as_deref(), table.is_some(), pattern.is_some(), context);
    let conversions = read_conversions(reader, dataset, context);
    let chain = chain::read(reader, dataset);
    if let Some(facts) = &sql_facts {
        check_columns(reader, dataset, facts, &conversions, chain.as_ref());
    }
    for (name, conversion) in &conversions {
        if let Kind::Enum(map) | Kind::Enum2 { map, .. } = &conversion.kind
            && let Some(column) = dataset.column(name)
        {
            targets.push(Target {
                map: map.name.clone(),
                dataset: dataset.name,
                column: *column,
                has_raw: dataset.column(&format!("{name}_raw")).is_some(),
                on_unknown: map.on_unknown,
            });
        }
    }
    reader.finish();
    let mut part = Part {
        dataset,
        index,
        sql: String::new(),
        values: Vec::new(),
        engine: Engine::Sqlite,
        columns: Vec::new(),
        table: String::new(),
        tables: BTreeSet::new(),
        conditions: Vec::new(),
        where_note,
        note,
        evidence,
        order,
        select: String::new(),
        mapping_id: context.mapping_id.to_owned(),
        zone: context.zone.cloned(),
        conversions,
        chain,
        raised: Raised::default(),
        sources,
        declared_table: table,
        pattern,
    };
    for (name, conversion) in &part.conversions {
        if let Some(class) = conversion.class {
            part.raised.raise(name, class);
        }
    }
    let engine = *part.engines().first()?;
    let template = part.text_for(engine)?.template.clone();
    let prefixes = with_table(context.prefixes, engine, part.pattern.is_some());
    let expanded = expand(engine, &template, &prefixes, context.params, &mut Vec::new());
    part.assemble(engine, &expanded.sql, context.prefixes);
    Some(part)
}

/// `tables = "order_*"`: the part stands for every table of that shape.
fn read_pattern(reader: &Reader<'_>, names_table: bool, context: &PartContext<'_>) -> Option<String> {
    let template = reader.opt_text("tables")?;
    let mut pattern = String::new();
    let mut problems = Vec::new();
    fill(&template, context.prefixes, &mut pattern, &mut problems);
    if matcher(&pattern).is_none() {
        problems.push(format!("`{template}` is not a pattern of table names; accepted: `*`, `?`, `[0-9]`"));
    }
    if names_table {
        problems.push("`table` and `tables` exclude each other".into());
    }
    for problem in problems {
        reader.problem_at("tables", problem);
    }
    Some(template)
}

/// The prefixes, and what `{table}` stands for where a part has a pattern.
pub(super) fn with_table(
    prefixes: &BTreeMap<String, String>,
    engine: Engine,
    has_pattern: bool,
) -> BTreeMap<String, String> {
    let mut all = prefixes.clone();
    if has_pattern {
        all.insert("table".into(), stand_in(engine));
    }
    all
}

/// Keys under `sql` with the engine whose grammar checks the text.
const TEXTS: [(&str, Option<Engine>); 4] = [
    ("default", None),
    ("sqlite", Some(Engine::Sqlite)),
    ("mysql", Some(Engine::MySql)),
    ("postgres", Some(Engine::Postgres)),
];

/// Every text of a part, checked in its own grammar; the facts are those of the first, and the others must agree.
fn read_sql(
    reader: &Reader<'_>,
    order: Option<&str>,
    names_table: bool,
    has_pattern: bool,
    context: &PartContext<'_>,
) -> (Vec<PartSource>, Option<Facts>) {
    let Some(sql) = reader.table("sql") else { return (Vec::new(), None) };
    let mut sources = Vec::new();
    let mut base: Option<(&str, Facts)> = None;
    for (name, engine) in TEXTS {
        let Some(template) = sql.opt_text(name) else { continue };
        let mut problems = Vec::new();
        let grammar = engine.unwrap_or(Engine::Sqlite);
        let prefixes = with_table(context.prefixes, grammar, has_pattern);
        let expanded = expand(grammar, &template, &prefixes, context.params, &mut problems);
        if has_pattern && !expanded.sql.contains(&stand_in(grammar)) {
            problems.push("`tables` is given, but the SELECT does not say `{table}`".into());
        }
        let found = facts(&expanded.sql, grammar, &mut problems);
        if let (Some(order), Some(f)) = (order, &found) {
            if f.is_ordered {
                problems.push("the SELECT orders its rows itself; leave `order` out or move it there".into());
            } else if problems.is_empty() {
                facts(&format!("{}\nORDER BY {order}", expanded.sql), grammar, &mut problems);
            }
        }
        if let Some(f) = found {
            if f.table.is_none() && !names_table {
                problems.push("the main table cannot be seen in the FROM clause; name it with `table`".into());
            }
            match &base {
                None => base = Some((name, f)),
                Some((first, facts)) => {
                    let columns = |f: &Facts| f.aliases.iter().cloned().collect::<BTreeSet<_>>();
                    let (ours, theirs) = (columns(&f), columns(facts));
                    let differ: Vec<&str> = ours.symmetric_difference(&theirs).map(String::as_str).collect();
                    if !differ.is_empty() {
                        problems.push(format!("`sql.{name}` and `sql.{first}` differ in {}", differ.join(", ")));
                    }
                }
            }
        }
        for problem in problems {
            sql.problem_at(name, problem);
        }
        sources.push(PartSource { template, engine });
    }
    sql.finish();
    if sources.is_empty() {
        sql.problem("no SELECT; give `sql.default`, `sql.sqlite`, `sql.mysql` or `sql.postgres`");
    }
    (sources, base.map(|(_, facts)| facts))
}

fn own_names(dataset: &Dataset) -> Vec<&'static str> {
    dataset.fillable_columns().map(|c| c.name).collect()
}

/// A column a part may fill, if the name is one.
pub(super) fn fillable<'d>(dataset: &'d Dataset, name: &str) -> Option<&'d Column> {
    dataset.fillable_columns().find(|c| c.name == name)
}

fn read_conversions(
    reader: &Reader<'_>,
    dataset: &'static Dataset,
    context: &PartContext<'_>,
) -> BTreeMap<String, Conversion> {
    let mut out = BTreeMap::new();
    let Some(table) = reader.opt_table("conv") else { return out };
    for name in table.keys() {
        let Some(column) = fillable(dataset, &name) else {
            table.problem_at(
                &name,
                format!("`{}` has no column `{name}`; accepted: {}", dataset.name, own_names(dataset).join(", ")),
            );
            table.has(&name);
            continue;
        };
        let Some(conv) = table.opt_table(&name) else { continue };
        let conversion = read(&conv, column, context.enums);
        match &conversion.kind {
            Kind::Const(text) => match text.strip_prefix("param:") {
                Some(param) => check_param(&conv, "const", param, context.params),
                None => {
                    if constant(column, text).is_none() {
                        conv.problem_at("const", format!("`{text}` is not a value of `{name}`{}", vocabulary(column)));
                    }
                }
            },
            Kind::Time { meaning: TimeMeaning::Local | TimeMeaning::Pattern(_), zone, .. } => {
                match zone.as_ref().or(context.zone) {
                    None => conv.problem_at("time", "a local time needs a zone: give `zone` here or in [mapping]"),
                    Some(ZoneRef::Param(param)) if zone.is_some() => check_param(&conv, "zone", param, context.params),
                    Some(_) => {}
                }
            }
            _ => {}
        }
        out.insert(name, conversion);
    }
    out
}

fn vocabulary(column: &Column) -> String {
    column.vocabulary.map_or_else(String::new, |words| format!("; accepted: {}", words.join(", ")))
}

fn check_columns(
    reader: &Reader<'_>,
    dataset: &'static Dataset,
    facts: &Facts,
    conversions: &BTreeMap<String, Conversion>,
    formula: Option<&chain::Formula>,
) {
    let helpers: BTreeSet<&str> = conversions
        .values()
        .filter_map(|c| match &c.kind {
            Kind::Enum2 { columns, .. } => Some(columns.iter().map(String::as_str)),
            _ => None,
        })
        .flatten()
        .collect();
    let mut selected: BTreeSet<&str> = BTreeSet::new();
    for alias in &facts.aliases {
        if !selected.insert(alias) {
            reader.problem_at("sql", format!("`{alias}` is selected twice"));
            continue;
        }
        match fillable(dataset, alias) {
            Some(column) => check_default(reader, column, conversions.get(alias)),
            None if helpers.contains(alias.as_str()) => {}
            None if chain::is_source(alias) && formula.is_some() => {}
            None if chain::is_source(alias) => {
                reader.problem_at("sql", format!("`{alias}` is for a hash chain, and no `chain` is declared"));
            }
            None => reader.problem_at(
                "sql",
                format!("`{}` has no column `{alias}`; accepted: {}", dataset.name, own_names(dataset).join(", ")),
            ),
        }
    }
    let conv = reader.opt_table("conv");
    for (name, conversion) in conversions {
        let needed: Vec<&str> = match &conversion.kind {
            Kind::Const(_) => {
                if selected.contains(name.as_str())
                    && let Some(conv) = &conv
                {
                    conv.problem_at(name, format!("`{name}` is a constant and is selected too; keep one of them"));
                }
                continue;
            }
            Kind::Enum2 { columns, .. } => columns.iter().map(String::as_str).collect(),
            _ => vec![name.as_str()],
        };
        for missing in needed.into_iter().filter(|n| !selected.contains(n)) {
            if let Some(conv) = &conv {
                conv.problem_at(name, format!("`{missing}` is converted but not selected"));
            }
        }
    }
    chain::check(reader, formula, &selected, &|name| conversions.contains_key(name));
    for key in dataset.key {
        if !selected.contains(key) && !conversions.contains_key(*key) {
            reader.problem_at("sql", format!("key column `{key}` of `{}` is not selected", dataset.name));
        }
    }
    for column in dataset.own_columns() {
        if let crate::schema::Class::PerRow(actor) = column.class
            && selected.contains(column.name)
            && !selected.contains(actor)
            && !conversions.contains_key(actor)
        {
            reader.problem_at(
                "sql",
                format!("`{}` needs `{actor}` beside it, which says whose it is; select it or give conv.{actor} = {{ const = … }}", column.name),
            );
        }
    }
}

/// Money, rates and times have no default meaning.
fn check_default(reader: &Reader<'_>, column: &Column, conversion: Option<&Conversion>) {
    let needs = column.unit().is_some()
        || matches!(column.ty, ColumnType::Instant | ColumnType::Date)
        || column.name.ends_with("_rate");
    let has = conversion.is_some_and(|c| !matches!(c.kind, Kind::Text { .. }));
    if needs && !has {
        reader.problem_at(
            "sql",
            format!("`{0}` has no default meaning; give conv.{0}: {1}", column.name, accepted(column)),
        );
    }
}

/// Checks the words of an enum against every column that takes them.
pub(super) fn enum_targets(name: &str, reader: &Reader<'_>, targets: &[Target]) {
    for target in targets.iter().filter(|t| t.map == name) {
        let place = format!("{}.{}", target.dataset, target.column.name);
        for code in reader.keys().into_iter().filter(|k| k != "on_unknown") {
            let Some(word) = reader.opt_text(&code).filter(|w| !w.is_empty()) else { continue };
            if constant(&target.column, &word).is_none() {
                reader.problem_at(&code, format!("`{word}` is not a value of `{place}`{}", vocabulary(&target.column)));
            }
        }
        if target.on_unknown == OnUnknown::KeepRaw && target.column.vocabulary.is_some() && !target.has_raw {
            reader.problem_at(
                "on_unknown",
                format!(
                    "`keep_raw` needs a column for the raw code, and `{place}` has none; accepted: fail, quarantine"
                ),
            );
        }
    }
    reader.finish();
}

impl Part {
    /// Sets everything that depends on the statement's text.
    pub(super) fn assemble(&mut self, engine: Engine, select: &str, prefixes: &BTreeMap<String, String>) {
        let mut ignored = Vec::new();
        let facts = facts(select, engine, &mut ignored).unwrap_or_default();
        self.engine = engine;
        self.columns = facts.aliases;
        self.tables = facts.tables;
        self.conditions = facts.conditions;
        self.table = match &self.declared_table {
            Some(declared) => {
                let mut name = String::new();
                super::select::fill(declared, prefixes, &mut name, &mut ignored);
                name
            }
            None => facts.table.unwrap_or_default(),
        };
        self.select = select.to_owned();
        self.sql = match &self.order {
            // On a line of its own: the statement may end in a comment.
            Some(order) => format!("{select}\nORDER BY {order}"),
            None => select.to_owned(),
        };
    }
}
