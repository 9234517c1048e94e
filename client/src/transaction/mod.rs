//! Transactions: events on many segments and streams that appear together or not at all.

mod prepared;
mod uplink;

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use bytes::Bytes;
use sluice_proto::gateway::v1 as wire;
use sluice_schema::{
    ids::{GroupId, RunNonce, TransactionId},
    limits::BLOCK_BYTES_TARGET,
    names::SinkName,
};
use tonic::transport::Channel;

use crate::{
    blocks::{BlockBuilder, SegmentBlock},
    connection::Client,
    error::{Error, ErrorReason, Result},
    event::Event,
    ids,
    operations::id_bytes,
    streams::Stream,
};
pub use prepared::PreparedTransaction;
use uplink::{Chunk, Uplink};

/// How often an attach that raced another one reads the sink again.
const ATTACH_TRIES: usize = 5;

/// Settings of a [`TransactionalProducer`].
#[derive(Debug, Clone)]
pub struct TransactionOptions {
    /// Size of the blocks that events are collected into, in bytes, per segment. Default 512 KiB, best from 256 KiB to 1 MiB.
    pub block_bytes: usize,
    /// Bytes of blocks a transaction keeps to send them again after a restart of the gateway. Default 64 MiB; at least
    /// twice what the gateway writes between two background syncs (8 MiB by default).
    pub held_bytes: usize,
    /// A transaction that an earlier process prepared: opening makes it the next one to commit.
    pub restored: Option<PreparedTransaction>,
    /// Go on although groups were committed after the restored one (the events they hold may come twice).
    pub accept_duplicates: bool,
}

impl Default for TransactionOptions {
    fn default() -> Self {
        Self { block_bytes: BLOCK_BYTES_TARGET, held_bytes: 64 << 20, restored: None, accept_duplicates: false }
    }
}

/// A committed transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// The commit that made the events visible; 0: the transaction held none.
    pub commit_seq: u64,
    /// Its time in milliseconds since 1970.
    pub commit_time_ms: u64,
    /// Events made visible.
    pub events: u64,
    /// Events of older prepared transactions of the sink that this commit ended for good.
    pub superseded_events: u64,
}

/// Writes transactions under the name of a sink: one after the other, each wholly or not at all.
///
/// Opening fences every older owner of the sink. Transactions commit in the order in which they were prepared; the next
/// one may be filled while the last one is being committed.
#[derive(Debug)]
pub struct TransactionalProducer {
    slot: Arc<Slot>,
    restored: Option<PreparedTransaction>,
}

/// The sink as this producer owns it.
#[derive(Debug)]
struct Slot {
    client: Client,
    data: Channel,
    sink: SinkName,
    subtask: u32,
    epoch: u64,
    incarnation: u64,
    cluster_id: Bytes,
    timeline_id: Bytes,
    options: TransactionOptions,
    chain: Mutex<Chain>,
}

/// Where the next group of the sink is hung.
#[derive(Debug)]
struct Chain {
    last_group: Bytes,
    last_checkpoint: u64,
}

impl Client {
    /// Opens a sink for transactions and fences every older owner; the sink is made on first use.
    pub async fn transactional_producer(
        &self,
        sink: &SinkName,
        options: TransactionOptions,
    ) -> Result<TransactionalProducer> {
        TransactionalProducer::open(self, sink, options).await
    }

    /// Commits a prepared transaction; visible and durable on return. Idempotent for ever.
    ///
    /// Works without a producer, unless the sink was opened anew in between: then hand the transaction to
    /// [`TransactionOptions::restored`] instead.
    pub async fn commit_prepared(&self, prepared: &PreparedTransaction) -> Result<Commit> {
        let Some(group) = &prepared.group else {
            return Ok(Commit { commit_seq: 0, commit_time_ms: 0, events: 0, superseded_events: 0 });
        };
        let request = wire::CommitGroupRequest {
            sink: Some((&prepared.sink).into()),
            group: Some(group.clone()),
            cluster_id: prepared.cluster_id.clone(),
            timeline_id: prepared.timeline_id.clone(),
        };
        let answer = self.call(|| send!(self, transactions_stub.commit_group(request))).await?;
        Ok(Commit {
            commit_seq: answer.commit_seq,
            commit_time_ms: answer.commit_time_ms,
            events: answer.events,
            superseded_events: answer.superseded_events,
        })
    }
}

