//! Plain appends: each event is durable and visible when it is acknowledged.
//!
//! ```text
//! sluice serve &
//! cargo run --example produce
//! ```

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use sluice_client::{
    Client, Event, ProducerOptions, StreamSettings,
    schema::names::{Name, StreamName},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = std::env::var("SLUICE_ENDPOINT").unwrap_or_else(|_| "http://127.0.0.1:9090".into());
    let client = Client::connect(&endpoint).await?;
    client.create_scope(&Name::parse("examples")?).await?;
    let stream = StreamName::parse("examples/sensors")?;
    client.create_stream(&stream, StreamSettings::bytes(2).routed_by(["key"])).await?;

    let producer = client.producer(&stream, "thermometers", ProducerOptions::default()).await?;
    for reading in 0..1000 {
        let sensor = format!("sensor-{}", reading % 10);
        let value = format!("{{\"celsius\":{}}}", 20 + reading % 5);
        producer.send(Event::keyed(sensor.as_bytes(), value.as_bytes())).await?;
    }
    let last = producer.send(Event::keyed(b"sensor-0", b"{\"celsius\":21}")).await?;
    println!("event {} is durable", last.durable().await?);
    Ok(())
}
