//! AttachSink: what a fresh or restored job may do with a sink's history (protocol.md §3.7).
//!
//! H is the sink's head: the last group of its chain. All committed groups of a sink lie on the one chain that ends at H, so a
//! committed group that is not H is an ancestor of H, and no walk is needed to decide.

use sluice_proto::storage::v1::{Attach, Group, Sink, SinkRun, SlotFence, TransactionState};
use sluice_schema::{
    ids::{GroupId, RunNonce, TimelineId, TransactionId},
    names::SinkName,
};

use super::{
    ErrorClass, ErrorReason, Millis, Outcome, PARALLELISM_MAX, Refusal,
    transactions::{aborted, bump_slot, sink_or_new},
};
use crate::{
    key::{Key, KeySpan},
    ledger::{Draft, Records},
};

/// Attaches by differing runs within this time count as flapping from the third change on.
const FLAPPING_WINDOW_MS: Millis = 5 * 60 * 1000;
/// How long a flapping sink refuses another run.
const FLAPPING_PAUSE_MS: Millis = 60 * 1000;
const ATTACHES_KEPT: usize = 4;
/// How far back a refusal counts the groups that would be forked.
const FORK_COUNT_MAX: usize = 10_000;

/// How the attaching job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Streaming with checkpoints.
    Streaming,
    /// BATCH or without checkpoints: one commit at the end.
    Batch,
}

/// What the job's state says about the sink.
#[derive(Debug, Clone, Default)]
pub struct Restored {
    /// The last head the gateway confirmed to this state.
    pub base: Option<GroupId>,
    /// Groups emitted after it, in order.
    pub emitted: Vec<Group>,
    /// The timeline the state belongs to.
    pub timeline: Option<TimelineId>,
}

/// An attach.
#[derive(Debug, Clone)]
pub struct Command {
    /// The submission.
    pub run: RunNonce,
    /// Writer subtasks.
    pub parallelism: u32,
    /// The incarnation the caller read before.
    pub incarnation_read: u64,
    /// The state of a checkpoint or savepoint; `None`: a fresh start.
    pub restored: Option<Restored>,
    /// How the job runs.
    pub mode: Mode,
    /// Go on although committed groups are unknown to the state.
    pub accept_duplicates: bool,
    /// Refuse a fresh start over a sink with history.
    pub refuse_fresh_start: bool,
}

/// The answer of an attach.
#[derive(Debug, Clone, PartialEq)]
pub struct Attached {
    /// The new incarnation.
    pub incarnation: u64,
    /// The head, and the new base.
    pub head: Option<GroupId>,
    /// Emitted groups that are not committed, in order, with the `prev_group` that counts.
    pub pending: Vec<Group>,
    /// PREPARED transactions that no pending group holds.
    pub leftovers: Vec<TransactionId>,
}

/// Takes over a sink.
pub fn attach(draft: &mut Draft<'_>, sink: &SinkName, command: &Command, now: Millis) -> Outcome<Attached> {
    if command.parallelism == 0 || command.parallelism > PARALLELISM_MAX {
        return Err(Refusal::bad_request(format!(
            "parallelism must be 1..={PARALLELISM_MAX}, not {}",
            command.parallelism
        ))
        .into());
    }
    let mut record = sink_or_new(draft, sink, now)?;
    if record.incarnation != command.incarnation_read {
        let text = format!(
            "another attempt attached to sink {sink} meanwhile (incarnation {}, read {}); read it again",
            record.incarnation, command.incarnation_read
        );
        let mut race = Refusal::new(ErrorClass::Conflict, ErrorReason::AttachRace, text);
        race.detail.current = Some(record.incarnation);
        return Err(race.into());
    }
    note_attach(sink, &mut record, command.run, now)?;

    let head = group_id(&record.head_group);
    let pending = match &command.restored {
        Some(restored) => {
            check_known(draft, sink, restored)?;
            check_members(draft, restored)?;
            pending_after(draft, sink, head, restored, command.accept_duplicates)?
        }
        None => {
            check_fresh(draft, sink, head, &record, command)?;
            Vec::new()
        }
    };

    record.incarnation += 1;
    record.run_nonce = command.run.to_bytes();
    record.emitted = pending.clone();
    record.accepted_duplicates = command.accept_duplicates;
    record.fences.clear();
    for subtask in command.parallelism..record.slots {
        let epoch = bump_slot(draft, sink, subtask, command.run, now)?;
        record.fences.push(SlotFence { subtask, epoch });
    }
    draft.put(&Key::Sink(sink.clone()), &record);
    let leftovers = leftovers(draft, sink, &pending)?;
    Ok(Attached { incarnation: record.incarnation, head, pending, leftovers })
}

