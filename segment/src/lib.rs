//! segment
pub mod parquet;
pub mod env;
pub mod log;
pub mod cache;
pub mod format;
pub mod lock;
pub mod snapshot;
pub mod store;
