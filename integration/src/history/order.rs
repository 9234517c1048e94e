//! The order of events within a segment: each key's as sent, and that of time (I21).

use std::collections::HashMap;

use super::{
    anomaly::{AnomalyKind, Findings, Place},
    operation::{Key, Stream, Time, Value, Writer},
    placement::Placement,
};

/// Finds ReorderedKey and NonmonotonicSend.
pub(super) fn check(findings: &mut Findings<'_>, placement: &Placement) {
    let mut last_of_key = HashMap::new();
    for &(stream, segment) in placement.segments.keys() {
        check_keys(findings, placement, stream, segment, &mut last_of_key);
        check_times(findings, placement, stream, segment);
    }
}

/// Where the last event of a key lies.
type LastOfKey = HashMap<(Stream, Writer, Key), (u32, u64, Value)>;

fn check_keys(
    findings: &mut Findings<'_>,
    placement: &Placement,
    stream: Stream,
    segment: u32,
    last_of_key: &mut LastOfKey,
) {
    for (offset, slot, ..) in placement.in_order(findings.history, stream, segment) {
        let value = slot.value;
        let Some(sent) = placement.sent.find(stream, value) else { continue };
        let last = last_of_key.insert((stream, value.writer, sent.key), (segment, offset, value));
        let Some((last_segment, last_offset, last)) = last else { continue };
        if last_segment != segment {
            let place = Place::at(stream, segment, [offset]);
            findings.add(AnomalyKind::ReorderedKey, place, &[last, value], |history| {
                let (last, value) = (history.value_name(last), history.value_name(value));
                format!("{last} and {value} have one key and lie in the segments {last_segment} and {segment}")
            });
        } else if value.n < last.n {
            let place = Place::at(stream, segment, [last_offset, offset]);
            findings.add(AnomalyKind::ReorderedKey, place, &[last, value], |history| {
                let (last, value) = (history.value_name(last), history.value_name(value));
                format!("{value} lies behind {last}, which has the same key and was sent later")
            });
        }
    }
}

/// From the end to the start: nothing was sent after something behind it had been acknowledged.
fn check_times(findings: &mut Findings<'_>, placement: &Placement, stream: Stream, segment: u32) {
    let mut earliest: Option<(Time, u64, Value)> = None;
    for (offset, slot, _, write) in placement.in_order(findings.history, stream, segment).rev() {
        if let (Some((answered, behind, value)), Some(asked)) = (earliest, write.outcome.asked())
            && answered < asked
        {
            let place = Place::at(stream, segment, [offset, behind]);
            findings.add(AnomalyKind::NonmonotonicSend, place, &[slot.value, value], |history| {
                let (first, second) = (history.value_name(slot.value), history.value_name(value));
                format!("{first} lies before {second}, which was acknowledged before {first} was sent")
            });
        }
        if let Some(answered) = write.outcome.answered()
            && earliest.is_none_or(|(time, ..)| answered < time)
        {
            earliest = Some((answered, offset, slot.value));
        }
    }
}
