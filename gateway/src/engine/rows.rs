//! Small rows of many writers become one block per segment and flush.
//!
//! One task per stream takes everything that waits, encodes it, and hands it to the store as one append; meanwhile the next
//! rows gather. So the longer a sync takes, the more rows share the next.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use sluice_proto::{gateway::v1 as wire, storage::v1 as stored};
use sluice_schema::{
    block::Encoded,
    ids::{SegmentNumber, StreamId},
    keys::{hash_bytes_key, segment_of},
    limits::{ROWS_PER_APPEND_BYTES_MAX, ROWS_PER_APPEND_MAX},
    rows::RowsEncoder,
};
use sluice_segment::{log, store::Wait};
use sluice_txn::{
    ledger::{Draft, Records as _},
    protocol::{BYTES_SCHEMA_ID, ErrorClass, ErrorReason, Refusal, events},
};
use tokio::sync::{mpsc, oneshot};

use super::Engine;

/// Appends that may wait for one stream.
const WAITING: usize = 4096;
/// Bytes of rows that one flush takes.
const FLUSH_BYTES: usize = 4 << 20;

type Told = Result<wire::AppendEventsResponse, Refusal>;

/// Rows of one writer on their way.
struct Waiting {
    share: events::Contribution,
    rows: Vec<wire::Row>,
    tell: oneshot::Sender<Told>,
}

impl Waiting {
    fn bytes(&self) -> usize {
        self.rows.iter().map(|row| row.value.len() + row.key.as_ref().map_or(0, |key| key.len()) + 32).sum()
    }
}

/// The queues of all streams that get small rows.
#[derive(Default)]
pub struct RowQueues {
    queues: Mutex<HashMap<StreamId, mpsc::Sender<Waiting>>>,
}

impl RowQueues {
    /// Queues rows; the receiver answers when they are durable and visible.
    pub async fn append(
        &self,
        engine: &Arc<Engine>,
        stream: StreamId,
        mut share: events::Contribution,
        rows: Vec<wire::Row>,
    ) -> Result<oneshot::Receiver<Told>, Refusal> {
        if rows.is_empty() || rows.len() > ROWS_PER_APPEND_MAX {
            return Err(Refusal::bad_request(format!(
                "an append has 1..={ROWS_PER_APPEND_MAX} rows, not {}",
                rows.len()
            )));
        }
        share.rows = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let (tell, told) = oneshot::channel();
        let waiting = Waiting { share, rows, tell };
        let actual = waiting.bytes();
        if actual > ROWS_PER_APPEND_BYTES_MAX + ROWS_PER_APPEND_MAX * 32 {
            let text = format!(
                "the rows of one append are larger than {ROWS_PER_APPEND_BYTES_MAX} bytes; send fewer at a time"
            );
            let refusal = Refusal::new(ErrorClass::InvalidArgument, ErrorReason::TooLarge, text);
            return Err(refusal.fact("actual", actual).fact("limit", ROWS_PER_APPEND_BYTES_MAX));
        }
        let queue = self.queue(engine, stream)?;
        let stopping = |_| Refusal::new(ErrorClass::Retriable, ErrorReason::Unavailable, "the gateway is stopping");
        queue.send(waiting).await.map_err(stopping)?;
        Ok(told)
    }

    fn queue(&self, engine: &Arc<Engine>, stream: StreamId) -> Result<mpsc::Sender<Waiting>, Refusal> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(&stream).filter(|queue| !queue.is_closed()) {
            return Ok(queue.clone());
        }
        let record = engine.store.stream(stream).map_err(super::unreadable)?;
        let unknown = || {
            Refusal::not_found(
                ErrorReason::UnknownStream,
                format!("stream number {stream} does not exist or was deleted"),
            )
        };
        let record = record.ok_or_else(unknown)?;
        if record.schema_id != BYTES_SCHEMA_ID {
            let text = format!(
                "stream {}/{} has a schema of its own: send Arrow blocks, not small rows",
                record.scope, record.name
            );
            return Err(Refusal::new(ErrorClass::InvalidArgument, ErrorReason::SchemaMismatch, text));
        }
        let (queue, waiting) = mpsc::channel(WAITING);
        let flusher =
            Flusher { engine: Arc::downgrade(engine), stream, segments: record.segments, waiting, unkeyed: 0 };
        tokio::spawn(flusher.run());
        queues.insert(stream, queue.clone());
        Ok(queue)
    }
}

