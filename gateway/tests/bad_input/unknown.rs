//! Things that do not exist, or do not any more.

use bytes::Bytes;
use sluice_client::{
    ErrorClass::{self, InvalidArgument, NotFound},
    ErrorReason::{self, *},
};
use sluice_proto::gateway::v1::{self as wire, read_request::Action, read_response::Event};

use crate::world::{Appends as _, World, claim, group_name, refused, stream};

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let world = World::new().await;
    let body = wire::CreateGroupRequest {
        request: world.request(),
        group: group_name("g"),
        streams: vec![stream("log").unwrap()],
        positions: vec![],
    };
    world.groups().create_group(body).await.unwrap();
    let before = world.state().await;
    let elsewhere = || Some(wire::StreamName { scope: "nowhere".into(), name: "log".into() });
    let none = || stream("none");
    let request = || world.request();
    let latest = Some(wire::get_positions_request::At::Latest(true));
    let txn_id = Bytes::from_static(&[9; 16]);

    let (mut s, mut t, mut g) = (world.streams(), world.transactions(), world.groups());
    let answers = [
        (s.get_stream(wire::GetStreamRequest { stream: elsewhere() }).await.map(drop), UnknownScope),
        (s.list_streams(wire::ListStreamsRequest { scope: "nowhere".into() }).await.map(drop), UnknownScope),
        (
            s.create_stream(wire::CreateStreamRequest { request: request(), stream: elsewhere(), config: None })
                .await
                .map(drop),
            UnknownScope,
        ),
        (
            s.delete_scope(wire::DeleteScopeRequest { request: request(), scope: "nowhere".into() }).await.map(drop),
            UnknownScope,
        ),
        (s.get_stream(wire::GetStreamRequest { stream: none() }).await.map(drop), UnknownStream),
        (
            s.delete_stream(wire::DeleteStreamRequest { request: request(), stream: none() }).await.map(drop),
            UnknownStream,
        ),
        (s.seal_stream(wire::SealStreamRequest { request: request(), stream: none() }).await.map(drop), UnknownStream),
        (s.flush_stream(wire::FlushStreamRequest { stream: none() }).await.map(drop), UnknownStream),
        (s.get_positions(wire::GetPositionsRequest { stream: none(), at: latest }).await.map(drop), UnknownStream),
        (world.scan().plan(wire::PlanRequest { stream: none(), from: None }).await.map(drop), UnknownStream),
        (
            world
                .writers()
                .init_writer(wire::InitWriterRequest { request: request(), stream: none(), writer: "w".into() })
                .await
                .map(drop),
            UnknownStream,
        ),
        (world.schemas().get_schema(wire::GetSchemaRequest { schema_id: 0 }).await.map(drop), UnknownSchema),
        (world.schemas().get_schema(wire::GetSchemaRequest { schema_id: 999 }).await.map(drop), UnknownSchema),
        (t.get(wire::GetTransactionRequest { txn_id: txn_id.clone() }).await.map(drop), UnknownTransaction),
        (t.abort(wire::AbortRequest { txn_id: txn_id.clone() }).await.map(drop), UnknownTransaction),
        (t.prepare(claim(&txn_id, &[world.block(1)])).await.map(drop), UnknownTransaction),
        (world.append_chunk(world.chunk(&txn_id, 0, &world.block(1))).await.map(drop), UnknownTransaction),
        (g.get_group(wire::GetGroupRequest { group: group_name("none") }).await.map(drop), UnknownReaderGroup),
        (
            g.get_checkpoint(wire::GetCheckpointRequest { group: group_name("g"), checkpoint: 5 }).await.map(drop),
            UnknownCheckpoint,
        ),
        (
            g.create_group(wire::CreateGroupRequest {
                request: request(),
                group: group_name("h"),
                streams: none().into_iter().collect(),
                positions: vec![],
            })
            .await
            .map(drop),
            UnknownStream,
        ),
    ];
    for (call, (answer, reason)) in answers.into_iter().enumerate() {
        refused(&format!("call {call}"), answer, NotFound, reason);
    }
    world.assert_unchanged(&before).await;
}

/// How a subscription ends.
async fn subscribe(world: &World, stream_id: u64, segment: u32, from_offset: u64) -> (ErrorClass, ErrorReason) {
    let subscribe =
        wire::Subscribe { stream_id, segment, from_offset, credit_bytes: 1 << 20, ..wire::Subscribe::default() };
    let request = wire::ReadRequest { action: Some(Action::Subscribe(subscribe)) };
    let mut answers = world.reader().read(tokio_stream::once(request)).await.unwrap().into_inner();
    match answers.message().await.unwrap().unwrap().event.unwrap() {
        Event::End(wire::End { why: Some(wire::end::Why::Error(detail)), message, .. }) => {
            assert_eq!(message.lines().count(), 1, "{message:?}");
            (detail.class(), detail.reason())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn readers_learn_what_they_cannot_read() {
    let world = World::new().await;
    let before = world.state().await;
    let id = world.log.stream_id;
    assert_eq!(subscribe(&world, 999, 0, 0).await, (NotFound, UnknownStream));
    assert_eq!(subscribe(&world, id, 7, 0).await, (NotFound, UnknownSegment));
    assert_eq!(subscribe(&world, id, 0, 3).await, (InvalidArgument, BeyondEnd));
    world.assert_unchanged(&before).await;
}

#[tokio::test]
async fn blocks_of_unknown_streams_segments_schemas_and_writers_are_refused() {
    let world = World::new().await;
    let writer = world.init_writer("typed", "w").await;
    let epoch = world.open_writer("job").await;
    let txn = world.begin("job", epoch, &[]).await;
    let before = world.state().await;
    let good = || world.block(2);
    let strange = wire::Block { schema_id: 999, ..good() };
    for (what, stream_id, segment, block, reason) in [
        ("segment", world.typed.stream_id, 2, good(), UnknownSegment),
        ("stream", 999, 0, good(), UnknownStream),
        ("schema", world.typed.stream_id, 0, strange, UnknownSchema),
    ] {
        let plain = wire::AppendEventsRequest { stream_id, ..writer.block(1, segment, block.clone()) };
        refused(what, world.append(plain).await, NotFound, reason);
        let chunk = wire::AppendChunkRequest { stream_id, segment, ..world.chunk(&txn, 0, &block) };
        refused(what, world.append_chunk(chunk).await, NotFound, reason);
    }
    let stranger = wire::AppendEventsRequest { writer_id: 99, ..writer.block(1, 0, good()) };
    refused("writer", world.append(stranger).await, NotFound, UnknownWriter);
    let rows = wire::AppendEventsRequest { stream_id: 999, ..writer.rows(1, &[b"x"]) };
    refused("rows", world.append(rows).await, NotFound, UnknownStream);
    world.assert_unchanged(&before).await;
}
