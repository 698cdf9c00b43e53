//! Values with a checked constructor that every layer shares: language, bilingual text, digests, exit codes, engines.
//! No I/O.

pub mod digest;
pub mod engine;
pub mod exit;
pub mod text;

pub use digest::Digest;
pub use engine::Engine;
pub use exit::Exit;
pub use text::{Bilingual, Lang};
