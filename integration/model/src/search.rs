//! The exhaustive search: stateright over [`World`], one property for each kind of oracle.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use sluice_txn::protocol::Failure;
use stateright::{Checker as _, Model, Property};

use crate::{
    action::Action,
    config::Config,
    enabled,
    oracle::{self, progress},
    world::{Violation, World},
};

const SAFETY: &str = "what is visible is right";
const PROGRESS: &str = "everything can still be committed or is rightly refused";

/// What a search shares with its threads.
#[derive(Debug, Default)]
struct Shared {
    /// No new states from here on: those that exist are judged, then the search ends.
    stop: AtomicBool,
    drained: AtomicU64,
}

/// The model of one configuration.
#[derive(Debug, Clone)]
struct Search {
    config: Config,
    initial: World,
    shared: Arc<Shared>,
}

impl Search {
    fn sound(&self, world: &World) -> bool {
        let sound = oracle::judge(world).is_none();
        if !sound {
            self.shared.stop.store(true, Ordering::Relaxed);
        }
        sound
    }

    fn drains(&self, world: &World) -> bool {
        if world.violation.is_some() || !is_sampled(world, self.config.drain_every) {
            return true;
        }
        self.shared.drained.fetch_add(1, Ordering::Relaxed);
        let drains = progress::drain(world, &self.config).is_ok();
        if !drains {
            self.shared.stop.store(true, Ordering::Relaxed);
        }
        drains
    }
}

/// Whether a state is one of those that are drained; the same in every run.
fn is_sampled(world: &World, every: u64) -> bool {
    if every <= 1 {
        return every == 1;
    }
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish().is_multiple_of(every)
}

impl Model for Search {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.initial.clone()]
    }

    fn actions(&self, state: &World, actions: &mut Vec<Action>) {
        if state.violation.is_none() && !self.shared.stop.load(Ordering::Relaxed) {
            enabled::actions(state, &self.config, actions);
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        last.act(&action, &self.config)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(SAFETY, |search: &Self, world| search.sound(world)),
            Property::always(PROGRESS, |search: &Self, world| search.drains(world)),
        ]
    }
}

/// A broken promise and the way to it.
#[derive(Debug, Clone)]
pub struct Counterexample {
    /// What is broken.
    pub violation: Violation,
    /// The actions from the start on.
    pub path: Vec<Action>,
}

/// What a search did.
#[derive(Debug, Clone)]
pub struct Report {
    /// States that differ; each was judged.
    pub unique: usize,
    /// States reached, with repeats.
    pub reached: usize,
    /// The longest of the shortest ways.
    pub depth: usize,
    /// States that were drained.
    pub drained: u64,
    /// Whether there are no other states.
    pub exhausted: bool,
    /// What was found.
    pub counterexample: Option<Counterexample>,
}

/// Searches a configuration breadth first until it is exhausted, something is broken, or `states` differ.
pub fn search(config: &Config, states: usize, threads: usize) -> Result<Report, Failure> {
    let shared = Arc::new(Shared::default());
    let model = Search { config: config.clone(), initial: World::new(config)?, shared: Arc::clone(&shared) };
    let checker = model.checker().threads(threads).spawn_bfs();
    while !checker.is_done() && !shared.stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(10));
        if checker.unique_state_count() >= states {
            shared.stop.store(true, Ordering::Relaxed);
        }
    }
    let checker = checker.join();
    let exhausted = !shared.stop.swap(false, Ordering::Relaxed);
    let found = checker.discoveries();
    let way = found.get(SAFETY).or_else(|| found.get(PROGRESS));
    let counterexample = way.and_then(|path| {
        let last = path.last_state();
        let violation = oracle::judge(last).or_else(|| progress::drain(last, config).err())?;
        Some(Counterexample { violation, path: path.clone().into_actions() })
    });
    Ok(Report {
        unique: checker.unique_state_count(),
        reached: checker.state_count(),
        depth: checker.max_depth(),
        drained: shared.drained.load(Ordering::Relaxed),
        exhausted,
        counterexample,
    })
}
