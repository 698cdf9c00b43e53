//! The report model: everything a reader is shown, in both languages, before any formatting.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, NaiveDate, SecondsFormat, Utc};
use serde::Serialize;

use super::blockers::{BLOCKERS, Blocker, Checklist, State, examine};
use super::chart::{Chart, chart};
use super::facts::{ChangeMonth, CountFact, Leaver, MonthFlow, PermissionHolders, RoleCount, TestFact};
use super::findings::{Family, amount, families, zone_of};
use super::format::{add_days, add_period, day};
use super::inputs::{ArchiveFacts, ConflictText, Inputs};
use super::money::{Money, money};
use super::plan::{Phase, plan};
use super::recheck::slip;
use super::reconciliation::{ReconPage, reconciliation};
use super::retention::{RetentionClass, retention};
use super::timeline::{Timeline, timeline};
use super::verdict::{Basis, Target, VerdictGroup, VerdictKind, verdicts};
use crate::config::case::{Case, CaseKind};
use crate::finding::{Assessment, Outcome, PolicyResult, ProfileLine, Severity, Summary, WaiverUse, message};
use crate::model::{Bilingual, Digest};

/// A whole report, language-neutral.
#[derive(Debug, Clone, Serialize)]
pub struct Model {
    /// 1.
    pub report_format: u32,
    /// `deregistration`, `migration` or `audit`.
    pub kind: String,
    /// Title of the document.
    pub title: Bilingual,
    /// Title of the case.
    pub case_title: String,
    /// Merchant.
    pub merchant: String,
    /// Who hands the archive over.
    pub organisation: String,
    /// Who keeps it.
    pub custodian: String,
    /// Made from a draft archive.
    pub draft: bool,
    /// When the report was made (RFC 3339, UTC).
    pub created_at: String,
    /// Version of this program.
    pub tool_version: String,
    /// What the archive says of itself.
    pub archive: ArchiveFacts,
    /// The check behind the report.
    pub run: Run,
    /// The strictest verdict of all; `None` for an audit.
    pub verdict: Option<VerdictKind>,
    /// Migration without measured proof.
    pub is_unproven: bool,
    /// When the verdict lapses; `None` without one.
    pub lapses_at: Option<String>,
    /// Whether it had lapsed when the report was made.
    pub is_lapsed: bool,
    /// Last day covered by bills of every merchant number that has any.
    pub bills_to: Option<String>,
    /// Last day covered by any bill.
    pub bills_newest: Option<String>,
    /// Verdicts by step.
    pub verdicts: Vec<VerdictGroup>,
    /// The three most urgent actions.
    pub actions: Vec<Action>,
    /// The 34 blockers.
    pub checklist: Checklist,
    /// Ten lines to read before the click.
    pub slip: Vec<Bilingual>,
    /// Money.
    pub money: Money,
    /// Bills against our own records; `None` when nothing could be compared.
    pub reconciliation: Option<ReconPage>,
    /// Months behind the chart.
    pub months: Vec<MonthFlow>,
    /// The chart, if there is anything to draw.
    pub chart: Option<Chart>,
    /// Timeline.
    pub plan: Vec<Phase>,
    /// The same as a drawing.
    pub timeline: Option<Timeline>,
    /// Day everything is computed back from.
    pub planned_on: Option<String>,
    /// Counts of outcomes.
    pub summary: Summary,
    /// Lines of the profile that change what ran.
    pub profile_lines: Vec<ProfileLine>,
    /// Waivers and what they covered.
    pub waivers: Vec<WaiverView>,
    /// Policies that could not be evaluated.
    pub not_evaluated: Vec<OutcomeLine>,
    /// Findings by family.
    pub families: Vec<Family>,
    /// Retention by class and month.
    pub retention: Vec<RetentionClass>,
    /// Conflicts between sources.
    pub conflicts: Vec<ConflictText>,
    /// Permissions.
    pub permissions: Permissions,
    /// Rehearsal facts of a migration.
    pub rehearsal: Option<Rehearsal>,
    /// Datasets with rows and covered days.
    pub coverage: Vec<Coverage>,
    /// Tables whose facts this report would have used.
    pub missing_tables: Vec<String>,
    /// Last day anything in the archive must be kept.
    pub keep_until: Option<String>,
    /// Whether any class is kept for ever.
    pub has_permanent: bool,
    /// Findings file: link, name, rows.
    pub findings_file: FindingsFile,
}

