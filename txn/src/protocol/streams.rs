//! Scopes, streams and segments.

use std::collections::BTreeMap;

use sluice_proto::{
    gateway::v1::Schema as WireSchema,
    storage::v1::{Cluster, Schema, Scope, Segment, Stream, StreamRef},
};
use sluice_schema::{
    ids::{ClusterId, SegmentId, SegmentNumber, StreamId, TimelineId},
    keys::KeyRange,
    names::{Name, StreamName},
};

use super::{BYTES_SCHEMA_ID, ErrorClass, ErrorReason, Millis, Outcome, Refusal, SEGMENTS_MAX};
use crate::{
    key::{Key, KeySpan},
    ledger::{Direction, Draft, Records},
};

/// Labels of a stream, at most; and the bytes of one.
const LABELS_MAX: usize = 64;
const LABEL_BYTES_MAX: usize = 4096;

/// Makes the records of a new store.
pub fn found_cluster(draft: &mut Draft<'_>, cluster: ClusterId, timeline: TimelineId, bytes_schema: WireSchema) {
    draft.put(
        &Key::Cluster,
        &Cluster {
            cluster_id: cluster.to_bytes(),
            timeline_id: timeline.to_bytes(),
            next_stream_id: 1,
            next_schema_id: BYTES_SCHEMA_ID + 1,
            next_writer_id: 1,
            ..Cluster::default()
        },
    );
    draft.put(&Key::Schema(BYTES_SCHEMA_ID), &Schema { schema: Some(bytes_schema) });
}

/// Begins a new timeline: the store was restored from a backup, and what happened after that backup is unknown here.
pub fn set_timeline(draft: &mut Draft<'_>, timeline: TimelineId) -> Outcome<()> {
    let mut cluster = draft.cluster()?;
    cluster.timeline_id = timeline.to_bytes();
    draft.put(&Key::Cluster, &cluster);
    Ok(())
}

/// A scope that must exist.
pub(super) fn require_scope(draft: &Draft<'_>, scope: &Name) -> Outcome<()> {
    let found: Option<Scope> = draft.record(&Key::Scope(scope.clone()))?;
    let unknown = || {
        Refusal::not_found(ErrorReason::UnknownScope, format!("scope {scope} does not exist; create it first"))
            .about(format!("scope {scope}"))
    };
    found.ok_or_else(unknown)?;
    Ok(())
}

/// A stream that must exist, by name.
pub fn require_stream(draft: &Draft<'_>, name: &StreamName) -> Outcome<(StreamId, Stream)> {
    if let Some(found) = draft.stream_by_name(name)? {
        return Ok(found);
    }
    require_scope(draft, &name.scope)?;
    Err(Refusal::not_found(ErrorReason::UnknownStream, format!("stream {name} does not exist; create it first"))
        .about(format!("stream {name}"))
        .into())
}

/// A stream that must exist, by number.
pub(super) fn require_stream_by_id(draft: &Draft<'_>, id: StreamId) -> Outcome<Stream> {
    let unknown =
        || Refusal::not_found(ErrorReason::UnknownStream, format!("stream number {id} does not exist or was deleted"));
    Ok(draft.stream(id)?.ok_or_else(unknown)?)
}

/// Creates a scope; answers whether it is new.
pub fn create_scope(draft: &mut Draft<'_>, scope: &Name, now: Millis) -> Outcome<bool> {
    let key = Key::Scope(scope.clone());
    if draft.record::<Scope>(&key)?.is_some() {
        return Ok(false);
    }
    draft.put(&key, &Scope { created_ms: now });
    Ok(true)
}

/// Deletes an empty scope.
pub fn delete_scope(draft: &mut Draft<'_>, scope: &Name) -> Outcome<()> {
    require_scope(draft, scope)?;
    for (span, what) in [
        (KeySpan::streams_of(scope), "streams"),
        (KeySpan::sinks_of(scope), "sinks"),
        (KeySpan::reader_groups_of(scope), "reader groups"),
    ] {
        let mut any = false;
        crate::ledger::View::scan(draft, &span, Direction::Ascending, &mut |_, _| {
            any = true;
            false
        })?;
        if any {
            return Err(Refusal::new(
                ErrorClass::Conflict,
                ErrorReason::ScopeNotEmpty,
                format!("scope {scope} still holds {what}; delete them first"),
            )
            .about(format!("scope {scope}"))
            .into());
        }
    }
    draft.delete(&Key::Scope(scope.clone()));
    Ok(())
}

/// What a stream is made with; the schema and the routing key are checked before.
#[derive(Debug, Clone)]
pub struct NewStream {
    /// Segments; their key ranges split the hash space evenly.
    pub segments: u32,
    /// The schema; `None`: the built-in bytes schema.
    pub schema: Option<WireSchema>,
    /// Columns whose values choose the segment.
    pub routing_key: Vec<String>,
    /// Free settings.
    pub labels: BTreeMap<String, String>,
}

