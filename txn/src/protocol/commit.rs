//! CommitGroup: all transactions of one checkpoint become visible at one commit_seq (protocol.md §3.6).

use std::collections::{BTreeMap, BTreeSet};

use sluice_proto::storage::v1::{AbortReason, Extent, Group, Segment, Sink, SinkRun, Transaction, TransactionState};
use sluice_schema::{
    ids::{ClusterId, GroupId, Offset, SegmentId, SegmentNumber, StreamId, TimelineId, TransactionId},
    names::SinkName,
};

use super::{
    ErrorClass, ErrorReason, GROUP_MEMBERS_MAX, Millis, Outcome, Refusal,
    attach::{group_id, member_ids},
    events::{block_bytes, require_writable},
    transactions::{aborted, end_aborted, require, run_of},
};
use crate::{
    key::{Key, KeySpan},
    ledger::{Draft, Records},
};

/// What became visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The commit.
    pub commit_seq: u64,
    /// When.
    pub commit_ms: Millis,
    /// Events the group made visible.
    pub events: u64,
    /// Events of older prepared transactions that it superseded.
    pub superseded_events: u64,
}

/// Commits a group; a repeat answers as the first time, for ever.
pub fn commit_group(
    draft: &mut Draft<'_>,
    sink: &SinkName,
    group: &Group,
    cluster: ClusterId,
    timeline: TimelineId,
    now: Millis,
) -> Outcome<Committed> {
    let id = check_shape(draft, sink, group, cluster, timeline)?;
    if let Some(stored) = draft.group(id)? {
        return stored_outcome(sink, id, &stored, group);
    }
    let unknown = || {
        Refusal::not_found(ErrorReason::UnknownSink, format!("sink {sink} is unknown")).about(format!("sink {sink}"))
    };
    let mut record = draft.sink(sink)?.ok_or_else(unknown)?;
    let members = members(draft, sink, id, group)?;
    let prev = right_to_commit(draft, sink, &record, id, group)?;

    let mut cluster_record = draft.cluster()?;
    cluster_record.last_commit_seq += 1;
    cluster_record.last_commit_ms = now.max(cluster_record.last_commit_ms + 1);
    let (commit_seq, commit_ms) = (cluster_record.last_commit_seq, cluster_record.last_commit_ms);
    draft.put(&Key::Cluster, &cluster_record);

    let events = give_offsets(draft, sink, &members, commit_seq, commit_ms)?;
    let run = members.first().map(|(_, transaction)| transaction.run_nonce.clone()).unwrap_or_default();
    let superseded_events = supersede(draft, sink, &record, group, &members, now)?;
    for (member, transaction) in members {
        let mut transaction = transaction;
        transaction.state = TransactionState::Committed.into();
        transaction.state_since_ms = now;
        transaction.commit_seq = commit_seq;
        transaction.group_id = id.to_bytes();
        draft.delete(&Key::ActiveTransaction(sink.clone(), transaction.subtask, member));
        draft.put(&Key::Transaction(member), &transaction);
    }

    record.head_group = id.to_bytes();
    record.emitted.retain(|emitted| emitted.group_id != group.group_id);
    record.superseded_events += superseded_events;
    draft.put(&Key::Sink(sink.clone()), &record);
    draft.put(&Key::SinkRun(sink.clone(), run_of(&run).uuid()), &SinkRun { group_id: id.to_bytes() });
    draft.put(
        &Key::Group(id),
        &Group {
            prev_group: prev.map(|prev| prev.to_bytes()).unwrap_or_default(),
            scope: sink.scope.to_string(),
            sink: sink.name.to_string(),
            commit_seq,
            commit_ms,
            events,
            superseded_events,
            run_nonce: run,
            ..group.clone()
        },
    );
    Ok(Committed { commit_seq, commit_ms, events, superseded_events })
}

