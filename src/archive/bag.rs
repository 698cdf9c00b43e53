//! Writes and seals an archive.
//!
//! Everything is written into `.sealing-…` beside the final place, synced, read back from disk, and only then renamed.
//! A lock file marks the folder as live; a later seal removes what a crash left behind. Randomness and time come from
//! the caller, so the same inputs give the same bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Map, Value, json};

use super::chain::Previous;
use super::checkpoint;
use super::dsse::Envelope;
use super::error::Error;
use super::files::{self, Written};
use super::json;
use super::keyring::{Keyring, spell};
use super::layout::{self, FILES_MAX, INTEGER_MAX, TABLES_MAX};
use super::manifest;
use super::readme::{self, About, ReadmeFacts};
use super::staging::{Abandoned, StagedTable, Work, remove_stale};
use super::statement::{LEAF_ENCODING, STATEMENT_TYPE, TREE_HASH};
use super::table::{TableSummary, TableWriter};
use super::table_schema::TableSpec;
use crate::clock::{Clock, Random};
use crate::crypto::{self, Secret, SigningKey};
use crate::fsio;
use crate::model::Digest;
use crate::progress::Interrupted;

/// The program that makes the archive.
#[derive(Debug, Clone)]
pub struct Producer {
    /// Name of the tool.
    pub tool: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the executable, if it could be read.
    pub executable: Option<Digest>,
}

/// What an archive is, known before its rows.
#[derive(Debug, Clone)]
pub struct BagSpec {
    /// URN to use; `None` draws a random UUID.
    pub id: Option<String>,
    /// Opaque id of merchant and data; drafts end in `.draft`.
    pub stream: String,
    /// Number in the stream, from 1.
    pub sequence: u64,
    /// The archive before it; `None` exactly for number 1.
    pub previous: Option<Previous>,
    /// Whose records these are.
    pub organisation: String,
    /// Who keeps the archive.
    pub custodian: String,
    /// Covered instants: start included, end excluded.
    pub coverage: (DateTime<Utc>, DateTime<Utc>),
    /// Zone of local dates.
    pub zone: Tz,
    /// Whether this is a draft.
    pub is_draft: bool,
    /// Scheme, key ids (never keys) and the columns concerned; an object.
    pub pseudonymisation: Value,
    /// The program.
    pub producer: Producer,
    /// Version and digest of the keyring in force.
    pub keyring: (u64, Digest),
    /// Further members of the predicate.
    pub extra: Map<String, Value>,
}

impl BagSpec {
    /// Version and digest of a keyring, for [`BagSpec::keyring`].
    pub fn keyring_of(keyring: &Keyring) -> (u64, Digest) {
        (keyring.version, keyring.digest())
    }

    fn validate(&self) -> Result<(), Error> {
        let spec = |problem: &str| Err(Error::Spec { problem: problem.into() });
        if let Some(id) = &self.id
            && layout::uuid_of(id).is_none()
        {
            return Err(Error::Name { name: id.clone(), what: "archive id (urn:uuid:…)" });
        }
        if self.stream.is_empty() || self.stream.ends_with(".draft") != self.is_draft {
            return spec("drafts, and only drafts, are in a stream that ends in `.draft`");
        }
        if self.sequence == 0 || self.sequence >= INTEGER_MAX || (self.sequence == 1) != self.previous.is_none() {
            return spec("number 1, and only number 1, has no predecessor");
        }
        if self.coverage.0.timestamp() >= self.coverage.1.timestamp() {
            return spec("coverage ends before it begins");
        }
        if !self.pseudonymisation.is_object() {
            return spec("the pseudonymisation is not an object");
        }
        let is_line = |s: &str| !s.trim().is_empty() && !s.chars().any(char::is_control);
        if !is_line(&self.organisation) || !is_line(&self.custodian) {
            return spec("organisation and custodian must be one line of text each");
        }
        Ok(())
    }
}

/// What is known only when all rows are written.
#[derive(Debug, Clone, Default)]
pub struct Closing {
    /// Summary of the control totals for the statement; an object.
    pub control_totals: Map<String, Value>,
    /// Facts for `README.txt`.
    pub readme: ReadmeFacts,
}

/// The keys that seal.
#[derive(Debug, Clone, Copy)]
pub struct Signers<'a> {
    /// Signs the statement.
    pub statement: &'a SigningKey,
    /// Signs the checkpoint notes; must be another key.
    pub checkpoint: &'a SigningKey,
}

