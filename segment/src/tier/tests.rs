//! The whole tier over a real store: what is published equals what was appended, through every crash and failure.

mod disk;
mod held;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use sluice_proto::storage::v1::BlockInfo;
use sluice_schema::block::{decode, encode};
use sluice_schema::ids::{Offset, SegmentId, SegmentNumber, StreamId};
use sluice_schema::names::{Name, StreamName};
use sluice_schema::types::{DataType, Field, Kind, Schema};
use sluice_txn::ledger::Records;
use sluice_txn::protocol::{events, streams};

use self::disk::WatchedDisk;
use super::*;
use crate::env::{Clock, Disk, Env, ManualClock, MemDisk, SeededRng, Threads};
use crate::log::Block;
use crate::parquet::BatchSizes;
use crate::parquet::paths::{FilePath, FileState};
use crate::parquet::plan::Reason;
use crate::store::{self, EmbeddedStore, IndexKind, Wait};

const FOLDER: &str = "/data";
const SCHEMA_ID: u64 = 2;
const START_MS: u64 = 1_700_000_000_000;

/// One process over a disk.
struct World {
    disk: WatchedDisk,
    clock: Arc<ManualClock>,
    store: EmbeddedStore,
    tier: Tier,
    tierer: Tierer,
}

fn schema() -> Schema {
    Schema::new(vec![Field::new("number", DataType::required(Kind::BigInt))]).unwrap()
}

fn name() -> StreamName {
    StreamName::parse("nyc/flights").unwrap()
}

fn segment(number: u32) -> SegmentId {
    SegmentId { stream: StreamId::new(1), segment: SegmentNumber::new(number) }
}

fn small() -> Options {
    let policy =
        TieringPolicy { file_bytes_target: 3000, file_extents_max: 6, file_bytes_min: 1000, age_ms_max: 60_000 };
    let writer = WriterOptions { row_group_bytes: 600, page_bytes: 200, page_rows: 16, ..WriterOptions::default() };
    Options { policy, writer, interval_ms: 10, open_files_max: 4 }
}

impl World {
    /// Starts a process; `now_ms` is its clock.
    async fn start(disk: MemDisk, now_ms: u64) -> (World, Recovered) {
        Self::start_with(disk, now_ms, store::Options::default()).await
    }

    async fn start_with(disk: MemDisk, now_ms: u64, options: store::Options) -> (World, Recovered) {
        let (disk, clock) = (WatchedDisk::over(disk), Arc::new(ManualClock::at(now_ms)));
        let env = Env {
            disk: Arc::new(disk.clone()),
            executor: Arc::new(Threads::on(tokio::runtime::Handle::current())),
            clock: clock.clone(),
            rng: Arc::new(SeededRng::new(now_ms)),
        };
        let opened =
            EmbeddedStore::open(Path::new(FOLDER), env, options, IndexKind::Memory, Box::new(|why| panic!("{why}")));
        let store = opened.unwrap().store;
        store.found().await.unwrap();
        let (tier, mut tierer) = Tier::new(store.clone(), small());
        let recovered = tierer.recover().await.unwrap();
        (World { disk, clock, store, tier, tierer }, recovered)
    }

    /// A new process with the stream.
    async fn fresh() -> World {
        let (world, recovered) = World::start(MemDisk::new(), START_MS).await;
        assert_eq!(recovered, Recovered::default());
        world.create().await;
        world
    }

    async fn create(&self) -> StreamId {
        self.create_of(2).await
    }

    async fn create_of(&self, segments: u32) -> StreamId {
        let new = streams::NewStream {
            segments,
            schema: Some((&schema()).into()),
            routing_key: Vec::new(),
            labels: Default::default(),
        };
        let create = self.store.execute(Vec::new(), Wait::Durable, move |draft, _, now| {
            streams::create_scope(draft, &Name::parse("nyc").unwrap(), now)?;
            streams::create_stream(draft, &name(), &new, now)
        });
        create.await.unwrap().0
    }

