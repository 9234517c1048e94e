//! Parquet beside the tail: the same values at the same offsets, once each, and nothing taken back (I20, I34, I35).

use std::collections::{BTreeMap, BTreeSet};

use super::{
    anomaly::{AnomalyKind, Findings, Place},
    operation::{Look, Range, Rows, Stream},
    placement::Placement,
};

/// Finds ParquetTailDivergence, and InconsistentCommit between files. Notes in the slots what only rows say: their commit.
pub(super) fn check(findings: &mut Findings<'_>, placement: &mut Placement) {
    let mut read = BTreeSet::new();
    let mut ends = BTreeMap::new();
    for look in &findings.history.looks {
        for rows in &look.rows {
            read.insert((look.stream, rows.range()));
            check_rows(findings, placement, look, rows);
        }
        check_files(findings, look, &read);
        check_ends(findings, placement, look, &mut ends);
    }
}

/// The rows are what readers were given.
fn check_rows(findings: &mut Findings<'_>, placement: &mut Placement, look: &Look, rows: &Rows) {
    for ((value, commit_seq), offset) in rows.rows.iter().copied().zip(rows.base_offset..) {
        let place = || Place::at(look.stream, rows.segment, [offset]);
        match placement.slot_mut(look.stream, rows.segment, offset) {
            None => findings.add(AnomalyKind::ParquetTailDivergence, place(), &[value], |history| {
                format!("a file holds {} at offset {offset}, which no reader was given", history.value_name(value))
            }),
            Some(slot) if slot.value != value => {
                let tail = slot.value;
                findings.add(AnomalyKind::ParquetTailDivergence, place(), &[tail, value], |history| {
                    let (tail, value) = (history.value_name(tail), history.value_name(value));
                    format!("offset {offset} is {tail} for readers and {value} in a file")
                });
            }
            Some(slot) => {
                slot.seen = slot.seen.min(look.at);
                let known = *slot.commit_seq.get_or_insert(commit_seq);
                if known != commit_seq {
                    findings.add(AnomalyKind::InconsistentCommit, place(), &[value], |_| {
                        format!(
                            "offset {offset} was made visible by commit {known}, or by {commit_seq}: two files differ"
                        )
                    });
                }
            }
        }
    }
}

/// The files tile each segment from offset 0, and each was read at this look or before.
fn check_files(findings: &mut Findings<'_>, look: &Look, read: &BTreeSet<(Stream, Range)>) {
    let mut files = look.files.clone();
    files.sort_unstable();
    let mut ends: BTreeMap<u32, u64> = BTreeMap::new();
    for file in files {
        let end = ends.entry(file.segment).or_default();
        let (expected, Range { base_offset, .. }) = (*end, file);
        let place = || Place::at(look.stream, file.segment, [expected, base_offset]);
        if base_offset > expected {
            findings.add(AnomalyKind::ParquetTailDivergence, place(), &[], |_| {
                format!("no file holds offset {expected}, the next one begins at {base_offset}")
            });
        }
        if base_offset < expected {
            findings.add(AnomalyKind::ParquetTailDivergence, place(), &[], |_| {
                format!("offset {base_offset} lies in two files: the one before it ends at {expected}")
            });
        }
        if !read.contains(&(look.stream, file)) {
            findings.add(AnomalyKind::ParquetTailDivergence, place(), &[], |_| {
                format!("the file from offset {base_offset} to {} holds other rows than were read", file.end)
            });
        }
        *end = expected.max(file.end);
    }
}

/// What was published stays so; in the end all is.
fn check_ends(
    findings: &mut Findings<'_>,
    placement: &Placement,
    look: &Look,
    ends: &mut BTreeMap<(Stream, u32), u64>,
) {
    let mut now: BTreeMap<u32, u64> = BTreeMap::new();
    for file in &look.files {
        let end = now.entry(file.segment).or_default();
        *end = file.end.max(*end);
    }
    let of_stream = |(stream, _): &(Stream, u32)| *stream == look.stream;
    let mut expected: Vec<(u32, u64, &str)> = Vec::new();
    expected.extend(
        ends.iter().filter(|(at, _)| of_stream(at)).map(|((_, segment), end)| (*segment, *end, "an earlier look")),
    );
    if look.complete {
        let read = placement.segments.iter().filter(|(at, _)| of_stream(at));
        expected.extend(read.map(|((_, segment), slots)| (*segment, slots.len() as u64, "what readers were given")));
    }
    for (segment, expected, what) in expected {
        let end = now.get(&segment).copied().unwrap_or_default();
        if end < expected {
            let place = Place::at(look.stream, segment, [end, expected]);
            findings.add(AnomalyKind::ParquetTailDivergence, place, &[], |_| {
                format!("the files end at {end}, {what} ended at {expected}")
            });
        }
    }
    for (segment, end) in now {
        let known = ends.entry((look.stream, segment)).or_default();
        *known = end.max(*known);
    }
}
