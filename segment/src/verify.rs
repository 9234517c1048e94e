//! Reads everything a store has kept and compares it with every checksum and with itself.
//!
//! [`verify_store`] works beside a running gateway, [`verify_folder`] on a data directory that nobody uses. Both check, in this order:
//!
//! | | what | how |
//! |---|---|---|
//! | 1 | snapshots of the ledger | checksums |
//! | 2 | every frame and block of the log | checksums ([`crate::log::verify`]) |
//! | 3 | the index | each entry against the newest snapshot plus the frames after it |
//! | 4 | every block that an extent or a chunk names | it is there, with the named length and checksum |
//! | 5 | the ledger | [`sluice_txn::protocol::invariants`] |
//! | 6 | every Parquet file that the ledger names | every byte and row |
//!
//! Nothing is repaired. Memory: two copies of the ledger's entries.

mod blocks;
mod index;
mod parquet_files;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use sluice_proto::storage::v1 as stored;
use sluice_schema::ids::{SegmentId, StreamId};
use sluice_txn::{
    key::{Key, RawKey},
    ledger::{Change, Index as _, MemoryIndex},
    protocol::invariants,
};

pub(crate) use parquet_files::candidates;

use crate::{
    env::{Disk, OsDisk, Rng as _, SystemRng},
    format,
    lock::DirLock,
    log::{self, Lsn},
    snapshot,
    store::{EmbeddedStore, log_folder, snapshot_folder},
    tier::Tier,
};

/// How far a verification is, or what it came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read so far.
    pub bytes: u64,
    /// Things checked so far: frames, ledger entries, blocks, Parquet files.
    pub items: u64,
    /// Damage that no report before named.
    pub damage: Vec<Damage>,
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file, or the folder of the index.
    pub file: PathBuf,
    /// Where in the file, in bytes; 0 where that is not known.
    pub position: u64,
    /// The stream, `scope/name`; empty where none is concerned.
    pub stream: String,
    /// The segment.
    pub segment: Option<u32>,
    /// The first offset that cannot be read.
    pub offset: Option<u64>,
    /// What is wrong.
    pub message: String,
}

impl Damage {
    fn of_file(file: impl Into<PathBuf>, position: u64, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { file: file.into(), position, stream: String::new(), segment: None, offset: None, message }
    }
}

