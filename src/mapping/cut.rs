//! Which SELECTs can be read in ranges of a key, and where their text has room for a condition.
//!
//! The text stays the author's: the condition is put in before ORDER BY, what the author wrote behind WHERE gets
//! parentheses, and the result is parsed again to see that nothing but the condition was added.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Distinct, Expr, Ident, JoinOperator, ObjectName, OrderBy, OrderByKind, Query, Select, SelectItem,
    SetExpr, Statement, TableFactor, Visit, Visitor,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::select::{dialect, is_aggregate, offset};
use crate::model::Engine;
use crate::rows::KeyCut;

/// How a SELECT can be read in ranges of the first column it is ordered by; `None` when its rows could come out
/// different. Whether that column has whole numbers and an index is for the source to find out.
///
/// The SELECT must be a plain one over one main table, with joins that keep that table's columns as they are. Only
/// PostgreSQL's: there, NULL comes last, and several connections can read one state.
pub fn cut(engine: Engine, sql: &str) -> Option<KeyCut> {
    if engine != Engine::Postgres {
        return None;
    }
    let query = parsed(engine, sql)?;
    let select = plain(&query)?;
    let key = Key::of(select, query.order_by.as_ref()?)?;
    let (head, tail) = halves(engine, sql, select.selection.is_some())?;
    let cut = KeyCut {
        table: key.table.0.iter().map(|part| part.as_ident().map(folded)).collect::<Option<Vec<_>>>()?.join("."),
        column: folded(key.column),
        table_sql: key.table.to_string(),
        column_sql: key.column.to_string(),
        key_sql: key.expr.to_string(),
        head,
        tail,
    };
    adds_only_a_condition(engine, &query, select.selection.as_ref(), &cut)?.then_some(cut)
}

fn parsed(engine: Engine, sql: &str) -> Option<Query> {
    let mut statements = Parser::parse_sql(dialect(engine), sql).ok()?;
    match (statements.pop(), statements.is_empty()) {
        (Some(Statement::Query(query)), true) => Some(*query),
        _ => None,
    }
}

/// The SELECT, if each of its rows depends on one row of the FROM alone. Clauses behind WHERE need no look here: a
/// condition behind them cannot be parsed.
fn plain(query: &Query) -> Option<&Select> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let is_plain = query.with.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && query.locks.is_empty()
        && matches!(select.distinct, None | Some(Distinct::All));
    let mut look = RowByRow::default();
    let _ = select.projection.visit(&mut look);
    let _ = query.order_by.visit(&mut look);
    (is_plain && !look.is_broken).then_some(select)
}

/// Looks for what makes a row depend on others; subqueries are whole by themselves.
#[derive(Default)]
struct RowByRow {
    depth: usize,
    is_broken: bool,
}

impl Visitor for RowByRow {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let (0, Expr::Function(function)) = (self.depth, expr) {
            self.is_broken |= is_aggregate(function)
                || function.over.is_some()
                || function.filter.is_some()
                || !function.within_group.is_empty();
        }
        ControlFlow::Continue(())
    }
}

/// The column a statement is ordered by first.
struct Key<'q> {
    expr: &'q Expr,
    column: &'q Ident,
    table: &'q ObjectName,
}

impl<'q> Key<'q> {
    fn of(select: &'q Select, order: &'q OrderBy) -> Option<Self> {
        let OrderByKind::Expressions(list) = &order.kind else { return None };
        let first = list.first()?;
        let is_ascending = first.options.asc != Some(false) && first.options.nulls_first != Some(true);
        if !is_ascending || first.with_fill.is_some() || order.interpolate.is_some() {
            return None;
        }
        let [from] = select.from.as_slice() else { return None };
        // A join that can fill the main table's columns with NULL would tear rows out of their range.
        let keeps_main = from.joins.iter().all(|j| {
            matches!(
                j.join_operator,
                JoinOperator::Join(_)
                    | JoinOperator::Inner(_)
                    | JoinOperator::Left(_)
                    | JoinOperator::LeftOuter(_)
                    | JoinOperator::CrossJoin(_)
            )
        });
        let TableFactor::Table { name, alias, args: None, sample: None, with_ordinality: false, .. } = &from.relation
        else {
            return None;
        };
        // `t (a, b)` gives the columns other names.
        if !keeps_main || alias.as_ref().is_some_and(|a| !a.columns.is_empty()) {
            return None;
        }
        let own = match alias {
            Some(alias) => &alias.name,
            None => name.0.last()?.as_ident()?,
        };
        let column = match &first.expr {
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [of, column] if folded(of) == folded(own) => column,
                _ => return None,
            },
            // ORDER BY looks among the names of the SELECT first, WHERE only among columns.
            Expr::Identifier(column)
                if from.joins.is_empty() && select.projection.iter().all(|i| means_itself(i, column, own)) =>
            {
                column
            }
            _ => return None,
        };
        Some(Self { expr: &first.expr, column, table: name })
    }
}

