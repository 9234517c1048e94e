//! The gateway is killed with SIGKILL at random moments under load. Shows that nothing acknowledged is lost, nothing comes
//! twice, a transaction is there wholly or not at all, and the Parquet glob never shows more than was committed, right
//! after each kill.
//!
//! `KILL_CYCLES` (default 50) sets the kills.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

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
use sluice_client::{
    At, Client, Event, ProducerOptions, ReaderOptions, RetryPolicy, Start, StreamSettings, TransactionOptions,
};
use sluice_integration::{parquet_glob, process::Gateway};
use sluice_schema::names::{Name, SinkName, StreamName};

const EVENTS_PER_TRANSACTION: u64 = 200;
/// Small files and ages, so that publication, trimming and snapshots all happen between kills.
const FLAGS: &[&str] = &[
    "--set=log.file_bytes=1MiB",
    "--set=log.limit_bytes=16MiB",
    "--set=tiering.file_bytes_target=64KiB",
    "--set=tiering.max_age=1s",
    "--set=tiering.interval=200ms",
    "--log-level=warn",
];

fn stream(name: &str) -> StreamName {
    StreamName::parse(name).unwrap()
}

async fn connect(endpoint: &str) -> anyhow::Result<Client> {
    let retry = RetryPolicy {
        deadline: Duration::from_secs(60),
        max_pause: Duration::from_millis(200),
        ..RetryPolicy::default()
    };
    let client = Client::with_retry(endpoint, retry)?;
    Ok(client)
}

/// Appends events `n = 1, 2, 3, ...` under 10 keys until told to stop; answers how many were acknowledged.
async fn append(client: Client, stop: Arc<AtomicBool>, acknowledged: Arc<AtomicU64>) -> anyhow::Result<u64> {
    let producer = client.producer(&stream("kill/plain"), "writer-1", ProducerOptions::default()).await?;
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut last = None;
        for _ in 0..50 {
            n += 1;
            let (key, value) = (format!("key-{}", n % 10), n.to_string());
            last = Some(producer.send(Event::keyed(key.as_bytes(), value.as_bytes())).await?);
        }
        if let Some(last) = last {
            last.durable().await?;
            acknowledged.store(n, Ordering::Relaxed);
        }
    }
    Ok(n)
}

/// Commits transactions `t = 0, 1, 2, ...`, each with the same events in two streams; answers how many.
async fn commit(client: Client, stop: Arc<AtomicBool>) -> anyhow::Result<u64> {
    let producer = client.transactional_producer(&SinkName::parse("kill/sink")?, TransactionOptions::default()).await?;
    let left = Arc::new(client.stream(&stream("kill/left")).await?);
    let right = Arc::new(client.stream(&stream("kill/right")).await?);
    let mut t = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut transaction = producer.begin();
        for i in 0..EVENTS_PER_TRANSACTION {
            let (key, value) = (format!("key-{}", i % 7), format!("{t}:{i}"));
            let event = || Event::keyed(key.as_bytes(), value.as_bytes());
            transaction.send(&left, event()).await?;
            transaction.send(&right, event()).await?;
        }
        let committed = transaction.commit().await.with_context(|| format!("transaction {t}"))?;
        ensure!(committed.events == 2 * EVENTS_PER_TRANSACTION, "{committed:?}");
        t += 1;
    }
    Ok(t)
}

/// Everything a reader sees: segment -> values in the order of their offsets.
async fn read_all(client: &Client, name: &str) -> anyhow::Result<BTreeMap<u32, Vec<String>>> {
    let mut reader = client.reader(&stream(name), Start::At(At::Earliest), ReaderOptions::bounded()).await?;
    let mut found: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    while let Some(batch) = reader.next().await? {
        let values = found.entry(batch.segment).or_default();
        ensure!(
            values.len() as u64 == batch.base_offset,
            "segment {}: expected offset {}, got {}",
            batch.segment,
            values.len(),
            batch.base_offset
        );
        for event in batch.events()? {
            values.push(String::from_utf8(event.value.to_vec())?);
        }
    }
    Ok(found)
}

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

/// Right after a kill: what the glob shows is dense from 0, and the same rows are there at the end (checked by the caller).
fn glob(data: &Path) -> anyhow::Result<[parquet_glob::Rows; 3]> {
    let mut all = [parquet_glob::Rows::new(), parquet_glob::Rows::new(), parquet_glob::Rows::new()];
    for (rows, name) in all.iter_mut().zip(["plain", "left", "right"]) {
        *rows = parquet_glob::read(data, "kill", name)?;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_nothing_is_lost_doubled_or_torn() -> anyhow::Result<()> {
    let cycles: u64 = std::env::var("KILL_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(50);
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let mut gateway = Gateway::start(&data, FLAGS)?;
    let client = connect(&gateway.endpoint).await?;
    client.create_scope(&Name::parse("kill")?).await?;
    for name in ["kill/plain", "kill/left", "kill/right"] {
        client.create_stream(&stream(name), StreamSettings::bytes(2)).await?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicU64::new(0));
    let appending =
        tokio::spawn(append(connect(&gateway.endpoint).await?, Arc::clone(&stop), Arc::clone(&acknowledged)));
    let committing = tokio::spawn(commit(connect(&gateway.endpoint).await?, Arc::clone(&stop)));

    let mut globs = Vec::new();
    for cycle in 0..cycles {
        tokio::time::sleep(pause(cycle)).await;
        ensure!(!appending.is_finished() && !committing.is_finished(), "a producer gave up");
        gateway.kill()?;
        if cycle % 5 == 0 {
            globs.push(glob(&data).with_context(|| format!("after kill {cycle}"))?);
        }
        gateway.restart()?;
    }
    stop.store(true, Ordering::Relaxed);
    let sent = appending.await??;
    let transactions = committing.await??;
    ensure!(acknowledged.load(Ordering::Relaxed) == sent && sent > 0 && transactions > 0, "the load stood still");

    let found = [
        read_all(&client, "kill/plain").await?,
        read_all(&client, "kill/left").await?,
        read_all(&client, "kill/right").await?,
    ];
    check_plain(&found[0], sent)?;
    check_transactions(&found[1], transactions).context("left")?;
    check_transactions(&found[2], transactions).context("right")?;
    for name in ["kill/plain", "kill/left", "kill/right"] {
        client.flush_stream(&stream(name)).await?;
    }
    globs.push(glob(&data)?);
    for (cycle, all) in globs.iter().enumerate() {
        for (rows, read) in all.iter().zip(&found) {
            check_glob(rows, read).with_context(|| format!("glob {cycle}"))?;
        }
    }
    let last = globs.last().context("a glob")?;
    for (rows, read) in last.iter().zip(&found) {
        let files: usize = rows.values().map(BTreeMap::len).sum();
        ensure!(files == read.values().map(Vec::len).sum::<usize>(), "after the flush the files hold everything");
    }

    // The index thrown away and built again gives the same answers.
    gateway.kill()?;
    std::fs::remove_dir_all(data.join("index"))?;
    gateway.restart()?;
    for (name, before) in ["kill/plain", "kill/left", "kill/right"].iter().zip(&found) {
        ensure!(read_all(&client, name).await? == *before, "{name} differs after the index was built again");
    }
    println!(
        "{cycles} kills, {sent} plain events, {transactions} transactions of {EVENTS_PER_TRANSACTION} events in two streams"
    );
    gateway.stop()
}
