//! Reader groups (§3.10; I28, I29, I30).

use sluice_proto::storage::v1::ReaderGroup;
use sluice_schema::{ids::StreamId, names::StreamName};

use super::fixture::{STREAM, World, block, name, new_stream, says, stream_name};
use crate::protocol::{
    CHECKPOINTS_KEPT, ErrorClass, ErrorReason, Outcome, Refusal, events,
    groups::{Positions, checkpoint, checkpoints, create, delete, require, reset, update},
    streams,
};

/// A group `s/g` over the stream, whose segments hold 10 events each.
fn world() -> World {
    let mut world = World::new();
    for number in 0..2 {
        let into = sluice_schema::ids::SegmentNumber::new(number);
        world.ok(|draft, now| events::append(draft, STREAM, &[], vec![(into, block(10, 1))], now));
    }
    assert!(world.ok(|draft, now| create(draft, &name("s"), &name("g"), &[STREAM], &Positions::new(), now)));
    world
}

fn at(offsets: &[(u32, u64)]) -> Positions {
    Positions::from([(STREAM, offsets.iter().copied().collect())])
}

fn offsets(world: &mut World) -> Vec<u64> {
    group(world).positions[0].offsets.clone()
}

fn group(world: &mut World) -> ReaderGroup {
    world.ok(|draft, _| require(draft, &name("s"), &name("g")))
}

fn move_to(world: &mut World, generation: u64, positions: &Positions) -> Outcome<()> {
    world.run(|draft, now| update(draft, &name("s"), &name("g"), generation, positions, now))
}

#[track_caller]
fn not_moved(world: &mut World, generation: u64, positions: &Positions) -> Refusal {
    world.refused(|draft, now| update(draft, &name("s"), &name("g"), generation, positions, now))
}

#[test]
fn a_group_starts_at_the_heads_or_where_it_is_told() {
    let mut world = world();
    assert_eq!((offsets(&mut world), group(&mut world).generation), (vec![0, 0], 1));
    assert!(
        !world.ok(|draft, now| create(draft, &name("s"), &name("g"), &[STREAM], &at(&[(0, 5)]), now)),
        "it is there"
    );
    assert_eq!(offsets(&mut world), vec![0, 0]);
    assert!(world.ok(|draft, now| create(draft, &name("s"), &name("h"), &[STREAM], &at(&[(1, 5)]), now)));
    let other = world.ok(|draft, _| require(draft, &name("s"), &name("h")));
    assert_eq!(other.positions[0].offsets, vec![0, 5]);
}

#[test]
fn groups_that_cannot_be_are_refused() {
    let mut world = world();
    let mut new = |scope: &str, group: &str, over: &[StreamId], positions: &Positions| {
        world.refused(|draft, now| create(draft, &name(scope), &name(group), over, positions, now))
    };
    says(&new("s", "x", &[], &at(&[])), ErrorClass::InvalidArgument, ErrorReason::BadRequest);
    says(&new("nowhere", "x", &[STREAM], &at(&[])), ErrorClass::NotFound, ErrorReason::UnknownScope);
    says(&new("s", "x", &[StreamId::new(9)], &Positions::new()), ErrorClass::NotFound, ErrorReason::UnknownStream);
    let beyond = new("s", "x", &[STREAM], &at(&[(0, 11)]));
    says(&beyond, ErrorClass::InvalidArgument, ErrorReason::BeyondEnd);
    assert_eq!(beyond.detail.expected, Some(10));
    says(&new("s", "x", &[STREAM], &at(&[(2, 0)])), ErrorClass::NotFound, ErrorReason::UnknownSegment);
    let elsewhere = Positions::from([(StreamId::new(9), Default::default())]);
    says(&new("s", "x", &[STREAM], &elsewhere), ErrorClass::InvalidArgument, ErrorReason::BadRequest);
    let second = StreamName::parse("s/u").unwrap();
    let (other, _) = world.ok(|draft, now| streams::create_stream(draft, &second, &new_stream(1), now));
    let refusal = world.refused(|draft, now| create(draft, &name("s"), &name("g"), &[other], &Positions::new(), now));
    says(&refusal, ErrorClass::Conflict, ErrorReason::AlreadyExists);
}

