//! CommitGroup (§3.6; I5, I7, I8, I9, I13, I17, I19).

use bytes::Bytes;
use sluice_proto::storage::v1::{AbortReason, Group, SinkRun, TransactionState};
use sluice_schema::{
    ids::{ClusterId, TimelineId},
    names::{SinkName, StreamName},
};
use uuid::Uuid;

use super::fixture::{
    CLUSTER, TIMELINE, World, group, group_id, name, new_stream, run, says, segment, sink, stream_name, txn,
};
use crate::{
    key::Key,
    ledger::Records as _,
    protocol::{
        ErrorClass, ErrorReason, GROUP_MEMBERS_MAX,
        commit::{Committed, commit_group},
        streams,
        transactions::{self, abort},
    },
};

fn other_sink() -> SinkName {
    SinkName::parse_parts("s", "other").unwrap()
}

#[test]
fn a_group_becomes_visible_at_once_in_member_order() {
    let mut world = World::new();
    world.open(0);
    world.open(1);
    for (number, subtask) in [(1, 0), (2, 1)] {
        world.begin(number, subtask, 1);
        world.chunk(number, 0, 2);
        world.chunk(number, 1, 3);
        world.chunk(number, 0, 5);
        world.prepare(number);
    }
    world.now += 50;
    let committed = world.commit(&group(1, None, 0, &[2, 1]));
    assert_eq!(committed, Committed { commit_seq: 1, commit_ms: world.now, events: 20, superseded_events: 0 });
    let order = |number| -> Vec<(u64, u32)> {
        let crc =
            |extent: &sluice_proto::storage::v1::Extent| extent.block.as_ref().unwrap().at.as_ref().unwrap().crc32c;
        world.extents(number).iter().map(|(base, extent)| (*base, crc(extent))).collect()
    };
    assert_eq!(order(0), vec![(0, 2000), (2, 2002), (7, 1000), (9, 1002)], "by member as listed, then by seq");
    assert_eq!(order(1), vec![(0, 2001), (3, 1001)]);
    assert!(world.extents(0).iter().all(|(_, extent)| (extent.commit_seq, extent.commit_ms) == (1, world.now)));
    assert_eq!(world.index.segment(segment(0)).unwrap().unwrap().next_offset, 14);
    for number in [1, 2] {
        let known = world.transaction(number);
        assert_eq!((known.state(), known.commit_seq), (TransactionState::Committed, 1));
        assert_eq!(known.group_id, group_id(1).to_bytes());
        assert_eq!(world.chunks(number), Vec::new());
    }
    assert_eq!(world.index.sink(&sink()).unwrap().unwrap().head_group, group_id(1).to_bytes());
    let of_run: SinkRun = world.index.record(&Key::SinkRun(sink(), run(1).uuid())).unwrap().unwrap();
    assert_eq!(of_run.group_id, group_id(1).to_bytes());
    assert_eq!(world.index.cluster().unwrap().last_commit_seq, 1);
}

/// One group over two streams: one commit.
#[test]
fn a_group_spans_streams() {
    let mut world = World::new();
    let second = StreamName::parse("s/u").unwrap();
    let (id, _) = world.ok(|draft, now| streams::create_stream(draft, &second, &new_stream(1), now));
    world.open(0);
    world.begin(1, 0, 1);
    world.chunk(1, 0, 1);
    let into = sluice_schema::ids::SegmentId::new(id, sluice_schema::ids::SegmentNumber::new(0));
    world.ok(|draft, now| transactions::append(draft, txn(1), 1, into, super::fixture::block(4, 7), now));
    world.prepare(1);
    let reach = |world: &World, id| {
        let record = world.index.segment(id).unwrap().unwrap();
        (record.next_offset, record.unpublished_bytes)
    };
    assert_eq!((reach(&world, into), reach(&world, segment(0))), ((0, 0), (0, 0)), "nothing counts before the commit");
    assert_eq!(world.commit(&group(1, None, 0, &[1])).events, 5);
    assert_eq!((reach(&world, into), reach(&world, segment(0))), ((4, 400), (1, 100)));
}

