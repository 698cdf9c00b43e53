//! What a mapping's SELECT says about itself: parameters, aliases, tables, conditions.
//!
//! Texts are parsed to be checked and described; they are never rewritten from the syntax tree, so what runs is what
//! the author wrote, with parameters numbered and table prefixes filled in.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, Function, GroupByExpr, JoinOperator, ObjectName, Query, Select, SelectItem, SetExpr, Statement,
    TableFactor, TableWithJoins, visit_relations,
};
use datafusion::sql::sqlparser::dialect::{Dialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Location;

use crate::model::Engine;

pub(super) fn dialect(engine: Engine) -> &'static dyn Dialect {
    match engine {
        Engine::MySql => &MySqlDialect {},
        Engine::Postgres => &PostgreSqlDialect {},
        Engine::Sqlite => &SQLiteDialect {},
    }
}

/// A text with prefixes filled in and parameters numbered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Expanded {
    pub(super) sql: String,
    /// Names of the parameters in the order in which the engine takes their values.
    pub(super) binds: Vec<String>,
}

/// Fills `{prefix}` and numbers `:name`, outside texts and comments; cuts the text at its final semicolon.
pub(super) fn expand(
    engine: Engine,
    template: &str,
    prefixes: &BTreeMap<String, String>,
    params: &BTreeSet<String>,
    problems: &mut Vec<String>,
) -> Expanded {
    let mut out = Expanded::default();
    let mut rest = template.trim();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' => quoted(engine, rest, '\''),
            '"' | '`' => {
                let end = quoted(engine, rest, first);
                fill(&rest[..end], prefixes, &mut out.sql, problems);
                rest = &rest[end..];
                continue;
            }
            '-' if rest.starts_with("--") => rest.find('\n').map_or(rest.len(), |i| i + 1),
            '/' if rest.starts_with("/*") => rest[2..].find("*/").map_or(rest.len(), |i| i + 4),
            '{' => {
                let end = rest.find('}').map_or(rest.len(), |i| i + 1);
                fill(&rest[..end], prefixes, &mut out.sql, problems);
                rest = &rest[end..];
                continue;
            }
            ':' if rest.starts_with("::") => 2,
            ':' => {
                let name: String = rest[1..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                if name.is_empty() {
                    problems.push("a lone `:`; parameters are written `:name`".into());
                    1
                } else {
                    if !params.contains(&name) {
                        problems.push(format!("parameter `:{name}` is not declared; declared: {}", list(params)));
                    }
                    // MySQL's placeholders have no number: each takes a value of its own.
                    let known = out.binds.iter().position(|b| *b == name).filter(|_| engine != Engine::MySql);
                    let number = known.unwrap_or_else(|| {
                        out.binds.push(name.clone());
                        out.binds.len() - 1
                    });
                    out.sql.push_str(&engine.placeholder(number + 1));
                    rest = &rest[1 + name.len()..];
                    continue;
                }
            }
            // Operators on JSON.
            '?' | '@' if engine == Engine::Postgres => 1,
            '?' | '@' | '$' => {
                problems.push(format!("`{first}` is not a parameter here; parameters are written `:name`"));
                1
            }
            ';' => {
                if only_comments(&rest[1..]) {
                    break;
                }
                1
            }
            _ => first.len_utf8(),
        };
        out.sql.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out.sql.truncate(out.sql.trim_end().len());
    out
}

/// Length of a quoted piece; a doubled quote is part of it, and so is one behind a backslash where MySQL reads a text.
fn quoted(engine: Engine, text: &str, quote: char) -> usize {
    let has_escapes = engine == Engine::MySql && quote != '`';
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && has_escapes {
            chars.next();
        } else if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return at + c.len_utf8();
        }
    }
    text.len()
}

fn only_comments(text: &str) -> bool {
    let mut rest = text.trim_start();
    loop {
        if rest.is_empty() {
            return true;
        }
        if rest.starts_with("--") {
            rest = rest.find('\n').map_or("", |i| &rest[i + 1..]).trim_start();
        } else if rest.starts_with("/*") {
            rest = rest.find("*/").map_or("", |i| &rest[i + 2..]).trim_start();
        } else {
            return false;
        }
    }
}

