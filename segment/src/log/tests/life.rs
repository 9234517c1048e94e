//! A log that nothing happens to, and one whose disk answers with errors.

use std::io::ErrorKind;
use std::path::Path;

use bytes::Bytes;
use sluice_proto::storage::v1 as storage;

use super::kit::*;
use crate::env::{CallKind, Disk, MemDisk, SeededRng};
use crate::log::{Block, BlockRef, LogError, Lsn, ReadError, replay};

#[test]
fn what_goes_in_comes_out_over_many_files() {
    let disk = MemDisk::new();
    let rng = SeededRng::new(1);
    let (mut log, recovery, _) = open(&disk, Lsn(0)).unwrap();
    assert_eq!((recovery.last_lsn, recovery.cut, recovery.damage.len()), (Lsn(0), None, 0));
    let mut written = Vec::new();
    for n in 0..60 {
        let lengths: Vec<usize> = (0..rng.below(5)).map(|_| rng.below(9000) as usize).collect();
        written.push(append(&mut log, &rng, &lengths, rng.below(6000) as usize));
        assert_readable(&log, &written[n]);
    }
    // More blocks than a page of block table holds.
    written.push(append(&mut log, &rng, &[1; 1500], 3));
    log.sync().unwrap();
    let files = log.files();
    assert!(files.len() > 5);
    assert!(
        files.windows(2).all(|two| two[0].last_lsn.next() == two[1].first_lsn && two[0].number + 1 == two[1].number)
    );
    assert!(files.iter().all(|file| disk.len(&path(file.number)).unwrap() == file.bytes));
    for after in [0, 1, 17, 59, 60, 61] {
        let (log, recovery, frames) = open(&disk.crash(3), Lsn(after)).unwrap();
        assert_eq!((recovery.last_lsn, recovery.cut, recovery.damage.len()), (Lsn(61), None, 0));
        assert_same(&log, &frames, &written[after as usize..]);
        assert_eq!(log.files(), files);
    }
}

#[test]
fn an_open_log_goes_on_where_it_ended() {
    let disk = MemDisk::new();
    let rng = SeededRng::new(2);
    let mut written = Vec::new();
    for n in 1..=20 {
        let (mut log, recovery, frames) = open(&disk, Lsn(0)).unwrap();
        assert_eq!(recovery.last_lsn, Lsn(n - 1));
        assert_same(&log, &frames, &written);
        written.push(append(&mut log, &rng, &[5000], 100));
        log.sync().unwrap();
    }
}

