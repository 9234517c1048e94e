//! What was sent by the caller and not yet by the task: small events being collected, and requests that are ready.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use sluice_proto::gateway::v1::{self as wire, append_events_request::Events};
use sluice_schema::limits::{ROWS_PER_APPEND_BYTES_MAX, ROWS_PER_APPEND_MAX};
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::Instant,
};

use super::{ProducerOptions, Progress};
use crate::{
    blocks::SegmentBlock,
    error::{Error, Result},
    event::Event,
};

/// A request with the budget it holds and its last sequence.
#[derive(Debug, Clone)]
pub(super) struct Ready {
    pub request: wire::AppendEventsRequest,
    pub last_seq: u64,
    pub bytes: usize,
}

/// Shared by the producer's callers and its task.
#[derive(Debug)]
pub(super) struct Pending {
    writer: wire::InitWriterResponse,
    queue: Mutex<Queue>,
    /// Bytes that may still be sent without an acknowledgement.
    budget: Semaphore,
    budget_bytes: usize,
    pub wake: Notify,
    progress: watch::Sender<Progress>,
}

#[derive(Debug)]
struct Queue {
    next_seq: u64,
    rows: Vec<wire::Row>,
    row_bytes: usize,
    first_row_at: Option<Instant>,
    hurry: bool,
    ready: VecDeque<Ready>,
}

impl Pending {
    pub fn new(writer: wire::InitWriterResponse, options: &ProducerOptions, progress: watch::Sender<Progress>) -> Self {
        let queue = Queue {
            next_seq: writer.last_seq + 1,
            rows: Vec::new(),
            row_bytes: 0,
            first_row_at: None,
            hurry: false,
            ready: VecDeque::new(),
        };
        let budget_bytes = options.unacknowledged_bytes.clamp(1 << 20, 1 << 30);
        Self {
            writer,
            queue: Mutex::new(queue),
            budget: Semaphore::new(budget_bytes),
            budget_bytes,
            wake: Notify::new(),
            progress,
        }
    }

    /// Gives an event its sequence.
    pub async fn push_event(&self, event: &Event<'_>, bytes: usize) -> Result<u64> {
        let bytes = self.reserve(bytes).await?;
        let mut queue = self.lock();
        if queue.rows.len() >= ROWS_PER_APPEND_MAX || queue.row_bytes + bytes > ROWS_PER_APPEND_BYTES_MAX {
            self.close_rows(&mut queue);
        }
        let first = queue.rows.is_empty();
        let headers = event.headers.iter().map(|(name, value)| (name.to_string(), Bytes::copy_from_slice(value)));
        queue.rows.push(wire::Row {
            key: event.key.map(Bytes::copy_from_slice),
            value: Bytes::copy_from_slice(event.value),
            event_time_ms: event.event_time_ms,
            headers: headers.collect::<HashMap<_, _>>(),
        });
        queue.row_bytes += bytes;
        let sequence = queue.next_seq;
        queue.next_seq += 1;
        if first {
            queue.first_row_at = Some(Instant::now());
            self.wake.notify_one();
        }
        Ok(sequence)
    }

    /// Gives the rows of a block their sequences and returns the last one.
    pub async fn push_block(&self, block: SegmentBlock) -> Result<u64> {
        let bytes = self.reserve(block.block.data.len()).await?;
        let mut queue = self.lock();
        self.close_rows(&mut queue);
        let rows = u64::from(block.block.rows);
        let events = Events::Block(wire::SegmentBlock { segment: block.segment, block: Some(block.block) });
        let first_seq = queue.next_seq;
        queue.next_seq += rows;
        let ready = self.ready(first_seq, rows, bytes, events);
        queue.ready.push_back(ready);
        self.wake.notify_one();
        Ok(first_seq + rows - 1)
    }

    /// Sequence of the last event sent.
    pub fn last_sequence(&self) -> u64 {
        self.lock().next_seq - 1
    }

    /// Has the task send collected rows without waiting for company.
    pub fn hurry(&self) {
        self.lock().hurry = true;
        self.wake.notify_one();
    }

    /// For the task: requests to send now, and when to look again.
    pub fn take(&self, linger: std::time::Duration) -> (VecDeque<Ready>, Option<Instant>) {
        let mut queue = self.lock();
        let due = queue.first_row_at.map(|at| at + linger);
        if queue.hurry || due.is_some_and(|due| due <= Instant::now()) {
            self.close_rows(&mut queue);
            queue.hurry = false;
        }
        (std::mem::take(&mut queue.ready), queue.first_row_at.map(|at| at + linger))
    }

