//! What a planned query would do, without running it: types that behave differently elsewhere, and where output
//! columns come from.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Distinct, Expr, ExprSchemable as _, LogicalPlan, Operator};

/// A planned query.
#[derive(Debug)]
pub struct Inspection {
    /// Columns it returns.
    pub schema: SchemaRef,
    /// Operations on types that engines treat differently, each once.
    pub hazards: BTreeSet<&'static str>,
    /// For output columns that are plain copies: the table and column they come from.
    pub origins: BTreeMap<String, (String, String)>,
}

pub(super) fn inspect(plan: &LogicalPlan, tables: &BTreeSet<String>) -> Result<Inspection, DataFusionError> {
    let mut hazards = BTreeSet::new();
    plan.apply_with_subqueries(|node| {
        let mut schema = DFSchema::empty();
        for input in node.inputs() {
            schema.merge(input.schema());
        }
        node.apply_expressions(|expr| {
            expr.apply(|e| {
                hazard(e, &schema, &mut hazards);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    let mut origins = BTreeMap::new();
    for (qualifier, field) in plan.schema().iter() {
        if let Some(origin) = origin(plan, &Column::new(qualifier.cloned(), field.name()), tables) {
            origins.insert(field.name().clone(), origin);
        }
    }
    Ok(Inspection { schema: plan.schema().inner().clone(), hazards, origins })
}

fn hazard(expr: &Expr, schema: &DFSchema, hazards: &mut BTreeSet<&'static str>) {
    let is_integer = |e: &Expr| e.get_type(schema).is_ok_and(|t| t.is_integer());
    let is_float = |e: &Expr| e.get_type(schema).is_ok_and(|t| t.is_floating());
    match expr {
        Expr::AggregateFunction(f) if f.func.name() == "sum" && f.params.args.first().is_some_and(is_integer) => {
            hazards.insert("SUM of an integer can wrap; write SUM(CAST(x AS DECIMAL(38,0)))");
        }
        Expr::WindowFunction(f) if f.fun.name() == "sum" && f.params.args.first().is_some_and(is_integer) => {
            hazards.insert("SUM of an integer can wrap; write SUM(CAST(x AS DECIMAL(38,0)))");
        }
        Expr::BinaryExpr(b) if b.op == Operator::Multiply && is_integer(&b.left) && is_integer(&b.right) => {
            hazards.insert("a product of integers can wrap; cast one side to DECIMAL(38,0)");
        }
        Expr::BinaryExpr(b)
            if b.op == Operator::Minus
                && [&b.left, &b.right].iter().all(|e| matches!(e.get_type(schema), Ok(DataType::Timestamp(..)))) =>
        {
            hazards.insert("the difference of instants has another type in each engine; compare a <= b + interval");
        }
        _ => {}
    }
    if matches!(expr, Expr::Cast(_) | Expr::Literal(..) | Expr::BinaryExpr(_) | Expr::AggregateFunction(_))
        && is_float(expr)
    {
        hazards.insert("floating point differs between engines; use DECIMAL");
    }
}

/// Follows a column down to a table as long as it is only handed on.
fn origin(plan: &LogicalPlan, column: &Column, tables: &BTreeSet<String>) -> Option<(String, String)> {
    let table = |name: &str| tables.contains(name).then(|| (name.to_owned(), column.name.clone()));
    match plan {
        LogicalPlan::TableScan(scan) => table(scan.table_name.table()),
        LogicalPlan::SubqueryAlias(alias) => {
            if let Some(found) = table(alias.alias.table()) {
                return Some(found);
            }
            let index = alias.schema.maybe_index_of_column(column)?;
            origin(&alias.input, &Column::from(alias.input.schema().qualified_field(index)), tables)
        }
        LogicalPlan::Projection(p) => {
            let index = p.schema.maybe_index_of_column(column)?;
            match p.expr.get(index)?.clone().unalias() {
                Expr::Column(inner) => origin(&p.input, &inner, tables),
                _ => None,
            }
        }
        LogicalPlan::Aggregate(a) => {
            let index = a.schema.maybe_index_of_column(column)?;
            match a.group_expr.get(index)?.clone().unalias() {
                Expr::Column(inner) => origin(&a.input, &inner, tables),
                _ => None,
            }
        }
        LogicalPlan::Union(u) => {
            let index = u.schema.maybe_index_of_column(column)?;
            let first = u.inputs.first()?;
            origin(first, &Column::from(first.schema().qualified_field(index)), tables)
        }
        LogicalPlan::Filter(f) => origin(&f.input, column, tables),
        LogicalPlan::Sort(s) => origin(&s.input, column, tables),
        LogicalPlan::Distinct(Distinct::All(input)) => origin(input, column, tables),
        LogicalPlan::Join(_) | LogicalPlan::Window(_) => {
            plan.inputs().into_iter().find(|i| i.schema().has_column(column)).and_then(|i| origin(i, column, tables))
        }
        _ => None,
    }
}
