//! Service ReaderGroups.

use std::{collections::BTreeMap, sync::Arc};

use sluice_proto::{
    gateway::v1::{self as wire, reader_groups_server::ReaderGroups},
    storage::v1 as stored,
};
use sluice_schema::{
    ids::{Offset, SegmentId, SegmentNumber, StreamId},
    names::{Name, StreamName},
};
use sluice_txn::{
    key::{Key, KeySpan},
    ledger::{Direction, Draft, Records, View},
    protocol::{ErrorReason, Outcome, Refusal, groups, streams},
};
use tonic::{Request, Response, Status};

use super::convert::{bad_name, control, failure, name, refused, required};
use crate::engine::Engine;

pub struct Service(pub Arc<Engine>);

type Answer<T> = Result<Response<T>, Status>;

fn group_name(field: Option<wire::GroupName>) -> Result<(Name, Name), Status> {
    let group = required(field, "group")?;
    Ok((name("scope", &group.scope)?, name("reader group", &group.name)?))
}

/// Positions with their streams' names checked, not yet looked up.
type Named = Vec<(StreamName, BTreeMap<u32, u64>)>;

fn named(positions: Vec<wire::Positions>) -> Result<Named, Status> {
    let one = |positions: wire::Positions| {
        let stream = StreamName::try_from(required(positions.stream, "positions.stream")?).map_err(bad_name)?;
        Ok((stream, positions.segments.into_iter().map(|at| (at.segment, at.offset)).collect()))
    };
    positions.into_iter().map(one).collect()
}

fn looked_up(draft: &Draft<'_>, named: &Named) -> Outcome<groups::Positions> {
    let mut positions = groups::Positions::new();
    for (stream, offsets) in named {
        let (id, _) = streams::require_stream(draft, stream)?;
        positions.insert(id, offsets.clone());
    }
    Ok(positions)
}

fn wire_positions(view: &dyn View, positions: &[stored::StreamPositions]) -> Outcome<Vec<wire::Positions>> {
    let mut listed = Vec::new();
    for entry in positions {
        let Some(stream) = view.stream(StreamId::new(entry.stream_id))? else { continue };
        let segments =
            (0u32..).zip(&entry.offsets).map(|(segment, offset)| wire::SegmentPosition { segment, offset: *offset });
        listed.push(wire::Positions {
            stream: Some(wire::StreamName { scope: stream.scope, name: stream.name }),
            segments: segments.collect(),
        });
    }
    Ok(listed)
}

/// Events and bytes of a segment from an offset on.
fn lag_of(view: &dyn View, id: SegmentId, segment: &stored::Segment, from: u64) -> Outcome<(u64, u64)> {
    let events = segment.next_offset.saturating_sub(from);
    let share = |bytes: u64, first: u64, end: u64| {
        let unread = end.saturating_sub(from.max(first));
        if end <= first { 0 } else { (u128::from(bytes) * u128::from(unread) / u128::from(end - first)) as u64 }
    };
    let mut bytes = 0;
    for (first, file) in view.parquet_files(id)? {
        bytes += share(file.bytes, first.get(), file.end);
    }
    for (base, extent) in view.extents(id, Offset::ZERO, Offset::new(u64::MAX), usize::MAX)? {
        let block = extent.block.unwrap_or_default();
        bytes += share(block.at.map_or(0, |at| u64::from(at.length)), base.get(), base.get() + u64::from(block.rows));
    }
    Ok((events, bytes))
}

fn group_info(
    view: &dyn View,
    scope: &Name,
    group: &Name,
    record: &stored::ReaderGroup,
    with_lag: bool,
) -> Outcome<wire::GroupInfo> {
    let mut lag = Vec::new();
    for entry in record.positions.iter().filter(|_| with_lag) {
        let id = StreamId::new(entry.stream_id);
        let Some(stream) = view.stream(id)? else { continue };
        for (segment, facts) in view.segments(id)? {
            let from = entry.offsets.get(segment.segment.get() as usize).copied().unwrap_or(facts.head).max(facts.head);
            let (events, bytes) = lag_of(view, segment, &facts, from)?;
            let stream = Some(wire::StreamName { scope: stream.scope.clone(), name: stream.name.clone() });
            lag.push(wire::SegmentLag { stream, segment: segment.segment.get(), events, bytes });
        }
    }
    Ok(wire::GroupInfo {
        group: Some(wire::GroupName { scope: scope.to_string(), name: group.to_string() }),
        generation: record.generation,
        positions: wire_positions(view, &record.positions)?,
        lag,
        last_checkpoint: record.last_checkpoint,
        updated_ms: record.updated_ms,
    })
}

