//! Reader groups: durable positions and checkpoints of a named set of readers.

use sluice_proto::gateway::v1::{self as wire, GroupInfo, reset_group_request};
use sluice_schema::names::{GroupName, ScopeName, StreamName};

use crate::{
    connection::Client,
    error::{Error, Result},
    positions::{Positions, all_to_wire},
    reader::{Reader, ReaderOptions, Start},
    streams::At,
};

pub use sluice_proto::gateway::v1::CheckpointInfo;

/// Where a group is set to.
#[derive(Debug, Clone)]
pub enum ResetTo {
    /// A place in every stream of the group.
    At(At),
    /// A recorded checkpoint.
    Checkpoint(u64),
    /// These positions; segments not listed stay.
    Positions(Vec<Positions>),
}

/// A reader group. Positions and checkpoints live in the gateway; this is a handle.
///
/// The gateway's positions move only when [`update`](Self::update), [`checkpoint_at`](Self::checkpoint_at) or
/// [`reset`](Self::reset) is called: read, handle the events, then move them.
#[derive(Debug, Clone)]
pub struct ReaderGroup {
    client: Client,
    name: GroupName,
    generation: u64,
}

impl Client {
    /// Creates a group over streams and says whether it is new. It starts at the streams' earliest events, except for
    /// streams listed in `positions`. Durable on return.
    pub async fn create_group(
        &self,
        group: &GroupName,
        streams: &[StreamName],
        positions: &[Positions],
    ) -> Result<(bool, ReaderGroup)> {
        let request = wire::CreateGroupRequest {
            request: self.next_request(),
            group: Some(group.into()),
            streams: streams.iter().map(Into::into).collect(),
            positions: all_to_wire(positions),
        };
        let answer = self.call(|| send!(self, groups_stub.create_group(request))).await?;
        let info = required(answer.group)?;
        let group = ReaderGroup { client: self.clone(), name: group.clone(), generation: info.generation };
        Ok((answer.created, group))
    }

    /// A handle of an existing group.
    pub async fn group(&self, group: &GroupName) -> Result<ReaderGroup> {
        let generation = self.describe_group(group).await?.generation;
        Ok(ReaderGroup { client: self.clone(), name: group.clone(), generation })
    }

    /// A group with its positions and lag.
    pub async fn describe_group(&self, group: &GroupName) -> Result<GroupInfo> {
        let request = wire::GetGroupRequest { group: Some(group.into()) };
        required(self.call(|| send!(self, groups_stub.get_group(request))).await?.group)
    }

    /// The groups of a scope (`None`: of all), ascending by scope and name, without lag.
    pub async fn list_groups(&self, scope: Option<&ScopeName>) -> Result<Vec<GroupInfo>> {
        let request = wire::ListGroupsRequest { scope: scope.map(ToString::to_string).unwrap_or_default() };
        Ok(self.call(|| send!(self, groups_stub.list_groups(request))).await?.groups)
    }

    /// Forgets a group with its checkpoints. Idempotent.
    pub async fn delete_group(&self, group: &GroupName) -> Result<()> {
        let request = wire::DeleteGroupRequest { request: self.next_request(), group: Some(group.into()) };
        self.call(|| send!(self, groups_stub.delete_group(request))).await?;
        Ok(())
    }
}

impl ReaderGroup {
    /// Its name.
    pub fn name(&self) -> &GroupName {
        &self.name
    }

    /// The group as it is now: positions, lag in events and bytes, generation.
    pub async fn info(&self) -> Result<GroupInfo> {
        self.client.describe_group(&self.name).await
    }

    /// Its present positions, one per stream.
    pub async fn positions(&self) -> Result<Vec<Positions>> {
        self.info().await?.positions.into_iter().map(TryInto::try_into).collect()
    }

    /// Committed events not yet read, over all streams and segments.
    pub async fn lag_events(&self) -> Result<u64> {
        Ok(self.info().await?.lag.iter().map(|lag| lag.events).sum())
    }

    /// A reader of all streams of the group, from the group's present positions.
    pub async fn reader(&self, options: ReaderOptions) -> Result<Reader> {
        let starts = self.positions().await?.into_iter().map(|at| (at.stream.clone(), Start::Positions(at)));
        Reader::open(&self.client, starts.collect(), options).await
    }

    /// Moves positions forward; segments not listed stay. Fenced once the group was reset: open a new handle then.
    pub async fn update(&self, positions: &[Positions]) -> Result<()> {
        let request = wire::UpdatePositionsRequest {
            request: self.client.next_request(),
            group: Some((&self.name).into()),
            generation: self.generation,
            positions: all_to_wire(positions),
        };
        self.client.call(|| send!(self.client, groups_stub.update_positions(request))).await?;
        Ok(())
    }

    /// Records the group's present positions under an id. The same id with other positions is refused.
    pub async fn checkpoint(&self, checkpoint: u64) -> Result<CheckpointInfo> {
        self.checkpoint_at(checkpoint, &[]).await
    }

    /// Records positions under an id; they become the group's positions too.
    pub async fn checkpoint_at(&self, checkpoint: u64, positions: &[Positions]) -> Result<CheckpointInfo> {
        let request = wire::CheckpointRequest {
            request: self.client.next_request(),
            group: Some((&self.name).into()),
            checkpoint,
            positions: all_to_wire(positions),
        };
        required(self.client.call(|| send!(self.client, groups_stub.checkpoint(request))).await?.checkpoint)
    }

    /// One recorded checkpoint.
    pub async fn recorded_checkpoint(&self, checkpoint: u64) -> Result<CheckpointInfo> {
        let request = wire::GetCheckpointRequest { group: Some((&self.name).into()), checkpoint };
        required(self.client.call(|| send!(self.client, groups_stub.get_checkpoint(request))).await?.checkpoint)
    }

    /// The recorded checkpoints, oldest first.
    pub async fn checkpoints(&self) -> Result<Vec<CheckpointInfo>> {
        let request = wire::ListCheckpointsRequest { group: Some((&self.name).into()) };
        Ok(self.client.call(|| send!(self.client, groups_stub.list_checkpoints(request))).await?.checkpoints)
    }

    /// Sets the group's positions anywhere. Its generation grows: updates of other handles are fenced, this one goes on.
    pub async fn reset(&mut self, to: ResetTo) -> Result<GroupInfo> {
        let to = match to {
            ResetTo::At(At::Earliest) => reset_group_request::To::Earliest(true),
            ResetTo::At(At::Latest) => reset_group_request::To::Latest(true),
            ResetTo::At(At::TimestampMs(time)) => reset_group_request::To::TimestampMs(time),
            ResetTo::Checkpoint(id) => reset_group_request::To::Checkpoint(id),
            ResetTo::Positions(list) => {
                reset_group_request::To::Positions(wire::PositionsList { positions: all_to_wire(&list) })
            }
        };
        let request = wire::ResetGroupRequest {
            request: self.client.next_request(),
            group: Some((&self.name).into()),
            to: Some(to),
        };
        let info = required(self.client.call(|| send!(self.client, groups_stub.reset_group(request))).await?.group)?;
        self.generation = info.generation;
        Ok(info)
    }
}

fn required<T>(part: Option<T>) -> Result<T> {
    part.ok_or_else(|| Error::bug("the gateway's answer lacks a required field"))
}
