//! The raw layer: every table that a mapping reads, column for column, in the same pass as the canonical datasets.
//!
//! Where a SELECT of the mapping takes a table row for row, its statement is extended by the table's own columns and
//! one read feeds both layers. Every other table is read once by itself, in the same snapshot. In both cases the rows
//! written must be as many as the source counts.

mod encode;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::account::Account;
use super::pace::Pace;
use super::plan::Plan;
use crate::archive::{TableSpec, TableSummary, TableWriter};
use crate::config::Case;
use crate::crypto;
use crate::mapping::raw::{
    self as planned, Carrier, KeyPiece, LeftOut, Link, Names, RawTable, RawType, SourceTable, Treatment,
};
use crate::mapping::{Fingerprint, Part, cut};
use crate::model::Engine;
use crate::ops::Error;
use crate::progress::{Cancel, Task};
use crate::pseudonym::{Keys, Pseudonymiser, RedactionCounts, StaffMatcher, is_secret_name};
use crate::rows::RawBatch;
use crate::schema;
use crate::source::RowSource;
use crate::source::database::Select;
use encode::{Encoder, RawTotals};

/// Batches in flight.
const AHEAD: usize = 3;
/// Tables of an archive, at most, less some room for the canonical ones.
const TABLES_MAX: usize = 900;

/// A raw table and how it is read.
#[derive(Debug)]
pub(super) struct Entry {
    /// Table id in the archive.
    pub(super) name: String,
    /// Position of the source among the databases.
    pub(super) database: usize,
    /// Name of the source in the case.
    pub(super) source: String,
    pub(super) table: Arc<RawTable>,
    /// Rows in this snapshot, as the source counts them.
    pub(super) rows: u64,
    /// Whether the engine's transactions cover the table.
    pub(super) is_transactional: bool,
    /// The statement that carries it, if one does.
    pub(super) carrier: Option<Carrier>,
    pub(super) spec: TableSpec,
}

/// All raw tables of a case.
#[derive(Debug, Default)]
pub(in crate::ops) struct RawPlan {
    pub(super) entries: Vec<Entry>,
    /// Tables that are read and have no raw table, by source.
    pub(super) left_out: Vec<(String, LeftOut)>,
}

impl RawPlan {
    /// Decides which tables are kept, what becomes of their columns, and which read carries which table.
    ///
    /// # Errors
    /// A rule of a mapping that names a table or column the source does not have; what the source says.
    pub(super) async fn of(
        case: &Case,
        plan: &Plan,
        account: &Account,
        databases: &mut [Box<dyn RowSource>],
    ) -> Result<Self, Error> {
        let mut out = Self::default();
        if !case.keeps_raw {
            return Ok(out);
        }
        let mut names = Names::default();
        for (database, (config, source)) in plan.databases.iter().zip(databases.iter_mut()).enumerate() {
            let parts: Vec<&Part> = plan.parts(database).collect();
            let mut tables = Vec::new();
            for info in account.tables(database) {
                let is_read = parts.iter().any(|p| p.tables.iter().any(|t| t.eq_ignore_ascii_case(&info.name)));
                let key = if is_read { source.primary_key(&info.name).await? } else { Vec::new() };
                tables.push(SourceTable { name: info.name.clone(), columns: info.columns.clone(), key });
            }
            let found = planned::plan(source.engine(), &parts, config.mapping.raw(), &tables, &is_secret_name);
            if !found.unknown.is_empty() {
                return Err(Error::usage(
                    format!(
                        "[raw] of the mapping names what `{}` does not have: {}",
                        config.name,
                        found.unknown.join(", ")
                    ),
                    "请核对映射文件 [raw.表] 中的表名与列名。",
                    "compare the tables and columns of [raw.TABLE] in the mapping file with the database",
                ));
            }
            out.left_out.extend(found.left_out.into_iter().map(|l| (config.name.clone(), l)));
            for table in found.tables {
                let info = account.tables(database).iter().find(|t| t.name == table.source_table);
                let (rows, is_transactional) = info.map_or((0, true), |t| (t.rows, t.is_transactional));
                let carrier = carrier(source.as_mut(), &parts, &table, rows).await?;
                let name = names.give("raw_", &table.source_table);
                let retention = table.links.first().map(|l| l.dataset).or(table.datasets.first().copied());
                let retention = retention.and_then(schema::dataset).map(|d| d.retention);
                let spec = encode::spec(&name, &table, retention);
                let source = config.name.clone();
                let table = Arc::new(table);
                out.entries.push(Entry { name, database, source, table, rows, is_transactional, carrier, spec });
            }
        }
        if out.entries.len() > TABLES_MAX {
            return Err(Error::usage(
                format!(
                    "the mappings read {} tables; an archive holds at most {TABLES_MAX} raw ones",
                    out.entries.len()
                ),
                "请在 case.toml 中设 layers = [\"canonical\"]，或用 [raw.表] skip 略去部分表。",
                "set layers = [\"canonical\"] in case.toml, or leave tables out with `skip` in [raw.TABLE]",
            ));
        }
        Ok(out)
    }

