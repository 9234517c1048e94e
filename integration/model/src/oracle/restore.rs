//! Which attach must be taken, and which refused (protocol.md §3.7), from what is committed and what a state knows.

use sluice_proto::storage::v1::TransactionState;
use sluice_txn::{
    ledger::Records as _,
    protocol::{ErrorReason, Refusal},
};

use crate::{
    config::Config,
    ids::GroupRef,
    job::Snapshot,
    world::{Violation, World},
};

/// What is right for an attach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// It must be taken.
    Accepted {
        /// Duplicates are agreed to: groups are committed that the state does not know.
        forked: bool,
    },
    /// Another attach came in between.
    Race,
    /// Groups are committed that the state does not know.
    Forked,
    /// So are they, and a transaction of the state was superseded.
    Lost,
    /// A batch job whose run has committed.
    Nothing,
}

impl Right {
    /// The sentence after "and".
    pub fn why(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "nothing committed is unknown to its state",
            Self::Race => "another attempt attached since it read the sink",
            Self::Forked => "groups are committed that its state does not know",
            Self::Lost => "a transaction of its state was superseded",
            Self::Nothing => "its run has committed already",
        }
    }
    /// Whether a refusal is right.
    pub fn allows(&self, refusal: &Refusal) -> bool {
        matches!(
            (self, refusal.reason()),
            (Self::Race, ErrorReason::AttachRace)
                | (Self::Forked, ErrorReason::ForkedHistory)
                | (Self::Lost, ErrorReason::LostTransaction)
                | (Self::Nothing, ErrorReason::CommittedByThisRun)
        )
    }
}

/// What is right for an attempt that attaches now.
pub fn right(world: &World, attempt: u8, config: &Config) -> Right {
    let job = world.attempt(attempt);
    if job.read != Some(world.attached) {
        return Right::Race;
    }
    let Some(snapshot) = job.restored.and_then(|key| world.snapshots.get(&key)) else {
        let of_run = |group| world.minted.get(&group).is_some_and(|minted| minted.run == job.run);
        let committed = world.committed.iter().any(|outcome| of_run(outcome.group));
        return match (committed, config.batch, job.accept_duplicates) {
            (true, true, _) => Right::Nothing,
            (true, false, false) => Right::Forked,
            _ => Right::Accepted { forked: false },
        };
    };
    let forked = unknown(world, snapshot).is_some();
    if lost_member(world, snapshot).is_some() {
        return Right::Lost;
    }
    if forked && !job.accept_duplicates { Right::Forked } else { Right::Accepted { forked } }
}

/// A committed group that a state does not know. What was committed before a restore that went on behind a fork does not count
/// any more once a group that this state holds was committed behind it.
pub fn unknown(world: &World, snapshot: &Snapshot) -> Option<GroupRef> {
    let holds = |group: GroupRef| snapshot.emitted.iter().any(|link| link.group == group);
    let base = snapshot.base.and_then(|base| world.committed.iter().position(|outcome| outcome.group == base));
    let after_base = base.map_or(0, |at| at + 1);
    let went_on = world.committed.len() > world.agreed && world.head().is_some_and(holds);
    let from = if went_on { after_base.max(world.agreed) } else { after_base };
    world.committed.iter().skip(from).map(|outcome| outcome.group).find(|group| !holds(*group))
}

/// A group of a state that has an aborted member.
fn lost_member(world: &World, snapshot: &Snapshot) -> Option<GroupRef> {
    let aborted = |group: &GroupRef| {
        world.minted.get(group).is_some_and(|minted| {
            minted.members.iter().any(|member| {
                let state = world.ledger.transaction(member.id()).ok().flatten().map(|transaction| transaction.state());
                state.is_none_or(|state| state == TransactionState::Aborted)
            })
        })
    };
    snapshot.emitted.iter().map(|link| link.group).find(aborted)
}

/// A snapshot that knows all that is committed has lost nothing: nobody superseded what may still be restored (I3, I16).
pub fn still_restorable(world: &World) -> Option<Violation> {
    world.snapshots.iter().find_map(|((attempt, checkpoint), snapshot)| {
        let group = lost_member(world, snapshot)?;
        unknown(world, snapshot).is_none().then(|| Violation {
            promise: "I2, I3: what a restorable checkpoint holds is kept",
            found: format!(
                "checkpoint {checkpoint} of attempt {attempt} knows all that is committed, and {group} was aborted"
            ),
        })
    })
}
