use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// It exists; only reads.
    Read,
    /// It exists; reads and writes.
    Write,
    /// It does not exist yet; reads and writes. Durable only after [`Disk::sync_dir`] of its directory.
    CreateNew,
}

/// A file or directory inside a listed directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name, without the directory.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Length in bytes; 0 for directories.
    pub bytes: u64,
}

/// A file system as a database needs it. Paths are taken as they are; errors are the system's.
///
/// What an implementation MUST keep after a crash: contents of a file as of its last [`File::sync_data`], and the names in a
/// directory as of its last [`Disk::sync_dir`]. Anything written later may be there, in part and in any order, or not.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Opens a file.
    ///
    /// # Errors
    /// `NotFound`, or `AlreadyExists` with [`OpenMode::CreateNew`].
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;

    /// [`Disk::open`] for writing a file that grows by whole pages of 4 KiB: such writes may pass by the system's cache. What is
    /// promised is the same.
    fn open_direct(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        self.open(path, mode)
    }

    /// Gives a file or directory another name; a file at `to` is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name; both share one content from now on.
    ///
    /// # Errors
    /// `Unsupported` where the file system can't: copy the file then.
    fn link(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Removes a file. Handles that are open stay readable.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// What lies in a directory, sorted by name. Names that are not UTF-8 are left out.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;

    /// Length of a file in bytes.
    fn len(&self, path: &Path) -> io::Result<u64>;

    /// Makes a directory and those above it; one that exists is fine.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes that may still be written below `dir`; `None` when it can't be told.
    fn free_bytes(&self, dir: &Path) -> io::Result<Option<u64>>;
}

/// An open file. All calls are positional, so that threads share a handle without a lock.
pub trait File: Send + Sync + fmt::Debug {
    /// Writes the parts one after the other from `position`; the file grows as needed. After an error any subset of the
    /// bytes may have been written.
    fn write_vectored_at(&self, position: u64, parts: &[&[u8]]) -> io::Result<()>;

    /// Writes `bytes` at `position`.
    fn write_all_at(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_vectored_at(position, &[bytes])
    }

    /// Fills `buffer` from `position`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file ends before.
    fn read_exact_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Reads so many bytes into memory of their own. Errors are those of [`File::read_exact_at`].
    fn read(&self, position: u64, length: usize) -> io::Result<Bytes> {
        let mut memory = memory(length);
        self.read_exact_at(position, &mut memory)?;
        Ok(memory.into())
    }

    /// Makes content and length durable (fdatasync). After an error nothing is known about what is durable, and a second
    /// call proves nothing: the caller must stop.
    fn sync_data(&self) -> io::Result<()>;

    /// Asks the disk for room for `bytes` bytes from `position`, before they are written; the length stays. Only a hint: without
    /// the room writing is slower, and may fail as it always may. [`File::truncate`] gives back what was not used.
    fn reserve(&self, _position: u64, _bytes: u64) {}

    /// Cuts or extends (with zeros) to `length` bytes.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Length in bytes.
    fn length(&self) -> io::Result<u64>;
}

/// Memory to read into, used before if there is any. Zeroed memory would be pages fresh from the system, for that is how
/// jemalloc zeroes much of it, and their faults take longer than reading does (docs/decisions/0007).
pub(super) fn memory(length: usize) -> Vec<u8> {
    vec![u8::MAX; length]
}
