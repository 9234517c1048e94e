//! The aggregator's attach (protocol.md §3.5, §3.7).

use std::sync::Arc;

use sluice_proto::gateway::v1::{AttachSinkResponse, Group as WireGroup};
use sluice_txn::{
    ledger::Records as _,
    protocol::{
        ErrorReason, Refusal,
        attach::{self, Mode, Restored},
    },
};

use super::Called;
use crate::{
    config::{BETWEEN_ATTACHES_MS, Config, START_MS},
    ids::{GroupRef, TIMELINE, run, sink},
    job::{Life, Link},
    oracle::restore::{self, Right},
    world::World,
};

const RESTORES: &str = "I14, I15: a state is taken exactly if nothing committed is unknown to it";
const PENDING: &str = "I15: what a restored state holds is committed or will be";
const IDS: &str = "I18: ids are never used twice";

impl World {
    /// The aggregator reads the sink's incarnation.
    pub(super) fn read_sink(&mut self, attempt: u8) -> bool {
        let incarnation = match self.ledger.sink(&sink()) {
            Ok(record) => record.map_or(0, |record| record.incarnation),
            Err(error) => {
                self.blame("the ledger reads", error.to_string());
                return false;
            }
        };
        if incarnation != self.attached {
            self.blame(IDS, format!("incarnation {incarnation} after {} attaches", self.attached));
        }
        self.attempt_mut(attempt).read = Some(incarnation);
        true
    }

    pub(super) fn attach(&mut self, attempt: u8, lost: bool, config: &Config) -> bool {
        let job = self.attempt(attempt);
        if job.incarnation.is_none() && job.read.is_none() && !job.attach_sent {
            self.read_sink(attempt);
        }
        let job = self.attempt(attempt);
        if job.incarnation.is_some() || job.read.is_none() {
            return false;
        }
        let repeated = job.attach_sent;
        let right = restore::right(self, attempt, config);
        let called = self.send_attach(attempt, config);
        match called {
            Ok((answer, _)) if repeated => self.take_over(attempt, &answer),
            Ok((answer, _)) => {
                match &right {
                    Right::Accepted { forked } => self.attached_by(attempt, &answer, *forked),
                    refused => self.blame(RESTORES, format!("attempt {attempt} attached, and {}", refused.why())),
                }
                self.attempt_mut(attempt).attach_sent = true;
                if lost {
                    self.spent.lost = self.spent.lost.saturating_add(1);
                } else {
                    self.take_over(attempt, &answer);
                }
            }
            Err(refusal) => self.attach_refused(attempt, &refusal, &right),
        }
        true
    }

    /// AttachSink as an attempt sends it, every time.
    pub(super) fn send_attach(&mut self, attempt: u8, config: &Config) -> Called<AttachSinkResponse> {
        let job = &self.attempts[usize::from(attempt)];
        let snapshot = job.restored.and_then(|key| self.snapshots.get(&key));
        let restored = snapshot.map(|snapshot| Restored {
            base: snapshot.base.map(GroupRef::id),
            emitted: snapshot
                .emitted
                .iter()
                .filter_map(|link| Some(self.minted.get(&link.group)?.message(link.group, link.prev)))
                .collect(),
            timeline: Some(TIMELINE),
        });
        let read = job.read.unwrap_or_default();
        let command = attach::Command {
            run: run(job.run),
            parallelism: job.parallelism.into(),
            incarnation_read: read,
            restored,
            mode: if config.batch { Mode::Batch } else { Mode::Streaming },
            accept_duplicates: job.accept_duplicates,
            refuse_fresh_start: false,
        };
        let now = START_MS + BETWEEN_ATTACHES_MS * self.attached;
        self.control(attempt, 0, &read.to_be_bytes(), |draft| {
            let attached = attach::attach(draft, &sink(), &command, now)?;
            let head = attached.head.map(|head| head.to_bytes()).unwrap_or_default();
            let pending = attached.pending.into_iter().map(|group| WireGroup {
                group_id: group.group_id,
                checkpoint: group.checkpoint,
                prev_group: group.prev_group,
                members: group.members,
                incarnation: group.incarnation,
            });
            Ok(AttachSinkResponse {
                incarnation: attached.incarnation,
                head_group: head.clone(),
                base: head,
                pending: pending.collect(),
                ..AttachSinkResponse::default()
            })
        })
    }

    /// The gateway took the attach: from here on this attempt owns the sink, whether it hears of it or not.
    fn attached_by(&mut self, attempt: u8, answer: &AttachSinkResponse, forked: bool) {
        self.attached += 1;
        if answer.incarnation != self.attached {
            self.blame(IDS, format!("attach {} was given incarnation {}", self.attached, answer.incarnation));
        }
        let job = self.attempt(attempt);
        let parallelism = job.parallelism;
        let snapshot = job.restored.and_then(|key| self.snapshots.get(&key).cloned());
        let held = snapshot.iter().flat_map(|snapshot| snapshot.emitted.iter().map(|link| link.group));
        let chain: Vec<GroupRef> = held.filter(|group| self.outcome(*group).is_none()).collect();
        let pending: Vec<Option<GroupRef>> = answer.pending.iter().map(|group| GroupRef::of(&group.group_id)).collect();
        if pending != chain.iter().copied().map(Some).collect::<Vec<_>>() {
            self.blame(PENDING, format!("attempt {attempt} holds {chain:?}, the gateway answers {pending:?}"));
        }
        if GroupRef::of(&answer.head_group) != self.head() {
            self.blame(PENDING, format!("the gateway names {:?} as head, not {:?}", answer.head_group, self.head()));
        }
        if forked {
            self.agreed = self.committed.len();
            let held = snapshot.iter().flat_map(|snapshot| snapshot.emitted.iter().map(|link| link.group));
            let of_groups = held.filter_map(|group| self.minted.get(&group)).map(|minted| minted.line);
            let lines: Vec<u8> = of_groups.chain(snapshot.iter().map(|snapshot| snapshot.line)).collect();
            for line in lines {
                Arc::make_mut(&mut self.lines)[usize::from(line)].forked = true;
            }
        }
        self.owner = Some(attempt);
        self.chain = Arc::new(chain);
        for slot in self.slots.iter_mut().skip(parallelism.into()) {
            *slot = slot.map(|_| attempt);
        }
    }

    /// The aggregator hears the answer.
    fn take_over(&mut self, attempt: u8, answer: &AttachSinkResponse) {
        let link = |group: &WireGroup| {
            Some(Link { group: GroupRef::of(&group.group_id)?, prev: GroupRef::of(&group.prev_group) })
        };
        let emitted = answer.pending.iter().filter_map(link).collect();
        let job = self.attempt_mut(attempt);
        job.incarnation = Some(answer.incarnation);
        job.base = GroupRef::of(&answer.base);
        job.emitted = emitted;
    }

    fn attach_refused(&mut self, attempt: u8, refusal: &Refusal, right: &Right) {
        if !right.allows(refusal) {
            let text = format!("attempt {attempt} was refused ({}), and {}", refusal.message, right.why());
            self.blame(RESTORES, text);
        }
        match refusal.reason() {
            ErrorReason::AttachRace => self.attempt_mut(attempt).read = None,
            ErrorReason::CommittedByThisRun => {
                self.end(attempt, Life::Done);
            }
            _ => {
                // The task fails with the refusal: this attempt never attaches.
                let job = self.attempt_mut(attempt);
                job.read = None;
                job.attach_sent = true;
                self.end(attempt, Life::Dead);
            }
        }
    }
}
