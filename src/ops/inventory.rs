//! `record_inventory`: which records exist, counted while their rows stream into the archive.
//!
//! One row per merchant, retention class and local month. A month inside the declared coverage without any row is
//! written with count 0, so that "nothing happened" and "nothing was kept" can be told apart; a month outside it is
//! not. Rows of the archive carry no direct identifiers, so `contains_pi` is false here; copies that still do belong
//! into the register of the same name.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::{Array, Date32Array, RecordBatch, StringArray};
use chrono::{Datelike as _, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::schema::{ColumnType, Dataset};

/// Key of a partition: merchant, class, first day of the month.
type Partition = (String, String, NaiveDate);

/// What was counted, in a form that outlives the process: merchant, class, month, rows; and the merchants seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counted {
    counts: Vec<(String, String, String, i64)>,
    merchants: BTreeSet<String>,
}

/// Counts rows per partition.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    counts: BTreeMap<Partition, i64>,
    /// Class to declared coverage of the datasets that feed it.
    covered: BTreeMap<String, (NaiveDate, NaiveDate)>,
    merchants: BTreeSet<String>,
}

impl Inventory {
    /// Goes on counting where an earlier process stopped; `None` when a month is none.
    pub(super) fn from_counted(counted: &Counted) -> Option<Self> {
        let mut inventory = Self { merchants: counted.merchants.clone(), ..Self::default() };
        for (merchant, class, month, n) in &counted.counts {
            inventory.counts.insert((merchant.clone(), class.clone(), month.parse().ok()?), *n);
        }
        Some(inventory)
    }

    /// What was counted so far.
    pub(super) fn counted(&self) -> Counted {
        let counts = self.counts.iter();
        Counted {
            counts: counts.map(|((m, class, month), n)| (m.clone(), class.clone(), month.to_string(), *n)).collect(),
            merchants: self.merchants.clone(),
        }
    }

    /// Takes a finished batch in. Rows without an anchor day are not counted: they belong to no month.
    pub(super) fn count(&mut self, dataset: &Dataset, batch: &RecordBatch) {
        if dataset.name == "merchants" {
            for merchant in texts(batch, "merchant_ref").into_iter().flatten().flatten() {
                self.merchants.insert(merchant.to_owned());
            }
        }
        let Some(days) = anchor_days(dataset, batch) else { return };
        let merchants = texts(batch, "merchant_ref");
        // A batch has few days and fewer merchants: months are worked out once for each, and the shared map, whose
        // order counts, is touched as rarely.
        let mut batch_counts: HashMap<(Option<&str>, i32), i64> = HashMap::new();
        for i in (0..batch.num_rows()).filter(|i| days.is_valid(*i)) {
            *batch_counts.entry((merchants.as_ref().and_then(|m| m[i]), days.value(i))).or_default() += 1;
        }
        for ((merchant, day), n) in batch_counts {
            let Some(month) = month_of(day) else { continue };
            let partition = (merchant.unwrap_or_default().to_owned(), dataset.retention.to_owned(), month);
            *self.counts.entry(partition).or_default() += n;
        }
    }

    /// Declares that the dataset covers these local days (end excluded).
    pub(super) fn cover(&mut self, dataset: &Dataset, from: NaiveDate, to: NaiveDate) {
        if dataset.anchor.is_none() {
            return;
        }
        let span = self.covered.entry(dataset.retention.to_owned()).or_insert((from, to));
        *span = (span.0.min(from), span.1.max(to));
    }

    /// The rows of `record_inventory`, as canonical cells, in key order. `fallback` names the merchant of datasets
    /// that do not carry one, when there is exactly one merchant.
    pub(super) fn rows(&self) -> Vec<[String; 5]> {
        let fallback = self.merchants.iter().next().cloned().unwrap_or_default();
        let mut all: BTreeMap<Partition, i64> = BTreeMap::new();
        for ((merchant, class, month), n) in &self.counts {
            let merchant = if merchant.is_empty() { fallback.clone() } else { merchant.clone() };
            *all.entry((merchant, class.clone(), *month)).or_default() += n;
        }
        for (class, (from, to)) in &self.covered {
            for merchant in &self.merchants {
                let mut month = first_of_month(*from);
                while month < *to {
                    all.entry((merchant.clone(), class.clone(), month)).or_insert(0);
                    month = next_month(month);
                }
            }
        }
        all.into_iter()
            .filter(|((merchant, ..), _)| !merchant.is_empty())
            .map(|((merchant, class, month), n)| {
                [merchant, class, month.to_string(), "archive".to_owned(), n.to_string()]
            })
            .collect()
    }
}

