//! One process per data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

const NAME: &str = "lock";
const RETRY: Duration = Duration::from_millis(50);

/// How long to wait for a process that is just dying.
pub const LOCK_WAIT: Duration = Duration::from_secs(5);

/// The sole right to a data directory, until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

/// Why a data directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("data directory {} is in use by another process{}: stop it, or use another directory", .dir.display(), .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Held {
        /// The directory.
        dir: PathBuf,
        /// The process, if it left its number.
        pid: Option<u32>,
    },
    /// The disk failed.
    #[error("can't lock {}", .path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl DirLock {
    /// Locks `dir`, which exists; tries again for `wait` ([`LOCK_WAIT`]) while another process holds it. Blocks the thread.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn acquire(dir: &Path, wait: Duration) -> Result<DirLock, LockError> {
        let path = dir.join(NAME);
        let failed = |source| LockError::Io { path: path.clone(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(failed(error));
                }
                Err(_) if waited >= wait => {
                    return Err(LockError::Held { dir: dir.to_owned(), pid: holder(&mut file) });
                }
                Err(_) => {
                    std::thread::sleep(RETRY);
                    waited += RETRY;
                }
            }
        }
        // For people and for the message above; the lock itself needs no content.
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(DirLock { _file: file })
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut content = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(32).read_to_string(&mut content).ok()?;
    content.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_and_the_other_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirLock::acquire(dir.path(), Duration::ZERO).unwrap();
        let error = DirLock::acquire(dir.path(), Duration::from_millis(120)).unwrap_err().to_string();
        let (path, pid) = (dir.path().display(), std::process::id());
        assert_eq!(
            error,
            format!(
                "data directory {path} is in use by another process (pid {pid}): stop it, or use another directory"
            )
        );
        drop(first);
        DirLock::acquire(dir.path(), Duration::ZERO).unwrap();
    }

    #[test]
    fn a_holder_that_goes_away_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirLock::acquire(dir.path(), Duration::ZERO).unwrap();
        let dying = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            drop(first);
        });
        DirLock::acquire(dir.path(), LOCK_WAIT).unwrap();
        dying.join().unwrap();
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = DirLock::acquire(&dir.path().join("none"), Duration::ZERO).unwrap_err();
        assert!(matches!(error, LockError::Io { .. }));
    }
}
