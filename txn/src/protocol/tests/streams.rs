//! Scopes and streams.

use sluice_proto::gateway::v1 as wire;
use sluice_schema::names::{SinkName, StreamName};

use super::fixture::{STREAM, World, block, name, new_stream, run, says, segment, stream_name};
use crate::{
    key::{Key, KeySpan},
    ledger::{Direction, Records as _},
    protocol::{
        ErrorClass, ErrorReason, SEGMENTS_MAX, events, groups,
        streams::{NewStream, create_scope, create_stream, delete_scope, delete_stream, seal_stream},
        transactions,
    },
};

fn schema(column: &str) -> wire::Schema {
    wire::Schema { fields: vec![wire::Field { name: column.into(), ..Default::default() }] }
}

#[test]
fn creating_again_changes_nothing() {
    let mut world = World::new();
    let before = world.content();
    assert!(!world.ok(|draft, now| create_scope(draft, &name("s"), now + 5)));
    assert_eq!(world.ok(|draft, now| create_stream(draft, &stream_name(), &new_stream(2), now + 5)), (STREAM, false));
    assert_eq!(world.content(), before);
}

#[test]
fn segments_share_the_key_space() {
    let mut world = World::new();
    let odd = StreamName::parse("s/odd").unwrap();
    let (id, _) = world.ok(|draft, now| create_stream(draft, &odd, &new_stream(3), now));
    assert_eq!(id.get(), 2);
    let segments = world.index.segments(id).unwrap();
    assert_eq!(segments.len(), 3);
    assert_eq!((segments[0].1.key_first, segments[2].1.key_end), (0, 0));
    assert!(segments.windows(2).all(|pair| pair[0].1.key_end == pair[1].1.key_first));
}

#[test]
fn settings_that_differ_are_refused() {
    let mut world = World::new();
    let mut again = |new: &NewStream| world.refused(|draft, now| create_stream(draft, &stream_name(), new, now));
    says(&again(&new_stream(3)), ErrorClass::Conflict, ErrorReason::AlreadyExists);
    let keyed = NewStream { routing_key: vec!["key".into()], ..new_stream(2) };
    says(&again(&keyed), ErrorClass::Conflict, ErrorReason::AlreadyExists);
    let typed = NewStream { schema: Some(schema("a")), ..new_stream(2) };
    says(&again(&typed), ErrorClass::Conflict, ErrorReason::SchemaMismatch);
    let other = StreamName::parse("s/typed").unwrap();
    world.ok(|draft, now| create_stream(draft, &other, &typed, now));
    assert!(!world.ok(|draft, now| create_stream(draft, &other, &typed, now)).1);
    let changed = NewStream { schema: Some(schema("b")), ..new_stream(2) };
    let refusal = world.refused(|draft, now| create_stream(draft, &other, &changed, now));
    says(&refusal, ErrorClass::Conflict, ErrorReason::SchemaMismatch);
}

#[test]
fn limits_hold() {
    let mut world = World::new();
    let fresh = StreamName::parse("s/new").unwrap();
    let labels = |count: usize, bytes: usize| (0..count).map(|n| (format!("{n:04}"), "x".repeat(bytes))).collect();
    for bad in [
        new_stream(0),
        new_stream(SEGMENTS_MAX + 1),
        NewStream { labels: labels(65, 1), ..new_stream(1) },
        NewStream { labels: labels(1, 4093), ..new_stream(1) },
    ] {
        let refusal = world.refused(|draft, now| create_stream(draft, &fresh, &bad, now));
        says(&refusal, ErrorClass::InvalidArgument, ErrorReason::BadRequest);
    }
    let largest = NewStream { labels: labels(64, 4092), ..new_stream(SEGMENTS_MAX) };
    world.ok(|draft, now| create_stream(draft, &fresh, &largest, now));
    let nowhere = StreamName::parse("nowhere/t").unwrap();
    let refusal = world.refused(|draft, now| create_stream(draft, &nowhere, &new_stream(1), now));
    says(&refusal, ErrorClass::NotFound, ErrorReason::UnknownScope);
}

#[test]
fn a_sealed_stream_tells_where_it_ends() {
    let mut world = World::new();
    let into = sluice_schema::ids::SegmentNumber::new(1);
    world.ok(|draft, now| events::append(draft, STREAM, &[], vec![(into, block(4, 1))], now));
    for _ in 0..2 {
        let ends = world.ok(|draft, _| seal_stream(draft, &stream_name()));
        assert_eq!(ends, vec![(segment(0), 0), (segment(1), 4)]);
    }
    let unknown = StreamName::parse("s/none").unwrap();
    let refusal = world.refused(|draft, _| seal_stream(draft, &unknown));
    says(&refusal, ErrorClass::NotFound, ErrorReason::UnknownStream);
}

#[test]
fn a_deleted_stream_leaves_nothing_and_its_number_is_not_used_again() {
    let mut world = World::new();
    let into = sluice_schema::ids::SegmentNumber::new(1);
    world.ok(|draft, now| events::append(draft, STREAM, &[], vec![(into, block(4, 1))], now));
    world.ok(|draft, _| events::init_writer(draft, &stream_name(), &name("w")));
    assert_eq!(world.ok(|draft, _| delete_stream(draft, &stream_name())), STREAM);
    for span in [KeySpan::segments_of(STREAM), KeySpan::extents_of(STREAM), KeySpan::streams()] {
        let mut left = 0;
        let count = crate::ledger::View::scan(&world.index, &span, Direction::Ascending, &mut |_, _| {
            left += 1;
            true
        });
        count.unwrap();
        assert_eq!(left, 0);
    }
    let writer: Option<sluice_proto::storage::v1::Writer> =
        world.index.record(&Key::WriterByName(STREAM, name("w"))).unwrap();
    assert_eq!(writer, None);
    let refusal = world.refused(|draft, _| delete_stream(draft, &stream_name()));
    says(&refusal, ErrorClass::NotFound, ErrorReason::UnknownStream);
    let (again, new) = world.ok(|draft, now| create_stream(draft, &stream_name(), &new_stream(1), now));
    assert_eq!((again.get(), new), (2, true));
}

#[test]
fn only_an_empty_scope_goes() {
    let mut world = World::new();
    let refuse = |world: &mut World| {
        let refusal = world.refused(|draft, _| delete_scope(draft, &name("s")));
        says(&refusal, ErrorClass::Conflict, ErrorReason::ScopeNotEmpty);
    };
    refuse(&mut world);
    world.ok(|draft, now| groups::create(draft, &name("s"), &name("g"), &[STREAM], &Default::default(), now));
    world.ok(|draft, _| delete_stream(draft, &stream_name()));
    refuse(&mut world);
    world.ok(|draft, _| groups::delete(draft, &name("s"), &name("g")));
    world.ok(|draft, _| delete_scope(draft, &name("s")));
    let refusal = world.refused(|draft, _| delete_scope(draft, &name("s")));
    says(&refusal, ErrorClass::NotFound, ErrorReason::UnknownScope);
    world.ok(|draft, now| create_scope(draft, &name("s"), now));
    let sink = SinkName::parse_parts("s", "job").unwrap();
    world.ok(|draft, now| transactions::open_writer(draft, &sink, 0, 1, run(1), now));
    refuse(&mut world);
}
