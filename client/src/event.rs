//! Events of the bytes schema and the builder that lays them out as Arrow columns.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryArray, BinaryBuilder, MapArray, RecordBatch, StringBuilder, StructArray,
        TimestampMillisecondArray, new_null_array,
    },
    buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer},
    datatypes::{DataType, SchemaRef},
    error::ArrowError,
};
use sluice_schema::types::{BYTES_HEADERS, BYTES_KEY};

/// One event of the bytes schema, borrowed. Headers keep their order; names may repeat.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// Routing key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// Payload.
    pub value: &'a [u8],
    /// Event time in milliseconds since 1970 (UTC).
    pub event_time_ms: Option<i64>,
    /// Headers; empty: null.
    pub headers: &'a [(&'a str, &'a [u8])],
}

impl<'a> Event<'a> {
    /// An event without a key.
    pub fn new(value: &'a [u8]) -> Self {
        Self { value, ..Self::default() }
    }

    /// An event with a routing key.
    pub fn keyed(key: &'a [u8], value: &'a [u8]) -> Self {
        Self { key: Some(key), value, ..Self::default() }
    }

    /// The same with an event time.
    pub fn at(self, event_time_ms: i64) -> Self {
        Self { event_time_ms: Some(event_time_ms), ..self }
    }

    /// Bytes of its parts.
    pub(crate) fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
        self.key.map_or(0, <[u8]>::len) + self.value.len() + headers + 16
    }
}

/// Null flags that cost nothing while no value is null.
#[derive(Debug, Default)]
struct Nulls {
    valid: Option<Vec<bool>>,
}

impl Nulls {
    fn push(&mut self, rows_before: usize, valid: bool) {
        match &mut self.valid {
            Some(flags) => flags.push(valid),
            None if valid => {}
            None => {
                let mut flags = vec![true; rows_before];
                flags.push(false);
                self.valid = Some(flags);
            }
        }
    }

    fn take(&mut self) -> Option<NullBuffer> {
        self.valid.take().map(|flags| NullBuffer::new(BooleanBuffer::from(flags)))
    }
}

/// A column of byte strings: raw bytes and where each value ends.
#[derive(Debug, Default)]
struct Bytes {
    ends: Vec<i32>,
    data: Vec<u8>,
}

impl Bytes {
    fn push(&mut self, value: &[u8]) {
        self.data.extend_from_slice(value);
        // Blocks are cut far below 2 GiB.
        self.ends.push(self.data.len() as i32);
    }

    fn take(&mut self, nulls: Option<NullBuffer>) -> Result<BinaryArray, ArrowError> {
        let rows = self.ends.len();
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        offsets.append(&mut self.ends);
        let data = std::mem::replace(&mut self.data, Vec::with_capacity(0));
        let capacity = data.len();
        let array = BinaryArray::try_new(OffsetBuffer::new(ScalarBuffer::from(offsets)), Buffer::from_vec(data), nulls);
        self.data.reserve(capacity);
        array
    }
}

/// Collects events and hands them out as a batch; columns that are null throughout are left out of it.
#[derive(Debug)]
pub(crate) struct EventsBuilder {
    schema: SchemaRef,
    rows: usize,
    bytes: usize,
    keys: Bytes,
    key_nulls: Nulls,
    any_key: bool,
    values: Bytes,
    times: Vec<i64>,
    time_nulls: Nulls,
    headers: Option<Headers>,
}

impl EventsBuilder {
    /// A builder of batches of the bytes schema in its Arrow form.
    pub fn new(schema: SchemaRef) -> Self {
        Self {
            schema,
            rows: 0,
            bytes: 0,
            keys: Bytes::default(),
            key_nulls: Nulls::default(),
            any_key: false,
            values: Bytes::default(),
            times: Vec::new(),
            time_nulls: Nulls::default(),
            headers: None,
        }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// About the bytes of the batch to come.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn push(&mut self, event: &Event<'_>) {
        let rows = self.rows;
        self.bytes += event.bytes();
        self.keys.push(event.key.unwrap_or_default());
        self.key_nulls.push(rows, event.key.is_some());
        self.any_key |= event.key.is_some();
        self.values.push(event.value);
        self.times.push(event.event_time_ms.unwrap_or_default());
        self.time_nulls.push(rows, event.event_time_ms.is_some());
        if let Some(headers) = &mut self.headers {
            headers.push(event.headers);
        } else if !event.headers.is_empty() {
            let mut headers = Headers::after(rows);
            headers.push(event.headers);
            self.headers = Some(headers);
        }
        self.rows += 1;
    }

