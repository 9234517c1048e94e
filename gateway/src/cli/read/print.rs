//! Events as JSON lines and CSV.

use std::io::{self, Write};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use sluice_client::{EventRef, ReadBatch};
use sluice_schema::types::Schema;

use super::{Out, OutputFormat};
use crate::cli::values::{csv_text, json_value};

/// Columns that `--positions` adds.
const POSITION_COLUMNS: [&str; 4] = ["_segment", "_offset", "_commit_seq", "_commit_time"];
/// Columns of a stream of bytes.
const BYTES_COLUMNS: [&str; 4] = ["key", "value", "event_time", "headers"];

/// Writes events in one form.
pub struct Printer {
    schema: Schema,
    is_bytes: bool,
    format: OutputFormat,
    positions: bool,
    null: String,
}

impl Printer {
    pub fn new(schema: &Schema, is_bytes: bool, format: OutputFormat, positions: bool, null: String) -> Self {
        Self { schema: schema.clone(), is_bytes, format, positions, null }
    }

    /// The header of CSV.
    pub fn head(&self, out: &mut Out) -> io::Result<()> {
        if self.format == OutputFormat::Jsonl {
            return Ok(());
        }
        let names: Vec<&str> = match self.is_bytes {
            true => BYTES_COLUMNS.to_vec(),
            false => self.schema.fields().iter().map(|field| field.name.as_str()).collect(),
        };
        let added = if self.positions { POSITION_COLUMNS.as_slice() } else { &[] };
        record(out, added.iter().copied().chain(names))
    }

    pub fn events(&mut self, out: &mut Out, batch: &ReadBatch) -> io::Result<()> {
        if self.is_bytes {
            let events = batch.events().map_err(io::Error::other)?;
            for (row, event) in events.enumerate() {
                match self.format {
                    OutputFormat::Jsonl => line(out, self.add_positions(batch, row, bytes_json(&event)))?,
                    OutputFormat::Csv => record(out, self.position_texts(batch, row).chain(self.bytes_csv(&event)))?,
                }
            }
            return Ok(());
        }
        for row in 0..batch.rows.num_rows() {
            let cells = self.schema.fields().iter().zip(batch.rows.columns());
            match self.format {
                OutputFormat::Jsonl => {
                    let values =
                        cells.map(|(field, array)| (field.name.clone(), json_value(array, &field.data_type.kind, row)));
                    line(out, self.add_positions(batch, row, values.collect()))?;
                }
                OutputFormat::Csv => {
                    let texts = cells.map(|(field, array)| {
                        csv_text(array, &field.data_type.kind, row).unwrap_or_else(|| self.null.clone())
                    });
                    record(out, self.position_texts(batch, row).chain(texts))?;
                }
            }
        }
        Ok(())
    }

    fn add_positions(&self, batch: &ReadBatch, row: usize, mut event: Map<String, Value>) -> Map<String, Value> {
        if self.positions {
            event.insert("_segment".into(), batch.segment.into());
            event.insert("_offset".into(), (batch.base_offset + row as u64).into());
            event.insert("_commit_seq".into(), batch.commit_seq.into());
            event.insert("_commit_time".into(), commit_time(batch).into());
        }
        event
    }

    fn position_texts(&self, batch: &ReadBatch, row: usize) -> impl Iterator<Item = String> + use<> {
        let texts = self.positions.then(|| {
            let offset = batch.base_offset + row as u64;
            [batch.segment.to_string(), offset.to_string(), batch.commit_seq.to_string(), commit_time(batch)]
        });
        texts.into_iter().flatten()
    }

    fn bytes_csv(&self, event: &EventRef<'_>) -> impl Iterator<Item = String> + use<> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = event.headers();
        let headers = headers.iter().map(|(name, value)| (name.to_string(), text(value).into())).collect::<Map<_, _>>();
        let cells = [
            event.key.map(text),
            Some(text(event.value)),
            event.event_time_ms.map(event_time),
            (!headers.is_empty()).then(|| Value::from(headers).to_string()),
        ];
        let null = self.null.clone();
        cells.into_iter().map(move |cell| cell.unwrap_or_else(|| null.clone()))
    }
}

/// An event as `sluice write` reads it.
fn bytes_json(event: &EventRef<'_>) -> Map<String, Value> {
    let mut json = Map::new();
    let mut put = |name: &str, bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => json.insert(name.to_string(), text.into()),
        Err(_) => json.insert(format!("{name}_base64"), STANDARD.encode(bytes).into()),
    };
    if let Some(key) = event.key {
        put("key", key);
    }
    put("value", event.value);
    if let Some(time) = event.event_time_ms {
        json.insert("event_time".into(), event_time(time).into());
    }
    let headers = event.headers();
    if !headers.is_empty() {
        let text = |(name, value): &(&str, &[u8])| (name.to_string(), String::from_utf8_lossy(value).into());
        json.insert("headers".into(), headers.iter().map(text).collect::<Map<_, _>>().into());
    }
    json
}

fn commit_time(batch: &ReadBatch) -> String {
    event_time(i64::try_from(batch.commit_time_ms).unwrap_or(i64::MAX))
}

fn event_time(millis: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(millis);
    time.map_or_else(|| millis.to_string(), |time| time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

fn line(out: &mut Out, event: Map<String, Value>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &event)?;
    out.write_all(b"\n")
}

/// One CSV record; fields are quoted where needed.
fn record<T: AsRef<str>>(out: &mut impl Write, fields: impl Iterator<Item = T>) -> io::Result<()> {
    for (index, field) in fields.enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        let field = field.as_ref();
        if field.contains([',', '"', '\n', '\r']) {
            write!(out, "\"{}\"", field.replace('"', "\"\""))?;
        } else {
            out.write_all(field.as_bytes())?;
        }
    }
    out.write_all(b"\n")
}
