//! Barriers, groups and snapshots: what Flink and the sink's aggregator do (protocol.md §3.6).

use std::sync::Arc;

use crate::{
    config::Config,
    ids::GroupRef,
    job::{Committable, Kind, Life, Link, Snapshot},
    world::{Minted, World},
};

impl World {
    /// A subtask prepares, if it has not, and passes the next barrier: its receipt goes before it.
    pub(super) fn barrier(&mut self, attempt: u8, subtask: u8, config: &Config) -> bool {
        let acted = self.prepare(attempt, subtask, config);
        let job = self.attempt(attempt);
        let writer = &job.subtasks[usize::from(subtask)];
        if job.life != Life::Running || writer.current().is_some_and(|sent| !sent.prepared) {
            return acted;
        }
        let checkpoint = writer.passed + 1;
        let receipt = writer.current().map(|sent| (sent.txn, checkpoint));
        let splits: Vec<u8> = job.splits_of(subtask).collect();

        let job = self.attempt_mut(attempt);
        let positions = job.positions.clone();
        if !job.cuts.iter().any(|(of, _)| *of == checkpoint) {
            job.cuts.push((checkpoint, positions.clone()));
        }
        // Whoever passes later writes its own splits over.
        if let Some((_, cut)) = job.cuts.iter_mut().find(|(of, _)| *of == checkpoint) {
            for split in splits {
                cut[usize::from(split)] = positions[usize::from(split)];
            }
        }
        job.receipts.extend(receipt);
        let writer = &mut job.subtasks[usize::from(subtask)];
        writer.open = false;
        writer.passed = checkpoint;
        true
    }

    /// A checkpoint is cancelled with barriers on their way: receipts that arrived wait for the next one.
    pub(super) fn cancel(&mut self, attempt: u8) -> bool {
        let job = self.attempt_mut(attempt);
        let checkpoint = job.minted + 1;
        for subtask in &mut job.subtasks {
            subtask.passed = subtask.passed.max(checkpoint);
        }
        job.cuts.retain(|(of, _)| *of != checkpoint);
        job.minted = checkpoint;
        true
    }

    /// The aggregator passes the barrier: it mints one group of the receipts that are in none, and the state is taken.
    pub(super) fn mint(&mut self, attempt: u8, config: &Config) -> bool {
        let job = self.attempt(attempt);
        let Some(incarnation) = job.incarnation else { return false };
        let checkpoint = job.minted + 1;
        if !job.aligned(checkpoint) {
            return false;
        }
        let (line, run) = (job.line, job.run);
        let at_barriers = job.cuts.iter().find(|(of, _)| *of == checkpoint).map(|(_, cut)| cut.clone());
        let mut cut = at_barriers.unwrap_or_else(|| job.positions.clone());
        for (subtask, writer) in (0u8..).zip(&job.subtasks) {
            if writer.passed < checkpoint {
                // It ended, and all it wrote came before.
                job.splits_of(subtask).for_each(|split| cut[usize::from(split)] = job.positions[usize::from(split)]);
            }
        }
        let group = GroupRef { attempt, checkpoint };
        let prev = job.emitted.last().map_or(job.base, |link| Some(link.group));

        let job = self.attempt_mut(attempt);
        let (mut taken, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut job.receipts).into_iter().partition(|(_, barrier)| *barrier <= checkpoint);
        job.receipts = kept;
        // Stable: several transactions of one subtask stay in the order they were written.
        taken.sort_by_key(|(txn, _)| txn.subtask);
        job.cuts.retain(|(of, _)| *of != checkpoint);
        job.minted = checkpoint;
        let members: Vec<_> = taken.into_iter().map(|(txn, _)| txn).collect();
        let mints = !members.is_empty();
        if mints {
            job.emitted.push(Link { group, prev });
            job.committables.push(Committable { group, restored: false });
        }
        if config.batch {
            // The end of the input: the committer commits without a checkpoint.
            job.notified = checkpoint;
            job.finished.fill(true);
        } else {
            let snapshot = Snapshot {
                kind: Kind::Checkpoint,
                line,
                run,
                checkpoint,
                base: job.base,
                emitted: job.emitted.clone(),
                committables: job.committables.iter().map(|committable| committable.group).collect(),
                positions: cut.clone(),
                finished: job.finished.clone(),
            };
            job.pending.push(Arc::new(snapshot));
        }
        if mints {
            let minted = Minted { members, prev, incarnation, line, run, cut };
            Arc::make_mut(&mut self.minted).insert(group, minted);
            if self.owner == Some(attempt) {
                Arc::make_mut(&mut self.chain).push(group);
            }
        }
        true
    }

    /// All tasks have acknowledged: older checkpoints under way are given up.
    pub(super) fn complete(&mut self, attempt: u8, checkpoint: u8) -> bool {
        let Some(snapshot) = self.taken(attempt, checkpoint) else { return false };
        let job = self.attempt_mut(attempt);
        job.pending.retain(|pending| pending.checkpoint > checkpoint);
        job.completed = checkpoint;
        Arc::make_mut(&mut self.snapshots).insert((attempt, checkpoint), snapshot);
        true
    }

    /// A savepoint is complete: it can be restored, and nobody is told.
    pub(super) fn savepoint(&mut self, attempt: u8, checkpoint: u8) -> bool {
        let Some(snapshot) = self.taken(attempt, checkpoint) else { return false };
        self.attempt_mut(attempt).pending.retain(|pending| pending.checkpoint != checkpoint);
        let snapshot = Snapshot { kind: Kind::Savepoint, ..(*snapshot).clone() };
        Arc::make_mut(&mut self.snapshots).insert((attempt, checkpoint), Arc::new(snapshot));
        true
    }

    pub(super) fn decline(&mut self, attempt: u8, checkpoint: u8) -> bool {
        let known = self.taken(attempt, checkpoint).is_some();
        self.attempt_mut(attempt).pending.retain(|pending| pending.checkpoint != checkpoint);
        known
    }

    fn taken(&self, attempt: u8, checkpoint: u8) -> Option<Arc<Snapshot>> {
        self.attempt(attempt).pending.iter().find(|pending| pending.checkpoint == checkpoint).cloned()
    }

    /// The committer hears of the newest complete checkpoint.
    pub(super) fn notify(&mut self, attempt: u8) -> bool {
        let job = self.attempt_mut(attempt);
        let news = job.completed > job.notified;
        job.notified = job.notified.max(job.completed);
        news
    }
}
