//! `out/journal.jsonl`: a hash-chained record of every command run on the case.
//!
//! One JSON object per line: `at` (RFC 3339 UTC), `command`, `exit` (code), `facts` (digests, counts, the reason of
//! a look-up; never a personal value), `previous` (SHA-256 of the previous line's bytes without its line feed, 64
//! zeros for the first). Changing or removing a line in the middle breaks the chain.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::clock::Clock;
use crate::crypto;
use crate::fsio;

const JOURNAL_BYTES_MAX: u64 = 1 << 30;

/// Appends an entry and makes it durable.
///
/// # Errors
/// When the journal cannot be read or written.
pub fn append(out: &Path, clock: &dyn Clock, command: &str, exit_code: u8, facts: Value) -> Result<(), fsio::Error> {
    fsio::create_dir(out)?;
    let path = out.join("journal.jsonl");
    let previous = match path.exists() {
        true => {
            let text = fsio::read_text(&path, JOURNAL_BYTES_MAX)?;
            text.lines().last().map(|line| crypto::sha256(line.as_bytes()).to_string())
        }
        false => None,
    };
    let entry = json!({
        "at": clock.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        "command": command,
        "exit": exit_code,
        "facts": facts,
        "previous": previous.unwrap_or_else(|| "0".repeat(64)),
    });
    let mut file =
        OpenOptions::new().create(true).append(true).open(&path).map_err(|e| fsio::Error::io("open", &path, e))?;
    file.write_all(format!("{entry}\n").as_bytes()).map_err(|e| fsio::Error::io("write", &path, e))?;
    file.sync_all().map_err(|e| fsio::Error::io("sync", &path, e))
}

/// The line number (from 1) at which the chain breaks; `None` when it holds.
///
/// # Errors
/// When the journal cannot be read.
pub fn first_break(out: &Path) -> Result<Option<usize>, fsio::Error> {
    let text = fsio::read_text(&out.join("journal.jsonl"), JOURNAL_BYTES_MAX)?;
    let mut previous = "0".repeat(64);
    for (index, line) in text.lines().enumerate() {
        let stated = serde_json::from_str::<Value>(line).ok().and_then(|v| v["previous"].as_str().map(str::to_owned));
        if stated.as_deref() != Some(previous.as_str()) {
            return Ok(Some(index + 1));
        }
        previous = crypto::sha256(line.as_bytes()).to_string();
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::FixedClock;

    /// An edited line is noticed at the line after it; an untouched journal holds.
    #[test]
    fn an_edit_breaks_the_chain() {
        let dir = tempfile::tempdir().unwrap();
        let clock = FixedClock(chrono::DateTime::UNIX_EPOCH);
        for n in 0..3 {
            append(dir.path(), &clock, "seal", 0, json!({ "n": n })).unwrap();
        }
        assert_eq!(first_break(dir.path()).unwrap(), None);
        let path = dir.path().join("journal.jsonl");
        let text = std::fs::read_to_string(&path).unwrap().replace("\"n\":1", "\"n\":7");
        std::fs::write(&path, text).unwrap();
        assert_eq!(first_break(dir.path()).unwrap(), Some(3));
    }
}
