//! The use cases: one module per thing a user can ask for.
//!
//! Responsible for joining sources, mappings, pseudonymisation, archives, policies and reports, and for the order in
//! which things happen. Every function takes an [`Env`] (clock, randomness, progress, cancellation) and returns an
//! [`Answer`] or an [`Error`]; nothing here prints or reads the environment.

mod assess;
pub mod check;
pub mod demo;
pub mod doctor;
mod error;
pub mod init;
mod inventory;
pub mod journal;
pub mod keys;
pub mod lookup;
pub mod mapping;
mod places;
pub mod policy;
pub mod report;
pub mod run;
pub mod seal;
mod sources;
pub mod synth;
mod table;
pub mod verify;
mod worklist;

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

pub use error::{Error, Kept};

use crate::clock::{Clock, Random};
use crate::crypto::Secret;
use crate::model::{Exit, Lang};
use crate::progress::{Cancel, Progress};

/// What every use case needs from its surroundings.
#[derive(Clone)]
pub struct Env {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Where progress is shown.
    pub progress: Arc<dyn Progress>,
    /// Where remarks go that are neither answer nor error.
    pub notices: Arc<dyn Notices>,
    /// Asks for a stop.
    pub cancel: Cancel,
    /// Language of answers.
    pub lang: Lang,
    /// Folder of keys, instead of the case's.
    pub secrets: Option<PathBuf>,
    /// Where passwords of databases come from.
    pub passwords: Arc<dyn Passwords>,
    /// The running program, named in the statement by its digest.
    pub executable: Option<PathBuf>,
}

/// Knows or asks for the passwords of databases; they are never stored and never shown.
pub trait Passwords: Send + Sync {
    /// The password given beforehand for the source of this name.
    fn given(&self, source: &str) -> Option<Secret>;
    /// Asks the person at the terminal; `None` when there is none.
    fn ask(&self, source: &str) -> Option<Secret>;
}

/// Has no passwords and asks nobody.
#[derive(Debug, Clone, Copy)]
pub struct NoPasswords;

impl Passwords for NoPasswords {
    fn given(&self, _: &str) -> Option<Secret> {
        None
    }
    fn ask(&self, _: &str) -> Option<Secret> {
        None
    }
}

/// Takes remarks: things the user should know that change neither the answer nor the exit code.
pub trait Notices: Send + Sync {
    /// One remark, in the language of the [`Env`].
    fn tell(&self, text: String);
}

/// What a use case has to say.
#[derive(Debug, Clone)]
pub struct Answer {
    /// For people, in the language of the [`Env`].
    pub text: String,
    /// The same facts for programs.
    pub json: Value,
    /// How it ended.
    pub exit: Exit,
}
