//! The wire and the durable records of Sluice, generated from the `.proto` files of this crate.
//!
//! * [`gateway::v1`]: what clients and the gateway say to each other; the Java shim compiles the same files.
//! * [`storage::v1`]: what the ledger and the log keep.
//!
//! Nothing here is written by hand, and nothing here decides anything.

/// The wire.
pub mod gateway {
    /// Version 1.
    #[allow(missing_docs, clippy::all, reason = "generated")]
    pub mod v1 {
        tonic::include_proto!("sluice.gateway.v1");
    }
}

/// Durable records.
pub mod storage {
    /// Version 1.
    #[allow(missing_docs, clippy::all, reason = "generated")]
    pub mod v1 {
        tonic::include_proto!("sluice.storage.v1");
    }
}

/// All descriptors, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
