//! The index over a `BTreeMap`, for tests and simulation.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use bytes::Bytes;

use super::{Change, Direction, Index, Lsn, Result, View, Visitor};
use crate::key::{KeySpan, RawKey};

#[derive(Default)]
struct State {
    applied: Lsn,
    entries: BTreeMap<RawKey, Bytes>,
}

/// An index in memory.
#[derive(Default)]
pub struct MemoryIndex {
    state: RwLock<State>,
}

impl View for MemoryIndex {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.state.read().unwrap_or_else(PoisonError::into_inner).entries.get(key).cloned())
    }
    fn scan(&self, span: &KeySpan, direction: Direction, visit: Visitor<'_>) -> Result<()> {
        // The entries are copied, so that a visitor may read the index.
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let found: Vec<(RawKey, Bytes)> =
            state.entries.range(span.from.clone()..span.to.clone()).map(|(k, v)| (k.clone(), v.clone())).collect();
        drop(state);
        let mut found: Box<dyn Iterator<Item = (RawKey, Bytes)>> = match direction {
            Direction::Ascending => Box::new(found.into_iter()),
            Direction::Descending => Box::new(found.into_iter().rev()),
        };
        found.all(|(key, value)| visit(&key, &value));
        Ok(())
    }
}

impl Index for MemoryIndex {
    fn applied(&self) -> Lsn {
        self.state.read().unwrap_or_else(PoisonError::into_inner).applied
    }
    fn applying(&self) -> Option<Lsn> {
        None
    }
    fn apply(&self, lsn: Lsn, changes: &[Change]) -> Result<()> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in changes {
            match value {
                Some(value) => state.entries.insert(key.clone(), value.clone()),
                None => state.entries.remove(key),
            };
        }
        state.applied = lsn;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::conformance;

    #[test]
    fn passes_the_conformance_suite() {
        conformance::check_index(&mut |_| Box::new(MemoryIndex::default()), conformance::Reopen::Never);
    }
}
