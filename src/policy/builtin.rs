//! Policies about the run itself, evaluated from what the run knows.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::definition::Policy;
use super::facts::{Facts, Shortage};
use super::pack::Pack;
use super::profile::Profile;
use super::waivers::{Standing, Waiver};
use crate::finding::Finding;

/// A check this program does itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builtin {
    /// Datasets, columns and periods that selected policies need.
    NeedsMet,
    /// Expired waivers whose findings are still there.
    WaiverExpired,
    /// Waivers that do not meet their policy's terms.
    WaiverIncomplete,
    /// Waivers for policies that allow none.
    WaiverNotAllowed,
    /// Parameters beyond a legal bound.
    LegalFloor,
    /// Tier-1 policies dropped or milder without a reason.
    UnexplainedDrop,
}

impl Builtin {
    /// Words accepted in policy files.
    pub(super) const WORDS: [&'static str; 6] =
        ["needs-met", "waiver-expired", "waiver-incomplete", "waiver-not-allowed", "legal-floor", "unexplained-drop"];
    const ALL: [Builtin; 6] = [
        Self::NeedsMet,
        Self::WaiverExpired,
        Self::WaiverIncomplete,
        Self::WaiverNotAllowed,
        Self::LegalFloor,
        Self::UnexplainedDrop,
    ];

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().position(|w| *w == word).and_then(|i| Self::ALL.get(i).copied())
    }

    /// The word used in files.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().position(|b| *b == self).and_then(|i| Self::WORDS.get(i).copied()).unwrap_or_default()
    }

    pub(super) fn subject_kind(self) -> &'static str {
        match self {
            Self::NeedsMet => "dataset",
            Self::WaiverExpired | Self::WaiverIncomplete | Self::WaiverNotAllowed => "waiver",
            Self::LegalFloor => "parameter",
            Self::UnexplainedDrop => "policy",
        }
    }

    pub(super) fn reasons(self) -> &'static [&'static str] {
        match self {
            Self::NeedsMet => &["column-missing", "coverage-gap", "dataset-missing", "no-rows"],
            Self::WaiverExpired => &["expired"],
            Self::WaiverIncomplete => &["approver-is-owner", "approver-role", "not-yet-valid", "too-broad", "too-long"],
            Self::WaiverNotAllowed => &["not-waivable"],
            Self::LegalFloor => &["above-ceiling", "below-floor"],
            Self::UnexplainedDrop => &["dropped", "severity-lowered"],
        }
    }

    pub(super) fn evidence(self) -> &'static [&'static str] {
        match self {
            Self::NeedsMet => &["detail", "policies"],
            Self::WaiverExpired => &["expires_on", "matched", "policy"],
            Self::WaiverIncomplete => &["detail", "policy"],
            Self::WaiverNotAllowed => &["policy"],
            Self::LegalFloor => &["bound", "source", "value"],
            Self::UnexplainedDrop => &["detail"],
        }
    }
}

/// What the run knows when builtins are evaluated.
pub(super) struct Knowledge<'a> {
    pub(super) pack: &'a Pack,
    pub(super) profile: &'a Profile,
    pub(super) facts: &'a Facts,
    /// Selected policies that concern this merchant, builtins left out, with what their data lacks.
    pub(super) needs: &'a BTreeMap<String, Vec<Shortage>>,
    /// Waivers with their standing and how many findings each matched.
    pub(super) waivers: &'a [(Waiver, Standing, u64)],
}

/// What a dataset lacks: who needs it, and the details.
#[derive(Default)]
struct Lack {
    policies: BTreeSet<String>,
    details: BTreeSet<String>,
}

/// A violation before it becomes a finding.
struct Hit {
    subject: String,
    reason: &'static str,
    evidence: BTreeMap<String, Option<String>>,
}

fn hit(subject: impl Into<String>, reason: &'static str, evidence: &[(&str, String)]) -> Hit {
    Hit {
        subject: subject.into(),
        reason,
        evidence: evidence.iter().map(|(k, v)| ((*k).to_owned(), Some(v.clone()))).collect(),
    }
}

/// Population and findings of a builtin policy, findings in order of subject and reason.
pub(super) fn evaluate(
    builtin: Builtin,
    siblings: &[(String, String)],
    policy: &Policy,
    severity: crate::finding::Severity,
    known: &Knowledge<'_>,
) -> (u64, Vec<Finding>) {
    let (population, mut hits) = match builtin {
        Builtin::NeedsMet => needs_met(siblings, known),
        Builtin::WaiverExpired | Builtin::WaiverIncomplete | Builtin::WaiverNotAllowed => waivers(builtin, known),
        Builtin::LegalFloor => legal_floor(known),
        Builtin::UnexplainedDrop => unexplained_drop(known),
    };
    hits.sort_by(|a, b| (&a.subject, a.reason).cmp(&(&b.subject, b.reason)));
    let findings = hits.into_iter().map(|h| {
        let severity = policy.reasons.get(h.reason).and_then(|r| r.severity).map_or(severity, |s| s.min(severity));
        super::evaluate::finding(policy, &h.subject, h.reason, severity, None, h.evidence)
    });
    (population as u64, findings.collect())
}

