use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::mpsc;

use super::*;
use crate::hint::Hint as _;
use crate::model::Exit;
use crate::rows::RawValue;

/// How a read of a reader goes wrong.
#[derive(Debug, Clone, Copy)]
enum Wrong {
    /// After so many batches, the connection is lost.
    LostAfter(usize),
    Locked,
    Refused,
}

/// A server: keys, who may read, and what goes wrong next.
#[derive(Debug, Default)]
struct Server {
    keys: Vec<Option<i64>>,
    text: String,
    /// Last entry first; `None` is a read that goes well.
    wrong: Mutex<Vec<Option<Wrong>>>,
    is_always_lost: bool,
    gives_no_readers: bool,
    holder_is_gone: AtomicBool,
    holder_reads: AtomicUsize,
    reader_reads: AtomicUsize,
}

#[derive(Debug)]
struct Fake {
    server: Arc<Server>,
    is_holder: bool,
}

fn lost() -> Error {
    Error::ConnectionLost { engine: "postgres" }
}

/// The number behind a word of a statement, which stands in parentheses or alone.
fn number(sql: &str, word: &str) -> Option<i64> {
    let rest = sql.split_once(word)?.1.trim_start_matches('(');
    rest.split([')', ' ']).next()?.parse().ok()
}

impl Fake {
    fn keys(&self, sql: &str) -> Vec<Option<i64>> {
        let (above, up_to) = (number(sql, "k > "), number(sql, "k <= "));
        let (has_keys, has_nulls) = (!sql.contains("IS NULL"), !sql.contains("IS NOT NULL"));
        let is_inside = |key: &&Option<i64>| match key {
            Some(k) => has_keys && above.is_none_or(|a| *k > a) && up_to.is_none_or(|u| *k <= u),
            None => above.is_none() && up_to.is_none() && has_nulls,
        };
        self.server.keys.iter().filter(is_inside).copied().collect()
    }

    fn next_wrong(&self) -> Option<Wrong> {
        if self.is_holder {
            return None;
        }
        let always = self.server.is_always_lost.then_some(Wrong::LostAfter(0));
        always.or_else(|| self.server.wrong.lock().unwrap().pop().flatten())
    }
}

impl RowSource for Fake {
    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn description(&self) -> SourceDescription {
        SourceDescription {
            engine: "postgres".into(),
            version: String::new(),
            snapshot: String::new(),
            settings: BTreeMap::new(),
        }
    }

    fn tables(&mut self) -> BoxFuture<'_, Result<Vec<TableInfo>, Error>> {
        let table = TableInfo {
            name: "t".into(),
            columns: vec![("k".into(), "bigint".into())],
            rows: self.server.keys.len() as u64,
            is_readable: true,
            is_transactional: true,
        };
        async { Ok(vec![table]) }.boxed()
    }

    fn columns<'a>(&'a mut self, _: &'a str) -> BoxFuture<'a, Result<Vec<SourceColumn>, Error>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn read<'a>(
        &'a mut self,
        select: Select<'a>,
        out: Sender<RawBatch>,
        _: &'a Cancel,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        async move {
            let count = if self.is_holder { &self.server.holder_reads } else { &self.server.reader_reads };
            let number = count.fetch_add(1, Ordering::SeqCst);
            let wrong = self.next_wrong();
            // Ranges end in another order than they began.
            tokio::time::sleep(Duration::from_millis([5, 0, 3, 1][number % 4])).await;
            match wrong {
                Some(Wrong::Locked) => return Err(Error::Locked { engine: "postgres" }),
                Some(Wrong::Refused) => return Err(Error::Sql { message: "no".into() }),
                Some(Wrong::LostAfter(0)) => return Err(lost()),
                Some(Wrong::LostAfter(_)) | None => {}
            }
            let keys = self.keys(select.sql);
            for (index, chunk) in keys.chunks(crate::rows::BATCH_ROWS_MAX).enumerate() {
                if matches!(wrong, Some(Wrong::LostAfter(batches)) if batches == index) {
                    return Err(lost());
                }
                let mut batch = RawBatch::new(2);
                for key in chunk {
                    batch.columns[0].push(key.map_or(RawValue::Null, RawValue::Int));
                    batch.columns[1].push(RawValue::Text(&self.server.text));
                }
                out.send(batch).await.map_err(|_| Error::ReceiverGone)?;
            }
            Ok(keys.len() as u64)
        }
        .boxed()
    }

    fn first_row<'a>(&'a mut self, select: Select<'a>) -> BoxFuture<'a, Result<Vec<Option<String>>, Error>> {
        async move {
            if self.server.holder_is_gone.load(Ordering::SeqCst) {
                return Err(lost());
            }
            let rows = number(select.sql, "LIMIT ").map_or(0, |n| usize::try_from(n).unwrap());
            let page: Vec<i64> = self.keys(select.sql).into_iter().flatten().take(rows).collect();
            Ok(vec![page.last().map(ToString::to_string), Some(page.len().to_string())])
        }
        .boxed()
    }

    fn explain<'a>(&'a mut self, select: Select<'a>) -> BoxFuture<'a, Result<QueryPlan, Error>> {
        let cost = Some(self.keys(select.sql).len() as u64);
        async move { Ok(QueryPlan { cost, ..QueryPlan::default() }) }.boxed()
    }

    fn fork(&mut self) -> BoxFuture<'_, Result<Option<Box<dyn RowSource>>, Error>> {
        let fork: Box<dyn RowSource> = Box::new(Self { server: Arc::clone(&self.server), is_holder: false });
        let is_given = !self.server.gives_no_readers;
        async move { Ok(is_given.then_some(fork)) }.boxed()
    }

    fn moved(&mut self) -> BoxFuture<'_, Result<Vec<String>, Error>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn privileges(&mut self) -> BoxFuture<'_, Result<Privileges, Error>> {
        async { Ok(Privileges::default()) }.boxed()
    }
}

