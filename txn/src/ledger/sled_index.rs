//! The index over sled.
//!
//! One tree, no timed flush, a small fixed cache. sled's own durability is not relied on: it comes back as some prefix of what
//! was written, and the log is replayed from there (architecture.md §4). Keys are written one by one, since readers of sled
//! wait for a batch to end, however long it is.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::Duration,
};

use bytes::Bytes;

use super::{Change, Direction, Error, Index, Lsn, Result, View, Visitor};
use crate::key::KeySpan;

/// Ledger keys start at ordinal 1; what starts with this is the index's own.
const OWN: u8 = 0;
/// Where the number of the last applied frame lies.
const APPLIED: &[u8] = &[OWN];
/// Present while changes are applied: the number of the frame up to which they go.
const APPLYING: &[u8] = &[OWN, 1];
const CACHE_BYTES: u64 = 32 << 20;
/// A dying process may hold sled's lock a little longer.
const OPEN_ATTEMPTS: u32 = 50;
const OPEN_PAUSE: Duration = Duration::from_millis(100);

/// An index in a folder.
pub struct SledIndex {
    db: sled::Db,
}

fn engine(error: sled::Error) -> Error {
    Error::Engine { engine: "index (sled)", message: error.to_string() }
}

impl SledIndex {
    /// Opens the folder, or makes it. An error says that the index is damaged or in use; it can be removed and rebuilt.
    pub fn open(path: &Path) -> Result<Self> {
        let config =
            sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None).use_compression(false);
        let mut attempt = 0;
        let db = loop {
            // sled checks much of what it reads by asserting it; a damaged index is no reason to end the process.
            let opened = catch_unwind(AssertUnwindSafe(|| config.open())).map_err(|_| Error::Engine {
                engine: "index (sled)",
                message: "it panicked on what it found".into(),
            })?;
            match opened {
                Ok(db) => break db,
                Err(error) if attempt < OPEN_ATTEMPTS && error.to_string().contains("could not acquire lock") => {
                    attempt += 1;
                    std::thread::sleep(OPEN_PAUSE);
                }
                Err(error) => return Err(engine(error)),
            }
        };
        Ok(Self { db })
    }

    fn number(&self, key: &[u8]) -> Option<Lsn> {
        let raw = self.db.get(key).ok().flatten();
        raw.and_then(|raw| raw.as_ref().try_into().ok().map(u64::from_be_bytes))
    }
}

impl View for SledIndex {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.db.get(key).map_err(engine)?.map(|value| Bytes::copy_from_slice(&value)))
    }
    fn scan(&self, span: &KeySpan, direction: Direction, visit: Visitor<'_>) -> Result<()> {
        let mut entries = self.db.range::<&[u8], _>(span.from.as_slice()..span.to.as_slice());
        loop {
            let entry = match direction {
                Direction::Ascending => entries.next(),
                Direction::Descending => entries.next_back(),
            };
            let Some(entry) = entry else { return Ok(()) };
            let (key, value) = entry.map_err(engine)?;
            if key.first() != Some(&OWN) && !visit(&key, &Bytes::copy_from_slice(&value)) {
                return Ok(());
            }
        }
    }
}

impl Index for SledIndex {
    fn applied(&self) -> Lsn {
        self.number(APPLIED).unwrap_or(0)
    }
    fn applying(&self) -> Option<Lsn> {
        self.number(APPLYING)
    }
    fn apply(&self, lsn: Lsn, changes: &[Change]) -> Result<()> {
        self.db.insert(APPLYING, &lsn.to_be_bytes()).map_err(engine)?;
        for (key, value) in changes {
            match value {
                Some(value) => self.db.insert(key, value.as_ref()),
                None => self.db.remove(key),
            }
            .map_err(engine)?;
        }
        let mut done = sled::Batch::default();
        done.insert(APPLIED, &lsn.to_be_bytes());
        done.remove(APPLYING);
        self.db.apply_batch(done).map_err(engine)
    }
}

impl Drop for SledIndex {
    fn drop(&mut self) {
        // Only shortens the next start: what sled loses is replayed from the log.
        let _ = self.db.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::conformance;

    #[test]
    fn passes_the_conformance_suite() {
        let folder = tempfile::tempdir().unwrap();
        conformance::check_index(
            &mut |case| Box::new(SledIndex::open(&folder.path().join(case)).unwrap()),
            conformance::Reopen::KeepsState,
        );
    }
}