fn needs_met(siblings: &[(String, String)], known: &Knowledge<'_>) -> (usize, Vec<Hit>) {
    let mut datasets = BTreeSet::new();
    let mut lacking: BTreeMap<(String, &'static str), Lack> = BTreeMap::new();
    let is_ours = |dataset: &str| !known.profile.out_of_scope.contains_key(dataset);
    for (id, shortages) in known.needs {
        let Some(policy) = known.pack.policy(id) else { continue };
        let behind = policy.needs.keys().filter_map(|d| known.pack.derived.get(d)).flat_map(|d| d.needs.keys());
        let archived = policy.needs.keys().chain(behind).filter(|d| {
            use crate::schema::Origin;
            crate::schema::dataset(d).is_some_and(|d| !matches!(d.origin, Origin::Reference | Origin::Derived))
                && is_ours(d)
        });
        datasets.extend(archived.cloned());
        for shortage in shortages.iter().filter(|s| is_ours(s.dataset())) {
            let entry = lacking.entry((shortage.dataset().to_owned(), shortage.code())).or_default();
            entry.policies.insert(id.clone());
            entry.details.insert(shortage.text().en);
        }
    }
    let rows = |name: &str| known.facts.table(name).map(|t| t.rows);
    for (proof, dataset) in siblings {
        if datasets.contains(dataset) && rows(proof).is_some_and(|n| n > 0) && rows(dataset) == Some(0) {
            let entry = lacking.entry((dataset.clone(), "no-rows")).or_default();
            entry.details.insert(format!("{proof} has rows, {dataset} has none"));
            let readers =
                known.needs.keys().filter(|id| known.pack.policy(id).is_some_and(|p| p.needs.contains_key(dataset)));
            entry.policies.extend(readers.cloned());
        }
    }
    let join = |set: BTreeSet<String>, with: &str| set.into_iter().collect::<Vec<_>>().join(with);
    let hits = lacking.into_iter().map(|((dataset, reason), lack)| {
        hit(dataset, reason, &[("policies", join(lack.policies, " ")), ("detail", join(lack.details, "; "))])
    });
    (datasets.len(), hits.collect())
}

fn waivers(builtin: Builtin, known: &Knowledge<'_>) -> (usize, Vec<Hit>) {
    let mut hits = Vec::new();
    for (waiver, standing, matched) in known.waivers {
        let policy = ("policy", waiver.policy.clone());
        match (builtin, standing) {
            (Builtin::WaiverExpired, Standing::Expired) if *matched > 0 => {
                let expires = ("expires_on", waiver.expires_on.to_string());
                hits.push(hit(&waiver.id, "expired", &[policy, expires, ("matched", matched.to_string())]));
            }
            (Builtin::WaiverIncomplete, Standing::Refused(faults)) => {
                for (reason, detail) in faults {
                    hits.push(hit(&waiver.id, reason, &[policy.clone(), ("detail", detail.clone())]));
                }
            }
            (Builtin::WaiverNotAllowed, Standing::NotWaivable) => hits.push(hit(&waiver.id, "not-waivable", &[policy])),
            _ => {}
        }
    }
    (known.waivers.len(), hits)
}

fn legal_floor(known: &Knowledge<'_>) -> (usize, Vec<Hit>) {
    let mut population = 0;
    let mut hits = Vec::new();
    for id in known.needs.keys() {
        let Some(policy) = known.pack.policy(id) else { continue };
        for (name, param) in policy.params.iter().filter(|(_, p)| p.has_legal_bound()) {
            population += 1;
            let (value, _) = known.profile.value(id, name, param);
            if let Some((bound, is_floor)) = param.crossed(value) {
                let reason = if is_floor { "below-floor" } else { "above-ceiling" };
                let evidence = [
                    ("value", value.to_string()),
                    ("bound", bound.value.to_string()),
                    ("source", bound.source.clone()),
                ];
                hits.push(hit(format!("{id}.{name}"), reason, &evidence));
            }
        }
    }
    (population, hits)
}

fn unexplained_drop(known: &Knowledge<'_>) -> (usize, Vec<Hit>) {
    let profile = known.profile;
    let is_tier_one = |id: &str| known.pack.policy(id).is_some_and(|p| p.tier == 1);
    let mut hits = Vec::new();
    for drop in profile.drops.iter().filter(|d| d.reason.is_none() && is_tier_one(&d.policy)) {
        hits.push(hit(&drop.policy, "dropped", &[("detail", "dropped without a reason".into())]));
    }
    for (id, change) in &profile.severities {
        let Some(policy) = known.pack.policy(id).filter(|p| p.tier == 1) else { continue };
        if change.severity < policy.severity && change.reason.is_none() {
            let detail = format!("{} instead of {}, without a reason", change.severity.word(), policy.severity.word());
            hits.push(hit(id, "severity-lowered", &[("detail", detail)]));
        }
    }
    (profile.drops.len() + profile.severities.len(), hits)
}

/// Standing of every waiver of a policy that exists, on this day.
pub(super) fn standings(pack: &Pack, waivers: &[Waiver], decided_on: NaiveDate) -> Vec<(Waiver, Standing)> {
    let judged = waivers.iter().filter_map(|w| Some((w.clone(), w.standing(pack.policy(&w.policy)?, decided_on))));
    judged.collect()
}
