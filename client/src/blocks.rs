//! From rows to blocks: collects rows per segment until a block has a good size.

use std::sync::Arc;

use arrow::{
    array::{Array as _, RecordBatch},
    compute::{cast, concat_batches},
};
use sluice_proto::gateway::v1 as wire;
use sluice_schema::{
    block::{self, BlockError},
    ids::SchemaId,
    keys::{self, KeyRange, hash_bytes_key, segment_of},
    limits::{BLOCK_ROWS_MAX, EVENT_BYTES_MAX},
};

use crate::{
    error::{Error, ErrorClass, ErrorReason, Result},
    event::{Event, EventsBuilder},
    streams::Stream,
};

/// A block and the segment it goes to.
#[derive(Debug)]
pub(crate) struct SegmentBlock {
    pub segment: u32,
    pub block: wire::Block,
}

/// Collects the rows of one stream.
#[derive(Debug)]
pub(crate) struct BlockBuilder {
    stream: Arc<Stream>,
    segments: Vec<SegmentRows>,
    ranges: Vec<KeyRange>,
    block_bytes: usize,
    /// The segment of what has no routing key; moves on with every block.
    turn: u32,
}

#[derive(Debug)]
struct SegmentRows {
    events: EventsBuilder,
    batches: Vec<RecordBatch>,
    batch_bytes: usize,
}

impl BlockBuilder {
    /// Blocks of about `block_bytes` for a stream.
    pub fn new(stream: Arc<Stream>, block_bytes: usize) -> Self {
        let rows =
            || SegmentRows { events: EventsBuilder::new(stream.arrow.clone()), batches: Vec::new(), batch_bytes: 0 };
        let segments = (0..stream.segments).map(|_| rows()).collect();
        let ranges = KeyRange::split_evenly(stream.segments);
        Self { segments, ranges, stream, block_bytes, turn: 0 }
    }

    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Adds an event of the bytes schema; returns a block when one is full.
    pub fn push(&mut self, event: &Event<'_>) -> Result<Option<SegmentBlock>> {
        let bytes = event.bytes();
        if bytes > EVENT_BYTES_MAX {
            return Err(too_large(format!("an event of {bytes} bytes is over the limit of {EVENT_BYTES_MAX}")));
        }
        let segment = match event.key {
            Some(_) if !self.stream.routing_key.is_empty() => {
                segment_of(hash_bytes_key(event.key), self.stream.segments)
            }
            // As in the gateway: nothing keeps events without a key together.
            _ => self.turn,
        };
        let rows = &mut self.segments[segment as usize];
        rows.events.push(event);
        if rows.events.bytes() < self.block_bytes && rows.events.rows() < BLOCK_ROWS_MAX as usize {
            return Ok(None);
        }
        self.take_events(segment)
    }

    /// Whether `push` takes events: the stream has the bytes schema and its routing key is none or `key`.
    pub fn check_takes_events(&self) -> Result<()> {
        let stream = &self.stream;
        if !stream.is_bytes() {
            return Err(Error::invalid(format!("stream {} has typed columns: send it Arrow batches", stream.name)));
        }
        if !matches!(stream.routing_key.as_slice(), [] | [sluice_schema::types::BYTES_KEY]) {
            return Err(Error::invalid(format!(
                "stream {} is not routed by `key`: send it Arrow batches",
                stream.name
            )));
        }
        Ok(())
    }

    /// Adds a batch in the stream's schema; returns the blocks that are full.
    pub fn push_batch(&mut self, batch: &RecordBatch) -> Result<Vec<SegmentBlock>> {
        let batch = self.conform(batch)?;
        let mut full = Vec::new();
        if batch.num_rows() == 0 {
            return Ok(full);
        }
        let parts = match self.stream.routing_key.is_empty() {
            true => vec![(self.turn, batch)],
            false => keys::split(&batch, &self.stream.routing_key, &self.ranges)
                .map_err(|e| Error::invalid(e.to_string()))?,
        };
        for (segment, part) in parts {
            full.extend(self.take_events(segment)?);
            for piece in pieces(part, self.block_bytes)? {
                let rows = &mut self.segments[segment as usize];
                rows.batch_bytes += batch_bytes(&piece)?;
                rows.batches.push(piece);
                if rows.batch_bytes >= self.block_bytes {
                    full.extend(self.take_batches(segment)?);
                }
            }
        }
        Ok(full)
    }

    /// Everything collected.
    pub fn take_all(&mut self) -> Result<Vec<SegmentBlock>> {
        let mut blocks = Vec::new();
        for segment in 0..self.stream.segments {
            blocks.extend(self.take_batches(segment)?);
            blocks.extend(self.take_events(segment)?);
        }
        Ok(blocks)
    }

    fn take_events(&mut self, segment: u32) -> Result<Option<SegmentBlock>> {
        let rows = &mut self.segments[segment as usize];
        if rows.events.rows() == 0 {
            return Ok(None);
        }
        let taken = rows.events.take();
        let batch = taken.map_err(|e| Error::bug(e.to_string()))?;
        self.block(segment, &batch).map(Some)
    }

