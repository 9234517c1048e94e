//! What was sent by the caller and not yet by the task: small events being collected, and requests that are ready.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use sluice_proto::gateway::v1::{self as wire, append_events_request::Events};
use sluice_schema::limits::{ROWS_PER_APPEND_BYTES_MAX, ROWS_PER_APPEND_MAX};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

use super::{
    LINGER_MAX, ProducerOptions, Progress,
    uplink::{self, Due, Uplink},
};
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
    /// Itself, for the task.
    me: Weak<Self>,
    uplink: Uplink,
    linger: Duration,
    writer: wire::InitWriterResponse,
    queue: Mutex<Queue>,
    /// Bytes that may still be sent without an acknowledgement.
    budget: Semaphore,
    budget_bytes: usize,
    progress: watch::Sender<Progress>,
}

#[derive(Debug)]
struct Queue {
    next_seq: u64,
    rows: Vec<wire::Row>,
    row_bytes: usize,
    ready: VecDeque<Ready>,
}

impl Pending {
    pub fn new(
        writer: wire::InitWriterResponse,
        options: &ProducerOptions,
        progress: watch::Sender<Progress>,
        uplink: Uplink,
    ) -> Arc<Self> {
        let queue = Queue { next_seq: writer.last_seq + 1, rows: Vec::new(), row_bytes: 0, ready: VecDeque::new() };
        let budget_bytes = options.unacknowledged_bytes.clamp(1 << 20, 1 << 30);
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            uplink,
            linger: options.linger.min(LINGER_MAX),
            writer,
            queue: Mutex::new(queue),
            budget: Semaphore::new(budget_bytes),
            budget_bytes,
            progress,
        })
    }

    /// Gives an event its sequence.
    pub async fn push_event(&self, event: &Event<'_>, bytes: usize) -> Result<u64> {
        let bytes = self.reserve(bytes).await?;
        let mut queue = self.open_queue()?;
        let full = queue.rows.len() >= ROWS_PER_APPEND_MAX || queue.row_bytes + bytes > ROWS_PER_APPEND_BYTES_MAX;
        if full {
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
        drop(queue);
        if full {
            self.tell(Duration::ZERO);
        } else if first {
            self.tell(self.linger);
        }
        Ok(sequence)
    }

    /// Gives the rows of a block their sequences and returns the last one.
    pub async fn push_block(&self, block: SegmentBlock) -> Result<u64> {
        let bytes = self.reserve(block.block.data.len()).await?;
        let mut queue = self.open_queue()?;
        self.close_rows(&mut queue);
        let rows = u64::from(block.block.rows);
        let events = Events::Block(wire::SegmentBlock { segment: block.segment, block: Some(block.block) });
        let first_seq = queue.next_seq;
        queue.next_seq += rows;
        let ready = self.ready(first_seq, rows, bytes, events);
        queue.ready.push_back(ready);
        drop(queue);
        self.tell(Duration::ZERO);
        Ok(first_seq + rows - 1)
    }

    /// Sequence of the last event sent.
    pub fn last_sequence(&self) -> u64 {
        self.lock().next_seq - 1
    }

    /// Has the task send collected rows without waiting for company.
    pub fn hurry(&self) {
        self.tell(Duration::ZERO);
    }

    /// For the task: the requests to send now.
    pub fn take(&self) -> VecDeque<Ready> {
        let mut queue = self.lock();
        self.close_rows(&mut queue);
        std::mem::take(&mut queue.ready)
    }

    /// For the task: everything up to `last_seq` is durable.
    pub fn acknowledge(&self, last_seq: u64, bytes: usize) {
        self.budget.add_permits(bytes);
        self.progress.send_modify(|progress| progress.acknowledged = last_seq);
    }

    /// For the task: nothing more will be sent.
    pub fn fail(&self, error: Error) {
        self.progress.send_modify(|progress| {
            progress.failure.get_or_insert(error);
        });
        self.budget.close();
        // The gateway would refuse the rest, too.
        let mut queue = self.lock();
        queue.rows.clear();
        queue.ready.clear();
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
        if rows.is_empty() {
            return;
        }
        let count = rows.len() as u64;
        let ready = self.ready(queue.next_seq - count, count, bytes, Events::Rows(wire::Rows { rows }));
        queue.ready.push_back(ready);
    }

    /// Something is to be sent after this time.
    fn tell(&self, after: Duration) {
        if self.uplink.send(Due { pending: self.me.clone(), at: Instant::now() + after }).is_err() {
            self.fail(uplink::ended());
        }
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

    /// For what is new: nothing more gets a sequence after a failure.
    fn open_queue(&self) -> Result<MutexGuard<'_, Queue>> {
        let queue = self.lock();
        if self.budget.is_closed() { Err(self.failure()) } else { Ok(queue) }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    const LINGER: Duration = Duration::from_millis(2);

    /// With what it tells the task.
    fn pending() -> (Arc<Pending>, mpsc::UnboundedReceiver<Due>) {
        let writer = wire::InitWriterResponse { stream_id: 1, writer_id: 2, epoch: 3, last_seq: 10 };
        let (uplink, told) = mpsc::unbounded_channel();
        let progress = watch::channel(Progress::default()).0;
        (Pending::new(writer, &ProducerOptions::default(), progress, uplink), told)
    }

    async fn push(pending: &Pending, count: usize) -> u64 {
        let mut last = 0;
        for _ in 0..count {
            last = pending.push_event(&Event::new(b"x"), 17).await.unwrap();
        }
        last
    }

    /// After what times something is to be sent.
    fn delays(told: &mut mpsc::UnboundedReceiver<Due>) -> Vec<Duration> {
        std::iter::from_fn(|| told.try_recv().ok()).map(|due| due.at - Instant::now()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn rows_wait_for_company_and_keep_their_sequences() {
        let (pending, mut told) = pending();
        assert_eq!(push(&pending, 3).await, 13);
        assert_eq!(delays(&mut told), [LINGER], "only the first of them tells");
        let ready = pending.take();
        assert_eq!((ready.len(), ready[0].request.first_seq, ready[0].last_seq), (1, 11, 13));
        assert!(pending.take().is_empty());
        push(&pending, 1).await;
        assert_eq!(delays(&mut told), [LINGER]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_request_and_a_flush_do_not_wait() {
        let (pending, mut told) = pending();
        push(&pending, ROWS_PER_APPEND_MAX + 1).await;
        assert_eq!(delays(&mut told), [LINGER, Duration::ZERO]);
        let ready = pending.take();
        let first: Vec<u64> = ready.iter().map(|ready| ready.request.first_seq).collect();
        assert_eq!(first, [11, 11 + ROWS_PER_APPEND_MAX as u64]);
        pending.hurry();
        assert_eq!(delays(&mut told), [Duration::ZERO]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_block_goes_behind_the_rows_before_it() {
        let (pending, mut told) = pending();
        push(&pending, 2).await;
        let block = wire::Block { rows: 5, ..wire::Block::default() };
        assert_eq!(pending.push_block(SegmentBlock { segment: 0, block }).await.unwrap(), 17);
        assert_eq!(push(&pending, 1).await, 18);
        assert_eq!(delays(&mut told), [LINGER, Duration::ZERO, LINGER]);
        let first: Vec<u64> = pending.take().iter().map(|ready| ready.request.first_seq).collect();
        assert_eq!(first, [11, 13, 18]);
    }

    #[tokio::test]
    async fn senders_wait_for_the_budget_and_learn_of_a_failure() {
        let (pending, _told) = pending();
        pending.reserve(32 << 20).await.unwrap();
        let event = Event::new(b"x");
        let blocked = pending.push_event(&event, 17);
        assert!(tokio::time::timeout(Duration::from_millis(20), blocked).await.is_err());
        pending.acknowledge(5, 17);
        assert_eq!(push(&pending, 1).await, 11);
        pending.fail(Error::invalid("refused"));
        assert_eq!(pending.push_event(&event, 17).await.unwrap_err().to_string(), "refused");
        assert!(pending.take().is_empty(), "what was collected is not sent either");
    }
}
