//! Service Transactions.

use std::{pin::Pin, sync::Arc};

use ::metrics::{counter, histogram};
use futures::Stream;
use sluice_proto::{
    gateway::v1::{self as wire, transactions_server::Transactions},
    storage::v1 as stored,
};
use sluice_schema::{
    ids::{ClusterId, GroupId, RunNonce, SegmentId, SegmentNumber, StreamId, TimelineId, TransactionId},
    names::SinkName,
};
use sluice_segment::{log, store::Wait};
use sluice_txn::{
    key::{Key, KeySpan},
    ledger::{self, Direction, Records, View},
    protocol::{ErrorReason, Outcome, Refusal, attach, commit, transactions},
};
use tonic::{Request, Response, Status, Streaming};

use super::convert::{control, failed, failure, id, refused, required, sink_name};
use crate::{engine::Engine, metrics};

pub struct Service(pub Arc<Engine>);

type Answer<T> = Result<Response<T>, Status>;
/// Appends of one call that may be under way.
const APPENDS_IN_FLIGHT: usize = 64;
const LIST_LIMIT: u32 = 1000;

fn transaction_info(
    view: &dyn View,
    id: TransactionId,
    record: stored::Transaction,
) -> ledger::Result<wire::TransactionInfo> {
    let mut streams = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for chunk in view.chunks(id)? {
        if seen.insert(chunk.stream_id)
            && let Some(stream) = view.stream(StreamId::new(chunk.stream_id))?
        {
            streams.push(wire::StreamName { scope: stream.scope, name: stream.name });
        }
    }
    let aborted = record.state() == stored::TransactionState::Aborted;
    Ok(wire::TransactionInfo {
        txn_id: id.to_bytes(),
        abort_reason: if aborted { record.abort_reason().as_str_name().into() } else { String::new() },
        state: record.state,
        sink: Some(wire::SinkName { scope: record.scope, name: record.sink }),
        subtask: record.subtask,
        writer_epoch: record.writer_epoch,
        run_nonce: record.run_nonce,
        chunks: record.chunks,
        events: record.events,
        bytes: record.bytes,
        state_since_ms: record.state_since_ms,
        touched_ms: record.touched_ms,
        commit_seq: record.commit_seq,
        streams,
    })
}

fn sink_info(view: &dyn View, sink: &SinkName, record: &stored::Sink) -> ledger::Result<wire::SinkInfo> {
    let head = GroupId::from_bytes(&record.head_group)
        .ok()
        .map(|id| view.group(id))
        .transpose()?
        .flatten()
        .unwrap_or_default();
    let mut info = wire::SinkInfo {
        sink: Some(sink.into()),
        incarnation: record.incarnation,
        run_nonce: record.run_nonce.clone(),
        head_group: record.head_group.clone(),
        head_checkpoint: head.checkpoint,
        head_commit_seq: head.commit_seq,
        superseded_events: record.superseded_events,
        ..wire::SinkInfo::default()
    };
    for (_, id) in view.active(&KeySpan::active_of_sink(sink))? {
        let Some(transaction) = view.transaction(id)? else { continue };
        if transaction.state() == stored::TransactionState::Prepared {
            info.prepared_transactions += 1;
            info.prepared_events += transaction.events;
            let since = transaction.state_since_ms;
            info.oldest_prepared_ms =
                if info.oldest_prepared_ms == 0 { since } else { info.oldest_prepared_ms.min(since) };
        } else {
            info.open_transactions += 1;
        }
    }
    Ok(info)
}

fn to_wire(group: &stored::Group) -> wire::Group {
    wire::Group {
        group_id: group.group_id.clone(),
        checkpoint: group.checkpoint,
        prev_group: group.prev_group.clone(),
        members: group.members.clone(),
        incarnation: group.incarnation,
    }
}

fn to_stored(group: wire::Group) -> stored::Group {
    stored::Group {
        group_id: group.group_id,
        checkpoint: group.checkpoint,
        prev_group: group.prev_group,
        members: group.members,
        incarnation: group.incarnation,
        ..stored::Group::default()
    }
}

