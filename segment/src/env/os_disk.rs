use std::collections::VecDeque;
use std::fs;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::direct::DirectFile;
use super::disk::{Disk, Entry, File, OpenMode};

/// Most parts that one call to the kernel takes (IOV_MAX on Linux and macOS).
const PARTS_MAX: usize = 1024;

/// Room is reserved only where so much is free.
#[cfg(target_os = "linux")]
const RESERVE_FREE_BYTES_MIN: u64 = 1 << 30;

/// The machine's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsDisk;

#[derive(Debug)]
pub(super) struct OsFile {
    file: fs::File,
}

impl OsFile {
    fn open(path: &Path, mode: OpenMode) -> io::Result<Self> {
        let mut options = fs::OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => {}
            OpenMode::Write => {
                options.write(true);
            }
            OpenMode::CreateNew => {
                options.write(true).create_new(true);
            }
        }
        Ok(Self { file: options.open(path)? })
    }
}

impl Disk for OsDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(OsFile::open(path, mode)?))
    }

    fn open_direct(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        DirectFile::open(path, mode, OsFile::open(path, mode)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Removed between the listing and the look: as if it had gone before.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let is_dir = metadata.is_dir();
            entries.push(Entry { name, is_dir, bytes: if is_dir { 0 } else { metadata.len() } });
        }
        entries.sort();
        Ok(entries)
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<Option<u64>> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(Some(stat.f_bavail.saturating_mul(stat.f_frsize)))
    }
}

impl File for OsFile {
    fn write_vectored_at(&self, mut position: u64, parts: &[&[u8]]) -> io::Result<()> {
        let mut left: VecDeque<IoSlice<'_>> =
            parts.iter().filter(|part| !part.is_empty()).map(|part| IoSlice::new(part)).collect();
        while !left.is_empty() {
            let (front, _) = left.as_slices();
            let written = match rustix::io::pwritev(&self.file, &front[..front.len().min(PARTS_MAX)], position) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            position += written as u64;
            consume(&mut left, written);
        }
        Ok(())
    }

    fn read_exact_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, position)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    #[cfg(target_os = "linux")]
    fn reserve(&self, position: u64, bytes: u64) {
        // On a disk with little left the room is worth more to whoever writes next.
        let free = rustix::fs::fstatvfs(&self.file).map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        if free < RESERVE_FREE_BYTES_MIN {
            return;
        }
        // Refused where the file system has no such call: then writing is slower.
        let _ = rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::KEEP_SIZE, position, bytes);
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

/// Drops the first `written` bytes of `parts`.
fn consume(parts: &mut VecDeque<IoSlice<'_>>, mut written: usize) {
    while let Some(first) = parts.front_mut() {
        if first.len() > written {
            first.advance(written);
            return;
        }
        written -= first.len();
        parts.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More parts than the kernel takes at once, of odd lengths, arrive in order and nowhere else.
    #[test]
    fn many_parts_are_written_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("parts");
        let parts: Vec<Vec<u8>> = (0..3000u32).map(|n| vec![n as u8; (n % 7) as usize]).collect();
        let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let file = OsDisk.open(&path, OpenMode::CreateNew).unwrap();
        file.write_vectored_at(5, &slices).unwrap();
        file.sync_data().unwrap();
        let mut want = vec![0; 5];
        want.extend(parts.concat());
        assert_eq!(fs::read(&path).unwrap(), want);
        assert_eq!(file.length().unwrap(), want.len() as u64);
        let mut tail = [0; 4];
        let error = file.read_exact_at(want.len() as u64 - 2, &mut tail).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn names_are_listed_in_order_and_modes_hold() {
        let dir = tempfile::tempdir().unwrap();
        OsDisk.create_dir_all(&dir.path().join("sub/deep")).unwrap();
        for name in ["b", "a"] {
            OsDisk.open(&dir.path().join(name), OpenMode::CreateNew).unwrap().write_all_at(0, b"xyz").unwrap();
        }
        let listed: Vec<_> =
            OsDisk.list(dir.path()).unwrap().into_iter().map(|e| (e.name, e.is_dir, e.bytes)).collect();
        assert_eq!(listed, [("a".into(), false, 3), ("b".into(), false, 3), ("sub".into(), true, 0)]);
        let again = OsDisk.open(&dir.path().join("a"), OpenMode::CreateNew).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        let read_only = OsDisk.open(&dir.path().join("a"), OpenMode::Read).unwrap();
        assert!(read_only.write_all_at(0, b"no").is_err());
        OsDisk.sync_dir(dir.path()).unwrap();
        assert!(OsDisk.free_bytes(dir.path()).unwrap().unwrap() > 0);
    }
}
