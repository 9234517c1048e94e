//! Snapshots come back whole or are refused; a crash or an error at any step leaves the one before usable.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::env::{CallKind, Disk, MemDisk, SeededRng};

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

const DIR: &str = "/data/snapshots";

fn entries(seed: u64, count: u64, value_bytes_max: u64) -> Entries {
    let rng = SeededRng::new(seed);
    (0..count).map(|n| (n.to_be_bytes().to_vec(), vec![seed as u8; rng.below(value_bytes_max + 1) as usize])).collect()
}

fn write(disk: &MemDisk, lsn: u64, entries: &Entries) -> Result<Snapshot, SnapshotError> {
    let mut writer = Writer::create(Arc::new(disk.clone()), Path::new(DIR), Lsn(lsn))?;
    for (key, value) in entries {
        writer.add(key, value)?;
    }
    writer.finish()
}

fn read_all(disk: &MemDisk, snapshot: &Snapshot) -> Result<Entries, SnapshotError> {
    let mut found = Entries::new();
    let count = read(disk, snapshot, &mut |key, value| {
        found.insert(key.to_vec(), value.to_vec());
        Ok(())
    })?;
    assert_eq!(count, found.len() as u64);
    Ok(found)
}

fn latest_lsn(disk: &MemDisk) -> Option<u64> {
    latest(disk, Path::new(DIR)).unwrap().snapshot.map(|snapshot| snapshot.lsn.0)
}

#[test]
fn what_goes_in_comes_out() {
    let disk = MemDisk::new();
    assert_eq!(latest_lsn(&disk), None);
    for (lsn, entries) in
        [(7, Entries::new()), (8, entries(8, 1, 0)), (9, entries(9, 5000, 400)), (10, entries(10, 3, 600_000))]
    {
        write(&disk, lsn, &entries).unwrap();
        let found = latest(&disk, Path::new(DIR)).unwrap();
        assert!(found.refused.is_empty());
        let snapshot = found.snapshot.unwrap();
        assert_eq!(snapshot.lsn, Lsn(lsn));
        assert_eq!(read_all(&disk, &snapshot).unwrap(), entries);
    }
}

#[test]
fn two_are_kept_and_the_older_one_is_told() {
    let disk = MemDisk::new();
    let oldest: Vec<u64> = [5, 9, 12, 30].map(|lsn| write(&disk, lsn, &entries(lsn, 9, 9)).unwrap().lsn.0).to_vec();
    assert_eq!(oldest, [5, 5, 9, 12]);
    let kept: Vec<u64> = list(&disk, Path::new(DIR)).unwrap().iter().map(|snapshot| snapshot.lsn.0).collect();
    assert_eq!(kept, [30, 12]);
}

/// Each bit flipped, each prefix, and a byte too many: refused as damaged, and the one before is used.
#[test]
fn any_change_is_noticed() {
    let disk = MemDisk::new();
    write(&disk, 1, &entries(1, 2, 5)).unwrap();
    write(&disk, 2, &entries(2, 3, 9)).unwrap();
    let newest = list(&disk, Path::new(DIR)).unwrap().remove(0);
    let whole = disk.contents(&newest.path).unwrap();
    let flips = (0..whole.len() * 8).map(|bit| {
        let mut content = whole.clone();
        content[bit / 8] ^= 1 << (bit % 8);
        content
    });
    let cuts = (0..whole.len()).map(|length| whole[..length].to_vec());
    let longer = std::iter::once([&whole[..], &[0]].concat());
    for content in flips.chain(cuts).chain(longer) {
        disk.set_contents(&newest.path, content);
        let error = read_all(&disk, &newest).unwrap_err();
        assert!(matches!(error, SnapshotError::Damaged { .. }), "{error}");
        let found = latest(&disk, Path::new(DIR)).unwrap();
        assert_eq!((found.snapshot.unwrap().lsn, found.refused.len()), (Lsn(1), 1));
    }
}

