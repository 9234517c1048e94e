//! Writers that are held back: by what, who is not, and what ends it.

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use sluice_proto::storage::v1::AbortReason;
use sluice_schema::{
    ids::{Offset, TransactionId},
    names::StreamName,
};
use sluice_txn::{
    ledger::Records as _,
    protocol::{ErrorClass, events, streams, transactions},
};

use super::kit::{Place, STREAM, World, group, info, publish, segment, small, txn};
use crate::{
    env::MemDisk,
    log::Block,
    store::{Error, Options, Wait},
};

const LIMIT_BYTES: u64 = 5000;
/// What must come comes within this; nothing is concluded from how long it took.
const SOON: Duration = Duration::from_secs(30);

fn tight() -> Options {
    Options { unpublished_limit_bytes: LIMIT_BYTES, ..small() }
}

fn bytes(length: usize) -> Bytes {
    Bytes::from(vec![7; length])
}

/// A store whose backlog is above its limit.
async fn held() -> World {
    let world = Place::Memory(MemDisk::new()).found(tight()).await;
    world.append(0, bytes(3000), 1).await.unwrap();
    world.append(0, bytes(3000), 1).await.unwrap();
    assert!(world.store.backlog().holds_writers());
    world
}

/// Polls once: a command that may go on has its turn in the queue then, one that is held back waits.
async fn waits<T>(command: Pin<&mut impl Future<Output = T>>) -> bool {
    tokio::select! {
        biased;
        _ = command => false,
        () = std::future::ready(()) => true,
    }
}

async fn soon<T>(command: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, command).await.expect("it was held back")
}

impl World {
    async fn publish(&self, number: u32) {
        publish(&self.store, segment(number)).await;
    }

    async fn abort(&self, id: TransactionId) -> Result<AbortReason, Error> {
        let abort = self.store.execute(Vec::new(), Wait::Durable, move |draft, _, now| {
            transactions::abort(draft, id, AbortReason::Client, now)
        });
        abort.await
    }

    /// What the extents of the stream hold, counted one by one.
    fn counted(&self) -> u64 {
        let extents = |number| {
            self.store.extents(segment(number), Offset::ZERO, Offset::new(u64::MAX), usize::MAX).unwrap().into_iter()
        };
        let lengths = (0..2).flat_map(extents).map(|(_, extent)| extent.block.unwrap().at.unwrap().length);
        lengths.map(u64::from).sum()
    }

    #[track_caller]
    fn assert_counted(&self, expected: u64) {
        assert_eq!((self.store.backlog().unpublished_bytes, self.counted()), (expected, expected));
        self.check_invariants();
    }
}

#[tokio::test]
async fn writers_wait_above_the_limit_and_go_on_after_a_publication() {
    let world = held().await;
    let mut append = Box::pin(world.append(1, bytes(10), 1));
    assert!(waits(append.as_mut()).await);
    world.publish(0).await;
    assert_eq!(soon(append).await.unwrap(), 0);
    world.assert_counted(10);
    world.close().await;
}

#[tokio::test]
async fn who_makes_the_backlog_smaller_or_visible_is_not_held_back() {
    let world = Place::Memory(MemDisk::new()).found(tight()).await;
    let epoch = world.open_writer(0).await;
    world.begin(txn(1), 0, epoch).await.unwrap();
    world.begin(txn(2), 0, epoch).await.unwrap();
    world.chunk(txn(1), 0, 1, bytes(10)).await.unwrap();
    world.append(0, bytes(6000), 1).await.unwrap();

    let mut chunk = Box::pin(world.chunk(txn(2), 0, 1, bytes(10)));
    assert!(waits(chunk.as_mut()).await, "blocks of transactions wait, too");
    soon(world.prepare(txn(1))).await.unwrap();
    assert_eq!(soon(world.commit(group(1, None, txn(1)))).await.unwrap().events, 1);
    world.assert_counted(6010);
    soon(world.abort(txn(2))).await.unwrap();
    soon(world.publish(0)).await;
    assert!(matches!(soon(chunk).await, Err(Error::Refused(_))), "its transaction was aborted meanwhile");
    world.close().await;
}

