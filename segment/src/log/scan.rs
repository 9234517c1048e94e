//! Finding files and frames on the disk, without judging what is missing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::error::{Damage, OpenError};
use super::frame::{BadFileHeader, FRAME_HEADER_BYTES, FRAME_MAGIC, FileHeader, FrameHeader, PAGE, TABLE_ENTRY_BYTES};
use super::{Lsn, file_path};
use crate::env::{Disk, File, OpenMode};

const STRIDE_BYTES: u64 = 1 << 20;

/// A file of the log as it lies on the disk.
#[derive(Debug, Clone)]
pub(super) struct FoundFile {
    pub number: u64,
    pub path: PathBuf,
    pub bytes: u64,
    /// `None`: unreadable.
    pub header: Option<FileHeader>,
    /// One of the header's two copies is damaged.
    pub half_header: bool,
}

/// All files of the log, by number. Other names in the directory are left alone.
pub(super) fn find_files(disk: &dyn Disk, dir: &Path) -> Result<Vec<FoundFile>, OpenError> {
    let mut found = Vec::new();
    for entry in disk.list(dir).map_err(OpenError::io("list", dir))? {
        let Some(number) = file_number(&entry.name) else { continue };
        let path = file_path(dir, number);
        let file = match disk.open(&path, OpenMode::Read) {
            // Removed since the listing, by the log's writer: as if it had gone before.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened.map_err(OpenError::io("open", &path))?,
        };
        // Asked after the listing: a file that was followed by another then is complete now, also under a running writer.
        let bytes = file.length().map_err(OpenError::io("read", &path))?;
        let mut page = vec![0; bytes.min(PAGE) as usize];
        file.read_exact_at(0, &mut page).map_err(OpenError::io("read", &path))?;
        let (header, half_header) = match FileHeader::decode(&page, number) {
            Ok((header, agree)) => (Some(header), !agree),
            Err(BadFileHeader::Newer(version)) => return Err(OpenError::NewerFormat { file: path, version }),
            Err(BadFileHeader::Unreadable) => (None, false),
        };
        found.push(FoundFile { number, path, bytes, header, half_header });
    }
    Ok(found)
}

fn file_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if all_digits { digits.parse().ok() } else { None }
}

impl FoundFile {
    pub fn open(&self, disk: &dyn Disk) -> Result<FrameFile<'_>, OpenError> {
        let file = disk.open(&self.path, OpenMode::Read).map_err(OpenError::io("open", &self.path))?;
        Ok(FrameFile { found: self, file })
    }

    pub fn damage(&self, position: u64, lsn: Option<Lsn>, message: impl Into<String>) -> Damage {
        Damage { file: self.path.clone(), position, lsn, message: message.into() }
    }
}

/// An open file, to look for frames.
pub(super) struct FrameFile<'a> {
    pub found: &'a FoundFile,
    file: Arc<dyn File>,
}

/// A block that is not as it was written.
pub(super) struct BadBlock {
    /// Where it begins in the file.
    pub position: u64,
    pub message: String,
    /// Set when the disk failed to read it.
    pub error: Option<io::Error>,
}

impl FrameFile<'_> {
    fn read(&self, position: u64, length: u64) -> Result<Vec<u8>, OpenError> {
        let left = self.found.bytes.saturating_sub(position);
        if left == 0 {
            return Ok(Vec::new());
        }
        let mut bytes = vec![0; length.min(left) as usize];
        self.file.read_exact_at(position, &mut bytes).map_err(OpenError::io("read", &self.found.path))?;
        Ok(bytes)
    }

    /// The frame whose header lies at `position`, if one does and the file is long enough for it.
    pub fn frame_at(&self, position: u64) -> Result<Option<FrameHeader>, OpenError> {
        let mut start = self.read(position, PAGE)?;
        let Some(entries) = FrameHeader::table_entries(&start) else { return Ok(None) };
        let header_bytes = FRAME_HEADER_BYTES as u64 + (entries * TABLE_ENTRY_BYTES) as u64;
        if position + header_bytes > self.found.bytes {
            return Ok(None);
        }
        if header_bytes > PAGE {
            start = self.read(position, header_bytes)?;
        }
        Ok(FrameHeader::decode(&start).filter(|header| {
            let ours = self.found.header.is_none_or(|file| file.salt == header.salt);
            ours && header.position == position && header.total_bytes <= self.found.bytes - position
        }))
    }

    /// The first frame whose header lies at `from` or later. A few frames in a sound file, or any bytes, may lie between.
    pub fn next_frame(&self, from: u64) -> Result<Option<FrameHeader>, OpenError> {
        // Most often it is right here, and a page is enough.
        if let Some(header) = self.frame_at(from)? {
            return Ok(Some(header));
        }
        let mut at = from;
        while at < self.found.bytes {
            let stride = self.read(at, STRIDE_BYTES)?;
            for (page, start) in stride.chunks(PAGE as usize).enumerate() {
                if start.starts_with(&FRAME_MAGIC)
                    && let Some(header) = self.frame_at(at + page as u64 * PAGE)?
                {
                    return Ok(Some(header));
                }
            }
            at += STRIDE_BYTES;
        }
        Ok(None)
    }

    /// The greatest `durable_lsn` of any frame at `from` or later.
    pub fn max_durable(&self, from: u64) -> Result<Lsn, OpenError> {
        let mut greatest = Lsn(0);
        let mut at = from;
        while let Some(header) = self.next_frame(at)? {
            greatest = greatest.max(header.durable_lsn);
            at = header.position + header.total_bytes;
        }
        Ok(greatest)
    }

    /// The facts of a frame; `None` when they are damaged.
    pub fn facts(&self, frame: &FrameHeader) -> Result<Option<Bytes>, OpenError> {
        let facts = self.read(frame.position + frame.layout().facts, u64::from(frame.facts_bytes))?;
        Ok((crc32c::crc32c(&facts) == frame.facts_crc).then(|| facts.into()))
    }

    /// Reads every block of a frame and gives those that are bad.
    pub fn bad_blocks(&self, frame: &FrameHeader, buffer: &mut Vec<u8>) -> Vec<BadBlock> {
        let mut bad = Vec::new();
        for (index, (entry, at)) in frame.table.iter().zip(frame.layout().blocks).enumerate() {
            let position = frame.position + at;
            buffer.resize(entry.length as usize, 0);
            match self.file.read_exact_at(position, buffer) {
                Ok(()) if crc32c::crc32c(buffer) == entry.crc32c => {}
                Ok(()) => {
                    let message = format!("block {index} of the frame is damaged");
                    bad.push(BadBlock { position, message, error: None });
                }
                Err(error) => {
                    let message = format!("block {index} of the frame can't be read: {error}");
                    bad.push(BadBlock { position, message, error: Some(error) });
                }
            }
        }
        bad
    }
}

/// The last frame that anything from `position` in `files[0]` on proves durable: the frames there, and the headers of the
/// files after it.
pub(super) fn proven_after(disk: &dyn Disk, files: &[FoundFile], position: u64) -> Result<Lsn, OpenError> {
    let mut proven = Lsn(0);
    for (index, found) in files.iter().enumerate() {
        let from = if index == 0 { position.max(PAGE) } else { PAGE };
        if index > 0
            && let Some(header) = found.header
        {
            proven = proven.max(Lsn(header.first_lsn.0.saturating_sub(1)));
        }
        proven = proven.max(found.open(disk)?.max_durable(from)?);
    }
    Ok(proven)
}
