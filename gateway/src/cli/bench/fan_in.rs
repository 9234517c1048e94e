//! `sluice bench fan-in`: many producers that each send a small event now and then, on few connections.
//!
//! Every producer has a schedule of its own, and the time of an event counts from when it was due, not from when it could be
//! sent: a gateway that falls behind cannot hide it by slowing its producers down.

use std::{collections::VecDeque, pin::pin, sync::Arc, time::Duration};

use clap::Args;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, future::Fuse};
use serde_json::{Value, json};
use sluice_client::{Client, Event, Producer, ProducerOptions, Sent, StreamSettings};
use sluice_schema::names::StreamName;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    process::{self, Usage},
    report::{cpu, millis, percentile},
    writing,
};
use crate::{
    cli::{
        Context,
        exit::{Failure, Outcome},
        output::{emit, note},
    },
    config::Span,
};

/// Producers that are opened at a time.
const OPENING: usize = 64;
/// Between the opening of the last producer and the first event.
const PAUSE: Duration = Duration::from_millis(200);
/// Events a producer has under way at most when it has no schedule.
const UNDER_WAY: usize = 64;

/// Measure many producers of small events: plain appends, one event per call, acknowledged when they are durable.
#[derive(Debug, Args)]
pub struct FanInArgs {
    /// Producers
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    producers: u32,
    /// Connections that the producers share
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    connections: u32,
    /// How long events are sent
    #[arg(long, default_value = "20s", value_name = "SPAN")]
    duration: Span,
    /// Events a second of all producers together; 0: as many as they can, each with 64 under way
    #[arg(long, default_value_t = 150_000, value_name = "N")]
    rate: u64,
    /// Bytes of the smallest event
    #[arg(long, default_value_t = 20, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    bytes_min: u32,
    /// Bytes of the largest event
    #[arg(long, default_value_t = 200, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    bytes_max: u32,
    /// How long an event waits for company, at most 5ms
    #[arg(long, default_value = "5ms", value_name = "SPAN")]
    linger: Span,
    /// Segments of the stream
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    segments: u32,
}

/// What was measured.
#[derive(Debug)]
struct FanIn {
    /// Events acknowledged.
    events: u64,
    /// Their bytes.
    bytes: u64,
    /// From the first event's time to the last acknowledgement.
    took: Duration,
    /// From an event's time to its acknowledgement, ascending.
    waits: Vec<Duration>,
    client: Option<Usage>,
    gateway: Option<Usage>,
}

pub async fn run(args: &FanInArgs, context: &Context) -> Outcome {
    if args.bytes_min > args.bytes_max {
        let text = format!("--bytes-min {} is more than --bytes-max {}", args.bytes_min, args.bytes_max);
        return Err(Failure::usage(text));
    }
    let client = &context.client;
    let stream = super::new_stream(client, StreamSettings::bytes(args.segments)).await?;
    let measured = measure(args, client, &stream).await;
    client.delete_stream(&stream).await?;
    let measured = measured?;
    emit(context.format, || text(args, &measured), || json(args, &measured))
}

async fn measure(args: &FanInArgs, client: &Client, stream: &StreamName) -> Result<FanIn, Failure> {
    note(format!("opening {} producers on {} connections", args.producers, args.connections));
    let producers = open(args, client, stream).await?;
    let pool: Arc<[u8]> = writing::pool().into();
    let (client_before, gateway_before) = (process::own(), process::of_listener(client.endpoint()));
    let started = Instant::now() + PAUSE;
    note(format!("sending for {}", args.duration));
    let mut running = JoinSet::new();
    for (index, producer) in producers.into_iter().enumerate() {
        let schedule = Schedule::of(args, started, index as u64);
        let sizes = Sizes { min: args.bytes_min, max: args.bytes_max, state: 0x9E37_79B9 + index as u64 };
        running.spawn(send(producer, schedule, sizes, pool.clone()));
    }
    let mut all = FanIn { events: 0, bytes: 0, took: Duration::ZERO, waits: Vec::new(), client: None, gateway: None };
    while let Some(ended) = running.join_next().await {
        let sent = ended.map_err(|e| Failure::new(format!("a producer ended early: {e}")))??;
        all.bytes += sent.bytes;
        all.took = all.took.max(sent.ended.saturating_duration_since(started));
        all.waits.extend(sent.waits);
    }
    all.events = all.waits.len() as u64;
    all.waits.sort_unstable();
    all.client = Usage::since(process::own(), client_before);
    all.gateway = Usage::since(process::of_listener(client.endpoint()), gateway_before);
    let committed = super::events_of(client, stream).await?;
    if committed != all.events {
        let text = format!("{} events were acknowledged, but the stream has {committed}", all.events);
        return Err(Failure::damaged(text));
    }
    Ok(all)
}

