//! Geometry of the timeline: one lane per phase, one numbered mark per step, today and the planned day as lines.

use chrono::{Datelike as _, Months, NaiveDate};
use serde::Serialize;

use super::format::{add_days, day};
use super::plan::{Phase, StepState};
use crate::model::Bilingual;

/// A timeline ready to be drawn; coordinates in the units of its view box.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Timeline {
    /// Width of the view box.
    pub width: i64,
    /// Height of the view box.
    pub height: i64,
    /// Left end of the plot.
    pub left: i64,
    /// Lanes.
    pub lanes: Vec<Lane>,
    /// Marks.
    pub marks: Vec<Mark>,
    /// First days of months.
    pub ticks: Vec<MonthTick>,
    /// Vertical lines.
    pub lines: Vec<DayLine>,
}

/// One phase.
#[derive(Debug, Clone, Serialize)]
pub struct Lane {
    /// Name.
    pub title: Bilingual,
    /// Top.
    pub y: i64,
    /// Height.
    pub height: i64,
}

/// One step.
#[derive(Debug, Clone, Serialize)]
pub struct Mark {
    /// Number of the step in the tables below.
    pub number: usize,
    /// Centre.
    pub x: i64,
    /// Centre.
    pub y: i64,
    /// State.
    pub state: StepState,
    /// Day.
    pub due_on: String,
    /// What to do.
    pub title: Bilingual,
    /// Lies beyond the right end.
    pub is_later: bool,
}

/// The first day of a month.
#[derive(Debug, Clone, Serialize)]
pub struct MonthTick {
    /// Position.
    pub x: i64,
    /// `2026-10`.
    pub month: String,
}

/// A day worth a line.
#[derive(Debug, Clone, Serialize)]
pub struct DayLine {
    /// `today` or `planned`.
    pub code: &'static str,
    /// Position.
    pub x: i64,
    /// Day.
    pub on: String,
}

const WIDTH: i64 = 860;
const LEFT: i64 = 190;
const RIGHT: i64 = 18;
const TOP: i64 = 40;
const BOTTOM: i64 = 26;
/// Diameter of a mark, and the least distance of two in a row.
const MARK: i64 = 22;
/// Days shown after the planned day; later steps stand at the edge.
const TAIL_DAYS: i64 = 45;

/// Lays the timeline out; `None` without dates.
pub(super) fn timeline(phases: &[Phase], today: NaiveDate, planned: Option<NaiveDate>) -> Option<Timeline> {
    let planned = planned?;
    let due = |p: &Phase| p.steps.iter().filter_map(|s| day(s.due_on.as_deref()?)).min();
    let first = phases.iter().filter_map(due).min()?.min(today);
    let (from, to) = (add_days(first, -4), add_days(planned.max(today), TAIL_DAYS));
    let span = (to - from).num_days().max(1);
    let at = |d: NaiveDate| LEFT + (d.min(to) - from).num_days().max(0) * (WIDTH - LEFT - RIGHT) / span;
    let mut out = Timeline { width: WIDTH, left: LEFT, ..Timeline::default() };
    let mut y = TOP;
    for phase in phases {
        // Last occupied position of every row of the lane.
        let mut rows: Vec<i64> = Vec::new();
        for step in &phase.steps {
            let Some(on) = step.due_on.as_deref().and_then(day) else { continue };
            let x = at(on);
            let free = rows.iter().position(|last| x - last >= MARK);
            let row = free.unwrap_or(rows.len());
            match rows.get_mut(row) {
                Some(last) => *last = x,
                None => rows.push(x),
            }
            out.marks.push(Mark {
                number: step.number,
                x,
                y: y + 16 + i64::try_from(row).unwrap_or(0) * (MARK + 2),
                state: step.state,
                due_on: on.to_string(),
                title: step.title.clone(),
                is_later: on > to,
            });
        }
        let height = 32 + i64::try_from(rows.len().saturating_sub(1)).unwrap_or(0) * (MARK + 2);
        out.lanes.push(Lane { title: phase.title.clone(), y, height });
        y += height;
    }
    let mut month = from.with_day(1).and_then(|d| d.checked_add_months(Months::new(1)));
    while let Some(first) = month.filter(|d| *d <= to) {
        out.ticks.push(MonthTick { x: at(first), month: first.format("%Y-%m").to_string() });
        month = first.checked_add_months(Months::new(1));
    }
    // Long plans: label at most about eight months.
    let every = out.ticks.len().div_ceil(8).max(1);
    out.ticks = std::mem::take(&mut out.ticks).into_iter().step_by(every).collect();
    for (code, on) in [("today", today), ("planned", planned)] {
        out.lines.push(DayLine { code, x: at(on), on: on.to_string() });
    }
    out.height = y + BOTTOM;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plan::PlanStep;

    #[test]
    fn marks_stay_inside_and_never_overlap() {
        let steps = (0..12)
            .map(|k| PlanStep {
                number: k + 1,
                title: Bilingual::new("步", "step"),
                owner: "legal",
                due_on: Some(add_days(day("2026-10-01").unwrap(), i64::try_from(k / 3).unwrap() * 60).to_string()),
                state: StepState::Open,
                controls: Vec::new(),
                basis: Bilingual::new("据", "basis"),
                fact: None,
            })
            .collect();
        let phases = [Phase { title: Bilingual::new("一", "one"), steps }];
        let drawn = timeline(&phases, day("2026-10-05").unwrap(), day("2026-11-15")).unwrap();
        assert_eq!(drawn.marks.len(), 12);
        for (i, a) in drawn.marks.iter().enumerate() {
            assert!(a.x >= LEFT && a.x <= WIDTH - RIGHT && a.y < drawn.height - BOTTOM, "{a:?}");
            for b in &drawn.marks[i + 1..] {
                assert!((a.x - b.x).abs() >= MARK || (a.y - b.y).abs() >= MARK, "{a:?} {b:?}");
            }
        }
        assert!(drawn.marks[11].is_later && !drawn.marks[0].is_later);
        assert!(timeline(&phases, day("2026-10-05").unwrap(), None).is_none());
    }
}
