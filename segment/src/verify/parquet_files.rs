//! Parquet files that the ledger names.

use std::{
    io,
    path::{Path, PathBuf},
};

use prost::Message as _;
use sluice_proto::storage::v1 as stored;
use sluice_schema::{ids::SegmentId, types::Schema};
use sluice_txn::{
    key::{Key, KeySpan},
    ledger::View as _,
};

use super::{Check, Damage, Ledger, PARQUET, ParquetSource, guarded};
use crate::{
    env::{Disk, OpenMode},
    parquet::{
        ExpectedFile, FileLabel, ReadError,
        paths::{FilePath, FileState},
        verify_file,
    },
    store::EmbeddedStore,
    tier::{self, Tier, from_record},
};

impl Check<'_> {
    pub(super) fn parquet_files(&mut self, ledger: &Ledger, source: &dyn ParquetSource) {
        let root = self.folder.join(PARQUET);
        for (key, value) in ledger.in_span(&KeySpan::all_parquet_files()) {
            let Key::ParquetFile(segment, first) = key else { continue };
            if self.stopped {
                return;
            }
            let found = match stored::ParquetFile::decode(value.clone()) {
                Ok(row) => {
                    source.check(segment, first.get(), &row, ledger).map(|bad| (row.clone(), bad)).or_else(|| {
                        self.did(row.bytes, 1);
                        None
                    })
                }
                Err(error) => {
                    Some((stored::ParquetFile::default(), (None, format!("its row does not decode: {error}"))))
                }
            };
            if let Some((row, (offset, message))) = found {
                self.damage(Damage {
                    file: root.join(row.path),
                    position: 0,
                    stream: ledger.stream_name(segment.stream),
                    segment: Some(segment.segment.get()),
                    offset: offset.or(Some(first.get())),
                    message,
                });
                self.did(row.bytes, 1);
            }
        }
    }
}

/// Files of a running store.
pub(super) struct Running<'a> {
    pub store: &'a EmbeddedStore,
    pub tier: &'a Tier,
}

impl ParquetSource for Running<'_> {
    fn check(
        &self,
        segment: SegmentId,
        first: u64,
        row: &stored::ParquetFile,
        _: &Ledger,
    ) -> Option<(Option<u64>, String)> {
        let offset = sluice_schema::ids::Offset::new(first);
        let mut at = None;
        let checked = guarded(|| {
            self.tier.verify_file(segment, offset, row).map_err(|error| {
                if let tier::Error::Read(ReadError::Damaged { offset, .. }) = &error {
                    at = Some(*offset);
                }
                error.to_string()
            })
        });
        let message = checked.err()?;
        // Its stream may have been deleted meanwhile, and the file with it.
        let now = self.store.get(&Key::ParquetFile(segment, offset).encode()).ok().flatten();
        now.is_some_and(|now| stored::ParquetFile::decode(now).as_ref() == Ok(row)).then_some((at, message))
    }
}

/// Files of a data directory that nobody uses.
pub(super) struct Folder<'a> {
    pub disk: &'a dyn Disk,
    pub root: PathBuf,
}

impl ParquetSource for Folder<'_> {
    fn check(
        &self,
        _: SegmentId,
        first: u64,
        row: &stored::ParquetFile,
        ledger: &Ledger,
    ) -> Option<(Option<u64>, String)> {
        let Some(path) = FilePath::parse(&row.path) else {
            return Some((None, format!("the ledger names it {:?}, which is no path of ours", row.path)));
        };
        let schema: Option<stored::Schema> = ledger.record(&Key::Schema(row.schema_id));
        let schema = schema.and_then(|schema| Schema::try_from(schema.schema?).ok());
        let Some(schema) = schema else {
            return Some((None, format!("schema {} is missing in the ledger", row.schema_id)));
        };
        let candidates = match self.candidates(&path) {
            Ok(candidates) => candidates,
            Err(error) => return Some((None, format!("its folder can't be read: {error}"))),
        };
        let mut worst = (None, "the file is missing".to_owned());
        for candidate in candidates {
            let shown = candidate.display().to_string();
            let label = FileLabel { path: shown, stream: path.stream.clone(), segment: path.segment };
            let expected = ExpectedFile { label, stream_schema: schema.to_arrow(), written: from_record(first, row) };
            let mut at = None;
            let checked = guarded(|| {
                let file = self.disk.open(&candidate, OpenMode::Read).map_err(|error| error.to_string())?;
                verify_file(file, expected).map(drop).map_err(|error| {
                    if let ReadError::Damaged { offset, .. } = &error {
                        at = Some(*offset);
                    }
                    error.to_string()
                })
            });
            match checked {
                Ok(()) => return None,
                Err(message) => worst = (at, message),
            }
        }
        Some(worst)
    }
}

impl Folder<'_> {
    fn candidates(&self, path: &FilePath) -> io::Result<Vec<PathBuf>> {
        let names = candidates(self.disk, &self.root, path)?;
        Ok(names.into_iter().map(|name| name.below(&self.root)).collect())
    }
}

/// The names under which a published file may lie: its own or, between the ledger's word and the rename, a hidden one.
pub(crate) fn candidates(disk: &dyn Disk, root: &Path, published: &FilePath) -> io::Result<Vec<FilePath>> {
    let full = published.below(root);
    match disk.len(&full) {
        Ok(_) => return Ok(vec![published.clone()]),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    let relative = published.to_string();
    let (folder, _) = relative.rsplit_once('/').unwrap_or_default();
    let listed = match disk.list(&root.join(folder)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        listed => listed?,
    };
    let paths = listed.into_iter().filter_map(|entry| FilePath::parse(&format!("{folder}/{}", entry.name)));
    let hidden = |path: &FilePath| matches!(path.state, FileState::Publishing(_));
    Ok(paths.filter(|path| hidden(path) && path.in_state(FileState::Published) == *published).collect())
}
