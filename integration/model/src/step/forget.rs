//! What cannot matter any more is forgotten, so that states which differ in nothing else are one state.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    config::Config,
    ids::GroupRef,
    job::{Attempt, Life},
    world::World,
};

impl World {
    /// Once no call of an attempt that ended can arrive, only its place in the history stays, and groups that nobody holds go.
    pub(super) fn forget(&mut self, config: &Config) {
        let may_act = |life: Life| match life {
            Life::Running => true,
            Life::Dead => self.spent.late < config.late || self.spent.expired < config.expired,
            Life::Done => false,
        };
        let over = |job: &Attempt| !config.redeliver && !may_act(job.life) && !job.subtasks.is_empty();
        let ended: Vec<usize> = (0..self.attempts.len()).filter(|at| over(&self.attempts[*at])).collect();
        if ended.is_empty() {
            return;
        }
        for at in ended {
            let job = Arc::make_mut(&mut self.attempts[at]);
            *job = Attempt {
                read: None,
                attach_sent: true,
                incarnation: None,
                base: None,
                emitted: Vec::new(),
                receipts: Vec::new(),
                subtasks: Vec::new(),
                positions: Vec::new(),
                finished: Vec::new(),
                cuts: Vec::new(),
                minted: 0,
                pending: Vec::new(),
                completed: 0,
                notified: 0,
                committables: Vec::new(),
                ..job.clone()
            };
        }
        let held = self.held();
        if self.minted.keys().any(|group| !held.contains(group)) {
            Arc::make_mut(&mut self.minted).retain(|group, _| held.contains(group));
            Arc::make_mut(&mut self.chain).retain(|group| held.contains(group));
        }
    }

    /// Groups in somebody's hands, and committed ones.
    fn held(&self) -> BTreeSet<GroupRef> {
        let mut held: BTreeSet<GroupRef> = self.committed.iter().map(|outcome| outcome.group).collect();
        let pending = self.attempts.iter().flat_map(|job| &job.pending);
        for snapshot in self.snapshots.values().chain(pending) {
            held.extend(snapshot.emitted.iter().map(|link| link.group));
            held.extend(&snapshot.committables);
        }
        for job in &self.attempts {
            held.extend(job.emitted.iter().map(|link| link.group));
            held.extend(job.committables.iter().map(|committable| committable.group));
        }
        held
    }
}
