//! The module as a whole, on the small pack in `tests/fixtures/packs/tiny`.

mod linting;
mod reconciling;
mod running;

use std::path::{Path, PathBuf};

use super::*;
use crate::query::Limits;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/packs/tiny")
}

fn pack() -> Pack {
    Pack::load(&fixture()).unwrap_or_else(|e| panic!("the fixture pack loads: {e}"))
}

fn limits(dir: &tempfile::TempDir) -> Limits {
    Limits { partitions: Some(2), seconds: Some(60), rows_max: FINDINGS_DEFAULT, ..Limits::in_dir(dir.path()) }
}

/// Copies the fixture pack and edits its files: (path, from, to).
fn edited(edits: &[(&str, &str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("dir");
    copy(&fixture(), dir.path());
    for (path, from, to) in edits {
        let path = dir.path().join(path);
        let text = std::fs::read_to_string(&path).expect("file");
        assert!(text.contains(from), "{} holds {from}", path.display());
        std::fs::write(&path, text.replacen(from, to, 1)).expect("written");
    }
    dir
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("folder");
    for entry in std::fs::read_dir(from).expect("folder") {
        let entry = entry.expect("entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// The small pack is without mistakes and all its cases pass; a changed expectation is noticed.
#[tokio::test]
async fn fixture_pack_is_clean() {
    let dir = tempfile::tempdir().expect("dir");
    let pack = pack();
    let problems = pack.lint(&limits(&dir)).await.expect("engine");
    assert_eq!(problems.to_string(), "");
    let results = test(&pack, &[], &limits(&dir)).await.expect("runs");
    assert_eq!(results.len(), 6);
    for result in &results {
        assert!(result.differences.is_empty(), "{result:?}");
    }
    let changed = edited(&[
        ("TXN/TXN-901/tests.toml", "subject = \"r3\", reason = \"wrong-route\"", "subject = \"r9\", reason = \"late\""),
        ("TXN/TXN-901/tests.toml", "population = 4", "population = 5"),
        ("TXN/TXN-901/tests.toml", "amount_fen = 250, payment_ref", "amount_fen = 251, payment_ref"),
    ]);
    let pack = Pack::load(changed.path()).expect("loads");
    let results = test(&pack, &["TXN-901".to_owned()], &limits(&dir)).await.expect("runs");
    assert_eq!(
        results[0].differences,
        [
            "population: expected 5, found 4",
            "missing finding: r9 late",
            "unexpected finding: r3 wrong-route",
            "r2 late: `amount_fen` expected 251, found 250",
        ]
    );
    assert!(test(&pack, &["XXX-000".to_owned()], &limits(&dir)).await.is_err());
}

/// The digest of a pack and a policy follows every byte that counts, and nothing else.
#[test]
fn digests() {
    let original = pack();
    let tests_grown =
        Pack::load(edited(&[("TXN/TXN-901/tests.toml", "[[case]]", "# more\n[[case]]")]).path()).expect("loads");
    assert_ne!(tests_grown.digest(), original.digest());
    let digest = |p: &Pack| p.policy("TXN-901").map(|p| p.digest);
    assert_eq!(digest(&tests_grown), digest(&original));
    let changed = Pack::load(edited(&[("TXN/TXN-901/check.sql", "'late'", "'late' ")]).path()).expect("loads");
    assert_ne!(digest(&changed), digest(&original));
}
