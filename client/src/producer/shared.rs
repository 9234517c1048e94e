//! One append call for many producers.
//!
//! A thousand producers that each send an event now and then would cost a frame and a wake-up per event on both sides. On a
//! call that they share, what they send at about the same time travels together, and so do the answers.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use futures::StreamExt as _;
use sluice_proto::gateway::v1 as wire;
use tokio::sync::mpsc;
use tonic::{Status, transport::Channel};

use super::uplink::{Answer, append_call};
use crate::error::{Error, Result};

/// Requests that are taken from the queue at a time.
const REQUESTS_AT_ONCE: usize = 256;

/// The call that producers of one client share: made when first needed, and again after it ended.
#[derive(Debug)]
pub(crate) struct SharedCall {
    channel: Channel,
    requests: Mutex<Option<mpsc::UnboundedSender<Request>>>,
}

/// A request, and who waits for its answer.
#[derive(Debug)]
struct Request {
    request: wire::AppendEventsRequest,
    answer_to: mpsc::UnboundedSender<Answer>,
}

/// One producer's part in the call.
pub(super) struct Shares {
    requests: mpsc::UnboundedSender<Request>,
    answer_to: mpsc::UnboundedSender<Answer>,
}

impl SharedCall {
    /// Nothing is sent yet.
    pub fn new(channel: Channel) -> Self {
        Self { channel, requests: Mutex::new(None) }
    }

    /// A part in the present call, or in a new one; the answers are those to the part's own requests.
    pub(super) fn join(&self) -> (Shares, mpsc::UnboundedReceiver<Answer>) {
        let mut present = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = match present.as_ref().filter(|requests| !requests.is_closed()) {
            Some(requests) => requests.clone(),
            None => {
                let (requests, queue) = mpsc::unbounded_channel();
                tokio::spawn(run(self.channel.clone(), queue));
                present.insert(requests).clone()
            }
        };
        let (answer_to, answers) = mpsc::unbounded_channel();
        (Shares { requests, answer_to }, answers)
    }
}

impl Shares {
    pub fn send(&self, request: wire::AppendEventsRequest) -> Result<()> {
        let request = Request { request, answer_to: self.answer_to.clone() };
        self.requests.send(request).map_err(|_| Error::transport("the call that producers share has ended"))
    }
}

/// Makes one call and works until it ends or nobody has a part in it any more.
async fn run(channel: Channel, mut queue: mpsc::UnboundedReceiver<Request>) {
    let (outgoing, requests) = mpsc::unbounded_channel();
    let mut answers = Box::pin(append_call(channel, requests));
    // Answers come in the order of the requests.
    let mut waiting = VecDeque::new();
    let mut taken = Vec::with_capacity(REQUESTS_AT_ONCE);
    let ended = loop {
        tokio::select! {
            answer = answers.next() => match answer {
                Some(Ok(answer)) => match waiting.pop_front() {
                    Some(answer_to) => tell(&answer_to, Ok(answer)),
                    None => break Status::internal("the gateway answered without a request"),
                },
                Some(Err(status)) => break status,
                None => break Status::unavailable("the gateway ended the call"),
            },
            count = queue.recv_many(&mut taken, REQUESTS_AT_ONCE) => {
                if count == 0 {
                    return;
                }
                for Request { request, answer_to } in taken.drain(..) {
                    // A closed queue means a broken call, which `answers` reports.
                    let _ = outgoing.send(request);
                    waiting.push_back(answer_to);
                }
            }
        }
    };
    queue.close();
    // Whatever ended the call concerns the first request without an answer. The others had no effect: they are sent again.
    if let Some(first) = waiting.pop_front() {
        tell(&first, Err(ended));
    }
    while let Ok(request) = queue.try_recv() {
        waiting.push_back(request.answer_to);
    }
    for answer_to in waiting {
        tell(&answer_to, Err(Status::unavailable("the call that producers share has ended")));
    }
}

/// A producer that was dropped needs no answer.
fn tell(answer_to: &mpsc::UnboundedSender<Answer>, answer: Answer) {
    let _ = answer_to.send(answer);
}
