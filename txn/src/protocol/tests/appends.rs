//! Append to a transaction (§3.3, I10).

use sluice_proto::{
    gateway::v1::Schema,
    storage::v1::{AbortReason, BlockInfo},
};

use super::fixture::{World, block, group, says, segment, stream_name, txn};
use crate::protocol::{
    ErrorClass, ErrorReason, Refusal,
    streams::{self, NewStream},
    transactions::{abort, append},
};

fn send(world: &mut World, seq: u64, block: BlockInfo) -> bool {
    world.ok(|draft, now| append(draft, txn(1), seq, segment(0), block, now))
}

#[track_caller]
fn refused(world: &mut World, seq: u64, block: BlockInfo) -> Refusal {
    let before = world.content();
    let refusal = world.refused(|draft, now| append(draft, txn(1), seq, segment(0), block, now));
    assert_eq!(world.content(), before);
    refusal
}

fn world() -> World {
    let mut world = World::new();
    world.open(0);
    world.begin(1, 0, 1);
    world
}

#[test]
fn blocks_count_once_whatever_is_repeated() {
    let mut world = world();
    world.now += 5;
    assert!(send(&mut world, 0, block(3, 10)));
    assert!(send(&mut world, 1, block(2, 11)));
    let known = world.transaction(1);
    assert_eq!((known.chunks, known.events, known.bytes, known.touched_ms), (2, 5, 500, world.now));
    let before = world.content();
    assert!(!send(&mut world, 0, block(3, 10)));
    assert!(!send(&mut world, 1, block(2, 11)));
    assert_eq!(world.content(), before);
}

#[test]
fn other_bytes_under_a_used_number_are_refused() {
    let mut world = world();
    send(&mut world, 0, block(3, 10));
    says(&refused(&mut world, 0, block(3, 99)), ErrorClass::Rejected, ErrorReason::DigestMismatch);
    says(&refused(&mut world, 0, block(4, 10)), ErrorClass::Rejected, ErrorReason::DigestMismatch);
}

#[test]
fn a_gap_names_the_number_expected() {
    let mut world = world();
    let refusal = refused(&mut world, 1, block(1, 10));
    says(&refusal, ErrorClass::Conflict, ErrorReason::OutOfSequence);
    assert_eq!(refusal.detail.expected, Some(0));
    send(&mut world, 0, block(1, 10));
    assert_eq!(refused(&mut world, u64::MAX, block(1, 10)).detail.expected, Some(1));
}

#[test]
fn a_prepared_transaction_takes_repeats_and_nothing_new() {
    let mut world = world();
    send(&mut world, 0, block(3, 10));
    world.prepare(1);
    assert!(!send(&mut world, 0, block(3, 10)));
    says(&refused(&mut world, 0, block(3, 11)), ErrorClass::Rejected, ErrorReason::DigestMismatch);
    says(&refused(&mut world, 1, block(1, 12)), ErrorClass::Rejected, ErrorReason::TransactionPrepared);
}

#[test]
fn a_finished_transaction_takes_nothing() {
    let mut world = world();
    send(&mut world, 0, block(3, 10));
    world.prepare(1);
    world.commit(&group(1, None, 0, &[1]));
    says(&refused(&mut world, 1, block(1, 12)), ErrorClass::Rejected, ErrorReason::AlreadyCommitted);
    says(&refused(&mut world, 0, block(3, 10)), ErrorClass::Rejected, ErrorReason::AlreadyCommitted);
    world.begin(2, 0, 1);
    world.ok(|draft, now| abort(draft, txn(2), AbortReason::Client, now));
    let refusal = world.refused(|draft, now| append(draft, txn(2), 0, segment(0), block(1, 1), now));
    says(&refusal, ErrorClass::Rejected, ErrorReason::TransactionAborted);
    assert_eq!(refusal.detail.abort_reason, "CLIENT");
    let refusal = world.refused(|draft, now| append(draft, txn(3), 0, segment(0), block(1, 1), now));
    says(&refusal, ErrorClass::NotFound, ErrorReason::UnknownTransaction);
}

#[test]
fn a_block_needs_a_stream_that_takes_it() {
    let mut world = world();
    let other_schema = BlockInfo { schema_id: 9, ..block(1, 1) };
    says(&refused(&mut world, 0, other_schema), ErrorClass::InvalidArgument, ErrorReason::SchemaMismatch);
    let refusal = world.refused(|draft, now| append(draft, txn(1), 0, segment(2), block(1, 1), now));
    says(&refusal, ErrorClass::NotFound, ErrorReason::UnknownSegment);
    world.ok(|draft, _| streams::seal_stream(draft, &stream_name()));
    says(&refused(&mut world, 0, block(1, 1)), ErrorClass::Rejected, ErrorReason::Sealed);
    world.ok(|draft, _| streams::delete_stream(draft, &stream_name()));
    says(&refused(&mut world, 0, block(1, 1)), ErrorClass::NotFound, ErrorReason::UnknownStream);
    // A new stream of the old name has another number: nothing that was meant for the old one lands in it.
    let new = NewStream { schema: Some(Schema::default()), ..super::fixture::new_stream(2) };
    world.ok(|draft, now| streams::create_stream(draft, &stream_name(), &new, now));
    says(&refused(&mut world, 0, block(1, 1)), ErrorClass::NotFound, ErrorReason::UnknownStream);
}
