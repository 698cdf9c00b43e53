//! The first read: only the columns that name members of staff, in memory, to know what must not leak.

use crate::model::Engine;
use crate::rows::RawBatch;
use crate::schema::{Class, Column};

use arrow::array::{Array as _, AsArray as _};

use super::cells::{Marks, Scratch, build};
use super::conversion::Kind;
use super::lint::fillable;
use super::part::Part;
use super::plan::{Action, ColumnPlan, of_column, positions};
use super::{Context, Error};

/// A column that may name a member of staff.
#[derive(Debug, Clone, Copy)]
pub struct StaffColumn {
    /// The canonical column.
    pub column: &'static Column,
    /// The column that says whose identifier it is, if it depends on the row.
    pub actor: Option<&'static str>,
}

/// The statement of the first read of a part.
#[derive(Debug, Clone)]
pub struct StaffQuery {
    /// The statement: distinct rows of the columns needed, nothing else.
    pub sql: String,
    /// Values of its parameters.
    pub values: Vec<String>,
    /// The columns that may name a member of staff.
    pub columns: Vec<StaffColumn>,
}

/// The statement that reads only the staff columns of a part (and the columns that say whose they are); `None` when
/// it has none.
pub fn staff_sql(part: &Part) -> Option<StaffQuery> {
    let columns = staff_columns(part);
    let mut names: Vec<String> = Vec::new();
    for column in &columns {
        for name in [Some(column.column.name), column.actor].into_iter().flatten() {
            for needed in needed(part, name) {
                if !names.contains(&needed) {
                    names.push(needed);
                }
            }
        }
    }
    if names.is_empty() {
        return None;
    }
    let list: Vec<String> = names
        .iter()
        .map(|name| {
            let name = part.engine.quoted(name);
            match part.engine {
                // The column's own collation would take `Zhang` and `zhang` for one.
                Engine::MySql => format!("CONVERT({name} USING utf8mb4) COLLATE utf8mb4_bin AS {name}"),
                Engine::Sqlite | Engine::Postgres => name,
            }
        })
        .collect();
    let sql = format!("SELECT DISTINCT {} FROM (\n{}\n) AS part", list.join(", "), part.select);
    Some(StaffQuery { sql, values: part.values.clone(), columns })
}

fn staff_columns(part: &Part) -> Vec<StaffColumn> {
    let mut out = Vec::new();
    for column in part.dataset.columns.iter().filter(|c| fillable(part.dataset, c.name).is_some()) {
        if needed(part, column.name).is_empty() {
            continue;
        }
        match part.class_of(column) {
            Class::StaffId => out.push(StaffColumn { column, actor: None }),
            Class::PerRow(actor) => out.push(StaffColumn { column, actor: Some(actor) }),
            _ => {}
        }
    }
    out
}

/// Selected columns from which a canonical column is made.
fn needed(part: &Part, name: &str) -> Vec<String> {
    match part.conversions.get(name).map(|c| &c.kind) {
        Some(Kind::Const(_)) => Vec::new(),
        Some(Kind::Enum2 { columns, .. }) => columns.clone(),
        _ if part.columns.iter().any(|c| c == name) => vec![name.to_owned()],
        _ => Vec::new(),
    }
}

/// Turns the rows of a [`StaffQuery`] into the identifiers to look for.
pub struct StaffReader {
    dataset: &'static str,
    columns: Vec<(StaffColumn, ColumnPlan, Option<ColumnPlan>)>,
    marks: Marks,
    scratch: Scratch,
}

impl std::fmt::Debug for StaffReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StaffReader").field("dataset", &self.dataset).finish_non_exhaustive()
    }
}

impl StaffReader {
    /// A reader for the rows of [`staff_sql`] of the same part; `header` names their columns.
    ///
    /// # Errors
    /// [`Error::MissingColumn`], [`Error::DuplicateColumn`], [`Error::Param`].
    pub fn new(part: &Part, header: &[String], context: &Context<'_>) -> Result<Self, Error> {
        let found = positions(part.dataset, header)?;
        let mut columns = Vec::new();
        for column in staff_columns(part) {
            let plan = of_column(part, column.column, &found, context)?;
            let actor = column.actor.and_then(|name| part.dataset.columns.iter().find(|c| c.name == name));
            let actor = actor.map(|c| of_column(part, c, &found, context)).transpose()?;
            columns.push((column, plan, actor));
        }
        Ok(Self { dataset: part.dataset.name, columns, marks: Marks::default(), scratch: Scratch::default() })
    }

    /// Calls `sink` with every identifier that is (or may be) a member of staff's, as the archive would hold it before
    /// tokens, and once more without the prefix the mapping puts before it. Cells that cannot be converted are left
    /// out: they do not reach the archive either.
    ///
    /// # Errors
    /// [`Error::UnknownCode`] where the mapping says so.
    pub fn each(&mut self, raw: &RawBatch, sink: &mut dyn FnMut(&StaffColumn, &str)) -> Result<(), Error> {
        for (column, plan, actor) in &mut self.columns {
            self.marks.reset(raw.rows());
            let values = build(plan, self.dataset, raw, &mut self.marks, &mut self.scratch)?.array;
            let actors = match actor {
                Some(plan) => Some(build(plan, self.dataset, raw, &mut self.marks, &mut self.scratch)?.array),
                None => None,
            };
            let Some(values) = values.as_string_opt::<i32>() else { continue };
            let actors = actors.as_ref().and_then(|a| a.as_string_opt::<i32>());
            let prefix = match &plan.action {
                Action::Text { prefix, .. } => prefix.as_str(),
                _ => "",
            };
            for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
                // Who it is, is missing or unknown: treated as staff, as the schema says.
                let is_staff = actors.is_none_or(|a| a.is_null(row) || matches!(a.value(row), "staff" | "unknown"));
                if !is_staff {
                    continue;
                }
                let value = values.value(row);
                sink(column, value);
                if let Some(bare) = value.strip_prefix(prefix).filter(|b| !prefix.is_empty() && !b.is_empty()) {
                    sink(column, bare);
                }
            }
        }
        Ok(())
    }
}
