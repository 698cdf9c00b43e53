//! The evidence bag: a signed folder that strangers can verify without this program (`docs/archive-format.md`).
//!
//! Responsible for the bytes of archives and of signed folders (assessments, reports): writing them in one
//! streaming pass, sealing, reading, and judging them against a keyring. Not responsible for where rows come from,
//! for pseudonymisation, or for the order of commands. Nothing here is async; nothing prints.
//!
//! - [`BagWriter`] and [`TableWriter`] write, [`Archive`] reads what was verified, [`verify`] judges.
//! - [`Keyring`] is the only source of trust; public keys inside an archive are ignored.
//! - [`seal_folder`] signs an assessment or a report.
//!
//! Limits: one statement key and one checkpoint key per seal; SM2/SM3, time-stamps and renewals are recognised by
//! the verifier and reported as not performed, never as passed.

mod bag;
mod chain;
mod checkpoint;
mod dsse;
mod error;
mod files;
mod folder;
mod json;
mod keyring;
mod keys;
mod layout;
mod leaf;
mod manifest;
mod reader;
mod readme;
mod staging;
mod statement;
mod table;
mod table_schema;
pub mod tree;
mod verify;

pub use bag::{BagSpec, BagWriter, Closing, Producer, Sealed, Signers, Step as SealStep};
pub use chain::{Chain, Previous};
pub use dsse::{KEYRING_TYPE, PAYLOAD_TYPE, pae};
pub use error::Error;
pub use folder::{FolderKind, SealedFolder, seal_folder};
pub use keyring::{KeyRecord, KeyStatus, Keyring, Role};
pub use reader::{Archive, TableInfo};
pub use readme::ReadmeFacts;
pub use staging::{Abandoned, STAGING_STATE, StagedTable, Unfinished, unfinished};
pub use statement::{Statement, TableStatement};
pub use table::{TableSummary, TableWriter};
pub use table_schema::{ColumnSpec, LeafType, RowOrder, TableSchema, TableSpec};
pub use verify::{
    ArchiveRef, Code, Scope, SignerInfo, StepOutcome, StepReport, Verdict, VerifyOptions, VerifyReport, verify,
};

/// Version of the archive format written by this program.
pub const FORMAT_VERSION: &str = "1.0";
/// Name under which the format's own identifiers stand; never contacted.
pub const VENDOR_DOMAIN: &str = "sealport.dev";
/// Predicate type of an archive's statement.
pub const BAG_PREDICATE: &str = "https://sealport.dev/evidence-bag/v1";
/// Predicate type of an assessment's statement.
pub const ASSESSMENT_PREDICATE: &str = "https://sealport.dev/assessment/v1";
/// Predicate type of a report's statement.
pub const REPORT_PREDICATE: &str = "https://sealport.dev/report/v1";
/// The format document, as it is put into every archive.
pub const FORMAT_DOCUMENT: &str = include_str!("../docs/archive-format.md");
