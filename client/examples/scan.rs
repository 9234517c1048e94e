//! The files and ranges that make up a stream at one commit, for batch engines.
//!
//! ```text
//! cargo run --example scan
//! ```

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use sluice_client::{Client, schema::names::StreamName};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = std::env::var("SLUICE_ENDPOINT").unwrap_or_else(|_| "http://127.0.0.1:9090".into());
    let client = Client::connect(&endpoint).await?;
    let stream = StreamName::parse("examples/sensors")?;

    // Without this the newest events would lie in the plan's `tail`, to be read through the gateway.
    client.flush_stream(&stream).await?;
    let plan = client.scan(&stream, None).await?;
    println!("at commit {}:", plan.commit_seq);
    for file in &plan.files {
        println!("segment {} offsets {}..{} in {}", file.segment, file.first, file.end, file.path);
    }
    for range in &plan.tail {
        println!("segment {} offsets {}..{} in the log", range.segment, range.first, range.end);
    }
    Ok(())
}
