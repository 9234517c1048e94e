//! The steps of one file.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use sluice_proto::storage::v1::Extent;
use sluice_schema::block::decode;
use sluice_schema::ids::{Offset, SegmentId};
use sluice_schema::names::StreamName;
use sluice_schema::types::Schema;
use sluice_txn::ledger::Records;
use sluice_txn::protocol::publication;

use super::file_writer::FileWriter;
use super::record::to_record;
use super::{Error, Shared};
use crate::env::{ExecutorExt, OpenMode};
use crate::log::ReadError;
use crate::parquet::paths::{FilePath, FileState};
use crate::parquet::plan::PlannedFile;
use crate::parquet::{FileInfo, SegmentFileWriter, WrittenFile, verify_file};
use crate::store::Wait;

/// Blocks that are fetched and encoded together.
const ROUND_BYTES: usize = 4 << 20;
/// A block may be copied forward in the log between look-up and reading; more often than this in a row it is not.
const LOOKUPS_MAX: usize = 8;

type Writer = SegmentFileWriter<FileWriter>;

/// A block's bytes and the facts of its extent.
struct Fetched {
    offset: u64,
    extent: Extent,
    data: Bytes,
}

impl Fetched {
    fn end(&self) -> u64 {
        self.offset + self.extent.block.as_ref().map_or(1, |block| u64::from(block.rows))
    }
}

impl Shared {
    /// Publishes one planned file; returns what was written. After an error the publication is given up and its file removed.
    pub(super) async fn publish(
        self: &Arc<Self>,
        segment: SegmentId,
        stream: &StreamName,
        planned: &PlannedFile,
    ) -> Result<WrittenFile, Error> {
        let damaged = || Error::Damaged(format!("an empty range of segment {segment} was planned"));
        let target =
            FilePath::published(stream.clone(), segment.segment, planned.offsets.clone()).ok_or_else(damaged)?;
        let hidden = target.in_state(FileState::Publishing(self.new_id()));
        self.intend(segment, planned, &hidden).await?;
        let written = match self.write_and_check(segment, planned, &target, &hidden).await {
            Ok(written) => written,
            Err(error) => {
                self.give_up(segment, planned.offsets.start, &hidden).await;
                return Err(error);
            }
        };
        self.rename(segment, written.first_offset, hidden.below(&self.root), target.below(&self.root)).await?;
        Ok(written)
    }

    async fn intend(&self, segment: SegmentId, planned: &PlannedFile, hidden: &FilePath) -> Result<(), Error> {
        let (first, end, path) =
            (Offset::new(planned.offsets.start), Offset::new(planned.offsets.end), hidden.to_string());
        let intend = self.store.execute(Vec::new(), Wait::Durable, move |draft, _, now| {
            publication::intend(draft, segment, first, end, path, now)
        });
        Ok(intend.await?)
    }

    /// Steps 2 to 4. On return the ledger calls the range published.
    async fn write_and_check(
        self: &Arc<Self>,
        segment: SegmentId,
        planned: &PlannedFile,
        target: &FilePath,
        hidden: &FilePath,
    ) -> Result<WrittenFile, Error> {
        let written = self.write(segment, planned, hidden).await?;
        let (shared, path, expected) =
            (self.clone(), hidden.below(&self.root), self.expected(hidden, written.clone())?);
        let check = move || -> Result<(), Error> {
            let file = shared.store.env().disk.open(&path, OpenMode::Read).map_err(Error::disk("open", &path))?;
            Ok(verify_file(file, expected).map(drop)?)
        };
        self.in_background(check).await??;

        let (first, row, name) = (Offset::new(written.first_offset), to_record(target, &written), hidden.to_string());
        self.renaming().insert((segment, first.get()), hidden.below(&self.root));
        let publish = self.store.execute(Vec::new(), Wait::Durable, move |draft, _, _| {
            publication::publish(draft, segment, first, &name, &row)
        });
        publish.await?;
        Ok(written)
    }

    async fn write(
        self: &Arc<Self>,
        segment: SegmentId,
        planned: &PlannedFile,
        hidden: &FilePath,
    ) -> Result<WrittenFile, Error> {
        let schema = self.schema(planned.schema_id)?;
        let offsets = planned.offsets.clone();
        let info = FileInfo {
            stream: hidden.stream.clone(),
            segment: segment.segment,
            first_offset: offsets.start,
            schema_id: planned.schema_id,
        };
        let (shared, path, arrow) = (self.clone(), hidden.below(&self.root), schema.to_arrow());
        let open = move || -> Result<Writer, Error> {
            let out = FileWriter::new(shared.create(&path)?);
            Ok(SegmentFileWriter::new(out, arrow, info, &shared.options.writer)?)
        };
        let mut writer = self.blocking(open).await??;
        let mut round = self.fetch(segment, offsets.start, offsets.end).await?;
        while !round.is_empty() {
            let (schema, next) = (schema.clone(), end_of(&round));
            let encoded = self.in_background(move || encode(segment, &schema, writer, round));
            // The next blocks are read while these are encoded.
            let (encoded, ahead) = tokio::join!(encoded, self.fetch(segment, next, offsets.end));
            (writer, round) = (encoded??, ahead?);
        }
        let (shared, path) = (self.clone(), hidden.below(&self.root));
        let finish = move || -> Result<WrittenFile, Error> {
            let (written, out) = writer.finish()?;
            out.finish().map_err(Error::disk("sync", &path))?;
            shared.sync_folder(&path)?;
            Ok(written)
        };
        self.in_background(finish).await?
    }

