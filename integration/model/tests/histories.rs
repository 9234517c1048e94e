//! Right histories that a search reaches late, played as they are: every step is judged, and the end drains.

use sluice_model::{
    action::Action,
    configurations,
    ids::GroupRef,
    job::Start,
    oracle::{self, progress},
    world::World,
};

const fn group(attempt: u8, checkpoint: u8) -> GroupRef {
    GroupRef { attempt, checkpoint }
}

/// A state whose group was never committed is restored behind another run's commit, accepting duplicates: nobody superseded its
/// transaction, which lies in a slot of its own, so its group moves behind the head and commits there (§3.7).
#[test]
fn a_group_moves_behind_the_head_of_a_fork() {
    let config = configurations::named("forks").expect("it is named");
    let fresh = Start { restored: None, accept_duplicates: false, run: 1, parallelism: 2 };
    let back = Start { restored: Some((0, 1)), accept_duplicates: true, run: 0, parallelism: 2 };
    let mut path = Vec::new();
    for (attempt, split, start) in [(0, 1, None), (1, 0, Some(fresh))] {
        path.extend(start.map(Action::Start));
        path.extend([
            Action::Write(attempt, split),
            Action::Attach(attempt, false),
            Action::Barrier(attempt, 0),
            Action::Barrier(attempt, 1),
            Action::Mint(attempt),
            Action::Complete(attempt, 1),
        ]);
    }
    path.extend([
        Action::Notify(1),
        Action::Commit(1, group(1, 1), false),
        Action::Start(back),
        Action::Attach(2, false),
        Action::Commit(2, group(0, 1), false),
    ]);

    let mut world = World::new(config).expect("the store can be set up");
    for action in &path {
        world = world.act(action, config).unwrap_or_else(|| panic!("nothing happens: {action}"));
        assert_eq!(oracle::judge(&world), None, "{action}");
    }
    assert_eq!(world.head(), Some(group(0, 1)));
    assert!(world.lines.iter().any(|line| line.forked), "the fork was agreed to");
    progress::drain(&world, config).expect("the job goes on");
}
