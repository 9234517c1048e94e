//! Each write by itself: seen when it may be, wholly, and never lost (I1, I2, I5..I7, I22).

use super::{
    anomaly::{AnomalyKind, Findings, Place},
    operation::{Event, Outcome, Stream, Time, Write, WriteKind},
    placement::Placement,
};

/// Finds AbortedRead, LostWrite and, of transactions that are there in part at the end, TornGroup.
pub(super) fn check(findings: &mut Findings<'_>, placement: &Placement) {
    for write in &findings.history.writes {
        match write.outcome.asked() {
            None => check_unseen(findings, placement, write),
            Some(asked) => check_not_before(findings, placement, write, asked),
        }
        match (write.kind, write.outcome) {
            (_, Outcome::Open | Outcome::Prepared | Outcome::Aborted) => {}
            (WriteKind::Transaction { .. }, _) => check_whole(findings, placement, write),
            (WriteKind::Append { .. }, Outcome::Committed { .. }) => check_all(findings, placement, write),
            (WriteKind::Append { first_sequence }, Outcome::Unknown { asked }) => {
                check_beginning(findings, placement, write, first_sequence, asked);
            }
        }
    }
}

/// Nobody asked for these events.
fn check_unseen(findings: &mut Findings<'_>, placement: &Placement, write: &Write) {
    let seen = placement.places(write).count();
    if let Some((stream, segment, offset)) = placement.places(write).next() {
        let values: Vec<_> = placement.slot(stream, segment, offset).map(|slot| slot.value).into_iter().collect();
        findings.add(AnomalyKind::AbortedRead, Place::at(stream, segment, [offset]), &values, |history| {
            let state = match write.outcome {
                Outcome::Open => "open",
                Outcome::Prepared => "prepared and not committed",
                _ => "aborted",
            };
            format!("{seen} events of {} are visible, which is {state}", history.write_name(write))
        });
    }
}

/// Nobody had asked for these events yet.
fn check_not_before(findings: &mut Findings<'_>, placement: &Placement, write: &Write, asked: Time) {
    let early = placement.places(write).find_map(|(stream, segment, offset)| {
        let slot = placement.slot(stream, segment, offset)?;
        (slot.seen < asked).then_some((stream, segment, offset, slot.value))
    });
    if let Some((stream, segment, offset, value)) = early {
        findings.add(AnomalyKind::AbortedRead, Place::at(stream, segment, [offset]), &[value], |history| {
            format!("{} was seen before {} was asked to commit", history.value_name(value), history.write_name(write))
        });
    }
}

/// A transaction is there wholly, or, when nobody was told that it is, not at all.
fn check_whole(findings: &mut Findings<'_>, placement: &Placement, write: &Write) {
    let missing = missing(placement, write);
    let (all, absent) = (write.events().count(), missing.len());
    let Some((stream, event)) = missing.first().copied() else { return };
    let torn = absent < all;
    if !torn && write.outcome.answered().is_none() {
        return;
    }
    let kind = if torn { AnomalyKind::TornGroup } else { AnomalyKind::LostWrite };
    findings.add(kind, Place::of(stream), &[event.value], |history| {
        let (value, name) = (history.value_name(event.value), history.write_name(write));
        match torn {
            true => format!("{absent} of the {all} events of {name} are missing, the first is {value}"),
            false => format!("all {all} events of {name}, which is acknowledged, are missing, the first is {value}"),
        }
    });
}

/// Every event of an acknowledged append is there.
fn check_all(findings: &mut Findings<'_>, placement: &Placement, write: &Write) {
    for (stream, event) in missing(placement, write) {
        findings.add(AnomalyKind::LostWrite, Place::of(stream), &[event.value], |history| {
            format!("{} is acknowledged and missing", history.value_name(event.value))
        });
    }
}

/// Of an append without an answer only the beginning may be there: as much of it as the writer's next opening says.
fn check_beginning(findings: &mut Findings<'_>, placement: &Placement, write: &Write, first: u64, asked: Time) {
    let applied = write.parts.first().and_then(|part| {
        let of_writer = |writer, stream| (writer, stream) == (write.writer, part.stream);
        let mut openings = findings.history.openings.iter();
        let next = openings.find(|opening| of_writer(opening.writer, opening.stream) && opening.at > asked)?;
        Some((next.last_sequence + 1).saturating_sub(first))
    });
    let is_seen = |stream, event: Event| placement.sent.find(stream, event.value).is_some_and(|sent| sent.at.is_some());
    let last_seen = write.events().zip(1u64..).filter(|((stream, event), _)| is_seen(*stream, *event)).last();
    let last_seen = last_seen.map_or(0, |(_, ordinal)| ordinal);
    for ((stream, event), ordinal) in write.events().zip(1u64..) {
        let seen = is_seen(stream, event);
        if !seen && (ordinal < last_seen || applied.is_some_and(|applied| ordinal <= applied)) {
            findings.add(AnomalyKind::LostWrite, Place::of(stream), &[event.value], |history| {
                let value = history.value_name(event.value);
                match ordinal < last_seen {
                    true => format!("{value} is missing though a later event of the same append is there"),
                    false => format!("{value} is missing though the writer's next opening counted it"),
                }
            });
        }
        if seen && applied.is_some_and(|applied| ordinal > applied) {
            findings.add(AnomalyKind::AbortedRead, Place::of(stream), &[event.value], |history| {
                let value = history.value_name(event.value);
                format!("{value} is visible though the writer's next opening did not count it")
            });
        }
    }
}

/// Events of a write that no reader was given.
fn missing(placement: &Placement, write: &Write) -> Vec<(Stream, Event)> {
    let unseen = |&(stream, event): &(Stream, Event)| {
        placement.sent.find(stream, event.value).is_none_or(|sent| sent.at.is_none())
    };
    write.events().filter(unseen).collect()
}
