//! The commands as users meet them: exit codes, messages in both languages, bad input, interruption, modes of files.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use clap::CommandFactory as _;
use serde_json::Value;

use crate::support::*;

const KEYRING: &str = "case/keyring/keyring.json";

/// The sealed archive verifies, the journal holds, and a further seal is as good as the first.
fn works_again(place: &Place) {
    place.mend();
    let sealed = place.run(&["seal", "case", "--quiet", "--format", "json"]);
    assert_eq!(sealed.code, 0, "{}", sealed.err);
    let sealed: Value = serde_json::from_str(&sealed.out).unwrap();
    let verified = place.run(&["verify", sealed["archive"].as_str().unwrap(), "--keyring", KEYRING]);
    assert_eq!(verified.code, 0, "{}", verified.out);
    assert_eq!(place.temporary(), [] as [std::path::PathBuf; 0]);
    place.journal();
}

// --- 1. exit codes ---------------------------------------------------------------------------------------------

/// One way to reach a code, and what a person reads then.
struct Situation {
    code: i32,
    arrange: fn() -> Place,
    args: &'static [&'static str],
    /// On stdout (a complete or partial answer) or on stderr only.
    answers: bool,
    en: &'static str,
    zh: &'static str,
}

fn corrupted() -> Place {
    let place = Place::sealed_case();
    let file = place.path().join(place.archive()).join("data/custody/custody.jsonl");
    let mut bytes = fs::read(&file).unwrap();
    bytes[10] ^= 1;
    fs::write(file, bytes).unwrap();
    place
}

fn foreign_keyring() -> Place {
    let place = Place::sealed_case();
    assert_eq!(place.run(&["init", "other", "--kind", "audit", "--quiet"]).code, 0);
    place
}

fn no_sets() -> Place {
    let place = Place::sealed_case();
    place.edit("profile.toml", |t| {
        t.lines().map(|l| if l.starts_with("sets") { "sets = []" } else { l }).collect::<Vec<_>>().join("\n")
    });
    place
}

fn wrong_type() -> Place {
    let place = Place::new_case();
    sql(
        &place.case().join("source/shop.db"),
        "UPDATE t_order SET pay_amt = 'abc' WHERE id = (SELECT min(id) FROM t_order)",
    );
    place
}

fn endless_chain() -> Place {
    let place = Place::new_case();
    fs::write(place.case().join("chain.json"), vec![b' '; (1 << 20) + 1]).unwrap();
    place
}

fn no_database() -> Place {
    let place = Place::new_case();
    fs::remove_file(place.case().join("source/shop.db")).unwrap();
    place
}

const SITUATIONS: [Situation; 11] = [
    Situation {
        code: 0,
        arrange: Place::sealed_case,
        args: &["check", "case", "--fail-on", "never"],
        answers: true,
        en: "",
        zh: "",
    },
    Situation {
        code: 1,
        arrange: Place::sealed_case,
        args: &["check", "case"],
        answers: true,
        en: "findings (1)",
        zh: "发现问题 (1)",
    },
    Situation {
        code: 2,
        arrange: Place::new_case,
        args: &["report", "case"],
        answers: false,
        en: "what to do: run `sealport seal case` first",
        zh: "建议: 请先运行 `sealport seal case`。",
    },
    Situation {
        code: 3,
        arrange: no_sets,
        args: &["check", "case"],
        answers: false,
        en: "what to do: List at least one set under `sets`",
        zh: "建议: 请在 profile.toml 的 `sets` 中至少列出一个集合。",
    },
    Situation {
        code: 4,
        arrange: corrupted,
        args: &["check", "case"],
        answers: false,
        en: "what to do: Run `sealport verify`",
        zh: "建议: 请运行 `sealport verify`",
    },
    Situation {
        code: 4,
        arrange: corrupted,
        args: &["verify", "case/out/archives/sample-1-closure-0001", "--keyring", KEYRING],
        answers: true,
        en: "integrity failure (4)",
        zh: "完整性不符 (4)",
    },
    Situation {
        code: 5,
        arrange: wrong_type,
        args: &["seal", "case"],
        answers: true,
        en: "incomplete (5)",
        zh: "未完整评估 (5)",
    },
    Situation {
        code: 6,
        arrange: foreign_keyring,
        args: &["check", "case", "--keyring", "other/keyring/keyring.json"],
        answers: false,
        en: "what to do: Run `sealport verify`",
        zh: "建议: 请运行 `sealport verify`",
    },
    Situation {
        code: 6,
        arrange: foreign_keyring,
        args: &["verify", "case/out/archives/sample-1-closure-0001", "--keyring", "other/keyring/keyring.json"],
        answers: true,
        en: "trust failure (6)",
        zh: "不可信 (6)",
    },
    Situation {
        code: 7,
        arrange: endless_chain,
        args: &["seal", "case"],
        answers: false,
        en: "what to do: Check that this is the right file",
        zh: "建议: 请确认这是正确的文件",
    },
    Situation {
        code: 74,
        arrange: no_database,
        args: &["seal", "case"],
        answers: false,
        en: "what to do: Check the path.",
        zh: "建议: 请检查路径是否正确。",
    },
];

/// Every code a user can meet, by a real way to it: an answer goes to stdout, everything else to stderr, and the
/// advice stands in the language asked for. 130 has a test of its own; 70 would be a bug.
#[test]
fn exit_codes_and_advice() {
    for s in &SITUATIONS {
        for (lang, expected) in [("en", s.en), ("zh", s.zh)] {
            let place = (s.arrange)();
            let run = place.run(&[s.args, &["--lang", lang]].concat());
            let shown = format!("{} {:?} {lang}\n{}\n{}", s.code, s.args, run.out, run.err);
            assert_eq!(run.code, s.code, "{shown}");
            assert_eq!(!run.out.is_empty(), s.answers, "{shown}");
            assert!(run.err.contains(expected), "{shown}");
            let error = if lang == "zh" { "错误: " } else { "error: " };
            assert_eq!(run.err.lines().any(|l| l.starts_with(error)), !s.answers, "{shown}");
            assert!(!run.out.contains(error), "{shown}");
        }
    }
}

