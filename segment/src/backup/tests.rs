//! A backup of a busy store is one moment of it, starts anywhere, and says that it is a copy.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use sluice_proto::storage::v1::TransactionState;
use sluice_schema::ids::Offset;
use sluice_txn::ledger::Records as _;
use tempfile::tempdir;

use super::*;
use crate::{
    store::tests::kit::{self, Place, World},
    verify::tests::world::{Filled, append, fill, options, verify_all_of},
};

/// Opens a folder as a store.
struct Folder {
    dir: Arc<tempfile::TempDir>,
}

impl Folder {
    fn new() -> Self {
        Self { dir: Arc::new(tempdir().unwrap()) }
    }
    /// The place's data folder lies below its temporary one.
    fn path(&self) -> PathBuf {
        Place::Real(Arc::clone(&self.dir)).folder()
    }
    async fn open(&self) -> World {
        let world = Place::Real(Arc::clone(&self.dir)).open(options());
        world.store.found().await.unwrap();
        world
    }
}

fn timeline(world: &World) -> bytes::Bytes {
    world.store.cluster().unwrap().timeline_id
}

/// The ledger without the cluster's record, where the timeline is.
fn content(world: &World) -> Vec<(Vec<u8>, bytes::Bytes)> {
    let mut content = world.content();
    content.retain(|(key, _)| *key != Key::Cluster.encode());
    content
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_holds_everything_acknowledged() {
    let Filled { world, tier, parquet } = fill().await;
    let target = Folder::new();
    let done = backup(&world.store, &target.path()).await.unwrap();
    assert_eq!(done.commit_seq, world.store.cluster().unwrap().last_commit_seq);
    assert!(done.files >= 6 && done.bytes > 10_000, "{done:?}");
    assert!(!world.store.files_are_held());
    assert!(!target.path().join("index").exists() && !target.path().join("lock").exists());
    let copied = target.path().join(parquet.strip_prefix(world.place.folder()).unwrap());
    assert_eq!(fs::read(copied).unwrap(), fs::read(&parquet).unwrap());
    assert_eq!(verify_all_of(&target.path()).damage, Vec::new());

    // The copy goes its own way, and the original does not notice.
    let copy = target.open().await;
    assert!(content(&copy) == content(&world), "the content differs");
    assert_ne!(timeline(&copy), timeline(&world));
    assert_eq!(copy.store.cluster().unwrap().cluster_id, world.store.cluster().unwrap().cluster_id);
    assert_eq!(copy.transaction(kit::txn(1)).unwrap().state(), TransactionState::Prepared);
    assert_eq!(copy.commit(kit::group(1, None, kit::txn(1))).await.unwrap().events, 30);
    append(&copy.store, 0, 5).await;
    copy.close().await;
    assert_eq!(verify_all_of(&target.path()).damage, Vec::new());
    assert_eq!(world.transaction(kit::txn(1)).unwrap().state(), TransactionState::Prepared);
    drop(tier);
    world.close().await;
}

/// The timeline is new once per copy, not once per start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_store_begins_one_new_timeline() {
    let Filled { world, .. } = fill().await;
    let saved = tempdir().unwrap();
    let backup_folder = saved.path().join("backup");
    let done = backup(&world.store, &backup_folder).await.unwrap();
    let target = Folder::new();
    let restored = restore(&backup_folder, &target.path()).unwrap();
    assert_eq!((restored.commit_seq, restored.files), (done.commit_seq, done.files));
    assert!(target.path().join(RESTORED).exists());
    let copy = target.open().await;
    assert!(!target.path().join(RESTORED).exists());
    let new = timeline(&copy);
    assert_ne!(new, timeline(&world));
    copy.close().await;
    let copy = target.open().await;
    assert_eq!(timeline(&copy), new);
    assert!(content(&copy) == content(&world), "the content differs");
    copy.close().await;
    world.close().await;
}