/// Checks what needs no state but the store's identity.
fn check_shape(
    draft: &Draft<'_>,
    sink: &SinkName,
    group: &Group,
    cluster: ClusterId,
    timeline: TimelineId,
) -> Outcome<GroupId> {
    let record = draft.cluster()?;
    if record.cluster_id != cluster.to_bytes() || record.timeline_id != timeline.to_bytes() {
        let text = format!(
            "the group belongs to cluster {cluster}, timeline {timeline}: this store is another one, or was restored from a backup"
        );
        return Err(Refusal::rejected(ErrorReason::MetadataRolledBack, text).about(format!("sink {sink}")).into());
    }
    let id =
        GroupId::from_bytes(&group.group_id).map_err(|error| Refusal::bad_request(format!("group_id: {error}")))?;
    if group.members.is_empty() || group.members.len() > GROUP_MEMBERS_MAX {
        return Err(Refusal::bad_request(format!(
            "a group has 1..={GROUP_MEMBERS_MAX} members, not {}",
            group.members.len()
        ))
        .into());
    }
    let distinct: BTreeSet<_> = group.members.iter().collect();
    if distinct.len() != group.members.len() {
        return Err(Refusal::bad_request(format!("group {id} names a member twice")).into());
    }
    if group_id(&group.prev_group) == Some(id) {
        return Err(Refusal::bad_request(format!("group {id} names itself as its predecessor")).into());
    }
    Ok(id)
}

fn stored_outcome(sink: &SinkName, id: GroupId, stored: &Group, group: &Group) -> Outcome<Committed> {
    let same_sink = stored.scope == sink.scope.as_str() && stored.sink == sink.name.as_str();
    if !same_sink || stored.members != group.members {
        return Err(Refusal::rejected(
            ErrorReason::GroupMismatch,
            format!("group {id} is committed with other members or for another sink"),
        )
        .about(format!("group {id}"))
        .into());
    }
    Ok(Committed {
        commit_seq: stored.commit_seq,
        commit_ms: stored.commit_ms,
        events: stored.events,
        superseded_events: stored.superseded_events,
    })
}

/// The members, all PREPARED and of this sink.
fn members(
    draft: &Draft<'_>,
    sink: &SinkName,
    id: GroupId,
    group: &Group,
) -> Outcome<Vec<(TransactionId, Transaction)>> {
    let mut found = Vec::with_capacity(group.members.len());
    for member in member_ids(group)? {
        let transaction = require(draft, member)?;
        if transaction.scope != sink.scope.as_str() || transaction.sink != sink.name.as_str() {
            return Err(Refusal::rejected(
                ErrorReason::GroupMismatch,
                format!("transaction {member} of group {id} does not belong to sink {sink}"),
            )
            .into());
        }
        match transaction.state() {
            TransactionState::Prepared => found.push((member, transaction)),
            TransactionState::Aborted => return Err(aborted(member, &transaction).fact("group", id).into()),
            TransactionState::Committed => {
                return Err(Refusal::rejected(
                    ErrorReason::GroupMismatch,
                    format!("transaction {member} is committed in another group than {id}"),
                )
                .into());
            }
            _ => {
                return Err(Refusal::rejected(
                    ErrorReason::BadRequest,
                    format!("transaction {member} of group {id} is not prepared"),
                )
                .into());
            }
        }
    }
    Ok(found)
}

/// Whether this group may commit now; answers the predecessor that counts.
fn right_to_commit(
    draft: &Draft<'_>,
    sink: &SinkName,
    record: &Sink,
    id: GroupId,
    group: &Group,
) -> Outcome<Option<GroupId>> {
    let listed = record.emitted.iter().find(|emitted| emitted.group_id == group.group_id);
    if listed.is_none() && group.incarnation != record.incarnation {
        let text = format!(
            "group {id} was minted under incarnation {} of sink {sink}; incarnation {} owns it now",
            group.incarnation, record.incarnation
        );
        return Err(Refusal::fenced(ErrorReason::StaleEpoch, record.incarnation, text)
            .about(format!("sink {sink}"))
            .into());
    }
    let prev = group_id(&listed.unwrap_or(group).prev_group);
    let head = group_id(&record.head_group);
    if prev == head {
        return Ok(prev);
    }
    let overtaken = match prev {
        None => true,
        Some(prev) => draft.group(prev)?.is_some(),
    };
    let head = head.map_or_else(|| "none".into(), |head| head.to_string());
    if overtaken {
        let text = format!(
            "group {id} follows a group that is no longer the head of sink {sink} (head: {head}): another job went on from there"
        );
        return Err(Refusal::fenced(ErrorReason::UnknownHead, record.incarnation, text)
            .about(format!("sink {sink}"))
            .into());
    }
    let text = format!("the group before {id} is not committed yet (head of sink {sink}: {head})");
    Err(Refusal::new(ErrorClass::Retriable, ErrorReason::OutOfOrder, text)
        .about(format!("sink {sink}"))
        .fact("head", head)
        .into())
}

