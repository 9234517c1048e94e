//! Reading committed events.

mod batch;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use arrow::array::RecordBatch;
use sluice_proto::gateway::v1::{self as wire, end::Why, read_request::Action, read_response::Event as Push};
use sluice_schema::{block, names::StreamName};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Streaming, transport::Channel};

use crate::{
    connection::{Client, reader_on},
    error::{Error, ErrorClass, ErrorReason, Result, from_status},
    positions::Positions,
    retry::Backoff,
    streams::{At, Stream},
};
pub use batch::{EventRef, Events, ReadBatch};

/// Where reading starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// A place in the stream, looked up when the reader opens.
    At(At),
    /// These positions; segments not listed start at their earliest event.
    Positions(Positions),
}

/// Where reading ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Never: at the tail the reader waits for more; it ends only when all segments are sealed and read.
    Never,
    /// After everything committed when the reader opened.
    Present,
    /// Before these positions, one entry per stream; segments not listed are read to their present end.
    Positions(Vec<Positions>),
}

/// Settings of a [`Reader`].
#[derive(Debug, Clone)]
pub struct ReaderOptions {
    /// Where reading ends. Default: never.
    pub end: End,
    /// Bytes of blocks the gateway may send ahead, per segment. Default 8 MiB.
    pub credit_bytes: u64,
    /// Names of the top-level columns wanted; empty: all. Others may come, too.
    pub columns: Vec<String>,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self { end: End::Never, credit_bytes: 8 << 20, columns: Vec::new() }
    }
}

impl ReaderOptions {
    /// Read to the present end.
    pub fn bounded() -> Self {
        Self { end: End::Present, ..Self::default() }
    }
}

/// Reads streams: each segment's events in order of their offsets, segments interleaved as they come.
///
/// All segments share one call. When it breaks, the reader goes on from where it was: no event is missed or given twice.
#[derive(Debug)]
pub struct Reader {
    channel: Channel,
    options: ReaderOptions,
    subscriptions: BTreeMap<u32, Subscription>,
    call: Option<Call>,
    backoff: Backoff,
}

/// One segment being read.
#[derive(Debug)]
struct Subscription {
    stream: Arc<Stream>,
    segment: u32,
    next: u64,
    end: Option<u64>,
    /// `next_offset` of the segment as far as known.
    known_end: u64,
    finished: bool,
}

#[derive(Debug)]
struct Call {
    requests: mpsc::UnboundedSender<wire::ReadRequest>,
    pushes: Streaming<wire::ReadResponse>,
}

impl Client {
    /// A reader of one stream.
    pub async fn reader(&self, stream: &StreamName, start: Start, options: ReaderOptions) -> Result<Reader> {
        Reader::open(self, vec![(stream.clone(), start)], options).await
    }
}

impl Reader {
    /// A reader of several streams. Positions of a start or end that name unknown segments are refused.
    pub async fn open(client: &Client, starts: Vec<(StreamName, Start)>, options: ReaderOptions) -> Result<Self> {
        let mut subscriptions = BTreeMap::new();
        for (name, start) in starts {
            let stream = Arc::new(client.stream(&name).await?);
            let chosen = matches!(start, Start::Positions(_));
            let from = starting_positions(client, &stream, start).await?;
            let to = ending_positions(client, &stream, &options.end).await?;
            if let (true, End::Present, Some(to)) = (chosen, &options.end, &to) {
                refuse_beyond(&from, to)?;
            }
            for (segment, next) in from.segments {
                let end = to.as_ref().and_then(|to| to.segments.get(&segment).copied());
                let finished = end.is_some_and(|end| end <= next);
                let subscription =
                    Subscription { stream: stream.clone(), segment, next, end, known_end: next, finished };
                subscriptions.insert(subscriptions.len() as u32, subscription);
            }
        }
        Ok(Self {
            channel: client.data_channel(),
            options,
            subscriptions,
            call: None,
            backoff: client.stream_backoff(),
        })
    }

