//! A sound store has no damage; one flipped bit anywhere is found, named, and harms nothing but its own place.

mod bits;
pub(crate) mod world;

use std::path::Path;

use super::*;
use world::{Filled, fill, flip, verify_all, verify_all_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_store_has_no_damage() {
    let Filled { world, tier, .. } = fill().await;
    let running = verify_all(&world.store, &tier);
    assert_eq!(running.damage, Vec::new());
    assert!(running.bytes > 10_000 && running.items > 100, "{running:?}");
    assert!(!world.store.files_are_held(), "the hold ended with the work");
    let place = world.close().await;
    drop(tier);
    let found = verify_all_of(&place.folder());
    assert_eq!(found.damage, Vec::new());
    assert!(found.bytes > 10_000, "{found:?}");
}

/// Verification beside a store that appends, commits, snapshots and trims: no false alarm.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_busy_store_has_no_damage() {
    let Filled { world, tier, .. } = fill().await;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (writer, stopped) = (world.store.clone(), std::sync::Arc::clone(&stop));
    let writing = tokio::spawn(async move {
        let mut n = 0u64;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            world::append(&writer, 0, 5).await;
            n += 1;
            if n.is_multiple_of(50) {
                writer.snapshot().await.unwrap();
                writer.maintain().await.unwrap();
            }
        }
        n
    });
    for _ in 0..15 {
        let (store, tier) = (world.store.clone(), tier.clone());
        let found = tokio::task::spawn_blocking(move || verify_all(&store, &tier)).await.unwrap();
        assert_eq!(found.damage, Vec::new());
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(writing.await.unwrap() > 0);
    world.close().await;
}

/// Damage names file, position, stream, segment and offset.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_block_is_named_by_its_events() {
    let Filled { world, tier, .. } = fill().await;
    let (base, extent) = world::extents(&world.store, 0).pop().unwrap();
    let at = extent.block.unwrap().at.unwrap();
    let file = log::file_path(&log_folder(&world.place.folder()), at.file);
    flip(&file, at.position + 3, 0);
    let found = verify_all(&world.store, &tier).damage;
    assert_eq!(found.len(), 1, "{found:?}");
    let damage = &found[0];
    assert_eq!((&damage.file, damage.position), (&file, at.position));
    assert_eq!((damage.stream.as_str(), damage.segment, damage.offset), ("s/t", Some(0), Some(base)));
    let place = world.close().await;
    drop(tier);
    let offline = verify_all_of(&place.folder()).damage;
    assert_eq!(offline, found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_parquet_file_is_damage_and_a_hidden_one_is_not() {
    let Filled { world, tier, parquet } = fill().await;
    let hidden = parquet.with_file_name(format!(
        ".{}.00000000-0000-0000-0000-000000000007.publishing",
        parquet.file_stem().unwrap().to_str().unwrap()
    ));
    std::fs::rename(&parquet, &hidden).unwrap();
    let found = verify_all(&world.store, &tier).damage;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0].file, found[0].offset), (&parquet, Some(0)));
    let place = world.close().await;
    drop(tier);
    // As a crash between the ledger's word and the rename leaves it: the next start renames it.
    assert_eq!(verify_all_of(&place.folder()).damage, Vec::new());
    std::fs::remove_file(&hidden).unwrap();
    let found = verify_all_of(&place.folder()).damage;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].message.contains("missing"), "{found:?}");
}

/// A log file removed by hand is named by everything that lay in it, and only then: what is in Parquet and snapshots needs it no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_log_file_is_damage() {
    let Filled { world, tier, .. } = fill().await;
    let extents = world::extents(&world.store, 1);
    let in_use: Vec<u64> =
        extents.iter().map(|(_, extent)| extent.block.as_ref().unwrap().at.as_ref().unwrap().file).collect();
    let file = |number| log::file_path(&log_folder(&world.place.folder()), number);
    let (dead, live) = (file(1), file(in_use[0]));
    assert!(in_use[0] > 1);
    let place = world.close().await;
    drop(tier);
    std::fs::remove_file(&dead).unwrap();
    assert_eq!(verify_all_of(&place.folder()).damage, Vec::new());
    std::fs::remove_file(&live).unwrap();
    let found = verify_all_of(&place.folder()).damage;
    let named: Vec<_> = found.iter().filter(|damage| damage.file == live && damage.segment == Some(1)).collect();
    let lost = in_use.iter().filter(|number| **number == in_use[0]).count();
    assert_eq!(named.len(), lost, "{found:?}");
    assert_eq!(named[0].offset, Some(extents[0].0));
}

