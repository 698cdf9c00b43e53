//! The shipped pack: it loads, lints clean, and every case of every policy gives what it expects.

use sealport::policy::{Pack, test};
use sealport::query::Limits;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

/// No mistake in any file of the pack, and its 58 policies and two derived datasets are there.
#[test]
fn shipped_pack_is_clean() {
    let pack = Pack::embedded().unwrap();
    assert_eq!(pack.policies().count(), 58);
    assert_eq!(pack.derived().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["domain_days", "recon_items"]);
    let spill = tempfile::tempdir().unwrap();
    let problems = runtime().block_on(pack.lint(&Limits::in_dir(spill.path().to_owned()))).unwrap();
    assert!(problems.0.is_empty(), "{problems}");
}

/// Every fixture of every policy, on the embedded engine.
#[test]
fn every_policy_case_holds() {
    let pack = Pack::embedded().unwrap();
    let spill = tempfile::tempdir().unwrap();
    let results = runtime().block_on(test(&pack, &[], &Limits::in_dir(spill.path().to_owned()))).unwrap();
    let failed: Vec<String> = results
        .iter()
        .filter(|r| !r.differences.is_empty())
        .map(|r| format!("{} {}: {}", r.policy, r.case, r.differences.join("; ")))
        .collect();
    assert!(results.len() >= 220, "only {} cases ran", results.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
