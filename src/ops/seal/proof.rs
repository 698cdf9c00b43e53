//! What the sources say about their content before a row is read: the control totals every seal is reconciled with,
//! and what a seal that goes on after an interruption compares.
//!
//! The proof holds, for every table that is read, its columns, its count, the largest value of its key and of each
//! column that looks like a time, and the control totals of every statement. A change that moves none of these is not
//! seen: the guide says so (`docs/sources.md`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::plan::{Feed, Plan};
use super::raw::{self, Entry, RawControl, RawPlan};
use crate::crypto;
use crate::mapping::{Part, SourceTotals, control_sql};
use crate::ops::{Env, Error};
use crate::progress::Stage;
use crate::pseudonym::Keys;
use crate::source::database::{Select, TableInfo};
use crate::source::{self, RowSource};

/// Facts by name; values of rows stand in it only as keyed fingerprints.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Proof(BTreeMap<String, String>);

impl Proof {
    /// Number of facts.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Names of the facts that are not the same, in name order.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let names: std::collections::BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        names.into_iter().filter(|n| self.0.get(*n) != other.0.get(*n)).cloned().collect()
    }
}

/// The sources' own totals, taken in the snapshot in which the rows are read.
#[derive(Debug, Default)]
pub(super) struct Controls {
    parts: BTreeMap<String, SourceTotals>,
    raw: BTreeMap<String, RawControl>,
}

impl Controls {
    pub(super) fn of_part(&self, database: usize, part: &Part) -> SourceTotals {
        self.parts.get(&place(database, part)).cloned().unwrap_or_default()
    }

    pub(super) fn of_raw(&self, entry: &Entry) -> RawControl {
        self.raw.get(&entry.name).cloned().unwrap_or_default()
    }
}

fn place(database: usize, part: &Part) -> String {
    format!("{database} {} {} {}", part.dataset.name, part.index, part.table)
}

/// Asks every source.
///
/// # Errors
/// What a source says; an interruption.
pub(super) async fn ask(
    env: &Env,
    (plan, raw): (&Plan, &RawPlan),
    databases: &mut [Box<dyn RowSource>],
    account: &Account,
    keys: &Keys,
) -> Result<(Proof, Controls), Error> {
    let task = env.progress.start(Stage::AskTotals, None);
    let mut facts = BTreeMap::new();
    let mut controls = Controls::default();
    for (index, (config, source)) in plan.databases.iter().zip(databases.iter_mut()).enumerate() {
        let is_read = |table: &TableInfo| {
            plan.parts(index).any(|p| p.tables.iter().any(|name| name.eq_ignore_ascii_case(&table.name)))
        };
        for table in account.tables(index).iter().filter(|t| t.is_readable && is_read(t)) {
            env.cancel.check()?;
            task.label(&table.name);
            let name = format!("{}.{}", config.name, table.name);
            let columns: Vec<String> = table.columns.iter().map(|(n, ty)| format!("{n} {ty}")).collect();
            facts.insert(format!("{name}: columns"), crypto::sha256(columns.join("\n").as_bytes()).to_string());
            facts.insert(format!("{name}: rows"), table.rows.to_string());
            let largest = largest(source.as_mut(), table).await?;
            let joined: Vec<String> = largest.iter().map(|(column, value)| format!("{column}\0{value:?}")).collect();
            facts.insert(format!("{name}: largest keys and times"), keys.fingerprint(joined.join("\n").as_bytes()));
        }
    }
    for feed in plan.feeds.values().flatten() {
        let Feed::Query { database, part } = feed else { continue };
        let (Some(source), Some(config)) = (databases.get_mut(*database), plan.databases.get(*database)) else {
            continue;
        };
        env.cancel.check()?;
        task.label(part.dataset.name);
        let control = control_sql(part);
        let answer = source.first_row(Select { sql: &control.sql, values: &control.values }).await?;
        let totals = control.totals(&answer)?;
        facts.insert(
            format!("{} from {}.{}: control totals #{}", part.dataset.name, config.name, part.table, part.index),
            format!("{totals:?}"),
        );
        controls.parts.insert(place(*database, part), totals);
    }
    for entry in &raw.entries {
        let Some(source) = databases.get_mut(entry.database) else { continue };
        env.cancel.check()?;
        task.label(&entry.name);
        let control = raw::control(source.as_mut(), entry).await?;
        facts.insert(format!("{}: control totals", entry.name), format!("{control:?}"));
        controls.raw.insert(entry.name.clone(), control);
    }
    Ok((Proof(facts), controls))
}

/// The largest value of each key column and of each column that looks like a time.
async fn largest(source: &mut dyn RowSource, table: &TableInfo) -> Result<Vec<(String, Option<String>)>, Error> {
    let key = source.primary_key(&table.name).await?;
    let chosen: Vec<&str> = table
        .columns
        .iter()
        .filter(|(name, ty)| key.contains(name) || is_time(name, ty))
        .map(|(name, _)| name.as_str())
        .collect();
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let engine = source.engine();
    let from = engine.quoted_table(&table.name);
    let statement = |columns: &[&str]| {
        let list: Vec<String> = columns.iter().map(|c| format!("MAX({})", engine.quoted(c))).collect();
        format!("SELECT {} FROM {from}", list.join(", "))
    };
    let named = |columns: &[&str], row: Vec<Option<String>>| {
        columns.iter().map(|c| (*c).to_owned()).zip(row).collect::<Vec<_>>()
    };
    match source.first_row(Select { sql: &statement(&chosen), values: &[] }).await {
        Ok(row) => return Ok(named(&chosen, row)),
        Err(source::Error::Sql { .. }) => {}
        Err(e) => return Err(e.into()),
    }
    // Some type has no largest value there (a uuid in PostgreSQL); the others still have one.
    let mut out = Vec::new();
    for column in chosen {
        match source.first_row(Select { sql: &statement(&[column]), values: &[] }).await {
            Ok(row) => out.extend(named(&[column], row)),
            Err(source::Error::Sql { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(out)
}

/// Whether a column says when something happened, by its type, or by its name where types say nothing (SQLite).
fn is_time(name: &str, ty: &str) -> bool {
    let (name, ty) = (name.to_lowercase(), ty.to_lowercase());
    ["date", "time"].iter().any(|word| ty.contains(word) || name.contains(word)) || name.ends_with("_at")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_look_like_times() {
        for (name, ty, expected) in [
            ("updated_at", "INTEGER", true),
            ("gmt_modified", "datetime(3)", true),
            ("update_time", "", true),
            ("created", "timestamp with time zone", true),
            ("status", "text", false),
            ("format", "text", false),
        ] {
            assert_eq!(is_time(name, ty), expected, "{name} {ty}");
        }
    }

    #[test]
    fn differences_name_what_changed() {
        let proof =
            |facts: &[(&str, &str)]| Proof(facts.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        let before = proof(&[("a: rows", "1"), ("b: rows", "2"), ("c: rows", "3")]);
        let after = proof(&[("a: rows", "1"), ("b: rows", "9"), ("d: rows", "3")]);
        assert_eq!(before.differences(&after), ["b: rows", "c: rows", "d: rows"]);
        assert_eq!(before.differences(&before), [] as [String; 0]);
    }
}
