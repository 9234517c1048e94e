use std::io;
use std::sync::Arc;

use super::error::LogError;
use super::frame::{FileHeader, FrameHeader, Layout, PAGE, TableEntry};
use super::read::{LogReader, Shared};
use super::{Block, BlockRef, LogFile, LogOptions, Lsn, file_path};
use crate::env::{File, OpenMode, remove_if_there};

/// Room is asked for in such steps: finding it at each sync is several times slower (docs/decisions/0006).
const RESERVE_BYTES: u64 = 16 << 20;
const ZEROS: [u8; PAGE as usize] = [0; PAGE as usize];

/// The writer of a log; there is one. Calls block on the disk.
///
/// `durable_lsn <= written_lsn` always; only [`Log::sync`] moves the first, only [`Log::append`] (and [`Log::mark`]) the second.
pub struct Log {
    shared: Arc<Shared>,
    options: LogOptions,
    current: Current,
    written: Lsn,
    durable: Lsn,
    /// Frames up to here are known durable to whoever reads the log.
    proven: Lsn,
    /// Last frame that holds anything.
    last_filled: Lsn,
    unsynced_bytes: u64,
    dir_unsynced: bool,
    poison: Option<String>,
}

/// What is known of a log that was opened; its frames are durable.
pub(super) struct Known {
    pub written: Lsn,
    pub proven: Lsn,
    pub last_filled: Lsn,
}

/// The file that is written to.
pub(super) struct Current {
    pub file: Arc<dyn File>,
    pub number: u64,
    pub salt: u64,
    /// Where the next frame begins.
    pub end: u64,
    /// Up to here room was asked for.
    pub reserved: u64,
}

/// A frame whose place is settled and whose facts are not: [`FramePlan::refs`] may go into them.
#[derive(Debug)]
pub struct FramePlan {
    lsn: Lsn,
    file: u64,
    position: u64,
    layout: Layout,
    blocks: Vec<Block>,
    refs: Vec<BlockRef>,
}

impl FramePlan {
    /// The number that the frame will have.
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// Where each block will lie, in the order given.
    pub fn refs(&self) -> &[BlockRef] {
        &self.refs
    }
}

impl Log {
    /// A log whose files were checked.
    pub(super) fn resume(shared: Arc<Shared>, options: LogOptions, current: Current, known: Known) -> Log {
        Log {
            shared,
            options,
            current,
            written: known.written,
            durable: known.written,
            proven: known.proven,
            last_filled: known.last_filled,
            unsynced_bytes: 0,
            dir_unsynced: false,
            poison: None,
        }
    }

    /// Gives the next frame its number and its blocks their places; begins a new file when the current one is full.
    /// Nothing else is written, and a plan that is dropped leaves no trace.
    ///
    /// # Errors
    /// [`LogError::TooLarge`]; when a new file is begun also [`LogError::Full`] and [`LogError::Poisoned`].
    pub fn plan(&mut self, blocks: Vec<Block>) -> Result<FramePlan, LogError> {
        self.check()?;
        if let Some(block) = blocks.iter().find(|block| u32::try_from(block.data.len()).is_err()) {
            return Err(LogError::TooLarge(format!("a block of {} bytes", block.data.len())));
        }
        if u32::try_from(blocks.len()).is_err() {
            return Err(LogError::TooLarge(format!("{} blocks", blocks.len())));
        }
        if self.current.end > PAGE && self.current.end >= self.options.file_bytes_target {
            self.roll()?;
        }
        let layout = Layout::of(blocks.iter().map(|block| block.data.len() as u32));
        let Current { number: file, end: position, .. } = self.current;
        let refs = blocks.iter().zip(&layout.blocks).map(|(block, at)| BlockRef {
            file,
            position: position + at,
            length: block.data.len() as u32,
            crc32c: block.crc32c,
        });
        let refs = refs.collect();
        Ok(FramePlan { lsn: self.written.next(), file, position, layout, blocks, refs })
    }

