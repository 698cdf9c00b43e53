//! Derived datasets: one query of the pack over sealed tables, run once before the policies that read its rows.
//!
//! `derived/NAME/` holds `derived.toml` (what the query reads, what a missing value does), `query.sql` and
//! `tests.toml`. The query takes no parameter, so its rows depend on the archive and the pack alone; whoever holds
//! both can make them again. Rows go to a Parquet file in the run's own folder, never into memory as a whole.
//!
//! The engine plans a text as a whole and computes a common table expression as often as it is named; a long text then
//! holds too many sorts at once for a small memory pool. So the expressions that `steps` names are computed one after
//! another, each into a file of its own. The rows are the same: engines that keep such expressions by themselves
//! (DuckDB) run the text as it is.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::Array as _;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;

use super::Error;
use super::definition::{self, Span};
use super::evaluate::Fault;
use super::facts::Table;
use crate::config::{Document, Problems};
use crate::fsio;
use crate::model::{Bilingual, Digest};
use crate::progress::Cancel;
use crate::query::sqlparser::ast::Statement;
use crate::query::sqlparser::dialect::GenericDialect;
use crate::query::sqlparser::parser::Parser;
use crate::query::{Params, Rows, Session};
use crate::schema::{self, Dataset, Origin};

/// Time the query of a derived dataset may take: it serves many policies, each of which has its own limit beside it.
const SECONDS_MAX: u64 = 900;

/// A derived dataset as the pack states it.
#[derive(Debug, Clone)]
pub struct Derived {
    /// Canonical name.
    pub name: String,
    /// Path of its folder in the pack.
    pub folder: String,
    /// Raised by every change.
    pub revision: u32,
    /// What it is.
    pub title: Bilingual,
    /// Datasets and columns the query reads.
    pub needs: BTreeMap<String, Vec<String>>,
    /// Periods the datasets must cover.
    pub coverage: BTreeMap<String, Span>,
    /// What a missing value does, by `dataset.column`.
    pub nulls: BTreeMap<String, String>,
    /// The query.
    pub sql: String,
    /// Common table expressions of the query that are computed one after another.
    pub steps: Vec<String>,
    /// Digest of `derived.toml` and `query.sql`.
    pub digest: Digest,
}

impl Derived {
    /// Reads `derived.toml`; `sql` is the text of `query.sql` beside it. All mistakes at once.
    pub(super) fn read(
        file: &str,
        folder: &str,
        text: &str,
        sql: Option<String>,
        digest: Digest,
    ) -> Result<Self, Problems> {
        let document = Document::parse(file, text)?;
        let root = document.root();
        root.format_one();
        let head = root.table("derived");
        let (needs, coverage) = definition::read_needs(&root);
        let nulls = definition::read_nulls(&root, &needs);
        if sql.is_none() {
            root.problem("there must be a query.sql in UTF-8 beside this file");
        }
        for (name, span) in &coverage {
            if matches!(span, Span::Lookback(_)) {
                root.problem(format!("`{name}`: a derived dataset has no parameter to look back by"));
            }
        }
        let is_derived = |name: &str| schema::dataset(name).is_some_and(|d| d.origin == Origin::Derived);
        for name in needs.keys().filter(|n| is_derived(n)) {
            root.problem(format!("`{name}` is derived itself; a derived dataset reads sealed tables only"));
        }
        let mut derived = None;
        if let Some(head) = &head {
            let name = head.text("dataset");
            if head.has("dataset") && !is_derived(&name) {
                head.problem_at("dataset", format!("no derived dataset is called `{name}`"));
            }
            if head.has("dataset") && folder.rsplit('/').next() != Some(name.as_str()) {
                head.problem_at(
                    "dataset",
                    format!("`dataset` is `{name}` but the folder is `{folder}`; they must agree"),
                );
            }
            let revision = u32::try_from(head.int("revision")).ok().filter(|r| *r > 0).unwrap_or_else(|| {
                head.problem_at("revision", "`revision` must be 1 or more");
                1
            });
            let title = head.bilingual("title");
            let steps = head.text_list("steps");
            head.finish();
            derived = sql.map(|sql| Self {
                steps,
                name,
                folder: folder.to_owned(),
                revision,
                title,
                needs,
                coverage,
                nulls,
                sql,
                digest,
            });
        }
        root.finish();
        let problems = document.into_problems();
        match derived {
            Some(derived) => problems.or(derived),
            None => Err(problems),
        }
    }

