//! The way of one transaction's blocks to the gateway.
//!
//! One task per transaction owns the Append call. It keeps every block until the gateway says it is durable, so that
//! after a broken connection or a restart of the gateway it asks how far the transaction got and sends the rest again.
//! A refusal ends the task; a failure of the connection is retried until the client's deadline.

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryFutureExt as _};
use sha2::{Digest as _, Sha256};
use sluice_proto::gateway::v1 as wire;
use sluice_schema::ids::TransactionId;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Response, Status, transport::Channel};

use super::Slot;
use crate::{
    connection::transactions_on,
    error::{Error, ErrorClass, ErrorReason, Result, from_status},
    retry::Backoff,
};

/// Blocks a producer may hand over before it waits.
const QUEUED_BLOCKS: usize = 4;
/// Bytes sent and not answered before the task waits for answers.
const UNANSWERED_BYTES_MAX: usize = 16 << 20;

/// One block on its way.
#[derive(Debug)]
pub(super) struct Chunk {
    pub stream_id: u64,
    pub segment: u32,
    pub block: wire::Block,
}

/// What a prepared transaction holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Totals {
    pub chunks: u64,
    pub events: u64,
    pub bytes: u64,
}

enum Command {
    Append(Chunk),
    Prepare(oneshot::Sender<Totals>),
    Abort(oneshot::Sender<()>),
}

/// The producer's end.
#[derive(Debug)]
pub(super) struct Uplink {
    commands: mpsc::Sender<Command>,
    failure: Arc<OnceLock<Error>>,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Command")
    }
}

impl Uplink {
    /// Starts the task of a new transaction, which begins it at the gateway.
    pub fn start(slot: Arc<Slot>, id: TransactionId, held_bytes_max: usize) -> Self {
        let (commands, received) = mpsc::channel(QUEUED_BLOCKS);
        let failure = Arc::new(OnceLock::new());
        let task = Task::new(slot, id, held_bytes_max);
        tokio::spawn(task.run(received, failure.clone()));
        Self { commands, failure }
    }

    /// Hands over a block; waits while too much is under way.
    pub async fn append(&self, chunk: Chunk) -> Result<()> {
        self.commands.send(Command::Append(chunk)).await.map_err(|_| self.failure())
    }

    /// Prepares the transaction once everything handed over is accepted; durable on return.
    pub async fn prepare(self) -> Result<Totals> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Prepare(reply)).await.map_err(|_| self.failure())?;
        answer.await.map_err(|_| self.failure())
    }

    /// Aborts the transaction.
    pub async fn abort(self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Abort(reply)).await.map_err(|_| self.failure())?;
        answer.await.map_err(|_| self.failure())
    }

    fn failure(&self) -> Error {
        self.failure.get().cloned().unwrap_or_else(|| Error::bug("the transaction's task ended without a reason"))
    }
}

struct Held {
    seq: u64,
    request: wire::AppendChunkRequest,
}

impl Held {
    fn bytes(&self) -> usize {
        self.request.block.as_ref().map_or(0, |block| block.data.len())
    }
}

struct Task {
    slot: Arc<Slot>,
    id: TransactionId,
    channel: Channel,
    backoff: Backoff,
    held: VecDeque<Held>,
    held_bytes: usize,
    held_bytes_max: usize,
    /// Sequences below are answered on the present call, or were accepted before it.
    answered: u64,
    unanswered_bytes: usize,
    totals: Totals,
    digest: Sha256,
    preparing: Option<oneshot::Sender<Totals>>,
}

