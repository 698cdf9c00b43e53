//! V1: which files there are, before anything is parsed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::codes::{Check, Code, fail};
use crate::archive::layout;
use crate::fsio;

/// What lies in the folder.
pub(super) struct Listing {
    /// Relative path to size.
    pub(super) files: BTreeMap<String, u64>,
    /// Whether it is laid out as an archive, rather than as a signed folder.
    pub(super) is_archive: bool,
}

impl Listing {
    /// Envelope files in name order, relative paths.
    pub(super) fn envelopes(&self) -> Vec<String> {
        let prefix = if self.is_archive { "signatures/" } else { "" };
        self.files
            .keys()
            .filter(|p| p.strip_prefix(prefix).is_some_and(|n| layout::envelope_k8(n).is_some()))
            .cloned()
            .collect()
    }
}

/// Lists the folder and checks names and kinds.
pub(super) fn scan(root: &Path) -> Check<Listing> {
    let meta = root.symlink_metadata().map_err(|e| fsio::Error::io("open", root, e))?;
    if !meta.is_dir() {
        return fail(Code::NotRegular, "the path is not a folder");
    }
    let mut files = BTreeMap::new();
    walk(root, "", 0, &mut files)?;
    let mut folded = BTreeSet::new();
    for path in files.keys() {
        // Folders count too: `A/x` and `a/y` are one folder on some systems.
        let lower = path.to_ascii_lowercase();
        if !folded.insert(lower) {
            return fail(Code::CaseCollision, format!("`{path}` differs from another path only in case"));
        }
    }
    check_folder_case(files.keys())?;
    let has_signatures = files.keys().any(|p| p.starts_with("signatures/"));
    let is_archive = files.contains_key("bagit.txt") || files.contains_key(layout::TAGMANIFEST) || has_signatures;
    if is_archive {
        check_archive(root, &files)?;
    }
    Ok(Listing { files, is_archive })
}

fn check_folder_case<'a>(paths: impl Iterator<Item = &'a String>) -> Check<()> {
    let mut folders: BTreeMap<String, String> = BTreeMap::new();
    for path in paths {
        let mut rest = path.as_str();
        while let Some((folder, _)) = rest.rsplit_once('/') {
            let spelled = folders.entry(folder.to_ascii_lowercase()).or_insert_with(|| folder.to_owned());
            if spelled != folder {
                return fail(Code::CaseCollision, format!("folders `{spelled}` and `{folder}` differ only in case"));
            }
            rest = folder;
        }
    }
    Ok(())
}

fn walk(dir: &Path, prefix: &str, depth: usize, files: &mut BTreeMap<String, u64>) -> Check<()> {
    if depth > layout::DEPTH_MAX {
        return fail(Code::Limit, format!("folders nest deeper than {}", layout::DEPTH_MAX));
    }
    let mut entry_count = 0_usize;
    for entry in fs::read_dir(dir).map_err(|e| fsio::Error::io("list", dir, e))? {
        let entry = entry.map_err(|e| fsio::Error::io("list", dir, e))?;
        entry_count += 1;
        let name = entry.file_name();
        let shown = name.to_string_lossy();
        let path = format!("{prefix}{shown}");
        let meta = entry.path().symlink_metadata().map_err(|e| fsio::Error::io("inspect", entry.path(), e))?;
        if !meta.is_dir() && !meta.is_file() {
            return fail(Code::NotRegular, format!("`{path}` is neither a file nor a folder"));
        }
        if name.to_str().is_none_or(|n| !layout::is_component(n)) || path.len() > layout::PATH_BYTES_MAX {
            return fail(Code::Name, format!("`{}` is not an allowed name", path.escape_debug()));
        }
        if meta.is_dir() {
            walk(&entry.path(), &format!("{path}/"), depth + 1, files)?;
        } else {
            if files.len() >= layout::FILES_MAX {
                return fail(Code::Limit, format!("more than {} files", layout::FILES_MAX));
            }
            files.insert(path, meta.len());
        }
    }
    if entry_count == 0 && depth > 0 {
        return fail(Code::Extra, format!("folder `{prefix}` is empty"));
    }
    Ok(())
}

fn check_archive(root: &Path, files: &BTreeMap<String, u64>) -> Check<()> {
    if files.contains_key("fetch.txt") {
        return fail(Code::Fetch, "`fetch.txt` is forbidden");
    }
    let exact = match files.get("bagit.txt") {
        Some(bytes) if *bytes == layout::BAGIT_TXT.len() as u64 => {
            fsio::read_bounded(&root.join("bagit.txt"), 1_024)? == layout::BAGIT_TXT.as_bytes()
        }
        _ => false,
    };
    if !exact {
        return fail(Code::BagitTxt, "`bagit.txt` is missing or not exactly the two lines of BagIt 1.0");
    }
    const ROOT: [&str; 7] = [
        layout::README,
        layout::BAG_INFO,
        "bagit.txt",
        layout::MANIFEST,
        "manifest-sm3.txt",
        layout::TAGMANIFEST,
        "tagmanifest-sm3.txt",
    ];
    for path in files.keys() {
        let allowed = ROOT.contains(&path.as_str())
            || path.starts_with("data/")
            || path.strip_prefix("signatures/").is_some_and(layout::is_signature_file);
        if !allowed {
            return fail(Code::Extra, format!("`{path}` does not belong into an archive"));
        }
    }
    Ok(())
}