/// The language comes from the flag, else from the locale.
#[test]
fn language_from_the_locale() {
    let place = Place::empty();
    let zh = place.shell("LC_ALL=zh_CN.UTF-8 \"$S\" seal nowhere");
    let en = place.shell("LANG=de_DE.UTF-8 \"$S\" seal nowhere");
    let flag = place.shell("LC_ALL=zh_CN.UTF-8 \"$S\" seal nowhere --lang en");
    assert!(zh.err.starts_with("错误: ") && en.err.starts_with("error: ") && flag.err == en.err, "{}", zh.err);
}

// --- 2. bad input ----------------------------------------------------------------------------------------------

/// A way to spoil a case, the command that notices, and what it says.
struct Bad {
    name: &'static str,
    spoil: fn(&Place),
    args: &'static [&'static str],
    code: i32,
    says: &'static [&'static str],
}

fn requires(place: &Place, line: &'static str) {
    place.edit("source/mapping.toml", |t| {
        t.lines().map(|l| if l.starts_with("t_order = ") { line } else { l }).collect::<Vec<_>>().join("\n")
    });
}

fn cut(place: &Place, length: u64) {
    let file = fs::OpenOptions::new().write(true).open(place.case().join("source/shop.db")).unwrap();
    file.set_len(length).unwrap();
}

const BAD: [Bad; 15] = [
    Bad {
        name: "bills that are not there and nothing else",
        spoil: |p| {
            p.edit("case.toml", |t| {
                let head = t.split("[project.").next().unwrap_or_default().to_owned();
                format!("{head}\n[[bills]]\nglob = \"nowhere/*.csv\"\n")
            });
            fs::remove_dir_all(p.case().join("registers")).unwrap();
        },
        args: &["seal", "case"],
        code: 2,
        says: &["no file matches the bills pattern `nowhere/*.csv`"],
    },
    Bad {
        name: "missing database",
        spoil: |p| fs::remove_file(p.case().join("source/shop.db")).unwrap(),
        args: &["seal", "case"],
        code: 74,
        says: &["source/shop.db", "Check the path."],
    },
    Bad {
        name: "column missing from the database",
        spoil: |p| requires(p, "t_order = [\"id\", \"colour\"]"),
        args: &["seal", "case"],
        code: 2,
        says: &["t_order.colour", "`shop`", "requires"],
    },
    Bad {
        name: "table missing from the database",
        spoil: |p| sql(&p.case().join("source/shop.db"), "ALTER TABLE t_refund RENAME TO t_refund_old"),
        args: &["seal", "case"],
        code: 2,
        says: &["t_refund", "`shop`", "requires"],
    },
    Bad {
        name: "database cut off",
        spoil: |p| cut(p, 300_000),
        args: &["seal", "case"],
        code: 2,
        says: &["shop.db` is cut off: 300000 bytes of", "copy the database again"],
    },
    Bad {
        name: "database cut off in its header",
        spoil: |p| cut(p, 50),
        args: &["seal", "case"],
        code: 2,
        says: &["shop.db` is cut off"],
    },
    Bad {
        name: "not a database",
        spoil: |p| fs::write(p.case().join("source/shop.db"), "id,name\n1,x\n".repeat(100)).unwrap(),
        args: &["seal", "case"],
        code: 2,
        says: &["shop.db"],
    },
    Bad {
        name: "a file where the output folder goes",
        spoil: |p| fs::write(p.case().join("out"), "").unwrap(),
        args: &["seal", "case"],
        code: 74,
        says: &["cannot create `case/out", "move it away"],
    },
    Bad {
        name: "a file where the archives go",
        spoil: |p| {
            fs::create_dir_all(p.case().join("out")).unwrap();
            fs::write(p.case().join("out/archives"), "").unwrap();
        },
        args: &["seal", "case"],
        code: 74,
        says: &["cannot create `case/out/archives`", "move it away"],
    },
    Bad {
        name: "another producer's key",
        spoil: |p| {
            assert_eq!(p.run(&["init", "other", "--kind", "audit"]).code, 0);
            fs::copy(p.path().join("other/secrets/producer.pem"), p.case().join("secrets/producer.pem")).unwrap();
        },
        args: &["seal", "case"],
        code: 6,
        says: &["does not trust the signing key `case/secrets/producer.pem` as producer", "Restore the private key"],
    },
    Bad {
        name: "no key at all",
        spoil: |p| fs::remove_file(p.case().join("secrets/producer.pem")).unwrap(),
        args: &["seal", "case"],
        code: 2,
        says: &["producer.pem` does not exist", "sealport keys new CASE"],
    },
    Bad {
        name: "waivers that cannot be read, in a whole run",
        spoil: |p| p.append("waivers.toml", "[[waiver]\nid = 1"),
        args: &["run", "case"],
        code: 2,
        says: &["waivers.toml:", "expected `]`", "nothing has run"],
    },
    Bad {
        name: "unknown parameter, in a whole run",
        spoil: |p| p.append("profile.toml", &override_of("shoe_size")),
        args: &["run", "case"],
        code: 2,
        says: &["profile.toml:", "RET-012 has no parameter `shoe_size`; accepted: min_period"],
    },
    Bad {
        name: "unknown key in the case",
        spoil: |p| p.append("case.toml", "[colour]\nof = \"sky\""),
        args: &["seal", "case"],
        code: 2,
        says: &["case.toml:", "unknown key `colour`"],
    },
    Bad {
        name: "damaged chain",
        spoil: |p| fs::write(p.case().join("chain.json"), "{").unwrap(),
        args: &["seal", "case"],
        code: 4,
        says: &["chain.json` is malformed"],
    },
];

