//! The ledger snapshot: every key and value as of one frame of the log, in a checksummed file. It alone lets the log be
//! trimmed, and the index be thrown away.
//!
//! `<dir>/<lsn, 20 digits>.snapshot`, little endian:
//!
//! | part | bytes | |
//! |---|---|---|
//! | header | 8 | `SLUICESN` |
//! | | 4 | format version, 1 |
//! | | 8 | lsn: the last frame whose facts are in it |
//! | | 4 | CRC-32C of the 20 bytes before |
//! | block, any number | 4 | length of the data, at least 1 |
//! | | 4 | CRC-32C of the length and the data |
//! | | | data: entries, each key length (4), key, value length (4), value |
//! | end | 4 | 0 |
//! | | 8 | number of entries |
//! | | 8 | number of blocks |
//! | | 4 | CRC-32C of these 20 bytes and of the blocks' checksums, in order |
//!
//! and nothing after. It is written under a temporary name, synced, renamed, and the directory synced: a file of that name is
//! whole. The newest two are kept, so that one damaged file does not hurt: **trim the log no further than the older one's
//! frame**, which [`Writer::finish`] tells.

mod list;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::io;
use std::path::PathBuf;

pub use list::{Latest, latest, list};
pub use read::{OnEntry, read};
pub use write::Writer;

use crate::log::{BoxError, Lsn};

const MAGIC: [u8; 8] = *b"SLUICESN";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 24;
const END_BYTES: usize = 24;
const KEPT: usize = 2;

/// A snapshot on the disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Snapshot {
    /// Last frame whose facts are in it.
    pub lsn: Lsn,
    /// The file.
    pub path: PathBuf,
}

/// Why a snapshot can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It is not what was written.
    #[error("snapshot {} is damaged: {problem}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A newer program wrote it.
    #[error("snapshot {} has format {version}, this program knows formats up to {VERSION}: use the newer program", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The disk failed.
    #[error("can't {action} {}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The callback refused an entry.
    #[error("an entry of snapshot {} can't be used", .path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: BoxError,
    },
    /// A key or value has 4 GiB or more.
    #[error("an entry of {0} bytes is too large for a snapshot")]
    TooLarge(usize),
}

impl SnapshotError {
    fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> SnapshotError {
        let path = path.into();
        move |source| SnapshotError::Io { action, path, source }
    }
}
