//! Current time and randomness, each behind one small trait, so that the same inputs give the same bytes.

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use std::sync::Mutex;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The current instant.
    fn now(&self) -> DateTime<Utc>;
}

/// Makes random bytes.
pub trait Random: Send + Sync {
    /// Fills the buffer.
    ///
    /// # Errors
    /// When the system has no random source.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoRandomness>;
}

/// The system's random source failed.
#[derive(Debug, thiserror::Error)]
#[error("the system's random source is unavailable")]
pub struct NoRandomness;

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the only place that reads the wall clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// The system's random source.
#[derive(Debug, Clone, Copy)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoRandomness> {
        getrandom::fill(buffer).map_err(|_| NoRandomness)
    }
}

/// A clock that stands still.
#[derive(Debug, Clone, Copy)]
pub struct FixedClock(pub DateTime<Utc>);

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}

/// A reproducible stream of bytes: SHA-256 over seed and counter. For tests and sample data only.
#[derive(Debug)]
pub struct SeededRandom {
    seed: Vec<u8>,
    counter: Mutex<u64>,
}

impl SeededRandom {
    /// Starts the stream of this seed.
    pub fn new(seed: impl Into<Vec<u8>>) -> Self {
        Self { seed: seed.into(), counter: Mutex::new(0) }
    }
}

impl Random for SeededRandom {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoRandomness> {
        let mut counter = self.counter.lock().map_err(|_| NoRandomness)?;
        for chunk in buffer.chunks_mut(32) {
            let block = Sha256::new().chain_update(&self.seed).chain_update(counter.to_be_bytes()).finalize();
            chunk.copy_from_slice(&block[..chunk.len()]);
            *counter += 1;
        }
        Ok(())
    }
}
