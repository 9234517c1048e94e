//! Writing past the system's page cache.
//!
//! The cache costs a log a second copy of every byte and a slow writeback: a frame that is written once, in whole pages, and
//! synced soon goes to the device with less (docs/decisions/0006).

use std::fs;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::disk::{File, OpenMode, memory};
use super::os_disk::OsFile;

/// What devices and file systems ask of place, length and memory of a write.
const ALIGN: usize = 4096;
/// Shorter reads leave the pages around them in the cache for the next.
const READ_BYTES_MIN: usize = 64 << 10;
/// Most bytes of one call to the kernel.
const CHUNK_BYTES: usize = 4 << 20;

/// A file whose writes of whole pages go to the device at once; all else goes through the cache. Both show the same content.
#[derive(Debug)]
pub(super) struct DirectFile {
    direct: fs::File,
    cached: OsFile,
    /// Nobody else writes: the lock is never waited for.
    buffer: Mutex<Aligned>,
    /// The file system opened the file and refuses to write it so.
    refused: AtomicBool,
}

impl DirectFile {
    /// A file that is open for writing; `cached` itself where the file system has no such writes.
    pub(super) fn open(path: &Path, mode: OpenMode, cached: OsFile) -> io::Result<Arc<dyn File>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(mode != OpenMode::Read).custom_flags(OFlags::DIRECT.bits().cast_signed());
        let direct = match options.open(path) {
            Ok(direct) => direct,
            Err(error) if is_refusal(&error) => return Ok(Arc::new(cached)),
            Err(error) => return Err(error),
        };
        Ok(Arc::new(Self { direct, cached, buffer: Mutex::default(), refused: AtomicBool::new(false) }))
    }

    /// Writes as much as is possible directly; returns how much that was.
    fn write_direct(&self, position: u64, parts: &[&[u8]]) -> io::Result<u64> {
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut parts = Parts::new(parts);
        let mut at = position;
        loop {
            let mut chunk = buffer.fill(&mut parts);
            if chunk.is_empty() {
                return Ok(at - position);
            }
            while !chunk.is_empty() {
                let written = match self.direct.write_at(chunk, at) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => written,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) if is_refusal(&error) => {
                        self.refused.store(true, Ordering::Relaxed);
                        return Ok(at - position);
                    }
                    Err(error) => return Err(error),
                };
                at += written as u64;
                chunk = &chunk[written..];
                if !written.is_multiple_of(ALIGN) {
                    return Ok(at - position);
                }
            }
        }
    }

    /// Nothing when the file ends before or the file system refuses.
    fn read_direct(&self, position: u64, length: usize) -> io::Result<Option<Bytes>> {
        let before = (position % ALIGN as u64) as usize;
        let pages = (before + length).next_multiple_of(ALIGN);
        let mut memory = memory(pages + ALIGN);
        let begin = memory.as_ptr().align_offset(ALIGN);
        let mut filled = 0;
        while filled < before + length {
            let part = &mut memory[begin + filled..begin + pages];
            match self.direct.read_at(part, position - before as u64 + filled as u64) {
                Ok(0) => return Ok(None),
                Ok(read) if read.is_multiple_of(ALIGN) || filled + read >= before + length => filled += read,
                Ok(_) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_refusal(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(Bytes::from(memory).slice(begin + before..begin + before + length)))
    }
}

impl File for DirectFile {
    fn write_vectored_at(&self, position: u64, parts: &[&[u8]]) -> io::Result<()> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let pages = position.is_multiple_of(ALIGN as u64) && total.is_multiple_of(ALIGN);
        let done = if pages && !self.refused.load(Ordering::Relaxed) { self.write_direct(position, parts)? } else { 0 };
        let mut rest = Parts::new(parts);
        rest.skip(done as usize);
        self.cached.write_vectored_at(position + done, &rest.left())
    }

    fn read_exact_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.cached.read_exact_at(position, buffer)
    }

    fn read(&self, position: u64, length: usize) -> io::Result<Bytes> {
        let direct = length >= READ_BYTES_MIN && !self.refused.load(Ordering::Relaxed);
        let read = if direct { self.read_direct(position, length)? } else { None };
        read.map_or_else(|| self.cached.read(position, length), Ok)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.cached.sync_data()
    }

    fn reserve(&self, position: u64, bytes: u64) {
        self.cached.reserve(position, bytes);
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.cached.truncate(length)
    }

    fn length(&self) -> io::Result<u64> {
        self.cached.length()
    }
}

