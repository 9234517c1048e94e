//! A file of the `Disk` as a sequential writer.

use std::io::{self, Write};
use std::sync::Arc;

use crate::env::File;

/// Writes from the file's start on.
#[derive(Debug)]
pub(super) struct FileWriter {
    pub(super) file: Arc<dyn File>,
    position: u64,
}

impl FileWriter {
    pub(super) fn new(file: Arc<dyn File>) -> Self {
        Self { file, position: 0 }
    }
}

impl Write for FileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all_at(self.position, bytes)?;
        self.position += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
