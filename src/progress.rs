//! Progress and interruption, handed in by the caller; hidden by default.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is being done; the caller chooses the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Writing the sample merchant.
    Synthesise,
    /// Examining a case before it is sealed.
    Examine,
    /// Asking the sources for counts and totals.
    AskTotals,
    /// Reading staff identifiers for the leak gate.
    ReadStaff,
    /// Extracting, mapping and archiving rows.
    Extract,
    /// Scanning the finished files for leaks.
    ScanLeaks,
    /// Digesting and signing.
    Seal,
    /// Verifying an archive.
    Verify,
    /// Evaluating policies.
    Check,
    /// Writing documents.
    Report,
}

/// A running piece of work.
pub trait Task: Send + Sync {
    /// Reports that `amount` more units are done.
    fn advance(&self, amount: u64);
    /// Names what is worked on now.
    fn label(&self, text: &str);
}

/// Where progress is shown. Dropping a task ends its display.
pub trait Progress: Send + Sync {
    /// Starts a piece of work of `total` units (rows, bytes or policies), if known.
    fn start(&self, stage: Stage, total: Option<u64>) -> Box<dyn Task>;
}

/// Shows nothing.
#[derive(Debug, Clone, Copy)]
pub struct Hidden;

impl Task for Hidden {
    fn advance(&self, _: u64) {}
    fn label(&self, _: &str) {}
}

impl Progress for Hidden {
    fn start(&self, _: Stage, _: Option<u64>) -> Box<dyn Task> {
        Box::new(Hidden)
    }
}

/// A request to stop, asked for between batches. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

/// The user asked to stop.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

impl Cancel {
    /// Asks everything that holds this value to stop.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Fails once a stop was requested.
    ///
    /// # Errors
    /// [`Interrupted`] after [`Cancel::request`].
    pub fn check(&self) -> Result<(), Interrupted> {
        if self.0.load(Ordering::SeqCst) { Err(Interrupted) } else { Ok(()) }
    }
}
