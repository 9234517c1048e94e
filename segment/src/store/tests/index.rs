//! The index may be missing, old, new or broken: the content is that of the log.

use std::{fs, path::Path};

use bytes::Bytes;
use sluice_txn::ledger::{Index as _, SledIndex};

use super::kit::{Place, World, group, small, txn};
use crate::store::rebuild_index;

async fn filled() -> World {
    let world = Place::real().found(small()).await;
    let epoch = world.open_writer(0).await;
    world.begin(txn(1), 0, epoch).await.unwrap();
    world.chunk(txn(1), 0, 0, Bytes::from_static(b"in a transaction")).await.unwrap();
    world.prepare(txn(1)).await.unwrap();
    more(&world, 20).await;
    world
}

async fn more(world: &World, appends: u32) {
    for n in 0..appends {
        world.append(n % 2, Bytes::from(vec![n as u8; 3000]), 2).await.unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

/// Opens, compares, and shows that the store works on.
async fn same_content(place: &Place, content: &[(Vec<u8>, Bytes)], rebuilt: bool) {
    let world = place.open(small());
    assert_eq!(world.index_rebuilt, rebuilt);
    assert!(world.content() == content, "the content differs");
    world.check_invariants();
    world.append(0, Bytes::from_static(b"goes on"), 1).await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn a_missing_index_is_built_again() {
    for with_snapshot in [false, true] {
        let world = filled().await;
        if with_snapshot {
            world.store.snapshot().await.unwrap();
            more(&world, 5).await;
        }
        let content = world.content();
        let place = world.close().await;
        rebuild_index(&place.folder()).unwrap();
        assert!(!place.folder().join("index").exists());
        same_content(&place, &content, true).await;
    }
}

#[tokio::test]
async fn a_kept_index_is_used_as_it_is() {
    let world = filled().await;
    let content = world.content();
    let place = world.close().await;
    same_content(&place, &content, false).await;
}

/// An old copy of the index is brought up to date from the log, or built again when the log no longer reaches back so far.
#[tokio::test]
async fn an_index_that_lags_behind_catches_up() {
    for with_snapshot in [false, true] {
        let place = filled().await.close().await;
        let (index, old) = (place.folder().join("index"), place.folder().join("old"));
        copy(&index, &old);
        let world = place.open(small());
        more(&world, 30).await;
        world.commit(group(1, None, txn(1))).await.unwrap();
        if with_snapshot {
            world.store.snapshot().await.unwrap();
        }
        let content = world.content();
        let place = world.close().await;
        copy(&old, &index);
        same_content(&place, &content, with_snapshot).await;
    }
}

/// The log lost its durable end: what the index knows of it is kept, the damage is told, and a snapshot gives it a second home.
#[tokio::test]
async fn an_index_ahead_of_the_log_is_believed_and_told() {
    let place = filled().await.close().await;
    let (log, old) = (place.folder().join("log"), place.folder().join("old"));
    copy(&log, &old);
    let world = place.open(small());
    more(&world, 3).await;
    let content = world.content();
    let place = world.close().await;
    copy(&old, &log);
    let world = place.open(small());
    assert!(!world.recovery.damage.is_empty(), "a lost end of the log is damage");
    assert!(world.content() == content, "the content differs");
    let place = world.close().await;
    rebuild_index(&place.folder()).unwrap();
    same_content(&place, &content, true).await;
}

/// Cut, overwritten or filled with noise: the index is thrown away and the content is the log's.
#[tokio::test]
async fn a_broken_index_is_built_again() {
    let world = filled().await;
    let content = world.content();
    let place = world.close().await;
    let (index, good) = (place.folder().join("index"), place.folder().join("good"));
    let log = place.folder().join("log");
    let good_log = place.folder().join("good-log");
    copy(&index, &good);
    copy(&log, &good_log);
    let damages: [fn(&Path); 4] = [
        |index| fs::write(index.join("db"), b"").unwrap(),
        |index| fs::write(index.join("conf"), b"nonsense").unwrap(),
        |index| {
            let db = fs::read(index.join("db")).unwrap();
            fs::write(index.join("db"), &db[..db.len() / 2]).unwrap();
        },
        |index| {
            let mut db = fs::read(index.join("db")).unwrap();
            let length = db.len();
            db[length / 8..length / 2].iter_mut().for_each(|byte| *byte = byte.wrapping_mul(31).wrapping_add(7));
            fs::write(index.join("db"), db).unwrap();
        },
    ];
    for damage in damages {
        copy(&good, &index);
        copy(&good_log, &log);
        damage(&index);
        let world = place.open(small());
        assert!(world.content() == content, "the content differs");
        world.check_invariants();
        world.close().await;
    }
}

/// An index whose rebuilding was cut short is not taken for a whole one.
#[tokio::test]
async fn a_rebuild_that_was_cut_short_begins_anew() {
    let world = filled().await;
    world.store.snapshot().await.unwrap();
    more(&world, 5).await;
    let content = world.content();
    let place = world.close().await;
    rebuild_index(&place.folder()).unwrap();
    {
        let half = SledIndex::open(&place.folder().join("index")).unwrap();
        half.apply(0, &[(vec![200, 1], Some(Bytes::from_static(b"half")))]).unwrap();
    }
    same_content(&place, &content, true).await;
}

/// The index failed while the store ran, and a word of it was left: the next start builds it again, once.
#[tokio::test]
async fn an_index_that_failed_is_built_again() {
    let world = filled().await;
    let content = world.content();
    let place = world.close().await;
    crate::store::open::condemn_index(&*place.disk(), &place.folder());
    same_content(&place, &content, true).await;
    assert!(!place.open(small()).index_rebuilt);
}

/// What kill -9 leaves: the folder as it is at some moment. sled's files are copied while it writes them, and before the log, so that they
/// are never ahead of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_process_leaves_what_was_acknowledged() {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };
    let world = filled().await;
    let acked = Arc::new(AtomicU64::new(world.committed(0).await.len() as u64));
    let (store, counter) = (world.store.clone(), Arc::clone(&acked));
    let writing = tokio::spawn(async move {
        for n in 0..u32::MAX {
            let block = crate::log::Block::new(Bytes::from(vec![n as u8; 3000]));
            let append = store.execute(vec![block], crate::store::Wait::Durable, move |draft, refs, now| {
                let block = (sluice_schema::ids::SegmentNumber::new(0), super::kit::info(&refs[0], 1));
                sluice_txn::protocol::events::append(draft, super::kit::STREAM, &[], vec![block], now)
            });
            if append.await.is_err() {
                break;
            }
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    for _ in 0..8 {
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        let (from, image) = (world.place.folder(), Place::real());
        let to = image.folder();
        let before = acked.load(Ordering::SeqCst);
        copy(&from.join("index"), &to.join("index"));
        copy(&from.join("log"), &to.join("log"));
        fs::copy(from.join("format"), to.join("format")).unwrap();
        let found = image.open(small());
        found.check_invariants();
        let committed = found.committed(0).await.len() as u64;
        assert!(committed >= before, "{committed} of {before} acknowledged appends are left");
        assert_eq!(found.transaction(txn(1)).unwrap().state(), sluice_proto::storage::v1::TransactionState::Prepared);
        found.append(0, Bytes::from_static(b"goes on"), 1).await.unwrap();
        found.close().await;
    }
    world.close().await;
    writing.await.unwrap();
}
