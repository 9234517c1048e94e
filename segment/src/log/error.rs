use std::fmt;
use std::io;
use std::path::PathBuf;

use super::Lsn;

/// Any error, as a callback gives it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Bytes that were durable once and can't be read as they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Where in the file the damaged part begins.
    pub position: u64,
    /// The frame it belongs to, where that can be told.
    pub lsn: Option<Lsn>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.file.display(), self.position)?;
        if let Some(lsn) = self.lsn {
            write!(f, " (frame {lsn})")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Why the log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A durable frame is damaged or missing. Nothing was changed.
    #[error("the log is damaged, {}; nothing was changed: run `sluice admin verify`, then restore a backup", .0.last().map(Damage::to_string).unwrap_or_default())]
    Damaged(Vec<Damage>),
    /// A file was written by a newer version.
    #[error("{} has format version {version}, this program reads up to {max}: use the newer program", .file.display(), max = super::frame::FORMAT_VERSION)]
    NewerFormat {
        /// The file.
        file: PathBuf,
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
    /// The callback refused a frame.
    #[error("frame {lsn} of the log can't be replayed")]
    Replay {
        /// The frame.
        lsn: Lsn,
        /// Why not.
        source: BoxError,
    },
}

impl OpenError {
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> OpenError {
        let path = path.into();
        move |source| OpenError::Io { action, path, source }
    }
}

/// Why the log could not be written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// No space is left. Nothing was written; the same call may be tried again once there is space.
    #[error("the disk is full, writing {}: free some space", .0.display())]
    Full(PathBuf),
    /// A write or a sync failed: nobody knows what is durable, so nothing may be acknowledged any more. The process must
    /// end and recover by opening the log anew.
    #[error("the log can't be written any more: {0}")]
    Poisoned(String),
    /// The plan was made before another frame was appended, or for another log.
    #[error("frame {planned} was planned, but {next} is the next one")]
    StalePlan {
        /// The planned number.
        planned: Lsn,
        /// The next number.
        next: Lsn,
    },
    /// More than a frame can describe: 2^32 - 1 bytes of facts, as many blocks, as many bytes in a block.
    #[error("a frame can't hold {0}")]
    TooLarge(String),
    /// The file that is written to can't be removed.
    #[error("log file {0} is the current one and can't be removed")]
    Current(u64),
    /// A file could not be removed; the log is fine.
    #[error("can't remove {}: {message}", .file.display())]
    Remove {
        /// The file.
        file: PathBuf,
        /// Why not.
        message: String,
    },
}

/// Why a block could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// Its file was removed because nothing in it was needed any more: look up again where the events are now.
    #[error("log file {0} is gone")]
    Gone(u64),
    /// The bytes are not those that were written.
    #[error("damaged block: {0}")]
    Damaged(Damage),
    /// The disk failed.
    #[error("can't read {} at byte {position}: {message}", .file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Where.
        position: u64,
        /// Why not.
        message: String,
    },
}