/// 150,000 keys with gaps, below zero too, one of them often, and rows without one: six ranges.
fn server() -> Server {
    let mut keys: Vec<Option<i64>> =
        (-50_000..100_000).map(|k: i64| Some(if k < 0 { k * 1000 } else { k / 2 })).collect();
    keys.extend([Some(60_000); 20_000]);
    keys.extend([None; 10]);
    Server { keys, ..Server::default() }
}

/// What comes out over so many connections, what was told, and the settings custody gets.
async fn read(
    server: &Arc<Server>,
    connections: usize,
    mut meanwhile: impl FnMut(),
) -> (Result<u64, Error>, Vec<Option<i64>>, usize, BTreeMap<String, String>) {
    let cut = KeyCut {
        table: "s.t".into(),
        column: "k".into(),
        table_sql: "t".into(),
        column_sql: "k".into(),
        key_sql: "k".into(),
        head: "SELECT k FROM t WHERE ".into(),
        tail: " ORDER BY k".into(),
    };
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    let replaced: Replaced = Box::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let holder = Box::new(Fake { server: Arc::clone(server), is_holder: true });
    let mut source = Readers::new(holder, connections - 1, replaced);
    source.pause = Duration::from_millis(2);
    source.tables().await.unwrap();
    let (sender, mut receiver) = mpsc::channel(1);
    let cancel = Cancel::default();
    let select = Select { sql: "SELECT k FROM t ORDER BY k", values: &[] };
    let (rows, keys) = tokio::join!(source.read_cut(select, Some(&cut), sender, &cancel), async {
        let mut keys = Vec::new();
        while let Some(batch) = receiver.recv().await {
            meanwhile();
            keys.extend((0..batch.rows()).map(|i| match batch.columns[0].get(i) {
                RawValue::Int(key) => Some(key),
                _ => None,
            }));
        }
        keys
    });
    (rows, keys, told.load(Ordering::SeqCst), source.description().settings)
}

/// Whatever order ranges are read in, they are handed on in the order of their keys, and the holder reads none.
#[tokio::test]
async fn ranges_are_handed_on_in_order() {
    for connections in [2, 3, 5, 16] {
        let server = Arc::new(server());
        let (rows, keys, told, settings) = read(&server, connections, || {}).await;
        assert_eq!(rows.unwrap(), server.keys.len() as u64);
        assert!(keys == server.keys, "{connections}");
        assert_eq!((told, server.holder_reads.load(Ordering::SeqCst)), (0, 0));
        assert_eq!(server.reader_reads.load(Ordering::SeqCst), 7, "six ranges of keys, one without");
        assert_eq!(settings["reader_connections"], (connections - 1).to_string());
    }
}