struct Flusher {
    engine: std::sync::Weak<Engine>,
    stream: StreamId,
    segments: u32,
    waiting: mpsc::Receiver<Waiting>,
    /// The segment for rows without a key, in turn.
    unkeyed: u32,
}

impl Flusher {
    async fn run(mut self) {
        let mut all = Vec::new();
        while self.waiting.recv_many(&mut all, WAITING).await > 0 {
            let Some(engine) = self.engine.upgrade() else { return };
            let mut rest = std::mem::take(&mut all).into_iter();
            let mut flush = Vec::new();
            let mut bytes = 0;
            loop {
                let next = rest.next();
                let full = next.as_ref().is_none_or(|next| bytes + next.bytes() > FLUSH_BYTES);
                if full && !flush.is_empty() {
                    self.flush(&engine, std::mem::take(&mut flush)).await;
                    bytes = 0;
                }
                let Some(next) = next else { break };
                bytes += next.bytes();
                flush.push(next);
            }
        }
    }

    /// Writes all shares at once; when one of them cannot be, each by itself, so that it alone is refused.
    async fn flush(&mut self, engine: &Engine, flush: Vec<Waiting>) {
        let together = self.write(engine, &flush, &[]).await;
        match together {
            Ok(answers) => {
                for (waiting, answer) in flush.into_iter().zip(answers) {
                    let _ = waiting.tell.send(Ok(answer));
                }
            }
            Err(_) => {
                for waiting in flush {
                    let answer = self.write_alone(engine, &waiting).await;
                    let _ = waiting.tell.send(answer);
                }
            }
        }
    }

    /// One share, of which a part may be applied already.
    async fn write_alone(&mut self, engine: &Engine, waiting: &Waiting) -> Told {
        let (stream, share) = (self.stream, waiting.share.clone());
        let last_seq = share.first_seq.saturating_add(u64::from(share.rows)).saturating_sub(1);
        // Through the sequencer, so that the answer includes what is not durable yet.
        let standing = engine.store.execute(Vec::new(), Wait::Durable, move |draft: &mut Draft<'_>, _, _| {
            events::standing(draft, stream, &share)
        });
        let skip = match standing.await.map_err(|error| error.into_refusal())? {
            events::Standing::Applied => {
                return Ok(wire::AppendEventsResponse { last_seq, ranges: Vec::new(), duplicate: true });
            }
            events::Standing::Next => 0,
            events::Standing::Overlaps(applied) => applied,
        };
        let alone = std::slice::from_ref(waiting);
        Ok(self.write(engine, alone, &[skip]).await?.pop().unwrap_or_default())
    }

    /// Encodes the rows of all shares, less the first `skips[i]` of each, and appends them; answers one per share.
    async fn write(
        &mut self,
        engine: &Engine,
        flush: &[Waiting],
        skips: &[u32],
    ) -> Result<Vec<wire::AppendEventsResponse>, Refusal> {
        let mut batch = Batch::new(self.segments);
        let mut shares = Vec::with_capacity(flush.len());
        for (index, waiting) in flush.iter().enumerate() {
            let skip = skips.get(index).copied().unwrap_or(0);
            let rows = &waiting.rows[skip as usize..];
            self.unkeyed = (self.unkeyed + 1) % self.segments.max(1);
            batch.add(rows, self.unkeyed)?;
            let mut share = waiting.share.clone();
            share.first_seq += u64::from(skip);
            share.rows -= skip;
            shares.push(share);
        }
        let (blocks, places) = batch.finish()?;
        let bases = append(engine, self.stream, shares, blocks).await?;
        let answer = |waiting: &Waiting, ranges: &Vec<Place>| wire::AppendEventsResponse {
            last_seq: waiting.share.first_seq + u64::from(waiting.share.rows) - 1,
            ranges: ranges.iter().map(|place| place.range(&bases)).collect(),
            duplicate: false,
        };
        Ok(flush.iter().zip(&places).map(|(waiting, ranges)| answer(waiting, ranges)).collect())
    }
}

