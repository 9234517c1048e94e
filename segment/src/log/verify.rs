use std::io;
use std::path::Path;

use super::error::{Damage, OpenError};
use super::frame::{FrameHeader, PAGE};
use super::recover::Cut;
use super::scan::{FoundFile, FrameFile, find_files, proven_after};
use super::{Lsn, file_path};
use crate::env::Disk;

/// How far [`verify`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// File at hand.
    pub file: u64,
    /// Bytes read, over all files.
    pub bytes_done: u64,
    /// Bytes of all files.
    pub bytes_total: u64,
}

/// What [`verify`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Files.
    pub files: u64,
    /// Readable frames.
    pub frames: u64,
    /// Blocks in them, good or bad.
    pub blocks: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// First and last readable frame.
    pub lsns: Option<(Lsn, Lsn)>,
    /// Durable bytes that are damaged. Empty: every checksum agrees.
    pub damage: Vec<Damage>,
    /// What a crash left at the end, or what a running gateway is just writing; harmless, and removed at the next start.
    pub tail: Option<Cut>,
}

/// Reads every header, frame, block and fact of the log in `dir` and changes nothing. Files missing between others are no
/// damage: they were removed when nothing in them was needed any more.
///
/// # Errors
/// When the directory or a file can't be read at all.
pub fn verify(disk: &dyn Disk, dir: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Report, OpenError> {
    let files = find_files(disk, dir)?;
    let bytes = files.iter().map(|file| file.bytes).sum();
    let report = Report { files: files.len() as u64, bytes, ..Report::default() };
    let mut check = Check { disk, dir, files: &files, progress, report, expected: None, done: 0, buffer: Vec::new() };
    for index in 0..files.len() {
        if !check.file(index)? {
            break;
        }
    }
    Ok(check.report)
}

struct Check<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    files: &'a [FoundFile],
    progress: &'a mut dyn FnMut(Progress),
    report: Report,
    /// The next frame, once one was seen.
    expected: Option<Lsn>,
    /// Bytes of the files before.
    done: u64,
    buffer: Vec<u8>,
}

impl Check<'_> {
    /// Whether the log goes on after this file.
    fn file(&mut self, index: usize) -> Result<bool, OpenError> {
        let found = &self.files[index];
        match found.header {
            None => {
                if !self.durable(index, 0, self.expected.unwrap_or(Lsn(1)))? {
                    self.tail(index, 0);
                    return Ok(false);
                }
                self.damage(found, 0, None, "the file's header is damaged");
            }
            Some(header) => {
                if found.half_header && self.durable(index, 0, header.first_lsn)? {
                    self.damage(found, 0, None, "one copy of the file's header is damaged");
                }
                let follows = index > 0 && self.files[index - 1].number + 1 == found.number;
                if follows && self.expected.is_some_and(|expected| expected != header.first_lsn) {
                    let message = format!("the file begins with frame {}", header.first_lsn);
                    self.damage(found, 0, self.expected, &message);
                }
                self.expected = Some(header.first_lsn);
            }
        }
        let whole = self.frames(index)?;
        self.done += found.bytes;
        Ok(whole)
    }

    fn frames(&mut self, index: usize) -> Result<bool, OpenError> {
        let found = &self.files[index];
        let file = match found.open(self.disk) {
            // Removed meanwhile, because nothing in it is needed any more.
            Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                self.expected = None;
                return Ok(true);
            }
            opened => opened?,
        };
        let mut position = PAGE;
        while position < found.bytes {
            let expected = self.expected;
            let right = |frame: &FrameHeader| expected.is_none_or(|lsn| lsn == frame.lsn);
            if let Some(frame) = file.frame_at(position)?.filter(right) {
                if !self.frame(index, &file, &frame)? {
                    return Ok(false);
                }
                position += frame.total_bytes;
            } else {
                if !self.durable(index, position, expected.unwrap_or(Lsn(1)))? {
                    self.tail(index, position);
                    return Ok(false);
                }
                self.damage(found, position, expected, "the frame is missing or its header is damaged");
                let Some(next) = file.next_frame(position)? else {
                    self.expected = None;
                    break;
                };
                self.expected = Some(next.lsn);
                position = next.position;
            }
            (self.progress)(Progress {
                file: found.number,
                bytes_done: self.done + position,
                bytes_total: self.report.bytes,
            });
        }
        Ok(true)
    }

    /// Whether the log goes on after this frame.
    fn frame(&mut self, index: usize, file: &FrameFile<'_>, frame: &FrameHeader) -> Result<bool, OpenError> {
        let mut problems = Vec::new();
        if file.facts(frame)?.is_none() {
            problems.push((frame.position, "the frame's facts are damaged".to_owned()));
        }
        let bad = file.bad_blocks(frame, &mut self.buffer);
        problems.extend(bad.into_iter().map(|block| (block.position, block.message)));
        if !problems.is_empty() && !self.durable(index, frame.position, frame.lsn)? {
            self.tail(index, frame.position);
            return Ok(false);
        }
        for (position, message) in problems {
            self.damage(file.found, position, Some(frame.lsn), &message);
        }
        self.report.frames += 1;
        self.report.blocks += frame.table.len() as u64;
        let first = self.report.lsns.map_or(frame.lsn, |(first, _)| first);
        self.report.lsns = Some((first, frame.lsn));
        self.expected = Some(frame.lsn.next());
        Ok(true)
    }

    fn durable(&self, index: usize, position: u64, lsn: Lsn) -> Result<bool, OpenError> {
        Ok(proven_after(self.disk, &self.files[index..], position)? >= lsn)
    }

    fn tail(&mut self, index: usize, position: u64) {
        let bytes = self.files[index..].iter().map(|file| file.bytes).sum::<u64>() - position;
        let file = file_path(self.dir, self.files[index].number);
        self.report.tail = Some(Cut { file, position, bytes });
    }

    fn damage(&mut self, found: &FoundFile, position: u64, lsn: Option<Lsn>, message: &str) {
        self.report.damage.push(found.damage(position, lsn, message));
    }
}
