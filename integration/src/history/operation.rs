//! The operations of a history, as plain data: what clients sent, what they were told, and what they saw.
//!
//! Records are small and numbers stand for names, since a run holds millions of them.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

/// Logical time: the place of a moment among all moments that one [`Recorder`](super::Recorder) noted. No clock is read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

/// A stream: its place in [`History::streams`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream(pub u16);

/// A plain writer or a sink: its place in [`History::writers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Writer(pub u16);

impl Writer {
    /// Nobody: what was read is no value of any writer.
    pub const NOBODY: Self = Self(u16::MAX);
}

/// A routing key; the same key of two writers is two keys, as nothing is promised between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u16);

/// One reader's way through its streams, also when it was closed and opened again at its positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Session(pub u32);

/// The content of an event: a writer sends each `n` at most once to a stream, ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value {
    /// Who sent it.
    pub writer: Writer,
    /// Its number among all that the writer sends.
    pub n: u32,
}

impl Value {
    /// Stands for bytes that no writer writes; equal bytes give equal values.
    pub fn foreign(bytes: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        Self { writer: Writer::NOBODY, n: hasher.finish() as u32 }
    }
}

/// An event as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Its routing key.
    pub key: Key,
    /// Its content.
    pub value: Value,
}

/// Events for one stream, in the order in which they were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The stream.
    pub stream: Stream,
    /// The events; which segment an event goes to is the gateway's to say.
    pub events: Vec<Event>,
}

/// How events were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteKind {
    /// Plain appends to one stream, each event on its own, with consecutive sequences from this one.
    Append {
        /// Sequence of the first event.
        first_sequence: u64,
    },
    /// One transaction over any streams: the so-manieth of its sink.
    Transaction {
        /// Its number within the sink.
        ordinal: u64,
    },
}

/// How a write ended, as far as its client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A transaction that nobody prepared: never to be seen.
    Open,
    /// A transaction that nobody asked to commit: never to be seen.
    Prepared,
    /// Asked for and not answered (Jepsen's `info`): it may be seen wholly or not at all, and so ever after.
    Unknown {
        /// Before the request was sent.
        asked: Time,
    },
    /// Answered with success (`ok`): visible and durable from then on.
    Committed {
        /// Before the request was sent.
        asked: Time,
        /// After the answer came.
        answered: Time,
        /// What the gateway says made it visible; plain appends are not told.
        commit_seq: Option<u64>,
    },
    /// Answered with its end (`fail`): never to be seen.
    Aborted,
}

impl Outcome {
    /// When it was asked to become visible; `None`: never, so nobody may see it.
    pub fn asked(&self) -> Option<Time> {
        match self {
            Self::Unknown { asked } | Self::Committed { asked, .. } => Some(*asked),
            Self::Open | Self::Prepared | Self::Aborted => None,
        }
    }

    /// When it was acknowledged.
    pub fn answered(&self) -> Option<Time> {
        match self {
            Self::Committed { answered, .. } => Some(*answered),
            _ => None,
        }
    }
}

/// What one client sent as one unit of acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The plain writer or the sink.
    pub writer: Writer,
    /// Plain or transactional.
    pub kind: WriteKind,
    /// Its events; an append has one part.
    pub parts: Vec<Part>,
    /// How it ended.
    pub outcome: Outcome,
}

impl Write {
    /// Whether its events belong together.
    pub fn is_transaction(&self) -> bool {
        matches!(self.kind, WriteKind::Transaction { .. })
    }

    /// All its events with their streams.
    pub fn events(&self) -> impl Iterator<Item = (Stream, Event)> + '_ {
        self.parts.iter().flat_map(|part| part.events.iter().map(|event| (part.stream, *event)))
    }
}

/// A plain writer was opened: everything up to `last_sequence` is applied, and nothing of an older owner that is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// The writer.
    pub writer: Writer,
    /// The stream it writes to.
    pub stream: Stream,
    /// What the gateway answered.
    pub last_sequence: u64,
    /// After the answer came.
    pub at: Time,
}

/// Events that a reader was given: one batch of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// The reader.
    pub session: Session,
    /// The stream.
    pub stream: Stream,
    /// The segment.
    pub segment: u32,
    /// The reader's position before the batch.
    pub before: u64,
    /// Offset of the first value; the others follow densely.
    pub base_offset: u64,
    /// The values.
    pub values: Vec<Value>,
    /// The reader's position after the batch.
    pub after: u64,
    /// What the batch says: none of its events was committed later.
    pub commit_seq: u64,
    /// After it was received.
    pub at: Time,
}

/// Where a stream ended: everything below was visible, nothing from there on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The stream.
    pub stream: Stream,
    /// Before it was asked for.
    pub asked: Time,
    /// The commit it shows, when the answer names one.
    pub commit_seq: Option<u64>,
    /// The first offset that is not part of it, by segment.
    pub ends: BTreeMap<u32, u64>,
}

/// Consecutive offsets `base_offset..end` of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// The segment.
    pub segment: u32,
    /// The first offset.
    pub base_offset: u64,
    /// After the last offset.
    pub end: u64,
}

/// Rows of a Parquet file with consecutive offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// The segment.
    pub segment: u32,
    /// Offset of the first row.
    pub base_offset: u64,
    /// `value` and `_commit_seq` of each row.
    pub rows: Vec<(Value, u64)>,
}

impl Rows {
    /// The offsets it holds.
    pub fn range(&self) -> Range {
        Range { segment: self.segment, base_offset: self.base_offset, end: self.base_offset + self.rows.len() as u64 }
    }
}

/// What a batch engine saw under a stream's glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The stream.
    pub stream: Stream,
    /// After it was read.
    pub at: Time,
    /// Offsets of every file that was there, whether its rows are below or in an earlier look.
    pub files: Vec<Range>,
    /// Rows of the files that were read for the first time.
    pub rows: Vec<Rows>,
    /// Whether everything had been published and nobody wrote any more: the files then hold the whole stream.
    pub complete: bool,
}

/// Everything that was recorded. Reads must have reached the end of every stream after the last write: an acknowledged
/// event that no poll shows counts as lost.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct History {
    /// Names of the streams.
    pub streams: Vec<String>,
    /// Names of plain writers and sinks.
    pub writers: Vec<String>,
    /// What was sent.
    pub writes: Vec<Write>,
    /// Openings of plain writers.
    pub openings: Vec<Opening>,
    /// What readers were given, each session's in its order.
    pub polls: Vec<Poll>,
    /// Where streams ended.
    pub snapshots: Vec<Snapshot>,
    /// What lay under the globs, in order of time.
    pub looks: Vec<Look>,
}

impl History {
    /// The name of a stream.
    pub fn stream_name(&self, stream: Stream) -> &str {
        self.streams.get(usize::from(stream.0)).map_or("an unknown stream", String::as_str)
    }

    /// A value as people read it.
    pub fn value_name(&self, value: Value) -> String {
        match self.writers.get(usize::from(value.writer.0)) {
            Some(writer) => format!("{writer}:{}", value.n),
            None => format!("nobody:{:08x}", value.n),
        }
    }

    /// A write as people read it.
    pub fn write_name(&self, write: &Write) -> String {
        let writer = self.writers.get(usize::from(write.writer.0)).map_or("nobody", String::as_str);
        match write.kind {
            WriteKind::Append { first_sequence } => format!("the append of {writer} from sequence {first_sequence}"),
            WriteKind::Transaction { ordinal } => format!("transaction {ordinal} of {writer}"),
        }
    }
}
