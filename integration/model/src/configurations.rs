//! The named searches. None is below two checkpoints and two attempts: those were measured to prove nothing.

use crate::config::{Config, Restores};

/// All of them, in the order they run.
pub const ALL: &[Config] = &[
    Config {
        name: "recovery",
        about: "two writers: crashes, declined and cancelled checkpoints, zombies, lost answers",
        declines: true,
        cancels: true,
        late: 1,
        lost: 1,
        ..Config::BASE
    },
    Config {
        name: "attempts",
        about: "four attempts of one writer, each from the newest checkpoint, zombies of all of them",
        splits: 1,
        parallelisms: &[1],
        attempts: 4,
        declines: true,
        late: 1,
        ..Config::BASE
    },
    Config {
        name: "savepoints",
        about: "savepoints nobody is told of, restores of anything, by new submissions, accepting duplicates",
        splits: 1,
        parallelisms: &[1],
        attempts: 3,
        restores: Restores::Any,
        accept_duplicates: true,
        resubmit: true,
        savepoints: true,
        ..Config::BASE
    },
    Config {
        name: "forks",
        about: "states restored behind a fork whose transactions nobody superseded: groups move behind the head",
        attempts: 3,
        restores: Restores::Any,
        accept_duplicates: true,
        fresh_same: false,
        fresh_new: true,
        idle: true,
        ..Config::BASE
    },
    Config {
        name: "split-brain",
        about: "two jobs at once from the same states, committers that send in any order",
        splits: 1,
        parallelisms: &[1],
        attempts: 3,
        live: 2,
        restores: Restores::Any,
        fresh_new: true,
        reorder: true,
        ..Config::BASE
    },
    Config {
        name: "steps",
        about: "every step by itself: zombies, attach races, lost answers, calls that arrive again, transactions that end by time",
        splits: 1,
        parallelisms: &[1],
        restores: Restores::Any,
        savepoints: true,
        reorder: true,
        redeliver: true,
        late: 3,
        lost: 1,
        expired: 1,
        coarse: false,
        ..Config::BASE
    },
    Config {
        name: "rescale",
        about: "two writers to one and back, zombies of closed slots",
        parallelisms: &[2, 1],
        late: 1,
        savepoints: true,
        restores: Restores::Any,
        ..Config::BASE
    },
    Config {
        name: "streams",
        about: "two streams of two segments in one group, concurrent checkpoints, idle subtasks",
        streams: 2,
        segments: 2,
        concurrent: 2,
        idle: true,
        declines: true,
        reorder: true,
        ..Config::BASE
    },
    Config {
        name: "bounded",
        about: "subtasks that end at different checkpoints, final checkpoint, rescale of what is left",
        parallelisms: &[2, 1],
        bounded: true,
        declines: true,
        ..Config::BASE
    },
    Config {
        name: "batch",
        about: "one commit at the end, restarts of the same run, another run in between",
        batch: true,
        attempts: 3,
        fresh_new: true,
        late: 1,
        lost: 1,
        ..Config::BASE
    },
    Config {
        name: "publication",
        about: "plain appends and Parquet publication with stalled publishers, racing commits in the same segment",
        splits: 1,
        parallelisms: &[1],
        plain: 2,
        publications: 2,
        lost: 1,
        ..Config::BASE
    },
];

/// A configuration by its name.
pub fn named(name: &str) -> Option<&'static Config> {
    ALL.iter().find(|config| config.name == name)
}

/// The bounds of the seeded simulation: everything at once, and longer.
pub const SIMULATION: Config = Config {
    name: "simulation",
    about: "everything at once, longer than a search can go",
    splits: 3,
    parallelisms: &[3, 2, 1],
    streams: 2,
    segments: 2,
    checkpoints: 12,
    attempts: 8,
    live: 2,
    concurrent: 2,
    records: 2,
    restores: Restores::Any,
    accept_duplicates: true,
    resubmit: true,
    fresh_same: true,
    fresh_new: true,
    savepoints: true,
    declines: true,
    cancels: true,
    idle: true,
    bounded: true,
    batch: false,
    eager: false,
    late: u8::MAX,
    redeliver: true,
    reorder: true,
    lost: u8::MAX,
    expired: u8::MAX,
    plain: 40,
    publications: 20,
    coarse: false,
    drain_every: 0,
};
