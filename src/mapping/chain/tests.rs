use std::sync::Arc;

use arrow::array::AsArray as _;
use proptest::prelude::*;

use super::super::{Context, Converter, Mapping, Part, lint};
use super::*;
use crate::crypto;

const SELECT: &str = "SELECT l.id AS change_ref, l.at AS changed_at, l.act AS action, l.seq AS chain_seq_no, \
    l.hash AS chain_hash, l.prev AS chain_prev_hash, l.who AS chain_src_who, l.perm AS permission FROM log l";
const FORMULA: &str = r#"{ algorithm = "sha256", encoding = "hex", parts = ["{chain_prev_hash}", "|", "{chain_seq_no}", "|", "{changed_at}", "|", "{action}", "|", "{chain_src_who}", "|", "{permission}"] }"#;

fn mapping(sql: &str, rest: &str) -> String {
    format!(
        "[mapping]\nid = \"log\"\nversion = 1\n[dataset.permission_changes]\nevidence = \"recorded\"\n\
         sql.sqlite = \"{sql}\"\nconv.changed_at = {{ time = \"utc\" }}\n{rest}\n"
    )
}

fn part(rest: &str) -> Part {
    let mapping = Mapping::parse("log.toml", &mapping(SELECT, rest))
        .unwrap()
        .bind(crate::model::Engine::Sqlite, &BTreeMap::new())
        .unwrap();
    mapping.parts()[0].clone()
}

fn converter(part: &Part) -> Converter {
    let context = Context { zone: chrono_tz::UTC, src_system: "log@1", fingerprint: Arc::new(|_| String::new()) };
    Converter::new(part, &part.columns, &context).unwrap()
}

type Row<'a> = [RawValue<'a>; 8];

