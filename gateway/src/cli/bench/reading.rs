//! Reading everything back.

use std::time::Duration;

use sluice_client::{At, Client, ReaderOptions, Start};
use sluice_schema::names::StreamName;
use tokio::time::Instant;

use crate::cli::exit::Failure;

/// What reading reached.
#[derive(Debug)]
pub struct Read {
    /// Events read.
    pub events: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// From opening the reader to the last event.
    pub took: Duration,
}

/// Reads the stream to its present end, looking at every event.
pub async fn measure(client: &Client, stream: &StreamName) -> Result<Read, Failure> {
    let started = Instant::now();
    let mut reader = client.reader(stream, Start::At(At::Earliest), ReaderOptions::bounded()).await?;
    let mut read = Read { events: 0, bytes: 0, took: Duration::ZERO };
    while let Some(batch) = reader.next().await? {
        for event in batch.events()? {
            read.bytes += (event.value.len() + event.key.map_or(0, <[u8]>::len)) as u64;
            read.events += 1;
        }
    }
    read.took = started.elapsed();
    Ok(read)
}
