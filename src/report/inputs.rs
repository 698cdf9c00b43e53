//! Plain values the caller hands in: facts about the archive and the pack.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::facts::Facts;
use crate::config::case::{Case, CaseKind};
use crate::finding::Assessment;
use crate::model::{Bilingual, Digest};

/// Everything a report is made from.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// Which report; may differ from the case's own kind.
    pub kind: CaseKind,
    /// The case.
    pub case: &'a Case,
    /// The check's result.
    pub assessment: &'a Assessment,
    /// What the archive says of itself.
    pub archive: &'a ArchiveFacts,
    /// Retention schedule and conflicts of the pack.
    pub pack: &'a PackFacts,
    /// Facts read from the sealed tables.
    pub facts: &'a Facts,
    /// When the report is made (RFC 3339, UTC).
    pub created_at: String,
    /// Path of the assessment folder as seen from the report, with a final slash; links to the findings file.
    pub assessment_href: String,
}

/// What the archive says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveFacts {
    /// Archive URN.
    pub id: String,
    /// `sha256sum tagmanifest-sha256.txt`.
    pub digest: Digest,
    /// SHA-256 of the statement payload.
    pub statement_hash: Digest,
    /// Stream the archive is numbered in.
    pub stream: String,
    /// Number inside the stream.
    pub sequence: u64,
    /// Made with `--draft`.
    pub draft: bool,
    /// Key ids (SHA-256 of the public keys) that signed.
    pub signers: Vec<String>,
    /// When it was sealed (RFC 3339, UTC).
    pub created_at: String,
    /// Folder name of the archive.
    pub folder: String,
    /// Lines the verification before this report printed.
    pub verification: Vec<Bilingual>,
    /// Sealed tables and their rows.
    pub tables: Vec<TableRows>,
    /// Counts taken while sealing.
    pub reconciliation: Reconciliation,
}

/// One sealed table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRows {
    /// Dataset.
    pub name: String,
    /// Rows in the archive.
    pub rows: u64,
    /// Whether it is a source table as it stood.
    #[serde(default)]
    pub is_raw: bool,
}

/// What `reconciliation.json` says about completeness.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reconciliation {
    /// Source tables that no mapping selects.
    pub unmapped: Vec<UnmappedTable>,
    /// Source tables that were selected, with what their conditions excluded.
    pub selected: Vec<SelectedTable>,
    /// Rows that could not be converted.
    pub quarantine: Vec<QuarantineLine>,
}

/// A source table nobody took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnmappedTable {
    /// Source name in the case.
    pub source: String,
    /// Table.
    pub table: String,
    /// Rows it holds.
    pub rows: u64,
}

/// How much of a source table was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SelectedTable {
    /// Source name in the case.
    pub source: String,
    /// Table.
    pub table: String,
    /// Dataset it became.
    pub dataset: String,
    /// Rows the table holds.
    pub whole_rows: u64,
    /// Rows the selection took.
    pub taken_rows: u64,
    /// Rows its conditions left out.
    pub excluded_rows: u64,
    /// Text of the condition, empty when there is none.
    pub condition: String,
}

/// Rows set aside, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct QuarantineLine {
    /// Dataset the row belonged to.
    pub dataset: String,
    /// Column that could not be converted.
    pub column: String,
    /// Closed code.
    pub reason: String,
    /// How many.
    pub rows: u64,
}

/// What the report needs of the policy pack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackFacts {
    /// Retention schedule.
    pub schedule: Vec<ScheduleRow>,
    /// Conflicts between sources.
    pub conflicts: Vec<ConflictText>,
    /// Ids of all its policies.
    pub policy_ids: BTreeSet<String>,
    /// Names of the instruments by their keys in the law register.
    pub titles: BTreeMap<String, Bilingual>,
}

/// One class of the retention schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleRow {
    /// Class.
    pub data_class: String,
    /// Its name.
    pub title: Bilingual,
    /// Role it holds for; `any` or a concrete role.
    pub legal_role: String,
    /// Minimum, e.g. `10 years`; `None`: no minimum.
    pub min_period: Option<String>,
    /// Maximum for personal data; `None`: none set.
    pub pi_max_period: Option<String>,
    /// Never destroyed.
    pub is_permanent: bool,
    /// What starts the period: `completed`, `fiscal-year-end`, …
    pub anchor_kind: String,
    /// Sources, e.g. `TAX-R art. 29`.
    pub basis_refs: Vec<String>,
    /// `read`, `secondary`, `memory`, `seed`.
    pub mark: String,
    /// Role that answers for it.
    pub owner: String,
    /// Remark.
    pub note: Option<Bilingual>,
    /// Conflicts between sources that concern it, e.g. `C1`.
    pub conflicts: Vec<String>,
}

/// A conflict of the pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictText {
    /// `C1` …
    pub id: String,
    /// What disagrees and what is done.
    pub text: Bilingual,
}
