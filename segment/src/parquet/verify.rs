//! Checks a published file down to the last byte and row.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMillisecondType};

use super::batches::RawBatches;
use super::error::ReadError;
use super::reader::{BatchSizes, ExpectedFile, SegmentFileReader, damaged};
use crate::env::File;

const STEP_BYTES: u64 = 1 << 20;

/// Checks the whole-file checksum, the footer, and that every row decodes with `_offset` dense from the first to the last offset, `_segment`
/// right, `_commit_seq` and `_commit_time` never going back and as the ledger says at both ends. Returns the open file.
pub fn verify_file(file: Arc<dyn File>, expected: ExpectedFile) -> Result<SegmentFileReader, ReadError> {
    let reader = SegmentFileReader::open(file.clone(), expected)?;
    let expected = reader.expected();
    if whole_checksum(&*file, expected)? != expected.written.crc32c {
        return Err(damaged(expected, expected.written.first_offset, "the checksum of the whole file differs".into()));
    }
    let written = &expected.written;
    let columns = expected.stream_schema.fields().len() + super::SYSTEM_COLUMNS.len();
    let offsets = written.first_offset..written.end_offset;
    let mut last = Commit { seq: written.first_commit_seq, ms: written.first_commit_ms };
    for batch in RawBatches::new(reader.inner.clone(), offsets, (0..columns).collect(), BatchSizes::default()) {
        let (base, batch) = batch?;
        last = check_rows(expected, base, &batch, last)?;
    }
    if (last.seq, last.ms) != (written.last_commit_seq, written.last_commit_ms) {
        let why = format!(
            "its last row is of commit {} at {} ms where the ledger says {} at {}",
            last.seq, last.ms, written.last_commit_seq, written.last_commit_ms
        );
        return Err(damaged(expected, written.end_offset - 1, why));
    }
    Ok(reader)
}

#[derive(Clone, Copy)]
struct Commit {
    seq: u64,
    ms: u64,
}

fn whole_checksum(file: &dyn File, expected: &ExpectedFile) -> Result<u32, ReadError> {
    let mut buffer = vec![0; STEP_BYTES.min(expected.written.bytes) as usize];
    let (mut at, mut sum) = (0, 0);
    while at < expected.written.bytes {
        let step = STEP_BYTES.min(expected.written.bytes - at) as usize;
        let read = file.read_exact_at(at, &mut buffer[..step]);
        read.map_err(|source| ReadError::Io { label: expected.label.clone(), source })?;
        sum = crc32c::crc32c_append(sum, &buffer[..step]);
        at += step as u64;
    }
    Ok(sum)
}

fn check_rows(expected: &ExpectedFile, base: u64, batch: &RecordBatch, mut last: Commit) -> Result<Commit, ReadError> {
    let system = batch.num_columns() - super::SYSTEM_COLUMNS.len();
    let offsets = batch.column(system).as_primitive::<Int64Type>();
    let segments = batch.column(system + 1).as_primitive::<Int32Type>();
    let commits = batch.column(system + 2).as_primitive::<Int64Type>();
    let times = batch.column(system + 3).as_primitive::<TimestampMillisecondType>();
    for row in 0..batch.num_rows() {
        let offset = base + row as u64;
        let commit = Commit { seq: commits.value(row) as u64, ms: times.value(row) as u64 };
        let first = offset == expected.written.first_offset;
        let why = if offsets.value(row) as u64 != offset {
            format!("the row carries offset {}", offsets.value(row))
        } else if i64::from(segments.value(row)) != i64::from(expected.label.segment.get()) {
            format!("the row carries segment {}", segments.value(row))
        } else if commit.seq < last.seq
            || commit.ms < last.ms
            || first && (commit.seq, commit.ms) != (last.seq, last.ms)
        {
            format!("commit {} at {} ms follows commit {} at {} ms", commit.seq, commit.ms, last.seq, last.ms)
        } else {
            last = commit;
            continue;
        };
        return Err(damaged(expected, offset, why));
    }
    Ok(last)
}
