//! Binary `sluice`.

use std::process::ExitCode;

/// Blocks of a MiB are allocated by one thread and freed by another: glibc keeps much of them (docs/decisions/0007).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    sluice_gateway::cli::main()
}
