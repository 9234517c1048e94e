//! Published files for readers.

use std::io;
use std::path::Path;
use std::sync::Arc;

use sluice_proto::storage::v1::ParquetFile;
use sluice_schema::ids::{Offset, SegmentId};

use super::record::from_record;
use super::{Error, Shared, Tier};
use crate::env::{File, OpenMode};
use crate::parquet::paths::FilePath;
use crate::parquet::{ExpectedFile, FileLabel, ReadError, SegmentFileReader, verify_file};

impl Tier {
    /// Opens a published file by its ledger row, or takes it from the few that are kept open. Blocking.
    pub fn open_file(&self, segment: SegmentId, first: Offset, row: &ParquetFile) -> Result<SegmentFileReader, Error> {
        let key = (segment, first.get());
        if let Some(reader) = self.shared.open.get(&key) {
            return Ok(reader);
        }
        let (file, expected) = self.shared.open_published(segment, first, row)?;
        let reader = SegmentFileReader::open(file, expected)?;
        self.shared.open.insert(key, reader.clone());
        Ok(reader)
    }

    /// Checks a published file down to the last byte and row ([`verify_file`]). Blocking, reads it twice.
    pub fn verify_file(&self, segment: SegmentId, first: Offset, row: &ParquetFile) -> Result<(), Error> {
        let (file, expected) = self.shared.open_published(segment, first, row)?;
        Ok(verify_file(file, expected).map(drop)?)
    }
}

impl Shared {
    fn open_published(
        &self,
        segment: SegmentId,
        first: Offset,
        row: &ParquetFile,
    ) -> Result<(Arc<dyn File>, ExpectedFile), Error> {
        let unfit = || {
            Error::Damaged(format!(
                "the ledger names {:?} as the file of segment {segment} from offset {first}",
                row.path
            ))
        };
        let path = FilePath::parse(&row.path).ok_or_else(unfit)?;
        let expected = self.expected(&path, from_record(first.get(), row))?;
        let target = path.below(&self.root);
        let hidden = self.renaming().get(&(segment, first.get())).cloned();
        // The rename happens between the two look-ups at most once, so the published name is right if the hidden one is not.
        let opened = match hidden.map(|hidden| self.open_if_there(&hidden)) {
            Some(Ok(Some(file))) => Ok(file),
            Some(Err(error)) => Err(error),
            Some(Ok(None)) | None => self.store.env().disk.open(&target, OpenMode::Read),
        };
        let file = opened.map_err(|source| ReadError::Io { label: expected.label.clone(), source })?;
        Ok((file, expected))
    }

    pub(super) fn expected(
        &self,
        path: &FilePath,
        written: crate::parquet::WrittenFile,
    ) -> Result<ExpectedFile, Error> {
        let stream_schema = self.schema(written.schema_id)?.to_arrow();
        let label =
            FileLabel { path: self.shown(&path.below(&self.root)), stream: path.stream.clone(), segment: path.segment };
        Ok(ExpectedFile { label, stream_schema, written })
    }

    pub(super) fn open_if_there(&self, path: &Path) -> io::Result<Option<Arc<dyn File>>> {
        match self.store.env().disk.open(path, OpenMode::Read) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn shown(&self, path: &Path) -> String {
        path.display().to_string()
    }
}
