use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::disk::{Disk, Entry, File, OpenMode};
use super::rng::SeededRng;

/// What a disk writes whole: after a crash each run of this many bytes is old or new, never a mixture.
const SECTOR_BYTES: usize = 512;

/// A file system in memory that knows what a crash would leave of it; for tests and simulation.
///
/// It promises exactly what [`Disk`] asks for and no more: a file's content is safe after `sync_data`, a name after
/// `sync_dir`. [`MemDisk::crash`] makes the disk that a machine would find after losing power now. A `sync_data` that was
/// made to fail loses the unsynced writes for good although they stay readable, as Linux does. Directories themselves are
/// durable at once. Clones share the same content.
#[derive(Clone, Default)]
pub struct MemDisk {
    state: Arc<Mutex<State>>,
}

/// Kinds of calls that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// [`Disk::open`].
    Open,
    /// [`File::write_all_at`] and [`File::write_vectored_at`]; a failing one writes the first half of its bytes.
    Write,
    /// [`File::read_exact_at`].
    Read,
    /// [`File::sync_data`].
    SyncData,
    /// [`File::truncate`].
    Truncate,
    /// [`Disk::sync_dir`].
    SyncDir,
    /// [`Disk::rename`].
    Rename,
    /// [`Disk::remove`].
    Remove,
}

#[derive(Default)]
struct State {
    dirs: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    unsynced_names: Vec<(u64, NameChange)>,
    nodes: HashMap<u64, Node>,
    next_node: u64,
    /// Changes of names and contents so far.
    changes: u64,
    calls: HashMap<CallKind, u64>,
    failures: HashMap<(CallKind, u64), io::ErrorKind>,
    free_bytes: Option<u64>,
}

/// A file's content: `durable` plus every change of `unsynced` is `now`, as long as no sync failed.
#[derive(Clone, Default)]
struct Node {
    now: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<(u64, ContentChange)>,
}

/// A change that no sync made durable yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unsynced {
    /// Changes are numbered in the order they were made, over all files and names.
    pub number: u64,
    /// What it changes.
    pub what: Changed,
}

/// What a change is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Changed {
    /// A name was made, moved or removed.
    Name,
    /// The length of a file was set.
    Length,
    /// A file was written; in so many parts that a disk writes whole.
    Content {
        /// At least 1, or 0 for a write of nothing.
        sectors: usize,
    },
}

/// What a crash leaves of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// All of it.
    Whole,
    /// Of a write the sectors that are `true`, in order; names and lengths change whole or not at all.
    Sectors(Vec<bool>),
}

#[derive(Clone)]
enum ContentChange {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

#[derive(Clone)]
enum NameChange {
    Link(PathBuf, u64),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf, u64),
}

struct MemFile {
    state: Arc<Mutex<State>>,
    node: u64,
    writable: bool,
}

impl MemDisk {
    /// An empty disk.
    pub fn new() -> Self {
        MemDisk::default()
    }

    /// The disk that is found after power is lost now; this one stays as it is. Of what was not synced, each name change
    /// survives if those before it did, and each write survives whole, in part (by sectors) or not at all, all chosen by
    /// `seed`: some seeds keep everything (as after `kill -9`), some nothing.
    pub fn crash(&self, seed: u64) -> MemDisk {
        let rng = SeededRng::new(seed);
        // In 256ths: how likely an unsynced change survives.
        let survival = match rng.below(6) {
            0 => 0,
            1 => 256,
            _ => 1 + rng.below(255),
        };
        let survives = || rng.below(256) < survival;
        let mut names_lost = false;
        self.crash_by(&mut |change| match change.what {
            Changed::Name => {
                names_lost = names_lost || !survives();
                Left::whole_if(!names_lost)
            }
            Changed::Length => Left::whole_if(survives()),
            Changed::Content { .. } if rng.below(2) == 0 => Left::whole_if(survives()),
            Changed::Content { sectors } => Left::Sectors((0..sectors).map(|_| survives()).collect()),
        })
    }

