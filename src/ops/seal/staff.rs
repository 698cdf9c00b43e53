//! The first read: staff identifiers of all sources and registers, into memory only.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use super::pace::Pace;
use super::plan::{Feed, Plan};
use super::raw::{RawPlan, StaffCells, staff_reads};
use crate::config::Case;
use crate::mapping::raw::Actor;
use crate::mapping::{StaffReader, staff_sql};
use crate::ops::{Env, Error, sources};
use crate::progress::Stage;
use crate::pseudonym::{IdentifierKind, Keys, StaffMatcher, StaffMatcherBuilder};
use crate::rows::{RawBatch, RawValue};
use crate::schema::{self, Class, Column, Dataset, Raised, Whose};
use crate::source::bills::Bill;
use crate::source::database::Select;
use crate::source::{RowSource, canonical_files, register};

/// Builds the matcher from every column of class staff.
pub(in crate::ops) async fn identifiers(
    env: &Env,
    case: &Case,
    (plan, raw): (&Plan, &RawPlan),
    databases: &mut [Box<dyn RowSource>],
    keys: &Keys,
    pace: &Pace,
) -> Result<StaffMatcher, Error> {
    let task = env.progress.start(Stage::ReadStaff, None);
    let mut builder = StaffMatcherBuilder::new();
    for database in &plan.databases {
        builder.stands_by_design(&database.name);
        builder.stands_by_design(database.mapping.id());
    }
    for (name, feeds) in &plan.feeds {
        let Some(dataset) = schema::dataset(name) else { continue };
        task.label(name);
        let raised = plan.raised(name);
        for feed in feeds {
            env.cancel.check()?;
            match feed {
                Feed::Query { database, part } => {
                    let Some(query) = staff_sql(part) else { continue };
                    let Some(source) = databases.get_mut(*database) else { continue };
                    let system = plan.databases.get(*database).map(|d| d.mapping.src_system()).unwrap_or_default();
                    let context = super::flow::context(case, &system, keys);
                    let header = sources::header(source.as_mut(), dataset.name, &part.table, &query.sql).await?;
                    let mut reader = StaffReader::new(part, &header, &context)?;
                    let (sender, mut receiver) = mpsc::channel::<RawBatch>(4);
                    let select = Select { sql: &query.sql, values: &query.values };
                    let read = source.read(select, sender, &env.cancel);
                    let take = async {
                        while let Some(batch) = receiver.recv().await {
                            pace.take(batch.rows())?;
                            task.advance(batch.rows() as u64);
                            reader.each(&batch, &mut |column, value| add(&mut builder, column.column.name, value))?;
                        }
                        Ok::<(), Error>(())
                    };
                    let (read, taken) = tokio::join!(read, take);
                    taken?;
                    read?;
                }
                Feed::File { file, .. } => {
                    canonical_files::read::<Error>(file, &mut |rows| {
                        env.cancel.check()?;
                        cells(dataset, &raised, &rows.header, &rows.batch, &mut builder);
                        Ok(())
                    })?;
                }
                Feed::Register(file) => {
                    let register = register::read(file)?;
                    for batch in &register.batches {
                        cells(dataset, &raised, &register.header, batch, &mut builder);
                    }
                }
                Feed::BillLines(index) => {
                    // Millions of lines are not read once more for a column that none of them has.
                    let is_named = |bill: &Bill, column: &Column| match raised.class_of(column) {
                        Class::StaffId | Class::PerRow(_) => column.name != "applicant_ref" || bill.has_applicants,
                        _ => false,
                    };
                    let bill = plan.bills.get(*index);
                    if let Some(bill) = bill.filter(|bill| dataset.columns.iter().any(|c| is_named(bill, c))) {
                        bill.lines::<Error>(&mut |rows| {
                            env.cancel.check()?;
                            cells(dataset, &raised, &rows.header, &rows.batch, &mut builder);
                            Ok(())
                        })?;
                    }
                }
                Feed::Bill(_) | Feed::Project(_) => {}
            }
        }
    }
    for entry in &raw.entries {
        let Some(source) = databases.get_mut(entry.database) else { continue };
        task.label(&entry.name);
        for (sql, cells) in staff_reads(source.engine(), &entry.table) {
            env.cancel.check()?;
            let (sender, mut receiver) = mpsc::channel::<RawBatch>(4);
            let read = source.read(Select { sql: &sql, values: &[] }, sender, &env.cancel);
            let take = async {
                while let Some(batch) = receiver.recv().await {
                    pace.take(batch.rows())?;
                    task.advance(batch.rows() as u64);
                    raw_cells(&cells, &batch, &mut builder);
                }
                Ok::<(), Error>(())
            };
            let (read, taken) = tokio::join!(read, take);
            taken?;
            read?;
        }
    }
    Ok(builder.build()?)
}

/// Takes the staff identifiers out of the rows of a statement of [`staff_reads`].
fn raw_cells(cells: &StaffCells, batch: &RawBatch, builder: &mut StaffMatcherBuilder) {
    let Some(values) = batch.columns.first() else { return };
    for row in 0..batch.rows() {
        let code = match batch.columns.get(1).map(|c| c.get(row)) {
            Some(RawValue::Text(code)) => Some(code.to_owned()),
            Some(RawValue::Int(code)) => Some(code.to_string()),
            _ => None,
        };
        let whose = match &cells.actor {
            None => Whose::Staff,
            Some((Actor::Word(word), vocabulary)) => Whose::of(Some(word), vocabulary),
            Some((Actor::Column(_, words), vocabulary)) => {
                Whose::of(code.as_deref().and_then(|c| words.of(c)), vocabulary)
            }
        };
        if let (Whose::Staff, RawValue::Text(value)) = (whose, values.get(row)) {
            add(builder, &cells.meaning, value.trim());
        }
    }
}

fn add(builder: &mut StaffMatcherBuilder, column: &str, value: &str) {
    builder.add(value, IdentifierKind::of(column, value));
}

/// Takes the staff identifiers out of rows that already have canonical names.
fn cells(dataset: &Dataset, raised: &Raised, header: &[String], batch: &RawBatch, builder: &mut StaffMatcherBuilder) {
    let at: BTreeMap<&str, usize> = header.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
    for column in &dataset.columns {
        let actor = match raised.class_of(column) {
            Class::StaffId => None,
            Class::PerRow(actor) => Some(at.get(actor).and_then(|i| batch.columns.get(*i))),
            _ => continue,
        };
        let Some(cells) = at.get(column.name).and_then(|i| batch.columns.get(*i)) else { continue };
        for row in 0..batch.rows() {
            let is_staff = match &actor {
                None | Some(None) => true,
                Some(Some(actors)) => match actors.get(row) {
                    RawValue::Text(word) => matches!(word.trim(), "staff" | "unknown" | ""),
                    _ => true,
                },
            };
            match cells.get(row) {
                RawValue::Text(value) if is_staff => add(builder, column.name, value.trim()),
                RawValue::Int(value) if is_staff => add(builder, column.name, &value.to_string()),
                _ => {}
            }
        }
    }
}
