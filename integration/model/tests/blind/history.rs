//! Right histories, to be spoilt by the tests.

use sluice_model::{
    action::Action,
    config::Config,
    ids::GroupRef,
    job::Start,
    oracle,
    world::{Violation, World},
};

/// One writer, two streams, one split.
pub const CONFIG: Config = Config {
    splits: 1,
    parallelisms: &[1],
    streams: 2,
    plain: 4,
    publications: 4,
    attempts: 8,
    live: 8,
    ..Config::BASE
};

/// The group of an attempt's checkpoint.
pub const fn group(attempt: u8, checkpoint: u8) -> GroupRef {
    GroupRef { attempt, checkpoint }
}

/// Does actions that must be possible and sound.
#[track_caller]
pub fn play(world: &World, actions: &[Action]) -> World {
    let mut world = world.clone();
    for action in actions {
        world = world.act(action, &CONFIG).unwrap_or_else(|| panic!("nothing happens: {action}"));
        assert_eq!(oracle::judge(&world), None, "{action}");
    }
    world
}

/// What an attempt does up to its first group: attach, one record, prepare, barrier, snapshot.
pub fn up_to_mint(attempt: u8) -> Vec<Action> {
    vec![
        Action::Read(attempt),
        Action::Attach(attempt, false),
        Action::OpenWriter(attempt, 0),
        Action::Write(attempt, 0),
        Action::Prepare(attempt, 0),
        Action::Barrier(attempt, 0),
        Action::Mint(attempt),
    ]
}

/// The first attempt has taken a snapshot with one group, which is complete and told.
pub fn notified() -> World {
    let mut actions = up_to_mint(0);
    actions.extend([Action::Complete(0, 1), Action::Notify(0)]);
    play(&World::new(&CONFIG).expect("the store can be set up"), &actions)
}

/// So has it, and the group is committed.
pub fn committed() -> World {
    play(&notified(), &[Action::Commit(0, group(0, 1), false)])
}

/// A start from the first attempt's first checkpoint.
pub fn restore() -> Action {
    Action::Start(Start { restored: Some((0, 1)), accept_duplicates: false, run: 0, parallelism: 1 })
}

/// What an action breaks in a spoilt world.
#[track_caller]
pub fn broken(world: &World, action: &Action) -> Violation {
    let next = world.act(action, &CONFIG).unwrap_or_else(|| panic!("nothing happens: {action}"));
    oracle::judge(&next).unwrap_or_else(|| panic!("nothing is found wrong: {action}"))
}
