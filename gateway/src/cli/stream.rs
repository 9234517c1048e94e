//! `sluice stream`.

use std::collections::HashMap;

use clap::Subcommand;
use serde_json::json;
use sluice_client::{
    StreamSettings,
    wire::{self, StreamInfo},
};
use sluice_schema::{
    names::{ScopeName, StreamName},
    types::Schema,
};

use super::{
    Context,
    exit::Outcome,
    json as as_json,
    output::{Table, emit, size, time},
    schema_text,
    scope::done,
};

#[derive(Debug, Subcommand)]
pub enum StreamCommand {
    /// Create a stream; success when it is there already with the same settings
    Create {
        /// Its name, scope/stream; the scope must exist
        stream: StreamName,
        /// Number of segments
        #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
        segments: u32,
        /// Columns in Flink SQL, such as 'carrier STRING NOT NULL, distance INT'; without it: keys and values of bytes
        #[arg(long, value_name = "COLUMNS", value_parser = schema_text::parse)]
        schema: Option<Schema>,
        /// Columns whose values choose the segment, such as carrier,flight; without it events of bytes go by their key, what
        /// has no key to the segments in turn
        #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
        routing_key: Vec<String>,
        /// A setting to be kept with the stream, NAME=VALUE; may be repeated
        #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
        label: Vec<(String, String)>,
    },
    /// List the streams of a scope, or of all
    List {
        /// The scope
        scope: Option<ScopeName>,
    },
    /// Show a stream with its columns and segments
    Describe {
        /// Its name, scope/stream
        stream: StreamName,
    },
    /// Publish everything committed as Parquet
    Flush {
        /// Its name, scope/stream
        stream: StreamName,
    },
    /// End a stream: it takes no events any more
    Seal {
        /// Its name, scope/stream
        stream: StreamName,
    },
    /// Delete a stream with all its events
    Delete {
        /// Its name, scope/stream
        stream: StreamName,
    },
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is no label: write NAME=VALUE"))?;
    Ok((name.to_string(), value.to_string()))
}

pub async fn run(command: StreamCommand, context: &Context) -> Outcome {
    let client = &context.client;
    match command {
        StreamCommand::Create { stream, segments, schema, routing_key, label } => {
            let labels: HashMap<String, String> = label.into_iter().collect();
            let settings = StreamSettings { segments, schema, routing_key, labels };
            let (created, info) = client.create_stream(&stream, settings).await?;
            let what = if created { "created" } else { "is there already" };
            let count = info.segments.len();
            let text = format!("stream {stream} {what}, with {count} segment{}", if count == 1 { "" } else { "s" });
            done(context, text, json!({ "created": created, "stream": as_json::stream(&info) }))
        }
        StreamCommand::List { scope } => list(context, scope).await,
        StreamCommand::Describe { stream } => {
            let info = client.describe_stream(&stream).await?;
            emit(context.format, || describe(&info), || as_json::stream(&info))
        }
        StreamCommand::Flush { stream } => {
            let published = client.flush_stream(&stream).await?;
            let positions = wire::Positions::from(&published.positions);
            let text =
                format!("stream {stream} is published up to {}, {} new files", published.positions, published.files);
            done(context, text, json!({ "published": as_json::positions(&positions), "files": published.files }))
        }
        StreamCommand::Seal { stream } => {
            let end = client.seal_stream(&stream).await?;
            let text = format!("stream {stream} is sealed at {end}");
            done(context, text, json!({ "end": as_json::positions(&wire::Positions::from(&end)) }))
        }
        StreamCommand::Delete { stream } => {
            client.delete_stream(&stream).await?;
            done(context, format!("stream {stream} deleted"), json!({ "stream": stream.to_string(), "deleted": true }))
        }
    }
}

async fn list(context: &Context, scope: Option<ScopeName>) -> Outcome {
    let scopes = match scope {
        Some(scope) => vec![scope],
        None => {
            let names = context.client.list_scopes().await?;
            names.iter().filter_map(|name| ScopeName::parse(name).ok()).collect()
        }
    };
    let mut streams = Vec::new();
    for scope in &scopes {
        streams.extend(context.client.list_streams(scope).await?);
    }
    let mut table = Table::new(&["STREAM", "STATE", "ROUTING KEY", "CREATED", "COLUMNS"]);
    for info in &streams {
        table.row([
            as_json::stream_name(info.stream.as_ref()),
            as_json::stream_state(info.state()).to_string(),
            routing_key(info),
            time(info.created_ms),
            as_json::schema_text(info.schema.as_ref()),
        ]);
    }
    emit(context.format, || table.render(), || streams.iter().map(as_json::stream).collect())
}

fn routing_key(info: &StreamInfo) -> String {
    if info.routing_key.is_empty() { "-".into() } else { info.routing_key.join(",") }
}

fn describe(info: &StreamInfo) -> String {
    let mut text = format!(
        "stream       {}\nstate        {}\ncreated      {}\nrouting key  {}\ncolumns      {}\n",
        as_json::stream_name(info.stream.as_ref()),
        as_json::stream_state(info.state()),
        time(info.created_ms),
        routing_key(info),
        as_json::schema_text(info.schema.as_ref()),
    );
    let mut labels: Vec<_> = info.labels.iter().collect();
    labels.sort_unstable();
    for (name, value) in labels {
        text.push_str(&format!("label        {name}={value}\n"));
    }
    let mut table = Table::new(&["SEGMENT>", "HEAD>", "NEXT OFFSET>", "IN PARQUET BELOW>", "IN LOG>", "IN PARQUET>"]);
    for segment in &info.segments {
        table.row([
            segment.segment.to_string(),
            segment.head.to_string(),
            segment.next_offset.to_string(),
            segment.parquet_end.to_string(),
            size(segment.log_bytes),
            size(segment.parquet_bytes),
        ]);
    }
    text.push('\n');
    text + &table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_described_line_by_line() {
        let info = StreamInfo {
            stream: Some(wire::StreamName { scope: "nyc".into(), name: "flights".into() }),
            schema: Some((&schema_text::parse("carrier STRING NOT NULL").unwrap()).into()),
            routing_key: vec!["carrier".into()],
            state: wire::StreamState::StreamActive.into(),
            created_ms: 1_700_000_000_000,
            labels: HashMap::from([("owner".into(), "ops".into())]),
            segments: vec![wire::SegmentInfo { next_offset: 12, log_bytes: 2048, ..wire::SegmentInfo::default() }],
            ..StreamInfo::default()
        };
        let expected = "\
stream       nyc/flights
state        active
created      2023-11-14 22:13:20Z
routing key  carrier
columns      `carrier` STRING NOT NULL
label        owner=ops

SEGMENT  HEAD  NEXT OFFSET  IN PARQUET BELOW   IN LOG  IN PARQUET
      0     0           12                 0  2.0 KiB         0 B
";
        assert_eq!(describe(&info), expected);
    }
}
