//! Writers that are held back go on because of the tierer, however the backlog is spread.

use tokio::sync::watch;

use super::super::task::writers_held;
use super::*;
use crate::store::tests::kit::publish;

/// Each far below `file_bytes_min`, all together above the limit.
const SEGMENTS: u32 = 40;
const LIMIT_BYTES: u64 = 4000;
/// What must come comes within this; nothing is concluded from how long it took.
const SOON: Duration = Duration::from_secs(60);

fn tight() -> store::Options {
    store::Options { unpublished_limit_bytes: LIMIT_BYTES, ..store::Options::default() }
}

/// Only writers that are held back can make this one look.
fn lazy() -> Options {
    Options { interval_ms: 3_600_000, ..small() }
}

async fn world(options: store::Options) -> World {
    let (world, _) = World::start_with(MemDisk::new(), START_MS, options).await;
    world.create_of(SEGMENTS).await;
    world
}

impl World {
    /// Ten rows for each segment, `round` after `round`; answers the largest backlog seen.
    async fn write(&self, rounds: std::ops::Range<i64>) -> u64 {
        let mut most = 0;
        for round in rounds {
            for number in 0..SEGMENTS {
                self.append_soon(segment(number), round * 10..round * 10 + 10).await;
                most = most.max(self.store.backlog().unpublished_bytes);
            }
        }
        most
    }

    async fn append_soon(&self, id: SegmentId, rows: std::ops::Range<i64>) {
        tokio::time::timeout(SOON, self.append(id, rows)).await.expect("writers are held back for ever");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_segments_are_published_as_far_as_writers_need_it() {
    let mut world = world(tight()).await;
    let block = {
        world.append(segment(0), 0..10).await;
        world.store.backlog().unpublished_bytes
    };
    assert!(block * u64::from(SEGMENTS) > LIMIT_BYTES && block * 4 < small().policy.file_bytes_min, "{block}");
    let (tier, tierer) = Tier::new(world.store.clone(), lazy());
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(tierer.run(stopped));
    world.tier = tier;
    for number in 1..SEGMENTS {
        world.append_soon(segment(number), 0..10).await;
    }
    let most = world.write(1..20).await;
    assert!(most > LIMIT_BYTES, "nobody was held back");
    assert!(most <= LIMIT_BYTES + block, "{most}: one writer, so one block above the limit");
    stop.send(true).unwrap();
    task.await.unwrap();
    for number in 0..SEGMENTS {
        world.check(segment(number), 200).await;
    }
    let backlog = world.store.backlog();
    assert!(backlog.unpublished_bytes > LIMIT_BYTES / 2, "{backlog:?}: more was published than writers need");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_segments_are_published_first() {
    let mut world = world(tight()).await;
    for number in 0..8 {
        world.append_soon(segment(number), 0..10).await;
    }
    world.append_soon(segment(5), 10..300).await;
    assert!(world.store.backlog().holds_writers());
    let published: Vec<_> = world.tierer.look().await.into_iter().map(|file| file.segment).collect();
    assert_eq!(published, [segment(5)], "and then nobody waits any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_that_are_held_back_from_the_start_go_on() {
    let world = world(store::Options::default()).await;
    assert!(world.write(0..10).await > LIMIT_BYTES);
    world.store.close().await;
    let (mut world, _) = World::start_with(world.disk.inner.crash(1), START_MS, tight()).await;
    assert!(world.store.backlog().holds_writers());
    let (tier, tierer) = Tier::new(world.store.clone(), lazy());
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(tierer.run(stopped));
    world.tier = tier;
    world.write(10..11).await;
    stop.send(true).unwrap();
    task.await.unwrap();
    for number in 0..SEGMENTS {
        world.check(segment(number), 110).await;
    }
}

/// What fails would be tried without a pause otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_published_nothing_does_not_lead_to_the_next() {
    let world = world(tight()).await;
    let mut backlog = world.store.watch_backlog();
    let mut wakes = async || {
        tokio::select! {
            biased;
            () = writers_held(&mut backlog) => true,
            () = std::future::ready(()) => false,
        }
    };
    for number in 0..2 {
        world.append_soon(segment(number), 0..100).await;
    }
    assert!(!wakes().await, "nobody is held back");
    world.append_soon(segment(2), 0..600).await;
    assert!(wakes().await);
    assert!(!wakes().await);
    publish(&world.store, segment(0)).await;
    assert!(wakes().await, "others are still to be published");
    assert!(!wakes().await);
    publish(&world.store, segment(2)).await;
    assert!(!wakes().await, "nobody is held back any more");
}