    fn take_batches(&mut self, segment: u32) -> Result<Option<SegmentBlock>> {
        let rows = &mut self.segments[segment as usize];
        let batches = std::mem::take(&mut rows.batches);
        rows.batch_bytes = 0;
        let batch = match batches.as_slice() {
            [] => return Ok(None),
            [one] => one.clone(),
            many => concat_batches(&self.stream.arrow, many).map_err(|e| Error::invalid(e.to_string()))?,
        };
        self.block(segment, &batch).map(Some)
    }

    fn block(&mut self, segment: u32, batch: &RecordBatch) -> Result<SegmentBlock> {
        let block = encode(&self.stream, batch)?;
        self.turn = (self.turn + 1) % self.stream.segments;
        Ok(SegmentBlock { segment, block })
    }

    /// The batch with the stream's own schema, or the first difference.
    fn conform(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let expected = &self.stream.arrow;
        let mismatch = |what: String| {
            let text = format!("the batch does not fit stream {}: {what}", self.stream.name);
            Error::local(ErrorClass::InvalidArgument, ErrorReason::SchemaMismatch, text)
        };
        if batch.num_columns() != expected.fields().len() {
            return Err(mismatch(format!("{} columns instead of {}", batch.num_columns(), expected.fields().len())));
        }
        let mut columns = Vec::with_capacity(batch.num_columns());
        for ((given, wanted), column) in batch.schema_ref().fields().iter().zip(expected.fields()).zip(batch.columns())
        {
            if given.name() != wanted.name() {
                return Err(mismatch(format!("column `{}` stands where `{}` belongs", given.name(), wanted.name())));
            }
            let (data_type, wanted_type) = (given.data_type(), wanted.data_type());
            columns.push(match data_type.equals_datatype(wanted_type) {
                true if data_type == wanted_type => column.clone(),
                // Names of inner fields and their metadata may differ.
                true => cast(column, wanted_type).map_err(|e| mismatch(e.to_string()))?,
                false => {
                    return Err(mismatch(format!("column `{}` is {data_type} instead of {wanted_type}", given.name())));
                }
            });
        }
        RecordBatch::try_new(expected.clone(), columns).map_err(|e| mismatch(e.to_string()))
    }
}

/// One block of a batch in the stream's schema.
fn encode(stream: &Stream, batch: &RecordBatch) -> Result<wire::Block> {
    let encoded = block::encode(&stream.schema, batch).map_err(|e| match e {
        BlockError::TooLarge { .. } => too_large(e.to_string()),
        _ => Error::local(ErrorClass::InvalidArgument, ErrorReason::BadBlock, e.to_string()),
    })?;
    Ok(encoded.into_wire(SchemaId::new(stream.schema_id)))
}

/// Cuts a batch into runs of rows of about `bytes` each.
fn pieces(batch: RecordBatch, bytes: usize) -> Result<Vec<RecordBatch>> {
    let rows = batch.num_rows();
    let whole = batch_bytes(&batch)?;
    if (whole <= 2 * bytes && rows <= BLOCK_ROWS_MAX as usize) || rows == 1 {
        return Ok(vec![batch]);
    }
    // Halving finds rows that are much larger than the others, too.
    let half = rows / 2;
    let mut cut = pieces(batch.slice(0, half), bytes)?;
    cut.extend(pieces(batch.slice(half, rows - half), bytes)?);
    Ok(cut)
}

fn batch_bytes(batch: &RecordBatch) -> Result<usize> {
    let of_column = |column: &arrow::array::ArrayRef| column.to_data().get_slice_memory_size();
    batch
        .columns()
        .iter()
        .map(of_column)
        .sum::<std::result::Result<usize, _>>()
        .map_err(|e| Error::invalid(e.to_string()))
}

fn too_large(message: String) -> Error {
    Error::local(ErrorClass::InvalidArgument, ErrorReason::TooLarge, message)
}

#[cfg(test)]
mod tests {
    use arrow::{
        array::{ArrayRef, AsArray as _, Int32Array, StringArray},
        datatypes::{DataType as ArrowType, Field as ArrowField, Int32Type, Schema as ArrowSchema},
    };
    use sluice_schema::{
        names::StreamName,
        types::{BYTES_KEY, DataType, Field, Kind, Schema, bytes_schema},
    };

    use super::*;

    fn stream(schema: Schema, schema_id: u64, segments: u32, routing_key: Vec<usize>) -> Arc<Stream> {
        Arc::new(Stream {
            name: StreamName::parse("demo/s").unwrap(),
            stream_id: 1,
            schema_id,
            arrow: schema.to_arrow(),
            schema: Arc::new(schema),
            routing_key,
            segments,
        })
    }

