//! One reader's way through a segment: recent blocks from memory, older ones from the log, the oldest from Parquet.

use std::sync::Arc;

use sluice_proto::{gateway::v1 as wire, storage::v1 as stored};
use sluice_schema::{
    block,
    ids::{Offset, SchemaId, SegmentId},
    types::Schema,
};
use sluice_segment::{
    env::ExecutorExt as _,
    log::ReadError as LogReadError,
    parquet::{BatchSizes, ReadBatches},
    store::SegmentWatch,
    tier,
};
use sluice_txn::{
    ledger::Records as _,
    protocol::{ErrorClass, ErrorReason, Refusal},
};

use super::{Engine, unreadable};

/// Rows of a file that make one block: as many as fit into about half a MiB.
const PARQUET_SIZES: BatchSizes = BatchSizes { rows_max: 65_536, bytes_max: 512 << 10 };
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
    batches: ReadBatches,
    schema: Arc<Schema>,
    schema_id: u64,
    /// Where the next batch starts.
    next: u64,
}

/// A place in a segment. One reader uses it; it remembers the file it is in.
pub struct Reading {
    segment: SegmentId,
    stream_name: String,
    next: u64,
    columns: Vec<usize>,
    watch: SegmentWatch,
    file: Option<OpenFile>,
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
        Ok(Self { segment, stream_name, next: from.get(), columns, watch, file: None })
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
            // What comes after this mark will wake `changed` again.
            self.watch.mark_unchanged();
            let found = engine
                .store
                .read(|view| {
                    let record = view.segment(self.segment)?;
                    let extent = view.extent_at(self.segment, Offset::new(self.next))?;
                    let file = match (&extent, &self.file) {
                        (None, Some(file)) if file.next == self.next => None,
                        (None, _) => view.parquet_file_at(self.segment, Offset::new(self.next))?,
                        _ => None,
                    };
                    Ok((record, extent, file))
                })
                .map_err(unreadable)?;
            let (record, extent, file) = found;
            let deleted =
                || Refusal::not_found(ErrorReason::UnknownStream, format!("stream {} was deleted", self.stream_name));
            let record = record.ok_or_else(deleted)?;
            if self.next >= record.next_offset {
                return Ok(if record.sealed { Step::Sealed } else { Step::Tail(record.next_offset) });
            }
            if let Some((base, extent)) = extent {
                match self.next_in_log(engine, base, extent, record.next_offset).await? {
                    Some(step) => return Ok(step),
                    None => continue,
                }
            }
            if let Some((first, file)) = file {
                self.open_file(engine, first, file).await?;
            }
            if let Some(step) = self.next_in_file(engine, record.next_offset).await? {
                return Ok(step);
            }
        }
        let text = format!(
            "offset {} of stream {} segment {} could not be found",
            self.next, self.stream_name, self.segment.segment
        );
        Err(Refusal::new(ErrorClass::Retriable, ErrorReason::Unavailable, text))
    }

    /// A block of the log; nothing when it moved meanwhile.
    async fn next_in_log(
        &mut self,
        engine: &Engine,
        base: Offset,
        extent: stored::Extent,
        next_offset: u64,
    ) -> Result<Option<Step>, Refusal> {
        self.file = None;
        let block = extent.block.unwrap_or_default();
        let at = block.at.unwrap_or_default();
        let data = match engine.store.block(at.into()).await {
            Ok(data) => data,
            Err(LogReadError::Gone(_)) => return Ok(None),
            Err(error) => return Err(self.damaged(&error)),
        };
        self.next = base.get() + u64::from(block.rows);
        let block = wire::Block {
            schema_id: block.schema_id,
            rows: block.rows,
            crc32c: at.crc32c,
            columns: block.columns,
            data,
        };
        Ok(Some(Step::Block(wire::Events {
            subscription: 0,
            base_offset: base.get(),
            commit_seq: extent.commit_seq,
            commit_time_ms: extent.commit_ms,
            next_offset,
            block: Some(block),
        })))
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
        self.file = Some(OpenFile { batches, schema, schema_id, next: from });
        Ok(())
    }

    /// A batch of the open file; nothing when the file is read to its end.
    async fn next_in_file(&mut self, engine: &Engine, next_offset: u64) -> Result<Option<Step>, Refusal> {
        let Some(mut file) = self.file.take() else { return Ok(None) };
        let columns = self.columns.clone();
        let read = engine.store.env().executor.run_for(move || {
            let batch = file.batches.next();
            let encoded =
                batch.map(|batch| batch.map(|batch| (encode_batch(&file.schema, &columns, &batch.rows), batch)));
            (file, encoded)
        });
        let (mut file, encoded) = read.await.map_err(|lost| self.damaged(&lost))?;
        let Some(encoded) = encoded else { return Ok(None) };
        let (encoded, batch) = encoded.map_err(|error| self.damaged(&error))?;
        let encoded = encoded.map_err(|error| self.damaged(&error))?;
        self.next = batch.base_offset + u64::from(encoded.rows);
        file.next = self.next;
        let block = encoded.into_wire(SchemaId::new(file.schema_id));
        self.file = Some(file);
        Ok(Some(Step::Block(wire::Events {
            subscription: 0,
            base_offset: batch.base_offset,
            commit_seq: batch.commit_seq,
            commit_time_ms: batch.commit_ms,
            next_offset,
            block: Some(block),
        })))
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
        return block::encode(schema, rows);
    }
    block::encode_columns(schema, columns, rows)
}
