//! One bit, one sector, one file at a time: what was durable is never cut, what was not never hinders a start.

use std::path::Path;

use super::kit::*;
use crate::env::{CallKind, Disk, MemDisk, SeededRng};
use crate::log::frame::{FileHeader, FrameHeader, PAGE};
use crate::log::{Lsn, OpenError, ReadError, verify};

/// Three synced frames and, with `mark`, a fourth that proves the third.
fn three_frames(mark: bool) -> (MemDisk, Vec<Written>) {
    let disk = MemDisk::new();
    let rng = SeededRng::new(21);
    let (mut log, ..) = open(&disk, Lsn(0)).unwrap();
    let shapes: [(&[usize], usize); 3] = [(&[700, 300], 90), (&[3000, 1, 2000], 700), (&[500, 4000], 60)];
    let mut written = Vec::new();
    for (lengths, facts) in shapes {
        written.push(append(&mut log, &rng, lengths, facts));
        log.sync().unwrap();
    }
    if mark {
        log.mark().unwrap();
    }
    (disk, written)
}

/// Position and length of each frame in the one file.
fn places(disk: &MemDisk) -> Vec<(usize, usize)> {
    let content = disk.contents(&path(1)).unwrap();
    let mut at = PAGE as usize;
    let mut places = Vec::new();
    while at < content.len() {
        let header = FrameHeader::decode(&content[at..]).unwrap();
        places.push((at, header.total_bytes as usize));
        at += header.total_bytes as usize;
    }
    places
}

/// What a byte of a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    HeaderOrFacts,
    Block(usize),
    Padding,
}

fn part(written: &Written, frame_at: usize, byte: usize) -> Part {
    let header_bytes = 64 + 8 * written.blocks.len();
    let facts_at =
        written.blocks.last().map_or(header_bytes, |(at, data)| at.position as usize + data.len() - frame_at);
    let facts_at = facts_at.next_multiple_of(64);
    let inside = byte - frame_at;
    if inside < header_bytes || (facts_at..facts_at + written.facts.len()).contains(&inside) {
        return Part::HeaderOrFacts;
    }
    let within = |(at, data): &(crate::log::BlockRef, bytes::Bytes)| {
        (at.position as usize..at.position as usize + data.len()).contains(&byte)
    };
    written.blocks.iter().position(within).map_or(Part::Padding, Part::Block)
}

/// One bit of each byte of each durable frame.
#[test]
fn a_flipped_bit_in_a_durable_frame_is_never_cut() {
    let (disk, written) = three_frames(true);
    let places = places(&disk);
    let mut seen = [0; 3];
    for (frame, (at, length)) in written.iter().zip(&places) {
        for byte in *at..at + length {
            flip(&disk, 1, byte, byte as u32 % 8);
            match part(frame, *at, byte) {
                Part::HeaderOrFacts => {
                    seen[0] += 1;
                    let before = image(&disk);
                    let error = open(&disk, Lsn(0)).map(|_| ()).unwrap_err();
                    let OpenError::Damaged(damage) = &error else { panic!("{error}") };
                    assert_eq!((damage[0].lsn, damage[0].position), (Some(frame.lsn), *at as u64));
                    assert!(error.to_string().contains("sluice admin verify"));
                    assert!(image(&disk) == before, "a refused open changed a file");
                }
                Part::Block(block) => {
                    seen[1] += 1;
                    let (log, recovery, frames) = open(&disk, Lsn(0)).unwrap();
                    assert_eq!((frames.len(), recovery.cut), (4, None));
                    let (at, _) = frame.blocks[block];
                    assert_eq!(recovery.damage.len(), 1);
                    assert_eq!((recovery.damage[0].lsn, recovery.damage[0].position), (Some(frame.lsn), at.position));
                    let error = read_error(&log, &at);
                    assert!(matches!(&error, ReadError::Damaged(damage) if damage.position == at.position), "{error}");
                }
                Part::Padding => {
                    seen[2] += 1;
                    let (log, recovery, frames) = open(&disk, Lsn(0)).unwrap();
                    assert_eq!((recovery.cut, recovery.damage.len()), (None, 0));
                    assert_same(&log, &frames[..3], &written);
                }
            }
            flip(&disk, 1, byte, byte as u32 % 8);
        }
    }
    assert!(seen.iter().all(|count| *count > 500), "{seen:?}");
}