/// A finished step of sealing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Schema documents, salts and the format document are written.
    Documents,
    /// Manifests and tag files are written.
    Manifests,
    /// The statement is signed.
    Statement,
    /// Checkpoint notes are written.
    Checkpoints,
    /// Folders are synced.
    Synced,
    /// Every digest was recomputed from disk.
    ReadBack,
}

/// A sealed archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Where it stands.
    pub path: PathBuf,
    /// The archive digest: SHA-256 of `tagmanifest-sha256.txt`.
    pub digest: Digest,
    /// SHA-256 of the statement payload.
    pub statement_hash: Digest,
    /// URN.
    pub archive_id: String,
    /// Number in its stream.
    pub sequence: u64,
}

/// An archive under construction. Dropping it removes everything written so far.
pub struct BagWriter<'a> {
    final_path: PathBuf,
    work: Work,
    spec: BagSpec,
    archive_id: String,
    created_at: DateTime<Utc>,
    random: &'a dyn Random,
    seeds: std::sync::Mutex<BTreeMap<String, Secret>>,
    files: BTreeMap<String, Written>,
}

impl std::fmt::Debug for BagWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BagWriter").field("archive_id", &self.archive_id).finish_non_exhaustive()
    }
}

impl<'a> BagWriter<'a> {
    /// Starts an archive that will stand at `final_path`, whose parent is created if need be.
    ///
    /// # Errors
    /// [`fsio::Error::Exists`] when the place is taken, [`Error::Spec`], [`Error::Name`], [`Error::File`].
    pub fn create(final_path: &Path, spec: BagSpec, random: &'a dyn Random, clock: &dyn Clock) -> Result<Self, Error> {
        spec.validate()?;
        if final_path.symlink_metadata().is_ok() {
            return Err(fsio::Error::Exists { path: final_path.into() }.into());
        }
        let parent = match final_path.parent() {
            Some(p) if !p.as_os_str().is_empty() => p,
            _ => Path::new("."),
        };
        fsio::create_dir(parent)?;
        remove_stale(parent)?;
        let archive_id = match &spec.id {
            Some(id) => id.clone(),
            None => random_urn(random)?,
        };
        let work = Work::create(parent)?;
        Ok(Self::over(work, final_path, spec, archive_id, random, clock))
    }

    /// Goes on with an archive whose seal ended early: in the folder it left, under the URN it had. Of its content
    /// only the finished tables stay; each must be given to [`BagWriter::restore`]. Whatever happens, the folder is
    /// kept, until the archive is sealed or [`BagWriter::discard`] is called.
    ///
    /// # Errors
    /// As [`BagWriter::create`]; [`Error::Spec`] when the folder holds links or others may enter it.
    pub fn resume(
        folder: Abandoned,
        tables: &[StagedTable],
        final_path: &Path,
        spec: BagSpec,
        random: &'a dyn Random,
        clock: &dyn Clock,
    ) -> Result<Self, Error> {
        spec.validate()?;
        let Some(archive_id) = spec.id.clone() else {
            return Err(Error::Spec { problem: "an archive that goes on keeps its id".into() });
        };
        if final_path.symlink_metadata().is_ok() {
            return Err(fsio::Error::Exists { path: final_path.into() }.into());
        }
        let work = Work::reopen(folder, tables)?;
        Ok(Self::over(work, final_path, spec, archive_id, random, clock))
    }

    fn over(
        work: Work,
        final_path: &Path,
        spec: BagSpec,
        archive_id: String,
        random: &'a dyn Random,
        clock: &dyn Clock,
    ) -> Self {
        Self {
            final_path: final_path.into(),
            work,
            archive_id,
            created_at: clock.now(),
            random,
            seeds: std::sync::Mutex::default(),
            files: BTreeMap::new(),
            spec,
        }
    }

    /// The folder it is written in, until it is sealed.
    pub fn folder(&self) -> &Path {
        &self.work.dir
    }

    /// A finished table in the form that [`BagWriter::restore`] takes; its files are made durable first.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::Spec`] for a table of another archive.
    pub fn stage(&self, table: &TableSummary) -> Result<StagedTable, Error> {
        let seeds = self.seeds.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(seed) = seeds.get(&table.name) else {
            return Err(Error::Spec { problem: format!("table `{}` is not of this archive", table.name) });
        };
        let data = self.work.bag.join("data");
        let tables = data.join("tables");
        for dir in [&tables.join(&table.name), &tables, &data, &self.work.bag] {
            fsio::sync_dir(dir)?;
        }
        Ok(StagedTable::of(table, seed))
    }

