//! What every index must do. Each backend runs this suite in its own tests.

use bytes::Bytes;

use super::{Change, Direction, Index, View};
use crate::key::KeySpan;

/// What opening the same place again gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reopen {
    /// The engine keeps nothing.
    Never,
    /// The state at the last clean close.
    KeepsState,
}

fn put(key: &[u8], value: &str) -> Change {
    (key.to_vec(), Some(Bytes::copy_from_slice(value.as_bytes())))
}

fn delete(key: &[u8]) -> Change {
    (key.to_vec(), None)
}

fn entries(index: &dyn View, from: &[u8], to: &[u8], direction: Direction) -> Vec<(Vec<u8>, String)> {
    let mut found = Vec::new();
    let span = KeySpan { from: from.to_vec(), to: to.to_vec() };
    index
        .scan(&span, direction, &mut |key, value| {
            found.push((key.to_vec(), String::from_utf8_lossy(value).into_owned()));
            true
        })
        .expect("a healthy index scans");
    found
}

/// Runs the suite; `open` gets the name of a case and opens (again) the index of that name.
///
/// # Panics
/// At the first property that does not hold.
pub fn check_index(open: &mut dyn FnMut(&str) -> Box<dyn Index>, reopen: Reopen) {
    reads_what_was_applied(&*open("basic"));
    scans_in_order(&*open("scans"));
    if reopen == Reopen::KeepsState {
        {
            let index = open("reopen");
            index.apply(7, &[put(b"\x01a", "1"), put(b"\x01b", "2")]).expect("applies");
        }
        let index = open("reopen");
        assert_eq!(index.applied(), 7);
        assert_eq!(entries(&*index, b"\x01", b"\x02", Direction::Ascending).len(), 2);
    }
}

fn reads_what_was_applied(index: &dyn Index) {
    assert_eq!(index.applied(), 0, "a new index has applied nothing");
    assert_eq!(index.get(b"\x01a").expect("reads"), None);
    index.apply(1, &[put(b"\x01a", "1"), put(b"\x01b", "2")]).expect("applies");
    index.apply(2, &[put(b"\x01a", "3"), delete(b"\x01b"), delete(b"\x01never")]).expect("applies");
    assert_eq!(index.applied(), 2);
    assert_eq!(index.get(b"\x01a").expect("reads"), Some(Bytes::from_static(b"3")));
    assert_eq!(index.get(b"\x01b").expect("reads"), None);
    index.apply(2, &[put(b"\x01a", "3"), delete(b"\x01b")]).expect("applying a frame twice is harmless");
    assert_eq!(entries(index, &[0], &[255], Direction::Ascending), vec![(b"\x01a".to_vec(), "3".into())]);
    index.apply(3, &[put(b"\x01empty", "")]).expect("applies");
    assert_eq!(index.get(b"\x01empty").expect("reads"), Some(Bytes::new()), "an empty value is a value");
}

fn scans_in_order(index: &dyn Index) {
    let changes: Vec<Change> =
        (0u16..1000).rev().map(|i| put(&[&[1], &i.to_be_bytes()[..]].concat(), &i.to_string())).collect();
    index.apply(1, &changes).expect("applies");
    let from = [&[1], &10u16.to_be_bytes()[..]].concat();
    let to = [&[1], &20u16.to_be_bytes()[..]].concat();
    let up: Vec<String> = entries(index, &from, &to, Direction::Ascending).into_iter().map(|(_, v)| v).collect();
    assert_eq!(up, (10..20).map(|i| i.to_string()).collect::<Vec<_>>(), "half-open, ascending");
    let down: Vec<String> = entries(index, &from, &to, Direction::Descending).into_iter().map(|(_, v)| v).collect();
    assert_eq!(down, (10..20).rev().map(|i| i.to_string()).collect::<Vec<_>>(), "half-open, descending");
    let mut seen = 0;
    index
        .scan(&KeySpan::everything(), Direction::Ascending, &mut |_, _| {
            seen += 1;
            seen < 3
        })
        .expect("scans");
    assert_eq!(seen, 3, "a visitor that answers false ends the scan");
}
