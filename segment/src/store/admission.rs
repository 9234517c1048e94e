//! When a command may enter the queue.
//!
//! Every command takes room for its bytes. One that brings events waits before that while writers are held back: while more
//! than the limit waits to be published as Parquet (`backlog`). Commits, prepares, aborts and publication itself are not held
//! back: they are what makes the backlog fall, or what others wait for.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::{
    Error,
    backlog::{Backlog, BacklogCount},
};

/// A command that carries less counts as this many bytes, so that many small ones don't fill the queue.
const COMMAND_BYTES_MIN: u32 = 512;

/// The room of the queue and who may take of it.
pub(super) struct Room {
    queue: Arc<Semaphore>,
    queue_bytes: u32,
    pub(super) backlog: Arc<BacklogCount>,
    /// See [`super::Options::held_ms_max`].
    held_ms_max: u64,
    closed: watch::Sender<bool>,
}

impl Room {
    pub(super) fn new(queue_bytes: u32, held_ms_max: u64, backlog: Arc<BacklogCount>) -> Self {
        let queue = Arc::new(Semaphore::new(queue_bytes as usize));
        Self { queue, queue_bytes, backlog, held_ms_max, closed: watch::Sender::new(false) }
    }

    /// Room for a command with so many bytes of blocks.
    pub(super) async fn take(&self, block_bytes: usize) -> Result<OwnedSemaphorePermit, Error> {
        let bytes = u32::try_from(block_bytes).unwrap_or(u32::MAX).clamp(COMMAND_BYTES_MIN, self.queue_bytes);
        Arc::clone(&self.queue).acquire_many_owned(bytes).await.map_err(|_| Error::stopped())
    }

    /// As [`Self::take`], for a command that brings events.
    pub(super) async fn take_for_events(&self, block_bytes: usize) -> Result<OwnedSemaphorePermit, Error> {
        loop {
            self.until_not_held().await?;
            let room = self.take(block_bytes).await?;
            // Many may have gone on at once: no more than fill the queue come in over the limit.
            if !self.backlog.now().holds_writers() {
                return Ok(room);
            }
        }
    }

    async fn until_not_held(&self) -> Result<(), Error> {
        if !self.backlog.now().holds_writers() {
            return Ok(());
        }
        let (mut backlog, mut closed) = (self.backlog.watch(), self.closed.subscribe());
        loop {
            let now = *backlog.borrow_and_update();
            if !now.holds_writers() {
                return Ok(());
            }
            if now.stalled {
                return Err(self.refusal(&now));
            }
            tokio::select! {
                _ = closed.wait_for(|closed| *closed) => return Err(Error::stopped()),
                changed = backlog.changed() => changed.map_err(|_| Error::stopped())?,
            }
        }
    }

    fn refusal(&self, backlog: &Backlog) -> Error {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        Error::HeldBack(format!(
            "{} MiB of committed events wait to be published as Parquet, more than the {} MiB that may, and nothing was published for {} s: \
             see in the gateway's log why, free disk space or raise limits.unpublished_bytes, then send again",
            mib(backlog.unpublished_bytes),
            mib(backlog.limit_bytes),
            self.held_ms_max / 1000,
        ))
    }

    /// Ends who waits; nobody comes in any more.
    pub(super) fn close(&self) {
        self.queue.close();
        self.closed.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use sluice_schema::ids::{SegmentId, SegmentNumber, StreamId};
    use sluice_txn::ledger::MemoryIndex;

    use super::*;

    const SEGMENT: SegmentId = SegmentId::new(StreamId::new(1), SegmentNumber::new(0));

    /// Lets every task go on until it waits.
    async fn settle() {
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
    }

    /// All who wait go on at once: those that the queue has no room for look again before they come in.
    #[tokio::test]
    async fn no_more_than_the_queue_holds_comes_in_over_the_limit() {
        let backlog = Arc::new(BacklogCount::of(&MemoryIndex::default(), 100, 0).unwrap());
        let room = Arc::new(Room::new(4096, 60_000, Arc::clone(&backlog)));
        let entered = Arc::new(AtomicUsize::new(0));
        let (write, written) = tokio::sync::watch::channel(false);
        backlog.set([(SEGMENT, 101)]);
        for _ in 0..20 {
            let (room, entered, mut written) = (Arc::clone(&room), Arc::clone(&entered), written.clone());
            tokio::spawn(async move {
                let _share = room.take_for_events(1024).await.unwrap();
                entered.fetch_add(1, Ordering::Relaxed);
                written.wait_for(|written| *written).await.unwrap();
            });
        }
        settle().await;
        assert_eq!(entered.load(Ordering::Relaxed), 0);
        backlog.set([(SEGMENT, 100)]);
        settle().await;
        assert_eq!(entered.load(Ordering::Relaxed), 4);
        backlog.set([(SEGMENT, 101)]);
        write.send(true).unwrap();
        settle().await;
        assert_eq!(entered.load(Ordering::Relaxed), 4, "the others wait for the next publication");
        drop(room.take(4096).await.expect("who waits has no room"));
        backlog.set([(SEGMENT, 0)]);
        settle().await;
        assert_eq!(entered.load(Ordering::Relaxed), 20);
    }
}
