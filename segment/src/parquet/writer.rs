//! Writes one file.

use std::io::{self, Write};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterPropertiesBuilder;
use sluice_schema::ids::SegmentNumber;
use sluice_schema::names::StreamName;

use super::checksum::SummingWriter;
use super::columns::{SYSTEM_COLUMNS, difference, file_schema, metadata, system_arrays};
use super::error::WriteError;
use super::layout::{properties, without_vain_compression};
use super::size::batch_bytes;

/// Rows of a larger batch are encoded in parts of about this size, so that the row group's size is looked at in between.
const PART_BYTES: usize = 8 << 20;
/// A row group ends at this many times `row_group_bytes` of rows in memory even if they compress to less, so that one row group never
/// decodes to an unbounded size.
const EXPANSION_MAX: usize = 8;

/// How pages are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// LZ4 raw blocks.
    Lz4,
    /// Zstandard of a level from 1 to 22.
    Zstd(u8),
}

/// How a file is laid out. The defaults were chosen by `examples/parquet_speed.rs`.
#[derive(Debug, Clone, PartialEq)]
pub struct WriterOptions {
    /// A row group ends when its encoded pages reach this size. Bounds the writer's memory to about twice this, and what a reader decodes
    /// together. Bytes, at least 1.
    pub row_group_bytes: usize,
    /// A page ends at this size before compression. Bytes, at least 1.
    pub page_bytes: usize,
    /// A page ends at this many rows: what a read that starts in the middle decodes in vain at most. At least 1.
    pub page_rows: usize,
    /// How pages are compressed.
    pub compression: Compression,
    /// Largest dictionary of a text column, in bytes; a column whose values outgrow it goes on without. 0: no dictionaries.
    /// Binary and numeric columns never get one.
    pub dictionary_bytes: usize,
    /// Least and greatest values are kept up to this length. Bytes, at least 1.
    pub statistics_bytes: usize,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            row_group_bytes: 16 << 20,
            page_bytes: 256 << 10,
            page_rows: 20_000,
            compression: Compression::Zstd(1),
            dictionary_bytes: 256 << 10,
            statistics_bytes: 64,
        }
    }
}

/// What a file is going to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// The stream.
    pub stream: StreamName,
    /// The segment.
    pub segment: SegmentNumber,
    /// Offset of the first row.
    pub first_offset: u64,
    /// Id of the stream's schema.
    pub schema_id: u64,
}

/// What a finished file holds: the facts of its ledger row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenFile {
    /// Rows, at least 1.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
    /// Offset of the first row.
    pub first_offset: u64,
    /// First offset after the last row.
    pub end_offset: u64,
    /// Commit of the first row, the least.
    pub first_commit_seq: u64,
    /// Commit of the last row, the greatest.
    pub last_commit_seq: u64,
    /// Commit time of the first row, the least. Milliseconds since 1970-01-01.
    pub first_commit_ms: u64,
    /// Commit time of the last row, the greatest. Milliseconds since 1970-01-01.
    pub last_commit_ms: u64,
    /// Id of the rows' schema.
    pub schema_id: u64,
    /// CRC-32C of the whole file.
    pub crc32c: u32,
    /// Bytes of page index and footer, at the file's end.
    pub footer_bytes: u64,
    /// CRC-32C of these.
    pub footer_crc32c: u32,
}

/// Writes the events of one offset range of one segment into one file. Blocking and CPU-bound: run it on a blocking thread.
///
/// Memory stays below about twice `row_group_bytes` plus one batch. Dropping it midway leaves a worthless file below `out`.
pub struct SegmentFileWriter<W: Write + Send> {
    info: FileInfo,
    segment: i32,
    stream_schema: SchemaRef,
    file_schema: SchemaRef,
    row_group_bytes: usize,
    row_group_fill: usize,
    next_offset: u64,
    commits: Option<Commits>,
    /// Until the first rows come: what is known without them.
    start: Option<(W, WriterPropertiesBuilder)>,
    writer: Option<ArrowWriter<SummingWriter<W>>>,
}

