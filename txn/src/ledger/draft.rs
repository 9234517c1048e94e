//! Views with changes on top.

use std::{collections::BTreeMap, ops::Bound};

use bytes::Bytes;

use super::{Change, Direction, Result, View, Visitor};
use crate::key::{Key, KeySpan, RawKey};

type Changes = BTreeMap<RawKey, Option<Bytes>>;

fn in_span<'a>(changes: &'a Changes, span: &KeySpan) -> std::collections::btree_map::Range<'a, RawKey, Option<Bytes>> {
    changes.range::<[u8], _>((Bound::Included(span.from.as_slice()), Bound::Excluded(span.to.as_slice())))
}

/// Visits a base view as if `changes` were applied to it.
fn merged_scan(
    base: &dyn View,
    changes: &Changes,
    span: &KeySpan,
    direction: Direction,
    visit: Visitor<'_>,
) -> Result<()> {
    let before = |a: &[u8], b: &[u8]| match direction {
        Direction::Ascending => a < b,
        Direction::Descending => a > b,
    };
    let range = in_span(changes, span);
    let mut own: Box<dyn Iterator<Item = (&RawKey, &Option<Bytes>)>> = match direction {
        Direction::Ascending => Box::new(range),
        Direction::Descending => Box::new(range.rev()),
    };
    let mut next = own.next();
    let mut going = true;
    base.scan(span, direction, &mut |key, value| {
        while let Some((own_key, own_value)) = next.filter(|(own_key, _)| before(own_key, key)) {
            next = own.next();
            if let Some(own_value) = own_value {
                going = visit(own_key, own_value);
                if !going {
                    return false;
                }
            }
        }
        if let Some((_, own_value)) = next.filter(|(own_key, _)| own_key.as_slice() == key) {
            next = own.next();
            going = own_value.as_ref().is_none_or(|own_value| visit(key, own_value));
        } else {
            going = visit(key, value);
        }
        going
    })?;
    while going && let Some((key, value)) = next {
        next = own.next();
        if let Some(value) = value {
            going = visit(key, value);
        }
    }
    Ok(())
}

/// What a rule wants to change, on top of what it reads.
pub struct Draft<'a> {
    base: &'a dyn View,
    changes: Changes,
}

impl<'a> Draft<'a> {
    /// Nothing changed yet.
    pub fn new(base: &'a dyn View) -> Self {
        Self { base, changes: Changes::new() }
    }
    /// Sets a key.
    pub fn put(&mut self, key: &Key, record: &impl prost::Message) {
        self.changes.insert(key.encode(), Some(record.encode_to_vec().into()));
    }
    /// Removes a key.
    pub fn delete(&mut self, key: &Key) {
        self.delete_raw(key.encode());
    }
    /// Removes an encoded key.
    pub fn delete_raw(&mut self, key: RawKey) {
        self.changes.insert(key, None);
    }
    /// Removes all keys of a span.
    pub fn delete_span(&mut self, span: &KeySpan) -> Result<()> {
        let mut keys = Vec::new();
        self.scan(span, Direction::Ascending, &mut |key, _| {
            keys.push(key.to_vec());
            true
        })?;
        for key in keys {
            self.delete_raw(key);
        }
        Ok(())
    }
    /// Adds encoded changes; later ones win.
    pub fn extend(&mut self, changes: Vec<Change>) {
        self.changes.extend(changes);
    }
    /// The changes.
    pub fn into_changes(self) -> Overlay {
        Overlay { changes: self.changes }
    }
}

impl View for Draft<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        match self.changes.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.base.get(key),
        }
    }
    fn scan(&self, span: &KeySpan, direction: Direction, visit: Visitor<'_>) -> Result<()> {
        merged_scan(self.base, &self.changes, span, direction, visit)
    }
}

/// Changes that a view does not hold yet, on top of it.
#[derive(Default, Clone)]
pub struct Overlay {
    changes: Changes,
}

impl Overlay {
    /// The state that includes the changes.
    pub fn over<'a>(&'a self, base: &'a dyn View) -> impl View + 'a {
        OverlayView { base, changes: &self.changes }
    }
    /// Adds changes; later ones win.
    pub fn add(&mut self, later: Self) {
        if self.is_empty() {
            *self = later;
        } else {
            self.changes.extend(later.changes);
        }
    }
    /// The changes of a span's keys.
    pub fn part(&self, span: &KeySpan) -> Self {
        let changes = in_span(&self.changes, span).map(|(key, value)| (key.clone(), value.clone()));
        Self { changes: changes.collect() }
    }
    /// All changes, ascending by key, one per key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&RawKey, &Option<Bytes>)> {
        self.changes.iter()
    }
    /// The same, as an index takes them.
    pub fn to_vec(&self) -> Vec<Change> {
        self.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }
    /// Number of changed keys.
    pub fn len(&self) -> usize {
        self.changes.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl FromIterator<Change> for Overlay {
    fn from_iter<T: IntoIterator<Item = Change>>(changes: T) -> Self {
        Self { changes: changes.into_iter().collect() }
    }
}

struct OverlayView<'a> {
    base: &'a dyn View,
    changes: &'a Changes,
}

impl View for OverlayView<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        match self.changes.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.base.get(key),
        }
    }
    fn scan(&self, span: &KeySpan, direction: Direction, visit: Visitor<'_>) -> Result<()> {
        merged_scan(self.base, self.changes, span, direction, visit)
    }
}

#[cfg(test)]
mod tests {
    //! A draft reads as the map it describes, in both directions, also when the visitor stops early.
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::{Index, MemoryIndex};

    fn collect(view: &dyn View, direction: Direction, limit: usize) -> Vec<(Vec<u8>, Bytes)> {
        let mut found = Vec::new();
        let span = KeySpan { from: vec![10], to: vec![200] };
        view.scan(&span, direction, &mut |key, value| {
            found.push((key.to_vec(), value.clone()));
            found.len() < limit
        })
        .unwrap();
        found
    }

    proptest! {
        #[test]
        fn merges_like_a_map(
            base in prop::collection::btree_map(any::<u8>(), any::<u8>(), 0..40),
            changes in prop::collection::btree_map(any::<u8>(), any::<Option<u8>>(), 0..40),
            later in prop::collection::btree_map(any::<u8>(), any::<Option<u8>>(), 0..20),
            limit in 1usize..60,
        ) {
            let index = MemoryIndex::default();
            let bytes = |value: u8| Bytes::from(vec![value]);
            let entries: Vec<Change> = base.iter().map(|(k, v)| (vec![*k], Some(bytes(*v)))).collect();
            index.apply(1, &entries).unwrap();
            let mut overlay = Overlay::default();
            for changes in [&changes, &later] {
                overlay.add(changes.iter().map(|(k, v)| (vec![*k], v.map(bytes))).collect());
            }

            let mut expected = base.clone();
            for (key, value) in changes.iter().chain(&later) {
                match value {
                    Some(value) => { expected.insert(*key, *value); }
                    None => { expected.remove(key); }
                }
            }
            let expected: Vec<_> =
                expected.range(10..200).map(|(k, v)| (vec![*k], bytes(*v))).collect();
            let view = overlay.over(&index);
            let ascending: Vec<_> = expected.iter().take(limit).cloned().collect();
            let descending: Vec<_> = expected.iter().rev().take(limit).cloned().collect();
            prop_assert_eq!(collect(&view, Direction::Ascending, limit), ascending);
            prop_assert_eq!(collect(&view, Direction::Descending, limit), descending);
        }
    }
}
