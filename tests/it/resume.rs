//! Seals that end early and go on: the same archive as in one piece if nothing changed, a new beginning if anything did.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use sealport::archive::Sealed;
use sealport::clock::{Clock, SeededRandom, SystemClock};
use sealport::hint::Hint as _;
use sealport::model::{Exit, Lang};
use sealport::ops::seal::{Limits, SealOptions};
use sealport::ops::{self, Env, Error};
use sealport::progress::{Cancel, Hidden, Progress, Stage, Task};

use crate::engines;
use crate::servers::Scratch;
use crate::support::{Place, walk};

/// Asks for a stop when the table of this name is begun.
struct StopAt {
    table: &'static str,
    cancel: Cancel,
}

struct StopAtTask(&'static str, Cancel);

impl Progress for StopAt {
    fn start(&self, stage: Stage, _: Option<u64>) -> Box<dyn Task> {
        match stage {
            Stage::Extract => {
                let label = sealport::schema::dataset(self.table).map_or(self.table, |d| d.title_en);
                Box::new(StopAtTask(label, self.cancel.clone()))
            }
            _ => Box::new(Hidden),
        }
    }
}

impl Task for StopAtTask {
    fn advance(&self, _: u64) {}
    fn label(&self, text: &str) {
        if text == self.0 {
            self.1.request();
        }
    }
}

/// Remembers what it was told.
#[derive(Default)]
struct Ear(Mutex<Vec<String>>);

impl ops::Notices for Ear {
    fn tell(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }
}

fn env(ear: &Arc<Ear>) -> Env {
    Env {
        clock: Arc::new(SystemClock),
        random: Arc::new(SeededRandom::new(*b"resume")),
        progress: Arc::new(Hidden),
        notices: Arc::clone(ear) as Arc<dyn ops::Notices>,
        cancel: Cancel::default(),
        lang: Lang::En,
        secrets: None,
        passwords: Arc::new(ops::NoPasswords),
        executable: None,
    }
}

const RESUMED: SealOptions = SealOptions {
    is_draft: false,
    is_resumed: true,
    limits: Limits { rows_per_second_max: None, until: None, connections_max: None },
};

/// Does something when the table of this name is begun.
struct Meanwhile<F>(&'static str, F);

struct MeanwhileTask<F>(&'static str, F);

impl<F: Fn() + Clone + Send + Sync + 'static> Progress for Meanwhile<F> {
    fn start(&self, stage: Stage, _: Option<u64>) -> Box<dyn Task> {
        match stage {
            Stage::Extract => Box::new(MeanwhileTask(self.0, self.1.clone())),
            _ => Box::new(Hidden),
        }
    }
}

impl<F: Fn() + Send + Sync> Task for MeanwhileTask<F> {
    fn advance(&self, _: u64) {}
    fn label(&self, text: &str) {
        if sealport::schema::dataset(self.0).is_some_and(|d| d.title_en == text) {
            (self.1)();
        }
    }
}

/// Seals until the table is begun.
async fn seal_until(place: &Place, table: &'static str, options: &SealOptions) -> Vec<String> {
    let ear = Arc::new(Ear::default());
    let mut env = env(&ear);
    env.progress = Arc::new(StopAt { table, cancel: env.cancel.clone() });
    let error = ops::seal::seal(&env, &place.case(), options).await.expect_err("it was asked to stop");
    assert_eq!(error.exit(), Exit::Interrupted, "{table}: {error}");
    assert_eq!(place.archives(), [] as [String; 0]);
    ear.0.lock().unwrap().clone()
}

async fn seal(place: &Place, options: &SealOptions) -> Result<(Sealed, Vec<String>), Error> {
    let ear = Arc::new(Ear::default());
    let (_, sealed) = ops::seal::seal(&env(&ear), &place.case(), options).await?;
    assert_eq!(place.temporary(), [] as [std::path::PathBuf; 0], "nothing temporary stays beside an archive");
    let said = ear.0.lock().unwrap().clone();
    Ok((sealed, said))
}

/// Every file whose bytes do not depend on the archive's id and salts.
fn content(archive: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    walk(archive, &mut |path| {
        let name = path.strip_prefix(archive).unwrap().to_string_lossy().into_owned();
        let is_content = name.starts_with("data/tables/") || name.starts_with("data/schema/");
        if path.is_file() && (is_content || name == "data/custody/reconciliation.json") {
            files.insert(name, fs::read(path).unwrap());
        }
    });
    files
}

fn good(place: &Place, sealed: &Sealed) {
    let run = place.run(&["verify", sealed.path.to_str().unwrap(), "--keyring", "case/keyring/keyring.json"]);
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
}

fn has(said: &[String], words: &str) -> bool {
    said.iter().any(|s| s.contains(words))
}

/// Wherever it was interrupted, even twice, a seal that goes on has the tables, schemas and account of one in one piece.
#[tokio::test(flavor = "multi_thread")]
async fn a_seal_goes_on_where_it_stopped() {
    let whole = Place::new_case();
    let (sealed, _) = seal(&whole, &SealOptions::default()).await.unwrap();
    let expected = content(&sealed.path);
    assert!(expected.len() > 80, "{}", expected.len());
    // A sitting that finished no table leaves no trace.
    for (stops, sittings_expected) in
        [(&["bill_lines"][..], 2), (&["payments", "raw_sys_oplog"], 3), (&["refunds", "refunds"], 2)]
    {
        let place = Place::new_case();
        for (i, stop) in stops.iter().enumerate() {
            let options = if i == 0 { SealOptions::default() } else { RESUMED };
            let said = seal_until(&place, stop, &options).await;
            assert!(has(&said, "seal --resume"), "{stop}: {said:?}");
        }
        let (sealed, said) = seal(&place, &RESUMED).await.unwrap();
        assert!(has(&said, "going on with the interrupted seal"), "{said:?}");
        let found = content(&sealed.path);
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{stops:?}");
        for (name, bytes) in &found {
            assert!(bytes == &expected[name], "{stops:?}: {name} differs");
        }
        good(&place, &sealed);
        let custody = fs::read_to_string(sealed.path.join("data/custody/custody.jsonl")).unwrap();
        let line: serde_json::Value = serde_json::from_str(custody.lines().next().unwrap()).unwrap();
        assert_eq!(line["event"], "resumed");
        let sittings = line["sittings"].as_array().unwrap();
        assert_eq!(sittings.len(), sittings_expected);
        assert!(line["comparedFacts"].as_u64().unwrap() > 100, "{line}");
        let tables: usize = sittings.iter().map(|s| s["tables"].as_array().unwrap().len()).sum();
        assert!(!sittings[0]["tables"].as_array().unwrap().is_empty() && tables > 80, "{line}");
        // Another seal of the case knows nothing of all this.
        let (next, said) = seal(&place, &RESUMED).await.unwrap();
        assert!(has(&said, "no interrupted seal"), "{said:?}");
        assert_eq!(next.sequence, 2);
    }
}

/// Whatever an archive is made of: when it changed, it is named, and the seal starts over and holds the new state.
#[tokio::test(flavor = "multi_thread")]
async fn a_seal_starts_over_when_anything_changed() {
    type Change = fn(&Place);
    let changes: [(&str, Change); 8] = [
        ("t_pay: rows", |p| sql_on(p, "DELETE FROM t_pay WHERE id = (SELECT MIN(id) FROM t_pay)")),
        ("control totals", |p| sql_on(p, "UPDATE t_pay SET amt = amt + 1 WHERE id = (SELECT MIN(id) FROM t_pay)")),
        ("largest keys and times", |p| {
            sql_on(p, "UPDATE t_pay SET id = id + 1000000 WHERE id = (SELECT MAX(id) FROM t_pay)")
        }),
        ("t_pay: columns", |p| sql_on(p, "ALTER TABLE t_pay ADD COLUMN more TEXT")),
        ("case.toml", |p| p.append("case.toml", "# a remark")),
        ("mapping of", |p| p.append("source/mapping.toml", "# a remark")),
        ("registers/", |p| {
            let file = first_register(p);
            let text = fs::read_to_string(&file).unwrap();
            fs::write(&file, format!("{text}\n")).unwrap();
        }),
        ("bills/", |p| {
            let dir = p.case().join("source/bills/fund/1900000102");
            let name = crate::support::names(&dir).into_iter().find(|n| n.ends_with(".csv")).unwrap();
            fs::copy(dir.join(&name), dir.join("copy.csv")).unwrap();
        }),
    ];
    for (words, change) in changes {
        let place = Place::new_case();
        seal_until(&place, "raw_sys_oplog", &SealOptions::default()).await;
        change(&place);
        let (sealed, said) = seal(&place, &RESUMED).await.unwrap();
        assert!(has(&said, "starting over") && has(&said, words), "{words}: {said:?}");
        good(&place, &sealed);
        let custody = fs::read_to_string(sealed.path.join("data/custody/custody.jsonl")).unwrap();
        assert!(!custody.contains("\"resumed\""), "{words}");
    }
}

fn sql_on(place: &Place, sql: &str) {
    let dir = place.case().join("source");
    let file = crate::support::names(&dir).into_iter().find(|n| n.ends_with(".db") || n.ends_with(".sqlite"));
    rusqlite::Connection::open(dir.join(file.expect("a database"))).unwrap().execute_batch(sql).unwrap();
}

fn first_register(place: &Place) -> std::path::PathBuf {
    let dir = place.case().join("registers");
    let name = crate::support::names(&dir).into_iter().find(|n| n.ends_with(".csv")).expect("a register");
    dir.join(name)
}

/// A state or a table that somebody edited is not continued; without `--resume` nothing is.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_edited_is_not_continued() {
    let staging = |place: &Place| {
        let archives = place.case().join("out/archives");
        let name = crate::support::names(&archives).into_iter().find(|n| n.starts_with(".sealing-")).unwrap();
        archives.join(name)
    };
    let place = Place::new_case();
    seal_until(&place, "payments", &SealOptions::default()).await;
    let state = staging(&place).join("state.json");
    let text = fs::read_to_string(&state).unwrap();
    fs::write(&state, text.replacen("\"rows_written\":", "\"rows_written\": ", 1)).unwrap();
    let (sealed, said) = seal(&place, &RESUMED).await.unwrap();
    assert!(has(&said, "cannot be continued") && has(&said, "starting anew"), "{said:?}");
    good(&place, &sealed);

    let place = Place::new_case();
    seal_until(&place, "payments", &SealOptions::default()).await;
    let part = staging(&place).join("bag/data/tables/bill_lines/part-00000.parquet");
    let mut bytes = fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&part, bytes).unwrap();
    let (sealed, said) = seal(&place, &RESUMED).await.unwrap();
    assert!(has(&said, "starting over") && has(&said, "bill_lines"), "{said:?}");
    good(&place, &sealed);

    let place = Place::new_case();
    seal_until(&place, "payments", &SealOptions::default()).await;
    // A draft has a stream of its own and leaves the interrupted seal alone.
    let ear = Arc::new(Ear::default());
    let draft = SealOptions { is_draft: true, ..SealOptions::default() };
    ops::seal::seal(&env(&ear), &place.case(), &draft).await.unwrap();
    assert!(staging(&place).join("state.json").exists());
    let (sealed, said) = seal(&place, &SealOptions::default()).await.unwrap();
    assert!(has(&said, "removing the interrupted seal"), "{said:?}");
    good(&place, &sealed);
}