    /// Rows of all raw tables.
    pub(super) fn rows(&self) -> u64 {
        self.entries.iter().map(|e| e.rows).sum()
    }

    /// The table that the read of this part carries, with the statement to run instead of the part's own.
    pub(super) fn carried_by(&self, database: usize, part: &Part) -> Option<(&Entry, &Carrier)> {
        self.entries.iter().filter(|e| e.database == database).find_map(|e| {
            let carrier = e.carrier.as_ref()?;
            is_carrier(carrier, &e.table, part).then_some((e, carrier))
        })
    }

    /// By treatment, the columns that are replaced, masked or redacted, as `table.column`.
    pub(super) fn treated(&self) -> BTreeMap<&'static str, Vec<String>> {
        let mut out: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        for entry in &self.entries {
            for column in &entry.spec.columns {
                let treatment = match column.class.as_str() {
                    "staff_id" => "staff",
                    "customer_id" => "customer",
                    "per_row" => "perRow",
                    "contact" => "masked",
                    "free_text" => "redacted",
                    "secret" => "fingerprinted",
                    _ => continue,
                };
                out.entry(treatment).or_default().push(format!("{}.{}", entry.name, column.name));
            }
        }
        out
    }
}

/// Whether a part is the one a carrier was made of: a part for many tables has one number and many statements.
fn is_carrier(carrier: &Carrier, table: &RawTable, part: &Part) -> bool {
    carrier.dataset == part.dataset.name
        && carrier.part == part.index
        && planned::is_same(&table.source_table, &part.table)
}

/// The first statement that the engine accepts and that gives every row of the table exactly once.
async fn carrier(
    source: &mut dyn RowSource,
    parts: &[&Part],
    table: &RawTable,
    rows: u64,
) -> Result<Option<Carrier>, Error> {
    for carrier in &table.carriers {
        let Some(part) = parts.iter().find(|p| is_carrier(carrier, table, p)) else {
            continue;
        };
        // What the engine refuses here it may still accept without our columns.
        let Ok(columns) = source.columns(&carrier.sql).await else { continue };
        if columns.len() != part.columns.len() + table.columns.len() {
            continue;
        }
        if carrier.has_joins {
            // LEFT JOINs keep every row at least once; an equal count means exactly once.
            let sql = format!("SELECT COUNT(*) FROM (\n{}\n) AS part", carrier.sql);
            let answer = source.first_row(Select { sql: &sql, values: &part.values }).await?;
            let count = answer.into_iter().flatten().next().and_then(|n| n.parse::<u64>().ok());
            if count != Some(rows) {
                continue;
            }
        }
        return Ok(Some(carrier.clone()));
    }
    Ok(None)
}

/// Encodes and writes one raw table on a thread of its own.
#[derive(Debug)]
pub(super) struct RawSink {
    sender: SyncSender<RawBatch>,
    handle: JoinHandle<Result<RawDone, Error>>,
}

