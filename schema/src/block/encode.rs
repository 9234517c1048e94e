//! From record batches to blocks.

use arrow::{
    array::{Array as _, RecordBatch},
    datatypes::DataType as ArrowType,
    ipc::{
        MetadataVersion,
        writer::{CompressionContext, DictionaryTracker, IpcDataGenerator, IpcWriteOptions},
    },
};
use bytes::{BufMut as _, Bytes, BytesMut};
use sluice_proto::gateway::v1 as wire;

use super::{
    BlockError, Depth, check, check_size,
    frame::{ALIGNMENT, CONTINUATION, PREFIX_BYTES},
};
use crate::{ids::SchemaId, types::Schema};

/// A block that was made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Rows, at least 1.
    pub rows: u32,
    /// The columns it holds, ascending; empty: all.
    pub columns: Vec<u32>,
    /// The bytes.
    pub data: Bytes,
}

impl Encoded {
    /// The block as it travels, with its checksum.
    pub fn into_wire(self, schema: SchemaId) -> wire::Block {
        let crc32c = crc32c::crc32c(&self.data);
        wire::Block { schema_id: schema.get(), rows: self.rows, crc32c, columns: self.columns, data: self.data }
    }
}

/// Makes a block of a record batch, leaving out columns that are null in every row.
///
/// The batch must have the schema's columns, in order, with their names and Arrow types; field metadata and the names
/// of list items and map entries don't matter. Every value is checked as [`super::validate`] does, so that a writer
/// learns of a bad one before it is sent.
pub fn encode(schema: &Schema, batch: &RecordBatch) -> Result<Encoded, BlockError> {
    fits(schema, batch)?;
    let encoded = encode_unchecked(schema, batch)?;
    check(schema, &encoded.columns, encoded.rows, &encoded.data, Depth::Values)?;
    Ok(encoded)
}

/// Makes a block of some columns of stored rows, for a reader that asked for these only: columns that are left out are
/// not null but not asked for. `columns`: their indices in the schema, ascending, one per column of the batch.
pub fn encode_columns(schema: &Schema, columns: &[usize], batch: &RecordBatch) -> Result<Encoded, BlockError> {
    let whole = columns.len() == schema.fields().len();
    let data = write_batch(batch)?;
    let columns = if whole { Vec::new() } else { columns.iter().map(|index| *index as u32).collect() };
    Ok(Encoded { rows: batch.num_rows() as u32, columns, data })
}

/// As [`encode`], for rows that are known to fit, such as stored ones.
pub fn encode_unchecked(schema: &Schema, batch: &RecordBatch) -> Result<Encoded, BlockError> {
    let rows = u32::try_from(batch.num_rows()).unwrap_or(u32::MAX);
    if rows == 0 {
        return Err(BlockError::Malformed("it has 0 rows, at least 1 is needed".into()));
    }
    check_size(rows, 0)?;
    let mut held: Vec<usize> = (0..schema.fields().len()).filter(|index| !is_left_out(schema, batch, *index)).collect();
    if held.is_empty() {
        // An empty list would mean all columns.
        held.push(0);
    }
    let projected = batch.project(&held).map_err(mismatch)?;
    let data = write_batch(&projected)?;
    let all = held.len() == schema.fields().len();
    let columns = if all { Vec::new() } else { held.into_iter().map(|index| index as u32).collect() };
    Ok(Encoded { rows, columns, data })
}

fn mismatch(error: arrow::error::ArrowError) -> BlockError {
    BlockError::Mismatch(error.to_string())
}

/// All columns of a batch as one encapsulated message.
fn write_batch(batch: &RecordBatch) -> Result<Bytes, BlockError> {
    let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5).map_err(mismatch)?;
    let (_, message) = IpcDataGenerator::default()
        .encode(batch, &mut DictionaryTracker::new(true), &options, &mut CompressionContext::default())
        .map_err(mismatch)?;
    let data = frame(&message.ipc_message, &message.arrow_data);
    check_size(u32::try_from(batch.num_rows()).unwrap_or(u32::MAX), data.len())?;
    Ok(data)
}

fn is_left_out(schema: &Schema, batch: &RecordBatch, index: usize) -> bool {
    schema.fields()[index].data_type.nullable && batch.column(index).null_count() == batch.num_rows()
}

fn frame(metadata: &[u8], body: &[u8]) -> Bytes {
    let padded = metadata.len().next_multiple_of(ALIGNMENT);
    let mut data = BytesMut::with_capacity(PREFIX_BYTES + padded + body.len());
    data.put_slice(&CONTINUATION);
    // A schema has at most 1024 fields, its metadata stays far below 2 GiB.
    data.put_i32_le(padded as i32);
    data.put_slice(metadata);
    data.put_bytes(0, padded - metadata.len());
    data.put_slice(body);
    data.freeze()
}

/// Whether a batch has the schema's columns.
fn fits(schema: &Schema, batch: &RecordBatch) -> Result<(), BlockError> {
    let (expected, given) = (schema.to_arrow(), batch.schema());
    if expected.fields().len() != given.fields().len() {
        let why = format!("they have {} columns, the stream has {}", given.fields().len(), expected.fields().len());
        return Err(BlockError::Mismatch(why));
    }
    for (index, (expected, given)) in expected.fields().iter().zip(given.fields()).enumerate() {
        let number = index + 1;
        if expected.name() != given.name() {
            let why = format!("column {number} is `{}`, the stream has `{}` there", given.name(), expected.name());
            return Err(BlockError::Mismatch(why));
        }
        if !same_layout(expected.data_type(), given.data_type()) {
            let (name, given, expected) = (given.name(), given.data_type(), expected.data_type());
            let why = format!("column {number} `{name}` is Arrow {given}, the stream has {expected}");
            return Err(BlockError::Mismatch(why));
        }
    }
    Ok(())
}

/// Whether two types have the same buffers with the same meaning.
fn same_layout(expected: &ArrowType, given: &ArrowType) -> bool {
    match (expected, given) {
        (ArrowType::List(expected), ArrowType::List(given)) => same_layout(expected.data_type(), given.data_type()),
        (ArrowType::Map(expected, _), ArrowType::Map(given, _)) => match (expected.data_type(), given.data_type()) {
            (ArrowType::Struct(expected), ArrowType::Struct(given)) => {
                let pairs = expected.iter().zip(given);
                expected.len() == given.len()
                    && pairs.into_iter().all(|(e, g)| same_layout(e.data_type(), g.data_type()))
            }
            _ => false,
        },
        (ArrowType::Struct(expected), ArrowType::Struct(given)) => {
            let mut pairs = expected.iter().zip(given);
            expected.len() == given.len()
                && pairs.all(|(e, g)| e.name() == g.name() && same_layout(e.data_type(), g.data_type()))
        }
        _ => expected == given,
    }
}
