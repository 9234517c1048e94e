//! What can go wrong with a file.

use std::io;

use parquet::errors::ParquetError;
use sluice_schema::ids::SegmentNumber;
use sluice_schema::names::StreamName;

use super::source::FileLabel;

/// Why a file could not be written. The half-written file is worthless: remove it.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file system refused; a full disk is found here.
    #[error("cannot write the Parquet file of {stream} segment {segment}: {source}")]
    Io {
        /// The stream.
        stream: StreamName,
        /// The segment.
        segment: SegmentNumber,
        /// What the file system said.
        source: io::Error,
    },
    /// Offsets have to follow each other without a gap.
    #[error("{stream} segment {segment}: rows start at offset {found} where offset {expected} is next")]
    NotDense {
        /// The stream.
        stream: StreamName,
        /// The segment.
        segment: SegmentNumber,
        /// The next offset.
        expected: u64,
        /// The one given.
        found: u64,
    },
    /// Commits and their times never go back along a segment.
    #[error(
        "{stream} segment {segment}: commit {found_seq} at {found_ms} ms comes after commit {last_seq} at {last_ms} ms"
    )]
    CommitOrder {
        /// The stream.
        stream: StreamName,
        /// The segment.
        segment: SegmentNumber,
        /// The last commit written.
        last_seq: u64,
        /// Its time.
        last_ms: u64,
        /// The commit given.
        found_seq: u64,
        /// Its time.
        found_ms: u64,
    },
    /// A batch unlike the schema, without rows, or a number beyond what Parquet's signed columns hold.
    #[error("{stream} segment {segment}: {why}")]
    Unfit {
        /// The stream.
        stream: StreamName,
        /// The segment.
        segment: SegmentNumber,
        /// What is wrong.
        why: String,
    },
    /// The encoder refused.
    #[error("cannot encode the Parquet file of {stream} segment {segment}: {source}")]
    Encode {
        /// The stream.
        stream: StreamName,
        /// The segment.
        segment: SegmentNumber,
        /// What it said.
        source: ParquetError,
    },
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file system refused.
    #[error("cannot read {label}: {source}")]
    Io {
        /// Which file.
        label: FileLabel,
        /// What the file system said.
        source: io::Error,
    },
    /// The bytes are not those that were published. Nothing is repaired: restore the file from a backup.
    #[error("{label} is damaged at offset {offset}: {why}; restore the file from a backup")]
    Damaged {
        /// Which file.
        label: FileLabel,
        /// The first offset that could not be read; the file's first one when the file as a whole is meant.
        offset: u64,
        /// What was found.
        why: String,
    },
    /// The caller asked for offsets or columns that the file does not hold.
    #[error("{label}: {why}")]
    OutOfRange {
        /// Which file.
        label: FileLabel,
        /// What was asked for.
        why: String,
    },
}
