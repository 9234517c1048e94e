//! Plain appends (§3.10; I2, I19, I22).

use sluice_proto::storage::v1::BlockInfo;
use sluice_schema::{
    ids::{SegmentNumber, StreamId, WriterId},
    names::StreamName,
};

use super::fixture::{STREAM, World, block, name, says, segment, stream_name};
use crate::{
    ledger::Records as _,
    protocol::{
        ErrorClass, ErrorReason, Outcome, Refusal,
        events::{Contribution, Standing, append, init_writer, standing},
        streams,
    },
};

fn writer(world: &mut World, text: &str) -> (WriterId, u64, u64) {
    let (stream, writer, epoch, last) = world.ok(|draft, _| init_writer(draft, &stream_name(), &name(text)));
    assert_eq!(stream, STREAM);
    (writer, epoch, last)
}

fn share(writer: WriterId, epoch: u64, first_seq: u64, rows: u32) -> Contribution {
    Contribution { writer, epoch, first_seq, rows }
}

fn send(world: &mut World, shares: &[Contribution], blocks: &[(u32, u32)]) -> Outcome<Vec<u64>> {
    let blocks = blocks.iter().map(|(number, rows)| (SegmentNumber::new(*number), block(*rows, 1))).collect();
    world.run(|draft, now| append(draft, STREAM, shares, blocks, now))
}

#[track_caller]
fn refused(world: &mut World, share: Contribution) -> Refusal {
    let into = vec![(SegmentNumber::new(0), block(share.rows, 1))];
    world.refused(|draft, now| append(draft, STREAM, &[share], into, now))
}

fn stands(world: &mut World, share: &Contribution) -> Standing {
    world.ok(|draft, _| standing(draft, STREAM, share))
}

#[test]
fn a_name_is_one_writer_for_ever_and_each_opening_an_epoch() {
    let mut world = World::new();
    let (one, epoch, last) = writer(&mut world, "a");
    assert_eq!((one.get(), epoch, last), (1, 1, 0));
    send(&mut world, &[share(one, 1, 1, 5)], &[(0, 5)]).unwrap();
    assert_eq!(writer(&mut world, "a"), (one, 2, 5));
    assert_eq!(writer(&mut world, "b").0.get(), 2);
    let unknown = StreamName::parse("s/none").unwrap();
    let refusal = world.refused(|draft, _| init_writer(draft, &unknown, &name("a")));
    says(&refusal, ErrorClass::NotFound, ErrorReason::UnknownStream);
}

#[test]
fn offsets_are_given_at_once_and_dense() {
    let mut world = World::new();
    let (one, ..) = writer(&mut world, "a");
    assert_eq!(send(&mut world, &[share(one, 1, 1, 5)], &[(0, 3), (1, 1), (0, 1)]).unwrap(), vec![0, 0, 3]);
    assert_eq!(send(&mut world, &[share(one, 1, 6, 2)], &[(0, 2)]).unwrap(), vec![4]);
    let extents = world.extents(0);
    assert_eq!(
        extents.iter().map(|(base, extent)| (*base, extent.commit_seq)).collect::<Vec<_>>(),
        vec![(0, 1), (3, 1), (4, 2)]
    );
    assert_eq!((extents[2].1.writer_id, extents[2].1.first_seq), (1, 6));
}

#[test]
fn each_sequence_counts_once() {
    let mut world = World::new();
    let (one, ..) = writer(&mut world, "a");
    send(&mut world, &[share(one, 1, 1, 5)], &[(0, 5)]).unwrap();
    for (first_seq, rows, expected) in [
        (6, 1, Standing::Next),
        (1, 5, Standing::Applied),
        (5, 1, Standing::Applied),
        (4, 5, Standing::Overlaps(2)),
        (1, 6, Standing::Overlaps(5)),
    ] {
        assert_eq!(stands(&mut world, &share(one, 1, first_seq, rows)), expected, "{first_seq} + {rows}");
    }
    for (first_seq, rows) in [(1, 5), (4, 5)] {
        says(&refused(&mut world, share(one, 1, first_seq, rows)), ErrorClass::Conflict, ErrorReason::OutOfSequence);
    }
    let gap = refused(&mut world, share(one, 1, 7, 1));
    says(&gap, ErrorClass::Conflict, ErrorReason::OutOfSequence);
    assert_eq!(gap.detail.expected, Some(6));
    for (first_seq, rows) in [(0, 1), (6, 0), (u64::MAX, 1), (u64::MAX - 1, 5)] {
        says(
            &refused(&mut world, share(one, 1, first_seq, rows)),
            ErrorClass::InvalidArgument,
            ErrorReason::BadRequest,
        );
    }
}