/// A raw table that is written.
#[derive(Debug)]
pub(super) struct RawDone {
    pub(super) summary: TableSummary,
    totals: RawTotals,
    pub(super) redactions: RedactionCounts,
}

/// What a sink needs besides its table.
pub(super) struct SinkTools {
    pub(super) keys: Keys,
    pub(super) matcher: Arc<StaffMatcher>,
    pub(super) fingerprint: Fingerprint,
    pub(super) task: Arc<dyn Task>,
    pub(super) cancel: Cancel,
}

impl RawSink {
    /// Starts the thread; `open` makes the table's writer.
    pub(super) fn start(
        entry: &Entry,
        tools: SinkTools,
        open: impl FnOnce(TableSpec) -> Result<TableWriter, Error>,
    ) -> Result<Self, Error> {
        let mut writer = open(entry.spec.clone())?;
        let pseudonymiser = Pseudonymiser::new(&tools.keys, Arc::clone(&tools.matcher));
        let mut encoder = Encoder::new(&entry.spec, Arc::clone(&entry.table), pseudonymiser, tools.fingerprint);
        let (sender, receiver): (_, Receiver<RawBatch>) = sync_channel(AHEAD);
        let handle = tokio::task::spawn_blocking(move || {
            while let Ok(batch) = receiver.recv() {
                tools.cancel.check()?;
                let batch = encoder.encode(&batch)?;
                tools.task.advance(batch.num_rows() as u64);
                writer.write(&batch)?;
            }
            let redactions = encoder.pseudonymiser.counts().clone();
            Ok(RawDone { summary: writer.finish()?, totals: encoder.totals, redactions })
        });
        Ok(Self { sender, handle })
    }

    /// Where its batches go.
    pub(super) fn sender(&self) -> SyncSender<RawBatch> {
        self.sender.clone()
    }

    /// Waits until everything sent is written. All other senders must be gone.
    pub(super) async fn finish(self) -> Result<RawDone, Error> {
        drop(self.sender);
        self.handle.await.map_err(|_| Error::Worker { doing: "writing a raw table" })?
    }
}

/// Reads a table that no statement carries into its sink.
pub(super) async fn read_alone(
    source: &mut dyn RowSource,
    entry: &Entry,
    sink: RawSink,
    cancel: &Cancel,
    pace: &Arc<Pace>,
) -> Result<RawDone, Error> {
    let pace = Arc::clone(pace);
    let (sender, mut batches) = mpsc::channel::<RawBatch>(AHEAD);
    let out = sink.sender();
    let handing = tokio::task::spawn_blocking(move || {
        while let Some(batch) = batches.blocking_recv() {
            pace.take(batch.rows())?;
            if out.send(batch).is_err() {
                break;
            }
        }
        Ok::<(), Error>(())
    });
    let select = Select { sql: &entry.table.sql, values: &[] };
    let cut = cut(source.engine(), select.sql);
    let read = source.read_cut(select, cut.as_ref(), sender, cancel).await;
    let handed = handing.await.map_err(|_| Error::Worker { doing: "handing rows on" })?;
    // When the sink failed, the reader only saw its channel close.
    let done = sink.finish().await?;
    handed?;
    read?;
    Ok(done)
}

/// What a source says about a table by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RawControl {
    rows: u64,
    /// By column, the sum in units of its last digit.
    sums: BTreeMap<String, i128>,
}