/// Copies a text, replacing each `{name}` by the prefix of that name.
pub(super) fn fill(text: &str, prefixes: &BTreeMap<String, String>, out: &mut String, problems: &mut Vec<String>) {
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        out.push_str(&rest[..start]);
        let Some(end) = rest[start..].find('}').map(|i| start + i) else {
            problems.push("`{` without `}`; a table prefix is written `{name}`".into());
            return;
        };
        let name = &rest[start + 1..end];
        match prefixes.get(name) {
            Some(value) => out.push_str(value),
            None => problems.push(format!(
                "`{{{name}}}` is not a parameter of kind `prefix`; declared: {}",
                list(&prefixes.keys().cloned().collect())
            )),
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
}

fn list(names: &BTreeSet<String>) -> String {
    if names.is_empty() { "none".into() } else { names.iter().map(String::as_str).collect::<Vec<_>>().join(", ") }
}

/// Whether a text may stand for a table prefix: it is the one thing pasted into a statement.
pub(super) fn is_prefix(text: &str) -> bool {
    text.len() <= 32 && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// What a SELECT says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Names of its columns, in order.
    pub(super) aliases: Vec<String>,
    /// The first table of its FROM.
    pub(super) table: Option<String>,
    /// Every table it reads.
    pub(super) tables: BTreeSet<String>,
    /// Everything that can leave rows of its tables out, as text.
    pub(super) conditions: Vec<String>,
    /// Whether it orders its rows itself.
    pub(super) is_ordered: bool,
}

/// Parses an expanded text; what is not allowed goes to `problems`, and `None` means it could not be read at all.
pub(super) fn facts(sql: &str, engine: Engine, problems: &mut Vec<String>) -> Option<Facts> {
    let statements = match Parser::parse_sql(dialect(engine), sql) {
        Ok(statements) => statements,
        Err(e) => {
            problems.push(format!("the SELECT cannot be parsed: {e}"));
            return None;
        }
    };
    let [statement] = statements.as_slice() else {
        problems.push(format!("exactly one statement is accepted, found {}", statements.len()));
        return None;
    };
    let Statement::Query(query) = statement else {
        problems.push("only SELECT or WITH is accepted".into());
        return None;
    };
    let mut ctes = BTreeMap::new();
    collect_ctes(query, &mut ctes);
    let mut facts = Facts { is_ordered: query.order_by.is_some(), ..Facts::default() };
    describe(query, &mut facts, problems);
    let _ = visit_relations(statement, |name: &ObjectName| {
        let name = table_name(name);
        if !ctes.contains_key(&name.to_lowercase()) {
            facts.tables.insert(name);
        }
        ControlFlow::<()>::Continue(())
    });
    if let Some(select) = first_select(&query.body) {
        facts.aliases = aliases(select, problems);
        facts.table = main_table(&select.from, &ctes, 0);
    }
    Some(facts)
}

fn table_name(name: &ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map_or_else(|| name.to_string(), |ident| ident.value.clone())
}

fn collect_ctes<'q>(query: &'q Query, out: &mut BTreeMap<String, &'q Query>) {
    for cte in query.with.iter().flat_map(|w| &w.cte_tables) {
        out.insert(cte.alias.name.value.to_lowercase(), &cte.query);
        collect_ctes(&cte.query, out);
    }
}

fn first_select(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(query) => first_select(&query.body),
        SetExpr::SetOperation { left, .. } => first_select(left),
        _ => None,
    }
}

fn main_table(from: &[TableWithJoins], ctes: &BTreeMap<String, &Query>, depth: usize) -> Option<String> {
    // A recursive WITH names itself; the depth bounds the search.
    if depth > 16 {
        return None;
    }
    match &from.first()?.relation {
        TableFactor::Table { name, .. } => {
            let name = table_name(name);
            match ctes.get(&name.to_lowercase()) {
                Some(query) => main_table(&first_select(&query.body)?.from, ctes, depth + 1),
                None => Some(name),
            }
        }
        TableFactor::Derived { subquery, .. } => main_table(&first_select(&subquery.body)?.from, ctes, depth + 1),
        TableFactor::NestedJoin { table_with_joins, .. } => {
            main_table(std::slice::from_ref(table_with_joins), ctes, depth + 1)
        }
        _ => None,
    }
}

fn aliases(select: &Select, problems: &mut Vec<String>) -> Vec<String> {
    let mut out = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::ExprWithAlias { alias, .. } => out.push(alias.value.clone()),
            SelectItem::UnnamedExpr(Expr::Identifier(ident)) => out.push(ident.value.clone()),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
                out.extend(parts.last().map(|ident| ident.value.clone()));
            }
            SelectItem::UnnamedExpr(expr) => problems.push(format!("`{expr}` has no alias; write `{expr} AS column`")),
            _ => {}
        }
    }
    out
}

