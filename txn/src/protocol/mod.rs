//! The rules of Sluice, as docs/protocol.md tells them.
//!
//! A rule is a function `(draft, command, now) -> Result<answer, Failure>`: it reads through the draft, checks, changes the
//! draft and answers. On a failure the caller throws the draft away. Rules are total, deterministic, and know neither
//! input nor output, clock, runtime nor Arrow.
//!
//! * [`transactions`]: slots, begin, append, prepare, abort, expiry;
//! * [`attach`]: what a restored or fresh job may do with a sink's history;
//! * [`commit`]: commit groups;
//! * [`events`]: plain idempotent appends;
//! * [`streams`]: scopes, streams, segments, truncation of nothing yet, publication as Parquet;
//! * [`groups`]: reader groups and their checkpoints;
//! * [`requests`]: the same answer for a repeated control call.

pub mod attach;
pub mod commit;
pub mod events;
pub mod groups;
pub mod invariants;
pub mod publication;
mod refusal;
pub mod requests;
pub mod streams;
#[cfg(test)]
mod tests;
pub mod transactions;

pub use refusal::{Failure, Outcome, Refusal};
pub use sluice_proto::gateway::v1::{ErrorClass, ErrorDetail, ErrorReason};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = u64;

/// Members of a commit group, at most.
pub const GROUP_MEMBERS_MAX: usize = 4096;
/// Subtasks of a sink, at most.
pub const PARALLELISM_MAX: u32 = 4096;
/// Segments of a stream, at most.
pub const SEGMENTS_MAX: u32 = 1024;
/// Checkpoints that a reader group keeps.
pub const CHECKPOINTS_KEPT: usize = 100;
/// Id of the built-in bytes schema.
pub const BYTES_SCHEMA_ID: u64 = 1;