/// The check behind the report.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// Judged at.
    pub as_of: String,
    /// First and last-but-one local day.
    pub window: (String, String),
    /// Day on which waivers count.
    pub decided_on: String,
    /// Zone.
    pub zone: String,
    /// Pack.
    pub pack: String,
    /// Pack digest.
    pub pack_digest: Digest,
    /// Legal review.
    pub legal_review: Option<String>,
    /// Sets.
    pub sets: Vec<String>,
    /// Role.
    pub role: String,
    /// Verification line of the check.
    pub verification: String,
    /// Inputs with digests.
    pub inputs: BTreeMap<String, Digest>,
    /// Schema version.
    pub schema_version: String,
    /// Version of the program that checked.
    pub tool_version: String,
}

/// Something to do now.
#[derive(Debug, Clone, Serialize)]
pub struct Action {
    /// Policy it answers.
    pub policy: String,
    /// What is wrong.
    pub title: Bilingual,
    /// What to do.
    pub text: Bilingual,
    /// Role.
    pub owner: String,
    /// Day.
    pub due_on: Option<String>,
    /// Severity; `None` for data to supply.
    pub severity: Option<Severity>,
    /// Unwaived findings.
    pub findings: u64,
    /// Amount of the listed findings.
    pub amount_fen: i64,
    /// It is a lower bound.
    pub is_amount_partial: bool,
}

/// A policy in one line.
#[derive(Debug, Clone, Serialize)]
pub struct OutcomeLine {
    /// Id.
    pub id: String,
    /// Title.
    pub title: Bilingual,
    /// Severity.
    pub severity: Severity,
    /// Outcome.
    pub outcome: Outcome,
    /// Code of the reason.
    pub why_code: Option<String>,
    /// Reason.
    pub why: Option<Bilingual>,
    /// Subjects examined.
    pub population: Option<u64>,
    /// Datasets it reads.
    pub datasets: Vec<String>,
}

impl OutcomeLine {
    /// The line of a policy.
    pub(super) fn of(p: &PolicyResult) -> Self {
        Self {
            id: p.id.clone(),
            title: p.title.clone(),
            severity: p.severity,
            outcome: p.outcome,
            why_code: p.why_code.clone(),
            why: p.why.clone(),
            population: p.population,
            datasets: p.datasets.clone(),
        }
    }
}

/// Who can do what.
#[derive(Debug, Clone, Serialize)]
pub struct Permissions {
    /// Whether any of it was sealed.
    pub is_known: bool,
    /// Accounts per role and state.
    pub roles: Vec<RoleCount>,
    /// Holders per permission.
    pub holders: Vec<PermissionHolders>,
    /// Changes per month.
    pub changes: Vec<ChangeMonth>,
    /// Leavers with access left.
    pub leavers: Vec<Leaver>,
    /// How many.
    pub leavers_total: u64,
}

/// What registers say about a migration.
#[derive(Debug, Clone, Serialize)]
pub struct Rehearsal {
    /// Scenario tests.
    pub tests: Vec<TestFact>,
    /// Counts.
    pub counts: Vec<CountFact>,
}

/// One dataset.
#[derive(Debug, Clone, Serialize)]
pub struct Coverage {
    /// Name.
    pub name: String,
    /// Titles.
    pub title: Bilingual,
    /// Rows read by the check.
    pub rows: u64,
    /// Covered days, end excluded.
    pub coverage: Option<(String, String)>,
}

/// A waiver and, where it does not stand, what is wrong with it.
#[derive(Debug, Clone, Serialize)]
pub struct WaiverView {
    /// The waiver.
    #[serde(flatten)]
    pub used: WaiverUse,
    /// Findings about the waiver itself.
    pub problems: Vec<Bilingual>,
}

fn waiver_view(used: &WaiverUse, a: &Assessment) -> WaiverView {
    let zone = zone_of(&a.zone);
    let mut problems = Vec::new();
    for p in a.policies.iter().filter(|p| p.subject_kind == "waiver") {
        for f in p.first.iter().filter(|f| f.subject == used.id) {
            let reason = p.reasons.iter().find(|r| r.code == f.reason);
            let said = reason.map_or_else(
                || Bilingual::new(&f.reason, &f.reason),
                |r| Bilingual::new(message(&r.text.zh, f, zone), message(&r.text.en, f, zone)),
            );
            if !problems.contains(&said) {
                problems.push(said);
            }
        }
    }
    WaiverView { used: used.clone(), problems }
}

/// Where all findings lie.
#[derive(Debug, Clone, Serialize)]
pub struct FindingsFile {
    /// Relative link.
    pub href: String,
    /// Name.
    pub name: String,
    /// Rows.
    pub rows: u64,
}