fn describe(query: &Query, facts: &mut Facts, problems: &mut Vec<String>) {
    for cte in query.with.iter().flat_map(|w| &w.cte_tables) {
        describe(&cte.query, facts, problems);
    }
    if !query.locks.is_empty() {
        problems.push("FOR UPDATE and FOR SHARE are not accepted: a source is only read".into());
    }
    describe_body(&query.body, facts, problems);
    if let Some(limit) = &query.limit_clause {
        facts.conditions.push(limit.to_string().trim().to_owned());
    }
    if let Some(fetch) = &query.fetch {
        facts.conditions.push(fetch.to_string());
    }
}

fn describe_body(body: &SetExpr, facts: &mut Facts, problems: &mut Vec<String>) {
    match body {
        SetExpr::Select(select) => describe_select(select, facts, problems),
        SetExpr::Query(query) => describe(query, facts, problems),
        SetExpr::SetOperation { left, op, set_quantifier, right } => {
            describe_body(left, facts, problems);
            let keeps_all = op.to_string() == "UNION" && set_quantifier.to_string() == "ALL";
            if !keeps_all {
                facts.conditions.push(format!("{op} {set_quantifier}").trim().to_owned());
            }
            describe_body(right, facts, problems);
        }
        _ => problems.push("only SELECT is accepted inside the statement".into()),
    }
}

fn describe_select(select: &Select, facts: &mut Facts, problems: &mut Vec<String>) {
    if select.into.is_some() {
        problems.push("SELECT INTO is not accepted: a source is only read".into());
    }
    if select.projection.iter().any(|i| matches!(i, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))) {
        problems.push("`SELECT *` is not accepted: name every column".into());
    }
    match &select.distinct {
        Some(Distinct::Distinct) => facts.conditions.push("DISTINCT".into()),
        Some(Distinct::On(_)) => facts.conditions.push("DISTINCT ON".into()),
        Some(Distinct::All) | None => {}
    }
    for from in &select.from {
        describe_factor(&from.relation, facts, problems);
        for join in &from.joins {
            describe_factor(&join.relation, facts, problems);
            let keeps_left_rows = matches!(
                join.join_operator,
                JoinOperator::Left(_)
                    | JoinOperator::LeftOuter(_)
                    | JoinOperator::FullOuter(_)
                    | JoinOperator::OuterApply
            );
            if !keeps_left_rows {
                facts.conditions.push(join.to_string().trim().to_owned());
            }
        }
    }
    if let Some(condition) = &select.selection {
        facts.conditions.push(format!("WHERE {condition}"));
    }
    if let GroupByExpr::Expressions(list, _) = &select.group_by
        && !list.is_empty()
    {
        facts.conditions.push(select.group_by.to_string());
    }
    if let Some(condition) = &select.having {
        facts.conditions.push(format!("HAVING {condition}"));
    }
}

fn describe_factor(factor: &TableFactor, facts: &mut Facts, problems: &mut Vec<String>) {
    match factor {
        TableFactor::Derived { subquery, .. } => describe(subquery, facts, problems),
        TableFactor::NestedJoin { table_with_joins, .. } => {
            describe_factor(&table_with_joins.relation, facts, problems);
            for join in &table_with_joins.joins {
                describe_factor(&join.relation, facts, problems);
            }
        }
        _ => {}
    }
}

/// Functions that make one row of many.
const AGGREGATES: [&str; 22] = [
    "count",
    "sum",
    "total",
    "avg",
    "min",
    "max",
    "group_concat",
    "string_agg",
    "array_agg",
    "json_agg",
    "jsonb_agg",
    "json_group_array",
    "json_group_object",
    "json_arrayagg",
    "json_objectagg",
    "bit_and",
    "bit_or",
    "bool_and",
    "bool_or",
    "every",
    "std",
    "stddev",
];

/// Whether a function makes one row of many; aggregates that a database defines itself are not known here.
pub(super) fn is_aggregate(function: &Function) -> bool {
    let name = function.name.0.last().and_then(|p| p.as_ident()).map(|i| i.value.to_ascii_lowercase());
    name.is_some_and(|n| AGGREGATES.contains(&n.as_str()))
}

