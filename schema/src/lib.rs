//! The vocabulary of Sluice: what every part of it means by a name, an id, a limit, a routing key, a schema and a block.
//!
//! In reading order:
//!
//! * [`names`]: scopes, streams, sinks and reader groups as people call them; a name that exists is valid.
//! * [`ids`]: numbers and 128-bit ids, one type each.
//! * [`limits`]: every limit, in one place.
//! * [`keys`]: the canonical routing key, its hash, the ranges of hashes that segments own, and the routing of batches.
//! * [`types`]: schemas made of Flink SQL's types, their checks, and their Arrow form; the built-in bytes schema.
//!
//! This crate knows the wire's messages and Arrow, and nothing of tokio, files or Parquet. It decides nothing about
//! streams and transactions and keeps no state.

pub mod ids;
pub mod keys;
pub mod limits;
pub mod names;
pub mod types;
