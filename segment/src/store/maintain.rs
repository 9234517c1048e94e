//! Keeping the log short: snapshots of the ledger, removal of files nothing needs, copying live blocks forward.
//!
//! A log file may go when a snapshot holds all its frames and no extent or chunk names a block in it.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
};

use prost::Message as _;
use sluice_proto::storage::v1::{BlockRef as StoredRef, Chunk, Extent};
use sluice_txn::{
    key::{KeySpan, RawKey},
    ledger::{self, Direction, Draft, View},
    protocol::Outcome,
};
use tokio::sync::oneshot;

use super::{
    EmbeddedStore, Error, Shared, Wait,
    open::snapshot_folder,
    sequencer::{FREE_BYTES_FOR_BLOCKS, Message},
};
use crate::{
    env::ExecutorExt as _,
    log::{Block, LogFile, Lsn, ReadError},
    snapshot,
};

/// Blocks copied forward by one commit, in bytes.
const COPY_BYTES: u64 = 4 << 20;
/// A file is copied forward when at most this share of it is alive; copying more would not make room.
const LIVE_SHARE_MAX: f64 = 0.5;

/// What maintenance remembers.
pub(super) struct State {
    /// The oldest snapshot that is kept: files with later frames are needed to start from it.
    pub(super) snapshot: Lsn,
    log_bytes_at_snapshot: u64,
    /// Backups and verifications under way: nothing is removed meanwhile.
    pub(super) holds: usize,
}

impl State {
    pub(super) fn new(snapshot: Lsn) -> Self {
        Self { snapshot, log_bytes_at_snapshot: 0, holds: 0 }
    }
}

/// What one round of maintenance did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MaintenanceReport {
    /// Whether a snapshot was written.
    pub snapshot: bool,
    /// Log files removed.
    pub files_removed: usize,
    /// Bytes of live blocks copied forward.
    pub bytes_copied: u64,
}

/// How full a log file is with blocks that are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogUse {
    /// The file.
    pub file: LogFile,
    /// Bytes of blocks that an extent or a chunk names.
    pub live_bytes: u64,
}

/// A live block and the entry that names it.
struct Live {
    key: RawKey,
    value: bytes::Bytes,
    at: StoredRef,
}

/// Keeps log files, snapshots and Parquet files in place while it lives.
pub struct Hold {
    shared: Arc<Shared>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shared.maintenance.lock().unwrap_or_else(PoisonError::into_inner).holds -= 1;
    }
}

impl EmbeddedStore {
    /// Keeps all files in place until the hold is dropped.
    pub fn hold_files(&self) -> Hold {
        self.shared.maintenance.lock().unwrap_or_else(PoisonError::into_inner).holds += 1;
        Hold { shared: Arc::clone(&self.shared) }
    }

    /// Whether somebody holds all files in place.
    pub fn files_are_held(&self) -> bool {
        self.shared.maintenance.lock().unwrap_or_else(PoisonError::into_inner).holds > 0
    }

    /// Writes a snapshot of the ledger when enough was logged since the last one, and removes log files nothing needs. Also
    /// sets how much may wait for publication by the space that is left.
    /// Call it every second or so, from one task.
    pub async fn maintain(&self) -> Result<MaintenanceReport, Error> {
        self.shared.review_backlog();
        let mut report = MaintenanceReport::default();
        let log_bytes = self.log_bytes();
        let due = {
            let state = self.shared.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
            let grown = log_bytes.saturating_sub(state.log_bytes_at_snapshot);
            let full =
                log_bytes > self.shared.options.log_limit_bytes && grown > self.shared.options.log_file_bytes / 4;
            state.holds == 0 && (grown >= self.shared.options.snapshot_every_bytes || full)
        };
        if due {
            self.snapshot().await?;
            report.snapshot = true;
            report.files_removed = self.remove_dead_files().await?;
            if self.log_bytes() > self.shared.options.log_limit_bytes {
                report.bytes_copied = self.copy_forward().await?;
                report.files_removed += self.remove_dead_files().await?;
            }
            let mut state = self.shared.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
            state.log_bytes_at_snapshot = self.log_bytes();
        }
        Ok(report)
    }

