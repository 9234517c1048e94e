//! Calls that arrive again, and calls that no sound writer makes: none of them may change anything (I8, I9, I10).

use sluice_proto::storage::v1::{AbortReason, TransactionState};
use sluice_txn::{
    ledger::Records as _,
    protocol::transactions::{self, Claim},
};

use super::Called;
use crate::{
    action::Late,
    config::{Config, START_MS},
    event::Record,
    ids::Txn,
    world::World,
};

const REPEATS: &str = "I8, I9, I10: a call that arrives again, or that nobody should make, changes nothing";
const SAME_ANSWER: &str = "I9: a call that arrives again is answered as the first time";

impl World {
    pub(super) fn late(&mut self, late: &Late, config: &Config) -> bool {
        match late {
            Late::OpenWriter(attempt, subtask) => {
                let called = self.send_open_writer(*attempt, *subtask);
                self.unchanged(late, &called)
            }
            Late::Attach(attempt) => {
                let called = self.send_attach(*attempt, config);
                self.unchanged(late, &called)
            }
            Late::Commit(group) => {
                // Its answer is held against the first one there.
                drop(self.send_commit(*group));
                false
            }
            Late::Abort(txn) => self.late_abort(*txn),
            Late::Begin(txn) => {
                let job = self.attempt(txn.attempt);
                let epoch = job.subtasks[usize::from(txn.subtask)].epoch.unwrap_or_default();
                let called = self.send_begin(*txn, epoch);
                self.unchanged(late, &called)
            }
            Late::Append(txn, _) | Late::Stray(txn) | Late::Gap(txn) | Late::Altered(txn) => {
                self.late_append(late, *txn, config)
            }
            Late::Prepare(txn) | Late::Understated(txn) | Late::Misread(txn) => self.late_prepare(late, *txn, config),
        }
    }

    fn late_prepare(&mut self, late: &Late, txn: Txn, config: &Config) -> bool {
        let Some(sent) = self.sent(txn).cloned() else { return false };
        let claim = self.claim_of(&sent, config);
        let claim = match late {
            Late::Understated(_) => Claim { events: claim.events - 1, ..claim },
            Late::Misread(_) => Claim { digest: bytes::Bytes::from_static(&[7; 32]), ..claim },
            _ => claim,
        };
        let called = self.send_prepare(txn, &claim);
        self.unchanged(late, &called)
    }

    fn late_append(&mut self, late: &Late, txn: Txn, config: &Config) -> bool {
        let Some(sent) = self.sent(txn).cloned() else { return false };
        let blocks = self.blocks_of(&sent, config);
        let Some(last) = blocks.last().cloned() else { return false };
        let (seq, (place, block)) = match late {
            Late::Append(_, seq) => match blocks.get(*seq as usize) {
                Some(block) => (*seq, block.clone()),
                None => return false,
            },
            Late::Gap(_) => (blocks.len() as u64 + 1, last),
            Late::Altered(_) => {
                let line = self.attempt(txn.attempt).line;
                let other = Record { line, split: 7, number: u8::MAX, attempt: txn.attempt };
                (0, (last.0, other.block()))
            }
            _ => (blocks.len() as u64, last),
        };
        let called = self.send_append(txn, seq, place, block);
        self.unchanged(late, &called)
    }

    /// A writer that closes gives its open transaction up; a prepared one is not its to end.
    fn late_abort(&mut self, txn: Txn) -> bool {
        let called = self.call(|draft| transactions::abort(draft, txn.id(), AbortReason::Client, START_MS));
        let accepted = called.is_ok();
        let changed = called.is_ok_and(|(_, changed)| changed);
        let state = self.state_of(txn);
        if accepted && self.sent(txn).is_some_and(|sent| sent.prepared) && state != Some(TransactionState::Aborted) {
            self.blame(REPEATS, format!("{} was answered, and the transaction is {state:?}", Late::Abort(txn)));
        }
        if changed {
            if self.sent(txn).is_some_and(|sent| sent.prepared) {
                self.blame(REPEATS, format!("{} ended a prepared transaction", Late::Abort(txn)));
            }
            self.sent_mut(txn).ended = true;
        }
        changed
    }

    fn state_of(&self, txn: Txn) -> Option<TransactionState> {
        self.ledger.transaction(txn.id()).ok().flatten().map(|transaction| transaction.state())
    }

    fn unchanged<T>(&mut self, late: &Late, called: &Called<T>) -> bool {
        use TransactionState::{Committed, Open, Prepared};
        let changed = called.as_ref().is_ok_and(|(_, changed)| *changed);
        let (wrong, answered) = match late {
            Late::Stray(_) | Late::Gap(_) | Late::Altered(_) | Late::Understated(_) | Late::Misread(_) => (true, false),
            // As the first time, while the transaction is where it was.
            Late::Append(txn, _) => (false, matches!(self.state_of(*txn), Some(Open | Prepared))),
            Late::Prepare(txn) => (false, matches!(self.state_of(*txn), Some(Prepared | Committed))),
            Late::Begin(txn) => (false, matches!(self.state_of(*txn), Some(Open | Prepared | Committed))),
            Late::OpenWriter(..) | Late::Attach(_) => (false, true),
            Late::Abort(_) | Late::Commit(_) => (false, false),
        };
        if changed || (wrong && called.is_ok()) {
            self.blame(REPEATS, format!("{late} was accepted"));
        }
        if let Err(refusal) = called
            && answered
        {
            self.blame(SAME_ANSWER, format!("{late}: {}", refusal.message));
        }
        changed
    }
}
