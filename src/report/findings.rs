//! Policies by family, worded by the force and reading of their sources.
//!
//! Only law that was read in full and addresses this merchant may be called a breach of law.

use serde::Serialize;

use super::format::{add_period, day, yuan};
use crate::finding::{
    Assessment, Basis, Conflict, Finding, Outcome, ParamUse, PolicyResult, ReasonCount, Remedy, Severity, message,
};
use crate::model::Bilingual;
use chrono_tz::Tz;

/// A family of policies.
#[derive(Debug, Clone, Serialize)]
pub struct Family {
    /// Three letters.
    pub id: String,
    /// Name.
    pub title: Bilingual,
    /// Policies that failed or are waived, worst first.
    pub policies: Vec<PolicyView>,
    /// Policies that passed or do not apply: id, title, outcome, reason.
    pub others: Vec<super::model::OutcomeLine>,
    /// Unwaived findings of the family.
    pub findings: u64,
}

/// A policy with findings.
#[derive(Debug, Clone, Serialize)]
pub struct PolicyView {
    /// Id.
    pub id: String,
    /// What it checks.
    pub title: Bilingual,
    /// Why.
    pub rationale: Bilingual,
    /// Severity.
    pub severity: Severity,
    /// Outcome.
    pub outcome: Outcome,
    /// Whether it is one of the 34 blockers.
    pub is_blocker: bool,
    /// Subjects examined.
    pub population: Option<u64>,
    /// Findings, waived ones included.
    pub findings: u64,
    /// Waived ones.
    pub waived: u64,
    /// Kind of the subjects.
    pub subject_kind: String,
    /// Reasons with counts.
    pub reasons: Vec<ReasonCount>,
    /// Sources, worded.
    pub basis: Vec<BasisView>,
    /// Conflicts between sources.
    pub conflicts: Vec<Conflict>,
    /// What to do.
    pub remedy: Remedy,
    /// Day by which, counted from the check.
    pub due_on: Option<String>,
    /// Names of the evidence columns shown.
    pub columns: Vec<String>,
    /// First rows.
    pub rows: Vec<EvidenceRow>,
    /// Rows not shown.
    pub more: u64,
    /// Amount the listed findings concern: the largest amount of each, added up.
    pub amount_fen: i64,
    /// The list was cut short, so that the amount is a lower bound.
    pub is_amount_partial: bool,
    /// Parameters used.
    pub parameters: Vec<ParamUse>,
}

/// A source and how it may be cited.
#[derive(Debug, Clone, Serialize)]
pub struct BasisView {
    /// The sentence.
    pub text: Bilingual,
    /// Force word.
    pub force: String,
    /// Mark word.
    pub mark: String,
    /// Whether it says that the law is broken.
    pub is_legal: bool,
}

/// One finding as a table row.
#[derive(Debug, Clone, Serialize)]
pub struct EvidenceRow {
    /// Subject.
    pub subject: String,
    /// Reason code.
    pub reason: String,
    /// What is wrong, with the values filled in.
    pub text: Bilingual,
    /// Severity of the reason.
    pub severity: Severity,
    /// When.
    pub occurred: Option<String>,
    /// One cell per column of the policy's table; amounts in yuan.
    pub cells: Vec<Option<String>>,
    /// Which cells are numbers.
    pub is_number: Vec<bool>,
    /// Fingerprint.
    pub fingerprint: String,
    /// Waiver.
    pub waiver: Option<String>,
}

/// Rows of evidence printed per policy.
pub(super) const EVIDENCE_ROWS_MAX: usize = 5;

const FAMILIES: [(&str, &str, &str); 13] = [
    ("FND", "资金", "Funds"),
    ("TXN", "交易完整性", "Transaction integrity"),
    ("REC", "对账", "Reconciliation"),
    ("DRG", "注销", "Deregistration"),
    ("MIG", "迁移", "Migration"),
    ("OFB", "员工离职与解除", "Staff offboarding"),
    ("PRM", "权限生命周期", "Permission life cycle"),
    ("LOG", "权限变更日志", "Permission-change logs"),
    ("RET", "保存期限", "Retention"),
    ("PIP", "个人信息", "Personal information"),
    ("XBD", "跨境", "Cross-border"),
    ("DAT", "数据充分性", "Data sufficiency"),
    ("GOV", "审计自身治理", "Governance of the audit itself"),
];

/// Name of a family.
pub(super) fn family_title(id: &str) -> Bilingual {
    FAMILIES.iter().find(|f| f.0 == id).map_or_else(|| Bilingual::new(id, id), |f| Bilingual::new(f.1, f.2))
}

