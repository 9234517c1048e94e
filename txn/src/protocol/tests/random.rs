//! Long random histories of one sink: jobs that open, write, prepare, mint groups, commit, crash, restore and start anew, with every
//! message late or twice. After each step the invariants hold (the fixture checks them), and what is visible is right.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sluice_proto::storage::v1::{Group, TransactionState};

use super::fixture::{World, attach_command, block, group, segment, sink, state, txn};
use crate::{
    ledger::Records as _,
    protocol::{
        attach::{self, Restored},
        commit::Committed,
        transactions,
    },
};

#[derive(Default)]
struct Job {
    run: u128,
    incarnation: u64,
    base: Option<u128>,
    emitted: Vec<(u128, Group)>,
    /// Prepared and in no group yet.
    receipts: Vec<u128>,
    open: BTreeMap<u32, u128>,
}

struct History {
    world: World,
    next: u128,
    job: Job,
    /// States that may be restored.
    savepoints: Vec<Restored>,
    /// Every group that ever existed, for late messages, and the answers given.
    groups: Vec<Group>,
    answers: BTreeMap<Vec<u8>, Committed>,
}

impl History {
    fn new() -> Self {
        let mut history = Self {
            world: World::new(),
            next: 1,
            job: Job::default(),
            savepoints: Vec::new(),
            groups: Vec::new(),
            answers: BTreeMap::new(),
        };
        history.start(None, false);
        history
    }

    fn fresh(&mut self) -> u128 {
        self.next += 1;
        self.next
    }

    /// A job starts, with a state or without; it may be refused.
    fn start(&mut self, restored: Option<Restored>, accept: bool) {
        self.world.now += 10 * 60_000;
        let run = if restored.is_none() { self.fresh() } else { self.job.run };
        let read = self.world.incarnation();
        let command = attach::Command { accept_duplicates: accept, ..attach_command(run, read, restored.clone()) };
        let attached = self.world.run(|draft, now| attach::attach(draft, &sink(), &command, now));
        let Ok(attached) = attached else { return };
        let number = |raw: &[u8]| self.groups.iter().position(|group| group.group_id == raw);
        let base = attached.head.and_then(|head| number(&head.to_bytes())).map(|at| self.groups[at].checkpoint.into());
        let emitted = attached.pending.iter().map(|group| (group.checkpoint.into(), group.clone())).collect();
        self.job = Job { run, incarnation: attached.incarnation, base, emitted, ..Job::default() };
        for subtask in 0..2 {
            self.world.open_by(run, subtask);
        }
    }

    fn write(&mut self, subtask: u32) {
        let id = match self.job.open.get(&subtask) {
            Some(id) => *id,
            None => {
                let id = self.fresh();
                let epoch = self.world.index.slot(&sink(), subtask).unwrap().unwrap().writer_epoch;
                self.world.begin(id, subtask, epoch);
                self.job.open.insert(subtask, id);
                id
            }
        };
        let seq = self.world.transaction(id).chunks;
        let crc = self.fresh() as u32;
        for _ in 0..2 {
            self.world.ok(|draft, now| transactions::append(draft, txn(id), seq, segment(crc % 2), block(1, crc), now));
        }
    }

    fn prepare(&mut self, subtask: u32) {
        if let Some(id) = self.job.open.remove(&subtask) {
            self.world.prepare(id);
            self.job.receipts.push(id);
        }
    }

    fn mint(&mut self) {
        if self.job.receipts.is_empty() {
            return;
        }
        let number = self.fresh();
        let prev = self.job.emitted.last().map(|(number, _)| *number).or(self.job.base);
        let members = std::mem::take(&mut self.job.receipts);
        let group = group(number, prev, self.job.incarnation, &members);
        self.job.emitted.push((number, group.clone()));
        self.groups.push(group);
    }

    fn savepoint(&mut self) {
        // A state holds what is in groups: the barrier comes after the receipts.
        if self.job.receipts.is_empty() {
            let groups: Vec<Group> = self.job.emitted.iter().map(|(_, group)| group.clone()).collect();
            self.savepoints.push(state(self.job.base, &groups));
        }
    }

    fn send(&mut self, group: &Group) {
        let Ok(answer) = self.world.try_commit(group) else {
            assert!(!self.answers.contains_key(&group.group_id[..]), "a committed group must answer so for ever");
            return;
        };
        let first = self.answers.entry(group.group_id.to_vec()).or_insert_with(|| answer.clone());
        assert_eq!(*first, answer, "one outcome");
        self.job.emitted.retain(|(number, emitted)| {
            if emitted.group_id == group.group_id {
                self.job.base = Some(*number);
            }
            emitted.group_id != group.group_id
        });
    }

    /// Each event of a committed transaction is visible once, and nothing else is.
    fn check(&self) {
        let mut visible = BTreeSet::new();
        for number in 0..2 {
            for (_, extent) in self.world.extents(number) {
                let crc = extent.block.unwrap().at.unwrap().crc32c;
                assert!(visible.insert(crc), "an event is visible twice");
                let id = sluice_schema::ids::TransactionId::from_bytes(&extent.txn_id).unwrap();
                let state = self.world.index.transaction(id).unwrap().unwrap().state();
                assert_eq!(state, TransactionState::Committed, "an event of a transaction that is not committed");
            }
        }
        let committed: u64 = self.answers.values().map(|answer| answer.events).sum();
        assert_eq!(committed, visible.len() as u64, "an event that was answered for is not there");
    }

    fn step(&mut self, action: u8, choice: u16) {
        let subtask = u32::from(choice % 2);
        match action {
            0..=2 => self.write(subtask),
            3 | 4 => self.prepare(subtask),
            5 | 6 => self.mint(),
            7 | 8 => {
                // The committer, in order.
                if let Some((_, group)) = self.job.emitted.first().cloned() {
                    self.send(&group);
                }
            }
            9 => {
                // Any message of any time, late or twice.
                if !self.groups.is_empty() {
                    let group = self.groups[usize::from(choice) % self.groups.len()].clone();
                    self.send(&group);
                }
            }
            10 => self.savepoint(),
            11 => {
                if !self.savepoints.is_empty() {
                    let restored = self.savepoints[usize::from(choice) % self.savepoints.len()].clone();
                    self.start(Some(restored), choice.is_multiple_of(5));
                }
            }
            12 => self.start(None, false),
            _ => {
                // A zombie opens its slot again.
                let run = self.job.run;
                self.world.open_by(run, subtask);
                self.job.open.remove(&subtask);
            }
        }
        self.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn histories_keep_the_promises(steps in prop::collection::vec((0u8..14, any::<u16>()), 1..120)) {
        let mut history = History::new();
        for (action, choice) in steps {
            history.step(action, choice);
        }
    }
}
