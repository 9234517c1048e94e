//! The gRPC services: thin. Each checks and converts what came over the wire, asks the engine or runs one rule, and converts back.

mod admin;
mod convert;
mod reader;
mod reader_groups;
mod scan;
mod schemas;
mod streams;
mod transactions;
mod writers;

use std::sync::Arc;

use tonic::service::Routes;

use crate::engine::Engine;
use sluice_proto::gateway::v1::{
    admin_server::AdminServer, reader_groups_server::ReaderGroupsServer, reader_server::ReaderServer,
    scan_server::ScanServer, schemas_server::SchemasServer, streams_server::StreamsServer,
    transactions_server::TransactionsServer, writers_server::WritersServer,
};

/// Largest message a client may send.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// All services of a gateway, with health and reflection.
pub async fn routes(engine: Arc<Engine>) -> anyhow::Result<Routes> {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(sluice_proto::DESCRIPTORS)
        .build_v1()?;
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status("", tonic_health::ServingStatus::Serving).await;
    Ok(Routes::new(health_service)
        .add_service(reflection)
        .add_service(StreamsServer::new(streams::Service(Arc::clone(&engine))))
        .add_service(SchemasServer::new(schemas::Service(Arc::clone(&engine))))
        .add_service(
            WritersServer::new(writers::Service(Arc::clone(&engine))).max_decoding_message_size(MESSAGE_BYTES_MAX),
        )
        .add_service(
            TransactionsServer::new(transactions::Service(Arc::clone(&engine)))
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
        )
        .add_service(
            ReaderServer::new(reader::Service(Arc::clone(&engine))).max_encoding_message_size(MESSAGE_BYTES_MAX),
        )
        .add_service(ReaderGroupsServer::new(reader_groups::Service(Arc::clone(&engine))))
        .add_service(ScanServer::new(scan::Service(Arc::clone(&engine))))
        .add_service(AdminServer::new(admin::Service(engine))))
}
