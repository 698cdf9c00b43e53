//! Signed folders: assessments and reports. A folder of files, a manifest of them, and one statement about the manifest.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::dsse::Envelope;
use super::error::Error;
use super::files::{self, Written};
use super::json;
use super::keyring::spell;
use super::layout;
use super::manifest;
use super::statement::STATEMENT_TYPE;
use crate::clock::Clock;
use crate::crypto::{self, SigningKey};
use crate::fsio;
use crate::model::Digest;

/// What a signed folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderKind {
    /// An evidence bag.
    Archive,
    /// Findings of a check.
    Assessment,
    /// Documents of a report.
    Report,
}

impl FolderKind {
    /// Predicate type of its statement.
    pub fn predicate_type(self) -> &'static str {
        match self {
            Self::Archive => super::BAG_PREDICATE,
            Self::Assessment => super::ASSESSMENT_PREDICATE,
            Self::Report => super::REPORT_PREDICATE,
        }
    }

    pub(crate) fn from_predicate_type(ty: &str) -> Option<Self> {
        [Self::Archive, Self::Assessment, Self::Report].into_iter().find(|k| k.predicate_type() == ty)
    }

    /// Word used in messages and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Assessment => "assessment",
            Self::Report => "report",
        }
    }
}

/// A signed assessment or report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedFolder {
    /// Where it stands.
    pub path: PathBuf,
    /// SHA-256 of `manifest-sha256.txt`.
    pub digest: Digest,
    /// SHA-256 of the statement payload.
    pub statement_hash: Digest,
    /// The envelope's file name.
    pub envelope: String,
}

/// Signs a folder whose files are complete: writes the manifest, then the statement.
///
/// `predicate` (an object) names what the folder rests on: archive and statement digests, pack digest, run record.
/// Its members `formatVersion`, `critical` and `createdAt` are set here. The statement is written last and
/// atomically, so a crash leaves a folder that nobody can mistake for a signed one.
///
/// # Errors
/// [`Error::Spec`] for kind `Archive` or a predicate that is no object, [`Error::Name`] for a file that may not stand
/// in a signed folder, [`fsio::Error::Exists`] when it was signed before, [`Error::File`], [`Error::ReadBack`].
pub fn seal_folder(
    dir: &Path,
    kind: FolderKind,
    predicate: Value,
    signer: &SigningKey,
    clock: &dyn Clock,
) -> Result<SealedFolder, Error> {
    let Value::Object(mut predicate) = predicate else {
        return Err(Error::Spec { problem: "the predicate is not an object".into() });
    };
    if kind == FolderKind::Archive {
        return Err(Error::Spec { problem: "an archive is sealed by its writer".into() });
    }
    for (name, value) in [
        ("formatVersion", json!(super::FORMAT_VERSION)),
        ("critical", json!([])),
        ("createdAt", json!(spell(clock.now()))),
    ] {
        predicate.insert(name.into(), value);
    }
    let mut found = BTreeMap::new();
    collect(dir, "", &mut found)?;
    if found.is_empty() {
        return Err(Error::Spec { problem: "the folder is empty".into() });
    }
    let digests: BTreeMap<String, Digest> = found.iter().map(|(p, w)| (p.clone(), w.digest)).collect();
    let manifest_path = dir.join(layout::MANIFEST);
    let written = files::write_new(&manifest_path, manifest::write(digests.iter()).as_bytes())?;
    found.insert(layout::MANIFEST.into(), written);
    files::sync_tree(dir)?;
    files::read_back(dir, &found, files::threads())?;
    let payload = json::canonical(&statement(kind, predicate, written.digest));
    json::parse_object(&payload).map_err(|e| Error::Spec { problem: e.to_string() })?;
    let statement_hash = crypto::sha256(&payload);
    let envelope = Envelope::sign(payload, signer);
    let name = layout::envelope_name(&envelope.key_id);
    fsio::write_atomic(&dir.join(&name), &envelope.to_bytes())?;
    Ok(SealedFolder { path: dir.into(), digest: written.digest, statement_hash, envelope: name })
}

fn statement(kind: FolderKind, predicate: Map<String, Value>, manifest: Digest) -> Value {
    json!({
        "_type": STATEMENT_TYPE,
        "subject": [{"name": layout::MANIFEST, "digest": {"sha256": manifest.to_string()}}],
        "predicateType": kind.predicate_type(),
        "predicate": predicate,
    })
}

/// Digests of all files below a folder; links, odd names and earlier signatures are refused.
fn collect(dir: &Path, prefix: &str, found: &mut BTreeMap<String, Written>) -> Result<(), Error> {
    for entry in fs::read_dir(dir).map_err(|e| fsio::Error::io("list", dir, e))? {
        let entry = entry.map_err(|e| fsio::Error::io("list", dir, e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if prefix.is_empty() && (name == layout::MANIFEST || layout::envelope_k8(&name).is_some()) {
            return Err(fsio::Error::Exists { path: entry.path() }.into());
        }
        let ty = entry.file_type().map_err(|e| fsio::Error::io("inspect", entry.path(), e))?;
        if !layout::is_path(&path) || found.len() >= layout::FILES_MAX {
            return Err(Error::Name { name: path, what: "file name in a signed folder" });
        }
        if ty.is_dir() {
            collect(&entry.path(), &format!("{path}/"), found)?;
        } else if ty.is_file() {
            let (digest, bytes) = crypto::sha256_file(&entry.path())?;
            found.insert(path, Written { digest, bytes });
        } else {
            return Err(Error::Name { name: path, what: "regular file" });
        }
    }
    Ok(())
}
