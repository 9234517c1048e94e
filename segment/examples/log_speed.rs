//! What the log costs over the disk: the same bytes, in the same run, written
//! (a) raw, one pwrite and one fdatasync per 8 MiB; (b) through `Log::append`, 1 MiB blocks, a sync per 8 MiB.
//!
//! `cargo run --release -p sluice-segment --example log_speed [directory] [MiB per run]`: the directory defaults to the
//! system's temporary one, everything written there is removed. The two take turns in beginning, so that a
//! noisy neighbour hits both; with other load on the machine single rounds differ by a factor of four.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sluice_segment::env::{Clock, Disk, OpenMode, OsDisk, SystemClock};
use sluice_segment::log::{Block, Log, LogOptions, Lsn};

const MIB: usize = 1 << 20;
const SYNC_MIB: usize = 8;
const ROUNDS: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let mib: usize = arguments.next().map_or(Ok(128), |mib| mib.parse())?;
    let dir = parent.join(format!("sluice-log-speed-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let outcome = measure(&dir, mib);
    std::fs::remove_dir_all(&dir)?;
    outcome
}

#[expect(clippy::print_stdout, reason = "an example speaks to a person")]
fn measure(dir: &Path, mib: usize) -> Result<(), Box<dyn Error>> {
    // Not compressible and not constant, in case the disk below is clever.
    let data: Vec<u8> = (0..SYNC_MIB * MIB).map(|n| (n as u32).wrapping_mul(0x9e37_79b9).to_le_bytes()[3]).collect();
    let data = Bytes::from(data);
    let (mut raw, mut log) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (raw_path, log_path) = (dir.join(format!("raw-{round}")), dir.join(format!("log-{round}")));
        if round % 2 == 0 {
            raw.push(raw_run(&raw_path, mib, &data)?);
        }
        log.push(log_run(&log_path, mib, &data)?);
        if round % 2 == 1 {
            raw.push(raw_run(&raw_path, mib, &data)?);
        }
        println!("round {round}: raw {:.0} MB/s, log {:.0} MB/s", raw[round], log[round]);
        std::fs::remove_file(&raw_path)?;
        std::fs::remove_dir_all(&log_path)?;
    }
    let (raw, log) = (harmonic_mean(&raw), harmonic_mean(&log));
    println!("raw {raw:.0} MB/s, log {log:.0} MB/s, ratio {:.2}", log / raw);
    Ok(())
}

fn raw_run(path: &Path, mib: usize, data: &[u8]) -> Result<f64, Box<dyn Error>> {
    let clock = SystemClock::new();
    let file = OsDisk.open(path, OpenMode::CreateNew)?;
    for piece in 0..mib / SYNC_MIB {
        file.write_all_at((piece * data.len()) as u64, data)?;
        file.sync_data()?;
    }
    Ok(speed(mib, &clock))
}

fn log_run(dir: &Path, mib: usize, data: &Bytes) -> Result<f64, Box<dyn Error>> {
    let clock = SystemClock::new();
    let (mut log, _) = Log::open(Arc::new(OsDisk), dir, LogOptions::default(), Lsn(0), &mut |_| Ok(()))?;
    for _ in 0..mib / SYNC_MIB {
        for block in 0..SYNC_MIB {
            // The checksum is computed here, as a gateway does once for each block that comes in.
            let plan = log.plan(vec![Block::new(data.slice(block * MIB..(block + 1) * MIB))])?;
            log.append(plan, b"some facts about one block, about as long as an encoded extent would be")?;
        }
        log.sync()?;
    }
    Ok(speed(mib, &clock))
}

fn speed(mib: usize, clock: &dyn Clock) -> f64 {
    (mib * MIB) as f64 / 1e6 / clock.monotonic().as_secs_f64()
}

/// The mean of speeds over equal amounts.
fn harmonic_mean(speeds: &[f64]) -> f64 {
    speeds.len() as f64 / speeds.iter().map(|speed| 1.0 / speed).sum::<f64>()
}
