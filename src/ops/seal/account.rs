//! The account of a seal: what was selected from what, what the source says it held, what was written, set aside,
//! redacted and left out. It becomes `custody.jsonl`, `reconciliation.json` and the control totals of the statement.
//!
//! Neither file names a host, a user or a path. The schemas are `docs/formats/reconciliation.schema.json` and
//! `docs/formats/custody.schema.json`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::plan::Plan;
use super::raw::{RawPlan, RawRecord};
use super::resume::{Redacted, Sitting};
use crate::archive::TableSummary;
use crate::config::Case;
use crate::config::case::LeakException;
use crate::crypto;
use crate::mapping::{Part, PartTotals, SourceTotals, reconcile};
use crate::model::Digest;
use crate::ops::Error;
use crate::pseudonym::{LeakHit, Skipped};
use crate::schema;
use crate::source::RowSource;
use crate::source::bills::Bill;
use crate::source::database::{SourceDescription, TableInfo};

/// One supply of rows and what became of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FeedRecord {
    dataset: String,
    source: String,
    table: String,
    kind: Cow<'static, str>,
    sql: Option<String>,
    conditions: Vec<String>,
    note: Option<String>,
    /// Columns whose class the part declares to be stronger than the schema's.
    class_overrides: BTreeMap<String, Cow<'static, str>>,
    /// Formula of the source's own hash chain.
    chain: Option<String>,
    totals: PartTotals,
    control: Option<SourceTotals>,
}

impl FeedRecord {
    /// `sql` is the statement that was run: the part's own, or that with the columns of a raw table.
    pub(super) fn query(
        dataset: &str,
        source: &str,
        part: &Part,
        sql: &str,
        totals: PartTotals,
        control: SourceTotals,
    ) -> Self {
        Self {
            dataset: dataset.into(),
            source: source.into(),
            table: part.table.clone(),
            kind: "select".into(),
            sql: Some(sql.to_owned()),
            conditions: part.conditions.clone(),
            note: part.where_note.clone().or_else(|| part.note.clone()),
            class_overrides: part
                .class_overrides()
                .into_iter()
                .map(|(c, class)| (c.to_owned(), class.name().into()))
                .collect(),
            chain: part.chain(),
            totals,
            control: Some(control),
        }
    }

    pub(super) fn file(dataset: &str, source: &str, file: &str, totals: PartTotals) -> Self {
        Self::plain(dataset, source, file, "file", totals)
    }

    pub(super) fn own(dataset: &str, table: &str, totals: PartTotals) -> Self {
        Self::plain(dataset, "sealport", table, "own", totals)
    }

    /// A bill has its printed count as an independent total.
    pub(super) fn bill(dataset: &str, bill: &Bill, totals: PartTotals) -> Self {
        Self::plain(dataset, "bills", &bill.file, "bill", totals)
    }

    fn plain(dataset: &str, source: &str, table: &str, kind: &'static str, totals: PartTotals) -> Self {
        Self {
            dataset: dataset.into(),
            source: source.into(),
            table: table.into(),
            kind: kind.into(),
            sql: None,
            conditions: Vec::new(),
            note: None,
            class_overrides: BTreeMap::new(),
            chain: None,
            totals,
            control: None,
        }
    }
}

/// A file read while sealing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LoadedFile {
    pub(super) file_ref: String,
    pub(super) dataset: String,
    pub(super) sha256: String,
    pub(super) expected_sha256: Option<String>,
    pub(super) rows: u64,
    pub(super) rejected: u64,
}

impl LoadedFile {
    pub(super) fn new(
        file_ref: String,
        dataset: &str,
        sha256: Digest,
        expected: Option<Digest>,
        totals: &PartTotals,
    ) -> Self {
        Self {
            file_ref,
            dataset: dataset.into(),
            sha256: sha256.to_string(),
            expected_sha256: expected.map(|d| d.to_string()),
            rows: totals.rows_read,
            rejected: totals.rows_quarantined,
        }
    }
}

/// What became of every supply of the tables that are finished.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    feeds: Vec<FeedRecord>,
    files: Vec<LoadedFile>,
    raw: Vec<RawRecord>,
}

/// One entry of a [`Ledger`], as it is written down.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Record {
    Feed(FeedRecord),
    File(LoadedFile),
    Raw(RawRecord),
}

