//! Calls that arrive again, and calls that no sound writer makes: none of them may change anything (I8, I9, I10).

use sluice_proto::storage::v1::AbortReason;
use sluice_txn::protocol::transactions::{self, Claim};

use super::Called;
use crate::{
    action::Late,
    config::{Config, START_MS},
    event::Record,
    ids::Txn,
    world::World,
};

const REPEATS: &str = "I8, I9, I10: a call that arrives again, or that nobody should make, changes nothing";

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
            Late::Prepare(txn) | Late::Understated(txn) => {
                let Some(sent) = self.sent(*txn).cloned() else { return false };
                let mut claim = self.claim_of(&sent, config);
                if matches!(late, Late::Understated(_)) {
                    claim = Claim { events: claim.events - 1, digest: bytes::Bytes::from_static(&[7; 32]), ..claim };
                }
                let called = self.send_prepare(*txn, &claim);
                self.unchanged(late, &called)
            }
        }
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
        let changed = called.is_ok_and(|(_, changed)| changed);
        if changed {
            if self.sent(txn).is_some_and(|sent| sent.prepared) {
                self.blame(REPEATS, format!("{} ended a prepared transaction", Late::Abort(txn)));
            }
            self.sent_mut(txn).ended = true;
        }
        changed
    }

    fn unchanged<T>(&mut self, late: &Late, called: &Called<T>) -> bool {
        let changed = called.as_ref().is_ok_and(|(_, changed)| *changed);
        if changed {
            self.blame(REPEATS, late.to_string());
        }
        changed
    }
}
