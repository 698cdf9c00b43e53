//! Whole runs over small tables: outcomes, waivers, profile, attestations, the run's own policies.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, NaiveDate, Utc};

use super::*;
use crate::finding::{Assessment, Finding, Outcome, PolicyResult, Summary};
use crate::model::Digest;
use crate::progress::{Cancel, Hidden};
use crate::schema;

const PROFILE: &str = "format = 1\n[profile]\nid = \"p\"\nrole = \"self-operated\"\nchannels = [\"wechat\"]\nzone = \"Asia/Shanghai\"\n\
    packs = [{ name = \"tiny\", version = \"1.0.0\" }]\nsets = [\"core\", \"run\"]\n";

fn day(text: &str) -> NaiveDate {
    text.parse().expect("date")
}

fn micros(text: &str) -> i64 {
    text.parse::<DateTime<Utc>>().expect("instant").timestamp_micros()
}

/// One column of test data.
enum Data {
    Text(Vec<Option<&'static str>>),
    Int(Vec<i64>),
    Day(Vec<&'static str>),
    Time(Vec<Option<&'static str>>),
}

/// Writes a table with these columns, the others null, as the archive would.
fn table(dir: &Path, name: &str, columns: &[(&str, Data)]) -> Table {
    let dataset = schema::dataset(name).expect("dataset");
    let arrow = dataset.arrow_schema();
    let rows = match &columns[0].1 {
        Data::Text(v) => v.len(),
        Data::Int(v) => v.len(),
        Data::Day(v) => v.len(),
        Data::Time(v) => v.len(),
    };
    let arrays: Vec<ArrayRef> = arrow
        .fields()
        .iter()
        .map(|f| match columns.iter().find(|(n, _)| n == f.name()).map(|(_, d)| d) {
            Some(Data::Text(v)) => Arc::new(v.iter().copied().collect::<arrow::array::StringArray>()) as ArrayRef,
            Some(Data::Int(v)) => Arc::new(arrow::array::Int64Array::from(v.clone())),
            Some(Data::Day(v)) => Arc::new(
                v.iter().map(|d| Some(crate::policy::facts::epoch_days(day(d)))).collect::<arrow::array::Date32Array>(),
            ),
            Some(Data::Time(v)) => Arc::new(
                v.iter()
                    .map(|t| t.map(micros))
                    .collect::<arrow::array::TimestampMicrosecondArray>()
                    .with_timezone("UTC"),
            ),
            None => new_null_array(f.data_type(), rows),
        })
        .collect();
    let fields: Vec<_> = arrow.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
    let batch = RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), arrays).expect("batch");
    let path = dir.join(format!("{name}.parquet"));
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(File::create(&path).expect("file"), batch.schema(), None).expect("writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    Table {
        name: name.into(),
        files: vec![path],
        schema: arrow,
        rows: rows as u64,
        coverage: Some((day("2025-04-01"), day("2026-10-01"))),
    }
}

/// Three refunds: in time, late, by another route; all months logged but August; one notice.
fn facts(dir: &Path) -> Facts {
    let time = |t| Some(t);
    Facts {
        tables: vec![
            table(
                dir,
                "refunds",
                &[
                    ("refund_ref", Data::Text(vec![Some("M1/r3"), Some("M1/r1"), Some("M1/r2")])),
                    ("payment_ref", Data::Text(vec![Some("p3"), Some("p1"), None])),
                    ("amount_fen", Data::Int(vec![300, 100, 200])),
                    ("status", Data::Text(vec![Some("succeeded"), Some("succeeded"), Some("processing")])),
                    ("route", Data::Text(vec![Some("offline"), Some("original"), None])),
                    (
                        "requested_at",
                        Data::Time(vec![
                            time("2026-08-03T00:00:00Z"),
                            time("2026-08-01T00:00:00Z"),
                            time("2026-08-02T00:00:00Z"),
                        ]),
                    ),
                    (
                        "succeeded_at",
                        Data::Time(vec![time("2026-08-03T01:00:00Z"), time("2026-08-02T00:00:00Z"), None]),
                    ),
                ],
            ),
            table(
                dir,
                "record_inventory",
                &[
                    ("merchant_ref", Data::Text(vec![Some("M1"), Some("M1")])),
                    ("data_class", Data::Text(vec![Some("permission-log"), Some("permission-log")])),
                    ("month_on", Data::Day(vec!["2026-07-01", "2026-09-01"])),
                ],
            ),
            table(
                dir,
                "notices",
                &[("notice_ref", Data::Text(vec![Some("n1")])), ("content_sha256", Data::Text(vec![Some("ab12")]))],
            ),
        ],
        absent: BTreeMap::new(),
        opened_on: Some(day("2025-04-01")),
        archive_id: "urn:uuid:0".into(),
        archive_digest: Digest([1; 32]),
        statement_hash: Digest([2; 32]),
        verification: "FULL".into(),
        as_of: "2026-10-01T00:00:00+08:00".parse().expect("instant"),
        window: (day("2026-07-01"), day("2026-10-01")),
        decided_on: day("2026-10-01"),
        zone: chrono_tz::Asia::Shanghai,
    }
}

struct Setup {
    dir: tempfile::TempDir,
    pack: Pack,
    facts: Facts,
    profile: String,
    waivers: String,
    attestations: String,
    threads: usize,
    only: Vec<String>,
    memory_bytes: usize,
    rows_max: usize,
}

fn setup() -> Setup {
    let dir = tempfile::tempdir().expect("dir");
    let facts = facts(dir.path());
    Setup {
        pack: pack(),
        facts,
        dir,
        profile: PROFILE.into(),
        waivers: String::new(),
        attestations: String::new(),
        threads: 2,
        only: Vec::new(),
        memory_bytes: 64 << 20,
        rows_max: 1000,
    }
}

impl Setup {
    async fn try_run(&self) -> Result<(Assessment, Vec<Finding>), Error> {
        let head = |text: &str| format!("format = 1\n{text}");
        let profile = Profile::parse("profile.toml", &self.profile, &self.pack)?;
        let waivers = Waivers::parse("waivers.toml", &head(&self.waivers), &self.pack)?;
        let attestations = Attestations::parse("attestations.toml", &head(&self.attestations), &self.pack)?;
        let limits = Limits { memory_bytes: self.memory_bytes, rows_max: self.rows_max, ..limits(&self.dir) };
        let inputs = Inputs {
            pack: &self.pack,
            profile: &profile,
            waivers: &waivers,
            attestations: &attestations,
            evidence_dir: Some(self.dir.path()),
            facts: &self.facts,
            only: &self.only,
            limits: &limits,
            threads: self.threads,
            input_digests: &BTreeMap::new(),
            findings_csv: "findings.csv",
        };
        let mut findings = Vec::new();
        let assessment = run(&inputs, &mut findings, &Hidden, &Cancel::default()).await?;
        Ok((assessment, findings))
    }

