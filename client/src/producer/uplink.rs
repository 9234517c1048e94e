//! The task that sends what producers collect and keeps it until it is acknowledged.
//!
//! It makes one call, for one producer or for many. A thousand producers that each send an event now and then would otherwise
//! cost a timer, a frame and a wake-up per event: here what they send at about the same time travels together, and so do the
//! answers.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Mutex, PoisonError, Weak},
    time::Duration,
};

use futures::{Stream, StreamExt as _, TryFutureExt as _};
use sluice_proto::gateway::v1 as wire;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Response, Status, transport::Channel};

use super::pending::{Pending, Ready};
use crate::{
    connection::writers_on,
    error::{Error, ErrorClass, ErrorReason, Result, from_status},
    retry::Backoff,
};

/// What is taken from the queue at a time.
const DUE_AT_ONCE: usize = 256;
/// A stream that was deleted under many producers refuses one after the other, each time with all that is held.
const AFTER_REFUSAL: Duration = Duration::from_millis(10);

/// What the gateway says to a request.
type Answer = std::result::Result<wire::AppendEventsResponse, Status>;

/// A producer with something to send, and when that is due.
#[derive(Debug)]
pub(super) struct Due {
    pub pending: Weak<Pending>,
    pub at: Instant,
}

/// Where producers tell what is due; the task ends with the last one of these.
pub(super) type Uplink = mpsc::UnboundedSender<Due>;

/// Starts a task with a call of its own.
pub(super) fn start(channel: Channel, backoff: Backoff) -> Uplink {
    let (uplink, due) = mpsc::unbounded_channel();
    let task =
        Task { channel, backoff, due, taken: Vec::new(), collecting: Collecting::default(), held: VecDeque::new() };
    tokio::spawn(task.run());
    uplink
}

/// The call that producers of one client share: made when first needed, and anew after nobody used it any more.
#[derive(Debug, Default)]
pub(crate) struct SharedUplink(Mutex<Option<mpsc::WeakUnboundedSender<Due>>>);

impl SharedUplink {
    /// The present one, or what `start` begins.
    pub(super) fn join(&self, start: impl FnOnce() -> Uplink) -> Uplink {
        let mut present = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let usable = present.as_ref().and_then(mpsc::WeakUnboundedSender::upgrade).filter(|uplink| !uplink.is_closed());
        usable.unwrap_or_else(|| {
            let uplink = start();
            *present = Some(uplink.downgrade());
            uplink
        })
    }
}

/// Producers whose events wait for company.
#[derive(Debug, Default)]
struct Collecting {
    producers: Vec<Weak<Pending>>,
    until: Option<Instant>,
}

/// Sent and not acknowledged.
struct Held {
    pending: Weak<Pending>,
    ready: Ready,
}

struct Task {
    channel: Channel,
    backoff: Backoff,
    due: mpsc::UnboundedReceiver<Due>,
    /// Taken from the queue and not looked at; empty between two turns.
    taken: Vec<Due>,
    collecting: Collecting,
    /// In the order of the requests, which is that of the answers.
    held: VecDeque<Held>,
}

impl Task {
    /// Sends until no producer is left.
    async fn run(mut self) {
        loop {
            // A call is made only for something to send: a producer without events outlives any outage.
            if self.held.is_empty() && self.collecting.producers.is_empty() && !self.collect().await {
                return;
            }
            let Err(error) = self.connected().await else { return };
            match self.held.front().map(|first| first.pending.clone()) {
                // What ended the call concerns the first request without an answer. The others are sent again: those that had
                // their effect are known by their sequences.
                Some(refused) if !error.is_retryable() => {
                    self.held.retain(|held| !held.pending.ptr_eq(&refused));
                    fail(&refused, &error);
                    sleep(AFTER_REFUSAL).await;
                }
                _ => {
                    if let Err(error) = self.backoff.pause_after(error).await {
                        self.fail_all(&error);
                    }
                }
            }
        }
    }

    /// Works over one call; `Ok` when no producer is left.
    async fn connected(&mut self) -> Result<()> {
        let (outgoing, requests) = mpsc::unbounded_channel();
        let mut answers = pin!(append_call(self.channel.clone(), requests));
        // Nobody waits for what a dropped producer sent.
        self.held.retain(|held| held.pending.strong_count() > 0);
        if self.held.is_empty() {
            // Whatever broke an idle call may be hours ago.
            self.backoff.progress();
        }
        for held in &self.held {
            // A closed queue means a broken call, which `answers` reports.
            let _ = outgoing.send(held.ready.request.clone());
        }
        let mut timer = pin!(sleep_until(Instant::now()));
        loop {
            match self.collecting.until {
                // In every turn: events may come faster than this task runs. And at once, as timers are later by a millisecond.
                Some(until) if until <= Instant::now() => self.send_collected(&outgoing),
                Some(until) if until != timer.deadline() => timer.as_mut().reset(until),
                _ => {}
            }
            tokio::select! {
                biased;
                answer = answers.next() => self.on_answer(answer)?,
                left = self.collect() => if !left {
                    return Ok(());
                },
                () = &mut timer, if self.collecting.until.is_some() => {}
            }
        }
    }

