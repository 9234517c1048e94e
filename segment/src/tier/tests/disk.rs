//! A disk that shows what a crash would leave at every step below `parquet`, and fails there on demand.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::env::{Disk, Entry, File, MemDisk, OpenMode, Survivors};

/// Crash images taken at each step. What survives of that which was not synced goes round from step to step.
const IMAGES: u64 = 4;

#[derive(Debug, Clone)]
pub(super) struct WatchedDisk {
    pub(super) inner: MemDisk,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    steps: AtomicU64,
    /// Fails the step of this number, from 1; 0: none.
    failing: AtomicU64,
    images: Mutex<Option<Vec<(String, MemDisk)>>>,
}

impl WatchedDisk {
    pub(super) fn over(inner: MemDisk) -> Self {
        Self { inner, state: Arc::default() }
    }

    /// Takes images from here on.
    pub(super) fn record(&self) {
        *self.state.images.lock().unwrap() = Some(Vec::new());
    }

    pub(super) fn images(&self) -> Vec<(String, MemDisk)> {
        self.state.images.lock().unwrap().take().unwrap()
    }

    /// Lets the step after `steps` more fail once.
    pub(super) fn fail_after(&self, steps: u64) {
        let now = self.state.steps.load(Ordering::SeqCst);
        self.state.failing.store(now + steps + 1, Ordering::SeqCst);
    }

    /// Whether the failure asked for has happened.
    pub(super) fn failed(&self) -> bool {
        self.state.steps.load(Ordering::SeqCst) >= self.state.failing.load(Ordering::SeqCst)
    }

    fn step<T>(&self, what: &str, path: &Path, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if !path.components().any(|part| part.as_os_str() == "parquet") {
            return act();
        }
        let step = self.state.steps.fetch_add(1, Ordering::SeqCst) + 1;
        if step == self.state.failing.load(Ordering::SeqCst) {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                format!("step {step} fails: {what} {}", path.display()),
            ));
        }
        let done = act();
        // Reading leaves everything as it was.
        if let Some(images) = &mut *self.state.images.lock().unwrap()
            && what != "read"
        {
            let cases = Survivors::cases(&self.inner.unsynced(), step * IMAGES..(step + 1) * IMAGES);
            let image = |number: u64| {
                let case = cases[(step * IMAGES + number) as usize % cases.len()];
                (format!("after step {step} ({what} {}), {case:?}", path.display()), case.of(&self.inner).disk)
            };
            images.extend((0..IMAGES.min(cases.len() as u64)).map(image));
        }
        done
    }
}

impl Disk for WatchedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let file = self.step("open", path, || self.inner.open(path, mode))?;
        Ok(Arc::new(WatchedFile { disk: self.clone(), path: path.to_owned(), file }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step("rename", from, || self.inner.rename(from, to))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step("remove", path, || self.inner.remove(path))
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_dir(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.inner.list(dir)
    }
    fn len(&self, path: &Path) -> io::Result<u64> {
        self.inner.len(path)
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.step("create folder", dir, || self.inner.create_dir_all(dir))
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.step("sync folder", dir, || self.inner.sync_dir(dir))
    }
    fn free_bytes(&self, dir: &Path) -> io::Result<Option<u64>> {
        self.inner.free_bytes(dir)
    }
}

#[derive(Debug)]
struct WatchedFile {
    disk: WatchedDisk,
    path: PathBuf,
    file: Arc<dyn File>,
}

impl File for WatchedFile {
    fn write_vectored_at(&self, position: u64, parts: &[&[u8]]) -> io::Result<()> {
        self.disk.step("write", &self.path, || self.file.write_vectored_at(position, parts))
    }
    fn read_exact_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.disk.step("read", &self.path, || self.file.read_exact_at(position, buffer))
    }
    fn sync_data(&self) -> io::Result<()> {
        self.disk.step("sync", &self.path, || self.file.sync_data())
    }
    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.truncate(length)
    }
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
}