#[test]
fn positions_move_forward_under_the_present_generation() {
    let mut world = world();
    move_to(&mut world, 1, &at(&[(0, 4)])).unwrap();
    move_to(&mut world, 1, &at(&[(0, 4), (1, 10)])).unwrap();
    assert_eq!(offsets(&mut world), vec![4, 10]);
    let back = not_moved(&mut world, 1, &at(&[(0, 3), (1, 10)]));
    says(&back, ErrorClass::Conflict, ErrorReason::BadRequest);
    assert_eq!(back.detail.expected, Some(4));
    says(&not_moved(&mut world, 1, &at(&[(0, 11)])), ErrorClass::InvalidArgument, ErrorReason::BeyondEnd);
    for generation in [0, 2] {
        let stale = not_moved(&mut world, generation, &at(&[(0, 5)]));
        says(&stale, ErrorClass::Fenced, ErrorReason::StaleEpoch);
        assert_eq!(stale.detail.current, Some(1));
    }
    assert_eq!(offsets(&mut world), vec![4, 10]);
}

#[test]
fn a_reset_moves_anywhere_and_fences_the_readers_before() {
    let mut world = world();
    move_to(&mut world, 1, &at(&[(0, 9)])).unwrap();
    let after = world.ok(|draft, now| reset(draft, &name("s"), &name("g"), &at(&[(0, 2)]), now));
    assert_eq!((after.generation, after.positions[0].offsets.clone()), (2, vec![2, 0]));
    says(&not_moved(&mut world, 1, &at(&[(0, 9)])), ErrorClass::Fenced, ErrorReason::StaleEpoch);
    move_to(&mut world, 2, &at(&[(0, 3)])).unwrap();
}

#[test]
fn checkpoints_are_recorded_once_and_the_last_hundred_are_kept() {
    let mut world = world();
    let record = |world: &mut World, id: u64, positions: &Positions| {
        world.run(|draft, now| checkpoint(draft, &name("s"), &name("g"), id, positions, now))
    };
    let first = record(&mut world, 1, &at(&[(0, 1)])).unwrap();
    assert_eq!((first.checkpoint, offsets(&mut world)), (1, vec![1, 0]));
    move_to(&mut world, 1, &at(&[(0, 8)])).unwrap();
    assert_eq!(record(&mut world, 1, &Positions::new()).unwrap(), first, "a repeat answers the same");
    assert_eq!(offsets(&mut world), vec![8, 0], "and moves nothing");
    let refusal = world.refused(|draft, now| checkpoint(draft, &name("s"), &name("g"), 1, &at(&[(0, 2)]), now));
    says(&refusal, ErrorClass::Conflict, ErrorReason::AlreadyExists);
    // A clock that goes back does not reorder them.
    world.now -= 1_000_000;
    for id in 2..=CHECKPOINTS_KEPT as u64 + 5 {
        record(&mut world, id, &Positions::new()).unwrap();
        world.now -= 7;
    }
    let kept = world.ok(|draft, _| checkpoints(draft, &name("s"), &name("g")));
    let ids: Vec<u64> = kept.iter().map(|(_, kept)| kept.checkpoint).collect();
    assert_eq!(ids, (6..=CHECKPOINTS_KEPT as u64 + 5).collect::<Vec<_>>());
    assert_eq!(group(&mut world).last_checkpoint, ids.last().copied());
}

#[test]
fn a_group_that_is_not_there_is_told() {
    let mut world = world();
    world.ok(|draft, now| checkpoint(draft, &name("s"), &name("g"), 1, &Positions::new(), now));
    world.ok(|draft, _| delete(draft, &name("s"), &name("g")));
    world.ok(|draft, _| delete(draft, &name("s"), &name("g")));
    says(&not_moved(&mut world, 1, &at(&[])), ErrorClass::NotFound, ErrorReason::UnknownReaderGroup);
    let refusal = world.refused(|draft, now| reset(draft, &name("s"), &name("g"), &at(&[]), now));
    says(&refusal, ErrorClass::NotFound, ErrorReason::UnknownReaderGroup);
    let refusal = world.refused(|draft, now| checkpoint(draft, &name("s"), &name("g"), 2, &at(&[]), now));
    says(&refusal, ErrorClass::NotFound, ErrorReason::UnknownReaderGroup);
    assert!(world.ok(|draft, _| checkpoints(draft, &name("s"), &name("g"))).is_empty(), "its checkpoints went with it");
    world.ok(|draft, _| streams::delete_stream(draft, &stream_name()));
}
