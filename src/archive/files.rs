//! Files of a folder that is being sealed: written with their digest, synced, read back.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::error::Error;
use crate::crypto::{self, Hasher};
use crate::fsio;
use crate::model::Digest;

/// Digest and size of a written file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
}

/// A new file whose digest is taken while it is written.
pub(crate) struct HashingFile {
    file: File,
    hasher: Hasher,
    bytes: u64,
    failure: Failure,
}

/// The system error that stopped a file, kept because writers above it may reduce it to a text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failure(Arc<OnceLock<i32>>);

impl Failure {
    /// The error, if the system gave one.
    pub(crate) fn error(&self) -> Option<io::Error> {
        self.0.get().map(|code| io::Error::from_raw_os_error(*code))
    }

    fn keep(&self, error: io::Error) -> io::Error {
        if let Some(code) = error.raw_os_error() {
            // Only the first one matters; later ones follow from it.
            let _ = self.0.set(code);
        }
        error
    }
}

impl HashingFile {
    pub(crate) fn create(path: &Path) -> Result<Self, fsio::Error> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|e| fsio::Error::io("create", path, e))?;
        Ok(Self { file, hasher: Hasher::default(), bytes: 0, failure: Failure::default() })
    }

    /// What the system said when a write failed; outlives the file.
    pub(crate) fn failure(&self) -> Failure {
        self.failure.clone()
    }

    /// Makes the file durable.
    pub(crate) fn finish(self, path: &Path) -> Result<Written, fsio::Error> {
        self.file.sync_all().map_err(|e| fsio::Error::io("sync", path, e))?;
        Ok(Written { digest: self.hasher.finish(), bytes: self.bytes })
    }
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes).map_err(|e| self.failure.keep(e))?;
        self.hasher.update(&bytes[..n]);
        self.bytes += n as u64;
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes a whole new file and syncs it; parents are created.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<Written, fsio::Error> {
    if let Some(parent) = path.parent() {
        fsio::create_dir(parent)?;
    }
    let mut file = HashingFile::create(path)?;
    file.write_all(bytes).map_err(|e| fsio::Error::io("write", path, e))?;
    file.finish(path)
}

/// Syncs a folder and everything below it that is a folder.
pub(crate) fn sync_tree(dir: &Path) -> Result<(), fsio::Error> {
    for entry in fs::read_dir(dir).map_err(|e| fsio::Error::io("list", dir, e))? {
        let entry = entry.map_err(|e| fsio::Error::io("list", dir, e))?;
        if entry.file_type().map_err(|e| fsio::Error::io("list", dir, e))?.is_dir() {
            sync_tree(&entry.path())?;
        }
    }
    fsio::sync_dir(dir)
}

/// Reads every file from disk again and compares digest and size, several files at a time.
pub(crate) fn read_back(root: &Path, files: &BTreeMap<String, Written>, threads: usize) -> Result<(), Error> {
    let list: Vec<(PathBuf, Written)> = files.iter().map(|(p, w)| (root.join(p), *w)).collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), Error> {
        while let Some((path, written)) = list.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (digest, bytes) = crypto::sha256_file(path)?;
            if (Written { digest, bytes }) != *written {
                return Err(Error::ReadBack { path: path.clone() });
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.clamp(1, 8)).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().unwrap_or_else(|_| Err(Error::ReadBack { path: root.into() }))?;
        }
        Ok(())
    })
}

/// How many threads to use for hashing.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(8)
}
