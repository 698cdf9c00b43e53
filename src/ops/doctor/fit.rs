//! Whether a mapping fits the database as it is now.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::findings::{Findings, Mark, Topic};
use super::{View, words};
use crate::mapping::{Part, misfits};
use crate::model::{Bilingual, Engine};
use crate::ops::seal::plan::Database;
use crate::ops::{Error, sources};
use crate::source::database::TableInfo;
use crate::source::{self, RowSource};

/// What the mapping requires against the tables there are.
pub(super) fn required(database: &Database, tables: &[TableInfo], findings: &mut Findings) {
    let name = Some(database.name.as_str());
    let present: BTreeMap<String, Vec<String>> =
        tables.iter().map(|t| (t.name.clone(), t.columns.iter().map(|(n, _)| n.clone()).collect())).collect();
    let missing = database.mapping.missing_in(&present);
    if missing.is_empty() {
        let count = database.mapping.requires().len();
        let text = Bilingual::new(
            format!("映射所需的 {count} 张表及其列都在"),
            format!("the {count} tables the mapping requires are there with their columns"),
        );
        findings.add(Mark::Ok, Topic::Requires, name, text);
        return;
    }
    let list = missing.join(", ");
    let text =
        Bilingual::new(format!("缺少映射所需的：{list}"), format!("the mapping requires what is not there: {list}"));
    findings.add(Mark::Problem, Topic::Requires, name, text).facts(json!({ "missing": missing }));
}

/// The SELECTs with one for each table where one stands for many; a pattern that matches none is a problem.
pub(super) fn named(view: &View<'_>, tables: &[TableInfo], findings: &mut Findings) -> Vec<Part> {
    let mut out = Vec::new();
    for part in &view.declared {
        match sources::parts_of(part, tables.iter().map(|t| t.name.as_str())) {
            Ok(parts) => out.extend(parts),
            Err(e) => {
                let text = Bilingual::new(words(&e), words(&e));
                findings.add(Mark::Problem, Topic::Requires, Some(&view.database.name), text);
            }
        }
    }
    out
}

/// Tables that SELECTs read and this account may not, in small letters: PostgreSQL prepares a SELECT on them all the same.
pub(super) fn closed(
    database: &Database,
    parts: &[Part],
    tables: &[TableInfo],
    findings: &mut Findings,
) -> BTreeSet<String> {
    let read: BTreeSet<String> = parts.iter().flat_map(|p| &p.tables).map(|t| t.to_lowercase()).collect();
    let closed: Vec<&str> = tables
        .iter()
        .filter(|t| !t.is_readable && read.contains(&t.name.to_lowercase()))
        .map(|t| t.name.as_str())
        .collect();
    if !closed.is_empty() {
        let list = closed.join(", ");
        let text = Bilingual::new(
            format!("该账号无权读取映射所需的表：{list}；请授予 SELECT 权限"),
            format!("the account may not read tables that the mapping reads: {list}; grant it SELECT on them"),
        );
        findings.add(Mark::Problem, Topic::Account, Some(&database.name), text).facts(json!({ "notReadable": closed }));
    }
    closed.into_iter().map(str::to_lowercase).collect()
}

/// Prepares every SELECT and compares its conversions with the types of its columns; says of each whether it prepares.
///
/// # Errors
/// When the connection is gone.
pub(super) async fn selects(
    database: &Database,
    parts: &[Part],
    source: &mut dyn RowSource,
    findings: &mut Findings,
) -> Result<Vec<bool>, Error> {
    let name = Some(database.name.as_str());
    let mut prepared = Vec::with_capacity(parts.len());
    for part in parts {
        match source.columns(&part.sql).await {
            Ok(columns) => {
                prepared.push(true);
                let types: Vec<(String, String)> = columns.into_iter().map(|c| (c.name, c.type_name)).collect();
                drift(database, part, &types, findings);
            }
            Err(e) if is_refusal(&e) => {
                prepared.push(false);
                let (dataset, words) = (part.dataset.name, words(&e));
                let text = Bilingual::new(
                    format!("数据集 {dataset} 的 SELECT 无法执行：{words}"),
                    format!("the SELECT for {dataset} does not prepare: {words}"),
                );
                findings
                    .add(Mark::Problem, Topic::Selects, name, text)
                    .facts(json!({ "dataset": dataset, "part": part.index, "error": words }));
            }
            Err(e) => return Err(e.into()),
        }
    }
    if prepared.iter().all(|is_sound| *is_sound) {
        let count = prepared.len();
        let text = Bilingual::new(format!("{count} 条 SELECT 均可执行"), format!("all {count} SELECTs prepare"));
        findings.add(Mark::Ok, Topic::Selects, name, text);
    }
    Ok(prepared)
}