    /// The blocks from `from` on, about [`ROUND_BYTES`] of them.
    async fn fetch(&self, segment: SegmentId, from: u64, end: u64) -> Result<Vec<Fetched>, Error> {
        let mut round = Vec::new();
        let (mut next, mut bytes) = (from, 0);
        while next < end && bytes < ROUND_BYTES {
            let fetched = self.fetch_block(segment, next).await?;
            bytes += fetched.data.len();
            next = fetched.end();
            round.push(fetched);
        }
        Ok(round)
    }

    async fn fetch_block(&self, segment: SegmentId, offset: u64) -> Result<Fetched, Error> {
        let mut gone = 0;
        loop {
            let found = self.store.extent_at(segment, Offset::new(offset))?.filter(|(base, _)| base.get() == offset);
            let at = found.as_ref().and_then(|(_, extent)| extent.block.as_ref()).and_then(|block| block.at);
            let (Some((_, extent)), Some(at)) = (found, at) else {
                return Err(Error::Damaged(format!("segment {segment} has no extent at offset {offset}")));
            };
            match self.store.block(at.into()).await {
                Ok(data) => return Ok(Fetched { offset, extent, data }),
                Err(ReadError::Gone(_)) if gone < LOOKUPS_MAX => gone += 1,
                Err(source) => return Err(Error::Block { segment, offset, source }),
            }
        }
    }

    /// Step 5. A failure leaves the file readable under its hidden name; it is tried again later.
    pub(super) async fn rename(
        self: &Arc<Self>,
        segment: SegmentId,
        first: u64,
        hidden: std::path::PathBuf,
        target: std::path::PathBuf,
    ) -> Result<(), Error> {
        let shared = self.clone();
        let rename = move || -> Result<(), Error> {
            shared.store.env().disk.rename(&hidden, &target).map_err(Error::disk("rename", &hidden))?;
            shared.renaming().remove(&(segment, first));
            shared.sync_folder(&target)
        };
        self.blocking(rename).await?
    }

    /// Ends a publication that failed before step 4 was done. What cannot be undone now is undone at the next start.
    async fn give_up(self: &Arc<Self>, segment: SegmentId, first: u64, hidden: &FilePath) {
        let name = hidden.to_string();
        let path = hidden.below(&self.root);
        let given_up = self.store.execute(Vec::new(), Wait::Durable, move |draft, _, _| {
            let intent: Option<sluice_proto::storage::v1::UploadIntent> =
                draft.record(&sluice_txn::key::Key::UploadIntent(segment, Offset::new(first)))?;
            match intent.is_some_and(|intent| intent.path == name) {
                true => publication::give_up(draft, segment, Offset::new(first)).map(|()| true),
                false => Ok(false),
            }
        });
        match given_up.await {
            Ok(_) if self.is_published(segment, first) => {
                tracing::warn!(%segment, first, "published, though the store said otherwise")
            }
            Ok(_) => {
                self.renaming().remove(&(segment, first));
                let shared = self.clone();
                let shown = path.display().to_string();
                let removed = self.blocking(move || shared.store.env().disk.remove(&path)).await;
                if !matches!(removed, Ok(Ok(()))) {
                    tracing::debug!(path = shown, "no file to remove after a failed publication");
                }
            }
            Err(error) => tracing::warn!(%segment, first, %error, "a failed publication is left for the next start"),
        }
    }

    fn is_published(&self, segment: SegmentId, first: u64) -> bool {
        self.store.parquet_file_at(segment, Offset::new(first)).map_or(true, |found| found.is_some())
    }

    /// Makes the folders and a new file in the last one. Names of new folders are durable on return.
    fn create(&self, path: &Path) -> Result<Arc<dyn crate::env::File>, Error> {
        let disk = &self.store.env().disk;
        let folder = path.parent().unwrap_or(path);
        disk.create_dir_all(folder).map_err(Error::disk("create", folder))?;
        for above in folder.ancestors().skip(1) {
            disk.sync_dir(above).map_err(Error::disk("sync", above))?;
            if above == self.store.folder() {
                break;
            }
        }
        disk.open(path, OpenMode::CreateNew).map_err(Error::disk("create", path))
    }

    /// Never used before.
    pub(super) fn new_id(&self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes(self.store.env().rng.next_u128().to_be_bytes()).into_uuid()
    }

    pub(super) fn sync_folder(&self, path: &Path) -> Result<(), Error> {
        let folder = path.parent().unwrap_or(path);
        self.store.env().disk.sync_dir(folder).map_err(Error::disk("sync", folder))
    }

    /// For what takes long. Never with a lock that others wait for: these threads may be kept waiting themselves.
    async fn in_background<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        self.store.env().executor.run_background_for(work).await.map_err(|_| Error::Stopped)
    }

    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        self.store.env().executor.run_for(work).await.map_err(|_| Error::Stopped)
    }
}

/// Where the next round begins.
fn end_of(round: &[Fetched]) -> u64 {
    round.last().map_or(u64::MAX, Fetched::end)
}

fn encode(segment: SegmentId, schema: &Schema, mut writer: Writer, round: Vec<Fetched>) -> Result<Writer, Error> {
    for Fetched { offset, extent, data } in round {
        let block = extent.block.unwrap_or_default();
        let rows = decode(schema, &block.columns, block.rows, data);
        let rows = rows.map_err(|source| Error::Decode { segment, offset, source })?;
        writer.write(&rows, offset, extent.commit_seq, extent.commit_ms)?;
    }
    Ok(writer)
}
