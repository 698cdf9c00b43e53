//! One SELECT of a mapping and how its columns become a dataset.

use std::collections::{BTreeMap, BTreeSet};

use globset::{Glob, GlobMatcher};

use crate::model::Engine;
use crate::schema::{Class, Column, Dataset, Raised};

use super::chain::Formula;
use super::conversion::{Conversion, ZoneRef};

/// One SELECT of a mapping with its conversions; several may feed one dataset.
#[derive(Debug, Clone)]
pub struct Part {
    /// The dataset it feeds.
    pub dataset: &'static Dataset,
    /// Position among the parts of the dataset, from 0.
    pub index: usize,
    /// Statement for [`Part::engine`], ordered, with that engine's placeholders.
    pub sql: String,
    /// Values in the order of the placeholders; empty until [`Mapping::bind`](super::Mapping::bind).
    pub values: Vec<String>,
    /// The engine the statement is for.
    pub engine: Engine,
    /// Names of the columns the statement selects, in order.
    pub columns: Vec<String>,
    /// Main source table: declared, or the first table of the FROM.
    pub table: String,
    /// Every table the statement reads.
    pub tables: BTreeSet<String>,
    /// Everything in the statement that can leave rows out, as text: WHERE, inner joins, DISTINCT, GROUP BY, LIMIT.
    pub conditions: Vec<String>,
    /// The author's words on those conditions.
    pub where_note: Option<String>,
    /// The author's words on the dataset.
    pub note: Option<String>,
    /// `recorded`, `derived` or `inferred`.
    pub evidence: &'static str,
    /// Declared row order.
    pub order: Option<String>,
    /// The statement without the declared order.
    pub(super) select: String,
    pub(super) mapping_id: String,
    pub(super) zone: Option<ZoneRef>,
    pub(super) conversions: BTreeMap<String, Conversion>,
    pub(super) chain: Option<Formula>,
    /// Own and others' declarations about identity classes.
    pub(super) raised: Raised,
    /// The texts as written, one per engine or one for all.
    pub(super) sources: Vec<PartSource>,
    pub(super) declared_table: Option<String>,
    /// The part stands for every table that matches this.
    pub(super) pattern: Option<String>,
}

/// The table's name in a statement that stands for several tables.
const STAND_IN: &str = "sealport any table";

/// The same, quoted for an engine: no table is called that, so it can be replaced as text.
pub(super) fn stand_in(engine: Engine) -> String {
    engine.quoted(STAND_IN)
}

/// Compiles a pattern of table names: `*`, `?`, `[0-9]`; `None` when it is none.
pub(super) fn matcher(pattern: &str) -> Option<GlobMatcher> {
    Some(Glob::new(pattern).ok()?.compile_matcher())
}

/// A SELECT as written, from which the statement is assembled when parameters get values.
#[derive(Debug, Clone)]
pub(super) struct PartSource {
    pub(super) template: String,
    /// The engine it is for; `None` for `sql.default`.
    pub(super) engine: Option<Engine>,
}

impl Part {
    /// The text for an engine: its own, else the one for all.
    pub(super) fn text_for(&self, engine: Engine) -> Option<&PartSource> {
        let own = self.sources.iter().find(|s| s.engine == Some(engine));
        own.or_else(|| self.sources.iter().find(|s| s.engine.is_none()))
    }

    /// Engines it has a text for.
    pub fn engines(&self) -> Vec<Engine> {
        Engine::ALL.into_iter().filter(|e| self.text_for(*e).is_some()).collect()
    }

    /// The pattern of the tables it stands for, if it stands for several; see [`Part::for_table`].
    pub fn pattern(&self) -> Option<&str> {
        self.pattern.as_deref()
    }

    /// Those of the tables that the part stands for, in name order.
    pub fn matching<'t>(&self, tables: impl Iterator<Item = &'t str>) -> Vec<&'t str> {
        let Some(matcher) = self.pattern.as_deref().and_then(matcher) else { return Vec::new() };
        let mut names: Vec<&str> = tables.filter(|name| matcher.is_match(name)).collect();
        names.sort_unstable();
        names
    }

    /// The part for one of the tables it stands for.
    pub fn for_table(&self, name: &str) -> Self {
        let mut part = self.clone();
        part.pattern = None;
        let quoted = self.engine.quoted_table(name);
        part.assemble(self.engine, &self.select.replace(&stand_in(self.engine), &quoted), &BTreeMap::new());
        name.clone_into(&mut part.table);
        part
    }

    /// Columns whose identity class this part declares to be stronger than the schema's.
    pub fn class_overrides(&self) -> BTreeMap<&str, Class> {
        self.conversions.iter().filter_map(|(name, c)| Some((name.as_str(), c.class?))).collect()
    }

    /// The declared formula of the source's own hash chain, as text.
    pub fn chain(&self) -> Option<String> {
        self.chain.as_ref().map(Formula::describe)
    }

    /// Takes over the classes that hold for the whole table, where other parts raise columns that this one does not.
    pub fn raise(&mut self, raised: &Raised) {
        for (column, class) in raised.iter() {
            self.raised.raise(column, class);
        }
    }

    /// The identity class a column has in the table this part feeds.
    pub(super) fn class_of(&self, column: &Column) -> Class {
        self.raised.class_of(column)
    }
}
