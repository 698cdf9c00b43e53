//! `mapping try`: the first rows of each SELECT as they would stand in the archive.
//!
//! The rows go through the same converter and pseudonymiser as in a seal, with the case's own keys, so that nothing is
//! shown here that an archive would not hold: identifiers are tokens, secrets fingerprints, contacts masked, free text
//! redacted. The staff of all sources and registers are read first, as in a seal; a column in which one of their
//! identifiers would still stand is withheld and told, because the seal would stop on it.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array as _, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::config::Case;
use crate::hint::Hint as _;
use crate::mapping::{Converter, Part, Quarantined};
use crate::model::{Exit, Lang};
use crate::ops::seal::flow;
use crate::ops::seal::pace::{Limits, Pace};
use crate::ops::seal::plan::{Database, Plan};
use crate::ops::seal::raw::RawPlan;
use crate::ops::seal::staff;
use crate::ops::table::{cut, table};
use crate::ops::{Answer, Env, Error, places, sources};
use crate::pseudonym::{Keys, Pseudonymiser, StaffMatcher, scan_batch};
use crate::rows::RawBatch;
use crate::schema::Class;
use crate::source::RowSource;
use crate::source::database::Select;

/// Places a cell takes in the text form.
const CELL_MAX: usize = 28;

/// What to try.
#[derive(Debug, Clone)]
pub struct TryRequest {
    /// Case folder.
    pub case: std::path::PathBuf,
    /// Only this source.
    pub source: Option<String>,
    /// Only this dataset.
    pub dataset: Option<String>,
    /// Rows of each SELECT, at most.
    pub rows: u64,
}

/// Shows converted rows.
///
/// # Errors
/// Mistakes in the case, missing keys, a source that cannot be read, or a filter that leaves nothing.
pub async fn sample(env: &Env, request: &TryRequest) -> Result<Answer, Error> {
    let case = Case::load(Path::new(&request.case))?;
    let keys = Keys::load(&places::secrets(env, &case))?;
    let mut plan = Plan::of(&case)?;
    if let Some(name) = request.source.as_deref().filter(|n| !plan.databases.iter().any(|d| d.name == *n)) {
        let known: Vec<&str> = plan.databases.iter().map(|d| d.name.as_str()).collect();
        return Err(Error::usage(
            format!("no database of the case is called `{name}`"),
            format!("可选：{}。", known.join("、")),
            format!("accepted: {}", known.join(", ")),
        ));
    }
    let mut databases = Vec::new();
    for database in &plan.databases {
        databases.push(sources::open(env, &database.config).await?);
    }
    let mut tables = Vec::with_capacity(databases.len());
    for source in &mut databases {
        tables.push(source.tables().await?);
    }
    plan.name_tables(&tables)?;
    let pace = Pace::new(env, case.zone, Limits::default());
    let plans = (&plan, &RawPlan::default());
    let matcher = Arc::new(staff::identifiers(env, &case, plans, &mut databases, &keys, &pace).await?);
    let work = Work { case: &case, plan: &plan, keys: &keys, matcher, rows: request.rows };
    let mut shown = Vec::new();
    for (index, (database, source)) in plan.databases.iter().zip(&mut databases).enumerate() {
        if request.source.as_ref().is_some_and(|n| *n != database.name) {
            continue;
        }
        for part in plan.parts(index) {
            if request.dataset.as_ref().is_some_and(|d| d != part.dataset.name) {
                continue;
            }
            env.cancel.check()?;
            shown.push(work.part(env, database, part, source.as_mut()).await?);
        }
    }
    if shown.is_empty() {
        return Err(super::nothing_feeds(request.dataset.as_deref()));
    }
    let exit = shown.iter().map(Shown::exit).fold(Exit::Success, Exit::worst);
    let text: String = shown.iter().map(|s| s.text(env.lang)).collect();
    let json = json!({ "samples": shown.iter().map(Shown::json).collect::<Vec<_>>() });
    Ok(Answer { text, json, exit })
}

struct Work<'a> {
    case: &'a Case,
    plan: &'a Plan,
    keys: &'a Keys,
    matcher: Arc<StaffMatcher>,
    rows: u64,
}

/// What became of the first rows of a SELECT.
struct Shown {
    dataset: &'static str,
    source: String,
    table: String,
    columns: Vec<&'static str>,
    /// Cells by row; `None` is NULL.
    rows: Vec<Vec<Option<String>>>,
    quarantined: Vec<(String, String, &'static str)>,
    withheld: Vec<&'static str>,
    /// What stopped the conversion.
    stopped: Option<(String, Option<String>)>,
}

impl Work<'_> {
    async fn part(
        &self,
        env: &Env,
        database: &Database,
        part: &Part,
        source: &mut dyn RowSource,
    ) -> Result<Shown, Error> {
        let system = database.mapping.src_system();
        let context = flow::context(self.case, &system, self.keys);
        let header = sources::header(source, part.dataset.name, &part.table, &part.sql).await?;
        let mut converter = Converter::new(part, &header, &context)?;
        let mut pseudonymiser = Pseudonymiser::new(self.keys, Arc::clone(&self.matcher));
        let raised = self.plan.raised(part.dataset.name);
        let mut shown = Shown {
            dataset: part.dataset.name,
            source: database.name.clone(),
            table: part.table.clone(),
            columns: part.dataset.columns.iter().map(|c| c.name).collect(),
            rows: Vec::new(),
            quarantined: Vec::new(),
            withheld: Vec::new(),
            stopped: None,
        };
        let sql = format!("SELECT * FROM (\n{}\n) AS part LIMIT {}", part.sql, self.rows);
        for raw in batches(env, source, Select { sql: &sql, values: &part.values }).await? {
            let converted = match converter.convert(&raw) {
                Ok(converted) => converted,
                Err(error) => {
                    shown.stopped = Some((error.to_string(), error.hint(env.lang)));
                    break;
                }
            };
            let batch = pseudonymiser.apply(part.dataset, &raised, converted.batch)?;
            let is_free_text =
                |name: &str| part.dataset.column(name).is_some_and(|c| raised.class_of(c) == Class::FreeText);
            for hit in scan_batch(&self.matcher, part.dataset.name, &is_free_text, &batch) {
                let column = part.dataset.columns.iter().find(|c| c.name == hit.column).map(|c| c.name);
                shown.withheld.extend(column.filter(|c| !shown.withheld.contains(c)));
            }
            shown.rows.extend(cells(&batch)?);
            let set_aside = |r: &Quarantined| {
                (pseudonymiser.token_for_key(part.dataset, &raised, &r.key), r.column.clone(), r.reason)
            };
            let set_aside: Vec<_> = converted.quarantined.iter().map(set_aside).collect();
            shown.quarantined.extend(set_aside);
        }
        shown.withhold();
        Ok(shown)
    }
}

