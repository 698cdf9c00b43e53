//! `waivers.toml`: accepted exceptions, and whether each may excuse what it claims to.
//!
//! A malformed file stops the run. A well-formed waiver that breaks its policy's terms excuses nothing and becomes
//! a finding of its own. A waiver never removes a finding; it only marks it.

use std::path::Path;

use chrono::{Months, NaiveDate};
use globset::{GlobBuilder, GlobMatcher};

use super::definition::{MatchKind, Policy};
use super::pack::Pack;
use crate::config::document::LoadError;
use crate::config::{Document, Problems, Reader};
use crate::finding::Finding;
use crate::model::Bilingual;

/// Roles that approve, weakest first.
const ROLES: [&str; 6] = ["operations", "customer-service", "technology", "security", "finance", "legal"];

/// Position of a role; `None` for one this program does not know.
pub(super) fn role_rank(role: &str) -> Option<usize> {
    ROLES.iter().position(|r| *r == role)
}

/// Whether one role may stand in for another.
fn is_at_least(role: &str, wanted: &str) -> bool {
    role == wanted || matches!((role_rank(role), role_rank(wanted)), (Some(a), Some(b)) if a >= b)
}

/// Which findings a waiver covers.
#[derive(Debug, Clone)]
pub(super) enum Match {
    Subject(String),
    Fingerprint(String),
    Pattern(GlobMatcher),
    All,
}

impl Match {
    fn kind(&self) -> MatchKind {
        match self {
            Self::Subject(_) | Self::Fingerprint(_) => MatchKind::Subject,
            Self::Pattern(_) => MatchKind::Pattern,
            Self::All => MatchKind::All,
        }
    }
}

/// One waiver as written.
#[derive(Debug, Clone)]
pub struct Waiver {
    /// Its id.
    pub id: String,
    /// Policy it is for.
    pub policy: String,
    pub(super) matches: Match,
    reasons: Vec<String>,
    pub(super) findings_max: u64,
    /// Why the exception is accepted.
    pub why: Bilingual,
    /// Who owns it.
    pub owner: String,
    /// Who approved it.
    pub approver: String,
    approver_role: String,
    created_on: NaiveDate,
    /// Last valid day.
    pub expires_on: NaiveDate,
}

/// All waivers of a merchant.
#[derive(Debug, Clone, Default)]
pub struct Waivers(pub(super) Vec<Waiver>);

/// What a waiver is worth on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Covers what it matches.
    Valid,
    /// Its last day is over.
    Expired,
    /// Its policy allows none.
    NotWaivable,
    /// Breaks the terms; reason codes of GOV-002 with the detail.
    Refused(Vec<(&'static str, String)>),
}

impl Waivers {
    /// Loads a waiver file and checks it against the pack.
    ///
    /// # Errors
    /// An unreadable file, or every mistake in it.
    pub fn load(path: &Path, pack: &Pack) -> Result<Self, LoadError> {
        Ok(Self::read(Document::load(path)?, pack)?)
    }

    /// Reads waivers from text; `file` is the name used in messages.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(file: &str, text: &str, pack: &Pack) -> Result<Self, Problems> {
        Self::read(Document::parse(file, text)?, pack)
    }

    fn read(document: Document, pack: &Pack) -> Result<Self, Problems> {
        let root = document.root();
        root.format_one();
        let mut waivers: Vec<Waiver> = Vec::new();
        for w in root.tables("waiver") {
            if let Some(waiver) = read_waiver(&w, pack) {
                if waivers.iter().any(|o| o.id == waiver.id) {
                    w.problem_at("id", format!("two waivers are called `{}`", waiver.id));
                }
                waivers.push(waiver);
            }
        }
        root.finish();
        document.into_problems().or(Self(waivers))
    }
}

