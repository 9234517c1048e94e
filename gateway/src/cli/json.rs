//! Messages of the wire as JSON for programs.

use serde_json::{Value, json};
use sluice_client::{
    TransactionState,
    wire::{self, StreamState},
};
use sluice_schema::types::Schema;

use super::output;

/// `scope/name`.
pub fn stream_name(name: Option<&wire::StreamName>) -> String {
    name.map(|name| format!("{}/{}", name.scope, name.name)).unwrap_or_default()
}

/// `scope/name`.
pub fn sink_name(name: Option<&wire::SinkName>) -> String {
    name.map(|name| format!("{}/{}", name.scope, name.name)).unwrap_or_default()
}

/// `scope/name`.
pub fn group_name(name: Option<&wire::GroupName>) -> String {
    name.map(|name| format!("{}/{}", name.scope, name.name)).unwrap_or_default()
}

/// A word for a stream's life.
pub fn stream_state(state: StreamState) -> &'static str {
    match state {
        StreamState::StreamActive => "active",
        StreamState::StreamSealed => "sealed",
        StreamState::Unspecified => "unknown",
    }
}

/// A word for a transaction's state.
pub fn transaction_state(state: TransactionState) -> &'static str {
    match state {
        TransactionState::Open => "open",
        TransactionState::Prepared => "prepared",
        TransactionState::Committed => "committed",
        TransactionState::Aborted => "aborted",
        TransactionState::Unspecified => "unknown",
    }
}

/// The columns as Flink SQL writes them.
pub fn schema_text(schema: Option<&wire::Schema>) -> String {
    let schema = schema.and_then(|schema| Schema::try_from(schema).ok());
    schema.map(|schema| schema.to_string()).unwrap_or_default()
}

/// A stream with its segments.
pub fn stream(info: &wire::StreamInfo) -> Value {
    json!({
        "stream": stream_name(info.stream.as_ref()),
        "stream_id": info.stream_id,
        "state": stream_state(info.state()),
        "schema_id": info.schema_id,
        "schema": schema_text(info.schema.as_ref()),
        "routing_key": info.routing_key,
        "created_ms": info.created_ms,
        "labels": info.labels,
        "commit_seq": info.commit_seq,
        "segments": info.segments.iter().map(segment).collect::<Vec<_>>(),
    })
}

fn segment(info: &wire::SegmentInfo) -> Value {
    json!({
        "segment": info.segment,
        "first_hash": format!("{:#018x}", info.key_range.map_or(0, |range| range.first)),
        "last_hash": format!("{:#018x}", info.key_range.map_or(u64::MAX, |range| range.end.wrapping_sub(1))),
        "head": info.head,
        "next_offset": info.next_offset,
        "parquet_end": info.parquet_end,
        "log_bytes": info.log_bytes,
        "parquet_bytes": info.parquet_bytes,
        "sealed": info.sealed,
        "predecessors": info.predecessors,
        "successors": info.successors,
    })
}

/// Positions: the stream and an object of offsets by segment.
pub fn positions(positions: &wire::Positions) -> Value {
    let offsets = positions.segments.iter().map(|at| (at.segment.to_string(), at.offset.into()));
    json!({
        "stream": stream_name(positions.stream.as_ref()),
        "segments": offsets.collect::<serde_json::Map<_, _>>(),
    })
}

/// Positions as the command line takes them: `0:12,1:7`.
pub fn positions_text(positions: &wire::Positions) -> String {
    let at = positions.segments.iter().map(|at| format!("{}:{}", at.segment, at.offset));
    at.collect::<Vec<_>>().join(",")
}

/// A transaction.
pub fn transaction(info: &wire::TransactionInfo) -> Value {
    json!({
        "transaction": output::id(&info.txn_id),
        "sink": sink_name(info.sink.as_ref()),
        "subtask": info.subtask,
        "writer_epoch": info.writer_epoch,
        "run_nonce": output::id(&info.run_nonce),
        "state": transaction_state(info.state()),
        "abort_reason": info.abort_reason,
        "blocks": info.chunks,
        "events": info.events,
        "bytes": info.bytes,
        "state_since_ms": info.state_since_ms,
        "touched_ms": info.touched_ms,
        "commit_seq": info.commit_seq,
        "streams": info.streams.iter().map(|name| stream_name(Some(name))).collect::<Vec<_>>(),
    })
}

/// A sink.
pub fn sink(info: &wire::SinkInfo) -> Value {
    json!({
        "sink": sink_name(info.sink.as_ref()),
        "incarnation": info.incarnation,
        "run_nonce": output::id(&info.run_nonce),
        "head_group": output::id(&info.head_group),
        "head_checkpoint": info.head_checkpoint,
        "head_commit_seq": info.head_commit_seq,
        "open_transactions": info.open_transactions,
        "prepared_transactions": info.prepared_transactions,
        "prepared_events": info.prepared_events,
        "oldest_prepared_ms": info.oldest_prepared_ms,
        "superseded_events": info.superseded_events,
    })
}

/// A reader group.
pub fn group(info: &wire::GroupInfo) -> Value {
    let lag = |lag: &wire::SegmentLag| {
        json!({
            "stream": stream_name(lag.stream.as_ref()),
            "segment": lag.segment,
            "events": lag.events,
            "bytes": lag.bytes,
        })
    };
    json!({
        "group": group_name(info.group.as_ref()),
        "generation": info.generation,
        "positions": info.positions.iter().map(positions).collect::<Vec<_>>(),
        "lag": info.lag.iter().map(lag).collect::<Vec<_>>(),
        "last_checkpoint": info.last_checkpoint,
        "updated_ms": info.updated_ms,
    })
}

/// A checkpoint of a reader group.
pub fn checkpoint(info: &wire::CheckpointInfo) -> Value {
    json!({
        "checkpoint": info.checkpoint,
        "positions": info.positions.iter().map(positions).collect::<Vec<_>>(),
        "created_ms": info.created_ms,
    })
}
