//! The files of a pack as bytes, and their digests.
//!
//! Files are taken as they are: nothing is normalised, so that anybody can recompute a digest with `find`, `sort`
//! and `sha256sum` (see `docs/policies.md`). Limits: [`FILES_MAX`] files of at most [`FILE_BYTES_MAX`] bytes.

use std::collections::BTreeMap;
use std::path::Path;

use include_dir::{Dir, include_dir};

use crate::config::document::LoadError;
use crate::config::{Problem, Problems};
use crate::crypto;
use crate::fsio;
use crate::model::Digest;

static SHIPPED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/policies");

/// Files in a pack, at most.
const FILES_MAX: usize = 20_000;
/// Bytes of one file, at most.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// All files of one pack by path from its folder, with `/` between parts.
#[derive(Debug, Clone)]
pub(super) struct FileSet {
    origin: String,
    files: BTreeMap<String, Vec<u8>>,
}

impl FileSet {
    /// The files of a shipped pack.
    pub(super) fn shipped(name: &str) -> Result<Self, Problems> {
        let origin = format!("policies/{name}");
        let Some(dir) = SHIPPED.get_dir(name) else {
            return Err(Problems::in_file(&origin, format!("no shipped pack is called `{name}`")));
        };
        let mut files = BTreeMap::new();
        let mut open = vec![dir];
        while let Some(dir) = open.pop() {
            open.extend(dir.dirs());
            for file in dir.files() {
                if let Ok(path) = file.path().strip_prefix(name) {
                    files.insert(path.to_string_lossy().replace('\\', "/"), file.contents().to_vec());
                }
            }
        }
        files.retain(|path, _| !path.split('/').any(|part| part.starts_with('.')));
        Ok(Self { origin, files })
    }

    /// The files of a pack on disk. Hidden files and symbolic links are left out.
    pub(super) fn load(dir: &Path) -> Result<Self, LoadError> {
        let mut files = BTreeMap::new();
        let mut open = vec![(dir.to_owned(), String::new())];
        while let Some((folder, prefix)) = open.pop() {
            let entries = std::fs::read_dir(&folder).map_err(|e| fsio::Error::io("open", &folder, e))?;
            for entry in entries {
                let entry = entry.map_err(|e| fsio::Error::io("read", &folder, e))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with('.') {
                    continue;
                }
                let kind = entry.file_type().map_err(|e| fsio::Error::io("read", entry.path(), e))?;
                let path = format!("{prefix}{name}");
                if kind.is_dir() {
                    open.push((entry.path(), format!("{path}/")));
                } else if kind.is_file() {
                    if files.len() == FILES_MAX {
                        return Err(Problems::in_file(
                            &dir.display().to_string(),
                            format!("more than {FILES_MAX} files; is this a policy pack?"),
                        )
                        .into());
                    }
                    files.insert(path, fsio::read_bounded(&entry.path(), FILE_BYTES_MAX)?);
                }
            }
        }
        Ok(Self { origin: dir.display().to_string(), files })
    }

    /// A file's name as shown to people.
    pub(super) fn shown(&self, path: &str) -> String {
        format!("{}/{path}", self.origin)
    }

    /// Bytes of a file.
    pub(super) fn get(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// Text of a file; a missing file or one that is not UTF-8 becomes a problem.
    pub(super) fn text(&self, path: &str, problems: &mut Vec<Problem>) -> Option<&str> {
        let Some(bytes) = self.files.get(path) else {
            problems.push(self.problem(path, "the file is missing"));
            return None;
        };
        // Wrong bytes are reported once, by `check_bytes`.
        std::str::from_utf8(bytes).ok()
    }

    /// A mistake that concerns a whole file.
    pub(super) fn problem(&self, path: &str, message: impl Into<String>) -> Problem {
        Problem { file: self.shown(path), line: 0, column: 0, message: message.into() }
    }

    /// Paths of all files, sorted.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Reports files whose bytes people could not recompute a digest of everywhere.
    pub(super) fn check_bytes(&self, problems: &mut Vec<Problem>) {
        for (path, bytes) in &self.files {
            if !path.is_ascii()
                || path.contains(|c: char| c.is_ascii_whitespace() || c == '\'' || c == '"' || c == '\\')
            {
                problems.push(self.problem(path, "the path must be ASCII without spaces or quotes"));
            }
            if !is_part_of_digest(path) {
                continue;
            }
            if std::str::from_utf8(bytes).is_err() {
                problems.push(self.problem(path, "not UTF-8 text"));
            } else if bytes.starts_with(&[0xef, 0xbb, 0xbf]) {
                problems.push(self.problem(path, "starts with a byte order mark; save as UTF-8 without BOM"));
            }
            if let Some(at) = bytes.iter().position(|b| *b == b'\r') {
                let line = bytes[..at].iter().filter(|b| **b == b'\n').count() + 1;
                problems.push(Problem {
                    file: self.shown(path),
                    line,
                    column: 1,
                    message: "lines must end with LF alone".into(),
                });
            }
        }
    }

    /// Pack digest version 1.
    pub(super) fn digest(&self) -> Digest {
        digest_of(
            self.files
                .iter()
                .filter(|(path, _)| is_part_of_digest(path))
                .map(|(path, bytes)| (path.as_str(), bytes.as_slice())),
        )
    }

    /// Policy digest: the same over `check.sql` and `policy.toml` of one folder.
    pub(super) fn policy_digest(&self, folder: &str) -> Digest {
        self.digest_within(folder, ["check.sql", "policy.toml"])
    }

    /// Digest of a derived dataset: the same over `derived.toml` and `query.sql` of one folder.
    pub(super) fn derived_digest(&self, folder: &str) -> Digest {
        self.digest_within(folder, ["derived.toml", "query.sql"])
    }

    fn digest_within(&self, folder: &str, parts: [&str; 2]) -> Digest {
        digest_of(parts.into_iter().filter_map(|name| Some((name, self.get(&format!("{folder}/{name}"))?))))
    }
}

fn is_part_of_digest(path: &str) -> bool {
    !path.ends_with(".sig") && path.rsplit('/').next() != Some("pack.lock")
}

/// SHA-256 over the lines that `sha256sum` prints for the files, in the given order.
fn digest_of<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> Digest {
    let mut lines: Vec<(String, String)> =
        files.map(|(path, bytes)| (format!("./{path}"), crypto::sha256(bytes).to_string())).collect();
    lines.sort();
    let mut hasher = crypto::Hasher::default();
    for (path, digest) in lines {
        hasher.update(format!("{digest}  {path}\n").as_bytes());
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest is what `find | sort | xargs sha256sum | sha256sum` prints, hidden files, locks and signatures left out.
    #[test]
    fn digest_equals_coreutils() {
        let dir = tempfile::tempdir().expect("dir");
        for (path, text) in [
            ("pack.toml", "a"),
            ("A/b.sql", "b"),
            ("A-c", "c"),
            ("pack.lock", "x"),
            ("z.sig", "x"),
            (".hidden", "x"),
            (".git/c", "x"),
        ] {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
            std::fs::write(path, text).expect("file");
        }
        let files = FileSet::load(dir.path()).expect("loads");
        let script = "find . -type f ! -name '*.sig' ! -name 'pack.lock' ! -path '*/.*' | LC_ALL=C sort | xargs sha256sum | sha256sum";
        let output =
            std::process::Command::new("sh").args(["-c", script]).current_dir(dir.path()).output().expect("runs");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).split(' ').next(),
            Some(files.digest().to_string().as_str())
        );
    }
}
