//! The keys of the ledger.
//!
//! A key is one ordinal byte followed by its parts: numbers big endian, 128-bit ids raw, names closed by a zero byte (names
//! never hold one). So keys sort by kind, then by parts, and a prefix is a range. Ordinals are frozen: never reuse one.

use sluice_schema::{
    ids::{GroupId, Offset, SegmentId, SegmentNumber, StreamId, TransactionId, WriterId},
    names::{Name, SinkName, StreamName},
};
use uuid::Uuid;

/// An encoded key.
pub type RawKey = Vec<u8>;

/// A key of the ledger; the doc of each variant names the record of `storage.v1` that is its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// `Cluster`: one per store.
    Cluster,
    /// `Scope`.
    Scope(Name),
    /// `Schema`, by its number.
    Schema(u64),
    /// `StreamRef`.
    StreamByName(StreamName),
    /// `Stream`.
    Stream(StreamId),
    /// `Segment`.
    Segment(SegmentId),
    /// `Extent`: committed events from this offset on that are not in Parquet yet.
    Extent(SegmentId, Offset),
    /// `Sink`.
    Sink(SinkName),
    /// `Slot`: one subtask of a sink.
    Slot(SinkName, u32),
    /// `Transaction`.
    Transaction(TransactionId),
    /// `ActiveTransaction`: present while the transaction of this slot is OPEN or PREPARED.
    ActiveTransaction(SinkName, u32, TransactionId),
    /// `Chunk`: a block of a transaction that is not committed.
    Chunk(TransactionId, u64),
    /// `Group`: a committed group.
    Group(GroupId),
    /// `Writer`, only its number.
    WriterByName(StreamId, Name),
    /// `Writer`.
    Writer(StreamId, WriterId),
    /// `Request`: the answer of a control call, by session and sequence.
    Request(Uuid, u64),
    /// `ReaderGroup`.
    ReaderGroup(Name, Name),
    /// `ReaderGroupCheckpoint`, by group, time and id.
    ReaderGroupCheckpoint(Name, Name, u64, u64),
    /// `ParquetFile`, by its first offset.
    ParquetFile(SegmentId, Offset),
    /// `UploadIntent`, by its first offset.
    UploadIntent(SegmentId, Offset),
    /// `SinkRun`: present once a group of this run is committed.
    SinkRun(SinkName, Uuid),
}

const CLUSTER: u8 = 1;
const SCOPE: u8 = 2;
const SCHEMA: u8 = 3;
const STREAM_BY_NAME: u8 = 4;
const STREAM: u8 = 5;
const SEGMENT: u8 = 6;
const EXTENT: u8 = 7;
const SINK: u8 = 8;
const SLOT: u8 = 9;
const TRANSACTION: u8 = 10;
const ACTIVE_TRANSACTION: u8 = 11;
const CHUNK: u8 = 12;
const GROUP: u8 = 13;
const WRITER_BY_NAME: u8 = 14;
const WRITER: u8 = 15;
const REQUEST: u8 = 16;
const READER_GROUP: u8 = 17;
const READER_GROUP_CHECKPOINT: u8 = 18;
const PARQUET_FILE: u8 = 19;
const UPLOAD_INTENT: u8 = 20;
const SINK_RUN: u8 = 21;

/// Most keys are shorter.
const KEY_BYTES: usize = 32;

struct Encoder(RawKey);

impl Encoder {
    fn new(ordinal: u8) -> Self {
        let mut key = Vec::with_capacity(KEY_BYTES);
        key.push(ordinal);
        Self(key)
    }
    fn name(mut self, name: &Name) -> Self {
        self.0.extend_from_slice(name.as_str().as_bytes());
        self.0.push(0);
        self
    }
    fn sink(self, sink: &SinkName) -> Self {
        self.name(&sink.scope).name(&sink.name)
    }
    fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }
    fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }
    fn uuid(mut self, value: &Uuid) -> Self {
        self.0.extend_from_slice(value.as_bytes());
        self
    }
    fn segment(self, segment: SegmentId) -> Self {
        self.u64(segment.stream.get()).u32(segment.segment.get())
    }
}

struct Decoder<'a>(&'a [u8]);