    /// The next events; `None`: everything up to the end was given. Safe to drop midway.
    pub async fn next(&mut self) -> Result<Option<ReadBatch>> {
        loop {
            if self.subscriptions.values().all(|subscription| subscription.finished) {
                return Ok(None);
            }
            match self.step().await {
                Ok(Some(batch)) => return Ok(Some(batch)),
                Ok(None) => {}
                Err(error) => {
                    self.call = None;
                    self.backoff.pause_after(error).await?;
                }
            }
        }
    }

    /// Where the reader is, one entry per stream: the next events it would give.
    pub fn positions(&self) -> Vec<Positions> {
        let mut by_stream: BTreeMap<StreamName, BTreeMap<u32, u64>> = BTreeMap::new();
        for subscription in self.subscriptions.values() {
            let segments = by_stream.entry(subscription.stream.name.clone()).or_default();
            segments.insert(subscription.segment, subscription.next);
        }
        by_stream.into_iter().map(|(stream, segments)| Positions { stream, segments }).collect()
    }

    /// Events that are committed and not given yet, as far as the gateway has said so far.
    pub fn lag_events(&self) -> u64 {
        self.subscriptions.values().map(|s| s.known_end.saturating_sub(s.next)).sum()
    }

    /// Takes one message of the call; `None`: nothing for the caller in it.
    async fn step(&mut self) -> Result<Option<ReadBatch>> {
        if self.call.is_none() {
            self.call = Some(self.connect().await?);
        }
        let Some(call) = &mut self.call else { return Ok(None) };
        let response = call.pushes.message().await.map_err(|status| from_status(&status))?;
        let response = response.ok_or_else(|| Error::transport("the gateway ended the call"))?;
        self.backoff.progress();
        match response.event {
            Some(Push::Events(events)) => self.on_events(events),
            Some(Push::Tail(tail)) => {
                if let Some(subscription) = self.subscriptions.get_mut(&tail.subscription) {
                    subscription.known_end = subscription.known_end.max(tail.next_offset);
                }
                Ok(None)
            }
            Some(Push::End(end)) => self.on_end(end),
            None => Err(Error::bug("the gateway sent an empty message")),
        }
    }

    async fn connect(&self) -> Result<Call> {
        let (requests, outgoing) = mpsc::unbounded_channel();
        for (&id, subscription) in self.subscriptions.iter().filter(|(_, subscription)| !subscription.finished) {
            let subscribe = wire::Subscribe {
                subscription: id,
                stream_id: subscription.stream.stream_id,
                segment: subscription.segment,
                from_offset: subscription.next,
                end_offset: subscription.end,
                columns: self.wanted_columns(&subscription.stream)?,
                credit_bytes: self.options.credit_bytes,
            };
            let _ = requests.send(wire::ReadRequest { action: Some(Action::Subscribe(subscribe)) });
        }
        let mut stub = reader_on(&self.channel);
        let answer = stub.read(UnboundedReceiverStream::new(outgoing)).await.map_err(|status| from_status(&status))?;
        Ok(Call { requests, pushes: answer.into_inner() })
    }

    fn wanted_columns(&self, stream: &Stream) -> Result<Vec<u32>> {
        let index = |column: &String| {
            let index = stream.schema.index_of(column).map(|index| index as u32);
            index.ok_or_else(|| Error::invalid(format!("stream {} has no column `{column}`", stream.name)))
        };
        let mut columns = self.options.columns.iter().map(index).collect::<Result<Vec<_>>>()?;
        columns.sort_unstable();
        columns.dedup();
        Ok(columns)
    }

