use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::error::{BoxError, Damage, OpenError};
use super::frame::{FileHeader, FrameHeader, PAGE};
use super::read::Shared;
use super::scan::{FoundFile, FrameFile, find_files, proven_after};
use super::write::{Current, Known, Log, create};
use super::{LogFile, LogOptions, Lsn, file_path};
use crate::env::{Disk, OpenMode};

const COPY_BYTES: u64 = 1 << 20;

/// A frame found at start.
#[derive(Debug, Clone)]
pub struct RecoveredFrame {
    /// Its number.
    pub lsn: Lsn,
    /// Its facts, as they were appended; empty for a mark.
    pub facts: Bytes,
}

/// Takes a frame that is replayed.
pub type OnFrame<'a> = dyn FnMut(RecoveredFrame) -> Result<(), BoxError> + 'a;

/// What was found at start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Last frame; everything up to it is durable now.
    pub last_lsn: Lsn,
    /// Frames given to the callback.
    pub frames: u64,
    /// What a crash left behind the last frame, now removed.
    pub cut: Option<Cut>,
    /// Damage that does not hinder the start; a person must look.
    pub damage: Vec<Damage>,
    /// Bytes that were written once more because nothing proved them durable.
    pub rewritten_bytes: u64,
}

/// Where the log ends, and what lay beyond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The first file concerned.
    pub file: PathBuf,
    /// Where in it the first bad byte was looked for.
    pub position: u64,
    /// Bytes removed, later files included.
    pub bytes: u64,
}

impl Log {
    /// Opens the log in `dir`, which is made if it does not exist, and gives every frame after `after` to `on_frame`, in
    /// order, its checksums verified. `after` is the last frame that a durable snapshot holds, or 0. Damage is judged as the
    /// module's doc says. On return everything replayed is durable.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] when a durable frame is lost; then nothing was changed on the disk, but frames before it may
    /// have been given to `on_frame`.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: LogOptions,
        after: Lsn,
        on_frame: &mut OnFrame<'_>,
    ) -> Result<(Log, Recovery), OpenError> {
        disk.create_dir_all(dir).map_err(OpenError::io("make", dir))?;
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            disk.sync_dir(parent).map_err(OpenError::io("sync", parent))?;
        }
        let mut files = find_files(&*disk, dir)?;
        if files.is_empty() && after > Lsn(0) {
            let message = format!("no log files, but a snapshot holds frame {after}");
            return Err(OpenError::Damaged(vec![Damage { file: dir.into(), position: 0, lsn: None, message }]));
        }
        let numbers_used = files.last().map_or(0, |file| file.number);
        let mut walk = Walk::new(&*disk, &files, after);
        let end = walk.run(on_frame)?;
        let Walk { expected, mut recovery, unproven, last_filled, .. } = walk;
        recovery.last_lsn = Lsn(expected.0 - 1);
        if let End::Cut { file, position } = end {
            recovery.cut = Some(cut(&*disk, dir, &mut files, file, position)?);
        }
        let last_lsn = recovery.last_lsn;
        let shared = Shared::new(disk, dir.to_owned(), options.open_files_max, log_files(&files, last_lsn));
        let last = files.last().and_then(|last| Some((last, last.header?)));
        let current = match (last, end) {
            (Some(last), End::Whole | End::Cut { .. }) => {
                let (current, rewritten) = resume(&shared, last, unproven.front().copied())?;
                recovery.rewritten_bytes = rewritten;
                current
            }
            _ => begin(&shared, numbers_used + 1, expected, &options)?,
        };
        shared.disk.sync_dir(dir).map_err(OpenError::io("sync", dir))?;
        let proven = unproven.front().map_or(last_lsn, |(lsn, _)| Lsn(lsn.0 - 1));
        let known = Known { written: last_lsn, proven, last_filled };
        Ok((Log::resume(shared, options, current, known), recovery))
    }
}

/// A new file, durable but for its name.
fn begin(shared: &Shared, number: u64, first_lsn: Lsn, options: &LogOptions) -> Result<Current, OpenError> {
    let path = file_path(&shared.dir, number);
    let current = create(shared, number, first_lsn, options.rng.next_u64()).map_err(OpenError::io("make", &path))?;
    current.file.sync_data().map_err(OpenError::io("sync", &path))?;
    Ok(current)
}

/// Opens the last file to go on behind its end, after writing and syncing once more what nothing proves durable.
fn resume(
    shared: &Shared,
    (last, header): (&FoundFile, FileHeader),
    unproven: Option<(Lsn, u64)>,
) -> Result<(Current, u64), OpenError> {
    let file = shared.disk.open_direct(&last.path, OpenMode::Write).map_err(OpenError::io("open", &last.path))?;
    let begin = match unproven {
        // The header is as doubtful as the first frame.
        Some((_, PAGE)) => 0,
        Some((_, position)) => position,
        None if last.bytes == PAGE => 0,
        None => last.bytes,
    };
    let mut at = begin;
    if at == 0 {
        file.write_all_at(0, &header.encode()).map_err(OpenError::io("write", &last.path))?;
        at = PAGE;
    }
    let mut buffer = Vec::new();
    while at < last.bytes {
        buffer.resize(COPY_BYTES.min(last.bytes - at) as usize, 0);
        file.read_exact_at(at, &mut buffer).map_err(OpenError::io("read", &last.path))?;
        file.write_all_at(at, &buffer).map_err(OpenError::io("write", &last.path))?;
        at += buffer.len() as u64;
    }
    file.sync_data().map_err(OpenError::io("sync", &last.path))?;
    let current = Current { file, number: last.number, salt: header.salt, end: last.bytes, reserved: last.bytes };
    Ok((current, last.bytes - begin))
}

