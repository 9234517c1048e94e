//! Tiering: committed blocks of the log become Parquet files, off the hot path.
//!
//! In reading order: [`Tier`] (what callers hold), [`Tierer`] (the one task that publishes), `publish` (the steps of one file),
//! `recover` (what a crash left behind), `open` (published files for readers).
//!
//! A range `[first, end)` of a segment is published in these steps (protocol.md §3.11); `durable` marks those that are synced before the next:
//!
//! | | step | a crash after it leaves | and the next start |
//! |---|---|---|---|
//! | 1 | intent in the ledger, with a hidden name never used before; durable | an intent | gives it up |
//! | 2 | write the hidden file, sync file and folder; durable | an intent and a file | gives up the intent, then removes the file |
//! | 3 | read it back and verify every byte and row | the same | the same |
//! | 4 | ledger: the file's row in, intent and extents out, `parquet_end` = end; durable | a row and a hidden file | renames it |
//! | 5 | rename to the published name, sync the folder; durable | a published file | – |
//!
//! So no pattern `*.parquet` ever sees a row that is not committed, or one twice; and what the ledger calls published is on the disk, under one
//! of two names. Between 4 and 5 readers find it under the hidden one ([`Tier::open_file`]).

mod error;
mod file_writer;
mod open;
mod publish;
mod record;
mod recover;
mod task;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use quick_cache::sync::Cache;
use sluice_proto::storage::v1 as stored;
use sluice_schema::ids::SegmentId;
use sluice_schema::names::StreamName;
use sluice_schema::types::Schema;
use sluice_txn::key::Key;
use sluice_txn::ledger::Records;
use tokio::sync::{mpsc, oneshot};

use crate::parquet::plan::TieringPolicy;
use crate::parquet::{SegmentFileReader, WriterOptions};
use crate::store::EmbeddedStore;

pub use error::Error;
pub(crate) use record::from_record;
pub use recover::Recovered;
pub use task::{Published, Tierer};

/// Commands that may wait for the task.
const COMMANDS_MAX: usize = 64;

/// Settings of tiering.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// When rows become a file.
    pub policy: TieringPolicy,
    /// How a file is laid out.
    pub writer: WriterOptions,
    /// Pause between two looks at all segments. Default 5 s.
    pub interval_ms: u64,
    /// Published files kept open for readers; each holds its footer in memory. Default 64.
    pub open_files_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            policy: TieringPolicy::default(),
            writer: WriterOptions::default(),
            interval_ms: 5_000,
            open_files_max: 64,
        }
    }
}

/// What tiering did since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Files published.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Publications that failed.
    pub failures: u64,
}

/// A handle on the tiering of one store. Cheap to clone.
#[derive(Clone)]
pub struct Tier {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
}

enum Command {
    /// Publish what these segments hold below these offsets.
    Flush(Vec<(SegmentId, u64)>, oneshot::Sender<Result<(), Error>>),
    /// Remove what is left of a deleted stream.
    RemoveFiles(StreamName, oneshot::Sender<Result<(), Error>>),
}

struct Shared {
    store: EmbeddedStore,
    /// The folder `parquet` of the data directory.
    root: PathBuf,
    options: Options,
    schemas: Mutex<HashMap<u64, Arc<Schema>>>,
    /// Hidden paths of files that are published in the ledger, or about to be, and not yet renamed; by segment and first offset.
    renaming: Mutex<HashMap<(SegmentId, u64), PathBuf>>,
    open: Cache<(SegmentId, u64), SegmentFileReader>,
    files: AtomicU64,
    rows: AtomicU64,
    bytes: AtomicU64,
    failures: AtomicU64,
}

impl Tier {
    /// Makes the handle and the task. Run [`Tierer::recover`] before anything is read, then [`Tierer::run`].
    pub fn new(store: EmbeddedStore, options: Options) -> (Tier, Tierer) {
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let shared = Arc::new(Shared {
            root: store.folder().join("parquet"),
            store,
            schemas: Mutex::default(),
            renaming: Mutex::default(),
            open: Cache::new(options.open_files_max.max(1)),
            options,
            files: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        });
        (Tier { shared: shared.clone(), commands }, Tierer::new(shared, inbox))
    }

    /// Publishes everything below the given offsets; returns when it lies in Parquet under its final names. Dropping the future changes nothing
    /// about that.
    pub async fn flush(&self, below: Vec<(SegmentId, u64)>) -> Result<(), Error> {
        self.ask(|answer| Command::Flush(below, answer)).await
    }

    /// Removes the files of a stream that was deleted; a new stream of the same name keeps its own. Call it after the deletion is durable.
    pub async fn remove_files(&self, stream: StreamName) -> Result<(), Error> {
        self.ask(|answer| Command::RemoveFiles(stream, answer)).await
    }

    /// What tiering did since the start.
    pub fn totals(&self) -> Totals {
        use std::sync::atomic::Ordering::Relaxed;
        let Shared { files, rows, bytes, failures, .. } = &*self.shared;
        let read = |count: &AtomicU64| count.load(Relaxed);
        Totals { files: read(files), rows: read(rows), bytes: read(bytes), failures: read(failures) }
    }

    async fn ask(&self, command: impl FnOnce(oneshot::Sender<Result<(), Error>>) -> Command) -> Result<(), Error> {
        let (answer, result) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| Error::Stopped)?;
        result.await.map_err(|_| Error::Stopped)?
    }
}

impl Shared {
    /// The schema of an id.
    fn schema(&self, id: u64) -> Result<Arc<Schema>, Error> {
        let known = || self.schemas.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(schema) = known().get(&id) {
            return Ok(schema.clone());
        }
        let record: Option<stored::Schema> = self.store.record(&Key::Schema(id))?;
        let wire = record
            .and_then(|record| record.schema)
            .ok_or_else(|| Error::Damaged(format!("schema {id} is missing in the ledger")))?;
        let schema =
            Schema::try_from(wire).map_err(|error| Error::Damaged(format!("schema {id} in the ledger: {error}")))?;
        Ok(known().entry(id).or_insert_with(|| Arc::new(schema)).clone())
    }

    fn renaming(&self) -> std::sync::MutexGuard<'_, HashMap<(SegmentId, u64), PathBuf>> {
        self.renaming.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
