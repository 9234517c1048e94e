//! Transactional writing, each producer in a task of its own.

use std::{sync::Arc, time::Duration};

use indicatif::ProgressBar;
use sluice_client::{Client, Event, Stream, TransactionOptions, TransactionalProducer};
use sluice_schema::names::{Name, SinkName};
use tokio::{task::JoinSet, time::Instant};

use super::BenchArgs;
use crate::cli::exit::Failure;

/// Distinct keys.
const KEYS: u64 = 4096;
/// Bytes that values are cut from.
const POOL_BYTES: usize = 1 << 20;
/// Events between two looks at the clock.
const CLOCK_EVERY: u64 = 1024;

/// What writing reached.
#[derive(Debug, Default)]
pub struct Written {
    /// Events committed.
    pub events: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// From the first event to the last commit.
    pub took: Duration,
    /// Transactions committed.
    pub commits: u64,
    /// Time of each prepare, so of the events still on their way and the sync, ascending.
    pub prepare_times: Vec<Duration>,
    /// Time of each commit call, ascending.
    pub commit_times: Vec<Duration>,
}

/// Writes all events and waits for the last commit.
pub async fn measure(
    client: &Client,
    stream: &Arc<Stream>,
    args: &BenchArgs,
    progress: &ProgressBar,
) -> Result<Written, Failure> {
    let mut producers = Vec::new();
    for index in 0..args.producers {
        let name = Name::parse(&format!("{}-{index}", stream.name.name)).map_err(|e| Failure::new(e.to_string()))?;
        let sink = SinkName::new(stream.name.scope.clone(), name);
        producers.push(client.transactional_producer(&sink, TransactionOptions::default()).await?);
    }
    let pool: Arc<[u8]> = pool().into();
    let started = Instant::now();
    let mut running = JoinSet::new();
    for (index, producer) in producers.into_iter().enumerate() {
        let (count, index) = (u64::from(args.producers), index as u64);
        let share = args.events / count + u64::from(index < args.events % count);
        let load = Load {
            events: share,
            value_bytes: args.event_bytes as usize - 8,
            interval: args.commit_interval.into(),
            transaction_events: args.transaction_events,
            pool: pool.clone(),
            first_key: index * 1_000_003,
        };
        running.spawn(write(producer, stream.clone(), load, progress.clone()));
    }
    let mut all = Written::default();
    while let Some(ended) = running.join_next().await {
        let written = ended.map_err(|e| Failure::new(format!("a producer ended early: {e}")))??;
        all.events += written.events;
        all.commits += written.commits;
        all.prepare_times.extend(written.prepare_times);
        all.commit_times.extend(written.commit_times);
    }
    all.took = started.elapsed();
    all.bytes = all.events * u64::from(args.event_bytes);
    all.prepare_times.sort_unstable();
    all.commit_times.sort_unstable();
    Ok(all)
}

/// What one producer writes.
struct Load {
    events: u64,
    value_bytes: usize,
    interval: Duration,
    /// Of one transaction, if that ends it and not only the interval.
    transaction_events: Option<u64>,
    pool: Arc<[u8]>,
    first_key: u64,
}

async fn write(
    producer: TransactionalProducer,
    stream: Arc<Stream>,
    load: Load,
    progress: ProgressBar,
) -> Result<Written, Failure> {
    let producer = Arc::new(producer);
    let mut written = Written::default();
    let mut next = 0;
    // The next transaction is filled while the last one is committed, unless commits by themselves are what is measured.
    let mut committing: Option<tokio::task::JoinHandle<Result<Duration, Failure>>> = None;
    while next < load.events {
        let mut transaction = producer.begin();
        let began = Instant::now();
        let end = load.transaction_events.map_or(load.events, |events| load.events.min(next + events));
        while next < end {
            let chunk = CLOCK_EVERY.min(end - next);
            for event in next..next + chunk {
                let key = ((load.first_key + event) % KEYS).to_be_bytes();
                let at = (event as usize).wrapping_mul(97) % (POOL_BYTES - load.value_bytes.min(POOL_BYTES - 1));
                let value = &load.pool[at..at + load.value_bytes];
                transaction.send(&stream, Event::keyed(&key, value)).await?;
            }
            next += chunk;
            progress.inc(chunk);
            if began.elapsed() >= load.interval {
                break;
            }
        }
        let preparing = Instant::now();
        let prepared = transaction.prepare().await?;
        written.prepare_times.push(preparing.elapsed());
        if let Some(last) = committing.take() {
            written.commit_times.push(last.await.map_err(|e| Failure::new(e.to_string()))??);
        }
        written.events += prepared.events();
        written.commits += 1;
        let committer = producer.clone();
        let commit = async move {
            let began = Instant::now();
            committer.commit(&prepared).await?;
            Ok::<Duration, Failure>(began.elapsed())
        };
        match load.transaction_events {
            Some(_) => written.commit_times.push(commit.await?),
            None => committing = Some(tokio::spawn(commit)),
        }
    }
    if let Some(last) = committing {
        written.commit_times.push(last.await.map_err(|e| Failure::new(e.to_string()))??);
    }
    Ok(written)
}

/// Bytes that do not compress, the same in every run.
pub fn pool() -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(POOL_BYTES);
    while bytes.len() < POOL_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}