    /// Computes the rows into a file of `dir`; `None` when a table or column that the query reads was not sealed.
    ///
    /// # Errors
    /// A limit, a failure of the engine, rows that are not what the schema declares, an interruption.
    pub async fn table(
        &self,
        base: &Session,
        sealed: &[Table],
        dir: &Path,
        cancel: &Cancel,
    ) -> Result<Option<Table>, Error> {
        let has = |name: &String, column: &String| {
            sealed.iter().any(|t| t.name == *name && t.schema.field_with_name(column).is_ok())
        };
        if !self.needs.iter().all(|(name, columns)| columns.iter().all(|c| has(name, c))) {
            return Ok(None);
        }
        match self.build(base, sealed, dir, cancel).await {
            Ok(table) => Ok(Some(table)),
            Err(Fault::Limit(e) | Fault::Engine(e)) => Err(e.into()),
            Err(Fault::File(e)) => Err(e.into()),
            Err(Fault::Interrupted(e)) => Err(e.into()),
            Err(fault @ (Fault::Contract(_) | Fault::Stopped)) => {
                Err(Error::Reference { message: format!("{}: {fault}", self.name) })
            }
        }
    }

    /// Computes the rows into a file of `dir`.
    ///
    /// # Errors
    /// [`Fault`]: a limit, a failure of the engine, rows that are not what the schema declares, an interruption.
    pub(super) async fn build(
        &self,
        base: &Session,
        sealed: &[Table],
        dir: &Path,
        cancel: &Cancel,
    ) -> Result<Table, Fault> {
        let session = base.fork().with_query_limits(Some(SECONDS_MAX), usize::MAX);
        for (name, columns) in &self.needs {
            let Some(table) = sealed.iter().find(|t| t.name == *name) else { continue };
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            session.add_parquet(name, &table.files, Arc::clone(&table.schema), Some(&columns)).await?;
        }
        let dataset = self.dataset()?;
        let rows = self.rows(&session, dir, cancel).await?;
        contract(dataset, &rows.schema()).map_err(Fault::Contract)?;
        let path = dir.join(format!("{}.parquet", self.name));
        let schema = nullable(&dataset.arrow_schema());
        let count = store(rows, &path, &schema, cancel, &|batch| has_key(dataset, batch)).await?;
        for name in &self.steps {
            let path = self.step_file(dir, name);
            std::fs::remove_file(&path).map_err(|e| fsio::Error::io("remove", &path, e))?;
        }
        Ok(Table { name: self.name.clone(), files: vec![path], schema, rows: count, coverage: None })
    }

    /// The rows, step by step, from the tables of a session; the steps stay as files in `dir`.
    ///
    /// # Errors
    /// As [`Derived::build`].
    pub(super) async fn rows(&self, session: &Session, dir: &Path, cancel: &Cancel) -> Result<Rows, Fault> {
        let (steps, last) = self.split().map_err(Fault::Contract)?;
        for (name, sql) in &steps {
            let rows = session.query(sql, &Params::new()).await?;
            let path = self.step_file(dir, name);
            let schema = nullable(&rows.schema());
            store(rows, &path, &schema, cancel, &Ok).await?;
            session.add_parquet(name, &[path], schema, None).await?;
        }
        Ok(session.query(&last, &Params::new()).await?)
    }

    fn step_file(&self, dir: &Path, step: &str) -> PathBuf {
        dir.join(format!("{}-{step}.parquet", self.name))
    }

