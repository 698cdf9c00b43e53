//! The walk over one SQL text: which constructs, names, functions, casts and literals it uses.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::{Place, Role, words};
use crate::config::Problem;
use crate::policy::facts::CONTEXT;
use crate::policy::params::{Param, ParamType};
use crate::query::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, DateTimeField, Distinct, DuplicateTreatment, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, JoinConstraint, JoinOperator, OrderByExpr, OrderByKind,
    Query, Select, SelectItem, SetExpr, SetOperator, SetQuantifier, Spanned as _, Statement, TableAlias, TableFactor,
    UnaryOperator, Value, Visit as _, Visitor, WindowType,
};
use crate::query::sqlparser::dialect::GenericDialect;
use crate::query::sqlparser::parser::Parser;
use crate::query::sqlparser::tokenizer::Span;

/// Bytes of one SQL text, at most.
const SQL_BYTES_MAX: usize = 64 << 10;
/// Nesting of expressions and queries, at most.
const DEPTH_MAX: usize = 50;

/// What the walk over one text found.
pub(super) struct Walk<'a> {
    place: &'a Place<'a>,
    pub(super) problems: Vec<Problem>,
    pub(super) placeholders: BTreeSet<String>,
    relations: BTreeSet<String>,
    names: BTreeSet<String>,
    ctes: BTreeSet<String>,
    /// Date additions that stand directly inside CAST(… AS DATE), by address.
    cast_to_date: BTreeSet<usize>,
}

impl Walk<'_> {
    /// Declared datasets and list parameters that are read, with the column names that occur anywhere.
    pub(super) fn columns_read(&self, needs: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, BTreeSet<String>> {
        let mut read = BTreeMap::new();
        for table in self.relations.difference(&self.ctes) {
            let columns = needs.get(table).into_iter().flatten().filter(|c| self.names.contains(*c));
            read.insert(table.clone(), columns.cloned().collect());
        }
        read
    }

    fn refuse(&mut self, span: Span, message: impl std::fmt::Display) {
        let problem = self.place.problem(span, message);
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn ident(&mut self, ident: &Ident) {
        let name = &ident.value;
        if ident.quote_style.is_some() {
            self.refuse(ident.span, format!("quoted name `{name}`; use plain lower-case names"));
        } else if name.chars().any(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')) {
            self.refuse(ident.span, format!("name `{name}` is not lower-case ASCII"));
        } else if words::RESERVED.contains(&name.as_str()) {
            self.refuse(ident.span, format!("`{name}` is a word of SQL in one of the engines; choose another name"));
        }
    }

    fn alias(&mut self, alias: &TableAlias) {
        self.ident(&alias.name);
        for column in &alias.columns {
            self.ident(&column.name);
        }
    }
}

pub(super) fn walk<'a>(place: &'a Place<'a>, sql: &str, role: Role) -> Walk<'a> {
    let mut walk = Walk {
        place,
        problems: Vec::new(),
        placeholders: BTreeSet::new(),
        relations: BTreeSet::new(),
        names: BTreeSet::new(),
        ctes: BTreeSet::new(),
        cast_to_date: BTreeSet::new(),
    };
    if sql.len() > SQL_BYTES_MAX {
        walk.refuse(Span::empty(), format!("longer than {SQL_BYTES_MAX} bytes"));
        return walk;
    }
    let parsed = Parser::new(&GenericDialect {})
        .with_recursion_limit(DEPTH_MAX)
        .try_with_sql(sql)
        .and_then(|mut p| p.parse_statements());
    let statements = match parsed {
        Ok(statements) => statements,
        Err(e) => {
            let text = e.to_string();
            let message = text.strip_prefix("sql parser error: ").unwrap_or(&text).to_owned();
            walk.refuse(position_in(&message), format!("not SQL: {message}"));
            return walk;
        }
    };
    let [Statement::Query(query)] = statements.as_slice() else {
        walk.refuse(Span::empty(), "exactly one SELECT is accepted");
        return walk;
    };
    // Names of common table expressions must be known before the tables are seen.
    let mut ctes = Ctes(BTreeSet::new());
    let _: ControlFlow<()> = query.visit(&mut ctes);
    walk.ctes = ctes.0;
    // The walk never breaks off.
    let _: ControlFlow<()> = query.visit(&mut walk);
    match role {
        Role::Check => require_order(&mut walk, query, &["finding_ref", "finding_reason"]),
        Role::Subjects => require_order(&mut walk, query, &["subject_ref"]),
        Role::Population | Role::Rows => {}
    }
    walk
}

/// The parser gives positions of syntax errors in words only.
fn position_in(message: &str) -> Span {
    let number = |after: &str| {
        let rest = message.split(after).nth(1)?;
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
    };
    let mut span = Span::empty();
    if let (Some(line), Some(column)) = (number("Line: "), number("Column: ")) {
        span.start.line = line;
        span.start.column = column;
    }
    span
}

fn require_order(walk: &mut Walk<'_>, query: &Query, wanted: &[&str]) {
    let found: Option<Vec<String>> = query.order_by.as_ref().and_then(|o| match &o.kind {
        OrderByKind::Expressions(list) => {
            Some(list.iter().filter(|e| e.options.asc != Some(false)).map(|e| e.expr.to_string()).collect())
        }
        OrderByKind::All(_) => None,
    });
    if found.as_deref() != Some(&wanted.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()[..]) {
        walk.refuse(Span::empty(), format!("the last line must be ORDER BY {}", wanted.join(", ")));
    }
}

struct Ctes(BTreeSet<String>);

impl Visitor for Ctes {
    type Break = ();
    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|w| &w.cte_tables) {
            self.0.insert(cte.alias.name.value.clone());
        }
        ControlFlow::Continue(())
    }
}

