//! The gateway is killed with SIGKILL at random moments under load. Shows that nothing acknowledged is lost, nothing comes
//! twice, a transaction is there wholly or not at all, and the Parquet glob never shows more than was committed, right
//! after each kill.
//!
//! Writers, readers and looks at Parquet record a history, which is checked for every anomaly that
//! `sluice_integration::history` names: also what readers saw while the gateway went down and came back, aborted
//! transactions, and writes whose outcome nobody learnt.
//!
//! `KILL_CYCLES` (default 50) sets the kills. `KILL_DAMAGE` (drop, dup, swap, tear, ghost, parquet, ... as `Damage` has
//! them) damages the recorded history before it is checked: the test must then fail.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod kill {
    pub mod readers;
    pub mod world;
    pub mod writers;
}

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use sluice_client::{At, StreamSettings};
use sluice_integration::{
    history::{self, Damage, History},
    parquet_glob::{self, Files},
    process::Gateway,
};
use sluice_schema::names::Name;
use tokio::task::JoinSet;

use kill::{
    readers::{read_again, read_all, tail},
    world::{EVENTS_PER_TRANSACTION, SCOPE, World, connect, stream_name},
    writers::{HastySink, append, append_hastily, commit},
};

/// Small files and ages, so that publication, trimming and snapshots all happen between kills.
const FLAGS: &[&str] = &[
    "--set=log.file_bytes=1MiB",
    "--set=log.limit_bytes=16MiB",
    "--set=tiering.file_bytes_target=64KiB",
    "--set=tiering.max_age=1s",
    "--set=tiering.interval=200ms",
    "--log-level=warn",
];

fn check_plain(found: &BTreeMap<u32, Vec<String>>, sent: u64) -> anyhow::Result<()> {
    let mut all: Vec<u64> = Vec::new();
    for values in found.values() {
        let mut last_of_key: BTreeMap<u64, u64> = BTreeMap::new();
        for value in values {
            let n: u64 = value.parse()?;
            let last = last_of_key.insert(n % 10, n).unwrap_or(0);
            ensure!(last < n, "key {}: {n} comes after {last}", n % 10);
            all.push(n);
        }
    }
    all.sort_unstable();
    ensure!(
        all.len() as u64 == sent && all.iter().zip(1..).all(|(found, expected)| *found == expected),
        "{} of {sent} events",
        all.len()
    );
    Ok(())
}

fn check_transactions(found: &BTreeMap<u32, Vec<String>>, transactions: u64) -> anyhow::Result<()> {
    let mut count: BTreeMap<u64, u64> = BTreeMap::new();
    for values in found.values() {
        let mut last = (0, 0);
        let mut seen = std::collections::BTreeSet::new();
        for value in values {
            let (t, i) = value.split_once(':').context("t:i")?;
            let (t, i): (u64, u64) = (t.parse()?, i.parse()?);
            ensure!(seen.insert((t, i)), "{t}:{i} comes twice");
            ensure!((t, i) >= last, "{t}:{i} comes after {last:?}");
            last = (t, i);
            *count.entry(t).or_default() += 1;
        }
    }
    ensure!(count.len() as u64 == transactions, "{} of {transactions} transactions", count.len());
    match count.iter().find(|(_, events)| **events != EVENTS_PER_TRANSACTION) {
        Some((t, events)) => bail!("transaction {t} has {events} of {EVENTS_PER_TRANSACTION} events"),
        None => Ok(()),
    }
}

/// Everything that the glob shows, read anew: dense from 0, and what readers see (checked by the caller).
fn glob(data: &Path) -> anyhow::Result<[parquet_glob::Rows; 3]> {
    let mut all = [parquet_glob::Rows::new(), parquet_glob::Rows::new(), parquet_glob::Rows::new()];
    for (rows, name) in all.iter_mut().zip(["plain", "left", "right"]) {
        *rows = parquet_glob::read(data, SCOPE, name)?;
        parquet_glob::check_dense(rows)?;
    }
    Ok(all)
}

fn check_glob(rows: &parquet_glob::Rows, read: &BTreeMap<u32, Vec<String>>) -> anyhow::Result<()> {
    for (segment, offsets) in rows {
        let values = read.get(segment).context("a segment that no reader sees")?;
        for (offset, value) in offsets {
            let expected =
                values.get(*offset as usize).with_context(|| format!("offset {offset} was never committed"))?;
            ensure!(
                expected.as_bytes() == value.as_slice(),
                "segment {segment} offset {offset} differs from what readers see"
            );
        }
    }
    Ok(())
}

/// Pauses between kills, spread over 30..600 ms by a fixed sequence, so that a run can be repeated.
fn pause(cycle: u64) -> Duration {
    Duration::from_millis(30 + cycle.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 570)
}