fn override_of(parameter: &str) -> String {
    format!(
        "[[override]]\npolicy = \"RET-012\"\nparam = \"{parameter}\"\nvalue = \"5 months\"\nreason = \"x\"\n\
         approver = \"counsel-2\"\napprover_role = \"legal\"\nuntil = 2026-12-31"
    )
}

/// Bad input before or during a seal: a clear error, nothing that looks sealed, and the mended case seals.
#[test]
fn bad_input_leaves_nothing_sealed() {
    std::thread::scope(|scope| {
        for chunk in BAD.chunks(BAD.len().div_ceil(2)) {
            scope.spawn(move || chunk.iter().for_each(refused));
        }
    });
}

fn refused(bad: &Bad) {
    let place = Place::new_case();
    (bad.spoil)(&place);
    let run = place.run(bad.args);
    assert_eq!(run.code, bad.code, "{}: {}", bad.name, run.err);
    assert_eq!(run.out, "", "{}", bad.name);
    for words in bad.says {
        assert!(run.err.contains(words), "{}: no `{words}` in {}", bad.name, run.err);
    }
    assert!(run.err.contains("what to do: "), "{}: {}", bad.name, run.err);
    assert_eq!(place.archives(), [] as [String; 0], "{}", bad.name);
    // A file that cannot be read may be readable again: finished tables are kept, and that is said.
    let is_kept = !place.temporary().is_empty();
    assert_eq!(is_kept, run.err.contains("seal --resume"), "{}: {}", bad.name, run.err);
    assert!(!is_kept || bad.code == 74, "{}", bad.name);
    if place.case().join("chain.json").exists() {
        fs::remove_file(place.case().join("chain.json")).unwrap();
    }
    works_again(&place);
}

/// A value of the wrong type sets one row aside, without the value; the rest is sealed and verifies.
#[test]
fn wrong_type_is_quarantined() {
    let place = wrong_type();
    let run = place.run(&["seal", "case", "--format", "json"]);
    assert_eq!(run.code, 5, "{}", run.err);
    let answer: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(answer["quarantined"], 1);
    assert_eq!(place.run(&["verify", &place.archive(), "--keyring", KEYRING, "--quiet"]).code, 0);
    works_again(&place);
    assert_eq!(place.archives().len(), 2);
}

/// The disk refuses more bytes at different moments of a seal; with room again, the seal goes on where it stopped.
#[test]
fn full_disk() {
    for (blocks, keeps) in [(2, false), (20, false), (60, true)] {
        let place = Place::new_case();
        let run = place.shell(&format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$S\" seal case --lang en"));
        assert_eq!(run.code, 74, "{blocks}: {}", run.err);
        assert!(run.err.contains("what to do: "), "{blocks}: {}", run.err);
        assert_eq!(place.archives(), [] as [String; 0]);
        assert_eq!((!place.temporary().is_empty(), run.err.contains("seal --resume")), (keeps, keeps), "{blocks}");
        if keeps {
            let run = place.run(&["seal", "case", "--resume", "--lang", "en"]);
            assert_eq!(run.code, 0, "{}", run.err);
            assert!(run.err.contains("going on"), "{}", run.err);
        }
        works_again(&place);
    }
}

/// A full disk during a check or a report leaves the archive as it was and no half-written folder.
#[test]
fn full_disk_after_the_seal() {
    let place = Place::sealed_case();
    let run = place.shell("trap '' XFSZ; ulimit -f 20; exec \"$S\" check case");
    assert_eq!(run.code, 74, "{}", run.err);
    assert_eq!(names(&place.case().join("out/assessments")), BTreeSet::new());
    assert_eq!(place.run(&["check", "case"]).code, 1);
    let run = place.shell("trap '' XFSZ; ulimit -f 8; exec \"$S\" report case");
    assert_eq!(run.code, 74, "{}", run.err);
    let reports = place.case().join("out/reports/sample-1-closure-0001");
    assert_eq!(names(&reports), BTreeSet::new());
    assert_eq!(place.run(&["report", "case"]).code, 0);
    assert_eq!(place.run(&["verify", &place.archive(), "--keyring", KEYRING]).code, 0);
}

/// What is wrong with the rules of a check is said at its place, before any assessment is written; a correct check
/// follows.
#[test]
fn bad_rules() {
    type Spoil = fn(&Place);
    let expired = "[[waiver]]\nid = \"W-T-1\"\npolicy = \"TXN-003\"\nmatch = { subject = \"p785\" }\nfindings_max = 1\n\
                   why = { zh = \"一\", en = \"one\" }\nowner = \"finance-lead\"\napprover = \"counsel-2\"\n\
                   approver_role = \"legal\"\ncreated_on = 2026-07-01\nexpires_on = 2026-08-01";
    let cases: [(Spoil, &[&str], &[&str]); 8] = [
        (|p| p.append("profile.toml", &override_of("shoe_size")), &[], &["profile.toml:", "accepted: min_period"]),
        (|p| p.append("waivers.toml", "[[waiver]\nid = 1"), &[], &["waivers.toml:", "expected `]`"]),
        (|p| p.append("waivers.toml", "[[waiver]]\nid = \"W\""), &[], &["missing key `policy`", "missing key `owner`"]),
        (|p| p.append("attestations.toml", "x = 1"), &[], &["attestations.toml:"]),
        (|_| {}, &["--set", "shoes"], &["no set `shoes`", "audit-core"]),
        (
            |_| {},
            &["--as-of", "2020-01-01T00:00:00+08:00"],
            &["before the data, which begins on 2025-04-01", "--as-of"],
        ),
        (
            |p| {
                p.edit("case.toml", |t| {
                    t.replace("as_of = 2026-10-01T00:00:00+08:00", "as_of = 2020-01-01T00:00:00+08:00")
                });
            },
            &[],
            &["before the data, which begins on 2025-04-01"],
        ),
        (|p| fs::remove_file(p.case().join("profile.toml")).unwrap(), &[], &["profile.toml"]),
    ];
    let place = Place::sealed_case();
    for (spoil, extra, says) in cases {
        spoil(&place);
        let run = place.run(&[&["check", "case"], extra].concat());
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{}", run.err);
        for words in says.iter().chain(&["what to do: "]) {
            assert!(run.err.contains(words), "no `{words}` in {}", run.err);
        }
        assert_eq!(names(&place.case().join("out/assessments")), BTreeSet::new());
        place.mend();
    }
    place.append("waivers.toml", expired);
    assert_eq!(place.run(&["check", "case"]).code, 1);
    let findings = csv(&place.case().join("out/assessments/sample-1-closure-0001/findings.csv"));
    assert!(
        findings.iter().any(|f| f["policy"] == "GOV-001" && f["subject"] == "W-T-1"),
        "an expired waiver is a finding"
    );
    let excused = findings.iter().find(|f| f["policy"] == "TXN-003" && f["subject"] == "p785").unwrap();
    assert_ne!(excused["waiver"], "W-T-1", "an expired waiver excuses nothing");
}