/// Creates a stream; answers its number and whether it is new. The same settings again are harmless.
pub fn create_stream(
    draft: &mut Draft<'_>,
    name: &StreamName,
    new: &NewStream,
    now: Millis,
) -> Outcome<(StreamId, bool)> {
    require_scope(draft, &name.scope)?;
    if new.segments == 0 || new.segments > SEGMENTS_MAX {
        return Err(
            Refusal::bad_request(format!("a stream has 1..={SEGMENTS_MAX} segments, not {}", new.segments)).into()
        );
    }
    if new.labels.len() > LABELS_MAX || new.labels.iter().any(|(key, value)| key.len() + value.len() > LABEL_BYTES_MAX)
    {
        return Err(Refusal::bad_request(format!(
            "a stream has at most {LABELS_MAX} labels of {LABEL_BYTES_MAX} bytes"
        ))
        .into());
    }
    if let Some((id, found)) = draft.stream_by_name(name)? {
        same_settings(draft, name, &found, new)?;
        return Ok((id, false));
    }
    let mut cluster = draft.cluster()?;
    let schema_id = match &new.schema {
        None => BYTES_SCHEMA_ID,
        Some(schema) => {
            let id = cluster.next_schema_id;
            cluster.next_schema_id += 1;
            draft.put(&Key::Schema(id), &Schema { schema: Some(schema.clone()) });
            id
        }
    };
    let id = StreamId::new(cluster.next_stream_id);
    cluster.next_stream_id += 1;
    draft.put(&Key::Cluster, &cluster);
    draft.put(&Key::StreamByName(name.clone()), &StreamRef { stream_id: id.get() });
    draft.put(
        &Key::Stream(id),
        &Stream {
            scope: name.scope.to_string(),
            name: name.name.to_string(),
            schema_id,
            routing_key: new.routing_key.clone(),
            labels: new.labels.clone().into_iter().collect(),
            sealed: false,
            created_ms: now,
            segments: new.segments,
        },
    );
    for (number, range) in (0u32..).zip(KeyRange::split_evenly(new.segments)) {
        let segment = SegmentId { stream: id, segment: SegmentNumber::new(number) };
        draft.put(
            &Key::Segment(segment),
            &Segment { key_first: range.first(), key_end: range.end(), ..Segment::default() },
        );
    }
    Ok((id, true))
}

fn same_settings(draft: &Draft<'_>, name: &StreamName, found: &Stream, new: &NewStream) -> Outcome<()> {
    let stored = match found.schema_id {
        BYTES_SCHEMA_ID => None,
        id => draft.record::<Schema>(&Key::Schema(id))?.and_then(|schema| schema.schema),
    };
    if stored != new.schema {
        let text = format!("stream {name} exists with another schema; schemas cannot change yet");
        return Err(Refusal::new(ErrorClass::Conflict, ErrorReason::SchemaMismatch, text)
            .about(format!("stream {name}"))
            .into());
    }
    if found.segments != new.segments || found.routing_key != new.routing_key {
        let text = format!(
            "stream {name} exists with {} segment(s) and routing key [{}], not {} and [{}]",
            found.segments,
            found.routing_key.join(", "),
            new.segments,
            new.routing_key.join(", ")
        );
        return Err(Refusal::new(ErrorClass::Conflict, ErrorReason::AlreadyExists, text)
            .about(format!("stream {name}"))
            .into());
    }
    Ok(())
}

/// Seals a stream; answers its final offsets by segment. Idempotent.
pub fn seal_stream(draft: &mut Draft<'_>, name: &StreamName) -> Outcome<Vec<(SegmentId, u64)>> {
    let (id, mut stream) = require_stream(draft, name)?;
    stream.sealed = true;
    draft.put(&Key::Stream(id), &stream);
    let mut ends = Vec::new();
    for (segment, mut record) in draft.segments(id)? {
        record.sealed = true;
        draft.put(&Key::Segment(segment), &record);
        ends.push((segment, record.next_offset));
    }
    Ok(ends)
}

/// Deletes a stream with all that belongs to it; answers its number. Its schema stays, its Parquet files are the caller's.
pub fn delete_stream(draft: &mut Draft<'_>, name: &StreamName) -> Outcome<StreamId> {
    let (id, _) = require_stream(draft, name)?;
    draft.delete_span(&KeySpan::segments_of(id))?;
    draft.delete_span(&KeySpan::extents_of(id))?;
    draft.delete_span(&KeySpan::parquet_files_of(id))?;
    draft.delete_span(&KeySpan::upload_intents_of(id))?;
    for span in KeySpan::writers_of(id) {
        draft.delete_span(&span)?;
    }
    draft.delete(&Key::Stream(id));
    draft.delete(&Key::StreamByName(name.clone()));
    Ok(id)
}
