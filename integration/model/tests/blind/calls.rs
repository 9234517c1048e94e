//! Wrong answers: accepted without a right, refused with one, answered twice in different ways. The rules are right here, so what is
//! outside of them is spoilt: then the same answer is a wrong one.

use std::sync::Arc;

use sluice_model::{
    action::{Action, Late, PlainAction, PublicationAction},
    ids::Place,
    oracle::progress,
};

use super::history::{CONFIG, broken, committed, group, notified, play, restore, up_to_mint};

#[test]
fn a_commit_that_is_not_next_is_seen_and_one_that_is_refused() {
    let commit = Action::Commit(0, group(0, 1), false);
    let mut world = notified();
    world.chain = Arc::default();
    assert!(broken(&world, &commit).promise.starts_with("I12"));

    // A second job attaches: the first one's group is refused, and should not have been if it were next.
    let mut actions = vec![restore()];
    actions.extend(up_to_mint(1).into_iter().take(2));
    let mut world = play(
        &play(&committed(), &[Action::Write(0, 0), Action::Prepare(0, 0), Action::Barrier(0, 0), Action::Mint(0)]),
        &actions,
    );
    world = play(&world, &[Action::Complete(0, 2), Action::Notify(0)]);
    world.chain = Arc::new(vec![group(0, 2)]);
    assert!(broken(&world, &Action::Commit(0, group(0, 2), false)).promise.starts_with("I40"));
}

#[test]
fn another_answer_for_a_committed_group_is_seen() {
    let mut world = committed();
    let repeat = Action::Late(Late::Commit(group(0, 1)));
    assert!(world.act(&repeat, &CONFIG).is_none(), "the same answer changes nothing");
    Arc::make_mut(&mut world.committed)[0].answer.commit_seq += 1;
    assert!(broken(&world, &repeat).promise.starts_with("I7"));
}

#[test]
fn a_fenced_writer_that_is_heard_is_seen_and_a_rightful_one_that_is_not() {
    let mut world = committed();
    world.slots[0] = Some(7);
    assert!(broken(&world, &Action::Write(0, 0)).promise.starts_with("I11"));

    let mut world = play(&committed(), &[restore(), Action::OpenWriter(1, 0)]);
    world.slots[0] = Some(0);
    assert!(broken(&world, &Action::Write(0, 0)).promise.starts_with("I40"));
}

#[test]
fn a_repeat_that_does_something_is_seen() {
    // Block 1 of the open transaction has not been sent; its writer is made to believe so.
    let mut world = play(&committed(), &[Action::Write(0, 0)]);
    let txn = world.attempt(0).subtasks[0].current().unwrap().txn;
    let last = world.attempt_mut(0).subtasks[0].sent.last_mut().unwrap();
    last.records.push((0, 2));
    let found = broken(&world, &Action::Late(Late::Append(txn, 2)));
    assert!(found.promise.starts_with("I8"), "{found:?}");
}

#[test]
fn a_wrong_attach_is_seen_both_ways() {
    let attached = [restore(), Action::Read(1)];
    let mut world = play(&committed(), &attached);
    let stranger = sluice_model::world::Outcome { group: group(9, 9), ..world.committed[0].clone() };
    Arc::make_mut(&mut world.committed).push(stranger);
    assert!(
        broken(&world, &Action::Attach(1, false)).promise.starts_with("I14"),
        "it was taken, and a group is unknown to it"
    );

    // A group that the state does not know is committed, and nobody remembers.
    let on = [
        Action::Write(0, 0),
        Action::Prepare(0, 0),
        Action::Barrier(0, 0),
        Action::Mint(0),
        Action::Complete(0, 2),
        Action::Notify(0),
    ];
    let mut world = play(&committed(), &on);
    world = play(&world, &[Action::Commit(0, group(0, 2), false), restore(), Action::Read(1)]);
    assert!(world.act(&Action::Attach(1, false), &CONFIG).unwrap().violation.is_none(), "it is refused, and rightly");
    Arc::make_mut(&mut world.committed).pop();
    assert!(broken(&world, &Action::Attach(1, false)).promise.starts_with("I14"));

    let mut world = play(&committed(), &attached);
    world.attached += 1;
    assert!(broken(&world, &Action::Attach(1, false)).promise.starts_with("I14"), "a race was not seen");
}

#[test]
fn a_stalled_publisher_that_publishes_is_seen() {
    let place = Place { stream: 1, segment: 0 };
    let mut world = play(&committed(), &[Action::Publication(PublicationAction::Intend { place, short: false })]);
    world.publication.live.clear();
    assert!(broken(&world, &Action::Publication(PublicationAction::Publish(0))).promise.starts_with("I34"));

    let mut world = play(&committed(), &[Action::Publication(PublicationAction::Intend { place, short: false })]);
    let given_up = play(&world, &[Action::Publication(PublicationAction::GiveUp(0))]);
    world.ledger = given_up.ledger;
    assert!(broken(&world, &Action::Publication(PublicationAction::Publish(0))).promise.starts_with("I40"));
}

#[test]
fn a_file_with_other_events_is_seen() {
    let place = Place { stream: 1, segment: 0 };
    let mut world = play(&committed(), &[Action::Publication(PublicationAction::Intend { place, short: false })]);
    let content = Arc::make_mut(&mut world.publication.publishers[0].content);
    content[0].event = sluice_model::event::Event::Plain(9);
    assert!(broken(&world, &Action::Publication(PublicationAction::Publish(0))).promise.starts_with("I20"));
}

#[test]
fn a_plain_sequence_that_is_applied_twice_is_seen() {
    let world = play(
        &committed(),
        &[Action::Plain(PlainAction::Init), Action::Plain(PlainAction::Append { rows: 1, lost: false })],
    );
    assert!(world.act(&Action::Plain(PlainAction::Repeat), &CONFIG).is_none());
    assert!(world.act(&Action::Plain(PlainAction::Gap), &CONFIG).is_none());
    let mut behind = world.clone();
    behind.plain.applied = 0;
    assert!(broken(&behind, &Action::Plain(PlainAction::Init)).promise.starts_with("I22"));
    let mut wrong = world;
    wrong.plain.epoch = 2;
    assert!(broken(&wrong, &Action::Plain(PlainAction::Stale)).promise.starts_with("I11"));
}

#[test]
fn a_state_without_a_way_on_is_seen() {
    let world = committed();
    progress::drain(&world, &CONFIG).unwrap();
    let mut lost = world.clone();
    lost.snapshots = Arc::default();
    assert!(progress::drain(&lost, &CONFIG).is_err(), "no snapshot knows what is committed");
    let mut forgotten = notified();
    let snapshot = Arc::make_mut(Arc::make_mut(&mut forgotten.snapshots).get_mut(&(0, 1)).unwrap());
    snapshot.committables.clear();
    assert!(progress::drain(&forgotten, &CONFIG).is_err(), "a group is in the chain, and no committer has it");
}