/// Removes everything from `position` of `files[index]` on, durably, the last file first: a crash on the way leaves less of
/// the same.
fn cut(disk: &dyn Disk, dir: &Path, files: &mut Vec<FoundFile>, index: usize, position: u64) -> Result<Cut, OpenError> {
    let mut cut = Cut { file: files[index].path.clone(), position, bytes: 0 };
    let keep = if position == 0 { index } else { index + 1 };
    for file in files.drain(keep..).rev() {
        disk.remove(&file.path).map_err(OpenError::io("remove", &file.path))?;
        cut.bytes += file.bytes;
    }
    disk.sync_dir(dir).map_err(OpenError::io("sync", dir))?;
    if position > 0 {
        let last = &mut files[index];
        let file = disk.open(&last.path, OpenMode::Write).map_err(OpenError::io("open", &last.path))?;
        file.truncate(position).map_err(OpenError::io("cut", &last.path))?;
        file.sync_data().map_err(OpenError::io("sync", &last.path))?;
        cut.bytes += last.bytes - position;
        last.bytes = position;
    }
    Ok(cut)
}

fn log_files(files: &[FoundFile], last_lsn: Lsn) -> Vec<LogFile> {
    let mut listed: Vec<LogFile> = Vec::with_capacity(files.len());
    for found in files {
        // Of a file whose header is lost only this much is known; its frames lie in the snapshot.
        let at_least = listed.last().map_or(Lsn(1), |before| before.first_lsn);
        let first_lsn = found.header.map_or(at_least, |header| header.first_lsn);
        if let Some(before) = listed.last_mut() {
            before.last_lsn = Lsn(first_lsn.0.saturating_sub(1));
        }
        listed.push(LogFile { number: found.number, first_lsn, last_lsn, bytes: found.bytes });
    }
    listed
}

/// How the walk over the files ended.
#[derive(Clone, Copy)]
enum End {
    /// At the end of the last file.
    Whole,
    /// At a frame that was never durable; `file` is an index.
    Cut { file: usize, position: u64 },
    /// Behind damage that the snapshot makes good: the log goes on in a new file.
    NewFile,
}

/// What to do after looking at one place.
enum Step {
    Next(u64),
    EndOfFile,
    Cut,
}

struct Walk<'a> {
    disk: &'a dyn Disk,
    files: &'a [FoundFile],
    after: Lsn,
    /// The frame that comes next.
    expected: Lsn,
    /// Frames after the first damage that prove what came before them, once that was asked.
    proven: Option<Lsn>,
    /// Frames of the file at hand that no frame so far proves durable, and their positions.
    unproven: VecDeque<(Lsn, u64)>,
    /// Last frame that is no mark.
    last_filled: Lsn,
    /// The last file ends in damage, so nothing may be written behind it.
    broken_end: bool,
    recovery: Recovery,
    buffer: Vec<u8>,
}

impl<'a> Walk<'a> {
    fn new(disk: &'a dyn Disk, files: &'a [FoundFile], after: Lsn) -> Self {
        Walk {
            disk,
            files,
            after,
            expected: after.next(),
            proven: None,
            unproven: VecDeque::new(),
            last_filled: Lsn(0),
            broken_end: false,
            recovery: Recovery::default(),
            buffer: Vec::new(),
        }
    }

    fn run(&mut self, on_frame: &mut OnFrame<'_>) -> Result<End, OpenError> {
        if self.files.is_empty() {
            return Ok(End::NewFile);
        }
        let begins = |file: &FoundFile| file.header.is_some_and(|header| header.first_lsn <= self.after.next());
        let first = self.files.iter().rposition(begins).unwrap_or(0);
        if let Some(header) = self.files[first].header {
            self.expected = self.expected.min(header.first_lsn);
        }
        for (index, found) in self.files.iter().enumerate().skip(first) {
            let Some(header) = found.header else { return self.without_header(index) };
            if header.first_lsn != self.expected {
                let message = format!("the file begins with frame {}", header.first_lsn);
                return Err(self.fatal(found.damage(0, Some(self.expected), message)));
            }
            // Of a file that was just made, a crash may leave one copy alone.
            if found.half_header && (self.expected <= self.after || self.was_durable(index, 0)?) {
                self.note(found.damage(0, None, "one copy of the file's header is damaged"));
            }
            self.unproven.clear();
            if let Some(position) = self.file(index, on_frame)? {
                return Ok(End::Cut { file: index, position });
            }
        }
        if self.expected <= self.after {
            self.missing_but_in_snapshot(self.files.len() - 1);
        }
        Ok(if self.broken_end { End::NewFile } else { End::Whole })
    }