#[derive(Clone, Copy)]
struct Commits {
    first_seq: u64,
    first_ms: u64,
    last_seq: u64,
    last_ms: u64,
}

impl<W: Write + Send> SegmentFileWriter<W> {
    /// Begins a file. `stream_schema`: the stream's columns as Arrow, without system columns.
    pub fn new(out: W, stream_schema: SchemaRef, info: FileInfo, options: &WriterOptions) -> Result<Self, WriteError> {
        let unfit = |why: String| WriteError::Unfit { stream: info.stream.clone(), segment: info.segment, why };
        let segment =
            i32::try_from(info.segment.get()).map_err(|_| unfit("the segment's number exceeds 2147483647".into()))?;
        if let Some(name) = SYSTEM_COLUMNS.iter().find(|name| stream_schema.column_with_name(name).is_some()) {
            return Err(unfit(format!("the stream has a column of the reserved name {name}")));
        }
        let file_schema = file_schema(&stream_schema);
        let encode = |source| encode_error(&info, source);
        let properties = properties(&file_schema, &info, options).map_err(encode)?;
        Ok(Self {
            segment,
            stream_schema,
            file_schema,
            row_group_bytes: options.row_group_bytes.max(1),
            row_group_fill: 0,
            next_offset: info.first_offset,
            commits: None,
            start: Some((out, properties)),
            writer: None,
            info,
        })
    }

    /// Appends the rows of one commit, the first at `base_offset`. All columns of the stream must be there.
    pub fn write(
        &mut self,
        batch: &RecordBatch,
        base_offset: u64,
        commit_seq: u64,
        commit_ms: u64,
    ) -> Result<(), WriteError> {
        self.check(batch, base_offset, commit_seq, commit_ms)?;
        let bytes = batch_bytes(batch).max(1);
        let part_rows =
            (batch.num_rows() as u128 * PART_BYTES as u128 / bytes as u128).clamp(1, batch.num_rows() as u128) as usize;
        for start in (0..batch.num_rows()).step_by(part_rows) {
            let part = batch.slice(start, part_rows.min(batch.num_rows() - start));
            self.write_part(&part, commit_seq, commit_ms)?;
        }
        let commits = Commits { first_seq: commit_seq, first_ms: commit_ms, last_seq: commit_seq, last_ms: commit_ms };
        let commits = self.commits.get_or_insert(commits);
        (commits.last_seq, commits.last_ms) = (commit_seq, commit_ms);
        Ok(())
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.next_offset - self.info.first_offset
    }

    /// Ends the file. On return all its bytes are handed to `out`, which is given back to be synced; nothing is durable yet.
    pub fn finish(mut self) -> Result<(WrittenFile, W), WriteError> {
        let Some(commits) = self.commits else {
            return Err(self.unfit("a file needs at least one row".into()));
        };
        let sums = self.finish_footer(commits);
        let (sums, out) = sums.map_err(|source| encode_error(&self.info, source))?;
        let written = WrittenFile {
            rows: self.rows(),
            bytes: sums.bytes,
            first_offset: self.info.first_offset,
            end_offset: self.next_offset,
            first_commit_seq: commits.first_seq,
            last_commit_seq: commits.last_seq,
            first_commit_ms: commits.first_ms,
            last_commit_ms: commits.last_ms,
            schema_id: self.info.schema_id,
            crc32c: sums.crc32c,
            footer_bytes: sums.tail.bytes,
            footer_crc32c: sums.tail.crc32c,
        };
        Ok((written, out))
    }

