//! Single bits of every kind of file.

use std::{fs, path::PathBuf};

use super::{
    super::log,
    world::{Filled, fill, flip, options, verify_all, verify_all_of},
};
use crate::{
    env::{Rng as _, SeededRng},
    store::{log_folder, rebuild_index, snapshot_folder, tests::kit::Place},
    verify::Damage,
};

/// Flips and unflips bits of a file that nobody uses, at places that `wanted` takes; `judge` sees the damage found for each.
fn each_bit(
    place: &Place,
    file: &PathBuf,
    count: u32,
    wanted: impl Fn(usize) -> bool,
    mut judge: impl FnMut(u64, Vec<Damage>),
) {
    let (length, rng) = (fs::metadata(file).unwrap().len(), SeededRng::new(11));
    let mut left = count;
    while left > 0 {
        let (at, bit) = (rng.below(length), rng.below(8) as u8);
        if wanted(at as usize) {
            flip(file, at, bit);
            judge(at, verify_all_of(&place.folder()).damage);
            flip(file, at, bit);
            left -= 1;
        }
    }
}

fn files_of(folder: PathBuf) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Every bit of the log that holds anything is under a checksum: the rest is zeros between blocks and frames, which nobody reads. The last
/// page is the mark that closing wrote; alone at the end it may be torn and says nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bits_of_the_log() {
    let place = fill().await.world.close().await;
    let files = files_of(log_folder(&place.folder()));
    for file in &files {
        let content = fs::read(file).unwrap();
        let end = if Some(file) == files.last() { content.len() - 4096 } else { content.len() };
        each_bit(
            &place,
            file,
            20,
            |at| at < end && content[at] != 0,
            |at, damage| {
                assert!(!damage.is_empty(), "{} at {at}: nothing was found", file.display());
                assert!(damage.iter().all(|damage| damage.file.starts_with(place.folder())), "{damage:?}");
            },
        );
    }
    assert_eq!(verify_all_of(&place.folder()).damage, Vec::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bits_of_snapshots_and_parquet_files() {
    let Filled { world, tier, parquet } = fill().await;
    let place = world.close().await;
    drop(tier);
    let mut files = files_of(snapshot_folder(&place.folder()));
    assert_eq!(files.len(), 2);
    files.push(parquet);
    for file in files {
        each_bit(
            &place,
            &file,
            30,
            |_| true,
            |at, damage| {
                let here: Vec<_> = damage.iter().filter(|damage| damage.file == file).collect();
                assert_eq!((here.len(), damage.len()), (1, 1), "{} at {at}: {damage:?}", file.display());
            },
        );
    }
}

/// A bit of sled's files either is found, or changes nothing: sled drops what does not fit its checksums at the end of its own log, as after
/// a crash, and the log makes up for it. Never a wrong entry that goes unnoticed, and the store always starts with the right content.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bits_of_the_index() {
    let world = fill().await.world;
    let content = world.content();
    let place = world.close().await;
    let index = crate::store::index_folder(&place.folder());
    let mut found = 0;
    for file in files_of(index).into_iter().filter(|file| file.is_file()) {
        each_bit(&place, &file, 12, |_| true, |_, damage| found += u32::from(!damage.is_empty()));
    }
    assert!(found > 0, "no bit of the index mattered");
    assert_eq!(verify_all_of(&place.folder()).damage, Vec::new());
    let world = place.open(options());
    assert!(world.content() == content, "the content differs");
    let place = world.close().await;
    let file = crate::store::index_folder(&place.folder()).join("db");
    let rng = SeededRng::new(3);
    for _ in 0..8 {
        let (at, bit) = (rng.below(fs::metadata(&file).unwrap().len()), rng.next_u64() as u8 % 8);
        flip(&file, at, bit);
        let damaged = !verify_all_of(&place.folder()).damage.is_empty();
        if damaged {
            rebuild_index(&place.folder()).unwrap();
        }
        let world = place.open(options());
        assert!(world.content() == content, "bit {bit} of byte {at}: the content differs");
        world.close().await;
    }
}

/// The bits of a running store: the log and its Parquet files are read from the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bits_under_a_running_store() {
    let Filled { world, tier, parquet } = fill().await;
    let extents = super::world::extents(&world.store, 1);
    let at = extents[extents.len() / 2].1.block.as_ref().unwrap().at.unwrap();
    let block = log::file_path(&log_folder(&world.place.folder()), at.file);
    for (file, at) in [(&parquet, 60), (&block, at.position + u64::from(at.length) / 2)] {
        flip(file, at, 4);
        let damage = verify_all(&world.store, &tier).damage;
        assert_eq!(damage.len(), 1, "{damage:?}");
        assert_eq!((&damage[0].file, damage[0].stream.as_str()), (file, "s/t"));
        flip(file, at, 4);
    }
    assert_eq!(verify_all(&world.store, &tier).damage, Vec::new());
    world.close().await;
}
