//! What the sources say about their content before a row is read: the control totals every seal is reconciled with,
//! and what a seal that goes on after an interruption compares.
//!
//! The proof holds, for every source, its version and settings; for every table that is read its columns, its count, and
//! from a server the largest value of its key and of each column that looks like a time and its own mark of changes;
//! for every statement its control totals; for a database file its size and time. A change that moves none of
//! these is not seen: the guide says so (`docs/sources.md`).

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::plan::{Feed, Plan};
use super::raw::{self, Entry, RawControl, RawPlan};
use crate::config::case::SourceLocation;
use crate::crypto;
use crate::mapping::{Part, SourceTotals, control_sql};
use crate::model::Engine;
use crate::ops::{Env, Error, sources};
use crate::progress::Stage;
use crate::pseudonym::Keys;
use crate::source::database::{Select, SourceDescription, TableInfo};
use crate::source::{self, RowSource};

/// Facts by name, a kind and of what (`rows shop.t_pay`). Sums stand in it as they are, other values of rows only as
/// keyed fingerprints.
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
    /// Those of a statement.
    ///
    /// # Errors
    /// When it was not asked for, which is a bug.
    pub(super) fn of_part(&self, database: usize, part: &Part) -> Result<SourceTotals, Error> {
        self.parts.get(&place(database, part)).cloned().ok_or(Error::Worker { doing: "looking up control totals" })
    }

    /// Those of a raw table.
    ///
    /// # Errors
    /// When it was not asked for, which is a bug.
    pub(super) fn of_raw(&self, entry: &Entry) -> Result<RawControl, Error> {
        self.raw.get(&entry.name).cloned().ok_or(Error::Worker { doing: "looking up control totals" })
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
        facts.insert(format!("engine {}", config.name), settings(&source.description()));
        if let SourceLocation::Sqlite(path) = &config.config.location {
            facts.insert(format!("database {}", config.name), written(path));
        }
        let marks = source.change_marks();
        let is_read = |table: &TableInfo| {
            plan.parts(index).any(|p| p.tables.iter().any(|name| name.eq_ignore_ascii_case(&table.name)))
        };
        for table in account.tables(index).iter().filter(|t| t.is_readable && is_read(t)) {
            env.cancel.check()?;
            task.label(&table.name);
            let name = format!("{}.{}", config.name, table.name);
            let columns: Vec<String> = table.columns.iter().map(|(n, ty)| format!("{n} {ty}")).collect();
            facts.insert(format!("columns {name}"), crypto::sha256(columns.join("\n").as_bytes()).to_string());
            facts.insert(format!("rows {name}"), table.rows.to_string());
            if let Some(mark) = marks.get(&table.name) {
                facts.insert(format!("changes {name}"), mark.clone());
            }
            // A file that was not written to tells more than any value in it.
            if source.engine() != Engine::Sqlite {
                let largest = largest(source.as_mut(), table).await?;
                let joined: Vec<String> =
                    largest.iter().map(|(column, value)| format!("{column}\0{value:?}")).collect();
                facts.insert(format!("largest {name}"), keys.fingerprint(joined.join("\n").as_bytes()));
            }
        }
    }
    for feed in plan.feeds.values().flatten() {
        let Feed::Query { database, part } = feed else { continue };
        let (Some(source), Some(config)) = (databases.get_mut(*database), plan.databases.get(*database)) else {
            continue;
        };
        env.cancel.check()?;
        task.label(part.dataset.name);
        let columns = sources::columns(source.as_mut(), part.dataset.name, &part.table, &part.sql).await?;
        let type_of = |name: &str| columns.iter().find(|c| c.name == name).map(|c| c.type_name.clone());
        let control = control_sql(part, &type_of);
        let answer = source.first_row(Select { sql: &control.sql, values: &control.values }).await?;
        let totals = control.totals(&answer)?;
        facts.insert(
            format!("totals {} ({}.{} #{})", part.dataset.name, config.name, part.table, part.index + 1),
            format!("{totals:?}"),
        );
        controls.parts.insert(place(*database, part), totals);
    }
    for entry in &raw.entries {
        let Some(source) = databases.get_mut(entry.database) else { continue };
        env.cancel.check()?;
        task.label(&entry.name);
        let control = raw::control(source.as_mut(), entry).await?;
        facts.insert(format!("totals {}", entry.name), format!("{control:?}"));
        controls.raw.insert(entry.name.clone(), control);
    }
    Ok((Proof(facts), controls))
}

/// Version and settings of a source, without what may differ at any moment.
fn settings(description: &SourceDescription) -> String {
    let stable = description.settings.iter().filter(|(name, _)| *name != "replica_lag_seconds");
    let list: Vec<String> = stable.map(|(name, value)| format!("{name}={value}")).collect();
    let text = format!("{} {}\n{}", description.engine, description.version, list.join("\n"));
    crypto::sha256(text.as_bytes()).to_string()
}

/// When a database file was written, and how large it is, with what waits beside it to be taken in (`-wal`).
fn written(path: &Path) -> String {
    let mut beside = path.as_os_str().to_owned();
    beside.push("-wal");
    let mark = |path: &Path| {
        let found = std::fs::metadata(path).ok().filter(|m| m.len() > 0)?;
        let at = found.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(format!("{} {}", found.len(), at.as_nanos()))
    };
    format!("{:?} {:?}", mark(path), mark(Path::new(&beside)))
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
    let words = ["date", "time", "gmt", "created", "updated", "modified", "日期", "时间"];
    ty.contains("date") || ty.contains("time") || name.ends_with("_at") || words.iter().any(|word| name.contains(word))
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
            ("gmt_create", "bigint", true),
            ("支付时间", "", true),
        ] {
            assert_eq!(is_time(name, ty), expected, "{name} {ty}");
        }
    }

    #[test]
    fn differences_name_what_changed() {
        let proof =
            |facts: &[(&str, &str)]| Proof(facts.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        let before = proof(&[("rows a", "1"), ("rows b", "2"), ("rows c", "3")]);
        let after = proof(&[("rows a", "1"), ("rows b", "9"), ("rows d", "3")]);
        assert_eq!(before.differences(&after), ["rows b", "rows c", "rows d"]);
        assert_eq!(before.differences(&before), [] as [String; 0]);
    }
}
