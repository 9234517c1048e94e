//! The log stays short, whatever lives long in it.

use bytes::Bytes;
use sluice_proto::storage::v1::{ParquetFile, TransactionState};
use sluice_schema::ids::Offset;
use sluice_txn::{ledger::Records as _, protocol::publication};

use super::kit::{Place, World, group, segment, small, txn};
use crate::{
    env::Survivors,
    log::LogFile,
    store::{Options, Wait, rebuild_index, sequencer::Message},
};

const BLOCK_BYTES: usize = 8 << 10;

/// Makes a Parquet row the home of everything committed in a segment, as tiering does; no file is written here.
async fn publish(world: &World, number: u32) {
    let id = segment(number);
    let record = world.store.segment(id).unwrap().unwrap();
    let (first, end) = (Offset::new(record.parquet_end), Offset::new(record.next_offset));
    if first == end {
        return;
    }
    let published = world.store.execute(Vec::new(), Wait::Durable, move |draft, _, now| {
        publication::intend(draft, id, first, end, format!("hidden-{first}"), now)?;
        let file = ParquetFile { end: end.get(), path: format!("file-{first}"), ..ParquetFile::default() };
        publication::publish(draft, id, first, &format!("hidden-{first}"), &file)
    });
    published.await.unwrap();
}

async fn write(world: &World, blocks: u32) {
    for n in 0..blocks {
        world.append(n % 2, Bytes::from(vec![n as u8; BLOCK_BYTES]), 1).await.unwrap();
        if n % 4 == 3 {
            publish(world, 0).await;
            publish(world, 1).await;
            world.store.maintain().await.unwrap();
        }
    }
}

fn numbers(files: &[LogFile]) -> Vec<u64> {
    files.iter().map(|file| file.number).collect()
}

/// A prepared transaction that nobody commits is held while twenty times the limit goes through the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prepared_transaction_pins_no_log_files() {
    for place in Place::both() {
        let options: Options = small();
        let limit = options.log_limit_bytes;
        let world = place.found(options.clone()).await;
        let epoch = world.open_writer(0).await;
        world.begin(txn(1), 0, epoch).await.unwrap();
        let blocks: Vec<Bytes> = (0..6).map(|n| Bytes::from(vec![200 + n; BLOCK_BYTES])).collect();
        for (seq, block) in blocks.iter().enumerate() {
            world.chunk(txn(1), seq as u64, (seq % 2) as u32, block.clone()).await.unwrap();
            write(&world, 2).await;
        }
        world.prepare(txn(1)).await.unwrap();
        let first_file = world.store.log_files().await.unwrap()[0].number;
        let rounds = 20 * limit / (8 * BLOCK_BYTES as u64);
        let mut most = 0;
        for _ in 0..rounds {
            write(&world, 8).await;
            most = most.max(world.store.log_bytes());
        }
        assert!(most <= 2 * limit, "the log grew to {most} bytes with a limit of {limit}");
        let files = numbers(&world.store.log_files().await.unwrap());
        assert!(files[0] > first_file, "no file was removed: {files:?}");
        assert!(files.len() < 20, "{files:?}");
        world.check_invariants();

        let place = world.close().await;
        if let Place::Real(_) = place {
            rebuild_index(&place.folder()).unwrap();
        }
        let world = place.open(options);
        assert_eq!(world.transaction(txn(1)).unwrap().state(), TransactionState::Prepared);
        for (chunk, block) in world.store.chunks(txn(1)).unwrap().into_iter().zip(&blocks) {
            let at = chunk.block.unwrap().at.unwrap();
            assert!(at.file > first_file, "a block still lies in log file {}", at.file);
            assert_eq!(world.store.block(at.into()).await.unwrap(), block.clone());
        }
        let base = world.store.segment(segment(0)).unwrap().unwrap().next_offset;
        assert_eq!(world.commit(group(1, None, txn(1))).await.unwrap().events, 6);
        let committed = world.committed(0).await;
        let even: Vec<_> = blocks.iter().step_by(2).cloned().collect();
        assert_eq!(committed.iter().map(|(_, data)| data.clone()).collect::<Vec<_>>(), even);
        assert_eq!(committed[0].0, base);
        world.close().await;
    }
}

