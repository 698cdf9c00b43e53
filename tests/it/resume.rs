//! Seals that end early and go on: the same archive as in one piece if nothing changed, a new beginning if anything did.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
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

/// Where a seal is asked to stop.
#[derive(Clone, Copy, Debug)]
enum At {
    /// When the table of this name is begun.
    Table(&'static str),
    /// When this piece of work begins, or ends.
    Begin(Stage),
    End(Stage),
}

struct StopAt(At, Cancel);

struct StopAtTask(Option<String>, Option<Cancel>, Cancel);

impl Progress for StopAt {
    fn start(&self, stage: Stage, _: Option<u64>) -> Box<dyn Task> {
        match self.0 {
            At::Begin(at) if at == stage => self.1.request(),
            _ => {}
        }
        let label = match self.0 {
            At::Table(name) if stage == Stage::Extract => {
                Some(sealport::schema::dataset(name).map_or(name, |d| d.title_en).to_owned())
            }
            _ => None,
        };
        let at_end = matches!(self.0, At::End(at) if at == stage).then(|| self.1.clone());
        Box::new(StopAtTask(label, at_end, self.1.clone()))
    }
}

impl Task for StopAtTask {
    fn advance(&self, _: u64) {}
    fn label(&self, text: &str) {
        if self.0.as_deref() == Some(text) {
            self.2.request();
        }
    }
}

impl Drop for StopAtTask {
    fn drop(&mut self) {
        if let Some(cancel) = &self.1 {
            cancel.request();
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

/// Seals until then; the error tells how to go on.
async fn seal_until(place: &Place, at: At, options: &SealOptions) {
    let ear = Arc::new(Ear::default());
    let mut env = env(&ear);
    env.progress = Arc::new(StopAt(at, env.cancel.clone()));
    let error = ops::seal::seal(&env, &place.case(), options).await.expect_err("it was asked to stop");
    assert_eq!(error.exit(), Exit::Interrupted, "{at:?}: {error}");
    let hint = error.hint(Lang::En).unwrap();
    assert!(hint.contains("seal --resume") && hint.contains(".sealing-"), "{at:?}: {hint}");
    assert_eq!(place.archives(), [] as [String; 0]);
}

/// The folder an interrupted seal left.
fn staging(place: &Place) -> PathBuf {
    let archives = place.case().join("out/archives");
    let name = crate::support::names(&archives).into_iter().find(|n| n.starts_with(".sealing-")).unwrap();
    archives.join(name)
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
/// Rows that were set aside are among them.
#[tokio::test(flavor = "multi_thread")]
async fn a_seal_goes_on_where_it_stopped() {
    let spoilt = || {
        let place = Place::new_case();
        sql_on(&place, "UPDATE t_pay SET amt = 'x' WHERE id IN (SELECT id FROM t_pay ORDER BY id LIMIT 3)");
        place
    };
    let whole = spoilt();
    let (sealed, _) = seal(&whole, &SealOptions::default()).await.unwrap();
    let expected = content(&sealed.path);
    assert!(expected.len() > 80, "{}", expected.len());
    // A sitting that finished no table leaves no trace.
    for (stops, sittings_expected) in [
        (&[At::Table("bill_lines")][..], 2),
        (&[At::Table("payments"), At::Table("raw_sys_oplog"), At::End(Stage::ReadStaff)], 3),
        (&[At::Table("refunds"), At::Table("refunds")], 2),
        (&[At::Begin(Stage::ScanLeaks), At::Begin(Stage::Seal)], 2),
    ] {
        let place = spoilt();
        for (i, stop) in stops.iter().enumerate() {
            let options = if i == 0 { SealOptions::default() } else { RESUMED };
            seal_until(&place, *stop, &options).await;
            let mode = fs::metadata(staging(&place)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "others may not look into what is not sealed");
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
        assert_eq!(sittings.len(), sittings_expected, "{line}");
        assert!(line["comparedFacts"].as_u64().unwrap() > 100, "{line}");
        let tables: BTreeSet<&str> =
            sittings.iter().flat_map(|s| s["tables"].as_array().unwrap()).filter_map(|t| t.as_str()).collect();
        let sealed_tables = crate::support::names(&sealed.path.join("data/tables"));
        assert_eq!(
            tables,
            sealed_tables.iter().map(String::as_str).collect(),
            "every table was written in one sitting"
        );
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
    let changes: [(&str, Change); 9] = [
        ("the number of rows of shop.t_pay", |p| {
            sql_on(p, "DELETE FROM t_pay WHERE id = (SELECT MIN(id) FROM t_pay)");
        }),
        ("the control totals of payments", |p| {
            sql_on(p, "UPDATE t_pay SET amt = amt + 1 WHERE id = (SELECT MIN(id) FROM t_pay)");
        }),
        // Nothing but the file itself tells.
        ("the database file of shop", |p| sql_on(p, "UPDATE t_shop SET shop_name = shop_name || '!'")),
        ("the columns of shop.t_pay", |p| sql_on(p, "ALTER TABLE t_pay ADD COLUMN more TEXT")),
        ("case.toml", |p| p.append("case.toml", "# a remark")),
        ("the mapping of shop", |p| p.append("source/mapping.toml", "# a remark")),
        ("registers/people.csv", |p| {
            let file = p.case().join("registers/people.csv");
            let text = fs::read_to_string(&file).unwrap();
            fs::write(&file, format!("{text}\n")).unwrap();
        }),
        ("registers/SHA256SUMS", |p| {
            p.edit("registers/SHA256SUMS", |text| text.replace(|c: char| c.is_ascii_digit(), "0"));
        }),
        ("bills/", |p| {
            let dir = p.case().join("source/bills/fund/1900000102");
            let name = crate::support::names(&dir).into_iter().find(|n| n.ends_with(".csv")).unwrap();
            fs::copy(dir.join(&name), dir.join("copy.csv")).unwrap();
        }),
    ];
    for (words, change) in changes {
        let place = Place::new_case();
        seal_until(&place, At::Table("raw_sys_oplog"), &SealOptions::default()).await;
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

/// What somebody edited, linked or opened to others is not continued.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_edited_is_not_continued() {
    type Edit = fn(&Path);
    let edits: [(&str, Edit); 7] = [
        ("not as this program left it", |dir| {
            let text = fs::read_to_string(dir.join("state.json")).unwrap();
            fs::write(dir.join("state.json"), text.replacen("\"rows\":", "\"rows\": ", 1)).unwrap();
        }),
        ("not as this program left it", |dir| {
            let text = fs::read_to_string(dir.join("ledger.jsonl")).unwrap();
            fs::write(dir.join("ledger.jsonl"), text.replacen("bill_lines", "BILL_lines", 1)).unwrap();
        }),
        ("not as this program left it", |dir| {
            let text = fs::read_to_string(dir.join("quarantine.jsonl")).unwrap();
            fs::write(dir.join("quarantine.jsonl"), text.replacen("grants", "GRANTS", 1)).unwrap();
        }),
        ("not as this program left it", |dir| {
            let part = dir.join("bag/data/tables/bill_lines/part-00000.parquet");
            let elsewhere = dir.parent().unwrap().parent().unwrap().join("elsewhere.parquet");
            fs::rename(&part, &elsewhere).unwrap();
            std::os::unix::fs::symlink(&elsewhere, &part).unwrap();
        }),
        ("not as this program left it", |dir| {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
        }),
        ("the finished table bill_lines", |dir| {
            let part = dir.join("bag/data/tables/bill_lines/part-00000.parquet");
            let mut bytes = fs::read(&part).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&part, bytes).unwrap();
        }),
        // What a file manager leaves is removed, and nothing of it is sealed.
        ("going on", |dir| fs::write(dir.join("bag/data/tables/bill_lines/.DS_Store"), "x").unwrap()),
    ];
    for (words, edit) in edits {
        let place = Place::new_case();
        sql_on(&place, "UPDATE sys_role_grant SET grant_time = 'never' WHERE rowid = 1");
        seal_until(&place, At::Table("payments"), &SealOptions::default()).await;
        let precious = place.case().join("out/elsewhere.parquet");
        edit(&staging(&place));
        let before = fs::read(&precious).ok();
        let (sealed, said) = seal(&place, &RESUMED).await.unwrap();
        assert!(has(&said, words), "{words}: {said:?}");
        assert_eq!(fs::read(&precious).ok(), before, "what a link points to stays as it is");
        good(&place, &sealed);
    }
}

/// Only one process goes on; others' streams stay; without `--resume` a seal starts over.
#[tokio::test(flavor = "multi_thread")]
async fn one_seal_at_a_time_goes_on() {
    let place = Place::new_case();
    seal_until(&place, At::Table("payments"), &SealOptions::default()).await;
    let lock = fs::File::open(staging(&place).join("lock")).unwrap();
    lock.try_lock().unwrap();
    let error = seal(&place, &RESUMED).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Invalid);
    assert!(error.to_string().contains("another seal of this case is under way"), "{error}");
    drop(lock);
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
    assert!(matches!(&error, Error::Kept(kept) if matches!(kept.error, Error::Deadline { .. })), "{error}");
    assert_eq!(error.exit(), Exit::Incomplete);
    assert!(error.to_string().contains("2026-11-01 22:00 UTC"), "{error}");
    assert_eq!(place.archives(), [] as [String; 0]);
    assert!(error.hint(Lang::En).unwrap().contains("seal --resume"));
    let (sealed, said) = seal(&place, &RESUMED).await.unwrap();
    assert!(has(&said, "going on"), "{said:?}");
    good(&place, &sealed);
}

/// Waits until the server would remember a further change apart from the last one.
async fn quiet(db: &Scratch) {
    while db.open().await.change_marks().values().any(|mark| mark.starts_with("changing")) {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

/// A case of three tables on a source, with keys.
fn small_case(dir: &Path, url: &str, env: &Env) -> PathBuf {
    let case = dir.join("case");
    crate::servers::write_case(&case, url, "mapping.toml");
    fs::write(case.join("mapping.toml"), engines::MAPPING).unwrap();
    ops::keys::new(env, &case.join("secrets"), &case.join("keyring")).unwrap();
    case
}

/// Seals until only the table before `payments` is finished.
async fn stop_before_payments(case: &Path, env: &Env) {
    let mut stopped = env.clone();
    stopped.cancel = Cancel::default();
    stopped.progress = Arc::new(StopAt(At::Table("payments"), stopped.cancel.clone()));
    let error = ops::seal::seal(&stopped, case, &SealOptions::default()).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Interrupted, "{error}");
}

/// The server ends our connection between two tables: 74, nothing sealed, and the next seal goes on. Rows that came
/// meanwhile make it start over.
async fn a_killed_connection(db: Scratch, kill: &'static str) {
    let dir = tempfile::tempdir().unwrap();
    db.sql(&engines::schema(db.engine));
    let ear = Arc::new(Ear::default());
    let mut env = env(&ear);
    env.passwords = db.passwords();
    let case = small_case(dir.path(), db.url.as_str(), &env);
    let db = Arc::new(db);
    for (meanwhile, words) in [
        ("UPDATE t_pay SET id = 100000 WHERE id = 500", "the largest key or latest time of shop.t_pay"),
        ("UPDATE t_pay SET paid = '2026-12-31 00:00:00' WHERE id = 3", "the largest key or latest time of shop.t_pay"),
        // No count, sum, key or time moves.
        ("UPDATE t_pay SET state = 3 - state WHERE id = 7", "what the server says about changes of shop.t_pay"),
        ("SELECT 1", "going on"),
        ("INSERT INTO t_pay (id, no, amt) VALUES (9999, 'X', 1)", "the number of rows of shop.t_pay"),
    ] {
        quiet(&db).await;
        let killer = Arc::clone(&db);
        let mut killed = env.clone();
        killed.progress = Arc::new(Meanwhile("payments", move || killer.sql(kill)));
        let error = ops::seal::seal(&killed, &case, &SealOptions::default()).await.unwrap_err();
        assert_eq!(error.exit(), Exit::Io, "{error}");
        assert!(!error.to_string().contains("127.0.0.1"), "{error}");
        assert!(error.hint(Lang::En).unwrap().contains("seal --resume"), "{:?}", error.hint(Lang::En));
        db.sql(meanwhile);
        quiet(&db).await;
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

/// A table that no transaction covers: its checksum is the proof, because nothing else of it need move.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_MYSQL, the URL of a MySQL or MariaDB server"]
async fn a_table_outside_the_snapshot_changed_between_sittings() {
    let dir = tempfile::tempdir().unwrap();
    let db = Scratch::mysql();
    db.sql(&engines::schema(db.engine));
    db.sql("ALTER TABLE t_log ENGINE = MyISAM");
    let ear = Arc::new(Ear::default());
    let mut env = env(&ear);
    env.passwords = db.passwords();
    let case = small_case(dir.path(), db.url.as_str(), &env);
    stop_before_payments(&case, &env).await;
    db.sql("UPDATE t_log SET txt = 'something else' WHERE id = 7");
    ops::seal::seal(&env, &case, &RESUMED).await.unwrap();
    let words = "what the server says about changes of shop.t_log";
    assert!(has(&ear.0.lock().unwrap(), words), "{:?}", ear.0.lock().unwrap());
}

/// Exported files are read as tables; custody names their digests, so rows of two versions never meet in one archive.
#[tokio::test(flavor = "multi_thread")]
async fn an_exported_file_changed_between_sittings() {
    let dir = tempfile::tempdir().unwrap();
    let exports = dir.path().join("exports");
    fs::create_dir_all(&exports).unwrap();
    fs::write(
        exports.join("t_pay.csv"),
        "id,no,amt,state,made,paid\n1,T1,12.50,1,2026-03-01 08:00:00,2026-03-01 08:00:05\n",
    )
    .unwrap();
    fs::write(exports.join("t_user.csv"), "id,login\nzhang.wei.01,zhang.wei.01\n").unwrap();
    let log = "id,made,login,act,txt\n1,2026-03-01 08:00:00,zhang.wei.01,pay,first\n";
    fs::write(exports.join("t_log.csv"), log).unwrap();
    let ear = Arc::new(Ear::default());
    let env = env(&ear);
    let case = small_case(dir.path(), &format!("files:{}", exports.display()), &env);
    stop_before_payments(&case, &env).await;
    fs::write(exports.join("t_log.csv"), log.replace("first", "other")).unwrap();
    ops::seal::seal(&env, &case, &RESUMED).await.unwrap();
    assert!(has(&ear.0.lock().unwrap(), "the version or settings of shop"), "{:?}", ear.0.lock().unwrap());
}
