//! The shipped mappings, each on small tables of its system filled by the generator: everything is taken, every secret
//! is replaced, and a check finds what was planted and what the product cannot keep, nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use sealport::archive::Archive;
use sealport::mapping::{Mapping, preset};
use sealport::model::{Engine, Exit, Lang};
use sealport::ops::check::CheckOptions;
use sealport::ops::seal::SealOptions;
use sealport::ops::{self, synth::Place};
use sealport::schema;
use serde_json::Value;

use crate::engines::env_with;
use crate::servers::Scratch;
use crate::support::{csv, walk};

/// Every table that a preset reads, it requires with the columns it reads; every dataset it does not fill is said to be
/// absent or belongs to people.
#[test]
fn presets_require_what_they_read() {
    for preset in preset::list() {
        let mapping = Mapping::parse(preset.id, preset.text).unwrap_or_else(|e| panic!("{e}"));
        let filled: BTreeSet<&str> = mapping.parts().iter().map(|p| p.dataset.name).collect();
        for part in mapping.parts() {
            for table in &part.tables {
                let columns = mapping.requires().iter().find(|(t, _)| t.eq_ignore_ascii_case(table));
                let (_, columns) = columns.unwrap_or_else(|| panic!("{}: {table} is read, not required", preset.id));
                assert!(!columns.is_empty(), "{}: {table}", preset.id);
            }
        }
        for name in mapping.absent().keys() {
            assert!(schema::dataset(name).is_some() && !filled.contains(name.as_str()), "{}: {name}", preset.id);
        }
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Values of the columns that hold secrets, from the INSERT statements.
fn secrets(sql: &str, columns: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for statement in sql.split("INSERT INTO ").skip(1) {
        let Some((head, rows)) = statement.split_once(") VALUES\n") else { continue };
        let names: Vec<&str> =
            head.split_once('(').unwrap().1.split(", ").map(|n| n.trim_matches(['`', '"'])).collect();
        for (at, _) in names.iter().enumerate().filter(|(_, n)| columns.contains(n)) {
            for row in rows.trim_end_matches(";\n").split("),\n(") {
                let cell = row.trim_start_matches('(').split(',').nth(at).unwrap_or_default().trim_matches('\'');
                if cell.len() >= 6 {
                    found.insert(cell.to_owned());
                }
            }
        }
    }
    found
}

/// Values of keys of JSON texts, also of JSON quoted inside JSON.
fn json_secrets(sql: &str, keys: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for key in keys {
        let name = format!("{key}\\");
        for quoted in [format!("\"{key}\""), format!("\"{name}"), format!("\\\\\"{name}")] {
            for (at, _) in sql.match_indices(&quoted) {
                let rest = sql[at + quoted.len()..].trim_start_matches(['\\', '"', ':']);
                let value: String =
                    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "+/=._-".contains(*c)).collect();
                if value.len() >= 6 {
                    found.insert(value);
                }
            }
        }
    }
    found
}

/// All text of an archive, with the Parquet tables written out as text.
async fn archive_text(archive: &Path) -> String {
    let mut text = String::new();
    let mut files = Vec::new();
    walk(archive, &mut |path| {
        if path.is_file() {
            files.push(path.to_owned());
        }
    });
    for file in files {
        if file.extension().is_some_and(|e| e == "parquet") {
            text.push_str(&parquet_text(&file));
        } else {
            text.push_str(&String::from_utf8_lossy(&fs::read(&file).unwrap()));
        }
    }
    text
}

fn parquet_text(file: &PathBuf) -> String {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    let reader = SerializedFileReader::new(fs::File::open(file).unwrap()).unwrap();
    let mut text = String::new();
    for row in reader.get_row_iter(None).unwrap() {
        text.push_str(&row.unwrap().to_string());
        text.push('\n');
    }
    text
}

/// Writes a system's sample and loads it into the small tables of the file; returns its statements.
fn load(db: &Scratch, case: &Path, system: &str, tables: &str) -> String {
    let dialect = if db.engine == Engine::Postgres { "postgres" } else { "mysql" };
    let place = Place { system, dialect: Some(dialect), url: Some(db.url.as_str()) };
    ops::synth::system(&env_with(db.passwords()), case, &place, 2_000, 11, "all").unwrap();
    let data = fs::read_to_string(case.join("data.sql")).unwrap();
    let tables = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/systems").join(tables);
    db.sql(&fs::read_to_string(tables).unwrap());
    db.sql(&data);
    data
}

/// Seals, verifies, checks and reports a system's sample in a database of its own.
async fn whole(
    db: &Scratch,
    (system, tables): (&str, &str),
    secret_columns: &[&str],
    secret_keys: &[&str],
    unmapped: &[&str],
) {
    let dir = tempfile::tempdir().unwrap();
    let case = dir.path().join("case");
    let env = env_with(db.passwords());
    let data = load(db, &case, system, tables);

    let (answer, sealed) = ops::seal::seal(&env, &case, &SealOptions::default()).await.unwrap();
    assert_eq!(answer.exit, Exit::Success, "{}", answer.text);
    let account = json(&sealed.path.join("data/custody/reconciliation.json"));
    let text = account.to_string();
    for table in unmapped {
        assert!(text.contains(table), "{table} was not taken and is not listed");
    }
    let mapping = Mapping::parse(system, preset::text(system).unwrap()).unwrap();
    for part in mapping.parts() {
        assert!(account["datasets"][part.dataset.name].is_object(), "{} is not in the account", part.dataset.name);
    }
    let quarantined = Archive::open(&sealed.path).unwrap();
    let rows: BTreeMap<String, u64> = quarantined.statement().tables.iter().map(|t| (t.name.clone(), t.rows)).collect();
    assert_eq!(rows.get("quarantine").copied().unwrap_or_default(), 0, "nothing may be set aside");

    let archive = archive_text(&sealed.path).await;
    let mut hidden = secrets(&data, secret_columns);
    let keys = json_secrets(&data, secret_keys);
    assert!(keys.len() >= secret_keys.len(), "{keys:?}");
    hidden.extend(keys);
    assert!(hidden.len() > 5, "{hidden:?}");
    let one_pass = aho_corasick::AhoCorasick::new(&hidden).unwrap();
    assert!(one_pass.find(&archive).is_none(), "a secret of {system} stands in the archive");
    assert!(!archive.contains("not-to-be-shown") && !archive.contains("PlantedSecret"));

    let options = CheckOptions { fail_on: None, ..CheckOptions::default() };
    let (answer, _) = ops::check::check(&env, &case, &options).await.unwrap();
    let truth: BTreeSet<(String, String, String)> = json(&case.join("truth.json"))
        .as_array()
        .unwrap()
        .iter()
        .map(|t| ["policy", "subject", "reason"].map(|k| t[k].as_str().unwrap().to_owned()).into())
        .collect();
    let listed = csv(&Path::new(answer.json["assessment"].as_str().unwrap()).join("findings.csv"));
    let mut found = BTreeSet::new();
    for f in &listed {
        let get = |name: &str| f[name].clone();
        if get("policy") == "DAT-001" {
            // What cannot be evaluated: the preset says so, or only people can supply it.
            let dataset = schema::dataset(&get("subject"));
            let is_known = mapping.absent().contains_key(&get("subject"))
                || dataset
                    .is_some_and(|d| d.origin != schema::Origin::Mapped || ["bills", "bill_lines"].contains(&d.name));
            assert!(is_known, "{system}: {f:?}");
            continue;
        }
        found.insert((get("policy"), get("subject"), get("reason")));
    }
    let missed: Vec<_> = truth.difference(&found).collect();
    let surplus: Vec<_> = found.difference(&truth).collect();
    assert!(missed.is_empty() && surplus.is_empty(), "{system}\nmissed {missed:#?}\nsurplus {surplus:#?}");
    assert!(found.len() > 20);

    let report = ops::report::report(&env, &case, None, &[Lang::Zh, Lang::En]).await.unwrap();
    assert_eq!(report.exit, Exit::Success, "{}", report.text);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_MYSQL, the URL of a MySQL or MariaDB server"]
async fn litemall_sample() {
    whole(&Scratch::mysql(), ("litemall", "litemall.sql"), &["password", "session_key"], &[], &["litemall_footprint"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_MYSQL, the URL of a MySQL or MariaDB server"]
async fn jeepay_sample() {
    let keys =
        ["apiV3Key", "appSecret", "privateKey", "apiClientKey", "internalNote", "iToken", "confirmPwd", "ip", "ia"];
    whole(
        &Scratch::mysql(),
        ("jeepay", "jeepay.sql"),
        &["app_secret", "credential", "salt"],
        &keys,
        &["t_sys_user_auth"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_MYSQL, the URL of a MySQL or MariaDB server"]
async fn crmeb_sample() {
    let db = Scratch::mysql();
    db.sql("CREATE TABLE eb_article (id INT)");
    whole(&db, ("crmeb", "crmeb.sql"), &["pwd", "appsecret", "push_password"], &[], &["eb_article"]).await;
}

const RUOYI_COLUMNS: [&str; 5] = ["password", "access_token", "refresh_token", "client_secret", "token"];
const RUOYI_KEYS: [&str; 6] = ["mchKey", "apiV3Key", "privateKeyContent", "privateKey", "session_key", "password"];

/// Rows of other tenants are somebody else's.
const OTHER_TENANT: &str = "INSERT INTO trade_order (id, no, tenant_id) VALUES (1, 'not-to-be-shown', 1)";

/// A storage bucket named after somebody, as in the data the system ships with.
const NAMED_BUCKET: &str = r#"INSERT INTO infra_file_config (id, config, deleted)
  SELECT 1, CONCAT('{"@class":"S3","bucket":"shop-', MIN(username), '","accessSecret":"planted-bucket-secret"}'), 0
  FROM system_users WHERE CHAR_LENGTH(username) > 8"#;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_MYSQL, the URL of a MySQL or MariaDB server"]
async fn ruoyi_sample_on_mysql() {
    let db = Scratch::mysql();
    db.sql("CREATE TABLE infra_job (id BIGINT)");
    whole(&db, ("ruoyi-vue-pro", "ruoyi-vue-pro.mysql.sql"), &RUOYI_COLUMNS, &RUOYI_KEYS, &["infra_job"]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_POSTGRES, the URL of a PostgreSQL server"]
async fn ruoyi_sample_on_postgres() {
    let db = Scratch::postgres();
    db.sql("CREATE TABLE infra_job (id BIGINT)");
    whole(&db, ("ruoyi-vue-pro", "ruoyi-vue-pro.postgres.sql"), &RUOYI_COLUMNS, &RUOYI_KEYS, &["infra_job"]).await;
}

/// One story on two engines: the same canonical rows in the same order, so the same roots; rows of another tenant make
/// no difference.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_MYSQL and SEALPORT_TEST_POSTGRES"]
async fn ruoyi_is_the_same_on_both_engines() {
    let dir = tempfile::tempdir().unwrap();
    let mut tables: Vec<Vec<(String, u64, String)>> = Vec::new();
    for (db, file) in
        [(Scratch::mysql(), "ruoyi-vue-pro.mysql.sql"), (Scratch::postgres(), "ruoyi-vue-pro.postgres.sql")]
    {
        let case = dir.path().join(file);
        load(&db, &case, "ruoyi-vue-pro", file);
        db.sql(OTHER_TENANT);
        db.sql(NAMED_BUCKET);
        let (_, sealed) = ops::seal::seal(&env_with(db.passwords()), &case, &SealOptions::default()).await.unwrap();
        let archive = Archive::open(&sealed.path).unwrap();
        // Raw tables are typed as their engine types them.
        let canonical = archive.statement().tables.iter().filter(|t| !t.name.starts_with("raw_"));
        let rows = canonical.map(|t| (t.name.clone(), t.rows, t.root.to_string())).collect();
        tables.push(rows);
    }
    assert!(tables[0].len() > 25, "{}", tables[0].len());
    assert_eq!(tables[0], tables[1]);
}