/// Shows a later hour at every look.
struct Hurried {
    start: DateTime<Utc>,
    looks: AtomicU64,
    step: TimeDelta,
}

impl Clock for Hurried {
    fn now(&self) -> DateTime<Utc> {
        let looks = i32::try_from(self.looks.fetch_add(1, Ordering::Relaxed)).unwrap();
        self.start + self.step * looks
    }
}

/// `--until` ends a whole seal with 5, keeps what is finished, and the next night goes on with it.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_allowed_runs_out() {
    let place = Place::new_case();
    let ear = Arc::new(Ear::default());
    let mut env = env(&ear);
    // Six o'clock in Shanghai comes after two dozen looks.
    env.clock = Arc::new(Hurried {
        start: "2026-11-01T20:00:00Z".parse().unwrap(),
        looks: AtomicU64::new(0),
        step: TimeDelta::seconds(300),
    });
    let limits = Limits { until: chrono::NaiveTime::from_hms_opt(6, 0, 0), ..Limits::default() };
    let options = SealOptions { limits, ..SealOptions::default() };
    let error = ops::seal::seal(&env, &place.case(), &options).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }), "{error}");
    assert_eq!(error.exit(), Exit::Incomplete);
    assert!(error.to_string().contains("2026-11-01 22:00 UTC"), "{error}");
    assert_eq!(place.archives(), [] as [String; 0]);
    assert!(has(&ear.0.lock().unwrap(), "seal --resume"));
    let (sealed, said) = seal(&place, &RESUMED).await.unwrap();
    assert!(has(&said, "going on"), "{said:?}");
    good(&place, &sealed);
}

