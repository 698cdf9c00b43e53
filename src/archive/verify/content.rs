//! V5: from the signed subject down to every byte: tag manifest, manifests, files, and no file besides.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::codes::{Check, Code, Failure, fail};
use super::structure::Listing;
use crate::archive::files;
use crate::archive::layout;
use crate::archive::manifest::{self, BadManifest, Manifest};
use crate::crypto;
use crate::fsio;
use crate::model::Digest;
use crate::progress::{Cancel, Task};

/// Follows the chain of an archive.
pub(super) fn archive(
    root: &Path,
    listing: &Listing,
    subject: Digest,
    expected: &Oxum<'_>,
    watch: &Watch<'_>,
) -> Check<Manifest> {
    let tag = read(root, layout::TAGMANIFEST, listing, Code::TagManifest)?;
    if crypto::sha256(&tag) != subject {
        return fail(Code::TagManifest, "`tagmanifest-sha256.txt` is not the signed one");
    }
    let tags = parse(&tag, layout::TAGMANIFEST)?;
    let payload_manifests = listing.files.keys().filter(|p| p.starts_with("manifest-"));
    let wanted: BTreeSet<&str> = [layout::README, layout::BAG_INFO, "bagit.txt"]
        .into_iter()
        .chain(payload_manifests.map(String::as_str))
        .collect();
    let named: BTreeSet<&str> = tags.keys().map(String::as_str).collect();
    if named != wanted || !wanted.contains(layout::MANIFEST) {
        return fail(Code::FileSet, differences("tag manifest", &named, &wanted));
    }
    digests(root, &tags, watch)?;
    let manifest = parse(&read(root, layout::MANIFEST, listing, Code::FileSet)?, layout::MANIFEST)?;
    let on_disk: BTreeSet<&str> = listing.files.keys().map(String::as_str).filter(|p| p.starts_with("data/")).collect();
    let named: BTreeSet<&str> = manifest.keys().map(String::as_str).collect();
    if named != on_disk {
        return fail(Code::FileSet, differences("manifest", &named, &on_disk));
    }
    digests(root, &manifest, watch)?;
    check_oxum(root, listing, &manifest, expected)?;
    Ok(manifest)
}

/// Follows the chain of a signed folder.
pub(super) fn folder(root: &Path, listing: &Listing, subject: Digest, watch: &Watch<'_>) -> Check<()> {
    let bytes = read(root, layout::MANIFEST, listing, Code::FileSet)?;
    if crypto::sha256(&bytes) != subject {
        return fail(Code::Subject, "`manifest-sha256.txt` is not the signed one");
    }
    let manifest = parse(&bytes, layout::MANIFEST)?;
    let envelopes = listing.envelopes();
    let is_own = |p: &str| p == layout::MANIFEST || envelopes.iter().any(|e| e == p);
    let on_disk: BTreeSet<&str> = listing.files.keys().map(String::as_str).filter(|p| !is_own(p)).collect();
    let named: BTreeSet<&str> = manifest.keys().map(String::as_str).collect();
    if named != on_disk {
        return fail(Code::FileSet, differences("manifest", &named, &on_disk));
    }
    digests(root, &manifest, watch)
}

/// What statement and `bag-info.txt` must say about the payload.
pub(super) struct Oxum<'a> {
    pub(super) archive_id: &'a str,
    pub(super) octets: u64,
    pub(super) files: u64,
}

fn check_oxum(root: &Path, listing: &Listing, manifest: &Manifest, expected: &Oxum<'_>) -> Check<()> {
    let octets: u64 = manifest.keys().filter_map(|p| listing.files.get(p)).sum();
    let files = manifest.len() as u64;
    let info = fsio::read_text(&root.join(layout::BAG_INFO), layout::DOCUMENT_BYTES_MAX)?;
    let stated = manifest::bag_info_value(&info, "Payload-Oxum");
    if stated != Some(format!("{octets}.{files}").as_str()) || octets != expected.octets || files != expected.files {
        return fail(Code::Oxum, format!("{files} files of {octets} bytes are not what was stated"));
    }
    if manifest::bag_info_value(&info, "External-Identifier") != Some(expected.archive_id) {
        return fail(Code::Field, "`bag-info.txt` names another archive than the statement");
    }
    Ok(())
}

fn read(root: &Path, path: &str, listing: &Listing, missing: Code) -> Check<Vec<u8>> {
    if !listing.files.contains_key(path) {
        return fail(missing, format!("`{path}` is missing"));
    }
    Ok(fsio::read_bounded(&root.join(path), layout::DOCUMENT_BYTES_MAX)?)
}

fn parse(bytes: &[u8], name: &str) -> Check<Manifest> {
    manifest::parse(bytes).map_err(|e| match e {
        BadManifest::Syntax(line) => Failure {
            code: Code::ManifestSyntax,
            detail: format!("`{name}`, line {line} is malformed or out of order"),
        },
        BadManifest::Path(path) => {
            Failure { code: Code::Path, detail: format!("`{name}` names `{}`", path.escape_debug()) }
        }
        BadManifest::Duplicate(path) => {
            Failure { code: Code::DupPath, detail: format!("`{name}` names `{path}` twice") }
        }
    })
}

fn differences(what: &str, named: &BTreeSet<&str>, present: &BTreeSet<&str>) -> String {
    let missing = named.difference(present).next();
    let added = present.difference(named).next();
    match (missing, added) {
        (Some(path), _) => format!("the {what} names `{path}`, which is missing or not allowed"),
        (None, Some(path)) => format!("`{path}` is not in the {what}"),
        (None, None) => format!("the {what} is incomplete"),
    }
}

/// Progress and interruption of long reads.
pub(super) struct Watch<'a> {
    pub(super) task: &'a dyn Task,
    pub(super) cancel: &'a Cancel,
    pub(super) threads: usize,
}

/// Recomputes digests, several files at a time; the first failure in path order is reported.
fn digests(root: &Path, manifest: &Manifest, watch: &Watch<'_>) -> Check<()> {
    let list: Vec<(&String, &Digest)> = manifest.iter().collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut failures = BTreeMap::new();
        while let Some((path, digest)) = list.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(failure) = one(&root.join(path), path, **digest, watch) {
                failures.insert((*path).clone(), failure);
                break;
            }
        }
        failures
    };
    let failures = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..watch.threads.clamp(1, list.len().max(1))).map(|_| scope.spawn(work)).collect();
        let mut all = BTreeMap::new();
        for worker in workers {
            match worker.join() {
                Ok(failures) => all.extend(failures),
                Err(_) => {
                    all.insert(String::new(), Failure { code: Code::Internal, detail: "a worker failed".into() });
                }
            }
        }
        all
    });
    match failures.into_values().next() {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

fn one(path: &Path, name: &str, digest: Digest, watch: &Watch<'_>) -> Check<()> {
    watch.cancel.check()?;
    let (found, bytes) = crypto::sha256_file(path)?;
    watch.task.advance(bytes);
    if found == digest {
        return Ok(());
    }
    // A second reading tells a failing disk from a changed file.
    match crypto::sha256_file(path)? {
        (again, _) if again == found => {
            let code = if name.starts_with("manifest-") { Code::TagManifest } else { Code::Digest };
            fail(code, format!("`{name}` is not the signed file"))
        }
        _ => fail(Code::Io, format!("unstable-read: `{name}` gave different bytes when read twice")),
    }
}

/// Threads to use when the caller leaves it open.
pub(super) fn default_threads() -> usize {
    files::threads()
}
