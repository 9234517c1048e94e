//! A gateway with something in it, its calls as they travel (no client checks or repeats anything), and all that it holds.

use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow::array::{Int32Array, RecordBatch, StringArray};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use sluice_client::{Error, ErrorClass, ErrorReason, error::from_status};
use sluice_proto::gateway::v1::{
    self as wire, append_events_request::Events, reader_client::ReaderClient, reader_groups_client::ReaderGroupsClient,
    scan_client::ScanClient, schemas_client::SchemasClient, streams_client::StreamsClient,
    transactions_client::TransactionsClient, writers_client::WritersClient,
};
use sluice_schema::{
    block,
    ids::SchemaId,
    types::{DataType, Field, Kind, Schema},
};
use tonic::{Status, transport::Channel};
use uuid::Uuid;

use crate::support::Gateway;

/// Larger than the gateway's own limit, so that it is the gateway who refuses.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// A gateway with the typed stream `demo/typed` and the stream of bytes `demo/log`, both with events.
pub struct World {
    pub gateway: Gateway,
    /// `demo/typed`, two segments, (`a` INT NOT NULL, `t` STRING).
    pub typed: wire::StreamInfo,
    /// `demo/log`, one segment.
    pub log: wire::StreamInfo,
    channel: Channel,
    session: Uuid,
    requests: AtomicU64,
}

/// Everything that clients can see.
#[derive(Debug, PartialEq)]
pub struct State {
    streams: Vec<wire::StreamInfo>,
    events: Vec<wire::Events>,
    transactions: Vec<wire::TransactionInfo>,
    sinks: Vec<wire::SinkInfo>,
    groups: Vec<wire::GroupInfo>,
}

impl State {
    /// The rows of the typed stream as readers get them, its segments one after the other.
    pub fn rows(&self, stream: &wire::StreamInfo) -> RecordBatch {
        let schema = schema();
        let blocks = self.events.iter().filter_map(|events| events.block.clone());
        let blocks = blocks.filter(|block| block.schema_id == stream.schema_id);
        let decoded = blocks.map(|sent| block::decode(&schema, &sent.columns, sent.rows, sent.data).unwrap());
        let batches: Vec<RecordBatch> = decoded.collect();
        arrow::compute::concat_batches(&schema.to_arrow(), &batches).unwrap()
    }
}

macro_rules! services {
    ($($name:ident: $client:ident),* $(,)?) => {
        impl World {
            $(pub fn $name(&self) -> $client<Channel> {
                $client::new(self.channel.clone())
                    .max_encoding_message_size(MESSAGE_BYTES_MAX)
                    .max_decoding_message_size(MESSAGE_BYTES_MAX)
            })*
        }
    };
}
services! {
    streams: StreamsClient, schemas: SchemasClient, writers: WritersClient, transactions: TransactionsClient,
    reader: ReaderClient, groups: ReaderGroupsClient, scan: ScanClient,
}

impl World {
    pub async fn new() -> Self {
        Self::over(Gateway::start()).await
    }

    pub async fn over(gateway: Gateway) -> Self {
        let channel = connect(&gateway).await;
        let (session, requests) = (Uuid::new_v4(), AtomicU64::new(0));
        let none = wire::StreamInfo::default;
        let mut world = Self { gateway, typed: none(), log: none(), channel, session, requests };
        let scope = wire::CreateScopeRequest { request: world.request(), scope: "demo".into() };
        world.streams().create_scope(scope).await.unwrap();
        let config = wire::StreamConfig { segments: 2, schema: Some((&schema()).into()), ..Default::default() };
        world.typed = world.create_stream("typed", config).await;
        world.log = world.create_stream("log", wire::StreamConfig::default()).await;
        let writer = world.init_writer("typed", "first").await;
        world.append(writer.block(1, 0, world.block(3))).await.unwrap();
        let writer = world.init_writer("log", "first").await;
        world.append(writer.rows(1, &[b"a", b"b"])).await.unwrap();
        world
    }

    /// Connects again, after the gateway was started again.
    pub async fn reconnect(&mut self) {
        self.channel = connect(&self.gateway).await;
    }

