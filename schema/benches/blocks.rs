//! How fast blocks are checked, decoded and made, on one core: `cargo bench -p sluice-schema`.
//!
//! Blocks of about 512 KiB; the throughput is bytes of block.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails is to stop")]

use std::{hint::black_box, sync::Arc};

use arrow::array::{RecordBatch, StringArray};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sluice_proto::gateway::v1::Row;
use sluice_schema::{
    block::{self, Encoded},
    keys, limits,
    rows::RowsEncoder,
    types::{self, DataType, Field, Kind, Schema},
};

const EVENT_BYTES: usize = 100;
const EVENTS: usize = limits::BLOCK_BYTES_TARGET / (EVENT_BYTES + 4);
const ASCII: &str =
    "plain ASCII of a hundred bytes, as most text that machines write to each other in logs and streams..";
const UNICODE: &str = "Zürich, São Paulo, Kraków, 東京, Αθήνα: names of towns as people of these towns write them, ö";

fn bytes_block(key: impl Fn(usize) -> Option<u64>) -> Encoded {
    let mut encoder = RowsEncoder::new();
    for i in 0..EVENTS {
        let key = key(i).map(|key| Bytes::copy_from_slice(&key.to_be_bytes()));
        let value = Bytes::from(vec![i as u8; EVENT_BYTES]);
        encoder.push(&Row { key, value, event_time_ms: None, headers: Default::default() }).unwrap();
    }
    encoder.finish().unwrap().unwrap()
}

fn text_block(text: &str) -> (Schema, Encoded) {
    let strings = DataType::required(Kind::VarChar(limits::TYPE_LENGTH_MAX));
    let schema = Schema::new(vec![Field::new("text", strings)]).unwrap();
    let column = StringArray::from_iter_values(std::iter::repeat_n(text, EVENTS));
    let batch = RecordBatch::try_new(schema.to_arrow(), vec![Arc::new(column)]).unwrap();
    let block = block::encode(&schema, &batch).unwrap();
    (schema, block)
}

fn decode(schema: &Schema, block: &Encoded) -> RecordBatch {
    block::decode(schema, &block.columns, block.rows, block.data.clone()).unwrap()
}

fn blocks(criterion: &mut Criterion) {
    let (ascii_schema, ascii) = text_block(ASCII);
    let (unicode_schema, unicode) = text_block(UNICODE);
    let cases = [
        ("100-byte values", types::bytes_schema(), bytes_block(|_| None)),
        ("100-byte values, 8-byte keys", types::bytes_schema(), bytes_block(|i| Some(i as u64 % 1000))),
        ("100-byte ASCII strings", ascii_schema, ascii),
        ("100-byte Unicode strings", unicode_schema, unicode),
    ];
    for (name, schema, block) in &cases {
        let mut group = criterion.benchmark_group(*name);
        group.throughput(Throughput::Bytes(block.data.len() as u64));
        let crc = crc32c::crc32c(&block.data);
        let batch = decode(schema, block);
        group.bench_function("checksum", |b| b.iter(|| crc32c::crc32c(black_box(&block.data))));
        group.bench_function("validate", |b| {
            b.iter(|| block::validate(schema, &block.columns, block.rows, crc, black_box(&block.data)).unwrap());
        });
        group.bench_function("decode", |b| b.iter(|| decode(schema, black_box(block))));
        group.bench_function("encode", |b| b.iter(|| block::encode(schema, black_box(&batch)).unwrap()));
        group.bench_function("encode unchecked", |b| {
            b.iter(|| block::encode_unchecked(schema, black_box(&batch)).unwrap());
        });
        group.finish();
    }
}

fn routing(criterion: &mut Criterion) {
    let block = bytes_block(|i| Some(i as u64 % 1000));
    let batch = decode(&types::bytes_schema(), &block);
    let ranges = keys::KeyRange::split_evenly(4);
    let mut group = criterion.benchmark_group("8-byte keys, 4 segments");
    group.throughput(Throughput::Elements(EVENTS as u64));
    group.bench_function("hash and route", |b| {
        b.iter(|| keys::route(black_box(&batch), &[types::BYTES_KEY], &ranges).unwrap());
    });
    group.bench_function("split", |b| {
        b.iter(|| keys::split(black_box(&batch), &[types::BYTES_KEY], &ranges).unwrap());
    });
    let rows: Vec<Row> = (0..EVENTS)
        .map(|i| Row { key: None, value: vec![i as u8; EVENT_BYTES].into(), ..Default::default() })
        .collect();
    let mut encoder = RowsEncoder::new();
    group.bench_function("rows to block", |b| {
        b.iter(|| {
            rows.iter().for_each(|row| encoder.push(row).unwrap());
            encoder.finish().unwrap()
        });
    });
    group.finish();
}

criterion_group!(benches, blocks, routing);
criterion_main!(benches);
