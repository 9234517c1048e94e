//! The same answer for a repeated control call (§3.4, I9).

use bytes::Bytes;
use uuid::Uuid;

use super::fixture::{World, says};
use crate::protocol::{
    ErrorClass, ErrorReason,
    requests::{REMEMBERED_MS, RequestId, digest, forget_old, recall, remember},
};

fn id(seq: u64) -> RequestId {
    RequestId { session: Uuid::from_u128(1), seq }
}

fn answered(world: &mut World, seq: u64) -> Option<Bytes> {
    world.ok(|draft, _| recall(draft, &id(seq), &digest("Begin", b"body")))
}

#[test]
fn an_answer_is_given_again() {
    let mut world = World::new();
    assert_eq!(answered(&mut world, 1), None);
    world.ok(|draft, now| {
        remember(draft, &id(1), digest("Begin", b"body"), Bytes::from_static(b"answer"), now);
        Ok(())
    });
    assert_eq!(answered(&mut world, 1), Some(Bytes::from_static(b"answer")));
    assert_eq!(answered(&mut world, 2), None, "another call");
    let other_session = RequestId { session: Uuid::from_u128(2), seq: 1 };
    assert_eq!(world.ok(|draft, _| recall(draft, &other_session, &digest("Begin", b"body"))), None);
}

#[test]
fn the_same_number_with_another_body_is_refused() {
    let mut world = World::new();
    world.ok(|draft, now| {
        remember(draft, &id(1), digest("Begin", b"body"), Bytes::new(), now);
        Ok(())
    });
    for (name, body) in [("Begin", &b"other"[..]), ("OpenWriter", b"body"), ("Beginbody", b"")] {
        let refusal = world.refused(|draft, _| recall(draft, &id(1), &digest(name, body)));
        says(&refusal, ErrorClass::InvalidArgument, ErrorReason::RequestReused);
    }
}

#[test]
fn answers_are_forgotten_after_seven_days() {
    let mut world = World::new();
    let begin = world.now;
    for seq in 0..5 {
        world.now = begin + seq * 10;
        world.ok(|draft, now| {
            remember(draft, &id(seq), digest("Begin", b"body"), Bytes::new(), now);
            Ok(())
        });
    }
    world.now = 0;
    assert_eq!(world.ok(|draft, now| forget_old(draft, 100, now)), 0, "a clock that went back forgets nothing");
    world.now = begin + REMEMBERED_MS;
    assert_eq!(world.ok(|draft, now| forget_old(draft, 100, now)), 0);
    world.now += 21;
    assert_eq!(world.ok(|draft, now| forget_old(draft, 2, now)), 2, "no more than asked for");
    assert_eq!(world.ok(|draft, now| forget_old(draft, 2, now)), 1);
    assert_eq!((answered(&mut world, 2), answered(&mut world, 3)), (None, Some(Bytes::new())));
}
