//! Typed reads on top of a view.

use bytes::Bytes;
use prost::Message;
use sluice_proto::storage::v1 as stored;
use sluice_schema::{
    ids::{GroupId, Offset, SegmentId, StreamId, TransactionId},
    names::{SinkName, StreamName},
};

use super::{Direction, Error, Result, View};
use crate::key::{Key, KeySpan};

/// Decodes a record; `raw` names it in the error.
fn decode<M: Message + Default>(raw: &[u8], value: &Bytes) -> Result<M> {
    M::decode(value.clone()).map_err(|error| Error::Damaged {
        key: Key::decode(raw).map_or_else(|| format!("{raw:02x?}"), |key| format!("{key:?}")),
        message: error.to_string(),
    })
}

/// Typed reads; every view has them.
pub trait Records: View {
    /// The record of a key.
    fn record<M: Message + Default>(&self, key: &Key) -> Result<Option<M>> {
        let raw = key.encode();
        self.get(&raw)?.map(|value| decode(&raw, &value)).transpose()
    }

    /// All records of a span, in order, at most `limit`.
    fn records<M: Message + Default>(
        &self,
        span: &KeySpan,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Key, M)>> {
        let mut found = Vec::new();
        let mut failed = None;
        if limit == 0 {
            return Ok(found);
        }
        self.scan(span, direction, &mut |raw, value| {
            let entry = decode(raw, value).and_then(|record| {
                let key = Key::decode(raw).ok_or_else(|| Error::Damaged {
                    key: format!("{raw:02x?}"),
                    message: "not a key of this version".into(),
                })?;
                Ok((key, record))
            });
            match entry {
                Ok(entry) => found.push(entry),
                Err(error) => failed = Some(error),
            }
            failed.is_none() && found.len() < limit
        })?;
        failed.map_or(Ok(found), Err)
    }

    /// The cluster record; every store has one.
    fn cluster(&self) -> Result<stored::Cluster> {
        self.record(&Key::Cluster)?
            .ok_or_else(|| Error::Damaged { key: "Cluster".into(), message: "it is missing".into() })
    }
    /// A stream by its name.
    fn stream_by_name(&self, name: &StreamName) -> Result<Option<(StreamId, stored::Stream)>> {
        let Some(found) = self.record::<stored::StreamRef>(&Key::StreamByName(name.clone()))? else { return Ok(None) };
        let id = StreamId::new(found.stream_id);
        Ok(self.stream(id)?.map(|stream| (id, stream)))
    }
    /// A stream by its number.
    fn stream(&self, id: StreamId) -> Result<Option<stored::Stream>> {
        self.record(&Key::Stream(id))
    }
    /// A segment.
    fn segment(&self, id: SegmentId) -> Result<Option<stored::Segment>> {
        self.record(&Key::Segment(id))
    }
    /// The segments of a stream, ascending.
    fn segments(&self, stream: StreamId) -> Result<Vec<(SegmentId, stored::Segment)>> {
        let found = self.records(&KeySpan::segments_of(stream), Direction::Ascending, usize::MAX)?;
        Ok(found
            .into_iter()
            .filter_map(|(key, record)| match key {
                Key::Segment(id) => Some((id, record)),
                _ => None,
            })
            .collect())
    }
    /// The extents of a segment with a base in `[from, to)`, ascending, at most `limit`.
    fn extents(
        &self,
        segment: SegmentId,
        from: Offset,
        to: Offset,
        limit: usize,
    ) -> Result<Vec<(Offset, stored::Extent)>> {
        let found = self.records(&KeySpan::extents(segment, from, to), Direction::Ascending, limit)?;
        Ok(found
            .into_iter()
            .filter_map(|(key, record)| match key {
                Key::Extent(_, base) => Some((base, record)),
                _ => None,
            })
            .collect())
    }
    /// The extent that holds an offset, if it is in the log.
    fn extent_at(&self, segment: SegmentId, offset: Offset) -> Result<Option<(Offset, stored::Extent)>> {
        let span = KeySpan::extents(segment, Offset::new(0), Offset::new(offset.get().saturating_add(1)));
        let found = self.records::<stored::Extent>(&span, Direction::Descending, 1)?;
        Ok(found.into_iter().find_map(|(key, extent)| match key {
            Key::Extent(_, base) => {
                let rows = extent.block.as_ref().map_or(0, |block| u64::from(block.rows));
                (offset.get() < base.get() + rows).then_some((base, extent))
            }
            _ => None,
        }))
    }
    /// The Parquet file that holds an offset.
    fn parquet_file_at(&self, segment: SegmentId, offset: Offset) -> Result<Option<(Offset, stored::ParquetFile)>> {
        let span = KeySpan::parquet_files(segment, Offset::new(0), Offset::new(offset.get().saturating_add(1)));
        let found = self.records::<stored::ParquetFile>(&span, Direction::Descending, 1)?;
        Ok(found.into_iter().find_map(|(key, file)| match key {
            Key::ParquetFile(_, first) => (offset.get() < file.end).then_some((first, file)),
            _ => None,
        }))
    }
    /// The Parquet files of a segment, ascending.
    fn parquet_files(&self, segment: SegmentId) -> Result<Vec<(Offset, stored::ParquetFile)>> {
        let span = KeySpan::parquet_files(segment, Offset::new(0), Offset::new(u64::MAX));
        let found = self.records(&span, Direction::Ascending, usize::MAX)?;
        Ok(found
            .into_iter()
            .filter_map(|(key, record)| match key {
                Key::ParquetFile(_, first) => Some((first, record)),
                _ => None,
            })
            .collect())
    }
    /// A sink.
    fn sink(&self, name: &SinkName) -> Result<Option<stored::Sink>> {
        self.record(&Key::Sink(name.clone()))
    }
    /// A slot of a sink.
    fn slot(&self, sink: &SinkName, subtask: u32) -> Result<Option<stored::Slot>> {
        self.record(&Key::Slot(sink.clone(), subtask))
    }
    /// A transaction.
    fn transaction(&self, id: TransactionId) -> Result<Option<stored::Transaction>> {
        self.record(&Key::Transaction(id))
    }
    /// The blocks of a transaction that is not committed, by seq.
    fn chunks(&self, id: TransactionId) -> Result<Vec<stored::Chunk>> {
        let found = self.records(&KeySpan::chunks_of(id), Direction::Ascending, usize::MAX)?;
        Ok(found.into_iter().map(|(_, record)| record).collect())
    }
    /// A committed group.
    fn group(&self, id: GroupId) -> Result<Option<stored::Group>> {
        self.record(&Key::Group(id))
    }
    /// The OPEN and PREPARED transactions of a span of `KeySpan::active*`.
    fn active(&self, span: &KeySpan) -> Result<Vec<(SinkName, TransactionId)>> {
        let found = self.records::<stored::ActiveTransaction>(span, Direction::Ascending, usize::MAX)?;
        Ok(found
            .into_iter()
            .filter_map(|(key, _)| match key {
                Key::ActiveTransaction(sink, _, id) => Some((sink, id)),
                _ => None,
            })
            .collect())
    }
}

impl<V: View + ?Sized> Records for V {}
