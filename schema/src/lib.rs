//! The vocabulary of Sluice: what every part of it means by a name, an id, a limit, a routing key, a schema and a block.
//!
//! In reading order:
//!
//! * [`names`]: scopes, streams, sinks and reader groups as people call them.
//! * [`ids`]: numbers and 128-bit ids, one type each.
//! * [`limits`]: every limit, in one place.
//! * [`types`]: schemas made of Flink SQL's types, their checks, their Arrow form, and the built-in bytes schema.
//! * [`keys`]: the canonical routing key, its hash, the ranges of hashes that segments own, and the routing of batches.
//! * [`block`]: Arrow record batches as they travel and lie in the log: check, decode, encode.
//! * [`rows`]: small rows of the bytes schema, collected into one block.
//!
//! What always holds:
//!
//! * A [`names::Name`], a [`types::Schema`] or a [`keys::KeyRange`] that exists is valid; nobody checks it again.
//! * Nothing from outside is believed: neither a panic nor an allocation follows from what bytes claim.
//! * A block that [`block::validate`] accepts, [`block::decode`] accepts, and both say the same of it for ever:
//!   blocks are durable.
//! * Every bit pattern of FLOAT and DOUBLE survives: NaNs and -0.0 are values like any other.
//! * The canonical routing key and the hash are a contract with all writers; `vectors/routing-key.json` holds them.
//!
//! This crate knows the wire's messages and Arrow, and nothing of tokio, files or Parquet. It decides nothing about
//! streams and transactions and keeps no state.

pub mod block;
pub mod ids;
pub mod keys;
pub mod limits;
pub mod names;
pub mod rows;
pub mod types;

#[cfg(test)]
mod testing;