/// The same in the last frame, which nothing proves durable: it is taken for torn.
#[test]
fn a_flipped_bit_in_the_last_unproven_frame_cuts_it() {
    let (disk, written) = three_frames(false);
    let (at, length) = places(&disk)[2];
    for byte in at..at + length {
        let disk = only_file(disk.contents(&path(1)).unwrap());
        flip(&disk, 1, byte, byte as u32 % 8);
        let (mut log, recovery, frames) = open(&disk, Lsn(0)).unwrap();
        if part(&written[2], at, byte) == Part::Padding {
            assert_same(&log, &frames, &written);
            continue;
        }
        assert_same(&log, &frames, &written[..2]);
        assert_eq!(recovery.cut.unwrap().bytes, length as u64);
        assert_eq!(disk.len(&path(1)).unwrap(), at as u64);
        assert_eq!(append(&mut log, &SeededRng::new(1), &[10], 10).lsn, Lsn(3));
    }
}

/// The file ends after any number of bytes: whole frames come back, and the log goes on after them.
#[test]
fn every_prefix_of_a_log_is_a_log() {
    let (disk, written) = three_frames(false);
    let ends: Vec<usize> = places(&disk).iter().map(|(at, length)| at + length).collect();
    let whole = disk.contents(&path(1)).unwrap();
    let rng = SeededRng::new(22);
    for length in 0..=whole.len() {
        let disk = only_file(whole[..length].to_vec());
        let (mut log, recovery, frames) = open(&disk, Lsn(0)).unwrap();
        let left = ends.iter().filter(|end| **end <= length).count();
        assert_same(&log, &frames, &written[..left]);
        // Without a whole header page the file was never used, and goes.
        let end = if length < 4096 { 0 } else { ends[..left].last().copied().unwrap_or(4096) };
        let cut = recovery.cut.map(|cut| (cut.position, cut.bytes));
        assert_eq!(cut, (length > end || end == 0).then_some((end as u64, (length - end) as u64)));
        let more = append(&mut log, &rng, &[100], 10);
        log.sync().unwrap();
        let (log, _, frames) = open(&disk, Lsn(0)).unwrap();
        assert_same(&log, &frames, &[&written[..left], &[more]].concat());
    }
}

/// Each sector of the last frame is missing alone, and each run of its first or last sectors.
#[test]
fn every_tear_of_the_last_frame_cuts_it() {
    let (disk, written) = three_frames(false);
    let (at, length) = places(&disk)[2];
    let whole = disk.contents(&path(1)).unwrap();
    let sectors = length / 512;
    let alone = (0..sectors).map(|sector| sector..sector + 1);
    let first = (1..=sectors).map(|end| 0..end);
    let last = (0..sectors).map(|begin| begin..sectors);
    let mut cuts = 0;
    for lost in alone.chain(first).chain(last) {
        let mut content = whole.clone();
        content[at + lost.start * 512..at + lost.end * 512].fill(0);
        let torn = content != whole;
        let disk = only_file(content);
        let (log, recovery, frames) = open(&disk, Lsn(0)).unwrap();
        assert_eq!(recovery.cut.is_some(), torn, "sectors {lost:?}");
        assert_same(&log, &frames, if torn { &written[..2] } else { &written });
        cuts += u32::from(torn);
    }
    assert!(cuts > 20);
}

/// One synced frame and five that were not.
fn five_unsynced() -> (MemDisk, Vec<Written>) {
    let disk = MemDisk::new();
    let rng = SeededRng::new(23);
    let (mut log, ..) = open(&disk, Lsn(0)).unwrap();
    let mut written = vec![append(&mut log, &rng, &[100], 10)];
    log.sync().unwrap();
    written.extend((0..5).map(|_| append(&mut log, &rng, &[100], 10)));
    (disk, written)
}

