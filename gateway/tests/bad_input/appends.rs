//! Appends that come at the wrong time: out of order, from an old owner, to a stream that takes none.

use sluice_client::{
    ErrorClass::{Conflict, Fenced, InvalidArgument, NotFound, Rejected},
    ErrorReason::{BadRequest, OutOfSequence, Sealed, StaleEpoch, TooLarge, UnknownStream},
};
use sluice_proto::gateway::v1::{self as wire, append_events_request::Events};

use crate::world::{Appends as _, World, refused};

#[tokio::test]
async fn gaps_overlaps_and_old_writers_are_refused() {
    let world = World::new().await;
    let old = world.init_writer("log", "w").await;
    world.append(old.rows(1, &[b"1", b"2"])).await.unwrap();
    let blocks = world.init_writer("typed", "w").await;
    world.append(blocks.block(1, 0, world.block(2))).await.unwrap();
    let before = world.state().await;

    let error = refused("gap", world.append(old.rows(4, &[b"4"])).await, Conflict, OutOfSequence);
    assert_eq!(error.detail().expected, Some(3));
    let error = refused("gap", world.append(blocks.block(4, 0, world.block(1))).await, Conflict, OutOfSequence);
    assert_eq!(error.detail().expected, Some(3));
    let answer = world.append(blocks.block(2, 0, world.block(2))).await;
    assert_eq!(refused("overlap", answer, InvalidArgument, BadRequest).detail().expected, Some(3));
    refused("sequence 0", world.append(old.rows(0, &[b"0"])).await, InvalidArgument, BadRequest);
    refused("last sequence", world.append(old.rows(u64::MAX, &[b"0"])).await, InvalidArgument, BadRequest);
    // A repeat is no error, whatever it holds: what was acknowledged counts.
    for repeat in [old.rows(1, &[b"x", b"y"]), blocks.block(1, 0, world.block(2))] {
        assert!(world.append(repeat).await.unwrap().duplicate);
    }

    let new = world.init_writer("log", "w").await;
    assert_eq!(new.last_seq, 2);
    for first_seq in [1, 3] {
        let error = refused("old epoch", world.append(old.rows(first_seq, &[b"3"])).await, Fenced, StaleEpoch);
        assert_eq!(error.detail().current, Some(new.epoch));
    }
    let ahead = wire::AppendEventsRequest { epoch: new.epoch + 1, ..new.rows(3, &[b"3"]) };
    refused("an epoch nobody has", world.append(ahead).await, Fenced, StaleEpoch);
    world.assert_unchanged(&before).await;
}

/// The call ends at the first refusal; what was sent behind it on the same call has no effect.
#[tokio::test]
async fn nothing_behind_a_refused_append_is_applied() {
    let world = World::new().await;
    let writer = world.init_writer("log", "w").await;
    let requests = [writer.rows(1, &[b"1"]), writer.rows(3, &[b"3"]), writer.rows(2, &[b"2"])];
    let mut answers = world.writers().append(tokio_stream::iter(requests)).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().last_seq, 1);
    refused("gap", answers.message().await, Conflict, OutOfSequence);
    let again = world.init_writer("log", "w").await;
    assert!(again.last_seq < 3, "sequence 3 was refused");
    let end = world.get_stream("log").await.segments[0].next_offset;
    assert_eq!(end, 2 + again.last_seq, "each applied once");
}

#[tokio::test]
async fn sealed_and_deleted_streams_take_nothing() {
    let world = World::new().await;
    for name in ["sealed", "deleted"] {
        let schema = world.typed.schema.clone();
        world.create_stream(name, wire::StreamConfig { schema, ..Default::default() }).await;
        world.create_stream(&format!("{name}-log"), wire::StreamConfig::default()).await;
    }
    let mut late = Vec::new();
    for name in ["sealed", "deleted"] {
        let (rows, blocks) = (world.init_writer(&format!("{name}-log"), "w").await, world.init_writer(name, "w").await);
        let block = wire::Block { schema_id: world.get_stream(name).await.schema_id, ..world.block(1) };
        world.append(rows.rows(1, &[b"1"])).await.unwrap();
        world.append(blocks.block(1, 0, block.clone())).await.unwrap();
        let epoch = world.open_writer(name).await;
        let txn = world.begin(name, epoch, &[]).await;
        let chunk = wire::AppendChunkRequest { stream_id: blocks.stream_id, ..world.chunk(&txn, 0, &block) };
        late.push((name, rows, blocks, block, chunk));
    }
    world.seal_stream("sealed").await;
    world.seal_stream("sealed-log").await;
    world.delete_stream("deleted").await;
    world.delete_stream("deleted-log").await;
    let before = world.state().await;
    for (name, rows, blocks, block, chunk) in late {
        let (class, reason) = if name == "sealed" { (Rejected, Sealed) } else { (NotFound, UnknownStream) };
        refused(name, world.append(rows.rows(2, &[b"2"])).await, class, reason);
        refused(name, world.append(blocks.block(2, 0, block)).await, class, reason);
        refused(name, world.append_chunk(chunk).await, class, reason);
    }
    world.assert_unchanged(&before).await;
}

#[tokio::test]
async fn rows_over_a_limit_or_for_another_schema_are_refused() {
    use sluice_client::ErrorReason::SchemaMismatch;
    let world = World::new().await;
    let (log, typed) = (world.init_writer("log", "w").await, world.init_writer("typed", "w").await);
    let before = world.state().await;
    let mebibyte = vec![b'x'; (1 << 20) + 1];
    let large: Vec<&[u8]> = vec![&mebibyte; 2];
    refused("no rows", world.append(log.rows(1, &[])).await, InvalidArgument, BadRequest);
    refused("8193 rows", world.append(log.rows(1, &[b"".as_slice(); 8193])).await, InvalidArgument, BadRequest);
    let error = refused("2 MiB of rows", world.append(log.rows(1, &large)).await, InvalidArgument, TooLarge);
    assert_eq!(error.detail().facts["limit"], "1048576");
    refused("typed stream", world.append(typed.rows(1, &[b"x"])).await, InvalidArgument, SchemaMismatch);
    refused(
        "block of another schema",
        world.append(log.block(1, 0, world.block(1))).await,
        InvalidArgument,
        SchemaMismatch,
    );
    let missing = log.request(1, Events::Block(wire::SegmentBlock::default()));
    refused("no block", world.append(missing).await, InvalidArgument, BadRequest);
    world.assert_unchanged(&before).await;
}
