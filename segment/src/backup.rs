//! Copies of a store that can be started elsewhere.
//!
//! A backup is a data directory without index and lock: the newest snapshot, the log, the Parquet files that the ledger names,
//! the mark `restored`, and last of all `format`, so that a half-made one is no data directory. It is the state of one moment: all or
//! nothing of each commit. Started in place or restored elsewhere, the copy gets a new timeline, by which jobs learn that the
//! store may not know what they know (protocol.md §3.7).

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use prost::Message as _;
use sluice_proto::storage::v1::{Cluster, ParquetFile};
use sluice_txn::key::{Key, KeySpan};

use crate::{
    env::{Disk, ExecutorExt as _, File, OpenMode, OsDisk, remove_if_there, replace},
    format,
    lock::DirLock,
    log::{self, LogFile, Lsn},
    parquet::paths::FilePath,
    snapshot,
    store::{self, EmbeddedStore, Wait, decode_facts, log_folder, snapshot_folder},
    verify::candidates,
};

/// Says that a data directory is a copy: its next start begins a new timeline.
const RESTORED: &str = "restored";
const PARQUET: &str = "parquet";
const STEP_BYTES: u64 = 4 << 20;

/// What a backup or a restore came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Files written or linked.
    pub files: u32,
    /// Their bytes.
    pub bytes: u64,
    /// The last commit in it.
    pub commit_seq: u64,
}

/// Why there is no backup. What was written so far is left for a look; remove it before the next attempt.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The source or the target cannot be used.
    #[error("{0}")]
    Target(String),
    /// The store refused or is stopping.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// What was copied is damaged.
    #[error("the store is damaged, so its copy is worthless: {0}; run `sluice admin verify`")]
    Damaged(String),
    /// A gateway uses the directory that is to be copied.
    #[error("{0}; use `sluice admin backup` to copy a running store")]
    Running(#[from] crate::lock::LockError),
    /// A file operation failed.
    #[error("can't {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { action, path, source }
}

/// Copies a running store to `target`, a folder that is empty or does not exist. Everything acknowledged before the call is in the
/// copy, and the copy is durable on return. Parquet files become hard links where the file system can.
///
/// Dropping the future does not stop a copy that has begun.
///
/// # Errors
/// [`BackupError`].
pub async fn backup(store: &EmbeddedStore, target: &Path) -> Result<Done, BackupError> {
    let disk = Arc::clone(&store.env().disk);
    if target.starts_with(store.folder()) {
        let text = format!("{} lies in the data directory itself; back up to another place", target.display());
        return Err(BackupError::Target(text));
    }
    let hold = store.hold_files();
    must_be_empty(&*disk, target)?;
    let lsn = store.snapshot().await?;
    // Everything that was accepted becomes durable, so that the copy is no more than what a crash would keep.
    store.execute(Vec::new(), Wait::Durable, |_, _, _| Ok(())).await?;
    let files = store.log_files().await?;
    let (folder, target) = (store.folder().to_owned(), target.to_owned());
    let work = store.env().executor.run_for(move || {
        let _hold = hold;
        let mut copy = Copy::new(&*disk, &folder, &target);
        copy.snapshot(lsn)?;
        copy.log(&files)?;
        let (commit_seq, parquet) = copy.check(lsn)?;
        for row in parquet {
            copy.parquet_file(&row)?;
        }
        copy.finish(commit_seq)
    });
    work.await.map_err(|lost| store::Error::Stopped(lost.to_string()))?
}

/// Makes a data directory at `target`, a folder that is empty or does not exist, from a backup or from the data directory of a gateway
/// that does not run. Its next start begins a new timeline.
///
/// # Errors
/// [`BackupError`].
pub fn restore(backup: &Path, target: &Path) -> Result<Done, BackupError> {
    let disk = &OsDisk;
    if disk.len(&backup.join(format::NAME)).is_err() {
        let text = format!("{} is no complete backup: it has no file `{}`", backup.display(), format::NAME);
        return Err(BackupError::Target(text));
    }
    format::check_or_create(disk, backup).map_err(|error| BackupError::Target(error.to_string()))?;
    must_be_empty(disk, target)?;
    // Only a data directory has a lock; a backup may lie where nothing can be written.
    let locked = disk.len(&backup.join("lock")).is_ok();
    let _lock = if locked { Some(DirLock::acquire(backup, Duration::ZERO)?) } else { None };
    let mut copy = Copy::new(disk, backup, target);
    for folder in [log_folder(backup), snapshot_folder(backup), backup.join(PARQUET)] {
        copy.tree(&folder)?;
    }
    let newest = snapshot::latest(disk, &snapshot_folder(target));
    let newest = newest.map_err(|error| BackupError::Damaged(error.to_string()))?.snapshot;
    let (commit_seq, _) = copy.check(newest.map_or(Lsn(0), |snapshot| snapshot.lsn))?;
    copy.finish(commit_seq)
}

