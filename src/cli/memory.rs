//! Keeps the C library from hoarding memory while queries run.
//!
//! glibc gives a large block back to the system when it is freed, until it has seen a few: then it raises the size from
//! which it does so to 32 MiB and keeps everything below in its arenas, where blocks of many sizes leave gaps. A check
//! of a million orders, whose queries may hold 300 MiB, so grew to a gigabyte. A fixed size keeps it below half of that
//! (figures: ARCHITECTURE.md, Measurements). The library reads it from the environment before `main`, and any other
//! way to set it is `unsafe`; so the program starts itself once more, as the same process.

use super::args::Command;

/// Starts the program anew with a fixed size where that helps: for commands that query, on Linux with glibc. Returns
/// when it does not apply, was done already, was decided by the user, or cannot be done.
pub(super) fn settle(command: &Command) {
    if matches!(command, Command::Check(_) | Command::Report(_) | Command::Run(_) | Command::Demo(_)) {
        start_anew();
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn start_anew() {
    use std::os::unix::process::CommandExt as _;
    const SIZE: &str = "MALLOC_MMAP_THRESHOLD_";
    let is_set = |name: &str| std::env::var_os(name).is_some();
    if is_set(SIZE) || is_set("GLIBC_TUNABLES") {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| program.clone().into());
    // Comes back only with an error: the work is then done with more memory.
    let _ = std::process::Command::new(program).arg0(name).args(arguments).env(SIZE, "131072").exec();
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn start_anew() {}