    /// Writes a planned frame with one call to the disk. On return its blocks can be read; it is durable after [`Log::sync`].
    ///
    /// # Errors
    /// [`LogError::Full`] leaves the log as it was; after [`LogError::Poisoned`] the process must end.
    pub fn append(&mut self, plan: FramePlan, facts: &[u8]) -> Result<Lsn, LogError> {
        self.check()?;
        let next = self.written.next();
        if (plan.lsn, plan.file, plan.position) != (next, self.current.number, self.current.end) {
            return Err(LogError::StalePlan { planned: plan.lsn, next });
        }
        let Ok(facts_bytes) = u32::try_from(facts.len()) else {
            return Err(LogError::TooLarge(format!("{} bytes of facts", facts.len())));
        };
        let header = FrameHeader {
            lsn: plan.lsn,
            durable_lsn: self.durable,
            salt: self.current.salt,
            position: plan.position,
            total_bytes: plan.layout.total_bytes(facts_bytes),
            facts_bytes,
            facts_crc: crc32c::crc32c(facts),
            table: plan.refs.iter().map(|at| TableEntry { length: at.length, crc32c: at.crc32c }).collect(),
        };
        self.write_frame(&header, &plan, facts)?;
        self.current.end += header.total_bytes;
        self.written = header.lsn;
        self.proven = self.durable;
        self.unsynced_bytes += header.total_bytes;
        if !header.is_mark() {
            self.last_filled = header.lsn;
        }
        if let Some(file) = self.shared.files().get_mut(&self.current.number) {
            file.last_lsn = self.written;
            file.bytes = self.current.end;
        }
        Ok(header.lsn)
    }

    /// Makes everything written durable: one fdatasync, and one fsync of the directory when a file was made since.
    /// Does nothing when there is nothing to do.
    ///
    /// # Errors
    /// [`LogError::Poisoned`]: the process must end.
    pub fn sync(&mut self) -> Result<Lsn, LogError> {
        self.check()?;
        if self.unsynced_bytes > 0 {
            let outcome = self.current.file.sync_data();
            outcome.map_err(|error| self.poison("syncing the log", &error))?;
        }
        if self.dir_unsynced {
            let outcome = self.shared.disk.sync_dir(&self.shared.dir);
            outcome.map_err(|error| self.poison("syncing the log's directory", &error))?;
        }
        self.unsynced_bytes = 0;
        self.dir_unsynced = false;
        self.durable = self.written;
        Ok(self.durable)
    }

    /// Makes everything durable and writes an empty frame that says so, unless that was said already: call it when no frame
    /// comes for a while and at shutdown. Returns the empty frame's number.
    ///
    /// # Errors
    /// As [`Log::append`] and [`Log::sync`].
    pub fn mark(&mut self) -> Result<Option<Lsn>, LogError> {
        self.sync()?;
        if self.last_filled <= self.proven {
            return Ok(None);
        }
        let plan = self.plan(Vec::new())?;
        let lsn = self.append(plan, &[])?;
        self.sync()?;
        Ok(Some(lsn))
    }

    /// Last frame written.
    pub fn written_lsn(&self) -> Lsn {
        self.written
    }

    /// Last frame that is durable.
    pub fn durable_lsn(&self) -> Lsn {
        self.durable
    }

    /// Bytes written since the last sync.
    pub fn unsynced_bytes(&self) -> u64 {
        self.unsynced_bytes
    }

    /// All files, by number.
    pub fn files(&self) -> Vec<LogFile> {
        self.shared.files().values().copied().collect()
    }

    /// A reader of blocks.
    pub fn reader(&self) -> LogReader {
        LogReader::new(Arc::clone(&self.shared))
    }

