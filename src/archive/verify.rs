//! Judges an archive, assessment or report against a keyring: steps V1 to V12 of the archive format.
//!
//! No parser of complex data sees a byte that a trusted signature does not cover. The first failure ends the run;
//! later steps are reported as not performed. A step that is not implemented is never a pass.

mod codes;
mod content;
mod pages;
mod parquet;
mod report;
mod rows;
mod sequence;
mod stats;
mod structure;
mod trust;

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Utc};

pub use codes::Code;
pub use report::{ArchiveRef, Scope, SignerInfo, StepOutcome, StepReport, Verdict, VerifyReport};

use self::codes::{Check, Failure, fail};
use self::content::{Oxum, Watch};
use super::checkpoint::{self, BadNote};
use super::folder::FolderKind;
use super::json::Members;
use super::keyring::{Keyring, instant};
use super::layout;
use super::statement::{BadStatement, Generic, Statement};
use crate::crypto;
use crate::fsio;
use crate::model::Digest;
use crate::progress::{Cancel, Progress, Stage};

/// What the verifier is asked and what it knows from elsewhere.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// How far to look.
    pub scope: Scope,
    /// The current instant, for key validity.
    pub now: DateTime<Utc>,
    /// The stream the archive must belong to.
    pub expected_stream: Option<String>,
    /// The lowest acceptable number.
    pub min_sequence: Option<u64>,
    /// Statement hashes of archives held or published before, by number.
    pub known_statements: BTreeMap<u64, Digest>,
    /// Whether the signer's own date counts for keys that have ended.
    pub accept_asserted_time: bool,
    /// Threads for hashing; `None` for one per core, at most eight.
    pub threads: Option<usize>,
    /// Where the keyring came from, for the trust line.
    pub keyring_source: Option<String>,
}

impl VerifyOptions {
    /// Everything, with nothing known from elsewhere.
    pub fn full(now: DateTime<Utc>) -> Self {
        Self {
            scope: Scope::Rows,
            now,
            expected_stream: None,
            min_sequence: None,
            known_statements: BTreeMap::new(),
            accept_asserted_time: false,
            threads: None,
            keyring_source: None,
        }
    }

    /// Files only: V1 to V10.
    pub fn files(now: DateTime<Utc>) -> Self {
        Self { scope: Scope::Files, ..Self::full(now) }
    }
}

/// Verifies an archive, assessment or report. Never fails: what goes wrong is part of the report.
pub fn verify(
    path: &Path,
    keyring: &Keyring,
    options: &VerifyOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> VerifyReport {
    let mut run = Run { path, keyring, options, progress, cancel, report: VerifyReport::new(options) };
    // A failure is in the report already.
    let _ = run.all();
    run.report.conclude();
    run.report
}

struct Run<'a> {
    path: &'a Path,
    keyring: &'a Keyring,
    options: &'a VerifyOptions,
    progress: &'a dyn Progress,
    cancel: &'a Cancel,
    report: VerifyReport,
}

/// The run ended early; the report says why.
struct Stop;

