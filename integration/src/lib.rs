//! What the end-to-end tests share: the gateway as a real process, and an independent look at its Parquet files.

pub mod parquet_glob;
pub mod process;