/// One connection, an engine without forks, a small table: the holder reads the statement as it is.
#[tokio::test]
async fn what_the_holder_reads_alone() {
    for (server, connections) in [
        (server(), 1),
        (Server { gives_no_readers: true, ..server() }, 4),
        (Server { keys: (0..1000).map(Some).collect(), ..Server::default() }, 4),
    ] {
        let server = Arc::new(server);
        let (rows, keys, _, settings) = read(&server, connections, || {}).await;
        assert!(rows.is_ok() && keys == server.keys);
        assert_eq!(server.holder_reads.load(Ordering::SeqCst), 1);
        assert!(settings.is_empty());
    }
}

/// Ranges whose reader is lost, at whatever batch, are read again by another; nothing comes twice.
#[tokio::test]
async fn lost_ranges_are_read_again() {
    for connections in [2, 4] {
        let wrong = [0, 3, 1].map(|batches| Some(Wrong::LostAfter(batches))).to_vec();
        let server = Arc::new(Server { wrong: Mutex::new(wrong), ..server() });
        let (rows, keys, told, settings) = read(&server, connections, || {}).await;
        assert!(rows.is_ok() && keys == server.keys, "{rows:?}");
        assert_eq!((told, server.holder_reads.load(Ordering::SeqCst)), (3, 0));
        assert_eq!(settings["reader_connections_replaced"], "3");
    }
}

/// When no reader gets anything done, the holder reads, range by range; so it does for what readers may not lock.
#[tokio::test]
async fn the_holder_reads_what_no_reader_can() {
    let server = Arc::new(Server { is_always_lost: true, ..server() });
    let (rows, keys, told, _) = read(&server, 3, || {}).await;
    assert!(rows.is_ok() && keys == server.keys, "{rows:?}");
    assert_eq!(server.holder_reads.load(Ordering::SeqCst), 7);
    assert_eq!(told, 8, "two readers, each range four times");

    let server = Arc::new(Server { wrong: Mutex::new(vec![Some(Wrong::Locked); 2]), ..self::server() });
    let (rows, keys, told, _) = read(&server, 3, || {}).await;
    assert!(rows.is_ok() && keys == server.keys, "{rows:?}");
    assert_eq!((told, server.holder_reads.load(Ordering::SeqCst)), (2, 7));
}

/// Without the snapshot there is no other read; nor is there for what another read would meet again.
#[tokio::test]
async fn what_ends_the_read() {
    let wrong = vec![Some(Wrong::LostAfter(1)), None];
    let server = Arc::new(Server { wrong: Mutex::new(wrong), ..server() });
    let gone = Arc::clone(&server);
    let end = move || gone.holder_is_gone.store(true, Ordering::SeqCst);
    let (rows, keys, told, _) = read(&server, 2, end).await;
    let error = rows.unwrap_err();
    assert_eq!((error.exit(), told), (Exit::Io, 0), "{error}");
    assert!(!keys.is_empty() && server.keys.starts_with(&keys));

    let server = Arc::new(Server { wrong: Mutex::new(vec![Some(Wrong::Refused)]), ..self::server() });
    let (rows, keys, told, _) = read(&server, 2, || {}).await;
    assert!(matches!(rows, Err(Error::Sql { .. })) && keys.is_empty() && told == 0);
}

/// Ranges too large to be held stream in their turn. One that was lost while it streamed ends the read.
#[tokio::test]
async fn large_ranges_stream() {
    // Over sixteen connections, each range may hold 8 MiB: less than 32,768 of these.
    let text = "x".repeat(400);
    let server = Arc::new(Server { text: text.clone(), ..server() });
    let (rows, keys, ..) = read(&server, 16, || {}).await;
    assert!(rows.is_ok() && keys == server.keys);

    let server = Arc::new(Server { text, wrong: Mutex::new(vec![Some(Wrong::LostAfter(3))]), ..self::server() });
    let (rows, keys, told, _) = read(&server, 16, || {}).await;
    assert!(matches!(rows, Err(Error::ConnectionLost { .. })) && told == 0, "{rows:?}");
    assert!(server.keys.starts_with(&keys));
}
