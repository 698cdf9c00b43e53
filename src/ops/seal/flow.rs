//! The streaming pass: every dataset through conversion and pseudonymisation into its table.
//!
//! Three stages run at once with bounded channels between them: the source reads, a converter maps, and a sink
//! pseudonymises, counts and writes. Memory does not grow with the number of rows.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, new_null_array};
use tokio::sync::mpsc;

use super::account::{Account, FeedRecord, LoadedFile};
use super::pace::Pace;
use super::plan::{Feed, Plan};
use super::raw::{self, Entry, RawPlan, RawRecord, RawSink, SinkTools};
use crate::archive::{BagWriter, TableSpec, TableSummary, TableWriter};
use crate::config::Case;
use crate::config::case::ProjectRow;
use crate::crypto;
use crate::mapping::{self, Converter, PartTotals, Quarantined, control_sql};
use crate::ops::inventory::Inventory;
use crate::ops::{Env, Error, places, sources};
use crate::progress::{Cancel, Task};
use crate::pseudonym::{Keys, Pseudonymiser, RedactionCounts, StaffMatcher};
use crate::rows::{RawBatch, RawValue};
use crate::schema::{self, Dataset, Raised};
use crate::source::database::Select;
use crate::source::{CanonicalRows, RowSource, canonical_files, register};

/// Batches in flight between two stages.
const AHEAD: usize = 3;

/// What conversions need to know about the case.
pub(in crate::ops) fn context<'a>(case: &Case, src_system: &'a str, keys: &Keys) -> mapping::Context<'a> {
    let keys = keys.clone();
    mapping::Context { zone: case.zone, src_system, fingerprint: Arc::new(move |bytes| keys.fingerprint(bytes)) }
}

/// What travels from the converter to the sink.
enum Item {
    Rows(RecordBatch),
    Quarantined(Vec<Quarantined>),
}

/// The table of quarantined rows; its order is the order of datasets and feeds.
struct Quarantine {
    dataset: &'static Dataset,
    writer: TableWriter,
    next_no: i64,
}

/// Pseudonymises, counts and writes; lives on one blocking thread per dataset.
struct Sink {
    dataset: &'static Dataset,
    raised: Raised,
    writer: TableWriter,
    shared: Shared,
    task: Arc<dyn Task>,
    cancel: Cancel,
}

/// What is handed from one dataset's sink to the next.
struct Shared {
    pseudonymiser: Pseudonymiser,
    inventory: Inventory,
    quarantine: Quarantine,
}

impl Sink {
    fn run(mut self, items: &Receiver<Item>) -> Result<(TableSummary, Shared), Error> {
        while let Ok(item) = items.recv() {
            self.cancel.check()?;
            match item {
                Item::Rows(batch) => {
                    let batch = self.shared.pseudonymiser.apply(self.dataset, &self.raised, batch)?;
                    self.shared.inventory.count(self.dataset, &batch);
                    self.task.advance(batch.num_rows() as u64);
                    self.writer.write(&batch)?;
                }
                Item::Quarantined(rows) => self.shared.set_aside(self.dataset, &self.raised, &rows)?,
            }
        }
        Ok((self.writer.finish()?, self.shared))
    }
}

impl Shared {
    fn set_aside(&mut self, dataset: &'static Dataset, raised: &Raised, rows: &[Quarantined]) -> Result<(), Error> {
        let table = self.quarantine.dataset;
        let keys: Vec<String> =
            rows.iter().map(|r| self.pseudonymiser.token_for_key(dataset, raised, &r.key)).collect();
        let count = rows.len();
        let texts =
            |f: &dyn Fn(&Quarantined) -> &str| Arc::new(StringArray::from_iter_values(rows.iter().map(f))) as ArrayRef;
        let first = self.quarantine.next_no;
        self.quarantine.next_no += i64::try_from(count).unwrap_or(0);
        let columns: Vec<ArrayRef> = table
            .columns
            .iter()
            .map(|c| match c.name {
                "quarantine_no" => Arc::new(Int64Array::from_iter_values(first..self.quarantine.next_no)) as ArrayRef,
                "dataset_name" => texts(&|_| dataset.name),
                "column_name" => texts(&|r| &r.column),
                "reason" => texts(&|r| r.reason),
                "src_system" => texts(&|_| "sealport"),
                "src_table" => texts(&|r| &r.src_table),
                "src_key" => Arc::new(StringArray::from_iter_values(&keys)),
                "evidence" => texts(&|_| "recorded"),
                "is_deleted" => Arc::new(BooleanArray::from(vec![false; count])),
                _ => new_null_array(&c.ty.arrow(), count),
            })
            .collect();
        let batch = RecordBatch::try_new(table.arrow_schema(), columns)
            .map_err(|_| Error::Worker { doing: "setting rows aside" })?;
        self.quarantine.writer.write(&batch)?;
        Ok(())
    }
}

