//! `sluice group`.

use clap::Subcommand;
use serde_json::json;
use sluice_client::{At, Positions, ResetTo, Start, wire::GroupInfo};
use sluice_schema::names::{GroupName, ScopeName, StreamName};

use super::{
    Context,
    exit::{Failure, Outcome},
    json as as_json,
    output::{Table, emit, size, time},
    places::Place,
    scope::done,
};

#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Create a group over streams; success when it is there already over the same streams
    Create {
        /// Its name, scope/group
        group: GroupName,
        /// A stream it reads, scope/stream; may be repeated
        #[arg(long, required = true)]
        stream: Vec<StreamName>,
        /// Where it starts: earliest, latest, a time, or, with one stream, positions such as 0:12,1:7
        #[arg(long, default_value = "earliest", value_name = "PLACE")]
        from: Place,
    },
    /// List the groups of a scope, or of all
    List {
        /// The scope
        scope: Option<ScopeName>,
    },
    /// Show a group with its positions, lag and checkpoints
    Show {
        /// Its name, scope/group
        group: GroupName,
    },
    /// Record the group's present positions under an id
    Checkpoint {
        /// Its name, scope/group
        group: GroupName,
        /// The id, a number of your choice
        id: u64,
    },
    /// Set the group's positions anywhere; updates of its present readers are fenced
    Reset {
        /// Its name, scope/group
        group: GroupName,
        /// Where to: earliest, latest, a time, or, for a group over one stream, positions such as 0:12,1:7
        #[arg(long, value_name = "PLACE", required_unless_present = "checkpoint", conflicts_with = "checkpoint")]
        to: Option<Place>,
        /// Where to: a recorded checkpoint
        #[arg(long, value_name = "ID")]
        checkpoint: Option<u64>,
    },
    /// Forget a group with its checkpoints
    Delete {
        /// Its name, scope/group
        group: GroupName,
    },
}

pub async fn run(command: GroupCommand, context: &Context) -> Outcome {
    let client = &context.client;
    match command {
        GroupCommand::Create { group, stream, from } => {
            let positions = starting_positions(context, &stream, &from).await?;
            let (created, _) = client.create_group(&group, &stream, &positions).await?;
            let what = if created { "created" } else { "is there already" };
            done(
                context,
                format!("reader group {group} {what}"),
                json!({ "group": group.to_string(), "created": created }),
            )
        }
        GroupCommand::List { scope } => list(context, scope).await,
        GroupCommand::Show { group } => show(context, &group).await,
        GroupCommand::Checkpoint { group, id } => {
            let recorded = client.group(&group).await?.checkpoint(id).await?;
            done(context, format!("checkpoint {id} of {group} recorded"), as_json::checkpoint(&recorded))
        }
        GroupCommand::Reset { group, to, checkpoint } => {
            let mut handle = client.group(&group).await?;
            let to = match (to, checkpoint) {
                (_, Some(id)) => ResetTo::Checkpoint(id),
                (Some(Place::At(at)), None) => ResetTo::At(at),
                (Some(Place::Positions(text)), None) => {
                    let streams = handle.positions().await?;
                    ResetTo::Positions(vec![Positions::parse(only(streams.iter().map(|at| &at.stream))?, &text)?])
                }
                (None, None) => ResetTo::At(At::Earliest),
            };
            let info = handle.reset(to).await?;
            done(
                context,
                format!("reader group {group} is reset, generation {}", info.generation),
                as_json::group(&info),
            )
        }
        GroupCommand::Delete { group } => {
            client.delete_group(&group).await?;
            done(
                context,
                format!("reader group {group} deleted"),
                json!({ "group": group.to_string(), "deleted": true }),
            )
        }
    }
}

/// The one stream that positions can belong to.
fn only<'a>(mut streams: impl Iterator<Item = &'a StreamName>) -> Result<&'a StreamName, Failure> {
    match (streams.next(), streams.next()) {
        (Some(stream), None) => Ok(stream),
        _ => Err(Failure::usage(
            "positions belong to one stream, but the group reads several: use a time or a checkpoint",
        )),
    }
}

async fn starting_positions(
    context: &Context,
    streams: &[StreamName],
    from: &Place,
) -> Result<Vec<Positions>, Failure> {
    if let Place::Positions(_) = from {
        only(streams.iter())?;
    }
    let mut positions = Vec::new();
    for stream in streams {
        match from.in_stream(stream)? {
            Start::At(At::Earliest) => {}
            Start::At(at) => positions.push(context.client.positions(stream, at).await?),
            Start::Positions(at) => positions.push(at),
        }
    }
    Ok(positions)
}

async fn list(context: &Context, scope: Option<ScopeName>) -> Outcome {
    let groups = context.client.list_groups(scope.as_ref()).await?;
    let mut table = Table::new(&["GROUP", "STREAMS", "LAST CHECKPOINT>", "MOVED"]);
    for info in &groups {
        let streams: Vec<String> = info.positions.iter().map(|at| as_json::stream_name(at.stream.as_ref())).collect();
        table.row([
            as_json::group_name(info.group.as_ref()),
            streams.join(", "),
            info.last_checkpoint.map_or_else(|| "-".into(), |id| id.to_string()),
            time(info.updated_ms),
        ]);
    }
    emit(context.format, || table.render(), || groups.iter().map(as_json::group).collect())
}

async fn show(context: &Context, group: &GroupName) -> Outcome {
    let handle = context.client.group(group).await?;
    let info = handle.info().await?;
    let checkpoints = handle.checkpoints().await?;
    let text = || {
        let mut table = Table::new(&["CHECKPOINT>", "RECORDED", "POSITIONS"]);
        for checkpoint in &checkpoints {
            let positions = checkpoint.positions.iter();
            let positions: Vec<String> = positions
                .map(|at| format!("{} {}", as_json::stream_name(at.stream.as_ref()), as_json::positions_text(at)))
                .collect();
            table.row([checkpoint.checkpoint.to_string(), time(checkpoint.created_ms), positions.join("; ")]);
        }
        let recorded = if checkpoints.is_empty() { String::new() } else { format!("\n{}", table.render()) };
        describe(&info) + &recorded
    };
    let json = || {
        let mut json = as_json::group(&info);
        json["checkpoints"] = checkpoints.iter().map(as_json::checkpoint).collect();
        json
    };
    emit(context.format, text, json)
}

fn describe(info: &GroupInfo) -> String {
    let mut table = Table::new(&["STREAM", "SEGMENT>", "OFFSET>", "LAG EVENTS>", "LAG>"]);
    for positions in &info.positions {
        for at in &positions.segments {
            let lag = info.lag.iter().find(|lag| lag.stream == positions.stream && lag.segment == at.segment);
            table.row([
                as_json::stream_name(positions.stream.as_ref()),
                at.segment.to_string(),
                at.offset.to_string(),
                lag.map_or_else(|| "-".into(), |lag| lag.events.to_string()),
                lag.map_or_else(|| "-".into(), |lag| size(lag.bytes)),
            ]);
        }
    }
    let name = as_json::group_name(info.group.as_ref());
    format!("group {name}, generation {}, moved {}\n\n{}", info.generation, time(info.updated_ms), table.render())
}
