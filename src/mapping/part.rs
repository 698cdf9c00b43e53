//! One SELECT of a mapping and how its columns become a dataset.

use std::collections::{BTreeMap, BTreeSet};

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
