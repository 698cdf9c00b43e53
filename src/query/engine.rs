//! The session and the rows it returns.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::MemoryCatalogProviderList;
use datafusion::common::{Column, DFSchema, ParamValues, ScalarValue};
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::datasource::{TableProvider, ViewTable};
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use futures::StreamExt as _;
use parquet::arrow::ArrowWriter;

use super::inspect::{Inspection, inspect};
use super::{Error, Limits, Params, Value};
use crate::fsio;

/// Row sets up to this size travel as literal values in the plan.
const LITERAL_ROWS_MAX: usize = 64;

/// An engine with its tables. Forks share memory and spill folder, not tables.
pub struct Session {
    context: SessionContext,
    limits: Limits,
    scratch: Arc<Scratch>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Folder of row sets that are too large for literals; removed with the last session that uses it.
struct Scratch {
    dir: tempfile::TempDir,
    next: AtomicU64,
}

impl Session {
    /// Starts an engine without tables.
    ///
    /// # Errors
    /// When the spill folder cannot be made or the engine refuses its settings.
    pub fn new(limits: &Limits) -> Result<Self, Error> {
        fsio::create_dir(&limits.spill_dir)?;
        let dir = tempfile::Builder::new()
            .prefix(".query-")
            .tempdir_in(&limits.spill_dir)
            .map_err(|e| fsio::Error::io("create", &limits.spill_dir, e))?;
        let setup = |e: DataFusionError| Error::Setup { message: e.strip_backtrace() };
        let few = NonZeroUsize::MIN;
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(TrackConsumersPool::new(FairSpillPool::new(limits.memory_bytes), few)))
            .with_disk_manager_builder(
                DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![dir.path().to_owned()])),
            )
            .build_arc()
            .map_err(setup)?;
        let mut config = SessionConfig::new().with_information_schema(false).with_collect_statistics(true);
        if let Some(n) = limits.partitions {
            config = config.with_target_partitions(n.max(1));
        }
        let options = config.options_mut();
        options.execution.time_zone = Some("UTC".into());
        // Hash joins hold one side in memory and cannot spill; sort-merge joins can.
        options.optimizer.prefer_hash_join = false;
        // What a sort keeps back for merging; many sorts run at once, so each keeps little.
        options.execution.sort_spill_reservation_bytes = 1 << 20;
        // `0.5` is a decimal, as in other engines, not a floating point number.
        options.sql_parser.parse_float_as_decimal = true;
        // One text type everywhere: the canonical one.
        options.sql_parser.map_string_types_to_utf8view = false;
        options.execution.parquet.schema_force_view_types = false;
        let state =
            SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features().build();
        Ok(Self {
            context: SessionContext::new_with_state(state),
            limits: limits.clone(),
            scratch: Arc::new(Scratch { dir, next: AtomicU64::new(0) }),
        })
    }

    /// A session without tables that shares this one's memory limit and folder. Cheap.
    pub fn fork(&self) -> Self {
        let mut existing = SessionStateBuilder::new_from_existing(self.context.state());
        *existing.catalog_list() = Some(Arc::new(MemoryCatalogProviderList::new()));
        // `new_from_existing` switches the default catalog off because the original session has one.
        if let Some(config) = existing.config() {
            config.options_mut().catalog.create_default_catalog_and_schema = true;
        }
        Self {
            context: SessionContext::new_with_state(existing.build()),
            limits: self.limits.clone(),
            scratch: Arc::clone(&self.scratch),
        }
    }

    /// Replaces the limits of time and rows for queries of this session.
    #[must_use]
    pub fn with_query_limits(mut self, seconds: Option<u64>, rows_max: usize) -> Self {
        self.limits.seconds = seconds;
        self.limits.rows_max = rows_max;
        self
    }

    /// Adds a table of Parquet files. Only `columns` of `schema` exist in it (`None`: all); columns are matched by
    /// name, and one that a file lacks is null. No file: an empty table.
    ///
    /// # Errors
    /// [`Error::Table`] for an unknown column or a bad path.
    pub async fn add_parquet(
        &self,
        name: &str,
        files: &[PathBuf],
        schema: SchemaRef,
        columns: Option<&[&str]>,
    ) -> Result<(), Error> {
        let schema = match columns {
            None => schema,
            Some(names) => Arc::new(project(name, &schema, names)?),
        };
        if files.is_empty() {
            return self.add_rows(name, RecordBatch::new_empty(schema)).await;
        }
        let urls = files.iter().map(|f| file_url(name, f)).collect::<Result<Vec<_>, _>>()?;
        let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension("");
        let config = ListingTableConfig::new_with_multi_paths(urls).with_listing_options(options).with_schema(schema);
        let table = ListingTable::try_new(config).map_err(|e| table_error(name, &e))?;
        self.register(name, Arc::new(table))
    }

    /// Adds a table of these rows.
    ///
    /// # Errors
    /// When they cannot be written to the session's folder.
    pub async fn add_rows(&self, name: &str, batch: RecordBatch) -> Result<(), Error> {
        if batch.num_rows() > LITERAL_ROWS_MAX {
            let n = self.scratch.next.fetch_add(1, Ordering::Relaxed);
            let path = self.scratch.dir.path().join(format!("rows-{n}.parquet"));
            write_parquet(&path, &batch).map_err(|e| match e {
                WriteError::File(e) => Error::File(e),
                WriteError::Parquet(message) => Error::Table { table: name.into(), message },
            })?;
            let url = vec![file_url(name, &path)?];
            let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension("");
            let config =
                ListingTableConfig::new_with_multi_paths(url).with_listing_options(options).with_schema(batch.schema());
            return self.register(name, Arc::new(ListingTable::try_new(config).map_err(|e| table_error(name, &e))?));
        }
        let plan = literal_plan(&batch).map_err(|e| table_error(name, &e))?;
        self.register(name, Arc::new(ViewTable::new(plan, None)))
    }

    fn register(&self, name: &str, table: Arc<dyn TableProvider>) -> Result<(), Error> {
        let reference = datafusion::common::TableReference::bare(name);
        self.context.register_table(reference, table).map(|_| ()).map_err(|e| table_error(name, &e))
    }

    /// Plans a query without running it: the columns it would return.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub async fn describe(&self, sql: &str, params: &Params) -> Result<SchemaRef, Error> {
        let plan = self.plan(sql, params).await?;
        let optimized = self.context.state().optimize(&plan).map_err(|e| self.planning(&e))?;
        Ok(Arc::clone(optimized.schema().inner()))
    }

    /// Plans a query without running it and looks at what it would do.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub async fn inspect(&self, sql: &str, params: &Params) -> Result<Inspection, Error> {
        let plan = self.plan(sql, params).await?;
        let optimized = self.context.state().optimize(&plan).map_err(|e| self.planning(&e))?;
        let tables = self.context.catalog("datafusion").and_then(|c| c.schema("public")).map(|s| s.table_names());
        let mut inspection = inspect(&plan, &tables.into_iter().flatten().collect()).map_err(|e| self.planning(&e))?;
        inspection.schema = Arc::clone(optimized.schema().inner());
        Ok(inspection)
    }

    /// Runs a query.
    ///
    /// # Errors
    /// [`Error::Refused`] before anything is read; later errors come from [`Rows::next`].
    pub async fn query(&self, sql: &str, params: &Params) -> Result<Rows, Error> {
        let deadline = self.limits.seconds.map(|s| tokio::time::Instant::now() + Duration::from_secs(s));
        let plan = self.plan(sql, params).await?;
        let state = self.context.state();
        let physical = state.create_physical_plan(&plan).await.map_err(|e| self.planning(&e))?;
        let mut stream = execute_stream(physical, state.task_ctx()).map_err(|e| self.running(&e))?;
        let schema = stream.schema();
        let (sender, receiver) = tokio::sync::mpsc::channel(2);
        // The query runs as a task of its own: it computes while the caller works, and a long computation does not
        // keep the caller from noticing that time is up.
        let task = tokio::spawn(async move {
            while let Some(item) = stream.next().await {
                if sender.send(item).await.is_err() {
                    break;
                }
            }
        });
        Ok(Rows { receiver, schema, task, deadline, limits: self.limits.clone(), rows: 0 })
    }

    /// Runs a query and gathers its rows.
    ///
    /// # Errors
    /// As [`Session::query`] and [`Rows::next`].
    pub async fn collect(&self, sql: &str, params: &Params) -> Result<Vec<RecordBatch>, Error> {
        let mut rows = self.query(sql, params).await?;
        let mut batches = Vec::new();
        while let Some(batch) = rows.next().await? {
            batches.push(batch);
        }
        Ok(batches)
    }

    async fn plan(&self, sql: &str, params: &Params) -> Result<LogicalPlan, Error> {
        let plan = self.context.state().create_logical_plan(sql).await.map_err(|e| self.planning(&e))?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)
            .map_err(|e| self.planning(&e))?;
        if matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_)) {
            return Err(Error::Refused { message: "only SELECT is accepted".into() });
        }
        let values: HashMap<String, ScalarValue> = params.iter().map(|(k, v)| (k.clone(), scalar(v))).collect();
        plan.with_param_values(ParamValues::from(values)).map_err(|e| self.planning(&e))
    }

    fn planning(&self, error: &DataFusionError) -> Error {
        Error::planning(error, self.limits.memory_bytes)
    }

    fn running(&self, error: &DataFusionError) -> Error {
        Error::running(error, self.limits.memory_bytes)
    }
}

