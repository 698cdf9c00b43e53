//! Mapping files: reading, and binding of parameters.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use chrono_tz::Tz;

use crate::config::document::LoadError;
use crate::config::{Document, Problems, Reader};
use crate::model::Engine;
use crate::schema;

use super::Error;
use super::conversion::{EnumMap, Kind, OnUnknown, ZoneRef, zone};
use super::lint::{PartContext, Target, enum_targets, read_part, with_table};
use super::part::{Part, matcher};
use super::raw::{RawRule, read_rule};
use super::select::{expand, fill, is_prefix};

/// What kind of value a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ParamKind {
    Text,
    Prefix,
    Zone,
}

#[derive(Debug, Clone)]
struct Param {
    kind: ParamKind,
    default: Option<String>,
    title: Option<String>,
}

/// A mapping file without mistakes.
#[derive(Debug, Clone)]
pub struct Mapping {
    id: String,
    version: i64,
    title: String,
    engines: Vec<String>,
    requires_template: BTreeMap<String, Vec<String>>,
    requires: BTreeMap<String, Vec<String>>,
    zone: Option<ZoneRef>,
    zone_evidence: Option<String>,
    params: BTreeMap<String, Param>,
    parts: Vec<Part>,
    absent: BTreeMap<String, String>,
    /// Rules for raw tables, by table name.
    raw: BTreeMap<String, RawRule>,
    raw_template: BTreeMap<String, RawRule>,
}

/// Every mistake of a mapping file; none when it is good.
pub fn lint(file: &str, text: &str) -> Problems {
    Mapping::parse(file, text).err().unwrap_or_default()
}

