//! From an unknown database to a sealed case: init, try, coverage, explain, doctor; and that none of them shows people.

use std::fs;
use std::sync::Arc;

use sealport::clock::{FixedClock, SeededRandom};
use sealport::model::{Engine, Exit, Lang};
use sealport::ops::{self, Answer, Env, Notices, Passwords};
use sealport::progress::{Cancel, Hidden};
use serde_json::Value;

use crate::bag::at;
use crate::servers::{Scratch, write_case};
use crate::support::{Place, Run, is_chinese, names, sql};

/// People planted in the unknown shop, in columns whose names say so and in columns whose names do not.
const PLANTED: [&str; 9] = [
    "欧阳测试",
    "诸葛样本",
    "13912345678",
    "13887654321",
    "ouyang.ceshi",
    "ouyang@example.com",
    "oX-openid-1",
    "S3cr3t-Pa55word",
    "350102199001011234",
];

/// A shop nobody has mapped: pinyin, Chinese and English names, one dialect for three engines.
fn shop(engine: Engine) -> String {
    let q = |name: &str| engine.quoted(name);
    let (time, money) = match engine {
        Engine::Sqlite => ("TEXT", "DECIMAL(10,2)"),
        Engine::MySql => ("DATETIME", "DECIMAL(10,2)"),
        Engine::Postgres => ("TIMESTAMP", "NUMERIC(10,2)"),
    };
    let mut out = format!(
        "CREATE TABLE huiyuan (huiyuan_id INTEGER PRIMARY KEY, xingming VARCHAR(40), shouji VARCHAR(20), mima VARCHAR(80), f1 VARCHAR(80), openid VARCHAR(40), zhuangtai INTEGER, zhuce_shijian BIGINT, yue {money});
         CREATE TABLE {orders} ({no} VARCHAR(20) PRIMARY KEY, {member} INTEGER, {state} VARCHAR(20), {amount} {money}, {at} {time}, {who} VARCHAR(40), {tel} VARCHAR(20), {note} VARCHAR(200));
         CREATE TABLE sys_user (id INTEGER PRIMARY KEY, username VARCHAR(40), real_name VARCHAR(40), mobile VARCHAR(20), password VARCHAR(80), create_time {time}, is_del INTEGER);
         CREATE TABLE order_refund (id INTEGER PRIMARY KEY, order_id VARCHAR(20), refund_amount INTEGER, refund_status INTEGER, refund_reason VARCHAR(200), apply_time BIGINT);
         CREATE TABLE xyzzy (id INTEGER PRIMARY KEY, creator VARCHAR(40), type VARCHAR(40), f2 VARCHAR(40));",
        orders = q("订单"), no = q("订单编号"), member = q("会员编号"), state = q("状态"), amount = q("订单金额"),
        at = q("下单时间"), who = q("收货人"), tel = q("电话"), note = q("备注"),
    );
    for i in 1..=6 {
        let (who, tel) = if i % 2 == 0 { (PLANTED[0], PLANTED[2]) } else { (PLANTED[1], PLANTED[3]) };
        let (state, code) = if i % 3 == 0 { ("closed", 2) } else { ("paid", 1) };
        out.push_str(&format!(
            "INSERT INTO huiyuan VALUES ({i}, '{who}', '{tel}', '{}', '{}', '{}', {code}, {}, 12.50);
             INSERT INTO {} VALUES ('D{i}', {i}, '{state}', 19.9{i}, '2026-03-0{i} 08:00:00', '{who}', '{tel}', '请电 {tel} 或 ouyang.ceshi 欧阳测试');
             INSERT INTO order_refund VALUES ({i}, 'D{i}', 1990, {code}, '欧阳测试同意', {});
             INSERT INTO xyzzy VALUES ({i}, '{who}', '{who}', '{}');",
            PLANTED[7], PLANTED[5], PLANTED[6], 1_772_323_200 + i, q("订单"), 1_772_323_200_000_i64 + i, PLANTED[8],
        ));
    }
    out.push_str(&format!(
        "INSERT INTO sys_user VALUES (1, 'ouyang.ceshi', '欧阳测试', '13912345678', '{}', '2026-01-01 09:00:00', 0);
         INSERT INTO sys_user VALUES (2, 'zhuge.yangben', '诸葛样本', '13887654321', '{}', '2026-01-02 09:00:00', 0);",
        PLANTED[7], PLANTED[7]
    ));
    out
}

fn shows_nobody(text: &str) {
    for planted in PLANTED {
        assert!(!text.contains(planted), "`{planted}` in:\n{text}");
    }
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.out).unwrap_or_else(|e| panic!("{e}: {} {}", run.out, run.err))
}

