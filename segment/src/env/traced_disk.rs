use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;

use super::disk::{Disk, Entry, File, OpenMode};
use super::mem_disk::{CallKind, MemDisk};

/// A [`MemDisk`] whose calls are numbered and kept, and of which one can go wrong; for tests and simulation.
///
/// Calls take effect one after the other, in the order of their numbers: what is on the disk after the first `n` of them is what
/// [`Replay`] makes of them. Clones share everything.
#[derive(Debug, Clone)]
pub struct TracedDisk {
    disk: MemDisk,
    trace: Arc<Mutex<Trace>>,
    sync_takes: Duration,
}

/// A call, as it was made. Open files are numbered in the order they were opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// [`Disk::open`]; it may have failed.
    Open {
        /// The number that the file has from here on.
        file: usize,
        /// Its path.
        path: PathBuf,
        /// How it was opened.
        mode: OpenMode,
    },
    /// [`File::write_vectored_at`].
    Write {
        /// The file.
        file: usize,
        /// From this byte on.
        position: u64,
        /// What was written.
        bytes: Bytes,
    },
    /// [`File::read_exact_at`].
    Read {
        /// The file.
        file: usize,
        /// From this byte on.
        position: u64,
        /// So many bytes.
        length: usize,
    },
    /// [`File::reserve`]; changes nothing here.
    Reserve {
        /// The file.
        file: usize,
        /// From this byte on.
        position: u64,
        /// So many bytes.
        bytes: u64,
    },
    /// [`File::truncate`].
    Truncate {
        /// The file.
        file: usize,
        /// Its new length.
        length: u64,
    },
    /// [`File::sync_data`].
    SyncData {
        /// The file.
        file: usize,
    },
    /// [`Disk::rename`].
    Rename {
        /// The old name.
        from: PathBuf,
        /// The new one.
        to: PathBuf,
    },
    /// [`Disk::remove`].
    Remove {
        /// The file.
        path: PathBuf,
    },
    /// [`Disk::remove_dir`].
    RemoveDir {
        /// The directory.
        path: PathBuf,
    },
    /// [`Disk::create_dir_all`].
    CreateDir {
        /// The directory.
        path: PathBuf,
    },
    /// [`Disk::sync_dir`].
    SyncDir {
        /// The directory.
        path: PathBuf,
    },
    /// [`Disk::list`] or [`Disk::len`].
    Look {
        /// At what.
        path: PathBuf,
    },
}

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails; a write writes half of its bytes, a sync loses what it should have made durable.
    Error(io::ErrorKind),
    /// This bit of what is read, counted round, is another one in what the caller gets. The disk is fine.
    FlippedRead(u64),
    /// This bit of what is written, counted round, is another one on the disk from the file's next sync on.
    FlippedWrite(u64),
    /// Before the call its file is cut, durably, to so many 256ths of its length.
    Cut(u64),
}

/// What went wrong: the file, and the bytes of it that are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Struck {
    /// The number of the call.
    pub call: usize,
    /// The file or directory.
    pub path: PathBuf,
    /// First byte.
    pub from: u64,
    /// The byte behind the last; `u64::MAX`: the rest of the file.
    pub to: u64,
}

#[derive(Debug, Default)]
struct Trace {
    calls: Vec<Call>,
    /// Paths of the open files, by number.
    opened: Vec<PathBuf>,
    fault: Option<(usize, Fault)>,
    struck: Option<Struck>,
    /// A bit that changes with the next sync of a file: its number, the byte, the mask.
    rots: Option<(usize, u64, u8)>,
}

impl TracedDisk {
    /// Nothing is recorded of what `disk` holds already.
    pub fn over(disk: MemDisk) -> Self {
        TracedDisk { disk, trace: Arc::default(), sync_takes: Duration::ZERO }
    }

    /// Syncs take so long: whoever is answered before its sync is answered early enough to be noticed.
    pub fn with_syncs_of(mut self, sync_takes: Duration) -> Self {
        self.sync_takes = sync_takes;
        self
    }

    /// Lets the call of this number (0 is the first of all) go wrong, or else the first one after it that the fault fits.
    pub fn strike(&self, call: usize, fault: Fault) {
        self.trace().fault = Some((call, fault));
    }

    /// What went wrong, if it did.
    pub fn struck(&self) -> Option<Struck> {
        self.trace().struck.clone()
    }

