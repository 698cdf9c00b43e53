//! The folder in which a seal is under way: `.sealing-…/lock` and `.sealing-…/bag`, beside the final place.
//!
//! A live seal holds the lock. What a crash leaves behind is removed by the next seal, unless a file `state.json` says
//! how to go on with it: finished tables can then be taken over by a later [`super::BagWriter`]. The folder is private
//! to its owner, because leaf salts stand in `state.json` and its tables have not passed the leak gate yet.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::files::Written;
use super::layout::{SEALING_PREFIX, STAGING_STATE};
use super::table::TableSummary;
use crate::crypto::Secret;
use crate::fsio;
use crate::model::Digest;

const LOCK: &str = "lock";
const BAG: &str = "bag";

/// A finished table of an archive that is not sealed yet, in a form that outlives the process.
#[derive(Clone, Serialize, Deserialize)]
pub struct StagedTable {
    pub(super) name: String,
    pub(super) rows: u64,
    pub(super) root: Digest,
    pub(super) is_key_unique: bool,
    pub(super) is_in_key_order: bool,
    /// Seed of the leaf salts, base64; it enters the archive when that is sealed.
    pub(super) seed: String,
    pub(super) parts: Vec<StagedPart>,
}

/// One Parquet part of a [`StagedTable`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StagedPart {
    pub(super) path: String,
    pub(super) sha256: Digest,
    pub(super) bytes: u64,
}

impl std::fmt::Debug for StagedTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StagedTable").field("name", &self.name).field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl StagedTable {
    /// Name of the table.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of its rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn of(table: &TableSummary, seed: &Secret) -> Self {
        let part = |(path, written): &(String, Written)| StagedPart {
            path: path.clone(),
            sha256: written.digest,
            bytes: written.bytes,
        };
        Self {
            name: table.name.clone(),
            rows: table.rows,
            root: table.root,
            is_key_unique: table.is_key_unique,
            is_in_key_order: table.order == super::RowOrder::Key,
            seed: BASE64.encode(seed.expose()),
            parts: table.files.iter().map(part).collect(),
        }
    }
}

/// The folder of a live seal; dropping it removes everything, unless it is to be kept.
pub(super) struct Work {
    pub(super) dir: PathBuf,
    pub(super) bag: PathBuf,
    is_kept: AtomicBool,
    _lock: File,
}

impl Work {
    pub(super) fn create(parent: &Path) -> Result<Self, Error> {
        let io = |e| fsio::Error::io("create", parent, e);
        let dir = tempfile::Builder::new().prefix(SEALING_PREFIX).tempdir_in(parent).map_err(io)?;
        let lock = File::create_new(dir.path().join(LOCK)).map_err(io)?;
        lock.try_lock().map_err(|e| io(e.into()))?;
        let bag = dir.path().join(BAG);
        fs::create_dir(&bag).map_err(io)?;
        Ok(Self { dir: dir.keep(), bag, is_kept: AtomicBool::new(false), _lock: lock })
    }

    /// Takes over the folder of a seal that ended early, with nothing in it but its finished tables.
    ///
    /// # Errors
    /// [`Error::File`] when the folder is live again, is not there, or cannot be cleared of unfinished tables.
    pub(super) fn reopen(dir: &Path, tables: &[StagedTable]) -> Result<Self, Error> {
        let io = |e| fsio::Error::io("continue", dir, e);
        let lock = OpenOptions::new().read(true).write(true).open(dir.join(LOCK)).map_err(io)?;
        lock.try_lock().map_err(|e| io(e.into()))?;
        let bag = dir.join(BAG);
        let data = bag.join("data");
        let finished = data.join("tables");
        remove_all_but(&bag, &|name| name == "data")?;
        remove_all_but(&data, &|name| name == "tables")?;
        remove_all_but(&finished, &|name| tables.iter().any(|t| t.name == name))?;
        Ok(Self { dir: dir.into(), bag, is_kept: AtomicBool::new(false), _lock: lock })
    }

    /// Leaves the folder for a later process.
    pub(super) fn keep(&self) {
        self.is_kept.store(true, Ordering::Relaxed);
    }

    /// Lets the folder go after all: the archive stands.
    pub(super) fn release(&self) {
        self.is_kept.store(false, Ordering::Relaxed);
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if !self.is_kept.load(Ordering::Relaxed) {
            // What cannot be removed now is cleared by the next seal.
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

fn remove_all_but(dir: &Path, stays: &dyn Fn(&str) -> bool) -> Result<(), fsio::Error> {
    if !dir.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(dir).map_err(|e| fsio::Error::io("list", dir, e))? {
        let entry = entry.map_err(|e| fsio::Error::io("list", dir, e))?;
        if stays(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let path = entry.path();
        let is_dir = entry.file_type().map_err(|e| fsio::Error::io("list", dir, e))?.is_dir();
        let removed = if is_dir { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(|e| fsio::Error::io("remove", &path, e))?;
    }
    Ok(())
}

/// Folders of seals that no process works on any more.
fn abandoned(parent: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(parent) {
        Ok(entries) => entries,
        // Whoever creates the folder says what stands in its way.
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(found);
        }
        Err(e) => return Err(fsio::Error::io("list", parent, e).into()),
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with(SEALING_PREFIX) || !entry.file_type().is_ok_and(|t| t.is_dir()) {
            continue;
        }
        let dir = entry.path();
        match File::open(dir.join(LOCK)) {
            Ok(lock) => {
                if lock.try_lock().is_ok() {
                    found.push(dir);
                }
            }
            // A folder without a lock is either just being made or nearly removed: taken away only if it is empty.
            Err(_) => {
                let _ = fs::remove_dir(&dir);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Removes what crashed seals left in a folder; live ones hold their lock, and those that can be continued stay.
pub(super) fn remove_stale(parent: &Path) -> Result<(), Error> {
    for dir in abandoned(parent)?.into_iter().filter(|d| !d.join(STAGING_STATE).exists()) {
        discard(&dir)?;
    }
    Ok(())
}

/// Folders below `parent` of seals that ended early and left a `state.json`, in name order.
///
/// # Errors
/// [`Error::File`] when the folder cannot be listed.
pub fn interrupted(parent: &Path) -> Result<Vec<PathBuf>, Error> {
    Ok(abandoned(parent)?.into_iter().filter(|d| d.join(STAGING_STATE).exists()).collect())
}

/// Removes the folder of a seal that ended early.
///
/// # Errors
/// [`Error::File`].
pub fn discard(dir: &Path) -> Result<(), Error> {
    Ok(fs::remove_dir_all(dir).map_err(|e| fsio::Error::io("remove", dir, e))?)
}
