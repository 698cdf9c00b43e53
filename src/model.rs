//! Values with a checked constructor that every layer shares: language, bilingual text, digests, exit codes.
//! No I/O.

pub mod digest;
pub mod exit;
pub mod text;

pub use digest::Digest;
pub use exit::Exit;
pub use text::{Bilingual, Lang};
