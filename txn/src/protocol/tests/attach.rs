//! AttachSink: owners, races, flapping, and jobs without state (§3.5, §3.7; I12).

use sluice_proto::storage::v1::TransactionState;
use sluice_schema::names::SinkName;

use super::fixture::{World, attach_command, group, group_id, run, says, sink, state, txn};
use crate::{
    ledger::Records as _,
    protocol::{
        ErrorClass, ErrorReason, PARALLELISM_MAX,
        attach::{self, Attached, Mode},
    },
};

#[test]
fn the_first_attach_makes_the_sink() {
    let mut world = World::new();
    let attached = world.attach_as(1, None);
    assert_eq!(attached, Attached { incarnation: 1, head: None, pending: Vec::new(), leftovers: Vec::new() });
    let record = world.index.sink(&sink()).unwrap().unwrap();
    assert_eq!((record.incarnation, record.run_nonce, record.created_ms), (1, run(1).to_bytes(), world.now));
    assert_eq!(world.attach_as(1, None).incarnation, 2, "each attach is a new owner");
    let nowhere = SinkName::parse_parts("nowhere", "job").unwrap();
    let refusal = world.refused(|draft, now| attach::attach(draft, &nowhere, &attach_command(1, 0, None), now));
    says(&refusal, ErrorClass::NotFound, ErrorReason::UnknownScope);
}

#[test]
fn an_attach_that_read_an_older_owner_is_refused() {
    let mut world = World::new();
    world.attach_as(1, None);
    for read in [0, 2] {
        let refusal = world.attach_refused(&attach_command(2, read, None));
        says(&refusal, ErrorClass::Conflict, ErrorReason::AttachRace);
        assert_eq!(refusal.detail.current, Some(1));
    }
    assert_eq!(world.incarnation(), 1);
    world.attach(&attach_command(2, 1, None));
}

#[test]
fn an_impossible_parallelism_is_refused() {
    let mut world = World::new();
    for parallelism in [0, PARALLELISM_MAX + 1] {
        let command = attach::Command { parallelism, ..attach_command(1, 0, None) };
        says(&world.attach_refused(&command), ErrorClass::InvalidArgument, ErrorReason::BadRequest);
    }
}

/// A new owner fences the groups of the older one, and lets those through that it restored.
#[test]
fn an_attach_fences_the_other_jobs_groups() {
    let mut world = World::new();
    world.attach_as(1, None);
    (1..=3).for_each(|number| world.prepared(number, 0));
    let (known, unknown) = (group(1, None, 1, &[1]), group(2, Some(1), 1, &[2]));
    let attached = world.attach_as(1, Some(state(None, std::slice::from_ref(&known))));
    assert_eq!((attached.incarnation, attached.pending.len()), (2, 1));
    assert_eq!(attached.leftovers, vec![txn(2), txn(3)]);
    says(&world.commit_refused(&unknown), ErrorClass::Fenced, ErrorReason::StaleEpoch);
    world.commit(&known);
    says(&world.commit_refused(&unknown), ErrorClass::Fenced, ErrorReason::StaleEpoch);
    world.commit(&group(3, Some(1), 2, &[3]));
}

#[test]
fn a_fresh_start_over_history_goes_on_from_the_head() {
    let mut world = World::new();
    world.attach_as(1, None);
    (1..=2).for_each(|number| world.prepared(number, 0));
    world.commit(&group(1, None, 1, &[1]));
    let attached = world.attach_as(2, None);
    assert_eq!((attached.head, attached.leftovers), (Some(group_id(1)), vec![txn(2)]));
    world.open_by(2, 0);
    world.prepared(3, 0);
    assert_eq!(world.commit(&group(2, Some(1), 2, &[3])).superseded_events, 1, "slot by slot");
    assert_eq!(world.state(2), TransactionState::Aborted);
}

#[test]
fn the_strict_refuse_a_fresh_start_over_history() {
    let mut world = World::new();
    let strict = |run, read| attach::Command { refuse_fresh_start: true, ..attach_command(run, read, None) };
    world.attach(&strict(1, 0));
    world.attach(&strict(2, 1));
    world.prepared(1, 0);
    world.commit(&group(1, None, 2, &[1]));
    let refusal = world.attach_refused(&strict(3, 2));
    says(&refusal, ErrorClass::Rejected, ErrorReason::ForkedHistory);
    world.attach(&attach_command(3, 2, None));
}

#[test]
fn the_same_run_starts_fresh_until_it_committed() {
    for mode in [Mode::Streaming, Mode::Batch] {
        let mut world = World::new();
        let fresh = |read| attach::Command { mode, ..attach_command(1, read, None) };
        world.attach(&fresh(0));
        world.prepared(1, 0);
        assert_eq!(world.attach(&fresh(1)).leftovers, vec![txn(1)]);
        world.open(0);
        world.prepared(2, 0);
        world.commit(&group(1, None, 2, &[2]));
        let refusal = world.attach_refused(&fresh(2));
        match mode {
            Mode::Batch => {
                says(&refusal, ErrorClass::Conflict, ErrorReason::CommittedByThisRun);
                assert_eq!(refusal.detail.facts["group"], group_id(1).to_string());
            }
            Mode::Streaming => {
                says(&refusal, ErrorClass::Rejected, ErrorReason::ForkedHistory);
                assert_eq!(refusal.detail.facts["groups"], "1");
                let going_on = attach::Command { accept_duplicates: true, ..fresh(2) };
                assert_eq!(world.attach(&going_on).head, Some(group_id(1)));
            }
        }
    }
}

/// The run counts for ever, not the last owner: another run in between does not make the first one new.
#[test]
fn a_run_that_committed_is_remembered_behind_others() {
    let mut world = World::new();
    world.attach_as(1, None);
    world.prepared(1, 0);
    world.commit(&group(1, None, 1, &[1]));
    world.attach_as(2, None);
    world.open_by(2, 0);
    world.prepared(2, 0);
    world.commit(&group(2, Some(1), 2, &[2]));
    let refusal = world.attach_refused(&attach_command(1, 2, None));
    says(&refusal, ErrorClass::Rejected, ErrorReason::ForkedHistory);
}

#[test]
fn two_runs_that_take_the_sink_from_each_other_are_told() {
    let mut world = World::new();
    let (one, two) = (10, 20);
    for run_number in [one, two, one] {
        world.attach_as(run_number, None);
        world.now += 1000;
    }
    let refusal = world.attach_refused(&attach_command(two, 3, None));
    says(&refusal, ErrorClass::Retriable, ErrorReason::AttachFlapping);
    for number in [one, two] {
        assert!(refusal.message.contains(&run(number).to_string()), "{}", refusal.message);
    }
    assert_eq!(world.attach_as(one, None).incarnation, 4, "the owner itself restarts as often as it likes");
    world.now += 60_000;
    world.attach_as(two, None);
}

#[test]
fn takeovers_that_are_rare_or_by_new_runs_are_no_flapping() {
    let mut world = World::new();
    for n in 0..10 {
        world.attach_as(10 + n % 2, None);
        world.now += 6 * 60_000;
    }
    let mut world = World::new();
    (0..10).for_each(|n| drop(world.attach_as(10 + n, None)));
    assert_eq!(world.index.sink(&sink()).unwrap().unwrap().attaches.len(), 4);
}