/// Frames that were written but not synced prove nothing: a hole among them cuts the log there, a hole before them does not.
#[test]
fn a_hole_among_unsynced_frames_cuts_there() {
    let (disk, written) = five_unsynced();
    for hole in 0..6 {
        for lost in [1, 512, 4096] {
            let mut content = disk.contents(&path(1)).unwrap();
            let at = 4096 * (hole + 1);
            content[at..at + lost].fill(0);
            let disk = only_file(content);
            let opened = open(&disk, Lsn(0));
            if hole == 0 {
                assert!(matches!(opened, Err(OpenError::Damaged(_))));
                continue;
            }
            let (log, recovery, frames) = opened.unwrap();
            assert_same(&log, &frames, &written[..hole]);
            assert_eq!(recovery.cut.unwrap().position, at as u64);
        }
    }
}

/// A frame inside a block, be it forged with the file's salt or copied from its right place, is no frame and no proof.
#[test]
fn a_frame_inside_a_block_is_not_believed() {
    let disk = MemDisk::new();
    let rng = SeededRng::new(24);
    let (mut log, ..) = open(&disk, Lsn(0)).unwrap();
    let mut written = vec![append(&mut log, &rng, &[100], 10)];
    log.sync().unwrap();
    let content = disk.contents(&path(1)).unwrap();
    let salt = FileHeader::decode(&content[..4096], 1).unwrap().0.salt;
    // The block begins 128 bytes into the frame, so that its byte 4096 - 128 lies at a page.
    let at = written[0].blocks[0].0.position - 128 + 4096;
    let forge = |salt: u64, position: u64| {
        let (lsn, durable_lsn) = (Lsn(1000), Lsn(999));
        let (total_bytes, facts_bytes, facts_crc, table) = (4096, 0, 0, Vec::new());
        FrameHeader { lsn, durable_lsn, salt, position, total_bytes, facts_bytes, facts_crc, table }.encode()
    };
    let mut data = vec![1; 4096 - 128];
    for page in 0..3 {
        let header = match page {
            0 => forge(salt ^ 1, at + 4096 * (page + 1)),
            1 => forge(salt, at),
            _ => content[4096..4096 + 128].to_vec(),
        };
        data.extend(&header);
        data.resize(data.len().next_multiple_of(4096) + 4096 - 128, 1);
        data.truncate(4096 * (page as usize + 2) - 128);
    }
    let plan = log.plan(vec![crate::log::Block::new(data.into())]).unwrap();
    assert_eq!(plan.refs()[0].position, at + 128);
    log.append(plan, b"").unwrap();
    let mut content = disk.contents(&path(1)).unwrap();
    for page in 1..4 {
        assert_eq!(content[at as usize + 4096 * page..][..4], *b"SLFR", "the test does not test what it says");
    }
    content[at as usize] ^= 1;
    let disk = only_file(content);
    let (log, recovery, frames) = open(&disk, Lsn(0)).unwrap();
    assert_same(&log, &frames, &std::mem::take(&mut written));
    assert_eq!(recovery.cut.unwrap().position, at);
}

/// Ten files of one frame each, never synced but by rolling.
fn many_files() -> (MemDisk, Vec<Written>) {
    let disk = MemDisk::new();
    let rng = SeededRng::new(25);
    let (mut log, ..) = open(&disk, Lsn(0)).unwrap();
    let written = (0..10).map(|_| append(&mut log, &rng, &[64 << 10], 10)).collect();
    (disk, written)
}

#[test]
fn a_later_file_proves_the_earlier_ones() {
    let (disk, written) = many_files();
    for number in 1..=10 {
        flip(&disk, number, 4096 + 20, 3);
        let opened = open(&disk.clone(), Lsn(0));
        if number < 10 {
            let error = opened.map(|_| ()).unwrap_err();
            assert!(matches!(&error, OpenError::Damaged(damage) if damage[0].file == path(number)), "{error}");
        } else {
            let (log, recovery, frames) = opened.unwrap();
            assert!(recovery.cut.is_some());
            assert_same(&log, &frames, &written[..9]);
            break;
        }
        flip(&disk, number, 4096 + 20, 3);
    }
}

