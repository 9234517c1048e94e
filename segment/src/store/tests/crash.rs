//! Power is lost at any moment of a random workload, with commands under way: what was acknowledged is there, what was not is there
//! whole or not at all, and never out of order.

use std::collections::BTreeMap;

use bytes::Bytes;
use sluice_proto::storage::v1::TransactionState;
use sluice_schema::ids::TransactionId;
use sluice_txn::ledger::Records as _;

use super::kit::{Place, World, group, small, txn};
use crate::{
    env::{MemDisk, Rng as _, SeededRng},
    store::{Options, Wait},
};

/// A transaction as its writer knows it.
#[derive(Clone, Default)]
struct Written {
    /// Blocks accepted, with their segments, in order.
    chunks: Vec<(u32, Bytes)>,
    prepared: bool,
    commit_seq: Option<u64>,
}

/// What must be found after a crash.
#[derive(Clone, Default)]
struct Acknowledged {
    /// Plain appends: (segment, offset) and data.
    plain: BTreeMap<(u32, u64), Bytes>,
    written: BTreeMap<TransactionId, Written>,
    /// The last committed group.
    head: Option<u128>,
}

struct Workload {
    rng: SeededRng,
    /// Everything ever sent is unique, so that a ghost is noticed.
    sent: u64,
    ids: u128,
    acked: Acknowledged,
    epochs: [u64; 3],
}

impl Workload {
    fn data(&mut self) -> Bytes {
        self.sent += 1;
        let mut data = self.sent.to_le_bytes().to_vec();
        data.resize(8 + self.rng.below(3000) as usize, self.sent as u8);
        data.into()
    }

    fn pick(&self, wanted: impl Fn(&Written) -> bool) -> Option<TransactionId> {
        let found: Vec<_> =
            self.acked.written.iter().filter(|(_, written)| wanted(written)).map(|(id, _)| *id).collect();
        (!found.is_empty()).then(|| found[self.rng.below(found.len() as u64) as usize])
    }

    async fn step(&mut self, world: &World) {
        let open = |written: &Written| !written.prepared && written.commit_seq.is_none();
        match self.rng.below(10) {
            0..=2 => {
                let (number, data) = (self.rng.below(2) as u32, self.data());
                let base = world.append(number, data.clone(), 2).await.unwrap();
                self.acked.plain.insert((number, base), data);
            }
            3 => {
                let subtask = self.rng.below(3) as u32;
                self.ids += 1;
                let id = txn(self.ids);
                world.begin(id, subtask, self.epochs[subtask as usize]).await.unwrap();
                self.acked.written.insert(id, Written::default());
            }
            4..=6 => {
                let Some(id) = self.pick(open) else { return };
                let (number, data) = (self.rng.below(2) as u32, self.data());
                let chunks = &mut self.acked.written.get_mut(&id).unwrap().chunks;
                chunks.push((number, data.clone()));
                let seq = chunks.len() as u64 - 1;
                assert!(world.chunk(id, seq, number, data).await.unwrap());
            }
            7 => {
                let Some(id) = self.pick(|written| open(written) && !written.chunks.is_empty()) else { return };
                world.prepare(id).await.unwrap();
                self.acked.written.get_mut(&id).unwrap().prepared = true;
            }
            8 => {
                let Some(id) = self.pick(|written| written.prepared && written.commit_seq.is_none()) else { return };
                self.ids += 1;
                let committed = world.commit(group(self.ids, self.acked.head, id)).await.unwrap();
                self.acked.head = Some(self.ids);
                self.acked.written.get_mut(&id).unwrap().commit_seq = Some(committed.commit_seq);
            }
            _ => match self.rng.below(3) {
                0 => drop(world.store.snapshot().await.unwrap()),
                1 => drop(world.store.maintain().await.unwrap()),
                _ => {}
            },
        }
    }

    /// Submits commands and takes the disk's image before they are answered.
    async fn crash_in_flight(&mut self, world: &World, disk: &MemDisk) -> MemDisk {
        let mut answers = Vec::new();
        for _ in 0..self.rng.below(6) {
            let (number, data) = (self.rng.below(2) as u32, self.data());
            let wait = if self.rng.below(2) == 0 { Wait::Durable } else { Wait::Accepted };
            let block = crate::log::Block::new(data.clone());
            let submitted = world.store.submit(vec![block], wait, move |draft, refs, now| {
                let block = (sluice_schema::ids::SegmentNumber::new(number), super::kit::info(&refs[0], 2));
                sluice_txn::protocol::events::append(draft, super::kit::STREAM, &[], vec![block], now)
            });
            answers.push((number, data, submitted.await.unwrap()));
        }
        for _ in 0..self.rng.below(3) {
            tokio::task::yield_now().await;
        }
        let image = disk.crash(self.rng.next_u64());
        for (number, data, answer) in answers {
            let base = answer.await.unwrap().unwrap()[0];
            self.acked.plain.insert((number, base), data);
        }
        // What was only accepted counts from the next sync on.
        world.store.execute(Vec::new(), Wait::Durable, |_, _, _| Ok(())).await.unwrap();
        image
    }
}

