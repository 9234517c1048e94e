//! Opening a data directory: lock, format, index, log, and what a crash left undone.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64, mpsc},
    time::Duration,
};

use bytes::Bytes;
use sluice_schema::{
    ids::{ClusterId, TimelineId},
    types::bytes_schema,
};
use sluice_txn::{
    key::Key,
    ledger::{self, Change, Draft, Index, MemoryIndex, Overlay, SledIndex, View},
    protocol::streams::{found_cluster, set_timeline},
};
use uuid::Uuid;

use super::{
    EmbeddedStore, OnFatal, Options, Shared,
    admission::Room,
    backlog::BacklogCount,
    maintain,
    sequencer::{Sequencer, decode_facts},
    table::{Flusher, Table},
    visible::Visible,
};
use crate::{
    backup,
    cache::BlockCache,
    env::{Disk, Env, ExecutorExt as _, remove_if_there, replace},
    format,
    lock::DirLock,
    log::{Log, LogOptions, Lsn, OpenError, Recovery},
    snapshot::{self, Snapshot},
};

/// How long another process may take to give the directory free.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// This file says that the index failed while the store ran.
const CONDEMNED: &str = "index-failed";
/// Changes of replayed frames are handed to the index in batches of this many.
const REPLAY_BATCH: usize = 20_000;

/// Which index to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexKind {
    /// sled, below the data directory.
    Sled,
    /// In memory, for tests and simulation: every start replays the log.
    Memory,
}

/// An open store and how it was found.
pub struct Opened {
    /// The store.
    pub store: EmbeddedStore,
    /// What the log's recovery did.
    pub recovery: Recovery,
    /// Whether the index was missing, damaged or behind the snapshot, and was built again.
    pub index_rebuilt: bool,
    /// Holds the directory until dropped, after the store was closed.
    pub lock: Option<DirLock>,
}

