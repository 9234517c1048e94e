//! Small rows of the bytes schema, collected into one block.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryBuilder, MapBuilder, MapFieldNames, RecordBatch, StringBuilder, TimestampMillisecondBuilder,
    },
    datatypes::{DataType, Field},
};
use sluice_proto::gateway::v1::Row;

use crate::{
    block::{self, BlockError, Encoded},
    limits::{BLOCK_BYTES_MAX, BLOCK_ROWS_MAX, EVENT_BYTES_MAX},
    types::{BYTES_HEADERS, Schema, bytes_schema},
};

/// Bytes a row takes beside its key, value and headers: offsets, time and bitmaps, rounded up.
const ROW_OVERHEAD_BYTES: usize = 32;
/// Bytes a header takes beside its name and value.
const HEADER_OVERHEAD_BYTES: usize = 8;
/// Room for the metadata and padding of a block.
const BLOCK_OVERHEAD_BYTES: usize = 4096;

/// Collects rows of the bytes schema and makes blocks of them.
///
/// Push rows, look at [`Self::size_bytes`], [`Self::finish`] when there is enough; the encoder is empty then and can
/// be used again. Headers are stored in the order of their names, so that equal rows make equal bytes.
pub struct RowsEncoder {
    schema: Schema,
    keys: BinaryBuilder,
    values: BinaryBuilder,
    event_times: TimestampMillisecondBuilder,
    headers: MapBuilder<StringBuilder, BinaryBuilder>,
    rows: u32,
    size_bytes: usize,
}

impl Default for RowsEncoder {
    fn default() -> Self {
        Self::new()
    }
}

impl RowsEncoder {
    /// An encoder without rows.
    pub fn new() -> Self {
        let names = MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() };
        let headers = MapBuilder::new(Some(names), StringBuilder::new(), BinaryBuilder::new())
            .with_values_field(Field::new("value", DataType::Binary, false));
        Self {
            schema: bytes_schema(),
            keys: BinaryBuilder::new(),
            values: BinaryBuilder::new(),
            event_times: TimestampMillisecondBuilder::new(),
            headers,
            rows: 0,
            size_bytes: BLOCK_OVERHEAD_BYTES,
        }
    }

    /// Rows collected.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// An upper bound of the block's size.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Whether a row can be added without making the block larger than a limit.
    pub fn fits(&self, row: &Row) -> bool {
        self.rows < BLOCK_ROWS_MAX && self.size_bytes + row_bytes(row) + ROW_OVERHEAD_BYTES <= BLOCK_BYTES_MAX
    }

    /// Adds a row. Refused, with nothing added: an event over its limit, a row that does not [fit](Self::fits).
    pub fn push(&mut self, row: &Row) -> Result<(), BlockError> {
        let bytes = row_bytes(row);
        if bytes > EVENT_BYTES_MAX {
            let (actual, limit) = (bytes as u64, EVENT_BYTES_MAX as u64);
            return Err(BlockError::TooLarge { what: "size of an event in bytes", actual, limit });
        }
        if !self.fits(row) {
            let (actual, limit) = ((self.size_bytes + bytes) as u64, BLOCK_BYTES_MAX as u64);
            return Err(BlockError::TooLarge { what: "size of a block in bytes", actual, limit });
        }
        self.keys.append_option(row.key.as_deref());
        self.values.append_value(&row.value);
        self.event_times.append_option(row.event_time_ms);
        self.push_headers(row).map_err(|error| BlockError::Mismatch(error.to_string()))?;
        self.rows += 1;
        self.size_bytes += bytes + ROW_OVERHEAD_BYTES;
        Ok(())
    }

    fn push_headers(&mut self, row: &Row) -> Result<(), arrow::error::ArrowError> {
        if row.headers.is_empty() {
            return self.headers.append(false);
        }
        let mut headers: Vec<_> = row.headers.iter().collect();
        headers.sort_unstable_by_key(|(name, _)| *name);
        for (name, value) in headers {
            self.headers.keys().append_value(name);
            self.headers.values().append_value(value);
        }
        self.headers.append(true)
    }

    /// The block of the rows collected; `None` if there are none. Columns nobody used are left out.
    pub fn finish(&mut self) -> Result<Option<Encoded>, BlockError> {
        if self.rows == 0 {
            return Ok(None);
        }
        let headers = self.headers.finish();
        debug_assert_eq!(
            arrow::array::Array::data_type(&headers),
            self.schema.to_arrow().field(BYTES_HEADERS).data_type()
        );
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.keys.finish()),
            Arc::new(self.values.finish()),
            Arc::new(self.event_times.finish()),
            Arc::new(headers),
        ];
        self.rows = 0;
        self.size_bytes = BLOCK_OVERHEAD_BYTES;
        let batch = RecordBatch::try_new(self.schema.to_arrow(), columns);
        let batch = batch.map_err(|error| BlockError::Mismatch(error.to_string()))?;
        block::write(&self.schema, &batch).map(Some)
    }
}

/// Bytes of a row's key, value and headers.
fn row_bytes(row: &Row) -> usize {
    let headers = row.headers.iter().map(|(name, value)| name.len() + value.len() + HEADER_OVERHEAD_BYTES);
    row.key.as_ref().map_or(0, bytes::Bytes::len) + row.value.len() + headers.sum::<usize>()
}
