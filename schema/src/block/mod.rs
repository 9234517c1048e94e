//! Blocks: one Arrow record batch of one segment, as it travels and as it lies in the log.
//!
//! ```text
//! 0            4              8                 8 + metadata length
//! | 0xFFFFFFFF | i32 metadata | flatbuffer      | body: the buffers of all columns,   |
//! |            | length       | Message, padded | each at a multiple of 8 bytes       |
//! ```
//!
//! One encapsulated Arrow IPC message, little endian, format version V5, holding a RecordBatch that is not compressed
//! and has no dictionaries. The schema is not in it. Columns that are null in every row may be left out; the block's
//! header on the wire lists the ones that are there. A validity bitmap may be left out (length 0) where nothing is null.
//!
//! * [`validate`] checks a block from outside, once, without decoding and without allocating by its word;
//!   whatever it accepts, [`decode`] accepts.
//! * [`decode`] makes a record batch with all columns of the schema over the same bytes.
//! * [`encode`] makes a block of a record batch; [`slice()`] makes one of some rows of a block.

mod columns;
mod decode;
mod encode;
mod frame;
mod values;

#[cfg(test)]
mod tests;

use crate::{
    limits::{BLOCK_BYTES_MAX, BLOCK_ROWS_MAX},
    types::Schema,
};

pub use decode::{decode, slice};
pub use encode::{Encoded, encode, encode_columns, encode_unchecked};

/// Why a block is refused. Nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Over a limit: send less at a time.
    #[error("{what} is {actual}, at most {limit} is allowed")]
    TooLarge {
        /// What is too large, with its unit.
        what: &'static str,
        /// How much it is.
        actual: u64,
        /// The limit.
        limit: u64,
    },
    /// The bytes changed on their way, or the writer computes another checksum.
    #[error("block's checksum is {computed:#010x}, its header says {given:#010x}")]
    Checksum {
        /// In the header.
        given: u32,
        /// Of the bytes.
        computed: u32,
    },
    /// The bytes are no block, or not of these columns.
    #[error("block is malformed: {0}")]
    Malformed(String),
    /// A column breaks a rule of its type.
    #[error("column `{column}`: {why}")]
    Column {
        /// The column, with the way to it if nested.
        column: String,
        /// Which rule, and in which row.
        why: String,
    },
    /// A record batch has other columns than the schema.
    #[error("rows do not fit the stream's schema: {0}")]
    Mismatch(String),
}

/// Checks a block that comes from outside; what passes, [`decode`] accepts.
///
/// Checked: size, CRC-32C, framing, metadata, that every buffer lies in the body and is large enough, and every value:
/// offsets, UTF-8, lengths, decimals, times of day, nulls. Neither allocates by what the block says nor per row.
///
/// `columns` are the indices in `schema` of the columns the block holds, strictly ascending; empty: all.
pub fn validate(schema: &Schema, columns: &[u32], rows: u32, crc32c: u32, data: &[u8]) -> Result<(), BlockError> {
    check_size(rows, data.len())?;
    let computed = ::crc32c::crc32c(data);
    if computed != crc32c {
        return Err(BlockError::Checksum { given: crc32c, computed });
    }
    check(schema, columns, rows, data, Depth::Values)
}

/// How far a check goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// All buffers are there and large enough.
    Buffers,
    /// And every value keeps its type's rules.
    Values,
}

fn check_size(rows: u32, bytes: usize) -> Result<(), BlockError> {
    if bytes > BLOCK_BYTES_MAX {
        let (actual, limit) = (bytes as u64, BLOCK_BYTES_MAX as u64);
        return Err(BlockError::TooLarge { what: "size of a block in bytes", actual, limit });
    }
    if rows > BLOCK_ROWS_MAX {
        let (actual, limit) = (rows.into(), BLOCK_ROWS_MAX.into());
        return Err(BlockError::TooLarge { what: "number of rows in a block", actual, limit });
    }
    Ok(())
}

fn check(schema: &Schema, columns: &[u32], rows: u32, data: &[u8], depth: Depth) -> Result<(), BlockError> {
    let present = Present::new(schema, columns)?;
    let frame = frame::parse(data)?;
    frame.check_rows(rows)?;
    columns::check(&frame, &present, depth)
}

/// The columns a block holds.
struct Present<'a> {
    schema: &'a Schema,
    /// Empty: all.
    indices: &'a [u32],
}

impl<'a> Present<'a> {
    fn new(schema: &'a Schema, indices: &'a [u32]) -> Result<Self, BlockError> {
        let fields = schema.fields();
        if let Some(pair) = indices.windows(2).find(|pair| pair[0] >= pair[1]) {
            let why = format!("its columns must ascend, {} is followed by {}", pair[0], pair[1]);
            return Err(BlockError::Malformed(why));
        }
        if let Some(last) = indices.last().filter(|last| **last as usize >= fields.len()) {
            let why = format!("it holds column {last}, the schema ends with column {}", fields.len() - 1);
            return Err(BlockError::Malformed(why));
        }
        let present = Self { schema, indices };
        let mut left_out = (0..fields.len()).filter(|index| !present.holds(*index));
        if let Some(index) = left_out.find(|index| !fields[*index].data_type.nullable) {
            let why = "it is NOT NULL, but the block leaves it out".to_string();
            return Err(BlockError::Column { column: fields[index].name.clone(), why });
        }
        Ok(present)
    }

    fn holds(&self, index: usize) -> bool {
        self.indices.is_empty() || self.indices.binary_search(&(index as u32)).is_ok()
    }

    /// The indices of the columns the block holds, ascending.
    fn indices(&self) -> impl Iterator<Item = usize> {
        (0..self.schema.fields().len()).filter(|index| self.holds(*index))
    }
}
