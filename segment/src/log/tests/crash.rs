//! Crash images: a log is written at random, power is lost at random, unsynced writes survive in any order and in part. What was
//! synced is always there, what is there is a prefix of what was written, and life goes on; several crashes in a row.

use std::io::ErrorKind;
use std::path::Path;

use super::kit::*;
use crate::env::{CallKind, MemDisk, SeededRng};
use crate::log::{Log, Lsn, verify};

const RUNS: u64 = 1000;
const CRASHES: u64 = 4;
const FILE_BYTES: u64 = 24 << 10;

/// Appends, syncs, marks and rolls at random; returns the last frame that was promised durable.
fn write_at_random(log: &mut Log, rng: &SeededRng, written: &mut Vec<Written>) -> Lsn {
    let mut durable = log.durable_lsn();
    for _ in 0..rng.below(14) {
        match rng.below(8) {
            0..=4 => {
                let lengths: Vec<usize> = (0..rng.below(4)).map(|_| rng.below(5000) as usize).collect();
                written.push(append(log, rng, &lengths, 1 + rng.below(3000) as usize));
            }
            5 | 6 => durable = log.sync().unwrap(),
            _ => {
                if let Some(lsn) = log.mark().unwrap() {
                    written.push(Written { lsn, facts: bytes::Bytes::new(), blocks: Vec::new() });
                }
                durable = log.durable_lsn();
            }
        }
        assert!(log.durable_lsn() >= durable);
        durable = log.durable_lsn();
    }
    durable
}

#[test]
fn what_was_synced_survives_every_crash() {
    let mut cuts = 0;
    let mut kept_unsynced = 0;
    for seed in 0..RUNS {
        let rng = SeededRng::new(seed);
        let mut disk = MemDisk::new();
        let mut written: Vec<Written> = Vec::new();
        let mut durable = Lsn(0);
        for crash in 0..CRASHES {
            let report = verify_if_there(&disk);
            let opened = open_with(&disk, Lsn(0), options(FILE_BYTES));
            let (mut log, recovery, frames) =
                opened.unwrap_or_else(|error| panic!("seed {seed}, crash {crash}: {error}"));
            assert_eq!(recovery.damage, [], "seed {seed}, crash {crash}");
            assert_eq!(report, Some(recovery.cut.is_some()).filter(|_| crash > 0), "seed {seed}, crash {crash}");
            assert!(recovery.last_lsn >= durable, "seed {seed}, crash {crash}: {durable} was synced");
            assert!(recovery.last_lsn.0 <= written.len() as u64, "seed {seed}, crash {crash}");
            written.truncate(recovery.last_lsn.0 as usize);
            assert_same(&log, &frames, &written);
            cuts += u64::from(recovery.cut.is_some());
            kept_unsynced += recovery.last_lsn.0 - durable.0;
            durable = write_at_random(&mut log, &rng, &mut written);
            // What open() returned is promised durable, even if nothing was synced since.
            durable = durable.max(recovery.last_lsn);
            disk = disk.crash(seed * CRASHES + crash);
        }
    }
    assert!(cuts > RUNS / 4 && kept_unsynced > RUNS / 4, "{cuts} cuts, {kept_unsynced} unsynced frames kept");
}

/// Whether `verify` sees a tail to be cut; damage it must not see.
fn verify_if_there(disk: &MemDisk) -> Option<bool> {
    let report = verify(disk, Path::new(DIR), &mut |_| ()).ok()?;
    assert_eq!(report.damage, []);
    Some(report.tail.is_some())
}

/// Recovery itself fails or loses power at each of its steps: the next one finds the same.
#[test]
fn recovery_may_be_interrupted_anywhere() {
    let mut interrupted = 0;
    for seed in 0..400 {
        let rng = SeededRng::new(seed);
        let disk = MemDisk::new();
        let (mut log, ..) = open_with(&disk, Lsn(0), options(FILE_BYTES)).unwrap();
        let mut written = Vec::new();
        let durable = write_at_random(&mut log, &rng, &mut written);
        let image = disk.crash(seed);
        let kinds = [CallKind::Write, CallKind::SyncData, CallKind::SyncDir, CallKind::Truncate, CallKind::Remove];
        let kind = kinds[rng.below(kinds.len() as u64) as usize];
        image.fail(kind, 1 + rng.below(2), ErrorKind::Other);
        interrupted += u32::from(open_with(&image, Lsn(0), options(FILE_BYTES)).is_err());
        for again in 0..3 {
            let image = image.crash(seed * 3 + again);
            let (log, recovery, frames) = open_with(&image, Lsn(0), options(FILE_BYTES))
                .unwrap_or_else(|error| panic!("seed {seed}, {kind:?}, {again}: {error}"));
            assert_eq!(recovery.damage, [], "seed {seed}");
            assert!(recovery.last_lsn >= durable, "seed {seed}, {kind:?}, {again}");
            assert_same(&log, &frames, &written[..recovery.last_lsn.0 as usize]);
        }
    }
    assert!(interrupted > 50, "only {interrupted} recoveries were interrupted");
}

/// The kernel shows pages that a failed sync has lost. They are replayed after the process ended, so they must be written
/// again: otherwise they vanish with the next loss of power, after somebody has seen them.
#[test]
fn frames_that_a_failed_sync_lost_are_written_again() {
    for seed in 0..100 {
        let disk = MemDisk::new();
        let rng = SeededRng::new(seed);
        let (mut log, ..) = open(&disk, Lsn(0)).unwrap();
        let mut written = Vec::new();
        if seed % 2 == 0 {
            written.push(append(&mut log, &rng, &[100], 10));
            log.sync().unwrap();
        }
        written.extend((0..3).map(|_| append(&mut log, &rng, &[2000], 10)));
        disk.fail(CallKind::SyncData, 1, ErrorKind::Other);
        log.sync().unwrap_err();
        let (log, recovery, frames) = open(&disk, Lsn(0)).unwrap();
        assert_same(&log, &frames, &written);
        assert!(recovery.rewritten_bytes >= 3 * 4096);
        let (log, recovery, frames) = open(&disk.crash(seed), Lsn(0)).unwrap();
        assert_same(&log, &frames, &written);
        assert_eq!(recovery.cut, None);
    }
}
