//! The task that sends a producer's requests and keeps them until they are acknowledged.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
    time::Duration,
};

use futures::{Stream, StreamExt as _, TryFutureExt as _};
use sluice_proto::gateway::v1 as wire;
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Response, Status, transport::Channel};

use super::pending::{Pending, Ready};
use crate::{
    connection::{Client, writers_on},
    error::{Error, Result, from_status},
    retry::Backoff,
};

/// How often the task looks whether the producer still exists.
const LIVENESS: Duration = Duration::from_secs(1);

/// Sends until the producer is dropped or refused.
pub(super) async fn run(client: Client, pending: Weak<Pending>, linger: Duration) {
    let mut task =
        Task { channel: client.data_channel(), backoff: client.stream_backoff(), held: VecDeque::new(), linger };
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
    channel: Channel,
    backoff: Backoff,
    /// Sent and not acknowledged, in order.
    held: VecDeque<Ready>,
    linger: Duration,
}

impl Task {
    /// Works over one call; `Ok` when the producer is gone.
    async fn connected(&mut self, pending: &Weak<Pending>) -> Result<()> {
        let (requests, outgoing) = mpsc::unbounded_channel();
        for held in &self.held {
            let _ = requests.send(held.request.clone());
        }
        let mut answers = Box::pin(append_call(self.channel.clone(), outgoing));
        loop {
            let Some(shared) = pending.upgrade() else { return Ok(()) };
            let (ready, due) = shared.take(self.linger);
            for ready in ready {
                // A closed queue means a broken call, which `answers` reports.
                let _ = requests.send(ready.request.clone());
                self.held.push_back(ready);
            }
            let wake_at = due.unwrap_or_else(|| Instant::now() + LIVENESS);
            tokio::select! {
                answer = answers.next() => self.on_answer(&shared, answer)?,
                () = shared.wake.notified() => {}
                () = tokio::time::sleep_until(wake_at) => {}
            }
        }
    }

    fn on_answer(
        &mut self,
        pending: &Arc<Pending>,
        answer: Option<std::result::Result<wire::AppendEventsResponse, Status>>,
    ) -> Result<()> {
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
fn append_call(
    channel: Channel,
    outgoing: mpsc::UnboundedReceiver<wire::AppendEventsRequest>,
) -> impl Stream<Item = std::result::Result<wire::AppendEventsResponse, Status>> {
    let mut stub = writers_on(&channel);
    async move { stub.append(UnboundedReceiverStream::new(outgoing)).await.map(Response::into_inner) }
        .try_flatten_stream()
}