impl Task {
    fn new(slot: Arc<Slot>, id: TransactionId, held_bytes_max: usize) -> Self {
        Self {
            id,
            channel: slot.data.clone(),
            backoff: slot.client.stream_backoff(),
            slot,
            held: VecDeque::new(),
            held_bytes: 0,
            held_bytes_max,
            answered: 0,
            unanswered_bytes: 0,
            totals: Totals { chunks: 0, events: 0, bytes: 0 },
            digest: Sha256::new(),
            preparing: None,
        }
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>, failure: Arc<OnceLock<Error>>) {
        if let Err(error) = self.work(&mut commands).await {
            tracing::debug!(txn = %self.id, %error, "the transaction failed");
            // Whoever waits finds the reason here, since it is set before the channels close.
            let _ = failure.set(error);
        }
    }

    async fn work(&mut self, commands: &mut mpsc::Receiver<Command>) -> Result<()> {
        self.begin().await?;
        loop {
            let Err(error) = self.connected(commands).await else { return Ok(()) };
            self.backoff.pause_after(error).await?;
            self.resume().await?;
        }
    }

    async fn begin(&self) -> Result<()> {
        let client = &self.slot.client;
        let request = wire::BeginRequest {
            txn_id: self.id.to_bytes(),
            sink: Some((&self.slot.sink).into()),
            subtask: self.slot.subtask,
            writer_epoch: self.slot.epoch,
        };
        client.call(|| send!(client, transactions_stub.begin(request))).await?;
        Ok(())
    }

    /// Works over one Append call until the transaction is prepared or aborted, or the call fails.
    async fn connected(&mut self, commands: &mut mpsc::Receiver<Command>) -> Result<()> {
        let (requests, outgoing) = mpsc::unbounded_channel();
        self.send_again(&requests);
        let mut answers = Box::pin(append_call(self.channel.clone(), outgoing));
        loop {
            if self.preparing.is_some() && self.answered == self.totals.chunks {
                return self.prepare().await;
            }
            let room = self.unanswered_bytes < UNANSWERED_BYTES_MAX
                && (self.held_bytes < self.held_bytes_max || self.answered == self.totals.chunks);
            tokio::select! {
                biased;
                answer = answers.next() => self.on_answer(answer)?,
                command = commands.recv(), if room && self.preparing.is_none() => match command {
                    Some(Command::Append(chunk)) => {
                        let request = self.hold(chunk);
                        // A closed queue means a broken call, which `answers` reports.
                        let _ = requests.send(request);
                    }
                    Some(Command::Prepare(reply)) => self.preparing = Some(reply),
                    Some(Command::Abort(reply)) => {
                        self.slot.client.abort_transaction(self.id).await?;
                        let _ = reply.send(());
                        return Ok(());
                    }
                    // Dropped midway: an open transaction is disposable.
                    None => {
                        self.slot.client.abort_transaction(self.id).await?;
                        return Ok(());
                    }
                },
            }
        }
    }

    fn send_again(&mut self, requests: &mpsc::UnboundedSender<wire::AppendChunkRequest>) {
        let unanswered = self.held.iter().filter(|held| held.seq >= self.answered);
        self.unanswered_bytes = 0;
        for held in unanswered {
            self.unanswered_bytes += held.bytes();
            let _ = requests.send(held.request.clone());
        }
    }

    /// Gives a block its sequence and keeps it until it is durable.
    fn hold(&mut self, chunk: Chunk) -> wire::AppendChunkRequest {
        let seq = self.totals.chunks;
        let block = &chunk.block;
        let length = block.data.len();
        self.digest.update(seq.to_le_bytes());
        self.digest.update(u64::from(block.rows).to_le_bytes());
        self.digest.update((length as u64).to_le_bytes());
        self.digest.update(block.crc32c.to_le_bytes());
        self.totals.chunks += 1;
        self.totals.events += u64::from(block.rows);
        self.totals.bytes += length as u64;
        let request = wire::AppendChunkRequest {
            txn_id: self.id.to_bytes(),
            seq,
            stream_id: chunk.stream_id,
            segment: chunk.segment,
            block: Some(chunk.block),
        };
        self.held.push_back(Held { seq, request: request.clone() });
        self.held_bytes += length;
        self.unanswered_bytes += length;
        request
    }

