//! Writes an assessment: everything a check found and everything it rested on, in one signed folder.
//!
//! `assessment.json`, `findings.csv`, `findings.parquet`, `inputs/` (policy texts, laws, schedule, profile, waivers,
//! attestations), `manifest-sha256.txt`, `statement.<k8>.dsse.json`. Written under a temporary name and renamed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Env, Error, keys, places, report::free_name};
use crate::archive::{FolderKind, seal_folder};
use crate::config::Case;
use crate::crypto;
use crate::finding::Assessment;
use crate::fsio;
use crate::policy::{FindingFiles, Pack};

/// The temporary folder of an assessment.
pub(super) struct Writer {
    dir: PathBuf,
    final_path: Option<PathBuf>,
    work: Option<tempfile::TempDir>,
}

impl Writer {
    /// For a case, a temporary folder beside the final place; for a bare archive, `scratch`.
    pub(super) fn create(case: Option<&Case>, archive: &Path, scratch: &Path) -> Result<Self, Error> {
        let Some(case) = case else {
            return Self { dir: scratch.join("assessment"), final_path: None, work: None }.made();
        };
        let parent = places::out(case).join("assessments");
        fsio::create_dir(&parent)?;
        let work = tempfile::Builder::new()
            .prefix(".assessing-")
            .tempdir_in(&parent)
            .map_err(|e| fsio::Error::io("create", &parent, e))?;
        let final_path = Some(free_name(&parent, &places::name(archive)));
        Self { dir: work.path().join("assessment"), final_path, work: Some(work) }.made()
    }

    fn made(self) -> Result<Self, Error> {
        fsio::create_dir(&self.dir)?;
        Ok(self)
    }

    /// Where the findings go while policies run.
    pub(super) fn sink(&self) -> Result<FindingFiles, Error> {
        Ok(FindingFiles::create(&self.dir)?)
    }

    /// Completes, signs and moves the folder into place; `None` for a bare archive.
    pub(super) fn finish(
        self,
        env: &Env,
        case: Option<&Case>,
        sink: FindingFiles,
        assessment: &mut Assessment,
        pack: &Pack,
        files: &[(&str, &PathBuf)],
    ) -> Result<Option<PathBuf>, Error> {
        sink.finish()?;
        let (Some(case), Some(final_path)) = (case, self.final_path) else { return Ok(None) };
        let mut inputs = BTreeMap::new();
        for (name, bytes) in pack.files() {
            let name = format!("inputs/pack/{name}");
            fsio::write_atomic(&self.dir.join(&name), bytes)?;
            inputs.insert(name, crypto::sha256(bytes));
        }
        for (name, path) in files.iter().filter(|(_, path)| path.exists()) {
            let bytes = fsio::read_bounded(path, 16 << 20)?;
            let name = format!("inputs/{name}");
            fsio::write_atomic(&self.dir.join(&name), &bytes)?;
            inputs.insert(name, crypto::sha256(&bytes));
        }
        assessment.inputs = inputs;
        let text = serde_json::to_string_pretty(assessment).unwrap_or_default() + "\n";
        fsio::write_atomic(&self.dir.join("assessment.json"), text.as_bytes())?;
        let signing = keys::signing(&places::secrets(env, case))?;
        let predicate = json!({
            "archive": { "id": assessment.archive_id, "digest": assessment.archive_digest, "statementHash": assessment.statement_hash },
            "pack": { "name": assessment.pack, "digest": assessment.pack_digest },
            "run": {
                "asOf": assessment.as_of, "window": { "from": assessment.window.0, "to": assessment.window.1 },
                "decidedOn": assessment.decided_on, "zone": assessment.zone, "sets": assessment.sets,
            },
            "summary": assessment.summary,
        });
        seal_folder(&self.dir, FolderKind::Assessment, predicate, &signing.producer, env.clock.as_ref())?;
        fsio::rename_new(&self.dir, &final_path)?;
        drop(self.work);
        Ok(Some(final_path))
    }
}
