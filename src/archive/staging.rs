//! The folder in which a seal is under way: `.sealing-…/lock` and `.sealing-…/bag`, beside the final place.
//!
//! A live seal holds the lock. What a crash leaves behind is removed by the next seal, unless a file `state.json` says
//! how to go on with it: finished tables can then be taken over by a later [`super::BagWriter`]. The folder is private
//! to its owner (0700), because leaf salts stand in `state.json` and its tables have not passed the leak gate yet.
//! Whoever looks at an abandoned folder holds its lock until it is taken over or removed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::files::Written;
use super::layout::SEALING_PREFIX;
use super::table::TableSummary;
use crate::crypto::Secret;
use crate::fsio;
use crate::model::Digest;

/// In such a folder: how to go on with the seal.
pub const STAGING_STATE: &str = "state.json";
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
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(fs::Permissions::from_mode(0o700));
        }
        let dir = builder.prefix(SEALING_PREFIX).tempdir_in(parent).map_err(io)?;
        let lock = File::create_new(dir.path().join(LOCK)).map_err(io)?;
        lock.try_lock().map_err(|e| io(e.into()))?;
        let bag = dir.path().join(BAG);
        fs::create_dir(&bag).map_err(io)?;
        fsio::sync_dir(parent)?;
        Ok(Self { dir: dir.keep(), bag, is_kept: AtomicBool::new(false), _lock: lock })
    }

    /// Takes over the folder of a seal that ended early, with nothing in it but its finished tables. It is kept from
    /// now on: only who finds it useless removes it.
    ///
    /// # Errors
    /// [`Error::Spec`] when something in it is neither a file nor a folder, or others may enter it; [`Error::File`].
    pub(super) fn reopen(abandoned: Abandoned, tables: &[StagedTable]) -> Result<Self, Error> {
        abandoned.check()?;
        let Abandoned { dir, lock } = abandoned;
        let work = Self { bag: dir.join(BAG), dir, is_kept: AtomicBool::new(true), _lock: lock };
        let data = work.bag.join("data");
        let finished = data.join("tables");
        remove_all_but(&work.bag, &|name| name == "data")?;
        remove_all_but(&data, &|name| name == "tables")?;
        remove_all_but(&finished, &|name| tables.iter().any(|t| t.name == name))?;
        for table in tables {
            let parts: BTreeSet<&str> = table.parts.iter().filter_map(|p| p.path.rsplit('/').next()).collect();
            remove_all_but(&finished.join(&table.name), &|name| parts.contains(name))?;
        }
        Ok(work)
    }

    /// Leaves the folder for a later process.
    pub(super) fn keep(&self) {
        self.is_kept.store(true, Ordering::Relaxed);
    }

    /// Lets the folder go after all.
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

/// Refuses a folder that other users may have looked into or changed.
fn only_own(dir: &Path) -> Result<(), Error> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::symlink_metadata(dir).map_err(|e| fsio::Error::io("read", dir, e))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(Error::Spec { problem: "others may enter the folder of the interrupted seal".into() });
        }
    }
    Ok(())
}

/// Refuses links and other things through which a file outside the folder could be read, changed or sealed.
fn only_files(dir: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(dir).map_err(|e| fsio::Error::io("list", dir, e))? {
        let entry = entry.map_err(|e| fsio::Error::io("list", dir, e))?;
        let kind = entry.file_type().map_err(|e| fsio::Error::io("list", dir, e))?;
        if kind.is_dir() {
            only_files(&entry.path())?;
        } else if !kind.is_file() {
            return Err(Error::Spec {
                problem: format!(
                    "`{}` of the interrupted seal is no regular file",
                    entry.file_name().to_string_lossy()
                ),
            });
        }
    }
    Ok(())
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

/// The folder of a seal that no process works on any more; nobody else does as long as this value lives.
#[derive(Debug)]
pub struct Abandoned {
    dir: PathBuf,
    lock: File,
}

impl Abandoned {
    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.dir
    }

    /// Looks whether it holds only files and folders of its own, closed to other users.
    ///
    /// # Errors
    /// [`Error::Spec`] when not; [`Error::File`].
    pub fn check(&self) -> Result<(), Error> {
        only_own(&self.dir)?;
        only_files(&self.dir)
    }

    /// Whether it says how to go on.
    pub fn can_go_on(&self) -> bool {
        self.dir.join(STAGING_STATE).exists()
    }

    /// Removes it.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn discard(self) -> Result<(), Error> {
        Ok(fs::remove_dir_all(&self.dir).map_err(|e| fsio::Error::io("remove", &self.dir, e))?)
    }
}

/// What stands beside the archives of a folder.
#[derive(Debug, Default)]
pub struct Unfinished {
    /// Left by seals that ended early, in name order.
    pub abandoned: Vec<Abandoned>,
    /// Folders that some process works on right now.
    pub live: usize,
}

/// Looks for seals that are under way or ended early.
///
/// # Errors
/// [`Error::File`] when the folder cannot be listed.
pub fn unfinished(parent: &Path) -> Result<Unfinished, Error> {
    let mut found = Unfinished::default();
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
            Ok(lock) if lock.try_lock().is_ok() => found.abandoned.push(Abandoned { dir, lock }),
            Ok(_) => found.live += 1,
            // The lock is the first thing in a new folder: with a bag and without a lock, the folder is a ruin.
            Err(_) if dir.join(BAG).exists() => {
                let _ = fs::remove_dir_all(&dir);
            }
            // Just being made or nearly removed: taken away only if it is empty.
            Err(_) => {
                let _ = fs::remove_dir(&dir);
            }
        }
    }
    found.abandoned.sort_by(|a, b| a.dir.cmp(&b.dir));
    Ok(found)
}

/// Removes what crashed seals left in a folder; live ones hold their lock, and those that can be continued stay.
pub(super) fn remove_stale(parent: &Path) -> Result<(), Error> {
    for folder in unfinished(parent)?.abandoned.into_iter().filter(|f| !f.can_go_on()) {
        folder.discard()?;
    }
    Ok(())
}