#[tokio::test]
async fn a_transaction_larger_than_the_limit_is_written_and_committed() {
    let world = Place::Memory(MemDisk::new()).found(tight()).await;
    let epoch = world.open_writer(0).await;
    world.begin(txn(1), 0, epoch).await.unwrap();
    for seq in 0..10 {
        soon(world.chunk(txn(1), seq, 0, bytes(3000))).await.unwrap();
    }
    world.assert_counted(0);
    soon(world.prepare(txn(1))).await.unwrap();
    soon(world.commit(group(1, None, txn(1)))).await.unwrap();
    world.assert_counted(30_000);
    assert!(world.store.backlog().holds_writers());
    world.close().await;
}

#[tokio::test]
async fn the_backlog_is_right_after_every_change_and_every_start() {
    for place in Place::both() {
        let mut world = place.found(small()).await;
        let epoch = world.open_writer(0).await;
        world.append(0, bytes(100), 1).await.unwrap();
        world.append(1, bytes(20), 1).await.unwrap();
        world.begin(txn(1), 0, epoch).await.unwrap();
        world.chunk(txn(1), 0, 1, bytes(3)).await.unwrap();
        world.prepare(txn(1)).await.unwrap();
        world.assert_counted(120);
        world.commit(group(1, None, txn(1))).await.unwrap();
        world.assert_counted(123);
        world = world.close().await.open(small());
        world.assert_counted(123);
        world.publish(0).await;
        world.assert_counted(23);
        world.store.snapshot().await.unwrap();
        world.append(0, bytes(400), 1).await.unwrap();
        world = world.close().await.open(small());
        world.assert_counted(423);
        let name = StreamName::parse("s/t").unwrap();
        let delete =
            world.store.execute(Vec::new(), Wait::Durable, move |draft, _, _| streams::delete_stream(draft, &name));
        delete.await.unwrap();
        world.assert_counted(0);
        world = world.close().await.open(small());
        world.assert_counted(0);
        world.close().await;
    }
}

#[tokio::test]
async fn commands_of_one_caller_keep_their_order() {
    let world = held().await;
    let (writer, epoch) = world.writer("w").await;
    let store = world.store.clone();
    let sending = tokio::spawn(async move {
        let mut answers = Vec::new();
        for first_seq in 1..=50 {
            let share = events::Contribution { writer, epoch, first_seq, rows: 1 };
            let submit = store.submit(vec![Block::new(bytes(10))], Wait::Durable, move |draft, refs, now| {
                events::append(draft, STREAM, &[share], vec![(segment(1).segment, info(&refs[0], 1))], now)
            });
            answers.push(submit.await.unwrap());
        }
        for answer in answers {
            answer.await.unwrap().unwrap();
        }
    });
    tokio::task::yield_now().await;
    assert_eq!(world.store.segment(segment(1)).unwrap().unwrap().next_offset, 0);
    world.publish(0).await;
    soon(sending).await.unwrap();
    assert_eq!(world.store.segment(segment(1)).unwrap().unwrap().next_offset, 50);
    world.close().await;
}

