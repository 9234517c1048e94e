//! The store as it is before the first job: made by the rules themselves.

use std::collections::BTreeMap;

use sluice_proto::gateway::v1::Schema;
use sluice_txn::protocol::{Failure, streams, streams::NewStream};

use crate::{
    config::{Config, START_MS},
    ids::{CLUSTER, TIMELINE, scope, stream_name},
    ledger::Ledger,
};

/// A store with the configuration's streams.
pub fn store(config: &Config) -> Result<Ledger, Failure> {
    let ran = Ledger::default().run(|draft| {
        streams::found_cluster(draft, CLUSTER, TIMELINE, Schema::default());
        streams::create_scope(draft, &scope(), START_MS)?;
        let new = NewStream {
            segments: config.segments.into(),
            schema: None,
            routing_key: Vec::new(),
            labels: BTreeMap::new(),
        };
        for stream in 0..config.streams {
            streams::create_stream(draft, &stream_name(stream), &new, START_MS)?;
        }
        Ok(())
    })?;
    Ok(ran.ledger)
}
