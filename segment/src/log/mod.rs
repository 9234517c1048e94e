//! The log: what was written, in order, with a checksum over every byte that matters.
//!
//! It is the truth of an embedded store. It knows frames, blocks and their places, and nothing of what they mean: the facts of
//! a frame are bytes to it. In reading order: [`Log`] (one writer), [`LogReader`] (any number of readers), [`Recovery`] (what
//! [`Log::open`] found), [`verify`].
//!
//! # Files
//!
//! `<dir>/<number, 20 digits>.log`, numbers growing and never used twice. All numbers little endian. A file is a header page
//! of 4096 bytes and then frames, each a whole number of pages (ready for direct I/O), one right after the other.
//!
//! | header page | bytes | |
//! |---|---|---|
//! | 0 | 8 | `SLUICELG` |
//! | 8 | 4 | format version, 1 |
//! | 12 | 4 | 0 |
//! | 16 | 8 | file number |
//! | 24 | 8 | first_lsn: the number of the first frame here; **every frame below was durable before this file was made** |
//! | 32 | 8 | salt: random, repeated in each frame here |
//! | 40 | 4 | CRC-32C of the 40 bytes before |
//! | 2048 | 44 | the same again, so that one damaged sector does not hide a file |
//!
//! | frame | bytes | |
//! |---|---|---|
//! | 0 | 4 | `SLFR` |
//! | 4 | 2 | frame version, 1 |
//! | 6 | 2 | flags, 0 |
//! | 8 | 8 | lsn: the frame's number, one more than the frame before |
//! | 16 | 8 | durable_lsn: every frame up to it was durable when this one was written; < lsn |
//! | 24 | 8 | salt of the file |
//! | 32 | 8 | position of the frame in the file |
//! | 40 | 8 | total length, a multiple of 4096 |
//! | 48 | 4 | number of blocks |
//! | 52 | 4 | length of the facts |
//! | 56 | 4 | CRC-32C of the facts |
//! | 60 | 4 | CRC-32C of the 60 bytes before and of the block table |
//! | 64 | 8 each | block table: length (4), CRC-32C of the data (4) |
//! | next multiple of 64 | | blocks, each at a multiple of 64, so that what is aligned inside a block is aligned in the file |
//! | next multiple of 64 | | facts |
//! | to the end | | zeros |
//!
//! Salt and position make sure that nothing written *into* a block is ever taken for a frame, be it a copy of this file.
//!
//! # The rule of the tail
//!
//! Writes reach the disk in any order, so a crash may leave any part of what was not synced. At the first frame that is
//! missing or damaged, [`Log::open`] asks whether it had been durable: some later frame whose `durable_lsn` reaches it, a later
//! file, or the snapshot the caller starts from says so.
//!
//! | damaged or missing | was durable | was not, as far as can be told |
//! |---|---|---|
//! | frame header, facts, whole frame | refuses to open ([`OpenError::Damaged`]), changes nothing | the log is cut there |
//! | a block | the frame is replayed, the damage reported; reading that block fails | the log is cut there |
//!
//! The frames after the last proof are the one place where damage and a torn write look alike. Every frame carries proof for
//! all before it; [`Log::mark`] writes an empty frame that does so when no other is about to come (idle, shutdown), so that the
//! doubtful place is what was synced within the last moments before a crash. After a cut or not, frames beyond the last
//! proof are written and synced again before [`Log::open`] returns: a page that the kernel shows after a failed sync may never
//! have reached the disk.

mod error;
mod frame;
mod read;
mod recover;
mod replay;
mod scan;
mod verify;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sluice_proto::storage::v1 as storage;

use crate::env::{Rng, SystemRng};

pub use error::{BoxError, Damage, LogError, OpenError, ReadError};
pub use read::LogReader;
pub use recover::{Cut, OnFrame, RecoveredFrame, Recovery};
pub use replay::replay;
pub use verify::{Progress, Report, verify};
pub use write::{FramePlan, Log};

/// Number of a frame: 1, 2, 3, ... 0 stands before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The one after.
    pub fn next(self) -> Lsn {
        Lsn(self.0 + 1)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a block lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockRef {
    /// Number of the log file.
    pub file: u64,
    /// Byte position of its data in the file; a multiple of 64.
    pub position: u64,
    /// Length of its data in bytes.
    pub length: u32,
    /// CRC-32C of its data.
    pub crc32c: u32,
}

impl From<storage::BlockRef> for BlockRef {
    fn from(at: storage::BlockRef) -> Self {
        BlockRef { file: at.file, position: at.position, length: at.length, crc32c: at.crc32c }
    }
}

impl From<BlockRef> for storage::BlockRef {
    fn from(at: BlockRef) -> Self {
        storage::BlockRef { file: at.file, position: at.position, length: at.length, crc32c: at.crc32c }
    }
}

/// A block to be written.
#[derive(Debug, Clone)]
pub struct Block {
    /// Its data, less than 4 GiB.
    pub data: Bytes,
    /// CRC-32C of the data, as it was checked on entry: the log does not compute it again, so that damage on the way here is found later.
    pub crc32c: u32,
}

impl Block {
    /// A block whose checksum is computed here.
    pub fn new(data: Bytes) -> Self {
        let crc32c = crc32c::crc32c(&data);
        Block { data, crc32c }
    }
}

/// Settings of a [`Log`].
#[derive(Clone)]
pub struct LogOptions {
    /// A new file is begun when the current one has at least this many bytes; default 256 MiB.
    pub file_bytes_target: u64,
    /// Files that a [`LogReader`] keeps open at most; default 64.
    pub open_files_max: usize,
    /// Where salts come from.
    pub rng: Arc<dyn Rng>,
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions { file_bytes_target: 256 << 20, open_files_max: 64, rng: Arc::new(SystemRng) }
    }
}

/// A file of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogFile {
    /// Its number.
    pub number: u64,
    /// Number of its first frame, or of the frame that will be.
    pub first_lsn: Lsn,
    /// Number of its last frame; one less than `first_lsn` when it has none. When files after it were removed: an upper bound.
    pub last_lsn: Lsn,
    /// Its length.
    pub bytes: u64,
}

/// Path of a file of the log.
pub fn file_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.log"))
}
