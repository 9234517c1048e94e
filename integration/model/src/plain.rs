//! What the producer of plain appends knows.

use crate::ids::Place;

/// Where it appends: among the records of the jobs.
pub const PLAIN_PLACE: Place = Place { stream: 0, segment: 0 };

/// A producer of one name, and the truth about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Plain {
    /// The epoch of its present process; 0: none yet.
    pub epoch: u64,
    /// The last sequence that was applied.
    pub applied: u32,
    /// The last sequence that its present process knows to be applied.
    pub acknowledged: u32,
}