    /// For the task: everything up to `last_seq` is durable.
    pub fn acknowledge(&self, last_seq: u64, bytes: usize) {
        self.budget.add_permits(bytes);
        self.progress.send_modify(|progress| progress.acknowledged = last_seq);
    }

    /// For the task: nothing more will be sent.
    pub fn fail(&self, error: Error) {
        self.progress.send_modify(|progress| progress.failure = Some(error));
        self.budget.close();
    }

    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    async fn reserve(&self, bytes: usize) -> Result<usize> {
        let bytes = bytes.min(self.budget_bytes);
        match self.budget.acquire_many(bytes as u32).await {
            Ok(permit) => permit.forget(),
            Err(_) => return Err(self.failure()),
        }
        Ok(bytes)
    }

    fn failure(&self) -> Error {
        self.progress
            .borrow()
            .failure
            .clone()
            .unwrap_or_else(|| Error::bug("the producer's task ended without a reason"))
    }

    fn close_rows(&self, queue: &mut Queue) {
        let rows = std::mem::take(&mut queue.rows);
        let bytes = std::mem::take(&mut queue.row_bytes);
        queue.first_row_at = None;
        if rows.is_empty() {
            return;
        }
        let count = rows.len() as u64;
        let ready = self.ready(queue.next_seq - count, count, bytes, Events::Rows(wire::Rows { rows }));
        queue.ready.push_back(ready);
        self.wake.notify_one();
    }

    fn ready(&self, first_seq: u64, rows: u64, bytes: usize, events: Events) -> Ready {
        let request = wire::AppendEventsRequest {
            stream_id: self.writer.stream_id,
            writer_id: self.writer.writer_id,
            epoch: self.writer.epoch,
            first_seq,
            events: Some(events),
        };
        Ready { request, last_seq: first_seq + rows - 1, bytes }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LINGER: Duration = Duration::from_millis(2);

    fn pending() -> Pending {
        let writer = wire::InitWriterResponse { stream_id: 1, writer_id: 2, epoch: 3, last_seq: 10 };
        Pending::new(writer, &ProducerOptions::default(), watch::channel(Progress::default()).0)
    }

    async fn push(pending: &Pending, count: usize) -> u64 {
        let mut last = 0;
        for _ in 0..count {
            last = pending.push_event(&Event::new(b"x"), 17).await.unwrap();
        }
        last
    }

    #[tokio::test(start_paused = true)]
    async fn rows_wait_for_company_and_keep_their_sequences() {
        let pending = pending();
        assert_eq!(push(&pending, 3).await, 13);
        let (ready, due) = pending.take(LINGER);
        assert!(ready.is_empty() && due.is_some());
        tokio::time::sleep(LINGER).await;
        let (ready, due) = pending.take(LINGER);
        assert!(due.is_none());
        assert_eq!((ready[0].request.first_seq, ready[0].last_seq), (11, 13));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_request_and_a_flush_do_not_wait() {
        let pending = pending();
        push(&pending, ROWS_PER_APPEND_MAX + 1).await;
        let (ready, _) = pending.take(LINGER);
        assert_eq!(ready.len(), 1);
        pending.hurry();
        let (ready, _) = pending.take(LINGER);
        assert_eq!(ready[0].request.first_seq, 11 + ROWS_PER_APPEND_MAX as u64);
    }

    #[tokio::test]
    async fn a_block_goes_behind_the_rows_before_it() {
        let pending = pending();
        push(&pending, 2).await;
        let block = wire::Block { rows: 5, ..wire::Block::default() };
        assert_eq!(pending.push_block(SegmentBlock { segment: 0, block }).await.unwrap(), 17);
        assert_eq!(push(&pending, 1).await, 18);
        let (ready, _) = pending.take(LINGER);
        let first: Vec<u64> = ready.iter().map(|ready| ready.request.first_seq).collect();
        assert_eq!(first, [11, 13]);
    }

    #[tokio::test]
    async fn senders_wait_for_the_budget_and_learn_of_a_failure() {
        let pending = pending();
        pending.reserve(32 << 20).await.unwrap();
        let event = Event::new(b"x");
        let blocked = pending.push_event(&event, 17);
        assert!(tokio::time::timeout(Duration::from_millis(20), blocked).await.is_err());
        pending.acknowledge(5, 17);
        assert_eq!(push(&pending, 1).await, 11);
        pending.fail(Error::invalid("refused"));
        assert_eq!(pending.push_event(&event, 17).await.unwrap_err().to_string(), "refused");
    }
}