/// A run of rows of one share in one block.
struct Place {
    block: usize,
    segment: u32,
    first: u32,
    rows: u32,
}

impl Place {
    fn range(&self, bases: &[u64]) -> wire::AppendedRange {
        let base = bases.get(self.block).copied().unwrap_or(0);
        wire::AppendedRange { segment: self.segment, base_offset: base + u64::from(self.first), rows: self.rows }
    }
}

type Blocks = Vec<(SegmentNumber, Encoded)>;

/// Rows by segment.
struct Batch {
    segments: u32,
    encoders: Vec<(u32, RowsEncoder)>,
    /// For each share, where its rows went.
    places: Vec<Vec<Place>>,
}

impl Batch {
    fn new(segments: u32) -> Self {
        Self { segments, encoders: Vec::new(), places: Vec::new() }
    }

    fn add(&mut self, rows: &[wire::Row], unkeyed: u32) -> Result<(), Refusal> {
        let mut places: Vec<Place> = Vec::new();
        for row in rows {
            let segment = match &row.key {
                Some(key) => segment_of(hash_bytes_key(Some(key)), self.segments),
                None => unkeyed,
            };
            let block = match self.encoders.iter().position(|(number, _)| *number == segment) {
                Some(block) => block,
                None => {
                    self.encoders.push((segment, RowsEncoder::new()));
                    self.encoders.len() - 1
                }
            };
            let encoder = &mut self.encoders[block].1;
            let first = encoder.rows();
            encoder.push(row).map_err(super::bad_block)?;
            match places.iter_mut().find(|place| place.block == block && place.first + place.rows == first) {
                Some(place) => place.rows += 1,
                None => places.push(Place { block, segment, first, rows: 1 }),
            }
        }
        self.places.push(places);
        Ok(())
    }

    /// A block for each segment, and for each share where its rows went.
    fn finish(self) -> Result<(Blocks, Vec<Vec<Place>>), Refusal> {
        let mut blocks = Vec::with_capacity(self.encoders.len());
        for (segment, mut encoder) in self.encoders {
            if let Some(encoded) = encoder.finish().map_err(super::bad_block)? {
                blocks.push((SegmentNumber::new(segment), encoded));
            }
        }
        Ok((blocks, self.places))
    }
}

/// Appends encoded blocks; answers their base offsets.
async fn append(
    engine: &Engine,
    stream: StreamId,
    shares: Vec<events::Contribution>,
    blocks: Blocks,
) -> Result<Vec<u64>, Refusal> {
    let mut data = Vec::with_capacity(blocks.len());
    let mut infos = Vec::with_capacity(blocks.len());
    for (segment, encoded) in blocks {
        infos.push((
            segment,
            stored::BlockInfo { at: None, schema_id: BYTES_SCHEMA_ID, rows: encoded.rows, columns: encoded.columns },
        ));
        data.push(log::Block::new(encoded.data));
    }
    let appended = engine.store.execute(data, Wait::Durable, move |draft: &mut Draft<'_>, refs, now| {
        for ((_, info), at) in infos.iter_mut().zip(refs) {
            info.at = Some(*at);
        }
        events::append(draft, stream, &shares, infos, now)
    });
    appended.await.map_err(|error| error.into_refusal())
}
