//! Prepare, abort, expiry (§3.3, §3.8; I3, I4, I10, I16).

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use sluice_proto::storage::v1::{AbortReason, TransactionState};

use super::fixture::{START_MS, World, group, says, txn};
use crate::protocol::{
    ErrorClass, ErrorReason,
    transactions::{Claim, abort, digest, expire_open, forget_superseded, prepare},
};

const TTL: u64 = 1000;

fn world() -> World {
    let mut world = World::new();
    world.open(0);
    world.begin(1, 0, 1);
    world.chunk(1, 0, 3);
    world.chunk(1, 1, 2);
    world
}

#[test]
fn preparing_freezes_and_answers_the_receipt_again() {
    let mut world = world();
    let claim = world.claim(1);
    world.now += 7;
    assert_eq!(world.ok(|draft, now| prepare(draft, txn(1), &claim, now)), (0, 1));
    let known = world.transaction(1);
    assert_eq!(
        (known.state(), known.state_since_ms, &known.digest),
        (TransactionState::Prepared, world.now, &claim.digest)
    );
    let before = world.content();
    world.now += 7;
    assert_eq!(world.ok(|draft, now| prepare(draft, txn(1), &claim, now)), (0, 1));
    assert_eq!(world.content(), before);
    world.open(0);
    assert_eq!(
        world.ok(|draft, now| prepare(draft, txn(1), &claim, now)),
        (0, 1),
        "also after the slot has a new owner"
    );
    world.commit(&group(1, None, 0, &[1]));
    assert_eq!(world.ok(|draft, now| prepare(draft, txn(1), &claim, now)), (0, 1), "also after the commit");
}

#[test]
fn a_writer_that_counts_otherwise_is_refused() {
    let mut world = world();
    let right = world.claim(1);
    let wrong = [
        Claim { chunks: 3, ..right.clone() },
        Claim { events: 4, ..right.clone() },
        Claim { bytes: 1, ..right.clone() },
        Claim { digest: Bytes::from_static(&[0; 32]), ..right.clone() },
        Claim { digest: Bytes::new(), ..right.clone() },
    ];
    for claim in &wrong {
        let refusal = world.refused(|draft, now| prepare(draft, txn(1), claim, now));
        says(&refusal, ErrorClass::Rejected, ErrorReason::DigestMismatch);
        assert_eq!(world.state(1), TransactionState::Open);
    }
    world.prepare(1);
    let refusal = world.refused(|draft, now| prepare(draft, txn(1), &wrong[3], now));
    says(&refusal, ErrorClass::Rejected, ErrorReason::DigestMismatch);
}

/// The digest is SHA-256 over (seq u64, rows u64, length u64, crc u32) of each block, little endian: writers compute it, too.
#[test]
fn the_digest_is_what_the_protocol_says() {
    let world = world();
    let mut bytes = Vec::new();
    for (seq, rows, length, crc) in [(0u64, 3u64, 300u64, 1000u32), (1, 2, 200, 1001)] {
        bytes.extend(seq.to_le_bytes());
        bytes.extend(rows.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(crc.to_le_bytes());
    }
    assert_eq!(digest(&world.chunks(1)), &Sha256::digest(&bytes)[..]);
    assert_eq!(bytes.len(), 56);
}

#[test]
fn nothing_to_prepare_is_refused() {
    let mut world = world();
    world.begin(2, 0, 1);
    let claim = world.claim(2);
    let refusal = world.refused(|draft, now| prepare(draft, txn(2), &claim, now));
    says(&refusal, ErrorClass::InvalidArgument, ErrorReason::BadRequest);
    let refusal = world.refused(|draft, now| prepare(draft, txn(9), &claim, now));
    says(&refusal, ErrorClass::NotFound, ErrorReason::UnknownTransaction);
    world.open(0);
    let claim = Claim { chunks: 2, events: 5, bytes: 500, digest: Bytes::new() };
    let refusal = world.refused(|draft, now| prepare(draft, txn(1), &claim, now));
    says(&refusal, ErrorClass::Rejected, ErrorReason::TransactionAborted);
    assert_eq!(refusal.detail.abort_reason, "FENCED");
}

#[test]
fn a_writer_may_give_up_what_is_open_only() {
    let mut world = world();
    world.prepared(2, 0);
    let give_up =
        |world: &mut World, number| world.run(|draft, now| abort(draft, txn(number), AbortReason::Client, now));
    assert_eq!(give_up(&mut world, 1).unwrap(), AbortReason::Client);
    assert_eq!((world.state(1), world.chunks(1)), (TransactionState::Aborted, Vec::new()));
    let ended = world.transaction(1).state_since_ms;
    world.now += 5;
    assert_eq!(give_up(&mut world, 1).unwrap(), AbortReason::Client, "a repeat answers the same");
    assert_eq!(world.transaction(1).state_since_ms, ended);
    let refusal = world.refused(|draft, now| abort(draft, txn(2), AbortReason::Client, now));
    says(&refusal, ErrorClass::Rejected, ErrorReason::PreparedNeedsOperator);
    assert_eq!(world.state(2), TransactionState::Prepared);
    world.commit(&group(1, None, 0, &[2]));
    let refusal = world.refused(|draft, now| abort(draft, txn(2), AbortReason::Client, now));
    says(&refusal, ErrorClass::Rejected, ErrorReason::AlreadyCommitted);
    let refusal = world.refused(|draft, now| abort(draft, txn(9), AbortReason::Client, now));
    says(&refusal, ErrorClass::NotFound, ErrorReason::UnknownTransaction);
}

/// An abort that arrives late, when the same slot has its next transaction, names only the old one.
#[test]
fn a_late_abort_hits_the_one_it_names() {
    let mut world = world();
    world.ok(|draft, now| abort(draft, txn(1), AbortReason::Client, now));
    world.begin(2, 0, 1);
    world.chunk(2, 0, 1);
    world.ok(|draft, now| abort(draft, txn(1), AbortReason::Client, now));
    assert_eq!(world.state(2), TransactionState::Open);
}

#[test]
fn open_transactions_end_when_idle_for_longer_than_their_time() {
    let mut world = world();
    let expire = |world: &mut World, number| world.ok(|draft, now| expire_open(draft, txn(number), TTL, now));
    world.now = START_MS + TTL;
    assert!(!expire(&mut world, 1), "not longer yet");
    world.chunk(1, 0, 1);
    world.now += TTL;
    assert!(!expire(&mut world, 1), "it was touched");
    world.now += 1;
    assert!(expire(&mut world, 1));
    assert_eq!(
        (world.state(1), world.transaction(1).abort_reason()),
        (TransactionState::Aborted, AbortReason::OpenTtl)
    );
    assert!(!expire(&mut world, 1), "once");
}

/// I4: a clock ends no prepared transaction, however it jumps.
#[test]
fn no_clock_ends_a_prepared_transaction() {
    let mut world = world();
    world.prepare(1);
    for now in [0, START_MS, START_MS + 10 * 365 * 86_400_000, u64::MAX] {
        world.now = now;
        assert!(!world.ok(|draft, now| expire_open(draft, txn(1), TTL, now)));
        assert!(!world.ok(|draft, now| forget_superseded(draft, txn(1), TTL, now)));
    }
    assert_eq!((world.state(1), world.chunks(1).len()), (TransactionState::Prepared, 2));
    world.now = 0;
    world.begin(2, 0, 1);
    world.chunk(2, 0, 1);
    world.now = 0;
    assert!(!world.ok(|draft, now| expire_open(draft, txn(2), TTL, now)), "nor an open one by going back");
}
