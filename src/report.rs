//! Reports: one language-neutral [`Model`], then HTML and JSON from it.
//!
//! Responsible for what a reader sees: the verdict per irreversible step and target, the fixed checklist of
//! 34 blockers, the money bridge, the timeline, findings, retention, permissions, and how to verify it all
//! without this program. It computes from an [`Assessment`](crate::finding::Assessment), the case, plain facts
//! about the archive and the pack, and [`Facts`] queried from the sealed tables.
//!
//! Not responsible for reading archives, running policies, signing or writing files: the caller does that and
//! hands in values. Templates only format; every number and state is decided here.
//!
//! Limits: the report repeats what the assessment says and never re-judges a policy; a blocker the assessment
//! does not contain is *not examined*, whatever the facts suggest.

mod blockers;
mod chart;
mod error;
mod facts;
mod findings;
mod format;
mod inputs;
mod model;
mod money;
mod plan;
mod recheck;
mod reconciliation;
mod render;
mod retention;
mod timeline;
mod verdict;
mod words;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

pub use blockers::{BLOCKERS, Blocker, BlockerState, Checklist, Group, State, Step, examine};
pub use chart::{Bar, Chart, Tick};
pub use error::Error;
pub use facts::{
    AppFact, BalanceFact, BillDay, BillSpan, ChangeMonth, CountFact, Facts, InventoryMonth, Leaver, MchFact, MonthFlow,
    NoticeFact, PermissionHolders, RECONCILIATION, ReconDay, ReconDifference, ReconFacts, ReconSum, RefundFact,
    RoleCount, SignoffFact, SubmissionFact, TestFact, WithdrawalFact, facts,
};
pub use findings::{BasisView, EvidenceRow, Family, PolicyView};
pub use inputs::{
    ArchiveFacts, ConflictText, Inputs, PackFacts, QuarantineLine, Reconciliation, ScheduleRow, SelectedTable,
    TableRows, UnmappedTable,
};
pub use model::{Action, Coverage, Model, OutcomeLine, Permissions, Rehearsal, WaiverView, build};
pub use money::{BridgeLine, MchMoney, Money};
pub use plan::{Phase, PlanStep};
pub use reconciliation::{
    CalendarCell, CalendarMonth, CalendarRow, CellState, KindCount, NotCompared, ReconPage, ReconTotal,
};
pub use render::{html, json};
pub use retention::{RetentionClass, RetentionMonth};
pub use timeline::{DayLine, Lane, Mark, MonthTick, Timeline};
pub use verdict::{Lead, Target, Verdict, VerdictGroup, VerdictKind};