/// All batches of a SELECT whose rows are few.
async fn batches(env: &Env, source: &mut dyn RowSource, select: Select<'_>) -> Result<Vec<RawBatch>, Error> {
    let (sender, mut receiver) = mpsc::channel::<RawBatch>(4);
    let take = async {
        let mut out = Vec::new();
        while let Some(batch) = receiver.recv().await {
            out.push(batch);
        }
        out
    };
    let (read, out) = tokio::join!(source.read(select, sender, &env.cancel), take);
    read?;
    Ok(out)
}

fn cells(batch: &RecordBatch) -> Result<Vec<Vec<Option<String>>>, Error> {
    let options = FormatOptions::default();
    let unreadable = |_| Error::Worker { doing: "showing a row" };
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|c| ArrayFormatter::try_new(c.as_ref(), &options).map_err(unreadable))
        .collect::<Result<_, _>>()?;
    let row = |at: usize| {
        columns.iter().zip(batch.columns()).map(|(f, c)| (!c.is_null(at)).then(|| f.value(at).to_string())).collect()
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

impl Shown {
    /// Takes out what would stop a seal.
    fn withhold(&mut self) {
        for column in &self.withheld {
            let Some(at) = self.columns.iter().position(|c| c == column) else { continue };
            for row in &mut self.rows {
                if let Some(cell) = row.get_mut(at) {
                    *cell = None;
                }
            }
        }
    }

    fn exit(&self) -> Exit {
        let mut exit = Exit::Success;
        if !self.quarantined.is_empty() {
            exit = exit.worst(Exit::Incomplete);
        }
        if !self.withheld.is_empty() {
            exit = exit.worst(Exit::Integrity);
        }
        if self.stopped.is_some() {
            exit = exit.worst(Exit::Invalid);
        }
        exit
    }

    fn text(&self, lang: Lang) -> String {
        let mut text = format!(
            "{} ← {}.{}: {} {}, {} {}\n",
            self.dataset,
            self.source,
            self.table,
            self.rows.len(),
            lang.pick("行", "rows"),
            self.quarantined.len(),
            lang.pick("行进入隔离", "in quarantine"),
        );
        // Columns without a value in any row say nothing.
        let used: Vec<usize> = (0..self.columns.len())
            .filter(|at| self.rows.iter().any(|r| r.get(*at).is_some_and(Option::is_some)))
            .collect();
        let head: Vec<&str> = used.iter().filter_map(|at| self.columns.get(*at).copied()).collect();
        let cell = |row: &[Option<String>], at: usize| {
            row.get(at).and_then(Option::as_deref).map_or_else(|| "–".to_owned(), |c| cut(c, CELL_MAX))
        };
        let rows: Vec<Vec<String>> =
            self.rows.iter().map(|row| used.iter().map(|at| cell(row, *at)).collect()).collect();
        if !rows.is_empty() {
            text.push_str(&table(&head, &rows));
        }
        for (key, column, reason) in &self.quarantined {
            text.push_str(&format!("  ! {} {key}: {column}: {reason}\n", lang.pick("隔离", "quarantine")));
        }
        for column in &self.withheld {
            text.push_str(&match lang {
                Lang::Zh => format!("  ! 列 {column} 未显示：其中有员工标识，封存会因此停止；请在映射中为它设置 class\n"),
                Lang::En => format!("  ! column {column} is withheld: a staff identifier stands in it, and a seal would stop; give it a class in the mapping\n"),
            });
        }
        if let Some((error, hint)) = &self.stopped {
            text.push_str(&format!("  ! {error}\n"));
            if let Some(hint) = hint {
                text.push_str(&format!("    {hint}\n"));
            }
        }
        text.push('\n');
        text
    }

    fn json(&self) -> Value {
        let row = |cells: &Vec<Option<String>>| -> Value {
            let named = self.columns.iter().zip(cells);
            Value::Object(named.map(|(c, v)| ((*c).to_owned(), json!(v))).collect::<Map<_, _>>())
        };
        let quarantined: Vec<Value> = self
            .quarantined
            .iter()
            .map(|(key, column, reason)| json!({ "key": key, "column": column, "reason": reason }))
            .collect();
        json!({
            "dataset": self.dataset,
            "source": self.source,
            "table": self.table,
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
            "quarantined": quarantined,
            "withheld": self.withheld,
            "stopped": self.stopped.as_ref().map(|(error, _)| error),
        })
    }
}
