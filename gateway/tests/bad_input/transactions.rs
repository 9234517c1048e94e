//! Transactions and commit groups that are not what they claim, or of an owner that is no longer one.

use bytes::Bytes;
use sluice_client::{
    ErrorClass::{self, Conflict, Fenced, InvalidArgument, NotFound, Rejected, Retriable},
    ErrorReason::{self, *},
};
use sluice_proto::gateway::v1 as wire;
use tonic::Status;
use uuid::Uuid;

use crate::world::{World, claim, refused, sink_name};

fn id() -> Bytes {
    Bytes::copy_from_slice(Uuid::new_v4().as_bytes())
}

async fn begin(world: &World, txn_id: Bytes, sink: &str, subtask: u32, writer_epoch: u64) -> Result<(), Status> {
    let body = wire::BeginRequest { txn_id, sink: sink_name(sink), subtask, writer_epoch };
    world.transactions().begin(body).await.map(drop)
}

#[tokio::test]
async fn blocks_out_of_turn_and_wrong_claims_are_refused() {
    let world = World::new().await;
    let epoch = world.open_writer("job").await;
    let blocks = [world.block(2), world.block(3)];
    let txn = world.begin("job", epoch, &blocks).await;
    let empty = world.begin("job", epoch, &[]).await;
    let before = world.state().await;

    let gap = world.append_chunk(world.chunk(&txn, 3, &blocks[0])).await;
    assert_eq!(refused("gap", gap, Conflict, OutOfSequence).detail().expected, Some(2));
    refused("other bytes", world.append_chunk(world.chunk(&txn, 0, &blocks[1])).await, Rejected, DigestMismatch);
    world.append_chunk(world.chunk(&txn, 0, &blocks[0])).await.expect("the same bytes again are no error");

    let good = claim(&txn, &blocks);
    let wrong_digest = Bytes::from_static(&[7; 32]);
    for (what, body) in [
        ("one block less", claim(&txn, &blocks[..1])),
        ("one block more", wire::PrepareRequest { chunks: 3, ..good.clone() }),
        ("one event more", wire::PrepareRequest { events: good.events + 1, ..good.clone() }),
        ("one byte less", wire::PrepareRequest { bytes: good.bytes - 1, ..good.clone() }),
        ("other order", claim(&txn, &[blocks[1].clone(), blocks[0].clone()])),
        ("other digest", wire::PrepareRequest { digest: wrong_digest.clone(), ..good.clone() }),
        ("no digest", wire::PrepareRequest { digest: Bytes::new(), ..good.clone() }),
    ] {
        refused(what, world.transactions().prepare(body).await, Rejected, DigestMismatch);
    }
    let nothing = world.transactions().prepare(claim(&empty, &[])).await;
    refused("an empty one", nothing, InvalidArgument, BadRequest);
    world.assert_unchanged(&before).await;

    world.transactions().prepare(good.clone()).await.unwrap();
    let before = world.state().await;
    refused("late block", world.append_chunk(world.chunk(&txn, 2, &blocks[0])).await, Rejected, TransactionPrepared);
    let again = wire::PrepareRequest { digest: wrong_digest, ..good.clone() };
    refused("prepared otherwise", world.transactions().prepare(again).await, Rejected, DigestMismatch);
    let abort = wire::AbortRequest { txn_id: txn.clone() };
    refused("abort", world.transactions().abort(abort).await, Rejected, PreparedNeedsOperator);
    world.transactions().prepare(good).await.expect("a repeat gets the first answer");
    world.assert_unchanged(&before).await;
}

