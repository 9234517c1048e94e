//! Which prepared transactions a commit ends (§3.6): same slot, older epoch, and nothing else.

use sluice_proto::storage::v1::{AbortReason, TransactionState};

use super::fixture::{World, attach_command, group, says, sink, state, txn};
use crate::{
    ledger::Records as _,
    protocol::{ErrorClass, ErrorReason, transactions::forget_superseded},
};

/// Slot 0 and 1 have a prepared transaction each of epoch 1, then slot 0 is opened again.
fn world() -> World {
    let mut world = World::new();
    world.prepared(1, 0);
    world.prepared(2, 1);
    world.open(0);
    world
}

#[test]
fn a_newer_epoch_of_the_same_slot_takes_the_place() {
    let mut world = world();
    world.prepared(3, 0);
    let committed = world.commit(&group(1, None, 0, &[3]));
    assert_eq!((committed.events, committed.superseded_events), (1, 1));
    assert_eq!(
        (world.state(1), world.transaction(1).abort_reason()),
        (TransactionState::Aborted, AbortReason::Superseded)
    );
    assert_eq!(world.state(2), TransactionState::Prepared, "a slot without a member is left alone");
    assert_eq!(world.index.sink(&sink()).unwrap().unwrap().superseded_events, 1);
    let late = world.commit_refused(&group(2, Some(1), 0, &[1]));
    says(&late, ErrorClass::Rejected, ErrorReason::TransactionAborted);
    assert_eq!(late.detail.abort_reason, "SUPERSEDED");
}

/// The newest completed checkpoint may hold a transaction of an epoch below the slot's present one: it must live.
#[test]
fn the_slots_present_epoch_plays_no_part() {
    let mut world = world();
    world.open(1);
    world.open(1);
    let committed = world.commit(&group(1, None, 0, &[1]));
    assert_eq!(committed.superseded_events, 0);
    assert_eq!(world.state(2), TransactionState::Prepared);
    world.commit(&group(2, Some(1), 0, &[2]));
}

#[test]
fn the_same_epoch_and_open_transactions_stay() {
    let mut world = World::new();
    (1..=3).for_each(|number| world.prepared(number, 0));
    world.begin(4, 0, 1);
    world.chunk(4, 0, 1);
    assert_eq!(world.commit(&group(1, None, 0, &[2])).superseded_events, 0);
    for (number, state) in
        [(1, TransactionState::Prepared), (3, TransactionState::Prepared), (4, TransactionState::Open)]
    {
        assert_eq!(world.state(number), state);
    }
}

/// A group with two epochs of one slot: the newer member does not end the older one.
#[test]
fn a_group_does_not_supersede_itself() {
    let mut world = world();
    world.prepared(3, 0);
    let committed = world.commit(&group(1, None, 0, &[1, 3]));
    assert_eq!((committed.events, committed.superseded_events), (2, 0));
    assert_eq!(world.state(1), TransactionState::Committed);
}

#[test]
fn superseded_blocks_are_kept_for_a_while() {
    let mut world = world();
    world.prepared(3, 0);
    world.commit(&group(1, None, 0, &[3]));
    assert_eq!(world.chunks(1).len(), 1);
    assert!(!world.ok(|draft, now| forget_superseded(draft, txn(1), 1000, now)));
    world.now += 1001;
    assert!(world.ok(|draft, now| forget_superseded(draft, txn(1), 1000, now)));
    assert_eq!(world.chunks(1), Vec::new());
    assert!(!world.ok(|draft, now| forget_superseded(draft, txn(2), 1000, now)), "a prepared one keeps its blocks");
    assert_eq!(world.chunks(2).len(), 1);
}

/// After a downscale nobody opens the upper slots again: the attach's fences stand in for their epochs.
#[test]
fn a_downscale_supersedes_what_the_upper_slots_left() {
    let mut world = World::new();
    world.prepared(1, 0);
    world.prepared(2, 1);
    world.begin(3, 1, 1);
    world.chunk(3, 0, 1);
    let mut command = attach_command(2, 0, None);
    command.parallelism = 1;
    let attached = world.attach(&command);
    assert_eq!(attached.leftovers, vec![txn(1), txn(2)]);
    assert_eq!(world.state(3), TransactionState::Aborted, "open ones end at once");
    assert_eq!(world.state(2), TransactionState::Prepared);
    assert_eq!(world.index.slot(&sink(), 1).unwrap().unwrap().writer_epoch, 2);
    world.open_by(2, 0);
    world.prepared(4, 0);
    assert_eq!(world.commit(&group(1, None, attached.incarnation, &[4])).superseded_events, 2);
    assert_eq!((world.state(1), world.state(2)), (TransactionState::Aborted, TransactionState::Aborted));
}

/// A group from before the downscale, restored with the job, does not: its upper slots' transactions are in groups that follow it.
#[test]
fn a_group_from_before_the_downscale_does_not() {
    let mut world = World::new();
    world.attach_as(1, None);
    world.prepared(1, 0);
    world.prepared(2, 1);
    let emitted = [group(1, None, 1, &[1]), group(2, Some(1), 1, &[2])];
    let mut command = attach_command(1, 1, Some(state(None, &emitted)));
    command.parallelism = 1;
    world.attach(&command);
    assert_eq!(world.commit(&emitted[0]).superseded_events, 0);
    assert_eq!(world.state(2), TransactionState::Prepared);
    world.commit(&emitted[1]);
    assert_eq!(world.state(2), TransactionState::Committed);
}

/// An upscale later opens the slots again, and a wider attach forgets the fences.
#[test]
fn fences_last_until_the_next_attach() {
    let mut world = World::new();
    world.prepared(1, 1);
    let mut command = attach_command(1, 0, None);
    command.parallelism = 1;
    world.attach(&command);
    assert_eq!(world.index.sink(&sink()).unwrap().unwrap().fences.len(), 1);
    let attached = world.attach_as(1, None);
    assert_eq!(world.index.sink(&sink()).unwrap().unwrap().fences, Vec::new());
    world.prepared(2, 0);
    assert_eq!(world.commit(&group(1, None, attached.incarnation, &[2])).superseded_events, 0);
    assert_eq!(world.state(1), TransactionState::Prepared);
}