impl Mapping {
    /// Reads and checks a mapping file.
    ///
    /// # Errors
    /// When it cannot be read; every mistake in it.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        Ok(Self::read(Document::load(path)?)?)
    }

    /// Checks a mapping text; `file` is the name used in messages.
    ///
    /// # Errors
    /// Every mistake, with its position and what is accepted.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problems> {
        Self::read(Document::parse(file, text)?)
    }

    fn read(document: Document) -> Result<Self, Problems> {
        let mapping = Self::read_root(&document.root());
        document.into_problems().or(mapping)
    }

    fn read_root(root: &Reader<'_>) -> Self {
        if root.has("format") {
            root.format_one();
        }
        let params = read_params(root);
        let names: BTreeSet<String> = params.keys().cloned().collect();
        let prefixes: BTreeMap<String, String> = params
            .iter()
            .filter(|(_, p)| p.kind == ParamKind::Prefix)
            .map(|(name, p)| (name.clone(), p.default.clone().unwrap_or_default()))
            .collect();
        let mut mapping = Self {
            id: String::new(),
            version: 0,
            title: String::new(),
            engines: Vec::new(),
            requires_template: BTreeMap::new(),
            requires: BTreeMap::new(),
            zone: None,
            zone_evidence: None,
            params,
            parts: Vec::new(),
            absent: BTreeMap::new(),
            raw: BTreeMap::new(),
            raw_template: BTreeMap::new(),
        };
        if let Some(head) = root.table("mapping") {
            mapping.read_head(&head, &names, &prefixes);
        }
        let (enums, enum_readers) = read_enums(root);
        let context = PartContext {
            mapping_id: &mapping.id,
            zone: mapping.zone.as_ref(),
            params: &names,
            prefixes: &prefixes,
            enums: &enums,
        };
        let mut targets: Vec<Target> = Vec::new();
        let mut parts = Vec::new();
        if let Some(table) = root.table("dataset") {
            for name in table.keys() {
                let Some(reader) = table.opt_table(&name) else { continue };
                match schema::dataset(&name) {
                    Some(dataset) if matches!(dataset.origin, schema::Origin::Mapped | schema::Origin::Register) => {
                        let readers = if reader.has("part") {
                            let readers = reader.tables("part");
                            reader.finish();
                            readers
                        } else {
                            vec![reader]
                        };
                        for (index, part_reader) in readers.iter().enumerate() {
                            parts.extend(read_part(part_reader, dataset, index, &context, &mut targets));
                        }
                    }
                    _ => table.problem_at(
                        &name,
                        format!("`{name}` is not a dataset that can be mapped; accepted: {}", mappable()),
                    ),
                }
            }
            table.finish();
        }
        for (name, reader) in &enum_readers {
            enum_targets(name, reader, &targets);
        }
        mapping.parts = parts;
        mapping.read_absent(root);
        mapping.read_raw(root, &prefixes);
        root.finish();
        mapping
    }

    fn read_head(&mut self, head: &Reader<'_>, names: &BTreeSet<String>, prefixes: &BTreeMap<String, String>) {
        self.id = head.text("id");
        if !self.id.is_empty()
            && !self.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
        {
            head.problem_at("id", format!("`id` is `{}`; accepted: lower-case letters, digits, `-` and `_`", self.id));
        }
        self.version = head.int("version");
        if head.has("version") && self.version < 1 {
            head.problem_at("version", "`version` counts from 1");
        }
        self.title = head.opt_text("title").unwrap_or_default();
        self.engines = head.text_list("engines");
        for engine in &self.engines {
            let name: String = engine.chars().take_while(char::is_ascii_alphabetic).collect();
            let version = &engine[name.len()..];
            let known = matches!(name.as_str(), "sqlite" | "mysql" | "mariadb" | "postgres");
            let fits = version.is_empty()
                || version
                    .strip_prefix(">=")
                    .is_some_and(|v| !v.is_empty() && v.split('.').all(|n| n.parse::<u32>().is_ok()));
            if !known || !fits {
                head.problem_at("engines", format!("`{engine}` is not an engine; accepted: sqlite, mysql, mariadb, postgres, each with an optional `>=1.2`"));
            }
        }
        self.zone = zone(head, "zone");
        if let Some(ZoneRef::Param(name)) = &self.zone {
            check_param(head, "zone", name, names);
        }
        self.zone_evidence = head.opt_text("zone_evidence");
        if self.zone.is_some() && !head.has("zone_evidence") {
            head.problem_at("zone", "`zone` needs `zone_evidence`: where the zone is known from, e.g. \"app config\" or \"confirmed by NAME on DATE\"");
        }
        if let Some(name) = self.zone_evidence.as_ref().and_then(|e| e.strip_prefix("param:")) {
            check_param(head, "zone_evidence", name, names);
        }
        if let Some(requires) = head.opt_table("requires") {
            for table in requires.keys() {
                let columns = requires.text_list(&table);
                let mut problems = Vec::new();
                let mut name = String::new();
                fill(&table, prefixes, &mut name, &mut problems);
                for problem in problems {
                    requires.problem_at(&table, problem);
                }
                self.requires.insert(name, columns.clone());
                self.requires_template.insert(table, columns);
            }
        }
        head.finish();
    }

    fn read_absent(&mut self, root: &Reader<'_>) {
        let Some(table) = root.opt_table("absent") else { return };
        for name in table.keys() {
            let why = table.text(&name);
            if schema::dataset(&name).is_none() {
                table.problem_at(&name, format!("`{name}` is not a dataset; accepted: {}", mappable()));
            } else if self.parts.iter().any(|p| p.dataset.name == name) {
                table.problem_at(&name, format!("`{name}` is both mapped and absent"));
            }
            self.absent.insert(name, why);
        }
    }

    fn read_raw(&mut self, root: &Reader<'_>, prefixes: &BTreeMap<String, String>) {
        let Some(table) = root.opt_table("raw") else { return };
        for name in table.keys() {
            let Some(reader) = table.opt_table(&name) else { continue };
            let rule = read_rule(&reader);
            let mut problems = Vec::new();
            let mut filled = String::new();
            fill(&name, prefixes, &mut filled, &mut problems);
            problems.into_iter().for_each(|problem| table.problem_at(&name, problem));
            self.raw.insert(filled, rule.clone());
            self.raw_template.insert(name, rule);
        }
    }

    /// Rules for tables of the raw layer, by table name.
    pub fn raw(&self) -> &BTreeMap<String, RawRule> {
        &self.raw
    }

    /// Id of the mapping.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Version of the mapping.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Title of the mapping; may be empty.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Value of `src_system`: `id@version`.
    pub fn src_system(&self) -> String {
        format!("{}@{}", self.id, self.version)
    }

    /// Engines it was written for, e.g. `sqlite>=3.35`; empty when not stated.
    pub fn engines(&self) -> &[String] {
        &self.engines
    }

    /// All SELECTs with their conversions, in file order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Tables and columns that must exist.
    pub fn requires(&self) -> &BTreeMap<String, Vec<String>> {
        &self.requires
    }

    /// What of [`Mapping::requires`] the source does not have: `table` or `table.column`, in order.
    /// Names are compared without regard to case, as the engines do; a pattern stands for every table it matches and
    /// must match one.
    pub fn missing_in(&self, tables: &BTreeMap<String, Vec<String>>) -> Vec<String> {
        let mut missing = Vec::new();
        for (table, columns) in &self.requires {
            let pattern = table.contains(['*', '?', '[']).then(|| matcher(table)).flatten();
            let is_meant = |name: &String| match &pattern {
                Some(pattern) => pattern.is_match(name),
                None => name.eq_ignore_ascii_case(table),
            };
            let mut found = tables.iter().filter(|(name, _)| is_meant(name)).peekable();
            if found.peek().is_none() {
                missing.push(table.clone());
            }
            for (name, present) in found {
                let name = if pattern.is_some() { name } else { table };
                let lacks = columns.iter().filter(|c| !present.iter().any(|f| f.eq_ignore_ascii_case(c)));
                missing.extend(lacks.map(|c| format!("{name}.{c}")));
            }
        }
        missing
    }

    /// Datasets the product does not keep, with the author's words.
    pub fn absent(&self) -> &BTreeMap<String, String> {
        &self.absent
    }

    /// Zone of local times, once parameters are bound; `None` when the mapping has none or means the case's.
    pub fn zone(&self) -> Option<Tz> {
        match self.zone {
            Some(ZoneRef::Fixed(zone)) => Some(zone),
            _ => None,
        }
    }

    /// Where the zone is known from, once parameters are bound.
    pub fn zone_evidence(&self) -> Option<&str> {
        self.zone_evidence.as_deref()
    }

    /// Names of the parameters with their titles and whether a value must be given.
    pub fn params(&self) -> impl Iterator<Item = (&str, Option<&str>, bool)> {
        self.params.iter().map(|(name, p)| (name.as_str(), p.title.as_deref(), p.default.is_none()))
    }

    /// Chooses the statements of an engine and gives the parameters their values: prefixes are filled in, zones and
    /// constants resolved, values of placeholders set. To be called once before the parts are used, also when there
    /// is no parameter.
    ///
    /// # Errors
    /// [`Error::Param`] for a value that is missing, unknown or not acceptable; [`Error::NoStatement`] for a part
    /// without a text for the engine.
    pub fn bind(&self, engine: Engine, given: &BTreeMap<String, String>) -> Result<Self, Error> {
        let refuse =
            |param: &str, problem: String| Error::Param { mapping: self.id.clone(), param: param.into(), problem };
        if let Some(unknown) = given.keys().find(|name| !self.params.contains_key(*name)) {
            let known: Vec<&str> = self.params.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(refuse(unknown, format!("is not declared in [params]; declared: {known}")));
        }
        let mut values = BTreeMap::new();
        let mut prefixes = BTreeMap::new();
        for (name, param) in &self.params {
            let value = given.get(name).or(param.default.as_ref()).cloned();
            let value = value.ok_or_else(|| refuse(name, "has no value".into()))?;
            match param.kind {
                ParamKind::Prefix if !is_prefix(&value) => {
                    return Err(refuse(name, "is a table prefix: at most 32 of a-z, 0-9 and `_`".into()));
                }
                ParamKind::Prefix => {
                    prefixes.insert(name.clone(), value.clone());
                }
                ParamKind::Zone if value.parse::<Tz>().is_err() => {
                    return Err(refuse(name, "is a zone such as Asia/Shanghai".into()));
                }
                ParamKind::Zone | ParamKind::Text => {}
            }
            values.insert(name.clone(), value);
        }
        let value_of = |name: &str| values.get(name).cloned().ok_or_else(|| refuse(name, "has no value".into()));
        let zone_of = |zone: &Option<ZoneRef>| -> Result<Option<ZoneRef>, Error> {
            match zone {
                Some(ZoneRef::Param(name)) => {
                    let zone =
                        value_of(name)?.parse().map_err(|_| refuse(name, "is a zone such as Asia/Shanghai".into()))?;
                    Ok(Some(ZoneRef::Fixed(zone)))
                }
                other => Ok(other.clone()),
            }
        };
        let mut bound = self.clone();
        bound.zone = zone_of(&self.zone)?;
        if let Some(name) = self.zone_evidence.as_ref().and_then(|e| e.strip_prefix("param:")) {
            bound.zone_evidence = Some(value_of(name)?);
        }
        let filled = |text: &str| {
            let mut out = String::new();
            fill(text, &prefixes, &mut out, &mut Vec::new());
            out
        };
        bound.requires = self.requires_template.iter().map(|(t, c)| (filled(t), c.clone())).collect();
        bound.raw = self.raw_template.iter().map(|(t, rule)| (filled(t), rule.clone())).collect();
        let names: BTreeSet<String> = values.keys().cloned().collect();
        for part in &mut bound.parts {
            let source = part.text_for(engine).ok_or_else(|| Error::NoStatement {
                mapping: self.id.clone(),
                dataset: part.dataset.name.into(),
                engine: engine.word(),
            })?;
            let with_table = with_table(&prefixes, engine, part.pattern.is_some());
            let expanded = expand(engine, &source.template, &with_table, &names, &mut Vec::new());
            part.pattern = part.pattern.as_deref().map(filled);
            part.values = expanded.binds.iter().map(|name| value_of(name)).collect::<Result<_, _>>()?;
            part.zone = zone_of(&part.zone)?;
            for conversion in part.conversions.values_mut() {
                match &mut conversion.kind {
                    Kind::Time { zone, .. } => *zone = zone_of(zone)?,
                    Kind::Const(text) => {
                        if let Some(name) = text.strip_prefix("param:") {
                            *text = value_of(name)?;
                        }
                    }
                    _ => {}
                }
            }
            part.assemble(engine, &expanded.sql, &prefixes);
        }
        Ok(bound)
    }
}

