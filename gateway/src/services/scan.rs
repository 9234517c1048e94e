//! Service Scan.

use std::{collections::HashMap, sync::Arc};

use sluice_proto::gateway::v1::{self as wire, scan_server::Scan};
use sluice_schema::ids::Offset;
use sluice_txn::{
    ledger::{Records, View},
    protocol::{Outcome, Refusal},
};
use tonic::{Request, Response, Status};

use super::{
    convert::{failure, stream_name},
    streams::found,
};
use crate::engine::Engine;

pub struct Service(pub Arc<Engine>);

#[tonic::async_trait]
impl Scan for Service {
    async fn plan(&self, request: Request<wire::PlanRequest>) -> Result<Response<wire::PlanResponse>, Status> {
        let body = request.into_inner();
        let stream = stream_name(body.stream)?;
        let from: HashMap<u32, u64> =
            body.from.into_iter().flat_map(|from| from.segments).map(|at| (at.segment, at.offset)).collect();
        let planned = self.0.store.read(|view| plan(&self.0, view, &stream, &from));
        planned.map(Response::new).map_err(failure)
    }
}

fn plan(
    engine: &Engine,
    view: &dyn View,
    stream: &sluice_schema::names::StreamName,
    from: &HashMap<u32, u64>,
) -> Outcome<wire::PlanResponse> {
    let (id, _) = found(view, stream)?;
    let (mut end, mut files, mut tail) = (Vec::new(), Vec::new(), Vec::new());
    for (segment, record) in view.segments(id)? {
        let number = segment.segment.get();
        let start = from.get(&number).copied().unwrap_or(record.head);
        if start > record.next_offset {
            let text = format!("offset {start} of segment {number} lies beyond its end {}", record.next_offset);
            return Err(Refusal::bad_request(text).expected(record.next_offset).into());
        }
        for (first, file) in view.parquet_files(segment)? {
            if file.end > start {
                files.push(wire::PlannedFile {
                    segment: number,
                    first: first.get(),
                    end: file.end,
                    path: engine.parquet_path(&file.path).display().to_string(),
                    bytes: file.bytes,
                    last_commit_seq: file.last_commit_seq,
                });
            }
        }
        let extents = view.extents(segment, Offset::ZERO, Offset::new(u64::MAX), usize::MAX)?;
        let length = |extent: &sluice_proto::storage::v1::Extent| {
            extent.block.as_ref().and_then(|block| block.at.as_ref()).map_or(0, |at| u64::from(at.length))
        };
        let bytes = extents.iter().filter(|(base, _)| base.get() >= start).map(|(_, extent)| length(extent)).sum();
        let first = start.max(record.parquet_end);
        if first < record.next_offset {
            tail.push(wire::PlannedRange { segment: number, first, end: record.next_offset, bytes });
        }
        end.push(wire::SegmentPosition { segment: number, offset: record.next_offset });
    }
    let end = Some(wire::Positions { stream: Some(stream.into()), segments: end });
    Ok(wire::PlanResponse { commit_seq: view.cluster()?.last_commit_seq, end, files, tail })
}
