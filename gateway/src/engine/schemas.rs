//! Schemas that were read once.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use sluice_proto::storage::v1 as stored;
use sluice_schema::types::Schema;
use sluice_txn::{
    key::Key,
    ledger::{Records as _, View},
    protocol::{ErrorClass, ErrorReason, Refusal},
};

/// Schemas by their number; a schema never changes.
#[derive(Default)]
pub struct Schemas {
    known: RwLock<HashMap<u64, Arc<Schema>>>,
}

impl Schemas {
    /// The schema of a number.
    pub fn get(&self, view: &dyn View, id: u64) -> Result<Arc<Schema>, Refusal> {
        if let Some(schema) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(Arc::clone(schema));
        }
        let found = view.record::<stored::Schema>(&Key::Schema(id)).map_err(super::unreadable)?;
        let unknown = || {
            Refusal::not_found(
                ErrorReason::UnknownSchema,
                format!("schema {id} is unknown; read the stream's schema_id again"),
            )
        };
        let wire = found.and_then(|found| found.schema).ok_or_else(unknown)?;
        let damaged = |error: sluice_schema::types::SchemaError| {
            Refusal::new(ErrorClass::Corrupt, ErrorReason::Damaged, format!("schema {id} is stored wrongly: {error}"))
        };
        let schema = Arc::new(Schema::try_from(&wire).map_err(damaged)?);
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&schema));
        Ok(schema)
    }
}