    /// The text of every step, in order, and what is left of the query when they are tables.
    pub(super) fn split(&self) -> Result<(Vec<(String, String)>, String), String> {
        if self.steps.is_empty() {
            return Ok((Vec::new(), self.sql.clone()));
        }
        let mut statements = Parser::parse_sql(&GenericDialect {}, &self.sql).map_err(|e| e.to_string())?;
        let Some(Statement::Query(mut query)) = statements.pop() else {
            return Err("exactly one SELECT is accepted".into());
        };
        let tables = query.with.take().map(|w| w.cte_tables).unwrap_or_default();
        let (mut steps, mut open) = (Vec::new(), Vec::new());
        for table in tables {
            let name = table.alias.name.value.clone();
            if !self.steps.contains(&name) {
                open.push(table.to_string());
            } else if table.query.with.is_some() {
                return Err(format!("step `{name}` has a WITH of its own"));
            } else {
                let text = with_open(&open, &table.query.to_string());
                steps.push((name, text));
            }
        }
        match self.steps.iter().find(|wanted| !steps.iter().any(|(name, _)| name == *wanted)) {
            Some(unknown) => Err(format!("step `{unknown}` is not a common table expression of the query")),
            None => Ok((steps, with_open(&open, &query.to_string()))),
        }
    }

    /// The declared dataset. Only a pack that was not read by [`Derived::read`] could lack it.
    pub(super) fn dataset(&self) -> Result<&'static Dataset, Fault> {
        schema::dataset(&self.name).ok_or_else(|| Fault::Contract(format!("no dataset is called `{}`", self.name)))
    }
}

/// Compares the columns of the query with the schema: names, order and types.
pub(super) fn contract(dataset: &Dataset, found: &Schema) -> Result<(), String> {
    let wanted: Vec<&str> = dataset.columns.iter().map(|c| c.name).collect();
    let names: Vec<&str> = found.fields().iter().map(|f| f.name().as_str()).collect();
    if wanted != names {
        return Err(format!("the query must return exactly {}; it returns {}", wanted.join(", "), names.join(", ")));
    }
    for (column, field) in dataset.columns.iter().zip(found.fields()) {
        if column.ty.arrow() != *field.data_type() {
            let wanted = column.ty.schema_json_name();
            return Err(format!("`{}` must be {wanted}, not {}", column.name, field.data_type()));
        }
    }
    Ok(())
}

/// A query text that may name these common table expressions.
fn with_open(open: &[String], text: &str) -> String {
    if open.is_empty() { text.to_owned() } else { format!("WITH {} {text}", open.join(", ")) }
}

/// The same columns with every value allowed to be missing, as the engine hands them over.
fn nullable(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|f| Field::new(f.name(), f.data_type().clone(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn has_key(dataset: &Dataset, batch: RecordBatch) -> Result<RecordBatch, String> {
    match dataset.key.iter().find(|name| batch.column_by_name(name).is_none_or(|c| c.null_count() > 0)) {
        Some(name) => Err(format!("`{name}` is null")),
        None => Ok(batch),
    }
}

/// Writes all rows of a query to a file; returns how many.
async fn store(
    mut rows: Rows,
    path: &Path,
    schema: &SchemaRef,
    cancel: &Cancel,
    check: &(dyn Fn(RecordBatch) -> Result<RecordBatch, String> + Send + Sync),
) -> Result<u64, Fault> {
    let failed = |e: std::io::Error| fsio::Error::io("write", path, e);
    let other = |e: parquet::errors::ParquetError| failed(std::io::Error::other(e));
    let file = File::create(path).map_err(failed)?;
    let mut writer = ArrowWriter::try_new(file, Arc::clone(schema), None).map_err(other)?;
    let mut count = 0_u64;
    while let Some(batch) = rows.next().await? {
        cancel.check()?;
        let batch = RecordBatch::try_new(Arc::clone(schema), batch.columns().to_vec())
            .map_err(|e| e.to_string())
            .and_then(check)
            .map_err(Fault::Contract)?;
        count += batch.num_rows() as u64;
        writer.write(&batch).map_err(other)?;
    }
    writer.close().map_err(other)?;
    Ok(count)
}