#[test]
fn a_repeat_answers_as_the_first_time_for_ever() {
    let mut world = World::new();
    (1..=3).for_each(|number| world.prepared(number, 0));
    let first = world.commit(&group(1, None, 0, &[1]));
    world.now += 1_000_000;
    assert_eq!(world.commit(&group(1, None, 0, &[1])), first);
    world.commit(&group(2, Some(1), 0, &[2]));
    let before = world.content();
    assert_eq!(world.commit(&group(1, None, 0, &[1])), first, "after later commits");
    assert_eq!(world.content(), before);
    world.attach_as(5, None);
    world.open_by(5, 0);
    assert_eq!(world.commit(&group(1, None, 0, &[1])), first, "after its job was fenced");
    let other = world.commit_refused(&group(1, None, 0, &[1, 3]));
    says(&other, ErrorClass::Rejected, ErrorReason::GroupMismatch);
    let refusal = world
        .refused(|draft, now| commit_group(draft, &other_sink(), &group(1, None, 0, &[1]), CLUSTER, TIMELINE, now));
    says(&refusal, ErrorClass::Rejected, ErrorReason::GroupMismatch);
}

#[test]
fn times_grow_by_one_at_least_from_commit_to_commit() {
    let mut world = World::new();
    (1..=3).for_each(|number| world.prepared(number, 0));
    let first = world.commit(&group(1, None, 0, &[1]));
    let second = world.commit(&group(2, Some(1), 0, &[2]));
    assert_eq!((second.commit_seq, second.commit_ms), (2, first.commit_ms + 1));
    world.now = 0;
    assert_eq!(world.commit(&group(3, Some(2), 0, &[3])).commit_ms, first.commit_ms + 2, "a clock that goes back");
}

#[test]
fn groups_commit_in_the_order_of_their_chain() {
    let mut world = World::new();
    (1..=4).for_each(|number| world.prepared(number, 0));
    let early = world.commit_refused(&group(2, Some(1), 0, &[2]));
    says(&early, ErrorClass::Retriable, ErrorReason::OutOfOrder);
    assert_eq!(early.detail.facts["head"], "none");
    world.commit(&group(1, None, 0, &[1]));
    world.commit(&group(2, Some(1), 0, &[2]));
    for prev in [None, Some(1)] {
        let overtaken = world.commit_refused(&group(3, prev, 0, &[3]));
        says(&overtaken, ErrorClass::Fenced, ErrorReason::UnknownHead);
    }
    world.commit(&group(3, Some(2), 0, &[3]));
}

#[test]
fn only_the_owner_commits() {
    let mut world = World::new();
    (1..=3).for_each(|number| world.prepared(number, 0));
    let attached = world.attach_as(1, None);
    assert_eq!(attached.incarnation, 1);
    let unlisted = world.commit_refused(&group(1, None, 0, &[1]));
    says(&unlisted, ErrorClass::Fenced, ErrorReason::StaleEpoch);
    assert_eq!(unlisted.detail.current, Some(1));
    says(&world.commit_refused(&group(1, None, 2, &[1])), ErrorClass::Fenced, ErrorReason::StaleEpoch);
    world.commit(&group(1, None, 1, &[1]));
}

#[test]
fn members_must_be_prepared_and_of_the_sink() {
    let mut world = World::new();
    world.prepared(1, 0);
    let unknown = world.commit_refused(&group(1, None, 0, &[1, 99]));
    says(&unknown, ErrorClass::NotFound, ErrorReason::UnknownTransaction);
    world.begin(2, 0, 1);
    world.chunk(2, 0, 1);
    says(&world.commit_refused(&group(1, None, 0, &[1, 2])), ErrorClass::Rejected, ErrorReason::BadRequest);
    world.ok(|draft, now| abort(draft, txn(2), AbortReason::Client, now));
    let aborted = world.commit_refused(&group(1, None, 0, &[1, 2]));
    says(&aborted, ErrorClass::Rejected, ErrorReason::TransactionAborted);
    assert_eq!(aborted.detail.abort_reason, "CLIENT");
    assert_eq!(aborted.detail.facts["group"], group_id(1).to_string());
    world.ok(|draft, now| transactions::open_writer(draft, &other_sink(), 0, 1, run(2), now));
    let foreign = world
        .refused(|draft, now| commit_group(draft, &other_sink(), &group(1, None, 0, &[1]), CLUSTER, TIMELINE, now));
    says(&foreign, ErrorClass::Rejected, ErrorReason::GroupMismatch);
    world.commit(&group(1, None, 0, &[1]));
    let again = world.commit_refused(&group(2, Some(1), 0, &[1]));
    says(&again, ErrorClass::Rejected, ErrorReason::GroupMismatch);
    assert_eq!(world.extents(0).len(), 1, "no event twice");
}

