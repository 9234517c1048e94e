//! Blocks round-trip for all types, bit for bit; bytes that are cut, flipped or lie are refused, and whatever is not
//! refused decodes. Lies are told by changing a good block, so that each test breaks exactly one rule.

mod metadata;
mod round_trip;
mod values;

use std::sync::Arc;

use arrow::{
    array::{Array as _, ArrayRef, RecordBatch},
    datatypes::{Field as ArrowField, Schema as ArrowSchema},
};

use super::*;
use crate::types::{DataType, Field, Kind};

fn crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
}

fn check_block(schema: &Schema, block: &Encoded) -> Result<(), BlockError> {
    validate(schema, &block.columns, block.rows, crc(&block.data), &block.data)
}

/// The sentence a block with this data is refused with.
fn refusal(schema: &Schema, block: &Encoded, data: &[u8]) -> String {
    validate(schema, &block.columns, block.rows, crc(data), data).expect_err("was accepted").to_string()
}

fn schema_of(kind: Kind, nullable: bool) -> Schema {
    Schema::new(vec![Field::new("c", DataType { kind, nullable })]).unwrap()
}

fn string_type(limit: u32) -> Schema {
    schema_of(Kind::VarChar(limit), true)
}

/// One column as a block, without any check of its values.
fn unchecked(schema: &Schema, column: ArrayRef) -> Encoded {
    let field = ArrowField::new("c", column.data_type().clone(), true);
    let batch = RecordBatch::try_new(Arc::new(ArrowSchema::new(vec![field])), vec![column]).unwrap();
    encode_unchecked(schema, &batch).unwrap()
}

/// A block of one column with the values changed: `find` occurs once in the body and becomes `put`.
fn patched(block: &Encoded, find: &[u8], put: &[u8]) -> Vec<u8> {
    assert_eq!(find.len(), put.len());
    let mut data = block.data.to_vec();
    let body = frame::parse(&block.data).unwrap().body_start;
    let places: Vec<_> = data[body..].windows(find.len()).enumerate().filter(|(_, w)| *w == find).collect();
    assert_eq!(places.len(), 1, "the bytes to change must occur once");
    let at = body + places[0].0;
    data[at..at + put.len()].copy_from_slice(put);
    data
}
