//! The reconciliation page: totals per channel, the calendar, the differences, and what was not compared.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike as _, NaiveDate};
use serde::Serialize;

use super::facts::{ReconDifference, ReconFacts, ReconSum};
use super::format::{day, month_end};
use crate::finding::Assessment;

/// The page.
#[derive(Debug, Clone, Serialize)]
pub struct ReconPage {
    /// First day.
    pub from: String,
    /// Last day.
    pub to: String,
    /// Sums per merchant number, payments and refunds apart.
    pub totals: Vec<ReconTotal>,
    /// Months of the calendar, oldest first.
    pub months: Vec<CalendarMonth>,
    /// Earlier months that are not drawn.
    pub months_omitted: usize,
    /// Items per kind of difference.
    pub kinds: Vec<KindCount>,
    /// The first differences.
    pub differences: Vec<ReconDifference>,
    /// How many there are beyond those.
    pub differences_omitted: u64,
    /// What was not compared.
    pub not_compared: Vec<NotCompared>,
    /// Days with a bill that disagrees with its own summary or digest.
    pub damaged_days: u64,
    /// Items whose day is not known.
    pub undated: u64,
    /// Whether there was any bill in the window.
    pub has_bills: bool,
}

/// Both sides of one merchant number. Only what was compared counts.
#[derive(Debug, Clone, Serialize)]
pub struct ReconTotal {
    /// Platform word.
    pub platform: String,
    /// Merchant number of the bills.
    pub mch_id: Option<String>,
    /// `payment` or `refund`.
    pub about: String,
    /// Our records.
    pub local_count: u64,
    /// Their amount.
    pub local_fen: i64,
    /// Bill lines.
    pub platform_count: u64,
    /// Their amount.
    pub platform_fen: i64,
    /// Platform less ours.
    pub difference_fen: i64,
    /// Items that differ or stand on one side only.
    pub different: u64,
}

/// A month of the calendar.
#[derive(Debug, Clone, Serialize)]
pub struct CalendarMonth {
    /// `2026-07`.
    pub month: String,
    /// One row per merchant number.
    pub rows: Vec<CalendarRow>,
}

/// The days of one merchant number.
#[derive(Debug, Clone, Serialize)]
pub struct CalendarRow {
    /// Platform word.
    pub platform: String,
    /// Merchant number of the bills.
    pub mch_id: Option<String>,
    /// One cell per day of the month, days outside the window too.
    pub cells: Vec<CalendarCell>,
}

/// What a day's comparison gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CellState {
    /// Everything agrees.
    Matched,
    /// Something differs or stands on one side only.
    Different,
    /// Trade, but no bill to compare it with.
    NoBill,
    /// What could be compared agrees; something else has no bill.
    Partly,
    /// A bill without anything to compare.
    EmptyBill,
    /// Neither trade nor bill.
    Quiet,
    /// Not in the window.
    Outside,
}

/// One day.
#[derive(Debug, Clone, Serialize)]
pub struct CalendarCell {
    /// The day.
    pub on: String,
    /// Day of the month.
    pub day: u32,
    /// What the comparison gave.
    pub state: CellState,
    /// Mark that says the same without colour.
    pub mark: String,
    /// Items that agree.
    pub matched: u64,
    /// Items that differ.
    pub different: u64,
    /// Items without a bill.
    pub not_compared: u64,
    /// A bill of the day disagrees with its own summary or digest.
    pub is_damaged: bool,
}

/// Items of one kind of difference.
#[derive(Debug, Clone, Serialize)]
pub struct KindCount {
    /// Kind word.
    pub kind: String,
    /// Items.
    pub count: u64,
}

/// Trade of one merchant number for which there was no bill.
#[derive(Debug, Clone, Serialize)]
pub struct NotCompared {
    /// Platform word.
    pub platform: String,
    /// Merchant number of the bills; `None`: our records name none.
    pub mch_id: Option<String>,
    /// The first days concerned.
    pub days: Vec<String>,
    /// How many there are beyond those.
    pub days_omitted: usize,
    /// Payments and refunds.
    pub count: u64,
    /// Their amount.
    pub amount_fen: i64,
}

