//! Crash images: a workload runs over a disk that keeps every call, through a restart in the middle. Afterwards the machine loses power
//! after each call, with every kind of loss, and each disk that could be found then is opened and checked against what callers had been told by
//! that call.
//!
//! `CRASH_IMAGES=n` makes about so many images, `CRASH_TRACES=from..to` takes the traces of these seeds instead. A failure prints the
//! trace, the call and what survived, keeps the data directory that was found, and says how to make the images of that trace again. What a
//! seed decides is the same each time; which blocks that are copied forward share a frame is not.

use std::{
    collections::HashSet,
    ops::Range,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use futures::FutureExt as _;
use sluice_txn::ledger::Records as _;

use super::{
    kit::{Place, World, segment, small},
    promises::{check, goes_on, keep},
    workload::{Sent, Told, Workload},
};
use crate::{
    env::{Call, Image, MemDisk, Replay, Survivors, TracedDisk},
    store::Options,
};

const IMAGES: usize = 600;
const IMAGES_PER_TRACE: usize = 400;
const STEPS: usize = 120;
/// Whoever is answered before a sync, or sees what it makes durable, is early by this much.
const SYNC_TAKES: Duration = Duration::from_micros(300);
const LOOK_EVERY: Duration = Duration::from_micros(40);
/// Of the cases decided by a seed so many are made at each call.
const SEEDS_PER_CALL: u64 = 6;
/// With so many images each kind of loss must have come up this often.
const IMAGES_THAT_TELL: usize = 2000;
const TIMES_MIN: usize = 50;

fn options() -> Options {
    Options { sync_bytes: 24 << 10, ..small() }
}

/// A run of the workload: its calls, and what callers had been told after so many of them.
struct Traced {
    seed: u64,
    calls: Vec<Call>,
    told: Vec<(usize, Told)>,
    /// Ends of the segments as readers saw them, after so many calls.
    seen: Vec<(usize, [u64; 2])>,
    sent: Sent,
}

/// Somebody who looks at the ends of the segments all the time.
struct Reader {
    ends: Arc<AtomicBool>,
    looking: JoinHandle<Vec<(usize, [u64; 2])>>,
}

impl Reader {
    fn of(world: &World, disk: &TracedDisk) -> Self {
        let (store, disk, ends) = (world.store.clone(), disk.clone(), Arc::new(AtomicBool::new(false)));
        let is_over = Arc::clone(&ends);
        let looking = std::thread::spawn(move || {
            let mut seen: Vec<(usize, [u64; 2])> = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let now = [0, 1].map(|number| store.segment(segment(number)).unwrap().unwrap().next_offset);
                // Asked afterwards: it was seen by then.
                let calls = disk.calls_made();
                if seen.last().is_none_or(|(_, before)| *before != now) {
                    seen.push((calls, now));
                }
                std::thread::sleep(LOOK_EVERY);
            }
            seen
        });
        Reader { ends, looking }
    }

    fn end(self) -> Vec<(usize, [u64; 2])> {
        self.ends.store(true, Ordering::Relaxed);
        self.looking.join().unwrap()
    }
}

async fn traced(seed: u64) -> Traced {
    let disk = TracedDisk::over(MemDisk::new()).with_syncs_of(SYNC_TAKES);
    let mut world: World = Place::Traced(disk.clone()).found(options()).await;
    // Losing power in the middle of founding a store leaves none; that is looked at in `crash`.
    let mut workload = Workload::new(&world, seed).await;
    let mut told = vec![(disk.calls_made(), workload.told.clone())];
    let (mut seen, mut reader) = (Vec::new(), Reader::of(&world, &disk));
    for step in 0..STEPS {
        if step == STEPS / 2 {
            seen.extend(reader.end());
            world = world.close().await.open(options());
            reader = Reader::of(&world, &disk);
        }
        workload.step(&world).await;
        told.push((disk.calls_made(), workload.told.clone()));
    }
    seen.extend(reader.end());
    world.close().await;
    assert!(workload.errors.is_empty(), "trace {seed}: {:?}", workload.errors);
    Traced { seed, calls: disk.calls(), told, seen, sent: workload.sent }
}

#[derive(Default)]
struct Counts {
    images: usize,
    torn: usize,
    lost: usize,
    reordered: usize,
    distinct: HashSet<u64>,
}

impl Counts {
    fn add(&mut self, image: &Image, digest: u64) {
        self.distinct.insert(digest);
        self.images += 1;
        self.torn += usize::from(image.torn);
        self.lost += usize::from(image.lost);
        self.reordered += usize::from(image.reordered);
    }
}