/// Whether a data directory is a copy that was not started yet.
pub(crate) fn is_restored(disk: &dyn Disk, folder: &Path) -> io::Result<bool> {
    match disk.len(&folder.join(RESTORED)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes the mark of a copy, durably.
pub(crate) fn forget_restored(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    remove_if_there(disk, &folder.join(RESTORED))?;
    disk.sync_dir(folder)
}

fn must_be_empty(disk: &dyn Disk, target: &Path) -> Result<(), BackupError> {
    match disk.list(target) {
        Ok(entries) if entries.is_empty() => Ok(()),
        Ok(_) => Err(BackupError::Target(format!("{} is not empty; name an empty or a new folder", target.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(BackupError::Target(format!("{} is a file; name an empty or a new folder", target.display())))
        }
        Err(error) => Err(io_error("list", target)(error)),
    }
}

/// A copy under way.
struct Copy<'a> {
    disk: &'a dyn Disk,
    from: &'a Path,
    to: &'a Path,
    /// Folders to be synced in the end.
    folders: BTreeSet<PathBuf>,
    done: Done,
}

impl<'a> Copy<'a> {
    fn new(disk: &'a dyn Disk, from: &'a Path, to: &'a Path) -> Self {
        Self { disk, from, to, folders: BTreeSet::new(), done: Done { files: 0, bytes: 0, commit_seq: 0 } }
    }

    fn snapshot(&mut self, lsn: Lsn) -> Result<(), BackupError> {
        let folder = snapshot_folder(self.from);
        let listed = snapshot::list(self.disk, &folder).map_err(|error| BackupError::Damaged(error.to_string()))?;
        let found = listed.into_iter().find(|snapshot| snapshot.lsn == lsn);
        let found = found.ok_or_else(|| BackupError::Damaged(format!("snapshot {lsn} is not where it was written")))?;
        self.file(&found.path, None)
    }

    /// As much of each log file as was written when it was listed: whole frames.
    fn log(&mut self, files: &[LogFile]) -> Result<(), BackupError> {
        files
            .iter()
            .try_for_each(|file| self.file(&log::file_path(&log_folder(self.from), file.number), Some(file.bytes)))
    }

    /// Reads the copied snapshot and log again; answers the last commit and the Parquet files that belong to it.
    fn check(&self, snapshot: Lsn) -> Result<(u64, Vec<ParquetFile>), BackupError> {
        let damaged = |error: &dyn std::error::Error| BackupError::Damaged(error.to_string());
        let folder = log_folder(self.to);
        let report = log::verify(self.disk, &folder, &mut |_| ()).map_err(|error| damaged(&error))?;
        if let Some(found) = report.damage.first() {
            return Err(BackupError::Damaged(found.to_string()));
        }
        let wanted = Wanted::default();
        let mut wanted = wanted;
        let snapshots = snapshot::list(self.disk, &snapshot_folder(self.to)).map_err(|error| damaged(&error))?;
        if let Some(found) = snapshots.iter().find(|found| found.lsn == snapshot) {
            let mut on_entry = |key: &[u8], value: &[u8]| {
                wanted.put(key, Some(bytes::Bytes::copy_from_slice(value)));
                Ok(())
            };
            snapshot::read(self.disk, found, &mut on_entry).map_err(|error| damaged(&error))?;
        }
        let end = report.lsns.map_or(snapshot, |(_, last)| last).max(snapshot).next();
        let mut undecodable = None;
        let reached =
            log::replay(self.disk, &folder, snapshot.next()..end, &mut |frame| match decode_facts(frame.facts) {
                Ok(changes) => changes.into_iter().for_each(|(key, value)| wanted.put(&key, value)),
                Err(error) => undecodable = Some(format!("frame {}: {error}", frame.lsn)),
            });
        let reached = reached.map_err(|error| damaged(&error))?;
        if reached < end {
            return Err(BackupError::Damaged(format!("frame {reached} of the log is missing")));
        }
        undecodable.map_or(Ok(()), |text| Err(BackupError::Damaged(text)))?;
        wanted.decode().map_err(|error| damaged(&error))
    }

    fn parquet_file(&mut self, row: &ParquetFile) -> Result<(), BackupError> {
        let root = self.from.join(PARQUET);
        let malformed = || BackupError::Damaged(format!("the ledger names {:?} as a Parquet file", row.path));
        let path = FilePath::parse(&row.path).ok_or_else(malformed)?;
        let found = candidates(self.disk, &root, &path).map_err(io_error("look for", &path.below(&root)))?;
        let mut copied = Err(io::Error::from(io::ErrorKind::NotFound));
        for name in found {
            // A file that is renamed just now has its published name a moment later.
            copied = self.link_or_copy(&name, &path);
            if copied.is_ok() {
                break;
            }
        }
        if copied.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            copied = self.link_or_copy(&path, &path);
        }
        copied.map_err(io_error("copy", &path.below(&root)))?;
        self.done.files += 1;
        self.done.bytes += row.bytes;
        Ok(())
    }

    fn link_or_copy(&mut self, name: &FilePath, published: &FilePath) -> io::Result<()> {
        let from = name.below(&self.from.join(PARQUET));
        let to = published.in_state(name.state).below(&self.to.join(PARQUET));
        self.make_parent(&to)?;
        match self.disk.link(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
            Ok(()) => Ok(()),
            Err(_) => copy_bytes(self.disk, &from, &to, None).map(|_| ()),
        }
    }

    /// Copies a file, or its first bytes.
    fn file(&mut self, from: &Path, bytes: Option<u64>) -> Result<(), BackupError> {
        let relative = from.strip_prefix(self.from).unwrap_or(from);
        let to = self.to.join(relative);
        self.make_parent(&to).map_err(io_error("make the folder of", &to))?;
        self.done.bytes += copy_bytes(self.disk, from, &to, bytes).map_err(io_error("copy", from))?;
        self.done.files += 1;
        Ok(())
    }

    /// Copies a folder with all below it; none there is fine.
    fn tree(&mut self, folder: &Path) -> Result<(), BackupError> {
        let listed = match self.disk.list(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            listed => listed.map_err(io_error("list", folder))?,
        };
        for entry in listed {
            let path = folder.join(&entry.name);
            if entry.is_dir {
                self.tree(&path)?;
            } else {
                self.file(&path, None)?;
            }
        }
        Ok(())
    }

    fn make_parent(&mut self, path: &Path) -> io::Result<()> {
        for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(self.to)) {
            self.folders.insert(folder.to_owned());
        }
        path.parent().map_or(Ok(()), |parent| self.disk.create_dir_all(parent))
    }

    fn finish(mut self, commit_seq: u64) -> Result<Done, BackupError> {
        self.disk.create_dir_all(self.to).map_err(io_error("make", self.to))?;
        let mark = self.to.join(RESTORED);
        replace(self.disk, &mark, b"").map_err(io_error("write", &mark))?;
        for folder in self.folders.iter().rev() {
            self.disk.sync_dir(folder).map_err(io_error("sync", folder))?;
        }
        if let Some(parent) = self.to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.disk.sync_dir(parent).map_err(io_error("sync", parent))?;
        }
        let format = self.from.join(format::NAME);
        self.file(&format, None)?;
        self.disk.sync_dir(self.to).map_err(io_error("sync", self.to))?;
        self.done.files += 1;
        Ok(Done { commit_seq, ..self.done })
    }
}