/// Months drawn; older ones are counted.
const MONTHS_MAX: usize = 18;
/// Days named per merchant number; the others are counted.
const DAYS_NAMED_MAX: usize = 10;

type Key = (String, Option<String>);

/// Builds the page; `None` when nothing could be compared at all.
pub(super) fn reconciliation(facts: Option<&ReconFacts>, a: &Assessment) -> Option<ReconPage> {
    let facts = facts?;
    let (from, end) = (day(&a.window.0)?, day(&a.window.1)?);
    let last = end.pred_opt().filter(|l| *l >= from)?;
    let mut cells: BTreeMap<Key, BTreeMap<NaiveDate, CalendarCell>> = BTreeMap::new();
    let key = |platform: &str, mch: &Option<String>| (platform.to_owned(), mch.clone());
    let mut undated = 0;
    for d in &facts.days {
        let Some(on) = d.day.as_deref().and_then(day) else {
            undated += d.matched + d.different + d.not_compared;
            continue;
        };
        let cell = cells.entry(key(&d.platform, &d.mch_id)).or_default().entry(on).or_insert_with(|| quiet(on));
        cell.matched += d.matched;
        cell.different += d.different;
        cell.not_compared += d.not_compared;
    }
    let mut with_bill: BTreeSet<(Key, NaiveDate)> = BTreeSet::new();
    for b in &facts.bill_days {
        let Some(on) = b.day.as_deref().and_then(day) else { continue };
        let cell = cells.entry(key(&b.platform, &b.mch_id)).or_default().entry(on).or_insert_with(|| quiet(on));
        cell.is_damaged |= b.is_damaged;
        with_bill.insert((key(&b.platform, &b.mch_id), on));
    }
    for (key, days) in &mut cells {
        for (on, cell) in days {
            let has_bill = with_bill.contains(&(key.clone(), *on));
            (cell.state, cell.mark) = judge(cell, has_bill);
        }
    }
    let damaged_days = cells.values().flat_map(BTreeMap::values).filter(|c| c.is_damaged).count() as u64;
    let not_compared = left_out(&cells, &facts.sums);
    let (months, months_omitted) = calendar(&cells, from, last);
    let shown = facts.differences.len() as u64;
    let kinds = kinds(&facts.sums);
    Some(ReconPage {
        from: from.to_string(),
        to: last.to_string(),
        totals: totals(&facts.sums),
        months,
        months_omitted,
        differences_omitted: kinds.iter().map(|k| k.count).sum::<u64>().saturating_sub(shown),
        kinds,
        differences: facts.differences.clone(),
        not_compared,
        damaged_days,
        undated,
        has_bills: !facts.bill_days.is_empty(),
    })
}

fn quiet(on: NaiveDate) -> CalendarCell {
    CalendarCell {
        on: on.to_string(),
        day: on.day(),
        state: CellState::Quiet,
        mark: String::new(),
        matched: 0,
        different: 0,
        not_compared: 0,
        is_damaged: false,
    }
}

/// State and mark of a day; the mark alone tells the states apart.
fn judge(cell: &CalendarCell, has_bill: bool) -> (CellState, String) {
    let state = match (cell.different, cell.not_compared, cell.matched) {
        (1.., _, _) => CellState::Different,
        (0, 1.., 0) => CellState::NoBill,
        (0, 1.., 1..) => CellState::Partly,
        (0, 0, 1..) => CellState::Matched,
        (0, 0, 0) if has_bill => CellState::EmptyBill,
        (0, 0, 0) => CellState::Quiet,
    };
    let mark = match state {
        CellState::Matched => "✓".to_owned(),
        CellState::Different if cell.different > 99 => "99+".to_owned(),
        CellState::Different => cell.different.to_string(),
        CellState::NoBill => "?".to_owned(),
        CellState::Partly => "✓?".to_owned(),
        CellState::EmptyBill => "○".to_owned(),
        CellState::Quiet | CellState::Outside => String::new(),
    };
    (state, mark)
}

