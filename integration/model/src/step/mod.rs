//! How an action changes the world. Whatever happens to the ledger, a rule of `sluice_txn::protocol` does; what is written here is
//! how the world around the gateway calls the rules and what it makes of their answers.

mod attach;
mod checkpoint;
mod commit;
mod forget;
mod late;
mod plain;
mod publish;
mod start;
mod writer;

use bytes::Bytes;
use prost::Message;
use sluice_txn::{
    ledger::Draft,
    protocol::{ErrorClass, ErrorReason, Failure, Outcome, Refusal, requests, requests::RequestId},
};

use crate::{
    action::Action,
    config::{Config, START_MS},
    ids::session,
    job::Life,
    oracle,
    world::World,
};

/// What a call gave: the answer and whether the ledger changed, or the refusal.
type Called<T> = Result<(T, bool), Refusal>;

impl World {
    /// The world after an action; `None` if nothing changed.
    ///
    /// The action must be one that [`crate::enabled`] names, bounds aside; one that has no effect here changes nothing.
    pub fn act(&self, action: &Action, config: &Config) -> Option<Self> {
        let mut next = self.clone();
        let late = match action {
            Action::Late(_) => true,
            _ => action.actor().is_some_and(|attempt| self.attempt(attempt).life == Life::Dead),
        };
        let changed = next.perform(action, config);
        if changed && late {
            next.spent.late = next.spent.late.saturating_add(1);
        }
        if changed {
            next.forget(config);
        }
        (changed || next.violation.is_some()).then_some(next)
    }

    fn perform(&mut self, action: &Action, config: &Config) -> bool {
        match action {
            Action::Start(start) => self.start(start, config),
            Action::Crash(attempt) => self.end(*attempt, Life::Dead),
            Action::OpenWriter(attempt, subtask) => self.open_writer(*attempt, *subtask),
            Action::Write(attempt, split) => self.write(*attempt, *split, config),
            Action::Finish(attempt, split) => self.finish(*attempt, *split),
            Action::Prepare(attempt, subtask) => self.prepare(*attempt, *subtask, config),
            Action::Barrier(attempt, subtask) => self.barrier(*attempt, *subtask, config),
            Action::Cancel(attempt) => self.cancel(*attempt),
            Action::Read(attempt) => self.read_sink(*attempt),
            Action::Attach(attempt, lost) => self.attach(*attempt, *lost, config),
            Action::Mint(attempt) => self.mint(*attempt, config),
            Action::Complete(attempt, checkpoint) => self.complete(*attempt, *checkpoint),
            Action::Savepoint(attempt, checkpoint) => self.savepoint(*attempt, *checkpoint),
            Action::Decline(attempt, checkpoint) => self.decline(*attempt, *checkpoint),
            Action::Notify(attempt) => self.notify(*attempt),
            Action::Commit(attempt, group, lost) => self.commit(*attempt, *group, *lost),
            Action::Look(attempt) => self.look(*attempt),
            Action::Expire(txn) => self.expire(*txn),
            Action::Late(late) => self.late(late, config),
            Action::Plain(action) => self.produce(*action),
            Action::Publication(action) => self.publication(*action),
        }
    }

    /// Runs a rule. If it answers, its changes count and the oracles look at them.
    fn call<T>(&mut self, rule: impl FnOnce(&mut Draft<'_>) -> Outcome<T>) -> Called<T> {
        match self.ledger.run(rule) {
            Ok(ran) => {
                let changed = !ran.changed.is_empty();
                if changed {
                    self.ledger = ran.ledger;
                    oracle::follow(self, &ran.changed);
                }
                Ok((ran.answer, changed))
            }
            Err(Failure::Refused(refusal)) => Err(refusal),
            Err(Failure::Ledger(error)) => {
                self.blame("the ledger reads", error.to_string());
                Err(Refusal::new(ErrorClass::Internal, ErrorReason::Bug, error.to_string()))
            }
        }
    }

    /// Runs the rule of a control call as the gateway does: a repeat gets the first answer (protocol.md §3.4).
    fn control<A: Message + Default>(
        &mut self,
        attempt: u8,
        seq: u64,
        body: &[u8],
        rule: impl FnOnce(&mut Draft<'_>) -> Outcome<A>,
    ) -> Called<A> {
        let id = RequestId { session: session(attempt), seq };
        let digest = requests::digest("control", body);
        self.call(|draft| {
            if let Some(answer) = requests::recall(draft, &id, &digest)? {
                let damaged = |error: prost::DecodeError| {
                    Refusal::new(ErrorClass::Corrupt, ErrorReason::Damaged, error.to_string())
                };
                return Ok(A::decode(answer).map_err(damaged)?);
            }
            let answer = rule(draft)?;
            requests::remember(draft, &id, digest, Bytes::from(answer.encode_to_vec()), START_MS);
            Ok(answer)
        })
    }

    /// A running attempt ends.
    fn end(&mut self, attempt: u8, life: Life) -> bool {
        let running = self.attempt(attempt).life == Life::Running;
        if running {
            self.attempt_mut(attempt).life = life;
        }
        running
    }
}

impl Action {
    /// The attempt that acts.
    pub fn actor(&self) -> Option<u8> {
        match self {
            Self::Crash(attempt)
            | Self::OpenWriter(attempt, _)
            | Self::Write(attempt, _)
            | Self::Finish(attempt, _)
            | Self::Prepare(attempt, _)
            | Self::Barrier(attempt, _)
            | Self::Cancel(attempt)
            | Self::Read(attempt)
            | Self::Attach(attempt, _)
            | Self::Mint(attempt)
            | Self::Complete(attempt, _)
            | Self::Savepoint(attempt, _)
            | Self::Decline(attempt, _)
            | Self::Notify(attempt)
            | Self::Commit(attempt, ..)
            | Self::Look(attempt) => Some(*attempt),
            Self::Start(_) | Self::Expire(_) | Self::Late(_) | Self::Plain(_) | Self::Publication(_) => None,
        }
    }
}