impl Decoder<'_> {
    fn take(&mut self, n: usize) -> Option<&[u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }
    fn name(&mut self) -> Option<Name> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let name = Name::parse(std::str::from_utf8(&self.0[..end]).ok()?).ok()?;
        self.0 = &self.0[end + 1..];
        Some(name)
    }
    fn sink(&mut self) -> Option<SinkName> {
        Some(SinkName { scope: self.name()?, name: self.name()? })
    }
    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }
    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }
    fn uuid(&mut self) -> Option<Uuid> {
        Uuid::from_slice(self.take(16)?).ok()
    }
    fn segment(&mut self) -> Option<SegmentId> {
        Some(SegmentId { stream: StreamId::new(self.u64()?), segment: SegmentNumber::new(self.u32()?) })
    }
}

impl Key {
    /// The encoded key.
    pub fn encode(&self) -> RawKey {
        let encoder = match self {
            Self::Cluster => Encoder::new(CLUSTER),
            Self::Scope(scope) => Encoder::new(SCOPE).name(scope),
            Self::Schema(id) => Encoder::new(SCHEMA).u64(*id),
            Self::StreamByName(stream) => Encoder::new(STREAM_BY_NAME).name(&stream.scope).name(&stream.name),
            Self::Stream(id) => Encoder::new(STREAM).u64(id.get()),
            Self::Segment(segment) => Encoder::new(SEGMENT).segment(*segment),
            Self::Extent(segment, base) => Encoder::new(EXTENT).segment(*segment).u64(base.get()),
            Self::Sink(sink) => Encoder::new(SINK).sink(sink),
            Self::Slot(sink, subtask) => Encoder::new(SLOT).sink(sink).u32(*subtask),
            Self::Transaction(id) => Encoder::new(TRANSACTION).uuid(&id.uuid()),
            Self::ActiveTransaction(sink, subtask, id) => {
                Encoder::new(ACTIVE_TRANSACTION).sink(sink).u32(*subtask).uuid(&id.uuid())
            }
            Self::Chunk(id, seq) => Encoder::new(CHUNK).uuid(&id.uuid()).u64(*seq),
            Self::Group(id) => Encoder::new(GROUP).uuid(&id.uuid()),
            Self::WriterByName(stream, name) => Encoder::new(WRITER_BY_NAME).u64(stream.get()).name(name),
            Self::Writer(stream, id) => Encoder::new(WRITER).u64(stream.get()).u64(id.get()),
            Self::Request(session, seq) => Encoder::new(REQUEST).uuid(session).u64(*seq),
            Self::ReaderGroup(scope, name) => Encoder::new(READER_GROUP).name(scope).name(name),
            Self::ReaderGroupCheckpoint(scope, name, at, id) => {
                Encoder::new(READER_GROUP_CHECKPOINT).name(scope).name(name).u64(*at).u64(*id)
            }
            Self::ParquetFile(segment, first) => Encoder::new(PARQUET_FILE).segment(*segment).u64(first.get()),
            Self::UploadIntent(segment, first) => Encoder::new(UPLOAD_INTENT).segment(*segment).u64(first.get()),
            Self::SinkRun(sink, run) => Encoder::new(SINK_RUN).sink(sink).uuid(run),
        };
        encoder.0
    }

    /// The key that was encoded; `None` if the bytes are no key.
    pub fn decode(raw: &[u8]) -> Option<Self> {
        let (ordinal, rest) = raw.split_first()?;
        let mut d = Decoder(rest);
        let key = match *ordinal {
            CLUSTER => Self::Cluster,
            SCOPE => Self::Scope(d.name()?),
            SCHEMA => Self::Schema(d.u64()?),
            STREAM_BY_NAME => Self::StreamByName(StreamName { scope: d.name()?, name: d.name()? }),
            STREAM => Self::Stream(StreamId::new(d.u64()?)),
            SEGMENT => Self::Segment(d.segment()?),
            EXTENT => Self::Extent(d.segment()?, Offset::new(d.u64()?)),
            SINK => Self::Sink(d.sink()?),
            SLOT => Self::Slot(d.sink()?, d.u32()?),
            TRANSACTION => Self::Transaction(TransactionId::new(d.uuid()?)),
            ACTIVE_TRANSACTION => Self::ActiveTransaction(d.sink()?, d.u32()?, TransactionId::new(d.uuid()?)),
            CHUNK => Self::Chunk(TransactionId::new(d.uuid()?), d.u64()?),
            GROUP => Self::Group(GroupId::new(d.uuid()?)),
            WRITER_BY_NAME => Self::WriterByName(StreamId::new(d.u64()?), d.name()?),
            WRITER => Self::Writer(StreamId::new(d.u64()?), WriterId::new(d.u64()?)),
            REQUEST => Self::Request(d.uuid()?, d.u64()?),
            READER_GROUP => Self::ReaderGroup(d.name()?, d.name()?),
            READER_GROUP_CHECKPOINT => Self::ReaderGroupCheckpoint(d.name()?, d.name()?, d.u64()?, d.u64()?),
            PARQUET_FILE => Self::ParquetFile(d.segment()?, Offset::new(d.u64()?)),
            UPLOAD_INTENT => Self::UploadIntent(d.segment()?, Offset::new(d.u64()?)),
            SINK_RUN => Self::SinkRun(d.sink()?, d.uuid()?),
            _ => return None,
        };
        d.0.is_empty().then_some(key)
    }
}

