//! A transaction over two streams, prepared, stored, and committed by what could be another process.
//!
//! ```text
//! sluice serve &
//! cargo run --example transaction
//! ```

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Int32Array, RecordBatch, StringArray},
    datatypes::{DataType as ArrowType, Field as ArrowField, Schema as ArrowSchema},
};
use sluice_client::{
    Client, Event, PreparedTransaction, StreamSettings, TransactionOptions,
    schema::{
        names::{Name, SinkName, StreamName},
        types::Schema,
    },
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = std::env::var("SLUICE_ENDPOINT").unwrap_or_else(|_| "http://127.0.0.1:9090".into());
    let client = Client::connect(&endpoint).await?;
    client.create_scope(&Name::parse("examples")?).await?;

    // One stream of typed rows, one of bytes.
    let columns =
        vec![ArrowField::new("carrier", ArrowType::Utf8, false), ArrowField::new("distance", ArrowType::Int32, true)];
    let columns = Arc::new(ArrowSchema::new(columns));
    let flights = StreamName::parse("examples/flights")?;
    let settings = StreamSettings::typed(2, Schema::from_arrow(&columns)?).routed_by(["carrier"]);
    client.create_stream(&flights, settings).await?;
    let audit = StreamName::parse("examples/audit")?;
    client.create_stream(&audit, StreamSettings::bytes(1)).await?;
    let (flights, audit) = (Arc::new(client.stream(&flights).await?), Arc::new(client.stream(&audit).await?));

    let rows: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["UA", "AA", "B6"])),
        Arc::new(Int32Array::from(vec![Some(1400), Some(1416), None])),
    ];
    let rows = RecordBatch::try_new(columns, rows)?;

    let sink = SinkName::parse("examples/import")?;
    let producer = client.transactional_producer(&sink, TransactionOptions::default()).await?;
    let mut transaction = producer.begin();
    transaction.send_batch(&flights, &rows).await?;
    transaction.send(&audit, Event::new(b"three flights imported")).await?;
    let prepared = transaction.prepare().await?;

    // From here on nothing is lost: keep these bytes, for example with the position in your input.
    let stored = prepared.to_bytes();
    drop((producer, prepared));

    let prepared = PreparedTransaction::from_bytes(&stored)?;
    let commit = client.commit_prepared(&prepared).await?;
    println!("{} events became visible together in commit {}", commit.events, commit.commit_seq);
    // Asking again gives the same answer, for ever.
    assert_eq!(client.commit_prepared(&prepared).await?.commit_seq, commit.commit_seq);
    Ok(())
}