/// Why nothing could be verified. Damage is no such reason.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A gateway has the directory.
    #[error("{0}; or ask the running gateway: `sluice admin verify` without --data-dir")]
    Locked(#[from] crate::lock::LockError),
    /// There is no store.
    #[error("{} is no data directory of Sluice: it holds no log", .0.display())]
    NoStore(PathBuf),
    /// A newer program wrote it, or the disk fails.
    #[error(transparent)]
    Format(#[from] crate::format::FormatError),
    /// The copy of the index that is read cannot be made.
    #[error("can't copy the index to {} to read it: {source}", .path.display())]
    Copy {
        /// The copy.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// Checks the store of a running gateway; blocks the thread for as long as that takes.
///
/// `report` is called now and then, with the damage found since the last call; answering `false` ends the work at the next file.
/// The returned progress carries the totals and the damage not reported yet. No file is removed meanwhile.
///
/// # Errors
/// [`VerifyError::Format`].
pub fn verify_store(
    store: &EmbeddedStore,
    tier: &Tier,
    report: &mut dyn FnMut(Progress) -> bool,
) -> Result<Progress, VerifyError> {
    let _hold = store.hold_files();
    let disk = &*store.env().disk;
    format::check_or_create(disk, store.folder())?;
    let running = index::Running { store };
    let parquet = parquet_files::Running { store, tier };
    Ok(Check::new(disk, store.folder(), report).run(&running, &parquet))
}

/// Checks a data directory that no gateway uses; opens nothing for writing but the lock. See [`verify_store`].
///
/// # Errors
/// [`VerifyError`].
pub fn verify_folder(folder: &Path, report: &mut dyn FnMut(Progress) -> bool) -> Result<Progress, VerifyError> {
    if !log_folder(folder).is_dir() {
        return Err(VerifyError::NoStore(folder.into()));
    }
    let _lock = DirLock::acquire(folder, LOCK_WAIT)?;
    format::check_or_create(&OsDisk, folder)?;
    let copy = std::env::temp_dir().join(format!("sluice-verify-{:032x}", SystemRng.next_u128()));
    let index = index::Copied::of(folder, copy)?;
    let parquet = parquet_files::Folder { disk: &OsDisk, root: folder.join(PARQUET) };
    Ok(Check::new(&OsDisk, folder, report).run(&index, &parquet))
}

/// A gateway that just stops may hold the directory a little longer.
const LOCK_WAIT: Duration = Duration::from_secs(1);
/// The folder of Parquet files below a data directory.
const PARQUET: &str = "parquet";
/// A report is made after this many bytes or items.
const REPORT_BYTES: u64 = 16 << 20;
const REPORT_ITEMS: u64 = 100_000;

/// The entries of a ledger.
type Entries = BTreeMap<RawKey, Bytes>;

/// What an index holds.
struct IndexContent {
    /// All changes up to this frame.
    applied: Lsn,
    /// Beyond, some changes up to this one: a crash came while they were applied.
    applying: Option<Lsn>,
    entries: Entries,
}

/// How the index is read.
trait IndexSource {
    /// What it holds; `None`: there is no index to compare.
    fn content(&self) -> Result<Option<IndexContent>, String>;
    /// Whether a gateway writes meanwhile: then the state of the index is the one to check, and the log's end is torn.
    fn is_running(&self) -> bool;
}

/// How a Parquet file is checked; `Some` says what is wrong, and from which offset on.
trait ParquetSource {
    fn check(
        &self,
        segment: SegmentId,
        first: u64,
        row: &stored::ParquetFile,
        ledger: &Ledger,
    ) -> Option<(Option<u64>, String)>;
}

/// A state of the ledger, to look up names and schemas.
struct Ledger {
    entries: Entries,
}

impl Ledger {
    fn record<M: prost::Message + Default>(&self, key: &Key) -> Option<M> {
        M::decode(self.entries.get(&key.encode())?.clone()).ok()
    }

    fn stream_name(&self, id: StreamId) -> String {
        let stream: Option<stored::Stream> = self.record(&Key::Stream(id));
        stream.map_or_else(|| format!("(stream number {id})"), |stream| format!("{}/{}", stream.scope, stream.name))
    }

    /// The entries whose keys are of one kind, decoded; damage for those that do not decode.
    fn in_span(&self, span: &sluice_txn::key::KeySpan) -> impl Iterator<Item = (Key, &Bytes)> {
        let range = self.entries.range(span.from.clone()..span.to.clone());
        range.filter_map(|(raw, value)| Some((Key::decode(raw)?, value)))
    }
}

struct Check<'a> {
    disk: &'a dyn Disk,
    folder: &'a Path,
    report: &'a mut dyn FnMut(Progress) -> bool,
    totals: Progress,
    /// Totals at the last report.
    reported: (u64, u64),
    stopped: bool,
}

impl<'a> Check<'a> {
    fn new(disk: &'a dyn Disk, folder: &'a Path, report: &'a mut dyn FnMut(Progress) -> bool) -> Self {
        Self { disk, folder, report, totals: Progress::default(), reported: (0, 0), stopped: false }
    }

    fn run(mut self, index: &dyn IndexSource, parquet: &dyn ParquetSource) -> Progress {
        // Before the index is read: a snapshot must not be newer than it.
        let start = self.snapshots();
        let in_log = self.log();
        let Some(ledger) = self.index(start, &in_log, index) else {
            self.note_log_damage(in_log.damage, &[]);
            return self.totals;
        };
        let bad_blocks = self.blocks(&ledger);
        self.note_log_damage(in_log.damage, &bad_blocks);
        self.invariants(&ledger);
        self.parquet_files(&ledger, parquet);
        self.totals
    }

    /// Checks every snapshot; answers the newest whole one.
    fn snapshots(&mut self) -> Option<(Lsn, Entries)> {
        let folder = snapshot_folder(self.folder);
        let listed = match snapshot::list(self.disk, &folder) {
            Ok(listed) => listed,
            Err(error) => {
                self.damage(Damage::of_file(folder, 0, with_sources(&error)));
                return None;
            }
        };
        let mut newest = None;
        for found in listed {
            let mut entries = Entries::new();
            let read = snapshot::read(self.disk, &found, &mut |key, value| {
                if newest.is_none() {
                    entries.insert(key.to_vec(), Bytes::copy_from_slice(value));
                }
                Ok(())
            });
            match read {
                Ok(count) => {
                    newest = newest.or(Some((found.lsn, entries)));
                    self.did(self.disk.len(&found.path).unwrap_or(0), count);
                }
                Err(error) => self.damage(Damage::of_file(found.path, 0, with_sources(&error))),
            }
        }
        newest
    }

    /// Checks the log; its damage is told later, by the events it hits where that is possible.
    fn log(&mut self) -> log::Report {
        let folder = log_folder(self.folder);
        let mut before = 0;
        let read = log::verify(self.disk, &folder, &mut |progress| {
            self.did(progress.bytes_done - before, 1);
            before = progress.bytes_done;
        });
        read.unwrap_or_else(|error| {
            self.damage(Damage::of_file(folder, 0, with_sources(&error)));
            log::Report::default()
        })
    }

    /// Tells damage of the log, but not of blocks that were named already.
    fn note_log_damage(&mut self, damage: Vec<log::Damage>, named: &[(PathBuf, u64)]) {
        for found in damage {
            let place = (found.file, found.position);
            if !named.contains(&place) {
                let frame = found.lsn.map_or_else(String::new, |lsn| format!("frame {lsn}: "));
                self.damage(Damage::of_file(place.0, place.1, format!("{frame}{}", found.message)));
            }
        }
    }

    fn invariants(&mut self, ledger: &Ledger) {
        if self.stopped {
            return;
        }
        let index = MemoryIndex::default();
        let changes: Vec<Change> =
            ledger.entries.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
        let checked = index.apply(1, &changes).and_then(|()| invariants::check(&index));
        let file = log_folder(self.folder);
        match checked {
            Ok(violations) => {
                for violation in violations {
                    let message =
                        format!("the ledger contradicts itself ({}): {}", violation.invariant, violation.message);
                    self.damage(Damage::of_file(&file, 0, message));
                }
            }
            Err(error) => self.damage(Damage::of_file(&file, 0, error.to_string())),
        }
        self.did(0, changes.len() as u64);
    }

    fn damage(&mut self, damage: Damage) {
        self.totals.damage.push(damage);
    }

    /// Counts work, and reports now and then.
    fn did(&mut self, bytes: u64, items: u64) {
        self.totals.bytes += bytes;
        self.totals.items += items;
        let (bytes, items) = (self.totals.bytes - self.reported.0, self.totals.items - self.reported.1);
        let due = bytes >= REPORT_BYTES || items >= REPORT_ITEMS || !self.totals.damage.is_empty();
        if due && !self.stopped {
            self.reported = (self.totals.bytes, self.totals.items);
            let damage = std::mem::take(&mut self.totals.damage);
            self.stopped = !(self.report)(Progress { damage, ..self.totals.clone() });
        }
    }
}

/// Runs code of others that must not end the process, whatever bytes it reads.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(text.unwrap_or_else(|| "it panicked".into()))
    })
}

/// An error with what caused it, in one line.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