impl TransactionalProducer {
    async fn open(client: &Client, sink: &SinkName, mut options: TransactionOptions) -> Result<Self> {
        let restored = options.restored.take();
        if let Some(prepared) = restored.as_ref().filter(|prepared| prepared.sink != *sink) {
            return Err(Error::invalid(format!(
                "the restored transaction belongs to sink {}, not to {sink}",
                prepared.sink
            )));
        }
        let run_nonce = RunNonce::new(ids::random()).to_bytes();
        let request = wire::OpenWriterRequest {
            request: client.next_request(),
            sink: Some(sink.into()),
            subtask: 0,
            parallelism: 1,
            run_nonce: run_nonce.clone(),
        };
        let opened = client.call(|| send!(client, transactions_stub.open_writer(request))).await?;
        let (attached, head_checkpoint) =
            attach(client, sink, &run_nonce, restored.as_ref(), options.accept_duplicates).await?;

        let restored = restored.and_then(|prepared| {
            let pending = attached.pending.iter().find(|group| Some(&group.group_id) == prepared.group_id());
            pending.map(|group| PreparedTransaction { group: Some(group.clone()), ..prepared })
        });
        let last = attached.pending.last();
        let chain = Chain {
            last_group: last.map_or(&attached.head_group, |group| &group.group_id).clone(),
            last_checkpoint: last.map_or(head_checkpoint, |group| group.checkpoint),
        };
        let slot = Slot {
            data: client.data_channel(),
            client: client.clone(),
            sink: sink.clone(),
            subtask: 0,
            epoch: opened.writer_epoch,
            incarnation: attached.incarnation,
            cluster_id: Bytes::copy_from_slice(&id_bytes("cluster id", &attached.cluster_id)?),
            timeline_id: Bytes::copy_from_slice(&id_bytes("timeline id", &attached.timeline_id)?),
            options,
            chain: Mutex::new(chain),
        };
        Ok(Self { slot: Arc::new(slot), restored })
    }

    /// The restored transaction, unless it was committed before. It must be committed before any other.
    pub fn take_restored(&mut self) -> Option<PreparedTransaction> {
        self.restored.take()
    }

    /// Starts a transaction. Nothing is sent before the first block is full.
    pub fn begin(&self) -> Transaction {
        Transaction {
            slot: self.slot.clone(),
            builders: Vec::new(),
            uplink: None,
            id: TransactionId::new(ids::random()),
        }
    }

    /// Commits a transaction that this producer prepared or restored; visible and durable on return.
    pub async fn commit(&self, prepared: &PreparedTransaction) -> Result<Commit> {
        self.slot.client.commit_prepared(prepared).await
    }
}

async fn attach(
    client: &Client,
    sink: &SinkName,
    run_nonce: &Bytes,
    restored: Option<&PreparedTransaction>,
    accept_duplicates: bool,
) -> Result<(wire::AttachSinkResponse, u64)> {
    let restored = restored.and_then(|prepared| prepared.group.as_ref().map(|group| (prepared, group)));
    let mut tries = 1;
    loop {
        let stored = client.sink_and_store(sink).await?.sink.unwrap_or_default();
        let request = wire::AttachSinkRequest {
            request: client.next_request(),
            sink: Some(sink.into()),
            run_nonce: run_nonce.clone(),
            parallelism: 1,
            incarnation_read: stored.incarnation,
            restored: restored.is_some(),
            base: restored.map(|(_, group)| group.prev_group.clone()).unwrap_or_default(),
            emitted: restored.map(|(_, group)| group.clone()).into_iter().collect(),
            mode: wire::JobMode::Streaming.into(),
            accept_duplicates,
            timeline_id: restored.map(|(prepared, _)| prepared.timeline_id.clone()).unwrap_or_default(),
            refuse_fresh_start: false,
        };
        match client.call(|| send!(client, transactions_stub.attach_sink(request))).await {
            Err(error) if error.reason() == ErrorReason::AttachRace && tries < ATTACH_TRIES => tries += 1,
            answer => return answer.map(|attached| (attached, stored.head_checkpoint)),
        }
    }
}