/// The layout is frozen: the same frames give the same bytes for ever.
#[test]
fn the_layout_is_the_documented_one() {
    let disk = MemDisk::new();
    let (mut log, ..) = open(&disk, Lsn(0)).unwrap();
    let block = |text: &'static str| Block::new(Bytes::from_static(text.as_bytes()));
    let plan = log.plan(vec![block("first block"), block("second")]).unwrap();
    let refs: Vec<_> = plan.refs().iter().map(|at| (at.file, at.position, at.length)).collect();
    assert_eq!(refs, [(1, 4096 + 128, 11), (1, 4096 + 192, 6)]);
    log.append(plan, b"facts").unwrap();
    log.mark().unwrap();
    let content = disk.contents(&path(1)).unwrap();
    assert_eq!(content.len(), 3 * 4096);
    assert_eq!(&content[..8], b"SLUICELG");
    assert_eq!(&content[2048..2048 + 44], &content[..44]);
    assert_eq!(&content[4096..4096 + 4], b"SLFR");
    assert_eq!(&content[4096 + 128..4096 + 139], b"first block");
    assert_eq!(&content[4096 + 192..4096 + 198], b"second");
    assert_eq!(&content[4096 + 256..4096 + 261], b"facts");
    assert_eq!(&content[8192 + 8..8192 + 24], [2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(crc32c::crc32c(&content), 0x79ea_83d7, "a file of format version 1 changed");
}

#[test]
fn a_plan_that_is_dropped_or_late_leaves_no_trace() {
    let disk = MemDisk::new();
    let rng = SeededRng::new(3);
    let (mut log, ..) = open(&disk, Lsn(0)).unwrap();
    drop(log.plan(vec![Block::new(Bytes::from_static(b"dropped"))]).unwrap());
    let late = log.plan(vec![Block::new(Bytes::from_static(b"late"))]).unwrap();
    let written = append(&mut log, &rng, &[10], 10);
    let error = log.append(late, b"").unwrap_err();
    assert!(matches!(error, LogError::StalePlan { planned: Lsn(1), next: Lsn(2) }), "{error}");
    log.sync().unwrap();
    let (log, _, frames) = open(&disk, Lsn(0)).unwrap();
    assert_same(&log, &frames, &[written]);
}

/// One fdatasync for many frames, one directory sync for each new file, none when nothing is to be done.
#[test]
fn it_syncs_no_more_than_needed() {
    let disk = MemDisk::new();
    let rng = SeededRng::new(4);
    let (mut log, ..) = open(&disk, Lsn(0)).unwrap();
    let calls = || (disk.calls(CallKind::Write), disk.calls(CallKind::SyncData), disk.calls(CallKind::SyncDir));
    let before = calls();
    for _ in 0..10 {
        append(&mut log, &rng, &[100, 200], 50);
    }
    assert_eq!((log.written_lsn(), log.durable_lsn(), log.unsynced_bytes()), (Lsn(10), Lsn(0), 40960));
    log.sync().unwrap();
    log.sync().unwrap();
    assert_eq!((log.durable_lsn(), log.unsynced_bytes()), (Lsn(10), 0));
    assert_eq!(calls(), (before.0 + 10, before.1 + 1, before.2));
    // The old file is synced before the new one is made.
    append(&mut log, &rng, &[64 << 10], 0);
    let before = calls();
    append(&mut log, &rng, &[1], 0);
    assert_eq!(log.durable_lsn(), Lsn(11));
    assert_eq!(calls(), (before.0 + 2, before.1 + 1, before.2));
    log.sync().unwrap();
    assert_eq!(calls(), (before.0 + 2, before.1 + 2, before.2 + 1));
}

#[test]
fn a_mark_is_written_once() {
    let disk = MemDisk::new();
    let rng = SeededRng::new(5);
    let (mut log, ..) = open(&disk, Lsn(0)).unwrap();
    assert_eq!(log.mark().unwrap(), None);
    append(&mut log, &rng, &[10], 10);
    assert_eq!(log.mark().unwrap(), Some(Lsn(2)));
    assert_eq!(log.mark().unwrap(), None);
    let (mut log, recovery, frames) = open(&disk, Lsn(0)).unwrap();
    assert_eq!((recovery.last_lsn, frames.len(), frames[1].facts.len()), (Lsn(2), 2, 0));
    assert_eq!(log.mark().unwrap(), None, "an opened log whose last frame is a mark needs no other");
    append(&mut log, &rng, &[10], 10);
    log.sync().unwrap();
    let (mut log, ..) = open(&disk, Lsn(0)).unwrap();
    assert_eq!(log.mark().unwrap(), Some(Lsn(4)));
}

#[test]
fn removed_files_are_gone_and_the_rest_stays() {
    let disk = MemDisk::new();
    let rng = SeededRng::new(6);
    let (mut log, ..) = open(&disk, Lsn(0)).unwrap();
    let written: Vec<_> = (0..6).map(|_| append(&mut log, &rng, &[70 << 10], 10)).collect();
    log.sync().unwrap();
    let reader = log.reader();
    assert!(matches!(log.remove_file(6), Err(LogError::Current(6))));
    for number in [1, 2, 4] {
        reader.read(&written[number as usize - 1].blocks[0].0).unwrap();
        log.remove_file(number).unwrap();
        log.remove_file(number).unwrap();
        let error = reader.read(&written[number as usize - 1].blocks[0].0).unwrap_err();
        assert!(matches!(error, ReadError::Gone(file) if file == number), "{error}");
    }
    let (log, recovery, frames) = open(&disk, Lsn(4)).unwrap();
    assert_eq!(recovery.damage, []);
    assert_same(&log, &frames, &written[4..]);
    assert_readable(&log, &written[2]);
    assert_eq!(log.files().iter().map(|file| file.number).collect::<Vec<_>>(), [3, 5, 6]);
    assert!(matches!(read_error(&log, &written[0].blocks[0].0), ReadError::Gone(1)));
}

#[test]
fn a_reference_that_lies_is_refused_before_anything_is_allocated() {
    let disk = MemDisk::new();
    let rng = SeededRng::new(7);
    let (mut log, ..) = open(&disk, Lsn(0)).unwrap();
    let at = append(&mut log, &rng, &[1000], 10).blocks[0].0;
    let lies = [
        BlockRef { length: u32::MAX, ..at },
        BlockRef { position: u64::MAX, ..at },
        BlockRef { position: at.position + 64, ..at },
        BlockRef { crc32c: !at.crc32c, ..at },
        BlockRef { length: 999, ..at },
    ];
    for lie in lies {
        let error = read_error(&log, &lie);
        assert!(matches!(&error, ReadError::Damaged(damage) if damage.file == path(1)), "{lie:?}: {error}");
    }
    assert_eq!(BlockRef::from(storage::BlockRef::from(at)), at);
    disk.remove(&path(1)).unwrap();
    let (other, ..) = open(&disk, Lsn(0)).unwrap();
    assert!(matches!(read_error(&other, &BlockRef { file: 9, ..at }), ReadError::Gone(9)));
}

/// A file that somebody else removed is damage, not `Gone`.
#[test]
fn a_file_that_vanished_is_damage() {
    let disk = MemDisk::new();
    let rng = SeededRng::new(8);
    let (mut log, ..) = open(&disk, Lsn(0)).unwrap();
    let at = append(&mut log, &rng, &[1000], 10).blocks[0].0;
    disk.remove(&path(1)).unwrap();
    let error = read_error(&log, &at).to_string();
    assert!(error.contains("the file is missing") && error.contains("00000000000000000001.log"), "{error}");
}

#[test]
fn after_a_failed_sync_or_write_nothing_is_done_any_more() {
    for (kind, error) in [
        (CallKind::SyncData, ErrorKind::Other),
        (CallKind::SyncData, ErrorKind::StorageFull),
        (CallKind::Write, ErrorKind::Other),
    ] {
        let disk = MemDisk::new();
        let rng = SeededRng::new(9);
        let (mut log, ..) = open(&disk, Lsn(0)).unwrap();
        let good = append(&mut log, &rng, &[100], 10);
        log.sync().unwrap();
        let plan = log.plan(Vec::new()).unwrap();
        disk.fail(kind, 1, error);
        let outcome = try_append(&mut log, &rng, &[100], 10).and_then(|_| log.sync());
        assert!(matches!(outcome, Err(LogError::Poisoned(_))), "{kind:?}: {outcome:?}");
        let calls = (disk.calls(CallKind::Write), disk.calls(CallKind::SyncData));
        assert!(matches!(log.sync(), Err(LogError::Poisoned(_))));
        assert!(matches!(log.mark(), Err(LogError::Poisoned(_))));
        assert!(matches!(log.append(plan, b""), Err(LogError::Poisoned(_))));
        assert!(matches!(log.plan(Vec::new()), Err(LogError::Poisoned(_))));
        assert_eq!((disk.calls(CallKind::Write), disk.calls(CallKind::SyncData)), calls, "the disk was touched again");
        assert_eq!(log.durable_lsn(), Lsn(1));
        assert_readable(&log, &good);
    }
}

#[test]
fn a_full_disk_changes_nothing_and_may_be_tried_again() {
    let disk = MemDisk::new();
    let rng = SeededRng::new(10);
    let (mut log, ..) = open(&disk, Lsn(0)).unwrap();
    let mut written = vec![append(&mut log, &rng, &[64 << 10], 10)];
    log.sync().unwrap();
    // Both while a file is made and in the middle of a frame.
    for nth in [1, 2] {
        let before = image(&disk);
        disk.fail(CallKind::Write, nth, ErrorKind::StorageFull);
        let error = try_append(&mut log, &rng, &[60 << 10], 10).unwrap_err();
        assert!(matches!(error, LogError::Full(_)), "{error}");
        if nth == 1 {
            assert_eq!(image(&disk), before);
        }
        written.push(append(&mut log, &rng, &[60 << 10], 10));
        log.sync().unwrap();
    }
    let (log, recovery, frames) = open(&disk.crash(1), Lsn(0)).unwrap();
    assert_eq!((recovery.cut, recovery.damage.len()), (None, 0));
    assert_same(&log, &frames, &written);
}

/// When not even the file can be put back, the log gives up.
#[test]
fn a_full_disk_that_cannot_be_undone_poisons() {
    let disk = MemDisk::new();
    let rng = SeededRng::new(11);
    let (mut log, ..) = open(&disk, Lsn(0)).unwrap();
    disk.fail(CallKind::Write, 1, ErrorKind::StorageFull);
    disk.fail(CallKind::Truncate, 1, ErrorKind::Other);
    let error = try_append(&mut log, &rng, &[100], 10).unwrap_err();
    assert!(matches!(error, LogError::Poisoned(_)), "{error}");
}

#[test]
fn other_files_in_the_directory_are_left_alone() {
    let disk = MemDisk::new();
    disk.create_dir_all(Path::new(DIR)).unwrap();
    for name in ["notes.txt", "1.log", "0000000000000000000x.log", "00000000000000000001.log.bak"] {
        disk.set_contents(&Path::new(DIR).join(name), b"mine".to_vec());
    }
    let (mut log, recovery, _) = open(&disk, Lsn(0)).unwrap();
    assert_eq!((recovery.cut, recovery.damage.len()), (None, 0));
    append(&mut log, &SeededRng::new(12), &[10], 10);
    assert_eq!(disk.contents(&Path::new(DIR).join("1.log")).unwrap(), b"mine");
}

/// Frames can be read again while the log is written; the answer says where that ended.
#[test]
fn replay_gives_a_range_and_says_where_it_ended() {
    let disk = MemDisk::new();
    let rng = SeededRng::new(13);
    let (mut log, ..) = open(&disk, Lsn(0)).unwrap();
    let written: Vec<_> = (0..30).map(|_| append(&mut log, &rng, &[9000], 20)).collect();
    assert!(log.files().len() > 3);
    let range = |wanted: std::ops::Range<u64>| {
        let mut frames = Vec::new();
        let wanted = Lsn(wanted.start)..Lsn(wanted.end);
        let end = replay(&disk, Path::new(DIR), wanted, &mut |frame| frames.push(frame)).unwrap();
        (frames, end)
    };
    for wanted in [1..31, 1..1, 7..8, 3..29, 30..31] {
        let (frames, end) = range(wanted.clone());
        assert_eq!(end, Lsn(wanted.end));
        assert_same(&log, &frames, &written[wanted.start as usize - 1..wanted.end as usize - 1]);
    }
    assert_eq!(range(20..99).1, Lsn(31));
    flip(&disk, 1, 3 * 4096 * 2 + 4096 + 9, 0);
    let (frames, end) = range(1..31);
    assert_eq!((frames.len(), end), (end.0 as usize - 1, Lsn(3)));
}