    /// Calls so far.
    pub fn calls_made(&self) -> usize {
        self.trace().calls.len()
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.trace().calls.clone()
    }

    /// The disk itself.
    pub fn disk(&self) -> &MemDisk {
        &self.disk
    }

    fn trace(&self) -> MutexGuard<'_, Trace> {
        self.trace.lock().expect("no holder of this lock panics")
    }

    /// Makes one call: numbers it, lets it go wrong if it is the one, and keeps it. `act` is told which bit of what it reads to flip.
    fn call<T>(&self, call: Call, act: impl FnOnce(Option<u64>) -> io::Result<T>) -> io::Result<T> {
        let mut trace = self.trace();
        let mut flipped = None;
        match trace.begin(&call) {
            Some(Fault::Error(error)) => {
                trace.strike(&call, 0, u64::MAX);
                match kind(&call) {
                    Some(kind) => self.disk.fail(kind, 1, error),
                    None => return Err(io::Error::new(error, "injected")),
                }
            }
            Some(Fault::Cut(share)) => self.cut(&mut trace, &call, share),
            Some(Fault::FlippedWrite(bit)) => trace.flip_later(&call, bit),
            Some(Fault::FlippedRead(bit)) => flipped = trace.flip_now(&call, bit),
            None => {}
        }
        let done = act(flipped)?;
        if let Call::SyncData { file } = call {
            self.rot(&mut trace, file);
        }
        Ok(done)
    }

    fn cut(&self, trace: &mut Trace, call: &Call, share: u64) {
        let Some(path) = trace.path(call) else { return };
        let Some(mut content) = self.disk.contents(&path) else { return };
        let length = content.len() * share as usize / 256;
        if length < content.len() {
            content.truncate(length);
            self.disk.set_contents(&path, content);
            trace.strike(call, length as u64, u64::MAX);
        }
    }

    fn rot(&self, trace: &mut Trace, file: usize) {
        let Some((_, byte, mask)) = trace.rots.take_if(|(rotten, ..)| *rotten == file) else { return };
        let path = trace.opened[file].clone();
        let Some(mut content) = self.disk.contents(&path) else { return };
        if let Some(byte) = content.get_mut(byte as usize) {
            *byte ^= mask;
            self.disk.set_contents(&path, content);
        }
    }
}

impl Trace {
    /// Keeps a call; answers what goes wrong with it.
    fn begin(&mut self, call: &Call) -> Option<Fault> {
        let number = self.calls.len();
        self.calls.push(call.clone());
        self.fault.take_if(|(at, fault)| *at <= number && fault.fits(call)).map(|(_, fault)| fault)
    }

    fn strike(&mut self, call: &Call, from: u64, to: u64) {
        let path = self.path(call).unwrap_or_default();
        self.struck = Some(Struck { call: self.calls.len() - 1, path, from, to });
    }

    fn flip_later(&mut self, call: &Call, bit: u64) {
        let Call::Write { file, position, bytes } = call else { return };
        let byte = position + bit / 8 % bytes.len() as u64;
        self.rots = Some((*file, byte, 1 << (bit % 8)));
        self.strike(call, byte, byte + 1);
    }

    /// Answers the bit, counted from the first byte that is read.
    fn flip_now(&mut self, call: &Call, bit: u64) -> Option<u64> {
        let Call::Read { position, length, .. } = call else { return None };
        let bit = bit % (8 * *length as u64);
        self.strike(call, position + bit / 8, position + bit / 8 + 1);
        Some(bit)
    }

    fn path(&self, call: &Call) -> Option<PathBuf> {
        match call {
            Call::Write { file, .. }
            | Call::Read { file, .. }
            | Call::Reserve { file, .. }
            | Call::Truncate { file, .. }
            | Call::SyncData { file } => self.opened.get(*file).cloned(),
            Call::Open { path, .. }
            | Call::Rename { from: path, .. }
            | Call::Remove { path }
            | Call::RemoveDir { path }
            | Call::CreateDir { path }
            | Call::SyncDir { path }
            | Call::Look { path } => Some(path.clone()),
        }
    }
}

