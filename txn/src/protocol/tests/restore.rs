//! AttachSink with state: what a restored job may do with the sink's history (§3.7; I13, I14, I15).

use sluice_proto::storage::v1::{AbortReason, Group, TransactionState};
use sluice_schema::{ids::TimelineId, names::SinkName};
use uuid::Uuid;

use super::fixture::{World, attach_command, group, group_id, run, says, sink, state, txn};
use crate::{
    ledger::Records as _,
    protocol::{
        ErrorClass, ErrorReason,
        attach::{self, Restored},
        transactions::{self, bump_slot},
    },
};

/// Groups 1 to `count` of one member each, minted under incarnation 1, in slot 0 by one epoch; none committed.
fn emitted(world: &mut World, count: u128) -> Vec<Group> {
    world.attach_as(1, None);
    let mut groups = Vec::new();
    for number in 1..=count {
        world.prepared(number, 0);
        groups.push(group(number, (number > 1).then_some(number - 1), 1, &[number]));
    }
    groups
}

fn accepting(world: &World, restored: Restored) -> attach::Command {
    attach::Command { accept_duplicates: true, ..attach_command(1, world.incarnation(), Some(restored)) }
}

#[test]
fn the_head_is_the_base_or_one_of_the_emitted() {
    for committed in 0..=3 {
        let mut world = World::new();
        let groups = emitted(&mut world, 3);
        world.commit_all(&groups[..committed]);
        let attached = world.attach_as(1, Some(state(None, &groups)));
        assert_eq!(attached.head, (committed > 0).then(|| group_id(committed as u128)));
        assert_eq!(attached.pending, &groups[committed..]);
        assert_eq!(attached.leftovers, Vec::new());
        world.commit_all(&groups);
        assert_eq!(world.extents(0).len(), 3, "each event once");
        let attached = world.attach_as(1, Some(state(Some(3), &[])));
        assert_eq!((attached.head, attached.pending.len()), (Some(group_id(3)), 0));
    }
}

#[test]
fn committing_takes_groups_off_the_list() {
    let mut world = World::new();
    let groups = emitted(&mut world, 2);
    world.attach_as(1, Some(state(None, &groups)));
    world.commit(&groups[0]);
    assert_eq!(world.index.sink(&sink()).unwrap().unwrap().emitted, &groups[1..]);
    world.commit(&groups[1]);
    assert_eq!(world.index.sink(&sink()).unwrap().unwrap().emitted, Vec::new());
}

#[test]
fn an_older_savepoint_is_refused_and_told_what_it_would_double() {
    let mut world = World::new();
    let groups = emitted(&mut world, 3);
    world.commit_all(&groups);
    for (restored, unknown, oldest) in
        [(state(None, &groups[..1]), "2", "2"), (state(Some(1), &[]), "2", "2"), (state(None, &[]), "3", "1")]
    {
        let refusal = world.attach_refused(&attach_command(1, 1, Some(restored)));
        says(&refusal, ErrorClass::Rejected, ErrorReason::ForkedHistory);
        let fact = |name: &str| refusal.detail.facts[name].as_str();
        assert_eq!((fact("groups"), fact("events")), (unknown, unknown));
        assert_eq!((fact("oldest_checkpoint"), fact("newest_checkpoint")), (oldest, "3"));
    }
    assert_eq!(world.incarnation(), 1, "a refused attach fences nobody");
}

#[test]
fn accepting_duplicates_goes_on_from_the_head() {
    let mut world = World::new();
    let groups = emitted(&mut world, 3);
    world.commit_all(&groups);
    let command = accepting(&world, state(None, &groups[..1]));
    let attached = world.attach(&command);
    assert_eq!((attached.head, attached.pending.len()), (Some(group_id(3)), 0), "what is committed is not pending");
    assert!(world.index.sink(&sink()).unwrap().unwrap().accepted_duplicates);
    world.open(0);
    world.prepared(4, 0);
    world.commit(&group(4, Some(3), 2, &[4]));
}

/// The state holds groups that were never committed, off a branch that another job overtook: they follow the head, in their order.
#[test]
fn accepting_duplicates_moves_uncommitted_groups_behind_the_head() {
    let mut world = World::new();
    world.attach_as(1, None);
    world.prepared(1, 0);
    let base = group(1, None, 1, &[1]);
    world.commit(&base);
    world.prepared(2, 1);
    world.prepared(3, 1);
    let branch = [group(2, Some(1), 1, &[2]), group(3, Some(2), 1, &[3])];
    world.attach_as(2, None);
    world.open_by(2, 0);
    world.prepared(4, 0);
    world.commit(&group(4, Some(1), 2, &[4]));

    let refusal = world.attach_refused(&attach_command(1, 2, Some(state(Some(1), &branch))));
    says(&refusal, ErrorClass::Rejected, ErrorReason::ForkedHistory);
    let command = accepting(&world, state(Some(1), &branch));
    let attached = world.attach(&command);
    let prevs: Vec<_> = attached.pending.iter().map(|group| group.prev_group.clone()).collect();
    assert_eq!(prevs, vec![group_id(4).to_bytes(), group_id(2).to_bytes()]);
    says(&world.commit_refused(&branch[1]), ErrorClass::Retriable, ErrorReason::OutOfOrder);
    // Flink's committer sends them as they were minted: the re-based link counts.
    world.commit_all(&branch);
    assert_eq!(world.index.group(group_id(2)).unwrap().unwrap().prev_group, group_id(4).to_bytes());
    world.open(0);
    world.prepared(5, 0);
    world.commit(&group(5, Some(3), 3, &[5]));
}

