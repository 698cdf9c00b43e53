//! The sample merchant: a fruit chain of sixty shops, as a whole case folder.
//!
//! Responsible for an ordinary application database with its mapping, platform bills, registers, keys for tests
//! only, and `truth.json`, the list of every planted fault. Not responsible for reading any of it back. Everything
//! depends on the seed alone. Limits: persons, companies, numbers and texts are invented; phones lie in the range
//! 1990000xxxx (staff) and 199001xxxxx (customers).

mod accounts;
mod alipay;
mod bills;
mod books;
mod database;
mod faults;
mod files;
mod keys;
mod local;
mod merchant;
mod orders;
mod people;
mod permissions;
mod prng;
mod registers;
mod season;
mod systems;
mod tables;
mod trade;
mod unionpay;
mod zip;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::mpsc;

use self::bills::Bills;
use self::books::Books;
pub use self::faults::FaultSelection;
use self::faults::Truth;
pub use self::keys::{staff_token, test_only_key};
use self::people::World;
pub use self::systems::{SystemSpec, names as system_names, write as write_system};
use self::tables::Sink;
use self::trade::Trade;
use crate::fsio;
use crate::hint::Hint;
use crate::model::{Exit, Lang};
use crate::progress::{Cancel, Interrupted, Progress, Stage, Task};

/// Fewest orders of a sample: fewer would not have room for every kind of fault.
pub const ORDERS_MIN: u64 = 1_000;
/// Most orders of a sample: more would need longer numbers.
pub const ORDERS_MAX: u64 = 100_000_000;
/// Batches between the generator and the database.
const QUEUE: usize = 8;

/// What to make.
#[derive(Debug, Clone)]
pub struct SynthSpec {
    /// Number of orders, roughly: some faults need an order more.
    pub orders: u64,
    /// Everything depends on it.
    pub seed: u64,
    /// Which faults to plant.
    pub faults: FaultSelection,
}

/// What was made.
#[derive(Debug, Clone)]
pub struct SynthSummary {
    /// The case folder.
    pub dir: PathBuf,
    /// Rows that sealing must yield per dataset, computed without the mapping.
    pub rows: BTreeMap<String, u64>,
    /// Findings that a complete check must report.
    pub faults: u64,
    /// Policies among them.
    pub policies: Vec<String>,
}

/// The sample could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too few or too many orders.
    #[error("{orders} orders is not between {ORDERS_MIN} and {max}")]
    Orders {
        /// Number asked for.
        orders: u64,
        /// Most that this sample can have.
        max: u64,
    },
    /// No sample can be made for this system.
    #[error("there is no sample of a system `{id}`")]
    UnknownSystem {
        /// As given.
        id: String,
        /// Names accepted.
        known: String,
    },
    /// Rows of this system cannot be written for this engine.
    #[error("the sample of this system cannot be written for `{id}`")]
    UnknownDialect {
        /// As given.
        id: String,
        /// Names accepted.
        known: String,
    },
    /// No fault has this name.
    #[error("no fault belongs to a policy `{id}`")]
    UnknownFault {
        /// As given.
        id: String,
    },
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] fsio::Error),
    /// The database could not be written.
    #[error("cannot write the sample database")]
    Database {
        /// What the engine said.
        source: rusqlite::Error,
    },
    /// The generator's counterpart ended first; its own error says why.
    #[error("the sample database is no longer being written")]
    WriterGone,
    /// The generator stopped without an answer.
    #[error("the generator of the sample stopped")]
    GeneratorGone,
    /// The user asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Error {
    fn database(source: rusqlite::Error) -> Self {
        Self::Database { source }
    }
}

impl Hint for Error {
    fn hint(&self, lang: Lang) -> Option<String> {
        match self {
            Self::Orders { .. } => Some(
                lang.pick("请用 --orders 给出该范围内的数量。", "Give --orders a number in this range.").to_owned(),
            ),
            Self::UnknownSystem { known, .. } | Self::UnknownDialect { known, .. } => {
                Some(format!("{}{known}", lang.pick("可用：", "Accepted: ")))
            }
            Self::UnknownFault { .. } => Some(
                lang.pick(
                    "--faults 可为 all、none 或规则编号,如 TXN-003,REC-004。",
                    "--faults takes all, none, or policy ids such as TXN-003,REC-004.",
                )
                .to_owned(),
            ),
            Self::File(e) => e.hint(lang),
            Self::Database { .. } => Some(
                lang.pick(
                    "请检查磁盘空间和目标文件夹的权限。",
                    "Check free space and the permissions of the target folder.",
                )
                .to_owned(),
            ),
            Self::WriterGone | Self::GeneratorGone | Self::Interrupted(_) => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Orders { .. }
            | Self::UnknownFault { .. }
            | Self::UnknownSystem { .. }
            | Self::UnknownDialect { .. } => Exit::Invalid,
            Self::File(e) => e.exit(),
            Self::Database { .. } => Exit::Io,
            Self::WriterGone | Self::GeneratorGone => Exit::Internal,
            Self::Interrupted(_) => Exit::Interrupted,
        }
    }
}