/// Even one without any frame does.
#[test]
fn a_file_that_was_just_made_proves_the_earlier_ones() {
    let disk = MemDisk::new();
    let rng = SeededRng::new(26);
    let (mut log, ..) = open(&disk, Lsn(0)).unwrap();
    append(&mut log, &rng, &[64 << 10], 10);
    drop(log.plan(Vec::new()).unwrap());
    assert_eq!(log.files().len(), 2);
    flip(&disk, 1, 4096 + 20, 3);
    let error = open(&disk, Lsn(0)).map(|_| ()).unwrap_err();
    assert!(matches!(&error, OpenError::Damaged(damage) if damage[0].lsn == Some(Lsn(1))), "{error}");
    let report = verify(&disk, Path::new(DIR), &mut |_| ()).unwrap();
    assert_eq!((report.damage.len(), report.tail), (1, None));
}

#[test]
fn a_missing_file_is_damage() {
    for number in 1..10 {
        let (disk, _) = many_files();
        disk.remove(&path(number)).unwrap();
        let before = image(&disk);
        let error = open(&disk, Lsn(0)).map(|_| ()).unwrap_err();
        let OpenError::Damaged(damage) = error else { panic!("{error}") };
        assert_eq!(damage[0].lsn, Some(Lsn(number)));
        assert!(image(&disk) == before);
    }
}

#[test]
fn a_file_header_has_a_second_copy() {
    for byte in [0, 8, 17, 25, 33, 41, 2048, 2048 + 41] {
        let (disk, written) = many_files();
        flip(&disk, 4, byte, 0);
        let (log, recovery, frames) = open(&disk, Lsn(0)).unwrap();
        assert_same(&log, &frames, &written);
        assert_eq!(recovery.damage.len(), 1);
        assert_eq!((&recovery.damage[0].file, recovery.damage[0].position), (&path(4), 0));
    }
}

#[test]
fn a_file_without_header_is_damage_unless_it_was_just_made() {
    for number in 1..=10 {
        let (disk, written) = many_files();
        let mut content = disk.contents(&path(number)).unwrap();
        content[..4096].fill(0);
        disk.set_contents(&path(number), content);
        let opened = open(&disk, Lsn(0));
        if number < 10 {
            let error = opened.map(|_| ()).unwrap_err();
            assert!(matches!(&error, OpenError::Damaged(damage) if damage[0].file == path(number)), "{error}");
            continue;
        }
        let (mut log, recovery, frames) = opened.unwrap();
        assert_same(&log, &frames, &written[..9]);
        assert_eq!(recovery.cut.unwrap().position, 0);
        append(&mut log, &SeededRng::new(1), &[10], 10);
        log.sync().unwrap();
        assert_eq!(open(&disk, Lsn(0)).unwrap().1.last_lsn, Lsn(10));
    }
    // A mark in the last file says that it was durable.
    let (disk, _) = many_files();
    let (mut log, ..) = open(&disk, Lsn(0)).unwrap();
    log.mark().unwrap();
    append(&mut log, &SeededRng::new(1), &[10], 10);
    let last = log.files().last().unwrap().number;
    log.mark().unwrap();
    let mut content = disk.contents(&path(last)).unwrap();
    content[..4096].fill(0);
    disk.set_contents(&path(last), content);
    assert!(matches!(open(&disk, Lsn(0)), Err(OpenError::Damaged(_))));
}

#[test]
fn a_newer_format_is_refused_in_one_sentence() {
    let (disk, _) = three_frames(true);
    let mut content = disk.contents(&path(1)).unwrap();
    for copy in [0, 2048] {
        content[copy + 8] = 2;
        let crc = crc32c::crc32c(&content[copy..copy + 40]);
        content[copy + 40..copy + 44].copy_from_slice(&crc.to_le_bytes());
    }
    let error = open(&only_file(content), Lsn(0)).map(|_| ()).unwrap_err().to_string();
    assert!(error.ends_with("has format version 2, this program reads up to 1: use the newer program"), "{error}");
}

