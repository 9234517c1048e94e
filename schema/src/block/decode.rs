//! From blocks to record batches.

use std::{collections::HashMap, ops::Range, sync::Arc};

use arrow::{
    array::{ArrayData, ArrayRef, RecordBatch, RecordBatchOptions, make_array, new_empty_array},
    buffer::Buffer,
    datatypes::{DataType as ArrowType, Schema as ArrowSchema},
    error::ArrowError,
    ipc::{MetadataVersion, reader::read_record_batch},
};
use bytes::Bytes;

use super::{BlockError, Depth, Encoded, Present, check, check_size, encode::encode_unchecked, frame};
use crate::types::Schema;

/// Makes a record batch of a block, with all columns of the schema: those that were left out are null in every row.
///
/// The arrays lie in `data`'s memory, without a copy, as far as that is aligned; they keep all of it alive. Safe on
/// bytes that nobody validated: they are refused, or hold other values, but never panic and never allocate by their
/// own word. The CRC is not checked, nor lengths and precisions: see [`super::validate`].
pub fn decode(schema: &Schema, columns: &[u32], rows: u32, data: Bytes) -> Result<RecordBatch, BlockError> {
    check_size(rows, data.len())?;
    check(schema, columns, rows, &data, Depth::Buffers)?;
    let frame = frame::parse(&data)?;
    let present = Present::new(schema, columns)?;

    let full = schema.to_arrow();
    let held: Vec<usize> = present.indices().collect();
    let held_schema = ArrowSchema::new(held.iter().map(|index| full.field(*index).clone()).collect::<Vec<_>>());
    let body = Buffer::from(data.clone()).slice(frame.body_start);
    let no_dictionaries = HashMap::new();
    let batch =
        read_record_batch(&body, frame.batch, Arc::new(held_schema), &no_dictionaries, None, &MetadataVersion::V5)
            .map_err(malformed)?;
    if held.len() == full.fields().len() {
        return Ok(batch);
    }
    add_null_columns(schema, &held, &batch)
}

/// Makes a block of the rows `range` of a block; the range is cut to the rows there are, and must not be empty then.
pub fn slice(
    schema: &Schema,
    columns: &[u32],
    rows: u32,
    data: Bytes,
    range: Range<u32>,
) -> Result<Encoded, BlockError> {
    let batch = decode(schema, columns, rows, data)?;
    let (start, end) = (range.start.min(rows), range.end.min(rows));
    if start >= end {
        return Err(BlockError::Malformed(format!("rows {start} to {end} of {rows} are none")));
    }
    encode_unchecked(schema, &batch.slice(start as usize, (end - start) as usize))
}

fn malformed(error: ArrowError) -> BlockError {
    BlockError::Malformed(error.to_string())
}

fn add_null_columns(schema: &Schema, held: &[usize], batch: &RecordBatch) -> Result<RecordBatch, BlockError> {
    let full = schema.to_arrow();
    let rows = batch.num_rows();
    // Wide enough for the widest value and for offsets; all null columns share it, however many there are.
    let zeros = Buffer::from(vec![0u128; rows + 1]);
    let mut found = held.iter().zip(batch.columns()).peekable();
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(full.fields().len());
    for (index, field) in full.fields().iter().enumerate() {
        match found.next_if(|(held, _)| **held == index) {
            Some((_, array)) => arrays.push(Arc::clone(array)),
            None => arrays.push(make_array(nulls(field.data_type(), rows, &zeros).map_err(malformed)?)),
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(full, arrays, &options).map_err(malformed)
}

/// A column of nulls over shared zeros.
fn nulls(data_type: &ArrowType, rows: usize, zeros: &Buffer) -> Result<ArrayData, ArrowError> {
    let builder = ArrayData::builder(data_type.clone()).len(rows).null_bit_buffer(Some(zeros.clone()));
    match data_type {
        ArrowType::Utf8 | ArrowType::Binary => {
            builder.add_buffer(zeros.clone()).add_buffer(Buffer::from(Vec::<u8>::new())).build()
        }
        ArrowType::List(child) | ArrowType::Map(child, _) => {
            builder.add_buffer(zeros.clone()).add_child_data(new_empty_array(child.data_type()).to_data()).build()
        }
        ArrowType::Struct(fields) => {
            let children = fields.iter().map(|field| nulls(field.data_type(), rows, zeros));
            builder.child_data(children.collect::<Result<_, _>>()?).build()
        }
        _ => builder.add_buffer(zeros.clone()).build(),
    }
}
