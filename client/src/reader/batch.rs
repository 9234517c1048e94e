//! What a reader gives out.

use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, BinaryArray, MapArray, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::TimestampMillisecondType;
use sluice_schema::types::{BYTES_EVENT_TIME, BYTES_HEADERS, BYTES_KEY, BYTES_VALUE};

use crate::{
    error::{Error, Result},
    streams::Stream,
};

/// Committed events of one segment, with dense offsets.
#[derive(Debug, Clone)]
pub struct ReadBatch {
    /// The stream.
    pub stream: Arc<Stream>,
    /// The segment.
    pub segment: u32,
    /// Offset of the first row; row i has offset `base_offset + i`.
    pub base_offset: u64,
    /// The commit that made them visible; for events from Parquet the greatest of the batch.
    pub commit_seq: u64,
    /// Its time in milliseconds since 1970.
    pub commit_time_ms: u64,
    /// The rows, at least one, in the stream's schema.
    pub rows: RecordBatch,
    /// Bytes of the block they came in.
    pub bytes: u64,
}

impl ReadBatch {
    /// The rows as events of the bytes schema; refused for a stream of typed columns.
    pub fn events(&self) -> Result<Events<'_>> {
        let unfit = || Error::invalid(format!("stream {} has typed columns: read its Arrow batches", self.stream.name));
        if !self.stream.is_bytes() {
            return Err(unfit());
        }
        let column = |index: usize| self.rows.columns().get(index).ok_or_else(unfit);
        Ok(Events {
            base_offset: self.base_offset,
            rows: self.rows.num_rows(),
            next: 0,
            keys: column(BYTES_KEY)?.as_binary_opt().ok_or_else(unfit)?,
            values: column(BYTES_VALUE)?.as_binary_opt().ok_or_else(unfit)?,
            times: column(BYTES_EVENT_TIME)?.as_primitive_opt::<TimestampMillisecondType>().ok_or_else(unfit)?,
            headers: column(BYTES_HEADERS)?.as_map_opt().ok_or_else(unfit)?,
        })
    }
}

/// The events of a batch, in order.
#[derive(Debug)]
pub struct Events<'a> {
    base_offset: u64,
    rows: usize,
    next: usize,
    keys: &'a BinaryArray,
    values: &'a BinaryArray,
    times: &'a TimestampMillisecondArray,
    headers: &'a MapArray,
}

/// One event of the bytes schema as it was read.
#[derive(Debug, Clone, Copy)]
pub struct EventRef<'a> {
    /// Its offset in its segment.
    pub offset: u64,
    /// Routing key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// Payload.
    pub value: &'a [u8],
    /// Event time in milliseconds since 1970 (UTC).
    pub event_time_ms: Option<i64>,
    row: usize,
    headers: &'a MapArray,
}

impl<'a> EventRef<'a> {
    /// Its headers, in order.
    pub fn headers(&self) -> Vec<(&'a str, &'a [u8])> {
        if self.headers.is_null(self.row) {
            return Vec::new();
        }
        let names = self.headers.keys().as_string_opt::<i32>();
        let values = self.headers.values().as_binary_opt::<i32>();
        let (Some(names), Some(values)) = (names, values) else { return Vec::new() };
        let offsets = self.headers.value_offsets();
        let range = offsets[self.row] as usize..offsets[self.row + 1] as usize;
        range.map(|index| (names.value(index), values.value(index))).collect()
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = EventRef<'a>;

    fn next(&mut self) -> Option<EventRef<'a>> {
        let row = self.next;
        if row == self.rows {
            return None;
        }
        self.next += 1;
        Some(EventRef {
            offset: self.base_offset + row as u64,
            key: self.keys.is_valid(row).then(|| self.keys.value(row)),
            value: self.values.value(row),
            event_time_ms: self.times.is_valid(row).then(|| self.times.value(row)),
            row,
            headers: self.headers,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.rows - self.next, Some(self.rows - self.next))
    }
}

impl ExactSizeIterator for Events<'_> {}
