//! The readers: some follow the tail, one reads ranges again, and all record what they are given.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use sluice_client::{At, Client, End, Positions, ReadBatch, Reader, ReaderOptions, Start};
use sluice_integration::history::{Poll, Session, Snapshot};

use super::world::{Dice, Watched, World, stream_name};

/// Batches after which a reader that follows the tail is closed and opened at its positions.
const BATCHES_PER_OPENING: usize = 200;

/// Where a reader stands, by stream and segment.
type Standing = BTreeMap<(String, u32), u64>;

/// Follows all streams from `start` on until told to stop.
pub async fn tail(client: Client, world: World, start: At, stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    let session = world.recorder.session();
    let mut starts: Vec<_> =
        world.streams().iter().map(|watched| (stream_name(watched.name), Start::At(start))).collect();
    while !stop.load(Ordering::Relaxed) {
        let mut reader = Reader::open(&client, starts, ReaderOptions::default()).await?;
        let mut before = standing(&reader);
        let mut batches = 0;
        while batches < BATCHES_PER_OPENING && !stop.load(Ordering::Relaxed) {
            // In between it looks whether it is to stop.
            let Ok(batch) = tokio::time::timeout(Duration::from_millis(50), reader.next()).await else { continue };
            let batch = batch?.context("the streams are not sealed")?;
            batches += 1;
            before = record(&world, session, &reader, before, &batch)?;
        }
        let positions = reader.positions().into_iter();
        starts = positions.map(|positions| (positions.stream.clone(), Start::Positions(positions))).collect();
    }
    Ok(())
}

/// Reads random ranges of what is committed, and asks where the streams end, until told to stop.
pub async fn read_again(client: Client, world: World, seed: u64, stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    let mut dice = Dice(seed);
    while !stop.load(Ordering::Relaxed) {
        let watched = &world.streams()[dice.below(world.streams().len() as u64) as usize];
        plan(&client, &world, watched).await?;
        let (from, to) = range(&client, &world, watched, &mut dice).await?;
        let options = ReaderOptions { end: End::Positions(vec![to]), ..ReaderOptions::default() };
        let mut reader = client.reader(&stream_name(watched.name), Start::Positions(from), options).await?;
        read_to_end(&world, &mut reader, |_, _| Ok(())).await?;
        dice.pause(40).await;
    }
    Ok(())
}

/// Where a stream ends at a commit.
async fn plan(client: &Client, world: &World, watched: &Watched) -> anyhow::Result<()> {
    let asked = world.recorder.now();
    let plan = client.scan(&stream_name(watched.name), None).await?;
    let ends = plan.end.context("a plan has an end")?.segments;
    let ends = ends.into_iter().map(|at| (at.segment, at.offset)).collect();
    world.recorder.snapshot(Snapshot { stream: watched.stream, asked, commit_seq: Some(plan.commit_seq), ends });
    Ok(())
}

/// At most 500 offsets of each segment, anywhere below its end.
async fn range(
    client: &Client,
    world: &World,
    watched: &Watched,
    dice: &mut Dice,
) -> anyhow::Result<(Positions, Positions)> {
    let asked = world.recorder.now();
    let ends = client.positions(&stream_name(watched.name), At::Latest).await?;
    let snapshot = Snapshot { stream: watched.stream, asked, commit_seq: None, ends: ends.segments.clone() };
    world.recorder.snapshot(snapshot);
    let mut to = ends;
    to.segments.values_mut().for_each(|end| *end = dice.below(*end + 1));
    let mut from = to.clone();
    from.segments.values_mut().for_each(|start| *start = start.saturating_sub(dice.below(500)));
    Ok((from, to))
}

/// Everything a reader sees: segment -> values in the order of their offsets.
pub async fn read_all(client: &Client, world: &World, watched: &Watched) -> anyhow::Result<BTreeMap<u32, Vec<String>>> {
    let asked = world.recorder.now();
    let name = stream_name(watched.name);
    let mut reader = client.reader(&name, Start::At(At::Earliest), ReaderOptions::bounded()).await?;
    let mut found: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    read_to_end(world, &mut reader, |batch, values| {
        let all = found.entry(batch.segment).or_default();
        ensure!(
            all.len() as u64 == batch.base_offset,
            "segment {}: expected offset {}, got {}",
            batch.segment,
            all.len(),
            batch.base_offset
        );
        for value in values {
            all.push(String::from_utf8(value.to_vec())?);
        }
        Ok(())
    })
    .await?;
    let ends = reader.positions().into_iter().flat_map(|positions| positions.segments).collect();
    world.recorder.snapshot(Snapshot { stream: watched.stream, asked, commit_seq: None, ends });
    Ok(found)
}

/// Records what a bounded reader is given, in a session of its own.
async fn read_to_end(
    world: &World,
    reader: &mut Reader,
    mut each: impl FnMut(&ReadBatch, Vec<&[u8]>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let session = world.recorder.session();
    let mut before = standing(reader);
    while let Some(batch) = reader.next().await? {
        before = record(world, session, reader, before, &batch)?;
        each(&batch, batch.events()?.map(|event| event.value).collect())?;
    }
    Ok(())
}

/// Records a batch; answers where the reader stands after it.
fn record(
    world: &World,
    session: Session,
    reader: &Reader,
    before: Standing,
    batch: &ReadBatch,
) -> anyhow::Result<Standing> {
    let at = world.recorder.now();
    let watched = world.stream(batch.stream.name.name.as_ref());
    let after = standing(reader);
    let place = (batch.stream.name.to_string(), batch.segment);
    let position = |standing: &Standing| standing.get(&place).copied().context("a segment of the reader");
    world.recorder.poll(Poll {
        session,
        stream: watched.stream,
        segment: batch.segment,
        before: position(&before)?,
        base_offset: batch.base_offset,
        values: batch.events()?.map(|event| watched.decode(event.value)).collect(),
        after: position(&after)?,
        commit_seq: batch.commit_seq,
        at,
    });
    Ok(after)
}

fn standing(reader: &Reader) -> Standing {
    let of_stream = |positions: Positions| {
        let name = positions.stream.to_string();
        positions.segments.into_iter().map(move |(segment, next)| ((name.clone(), segment), next))
    };
    reader.positions().into_iter().flat_map(of_stream).collect()
}
