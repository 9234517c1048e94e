//! One change of the ledger: outcomes are final (I3, I7), what is prepared stays as it is (I10), ids and epochs grow (I18).

use std::collections::BTreeMap;

use prost::Message;
use sluice_proto::storage::v1::{AbortReason, Cluster, Sink, Slot, Transaction, TransactionState};
use sluice_schema::ids::TransactionId;
use sluice_txn::key::Key;

use crate::{ledger::Changed, world::Violation};

fn broken(promise: &'static str, found: String) -> Option<Violation> {
    Some(Violation { promise, found })
}

/// What a change broke, if anything.
pub fn check(changed: &[Changed]) -> Option<Violation> {
    let mut states: BTreeMap<TransactionId, TransactionState> = BTreeMap::new();
    for change in changed {
        if let Some(Key::Transaction(id)) = Key::decode(&change.key) {
            let state = record::<Transaction>(change.before.as_ref()).map(|record| record.state());
            states.insert(id, state.unwrap_or_default());
        }
    }
    changed.iter().find_map(|change| match Key::decode(&change.key)? {
        Key::Transaction(id) => transaction(id, change),
        Key::Chunk(id, seq) => {
            let altered = change.before.is_some() && change.after.is_some();
            let added =
                change.before.is_none() && states.get(&id).is_some_and(|state| *state != TransactionState::Open);
            if !altered && !added {
                return None;
            }
            let state = states.get(&id);
            broken(
                "I10: what was written stays as it was written",
                format!("block {seq} of transaction {id} changed while it was {state:?}"),
            )
        }
        Key::Group(id) if change.before.is_some() => {
            broken("I7: a group has one outcome", format!("group {id} was committed and changed"))
        }
        Key::Slot(_, subtask) => {
            let epoch = |value| record::<Slot>(value).map_or(0, |slot| slot.writer_epoch);
            let (before, after) = (epoch(change.before.as_ref()), epoch(change.after.as_ref()));
            (after <= before).then(|| Violation {
                promise: "I18: epochs grow",
                found: format!("slot {subtask} went from epoch {before} to {after}"),
            })
        }
        Key::Sink(_) => {
            let incarnation = |value| record::<Sink>(value).map_or(0, |sink| sink.incarnation);
            let (before, after) = (incarnation(change.before.as_ref()), incarnation(change.after.as_ref()));
            (after < before || after > before + 1).then(|| Violation {
                promise: "I18: incarnations grow by one",
                found: format!("from {before} to {after}"),
            })
        }
        Key::Cluster => {
            let seq = |value| record::<Cluster>(value).map_or(0, |cluster| cluster.last_commit_seq);
            let (before, after) = (seq(change.before.as_ref()), seq(change.after.as_ref()));
            (after < before || after > before + 1)
                .then(|| Violation { promise: "I18: commits grow by one", found: format!("from {before} to {after}") })
        }
        _ => None,
    })
}

fn record<M: Message + Default>(value: Option<&bytes::Bytes>) -> Option<M> {
    value.and_then(|value| M::decode(value.clone()).ok())
}

/// A transaction takes only the ways of protocol.md §3.3.
fn transaction(id: TransactionId, change: &Changed) -> Option<Violation> {
    use TransactionState::{Aborted, Committed, Open, Prepared};
    let before = record::<Transaction>(change.before.as_ref()).map(|record| record.state());
    let Some(after) = record::<Transaction>(change.after.as_ref()) else {
        return broken("I7: outcomes are kept", format!("transaction {id} is gone"));
    };
    let text = || format!("transaction {id} went from {before:?} to {:?} ({:?})", after.state(), after.abort_reason());
    match (before, after.state()) {
        (None, Open) | (Some(Open), Open | Prepared | Aborted) | (Some(Prepared), Committed) => None,
        (Some(Prepared), Aborted) if after.abort_reason() == AbortReason::Superseded => None,
        (Some(Committed | Aborted), _) => broken("I7: COMMITTED and ABORTED are final", text()),
        (Some(Prepared), _) => {
            broken("I3: a prepared transaction ends by a commit or a later group of its slot", text())
        }
        _ => broken("I6: only what was prepared is committed", text()),
    }
}
