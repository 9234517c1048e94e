//! A Flink job around the sink: what its tasks, its aggregator, its committer and its checkpoints hold.

use std::{fmt, sync::Arc};

use crate::{
    config::Config,
    ids::{GroupRef, Txn},
};

/// Names a snapshot: the attempt that took it, and the checkpoint.
pub type SnapshotKey = (u8, u8);

/// How a snapshot came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Flink restores the newest one by itself and tells the committer that it is complete.
    Checkpoint,
    /// Restored by hand only, and never told.
    Savepoint,
}

/// A link of the chain in an aggregator's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Link {
    /// The group.
    pub group: GroupRef,
    /// The group before it, as the gateway expects it.
    pub prev: Option<GroupRef>,
}

/// A group in the committer's hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Committable {
    /// The group.
    pub group: GroupRef,
    /// It came out of a snapshot: the committer sends it at once.
    pub restored: bool,
}

/// What a checkpoint or savepoint holds of the job.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Snapshot {
    /// How it came to be.
    pub kind: Kind,
    /// The history of the source it belongs to.
    pub line: u8,
    /// The submission.
    pub run: u8,
    /// The checkpoint's number.
    pub checkpoint: u8,
    /// The aggregator: the last head that the gateway confirmed.
    pub base: Option<GroupRef>,
    /// The aggregator: groups emitted after it.
    pub emitted: Vec<Link>,
    /// The committer: groups it has no answer for.
    pub committables: Vec<GroupRef>,
    /// The source: the next record of each split.
    pub positions: Vec<u8>,
    /// The source: splits that ended.
    pub finished: Vec<bool>,
}

/// Whether an attempt is the one that its job manager believes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Life {
    /// It runs.
    Running,
    /// Flink gave it up; its tasks may still act, and its messages may still arrive.
    Dead,
    /// It ended well.
    Done,
}

/// A transaction that a writer began.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sent {
    /// Which.
    pub txn: Txn,
    /// First record of each of its rounds: a round is one record, to every stream.
    pub records: Vec<(u8, u8)>,
    /// The gateway answered its Prepare.
    pub prepared: bool,
    /// It ended by time or by its writer.
    pub ended: bool,
}

/// A writer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Subtask {
    /// Its epoch, once it opened its slot.
    pub epoch: Option<u64>,
    /// What it began, oldest first.
    pub sent: Vec<Sent>,
    /// Whether the last of these is the one it works on.
    pub open: bool,
    /// The last checkpoint whose barrier it passed.
    pub passed: u8,
}

impl Subtask {
    /// The transaction it works on.
    pub fn current(&self) -> Option<&Sent> {
        self.sent.last().filter(|_| self.open)
    }
}

/// One execution of a job, from a start to its end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// The submission.
    pub run: u8,
    /// The history of the source it reads.
    pub line: u8,
    /// Writers.
    pub parallelism: u8,
    /// The snapshot it came from.
    pub restored: Option<SnapshotKey>,
    /// Go on behind a fork.
    pub accept_duplicates: bool,
    /// Whether it lives.
    pub life: Life,
    /// The aggregator: the incarnation it read before its attach.
    pub read: Option<u64>,
    /// The aggregator: an attach was answered, and the answer did not arrive.
    pub attach_sent: bool,
    /// The aggregator: its incarnation, once attached.
    pub incarnation: Option<u64>,
    /// The aggregator: the last head that the gateway confirmed.
    pub base: Option<GroupRef>,
    /// The aggregator: groups emitted after it.
    pub emitted: Vec<Link>,
    /// The aggregator: prepared transactions in no group yet, with the barrier behind which they came.
    pub receipts: Vec<(Txn, u8)>,
    /// The writers.
    pub subtasks: Vec<Subtask>,
    /// The source: the next record of each split.
    pub positions: Vec<u8>,
    /// The source: splits that ended.
    pub finished: Vec<bool>,
    /// Positions at barriers whose snapshot is not taken yet.
    pub cuts: Vec<(u8, Vec<u8>)>,
    /// The last checkpoint that the aggregator passed, or that was cancelled before it.
    pub minted: u8,
    /// Snapshots that are neither complete nor declined.
    pub pending: Vec<Arc<Snapshot>>,
    /// The last complete checkpoint.
    pub completed: u8,
    /// The last checkpoint that the committer was told of.
    pub notified: u8,
    /// The committer's groups, in order.
    pub committables: Vec<Committable>,
}

impl Attempt {
    /// The subtask that reads a split.
    pub fn reader_of(&self, split: u8) -> u8 {
        split % self.parallelism
    }
    /// The splits of a subtask.
    pub fn splits_of(&self, subtask: u8) -> impl Iterator<Item = u8> + use<> {
        let (parallelism, splits) = (self.parallelism, self.positions.len() as u8);
        (subtask..splits).step_by(parallelism.into())
    }
    /// Whether all splits of a subtask ended and it holds nothing.
    pub fn is_finished(&self, subtask: u8) -> bool {
        !self.subtasks[usize::from(subtask)].open
            && self.splits_of(subtask).all(|split| self.finished[usize::from(split)])
    }
    /// Whether the source ended and all that was written is committed.
    pub fn is_over(&self) -> bool {
        let empty = self.committables.is_empty() && self.receipts.is_empty() && self.pending.is_empty();
        empty && (0..self.parallelism).all(|subtask| self.is_finished(subtask))
    }
    /// Whether the barrier of a checkpoint has arrived at the aggregator from everywhere.
    pub fn aligned(&self, checkpoint: u8) -> bool {
        (0u8..).zip(&self.subtasks).all(|(number, subtask)| subtask.passed >= checkpoint || self.is_finished(number))
    }
    /// Checkpoints under way: begun and neither complete nor declined.
    pub fn under_way(&self, next: u8) -> u8 {
        self.pending.len() as u8 + next.saturating_sub(self.minted)
    }
    /// Whether barriers may go: all tasks run, the aggregator among them. In batch jobs the end of the input is the barrier.
    pub fn may_prepare(&self, config: &Config) -> bool {
        self.incarnation.is_some() || config.batch || config.eager
    }
    /// Whether the committer may send a group: its checkpoint is complete, or a snapshot held it.
    pub fn may_commit(&self, committable: &Committable) -> bool {
        committable.restored || committable.group.checkpoint <= self.notified
    }
}

/// How an attempt starts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Start {
    /// The snapshot; none: without state.
    pub restored: Option<SnapshotKey>,
    /// The restore's option to go on behind a fork.
    pub accept_duplicates: bool,
    /// The submission.
    pub run: u8,
    /// Writers.
    pub parallelism: u8,
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.restored {
            Some((attempt, checkpoint)) => write!(f, "restored from checkpoint {checkpoint} of attempt {attempt}")?,
            None => write!(f, "without state")?,
        }
        write!(f, ", run {}, {} subtask(s)", self.run, self.parallelism)?;
        if self.accept_duplicates { write!(f, ", accepting duplicates") } else { Ok(()) }
    }
}
