//! Words: names that clash with a dialect, and phrases a policy may not use about sources nobody has read.

use crate::config::Problem;
use crate::policy::definition::Policy;
use crate::policy::pack::Pack;

/// Names that are words of one of the engines.
pub(super) const RESERVED: [&str; 62] = [
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asof",
    "at",
    "between",
    "both",
    "by",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "cross",
    "current_date",
    "current_time",
    "current_timestamp",
    "default",
    "desc",
    "describe",
    "distinct",
    "else",
    "end",
    "except",
    "exists",
    "false",
    "for",
    "foreign",
    "from",
    "full",
    "group",
    "having",
    "in",
    "inner",
    "interval",
    "join",
    "lateral",
    "left",
    "limit",
    "map",
    "not",
    "null",
    "offset",
    "on",
    "or",
    "order",
    "select",
    "show",
    "struct",
    "table",
    "then",
    "true",
    "union",
    "when",
    "window",
];

/// Phrases that claim a breach of law.
const CLAIMS: [&str; 9] = [
    "violates the law",
    "breach of law",
    "illegal",
    "unlawful",
    "contrary to the law",
    "违法",
    "违反法律",
    "触犯",
    "非法",
];

/// A policy none of whose sources was read in full may not say that something breaks the law.
pub(super) fn lint(pack: &Pack, policy: &Policy, problems: &mut Vec<Problem>) {
    let is_read = policy
        .basis
        .iter()
        .any(|b| b.mark == "read" && ["statute", "regulation", "ministry-rule"].contains(&b.force.as_str()));
    if is_read {
        return;
    }
    let mut texts = vec![&policy.title, &policy.rationale, &policy.remedy.text];
    texts.extend(policy.reasons.values().map(|r| &r.text));
    for claim in CLAIMS {
        if texts.iter().any(|t| t.zh.contains(claim) || t.en.to_lowercase().contains(claim)) {
            let message = format!("says `{claim}`, but no law among its sources was read in full");
            problems.push(pack.files.problem(&format!("{}/policy.toml", policy.folder), message));
        }
    }
}
