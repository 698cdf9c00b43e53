//! An assessment can be made again: on the same case it comes out byte for byte, and years later from the archive
//! and the assessment's own `inputs/` alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::bag::copy_tree;

/// Members of `assessment.json` that may differ between two runs over the same archive with the same `as_of`,
/// `window`, `decided_on` and inputs. There are none: the time of the run stands in the signed statement only.
const MAY_DIFFER: [&str; 0] = [];

fn sealport(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_sealport"))
        .args(arguments)
        .args(["--format", "json", "--quiet"])
        .output()
        .unwrap();
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 5)), "{arguments:?}: {code:?} {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn assessment(dir: &Path) -> Value {
    let mut value: Value = serde_json::from_slice(&fs::read(dir.join("assessment.json")).unwrap()).unwrap();
    for member in MAY_DIFFER {
        value.as_object_mut().unwrap().remove(member);
    }
    value
}

/// What a check decided about each policy: outcome, population, findings, waived, why.
fn decisions(answer: &Value) -> Vec<Value> {
    answer["policies"].as_array().unwrap().clone()
}

#[test]
fn an_assessment_is_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let case = dir.path().join("case");
    sealport(&["synth", "--out", &text(&case), "--orders", "1000"]);
    let sealed = sealport(&["seal", &text(&case)]);
    let check = || sealport(&["check", &text(&case), "--fail-on", "never"]);
    let (first, second) = (check(), check());
    let folder = |answer: &Value| PathBuf::from(answer["assessment"].as_str().unwrap());
    let (a, b) = (folder(&first), folder(&second));
    assert_ne!(a, b, "an assessment is never written over");
    for file in ["findings.csv", "findings.parquet"] {
        assert!(fs::read(a.join(file)).unwrap() == fs::read(b.join(file)).unwrap(), "{file} differs");
    }
    let made = assessment(&a);
    assert_eq!(made, assessment(&b));
    assert!(made["findings_count"].as_u64().unwrap() > 0);

    // Years later: no case, only the archive, the keyring and what the assessment carries.
    let later = dir.path().join("later");
    copy_tree(Path::new(sealed["archive"].as_str().unwrap()), &later.join("archive"));
    copy_tree(&a.join("inputs"), &later.join("inputs"));
    fs::copy(case.join("keyring/keyring.json"), later.join("keyring.json")).unwrap();
    let said = |member: &str| made[member].as_str().unwrap().to_owned();
    let window = format!("{}..{}", made["window"][0].as_str().unwrap(), made["window"][1].as_str().unwrap());
    let replay = || {
        sealport(&[
            "check",
            &text(&later.join("archive")),
            "--keyring",
            &text(&later.join("keyring.json")),
            "--profile",
            &text(&later.join("inputs/profile.toml")),
            "--policy",
            &text(&later.join("inputs/pack")),
            "--as-of",
            &said("as_of"),
            "--window",
            &window,
            "--decided-on",
            &said("decided_on"),
            "--fail-on",
            "never",
        ])
    };
    // Files that attestations rest on do not travel: without them an answer does not count, and nothing passes for it.
    let bare = replay();
    for (was, is) in decisions(&first).iter().zip(decisions(&bare)) {
        assert!(
            *was == is || (is["outcome"] == "not-evaluated" && is["why"] == "needs-attestation"),
            "{was} became {is}"
        );
    }
    copy_tree(&case.join("evidence"), &later.join("inputs/evidence"));
    let whole = replay();
    assert_eq!(decisions(&whole), decisions(&first));
    assert_eq!((&whole["summary"], &whole["archive"]), (&first["summary"], &first["archive"]));
    // The window matters: the same archive judged over all it covers has other populations.
    assert_ne!(
        decisions(&sealport(&[
            "check",
            &text(&later.join("archive")),
            "--keyring",
            &text(&later.join("keyring.json")),
            "--profile",
            &text(&later.join("inputs/profile.toml")),
            "--as-of",
            &said("as_of"),
            "--decided-on",
            &said("decided_on"),
            "--fail-on",
            "never",
        ])),
        decisions(&first)
    );
}
