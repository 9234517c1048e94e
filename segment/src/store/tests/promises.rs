//! A store against what its callers were told: acknowledged things are there with the right bytes, everything else is there whole or not at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use sluice_proto::storage::v1::{Transaction, TransactionState};
use sluice_schema::ids::TransactionId;
use sluice_txn::ledger::Records as _;

use super::{
    kit::{World, segment},
    workload::{Known, SEGMENTS, Sent, Told, mark},
};
use crate::{
    env::{Disk as _, MemDisk},
    log::ReadError,
    store::Options,
    tier::{self, Tier},
    verify::tests::world::verify_all,
};

/// What readers see.
#[derive(Default)]
struct Visible {
    /// Where the block with a mark is: (segment, offset).
    marks: BTreeMap<u64, (u32, u64)>,
    /// Blocks in the damaged file, whose reading failed.
    unreadable: BTreeSet<(u32, u64)>,
    /// Events below are published.
    parquet_end: [u64; SEGMENTS as usize],
}

impl Visible {
    async fn of(world: &World, sent: &Sent, damaged: Option<&Path>) -> Visible {
        let mut visible = Visible::default();
        for number in 0..SEGMENTS {
            visible.parquet_end[number as usize] = world.store.segment(segment(number)).unwrap().unwrap().parquet_end;
            for (base, at) in world.places(number) {
                let Some(data) = readable(world.store.block(at).await, damaged) else {
                    visible.unreadable.insert((number, base));
                    continue;
                };
                let mark = mark(&data);
                assert_eq!(sent.data.get(&mark), Some(&data), "a ghost at {number}/{base}");
                let before = visible.marks.insert(mark, (number, base));
                assert_eq!(before, None, "block {mark} is there twice, also at {number}/{base}");
            }
        }
        visible
    }

    fn is_published(&self, sent: &Sent, mark: u64) -> bool {
        sent.published.get(&mark).is_some_and(|(number, base)| *base < self.parquet_end[*number as usize])
    }
}

/// The data, or `None` when it lies in the damaged file and the error says so.
fn readable(read: Result<Bytes, ReadError>, damaged: Option<&Path>) -> Option<Bytes> {
    match (read, damaged) {
        (Ok(data), _) => Some(data),
        (Err(ReadError::Damaged(damage)), Some(file)) if damage.file == file => None,
        (Err(error), _) => panic!("a block cannot be read: {error}"),
    }
}

/// Compares a store that just started with what was sent and told; blocks of a `damaged` file may be unreadable. Answers how many are.
pub(super) async fn check(world: &World, told: &Told, sent: &Sent, damaged: Option<&Path>) -> usize {
    world.check_invariants();
    let visible = Visible::of(world, sent, damaged).await;
    for (number, end) in told.parquet_end.iter().enumerate() {
        assert!(visible.parquet_end[number] >= *end, "a publication of segment {number} is lost");
    }
    for (place, mark) in &told.plain {
        let is_there = visible.marks.get(mark) == Some(place)
            || visible.unreadable.contains(place)
            || visible.is_published(sent, *mark);
        assert!(is_there, "the acknowledged append {mark} at {place:?} is lost");
    }
    for (id, chunks) in &sent.chunks {
        let known = told.transactions.get(id).copied().unwrap_or_default();
        match world.transaction(*id) {
            Some(found) => transaction(world, (*id, &found), known, (sent, chunks), &visible, damaged).await,
            None => {
                let forgettable = [TransactionState::Unspecified, TransactionState::Aborted];
                assert!(forgettable.contains(&known.state), "transaction {id} is lost: {:?}", known.state);
                assert!(!chunks.iter().any(|(_, mark)| visible.marks.contains_key(mark)), "a ghost of {id}");
            }
        }
    }
    for (_, members) in &sent.groups {
        let committed = world.committed_of(members).len();
        assert!(committed == 0 || committed == members.len(), "a torn group: {committed} of {}", members.len());
    }
    visible.unreadable.len()
}

async fn transaction(
    world: &World,
    (id, found): (TransactionId, &Transaction),
    known: Known,
    (sent, chunks): (&Sent, &[(u32, u64)]),
    visible: &Visible,
    damaged: Option<&Path>,
) {
    let state = found.state();
    match known.state {
        TransactionState::Committed => {
            assert_eq!((state, found.commit_seq), (TransactionState::Committed, known.commit_seq), "{id}");
        }
        TransactionState::Prepared => {
            assert!(matches!(state, TransactionState::Prepared | TransactionState::Committed), "{id} is {state:?}");
        }
        TransactionState::Aborted => assert_eq!(state, TransactionState::Aborted, "{id}"),
        _ => {}
    }
    let is_visible = |mark: &u64| visible.marks.contains_key(mark) || visible.is_published(sent, *mark);
    let seen = chunks.iter().filter(|(_, mark)| is_visible(mark)).count();
    let count = found.chunks as usize;
    if state == TransactionState::Committed {
        assert!((known.chunks..=chunks.len()).contains(&count), "{id} was committed with {count} blocks");
        assert!(seen <= count && seen + visible.unreadable.len() >= count, "{id} is torn: {seen} of {count} blocks");
        return;
    }
    assert_eq!(seen, 0, "blocks of {id} are visible, which is {state:?}");
    if state == TransactionState::Aborted {
        return;
    }
    // The prefix rule: what is left of an open transaction is its first blocks, as they were sent.
    assert!((known.chunks..=chunks.len()).contains(&count), "{id} has {count} blocks, {} were durable", known.chunks);
    let left = world.store.chunks(id).unwrap();
    assert_eq!(left.len(), count, "{id}");
    for (chunk, (number, mark)) in left.into_iter().zip(chunks) {
        let at = chunk.block.unwrap().at.unwrap();
        assert_eq!(chunk.segment, *number, "{id}");
        if let Some(data) = readable(world.store.block(at.into()).await, damaged) {
            assert_eq!(data, sent.data[mark], "{id}");
        }
    }
}

/// Writes the data directory of a failed case among the system's temporary files, for `sluice admin verify`; answers where.
pub(super) fn keep(disk: &MemDisk, case: &str) -> PathBuf {
    let kept = std::env::temp_dir().join(format!("sluice-crash-{case}"));
    let mut folders = vec![PathBuf::from("/data")];
    while let Some(folder) = folders.pop() {
        let target = kept.join(folder.strip_prefix("/data").unwrap());
        std::fs::create_dir_all(&target).unwrap();
        for entry in disk.list(&folder).unwrap() {
            match entry.is_dir {
                true => folders.push(folder.join(entry.name)),
                false => {
                    std::fs::write(target.join(&entry.name), disk.contents(&folder.join(&entry.name)).unwrap()).unwrap()
                }
            }
        }
    }
    kept
}

/// The store takes an append, nothing in it is damaged, and the next start finds the same.
pub(super) async fn goes_on(world: World, options: &Options) {
    let next = world.store.segment(segment(0)).unwrap().unwrap().next_offset;
    assert_eq!(world.append(0, Bytes::from(vec![0; 9]), 1).await.unwrap(), next, "it does not go on");
    let (tier, _) = Tier::new(world.store.clone(), tier::Options::default());
    let mut damage = verify_all(&world.store, &tier).damage;
    // The workload publishes no real files.
    damage.retain(|damage| !damage.file.starts_with(world.store.folder().join("parquet")));
    assert_eq!(damage, []);
    let content = world.content();
    let place = world.close().await;
    let again = place.open(options.clone());
    assert_eq!((&again.recovery.damage[..], &again.recovery.cut), (&[][..], &None));
    assert!(again.content() == content, "another start finds something else");
    again.close().await;
}
