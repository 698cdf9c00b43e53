//! Lines that are appended to a file beside the archive under construction, and read again later.
//!
//! A mark says how much of a spool is certain, by length and digest. Who opens a spool at a mark finds exactly that, or
//! an error; what stands behind the mark is of a table that was not finished and goes.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::crypto::Hasher;
use crate::fsio;
use crate::model::Digest;
use crate::ops::Error;

/// How much of a spool is certain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    bytes: u64,
    sha256: Digest,
}

impl Mark {
    /// That of an empty spool.
    pub(super) fn nothing() -> Self {
        Self { bytes: 0, sha256: Hasher::default().finish() }
    }
}

/// The file.
pub(super) struct Spool {
    path: PathBuf,
    out: BufWriter<File>,
    bytes: u64,
    hasher: Hasher,
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spool").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Spool {
    /// An empty spool.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub(super) fn create(folder: &Path, name: &str) -> Result<Self, Error> {
        let path = folder.join(name);
        let file = File::create_new(&path).map_err(|e| fsio::Error::io("create", &path, e))?;
        Ok(Self { path, out: BufWriter::new(file), bytes: 0, hasher: Hasher::default() })
    }

    /// A spool that an earlier process left; `None` when it does not begin with what that process marked.
    ///
    /// # Errors
    /// When the file cannot be read or cut.
    pub(super) fn open(folder: &Path, name: &str, mark: &Mark) -> Result<Option<Self>, Error> {
        let path = folder.join(name);
        let io = |e| fsio::Error::io("continue", &path, e);
        let mut file = match OpenOptions::new().read(true).append(true).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(io(e).into()),
        };
        let (mut hasher, mut left) = (Hasher::default(), mark.bytes);
        let mut buffer = vec![0_u8; 1 << 16];
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let n = file.read(&mut buffer[..wanted]).map_err(io)?;
            if n == 0 {
                return Ok(None);
            }
            hasher.update(&buffer[..n]);
            left -= n as u64;
        }
        if hasher.clone().finish() != mark.sha256 {
            return Ok(None);
        }
        file.set_len(mark.bytes).map_err(io)?;
        Ok(Some(Self { path, out: BufWriter::new(file), bytes: mark.bytes, hasher }))
    }

    /// Appends a value as one line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn push(&mut self, value: &impl Serialize) -> Result<(), Error> {
        let mut line =
            serde_json::to_vec(value).map_err(|_| Error::Worker { doing: "writing down what is finished" })?;
        line.push(b'\n');
        self.out.write_all(&line).map_err(|e| fsio::Error::io("write", &self.path, e))?;
        self.hasher.update(&line);
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// Makes everything so far durable.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn mark(&mut self) -> Result<Mark, Error> {
        let io = |e| fsio::Error::io("write", &self.path, e);
        self.out.flush().map_err(io)?;
        self.out.get_ref().sync_data().map_err(io)?;
        Ok(Mark { bytes: self.bytes, sha256: self.hasher.clone().finish() })
    }

    /// All values, in order.
    ///
    /// # Errors
    /// When the file cannot be written to its end or read.
    pub(super) fn values<T: DeserializeOwned>(
        &mut self,
    ) -> Result<impl Iterator<Item = Result<T, Error>> + use<T>, Error> {
        self.mark()?;
        let path = self.path.clone();
        let file = File::open(&path).map_err(|e| fsio::Error::io("read", &path, e))?;
        Ok(BufReader::new(file).lines().map(move |line| {
            let line = line.map_err(|e| fsio::Error::io("read", &path, e))?;
            serde_json::from_str(&line).map_err(|_| Error::Worker { doing: "reading what was written down" })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands behind the mark belongs to a table that will be read again; what stands before it must be the same.
    #[test]
    fn a_spool_goes_on_at_its_mark() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::create(dir.path(), "x.jsonl").unwrap();
        spool.push(&"one").unwrap();
        let mark = spool.mark().unwrap();
        spool.push(&"two").unwrap();
        spool.mark().unwrap();
        drop(spool);
        let mut spool = Spool::open(dir.path(), "x.jsonl", &mark).unwrap().expect("its beginning is certain");
        spool.push(&"three").unwrap();
        let all: Vec<String> = spool.values().unwrap().map(Result::unwrap).collect();
        assert_eq!(all, ["one", "three"]);
        let end = spool.mark().unwrap();
        drop(spool);
        let path = dir.path().join("x.jsonl");
        let text = std::fs::read_to_string(&path).unwrap();
        for other in [text.replace("one", "ONE"), text[..5].to_owned(), String::new()] {
            std::fs::write(&path, other).unwrap();
            assert!(Spool::open(dir.path(), "x.jsonl", &end).unwrap().is_none());
        }
        std::fs::remove_file(&path).unwrap();
        assert!(Spool::open(dir.path(), "x.jsonl", &end).unwrap().is_none());
    }
}