/// Byte position of a line and column, both from 1 and in characters.
pub(super) fn offset(sql: &str, at: Location) -> Option<usize> {
    let line = usize::try_from(at.line).ok()?.checked_sub(1)?;
    let column = usize::try_from(at.column).ok()?.checked_sub(1)?;
    let start: usize = sql.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = sql.get(start..)?;
    let inside = rest.char_indices().nth(column).map_or(rest.len(), |(i, _)| i);
    Some(start + inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(template: &str) -> (Expanded, Vec<String>) {
        let prefixes = BTreeMap::from([("prefix".to_owned(), "eb_".to_owned())]);
        let params = BTreeSet::from(["zone".to_owned(), "shop".to_owned()]);
        let mut problems = Vec::new();
        (expand(Engine::Sqlite, template, &prefixes, &params, &mut problems), problems)
    }

    #[test]
    fn parameters_and_prefixes() {
        let (e, problems) = expanded(
            "SELECT ':zone {prefix} ; it''s' AS a, x::text -- :zone ;\n FROM \"{prefix}order\" o, {prefix}t WHERE a = :shop AND b = :zone OR c = :shop; -- end",
        );
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(e.binds, ["shop", "zone"]);
        assert_eq!(
            e.sql,
            "SELECT ':zone {prefix} ; it''s' AS a, x::text -- :zone ;\n FROM \"eb_order\" o, eb_t WHERE a = ?1 AND b = ?2 OR c = ?1"
        );
        let (_, problems) = expanded("SELECT ? , @a, $1, :nobody, {shop} FROM t");
        assert_eq!(problems.len(), 5, "{problems:?}");
    }

    /// Each engine numbers parameters its own way, and quotes its own way.
    #[test]
    fn parameters_by_engine() {
        let params = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        let sql = "SELECT x FROM t WHERE p = :a AND q = :b AND r = :a AND s = 'it\\'s :b'";
        let run = |engine, sql: &str| expand(engine, sql, &BTreeMap::new(), &params, &mut Vec::new());
        let mysql = run(Engine::MySql, sql);
        assert_eq!(mysql.sql, "SELECT x FROM t WHERE p = ? AND q = ? AND r = ? AND s = 'it\\'s :b'");
        assert_eq!(mysql.binds, ["a", "b", "a"]);
        let postgres = run(Engine::Postgres, "SELECT x @> '{}' AS y FROM t WHERE p = :a AND q = :b AND r = :a");
        assert_eq!(postgres.sql, "SELECT x @> '{}' AS y FROM t WHERE p = $1 AND q = $2 AND r = $1");
        assert_eq!(postgres.binds, ["a", "b"]);
    }

    #[test]
    fn statements_that_are_refused() {
        for (sql, part) in [
            ("DELETE FROM t", "only SELECT"),
            ("SELECT a FROM t; SELECT b FROM t", "exactly one"),
            ("SELECT * FROM t", "name every column"),
            ("WITH w AS (SELECT * FROM t) SELECT a FROM w", "name every column"),
            ("SELECT a + 1 FROM t", "no alias"),
            ("SELECT FROM WHERE", "cannot be parsed"),
            ("PRAGMA user_version", "only SELECT"),
        ] {
            let mut problems = Vec::new();
            facts(sql, Engine::Sqlite, &mut problems);
            assert!(problems.iter().any(|p| p.contains(part)), "{sql}: {problems:?}");
        }
        let mut problems = Vec::new();
        facts("SELECT a FROM t FOR UPDATE", Engine::MySql, &mut problems);
        assert!(problems.iter().any(|p| p.contains("only read")), "{problems:?}");
    }

    #[test]
    fn tables_and_conditions() {
        let sql = "WITH paid AS (SELECT id, n FROM pay WHERE ok = 1) \
                   SELECT p.id AS a, n, (SELECT MAX(x) FROM extra) AS b FROM paid p JOIN shop s ON s.id = p.id LEFT JOIN other o ON o.id = p.id \
                   WHERE p.id > 5 LIMIT 10";
        let mut problems = Vec::new();
        let f = facts(sql, Engine::Sqlite, &mut problems).expect("parses");
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(f.aliases, ["a", "n", "b"]);
        assert_eq!(f.table.as_deref(), Some("pay"));
        assert_eq!(f.tables.iter().map(String::as_str).collect::<Vec<_>>(), ["extra", "other", "pay", "shop"]);
        assert_eq!(f.conditions, ["WHERE ok = 1", "JOIN shop s ON s.id = p.id", "WHERE p.id > 5", "LIMIT 10"]);
    }
}
