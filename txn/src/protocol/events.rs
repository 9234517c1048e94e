//! Plain idempotent appends (protocol.md §3.10): offsets at once, each sequence applied once.

use sluice_proto::storage::v1::{BlockInfo, Extent, Segment, Writer};
use sluice_schema::{
    ids::{Offset, SegmentId, SegmentNumber, StreamId, WriterId},
    names::{Name, StreamName},
};

use super::{ErrorClass, ErrorReason, Millis, Outcome, Refusal, streams};
use crate::{
    key::Key,
    ledger::{Draft, Records},
};

/// A segment that takes rows of this schema.
pub fn require_writable(draft: &Draft<'_>, id: SegmentId, schema_id: u64) -> Outcome<Segment> {
    let stream = streams::require_stream_by_id(draft, id.stream)?;
    let name = format!("stream {}/{}", stream.scope, stream.name);
    if stream.sealed {
        return Err(Refusal::rejected(ErrorReason::Sealed, format!("{name} is sealed and takes no events"))
            .about(name)
            .into());
    }
    if stream.schema_id != schema_id {
        let text = format!(
            "the rows have schema {schema_id}, {name} has schema {}; read the stream's schema again",
            stream.schema_id
        );
        return Err(Refusal::new(ErrorClass::InvalidArgument, ErrorReason::SchemaMismatch, text).about(name).into());
    }
    let unknown = || {
        Refusal::not_found(
            ErrorReason::UnknownSegment,
            format!("{name} has no segment {} (it has {})", id.segment, stream.segments),
        )
        .about(name.clone())
    };
    Ok(draft.segment(id)?.ok_or_else(unknown)?)
}

/// Bytes of a block in the log.
pub(super) fn block_bytes(block: &BlockInfo) -> u64 {
    block.at.map_or(0, |at| u64::from(at.length))
}

/// Makes the caller the writer of this name; answers (stream, writer, epoch, last sequence).
pub fn init_writer(draft: &mut Draft<'_>, stream: &StreamName, name: &Name) -> Outcome<(StreamId, WriterId, u64, u64)> {
    let (id, _) = streams::require_stream(draft, stream)?;
    let by_name = Key::WriterByName(id, name.clone());
    let known: Option<Writer> = draft.record(&by_name)?;
    let number = match known {
        Some(writer) => writer.writer_id,
        None => {
            let mut cluster = draft.cluster()?;
            let number = cluster.next_writer_id.max(1);
            cluster.next_writer_id = number + 1;
            draft.put(&Key::Cluster, &cluster);
            draft.put(&by_name, &Writer { writer_id: number, ..Writer::default() });
            number
        }
    };
    let key = Key::Writer(id, WriterId::new(number));
    let mut writer: Writer = draft.record(&key)?.unwrap_or_default();
    writer.writer_id = number;
    writer.name = name.to_string();
    writer.epoch += 1;
    draft.put(&key, &writer);
    Ok((id, WriterId::new(number), writer.epoch, writer.last_seq))
}

/// The share of one writer in an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contribution {
    /// The writer.
    pub writer: WriterId,
    /// Its epoch.
    pub epoch: u64,
    /// Sequence of its first event.
    pub first_seq: u64,
    /// Its events.
    pub rows: u32,
}

/// Where a contribution stands against what is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is the next one.
    Next,
    /// All of it is applied.
    Applied,
    /// Its first so many events are applied.
    Overlaps(u32),
}

/// Checks a contribution against its writer.
pub fn standing(draft: &Draft<'_>, stream: StreamId, share: &Contribution) -> Outcome<Standing> {
    let unknown = || {
        Refusal::not_found(
            ErrorReason::UnknownWriter,
            format!("writer {} of stream number {stream} is unknown; call InitWriter", share.writer),
        )
    };
    let Some(writer) = draft.record::<Writer>(&Key::Writer(stream, share.writer))? else {
        // The writers of a deleted stream are gone with it: say that, not that a writer is missing.
        streams::require_stream_by_id(draft, stream)?;
        return Err(unknown().into());
    };
    if share.epoch != writer.epoch {
        let text =
            format!("epoch {} of writer {} is over: epoch {} writes now", share.epoch, writer.name, writer.epoch);
        return Err(Refusal::fenced(ErrorReason::StaleEpoch, writer.epoch, text).into());
    }
    if share.rows == 0 || share.first_seq == 0 || share.first_seq.checked_add(u64::from(share.rows)).is_none() {
        return Err(Refusal::bad_request("an append has at least one event, and sequences start at 1").into());
    }
    let next = writer.last_seq + 1;
    let end = share.first_seq + u64::from(share.rows);
    if share.first_seq > next {
        let text = format!("sequence {} of writer {} leaves a gap: the next is {next}", share.first_seq, writer.name);
        return Err(Refusal::new(ErrorClass::Conflict, ErrorReason::OutOfSequence, text).expected(next).into());
    }
    Ok(if share.first_seq == next {
        Standing::Next
    } else if end <= next {
        Standing::Applied
    } else {
        Standing::Overlaps(u32::try_from(next - share.first_seq).unwrap_or(u32::MAX))
    })
}

/// Applies blocks whose rows are exactly the contributions' events; every contribution must be the next of its writer.
/// Answers the base offset of each block.
pub fn append(
    draft: &mut Draft<'_>,
    stream: StreamId,
    shares: &[Contribution],
    blocks: Vec<(SegmentNumber, BlockInfo)>,
    now: Millis,
) -> Outcome<Vec<u64>> {
    for share in shares {
        let standing = standing(draft, stream, share)?;
        if standing != Standing::Next {
            let text =
                format!("events from sequence {} of writer {} are applied already", share.first_seq, share.writer);
            return Err(Refusal::new(ErrorClass::Conflict, ErrorReason::OutOfSequence, text).into());
        }
        let key = Key::Writer(stream, share.writer);
        let mut writer: Writer = draft.record(&key)?.unwrap_or_default();
        writer.last_seq = share.first_seq + u64::from(share.rows) - 1;
        draft.put(&key, &writer);
    }
    let mut cluster = draft.cluster()?;
    cluster.last_commit_seq += 1;
    // Not `+ 1` as for groups: thousands of appends a second would run ahead of the clock. Lookups by time need only "not less".
    cluster.last_commit_ms = now.max(cluster.last_commit_ms);
    let single = match shares {
        [share] => (share.writer.get(), share.first_seq),
        _ => (0, 0),
    };
    let mut bases = Vec::with_capacity(blocks.len());
    for (number, block) in blocks {
        let id = SegmentId { stream, segment: number };
        let mut segment = require_writable(draft, id, block.schema_id)?;
        let base = segment.next_offset;
        segment.next_offset += u64::from(block.rows);
        segment.unpublished_bytes += block_bytes(&block);
        draft.put(&Key::Segment(id), &segment);
        draft.put(
            &Key::Extent(id, Offset::new(base)),
            &Extent {
                block: Some(block),
                commit_seq: cluster.last_commit_seq,
                commit_ms: cluster.last_commit_ms,
                writer_id: single.0,
                first_seq: single.1,
                ..Extent::default()
            },
        );
        bases.push(base);
    }
    draft.put(&Key::Cluster, &cluster);
    Ok(bases)
}