/// A half-open range of encoded keys.
#[derive(Debug, Clone)]
pub struct KeySpan {
    /// First key of the range.
    pub from: RawKey,
    /// First key after it.
    pub to: RawKey,
}

impl KeySpan {
    /// All keys that start with `prefix`; it must not be all 0xFF (ordinals never are).
    fn prefix(prefix: RawKey) -> Self {
        let mut to = prefix.clone();
        while let Some(last) = to.pop() {
            if last < u8::MAX {
                to.push(last + 1);
                break;
            }
        }
        Self { from: prefix, to }
    }
    /// The whole ledger.
    pub fn everything() -> Self {
        Self { from: vec![0], to: vec![u8::MAX] }
    }
    /// The cluster's one record.
    pub fn cluster() -> Self {
        Self::prefix(vec![CLUSTER])
    }
    /// All scopes.
    pub fn scopes() -> Self {
        Self::prefix(vec![SCOPE])
    }
    /// All schemas.
    pub fn schemas() -> Self {
        Self::prefix(vec![SCHEMA])
    }
    /// The names of a scope's streams.
    pub fn streams_of(scope: &Name) -> Self {
        Self::prefix(Encoder::new(STREAM_BY_NAME).name(scope).0)
    }
    /// All streams, by number.
    pub fn streams() -> Self {
        Self::prefix(vec![STREAM])
    }
    /// All segments.
    pub fn segments() -> Self {
        Self::prefix(vec![SEGMENT])
    }
    /// The segments of a stream.
    pub fn segments_of(stream: StreamId) -> Self {
        Self::prefix(Encoder::new(SEGMENT).u64(stream.get()).0)
    }
    /// The extents of a segment with a base offset in `[from, to)`.
    pub fn extents(segment: SegmentId, from: Offset, to: Offset) -> Self {
        Self { from: Key::Extent(segment, from).encode(), to: Key::Extent(segment, to).encode() }
    }
    /// The extents of all segments.
    pub fn all_extents() -> Self {
        Self::prefix(vec![EXTENT])
    }
    /// The extents of a stream.
    pub fn extents_of(stream: StreamId) -> Self {
        Self::prefix(Encoder::new(EXTENT).u64(stream.get()).0)
    }
    /// The Parquet files of a segment with a first offset in `[from, to)`.
    pub fn parquet_files(segment: SegmentId, from: Offset, to: Offset) -> Self {
        Self { from: Key::ParquetFile(segment, from).encode(), to: Key::ParquetFile(segment, to).encode() }
    }
    /// The Parquet files of a stream.
    pub fn parquet_files_of(stream: StreamId) -> Self {
        Self::prefix(Encoder::new(PARQUET_FILE).u64(stream.get()).0)
    }
    /// All Parquet files.
    pub fn all_parquet_files() -> Self {
        Self::prefix(vec![PARQUET_FILE])
    }
    /// All publications under way.
    pub fn upload_intents() -> Self {
        Self::prefix(vec![UPLOAD_INTENT])
    }
    /// The publications under way of a stream.
    pub fn upload_intents_of(stream: StreamId) -> Self {
        Self::prefix(Encoder::new(UPLOAD_INTENT).u64(stream.get()).0)
    }
    /// The writers of a stream, by number and by name.
    pub fn writers_of(stream: StreamId) -> [Self; 2] {
        [WRITER, WRITER_BY_NAME].map(|ordinal| Self::prefix(Encoder::new(ordinal).u64(stream.get()).0))
    }
    /// All sinks.
    pub fn sinks() -> Self {
        Self::prefix(vec![SINK])
    }
    /// The sinks of a scope.
    pub fn sinks_of(scope: &Name) -> Self {
        Self::prefix(Encoder::new(SINK).name(scope).0)
    }
    /// The OPEN and PREPARED transactions of a slot.
    pub fn active_of_slot(sink: &SinkName, subtask: u32) -> Self {
        Self::prefix(Encoder::new(ACTIVE_TRANSACTION).sink(sink).u32(subtask).0)
    }
    /// The OPEN and PREPARED transactions of a sink.
    pub fn active_of_sink(sink: &SinkName) -> Self {
        Self::prefix(Encoder::new(ACTIVE_TRANSACTION).sink(sink).0)
    }
    /// The OPEN and PREPARED transactions of all sinks.
    pub fn active() -> Self {
        Self::prefix(vec![ACTIVE_TRANSACTION])
    }
    /// All transactions.
    pub fn transactions() -> Self {
        Self::prefix(vec![TRANSACTION])
    }
    /// The blocks of a transaction.
    pub fn chunks_of(transaction: TransactionId) -> Self {
        Self::prefix(Encoder::new(CHUNK).uuid(&transaction.uuid()).0)
    }
    /// The blocks of all transactions.
    pub fn all_chunks() -> Self {
        Self::prefix(vec![CHUNK])
    }
    /// All remembered answers.
    pub fn requests() -> Self {
        Self::prefix(vec![REQUEST])
    }
    /// All reader groups.
    pub fn reader_groups() -> Self {
        Self::prefix(vec![READER_GROUP])
    }
    /// The reader groups of a scope.
    pub fn reader_groups_of(scope: &Name) -> Self {
        Self::prefix(Encoder::new(READER_GROUP).name(scope).0)
    }
    /// The checkpoints of a reader group, oldest first.
    pub fn checkpoints_of(scope: &Name, group: &Name) -> Self {
        Self::prefix(Encoder::new(READER_GROUP_CHECKPOINT).name(scope).name(group).0)
    }
}