/// Remembers who attached; refuses where two runs take the sink from each other.
fn note_attach(sink: &SinkName, record: &mut Sink, run: RunNonce, now: Millis) -> Outcome<()> {
    let run = run.to_bytes();
    if record.attaches.last().is_some_and(|last| last.run_nonce == run) {
        return Ok(());
    }
    let seen_before = record.attaches.iter().any(|attach| attach.run_nonce == run);
    let recent = record.attaches.iter().filter(|attach| now.saturating_sub(attach.at_ms) < FLAPPING_WINDOW_MS).count();
    if let Some(last) = record.attaches.last()
        && seen_before
        && recent >= 3
        && now.saturating_sub(last.at_ms) < FLAPPING_PAUSE_MS
    {
        let name = |raw: &bytes::Bytes| super::transactions::run_of(raw).to_string();
        let text = format!(
            "runs {} and {} take sink {sink} from each other; stop one of them or give it another sink.id (refused for 60 s)",
            name(&last.run_nonce),
            name(&run)
        );
        return Err(Refusal::new(ErrorClass::Retriable, ErrorReason::AttachFlapping, text)
            .about(format!("sink {sink}"))
            .into());
    }
    record.attaches.push(Attach { at_ms: now, run_nonce: run });
    let excess = record.attaches.len().saturating_sub(ATTACHES_KEPT);
    record.attaches.drain(..excess);
    Ok(())
}

/// Refuses a state that knows more than this store: another cluster, or a store that went back.
fn check_known(draft: &Draft<'_>, sink: &SinkName, restored: &Restored) -> Outcome<()> {
    let rolled_back = |what: String| {
        let text = format!(
            "the job's state and this gateway do not belong together ({what}): the store was restored from a backup, or the endpoint is another cluster"
        );
        Refusal::rejected(ErrorReason::MetadataRolledBack, text).about(format!("sink {sink}"))
    };
    let timeline = TimelineId::from_bytes(&draft.cluster()?.timeline_id).unwrap_or(TimelineId::new(uuid::Uuid::nil()));
    if let Some(known) = restored.timeline
        && known != timeline
    {
        return Err(rolled_back(format!("the state is of timeline {known}, the gateway of {timeline}")).into());
    }
    if let Some(base) = restored.base
        && draft.group(base)?.is_none()
    {
        return Err(rolled_back(format!("group {base} was committed for the job and is unknown here")).into());
    }
    for group in &restored.emitted {
        for id in member_ids(group)? {
            if draft.transaction(id)?.is_none() {
                return Err(
                    rolled_back(format!("transaction {id} was prepared for the job and is unknown here")).into()
                );
            }
        }
    }
    Ok(())
}

/// Refuses a state that holds a transaction which is gone.
fn check_members(draft: &Draft<'_>, restored: &Restored) -> Outcome<()> {
    for group in &restored.emitted {
        for id in member_ids(group)? {
            let Some(transaction) = draft.transaction(id)? else { continue };
            if transaction.state() == TransactionState::Aborted {
                let mut refusal = aborted(id, &transaction);
                refusal.detail.reason = ErrorReason::LostTransaction.into();
                refusal.message = format!(
                    "the restored state holds transaction {id} of checkpoint {}, which was aborted ({}): its events cannot be committed any more; restore a newer checkpoint",
                    group.checkpoint, refusal.detail.abort_reason
                );
                return Err(refusal.into());
            }
        }
    }
    Ok(())
}

/// The emitted groups still to be committed, or the refusal of an older savepoint.
fn pending_after(
    draft: &Draft<'_>,
    sink: &SinkName,
    head: Option<GroupId>,
    restored: &Restored,
    accept_duplicates: bool,
) -> Outcome<Vec<Group>> {
    let place = if head == restored.base {
        Some(0)
    } else {
        restored.emitted.iter().position(|group| group_id(&group.group_id) == head).map(|place| place + 1)
    };
    if let Some(place) = place {
        return Ok(restored.emitted[place..].to_vec());
    }
    if !accept_duplicates {
        return Err(forked(draft, sink, head, restored)?.into());
    }
    let mut prev = head;
    let mut pending = Vec::new();
    for group in &restored.emitted {
        let id = group_id(&group.group_id);
        if let Some(id) = id
            && draft.group(id)?.is_none()
        {
            pending.push(Group { prev_group: prev.map(|prev| prev.to_bytes()).unwrap_or_default(), ..group.clone() });
            prev = Some(id);
        }
    }
    Ok(pending)
}

