//! Reader groups: durable positions and checkpoints (protocol.md §3.10, I28..I30).

use std::collections::BTreeMap;

use sluice_proto::storage::v1::{ReaderGroup, ReaderGroupCheckpoint, StreamPositions};
use sluice_schema::{
    ids::{SegmentId, StreamId},
    names::Name,
};

use super::{CHECKPOINTS_KEPT, ErrorClass, ErrorReason, Millis, Outcome, Refusal, streams};
use crate::{
    key::{Key, KeySpan},
    ledger::{Direction, Draft, Records},
};

/// Offsets by stream and segment number; not all need be there.
pub type Positions = BTreeMap<StreamId, BTreeMap<u32, u64>>;

fn about(scope: &Name, name: &Name) -> String {
    format!("reader group {scope}/{name}")
}

/// A group that must exist.
pub fn require(draft: &Draft<'_>, scope: &Name, name: &Name) -> Outcome<ReaderGroup> {
    let unknown = || {
        Refusal::not_found(
            ErrorReason::UnknownReaderGroup,
            format!("{} does not exist; create it first", about(scope, name)),
        )
        .about(about(scope, name))
    };
    Ok(draft.record(&Key::ReaderGroup(scope.clone(), name.clone()))?.ok_or_else(unknown)?)
}

/// Creates a group over streams; answers whether it is new. Segments without a position start at their head.
pub fn create(
    draft: &mut Draft<'_>,
    scope: &Name,
    name: &Name,
    over: &[StreamId],
    positions: &Positions,
    now: Millis,
) -> Outcome<bool> {
    streams::require_scope(draft, scope)?;
    if over.is_empty() {
        return Err(Refusal::bad_request("a reader group reads at least one stream").into());
    }
    let key = Key::ReaderGroup(scope.clone(), name.clone());
    if let Some(found) = draft.record::<ReaderGroup>(&key)? {
        let mut before: Vec<u64> = found.positions.iter().map(|stream| stream.stream_id).collect();
        let mut now_over: Vec<u64> = over.iter().map(|id| id.get()).collect();
        before.sort_unstable();
        now_over.sort_unstable();
        if before != now_over {
            let text = format!("{} exists over other streams; delete it or take another name", about(scope, name));
            return Err(Refusal::new(ErrorClass::Conflict, ErrorReason::AlreadyExists, text)
                .about(about(scope, name))
                .into());
        }
        return Ok(false);
    }
    let mut group = ReaderGroup { generation: 1, updated_ms: now, ..ReaderGroup::default() };
    for stream in over {
        let heads = draft.segments(*stream)?.into_iter().map(|(_, segment)| segment.head).collect();
        streams::require_stream_by_id(draft, *stream)?;
        group.positions.push(StreamPositions { stream_id: stream.get(), offsets: heads });
    }
    set(draft, &mut group.positions, positions)?;
    draft.put(&key, &group);
    Ok(true)
}

/// Writes positions into a group's, checked against the segments.
fn set(draft: &Draft<'_>, into: &mut [StreamPositions], positions: &Positions) -> Outcome<()> {
    for (stream, offsets) in positions {
        let missing = || Refusal::bad_request(format!("the reader group does not read stream number {stream}"));
        let target = into.iter_mut().find(|entry| entry.stream_id == stream.get()).ok_or_else(missing)?;
        for (number, offset) in offsets {
            let id = SegmentId { stream: *stream, segment: sluice_schema::ids::SegmentNumber::new(*number) };
            let unknown = || {
                Refusal::not_found(
                    ErrorReason::UnknownSegment,
                    format!("segment {number} of stream number {stream} does not exist"),
                )
            };
            let segment = draft.segment(id)?.ok_or_else(unknown)?;
            if *offset > segment.next_offset {
                let text = format!("offset {offset} of segment {number} lies beyond its end {}", segment.next_offset);
                return Err(Refusal::new(ErrorClass::InvalidArgument, ErrorReason::BeyondEnd, text)
                    .expected(segment.next_offset)
                    .into());
            }
            let index = *number as usize;
            if target.offsets.len() <= index {
                target.offsets.resize(index + 1, 0);
            }
            target.offsets[index] = *offset;
        }
    }
    Ok(())
}