#[test]
fn older_and_unknown_writers_are_refused() {
    let mut world = World::new();
    let (one, ..) = writer(&mut world, "a");
    writer(&mut world, "a");
    let stale = refused(&mut world, share(one, 1, 1, 1));
    says(&stale, ErrorClass::Fenced, ErrorReason::StaleEpoch);
    assert_eq!(stale.detail.current, Some(2));
    says(&refused(&mut world, share(one, 3, 1, 1)), ErrorClass::Fenced, ErrorReason::StaleEpoch);
    says(&refused(&mut world, share(WriterId::new(9), 1, 1, 1)), ErrorClass::NotFound, ErrorReason::UnknownWriter);
}

/// Rows of several writers in one append: all or nothing, and the block names none of them.
#[test]
fn several_writers_share_an_append() {
    let mut world = World::new();
    let (one, ..) = writer(&mut world, "a");
    let (two, ..) = writer(&mut world, "b");
    send(&mut world, &[share(one, 1, 1, 2), share(two, 1, 1, 3)], &[(0, 5)]).unwrap();
    assert_eq!((world.extents(0)[0].1.writer_id, world.extents(0)[0].1.first_seq), (0, 0));
    assert_eq!(world.index.segment(segment(0)).unwrap().unwrap().unpublished_bytes, 500);
    let failed = send(&mut world, &[share(one, 1, 3, 1), share(two, 1, 9, 1)], &[(0, 2)]);
    assert!(failed.is_err());
    assert_eq!(stands(&mut world, &share(one, 1, 3, 1)), Standing::Next);
    assert_eq!(world.extents(0).len(), 1);
    let twice = send(&mut world, &[share(one, 1, 3, 1), share(one, 1, 4, 1)], &[(0, 2)]);
    assert_eq!(twice.unwrap(), vec![5], "one after the other in one append");
    let doubled = send(&mut world, &[share(one, 1, 5, 1), share(one, 1, 5, 1)], &[(0, 2)]);
    assert!(doubled.is_err());
}

#[test]
fn commit_times_never_go_back() {
    let mut world = World::new();
    let mut times = Vec::new();
    for now in [1000, 500, 500, 2000] {
        world.now = now;
        send(&mut world, &[], &[(0, 1)]).unwrap();
        times.push(world.index.cluster().unwrap().last_commit_ms);
    }
    assert_eq!(times, vec![1000, 1000, 1000, 2000]);
}

#[test]
fn the_stream_must_take_the_rows() {
    let mut world = World::new();
    let mut into = |stream: StreamId, number: u32, block: BlockInfo| {
        world.refused(|draft, now| append(draft, stream, &[], vec![(SegmentNumber::new(number), block)], now))
    };
    says(&into(StreamId::new(9), 0, block(1, 1)), ErrorClass::NotFound, ErrorReason::UnknownStream);
    says(&into(STREAM, 2, block(1, 1)), ErrorClass::NotFound, ErrorReason::UnknownSegment);
    let other = BlockInfo { schema_id: 5, ..block(1, 1) };
    says(&into(STREAM, 0, other), ErrorClass::InvalidArgument, ErrorReason::SchemaMismatch);
    world.ok(|draft, _| streams::seal_stream(draft, &stream_name()));
    let sealed =
        world.refused(|draft, now| append(draft, STREAM, &[], vec![(SegmentNumber::new(0), block(1, 1))], now));
    says(&sealed, ErrorClass::Rejected, ErrorReason::Sealed);
    assert_eq!(world.index.segment(segment(0)).unwrap().unwrap().next_offset, 0);
}
