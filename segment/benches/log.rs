//! What the log and a commit cost over the disk: `cargo bench -p sluice-segment`.
//!
//! Written to the system's temporary folder (`TMPDIR`). With other load on the disk single figures differ by a factor of four.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark that fails is to stop")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use sluice_proto::storage::v1 as stored;
use sluice_schema::{
    ids::{ClusterId, GroupId, RunNonce, SegmentId, SegmentNumber, StreamId, TimelineId, TransactionId},
    names::{Name, SinkName, StreamName},
};
use sluice_segment::{
    env::{Disk, Env, OpenMode, OsDisk},
    log::{Block, Log, LogOptions, Lsn},
    store::{EmbeddedStore, IndexKind, Opened, Options, Wait},
};
use sluice_txn::{
    ledger::Records as _,
    protocol::{
        BYTES_SCHEMA_ID, commit,
        streams::{self, NewStream},
        transactions::{self, Claim},
    },
};
use uuid::Uuid;

const MIB: usize = 1 << 20;
const SYNC_MIB: usize = 8;

/// 8 MiB with one sync: raw, and through [`Log::append`] in blocks of 1 MiB.
fn log(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    // Not compressible and not constant, in case the disk below is clever.
    let data: Vec<u8> = (0..SYNC_MIB * MIB).map(|n| (n as u32).wrapping_mul(0x9e37_79b9).to_le_bytes()[3]).collect();
    let data = Bytes::from(data);
    let mut group = criterion.benchmark_group("8 MiB and a sync");
    group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Bytes(data.len() as u64));
    group.bench_function("file", |b| {
        let path = folder.path().join("raw");
        let file = OsDisk.open(&path, OpenMode::CreateNew).unwrap();
        let mut at = 0;
        b.iter(|| {
            file.write_all_at(at, &data).unwrap();
            file.sync_data().unwrap();
            at += data.len() as u64;
        });
        OsDisk.remove(&path).unwrap();
    });
    group.bench_function("log", |b| {
        let path = folder.path().join("log");
        let (mut log, _) = Log::open(Arc::new(OsDisk), &path, LogOptions::default(), Lsn(0), &mut |_| Ok(())).unwrap();
        b.iter(|| {
            for block in 0..SYNC_MIB {
                // The checksum is computed here, as a gateway does once for each block that comes in.
                let plan = log.plan(vec![Block::new(data.slice(block * MIB..(block + 1) * MIB))]).unwrap();
                log.append(plan, b"some facts about one block, about as long as an encoded extent would be").unwrap();
            }
            log.sync().unwrap();
        });
        drop(log);
        std::fs::remove_dir_all(&path).unwrap();
    });
    group.finish();
}

/// The commit alone, durable and visible, of a prepared transaction of so many blocks.
fn commit(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut sink = runtime.block_on(Sink::found(folder.path()));
    let mut group = criterion.benchmark_group("commit");
    group.sampling_mode(SamplingMode::Flat).sample_size(20);
    for blocks in [1, 100, 1000] {
        group.bench_function(BenchmarkId::new("blocks", blocks), |b| {
            b.iter_custom(|times| runtime.block_on(sink.commits(times, blocks)));
        });
    }
    group.finish();
    runtime.block_on(sink.store.close());
}

/// A store with the stream `s/t` and one writer of the sink `s/job`.
struct Sink {
    store: EmbeddedStore,
    name: SinkName,
    epoch: u64,
    head: Option<GroupId>,
    committed: u64,
}

impl Sink {
    async fn found(folder: &Path) -> Self {
        let env = Env::system(tokio::runtime::Handle::current());
        let on_fatal = Box::new(|why: &str| panic!("{why}"));
        let Opened { store, .. } =
            EmbeddedStore::open(&folder.join("data"), env, Options::default(), IndexKind::Sled, on_fatal).unwrap();
        store.found().await.unwrap();
        let name = SinkName::parse_parts("s", "job").unwrap();
        let sink = name.clone();
        let epoch = store.execute(Vec::new(), Wait::Durable, move |draft, _, now| {
            streams::create_scope(draft, &Name::parse("s").unwrap(), now)?;
            let new = NewStream { segments: 2, schema: None, routing_key: Vec::new(), labels: Default::default() };
            streams::create_stream(draft, &StreamName::parse("s/t").unwrap(), &new, now)?;
            transactions::open_writer(draft, &sink, 0, 8, RunNonce::new(Uuid::from_u128(1)), now)
        });
        let epoch = epoch.await.unwrap();
        Self { store, name, epoch, head: None, committed: 0 }
    }

    async fn commits(&mut self, times: u64, blocks: u64) -> Duration {
        let mut took = Duration::ZERO;
        for _ in 0..times {
            let group = self.prepare(blocks).await;
            let (sink, id) = (self.name.clone(), GroupId::from_bytes(&group.group_id).unwrap());
            let began = Instant::now();
            let commit = self.store.execute(Vec::new(), Wait::Durable, move |draft, _, now| {
                let cluster = draft.cluster()?;
                let id = ClusterId::from_bytes(&cluster.cluster_id).unwrap();
                let timeline = TimelineId::from_bytes(&cluster.timeline_id).unwrap();
                commit::commit_group(draft, &sink, &group, id, timeline, now)
            });
            commit.await.unwrap();
            took += began.elapsed();
            self.head = Some(id);
        }
        took
    }

    /// A transaction of so many blocks of one event, prepared; answers its group.
    async fn prepare(&mut self, blocks: u64) -> stored::Group {
        self.committed += 1;
        let number = u128::from(self.committed);
        let (id, sink, epoch) = (TransactionId::new(Uuid::from_u128(number)), self.name.clone(), self.epoch);
        let begin = self.store.execute(Vec::new(), Wait::Accepted, move |draft, _, now| {
            transactions::begin(draft, id, &sink, 0, epoch, now)
        });
        begin.await.unwrap();
        for seq in 0..blocks {
            let data = Block::new(Bytes::from_static(&[7; 100]));
            let append = self.store.execute(vec![data], Wait::Accepted, move |draft, refs, now| {
                let segment = SegmentId::new(StreamId::new(1), SegmentNumber::new((seq % 2) as u32));
                let info =
                    stored::BlockInfo { at: Some(refs[0]), schema_id: BYTES_SCHEMA_ID, rows: 1, columns: Vec::new() };
                transactions::append(draft, id, seq, segment, info, now)
            });
            append.await.unwrap();
        }
        let prepare = self.store.execute(Vec::new(), Wait::Durable, move |draft, _, now| {
            let known = draft.transaction(id)?.unwrap_or_default();
            let digest = transactions::digest(&draft.chunks(id)?);
            let claim = Claim { chunks: known.chunks, events: known.events, bytes: known.bytes, digest };
            transactions::prepare(draft, id, &claim, now)
        });
        prepare.await.unwrap();
        stored::Group {
            group_id: GroupId::new(Uuid::from_u128(number)).to_bytes(),
            checkpoint: self.committed,
            prev_group: self.head.map(|head| head.to_bytes()).unwrap_or_default(),
            members: vec![id.to_bytes()],
            ..stored::Group::default()
        }
    }
}

criterion_group!(benches, log, commit);
criterion_main!(benches);