fn must_not_fall(group: &ReaderGroup, positions: &Positions) -> Outcome<()> {
    for entry in &group.positions {
        let Some(offsets) = positions.get(&StreamId::new(entry.stream_id)) else { continue };
        for (number, offset) in offsets {
            let before = entry.offsets.get(*number as usize).copied().unwrap_or(0);
            if *offset < before {
                let text = format!(
                    "offset {offset} of segment {number} is below the group's {before}; only a reset moves back"
                );
                return Err(Refusal::new(ErrorClass::Conflict, ErrorReason::BadRequest, text).expected(before).into());
            }
        }
    }
    Ok(())
}

/// Moves positions forward under the group's generation.
pub fn update(
    draft: &mut Draft<'_>,
    scope: &Name,
    name: &Name,
    generation: u64,
    positions: &Positions,
    now: Millis,
) -> Outcome<()> {
    let mut group = require(draft, scope, name)?;
    if generation != group.generation {
        let text = format!(
            "generation {generation} of {} is over: it was reset to generation {}",
            about(scope, name),
            group.generation
        );
        return Err(Refusal::fenced(ErrorReason::StaleEpoch, group.generation, text).about(about(scope, name)).into());
    }
    must_not_fall(&group, positions)?;
    set(draft, &mut group.positions, positions)?;
    group.updated_ms = now;
    draft.put(&Key::ReaderGroup(scope.clone(), name.clone()), &group);
    Ok(())
}

/// Records a checkpoint; given positions become the group's. The last hundred are kept.
pub fn checkpoint(
    draft: &mut Draft<'_>,
    scope: &Name,
    name: &Name,
    id: u64,
    positions: &Positions,
    now: Millis,
) -> Outcome<ReaderGroupCheckpoint> {
    let mut group = require(draft, scope, name)?;
    let kept = checkpoints(draft, scope, name)?;
    let mut moved = group.positions.clone();
    set(draft, &mut moved, positions)?;
    if let Some((_, found)) = kept.iter().find(|(_, found)| found.checkpoint == id) {
        if !positions.is_empty() && found.positions != moved {
            let text = format!("checkpoint {id} of {} was recorded with other positions", about(scope, name));
            return Err(Refusal::new(ErrorClass::Conflict, ErrorReason::AlreadyExists, text)
                .about(about(scope, name))
                .into());
        }
        return Ok(found.clone());
    }
    group.positions = moved;
    group.updated_ms = now;
    group.last_checkpoint = Some(id);
    draft.put(&Key::ReaderGroup(scope.clone(), name.clone()), &group);
    let record = ReaderGroupCheckpoint { checkpoint: id, positions: group.positions, created_ms: now };
    // A clock that went back must not reorder checkpoints: "oldest first" is the order of recording.
    let at = match kept.last() {
        Some((Key::ReaderGroupCheckpoint(_, _, last, last_id), _)) => now.max(last + u64::from(id < *last_id)),
        _ => now,
    };
    draft.put(&Key::ReaderGroupCheckpoint(scope.clone(), name.clone(), at, id), &record);
    let excess = (kept.len() + 1).saturating_sub(CHECKPOINTS_KEPT);
    for (key, _) in kept.into_iter().take(excess) {
        draft.delete(&key);
    }
    Ok(record)
}

/// The checkpoints of a group, oldest first.
pub fn checkpoints(draft: &Draft<'_>, scope: &Name, name: &Name) -> Outcome<Vec<(Key, ReaderGroupCheckpoint)>> {
    Ok(draft.records(&KeySpan::checkpoints_of(scope, name), Direction::Ascending, usize::MAX)?)
}

/// Sets positions anywhere; the generation grows.
pub fn reset(
    draft: &mut Draft<'_>,
    scope: &Name,
    name: &Name,
    positions: &Positions,
    now: Millis,
) -> Outcome<ReaderGroup> {
    let mut group = require(draft, scope, name)?;
    set(draft, &mut group.positions, positions)?;
    group.generation += 1;
    group.updated_ms = now;
    draft.put(&Key::ReaderGroup(scope.clone(), name.clone()), &group);
    Ok(group)
}

/// Forgets a group with its checkpoints. Idempotent.
pub fn delete(draft: &mut Draft<'_>, scope: &Name, name: &Name) -> Outcome<()> {
    draft.delete_span(&KeySpan::checkpoints_of(scope, name))?;
    let key = Key::ReaderGroup(scope.clone(), name.clone());
    if draft.record::<ReaderGroup>(&key)?.is_some() {
        draft.delete(&key);
    }
    Ok(())
}
