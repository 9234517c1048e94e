//! Where a time lies in a stream.

use sluice_proto::storage::v1 as stored;
use sluice_schema::ids::{Offset, SegmentId, SegmentNumber, StreamId};
use sluice_segment::{env::ExecutorExt as _, tier};
use sluice_txn::{
    ledger::{self, Records as _, View},
    protocol::{ErrorClass, ErrorReason, Refusal},
};

use super::{Engine, not_published, unreadable};

/// Where the first event at or after a time is looked for.
enum Place {
    /// It is this one: the next event to come if there is none.
    Offset(u64),
    /// Somewhere in this file; commit times of single rows are not in the ledger.
    InFile(Offset, stored::ParquetFile),
}

impl Engine {
    /// For each segment of a stream, the first offset whose commit is at or after a time; the end of the segment if there is none.
    pub async fn offsets_at_time(&self, stream: StreamId, time_ms: u64) -> Result<Vec<(SegmentNumber, u64)>, Refusal> {
        let places = self.store.read(|view| {
            let segments = view.segments(stream)?.into_iter();
            let places = segments.map(|(id, segment)| Ok((id, place(view, id, &segment, time_ms)?)));
            places.collect::<ledger::Result<Vec<_>>>()
        });
        let mut offsets = Vec::new();
        for (segment, place) in places.map_err(unreadable)? {
            let offset = match place {
                Place::Offset(offset) => offset,
                Place::InFile(first, file) => self.offset_in_file(segment, first, file, time_ms).await?,
            };
            offsets.push((segment.segment, offset));
        }
        Ok(offsets)
    }

    async fn offset_in_file(
        &self,
        segment: SegmentId,
        first: Offset,
        file: stored::ParquetFile,
        time_ms: u64,
    ) -> Result<u64, Refusal> {
        let tier = self.tier.clone();
        let found = self.store.env().executor.run_for(move || {
            let reader = tier.open_file(segment, first, &file)?;
            Ok::<_, tier::Error>(reader.offset_at_time(time_ms)?)
        });
        let lost = |lost| Refusal::new(ErrorClass::Retriable, ErrorReason::Unavailable, format!("{lost}; ask again"));
        found.await.map_err(lost)?.map_err(not_published)
    }
}

fn place(view: &dyn View, id: SegmentId, segment: &stored::Segment, time_ms: u64) -> ledger::Result<Place> {
    for (first, file) in view.parquet_files(id)? {
        if file.last_commit_ms >= time_ms {
            return Ok(Place::InFile(first, file));
        }
    }
    let extents = view.extents(id, Offset::ZERO, Offset::new(u64::MAX), usize::MAX)?;
    let found = extents.into_iter().find(|(_, extent)| extent.commit_ms >= time_ms);
    Ok(Place::Offset(found.map_or(segment.next_offset, |(base, _)| base.get())))
}
