//! Scopes and streams: create, look at, seal, publish, delete.

use std::{collections::HashMap, sync::Arc};

use arrow::datatypes::SchemaRef;
use sluice_proto::gateway::v1::{self as wire, StreamInfo, get_positions_request};
use sluice_schema::{
    ids::SchemaId,
    names::{ScopeName, StreamName},
    types::Schema,
};

use crate::{
    connection::Client,
    error::{Error, Result},
    positions::{Positions, from_wire},
};

/// What a stream is made with.
#[derive(Debug, Clone, Default)]
pub struct StreamSettings {
    /// Number of segments, 1..=1024; 0 stands for 1.
    pub segments: u32,
    /// The columns; absent: the built-in bytes schema `{key, value, event_time, headers}`.
    pub schema: Option<Schema>,
    /// Columns whose values choose the segment. Empty: `key` for the bytes schema, otherwise none (batches go whole to
    /// one segment each, in turn).
    pub routing_key: Vec<String>,
    /// Free settings kept with the stream.
    pub labels: HashMap<String, String>,
}

impl StreamSettings {
    /// A stream of the built-in bytes schema with so many segments.
    pub fn bytes(segments: u32) -> Self {
        Self { segments, ..Self::default() }
    }

    /// A stream of typed rows with so many segments.
    pub fn typed(segments: u32, schema: Schema) -> Self {
        Self { segments, schema: Some(schema), ..Self::default() }
    }

    /// The same with these routing-key columns.
    pub fn routed_by<I: IntoIterator<Item: Into<String>>>(mut self, columns: I) -> Self {
        self.routing_key = columns.into_iter().map(Into::into).collect();
        self
    }
}

/// A place in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The first events that can be read.
    Earliest,
    /// After everything committed when the call was answered.
    Latest,
    /// The first events committed at or after this time, in milliseconds since 1970 (UTC).
    TimestampMs(u64),
}

/// A published stream, see [`Client::flush_stream`].
#[derive(Debug, Clone)]
pub struct Published {
    /// Everything below lies in Parquet.
    pub positions: Positions,
    /// Files that this call published.
    pub files: u32,
}

/// What producers and readers must know of a stream; fetched once, it never changes.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Its name.
    pub name: StreamName,
    /// Its number, which hot calls use instead of the name.
    pub stream_id: u64,
    /// Id of its schema.
    pub schema_id: u64,
    /// Its columns.
    pub schema: Arc<Schema>,
    /// The same as Arrow has it.
    pub arrow: SchemaRef,
    /// Indices of the routing-key columns, in order; empty: none.
    pub routing_key: Vec<usize>,
    /// Number of segments; they share the key space evenly.
    pub segments: u32,
}

impl Stream {
    /// Whether the stream has the built-in bytes schema.
    pub fn is_bytes(&self) -> bool {
        self.schema_id == SchemaId::BYTES.get()
    }

    fn from_info(name: &StreamName, info: StreamInfo) -> Result<Self> {
        let unusable = |what: String| Error::bug(format!("the gateway describes stream {name} wrongly: {what}"));
        let schema = info.schema.ok_or_else(|| unusable("it has no schema".into()))?;
        let schema = Schema::try_from(schema).map_err(|e| unusable(e.to_string()))?;
        let arrow = schema.to_arrow();
        let index_of = |column: &String| arrow.index_of(column).map_err(|e| unusable(e.to_string()));
        let routing_key = info.routing_key.iter().map(index_of).collect::<Result<_>>()?;
        let segments = u32::try_from(info.segments.len()).unwrap_or(0);
        if segments == 0 {
            return Err(unusable("it has no segments".into()));
        }
        Ok(Self {
            name: name.clone(),
            stream_id: info.stream_id,
            schema_id: info.schema_id,
            schema: Arc::new(schema),
            arrow,
            routing_key,
            segments,
        })
    }
}

impl Client {
    /// Creates a scope; false: it was there already. Durable on return.
    pub async fn create_scope(&self, scope: &ScopeName) -> Result<bool> {
        let request = wire::CreateScopeRequest { request: self.next_request(), scope: scope.to_string() };
        let answer = self.call(|| send!(self, streams_stub.create_scope(request)));
        Ok(answer.await?.created)
    }

