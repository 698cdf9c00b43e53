//! The scripts of `tests/independent` agree with the verifier. They need tools that a Rust machine may not have, so
//! they run with `cargo test -- --ignored`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use sealport::archive::Archive;
use serde_json::json;

use crate::bag::*;

fn script(name: &str) -> String {
    format!("{}/tests/independent/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn verify_sh(bag: &Path, keys: &Path) -> Output {
    Command::new("bash").arg(script("verify.sh")).arg(bag).arg(keys).arg("1").output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// openssl, jq and coreutils confirm the archive, and refuse what was changed.
#[test]
#[ignore = "needs bash, openssl and jq"]
fn verify_sh_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let (good, keys) = (dir.path().join("good"), dir.path().join("keyring"));
    let sealed = new_bag(&good);
    keyring().save(&keys).unwrap();
    let output = verify_sh(&good, &keys);
    assert!(output.status.success() && text(&output).starts_with("OK "), "{}", text(&output));
    assert!(text(&output).contains(&sealed.digest.to_string()));
    type Change = fn(&Path);
    let cases: [(&str, Change); 12] = [
        ("E_NOT_REGULAR", |b| std::os::unix::fs::symlink("README.txt", b.join("data/link")).unwrap()),
        ("E_NAME", |b| fs::write(b.join("data/a b"), "").unwrap()),
        ("E_CASE_COLLISION", |b| fs::write(b.join("data/custody/Custody.jsonl"), "").unwrap()),
        ("E_BAGIT_TXT", |b| fs::write(b.join("bagit.txt"), "BagIt-Version: 0.96\n").unwrap()),
        ("E_EXTRA", |b| fs::write(b.join("signatures/key.pem"), "").unwrap()),
        ("E_NO_STATEMENT", |b| fs::remove_file(envelope_path(b)).unwrap()),
        ("E_DUP_MEMBER", |b| {
            let s = fs::read_to_string(envelope_path(b)).unwrap();
            fs::write(envelope_path(b), s.replacen('{', "{\"payloadType\":\"x\",", 1)).unwrap();
        }),
        ("E_DIGEST", |b| fs::write(b.join(PAYMENTS), "x").unwrap()),
        ("E_TAGMANIFEST", |b| remake_tagmanifest_with_note(b)),
        ("E_FILE_SET", |b| fs::write(b.join("data/custody/more.jsonl"), "").unwrap()),
        ("E_CHECKPOINT_MISMATCH", |b| {
            let path = b.join("signatures/checkpoint.notes.txt");
            fs::write(&path, fs::read_to_string(&path).unwrap().replacen("\n4\n", "\n5\n", 1)).unwrap();
        }),
        ("E_CRITICAL", |b| resign_with(b, &|s| s["predicate"]["critical"] = json!(["x"]))),
    ];
    for (code, change) in cases {
        let bag = dir.path().join(code);
        copy_tree(&good, &bag);
        change(&bag);
        let output = verify_sh(&bag, &keys);
        assert!(
            !output.status.success() && text(&output).starts_with(&format!("FAIL {code}")),
            "{code}: {}",
            text(&output)
        );
    }
}

fn remake_tagmanifest_with_note(bag: &Path) {
    fs::write(bag.join("README.txt"), "another text\n").unwrap();
    remake_tagmanifest(bag);
}

/// DuckDB rebuilds every root from the Parquet files alone, and notices other rows.
#[test]
#[ignore = "needs python3 with the package duckdb"]
fn duckdb_rebuilds_the_roots() {
    let dir = tempfile::tempdir().unwrap();
    let bag = dir.path().join("bag");
    new_bag(&bag);
    assert_eq!(Archive::open(&bag).unwrap().tables().len(), 2);
    let run = || Command::new("python3").arg(script("leaves_duckdb.py")).arg(&bag).output().unwrap();
    let output = run();
    assert!(output.status.success(), "{}{}", text(&output), String::from_utf8_lossy(&output.stderr));
    assert_eq!(text(&output).lines().filter(|l| l.starts_with("OK ")).count(), 2);
    let other = notes().slice(0, 3);
    replace_rows(&bag, NOTES, &other, None);
    assert_eq!(run().status.code(), Some(1));
}
