//! `sluice read`.

mod print;

use std::io::Write as _;

use clap::{Args, ValueEnum};
use sluice_client::{End, ReaderOptions};
use sluice_schema::names::StreamName;

use super::{
    Context,
    exit::Outcome,
    output::{Stdout, stdout},
    places::Place,
};
use print::Printer;

/// Read events as JSON lines or CSV, up to the present end of the stream.
///
/// Events of a segment come in order; segments are interleaved. Keys and values of a stream of bytes are strings, or
/// `key_base64` and `value_base64` when they are no text.
#[derive(Debug, Args)]
pub struct ReadArgs {
    /// The stream, scope/stream
    stream: StreamName,
    /// Where to start: earliest, latest, positions such as 0:12,1:7, or a time
    #[arg(long, default_value = "earliest", value_name = "PLACE")]
    from: Place,
    /// At most so many events
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Wait for more events at the end
    #[arg(long)]
    follow: bool,
    /// Form of the events
    #[arg(long, default_value = "jsonl", value_name = "FORMAT")]
    format: OutputFormat,
    /// Add _segment, _offset, _commit_seq and _commit_time to each event
    #[arg(long)]
    positions: bool,
    /// CSV: text that stands for null
    #[arg(long, default_value = "", value_name = "TEXT")]
    null: String,
}

/// Form of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// One JSON object a line
    Jsonl,
    /// Comma-separated values with a header
    Csv,
}

pub async fn run(args: ReadArgs, context: &Context) -> Outcome {
    let start = args.from.in_stream(&args.stream)?;
    let end = if args.follow { End::Never } else { End::Present };
    let options = ReaderOptions { end, ..ReaderOptions::default() };
    let mut reader = context.client.reader(&args.stream, start, options).await?;
    let stream = context.client.stream(&args.stream).await?;
    let mut printer = Printer::new(&stream.schema, stream.is_bytes(), args.format, args.positions, args.null);
    let mut out = stdout();
    quiet(printer.head(&mut out).and_then(|()| out.flush()))?;
    let mut left = args.limit.unwrap_or(u64::MAX);
    while left > 0 {
        let batch = tokio::select! {
            batch = reader.next() => batch?,
            // Ended by the user: what was given is complete.
            _ = tokio::signal::ctrl_c() => None,
        };
        let Some(mut batch) = batch else { break };
        let rows = (batch.rows.num_rows() as u64).min(left);
        left -= rows;
        batch.rows = batch.rows.slice(0, rows as usize);
        // At the tail people wait for each event.
        let at_tail = reader.lag_events() == 0;
        let written = printer.events(&mut out, &batch).and_then(|()| if at_tail { out.flush() } else { Ok(()) });
        if quiet(written)? == Closed::Yes {
            return Ok(());
        }
    }
    quiet(out.flush()).map(drop)
}

/// Whether whoever read stdout went away, as `head` does; that is no failure.
#[derive(Debug, PartialEq, Eq)]
enum Closed {
    Yes,
    No,
}

fn quiet(written: std::io::Result<()>) -> Result<Closed, super::exit::Failure> {
    match written {
        Ok(()) => Ok(Closed::No),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Closed::Yes),
        Err(error) => Err(error.into()),
    }
}

/// What events are written to.
type Out = Stdout;
