//! `sluice bench`.

mod disk;
mod fan_in;
mod process;
mod reading;
mod report;
mod streams;
mod writing;

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use sluice_client::{Client, StreamSettings};
use sluice_schema::names::{Name, ScopeName, StreamName};

use super::{
    Context,
    exit::{Failure, Outcome},
    output::{emit, note},
};
use crate::config::Span;
use process::Usage;

/// Measure writing and reading against a gateway, and the disk beside it.
///
/// Writes transactions to a new stream of bytes, commits them in an interval, reads everything back, and writes the
/// same number of bytes straight to the gateway's disk with one fdatasync every 8 MiB. The stream is deleted at the end.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    #[command(subcommand)]
    other: Option<OtherBench>,
    /// Events to write, over all producers
    #[arg(long, default_value_t = 20_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    events: u64,
    /// Bytes of an event: a key of 8 and a value
    #[arg(long, default_value_t = 100, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(9..=1_000_000))]
    event_bytes: u32,
    /// Segments of the stream
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    segments: u32,
    /// Producers, each with a sink of its own
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    producers: u32,
    /// How often each producer commits
    #[arg(long, default_value = "1s", value_name = "SPAN")]
    commit_interval: Span,
    /// Commit after so many events at the latest, and start the next transaction only when the commit is done
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    transaction_events: Option<u64>,
    /// Directory for the disk's own figure; by default beside the gateway's data directory, if it is on this machine
    #[arg(long, value_name = "DIRECTORY")]
    disk_dir: Option<PathBuf>,
    /// Neither read the events back nor measure the disk
    #[arg(long)]
    write_only: bool,
    /// Keep the stream
    #[arg(long)]
    keep: bool,
    /// Measure nothing, but create so many empty streams, bench/empty-0 and on, which stay: to time a start over them
    #[arg(long, value_name = "N")]
    empty_streams: Option<u32>,
}

/// What else can be measured.
#[derive(Debug, Subcommand)]
enum OtherBench {
    FanIn(fan_in::FanInArgs),
}

/// What was measured.
#[derive(Debug)]
pub struct Measured {
    pub write: writing::Written,
    pub read: Option<reading::Read>,
    pub disk: Option<disk::Disk>,
    pub client: Option<Usage>,
    pub gateway: Option<Usage>,
}

pub async fn run(args: BenchArgs, context: &Context) -> Outcome {
    if let Some(OtherBench::FanIn(args)) = &args.other {
        return fan_in::run(args, context).await;
    }
    let client = &context.client;
    let status = client.status().await?;
    if let Some(count) = args.empty_streams {
        return streams::create(client, &scope(client).await?, count).await;
    }
    let stream = new_stream(client, StreamSettings::bytes(args.segments).routed_by(["key"])).await?;
    note(format!("writing {} events of {} bytes to {stream}", args.events, args.event_bytes));

    let measured = measure(&args, context, &stream, &status.data_dir).await;
    if args.keep {
        note(format!("stream {stream} is kept"));
    } else {
        client.delete_stream(&stream).await?;
    }
    let measured = measured?;
    emit(context.format, || report::text(&args, &measured), || report::json(&args, &measured))
}

/// The scope of all that is measured here.
async fn scope(client: &Client) -> Result<ScopeName, Failure> {
    let scope = Name::parse("bench").map_err(|e| Failure::new(e.to_string()))?;
    client.create_scope(&scope).await?;
    Ok(scope)
}

/// A stream for one run.
async fn new_stream(client: &Client, settings: StreamSettings) -> Result<StreamName, Failure> {
    #[expect(clippy::disallowed_methods, reason = "the command line is the edge; no simulated code runs here")]
    let unique = uuid::Uuid::new_v4();
    let name = Name::parse(&format!("run-{unique}")).map_err(|e| Failure::new(e.to_string()))?;
    let stream = StreamName::new(scope(client).await?, name);
    client.create_stream(&stream, settings).await?;
    Ok(stream)
}

async fn measure(
    args: &BenchArgs,
    context: &Context,
    stream: &StreamName,
    data_dir: &str,
) -> Result<Measured, Failure> {
    let client = &context.client;
    let described = Arc::new(client.stream(stream).await?);
    let progress = ProgressBar::new(args.events);
    progress.enable_steady_tick(Duration::from_millis(200));
    let (client_before, gateway_before) = (process::own(), process::of_listener(client.endpoint()));
    let write = writing::measure(client, &described, args, &progress).await;
    progress.finish_and_clear();
    let write = write?;
    let own = Usage::since(process::own(), client_before);
    let gateway = Usage::since(process::of_listener(client.endpoint()), gateway_before);

    let there = events_of(client, stream).await?;
    if there != write.events {
        return Err(Failure::damaged(format!("{} events were committed, but the stream has {there}", write.events)));
    }
    if args.write_only {
        return Ok(Measured { write, read: None, disk: None, client: own, gateway });
    }
    note("reading them back");
    let read = reading::measure(client, stream).await?;
    if read.events != write.events {
        let text = format!("{} events were committed, but {} were read back", write.events, read.events);
        return Err(Failure::damaged(text));
    }
    let folder = args.disk_dir.clone().or_else(|| disk::beside(data_dir));
    let disk = match folder {
        Some(folder) => {
            note(format!("writing straight to {}", folder.display()));
            let bytes = write.bytes.clamp(64 << 20, 2 << 30);
            let measured = tokio::task::spawn_blocking(move || disk::measure(&folder, bytes)).await;
            Some(measured.map_err(|e| Failure::new(e.to_string()))??)
        }
        None => None,
    };
    Ok(Measured { write, read: Some(read), disk, client: own, gateway })
}

/// How many events a stream has.
async fn events_of(client: &Client, stream: &StreamName) -> Result<u64, Failure> {
    let info = client.describe_stream(stream).await?;
    Ok(info.segments.iter().map(|segment| segment.next_offset).sum())
}