/// Groups the assessment's policies by family, in the order of the families.
pub(super) fn families(assessment: &Assessment, is_blocker: impl Fn(&str) -> bool) -> Vec<Family> {
    let mut ids: Vec<&str> = assessment.policies.iter().map(|p| p.id.get(..3).unwrap_or(&p.id)).collect();
    ids.sort_by_key(|id| (FAMILIES.iter().position(|f| f.0 == *id).unwrap_or(FAMILIES.len()), *id));
    ids.dedup();
    let mut out: Vec<Family> = ids
        .into_iter()
        .map(|id| {
            let members: Vec<&PolicyResult> = assessment.policies.iter().filter(|p| p.id.starts_with(id)).collect();
            let mut policies: Vec<PolicyView> = members
                .iter()
                .filter(|p| matches!(p.outcome, Outcome::Fail | Outcome::Waived))
                .map(|p| policy_view(p, assessment, is_blocker(&p.id)))
                .collect();
            policies.sort_by(|a, b| {
                (a.outcome != Outcome::Fail, std::cmp::Reverse(a.severity), &a.id).cmp(&(
                    b.outcome != Outcome::Fail,
                    std::cmp::Reverse(b.severity),
                    &b.id,
                ))
            });
            let others = members
                .iter()
                .filter(|p| matches!(p.outcome, Outcome::Pass | Outcome::NotApplicable))
                .map(|p| super::model::OutcomeLine::of(p))
                .collect();
            Family {
                id: id.to_owned(),
                title: family_title(id),
                findings: policies.iter().map(|p| p.findings.saturating_sub(p.waived)).sum(),
                policies,
                others,
            }
        })
        .collect();
    // What could not be evaluated has a section of its own.
    out.retain(|f| !f.policies.is_empty() || !f.others.is_empty());
    out
}

/// Whether a column counts or measures; numbers of orders, merchants and terminals are names.
fn is_quantity(column: &str) -> bool {
    ["_fen", "_e6", "_count", "_days", "_hours", "_minutes", "_rows", "count", "rows", "days"]
        .iter()
        .any(|end| column.ends_with(end))
}

/// One policy for printing.
pub(super) fn policy_view(p: &PolicyResult, a: &Assessment, is_blocker: bool) -> PolicyView {
    let zone = zone_of(&a.zone);
    let shown = p.first.get(..p.first.len().min(EVIDENCE_ROWS_MAX)).unwrap_or_default();
    let mut columns: Vec<String> = shown.iter().flat_map(|f| f.evidence.keys().cloned()).collect();
    columns.sort();
    columns.dedup();
    columns.retain(|c| says_something(c, shown));
    let rows: Vec<EvidenceRow> = shown.iter().map(|f| row(f, &columns, p, zone)).collect();
    let (amount_fen, is_amount_partial) = amount(p);
    PolicyView {
        id: p.id.clone(),
        title: p.title.clone(),
        rationale: p.rationale.clone(),
        severity: p.severity,
        outcome: p.outcome,
        is_blocker,
        population: p.population,
        findings: p.findings,
        waived: p.waived,
        subject_kind: p.subject_kind.clone(),
        reasons: p.reasons.iter().map(|r| summed_up(r, &p.first, zone)).collect(),
        basis: p.basis.iter().map(basis_view).collect(),
        conflicts: p.conflicts.clone(),
        remedy: p.remedy.clone(),
        due_on: day(&a.decided_on).and_then(|d| add_period(d, &p.remedy.due)).map(|d| d.to_string()),
        more: p.findings.saturating_sub(rows.len() as u64),
        columns,
        rows,
        amount_fen,
        is_amount_partial,
        parameters: p.parameters.clone(),
    }
}

/// The amount the unwaived listed findings concern, and whether some were not listed. One finding may print several
/// amounts of the same money (paid, refunded, missing), so only its largest counts.
pub(super) fn amount(p: &PolicyResult) -> (i64, bool) {
    let sum = p
        .first
        .iter()
        .filter(|f| f.waiver.is_none())
        .filter_map(|f| {
            f.evidence
                .iter()
                .filter(|(name, _)| name.ends_with("_fen"))
                .filter_map(|(_, v)| v.as_deref()?.parse::<i64>().ok())
                .map(i64::saturating_abs)
                .max()
        })
        .fold(0, i64::saturating_add);
    (sum, (p.first.len() as u64) < p.findings)
}

/// The zone of the assessment; a name that does not parse cannot come out of a check, and reads as UTC.
pub(super) fn zone_of(name: &str) -> Tz {
    name.parse().unwrap_or(Tz::UTC)
}

/// Whether a column adds to the subject: not when it is empty throughout or only repeats what the subject says.
fn says_something(column: &str, rows: &[Finding]) -> bool {
    let value = |f: &Finding| f.evidence.get(column).cloned().flatten();
    let is_empty = rows.iter().all(|f| value(f).is_none());
    let is_repeated = column.ends_with("_ref")
        && rows.iter().all(|f| value(f).is_some_and(|v| f.subject.split('/').any(|part| part == v)));
    !is_empty && !is_repeated
}

/// A reason over several findings: the values of one finding when it stands for one, an ellipsis otherwise.
fn summed_up(reason: &ReasonCount, first: &[Finding], zone: Tz) -> ReasonCount {
    let mut out = reason.clone();
    let only = first.iter().find(|f| f.reason == reason.code).filter(|_| reason.count == 1);
    out.text = match only {
        Some(f) => filled(&reason.text, f, zone),
        None => Bilingual { zh: without_values(&reason.text.zh), en: without_values(&reason.text.en) },
    };
    out
}

