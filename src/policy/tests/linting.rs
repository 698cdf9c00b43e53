//! Mistakes in packs are all reported, at their places, and hostile SQL is refused.

use super::*;

/// Mistakes of several files come in one run, each with its position.
#[test]
fn every_mistake_of_every_file() {
    let dir = edited(&[
        ("pack.toml", "version = \"1.0.0\"", "version = \"one\"\nsurplus = 1"),
        ("laws.toml", "force = \"statute\"", "force = \"rumour\""),
        ("schedule.toml", "min_period = \"10 years\"", "min_period = \"ten years\""),
        ("tables/transitions.csv", "1,2,false", "one,2,perhaps"),
        ("TXN/TXN-901/policy.toml", "severity = \"high\"", "severity = \"dreadful\""),
        ("TXN/TXN-901/policy.toml", "\"route\", ", "\"rout\", "),
        ("TXN/TXN-901/policy.toml", "tighten = \"down\"", "tighten = \"sideways\""),
        ("LOG/LOG-901/policy.toml", "zh = \"缺月份的日志\", ", ""),
        ("LOG/LOG-901/policy.toml", "id = \"LOG-901\"", "id = \"LOG-902\""),
        ("GOV/GOV-901/policy.toml", "[reasons.expired]", "[reasons.outdated]"),
    ]);
    let text = match Pack::load(dir.path()) {
        Ok(_) => panic!("the pack must not load"),
        Err(e) => e.to_string().replace(&format!("{}/", dir.path().display()), ""),
    };
    for expected in [
        "pack.toml:5:11: `version` must be three numbers",
        "pack.toml:6:1: unknown key `surplus`",
        "laws.toml:6:9: `force` is `rumour`; accepted: statute",
        "schedule.toml:6:14: `min_period` must be a period",
        "tables/transitions.csv:2:1: `from_rank` does not accept `one`",
        "tables/transitions.csv:2:1: `is_from_terminal` does not accept `perhaps`",
        "`severity` is `dreadful`; accepted: critical, high",
        "dataset `refunds` has no column `rout`",
        "`tighten` is `sideways`; accepted: up, down",
        "LOG/LOG-901/policy.toml:11:9: missing key `zh`",
        "`id` is `LOG-902` but the folder is `LOG/LOG-901`",
        "[reasons] must declare exactly expired; found outdated",
    ] {
        assert!(text.contains(expected), "expected {expected} in\n{text}");
    }
}

