//! How long each class of records of each month is kept, by which source.
//!
//! The period starts on the latest stated anchor of the month's records; without one, on the month's last day, and
//! for classes counted from the fiscal year on 31 December.

use std::collections::BTreeMap;

use chrono::{Datelike as _, NaiveDate};
use serde::Serialize;

use super::facts::{Facts, InventoryMonth};
use super::format::{add_period, day, month_end};
use super::inputs::{PackFacts, ScheduleRow};
use super::words::reference;
use crate::model::Bilingual;

/// One class of the schedule with the months held.
#[derive(Debug, Clone, Serialize)]
pub struct RetentionClass {
    /// Class.
    pub data_class: String,
    /// Name.
    pub title: Bilingual,
    /// Minimum.
    pub min_period: Option<String>,
    /// Maximum for personal data.
    pub pi_max_period: Option<String>,
    /// Never destroyed.
    pub is_permanent: bool,
    /// What starts the period.
    pub anchor_kind: String,
    /// Sources.
    pub basis: Vec<Bilingual>,
    /// How well the source is known.
    pub mark: String,
    /// Role that answers for it.
    pub owner: String,
    /// Remark.
    pub note: Option<Bilingual>,
    /// Conflicts that concern it.
    pub conflicts: Vec<String>,
    /// Whether the schedule knows the class.
    pub is_scheduled: bool,
    /// Records held in all months.
    pub records: i64,
    /// Last day anything of it must be kept.
    pub last_keep_until: Option<String>,
    /// Months held.
    pub months: Vec<RetentionMonth>,
}

/// One month of a class.
#[derive(Debug, Clone, Serialize)]
pub struct RetentionMonth {
    /// `2026-07`.
    pub month: String,
    /// Records.
    pub records: i64,
    /// Keep until this day; `None`: permanent or no minimum.
    pub keep_until: Option<String>,
    /// Personal data must be gone or restricted after this day.
    pub pi_until: Option<String>,
    /// That day has passed, and personal data are neither deleted nor restricted.
    pub is_pi_overdue: bool,
    /// Deleted before the minimum ran out is not decided here, only that nothing is left.
    pub is_deleted: bool,
}

/// Joins schedule and inventory for the merchant's role.
pub(super) fn retention(pack: &PackFacts, role: &str, facts: &Facts, today: NaiveDate) -> Vec<RetentionClass> {
    let mut inventory: BTreeMap<&str, Vec<&InventoryMonth>> = BTreeMap::new();
    for month in &facts.inventory {
        inventory.entry(&month.data_class).or_default().push(month);
    }
    let mut schedule: BTreeMap<&str, &ScheduleRow> = BTreeMap::new();
    for row in pack.schedule.iter().filter(|r| r.legal_role == role || r.legal_role == "any") {
        // A row for the role itself is more exact than one for any role.
        let entry = schedule.entry(&row.data_class).or_insert(row);
        if row.legal_role == role {
            *entry = row;
        }
    }
    let mut out: Vec<RetentionClass> = Vec::new();
    for (class, row) in &schedule {
        let months = inventory.remove(class).unwrap_or_default();
        out.push(class_of(class, Some(row), &months, pack, today));
    }
    for (class, months) in inventory {
        out.push(class_of(class, None, &months, pack, today));
    }
    // Classes the merchant holds come first; the rest is the schedule for what may still appear.
    out.sort_by(|a, b| (a.months.is_empty(), &a.data_class).cmp(&(b.months.is_empty(), &b.data_class)));
    out
}

fn class_of(
    class: &str,
    row: Option<&ScheduleRow>,
    months: &[&InventoryMonth],
    pack: &PackFacts,
    today: NaiveDate,
) -> RetentionClass {
    let months: Vec<RetentionMonth> = months.iter().filter_map(|m| month_of(row, m, today)).collect();
    RetentionClass {
        data_class: class.to_owned(),
        title: row.map_or_else(|| Bilingual::new(class, class), |r| r.title.clone()),
        min_period: row.and_then(|r| r.min_period.clone()),
        pi_max_period: row.and_then(|r| r.pi_max_period.clone()),
        is_permanent: row.is_some_and(|r| r.is_permanent),
        anchor_kind: row.map(|r| r.anchor_kind.clone()).unwrap_or_default(),
        basis: row.map(|r| r.basis_refs.iter().map(|b| reference(b, &pack.titles)).collect()).unwrap_or_default(),
        mark: row.map(|r| r.mark.clone()).unwrap_or_default(),
        owner: row.map(|r| r.owner.clone()).unwrap_or_default(),
        note: row.and_then(|r| r.note.clone()),
        conflicts: row.map(|r| r.conflicts.clone()).unwrap_or_default(),
        is_scheduled: row.is_some(),
        records: months.iter().map(|m| m.records).fold(0, i64::saturating_add),
        last_keep_until: months.iter().filter_map(|m| m.keep_until.clone()).max(),
        months,
    }
}

fn month_of(row: Option<&ScheduleRow>, month: &InventoryMonth, today: NaiveDate) -> Option<RetentionMonth> {
    let first = day(&month.month_on)?;
    let anchor = match (month.anchor_on.as_deref().and_then(day), row) {
        (Some(stated), _) => stated,
        (None, Some(row)) if row.anchor_kind.contains("fiscal") => {
            NaiveDate::from_ymd_opt(first.year(), 12, 31).unwrap_or(first)
        }
        (None, _) => month_end(first),
    };
    let until = |period: Option<&String>| period.and_then(|p| add_period(anchor, p));
    let keep = row.filter(|r| !r.is_permanent).and_then(|r| until(r.min_period.as_ref()));
    let pi = if month.has_pi { row.and_then(|r| until(r.pi_max_period.as_ref())) } else { None };
    Some(RetentionMonth {
        month: month.month_on.get(..7).unwrap_or_default().to_owned(),
        records: month.records,
        keep_until: keep.map(|d| d.to_string()),
        pi_until: pi.map(|d| d.to_string()),
        is_pi_overdue: pi.is_some_and(|d| d < today) && !month.is_deleted && !month.is_restricted,
        is_deleted: month.is_deleted,
    })
}
