//! Service Reader: one task per subscription, one bounded queue per call. A reader that stops reading stalls only itself.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use ::metrics::counter;
use sluice_proto::gateway::v1::{
    self as wire, end::Why, read_request::Action, read_response::Event, reader_server::Reader,
};
use sluice_schema::ids::{Offset, SegmentId, SegmentNumber, StreamId};
use sluice_txn::protocol::{ErrorReason, Refusal};
use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::convert::{refused, required};
use crate::{
    engine::{Engine, Reading, Step},
    metrics,
};

pub struct Service(pub Arc<Engine>);

/// Answers of one call that may wait for its connection.
const ANSWERS_WAITING: usize = 4;
/// Subscriptions of one call.
const SUBSCRIPTIONS_MAX: usize = 4096;

type Tell = mpsc::Sender<Result<wire::ReadResponse, Status>>;

/// What the reader's requests change and its subscription's task looks at.
struct Control {
    credit: AtomicI64,
    paused: AtomicBool,
    ended: AtomicBool,
    changed: Notify,
}

impl Control {
    fn may_send(&self) -> bool {
        self.credit.load(Ordering::Acquire) > 0 && !self.paused.load(Ordering::Acquire)
    }
    fn add(&self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let _ =
            self.credit.fetch_update(Ordering::AcqRel, Ordering::Acquire, |credit| Some(credit.saturating_add(bytes)));
        self.changed.notify_one();
    }
}

#[tonic::async_trait]
impl Reader for Service {
    type ReadStream = ReceiverStream<Result<wire::ReadResponse, Status>>;