    /// Takes over a table that an earlier process finished.
    ///
    /// # Errors
    /// [`Error::ReadBack`] when one of its files is not what that process wrote, [`Error::Spec`] when it cannot be
    /// one of this archive.
    pub fn restore(&self, spec: TableSpec, staged: &StagedTable) -> Result<TableSummary, Error> {
        let wrong = || Error::Spec { problem: format!("the kept table `{}` is not of this archive", staged.name) };
        spec.validate()?;
        if spec.name != staged.name {
            return Err(wrong());
        }
        let seed = Secret::new(BASE64.decode(staged.seed.as_bytes()).map_err(|_| wrong())?);
        let mut written = BTreeMap::new();
        for (index, part) in staged.parts.iter().enumerate() {
            if part.path != layout::part_path(&spec.name, index) {
                return Err(wrong());
            }
            written.insert(part.path.clone(), Written { digest: part.sha256, bytes: part.bytes });
        }
        files::read_back(&self.work.bag, &written, files::threads())?;
        let summary = TableSummary::restored(spec, staged, &self.work.bag);
        self.seeds.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(staged.name.clone(), seed);
        Ok(summary)
    }

    /// Leaves the folder when the writer is dropped, so that a later process can go on.
    pub fn keep(&self) {
        self.work.keep();
    }

    /// Removes everything written so far, kept or not, when the writer is dropped.
    pub fn discard(&self) {
        self.work.release();
    }

    /// URN of the archive.
    pub fn archive_id(&self) -> &str {
        &self.archive_id
    }