/// Why a data directory cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it.
    #[error(transparent)]
    Locked(#[from] crate::lock::LockError),
    /// Its format is not ours.
    #[error(transparent)]
    Format(#[from] crate::format::FormatError),
    /// Its log cannot be opened.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// Its snapshots cannot be read.
    #[error(transparent)]
    Snapshot(#[from] crate::snapshot::SnapshotError),
    /// Its ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// A file operation failed.
    #[error("can't {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The store could not write its first entry.
    #[error(transparent)]
    Store(#[from] super::Error),
}

/// The folder of the log below a data directory.
pub(crate) fn log_folder(folder: &Path) -> PathBuf {
    folder.join("log")
}

/// The folder of snapshots below a data directory.
pub(crate) fn snapshot_folder(folder: &Path) -> PathBuf {
    folder.join("snapshots")
}

/// The folder of sled's index below a data directory.
pub(crate) fn index_folder(folder: &Path) -> PathBuf {
    folder.join("index")
}

/// Says that the index failed: the next start builds it again, instead of failing for the same reason.
pub(super) fn condemn_index(disk: &dyn Disk, folder: &Path) {
    if let Err(error) = replace(disk, &folder.join(CONDEMNED), b"") {
        tracing::error!(%error, "the index failed and cannot be marked; run `sluice admin rebuild-index` before the next start");
    }
}

/// Throws the index away; the next start builds it again from snapshot and log. The directory must not be in use.
pub fn rebuild_index(folder: &Path) -> Result<(), Error> {
    let _lock = DirLock::acquire(folder, LOCK_WAIT)?;
    remove_index(folder)
}

fn remove_index(folder: &Path) -> Result<(), Error> {
    let path = index_folder(folder);
    match std::fs::remove_dir_all(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Io { action: "remove", path, source })
        }
        _ => Ok(()),
    }
}

impl EmbeddedStore {
    /// Opens a data directory, or makes one, and brings everything durable back.
    ///
    /// Returns when the store takes commands. Blocks the thread meanwhile.
    pub fn open(
        folder: &Path,
        env: Env,
        options: Options,
        kind: IndexKind,
        on_fatal: OnFatal,
    ) -> Result<Opened, Error> {
        let disk = Arc::clone(&env.disk);
        disk.create_dir_all(folder).map_err(|source| Error::Io { action: "make", path: folder.into(), source })?;
        let lock = match kind {
            IndexKind::Sled => Some(DirLock::acquire(folder, LOCK_WAIT)?),
            IndexKind::Memory => None,
        };
        format::check_or_create(&*disk, folder)?;
        let newest = snapshot::latest(&*disk, &snapshot_folder(folder))?;
        for refused in &newest.refused {
            tracing::warn!(error = %refused, "a snapshot is damaged; an older one is used");
        }
        let newest = newest.snapshot;
        let snapshot_lsn = newest.as_ref().map_or(Lsn(0), |snapshot| snapshot.lsn);
        let oldest_lsn = snapshot::list(&*disk, &snapshot_folder(folder))?.last().map_or(Lsn(0), |oldest| oldest.lsn);
        let (index, index_rebuilt) = open_index(folder, &env, kind, newest.as_ref())?;

        let mut frames: Vec<(Lsn, Bytes)> = Vec::new();
        let log_options = LogOptions {
            file_bytes_target: options.log_file_bytes,
            rng: Arc::clone(&env.rng),
            ..LogOptions::default()
        };
        let after = Lsn(index.applied()).max(snapshot_lsn);
        // Frames reach the index only after the log says that they are durable.
        let (log, recovery) = Log::open(disk, &log_folder(folder), log_options, after, &mut |frame| {
            frames.push((frame.lsn, frame.facts));
            Ok(())
        })?;
        for damage in &recovery.damage {
            tracing::error!(%damage, "the log is damaged; everything else is served");
        }
        // Facts of damaged frames may be in the index alone: they need a second home before the index is lost.
        let snapshot_due = !recovery.damage.is_empty() && !index_rebuilt;
        let table = Table::over(index);
        replay(&table, frames)?;

        let (queue, messages) = mpsc::channel();
        let last_commit = if table.get(&Key::Cluster.encode())?.is_some() { super::last_commit(&table)? } else { 0 };
        let backlog = Arc::new(BacklogCount::of(&table, options.unpublished_limit_bytes, env.clock.now_ms())?);
        let shared = Arc::new(Shared {
            folder: folder.into(),
            table: Arc::new(table),
            reader: log.reader(),
            cache: BlockCache::new(options.cache_bytes),
            visible: Visible::new(last_commit, Arc::clone(&backlog)),
            queue: Mutex::new(queue),
            room: Room::new(options.queue_bytes, options.held_ms_max, backlog),
            durable_lsn: AtomicU64::new(log.durable_lsn().0),
            log_bytes: AtomicU64::new(log.files().iter().map(|file| file.bytes).sum()),
            maintenance: Mutex::new(maintain::State::new(oldest_lsn)),
            snapshotting: Mutex::default(),
            options,
            env,
        });
        shared.review_backlog();
        if snapshot_due {
            let (_, oldest) = maintain::write_snapshot(&shared)?;
            shared.maintenance.lock().unwrap_or_else(PoisonError::into_inner).snapshot = oldest;
        }
        let no_thread = |source| Error::Io { action: "start the tasks of", path: folder.into(), source };
        let flusher = Flusher::start(Arc::clone(&shared.table), &*shared.env.executor).map_err(no_thread)?;
        let sequencer = Sequencer {
            shared: Arc::clone(&shared),
            log,
            queue: messages,
            overlay: Overlay::default(),
            flusher,
            waiting: Vec::new(),
            on_fatal: Some(on_fatal),
        };
        let spawned = shared.env.executor.spawn("sluice-sequencer", Box::new(move || sequencer.run()));
        spawned.map_err(no_thread)?;
        Ok(Opened { store: Self { shared }, recovery, index_rebuilt, lock })
    }

    /// Makes the records of a new store, once; gives a restored one its new timeline.
    pub async fn found(&self) -> Result<(), super::Error> {
        self.found_cluster().await?;
        let shared = Arc::clone(&self.shared);
        let marked = self.blocking(move || backup::is_restored(&*shared.env.disk, &shared.folder)).await?;
        if marked {
            let timeline = TimelineId::new(Uuid::from_u128(self.shared.env.rng.next_u128()));
            self.execute(Vec::new(), super::Wait::Durable, move |draft: &mut Draft<'_>, _, _| {
                set_timeline(draft, timeline)
            })
            .await?;
            let shared = Arc::clone(&self.shared);
            // After the new timeline is durable: a crash in between gives another new one, which is as good.
            self.blocking(move || backup::forget_restored(&*shared.env.disk, &shared.folder)).await?;
            tracing::warn!(%timeline, "this store was restored from a backup and has a new timeline now");
        }
        Ok(())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, super::Error> {
        let done = self.shared.env.executor.run_for(work).await;
        let done = done.map_err(|lost| super::Error::Stopped(lost.to_string()))?;
        done.map_err(|error| super::Error::Stopped(format!("the mark of a restored store: {error}")))
    }

    async fn found_cluster(&self) -> Result<(), super::Error> {
        // A store that has them starts on a full disk, too.
        if self.read(|view| view.get(&Key::Cluster.encode()))?.is_some() {
            return Ok(());
        }
        let (cluster, timeline) = (self.shared.env.rng.next_u128(), self.shared.env.rng.next_u128());
        self.execute(Vec::new(), super::Wait::Durable, move |draft: &mut Draft<'_>, _, _| {
            if draft.get(&Key::Cluster.encode())?.is_none() {
                let (cluster, timeline) =
                    (ClusterId::new(Uuid::from_u128(cluster)), TimelineId::new(Uuid::from_u128(timeline)));
                found_cluster(draft, cluster, timeline, (&bytes_schema()).into());
            }
            Ok(())
        })
        .await
    }
}

