//! Service Streams.

use std::sync::Arc;

use sluice_proto::{
    gateway::v1::{self as wire, streams_server::Streams},
    storage::v1 as stored,
};
use sluice_schema::{
    ids::{SegmentNumber, StreamId},
    names::StreamName,
    types::{Schema, SchemaError, bytes_schema},
};
use sluice_txn::{
    key::{Key, KeySpan},
    ledger::{self, Direction, Records, View},
    protocol::{ErrorClass, ErrorReason, Outcome, Refusal, streams},
};
use tonic::{Request, Response, Status};

use super::convert::{control, failed, failure, name, refused, required, stream_name};
use crate::engine::Engine;

pub struct Service(pub Arc<Engine>);

type Answer<T> = Result<Response<T>, Status>;

/// A stream as the wire tells it; without segments when `segments` is false.
fn stream_info(
    view: &dyn View,
    id: StreamId,
    stream: stored::Stream,
    segments: bool,
) -> ledger::Result<wire::StreamInfo> {
    let schema = view.record::<stored::Schema>(&Key::Schema(stream.schema_id))?.and_then(|schema| schema.schema);
    let mut infos = Vec::new();
    if segments {
        for (segment, record) in view.segments(id)? {
            let parquet_bytes = view.parquet_files(segment)?.iter().map(|(_, file)| file.bytes).sum();
            infos.push(wire::SegmentInfo {
                segment: segment.segment.get(),
                key_range: Some(wire::KeyRange { first: record.key_first, end: record.key_end }),
                head: record.head,
                next_offset: record.next_offset,
                parquet_end: record.parquet_end,
                log_bytes: record.unpublished_bytes,
                parquet_bytes,
                sealed: record.sealed,
                predecessors: record.predecessors,
                successors: record.successors,
            });
        }
    }
    let state = if stream.sealed { wire::StreamState::StreamSealed } else { wire::StreamState::StreamActive };
    Ok(wire::StreamInfo {
        stream: Some(wire::StreamName { scope: stream.scope, name: stream.name }),
        stream_id: id.get(),
        schema_id: stream.schema_id,
        schema,
        routing_key: stream.routing_key,
        state: state.into(),
        created_ms: stream.created_ms,
        labels: stream.labels,
        segments: infos,
        commit_seq: view.cluster()?.last_commit_seq,
    })
}

/// A schema that is refused.
fn bad_schema(error: SchemaError) -> Refusal {
    let reason = match &error {
        SchemaError::ColumnName(_) => ErrorReason::BadName,
        SchemaError::TooLarge { .. } => ErrorReason::TooLarge,
        SchemaError::UnsupportedType { .. } => ErrorReason::UnsupportedType,
        _ => ErrorReason::BadRequest,
    };
    let refusal = Refusal::new(ErrorClass::InvalidArgument, reason, error.to_string());
    match error {
        SchemaError::TooLarge { actual, limit, .. } => refusal.fact("actual", actual).fact("limit", limit),
        _ => refusal,
    }
}

/// Checks a stream's settings; the schema travels on in its checked form.
fn new_stream(config: wire::StreamConfig) -> Result<streams::NewStream, Refusal> {
    let (schema, mut routing_key) = (config.schema, config.routing_key);
    let checked = match &schema {
        Some(schema) => Schema::try_from(schema).map_err(bad_schema)?,
        None => bytes_schema(),
    };
    if schema.is_none() && routing_key.is_empty() {
        routing_key.push("key".into());
    }
    checked.routing_columns(&routing_key).map_err(|error| Refusal::bad_request(error.to_string()))?;
    let schema = schema.filter(|_| checked != bytes_schema()).map(|_| (&checked).into());
    let labels = config.labels.into_iter().collect();
    Ok(streams::NewStream { segments: config.segments.max(1), schema, routing_key, labels })
}

#[tonic::async_trait]
impl Streams for Service {
    async fn create_scope(&self, request: Request<wire::CreateScopeRequest>) -> Answer<wire::CreateScopeResponse> {
        let body = request.into_inner();
        let scope = name("scope", &body.scope)?;
        control(&self.0, "CreateScope", body.request.clone(), &body, move |draft, now| {
            Ok(wire::CreateScopeResponse { created: streams::create_scope(draft, &scope, now)? })
        })
        .await
    }

    async fn list_scopes(&self, _: Request<wire::ListScopesRequest>) -> Answer<wire::ListScopesResponse> {
        let found = self
            .0
            .store
            .read(|view| view.records::<stored::Scope>(&KeySpan::scopes(), Direction::Ascending, usize::MAX));
        let found = found.map_err(|error| failed(error.into()))?;
        let scopes = found.into_iter().filter_map(|(key, _)| match key {
            Key::Scope(name) => Some(name.to_string()),
            _ => None,
        });
        Ok(Response::new(wire::ListScopesResponse { scopes: scopes.collect() }))
    }

    async fn delete_scope(&self, request: Request<wire::DeleteScopeRequest>) -> Answer<wire::DeleteScopeResponse> {
        let body = request.into_inner();
        let scope = name("scope", &body.scope)?;
        control(&self.0, "DeleteScope", body.request.clone(), &body, move |draft, _| {
            streams::delete_scope(draft, &scope)?;
            Ok(wire::DeleteScopeResponse {})
        })
        .await
    }