impl Visitor for Walk<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let span = query.span();
        if let Some(with) = &query.with {
            if with.recursive {
                self.refuse(with.with_token.0.span, "recursive WITH is not in the profile");
            }
            for cte in &with.cte_tables {
                self.alias(&cte.alias);
                if cte.materialized.is_some() || cte.from.is_some() {
                    self.refuse(cte.alias.name.span, "MATERIALIZED is not in the profile");
                }
            }
        }
        if query.limit_clause.is_some() || query.fetch.is_some() {
            self.refuse(span, "LIMIT, OFFSET and FETCH are not in the profile");
        }
        if !query.locks.is_empty()
            || query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty()
        {
            self.refuse(span, "only WITH, SELECT and ORDER BY are in the profile");
        }
        if let Some(order) = &query.order_by {
            match &order.kind {
                OrderByKind::Expressions(list) => list.iter().for_each(|e| order_item(self, e)),
                OrderByKind::All(_) => self.refuse(span, "ORDER BY ALL is not in the profile"),
            }
        }
        body(self, &query.body, span);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let span = select.select_token.0.span;
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(_) => {}
                SelectItem::ExprWithAlias { alias, .. } => self.ident(alias),
                _ => self.refuse(span, "SELECT * is not in the profile; name the columns"),
            }
        }
        if matches!(select.distinct, Some(Distinct::On(_))) {
            self.refuse(span, "DISTINCT ON is not in the profile");
        }
        match &select.group_by {
            GroupByExpr::Expressions(list, modifiers) => {
                let is_name = |e: &Expr| matches!(e, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
                if !modifiers.is_empty() || !list.iter().all(is_name) {
                    self.refuse(span, "GROUP BY takes column names only");
                }
            }
            GroupByExpr::All(_) => self.refuse(span, "GROUP BY ALL is not in the profile"),
        }
        let is_plain = select.top.is_none()
            && select.exclude.is_none()
            && select.into.is_none()
            && select.lateral_views.is_empty()
            && select.prewhere.is_none()
            && select.connect_by.is_empty()
            && select.cluster_by.is_empty()
            && select.distribute_by.is_empty()
            && select.sort_by.is_empty()
            && select.named_window.is_empty()
            && select.qualify.is_none()
            && select.value_table_mode.is_none()
            && select.select_modifiers.is_none()
            && select.optimizer_hints.is_empty();
        if !is_plain {
            self.refuse(span, "this clause of SELECT is not in the profile");
        }
        for table in &select.from {
            for join in &table.joins {
                let constraint = match &join.join_operator {
                    JoinOperator::Join(c)
                    | JoinOperator::Inner(c)
                    | JoinOperator::Left(c)
                    | JoinOperator::LeftOuter(c)
                    | JoinOperator::FullOuter(c) => Some((c, true)),
                    JoinOperator::CrossJoin(c) => Some((c, false)),
                    _ => None,
                };
                match constraint {
                    Some((JoinConstraint::On(_), true)) | Some((JoinConstraint::None, false)) => {}
                    Some(_) => self.refuse(span, "joins are written with ON (CROSS JOIN without)"),
                    None => self.refuse(span, "only inner, LEFT, FULL and CROSS joins are in the profile"),
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                let span = name.span();
                let is_plain = args.is_none()
                    && with_hints.is_empty()
                    && version.is_none()
                    && !with_ordinality
                    && partitions.is_empty()
                    && json_path.is_none()
                    && sample.is_none()
                    && index_hints.is_empty();
                match name.0.as_slice() {
                    [part] if is_plain => match part.as_ident() {
                        Some(ident) if ident.quote_style.is_none() => self.table(&ident.value, span),
                        _ => self.refuse(span, "a table is a plain name, never a file"),
                    },
                    _ => self.refuse(
                        span,
                        "a table is a plain name; functions, files and other schemas are not in the profile",
                    ),
                }
                if let Some(alias) = alias {
                    self.alias(alias);
                }
            }
            TableFactor::Derived { lateral, subquery, alias, sample } => {
                if *lateral || sample.is_some() {
                    self.refuse(subquery.span(), "LATERAL is not in the profile");
                }
                if let Some(alias) = alias {
                    self.alias(alias);
                }
            }
            _ => self.refuse(Span::empty(), "this kind of table is not in the profile"),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        expression(self, expr);
        ControlFlow::Continue(())
    }
}

impl Walk<'_> {
    fn param(&self, name: &str) -> Option<&Param> {
        self.place.params.and_then(|params| params.get(name))
    }

    fn is_list(&self, name: &str) -> bool {
        self.param(name).is_some_and(|p| p.ty == ParamType::List)
    }

    fn table(&mut self, name: &str, span: Span) {
        let is_list = name.strip_prefix("param_").is_some_and(|p| self.is_list(p));
        if !self.ctes.contains(name) && !self.place.needs.contains_key(name) && !is_list {
            self.refuse(span, format!("table `{name}` is not declared in [needs.columns]"));
        }
        self.relations.insert(name.to_owned());
    }
}