impl Call {
    /// Whether the disk is another one after it, or what a crash would leave of it is.
    pub fn changes(&self) -> bool {
        match self {
            Call::Open { mode, .. } => *mode == OpenMode::CreateNew,
            Call::Read { .. } | Call::Look { .. } | Call::Reserve { .. } => false,
            _ => true,
        }
    }

    fn makes_a_file(&self) -> bool {
        matches!(self, Call::Open { mode: OpenMode::CreateNew, .. })
    }
}

impl Fault {
    /// Whether it can happen to a call. Only what takes room finds the disk full.
    pub fn fits(self, call: &Call) -> bool {
        match self {
            Fault::Error(io::ErrorKind::StorageFull) => call.makes_a_file() || matches!(call, Call::Write { .. }),
            Fault::Error(_) => !matches!(call, Call::Reserve { .. }),
            Fault::FlippedRead(_) => matches!(call, Call::Read { length: 1.., .. }),
            Fault::FlippedWrite(_) => matches!(call, Call::Write { bytes, .. } if !bytes.is_empty()),
            Fault::Cut(_) => {
                let opens = matches!(call, Call::Open { .. }) && !call.makes_a_file();
                opens || matches!(call, Call::Read { .. } | Call::SyncData { .. })
            }
        }
    }
}

/// How [`MemDisk`] calls it; `None` where it has no name for it.
fn kind(call: &Call) -> Option<CallKind> {
    match call {
        Call::Open { .. } => Some(CallKind::Open),
        Call::Write { .. } => Some(CallKind::Write),
        Call::Read { .. } => Some(CallKind::Read),
        Call::Truncate { .. } => Some(CallKind::Truncate),
        Call::SyncData { .. } => Some(CallKind::SyncData),
        Call::Rename { .. } => Some(CallKind::Rename),
        Call::Remove { .. } => Some(CallKind::Remove),
        Call::SyncDir { .. } => Some(CallKind::SyncDir),
        Call::Reserve { .. } | Call::RemoveDir { .. } | Call::CreateDir { .. } | Call::Look { .. } => None,
    }
}

