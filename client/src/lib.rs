//! # sluice-client
//!
//! The Rust client of a Sluice gateway.
//!
//! * [`Client`]: the connection; scopes, streams, sinks, transactions, scan plans and the state of the gateway.
//! * [`Producer`]: plain appends, durable and visible when acknowledged, applied once.
//! * [`TransactionalProducer`]: [`Transaction`]s over any streams; prepare, commit, abort, and going on after a restart.
//! * [`Reader`]: committed events in order of their offsets, to an end or for ever.
//! * [`ReaderGroup`]: durable positions and checkpoints of readers.
//!
//! Rows are [`Event`]s of the built-in bytes schema `{key, value, event_time, headers}` or Arrow record batches in the
//! stream's own schema. Every failure is an [`Error`] with a class (what to do next) and a reason (why); retriable ones
//! were retried until the [`RetryPolicy`]'s deadline before a call returns them.
//!
//! What this crate must not do: decide anything the gateway can decide, or depend on its inner crates (`sluice-txn`,
//! `sluice-segment`).
//!
//! ```no_run
//! use sluice_client::{Client, Event, StreamSettings, TransactionOptions};
//! use sluice_schema::names::{Name, SinkName, StreamName};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("http://127.0.0.1:9090").await?;
//! let stream = StreamName::parse("demo/sensors")?;
//! client.create_scope(&Name::parse("demo")?).await?;
//! client.create_stream(&stream, StreamSettings::bytes(2)).await?;
//!
//! let stream = std::sync::Arc::new(client.stream(&stream).await?);
//! let producer = client.transactional_producer(&SinkName::parse("demo/job")?, TransactionOptions::default()).await?;
//! let mut transaction = producer.begin();
//! transaction.send(&stream, Event::keyed(b"sensor-1", b"21.5")).await?;
//! let commit = transaction.commit().await?;
//! println!("visible since commit {}", commit.commit_seq);
//! # Ok(())
//! # }
//! ```

/// A control call whose request can be sent again.
macro_rules! send {
    ($client:expr, $stub:ident.$method:ident($request:ident)) => {{
        let mut stub = $client.$stub();
        let request = $request.clone();
        async move { stub.$method(request).await }
    }};
}

mod blocks;
mod connection;
pub mod error;
mod event;
mod groups;
mod ids;
mod operations;
mod positions;
mod producer;
mod reader;
mod retry;
mod streams;
mod transaction;

pub use connection::Client;
pub use error::{Error, ErrorClass, ErrorReason, Result};
pub use event::Event;
pub use groups::{CheckpointInfo, ReaderGroup, ResetTo};
pub use operations::{TransactionState, Verification};
pub use positions::Positions;
pub use producer::{Producer, ProducerOptions, Sent};
pub use reader::{End, EventRef, Events, ReadBatch, Reader, ReaderOptions, Start};
pub use retry::RetryPolicy;
pub use sluice_proto::gateway::v1 as wire;
pub use sluice_schema as schema;
pub use streams::{At, Published, Stream, StreamSettings};
pub use transaction::{Commit, PreparedTransaction, Transaction, TransactionOptions, TransactionalProducer};
