//! What was counted and added up while converting, and its comparison with the source's own totals.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::reason::Reason;

/// The sum of one money column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Of the written rows, in units of the column.
    pub written: i128,
    /// Of the written rows before rounding, in control units.
    pub control_written: i128,
    /// Of the quarantined rows, in control units, read as the control statement reads them: what is no number
    /// counts as the number it begins with, or 0.
    pub control_quarantined: i128,
    /// Digits after the point of the control unit: those of the column, or 6 when the mapping rounds.
    pub control_digits: u32,
    /// Digits after the point of the column: 2 for `_fen`, 6 for `_e6`.
    pub digits: u32,
}

impl Sum {
    /// Written minus what the source held, in millionths of the major unit: what rounding added or took.
    pub fn rounded_off_e6(&self) -> i128 {
        self.written * pow10(6 - self.digits.min(6)) - self.control_written * pow10(6 - self.control_digits.min(6))
    }
}

fn pow10(exponent: u32) -> i128 {
    10_i128.pow(exponent)
}

/// Counts and sums of one part or file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartTotals {
    /// Rows given.
    pub rows_read: u64,
    /// Rows in the batches.
    pub rows_written: u64,
    /// Rows in quarantine; read = written + quarantined.
    pub rows_quarantined: u64,
    /// Sums of the money columns that have cells, by column.
    pub sums: BTreeMap<String, Sum>,
    /// Ways to write "no date" turned into NULL, by column.
    pub zero_sentinels: BTreeMap<String, u64>,
    /// Amounts that were rounded, by column.
    pub rounded: BTreeMap<String, u64>,
    /// Times that lost digits below a microsecond, by column.
    pub truncated: BTreeMap<String, u64>,
    /// Amounts that came as floating point numbers, by column.
    pub money_from_float: BTreeMap<String, u64>,
    /// Empty texts turned into NULL, by column.
    pub empty_as_null: BTreeMap<String, u64>,
    /// Codes outside their enum that were kept (`on_unknown = "keep_raw"`), by column.
    pub unknown_codes: BTreeMap<String, u64>,
    /// Values removed from texts by `redact`, by column.
    pub redacted: BTreeMap<String, u64>,
    /// Quarantined rows by reason.
    pub quarantined_by_reason: BTreeMap<Cow<'static, str>, u64>,
}

/// The counts of one column within one batch; added to [`PartTotals`] afterwards, so that cells cost no look-up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ColumnCounts {
    pub(super) zero_sentinels: u64,
    pub(super) rounded: u64,
    pub(super) truncated: u64,
    pub(super) from_float: u64,
    pub(super) empty: u64,
    pub(super) unknown_codes: u64,
    pub(super) redacted: u64,
}

impl PartTotals {
    pub(super) fn add(&mut self, column: &str, counts: &ColumnCounts) {
        let lists: [(&mut BTreeMap<String, u64>, u64); 7] = [
            (&mut self.zero_sentinels, counts.zero_sentinels),
            (&mut self.rounded, counts.rounded),
            (&mut self.truncated, counts.truncated),
            (&mut self.money_from_float, counts.from_float),
            (&mut self.empty_as_null, counts.empty),
            (&mut self.unknown_codes, counts.unknown_codes),
            (&mut self.redacted, counts.redacted),
        ];
        for (list, count) in lists {
            if count > 0 {
                *list.entry(column.to_owned()).or_default() += count;
            }
        }
    }

    pub(super) fn add_quarantined(&mut self, reason: Reason) {
        self.rows_quarantined += 1;
        *self.quarantined_by_reason.entry(reason.code().into()).or_default() += 1;
    }
}

/// Totals computed by the source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceTotals {
    /// Rows the SELECT gives.
    pub rows: u64,
    /// Sums of the money columns in control units.
    pub sums: BTreeMap<String, i128>,
}

/// One total on which the source and this program differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// `rows`, `rows_read`, or the name of a money column.
    pub total: String,
    /// What the source says.
    pub source: i128,
    /// What this program says.
    pub own: i128,
}

/// Compares: source = written + quarantined for the count and every money column, read = written + quarantined, and
/// rounding moved each rounded row by less than a unit. Empty when everything agrees.
pub fn reconcile(source: &SourceTotals, own: &PartTotals) -> Vec<Mismatch> {
    let mut out = Vec::new();
    let mut compare = |total: &str, source: i128, own: i128| {
        if source != own {
            out.push(Mismatch { total: total.to_owned(), source, own });
        }
    };
    let handled = i128::from(own.rows_written) + i128::from(own.rows_quarantined);
    compare("rows_read", i128::from(own.rows_read), handled);
    compare("rows", i128::from(source.rows), handled);
    for (column, total) in &source.sums {
        let sum = own.sums.get(column).copied().unwrap_or_default();
        compare(column, *total, sum.control_written + sum.control_quarantined);
        let rounded = i128::from(own.rounded.get(column).copied().unwrap_or(0));
        let allowed = rounded * pow10(6 - sum.digits.min(6));
        if sum.rounded_off_e6().abs() > allowed {
            compare(column, sum.control_written, sum.written);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> PartTotals {
        let sum = Sum { written: 700, control_written: 700, control_quarantined: 42, control_digits: 2, digits: 2 };
        PartTotals {
            rows_read: 10,
            rows_written: 9,
            rows_quarantined: 1,
            sums: BTreeMap::from([("paid_fen".into(), sum)]),
            ..PartTotals::default()
        }
    }

    fn source(rows: u64, paid: i128) -> SourceTotals {
        SourceTotals { rows, sums: BTreeMap::from([("paid_fen".into(), paid)]) }
    }

    #[test]
    fn agreement_and_every_kind_of_difference() {
        assert_eq!(reconcile(&source(10, 742), &own()), []);
        let fen = Mismatch { total: "paid_fen".into(), source: 743, own: 742 };
        assert_eq!(reconcile(&source(10, 743), &own()), [fen]);
        let rows = Mismatch { total: "rows".into(), source: 11, own: 10 };
        assert_eq!(reconcile(&source(11, 742), &own()), [rows]);
        let mut lost = own();
        lost.rows_read = 12;
        assert_eq!(reconcile(&source(10, 742), &lost)[0].total, "rows_read");
        // A written value that differs from the value read, without rounding declared.
        let mut changed = own();
        changed.sums.get_mut("paid_fen").expect("there").written = 701;
        assert_eq!(reconcile(&source(10, 742), &changed).len(), 1);
    }
}
