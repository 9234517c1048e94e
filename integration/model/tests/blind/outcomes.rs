//! Wrong changes of the ledger: outcomes that change, ids that fall, blocks that are added too late.

use prost::Message;
use sluice_model::{
    ids::{GroupRef, Txn, sink},
    ledger::Changed,
    oracle::finality,
};
use sluice_proto::storage::v1::{AbortReason, Chunk, Cluster, Group, Sink, Slot, Transaction, TransactionState};
use sluice_txn::key::Key;

const TXN: Txn = Txn { attempt: 0, subtask: 0, ordinal: 0 };

fn changed<M: Message>(key: &Key, before: Option<&M>, after: Option<&M>) -> Changed {
    let bytes = |record: Option<&M>| record.map(|record| record.encode_to_vec().into());
    Changed { key: key.encode(), before: bytes(before), after: bytes(after) }
}

fn transaction(state: TransactionState, reason: AbortReason) -> Transaction {
    Transaction { state: state.into(), abort_reason: reason.into(), ..Transaction::default() }
}

fn goes(before: Option<TransactionState>, after: TransactionState, reason: AbortReason) -> bool {
    let before = before.map(|state| transaction(state, AbortReason::Unspecified));
    let change = changed(&Key::Transaction(TXN.id()), before.as_ref(), Some(&transaction(after, reason)));
    finality::check(&[change]).is_none()
}

#[test]
fn transactions_take_their_ways_only() {
    use TransactionState::{Aborted, Committed, Open, Prepared};
    let none = AbortReason::Unspecified;
    for (before, after, reason) in [
        (None, Open, none),
        (Some(Open), Open, none),
        (Some(Open), Prepared, none),
        (Some(Open), Aborted, AbortReason::Fenced),
        (Some(Prepared), Committed, none),
        (Some(Prepared), Aborted, AbortReason::Superseded),
    ] {
        assert!(goes(before, after, reason), "{before:?} to {after:?}");
    }
    for (before, after, reason) in [
        (None, Prepared, none),
        (None, Committed, none),
        (Some(Open), Committed, none),
        (Some(Prepared), Open, none),
        (Some(Prepared), Prepared, none),
        (Some(Prepared), Aborted, AbortReason::Fenced),
        (Some(Prepared), Aborted, AbortReason::OpenTtl),
        (Some(Prepared), Aborted, AbortReason::Client),
        (Some(Committed), Aborted, AbortReason::Superseded),
        (Some(Committed), Committed, none),
        (Some(Aborted), Open, none),
        (Some(Aborted), Prepared, none),
        (Some(Aborted), Committed, none),
    ] {
        assert!(!goes(before, after, reason), "{before:?} to {after:?}");
    }
    let gone = changed(&Key::Transaction(TXN.id()), Some(&transaction(Open, none)), None);
    assert!(finality::check(&[gone]).is_some());
}

#[test]
fn blocks_are_added_to_open_transactions_only_and_never_altered() {
    let chunk = |segment| Chunk { stream_id: 1, segment, block: None };
    let key = Key::Chunk(TXN.id(), 0);
    let state = |state| {
        let record = transaction(state, AbortReason::Unspecified);
        let later = Transaction { touched_ms: 1, ..record.clone() };
        changed(&Key::Transaction(TXN.id()), Some(&record), Some(&later))
    };
    let added = changed(&key, None, Some(&chunk(0)));
    assert!(finality::check(&[state(TransactionState::Open), added.clone()]).is_none());
    assert!(finality::check(&[added, state(TransactionState::Prepared)]).is_some());
    assert!(finality::check(&[changed(&key, Some(&chunk(0)), Some(&chunk(1)))]).is_some());
    assert!(finality::check(&[changed(&key, Some(&chunk(0)), None)]).is_none(), "blocks go with their commit");
}

#[test]
fn numbers_grow() {
    let slot = |writer_epoch| Slot { writer_epoch, ..Slot::default() };
    let sink_of = |incarnation| Sink { incarnation, ..Sink::default() };
    let cluster = |last_commit_seq| Cluster { last_commit_seq, ..Cluster::default() };
    let slot_key = Key::Slot(sink(), 0);
    assert!(finality::check(&[changed(&slot_key, Some(&slot(1)), Some(&slot(2)))]).is_none());
    for (before, after) in [(2, 2), (2, 1)] {
        assert!(finality::check(&[changed(&slot_key, Some(&slot(before)), Some(&slot(after)))]).is_some());
    }
    assert!(
        finality::check(&[changed(&slot_key, Some(&slot(2)), None)]).is_some(),
        "a slot that is forgotten starts again"
    );
    let sink_key = Key::Sink(sink());
    assert!(finality::check(&[changed(&sink_key, Some(&sink_of(1)), Some(&sink_of(2)))]).is_none());
    for (before, after) in [(2, 1), (1, 3)] {
        assert!(finality::check(&[changed(&sink_key, Some(&sink_of(before)), Some(&sink_of(after)))]).is_some());
        assert!(finality::check(&[changed(&Key::Cluster, Some(&cluster(before)), Some(&cluster(after)))]).is_some());
    }
}

#[test]
fn a_group_has_one_outcome() {
    let group = |commit_seq| Group { commit_seq, ..Group::default() };
    let key = Key::Group(GroupRef { attempt: 0, checkpoint: 1 }.id());
    assert!(finality::check(&[changed(&key, None, Some(&group(1)))]).is_none());
    assert!(finality::check(&[changed(&key, Some(&group(1)), Some(&group(2)))]).is_some());
    assert!(finality::check(&[changed(&key, Some(&group(1)), None)]).is_some());
}
