//! What the search found in the shipping rules, as paths that still break. A rule that is mended turns its test red: then the
//! path moves to the right histories, and the bound that kept it out of the named searches goes.

use sluice_model::{
    action::Action,
    config::{Config, Restores},
    ids::GroupRef,
    job::Start,
    oracle, simulation,
};

/// A writer that prepares before its aggregator attached, and a job of another run that takes the slot, attaches and commits in
/// between: the commit supersedes what was prepared, the attach that comes after it is taken all the same (a start without
/// state of a run that has not committed), and the checkpoint that covers the superseded events completes. Its commit is
/// REJECTED and each restore of it answers LOST_TRANSACTION: loud, but a complete checkpoint is lost.
///
/// Flink triggers no checkpoint before all tasks run, so a streaming job meets this only through a source that ends before the
/// aggregator is up: the writer then prepares at the end of its input.
#[test]
fn an_attach_after_another_runs_commit_takes_a_job_whose_transactions_are_superseded() {
    let config = Config {
        splits: 1,
        parallelisms: &[1],
        live: 2,
        restores: Restores::Any,
        fresh_new: true,
        eager: true,
        ..Config::BASE
    };
    let path = [
        Action::Write(0, 0),
        Action::Barrier(0, 0),
        Action::Start(Start { restored: None, accept_duplicates: false, run: 1, parallelism: 1 }),
        Action::Write(1, 0),
        Action::Attach(1, false),
        Action::Barrier(1, 0),
        Action::Mint(1),
        Action::Complete(1, 1),
        Action::Notify(1),
        Action::Commit(1, GroupRef { attempt: 1, checkpoint: 1 }, false),
        Action::Attach(0, false),
        Action::Mint(0),
        Action::Complete(0, 1),
    ];
    let before = simulation::replay(&path[..path.len() - 1], &config).unwrap();
    assert_eq!(oracle::judge(&before), None);
    let after = simulation::replay(&path, &config).unwrap();
    let found = oracle::judge(&after).expect("the rules have been mended: see above");
    assert_eq!(found.promise, "I2, I3: what a restorable checkpoint holds is kept");
}
