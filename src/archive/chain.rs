//! `chain.json`: the last archive of each stream, kept in the case outside `out/`, so that every archive names its
//! predecessor. Drafts run in a stream of their own and never touch the real one.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::bag::Sealed;
use super::error::Error;
use super::json::{self, Members};
use crate::fsio;
use crate::model::Digest;

const BYTES_MAX: u64 = 1 << 20;

/// The archive before this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previous {
    /// Its URN.
    pub archive_id: String,
    /// SHA-256 of its statement payload.
    pub statement_sha256: Digest,
}

#[derive(Debug, Clone)]
struct Head {
    sequence: u64,
    last: Previous,
}

/// The heads of all streams of a case.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    heads: BTreeMap<String, Head>,
}

impl Chain {
    /// Name of the stream for drafts.
    pub fn draft_stream(stream: &str) -> String {
        format!("{stream}.draft")
    }

    /// Reads the file; a missing file is an empty chain.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Malformed`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        if path.symlink_metadata().is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound) {
            return Ok(Self::default());
        }
        let bytes = fsio::read_bounded(path, BYTES_MAX)?;
        Self::from_bytes(&bytes).map_err(|problem| Error::Malformed { path: path.into(), problem })
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let m = json::parse_object(bytes.trim_ascii_end()).map_err(|e| e.to_string())?;
        let mut heads = BTreeMap::new();
        for (stream, head) in m.object("streams")? {
            let head = head.as_object().ok_or("a stream is not an object")?;
            let last = Previous {
                archive_id: head.text("archiveId")?.into(),
                statement_sha256: head
                    .text("statementSha256")?
                    .parse()
                    .map_err(|_| "`statementSha256` is not a digest")?,
            };
            heads.insert(stream.clone(), Head { sequence: head.integer("sequence")?, last });
        }
        Ok(Self { heads })
    }

    /// Number and predecessor of the next archive of a stream.
    pub fn next(&self, stream: &str) -> (u64, Option<Previous>) {
        match self.heads.get(stream) {
            None => (1, None),
            Some(head) => (head.sequence + 1, Some(head.last.clone())),
        }
    }

    /// Takes a sealed archive as the new head of its stream.
    ///
    /// # Errors
    /// [`Error::ChainBroken`] when its number is not the next one.
    pub fn record(&mut self, stream: &str, sealed: &Sealed) -> Result<(), Error> {
        let (next, _) = self.next(stream);
        if sealed.sequence != next {
            return Err(Error::ChainBroken { stream: stream.into(), head: next - 1, offered: sealed.sequence });
        }
        let last = Previous { archive_id: sealed.archive_id.clone(), statement_sha256: sealed.statement_hash };
        self.heads.insert(stream.into(), Head { sequence: sealed.sequence, last });
        Ok(())
    }

    /// Writes the file atomically.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let streams: Map<String, Value> = self
            .heads
            .iter()
            .map(|(stream, head)| {
                let value = json!({
                    "sequence": head.sequence, "archiveId": head.last.archive_id,
                    "statementSha256": head.last.statement_sha256.to_string(),
                });
                (stream.clone(), value)
            })
            .collect();
        let mut bytes = json::canonical(&json!({"chainFormat": 1, "streams": streams}));
        bytes.push(b'\n');
        Ok(fsio::write_atomic(path, &bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(sequence: u64) -> Sealed {
        Sealed {
            path: "x".into(),
            digest: Digest([1; 32]),
            statement_hash: Digest([sequence as u8; 32]),
            archive_id: "urn:uuid:x".into(),
            sequence,
        }
    }

    /// Numbers run without gaps per stream, and drafts do not touch the real stream.
    #[test]
    fn heads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chain.json");
        let mut chain = Chain::load(&path).unwrap();
        assert_eq!(chain.next("shop"), (1, None));
        chain.record("shop", &sealed(1)).unwrap();
        chain.record(&Chain::draft_stream("shop"), &sealed(1)).unwrap();
        assert!(matches!(chain.record("shop", &sealed(3)), Err(Error::ChainBroken { head: 1, offered: 3, .. })));
        chain.record("shop", &sealed(2)).unwrap();
        chain.save(&path).unwrap();
        let (next, previous) = Chain::load(&path).unwrap().next("shop");
        assert_eq!((next, previous.unwrap().statement_sha256), (3, Digest([2; 32])));
        std::fs::write(&path, "{}").unwrap();
        assert!(matches!(Chain::load(&path), Err(Error::Malformed { .. })));
    }
}
