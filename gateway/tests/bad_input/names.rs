//! Names, schemas and ids that break their rules.

use bytes::Bytes;
use sluice_client::{ErrorClass::InvalidArgument, ErrorReason};
use sluice_proto::gateway::v1::{self as wire, TypeKind};

use crate::world::{World, refused};

#[tokio::test]
async fn malformed_names_are_refused_wherever_one_is_given() {
    let world = World::new().await;
    let before = world.state().await;
    let long = "x".repeat(129);
    let bad = ["", "Demo", "-a", "_a", ".a", "..", "a/b", "a b", "a\0", "a\n", "ä", "a%2f", &long];
    for name in bad.map(String::from) {
        let in_scope = |scope: &str| Some(wire::StreamName { scope: scope.into(), name: name.clone() });
        let request = world.request();
        let answers = [
            (world.streams())
                .create_scope(wire::CreateScopeRequest { request: request.clone(), scope: name.clone() })
                .await
                .map(drop),
            (world.streams())
                .create_stream(wire::CreateStreamRequest {
                    request: request.clone(),
                    stream: in_scope("demo"),
                    config: None,
                })
                .await
                .map(drop),
            (world.streams())
                .get_stream(wire::GetStreamRequest {
                    stream: Some(wire::StreamName { scope: name.clone(), name: "log".into() }),
                })
                .await
                .map(drop),
            (world.writers())
                .init_writer(wire::InitWriterRequest {
                    request: request.clone(),
                    stream: crate::world::stream("log"),
                    writer: name.clone(),
                })
                .await
                .map(drop),
            (world.transactions())
                .get_sink(wire::GetSinkRequest {
                    sink: Some(wire::SinkName { scope: "demo".into(), name: name.clone() }),
                })
                .await
                .map(drop),
            (world.groups())
                .get_group(wire::GetGroupRequest {
                    group: Some(wire::GroupName { scope: "demo".into(), name: name.clone() }),
                })
                .await
                .map(drop),
            world.scan().plan(wire::PlanRequest { stream: in_scope("demo"), from: None }).await.map(drop),
        ];
        for (call, answer) in answers.into_iter().enumerate() {
            refused(&format!("call {call} with {name:?}"), answer, InvalidArgument, ErrorReason::BadName);
        }
    }
    world.assert_unchanged(&before).await;
    for good in ["x".repeat(128), "0".into(), "a..-_.9".into()] {
        world.create_stream(&good, wire::StreamConfig::default()).await;
    }
}

fn column(name: &str, data_type: wire::DataType) -> wire::Field {
    wire::Field { name: name.into(), r#type: Some(data_type) }
}

fn of(kind: TypeKind) -> wire::DataType {
    wire::DataType { kind: kind.into(), nullable: true, ..Default::default() }
}

#[tokio::test]
async fn schemas_that_break_a_rule_are_refused() {
    use ErrorReason::{BadName, BadRequest, TooLarge, UnsupportedType};
    let world = World::new().await;
    let before = world.state().await;
    let int = || of(TypeKind::Integer);
    let nested =
        (0..17).fold(int(), |inner, _| wire::DataType { children: vec![column("item", inner)], ..of(TypeKind::Array) });
    let cases = [
        ("reserved", vec![column("_offset", int())], BadName),
        ("reserved, not used yet", vec![column("a", int()), column("_mine", int())], BadName),
        ("empty name", vec![column("", int())], BadName),
        ("same name twice", vec![column("a", int()), column("a", int())], BadName),
        ("long name", vec![column(&"x".repeat(1025), int())], TooLarge),
        ("too many columns", (0..1025).map(|n| column(&format!("c{n}"), int())).collect(), TooLarge),
        ("too deep", vec![column("a", nested)], TooLarge),
        ("no columns", vec![], BadRequest),
        ("no type", vec![wire::Field { name: "a".into(), r#type: None }], BadRequest),
        ("unknown type", vec![column("a", wire::DataType { kind: 99, ..int() })], UnsupportedType),
        ("unspecified type", vec![column("a", of(TypeKind::Unspecified))], BadRequest),
        ("precision 39", vec![column("a", wire::DataType { precision: 39, ..of(TypeKind::Decimal) })], BadRequest),
        ("CHAR(0)", vec![column("a", of(TypeKind::Char))], BadRequest),
        ("ROW without fields", vec![column("a", of(TypeKind::Row))], BadRequest),
    ];
    for (what, fields, reason) in cases {
        let schema = Some(wire::Schema { fields });
        let config = Some(wire::StreamConfig { schema, ..Default::default() });
        let body = wire::CreateStreamRequest { request: world.request(), stream: crate::world::stream("new"), config };
        let error = refused(what, world.streams().create_stream(body).await, InvalidArgument, reason);
        assert_eq!(reason == TooLarge, error.detail().facts.contains_key("limit"), "{what}");
    }
    let labels = (0..65).map(|n| (n.to_string(), String::new())).collect();
    let configs = [
        ("1025 segments", wire::StreamConfig { segments: 1025, ..Default::default() }),
        ("routing key", wire::StreamConfig { routing_key: vec!["none".into()], ..Default::default() }),
        ("many labels", wire::StreamConfig { labels, ..Default::default() }),
    ];
    for (what, config) in configs {
        let (request, stream) = (world.request(), crate::world::stream("new"));
        let body = wire::CreateStreamRequest { request, stream, config: Some(config) };
        refused(what, world.streams().create_stream(body).await, InvalidArgument, BadRequest);
    }
    world.assert_unchanged(&before).await;
}

#[tokio::test]
async fn missing_fields_and_malformed_ids_are_refused() {
    use ErrorReason::{BadRequest, RequestReused};
    let world = World::new().await;
    let id = world.request().unwrap();
    let create = |request: Option<wire::RequestId>, scope: &str| {
        let mut streams = world.streams();
        let body = wire::CreateScopeRequest { request, scope: scope.into() };
        async move { streams.create_scope(body).await }
    };
    create(Some(id.clone()), "once").await.unwrap();
    let before = world.state().await;
    let session = |bytes: &[u8]| Some(wire::RequestId { session_id: Bytes::copy_from_slice(bytes), request_seq: 1 });
    refused("no request id", create(None, "new").await, InvalidArgument, BadRequest);
    refused("short session", create(session(&[1; 15]), "new").await, InvalidArgument, BadRequest);
    refused("session of zeros", create(session(&[0; 16]), "new").await, InvalidArgument, BadRequest);
    refused("an id used before", create(Some(id), "new").await, InvalidArgument, RequestReused);
    let body = wire::GetStreamRequest { stream: None };
    refused("no stream", world.streams().get_stream(body).await, InvalidArgument, BadRequest);
    let body = wire::GetPositionsRequest { stream: crate::world::stream("log"), at: None };
    refused("no place", world.streams().get_positions(body).await, InvalidArgument, BadRequest);
    for length in [0, 15, 17] {
        let body = wire::GetTransactionRequest { txn_id: vec![7; length].into() };
        refused("transaction id", world.transactions().get(body).await, InvalidArgument, BadRequest);
    }
    let empty = wire::AppendEventsRequest::default();
    refused("no events", world.append(empty).await, InvalidArgument, BadRequest);
    let scopes = world.streams().list_scopes(wire::ListScopesRequest {}).await.unwrap().into_inner().scopes;
    assert_eq!(scopes, ["demo", "once"]);
    world.assert_unchanged(&before).await;
}