/// Writers that give up answers, and readers, until told to stop.
fn start_others(endpoint: &str, world: &World, stop: &Arc<AtomicBool>) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
    let mut others = JoinSet::new();
    for seed in [11, 12] {
        let name = format!("hasty-{seed}");
        others.spawn(append_hastily(connect(endpoint)?, world.clone(), name, seed, Arc::clone(stop)));
    }
    for seed in [21, 22] {
        let (client, name) = (connect(endpoint)?, format!("kill/hasty-{seed}"));
        others.spawn(HastySink { client, world: world.clone(), name, seed }.run(Arc::clone(stop)));
    }
    for start in [At::Earliest, At::Latest] {
        others.spawn(tail(connect(endpoint)?, world.clone(), start, Arc::clone(stop)));
    }
    others.spawn(read_again(connect(endpoint)?, world.clone(), 31, Arc::clone(stop)));
    Ok(others)
}

/// Damages the history when `KILL_DAMAGE` asks for it, and says how.
fn damage(history: &mut History) -> anyhow::Result<Option<Damage>> {
    let Ok(name) = std::env::var("KILL_DAMAGE") else { return Ok(None) };
    let damage = Damage::parse(&name).with_context(|| format!("KILL_DAMAGE={name} is no damage"))?;
    ensure!(damage.apply(history, 12_345), "there is nothing to damage by {name}");
    Ok(Some(damage))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_nothing_is_lost_doubled_or_torn() -> anyhow::Result<()> {
    let cycles: u64 = std::env::var("KILL_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(50);
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let mut gateway = Gateway::start(&data, FLAGS)?;
    let endpoint = gateway.endpoint.clone();
    let client = connect(&endpoint)?;
    let world = World::new();
    client.create_scope(&Name::parse(SCOPE)?).await?;
    for watched in world.streams() {
        client.create_stream(&stream_name(watched.name), StreamSettings::bytes(2)).await?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicU64::new(0));
    let appending =
        tokio::spawn(append(connect(&endpoint)?, world.clone(), Arc::clone(&stop), Arc::clone(&acknowledged)));
    let committing = tokio::spawn(commit(connect(&endpoint)?, world.clone(), Arc::clone(&stop)));
    let mut others = start_others(&endpoint, &world, &stop)?;

    let mut files: Vec<Files> = world.streams().iter().map(|_| Files::default()).collect();
    for cycle in 0..cycles {
        tokio::time::sleep(pause(cycle)).await;
        ensure!(!appending.is_finished() && !committing.is_finished(), "a producer gave up");
        if let Some(ended) = others.try_join_next() {
            bail!("a writer or reader gave up: {:?}", ended?);
        }
        gateway.kill()?;
        if cycle % 5 == 0 {
            world.look(&data, &mut files, false).with_context(|| format!("after kill {cycle}"))?;
        }
        gateway.restart()?;
    }
    stop.store(true, Ordering::Relaxed);
    let sent = appending.await??;
    let transactions = committing.await??;
    while let Some(ended) = others.join_next().await {
        ended??;
    }
    ensure!(acknowledged.load(Ordering::Relaxed) == sent && sent > 0 && transactions > 0, "the load stood still");

    let mut found = Vec::new();
    for watched in world.streams() {
        found.push(read_all(&client, &world, watched).await?);
    }
    check_plain(&found[0], sent)?;
    check_transactions(&found[1], transactions).context("left")?;
    check_transactions(&found[2], transactions).context("right")?;
    for watched in world.streams() {
        client.flush_stream(&stream_name(watched.name)).await?;
    }
    world.look(&data, &mut files, true)?;
    for (rows, read) in glob(&data)?.iter().zip(&found) {
        check_glob(rows, read)?;
        let files: usize = rows.values().map(BTreeMap::len).sum();
        ensure!(files == read.values().map(Vec::len).sum::<usize>(), "after the flush the files hold everything");
    }

    // The index thrown away and built again gives the same answers.
    gateway.kill()?;
    std::fs::remove_dir_all(data.join("index"))?;
    gateway.restart()?;
    for (watched, before) in world.streams().iter().zip(&found) {
        let again = read_all(&client, &world, watched).await?;
        ensure!(again == *before, "{} differs after the index was built again", watched.name);
    }
    println!(
        "{cycles} kills, {sent} plain events, {transactions} transactions of {EVENTS_PER_TRANSACTION} events in two streams"
    );
    gateway.stop()?;

    let mut history = world.recorder.take();
    if let Some(damage) = damage(&mut history)? {
        println!("the history is damaged: {damage:?}, to be called {:?}", damage.fitting());
    }
    let report = history::check(&history);
    ensure!(cycles < 10 || report.figures.unknown_outcomes > 0, "every writer learnt every outcome");
    println!("{cycles} cycles, {report}");
    ensure!(report.total() == 0, "{} anomalies", report.total());
    Ok(())
}
