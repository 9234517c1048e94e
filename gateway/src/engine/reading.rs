//! One reader's way through a segment: recent blocks from memory, older ones from the log, the oldest from Parquet.

use std::{collections::VecDeque, pin::Pin, sync::Arc};

use bytes::Bytes;

use sluice_proto::{gateway::v1 as wire, storage::v1 as stored};
use sluice_schema::{
    block,
    ids::{Offset, SchemaId, SegmentId},
    types::Schema,
};
use sluice_segment::{
    env::{ExecutorExt as _, Running},
    log::ReadError as LogReadError,
    parquet::{BatchSizes, ReadBatches, ReadError as ParquetReadError},
    store::SegmentWatch,
    tier,
};
use sluice_txn::{
    ledger::Records as _,
    protocol::{ErrorClass, ErrorReason, Refusal},
};

use tokio::sync::OwnedSemaphorePermit;

use super::{Engine, unreadable};

/// Rows of a file that make one block: as many as fit into about half a MiB.
const PARQUET_SIZES: BatchSizes = BatchSizes { rows_max: 65_536, bytes_max: 512 << 10 };
/// Blocks of the log that are read before they are asked for: enough to keep a disk busy.
const BLOCKS_AHEAD: usize = 8;
/// How often a block may have moved between looking it up and reading it.
const MOVES_MAX: usize = 16;

/// What comes next.
pub enum Step {
    /// Events; `subscription` is the caller's to fill in.
    Block(wire::Events),
    /// Nothing for now: everything below this offset was read.
    Tail(u64),
    /// Nothing ever: the segment is sealed and read to its end.
    Sealed,
}

/// A file that is being read, one batch at a time.
struct OpenFile {
    upcoming: Upcoming,
    schema: Arc<Schema>,
    schema_id: u64,
    /// Where the next batch starts.
    next: u64,
}

/// The next batch of a file.
enum Upcoming {
    /// Decoded when it is asked for.
    Later(ReadBatches),
    /// Decoded while the one before it is on its way, with its share of what all readers may have ahead.
    UnderWay(Running<Decoded>, OwnedSemaphorePermit),
}

/// A batch as a block; none: the file is read to its end.
type Decoded = (ReadBatches, Option<Result<BatchBlock, Unreadable>>);

struct BatchBlock {
    base_offset: u64,
    commit_seq: u64,
    commit_ms: u64,
    block: wire::Block,
}