/// Backups beside appends, snapshots and trimming: each is a prefix of what was acknowledged, with everything from before the call.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_of_a_busy_store_is_one_moment_of_it() {
    let Filled { world, .. } = fill().await;
    let stop = Arc::new(AtomicBool::new(false));
    let (writer, stopped) = (world.store.clone(), Arc::clone(&stop));
    let writing = tokio::spawn(async move {
        let mut n = 0;
        while !stopped.load(Ordering::Relaxed) {
            append(&writer, 0, 5).await;
            n += 1;
            if n % 20 == 0 {
                writer.snapshot().await.unwrap();
            }
        }
    });
    let end = |store: &EmbeddedStore| store.segment(kit::segment(0)).unwrap().unwrap().next_offset;
    for _ in 0..5 {
        let before = end(&world.store);
        let target = Folder::new();
        let done = backup(&world.store, &target.path()).await.unwrap();
        let after = end(&world.store);
        assert_eq!(verify_all_of(&target.path()).damage, Vec::new());
        let copy = target.open().await;
        copy.check_invariants();
        let copied = end(&copy.store);
        assert!(before <= copied && copied <= after, "{before} <= {copied} <= {after}");
        assert_eq!(copy.store.cluster().unwrap().last_commit_seq, done.commit_seq);
        for (_, extent) in copy.store.extents(kit::segment(0), Offset::ZERO, Offset::new(u64::MAX), usize::MAX).unwrap()
        {
            copy.store.block(extent.block.unwrap().at.unwrap().into()).await.unwrap();
        }
        copy.close().await;
    }
    stop.store(true, Ordering::Relaxed);
    writing.await.unwrap();
    world.close().await;
}

/// A file that is still to be renamed goes with its hidden name, and the copy's start renames it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_under_its_hidden_name_is_copied() {
    let Filled { world, parquet, .. } = fill().await;
    let name =
        format!(".{}.00000000-0000-0000-0000-000000000007.publishing", parquet.file_stem().unwrap().to_str().unwrap());
    fs::rename(&parquet, parquet.with_file_name(name)).unwrap();
    let target = Folder::new();
    backup(&world.store, &target.path()).await.unwrap();
    let copy = target.open().await;
    let (_, mut tierer) = crate::tier::Tier::new(copy.store.clone(), crate::tier::Options::default());
    let recovered = tierer.recover().await.unwrap();
    assert_eq!((recovered.renamed, recovered.missing.len()), (1, 0));
    copy.close().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_that_cannot_be_are_refused() {
    let Filled { world, parquet, .. } = fill().await;
    let used = tempdir().unwrap();
    fs::write(used.path().join("something"), b"").unwrap();
    for target in [used.path(), &used.path().join("something"), &world.place.folder().join("backup")] {
        let refused = backup(&world.store, target).await;
        assert!(matches!(refused, Err(BackupError::Target(_))), "{refused:?}");
    }
    let unwritable = backup(&world.store, Path::new("/proc/nowhere/backup")).await;
    assert!(matches!(unwritable, Err(BackupError::Io { .. })), "{unwritable:?}");
    fs::remove_file(parquet).unwrap();
    let incomplete = backup(&world.store, &used.path().join("new")).await;
    assert!(matches!(incomplete, Err(BackupError::Io { .. })), "{incomplete:?}");
    assert!(!world.store.files_are_held());
    // Without its last file it is no backup and no data directory.
    let elsewhere = used.path().join("elsewhere");
    let half = restore(&used.path().join("new"), &elsewhere);
    assert!(matches!(half, Err(BackupError::Target(_))), "{half:?}");
    assert!(Place::both()[1].try_open(options()).is_ok());
    let in_use = restore(&world.place.folder(), &elsewhere);
    assert!(matches!(in_use, Err(BackupError::Running(_))), "{in_use:?}");
    world.close().await;
}

/// Damage is noticed while it is copied: a backup that was made is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_store_gives_no_backup() {
    let Filled { world, .. } = fill().await;
    let (_, extent) = crate::verify::tests::world::extents(&world.store, 0).pop().unwrap();
    let at = extent.block.unwrap().at.unwrap();
    let file = log::file_path(&log_folder(&world.place.folder()), at.file);
    crate::verify::tests::world::flip(&file, at.position, 0);
    let target = tempdir().unwrap();
    let damaged = backup(&world.store, &target.path().join("new")).await;
    assert!(matches!(damaged, Err(BackupError::Damaged(_))), "{damaged:?}");
    world.close().await;
}

/// The data directory of a gateway that was stopped is as good as a backup.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_data_directory_can_be_restored_from() {
    let Filled { world, tier, .. } = fill().await;
    let (content_before, timeline_before) = (content(&world), timeline(&world));
    let place = world.close().await;
    drop(tier);
    let target = Folder::new();
    restore(&place.folder(), &target.path()).unwrap();
    let copy = target.open().await;
    assert!(content(&copy) == content_before, "the content differs");
    assert_ne!(timeline(&copy), timeline_before);
    copy.close().await;
    let original = place.open(options());
    original.store.found().await.unwrap();
    assert_eq!(timeline(&original), timeline_before, "the original stays what it is");
    original.close().await;
}
