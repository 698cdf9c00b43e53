//! The command line: arguments, settings, commands, console.
//!
//! Only this module talks to a terminal or reads the environment. Every command resolves its settings first, makes
//! one call into [`crate::ops`], and turns the answer into text or JSON on stdout; progress, warnings and errors go
//! to stderr.

pub mod args;
mod commands;
mod console;
mod memory;
mod passwords;
mod progress;
mod render;
mod settings;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::model::Exit;
use crate::progress::Cancel;

/// How long work may take to stop by itself after Ctrl-C.
const GRACE: std::time::Duration = std::time::Duration::from_secs(5);

/// Runs the program and returns its exit code.
pub fn main() -> ExitCode {
    let matches = match args::Cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return usage(&error),
    };
    let arguments = match args::Cli::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    memory::settle(&arguments.command);
    let settings = settings::Settings::resolve(&arguments.global);
    console::start_log(&settings);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(8 << 20).build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = crate::fsio::Error::io("start threads for", "sealport", error);
            return finish(render::error(&settings, &error));
        }
    };
    let cancel = Cancel::default();
    let exit = runtime.block_on(async {
        let stop = cancel.clone();
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                stop.request();
            }
        });
        // A source that does not answer must not hold the user: dropping the work removes what it has written.
        let forced = async {
            if tokio::signal::ctrl_c().await.is_ok() {
                tokio::time::sleep(GRACE).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            exit = commands::run(&settings, arguments.command, cancel.clone()) => exit,
            () = forced => Exit::Interrupted,
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    finish(exit)
}

fn finish(exit: Exit) -> ExitCode {
    ExitCode::from(exit.code())
}

/// clap prints its own usage errors; help and version are a success, everything else is [`Exit::Invalid`].
fn usage(error: &clap::Error) -> ExitCode {
    let wanted = matches!(error.kind(), clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion);
    // A closed pipe while printing help is no reason for another code.
    let _ = error.print();
    finish(if wanted { Exit::Success } else { Exit::Invalid })
}