    /// A file whose header can't be read is what a crash leaves of one that was just made, or damage.
    fn without_header(&mut self, index: usize) -> Result<End, OpenError> {
        let found = &self.files[index];
        let damage = found.damage(0, None, "the file's header is damaged");
        let in_snapshot = self.after > Lsn(0) && (index == 0 || self.expected <= self.after);
        if in_snapshot || self.was_durable(index, 0)? {
            return Err(self.fatal(damage));
        }
        Ok(End::Cut { file: index, position: 0 })
    }

    /// Walks one file; `Some(position)`: the log ends there.
    fn file(&mut self, index: usize, on_frame: &mut OnFrame<'_>) -> Result<Option<u64>, OpenError> {
        let found = &self.files[index];
        let file = found.open(self.disk)?;
        let mut position = PAGE;
        while position < found.bytes {
            let frame = file.frame_at(position)?.filter(|frame| frame.lsn == self.expected);
            let step = match frame {
                Some(frame) if frame.lsn <= self.after => self.pass(&frame),
                Some(frame) => self.replay(index, &file, &frame, on_frame)?,
                None if self.expected <= self.after => self.resync(&file, position)?,
                None => self.lost(index, position, "the frame is missing or its header is damaged")?,
            };
            match step {
                Step::Next(next) => position = next,
                Step::EndOfFile => break,
                Step::Cut => return Ok(Some(position)),
            }
        }
        Ok(None)
    }

    fn pass(&mut self, frame: &FrameHeader) -> Step {
        while self.unproven.front().is_some_and(|(lsn, _)| *lsn <= frame.durable_lsn) {
            self.unproven.pop_front();
        }
        self.unproven.push_back((frame.lsn, frame.position));
        if !frame.is_mark() {
            self.last_filled = frame.lsn;
        }
        self.expected = frame.lsn.next();
        Step::Next(frame.position + frame.total_bytes)
    }

    fn replay(
        &mut self,
        index: usize,
        file: &FrameFile<'_>,
        frame: &FrameHeader,
        on_frame: &mut OnFrame<'_>,
    ) -> Result<Step, OpenError> {
        let lsn = frame.lsn;
        let Some(facts) = file.facts(frame)? else {
            return self.lost(index, frame.position, "the frame's facts are damaged");
        };
        let bad = file.bad_blocks(frame, &mut self.buffer);
        if !bad.is_empty() && !self.was_durable(index, frame.position)? {
            // A disk that fails to read is no torn write: nothing may be cut because of it.
            let error = bad.into_iter().find_map(|block| block.error);
            return error.map_or(Ok(Step::Cut), |error| Err(OpenError::io("read", &file.found.path)(error)));
        }
        for block in bad {
            self.note(file.found.damage(block.position, Some(lsn), block.message));
        }
        on_frame(RecoveredFrame { lsn, facts }).map_err(|source| OpenError::Replay { lsn, source })?;
        self.recovery.frames += 1;
        Ok(self.pass(frame))
    }

    /// Goes on behind damage in frames that the snapshot holds.
    fn resync(&mut self, file: &FrameFile<'_>, position: u64) -> Result<Step, OpenError> {
        let message = "the frame is missing or damaged; its facts are in the snapshot";
        self.note(file.found.damage(position, Some(self.expected), message));
        let next = file.next_frame(position)?.filter(|frame| frame.lsn > self.expected);
        let Some(frame) = next else {
            self.expected = self.after.next();
            self.broken_end = true;
            return Ok(Step::EndOfFile);
        };
        self.expected = frame.lsn.min(self.after.next());
        Ok(Step::Next(frame.position))
    }

    /// The log ends here if the expected frame was never durable.
    fn lost(&mut self, index: usize, position: u64, message: &str) -> Result<Step, OpenError> {
        if self.was_durable(index, position)? {
            return Err(self.fatal(self.files[index].damage(position, Some(self.expected), message)));
        }
        Ok(Step::Cut)
    }

    /// Whether anything behind this place says that the expected frame was durable.
    fn was_durable(&mut self, index: usize, position: u64) -> Result<bool, OpenError> {
        let proven = match self.proven {
            Some(proven) => proven,
            None => proven_after(self.disk, &self.files[index..], position)?,
        };
        self.proven = Some(proven);
        Ok(proven >= self.expected)
    }

    fn missing_but_in_snapshot(&mut self, index: usize) {
        let found = &self.files[index];
        let message = format!("the log ends, but a snapshot holds frames up to {}", self.after);
        self.note(found.damage(found.bytes, Some(self.expected), message));
        self.expected = self.after.next();
        self.broken_end = true;
    }

    fn note(&mut self, damage: Damage) {
        self.recovery.damage.push(damage);
    }

    fn fatal(&self, damage: Damage) -> OpenError {
        let mut all = self.recovery.damage.clone();
        all.push(damage);
        OpenError::Damaged(all)
    }
}