fn calendar(
    cells: &BTreeMap<Key, BTreeMap<NaiveDate, CalendarCell>>,
    from: NaiveDate,
    last: NaiveDate,
) -> (Vec<CalendarMonth>, usize) {
    let mut firsts: Vec<NaiveDate> = Vec::new();
    let mut next = from.with_day(1);
    while let Some(first) = next.filter(|f| *f <= last) {
        firsts.push(first);
        next = month_end(first).succ_opt();
    }
    let omitted = firsts.len().saturating_sub(MONTHS_MAX);
    let months = firsts.into_iter().skip(omitted).map(|first| CalendarMonth {
        month: first.format("%Y-%m").to_string(),
        rows: cells
            .iter()
            .map(|((platform, mch_id), days)| CalendarRow {
                platform: platform.clone(),
                mch_id: mch_id.clone(),
                cells: first
                    .iter_days()
                    .take_while(|d| d.month() == first.month())
                    .map(|d| match days.get(&d) {
                        _ if d < from || d > last => CalendarCell { state: CellState::Outside, ..quiet(d) },
                        Some(cell) => cell.clone(),
                        None => quiet(d),
                    })
                    .collect(),
            })
            .collect(),
    });
    (months.collect(), omitted)
}

fn is_compared(sum: &ReconSum) -> bool {
    sum.kind != "not_compared"
}

fn totals(sums: &[ReconSum]) -> Vec<ReconTotal> {
    let mut totals: BTreeMap<(String, Option<String>, String), ReconTotal> = BTreeMap::new();
    for s in sums.iter().filter(|s| is_compared(s)) {
        let total =
            totals.entry((s.platform.clone(), s.mch_id.clone(), s.about.clone())).or_insert_with(|| ReconTotal {
                platform: s.platform.clone(),
                mch_id: s.mch_id.clone(),
                about: s.about.clone(),
                local_count: 0,
                local_fen: 0,
                platform_count: 0,
                platform_fen: 0,
                difference_fen: 0,
                different: 0,
            });
        total.local_count += s.local_count;
        total.local_fen = total.local_fen.saturating_add(s.local_fen);
        total.platform_count += s.platform_count;
        total.platform_fen = total.platform_fen.saturating_add(s.platform_fen);
        total.difference_fen = total.platform_fen.saturating_sub(total.local_fen);
        total.different += if s.kind == "matched" { 0 } else { s.items };
    }
    totals.into_values().collect()
}

fn kinds(sums: &[ReconSum]) -> Vec<KindCount> {
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for s in sums.iter().filter(|s| is_compared(s) && s.kind != "matched") {
        *kinds.entry(&s.kind).or_default() += s.items;
    }
    kinds.into_iter().map(|(kind, items)| KindCount { kind: kind.to_owned(), count: items }).collect()
}