    /// Appends numbers as one block; row `n` of a segment holds `n`.
    async fn append(&self, id: SegmentId, rows: std::ops::Range<i64>) {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(rows));
        let encoded = encode(&schema(), &RecordBatch::try_from_iter([("number", numbers)]).unwrap()).unwrap();
        let rows = encoded.rows;
        let schema_id = self.store.stream(id.stream).unwrap().unwrap().schema_id;
        let append = self.store.execute(vec![Block::new(encoded.data)], Wait::Durable, move |draft, refs, now| {
            let info = BlockInfo { at: Some(refs[0]), schema_id, rows, columns: Vec::new() };
            events::append(draft, id.stream, &[], vec![(id.segment, info)], now)
        });
        append.await.unwrap();
    }

    /// Twelve blocks of 10 to 120 rows for each of two segments; answers the rows of a segment.
    async fn fill(&self) -> u64 {
        let mut next = 0;
        for rows in (1..=12).map(|block| block * 10) {
            for number in 0..2 {
                self.append(segment(number), next..next + rows).await;
            }
            next += rows;
            self.clock.advance(Duration::from_millis(5));
        }
        next as u64
    }

    fn age(&self) {
        self.clock.advance(Duration::from_millis(small().policy.age_ms_max));
    }

    /// All files below `parquet`.
    fn files(&self) -> Vec<FilePath> {
        let mut found = Vec::new();
        let mut folders = vec![Path::new(FOLDER).join("parquet")];
        while let Some(folder) = folders.pop() {
            for entry in self.disk.inner.list(&folder).unwrap_or_default() {
                let path = folder.join(&entry.name);
                match entry.is_dir {
                    true => folders.push(path),
                    false => found
                        .push(FilePath::parse(path.strip_prefix("/data/parquet").unwrap().to_str().unwrap()).unwrap()),
                }
            }
        }
        found.sort_by_key(|path| path.to_string());
        found
    }

    fn visible(&self) -> Vec<FilePath> {
        self.files().into_iter().filter(|path| path.state == FileState::Published).collect()
    }

    /// Rows `0..rows` of a segment lie once each in its files and extents, in order; answers how far its files reach.
    async fn check(&self, id: SegmentId, rows: u64) -> u64 {
        let record = self.store.segment(id).unwrap().unwrap();
        assert_eq!(record.next_offset, rows);
        let mut numbers = Vec::new();
        for (first, row) in self.store.parquet_files(id).unwrap() {
            assert_eq!(first.get(), numbers.len() as u64);
            let reader = self.tier.open_file(id, first, &row).unwrap();
            for batch in reader.read(first.get()..row.end, None, BatchSizes::default()).unwrap() {
                numbers.extend_from_slice(batch.unwrap().rows.column(0).as_primitive::<Int64Type>().values());
            }
            self.tier.verify_file(id, first, &row).unwrap();
        }
        assert_eq!(record.parquet_end, numbers.len() as u64);
        for (base, extent) in self.store.extents(id, Offset::new(0), Offset::new(u64::MAX), usize::MAX).unwrap() {
            assert_eq!(base.get(), numbers.len() as u64);
            let block = extent.block.unwrap();
            let data = self.store.block(block.at.unwrap().into()).await.unwrap();
            let batch = decode(&schema(), &block.columns, block.rows, data).unwrap();
            numbers.extend_from_slice(batch.column(0).as_primitive::<Int64Type>().values());
        }
        assert!(numbers.into_iter().eq(0..rows as i64));
        record.parquet_end
    }

    /// What a pattern `*.parquet` shows is committed, and nothing twice: each file is one of the ledger's.
    fn check_pattern(&self) {
        let known: Vec<String> = (0..2)
            .flat_map(|number| self.store.parquet_files(segment(number)).unwrap())
            .map(|(_, row)| row.path)
            .collect();
        for path in self.visible() {
            assert!(known.contains(&path.to_string()), "{path} is visible and not published");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_published_when_due_and_read_from_the_files() {
    let mut world = World::fresh().await;
    world.append(segment(0), 0..50).await;
    assert_eq!(world.tierer.look().await, []);
    assert_eq!(world.check(segment(0), 50).await, 0);

    world.age();
    let published = world.tierer.look().await;
    assert_eq!(
        published.iter().map(|file| (file.segment, file.offsets.clone(), file.reason)).collect::<Vec<_>>(),
        [(segment(0), 0..50, Reason::Age)]
    );
    assert_eq!(world.check(segment(0), 50).await, 50);
    assert_eq!(
        world.visible()[0].to_string(),
        "nyc/flights/segment-0/00000000000000000000-00000000000000000049.parquet"
    );
    assert_eq!(world.files().len(), 1);
    let row = world.store.parquet_files(segment(0)).unwrap().remove(0).1;
    assert_eq!(
        (row.schema_id, row.first_commit_seq, row.last_commit_seq, row.first_commit_ms),
        (SCHEMA_ID, 1, 1, START_MS)
    );
    let totals = world.tier.totals();
    assert_eq!((totals.files, totals.rows, totals.bytes, totals.failures), (1, 50, row.bytes, 0));

    // Full files go at once, the rest waits.
    for block in 5..20 {
        world.append(segment(0), block * 10..block * 10 + 10).await;
    }
    let published = world.tierer.look().await;
    assert_eq!(
        published.iter().map(|file| (file.offsets.clone(), file.reason)).collect::<Vec<_>>(),
        [(50..110, Reason::Full), (110..170, Reason::Full)]
    );
    assert_eq!(world.check(segment(0), 200).await, 170);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_task_publishes_on_demand_and_stops() {
    let mut world = World::fresh().await;
    let rows = world.fill().await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let (tier, other) = Tier::new(world.store.clone(), Options { interval_ms: 3_600_000, ..small() });
    world.tier = tier;
    let task = tokio::spawn(other.run(stopped));
    world.tier.flush(vec![(segment(0), rows - 1)]).await.unwrap();
    assert_eq!(world.check(segment(0), rows).await, rows);
    assert_eq!(world.check(segment(1), rows).await, 0);
    world.tier.flush(vec![(segment(0), rows), (segment(1), 1)]).await.unwrap();
    assert!(world.check(segment(1), rows).await >= 1);
    stop.send(true).unwrap();
    task.await.unwrap();
    assert!(matches!(world.tier.flush(vec![(segment(0), rows)]).await, Err(Error::Stopped)));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_is_begun_once_the_task_is_to_stop() {
    let mut world = World::fresh().await;
    let rows = world.fill().await;
    world.age();
    let (stop, stopped) = tokio::sync::watch::channel(true);
    world.tierer.stop = stopped;
    assert_eq!(world.tierer.look().await, []);
    assert_eq!((world.check(segment(0), rows).await, world.tier.totals().failures), (0, 0));
    stop.send(false).unwrap();
    world.tierer.look().await;
    assert_eq!(world.check(segment(0), rows).await, rows);
}

/// A process dies at every step that touches a file below `parquet`. Right after the crash the pattern is right; after the next start nothing is lost,
/// twice or left over, and publishing goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_every_step_loses_and_doubles_nothing() {
    let mut world = World::fresh().await;
    let rows = world.fill().await;
    world.age();
    world.disk.record();
    assert!(world.tierer.look().await.len() >= 4);
    let images = world.disk.images();
    assert!(images.len() > 100, "{} images", images.len());
    // The names of new folders are made durable, too; this disk cannot lose them.
    for folder in
        ["/data/parquet", "/data/parquet/nyc", "/data/parquet/nyc/flights", "/data/parquet/nyc/flights/segment-0"]
    {
        assert!(
            images.iter().any(|(when, _)| when.contains(&format!("(sync folder {folder})"))),
            "{folder} is not synced"
        );
    }
    let (mut renamed, mut given_up, mut removed, mut partly) = (0, 0, 0, 0);
    for (when, image) in images {
        let (mut world, recovered) = World::start(image, world.clock.now_ms()).await;
        assert_eq!((&recovered.orphans[..], &recovered.missing[..]), (&[][..], &[][..]), "{when}");
        world.check_pattern();
        let mut reached = 0;
        for number in 0..2 {
            reached += world.check(segment(number), rows).await;
        }
        assert_eq!(world.files(), world.visible(), "{when}: hidden files are left");
        assert_eq!(
            world.visible().len(),
            (0..2).map(|number| world.store.parquet_files(segment(number)).unwrap().len()).sum::<usize>(),
            "{when}"
        );
        (renamed, given_up, removed) =
            (renamed + recovered.renamed, given_up + recovered.given_up, removed + recovered.removed);
        partly += usize::from(reached > 0 && reached < 2 * rows);

        world.tierer.look().await;
        for number in 0..2 {
            assert_eq!(world.check(segment(number), rows).await, rows, "{when}");
        }
        assert_eq!(world.files(), world.visible(), "{when}");
    }
    assert!(
        renamed > 0 && given_up > 0 && removed > 0 && partly > 0,
        "{renamed} renamed, {given_up} given up, {removed} removed, {partly} partly"
    );
}

/// Right after a crash, before any recovery: no pattern shows a row that the ledger does not call published.
#[tokio::test(flavor = "multi_thread")]
async fn the_pattern_is_right_before_recovery() {
    let mut world = World::fresh().await;
    world.fill().await;
    world.age();
    world.disk.record();
    world.tierer.look().await;
    for (_, image) in world.disk.images() {
        let visible = World { disk: WatchedDisk::over(image.clone()), ..world_like(&world) }.visible();
        let (recovered, _) = World::start(image, START_MS).await;
        for path in visible {
            let row =
                recovered.store.parquet_file_at(segment(path.segment.get()), Offset::new(path.offsets.start)).unwrap();
            assert_eq!(row.map(|(_, row)| row.path), Some(path.to_string()));
        }
    }
}

fn world_like(world: &World) -> World {
    let (tier, tierer) = Tier::new(world.store.clone(), small());
    World { disk: world.disk.clone(), clock: world.clock.clone(), store: world.store.clone(), tier, tierer }
}

/// Every step fails once. Nothing is lost, nothing is left behind, readers go on, and the next looks publish everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_at_every_step_is_tried_again() {
    let mut steps = 0;
    loop {
        let mut world = World::fresh().await;
        world.append(segment(0), 0..50).await;
        world.age();
        world.disk.fail_after(steps);
        let first = world.tierer.look().await;
        if !world.disk.failed() {
            assert_eq!(first.len(), 1);
            break;
        }
        // Whatever failed, the rows are there: in the log, or in a file under one of its two names.
        world.check(segment(0), 50).await;
        world.check_pattern();
        world.clock.advance(Duration::from_millis(small().interval_ms));
        world.tierer.look().await;
        world.clock.advance(Duration::from_millis(small().interval_ms));
        world.tierer.look().await;
        assert_eq!(world.check(segment(0), 50).await, 50, "step {steps}");
        assert_eq!(world.files(), world.visible(), "step {steps}");
        assert_eq!(world.visible().len(), 1, "step {steps}");
        steps += 1;
    }
    assert!(steps > 15, "{steps} steps");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_stream_leaves_no_files_and_a_new_one_keeps_its_own() {
    let mut world = World::fresh().await;
    world.fill().await;
    world.age();
    world.tierer.look().await;
    let old = world.visible().len();
    assert!(old >= 4);
    let delete = world.store.execute(Vec::new(), Wait::Durable, |draft, _, _| streams::delete_stream(draft, &name()));
    delete.await.unwrap();
    let id = world.create().await;
    assert_ne!(id, segment(0).stream);
    let new_segment = SegmentId { stream: id, segment: SegmentNumber::new(0) };
    // Of the same range as the first file of the old stream.
    world.append(new_segment, 0..7).await;
    world.age();
    world.tierer.look().await;
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let (tier, tierer) = (world.tier.clone(), world.tierer);
    tokio::spawn(tierer.run(stopped));

    let hold = world.store.hold_files();
    let held = tokio::time::timeout(Duration::from_millis(100), tier.remove_files(name())).await;
    assert!(held.is_err(), "files were removed during a backup");
    drop(hold);
    tier.remove_files(name()).await.unwrap();
    let (tier, tierer) = Tier::new(world.store.clone(), small());
    let world = World {
        tier,
        tierer,
        ..World { disk: world.disk, clock: world.clock, store: world.store, ..World::fresh().await }
    };
    assert_eq!(world.visible().len(), 1);
    assert_eq!(world.check(new_segment, 7).await, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_deletes_a_stream_does_not_wait_for_the_backlog_of_others() {
    let mut world = World::fresh().await;
    world.fill().await;
    world.age();
    let (tier, deleted) = (world.tier.clone(), StreamName::parse("nyc/deleted").unwrap());
    let removed = tokio::spawn(async move { tier.remove_files(deleted).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!removed.is_finished(), "nobody runs the task yet");
    assert!(world.tierer.look().await.len() >= 4);
    let removed = tokio::time::timeout(Duration::from_secs(5), removed).await;
    removed.expect("between two files, not after the look").unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_the_ledger_does_not_know_is_put_aside_and_a_missing_one_is_told() {
    let mut world = World::fresh().await;
    world.append(segment(0), 0..50).await;
    world.append(segment(1), 0..50).await;
    world.age();
    world.tierer.look().await;
    let disk = world.disk.inner.crash(1);
    let [kept, lost] = &world.visible()[..] else { panic!("two files") };
    let root = Path::new("/data/parquet");
    let content = disk.contents(&kept.below(root)).unwrap();
    disk.remove(&lost.below(root)).unwrap();
    let foreign = FilePath::published(name(), SegmentNumber::new(1), 700..800).unwrap();
    disk.set_contents(&foreign.below(root), content.clone());

    let (world, recovered) = World::start(disk, START_MS).await;
    assert_eq!(recovered.missing, [lost.to_string()]);
    assert_eq!(world.visible(), std::slice::from_ref(kept));
    let [orphan] = &recovered.orphans[..] else { panic!("one orphan") };
    assert_eq!(world.disk.inner.contents(&root.join(orphan)), Some(content));
    let (first, row) = world.store.parquet_files(segment(1)).unwrap().remove(0);
    let error = world.tier.open_file(segment(1), first, &row).unwrap_err().to_string();
    assert!(error.contains("nyc/flights segment 1") && error.contains("segment-1/0000"), "{error}");
    // Found again at the next start, and left alone.
    let (_, recovered) = World::start(world.disk.inner.crash(2), START_MS).await;
    assert_eq!((recovered.orphans.len(), recovered.missing.len()), (0, 1));
}
