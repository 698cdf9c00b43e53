//! The `sealport` program: starts the runtime and hands over to the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    sealport::cli::main()
}
