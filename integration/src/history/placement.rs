//! The version order: which value lies at which offset. Offsets are read off what readers saw, nothing is inferred.

use std::collections::BTreeMap;

use super::{
    anomaly::{AnomalyKind, Findings, Place},
    operation::{History, Stream, Time, Value, Write},
    sent::AllSent,
};

/// What lies at an offset.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    /// The value that a reader saw first.
    pub value: Value,
    /// When it was first seen, by a reader or in Parquet.
    pub seen: Time,
    /// The commit that made it visible, once a Parquet row said it.
    pub commit_seq: Option<u64>,
}

/// A segment's slots by offset; `None`: no reader saw that offset.
pub(super) type Slots = Vec<Option<Slot>>;

/// Every offset of every segment, and where each sent event lies.
#[derive(Debug)]
pub(super) struct Placement {
    pub sent: AllSent,
    pub segments: BTreeMap<(Stream, u32), Slots>,
}

impl Placement {
    /// Lays out what readers saw. Finds InconsistentOffsets, GapInOffsets, GhostWrite and Duplicate on the way.
    pub fn of(findings: &mut Findings<'_>) -> Self {
        let history = findings.history;
        let mut placement = Self { sent: AllSent::of(history), segments: BTreeMap::new() };
        placement.lay_out(findings);
        placement.find_places(findings);
        placement
    }

    /// The slot of an offset.
    pub fn slot(&self, stream: Stream, segment: u32, offset: u64) -> Option<&Slot> {
        self.segments.get(&(stream, segment))?.get(usize::try_from(offset).ok()?)?.as_ref()
    }

    /// The same, to note what else is known about it.
    pub fn slot_mut(&mut self, stream: Stream, segment: u32, offset: u64) -> Option<&mut Slot> {
        self.segments.get_mut(&(stream, segment))?.get_mut(usize::try_from(offset).ok()?)?.as_mut()
    }

    /// The write that a value of a stream belongs to, and its place among the writes.
    pub fn write_of<'a>(&self, history: &'a History, stream: Stream, value: Value) -> Option<(u32, &'a Write)> {
        let number = self.sent.find(stream, value)?.write;
        Some((number, history.writes.get(number as usize)?))
    }

    /// Where each event of a write was seen; events that were not are left out.
    pub fn places<'a>(&'a self, write: &'a Write) -> impl Iterator<Item = (Stream, u32, u64)> + 'a {
        write.events().filter_map(|(stream, event)| {
            let (segment, offset) = self.sent.find(stream, event.value)?.at?;
            Some((stream, segment, offset))
        })
    }

    /// All slots in the order of their offsets that hold an event at the place where it was seen first.
    pub fn in_order<'a>(
        &'a self,
        history: &'a History,
        stream: Stream,
        segment: u32,
    ) -> impl DoubleEndedIterator<Item = (u64, &'a Slot, u32, &'a Write)> + 'a {
        let slots = self.segments.get(&(stream, segment)).map_or(&[][..], Vec::as_slice);
        slots.iter().enumerate().filter_map(move |(offset, slot)| {
            let (slot, offset) = (slot.as_ref()?, offset as u64);
            let sent = self.sent.find(stream, slot.value)?;
            let write = history.writes.get(sent.write as usize)?;
            (sent.at == Some((segment, offset))).then_some((offset, slot, sent.write, write))
        })
    }

    fn lay_out(&mut self, findings: &mut Findings<'_>) {
        // Dense offsets cannot exceed what was sent; so far beyond, memory would be filled for nothing.
        let history = findings.history;
        let limits: Vec<u64> = (0..=u16::MAX)
            .zip(&history.streams)
            .map(|(stream, _)| 2 * self.sent.count(Stream(stream)) + 1000)
            .collect();
        for poll in &history.polls {
            let end = poll.base_offset + poll.values.len() as u64;
            let limit = limits.get(usize::from(poll.stream.0)).copied().unwrap_or_default();
            if end > limit {
                let place = Place::at(poll.stream, poll.segment, [poll.base_offset, end]);
                findings.add(AnomalyKind::GapInOffsets, place, &[], |_| {
                    format!("offsets reach {end}, of which fewer than {limit} were sent")
                });
                continue;
            }
            let slots = self.segments.entry((poll.stream, poll.segment)).or_default();
            if slots.len() < end as usize {
                slots.resize(end as usize, None);
            }
            for ((slot, value), offset) in
                slots[poll.base_offset as usize..].iter_mut().zip(&poll.values).zip(poll.base_offset..)
            {
                let slot = slot.get_or_insert(Slot { value: *value, seen: poll.at, commit_seq: None });
                slot.seen = slot.seen.min(poll.at);
                if slot.value != *value {
                    let place = Place::at(poll.stream, poll.segment, [offset]);
                    findings.add(AnomalyKind::InconsistentOffsets, place, &[slot.value, *value], |history| {
                        let (first, second) = (history.value_name(slot.value), history.value_name(*value));
                        format!("offset {offset} was {first} for one read and {second} for another")
                    });
                }
            }
        }
    }

    fn find_places(&mut self, findings: &mut Findings<'_>) {
        for ((stream, segment), slots) in &self.segments {
            let (stream, segment) = (*stream, *segment);
            let mut hole = false;
            for (slot, offset) in slots.iter().zip(0u64..) {
                let Some(slot) = slot else {
                    if !hole {
                        let place = Place::at(stream, segment, [offset]);
                        findings.add(AnomalyKind::GapInOffsets, place, &[], |_| {
                            format!("no reader was given offset {offset}, though some were given later ones")
                        });
                    }
                    hole = true;
                    continue;
                };
                hole = false;
                let Some(sent) = self.sent.find_mut(stream, slot.value) else {
                    findings.add(
                        AnomalyKind::GhostWrite,
                        Place::at(stream, segment, [offset]),
                        &[slot.value],
                        |history| {
                            format!("offset {offset} holds {}, which nobody sent", history.value_name(slot.value))
                        },
                    );
                    continue;
                };
                match sent.at {
                    None => sent.at = Some((segment, offset)),
                    Some((at, first)) => {
                        let place = Place::at(stream, segment, [first, offset]);
                        findings.add(AnomalyKind::Duplicate, place, &[slot.value], |history| {
                            let value = history.value_name(slot.value);
                            format!("{value} lies at offset {first} of segment {at} and at offset {offset} of segment {segment}")
                        });
                    }
                }
            }
        }
    }
}