/// The producers, one after another on each of the connections.
async fn open(args: &FanInArgs, client: &Client, stream: &StreamName) -> Result<Vec<Producer>, Failure> {
    let connections = (0..args.connections).map(|_| Client::new(client.endpoint())).collect::<Result<Vec<_>, _>>()?;
    let options = ProducerOptions { linger: args.linger.into(), shared_connection: true, ..ProducerOptions::default() };
    let opened = futures::stream::iter(0..args.producers).map(|number| {
        let connection = connections[(number % args.connections) as usize].clone();
        let options = options.clone();
        async move { connection.producer(stream, &format!("fan-in-{number}"), options).await }
    });
    Ok(opened.buffer_unordered(OPENING).try_collect().await?)
}

/// When a producer's events are due.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    first: Instant,
    /// Between two events; `None`: no schedule.
    every: Option<Duration>,
    end: Instant,
}

impl Schedule {
    /// Producers take turns, so that the events of all are due evenly.
    fn of(args: &FanInArgs, started: Instant, index: u64) -> Self {
        let end = started + args.duration.into();
        if args.rate == 0 {
            return Self { first: started, every: None, end };
        }
        let seconds = |events: u64| Duration::from_secs_f64(events as f64 / args.rate as f64);
        Self { first: started + seconds(index), every: Some(seconds(u64::from(args.producers))), end }
    }

    /// When the event with this number, from 0, is due; `None`: there are no more.
    fn due(&self, number: u64, now: Instant) -> Option<Instant> {
        let due = match self.every {
            Some(every) => self.first + every.mul_f64(number as f64),
            None => now.max(self.first),
        };
        (due < self.end).then_some(due)
    }
}

/// Pseudo-random sizes, all equally likely.
struct Sizes {
    min: u32,
    max: u32,
    state: u64,
}

impl Sizes {
    fn next(&mut self) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.min as usize + (self.state % u64::from(self.max - self.min + 1)) as usize
    }
}

/// What one producer sent.
struct ProducerSent {
    bytes: u64,
    ended: Instant,
    waits: Vec<Duration>,
}

async fn send(
    producer: Producer,
    schedule: Schedule,
    mut sizes: Sizes,
    pool: Arc<[u8]>,
) -> Result<ProducerSent, Failure> {
    let mut sent = ProducerSent { bytes: 0, ended: schedule.first, waits: Vec::new() };
    let mut number = 0;
    // Acknowledgements come in order, so only the oldest event's is waited for.
    let mut under_way: VecDeque<(Instant, Sent)> = VecDeque::new();
    let mut oldest_due = None;
    let mut oldest = pin!(Fuse::terminated());
    loop {
        let next = loop {
            let now = Instant::now();
            let full = schedule.every.is_none() && under_way.len() >= UNDER_WAY;
            let Some(due) = schedule.due(number, now).filter(|due| *due <= now && !full) else {
                break schedule.due(number, now).filter(|_| !full);
            };
            let size = sizes.next();
            let at = (number as usize).wrapping_mul(97) % (pool.len() - size);
            under_way.push_back((due, producer.send(Event::new(&pool[at..at + size])).await?));
            sent.bytes += size as u64;
            number += 1;
        };
        if oldest_due.is_none()
            && let Some((due, event)) = under_way.pop_front()
        {
            oldest.set(event.durable().fuse());
            oldest_due = Some(due);
        }
        tokio::select! {
            biased;
            durable = &mut oldest, if oldest_due.is_some() => {
                durable?;
                sent.ended = Instant::now();
                sent.waits.extend(oldest_due.take().map(|due| sent.ended - due));
            }
            () = sleep_until(next.unwrap_or(schedule.end)), if next.is_some() => {}
            else => return Ok(sent),
        }
    }
}