    /// Writes a snapshot of the ledger now; answers the frame up to which it holds everything.
    pub async fn snapshot(&self) -> Result<Lsn, Error> {
        let shared = Arc::clone(&self.shared);
        let written = self.shared.env.executor.run_for(move || write_snapshot(&shared)).await;
        let (lsn, oldest) = written.map_err(|lost| Error::Stopped(lost.to_string()))??;
        self.shared.maintenance.lock().unwrap_or_else(PoisonError::into_inner).snapshot = oldest;
        Ok(lsn)
    }

    pub(crate) async fn log_files(&self) -> Result<Vec<LogFile>, Error> {
        let (tell, files) = oneshot::channel();
        self.send(Message::LogFiles(tell))?;
        files.await.map_err(|_| Error::stopped())
    }

    /// The log files and how much of each is needed.
    pub async fn log_use(&self) -> Result<Vec<LogUse>, Error> {
        let files = self.log_files().await?;
        let mut live: BTreeMap<u64, u64> = BTreeMap::new();
        for block in self.live_blocks(None).await? {
            *live.entry(block.at.file).or_default() += u64::from(block.at.length);
        }
        Ok(files
            .into_iter()
            .map(|file| LogUse { file, live_bytes: live.get(&file.number).copied().unwrap_or(0) })
            .collect())
    }

    /// All live blocks, or those of one file.
    async fn live_blocks(&self, file: Option<u64>) -> Result<Vec<Live>, Error> {
        let shared = Arc::clone(&self.shared);
        let found = self.shared.env.executor.run_for(move || live_blocks(&*shared.table, file)).await;
        found.map_err(|lost| Error::Stopped(lost.to_string()))?.map_err(Error::from)
    }

    async fn remove_dead_files(&self) -> Result<usize, Error> {
        let snapshot = {
            let state = self.shared.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
            if state.holds > 0 {
                return Ok(0);
            }
            state.snapshot
        };
        let usage = self.log_use().await?;
        let current = usage.iter().map(|usage| usage.file.number).max();
        let mut removed = 0;
        for LogUse { file, live_bytes } in usage {
            if live_bytes == 0 && file.last_lsn <= snapshot && Some(file.number) != current {
                let (tell, done) = oneshot::channel();
                self.send(Message::RemoveLogFile(file.number, tell))?;
                removed += usize::from(done.await.map_err(|_| Error::stopped())??);
            }
        }
        Ok(removed)
    }

    /// Copies what is alive in mostly dead files to the end of the log, oldest first, until the log is within its limit.
    async fn copy_forward(&self) -> Result<u64, Error> {
        let mut copied = 0;
        let mut excess = self.log_bytes().saturating_sub(self.shared.options.log_limit_bytes);
        let usage = self.log_use().await?;
        let current = usage.iter().map(|usage| usage.file.number).max();
        for LogUse { file, live_bytes } in usage {
            let mostly_dead = live_bytes as f64 <= file.bytes as f64 * LIVE_SHARE_MAX;
            if excess == 0 || Some(file.number) == current || live_bytes == 0 || !mostly_dead {
                continue;
            }
            copied += self.copy_file_forward(file.number).await?;
            excess = excess.saturating_sub(file.bytes - live_bytes);
        }
        Ok(copied)
    }

    async fn copy_file_forward(&self, file: u64) -> Result<u64, Error> {
        let (mut copied, mut batch, mut batch_bytes) = (0, Vec::new(), 0);
        for live in self.live_blocks(Some(file)).await? {
            batch_bytes += u64::from(live.at.length);
            batch.push(live);
            if batch_bytes >= COPY_BYTES {
                copied += self.copy_blocks(std::mem::take(&mut batch)).await?;
                batch_bytes = 0;
            }
        }
        Ok(copied + self.copy_blocks(batch).await?)
    }

    /// Writes blocks again and points their entries to the new places; entries that changed meanwhile are left alone.
    async fn copy_blocks(&self, batch: Vec<Live>) -> Result<u64, Error> {
        // All are under way before the first is waited for, so that they share syncs.
        let mut under_way = Vec::with_capacity(batch.len());
        for live in batch {
            let data = match self.block(live.at.into()).await {
                Ok(data) => data,
                Err(ReadError::Gone(_)) => continue,
                Err(error) => {
                    tracing::error!(%error, "a live block cannot be copied forward; its log file is kept");
                    continue;
                }
            };
            let block = Block { data, crc32c: live.at.crc32c };
            let copied =
                self.submit_moved(vec![block], Wait::Durable, move |draft, refs, _| copy_entry(draft, live, refs));
            under_way.push(copied.await?);
        }
        let mut bytes = 0;
        for copied in under_way {
            bytes += copied.await.map_err(|_| Error::stopped())??;
        }
        Ok(bytes)
    }
}

