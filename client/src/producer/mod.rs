//! Plain appends: each event durable and visible when acknowledged, and applied once however often it is sent.

mod pending;
mod uplink;

use std::{sync::Arc, time::Duration};

use arrow::array::RecordBatch;
use sluice_proto::gateway::v1 as wire;
use sluice_schema::{limits::BLOCK_BYTES_TARGET, limits::EVENT_BYTES_MAX, names::StreamName};
use tokio::sync::{Mutex, watch};

use crate::{
    blocks::BlockBuilder,
    connection::Client,
    error::{Error, ErrorClass, ErrorReason, Result},
    event::Event,
    streams::Stream,
};
use pending::Pending;
pub(crate) use uplink::SharedUplink;

/// Settings of a [`Producer`].
#[derive(Debug, Clone)]
pub struct ProducerOptions {
    /// How long small events wait for company before they are sent. Default 2 ms; above 5 ms is taken as 5 ms.
    pub linger: Duration,
    /// Bytes of events sent and not acknowledged before `send` waits. Default 32 MiB.
    pub unacknowledged_bytes: usize,
    /// Whether the producer shares one connection and one call with all such producers of its [`Client`]: much cheaper for
    /// many producers that send little each. Default false: it has a connection, and so flow control, of its own.
    pub shared_connection: bool,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self { linger: Duration::from_millis(2), unacknowledged_bytes: 32 << 20, shared_connection: false }
    }
}

/// Longest linger.
const LINGER_MAX: Duration = Duration::from_millis(5);

/// Appends to one stream under a writer's name, without transactions. Opening it fences older owners of the name.
///
/// Events have consecutive sequences. After a broken connection or a restart of the gateway what is not acknowledged is
/// sent again with the same sequences, and the gateway drops what it has. After a restart of the *process*
/// [`last_sequence`](Self::last_sequence) says where to go on. Dropping it gives up what is not acknowledged.
#[derive(Debug)]
pub struct Producer {
    stream: Arc<Stream>,
    last_sequence: u64,
    pending: Arc<Pending>,
    /// For batches; held over the hand-over so that blocks keep their order.
    batches: Mutex<BlockBuilder>,
    takes_events: Result<()>,
}

/// An event or batch on its way; wait for it with [`durable`](Self::durable), or drop it and wait for a later one.
#[derive(Debug)]
pub struct Sent {
    sequence: u64,
    progress: watch::Receiver<Progress>,
}

/// How far acknowledgements reach.
#[derive(Debug, Clone, Default)]
struct Progress {
    acknowledged: u64,
    failure: Option<Error>,
}

impl Sent {
    /// Sequence of the (last) event.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Waits until the event is durable and visible. Safe to drop midway.
    pub async fn durable(mut self) -> Result<u64> {
        let sequence = self.sequence;
        let done = |progress: &Progress| progress.acknowledged >= sequence || progress.failure.is_some();
        let closed = || {
            Error::local(
                ErrorClass::Rejected,
                ErrorReason::Unavailable,
                "the producer was dropped before the event was acknowledged",
            )
        };
        let progress = self.progress.wait_for(done).await.map_err(|_| closed())?;
        match &progress.failure {
            Some(error) if progress.acknowledged < sequence => Err(error.clone()),
            _ => Ok(sequence),
        }
    }
}

impl Client {
    /// Opens a writer on a stream; its name follows the rule of stream names.
    pub async fn producer(&self, stream: &StreamName, writer: &str, options: ProducerOptions) -> Result<Producer> {
        let stream = Arc::new(self.stream(stream).await?);
        let request = wire::InitWriterRequest {
            request: self.next_request(),
            stream: Some((&stream.name).into()),
            writer: writer.to_string(),
        };
        let opened = self.call(|| send!(self, writers_stub.init_writer(request))).await?;
        let (progress, _) = watch::channel(Progress { acknowledged: opened.last_seq, failure: None });
        let uplink = match options.shared_connection {
            true => self.shared_uplink().join(|| uplink::start(self.data_channel(), self.stream_backoff())),
            false => uplink::start(self.data_channel(), self.stream_backoff()),
        };
        let pending = Pending::new(opened, &options, progress, uplink);
        let builder = BlockBuilder::new(stream.clone(), BLOCK_BYTES_TARGET);
        let takes_events = builder.check_takes_events();
        Ok(Producer { stream, last_sequence: opened.last_seq, pending, batches: Mutex::new(builder), takes_events })
    }
}

impl Producer {
    /// The stream.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Sequence of the last event applied when the producer was opened; 0: none. The first event sent is the next one.
    pub fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    /// Sends an event of the bytes schema. Returns when it has its place in the order; waits while too much is under way.
    pub async fn send(&self, event: Event<'_>) -> Result<Sent> {
        self.takes_events.clone()?;
        let bytes = event.bytes();
        if bytes > EVENT_BYTES_MAX {
            let text = format!("an event of {bytes} bytes is over the limit of {EVENT_BYTES_MAX}");
            return Err(Error::local(ErrorClass::InvalidArgument, ErrorReason::TooLarge, text));
        }
        let sequence = self.pending.push_event(&event, bytes).await?;
        Ok(self.sent(sequence))
    }

    /// Sends the rows of a batch in the stream's schema, each to the segment of its routing key. Not atomic: parts may
    /// become visible before others. Not to be dropped midway.
    pub async fn send_batch(&self, batch: &RecordBatch) -> Result<Sent> {
        let mut builder = self.batches.lock().await;
        let mut blocks = builder.push_batch(batch)?;
        blocks.extend(builder.take_all()?);
        let mut sequence = self.pending.last_sequence();
        for block in blocks {
            sequence = self.pending.push_block(block).await?;
        }
        Ok(self.sent(sequence))
    }

    /// Waits until everything sent is durable and visible.
    pub async fn flush(&self) -> Result<()> {
        self.pending.hurry();
        self.sent(self.pending.last_sequence()).durable().await.map(drop)
    }

    fn sent(&self, sequence: u64) -> Sent {
        Sent { sequence, progress: self.pending.progress() }
    }
}
