//! `sluice scan`.

use clap::Args;
use serde_json::{Value, json};
use sluice_client::{Positions, Start, wire::PlanResponse};
use sluice_schema::names::StreamName;

use super::{
    Context,
    exit::Outcome,
    json as as_json,
    output::{Table, emit, size},
    places::Place,
};

#[derive(Debug, Args)]
pub struct ScanArgs {
    /// The stream, scope/stream
    stream: StreamName,
    /// Where the plan starts: earliest, positions such as 0:12,1:7, or a time
    #[arg(long, default_value = "earliest", value_name = "PLACE")]
    from: Place,
}

pub async fn run(args: ScanArgs, context: &Context) -> Outcome {
    let from = match args.from.in_stream(&args.stream)? {
        Start::At(sluice_client::At::Earliest) => None,
        Start::At(at) => Some(context.client.positions(&args.stream, at).await?),
        Start::Positions(positions) => Some(positions),
    };
    let plan = context.client.scan(&args.stream, from.as_ref()).await?;
    emit(context.format, || text(&args.stream, from.as_ref(), &plan), || json_plan(&plan))
}

fn text(stream: &StreamName, from: Option<&Positions>, plan: &PlanResponse) -> String {
    let mut table = Table::new(&["SEGMENT>", "FIRST>", "END>", "SIZE>", "WHERE"]);
    for file in &plan.files {
        table.row([
            file.segment.to_string(),
            file.first.to_string(),
            file.end.to_string(),
            size(file.bytes),
            file.path.clone(),
        ]);
    }
    for range in &plan.tail {
        table.row([
            range.segment.to_string(),
            range.first.to_string(),
            range.end.to_string(),
            size(range.bytes),
            "log, read it through the gateway".into(),
        ]);
    }
    let from = from.map_or_else(|| "its first event".into(), ToString::to_string);
    let end = plan.end.as_ref().map(as_json::positions_text).unwrap_or_default();
    format!("stream {stream} from {from} to {end}, commit {}\n\n{}", plan.commit_seq, table.render())
}

fn json_plan(plan: &PlanResponse) -> Value {
    let files = plan.files.iter().map(|file| {
        json!({
            "segment": file.segment,
            "first": file.first,
            "end": file.end,
            "path": file.path,
            "bytes": file.bytes,
            "last_commit_seq": file.last_commit_seq,
        })
    });
    let tail = plan
        .tail
        .iter()
        .map(|range| json!({ "segment": range.segment, "first": range.first, "end": range.end, "bytes": range.bytes }));
    json!({
        "commit_seq": plan.commit_seq,
        "end": plan.end.as_ref().map(as_json::positions),
        "files": files.collect::<Vec<_>>(),
        "tail": tail.collect::<Vec<_>>(),
    })
}
