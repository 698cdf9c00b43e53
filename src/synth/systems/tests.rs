//! Tests over whole samples of every system.

use std::collections::BTreeMap;

use super::*;
use crate::progress::Hidden;

fn spec(system: &str, faults: FaultSelection) -> SystemSpec {
    SystemSpec { system: system.to_owned(), dialect: None, url: None, orders: 1_000, seed: 7, faults }
}

/// The same seed gives the same bytes; every fault a system can show is listed when all are planted; without planted
/// faults only what the product cannot keep is left.
#[test]
fn samples_of_every_system() {
    let dir = tempfile::tempdir().unwrap();
    for system in SYSTEMS {
        let at = |name: &str| dir.path().join(format!("{}-{name}", system.id));
        let made =
            |name: &str, faults| write(&at(name), &spec(system.id, faults), &Hidden, &Cancel::default()).unwrap();
        let all = made("a", FaultSelection::All);
        made("b", FaultSelection::All);
        for file in ["data.sql", "truth.json", "case.toml", "profile.toml"] {
            let read = |name: &str| std::fs::read(at(name).join(file)).unwrap();
            assert!(read("a") == read("b"), "{} {file}", system.id);
        }
        for policy in system.planted {
            assert!(all.policies.iter().any(|p| p == policy), "{}: no fault of {policy}", system.id);
        }
        let clean = made("clean", FaultSelection::None);
        let text = std::fs::read_to_string(at("clean").join("truth.json")).unwrap();
        let list: Vec<BTreeMap<String, String>> = serde_json::from_str(&text).unwrap();
        let nature = ["device-missing", "request-time-missing", "grant-unlogged", "no-observation", "no-notice"];
        for finding in &list {
            assert!(nature.contains(&finding["reason"].as_str()), "{}: {finding:?}", system.id);
        }
        assert!(clean.faults < all.faults);
        assert!(all.rows.values().sum::<u64>() > 4_000, "{}: {:?}", system.id, all.rows);
    }
}

/// A fault that the tables of a system cannot show is refused, and so is an unknown system or engine.
#[test]
fn refusals() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("x");
    let refused = |spec: SystemSpec| write(&out, &spec, &Hidden, &Cancel::default()).unwrap_err();
    assert!(matches!(refused(spec("jeepay", FaultSelection::parse("TXN-003").unwrap())), Error::UnknownFault { .. }));
    assert!(matches!(refused(spec("nobody", FaultSelection::None)), Error::UnknownSystem { .. }));
    let other = SystemSpec { dialect: Some("oracle".into()), ..spec("litemall", FaultSelection::None) };
    assert!(matches!(refused(other), Error::UnknownDialect { .. }));
    let many = SystemSpec { orders: SYSTEM_ORDERS_MAX + 1, ..spec("litemall", FaultSelection::None) };
    assert!(matches!(refused(many), Error::Orders { .. }));
    assert!(!out.exists());
}
