//! Where streams end, over time: never before what somebody knew to be there (I2, I24).

use std::collections::BTreeMap;

use super::{
    anomaly::{AnomalyKind, Findings, Place},
    operation::{Stream, Time, Write},
    placement::Placement,
};

/// From `since` on, the segment is known to reach beyond `offset`.
#[derive(Debug, Clone, Copy)]
struct Known {
    since: Time,
    stream: Stream,
    segment: u32,
    offset: u64,
    /// How it is known.
    how: &'static str,
}

/// Finds StaleRead: an end that was asked for after an event was acknowledged or seen, and lies before it.
pub(super) fn check(findings: &mut Findings<'_>, placement: &Placement) {
    let history = findings.history;
    let mut known = known(findings, placement);
    known.sort_unstable_by_key(|known| known.since);
    let mut snapshots: Vec<_> = history.snapshots.iter().collect();
    snapshots.sort_by_key(|snapshot| snapshot.asked);

    let mut farthest: BTreeMap<(Stream, u32), Known> = BTreeMap::new();
    let mut known = known.into_iter().peekable();
    for snapshot in snapshots {
        while let Some(next) = known.next_if(|known| known.since < snapshot.asked) {
            let present = farthest.entry((next.stream, next.segment)).or_insert(next);
            if present.offset < next.offset {
                *present = next;
            }
        }
        for (&segment, &end) in &snapshot.ends {
            let Some(Known { offset, how, .. }) = farthest.get(&(snapshot.stream, segment)) else { continue };
            if *offset >= end {
                findings.add(AnomalyKind::StaleRead, Place::at(snapshot.stream, segment, [*offset, end]), &[], |_| {
                    format!("the segment ended at {end} though offset {offset} had been {how} before")
                });
            }
        }
    }
}

fn known(findings: &Findings<'_>, placement: &Placement) -> Vec<Known> {
    let history = findings.history;
    let mut all = Vec::new();
    for poll in &history.polls {
        if let Some(offset) = (poll.base_offset + poll.values.len() as u64).checked_sub(1) {
            all.push(Known { since: poll.at, stream: poll.stream, segment: poll.segment, offset, how: "read" });
        }
    }
    for look in &history.looks {
        for file in &look.files {
            if let Some(offset) = file.end.checked_sub(1) {
                all.push(Known {
                    since: look.at,
                    stream: look.stream,
                    segment: file.segment,
                    offset,
                    how: "published",
                });
            }
        }
    }
    for write in &history.writes {
        if let Some((since, how)) = visible_since(placement, write) {
            let mut ends = BTreeMap::new();
            for (stream, segment, offset) in placement.places(write) {
                let end = ends.entry((stream, segment)).or_insert(offset);
                *end = offset.max(*end);
            }
            all.extend(ends.into_iter().map(|((stream, segment), offset)| Known {
                since,
                stream,
                segment,
                offset,
                how,
            }));
        }
    }
    all
}

/// From when on all events of a write are visible, as far as anybody knows: since its acknowledgement, and those of a
/// transaction since one of them was seen.
fn visible_since(placement: &Placement, write: &Write) -> Option<(Time, &'static str)> {
    let answered = write.outcome.answered().map(|time| (time, "acknowledged"));
    if !write.is_transaction() {
        return answered;
    }
    let seen = placement.places(write).filter_map(|(stream, segment, offset)| {
        placement
            .slot(stream, segment, offset)
            .map(|slot| (slot.seen, "made visible with another event of its transaction"))
    });
    seen.chain(answered).min_by_key(|(time, _)| *time)
}