/// A platform's check is valid this long, and so is a verdict that stands on it.
const VERDICT_HOURS: i64 = 24;

/// Builds the model.
pub fn build(inputs: &Inputs<'_>) -> Model {
    let (a, facts, case) = (inputs.assessment, inputs.facts, inputs.case);
    let as_of_on = case.as_of.with_timezone(&case.zone).date_naive();
    let today = day(&a.decided_on).unwrap_or(as_of_on);
    let planned = planned_on(inputs.kind, case);
    let mut checklist = examine(a);
    for b in checklist.blockers.iter_mut().filter(|b| b.outcome.is_none() && !inputs.pack.policy_ids.contains(&b.id)) {
        b.why = Some(Bilingual::new(
            "规则包尚无此项规则，须由人查验",
            "the policy pack has no policy for it yet; a person must examine it",
        ));
    }
    let groups = verdicts(&Basis {
        kind: inputs.kind,
        checklist: &checklist,
        facts,
        today,
        planned_on: planned,
        merchant: &case.merchant,
        migration: migration_target(case),
    });
    let verdict = groups.iter().map(|g| g.verdict).min();
    let lapses = verdict.map(|_| case.as_of + Duration::hours(VERDICT_HOURS));
    let made = DateTime::parse_from_rfc3339(&inputs.created_at).ok().map(|t| t.with_timezone(&Utc));
    let classes = retention(inputs.pack, &a.role, facts, as_of_on);
    let phases = plan(inputs.kind, planned, today, a, facts);
    let blocker = |id: &str| BLOCKERS.iter().any(|b| b.id == id);
    Model {
        report_format: 1,
        kind: inputs.kind.word().into(),
        title: title(inputs.kind),
        case_title: case.title.clone(),
        merchant: case.merchant.clone(),
        organisation: case.organisation.clone(),
        custodian: case.custodian.clone(),
        draft: inputs.archive.draft,
        created_at: inputs.created_at.clone(),
        tool_version: env!("CARGO_PKG_VERSION").into(),
        archive: inputs.archive.clone(),
        run: run(a),
        verdict,
        is_unproven: inputs.kind == CaseKind::Migration,
        lapses_at: lapses.map(|t| t.to_rfc3339_opts(SecondsFormat::Secs, true)),
        is_lapsed: lapses.zip(made).is_some_and(|(l, m)| m > l),
        bills_to: facts.bills.iter().filter_map(|b| b.last_on.clone()).min(),
        bills_newest: facts.bills.iter().filter_map(|b| b.last_on.clone()).max(),
        actions: actions(a, &checklist, &groups, today),
        slip: slip(inputs.kind),
        money: money(facts),
        reconciliation: reconciliation(facts.reconciliation.as_ref(), a),
        months: facts.months.clone(),
        chart: chart(&facts.months),
        timeline: timeline(&phases, today, planned),
        plan: phases,
        planned_on: planned.map(|d| d.to_string()),
        summary: a.summary,
        profile_lines: a.profile_lines.clone(),
        waivers: a.waivers.iter().map(|w| waiver_view(w, a)).collect(),
        not_evaluated: a.policies.iter().filter(|p| p.outcome == Outcome::NotEvaluated).map(OutcomeLine::of).collect(),
        families: families(a, blocker),
        conflicts: inputs.pack.conflicts.clone(),
        permissions: Permissions {
            is_known: !facts.roles.is_empty() || !facts.holders.is_empty() || !facts.changes.is_empty(),
            roles: facts.roles.clone(),
            holders: facts.holders.clone(),
            changes: facts.changes.clone(),
            leavers: facts.leavers.clone(),
            leavers_total: facts.leavers_total,
        },
        rehearsal: (inputs.kind == CaseKind::Migration)
            .then(|| Rehearsal { tests: facts.tests.clone(), counts: facts.counts.clone() }),
        coverage: a.datasets.iter().map(coverage).collect(),
        missing_tables: facts.missing.clone(),
        keep_until: classes.iter().filter_map(|c| c.last_keep_until.clone()).max(),
        has_permanent: classes.iter().any(|c| c.is_permanent && !c.months.is_empty()),
        retention: classes,
        findings_file: FindingsFile {
            href: format!("{}{}", inputs.assessment_href, a.findings_csv),
            name: a.findings_csv.clone(),
            rows: a.findings_count,
        },
        verdicts: groups,
        checklist,
    }
}

