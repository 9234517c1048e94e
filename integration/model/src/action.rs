//! What can happen next, in words.

use std::fmt;

use crate::{
    ids::{GroupRef, Place, Txn},
    job::Start,
};

/// A call that was made before and arrives again, or that nobody should make.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Late {
    /// OpenWriter of a subtask.
    OpenWriter(u8, u8),
    /// AttachSink.
    Attach(u8),
    /// Begin.
    Begin(Txn),
    /// Append of a block.
    Append(Txn, u64),
    /// Append of a block that follows the last one sent.
    Stray(Txn),
    /// Append of a block that leaves a gap.
    Gap(Txn),
    /// Append of a block under a number that was used for other bytes.
    Altered(Txn),
    /// Prepare.
    Prepare(Txn),
    /// Prepare that claims one event too few.
    Understated(Txn),
    /// Prepare that claims other bytes.
    Misread(Txn),
    /// Abort by the writer.
    Abort(Txn),
    /// CommitGroup.
    Commit(GroupRef),
}

/// What the producer of plain appends does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlainAction {
    /// A new process takes the name over.
    Init,
    /// It appends what follows its last acknowledged event.
    Append {
        /// Events.
        rows: u8,
        /// The answer does not arrive.
        lost: bool,
    },
    /// It sends its first event again.
    Repeat,
    /// It leaves a gap.
    Gap,
    /// The process before it appends the next event.
    Stale,
}

/// What publishers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PublicationAction {
    /// One records that it is going to write all that is committed; `short`: all but the last event.
    Intend {
        /// Where.
        place: Place,
        /// Whether the last event is left out.
        short: bool,
    },
    /// One has written its file and publishes it.
    Publish(u8),
    /// The upkeep gives a publication up; its publisher may be stalled and not know.
    GiveUp(u8),
}

/// A step of the world. Numbers are attempts, then subtasks or checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Action {
    /// An attempt starts.
    Start(Start),
    /// Flink gives an attempt up.
    Crash(u8),
    /// A writer opens its slot.
    OpenWriter(u8, u8),
    /// A writer writes the next record of a split.
    Write(u8, u8),
    /// A split ends.
    Finish(u8, u8),
    /// A writer prepares.
    Prepare(u8, u8),
    /// A writer hands its receipt over and passes the next barrier.
    Barrier(u8, u8),
    /// The next checkpoint is cancelled before all barriers passed.
    Cancel(u8),
    /// The aggregator reads the sink.
    Read(u8),
    /// The aggregator attaches; the answer may be lost.
    Attach(u8, bool),
    /// The aggregator passes the barrier: mints a group of its receipts, and the state is taken.
    Mint(u8),
    /// A checkpoint is complete.
    Complete(u8, u8),
    /// It was a savepoint, and is complete.
    Savepoint(u8, u8),
    /// A checkpoint is declined.
    Decline(u8, u8),
    /// The committer is told.
    Notify(u8),
    /// The committer sends a group; the answer may be lost.
    Commit(u8, GroupRef, bool),
    /// The aggregator looks at the head.
    Look(u8),
    /// An idle open transaction ends.
    Expire(Txn),
    /// A call arrives late.
    Late(Late),
    /// The plain producer acts.
    Plain(PlainAction),
    /// A publisher acts.
    Publication(PublicationAction),
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenWriter(attempt, subtask) => write!(f, "OpenWriter of subtask {subtask} of attempt {attempt}"),
            Self::Attach(attempt) => write!(f, "AttachSink of attempt {attempt}"),
            Self::Begin(txn) => write!(f, "Begin of {txn}"),
            Self::Append(txn, seq) => write!(f, "Append of block {seq} of {txn}"),
            Self::Stray(txn) => write!(f, "Append of one more block of {txn}"),
            Self::Gap(txn) => write!(f, "Append of {txn} that leaves a gap"),
            Self::Altered(txn) => write!(f, "Append of block 0 of {txn} with other bytes"),
            Self::Prepare(txn) => write!(f, "Prepare of {txn}"),
            Self::Understated(txn) => write!(f, "Prepare of {txn} that claims one event too few"),
            Self::Misread(txn) => write!(f, "Prepare of {txn} that claims other bytes"),
            Self::Abort(txn) => write!(f, "Abort of {txn}"),
            Self::Commit(group) => write!(f, "CommitGroup of {group}"),
        }
    }
}

impl fmt::Display for PlainAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Init => write!(f, "plain producer: a new process takes over"),
            Self::Append { rows, lost } => {
                write!(f, "plain producer: appends {rows} event(s){}", if *lost { ", the answer is lost" } else { "" })
            }
            Self::Repeat => write!(f, "plain producer: sends its first event again"),
            Self::Gap => write!(f, "plain producer: leaves a gap"),
            Self::Stale => write!(f, "plain producer: the process before appends"),
        }
    }
}

impl fmt::Display for PublicationAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Intend { place, short } => {
                write!(
                    f,
                    "a publisher intends to write {place}{}",
                    if *short { ", all but its last event" } else { "" }
                )
            }
            Self::Publish(number) => write!(f, "publisher {number} publishes"),
            Self::GiveUp(number) => write!(f, "publication {number} is given up"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = |lost: bool| if lost { ", the answer is lost" } else { "" };
        match self {
            Self::Start(start) => write!(f, "an attempt starts {start}"),
            Self::Crash(attempt) => write!(f, "attempt {attempt} is given up"),
            Self::OpenWriter(attempt, subtask) => write!(f, "attempt {attempt}: subtask {subtask} opens its slot"),
            Self::Write(attempt, split) => write!(f, "attempt {attempt}: the next record of split {split} is written"),
            Self::Finish(attempt, split) => write!(f, "attempt {attempt}: split {split} ends"),
            Self::Prepare(attempt, subtask) => write!(f, "attempt {attempt}: subtask {subtask} prepares"),
            Self::Barrier(attempt, subtask) => write!(f, "attempt {attempt}: subtask {subtask} passes the barrier"),
            Self::Cancel(attempt) => write!(f, "attempt {attempt}: the checkpoint is cancelled on its way"),
            Self::Read(attempt) => write!(f, "attempt {attempt}: the aggregator reads the sink"),
            Self::Attach(attempt, gone) => write!(f, "attempt {attempt}: the aggregator attaches{}", lost(*gone)),
            Self::Mint(attempt) => write!(f, "attempt {attempt}: the aggregator passes the barrier and emits"),
            Self::Complete(attempt, checkpoint) => write!(f, "attempt {attempt}: checkpoint {checkpoint} is complete"),
            Self::Savepoint(attempt, checkpoint) => {
                write!(f, "attempt {attempt}: checkpoint {checkpoint} is complete, a savepoint")
            }
            Self::Decline(attempt, checkpoint) => write!(f, "attempt {attempt}: checkpoint {checkpoint} is declined"),
            Self::Notify(attempt) => write!(f, "attempt {attempt}: the committer is told"),
            Self::Commit(attempt, group, gone) => {
                write!(f, "attempt {attempt}: the committer sends {group}{}", lost(*gone))
            }
            Self::Look(attempt) => write!(f, "attempt {attempt}: the aggregator looks at the head"),
            Self::Expire(txn) => write!(f, "{txn} has been idle for too long"),
            Self::Late(late) => write!(f, "late or again: {late}"),
            Self::Plain(plain) => plain.fmt(f),
            Self::Publication(publication) => publication.fmt(f),
        }
    }
}