impl Ledger {
    pub(super) fn push(&mut self, record: Record) {
        match record {
            Record::Feed(feed) => self.feeds.push(feed),
            Record::File(file) => self.files.push(file),
            Record::Raw(raw) => self.raw.push(raw),
        }
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &LoadedFile> {
        self.files.iter()
    }
}

struct SourceRecord {
    name: String,
    description: SourceDescription,
    mapping: String,
    mapping_sha256: String,
    zone: String,
    zone_evidence: Option<String>,
    tables: Vec<TableInfo>,
    /// Tables outside the snapshot that changed while they were read.
    moved: Vec<String>,
}

/// Everything counted so far.
pub(super) struct Account {
    sources: Vec<SourceRecord>,
    ledger: Ledger,
    /// Entries that are not written down yet.
    fresh: Vec<Record>,
    /// `(source, table)` that some SELECT reads.
    taken: Vec<(String, String)>,
    expected_rows: u64,
    absent: BTreeMap<String, String>,
    redactions: Map<String, Value>,
    accepted_leaks: Vec<Value>,
    missing_registers: Vec<String>,
    skipped: Skipped,
    /// Tables that are read and have no raw table.
    raw_left_out: Vec<Value>,
}

impl Account {
    /// Looks at every source: version, settings, all tables with their row counts; checks what mappings require.
    pub(super) fn start(
        case: &Case,
        plan: &Plan,
        databases: &[Box<dyn RowSource>],
        tables: Vec<Vec<TableInfo>>,
    ) -> Result<Self, Error> {
        let mut sources = Vec::new();
        let mut taken = Vec::new();
        let mut expected_rows = 0;
        for (index, ((config, source), tables)) in plan.databases.iter().zip(databases).zip(tables).enumerate() {
            let present: BTreeMap<String, Vec<String>> =
                tables.iter().map(|t| (t.name.clone(), t.columns.iter().map(|(n, _)| n.clone()).collect())).collect();
            let missing = config.mapping.missing_in(&present);
            if !missing.is_empty() {
                return Err(Error::usage(
                    format!("the source `{}` lacks what its mapping requires: {}", config.name, missing.join(", ")),
                    "请核对数据库版本与映射文件的 requires：映射可能是为另一版本编写的，或该账号看不到这些表（`sealport doctor` 会打印授权所需的 SQL）。",
                    "compare the database with `requires` of the mapping file: it may be written for another version, or the account may not see these tables (`sealport doctor` prints the SQL that grants it)",
                ));
            }
            for part in plan.parts(index) {
                for table in &part.tables {
                    taken.push((config.name.clone(), table.clone()));
                }
                expected_rows += tables.iter().find(|t| t.name == part.table).map_or(0, |t| t.rows);
            }
            sources.push(SourceRecord {
                name: config.name.clone(),
                description: source.description(),
                mapping: config.mapping.src_system(),
                mapping_sha256: config.mapping_sha256.clone(),
                zone: config.mapping.zone().unwrap_or(case.zone).name().to_owned(),
                zone_evidence: config.mapping.zone_evidence().map(str::to_owned),
                tables,
                moved: Vec::new(),
            });
        }
        expected_rows += plan.bills.iter().map(|b| b.rows).sum::<u64>();
        Ok(Self {
            sources,
            ledger: Ledger::default(),
            fresh: Vec::new(),
            taken,
            expected_rows,
            absent: plan.absent.clone(),
            redactions: Map::new(),
            accepted_leaks: Vec::new(),
            missing_registers: plan.missing_registers.clone(),
            skipped: Skipped::default(),
            raw_left_out: Vec::new(),
        })
    }

    /// Entries made since this was asked last.
    pub(super) fn fresh(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.fresh)
    }

    fn enter(&mut self, record: Record) {
        self.fresh.push(record.clone());
        self.ledger.push(record);
    }

    /// Takes over what an earlier process wrote down.
    pub(super) fn go_on(&mut self, ledger: Ledger) {
        self.ledger = ledger;
    }

    /// What makes the view of each source consistent.
    pub(super) fn snapshots(&self) -> BTreeMap<String, String> {
        self.sources.iter().map(|s| (s.name.clone(), s.description.snapshot.clone())).collect()
    }