#[tokio::test]
async fn old_epochs_and_taken_ids_are_refused() {
    let world = World::new().await;
    let old = world.open_writer("job").await;
    let blocks = [world.block(1)];
    let open = world.begin("job", old, &blocks).await;
    let new = world.open_writer("job").await;
    let current = world.begin("job", new, &[]).await;
    let before = world.state().await;

    let error = refused("begin", begin(&world, id(), "job", 0, old).await, Fenced, StaleEpoch);
    assert_eq!(error.detail().current, Some(new));
    refused("epoch of the future", begin(&world, id(), "job", 0, new + 1).await, InvalidArgument, BadRequest);
    refused("slot never opened", begin(&world, id(), "job", 1, 1).await, InvalidArgument, BadRequest);
    refused("id of another slot", begin(&world, current, "job", 1, new).await, Rejected, GroupMismatch);
    let late = [
        world.append_chunk(world.chunk(&open, 1, &blocks[0])).await.map(drop),
        world.transactions().prepare(claim(&open, &blocks)).await.map(drop),
        begin(&world, open.clone(), "job", 0, old).await,
    ];
    for answer in late {
        let error = refused("an aborted one", answer, Rejected, TransactionAborted);
        assert_eq!(error.detail().abort_reason, "FENCED");
    }
    let body = |subtask, parallelism, sink| wire::OpenWriterRequest {
        request: world.request(),
        sink,
        subtask,
        parallelism,
        run_nonce: id(),
    };
    for (subtask, parallelism) in [(0, 0), (1, 1), (0, u32::MAX)] {
        let answer = world.transactions().open_writer(body(subtask, parallelism, sink_name("job"))).await;
        refused("slot", answer, InvalidArgument, BadRequest);
    }
    let elsewhere = Some(wire::SinkName { scope: "nowhere".into(), name: "job".into() });
    refused("scope", world.transactions().open_writer(body(0, 1, elsewhere)).await, NotFound, UnknownScope);
    world.assert_unchanged(&before).await;
}

/// Commits of a sink `job` of one incarnation.
pub struct Job {
    cluster_id: Bytes,
    timeline_id: Bytes,
    incarnation: u64,
}

impl Job {
    pub async fn attach(world: &World) -> Self {
        let incarnation = world.attach("job").await;
        let wire::GetSinkResponse { cluster_id, timeline_id, .. } = world.sink("job").await;
        Self { cluster_id, timeline_id, incarnation }
    }

    pub fn group(&self, prev_group: &Bytes, members: &[&Bytes]) -> wire::CommitGroupRequest {
        let group = wire::Group {
            group_id: id(),
            checkpoint: 1,
            prev_group: prev_group.clone(),
            members: members.iter().map(|member| (*member).clone()).collect(),
            incarnation: self.incarnation,
        };
        let (cluster_id, timeline_id) = (self.cluster_id.clone(), self.timeline_id.clone());
        wire::CommitGroupRequest { sink: sink_name("job"), group: Some(group), cluster_id, timeline_id }
    }
}

/// A group with one thing changed.
fn with(body: &wire::CommitGroupRequest, change: impl FnOnce(&mut wire::Group)) -> wire::CommitGroupRequest {
    let mut body = body.clone();
    change(body.group.as_mut().unwrap());
    body
}

#[tokio::test]
async fn groups_with_the_wrong_members_or_predecessor_are_refused() {
    let world = World::new().await;
    let job = Job::attach(&world).await;
    let epoch = world.open_writer("job").await;
    let (none, unknown, other_head) = (Bytes::new(), id(), id());
    let first_member = world.prepared("job", epoch).await;
    let first = job.group(&none, &[&first_member]);
    let committed = world.commit(&first).await.unwrap();
    let head = first.group.as_ref().unwrap().group_id.clone();
    let prepared = world.prepared("job", epoch).await;
    let spare = world.prepared("job", epoch).await;
    let open = world.begin("job", epoch, &[world.block(1)]).await;
    let aborted = world.begin("job", epoch, &[world.block(1)]).await;
    world.transactions().abort(wire::AbortRequest { txn_id: aborted.clone() }).await.unwrap();
    let foreign_epoch = world.open_writer("other-job").await;
    let foreign = world.prepared("other-job", foreign_epoch).await;
    let before = world.state().await;

    let group = |members: &[&Bytes]| job.group(&head, members);
    let good = group(&[&prepared]);
    let short = Bytes::from_static(&[1; 15]);
    let many: Vec<Bytes> = (0..4097).map(|_| id()).collect();
    let cases: [(&str, wire::CommitGroupRequest, ErrorClass, ErrorReason); 16] = [
        ("unknown member", group(&[&prepared, &unknown]), NotFound, UnknownTransaction),
        ("foreign member", group(&[&prepared, &foreign]), Rejected, GroupMismatch),
        ("aborted member", group(&[&prepared, &aborted]), Rejected, TransactionAborted),
        ("open member", group(&[&prepared, &open]), Rejected, BadRequest),
        ("committed member", group(&[&prepared, &first_member]), Rejected, GroupMismatch),
        ("member twice", group(&[&prepared, &spare, &prepared]), InvalidArgument, BadRequest),
        ("malformed member", group(&[&prepared, &short]), InvalidArgument, BadRequest),
        ("no members", group(&[]), InvalidArgument, BadRequest),
        ("4097 members", group(&many.iter().collect::<Vec<_>>()), InvalidArgument, BadRequest),
        ("no predecessor", job.group(&none, &[&prepared]), Fenced, UnknownHead),
        ("unknown predecessor", job.group(&other_head, &[&prepared]), Retriable, OutOfOrder),
        ("its own predecessor", with(&good, |g| g.prev_group = g.group_id.clone()), InvalidArgument, BadRequest),
        ("malformed group id", with(&good, |g| g.group_id = short.clone()), InvalidArgument, BadRequest),
        (
            "known group, other members",
            with(&job.group(&none, &[&prepared]), |g| g.group_id = head.clone()),
            Rejected,
            GroupMismatch,
        ),
        ("unknown sink", wire::CommitGroupRequest { sink: sink_name("none"), ..good.clone() }, NotFound, UnknownSink),
        ("no group", wire::CommitGroupRequest { group: None, ..good.clone() }, InvalidArgument, BadRequest),
    ];
    for (what, body, class, reason) in cases {
        refused(what, world.commit(&body).await, class, reason);
    }
    assert_eq!(world.commit(&first).await.unwrap(), committed, "a repeat gets the first answer");
    world.assert_unchanged(&before).await;
    let right = world.commit(&group(&[&prepared, &spare])).await.unwrap();
    assert_eq!(right.events, 4, "the right one is still taken, with all its members");
    assert_eq!(world.get_stream("typed").await.segments[0].next_offset, 3 + 2 + 4);
}