/// Reports a parameter that is not declared.
pub(super) fn check_param(reader: &Reader<'_>, key: &str, name: &str, declared: &BTreeSet<String>) {
    if !declared.contains(name) {
        let list: Vec<&str> = declared.iter().map(String::as_str).collect();
        let list = if list.is_empty() { "none".to_owned() } else { list.join(", ") };
        reader.problem_at(key, format!("parameter `{name}` is not declared in [params]; declared: {list}"));
    }
}

fn mappable() -> String {
    schema::datasets()
        .filter(|d| matches!(d.origin, schema::Origin::Mapped | schema::Origin::Register))
        .map(|d| d.name)
        .collect::<Vec<_>>()
        .join(", ")
}

fn read_params(root: &Reader<'_>) -> BTreeMap<String, Param> {
    let mut out = BTreeMap::new();
    let Some(table) = root.opt_table("params") else { return out };
    for name in table.keys() {
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            table.problem_at(&name, format!("`{name}` is not a parameter name; accepted: letters, digits and `_`"));
        }
        let Some(reader) = table.opt_table(&name) else { continue };
        let kind = match reader.opt_one_of("kind", &["text", "prefix", "zone"]) {
            Some("prefix") => ParamKind::Prefix,
            Some("zone") => ParamKind::Zone,
            _ => ParamKind::Text,
        };
        let default = reader.opt_text("default");
        match (kind, &default) {
            (ParamKind::Prefix, Some(value)) if !is_prefix(value) => {
                reader.problem_at("default", "a table prefix is at most 32 of a-z, 0-9 and `_`");
            }
            (ParamKind::Zone, Some(value)) if value.parse::<Tz>().is_err() => {
                reader.problem_at("default", format!("`{value}` is not a zone; accepted: names such as Asia/Shanghai"));
            }
            _ => {}
        }
        let title = reader.opt_text("title");
        reader.finish();
        out.insert(name, Param { kind, default, title });
    }
    out
}