/// Whether an item of the SELECT is not called like the column, or is that very column.
fn means_itself(item: &SelectItem, column: &Ident, table: &Ident) -> bool {
    let (name, expr) = match item {
        SelectItem::ExprWithAlias { expr, alias } => (Some(alias), expr),
        SelectItem::UnnamedExpr(expr @ Expr::Identifier(name)) => (Some(name), expr),
        SelectItem::UnnamedExpr(expr @ Expr::CompoundIdentifier(parts)) => (parts.last(), expr),
        // What has no name of its own is called by the engine.
        _ => return false,
    };
    if name.is_none_or(|name| folded(name) != folded(column)) {
        return true;
    }
    match expr {
        Expr::Identifier(found) => folded(found) == folded(column),
        Expr::CompoundIdentifier(parts) => {
            matches!(parts.as_slice(), [of, found] if folded(of) == folded(table) && folded(found) == folded(column))
        }
        _ => false,
    }
}

/// A name as PostgreSQL understands it.
fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// The statement before and behind a condition in parentheses.
fn halves(engine: Engine, sql: &str, has_where: bool) -> Option<(String, String)> {
    let tokens = Tokenizer::new(dialect(engine), sql).tokenize_with_location().ok()?;
    let (mut depth, mut order, mut filter) = (0_usize, None, None);
    for token in &tokens {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Word(word) if depth == 0 && word.quote_style.is_none() => match word.keyword {
                Keyword::ORDER => order = offset(sql, token.span.start),
                Keyword::WHERE => filter = filter.or(offset(sql, token.span.start)),
                _ => {}
            },
            _ => {}
        }
    }
    let (before, tail) = sql.split_at_checked(order?)?;
    // On lines of their own: what stands before may end in a comment.
    let head = if has_where {
        let (start, condition) = before.split_at_checked(filter? + "WHERE".len())?;
        format!("{start} ({}\n)\nAND ", condition.trim())
    } else {
        format!("{}\nWHERE ", before.trim_end())
    };
    Some((head, format!("\n{tail}")))
}