/// Writes a whole case folder. It is built beside its place and moved there when it is complete, so that an
/// interrupted run leaves nothing behind.
///
/// # Errors
/// [`Error::Orders`] for a size out of range, [`Error::File`] when the folder exists or cannot be written,
/// [`Error::Database`], [`Error::Interrupted`].
pub async fn write(
    out: &Path,
    spec: &SynthSpec,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<SynthSummary, Error> {
    if !(ORDERS_MIN..=ORDERS_MAX).contains(&spec.orders) {
        return Err(Error::Orders { orders: spec.orders, max: ORDERS_MAX });
    }
    let building = start_folder(out)?;
    let dir = building.path().to_owned();
    fsio::create_dir(&dir.join("source"))?;

    let task = progress.start(Stage::Synthesise, Some(spec.orders));
    let (sender, receiver) = mpsc::channel(QUEUE);
    let generator = {
        let (dir, spec, cancel) = (dir.clone(), spec.clone(), cancel.clone());
        tokio::task::spawn_blocking(move || generate(&dir, &spec, Sink::new(sender), &cancel))
    };
    let task: Arc<dyn Task> = Arc::from(task);
    let writer = {
        let (path, cancel) = (dir.join("source/shop.db"), cancel.clone());
        tokio::task::spawn_blocking(move || database::fill(&path, receiver, task.as_ref(), &cancel))
    };
    let written = writer.await.map_err(|_| Error::GeneratorGone)?;
    let generated = generator.await.map_err(|_| Error::GeneratorGone)?;
    // When the writer fails, the generator fails too, but only because nobody listens any more.
    written?;
    let (rows, truth) = generated?;
    let summary = SynthSummary {
        dir: out.to_owned(),
        rows,
        faults: truth.len() as u64,
        policies: truth.policies().into_iter().collect(),
    };
    finish_folder(building, out)?;
    Ok(summary)
}

/// A folder beside the place of the finished one.
fn start_folder(out: &Path) -> Result<TempDir, Error> {
    // An empty folder may be there already: people make one before they give its name.
    if out.symlink_metadata().is_ok() && std::fs::remove_dir(out).is_err() {
        return Err(fsio::Error::Exists { path: out.into() }.into());
    }
    let parent = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fsio::create_dir(parent)?;
    tempfile::Builder::new()
        .prefix(".sealport-synth-")
        .tempdir_in(parent)
        .map_err(|e| fsio::Error::io("create a folder in", parent, e).into())
}

/// Moves the finished folder to its place.
fn finish_folder(building: TempDir, out: &Path) -> Result<(), Error> {
    open_folder(building.path())?;
    fsio::rename_new(building.path(), out)?;
    // The folder has moved; there is nothing left to clean up under its old name.
    let _ = building.keep();
    Ok(())
}

/// Temporary folders are private; the finished case is an ordinary one (its `secrets` stay private).
fn open_folder(dir: &Path) -> Result<(), Error> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755))
            .map_err(|e| fsio::Error::io("open", dir, e))?;
    }
    Ok(())
}

/// Makes everything; the database receives its rows through the sink.
fn generate(
    dir: &Path,
    spec: &SynthSpec,
    mut sink: Sink,
    cancel: &Cancel,
) -> Result<(BTreeMap<String, u64>, Truth), Error> {
    let (seed, faults) = (spec.seed, &spec.faults);
    let mut truth = Truth::default();
    let token = |value: &str| staff_token(seed, value);
    let opened = merchant::write(seed, faults, &mut sink)?;
    let mut world = World::build(seed, faults);
    let removals = permissions::write(&mut world, seed, &mut sink, &mut truth, &token)?;
    accounts::write(&world, (seed, spec.orders), &mut sink, &mut truth, &token)?;
    let books = Books::new(Bills::create(&dir.join("source"), faults)?);
    let mut trade = Trade::new(seed, spec.orders, (&mut sink, &mut truth), faults, &world, &removals, books);
    trade.ghost_findings(&token);
    let books = trade.run(spec.orders, cancel)?;
    let traded: Vec<local::Local> = books.traded.iter().copied().collect();
    let (bill_count, line_count) = books.bills.finish()?;
    let mut rows = sink.finish()?;
    rows.insert("bills".into(), bill_count);
    rows.insert("bill_lines".into(), line_count);
    for (name, count) in registers::write(&dir.join("registers"), &world, (opened, &traded), faults, &mut truth)? {
        rows.insert(name.into(), count);
    }
    files::write(dir, seed, faults, &mut truth)?;
    keys::write(&dir.join("secrets"), seed)?;
    fsio::write_atomic(&dir.join("truth.json"), truth.json().as_bytes())?;
    Ok((rows, truth))
}

#[cfg(test)]
mod tests;
