use std::sync::Arc;

use super::{END_BYTES, HEADER_BYTES, MAGIC, Snapshot, SnapshotError, VERSION};
use crate::env::{Disk, File, OpenMode};
use crate::log::BoxError;

/// Takes an entry: key and value.
pub type OnEntry<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), BoxError> + 'a;

/// Gives every entry (key, value) to `on_entry`, in the order written, and returns their number. Each entry's checksum is
/// verified before it is given, that none is missing only at the end: use the entries after `Ok`.
///
/// # Errors
/// [`SnapshotError`].
pub fn read(disk: &dyn Disk, snapshot: &Snapshot, on_entry: &mut OnEntry<'_>) -> Result<u64, SnapshotError> {
    let file = disk.open(&snapshot.path, OpenMode::Read).map_err(SnapshotError::io("open", &snapshot.path))?;
    let bytes = file.length().map_err(SnapshotError::io("read", &snapshot.path))?;
    let mut reader = Reader { snapshot, file, bytes, position: 0, entries: 0, blocks: 0, crc_of_crcs: 0 };
    reader.header()?;
    while let Some(block) = reader.block()? {
        reader.entries(&block, on_entry)?;
    }
    reader.end()?;
    Ok(reader.entries)
}

struct Reader<'a> {
    snapshot: &'a Snapshot,
    file: Arc<dyn File>,
    bytes: u64,
    position: u64,
    entries: u64,
    blocks: u64,
    crc_of_crcs: u32,
}

impl Reader<'_> {
    fn header(&mut self) -> Result<(), SnapshotError> {
        let header = self.take(HEADER_BYTES as u64)?;
        if header[..8] != MAGIC || crc32c::crc32c(&header[..20]) != number(&header[20..]) as u32 {
            return Err(self.damaged("its header is not that of a snapshot"));
        }
        let version = number(&header[8..12]) as u32;
        if version > VERSION {
            return Err(SnapshotError::Newer { path: self.snapshot.path.clone(), version });
        }
        if version != VERSION || number(&header[12..20]) != self.snapshot.lsn.0 {
            return Err(self.damaged("its header does not fit its name"));
        }
        Ok(())
    }

    /// The data of the next block; `None`: the end follows.
    fn block(&mut self) -> Result<Option<Vec<u8>>, SnapshotError> {
        let length = self.take(4)?;
        if number(&length) == 0 {
            return Ok(None);
        }
        let crc = self.take(4)?;
        let block = self.take(number(&length))?;
        if crc32c::crc32c_append(crc32c::crc32c(&length), &block) != number(&crc) as u32 {
            return Err(self.damaged(format!("the checksum of block {} does not agree", self.blocks)));
        }
        self.crc_of_crcs = crc32c::crc32c_append(self.crc_of_crcs, &crc);
        self.blocks += 1;
        Ok(Some(block))
    }

    fn entries(&mut self, block: &[u8], on_entry: &mut OnEntry<'_>) -> Result<(), SnapshotError> {
        let mut left = block;
        while !left.is_empty() {
            let entry = split(left).and_then(|(key, rest)| Some((key, split(rest)?)));
            let Some((key, (value, rest))) = entry else {
                return Err(self.damaged("an entry is longer than its block"));
            };
            let path = || self.snapshot.path.clone();
            on_entry(key, value).map_err(|source| SnapshotError::Entry { path: path(), source })?;
            self.entries += 1;
            left = rest;
        }
        Ok(())
    }

    /// The rest of the end, whose first four bytes are read.
    fn end(&mut self) -> Result<(), SnapshotError> {
        let rest = self.take(END_BYTES as u64 - 4)?;
        let crc = crc32c::crc32c_append(crc32c::crc32c_append(self.crc_of_crcs, &[0; 4]), &rest[..16]);
        let counts = (number(&rest[..8]), number(&rest[8..16]));
        if crc != number(&rest[16..]) as u32 || counts != (self.entries, self.blocks) {
            return Err(self.damaged("its end does not agree with what comes before"));
        }
        if self.position != self.bytes {
            return Err(self.damaged("something follows its end"));
        }
        Ok(())
    }

    /// The next bytes; never more is allocated than the file has.
    fn take(&mut self, length: u64) -> Result<Vec<u8>, SnapshotError> {
        if length > self.bytes - self.position {
            return Err(self.damaged(format!("it ends early, at byte {}", self.bytes)));
        }
        let mut bytes = vec![0; length as usize];
        let outcome = self.file.read_exact_at(self.position, &mut bytes);
        outcome.map_err(SnapshotError::io("read", &self.snapshot.path))?;
        self.position += length;
        Ok(bytes)
    }

    fn damaged(&self, problem: impl Into<String>) -> SnapshotError {
        SnapshotError::Damaged { path: self.snapshot.path.clone(), problem: problem.into() }
    }
}

/// A length and as many bytes, and what follows.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(4)?;
    rest.split_at_checked(number(length) as usize)
}

/// Up to eight bytes, little endian.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}