    fn on_answer(&mut self, answer: Option<std::result::Result<wire::AppendChunkResponse, Status>>) -> Result<()> {
        let answer = match answer {
            Some(Ok(answer)) => answer,
            Some(Err(status)) => return Err(from_status(&status)),
            None => return Err(Error::transport("the gateway ended the call")),
        };
        if answer.seq != self.answered || answer.seq >= self.totals.chunks {
            let text = format!("the gateway answered block {} of transaction {} out of turn", answer.seq, self.id);
            return Err(Error::bug(text));
        }
        self.backoff.progress();
        if let Some(held) = self.held.iter().find(|held| held.seq == answer.seq) {
            self.unanswered_bytes = self.unanswered_bytes.saturating_sub(held.bytes());
        }
        self.answered = answer.seq + 1;
        while self.held.front().is_some_and(|held| held.seq < answer.durable_chunks.min(self.answered)) {
            if let Some(held) = self.held.pop_front() {
                self.held_bytes -= held.bytes();
            }
        }
        Ok(())
    }

    async fn prepare(&mut self) -> Result<()> {
        let request = wire::PrepareRequest {
            txn_id: self.id.to_bytes(),
            chunks: self.totals.chunks,
            events: self.totals.events,
            bytes: self.totals.bytes,
            digest: Bytes::copy_from_slice(&self.digest.clone().finalize()),
        };
        // One try: when it fails, blocks may have to be sent again first.
        self.slot.client.transactions_stub().prepare(request).await.map_err(|status| from_status(&status))?;
        if let Some(reply) = self.preparing.take() {
            let _ = reply.send(self.totals);
        }
        Ok(())
    }

    /// After a failure: finds out how far the transaction got.
    async fn resume(&mut self) -> Result<()> {
        let stored = match self.slot.client.transaction(self.id).await {
            Ok(stored) => stored,
            Err(error) if error.reason() == ErrorReason::UnknownTransaction => {
                self.begin().await?;
                return self.resume_from(0);
            }
            Err(error) => return Err(error),
        };
        match stored.state() {
            wire::TransactionState::Open => self.resume_from(stored.chunks),
            wire::TransactionState::Prepared if self.preparing.is_some() => self.resume_from(self.totals.chunks),
            wire::TransactionState::Aborted => Err(Error::local(
                ErrorClass::Rejected,
                ErrorReason::TransactionAborted,
                format!(
                    "transaction {} was aborted ({}): start a new one with the same events",
                    self.id, stored.abort_reason
                ),
            )),
            state => Err(Error::local(
                ErrorClass::Rejected,
                ErrorReason::TransactionPrepared,
                format!("transaction {} is {} and takes no more events", self.id, state.as_str_name()),
            )),
        }
    }

    fn resume_from(&mut self, accepted: u64) -> Result<()> {
        let first_held = self.held.front().map_or(self.totals.chunks, |held| held.seq);
        if accepted < first_held || accepted > self.totals.chunks {
            let text = format!(
                "the gateway has {accepted} blocks of transaction {}, of which {first_held} were durable and {} sent: \
                 start a new one with the same events",
                self.id, self.totals.chunks
            );
            return Err(Error::local(ErrorClass::Rejected, ErrorReason::TransactionAborted, text));
        }
        tracing::info!(txn = %self.id, accepted, sent = self.totals.chunks, "resuming the transaction");
        self.answered = accepted;
        Ok(())
    }
}

/// The call as a stream of answers, so that it can be polled while blocks are sent.
fn append_call(
    channel: Channel,
    outgoing: mpsc::UnboundedReceiver<wire::AppendChunkRequest>,
) -> impl Stream<Item = std::result::Result<wire::AppendChunkResponse, Status>> {
    let mut stub = transactions_on(&channel);
    async move { stub.append(UnboundedReceiverStream::new(outgoing)).await.map(Response::into_inner) }
        .try_flatten_stream()
}
