//! What a seal will ask of the sources and of this disk.

use std::path::Path;

use serde_json::{Value, json};

use super::findings::{Findings, Mark, Topic};
use crate::config::Case;
use crate::config::case::SourceLocation;
use crate::mapping::{Part, staff_sql};
use crate::model::{Bilingual, Engine, Exit};
use crate::ops::places;
use crate::ops::seal::CONNECTIONS_DEFAULT;
use crate::ops::seal::plan::{Database, Plan};
use crate::source::database::TableInfo;

/// Rows a second through the whole seal: below what was measured on two cores (ARCHITECTURE.md, Measurements), because
/// a server is farther away than a file.
const ROWS_PER_SECOND: u64 = 50_000;
/// Bytes a row takes in an archive: twice what was measured with both layers, for wider rows.
const BYTES_PER_ROW: u64 = 64;
/// An archive has this much besides rows: manifests, keys, reconciliation.
const BYTES_BESIDES: u64 = 4 << 20;
/// A snapshot that lives longer holds up changes of tables (MySQL) and the removal of old row versions (PostgreSQL).
const LONG_SNAPSHOT_MINUTES: u64 = 30;

/// One table and what is read from it.
#[derive(Debug)]
struct Read {
    source: String,
    dataset: &'static str,
    table: String,
    rows: u64,
}

/// The load of all sources.
#[derive(Debug, Default)]
pub(super) struct Load {
    reads: Vec<Read>,
    connections: u64,
    statements: u64,
    bytes: u64,
    minutes: u64,
    free_bytes: Option<u64>,
}

impl Load {
    /// Takes over what a mapping reads from a database.
    pub(super) fn source(&mut self, database: &Database, parts: &[Part], tables: &[TableInfo]) {
        // Only PostgreSQL's snapshot can be read over several.
        let is_shared = matches!(database.config.location, SourceLocation::Server { engine: Engine::Postgres, .. });
        self.connections += if is_shared { CONNECTIONS_DEFAULT.into() } else { 1 };
        // Every table is counted once, and the largest keys and times are asked of those that are read.
        let is_read = |t: &TableInfo| parts.iter().any(|p| p.tables.iter().any(|n| n.eq_ignore_ascii_case(&t.name)));
        self.statements += (tables.len() + tables.iter().filter(|t| is_read(t)).count()) as u64;
        for part in parts {
            // Its rows, its control totals, and its staff where it has any.
            self.statements += 2 + u64::from(staff_sql(part).is_some());
            let rows = tables.iter().find(|t| t.name.eq_ignore_ascii_case(&part.table)).map_or(0, |t| t.rows);
            self.reads.push(Read {
                source: database.name.clone(),
                dataset: part.dataset.name,
                table: part.table.clone(),
                rows,
            });
        }
    }

    fn rows(&self) -> u64 {
        self.reads.iter().map(|r| r.rows).sum()
    }

    /// Estimates time and size and compares them with what there is.
    pub(super) fn judge(&mut self, case: &Case, plan: &Plan, findings: &mut Findings) {
        let rows = self.rows() + plan.bills.iter().map(|b| b.rows).sum::<u64>();
        let seconds = rows.div_ceil(ROWS_PER_SECOND);
        self.minutes = seconds.div_ceil(60);
        self.bytes = rows * BYTES_PER_ROW + BYTES_BESIDES;
        let (connections, statements, minutes) = (self.connections, self.statements, self.minutes);
        let text = Bilingual::new(
            format!(
                "约 {rows} 行；至多 {connections} 个连接、{statements} 条语句，每个快照最长约 {minutes} 分钟（按每秒 {ROWS_PER_SECOND} 行估算）"
            ),
            format!(
                "about {rows} rows; up to {connections} connections, {statements} statements, the longest snapshot about {minutes} minutes (at {ROWS_PER_SECOND} rows a second)"
            ),
        );
        let mark = if minutes > LONG_SNAPSHOT_MINUTES { Mark::Note } else { Mark::Ok };
        let details =
            self.reads.iter().map(|r| format!("{} ← {}.{} ({})", r.dataset, r.source, r.table, r.rows)).collect();
        findings.add(mark, Topic::Load, None, text).details(details);
        self.disk(&places::archives(case), findings);
    }

    fn disk(&mut self, out: &Path, findings: &mut Findings) {
        // The folder may not be there yet; then its nearest parent is asked.
        let Some(existing) = out.ancestors().find(|p| p.exists()) else { return };
        let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
        let needed = self.bytes.div_ceil(1 << 20);
        match fs4::available_space(existing) {
            Ok(free) => {
                self.free_bytes = Some(free);
                let free_mib = free >> 20;
                let text = Bilingual::new(
                    format!("存档约需 {needed} MiB，可用 {free_mib} MiB"),
                    format!("an archive takes about {needed} MiB, {free_mib} MiB are free"),
                );
                if free < self.bytes {
                    findings.add(Mark::Problem, Topic::Disk, None, text).exit(Exit::Io);
                } else {
                    findings.add(Mark::Ok, Topic::Disk, None, text);
                }
            }
            Err(e) => {
                let kind = e.kind();
                let text = Bilingual::new(
                    format!("存档约需 {needed} MiB；可用空间未知（{kind}）"),
                    format!("an archive takes about {needed} MiB; the free space is not known ({kind})"),
                );
                findings.add(Mark::Note, Topic::Disk, None, text);
            }
        }
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        let reads: Vec<Value> = self
            .reads
            .iter()
            .map(|r| json!({ "source": r.source, "dataset": r.dataset, "table": r.table, "rows": r.rows }))
            .collect();
        json!({
            "rows": self.rows(),
            "rowsPerSecond": ROWS_PER_SECOND,
            "connections": self.connections,
            "statements": self.statements,
            "longestSnapshotMinutes": self.minutes,
            "archiveBytes": self.bytes,
            "freeBytes": self.free_bytes,
            "reads": reads,
        })
    }
}