/// Whether the statement with a condition is the one without, and nothing else.
fn adds_only_a_condition(engine: Engine, query: &Query, own: Option<&Expr>, cut: &KeyCut) -> Option<bool> {
    let condition = format!("{} > 0", cut.key_sql);
    let added = Parser::new(dialect(engine)).try_with_sql(&condition).ok()?.parse_expr().ok()?;
    let nested = |expr: Expr| Expr::Nested(Box::new(expr));
    let expected = match own {
        None => nested(added),
        Some(own) => Expr::BinaryOp {
            left: Box::new(nested(own.clone())),
            op: BinaryOperator::And,
            right: Box::new(nested(added)),
        },
    };
    let mut found = parsed(engine, &cut.with(&condition))?;
    let SetExpr::Select(select) = found.body.as_mut() else { return None };
    let was_added = select.selection.as_ref() == Some(&expected);
    select.selection = own.cloned();
    Some(was_added && found == *query)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sql: &str) -> Option<KeyCut> {
        cut(Engine::Postgres, sql)
    }

    /// The condition stands beside the author's own, whatever that is made of, and nothing else changes.
    #[test]
    fn the_condition_joins_the_authors_own() {
        for (sql, expected) in [
            ("SELECT p.a AS x FROM t_pay p\nORDER BY p.id", "SELECT p.a AS x FROM t_pay p\nWHERE (C)\nORDER BY p.id"),
            (
                "SELECT a FROM pay WHERE b = 1 OR c = $1 -- both\nORDER BY id",
                "SELECT a FROM pay WHERE (b = 1 OR c = $1 -- both\n)\nAND (C)\nORDER BY id",
            ),
            (
                "SELECT (SELECT MAX(x) FROM u WHERE u.o = p.id ORDER BY 1 LIMIT 1) AS m FROM s.pay AS p LEFT JOIN v ON v.i = p.id -- note\nORDER BY p.id, v.n DESC",
                "SELECT (SELECT MAX(x) FROM u WHERE u.o = p.id ORDER BY 1 LIMIT 1) AS m FROM s.pay AS p LEFT JOIN v ON v.i = p.id -- note\nWHERE (C)\nORDER BY p.id, v.n DESC",
            ),
            (
                "SELECT \"id\", '水果 ORDER BY' AS w FROM \"订单\"\nORDER BY \"id\"",
                "SELECT \"id\", '水果 ORDER BY' AS w FROM \"订单\"\nWHERE (C)\nORDER BY \"id\"",
            ),
        ] {
            assert_eq!(of(sql).unwrap().with("C"), expected);
        }
    }

    /// Names are told as the server lists them, and as SQL where they are needed as SQL.
    #[test]
    fn names_of_the_key() {
        let cut = of("SELECT o.a AS x FROM Shop.\"Orders\" O ORDER BY o.ID").unwrap();
        assert_eq!((cut.table.as_str(), cut.column.as_str()), ("shop.Orders", "id"));
        assert_eq!((cut.table_sql.as_str(), cut.column_sql.as_str()), ("Shop.\"Orders\"", "ID"));
        assert_eq!(cut.key_sql, "o.ID");
        let cut = of("SELECT t.id AS id, b FROM t ORDER BY id").unwrap();
        assert_eq!((cut.table.as_str(), cut.key_sql.as_str()), ("t", "id"));
    }

    /// Everything whose rows could come out different, or in another order, is read whole.
    #[test]
    fn what_is_read_whole() {
        for sql in [
            "SELECT a FROM t",
            "SELECT a FROM t ORDER BY id DESC",
            "SELECT a FROM t ORDER BY id NULLS FIRST",
            "SELECT a FROM t ORDER BY id + 1",
            "SELECT a FROM t ORDER BY lower(id)",
            "SELECT a FROM t ORDER BY 1",
            "SELECT a FROM t ORDER BY id LIMIT 5",
            "SELECT a FROM t ORDER BY id FETCH FIRST 5 ROWS ONLY",
            "SELECT a FROM t ORDER BY id FOR UPDATE",
            "SELECT DISTINCT id FROM t ORDER BY id",
            "SELECT DISTINCT ON (id) id FROM t ORDER BY id",
            "SELECT id, COUNT(*) AS n FROM t GROUP BY id ORDER BY id",
            "SELECT id FROM t GROUP BY id HAVING COUNT(*) > 1 ORDER BY id",
            "SELECT MAX(a) AS m FROM t ORDER BY id",
            "SELECT mode() WITHIN GROUP (ORDER BY a) AS m FROM t ORDER BY id",
            "SELECT row_number() OVER (ORDER BY a) AS n FROM t ORDER BY t.id",
            "SELECT a FROM t ORDER BY t.id, row_number() OVER ()",
            "SELECT row_number() OVER w AS n FROM t WINDOW w AS (ORDER BY a) ORDER BY t.id",
            "SELECT id FROM t UNION ALL SELECT id FROM u ORDER BY id",
            "WITH t AS (SELECT id FROM u LIMIT 5) SELECT id FROM t ORDER BY id",
            "SELECT a FROM (SELECT id, a FROM t LIMIT 5) s ORDER BY s.id",
            "SELECT a FROM t, u ORDER BY t.id",
            "SELECT a FROM t RIGHT JOIN u ON u.i = t.id ORDER BY t.id",
            "SELECT a FROM t FULL JOIN u ON u.i = t.id ORDER BY t.id",
            "SELECT a FROM t LEFT JOIN u ON u.i = t.id ORDER BY u.id",
            "SELECT a FROM t LEFT JOIN u ON u.i = t.id ORDER BY id",
            "SELECT x.code AS id FROM t x ORDER BY id",
            "SELECT code AS \"id\" FROM t ORDER BY ID",
            "SELECT lower(code) FROM t ORDER BY id",
            "SELECT a FROM t TABLESAMPLE SYSTEM (10) ORDER BY t.id",
            "SELECT a FROM t AS x (id, a) ORDER BY x.id",
            "SELECT a FROM generate_series(1, 5) AS g ORDER BY g.id",
            "SELECT a FROM t ORDER BY s.t.id",
            "SELECT a FROM t ORDER BY id; SELECT 1",
            "not sql",
        ] {
            assert_eq!(of(sql), None, "{sql}");
        }
        assert_eq!(cut(Engine::MySql, "SELECT a FROM t ORDER BY t.id"), None);
        assert_eq!(cut(Engine::Sqlite, "SELECT a FROM t ORDER BY t.id"), None);
    }
}