/// Why a batch of a file cannot be had.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
enum Unreadable {
    Parquet(#[from] ParquetReadError),
    Block(#[from] block::BlockError),
}

/// A block of the log on its way from the disk.
struct Ahead {
    base: u64,
    extent: stored::Extent,
    data: Pin<Box<dyn Future<Output = Result<Bytes, LogReadError>> + Send>>,
    /// Its share of what all readers may have on the way; the block that is needed now comes without.
    _room: Option<OwnedSemaphorePermit>,
}

impl Ahead {
    fn end(&self) -> u64 {
        end_of(self.base, &self.extent)
    }
}

fn end_of(base: u64, extent: &stored::Extent) -> u64 {
    base + extent.block.as_ref().map_or(0, |block| u64::from(block.rows))
}

/// A place in a segment. One reader uses it; it remembers the file it is in.
pub struct Reading {
    segment: SegmentId,
    stream_name: String,
    next: u64,
    columns: Vec<usize>,
    watch: SegmentWatch,
    file: Option<OpenFile>,
    /// Consecutive blocks; the first holds `next`.
    ahead: VecDeque<Ahead>,
    /// The segment's next offset, and whether it is sealed, when last looked at.
    end: u64,
    sealed: bool,
}

impl Reading {
    /// Starts at an offset, which must be within `[head, next_offset]`. `columns`: top-level columns wanted; empty: all.
    pub fn start(engine: &Engine, segment: SegmentId, from: Offset, columns: &[u32]) -> Result<Self, Refusal> {
        let watch = engine.store.watch_segment(segment);
        let (stream, record) =
            engine.store.read(|view| Ok((view.stream(segment.stream)?, view.segment(segment)?))).map_err(unreadable)?;
        let unknown_stream = || {
            Refusal::not_found(
                ErrorReason::UnknownStream,
                format!("stream number {} does not exist or was deleted", segment.stream),
            )
        };
        let stream = stream.ok_or_else(unknown_stream)?;
        let stream_name = format!("{}/{}", stream.scope, stream.name);
        let unknown = || {
            Refusal::not_found(
                ErrorReason::UnknownSegment,
                format!("stream {stream_name} has no segment {}", segment.segment),
            )
        };
        let record = record.ok_or_else(unknown)?;
        if from.get() < record.head {
            let text = format!(
                "offset {from} of stream {stream_name} segment {} was truncated; the first offset left is {}",
                segment.segment, record.head
            );
            return Err(Refusal::new(ErrorClass::Rejected, ErrorReason::Truncated, text).expected(record.head));
        }
        if from.get() > record.next_offset {
            let text = format!(
                "offset {from} of stream {stream_name} segment {} lies beyond its end {}",
                segment.segment, record.next_offset
            );
            return Err(
                Refusal::new(ErrorClass::InvalidArgument, ErrorReason::BeyondEnd, text).expected(record.next_offset)
            );
        }
        let columns = columns.iter().map(|column| *column as usize).collect();
        Ok(Self {
            segment,
            stream_name,
            next: from.get(),
            columns,
            watch,
            file: None,
            ahead: VecDeque::new(),
            end: 0,
            sealed: false,
        })
    }

    /// The next event to read.
    pub fn next_offset(&self) -> Offset {
        Offset::new(self.next)
    }

    /// Waits until the segment changed since the last step. Dropping it midway is harmless.
    pub async fn changed(&mut self) {
        if self.watch.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The next block, or why there is none.
    pub async fn step(&mut self, engine: &Engine) -> Result<Step, Refusal> {
        for _ in 0..MOVES_MAX {
            if self.ahead.len() <= BLOCKS_AHEAD / 2 {
                self.look_ahead(engine)?;
            }
            if let Some(block) = self.ahead.pop_front() {
                match self.next_in_log(block).await? {
                    Some(step) => return Ok(step),
                    None => continue,
                }
            }
            if self.next >= self.end {
                return Ok(if self.sealed { Step::Sealed } else { Step::Tail(self.end) });
            }
            if self.file.as_ref().is_none_or(|file| file.next != self.next)
                && let Some((first, file)) = self.file_of_next(engine)?
            {
                self.open_file(engine, first, file).await?;
            }
            if let Some(step) = self.next_in_file(engine).await? {
                return Ok(step);
            }
        }
        let text = format!(
            "offset {} of stream {} segment {} could not be found",
            self.next, self.stream_name, self.segment.segment
        );
        Err(Refusal::new(ErrorClass::Retriable, ErrorReason::Unavailable, text))
    }

    /// Looks up the blocks of the log that come next, and begins to read them.
    fn look_ahead(&mut self, engine: &Engine) -> Result<(), Refusal> {
        // What comes after this mark will wake `changed` again.
        self.watch.mark_unchanged();
        let wanted = BLOCKS_AHEAD - self.ahead.len();
        let from = self.ahead.back().map(Ahead::end);
        let looked = engine.store.read(|view| {
            let mut found = Vec::new();
            let from = match from {
                Some(from) => from,
                None => match view.extent_at(self.segment, Offset::new(self.next))? {
                    Some((base, extent)) => {
                        let end = end_of(base.get(), &extent);
                        found.push((base, extent));
                        end
                    }
                    None => return Ok((view.segment(self.segment)?, found)),
                },
            };
            let (from, to) = (Offset::new(from), Offset::new(u64::MAX));
            found.extend(view.extents(self.segment, from, to, wanted - found.len())?);
            Ok((view.segment(self.segment)?, found))
        });
        let (record, found) = looked.map_err(unreadable)?;
        let deleted =
            || Refusal::not_found(ErrorReason::UnknownStream, format!("stream {} was deleted", self.stream_name));
        let record = record.ok_or_else(deleted)?;
        (self.end, self.sealed) = (record.next_offset, record.sealed);
        for (base, extent) in found {
            let at = extent.block.as_ref().and_then(|block| block.at).unwrap_or_default();
            let room = engine.read_ahead.clone().try_acquire_many_owned(at.length).ok();
            let follows = self.ahead.back().is_none_or(|last| last.end() == base.get());
            if !follows || (room.is_none() && !self.ahead.is_empty()) {
                break;
            }
            let data = Box::pin(engine.store.block(at.into()));
            self.ahead.push_back(Ahead { base: base.get(), extent, data, _room: room });
        }
        Ok(())
    }

    /// A block of the log; nothing when it moved meanwhile.
    async fn next_in_log(&mut self, next: Ahead) -> Result<Option<Step>, Refusal> {
        self.file = None;
        let Ahead { base, extent, data, .. } = next;
        let data = match data.await {
            Ok(data) => data,
            Err(LogReadError::Gone(_)) => {
                self.ahead.clear();
                return Ok(None);
            }
            Err(error) => return Err(self.damaged(&error)),
        };
        self.next = end_of(base, &extent);
        let block = extent.block.unwrap_or_default();
        let block = wire::Block {
            schema_id: block.schema_id,
            rows: block.rows,
            crc32c: block.at.unwrap_or_default().crc32c,
            columns: block.columns,
            data,
        };
        Ok(Some(Step::Block(wire::Events {
            subscription: 0,
            base_offset: base,
            commit_seq: extent.commit_seq,
            commit_time_ms: extent.commit_ms,
            next_offset: self.end,
            block: Some(block),
        })))
    }

    /// The Parquet file that holds the next event.
    fn file_of_next(&self, engine: &Engine) -> Result<Option<(Offset, stored::ParquetFile)>, Refusal> {
        let at = Offset::new(self.next);
        engine.store.read(|view| view.parquet_file_at(self.segment, at)).map_err(unreadable)
    }

    async fn open_file(&mut self, engine: &Engine, first: Offset, record: stored::ParquetFile) -> Result<(), Refusal> {
        let schema = engine.schemas.get(&engine.store, record.schema_id)?;
        let (from, end, schema_id) = (self.next, record.end, record.schema_id);
        let tier = engine.tier.clone();
        let columns = (!self.columns.is_empty()).then(|| self.columns.clone());
        let segment = self.segment;
        let opened = engine.store.env().executor.run_for(move || {
            let reader = tier.open_file(segment, first, &record)?;
            Ok::<_, tier::Error>(reader.read(from..end, columns.as_deref(), PARQUET_SIZES)?)
        });
        let batches = opened.await.map_err(|lost| self.damaged(&lost))?.map_err(|error| self.damaged(&error))?;
        self.file = Some(OpenFile { upcoming: Upcoming::Later(batches), schema, schema_id, next: from });
        Ok(())
    }

    /// A batch of the open file; nothing when the file is read to its end.
    async fn next_in_file(&mut self, engine: &Engine) -> Result<Option<Step>, Refusal> {
        let Some(OpenFile { upcoming, schema, schema_id, .. }) = self.file.take() else { return Ok(None) };
        let decoding = match upcoming {
            Upcoming::Later(batches) => self.decode(engine, batches, &schema, schema_id),
            Upcoming::UnderWay(decoding, _room) => decoding,
        };
        let (batches, decoded) = decoding.await.map_err(|lost| self.damaged(&lost))?;
        let Some(decoded) = decoded else { return Ok(None) };
        let BatchBlock { base_offset, commit_seq, commit_ms, block } = decoded.map_err(|error| self.damaged(&error))?;
        self.next = base_offset + u64::from(block.rows);
        let upcoming = match engine.read_ahead.clone().try_acquire_many_owned(PARQUET_SIZES.bytes_max as u32) {
            Ok(room) => Upcoming::UnderWay(self.decode(engine, batches, &schema, schema_id), room),
            Err(_) => Upcoming::Later(batches),
        };
        self.file = Some(OpenFile { upcoming, schema, schema_id, next: self.next });
        Ok(Some(Step::Block(wire::Events {
            subscription: 0,
            base_offset,
            commit_seq,
            commit_time_ms: commit_ms,
            next_offset: self.end,
            block: Some(block),
        })))
    }

    /// Begins to decode the next batch of a file.
    fn decode(
        &self,
        engine: &Engine,
        mut batches: ReadBatches,
        schema: &Arc<Schema>,
        schema_id: u64,
    ) -> Running<Decoded> {
        let (schema, columns) = (Arc::clone(schema), self.columns.clone());
        engine.store.env().executor.run_for(move || {
            let decoded = batches.next().map(|batch| {
                let batch = batch?;
                let encoded = encode_batch(&schema, &columns, &batch.rows)?;
                Ok(BatchBlock {
                    base_offset: batch.base_offset,
                    commit_seq: batch.commit_seq,
                    commit_ms: batch.commit_ms,
                    block: encoded.into_wire(SchemaId::new(schema_id)),
                })
            });
            (batches, decoded)
        })
    }

    fn damaged(&self, error: &dyn std::fmt::Display) -> Refusal {
        let text = format!(
            "stream {} segment {} cannot be read at offset {}: {error}",
            self.stream_name, self.segment.segment, self.next
        );
        tracing::error!(stream = self.stream_name, segment = %self.segment.segment, offset = self.next, %error, "stored events are damaged");
        Refusal::new(ErrorClass::Corrupt, ErrorReason::Damaged, text)
            .about(format!("stream {}", self.stream_name))
            .fact("segment", self.segment.segment)
            .fact("offset", self.next)
    }
}

/// A block of the columns that were read.
fn encode_batch(
    schema: &Schema,
    columns: &[usize],
    rows: &arrow::array::RecordBatch,
) -> Result<block::Encoded, block::BlockError> {
    if columns.is_empty() {
        block::encode_unchecked(schema, rows)
    } else {
        block::encode_columns(schema, columns, rows)
    }
}