    async fn run(&self) -> (Assessment, Vec<Finding>) {
        self.try_run().await.unwrap_or_else(|e| panic!("the check runs: {e}"))
    }
}

fn policy<'a>(assessment: &'a Assessment, id: &str) -> &'a PolicyResult {
    assessment.policies.iter().find(|p| p.id == id).unwrap_or_else(|| panic!("{id} is in the assessment"))
}

fn lines(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .map(|f| {
            format!(
                "{} {} {}{}",
                f.policy,
                f.subject,
                f.reason,
                f.waiver.as_ref().map(|w| format!(" ({w})")).unwrap_or_default()
            )
        })
        .collect()
}

fn waiver(id: &str, policy: &str, matches: &str, more: &str) -> String {
    format!(
        "[[waiver]]\nid = \"{id}\"\npolicy = \"{policy}\"\nmatch = {{ {matches} }}\nwhy = {{ zh = \"已核实\", en = \"looked into\" }}\n\
         owner = \"finance-lead\"\napprover = \"counsel\"\napprover_role = \"legal\"\ncreated_on = 2026-09-01\n{more}\n"
    )
}

/// A plain run: findings in order with evidence and fingerprints, counts, record of the run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_run() {
    let setup = setup();
    let (assessment, findings) = setup.run().await;
    assert_eq!(lines(&findings), ["LOG-901 2026-08 absent", "TXN-901 M1/r2 late", "TXN-901 M1/r3 wrong-route"]);
    let late = &findings[1];
    assert_eq!(late.occurred.as_deref(), Some("2026-08-02T00:00:00Z"));
    assert_eq!(late.evidence.get("amount_fen"), Some(&Some("200".to_owned())));
    assert_eq!(late.evidence.get("payment_ref"), Some(&None));
    assert_eq!(late.fingerprint, fingerprint("TXN-901", "refund", "M1/r2", "late"));
    assert_eq!(findings[2].severity.word(), "low");
    let txn = policy(&assessment, "TXN-901");
    assert_eq!((txn.outcome, txn.population, txn.findings, txn.waived), (Outcome::Fail, Some(3), 2, 0));
    assert!(txn.basis[0].is_legal && txn.conflicts[0].id == "C1");
    assert_eq!(policy(&assessment, "DRG-901").why_code.as_deref(), Some("needs-attestation"));
    assert_eq!(policy(&assessment, "DAT-901").outcome, Outcome::Pass);
    assert_eq!(policy(&assessment, "GOV-901").outcome, Outcome::NotApplicable);
    assert_eq!(assessment.summary, Summary { pass: 2, fail: 2, waived: 0, not_applicable: 4, not_evaluated: 1 });
    assert_eq!(assessment.findings_count, 3);
    let json = summary_json(&assessment);
    assert_eq!(json["summary"]["fail"], 2);
    assert_eq!(json["policies"][0]["id"], "DAT-901");
}

