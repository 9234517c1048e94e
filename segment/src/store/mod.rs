//! The embedded store: the log is the truth, the index makes it quick to read.
//!
//! In reading order: [`EmbeddedStore`] (what callers hold), `sequencer` (the one task that changes state), `table` (the state that
//! readers see), `open` (recovery), `admission` and `backlog` (when a command has to wait), `visible` (how readers learn of
//! commits), `maintain` (snapshots, trimming the log, copying live blocks forward).
//!
//! What holds:
//! * rules run one after the other, each against a state that includes everything accepted before it;
//! * an answer that promises durability is given after the fdatasync that covers it and after readers see it;
//! * the index and every reader see durable state only; blocks and changes that a crash takes away were never visible;
//! * after a failed write or sync nothing is answered any more but errors, and the process is told to end.

mod admission;
mod backlog;
mod error;
mod maintain;
mod open;
mod sequencer;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod visible;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use sluice_proto::storage::v1 as stored;
use sluice_txn::{
    key::{KeySpan, RawKey},
    ledger::{self, Change, Commit, Direction, Draft, Ledger, Precondition, Records, Store, View, Visitor},
    protocol::{Millis, Outcome},
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

pub use backlog::{Backlog, BacklogWatch};
pub use error::Error;
pub use maintain::{Hold, LogUse, MaintenanceReport};
pub use open::{Error as OpenError, IndexKind, Opened, rebuild_index};
pub(crate) use open::{index_folder, log_folder, snapshot_folder};
pub(crate) use sequencer::decode_facts;
pub use visible::{CommitWatch, SegmentWatch};

use crate::{
    cache::BlockCache,
    env::{Env, ExecutorExt as _},
    log::{Block, BlockRef, LogReader, Lsn, ReadError},
};
use admission::Room;
use sequencer::{Command, Job, Message, Verdict};
use table::Table;
use visible::Visible;

/// Settings of an [`EmbeddedStore`].
#[derive(Debug, Clone)]
pub struct Options {
    /// A log file is closed when it reaches this size; default 128 MiB.
    pub log_file_bytes: u64,
    /// Log bytes above which blocks are copied forward so that old files can go; default 2 GiB.
    pub log_limit_bytes: u64,
    /// Bytes after which the log is synced though nobody waits; default 8 MiB.
    pub sync_bytes: u64,
    /// Bytes of recent blocks kept in memory; default 128 MiB.
    pub cache_bytes: u64,
    /// Bytes of blocks that may wait to be written; default 64 MiB.
    pub queue_bytes: u32,
    /// A ledger snapshot is written after this many bytes of log; default 256 MiB.
    pub snapshot_every_bytes: u64,
    /// Committed bytes that may wait to be published as Parquet; while more do, events wait. Never more than half of what the
    /// disk has room for. Default 16 GiB.
    pub unpublished_limit_bytes: u64,
    /// Events that wait are refused when nothing was published for so long; default 60 s.
    pub held_ms_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            log_file_bytes: 128 << 20,
            log_limit_bytes: 2 << 30,
            sync_bytes: 8 << 20,
            cache_bytes: 128 << 20,
            queue_bytes: 64 << 20,
            snapshot_every_bytes: 256 << 20,
            unpublished_limit_bytes: 16 << 30,
            held_ms_max: 60_000,
        }
    }
}

/// When an answer is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// When the change is in the log; a crash may take it away.
    Accepted,
    /// When the change is durable and every reader sees it.
    Durable,
}

/// Called once, from the sequencer's thread, when the store can go on no more; the process must end.
pub type OnFatal = Box<dyn FnOnce(&str) + Send>;

struct Shared {
    env: Env,
    folder: PathBuf,
    options: Options,
    table: Arc<Table>,
    reader: LogReader,
    cache: BlockCache,
    visible: Visible,
    queue: Mutex<std::sync::mpsc::Sender<Message>>,
    room: Room,
    durable_lsn: AtomicU64,
    log_bytes: AtomicU64,
    /// Keeps snapshots, trimming and backups apart.
    maintenance: Mutex<maintain::State>,
    /// Held while a snapshot is written.
    snapshotting: Mutex<()>,
}

/// The store of one data directory. Cheap to clone.
#[derive(Clone)]
pub struct EmbeddedStore {
    shared: Arc<Shared>,
}

/// A rule and the caller that waits for its answer. A caller that went away needs none.
struct Asked<F, T> {
    rule: F,
    tell: oneshot::Sender<Result<T, Error>>,
}