    /// The tables of a database, by its position.
    pub(super) fn tables(&self, database: usize) -> &[TableInfo] {
        self.sources.get(database).map_or(&[], |s| &s.tables)
    }

    /// Takes over which raw tables will be written and which not.
    pub(super) fn expect_raw(&mut self, raw: &RawPlan) {
        self.expected_rows += raw.rows();
        self.raw_left_out = raw
            .left_out
            .iter()
            .map(|(source, left)| json!({ "source": source, "table": left.table, "reason": left.reason }))
            .collect();
    }

    pub(super) fn raw(&mut self, record: RawRecord) {
        self.enter(Record::Raw(record));
    }

    /// Rows written into raw tables.
    pub(super) fn raw_rows(&self) -> u64 {
        self.ledger.raw.iter().map(RawRecord::rows).sum()
    }

    /// Asks every source which tables outside its snapshot changed meanwhile; returns them as `source.table`.
    ///
    /// # Errors
    /// When a source cannot be asked.
    pub(super) async fn look_for_moved(&mut self, databases: &mut [Box<dyn RowSource>]) -> Result<Vec<String>, Error> {
        let mut all = Vec::new();
        for (record, source) in self.sources.iter_mut().zip(databases) {
            record.moved = source.moved().await?;
            // By now it is known over how many connections its rows came.
            record.description = source.description();
            all.extend(record.moved.iter().map(|table| format!("{}.{table}", record.name)));
        }
        Ok(all)
    }

    /// Takes over how many identifiers the leak gate cannot look for.
    pub(super) fn not_searched(&mut self, skipped: Skipped) {
        self.skipped = skipped;
    }

    pub(super) fn expected_rows(&self) -> u64 {
        self.expected_rows
    }

    pub(super) fn feed(&mut self, feed: FeedRecord) {
        self.enter(Record::Feed(feed));
    }

    pub(super) fn file(&mut self, file: LoadedFile) {
        self.enter(Record::File(file));
    }

    pub(super) fn bill(&mut self, bill: &Bill, totals: &PartTotals) {
        let rejected = bill.rejected_count + totals.rows_quarantined;
        self.enter(Record::File(LoadedFile {
            file_ref: format!("bills/{}", bill.bill_ref),
            dataset: "bill_lines".into(),
            sha256: bill.sha256.to_string(),
            expected_sha256: None,
            rows: totals.rows_read + bill.rejected_count,
            rejected,
        }));
    }

    /// Files in name order.
    pub(super) fn files(&self) -> Vec<&LoadedFile> {
        let mut files: Vec<&LoadedFile> = self.ledger.files.iter().collect();
        files.sort_by(|a, b| a.file_ref.cmp(&b.file_ref));
        files
    }

    /// Raw tables in name order.
    fn raw_tables(&self) -> Vec<&RawRecord> {
        let mut tables: Vec<&RawRecord> = self.ledger.raw.iter().collect();
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        tables
    }

    pub(super) fn redactions(&mut self, counts: &[Redacted]) {
        for (dataset, column, kind, count) in counts {
            let place = self.redactions.entry(format!("{dataset}.{column}")).or_insert_with(|| json!({}));
            if let Value::Object(kinds) = place {
                kinds.insert(kind.clone(), json!(count));
            }
        }
    }

    pub(super) fn accepted_leaks(&mut self, hits: &[LeakHit], exceptions: &[LeakException]) {
        for hit in hits {
            let reason =
                exceptions.iter().find(|e| e.dataset == hit.dataset && e.column == hit.column).map(|e| &e.reason);
            self.accepted_leaks
                .push(json!({ "dataset": hit.dataset, "column": hit.column, "count": hit.count, "reason": reason }));
        }
    }

    /// Rows set aside.
    pub(super) fn quarantined(&self) -> u64 {
        self.ledger.feeds.iter().map(|f| f.totals.rows_quarantined).sum()
    }

    /// Rows written into tables.
    pub(super) fn rows_written(&self) -> u64 {
        self.ledger.feeds.iter().map(|f| f.totals.rows_written).sum()
    }