#[cfg(test)]
mod tests {
    //! Each key decodes to itself, prefixes cover exactly their keys, cut and longer bytes are refused.
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn samples() -> Vec<Key> {
        let sink = SinkName { scope: name("a"), name: name("b") };
        let segment = SegmentId { stream: StreamId::new(7), segment: SegmentNumber::new(3) };
        let txn = TransactionId::new(Uuid::from_u128(9));
        vec![
            Key::Cluster,
            Key::Scope(name("a")),
            Key::Schema(1),
            Key::StreamByName(StreamName { scope: name("a"), name: name("s") }),
            Key::Stream(StreamId::new(u64::MAX)),
            Key::Segment(segment),
            Key::Extent(segment, Offset::new(5)),
            Key::Sink(sink.clone()),
            Key::Slot(sink.clone(), 4),
            Key::Transaction(txn),
            Key::ActiveTransaction(sink.clone(), 4, txn),
            Key::Chunk(txn, u64::MAX),
            Key::Group(GroupId::new(Uuid::from_u128(1))),
            Key::WriterByName(StreamId::new(7), name("w")),
            Key::Writer(StreamId::new(7), WriterId::new(1)),
            Key::Request(Uuid::from_u128(5), 6),
            Key::ReaderGroup(name("a"), name("g")),
            Key::ReaderGroupCheckpoint(name("a"), name("g"), 1, 2),
            Key::ParquetFile(segment, Offset::new(0)),
            Key::UploadIntent(segment, Offset::new(0)),
            Key::SinkRun(sink, Uuid::from_u128(2)),
        ]
    }

    #[test]
    fn keys_round_trip_and_refuse_other_lengths() {
        let mut ordinals = std::collections::BTreeSet::new();
        for key in samples() {
            let raw = key.encode();
            assert_eq!(Key::decode(&raw), Some(key.clone()));
            assert!(ordinals.insert(raw[0]), "{key:?} shares an ordinal");
            for cut in 0..raw.len() {
                assert_ne!(Key::decode(&raw[..cut]), Some(key.clone()));
            }
            let mut longer = raw.clone();
            longer.push(1);
            assert_ne!(Key::decode(&longer), Some(key));
        }
        assert_eq!(ordinals.len(), 21);
    }

    #[test]
    fn a_prefix_stops_at_its_name() {
        let span = KeySpan::streams_of(&name("a"));
        let inside = Key::StreamByName(StreamName { scope: name("a"), name: name("z") }).encode();
        let outside = Key::StreamByName(StreamName { scope: name("a.b"), name: name("z") }).encode();
        assert!(span.from <= inside && inside < span.to);
        assert!(!(span.from <= outside && outside < span.to));
    }
}