    /// The identity of a new call.
    pub fn request(&self) -> Option<wire::RequestId> {
        let request_seq = self.requests.fetch_add(1, Ordering::Relaxed);
        Some(wire::RequestId { session_id: Bytes::copy_from_slice(self.session.as_bytes()), request_seq })
    }

    pub async fn create_stream(&self, name: &str, config: wire::StreamConfig) -> wire::StreamInfo {
        let body = wire::CreateStreamRequest { request: self.request(), stream: stream(name), config: Some(config) };
        self.streams().create_stream(body).await.unwrap().into_inner().stream.unwrap()
    }

    pub async fn get_stream(&self, name: &str) -> wire::StreamInfo {
        let body = wire::GetStreamRequest { stream: stream(name) };
        self.streams().get_stream(body).await.unwrap().into_inner().stream.unwrap()
    }

    pub async fn seal_stream(&self, name: &str) {
        let body = wire::SealStreamRequest { request: self.request(), stream: stream(name) };
        self.streams().seal_stream(body).await.unwrap();
    }

    pub async fn delete_stream(&self, name: &str) {
        let body = wire::DeleteStreamRequest { request: self.request(), stream: stream(name) };
        self.streams().delete_stream(body).await.unwrap();
    }

    pub async fn init_writer(&self, name: &str, writer: &str) -> wire::InitWriterResponse {
        let body = wire::InitWriterRequest { request: self.request(), stream: stream(name), writer: writer.into() };
        self.writers().init_writer(body).await.unwrap().into_inner()
    }

    /// One append on a call of its own.
    pub async fn append(&self, request: wire::AppendEventsRequest) -> Result<wire::AppendEventsResponse, Status> {
        let mut answers = self.writers().append(tokio_stream::once(request)).await?.into_inner();
        Ok(answers.message().await?.expect("an answer or an error"))
    }

    /// One block of a transaction on a call of its own.
    pub async fn append_chunk(&self, request: wire::AppendChunkRequest) -> Result<wire::AppendChunkResponse, Status> {
        let mut answers = self.transactions().append(tokio_stream::once(request)).await?.into_inner();
        Ok(answers.message().await?.expect("an answer or an error"))
    }

    /// A good block of `demo/typed`.
    pub fn block(&self, rows: i32) -> wire::Block {
        let encoded = block::encode(&schema(), &batch(rows)).unwrap();
        encoded.into_wire(SchemaId::new(self.typed.schema_id))
    }

    /// Opens a slot of a sink.
    pub async fn open_writer(&self, sink: &str) -> u64 {
        let run_nonce = Bytes::copy_from_slice(self.session.as_bytes());
        let (request, sink) = (self.request(), sink_name(sink));
        let body = wire::OpenWriterRequest { request, sink, subtask: 0, parallelism: 1, run_nonce };
        self.transactions().open_writer(body).await.unwrap().into_inner().writer_epoch
    }

    /// Opens a transaction with some good blocks in it.
    pub async fn begin(&self, sink: &str, writer_epoch: u64, blocks: &[wire::Block]) -> Bytes {
        let txn_id = Bytes::copy_from_slice(Uuid::new_v4().as_bytes());
        let body = wire::BeginRequest { txn_id: txn_id.clone(), sink: sink_name(sink), subtask: 0, writer_epoch };
        self.transactions().begin(body).await.unwrap();
        for (seq, block) in (0..).zip(blocks) {
            self.append_chunk(self.chunk(&txn_id, seq, block)).await.unwrap();
        }
        txn_id
    }

    /// A block of a transaction for segment 0 of `demo/typed`.
    pub fn chunk(&self, txn_id: &Bytes, seq: u64, block: &wire::Block) -> wire::AppendChunkRequest {
        let (txn_id, block) = (txn_id.clone(), Some(block.clone()));
        wire::AppendChunkRequest { txn_id, seq, stream_id: self.typed.stream_id, segment: 0, block }
    }

