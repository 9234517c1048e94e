//! A store in memory with scope `s`, stream `s/t` of two segments and sink `s/job`, and short words for the commands.

use bytes::Bytes;
use sluice_proto::storage::v1::{BlockInfo, BlockRef, Chunk, Extent, Group, Transaction, TransactionState};
use sluice_schema::{
    ids::{ClusterId, GroupId, Offset, RunNonce, SegmentId, SegmentNumber, StreamId, TimelineId, TransactionId},
    names::{Name, SinkName, StreamName},
};
use uuid::Uuid;

use crate::{
    ledger::{Draft, Index as _, MemoryIndex, Records as _},
    protocol::{
        BYTES_SCHEMA_ID, ErrorClass, ErrorReason, Failure, Millis, Outcome, Refusal,
        attach::{self, Attached, Mode, Restored},
        commit::{self, Committed},
        invariants, streams,
        streams::NewStream,
        transactions::{self, Claim},
    },
};

pub const START_MS: Millis = 1_700_000_000_000;
pub const STREAM: StreamId = StreamId::new(1);
pub const CLUSTER: ClusterId = ClusterId::new(Uuid::from_u128(0xc1));
pub const TIMELINE: TimelineId = TimelineId::new(Uuid::from_u128(0x71));

pub struct World {
    pub index: MemoryIndex,
    pub now: Millis,
    lsn: u64,
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub fn stream_name() -> StreamName {
    StreamName::parse("s/t").unwrap()
}

pub fn sink() -> SinkName {
    SinkName::parse_parts("s", "job").unwrap()
}

pub fn segment(number: u32) -> SegmentId {
    SegmentId::new(STREAM, SegmentNumber::new(number))
}

pub fn txn(number: u128) -> TransactionId {
    TransactionId::new(Uuid::from_u128(number))
}

pub fn group_id(number: u128) -> GroupId {
    GroupId::new(Uuid::from_u128(0x9000 + number))
}

pub fn run(number: u128) -> RunNonce {
    RunNonce::new(Uuid::from_u128(number))
}

/// A block of `rows` events whose bytes are known by `crc`.
pub fn block(rows: u32, crc: u32) -> BlockInfo {
    let at = BlockRef { file: 1, position: 4096, length: 100 * rows, crc32c: crc };
    BlockInfo { at: Some(at), schema_id: BYTES_SCHEMA_ID, rows, columns: Vec::new() }
}

pub fn new_stream(segments: u32) -> NewStream {
    NewStream { segments, schema: None, routing_key: Vec::new(), labels: Default::default() }
}

/// A group as an aggregator mints it.
pub fn group(number: u128, prev: Option<u128>, incarnation: u64, members: &[u128]) -> Group {
    Group {
        group_id: group_id(number).to_bytes(),
        checkpoint: number as u64,
        prev_group: prev.map(|prev| group_id(prev).to_bytes()).unwrap_or_default(),
        members: members.iter().map(|member| txn(*member).to_bytes()).collect(),
        incarnation,
        ..Group::default()
    }
}

/// What a checkpoint holds: the base and the groups emitted after it.
pub fn state(base: Option<u128>, emitted: &[Group]) -> Restored {
    Restored { base: base.map(group_id), emitted: emitted.to_vec(), timeline: Some(TIMELINE) }
}

/// An attach of a streaming job.
pub fn attach_command(run_number: u128, incarnation_read: u64, restored: Option<Restored>) -> attach::Command {
    attach::Command {
        run: run(run_number),
        parallelism: 2,
        incarnation_read,
        restored,
        mode: Mode::Streaming,
        accept_duplicates: false,
        refuse_fresh_start: false,
    }
}

/// Checks class and reason of a refusal.
#[track_caller]
pub fn says(refusal: &Refusal, class: ErrorClass, reason: ErrorReason) {
    assert_eq!((refusal.class(), refusal.reason()), (class, reason), "{}", refusal.message);
    assert!(!refusal.message.is_empty() && !refusal.message.ends_with('.'), "{}", refusal.message);
}

impl World {
    pub fn new() -> World {
        let mut world = World::empty();
        world.ok(|draft, now| streams::create_scope(draft, &name("s"), now));
        assert_eq!(
            world.ok(|draft, now| streams::create_stream(draft, &stream_name(), &new_stream(2), now)),
            (STREAM, true)
        );
        world
    }

    /// A store that was just made.
    pub fn empty() -> World {
        let mut world = World { index: MemoryIndex::default(), now: START_MS, lsn: 0 };
        world.ok(|draft, _| {
            streams::found_cluster(draft, CLUSTER, TIMELINE, sluice_proto::gateway::v1::Schema::default());
            Ok(())
        });
        world
    }

