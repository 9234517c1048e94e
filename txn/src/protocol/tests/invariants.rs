//! Each invariant notices the state it is about.

use prost::Message;
use sluice_proto::storage::v1::{
    ActiveTransaction, Chunk, Extent, Group, ParquetFile, Segment, Sink, Transaction, TransactionState,
};
use sluice_schema::ids::{Offset, SegmentNumber};

use super::fixture::{STREAM, World, block, group, group_id, segment, sink, txn};
use crate::{
    key::Key,
    ledger::{Index as _, Records as _},
    protocol::{events, invariants::check},
};

/// Two committed groups, a prepared transaction, two extents in segment 0.
fn world() -> World {
    let mut world = World::new();
    (1..=3).for_each(|number| world.prepared(number, 0));
    world.commit(&group(1, None, 0, &[1]));
    world.commit(&group(2, Some(1), 0, &[2]));
    world.ok(|draft, now| events::append(draft, STREAM, &[], vec![(SegmentNumber::new(0), block(5, 1))], now));
    world
}

/// Breaks one entry, or removes it, and tells which invariants say so.
fn found(key: &Key, record: Option<&impl Message>) -> Vec<&'static str> {
    let world = world();
    let value = record.map(|record| record.encode_to_vec().into());
    world.index.apply(99, &[(key.encode(), value)]).unwrap();
    check(&world.index).unwrap().into_iter().map(|violation| violation.invariant).collect()
}

fn segment_record(change: impl FnOnce(&mut Segment)) -> Segment {
    let mut record = world().index.segment(segment(0)).unwrap().unwrap();
    change(&mut record);
    record
}

#[test]
fn a_sound_state_has_no_violation() {
    assert_eq!(check(&world().index).unwrap(), Vec::new());
}

#[test]
fn gaps_and_overlaps_of_offsets_are_noticed() {
    let key = |base| Key::Extent(segment(0), Offset::new(base));
    assert_eq!(found(&key(0), None::<&Extent>), vec!["I19"], "the first is missing");
    assert_eq!(found(&key(1), None::<&Extent>), vec!["I19"], "one between is missing");
    assert_eq!(found(&key(2), None::<&Extent>), vec!["I19"], "the last is missing");
    let wide = Extent { block: Some(block(2, 1)), ..Extent::default() };
    assert_eq!(found(&key(0), Some(&wide)), vec!["I19"], "one overlaps the next");
    assert_eq!(found(&Key::Segment(segment(0)), Some(&segment_record(|record| record.next_offset += 1))), vec!["I19"]);
}

#[test]
fn bytes_that_the_extents_do_not_hold_are_noticed() {
    for wrong in [0, 699, 701] {
        let bytes = segment_record(|record| record.unpublished_bytes = wrong);
        assert_eq!(found(&Key::Segment(segment(0)), Some(&bytes)), vec!["I19"], "{wrong}");
    }
    assert_eq!(world().index.segment(segment(0)).unwrap().unwrap().unpublished_bytes, 700);
}

#[test]
fn parquet_files_that_do_not_meet_the_extents_are_noticed() {
    let parquet_end = segment_record(|record| record.parquet_end = 1);
    assert_eq!(found(&Key::Segment(segment(0)), Some(&parquet_end)), vec!["I34"]);
    let file = ParquetFile { end: 1, ..ParquetFile::default() };
    assert_eq!(found(&Key::ParquetFile(segment(0), Offset::ZERO), Some(&file)), vec!["I34"]);
    assert_eq!(found(&Key::ParquetFile(segment(0), Offset::new(1)), Some(&file)), vec!["I34"]);
}

#[test]
fn a_broken_chain_is_noticed() {
    assert_eq!(found(&Key::Group(group_id(1)), None::<&Group>), vec!["I13"]);
    let mut first = world().index.group(group_id(1)).unwrap().unwrap();
    first.commit_seq = 2;
    assert_eq!(found(&Key::Group(group_id(1)), Some(&first)), vec!["I13"], "commits along the chain grow");
    first.prev_group = group_id(2).to_bytes();
    assert_eq!(found(&Key::Group(group_id(1)), Some(&first)), vec!["I13"], "a circle ends");
    let mut record: Sink = world().index.sink(&sink()).unwrap().unwrap();
    record.head_group = group_id(7).to_bytes();
    assert_eq!(found(&Key::Sink(sink()), Some(&record)), vec!["I13"]);
}

#[test]
fn transactions_that_do_not_fit_their_lists_are_noticed() {
    assert_eq!(found(&Key::ActiveTransaction(sink(), 0, txn(3)), None::<&ActiveTransaction>), vec!["I39"]);
    assert_eq!(found(&Key::ActiveTransaction(sink(), 0, txn(1)), Some(&ActiveTransaction {})), vec!["I39"]);
    assert_eq!(found(&Key::ActiveTransaction(sink(), 0, txn(8)), Some(&ActiveTransaction {})), vec!["I39"]);
    assert_eq!(found(&Key::Chunk(txn(3), 0), None::<&Chunk>), vec!["I10"]);
    let mut known: Transaction = world().transaction(3);
    known.state = TransactionState::Aborted.into();
    assert_eq!(found(&Key::Transaction(txn(3)), Some(&known)), vec!["I39"]);
}

#[test]
fn an_entry_that_does_not_decode_is_an_error() {
    let world = world();
    world.index.apply(99, &[(Key::Segment(segment(0)).encode(), Some(bytes::Bytes::from_static(&[0xff])))]).unwrap();
    assert!(check(&world.index).unwrap_err().to_string().contains("damaged"));
}
