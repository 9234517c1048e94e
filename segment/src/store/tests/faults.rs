//! Disks that are full, and disks that fail.

use std::io::ErrorKind;

use bytes::Bytes;
use sluice_txn::ledger::Records as _;

use super::kit::{Place, World, segment, small, txn};
use crate::{
    env::{CallKind, MemDisk},
    store::{Error, Options, Wait},
};

async fn world() -> (MemDisk, World) {
    let disk = MemDisk::new();
    let world = Place::Memory(disk.clone()).found(small()).await;
    world.append(0, Bytes::from_static(b"first"), 1).await.unwrap();
    (disk, world)
}

/// Waits until the store had nothing to do for a while: it syncs and marks then.
async fn idle() {
    tokio::time::sleep(std::time::Duration::from_millis(350)).await;
}

async fn is_stopped(world: &World) {
    assert!(matches!(world.append(0, Bytes::from_static(b"later"), 1).await, Err(Error::Stopped(_))));
    // The callers are told first, the process right after.
    for _ in 0..100 {
        if world.fatal.lock().unwrap().is_some() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the process was not told");
}

#[tokio::test]
async fn a_full_disk_refuses_one_command_and_no_more() {
    let (disk, world) = world().await;
    disk.fail(CallKind::Write, 1, ErrorKind::StorageFull);
    let refused = world.append(0, Bytes::from_static(b"no space"), 1).await;
    assert!(matches!(refused, Err(Error::Full(_))), "{refused:?}");
    assert_eq!(world.append(0, Bytes::from_static(b"space again"), 1).await.unwrap(), 1);
    assert_eq!(*world.fatal.lock().unwrap(), None);
    let expected = world.committed(0).await;
    let world = world.close().await.open(small());
    assert_eq!(world.committed(0).await, expected);
    world.close().await;
}

/// An index that takes no changes ends the store, busy or idle; the next start builds another one.
#[tokio::test]
async fn an_index_that_fails_ends_the_store() {
    for busy in [true, false] {
        let world = Place::real().found(small()).await;
        world.append(0, Bytes::from_static(b"first"), 1).await.unwrap();
        idle().await;
        let expected = world.committed(0).await;
        let broken = sluice_txn::ledger::Error::Engine { engine: "test", message: "no more room".into() };
        world.store.shared.table.fail(broken);
        if busy {
            let refused = world.append(0, Bytes::from_static(b"lost?"), 1).await;
            assert!(matches!(&refused, Err(Error::Stopped(why)) if why.contains("no more room")), "{refused:?}");
        } else {
            idle().await;
            assert!(world.fatal.lock().unwrap().is_some(), "the process was not told");
        }
        is_stopped(&world).await;
        let place = world.close().await;
        let world = place.open(small());
        assert!(world.index_rebuilt);
        assert!(world.committed(0).await.starts_with(&expected));
        world.check_invariants();
        world.close().await;
    }
}

/// The next file of the log cannot be made: refused as well, and made once there is space.
#[tokio::test]
async fn a_full_disk_where_a_log_file_begins() {
    for kind in [CallKind::Open, CallKind::Write] {
        let (disk, world) = world().await;
        world.append(0, Bytes::from(vec![1; 70 << 10]), 1).await.unwrap();
        disk.fail(kind, 1, ErrorKind::StorageFull);
        let refused = world.append(0, Bytes::from_static(b"no space"), 1).await;
        assert!(matches!(refused, Err(Error::Full(_))), "{kind:?}: {refused:?}");
        assert_eq!(world.append(0, Bytes::from_static(b"space again"), 1).await.unwrap(), 2, "{kind:?}");
        assert_eq!(*world.fatal.lock().unwrap(), None);
        let expected = world.committed(0).await;
        let world = world.close().await.open(small());
        assert_eq!(world.committed(0).await, expected, "{kind:?}");
        world.close().await;
    }
}

/// A disk that is full while nothing happens is no reason to stop: only a mark would have been written.
#[tokio::test]
async fn a_full_disk_while_idle_is_no_failure() {
    let (disk, world) = world().await;
    idle().await;
    world.append(0, Bytes::from_static(b"second"), 1).await.unwrap();
    let writes = disk.calls(CallKind::Write);
    disk.fail(CallKind::Write, 1, ErrorKind::StorageFull);
    idle().await;
    assert!(disk.calls(CallKind::Write) > writes, "nothing said that the last append is durable");
    assert_eq!(*world.fatal.lock().unwrap(), None);
    assert_eq!(world.append(0, Bytes::from_static(b"third"), 1).await.unwrap(), 2);
    let _ = world.close().await;
}

/// After a sync that failed nothing is acknowledged, and what was acknowledged before is there after the restart.
#[tokio::test]
async fn a_failed_sync_stops_the_store() {
    for seed in 0..20 {
        let (disk, world) = world().await;
        let epoch = world.open_writer(0).await;
        world.begin(txn(1), 0, epoch).await.unwrap();
        world.chunk(txn(1), 0, 0, Bytes::from_static(b"accepted")).await.unwrap();
        disk.fail(CallKind::SyncData, 1, ErrorKind::Other);
        let failed = world.append(0, Bytes::from_static(b"lost"), 1).await;
        assert!(matches!(failed, Err(Error::Stopped(_))), "{failed:?}");
        is_stopped(&world).await;
        assert!(matches!(world.prepare(txn(1)).await, Err(Error::Stopped(_))));
        assert_eq!(world.store.segment(segment(0)).unwrap().unwrap().next_offset, 1, "readers see durable state only");
        let world = Place::Memory(disk.crash(seed)).open(small());
        let committed = world.committed(0).await;
        assert_eq!(committed[0], (0, Bytes::from_static(b"first")));
        assert!(committed.len() <= 2, "at most the one whose outcome is unknown");
        world.check_invariants();
        world.close().await;
    }
}

#[tokio::test]
async fn a_failed_write_stops_the_store() {
    let (disk, world) = world().await;
    disk.fail(CallKind::Write, 1, ErrorKind::Other);
    assert!(matches!(world.append(0, Bytes::from_static(b"lost"), 1).await, Err(Error::Stopped(_))));
    is_stopped(&world).await;
    let world = Place::Memory(disk.crash(1)).open(small());
    assert_eq!(world.committed(0).await, vec![(0, Bytes::from_static(b"first"))]);
    world.close().await;
}

/// Accepted blocks nobody waits for are synced when enough of them came; the sync that fails then stops the store, too.
#[tokio::test]
async fn a_failed_sync_of_accepted_blocks_stops_the_store() {
    let disk = MemDisk::new();
    let options = Options { sync_bytes: 64 << 10, ..small() };
    let world = Place::Memory(disk.clone()).found(options).await;
    let epoch = world.open_writer(0).await;
    world.begin(txn(1), 0, epoch).await.unwrap();
    let syncs = disk.calls(CallKind::SyncData);
    disk.fail(CallKind::SyncData, 1, ErrorKind::Other);
    let mut refused = 0;
    for seq in 0..40 {
        refused += u32::from(world.chunk(txn(1), seq, 0, Bytes::from(vec![seq as u8; 4 << 10])).await.is_err());
    }
    assert!(disk.calls(CallKind::SyncData) > syncs, "nothing was synced");
    assert!(refused > 0, "blocks were accepted by a store that cannot keep them");
    is_stopped(&world).await;
}

/// A snapshot that cannot be written leaves the older one, and the store runs on.
#[tokio::test]
async fn a_snapshot_that_fails_hurts_nobody() {
    for (kind, error) in [
        (CallKind::Open, ErrorKind::StorageFull),
        (CallKind::Rename, ErrorKind::Other),
        (CallKind::SyncData, ErrorKind::Other),
    ] {
        let (disk, world) = world().await;
        world.store.snapshot().await.unwrap();
        world.append(0, Bytes::from_static(b"second"), 1).await.unwrap();
        disk.fail(kind, 1, error);
        assert!(world.store.snapshot().await.is_err(), "{kind:?}");
        world.append(0, Bytes::from_static(b"third"), 1).await.unwrap();
        world.store.snapshot().await.unwrap();
        let world = world.close().await.open(small());
        assert_eq!(world.committed(0).await.len(), 3);
        world.close().await;
    }
}

/// Space is kept for the index: events are refused first, then everything, and nothing is written meanwhile.
#[tokio::test]
async fn a_disk_that_is_nearly_full_refuses_events_before_facts() {
    let (disk, world) = world().await;
    let fact = async || world.store.execute(Vec::new(), Wait::Durable, |_, _, _| Ok(())).await;
    idle().await;
    let writes = disk.calls(CallKind::Write);
    for (free, takes_facts) in [((16 << 20) - 1, true), (8 << 20, true), ((8 << 20) - 1, false), (0, false)] {
        disk.set_free_bytes(free);
        let refused = world.append(0, Bytes::from_static(b"no space"), 1).await.unwrap_err();
        assert!(matches!(refused, Error::Full(_)) && refused.to_string().contains("free some space"), "{refused}");
        assert_eq!(fact().await.is_ok(), takes_facts, "{free} bytes free");
    }
    assert_eq!(disk.calls(CallKind::Write), writes);
    disk.set_free_bytes(16 << 20);
    assert_eq!(world.append(0, Bytes::from_static(b"space again"), 1).await.unwrap(), 1);
    assert_eq!(*world.fatal.lock().unwrap(), None);
    world.close().await;
}