/// Gives every code of an enum its meaning, as a person would.
fn completed(text: &str) -> String {
    let mut inside = "";
    let mut out = String::new();
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line;
        }
        let word = match inside {
            "[enum.customers_state]" => Some("active"),
            "[enum.refunds_status]" => Some("succeeded"),
            _ => None,
        };
        match word {
            Some(word) if line.contains(" = \"\"") => out.push_str(&line.replace("= \"\"", &format!("= \"{word}\""))),
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

/// A case for the shop, with the keys made.
fn case_of(place: &Place, url: &str) {
    write_case(&place.case(), url, "mapping.toml");
    place.append("case.toml", "params = { zone = \"Asia/Shanghai\" }");
    assert_eq!(place.run(&["keys", "new", "case"]).code, 0);
}

/// The whole way, from nothing to an archive, with no value of a person on the screen or in the mapping.
#[test]
fn from_nothing_to_a_sealed_case() {
    let place = Place::empty();
    sql(&place.path().join("shop.db"), &shop(Engine::Sqlite));
    let init = ["mapping", "init", "--source", "sqlite://shop.db", "--name", "Fruit Shop", "--out", "mapping.toml"];
    let run = place.run(&init);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let again = place.run(&init);
    assert_eq!(again.code, 2, "a file that exists is not replaced: {}", again.err);
    let text = fs::read_to_string(place.path().join("mapping.toml")).unwrap();
    for wanted in [
        "id = \"fruit-shop\"",
        "[dataset.trade_orders]",
        "[dataset.customers]",
        "[dataset.staff]",
        "[dataset.refunds]",
        "\"closed\" = \"closed\"   # guess: the same word; 2 rows",
        "\"2\" = \"\"   # 2 rows",
        "conv.registered_at = { time = \"epoch_s\" }",
        "conv.requested_at = { time = \"epoch_ms\" }",
        "conv.created_at = { time = \"local\" }",
        "conv.amount_fen = { money = \"fen\" }",
        "conv.payable_fen = { money = \"yuan\" }",
        "conv.is_deleted = { flag",
        "mima VARCHAR(80) — secret",
        "# xyzzy: 6 rows",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in\n{text}");
    }
    // Neither secrets nor, unmarked, anything that reaches a person is selected.
    assert!(!text.contains("\"mima\" AS") && !text.contains("\"password\" AS"));
    shows_nobody(&text);
    shows_nobody(&run.out);
    assert_eq!(place.run(&["mapping", "lint", "mapping.toml"]).code, 0);

    case_of(&place, "sqlite://../shop.db");
    fs::write(place.case().join("mapping.toml"), completed(&text)).unwrap();
    for form in ["text", "json"] {
        let run = place.run(&["mapping", "try", "case", "--format", form]);
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{}", run.out);
        shows_nobody(&run.out);
        assert!(run.out.contains("s_") && run.out.contains("c_"), "staff and customers are tokens: {}", run.out);
        let run = place.run(&["doctor", "case", "--format", form]);
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{}", run.out);
        shows_nobody(&run.out);
        let run = place.run(&["mapping", "coverage", "case", "--format", form]);
        assert_eq!(run.code, 0, "{}", run.err);
        shows_nobody(&run.out);
        let run = place.run(&["mapping", "explain", "case", "--format", form]);
        assert_eq!(run.code, 0, "{}", run.err);
        shows_nobody(&run.out);
    }
    assert!(!place.case().join("out").exists(), "looking writes nothing");
    let seal = place.run(&["seal", "case", "--quiet"]);
    assert_eq!(seal.code, 0, "{}", seal.err);
}

/// A good case: nothing to do, the load told, nothing written; in both languages.
#[test]
fn doctor_of_a_good_case() {
    let place = Place::new_case();
    let before = names(&place.case());
    let run = place.run(&["doctor", "case", "--format", "json"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let answer = json(&run);
    let checks = answer["checks"].as_array().unwrap();
    assert!(checks.iter().all(|c| c["mark"] != "problem"), "{}", run.out);
    for topic in ["connection", "account", "requires", "selects", "left-over", "zone", "files", "load", "disk"] {
        assert!(checks.iter().any(|c| c["topic"] == topic), "{topic}");
    }
    assert!(answer["load"]["rows"].as_u64().unwrap() > 10_000);
    assert_eq!(answer["load"]["connections"], 1);
    assert!(run.out.contains("t_cart") && run.out.contains("pwd_hash"), "what is not mapped is listed");
    assert_eq!(names(&place.case()), before);
    let zh = place.run(&["doctor", "case", "--lang", "zh"]);
    assert!(zh.code == 0 && is_chinese(&zh.out));
}

/// What does not fit is named, with the code that belongs to it.
#[test]
fn doctor_names_what_does_not_fit() {
    let place = Place::new_case();
    let db = place.case().join("source/shop.db");
    sql(
        &db,
        "ALTER TABLE t_refund DROP COLUMN route; UPDATE t_pay SET pay_time = '2199-01-01 00:00:00' WHERE rowid = 1",
    );
    let run = place.run(&["doctor", "case", "--format", "json"]);
    assert_eq!(run.code, 2, "{}", run.out);
    let answer = json(&run);
    let of = |topic: &str, mark: &str| -> Vec<Value> {
        let checks = answer["checks"].as_array().unwrap();
        checks.iter().filter(|c| c["topic"] == topic && c["mark"] == mark).cloned().collect()
    };
    assert_eq!(of("requires", "problem")[0]["facts"]["missing"][0], "t_refund.route");
    assert_eq!(of("selects", "problem")[0]["facts"]["dataset"], "refunds");
    let zone = of("zone", "note");
    assert_eq!(zone[0]["facts"]["column"], "payments.paid_at");
    assert!(zone[0]["facts"]["hoursAhead"].as_f64().unwrap() > 1_000.0);

    sql(&db, "DROP TABLE t_refund");
    assert!(place.run(&["doctor", "case"]).out.contains("t_refund"));
    fs::remove_file(&db).unwrap();
    let run = place.run(&["doctor", "case"]);
    assert_eq!(run.code, 74, "{}", run.out);
    assert!(run.out.contains("problem") && run.out.contains("connection"), "{}", run.out);
}

/// SQLite's declared types are a doubt, not a mistake: a conversion that cannot read one is told and stops nothing.
#[test]
fn doctor_doubts_declared_types() {
    let place = Place::new_case();
    place.edit("source/mapping.toml", |text| {
        text.replacen("conv.paid_at = { time = \"local\"", "conv.paid_at = { time = \"epoch_s\"", 1)
    });
    let run = place.run(&["doctor", "case", "--format", "json"]);
    assert_eq!(run.code, 0, "{}", run.out);
    let answer = json(&run);
    let found =
        answer["checks"].as_array().unwrap().iter().any(|c| c["topic"] == "types" && c["facts"]["column"] == "paid_at");
    assert!(found, "{}", run.out);
}

/// A column nobody fills is a gap with its price; the threshold has its own exit code.
#[test]
fn coverage_prices_gaps() {
    let place = Place::new_case();
    let mapping = "case/source/mapping.toml";
    let full = json(&place.run(&["mapping", "coverage", mapping, "--format", "json"]));
    place.edit("source/mapping.toml", |text| {
        let kept: Vec<&str> = text.lines().filter(|l| !l.trim_start().starts_with("conv.route")).collect();
        let text = kept.join("\n");
        let at = text.find(" AS route").unwrap();
        let from = text[..at].rfind(',').unwrap();
        format!("{}{}", &text[..from], &text[at + " AS route".len()..])
    });
    let run = place.run(&["mapping", "coverage", mapping, "--format", "json"]);
    assert_eq!(run.code, 0, "{}", run.err);
    let less = json(&run);
    assert!(less["percent"].as_f64() < full["percent"].as_f64());
    let gaps = less["gaps"].as_array().unwrap();
    let route = gaps.iter().find(|g| g["dataset"] == "refunds" && g["column"] == "route").unwrap();
    assert!(!route["neededBy"].as_array().unwrap().is_empty());
    let price = |g: &Value| (g["unlocksBlockers"].as_u64(), g["unlocks"].as_array().unwrap().len());
    assert!(gaps.windows(2).all(|w| price(&w[0]) >= price(&w[1])), "the greatest benefit first");
    assert_eq!(place.run(&["mapping", "coverage", mapping, "--fail-under", "100"]).code, 5);
    assert_eq!(place.run(&["mapping", "coverage", mapping, "--fail-under", "10"]).code, 0);

    place.append("source/mapping.toml", "[absent]\nnonsense = \"none\"");
    assert_eq!(place.run(&["mapping", "coverage", mapping]).code, 2, "an unknown dataset is a mistake of the mapping");
}

/// Rows that cannot be converted are told by token and column, a code without a meaning stops the part it is in.
#[test]
fn try_tells_what_does_not_convert() {
    let place = Place::new_case();
    let db = place.case().join("source/shop.db");
    sql(&db, "UPDATE t_pay SET amt = 'viel' WHERE rowid = 1");
    let only = ["mapping", "try", "case", "--dataset", "payments", "--format", "json"];
    let run = place.run(&only);
    assert_eq!(run.code, 5, "{}", run.err);
    let answer = json(&run);
    let sample = &answer["samples"][0];
    assert_eq!(sample["rows"].as_array().unwrap().len(), 99);
    assert_eq!(sample["quarantined"][0]["column"], "amount_fen");
    assert_eq!(sample["quarantined"][0]["reason"], "not-a-number");
    assert!(!run.out.contains("viel"));
    sql(&db, "UPDATE t_pay SET state = 77 WHERE rowid = 1");
    let run = place.run(&only);
    assert_eq!(run.code, 2, "{}", run.out);
    assert!(json(&run)["samples"][0]["stopped"].as_str().unwrap().contains("77"));
    assert_eq!(place.run(&["mapping", "try", "case", "--source", "nowhere"]).code, 2);
    assert_eq!(place.run(&["mapping", "try", "case", "--dataset", "nothing"]).code, 2);
}

/// No staff identifier of the sample merchant is shown, wherever it stands in the source.
#[test]
fn try_shows_no_staff() {
    let place = Place::new_case();
    let connection = rusqlite::Connection::open(place.case().join("source/shop.db")).unwrap();
    let mut people = connection.prepare("SELECT real_name, mobile, login FROM sys_user").unwrap();
    let planted: Vec<String> = people
        .query_map([], |row| Ok([row.get::<_, Option<String>>(0)?, row.get(1)?, row.get(2)?]))
        .unwrap()
        .flat_map(|row| row.unwrap().into_iter().flatten())
        .filter(|v| v.chars().count() > 2)
        .collect();
    assert!(planted.len() > 100);
    let run = place.run(&["mapping", "try", "case", "--rows", "200", "--format", "json"]);
    let cells = json(&run);
    let mut texts = Vec::new();
    for sample in cells["samples"].as_array().unwrap() {
        for row in sample["rows"].as_array().unwrap() {
            texts.extend(row.as_object().unwrap().values().filter_map(|v| v.as_str().map(str::to_owned)));
        }
    }
    assert!(texts.len() > 10_000, "{}", texts.len());
    let all: std::collections::BTreeSet<&str> = texts.iter().map(String::as_str).collect();
    for value in &planted {
        assert!(!all.contains(value.as_str()), "{value}");
    }
}

/// A join that multiplies rows, a full sort and the conditions are told; what is not fed is refused.
#[test]
fn explain_warns() {
    let place = Place::empty();
    sql(
        &place.path().join("shop.db"),
        "CREATE TABLE o (id INTEGER PRIMARY KEY, no TEXT); CREATE TABLE i (o INTEGER);
         INSERT INTO o VALUES (1, 'b'), (2, 'a'); INSERT INTO i VALUES (1), (1), (2);",
    );
    case_of(&place, "sqlite://../shop.db");
    place.edit("case.toml", |text| text.replace("params = { zone = \"Asia/Shanghai\" }", ""));
    let mapping = "[mapping]\nid = \"t\"\nversion = 1\n[dataset.trade_orders]\nevidence = \"recorded\"\norder = \"o.no\"\n\
                   sql.sqlite = \"SELECT o.id AS order_ref, o.no AS order_no FROM o JOIN i ON i.o = o.id WHERE o.id > 0\"\n";
    fs::write(place.case().join("mapping.toml"), mapping).unwrap();
    let run = place.run(&["mapping", "explain", "case", "--format", "json"]);
    assert_eq!(run.code, 0, "{}", run.err);
    let select = json(&run)["selects"][0].clone();
    assert_eq!((select["rows"].as_u64(), select["tableRows"].as_u64()), (Some(3), Some(2)));
    let warnings: Vec<&str> = select["warnings"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(warnings.contains(&"multiplies") && warnings.contains(&"sort"), "{warnings:?}");
    assert!(select["plan"].as_array().unwrap().iter().any(|s| s.as_str().unwrap().contains("SCAN")));
    assert!(!select["conditions"].as_array().unwrap().is_empty());
    assert_eq!(place.run(&["mapping", "explain", "case", "--dataset", "refunds"]).code, 2);
}

struct Deaf;
impl Notices for Deaf {
    fn tell(&self, _: String) {}
}

fn env(passwords: Arc<dyn Passwords>) -> Env {
    Env {
        clock: Arc::new(FixedClock(at("2026-03-06T08:00:00Z"))),
        random: Arc::new(SeededRandom::new(*b"authoring")),
        progress: Arc::new(Hidden),
        notices: Arc::new(Deaf),
        cancel: Cancel::default(),
        lang: Lang::En,
        secrets: None,
        passwords,
        executable: None,
    }
}

fn finding(answer: &Answer, topic: &str) -> Vec<Value> {
    answer.json["checks"].as_array().unwrap().iter().filter(|c| c["topic"] == topic).cloned().collect()
}

/// The same way on a server: proposal, completion, try, explain, doctor.
async fn on_a_server(db: &Scratch) {
    let place = Place::empty();
    let env = env(db.passwords());
    db.sql(&shop(db.engine));
    let out = place.path().join("mapping.toml");
    let request = ops::mapping::propose::ProposeRequest { url: db.url.to_string(), name: None, out: out.clone() };
    let answer = ops::mapping::propose::propose(&env, &request).await.unwrap();
    assert_eq!(answer.json["problems"].as_array().unwrap().len(), 0, "{}", answer.json);
    let text = fs::read_to_string(&out).unwrap();
    for dataset in ["trade_orders", "customers", "staff", "refunds"] {
        assert!(text.contains(&format!("[dataset.{dataset}]")), "{dataset}\n{text}");
    }
    shows_nobody(&text);
    case_of(&place, db.url.as_str());
    fs::write(place.case().join("mapping.toml"), completed(&text)).unwrap();
    let request = ops::mapping::sample::TryRequest { case: place.case(), source: None, dataset: None, rows: 100 };
    let answer = ops::mapping::sample::sample(&env, &request).await.unwrap();
    assert_eq!(answer.exit, Exit::Success, "{}", answer.text);
    shows_nobody(&answer.json.to_string());
    assert_eq!(answer.json["samples"].as_array().unwrap().len(), 4);
    let answer = ops::mapping::explain::explain(&env, &place.case(), None).await.unwrap();
    for select in answer.json["selects"].as_array().unwrap() {
        assert!(!select["plan"].as_array().unwrap().is_empty());
        assert_eq!(select["rows"], select["tableRows"]);
    }
    let answer = ops::doctor::doctor(&env, &place.case()).await.unwrap();
    assert_eq!(answer.exit, Exit::Success, "{}", answer.text);
    shows_nobody(&answer.json.to_string());
    let account = finding(&answer, "account");
    assert_eq!(account[0]["mark"], "note", "the test's account may do everything: {}", answer.text);
    assert!(account[0]["details"].as_array().unwrap().iter().any(|s| s.as_str().unwrap().contains("sealport_read")));
    // The newest order is of 08:00 in Shanghai, which is eight hours before now.
    let is_told = |z: &Value| z["mark"] == "note" && z["facts"]["column"] == "trade_orders.created_at";
    assert!(finding(&answer, "zone").iter().any(is_told), "{}", answer.text);

    // A mapping that reads a DATETIME as a TIMESTAMP, or a timestamp as seconds, does not fit.
    let wrong = if db.engine == Engine::MySql { "session" } else { "epoch_s" };
    place.edit("mapping.toml", |t| {
        t.replace("conv.created_at = { time = \"local\" }", &format!("conv.created_at = {{ time = \"{wrong}\" }}"))
    });
    let answer = ops::doctor::doctor(&env, &place.case()).await.unwrap();
    assert_eq!(answer.exit, Exit::Invalid, "{}", answer.text);
    assert!(finding(&answer, "types").iter().any(|t| t["facts"]["column"] == "created_at" && t["mark"] == "problem"));

    // One SELECT that no longer prepares hides none of the others.
    db.sql("ALTER TABLE order_refund DROP COLUMN refund_reason");
    let answer = ops::doctor::doctor(&env, &place.case()).await.unwrap();
    let refused = finding(&answer, "selects");
    assert_eq!(refused.len(), 1, "{}", answer.text);
    assert_eq!(refused[0]["facts"]["dataset"], "refunds");
    assert!(finding(&answer, "connection").iter().all(|c| c["mark"] == "ok"), "{}", answer.text);
}

/// The tools work on MySQL.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_MYSQL, the URL of a MySQL or MariaDB server"]
async fn authoring_on_mysql() {
    on_a_server(&Scratch::mysql()).await;
}

/// The tools work on PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALPORT_TEST_POSTGRES, the URL of a PostgreSQL server"]
async fn authoring_on_postgres() {
    on_a_server(&Scratch::postgres()).await;
}