    /// Runs a rule as the store does: its changes count only when it answers. The invariants hold afterwards.
    pub fn run<T>(&mut self, rule: impl FnOnce(&mut Draft<'_>, Millis) -> Outcome<T>) -> Outcome<T> {
        let (outcome, changes) = {
            let mut draft = Draft::new(&self.index);
            let outcome = rule(&mut draft, self.now);
            (outcome, draft.into_changes())
        };
        if outcome.is_ok() {
            self.lsn += 1;
            self.index.apply(self.lsn, &changes.to_vec()).unwrap();
            assert_eq!(invariants::check(&self.index).unwrap(), Vec::new());
        }
        outcome
    }

    #[track_caller]
    pub fn ok<T>(&mut self, rule: impl FnOnce(&mut Draft<'_>, Millis) -> Outcome<T>) -> T {
        match self.run(rule) {
            Ok(answer) => answer,
            Err(failure) => panic!("{failure}"),
        }
    }

    /// The refusal of a rule that must refuse.
    #[track_caller]
    pub fn refused<T>(&mut self, rule: impl FnOnce(&mut Draft<'_>, Millis) -> Outcome<T>) -> Refusal {
        match self.run(rule) {
            Err(Failure::Refused(refusal)) => refusal,
            Err(Failure::Ledger(error)) => panic!("{error}"),
            Ok(_) => panic!("it was not refused"),
        }
    }

    #[track_caller]
    pub fn open_by(&mut self, run_number: u128, subtask: u32) -> u64 {
        self.ok(|draft, now| transactions::open_writer(draft, &sink(), subtask, 8, run(run_number), now))
    }

    #[track_caller]
    pub fn open(&mut self, subtask: u32) -> u64 {
        self.open_by(1, subtask)
    }

    #[track_caller]
    pub fn begin(&mut self, number: u128, subtask: u32, epoch: u64) {
        self.ok(|draft, now| transactions::begin(draft, txn(number), &sink(), subtask, epoch, now));
    }

    /// Appends the next block: `rows` events to a segment.
    #[track_caller]
    pub fn chunk(&mut self, number: u128, into: u32, rows: u32) {
        let seq = self.transaction(number).chunks;
        let crc = number as u32 * 1000 + seq as u32;
        assert!(self.ok(|draft, now| transactions::append(
            draft,
            txn(number),
            seq,
            segment(into),
            block(rows, crc),
            now
        )));
    }

    /// What the writer of a transaction would claim.
    pub fn claim(&self, number: u128) -> Claim {
        let known = self.transaction(number);
        let digest = transactions::digest(&self.chunks(number));
        Claim { chunks: known.chunks, events: known.events, bytes: known.bytes, digest }
    }

    #[track_caller]
    pub fn prepare(&mut self, number: u128) -> (u32, u64) {
        let claim = self.claim(number);
        self.ok(|draft, now| transactions::prepare(draft, txn(number), &claim, now))
    }

    /// A prepared transaction of one event in a slot, by the slot's present epoch.
    #[track_caller]
    pub fn prepared(&mut self, number: u128, subtask: u32) {
        let epoch = match self.index.slot(&sink(), subtask).unwrap() {
            Some(slot) => slot.writer_epoch,
            None => self.open(subtask),
        };
        self.begin(number, subtask, epoch);
        self.chunk(number, subtask % 2, 1);
        self.prepare(number);
    }

    pub fn try_commit(&mut self, group: &Group) -> Outcome<Committed> {
        self.run(|draft, now| commit::commit_group(draft, &sink(), group, CLUSTER, TIMELINE, now))
    }

    #[track_caller]
    pub fn commit(&mut self, group: &Group) -> Committed {
        self.ok(|draft, now| commit::commit_group(draft, &sink(), group, CLUSTER, TIMELINE, now))
    }

    #[track_caller]
    pub fn commit_all(&mut self, groups: &[Group]) {
        for group in groups {
            self.commit(group);
        }
    }

    #[track_caller]
    pub fn commit_refused(&mut self, group: &Group) -> Refusal {
        self.refused(|draft, now| commit::commit_group(draft, &sink(), group, CLUSTER, TIMELINE, now))
    }

    #[track_caller]
    pub fn attach(&mut self, command: &attach::Command) -> Attached {
        self.ok(|draft, now| attach::attach(draft, &sink(), command, now))
    }

    #[track_caller]
    pub fn attach_refused(&mut self, command: &attach::Command) -> Refusal {
        self.refused(|draft, now| attach::attach(draft, &sink(), command, now))
    }

    pub fn incarnation(&self) -> u64 {
        self.index.sink(&sink()).unwrap().map_or(0, |sink| sink.incarnation)
    }

    /// Attaches a streaming job that read the sink just before.
    #[track_caller]
    pub fn attach_as(&mut self, run_number: u128, restored: Option<Restored>) -> Attached {
        let command = attach_command(run_number, self.incarnation(), restored);
        self.attach(&command)
    }

    pub fn transaction(&self, number: u128) -> Transaction {
        self.index.transaction(txn(number)).unwrap().unwrap()
    }

    pub fn state(&self, number: u128) -> TransactionState {
        self.transaction(number).state()
    }

    pub fn chunks(&self, number: u128) -> Vec<Chunk> {
        self.index.chunks(txn(number)).unwrap()
    }

    pub fn extents(&self, number: u32) -> Vec<(u64, Extent)> {
        let found = self.index.extents(segment(number), Offset::ZERO, Offset::new(u64::MAX), usize::MAX).unwrap();
        found.into_iter().map(|(base, extent)| (base.get(), extent)).collect()
    }

    /// The whole ledger.
    pub fn content(&self) -> Vec<(Vec<u8>, Bytes)> {
        use crate::ledger::{Direction, View as _};
        let mut found = Vec::new();
        let everything = crate::key::KeySpan::everything();
        let scan = self.index.scan(&everything, Direction::Ascending, &mut |key, value| {
            found.push((key.to_vec(), value.clone()));
            true
        });
        scan.unwrap();
        found
    }
}
