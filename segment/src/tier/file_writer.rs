//! A file of the `Disk` as a sequential writer.

use std::io::{self, Write};
use std::sync::Arc;

use crate::env::File;

/// Room is asked for in such steps.
const RESERVE_BYTES: u64 = 16 << 20;

/// Writes from the file's start on.
#[derive(Debug)]
pub(super) struct FileWriter {
    file: Arc<dyn File>,
    position: u64,
    /// Up to here room was asked for.
    reserved: u64,
}

impl FileWriter {
    pub(super) fn new(file: Arc<dyn File>) -> Self {
        Self { file, position: 0, reserved: 0 }
    }

    /// Gives back room that was not used, and makes what was written durable.
    pub(super) fn finish(self) -> io::Result<()> {
        self.file.truncate(self.position)?;
        self.file.sync_data()
    }
}

impl Write for FileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let end = self.position + bytes.len() as u64;
        if end > self.reserved {
            let from = self.reserved.max(self.position);
            self.reserved = end.max(from + RESERVE_BYTES);
            self.file.reserve(from, self.reserved - from);
        }
        self.file.write_all_at(self.position, bytes)?;
        self.position += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
