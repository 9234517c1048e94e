//! One state: the ledger, and what the world around the gateway knows, which no request carries.

use std::{
    collections::BTreeMap,
    hash::{Hash, Hasher},
    sync::Arc,
};

use sluice_proto::storage::v1::Group;
use sluice_txn::protocol::{Failure, commit::Committed};

use crate::{
    config::Config,
    event::Event,
    ids::{GroupRef, Place, Txn},
    job::{Attempt, Snapshot, SnapshotKey, Start},
    ledger::Ledger,
    plain::Plain,
    publisher::Publication,
    setup,
};

/// A history of the source. Within a line, each record becomes visible at most once; a new line begins with a job that starts
/// without state under a new submission, and with a restore that accepts duplicates.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Line {
    /// The first record of each split.
    pub start: Vec<u8>,
    /// A restore from this line went on although groups were committed that its state did not know: duplicates are agreed to.
    pub forked: bool,
}

/// A group as an aggregator minted it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Minted {
    /// Its transactions, in order.
    pub members: Vec<Txn>,
    /// The group before, as its aggregator saw it.
    pub prev: Option<GroupRef>,
    /// The incarnation it was minted under.
    pub incarnation: u64,
    /// Its line.
    pub line: u8,
    /// The run of its members.
    pub run: u8,
    /// For each split, the first record that it and the groups before it do not hold.
    pub cut: Vec<u8>,
}

impl Minted {
    /// What travels in a committable, behind the group `prev`.
    pub fn message(&self, group: GroupRef, prev: Option<GroupRef>) -> Group {
        Group {
            group_id: group.id().to_bytes(),
            checkpoint: group.checkpoint.into(),
            prev_group: prev.map(|prev| prev.id().to_bytes()).unwrap_or_default(),
            members: self.members.iter().map(|member| member.id().to_bytes()).collect(),
            incarnation: self.incarnation,
            ..Group::default()
        }
    }
}

/// A visible event and the commit that made it so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seen {
    /// The commit.
    pub commit_seq: u64,
    /// The event.
    pub event: Event,
}

/// What must never happen, and did.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Violation {
    /// The promise, with its number in protocol.md §4 where it has one.
    pub promise: &'static str,
    /// What was found.
    pub found: String,
}

/// A group that became visible: the first answer to its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The group.
    pub group: GroupRef,
    /// The answer, and every later one.
    pub answer: Committed,
}

impl Hash for Outcome {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.group, self.answer.commit_seq).hash(state);
    }
}

/// Faults that are bounded by the configuration: how many happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Spent {
    /// Calls of dead attempts, and repeats of earlier calls, that changed something.
    pub late: u8,
    /// Answers that did not arrive.
    pub lost: u8,
    /// Open transactions that ended by time.
    pub expired: u8,
}

/// A state of the model.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct World {
    /// What the gateway holds.
    pub ledger: Ledger,
    /// The attempts of all jobs, in the order they started.
    pub attempts: Vec<Arc<Attempt>>,
    /// Completed checkpoints and savepoints.
    pub snapshots: Arc<BTreeMap<SnapshotKey, Arc<Snapshot>>>,
    /// Every group that was ever minted.
    pub minted: Arc<BTreeMap<GroupRef, Minted>>,
    /// Histories of the source.
    pub lines: Arc<Vec<Line>>,
    /// What is committed, in order.
    pub committed: Arc<Vec<Outcome>>,
    /// Attaches that were accepted.
    pub attached: u64,
    /// The attempt that attached last.
    pub owner: Option<u8>,
    /// What may become visible next, in order: what the owner's state held and what it minted since.
    pub chain: Arc<Vec<GroupRef>>,
    /// Groups committed before the last restore that went on behind a fork: the operator knows of these.
    pub agreed: usize,
    /// Who opened each slot last.
    pub slots: Vec<Option<u8>>,
    /// What readers have seen, by stream and segment.
    pub seen: Arc<BTreeMap<Place, Vec<Seen>>>,
    /// The producer of plain appends.
    pub plain: Plain,
    /// Publication as Parquet.
    pub publication: Publication,
    /// Faults so far.
    pub spent: Spent,
    /// The first broken promise that a step met.
    pub violation: Option<Arc<Violation>>,
}

impl World {
    /// A store with the configuration's streams and the first attempt of the first job.
    pub fn new(config: &Config) -> Result<Self, Failure> {
        let places = (0..config.streams)
            .flat_map(|stream| (0..config.segments).map(move |segment| Place { stream, segment }))
            .map(|place| (place, Vec::new()));
        let mut world = Self {
            ledger: setup::store(config)?,
            attempts: Vec::new(),
            snapshots: Arc::default(),
            minted: Arc::default(),
            lines: Arc::default(),
            committed: Arc::default(),
            attached: 0,
            owner: None,
            chain: Arc::default(),
            agreed: 0,
            slots: vec![None; config.splits.into()],
            seen: Arc::new(places.collect()),
            plain: Plain::default(),
            publication: Publication::default(),
            spent: Spent::default(),
            violation: None,
        };
        let parallelism = config.parallelisms.first().copied().unwrap_or(1);
        world.start(&Start { restored: None, accept_duplicates: false, run: 0, parallelism }, config);
        Ok(world)
    }

    /// Remembers a broken promise; the first one counts.
    pub fn blame(&mut self, promise: &'static str, found: impl Into<String>) {
        self.violation.get_or_insert_with(|| Arc::new(Violation { promise, found: found.into() }));
    }

    /// An attempt, to change it.
    pub fn attempt_mut(&mut self, attempt: u8) -> &mut Attempt {
        Arc::make_mut(&mut self.attempts[usize::from(attempt)])
    }

    /// An attempt.
    pub fn attempt(&self, attempt: u8) -> &Attempt {
        &self.attempts[usize::from(attempt)]
    }

    /// The answer a committed group got.
    pub fn outcome(&self, group: GroupRef) -> Option<&Outcome> {
        self.committed.iter().find(|outcome| outcome.group == group)
    }

    /// The last committed group.
    pub fn head(&self) -> Option<GroupRef> {
        self.committed.last().map(|outcome| outcome.group)
    }
}