fn left_out(cells: &BTreeMap<Key, BTreeMap<NaiveDate, CalendarCell>>, sums: &[ReconSum]) -> Vec<NotCompared> {
    let mut out: BTreeMap<Key, NotCompared> = BTreeMap::new();
    for s in sums.iter().filter(|s| !is_compared(s)) {
        let entry = out.entry((s.platform.clone(), s.mch_id.clone())).or_insert_with(|| NotCompared {
            platform: s.platform.clone(),
            mch_id: s.mch_id.clone(),
            days: Vec::new(),
            days_omitted: 0,
            count: 0,
            amount_fen: 0,
        });
        entry.count += s.items;
        entry.amount_fen = entry.amount_fen.saturating_add(s.local_fen);
    }
    for (key, entry) in &mut out {
        let days: Vec<String> = cells
            .get(key)
            .into_iter()
            .flatten()
            .filter(|(_, c)| c.not_compared > 0)
            .map(|(on, _)| on.to_string())
            .collect();
        entry.days_omitted = days.len().saturating_sub(DAYS_NAMED_MAX);
        entry.days = days.into_iter().take(DAYS_NAMED_MAX).collect();
    }
    out.into_values().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cell(matched: u64, different: u64, not_compared: u64) -> CalendarCell {
        CalendarCell { matched, different, not_compared, ..quiet(NaiveDate::default()) }
    }

    /// Every state has a mark of its own, so that a black and white print says what the colours say.
    #[test]
    fn marks_tell_states_apart() {
        let marks: Vec<(CellState, String)> = [
            judge(&cell(3, 0, 0), true),
            judge(&cell(3, 2, 1), true),
            judge(&cell(0, 100, 0), true),
            judge(&cell(0, 0, 4), false),
            judge(&cell(1, 0, 4), true),
            judge(&cell(0, 0, 0), true),
            judge(&cell(0, 0, 0), false),
        ]
        .into();
        let text: Vec<&str> = marks.iter().map(|m| m.1.as_str()).collect();
        assert_eq!(text, ["✓", "2", "99+", "?", "✓?", "○", ""]);
        let states: Vec<CellState> = marks.iter().map(|m| m.0).collect();
        use CellState::*;
        assert_eq!(states, [Matched, Different, Different, NoBill, Partly, EmptyBill, Quiet]);
    }

    /// Months are whole, days outside the window are marked as such, and a window of years is cut with a count.
    #[test]
    fn months_are_whole() {
        let d = |s: &str| day(s).unwrap();
        let cells = BTreeMap::from([(
            ("wechat".to_owned(), None),
            BTreeMap::from([(d("2026-02-28"), quiet(d("2026-02-28")))]),
        )]);
        let (months, omitted) = calendar(&cells, d("2026-02-27"), d("2026-03-01"));
        assert_eq!(omitted, 0);
        assert_eq!(months.iter().map(|m| m.rows[0].cells.len()).collect::<Vec<_>>(), [28, 31]);
        let inside = months.iter().flat_map(|m| &m.rows[0].cells).filter(|c| c.state != CellState::Outside).count();
        assert_eq!(inside, 3);
        let (months, omitted) = calendar(&cells, d("2023-01-15"), d("2026-03-01"));
        assert_eq!((months.len(), omitted), (MONTHS_MAX, 21));
        assert_eq!(months.last().map(|m| m.month.as_str()), Some("2026-03"));
    }

    proptest! {
        /// Nothing is lost between the sums and the page: both sides of the totals and of what was not compared add
        /// up to all items, and the kinds to all differences.
        #[test]
        fn totals_add_up(rows in proptest::collection::vec((0usize..3, 0usize..2, 0usize..5, 0u64..9, 0i64..999), 0..30)) {
            let platforms = ["wechat", "alipay", "unionpay"];
            let kinds_of = ["matched", "amount", "missing_local", "missing_platform", "not_compared"];
            let sums: Vec<ReconSum> = rows.iter().map(|(p, a, k, n, fen)| ReconSum {
                platform: platforms[*p].into(),
                mch_id: None,
                about: ["payment", "refund"][*a].into(),
                kind: kinds_of[*k].into(),
                items: *n,
                local_count: if *k == 2 { 0 } else { *n },
                local_fen: if *k == 2 { 0 } else { *fen },
                platform_count: if *k >= 3 { 0 } else { *n },
                platform_fen: if *k >= 3 { 0 } else { *fen },
            }).collect();
            let page = totals(&sums);
            let left = left_out(&BTreeMap::new(), &sums);
            let local: u64 = page.iter().map(|t| t.local_count).sum::<u64>() + left.iter().map(|l| l.count).sum::<u64>();
            prop_assert_eq!(local, sums.iter().map(|s| s.local_count).sum::<u64>());
            let lines: u64 = page.iter().map(|t| t.platform_count).sum();
            prop_assert_eq!(lines, sums.iter().map(|s| s.platform_count).sum::<u64>());
            let differing: u64 = kinds(&sums).iter().map(|k| k.count).sum();
            prop_assert_eq!(differing, page.iter().map(|t| t.different).sum::<u64>());
            for t in &page {
                prop_assert_eq!(t.difference_fen, t.platform_fen - t.local_fen);
            }
        }
    }
}
