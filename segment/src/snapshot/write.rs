use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{HEADER_BYTES, KEPT, MAGIC, Snapshot, SnapshotError, VERSION, list};
use crate::env::{Disk, File, OpenMode, publish, remove_if_there};
use crate::log::Lsn;

/// A block is written when it has this many bytes.
const BLOCK_BYTES: usize = 256 << 10;

/// Writes a snapshot, entry by entry; memory use does not grow with it. Dropped before [`Writer::finish`], it leaves a file that
/// the next one removes.
pub struct Writer {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    lsn: Lsn,
    unfinished: PathBuf,
    file: Arc<dyn File>,
    position: u64,
    block: Vec<u8>,
    entries: u64,
    blocks: u64,
    crc_of_crcs: u32,
}

impl Writer {
    /// Begins the snapshot of the state after frame `lsn`, which is durable. `dir` is made if it does not exist.
    ///
    /// # Errors
    /// [`SnapshotError::Io`].
    pub fn create(disk: Arc<dyn Disk>, dir: &Path, lsn: Lsn) -> Result<Writer, SnapshotError> {
        disk.create_dir_all(dir).map_err(SnapshotError::io("make", dir))?;
        for entry in disk.list(dir).map_err(SnapshotError::io("list", dir))? {
            if entry.name.ends_with(".snapshot.tmp") {
                let path = dir.join(entry.name);
                remove_if_there(&*disk, &path).map_err(SnapshotError::io("remove", &path))?;
            }
        }
        let unfinished = path(dir, lsn).with_added_extension("tmp");
        let file = disk.open(&unfinished, OpenMode::CreateNew).map_err(SnapshotError::io("make", &unfinished))?;
        let mut writer = Writer {
            disk,
            dir: dir.to_owned(),
            lsn,
            unfinished,
            file,
            position: 0,
            block: Vec::with_capacity(BLOCK_BYTES),
            entries: 0,
            blocks: 0,
            crc_of_crcs: 0,
        };
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend(MAGIC);
        header.extend(VERSION.to_le_bytes());
        header.extend(lsn.0.to_le_bytes());
        header.extend(crc32c::crc32c(&header).to_le_bytes());
        writer.write(&[&header])?;
        Ok(writer)
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// [`SnapshotError::TooLarge`], [`SnapshotError::Io`].
    pub fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), SnapshotError> {
        let bytes = 8 + key.len() + value.len();
        if !self.block.is_empty() && self.block.len() + bytes > BLOCK_BYTES {
            self.write_block()?;
        }
        if u32::try_from(bytes).is_err() {
            return Err(SnapshotError::TooLarge(bytes));
        }
        for part in [key, value] {
            self.block.extend((part.len() as u32).to_le_bytes());
            self.block.extend(part);
        }
        self.entries += 1;
        Ok(())
    }

    /// Makes the snapshot durable under its name, then removes all but the newest two. Returns the oldest that is left: log
    /// files whose frames are all at or below its `lsn` are not needed for replay any more.
    ///
    /// # Errors
    /// [`SnapshotError::Io`]; then the snapshots that were there before are still there.
    pub fn finish(mut self) -> Result<Snapshot, SnapshotError> {
        if !self.block.is_empty() {
            self.write_block()?;
        }
        let mut end = Vec::new();
        end.extend(0u32.to_le_bytes());
        end.extend(self.entries.to_le_bytes());
        end.extend(self.blocks.to_le_bytes());
        let crc = crc32c::crc32c_append(self.crc_of_crcs, &end);
        end.extend(crc.to_le_bytes());
        self.write(&[&end])?;
        self.file.sync_data().map_err(SnapshotError::io("sync", &self.unfinished))?;
        let path = path(&self.dir, self.lsn);
        publish(&*self.disk, &self.unfinished, &path).map_err(SnapshotError::io("rename", &self.unfinished))?;
        self.remove_old()
    }

    fn remove_old(&self) -> Result<Snapshot, SnapshotError> {
        let mut snapshots = list(&*self.disk, &self.dir)?;
        for old in snapshots.drain(KEPT.min(snapshots.len())..) {
            remove_if_there(&*self.disk, &old.path).map_err(SnapshotError::io("remove", &old.path))?;
        }
        let new = || Snapshot { lsn: self.lsn, path: path(&self.dir, self.lsn) };
        Ok(snapshots.pop().unwrap_or_else(new))
    }

    fn write_block(&mut self) -> Result<(), SnapshotError> {
        let block = std::mem::take(&mut self.block);
        let length = (block.len() as u32).to_le_bytes();
        let crc = crc32c::crc32c_append(crc32c::crc32c(&length), &block).to_le_bytes();
        self.write(&[&length, &crc, &block])?;
        self.crc_of_crcs = crc32c::crc32c_append(self.crc_of_crcs, &crc);
        self.blocks += 1;
        self.block = block;
        self.block.clear();
        Ok(())
    }

    fn write(&mut self, parts: &[&[u8]]) -> Result<(), SnapshotError> {
        let outcome = self.file.write_vectored_at(self.position, parts);
        outcome.map_err(SnapshotError::io("write", &self.unfinished))?;
        self.position += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        Ok(())
    }
}

fn path(dir: &Path, lsn: Lsn) -> PathBuf {
    dir.join(format!("{lsn:020}.snapshot"))
}
