//! What the end-to-end tests share: the gateway as a real process, an independent look at its Parquet files, and the
//! history of what clients did with its check.

pub mod history;
pub mod parquet_glob;
pub mod process;