#[tonic::async_trait]
impl Transactions for Service {
    async fn open_writer(&self, request: Request<wire::OpenWriterRequest>) -> Answer<wire::OpenWriterResponse> {
        let body = request.into_inner();
        let sink = sink_name(body.sink.clone())?;
        let run = id!(RunNonce, body.run_nonce)?;
        let (subtask, parallelism) = (body.subtask, body.parallelism);
        control(&self.0, "OpenWriter", body.request.clone(), &body, move |draft, now| {
            let writer_epoch = transactions::open_writer(draft, &sink, subtask, parallelism, run, now)?;
            Ok(wire::OpenWriterResponse { writer_epoch })
        })
        .await
    }

    async fn begin(&self, request: Request<wire::BeginRequest>) -> Answer<wire::BeginResponse> {
        let body = request.into_inner();
        let txn = id!(TransactionId, body.txn_id)?;
        let sink = sink_name(body.sink)?;
        let begun = self.0.store.execute(Vec::new(), Wait::Accepted, move |draft, _, now| {
            transactions::begin(draft, txn, &sink, body.subtask, body.writer_epoch, now)
        });
        begun.await.map_err(failed)?;
        Ok(Response::new(wire::BeginResponse {}))
    }

    type AppendStream = Pin<Box<dyn Stream<Item = Result<wire::AppendChunkResponse, Status>> + Send>>;