    /// All scopes, ascending by name.
    pub async fn list_scopes(&self) -> Result<Vec<String>> {
        let request = wire::ListScopesRequest {};
        Ok(self.call(|| send!(self, streams_stub.list_scopes(request))).await?.scopes)
    }

    /// Deletes an empty scope.
    pub async fn delete_scope(&self, scope: &ScopeName) -> Result<()> {
        let request = wire::DeleteScopeRequest { request: self.next_request(), scope: scope.to_string() };
        self.call(|| send!(self, streams_stub.delete_scope(request))).await?;
        Ok(())
    }

    /// Creates a stream in an existing scope; false: it was there already with the same settings. Durable on return.
    pub async fn create_stream(&self, stream: &StreamName, settings: StreamSettings) -> Result<(bool, StreamInfo)> {
        let config = wire::StreamConfig {
            segments: settings.segments,
            schema: settings.schema.as_ref().map(Into::into),
            routing_key: settings.routing_key,
            labels: settings.labels,
        };
        let request = wire::CreateStreamRequest {
            request: self.next_request(),
            stream: Some(stream.into()),
            config: Some(config),
        };
        let answer = self.call(|| send!(self, streams_stub.create_stream(request))).await?;
        let info = answer.stream.ok_or_else(|| Error::bug("the gateway's answer lacks the stream"))?;
        Ok((answer.created, info))
    }

    /// The streams of a scope, ascending by name; their segments are left out.
    pub async fn list_streams(&self, scope: &ScopeName) -> Result<Vec<StreamInfo>> {
        let request = wire::ListStreamsRequest { scope: scope.to_string() };
        Ok(self.call(|| send!(self, streams_stub.list_streams(request))).await?.streams)
    }

    /// Everything about a stream and its segments.
    pub async fn describe_stream(&self, stream: &StreamName) -> Result<StreamInfo> {
        let request = wire::GetStreamRequest { stream: Some(stream.into()) };
        let answer = self.call(|| send!(self, streams_stub.get_stream(request))).await?;
        answer.stream.ok_or_else(|| Error::bug("the gateway's answer lacks the stream"))
    }

    /// What producers and readers must know of a stream.
    pub async fn stream(&self, stream: &StreamName) -> Result<Stream> {
        Stream::from_info(stream, self.describe_stream(stream).await?)
    }

    /// Deletes a stream with its events.
    pub async fn delete_stream(&self, stream: &StreamName) -> Result<()> {
        let request = wire::DeleteStreamRequest { request: self.next_request(), stream: Some(stream.into()) };
        self.call(|| send!(self, streams_stub.delete_stream(request))).await?;
        Ok(())
    }

    /// Seals a stream, which takes no appends from then on, and returns its final positions. Idempotent.
    pub async fn seal_stream(&self, stream: &StreamName) -> Result<Positions> {
        let request = wire::SealStreamRequest { request: self.next_request(), stream: Some(stream.into()) };
        from_wire(self.call(|| send!(self, streams_stub.seal_stream(request))).await?.end)
    }

    /// Publishes everything committed before the call as Parquet; the files are visible on return.
    pub async fn flush_stream(&self, stream: &StreamName) -> Result<Published> {
        let request = wire::FlushStreamRequest { stream: Some(stream.into()) };
        let answer = self.long_call(|| send!(self, streams_stub.flush_stream(request))).await?;
        Ok(Published { positions: from_wire(answer.published)?, files: answer.files })
    }

    /// Positions for a place in a stream.
    pub async fn positions(&self, stream: &StreamName, at: At) -> Result<Positions> {
        let at = match at {
            At::Earliest => get_positions_request::At::Earliest(true),
            At::Latest => get_positions_request::At::Latest(true),
            At::TimestampMs(time) => get_positions_request::At::TimestampMs(time),
        };
        let request = wire::GetPositionsRequest { stream: Some(stream.into()), at: Some(at) };
        from_wire(self.call(|| send!(self, streams_stub.get_positions(request))).await?.positions)
    }
}