/// What a snapshot holds need not be replayed: damage there is told and does not hinder the start.
#[test]
fn damage_that_the_snapshot_makes_good_is_only_told() {
    for damaged in 0..3 {
        for after in damaged + 1..=4 {
            let (disk, written) = three_frames(true);
            let (at, _) = places(&disk)[damaged];
            flip(&disk, 1, at + 9, 0);
            let (mut log, recovery, frames) = open(&disk, Lsn(after as u64)).unwrap();
            assert_eq!((recovery.last_lsn, recovery.cut, recovery.damage.len()), (Lsn(4), None, 1));
            assert_same(&log, &frames[..frames.len().min(3 - after.min(3))], &written[after.min(3)..]);
            assert_readable(&log, &written[damaged]);
            append(&mut log, &SeededRng::new(1), &[10], 10);
            log.sync().unwrap();
            assert_eq!(open(&disk, Lsn(after as u64)).unwrap().1.last_lsn, Lsn(5));
        }
    }
}

/// A log that ends before the snapshot goes on behind it, in a new file, so that no number is given twice.
#[test]
fn a_log_shorter_than_the_snapshot_goes_on_behind_it() {
    let (disk, written) = three_frames(true);
    let (mut log, recovery, frames) = open(&disk, Lsn(9)).unwrap();
    assert_eq!((recovery.last_lsn, recovery.damage.len(), frames.len()), (Lsn(9), 1, 0));
    assert_readable(&log, &written[1]);
    let more = append(&mut log, &SeededRng::new(1), &[10], 10);
    assert_eq!((more.lsn, more.blocks[0].0.file), (Lsn(10), 2));
    log.sync().unwrap();
    let (log, recovery, frames) = open(&disk, Lsn(9)).unwrap();
    assert_eq!(recovery.damage, []);
    assert_same(&log, &frames, &[more]);
    assert!(matches!(open(&MemDisk::new(), Lsn(1)), Err(OpenError::Damaged(_))));
}

#[test]
fn a_disk_that_fails_to_read_never_cuts() {
    for nth in 1..12 {
        let (disk, _) = three_frames(false);
        let before = image(&disk);
        disk.fail(CallKind::Read, nth, std::io::ErrorKind::Other);
        let opened = open(&disk, Lsn(0));
        assert!(image(&disk) == before, "read {nth}");
        assert!(matches!(opened, Err(OpenError::Io { .. })) || opened.unwrap().1.damage.len() == 1, "read {nth}");
    }
}

#[test]
fn a_refused_frame_is_named() {
    let (disk, _) = three_frames(true);
    let mut seen = 0;
    let opened =
        crate::log::Log::open(std::sync::Arc::new(disk), Path::new(DIR), options(1 << 20), Lsn(0), &mut |_| {
            seen += 1;
            if seen == 2 { Err("no".into()) } else { Ok(()) }
        });
    assert!(matches!(opened.map(|_| ()), Err(OpenError::Replay { lsn: Lsn(2), .. })));
}

#[test]
fn verify_reads_everything_and_names_each_damage() {
    let (disk, written) = many_files();
    let check = |disk: &MemDisk| {
        let mut last = None;
        let report = verify(disk, Path::new(DIR), &mut |progress| {
            assert!(last.is_none_or(|before| before < progress.bytes_done));
            last = Some(progress.bytes_done);
            assert!(progress.bytes_done <= progress.bytes_total);
        });
        (report.unwrap(), last)
    };
    let (report, last) = check(&disk);
    assert_eq!((report.files, report.frames, report.blocks), (10, 10, 10));
    assert_eq!((report.lsns, report.tail, report.damage), (Some((Lsn(1), Lsn(10))), None, vec![]));
    assert_eq!(last, Some(report.bytes));
    disk.remove(&path(2)).unwrap();
    assert_eq!(check(&disk).0.damage, [], "a trimmed file is no damage");
    let block = written[4].blocks[0].0;
    flip(&disk, 3, 4096 + 9, 0);
    flip(&disk, 5, block.position as usize + 77, 5);
    flip(&disk, 6, 2050, 1);
    flip(&disk, 10, 4096 + 3000, 1);
    let before = image(&disk);
    let (report, _) = check(&disk);
    let found: Vec<_> = report.damage.iter().map(|damage| (damage.file.clone(), damage.position)).collect();
    assert_eq!(found, [(path(3), 4096), (path(5), block.position), (path(6), 0)]);
    assert_eq!((report.frames, report.tail.unwrap().position), (7, 4096));
    assert!(image(&disk) == before);
}
