//! The committer, and the aggregator's look at what it did.

use std::sync::Arc;

use sluice_txn::{
    ledger::Records as _,
    protocol::{ErrorClass, Refusal, commit, commit::Committed},
};

use crate::{
    config::START_MS,
    ids::{CLUSTER, GroupRef, TIMELINE, sink},
    job::Life,
    world::{Outcome, World},
};

const ONE_OUTCOME: &str = "I7, I9: a committed group answers so for ever, and the same";
const CHAIN: &str = "I12, I13, I14: only the next group of the last attach's chain commits";
const RIGHTFUL: &str = "I40: a rightful call is answered";

impl World {
    pub(super) fn commit(&mut self, attempt: u8, group: GroupRef, lost: bool) -> bool {
        let job = self.attempt(attempt);
        let Some(committable) = job.committables.iter().find(|committable| committable.group == group).copied() else {
            return false;
        };
        let attached = job.incarnation.is_some();
        match self.send_commit(group) {
            Ok(changed) if lost => {
                self.spent.lost = self.spent.lost.saturating_add(1);
                changed
            }
            Ok(_) => {
                let job = self.attempt_mut(attempt);
                job.committables.retain(|committable| committable.group != group);
                if job.life == Life::Running && job.is_over() {
                    job.life = Life::Done;
                }
                true
            }
            Err(refusal) => match refusal.class() {
                ErrorClass::Retriable => false,
                // A restored group may be ahead of its aggregator's attach.
                ErrorClass::Fenced if committable.restored && !attached => false,
                _ => self.end(attempt, Life::Dead),
            },
        }
    }

    /// CommitGroup as its committer sends it, every time; answers whether the ledger changed.
    pub(super) fn send_commit(&mut self, group: GroupRef) -> Result<bool, Refusal> {
        let Some(minted) = self.minted.get(&group) else { return Ok(false) };
        let message = minted.message(group, minted.prev);
        let next = self.chain.iter().copied().find(|group| self.outcome(*group).is_none());
        let known = self.outcome(group).map(|outcome| outcome.answer.clone());
        let called = self.call(|draft| commit::commit_group(draft, &sink(), &message, CLUSTER, TIMELINE, START_MS));
        match (called, known) {
            (Ok((answer, changed)), Some(known)) => {
                self.same_outcome(group, &known, &answer, changed);
                Ok(changed)
            }
            (Ok((answer, changed)), None) => {
                if next != Some(group) {
                    let text = format!("{group} became visible; next was {next:?}, the owner is {:?}", self.owner);
                    self.blame(CHAIN, text);
                }
                Arc::make_mut(&mut self.committed).push(Outcome { group, answer });
                Ok(changed)
            }
            (Err(refusal), known) => {
                if known.is_some() {
                    self.blame(ONE_OUTCOME, format!("{group} is committed, and: {}", refusal.message));
                } else if next == Some(group) {
                    self.blame(RIGHTFUL, format!("CommitGroup of {group}, the next one: {}", refusal.message));
                }
                Err(refusal)
            }
        }
    }

    fn same_outcome(&mut self, group: GroupRef, known: &Committed, answer: &Committed, changed: bool) {
        if known != answer {
            self.blame(ONE_OUTCOME, format!("{group} was answered {known:?}, then {answer:?}"));
        } else if changed {
            self.blame(ONE_OUTCOME, format!("a repeated commit of {group} changed the ledger"));
        }
    }

    /// The aggregator looks at the head and moves its base; a stranger's head ends it.
    pub(super) fn look(&mut self, attempt: u8) -> bool {
        let Ok(Some(record)) = self.ledger.sink(&sink()) else { return false };
        let head = GroupRef::of(&record.head_group);
        let job = self.attempt(attempt);
        if job.incarnation != Some(record.incarnation) {
            return self.end(attempt, Life::Dead);
        }
        if head == job.base {
            return false;
        }
        let Some(place) = job.emitted.iter().position(|link| Some(link.group) == head) else {
            self.blame(CHAIN, format!("attempt {attempt} owns the sink, and its head {head:?} is a stranger's"));
            return self.end(attempt, Life::Dead);
        };
        let job = self.attempt_mut(attempt);
        job.emitted.drain(..=place);
        job.base = head;
        true
    }
}
