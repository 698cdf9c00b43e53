//! What a check produces: findings, outcomes, and the record of the run. Plain values, serialised into
//! assessments and read by reports.

use std::collections::BTreeMap;

use chrono::DateTime;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::model::{Bilingual, Digest};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For information; never fails a run.
    Info,
    /// Hygiene.
    Low,
    /// A control or service level.
    Medium,
    /// A statutory duty or a platform's hard block.
    High,
    /// Money at risk now, a prohibition, or an irreversible step about to go wrong.
    Critical,
}

impl Severity {
    /// All severities, mildest first.
    pub const ALL: [Severity; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word used in files and flags.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Reads the word back.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }
}

/// What became of one policy (policy format, section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Examined, something there, nothing wrong.
    Pass,
    /// At least one unwaived finding.
    Fail,
    /// Findings, all covered by valid waivers.
    Waived,
    /// Does not concern this merchant, or nothing to examine; the reason is stated.
    NotApplicable,
    /// Could not be examined; never a pass.
    NotEvaluated,
}

impl Outcome {
    /// The word used in files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Waived => "waived",
            Self::NotApplicable => "not-applicable",
            Self::NotEvaluated => "not-evaluated",
        }
    }
}

/// One violating subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Policy id.
    pub policy: String,
    /// Kind of the subject, e.g. `payment`.
    pub subject_kind: String,
    /// The subject; pseudonyms as they are.
    pub subject: String,
    /// Closed code of the way it violates.
    pub reason: String,
    /// Severity of this reason.
    pub severity: Severity,
    /// When it happened: ISO 8601 text, an instant in UTC or a local date.
    pub occurred: Option<String>,
    /// Evidence columns: name to printed value (fen as integers; null as `None`), sorted by name.
    pub evidence: BTreeMap<String, Option<String>>,
    /// `f1:` and 26 base32 characters; stable over runs (policy format, section 9).
    pub fingerprint: String,
    /// Waiver that covers it.
    pub waiver: Option<String>,
}

/// A source a policy rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// Key in the law register, or a seed document.
    pub source: String,
    /// Name of the instrument.
    pub title: Bilingual,
    /// Article or section.
    pub place: String,
    /// Effective date of the text that was read.
    pub version: Option<String>,
    /// `statute`, `regulation`, `ministry-rule`, `platform`, `contract`, `platform-default`.
    pub force: String,
    /// `read`, `secondary`, `memory`, `seed`.
    pub mark: String,
    /// Whether reports may call a violation a breach of law: law, read in full, addressed to this merchant.
    pub is_legal: bool,
}

/// What to do about a finding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedy {
    /// The action.
    pub text: Bilingual,
    /// Responsible role.
    pub owner: String,
    /// Period after the run, e.g. `3 days`.
    pub due: String,
}

/// One reason of a policy, with how often it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonCount {
    /// Closed code.
    pub code: String,
    /// Meaning.
    pub text: Bilingual,
    /// Findings with this reason, waived ones included.
    pub count: u64,
}

/// One parameter value used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamUse {
    /// Parameter name.
    pub name: String,
    /// Printed value.
    pub value: String,
    /// `default`, `profile` or `override`.
    pub origin: String,
}

/// The result of one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyResult {
    /// `FAM-NNN`.
    pub id: String,
    /// Revision of the policy.
    pub revision: u32,
    /// SHA-256 of `check.sql` and `policy.toml` (policy format, section 14).
    pub digest: Digest,
    /// What it checks.
    pub title: Bilingual,
    /// Why.
    pub rationale: Bilingual,
    /// Severity of the policy.
    pub severity: Severity,
    /// Delivery tier, 1 to 3.
    pub tier: u8,
    /// Result.
    pub outcome: Outcome,
    /// Why it was not evaluated or not applicable; closed code, e.g. `dataset-missing`.
    pub why_code: Option<String>,
    /// The same for people.
    pub why: Option<Bilingual>,
    /// How many subjects were examined.
    pub population: Option<u64>,
    /// Number of findings, waived ones included.
    pub findings: u64,
    /// How many of them are waived.
    pub waived: u64,
    /// Kind of the subjects.
    pub subject_kind: String,
    /// Reasons found, in code order.
    pub reasons: Vec<ReasonCount>,
    /// First findings in order, at most [`FIRST_FINDINGS_MAX`].
    pub first: Vec<Finding>,
    /// Legal and other sources.
    pub basis: Vec<Basis>,
    /// Conflicts between sources that the reader must know.
    pub conflicts: Vec<Conflict>,
    /// What to do.
    pub remedy: Remedy,
    /// Parameter values used.
    pub parameters: Vec<ParamUse>,
    /// Datasets it reads.
    pub datasets: Vec<String>,
}

/// How many findings a result carries itself; all of them are in the findings file.
pub const FIRST_FINDINGS_MAX: usize = 50;

/// Sources that disagree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// `C1` …
    pub id: String,
    /// What disagrees and what we do.
    pub text: Bilingual,
}

/// How often each outcome occurred.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Policies that passed.
    pub pass: u64,
    /// Policies that failed.
    pub fail: u64,
    /// Policies whose findings are all waived.
    pub waived: u64,
    /// Policies that do not apply.
    pub not_applicable: u64,
    /// Policies that could not be evaluated.
    pub not_evaluated: u64,
}