impl Run<'_> {
    /// Performs a step and records how it ended.
    fn step<T>(&mut self, id: usize, check: impl FnOnce(&mut VerifyReport) -> Check<T>) -> Result<T, Stop> {
        let result = match self.cancel.check() {
            Ok(()) => check(&mut self.report),
            Err(e) => Err(Failure::from(e)),
        };
        result.inspect(|_| self.report.set(id, StepOutcome::Ok, None, "")).map_err(|failure| {
            self.report.set(id, StepOutcome::Failed, Some(failure.code), &failure.detail);
            Stop
        })
    }

    fn all(&mut self) -> Result<(), Stop> {
        let (path, keyring, options) = (self.path, self.keyring, self.options);
        let listing = self.step(1, |_| structure::scan(path))?;
        let envelopes = self.step(2, |_| trust::envelopes(path, &listing))?;
        self.step(3, |report| trust::signatures(&envelopes, keyring, options, &mut report.signers))?;
        let Some((_, envelope)) = envelopes.first() else { return Err(Stop) };
        let payload = &envelope.payload;
        self.report.statement_hash = Some(crypto::sha256(payload));
        if listing.is_archive { self.archive(&listing, payload) } else { self.folder(&listing, payload) }
    }

    fn folder(&mut self, listing: &structure::Listing, payload: &[u8]) -> Result<(), Stop> {
        let path = self.path;
        let (kind, subject) = self.step(4, |report| {
            let generic = Generic::from_bytes(payload).map_err(refused)?;
            let kind = FolderKind::from_predicate_type(&generic.predicate_type)
                .filter(|k| *k != FolderKind::Archive)
                .ok_or_else(|| Failure {
                code: Code::StatementType,
                detail: format!("predicate type `{}`", generic.predicate_type),
            })?;
            generic.check_version().map_err(refused)?;
            let created = generic.predicate.text("createdAt").and_then(instant);
            report.created_at = Some(created.map_err(|e| refused(BadStatement::Field(e)))?);
            Ok((kind, generic.sole_subject(layout::MANIFEST).map_err(refused)?))
        })?;
        self.report.kind = kind;
        self.report.digest = Some(subject);
        let task = self.progress.start(Stage::Verify, Some(listing.files.values().sum()));
        let watch = Watch { task: &*task, cancel: self.cancel, threads: self.threads() };
        self.step(5, |_| content::folder(path, listing, subject, &watch))?;
        for id in 6..=12 {
            self.report.set(id, StepOutcome::NotApplicable, None, "");
        }
        self.time(listing);
        Ok(())
    }

    fn archive(&mut self, listing: &structure::Listing, payload: &[u8]) -> Result<(), Stop> {
        let (path, options, keyring) = (self.path, self.options, self.keyring);
        let statement = self.step(4, |_| {
            let statement = Statement::from_bytes(payload).map_err(refused)?;
            match &options.expected_stream {
                Some(stream) if *stream != statement.stream => {
                    fail(Code::Field, format!("the archive is of stream `{}`, not `{stream}`", statement.stream))
                }
                _ => Ok(statement),
            }
        })?;
        self.report.describe(&statement);
        let bytes: u64 = listing.files.values().sum();
        let rows: u64 = statement.tables.iter().map(|t| t.rows).sum();
        let total = bytes + if options.scope == Scope::Rows { rows } else { 0 };
        let task = self.progress.start(Stage::Verify, Some(total));
        let watch = Watch { task: &*task, cancel: self.cancel, threads: self.threads() };
        let oxum = Oxum {
            archive_id: &statement.archive_id,
            octets: statement.payload_octets,
            files: statement.payload_files,
        };
        let manifest = self.step(5, |_| content::archive(path, listing, statement.tagmanifest, &oxum, &watch))?;
        if listing.files.keys().any(|p| p.contains("manifest-sm3.txt")) {
            self.report.set(
                6,
                StepOutcome::NotPerformed,
                Some(Code::Sm3),
                "SM3 manifests are present and cannot be checked yet",
            );
        } else {
            self.report.set(6, StepOutcome::NotApplicable, None, "");
        }
        self.step(7, |_| checkpoints(path, listing, &statement, keyring))?;
        self.time(listing);
        if options.min_sequence.is_none() && options.known_statements.is_empty() {
            let detail = "no number and no earlier archive is known to compare with";
            self.report.set(9, StepOutcome::NotPerformed, Some(Code::NoAnchor), detail);
        } else {
            let hash = crypto::sha256(payload);
            self.step(9, |_| sequence::check(&statement, hash, options))?;
        }
        let tables = self.step(10, |_| parquet::tables(path, &statement, &manifest))?;
        if options.scope == Scope::Rows {
            self.step(11, |_| rows::check(path, &statement.archive_id, &tables, &watch))?;
        }
        if listing.files.keys().any(|p| p.starts_with("signatures/renewal-")) {
            self.report.set(
                12,
                StepOutcome::NotPerformed,
                Some(Code::Renewal),
                "renewals are present and cannot be checked yet",
            );
        } else {
            self.report.set(12, StepOutcome::NotApplicable, None, "");
        }
        Ok(())
    }

    fn time(&mut self, listing: &structure::Listing) {
        if listing.files.keys().any(|p| p.ends_with(".tsr")) {
            let detail = "time-stamps are present and cannot be checked yet";
            self.report.set(8, StepOutcome::NotPerformed, Some(Code::TimeUnchecked), detail);
        } else {
            let detail = "no time-stamp: the date is the signer's word";
            self.report.set(8, StepOutcome::NotApplicable, Some(Code::NoTime), detail);
        }
    }

    fn threads(&self) -> usize {
        self.options.threads.unwrap_or_else(content::default_threads).max(1)
    }
}

fn refused(e: BadStatement) -> Failure {
    let (code, detail) = match e {
        BadStatement::Type(d) => (Code::StatementType, d),
        BadStatement::Unsupported(d) => (Code::Unsupported, d),
        BadStatement::Critical(d) => (Code::Critical, d),
        BadStatement::Subject(d) => (Code::Subject, d),
        BadStatement::Limit(d) => (Code::Limit, d),
        BadStatement::Field(d) => (Code::Field, d),
    };
    Failure { code, detail }
}

/// V7: every table has its note, and no other table has one.
fn checkpoints(root: &Path, listing: &structure::Listing, statement: &Statement, keyring: &Keyring) -> Check<()> {
    let keys = trust::checkpoint_keys(keyring)?;
    let keys: Vec<_> = keys.iter().collect();
    let notes = listing.files.keys().filter(|p| p.starts_with("signatures/checkpoint."));
    for note in notes {
        if !statement.tables.iter().any(|t| layout::checkpoint_path(&t.name) == *note) {
            return fail(Code::CheckpointMismatch, format!("`{note}` is for no table of this archive"));
        }
    }
    for table in &statement.tables {
        let path = layout::checkpoint_path(&table.name);
        if !listing.files.contains_key(&path) {
            return fail(Code::NoCheckpoint, format!("`{path}` is missing"));
        }
        let note = fsio::read_bounded(&root.join(&path), layout::CHECKPOINT_BYTES_MAX)?;
        match checkpoint::check(&note, &table.checkpoint_origin, table.rows, &table.root.0, &keys) {
            Ok(()) => {}
            Err(BadNote::Text) => return fail(Code::CheckpointMismatch, format!("`{path}` contradicts the statement")),
            Err(BadNote::Signature) => {
                return fail(Code::CheckpointSignature, format!("`{path}` is not signed by a trusted checkpoint key"));
            }
        }
    }
    Ok(())
}
