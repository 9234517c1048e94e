//! The task that sends a producer's requests and keeps them until they are acknowledged.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
    time::Duration,
};

use futures::{Stream, StreamExt as _, TryFutureExt as _, stream::BoxStream};
use sluice_proto::gateway::v1 as wire;
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Response, Status, transport::Channel};

use super::{
    pending::{Pending, Ready},
    shared::{SharedCall, Shares},
};
use crate::{
    connection::writers_on,
    error::{Error, Result, from_status},
    retry::Backoff,
};

/// How often the task looks whether the producer still exists.
const LIVENESS: Duration = Duration::from_secs(1);

/// What the gateway says to a request.
pub(super) type Answer = std::result::Result<wire::AppendEventsResponse, Status>;

/// How a producer reaches the gateway.
#[derive(Debug)]
pub(super) enum Route {
    /// By a call of its own.
    Own(Channel),
    /// By the call that other producers use, too.
    Shared(Arc<SharedCall>),
}

/// Where requests go.
enum Requests {
    Own(mpsc::UnboundedSender<wire::AppendEventsRequest>),
    Shared(Shares),
}

impl Route {
    fn open(&self) -> (Requests, BoxStream<'static, Answer>) {
        match self {
            Self::Own(channel) => {
                let (requests, outgoing) = mpsc::unbounded_channel();
                (Requests::Own(requests), append_call(channel.clone(), outgoing).boxed())
            }
            Self::Shared(call) => {
                let (shares, answers) = call.join();
                (Requests::Shared(shares), UnboundedReceiverStream::new(answers).boxed())
            }
        }
    }
}

impl Requests {
    fn send(&self, request: wire::AppendEventsRequest) -> Result<()> {
        match self {
            Self::Own(requests) => {
                // A closed queue means a broken call, which its answers report.
                let _ = requests.send(request);
                Ok(())
            }
            Self::Shared(shares) => shares.send(request),
        }
    }
}

/// Sends until the producer is dropped or refused.
pub(super) async fn run(route: Route, backoff: Backoff, pending: Weak<Pending>, linger: Duration) {
    let mut task = Task { route, backoff, held: VecDeque::new(), linger };
    loop {
        let Err(error) = task.connected(&pending).await else { return };
        if let Err(error) = task.backoff.pause_after(error).await {
            if let Some(pending) = pending.upgrade() {
                pending.fail(error);
            }
            return;
        }
    }
}

struct Task {
    route: Route,
    backoff: Backoff,
    /// Sent and not acknowledged, in order.
    held: VecDeque<Ready>,
    linger: Duration,
}

impl Task {
    /// Works over one call; `Ok` when the producer is gone.
    async fn connected(&mut self, pending: &Weak<Pending>) -> Result<()> {
        let (requests, mut answers) = self.route.open();
        for held in &self.held {
            requests.send(held.request.clone())?;
        }
        loop {
            let Some(shared) = pending.upgrade() else { return Ok(()) };
            let (ready, due) = shared.take(self.linger);
            // All of it is held before any of it is sent: what cannot be sent now is sent over the next call.
            let first = self.held.len();
            self.held.extend(ready);
            for ready in self.held.range(first..) {
                requests.send(ready.request.clone())?;
            }
            let wake_at = due.unwrap_or_else(|| Instant::now() + LIVENESS);
            tokio::select! {
                answer = answers.next() => self.on_answer(&shared, answer)?,
                () = shared.wake.notified() => {}
                () = tokio::time::sleep_until(wake_at) => {}
            }
        }
    }

    fn on_answer(&mut self, pending: &Arc<Pending>, answer: Option<Answer>) -> Result<()> {
        let answer = match answer {
            Some(Ok(answer)) => answer,
            Some(Err(status)) => return Err(from_status(&status)),
            None => return Err(Error::transport("the gateway ended the call")),
        };
        match self.held.pop_front() {
            Some(held) if held.last_seq == answer.last_seq => {
                self.backoff.progress();
                pending.acknowledge(held.last_seq, held.bytes);
                Ok(())
            }
            _ => Err(Error::bug(format!("the gateway acknowledged sequence {} out of turn", answer.last_seq))),
        }
    }
}

/// The call as a stream of answers, so that it can be polled while requests are sent.
pub(super) fn append_call(
    channel: Channel,
    outgoing: mpsc::UnboundedReceiver<wire::AppendEventsRequest>,
) -> impl Stream<Item = Answer> + Send {
    let mut stub = writers_on(&channel);
    async move { stub.append(UnboundedReceiverStream::new(outgoing)).await.map(Response::into_inner) }
        .try_flatten_stream()
}
