//! From which columns of which tables each selected value comes, as far as the statement says it.
//!
//! A class that takes something away must reach every column a value is made of, through joins, subqueries and
//! unions; a class that keeps a value clear only holds where the value is the column's own. So an origin is either
//! one column, unchanged but for text before it, or a set of columns that have a part in the value. What only decides
//! (conditions of CASE, joins, WHERE) has no part in it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName,
    Query, Select, SelectItem, SetExpr, Statement, TableFactor, TableWithJoins, Value, visit_expressions,
};
use datafusion::sql::sqlparser::parser::Parser;

use super::super::select::dialect;
use crate::model::Engine;

/// A table and one of its columns, as the statement spells them.
pub(super) type Place = (String, String);

/// Where a selected value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// The column's value, with this text before it; NULL where the column is NULL.
    Column { prefix: String, place: Place },
    /// A text that stands in the statement.
    Literal(String),
    /// Made of these columns.
    Made(BTreeSet<Place>),
}

impl Origin {
    fn places(&self) -> BTreeSet<Place> {
        match self {
            Self::Column { place, .. } => BTreeSet::from([place.clone()]),
            Self::Literal(_) => BTreeSet::new(),
            Self::Made(places) => places.clone(),
        }
    }
}

/// Depth of nested queries that are followed.
const DEPTH_MAX: usize = 16;

/// The origin of each column a statement selects; empty for a statement that cannot be read. `columns` lists the
/// columns of each table in lower case, by its name in lower case.
pub(super) fn origins(
    sql: &str,
    engine: Engine,
    columns: &BTreeMap<String, BTreeSet<String>>,
) -> BTreeMap<String, Origin> {
    let Ok(statements) = Parser::parse_sql(dialect(engine), sql) else { return BTreeMap::new() };
    let Some(Statement::Query(query)) = statements.first() else { return BTreeMap::new() };
    let tracer = Tracer { columns, ctes: Vec::new() };
    let names = tracer.names(query);
    names.into_iter().enumerate().map(|(i, name)| (name, tracer.item(query, i, 0))).collect()
}

#[derive(Clone)]
struct Tracer<'a> {
    columns: &'a BTreeMap<String, BTreeSet<String>>,
    /// Common table expressions in sight, innermost last.
    ctes: Vec<(String, &'a Query)>,
}

/// What a name of a FROM clause stands for.
enum Relation<'q> {
    Table(String),
    Query(&'q Query, Vec<String>),
}

impl<'q> Tracer<'q> {
    fn inside(&self, query: &'q Query) -> Self {
        let mut inner = self.clone();
        for cte in query.with.iter().flat_map(|w| &w.cte_tables) {
            inner.ctes.push((cte.alias.name.value.to_lowercase(), &cte.query));
        }
        inner
    }

