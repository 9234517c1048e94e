//! The Rust snippet of README.md, as it is written there; `make test-snippets` runs it.

use sluice_client::{Client, Event, ProducerOptions, schema::names::StreamName};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    include!(concat!(env!("OUT_DIR"), "/readme.rs"));
    Ok(())
}