/// Rows of a query, batch by batch, within the limits of the session.
pub struct Rows {
    receiver: tokio::sync::mpsc::Receiver<Result<RecordBatch, DataFusionError>>,
    schema: SchemaRef,
    task: tokio::task::JoinHandle<()>,
    deadline: Option<tokio::time::Instant>,
    limits: Limits,
    rows: usize,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Rows {
    /// Columns of every batch.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The next batch; `None` at the end. Dropping the value stops the query.
    ///
    /// # Errors
    /// [`Error::Failed`], or the limit that was reached.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        let item = match self.deadline {
            None => self.receiver.recv().await,
            Some(deadline) => tokio::time::timeout_at(deadline, self.receiver.recv())
                .await
                .map_err(|_| Error::Time { seconds: self.limits.seconds.unwrap_or_default() })?,
        };
        let Some(item) = item else {
            // The channel also closes when the task panics; an end that is none must not look like one.
            return match (&mut self.task).await {
                Ok(()) => Ok(None),
                Err(_) => Err(Error::Failed { kind: "the engine stopped unexpectedly" }),
            };
        };
        let batch = item.map_err(|e| Error::running(&e, self.limits.memory_bytes))?;
        self.rows = self.rows.saturating_add(batch.num_rows());
        if self.rows > self.limits.rows_max {
            return Err(Error::TooManyRows { rows_max: self.limits.rows_max });
        }
        Ok(Some(batch))
    }
}