fn anchor_days<'b>(dataset: &Dataset, batch: &'b RecordBatch) -> Option<&'b Date32Array> {
    let anchor = dataset.column(dataset.anchor?)?;
    let name = match anchor.ty {
        ColumnType::Date => anchor.name,
        _ => dataset.columns.iter().find(|c| c.twin_of == Some(anchor.name))?.name,
    };
    batch.column_by_name(name)?.as_any().downcast_ref()
}

fn texts<'b>(batch: &'b RecordBatch, column: &str) -> Option<Vec<Option<&'b str>>> {
    let array: &StringArray = batch.column_by_name(column)?.as_any().downcast_ref()?;
    Some(array.iter().collect())
}

fn month_of(days: i32) -> Option<NaiveDate> {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    Some(first_of_month(epoch.checked_add_signed(chrono::TimeDelta::days(i64::from(days)))?))
}

fn first_of_month(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}

fn next_month(month: NaiveDate) -> NaiveDate {
    month.checked_add_months(chrono::Months::new(1)).unwrap_or(NaiveDate::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, new_null_array};

    use crate::schema;

    fn merchants() -> (&'static Dataset, RecordBatch) {
        let dataset = schema::dataset("merchants").unwrap();
        let columns = dataset
            .columns
            .iter()
            .map(|c| match c.name {
                "merchant_ref" => Arc::new(StringArray::from(vec!["M1"])) as ArrayRef,
                "src_system" | "src_table" | "src_key" | "evidence" => Arc::new(StringArray::from(vec!["x"])),
                "is_deleted" => Arc::new(arrow::array::BooleanArray::from(vec![false])),
                _ => new_null_array(&c.ty.arrow(), 1),
            })
            .collect();
        (dataset, RecordBatch::try_new(dataset.arrow_schema(), columns).unwrap())
    }

    fn refunds(days: &[Option<i32>]) -> (&'static Dataset, RecordBatch) {
        let dataset = schema::dataset("refunds").unwrap();
        let n = days.len();
        let columns = dataset
            .columns
            .iter()
            .map(|c| match c.name {
                "requested_on" => Arc::new(Date32Array::from(days.to_vec())) as ArrayRef,
                "refund_ref" | "src_system" | "src_table" | "src_key" | "evidence" => {
                    Arc::new(StringArray::from(vec!["x"; n]))
                }
                "is_deleted" => Arc::new(arrow::array::BooleanArray::from(vec![false; n])),
                _ => new_null_array(&c.ty.arrow(), n),
            })
            .collect();
        (dataset, RecordBatch::try_new(dataset.arrow_schema(), columns).unwrap())
    }

    /// Months are counted whatever the order of rows; a covered month without rows is there with 0, one outside is not.
    #[test]
    fn months_are_counted_and_gaps_shown() {
        let day =
            |y, m, d| i32::try_from((NaiveDate::from_ymd_opt(y, m, d).unwrap() - NaiveDate::default()).num_days()).ok();
        let mut inventory = Inventory::default();
        let (dataset, batch) = merchants();
        inventory.count(dataset, &batch);
        let (dataset, batch) = refunds(&[day(2026, 3, 31), day(2026, 1, 1), None, day(2026, 3, 1)]);
        inventory.count(dataset, &batch);
        let date = |m| NaiveDate::from_ymd_opt(2026, m, 1).unwrap();
        inventory.cover(dataset, date(1), date(4));
        // Counting may be interrupted; coverage is declared anew.
        let text = serde_json::to_string(&inventory.counted()).unwrap();
        let mut again = Inventory::from_counted(&serde_json::from_str(&text).unwrap()).unwrap();
        again.cover(dataset, date(1), date(4));
        assert_eq!(again.rows(), inventory.rows());
        let rows: Vec<String> = inventory.rows().iter().map(|r| r.join(" ")).collect();
        assert_eq!(
            rows,
            [
                "M1 refund-record 2026-01-01 archive 1",
                "M1 refund-record 2026-02-01 archive 0",
                "M1 refund-record 2026-03-01 archive 2",
            ]
        );
    }
}