/// The pass over all datasets.
pub(super) struct Flow<'a, 'r> {
    env: &'a Env,
    case: &'a Case,
    plan: &'a Plan,
    raw: &'a RawPlan,
    bag: &'a BagWriter<'r>,
    keys: &'a Keys,
    matcher: Arc<StaffMatcher>,
    task: Arc<dyn Task>,
    pace: Arc<Pace>,
    shared: Option<Shared>,
    tables: Vec<TableSummary>,
    /// What was redacted in raw tables.
    raw_redactions: RedactionCounts,
    /// Coverage declared so far, joined with the counts when the inventory is written.
    pub(super) covered: Vec<(&'static Dataset, chrono::NaiveDate, chrono::NaiveDate)>,
}

impl<'a, 'r> Flow<'a, 'r> {
    pub(super) fn new(
        env: &'a Env,
        case: &'a Case,
        (plan, raw): (&'a Plan, &'a RawPlan),
        bag: &'a BagWriter<'r>,
        keys: &'a Keys,
        matcher: Arc<StaffMatcher>,
        task: Arc<dyn Task>,
        pace: Arc<Pace>,
    ) -> Result<Self, Error> {
        let pseudonymiser = Pseudonymiser::new(keys, Arc::clone(&matcher));
        let dataset = known("quarantine")?;
        let quarantine = Quarantine { dataset, writer: bag.table(TableSpec::of(dataset))?, next_no: 1 };
        let shared = Shared { pseudonymiser, inventory: Inventory::default(), quarantine };
        Ok(Self {
            env,
            case,
            plan,
            raw,
            bag,
            keys,
            matcher,
            task,
            pace,
            shared: Some(shared),
            tables: Vec::new(),
            raw_redactions: RedactionCounts::default(),
            covered: Vec::new(),
        })
    }

    /// Streams all feeds of a dataset into its table.
    pub(super) async fn dataset(
        &mut self,
        dataset: &'static Dataset,
        feeds: &[Feed],
        databases: &mut [Box<dyn RowSource>],
        account: &mut Account,
    ) -> Result<(), Error> {
        self.table(dataset, feeds, None, databases, account).await
    }

    /// Writes `record_inventory`: the register's rows and those counted while streaming.
    pub(super) async fn inventory(
        &mut self,
        feeds: &[Feed],
        databases: &mut [Box<dyn RowSource>],
        account: &mut Account,
    ) -> Result<(), Error> {
        let dataset = known("record_inventory")?;
        let Some(shared) = self.shared.as_mut() else { return Err(Error::Worker { doing: "counting records" }) };
        for (dataset, from, to) in self.covered.drain(..) {
            shared.inventory.cover(dataset, from, to);
        }
        let header = ["merchant_ref", "data_class", "month_on", "partition_key", "record_count", "contains_pi"];
        let mut batch = RawBatch::new(header.len());
        for row in shared.inventory.rows() {
            for (column, cell) in batch.columns.iter_mut().zip(&row) {
                column.push(RawValue::Text(cell));
            }
            batch.columns[header.len() - 1].push(RawValue::Text("false"));
        }
        let rows = CanonicalRows { header: header.iter().map(|h| (*h).to_owned()).collect(), batch };
        self.table(dataset, feeds, Some(("counted while sealing", rows)), databases, account).await
    }

