//! From every state, everything can still be committed or is rightly refused (I40).
//!
//! [`drain`] stops the faults: whoever runs ends, a job starts from the newest snapshot that the gateway takes, commits what that
//! holds, writes one more record of each split, and commits that as well. On the way every call is held against the expectations
//! beside it: a refusal that is not right is a violation. At the end all that the job wrote is visible, and nothing that was open or
//! prepared before is left in its slots (I39).

use std::sync::Arc;

use sluice_txn::{key::KeySpan, ledger::Records as _};

use super::judge;
use crate::{
    action::{Action, PlainAction, PublicationAction},
    config::Config,
    ids::sink,
    job::{Life, SnapshotKey, Start},
    world::{Violation, World},
};

const PROMISE: &str = "I40: from every state all can be committed";

/// The end of a state without faults, or what stands in its way.
pub fn drain(world: &World, config: &Config) -> Result<World, Violation> {
    let mut drain = Drain { world: world.clone(), config };
    for attempt in &mut drain.world.attempts {
        if attempt.life == Life::Running {
            Arc::make_mut(attempt).life = Life::Dead;
        }
    }
    if let Some(attempt) = drain.take_over()? {
        drain.commit_all(attempt)?;
        if drain.write_and_commit(attempt)? {
            drain.nothing_is_left()?;
        }
    }
    drain.others()?;
    match judge(&drain.world) {
        Some(violation) => Err(violation),
        None => Ok(drain.world),
    }
}

struct Drain<'a> {
    world: World,
    config: &'a Config,
}

fn stuck<T>(found: impl Into<String>) -> Result<T, Violation> {
    Err(Violation { promise: PROMISE, found: found.into() })
}

impl Drain<'_> {
    fn act(&mut self, action: &Action) -> Result<bool, Violation> {
        let Some(next) = self.world.act(action, self.config) else { return Ok(false) };
        self.world = next;
        match &self.world.violation {
            Some(violation) => {
                let found = format!("without faults from here on, {action}: {}", violation.found);
                Err(Violation { promise: violation.promise, found })
            }
            None => Ok(true),
        }
    }

    /// Starts attempts, newest snapshot first, until one is attached; `None` if a batch job has nothing left to do.
    fn take_over(&mut self) -> Result<Option<u8>, Violation> {
        let snapshots: Vec<(SnapshotKey, u8)> =
            self.world.snapshots.iter().rev().map(|(key, snapshot)| (*key, snapshot.run)).collect();
        for (key, run) in snapshots {
            if let Some(attempt) = self.attach(Some(key), run)? {
                return Ok(Some(attempt));
            }
        }
        let last = self.world.attempts.last().map_or(0, |job| job.run);
        if self.config.batch {
            return self.attach(None, last);
        }
        if !self.world.committed.is_empty() {
            return stuck("groups are committed, and no snapshot is taken");
        }
        match self.attach(None, last)? {
            Some(attempt) => Ok(Some(attempt)),
            None => stuck("nothing is committed, and a start without state is refused"),
        }
    }

    fn attach(&mut self, restored: Option<SnapshotKey>, run: u8) -> Result<Option<u8>, Violation> {
        let parallelism = self.parallelism();
        self.act(&Action::Start(Start { restored, accept_duplicates: false, run, parallelism }))?;
        let attempt = (self.world.attempts.len() - 1) as u8;
        if self.config.batch {
            self.write(attempt)?;
        }
        self.act(&Action::Read(attempt))?;
        self.act(&Action::Attach(attempt, false))?;
        Ok(self.world.attempt(attempt).incarnation.map(|_| attempt))
    }

    /// The least there is: slots that are left without a writer must end as well.
    fn parallelism(&self) -> u8 {
        self.config.parallelisms.iter().copied().min().unwrap_or(1)
    }

    /// The committer sends what it may, in order.
    fn commit_all(&mut self, attempt: u8) -> Result<(), Violation> {
        loop {
            let job = self.world.attempt(attempt);
            let Some(first) = job.committables.first().copied().filter(|first| job.may_commit(first)) else { break };
            if !self.act(&Action::Commit(attempt, first.group, false))? {
                return stuck(format!("{} cannot be committed", first.group));
            }
        }
        let left = self.world.chain.iter().find(|group| self.world.outcome(**group).is_none());
        match left {
            Some(group) => stuck(format!("{group} is in the chain, and nobody commits it")),
            None => Ok(()),
        }
    }

    /// One more record of each split that goes on; answers whether every slot took part.
    fn write_and_commit(&mut self, attempt: u8) -> Result<bool, Violation> {
        if self.world.attempt(attempt).life == Life::Done {
            return Ok(false);
        }
        if !self.config.batch {
            self.write(attempt)?;
        }
        let all = self.world.attempt(attempt).receipts.len() == usize::from(self.parallelism());
        if !self.act(&Action::Mint(attempt))? {
            return stuck("the aggregator cannot take its state");
        }
        let checkpoint = self.world.attempt(attempt).minted;
        self.act(&Action::Complete(attempt, checkpoint))?;
        self.act(&Action::Notify(attempt))?;
        self.commit_all(attempt)?;
        if self.world.attempt(attempt).life == Life::Dead {
            return stuck("a job without faults failed");
        }
        Ok(all)
    }

    fn write(&mut self, attempt: u8) -> Result<(), Violation> {
        for subtask in 0..self.parallelism() {
            self.act(&Action::OpenWriter(attempt, subtask))?;
        }
        for split in 0..self.config.splits {
            self.act(&Action::Write(attempt, split))?;
        }
        for subtask in 0..self.parallelism() {
            self.act(&Action::Prepare(attempt, subtask))?;
            self.act(&Action::Barrier(attempt, subtask))?;
        }
        Ok(())
    }

    /// Every slot has a newer committed transaction or was closed: older ones have ended.
    fn nothing_is_left(&self) -> Result<(), Violation> {
        match self.world.ledger.active(&KeySpan::active_of_sink(&sink())) {
            Ok(left) => match left.first() {
                Some((_, id)) => Err(Violation {
                    promise: "I39: what a slot left behind ends with its next commit",
                    found: format!("transaction {id} is still open or prepared"),
                }),
                None => Ok(()),
            },
            Err(error) => stuck(error.to_string()),
        }
    }

    /// The plain producer and the publishers go on as well.
    fn others(&mut self) -> Result<(), Violation> {
        if self.config.plain > 0 {
            self.act(&Action::Plain(PlainAction::Init))?;
            self.act(&Action::Plain(PlainAction::Append { rows: 2, lost: false }))?;
        }
        if self.config.publications > 0 {
            let places: Vec<_> = self.world.seen.keys().copied().collect();
            for place in places {
                let number = self.world.publication.begun;
                if self.act(&Action::Publication(PublicationAction::Intend { place, short: false }))? {
                    self.act(&Action::Publication(PublicationAction::Publish(number)))?;
                }
            }
        }
        Ok(())
    }
}
