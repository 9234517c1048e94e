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
        block::encode_unchecked(&self.schema, &batch).map(Some)
    }
}

/// Bytes of a row's key, value and headers.
fn row_bytes(row: &Row) -> usize {
    let headers = row.headers.iter().map(|(name, value)| name.len() + value.len() + HEADER_OVERHEAD_BYTES);
    row.key.as_ref().map_or(0, bytes::Bytes::len) + row.value.len() + headers.sum::<usize>()
}

#[cfg(test)]
mod tests {
    //! Rows come back from their block as they went in; limits hold before anything is added.
    use std::collections::HashMap;

    use arrow::array::{Array as _, AsArray as _};
    use bytes::Bytes;

    use super::*;
    use crate::{block::decode, types::BYTES_EVENT_TIME};

    fn row(key: Option<&str>, value: &str, event_time_ms: Option<i64>, headers: &[(&str, &str)]) -> Row {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let headers: HashMap<String, Bytes> = headers.iter().map(|(n, v)| (n.to_string(), bytes(v))).collect();
        Row { key: key.map(bytes), value: bytes(value), event_time_ms, headers }
    }

    fn encode(rows: &[Row]) -> Encoded {
        let mut encoder = RowsEncoder::new();
        rows.iter().for_each(|row| encoder.push(row).unwrap());
        let bound = encoder.size_bytes();
        let encoded = encoder.finish().unwrap().unwrap();
        assert!(encoded.data.len() <= bound, "{} bytes, {bound} were announced", encoded.data.len());
        assert_eq!(encoder.finish().unwrap(), None);
        assert_eq!(encoder.size_bytes(), RowsEncoder::new().size_bytes());
        encoded
    }

    #[test]
    fn rows_come_back_as_they_went_in() {
        let rows = [
            row(Some("k"), "v", Some(-5), &[("b", "2"), ("a", "1")]),
            row(None, "", None, &[]),
            row(Some(""), "long value", Some(7), &[("a", "")]),
        ];
        let block = encode(&rows);
        let schema = bytes_schema();
        let wire = block.clone().into_wire(crate::ids::SchemaId::BYTES);
        block::validate(&schema, &wire.columns, wire.rows, wire.crc32c, &wire.data).unwrap();
        let batch = decode(&schema, &block.columns, block.rows, block.data).unwrap();
        let (keys, values) = (batch.column(0).as_binary::<i32>(), batch.column(1).as_binary::<i32>());
        assert_eq!(keys.iter().collect::<Vec<_>>(), [Some(&b"k"[..]), None, Some(&b""[..])]);
        assert_eq!(values.iter().flatten().collect::<Vec<_>>(), [&b"v"[..], b"", b"long value"]);
        let times = batch.column(BYTES_EVENT_TIME).as_primitive::<arrow::datatypes::TimestampMillisecondType>();
        assert_eq!(times.iter().collect::<Vec<_>>(), [Some(-5), None, Some(7)]);
        let headers = batch.column(BYTES_HEADERS).as_map();
        assert!(headers.is_null(1));
        let first = headers.value(0);
        assert_eq!(first.column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(first.column(1).as_binary::<i32>().value(1), b"2");
        assert_eq!(headers.value(2).len(), 1);
    }

    #[test]
    fn columns_nobody_used_are_left_out() {
        let block = encode(&[row(None, "v", None, &[]), row(None, "w", None, &[])]);
        assert_eq!(block.columns, [1]);
        assert_eq!(decode(&bytes_schema(), &[1], 2, block.data).unwrap().column(0).null_count(), 2);
    }

    #[test]
    fn limits_hold_before_anything_is_added() {
        let mut encoder = RowsEncoder::new();
        let huge = row(None, &"x".repeat(EVENT_BYTES_MAX + 1), None, &[]);
        let error = encoder.push(&huge).unwrap_err().to_string();
        assert_eq!(error, "size of an event in bytes is 4194305, at most 4194304 is allowed");
        let half = row(None, &"x".repeat(EVENT_BYTES_MAX), None, &[]);
        encoder.push(&half).unwrap();
        assert!(!encoder.fits(&half));
        assert!(matches!(encoder.push(&half), Err(BlockError::TooLarge { .. })));
        let block = encoder.finish().unwrap().unwrap();
        assert_eq!(block.rows, 1);
        assert!(block.data.len() <= BLOCK_BYTES_MAX);
    }
}