#[tokio::test]
async fn writers_are_refused_when_nothing_is_published_for_long() {
    let world = Place::Memory(MemDisk::new()).found(tight()).await;
    let epoch = world.open_writer(0).await;
    world.begin(txn(1), 0, epoch).await.unwrap();
    world.chunk(txn(1), 0, 1, bytes(10)).await.unwrap();
    world.prepare(txn(1)).await.unwrap();
    world.append(0, bytes(6000), 1).await.unwrap();

    let minute = Duration::from_millis(tight().held_ms_max);
    let mut append = Box::pin(world.append(1, bytes(10), 1));
    world.store.maintain().await.unwrap();
    world.clock.advance(minute - Duration::from_millis(1));
    world.store.maintain().await.unwrap();
    assert!(waits(append.as_mut()).await);
    world.commit(group(1, None, txn(1))).await.unwrap();
    world.publish(1).await;
    world.clock.advance(Duration::from_millis(1));
    world.store.maintain().await.unwrap();
    assert!(world.store.backlog().holds_writers());
    assert!(waits(append.as_mut()).await, "it is still too much, but publication goes on");

    world.clock.advance(minute);
    world.store.maintain().await.unwrap();
    let Err(error) = soon(append).await else { panic!("it was taken") };
    let clear = |text: &str| text.contains("limits.unpublished_bytes") && text.contains("60 s");
    assert!(matches!(&error, Error::HeldBack(text) if clear(text)), "{error}");
    assert_eq!(error.into_refusal().class(), ErrorClass::Retriable);
    let refused = soon(world.append(1, bytes(10), 1)).await;
    assert!(matches!(refused, Err(Error::HeldBack(_))), "at once, until something is published: {refused:?}");

    world.publish(0).await;
    soon(world.append(1, bytes(10), 1)).await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn closing_ends_who_waits() {
    let world = held().await;
    let mut append = Box::pin(world.append(1, bytes(10), 1));
    assert!(waits(append.as_mut()).await);
    world.store.close().await;
    assert!(matches!(soon(append).await, Err(Error::Stopped(_))));
}

/// The disk needs the backlog's room twice. One that is nearly full refuses events: no one waits to learn that.
#[tokio::test]
async fn no_more_waits_than_half_of_what_the_disk_has_room_for() {
    const MIB: u64 = 1 << 20;
    let disk = MemDisk::new();
    let world = Place::Memory(disk.clone()).found(Options::default()).await;
    let (limit, block) = (Options::default().unpublished_limit_bytes, bytes(4 << 20));
    assert_eq!(world.store.backlog().limit_bytes, limit, "a disk that does not tell");
    for _ in 0..5 {
        world.append(0, block.clone(), 1).await.unwrap();
    }
    for (free, limit) in [(1 << 40, limit), (21 * MIB, 20 * MIB + MIB / 2), (20 * MIB, 20 * MIB)] {
        disk.set_free_bytes(free);
        world.store.maintain().await.unwrap();
        assert_eq!(world.store.backlog().limit_bytes, limit);
        assert!(!world.store.backlog().holds_writers());
    }
    disk.set_free_bytes(20 * MIB - 2);
    world.store.maintain().await.unwrap();
    let mut append = Box::pin(world.append(0, block.clone(), 1));
    assert!(waits(append.as_mut()).await);

    disk.set_free_bytes(15 * MIB);
    world.store.maintain().await.unwrap();
    let refused = soon(append).await;
    assert!(matches!(&refused, Err(Error::Full(text)) if text.contains("the disk is full")), "{refused:?}");
    world.close().await;
}

#[tokio::test]
async fn copying_blocks_forward_is_not_held_back() {
    let world = Place::Memory(MemDisk::new()).found(small()).await;
    // One live block in each file, the rest dead: the blocks of an aborted transaction.
    let epoch = world.open_writer(0).await;
    for number in 0..30u128 {
        world.append(0, bytes(1000), 1).await.unwrap();
        world.begin(txn(number), 0, epoch).await.unwrap();
        world.chunk(txn(number), 0, 0, bytes(30_000)).await.unwrap();
        world.abort(txn(number)).await.unwrap();
    }
    let world = world.close().await.open(Options { unpublished_limit_bytes: 1, ..small() });
    assert!(world.store.backlog().holds_writers());
    let report = soon(world.store.maintain()).await.unwrap();
    assert!(report.bytes_copied > 0, "{report:?}");
    world.assert_counted(30_000);
    world.close().await;
}
