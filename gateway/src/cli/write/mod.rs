//! `sluice write`.

mod input;
mod rows;
mod send;

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use sluice_schema::names::{SinkName, StreamName};
use tokio::{sync::mpsc, time::Instant};

use super::{
    Context,
    exit::{Failure, Outcome},
    output::size,
    scope::done,
};
use rows::Rows;
use send::Target;

/// Write CSV, JSON lines, Parquet or plain lines to a stream.
///
/// The stream's columns decide how text is read. A stream of bytes takes lines (each one is a value), or JSON lines
/// with `value` (a string, or any other JSON, which is kept as its text) and optionally `key`, `event_time` and
/// `headers`; `key_base64` and `value_base64` hold bytes that are no text.
#[derive(Debug, Args)]
pub struct WriteArgs {
    /// The stream, scope/stream
    stream: StreamName,
    /// The file; - or nothing: stdin
    #[arg(default_value = "-")]
    file: PathBuf,
    /// What it holds; without it the file's ending decides
    #[arg(long, value_name = "FORMAT")]
    format: Option<InputFormat>,
    /// Write all events in one transaction: they appear together, or none does
    #[arg(long)]
    transaction: bool,
    /// Name of the sink of the transaction, scope/sink; a random one otherwise
    #[arg(long, value_name = "SINK", requires = "transaction")]
    sink: Option<SinkName>,
    /// Name of the writer; a random one otherwise
    #[arg(long, value_name = "NAME", conflicts_with = "transaction")]
    writer: Option<String>,
    /// CSV: text that stands for null; an empty field by default
    #[arg(long, default_value = "", value_name = "TEXT")]
    null: String,
    /// CSV: character between fields
    #[arg(long, default_value = ",", value_name = "CHARACTER")]
    delimiter: char,
    /// CSV: the first line holds data, not column names; fields are the stream's columns in order
    #[arg(long)]
    no_header: bool,
}

/// What an input holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InputFormat {
    /// Comma-separated values
    Csv,
    /// One JSON object a line
    Jsonl,
    /// A Parquet file
    Parquet,
    /// One value a line, for streams of bytes
    Lines,
}

/// Batches that wait between reading and sending.
const QUEUED_BATCHES: usize = 4;

pub async fn run(args: WriteArgs, context: &Context) -> Outcome {
    let stream = std::sync::Arc::new(context.client.stream(&args.stream).await?);
    let input = input::open(&args)?;
    let progress = bar(input.length);
    let counted = progress.clone();
    let (batches, mut received) = mpsc::channel(QUEUED_BATCHES);
    let schema = stream.schema.clone();
    let is_bytes = stream.is_bytes();
    let options = rows::Options {
        null: args.null.clone(),
        delimiter: u8::try_from(args.delimiter)
            .map_err(|_| Failure::usage("the delimiter must be one ASCII character"))?,
        header: !args.no_header,
    };
    let reading =
        tokio::task::spawn_blocking(move || rows::read(input, &schema, is_bytes, &options, &counted, &batches));

    let started = Instant::now();
    let mut target = Target::new(stream);
    let mut sent = Ok(());
    while let Some(rows) = received.recv().await {
        sent = target.send(&context.client, &args, rows).await;
        if sent.is_err() {
            break;
        }
    }
    // The reader ends when nobody takes its batches.
    drop(received);
    let read = reading.await.map_err(|e| Failure::new(format!("reading the input ended early: {e}")))?;
    if let Err(failure) = sent.and(read) {
        progress.finish_and_clear();
        return Err(target.give_up(failure).await);
    }
    let written = target.finish().await?;
    progress.finish_and_clear();
    let took = started.elapsed().as_secs_f64();
    let how = match written.commit_seq {
        Some(seq) => format!(" in commit {seq}"),
        None => String::new(),
    };
    let text = format!("{} events written to {}{how} in {took:.1} s", written.events, args.stream);
    done(
        context,
        text,
        json!({ "stream": args.stream.to_string(), "events": written.events, "commit_seq": written.commit_seq, "seconds": took }),
    )
}

/// A bar over the bytes of a file, or a spinner; on a terminal only.
fn bar(length: Option<u64>) -> ProgressBar {
    let (bar, template) = match length {
        Some(length) => {
            (ProgressBar::new(length), "{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left  {msg}")
        }
        None => (ProgressBar::new_spinner(), "{spinner} {bytes}  {bytes_per_sec}  {msg}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Rows of a batch as text for the bar.
fn rows_done(rows: u64, bytes: u64) -> String {
    format!("{rows} events read ({})", size(bytes))
}