fn body(walk: &mut Walk<'_>, body: &SetExpr, span: Span) {
    match body {
        SetExpr::Select(_) | SetExpr::Query(_) => {}
        SetExpr::SetOperation { op, set_quantifier, left, right } => {
            let ok = matches!(
                (op, set_quantifier),
                (SetOperator::Union, SetQuantifier::All) | (SetOperator::Except, SetQuantifier::None)
            );
            if !ok {
                walk.refuse(span, "only UNION ALL and EXCEPT are in the profile");
            }
            self::body(walk, left, span);
            self::body(walk, right, span);
        }
        _ => walk.refuse(span, "only SELECT is in the profile"),
    }
}

fn order_item(walk: &mut Walk<'_>, item: &OrderByExpr) {
    if item.options.asc == Some(false) && item.options.nulls_first.is_none() {
        walk.refuse(item.expr.span(), "DESC needs NULLS FIRST or NULLS LAST; engines differ");
    }
    if item.with_fill.is_some() {
        walk.refuse(item.expr.span(), "WITH FILL is not in the profile");
    }
}

fn expression(walk: &mut Walk<'_>, expr: &Expr) {
    let span = expr.span();
    match expr {
        Expr::Identifier(ident) => {
            walk.ident(ident);
            walk.names.insert(ident.value.clone());
        }
        Expr::CompoundIdentifier(parts) => {
            parts.iter().for_each(|p| walk.ident(p));
            if parts.len() != 2 {
                walk.refuse(span, "a column is written name or table.name");
            }
            walk.names.extend(parts.last().map(|p| p.value.clone()));
        }
        Expr::Value(value) => literal(walk, &value.value, span),
        Expr::BinaryOp { left, op, right } => binary(walk, expr, left, op, right, span),
        Expr::UnaryOp { op, .. } if !matches!(op, UnaryOperator::Not | UnaryOperator::Minus | UnaryOperator::Plus) => {
            walk.refuse(span, format!("operator {op} is not in the profile"));
        }
        Expr::InSubquery { negated: true, .. } => {
            walk.refuse(span, "NOT IN over a subquery is empty when a null is inside; write NOT EXISTS")
        }
        Expr::Like { any, escape_char, .. } if *any || escape_char.is_some() => {
            walk.refuse(span, "LIKE takes one plain pattern")
        }
        Expr::Cast { kind, expr: inner, data_type, array, format } => {
            if *kind != CastKind::Cast || *array || format.is_some() {
                walk.refuse(span, "only CAST(x AS type) is in the profile");
            }
            cast(walk, inner, data_type, span);
        }
        Expr::Function(function) => call(walk, function, span),
        Expr::Interval(interval) => {
            let is_text =
                matches!(interval.value.as_ref(), Expr::Value(v) if matches!(v.value, Value::SingleQuotedString(_)));
            let unit = interval.leading_field.as_ref().and_then(unit);
            if !is_text || unit.is_none() || interval.last_field.is_some() {
                walk.refuse(
                    span,
                    "an interval is written INTERVAL '1' MONTH, with SECOND, MINUTE, HOUR, DAY, MONTH or YEAR",
                );
            }
        }
        Expr::TypedString(typed) => {
            if !matches!(typed.data_type, DataType::Date) {
                walk.refuse(span, "only DATE literals are in the profile; instants come from parameters");
            }
        }
        Expr::Substring { special, .. } if !special => {
            walk.refuse(span, "write SUBSTR(x, start, length)");
        }
        Expr::Trim { trim_where, trim_what, trim_characters, .. } => {
            if trim_where.is_some() || trim_what.is_some() || trim_characters.is_some() {
                walk.refuse(span, "only TRIM(x) is in the profile");
            }
        }
        Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsDistinctFrom(..)
        | Expr::IsNotDistinctFrom(..)
        | Expr::InList { .. }
        | Expr::InSubquery { .. }
        | Expr::Between { .. }
        | Expr::Like { .. }
        | Expr::UnaryOp { .. }
        | Expr::Nested(_)
        | Expr::Case { .. }
        | Expr::Exists { .. }
        | Expr::Subquery(_)
        | Expr::Substring { .. } => {}
        Expr::Extract { .. } | Expr::AtTimeZone { .. } => {
            walk.refuse(span, "zone-dependent; use the _on twins, calendar_day or calendar_month");
        }
        _ => walk.refuse(span, "this expression is not in the profile"),
    }
}

