//! Many empty streams, so that a start over them can be measured.

use futures::{StreamExt as _, TryStreamExt as _};
use sluice_client::{Client, StreamSettings};
use sluice_schema::names::{Name, ScopeName, StreamName};
use tokio::time::Instant;

use crate::cli::{exit::Failure, output::note};

/// Calls under way at a time; they share syncs.
const IN_FLIGHT: usize = 256;

/// Creates the streams `empty-0` to `empty-<count - 1>` of one segment each, which stay.
pub async fn create(client: &Client, scope: &ScopeName, count: u32) -> Result<(), Failure> {
    let started = Instant::now();
    let created = futures::stream::iter(0..count).map(|number| async move {
        let name = Name::parse(&format!("empty-{number}")).map_err(|e| Failure::new(e.to_string()))?;
        let stream = StreamName::new(scope.clone(), name);
        let (created, _) = client.create_stream(&stream, StreamSettings::bytes(1)).await?;
        Ok::<u32, Failure>(u32::from(created))
    });
    let created = created.buffer_unordered(IN_FLIGHT).try_fold(0, |sum, one| async move { Ok(sum + one) }).await?;
    note(format!("{created} empty streams created in scope {scope} in {:.1} s", started.elapsed().as_secs_f64()));
    Ok(())
}