    fn typed(segments: u32, routing_key: Vec<usize>) -> Arc<Stream> {
        let fields = vec![
            Field::new("carrier", DataType::required(Kind::VarChar(2_147_483_647))),
            Field::new("distance", DataType::nullable(Kind::Integer)),
        ];
        stream(Schema::new(fields).unwrap(), 2, segments, routing_key)
    }

    fn flights(rows: usize) -> RecordBatch {
        let carriers = StringArray::from_iter_values((0..rows).map(|row| format!("carrier-{}", row % 50)));
        let distances = Int32Array::from_iter_values(0..rows as i32);
        let columns: Vec<ArrayRef> = vec![Arc::new(carriers), Arc::new(distances)];
        RecordBatch::try_new(typed(1, vec![]).arrow.clone(), columns).unwrap()
    }

    fn rows_of(stream: &Stream, block: &wire::Block) -> RecordBatch {
        sluice_schema::block::decode(&stream.schema, &block.columns, block.rows, block.data.clone()).unwrap()
    }

    #[test]
    fn events_go_to_the_segment_of_their_key_in_order() {
        let stream = stream(bytes_schema(), 1, 3, vec![BYTES_KEY]);
        let mut builder = BlockBuilder::new(stream.clone(), 4096);
        let mut blocks = Vec::new();
        for index in 0..1000u32 {
            let key = format!("key-{}", index % 17);
            blocks.extend(builder.push(&Event::keyed(key.as_bytes(), &index.to_le_bytes())).unwrap());
        }
        blocks.extend(builder.take_all().unwrap());
        assert!(blocks.len() > 6, "{} blocks", blocks.len());
        let mut last_of_key = std::collections::HashMap::new();
        let mut total = 0;
        for SegmentBlock { segment, block } in &blocks {
            let rows = rows_of(&stream, block);
            let (keys, values) = (rows.column(0).as_binary::<i32>(), rows.column(1).as_binary::<i32>());
            for row in 0..rows.num_rows() {
                assert_eq!(segment_of(hash_bytes_key(Some(keys.value(row))), 3), *segment);
                let index = u32::from_le_bytes(values.value(row).try_into().unwrap());
                assert!(last_of_key.insert(keys.value(row).to_vec(), index).is_none_or(|before| before < index));
                total += 1;
            }
        }
        assert_eq!(total, 1000);
        assert!(builder.take_all().unwrap().is_empty());
    }

    #[test]
    fn without_a_key_blocks_take_turns() {
        for routing_key in [vec![], vec![BYTES_KEY]] {
            let mut builder = BlockBuilder::new(stream(bytes_schema(), 1, 2, routing_key), 1000);
            let value = [7; 400];
            let segments: Vec<u32> =
                (0..12).filter_map(|_| builder.push(&Event::new(&value)).unwrap()).map(|block| block.segment).collect();
            assert_eq!(segments, [0, 1, 0, 1]);
        }
    }

    #[test]
    fn batches_are_split_by_key_and_cut_to_size() {
        let stream = typed(4, vec![0]);
        let mut builder = BlockBuilder::new(stream.clone(), 8192);
        let mut blocks = builder.push_batch(&flights(5000)).unwrap();
        blocks.extend(builder.push_batch(&flights(0)).unwrap());
        blocks.extend(builder.take_all().unwrap());
        assert!(blocks.iter().all(|block| block.block.data.len() < 3 * 8192));
        let mut seen: Vec<i32> = Vec::new();
        for SegmentBlock { segment, block } in &blocks {
            let rows = rows_of(&stream, block);
            let hashes = keys::hashes(&rows, &stream.routing_key).unwrap();
            assert!(hashes.iter().all(|hash| segment_of(*hash, 4) == *segment));
            let distances = rows.column(1).as_primitive::<Int32Type>().values().to_vec();
            assert!(distances.is_sorted());
            seen.extend(distances);
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..5000).collect::<Vec<i32>>());
    }

    #[test]
    fn a_batch_unlike_the_stream_is_refused_by_column() {
        let mut builder = BlockBuilder::new(typed(1, vec![]), 8192);
        let fields = vec![
            ArrowField::new("carrier", ArrowType::Utf8, false),
            ArrowField::new("distance", ArrowType::Utf8, true),
        ];
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
        let batch = RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), vec![text.clone(), text]).unwrap();
        let error = builder.push_batch(&batch).unwrap_err();
        assert_eq!(error.reason(), ErrorReason::SchemaMismatch);
        assert_eq!(
            error.to_string(),
            "the batch does not fit stream demo/s: column `distance` is Utf8 instead of Int32"
        );
        assert!(builder.check_takes_events().is_err());
    }

    #[test]
    fn an_event_over_the_limit_is_refused() {
        let mut builder = BlockBuilder::new(stream(bytes_schema(), 1, 1, vec![]), 8192);
        let error = builder.push(&Event::new(&vec![0; EVENT_BYTES_MAX + 1])).unwrap_err();
        assert_eq!(error.reason(), ErrorReason::TooLarge);
    }
}