    /// What was collected, as a batch of the bytes schema. Leaves the builder empty.
    pub fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        let nothing = |index: usize| new_null_array(self.schema.field(index).data_type(), rows);
        let keys = self.keys.take(self.key_nulls.take())?;
        let keys: ArrayRef = if self.any_key { Arc::new(keys) } else { nothing(BYTES_KEY) };
        let values: ArrayRef = Arc::new(self.values.take(None)?);
        let times = std::mem::take(&mut self.times);
        let times = TimestampMillisecondArray::try_new(times.into(), self.time_nulls.take())?;
        let headers: ArrayRef = match self.headers.take() {
            Some(headers) => Arc::new(headers.finish(self.schema.field(BYTES_HEADERS).data_type())?),
            None => nothing(BYTES_HEADERS),
        };
        (self.bytes, self.any_key) = (0, false);
        RecordBatch::try_new(self.schema.clone(), vec![keys, values, Arc::new(times), headers])
    }
}

/// The headers column; rare, so plain builders do.
#[derive(Debug)]
struct Headers {
    ends: Vec<i32>,
    valid: Vec<bool>,
    names: StringBuilder,
    values: BinaryBuilder,
}

impl Headers {
    fn after(rows: usize) -> Self {
        Self {
            ends: vec![0; rows + 1],
            valid: vec![false; rows],
            names: StringBuilder::new(),
            values: BinaryBuilder::new(),
        }
    }

    fn push(&mut self, headers: &[(&str, &[u8])]) {
        for (name, value) in headers {
            self.names.append_value(name);
            self.values.append_value(value);
        }
        let before = self.ends.last().copied().unwrap_or_default();
        self.ends.push(before + headers.len() as i32);
        self.valid.push(!headers.is_empty());
    }

    fn finish(mut self, data_type: &DataType) -> Result<MapArray, ArrowError> {
        let unfit = || ArrowError::SchemaError(format!("the headers column is {data_type}, not a map"));
        let DataType::Map(entries, ordered) = data_type else { return Err(unfit()) };
        let DataType::Struct(fields) = entries.data_type() else { return Err(unfit()) };
        let columns: Vec<ArrayRef> = vec![Arc::new(self.names.finish()), Arc::new(self.values.finish())];
        let pairs = StructArray::try_new(fields.clone(), columns, None)?;
        let nulls = NullBuffer::new(BooleanBuffer::from(self.valid));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.ends));
        MapArray::try_new(entries.clone(), offsets, pairs, Some(nulls), *ordered)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array as _, AsArray as _};
    use sluice_schema::types::{BYTES_VALUE, bytes_schema};

    use super::*;

    #[test]
    fn columns_nobody_used_are_null_and_left_out_of_the_block() {
        let mut builder = EventsBuilder::new(bytes_schema().to_arrow());
        builder.push(&Event::new(b"a"));
        builder.push(&Event::new(b"bc"));
        let batch = builder.take().unwrap();
        assert_eq!(batch.column(BYTES_VALUE).as_binary::<i32>().value(1), b"bc");
        assert_eq!(sluice_schema::block::encode(&bytes_schema(), &batch).unwrap().columns, [BYTES_VALUE as u32]);
    }

    #[test]
    fn nulls_appear_where_values_are_missing_and_the_builder_starts_anew() {
        let mut builder = EventsBuilder::new(bytes_schema().to_arrow());
        for _ in 0..2 {
            builder.push(&Event::keyed(b"k", b"v"));
            builder.push(&Event::new(b"").at(-5));
            builder.push(&Event { headers: &[("h", b"1"), ("h", b"2")], ..Event::keyed(b"", b"x") });
            let batch = builder.take().unwrap();
            assert_eq!((batch.num_columns(), batch.num_rows()), (4, 3));
            let keys = batch.column(0).as_binary::<i32>();
            assert!(keys.is_null(1) && !keys.is_null(2) && keys.value(0) == b"k");
            let times = batch.column(2);
            assert!(times.is_null(0) && !times.is_null(1) && times.is_null(2));
            let headers = batch.column(3).as_map();
            assert!(headers.is_null(0) && headers.is_null(1) && headers.value(2).len() == 2);
            assert_eq!(batch.schema().field(3), bytes_schema().to_arrow().field(3));
            assert_eq!((builder.rows(), builder.bytes()), (0, 0));
        }
    }
}
