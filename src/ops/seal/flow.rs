//! The streaming pass: every dataset through conversion and pseudonymisation into its table.
//!
//! Three stages run at once with bounded channels between them: the source reads, a converter maps, and a sink
//! pseudonymises, counts and writes. Memory does not grow with the number of rows.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use arrow::array::RecordBatch;
use tokio::sync::mpsc;

use super::account::{Account, FeedRecord, LoadedFile};
use super::pace::Pace;
use super::plan::{Feed, Plan};
use super::proof::Controls;
use super::quarantine::{self, Line};
use super::raw::{self, Entry, RawPlan, RawRecord, RawSink, SinkTools};
use super::resume::{self, Redacted, State};
use super::spool::Spool;
use crate::archive::{BagWriter, TableSpec, TableSummary, TableWriter};
use crate::config::Case;
use crate::config::case::ProjectRow;
use crate::crypto;
use crate::mapping::{self, Converter, PartTotals, Quarantined};
use crate::ops::inventory::Inventory;
use crate::ops::{Env, Error, places, sources};
use crate::progress::{Cancel, Task};
use crate::pseudonym::{Keys, Pseudonymiser, RedactionCounts, StaffMatcher};
use crate::rows::{KeyCut, RawBatch, RawValue};
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
    quarantine: Spool,
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
        for row in rows {
            self.quarantine.push(&Line {
                dataset: dataset.name.into(),
                column: row.column.clone(),
                reason: row.reason.into(),
                table: row.src_table.clone(),
                key: self.pseudonymiser.token_for_key(dataset, raised, &row.key),
            })?;
        }
        Ok(())
    }
}

/// What is there when the pass begins: nothing, or what an earlier process finished.
pub(super) struct Begun {
    pub(super) state: State,
    pub(super) tables: Vec<TableSummary>,
    pub(super) ledger: Spool,
    pub(super) quarantine: Spool,
}

