//! segment
pub mod parquet;
pub mod env;