/// Counts what an older savepoint would write again.
fn forked(draft: &Draft<'_>, sink: &SinkName, head: Option<GroupId>, restored: &Restored) -> Outcome<Refusal> {
    let known = |id: GroupId| {
        restored.base == Some(id) || restored.emitted.iter().any(|group| group_id(&group.group_id) == Some(id))
    };
    let (mut groups, mut events, mut newest, mut oldest) = (0usize, 0u64, None, None);
    let mut at = head;
    while let Some(id) = at.filter(|id| !known(*id) && groups < FORK_COUNT_MAX) {
        let Some(group) = draft.group(id)? else { break };
        groups += 1;
        events += group.events;
        newest = newest.or(Some(group.checkpoint));
        oldest = Some(group.checkpoint);
        at = group_id(&group.prev_group);
    }
    let (oldest, newest) = (oldest.unwrap_or(0), newest.unwrap_or(0));
    let text = format!(
        "the restored state is older than sink {sink}: {groups} commit group(s) with {events} events (checkpoints {oldest} to {newest}) are committed that it does not know and would be written again; \
         restore a newer checkpoint, set sink.accept-duplicates = true to go on, or give the job a new sink.id"
    );
    Ok(Refusal::rejected(ErrorReason::ForkedHistory, text)
        .about(format!("sink {sink}"))
        .fact("groups", groups)
        .fact("events", events)
        .fact("oldest_checkpoint", oldest)
        .fact("newest_checkpoint", newest))
}

/// What a job without state may do.
fn check_fresh(
    draft: &Draft<'_>,
    sink: &SinkName,
    head: Option<GroupId>,
    record: &Sink,
    command: &Command,
) -> Outcome<()> {
    let committed: Option<SinkRun> = draft.record(&Key::SinkRun(sink.clone(), command.run.uuid()))?;
    if let Some(run) = committed {
        let group = group_id(&run.group_id).map_or_else(String::new, |group| group.to_string());
        if command.mode == Mode::Batch {
            let text = format!("group {group} of this run is committed to sink {sink} already; nothing is left to do");
            return Err(Refusal::new(ErrorClass::Conflict, ErrorReason::CommittedByThisRun, text)
                .about(format!("sink {sink}"))
                .fact("group", group)
                .into());
        }
        if !command.accept_duplicates {
            return Err(forked(draft, sink, head, &Restored::default())?.into());
        }
    }
    let other_run = record.incarnation > 0 && record.run_nonce != command.run.to_bytes();
    if command.refuse_fresh_start && head.is_some() && other_run {
        let text = format!(
            "sink {sink} has committed before and the job starts without state (sink.fresh-start = refuse): restore its checkpoint, or use a new sink.id"
        );
        return Err(Refusal::rejected(ErrorReason::ForkedHistory, text).about(format!("sink {sink}")).into());
    }
    Ok(())
}

fn leftovers(draft: &Draft<'_>, sink: &SinkName, pending: &[Group]) -> Outcome<Vec<TransactionId>> {
    let mut held = std::collections::BTreeSet::new();
    for group in pending {
        held.extend(member_ids(group)?);
    }
    let mut found = Vec::new();
    for (_, id) in draft.active(&KeySpan::active_of_sink(sink))? {
        let prepared =
            draft.transaction(id)?.is_some_and(|transaction| transaction.state() == TransactionState::Prepared);
        if prepared && !held.contains(&id) {
            found.push(id);
        }
    }
    Ok(found)
}

/// A group id as stored; empty means none.
pub(super) fn group_id(raw: &[u8]) -> Option<GroupId> {
    GroupId::from_bytes(raw).ok()
}

/// The members of a group; a malformed id is the caller's mistake.
pub(super) fn member_ids(group: &Group) -> Outcome<Vec<TransactionId>> {
    let id = |raw: &bytes::Bytes| {
        TransactionId::from_bytes(raw)
            .map_err(|error| Refusal::bad_request(format!("a member of the group: {error}")).into())
    };
    group.members.iter().map(id).collect()
}
