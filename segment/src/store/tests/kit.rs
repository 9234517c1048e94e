//! A store with a scope `s`, a stream `s/t` of two segments and a sink `s/job`, over a disk in memory or a real folder.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use sluice_proto::storage::v1 as stored;
use sluice_schema::{
    ids::{
        ClusterId, GroupId, Offset, RunNonce, SegmentId, SegmentNumber, StreamId, TimelineId, TransactionId, WriterId,
    },
    names::{Name, SinkName, StreamName},
};
use sluice_txn::{
    ledger::{Records, View},
    protocol::{
        BYTES_SCHEMA_ID, commit, events, invariants, publication,
        streams::{self, NewStream},
        transactions::{self, Claim},
    },
};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    env::{Clock, Disk, Env, ManualClock, MemDisk, OsDisk, SeededRng, Threads, TracedDisk},
    lock::DirLock,
    log::{Block, Recovery},
    store::{EmbeddedStore, Error, IndexKind, OpenError, Opened, Options, Wait},
};

pub(crate) const NOW_MS: u64 = 1_700_000_000_000;
pub(crate) const STREAM: StreamId = StreamId::new(1);

/// Where a store lies, and with it which index it has.
#[derive(Clone)]
pub(crate) enum Place {
    /// An index in memory over a disk in memory.
    Memory(MemDisk),
    /// The same over a disk that keeps every call.
    Traced(TracedDisk),
    /// sled and real files.
    Real(Arc<TempDir>),
}

impl Place {
    pub(crate) fn both() -> [Place; 2] {
        [Place::Memory(MemDisk::new()), Place::real()]
    }

    pub(crate) fn real() -> Place {
        Place::Real(Arc::new(tempfile::tempdir().unwrap()))
    }

    pub(crate) fn folder(&self) -> PathBuf {
        match self {
            Place::Memory(_) | Place::Traced(_) => Path::new("/data").to_owned(),
            Place::Real(dir) => dir.path().join("data"),
        }
    }

    pub(crate) fn disk(&self) -> Arc<dyn Disk> {
        match self {
            Place::Memory(disk) => Arc::new(disk.clone()),
            Place::Traced(disk) => Arc::new(disk.clone()),
            Place::Real(_) => Arc::new(OsDisk),
        }
    }

    /// Another one at each start where starts follow one another in one trace: salts must differ.
    fn seed(&self) -> u64 {
        match self {
            Place::Traced(disk) => 5 + disk.calls_made() as u64,
            _ => 5,
        }
    }

    pub(crate) fn try_open(&self, options: Options) -> Result<World, OpenError> {
        let kind = if matches!(self, Place::Real(_)) { IndexKind::Sled } else { IndexKind::Memory };
        let clock = Arc::new(ManualClock::at(NOW_MS));
        let env = Env {
            disk: self.disk(),
            executor: Arc::new(Threads::on(tokio::runtime::Handle::current())),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            rng: Arc::new(SeededRng::new(self.seed())),
        };
        let fatal = Arc::new(Mutex::new(None));
        let told = Arc::clone(&fatal);
        let on_fatal = Box::new(move |why: &str| *told.lock().unwrap() = Some(why.to_owned()));
        let Opened { store, recovery, index_rebuilt, lock } =
            EmbeddedStore::open(&self.folder(), env, options, kind, on_fatal)?;
        Ok(World { store, recovery, index_rebuilt, fatal, place: self.clone(), clock, _lock: lock })
    }

    pub(crate) fn open(&self, options: Options) -> World {
        self.try_open(options).unwrap()
    }

    /// Opens a new store and makes scope, stream and sink.
    pub(crate) async fn found(&self, options: Options) -> World {
        let world = self.open(options);
        world.store.found().await.unwrap();
        let made = world.store.execute(Vec::new(), Wait::Durable, |draft, _, now| {
            streams::create_scope(draft, &Name::parse("s").unwrap(), now)?;
            let new = NewStream { segments: 2, schema: None, routing_key: Vec::new(), labels: Default::default() };
            streams::create_stream(draft, &StreamName::parse("s/t").unwrap(), &new, now)
        });
        assert_eq!(made.await.unwrap(), (STREAM, true));
        world
    }
}

/// An open store.
pub(crate) struct World {
    pub store: EmbeddedStore,
    pub recovery: Recovery,
    pub index_rebuilt: bool,
    /// What the store said when it gave up.
    pub fatal: Arc<Mutex<Option<String>>>,
    pub place: Place,
    pub clock: Arc<ManualClock>,
    _lock: Option<DirLock>,
}

/// Small files, small limits.
pub(crate) fn small() -> Options {
    Options {
        log_file_bytes: 64 << 10,
        log_limit_bytes: 256 << 10,
        snapshot_every_bytes: 64 << 10,
        cache_bytes: 1 << 20,
        ..Options::default()
    }
}

pub(crate) fn sink() -> SinkName {
    SinkName::parse_parts("s", "job").unwrap()
}

pub(crate) fn segment(number: u32) -> SegmentId {
    SegmentId::new(STREAM, SegmentNumber::new(number))
}

pub(crate) fn txn(number: u128) -> TransactionId {
    TransactionId::new(Uuid::from_u128(number))
}

pub(crate) fn info(at: &stored::BlockRef, rows: u32) -> stored::BlockInfo {
    stored::BlockInfo { at: Some(*at), schema_id: BYTES_SCHEMA_ID, rows, columns: Vec::new() }
}