    /// The disk that is found after power is lost now, where `left` says what of each change that was not synced survives: any subset
    /// may, in any order. It is asked about names first, then about each file that has one.
    pub fn crash_by(&self, left: &mut dyn FnMut(&Unsynced) -> Left) -> MemDisk {
        let state = self.lock();
        let mut names = state.durable_names.clone();
        for (number, change) in &state.unsynced_names {
            if left(&Unsynced { number: *number, what: Changed::Name }) == Left::Whole {
                change.apply(&mut names);
            }
        }
        let mut nodes = HashMap::new();
        for number in names.values() {
            let content = state.nodes.get(number).map(|node| node.after_crash(left)).unwrap_or_default();
            nodes.insert(*number, Node { now: content.clone(), durable: content, unsynced: Vec::new() });
        }
        let after = State {
            dirs: state.dirs.clone(),
            durable_names: names.clone(),
            names,
            nodes,
            next_node: state.next_node,
            ..State::default()
        };
        MemDisk { state: Arc::new(Mutex::new(after)) }
    }

    /// What no sync made durable yet, in the order it was changed.
    pub fn unsynced(&self) -> Vec<Unsynced> {
        let state = self.lock();
        let names = state.unsynced_names.iter().map(|(number, _)| Unsynced { number: *number, what: Changed::Name });
        let contents = state.nodes.values().flat_map(|node| &node.unsynced);
        let contents = contents.map(|(number, change)| Unsynced { number: *number, what: change.what() });
        let mut all: Vec<Unsynced> = names.chain(contents).collect();
        all.sort();
        all
    }

    /// A hash of every name and content, to tell disks apart.
    pub fn digest(&self) -> u64 {
        let state = self.lock();
        let mut hasher = DefaultHasher::new();
        for (path, number) in &state.names {
            let content = &state.nodes[number].now;
            (path, content.len(), crc32c::crc32c(content)).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Lets the `nth` call (1 is the next one) of a kind fail.
    pub fn fail(&self, kind: CallKind, nth: u64, error: io::ErrorKind) {
        let mut state = self.lock();
        let at = state.calls.get(&kind).copied().unwrap_or(0) + nth;
        state.failures.insert((kind, at), error);
    }

    /// What [`Disk::free_bytes`] tells; nothing counts it down.
    pub fn set_free_bytes(&self, free: u64) {
        self.lock().free_bytes = Some(free);
    }

    /// Calls of a kind so far.
    pub fn calls(&self, kind: CallKind) -> u64 {
        self.lock().calls.get(&kind).copied().unwrap_or(0)
    }

    /// All bytes of a file; `None` when there is none.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.lock();
        let number = state.names.get(path)?;
        Some(state.nodes[number].now.clone())
    }

    /// Puts a durable file in place, as damage or another program would.
    pub fn set_contents(&self, path: &Path, content: Vec<u8>) {
        let mut state = self.lock();
        let number = match state.names.get(path) {
            Some(number) => *number,
            None => {
                let number = state.new_node();
                state.names.insert(path.to_owned(), number);
                state.durable_names.insert(path.to_owned(), number);
                number
            }
        };
        state.nodes.insert(number, Node { now: content.clone(), durable: content, unsynced: Vec::new() });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no holder of this lock panics")
}

impl fmt::Debug for MemDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemDisk").field("files", &self.lock().names.keys()).finish()
    }
}

impl State {
    fn new_node(&mut self) -> u64 {
        self.next_node += 1;
        self.nodes.insert(self.next_node, Node::default());
        self.next_node
    }

    fn call(&mut self, kind: CallKind) -> io::Result<()> {
        let count = self.calls.entry(kind).or_default();
        *count += 1;
        match self.failures.remove(&(kind, *count)) {
            Some(error) => Err(io::Error::new(error, "injected")),
            None => Ok(()),
        }
    }

    fn find(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.changes += 1;
        self.unsynced_names.push((self.changes, change));
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            NameChange::Link(path, node) => {
                names.insert(path.clone(), *node);
            }
            NameChange::Unlink(path) => {
                names.remove(path);
            }
            NameChange::Rename(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }

    fn touches(&self, dir: &Path) -> bool {
        match self {
            NameChange::Link(path, _) | NameChange::Unlink(path) => path.parent() == Some(dir),
            NameChange::Rename(from, to, _) => from.parent() == Some(dir) || to.parent() == Some(dir),
        }
    }
}

impl Left {
    fn whole_if(survives: bool) -> Left {
        if survives { Left::Whole } else { Left::Nothing }
    }
}

impl ContentChange {
    fn what(&self) -> Changed {
        match self {
            ContentChange::Write(position, bytes) => Changed::Content { sectors: sectors(*position, bytes).count() },
            ContentChange::Truncate(_) => Changed::Length,
        }
    }

    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            ContentChange::Write(position, bytes) => put(content, *position, bytes),
            ContentChange::Truncate(length) => content.resize(*length as usize, 0),
        }
    }
}