    async fn read(&self, request: Request<Streaming<wire::ReadRequest>>) -> Result<Response<Self::ReadStream>, Status> {
        let (tell, answers) = mpsc::channel(ANSWERS_WAITING);
        let mut call = Call { engine: Arc::clone(&self.0), tell, subscriptions: HashMap::new() };
        let mut requests = request.into_inner();
        tokio::spawn(async move {
            loop {
                let next = tokio::select! {
                    next = requests.message() => next,
                    () = call.tell.closed() => return,
                };
                let done = match next {
                    Ok(Some(request)) => call.apply(request),
                    // The reader said all it wants; what it subscribed to goes on until it hangs up.
                    Ok(None) => {
                        call.tell.closed().await;
                        return;
                    }
                    Err(_) => return,
                };
                if let Err(status) = done {
                    let _ = call.tell.send(Err(status)).await;
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

struct Call {
    engine: Arc<Engine>,
    tell: Tell,
    subscriptions: HashMap<u32, Arc<Control>>,
}

impl Drop for Call {
    fn drop(&mut self) {
        for control in self.subscriptions.values() {
            control.ended.store(true, Ordering::Release);
            control.changed.notify_one();
        }
    }
}

impl Call {
    fn apply(&mut self, request: wire::ReadRequest) -> Result<(), Status> {
        match required(request.action, "action")? {
            Action::Subscribe(subscribe) => self.subscribe(subscribe),
            Action::Credit(credit) => self.with(credit.subscription, |control| control.add(credit.bytes)),
            Action::Pause(pause) => {
                self.with(pause.subscription, |control| control.paused.store(true, Ordering::Release))
            }
            Action::Resume(resume) => self.with(resume.subscription, |control| {
                control.paused.store(false, Ordering::Release);
                control.changed.notify_one();
            }),
            Action::Unsubscribe(unsubscribe) => {
                if let Some(control) = self.subscriptions.remove(&unsubscribe.subscription) {
                    control.ended.store(true, Ordering::Release);
                    control.changed.notify_one();
                }
                Ok(())
            }
        }
    }

    /// A subscription that ended meanwhile is no error.
    fn with(&self, subscription: u32, act: impl FnOnce(&Control)) -> Result<(), Status> {
        if let Some(control) = self.subscriptions.get(&subscription) {
            act(control);
        }
        Ok(())
    }

    fn subscribe(&mut self, wanted: wire::Subscribe) -> Result<(), Status> {
        // A subscription that ended by itself leaves its number free.
        self.subscriptions.retain(|_, control| !control.ended.load(Ordering::Acquire));
        if self.subscriptions.contains_key(&wanted.subscription) {
            return Err(refused(Refusal::bad_request(format!(
                "subscription {} is in use on this call",
                wanted.subscription
            ))));
        }
        if self.subscriptions.len() >= SUBSCRIPTIONS_MAX {
            return Err(refused(Refusal::bad_request(format!("a call has at most {SUBSCRIPTIONS_MAX} subscriptions"))));
        }
        let control = Arc::new(Control {
            credit: AtomicI64::new(i64::try_from(wanted.credit_bytes).unwrap_or(i64::MAX)),
            paused: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            changed: Notify::new(),
        });
        self.subscriptions.insert(wanted.subscription, Arc::clone(&control));
        let subscription = Subscription { engine: Arc::clone(&self.engine), tell: self.tell.clone(), control, wanted };
        tokio::spawn(subscription.run());
        Ok(())
    }
}

struct Subscription {
    engine: Arc<Engine>,
    tell: Tell,
    control: Arc<Control>,
    wanted: wire::Subscribe,
}

impl Subscription {
    async fn run(self) {
        let why = tokio::select! {
            why = self.send_all() => why,
            () = self.tell.closed() => None,
        };
        if let Some((why, message)) = why {
            let end = wire::End { subscription: self.wanted.subscription, why: Some(why), message };
            self.send(Event::End(end)).await;
        }
        self.control.ended.store(true, Ordering::Release);
    }

    async fn send(&self, event: Event) -> bool {
        self.tell.send(Ok(wire::ReadResponse { event: Some(event) })).await.is_ok()
    }

    /// Sends until the subscription is over; answers why, or nothing when nobody listens any more.
    async fn send_all(&self) -> Option<(Why, String)> {
        let segment = SegmentId {
            stream: StreamId::new(self.wanted.stream_id),
            segment: SegmentNumber::new(self.wanted.segment),
        };
        let mut reading =
            match Reading::start(&self.engine, segment, Offset::new(self.wanted.from_offset), &self.wanted.columns) {
                Ok(reading) => reading,
                Err(refusal) => return Some(error(refusal)),
            };
        let mut tail_told = None;
        loop {
            if self.control.ended.load(Ordering::Acquire) {
                return None;
            }
            if self.wanted.end_offset.is_some_and(|end| reading.next_offset().get() >= end) {
                return Some((Why::EndOffset(true), String::new()));
            }
            if !self.control.may_send() {
                self.control.changed.notified().await;
                continue;
            }
            match reading.step(&self.engine).await {
                Err(refusal) => return Some(error(refusal)),
                Ok(Step::Block(block)) => {
                    let bytes = block.block.as_ref().map_or(0, |block| block.data.len());
                    self.control.credit.fetch_sub(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::AcqRel);
                    let rows = block.block.as_ref().map_or(0, |block| block.rows);
                    counter!(metrics::READ_BYTES).increment(bytes as u64);
                    counter!(metrics::READ_EVENTS).increment(u64::from(rows));
                    tail_told = None;
                    if !self.send(Event::Events(wire::Events { subscription: self.wanted.subscription, ..block })).await
                    {
                        return None;
                    }
                }
                Ok(Step::Sealed) => return Some((Why::Sealed(true), String::new())),
                Ok(Step::Tail(next_offset)) => {
                    if tail_told != Some(next_offset) {
                        tail_told = Some(next_offset);
                        let tail = wire::Tail { subscription: self.wanted.subscription, next_offset };
                        if !self.send(Event::Tail(tail)).await {
                            return None;
                        }
                    }
                    tokio::select! {
                        () = reading.changed() => {}
                        () = self.control.changed.notified() => {}
                    }
                }
            }
        }
    }
}

fn error(refusal: Refusal) -> (Why, String) {
    debug_assert_ne!(refusal.reason(), ErrorReason::Unspecified);
    let message = refusal.message.clone();
    (Why::Error(*refusal.detail), message)
}
