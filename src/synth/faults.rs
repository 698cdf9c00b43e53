//! Which faults are planted, and the list of what a complete check must find.

use std::collections::BTreeSet;

use serde_json::json;

/// Policies whose faults can be planted together. DAT-001 is not among them: its finding means that another policy
/// cannot be evaluated, so it is planted only when it is named.
pub(super) const POLICIES: &[&str] = &[
    "DAT-002", "DAT-006", "DRG-004", "DRG-007", "DRG-009", "FND-002", "FND-004", "FND-007", "GOV-001", "GOV-002",
    "GOV-003", "GOV-005", "GOV-011", "LOG-001", "LOG-004", "LOG-005", "LOG-007", "MIG-011", "MIG-013", "OFB-001",
    "OFB-002", "OFB-003", "OFB-005", "OFB-009", "OFB-016", "PRM-001", "PRM-005", "PRM-010", "PRM-015", "PRM-020",
    "PRM-021", "PRM-023", "REC-001", "REC-002", "REC-003", "REC-004", "REC-005", "REC-006", "REC-007", "REC-008",
    "REC-009", "REC-010", "REC-011", "RET-002", "RET-003", "RET-005", "RET-007", "RET-012", "TXN-001", "TXN-003",
    "TXN-005", "TXN-006", "TXN-007", "TXN-012", "TXN-013", "TXN-014", "TXN-018",
];

/// The one policy that can be planted only alone.
pub(super) const ONLY_BY_NAME: &str = "DAT-001";

/// Which faults the sample merchant has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultSelection {
    /// Faults of every policy that can be broken without making another one unexaminable.
    All,
    /// A clean merchant.
    None,
    /// Faults of these policies.
    Policies(BTreeSet<String>),
}

impl FaultSelection {
    /// Reads `all`, `none` or a list of policy ids separated by commas.
    ///
    /// # Errors
    /// [`super::Error::UnknownFault`] for an id that no fault belongs to.
    pub fn parse(text: &str) -> Result<Self, super::Error> {
        match text.trim() {
            "all" => Ok(Self::All),
            "none" => Ok(Self::None),
            list => {
                let mut ids = BTreeSet::new();
                for id in list.split(',').map(|id| id.trim().to_ascii_uppercase()).filter(|id| !id.is_empty()) {
                    if !POLICIES.contains(&id.as_str()) && id != ONLY_BY_NAME {
                        return Err(super::Error::UnknownFault { id });
                    }
                    ids.insert(id);
                }
                Ok(if ids.is_empty() { Self::None } else { Self::Policies(ids) })
            }
        }
    }

    /// Whether faults of this policy are planted.
    pub fn has(&self, policy: &str) -> bool {
        match self {
            Self::All => policy != ONLY_BY_NAME,
            Self::None => false,
            // A waiver can only have expired over a finding, and the sample's waivers are about these.
            Self::Policies(ids) => ids.contains(policy) || (policy == "TXN-003" && ids.contains("GOV-001")),
        }
    }
}

/// One fault, as the finding that must report it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fault {
    policy: String,
    subject: String,
    reason: String,
}

/// All planted faults, sorted and each once.
#[derive(Debug, Default)]
pub(super) struct Truth(BTreeSet<Fault>);

impl Truth {
    /// Lists a finding.
    pub(super) fn add(&mut self, policy: &str, subject: impl Into<String>, reason: &str) {
        self.0.insert(Fault { policy: policy.into(), subject: subject.into(), reason: reason.into() });
    }

    /// Number of findings to expect.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Policies with at least one fault.
    pub(super) fn policies(&self) -> BTreeSet<String> {
        self.0.iter().map(|f| f.policy.clone()).collect()
    }

    /// The subject of the first fault of a policy and reason.
    pub(super) fn subject(&self, policy: &str, reason: &str) -> Option<&str> {
        self.0.iter().find(|f| f.policy == policy && f.reason == reason).map(|f| f.subject.as_str())
    }

    /// Subjects of all faults of a policy with one of these reasons.
    pub(super) fn subjects(&self, policy: &str, reasons: &[&str]) -> Vec<String> {
        let wanted = |f: &&Fault| f.policy == policy && reasons.contains(&f.reason.as_str());
        self.0.iter().filter(wanted).map(|f| f.subject.clone()).collect()
    }

    /// `truth.json`: one line per finding.
    pub(super) fn json(&self) -> String {
        let lines: Vec<String> = self
            .0
            .iter()
            .map(|f| json!({"policy": f.policy, "subject": f.subject, "reason": f.reason}).to_string())
            .collect();
        if lines.is_empty() { "[]\n".into() } else { format!("[\n{}\n]\n", lines.join(",\n")) }
    }
}