/// Opens what a crash left and compares it with what was acknowledged.
async fn check(image: &MemDisk, acked: &Acknowledged, sent: u64, options: Options, seed: u64) {
    let world = Place::Memory(image.clone()).open(options);
    world.check_invariants();
    let mut seen = std::collections::BTreeSet::new();
    let mut committed: BTreeMap<(u32, u64), Bytes> = BTreeMap::new();
    for number in 0..2 {
        for (base, data) in world.committed(number).await {
            let mark = u64::from_le_bytes(data[..8].try_into().unwrap());
            assert!(mark <= sent && seen.insert(mark), "seed {seed}: a ghost or a double, {mark}");
            committed.insert((number, base), data);
        }
    }
    for (place, data) in &acked.plain {
        assert_eq!(committed.get(place), Some(data), "seed {seed}: an acknowledged append is lost");
    }
    for (id, written) in &acked.written {
        let found = world.transaction(*id);
        let Some(found) = found else {
            assert!(!written.prepared, "seed {seed}: a prepared transaction is lost");
            continue;
        };
        if let Some(commit_seq) = written.commit_seq {
            assert_eq!((found.state(), found.commit_seq), (TransactionState::Committed, commit_seq), "seed {seed}");
            let all = written.chunks.iter().all(|(_, data)| committed.values().any(|committed| committed == data));
            assert!(all, "seed {seed}: events of a committed transaction are lost");
            continue;
        }
        if written.prepared {
            assert_eq!(found.state(), TransactionState::Prepared, "seed {seed}");
            assert_eq!(found.chunks, written.chunks.len() as u64, "seed {seed}");
        }
        // The prefix rule: what is left of an open transaction is its first blocks, as they were sent.
        let left = world.store.chunks(*id).unwrap();
        assert!(found.chunks == left.len() as u64 && left.len() <= written.chunks.len(), "seed {seed}");
        for (chunk, (number, data)) in left.into_iter().zip(&written.chunks) {
            let at = chunk.block.unwrap().at.unwrap();
            assert_eq!((chunk.segment, world.store.block(at.into()).await.unwrap()), (*number, data.clone()));
        }
    }
    let next = world.store.read(|view| view.segment(super::kit::segment(0))).unwrap().unwrap().next_offset;
    assert_eq!(world.append(0, Bytes::from(vec![0; 9]), 1).await.unwrap(), next, "seed {seed}: it does not go on");
    let content = world.content();
    let place = world.close().await;
    let again = place.open(small());
    assert!(again.content() == content, "seed {seed}: another start finds something else");
    again.close().await;
}

async fn run(seed: u64, steps: u32) {
    let disk = MemDisk::new();
    let options = Options { sync_bytes: 16 << 10, ..small() };
    let world = Place::Memory(disk.clone()).found(options.clone()).await;
    let mut epochs = [0; 3];
    for (subtask, epoch) in (0u32..).zip(&mut epochs) {
        *epoch = world.open_writer(subtask).await;
    }
    let mut workload = Workload { rng: SeededRng::new(seed), sent: 0, ids: 0, acked: Acknowledged::default(), epochs };
    for step in 0..steps {
        workload.step(&world).await;
        if step % 5 == 4 {
            // What is accepted from here on may or may not be in the image.
            let before = workload.acked.clone();
            let image = workload.crash_in_flight(&world, &disk).await;
            check(&image, &before, workload.sent, options.clone(), seed).await;
        }
    }
    assert_eq!(*world.fatal.lock().unwrap(), None, "seed {seed}");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_takes_nothing_that_was_acknowledged() {
    for seed in 0..40 {
        run(seed, 60).await;
    }
}

/// A crash during the start after a crash, and so on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_in_a_row_take_nothing_either() {
    for seed in 100..112 {
        let rng = SeededRng::new(seed);
        let mut disk = MemDisk::new();
        let mut acked: Vec<(u64, Bytes)> = Vec::new();
        let world = Place::Memory(disk.clone()).found(small()).await;
        let mut running = vec![world];
        for round in 0..12u64 {
            let world = running.last().unwrap();
            for n in 0..rng.below(5) {
                let data = Bytes::from(vec![(round * 16 + n) as u8; 2000]);
                acked.push((world.append(0, data.clone(), 1).await.unwrap(), data));
            }
            let _ = world.store.snapshot().await.unwrap();
            disk = disk.crash(rng.next_u64());
            let world = Place::Memory(disk.clone()).open(small());
            assert_eq!(world.committed(0).await, acked, "seed {seed}, round {round}");
            running.push(world);
        }
        for world in running {
            world.close().await;
        }
    }
}