impl Disk for TracedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let number = {
            let mut trace = self.trace();
            trace.opened.push(path.to_owned());
            trace.opened.len() - 1
        };
        let call = Call::Open { file: number, path: path.to_owned(), mode };
        let file = self.call(call, |_| self.disk.open(path, mode))?;
        Ok(Arc::new(TracedFile { disk: self.clone(), number, file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let call = Call::Rename { from: from.to_owned(), to: to.to_owned() };
        self.call(call, |_| self.disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(Call::Remove { path: path.to_owned() }, |_| self.disk.remove(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.call(Call::RemoveDir { path: path.to_owned() }, |_| self.disk.remove_dir(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.call(Call::Look { path: dir.to_owned() }, |_| self.disk.list(dir))
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        self.call(Call::Look { path: path.to_owned() }, |_| self.disk.len(path))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.call(Call::CreateDir { path: dir.to_owned() }, |_| self.disk.create_dir_all(dir))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        std::thread::sleep(self.sync_takes);
        self.call(Call::SyncDir { path: dir.to_owned() }, |_| self.disk.sync_dir(dir))
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<Option<u64>> {
        self.disk.free_bytes(dir)
    }
}

struct TracedFile {
    disk: TracedDisk,
    number: usize,
    file: Arc<dyn File>,
}

impl fmt::Debug for TracedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracedFile").field("number", &self.number).finish()
    }
}

impl File for TracedFile {
    fn write_vectored_at(&self, position: u64, parts: &[&[u8]]) -> io::Result<()> {
        let call = Call::Write { file: self.number, position, bytes: parts.concat().into() };
        self.disk.call(call, |_| self.file.write_vectored_at(position, parts))
    }

    fn read_exact_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<()> {
        let call = Call::Read { file: self.number, position, length: buffer.len() };
        self.disk.call(call, |flipped| {
            self.file.read_exact_at(position, buffer)?;
            if let Some(bit) = flipped {
                buffer[bit as usize / 8] ^= 1 << (bit % 8);
            }
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        std::thread::sleep(self.disk.sync_takes);
        self.disk.call(Call::SyncData { file: self.number }, |_| self.file.sync_data())
    }

    fn reserve(&self, position: u64, bytes: u64) {
        // It cannot fail: a fault finds nothing to strike.
        let _ = self.disk.call(Call::Reserve { file: self.number, position, bytes }, |_| Ok(()));
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.disk.call(Call::Truncate { file: self.number, length }, |_| self.file.truncate(length))
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
}

/// Makes the calls of a trace again, on a disk that was empty before them.
#[derive(Debug, Default)]
pub struct Replay {
    disk: MemDisk,
    files: Vec<Option<Arc<dyn File>>>,
}

impl Replay {
    /// Makes the next call. One that failed then fails again, without effect.
    pub fn step(&mut self, call: &Call) {
        let file = |number: &usize| self.files.get(*number).cloned().flatten();
        let outcome = match call {
            Call::Open { file, path, mode } => {
                self.files.resize(self.files.len().max(file + 1), None);
                self.files[*file] = self.disk.open(path, *mode).ok();
                Ok(())
            }
            Call::Write { file: number, position, bytes } => {
                file(number).map_or(Ok(()), |file| file.write_all_at(*position, bytes))
            }
            Call::Truncate { file: number, length } => file(number).map_or(Ok(()), |file| file.truncate(*length)),
            Call::SyncData { file: number } => file(number).map_or(Ok(()), |file| file.sync_data()),
            Call::Rename { from, to } => self.disk.rename(from, to),
            Call::Remove { path } => self.disk.remove(path),
            Call::RemoveDir { path } => self.disk.remove_dir(path),
            Call::CreateDir { path } => self.disk.create_dir_all(path),
            Call::SyncDir { path } => self.disk.sync_dir(path),
            Call::Read { .. } | Call::Look { .. } | Call::Reserve { .. } => Ok(()),
        };
        // It was answered to whoever made it then.
        drop(outcome);
    }

    /// The disk after the calls so far.
    pub fn disk(&self) -> &MemDisk {
        &self.disk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/d/f";

    fn disk() -> TracedDisk {
        let disk = TracedDisk::over(MemDisk::new());
        disk.create_dir_all(Path::new("/d")).unwrap();
        disk
    }

    fn write(disk: &TracedDisk) -> io::Result<Arc<dyn File>> {
        let file = disk.open(Path::new(PATH), OpenMode::CreateNew)?;
        file.write_all_at(0, &[1; 1024])?;
        file.sync_data()?;
        Ok(file)
    }

    /// Made again, the calls give the same disk after each of them, and the same after every crash.
    #[test]
    fn a_replay_gives_the_same_disk() {
        let traced = disk();
        let file = write(&traced).unwrap();
        traced.sync_dir(Path::new("/d")).unwrap();
        file.truncate(700).unwrap();
        file.write_all_at(512, &[2; 3000]).unwrap();
        traced.rename(Path::new(PATH), Path::new("/d/g")).unwrap();
        assert!(traced.open(Path::new(PATH), OpenMode::Read).is_err());
        let mut replay = Replay::default();
        traced.calls().iter().for_each(|call| replay.step(call));
        assert_eq!(replay.disk().digest(), traced.disk().digest());
        assert_eq!(replay.disk().unsynced(), traced.disk().unsynced());
        for seed in 0..100 {
            assert_eq!(replay.disk().crash(seed).digest(), traced.disk().crash(seed).digest());
        }
    }

    /// Each fault strikes the call it is meant for, and no other.
    #[test]
    fn one_call_goes_wrong() {
        for call in 0..4 {
            let disk = disk();
            disk.strike(1 + call, Fault::Error(io::ErrorKind::Other));
            assert_eq!(write(&disk).is_err(), call < 3, "open, write, sync; the fourth was never made");
            assert_eq!(disk.struck().is_some(), call < 3);
        }
        let disk = disk();
        disk.strike(0, Fault::FlippedWrite(9));
        let file = write(&disk).unwrap();
        assert_eq!(disk.disk().contents(Path::new(PATH)).unwrap()[..3], [1, 3, 1]);
        disk.strike(4, Fault::FlippedRead(16));
        assert_eq!(file.read(0, 4).unwrap()[..], [1, 3, 0, 1]);
        assert_eq!(disk.struck().unwrap().from, 2);
        assert_eq!(file.read(0, 4).unwrap()[..], [1, 3, 1, 1]);
        disk.strike(6, Fault::Cut(128));
        assert_eq!(file.read(0, 1024).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(disk.disk().len(Path::new(PATH)).unwrap(), 512);
    }
}
