//! Scratch databases on real servers, for tests that are ignored where there is none.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sealport::crypto::Secret;
use sealport::model::Engine;
use sealport::ops::Passwords;
use sealport::rows::{RawBatch, RawValue};
use sealport::source::database::{Location, Select};
use sealport::source::{Address, RowSource};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use url::Url;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A database of its own on the server that the environment names; dropped with the value.
pub(crate) struct Scratch {
    pub(crate) engine: Engine,
    /// Its address, without the password.
    pub(crate) url: Url,
    password: Option<String>,
    admin: Url,
    name: String,
}

impl Scratch {
    /// An empty database on PostgreSQL.
    pub(crate) fn postgres() -> Self {
        Self::new(Engine::Postgres, "SEALPORT_TEST_POSTGRES")
    }

    /// An empty database on MySQL or MariaDB.
    pub(crate) fn mysql() -> Self {
        Self::new(Engine::MySql, "SEALPORT_TEST_MYSQL")
    }

    fn new(engine: Engine, variable: &str) -> Self {
        let admin: Url = std::env::var(variable)
            .unwrap_or_else(|_| panic!("{variable} names no server: this test must not pass without one"))
            .parse()
            .unwrap();
        let name = format!("sealport_it_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        let password = admin.password().map(str::to_owned);
        let mut url = admin.clone();
        url.set_path(&name);
        url.set_password(None).unwrap();
        let scratch = Self { engine, url, password, admin, name };
        scratch.administer(&format!("CREATE DATABASE {}", scratch.name));
        scratch
    }

    fn administer(&self, sql: &str) {
        run(self.engine, &self.admin, sql);
    }

    /// Runs statements in the database.
    pub(crate) fn sql(&self, statements: &str) {
        let mut url = self.url.clone();
        url.set_password(self.password.as_deref()).unwrap();
        run(self.engine, &url, statements);
    }

    /// Opens it as a source.
    pub(crate) async fn open(&self) -> Box<dyn RowSource> {
        sealport::source::open(&self.location()).await.unwrap()
    }

    pub(crate) fn location(&self) -> Location {
        Location::Server(Address { engine: self.engine, url: self.url.clone(), password: self.secret() })
    }

    /// The password, for a connection of the test's own.
    pub(crate) fn secret(&self) -> Option<Secret> {
        self.password.as_ref().map(|p| Secret::new(p.clone().into_bytes()))
    }

    /// The address for another account of the server, and its password.
    pub(crate) fn as_account(&self, name: &str, password: &str) -> (Url, Arc<dyn Passwords>) {
        let mut url = self.url.clone();
        url.set_username(name).unwrap();
        (url, Arc::new(Known(Some(Secret::new(password.as_bytes().to_vec())))))
    }

    /// Gives the password of this server to whoever asks.
    pub(crate) fn passwords(&self) -> Arc<dyn Passwords> {
        Arc::new(Known(self.secret()))
    }
}

struct Known(Option<Secret>);

impl Passwords for Known {
    fn given(&self, _: &str) -> Option<Secret> {
        self.0.clone()
    }
    fn ask(&self, _: &str) -> Option<Secret> {
        None
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let force = if self.engine == Engine::Postgres { " WITH (FORCE)" } else { "" };
        self.administer(&format!("DROP DATABASE IF EXISTS {}{force}", self.name));
    }
}

/// Runs statements, on a thread and runtime of its own so that it works inside and outside of async tests.
fn run(engine: Engine, url: &Url, statements: &str) {
    let (url, statements) = (url.clone(), statements.to_owned());
    let work = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            match engine {
                Engine::Postgres => {
                    let mut c = sqlx::PgConnection::connect(url.as_str()).await.unwrap();
                    c.execute(sqlx::raw_sql(AssertSqlSafe(statements))).await.unwrap();
                }
                _ => {
                    let mut c = sqlx::MySqlConnection::connect(url.as_str()).await.unwrap();
                    // As an application of today's default settings would write, zero dates included.
                    c.execute("SET SESSION sql_mode = '', time_zone = '+00:00'").await.unwrap();
                    c.execute(sqlx::raw_sql(AssertSqlSafe(statements))).await.unwrap();
                }
            }
        });
    };
    std::thread::spawn(work).join().unwrap();
}

/// All cells of a SELECT as texts, columns outside, rows inside.
pub(crate) async fn cells(source: &mut dyn RowSource, sql: &str, values: &[String]) -> Vec<Vec<String>> {
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<RawBatch>(2);
    let cancel = sealport::progress::Cancel::default();
    let (read, out) = tokio::join!(source.read(Select { sql, values }, sender, &cancel), async {
        let mut out: Vec<Vec<String>> = Vec::new();
        while let Some(batch) = receiver.recv().await {
            texts(&batch, &mut out);
        }
        out
    });
    read.unwrap();
    out
}

/// Appends the cells of a batch as texts, columns outside, rows inside.
pub(crate) fn texts(batch: &RawBatch, out: &mut Vec<Vec<String>>) {
    out.resize(batch.columns.len(), Vec::new());
    for (column, cells) in out.iter_mut().zip(&batch.columns) {
        column.extend((0..cells.len()).map(|i| match cells.get(i) {
            RawValue::Null => "NULL".to_owned(),
            RawValue::Int(i) => format!("int {i}"),
            RawValue::Real(x) => format!("real {x}"),
            RawValue::Text(s) => format!("text {s}"),
            RawValue::Bytes(b) => format!("bytes {b:?}"),
        }));
    }
}

/// Writes a case folder whose only source is this database.
pub(crate) fn write_case(dir: &Path, url: &str, mapping: &str) {
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(
        dir.join("case.toml"),
        format!(
            "format = 1\n[case]\nkind = \"audit\"\ntitle = \"Engines\"\nmerchant = \"Example Fruit Ltd\"\nstream = \"engines\"\n\
             as_of = 2026-10-01T00:00:00+08:00\nwindow = {{ from = 2026-01-01, to = 2026-10-01 }}\n\
             [[source]]\nname = \"shop\"\nurl = \"{url}\"\nmapping = \"{mapping}\"\n"
        ),
    )
    .unwrap();
}
