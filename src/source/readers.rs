//! Several connections that read one snapshot: large tables in ranges of their key, in order, and again where a
//! connection is lost.
//!
//! One connection holds the snapshot and does everything but read large tables; while it lives, readers can be opened
//! and replaced. A range is handed on only when it was read to its end, so that whatever ends a reader (a lost
//! connection, a deadlock, a time-out) costs that range another read and nothing else. Ranges are handed on strictly in
//! the order of the key: what comes out is what the plain way gives.
//!
//! Limits: a range whose rows take more than [`HELD_BYTES_MAX`] waits until all before it are handed on and then streams;
//! once rows of it are handed on, it cannot be read again. What the snapshot's own connection reads cannot be read
//! again either.

mod range;
mod reading;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::mpsc::Sender;

use super::Error;
use super::database::{Privileges, QueryPlan, RowSource, Select, SourceColumn, SourceDescription, TableInfo};
use super::server::unless_cancelled;
use crate::model::Engine;
use crate::progress::Cancel;
use crate::rows::{KeyCut, RawBatch};
use range::{Cutter, RANGE_ROWS, Range};
use reading::{Reading, Work};

/// Memory of all ranges that are held back, in bytes; a source shares it among its connections.
const HELD_BYTES_MAX: usize = 128 << 20;
/// How often one range is read again by another reader; after that the holder reads it.
const AGAIN_MAX: u32 = 3;
/// How long to wait before a range is read again the first time: a busy server gets its moment.
const PAUSE: Duration = Duration::from_millis(300);
/// Ranges may cost this much more than the whole statement, in per cent, by the server's own estimate.
const COST_PERCENT_MAX: u64 = 150;

/// Is told why a connection is replaced.
pub type Replaced = Box<dyn Fn(&Error) + Send + Sync>;

/// A source with further connections that read its large tables.
pub(super) struct Readers {
    /// Holds the snapshot.
    holder: Box<dyn RowSource>,
    /// Readers that have nothing to do.
    idle: Vec<Box<dyn RowSource>>,
    readers_max: usize,
    /// How long to wait before a range is read again the first time.
    pause: Duration,
    /// Whether the engine can have readers at all.
    can_fork: bool,
    /// By name, as far as they were asked for.
    tables: BTreeMap<String, TableInfo>,
    /// Readers open at the same time, at most so far.
    opened: usize,
    replaced: u64,
    on_replaced: Replaced,
}

impl Readers {
    /// `readers_max` connections beside the one of `holder`, opened when they are needed first.
    pub(super) fn new(holder: Box<dyn RowSource>, readers_max: usize, on_replaced: Replaced) -> Self {
        Self {
            holder,
            idle: Vec::new(),
            readers_max,
            pause: PAUSE,
            can_fork: true,
            tables: BTreeMap::new(),
            opened: 0,
            replaced: 0,
            on_replaced,
        }
    }

    /// Opens the readers that are missing; fewer where the server has no room for more.
    async fn open_readers(&mut self) {
        while self.can_fork && self.idle.len() < self.readers_max {
            match self.holder.fork().await {
                Ok(Some(reader)) => self.idle.push(reader),
                Ok(None) => self.can_fork = false,
                // Fewer do as well; that the snapshot itself is gone shows in the next statement.
                Err(_) => break,
            }
        }
        self.opened = self.opened.max(self.idle.len());
    }

