//! Commit numbers: along the offsets, over each transaction, and at snapshots (I5, I24, I25).

use std::collections::BTreeMap;

use super::{
    anomaly::{AnomalyKind, Findings, Place},
    operation::{Outcome, Snapshot, Stream, Write},
    placement::Placement,
};

/// An offset whose commit is known.
#[derive(Debug, Clone, Copy)]
struct Committed {
    offset: u64,
    commit_seq: u64,
    write: u32,
}

/// Offsets whose commit is known, ascending, by segment.
type Commits = BTreeMap<(Stream, u32), Vec<Committed>>;

/// Finds InconsistentCommit and TornGroup. Only what Parquet rows said is known exactly; a poll says "not later".
pub(super) fn check(findings: &mut Findings<'_>, placement: &Placement) {
    let mut commits = Commits::new();
    for &(stream, segment) in placement.segments.keys() {
        let in_order = placement.in_order(findings.history, stream, segment);
        let known = in_order.filter_map(|(offset, slot, write, _)| {
            slot.commit_seq.map(|commit_seq| Committed { offset, commit_seq, write })
        });
        commits.insert((stream, segment), known.collect());
    }
    for (&(stream, segment), known) in &commits {
        check_order(findings, stream, segment, known);
    }
    check_polls(findings, placement);
    for write in findings.history.writes.iter().filter(|write| write.is_transaction()) {
        check_transaction(findings, placement, write);
    }
    for snapshot in &findings.history.snapshots {
        if let Some(commit_seq) = snapshot.commit_seq {
            check_snapshot(findings, &commits, snapshot, commit_seq);
        }
    }
}

/// Commits never go back along the offsets, and two transactions never share one.
fn check_order(findings: &mut Findings<'_>, stream: Stream, segment: u32, known: &[Committed]) {
    let is_transaction = |history: &super::History, at: &Committed| {
        history.writes.get(at.write as usize).is_some_and(Write::is_transaction)
    };
    for (first, second) in known.iter().zip(known.iter().skip(1)) {
        let place = || Place::at(stream, segment, [first.offset, second.offset]);
        if second.commit_seq < first.commit_seq {
            findings.add(AnomalyKind::InconsistentCommit, place(), &[], |_| {
                format!(
                    "offset {} is of commit {} and offset {} of commit {}",
                    first.offset, first.commit_seq, second.offset, second.commit_seq
                )
            });
        }
        let shared = second.commit_seq == first.commit_seq && second.write != first.write;
        if shared && (is_transaction(findings.history, first) || is_transaction(findings.history, second)) {
            findings.add(AnomalyKind::InconsistentCommit, place(), &[], |_| {
                format!(
                    "the offsets {} and {} are of two writes and of one commit, {}",
                    first.offset, second.offset, first.commit_seq
                )
            });
        }
    }
}

/// A batch says of no event that it was committed earlier than it was.
fn check_polls(findings: &mut Findings<'_>, placement: &Placement) {
    for poll in &findings.history.polls {
        let Some(last) = (poll.base_offset + poll.values.len() as u64).checked_sub(1) else { continue };
        let slot = placement.slot(poll.stream, poll.segment, last);
        let Some(commit_seq) = slot.and_then(|slot| slot.commit_seq) else { continue };
        if commit_seq > poll.commit_seq {
            let place = Place::at(poll.stream, poll.segment, [last]);
            findings.add(AnomalyKind::InconsistentCommit, place, &[], |_| {
                format!(
                    "offset {last} is of commit {commit_seq} in a file and came in a batch of commit {}",
                    poll.commit_seq
                )
            });
        }
    }
}

/// All events of a transaction became visible at one commit, the one its client was told.
fn check_transaction(findings: &mut Findings<'_>, placement: &Placement, write: &Write) {
    let mut known = placement.places(write).filter_map(|(stream, segment, offset)| {
        let slot = placement.slot(stream, segment, offset)?;
        Some((stream, segment, offset, slot.value, slot.commit_seq?))
    });
    let Some((stream, segment, offset, value, commit_seq)) = known.next() else { return };
    if let Some(other) = known.find(|(.., other)| *other != commit_seq) {
        let (_, other_segment, other_offset, other_value, other_seq) = other;
        let place = Place::at(other.0, other_segment, [other_offset]);
        findings.add(AnomalyKind::TornGroup, place, &[value, other_value], |history| {
            let (name, value, other) =
                (history.write_name(write), history.value_name(value), history.value_name(other_value));
            format!("of {name} {value} became visible at commit {commit_seq} and {other} at commit {other_seq}")
        });
    }
    if let Outcome::Committed { commit_seq: Some(answered), .. } = write.outcome
        && answered != commit_seq
    {
        findings.add(AnomalyKind::InconsistentCommit, Place::at(stream, segment, [offset]), &[value], |history| {
            let name = history.write_name(write);
            format!("{name} was answered commit {answered}, its rows say commit {commit_seq}")
        });
    }
}

/// A stream's end at a commit is the end of what that commit and those before it made visible.
fn check_snapshot(findings: &mut Findings<'_>, commits: &Commits, snapshot: &Snapshot, commit_seq: u64) {
    for (&segment, &end) in &snapshot.ends {
        let Some(known) = commits.get(&(snapshot.stream, segment)) else { continue };
        let visible = known.partition_point(|at| at.commit_seq <= commit_seq);
        let (within, beyond) = known.split_at(visible);
        let missing = within.last().filter(|at| at.offset >= end);
        let early = beyond.first().filter(|at| at.offset < end);
        for at in missing.into_iter().chain(early) {
            let Some(write) = findings.history.writes.get(at.write as usize) else { continue };
            let kind = if write.is_transaction() { AnomalyKind::TornGroup } else { AnomalyKind::InconsistentCommit };
            findings.add(kind, Place::at(snapshot.stream, segment, [at.offset, end]), &[], |history| {
                format!(
                    "at commit {commit_seq} the segment ends at {end}, but offset {} of {} is of commit {}",
                    at.offset,
                    history.write_name(write),
                    at.commit_seq
                )
            });
        }
    }
}
