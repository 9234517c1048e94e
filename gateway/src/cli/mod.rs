//! The command line: `sluice serve` and everything that talks to a gateway.
//!
//! Data goes to stdout, everything else to stderr. A failed command says why in one sentence that starts with `error:`
//! and ends with an exit code of `exit::Exit`.

mod admin;
mod bench;
mod exit;
mod group;
mod json;
mod output;
mod places;
mod plan;
mod read;
mod schema_text;
mod scope;
mod serve;
mod stream;
mod transactions;
mod values;
mod write;

use std::{process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};
use sluice_client::{Client, RetryPolicy};

use crate::{config::Span, telemetry};
use exit::{Exit, Failure, Outcome};
use output::Format;

/// Durable streams with exactly-once writes, for Flink, Rust and batch engines.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, arg_required_else_help = true, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// Address of the gateway
    #[arg(long, env = "SLUICE_ENDPOINT", default_value = "http://127.0.0.1:9090", global = true, value_name = "URL")]
    endpoint: String,
    /// Form of the data on stdout
    #[arg(long, env = "SLUICE_OUTPUT", default_value = "text", global = true, value_name = "FORM")]
    output: Format,
    /// How long a call is tried again before the command fails, such as 10s or 2min
    #[arg(long, env = "SLUICE_TIMEOUT", default_value = "10s", global = true, value_name = "SPAN")]
    timeout: Span,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Serve(serve::ServeArgs),
    /// Create, list and delete scopes
    #[command(subcommand)]
    Scope(scope::ScopeCommand),
    /// Create, look at, publish, seal and delete streams
    #[command(subcommand)]
    Stream(stream::StreamCommand),
    /// Write CSV, JSON lines, Parquet or plain lines to a stream
    Write(write::WriteArgs),
    /// Read events as JSON lines or CSV
    Read(read::ReadArgs),
    /// Look at transactions, abort open ones
    #[command(subcommand)]
    Txn(transactions::TxnCommand),
    /// Look at sinks
    #[command(subcommand)]
    Sink(transactions::SinkCommand),
    /// Reader groups: positions, lag, checkpoints
    #[command(subcommand)]
    Group(group::GroupCommand),
    /// Show the files and ranges that make up a stream at one commit
    Scan(plan::ScanArgs),
    /// Look after a gateway and its data directory
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    /// Measure writing and reading against a gateway, and the disk beside it
    Bench(bench::BenchArgs),
}

/// What commands that talk to a gateway need.
#[derive(Debug)]
struct Context {
    client: Client,
    format: Format,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Serve(args) => serve::run(args),
        command => {
            telemetry::start_for_cli();
            run(command, &cli.global)
        }
    };
    match outcome {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            output::note(format!("error: {failure}"));
            failure.exit.into()
        }
    }
}

fn run(command: Command, global: &Global) -> Outcome {
    let runtime = tokio::runtime::Runtime::new().map_err(|e| Failure::new(format!("cannot start threads: {e}")))?;
    let outcome = runtime.block_on(dispatch(command, global));
    // A thread that waits for stdin must not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(100));
    outcome
}

async fn dispatch(command: Command, global: &Global) -> Outcome {
    let retry = RetryPolicy { deadline: global.timeout.into(), ..RetryPolicy::default() };
    let context = Context { client: Client::with_retry(&global.endpoint, retry)?, format: global.output };
    match command {
        Command::Serve(args) => serve::run(args),
        Command::Scope(command) => scope::run(command, &context).await,
        Command::Stream(command) => stream::run(command, &context).await,
        Command::Write(args) => write::run(args, &context).await,
        Command::Read(args) => read::run(args, &context).await,
        Command::Txn(command) => transactions::run_txn(command, &context).await,
        Command::Sink(command) => transactions::run_sink(command, &context).await,
        Command::Group(command) => group::run(command, &context).await,
        Command::Scan(args) => plan::run(args, &context).await,
        Command::Admin(command) => admin::run(command, &context).await,
        Command::Bench(args) => bench::run(args, &context).await,
    }
}

#[cfg(test)]
mod tests;
