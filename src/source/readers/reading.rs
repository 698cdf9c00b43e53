//! One range on its way through one connection.

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use super::range::Range;
use crate::progress::Cancel;
use crate::rows::{KeyCut, RawBatch};
use crate::source::Error;
use crate::source::database::{RowSource, Select};

/// What all ranges of a read have in common.
pub(super) struct Work<'w> {
    pub(super) cut: &'w KeyCut,
    pub(super) values: &'w [String],
    pub(super) out: &'w Sender<RawBatch>,
    pub(super) cancel: &'w Cancel,
    /// Memory the rows of one range may take before it streams.
    pub(super) held_bytes_max: usize,
}

/// How the read of a range ended.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) reader: Box<dyn RowSource>,
    pub(super) rows: Result<u64, Error>,
    /// The rows that were not streamed.
    pub(super) held: Vec<RawBatch>,
    /// Memory of all its rows.
    pub(super) bytes: usize,
    /// Whether rows were streamed, so that the range cannot be read again.
    pub(super) has_streamed: bool,
}

/// A range that is being read on a task of its own, which ends with this value.
#[derive(Debug)]
pub(super) struct Reading {
    range: Range,
    again: u32,
    stream: Receiver<RawBatch>,
    task: JoinHandle<Done>,
}

impl Reading {
    /// Starts to read; `again` is how often the range was read before.
    pub(super) fn start(reader: Box<dyn RowSource>, range: Range, again: u32, work: &Work<'_>) -> Self {
        let (out, stream) = channel(1);
        let (sql, values) = (range.sql(work.cut), work.values.to_vec());
        let (cancel, held_bytes_max) = (work.cancel.clone(), work.held_bytes_max);
        let task = tokio::spawn(async move { read(reader, &sql, &values, &cancel, out, held_bytes_max).await });
        Self { range, again, stream, task }
    }

    pub(super) fn range(&self) -> Range {
        self.range
    }

    pub(super) fn again(&self) -> u32 {
        self.again
    }

    /// The next batch of a range too large to be held; `None` when there is none any more. Only asked for when it is
    /// this range's turn: until then, it waits.
    pub(super) async fn streamed(&mut self) -> Option<RawBatch> {
        self.stream.recv().await
    }

    /// Waits for the end.
    pub(super) async fn end(mut self) -> Result<Done, Error> {
        (&mut self.task).await.map_err(|_| Error::ReceiverGone)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read(
    mut reader: Box<dyn RowSource>,
    sql: &str,
    values: &[String],
    cancel: &Cancel,
    out: Sender<RawBatch>,
    held_bytes_max: usize,
) -> Done {
    let (sender, mut batches) = channel(1);
    let hold = async {
        let (mut held, mut held_bytes, mut bytes, mut has_streamed) = (Vec::new(), 0, 0, false);
        while let Some(batch) = batches.recv().await {
            let size = RawBatch::memory_bytes(&batch);
            bytes += size;
            held_bytes += size;
            held.push(batch);
            if held_bytes > held_bytes_max {
                held_bytes = 0;
                for batch in held.drain(..) {
                    has_streamed = true;
                    if out.send(batch).await.is_err() {
                        // Nobody waits for the rows: the read is told so.
                        batches.close();
                        return (Vec::new(), bytes, has_streamed);
                    }
                }
            }
        }
        (held, bytes, has_streamed)
    };
    let (rows, (held, bytes, has_streamed)) = tokio::join!(reader.read(Select { sql, values }, sender, cancel), hold);
    Done { reader, rows, held, bytes, has_streamed }
}
