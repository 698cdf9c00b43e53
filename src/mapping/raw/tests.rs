//! What a mapping says about raw tables: classes, names, links, and which statement carries which table.

use super::*;
use crate::mapping::Mapping;

const MAPPING: &str = r#"
[mapping]
id = "shop"
version = 1
zone = "Asia/Shanghai"
zone_evidence = "test"

[params]
prefix = { kind = "prefix", default = "t_" }

[enum.who]
"1" = "staff"
"2" = "customer"
"3" = "system"

[dataset.payments]
evidence = "recorded"
order = "p.id"
conv.amount_fen = { money = "yuan" }
conv.currency = { const = "CNY" }
conv.status = { const = "succeeded" }
sql.default = "SELECT 'p' || p.id AS payment_ref, p.no AS out_trade_no, p.amt AS amount_fen FROM {prefix}pay p"

[dataset.staff]
evidence = "recorded"
conv.state = { const = "active" }
sql.default = "SELECT 'u:' || u.id AS staff_ref, u.login AS login_name, u.tel AS phone FROM {prefix}user u WHERE u.gone = 0"

[dataset.operation_logs]
evidence = "recorded"
conv.acted_at = { time = "local" }
conv.actor_type = { enum = "who" }
conv.detail = { redact = ["pin"] }
sql.default = "SELECT l.id AS log_ref, l.made AS acted_at, l.kind AS actor_type, 'u:' || l.uid AS actor_ref, l.act AS action, l.txt AS detail, u.note AS module FROM {prefix}log l LEFT JOIN {prefix}user u ON u.id = l.uid"

[dataset.tokens]
evidence = "recorded"
conv.fingerprint = { secret = true }
conv.actor_type = { const = "staff" }
sql.default = "SELECT k.id AS token_ref, UPPER(k.word) AS fingerprint, 'u:' || k.uid AS actor_ref FROM {prefix}key k"

[raw."{prefix}user"]
class.nick = "staff_id"
prefix.nick = "u:"
class.photo = "drop"
class.login = "none"

[raw."{prefix}key"]
class.hint = "none"
"#;

fn table(name: &str, columns: &[(&str, &str)], key: &[&str]) -> SourceTable {
    SourceTable {
        name: name.into(),
        columns: columns.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect(),
        key: key.iter().map(|k| (*k).to_owned()).collect(),
    }
}

fn tables() -> Vec<SourceTable> {
    vec![
        table(
            "t_pay",
            &[("id", "INTEGER"), ("no", "TEXT"), ("amt", "DECIMAL(10,2)"), ("memo", "TEXT"), ("Api_Key", "TEXT")],
            &["id"],
        ),
        table(
            "t_user",
            &[
                ("id", "INTEGER"),
                ("login", "TEXT"),
                ("tel", "TEXT"),
                ("gone", "INTEGER"),
                ("note", "TEXT"),
                ("nick", "TEXT"),
                ("photo", "BLOB"),
            ],
            &["id"],
        ),
        table(
            "t_log",
            &[
                ("id", "INTEGER"),
                ("made", "TEXT"),
                ("kind", "INTEGER"),
                ("uid", "INTEGER"),
                ("act", "TEXT"),
                ("txt", "TEXT"),
            ],
            &["id"],
        ),
        table("t_key", &[("id", "INTEGER"), ("word", "TEXT"), ("uid", "INTEGER"), ("hint", "TEXT")], &[]),
        table("t_other", &[("id", "INTEGER")], &[]),
    ]
}

fn planned(text: &str, tables: &[SourceTable]) -> RawTables {
    let mapping = Mapping::parse("mapping.toml", text).unwrap();
    let mapping = mapping.bind(Engine::Sqlite, &BTreeMap::new()).unwrap();
    let parts: Vec<&Part> = mapping.parts().iter().collect();
    plan(Engine::Sqlite, &parts, mapping.raw(), tables, &|name| name.to_lowercase().contains("key"))
}

