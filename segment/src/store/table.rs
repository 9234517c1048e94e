//! The durable state: the index, and over it in memory the changes that it does not hold yet (a "memtable").
//!
//! A commit is visible as soon as the log holds it; the index takes its changes later and elsewhere, many at once. What is
//! written and deleted within that time, as the blocks of most transactions are, costs the index little, and how long a commit takes
//! does not depend on how fast the index writes.

use std::{
    io,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockWriteGuard,
        mpsc::{SyncSender, sync_channel},
    },
};

use bytes::Bytes;
use sluice_txn::{
    key::KeySpan,
    ledger::{Direction, Error, Index, Overlay, Result, View, Visitor},
};

use crate::{
    env::{Executor, Task},
    log::Lsn,
};

pub(super) struct Table {
    index: Box<dyn Index>,
    recent: RwLock<Recent>,
    /// Held while changes are handed to the index.
    flushing: Mutex<()>,
    failed: OnceLock<Error>,
}

/// Changes that the index may not hold yet; the younger win.
#[derive(Default)]
struct Recent {
    /// The last frame whose changes are here.
    last: Lsn,
    young: Overlay,
    /// On their way to the index.
    old: Arc<Overlay>,
}

impl Table {
    pub(super) fn over(index: Box<dyn Index>) -> Self {
        let recent = Recent { last: Lsn(index.applied()), ..Recent::default() };
        Self { index, recent: RwLock::new(recent), flushing: Mutex::default(), failed: OnceLock::new() }
    }

    fn write(&self) -> RwLockWriteGuard<'_, Recent> {
        self.recent.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads one state, and the last frame it holds. Additions wait meanwhile.
    pub(super) fn read<T>(&self, read: impl FnOnce(Lsn, &dyn View) -> T) -> T {
        let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        let older = recent.old.over(&*self.index);
        read(recent.last, &recent.young.over(&older))
    }

    /// Adds the changes of durable frames up to `last`; answers how many keys the next flush has to write.
    pub(super) fn add(&self, last: Lsn, changes: Overlay) -> usize {
        let mut recent = self.write();
        recent.last = last;
        recent.young.add(changes);
        recent.young.len()
    }

    /// Keys the next flush has to write.
    pub(super) fn waiting(&self) -> usize {
        self.recent.read().unwrap_or_else(PoisonError::into_inner).young.len()
    }

    /// Why the index takes no more changes, if it does not. What it holds is worth nothing then; reads stay right.
    pub(super) fn failure(&self) -> Option<Error> {
        let panicked =
            || Error::Engine { engine: "index", message: "it panicked while it was given changes".to_string() };
        self.failed.get().cloned().or_else(|| self.flushing.is_poisoned().then(panicked))
    }

    /// Hands to the index all that was added before the call.
    pub(super) fn flush(&self) -> Result<()> {
        let _one_at_a_time = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = self.failure() {
            return Err(error);
        }
        let (last, old) = {
            let mut recent = self.write();
            recent.old = Arc::new(std::mem::take(&mut recent.young));
            (recent.last, Arc::clone(&recent.old))
        };
        if !old.is_empty() {
            self.index.apply(last.0, &old.to_vec()).inspect_err(|error| drop(self.failed.set(error.clone())))?;
            self.write().old = Arc::default();
        }
        Ok(())
    }

    /// As if the index had refused changes.
    #[cfg(test)]
    pub(super) fn fail(&self, error: Error) {
        let _ = self.failed.set(error);
    }

    /// The index alone: it lags behind. For snapshots, which are brought up to date by the log.
    pub(super) fn index(&self) -> &dyn Index {
        &*self.index
    }
}

/// Reads without holding up additions: each call sees all that was added before it, a scan perhaps some of what comes meanwhile.
impl View for Table {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.read(|_, state| state.get(key))
    }
    fn scan(&self, span: &KeySpan, direction: Direction, visit: Visitor<'_>) -> Result<()> {
        let recent = {
            let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
            let mut part = recent.old.part(span);
            part.add(recent.young.part(span));
            part
        };
        recent.over(&*self.index).scan(span, direction, visit)
    }
}

/// The task that hands durable changes to the index.
pub(super) struct Flusher {
    wake: Option<SyncSender<()>>,
    task: Option<Task>,
    /// Bytes of log since it was last woken.
    pub(super) log_bytes: usize,
}

impl Flusher {
    pub(super) fn start(table: Arc<Table>, executor: &dyn Executor) -> io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let flush = move || while woken.recv().is_ok() && table.flush().is_ok() {};
        let task = executor.spawn("sluice-index", Box::new(flush))?;
        Ok(Self { wake: Some(wake), task: Some(task), log_bytes: 0 })
    }

    /// Full: it will see the newest changes, too. Gone: the table knows why.
    pub(super) fn wake(&mut self) {
        self.log_bytes = 0;
        let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
    }

    /// Waits until it ended.
    pub(super) fn end(&mut self) {
        self.wake = None;
        // A panic shows in the table.
        let _ = self.task.take().map(Task::join);
    }
}