fn batch(rows: &[Row<'_>]) -> RawBatch {
    let mut raw = RawBatch::new(8);
    for row in rows {
        raw.columns.iter_mut().zip(row).for_each(|(column, cell)| column.push(*cell));
    }
    raw
}

fn judged(part: &Part, rows: &[Row<'_>], size: usize) -> Vec<Option<bool>> {
    let mut converter = converter(part);
    let mut out = Vec::new();
    for chunk in rows.chunks(size) {
        let converted = converter.convert(&batch(chunk)).unwrap();
        assert_eq!(converted.batch.schema(), part.dataset.arrow_schema());
        assert_eq!(converted.quarantined, []);
        out.extend(converted.batch.column_by_name(OK).unwrap().as_boolean().iter());
    }
    out
}

/// Digests made by another program; cells are text, integers, bytes and NULL.
#[test]
fn rows_are_recomputed() {
    use RawValue::{Bytes, Int, Null, Real, Text};
    let h1 = "ced4e29e544dc1843658174442a9b3e1c0a991f8a55f09502a79498bdf474a44";
    let h2 = "aea21443797c15f562fcc853933653b5cd35c18131d8668d0d6c7e3129b65a4e";
    let h3 = "91638352a02d6cb8b6c885178ad9397e495f27342a35b22848c17fd95bd9b850";
    let upper = h2.to_ascii_uppercase();
    let (first, second) = (Text("2026-03-01 08:00:00"), Text("2026-03-02 08:00:00"));
    let (grant, revoke) = (Text("grant"), Text("revoke"));
    let rows = [
        [Text("a"), first, grant, Int(1), Text(h1), Null, Int(7), Null],
        [Text("b"), second, revoke, Text("2"), Text(&upper), Text(h1), Text("7"), Text("查看")],
        [Text("c"), Null, grant, Int(3), Text(h3), Text(h2), Null, Text("")],
        // One character, the number, the link, the kind of a cell: each breaks this row and no other.
        [Text("d"), second, revoke, Int(2), Text(h2), Text(h1), Int(7), Text("查 看")],
        [Text("e"), second, revoke, Int(4), Text(h2), Text(h1), Int(7), Text("查看")],
        [Text("f"), second, revoke, Int(2), Text(h2), Text(h3), Int(7), Text("查看")],
        [Text("g"), second, revoke, Int(2), Text(h2), Text(h1), Real(7.0), Text("查看")],
        [Text("h"), second, revoke, Int(2), Text(&h2[1..]), Text(h1), Int(7), Text("查看")],
        [Text("i"), second, revoke, Int(2), Text(""), Text(h1), Int(7), Text("查看")],
        [Text("j"), second, revoke, Int(2), Null, Text(h1), Int(7), Text("查看")],
        [Text("k"), second, revoke, Int(2), Text(h2), Text(h1), Bytes(b"7"), Text("查看")],
    ];
    let expected = [1, 1, 1, 0, 0, 0, 0, 0, 0, 2, 1].map(|n| (n < 2).then_some(n == 1));
    let chained = part(&format!("chain = {FORMULA}"));
    for size in [1, 2, 3, rows.len()] {
        assert_eq!(judged(&chained, &rows, size), expected, "{size}");
    }
    let empty = part(&format!("chain = {FORMULA}\nconv.chain_hash = {{ empty = \"null\" }}"));
    assert_eq!(judged(&empty, &rows[8..9], 1), [None]);
    assert_eq!(
        chained.chain().as_deref(),
        Some(
            r#"hex(sha256({chain_prev_hash} "|" {chain_seq_no} "|" {changed_at} "|" {action} "|" {chain_src_who} "|" {permission}))"#
        )
    );
}

/// Without a declared formula nothing is computed.
#[test]
fn no_formula_no_verdict() {
    let sql = SELECT.replace(" l.who AS chain_src_who,", "");
    let mapping = Mapping::parse("log.toml", &mapping(&sql, ""))
        .unwrap()
        .bind(crate::model::Engine::Sqlite, &BTreeMap::new())
        .unwrap();
    let part = &mapping.parts()[0];
    let mut raw = RawBatch::new(7);
    raw.columns.iter_mut().for_each(|c| c.push(RawValue::Text("2026-03-01 00:00:00")));
    raw.columns[2] = Default::default();
    raw.columns[2].push(RawValue::Text("grant"));
    raw.columns[3] = Default::default();
    raw.columns[3].push(RawValue::Int(1));
    let converted = converter(part).convert(&raw).unwrap();
    assert_eq!((converted.batch.num_rows(), converted.batch.column_by_name(OK).unwrap().null_count()), (1, 1));
    assert_eq!(part.chain(), None);
}

fn mistakes(sql: &str, rest: &str) -> String {
    lint("log.toml", &mapping(sql, rest)).to_string()
}

/// Everything that can be wrong with a chain is said with its place.
#[test]
fn mistakes_of_chains() {
    let chain = format!("chain = {FORMULA}");
    assert_eq!(mistakes(SELECT, &chain), "");
    let has = |found: String, expected: &str| assert!(found.contains(expected), "{expected}\n{found}");
    has(mistakes(SELECT, ""), "`chain_src_who` is for a hash chain, and no `chain` is declared");
    for (from, to, expected) in [
        ("{permission}", "{detail}", "`detail` is not selected; selected: action, chain_prev_hash, chain_seq_no, "),
        ("{chain_src_who}", "who", "`chain_src_who` is selected for the chain and not used"),
        ("{permission}", "{action}", "`{action}` occurs twice"),
        ("{permission}", "{chain_hash}", "cannot be a piece of its own formula"),
        ("{chain_prev_hash}", "x", "this is no chain"),
        ("{permission}", "{permission}|", "mixes text and a column; write `{permission}`"),
        ("{permission}", "{ permission }", "` permission ` is not selected"),
        ("{permission}", "", "an empty piece adds nothing"),
        ("sha256", "md5", "`algorithm` is `md5`; accepted: sha256"),
        ("hex", "rot13", "`encoding` is `rot13`; accepted: hex"),
        ("parts", "pieces", "`parts` lists the pieces"),
    ] {
        has(mistakes(SELECT, &chain.replace(from, to)), expected);
    }
    for (from, to, expected) in [
        ("chain_src_who", "chain_src_", "has no column `chain_src_`"),
        ("l.seq AS chain_seq_no, ", "", "a chain needs `chain_seq_no`"),
        ("l.hash AS chain_hash, ", "", "a chain needs `chain_hash`"),
        ("l.prev AS chain_prev_hash, ", "", "a chain needs `chain_prev_hash`"),
        (" FROM", ", l.ok AS chain_ok FROM", "`chain_ok` is computed from the chain"),
    ] {
        has(mistakes(&SELECT.replace(from, to), &chain), expected);
    }
    let constant = "conv.chain_ok = { const = \"true\" }";
    has(mistakes(SELECT, &format!("{chain}\n{constant}")), "`chain_ok` is computed from the chain");
    let orders = "[mapping]\nid = \"x\"\nversion = 1\n[dataset.stores]\nevidence = \"recorded\"\n\
        sql.sqlite = \"SELECT s.id AS store_ref FROM s\"\nchain = { algorithm = \"sha256\", encoding = \"hex\", parts = [\"{chain_prev_hash}\"] }\n";
    has(lint("x.toml", orders).to_string(), "`stores` has no columns for a hash chain");
    // Braces that hold no name are plain text, as formulas over JSON need them.
    let json = FORMULA.replace("\"|\", \"{permission}\"", "'{\"perm\":\"', \"{permission}\", '\"}{}'");
    assert_eq!(mistakes(SELECT, &format!("chain = {json}")), "");
}

proptest! {
    /// A row that was chained by the formula matches; after any edit of a piece it does not, however rows are cut.
    #[test]
    fn edits_are_seen(cells in prop::collection::vec(("\\PC{0,6}", "[a-z]{0,4}", any::<bool>()), 1..20), size in 1_usize..6) {
        let part = part(&format!("chain = {FORMULA}"));
        let mut previous = String::new();
        let mut stored = Vec::new();
        for (seq, (who, perm, is_edited)) in cells.iter().enumerate() {
            let hash = crypto::sha256(format!("{previous}|{seq}||grant|{who}|{perm}").as_bytes()).to_string();
            let shown = if *is_edited { format!("{perm}!") } else { perm.clone() };
            stored.push((seq as i64, hash.clone(), std::mem::replace(&mut previous, hash), who.clone(), shown));
        }
        let rows: Vec<Row<'_>> = stored
            .iter()
            .map(|(seq, hash, previous, who, perm)| {
                use RawValue::{Int, Null, Text};
                [Text("r"), Null, Text("grant"), Int(*seq), Text(hash), Text(previous), Text(who), Text(perm)]
            })
            .collect();
        let expected: Vec<Option<bool>> = cells.iter().map(|(_, _, is_edited)| Some(!is_edited)).collect();
        prop_assert_eq!(&judged(&part, &rows, size), &expected);
        prop_assert_eq!(&judged(&part, &rows, rows.len()), &expected);
    }
}