impl Node {
    fn change(&mut self, number: u64, change: ContentChange) {
        change.apply(&mut self.now);
        self.unsynced.push((number, change));
    }

    fn sync(&mut self) {
        for (_, change) in self.unsynced.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    fn after_crash(&self, left: &mut dyn FnMut(&Unsynced) -> Left) -> Vec<u8> {
        let mut content = self.durable.clone();
        for (number, change) in &self.unsynced {
            match (left(&Unsynced { number: *number, what: change.what() }), change) {
                (Left::Nothing, _) | (Left::Sectors(_), ContentChange::Truncate(_)) => {}
                (Left::Whole, _) => change.apply(&mut content),
                (Left::Sectors(kept), ContentChange::Write(position, bytes)) => {
                    let kept = sectors(*position, bytes).zip(kept).filter(|(_, kept)| *kept);
                    kept.for_each(|((at, sector), _)| put(&mut content, at, sector));
                }
            }
        }
        content
    }
}

/// Cuts a write where the disk's sectors end.
fn sectors(position: u64, bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == bytes.len() {
            return None;
        }
        let at = position + done as u64;
        let length = (SECTOR_BYTES - at as usize % SECTOR_BYTES).min(bytes.len() - done);
        let part = &bytes[done..done + length];
        done += length;
        Some((at, part))
    })
}

fn put(content: &mut Vec<u8>, position: u64, bytes: &[u8]) {
    let position = position as usize;
    if content.len() < position + bytes.len() {
        content.resize(position + bytes.len(), 0);
    }
    content[position..position + bytes.len()].copy_from_slice(bytes);
}

impl Disk for MemDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut state = self.lock();
        state.call(CallKind::Open)?;
        let node = match mode {
            OpenMode::Read | OpenMode::Write => state.find(path)?,
            OpenMode::CreateNew if state.names.contains_key(path) => return Err(io::ErrorKind::AlreadyExists.into()),
            OpenMode::CreateNew => {
                let in_dir = path.parent().is_some_and(|dir| state.dirs.contains(dir));
                if !in_dir {
                    return Err(io::ErrorKind::NotFound.into());
                }
                let node = state.new_node();
                state.change_name(NameChange::Link(path.to_owned(), node));
                node
            }
        };
        Ok(Arc::new(MemFile { state: Arc::clone(&self.state), node, writable: mode != OpenMode::Read }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call(CallKind::Rename)?;
        let node = state.find(from)?;
        state.change_name(NameChange::Rename(from.to_owned(), to.to_owned(), node));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call(CallKind::Remove)?;
        state.find(path)?;
        state.change_name(NameChange::Unlink(path.to_owned()));
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let holds = |inner: &PathBuf| inner.parent() == Some(path);
        if state.names.keys().any(holds) || state.dirs.iter().any(holds) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        if state.dirs.remove(path) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let state = self.lock();
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let files = state.names.iter().filter(|(path, _)| path.parent() == Some(dir)).filter_map(|(path, node)| {
            Some(Entry { name: name(path)?, is_dir: false, bytes: state.nodes[node].now.len() as u64 })
        });
        let dirs = state.dirs.iter().filter(|path| path.parent() == Some(dir));
        let dirs = dirs.filter_map(|path| Some(Entry { name: name(path)?, is_dir: true, bytes: 0 }));
        let mut entries: Vec<Entry> = files.chain(dirs).collect();
        entries.sort();
        Ok(entries)
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        let state = self.lock();
        let node = state.find(path)?;
        Ok(state.nodes[&node].now.len() as u64)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.dirs.extend(dir.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call(CallKind::SyncDir)?;
        let (synced, left) = std::mem::take(&mut state.unsynced_names).into_iter().partition(|(_, c)| c.touches(dir));
        state.unsynced_names = left;
        let synced: Vec<(u64, NameChange)> = synced;
        for (_, change) in synced {
            change.apply(&mut state.durable_names);
        }
        Ok(())
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<Option<u64>> {
        Ok(self.lock().free_bytes)
    }
}

impl MemFile {
    fn with<T>(&self, act: impl FnOnce(&mut Node) -> T) -> T {
        act(lock(&self.state).nodes.entry(self.node).or_default())
    }

    fn change(&self, change: ContentChange) {
        let mut state = lock(&self.state);
        state.changes += 1;
        let number = state.changes;
        state.nodes.entry(self.node).or_default().change(number, change);
    }

    fn call(&self, kind: CallKind) -> io::Result<()> {
        lock(&self.state).call(kind)
    }
}

impl fmt::Debug for MemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemFile").field("node", &self.node).finish()
    }
}