    /// Names of the columns a query gives.
    fn names(&self, query: &'q Query) -> Vec<String> {
        first_select(&query.body).map_or_else(Vec::new, |select| {
            select
                .projection
                .iter()
                .map(|item| match item {
                    SelectItem::ExprWithAlias { alias, .. } => alias.value.clone(),
                    SelectItem::UnnamedExpr(Expr::Identifier(ident)) => ident.value.clone(),
                    SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
                        parts.last().map(|p| p.value.clone()).unwrap_or_default()
                    }
                    _ => String::new(),
                })
                .collect()
        })
    }

    /// The origin of the column at this position of a query.
    fn item(&self, query: &'q Query, index: usize, depth: usize) -> Origin {
        if depth > DEPTH_MAX {
            return Origin::Made(BTreeSet::new());
        }
        self.inside(query).item_of_body(&query.body, index, depth)
    }

    fn item_of_body(&self, body: &'q SetExpr, index: usize, depth: usize) -> Origin {
        match body {
            SetExpr::Select(select) => match select.projection.get(index) {
                Some(SelectItem::ExprWithAlias { expr, .. } | SelectItem::UnnamedExpr(expr)) => {
                    self.expression(expr, select, depth)
                }
                _ => Origin::Made(BTreeSet::new()),
            },
            SetExpr::Query(query) => self.item(query, index, depth + 1),
            SetExpr::SetOperation { left, right, .. } => {
                let (left, right) = (self.item_of_body(left, index, depth), self.item_of_body(right, index, depth));
                if left == right { left } else { made([left, right]) }
            }
            _ => Origin::Made(BTreeSet::new()),
        }
    }

    fn expression(&self, expr: &'q Expr, select: &'q Select, depth: usize) -> Origin {
        match expr {
            Expr::Nested(inner) => self.expression(inner, select, depth),
            Expr::Identifier(ident) => self.column(None, &ident.value, select, depth),
            Expr::CompoundIdentifier(parts) => {
                let mut back = parts.iter().rev();
                let name = back.next().map(|p| p.value.as_str()).unwrap_or_default();
                self.column(back.next().map(|p| p.value.as_str()), name, select, depth)
            }
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => Origin::Literal(text.clone()),
                Value::Number(text, _) => Origin::Literal(text.clone()),
                _ => Origin::Made(BTreeSet::new()),
            },
            Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } => {
                joined(vec![self.expression(left, select, depth), self.expression(right, select, depth)])
            }
            Expr::Function(function) if is_called(&function.name, &["concat"]) => {
                joined(self.arguments(function, select, depth))
            }
            Expr::Function(function) if is_called(&function.name, &["coalesce", "ifnull", "nullif", "nvl"]) => {
                let mut parts = self.arguments(function, select, depth);
                let is_first_with_literals = parts.iter().skip(1).all(|p| matches!(p, Origin::Literal(_)));
                match parts.is_empty() {
                    false if is_first_with_literals => parts.swap_remove(0),
                    _ => made(parts),
                }
            }
            Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, .. } if is_text(data_type) => {
                self.expression(expr, select, depth)
            }
            Expr::Convert { expr, data_type: None, .. } | Expr::Collate { expr, .. } => {
                self.expression(expr, select, depth)
            }
            Expr::Case { conditions, else_result, .. } => {
                let results = conditions.iter().map(|when| &when.result).chain(else_result.as_deref());
                let mut parts: Vec<Origin> = results
                    .filter(|e| !matches!(e, Expr::Value(v) if v.value == Value::Null))
                    .map(|e| self.expression(e, select, depth))
                    .collect();
                parts.dedup();
                if parts.len() == 1 { parts.swap_remove(0) } else { made(parts) }
            }
            Expr::Subquery(query) => self.item(query, 0, depth + 1),
            other => self.anything(other, select, depth),
        }
    }

    fn arguments(&self, function: &'q Function, select: &'q Select, depth: usize) -> Vec<Origin> {
        let FunctionArguments::List(list) = &function.args else { return Vec::new() };
        list.args
            .iter()
            .map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
                | FunctionArg::Named { arg: FunctionArgExpr::Expr(expr), .. }
                | FunctionArg::ExprNamed { arg: FunctionArgExpr::Expr(expr), .. } => {
                    self.expression(expr, select, depth)
                }
                _ => Origin::Made(BTreeSet::new()),
            })
            .collect()
    }

    /// Every column that occurs in an expression of another kind.
    fn anything(&self, expr: &'q Expr, select: &'q Select, depth: usize) -> Origin {
        let mut places = BTreeSet::new();
        let mut names: Vec<(Option<String>, String)> = Vec::new();
        let _ = visit_expressions(expr, |e| {
            match e {
                Expr::Identifier(ident) => names.push((None, ident.value.clone())),
                Expr::CompoundIdentifier(parts) => {
                    let mut back = parts.iter().rev().map(|p| p.value.clone());
                    if let Some(name) = back.next() {
                        names.push((back.next(), name));
                    }
                }
                _ => {}
            }
            ControlFlow::<()>::Continue(())
        });
        for (qualifier, name) in names {
            places.extend(self.column(qualifier.as_deref(), &name, select, depth).places());
        }
        // Subqueries have names of their own, which the walk above could not resolve.
        let mut queries = Vec::new();
        subqueries(expr, &mut queries);
        for query in queries {
            places.extend(self.item(query, 0, depth + 1).places());
        }
        Origin::Made(places)
    }

    /// What a column name means in a SELECT.
    fn column(&self, qualifier: Option<&str>, name: &str, select: &'q Select, depth: usize) -> Origin {
        let relations = self.relations(&select.from);
        let qualifier = qualifier.map(str::to_lowercase);
        let lower = name.to_lowercase();
        let of = |relation: &Relation<'q>| match relation {
            Relation::Table(table) => Origin::Column { prefix: String::new(), place: (table.clone(), name.to_owned()) },
            Relation::Query(query, names) => {
                let own = self.names(query);
                let names = if names.is_empty() { &own } else { names };
                match names.iter().position(|n| n.eq_ignore_ascii_case(name)) {
                    Some(index) => self.item(query, index, depth + 1),
                    None => Origin::Made(BTreeSet::new()),
                }
            }
        };
        let has = |relation: &Relation<'q>| match relation {
            Relation::Table(table) => {
                self.columns.get(&table.to_lowercase()).is_some_and(|columns| columns.contains(&lower))
            }
            Relation::Query(query, names) => {
                let own = self.names(query);
                (if names.is_empty() { &own } else { names }).iter().any(|n| n.eq_ignore_ascii_case(name))
            }
        };
        let mut found: Vec<Origin> = match &qualifier {
            Some(q) => relations.iter().filter(|(alias, _)| alias == q).map(|(_, r)| of(r)).collect(),
            None => relations.iter().filter(|(_, r)| relations.len() == 1 || has(r)).map(|(_, r)| of(r)).collect(),
        };
        if found.len() == 1 { found.swap_remove(0) } else { made(found) }
    }

    fn relations(&self, from: &'q [TableWithJoins]) -> Vec<(String, Relation<'q>)> {
        let mut out = Vec::new();
        for item in from {
            self.relation(&item.relation, &mut out);
            item.joins.iter().for_each(|join| self.relation(&join.relation, &mut out));
        }
        out
    }

    fn relation(&self, factor: &'q TableFactor, out: &mut Vec<(String, Relation<'q>)>) {
        let renamed = |alias: &datafusion::sql::sqlparser::ast::TableAlias| -> Vec<String> {
            alias.columns.iter().map(|c| c.name.value.clone()).collect()
        };
        match factor {
            TableFactor::Table { name, alias, .. } => {
                let table = last(name);
                let shown = alias.as_ref().map_or(&table, |a| &a.name.value).to_lowercase();
                let relation = match self.ctes.iter().rev().find(|(n, _)| *n == table.to_lowercase()) {
                    Some((_, query)) => Relation::Query(query, alias.as_ref().map(renamed).unwrap_or_default()),
                    None => Relation::Table(table),
                };
                out.push((shown, relation));
            }
            TableFactor::Derived { subquery, alias, .. } => {
                let shown = alias.as_ref().map(|a| a.name.value.to_lowercase()).unwrap_or_default();
                out.push((shown, Relation::Query(subquery, alias.as_ref().map(renamed).unwrap_or_default())));
            }
            TableFactor::NestedJoin { table_with_joins, .. } => {
                self.relation(&table_with_joins.relation, out);
                table_with_joins.joins.iter().for_each(|join| self.relation(&join.relation, out));
            }
            _ => {}
        }
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

fn last(name: &ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map_or_else(|| name.to_string(), |ident| ident.value.clone())
}

fn is_called(name: &ObjectName, accepted: &[&str]) -> bool {
    accepted.iter().any(|a| last(name).eq_ignore_ascii_case(a))
}

fn is_text(data_type: &DataType) -> bool {
    let name = data_type.to_string().to_ascii_uppercase();
    ["TEXT", "CHAR", "VARCHAR", "CHARACTER", "STRING"].iter().any(|t| name.starts_with(t))
}

/// Literals and one column behind them are the column with a prefix; anything else is made of its parts.
fn joined(parts: Vec<Origin>) -> Origin {
    let mut text = String::new();
    let count = parts.len();
    for (i, part) in parts.iter().enumerate() {
        match part {
            Origin::Literal(literal) => text.push_str(literal),
            Origin::Column { prefix, place } if i + 1 == count => {
                return Origin::Column { prefix: format!("{text}{prefix}"), place: place.clone() };
            }
            _ => return made(parts),
        }
    }
    Origin::Literal(text)
}

fn made(parts: impl IntoIterator<Item = Origin>) -> Origin {
    Origin::Made(parts.into_iter().flat_map(|p| p.places()).collect())
}

/// Queries directly inside an expression.
fn subqueries<'q>(expr: &'q Expr, out: &mut Vec<&'q Query>) {
    match expr {
        Expr::Subquery(query) => out.push(query),
        Expr::Nested(e) | Expr::UnaryOp { expr: e, .. } | Expr::Cast { expr: e, .. } => subqueries(e, out),
        Expr::BinaryOp { left, right, .. } => {
            subqueries(left, out);
            subqueries(right, out);
        }
        Expr::Function(function) => {
            if let FunctionArguments::Subquery(query) = &function.args {
                out.push(query);
            }
            if let FunctionArguments::List(list) = &function.args {
                for arg in &list.args {
                    if let FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) = arg {
                        subqueries(e, out);
                    }
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(sql: &str) -> BTreeMap<String, String> {
        let set = |list: &[&str]| list.iter().map(|c| (*c).to_owned()).collect::<BTreeSet<_>>();
        let columns = BTreeMap::from([
            ("u".to_owned(), set(&["id", "login", "tel"])),
            ("pay".to_owned(), set(&["id", "uid", "amt"])),
        ]);
        origins(sql, Engine::Sqlite, &columns)
            .into_iter()
            .map(|(name, origin)| {
                let text = match origin {
                    Origin::Column { prefix, place } => format!("{prefix}{{{}.{}}}", place.0, place.1),
                    Origin::Literal(text) => format!("'{text}'"),
                    Origin::Made(places) => {
                        places.iter().map(|(t, c)| format!("{t}.{c}")).collect::<Vec<_>>().join("+")
                    }
                };
                (name, text)
            })
            .collect()
    }

    fn one(sql: &str) -> String {
        run(sql).remove("x").unwrap_or_default()
    }

    /// Where a value comes from, through every dress that mappings give it.
    #[test]
    fn values() {
        for (sql, expected) in [
            ("SELECT a.id AS x FROM u a", "{u.id}"),
            ("SELECT id AS x FROM u", "{u.id}"),
            ("SELECT 'u:' || a.id AS x FROM u a", "u:{u.id}"),
            ("SELECT CASE WHEN a.tel IS NOT NULL THEN 'u:' || a.id END AS x FROM u a", "u:{u.id}"),
            ("SELECT CONCAT('a', 'b', CAST(a.id AS CHAR)) AS x FROM u a", "ab{u.id}"),
            ("SELECT COALESCE(a.tel, 'none') AS x FROM u a", "{u.tel}"),
            ("SELECT COALESCE(a.tel, a.login) AS x FROM u a", "u.login+u.tel"),
            ("SELECT LOWER(a.login) AS x FROM u a", "u.login"),
            ("SELECT a.login || a.tel AS x FROM u a", "u.login+u.tel"),
            ("SELECT login AS x FROM pay p LEFT JOIN u a ON a.id = p.uid", "{u.login}"),
            ("SELECT (SELECT b.login FROM u b WHERE b.id = p.uid) AS x FROM pay p", "{u.login}"),
            ("SELECT UPPER((SELECT b.login FROM u b)) AS x FROM pay p", "u.login"),
            ("WITH w AS (SELECT a.login AS l FROM u a) SELECT 'p' || w.l AS x FROM w", "p{u.login}"),
            ("SELECT d.l AS x FROM (SELECT login AS l, id FROM u) d", "{u.login}"),
            ("SELECT a.login AS x FROM u a UNION ALL SELECT a.tel FROM u a", "u.login+u.tel"),
            ("SELECT 'staff' AS x FROM u", "'staff'"),
            ("SELECT CAST(a.tel AS INTEGER) AS x FROM u a", "u.tel"),
            ("SELECT CASE a.id WHEN 1 THEN 'a' ELSE 'b' END AS x FROM u a", ""),
        ] {
            assert_eq!(one(sql), expected, "{sql}");
        }
    }
}
