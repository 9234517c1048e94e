//! A random workload: appends, transactions, groups of several, publications, snapshots, maintenance. It keeps what was sent and what its
//! callers were told, so that a store can be checked against both after whatever happened to it.
//!
//! Rounds of the sequencer hold the same commands in every run of a seed: commands come one by one, or all of a burst in one round.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use sluice_proto::storage::v1::{self as stored, AbortReason, TransactionState};
use sluice_schema::ids::{Offset, SegmentNumber, TransactionId};
use sluice_txn::{
    ledger::Records as _,
    protocol::{events, publication, transactions},
};
use tokio::sync::oneshot;

use super::kit::{STREAM, World, group, info, segment, txn};
use crate::{
    env::SeededRng,
    log::{Block, BlockRef, ReadError},
    store::{Error, Wait},
};

pub(super) const SEGMENTS: u32 = 2;
const SUBTASKS: u32 = 3;

/// What was ever sent: nothing else may be found.
#[derive(Default)]
pub(super) struct Sent {
    /// Blocks by their marks; no two are equal, so that a double or a ghost is noticed.
    pub data: BTreeMap<u64, Bytes>,
    /// Blocks of transactions, (segment, mark), in order.
    pub chunks: BTreeMap<TransactionId, Vec<(u32, u64)>>,
    /// Groups by number, with their members.
    pub groups: Vec<(u128, Vec<TransactionId>)>,
    /// Where blocks were that somebody asked to publish: (segment, offset).
    pub published: BTreeMap<u64, (u32, u64)>,
}

/// What a caller was told about a transaction, and what followed from other answers.
#[derive(Clone, Copy, Default)]
pub(super) struct Known {
    /// `Unspecified`: a crash may take it away.
    pub state: TransactionState,
    pub commit_seq: u64,
    /// Blocks that are durable.
    pub chunks: usize,
}

/// What callers were told. Plain appends: marks by (segment, offset).
#[derive(Clone, Default)]
pub(super) struct Told {
    pub plain: BTreeMap<(u32, u64), u64>,
    pub transactions: BTreeMap<TransactionId, Known>,
    /// Events below are published.
    pub parquet_end: [u64; SEGMENTS as usize],
}

/// A transaction as its writer sees it; one whose last request failed is left alone.
struct Running {
    id: TransactionId,
    chunks: usize,
    prepared: bool,
}

pub(super) struct Workload {
    pub rng: SeededRng,
    pub sent: Sent,
    pub told: Told,
    /// Errors that callers were told.
    pub errors: Vec<Error>,
    pub read_errors: Vec<ReadError>,
    /// Durable answers so far.
    pub answers: usize,
    running: Vec<Running>,
    ids: u128,
    /// The last committed group.
    head: Option<u128>,
    epochs: Vec<u64>,
}

impl Workload {
    pub(super) async fn new(world: &World, seed: u64) -> Self {
        let mut epochs = Vec::new();
        for subtask in 0..SUBTASKS {
            epochs.push(world.open_writer(subtask).await);
        }
        Workload {
            rng: SeededRng::new(seed),
            sent: Sent::default(),
            told: Told::default(),
            errors: Vec::new(),
            read_errors: Vec::new(),
            answers: 0,
            running: Vec::new(),
            ids: 0,
            head: None,
            epochs,
        }
    }

    fn below(&self, bound: usize) -> usize {
        self.rng.below(bound as u64) as usize
    }

    /// A block of up to 3000 bytes; its mark comes first.
    pub(super) fn block(&mut self) -> (u64, Bytes) {
        let length = 8 + self.below(3000);
        self.block_of(vec![self.sent.data.len() as u8; length])
    }

    fn block_of(&mut self, mut data: Vec<u8>) -> (u64, Bytes) {
        let mark = self.sent.data.len() as u64 + 1;
        data[..8].copy_from_slice(&mark.to_le_bytes());
        let data = Bytes::from(data);
        self.sent.data.insert(mark, data.clone());
        (mark, data)
    }

    /// Now and then a block that looks like a frame at its place in the log, but for the salt.
    async fn block_for(&mut self, world: &World) -> (u64, Bytes) {
        if self.below(6) > 0 {
            return self.block();
        }
        let Some(last) = world.store.log_files().await.ok().and_then(|files| files.last().copied()) else {
            return self.block();
        };
        let full = last.bytes >= world.store.options().log_file_bytes;
        let frame = if full { PAGE } else { last.bytes };
        let mut data = vec![3; (PAGE - BLOCK_IN_FRAME) as usize];
        data.extend(forged_frame(frame + PAGE));
        self.block_of(data)
    }

    fn told<T>(&mut self, answer: Result<T, Error>) -> Option<T> {
        answer.map_err(|error| self.errors.push(error)).ok()
    }

