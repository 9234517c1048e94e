//! What a crash left behind, put right before anything is served.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluice_proto::storage::v1::{ParquetFile, UploadIntent};
use sluice_schema::ids::{Offset, SegmentId};
use sluice_txn::key::{Key, KeySpan};
use sluice_txn::ledger::{Direction, Records};
use sluice_txn::protocol::publication;

use super::record::from_record;
use super::{Error, Shared};
use crate::env::OpenMode;
use crate::parquet::paths::{FilePath, FileState};
use crate::parquet::verify_file;
use crate::store::Wait;

/// What was found at the start and done about it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Intents of publications that a crash cut short; given up.
    pub given_up: usize,
    /// Files that were published in the ledger and are renamed now.
    pub renamed: usize,
    /// Hidden files that nothing needs; removed.
    pub removed: usize,
    /// Files under a published name that the ledger does not know: put aside under a hidden name. They are left of a stream whose deletion a crash cut
    /// short, or the ledger was set back.
    pub orphans: Vec<String>,
    /// Files that the ledger knows and that are not there, or not as they were written. Reads of them fail.
    pub missing: Vec<String>,
}

impl Shared {
    pub(super) async fn recover(self: &Arc<Self>) -> Result<Recovered, Error> {
        let given_up = self.give_up_intents().await?;
        let shared = self.clone();
        let recovered = self.blocking(move || shared.recover_files()).await??;
        Ok(Recovered { given_up, ..recovered })
    }

    /// Every intent found at a start is of a publisher that is no more. Their files go with the hidden ones below.
    async fn give_up_intents(&self) -> Result<usize, Error> {
        let intents: Vec<(Key, UploadIntent)> =
            self.store.records(&KeySpan::upload_intents(), Direction::Ascending, usize::MAX)?;
        for (key, _) in &intents {
            let Key::UploadIntent(segment, first) = *key else { continue };
            self.store
                .execute(Vec::new(), Wait::Durable, move |draft, _, _| publication::give_up(draft, segment, first))
                .await?;
        }
        Ok(intents.len())
    }

    fn recover_files(&self) -> Result<Recovered, Error> {
        let mut recovered = Recovered::default();
        let mut published = HashSet::new();
        let mut hidden = Vec::new();
        for path in self.files()? {
            match path.state {
                FileState::Published if self.row(&path)?.is_some() => {
                    published.insert(path.to_string());
                }
                FileState::Published => recovered.orphans.push(self.put_aside(&path)?),
                FileState::Publishing(_) => hidden.push(path),
                FileState::Orphan(_) => {}
            }
        }
        for path in hidden {
            let target = path.in_state(FileState::Published);
            match self.row(&target)? {
                Some((segment, row)) if !published.contains(&row.path) => {
                    if self.is_whole(&path, &row)? {
                        self.rename_now(&path, &target)?;
                        published.insert(row.path);
                        recovered.renamed += 1;
                    } else {
                        tracing::error!(%segment, file = %path, "a published file is not as it was written");
                    }
                }
                _ => {
                    self.remove_now(&path)?;
                    recovered.removed += 1;
                }
            }
        }
        let rows: Vec<(Key, ParquetFile)> =
            self.store.records(&KeySpan::all_parquet_files(), Direction::Ascending, usize::MAX)?;
        recovered.missing =
            rows.into_iter().map(|(_, row)| row.path).filter(|path| !published.contains(path)).collect();
        Ok(recovered)
    }

    /// Removes what is left of a deleted stream's files. A new stream of that name keeps its own.
    pub(super) fn remove_files(&self, stream: &sluice_schema::names::StreamName) -> Result<(), Error> {
        let folder = self.root.join(crate::parquet::paths::stream_folder(stream));
        let mut found = Vec::new();
        for segment in self.list(&folder)? {
            self.files_of_segment(&segment, &mut found)?;
        }
        for path in found {
            let known = match path.state {
                FileState::Published => self.row(&path)?.is_some(),
                FileState::Publishing(_) => self.is_needed(&path)?,
                FileState::Orphan(_) => false,
            };
            if !known {
                self.remove_now(&path)?;
            }
        }
        let disk = &self.store.env().disk;
        // Folders that still hold something stay; that is what the error says.
        for segment in self.list(&folder)? {
            let _ = disk.remove_dir(&segment);
        }
        let _ = disk.remove_dir(&folder);
        Ok(())
    }