#[test]
fn malformed_groups_are_refused() {
    let mut world = World::new();
    world.prepared(1, 0);
    let good = group(1, None, 0, &[1]);
    let many = (0..=GROUP_MEMBERS_MAX as u128).map(|number| txn(number).to_bytes()).collect();
    let bad = [
        Group { members: Vec::new(), ..good.clone() },
        Group { members: many, ..good.clone() },
        group(1, None, 0, &[1, 1]),
        group(1, Some(1), 0, &[1]),
        Group { group_id: Bytes::from_static(b"short"), ..good.clone() },
        Group { group_id: Bytes::new(), ..good.clone() },
        Group { members: vec![Bytes::from_static(b"short")], ..good.clone() },
    ];
    for group in &bad {
        says(&world.commit_refused(group), ErrorClass::InvalidArgument, ErrorReason::BadRequest);
    }
    world.commit(&good);
}

#[test]
fn another_store_or_timeline_is_refused() {
    let mut world = World::new();
    world.prepared(1, 0);
    let good = group(1, None, 0, &[1]);
    let elsewhere = (ClusterId::new(Uuid::from_u128(9)), TimelineId::new(Uuid::from_u128(9)));
    for (cluster, timeline) in [(elsewhere.0, TIMELINE), (CLUSTER, elsewhere.1)] {
        let refusal = world.refused(|draft, now| commit_group(draft, &sink(), &good, cluster, timeline, now));
        says(&refusal, ErrorClass::Rejected, ErrorReason::MetadataRolledBack);
    }
    world.ok(|draft, _| streams::set_timeline(draft, elsewhere.1));
    says(&world.commit_refused(&good), ErrorClass::Rejected, ErrorReason::MetadataRolledBack);
    world.ok(|draft, now| commit_group(draft, &sink(), &good, CLUSTER, elsewhere.1, now));
    let unknown = SinkName::parse_parts("s", "nobody").unwrap();
    let refusal =
        world.refused(|draft, now| commit_group(draft, &unknown, &group(2, None, 0, &[1]), CLUSTER, elsewhere.1, now));
    says(&refusal, ErrorClass::NotFound, ErrorReason::UnknownSink);
}

#[test]
fn a_stream_that_is_gone_fails_the_commit_for_good_and_whole() {
    let mut world = World::new();
    world.prepared(1, 0);
    let elsewhere = StreamName { scope: name("s"), name: name("u") };
    let (id, _) = world.ok(|draft, now| streams::create_stream(draft, &elsewhere, &new_stream(1), now));
    world.begin(2, 0, 1);
    let into = sluice_schema::ids::SegmentId::new(id, sluice_schema::ids::SegmentNumber::new(0));
    world.ok(|draft, now| transactions::append(draft, txn(2), 0, into, super::fixture::block(4, 7), now));
    world.prepare(2);
    world.ok(|draft, _| streams::seal_stream(draft, &stream_name()));
    let sealed = world.commit_refused(&group(1, None, 0, &[2, 1]));
    says(&sealed, ErrorClass::Rejected, ErrorReason::Sealed);
    world.ok(|draft, _| streams::delete_stream(draft, &stream_name()));
    let deleted = world.commit_refused(&group(1, None, 0, &[2, 1]));
    says(&deleted, ErrorClass::Rejected, ErrorReason::UnknownStream);
    assert_eq!(world.index.segment(into).unwrap().unwrap().next_offset, 0, "nothing of it is visible");
    assert_eq!(world.state(2), TransactionState::Prepared);
}