    /// Source = written + quarantined, for counts and every money column.
    ///
    /// # Errors
    /// [`Error::Reconcile`] naming every figure that differs.
    pub(super) fn reconcile(&self) -> Result<(), Error> {
        let mut mismatches = Vec::new();
        for feed in &self.ledger.feeds {
            let Some(control) = &feed.control else { continue };
            for m in reconcile(control, &feed.totals) {
                mismatches.push(format!(
                    "{} from {}: {} source {} own {}",
                    feed.dataset, feed.table, m.total, m.source, m.own
                ));
            }
        }
        mismatches.extend(self.raw_tables().into_iter().flat_map(RawRecord::mismatches));
        if mismatches.is_empty() { Ok(()) } else { Err(Error::Reconcile { mismatches }) }
    }

    /// Tables that no SELECT reads, with their rows.
    fn unmapped(&self) -> Vec<(&str, &TableInfo)> {
        let mut out = Vec::new();
        for source in &self.sources {
            for table in &source.tables {
                if !self.taken.iter().any(|(s, t)| *s == source.name && *t == table.name) {
                    out.push((source.name.as_str(), table));
                }
            }
        }
        out
    }

    pub(super) fn not_taken(&self) -> Vec<String> {
        self.unmapped().iter().map(|(source, t)| format!("{source}.{} ({})", t.name, t.rows)).collect()
    }

    /// Per dataset: rows, quarantined, sum of each money column, for the statement.
    pub(super) fn control_totals(&self) -> Map<String, Value> {
        let mut out: BTreeMap<String, (u64, u64, BTreeMap<String, i128>)> = BTreeMap::new();
        for feed in &self.ledger.feeds {
            let entry = out.entry(feed.dataset.clone()).or_default();
            entry.0 += feed.totals.rows_written;
            entry.1 += feed.totals.rows_quarantined;
            for (column, sum) in &feed.totals.sums {
                *entry.2.entry(column.clone()).or_default() += sum.written;
            }
        }
        for raw in &self.ledger.raw {
            out.insert(raw.name.clone(), (raw.rows(), 0, BTreeMap::new()));
        }
        out.into_iter()
            .map(|(dataset, (rows, quarantined, sums))| {
                let sums: BTreeMap<String, String> = sums.into_iter().map(|(k, v)| (k, v.to_string())).collect();
                (dataset, json!({ "rows": rows, "quarantined": quarantined, "sums": sums }))
            })
            .collect()
    }

    /// `data/custody/reconciliation.json`.
    pub(super) fn reconciliation(&self, case: &Case, tables: &[TableSummary]) -> Vec<u8> {
        let mut datasets = Map::new();
        for table in tables {
            let Some(dataset) = schema::dataset(&table.name) else { continue };
            let (from, to) = super::dataset_coverage(case, dataset);
            let feeds: Vec<Value> =
                self.ledger.feeds.iter().filter(|f| f.dataset == table.name).map(|f| self.feed_json(f)).collect();
            datasets.insert(
                table.name.clone(),
                json!({
                    "rows": table.rows,
                    "keyUnique": table.is_key_unique,
                    "coverage": { "from": from.to_string(), "to": to.to_string() },
                    "feeds": feeds,
                }),
            );
        }
        let not_mapped: Vec<Value> = self
            .unmapped()
            .iter()
            .map(|(source, t)| json!({ "source": source, "table": t.name, "rows": t.rows, "readable": t.is_readable }))
            .collect();
        let raw: Map<String, Value> = self.ledger.raw.iter().map(|r| (r.name.clone(), r.json())).collect();
        let value = json!({
            "reconciliationFormat": 1,
            "datasets": datasets,
            "raw": raw,
            "rawLeftOut": self.raw_left_out,
            "absent": self.absent,
            "notMapped": not_mapped,
            "redactions": self.redactions,
            "acceptedLeaks": self.accepted_leaks,
            "missingRegisters": self.missing_registers,
            "identifiersNotSearched": {
                "tooShort": self.skipped.too_short,
                "tooLong": self.skipped.too_long,
                "vocabulary": self.skipped.vocabulary,
                "digitsOnly": self.skipped.digits_only,
            },
        });
        pretty(&value)
    }

