//! Each reader by itself: batch follows batch, positions never go back (I22..I24, I29).

use std::collections::HashMap;

use super::{
    anomaly::{AnomalyKind, Findings, Place},
    operation::{Poll, Session, Stream},
};

/// Finds NonmonotonicPoll, PositionRegression, GapInOffsets and, within one reader, InconsistentCommit.
pub(super) fn check(findings: &mut Findings<'_>) {
    let mut last: HashMap<(Session, Stream, u32), &Poll> = HashMap::new();
    for poll in &findings.history.polls {
        let before = last.insert((poll.session, poll.stream, poll.segment), poll);
        check_start(findings, before, poll);
        check_end(findings, poll);
    }
}

/// A batch goes on where the one before it ended, and where its reader says it stood.
fn check_start(findings: &mut Findings<'_>, last: Option<&Poll>, poll: &Poll) {
    let Poll { before, base_offset, .. } = *poll;
    let stood = last.map_or(before, |last| last.after);
    let expected = before.max(stood);
    if before != stood {
        let kind = if before < stood { AnomalyKind::PositionRegression } else { AnomalyKind::GapInOffsets };
        findings.add(kind, Place::at(poll.stream, poll.segment, [stood, before]), &[], |_| {
            format!("a reader that stood at {stood} went on from {before}")
        });
    }
    if base_offset != expected {
        let kind = if base_offset < expected { AnomalyKind::NonmonotonicPoll } else { AnomalyKind::GapInOffsets };
        findings.add(kind, Place::at(poll.stream, poll.segment, [expected, base_offset]), &[], |_| {
            format!("a reader was given offset {base_offset} where {expected} comes next")
        });
    }
    if let Some(last) = last
        && poll.commit_seq < last.commit_seq
    {
        let place = Place::at(poll.stream, poll.segment, [last.base_offset, base_offset]);
        findings.add(AnomalyKind::InconsistentCommit, place, &[], |_| {
            format!("a reader was given commit {} after commit {}", poll.commit_seq, last.commit_seq)
        });
    }
}

/// A reader stands after what it was given.
fn check_end(findings: &mut Findings<'_>, poll: &Poll) {
    let (after, end) = (poll.after, poll.base_offset + poll.values.len() as u64);
    if after != end {
        let kind = if after < end { AnomalyKind::PositionRegression } else { AnomalyKind::GapInOffsets };
        findings.add(kind, Place::at(poll.stream, poll.segment, [end, after]), &[], |_| {
            format!("a reader that was given everything below {end} stood at {after} afterwards")
        });
    }
}
