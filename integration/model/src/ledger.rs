//! The ledger of the model: an ordered map that is cheap to copy, to compare and to hash, and the one door through which it changes.
//!
//! [`Ledger::run`] is that door: it gives a rule of `sluice_txn::protocol` a draft and keeps what the rule wrote. Nothing else in
//! this crate makes, fills or applies a draft; `tests/repository.rs` looks.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    ops::Range,
    sync::Arc,
};

use bytes::Bytes;
use sluice_txn::{
    key::{KeySpan, RawKey},
    ledger::{Direction, Draft, Result, View, Visitor},
    protocol::Outcome,
};

/// The entries of one kind of key, ascending. Shared between states until it changes.
#[derive(Debug, PartialEq)]
struct Table {
    digest: u64,
    entries: Vec<(Arc<[u8]>, Bytes)>,
}

impl Table {
    fn new(entries: Vec<(Arc<[u8]>, Bytes)>) -> Self {
        // Fixed keys: the same entries give the same digest in every run.
        let mut hasher = DefaultHasher::new();
        for (key, value) in &entries {
            key.hash(&mut hasher);
            value.hash(&mut hasher);
        }
        Self { digest: hasher.finish(), entries }
    }
    fn place(&self, key: &[u8]) -> std::result::Result<usize, usize> {
        self.entries.binary_search_by(|(own, _)| own.as_ref().cmp(key))
    }
    fn within(&self, span: &KeySpan) -> Range<usize> {
        let place = |key: &[u8]| self.place(key).unwrap_or_else(|place| place);
        let (from, to) = (place(&span.from), place(&span.to));
        from..to.max(from)
    }
}

/// A state of the ledger. Immutable: a change makes another one, which shares what did not change.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    /// By the first byte of the key; none is empty.
    tables: Vec<(u8, Arc<Table>)>,
}

/// One entry that a rule changed.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The key.
    pub key: RawKey,
    /// What it held.
    pub before: Option<Bytes>,
    /// What it holds.
    pub after: Option<Bytes>,
}

/// What a rule that answered did.
#[derive(Debug)]
pub struct Ran<T> {
    /// Its answer.
    pub answer: T,
    /// The state after it.
    pub ledger: Ledger,
    /// What differs.
    pub changed: Vec<Changed>,
}

impl Ledger {
    /// Runs a rule as the store does: its changes count only when it answers.
    pub fn run<T>(&self, rule: impl FnOnce(&mut Draft<'_>) -> Outcome<T>) -> Outcome<Ran<T>> {
        let mut draft = Draft::new(self);
        let answer = rule(&mut draft)?;
        let overlay = draft.into_changes();
        let mut ledger = self.clone();
        let mut changed = Vec::new();
        for (key, after) in overlay.iter() {
            let before = self.entry(key).cloned();
            if before != *after {
                changed.push(Changed { key: key.clone(), before, after: after.clone() });
            }
        }
        // Changes come ascending by key, so those of one kind stand together.
        for of_kind in changed.chunk_by(|a, b| a.key.first() == b.key.first()) {
            ledger.change(of_kind);
        }
        Ok(Ran { answer, ledger, changed })
    }

    fn change(&mut self, changed: &[Changed]) {
        let Some(kind) = changed.first().and_then(|first| first.key.first().copied()) else { return };
        let slot = self.tables.binary_search_by_key(&kind, |(kind, _)| *kind);
        let mut entries = slot.map_or_else(|_| Vec::new(), |at| self.tables[at].1.entries.clone());
        for change in changed {
            let place = entries.binary_search_by(|(own, _)| own.as_ref().cmp(&change.key));
            match (place, &change.after) {
                (Ok(at), Some(value)) => entries[at].1 = value.clone(),
                (Ok(at), None) => drop(entries.remove(at)),
                (Err(at), Some(value)) => entries.insert(at, (change.key.as_slice().into(), value.clone())),
                (Err(_), None) => {}
            }
        }
        let table = (kind, Arc::new(Table::new(entries)));
        match slot {
            Ok(at) if table.1.entries.is_empty() => drop(self.tables.remove(at)),
            Ok(at) => self.tables[at] = table,
            Err(_) if table.1.entries.is_empty() => {}
            Err(at) => self.tables.insert(at, table),
        }
    }

    fn entry(&self, key: &[u8]) -> Option<&Bytes> {
        let kind = *key.first()?;
        let at = self.tables.binary_search_by_key(&kind, |(kind, _)| *kind).ok()?;
        let table = &self.tables[at].1;
        table.place(key).ok().map(|place| &table.entries[place].1)
    }
}

impl View for Ledger {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.entry(key).cloned())
    }
    fn scan(&self, span: &KeySpan, direction: Direction, visit: Visitor<'_>) -> Result<()> {
        let (first, last) = (span.from.first().copied().unwrap_or(0), span.to.first().copied().unwrap_or(0));
        let within = self.tables.iter().filter(|(kind, _)| (first..=last).contains(kind));
        let mut visit_table = |table: &Table| {
            let entries = &table.entries[table.within(span)];
            match direction {
                Direction::Ascending => entries.iter().all(|(key, value)| visit(key, value)),
                Direction::Descending => entries.iter().rev().all(|(key, value)| visit(key, value)),
            }
        };
        match direction {
            Direction::Ascending => within.into_iter().all(|(_, table)| visit_table(table)),
            Direction::Descending => within.into_iter().rev().all(|(_, table)| visit_table(table)),
        };
        Ok(())
    }
}

impl Hash for Ledger {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for (kind, table) in &self.tables {
            (kind, table.digest).hash(state);
        }
    }
}