/// Opens the index, or builds it from the snapshot when it is missing, damaged or behind it; answers whether it was built.
fn open_index(
    folder: &Path,
    env: &Env,
    kind: IndexKind,
    newest: Option<&Snapshot>,
) -> Result<(Box<dyn Index>, bool), Error> {
    let wanted = newest.map_or(0, |snapshot| snapshot.lsn.0);
    if kind == IndexKind::Sled {
        let mark = folder.join(CONDEMNED);
        let condemned = env.disk.len(&mark).is_ok();
        if condemned {
            tracing::warn!("the index failed before and is built again");
            remove_index(folder)?;
            remove_if_there(&*env.disk, &mark).map_err(|source| Error::Io { action: "remove", path: mark, source })?;
        }
        let path = index_folder(folder);
        let was_there = path.is_dir();
        match SledIndex::open(&path) {
            // Without a snapshot the log reaches back to its first frame, so an index that holds nothing yet will do: a full
            // disk may have no room for a new one.
            Ok(index) if was_there && index.applied() >= wanted => return Ok((Box::new(index), false)),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the index cannot be opened and is built again"),
        }
        remove_index(folder)?;
    }
    let index: Box<dyn Index> = match kind {
        IndexKind::Sled => Box::new(SledIndex::open(&index_folder(folder))?),
        IndexKind::Memory => Box::new(MemoryIndex::default()),
    };
    if let Some(snapshot) = newest {
        load_snapshot(env, snapshot, &*index)?;
    }
    Ok((index, true))
}

fn load_snapshot(env: &Env, snapshot: &Snapshot, index: &dyn Index) -> Result<(), Error> {
    let mut batch: Vec<Change> = Vec::new();
    snapshot::read(&*env.disk, snapshot, &mut |key, value| {
        batch.push((key.to_vec(), Some(Bytes::copy_from_slice(value))));
        if batch.len() >= REPLAY_BATCH {
            // Not the snapshot's number yet: a crash now must not leave a partial index that looks whole.
            index.apply(0, &std::mem::take(&mut batch))?;
        }
        Ok(())
    })?;
    index.apply(snapshot.lsn.0, &batch)?;
    Ok(())
}

/// Takes replayed frames in, in order. The index takes them later, or, where they are many, in between: a full disk may have no room
/// for the index to grow.
fn replay(table: &Table, frames: Vec<(Lsn, Bytes)>) -> Result<(), Error> {
    for (lsn, facts) in frames {
        let changes = decode_facts(facts)
            .map_err(|error| ledger::Error::Damaged { key: format!("log frame {lsn}"), message: error.to_string() })?;
        if table.add(lsn, changes.into_iter().collect()) >= REPLAY_BATCH {
            table.flush()?;
        }
    }
    Ok(())
}
