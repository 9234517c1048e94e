//! Reads one published file.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, SchemaRef, TimestampMillisecondType};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use super::batches::RawBatches;
use super::checksum::Regions;
use super::columns::{difference, file_schema, metadata};
use super::error::ReadError;
use super::source::{CheckedSource, Fault, FileLabel};
use super::writer::WrittenFile;
use crate::env::File;

/// Page index and footer together are never larger; a ledger row that says so is damaged.
const FOOTER_BYTES_MAX: u64 = 64 << 20;
/// `PAR1` at the start.
const MAGIC_BYTES: u64 = 4;

/// What the ledger says of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedFile {
    /// Names the file in messages.
    pub label: FileLabel,
    /// The stream's columns as Arrow, without system columns.
    pub stream_schema: SchemaRef,
    /// What was written, from the ledger's row.
    pub written: WrittenFile,
}

/// How large batches get. A batch ends at whichever comes first; a single row above `bytes_max` comes alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSizes {
    /// Rows, at least 1.
    pub rows_max: usize,
    /// Bytes of the rows in memory.
    pub bytes_max: usize,
}

impl Default for BatchSizes {
    fn default() -> Self {
        Self { rows_max: 16_384, bytes_max: 1 << 20 }
    }
}

/// Consecutive rows of a file.
#[derive(Debug, Clone)]
pub struct ReadBatch {
    /// Offset of the first row; rows are dense.
    pub base_offset: u64,
    /// Greatest commit in the batch.
    pub commit_seq: u64,
    /// Its time. Milliseconds since 1970-01-01.
    pub commit_ms: u64,
    /// The columns asked for, in the stream's order, without system columns.
    pub rows: RecordBatch,
}

impl std::fmt::Debug for SegmentFileReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentFileReader").field("expected", &self.inner.expected).finish_non_exhaustive()
    }
}

/// An open file. Cheap to clone; holds page index and footer in memory, nothing else. Blocking and CPU-bound: use it on a blocking thread.
#[derive(Clone)]
pub struct SegmentFileReader {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) expected: ExpectedFile,
    pub(super) source: CheckedSource,
    pub(super) metadata: ArrowReaderMetadata,
    /// First offset of each row group, then the file's end.
    pub(super) group_offsets: Vec<u64>,
}

impl SegmentFileReader {
    /// Opens a file and checks length, checksum and content of its footer against the ledger. Rows are checked as they are read.
    pub fn open(file: Arc<dyn File>, expected: ExpectedFile) -> Result<Self, ReadError> {
        let written = &expected.written;
        let damaged = |why: String| damaged(&expected, written.first_offset, why);
        let length = file.length().map_err(|source| ReadError::Io { label: expected.label.clone(), source })?;
        if length != written.bytes {
            return Err(damaged(format!("it has {length} bytes where {} were published", written.bytes)));
        }
        if written.footer_bytes > FOOTER_BYTES_MAX || written.footer_bytes.saturating_add(MAGIC_BYTES) > length {
            return Err(damaged(format!("the ledger says its footer has {} bytes", written.footer_bytes)));
        }
        let mut tail = vec![0; written.footer_bytes as usize];
        let read = file.read_exact_at(length - written.footer_bytes, &mut tail);
        read.map_err(|source| ReadError::Io { label: expected.label.clone(), source })?;
        if crc32c::crc32c(&tail) != written.footer_crc32c {
            return Err(damaged("the checksum of its footer differs".into()));
        }
        let source = CheckedSource::new(file, length, Bytes::from(tail), Regions::default());
        let metadata =
            ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required).parse_and_finish(&source);
        let metadata = metadata.map_err(|error| damaged(format!("its footer cannot be read: {error}")))?;
        let regions = check_metadata(&metadata, &expected, source.body_end()).map_err(&damaged)?;
        let group_offsets = group_offsets(&metadata, written).map_err(&damaged)?;
        let metadata = ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new());
        let metadata = metadata.map_err(|error| damaged(format!("its schema cannot be read: {error}")))?;
        if let Some(why) = difference(&file_schema(&expected.stream_schema), metadata.schema()) {
            return Err(damaged(format!("it is unlike the stream's schema: {why}")));
        }
        let source = source.with_regions(regions);
        Ok(Self { inner: Arc::new(Inner { expected, source, metadata, group_offsets }) })
    }

    /// What the ledger says of it.
    pub fn expected(&self) -> &ExpectedFile {
        &self.inner.expected
    }

    /// The rows of `offsets`, which must lie inside the file. `columns`: indices of the stream's columns, ascending; none: all.
    /// Pages outside the range or of other columns are not read; memory holds one page per column and one batch. After an error the iterator ends.
    pub fn read(
        &self,
        offsets: Range<u64>,
        columns: Option<&[usize]>,
        sizes: BatchSizes,
    ) -> Result<ReadBatches, ReadError> {
        let written = &self.inner.expected.written;
        let out_of_range = |why: String| ReadError::OutOfRange { label: self.inner.expected.label.clone(), why };
        if offsets.start > offsets.end || offsets.start < written.first_offset || offsets.end > written.end_offset {
            let (first, end) = (written.first_offset, written.end_offset);
            return Err(out_of_range(format!(
                "offsets {}..{} were asked for, it holds {first}..{end}",
                offsets.start, offsets.end
            )));
        }
        let stream_columns = self.inner.expected.stream_schema.fields().len();
        let columns = match columns {
            None => (0..stream_columns).collect(),
            Some(columns)
                if columns.is_sorted_by(|a, b| a < b) && columns.last().is_none_or(|last| *last < stream_columns) =>
            {
                columns.to_vec()
            }
            Some(columns) => {
                return Err(out_of_range(format!(
                    "columns {columns:?} were asked for, not ascending below {stream_columns}"
                )));
            }
        };
        let kept = (0..columns.len()).collect();
        let mut roots = columns;
        // `_segment` is the same in every row; the others place and date a batch.
        roots.extend([stream_columns, stream_columns + 2, stream_columns + 3]);
        Ok(ReadBatches { raw: RawBatches::new(self.inner.clone(), offsets, roots, sizes), kept })
    }

    /// The first offset whose commit is at or after a time, in milliseconds since 1970-01-01; the file's end if there is none.
    /// Reads no column of the stream.
    pub fn offset_at_time(&self, time_ms: u64) -> Result<u64, ReadError> {
        let (written, system) = (&self.inner.expected.written, self.inner.expected.stream_schema.fields().len());
        let offsets = written.first_offset..written.end_offset;
        for batch in RawBatches::new(self.inner.clone(), offsets, vec![system, system + 3], BatchSizes::default()) {
            let (base_offset, batch) = batch?;
            let times = batch.column(1).as_primitive::<TimestampMillisecondType>().values();
            if let Some(row) = times.iter().position(|time| *time as u64 >= time_ms) {
                return Ok(base_offset + row as u64);
            }
        }
        Ok(written.end_offset)
    }
}

