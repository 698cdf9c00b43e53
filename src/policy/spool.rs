//! Findings on their way to the sink: in memory while they are few, in a temporary file when they are many.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use crate::finding::Finding;
use crate::fsio;

/// Findings of one policy kept in memory.
const IN_MEMORY_MAX: usize = 1_000;

/// An ordered store of findings.
#[derive(Debug)]
pub(super) struct Spool {
    dir: PathBuf,
    head: Vec<Finding>,
    tail: Option<BufWriter<File>>,
}

impl Spool {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), head: Vec::new(), tail: None }
    }

    pub(super) fn push(&mut self, finding: Finding) -> Result<(), fsio::Error> {
        if self.head.len() < IN_MEMORY_MAX {
            self.head.push(finding);
            return Ok(());
        }
        let io = |e: std::io::Error| fsio::Error::io("write", &self.dir, e);
        let tail = match &mut self.tail {
            Some(tail) => tail,
            slot => slot.insert(BufWriter::new(tempfile::tempfile_in(&self.dir).map_err(io)?)),
        };
        serde_json::to_writer(&mut *tail, &finding).map_err(|e| io(e.into()))?;
        tail.write_all(b"\n").map_err(io)
    }

    /// Hands every finding on, in order.
    pub(super) fn drain<E: From<fsio::Error>>(self, mut sink: impl FnMut(Finding) -> Result<(), E>) -> Result<(), E> {
        for finding in self.head {
            sink(finding)?;
        }
        let Some(tail) = self.tail else { return Ok(()) };
        let io = |e: std::io::Error| fsio::Error::io("read", &self.dir, e);
        let mut file = tail.into_inner().map_err(|e| io(e.into_error()))?;
        file.rewind().map_err(io)?;
        for line in BufReader::new(file).lines() {
            let finding = serde_json::from_str(&line.map_err(io)?).map_err(|e| io(e.into()))?;
            sink(finding)?;
        }
        Ok(())
    }
}