fn filled(text: &Bilingual, f: &Finding, zone: Tz) -> Bilingual {
    Bilingual { zh: message(&text.zh, f, zone), en: message(&text.en, f, zone) }
}

fn without_values(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((_, tail)) = after.split_once('}') else { break };
        out.push_str(before);
        out.push('…');
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// An instant as the local wall clock shows it; anything else as it is.
fn wall_clock(value: &str, zone: Tz) -> String {
    chrono::DateTime::parse_from_rfc3339(value)
        .map_or_else(|_| value.to_owned(), |t| t.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S").to_string())
}

fn row(f: &Finding, columns: &[String], p: &PolicyResult, zone: Tz) -> EvidenceRow {
    let cells = columns
        .iter()
        .map(|c| {
            let value = f.evidence.get(c).cloned().flatten()?;
            match value.parse::<i64>() {
                Ok(fen) if c.ends_with("_fen") => Some(yuan(fen)),
                _ if c.ends_with("_at") => Some(wall_clock(&value, zone)),
                _ => Some(value),
            }
        })
        .collect();
    let is_number = columns
        .iter()
        .map(|c| {
            f.evidence.get(c).and_then(|v| v.as_deref()).is_some_and(|v| is_quantity(c) && v.parse::<i64>().is_ok())
        })
        .collect();
    let reason = p.reasons.iter().find(|r| r.code == f.reason);
    EvidenceRow {
        text: reason.map_or_else(|| Bilingual::new(&f.reason, &f.reason), |r| filled(&r.text, f, zone)),
        subject: f.subject.clone(),
        reason: f.reason.clone(),
        severity: f.severity,
        occurred: f.occurred.clone(),
        cells,
        is_number,
        fingerprint: f.fingerprint.clone(),
        waiver: f.waiver.clone(),
    }
}

/// Words a source by its force and by how well it was read.
pub(super) fn basis_view(b: &Basis) -> BasisView {
    let is_law = matches!(b.force.as_str(), "statute" | "regulation" | "ministry-rule");
    let (unread_zh, unread_en) = match b.mark.as_str() {
        "read" => ("", ""),
        "secondary" => {
            ("（二手资料，引用前须复核原文）", " (secondary source; check the original before relying on it)")
        }
        "memory" => ("（未核对原文）", " (not confirmed against the original)"),
        _ => ("（仅见于种子文档）", " (from a seed document only)"),
    };
    let t = &b.title;
    let Bilingual { zh: place, en } = super::words::place(&b.place);
    let en_place = if en.is_empty() { en } else { format!(", {en}") };
    let zh_title = if t.zh.starts_with('《') || !is_law { t.zh.clone() } else { format!("《{}》", t.zh) };
    let text = if is_law && b.is_legal && b.mark == "read" {
        Bilingual::new(format!("不符合{zh_title}{place}"), format!("contrary to {}{en_place}", t.en))
    } else if is_law {
        let (zh, en) = if b.mark == "read" {
            ("（规定对象并非本商户，仅作参照）", " (addressed to others; by analogy only)")
        } else {
            (unread_zh, unread_en)
        };
        Bilingual::new(format!("参照{zh_title}{place}{zh}"), format!("with reference to {}{en_place}{en}", t.en))
    } else {
        let (zh, en) = match b.force.as_str() {
            "platform" => ("平台规则：", "platform rule: "),
            "contract" => ("合同约定：", "agreement: "),
            _ => ("本工具默认规则，来源：", "default of this toolkit, from "),
        };
        Bilingual::new(format!("{zh}{zh_title} {place}{unread_zh}"), format!("{en}{}{en_place}{unread_en}", t.en))
    };
    BasisView { text, force: b.force.clone(), mark: b.mark.clone(), is_legal: is_law && b.is_legal && b.mark == "read" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basis(force: &str, mark: &str, is_legal: bool) -> Basis {
        Basis {
            source: "X".into(),
            title: Bilingual::new("某法", "Some Law"),
            place: "art. 1".into(),
            version: None,
            force: force.into(),
            mark: mark.into(),
            is_legal,
        }
    }

    #[test]
    fn only_law_that_was_read_and_binds_is_called_contrary_to_law() {
        for force in ["statute", "regulation", "ministry-rule", "platform", "contract", "platform-default"] {
            for mark in ["read", "secondary", "memory", "seed"] {
                for is_legal in [false, true] {
                    let view = basis_view(&basis(force, mark, is_legal));
                    let expected =
                        matches!(force, "statute" | "regulation" | "ministry-rule") && mark == "read" && is_legal;
                    assert_eq!(view.is_legal, expected, "{force} {mark} {is_legal}");
                    assert_eq!(view.text.en.contains("contrary"), expected, "{}", view.text.en);
                    assert_eq!(view.text.zh.contains("不符合"), expected, "{}", view.text.zh);
                }
            }
        }
    }
}