/// A length that lies, with the right checksum of the header, is refused before anything is allocated.
#[test]
fn a_block_longer_than_the_file_is_refused() {
    let disk = MemDisk::new();
    write(&disk, 1, &entries(1, 2, 5)).unwrap();
    let snapshot = list(&disk, Path::new(DIR)).unwrap().remove(0);
    let mut content = disk.contents(&snapshot.path).unwrap();
    content[HEADER_BYTES..HEADER_BYTES + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    disk.set_contents(&snapshot.path, content);
    let error = read_all(&disk, &snapshot).unwrap_err().to_string();
    assert!(error.contains("ends early"), "{error}");
}

#[test]
fn all_damaged_is_an_error_and_newer_is_told() {
    let disk = MemDisk::new();
    write(&disk, 1, &entries(1, 2, 5)).unwrap();
    let snapshot = list(&disk, Path::new(DIR)).unwrap().remove(0);
    let mut content = disk.contents(&snapshot.path).unwrap();
    disk.set_contents(&snapshot.path, content[..30].to_vec());
    assert!(matches!(latest(&disk, Path::new(DIR)), Err(SnapshotError::Damaged { .. })));
    content[8] = 2;
    let crc = crc32c::crc32c(&content[..20]);
    content[20..24].copy_from_slice(&crc.to_le_bytes());
    disk.set_contents(&snapshot.path, content);
    assert!(matches!(latest(&disk, Path::new(DIR)), Err(SnapshotError::Newer { version: 2, .. })));
}

/// Every call of every kind fails once, and power is lost after it: the snapshot before is there, or the new one is whole.
#[test]
fn it_may_fail_or_crash_anywhere() {
    let (old, new) = (entries(1, 40, 90), entries(2, 2000, 900));
    let kinds =
        [CallKind::Open, CallKind::Write, CallKind::SyncData, CallKind::SyncDir, CallKind::Rename, CallKind::Remove];
    let mut failures = 0;
    for kind in kinds {
        for nth in 1..20 {
            let disk = MemDisk::new();
            write(&disk, 1, &old).unwrap();
            write(&disk, 5, &old).unwrap();
            disk.fail(kind, nth, io::ErrorKind::StorageFull);
            let calls = disk.calls(kind);
            let outcome = write(&disk, 9, &new);
            if disk.calls(kind) - calls < nth {
                outcome.unwrap();
                break;
            }
            failures += u32::from(outcome.is_err());
            for seed in 0..30 {
                let image = disk.crash(seed);
                let found = latest(&image, Path::new(DIR)).unwrap();
                assert!(found.refused.is_empty(), "{kind:?} {nth} seed {seed}: {:?}", found.refused);
                let snapshot = found.snapshot.unwrap();
                let want = if snapshot.lsn == Lsn(9) { &new } else { &old };
                assert!(outcome.is_err() || snapshot.lsn == Lsn(9));
                assert_eq!(&read_all(&image, &snapshot).unwrap(), want);
                write(&image, 9, &new).unwrap();
                assert_eq!(latest_lsn(&image), Some(9));
                let left = image.list(Path::new(DIR)).unwrap();
                assert_eq!(left.len(), 2, "{left:?}");
            }
        }
    }
    assert!(failures >= 8, "only {failures} failures were injected");
}

/// A bad sector under the newest one is no reason not to start.
#[test]
fn one_that_the_disk_fails_to_read_is_passed_over() {
    let disk = MemDisk::new();
    write(&disk, 1, &entries(1, 2, 5)).unwrap();
    write(&disk, 2, &entries(2, 2, 5)).unwrap();
    disk.fail(CallKind::Read, 3, io::ErrorKind::Other);
    let found = latest(&disk, Path::new(DIR)).unwrap();
    assert_eq!(found.snapshot.unwrap().lsn, Lsn(1));
    assert!(matches!(found.refused[..], [SnapshotError::Io { .. }]));
}
