//! Files people write: TOML with exact positions, and the case.
//!
//! Responsible for turning text into values that cannot be wrong, reporting every mistake of a file at once.
//! Raw documents ([`document`]) and valid configuration ([`case`]) are different types.

pub mod case;
pub mod document;

pub use case::Case;
pub use document::{Document, Problem, Problems, Reader};