#[tokio::test]
async fn old_incarnations_and_other_stores_cannot_commit() {
    let world = World::new().await;
    let old = Job::attach(&world).await;
    let epoch = world.open_writer("job").await;
    let member = world.prepared("job", epoch).await;
    let new = Job::attach(&world).await;
    let before = world.state().await;
    let none = Bytes::new();

    let error = refused("old incarnation", world.commit(&old.group(&none, &[&member])).await, Fenced, StaleEpoch);
    assert_eq!(error.detail().current, Some(new.incarnation));
    let good = new.group(&none, &[&member]);
    let other_store = wire::CommitGroupRequest { cluster_id: id(), ..good.clone() };
    refused("another store", world.commit(&other_store).await, Rejected, MetadataRolledBack);
    let other_time = wire::CommitGroupRequest { timeline_id: id(), ..good };
    refused("another timeline", world.commit(&other_time).await, Rejected, MetadataRolledBack);

    let attach = wire::AttachSinkRequest {
        request: world.request(),
        sink: sink_name("job"),
        run_nonce: id(),
        parallelism: 1,
        incarnation_read: old.incarnation,
        mode: wire::JobMode::Streaming.into(),
        ..Default::default()
    };
    refused("raced", world.transactions().attach_sink(attach.clone()).await, Conflict, AttachRace);
    let request = world.request();
    let no_mode = wire::AttachSinkRequest { request, mode: wire::JobMode::Unspecified.into(), ..attach.clone() };
    refused("no mode", world.transactions().attach_sink(no_mode).await, InvalidArgument, BadRequest);
    let request = world.request();
    let no_slots = wire::AttachSinkRequest { request, parallelism: 0, incarnation_read: new.incarnation, ..attach };
    refused("no slots", world.transactions().attach_sink(no_slots).await, InvalidArgument, BadRequest);
    world.assert_unchanged(&before).await;
}

/// A stream that goes between prepare and commit: the commit fails for good and takes nothing of the other streams either.
#[tokio::test]
async fn a_commit_into_a_stream_that_was_sealed_changes_nothing() {
    let world = World::new().await;
    let schema = world.typed.schema.clone();
    let config = wire::StreamConfig { schema, ..Default::default() };
    let sealed = world.create_stream("sealed", config).await;
    let job = Job::attach(&world).await;
    let epoch = world.open_writer("job").await;
    let blocks = [world.block(2), wire::Block { schema_id: sealed.schema_id, ..world.block(3) }];
    let txn = world.begin("job", epoch, &blocks[..1]).await;
    let second = wire::AppendChunkRequest { stream_id: sealed.stream_id, ..world.chunk(&txn, 1, &blocks[1]) };
    world.append_chunk(second).await.unwrap();
    world.transactions().prepare(claim(&txn, &blocks)).await.unwrap();
    world.seal_stream("sealed").await;
    let before = world.state().await;
    for _ in 0..2 {
        refused("sealed", world.commit(&job.group(&Bytes::new(), &[&txn])).await, Rejected, Sealed);
    }
    world.assert_unchanged(&before).await;
}
