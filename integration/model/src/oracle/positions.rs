//! What readers see of a segment, from extents and from published files, and that it stays (I5, I6, I19, I20, I24).

use std::sync::Arc;

use sluice_proto::storage::v1::TransactionState;
use sluice_schema::ids::{Offset, TransactionId};
use sluice_txn::ledger::Records as _;

use crate::{
    event::events_of,
    ids::Place,
    world::{Seen, Violation, World},
};

const STORED: &str = "I19, I34: offsets are dense, files hold what was committed";

/// Reads a segment again after it changed, and compares.
pub fn follow(world: &mut World, place: Place) {
    let after = match visible(world, place) {
        Ok(after) => after,
        Err(violation) => {
            world.blame(violation.promise, violation.found);
            return;
        }
    };
    let before = world.seen.get(&place).map_or(&[][..], |seen| seen);
    if before == after {
        return;
    }
    let newest = world.seen.values().filter_map(|seen| seen.last()).map(|seen| seen.commit_seq).max().unwrap_or(0);
    let same_commit = world.ledger.cluster().map_or(0, |cluster| cluster.last_commit_seq);
    let violation = compare(place, before, &after, newest.min(same_commit.saturating_sub(1)));
    Arc::make_mut(&mut world.seen).insert(place, after);
    if let Some(violation) = violation {
        world.blame(violation.promise, violation.found);
    }
}

/// What was visible stays; what is new belongs to one commit, later than `newest`.
pub fn compare(place: Place, before: &[Seen], after: &[Seen], newest: u64) -> Option<Violation> {
    let Some(added) = after.strip_prefix(before) else {
        let at = before.iter().zip(after).take_while(|(a, b)| a == b).count();
        let found = format!(
            "offset {at} of {place} held {:?} and holds {:?}",
            before.get(at).map(|seen| seen.event),
            after.get(at).map(|seen| seen.event)
        );
        return Some(Violation { promise: "I20: a committed position never changes", found });
    };
    let seqs: Vec<u64> = added.iter().map(|seen| seen.commit_seq).collect();
    let one = seqs.windows(2).all(|pair| pair[0] == pair[1]);
    let later = seqs.first().is_none_or(|seq| *seq > newest);
    (!one || !later).then(|| Violation {
        promise: "I5, I24: what appears together has one commit, later than all before",
        found: format!("{place} grew by commits {seqs:?} after commit {newest}"),
    })
}

/// The events of a segment by offset.
fn visible(world: &World, place: Place) -> Result<Vec<Seen>, Violation> {
    let stored = |found: String| Violation { promise: STORED, found };
    let damaged = |error: sluice_txn::ledger::Error| stored(error.to_string());
    let mut seen: Vec<Seen> = Vec::new();
    for (first, file) in world.ledger.parquet_files(place.id()).map_err(damaged)? {
        let content = world.publication.files.get(&(place, first.get()));
        let content = content.filter(|content| content.len() as u64 == file.end.saturating_sub(first.get()));
        let Some(content) = content.filter(|_| first.get() == seen.len() as u64) else {
            return Err(stored(format!(
                "the file [{first}, {}) of {place} does not fit after {}",
                file.end,
                seen.len()
            )));
        };
        seen.extend_from_slice(content);
    }
    for (base, extent) in
        world.ledger.extents(place.id(), Offset::ZERO, Offset::new(u64::MAX), usize::MAX).map_err(damaged)?
    {
        if base.get() != seen.len() as u64 {
            return Err(stored(format!("an extent of {place} starts at {base}, not {}", seen.len())));
        }
        if let Ok(id) = TransactionId::from_bytes(&extent.txn_id) {
            let state = world.ledger.transaction(id).map_err(damaged)?.map(|transaction| transaction.state());
            if state != Some(TransactionState::Committed) {
                let promise = "I6: only events of committed transactions are visible";
                return Err(Violation {
                    promise,
                    found: format!("transaction {id} is {state:?} and visible in {place}"),
                });
            }
        }
        let events = extent.block.iter().flat_map(events_of);
        seen.extend(events.map(|event| Seen { commit_seq: extent.commit_seq, event }));
    }
    Ok(seen)
}
