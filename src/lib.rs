#![doc = include_str!("../ARCHITECTURE.md")]

pub mod archive;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod finding;
pub mod fsio;
pub mod hint;
pub mod mapping;
pub mod model;
pub mod policy;
pub mod progress;
pub mod pseudonym;
pub mod query;
pub mod rows;
pub mod schema;
pub mod source;