/// Whether an error is about the statement and not about the connection.
pub(super) fn is_refusal(error: &source::Error) -> bool {
    use source::Error::{NotARead, Privilege, Server, Sql};
    matches!(error, Sql { .. } | Privilege { .. } | NotARead { .. } | Server { .. })
}

fn drift(database: &Database, part: &Part, types: &[(String, String)], findings: &mut Findings) {
    for misfit in misfits(part, types) {
        let place = format!("{}.{}", part.dataset.name, misfit.column);
        let (conversion, ty) = (&misfit.conversion, &misfit.type_name);
        let text = Bilingual::new(
            format!("{place}：{conversion} 不适合类型 {ty}：{}", misfit.why.zh),
            format!("{place}: {conversion} does not fit type {ty}: {}", misfit.why.en),
        );
        // SQLite lets any value stand in any column: its types are what somebody meant to store.
        let mark = if part.engine == Engine::Sqlite { Mark::Note } else { Mark::Problem };
        findings.add(mark, Topic::Types, Some(&database.name), text).facts(
            json!({ "dataset": part.dataset.name, "column": misfit.column, "conversion": conversion, "type": ty }),
        );
    }
}

/// Tables that no SELECT reads, and columns of the tables read that no SELECT mentions.
pub(super) fn left_over(database: &Database, parts: &[Part], tables: &[TableInfo], findings: &mut Findings) {
    let name = Some(database.name.as_str());
    let mut mentioned: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for part in parts {
        let words = identifiers(&part.sql);
        for table in &part.tables {
            mentioned.entry(table.to_lowercase()).or_default().extend(words.iter().cloned());
        }
    }
    let unread: Vec<&TableInfo> = tables.iter().filter(|t| !mentioned.contains_key(&t.name.to_lowercase())).collect();
    if !unread.is_empty() {
        let rows: u64 = unread.iter().map(|t| t.rows).sum();
        let text = Bilingual::new(
            format!("{} 张表没有映射（共 {rows} 行）", unread.len()),
            format!("{} tables are not mapped ({rows} rows)", unread.len()),
        );
        let details = unread
            .iter()
            .map(|t| if t.is_readable { format!("{} ({})", t.name, t.rows) } else { format!("{} (?)", t.name) })
            .collect();
        let facts: Vec<Value> =
            unread.iter().map(|t| json!({ "table": t.name, "rows": t.rows, "readable": t.is_readable })).collect();
        findings.add(Mark::Note, Topic::LeftOver, name, text).details(details).facts(json!({ "tables": facts }));
    }
    let mut details = Vec::new();
    let mut facts = serde_json::Map::new();
    let mut count = 0;
    for table in tables {
        let Some(words) = mentioned.get(&table.name.to_lowercase()) else { continue };
        let unread: Vec<&str> =
            table.columns.iter().map(|(n, _)| n.as_str()).filter(|n| !words.contains(&n.to_lowercase())).collect();
        if !unread.is_empty() {
            count += unread.len();
            details.push(format!("{}: {}", table.name, unread.join(", ")));
            facts.insert(table.name.clone(), json!(unread));
        }
    }
    if count > 0 {
        let text = Bilingual::new(
            format!("已映射的表中有 {count} 列未被任何 SELECT 提及"),
            format!("{count} columns of mapped tables are mentioned by no SELECT"),
        );
        findings.add(Mark::Note, Topic::LeftOver, name, text).details(details).facts(json!({ "columns": facts }));
    }
}

/// Every word of a statement that can name a column, in small letters; texts and comments left out.
fn identifiers(sql: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' => 1 + closing(&rest[1..], '\''),
            '"' | '`' => {
                let end = closing(&rest[1..], first);
                out.insert(rest[1..1 + end].trim_end_matches(first).to_lowercase());
                1 + end
            }
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest[2..].find("*/").map_or(rest.len(), |i| i + 4),
            c if c.is_alphanumeric() || c == '_' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || "_$#".contains(c))).unwrap_or(rest.len());
                out.insert(rest[..end].to_lowercase());
                end
            }
            c => c.len_utf8(),
        };
        rest = &rest[length.min(rest.len())..];
    }
    out
}

/// Bytes up to and with the closing sign.
fn closing(rest: &str, quote: char) -> usize {
    rest.find(quote).map_or(rest.len(), |end| end + quote.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words inside texts and comments name no column; quoted names do, whatever stands in them.
    #[test]
    fn identifiers_of_a_statement() {
        let found = identifiers(
            "SELECT o.Id AS x, \"Order No\", `b`, 'pay_time' -- note col\n /* gone */ FROM 订单 o WHERE 金额 > 1",
        );
        for name in ["id", "x", "order no", "b", "订单", "金额"] {
            assert!(found.contains(name), "{name}: {found:?}");
        }
        for name in ["pay_time", "note", "col", "gone"] {
            assert!(!found.contains(name), "{name}");
        }
        assert!(identifiers("SELECT 'open").contains("select"));
    }
}