fn is_refusal(error: &io::Error) -> bool {
    [Errno::INVAL, Errno::OPNOTSUPP].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Memory that begins on a page.
#[derive(Debug, Default)]
struct Aligned {
    /// [`CHUNK_BYTES`] and what aligning takes; empty until the first write.
    memory: Vec<u8>,
}

impl Aligned {
    /// Takes the next bytes of the parts, as many as fit.
    fn fill(&mut self, parts: &mut Parts<'_>) -> &[u8] {
        if self.memory.is_empty() {
            self.memory = vec![0; CHUNK_BYTES + ALIGN];
        }
        let begin = self.memory.as_ptr().align_offset(ALIGN);
        let mut filled = begin;
        while filled < begin + CHUNK_BYTES {
            let piece = parts.take(begin + CHUNK_BYTES - filled);
            if piece.is_empty() {
                break;
            }
            self.memory[filled..filled + piece.len()].copy_from_slice(piece);
            filled += piece.len();
        }
        &self.memory[begin..filled]
    }
}

/// Bytes that lie in several places, taken from the front.
struct Parts<'a> {
    first: &'a [u8],
    others: std::slice::Iter<'a, &'a [u8]>,
}

impl<'a> Parts<'a> {
    fn new(parts: &'a [&'a [u8]]) -> Self {
        Self { first: &[], others: parts.iter() }
    }

    /// Up to `bytes_max` bytes; none at the end.
    fn take(&mut self, bytes_max: usize) -> &'a [u8] {
        while self.first.is_empty() {
            let Some(next) = self.others.next() else { return &[] };
            self.first = next;
        }
        let (piece, rest) = self.first.split_at(bytes_max.min(self.first.len()));
        self.first = rest;
        piece
    }

    fn skip(&mut self, mut bytes: usize) {
        while bytes > 0 {
            let skipped = self.take(bytes).len();
            bytes -= skipped;
            if skipped == 0 {
                return;
            }
        }
    }

    fn left(self) -> Vec<&'a [u8]> {
        std::iter::once(self.first).chain(self.others.copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Disk as _, OpenMode, OsDisk};

    /// Parts of odd lengths that make whole pages together, larger than one call takes, between writes that are no pages.
    #[test]
    fn pages_and_other_writes_show_one_content() {
        // Not the system's folder for temporary files: that may lie in memory, where nothing is written directly.
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = dir.path().join("file");
        let file = OsDisk.open_direct(&path, OpenMode::CreateNew).unwrap();
        let mut want = Vec::new();
        let mut write = |parts: &[Vec<u8>]| {
            let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            file.write_vectored_at(want.len() as u64, &slices).unwrap();
            want.extend(parts.concat());
        };
        let odd = |bytes: usize| {
            let mut parts: Vec<Vec<u8>> = (0..bytes / 70_001).map(|n| vec![n as u8 + 1; 70_001]).collect();
            parts.push(vec![255; bytes % 70_001]);
            parts
        };
        write(&odd(4096));
        write(&odd(3 * super::CHUNK_BYTES + 8192));
        write(&odd(5));
        write(&odd(4091));
        write(&odd(super::CHUNK_BYTES));
        file.sync_data().unwrap();
        assert!(std::fs::read(&path).unwrap() == want);
        for (from, end) in
            [(4000, 9000), (0, 65_536), (4095, 300_001), (100_000, want.len() - 4096), (70_000, want.len())]
        {
            assert!(file.read(from as u64, end - from).unwrap() == want[from..end], "{from}..{end}");
        }
        let beyond = file.read(want.len() as u64 - 100_000, 100_001).unwrap_err();
        assert_eq!(beyond.kind(), std::io::ErrorKind::UnexpectedEof);
        drop(file);
        let again = OsDisk.open_direct(&path, OpenMode::Write).unwrap();
        assert_eq!(again.length().unwrap(), want.len() as u64);
        again.truncate(4096).unwrap();
        again.write_all_at(4096, &[7; 4096]).unwrap();
        assert!(std::fs::read(&path).unwrap() == [&want[..4096], &[7; 4096]].concat());
    }
}