/// The number of threads changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_change_nothing() {
    let mut setup = setup();
    setup.threads = 1;
    let one = setup.run().await;
    setup.threads = 8;
    let eight = setup.run().await;
    assert_eq!(one, eight);
}

/// What each kind of waiver does to a finding of TXN-901, and which run policy reports it.
#[tokio::test]
async fn waiver_table() {
    let valid = "findings_max = 1\nexpires_on = 2026-11-30";
    let own = "approver = \"counsel\"";
    for (text, txn, waived, reported) in [
        (waiver("W", "TXN-901", "subject = \"M1/r2\"", valid), Outcome::Fail, 1, ""),
        (
            waiver("W", "TXN-901", "pattern = \"M1/*\"", "findings_max = 2\nexpires_on = 2026-11-30"),
            Outcome::Waived,
            2,
            "",
        ),
        (waiver("W", "TXN-901", "pattern = \"M1/*\"", valid), Outcome::Fail, 1, ""),
        (
            waiver(
                "W",
                "TXN-901",
                "pattern = \"M1/*\"",
                "reasons = [\"late\"]\nfindings_max = 5\nexpires_on = 2026-11-30",
            ),
            Outcome::Fail,
            1,
            "",
        ),
        (waiver("W", "TXN-901", "subject = \"M1/r2\"", "expires_on = 2026-10-01"), Outcome::Fail, 1, ""),
        (
            waiver("W", "TXN-901", "subject = \"M1/r2\"", "expires_on = 2026-09-30"),
            Outcome::Fail,
            0,
            "GOV-901 W expired",
        ),
        (waiver("W", "TXN-901", "subject = \"M1/r9\"", "expires_on = 2026-09-30"), Outcome::Fail, 0, ""),
        (
            waiver("W", "TXN-901", "subject = \"M1/r2\"", "expires_on = 2026-12-31"),
            Outcome::Fail,
            0,
            "GOV-902 W too-long",
        ),
        (
            waiver("W", "TXN-901", "all = true", "findings_max = 9\nexpires_on = 2026-11-30"),
            Outcome::Fail,
            0,
            "GOV-902 W too-broad",
        ),
        (
            waiver("W", "TXN-901", "subject = \"M1/r2\"", valid).replace(own, "approver = \"finance-lead\""),
            Outcome::Fail,
            0,
            "GOV-902 W approver-is-owner",
        ),
        (
            waiver("W", "TXN-901", "subject = \"M1/r2\"", valid).replace("\"legal\"", "\"security\""),
            Outcome::Fail,
            0,
            "GOV-902 W approver-role",
        ),
        (
            waiver("W", "TXN-901", "subject = \"M1/r2\"", valid)
                .replace("created_on = 2026-09-01", "created_on = 2026-10-02"),
            Outcome::Fail,
            0,
            "GOV-902 W not-yet-valid",
        ),
        (waiver("W", "DRG-901", "subject = \"notice:ab12\"", valid), Outcome::Fail, 0, "GOV-903 W not-waivable"),
    ] {
        let mut setup = setup();
        setup.waivers = text.clone();
        let (assessment, findings) = setup.run().await;
        let result = policy(&assessment, "TXN-901");
        assert_eq!((result.outcome, result.waived), (txn, waived), "{text}");
        assert_eq!(result.findings, 2, "a waiver never removes a finding");
        let gov: Vec<String> = lines(&findings).into_iter().filter(|l| l.starts_with("GOV")).collect();
        assert_eq!(gov.join(", "), reported, "{text}");
    }
}