fn text(args: &FanInArgs, measured: &FanIn) -> String {
    let waited = |percent| millis(percentile(&measured.waits, percent));
    let mut text = format!(
        "{} producers on {} connections, events of {} to {} bytes\n\n{:.0} events/s, {:.1} MB/s ({} events in {:.2} s)\n",
        args.producers,
        args.connections,
        args.bytes_min,
        args.bytes_max,
        measured.events as f64 / measured.took.as_secs_f64(),
        measured.bytes as f64 / 1e6 / measured.took.as_secs_f64(),
        measured.events,
        measured.took.as_secs_f64(),
    );
    text.push_str(&format!(
        "acknowledged after {:.1} ms (median), {:.1} ms (99 %), {:.1} ms (longest)\n",
        waited(50),
        waited(99),
        waited(100)
    ));
    if let (Some(client), Some(gateway)) = (measured.client, measured.gateway) {
        text.push_str(&cpu(&client, &gateway));
    }
    text
}

fn json(args: &FanInArgs, measured: &FanIn) -> Value {
    let waited = |percent| millis(percentile(&measured.waits, percent));
    let seconds = measured.took.as_secs_f64();
    json!({
        "producers": args.producers,
        "connections": args.connections,
        "rate": args.rate,
        "events": measured.events,
        "bytes": measured.bytes,
        "seconds": seconds,
        "events_per_second": measured.events as f64 / seconds,
        "bytes_per_second": measured.bytes as f64 / seconds,
        "acknowledged_ms_median": waited(50),
        "acknowledged_ms_p99": waited(99),
        "acknowledged_ms_max": waited(100),
        "client": measured.client.map(Usage::json),
        "gateway": measured.gateway.map(Usage::json),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(rate: u64) -> FanInArgs {
        FanInArgs {
            producers: 4,
            connections: 2,
            duration: Span::from_seconds(2),
            rate,
            bytes_min: 20,
            bytes_max: 200,
            linger: Span::from_millis(5),
            segments: 2,
        }
    }

    #[test]
    fn producers_take_turns_until_the_end() {
        let started = Instant::now();
        let due = |index, number| Schedule::of(&args(8), started, index).due(number, started).map(|due| due - started);
        let second = Duration::from_secs(1);
        assert_eq!([due(0, 0), due(1, 0), due(3, 0)], [Some(Duration::ZERO), Some(second / 8), Some(second * 3 / 8)]);
        assert_eq!([due(3, 3), due(0, 4)], [Some(second * 15 / 8), None], "each has four of the sixteen events");
    }

    #[test]
    fn without_a_rate_the_next_event_is_always_due() {
        let started = Instant::now();
        let schedule = Schedule::of(&args(0), started, 3);
        let now = started + Duration::from_secs(1);
        assert_eq!(schedule.due(1_000_000, now), Some(now));
        assert_eq!(schedule.due(1_000_000, now + Duration::from_secs(1)), None);
    }

    #[test]
    fn sizes_fill_their_range() {
        let mut sizes = Sizes { min: 20, max: 22, state: 7 };
        let found: std::collections::BTreeSet<usize> = (0..1000).map(|_| sizes.next()).collect();
        assert_eq!(Vec::from_iter(found), [20, 21, 22]);
    }
}