impl Traced {
    /// What callers had been told after so many calls; `None`: the store was not there yet.
    fn told_after(&self, calls: usize) -> Option<&Told> {
        self.told.iter().rev().find(|(after, _)| *after <= calls).map(|(_, told)| told)
    }

    /// Makes about so many images, spread over all calls that change anything, and checks each. Two equal ones are checked once, unless
    /// callers were told more in between.
    async fn images(&self, wanted: usize, counts: &mut Counts) {
        let first = self.told[0].0;
        let changing = self.calls.iter().skip(first).filter(|call| call.changes()).count();
        let (mut replay, mut due, mut checked) = (Replay::default(), 0, HashSet::new());
        for (index, call) in self.calls.iter().enumerate() {
            replay.step(call);
            let Some(told) = self.told_after(index + 1).filter(|_| call.changes()) else { continue };
            due += wanted;
            if due < changing {
                continue;
            }
            let seed = self.seed << 32 | index as u64;
            let mut cases = Survivors::cases(&replay.disk().unsynced(), 0..SEEDS_PER_CALL);
            let take = (due / changing).min(cases.len());
            due %= changing;
            // Other cases at each call, in an order that belongs to the seed.
            cases.sort_by_cached_key(|case| crc32c::crc32c(format!("{seed} {case:?}").as_bytes()));
            for case in cases.into_iter().take(take) {
                let case = if let Survivors::Some(n) = case { Survivors::Some(seed << 8 | n) } else { case };
                let image = case.of(replay.disk());
                let digest = image.disk.digest();
                counts.add(&image, digest);
                let since = self.told.partition_point(|(after, _)| *after <= index + 1);
                if checked.insert((digest, since)) {
                    self.check(index + 1, replay.disk(), case, told).await;
                }
            }
        }
    }

    async fn check(&self, calls: usize, disk: &MemDisk, case: Survivors, told: &Told) {
        let checked = async {
            let world = Place::Memory(case.of(disk).disk).open(options());
            assert_eq!(world.recovery.damage, []);
            check(&world, told, &self.sent, None).await;
            let seen = self.seen.iter().rev().find(|(after, _)| *after <= calls).map_or([0; 2], |(_, seen)| *seen);
            for (number, end) in (0..).zip(seen) {
                let found = world.store.segment(segment(number)).unwrap().unwrap().next_offset;
                assert!(found >= end, "readers saw segment {number} up to {end}, it ends at {found}");
            }
            goes_on(world, &options()).await;
        };
        if let Err(panic) = AssertUnwindSafe(checked).catch_unwind().await {
            let seed = self.seed;
            let call: String = format!("{:?}", self.calls[calls - 1]).chars().take(200).collect();
            eprintln!("trace {seed}, power lost after call {calls} of {}: {call}", self.calls.len());
            eprintln!("what survived of the unsynced changes: {case:?}");
            let found = case.of(disk).disk;
            eprintln!("the data directory: {}", keep(&found, &format!("{seed}-{calls}")).display());
            eprintln!("again: CRASH_TRACES={seed}..{} cargo test -p sluice-segment every_image", seed + 1);
            std::panic::resume_unwind(panic);
        }
    }
}

/// The seeds of the traces to make, and how many images of all of them will do.
fn wanted() -> (Range<u64>, usize) {
    let images = std::env::var("CRASH_IMAGES").map_or(IMAGES, |count| count.parse().expect("CRASH_IMAGES is a number"));
    let Ok(given) = std::env::var("CRASH_TRACES") else { return (0..u64::MAX, images) };
    let ends = given.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    (ends.expect("CRASH_TRACES is from..to"), usize::MAX)
}

/// Each disk that a crash may leave holds all that was promised by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_image_keeps_what_was_promised() {
    let mut counts = Counts::default();
    let (traces, wanted) = wanted();
    for seed in traces {
        if counts.images >= wanted {
            break;
        }
        // So that a trace alone gives the same images as among others.
        traced(seed).await.images(IMAGES_PER_TRACE, &mut counts).await;
    }
    let Counts { images, torn, lost, reordered, distinct } = counts;
    let distinct = distinct.len();
    println!("images {images}, distinct {distinct}, tears {torn}, lost unsynced {lost}, reordered {reordered}");
    if images >= IMAGES_THAT_TELL {
        for (kind, times) in [("distinct", distinct), ("tears", torn), ("lost", lost), ("reordered", reordered)] {
            assert!(times >= TIMES_MIN, "vacuous: {kind} {times} times in {images} images");
        }
    }
    assert!(distinct * 3 > images, "vacuous: only {distinct} of {images} images differ");
}
