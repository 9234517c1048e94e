//! Reads what the `produce` example wrote, to the present end.
//!
//! ```text
//! cargo run --example read
//! ```

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use sluice_client::{At, Client, ReaderOptions, Start, schema::names::StreamName};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = std::env::var("SLUICE_ENDPOINT").unwrap_or_else(|_| "http://127.0.0.1:9090".into());
    let client = Client::connect(&endpoint).await?;
    let stream = StreamName::parse("examples/sensors")?;

    // `ReaderOptions::default()` would wait for more at the end.
    let mut reader = client.reader(&stream, Start::At(At::Earliest), ReaderOptions::bounded()).await?;
    let mut count = 0u64;
    while let Some(batch) = reader.next().await? {
        for event in batch.events()? {
            if count < 5 {
                let key = String::from_utf8_lossy(event.key.unwrap_or_default());
                let value = String::from_utf8_lossy(event.value);
                println!("segment {} offset {}: {key} = {value}", batch.segment, event.offset);
            }
            count += 1;
        }
    }
    println!("{count} events; the next ones come at {}", reader.positions()[0]);
    Ok(())
}