    /// Writes `loaded_files`.
    pub(super) async fn loaded_files(
        &mut self,
        databases: &mut [Box<dyn RowSource>],
        account: &mut Account,
    ) -> Result<(), Error> {
        let header = ["file_ref", "dataset_name", "sha256", "expected_sha256", "row_count", "rejected_count"];
        let mut batch = RawBatch::new(header.len());
        for file in account.files() {
            let cells = [
                RawValue::Text(&file.file_ref),
                RawValue::Text(&file.dataset),
                RawValue::Text(&file.sha256),
                file.expected_sha256.as_deref().map_or(RawValue::Null, RawValue::Text),
                RawValue::Int(i64::try_from(file.rows).unwrap_or(i64::MAX)),
                RawValue::Int(i64::try_from(file.rejected).unwrap_or(i64::MAX)),
            ];
            for (column, cell) in batch.columns.iter_mut().zip(cells) {
                column.push(cell);
            }
        }
        let rows = CanonicalRows { header: header.iter().map(|h| (*h).to_owned()).collect(), batch };
        self.table(known("loaded_files")?, &[], Some(("listed while sealing", rows)), databases, account).await
    }

    /// The finished tables and what was redacted.
    pub(super) fn finish(mut self) -> Result<(Vec<TableSummary>, RedactionCounts), Error> {
        let Some(shared) = self.shared.take() else { return Err(Error::Worker { doing: "closing tables" }) };
        self.tables.push(shared.quarantine.writer.finish()?);
        let mut redactions = shared.pseudonymiser.counts().clone();
        redactions.merge(&self.raw_redactions);
        Ok((self.tables, redactions))
    }

    /// Reads the raw tables that no statement of a mapping carries.
    pub(super) async fn raw_tables(
        &mut self,
        databases: &mut [Box<dyn RowSource>],
        account: &mut Account,
    ) -> Result<(), Error> {
        let raw = self.raw;
        for entry in raw.entries.iter().filter(|e| e.carrier.is_none()) {
            self.env.cancel.check()?;
            self.task.label(&entry.name);
            let Some(source) = databases.get_mut(entry.database) else { continue };
            let sink = self.raw_sink(entry)?;
            let done = raw::read_alone(source.as_mut(), entry, sink, &self.env.cancel, &self.pace).await?;
            self.raw_done(entry, done, source.as_mut(), account).await?;
        }
        Ok(())
    }

    fn raw_sink(&self, entry: &Entry) -> Result<RawSink, Error> {
        let keys = self.keys.clone();
        let tools = SinkTools {
            keys: self.keys.clone(),
            matcher: Arc::clone(&self.matcher),
            fingerprint: Arc::new(move |bytes| keys.fingerprint(bytes)),
            task: Arc::clone(&self.task),
            cancel: self.env.cancel.clone(),
        };
        RawSink::start(entry, tools, |spec| Ok(self.bag.table(spec)?))
    }

    async fn raw_done(
        &mut self,
        entry: &Entry,
        done: raw::RawDone,
        source: &mut dyn RowSource,
        account: &mut Account,
    ) -> Result<(), Error> {
        let control = raw::control(source, entry).await?;
        account.raw(RawRecord::new(entry, &done, control));
        self.raw_redactions.merge(&done.redactions);
        self.tables.push(done.summary);
        Ok(())
    }

    async fn table(
        &mut self,
        dataset: &'static Dataset,
        feeds: &[Feed],
        own: Option<(&str, CanonicalRows)>,
        databases: &mut [Box<dyn RowSource>],
        account: &mut Account,
    ) -> Result<(), Error> {
        let Some(shared) = self.shared.take() else { return Err(Error::Worker { doing: "opening a table" }) };
        let raised = self.plan.raised(dataset.name);
        let sink = Sink {
            dataset,
            writer: self.bag.table(TableSpec::of(dataset).raised(&raised))?,
            raised,
            shared,
            task: Arc::clone(&self.task),
            cancel: self.env.cancel.clone(),
        };
        let (sender, receiver) = sync_channel(AHEAD);
        let handle = tokio::task::spawn_blocking(move || sink.run(&receiver));
        let mut fed = Ok(());
        for feed in feeds {
            fed = self.feed(dataset, feed, &sender, databases, account).await;
            if fed.is_err() {
                break;
            }
        }
        if let (Ok(()), Some((name, rows))) = (&fed, own) {
            fed = self.rows(dataset, name, "sealport", rows, &sender).map(|totals| {
                account.feed(FeedRecord::own(dataset.name, name, totals));
            });
        }
        drop(sender);
        // When both fail, the sink's error is the cause: the feed only saw its channel close.
        let (summary, shared) = handle.await.map_err(|_| Error::Worker { doing: "writing a table" })??;
        fed?;
        self.tables.push(summary);
        self.shared = Some(shared);
        Ok(())
    }

