//! Sealing: crashes leave nothing that looks sealed, the same inputs give the same bytes, folders are signed.

use std::fs;
use std::path::Path;

use sealport::archive::*;
use sealport::clock::FixedClock;
use sealport::hint::Hint;
use sealport::progress::Interrupted;
use serde_json::json;

use crate::bag::*;

const STEPS: [SealStep; 6] = [
    SealStep::Documents,
    SealStep::Manifests,
    SealStep::Statement,
    SealStep::Checkpoints,
    SealStep::Synced,
    SealStep::ReadBack,
];

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Stopped after any step, a seal leaves nothing; killed after any step, it leaves a temporary folder that is no
/// archive by its name and that the next seal removes.
#[test]
fn crash_after_every_step() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("archive");
    for step in STEPS {
        let result = write_bag(&target, spec(), 8_192, 2, &mut |s| if s == step { Err(Interrupted) } else { Ok(()) });
        assert_eq!(result.unwrap_err().exit().code(), 130);
        assert!(names(dir.path()).is_empty(), "{step:?}: {:?}", names(dir.path()));

        // A kill runs no clean-up: keep what was on disk at that moment.
        let frozen = tempfile::tempdir().unwrap();
        let _ = write_bag(&target, spec(), 8_192, 2, &mut |s| {
            if s == step {
                copy_tree(dir.path(), frozen.path());
                return Err(Interrupted);
            }
            Ok(())
        });
        let left = names(frozen.path());
        assert!(left.iter().all(|n| n.starts_with(".sealing-")), "{step:?}: {left:?}");
        let second = frozen.path().join("archive");
        new_bag(&second);
        assert_eq!(names(frozen.path()), ["archive"], "{step:?}");
        assert_eq!(judge(&second, &keyring(), &options()).verdict, Verdict::Valid);
    }
    new_bag(&target);
    assert_eq!(names(dir.path()), ["archive"]);
    assert!(write_bag(&target, spec(), 8_192, 2, &mut |_| Ok(())).is_err(), "an archive is never replaced");
}

/// A seal that is still running is not cleaned away by another one.
#[test]
fn live_seal_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    write_bag(&first, spec(), 8_192, 2, &mut |s| {
        if s == SealStep::Statement {
            new_bag(&second);
        }
        Ok(())
    })
    .unwrap();
    for path in [first, second] {
        assert_eq!(judge(&path, &keyring(), &options()).verdict, Verdict::Valid);
    }
}

fn bytes_of(dir: &Path, prefix: &str, out: &mut Vec<(String, Vec<u8>)>) {
    for name in names(dir) {
        let path = dir.join(&name);
        if path.is_dir() {
            bytes_of(&path, &format!("{prefix}{name}/"), out)
        } else {
            out.push((format!("{prefix}{name}"), fs::read(path).unwrap()))
        }
    }
}

/// Same input, clock and randomness: the same bytes, whatever the number of threads.
#[test]
fn same_inputs_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let all: Vec<_> = [1, 4]
        .into_iter()
        .map(|threads| {
            let path = dir.path().join(threads.to_string());
            write_bag(&path, spec(), 8_192, threads, &mut |_| Ok(())).unwrap();
            let mut files = Vec::new();
            bytes_of(&path, "", &mut files);
            files
        })
        .collect();
    assert_eq!(all[0].len(), all[1].len());
    for (a, b) in all[0].iter().zip(&all[1]) {
        assert!(a == b, "{} differs", a.0);
    }
}

/// How rows are cut into batches does not change what is signed about them.
#[test]
fn batch_size_does_not_change_the_roots() {
    let dir = tempfile::tempdir().unwrap();
    let roots: Vec<_> = [1, 7, 256, 8_192]
        .into_iter()
        .map(|cut| {
            let path = dir.path().join(cut.to_string());
            write_bag(&path, spec(), cut, 2, &mut |_| Ok(())).unwrap();
            assert_eq!(judge(&path, &keyring(), &options()).verdict, Verdict::Valid);
            let archive = Archive::open(&path).unwrap();
            archive.statement().tables.iter().map(|t| (t.name.clone(), t.root)).collect::<Vec<_>>()
        })
        .collect();
    assert!(roots.windows(2).all(|w| w[0] == w[1]));
}

/// What the sealer proved about keys and order, and what the reader shows.
#[test]
fn reader_shows_what_was_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let sealed = new_bag(&dir.path().join("bag"));
    let archive = Archive::open(&sealed.path).unwrap();
    assert_eq!(archive.digest(), sealed.digest);
    assert_eq!(archive.statement_hash(), sealed.statement_hash);
    let (payments, notes) = (archive.table("payments").unwrap(), archive.table("notes").unwrap());
    assert_eq!(
        (payments.rows, payments.schema.order, payments.schema.is_key_unique),
        (ROWS as u64, RowOrder::Key, true)
    );
    assert_eq!((notes.rows, notes.schema.order, notes.schema.is_key_unique), (4, RowOrder::Source, true));
    assert_eq!(archive.custody().unwrap().len(), 1);
    assert!(archive.reconciliation().unwrap().is_object());
    let partial = judge(&sealed.path, &keyring(), &VerifyOptions::files(at("2026-11-22T08:00:00Z")));
    assert_eq!(
        (partial.verdict, partial.scope_line.as_str()),
        (Verdict::Partial, "PARTIAL: files only, no time-stamp")
    );
    // Reserved documents do not disturb a reader.
    fs::create_dir_all(sealed.path.join("data/files/invoices")).unwrap();
    fs::write(sealed.path.join("data/files/invoices/a.age"), "x").unwrap();
    resign(&sealed.path);
    assert_eq!(judge(&sealed.path, &keyring(), &options()).verdict, Verdict::Valid);
}

/// A signed assessment verifies; a changed, added or missing file does not; nor does it pass for a report.
#[test]
fn signed_folder() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("assessment");
    fs::create_dir_all(folder.join("inputs")).unwrap();
    fs::write(folder.join("assessment.json"), "{}").unwrap();
    fs::write(folder.join("inputs/profile.toml"), "x = 1\n").unwrap();
    let clock = FixedClock(at("2026-11-21T09:00:00Z"));
    let key = producer();
    let seal =
        || seal_folder(&folder, FolderKind::Assessment, json!({"archive": {"statementSha256": "0"}}), &key, &clock);
    let sealed = seal().unwrap();
    assert!(seal().is_err(), "a signed folder is never signed over");
    let report = judge(&folder, &keyring(), &options());
    assert_eq!((report.verdict, report.kind), (Verdict::Valid, FolderKind::Assessment), "{:#?}", report.steps);
    assert_eq!(report.digest, Some(sealed.digest));
    let code = || judge(&folder, &keyring(), &options()).failure().and_then(|s| s.code);
    fs::write(folder.join("assessment.json"), "[]").unwrap();
    assert_eq!(code(), Some(Code::Digest));
    fs::write(folder.join("assessment.json"), "{}").unwrap();
    fs::write(folder.join("more.json"), "{}").unwrap();
    assert_eq!(code(), Some(Code::FileSet));
    fs::remove_file(folder.join("more.json")).unwrap();
    fs::remove_file(folder.join("inputs/profile.toml")).unwrap();
    fs::remove_dir(folder.join("inputs")).unwrap();
    assert_eq!(code(), Some(Code::FileSet));
    fs::write(folder.join("manifest-sha256.txt"), "").unwrap();
    assert_eq!(code(), Some(Code::Subject));
    fs::remove_file(folder.join(sealed.envelope)).unwrap();
    assert_eq!(code(), Some(Code::NoStatement));
}
