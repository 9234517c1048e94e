//! Every named search and the simulation, in small, and that both can be run again exactly.

use std::sync::Mutex;

use sluice_model::{
    config::Config,
    configurations, search,
    search::{Counterexample, Report},
    simulation,
};

/// Few, for a test whose rules are not optimised: this shows that the searches run. What they find, `sluice-model check` shows.
const STATES: usize = 1_500;

fn told(counterexample: &Counterexample) -> String {
    let path: Vec<String> = counterexample.path.iter().map(ToString::to_string).collect();
    format!("{:?}\n{}", counterexample.violation, path.join("\n"))
}

fn search(config: &Config, states: usize) -> Report {
    search::search(config, states, 1).expect("the store can be set up")
}

#[test]
fn the_named_searches_find_nothing_in_small() {
    assert!(configurations::ALL.len() >= 6);
    for config in configurations::ALL {
        assert!(config.attempts >= 2 && config.checkpoints >= 2, "{}: smaller searches prove nothing", config.name);
        let report = search(config, STATES);
        if let Some(counterexample) = &report.counterexample {
            panic!("{}: {}", config.name, told(counterexample));
        }
        assert!(report.drained > 0, "{}: no state was drained", config.name);
    }
}

/// A search that ends by itself sees the same states each time.
#[test]
fn a_search_is_exact() {
    let config = Config { splits: 1, parallelisms: &[1], late: 0, ..Config::BASE };
    let (first, second) = (search(&config, usize::MAX), search(&config, usize::MAX));
    assert!(first.exhausted && second.exhausted);
    assert_eq!((first.unique, first.reached, first.drained), (second.unique, second.reached, second.drained));
    assert!(first.unique > 100, "{} states", first.unique);
}

#[test]
fn seeds_find_nothing_in_small() {
    let broken = Mutex::new(Vec::new());
    simulation::run_all(1, 10, 2, &configurations::SIMULATION, &|run| {
        let run = run.unwrap();
        if let Some(counterexample) = &run.counterexample {
            broken.lock().unwrap().push(format!("seed {}: {}", run.seed, told(counterexample)));
        }
    });
    assert_eq!(broken.into_inner().unwrap(), Vec::<String>::new());
}

#[test]
fn a_seed_is_the_same_run_every_time() {
    for seed in 100..103 {
        let [first, second] = [(); 2].map(|()| simulation::run(seed, &configurations::SIMULATION).unwrap());
        assert_eq!((first.trace, first.steps, &first.fired), (second.trace, second.steps, &second.fired));
        assert_ne!(first.trace, simulation::run(seed + 1000, &configurations::SIMULATION).unwrap().trace);
    }
}
