//! Service Schemas.

use std::sync::Arc;

use sluice_proto::gateway::v1::{GetSchemaRequest, GetSchemaResponse, schemas_server::Schemas};
use tonic::{Request, Response, Status};

use super::convert::refused;
use crate::engine::Engine;

pub struct Service(pub Arc<Engine>);

#[tonic::async_trait]
impl Schemas for Service {
    async fn get_schema(&self, request: Request<GetSchemaRequest>) -> Result<Response<GetSchemaResponse>, Status> {
        let schema_id = request.into_inner().schema_id;
        let schema = self.0.schemas.get(&self.0.store, schema_id).map_err(refused)?;
        Ok(Response::new(GetSchemaResponse { schema_id, schema: Some((&*schema).into()) }))
    }
}
