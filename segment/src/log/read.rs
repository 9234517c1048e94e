use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use super::error::{Damage, ReadError};
use super::{BlockRef, LogFile, file_path};
use crate::env::{Disk, File, OpenMode};

/// Reads blocks, from any thread, while the log is written; clones share their open files.
///
/// A block is readable as soon as `append` returned, durable or not.
#[derive(Clone)]
pub struct LogReader {
    shared: Arc<Shared>,
}

/// What the writer and its readers have in common.
pub(super) struct Shared {
    pub disk: Arc<dyn Disk>,
    pub dir: PathBuf,
    open_files_max: usize,
    files: Mutex<BTreeMap<u64, LogFile>>,
    handles: Mutex<Handles>,
}

#[derive(Default)]
struct Handles {
    open: HashMap<u64, (Arc<dyn File>, u64)>,
    uses: u64,
}

impl Shared {
    pub fn new(disk: Arc<dyn Disk>, dir: PathBuf, open_files_max: usize, files: Vec<LogFile>) -> Arc<Shared> {
        let files = files.into_iter().map(|file| (file.number, file)).collect();
        Arc::new(Shared { disk, dir, open_files_max, files: Mutex::new(files), handles: Mutex::default() })
    }

    pub fn files(&self) -> MutexGuard<'_, BTreeMap<u64, LogFile>> {
        self.files.lock().expect("no holder of this lock panics")
    }

    fn handles(&self) -> MutexGuard<'_, Handles> {
        self.handles.lock().expect("no holder of this lock panics")
    }

    /// Forgets a file, before it is removed from the disk.
    pub fn forget(&self, number: u64) {
        self.files().remove(&number);
        self.handles().open.remove(&number);
    }

    fn handle(&self, number: u64) -> io::Result<Arc<dyn File>> {
        let mut handles = self.handles();
        handles.uses += 1;
        let now = handles.uses;
        if let Some((file, used)) = handles.open.get_mut(&number) {
            *used = now;
            return Ok(Arc::clone(file));
        }
        let file = self.disk.open_direct(&file_path(&self.dir, number), OpenMode::Read)?;
        if handles.open.len() >= self.open_files_max {
            let oldest = handles.open.iter().min_by_key(|(_, (_, used))| *used).map(|(number, _)| *number);
            oldest.map(|number| handles.open.remove(&number));
        }
        handles.open.insert(number, (Arc::clone(&file), now));
        Ok(file)
    }
}

impl LogReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        LogReader { shared }
    }

    /// The data of a block, whole and with the right checksum. Blocks the thread.
    ///
    /// # Errors
    /// [`ReadError::Gone`] when its file was removed; [`ReadError::Damaged`] names file and position.
    pub fn read(&self, at: &BlockRef) -> Result<Bytes, ReadError> {
        if !self.shared.files().contains_key(&at.file) {
            return Err(ReadError::Gone(at.file));
        }
        let file = match self.shared.handle(at.file) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Removed by the writer just now, or by somebody else.
                let expected = self.shared.files().contains_key(&at.file);
                let gone = ReadError::Gone(at.file);
                return Err(if expected { self.damaged(at, "the file is missing".into()) } else { gone });
            }
            Err(error) => return Err(self.io(at, &error)),
        };
        let file_bytes = file.length().map_err(|error| self.io(at, &error))?;
        let end = at.position.checked_add(u64::from(at.length));
        if end.is_none_or(|end| end > file_bytes) {
            let message = format!("the block has {} bytes, but the file ends at {file_bytes}", at.length);
            return Err(self.damaged(at, message));
        }
        let data = file.read(at.position, at.length as usize).map_err(|error| self.io(at, &error))?;
        let crc = crc32c::crc32c(&data);
        if crc != at.crc32c {
            let message = format!("the block's checksum is {crc:08x} instead of {:08x}", at.crc32c);
            return Err(self.damaged(at, message));
        }
        Ok(data)
    }

    fn damaged(&self, at: &BlockRef, message: String) -> ReadError {
        let file = file_path(&self.shared.dir, at.file);
        ReadError::Damaged(Damage { file, position: at.position, lsn: None, message })
    }

    fn io(&self, at: &BlockRef, error: &io::Error) -> ReadError {
        let file = file_path(&self.shared.dir, at.file);
        ReadError::Io { file, position: at.position, message: error.to_string() }
    }
}