/// Waivers, profiles and answers that name what does not exist, or miss something, stop the run with every mistake.
#[tokio::test]
async fn malformed_inputs() {
    let mut broken = setup();
    broken.waivers = waiver("W", "TXN-999", "subject = \"x\", all = true", "expires_on = 2026-08-01")
        .replace("owner = \"finance-lead\"\n", "");
    let error = broken.try_run().await.expect_err("malformed").to_string();
    for expected in [
        "no policy is called `TXN-999`",
        "exactly one of subject",
        "missing key `owner`",
        "must not lie before `created_on`",
    ] {
        assert!(error.contains(expected), "{expected} in {error}");
    }
    for (profile, expected) in [
        (PROFILE.replace("\"core\", \"run\"", "\"nope\""), "no set is called `nope`; accepted: core, run"),
        (PROFILE.replace("1.0.0", "2.0.0"), "has version 1.0.0, not 2.0.0"),
        (format!("{PROFILE}[params.TXN-901]\nwithin = \"25 hours\"\n"), "may only be tightened from 24 hours"),
        (format!("{PROFILE}[params.TXN-901]\nwithin = \"200 hours\"\n"), "crosses a legal bound"),
        (format!("{PROFILE}[params.TXN-901]\nwithin = \"400 hours\"\n"), "must be at most 360 hours"),
        (
            format!("{PROFILE}[params.TXN-901]\nwithn = \"1 hour\"\n"),
            "has no parameter `withn`; accepted: routes, within",
        ),
        (
            format!(
                "{PROFILE}[[out_of_scope]]\ndataset = \"tills\"\nreason = \"r\"\nowner = \"o\"\nuntil = 2027-01-01\n"
            ),
            "no dataset is called `tills`",
        ),
        (format!("{PROFILE}[[drop]]\npolicy = \"TXN-902\"\n"), "no policy is called `TXN-902`"),
    ] {
        let mut setup = setup();
        setup.profile = profile;
        let error = setup.try_run().await.expect_err(expected);
        assert!(error.to_string().contains(expected), "{expected} in {error}");
        assert_eq!(crate::hint::Hint::exit(&error), crate::model::Exit::Invalid);
    }
    let mut nothing = setup();
    nothing.profile = PROFILE.replace("\"core\", \"run\"", "");
    assert_eq!(crate::hint::Hint::exit(&nothing.try_run().await.expect_err("nothing")), crate::model::Exit::Nothing);
    let mut elsewhere = setup();
    elsewhere.profile = PROFILE.replace("Asia/Shanghai", "Asia/Tokyo");
    assert!(elsewhere.try_run().await.expect_err("zone").to_string().contains("zone"));
}

/// Overrides, drops and severities change the run, are printed, and are findings where they must be.
#[tokio::test]
async fn profile_lines() {
    let mut setup = setup();
    let over = "[[override]]\npolicy = \"TXN-901\"\nparam = \"within\"\nvalue = \"200 hours\"\nreason = \"r\"\napprover = \"counsel\"\napprover_role = \"legal\"\nuntil = 2026-12-31\n";
    setup.profile = format!(
        "{PROFILE}[params.TXN-901]\nroutes = [\"original\", \"offline\"]\n{over}[[drop]]\npolicy = \"LOG-901\"\n[[drop]]\npolicy = \"DAT-901\"\n\
         [[severity]]\npolicy = \"TXN-901\"\nseverity = \"info\"\n"
    );
    let (assessment, findings) = setup.run().await;
    assert_eq!(
        lines(&findings),
        [
            "GOV-904 TXN-901.within above-ceiling",
            "GOV-905 DAT-901 dropped",
            "GOV-905 TXN-901 severity-lowered",
            "TXN-901 M1/r2 late"
        ]
    );
    assert_eq!(findings[3].severity.word(), "info");
    let kinds: Vec<&str> = assessment.profile_lines.iter().map(|l| l.kind.as_str()).collect();
    assert_eq!(kinds, ["drop", "drop", "severity", "override"]);
    let txn = policy(&assessment, "TXN-901");
    let origins: Vec<String> = txn.parameters.iter().map(|p| format!("{}={} {}", p.name, p.value, p.origin)).collect();
    assert_eq!(origins, ["routes=original, offline profile", "within=200 hours override"]);
    setup.profile = setup.profile.replace("until = 2026-12-31", "until = 2026-09-30");
    assert!(setup.try_run().await.expect_err("ended").to_string().contains("ended on 2026-09-30"));
}

