//! Small names for everything the model makes, and the ids that the rules see. Minted from (attempt, subtask, ordinal), so that
//! two histories that do the same are the same state.

use std::fmt;

use sluice_schema::{
    ids::{ClusterId, GroupId, RunNonce, SegmentId, SegmentNumber, StreamId, TimelineId, TransactionId},
    names::{Name, SinkName, StreamName},
};
use uuid::Uuid;

/// The store of the model.
pub const CLUSTER: ClusterId = ClusterId::new(Uuid::from_u128(0xc1));
/// Its one timeline.
pub const TIMELINE: TimelineId = TimelineId::new(Uuid::from_u128(0x71));

const TRANSACTION: u128 = 0x7000_0000;
const GROUP: u128 = 0x9000_0000;
const RUN: u128 = 0x5000_0000;

/// A transaction: the `ordinal`-th of a subtask of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Txn {
    /// The attempt of the job that writes it.
    pub attempt: u8,
    /// The subtask, which is the slot.
    pub subtask: u8,
    /// How many the subtask began before.
    pub ordinal: u8,
}

impl Txn {
    /// The id on the wire.
    pub fn id(self) -> TransactionId {
        let number = u128::from(self.attempt) << 16 | u128::from(self.subtask) << 8 | u128::from(self.ordinal);
        TransactionId::new(Uuid::from_u128(TRANSACTION | number))
    }
}

impl fmt::Display for Txn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "transaction {}.{}.{}", self.attempt, self.subtask, self.ordinal)
    }
}

/// A commit group: what an attempt's aggregator minted at a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupRef {
    /// The attempt.
    pub attempt: u8,
    /// The checkpoint.
    pub checkpoint: u8,
}

impl GroupRef {
    /// The id on the wire.
    pub fn id(self) -> GroupId {
        GroupId::new(Uuid::from_u128(GROUP | u128::from(self.attempt) << 8 | u128::from(self.checkpoint)))
    }
    /// The group of an id that the model made.
    pub fn of(raw: &[u8]) -> Option<Self> {
        let number = GroupId::from_bytes(raw).ok()?.uuid().as_u128();
        let byte = |at: u32| u8::try_from(number >> at & 0xff).ok();
        (number >> 16 == GROUP >> 16).then_some(Self { attempt: byte(8)?, checkpoint: byte(0)? })
    }
}

impl fmt::Display for GroupRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {}.{}", self.attempt, self.checkpoint)
    }
}

/// The nonce of a submission.
pub fn run(number: u8) -> RunNonce {
    RunNonce::new(Uuid::from_u128(RUN | u128::from(number)))
}

/// The session of an attempt's control calls.
pub fn session(attempt: u8) -> Uuid {
    Uuid::from_u128(0x6000_0000 | u128::from(attempt))
}

/// A name that is written here and therefore valid.
fn name(text: &str) -> Name {
    Name::parse(text).expect("the model's names are valid")
}

/// The one scope.
pub fn scope() -> Name {
    name("s")
}

/// The writer of plain appends.
pub fn writer() -> Name {
    name("w")
}

/// The one sink.
pub fn sink() -> SinkName {
    SinkName::new(scope(), name("job"))
}

/// A stream, by its ordinal from 0.
pub fn stream_name(stream: u8) -> StreamName {
    StreamName::new(scope(), name(&format!("t{stream}")))
}

/// The number a stream gets: they are created in order.
pub fn stream_id(stream: u8) -> StreamId {
    StreamId::new(u64::from(stream) + 1)
}

/// A place for events: a segment of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The stream's ordinal.
    pub stream: u8,
    /// The segment in it.
    pub segment: u8,
}

impl Place {
    /// The id on the wire.
    pub fn id(self) -> SegmentId {
        SegmentId::new(stream_id(self.stream), SegmentNumber::new(self.segment.into()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {} of stream t{}", self.segment, self.stream)
    }
}
