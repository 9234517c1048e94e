//! Committed events at rest: one Parquet file per published offset range of a segment.
//!
//! Reading order: [`paths`] names the files, [`plan`] decides which range is published next, [`SegmentFileWriter`] writes one file,
//! [`SegmentFileReader`] reads a range of it, [`verify_file`] checks every byte and row of it.
//!
//! A file holds the stream's columns followed by four system columns, one row per event, ascending by offset without a gap:
//!
//! | column         | Arrow type             | holds                                   |
//! |----------------|------------------------|-----------------------------------------|
//! | `_offset`      | Int64, not null        | the event's offset in its segment       |
//! | `_segment`     | Int32, not null        | the segment's number                    |
//! | `_commit_seq`  | Int64, not null        | the commit that made the event visible  |
//! | `_commit_time` | Timestamp(ms, UTC), not null | that commit's time                |
//!
//! Byte layout: `PAR1`, the row groups, the page index, the Parquet footer. The footer's key-values name what the file holds ([`metadata`]).
//! Checksums cover every byte: `sluice.checksums` in the footer holds a CRC-32C for each 16 KiB of the row groups, the ledger's row holds one for the
//! page index and footer together, and one for the whole file. So a damaged byte is an error on every path that reads it, and
//! the Parquet decoders, which trust their input too much, only ever see bytes that we wrote.

mod batches;
mod checksum;
mod columns;
mod error;
mod layout;
pub mod paths;
pub mod plan;
mod reader;
mod size;
mod source;
mod verify;
mod writer;

pub use columns::{
    COMMIT_SEQ_COLUMN, COMMIT_TIME_COLUMN, OFFSET_COLUMN, SEGMENT_COLUMN, SYSTEM_COLUMNS, file_schema, metadata,
};
pub use error::{ReadError, WriteError};
pub use reader::{BatchSizes, ExpectedFile, ReadBatch, ReadBatches, SegmentFileReader};
pub use source::FileLabel;
pub use verify::verify_file;
pub use writer::{Compression, FileInfo, SegmentFileWriter, WriterOptions, WrittenFile};

#[cfg(test)]
mod tests;