/// Missing datasets, columns and days are never a pass; out of scope is said aloud; other roles and channels are told.
#[tokio::test]
async fn insufficient_data() {
    let mut missing = setup();
    missing.facts.tables.retain(|t| t.name != "refunds");
    missing.facts.absent.insert("refunds".into(), "not kept".into());
    let (assessment, findings) = missing.run().await;
    let txn = policy(&assessment, "TXN-901");
    assert_eq!((txn.outcome, txn.why_code.as_deref()), (Outcome::NotEvaluated, Some("dataset-missing")));
    assert!(lines(&findings).contains(&"DAT-901 refunds dataset-missing".to_owned()));

    missing.profile = format!(
        "{PROFILE}[[out_of_scope]]\ndataset = \"refunds\"\nreason = \"r\"\nowner = \"o\"\nuntil = 2026-10-01\n"
    );
    let (assessment, findings) = missing.run().await;
    assert_eq!(policy(&assessment, "TXN-901").why_code.as_deref(), Some("out-of-scope"));
    assert!(!lines(&findings).iter().any(|l| l.starts_with("DAT")));
    missing.facts.decided_on = day("2026-10-02");
    assert_eq!(policy(&missing.run().await.0, "TXN-901").outcome, Outcome::NotEvaluated);

    let mut column = setup();
    let schema = column.facts.tables[0].schema.clone();
    let keep: Vec<usize> = (0..schema.fields().len()).filter(|i| schema.field(*i).name() != "route").collect();
    column.facts.tables[0].schema = Arc::new(schema.project(&keep).expect("projected"));
    assert_eq!(policy(&column.run().await.0, "TXN-901").why_code.as_deref(), Some("column-missing"));

    for (coverage, code) in [
        (Some(("2026-07-01", "2026-10-01")), None),
        (Some(("2026-07-02", "2026-10-01")), Some("coverage-gap")),
        (Some(("2026-07-01", "2026-09-30")), Some("coverage-gap")),
        (None, Some("coverage-gap")),
    ] {
        let mut gap = setup();
        gap.facts.tables[0].coverage = coverage.map(|(a, b)| (day(a), day(b)));
        assert_eq!(policy(&gap.run().await.0, "TXN-901").why_code.as_deref(), code, "{coverage:?}");
    }

    let mut empty = setup();
    empty.facts.tables[0].files.clear();
    let txn = empty.run().await.0;
    assert_eq!(policy(&txn, "TXN-901").why_code.as_deref(), Some("empty-population"));

    let mut channel = setup();
    channel.profile = PROFILE.replace("[\"wechat\"]", "[\"unionpay\"]");
    assert_eq!(policy(&channel.run().await.0, "TXN-901").why_code.as_deref(), Some("channel-outside"));
}

/// Answers decide attestation policies; what does not count leaves the policy not evaluated.
#[tokio::test]
async fn attestations() {
    let dir_file = "review.pdf";
    let digest = crate::crypto::sha256(b"review").to_string();
    let answer = |reply: &str, role: &str, on: &str, until: &str, digest: &str| {
        format!(
            "[[attestation]]\npolicy = \"DRG-901\"\nsubject = \"notice:ab12\"\nanswer = \"{reply}\"\nwhy = \"w\"\nby = \"counsel-2\"\nrole = \"{role}\"\n\
             on = {on}\nvalid_until = {until}\nevidence = {{ file = \"{dir_file}\", sha256 = \"{digest}\" }}\n"
        )
    };
    for (text, outcome, code) in [
        (answer("yes", "legal", "2026-09-01", "2026-10-01", &digest), Outcome::Pass, None),
        (answer("no", "legal", "2026-09-01", "2026-10-01", &digest), Outcome::Fail, None),
        (
            answer("not-applicable", "legal", "2026-09-01", "2026-10-01", &digest),
            Outcome::NotApplicable,
            Some("empty-population"),
        ),
        (answer("yes", "legal", "2026-09-01", "2026-09-30", &digest), Outcome::NotEvaluated, Some("needs-attestation")),
        (answer("yes", "legal", "2026-06-01", "2027-10-01", &digest), Outcome::NotEvaluated, Some("needs-attestation")),
        (
            answer("yes", "operations", "2026-09-01", "2026-10-01", &digest),
            Outcome::NotEvaluated,
            Some("needs-attestation"),
        ),
        (
            answer("yes", "legal", "2026-09-01", "2026-10-01", &digest.replace('a', "b")),
            Outcome::NotEvaluated,
            Some("needs-attestation"),
        ),
        (String::new(), Outcome::NotEvaluated, Some("needs-attestation")),
    ] {
        let mut setup = setup();
        std::fs::write(setup.dir.path().join(dir_file), b"review").expect("file");
        setup.attestations = text.clone();
        setup.only = vec!["DRG-901".to_owned()];
        let (assessment, findings) = setup.run().await;
        let result = policy(&assessment, "DRG-901");
        assert_eq!((result.outcome, result.why_code.as_deref()), (outcome, code), "{text}");
        assert_eq!(findings.len(), usize::from(outcome == Outcome::Fail));
    }
    let mut outside = setup();
    outside.attestations =
        answer("yes", "legal", "2026-09-01", "2026-10-01", &digest).replace(dir_file, "../review.pdf");
    assert!(outside.try_run().await.is_err());
}