/// Asks the source for the sums of the columns of numbers, and for the count where no transaction holds it.
pub(super) async fn control(source: &mut dyn RowSource, entry: &Entry) -> Result<RawControl, Error> {
    let engine = source.engine();
    let table = engine.quoted_table(&entry.table.source_table);
    let summed: Vec<(&str, i8, String)> = entry
        .table
        .columns
        .iter()
        .filter(|c| !c.treatment.is_replaced())
        .filter_map(|c| {
            let name = engine.quoted(&c.source_name);
            let (scale, sql) = match (c.ty, engine) {
                // A sum of integers may leave 64 bits there; the halves cannot.
                (RawType::Int, Engine::Sqlite) => (
                    0,
                    format!(
                        "SUM(CASE WHEN typeof({name}) = 'integer' THEN {name} >> 32 END), \
                         SUM(CASE WHEN typeof({name}) = 'integer' THEN {name} & 4294967295 END)"
                    ),
                ),
                (RawType::Int | RawType::UInt, Engine::MySql) => (0, format!("CAST(SUM({name}) AS CHAR)")),
                (RawType::Int, Engine::Postgres) => (0, format!("SUM({name}::bigint)::text")),
                (RawType::Decimal(_, scale), Engine::MySql) => (scale, format!("CAST(SUM({name}) AS CHAR)")),
                (RawType::Decimal(_, scale), Engine::Postgres) => {
                    // NaN and infinity stand beside the rows and have no part in a sum.
                    (scale, format!("(SUM({name}) FILTER (WHERE {name}::text <> 'NaN'))::text"))
                }
                _ => return None,
            };
            Some((c.name.as_str(), scale, sql))
        })
        .collect();
    let mut out = RawControl { rows: entry.rows, sums: BTreeMap::new() };
    if summed.is_empty() && entry.is_transactional {
        return Ok(out);
    }
    let list: Vec<&str> = std::iter::once("COUNT(*)").chain(summed.iter().map(|(.., sql)| sql.as_str())).collect();
    let sql = format!("SELECT {} FROM {table}", list.join(", "));
    let answer = source.first_row(Select { sql: &sql, values: &[] }).await?;
    let mut cells = answer.into_iter();
    let mut next = || cells.next().flatten();
    if let Some(rows) = next().and_then(|n| n.parse().ok()) {
        out.rows = rows;
    }
    for (name, scale, sql) in &summed {
        let sum = if engine == Engine::Sqlite && sql.contains(">> 32") {
            let half = |text: Option<String>| text.map_or(Some(0), |t| t.parse::<i128>().ok());
            match (half(next()), half(next())) {
                (Some(high), Some(low)) => high.checked_mul(1 << 32).and_then(|h| h.checked_add(low)),
                _ => None,
            }
        } else {
            next().map_or(Some(0), |text| planned::decimal_units(&text, 38, *scale))
        };
        if let Some(sum) = sum {
            out.sums.insert((*name).to_owned(), sum);
        }
    }
    Ok(out)
}

/// A raw table in the account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RawRecord {
    pub(super) name: String,
    pub(super) source: String,
    pub(super) table: String,
    /// The statement that was run, and the dataset it feeds too.
    pub(super) sql: String,
    pub(super) carried_by: Option<String>,
    is_transactional: bool,
    is_key_unique: bool,
    has_key: bool,
    links: Vec<Value>,
    dropped: Vec<String>,
    totals: RawTotals,
    control: RawControl,
}