/// The server ends our connection between two tables: 74, nothing sealed, and the next seal goes on. Rows that came
/// meanwhile make it start over.
async fn a_killed_connection(db: Scratch, kill: &'static str) {
    let dir = tempfile::tempdir().unwrap();
    db.sql(&engines::schema(db.engine));
    let case = dir.path().join("case");
    crate::servers::write_case(&case, db.url.as_str(), "mapping.toml");
    fs::write(case.join("mapping.toml"), engines::MAPPING).unwrap();
    let ear = Arc::new(Ear::default());
    let mut env = env(&ear);
    env.passwords = db.passwords();
    ops::keys::new(&env, &case.join("secrets"), &case.join("keyring")).unwrap();
    let db = Arc::new(db);
    for (meanwhile, words) in
        [("SELECT 1", "going on"), ("INSERT INTO t_pay (id, no, amt) VALUES (9999, 'X', 1)", "t_pay: rows")]
    {
        let killer = Arc::clone(&db);
        let mut killed = env.clone();
        killed.progress = Arc::new(Meanwhile("payments", move || killer.sql(kill)));
        let error = ops::seal::seal(&killed, &case, &SealOptions::default()).await.unwrap_err();
        assert_eq!(error.exit(), Exit::Io, "{error}");
        assert!(!error.to_string().contains("127.0.0.1"), "{error}");
        assert!(has(&ear.0.lock().unwrap(), "seal --resume"));
        db.sql(meanwhile);
        let (answer, sealed) = ops::seal::seal(&env, &case, &RESUMED).await.unwrap();
        assert_eq!(answer.exit, Exit::Success, "{}", answer.text);
        assert!(has(&ear.0.lock().unwrap(), words), "{words}: {:?}", ear.0.lock().unwrap());
        let custody = fs::read_to_string(sealed.path.join("data/custody/custody.jsonl")).unwrap();
        assert_eq!(custody.contains("\"resumed\""), words == "going on", "{words}");
        let logs = custody.lines().filter(|l| l.contains("\"dataset\":\"operation_logs\"")).count();
        assert_eq!(logs, 1, "a table that was finished is not accounted for twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_POSTGRES, the URL of a PostgreSQL server"]
async fn a_connection_killed_by_postgres() {
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'sealport'";
    a_killed_connection(Scratch::postgres(), kill).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_MYSQL, the URL of a MySQL or MariaDB server"]
async fn a_connection_killed_by_mysql() {
    let kill = "BEGIN NOT ATOMIC FOR c IN (SELECT ID FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND ID <> CONNECTION_ID()) DO EXECUTE IMMEDIATE CONCAT('KILL ', c.ID); END FOR; END";
    a_killed_connection(Scratch::mysql(), kill).await;
}
