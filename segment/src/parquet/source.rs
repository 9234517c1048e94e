//! The bytes of one file, each checked against its checksum before a decoder sees it.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};

use sluice_schema::ids::SegmentNumber;
use sluice_schema::names::StreamName;

use super::checksum::{REGION_BYTES, Regions};
use crate::env::File;

/// Names a file in messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLabel {
    /// Its path.
    pub path: String,
    /// The stream.
    pub stream: StreamName,
    /// The segment.
    pub segment: SegmentNumber,
}

impl fmt::Display for FileLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parquet file {} of {} segment {}", self.path, self.stream, self.segment)
    }
}

/// Why bytes could not be had, kept aside from the Parquet library's errors, which lose the kind.
#[derive(Debug)]
pub(super) enum Fault {
    Io(io::Error),
    Damaged(String),
}

/// A file whose page index and footer (`tail`) are in memory and checked, and whose row groups are checked region by region as they are read.
#[derive(Clone)]
pub(super) struct CheckedSource {
    file: Arc<dyn File>,
    bytes: u64,
    tail: Bytes,
    regions: Arc<Regions>,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl CheckedSource {
    /// `regions` may be empty until the footer, which holds them, is parsed.
    pub(super) fn new(file: Arc<dyn File>, bytes: u64, tail: Bytes, regions: Regions) -> Self {
        Self { file, bytes, tail, regions: Arc::new(regions), fault: Arc::default() }
    }

    /// The same file with the checksums of its row groups.
    pub(super) fn with_regions(self, regions: Regions) -> Self {
        Self { regions: Arc::new(regions), ..self }
    }

    /// Where the row groups end and page index and footer begin.
    pub(super) fn body_end(&self) -> u64 {
        self.bytes - self.tail.len() as u64
    }

    /// What the last failed read met, once.
    pub(super) fn take_fault(&self) -> Option<Fault> {
        self.fault.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }

    fn read(&self, start: u64, length: usize) -> Result<Bytes, Fault> {
        let outside =
            || Fault::Damaged(format!("it points to {length} bytes at {start}, beyond its {} bytes", self.bytes));
        let end = start.checked_add(length as u64).filter(|end| *end <= self.bytes).ok_or_else(outside)?;
        if start >= self.body_end() {
            let from = (start - self.body_end()) as usize;
            return Ok(self.tail.slice(from..from + length));
        }
        if end > self.body_end() {
            return Err(Fault::Damaged(format!("it points to {length} bytes at {start}, across the end of its rows")));
        }
        self.read_regions(start, length)
    }

    /// Whole regions are read, so at most two regions more than asked for.
    fn read_regions(&self, start: u64, length: usize) -> Result<Bytes, Fault> {
        let region_bytes = REGION_BYTES as u64;
        let first = start / region_bytes;
        let from = first * region_bytes;
        let until = (start + length as u64).next_multiple_of(region_bytes).min(self.body_end());
        let data = self.file.read(from, (until - from) as usize).map_err(Fault::Io)?;
        for (index, region) in data.chunks(REGION_BYTES).enumerate() {
            if !self.regions.matches(first as usize + index, region) {
                let at = from + (index * REGION_BYTES) as u64;
                return Err(Fault::Damaged(format!("the checksum of the {} bytes at byte {at} differs", region.len())));
            }
        }
        let skip = (start - from) as usize;
        Ok(data.slice(skip..skip + length))
    }
}

impl Length for CheckedSource {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for CheckedSource {
    type T = bytes::buf::Reader<Bytes>;

    /// At most one region: only page headers are read this way.
    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        let limit = if start < self.body_end() { self.body_end() } else { self.bytes };
        let length = limit.saturating_sub(start).min(REGION_BYTES as u64) as usize;
        Ok(self.get_bytes(start, length)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        self.read(start, length).map_err(|fault| {
            let text = match &fault {
                Fault::Io(error) => error.to_string(),
                Fault::Damaged(why) => why.clone(),
            };
            *self.fault.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(fault);
            ParquetError::General(text)
        })
    }
}