    /// Opens, fills and prepares a transaction.
    pub async fn prepared(&self, sink: &str, writer_epoch: u64) -> Bytes {
        let blocks = [self.block(2)];
        let txn_id = self.begin(sink, writer_epoch, &blocks).await;
        self.transactions().prepare(claim(&txn_id, &blocks)).await.unwrap();
        txn_id
    }

    pub async fn sink(&self, sink: &str) -> wire::GetSinkResponse {
        let body = wire::GetSinkRequest { sink: sink_name(sink) };
        self.transactions().get_sink(body).await.unwrap().into_inner()
    }

    /// Makes a new owner of a sink; answers its incarnation.
    pub async fn attach(&self, sink: &str) -> u64 {
        let body = wire::AttachSinkRequest {
            request: self.request(),
            sink: sink_name(sink),
            run_nonce: Bytes::copy_from_slice(Uuid::new_v4().as_bytes()),
            parallelism: 1,
            incarnation_read: self.sink(sink).await.sink.unwrap().incarnation,
            mode: wire::JobMode::Streaming.into(),
            ..Default::default()
        };
        self.transactions().attach_sink(body).await.unwrap().into_inner().incarnation
    }

    pub async fn commit(&self, body: &wire::CommitGroupRequest) -> Result<wire::CommitGroupResponse, Status> {
        self.transactions().commit_group(body.clone()).await.map(|answer| answer.into_inner())
    }

    pub async fn state(&self) -> State {
        // Readers see durable state only; this call returns when everything accepted before it is durable.
        let scope = wire::CreateScopeRequest { request: self.request(), scope: "demo".into() };
        assert!(!self.streams().create_scope(scope).await.unwrap().into_inner().created);
        let body = wire::ListStreamsRequest { scope: "demo".into() };
        let listed = self.streams().list_streams(body).await.unwrap().into_inner().streams;
        let (mut streams, mut events) = (Vec::new(), Vec::new());
        for listed in listed {
            let info = self.get_stream(&listed.stream.unwrap().name).await;
            for segment in info.segments.iter().filter(|segment| segment.head < segment.next_offset) {
                events.extend(self.read(info.stream_id, segment).await);
            }
            streams.push(info);
        }
        let body = wire::ListTransactionsRequest { states: vec![1, 2, 3, 4], ..Default::default() };
        let mut transactions = self.transactions().list(body).await.unwrap().into_inner().transactions;
        transactions.sort_by(|a, b| a.txn_id.cmp(&b.txn_id));
        let sinks = self.transactions().list_sinks(wire::ListSinksRequest {}).await.unwrap().into_inner().sinks;
        let body = wire::ListGroupsRequest { scope: "demo".into() };
        let groups = self.groups().list_groups(body).await.unwrap().into_inner().groups;
        State { streams, events, transactions, sinks, groups }
    }

    async fn read(&self, stream_id: u64, segment: &wire::SegmentInfo) -> Vec<wire::Events> {
        use wire::{read_request::Action, read_response::Event};
        let subscribe = wire::Subscribe {
            stream_id,
            segment: segment.segment,
            from_offset: segment.head,
            end_offset: Some(segment.next_offset),
            credit_bytes: 1 << 30,
            ..Default::default()
        };
        let request = wire::ReadRequest { action: Some(Action::Subscribe(subscribe)) };
        let mut answers = self.reader().read(tokio_stream::once(request)).await.unwrap().into_inner();
        let mut found = Vec::new();
        loop {
            match answers.message().await.unwrap().unwrap().event.unwrap() {
                Event::Events(events) => found.push(events),
                Event::Tail(_) => {}
                Event::End(end) => {
                    assert!(matches!(end.why, Some(wire::end::Why::EndOffset(true))), "{end:?}");
                    return found;
                }
            }
        }
    }

    /// Nothing changed, nothing panicked, and what is right is still taken.
    pub async fn assert_unchanged(&self, before: &State) {
        assert_eq!(self.state().await, *before);
        let log = self.gateway.log();
        assert!(!log.contains("panicked"), "{log}");
        let stream = self.get_stream("log").await;
        let writer = self.init_writer("log", "last").await;
        self.append(writer.rows(writer.last_seq + 1, &[b"alive"])).await.unwrap();
        let after = self.get_stream("log").await;
        assert_eq!(after.segments[0].next_offset, stream.segments[0].next_offset + 1);
    }
}

