//! The `sealport` program.

fn main() {}