    /// A hidden file is needed while its intent or, until it is renamed, its row is there.
    fn is_needed(&self, path: &FilePath) -> Result<bool, Error> {
        let Some((id, _)) = self.store.stream_by_name(&path.stream)? else { return Ok(false) };
        let segment = SegmentId { stream: id, segment: path.segment };
        let first = Offset::new(path.offsets.start);
        let intent: Option<UploadIntent> = self.store.record(&Key::UploadIntent(segment, first))?;
        Ok(intent.is_some_and(|intent| intent.path == path.to_string())
            || self.row(&path.in_state(FileState::Published))?.is_some())
    }

    /// The ledger's row of exactly this published file.
    fn row(&self, path: &FilePath) -> Result<Option<(SegmentId, ParquetFile)>, Error> {
        let Some((id, _)) = self.store.stream_by_name(&path.stream)? else { return Ok(None) };
        let segment = SegmentId { stream: id, segment: path.segment };
        let row: Option<ParquetFile> =
            self.store.record(&Key::ParquetFile(segment, Offset::new(path.offsets.start)))?;
        Ok(row.filter(|row| row.path == path.to_string()).map(|row| (segment, row)))
    }

    /// Whether a hidden file is the one that the row was written for.
    fn is_whole(&self, path: &FilePath, row: &ParquetFile) -> Result<bool, Error> {
        let full = path.below(&self.root);
        let file = self.store.env().disk.open(&full, OpenMode::Read).map_err(Error::disk("open", &full))?;
        let expected = self.expected(path, from_record(path.offsets.start, row))?;
        Ok(verify_file(file, expected).is_ok())
    }

    fn rename_now(&self, from: &FilePath, to: &FilePath) -> Result<(), Error> {
        let (from, to) = (from.below(&self.root), to.below(&self.root));
        self.store.env().disk.rename(&from, &to).map_err(Error::disk("rename", &from))?;
        self.sync_folder(&to)
    }

    fn remove_now(&self, path: &FilePath) -> Result<(), Error> {
        let full = path.below(&self.root);
        match self.store.env().disk.remove(&full) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::disk("remove", &full)(error)),
            _ => Ok(()),
        }
    }

    fn put_aside(&self, path: &FilePath) -> Result<String, Error> {
        let id = self.new_id();
        let orphan = path.in_state(FileState::Orphan(id));
        self.rename_now(path, &orphan)?;
        tracing::error!(file = %path, now = %orphan, "a file that the ledger does not know was put aside");
        Ok(orphan.to_string())
    }

    /// All files below the root whose names are ours.
    fn files(&self) -> Result<Vec<FilePath>, Error> {
        let mut found = Vec::new();
        for scope in self.list(&self.root)? {
            for stream in self.list(&scope)? {
                for segment in self.list(&stream)? {
                    self.files_of_segment(&segment, &mut found)?;
                }
            }
        }
        Ok(found)
    }

    fn files_of_segment(&self, folder: &Path, found: &mut Vec<FilePath>) -> Result<(), Error> {
        for file in self.list_all(folder)?.into_iter().filter(|(_, is_dir)| !is_dir).map(|(path, _)| path) {
            let relative = file.strip_prefix(&self.root).ok().and_then(Path::to_str);
            match relative.and_then(FilePath::parse) {
                Some(path) => found.push(path),
                None => {
                    tracing::warn!(file = %file.display(), "a file that is none of ours lies among the Parquet files")
                }
            }
        }
        Ok(())
    }

    /// The folders in a folder; none if it does not exist.
    fn list(&self, folder: &Path) -> Result<Vec<PathBuf>, Error> {
        Ok(self.list_all(folder)?.into_iter().filter(|(_, is_dir)| *is_dir).map(|(path, _)| path).collect())
    }

    fn list_all(&self, folder: &Path) -> Result<Vec<(PathBuf, bool)>, Error> {
        match self.store.env().disk.list(folder) {
            Ok(entries) => Ok(entries.into_iter().map(|entry| (folder.join(entry.name), entry.is_dir)).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Error::disk("list", folder)(error)),
        }
    }
}