fn read_waiver(w: &Reader<'_>, pack: &Pack) -> Option<Waiver> {
    let policy_id = w.text("policy");
    let policy = pack.policy(&policy_id);
    if policy.is_none() && w.has("policy") {
        w.problem_at("policy", format!("no policy is called `{policy_id}`"));
    }
    let reasons = w.text_list("reasons");
    for reason in policy.iter().flat_map(|p| reasons.iter().filter(|r| !p.reasons.contains_key(*r))) {
        w.problem_at("reasons", format!("{policy_id} has no reason `{reason}`"));
    }
    let matches = w.table("match").and_then(|m| {
        let matches = read_match(&m);
        m.finish();
        matches
    });
    let findings_max = w.opt_int("findings_max");
    if findings_max.is_some_and(|n| n < 1) {
        w.problem_at("findings_max", "`findings_max` must be 1 or more");
    }
    if findings_max.is_none() && matches!(matches, Some(Match::Pattern(_) | Match::All)) && !w.has("findings_max") {
        w.problem("missing key `findings_max`: a pattern covers no more findings than were seen when it was granted");
    }
    w.opt_text("compensating");
    w.opt_text("ticket");
    let waiver = Waiver {
        id: w.text("id"),
        policy: policy_id,
        matches: matches.unwrap_or(Match::All),
        reasons,
        findings_max: findings_max.and_then(|n| u64::try_from(n).ok()).unwrap_or(1),
        why: w.bilingual("why"),
        owner: w.text("owner"),
        approver: w.text("approver"),
        approver_role: w.text("approver_role"),
        created_on: w.date("created_on"),
        expires_on: w.date("expires_on"),
    };
    if waiver.expires_on < waiver.created_on {
        w.problem_at("expires_on", "`expires_on` must not lie before `created_on`");
    }
    w.finish();
    Some(waiver)
}

fn read_match(m: &Reader<'_>) -> Option<Match> {
    let subject = m.opt_text("subject").map(Match::Subject);
    let fingerprint = m.opt_text("fingerprint").map(|f| {
        let is_fingerprint = f.strip_prefix("f1:").is_some_and(|rest| rest.len() == 26);
        if !is_fingerprint {
            m.problem_at("fingerprint", "a fingerprint is `f1:` and 26 characters, as findings print it");
        }
        Match::Fingerprint(f)
    });
    let pattern = m.opt_text("pattern").and_then(|p| {
        // Only `*` and `?` are special, and `*` crosses slashes: subjects are not paths.
        let escaped: String =
            p.chars().flat_map(|c| if "[]{}!\\".contains(c) { vec!['\\', c] } else { vec![c] }).collect();
        let glob = GlobBuilder::new(&escaped).literal_separator(false).backslash_escape(true).build();
        if glob.is_err() {
            m.problem_at("pattern", "not a pattern; `*` stands for any text, `?` for one character");
        }
        glob.ok().map(|g| Match::Pattern(g.compile_matcher()))
    });
    let all = m.opt_bool("all").filter(|all| *all).map(|_| Match::All);
    let mut given: Vec<Match> = [subject, fingerprint, pattern, all].into_iter().flatten().collect();
    if given.len() != 1 {
        m.problem("`match` takes exactly one of subject, fingerprint, pattern, all = true");
    }
    given.pop()
}

impl Waiver {
    /// Whether the waiver speaks of this finding.
    pub(super) fn covers(&self, finding: &Finding) -> bool {
        self.policy == finding.policy
            && (self.reasons.is_empty() || self.reasons.contains(&finding.reason))
            && match &self.matches {
                Match::Subject(s) => *s == finding.subject,
                Match::Fingerprint(f) => *f == finding.fingerprint,
                Match::Pattern(p) => p.is_match(&finding.subject),
                Match::All => true,
            }
    }

    /// What the waiver is worth on this day under its policy's terms.
    pub(super) fn standing(&self, policy: &Policy, decided_on: NaiveDate) -> Standing {
        let terms = &policy.waiver;
        if !terms.allowed {
            return Standing::NotWaivable;
        }
        let mut faults = Vec::new();
        if self.approver == self.owner {
            faults.push(("approver-is-owner", "owner and approver are the same".to_owned()));
        }
        if !is_at_least(&self.approver_role, &terms.approver) {
            faults.push(("approver-role", format!("needs {}, approved by {}", terms.approver, self.approver_role)));
        }
        let (months, days) = terms.max;
        let last = u32::try_from(months)
            .ok()
            .and_then(|m| self.created_on.checked_add_months(Months::new(m)))
            .and_then(|d| d.checked_add_days(chrono::Days::new(u64::try_from(days).unwrap_or(0))));
        if let Some(last) = last
            && self.expires_on > last
        {
            faults.push(("too-long", format!("until {} where {last} is the latest", self.expires_on)));
        }
        if self.matches.kind() > terms.match_kind {
            faults.push(("too-broad", "the policy permits narrower matches only".to_owned()));
        }
        if decided_on < self.created_on {
            faults.push(("not-yet-valid", format!("valid from {}", self.created_on)));
        }
        if !faults.is_empty() {
            return Standing::Refused(faults);
        }
        if decided_on > self.expires_on { Standing::Expired } else { Standing::Valid }
    }

    /// Days left on a day; negative when over.
    pub(super) fn days_left(&self, decided_on: NaiveDate) -> i64 {
        self.expires_on.signed_duration_since(decided_on).num_days()
    }
}