type Enums<'d> = (BTreeMap<String, Arc<EnumMap>>, Vec<(String, Reader<'d>)>);

fn read_enums<'d>(root: &Reader<'d>) -> Enums<'d> {
    let (mut enums, mut readers) = (BTreeMap::new(), Vec::new());
    let Some(table) = root.opt_table("enum") else { return (enums, readers) };
    for name in table.keys() {
        let Some(reader) = table.opt_table(&name) else { continue };
        let on_unknown = match reader.opt_one_of("on_unknown", &["fail", "quarantine", "keep_raw"]) {
            Some("quarantine") => OnUnknown::Quarantine,
            Some("keep_raw") => OnUnknown::KeepRaw,
            _ => OnUnknown::Fail,
        };
        let (mut codes, mut wildcards) = (HashMap::new(), Vec::new());
        for code in reader.keys().into_iter().filter(|k| k != "on_unknown") {
            let Some(word) = reader.opt_text(&code) else { continue };
            // An empty word is the declared way to say "this code means no value".
            let word = (!word.is_empty()).then_some(word);
            if code.split('|').any(|part| part == "*") {
                wildcards.push((code.split('|').map(str::to_owned).collect(), word));
            } else {
                codes.insert(code, word);
            }
        }
        if codes.is_empty() && wildcards.is_empty() {
            reader.problem("an enum needs at least one code, e.g. \"101\" = \"paid\"");
        }
        enums.insert(name.clone(), Arc::new(EnumMap { name: name.clone(), codes, wildcards, on_unknown }));
        readers.push((name, reader));
    }
    (enums, readers)
}