fn run(a: &Assessment) -> Run {
    Run {
        as_of: a.as_of.clone(),
        window: a.window.clone(),
        decided_on: a.decided_on.clone(),
        zone: a.zone.clone(),
        pack: a.pack.clone(),
        pack_digest: a.pack_digest,
        legal_review: a.legal_review.clone(),
        sets: a.sets.clone(),
        role: a.role.clone(),
        verification: a.verification.clone(),
        inputs: a.inputs.clone(),
        schema_version: a.schema_version.clone(),
        tool_version: a.tool_version.clone(),
    }
}

fn coverage(d: &crate::finding::DatasetUse) -> Coverage {
    let title = crate::schema::dataset(&d.name)
        .map_or_else(|| Bilingual::new(&d.name, &d.name), |s| Bilingual::new(s.title_zh, s.title_en));
    Coverage { name: d.name.clone(), title, rows: d.rows, coverage: d.coverage.clone() }
}

fn title(kind: CaseKind) -> Bilingual {
    match kind {
        CaseKind::Deregistration => Bilingual::new("小程序与商户号注销审查报告", "Deregistration report"),
        CaseKind::Migration => {
            Bilingual::new("迁移审查报告（仅据申报，未经实测）", "Migration report: declared, not measured")
        }
        CaseKind::Audit => Bilingual::new("合规审计报告", "Compliance audit report"),
        CaseKind::Offboarding => Bilingual::new("员工离职审查报告", "Staff offboarding report"),
    }
}

fn planned_on(kind: CaseKind, case: &Case) -> Option<NaiveDate> {
    let (row, key) = match kind {
        CaseKind::Deregistration => (case.deregistration.as_ref()?, "planned_close_on"),
        CaseKind::Migration => (case.migration.as_ref()?, "planned_cutover_on"),
        CaseKind::Audit | CaseKind::Offboarding => return None,
    };
    row.get(key).and_then(|d| day(d))
}

fn migration_target(case: &Case) -> Option<Target> {
    let row = case.migration.as_ref()?;
    let get = |key: &str| row.get(key).cloned();
    let (from, to) = match (get("source_app_id"), get("target_app_id"), get("source_mch_id"), get("target_mch_id")) {
        (Some(from), to, None, None) => (from, to),
        (_, _, Some(from), to) => (from, to),
        (from, to, None, _) => (from.or_else(|| get("project_ref"))?, to),
    };
    Some(Target {
        kind: "project",
        platform: get("platform"),
        id: to.map_or_else(|| from.clone(), |to| format!("{from} → {to}")),
        name: get("project_kind"),
    })
}

/// The three most urgent actions: failed blockers by severity, then money; then other failures; then data to supply.
fn actions(a: &Assessment, checklist: &Checklist, groups: &[VerdictGroup], today: NaiveDate) -> Vec<Action> {
    // Blockers of the steps this report judges; an audit judges none and takes them all.
    let concerns = |b: &Blocker| groups.is_empty() || groups.iter().any(|g| b.guards.contains(&g.step));
    let is_blocker = |p: &PolicyResult| BLOCKERS.iter().any(|b| b.id == p.id && concerns(b));
    let mut failed: Vec<&PolicyResult> = a.policies.iter().filter(|p| p.outcome == Outcome::Fail).collect();
    failed.sort_by_key(|p| {
        let (amount, _) = amount(p);
        (
            !is_blocker(p),
            std::cmp::Reverse(p.severity),
            std::cmp::Reverse(amount),
            std::cmp::Reverse(p.findings),
            p.id.clone(),
        )
    });
    let mut out: Vec<Action> = failed
        .into_iter()
        .take(3)
        .map(|p| {
            let (amount_fen, is_amount_partial) = amount(p);
            Action {
                policy: p.id.clone(),
                title: p.title.clone(),
                text: p.remedy.text.clone(),
                owner: p.remedy.owner.clone(),
                due_on: add_period(today, &p.remedy.due).map(|d| d.to_string()),
                severity: Some(p.severity),
                findings: p.findings.saturating_sub(p.waived),
                amount_fen,
                is_amount_partial,
            }
        })
        .collect();
    let open = 3 - out.len();
    out.extend(checklist.blockers.iter().filter(|b| b.state == State::NotExamined).take(open).map(|b| Action {
        policy: b.id.clone(),
        title: b.title.clone(),
        text: b.supply.as_ref().map_or_else(Bilingual::default, |s| {
            Bilingual::new(format!("补充：{}", s.zh), format!("supply: {}", s.en))
        }),
        owner: "operations".into(),
        due_on: Some(add_days(today, 3).to_string()),
        severity: None,
        findings: 0,
        amount_fen: 0,
        is_amount_partial: false,
    }));
    out
}
