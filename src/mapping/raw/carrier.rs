//! One read for two layers: a SELECT that takes a table row for row can hand the whole rows over as well.
//!
//! The text stays the author's; the columns are put in before its FROM, and the result is parsed again to see that
//! nothing but them was added.

use datafusion::sql::sqlparser::ast::{Expr, Select, SetExpr, Statement, TableFactor, visit_expressions};
use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, Word};

use std::ops::ControlFlow;

use super::super::part::Part;
use super::super::select::{dialect, facts, is_aggregate, offset};

/// A statement extended by the columns of its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Extended {
    /// The statement, ordered as the part's.
    pub(super) sql: String,
    /// Whether joins could repeat rows, so that the source must be asked how many rows the statement gives.
    pub(super) has_joins: bool,
}

/// The part's statement with `columns` of its only table behind its own, or `None` if it does not take the table row
/// for row.
pub(super) fn extend(part: &Part, table: &str, columns: &[&str]) -> Option<Extended> {
    let dialect = dialect(part.engine);
    let statements = Parser::parse_sql(dialect, &part.select).ok()?;
    let [Statement::Query(query)] = statements.as_slice() else { return None };
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let is_plain = query.with.is_none()
        && query.order_by.is_none()
        && part.conditions.is_empty()
        && !has_aggregate(select)
        && !part.order.as_deref().is_some_and(|o| o.trim_start().starts_with(|c: char| c.is_ascii_digit()));
    let [from] = select.from.as_slice() else { return None };
    let TableFactor::Table { name, alias, args: None, .. } = &from.relation else { return None };
    let own = name.0.last().and_then(|p| p.as_ident())?.value.clone();
    if !is_plain || !own.eq_ignore_ascii_case(table.rsplit('.').next().unwrap_or(table)) {
        return None;
    }
    let quoted_alias = match alias {
        Some(alias) => alias.name.to_string(),
        None => name.to_string(),
    };
    let list: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(i, c)| format!("{quoted_alias}.{} AS {}", part.engine.quoted(c), part.engine.quoted(&alias_of(i))))
        .collect();
    let at = before_from(&part.select, dialect)?;
    let (head, tail) = part.select.split_at(at);
    // On a line of its own: what stands before may end in a comment.
    let extended = format!("{}\n, {}\n{tail}", head.trim_end(), list.join(", "));
    let found = facts(&extended, part.engine, &mut Vec::new())?;
    let expected: Vec<String> = part.columns.iter().cloned().chain((0..columns.len()).map(alias_of)).collect();
    if found.aliases != expected || !found.conditions.is_empty() {
        return None;
    }
    let sql = match &part.order {
        Some(order) => format!("{extended}\nORDER BY {order}"),
        None => extended,
    };
    Some(Extended { sql, has_joins: !from.joins.is_empty() })
}

fn alias_of(index: usize) -> String {
    format!("raw__{index}")
}

fn has_aggregate(select: &Select) -> bool {
    let mut found = false;
    let _ = visit_expressions(&select.projection, |e| {
        found |= matches!(e, Expr::Function(function) if is_aggregate(function));
        ControlFlow::<()>::Continue(())
    });
    found
}

/// Where the FROM of the outermost SELECT begins.
fn before_from(sql: &str, dialect: &dyn Dialect) -> Option<usize> {
    let tokens = Tokenizer::new(dialect, sql).tokenize_with_location().ok()?;
    let mut depth = 0_usize;
    let mut is_behind_distinct = false;
    for token in &tokens {
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            // `a IS DISTINCT FROM b` is a comparison.
            Token::Word(word) if depth == 0 && !is_behind_distinct && is_from(word) => {
                return offset(sql, token.span.start);
            }
            _ => {}
        }
        is_behind_distinct = matches!(&token.token, Token::Word(w) if w.keyword == Keyword::DISTINCT);
    }
    None
}

fn is_from(word: &Word) -> bool {
    word.keyword == Keyword::FROM && word.quote_style.is_none()
}