/// A policy that breaks its contract or a limit is not evaluated; the others run on.
#[tokio::test]
async fn one_policy_stops_nobody() {
    for (from, to, code) in [
        ("ELSE 'wrong-route' END", "ELSE 'unheard-of' END", "policy-fault"),
        ("r.refund_ref AS finding_ref", "r.payment_ref AS finding_ref", "policy-fault"),
        ("r.refund_ref AS finding_ref", "CAST(CAST(r.status AS BIGINT) AS VARCHAR) AS finding_ref", "engine-fault"),
        ("ORDER BY finding_ref, finding_reason", "ORDER BY finding_ref DESC NULLS LAST", "policy-fault"),
        ("FROM refunds r", "FROM nowhere r", "policy-fault"),
    ] {
        let copy = edited(&[("TXN/TXN-901/check.sql", from, to)]);
        let mut setup = setup();
        setup.pack = Pack::load(copy.path()).expect("loads");
        let (assessment, findings) = setup.run().await;
        let txn = policy(&assessment, "TXN-901");
        assert_eq!((txn.outcome, txn.why_code.as_deref()), (Outcome::NotEvaluated, Some(code)), "{to}: {:?}", txn.why);
        assert_eq!(lines(&findings), ["LOG-901 2026-08 absent"]);
    }
}

/// A limit that is reached is never a shortened pass.
#[tokio::test]
async fn limits_are_not_passes() {
    let mut few_rows = setup();
    few_rows.rows_max = 1;
    let (assessment, findings) = few_rows.run().await;
    assert_eq!(policy(&assessment, "TXN-901").why_code.as_deref(), Some("limit"));
    assert_eq!(lines(&findings), ["LOG-901 2026-08 absent"]);
    let mut little_memory = setup();
    little_memory.memory_bytes = 1_000;
    let (assessment, findings) = little_memory.run().await;
    assert_eq!(policy(&assessment, "TXN-901").why_code.as_deref(), Some("limit"));
    assert!(!lines(&findings).iter().any(|l| l.starts_with("TXN")));
}

/// Outcome of findings, waived ones and population, every combination.
#[test]
fn outcome_table() {
    use crate::policy::run::outcome;
    for (population, findings, waived, strict, expected) in [
        (5, 0, 0, false, Outcome::Pass),
        (5, 2, 0, false, Outcome::Fail),
        (5, 2, 1, false, Outcome::Fail),
        (5, 2, 2, false, Outcome::Waived),
        (0, 0, 0, false, Outcome::NotApplicable),
        (0, 0, 0, true, Outcome::NotEvaluated),
        (0, 1, 0, false, Outcome::Fail),
        (0, 1, 1, true, Outcome::Waived),
    ] {
        assert_eq!(outcome(population, findings, waived, strict), expected);
    }
}

/// A request to stop ends the run as an interruption.
#[tokio::test]
async fn interruption() {
    let setup = setup();
    let cancel = Cancel::default();
    cancel.request();
    let profile = Profile::parse("p", PROFILE, &setup.pack).expect("profile");
    let limits = limits(&setup.dir);
    let inputs = Inputs {
        pack: &setup.pack,
        profile: &profile,
        waivers: &Waivers::default(),
        attestations: &Attestations::default(),
        evidence_dir: None,
        facts: &setup.facts,
        only: &[],
        limits: &limits,
        threads: 1,
        input_digests: &BTreeMap::new(),
        findings_csv: "findings.csv",
    };
    let error = run(&inputs, &mut Vec::new(), &Hidden, &cancel).await.expect_err("stopped");
    assert_eq!(crate::hint::Hint::exit(&error), crate::model::Exit::Interrupted);
}
