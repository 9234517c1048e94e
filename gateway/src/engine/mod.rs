//! What stands between the services and the store.
//!
//! * [`Engine`]: the store, the schemas it has read, and the tasks that look after it;
//! * [`Reading`]: one reader's way through a segment, over cache, log and Parquet;
//! * `positions`: where a time lies in a stream;
//! * `rows`: small rows of many writers become one block per segment and flush;
//! * `upkeep`: publication as Parquet, snapshots, trimming, expiry.

mod positions;
mod reading;
mod rows;
mod schemas;
mod upkeep;

use std::{path::PathBuf, sync::Arc};

use sluice_proto::{gateway::v1 as wire, storage::v1 as stored};
use sluice_schema::{
    block::{self, BlockError},
    ids::StreamId,
    names::StreamName,
};
use sluice_segment::{
    store::{self, EmbeddedStore},
    tier::{self, Tier},
};
use sluice_txn::{
    key::KeySpan,
    ledger::{self, Direction, Records, View},
    protocol::{ErrorClass, ErrorReason, Refusal},
};

use tokio::sync::Semaphore;

pub use reading::{Reading, Step};
pub use schemas::Schemas;
pub use upkeep::{Retention, Upkeep};

/// The gateway's working parts.
pub struct Engine {
    /// Facts and bytes.
    pub store: EmbeddedStore,
    /// Schemas by their number.
    pub schemas: Schemas,
    /// Small rows on their way into blocks.
    pub rows: rows::RowQueues,
    /// Since when it serves.
    pub started_ms: u64,
    /// Publication as Parquet.
    pub tier: Tier,
    /// Bytes of blocks that all readers together may have on the way before they are asked for.
    pub read_ahead: Arc<Semaphore>,
}

impl Engine {
    /// Over an open store. `read_ahead_bytes`: see [`Engine::read_ahead`].
    pub fn new(store: EmbeddedStore, tier: Tier, read_ahead_bytes: usize) -> Self {
        let started_ms = store.env().clock.now_ms();
        Self {
            schemas: Schemas::default(),
            rows: rows::RowQueues::default(),
            started_ms,
            tier,
            store,
            read_ahead: Arc::new(Semaphore::new(read_ahead_bytes)),
        }
    }

    /// Where a published file lies.
    pub fn parquet_path(&self, relative: &str) -> PathBuf {
        self.store.folder().join("parquet").join(relative)
    }

    /// Checks a block that came over the wire, before anything else looks at it.
    pub fn check_block(&self, sent: &wire::Block) -> Result<(), Refusal> {
        let schema = self.schemas.get(&self.store, sent.schema_id)?;
        block::validate(&schema, &sent.columns, sent.rows, sent.crc32c, &sent.data).map_err(bad_block)
    }

    /// Publishes everything of a stream that is committed now; answers how many files that took.
    pub async fn flush(&self, stream: StreamId) -> Result<u32, Refusal> {
        let files = |view: &dyn View| {
            view.records::<stored::ParquetFile>(&KeySpan::parquet_files_of(stream), Direction::Ascending, usize::MAX)
        };
        let (ends, before) =
            self.store.read(|view| Ok((view.segments(stream)?, files(view)?.len()))).map_err(unreadable)?;
        let below = ends.into_iter().map(|(segment, record)| (segment, record.next_offset)).collect();
        self.tier.flush(below).await.map_err(not_published)?;
        let after = self.store.read(|view| Ok(files(view)?.len())).map_err(unreadable)?;
        Ok(u32::try_from(after.saturating_sub(before)).unwrap_or(u32::MAX))
    }

    /// Removes the Parquet files of a stream that was deleted.
    pub async fn forget_files(&self, stream: &StreamName) {
        if let Err(error) = self.tier.remove_files(stream.clone()).await {
            tracing::warn!(%stream, %error, "the files of a deleted stream could not be removed; the next start removes them");
        }
    }
}

/// A publication that failed.
fn not_published(error: tier::Error) -> Refusal {
    match error {
        tier::Error::Store(error) => error.into_refusal(),
        tier::Error::Ledger(error) => unreadable(error),
        tier::Error::Stopped => store::Error::Stopped(error.to_string()).into_refusal(),
        tier::Error::Disk { .. } | tier::Error::Write(_) => {
            let text = format!("{error}; the events stay in the log");
            Refusal::new(ErrorClass::Retriable, ErrorReason::Unavailable, text)
        }
        _ => Refusal::new(ErrorClass::Corrupt, ErrorReason::Damaged, error.to_string()),
    }
}

/// A block that is refused.
fn bad_block(error: BlockError) -> Refusal {
    let reason = match error {
        BlockError::TooLarge { .. } => ErrorReason::TooLarge,
        BlockError::Mismatch(_) => ErrorReason::SchemaMismatch,
        _ => ErrorReason::BadBlock,
    };
    let refusal = Refusal::new(ErrorClass::InvalidArgument, reason, error.to_string());
    match error {
        BlockError::TooLarge { actual, limit, .. } => refusal.fact("actual", actual).fact("limit", limit),
        _ => refusal,
    }
}

/// A ledger that cannot be read.
fn unreadable(error: ledger::Error) -> Refusal {
    store::Error::from(error).into_refusal()
}
