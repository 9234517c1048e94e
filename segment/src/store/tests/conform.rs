//! The suite that every store passes.

use sluice_txn::ledger::conformance;

use super::kit::{Place, small};

#[tokio::test]
async fn both_stores_pass_the_conformance_suite() {
    for place in Place::both() {
        let world = place.open(small());
        conformance::check_store(&world.store).await;
        let place = world.close().await;
        // What the suite left is there after a restart: it goes on where it ended.
        let world = place.open(small());
        conformance::check_store(&world.store).await;
        world.close().await;
    }
}

/// Many callers count with compare-and-set at once: no increment is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commits_of_many_callers_are_one_after_the_other() {
    use sluice_txn::ledger::{Commit, Ledger as _};
    for place in Place::both() {
        let world = place.open(small());
        let key = vec![200u8, 1];
        let counters: Vec<_> = (0..8)
            .map(|_| {
                let (store, key) = (world.store.clone(), key.clone());
                tokio::spawn(async move {
                    let mut done = 0u64;
                    while done < 20 {
                        let before = store.read(|view| view.get(&key)).unwrap();
                        let count = before.as_ref().map_or(0, |raw| u64::from_be_bytes(raw[..].try_into().unwrap()));
                        let after = bytes::Bytes::copy_from_slice(&(count + 1).to_be_bytes());
                        let commit = store.commit(vec![(key.clone(), before)], vec![(key.clone(), Some(after))]);
                        done += u64::from(matches!(commit.await.unwrap(), Commit::Committed(_)));
                    }
                })
            })
            .collect();
        for counter in counters {
            counter.await.unwrap();
        }
        let count = world.store.read(|view| view.get(&key)).unwrap().unwrap();
        assert_eq!(count, &160u64.to_be_bytes()[..]);
        world.close().await;
    }
}