/// Moves the members' blocks into their segments, ordered by (member, seq); answers how many events.
fn give_offsets(
    draft: &mut Draft<'_>,
    sink: &SinkName,
    members: &[(TransactionId, Transaction)],
    commit_seq: u64,
    commit_ms: Millis,
) -> Outcome<u64> {
    let mut segments: BTreeMap<SegmentId, Segment> = BTreeMap::new();
    let mut events = 0;
    for (member, _) in members {
        for (seq, chunk) in (0u64..).zip(draft.chunks(*member)?) {
            let id = SegmentId { stream: StreamId::new(chunk.stream_id), segment: SegmentNumber::new(chunk.segment) };
            let block = chunk.block.unwrap_or_default();
            if let std::collections::btree_map::Entry::Vacant(entry) = segments.entry(id) {
                let segment =
                    require_writable(draft, id, block.schema_id).map_err(|failure| cannot_land(failure, sink))?;
                entry.insert(segment);
            }
            let Some(segment) = segments.get_mut(&id) else { continue };
            let base = segment.next_offset;
            segment.next_offset += u64::from(block.rows);
            segment.unpublished_bytes += block_bytes(&block);
            events += u64::from(block.rows);
            draft.put(
                &Key::Extent(id, Offset::new(base)),
                &Extent { block: Some(block), commit_seq, commit_ms, txn_id: member.to_bytes(), ..Extent::default() },
            );
            draft.delete(&Key::Chunk(*member, seq));
        }
    }
    for (id, segment) in segments {
        draft.put(&Key::Segment(id), &segment);
    }
    Ok(events)
}

/// A stream that was sealed or deleted between prepare and commit makes the commit fail for good, and says so.
fn cannot_land(failure: super::Failure, sink: &SinkName) -> super::Failure {
    match failure {
        super::Failure::Refused(mut refusal) => {
            refusal.detail.class = ErrorClass::Rejected.into();
            refusal.message = format!("sink {sink} cannot commit: {}", refusal.message);
            refusal.into()
        }
        other => other,
    }
}

/// Ends PREPARED transactions whose place this group takes: same slot, older epoch. The slot's present epoch plays no part.
fn supersede(
    draft: &mut Draft<'_>,
    sink: &SinkName,
    record: &Sink,
    group: &Group,
    members: &[(TransactionId, Transaction)],
    now: Millis,
) -> Outcome<u64> {
    let mut newest: BTreeMap<u32, u64> = BTreeMap::new();
    if group.incarnation == record.incarnation {
        newest.extend(record.fences.iter().map(|fence| (fence.subtask, fence.epoch)));
    }
    for (_, transaction) in members {
        let epoch = newest.entry(transaction.subtask).or_default();
        *epoch = (*epoch).max(transaction.writer_epoch);
    }
    let own: BTreeSet<TransactionId> = members.iter().map(|(id, _)| *id).collect();
    let mut events = 0;
    for (subtask, epoch) in newest {
        for (_, id) in draft.active(&KeySpan::active_of_slot(sink, subtask))? {
            let transaction = require(draft, id)?;
            let older = transaction.state() == TransactionState::Prepared && transaction.writer_epoch < epoch;
            if older && !own.contains(&id) {
                events += transaction.events;
                end_aborted(draft, sink, id, transaction, AbortReason::Superseded, now)?;
            }
        }
    }
    Ok(events)
}