/// An open transaction. Its events are visible to nobody until it is committed; dropping it aborts it.
#[derive(Debug)]
pub struct Transaction {
    slot: Arc<Slot>,
    id: TransactionId,
    builders: Vec<BlockBuilder>,
    uplink: Option<Uplink>,
}

impl Transaction {
    /// Its id.
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// Adds an event to a stream of the bytes schema. Waits while too much is under way; not to be dropped midway.
    pub async fn send(&mut self, stream: &Arc<Stream>, event: Event<'_>) -> Result<()> {
        let index = match self.builders.iter().position(|builder| Arc::ptr_eq(builder.stream(), stream)) {
            Some(index) => index,
            None => {
                let index = self.builder(stream);
                self.builders[index].check_takes_events()?;
                index
            }
        };
        match self.builders[index].push(&event)? {
            Some(block) => self.ship(stream.stream_id, block).await,
            None => Ok(()),
        }
    }

    /// Adds the rows of a batch in the stream's schema, in order; each goes to the segment of its routing key.
    pub async fn send_batch(&mut self, stream: &Arc<Stream>, batch: &RecordBatch) -> Result<()> {
        let index = self.builder(stream);
        for block in self.builders[index].push_batch(batch)? {
            self.ship(stream.stream_id, block).await?;
        }
        Ok(())
    }

    /// Makes everything sent durable and freezes it. From then on it waits for its commit, however long that takes.
    ///
    /// Prepared transactions commit in the order in which they were prepared, and only so.
    pub async fn prepare(mut self) -> Result<PreparedTransaction> {
        for mut builder in std::mem::take(&mut self.builders) {
            for block in builder.take_all()? {
                self.ship(builder.stream().stream_id, block).await?;
            }
        }
        let slot = &self.slot;
        let mut prepared = PreparedTransaction {
            sink: slot.sink.clone(),
            cluster_id: slot.cluster_id.clone(),
            timeline_id: slot.timeline_id.clone(),
            group: None,
            events: 0,
            bytes: 0,
        };
        if let Some(uplink) = self.uplink.take() {
            let totals = uplink.prepare().await?;
            (prepared.events, prepared.bytes) = (totals.events, totals.bytes);
            prepared.group = Some(slot.next_group(self.id));
        }
        Ok(prepared)
    }

    /// Prepares and commits; visible and durable on return.
    ///
    /// When it fails with a retriable error, the outcome is not known: prepare and commit apart to be able to ask again.
    pub async fn commit(self) -> Result<Commit> {
        let client = self.slot.client.clone();
        let prepared = self.prepare().await?;
        client.commit_prepared(&prepared).await
    }

    /// Gives the transaction up; none of its events will ever be visible.
    pub async fn abort(mut self) -> Result<()> {
        match self.uplink.take() {
            Some(uplink) => uplink.abort().await,
            None => Ok(()),
        }
    }

    fn builder(&mut self, stream: &Arc<Stream>) -> usize {
        let known = self.builders.iter().position(|builder| builder.stream().stream_id == stream.stream_id);
        known.unwrap_or_else(|| {
            self.builders.push(BlockBuilder::new(stream.clone(), self.slot.options.block_bytes));
            self.builders.len() - 1
        })
    }

    async fn ship(&mut self, stream_id: u64, SegmentBlock { segment, block }: SegmentBlock) -> Result<()> {
        let uplink =
            self.uplink.get_or_insert_with(|| Uplink::start(self.slot.clone(), self.id, self.slot.options.held_bytes));
        uplink.append(Chunk { stream_id, segment, block }).await
    }
}

impl Slot {
    /// A group of one transaction, hung behind the last one.
    fn next_group(&self, id: TransactionId) -> wire::Group {
        let mut chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        let group_id = GroupId::new(ids::random()).to_bytes();
        let prev_group = std::mem::replace(&mut chain.last_group, group_id.clone());
        chain.last_checkpoint += 1;
        wire::Group {
            group_id,
            checkpoint: chain.last_checkpoint,
            prev_group,
            members: vec![id.to_bytes()],
            incarnation: self.incarnation,
        }
    }
}
