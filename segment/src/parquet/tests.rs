//! Files written, read back, damaged and refused.

mod damage;
mod data;
mod refusals;
mod round_trip;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use sluice_schema::ids::SegmentNumber;
use sluice_schema::names::StreamName;

use super::*;
use crate::env::{Disk, File, MemDisk, OpenMode};

pub(super) const FIRST: u64 = 1000;

fn stream() -> StreamName {
    StreamName::parse("nyc/flights").unwrap()
}

fn info() -> FileInfo {
    FileInfo { stream: stream(), segment: SegmentNumber::new(3), first_offset: FIRST, schema_id: 7 }
}

/// Small groups and pages, so that little data makes many of them.
fn tiny() -> WriterOptions {
    WriterOptions {
        row_group_bytes: 4000,
        page_bytes: 500,
        page_rows: 40,
        dictionary_bytes: 300,
        ..WriterOptions::default()
    }
}

/// Writes the batches as commits 11, 12, ... at 5000 ms, 5010 ms, ...
fn write(schema: &SchemaRef, batches: &[RecordBatch], options: &WriterOptions) -> (WrittenFile, Vec<u8>) {
    let mut writer = SegmentFileWriter::new(Vec::new(), schema.clone(), info(), options).unwrap();
    let mut offset = FIRST;
    for (index, batch) in batches.iter().enumerate() {
        writer.write(batch, offset, 11 + index as u64, 5000 + 10 * index as u64).unwrap();
        offset += batch.num_rows() as u64;
        assert_eq!(writer.rows(), offset - FIRST);
    }
    writer.finish().unwrap()
}

fn expected(schema: &SchemaRef, written: WrittenFile) -> ExpectedFile {
    let label = FileLabel { path: "f.parquet".into(), stream: stream(), segment: SegmentNumber::new(3) };
    ExpectedFile { label, stream_schema: schema.clone(), written }
}

fn file(content: Vec<u8>) -> Arc<dyn File> {
    let disk = MemDisk::new();
    disk.create_dir_all(Path::new("/d")).unwrap();
    disk.set_contents(Path::new("/d/f"), content);
    disk.open(Path::new("/d/f"), OpenMode::Read).unwrap()
}

/// Rows `from..to` of the batches, counted from the first.
fn slice(schema: &SchemaRef, batches: &[RecordBatch], from: usize, to: usize) -> RecordBatch {
    concat_batches(schema, batches).unwrap().slice(from, to - from)
}

/// A file that counts what is read.
#[derive(Debug)]
struct Counting {
    file: Arc<dyn File>,
    read: AtomicU64,
}

impl Counting {
    fn new(content: Vec<u8>) -> Arc<Self> {
        Arc::new(Self { file: file(content), read: AtomicU64::new(0) })
    }

    fn take(&self) -> u64 {
        self.read.swap(0, Ordering::Relaxed)
    }
}

impl File for Counting {
    fn write_vectored_at(&self, _: u64, _: &[&[u8]]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn read_exact_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        self.file.read_exact_at(position, buffer)
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
}
