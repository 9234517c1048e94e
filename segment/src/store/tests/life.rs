//! Ordinary days: append, prepare, commit, restart.

use bytes::Bytes;
use sluice_proto::storage::v1::TransactionState;
use sluice_txn::protocol::{ErrorReason, Refusal, events::Contribution};

use super::kit::{NOW_MS, Place, World, group, segment, small, txn};
use crate::store::{Error, Wait};

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

async fn reopen(world: World) -> World {
    world.close().await.open(small())
}

#[tokio::test]
async fn a_transaction_lives_through_restarts() {
    for place in Place::both() {
        let world = place.found(small()).await;
        let epoch = world.open_writer(0).await;
        world.begin(txn(1), 0, epoch).await.unwrap();
        assert!(world.chunk(txn(1), 0, 0, bytes("a")).await.unwrap());
        assert!(world.chunk(txn(1), 1, 1, bytes("b")).await.unwrap());
        assert!(!world.chunk(txn(1), 1, 1, bytes("b")).await.unwrap(), "a repeat is no second block");
        assert_eq!(world.append(0, bytes("plain"), 3).await.unwrap(), 0);
        assert_eq!(world.prepare(txn(1)).await.unwrap(), (0, epoch));
        assert_eq!(world.committed(0).await, vec![(0, bytes("plain"))], "prepared blocks are not visible");

        let world = reopen(world).await;
        assert_eq!(world.transaction(txn(1)).unwrap().state(), TransactionState::Prepared);
        let committed = world.commit(group(1, None, txn(1))).await.unwrap();
        assert_eq!((committed.events, committed.commit_seq), (2, 2));

        let world = reopen(world).await;
        assert_eq!(world.committed(0).await, vec![(0, bytes("plain")), (3, bytes("a"))]);
        assert_eq!(world.committed(1).await, vec![(0, bytes("b"))]);
        assert_eq!(world.commit(group(1, None, txn(1))).await.unwrap(), committed, "a repeat answers as before");
        world.check_invariants();
        world.close().await;
    }
}

/// Readers are told of commits, with the state already readable, and of nothing that is only accepted.
#[tokio::test]
async fn watchers_learn_of_commits_when_they_are_durable() {
    for place in Place::both() {
        let world = place.found(small()).await;
        let (mut commits, mut end) = (world.store.watch_commits(), world.store.watch_segment(segment(0)));
        let epoch = world.open_writer(0).await;
        world.begin(txn(1), 0, epoch).await.unwrap();
        world.chunk(txn(1), 0, 0, bytes("a")).await.unwrap();
        world.prepare(txn(1)).await.unwrap();
        assert!(!end.has_changed().unwrap());
        commits.mark_unchanged();
        world.append(0, bytes("plain"), 3).await.unwrap();
        commits.changed().await.unwrap();
        assert_eq!(*commits.borrow(), 1);
        assert_eq!(end.borrow_and_update().as_ref().unwrap().next_offset, 3);
        world.close().await;
    }
}

/// A refused rule changes nothing, and its blocks are nowhere.
#[tokio::test]
async fn a_refusal_changes_nothing() {
    for place in Place::both() {
        let world = place.found(small()).await;
        let (before, lsn) = (world.content(), world.store.durable_lsn());
        let refused = world.store.execute(Vec::new(), Wait::Durable, |draft, _, now| {
            sluice_txn::protocol::streams::create_scope(draft, &"half".parse_name(), now)?;
            Err::<(), _>(Refusal::bad_request("no").into())
        });
        let Err(Error::Refused(refusal)) = refused.await else { panic!("not refused") };
        assert_eq!(refusal.reason(), ErrorReason::BadRequest);
        let Err(Error::Refused(refusal)) = world.append(9, bytes("nowhere"), 1).await else { panic!("not refused") };
        assert_eq!(refusal.reason(), ErrorReason::UnknownSegment);
        assert_eq!((world.content(), world.store.durable_lsn()), (before, lsn));
        world.close().await;
    }
}

trait ParseName {
    fn parse_name(&self) -> sluice_schema::names::Name;
}

impl ParseName for str {
    fn parse_name(&self) -> sluice_schema::names::Name {
        sluice_schema::names::Name::parse(self).unwrap()
    }
}

/// Commands of one caller run in the order they were submitted, and each sees what the ones before it did, though nothing of it is durable.
#[tokio::test]
async fn commands_see_what_is_accepted_before_them() {
    use sluice_schema::ids::SegmentNumber;
    use sluice_txn::protocol::events;
    for place in Place::both() {
        let world = place.found(small()).await;
        let (writer, epoch) = world.writer("w").await;
        let mut answers = Vec::new();
        for n in 0..100u64 {
            let share = Contribution { writer, epoch, first_seq: n + 1, rows: 1 };
            let block = crate::log::Block::new(Bytes::from(vec![n as u8; 100]));
            let submitted = world.store.submit(vec![block], Wait::Durable, move |draft, refs, now| {
                let info = super::kit::info(&refs[0], 1);
                events::append(draft, super::kit::STREAM, &[share], vec![(SegmentNumber::new(0), info)], now)
            });
            answers.push(submitted.await.unwrap());
        }
        for (n, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.await.unwrap().unwrap(), vec![n as u64]);
        }
        let world = reopen(world).await;
        let committed = world.committed(0).await;
        assert_eq!(committed.len(), 100);
        assert!(committed.iter().enumerate().all(|(n, (base, data))| *base == n as u64 && data[0] == n as u8));
        world.close().await;
    }
}

/// A closed store refuses, closing twice is harmless, and what was only accepted is durable by then.
#[tokio::test]
async fn closing_makes_accepted_things_durable() {
    for place in Place::both() {
        let world = place.found(small()).await;
        let epoch = world.open_writer(0).await;
        world.begin(txn(1), 0, epoch).await.unwrap();
        world.chunk(txn(1), 0, 0, bytes("a")).await.unwrap();
        world.store.close().await;
        world.store.close().await;
        assert!(matches!(world.append(0, bytes("late"), 1).await, Err(Error::Stopped(_))));
        let world = reopen(world).await;
        assert_eq!(world.transaction(txn(1)).unwrap().chunks, 1);
        assert_eq!(world.transaction(txn(1)).unwrap().touched_ms, NOW_MS);
        assert_eq!(*world.fatal.lock().unwrap(), None);
        world.close().await;
    }
}

/// A rule that panics takes the store down, and the process is told.
#[tokio::test]
async fn a_panic_in_a_rule_stops_the_store() {
    for place in Place::both() {
        let world = place.found(small()).await;
        let outcome = world.store.execute(Vec::new(), Wait::Durable, |_, _, _| -> sluice_txn::protocol::Outcome<()> {
            panic!("on purpose")
        });
        assert!(matches!(outcome.await, Err(Error::Stopped(_))));
        assert!(matches!(world.append(0, bytes("late"), 1).await, Err(Error::Stopped(_))));
        let told = || world.fatal.lock().unwrap().clone();
        for _ in 0..100 {
            if told().is_some() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(told().as_deref(), Some("the sequencer panicked"));
    }
}