/// An entry of the index that the log does not know, one that differs, one that is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_of_the_index_are_compared_one_by_one() {
    use sluice_txn::ledger::{SledIndex, View as _};
    let place = fill().await.world.close().await;
    let folder = place.folder();
    let segment = Key::Segment(world::segment(0)).encode();
    {
        let index = SledIndex::open(&crate::store::index_folder(&folder)).unwrap();
        let mut other = index.get(&segment).unwrap().unwrap().to_vec();
        other.extend([0x28, 0]);
        let changes: Vec<Change> = vec![
            (segment.clone(), Some(other.into())),
            (Key::Scope(sluice_schema::names::Name::parse("s").unwrap()).encode(), None),
            (Key::Schema(99).encode(), Some(Bytes::new())),
        ];
        index.apply(index.applied(), &changes).unwrap();
    }
    let found = verify_all_of(&folder).damage;
    let messages: Vec<&str> = found.iter().map(|damage| damage.message.as_str()).collect();
    assert_eq!(found.len(), 3, "{messages:?}");
    assert!(messages[0].contains("Scope") && messages[0].contains("is missing"), "{messages:?}");
    assert!(messages[1].contains("Schema(99)") && messages[1].contains("not in the log"), "{messages:?}");
    assert!(messages[2].contains("Segment") && messages[2].contains("differs"), "{messages:?}");
    assert_eq!((found[2].stream.as_str(), found[2].segment), ("s/t", Some(0)));
    assert!(found.iter().all(|damage| damage.file == crate::store::index_folder(&folder)));
}

/// A crash while the index took changes: some are there, some are not, and the log knows them all. Anything else is damage.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_took_half_of_its_changes_is_no_damage() {
    use sluice_txn::{
        key::KeySpan,
        ledger::{Direction, SledIndex, View as _},
    };
    let place = fill().await.world.close().await;
    let folder = place.folder();
    let index = crate::store::index_folder(&folder);
    let content = || {
        let index = SledIndex::open(&index).unwrap();
        let mut found = Vec::new();
        index
            .scan(&KeySpan::everything(), Direction::Ascending, &mut |key, value| {
                found.push((key.to_vec(), value.clone()));
                true
            })
            .unwrap();
        (index.applied(), found)
    };
    let (before, old) = content();
    let world = place.open(world::options());
    for count in 1..6 {
        world::append(&world.store, 1, count).await;
    }
    world.open_writer(3).await;
    let place = world.close().await;
    let (after, new) = content();
    let changed: Vec<_> = new.iter().filter(|entry| !old.contains(entry)).cloned().collect();
    assert!(changed.len() > 5 && after > before, "{} {before} {after}", changed.len());
    {
        // As it was, then half of the way.
        let db = sled::open(&index).unwrap();
        for (key, _) in &new {
            db.remove(key).unwrap();
        }
        for (key, value) in old.iter().chain(&changed[..changed.len() / 2]) {
            db.insert(key, value.as_ref()).unwrap();
        }
        db.insert([0], &before.to_be_bytes()).unwrap();
        db.insert([0, 1], &after.to_be_bytes()).unwrap();
        db.flush().unwrap();
    }
    assert_eq!(verify_all_of(&folder).damage, Vec::new());
    {
        let db = sled::open(&index).unwrap();
        db.insert(&changed[0].0, b"neither".as_slice()).unwrap();
        db.flush().unwrap();
    }
    let found = verify_all_of(&folder).damage;
    assert!(matches!(&found[..], [one] if one.message.contains("differs from what the log says")), "{found:?}");
    let world = place.open(world::options());
    assert_eq!(world.content(), new, "the log says what is right");
    world.close().await;
}

/// A caller that goes away ends the work; each report carries what is new.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_carry_new_damage_once_and_may_end_the_work() {
    let Filled { world, tier, parquet } = fill().await;
    for (_, extent) in world::extents(&world.store, 0) {
        let at = extent.block.unwrap().at.unwrap();
        flip(&log::file_path(&log_folder(&world.place.folder()), at.file), at.position, 1);
    }
    flip(&parquet, 100, 1);
    let mut told = Vec::new();
    let last = verify_store(&world.store, &tier, &mut |progress| {
        told.extend(progress.damage);
        true
    });
    told.extend(last.unwrap().damage);
    let all = verify_all(&world.store, &tier).damage;
    assert!(all.len() > 3);
    assert_eq!(told, all);

    let mut reports = 0;
    let ended = verify_store(&world.store, &tier, &mut |_| {
        reports += 1;
        false
    });
    assert_eq!(reports, 1);
    let whole = verify_all(&world.store, &tier);
    assert!(ended.unwrap().items < whole.items);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_in_use_or_without_a_store_is_told() {
    let Filled { world, tier, .. } = fill().await;
    let used = verify_folder(&world.place.folder(), &mut |_| true);
    assert!(matches!(used, Err(VerifyError::Locked(_))), "{used:?}");
    world.close().await;
    drop(tier);
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(verify_folder(empty.path(), &mut |_| true), Err(VerifyError::NoStore(_))));
    assert!(matches!(verify_folder(Path::new("/none"), &mut |_| true), Err(VerifyError::NoStore(_))));
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "nothing was made");
    let place = fill().await.world.close().await;
    std::fs::write(place.folder().join("format"), "sluice-data 9\n").unwrap();
    assert!(matches!(verify_folder(&place.folder(), &mut |_| true), Err(VerifyError::Format(_))));
}