fn literal(walk: &mut Walk<'_>, value: &Value, span: Span) {
    match value {
        Value::Placeholder(name) => match name.strip_prefix('$') {
            Some(_) if walk.place.params.is_none() => {
                walk.refuse(span, "a derived dataset takes no parameter: its rows depend on the archive alone");
            }
            Some(name) if CONTEXT.contains(&name) => {}
            Some(name) if walk.param(name).is_some_and(|p| p.ty != ParamType::List) => {
                walk.placeholders.insert(name.to_owned());
            }
            Some(name) if walk.is_list(name) => {
                walk.refuse(span, format!("list parameter `{name}` is the table param_{name}(value)"));
            }
            _ => walk.refuse(span, format!("parameter `{name}` is not declared")),
        },
        Value::Number(text, _) if text.contains(['e', 'E']) => {
            walk.refuse(span, "numbers are written without exponent")
        }
        Value::Number(..) | Value::SingleQuotedString(_) | Value::Boolean(_) | Value::Null => {}
        _ => walk.refuse(span, "this kind of literal is not in the profile"),
    }
}

fn unit(field: &DateTimeField) -> Option<Unit> {
    match field {
        DateTimeField::Second | DateTimeField::Minute | DateTimeField::Hour => Some(Unit::Clock),
        DateTimeField::Day | DateTimeField::Month | DateTimeField::Year => Some(Unit::Calendar),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Clock,
    Calendar,
}

/// What kind of interval an expression is, if it is one.
fn interval_unit(walk: &Walk<'_>, expr: &Expr) -> Option<Unit> {
    match expr {
        Expr::Nested(inner) => interval_unit(walk, inner),
        Expr::Interval(interval) => interval.leading_field.as_ref().and_then(unit),
        Expr::Cast { expr, data_type: DataType::Interval { .. }, .. } => match expr.as_ref() {
            Expr::Value(v) => match &v.value {
                Value::Placeholder(name) => {
                    let param = walk.param(name.trim_start_matches('$'))?;
                    Some(if param.ty == ParamType::Period { Unit::Calendar } else { Unit::Clock })
                }
                _ => None,
            },
            // Periods of the schedule are the only intervals that stand in columns.
            _ => Some(Unit::Calendar),
        },
        _ => None,
    }
}

/// Suffix of the name an expression is about: `_at`, `_on`, or nothing known.
fn suffix(expr: &Expr) -> Option<&'static str> {
    let name = match expr {
        Expr::Identifier(i) => i.value.clone(),
        Expr::CompoundIdentifier(parts) => parts.last()?.value.clone(),
        Expr::Value(v) => match &v.value {
            Value::Placeholder(p) if p == "$as_of" || p == "$window_from" || p == "$window_to" => return Some("_at"),
            Value::Placeholder(p) => p.clone(),
            _ => return None,
        },
        Expr::Nested(inner) => return suffix(inner),
        Expr::Cast { data_type: DataType::Date, .. } => return Some("_on"),
        Expr::BinaryOp { left, op: BinaryOperator::Plus | BinaryOperator::Minus, .. } => return suffix(left),
        _ => return None,
    };
    ["_at", "_on"].into_iter().find(|s| name.ends_with(s))
}