impl Shared {
    /// Publishing needs the backlog's room once more, for Parquet, before the log gives its own back: half of what the disk has
    /// for both may wait. A disk so full that events are refused anyway holds nobody back, who would learn it later only.
    pub(super) fn review_backlog(&self) {
        let mut limit = self.options.unpublished_limit_bytes;
        if let Ok(Some(free)) = self.env.disk.free_bytes(&self.folder)
            && free >= FREE_BYTES_FOR_BLOCKS
        {
            limit = limit.min((free + self.room.backlog.now().unpublished_bytes) / 2);
        }
        self.room.backlog.review(limit, self.env.clock.now_ms(), self.options.held_ms_max);
    }
}

/// Points an entry to the new place of its block, if it is still as it was; answers the block's bytes then, else 0.
fn copy_entry(draft: &mut Draft<'_>, live: Live, refs: &[StoredRef]) -> Outcome<u64> {
    if draft.get(&live.key)?.as_ref() != Some(&live.value) {
        return Ok(0);
    }
    let moved = refs.first().and_then(|at| with_place(&live.key, &live.value, *at));
    let Some(moved) = moved else { return Ok(0) };
    draft.extend(vec![(live.key, Some(moved))]);
    Ok(u64::from(live.at.length))
}

/// Answers the frame of the new snapshot and that of the oldest one kept.
pub(super) fn write_snapshot(shared: &Shared) -> Result<(Lsn, Lsn), Error> {
    let _one_at_a_time = shared.snapshotting.lock().unwrap_or_else(PoisonError::into_inner);
    let failed = |error: snapshot::SnapshotError| Error::Stopped(error.to_string());
    // Log files may go up to here: the nearer to the log's end the better.
    shared.table.flush()?;
    // Frames applied while this runs may show: replaying them over the snapshot again is harmless, as changes are absolute.
    let index = shared.table.index();
    let lsn = Lsn(index.applied());
    let mut writer = snapshot::Writer::create(Arc::clone(&shared.env.disk), &snapshot_folder(&shared.folder), lsn)
        .map_err(failed)?;
    let mut problem = None;
    index.scan(&KeySpan::everything(), Direction::Ascending, &mut |key, value| {
        problem = writer.add(key, value).err();
        problem.is_none()
    })?;
    if let Some(error) = problem {
        return Err(failed(error));
    }
    let oldest = writer.finish().map_err(failed)?;
    Ok((lsn, oldest.lsn))
}

/// Chunks first: a commit turns a chunk into an extent, so a block that moves between the two scans is seen at least once.
fn live_blocks(view: &dyn View, file: Option<u64>) -> ledger::Result<Vec<Live>> {
    let mut found = Vec::new();
    for span in [KeySpan::all_chunks(), KeySpan::all_extents()] {
        view.scan(&span, Direction::Ascending, &mut |key, value| {
            if let Some(at) = place_of(key, value).filter(|at| file.is_none_or(|file| at.file == file)) {
                found.push(Live { key: key.to_vec(), value: value.clone(), at });
            }
            true
        })?;
    }
    Ok(found)
}

fn is_chunk(key: &[u8]) -> bool {
    let span = KeySpan::all_chunks();
    span.from.as_slice() <= key && key < span.to.as_slice()
}

/// The place of the block that an extent or a chunk names.
fn place_of(key: &[u8], value: &bytes::Bytes) -> Option<StoredRef> {
    let block = if is_chunk(key) {
        Chunk::decode(value.clone()).ok()?.block
    } else {
        Extent::decode(value.clone()).ok()?.block
    };
    block?.at
}

/// The entry with its block at another place.
fn with_place(key: &[u8], value: &bytes::Bytes, at: StoredRef) -> Option<bytes::Bytes> {
    if is_chunk(key) {
        let mut chunk = Chunk::decode(value.clone()).ok()?;
        chunk.block.as_mut()?.at = Some(at);
        Some(chunk.encode_to_vec().into())
    } else {
        let mut extent = Extent::decode(value.clone()).ok()?;
        extent.block.as_mut()?.at = Some(at);
        Some(extent.encode_to_vec().into())
    }
}
