//! What every index and every store must do. Each backend runs its suite in its own tests.

use bytes::Bytes;
use prost::Message as _;
use sluice_proto::storage::v1::BlockRef;

use super::{Block, Change, Commit, Direction, Index, Ledger, Precondition, Store, View};
use crate::key::{KeySpan, RawKey};

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

/// Runs the suite of [`Store`] and [`Ledger`] over a store; keys from 200 on are used, and removed where that matters. May be run
/// again over the same store.
///
/// # Panics
/// At the first property that does not hold.
pub async fn check_store(store: &impl Store) {
    commits_are_all_or_nothing(store).await;
    commits_are_numbered(store).await;
    blocks_come_with_their_facts(store).await;
}

fn key(name: &str) -> RawKey {
    [&[200], name.as_bytes()].concat()
}

fn value(text: &str) -> Option<Bytes> {
    Some(Bytes::copy_from_slice(text.as_bytes()))
}

async fn values(store: &impl Ledger, names: &[&str]) -> Vec<Option<Bytes>> {
    store.read(names.iter().map(|name| key(name)).collect()).await.expect("a healthy ledger reads")
}

async fn commit(store: &impl Ledger, if_so: Vec<Precondition>, then: Vec<Change>) -> Commit {
    store.commit(if_so, then).await.expect("a healthy ledger commits")
}

async fn commits_are_all_or_nothing(store: &impl Store) {
    let committed = |outcome: Commit| matches!(outcome, Commit::Committed(_));
    assert!(committed(commit(store, Vec::new(), vec![(key("a"), None), (key("b"), None)]).await));
    assert_eq!(values(store, &["a", "b"]).await, vec![None, None], "deleting what is not there is harmless");

    let absent = vec![(key("a"), None)];
    assert!(committed(commit(store, absent.clone(), vec![(key("a"), value("1"))]).await));
    let again = commit(store, absent, vec![(key("a"), value("2"))]).await;
    assert_eq!(again, Commit::Conflict(vec![key("a")]), "it is there now");
    assert_eq!(values(store, &["a"]).await, vec![value("1")], "a conflict changes nothing");

    let one_wrong = vec![(key("a"), value("1")), (key("b"), value("nobody"))];
    let outcome = commit(store, one_wrong, vec![(key("a"), None), (key("b"), value("2"))]).await;
    assert_eq!(outcome, Commit::Conflict(vec![key("b")]), "only the wrong one is named");
    assert_eq!(values(store, &["a", "b"]).await, vec![value("1"), None], "all or nothing");

    let right = vec![(key("a"), value("1")), (key("b"), None)];
    assert!(committed(commit(store, right, vec![(key("a"), None), (key("b"), value(""))]).await));
    assert_eq!(values(store, &["b", "a", "b"]).await, vec![value(""), None, value("")], "in the order asked for");
    let empty_is_something = commit(store, vec![(key("b"), None)], vec![(key("b"), value("3"))]).await;
    assert_eq!(empty_is_something, Commit::Conflict(vec![key("b")]), "an empty value is a value");

    let twice = vec![(key("a"), value("first")), (key("a"), value("last"))];
    assert!(committed(commit(store, Vec::new(), twice).await));
    assert_eq!(values(store, &["a"]).await, vec![value("last")], "later changes win");
}

async fn commits_are_numbered(store: &impl Store) {
    let mut last = 0;
    for n in 0..3 {
        let Commit::Committed(lsn) = commit(store, Vec::new(), vec![(key("n"), value(&n.to_string()))]).await else {
            panic!("without preconditions there is no conflict");
        };
        assert!(lsn > last, "commit {lsn} follows {last}");
        last = lsn;
    }
}

async fn blocks_come_with_their_facts(store: &impl Store) {
    let blocks: Vec<Block> = [0usize, 1, 63, 5000]
        .into_iter()
        .map(|length| {
            let data = Bytes::from(vec![length as u8; length]);
            Block { crc32c: crc32c(&data), data }
        })
        .collect();
    let name_them =
        |refs: &[BlockRef]| refs.iter().zip(["w", "x", "y", "z"]).map(|(at, name)| (key(name), encoded(at))).collect();
    let names = ["w", "x", "y", "z"];
    let clear: Vec<Change> = names.iter().map(|name| (key(name), None)).collect();
    commit(store, Vec::new(), clear).await;

    let refused = store.write(blocks.clone(), vec![(key("w"), value("nobody"))], Box::new(name_them)).await;
    assert_eq!(refused.expect("a healthy store writes"), Commit::Conflict(vec![key("w")]));
    assert_eq!(values(store, &names).await, vec![None; 4], "a conflict names no block");

    let written = store.write(blocks.clone(), vec![(key("w"), None)], Box::new(name_them)).await;
    assert!(matches!(written.expect("a healthy store writes"), Commit::Committed(_)));
    for (stored, block) in values(store, &names).await.into_iter().zip(&blocks) {
        let at = BlockRef::decode(stored.expect("it was committed")).expect("it is what was written");
        assert_eq!((at.length as usize, at.crc32c), (block.data.len(), block.crc32c));
        assert_eq!(store.read_block(at).await.expect("a healthy store reads"), block.data);
        if block.data.len() > 1 {
            let other = BlockRef { position: at.position + 64, ..at };
            let lie = BlockRef { crc32c: !at.crc32c, ..other };
            assert!(store.read_block(lie).await.is_err(), "bytes that are not what was asked for are no answer");
        }
    }
}

/// CRC-32C, bit by bit: a suite is no reason for another dependency.
fn crc32c(data: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !data.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

fn encoded(at: &BlockRef) -> Option<Bytes> {
    Some(at.encode_to_vec().into())
}
