//! What the disk does by itself: sequential writing with one fdatasync every 8 MiB.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::Instant;

use crate::cli::exit::Failure;

/// Bytes between two syncs.
const SYNC_BYTES: u64 = 8 << 20;
/// Bytes of one write.
const WRITE_BYTES: usize = 1 << 20;

/// What the disk reached.
#[derive(Debug)]
pub struct Disk {
    /// Bytes written.
    pub bytes: u64,
    /// From the first write to the last sync.
    pub took: Duration,
}

/// The folder that holds a data directory, if it is on this machine.
pub fn beside(data_dir: &str) -> Option<PathBuf> {
    let folder = Path::new(data_dir);
    folder.is_absolute().then(|| folder.parent())?.filter(|parent| parent.is_dir()).map(Path::to_path_buf)
}

/// Writes a file of so many bytes and removes it.
pub fn measure(folder: &Path, bytes: u64) -> Result<Disk, Failure> {
    let path = folder.join(format!("sluice-bench-{}.tmp", std::process::id()));
    let measured = write(&path, bytes);
    // What is left of it would only take space.
    let _ = fs::remove_file(&path);
    measured.map_err(|e| Failure::new(format!("cannot measure the disk at {}: {e} (see --disk-dir)", folder.display())))
}

fn write(path: &Path, bytes: u64) -> std::io::Result<Disk> {
    let block: Vec<u8> = (0..WRITE_BYTES).map(|index| (index * 31 % 251) as u8).collect();
    let mut file = File::create_new(path)?;
    let started = Instant::now();
    let mut written = 0;
    while written < bytes {
        file.write_all(&block)?;
        written += WRITE_BYTES as u64;
        if written.is_multiple_of(SYNC_BYTES) {
            file.sync_data()?;
        }
    }
    file.sync_data()?;
    Ok(Disk { bytes: written, took: started.elapsed() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_gone_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let disk = measure(folder.path(), 3 << 20).unwrap();
        assert_eq!(disk.bytes, 3 << 20);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(measure(Path::new("/nowhere"), 1).is_err());
        assert_eq!(beside(folder.path().join("data").to_str().unwrap()).as_deref(), Some(folder.path()));
        assert_eq!(beside("sluice-data"), None);
    }
}
