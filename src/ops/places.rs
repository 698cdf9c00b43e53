//! Where things of a case lie: keys, keyring, output, the newest archive and assessment.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Env, Error};
use crate::archive::Archive;
use crate::config::Case;
use crate::fsio;

/// Folder of keys: the environment's, else the case's.
pub(super) fn secrets(env: &Env, case: &Case) -> PathBuf {
    env.secrets.clone().unwrap_or_else(|| case.secrets.clone())
}

/// The case's keyring file.
pub(super) fn keyring(case: &Case) -> PathBuf {
    case.dir.join("keyring/keyring.json")
}

/// Folder of everything written about the case.
pub(super) fn out(case: &Case) -> PathBuf {
    case.dir.join("out")
}

/// Folder of archives.
pub(super) fn archives(case: &Case) -> PathBuf {
    out(case).join("archives")
}

/// The newest sealed archive of the case: real ones before drafts, then the highest sequence.
pub(super) fn newest_archive(case: &Case) -> Result<PathBuf, Error> {
    let mut found: Vec<(bool, u64, PathBuf)> = Vec::new();
    for path in folders(&archives(case))? {
        // What cannot be opened is not an archive of ours; `verify` says why when it is named.
        if let Ok(archive) = Archive::open(&path) {
            let statement = archive.statement();
            found.push((!statement.stream.ends_with(".draft"), statement.sequence, path));
        }
    }
    found.sort();
    found.pop().map(|(_, _, path)| path).ok_or_else(|| {
        Error::usage(
            format!("the case `{}` has no sealed archive", case.dir.display()),
            format!("请先运行 `sealport seal {}`。", case.dir.display()),
            format!("run `sealport seal {}` first", case.dir.display()),
        )
    })
}

/// Folders below `dir`, in name order, temporary ones left out; none when `dir` does not exist.
pub(super) fn folders(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let mut list: Vec<PathBuf> = fs::read_dir(dir)
        .map_err(|e| fsio::Error::io("list", dir, e))?
        .flatten()
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()) && !e.file_name().to_string_lossy().starts_with('.'))
        .map(|e| e.path())
        .collect();
    list.sort();
    Ok(list)
}

/// The name of a folder or file, without its path.
pub(super) fn name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}
