//! What a seal tells and writes down about odd input: repeated keys, workbooks, cases without a project.

use std::fs;

use serde_json::Value;

use crate::support::Place;

fn reconciliation(place: &Place) -> Value {
    let path = place.path().join(place.archive()).join("data/custody/reconciliation.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// A row that stands twice is kept, told, and stands in the account.
#[test]
fn repeated_keys_are_told() {
    let place = Place::new_case();
    place.edit("registers/people.csv", |text| {
        let row = text.lines().nth(1).unwrap().to_owned();
        format!("{}\n{row}\n", text.trim_end())
    });
    let run = place.run(&["seal", "case", "--lang", "en"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.contains("the key of dataset people repeats"), "{}", run.err);
    let account = reconciliation(&place);
    assert_eq!(account["datasets"]["people"]["keyUnique"], false);
    assert_eq!(account["datasets"]["payments"]["keyUnique"], true);
    assert!(account["identifiersNotSearched"]["tooShort"].is_u64());
}

/// A workbook among the registers is refused instead of being passed over.
#[test]
fn workbooks_are_refused() {
    let place = Place::new_case();
    fs::write(place.case().join("registers/notices.xlsx"), "PK").unwrap();
    let run = place.run(&["seal", "case", "--lang", "en"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("`notices.xlsx` is a workbook") && run.err.contains("CSV"), "{}", run.err);
    assert!(place.archives().is_empty());
}

/// Without a closing or moving project the project tables are there and empty.
#[test]
fn cases_without_a_project_have_empty_tables() {
    let place = Place::new_case();
    place.edit("case.toml", |text| {
        let (head, rest) = text.split_once("[project.deregistration]").unwrap();
        let (_, tail) = rest.split_once("[[source]]").unwrap();
        format!("{head}[[source]]{tail}")
    });
    let run = place.run(&["seal", "case", "--quiet"]);
    assert_eq!(run.code, 0, "{}", run.err);
    let account = reconciliation(&place);
    for name in ["dereg_projects", "migration_projects"] {
        assert_eq!(account["datasets"][name]["rows"], 0, "{name}");
    }
}

/// An unknown code that may be somebody's number is not repeated in the message or the journal.
#[test]
fn unknown_codes_are_not_repeated() {
    let place = Place::new_case();
    place.edit("source/mapping.toml", |text| {
        let (head, tail) = text.split_once("[dataset.operation_logs]").unwrap();
        let tail = tail
            .replacen("t.module AS module,", "t.module AS module, t.user_name || '13800138000' AS actor_type,", 1)
            .replacen("conv.actor_type = { const = \"staff\" }", "conv.actor_type = { enum = \"nobody\" }", 1);
        format!("{head}[enum.nobody]\n\"1\" = \"staff\"\non_unknown = \"fail\"\n\n[dataset.operation_logs]{tail}")
    });
    let run = place.run(&["seal", "case", "--lang", "en"]);
    assert_eq!(run.code, 2, "{}", run.err);
    let journal = fs::read_to_string(place.case().join("out/journal.jsonl")).unwrap();
    for text in [&run.err, &journal] {
        assert!(text.contains("a text of") && !text.contains("13800138000"), "{text}");
    }
}