impl RawRecord {
    pub(super) fn new(entry: &Entry, done: &RawDone, control: RawControl) -> Self {
        Self {
            name: entry.name.clone(),
            source: entry.source.clone(),
            table: entry.table.source_table.clone(),
            sql: entry.carrier.as_ref().map_or_else(|| entry.table.sql.clone(), |c| c.sql.clone()),
            carried_by: entry.carrier.as_ref().map(|c| c.dataset.to_owned()),
            is_transactional: entry.is_transactional,
            is_key_unique: done.summary.is_key_unique,
            has_key: !entry.table.key.is_empty(),
            links: entry.table.links.iter().map(|link| link_json(&entry.table, link)).collect(),
            dropped: entry.table.dropped.clone(),
            totals: done.totals.clone(),
            control,
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.totals.rows
    }

    /// Count and sums of the source against ours, in words; nothing when they agree or the table may have moved.
    pub(super) fn mismatches(&self) -> Vec<String> {
        if !self.is_transactional {
            return Vec::new();
        }
        let mut out = Vec::new();
        let mut compare = |what: &str, source: i128, own: i128| {
            if source != own {
                out.push(format!("{} from {}: {what} source {source} own {own}", self.name, self.table));
            }
        };
        compare("rows", self.control.rows.into(), self.totals.rows.into());
        for (column, sum) in &self.control.sums {
            // What stands beside the rows is not in our sum; such a column has no total to compare.
            if !self.totals.misfits.contains_key(column) {
                compare(column, *sum, self.totals.sums.get(column).copied().unwrap_or(0));
            }
        }
        out
    }

    /// The entry in `reconciliation.json`.
    pub(super) fn json(&self) -> Value {
        let sums: BTreeMap<&str, Value> = self
            .totals
            .sums
            .iter()
            .map(|(column, sum)| {
                let source = self.control.sums.get(column).map(ToString::to_string);
                (column.as_str(), json!({ "written": sum.to_string(), "source": source }))
            })
            .collect();
        json!({
            "layer": "raw",
            "source": self.source,
            "table": self.table,
            "rows": self.totals.rows,
            "sourceRows": self.control.rows,
            "keyUnique": if self.has_key { json!(self.is_key_unique) } else { Value::Null },
            "carriedBy": self.carried_by,
            "sqlSha256": crypto::sha256(self.sql.as_bytes()),
            "links": self.links,
            "dropped": self.dropped,
            "sums": sums,
            "misfits": self.totals.misfits,
            "tooLong": self.totals.too_long,
            "nulCharacters": self.totals.nul_characters,
        })
    }
}

/// `{"dataset": "payments", "part": 0, "key": ["p{id}"]}`: how the dataset's rows spell their `src_key`.
fn link_json(table: &RawTable, link: &Link) -> Value {
    let column = |index: &usize| table.columns.get(*index).map(|c| c.name.as_str()).unwrap_or_default();
    let key: Vec<String> = link
        .key
        .iter()
        .map(|piece| match piece {
            KeyPiece::Word(word) => word.clone(),
            KeyPiece::Canonical { prefix, column: index, .. } => format!("{prefix}{{{}}}", column(index)),
            KeyPiece::Written(index) => format!("{{{}}}", column(index)),
        })
        .collect();
    json!({ "dataset": link.dataset, "part": link.part, "key": key })
}

/// Statements that give the staff identifiers of a table that no canonical read has seen: the columns, and beside
/// each the one that says whose it is.
pub(super) fn staff_reads(engine: Engine, table: &RawTable) -> Vec<(String, StaffCells)> {
    let read = |index: usize| table.columns.get(index).map(|c| engine.quoted(&c.source_name)).unwrap_or_default();
    let mut out = Vec::new();
    for (index, column) in table.columns.iter().enumerate() {
        let actor = match &column.treatment {
            Treatment::Staff(_) => None,
            Treatment::PerRow(who, _, vocabulary) => Some((who.clone(), *vocabulary)),
            _ => continue,
        };
        // Keys of mere digits are not searched for.
        if column.is_taken_whole || !column.ty.may_hold_prose() {
            continue;
        }
        let own = read(index);
        let own = match engine {
            // The column's own collation would take `Zhang` and `zhang` for one.
            Engine::MySql => format!("CONVERT({own} USING utf8mb4) COLLATE utf8mb4_bin"),
            Engine::Sqlite | Engine::Postgres => own,
        };
        let beside = match &actor {
            Some((planned::Actor::Column(index, _), _)) => format!(", {} AS a", read(*index)),
            _ => String::new(),
        };
        let from = engine.quoted_table(&table.source_table);
        let sql = format!("SELECT DISTINCT {own} AS v{beside} FROM {from}");
        out.push((sql, StaffCells { meaning: column.meaning.clone(), actor }));
    }
    out
}

/// How the rows of a statement of [`staff_reads`] are understood.
#[derive(Debug, Clone)]
pub(super) struct StaffCells {
    /// Canonical column the values belong to.
    pub(super) meaning: String,
    /// Who decides whose they are, and the words there are.
    pub(super) actor: Option<(planned::Actor, &'static [&'static str])>,
}