impl<F, T> Job for Asked<F, T>
where
    F: FnOnce(&mut Draft<'_>, &[stored::BlockRef], Millis) -> Outcome<T> + Send,
    T: Send + 'static,
{
    fn run(self: Box<Self>, draft: &mut Draft<'_>, refs: &[stored::BlockRef], now: Millis) -> Verdict {
        let Asked { rule, tell } = *self;
        let outcome = rule(draft, refs, now);
        let keep = outcome.is_ok();
        let finish = move |stored: Result<(), Error>| {
            let _ = tell.send(stored.and_then(|()| outcome.map_err(Error::from)));
        };
        Verdict { keep, finish: Box::new(finish) }
    }
    fn refuse(self: Box<Self>, error: Error) {
        let _ = self.tell.send(Err(error));
    }
}

impl EmbeddedStore {
    /// Runs a rule in its turn. `rule` gets the places its `blocks` will have; when it fails, nothing changed.
    ///
    /// Returns when the change is accepted or durable, as `wait` says. Dropping the future does not take the command back:
    /// its outcome is unknown then.
    pub async fn execute<T: Send + 'static>(
        &self,
        blocks: Vec<Block>,
        wait: Wait,
        rule: impl FnOnce(&mut Draft<'_>, &[stored::BlockRef], Millis) -> Outcome<T> + Send + 'static,
    ) -> Result<T, Error> {
        let answer = self.submit(blocks, wait, rule).await?;
        answer.await.map_err(|_| Error::stopped())?
    }

    /// As [`Self::execute`], but returns as soon as the command has its turn in the queue: commands of one caller keep their order.
    ///
    /// A command with blocks waits for that while too much waits to be published, see [`Options::unpublished_limit_bytes`].
    pub async fn submit<T: Send + 'static>(
        &self,
        blocks: Vec<Block>,
        wait: Wait,
        rule: impl FnOnce(&mut Draft<'_>, &[stored::BlockRef], Millis) -> Outcome<T> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, Error>>, Error> {
        let room = match blocks[..] {
            [] => self.shared.room.take(0).await?,
            _ => self.shared.room.take_for_events(data_bytes(&blocks)).await?,
        };
        self.enqueue(room, blocks, wait, rule)
    }

    /// As [`Self::submit`], for blocks that are in the log already and make room there by moving: they never wait for
    /// publication.
    async fn submit_moved<T: Send + 'static>(
        &self,
        blocks: Vec<Block>,
        wait: Wait,
        rule: impl FnOnce(&mut Draft<'_>, &[stored::BlockRef], Millis) -> Outcome<T> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, Error>>, Error> {
        let room = self.shared.room.take(data_bytes(&blocks)).await?;
        self.enqueue(room, blocks, wait, rule)
    }

    fn enqueue<T: Send + 'static>(
        &self,
        room: OwnedSemaphorePermit,
        blocks: Vec<Block>,
        wait: Wait,
        rule: impl FnOnce(&mut Draft<'_>, &[stored::BlockRef], Millis) -> Outcome<T> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, Error>>, Error> {
        let (tell, answer) = oneshot::channel();
        let command = Command { blocks, wait, room, job: Box::new(Asked { rule, tell }) };
        self.send(Message::Command(Box::new(command)))?;
        Ok(answer)
    }

    fn send(&self, message: Message) -> Result<(), Error> {
        let queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.send(message).map_err(|_| Error::stopped())
    }

    /// Reads one consistent, durable state. Must not block for long: changes wait meanwhile.
    pub fn read<T>(&self, read: impl FnOnce(&dyn View) -> T) -> T {
        self.shared.table.read(|_, state| read(state))
    }

    /// Every entry of the ledger, and the last frame in it; of one moment.
    pub(crate) fn content(&self) -> ledger::Result<(Lsn, BTreeMap<RawKey, Bytes>)> {
        self.shared.table.read(|last, state| {
            let mut entries = BTreeMap::new();
            state.scan(&KeySpan::everything(), Direction::Ascending, &mut |key, value| {
                entries.insert(key.to_vec(), value.clone());
                true
            })?;
            Ok((last, entries))
        })
    }

    /// The bytes of a block, checked, from memory or from the log. `Gone` says: look up again where the events are now.
    /// Reading begins with the call, not with the first poll.
    pub fn block(&self, at: BlockRef) -> impl Future<Output = Result<Bytes, ReadError>> + Send + use<> {
        // An empty block shares its place with the one after it.
        let cached = self.shared.cache.get(&at).filter(|data| data.len() == at.length as usize);
        let shared = Arc::clone(&self.shared);
        // What is read from the disk is not kept: it would cost the readers at the tail their blocks.
        let reading = || {
            let shared = Arc::clone(&shared);
            self.shared.env.executor.run_for(move || shared.reader.read(&at))
        };
        let found = cached.ok_or_else(reading);
        async move {
            match found {
                Ok(data) => Ok(data),
                Err(read) => read.await.unwrap_or_else(|lost| {
                    Err(ReadError::Io { file: shared.folder.clone(), position: at.position, message: lost.to_string() })
                }),
            }
        }
    }

    /// Watches the end of a segment.
    pub fn watch_segment(&self, segment: sluice_schema::ids::SegmentId) -> SegmentWatch {
        self.shared.visible.watch_segment(segment)
    }

    /// Watches the store's last commit.
    pub fn watch_commits(&self) -> CommitWatch {
        self.shared.visible.watch_commits()
    }

    /// The number of the last durable frame.
    pub fn durable_lsn(&self) -> Lsn {
        Lsn(self.shared.durable_lsn.load(Ordering::Acquire))
    }

    /// Bytes of all log files.
    pub fn log_bytes(&self) -> u64 {
        self.shared.log_bytes.load(Ordering::Relaxed)
    }

    /// What waits to be published as Parquet. Durable changes count.
    pub fn backlog(&self) -> Backlog {
        self.shared.room.backlog.now()
    }

    /// Watches whether writers are held back.
    pub fn watch_backlog(&self) -> BacklogWatch {
        self.shared.room.backlog.watch()
    }

    /// The data directory.
    pub fn folder(&self) -> &Path {
        &self.shared.folder
    }

    /// Files, threads, time and randomness.
    pub fn env(&self) -> &Env {
        &self.shared.env
    }

    /// The settings.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// Writes what waits, syncs, and ends the sequencer; later commands fail. Idempotent.
    pub async fn close(&self) {
        let (tell, closed) = oneshot::channel();
        self.shared.room.close();
        if self.send(Message::Close(tell)).is_ok() {
            let _ = closed.await;
        }
    }
}

fn data_bytes(blocks: &[Block]) -> usize {
    blocks.iter().map(|block| block.data.len()).sum()
}

/// A view for callers that hold a store and need no consistency between reads.
impl View for EmbeddedStore {
    fn get(&self, key: &[u8]) -> ledger::Result<Option<Bytes>> {
        self.shared.table.get(key)
    }
    fn scan(&self, span: &KeySpan, direction: Direction, visit: Visitor<'_>) -> ledger::Result<()> {
        self.shared.table.scan(span, direction, visit)
    }
}

fn engine(error: impl std::fmt::Display) -> ledger::Error {
    ledger::Error::Engine { engine: "embedded store", message: error.to_string() }
}

impl Ledger for EmbeddedStore {
    async fn read(&self, keys: Vec<RawKey>) -> ledger::Result<Vec<Option<Bytes>>> {
        self.read(|view| keys.iter().map(|key| view.get(key)).collect())
    }
    async fn commit(&self, preconditions: Vec<Precondition>, changes: Vec<Change>) -> ledger::Result<Commit> {
        self.write(Vec::new(), preconditions, Box::new(move |_| changes)).await
    }
}

impl Store for EmbeddedStore {
    async fn write(
        &self,
        blocks: Vec<ledger::Block>,
        preconditions: Vec<Precondition>,
        changes: ledger::ChangesOf,
    ) -> ledger::Result<Commit> {
        let blocks = blocks.into_iter().map(|block| Block { data: block.data, crc32c: block.crc32c }).collect();
        let written = self
            .execute(blocks, Wait::Durable, move |draft, refs, _| {
                let mut conflicts = Vec::new();
                for (key, expected) in preconditions {
                    if draft.get(&key)? != expected {
                        conflicts.push(key);
                    }
                }
                if conflicts.is_empty() {
                    draft.extend(changes(refs));
                }
                Ok(conflicts)
            })
            .await
            .map_err(engine)?;
        Ok(if written.is_empty() { Commit::Committed(self.durable_lsn().0) } else { Commit::Conflict(written) })
    }
    async fn read_block(&self, at: stored::BlockRef) -> ledger::Result<Bytes> {
        self.block(at.into()).await.map_err(engine)
    }
}

/// The last commit of a state.
fn last_commit(view: &dyn View) -> ledger::Result<u64> {
    Ok(view.cluster()?.last_commit_seq)
}