    async fn append(&self, request: Request<Streaming<wire::AppendChunkRequest>>) -> Answer<Self::AppendStream> {
        let engine = Arc::clone(&self.0);
        let answers = super::convert::pipelined(request.into_inner(), APPENDS_IN_FLIGHT, move |request| {
            let engine = Arc::clone(&engine);
            async move { append_chunk(&engine, request).await }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn prepare(&self, request: Request<wire::PrepareRequest>) -> Answer<wire::PrepareResponse> {
        let body = request.into_inner();
        let txn = id!(TransactionId, body.txn_id)?;
        let claim =
            transactions::Claim { chunks: body.chunks, events: body.events, bytes: body.bytes, digest: body.digest };
        let prepared = self
            .0
            .store
            .execute(Vec::new(), Wait::Durable, move |draft, _, now| transactions::prepare(draft, txn, &claim, now));
        let (subtask, writer_epoch) = prepared.await.map_err(failed)?;
        Ok(Response::new(wire::PrepareResponse { subtask, writer_epoch }))
    }

    async fn abort(&self, request: Request<wire::AbortRequest>) -> Answer<wire::AbortResponse> {
        let txn = id!(TransactionId, request.into_inner().txn_id)?;
        let aborted = self.0.store.execute(Vec::new(), Wait::Durable, move |draft, _, now| {
            transactions::abort(draft, txn, stored::AbortReason::Client, now)
        });
        let reason = aborted.await.map_err(failed)?;
        Ok(Response::new(wire::AbortResponse { abort_reason: reason.as_str_name().into() }))
    }

    async fn get(&self, request: Request<wire::GetTransactionRequest>) -> Answer<wire::GetTransactionResponse> {
        let txn = id!(TransactionId, request.into_inner().txn_id)?;
        // Through the sequencer, so that the answer includes blocks that are accepted and not yet durable.
        let found = self.0.store.execute(Vec::new(), Wait::Accepted, move |draft, _, _| {
            let unknown =
                || Refusal::not_found(ErrorReason::UnknownTransaction, format!("transaction {txn} is unknown"));
            let record = draft.transaction(txn)?.ok_or_else(unknown)?;
            Ok(transaction_info(draft, txn, record)?)
        });
        let transaction = found.await.map_err(failed)?;
        Ok(Response::new(wire::GetTransactionResponse { transaction: Some(transaction) }))
    }

    async fn list(&self, request: Request<wire::ListTransactionsRequest>) -> Answer<wire::ListTransactionsResponse> {
        let body = request.into_inner();
        let sink = body.sink.clone().map(|sink| sink_name(Some(sink))).transpose()?;
        let limit = if body.limit == 0 { LIST_LIMIT } else { body.limit } as usize;
        let states: Vec<i32> = if body.states.is_empty() {
            vec![wire::TransactionState::Open.into(), wire::TransactionState::Prepared.into()]
        } else {
            body.states
        };
        let only_active = states.iter().all(|state| *state <= i32::from(wire::TransactionState::Prepared));
        let listed = self.0.store.read(|view| list(view, sink.as_ref(), &states, only_active, limit));
        Ok(Response::new(wire::ListTransactionsResponse {
            transactions: listed.map_err(|error| failed(error.into()))?,
        }))
    }

    async fn get_sink(&self, request: Request<wire::GetSinkRequest>) -> Answer<wire::GetSinkResponse> {
        let sink = sink_name(request.into_inner().sink)?;
        let answer = self.0.store.read(|view| -> ledger::Result<wire::GetSinkResponse> {
            let cluster = view.cluster()?;
            let record = view.sink(&sink)?.unwrap_or_default();
            Ok(wire::GetSinkResponse {
                sink: Some(sink_info(view, &sink, &record)?),
                cluster_id: cluster.cluster_id,
                timeline_id: cluster.timeline_id,
            })
        });
        answer.map(Response::new).map_err(|error| failed(error.into()))
    }

    async fn list_sinks(&self, _: Request<wire::ListSinksRequest>) -> Answer<wire::ListSinksResponse> {
        let listed = self.0.store.read(|view| -> ledger::Result<Vec<wire::SinkInfo>> {
            let mut listed = Vec::new();
            for (key, record) in view.records::<stored::Sink>(&KeySpan::sinks(), Direction::Ascending, usize::MAX)? {
                if let Key::Sink(sink) = key {
                    listed.push(sink_info(view, &sink, &record)?);
                }
            }
            Ok(listed)
        });
        Ok(Response::new(wire::ListSinksResponse { sinks: listed.map_err(|error| failed(error.into()))? }))
    }

    async fn attach_sink(&self, request: Request<wire::AttachSinkRequest>) -> Answer<wire::AttachSinkResponse> {
        let body = request.into_inner();
        let sink = sink_name(body.sink.clone())?;
        let command = attach_command(&body)?;
        tracing::info!(%sink, run = %command.run, restored = body.restored, accept_duplicates = body.accept_duplicates, "attach");
        control(&self.0, "AttachSink", body.request.clone(), &body, move |draft, now| {
            let attached = attach::attach(draft, &sink, &command, now)?;
            let cluster = draft.cluster()?;
            let head = attached.head.map(|head| head.to_bytes()).unwrap_or_default();
            let mut leftovers = Vec::new();
            for id in attached.leftovers {
                if let Some(record) = draft.transaction(id)? {
                    leftovers.push(transaction_info(draft, id, record)?);
                }
            }
            Ok(wire::AttachSinkResponse {
                incarnation: attached.incarnation,
                head_group: head.clone(),
                base: head,
                pending: attached.pending.iter().map(to_wire).collect(),
                leftovers,
                cluster_id: cluster.cluster_id,
                timeline_id: cluster.timeline_id,
            })
        })
        .await
    }

    async fn commit_group(&self, request: Request<wire::CommitGroupRequest>) -> Answer<wire::CommitGroupResponse> {
        let body = request.into_inner();
        let sink = sink_name(body.sink)?;
        let group = to_stored(required(body.group, "group")?);
        let cluster = id!(ClusterId, body.cluster_id)?;
        let timeline = id!(TimelineId, body.timeline_id)?;
        let started = self.0.store.env().clock.monotonic();
        let committed = self.0.store.execute(Vec::new(), Wait::Durable, move |draft, _, now| {
            commit::commit_group(draft, &sink, &group, cluster, timeline, now)
        });
        let committed = committed.await.map_err(failed)?;
        counter!(metrics::COMMITS).increment(1);
        counter!(metrics::SUPERSEDED_EVENTS).increment(committed.superseded_events);
        histogram!(metrics::COMMIT_SECONDS).record(self.0.store.env().clock.monotonic().saturating_sub(started));
        Ok(Response::new(wire::CommitGroupResponse {
            commit_seq: committed.commit_seq,
            commit_time_ms: committed.commit_ms,
            events: committed.events,
            superseded_events: committed.superseded_events,
        }))
    }
}

fn attach_command(body: &wire::AttachSinkRequest) -> Result<attach::Command, Status> {
    let optional_group = |raw: &bytes::Bytes| if raw.is_empty() { Ok(None) } else { id!(GroupId, *raw).map(Some) };
    let restored = if body.restored {
        Some(attach::Restored {
            base: optional_group(&body.base)?,
            emitted: body.emitted.iter().cloned().map(to_stored).collect(),
            timeline: if body.timeline_id.is_empty() { None } else { Some(id!(TimelineId, body.timeline_id)?) },
        })
    } else {
        None
    };
    let mode = match body.mode() {
        wire::JobMode::Streaming => attach::Mode::Streaming,
        wire::JobMode::Batch => attach::Mode::Batch,
        wire::JobMode::Unspecified => return Err(refused(Refusal::bad_request("mode must be STREAMING or BATCH"))),
    };
    Ok(attach::Command {
        run: id!(RunNonce, body.run_nonce)?,
        parallelism: body.parallelism,
        incarnation_read: body.incarnation_read,
        restored,
        mode,
        accept_duplicates: body.accept_duplicates,
        refuse_fresh_start: body.refuse_fresh_start,
    })
}

fn list(
    view: &dyn View,
    sink: Option<&SinkName>,
    states: &[i32],
    only_active: bool,
    limit: usize,
) -> ledger::Result<Vec<wire::TransactionInfo>> {
    let mut found = Vec::new();
    if only_active {
        let span = sink.map_or_else(KeySpan::active, KeySpan::active_of_sink);
        for (_, id) in view.active(&span)? {
            found.extend(view.transaction(id)?.map(|record| (id, record)));
        }
    } else {
        for (key, record) in
            view.records::<stored::Transaction>(&KeySpan::transactions(), Direction::Ascending, usize::MAX)?
        {
            if let Key::Transaction(id) = key {
                found.push((id, record));
            }
        }
    }
    found.retain(|(_, record)| {
        states.contains(&record.state)
            && sink.is_none_or(|sink| record.scope == sink.scope.as_str() && record.sink == sink.name.as_str())
    });
    found.sort_by_key(|(_, record)| std::cmp::Reverse(record.state_since_ms));
    found.truncate(limit);
    found.into_iter().map(|(id, record)| transaction_info(view, id, record)).collect()
}

/// Checks a block and queues it; the future that comes back waits for its answer.
async fn append_chunk(
    engine: &Engine,
    request: wire::AppendChunkRequest,
) -> Result<impl Future<Output = Result<wire::AppendChunkResponse, Status>> + Send + use<>, Status> {
    let txn = id!(TransactionId, request.txn_id)?;
    let block = required(request.block, "block")?;
    engine.check_block(&block).map_err(refused)?;
    let segment = SegmentId { stream: StreamId::new(request.stream_id), segment: SegmentNumber::new(request.segment) };
    let (bytes, rows) = (block.data.len(), block.rows);
    let mut info = stored::BlockInfo { at: None, schema_id: block.schema_id, rows: block.rows, columns: block.columns };
    let data = log::Block { data: block.data, crc32c: block.crc32c };
    let seq = request.seq;
    let answer = engine
        .store
        .submit(vec![data], Wait::Accepted, move |draft, refs, now| -> Outcome<()> {
            info.at = refs.first().copied();
            transactions::append(draft, txn, seq, segment, info, now)?;
            Ok(())
        })
        .await
        .map_err(failed)?;
    counter!(metrics::APPENDED_BYTES).increment(bytes as u64);
    counter!(metrics::APPENDED_EVENTS).increment(u64::from(rows));
    let store = engine.store.clone();
    Ok(async move {
        let stopped = || failed(sluice_segment::store::Error::Stopped("the gateway ends".into()));
        answer.await.map_err(|_| stopped())?.map_err(failed)?;
        let durable = store.transaction(txn).map_err(|error| failure(error.into()))?;
        Ok(wire::AppendChunkResponse {
            txn_id: txn.to_bytes(),
            seq,
            durable_chunks: durable.map_or(0, |record| record.chunks),
        })
    })
}
