//! Binary `sluice`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sluice_gateway::cli::main()
}
