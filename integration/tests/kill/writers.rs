//! The writers: two that wait for every answer and never stop, and hasty ones that give up answers and open anew.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use sluice_client::{Client, Event, ProducerOptions, Transaction, TransactionOptions, TransactionalProducer};
use sluice_integration::history::{
    self, Key, Opening, Outcome, Part, Stream, Time, Value, Write, WriteId, WriteKind, Writer,
};
use sluice_schema::names::SinkName;

use super::world::{Dice, EVENTS_PER_TRANSACTION, Watched, World, stream_name};

/// Appends events `n = 1, 2, 3, ...` under 10 keys until told to stop; answers how many were acknowledged.
pub async fn append(
    client: Client,
    world: World,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
) -> anyhow::Result<u64> {
    let (plain, writer) = (world.stream("plain"), world.recorder.writer("writer-1"));
    let producer = client.producer(&stream_name("plain"), "writer-1", ProducerOptions::default()).await?;
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        let events = events(writer, n as u32 + 1, 50, 10);
        let (asked, write) = sending(&world, plain.stream, writer, n + 1, &events);
        let mut last = None;
        for _ in 0..50 {
            n += 1;
            let (key, value) = (format!("key-{}", n % 10), n.to_string());
            last = Some(producer.send(Event::keyed(key.as_bytes(), value.as_bytes())).await?);
        }
        if let Some(last) = last {
            last.durable().await?;
            acknowledged.store(n, Ordering::Relaxed);
            committed(&world, write, asked, None);
        }
    }
    Ok(n)
}

/// Commits transactions `t = 0, 1, 2, ...`, each with the same events in two streams; answers how many.
pub async fn commit(client: Client, world: World, stop: Arc<AtomicBool>) -> anyhow::Result<u64> {
    let writer = world.recorder.writer("kill/sink");
    let producer = client.transactional_producer(&SinkName::parse("kill/sink")?, TransactionOptions::default()).await?;
    let left = Arc::new(client.stream(&stream_name("left")).await?);
    let right = Arc::new(client.stream(&stream_name("right")).await?);
    let mut t = 0;
    while !stop.load(Ordering::Relaxed) {
        let first = (t * EVENTS_PER_TRANSACTION) as u32;
        let key = |i: u64| Key((i % 7) as u16);
        let sent: Vec<_> = (0..EVENTS_PER_TRANSACTION)
            .map(|i| history::Event { key: key(i), value: Value { writer, n: first + i as u32 } })
            .collect();
        let streams = [world.stream("left").stream, world.stream("right").stream];
        let parts = streams.map(|stream| Part { stream, events: sent.clone() }).to_vec();
        let kind = WriteKind::Transaction { ordinal: t };
        let write = world.recorder.write(Write { writer, kind, parts, outcome: Outcome::Open });

        let mut transaction = producer.begin();
        for i in 0..EVENTS_PER_TRANSACTION {
            let (key, value) = (format!("key-{}", i % 7), format!("{t}:{i}"));
            let event = || Event::keyed(key.as_bytes(), value.as_bytes());
            transaction.send(&left, event()).await?;
            transaction.send(&right, event()).await?;
        }
        let asked = asking(&world, write);
        let commit = transaction.commit().await.with_context(|| format!("transaction {t}"))?;
        committed(&world, write, asked, Some(commit.commit_seq));
        ensure!(commit.events == 2 * EVENTS_PER_TRANSACTION, "{commit:?}");
        t += 1;
    }
    Ok(t)
}

/// Appends to the mixed stream; now and then it drops its producer with events under way and opens it anew.
pub async fn append_hastily(
    client: Client,
    world: World,
    name: String,
    seed: u64,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let (mixed, writer) = (world.stream("mixed"), world.recorder.writer(&name));
    let (mut dice, mut n) = (Dice(seed), 0);
    while !stop.load(Ordering::Relaxed) {
        let producer = client.producer(&stream_name("mixed"), &name, ProducerOptions::default()).await?;
        let mut sequence = producer.last_sequence();
        let at = world.recorder.now();
        world.recorder.opening(Opening { writer, stream: mixed.stream, last_sequence: sequence, at });
        let mut patience = 1 + dice.below(20);
        while patience > 0 && !stop.load(Ordering::Relaxed) {
            patience -= 1;
            let events = events(writer, n, 1 + dice.below(30) as u32, 10);
            n += events.len() as u32;
            let (asked, write) = sending(&world, mixed.stream, writer, sequence + 1, &events);
            sequence += events.len() as u64;
            let mut last = None;
            for event in &events {
                let (key, value) = (key_of(event.key), mixed.encode(event.value));
                last = Some(producer.send(Event::keyed(key.as_bytes(), value.as_bytes())).await?);
            }
            match last {
                Some(last) if patience > 0 => {
                    last.durable().await?;
                    committed(&world, write, asked, None);
                }
                // The answer is not waited for.
                _ => dice.pause(6).await,
            }
            dice.pause(10).await;
        }
    }
    Ok(())
}

