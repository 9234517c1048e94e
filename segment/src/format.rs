//! The file `<data>/format`: which version of the directory's layout this is. Read before anything else is touched.

use std::io;
use std::path::{Path, PathBuf};

use crate::env::{Disk, OpenMode, replace};

/// Version of the layout that this program writes; it reads no newer one.
pub const DATA_FORMAT_VERSION: u32 = 1;

pub(crate) const NAME: &str = "format";
const PREFIX: &str = "sluice-data ";
/// More than any version of this file will have.
const BYTES_MAX: u64 = 4096;

/// Why a data directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// A newer program made it.
    #[error("data directory {} has format {version}, this program knows formats up to {DATA_FORMAT_VERSION}: use the newer program", .dir.display())]
    Newer {
        /// The directory.
        dir: PathBuf,
        /// Its version.
        version: u64,
    },
    /// It has data, but no readable format file.
    #[error("data directory {} holds a log but {problem}: it is damaged or not a data directory of Sluice", .dir.display())]
    Unknown {
        /// The directory.
        dir: PathBuf,
        /// What is wrong with the file.
        problem: &'static str,
    },
    /// The disk failed.
    #[error("can't read or write {}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Checks the version of the data directory `dir`, which is made, with its format file, when it is new.
///
/// # Errors
/// [`FormatError`]; nothing was changed then, but for the directory that may have been made.
pub fn check_or_create(disk: &dyn Disk, dir: &Path) -> Result<(), FormatError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| FormatError::Io { path, source }
    };
    disk.create_dir_all(dir).map_err(io(dir))?;
    let path = dir.join(NAME);
    let content = match disk.open(&path, OpenMode::Read) {
        Ok(file) => {
            let mut content = vec![0; file.length().map_err(io(&path))?.min(BYTES_MAX) as usize];
            file.read_exact_at(0, &mut content).map_err(io(&path))?;
            content
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // The file comes before all else, so data without it was not made by us.
            if disk.list(dir).map_err(io(dir))?.iter().any(|entry| entry.name == "log") {
                return Err(FormatError::Unknown { dir: dir.to_owned(), problem: "no file `format`" });
            }
            return replace(disk, &path, format!("{PREFIX}{DATA_FORMAT_VERSION}\n").as_bytes()).map_err(io(&path));
        }
        Err(error) => return Err(io(&path)(error)),
    };
    match version(&content) {
        Some(version) if version == u64::from(DATA_FORMAT_VERSION) => Ok(()),
        Some(version) if version > u64::from(DATA_FORMAT_VERSION) => {
            Err(FormatError::Newer { dir: dir.to_owned(), version })
        }
        _ => Err(FormatError::Unknown { dir: dir.to_owned(), problem: "its file `format` is not understood" }),
    }
}

fn version(content: &[u8]) -> Option<u64> {
    str::from_utf8(content).ok()?.strip_prefix(PREFIX)?.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{CallKind, MemDisk};

    fn with_content(content: &[u8]) -> Result<(), FormatError> {
        let disk = MemDisk::new();
        disk.create_dir_all(Path::new("/data/log")).unwrap();
        disk.set_contents(Path::new("/data/format"), content.to_vec());
        check_or_create(&disk, Path::new("/data"))
    }

    #[test]
    fn a_new_directory_is_marked_and_accepted_again() {
        let disk = MemDisk::new();
        check_or_create(&disk, Path::new("/data")).unwrap();
        assert_eq!(disk.contents(Path::new("/data/format")).unwrap(), b"sluice-data 1\n");
        check_or_create(&disk, Path::new("/data")).unwrap();
        for seed in 0..50 {
            check_or_create(&disk.crash(seed), Path::new("/data")).unwrap();
        }
    }

    #[test]
    fn a_newer_one_is_refused_in_one_sentence() {
        let error = with_content(b"sluice-data 2\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "data directory /data has format 2, this program knows formats up to 1: use the newer program"
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for content in [&b""[..], b"sluice-data", b"sluice-data 0", b"sluice-data x", b"\xff\xfe", &[0; 9000]] {
            assert!(matches!(with_content(content), Err(FormatError::Unknown { .. })), "{content:?}");
        }
        let disk = MemDisk::new();
        disk.create_dir_all(Path::new("/data/log")).unwrap();
        assert!(matches!(check_or_create(&disk, Path::new("/data")), Err(FormatError::Unknown { .. })));
    }

    /// A crash or an error at any step leaves a directory that is accepted next time.
    #[test]
    fn making_it_may_fail_anywhere() {
        for (kind, nth) in [
            (CallKind::Open, 2),
            (CallKind::Write, 1),
            (CallKind::SyncData, 1),
            (CallKind::Rename, 1),
            (CallKind::SyncDir, 1),
        ] {
            let disk = MemDisk::new();
            disk.fail(kind, nth, io::ErrorKind::StorageFull);
            assert!(matches!(check_or_create(&disk, Path::new("/data")), Err(FormatError::Io { .. })), "{kind:?}");
            check_or_create(&disk, Path::new("/data")).unwrap();
            for seed in 0..20 {
                check_or_create(&disk.crash(seed), Path::new("/data")).unwrap();
            }
        }
    }
}