fn checkpoint_info(view: &dyn View, record: &stored::ReaderGroupCheckpoint) -> Outcome<wire::CheckpointInfo> {
    let positions = wire_positions(view, &record.positions)?;
    Ok(wire::CheckpointInfo { checkpoint: record.checkpoint, positions, created_ms: record.created_ms })
}

impl Service {
    /// Where a time lies in each stream of a group.
    async fn at_time(&self, scope: &Name, group: &Name, time_ms: u64) -> Result<groups::Positions, Status> {
        let streams = self.0.store.read(|view| groups::require(&Draft::new(view), scope, group)).map_err(failure)?;
        let mut positions = groups::Positions::new();
        for entry in streams.positions {
            let stream = StreamId::new(entry.stream_id);
            let offsets = self.0.offsets_at_time(stream, time_ms).await.map_err(refused)?;
            let offsets = offsets.into_iter().map(|(segment, offset)| (segment.get(), offset));
            positions.insert(stream, offsets.collect());
        }
        Ok(positions)
    }
}

#[tonic::async_trait]
impl ReaderGroups for Service {
    async fn create_group(&self, request: Request<wire::CreateGroupRequest>) -> Answer<wire::CreateGroupResponse> {
        let body = request.into_inner();
        let (scope, group) = group_name(body.group.clone())?;
        let over: Vec<StreamName> =
            body.streams.iter().cloned().map(StreamName::try_from).collect::<Result<_, _>>().map_err(bad_name)?;
        let positions = named(body.positions.clone())?;
        control(&self.0, "CreateGroup", body.request.clone(), &body, move |draft, now| {
            let ids =
                over.iter().map(|stream| Ok(streams::require_stream(draft, stream)?.0)).collect::<Outcome<Vec<_>>>()?;
            let positions = looked_up(draft, &positions)?;
            let created = groups::create(draft, &scope, &group, &ids, &positions, now)?;
            let record = groups::require(draft, &scope, &group)?;
            Ok(wire::CreateGroupResponse { created, group: Some(group_info(draft, &scope, &group, &record, true)?) })
        })
        .await
    }

    async fn get_group(&self, request: Request<wire::GetGroupRequest>) -> Answer<wire::GetGroupResponse> {
        let (scope, group) = group_name(request.into_inner().group)?;
        let info = self.0.store.read(|view| {
            let record = groups::require(&Draft::new(view), &scope, &group)?;
            group_info(view, &scope, &group, &record, true)
        });
        Ok(Response::new(wire::GetGroupResponse { group: Some(info.map_err(failure)?) }))
    }

    async fn list_groups(&self, request: Request<wire::ListGroupsRequest>) -> Answer<wire::ListGroupsResponse> {
        let scope = request.into_inner().scope;
        let span = if scope.is_empty() {
            KeySpan::reader_groups()
        } else {
            KeySpan::reader_groups_of(&name("scope", &scope)?)
        };
        let listed = self.0.store.read(|view| -> Outcome<Vec<wire::GroupInfo>> {
            let mut listed = Vec::new();
            for (key, record) in view.records::<stored::ReaderGroup>(&span, Direction::Ascending, usize::MAX)? {
                if let Key::ReaderGroup(scope, group) = key {
                    listed.push(group_info(view, &scope, &group, &record, false)?);
                }
            }
            Ok(listed)
        });
        Ok(Response::new(wire::ListGroupsResponse { groups: listed.map_err(failure)? }))
    }

    async fn update_positions(
        &self,
        request: Request<wire::UpdatePositionsRequest>,
    ) -> Answer<wire::UpdatePositionsResponse> {
        let body = request.into_inner();
        let (scope, group) = group_name(body.group.clone())?;
        let positions = named(body.positions.clone())?;
        let generation = body.generation;
        control(&self.0, "UpdatePositions", body.request.clone(), &body, move |draft, now| {
            let positions = looked_up(draft, &positions)?;
            groups::update(draft, &scope, &group, generation, &positions, now)?;
            Ok(wire::UpdatePositionsResponse {})
        })
        .await
    }

    async fn checkpoint(&self, request: Request<wire::CheckpointRequest>) -> Answer<wire::CheckpointResponse> {
        let body = request.into_inner();
        let (scope, group) = group_name(body.group.clone())?;
        let positions = named(body.positions.clone())?;
        let id = body.checkpoint;
        control(&self.0, "Checkpoint", body.request.clone(), &body, move |draft, now| {
            let positions = looked_up(draft, &positions)?;
            let record = groups::checkpoint(draft, &scope, &group, id, &positions, now)?;
            Ok(wire::CheckpointResponse { checkpoint: Some(checkpoint_info(draft, &record)?) })
        })
        .await
    }