async fn connect(gateway: &Gateway) -> Channel {
    Channel::from_shared(gateway.endpoint()).unwrap().connect().await.unwrap()
}

/// Requests of an open writer.
pub trait Appends {
    fn request(&self, first_seq: u64, events: Events) -> wire::AppendEventsRequest;

    fn block(&self, first_seq: u64, segment: u32, block: wire::Block) -> wire::AppendEventsRequest {
        self.request(first_seq, Events::Block(wire::SegmentBlock { segment, block: Some(block) }))
    }

    fn rows(&self, first_seq: u64, values: &[&[u8]]) -> wire::AppendEventsRequest {
        let row = |value: &&[u8]| wire::Row { value: Bytes::copy_from_slice(value), ..Default::default() };
        self.request(first_seq, Events::Rows(wire::Rows { rows: values.iter().map(row).collect() }))
    }
}

impl Appends for wire::InitWriterResponse {
    fn request(&self, first_seq: u64, events: Events) -> wire::AppendEventsRequest {
        let Self { stream_id, writer_id, epoch, .. } = *self;
        wire::AppendEventsRequest { stream_id, writer_id, epoch, first_seq, events: Some(events) }
    }
}

/// The call was refused with this class and reason, as a typed error with one sentence.
pub fn refused<T: Debug>(what: &str, answer: Result<T, Status>, class: ErrorClass, reason: ErrorReason) -> Error {
    let status = answer.map(|answer| panic!("{what}: {answer:?}")).unwrap_err();
    assert!(!status.details().is_empty(), "{what}: no typed error in {status:?}");
    let error = from_status(&status);
    assert_eq!((error.class(), error.reason()), (class, reason), "{what}: {error}");
    let sentence = error.to_string();
    assert!((10..400).contains(&sentence.len()) && sentence.lines().count() == 1, "{what}: {sentence:?}");
    error
}

pub fn stream(name: &str) -> Option<wire::StreamName> {
    Some(wire::StreamName { scope: "demo".into(), name: name.into() })
}

pub fn sink_name(name: &str) -> Option<wire::SinkName> {
    Some(wire::SinkName { scope: "demo".into(), name: name.into() })
}

pub fn group_name(name: &str) -> Option<wire::GroupName> {
    Some(wire::GroupName { scope: "demo".into(), name: name.into() })
}

/// The schema of `demo/typed`.
pub fn schema() -> Schema {
    let text = DataType::nullable(Kind::VarChar(sluice_schema::limits::TYPE_LENGTH_MAX));
    Schema::new(vec![Field::new("a", DataType::required(Kind::Integer)), Field::new("t", text)]).unwrap()
}

/// Rows of `demo/typed`.
pub fn batch(rows: i32) -> RecordBatch {
    let texts = StringArray::from_iter_values((0..rows).map(|row| format!("text {row}")));
    let columns = vec![Arc::new(Int32Array::from_iter_values(0..rows)) as _, Arc::new(texts) as _];
    RecordBatch::try_new(schema().to_arrow(), columns).unwrap()
}

/// What a writer says that it sent in a transaction.
pub fn claim(txn_id: &Bytes, blocks: &[wire::Block]) -> wire::PrepareRequest {
    let mut digest = Sha256::new();
    for (seq, block) in (0u64..).zip(blocks) {
        digest.update(seq.to_le_bytes());
        digest.update(u64::from(block.rows).to_le_bytes());
        digest.update((block.data.len() as u64).to_le_bytes());
        digest.update(block.crc32c.to_le_bytes());
    }
    wire::PrepareRequest {
        txn_id: txn_id.clone(),
        chunks: blocks.len() as u64,
        events: blocks.iter().map(|block| u64::from(block.rows)).sum(),
        bytes: blocks.iter().map(|block| block.data.len() as u64).sum(),
        digest: Bytes::copy_from_slice(&digest.finalize()),
    }
}
