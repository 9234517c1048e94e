//! Wrong data: doubled, missing, torn, out of order, altered.

use std::{collections::BTreeMap, sync::Arc};

use sluice_model::{
    event::{Event, Record},
    ids::Place,
    oracle::{self, exactly_once, exactly_once::Visible, positions, restore},
    setup,
    world::{Line, Seen, Violation},
};

use super::history::{CONFIG, committed, notified};

const FIRST: Place = Place { stream: 0, segment: 0 };
const SECOND: Place = Place { stream: 1, segment: 0 };

fn record(split: u8, number: u8, attempt: u8) -> Event {
    Event::Record(Record { line: 0, split, number, attempt })
}

fn seen(events: &[Event]) -> Vec<Seen> {
    (1..).zip(events).map(|(commit_seq, event)| Seen { commit_seq, event: *event }).collect()
}

/// Both streams, one line of two splits that is committed up to (2, 1).
fn check(first: &[Event], second: &[Event], plain: u32, forked: bool) -> Option<Violation> {
    let visible: Visible = BTreeMap::from([(FIRST, seen(first)), (SECOND, seen(second))]);
    exactly_once::check(&visible, &[Line { start: vec![0, 0], forked }], &[vec![2, 1]], plain)
}

#[test]
fn only_what_the_committed_checkpoints_cover_is_right() {
    let right = [record(0, 0, 0), record(1, 0, 0), record(0, 1, 1)];
    let plain = [Event::Plain(1), right[0], right[1], Event::Plain(2), right[2]];
    assert_eq!(check(&right, &right, 0, false), None);
    assert_eq!(check(&plain, &right, 2, false), None);

    let doubled = [right[0], right[1], record(0, 0, 1), right[2]];
    let missing = [right[0], right[1]];
    let gap = [right[1], right[2]];
    let swapped = [right[2], right[1], right[0]];
    let beyond = [right[0], right[1], right[2], record(1, 1, 1)];
    let ghost = [right[0], right[1], right[2], Event::Record(Record { line: 5, split: 0, number: 0, attempt: 0 })];
    for wrong in [&doubled[..], &missing, &gap, &swapped, &beyond, &ghost] {
        assert!(check(wrong, &right, 0, false).is_some(), "{wrong:?}");
        assert!(check(&right, wrong, 0, false).is_some(), "torn over streams: {wrong:?}");
    }
}

#[test]
fn plain_events_are_counted() {
    let right = [record(0, 0, 0), record(1, 0, 0), record(0, 1, 1)];
    let with = |plain: &[u32]| {
        let mut events: Vec<Event> = plain.iter().map(|seq| Event::Plain(*seq)).collect();
        events.extend(right);
        events
    };
    assert_eq!(check(&with(&[1, 2]), &right, 2, false), None);
    for (wrong, applied) in [(&[1, 1][..], 1), (&[2, 1], 2), (&[1, 3], 3), (&[1], 2), (&[1, 2], 1)] {
        assert!(check(&with(wrong), &right, applied, false).is_some(), "{wrong:?} of {applied}");
    }
}

/// Where an operator agreed to duplicates, one transaction's event is visible once all the same.
#[test]
fn a_fork_excuses_other_attempts_only() {
    let agreed = [record(0, 0, 0), record(0, 0, 1)];
    assert_eq!(check(&agreed, &agreed, 0, true), None);
    let twice = [record(0, 0, 0), record(0, 0, 0)];
    assert!(check(&twice, &agreed, 0, true).is_some());
}

#[test]
fn positions_stay_and_grow_by_one_commit() {
    let before = seen(&[record(0, 0, 0), record(0, 1, 0)]);
    let mut after = before.clone();
    after.extend([Seen { commit_seq: 3, event: record(0, 2, 0) }, Seen { commit_seq: 3, event: record(0, 3, 0) }]);
    assert_eq!(positions::compare(FIRST, &before, &after, 2), None);

    assert!(positions::compare(FIRST, &after, &before, 2).is_some(), "an event went away");
    let mut altered = after.clone();
    altered[0].event = record(1, 0, 0);
    assert!(positions::compare(FIRST, &before, &altered, 2).is_some());
    let mut torn = after.clone();
    torn[3].commit_seq = 4;
    assert!(positions::compare(FIRST, &before, &torn, 2).is_some(), "two commits at once");
    assert!(positions::compare(FIRST, &before, &after, 3).is_some(), "a commit of the past");
}

/// The whole world is judged, not only its parts.
#[test]
fn a_world_is_held_against_its_data() {
    let world = committed();
    let mut spoilt = world.clone();
    for seen in Arc::make_mut(&mut spoilt.seen).values_mut() {
        seen.clear();
    }
    assert!(oracle::judge(&spoilt).is_some(), "a committed group is not visible");
    let mut spoilt = world.clone();
    spoilt.committed = Arc::default();
    assert!(oracle::judge(&spoilt).is_some(), "an event is visible, and no group is committed");
    let mut spoilt = world;
    spoilt.plain.applied = 1;
    assert!(oracle::judge(&spoilt).is_some(), "a plain event was applied and is not visible");
}

/// The transaction of a complete checkpoint is not there any more.
#[test]
fn a_restorable_state_that_lost_something_is_seen() {
    let mut world = notified();
    assert_eq!(restore::still_restorable(&world), None);
    world.ledger = setup::store(&CONFIG).unwrap();
    assert!(restore::still_restorable(&world).is_some());
}