/// The table of a dataset with the classes that the mappings of the case give its columns.
pub(super) fn table_spec(plan: &Plan, dataset: &Dataset) -> TableSpec {
    TableSpec::of(dataset).raised(&plan.raised(dataset.name))
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
    controls: Controls,
    /// What is finished, as it is written down after every table.
    state: State,
    ledger: Spool,
    tables: Vec<TableSummary>,
    /// What was redacted before this sitting.
    earlier_redactions: Vec<Redacted>,
    /// What was redacted in raw tables.
    raw_redactions: RedactionCounts,
    /// Coverage declared so far, joined with the counts when the inventory is written.
    covered: Vec<(&'static Dataset, chrono::NaiveDate, chrono::NaiveDate)>,
}

impl<'a, 'r> Flow<'a, 'r> {
    pub(super) fn new(
        env: &'a Env,
        case: &'a Case,
        (plan, raw): (&'a Plan, &'a RawPlan),
        bag: &'a BagWriter<'r>,
        keys: &'a Keys,
        (matcher, task, pace): (Arc<StaffMatcher>, Arc<dyn Task>, Arc<Pace>),
        controls: Controls,
        Begun { state, tables, ledger, quarantine }: Begun,
    ) -> Result<Self, Error> {
        let pseudonymiser = Pseudonymiser::new(keys, Arc::clone(&matcher));
        let inventory =
            Inventory::from_counted(&state.inventory).ok_or(Error::Worker { doing: "going on counting" })?;
        let shared = Shared { pseudonymiser, inventory, quarantine };
        task.advance(tables.iter().map(|t| t.rows).sum());
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
            controls,
            earlier_redactions: state.redactions.clone(),
            state,
            ledger,
            tables,
            raw_redactions: RedactionCounts::default(),
            covered: Vec::new(),
        })
    }

    /// Streams everything that is not finished yet.
    ///
    /// # Errors
    /// Whatever stops a table; those finished before are written down.
    pub(super) async fn all(
        &mut self,
        databases: &mut [Box<dyn RowSource>],
        account: &mut Account,
    ) -> Result<(), Error> {
        let plan = self.plan;
        for (name, feeds) in &plan.feeds {
            let Some(dataset) = schema::dataset(name) else { continue };
            // Counted rows join the register of the same name, so it goes last.
            if dataset.name == "record_inventory" {
                continue;
            }
            let (from, to) = super::dataset_coverage(self.case, dataset);
            self.covered.push((dataset, from, to));
            self.task.label(dataset.title_en);
            self.table(dataset, feeds, None, databases, account).await?;
        }
        let empty = Vec::new();
        self.inventory(plan.feeds.get("record_inventory").unwrap_or(&empty), databases, account).await?;
        self.loaded_files(databases, account).await?;
        self.raw_tables(databases, account).await
    }

    /// Writes down that a table is finished, so that a later process need not read it again.
    fn finished(&mut self, account: &mut Account) -> Result<(), Error> {
        let Some(shared) = self.shared.as_mut() else { return Err(Error::Worker { doing: "closing a table" }) };
        for table in self.tables.iter().skip(self.state.tables.len()) {
            self.state.tables.push(self.bag.stage(table)?);
            if let Some(sitting) = self.state.sittings.last_mut() {
                sitting.tables.push(table.name.clone());
            }
        }
        for record in account.fresh() {
            self.ledger.push(&record)?;
        }
        self.state.ledger = self.ledger.mark()?;
        self.state.inventory = shared.inventory.counted();
        self.state.quarantine = shared.quarantine.mark()?;
        self.state.redactions = self.redactions()?;
        self.state.save(self.bag.folder(), self.keys)?;
        self.bag.keep();
        Ok(())
    }

    fn redactions(&self) -> Result<Vec<Redacted>, Error> {
        let Some(shared) = self.shared.as_ref() else { return Err(Error::Worker { doing: "counting redactions" }) };
        let mut now = shared.pseudonymiser.counts().clone();
        now.merge(&self.raw_redactions);
        Ok(resume::merged(&self.earlier_redactions, &now))
    }

    /// Writes `record_inventory`: the register's rows and those counted while streaming.
    async fn inventory(
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
    async fn loaded_files(&mut self, databases: &mut [Box<dyn RowSource>], account: &mut Account) -> Result<(), Error> {
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

    /// Writes the table of rows that were set aside; all tables, what was redacted, and how it came about.
    pub(super) fn finish(mut self) -> Result<(Vec<TableSummary>, Vec<Redacted>, State), Error> {
        let redactions = self.redactions()?;
        let Some(mut shared) = self.shared.take() else { return Err(Error::Worker { doing: "closing tables" }) };
        let dataset = known("quarantine")?;
        let mut writer = self.bag.table(TableSpec::of(dataset))?;
        quarantine::write(&mut shared.quarantine, dataset, &mut writer, &self.env.cancel)?;
        self.tables.push(writer.finish()?);
        if let Some(sitting) = self.state.sittings.last_mut() {
            sitting.tables.push(dataset.name.to_owned());
        }
        Ok((self.tables, redactions, self.state))
    }

    /// Reads the raw tables that no statement of a mapping carries.
    async fn raw_tables(&mut self, databases: &mut [Box<dyn RowSource>], account: &mut Account) -> Result<(), Error> {
        let raw = self.raw;
        for entry in raw.entries.iter().filter(|e| e.carrier.is_none()) {
            if self.state.has(&entry.name) {
                continue;
            }
            self.env.cancel.check()?;
            self.task.label(&entry.name);
            let Some(source) = databases.get_mut(entry.database) else { continue };
            let sink = self.raw_sink(entry)?;
            let done = raw::read_alone(source.as_mut(), entry, sink, &self.env.cancel, &self.pace).await?;
            self.raw_done(entry, done, account)?;
            self.finished(account)?;
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

    fn raw_done(&mut self, entry: &Entry, done: raw::RawDone, account: &mut Account) -> Result<(), Error> {
        account.raw(RawRecord::new(entry, &done, self.controls.of_raw(entry)?));
        self.raw_redactions.merge(&done.redactions);
        self.tables.push(done.summary);
        Ok(())
    }

    /// Streams all feeds of a dataset into its table, and then rows of our own; nothing when that was done before.
    async fn table(
        &mut self,
        dataset: &'static Dataset,
        feeds: &[Feed],
        own: Option<(&str, CanonicalRows)>,
        databases: &mut [Box<dyn RowSource>],
        account: &mut Account,
    ) -> Result<(), Error> {
        if self.state.has(dataset.name) {
            return Ok(());
        }
        let Some(shared) = self.shared.take() else { return Err(Error::Worker { doing: "opening a table" }) };
        let raised = self.plan.raised(dataset.name);
        let sink = Sink {
            dataset,
            writer: self.bag.table(table_spec(self.plan, dataset))?,
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
        self.finished(account)
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
                let mut header = sources::header(source.as_mut(), dataset.name, &part.table, sql).await?;
                header.truncate(part.columns.len());
                let converter = Converter::new(part, &header, &context(self.case, &system, self.keys))?;
                let sink = carried.map(|(entry, _)| self.raw_sink(entry)).transpose()?;
                let rows = Rows {
                    select: Select { sql, values: &part.values },
                    cut: mapping::cut(part.engine, sql),
                    own_columns: header.len(),
                    raw: sink.as_ref().map(RawSink::sender),
                };
                let totals =
                    query(source.as_mut(), rows, converter, sender.clone(), &self.env.cancel, &self.pace).await;
                if let (Some((entry, _)), Some(sink)) = (carried, sink) {
                    // When its sink failed, the read only saw a channel close.
                    let done = sink.finish().await?;
                    if totals.is_ok() {
                        self.raw_done(entry, done, account)?;
                    }
                }
                let totals = totals?;
                let control = self.controls.of_part(*database, part)?;
                account.feed(FeedRecord::query(dataset.name, &config.name, part, sql, totals, control));
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
    cut: Option<KeyCut>,
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
    let read = source.read_cut(rows.select, rows.cut.as_ref(), raw, cancel).await;
    let converted = converting.await.map_err(|_| Error::Worker { doing: "converting rows" })?;
    // An interruption or a failed conversion both close the channel; the reader's "receiver gone" is not the cause.
    match (read, converted) {
        (Ok(_), Ok(totals)) => Ok(totals),
        (_, Err(error)) => Err(error),
        (Err(error), Ok(_)) => Err(error.into()),
    }
}
