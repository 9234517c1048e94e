//! How fast blocks are checked, decoded and made: `cargo run --release -p sluice-schema --example validate`.
//!
//! Blocks of about 512 KiB. One core; MB are 10^6 bytes of block. Each figure is the best of five runs, so that other
//! work on the machine counts little.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::{error::Error, hint::black_box, time::Instant};

use bytes::Bytes;
use sluice_proto::gateway::v1::Row;
use sluice_schema::{
    block::{self, Encoded},
    keys, limits,
    rows::RowsEncoder,
    types::{self, DataType, Field, Kind, Schema},
};

type Outcome<T> = Result<T, Box<dyn Error>>;

const EVENT_BYTES: usize = 100;
const EVENTS: usize = limits::BLOCK_BYTES_TARGET / (EVENT_BYTES + 4);
const RUNS: usize = 5;

fn main() -> Outcome<()> {
    let bytes_schema = types::bytes_schema();
    report("100-byte values", &bytes_schema, &bytes_block(|_| None)?)?;
    report("100-byte values, 8-byte keys", &bytes_schema, &bytes_block(|i| Some(i as u64 % 1000))?)?;
    let (schema, ascii) = text_block(
        "plain ASCII of a hundred bytes, as most text that machines write to each other in logs and streams..",
    )?;
    report("100-byte ASCII strings", &schema, &ascii)?;
    let (schema, unicode) =
        text_block("Zürich, São Paulo, Kraków, 東京, Αθήνα: names of towns as people of these towns write them, ö")?;
    report("100-byte Unicode strings", &schema, &unicode)?;
    routing()
}

fn bytes_block(key: impl Fn(usize) -> Option<u64>) -> Outcome<Encoded> {
    let mut encoder = RowsEncoder::new();
    for i in 0..EVENTS {
        let key = key(i).map(|key| Bytes::copy_from_slice(&key.to_be_bytes()));
        let value = Bytes::from(vec![i as u8; EVENT_BYTES]);
        encoder.push(&Row { key, value, event_time_ms: None, headers: Default::default() })?;
    }
    encoder.finish()?.ok_or_else(|| "rows were pushed".into())
}

fn text_block(text: &str) -> Outcome<(Schema, Encoded)> {
    let strings = DataType::required(Kind::VarChar(limits::TYPE_LENGTH_MAX));
    let schema = Schema::new(vec![Field::new("text", strings)])?;
    let column = arrow::array::StringArray::from_iter_values(std::iter::repeat_n(text, EVENTS));
    let batch = arrow::array::RecordBatch::try_new(schema.to_arrow(), vec![std::sync::Arc::new(column)])?;
    let block = block::encode(&schema, &batch)?;
    Ok((schema, block))
}

fn report(name: &str, schema: &Schema, block: &Encoded) -> Outcome<()> {
    let crc = crc32c::crc32c(&block.data);
    let batch = block::decode(schema, &block.columns, block.rows, block.data.clone())?;
    println!("{name}: {} rows, {} bytes", block.rows, block.data.len());
    measure("  crc32c alone", block, || {
        black_box(crc32c::crc32c(black_box(&block.data)));
        Ok(())
    })?;
    measure("  validate", block, || Ok(block::validate(schema, &block.columns, block.rows, crc, &block.data)?))?;
    measure("  decode", block, || {
        black_box(block::decode(schema, &block.columns, block.rows, block.data.clone())?);
        Ok(())
    })?;
    measure("  encode", block, || {
        black_box(block::encode(schema, black_box(&batch))?);
        Ok(())
    })
}

fn measure(what: &str, block: &Encoded, mut work: impl FnMut() -> Outcome<()>) -> Outcome<()> {
    const REPEATS: usize = 200;
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        (0..REPEATS).try_for_each(|_| work())?;
        best = best.min(start.elapsed().as_secs_f64() / REPEATS as f64);
    }
    let (mb, events) = (block.data.len() as f64 / best / 1e6, f64::from(block.rows) / best / 1e6);
    println!("{what:16} {mb:8.0} MB/s {events:8.1} M events/s");
    Ok(())
}

fn routing() -> Outcome<()> {
    let block = bytes_block(|i| Some(i as u64 % 1000))?;
    let batch = block::decode(&types::bytes_schema(), &block.columns, block.rows, block.data.clone())?;
    let ranges = keys::KeyRange::split_evenly(4);
    println!("8-byte keys, 4 segments: {} rows", block.rows);
    measure("  route", &block, || {
        black_box(keys::route(&batch, &[types::BYTES_KEY], &ranges)?);
        Ok(())
    })?;
    measure("  split", &block, || {
        black_box(keys::split(&batch, &[types::BYTES_KEY], &ranges)?);
        Ok(())
    })?;
    let rows: Vec<Row> = (0..EVENTS)
        .map(|i| Row { key: None, value: vec![i as u8; EVENT_BYTES].into(), ..Default::default() })
        .collect();
    let mut encoder = RowsEncoder::new();
    measure("  rows to block", &block, || {
        rows.iter().try_for_each(|row| encoder.push(row))?;
        black_box(encoder.finish()?);
        Ok(())
    })
}