/// A policy whose file or SQL cannot be read names file and line; a policy that fails to run does not pass.
#[test]
fn bad_policies() {
    let place = Place::sealed_case();
    let pack = place.path().join("pack");
    copy_tree(&Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/cn-miniprogram"), &pack);
    let good = place.run(&["policy", "lint", "--policy", "pack"]);
    assert_eq!(good.code, 0, "{}", good.err);
    let query = pack.join("TXN/TXN-001/check.sql");
    let text = fs::read_to_string(&query).unwrap();
    fs::write(&query, text.replacen("SELECT", "SELEC", 1)).unwrap();
    let lint = place.run(&["policy", "lint", "--policy", "pack"]);
    assert_eq!(lint.code, 2);
    assert!(lint.err.contains("TXN-001/check.sql:") && lint.err.contains("SELEC"), "{}", lint.err);
    let check = place.run(&["check", "case", "--policy", "pack", "--format", "json"]);
    assert_eq!(check.code, 5, "{}", check.err);
    let answer: Value = serde_json::from_str(&check.out).unwrap();
    let outcome = answer["policies"].as_array().unwrap().iter().find(|p| p["id"] == "TXN-001").unwrap();
    assert_eq!(outcome["outcome"], "not-evaluated");
    fs::write(pack.join("TXN/TXN-001/policy.toml"), "[policy").unwrap();
    for args in [&["check", "case", "--policy", "pack"][..], &["policy", "list", "--policy", "pack"]] {
        let run = place.run(args);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{args:?}");
        assert!(run.err.contains("TXN-001/policy.toml:1:8: "), "{}", run.err);
    }
    assert_eq!(place.run(&["check", "case"]).code, 1);
}

// --- 3. interruption -------------------------------------------------------------------------------------------

/// Waits until a seal has begun to write.
fn begun(place: &Place, child: &mut std::process::Child) {
    let archives = place.case().join("out/archives");
    while !names(&archives)
        .iter()
        .any(|n| n.starts_with(".sealing-") && archives.join(n).join("bag/data/tables").exists())
    {
        assert!(child.try_wait().unwrap().is_none(), "the seal ended before it was interrupted");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn large_case() -> Place {
    let place = Place::empty();
    assert_eq!(place.run(&["synth", "--out", "case", "--orders", "6000", "--quiet"]).code, 0);
    place
}

/// Ctrl-C ends with 130 and nothing half-sealed. What a kill leaves is no archive: the next seal removes it, or goes on
/// with it when it is asked to.
#[test]
fn interrupted_seals() {
    let place = large_case();
    let mut child = place.start(&["seal", "case", "--lang", "en"]);
    begun(&place, &mut child);
    assert_eq!(place.shell(&format!("kill -INT {}", child.id())).code, 0);
    let run = Run::of(&child.wait_with_output().unwrap());
    assert_eq!((run.code, run.out.as_str()), (130, ""), "{}", run.err);
    assert!(run.err.contains("what to do: "), "{}", run.err);
    assert_eq!(place.archives(), [] as [String; 0]);
    assert_eq!(run.err.contains("seal --resume"), !place.temporary().is_empty(), "{}", run.err);

    // A quiet run tells as well.
    let mut child = place.start(&["seal", "case", "--quiet", "--format", "json"]);
    let archives = place.case().join("out/archives");
    let is_finished = |name: &String| archives.join(name).join("bag/data/tables/payments").exists();
    while !names(&archives).iter().any(is_finished) {
        assert!(child.try_wait().unwrap().is_none(), "the seal ended before it was interrupted");
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(place.shell(&format!("kill -INT {}", child.id())).code, 0);
    let run = Run::of(&child.wait_with_output().unwrap());
    let error: Value = serde_json::from_str(&run.err).unwrap();
    assert!(error["error"]["hint"].as_str().unwrap().contains("seal --resume"), "{error}");

    let killed = |table: &str| {
        let mut child = place.start(&["seal", "case"]);
        begun(&place, &mut child);
        let table = format!("bag/data/tables/{table}");
        let archives = place.case().join("out/archives");
        while !names(&archives).iter().any(|n| archives.join(n).join(&table).exists()) {
            assert!(child.try_wait().unwrap().is_none(), "the seal ended before it was killed");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(place.archives(), [] as [String; 0]);
        assert!(!place.temporary().is_empty());
        assert_eq!(place.run(&["check", "case"]).code, 2, "what a kill left is no archive");
    };
    killed("payments");
    let sealed = place.run(&["seal", "case", "--lang", "en"]);
    assert_eq!(sealed.code, 0, "{}", sealed.err);
    assert!(sealed.err.contains("removing the interrupted seal"), "{}", sealed.err);
    assert_eq!(place.temporary(), [] as [std::path::PathBuf; 0]);
    assert_eq!(place.run(&["verify", &place.archive(), "--keyring", KEYRING, "--scope", "files"]).code, 0);

    fs::remove_dir_all(place.case().join("out")).unwrap();
    fs::remove_file(place.case().join("chain.json")).unwrap();
    killed("payments");
    let sealed = place.run(&["seal", "case", "--resume", "--lang", "en"]);
    assert_eq!(sealed.code, 0, "{}", sealed.err);
    assert!(sealed.err.contains("going on with the interrupted seal"), "{}", sealed.err);
    assert_eq!(place.temporary(), [] as [std::path::PathBuf; 0]);
    assert_eq!(place.run(&["verify", &place.archive(), "--keyring", KEYRING]).code, 0);
}

// --- 4. answers ------------------------------------------------------------------------------------------------

/// Every answering command in both forms and both languages: JSON is valid, a quiet run says nothing beside its
/// answer, and Chinese differs.
#[test]
fn answers_as_json_and_in_chinese() {
    let place = Place::sealed_case();
    fs::write(place.path().join("roster.csv"), "value\nsysuser:1\n").unwrap();
    let archive = place.archive();
    let commands: Vec<(Vec<&str>, i32, bool)> = vec![
        (vec!["keys", "new", "case"], 0, true),
        (vec!["keys", "show", "case"], 0, true),
        (vec!["keys", "list", "--keyring", KEYRING], 0, true),
        (vec!["verify", &archive, "--keyring", KEYRING], 0, true),
        (vec!["check", "case"], 1, true),
        (vec!["check", &archive, "--keyring", KEYRING, "--profile", "case/profile.toml"], 1, true),
        (vec!["report", "case"], 0, true),
        (vec!["policy", "list"], 0, true),
        (vec!["policy", "show", "TXN-001"], 0, true),
        (vec!["policy", "lint"], 0, true),
        (vec!["policy", "test", "TXN-001"], 0, true),
        (vec!["mapping", "list", "case"], 0, true),
        (vec!["mapping", "show", "case/source/mapping.toml"], 0, false),
        (vec!["mapping", "lint", "case/source/mapping.toml"], 0, true),
        (vec!["schema"], 0, false),
        (vec!["completions", "bash"], 0, false),
        (vec!["man"], 0, false),
        (vec!["seal", "case", "--draft"], 0, true),
    ];
    for (args, code, translated) in commands {
        let run = |more: &[&str]| {
            let run = place.run(&[args.as_slice(), more, &["--quiet"]].concat());
            assert_eq!(run.code, code, "{args:?} {more:?}: {}", run.err);
            assert_eq!(run.err, "", "{args:?} {more:?}");
            run.out
        };
        let json = run(&["--format", "json"]);
        assert!(serde_json::from_str::<Value>(&json).is_ok(), "{args:?}: {json}");
        let zh = run(&["--lang", "zh"]);
        assert!(!zh.is_empty(), "{args:?}");
        if translated {
            assert!(is_chinese(&zh), "{args:?}: {zh}");
        }
    }
    // These want a new target each time.
    for (lang, out) in [("en", "a"), ("zh", "b")] {
        let init =
            place.run(&["init", &format!("case-{out}"), "--kind", "audit", "--lang", lang, "--format", "json", "-q"]);
        assert!(init.code == 0 && init.err.is_empty() && serde_json::from_str::<Value>(&init.out).is_ok());
        let answer = format!("answer-{out}.csv");
        let look =
            ["lookup", "case", "--key", "staff", "--roster", "roster.csv", "--reason", "r", "--out", &answer, "-q"];
        let text = place.run(&[&look[..], &["--lang", lang]].concat());
        assert!(text.code == 0 && text.err.is_empty() && is_chinese(&text.out) == (lang == "zh"), "{}", text.out);
    }
}

/// Errors as JSON: one object on stderr with code, messages and hint; stdout stays empty.
#[test]
fn errors_as_json() {
    let place = Place::new_case();
    for (args, code) in [
        (&["seal", "nowhere"][..], 2),
        (&["report", "case"], 2),
        (&["verify", "case", "--keyring", "nowhere.json"], 2),
        (&["keys", "list", "--keyring", "nowhere.json"], 74),
        (&["policy", "show", "XYZ-999"], 2),
    ] {
        let run = place.run(&[args, &["--format", "json"]].concat());
        let error: Value = serde_json::from_str(&run.err).unwrap_or_else(|e| panic!("{args:?}: {e}: {}", run.err));
        assert_eq!((run.code, run.out.as_str()), (code, ""), "{args:?}: {}", run.err);
        assert_eq!(error["error"]["code"], code);
        assert!(
            error["error"]["messages"][0].is_string() && error["error"]["hint"].is_string(),
            "{args:?}: {}",
            run.err
        );
    }
}

/// The whole job in one command, on a merchant without faults: 0, and every part of the answer is there.
#[test]
fn whole_run_on_a_clean_merchant() {
    let place = Place::empty();
    assert_eq!(place.run(&["synth", "--out", "case", "--orders", "1000", "--faults", "none", "-q"]).code, 0);
    let run = place.run(&["run", "case", "--format", "json", "--quiet"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let answer: Value = serde_json::from_str(&run.out).unwrap();
    for part in ["seal", "verify", "check", "report"] {
        assert!(answer[part].is_object(), "{part}");
    }
    assert_eq!(place.journal(), ["seal", "check", "report"]);
}

/// A case as `init` writes it can be checked once its sources are named: its profile fits the built-in pack.
#[test]
fn fresh_case_fits_the_pack() {
    let place = Place::new_case();
    for kind in ["deregistration", "migration", "offboarding", "audit"] {
        let source = "sqlite://case/source/shop.db";
        let args = ["init", kind, "--kind", kind, "--source", source, "--mapping", "case/source/mapping.toml"];
        assert_eq!(place.run(&args).code, 0);
        let sealed = place.run(&["seal", kind, "--quiet"]);
        assert_eq!(sealed.code, 0, "{}", sealed.err);
        let check = place.run(&["check", kind, "--quiet"]);
        assert!([0, 1, 5].contains(&check.code), "{kind}: {} {}", check.code, check.err);
        let again = place.run(&args);
        assert_eq!(again.code, 2, "a case is never overwritten");
    }
}

fn commands(command: &clap::Command, path: &[String], visit: &mut dyn FnMut(&[String], &clap::Command)) {
    visit(path, command);
    for sub in command.get_subcommands() {
        let path = [path, &[sub.get_name().to_owned()]].concat();
        commands(sub, &path, visit);
    }
}

/// Every command and every argument is described, and `--help` shows it without touching anything.
#[test]
fn help_describes_everything() {
    let place = Place::empty();
    let mut command = sealport::cli::args::Cli::command();
    command.build();
    let mut seen = 0;
    commands(&command, &[], &mut |path, command| {
        assert!(command.get_about().is_some_and(|a| !a.to_string().trim().is_empty()), "{path:?}");
        for argument in command.get_arguments() {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(!help.trim().is_empty(), "{path:?} {}", argument.get_id());
        }
        let args: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let run = place.run(&args);
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{path:?}");
        assert!(run.out.contains("Usage: sealport"), "{path:?}");
        seen += 1;
    });
    assert!(seen > 20, "{seen}");
    assert_eq!(names(place.path()), BTreeSet::new());
}

/// The flags of every command by its words, and all flags there are.
fn flags() -> (Vec<(String, BTreeSet<String>)>, BTreeSet<String>) {
    let mut command = sealport::cli::args::Cli::command();
    command.build();
    let mut list = Vec::new();
    commands(&command, &[], &mut |path, command| {
        let own = command.get_arguments().filter_map(|a| a.get_long()).map(|l| format!("--{l}"));
        list.push((path.join(" "), own.chain(["--help".to_owned(), "--version".to_owned()]).collect()));
    });
    let all = list.iter().flat_map(|(_, flags): &(String, BTreeSet<String>)| flags.clone()).collect();
    (list, all)
}

/// `--words` in a text.
fn named_flags(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("--") {
        let before = text[..at].chars().next_back();
        let word: String = text[at + 2..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
        let starts = !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '-');
        if starts && word.starts_with(|c: char| c.is_ascii_lowercase()) {
            found.push(format!("--{word}"));
        }
    }
    found
}

/// Texts of the program (not its tests and comments) and of its documentation.
fn texts() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut out = Vec::new();
    walk(&root.join("src"), &mut |path| {
        let is_test =
            path.file_stem().is_some_and(|n| n == "tests") || path.components().any(|c| c.as_os_str() == "tests");
        if path.extension().is_some_and(|e| e == "rs") && !is_test {
            let text = fs::read_to_string(path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for line in code.lines().filter(|l| !l.trim_start().starts_with("//") && l.contains('"')) {
                out.push((path.display().to_string(), line.to_owned()));
            }
        }
    });
    for name in ["README.md", "README.zh-CN.md"] {
        out.push((name.into(), fs::read_to_string(root.join(name)).unwrap()));
    }
    walk(&root.join("docs"), &mut |path| {
        if path.extension().is_some_and(|e| e == "md") {
            out.push((path.display().to_string(), fs::read_to_string(path).unwrap()));
        }
    });
    out
}

/// Every flag that a message, a hint or a page names exists; one named together with its command belongs to it.
#[test]
fn named_flags_exist() {
    let (list, all) = flags();
    let mut seen = 0;
    for (file, text) in texts() {
        for line in text.lines() {
            // The README of an archive names flags of other programs.
            let is_program = file.ends_with(".rs") && !file.ends_with("archive/readme.rs");
            for (at, _) in line.match_indices("sealport ") {
                let call = line[at + 9..].split(['`', '"', '#', ';', '。', '；']).next().unwrap_or_default();
                let call = call.split("\\n").next().unwrap_or_default();
                let command = list.iter().filter(|(words, _)| {
                    let mut typed = call.split_whitespace();
                    !words.is_empty() && words.split(' ').all(|w| typed.next() == Some(w))
                });
                let Some((words, flags)) = command.max_by_key(|(words, _)| words.len()) else { continue };
                for flag in named_flags(call) {
                    assert!(flags.contains(&flag), "{file}: `sealport {words}` has no {flag}: {line}");
                    seen += 1;
                }
            }
            if is_program {
                for flag in named_flags(line) {
                    assert!(all.contains(&flag), "{file}: no command has {flag}: {line}");
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 20, "{seen}");
}

// --- 5. keys, look-up, worklist --------------------------------------------------------------------------------

fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    names(dir).into_iter().map(|n| (n.clone(), fs::read(dir.join(n)).unwrap())).collect()
}

/// Keys are private, and making them twice changes nothing; a missing one is made without touching the others.
#[test]
fn keys_are_private_and_stay() {
    let place = Place::empty();
    assert_eq!(place.run(&["init", "case", "--kind", "audit"]).code, 0);
    place.edit("case.toml", |t| format!("{t}\n[[bills]]\nglob = \"bills/*.csv\"\n"));
    let secrets = place.case().join("secrets");
    assert_eq!(mode(&secrets), 0o700);
    for name in names(&secrets) {
        assert_eq!(mode(&secrets.join(&name)), 0o600, "{name}");
    }
    let before = (contents(&secrets), contents(&place.case().join("keyring")));
    for _ in 0..2 {
        let run = place.run(&["keys", "new", "case"]);
        assert_eq!(run.code, 0, "{}", run.err);
        assert!(run.out.contains("Existing keys were left as they are."));
    }
    assert_eq!(before, (contents(&secrets), contents(&place.case().join("keyring"))));
    let shown = place.run(&["keys", "show", "case"]).out;
    for (name, secret) in &before.0 {
        let text = String::from_utf8(secret.clone()).unwrap();
        let line = text.lines().find(|l| !l.starts_with("-----")).unwrap();
        assert!(!shown.contains(line), "{name} is shown");
    }
    fs::remove_file(secrets.join("staff.key")).unwrap();
    assert_eq!(place.run(&["keys", "new", "case"]).code, 0);
    let after = contents(&secrets);
    let changed: Vec<&String> = before.0.iter().zip(&after).filter(|(a, b)| a != b).map(|(a, _)| &a.0).collect();
    assert_eq!(changed, ["staff.key"]);
}

/// A look-up needs a reason, answers into a private new file, and is journaled with its reason but without names.
#[test]
fn lookup_is_reasoned_private_and_journaled() {
    let place = Place::sealed_case();
    fs::write(place.path().join("roster.csv"), "value,name\nsysuser:1,Wang\nsysuser:2,Li\n").unwrap();
    let base = ["lookup", "case", "--key", "staff", "--roster", "roster.csv", "--out", "answer.csv"];
    for more in [&[][..], &["--reason", "  "]] {
        let refused = place.run(&[&base[..], more].concat());
        assert_eq!((refused.code, refused.out.as_str()), (2, ""));
        assert!(refused.err.contains("--reason"), "{}", refused.err);
        assert!(!place.path().join("answer.csv").exists());
    }
    let run = place.run(&[&base[..], &["--reason", "court order 2026-88"]].concat());
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(!run.out.contains("Wang") && !run.out.contains("s_"), "names and tokens go to the file only");
    let answer = place.path().join("answer.csv");
    assert_eq!(mode(&answer), 0o600);
    let rows = csv(&answer);
    assert!(rows.len() == 2 && rows.iter().all(|r| r["token"].starts_with("s_") && r["token"].len() == 28));
    let again = place.run(&[&base[..], &["--reason", "again"]].concat());
    assert_eq!(again.code, 2, "an answer is never overwritten");
    assert_eq!(place.journal(), ["seal", "lookup"]);
    let journal = fs::read_to_string(place.case().join("out/journal.jsonl")).unwrap();
    assert!(journal.contains("court order 2026-88") && !journal.contains("Wang") && !journal.contains("sysuser"));
}

/// The worklist is private and names logins; the assessment, the journal and the answer name none of them.
#[test]
fn worklist_is_private() {
    let place = Place::sealed_case();
    let run = place.run(&["check", "case"]);
    assert_eq!(run.code, 1);
    let list = place.case().join("out/worklist.csv");
    assert_eq!(mode(&list), 0o600);
    let logins: BTreeSet<String> = csv(&list).into_iter().map(|r| r["login"].clone()).collect();
    assert!(!logins.is_empty() && logins.iter().all(|l| !l.is_empty() && !l.starts_with("s_")));
    let mut texts = vec![run.out, run.err, fs::read_to_string(place.case().join("out/journal.jsonl")).unwrap()];
    walk(&place.case().join("out/assessments"), &mut |path| {
        if path.is_file() {
            texts.push(String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned());
        }
    });
    for login in &logins {
        assert!(!texts.iter().any(|t| t.contains(login.as_str())), "a login left the worklist");
    }
    assert_eq!(place.journal(), ["seal", "check"]);
}

// --- 6. real bills ---------------------------------------------------------------------------------------------

/// Rows of a table of the sealed archive, as text.
pub(crate) fn rows(archive: &Path, table: &str, columns: &[&str]) -> Vec<Vec<String>> {
    use arrow::util::display::{ArrayFormatter, FormatOptions};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let file = fs::File::open(archive.join(format!("data/tables/{table}/part-00000.parquet"))).unwrap();
    let mut out = Vec::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
        let batch = batch.unwrap();
        let options = FormatOptions::default();
        let cells: Vec<_> = columns
            .iter()
            .map(|c| ArrayFormatter::try_new(batch.column_by_name(c).unwrap(), &options).unwrap())
            .collect();
        out.extend((0..batch.num_rows()).map(|r| cells.iter().map(|c| c.value(r).to_string()).collect::<Vec<_>>()));
    }
    out
}

/// The platform's own bills, end to end: the complete file agrees with its summary and with the SHA-1 the platform
/// gave; files that were trimmed by their authors are found out.
#[test]
#[ignore = "needs the sample bills (SEALPORT_TEST_BILLS)"]
fn real_bills_end_to_end() {
    let samples = std::env::var_os("SEALPORT_TEST_BILLS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/bills"), std::path::PathBuf::from);
    assert!(samples.is_dir(), "set SEALPORT_TEST_BILLS to the folder of the samples");
    let place = Place::empty();
    let bills = place.path().join("bills");
    fs::create_dir(&bills).unwrap();
    for folder in ["wechat-tradebill", "wechat-fundflow", "unionpay-zm"] {
        // UnionPay's files as they arrive: packed.
        for name in names(&samples.join(folder)).into_iter().filter(|n| n.contains('.')) {
            let bytes = fs::read(samples.join(folder).join(&name)).unwrap();
            fs::write(bills.join(name), bytes).unwrap();
        }
    }
    let complete = "trade-ALL-2021-01-28.csv";
    let stated = "dcd7ceb3d382a1181798368bb15d8437de46c00f";
    fs::write(bills.join("SHA1SUMS"), format!("{stated}  {complete}\n")).unwrap();

    let init = place.run(&["init", "case", "--kind", "audit", "--bills", "bills/*"]);
    assert_eq!(init.code, 0, "{}", init.err);
    place.edit("case.toml", |text| {
        let line = |l: &str| match l.split(" = ").next().unwrap_or_default() {
            "title" => "title = \"账单核对\"".to_owned(),
            "merchant" => "merchant = \"示例商户\"".to_owned(),
            "as_of" => "as_of = 2021-03-01T00:00:00+08:00\ndecided_on = 2021-03-01".to_owned(),
            "window" => "window = { from = 2014-01-01, to = 2021-03-01 }".to_owned(),
            _ => l.to_owned(),
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n")
    });
    let sealed = place.run(&["seal", "case"]);
    assert_eq!(sealed.code, 0, "{}", sealed.err);
    assert_eq!(place.run(&["verify", &place.archive(), "--keyring", KEYRING]).code, 0);

    let columns = [
        "layout",
        "row_count",
        "stated_count",
        "total_fen",
        "stated_total_fen",
        "refund_fen",
        "stated_refund_fen",
        "fee_e6",
        "stated_fee_e6",
        "digest_algorithm",
        "expected_digest",
        "actual_digest",
        "bill_ref",
    ];
    let table = rows(&place.path().join(place.archive()), "bills", &columns);
    assert_eq!(table.len(), 6);
    let summary = table.iter().find(|r| r[0] == "unionpay-rd").unwrap();
    assert_eq!(summary[1..9], ["0", "", "1322700", "1322700", "0", "0", "79360000", "79360000"]);
    let whole = table.iter().find(|r| r[0] == "wechat-trade-all-27").unwrap();
    assert_eq!(whole[1..9], ["3", "3", "3", "3", "0", "0", "0", "0"]);
    assert_eq!(whole[9..12], ["sha1", stated, stated]);
    let legacy = table.iter().find(|r| r[0] == "wechat-trade-all-24").unwrap();
    assert!(legacy[1] == legacy[2] && legacy[3] == legacy[4] && legacy[5] == legacy[6], "{legacy:?}");

    // Bills alone leave most policies without data, which is said.
    let check = place.run(&["check", "case"]);
    assert_eq!(check.code, 5, "{}", check.err);
    let findings = csv(&place.case().join("out/assessments/case-1-0001/findings.csv"));
    let about: BTreeSet<&str> =
        findings.iter().filter(|f| f["policy"] == "REC-003").map(|f| f["subject"].as_str()).collect();
    let trimmed: BTreeSet<&str> = table
        .iter()
        .filter(|r| ["wechat-trade-success-20", "wechat-fund-11"].contains(&r[0].as_str()))
        .map(|r| r[12].as_str())
        .collect();
    assert_eq!(trimmed.len(), 2);
    // UnionPay's sample is of a test system: its name is a day before all of its records.
    let (dated, cut): (BTreeSet<&str>, BTreeSet<&str>) = about.iter().partition(|s| s.starts_with("unionpay-trade"));
    assert_eq!(cut, trimmed);
    let reasons: Vec<&str> =
        findings.iter().filter(|f| dated.contains(f["subject"].as_str())).map(|f| f["reason"].as_str()).collect();
    assert_eq!(reasons, ["outside-days"]);
    assert!(!findings.iter().any(|f| f["policy"] == "REC-002"), "the SHA-1 is the platform's");
    let report = place.run(&["report", "case", "--kind", "audit"]);
    assert_eq!(report.code, 0, "{}", report.err);

    // Another SHA-1 than the platform's is a finding on the next archive.
    fs::write(bills.join("SHA1SUMS"), format!("{}  {complete}\n", "0".repeat(40))).unwrap();
    assert_eq!(place.run(&["seal", "case"]).code, 0);
    assert_eq!(place.run(&["check", "case"]).code, 5);
    let findings = csv(&place.case().join("out/assessments/case-1-0002/findings.csv"));
    assert!(findings.iter().any(|f| f["policy"] == "REC-002" && f["subject"] == whole[12]));
}

/// A stop between moving the archive into place and writing `chain.json` is mended by the next seal.
#[test]
fn an_archive_sealed_before_a_stop_is_taken_into_the_chain() {
    let place = Place::sealed_case();
    fs::remove_file(place.case().join("chain.json")).unwrap();
    let run = place.run(&["--format", "json", "seal", "case"]);
    assert_eq!(run.code, 0, "{}", run.err);
    let answer: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(answer["sequence"], 2);
    assert_eq!(place.archives().len(), 2);
}

/// Extremes of time are a usage error, not a crash.
#[test]
fn instants_outside_any_case_are_refused() {
    let place = Place::sealed_case();
    for at in ["-262143-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59"] {
        let run = place.run(&["check", "case", &format!("--as-of={at}")]);
        assert_eq!(run.code, 2, "{at}: {}", run.err);
    }
}

/// What a SELECT leaves out without saying why stands in the account of the seal and in the report.
#[test]
fn rows_left_out_are_shown() {
    let place = Place::sealed_case();
    let path = place.path().join(place.archive()).join("data/custody/reconciliation.json");
    let account: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let feed = &account["datasets"]["operation_logs"]["feeds"][0];
    let (whole, read) = (feed["wholeTableRows"].as_u64().unwrap(), feed["rowsRead"].as_u64().unwrap());
    assert!(whole > read, "{whole} rows, {read} read");
    assert!(feed["conditions"][0].as_str().unwrap().contains("module"), "{feed}");
    assert!(place.run(&["check", "case", "--quiet"]).code <= 1);
    assert_eq!(place.run(&["report", "case", "--quiet"]).code, 0);
    let out = place.case().join("out/reports").join(&place.archives()[0]).join("deregistration");
    for name in ["deregistration.en.html", "deregistration.zh.html"] {
        let page = fs::read_to_string(out.join(name)).unwrap();
        assert!(page.contains("sys_oplog") && page.contains("t.module"), "{name}");
    }
}
