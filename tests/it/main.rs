//! The single integration binary: linking is the expensive step, so every area is a module of this one.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod account;
mod authoring;
mod bag;
mod bills;
mod commands;
mod control;
mod engines;
mod estates;
mod golden;
mod independent;
mod layering;
mod overrides;
mod pack;
mod raw;
mod readers;
mod replay;
mod resume;
mod schema_page;
mod sealing;
mod servers;
mod support;
mod systems;
mod tampering;