fn binary(walk: &mut Walk<'_>, whole: &Expr, left: &Expr, op: &BinaryOperator, right: &Expr, span: Span) {
    use BinaryOperator as B;
    match op {
        B::Divide => walk.refuse(span, "/ means different things; multiply the other side"),
        B::Plus | B::Minus => {
            if *op == B::Minus && suffix(left) == Some("_at") && suffix(right) == Some("_at") {
                walk.refuse(
                    span,
                    "the difference of instants has another type in each engine; compare a <= b + interval",
                );
            }
            match (interval_unit(walk, right), suffix(left)) {
                (Some(Unit::Calendar), Some("_at")) => {
                    walk.refuse(
                        span,
                        "days, months and years are added to _on dates; an instant's day depends on the zone",
                    );
                }
                (Some(Unit::Clock), Some("_on")) => {
                    walk.refuse(span, "hours are added to _at instants; engines drop them from dates")
                }
                (Some(Unit::Calendar), _) if !walk.cast_to_date.contains(&address(whole)) => {
                    walk.refuse(span, "a date plus an interval needs CAST(… AS DATE) around it");
                }
                _ => {}
            }
        }
        B::Multiply
        | B::Modulo
        | B::StringConcat
        | B::Gt
        | B::Lt
        | B::GtEq
        | B::LtEq
        | B::Eq
        | B::NotEq
        | B::And
        | B::Or => {}
        other => walk.refuse(span, format!("operator {other} is not in the profile")),
    }
}

/// Identity of a node of the tree while it is walked; never dereferenced.
fn address(expr: &Expr) -> usize {
    std::ptr::from_ref(expr).addr()
}

