//! Service Writers.

use std::{pin::Pin, sync::Arc};

use ::metrics::counter;
use futures::{Stream, future::Either};
use sluice_proto::{
    gateway::v1::{self as wire, append_events_request::Events, writers_server::Writers},
    storage::v1 as stored,
};
use sluice_schema::ids::{SegmentNumber, StreamId, WriterId};
use sluice_segment::{log, store::Wait};
use sluice_txn::protocol::{Outcome, Refusal, events};
use tonic::{Request, Response, Status, Streaming};

use super::convert::{control, failed, name, pipelined, refused, required, stream_name};
use crate::{engine::Engine, metrics};

pub struct Service(pub Arc<Engine>);

type Answer<T> = Result<Response<T>, Status>;
/// Appends of one call that may be under way; hundreds of producers may share a call.
const APPENDS_IN_FLIGHT: usize = 4096;

#[tonic::async_trait]
impl Writers for Service {
    async fn init_writer(&self, request: Request<wire::InitWriterRequest>) -> Answer<wire::InitWriterResponse> {
        let body = request.into_inner();
        let stream = stream_name(body.stream.clone())?;
        let writer = name("writer", &body.writer)?;
        control(&self.0, "InitWriter", body.request.clone(), &body, move |draft, _| {
            let (stream, writer, epoch, last_seq) = events::init_writer(draft, &stream, &writer)?;
            Ok(wire::InitWriterResponse { stream_id: stream.get(), writer_id: writer.get(), epoch, last_seq })
        })
        .await
    }

    type AppendStream = Pin<Box<dyn Stream<Item = Result<wire::AppendEventsResponse, Status>> + Send>>;

    async fn append(&self, request: Request<Streaming<wire::AppendEventsRequest>>) -> Answer<Self::AppendStream> {
        let engine = Arc::clone(&self.0);
        let answers = pipelined(request.into_inner(), APPENDS_IN_FLIGHT, move |request| {
            let engine = Arc::clone(&engine);
            async move { append_events(&engine, request).await }
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

/// Checks and queues one append; the future that comes back waits until its events are durable and visible.
async fn append_events(
    engine: &Arc<Engine>,
    request: wire::AppendEventsRequest,
) -> Result<impl Future<Output = Result<wire::AppendEventsResponse, Status>> + Send + use<>, Status> {
    let stream = StreamId::new(request.stream_id);
    let share = events::Contribution {
        writer: WriterId::new(request.writer_id),
        epoch: request.epoch,
        first_seq: request.first_seq,
        rows: 0,
    };
    match required(request.events, "events")? {
        Events::Rows(rows) => {
            let answer = engine.rows.append(engine, stream, share, rows.rows).await.map_err(refused)?;
            Ok(Either::Left(async move {
                answer
                    .await
                    .map_err(|_| failed(sluice_segment::store::Error::Stopped("the gateway ends".into())))?
                    .map_err(refused)
            }))
        }
        Events::Block(block) => append_block(engine, stream, share, block).await.map(Either::Right),
    }
}

async fn append_block(
    engine: &Engine,
    stream: StreamId,
    mut share: events::Contribution,
    sent: wire::SegmentBlock,
) -> Result<impl Future<Output = Result<wire::AppendEventsResponse, Status>> + Send + use<>, Status> {
    let block = required(sent.block, "block")?;
    engine.check_block(&block).map_err(refused)?;
    let rows = block.rows;
    share.rows = rows;
    let last_seq = share.first_seq.saturating_add(u64::from(rows)).saturating_sub(1);
    let segment = sent.segment;
    let mut info = stored::BlockInfo { at: None, schema_id: block.schema_id, rows, columns: block.columns };
    counter!(metrics::APPENDED_BYTES).increment(block.data.len() as u64);
    counter!(metrics::APPENDED_EVENTS).increment(u64::from(rows));
    let data = log::Block { data: block.data, crc32c: block.crc32c };
    let answer = engine
        .store
        .submit(vec![data], Wait::Durable, move |draft, refs, now| -> Outcome<Option<u64>> {
            match events::standing(draft, stream, &share)? {
                events::Standing::Applied => return Ok(None),
                events::Standing::Next => {}
                events::Standing::Overlaps(applied) => {
                    let text = format!("the first {applied} rows of the block are applied already; send the others as a block of their own");
                    return Err(Refusal::bad_request(text).expected(share.first_seq + u64::from(applied)).into());
                }
            }
            info.at = refs.first().copied();
            let bases = events::append(draft, stream, &[share], vec![(SegmentNumber::new(segment), info)], now)?;
            Ok(bases.first().copied())
        })
        .await
        .map_err(failed)?;
    Ok(async move {
        let stopped = || failed(sluice_segment::store::Error::Stopped("the gateway ends".into()));
        let base = answer.await.map_err(|_| stopped())?.map_err(failed)?;
        let ranges = base.map(|base_offset| wire::AppendedRange { segment, base_offset, rows });
        Ok(wire::AppendEventsResponse { last_seq, duplicate: base.is_none(), ranges: ranges.into_iter().collect() })
    })
}
