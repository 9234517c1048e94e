//! OpenWriter and Begin: who may write (§3.5, I11, I16).

use sluice_proto::storage::v1::{AbortReason, TransactionState};
use sluice_schema::names::SinkName;

use super::fixture::{World, run, says, sink, txn};
use crate::{
    ledger::Records as _,
    protocol::{
        ErrorClass, ErrorReason, PARALLELISM_MAX,
        transactions::{begin, open_writer},
    },
};

#[test]
fn opening_a_slot_ends_its_open_transactions_and_no_others() {
    let mut world = World::new();
    assert_eq!((world.open(0), world.open(1)), (1, 1));
    world.begin(1, 0, 1);
    world.chunk(1, 0, 3);
    world.prepared(2, 0);
    world.begin(3, 1, 1);
    world.chunk(3, 0, 1);
    assert_eq!(world.open_by(2, 0), 2, "each opening gives the next epoch");
    assert_eq!((world.state(1), world.transaction(1).abort_reason()), (TransactionState::Aborted, AbortReason::Fenced));
    assert_eq!(world.chunks(1), Vec::new(), "nobody needs its blocks");
    assert_eq!(world.state(2), TransactionState::Prepared, "it may be part of a checkpoint");
    assert_eq!(world.state(3), TransactionState::Open, "another slot");
    assert_eq!(world.index.slot(&sink(), 0).unwrap().unwrap().run_nonce, run(2).to_bytes());
    assert_eq!(world.index.sink(&sink()).unwrap().unwrap().slots, 2);
}

#[test]
fn impossible_slots_are_refused() {
    let mut world = World::new();
    for (subtask, parallelism) in [(0, 0), (1, 1), (7, 3), (0, PARALLELISM_MAX + 1), (u32::MAX, u32::MAX)] {
        let refusal = world.refused(|draft, now| open_writer(draft, &sink(), subtask, parallelism, run(1), now));
        says(&refusal, ErrorClass::InvalidArgument, ErrorReason::BadRequest);
    }
    let last = PARALLELISM_MAX - 1;
    assert_eq!(world.ok(|draft, now| open_writer(draft, &sink(), last, PARALLELISM_MAX, run(1), now)), 1);
    let elsewhere = SinkName::parse_parts("nowhere", "job").unwrap();
    let refusal = world.refused(|draft, now| open_writer(draft, &elsewhere, 0, 1, run(1), now));
    says(&refusal, ErrorClass::NotFound, ErrorReason::UnknownScope);
}

#[test]
fn only_the_slots_present_epoch_begins() {
    let mut world = World::new();
    let never = world.refused(|draft, now| begin(draft, txn(1), &sink(), 0, 1, now));
    says(&never, ErrorClass::InvalidArgument, ErrorReason::BadRequest);
    let zero = world.refused(|draft, now| begin(draft, txn(1), &sink(), 0, 0, now));
    says(&zero, ErrorClass::Fenced, ErrorReason::StaleEpoch);
    world.open(0);
    world.open(0);
    let stale = world.refused(|draft, now| begin(draft, txn(1), &sink(), 0, 1, now));
    says(&stale, ErrorClass::Fenced, ErrorReason::StaleEpoch);
    assert_eq!(stale.detail.current, Some(2));
    let future = world.refused(|draft, now| begin(draft, txn(1), &sink(), 0, 3, now));
    says(&future, ErrorClass::InvalidArgument, ErrorReason::BadRequest);
    world.begin(1, 0, 2);
    let known = world.transaction(1);
    assert_eq!((known.state(), known.writer_epoch, known.touched_ms), (TransactionState::Open, 2, world.now));
}

#[test]
fn beginning_again_changes_nothing() {
    let mut world = World::new();
    world.open(0);
    world.open(1);
    world.begin(1, 0, 1);
    world.chunk(1, 0, 1);
    let before = world.content();
    world.begin(1, 0, 1);
    assert_eq!(world.content(), before);
    for (subtask, epoch) in [(1, 1), (0, 2)] {
        let refusal = world.refused(|draft, now| begin(draft, txn(1), &sink(), subtask, epoch, now));
        says(&refusal, ErrorClass::Rejected, ErrorReason::GroupMismatch);
    }
    world.prepare(1);
    world.begin(1, 0, 1);
    assert_eq!(world.state(1), TransactionState::Prepared, "a late repeat opens nothing again");
    world.begin(2, 0, 1);
    world.open(0);
    let refusal = world.refused(|draft, now| begin(draft, txn(2), &sink(), 0, 1, now));
    says(&refusal, ErrorClass::Rejected, ErrorReason::TransactionAborted);
    assert_eq!(refusal.detail.abort_reason, "FENCED");
}