/// What a check.sql must not do is refused with a position, and the rest of the pack is still linted.
#[tokio::test]
async fn profile_violations() {
    let order = "\nORDER BY finding_ref, finding_reason\n";
    let row = "r.payment_ref, r.amount_fen, r.succeeded_at";
    let head = "SELECT r.refund_ref AS finding_ref, 'late' AS finding_reason, ";
    let deep = format!("{head}{row} FROM refunds r WHERE {}1 = 1{}{order}", "(".repeat(3000), ")".repeat(3000));
    let many_nots = format!("{head}{row} FROM refunds r WHERE {} TRUE{order}", "NOT ".repeat(5000));
    let nested = format!("{head}{row} FROM {}refunds{} r{order}", "(SELECT * FROM ".repeat(200), ") x".repeat(200));
    let cases: Vec<(String, &str)> = vec![
        (format!("{head}{row} FROM refunds r"), "the last line must be ORDER BY finding_ref, finding_reason"),
        (format!("{head}{row} FROM refunds r{order}; DROP TABLE refunds"), "exactly one SELECT"),
        ("DROP TABLE refunds".into(), "exactly one SELECT"),
        ("COPY refunds TO '/nowhere/x'".into(), "SELECT"),
        (format!("{head}{row} FROM '/etc/passwd' r{order}"), "a table is a plain name"),
        (format!("{head}{row} FROM read_parquet('/etc/passwd') r{order}"), "functions, files and other schemas"),
        (format!("{head}{row} FROM information_schema.tables r{order}"), "functions, files and other schemas"),
        (format!("{head}{row} FROM payments r{order}"), "table `payments` is not declared"),
        (format!("WITH RECURSIVE x AS (SELECT 1 AS n) {head}{row} FROM refunds r{order}"), "recursive WITH"),
        (format!("SELECT * FROM refunds r{order}"), "SELECT * is not in the profile"),
        (format!("{head}{row} FROM refunds r{order} LIMIT 5"), "LIMIT"),
        (
            format!("{head}{row} FROM refunds r WHERE r.requested_at < now(){order}"),
            "function `now` is not in the profile",
        ),
        (format!("{head}{row} FROM refunds r WHERE r.amount_fen / 2 > 1{order}"), "/ means different things"),
        (
            format!("{head}{row} FROM refunds r WHERE r.refund_ref NOT IN (SELECT refund_ref FROM refunds){order}"),
            "write NOT EXISTS",
        ),
        (format!("{head}{row} FROM refunds r WHERE \"r\".status = 'x'{order}"), "quoted name"),
        (format!("{head}{row} FROM refunds R{order}"), "not lower-case"),
        (
            format!("{head}{row} FROM refunds r WHERE r.succeeded_at - r.requested_at IS NULL{order}"),
            "difference of instants",
        ),
        (
            format!("{head}{row} FROM refunds r WHERE r.requested_at + INTERVAL '1' DAY < $as_of{order}"),
            "days, months and years are added to _on",
        ),
        (format!("{head}{row} FROM refunds r WHERE r.amount_fen > $nope{order}"), "parameter `$nope` is not declared"),
        (format!("{head}{row} FROM refunds r WHERE CAST(r.amount_fen AS DOUBLE) > 1{order}"), "CAST to DOUBLE"),
        (format!("{head}{row} FROM refunds r WHERE EXTRACT(YEAR FROM r.requested_at) = 1{order}"), "zone-dependent"),
        (format!("{head}{row} FROM refunds r WHERE r.amount_fen * r.amount_fen > 1{order}"), "product of integers"),
        (
            format!(
                "WITH s AS (SELECT SUM(amount_fen) AS total FROM refunds) {head}{row} FROM refunds r CROSS JOIN s WHERE s.total > 1{order}"
            ),
            "SUM of an integer can wrap",
        ),
        (
            format!("{head}{row}, r.status AS more FROM refunds r{order}"),
            "output column `more` is not declared in [evidence]",
        ),
        (format!("{head}r.payment_ref FROM refunds r{order}"), "evidence column `amount_fen` is not in the output"),
        (format!("{head}{row}, r.refund_no FROM refunds r{order}"), "refund_no"),
        (
            format!("SELECT 1 AS finding_ref, 'late' AS finding_reason, {row} FROM refunds r{order}"),
            "`finding_ref` must be text",
        ),
        ("SELECT CASE FROM refunds (".into(), "not SQL"),
        (String::new(), "exactly one SELECT"),
        (deep, "recursion limit"),
        (many_nots, "not SQL"),
        (nested, "recursion limit"),
        (format!("{head}{row} FROM refunds r WHERE r.status = '{}'{order}", "x".repeat(70_000)), "longer than"),
    ];
    let dir = tempfile::tempdir().expect("dir");
    let copy = edited(&[]);
    for (sql, expected) in cases {
        std::fs::write(copy.path().join("TXN/TXN-901/check.sql"), &sql).expect("written");
        let pack = Pack::load(copy.path()).expect("loads");
        let problems = pack.lint(&limits(&dir)).await.expect("engine").to_string();
        let shown: String = sql.chars().take(200).collect();
        assert!(problems.contains(expected), "expected {expected} for {shown}\n{problems}");
    }
}

/// Declared but unused things, weak evidence classes, unread sources and incomplete tests are mistakes.
#[tokio::test]
async fn declarations_cannot_lie() {
    let dir = tempfile::tempdir().expect("dir");
    let copy = edited(&[
        ("TXN/TXN-901/policy.toml", "\"refund_ref\", ", "\"refund_ref\", \"approved_at\", "),
        ("TXN/TXN-901/policy.toml", "[params.routes]", "[params.idle]\ntype = \"int\"\ndefault = 1\n[params.routes]"),
        ("TXN/TXN-901/policy.toml", "payment_ref = \"business_id\"", "payment_ref = \"none\""),
        ("TXN/TXN-901/tests.toml", "covers = [\"empty\"]", "covers = []"),
        ("LOG/LOG-901/policy.toml", "no log for this month", "this is illegal"),
        (
            "LOG/LOG-901/policy.toml",
            "[reasons.absent]",
            "[reasons.other]\ntext = { zh = \"其他\", en = \"other\" }\n[reasons.absent]",
        ),
    ]);
    let pack = Pack::load(copy.path()).expect("loads");
    let text = pack.lint(&limits(&dir)).await.expect("engine").to_string();
    for expected in [
        "column `refunds.approved_at` is declared in [needs.columns] but never read",
        "parameter `idle` is declared but never used",
        "evidence `payment_ref` is declared `none`, but `refunds.payment_ref` is `business_id`",
        "no case covers `empty`",
        "no case expects the reason `other`",
        "says `illegal`, but no law among its sources was read in full",
    ] {
        assert!(text.contains(expected), "expected {expected} in\n{text}");
    }
}
