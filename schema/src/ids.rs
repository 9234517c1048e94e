//! Ids and quantities: one type each, so that the compiler keeps them apart.
//!
//! Numbers are given out by the gateway and never reused. Ids of 128 bits are minted at random by whoever makes the
//! thing; they travel and are stored as 16 raw bytes, big endian.

use std::fmt;

use bytes::Bytes;
use uuid::Uuid;

/// Bytes that are not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be 16 bytes, {length} were given")]
pub struct InvalidId {
    /// Which id.
    pub what: &'static str,
    /// Bytes given.
    pub length: usize,
}

macro_rules! number {
    ($(#[$doc:meta])* $type:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type($inner);

        impl $type {
            /// Wraps a number.
            pub const fn new(value: $inner) -> Self {
                Self(value)
            }
            /// The number.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Uuid);

        impl $type {
            /// Wraps a UUID; randomness comes from the caller.
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }
            /// Reads the 16 raw bytes of the wire and of stored records.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidId> {
                let uuid = Uuid::from_slice(bytes);
                uuid.map(Self).map_err(|_| InvalidId { what: $what, length: bytes.len() })
            }
            /// The 16 raw bytes.
            pub fn to_bytes(self) -> Bytes {
                Bytes::copy_from_slice(self.0.as_bytes())
            }
            /// The UUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number!(
    /// Number of a stream; unlike its name it is never reused.
    StreamId(u64)
);
number!(
    /// Number of a schema, from 1.
    SchemaId(u64)
);
number!(
    /// Number of a segment in its stream, from 0.
    SegmentNumber(u32)
);
number!(
    /// Ordinal of an event in its segment: dense, from 0, given at commit.
    Offset(u64)
);
number!(
    /// Who may write in a slot of a sink or under a writer's name: grows with each new owner, older ones are fenced.
    WriterEpoch(u64)
);
number!(
    /// Owner count of a sink: grows with each attach.
    Incarnation(u64)
);
number!(
    /// Ordinal of a commit in its store, from 1; 0: before the first.
    CommitSeq(u64)
);
number!(
    /// Number of a writer of plain appends.
    WriterId(u64)
);
uuid_id!(
    /// A transaction: the events of one sink writer between two checkpoints.
    TransactionId,
    "transaction id"
);
uuid_id!(
    /// A commit group: all transactions of one checkpoint.
    GroupId,
    "group id"
);
uuid_id!(
    /// One submission of a job.
    RunNonce,
    "run nonce"
);
uuid_id!(
    /// A store, minted with its data directory.
    ClusterId,
    "cluster id"
);
uuid_id!(
    /// A history of a store; changes only when an operator restores an older copy.
    TimelineId,
    "timeline id"
);

impl SchemaId {
    /// The built-in bytes schema.
    pub const BYTES: Self = Self(1);
}

impl Offset {
    /// The first event of a segment.
    pub const ZERO: Self = Self(0);

    /// The offset `events` further on; `None` beyond 2^64.
    pub fn checked_add(self, events: u64) -> Option<Self> {
        self.0.checked_add(events).map(Self)
    }
}

/// A segment of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId {
    /// The stream.
    pub stream: StreamId,
    /// The segment in it.
    pub segment: SegmentNumber,
}

impl SegmentId {
    /// Joins both numbers.
    pub const fn new(stream: StreamId, segment: SegmentNumber) -> Self {
        Self { stream, segment }
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream {} segment {}", self.stream, self.segment)
    }
}

#[cfg(test)]
mod tests {
    //! Ids round-trip as bytes; any other length is refused.
    use super::*;

    #[test]
    fn sixteen_bytes_and_nothing_else() {
        let id = TransactionId::new(Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef));
        assert_eq!(id.to_bytes()[..4], [0x01, 0x23, 0x45, 0x67], "big endian");
        assert_eq!(TransactionId::from_bytes(&id.to_bytes()), Ok(id));
        for length in (0..40).filter(|length| *length != 16) {
            let error = TransactionId::from_bytes(&vec![7; length]).unwrap_err();
            assert_eq!(error.to_string(), format!("transaction id must be 16 bytes, {length} were given"));
        }
    }

    #[test]
    fn numbers_order_and_print_as_numbers() {
        assert!(Offset::new(9) < Offset::new(10));
        assert_eq!(Offset::new(u64::MAX).checked_add(1), None);
        assert_eq!(Offset::ZERO.checked_add(3), Some(Offset::new(3)));
        let segment = SegmentId::new(StreamId::new(7), SegmentNumber::new(2));
        assert_eq!(segment.to_string(), "stream 7 segment 2");
        assert!(segment < SegmentId::new(StreamId::new(8), SegmentNumber::new(0)));
    }
}