    fn feed_json(&self, feed: &FeedRecord) -> Value {
        let t = &feed.totals;
        let whole = self
            .sources
            .iter()
            .find(|s| s.name == feed.source)
            .and_then(|s| s.tables.iter().find(|table| table.name == feed.table))
            .map(|table| table.rows);
        let sums: BTreeMap<&str, Value> = t
            .sums
            .iter()
            .map(|(column, sum)| {
                let source = feed.control.as_ref().and_then(|c| c.sums.get(column)).map(ToString::to_string);
                let value = json!({
                    "written": sum.written.to_string(),
                    "quarantined": sum.control_quarantined.to_string(),
                    "source": source,
                    "sourceDigits": sum.control_digits,
                    "roundedOffE6": sum.rounded_off_e6().to_string(),
                });
                (column.as_str(), value)
            })
            .collect();
        json!({
            "source": feed.source,
            "table": feed.table,
            "kind": feed.kind,
            "sqlSha256": feed.sql.as_ref().map(|sql| crypto::sha256(sql.as_bytes())),
            "conditions": feed.conditions,
            "note": feed.note,
            "classOverrides": feed.class_overrides,
            "chain": feed.chain,
            "wholeTableRows": whole,
            "sourceRows": feed.control.as_ref().map(|c| c.rows),
            "independentTotals": feed.control.is_some(),
            "rowsRead": t.rows_read,
            "rowsWritten": t.rows_written,
            "rowsQuarantined": t.rows_quarantined,
            "quarantinedByReason": t.quarantined_by_reason,
            "sums": sums,
            "zeroSentinels": t.zero_sentinels,
            "rounded": t.rounded,
            "truncated": t.truncated,
            "moneyFromFloat": t.money_from_float,
            "emptyAsNull": t.empty_as_null,
            "unknownCodes": t.unknown_codes,
            "redacted": t.redacted,
        })
    }

    /// `data/custody/custody.jsonl`: one line per source, statement and file; and one about the sittings when the seal
    /// was interrupted, with the number of facts by which the sources proved unchanged.
    pub(super) fn custody(&self, sittings: &[Sitting], facts: usize) -> Vec<u8> {
        let mut lines: Vec<Value> = Vec::new();
        if sittings.len() > 1 {
            let sittings: Vec<Value> = sittings
                .iter()
                .map(|s| json!({ "beganAt": s.began_at, "snapshots": s.snapshots, "tables": s.tables }))
                .collect();
            lines.push(json!({ "event": "resumed", "sittings": sittings, "comparedFacts": facts }));
        }
        for s in &self.sources {
            lines.push(json!({
                "event": "source",
                "source": s.name,
                "engine": s.description.engine,
                "version": s.description.version,
                "settings": s.description.settings,
                "snapshot": s.description.snapshot,
                "mapping": s.mapping,
                "mappingSha256": s.mapping_sha256,
                "zone": s.zone,
                "zoneEvidence": s.zone_evidence,
                "tables": s.tables.len(),
                "outsideSnapshot": s.tables.iter().filter(|t| !t.is_transactional).map(|t| {
                    json!({ "table": t.name, "moved": s.moved.contains(&t.name) })
                }).collect::<Vec<_>>(),
            }));
        }
        for f in &self.ledger.feeds {
            if let Some(sql) = &f.sql {
                lines.push(json!({
                    "event": "select",
                    "source": f.source,
                    "dataset": f.dataset,
                    "table": f.table,
                    "sql": sql,
                    "sqlSha256": crypto::sha256(sql.as_bytes()),
                    "rows": f.totals.rows_read,
                }));
            }
        }
        for r in self.raw_tables().into_iter().filter(|r| r.carried_by.is_none()) {
            lines.push(json!({
                "event": "select",
                "source": r.source,
                "dataset": r.name,
                "table": r.table,
                "sql": r.sql,
                "sqlSha256": crypto::sha256(r.sql.as_bytes()),
                "rows": r.rows(),
            }));
        }
        for f in self.files() {
            lines.push(json!({
                "event": "file",
                "file": f.file_ref,
                "dataset": f.dataset,
                "sha256": f.sha256,
                "expectedSha256": f.expected_sha256,
                "rows": f.rows,
                "rejected": f.rejected,
            }));
        }
        lines.iter().flat_map(|l| format!("{l}\n").into_bytes()).collect()
    }
}

fn pretty(value: &Value) -> Vec<u8> {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text.into_bytes()
}
