//! From an input to rows, on a thread of its own.

mod bytes;
mod csv_rows;
mod json_rows;
mod parquet_rows;

#[cfg(test)]
mod tests;

use std::io::{self, BufRead, BufReader, Read};

use arrow::array::RecordBatch;
use indicatif::ProgressBar;
use sluice_schema::types::Schema;
use tokio::sync::mpsc::Sender;

pub use bytes::OwnedEvent;

use super::{
    InputFormat,
    input::{Input, Source},
    rows_done,
};
use crate::cli::exit::Failure;

/// Rows per batch.
const BATCH_ROWS: usize = 8192;
/// Bytes of text per batch.
const BATCH_BYTES: usize = 1 << 20;
/// Longest line.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// Some rows, in order.
pub enum Rows {
    /// In the stream's schema.
    Batch(RecordBatch),
    /// Of the bytes schema.
    Events(Vec<OwnedEvent>),
}

impl Rows {
    pub fn len(&self) -> usize {
        match self {
            Self::Batch(batch) => batch.num_rows(),
            Self::Events(events) => events.len(),
        }
    }
}

/// How CSV is written.
#[derive(Debug, Clone)]
pub struct Options {
    pub null: String,
    pub delimiter: u8,
    pub header: bool,
}

/// Where rows go: to the sender, with the progress shown.
struct Sink<'a> {
    batches: &'a Sender<Rows>,
    progress: &'a ProgressBar,
    rows: u64,
}

impl Sink<'_> {
    /// False: nobody takes rows any more.
    fn give(&mut self, rows: Rows) -> bool {
        self.rows += rows.len() as u64;
        self.progress.set_message(rows_done(self.rows, self.progress.position()));
        rows.len() == 0 || self.batches.blocking_send(rows).is_ok()
    }
}

/// Reads everything. The error names the input, the line and the column.
pub fn read(
    input: Input,
    schema: &Schema,
    is_bytes: bool,
    options: &Options,
    progress: &ProgressBar,
    batches: &Sender<Rows>,
) -> Result<(), Failure> {
    let mut sink = Sink { batches, progress, rows: 0 };
    let default = if is_bytes { InputFormat::Lines } else { InputFormat::Jsonl };
    let format = input.format.unwrap_or(default);
    let wrong = |message: String| Failure::usage(format!("{}{message}", input.name));
    if format == InputFormat::Parquet {
        return match input.source {
            Source::File(file) => parquet_rows::read(file, schema, &mut sink),
            Source::Stdin => {
                let mut all = Vec::new();
                io::stdin().read_to_end(&mut all)?;
                parquet_rows::read(::bytes::Bytes::from(all), schema, &mut sink)
            }
        }
        .map_err(wrong);
    }
    let reader = BufReader::with_capacity(1 << 18, progress.wrap_read(input.source.into_reader()));
    match (format, is_bytes) {
        (InputFormat::Csv, false) => csv_rows::read(reader, schema, options, &mut sink),
        (InputFormat::Csv, true) => {
            Err(": CSV needs a stream with columns, this one has keys and values of bytes".into())
        }
        (InputFormat::Jsonl, false) => json_rows::read(reader, schema, &mut sink),
        (InputFormat::Jsonl, true) => bytes::read_json(reader, &mut sink),
        (InputFormat::Lines, true) => bytes::read_lines(reader, &mut sink),
        (InputFormat::Lines, false) => {
            Err(": plain lines need a stream of bytes, this one has columns: use --format csv or jsonl".into())
        }
        (InputFormat::Parquet, _) => Ok(()),
    }
    .map_err(wrong)
}

/// Calls `each` with every line that is not blank and its number, until it says stop.
fn each_line(
    mut reader: impl BufRead,
    keep_blank: bool,
    mut each: impl FnMut(u64, &[u8]) -> Result<bool, String>,
) -> Result<(), String> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = (&mut reader).take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line);
        let read = read.map_err(|e| format!(" line {number}: {e}"))?;
        if read == 0 {
            break;
        }
        if read as u64 > LINE_BYTES_MAX {
            return Err(format!(" line {number}: it is longer than {LINE_BYTES_MAX} bytes"));
        }
        let content = line.strip_suffix(b"\n").unwrap_or(&line);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        if content.is_empty() && !keep_blank {
            continue;
        }
        if !each(number, content).map_err(|e| format!(" line {number}, {e}"))? {
            break;
        }
    }
    Ok(())
}

/// A line as text.
fn text(line: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(line).map_err(|e| format!("byte {}: it is no UTF-8", e.valid_up_to() + 1))
}