    fn on_events(&mut self, events: wire::Events) -> Result<Option<ReadBatch>> {
        let id = events.subscription;
        let Some(subscription) = self.subscriptions.get_mut(&id).filter(|subscription| !subscription.finished) else {
            return Ok(None);
        };
        let block = events.block.ok_or_else(|| Error::bug("the gateway sent events without a block"))?;
        let bytes = block.data.len() as u64;
        if let Some(call) = &self.call {
            let credit = wire::Credit { subscription: id, bytes };
            // A closed queue means a broken call, which the next step reports.
            let _ = call.requests.send(wire::ReadRequest { action: Some(Action::Credit(credit)) });
        }
        let (first, last) = (events.base_offset, events.base_offset + u64::from(block.rows));
        let from = subscription.next.max(first);
        let to = subscription.end.unwrap_or(u64::MAX).min(last);
        if first > subscription.next {
            let text = format!(
                "the gateway sent offset {first} of segment {} of stream {} where {} comes next",
                subscription.segment, subscription.stream.name, subscription.next
            );
            return Err(Error::bug(text));
        }
        subscription.known_end = subscription.known_end.max(events.next_offset);
        if from >= to {
            return Ok(None);
        }
        let stream = subscription.stream.clone();
        let rows = decode(block, &stream).map_err(|why| damaged(&stream, subscription.segment, first, &why))?;
        let rows = rows.slice((from - first) as usize, (to - from) as usize);
        subscription.next = to;
        subscription.finished = subscription.end == Some(to);
        Ok(Some(ReadBatch {
            segment: subscription.segment,
            base_offset: from,
            commit_seq: events.commit_seq,
            commit_time_ms: events.commit_time_ms,
            rows,
            bytes,
            stream,
        }))
    }

    fn on_end(&mut self, end: wire::End) -> Result<Option<ReadBatch>> {
        let Some(subscription) = self.subscriptions.get_mut(&end.subscription) else { return Ok(None) };
        match end.why {
            Some(Why::Error(detail)) => Err(Error::new(detail, end.message)),
            Some(Why::EndOffset(_) | Why::Sealed(_)) => {
                subscription.finished = true;
                Ok(None)
            }
            None => Err(Error::bug("the gateway ended a subscription without a reason")),
        }
    }
}

fn decode(block: wire::Block, stream: &Stream) -> std::result::Result<RecordBatch, String> {
    let computed = crc32c::crc32c(&block.data);
    if computed != block.crc32c {
        return Err(format!("their checksum is {computed:08x} instead of {:08x}", block.crc32c));
    }
    block::decode(&stream.schema, &block.columns, block.rows, block.data).map_err(|e| e.to_string())
}

fn damaged(stream: &Stream, segment: u32, offset: u64, why: &str) -> Error {
    let text = format!("events from offset {offset} of segment {segment} of stream {} are damaged: {why}", stream.name);
    Error::local(ErrorClass::Corrupt, ErrorReason::Damaged, text)
}

async fn starting_positions(client: &Client, stream: &Stream, start: Start) -> Result<Positions> {
    match start {
        Start::At(at) => client.positions(&stream.name, at).await,
        Start::Positions(wanted) => {
            let mut from = client.positions(&stream.name, At::Earliest).await?;
            overlay(&mut from, &wanted)?;
            Ok(from)
        }
    }
}

async fn ending_positions(client: &Client, stream: &Stream, end: &End) -> Result<Option<Positions>> {
    let wanted = match end {
        End::Never => return Ok(None),
        End::Present => None,
        End::Positions(all) => all.iter().find(|positions| positions.stream == stream.name),
    };
    let mut to = client.positions(&stream.name, At::Latest).await?;
    if let Some(wanted) = wanted {
        overlay(&mut to, wanted)?;
    }
    Ok(Some(to))
}

/// Chosen positions behind the present end would give nothing, in silence.
fn refuse_beyond(from: &Positions, end: &Positions) -> Result<()> {
    let beyond = from.segments.iter().find_map(|(segment, offset)| {
        let end = end.segments.get(segment).copied().unwrap_or_default();
        (*offset > end).then_some((segment, offset, end))
    });
    let Some((segment, offset, end)) = beyond else { return Ok(()) };
    let text = format!("segment {segment} of stream {} ends at {end}, offset {offset} lies beyond", from.stream);
    Err(Error::local(ErrorClass::InvalidArgument, ErrorReason::BeyondEnd, text))
}

/// Puts wanted positions over the known ones of every segment.
fn overlay(known: &mut Positions, wanted: &Positions) -> Result<()> {
    let mut segments: HashMap<u32, u64> = wanted.segments.iter().map(|(segment, offset)| (*segment, *offset)).collect();
    for (segment, offset) in &mut known.segments {
        if let Some(wanted) = segments.remove(segment) {
            *offset = wanted;
        }
    }
    match segments.keys().min() {
        Some(unknown) => Err(Error::invalid(format!("stream {} has no segment {unknown}", known.stream))),
        None => Ok(()),
    }
}
