//! A reader group: positions that live in the gateway, with checkpoints and lag.
//!
//! ```text
//! cargo run --example group
//! ```

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use sluice_client::{
    Client, ReaderOptions, ResetTo,
    schema::names::{GroupName, StreamName},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = std::env::var("SLUICE_ENDPOINT").unwrap_or_else(|_| "http://127.0.0.1:9090".into());
    let client = Client::connect(&endpoint).await?;
    let stream = StreamName::parse("examples/sensors")?;
    let name = GroupName::parse("examples/dashboard")?;
    let (created, mut group) = client.create_group(&name, &[stream], &[]).await?;
    println!("the group is {}, {} events behind", if created { "new" } else { "known" }, group.lag_events().await?);

    let mut reader = group.reader(ReaderOptions::bounded()).await?;
    let mut handled = 0;
    while let Some(batch) = reader.next().await? {
        handled += batch.events()?.len();
    }
    // Move the positions after the events are handled: nothing is skipped when this process dies before.
    group.update(&reader.positions()).await?;
    println!("{handled} events handled, {} behind", group.lag_events().await?);

    let id = group.checkpoints().await?.last().map_or(1, |last| last.checkpoint + 1);
    let checkpoint = group.checkpoint(id).await?;
    println!("checkpoint {} holds positions of {} stream", checkpoint.checkpoint, checkpoint.positions.len());
    group.reset(ResetTo::Checkpoint(id)).await?;
    Ok(())
}