impl Summary {
    /// Counts the outcomes.
    pub fn of<'a>(results: impl IntoIterator<Item = &'a PolicyResult>) -> Self {
        let mut s = Self::default();
        for r in results {
            match r.outcome {
                Outcome::Pass => s.pass += 1,
                Outcome::Fail => s.fail += 1,
                Outcome::Waived => s.waived += 1,
                Outcome::NotApplicable => s.not_applicable += 1,
                Outcome::NotEvaluated => s.not_evaluated += 1,
            }
        }
        s
    }
}

/// One waiver and what it covered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaiverUse {
    /// Waiver id.
    pub id: String,
    /// Policy it is for.
    pub policy: String,
    /// Reason given.
    pub why: Bilingual,
    /// Who owns it.
    pub owner: String,
    /// Who approved it.
    pub approver: String,
    /// Last valid day, ISO.
    pub expires_on: String,
    /// Days left on `decided_on`; negative when expired.
    pub days_left: i64,
    /// Findings it covered in this run.
    pub covered: u64,
    /// `valid`, `expired`, `refused` (incomplete, too broad, not waivable) or `unused`.
    pub state: String,
}

/// A line of the profile that changes what runs; printed before the results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileLine {
    /// `drop`, `severity`, `out-of-scope` or `override`.
    pub kind: String,
    /// Policy or dataset.
    pub subject: String,
    /// What it says.
    pub text: String,
    /// Reason given.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// Last day, ISO, if it has one.
    pub until: Option<String>,
}

/// One dataset as the run saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetUse {
    /// Dataset name.
    pub name: String,
    /// Rows read.
    pub rows: u64,
    /// Covered local days, from (inclusive) to (exclusive), ISO; `None` when the case states none.
    pub coverage: Option<(String, String)>,
}

/// Everything a check found and everything it rests on: the content of `assessment.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// 1.
    pub assessment_format: u32,
    /// Version of this program.
    pub tool_version: String,
    /// Version of the canonical schema.
    pub schema_version: String,
    /// Archive URN.
    pub archive_id: String,
    /// `sha256sum tagmanifest-sha256.txt` of the archive.
    pub archive_digest: Digest,
    /// SHA-256 of the archive's statement payload.
    pub statement_hash: Digest,
    /// First line of the verification that preceded the run.
    pub verification: String,
    /// Pack name and version, e.g. `cn-miniprogram 1.0.0`.
    pub pack: String,
    /// Pack digest v1 (policy format, section 14).
    pub pack_digest: Digest,
    /// Lawyer's review of the pack; `None`: not legally reviewed.
    pub legal_review: Option<String>,
    /// Selected sets.
    pub sets: Vec<String>,
    /// The merchant's legal role.
    pub role: String,
    /// The data is judged at this instant (RFC 3339).
    pub as_of: String,
    /// Local dates under audit, end excluded.
    pub window: (String, String),
    /// Local date on which waivers and attestations must be in force.
    pub decided_on: String,
    /// Business zone.
    pub zone: String,
    /// Input files copied into the assessment: name to digest.
    pub inputs: BTreeMap<String, Digest>,
    /// Profile lines that change what runs.
    pub profile_lines: Vec<ProfileLine>,
    /// Datasets read.
    pub datasets: Vec<DatasetUse>,
    /// Waivers and what they covered.
    pub waivers: Vec<WaiverUse>,
    /// Counts.
    pub summary: Summary,
    /// Every selected policy, in id order.
    pub policies: Vec<PolicyResult>,
    /// All findings: file name and digest of the CSV, digest of the Parquet beside it, rows.
    pub findings_csv: String,
    /// Number of findings in the file.
    pub findings_count: u64,
}

/// A reason's text with the finding's evidence filled in: money as yuan, instants in the business zone.
pub fn message(template: &str, finding: &Finding, zone: Tz) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            out.push('{');
            rest = after;
            continue;
        };
        match finding.evidence.get(name) {
            Some(Some(value)) => out.push_str(&shown(name, value, zone)),
            Some(None) => out.push('—'),
            None => {
                out.push('{');
                out.push_str(name);
                out.push('}');
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// A value of this column as people read it.
pub fn shown(column: &str, value: &str, zone: Tz) -> String {
    if column.ends_with("_fen")
        && let Ok(fen) = value.parse::<i128>()
    {
        let sign = if fen < 0 { "-" } else { "" };
        return format!("{sign}{}.{:02}", fen.unsigned_abs() / 100, fen.unsigned_abs() % 100);
    }
    if column.ends_with("_at")
        && let Ok(t) = DateTime::parse_from_rfc3339(value)
    {
        return t.with_timezone(&zone).to_rfc3339();
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Money, instants and missing values are printed for people; unknown placeholders stay visible.
    #[test]
    fn messages() {
        let finding = Finding {
            policy: "TXN-003".into(),
            subject_kind: "payment".into(),
            subject: "p2".into(),
            reason: "late".into(),
            severity: Severity::Medium,
            occurred: None,
            evidence: BTreeMap::from([
                ("amount_fen".into(), Some("-123456".into())),
                ("closed_at".into(), Some("2026-03-01T02:00:00Z".into())),
                ("order_ref".into(), None),
            ]),
            fingerprint: "f1:x".into(),
            waiver: None,
        };
        let text = message("{amount_fen} / {closed_at} / {order_ref} / {nope} / {", &finding, Tz::Asia__Shanghai);
        assert_eq!(text, "-1234.56 / 2026-03-01T10:00:00+08:00 / — / {nope} / {");
        assert_eq!(shown("amount_fen", "5", Tz::UTC), "0.05");
    }
}
