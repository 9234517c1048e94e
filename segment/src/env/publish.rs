use std::io;
use std::path::Path;

use super::disk::{Disk, OpenMode};

/// Gives a finished file its name, durably: on return it is there after any crash, whole; a file of that name is replaced.
/// `from` was synced by its writer; both names are in the same directory.
pub fn publish(disk: &dyn Disk, from: &Path, to: &Path) -> io::Result<()> {
    disk.rename(from, to)?;
    match to.parent() {
        Some(dir) => disk.sync_dir(dir),
        None => Ok(()),
    }
}

/// Writes a small file so that after any crash it is there with its old or its new content, and with its new one on return.
pub fn replace(disk: &dyn Disk, path: &Path, content: &[u8]) -> io::Result<()> {
    let unfinished = path.with_added_extension("tmp");
    remove_if_there(disk, &unfinished)?;
    let file = disk.open(&unfinished, OpenMode::CreateNew)?;
    file.write_all_at(0, content)?;
    file.sync_data()?;
    publish(disk, &unfinished, path)
}

/// Removes a file; none there is fine.
pub fn remove_if_there(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