fn cast(walk: &mut Walk<'_>, inner: &Expr, data_type: &DataType, span: Span) {
    match data_type {
        DataType::Varchar(None) | DataType::BigInt(None) | DataType::Boolean | DataType::Decimal(_) => {}
        DataType::Date => {
            let mut node = inner;
            while let Expr::Nested(next) = node {
                node = next;
            }
            walk.cast_to_date.insert(address(node));
            let is_addition = matches!(node, Expr::BinaryOp { op: BinaryOperator::Plus | BinaryOperator::Minus, .. });
            let is_null = matches!(node, Expr::Value(v) if matches!(v.value, Value::Null));
            if !is_addition && !is_null {
                walk.refuse(
                    span,
                    "CAST to DATE is for a date plus an interval; the local day of an instant is its _on twin",
                );
            }
        }
        DataType::Interval { .. } => {
            let is_param = matches!(inner, Expr::Value(v) if matches!(&v.value, Value::Placeholder(p)
                if walk.param(p.trim_start_matches('$')).is_some_and(|p| matches!(p.ty, ParamType::Period | ParamType::Duration))));
            let is_column = matches!(inner, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
            if !is_param && !is_column {
                walk.refuse(
                    span,
                    "CAST to INTERVAL is for parameters of type duration or period and for schedule columns",
                );
            }
        }
        other => walk.refuse(
            span,
            format!(
                "CAST to {other} is not in the profile; accepted: VARCHAR, BIGINT, BOOLEAN, DATE, DECIMAL, INTERVAL"
            ),
        ),
    }
}

const AGGREGATES: [&str; 4] = ["count", "max", "min", "sum"];
const WINDOWS: [&str; 3] = ["lag", "lead", "row_number"];
const SCALARS: [&str; 8] = ["abs", "coalesce", "length", "lower", "nullif", "substr", "trim", "upper"];

fn call(walk: &mut Walk<'_>, function: &Function, span: Span) {
    let name = function.name.to_string().to_ascii_lowercase();
    let is_aggregate = AGGREGATES.contains(&name.as_str());
    let is_window = WINDOWS.contains(&name.as_str());
    if !is_aggregate && !is_window && !SCALARS.contains(&name.as_str()) {
        let accepted = [&AGGREGATES[..], &WINDOWS, &SCALARS].concat().join(", ");
        walk.refuse(span, format!("function `{name}` is not in the profile; accepted: {accepted}"));
        return;
    }
    let is_plain = !function.uses_odbc_syntax
        && matches!(function.parameters, FunctionArguments::None)
        && function.null_treatment.is_none()
        && function.within_group.is_empty();
    let arguments_ok = match &function.args {
        FunctionArguments::List(list) => {
            let is_star = |a: &FunctionArg| matches!(a, FunctionArg::Unnamed(FunctionArgExpr::Wildcard));
            let plain = |a: &FunctionArg| {
                matches!(a, FunctionArg::Unnamed(FunctionArgExpr::Expr(_))) || (name == "count" && is_star(a))
            };
            let treatment = match list.duplicate_treatment {
                None => true,
                Some(DuplicateTreatment::Distinct) => name == "count",
                Some(DuplicateTreatment::All) => false,
            };
            list.clauses.is_empty() && list.args.iter().all(plain) && treatment
        }
        _ => false,
    };
    if !is_plain || !arguments_ok {
        walk.refuse(span, format!("this form of `{name}` is not in the profile"));
    }
    match &function.over {
        None if is_window => walk.refuse(span, format!("`{name}` needs OVER (… ORDER BY …)")),
        None => {}
        Some(WindowType::WindowSpec(spec)) => {
            if spec.order_by.is_empty() {
                walk.refuse(span, "OVER needs ORDER BY, or the result depends on the order of rows");
            }
            if is_aggregate && spec.window_frame.is_none() {
                walk.refuse(span, "an aggregate with OVER needs an explicit frame (ROWS BETWEEN …)");
            }
            spec.order_by.iter().for_each(|e| order_item(walk, e));
        }
        Some(WindowType::NamedWindow(_)) => walk.refuse(span, "named windows are not in the profile"),
    }
}
