//! Imports go downward only: the table of `ARCHITECTURE.md`, held by reading the `use crate::` lines.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const ROWS: &[(u8, &[&str])] = &[
    (5, &["cli"]),
    (4, &["ops"]),
    (3, &["source", "mapping", "pseudonym", "archive", "policy", "report", "synth"]),
    (2, &["config", "query"]),
    (1, &["schema", "rows", "crypto", "finding", "fsio", "progress", "clock"]),
    (0, &["model", "hint"]),
];

/// Imports inside rows 0 and 1 that the foundations need of each other.
const SIDEWAYS: &[(&str, &str)] = &[("hint", "model"), ("crypto", "fsio"), ("crypto", "clock")];

fn row(module: &str) -> Option<u8> {
    ROWS.iter().find(|(_, names)| names.contains(&module)).map(|(row, _)| *row)
}

fn rust_files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// The modules named after `crate::` in one line, braces one level deep included.
fn mentioned(line: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let rest = &line[at + 7..];
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(group) => group.split([',', '}']).collect(),
            None => vec![rest],
        };
        for name in names {
            let word: String = name.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if word.chars().next().is_some_and(char::is_lowercase) {
                out.push(word);
            }
        }
    }
    out
}

/// No module imports upward or sideways.
#[test]
fn imports_go_downward_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let mut wrong = Vec::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for file in files {
        let relative = file.strip_prefix(&src).unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        let module = first.trim_end_matches(".rs").to_owned();
        let Some(own) = row(&module) else {
            assert!(["main", "lib"].contains(&module.as_str()), "`{module}` is not in the table of layers");
            continue;
        };
        *seen.entry(module.clone()).or_default() += 1;
        let text = std::fs::read_to_string(&file).unwrap();
        for (index, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for target in mentioned(line) {
                let Some(other) = row(&target) else { continue };
                let allowed = target == module || other < own || SIDEWAYS.contains(&(module.as_str(), target.as_str()));
                if !allowed {
                    wrong.push(format!("{}:{}: {module} imports {target}", relative.display(), index + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen.len() >= 10, "the table names modules that do not exist: {seen:?}");
}

/// Every file of the integration tests is declared in `main.rs`.
#[test]
fn every_test_file_is_declared() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = std::fs::read_to_string(dir.join("main.rs")).unwrap();
    for entry in std::fs::read_dir(&dir).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(stem) = name.strip_suffix(".rs").filter(|s| *s != "main") {
            assert!(main.contains(&format!("mod {stem};")), "tests/it/{name} is not declared");
        }
    }
}