/// A sink over the mixed and the other stream that aborts some transactions, leaves some open or prepared, and gives up
/// waiting for some commits; after the latter it opens anew.
pub struct HastySink {
    pub client: Client,
    pub world: World,
    pub name: String,
    pub seed: u64,
}

/// Whether a sink can go on with its producer.
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    OpenAnew,
}

impl HastySink {
    pub async fn run(self, stop: Arc<AtomicBool>) -> anyhow::Result<()> {
        let sink = SinkName::parse(&self.name)?;
        // Small blocks, so that also what is aborted was sent.
        let options = TransactionOptions { block_bytes: 512, ..TransactionOptions::default() };
        let (mut dice, mut n, mut ordinal) = (Dice(self.seed), 0, 0);
        while !stop.load(Ordering::Relaxed) {
            let producer = self.client.transactional_producer(&sink, options.clone()).await?;
            let mut next = Next::GoOn;
            while next == Next::GoOn && !stop.load(Ordering::Relaxed) {
                let events = 1 + dice.below(60) as u32;
                next = self.transaction(&producer, &mut dice, ordinal, n..n + events).await?;
                (n, ordinal) = (n + events, ordinal + 1);
                dice.pause(20).await;
            }
        }
        Ok(())
    }

    async fn transaction(
        &self,
        producer: &TransactionalProducer,
        dice: &mut Dice,
        ordinal: u64,
        ns: std::ops::Range<u32>,
    ) -> anyhow::Result<Next> {
        let world = &self.world;
        let writer = world.recorder.writer(&self.name);
        let events = events(writer, ns.start, ns.end - ns.start, 5);
        let watched = [world.stream("mixed"), world.stream("other")];
        let parts = watched.map(|watched| Part { stream: watched.stream, events: events.clone() }).to_vec();
        let kind = WriteKind::Transaction { ordinal };
        let write = world.recorder.write(Write { writer, kind, parts, outcome: Outcome::Open });

        let mut transaction = producer.begin();
        for watched in watched {
            self.send(&mut transaction, watched, &events).await?;
        }
        let fate = dice.below(16);
        match fate {
            0 | 1 => {
                transaction.abort().await?;
                world.recorder.outcome(write, Outcome::Aborted);
                return Ok(Next::GoOn);
            }
            // Dropped: it stays open, or is aborted behind our back.
            2 => return Ok(Next::GoOn),
            _ => {}
        }
        let prepared = transaction.prepare().await?;
        world.recorder.outcome(write, Outcome::Prepared);
        if fate == 3 {
            return Ok(Next::OpenAnew);
        }
        let asked = asking(world, write);
        let patience = if fate == 4 { Duration::from_micros(dice.below(8000)) } else { Duration::MAX };
        match tokio::time::timeout(patience, producer.commit(&prepared)).await {
            Ok(commit) => {
                committed(world, write, asked, Some(commit?.commit_seq));
                Ok(Next::GoOn)
            }
            Err(_) => Ok(Next::OpenAnew),
        }
    }

    async fn send(
        &self,
        transaction: &mut Transaction,
        watched: &Watched,
        events: &[history::Event],
    ) -> anyhow::Result<()> {
        let stream = Arc::new(self.client.stream(&stream_name(watched.name)).await?);
        for event in events {
            let (key, value) = (key_of(event.key), watched.encode(event.value));
            transaction.send(&stream, Event::keyed(key.as_bytes(), value.as_bytes())).await?;
        }
        Ok(())
    }
}

/// So many events of a writer from number `first` on.
fn events(writer: Writer, first: u32, count: u32, keys: u32) -> Vec<history::Event> {
    let event = |n: u32| history::Event { key: Key((n % keys) as u16), value: Value { writer, n } };
    (first..first + count).map(event).collect()
}

fn key_of(key: Key) -> String {
    format!("key-{}", key.0)
}

/// Records a plain append before it is sent.
fn sending(
    world: &World,
    stream: Stream,
    writer: Writer,
    first_sequence: u64,
    events: &[history::Event],
) -> (Time, WriteId) {
    let asked = world.recorder.now();
    let parts = vec![Part { stream, events: events.to_vec() }];
    let kind = WriteKind::Append { first_sequence };
    let write = world.recorder.write(Write { writer, kind, parts, outcome: Outcome::Unknown { asked } });
    (asked, write)
}

/// Records that a transaction's commit is about to be asked for.
fn asking(world: &World, write: WriteId) -> Time {
    let asked = world.recorder.now();
    world.recorder.outcome(write, Outcome::Unknown { asked });
    asked
}

fn committed(world: &World, write: WriteId, asked: Time, commit_seq: Option<u64>) {
    let answered = world.recorder.now();
    world.recorder.outcome(write, Outcome::Committed { asked, answered, commit_seq });
}
