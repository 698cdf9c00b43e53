//! One SELECT of a mapping and how its columns become a dataset.

use std::collections::{BTreeMap, BTreeSet};

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
    /// Statement for the source engine, ordered, with parameters `?1`, `?2` ….
    pub sql: String,
    /// Values of `?1`, `?2` …; empty until [`Mapping::bind`](super::Mapping::bind).
    pub values: Vec<String>,
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
    pub(super) source: PartSource,
}

/// A part as written, from which it is assembled again when parameters get values.
#[derive(Debug, Clone, Default)]
pub(super) struct PartSource {
    pub(super) template: String,
    pub(super) dialect: &'static str,
    pub(super) table: Option<String>,
    pub(super) order: Option<String>,
}

impl Part {
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