/// Batches of one read, ascending.
pub struct ReadBatches {
    raw: RawBatches,
    /// Positions of the columns asked for; the system columns follow them.
    kept: Vec<usize>,
}

impl Iterator for ReadBatches {
    type Item = Result<ReadBatch, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (base_offset, batch) = match self.raw.next()? {
            Ok(raw) => raw,
            Err(error) => return Some(Err(error)),
        };
        let (system, last) = (self.kept.len(), batch.num_rows() - 1);
        let commit_seq = batch.column(system + 1).as_primitive::<Int64Type>().value(last) as u64;
        let commit_ms = batch.column(system + 2).as_primitive::<TimestampMillisecondType>().value(last) as u64;
        let rows = batch.project(&self.kept).expect("the columns were read");
        Some(Ok(ReadBatch { base_offset, commit_seq, commit_ms, rows }))
    }
}

pub(super) fn damaged(expected: &ExpectedFile, offset: u64, why: String) -> ReadError {
    ReadError::Damaged { label: expected.label.clone(), offset, why }
}

impl Inner {
    /// What a failed read of the rows from `offset` on was.
    pub(super) fn read_error(&self, offset: u64, error: &impl ToString) -> ReadError {
        match self.source.take_fault() {
            Some(Fault::Io(source)) => ReadError::Io { label: self.expected.label.clone(), source },
            Some(Fault::Damaged(why)) => damaged(&self.expected, offset, why),
            None => damaged(&self.expected, offset, error.to_string()),
        }
    }
}

/// Compares the footer with the ledger; returns the checksums of the row groups.
fn check_metadata(parquet: &ParquetMetaData, expected: &ExpectedFile, body_end: u64) -> Result<Regions, String> {
    let entries = parquet.file_metadata().key_value_metadata().map(Vec::as_slice).unwrap_or_default();
    let value = |key: &str| {
        entries.iter().find(|entry| entry.key == key).and_then(|entry| entry.value.as_deref()).unwrap_or("nothing")
    };
    let written = &expected.written;
    for (key, wanted) in [
        (metadata::STREAM, expected.label.stream.to_string()),
        (metadata::SEGMENT, expected.label.segment.get().to_string()),
        (metadata::FIRST_OFFSET, written.first_offset.to_string()),
        (metadata::END_OFFSET, written.end_offset.to_string()),
        (metadata::FIRST_COMMIT_SEQ, written.first_commit_seq.to_string()),
        (metadata::LAST_COMMIT_SEQ, written.last_commit_seq.to_string()),
        (metadata::SCHEMA_ID, written.schema_id.to_string()),
    ] {
        if value(key) != wanted {
            return Err(format!("its {key} is {} where the ledger says {wanted}", value(key)));
        }
    }
    let regions = Regions::decode(value(metadata::CHECKSUMS)).filter(|regions| regions.covers(body_end));
    regions.ok_or_else(|| format!("its {} do not cover its rows", metadata::CHECKSUMS))
}

fn group_offsets(parquet: &ParquetMetaData, written: &WrittenFile) -> Result<Vec<u64>, String> {
    let mut offsets = vec![written.first_offset];
    let mut next = written.first_offset;
    for group in parquet.row_groups() {
        next = next.saturating_add_signed(group.num_rows().max(0));
        offsets.push(next);
    }
    let said = parquet.file_metadata().num_rows();
    if next != written.end_offset
        || said != written.rows as i64
        || written.end_offset - written.first_offset != written.rows
    {
        return Err(format!(
            "it holds {said} rows, {} in its row groups, where the ledger says {}",
            next - written.first_offset,
            written.rows
        ));
    }
    Ok(offsets)
}
