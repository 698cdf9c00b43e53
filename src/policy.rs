//! Policies: packs and their linter, profiles, waivers, attestations, the runner, policy tests.
//!
//! Responsible for turning sealed tables and people's statements into an assessment in which nothing that was not
//! looked at can look like a pass. Not responsible for verifying the archive, for signing the assessment, or for
//! documents. The engine is `query`; the format of everything people write is in `docs/policies.md`.
//!
//! Limits: kinds sql, builtin and attestation; parameters of type table and mixed policies are refused.

mod attestations;
mod builtin;
mod definition;
mod derived;
mod error;
mod evaluate;
mod facts;
mod files;
mod laws;
mod lint;
mod output;
mod pack;
mod params;
mod profile;
mod run;
mod spool;
mod testing;
mod waivers;

pub use attestations::{Attestation, Attestations};
pub use builtin::Builtin;
pub use definition::{
    CHANNELS, Citation, Kind, MatchKind, Policy, Population, Question, ROLES, Reason, Span, Status, WaiverTerms,
};
pub use derived::Derived;
pub use error::Error;
pub use evaluate::fingerprint;
pub use facts::{Facts, Table};
pub use laws::RetentionClass;
pub use output::{COLUMNS, FindingFiles, FindingSink, summary_json};
pub use pack::{Pack, SHIPPED};
pub use params::{LegalBound, Param, ParamType, ParamValue, Tighten};
pub use profile::Profile;
pub use run::{FINDINGS_DEFAULT, Inputs, SECONDS_DEFAULT, run};
pub use testing::{CaseResult, test};
pub use waivers::{Waiver, Waivers};

#[cfg(test)]
mod tests;
