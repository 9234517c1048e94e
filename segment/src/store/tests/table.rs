//! The index lags behind what readers see, and may fail.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use proptest::prelude::*;
use sluice_txn::{
    key::KeySpan,
    ledger::{self, Change, Direction, Index, MemoryIndex, Overlay, View, Visitor},
};

use crate::{log::Lsn, store::table::Table};

type State = BTreeMap<Vec<u8>, Bytes>;

fn state_of(view: &dyn View) -> State {
    let mut found = State::new();
    let all = KeySpan::everything();
    let visit = &mut |key: &[u8], value: &Bytes| found.insert(key.to_vec(), value.clone()).is_none();
    view.scan(&all, Direction::Ascending, visit).unwrap();
    found
}

fn changes_of(pairs: &[(u8, Option<u8>)]) -> Overlay {
    let change = |(key, value): &(u8, Option<u8>)| (vec![1, *key], value.map(|value| Bytes::from(vec![value])));
    pairs.iter().map(change).collect()
}

fn apply_to(state: &mut State, pairs: &[(u8, Option<u8>)]) {
    for (key, value) in pairs {
        match value {
            Some(value) => state.insert(vec![1, *key], Bytes::from(vec![*value])),
            None => state.remove(&vec![1, *key]),
        };
    }
}

type Step = Arc<Mutex<Box<dyn FnMut() -> ledger::Result<()> + Send>>>;

/// Takes changes one by one, with a step before each.
struct Stepwise {
    index: MemoryIndex,
    step: Step,
}

impl View for Stepwise {
    fn get(&self, key: &[u8]) -> ledger::Result<Option<Bytes>> {
        self.index.get(key)
    }
    fn scan(&self, span: &KeySpan, direction: Direction, visit: Visitor<'_>) -> ledger::Result<()> {
        self.index.scan(span, direction, visit)
    }
}

impl Index for Stepwise {
    fn applied(&self) -> u64 {
        self.index.applied()
    }
    fn applying(&self) -> Option<u64> {
        None
    }
    fn apply(&self, lsn: u64, changes: &[Change]) -> ledger::Result<()> {
        for change in changes {
            (self.step.lock().unwrap())()?;
            self.index.apply(self.applied(), std::slice::from_ref(change))?;
        }
        self.index.apply(lsn, &[])
    }
}

/// A table over such an index.
fn table(step: impl FnMut() -> ledger::Result<()> + Send + 'static) -> (Step, Arc<Table>) {
    let step: Step = Arc::new(Mutex::new(Box::new(step)));
    let index = Stepwise { index: MemoryIndex::default(), step: Arc::clone(&step) };
    (step, Arc::new(Table::over(Box::new(index))))
}

fn broken() -> ledger::Error {
    ledger::Error::Engine { engine: "test", message: "broken".into() }
}

proptest! {
    /// At every point of a flush readers see all that was added, by a read and by a scan of its own.
    #[test]
    fn readers_see_all_that_was_added_while_the_index_takes_it(
        rounds in prop::collection::vec(prop::collection::vec((0u8..20, any::<Option<u8>>()), 1..12), 1..6),
    ) {
        let (step, table) = table(|| Ok(()));
        let expected = Arc::new(Mutex::new(State::new()));
        for (number, pairs) in (1u64..).zip(&rounds) {
            apply_to(&mut expected.lock().unwrap(), pairs);
            let waiting = table.add(Lsn(number), changes_of(pairs));
            prop_assert!(waiting >= changes_of(pairs).len());
            let (shared, state, mut steps) = (Arc::downgrade(&table), Arc::clone(&expected), 0);
            *step.lock().unwrap() = Box::new(move || {
                let (table, mut state) = (shared.upgrade().unwrap(), state.lock().unwrap());
                // Younger changes, perhaps of keys that are on their way.
                let younger = [(steps, Some(100)), (19 - steps, None)];
                apply_to(&mut state, &younger);
                table.add(Lsn(number), changes_of(&younger));
                steps += 1;
                assert_eq!(table.read(|_, view| state_of(view)), *state);
                assert_eq!(state_of(&*table), *state);
                assert_eq!(table.get(&[1, 4]).unwrap(), state.get(&[1u8, 4][..]).cloned());
                Ok(())
            });
            table.flush().unwrap();
            prop_assert_eq!(&state_of(&*table), &*expected.lock().unwrap());
            prop_assert_eq!((table.index().applied(), table.read(|last, _| last)), (number, Lsn(number)));
        }
        *step.lock().unwrap() = Box::new(|| Ok(()));
        table.flush().unwrap();
        prop_assert_eq!(table.waiting(), 0);
        prop_assert_eq!(&state_of(table.index()), &*expected.lock().unwrap());
    }
}

/// The index breaks in the middle: reads stay right, and nothing is handed to it any more.
#[test]
fn an_index_that_fails_is_told_and_left_alone() {
    let mut calls = 0;
    let (_, table) = table(move || {
        calls += 1;
        if calls == 2 { Err(broken()) } else { Ok(()) }
    });
    let pairs = [(1, Some(1)), (2, Some(2))];
    table.add(Lsn(1), changes_of(&pairs));
    assert!(table.failure().is_none());
    assert!(table.flush().is_err());
    let mut expected = State::new();
    apply_to(&mut expected, &pairs);
    assert_eq!(state_of(&*table), expected);
    table.add(Lsn(2), changes_of(&[(3, Some(3))]));
    assert!(table.flush().is_err());
    apply_to(&mut expected, &[(3, Some(3))]);
    assert_eq!(state_of(&*table), expected);
    assert!(table.failure().is_some_and(|error| error.to_string().contains("broken")));
    assert_eq!(table.index().applied(), 0);
}
