//! Why something was not published.

use std::io;
use std::path::PathBuf;

use sluice_schema::block::BlockError;
use sluice_schema::ids::SegmentId;
use sluice_txn::ledger;

use crate::parquet::plan::Gap;
use crate::parquet::{ReadError, WriteError};
use crate::{log, store};

/// Why something was not published. Nothing that is published changes by it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store refused or is stopping.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The ledger contradicts itself.
    #[error("{0}")]
    Damaged(String),
    /// The extents leave a gap.
    #[error("segment {segment}: {gap}")]
    Gap {
        /// The segment.
        segment: SegmentId,
        /// Where.
        gap: Gap,
    },
    /// A block cannot be read from the log.
    #[error("segment {segment} offset {offset}: {source}")]
    Block {
        /// The segment.
        segment: SegmentId,
        /// First offset of the block.
        offset: u64,
        /// Why not.
        source: log::ReadError,
    },
    /// A block is none, though its checksum is right.
    #[error("segment {segment} offset {offset}: {source}")]
    Decode {
        /// The segment.
        segment: SegmentId,
        /// First offset of the block.
        offset: u64,
        /// Why not.
        source: BlockError,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The file that was written is not what it should be.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file system refused.
    #[error("cannot {what} {}: {source}", .path.display())]
    Disk {
        /// What was tried.
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// Tiering is stopping.
    #[error("tiering is stopping")]
    Stopped,
}

impl Error {
    pub(super) fn disk(what: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Disk { what, path, source }
    }
}
