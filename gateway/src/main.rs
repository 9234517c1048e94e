//! Binary `sluice`.

use std::process::ExitCode;

/// Blocks of a MiB are allocated by one thread and freed by another: glibc keeps much of them in its arenas.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sluice_gateway::cli::main()
}