    async fn feed(
        &mut self,
        dataset: &'static Dataset,
        feed: &Feed,
        sender: &SyncSender<Item>,
        databases: &mut [Box<dyn RowSource>],
        account: &mut Account,
    ) -> Result<(), Error> {
        self.env.cancel.check()?;
        match feed {
            Feed::Query { database, part } => {
                let (Some(source), Some(config)) = (databases.get_mut(*database), self.plan.databases.get(*database))
                else {
                    return Ok(());
                };
                let system = config.mapping.src_system();
                let raw = self.raw;
                let carried = raw.carried_by(*database, part);
                let sql = carried.map_or(part.sql.as_str(), |(_, carrier)| carrier.sql.as_str());
                let mut columns = sources::columns(source.as_mut(), dataset.name, &part.table, sql).await?;
                columns.truncate(part.columns.len());
                let header: Vec<String> = columns.iter().map(|c| c.name.clone()).collect();
                let converter = Converter::new(part, &header, &context(self.case, &system, self.keys))?;
                let sink = carried.map(|(entry, _)| self.raw_sink(entry)).transpose()?;
                let rows = Rows {
                    select: Select { sql, values: &part.values },
                    own_columns: header.len(),
                    raw: sink.as_ref().map(RawSink::sender),
                };
                let totals =
                    query(source.as_mut(), rows, converter, sender.clone(), &self.env.cancel, &self.pace).await;
                if let (Some((entry, _)), Some(sink)) = (carried, sink) {
                    // When its sink failed, the read only saw a channel close.
                    let done = sink.finish().await?;
                    if totals.is_ok() {
                        self.raw_done(entry, done, source.as_mut(), account).await?;
                    }
                }
                let totals = totals?;
                let type_of = |name: &str| columns.iter().find(|c| c.name == name).map(|c| c.type_name.clone());
                let control = control_sql(part, &type_of);
                let answer = source.first_row(Select { sql: &control.sql, values: &control.values }).await?;
                let totals = (totals, control.totals(&answer)?);
                account.feed(FeedRecord::query(dataset.name, &config.name, part, sql, totals.0, totals.1));
            }
            Feed::File { source, file } => {
                let (sha256, _) = crypto::sha256_file(&file.path)?;
                let name = places::name(&file.path);
                let system = format!("{source}@canonical");
                let mut converter: Option<Converter> = None;
                canonical_files::read::<Error>(file, &mut |rows| {
                    self.env.cancel.check()?;
                    if converter.is_none() {
                        let context = context(self.case, &system, self.keys);
                        converter = Some(mapping::canonical(dataset, &name, &rows.header, &context)?);
                    }
                    converter.as_mut().map_or(Ok(()), |c| convert(c, &rows.batch, sender))
                })?;
                let totals = converter.map(|c| c.totals().clone()).unwrap_or_default();
                account.file(LoadedFile::new(format!("{source}/{name}"), dataset.name, sha256, None, &totals));
                account.feed(FeedRecord::file(dataset.name, source, &name, totals));
            }
            Feed::Register(file) => {
                let register = register::read(file)?;
                let mut converter = mapping::canonical(
                    dataset,
                    &register.file,
                    &register.header,
                    &context(self.case, "registers", self.keys),
                )?;
                for batch in &register.batches {
                    convert(&mut converter, batch, sender)?;
                }
                let totals = converter.totals().clone();
                let expected = register.expected_sha256;
                account.file(LoadedFile::new(
                    format!("registers/{}", register.file),
                    dataset.name,
                    register.sha256,
                    expected,
                    &totals,
                ));
                account.feed(FeedRecord::file(dataset.name, "registers", &register.file, totals));
            }
            Feed::Bill(index) => {
                let Some(bill) = self.plan.bills.get(*index) else { return Ok(()) };
                let totals = self.rows(dataset, &bill.file, "platform-bills", bill.row(), sender)?;
                account.feed(FeedRecord::file(dataset.name, "bills", &bill.file, totals));
            }
            Feed::BillLines(index) => {
                let Some(bill) = self.plan.bills.get(*index) else { return Ok(()) };
                let mut converter: Option<Converter> = None;
                bill.lines::<Error>(&mut |rows| {
                    self.env.cancel.check()?;
                    if converter.is_none() {
                        let context = context(self.case, "platform-bills", self.keys);
                        converter = Some(mapping::canonical(dataset, &bill.file, &rows.header, &context)?);
                    }
                    converter.as_mut().map_or(Ok(()), |c| convert(c, &rows.batch, sender))
                })?;
                let totals = converter.map(|c| c.totals().clone()).unwrap_or_default();
                account.bill(bill, &totals);
                account.feed(FeedRecord::bill(dataset.name, bill, totals));
            }
            Feed::Project(row) => {
                let totals = self.rows(dataset, "case.toml", "case", project(row), sender)?;
                account.feed(FeedRecord::own(dataset.name, "case.toml", totals));
            }
        }
        Ok(())
    }