    /// A durable answer: what was accepted before it is durable, too.
    pub(super) fn durable(&mut self) {
        self.answers += 1;
        for running in &self.running {
            let known = self.told.transactions.entry(running.id).or_default();
            known.chunks = running.chunks;
            known.state = known.state.max(TransactionState::Open);
        }
    }

    /// After a restart: was the last commit one, whose answer never came?
    pub(super) fn ask_again(&mut self, world: &World) {
        let committed = |(_, members): &&(u128, Vec<TransactionId>)| world.committed_of(members).len() == members.len();
        self.head = self.sent.groups.iter().rfind(committed).map(|(number, _)| *number);
    }

    fn set(&mut self, id: TransactionId, state: TransactionState, commit_seq: u64) {
        let known = self.told.transactions.entry(id).or_default();
        (known.state, known.commit_seq) = (state, commit_seq);
    }

    fn pick(&self, wanted: impl Fn(&Running) -> bool) -> Option<usize> {
        let found: Vec<usize> =
            self.running.iter().enumerate().filter(|(_, running)| wanted(running)).map(|(index, _)| index).collect();
        (!found.is_empty()).then(|| found[self.below(found.len())])
    }

    /// One operation; returns when it is answered.
    pub(super) async fn step(&mut self, world: &World) {
        match self.below(16) {
            0..=3 => self.append(world).await,
            4 => self.burst(world).await,
            5 => self.begin(world).await,
            6..=9 => self.chunk(world).await,
            10 | 11 => self.prepare(world).await,
            12 => self.commit(world).await,
            13 => match self.below(4) {
                0 => self.abort(world).await,
                _ => self.publish(world).await,
            },
            14 => self.read(world).await,
            _ => {
                let outcome = match self.below(3) {
                    0 => world.store.snapshot().await.map(drop),
                    _ => world.store.maintain().await.map(drop),
                };
                self.told(outcome);
            }
        }
    }

    async fn append(&mut self, world: &World) {
        let number = self.below(2) as u32;
        let (mark, data) = self.block_for(world).await;
        if let Some(base) = self.told(world.append(number, data, 2).await) {
            self.told.plain.insert((number, base), mark);
            self.durable();
        }
    }

    /// Several appends in one round.
    async fn burst(&mut self, world: &World) {
        let ((started, begun), (open, opened)) = (oneshot::channel(), std::sync::mpsc::channel::<()>());
        let gate = world.store.submit(Vec::new(), Wait::Accepted, move |_, _, _| {
            let _ = started.send(());
            let _ = opened.recv();
            Ok(())
        });
        let Some(gate) = self.told(gate.await) else { return };
        if begun.await.is_err() {
            self.told(answered(gate).await);
            return;
        }
        let mut answers = Vec::new();
        for _ in 0..2 + self.below(3) {
            let number = self.below(2) as u32;
            let (mark, data) = self.block();
            let submitted = world.store.submit(vec![Block::new(data)], Wait::Durable, move |draft, refs, now| {
                events::append(draft, STREAM, &[], vec![(SegmentNumber::new(number), info(&refs[0], 2))], now)
            });
            answers.push((number, mark, submitted.await));
        }
        drop(open);
        let _ = gate.await;
        for (number, mark, answer) in answers {
            let answer = match answer {
                Ok(answer) => answered(answer).await,
                Err(error) => Err(error),
            };
            if let Some(bases) = self.told(answer) {
                self.told.plain.insert((number, bases[0]), mark);
                self.durable();
            }
        }
    }

    async fn begin(&mut self, world: &World) {
        let subtask = self.below(SUBTASKS as usize);
        self.ids += 1;
        let id = txn(self.ids);
        self.sent.chunks.insert(id, Vec::new());
        if self.told(world.begin(id, subtask as u32, self.epochs[subtask]).await).is_some() {
            self.running.push(Running { id, chunks: 0, prepared: false });
        }
    }

    async fn chunk(&mut self, world: &World) {
        let Some(index) = self.pick(|running| !running.prepared) else { return self.begin(world).await };
        let number = self.below(2) as u32;
        let (mark, data) = self.block_for(world).await;
        let id = self.running[index].id;
        let chunks = self.sent.chunks.entry(id).or_default();
        chunks.push((number, mark));
        let seq = chunks.len() as u64 - 1;
        match self.told(world.chunk(id, seq, number, data).await) {
            Some(_) => self.running[index].chunks += 1,
            None => drop(self.running.swap_remove(index)),
        }
    }

    async fn prepare(&mut self, world: &World) {
        let Some(index) = self.pick(|running| !running.prepared && running.chunks > 0) else { return };
        let id = self.running[index].id;
        if self.told(world.prepare(id).await).is_none() {
            self.running.swap_remove(index);
            return;
        }
        self.running[index].prepared = true;
        self.durable();
        self.set(id, TransactionState::Prepared, 0);
    }

