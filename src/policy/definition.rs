//! One policy as its files state it, read and checked on its own; references to other files are checked by `pack`.

mod read;

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::builtin::Builtin;
use super::params::Param;
use crate::config::{Document, Problems};
use crate::finding::{Remedy, Severity};
use crate::model::{Bilingual, Digest};

pub(super) use read::{read_needs, read_nulls, read_tables};

/// Roles a merchant can have in law.
pub const ROLES: [&str; 3] = ["platform-operator", "self-operated", "payment-institution"];
/// Payment channels.
pub const CHANNELS: [&str; 3] = ["wechat", "alipay", "unionpay"];
pub(super) const FORCES: [&str; 6] =
    ["statute", "regulation", "ministry-rule", "platform", "contract", "platform-default"];
pub(super) const MARKS: [&str; 4] = ["read", "secondary", "memory", "seed"];
const SEVERITIES: [&str; 5] = ["critical", "high", "medium", "low", "info"];

/// Whether a policy runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Only when named.
    Draft,
    /// Always.
    Stable,
    /// Still, but another one replaces it.
    Deprecated,
}

/// How long before the window or `as_of` data must reach back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// The window.
    Window,
    /// From the window's start to `as_of`.
    WindowToAsOf,
    /// The last day before `as_of`.
    AsOf,
    /// From `as_of` back by the value of this parameter.
    Lookback(String),
}

/// What decides the outcome.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A query that returns the violating rows.
    Sql {
        /// Text of `check.sql`.
        check: String,
        /// Path of the file within the policy folder.
        file: String,
    },
    /// Code of this program.
    Builtin {
        /// Which.
        name: Builtin,
        /// `A>B`: rows in dataset A prove that B should have some.
        siblings: Vec<(String, String)>,
    },
    /// Answers people have given.
    Attestation(Question),
}

/// A question only people can answer.
#[derive(Debug, Clone)]
pub struct Question {
    /// The question.
    pub text: Bilingual,
    /// Roles that may answer.
    pub roles: Vec<String>,
    /// How long an answer counts at most, as months and days.
    pub valid: (i64, i64),
    /// Whether a file must support the answer.
    pub evidence_required: bool,
    /// Query for the subjects that need an answer (column `subject_ref`).
    pub subject_from: String,
}

/// How the population is counted.
#[derive(Debug, Clone)]
pub struct Population {
    /// One row, one column `n`.
    pub sql: String,
    /// Whether nothing to examine means not-evaluated instead of not-applicable.
    pub empty_is_not_evaluated: bool,
}

/// A declared reason.
#[derive(Debug, Clone)]
pub struct Reason {
    /// Meaning, with `{column}` placeholders.
    pub text: Bilingual,
    /// Milder severity than the policy's.
    pub severity: Option<Severity>,
}

/// A cited source.
#[derive(Debug, Clone)]
pub struct Citation {
    /// Key in `laws.toml`.
    pub source: String,
    /// Article or section.
    pub place: String,
    /// Effective date of the text that was read.
    pub version: Option<NaiveDate>,
    /// Force of the source.
    pub force: String,
    /// Whom the source binds, in its own words.
    pub addressee: Option<String>,
    /// How well the source is known.
    pub mark: String,
    /// Remark.
    pub note: Option<String>,
}

/// What kinds of match a waiver may use, narrowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MatchKind {
    /// One subject or fingerprint.
    Subject,
    /// Subjects by pattern.
    Pattern,
    /// Every finding.
    All,
}

/// Terms under which findings may be excused.
#[derive(Debug, Clone)]
pub struct WaiverTerms {
    /// Whether at all.
    pub allowed: bool,
    /// Role that must approve.
    pub approver: String,
    /// Longest span, months and days.
    pub max: (i64, i64),
    /// Broadest match.
    pub match_kind: MatchKind,
}

/// A policy.
#[derive(Debug, Clone)]
pub struct Policy {
    /// `FAM-NNN`.
    pub id: String,
    /// Path of its folder in the pack.
    pub folder: String,
    /// Raised by every change.
    pub revision: u32,
    /// Whether it runs.
    pub status: Status,
    /// What decides.
    pub kind: Kind,
    /// Severity of its findings unless a reason says less.
    pub severity: Severity,
    /// Delivery tier.
    pub tier: u8,
    /// Sets it belongs to.
    pub sets: Vec<String>,
    /// What it checks.
    pub title: Bilingual,
    /// Why.
    pub rationale: Bilingual,
    /// Roles it concerns; empty: any.
    pub roles: Vec<String>,
    /// Channels it concerns; empty: any.
    pub channels: Vec<String>,
    /// Sources.
    pub basis: Vec<Citation>,
    /// Conflicts between sources.
    pub conflicts: Vec<String>,
    /// Datasets and columns it reads.
    pub needs: BTreeMap<String, Vec<String>>,
    /// Periods the datasets must cover.
    pub coverage: BTreeMap<String, Span>,
    /// Parameters.
    pub params: BTreeMap<String, Param>,
    /// What a missing value does, by `dataset.column`.
    pub nulls: BTreeMap<String, String>,
    /// What was examined; builtins count their own.
    pub population: Option<Population>,
    /// Kind of the subjects.
    pub subject_kind: String,
    /// Closed set of reasons.
    pub reasons: BTreeMap<String, Reason>,
    /// Evidence columns and their identity class, in file order.
    pub evidence: Vec<(String, String)>,
    /// What to do.
    pub remedy: Remedy,
    /// Terms of waivers.
    pub waiver: WaiverTerms,
    /// Policy digest.
    pub digest: Digest,
}

impl Policy {
    /// Reads `policy.toml`; `check` yields the text of the SQL file it names. All mistakes at once.
    pub(super) fn read(
        file: &str,
        folder: &str,
        text: &str,
        digest: Digest,
        check: &mut dyn FnMut(&str) -> Option<String>,
    ) -> Result<Self, Problems> {
        let document = Document::parse(file, text)?;
        let policy = read::read_root(&document.root(), folder, digest, check);
        let problems = document.into_problems();
        match policy {
            Some(policy) => problems.or(policy),
            None => Err(problems),
        }
    }
}