fn project(table: &str, schema: &Schema, names: &[&str]) -> Result<Schema, Error> {
    let mut fields = Vec::with_capacity(names.len());
    for name in names {
        let field = schema
            .field_with_name(name)
            .map_err(|_| Error::Table { table: table.into(), message: format!("no column `{name}`") })?;
        fields.push(field.clone());
    }
    Ok(Schema::new(fields))
}

fn scalar(value: &Value) -> ScalarValue {
    match value {
        Value::Int(i) => ScalarValue::Int64(Some(*i)),
        Value::Bool(b) => ScalarValue::Boolean(Some(*b)),
        Value::Text(s) => ScalarValue::Utf8(Some(s.clone())),
        Value::Date(d) => ScalarValue::Date32(Some(days_since_epoch(*d))),
        Value::Instant(t) => ScalarValue::TimestampMicrosecond(Some(t.timestamp_micros()), Some("UTC".into())),
    }
}

fn days_since_epoch(date: chrono::NaiveDate) -> i32 {
    i32::try_from(date.signed_duration_since(chrono::NaiveDate::default()).num_days()).unwrap_or(i32::MAX)
}

fn literal_plan(batch: &RecordBatch) -> Result<LogicalPlan, DataFusionError> {
    let schema = Arc::new(DFSchema::try_from(batch.schema().as_ref().clone())?);
    if batch.num_rows() == 0 || batch.num_columns() == 0 {
        return Ok(LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema }));
    }
    let mut rows = Vec::with_capacity(batch.num_rows());
    for i in 0..batch.num_rows() {
        let row = batch.columns().iter().map(|c| Ok(Expr::Literal(ScalarValue::try_from_array(c, i)?, None)));
        rows.push(row.collect::<Result<Vec<_>, DataFusionError>>()?);
    }
    let names: Vec<Expr> = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(i, f)| Expr::Column(Column::from_name(format!("column{}", i + 1))).alias(f.name()))
        .collect();
    LogicalPlanBuilder::values_with_schema(rows, &schema)?.project(names)?.build()
}

fn table_error(table: &str, error: &DataFusionError) -> Error {
    Error::Table { table: table.into(), message: error.strip_backtrace() }
}

/// A `file:` address; everything but letters, digits and a few marks is escaped, so that no character of a path
/// is taken for a pattern.
fn file_url(table: &str, path: &Path) -> Result<ListingTableUrl, Error> {
    let absolute = std::path::absolute(path).map_err(|e| fsio::Error::io("find", path, e))?;
    let mut url = String::from("file://");
    for byte in absolute.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(byte) {
            url.push(char::from(*byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    ListingTableUrl::parse(&url).map_err(|e| table_error(table, &e))
}

enum WriteError {
    File(fsio::Error),
    Parquet(String),
}

fn write_parquet(path: &Path, batch: &RecordBatch) -> Result<(), WriteError> {
    let file = File::create(path).map_err(|e| WriteError::File(fsio::Error::io("create", path, e)))?;
    let mut writer =
        ArrowWriter::try_new(file, batch.schema(), None).map_err(|e| WriteError::Parquet(e.to_string()))?;
    writer.write(batch).map_err(|e| WriteError::Parquet(e.to_string()))?;
    writer.close().map_err(|e| WriteError::Parquet(e.to_string()))?;
    Ok(())
}
