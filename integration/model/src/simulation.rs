//! Seeded random walks through the same world, longer than a search can go. A seed determines its run exactly.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use sluice_txn::protocol::Failure;

use crate::{
    action::Action,
    config::Config,
    enabled, faults,
    oracle::{self, progress},
    rng::Rng,
    search::Counterexample,
    world::World,
};

/// Steps of a run, at most.
const STEPS_MAX: u64 = 3000;
/// A run ends after so many steps in a row that no job that runs took: all jobs are at their bounds.
const IDLE_MAX: u64 = 100;

/// How often each fault was injected.
pub type Fired = BTreeMap<&'static str, u64>;

/// What a seed did.
#[derive(Debug, Clone)]
pub struct Run {
    /// The seed.
    pub seed: u64,
    /// Actions tried.
    pub steps: u64,
    /// Faults among them.
    pub fired: Fired,
    /// Over each action and each state: equal for equal seeds, in every run.
    pub trace: u64,
    /// What was found.
    pub counterexample: Option<Counterexample>,
}

/// Runs a seed: a walk, each state judged, and a drain at its end.
pub fn run(seed: u64, config: &Config) -> Result<Run, Failure> {
    let mut rng = Rng::new(seed);
    let mut world = World::new(config)?;
    let mut fired = Fired::new();
    let mut trace = DefaultHasher::new();
    let mut path = Vec::new();
    let mut possible = Vec::new();
    let mut broken = None;
    let (mut steps, mut idle) = (0, 0);
    while steps < STEPS_MAX && idle < IDLE_MAX && broken.is_none() {
        possible.clear();
        enabled::actions(&world, config, &mut possible);
        let Some(action) = faults::choose(&world, &mut possible, &mut rng) else { break };
        steps += 1;
        idle = if faults::is_of_a_running_job(&world, &action) { 0 } else { idle + 1 };
        if let Some(fault) = faults::of(&world, &action) {
            *fired.entry(fault).or_default() += 1;
        }
        action.hash(&mut trace);
        if let Some(next) = world.act(&action, config) {
            world = next;
            world.hash(&mut trace);
            path.push(action);
            broken = oracle::judge(&world);
        }
    }
    let broken = broken.or_else(|| progress::drain(&world, config).err());
    let counterexample = broken.map(|violation| Counterexample { violation, path });
    Ok(Run { seed, steps, fired, trace: trace.finish(), counterexample })
}

/// Runs `seeds` seeds from `first` on, over threads; hands each run to `done`, in no order.
pub fn run_all(first: u64, seeds: u64, threads: u64, config: &Config, done: &(dyn Fn(Result<Run, Failure>) + Sync)) {
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                (first + thread..first + seeds).step_by(threads as usize).for_each(|seed| done(run(seed, config)));
            });
        }
    });
}

/// Runs a path again from the start: the world after it, or the action that was not possible.
pub fn replay(path: &[Action], config: &Config) -> Result<World, String> {
    let mut world = World::new(config).map_err(|failure| failure.to_string())?;
    for action in path {
        world = world.act(action, config).ok_or_else(|| format!("nothing happens: {action}"))?;
    }
    Ok(world)
}