    /// Waits for producers with something to send; false: there are no producers any more.
    async fn collect(&mut self) -> bool {
        // Dropped midway it has taken nothing.
        let some = self.due.recv_many(&mut self.taken, DUE_AT_ONCE).await > 0;
        for Due { pending, at } in self.taken.drain(..) {
            let until = &mut self.collecting.until;
            *until = Some(until.map_or(at, |until| until.min(at)));
            self.collecting.producers.push(pending);
        }
        some
    }

    /// All of it, also what could wait a little longer.
    fn send_collected(&mut self, outgoing: &mpsc::UnboundedSender<wire::AppendEventsRequest>) {
        self.collecting.until = None;
        for producer in self.collecting.producers.drain(..) {
            let Some(pending) = producer.upgrade() else { continue };
            for ready in pending.take() {
                let _ = outgoing.send(ready.request.clone());
                self.held.push_back(Held { pending: producer.clone(), ready });
            }
        }
    }

    fn on_answer(&mut self, answer: Option<Answer>) -> Result<()> {
        let answer = match answer {
            Some(Ok(answer)) => answer,
            Some(Err(status)) => return Err(from_status(&status)),
            None => return Err(Error::transport("the gateway ended the call")),
        };
        match self.held.front() {
            Some(Held { pending, ready }) if ready.last_seq == answer.last_seq => {
                if let Some(pending) = pending.upgrade() {
                    pending.acknowledge(ready.last_seq, ready.bytes);
                }
                self.held.pop_front();
                self.backoff.progress();
                Ok(())
            }
            _ => Err(Error::bug(format!("the gateway acknowledged sequence {} out of turn", answer.last_seq))),
        }
    }

    /// The gateway was gone for too long.
    fn fail_all(&mut self, error: &Error) {
        self.held.drain(..).for_each(|held| fail(&held.pending, error));
        self.collecting.producers.drain(..).for_each(|pending| fail(&pending, error));
        self.collecting.until = None;
        // Other producers may still come: with their own time.
        self.backoff.progress();
    }
}

impl Drop for Task {
    /// Its runtime may end before its producers do: nobody waits in vain.
    fn drop(&mut self) {
        self.due.close();
        while let Ok(due) = self.due.try_recv() {
            self.collecting.producers.push(due.pending);
        }
        self.collecting.producers.extend(self.taken.drain(..).map(|due| due.pending));
        self.fail_all(&ended());
    }
}

/// What a producer learns whose task is gone.
pub(super) fn ended() -> Error {
    let text = "the runtime that sends this producer's events has ended; open the producer again";
    Error::local(ErrorClass::Rejected, ErrorReason::Unavailable, text)
}

/// A producer that was dropped needs no answer.
fn fail(pending: &Weak<Pending>, error: &Error) {
    if let Some(pending) = pending.upgrade() {
        pending.fail(error.clone());
    }
}

/// The call as a stream of answers, so that it can be polled while requests are sent.
fn append_call(
    channel: Channel,
    outgoing: mpsc::UnboundedReceiver<wire::AppendEventsRequest>,
) -> impl Stream<Item = Answer> + Send {
    let mut stub = writers_on(&channel);
    async move { stub.append(UnboundedReceiverStream::new(outgoing)).await.map(Response::into_inner) }
        .try_flatten_stream()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::runtime::Builder;

    use crate::{
        connection::Client,
        error::ErrorReason,
        event::Event,
        producer::{ProducerOptions, Progress, pending::Pending},
    };

    use super::*;

    fn producer(uplink: &Uplink) -> std::sync::Arc<Pending> {
        let writer = wire::InitWriterResponse { stream_id: 1, writer_id: 2, epoch: 3, last_seq: 10 };
        let progress = tokio::sync::watch::channel(Progress::default()).0;
        Pending::new(writer, &ProducerOptions::default(), progress, uplink.clone())
    }

    /// To a gateway that is not there.
    fn uplink() -> Uplink {
        let client = Client::new("http://127.0.0.1:1").unwrap();
        start(client.data_channel(), client.stream_backoff())
    }

    #[tokio::test(start_paused = true)]
    async fn a_producer_without_events_outlives_an_outage_and_has_its_whole_time_afterwards() {
        let uplink = uplink();
        let (idle, busy) = (producer(&uplink), producer(&uplink));
        busy.push_event(&Event::new(b"x"), 1).await.unwrap();
        sleep(Duration::from_secs(5)).await;
        drop(busy);
        sleep(Duration::from_secs(3600)).await;
        assert!(idle.progress().borrow().failure.is_none());
        let began = Instant::now();
        idle.push_event(&Event::new(b"x"), 1).await.unwrap();
        idle.progress().wait_for(|progress| progress.failure.is_some()).await.unwrap();
        assert!(began.elapsed() > Duration::from_secs(20), "gave up after {:?}", began.elapsed());
    }

    #[test]
    fn the_end_of_its_runtime_fails_a_producer() {
        let other = Builder::new_current_thread().enable_all().build().unwrap();
        let pending = other.block_on(async { producer(&uplink()) });
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(pending.push_event(&Event::new(b"x"), 1)).unwrap();
        drop(other);
        let failure = pending.progress().borrow().failure.clone();
        assert_eq!(failure.map(|error| error.reason()), Some(ErrorReason::Unavailable));
        assert!(runtime.block_on(pending.push_event(&Event::new(b"x"), 1)).is_err());
    }
}