    /// Where to begin reading in ranges, if that is worth it: a large table with whole numbers as its key, and a server
    /// that finds the ranges by an index rather than by reading the table once for each.
    async fn first_range<'c>(&mut self, select: &Select<'_>, cut: &'c KeyCut) -> Option<(Cutter<'c>, Range)> {
        let table = self.table(cut)?;
        let declared = table.columns.iter().find(|(name, _)| *name == cut.column).map(|(_, ty)| ty.as_str());
        let is_counted = declared.is_some_and(|ty| ["smallint", "integer", "bigint"].contains(&ty));
        let rows = table.rows;
        if !self.can_fork || !is_counted || !table.is_transactional || rows <= RANGE_ROWS {
            return None;
        }
        // Whatever cannot be asked here is not worth an error: the plain way tells what is wrong.
        let mut cutter = Cutter::new(cut);
        let page = cutter.page_sql(None);
        if self.holder.explain(Select { sql: &page, values: &[] }).await.ok()?.has_sort {
            return None;
        }
        let range = cutter.next(self.holder.as_mut()).await.ok()??;
        let mut cost = [0; 3];
        let sql = [select.sql.to_owned(), range.sql(cut), Range::Null.sql(cut)];
        for (cost, sql) in cost.iter_mut().zip(&sql) {
            *cost = self.holder.explain(Select { sql, values: select.values }).await.ok()?.cost?;
        }
        let [whole, one, nulls] = cost;
        let all = (one.saturating_mul(rows) / RANGE_ROWS).saturating_add(nulls);
        if all.saturating_mul(100) > whole.saturating_mul(COST_PERCENT_MAX) {
            return None;
        }
        self.open_readers().await;
        (!self.idle.is_empty()).then_some((cutter, range))
    }

    fn table(&self, cut: &KeyCut) -> Option<&TableInfo> {
        // Tables of the connection's own schemas are listed by their bare names.
        let bare = || cut.table.rsplit_once('.').map(|(_, name)| name);
        self.tables.get(&cut.table).or_else(|| self.tables.get(bare()?))
    }

    async fn in_ranges(&mut self, mut cutter: Cutter<'_>, first: Range, work: &Work<'_>) -> Result<u64, Error> {
        let mut next = Some(first);
        let mut running: VecDeque<Reading> = VecDeque::new();
        let mut held: Vec<RawBatch> = Vec::new();
        let mut total = 0;
        loop {
            // Readers get their next range before rows are handed on, which takes its time.
            while let Some(reader) = self.idle.pop() {
                let range = match next.take() {
                    Some(range) => Some(range),
                    None => cutter.next(self.holder.as_mut()).await?,
                };
                match range {
                    Some(range) => running.push_back(Reading::start(reader, range, 0, work)),
                    None => {
                        self.idle.push(reader);
                        break;
                    }
                }
            }
            for batch in held.drain(..) {
                work.out.send(batch).await.map_err(|_| Error::ReceiverGone)?;
            }
            let Some(mut reading) = running.pop_front() else {
                // Without any reader left, the holder does what remains.
                match cutter.next(self.holder.as_mut()).await? {
                    Some(range) => total += self.by_holder(&range, work).await?,
                    None => return Ok(total),
                }
                continue;
            };
            while let Some(batch) = reading.streamed().await {
                work.out.send(batch).await.map_err(|_| Error::ReceiverGone)?;
            }
            let (range, again) = (reading.range(), reading.again());
            let done = reading.end().await?;
            match done.rows {
                Ok(rows) => {
                    total += rows;
                    cutter.fit(rows, done.bytes, work.held_bytes_max);
                    self.idle.push(done.reader);
                    held = done.held;
                }
                Err(error) => {
                    drop(done.reader);
                    if done.has_streamed || !may_pass(&error) {
                        return Err(error);
                    }
                    match self.replace(&error, again, work.cancel).await? {
                        Some(reader) => running.push_front(Reading::start(reader, range, again + 1, work)),
                        None => total += self.by_holder(&range, work).await?,
                    }
                }
            }
        }
    }

    /// A reader in place of one that ended with `error`; `None` where it is better to let the holder read.
    ///
    /// # Errors
    /// When the snapshot is gone.
    async fn replace(
        &mut self,
        error: &Error,
        again: u32,
        cancel: &Cancel,
    ) -> Result<Option<Box<dyn RowSource>>, Error> {
        let pause = async {
            tokio::time::sleep(self.pause * (again + 1)).await;
            Ok(())
        };
        unless_cancelled(cancel, pause).await?;
        self.holder.first_row(Select { sql: "SELECT 1", values: &[] }).await?;
        self.replaced += 1;
        (self.on_replaced)(error);
        // The holder has its locks already, which a new reader would wait for in vain.
        if again >= AGAIN_MAX || matches!(error, Error::Locked { .. }) {
            return Ok(None);
        }
        Ok(self.holder.fork().await.unwrap_or_default())
    }

    async fn by_holder(&mut self, range: &Range, work: &Work<'_>) -> Result<u64, Error> {
        let sql = range.sql(work.cut);
        self.holder.read(Select { sql: &sql, values: work.values }, work.out.clone(), work.cancel).await
    }
}

/// Whether the same statement may succeed on another connection to the same snapshot.
fn may_pass(error: &Error) -> bool {
    matches!(
        error,
        Error::ConnectionLost { .. } | Error::Stopped { .. } | Error::Locked { .. } | Error::Unreachable { .. }
    )
}

impl RowSource for Readers {
    fn engine(&self) -> Engine {
        self.holder.engine()
    }

    fn description(&self) -> SourceDescription {
        let mut description = self.holder.description();
        if self.opened > 0 {
            description.settings.insert("reader_connections".into(), self.opened.to_string());
            description.settings.insert("reader_connections_replaced".into(), self.replaced.to_string());
        }
        description
    }

    fn tables(&mut self) -> BoxFuture<'_, Result<Vec<TableInfo>, Error>> {
        async move {
            let tables = self.holder.tables().await?;
            self.tables = tables.iter().map(|t| (t.name.clone(), t.clone())).collect();
            Ok(tables)
        }
        .boxed()
    }

    fn primary_key<'a>(&'a mut self, table: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        self.holder.primary_key(table)
    }

    fn columns<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<Vec<SourceColumn>, Error>> {
        self.holder.columns(sql)
    }

    fn read<'a>(
        &'a mut self,
        select: Select<'a>,
        out: Sender<RawBatch>,
        cancel: &'a Cancel,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        self.holder.read(select, out, cancel)
    }

    fn read_cut<'a>(
        &'a mut self,
        select: Select<'a>,
        cut: Option<&'a KeyCut>,
        out: Sender<RawBatch>,
        cancel: &'a Cancel,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        async move {
            if let Some(cut) = cut
                && let Some((cutter, first)) = self.first_range(&select, cut).await
            {
                let held_bytes_max = HELD_BYTES_MAX / (self.readers_max + 1);
                let work = Work { cut, values: select.values, out: &out, cancel, held_bytes_max };
                return self.in_ranges(cutter, first, &work).await;
            }
            self.holder.read(select, out, cancel).await
        }
        .boxed()
    }

    fn first_row<'a>(&'a mut self, select: Select<'a>) -> BoxFuture<'a, Result<Vec<Option<String>>, Error>> {
        self.holder.first_row(select)
    }

    fn explain<'a>(&'a mut self, select: Select<'a>) -> BoxFuture<'a, Result<QueryPlan, Error>> {
        self.holder.explain(select)
    }

    fn change_marks(&self) -> BTreeMap<String, String> {
        self.holder.change_marks()
    }

    fn moved(&mut self) -> BoxFuture<'_, Result<Vec<String>, Error>> {
        self.holder.moved()
    }

    fn privileges(&mut self) -> BoxFuture<'_, Result<Privileges, Error>> {
        self.holder.privileges()
    }
}