    async fn get_checkpoint(
        &self,
        request: Request<wire::GetCheckpointRequest>,
    ) -> Answer<wire::GetCheckpointResponse> {
        let body = request.into_inner();
        let (scope, group) = group_name(body.group)?;
        let found = self.0.store.read(|view| {
            let record = recorded(&Draft::new(view), &scope, &group, body.checkpoint)?;
            checkpoint_info(view, &record)
        });
        Ok(Response::new(wire::GetCheckpointResponse { checkpoint: Some(found.map_err(failure)?) }))
    }

    async fn list_checkpoints(
        &self,
        request: Request<wire::ListCheckpointsRequest>,
    ) -> Answer<wire::ListCheckpointsResponse> {
        let (scope, group) = group_name(request.into_inner().group)?;
        let listed = self.0.store.read(|view| -> Outcome<Vec<wire::CheckpointInfo>> {
            let draft = Draft::new(view);
            groups::require(&draft, &scope, &group)?;
            let kept = groups::checkpoints(&draft, &scope, &group)?;
            kept.iter().map(|(_, record)| checkpoint_info(view, record)).collect()
        });
        Ok(Response::new(wire::ListCheckpointsResponse { checkpoints: listed.map_err(failure)? }))
    }

    async fn reset_group(&self, request: Request<wire::ResetGroupRequest>) -> Answer<wire::ResetGroupResponse> {
        let body = request.into_inner();
        let (scope, group) = group_name(body.group.clone())?;
        let to = match required(body.to.clone(), "to")? {
            wire::reset_group_request::To::Positions(list) => To::Positions(named(list.positions)?),
            wire::reset_group_request::To::Earliest(_) => To::Earliest,
            wire::reset_group_request::To::Latest(_) => To::Latest,
            wire::reset_group_request::To::TimestampMs(time) => To::Offsets(self.at_time(&scope, &group, time).await?),
            wire::reset_group_request::To::Checkpoint(id) => To::Checkpoint(id),
        };
        control(&self.0, "ResetGroup", body.request.clone(), &body, move |draft, now| {
            let positions = to.positions(draft, &scope, &group)?;
            let record = groups::reset(draft, &scope, &group, &positions, now)?;
            Ok(wire::ResetGroupResponse { group: Some(group_info(draft, &scope, &group, &record, true)?) })
        })
        .await
    }

    async fn delete_group(&self, request: Request<wire::DeleteGroupRequest>) -> Answer<wire::DeleteGroupResponse> {
        let body = request.into_inner();
        let (scope, group) = group_name(body.group.clone())?;
        control(&self.0, "DeleteGroup", body.request.clone(), &body, move |draft, _| {
            groups::delete(draft, &scope, &group)?;
            Ok(wire::DeleteGroupResponse {})
        })
        .await
    }
}

/// Where a reset goes.
enum To {
    Earliest,
    Latest,
    /// Looked up before, since files may have to be read.
    Offsets(groups::Positions),
    Checkpoint(u64),
    Positions(Named),
}

impl To {
    fn positions(&self, draft: &Draft<'_>, scope: &Name, group: &Name) -> Outcome<groups::Positions> {
        if let Self::Positions(named) = self {
            return looked_up(draft, named);
        }
        if let Self::Offsets(positions) = self {
            return Ok(positions.clone());
        }
        if let Self::Checkpoint(id) = self {
            let record = recorded(draft, scope, group, *id)?;
            let of = |entry: stored::StreamPositions| {
                (StreamId::new(entry.stream_id), (0u32..).zip(entry.offsets).collect())
            };
            return Ok(record.positions.into_iter().map(of).collect());
        }
        let mut positions = groups::Positions::new();
        for entry in groups::require(draft, scope, group)?.positions {
            let id = StreamId::new(entry.stream_id);
            let mut offsets = BTreeMap::new();
            for (segment, record) in draft.segments(id)? {
                let offset = match self {
                    Self::Latest => record.next_offset,
                    _ => record.head,
                };
                offsets.insert(SegmentNumber::get(segment.segment), offset);
            }
            positions.insert(id, offsets);
        }
        Ok(positions)
    }
}

fn recorded(draft: &Draft<'_>, scope: &Name, group: &Name, id: u64) -> Outcome<stored::ReaderGroupCheckpoint> {
    groups::require(draft, scope, group)?;
    let found = groups::checkpoints(draft, scope, group)?.into_iter().find(|(_, record)| record.checkpoint == id);
    let unknown = || {
        Refusal::not_found(
            ErrorReason::UnknownCheckpoint,
            format!("reader group {scope}/{group} has no checkpoint {id} (the last hundred are kept)"),
        )
    };
    Ok(found.ok_or_else(unknown)?.1)
}
