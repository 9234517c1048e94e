//! Blocks that extents and chunks name.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use prost::Message as _;
use sluice_proto::storage::v1::{BlockInfo, BlockRef, Chunk, Extent};
use sluice_schema::ids::StreamId;
use sluice_txn::key::{Key, KeySpan};

use super::{Check, Damage, Ledger};
use crate::{
    env::{Disk, File, OpenMode},
    log::file_path,
    store::log_folder,
};

/// A block and whose events it holds.
struct Named {
    stream: StreamId,
    segment: u32,
    /// First offset, once committed.
    offset: Option<u64>,
    /// What names it, when that is a transaction.
    by: Option<String>,
    block: Option<BlockInfo>,
}

impl Check<'_> {
    /// Reads every block that the ledger names; answers the places of bad ones.
    pub(super) fn blocks(&mut self, ledger: &Ledger) -> Vec<(PathBuf, u64)> {
        let mut files = Files { disk: self.disk, folder: log_folder(self.folder), open: HashMap::new() };
        let mut bad = Vec::new();
        for span in [KeySpan::all_extents(), KeySpan::all_chunks()] {
            for (key, value) in ledger.in_span(&span) {
                if self.stopped {
                    return bad;
                }
                let named = match named(&key, value) {
                    Some(Ok(named)) => named,
                    Some(Err(error)) => {
                        self.damage(Damage::of_file(&files.folder, 0, format!("the ledger's entry {key:?}: {error}")));
                        continue;
                    }
                    None => continue,
                };
                let at = named.block.as_ref().and_then(|block| block.at).unwrap_or_default();
                let path = file_path(&files.folder, at.file);
                if let Err(message) = files.check(&at) {
                    let by = named.by.map_or_else(String::new, |by| format!("{by}: "));
                    self.damage(Damage {
                        file: path.clone(),
                        position: at.position,
                        stream: ledger.stream_name(named.stream),
                        segment: Some(named.segment),
                        offset: named.offset,
                        message: format!("{by}{message}"),
                    });
                    bad.push((path, at.position));
                }
                self.did(u64::from(at.length), 1);
            }
        }
        bad
    }
}

fn named(key: &Key, value: &bytes::Bytes) -> Option<Result<Named, prost::DecodeError>> {
    match key {
        Key::Extent(segment, base) => Some(Extent::decode(value.clone()).map(|extent| Named {
            stream: segment.stream,
            segment: segment.segment.get(),
            offset: Some(base.get()),
            by: None,
            block: extent.block,
        })),
        Key::Chunk(id, seq) => Some(Chunk::decode(value.clone()).map(|chunk| Named {
            stream: StreamId::new(chunk.stream_id),
            segment: chunk.segment,
            offset: None,
            by: Some(format!("block {seq} of transaction {id}, not committed yet")),
            block: chunk.block,
        })),
        _ => None,
    }
}

/// Open log files.
struct Files<'a> {
    disk: &'a dyn Disk,
    folder: PathBuf,
    open: HashMap<u64, Arc<dyn File>>,
}

/// More than any log has in use at once, in order.
const OPEN_MAX: usize = 16;

impl Files<'_> {
    fn check(&mut self, at: &BlockRef) -> Result<(), String> {
        let file = self.file(at.file).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => format!("the ledger names a block in log file {}, which is missing", at.file),
            _ => format!("the log file can't be opened: {error}"),
        })?;
        let length = file.length().map_err(|error| format!("the log file can't be read: {error}"))?;
        if at.position.checked_add(u64::from(at.length)).is_none_or(|end| end > length) {
            return Err(format!("the block has {} bytes, but the file ends at {length}", at.length));
        }
        let mut data = vec![0; at.length as usize];
        file.read_exact_at(at.position, &mut data).map_err(|error| format!("the block can't be read: {error}"))?;
        let crc = crc32c::crc32c(&data);
        if crc != at.crc32c {
            return Err(format!("the block's checksum is {crc:08x} instead of {:08x}", at.crc32c));
        }
        Ok(())
    }

    fn file(&mut self, number: u64) -> io::Result<Arc<dyn File>> {
        if let Some(file) = self.open.get(&number) {
            return Ok(Arc::clone(file));
        }
        let file = open(self.disk, &file_path(&self.folder, number))?;
        if self.open.len() >= OPEN_MAX {
            self.open.clear();
        }
        self.open.insert(number, Arc::clone(&file));
        Ok(file)
    }
}

fn open(disk: &dyn Disk, path: &Path) -> io::Result<Arc<dyn File>> {
    disk.open(path, OpenMode::Read)
}