/// A committable of one member.
pub(crate) fn group(number: u128, prev: Option<u128>, member: TransactionId) -> stored::Group {
    let id = |number: u128| GroupId::new(Uuid::from_u128(number)).to_bytes();
    stored::Group {
        group_id: id(number),
        checkpoint: number as u64,
        prev_group: prev.map(id).unwrap_or_default(),
        members: vec![member.to_bytes()],
        ..stored::Group::default()
    }
}

/// What tiering commits when it published all of a segment; without a file.
pub(crate) async fn publish(store: &EmbeddedStore, id: SegmentId) {
    let record = store.segment(id).unwrap().unwrap();
    let (first, end) = (Offset::new(record.parquet_end), Offset::new(record.next_offset));
    let published = store.execute(Vec::new(), Wait::Durable, move |draft, _, now| {
        publication::intend(draft, id, first, end, "hidden".into(), now)?;
        let file = stored::ParquetFile { end: end.get(), ..stored::ParquetFile::default() };
        publication::publish(draft, id, first, "hidden", &file)
    });
    published.await.unwrap();
}

impl World {
    /// Closes the store; its place can be opened again.
    pub(crate) async fn close(self) -> Place {
        self.store.close().await;
        self.place
    }

    /// Appends a block of `rows` events to a segment, outside of transactions; answers its first offset.
    pub(crate) async fn append(&self, number: u32, data: Bytes, rows: u32) -> Result<u64, Error> {
        let append = self.store.execute(vec![Block::new(data)], Wait::Durable, move |draft, refs, now| {
            events::append(draft, STREAM, &[], vec![(SegmentNumber::new(number), info(&refs[0], rows))], now)
        });
        append.await.map(|bases| bases[0])
    }

    /// Makes `name` a writer, so that its appends are applied once.
    pub(crate) async fn writer(&self, name: &str) -> (WriterId, u64) {
        let name = Name::parse(name).unwrap();
        let init = self.store.execute(Vec::new(), Wait::Durable, move |draft, _, _| {
            events::init_writer(draft, &StreamName::parse("s/t").unwrap(), &name)
        });
        let (_, writer, epoch, _) = init.await.unwrap();
        (writer, epoch)
    }

    pub(crate) async fn open_writer(&self, subtask: u32) -> u64 {
        let run = RunNonce::new(Uuid::from_u128(77));
        let open = self.store.execute(Vec::new(), Wait::Durable, move |draft, _, now| {
            transactions::open_writer(draft, &sink(), subtask, 8, run, now)
        });
        open.await.unwrap()
    }

    pub(crate) async fn begin(&self, id: TransactionId, subtask: u32, epoch: u64) -> Result<(), Error> {
        let begin = self.store.execute(Vec::new(), Wait::Accepted, move |draft, _, now| {
            transactions::begin(draft, id, &sink(), subtask, epoch, now)
        });
        begin.await
    }

    /// Adds a block of one event.
    pub(crate) async fn chunk(&self, id: TransactionId, seq: u64, number: u32, data: Bytes) -> Result<bool, Error> {
        let append = self.store.execute(vec![Block::new(data)], Wait::Accepted, move |draft, refs, now| {
            transactions::append(draft, id, seq, segment(number), info(&refs[0], 1), now)
        });
        append.await
    }

    /// Prepares with what the store holds: the writer's own count is not the point here.
    pub(crate) async fn prepare(&self, id: TransactionId) -> Result<(u32, u64), Error> {
        let prepare = self.store.execute(Vec::new(), Wait::Durable, move |draft, _, now| {
            let known = draft.transaction(id)?.unwrap_or_default();
            let digest = transactions::digest(&draft.chunks(id)?);
            let claim = Claim { chunks: known.chunks, events: known.events, bytes: known.bytes, digest };
            transactions::prepare(draft, id, &claim, now)
        });
        prepare.await
    }

    pub(crate) async fn commit(&self, group: stored::Group) -> Result<commit::Committed, Error> {
        let commit = self.store.execute(Vec::new(), Wait::Durable, move |draft, _, now| {
            let cluster = draft.cluster()?;
            let id = ClusterId::from_bytes(&cluster.cluster_id).unwrap();
            let timeline = TimelineId::from_bytes(&cluster.timeline_id).unwrap();
            commit::commit_group(draft, &sink(), &group, id, timeline, now)
        });
        commit.await
    }

    /// The blocks of a segment that are committed and not published, with their first offsets.
    pub(crate) async fn committed(&self, number: u32) -> Vec<(u64, Bytes)> {
        let extents = self.store.extents(segment(number), Offset::ZERO, Offset::new(u64::MAX), usize::MAX).unwrap();
        let mut found = Vec::new();
        for (base, extent) in extents {
            let at = extent.block.unwrap().at.unwrap();
            found.push((base.get(), self.store.block(at.into()).await.unwrap()));
        }
        found
    }

    pub(crate) fn transaction(&self, id: TransactionId) -> Option<stored::Transaction> {
        self.store.transaction(id).unwrap()
    }

    /// Every entry of the ledger.
    pub(crate) fn content(&self) -> Vec<(Vec<u8>, Bytes)> {
        self.store.content().unwrap().1.into_iter().collect()
    }

    pub(crate) fn check_invariants(&self) {
        let found = self.store.read(|view: &dyn View| invariants::check(view)).unwrap();
        assert_eq!(found, Vec::new());
    }
}
