//! The Sluice gateway and its command line.
//!
//! In reading order:
//! * [`config`]: settings of `sluice serve`;
//! * [`serve`]: everything that runs while a gateway serves;
//! * `services`: one thin gRPC service per file;
//! * `engine`: what stands between the services and the store (reading, small rows, upkeep);
//! * [`http`], [`metrics`], [`telemetry`]: health, metrics and logs.
//!
//! Decisions about transactions are not made here but by the rules of `sluice-txn`; bytes are kept by `sluice-segment`.

pub mod cli;
pub mod config;
mod engine;
pub mod http;
pub mod metrics;
mod serve;
mod services;
pub mod telemetry;

pub use serve::serve;