fn treatments(plan: &RawTables, table: &str) -> Vec<String> {
    let table = plan.tables.iter().find(|t| t.source_table == table).unwrap();
    table
        .columns
        .iter()
        .map(|c| {
            let how = match &c.treatment {
                Treatment::Clear(class) => class.name().to_owned(),
                Treatment::FreeText(keys) => format!("free_text{keys:?}"),
                Treatment::Contact => "contact".into(),
                Treatment::Staff(prefix) => format!("staff {prefix}"),
                Treatment::Customer(prefix) => format!("customer {prefix}"),
                Treatment::PerRow(Actor::Column(index, words), prefix, _) => {
                    format!("by {index} {:?} {prefix}", words.of("2"))
                }
                Treatment::PerRow(Actor::Word(word), prefix, _) => format!("by '{word}' {prefix}"),
                Treatment::Secret(_) => "secret".into(),
            };
            format!("{}: {how}", c.name)
        })
        .collect()
}

/// Classes follow the canonical columns; nothing unclassified is trusted; rules of the mapping add and never weaken.
#[test]
fn classes() {
    let plan = planned(MAPPING, &tables());
    assert_eq!(plan.unknown, Vec::<String>::new());
    assert_eq!(
        treatments(&plan, "t_pay"),
        ["id: business_id", "no: business_id", "amt: none", "memo: free_text[]", "api_key: secret"]
    );
    assert_eq!(
        treatments(&plan, "t_user"),
        ["id: staff u:", "login: staff ", "tel: staff ", "gone: none", "note: none", "nick: staff u:"]
    );
    assert_eq!(
        treatments(&plan, "t_log"),
        [
            "id: business_id",
            "made: none",
            "kind: none",
            "uid: by 2 Some(\"customer\") u:",
            "act: none",
            "txt: free_text[\"pin\"]"
        ]
    );
    // What a secret is made of is a secret; a declared class lifts the suspicion of a name.
    assert_eq!(treatments(&plan, "t_key"), ["id: business_id", "word: secret", "uid: by 'staff' u:", "hint: none"]);
    assert_eq!(plan.tables.iter().find(|t| t.source_table == "t_user").unwrap().dropped, ["photo"]);
    assert!(plan.tables.iter().all(|t| t.source_table != "t_other"), "only tables that a SELECT reads");
}

/// Canonical rows name raw rows by what the SELECT shows.
#[test]
fn links_to_canonical_rows() {
    let plan = planned(MAPPING, &tables());
    let link = |table: &str| plan.tables.iter().find(|t| t.source_table == table).unwrap().links.clone();
    let piece = |prefix: &str, class| KeyPiece::Canonical { prefix: prefix.into(), column: 0, class };
    assert_eq!(link("t_pay"), [Link { dataset: "payments", part: 0, key: vec![piece("p", Class::BusinessId)] }]);
    assert_eq!(link("t_user"), [Link { dataset: "staff", part: 0, key: vec![piece("u:", Class::StaffId)] }]);
}