#[test]
fn a_state_that_knows_more_than_the_store_is_refused() {
    let mut world = World::new();
    let groups = emitted(&mut world, 1);
    let other = TimelineId::new(Uuid::from_u128(5));
    let unknown_member = group(7, None, 1, &[77]);
    for restored in [
        Restored { timeline: Some(other), ..state(None, &groups) },
        state(Some(9), &groups),
        state(None, &[unknown_member]),
    ] {
        let refusal = world.attach_refused(&attach_command(1, 1, Some(restored.clone())));
        says(&refusal, ErrorClass::Rejected, ErrorReason::MetadataRolledBack);
        let command = accepting(&world, restored);
        let refusal = world.attach_refused(&command);
        says(&refusal, ErrorClass::Rejected, ErrorReason::MetadataRolledBack);
    }
    world.attach_as(1, Some(Restored { timeline: None, ..state(None, &groups) }));
}

#[test]
fn a_state_whose_transaction_is_gone_is_refused_before_one_record() {
    let mut world = World::new();
    let groups = emitted(&mut world, 2);
    world.open(0);
    world.prepared(3, 0);
    world.commit(&group(9, None, 1, &[3]));
    assert_eq!(world.state(1), TransactionState::Aborted);
    for command in [attach_command(1, 1, Some(state(None, &groups))), accepting(&world, state(None, &groups))] {
        let refusal = world.attach_refused(&command);
        says(&refusal, ErrorClass::Rejected, ErrorReason::LostTransaction);
        assert_eq!(refusal.detail.abort_reason, "SUPERSEDED");
        assert!(refusal.message.contains(&txn(1).to_string()), "{}", refusal.message);
    }
}

/// An operator aborted a member by hand: the same refusal, with his reason.
#[test]
fn an_operators_abort_is_told() {
    let mut world = World::new();
    let groups = emitted(&mut world, 1);
    world.ok(|draft, now| {
        let transaction = transactions::require(draft, txn(1))?;
        transactions::end_aborted(draft, &sink(), txn(1), transaction, AbortReason::Operator, now)
    });
    let refusal = world.attach_refused(&attach_command(1, 1, Some(state(None, &groups))));
    says(&refusal, ErrorClass::Rejected, ErrorReason::LostTransaction);
    assert_eq!(refusal.detail.abort_reason, "OPERATOR");
}

#[test]
fn malformed_members_are_refused() {
    let mut world = World::new();
    let mut groups = emitted(&mut world, 1);
    groups[0].members[0] = bytes::Bytes::from_static(b"short");
    let refusal = world.attach_refused(&attach_command(1, 1, Some(state(None, &groups))));
    says(&refusal, ErrorClass::InvalidArgument, ErrorReason::BadRequest);
}

/// Restoring twice from the same savepoint: its groups answer as committed, and it is refused once the first went on.
#[test]
fn the_same_savepoint_twice() {
    let mut world = World::new();
    let groups = emitted(&mut world, 1);
    world.attach_as(2, Some(state(None, &groups)));
    let first = world.commit(&groups[0]);
    world.attach_as(3, Some(state(None, &groups)));
    assert_eq!(world.commit(&groups[0]), first);
    world.open_by(3, 0);
    world.prepared(5, 0);
    world.commit(&group(5, Some(1), 3, &[5]));
    let refusal = world.attach_refused(&attach_command(4, 3, Some(state(None, &groups))));
    says(&refusal, ErrorClass::Rejected, ErrorReason::ForkedHistory);
}

/// Slots at or above the new parallelism end: their open transactions at once, their writers for good.
#[test]
fn a_restore_with_fewer_subtasks_fences_the_upper_slots() {
    let mut world = World::new();
    let groups = emitted(&mut world, 1);
    world.open(1);
    world.begin(20, 1, 1);
    world.chunk(20, 0, 1);
    world.begin(21, 0, 1);
    let command = attach::Command { parallelism: 1, ..attach_command(1, 1, Some(state(None, &groups))) };
    world.attach(&command);
    assert_eq!((world.state(20), world.state(21)), (TransactionState::Aborted, TransactionState::Open));
    let zombie = world.refused(|draft, now| transactions::begin(draft, txn(22), &sink(), 1, 1, now));
    says(&zombie, ErrorClass::Fenced, ErrorReason::StaleEpoch);
    world.commit(&groups[0]);
}

/// A sink touches nothing of another (I17).
#[test]
fn sinks_are_apart() {
    let mut world = World::new();
    let groups = emitted(&mut world, 1);
    let other = SinkName::parse_parts("s", "other").unwrap();
    world.ok(|draft, now| bump_slot(draft, &other, 0, run(9), now));
    world.ok(|draft, now| attach::attach(draft, &other, &attach_command(9, 0, None), now));
    assert_eq!(world.incarnation(), 1);
    assert_eq!(world.state(1), TransactionState::Prepared);
    world.commit(&groups[0]);
    assert_eq!(world.index.sink(&other).unwrap().unwrap().head_group, bytes::Bytes::new());
}