    fn finish_footer(&mut self, commits: Commits) -> Result<(super::checksum::Sums, W), ParquetError> {
        let writer = self.writer.as_mut().ok_or_else(not_begun)?;
        writer.flush()?;
        writer.sync()?;
        let regions = writer.inner_mut().end_regions();
        for (key, value) in [
            (metadata::END_OFFSET, self.next_offset.to_string()),
            (metadata::FIRST_COMMIT_SEQ, commits.first_seq.to_string()),
            (metadata::LAST_COMMIT_SEQ, commits.last_seq.to_string()),
            (metadata::CHECKSUMS, regions.encode()),
        ] {
            writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        writer.finish()?;
        writer.inner_mut().take().ok_or_else(|| ParquetError::General("finished twice".into()))
    }

    fn write_part(&mut self, part: &RecordBatch, commit_seq: u64, commit_ms: u64) -> Result<(), WriteError> {
        let rows = part.num_rows();
        let mut columns = part.columns().to_vec();
        let (first, seq, ms) = (self.next_offset as i64, commit_seq as i64, commit_ms as i64);
        columns.extend(system_arrays(first, rows, self.segment, seq, ms));
        let whole = RecordBatch::try_new(self.file_schema.clone(), columns);
        let whole = whole.map_err(|error| self.unfit(error.to_string()))?;
        self.row_group_fill += batch_bytes(&whole);
        let written = self.write_whole(&whole);
        written.map_err(|source| encode_error(&self.info, source))?;
        self.next_offset += rows as u64;
        Ok(())
    }

    fn write_whole(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        if let Some((out, properties)) = self.start.take() {
            let properties = without_vain_compression(properties, rows)?.build();
            let writer = ArrowWriter::try_new(SummingWriter::new(out), self.file_schema.clone(), Some(properties))?;
            self.writer = Some(writer);
        }
        let writer = self.writer.as_mut().ok_or_else(not_begun)?;
        writer.write(rows)?;
        let full = writer.in_progress_size() >= self.row_group_bytes
            || self.row_group_fill >= EXPANSION_MAX * self.row_group_bytes;
        if full {
            writer.flush()?;
            self.row_group_fill = 0;
        }
        Ok(())
    }

    fn check(&self, batch: &RecordBatch, base_offset: u64, commit_seq: u64, commit_ms: u64) -> Result<(), WriteError> {
        let FileInfo { stream, segment, .. } = &self.info;
        if base_offset != self.next_offset {
            let (stream, segment) = (stream.clone(), *segment);
            return Err(WriteError::NotDense { stream, segment, expected: self.next_offset, found: base_offset });
        }
        if batch.num_rows() == 0 {
            return Err(self.unfit(format!("a batch without rows at offset {base_offset}")));
        }
        if let Some(why) = difference(&self.stream_schema, &batch.schema()) {
            return Err(self.unfit(format!("a batch unlike the stream's schema: {why}")));
        }
        let end = base_offset.checked_add(batch.num_rows() as u64);
        for (what, number) in [("offset", end.unwrap_or(u64::MAX)), ("commit", commit_seq), ("commit time", commit_ms)]
        {
            if i64::try_from(number).is_err() {
                return Err(self.unfit(format!("{what} {number} exceeds 9223372036854775807")));
            }
        }
        match self.commits {
            Some(last) if commit_seq < last.last_seq || commit_ms < last.last_ms => Err(WriteError::CommitOrder {
                stream: stream.clone(),
                segment: *segment,
                last_seq: last.last_seq,
                last_ms: last.last_ms,
                found_seq: commit_seq,
                found_ms: commit_ms,
            }),
            _ => Ok(()),
        }
    }

    fn unfit(&self, why: String) -> WriteError {
        WriteError::Unfit { stream: self.info.stream.clone(), segment: self.info.segment, why }
    }
}

/// Also after the beginning failed.
fn not_begun() -> ParquetError {
    ParquetError::General("the file was not begun".into())
}

/// An error of the encoder, or of the file system below it.
fn encode_error(info: &FileInfo, source: ParquetError) -> WriteError {
    let (stream, segment) = (info.stream.clone(), info.segment);
    match source {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(source) => WriteError::Io { stream, segment, source: *source },
            Err(error) => WriteError::Encode { stream, segment, source: ParquetError::External(error) },
        },
        source => WriteError::Encode { stream, segment, source },
    }
}
