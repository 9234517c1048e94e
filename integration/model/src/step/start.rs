//! An attempt starts, from a snapshot or from nothing.

use std::sync::Arc;

use crate::{
    config::Config,
    job::{Attempt, Committable, Life, Start, Subtask},
    world::{Line, World},
};

impl World {
    /// Starts an attempt. What it does comes later: nothing is sent here.
    pub(crate) fn start(&mut self, start: &Start, config: &Config) -> bool {
        let snapshot = start.restored.and_then(|key| self.snapshots.get(&key).cloned());
        if start.restored.is_some() != snapshot.is_some() {
            return false;
        }
        if config.coarse {
            // Whoever runs ends here, if there is room for one only.
            let running: Vec<u8> = (0u8..)
                .zip(&self.attempts)
                .filter(|(_, job)| job.life == Life::Running)
                .map(|(number, _)| number)
                .collect();
            if running.len() >= usize::from(config.live) {
                running.into_iter().for_each(|attempt| self.attempt_mut(attempt).life = Life::Dead);
            }
        }
        let splits = usize::from(config.splits);
        let positions = snapshot.as_ref().map_or_else(|| vec![0; splits], |snapshot| snapshot.positions.clone());
        let continued = match &snapshot {
            Some(snapshot) => Some(snapshot.line),
            None => self.attempts.iter().find(|job| job.run == start.run && job.restored.is_none()).map(|job| job.line),
        };
        // Accepting duplicates is agreeing to another history of the source from here on.
        let line = continued.filter(|_| !start.accept_duplicates).unwrap_or_else(|| {
            let lines = Arc::make_mut(&mut self.lines);
            lines.push(Line { start: positions.clone(), forked: false });
            (lines.len() - 1) as u8
        });
        let last = snapshot.as_ref().map_or(0, |snapshot| snapshot.checkpoint);
        let restored = |group| Committable { group, restored: true };
        let attempt = Attempt {
            run: start.run,
            line,
            parallelism: start.parallelism,
            restored: start.restored,
            accept_duplicates: start.accept_duplicates,
            life: Life::Running,
            read: None,
            attach_sent: false,
            incarnation: None,
            base: snapshot.as_ref().and_then(|snapshot| snapshot.base),
            emitted: snapshot.as_ref().map_or_else(Vec::new, |snapshot| snapshot.emitted.clone()),
            receipts: Vec::new(),
            subtasks: vec![Subtask { passed: last, ..Subtask::default() }; start.parallelism.into()],
            positions,
            finished: snapshot.as_ref().map_or_else(|| vec![false; splits], |snapshot| snapshot.finished.clone()),
            cuts: Vec::new(),
            minted: last,
            pending: Vec::new(),
            completed: last,
            notified: last,
            committables: snapshot
                .as_ref()
                .map_or_else(Vec::new, |snapshot| snapshot.committables.iter().copied().map(restored).collect()),
        };
        self.attempts.push(Arc::new(attempt));
        true
    }
}