/// A statement that takes its table row for row carries it; conditions, aggregates and other tables do not.
#[test]
fn carriers() {
    let plan = planned(MAPPING, &tables());
    let carriers = |table: &str| plan.tables.iter().find(|t| t.source_table == table).unwrap().carriers.clone();
    let pay = carriers("t_pay");
    assert_eq!(pay.len(), 1);
    assert!(
        pay[0].sql.contains("p.amt AS amount_fen\n, p.\"id\" AS \"raw__0\"") && pay[0].sql.ends_with("\nORDER BY p.id"),
        "{}",
        pay[0].sql
    );
    assert!(pay[0].sql.contains("\nFROM t_pay p"), "{}", pay[0].sql);
    assert_eq!(carriers("t_user"), [], "a condition leaves rows out");
    assert!(carriers("t_log")[0].has_joins);
    for sql in [
        "SELECT COUNT(*) AS token_ref FROM t_key k",
        "SELECT DISTINCT k.id AS token_ref FROM t_key k",
        "SELECT k.id AS token_ref FROM t_key k, t_user u",
        "SELECT k.id AS token_ref FROM t_key k JOIN t_user u ON u.id = k.uid",
        "SELECT k.id AS token_ref FROM (SELECT id FROM t_key) k",
        "WITH k AS (SELECT id FROM t_key) SELECT k.id AS token_ref FROM k",
        "SELECT k.id AS token_ref FROM t_key k UNION ALL SELECT k.id FROM t_key k",
        "SELECT k.id AS token_ref FROM t_key k LIMIT 3",
    ] {
        let text = format!(
            "[mapping]\nid = \"x\"\nversion = 1\n[dataset.tokens]\nevidence = \"recorded\"\ntable = \"t_key\"\nsql.default = \"{sql}\"\n"
        );
        let plan = planned(&text, &tables());
        let key = plan.tables.iter().find(|t| t.source_table == "t_key").unwrap();
        assert_eq!(key.carriers, [], "{sql}");
        assert_eq!(key.sql, "SELECT \"id\", \"word\", \"uid\", \"hint\"\nFROM \"t_key\"");
    }
    // FROM inside functions and comparisons is not the statement's.
    let sql = "SELECT k.id AS token_ref, k.id IS DISTINCT FROM k.uid AS is_deleted -- FROM here\\n FROM t_key k";
    let text = format!(
        "[mapping]\nid = \"x\"\nversion = 1\n[dataset.tokens]\nevidence = \"recorded\"\nsql.default = \"{sql}\"\n"
    );
    let plan = planned(&text, &tables());
    let carrier = &plan.tables.iter().find(|t| t.source_table == "t_key").unwrap().carriers;
    assert!(carrier[0].sql.ends_with("AS \"raw__3\"\nFROM t_key k"), "{carrier:?}");
}

/// Rules that protect nothing because they name nothing are told, and a table can be left out with a reason.
#[test]
fn rules() {
    let text = format!("{MAPPING}\n[raw.t_pay]\nskip = \"sealed elsewhere\"\n[raw.t_none]\nclass.x = \"secret\"\n");
    let plan = planned(&text.replace("class.hint", "class.hnit"), &tables());
    assert_eq!(plan.unknown, ["t_none", "t_key.hnit"]);
    assert_eq!(plan.left_out, [LeftOut { table: "t_pay".into(), reason: "sealed elsewhere".into() }]);
    let mut views = tables();
    views.retain(|t| t.name != "t_pay");
    let plan = planned(MAPPING, &views);
    assert_eq!(plan.left_out[0].table, "t_pay");
    for (line, problem) in [
        ("class.x = \"staf\"", "staf"),
        ("skip = \" \"", "says why"),
        ("prefix.x = \"u:\"", "a prefix needs"),
        ("clas.x = \"none\"", "clas"),
    ] {
        let text = format!("{MAPPING}\n[raw.t_pay]\n{line}\n");
        let problems = crate::mapping::lint("mapping.toml", &text).to_string();
        assert!(problems.contains(problem), "{line}: {problems}");
    }
}

/// A code that is part of a key that names somebody stays readable where the archive shows the code itself; a part that
/// the archive shows nowhere does not.
#[test]
fn parts_of_keys() {
    let text = r#"
[mapping]
id = "roles"
version = 1

[dataset.grants]
evidence = "recorded"
conv.grant_ref = { class = "staff_id" }
conv.source_form = { const = "relation_row" }
sql.default = "SELECT 'u:' || r.uid || '/' || r.role || '/' || r.mark AS grant_ref, 'u:' || r.uid AS staff_ref, r.role AS role_ref, r.perm AS permission FROM rela r"
"#;
    let columns = [("uid", "INT"), ("role", "TEXT"), ("perm", "TEXT"), ("mark", "TEXT")];
    let plan = planned(text, &[table("rela", &columns, &[])]);
    assert_eq!(treatments(&plan, "rela"), ["uid: staff u:", "role: business_id", "perm: none", "mark: staff "]);
}
