//! `sluice-model check` searches, `sluice-model simulate` walks. Exit code 1: something is broken, or the run was vacuous.

use std::{process::ExitCode, sync::Mutex, time::Instant};

use clap::{Parser, Subcommand};
use sluice_model::{
    config::Config,
    configurations, faults,
    search::{self, Counterexample},
    simulation::{self, Fired, Run},
};

/// A fault that fired less often in a run of a thousand seeds or more was not tested.
const FIRED_MIN: u64 = 50;
const VACUOUS_FROM_SEEDS: u64 = 1000;
const SEEDS_PRINTED: usize = 3;

#[derive(Parser)]
#[command(
    about = "Searches for a counterexample to Sluice's protocol: the shipping rules in a model checker and a simulation"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Threads.
    #[arg(long, global = true, default_value_t = 2)]
    threads: usize,
}

#[derive(Subcommand)]
enum Command {
    /// Searches the named configurations breadth first.
    Check {
        /// Only this one.
        #[arg(long)]
        config: Option<String>,
        /// States of each configuration, at most.
        #[arg(long, default_value_t = 600_000)]
        states: usize,
    },
    /// Random walks, each determined by its seed.
    Simulate {
        /// How many.
        #[arg(long, default_value_t = 1000)]
        seeds: u64,
        /// The first.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// The configurations and what each is there for.
    List,
}

#[expect(clippy::print_stdout, clippy::disallowed_methods, reason = "the command line of a tool that measures itself")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let started = Instant::now();
    let sound = match arguments.command {
        Command::List => {
            for config in configurations::ALL {
                println!("{:<12} {}", config.name, config.about);
            }
            true
        }
        Command::Check { config, states } => {
            let chosen: Vec<&Config> = match &config {
                None => configurations::ALL.iter().collect(),
                Some(name) => configurations::named(name).into_iter().collect(),
            };
            if chosen.is_empty() {
                println!("there is no such configuration; `sluice-model list` names them");
            }
            let mut total = 0;
            let sound =
                chosen.iter().filter(|config| !check(config, states, arguments.threads, &mut total)).count() == 0;
            println!("{total} unique states over {} configuration(s) in {:.0?}", chosen.len(), started.elapsed());
            sound && !chosen.is_empty()
        }
        Command::Simulate { seeds, seed } => simulate(seed, seeds, arguments.threads as u64, started),
    };
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Searches one configuration and prints its line; answers whether nothing is broken.
#[expect(clippy::print_stdout, clippy::disallowed_methods, reason = "the command line of a tool that measures itself")]
fn check(config: &Config, states: usize, threads: usize, total: &mut usize) -> bool {
    let started = Instant::now();
    let report = match search::search(config, states, threads) {
        Ok(report) => report,
        Err(failure) => {
            println!("{:<12} cannot be set up: {failure}", config.name);
            return false;
        }
    };
    *total += report.unique;
    println!(
        "{:<12} {:>9} unique states, {:>9} reached, depth {:>3}, {:>8} drained, {:>7.1?}, {}, {} violation(s)",
        config.name,
        report.unique,
        report.reached,
        report.depth,
        report.drained,
        started.elapsed(),
        if report.exhausted { "exhausted" } else { "cut off" },
        usize::from(report.counterexample.is_some()),
    );
    match report.counterexample {
        Some(counterexample) => {
            print(&counterexample);
            false
        }
        None => true,
    }
}

#[expect(clippy::print_stdout, reason = "the command line")]
fn print(counterexample: &Counterexample) {
    println!("  broken: {}", counterexample.violation.promise);
    println!("  found:  {}", counterexample.violation.found);
    for (number, action) in counterexample.path.iter().enumerate() {
        println!("  {:>4}. {action}", number + 1);
    }
}

#[derive(Default)]
struct Totals {
    runs: u64,
    steps: u64,
    fired: Fired,
    broken: Vec<Run>,
    failed: Vec<String>,
}

#[expect(clippy::print_stdout, reason = "the command line")]
fn simulate(first: u64, seeds: u64, threads: u64, started: Instant) -> bool {
    let config = &configurations::SIMULATION;
    let totals = Mutex::new(Totals::default());
    simulation::run_all(first, seeds, threads, config, &|run| {
        let mut totals = totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match run {
            Ok(run) => {
                totals.runs += 1;
                totals.steps += run.steps;
                for (fault, count) in &run.fired {
                    *totals.fired.entry(*fault).or_default() += count;
                }
                if run.counterexample.is_some() {
                    totals.broken.push(run);
                }
            }
            Err(failure) => totals.failed.push(failure.to_string()),
        }
    });
    let mut totals = totals.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    totals.broken.sort_by_key(|run| run.seed);
    for run in totals.broken.iter().take(SEEDS_PRINTED) {
        println!("seed {} is broken; again: sluice-model simulate --seeds 1 --seed {}", run.seed, run.seed);
        run.counterexample.iter().for_each(print);
    }
    for fault in faults::ALL {
        println!("{:>9} {fault}", totals.fired.get(fault).copied().unwrap_or(0));
    }
    println!(
        "{} seeds, {} steps, {} faults of {} types, {} seed(s) broken, {:.1?}",
        totals.runs,
        totals.steps,
        totals.fired.values().sum::<u64>(),
        totals.fired.len(),
        totals.broken.len(),
        started.elapsed()
    );
    totals.failed.iter().for_each(|failure| println!("cannot be set up: {failure}"));
    let rare = |fault: &&&str| totals.fired.get(**fault).copied().unwrap_or(0) < FIRED_MIN;
    let vacuous: Vec<_> = faults::ALL.iter().filter(rare).collect();
    let is_vacuous = seeds >= VACUOUS_FROM_SEEDS && !vacuous.is_empty();
    if is_vacuous {
        println!("vacuous: fired less than {FIRED_MIN} times: {vacuous:?}");
    }
    totals.broken.is_empty() && totals.failed.is_empty() && !is_vacuous
}
