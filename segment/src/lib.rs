//! segment
pub mod parquet;
pub mod env;
pub mod log;