    /// Converts rows that are in memory.
    fn rows(
        &self,
        dataset: &'static Dataset,
        table: &str,
        system: &str,
        rows: CanonicalRows,
        sender: &SyncSender<Item>,
    ) -> Result<PartTotals, Error> {
        let mut converter = mapping::canonical(dataset, table, &rows.header, &context(self.case, system, self.keys))?;
        convert(&mut converter, &rows.batch, sender)?;
        Ok(converter.totals().clone())
    }
}

fn known(name: &'static str) -> Result<&'static Dataset, Error> {
    schema::dataset(name).ok_or(Error::Worker { doing: "looking up a dataset of its own" })
}

fn project(row: &ProjectRow) -> CanonicalRows {
    let mut batch = RawBatch::new(row.len());
    for (column, value) in batch.columns.iter_mut().zip(row.values()) {
        column.push(RawValue::Text(value));
    }
    CanonicalRows { header: row.keys().cloned().collect(), batch }
}

fn convert(converter: &mut Converter, batch: &RawBatch, sender: &SyncSender<Item>) -> Result<(), Error> {
    let converted = converter.convert(batch)?;
    // A closed channel means that the sink failed; its own error is reported instead of this one.
    let closed = |_| Error::Worker { doing: "handing rows on" };
    if !converted.quarantined.is_empty() {
        sender.send(Item::Quarantined(converted.quarantined)).map_err(closed)?;
    }
    if converted.batch.num_rows() > 0 {
        sender.send(Item::Rows(converted.batch)).map_err(closed)?;
    }
    Ok(())
}

/// The rows of a part, and where what stands behind its own columns goes.
struct Rows<'a> {
    select: Select<'a>,
    own_columns: usize,
    raw: Option<SyncSender<RawBatch>>,
}

/// Reads a SELECT on this thread and converts it on another.
async fn query(
    source: &mut dyn RowSource,
    rows: Rows<'_>,
    mut converter: Converter,
    sender: SyncSender<Item>,
    cancel: &Cancel,
    pace: &Arc<Pace>,
) -> Result<PartTotals, Error> {
    let pace = Arc::clone(pace);
    let (raw, mut batches) = mpsc::channel::<RawBatch>(AHEAD);
    let (own_columns, raw_rows) = (rows.own_columns, rows.raw);
    let converting = tokio::task::spawn_blocking(move || {
        while let Some(mut batch) = batches.blocking_recv() {
            // Channels are short, so a batch that waits here holds the source back.
            pace.take(batch.rows())?;
            if let Some(raw) = &raw_rows {
                let columns = batch.columns.split_off(own_columns.min(batch.columns.len()));
                raw.send(RawBatch { columns }).map_err(|_| Error::Worker { doing: "handing rows on" })?;
            }
            convert(&mut converter, &batch, &sender)?;
        }
        Ok::<PartTotals, Error>(converter.totals().clone())
    });
    let read = source.read(rows.select, raw, cancel).await;
    let converted = converting.await.map_err(|_| Error::Worker { doing: "converting rows" })?;
    // An interruption or a failed conversion both close the channel; the reader's "receiver gone" is not the cause.
    match (read, converted) {
        (Ok(_), Ok(totals)) => Ok(totals),
        (_, Err(error)) => Err(error),
        (Err(error), Ok(_)) => Err(error.into()),
    }
}
