//! Publication as Parquet (§3.11; I19, I34, I35).

use sluice_proto::storage::v1::{ParquetFile, UploadIntent};
use sluice_schema::ids::{Offset, SegmentNumber};

use super::fixture::{STREAM, World, block, says, segment, stream_name};
use crate::{
    key::{Key, KeySpan},
    ledger::{Direction, Records as _},
    protocol::{
        ErrorClass, ErrorReason, Refusal, events,
        publication::{give_up, intend, publish},
        streams,
    },
};

/// Segment 0 holds extents [0, 10), [10, 15), [15, 20).
fn world() -> World {
    let mut world = World::new();
    for rows in [10, 5, 5] {
        world.ok(|draft, now| events::append(draft, STREAM, &[], vec![(SegmentNumber::new(0), block(rows, 1))], now));
    }
    world
}

fn mean(world: &mut World, first: u64, end: u64) -> Result<(), Refusal> {
    let (first, end) = (Offset::new(first), Offset::new(end));
    match world.run(|draft, now| intend(draft, segment(0), first, end, format!("hidden-{first}"), now)) {
        Ok(()) => Ok(()),
        Err(crate::protocol::Failure::Refused(refusal)) => Err(refusal),
        Err(error) => panic!("{error}"),
    }
}

fn file(end: u64) -> ParquetFile {
    ParquetFile { end, path: format!("to-{end}"), ..ParquetFile::default() }
}

#[track_caller]
fn refused(world: &mut World, first: u64, hidden: &str, end: u64) {
    let before = world.content();
    let refusal = world.refused(|draft, _| publish(draft, segment(0), Offset::new(first), hidden, &file(end)));
    says(&refusal, ErrorClass::Conflict, ErrorReason::BadRequest);
    assert_eq!(world.content(), before);
}

#[test]
fn a_file_takes_the_place_of_its_extents() {
    let mut world = world();
    mean(&mut world, 0, 15).unwrap();
    world.ok(|draft, _| publish(draft, segment(0), Offset::ZERO, "hidden-0", &file(15)));
    let record = world.index.segment(segment(0)).unwrap().unwrap();
    assert_eq!((record.parquet_end, record.next_offset, record.unpublished_bytes), (15, 20, 500));
    assert_eq!(world.extents(0).iter().map(|(base, _)| *base).collect::<Vec<_>>(), vec![15]);
    assert_eq!(world.index.parquet_files(segment(0)).unwrap(), vec![(Offset::ZERO, file(15))]);
    mean(&mut world, 15, 20).unwrap();
    world.ok(|draft, _| publish(draft, segment(0), Offset::new(15), "hidden-15", &file(20)));
    assert_eq!(world.extents(0), Vec::new());
    assert_eq!(world.index.segment(segment(0)).unwrap().unwrap().unpublished_bytes, 0);
    for (offset, first) in [(0, 0), (14, 0), (15, 15), (19, 15)] {
        let found = world.index.parquet_file_at(segment(0), Offset::new(offset)).unwrap().unwrap();
        assert_eq!(found.0.get(), first);
    }
    assert_eq!(world.index.parquet_file_at(segment(0), Offset::new(20)).unwrap(), None);
    let intents = world.index.records::<UploadIntent>(&KeySpan::upload_intents(), Direction::Ascending, 9).unwrap();
    assert_eq!(intents, Vec::new());
}

#[test]
fn only_what_comes_next_may_be_meant() {
    let mut world = world();
    for (first, end) in [(5, 15), (10, 15), (0, 0), (0, 21)] {
        says(&mean(&mut world, first, end).unwrap_err(), ErrorClass::Conflict, ErrorReason::BadRequest);
    }
}

#[test]
fn a_file_that_does_not_fit_is_refused() {
    let mut world = world();
    refused(&mut world, 0, "hidden-0", 15);
    mean(&mut world, 0, 12).unwrap();
    refused(&mut world, 0, "hidden-0", 12);
    mean(&mut world, 0, 15).unwrap();
    refused(&mut world, 0, "hidden-0", 10);
    refused(&mut world, 0, "another", 15);
    refused(&mut world, 10, "hidden-0", 15);
    world.ok(|draft, _| give_up(draft, segment(0), Offset::ZERO));
    refused(&mut world, 0, "hidden-0", 15);
}

/// Two publishers of one range: the second one's intent replaced the first's, so one of them wins, once.
#[test]
fn of_two_publishers_one_wins() {
    let mut world = world();
    mean(&mut world, 0, 15).unwrap();
    world.ok(|draft, now| intend(draft, segment(0), Offset::ZERO, Offset::new(15), "second".into(), now));
    refused(&mut world, 0, "hidden-0", 15);
    world.ok(|draft, _| publish(draft, segment(0), Offset::ZERO, "second", &file(15)));
    refused(&mut world, 0, "second", 15);
}

#[test]
fn a_deleted_stream_is_not_published() {
    let mut world = world();
    mean(&mut world, 0, 15).unwrap();
    world.ok(|draft, _| streams::delete_stream(draft, &stream_name()));
    refused(&mut world, 0, "hidden-0", 15);
    says(&mean(&mut world, 0, 15).unwrap_err(), ErrorClass::Conflict, ErrorReason::BadRequest);
    let left: Option<UploadIntent> = world.index.record(&Key::UploadIntent(segment(0), Offset::ZERO)).unwrap();
    assert_eq!(left, None);
}