    /// Removes a file whose frames lie in a snapshot and whose blocks nobody needs: the caller knows. From now on reading
    /// from it answers [`super::ReadError::Gone`]. One that is gone already is fine. What follows it is made durable before: a
    /// crash must not leave a snapshot without a log.
    ///
    /// # Errors
    /// [`LogError::Current`], [`LogError::Remove`], those of [`Log::sync`].
    pub fn remove_file(&mut self, number: u64) -> Result<(), LogError> {
        if number == self.current.number {
            return Err(LogError::Current(number));
        }
        self.sync()?;
        self.shared.forget(number);
        let path = file_path(&self.shared.dir, number);
        match self.shared.disk.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(LogError::Remove { file: path, message: error.to_string() })
            }
            _ => Ok(()),
        }
    }

    fn write_frame(&mut self, header: &FrameHeader, plan: &FramePlan, facts: &[u8]) -> Result<(), LogError> {
        let start = header.encode();
        let mut parts: Vec<&[u8]> = Vec::with_capacity(2 * plan.blocks.len() + 4);
        let mut at = start.len() as u64;
        parts.push(&start);
        for (block, position) in plan.blocks.iter().zip(&plan.layout.blocks) {
            parts.push(zeros(at, *position));
            parts.push(&block.data);
            at = position + block.data.len() as u64;
        }
        parts.push(zeros(at, plan.layout.facts));
        parts.push(facts);
        parts.push(zeros(plan.layout.facts + facts.len() as u64, header.total_bytes));
        let end = plan.position + header.total_bytes;
        if end > self.current.reserved {
            let from = self.current.reserved.max(plan.position);
            self.current.reserved = end.max(from + RESERVE_BYTES);
            self.current.file.reserve(from, self.current.reserved - from);
        }
        let outcome = self.current.file.write_vectored_at(plan.position, &parts);
        let Err(error) = outcome else { return Ok(()) };
        // Nothing of the frame counts yet, so a full disk is no reason to give up if the log can be put back as it was.
        if is_full(&error) && self.current.file.truncate(self.current.end).is_ok() {
            self.current.reserved = self.current.end;
            return Err(LogError::Full(file_path(&self.shared.dir, self.current.number)));
        }
        Err(self.poison("writing the log", &error))
    }

    /// Syncs the current file and begins the next.
    fn roll(&mut self) -> Result<(), LogError> {
        if self.current.reserved > self.current.end {
            let outcome = self.current.file.truncate(self.current.end);
            outcome.map_err(|error| self.poison("giving back room of the log", &error))?;
        }
        self.sync()?;
        let number = self.current.number + 1;
        let path = file_path(&self.shared.dir, number);
        match create(&self.shared, number, self.written.next(), self.options.rng.next_u64()) {
            Ok(current) => self.current = current,
            Err(error) if is_full(&error) && remove_if_there(&*self.shared.disk, &path).is_ok() => {
                return Err(LogError::Full(path));
            }
            Err(error) => return Err(self.poison("making a log file", &error)),
        }
        self.proven = self.written;
        // Its header counts, also when no frame follows for a while.
        self.unsynced_bytes = PAGE;
        self.dir_unsynced = true;
        Ok(())
    }

    fn check(&self) -> Result<(), LogError> {
        match &self.poison {
            Some(why) => Err(LogError::Poisoned(why.clone())),
            None => Ok(()),
        }
    }

    fn poison(&mut self, doing: &str, error: &io::Error) -> LogError {
        let why = format!("{doing} failed: {error}");
        self.poison = Some(why.clone());
        LogError::Poisoned(why)
    }
}

/// Makes a file with its header, and tells the readers of it. Neither is durable yet.
pub(super) fn create(shared: &Shared, number: u64, first_lsn: Lsn, salt: u64) -> io::Result<Current> {
    let file = shared.disk.open_direct(&file_path(&shared.dir, number), OpenMode::CreateNew)?;
    file.write_all_at(0, &FileHeader { number, first_lsn, salt }.encode())?;
    let entry = LogFile { number, first_lsn, last_lsn: Lsn(first_lsn.0 - 1), bytes: PAGE };
    shared.files().insert(number, entry);
    Ok(Current { file, number, salt, end: PAGE, reserved: PAGE })
}

/// Padding between two places in a frame; less than a page.
fn zeros(from: u64, to: u64) -> &'static [u8] {
    &ZEROS[..(to - from) as usize]
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
