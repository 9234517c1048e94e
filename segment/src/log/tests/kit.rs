use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::env::{Disk, MemDisk, Rng, SeededRng};
use crate::log::{Block, BlockRef, Log, LogOptions, Lsn, OpenError, ReadError, RecoveredFrame, Recovery, file_path};

pub const DIR: &str = "/data/log";

/// A frame that was appended: what must come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub lsn: Lsn,
    pub facts: Bytes,
    pub blocks: Vec<(BlockRef, Bytes)>,
}

pub fn options(file_bytes_target: u64) -> LogOptions {
    LogOptions { file_bytes_target, open_files_max: 3, rng: Arc::new(SeededRng::new(7)) }
}

/// Opens the log and collects what is replayed.
pub fn open(disk: &MemDisk, after: Lsn) -> Result<(Log, Recovery, Vec<RecoveredFrame>), OpenError> {
    open_with(disk, after, options(64 << 10))
}

pub fn open_with(
    disk: &MemDisk,
    after: Lsn,
    options: LogOptions,
) -> Result<(Log, Recovery, Vec<RecoveredFrame>), OpenError> {
    let mut frames = Vec::new();
    let (log, recovery) = Log::open(Arc::new(disk.clone()), Path::new(DIR), options, after, &mut |frame| {
        frames.push(frame);
        Ok(())
    })?;
    assert_eq!(recovery.frames, frames.len() as u64);
    assert_eq!((log.written_lsn(), log.durable_lsn()), (recovery.last_lsn, recovery.last_lsn));
    Ok((log, recovery, frames))
}

/// Appends a frame with blocks of these lengths and random content.
pub fn append(log: &mut Log, rng: &SeededRng, lengths: &[usize], facts_bytes: usize) -> Written {
    try_append(log, rng, lengths, facts_bytes).unwrap()
}

pub fn try_append(
    log: &mut Log,
    rng: &SeededRng,
    lengths: &[usize],
    facts_bytes: usize,
) -> Result<Written, crate::log::LogError> {
    let blocks: Vec<Block> = lengths.iter().map(|length| Block::new(random_bytes(rng, *length))).collect();
    let facts = random_bytes(rng, facts_bytes);
    let plan = log.plan(blocks.clone())?;
    let refs = plan.refs().to_vec();
    let planned = plan.lsn();
    let lsn = log.append(plan, &facts)?;
    assert_eq!(lsn, planned);
    let blocks = refs.into_iter().zip(blocks.into_iter().map(|block| block.data)).collect();
    Ok(Written { lsn, facts, blocks })
}

fn random_bytes(rng: &SeededRng, length: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        // No byte is 0, so that padding can be told from content.
        bytes.extend(rng.next_u64().to_le_bytes().map(|byte| byte | 1));
    }
    bytes.truncate(length);
    bytes.into()
}

/// The frames that came back are these, and every block of theirs can be read.
pub fn assert_same(log: &Log, recovered: &[RecoveredFrame], written: &[Written]) {
    assert_eq!(
        recovered.iter().map(|frame| frame.lsn).collect::<Vec<_>>(),
        written.iter().map(|frame| frame.lsn).collect::<Vec<_>>()
    );
    for (recovered, written) in recovered.iter().zip(written) {
        assert_eq!(recovered.facts, written.facts, "facts of frame {}", written.lsn);
        assert_readable(log, written);
    }
}

pub fn assert_readable(log: &Log, written: &Written) {
    for (at, data) in &written.blocks {
        assert_eq!(log.reader().read(at).unwrap(), data, "{at:?}");
    }
}

pub fn read_error(log: &Log, at: &BlockRef) -> ReadError {
    log.reader().read(at).unwrap_err()
}

pub fn path(number: u64) -> PathBuf {
    file_path(Path::new(DIR), number)
}

pub fn flip(disk: &MemDisk, number: u64, byte: usize, bit: u32) {
    let mut content = disk.contents(&path(number)).unwrap();
    content[byte] ^= 1 << bit;
    disk.set_contents(&path(number), content);
}

/// Every file of the log, to see that nothing was changed.
pub fn image(disk: &MemDisk) -> Vec<Option<Vec<u8>>> {
    (1..20).map(|number| disk.contents(&path(number))).collect()
}

/// A disk with nothing but file 1.
pub fn only_file(content: Vec<u8>) -> MemDisk {
    let disk = MemDisk::new();
    disk.create_dir_all(Path::new(DIR)).unwrap();
    disk.set_contents(&path(1), content);
    disk
}