/// While a backup or a verification holds the files, no log file goes; afterwards they do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_files_stay() {
    let world = Place::Memory(crate::env::MemDisk::new()).found(small()).await;
    write(&world, 40).await;
    let hold = world.store.hold_files();
    let held = numbers(&world.store.log_files().await.unwrap());
    write(&world, 120).await;
    let with_hold = numbers(&world.store.log_files().await.unwrap());
    assert!(with_hold.starts_with(&held), "{held:?} became {with_hold:?}");
    drop(hold);
    write(&world, 40).await;
    let after = numbers(&world.store.log_files().await.unwrap());
    assert!(after[0] > held[0], "{after:?}");
    world.close().await;
}

/// A removal that was decided before the files were held comes too late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_under_way_respects_a_hold() {
    let world = Place::Memory(crate::env::MemDisk::new()).found(small()).await;
    for n in 0..20 {
        world.append(0, Bytes::from(vec![n; BLOCK_BYTES]), 1).await.unwrap();
    }
    let remove = async || {
        let (tell, removed) = tokio::sync::oneshot::channel();
        world.store.send(Message::RemoveLogFile(1, tell)).unwrap();
        removed.await.unwrap().unwrap()
    };
    let hold = world.store.hold_files();
    assert!(!remove().await);
    assert_eq!(numbers(&world.store.log_files().await.unwrap())[0], 1);
    drop(hold);
    assert!(remove().await);
    assert_eq!(numbers(&world.store.log_files().await.unwrap())[0], 2);
    world.close().await;
}

/// The newest snapshot is damaged: the one before it still finds all of the log that it needs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trimming_leaves_what_the_older_snapshot_needs() {
    let disk = crate::env::MemDisk::new();
    let world = Place::Memory(disk.clone()).found(small()).await;
    write(&world, 160).await;
    assert!(world.store.log_files().await.unwrap()[0].number > 1, "nothing was trimmed");
    let content = world.content();
    let place = world.close().await;
    let folder = place.folder().join("snapshots");
    let newest = crate::snapshot::list(&disk, &folder).unwrap().remove(0);
    let mut damaged = disk.contents(&newest.path).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    disk.set_contents(&newest.path, damaged);
    let world = place.open(small());
    assert!(world.content() == content, "the content differs");
    world.close().await;
}

/// Readers that looked up a block just before it was copied forward are told that it is gone, and find it where the ledger says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copied_block_is_gone_from_its_old_place() {
    let options = Options { cache_bytes: 4 << 10, log_limit_bytes: 32 << 10, ..small() };
    let world = Place::Memory(crate::env::MemDisk::new()).found(options).await;
    let epoch = world.open_writer(0).await;
    world.begin(txn(1), 0, epoch).await.unwrap();
    let block = Bytes::from(vec![7; BLOCK_BYTES]);
    world.chunk(txn(1), 0, 0, block.clone()).await.unwrap();
    world.prepare(txn(1)).await.unwrap();
    let place = || world.store.chunks(txn(1)).unwrap()[0].block.clone().unwrap().at.unwrap();
    let old = place();
    write(&world, 200).await;
    assert_ne!(place().file, old.file, "it was not copied forward");
    let gone = world.store.block(old.into()).await;
    assert!(matches!(gone, Err(crate::log::ReadError::Gone(_))), "{gone:?}");
    assert_eq!(world.store.block(place().into()).await.unwrap(), block);
    world.close().await;
}

/// A command that changes nothing may begin a log file, and nothing is synced for it. The files before go only once that one is durable:
/// losing power leaves one or the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_go_after_the_one_that_follows_is_durable() {
    let (disk, options) = (crate::env::MemDisk::new(), small());
    let world = Place::Memory(disk.clone()).found(options.clone()).await;
    let last = async || *world.store.log_files().await.unwrap().last().unwrap();
    // The block and its publication fill the file to the byte.
    let left = options.log_file_bytes - 4096 - last().await.bytes;
    world.append(0, Bytes::from(vec![1; left as usize - 1024]), 1).await.unwrap();
    publish(&world, 0).await;
    assert_eq!((last().await.number, last().await.bytes), (1, options.log_file_bytes));
    world.store.execute(Vec::new(), Wait::Durable, |_, _, _| Ok(())).await.unwrap();
    assert_eq!(last().await.number, 2);
    assert_eq!(world.store.maintain().await.unwrap().files_removed, 1);
    let unsynced = disk.unsynced();
    assert!(!unsynced.is_empty(), "nothing can be lost");
    for case in Survivors::cases(&unsynced, 0..20) {
        let found = Place::Memory(case.of(&disk).disk).try_open(options.clone());
        let found = found.unwrap_or_else(|error| panic!("{case:?} of {unsynced:?}: {error}"));
        assert!(found.content() == world.content(), "{case:?}");
        found.close().await;
    }
    world.close().await;
}
