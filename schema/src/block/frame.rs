//! The frame of a block: from bytes to a verified RecordBatch header and a body.

use arrow::ipc::{FieldNode, MessageHeader, MetadataVersion, RecordBatch, root_as_message_with_opts};
use flatbuffers::{Vector, VerifierOptions};

use super::BlockError;
use crate::limits::{BLOCK_METADATA_BYTES_MAX, BLOCK_ROWS_MAX};

/// The first bytes of an encapsulated message.
pub(super) const CONTINUATION: [u8; 4] = [0xFF; 4];
/// Bytes before the metadata: the continuation mark and the metadata's length.
pub(super) const PREFIX_BYTES: usize = 8;
/// What positions in the body are multiples of.
pub(super) const ALIGNMENT: usize = 8;

/// A block whose metadata is verified; nothing is known yet of its columns.
pub(super) struct Frame<'a> {
    /// The header, `nodes` and `buffers` present.
    pub(super) batch: RecordBatch<'a>,
    /// One node per field, nested ones after their parent.
    pub(super) nodes: Vector<'a, FieldNode>,
    /// Where each buffer lies in the body.
    pub(super) buffers: Vector<'a, arrow::ipc::Buffer>,
    /// The body.
    pub(super) body: &'a [u8],
    /// Where it starts in the block.
    pub(super) body_start: usize,
}

fn malformed(why: impl Into<String>) -> BlockError {
    BlockError::Malformed(why.into())
}

/// Verifies the frame. The data is at most [`crate::limits::BLOCK_BYTES_MAX`] bytes long.
pub(super) fn parse(data: &[u8]) -> Result<Frame<'_>, BlockError> {
    let (metadata, body) = cut(data)?;
    // The deepest table of a RecordBatch is 3 down; anything larger is made to cost time.
    let limits = VerifierOptions {
        max_depth: 8,
        max_tables: 64,
        max_apparent_size: 2 * BLOCK_METADATA_BYTES_MAX,
        ..VerifierOptions::default()
    };
    let message = root_as_message_with_opts(&limits, metadata)
        .map_err(|error| malformed(format!("its metadata is no Arrow message: {}", first_line(&error))))?;
    if message.version() != MetadataVersion::V5 {
        return Err(malformed(format!("its Arrow format is {:?}, only V5 is accepted", message.version())));
    }
    if message.header_type() != MessageHeader::RecordBatch {
        return Err(malformed(format!("it holds a {:?}, not a RecordBatch", message.header_type())));
    }
    let batch = message.header_as_record_batch().ok_or_else(|| malformed("its RecordBatch is missing"))?;
    if batch.compression().is_some() {
        return Err(malformed("its body is compressed, send it as it is"));
    }
    if batch.variadicBufferCounts().is_some_and(|counts| !counts.is_empty()) {
        return Err(malformed("it holds view columns, which are not accepted"));
    }
    if u64::try_from(message.bodyLength()) != Ok(body.len() as u64) {
        let said = message.bodyLength();
        return Err(malformed(format!("its metadata says the body has {said} bytes, it has {}", body.len())));
    }
    let nodes = batch.nodes().ok_or_else(|| malformed("its metadata lists no columns"))?;
    let buffers = batch.buffers().ok_or_else(|| malformed("its metadata lists no buffers"))?;
    Ok(Frame { batch, nodes, buffers, body, body_start: PREFIX_BYTES + metadata.len() })
}

/// Cuts a block into metadata and body.
fn cut(data: &[u8]) -> Result<(&[u8], &[u8]), BlockError> {
    let short = || malformed(format!("it has only {} bytes", data.len()));
    let (mark, rest) = data.split_first_chunk::<4>().ok_or_else(short)?;
    if *mark != CONTINUATION {
        return Err(malformed("it does not start with an Arrow message mark (0xFFFFFFFF)"));
    }
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    let said = i32::from_le_bytes(*length);
    let length = usize::try_from(said).unwrap_or(usize::MAX);
    if length == 0 || length > rest.len() || !length.is_multiple_of(ALIGNMENT) {
        return Err(malformed(format!("its metadata cannot have {said} bytes")));
    }
    if length > BLOCK_METADATA_BYTES_MAX {
        let (actual, limit) = (length as u64, BLOCK_METADATA_BYTES_MAX as u64);
        return Err(BlockError::TooLarge { what: "size of a block's metadata in bytes", actual, limit });
    }
    Ok(rest.split_at(length))
}

/// The verifier's errors go on with a trace of several lines.
fn first_line(error: &impl ToString) -> String {
    error.to_string().lines().next().unwrap_or_default().trim_end_matches([' ', ':', '.']).to_string()
}

impl Frame<'_> {
    /// The metadata and the block's header must agree on the number of rows.
    pub(super) fn check_rows(&self, rows: u32) -> Result<(), BlockError> {
        if rows == 0 {
            return Err(malformed("it has 0 rows, at least 1 is needed"));
        }
        debug_assert!(rows <= BLOCK_ROWS_MAX, "checked with the size");
        if self.batch.length() != i64::from(rows) {
            let said = self.batch.length();
            return Err(malformed(format!("its metadata says {said} rows, its header {rows}")));
        }
        Ok(())
    }
}