    async fn create_stream(&self, request: Request<wire::CreateStreamRequest>) -> Answer<wire::CreateStreamResponse> {
        let body = request.into_inner();
        let stream = stream_name(body.stream.clone())?;
        let new = new_stream(body.config.clone().unwrap_or_default()).map_err(refused)?;
        control(&self.0, "CreateStream", body.request.clone(), &body, move |draft, now| {
            let (id, created) = streams::create_stream(draft, &stream, &new, now)?;
            let (_, record) = streams::require_stream(draft, &stream)?;
            let stream = Some(stream_info(draft, id, record, true)?);
            Ok(wire::CreateStreamResponse { created, stream })
        })
        .await
    }

    async fn list_streams(&self, request: Request<wire::ListStreamsRequest>) -> Answer<wire::ListStreamsResponse> {
        let scope = name("scope", &request.into_inner().scope)?;
        let listed = self.0.store.read(|view| -> Outcome<Vec<wire::StreamInfo>> {
            if view.record::<stored::Scope>(&Key::Scope(scope.clone()))?.is_none() {
                return Err(
                    Refusal::not_found(ErrorReason::UnknownScope, format!("scope {scope} does not exist")).into()
                );
            }
            let mut listed = Vec::new();
            for (_, found) in
                view.records::<stored::StreamRef>(&KeySpan::streams_of(&scope), Direction::Ascending, usize::MAX)?
            {
                let id = StreamId::new(found.stream_id);
                if let Some(stream) = view.stream(id)? {
                    listed.push(stream_info(view, id, stream, false)?);
                }
            }
            Ok(listed)
        });
        Ok(Response::new(wire::ListStreamsResponse { streams: listed.map_err(failure)? }))
    }

    async fn get_stream(&self, request: Request<wire::GetStreamRequest>) -> Answer<wire::GetStreamResponse> {
        let stream = stream_name(request.into_inner().stream)?;
        let info = self.0.store.read(|view| -> Outcome<wire::StreamInfo> {
            let (id, record) = found(view, &stream)?;
            Ok(stream_info(view, id, record, true)?)
        });
        Ok(Response::new(wire::GetStreamResponse { stream: Some(info.map_err(failure)?) }))
    }

    async fn delete_stream(&self, request: Request<wire::DeleteStreamRequest>) -> Answer<wire::DeleteStreamResponse> {
        let body = request.into_inner();
        let stream = stream_name(body.stream.clone())?;
        let rule_stream = stream.clone();
        let answer = control(&self.0, "DeleteStream", body.request.clone(), &body, move |draft, _| {
            streams::delete_stream(draft, &rule_stream)?;
            Ok(wire::DeleteStreamResponse {})
        })
        .await?;
        self.0.forget_files(&stream).await;
        Ok(answer)
    }

    async fn seal_stream(&self, request: Request<wire::SealStreamRequest>) -> Answer<wire::SealStreamResponse> {
        let body = request.into_inner();
        let stream = stream_name(body.stream.clone())?;
        control(&self.0, "SealStream", body.request.clone(), &body, move |draft, _| {
            let ends = streams::seal_stream(draft, &stream)?;
            let segments =
                ends.into_iter().map(|(id, offset)| wire::SegmentPosition { segment: id.segment.get(), offset });
            Ok(wire::SealStreamResponse {
                end: Some(wire::Positions { stream: Some((&stream).into()), segments: segments.collect() }),
            })
        })
        .await
    }

    async fn flush_stream(&self, request: Request<wire::FlushStreamRequest>) -> Answer<wire::FlushStreamResponse> {
        let stream = stream_name(request.into_inner().stream)?;
        let (id, _) = self.0.store.read(|view| found(view, &stream)).map_err(failure)?;
        let files = self.0.flush(id).await.map_err(refused)?;
        let segments = self.0.store.read(|view| view.segments(id)).map_err(|error| failed(error.into()))?;
        let segments = segments.into_iter().map(|(segment, record)| wire::SegmentPosition {
            segment: segment.segment.get(),
            offset: record.parquet_end,
        });
        let published = Some(wire::Positions { stream: Some((&stream).into()), segments: segments.collect() });
        Ok(Response::new(wire::FlushStreamResponse { published, files }))
    }

    async fn get_positions(&self, request: Request<wire::GetPositionsRequest>) -> Answer<wire::GetPositionsResponse> {
        use wire::get_positions_request::At;
        let body = request.into_inner();
        let stream = stream_name(body.stream)?;
        let at = required(body.at, "at (earliest, latest or timestamp_ms)")?;
        let found = self.0.store.read(|view| -> Outcome<_> {
            let (id, _) = found(view, &stream)?;
            Ok((id, view.segments(id)?, view.cluster()?.last_commit_seq))
        });
        let (id, segments, commit_seq) = found.map_err(failure)?;
        let ends = segments.into_iter().map(|(segment, record)| (segment.segment, record));
        let offsets = match at {
            At::Earliest(_) => ends.map(|(number, record)| (number, record.head)).collect(),
            At::Latest(_) => ends.map(|(number, record)| (number, record.next_offset)).collect(),
            At::TimestampMs(time) => self.0.offsets_at_time(id, time).await.map_err(refused)?,
        };
        let position = |(number, offset): (SegmentNumber, u64)| wire::SegmentPosition { segment: number.get(), offset };
        let segments = offsets.into_iter().map(position).collect();
        let positions = Some(wire::Positions { stream: Some((&stream).into()), segments });
        Ok(Response::new(wire::GetPositionsResponse { positions, commit_seq }))
    }
}

/// A stream that must exist, read from a view.
pub(super) fn found(view: &dyn View, stream: &StreamName) -> Outcome<(StreamId, stored::Stream)> {
    streams::require_stream(&ledger::Draft::new(view), stream)
}
