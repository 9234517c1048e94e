use std::io;
use std::path::Path;

use super::{Snapshot, SnapshotError, read};
use crate::env::Disk;
use crate::log::Lsn;

/// The answer of [`latest`].
#[derive(Debug)]
pub struct Latest {
    /// The newest whole snapshot; `None`: there is none.
    pub snapshot: Option<Snapshot>,
    /// Why newer ones can't be used; a person must look.
    pub refused: Vec<SnapshotError>,
}

/// All snapshots by name, newest first; none when `dir` does not exist.
///
/// # Errors
/// [`SnapshotError::Io`].
pub fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<Snapshot>, SnapshotError> {
    let entries = match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        listed => listed.map_err(SnapshotError::io("list", dir))?,
    };
    let named = entries.into_iter().filter_map(|entry| {
        let digits = entry.name.strip_suffix(".snapshot")?;
        let all_digits = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let lsn = if all_digits { Lsn(digits.parse().ok()?) } else { return None };
        Some(Snapshot { lsn, path: dir.join(&entry.name) })
    });
    let mut snapshots: Vec<Snapshot> = named.collect();
    snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.lsn));
    Ok(snapshots)
}

/// The newest snapshot that is whole, every checksum verified. Damaged and unreadable ones are passed over and told. The caller checks that the
/// log still begins early enough for the one it gets: [`crate::log::Log::open`] does.
///
/// # Errors
/// [`SnapshotError::Newer`]; when none of those that exist can be used, what is wrong with the newest.
pub fn latest(disk: &dyn Disk, dir: &Path) -> Result<Latest, SnapshotError> {
    let mut refused = Vec::new();
    for snapshot in list(disk, dir)? {
        match read(disk, &snapshot, &mut |_, _| Ok(())) {
            Ok(_) => return Ok(Latest { snapshot: Some(snapshot), refused }),
            Err(error @ SnapshotError::Newer { .. }) => return Err(error),
            Err(error) => refused.push(error),
        }
    }
    match refused.is_empty() {
        true => Ok(Latest { snapshot: None, refused }),
        false => Err(refused.swap_remove(0)),
    }
}