    /// When the archive says it was made.
    pub fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }

    /// Opens a table. Its salt seed is drawn now: for reproducible bytes, open tables in the same order.
    ///
    /// # Errors
    /// [`Error::Twice`], [`Error::Name`], [`Error::Limit`], [`Error::File`], [`Error::NoRandomness`].
    pub fn table(&self, spec: TableSpec) -> Result<TableWriter, Error> {
        let seed = Secret::random(self.random)?;
        let writer = TableWriter::new(self.work.bag.clone(), &self.archive_id, spec.clone(), &seed)?;
        self.seeds.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(spec.name, seed);
        Ok(writer)
    }

    /// Adds a payload file, e.g. `data/custody/custody.jsonl`.
    ///
    /// # Errors
    /// [`Error::Name`] for a path outside `data/` or one the writer fills itself, [`Error::Twice`], [`Error::File`].
    pub fn add_file(&mut self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        let own = ["data/tables/", "data/schema/", "data/blinding/", "data/docs/"];
        if !layout::is_path(path) || !path.starts_with("data/") || own.iter().any(|o| path.starts_with(o)) {
            return Err(Error::Name { name: path.into(), what: "path of a payload file" });
        }
        self.put(path, bytes)
    }

    fn put(&mut self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        if self.files.keys().any(|p| p.eq_ignore_ascii_case(path)) {
            return Err(Error::Twice { name: path.into() });
        }
        let written = files::write_new(&self.work.bag.join(path), bytes)?;
        self.files.insert(path.into(), written);
        Ok(())
    }

    /// Writes everything that describes the rows, signs, syncs, reads back and moves the archive into place.
    ///
    /// `observer` is called after every step; returning [`Interrupted`] stops the seal; nothing stands under the
    /// final name then.
    ///
    /// # Errors
    /// [`Error::Spec`] when a table is missing or the keys are equal, [`Error::ReadBack`], [`Error::File`],
    /// [`Error::Interrupted`]. Nothing stands under the final name after an error.
    pub fn seal(
        mut self,
        signers: Signers<'_>,
        mut tables: Vec<TableSummary>,
        closing: &Closing,
        observer: &mut dyn FnMut(Step) -> Result<(), Interrupted>,
    ) -> Result<Sealed, Error> {
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        self.check_complete(signers, &tables)?;
        self.write_documents(&mut tables)?;
        observer(Step::Documents)?;

        let octets: u64 = self.files.values().map(|w| w.bytes).sum();
        let file_count = self.files.len();
        let (digest, tag_files) = self.write_tag_files(signers, &tables, &closing.readme, octets)?;
        observer(Step::Manifests)?;

        let statement = self.statement(&tables, closing, digest, octets, file_count)?;
        let payload = json::canonical(&statement);
        let statement_hash = crypto::sha256(&payload);
        let envelope = Envelope::sign(payload, signers.statement);
        let mut all = tag_files;
        let name = format!("signatures/{}", layout::envelope_name(&envelope.key_id));
        all.insert(name.clone(), files::write_new(&self.work.bag.join(&name), &envelope.to_bytes())?);
        observer(Step::Statement)?;

        for table in &tables {
            let origin = layout::checkpoint_origin(&self.archive_id, &table.name);
            let note = checkpoint::sign(&origin, table.rows, &table.root.0, signers.checkpoint);
            let path = layout::checkpoint_path(&table.name);
            all.insert(path.clone(), files::write_new(&self.work.bag.join(&path), note.as_bytes())?);
        }
        observer(Step::Checkpoints)?;

        files::sync_tree(&self.work.bag)?;
        observer(Step::Synced)?;
        all.extend(self.files.iter().map(|(p, w)| (p.clone(), *w)));
        files::read_back(&self.work.bag, &all, files::threads())?;
        observer(Step::ReadBack)?;

        fsio::rename_new(&self.work.bag, &self.final_path)?;
        self.work.release();
        Ok(Sealed {
            path: self.final_path,
            digest,
            statement_hash,
            archive_id: self.archive_id,
            sequence: self.spec.sequence,
        })
    }

    fn check_complete(&self, signers: Signers<'_>, tables: &[TableSummary]) -> Result<(), Error> {
        if signers.statement.public() == signers.checkpoint.public() {
            return Err(Error::Spec { problem: "the checkpoint key must differ from the statement key".into() });
        }
        if tables.len() > TABLES_MAX {
            return Err(Error::Limit { what: "number of tables".into(), limit: TABLES_MAX as u64 });
        }
        let seeds = self.seeds.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let opened: Vec<&str> = seeds.keys().map(String::as_str).collect();
        let finished: Vec<&str> = tables.iter().map(|t| t.name.as_str()).collect();
        if opened != finished {
            return Err(Error::Spec {
                problem: "a table was opened but not finished, or is not of this archive".into(),
            });
        }
        for required in [layout::CUSTODY, layout::RECONCILIATION] {
            if !self.files.contains_key(required) {
                return Err(Error::Spec { problem: format!("`{required}` is missing") });
            }
        }
        Ok(())
    }

    fn write_documents(&mut self, tables: &mut [TableSummary]) -> Result<(), Error> {
        let salts: Map<String, Value> = {
            let seeds = self.seeds.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let entry = |seed: &Secret| json!({"alg": "HMAC-SHA-256", "seed": BASE64.encode(seed.expose())});
            seeds.iter().map(|(table, seed)| (table.clone(), entry(seed))).collect()
        };
        for table in tables {
            self.put(&layout::schema_path(&table.name), &table.schema.to_bytes())?;
            for (path, written) in table.files.drain(..) {
                self.files.insert(path, written);
            }
        }
        self.put(layout::SALTS, &json::canonical(&Value::Object(salts)))?;
        self.put(layout::DOCUMENT, super::FORMAT_DOCUMENT.as_bytes())?;
        if self.files.len() > FILES_MAX {
            return Err(Error::Limit { what: "number of files".into(), limit: FILES_MAX as u64 });
        }
        Ok(())
    }

    /// Writes the manifests and the other files beside `data/`; returns the archive digest and what was written.
    fn write_tag_files(
        &self,
        signers: Signers<'_>,
        tables: &[TableSummary],
        facts: &ReadmeFacts,
        octets: u64,
    ) -> Result<(Digest, BTreeMap<String, Written>), Error> {
        let created = spell(self.created_at);
        let (from, to) = (spell(self.spec.coverage.0), spell(self.spec.coverage.1));
        let key_id = signers.statement.public().key_id();
        let about = About {
            organisation: &self.spec.organisation,
            custodian: &self.spec.custodian,
            archive_id: &self.archive_id,
            stream: &self.spec.stream,
            sequence: self.spec.sequence,
            created: &created,
            from: &from,
            to: &to,
            zone: self.spec.zone.name(),
            is_draft: self.spec.is_draft,
            tables: tables.iter().map(|t| (t.name.as_str(), t.rows)).collect(),
            key_id: &key_id,
        };
        let date = created.split('T').next().unwrap_or_default();
        let bag_info =
            manifest::bag_info(&self.spec.organisation, &self.archive_id, date, octets, self.files.len() as u64);
        let digests: BTreeMap<String, Digest> = self.files.iter().map(|(p, w)| (p.clone(), w.digest)).collect();
        let mut tag_files = BTreeMap::new();
        for (name, text) in [
            (layout::README, readme::page(&about, facts)),
            (layout::BAG_INFO, bag_info),
            ("bagit.txt", layout::BAGIT_TXT.to_owned()),
            (layout::MANIFEST, manifest::write(digests.iter())),
        ] {
            tag_files.insert(name.to_owned(), files::write_new(&self.work.bag.join(name), text.as_bytes())?);
        }
        let digests: BTreeMap<String, Digest> = tag_files.iter().map(|(p, w)| (p.clone(), w.digest)).collect();
        let text = manifest::write(digests.iter());
        let written = files::write_new(&self.work.bag.join(layout::TAGMANIFEST), text.as_bytes())?;
        tag_files.insert(layout::TAGMANIFEST.to_owned(), written);
        Ok((written.digest, tag_files))
    }

    fn statement(
        &self,
        tables: &[TableSummary],
        closing: &Closing,
        tagmanifest: Digest,
        octets: u64,
        file_count: usize,
    ) -> Result<Value, Error> {
        let spec = &self.spec;
        let table = |t: &TableSummary| {
            json!({
                "name": t.name, "rows": t.rows, "leafEncoding": LEAF_ENCODING, "treeHash": TREE_HASH,
                "rootHash": t.root.to_string(), "checkpointOrigin": layout::checkpoint_origin(&self.archive_id, &t.name),
                "schema": {
                    "name": layout::schema_path(&t.name),
                    "digest": {"sha256": crypto::sha256(&t.schema.to_bytes()).to_string()},
                },
            })
        };
        let previous = spec
            .previous
            .as_ref()
            .map(|p| json!({"archiveId": p.archive_id, "statementSha256": p.statement_sha256.to_string()}));
        let mut predicate = spec.extra.clone();
        let own = json!({
            "formatVersion": super::FORMAT_VERSION,
            "critical": [],
            "archiveId": self.archive_id,
            "stream": spec.stream,
            "sequence": spec.sequence,
            "previous": previous,
            "draft": spec.is_draft,
            "createdAt": spell(self.created_at),
            "organisation": spec.organisation,
            "custodian": spec.custodian,
            "coverage": {
                "from": spell(spec.coverage.0), "to": spell(spec.coverage.1), "businessTimeZone": spec.zone.name(),
            },
            "payload": {"octets": octets, "files": file_count},
            "tables": tables.iter().map(table).collect::<Vec<_>>(),
            "pseudonymisation": spec.pseudonymisation,
            "producer": {
                "tool": spec.producer.tool, "version": spec.producer.version,
                "executableSha256": spec.producer.executable.map(|d| d.to_string()),
            },
            "keyring": {"version": spec.keyring.0, "sha256": spec.keyring.1.to_string()},
            "canonicalVersion": crate::schema::VERSION,
            "controlTotals": closing.control_totals,
        });
        if let Value::Object(own) = own {
            for (name, value) in own {
                if predicate.insert(name.clone(), value).is_some() {
                    return Err(Error::Twice { name });
                }
            }
        }
        let statement = json!({
            "_type": STATEMENT_TYPE,
            "subject": [{"name": layout::TAGMANIFEST, "digest": {"sha256": tagmanifest.to_string()}}],
            "predicateType": super::BAG_PREDICATE,
            "predicate": predicate,
        });
        // What we sign must be readable by our own strict reader: no float, no integer beyond 2^53.
        json::parse_object(&json::canonical(&statement)).map_err(|e| Error::Spec { problem: e.to_string() })?;
        Ok(statement)
    }
}

fn random_urn(random: &dyn Random) -> Result<String, Error> {
    let mut bytes = [0_u8; 16];
    random.fill(&mut bytes)?;
    // Version 4, variant 1 (RFC 9562).
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = HEXLOWER.encode(&bytes);
    Ok(format!("urn:uuid:{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}
