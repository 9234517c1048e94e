//! Publication of a segment's committed events as Parquet (protocol.md §3.11).

use sluice_proto::storage::v1::{ParquetFile, UploadIntent};
use sluice_schema::ids::{Offset, SegmentId};

use super::{ErrorClass, ErrorReason, Millis, Outcome, Refusal, events::block_bytes};
use crate::{
    key::{Key, KeySpan},
    ledger::{Draft, Records},
};

fn conflict(segment: SegmentId, text: String) -> Refusal {
    Refusal::new(
        ErrorClass::Conflict,
        ErrorReason::BadRequest,
        format!("segment {segment} cannot be published: {text}"),
    )
}

/// Records that `[first, end)` of a segment is about to be written under a name that was never used.
pub fn intend(
    draft: &mut Draft<'_>,
    segment: SegmentId,
    first: Offset,
    end: Offset,
    path: String,
    now: Millis,
) -> Outcome<()> {
    let gone = || conflict(segment, "it was deleted".into());
    let record = draft.segment(segment)?.ok_or_else(gone)?;
    if record.parquet_end != first.get() || end <= first || end.get() > record.next_offset {
        let text = format!("[{first}, {end}) does not follow {} within {}", record.parquet_end, record.next_offset);
        return Err(conflict(segment, text).into());
    }
    draft.put(&Key::UploadIntent(segment, first), &UploadIntent { end: end.get(), path, at_ms: now });
    Ok(())
}

/// Makes a written and checked file the home of its range: the extents go, `parquet_end` moves from first to end, no gap, no overlap.
pub fn publish(
    draft: &mut Draft<'_>,
    segment: SegmentId,
    first: Offset,
    hidden: &str,
    file: &ParquetFile,
) -> Outcome<()> {
    let gone = || conflict(segment, "it was deleted".into());
    let mut record = draft.segment(segment)?.ok_or_else(gone)?;
    let key = Key::UploadIntent(segment, first);
    let intent: Option<UploadIntent> = draft.record(&key)?;
    if !intent.is_some_and(|intent| intent.path == hidden && intent.end == file.end) {
        return Err(conflict(segment, format!("the publication of {hidden} was given up")).into());
    }
    if record.parquet_end != first.get() {
        return Err(conflict(segment, format!("offset {first} does not follow {}", record.parquet_end)).into());
    }
    let extents = draft.extents(segment, first, Offset::new(file.end), usize::MAX)?;
    let (mut next, mut bytes) = (first.get(), 0);
    for (base, extent) in &extents {
        if base.get() != next {
            return Err(conflict(segment, format!("the extents leave a gap at {next}")).into());
        }
        next += extent.block.as_ref().map_or(0, |block| u64::from(block.rows));
        bytes += extent.block.as_ref().map_or(0, block_bytes);
    }
    if next != file.end {
        return Err(conflict(segment, format!("{} lies inside an extent", file.end)).into());
    }
    draft.delete_span(&KeySpan::extents(segment, first, Offset::new(file.end)))?;
    draft.delete(&key);
    draft.put(&Key::ParquetFile(segment, first), file);
    record.parquet_end = file.end;
    record.unpublished_bytes = record.unpublished_bytes.saturating_sub(bytes);
    draft.put(&Key::Segment(segment), &record);
    Ok(())
}

/// Gives up a publication; its hidden file may be removed after this is durable.
pub fn give_up(draft: &mut Draft<'_>, segment: SegmentId, first: Offset) -> Outcome<()> {
    draft.delete(&Key::UploadIntent(segment, first));
    Ok(())
}