/// Copies a file to a new one, durable but for its name; answers the bytes.
fn copy_bytes(disk: &dyn Disk, from: &Path, to: &Path, bytes: Option<u64>) -> io::Result<u64> {
    let source = disk.open(from, OpenMode::Read)?;
    let bytes = bytes.map_or_else(|| source.length(), Ok)?;
    let target: Arc<dyn File> = disk.open(to, OpenMode::CreateNew)?;
    let mut buffer = vec![0; STEP_BYTES.min(bytes) as usize];
    let mut at = 0;
    while at < bytes {
        let step = STEP_BYTES.min(bytes - at) as usize;
        source.read_exact_at(at, &mut buffer[..step])?;
        target.write_all_at(at, &buffer[..step])?;
        at += step as u64;
    }
    target.sync_data()?;
    Ok(bytes)
}

/// The entries that a copy must know: the cluster's and those of Parquet files.
#[derive(Default)]
struct Wanted {
    entries: std::collections::BTreeMap<Vec<u8>, bytes::Bytes>,
}

impl Wanted {
    fn put(&mut self, key: &[u8], value: Option<bytes::Bytes>) {
        let files = KeySpan::all_parquet_files();
        let wanted = key == Key::Cluster.encode() || (files.from.as_slice()..files.to.as_slice()).contains(&key);
        match value {
            Some(value) if wanted => {
                self.entries.insert(key.to_vec(), value);
            }
            _ => {
                self.entries.remove(key);
            }
        }
    }

    fn decode(mut self) -> Result<(u64, Vec<ParquetFile>), prost::DecodeError> {
        let cluster = self.entries.remove(&Key::Cluster.encode()).map(Cluster::decode).transpose()?;
        let files = self.entries.into_values().map(ParquetFile::decode).collect::<Result<_, _>>()?;
        Ok((cluster.map_or(0, |cluster| cluster.last_commit_seq), files))
    }
}