impl File for MemFile {
    fn write_vectored_at(&self, position: u64, parts: &[&[u8]]) -> io::Result<()> {
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut bytes = parts.concat();
        let outcome = self.call(CallKind::Write);
        if outcome.is_err() {
            bytes.truncate(bytes.len() / 2);
        }
        self.change(ContentChange::Write(position, bytes));
        outcome
    }

    fn read_exact_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.call(CallKind::Read)?;
        self.with(|node| {
            let position = usize::try_from(position).map_err(|_| io::ErrorKind::UnexpectedEof)?;
            let end = position.checked_add(buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            buffer.copy_from_slice(node.now.get(position..end).ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        let outcome = self.call(CallKind::SyncData);
        self.with(|node| match outcome {
            Ok(()) => node.sync(),
            Err(_) => node.unsynced.clear(),
        });
        outcome
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.call(CallKind::Truncate)?;
        self.change(ContentChange::Truncate(length));
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.with(|node| node.now.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> MemDisk {
        let disk = MemDisk::new();
        disk.create_dir_all(Path::new("/d")).unwrap();
        disk
    }

    /// What was synced is in every image; what was not is whole, torn or gone, and some image shows each.
    #[test]
    fn a_crash_keeps_what_was_synced_and_tears_the_rest() {
        let disk = disk();
        let path = Path::new("/d/f");
        let file = disk.open(path, OpenMode::CreateNew).unwrap();
        file.write_all_at(0, &[1; 2048]).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        file.write_all_at(512, &[2; 1024]).unwrap();
        let mut seen = BTreeSet::new();
        for seed in 0..200 {
            let content = disk.crash(seed).contents(path).unwrap();
            assert_eq!(content.len(), 2048);
            assert_eq!((content[0], content[2047]), (1, 1));
            assert!(content.chunks(512).all(|sector| sector.iter().all(|b| *b == sector[0])), "a sector was torn");
            seen.insert((content[512], content[1024]));
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [(1, 1), (1, 2), (2, 1), (2, 2)]);
    }

    #[test]
    fn a_rename_without_a_directory_sync_may_be_undone() {
        let disk = disk();
        let (old, new) = (Path::new("/d/old"), Path::new("/d/new"));
        disk.open(old, OpenMode::CreateNew).unwrap().sync_data().unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        disk.rename(old, new).unwrap();
        let images: BTreeSet<bool> = (0..100).map(|seed| disk.crash(seed).contents(new).is_some()).collect();
        assert_eq!(images.len(), 2);
        disk.sync_dir(Path::new("/d")).unwrap();
        assert!((0..100).all(|seed| disk.crash(seed).contents(new).is_some()));
        assert!((0..100).all(|seed| disk.crash(seed).contents(old).is_none()));
    }

    #[test]
    fn a_failed_sync_loses_the_writes_but_shows_them() {
        let disk = disk();
        let path = Path::new("/d/f");
        let file = disk.open(path, OpenMode::CreateNew).unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        file.write_all_at(0, b"abc").unwrap();
        disk.fail(CallKind::SyncData, 1, io::ErrorKind::Other);
        assert!(file.sync_data().is_err());
        file.sync_data().unwrap();
        assert_eq!(disk.contents(path).unwrap(), b"abc");
        assert!((0..50).all(|seed| disk.crash(seed).contents(path).unwrap().is_empty()));
    }
}