    /// Commits one to three prepared transactions together.
    async fn commit(&mut self, world: &World) {
        let mut members = Vec::new();
        for _ in 0..1 + self.below(3) {
            if let Some(index) = self.pick(|running| running.prepared) {
                members.push(self.running.swap_remove(index).id);
            }
        }
        let Some(first) = members.first() else { return };
        self.ids += 1;
        let number = self.ids;
        let ids = members.iter().map(|id| id.to_bytes()).collect();
        let group = stored::Group { members: ids, ..group(number, self.head, *first) };
        self.sent.groups.push((number, members.clone()));
        if let Some(committed) = self.told(world.commit(group).await) {
            self.head = Some(number);
            self.durable();
            for id in members {
                self.set(id, TransactionState::Committed, committed.commit_seq);
            }
        }
    }

    async fn abort(&mut self, world: &World) {
        let Some(index) = self.pick(|running| !running.prepared) else { return };
        let id = self.running.swap_remove(index).id;
        let abort = world.store.execute(Vec::new(), Wait::Durable, move |draft, _, now| {
            transactions::abort(draft, id, AbortReason::Client, now)
        });
        if self.told(abort.await).is_some() {
            self.durable();
            self.set(id, TransactionState::Aborted, 0);
        }
    }

    /// Reads a segment; what is served is what was sent.
    async fn read(&mut self, world: &World) {
        let number = self.below(2) as u32;
        for (base, at) in world.places(number) {
            match world.store.block(at).await {
                Ok(data) => assert_eq!(self.sent.data.get(&mark(&data)), Some(&data), "a reader got a ghost at {base}"),
                Err(error) => self.read_errors.push(error),
            }
        }
    }

    /// What tiering commits when it published all of a segment; without a file.
    async fn publish(&mut self, world: &World) {
        let number = self.below(2) as u32;
        let id = segment(number);
        let Ok(Some(record)) = world.store.segment(id) else { return };
        let (first, end) = (record.parquet_end, record.next_offset);
        if first == end {
            return;
        }
        for (base, at) in world.places(number) {
            match world.store.block(at).await {
                Ok(data) => drop(self.sent.published.insert(mark(&data), (number, base))),
                // What cannot be read is not published.
                Err(error) => return self.read_errors.push(error),
            }
        }
        let hidden = format!("hidden-{first}-{}", self.sent.published.len());
        let published = world.store.execute(Vec::new(), Wait::Durable, move |draft, _, now| {
            publication::intend(draft, id, Offset::new(first), Offset::new(end), hidden.clone(), now)?;
            let file = stored::ParquetFile { end, path: format!("file-{first}"), ..stored::ParquetFile::default() };
            publication::publish(draft, id, Offset::new(first), &hidden, &file)
        });
        if self.told(published.await).is_some() {
            self.told.parquet_end[number as usize] = end;
            self.durable();
        }
    }
}

async fn answered<T>(answer: oneshot::Receiver<Result<T, Error>>) -> Result<T, Error> {
    answer.await.unwrap_or_else(|_| Err(Error::stopped()))
}

pub(super) fn mark(data: &[u8]) -> u64 {
    u64::from_le_bytes(data[..8].try_into().unwrap())
}

impl World {
    /// The blocks of a segment that are committed and not published, with their first offsets.
    pub(super) fn places(&self, number: u32) -> Vec<(u64, BlockRef)> {
        let extents = self.store.extents(segment(number), Offset::ZERO, Offset::new(u64::MAX), usize::MAX).unwrap();
        extents.into_iter().map(|(base, extent)| (base.get(), extent.block.unwrap().at.unwrap().into())).collect()
    }

    /// Which transactions of these are committed.
    pub(super) fn committed_of(&self, ids: &[TransactionId]) -> BTreeSet<TransactionId> {
        let is_committed = |id: &&TransactionId| {
            self.transaction(**id).is_some_and(|found| found.state() == TransactionState::Committed)
        };
        ids.iter().filter(is_committed).copied().collect()
    }
}

const PAGE: u64 = 4096;
/// Where the only block of a frame begins.
const BLOCK_IN_FRAME: u64 = 128;

/// The header of an empty frame as of another log (the table is in `log`): were it one of this log, it would prove everything durable.
fn forged_frame(position: u64) -> Vec<u8> {
    let mut header = b"SLFR\x01\0\0\0".to_vec();
    for number in [u64::MAX, u64::MAX - 1, 0x5a5a_5a5a, position, PAGE] {
        header.extend(number.to_le_bytes());
    }
    header.extend([0; 12]);
    let crc = crc32c::crc32c(&header);
    header.extend(crc.to_le_bytes());
    header
}
