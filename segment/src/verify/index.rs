//! The index against the log.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use sluice_schema::ids::{SegmentId, StreamId};
use sluice_txn::{
    key::{Key, KeySpan},
    ledger::{Direction, Index as _, SledIndex, View as _},
};

use super::{Check, Damage, Entries, IndexContent, IndexSource, Ledger, VerifyError, guarded, with_sources};
use crate::{
    log::{self, Lsn},
    store::{EmbeddedStore, decode_facts, index_folder, log_folder},
};

/// Differences told one by one.
const DIFFERENCES_MAX: usize = 100;

/// The index of a running store.
pub(super) struct Running<'a> {
    pub store: &'a EmbeddedStore,
}

impl IndexSource for Running<'_> {
    fn content(&self) -> Result<Option<IndexContent>, String> {
        guarded(|| {
            let (applied, entries) = self.store.content().map_err(|error| error.to_string())?;
            Ok(Some(IndexContent { applied, applying: None, entries }))
        })
    }
    fn is_running(&self) -> bool {
        true
    }
}

/// A copy of a folder's index: sled writes to what it opens. Removed when dropped.
pub(super) struct Copied {
    copy: Option<PathBuf>,
}

impl Copied {
    pub(super) fn of(folder: &Path, copy: PathBuf) -> Result<Self, VerifyError> {
        let from = index_folder(folder);
        if !from.is_dir() {
            return Ok(Self { copy: None });
        }
        let copied = Self { copy: Some(copy.clone()) };
        copy_folder(&from, &copy).map_err(|source| VerifyError::Copy { path: copy, source })?;
        Ok(copied)
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        if let Some(copy) = &self.copy {
            // What stays lies among the system's temporary files.
            let _ = fs::remove_dir_all(copy);
        }
    }
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

impl IndexSource for Copied {
    fn content(&self) -> Result<Option<IndexContent>, String> {
        let Some(copy) = &self.copy else { return Ok(None) };
        guarded(|| {
            let index = SledIndex::open(copy).map_err(|error| error.to_string())?;
            let mut entries = Entries::new();
            let read = index.scan(&KeySpan::everything(), Direction::Ascending, &mut |key, value| {
                entries.insert(key.to_vec(), value.clone());
                true
            });
            read.map_err(|error| error.to_string())?;
            Ok(Some(IndexContent { applied: Lsn(index.applied()), applying: index.applying().map(Lsn), entries }))
        })
    }
    fn is_running(&self) -> bool {
        false
    }
}

impl Check<'_> {
    /// Builds the ledger again from snapshot and log and compares the index with it. Answers the state to check further, if
    /// one can be had.
    pub(super) fn index(
        &mut self,
        start: Option<(Lsn, Entries)>,
        in_log: &log::Report,
        source: &dyn IndexSource,
    ) -> Option<Ledger> {
        let index = source.content().unwrap_or_else(|message| {
            let text = format!("the index cannot be read ({message}); `sluice admin rebuild-index` builds it again");
            self.damage(Damage::of_file(index_folder(self.folder), 0, text));
            None
        });
        let (snapshot, entries) = start.unwrap_or_default();
        let last = in_log.lsns.map_or(snapshot, |(_, last)| last).max(snapshot);
        let mut rebuilt = Rebuilt { entries, last: snapshot, folder: self.folder };
        let Some(IndexContent { applied, applying, entries: found }) = index else {
            let whole = self.replay(&mut rebuilt, last);
            return whole.then_some(Ledger { entries: rebuilt.entries });
        };
        // An index behind the snapshot is built again at the next start, so nothing is lost by it.
        let comparable = applied >= snapshot && self.replay(&mut rebuilt, applied);
        if comparable {
            let before = applying.map(|_| rebuilt.entries.clone());
            if applying.is_none_or(|to| self.replay(&mut rebuilt, to.min(last))) {
                self.compare(before.as_ref(), &rebuilt.entries, &found);
            }
        }
        if source.is_running() {
            return Some(Ledger { entries: found });
        }
        let whole = (comparable || applied < snapshot) && self.replay(&mut rebuilt, last);
        whole.then_some(Ledger { entries: rebuilt.entries })
    }

    /// Brings a rebuilt ledger up to a frame; answers whether that was possible.
    fn replay(&mut self, rebuilt: &mut Rebuilt<'_>, to: Lsn) -> bool {
        if to <= rebuilt.last {
            return true;
        }
        let folder = log_folder(rebuilt.folder);
        let mut undecodable = None;
        let (entries, from) = (&mut rebuilt.entries, rebuilt.last.next());
        let reached = log::replay(self.disk, &folder, from..to.next(), &mut |frame| match decode_facts(frame.facts) {
            Ok(changes) => {
                for (key, value) in changes {
                    match value {
                        Some(value) => entries.insert(key, value),
                        None => entries.remove(&key),
                    };
                }
            }
            Err(error) => undecodable = Some((frame.lsn, error)),
        });
        let missing = match (reached, undecodable) {
            (Err(error), _) => with_sources(&error),
            (_, Some((lsn, error))) => format!("the facts of frame {lsn} do not decode: {error}"),
            (Ok(reached), _) if reached <= to => format!("frame {reached} is missing or damaged"),
            _ => {
                rebuilt.last = to;
                return true;
            }
        };
        let text = format!("the ledger cannot be built again up to frame {to}: {missing}");
        self.damage(Damage::of_file(folder, 0, text));
        false
    }

    /// An entry is right as it is to be; and as it was before, where applying was under way.
    fn compare(&mut self, before: Option<&Entries>, right: &Entries, found: &Entries) {
        let keys: std::collections::BTreeSet<_> = right.keys().chain(found.keys()).collect();
        let mut differences = 0usize;
        for raw in &keys {
            if before.is_some_and(|before| before.get(*raw) == found.get(*raw)) {
                continue;
            }
            let message = match (right.get(*raw), found.get(*raw)) {
                (Some(right), Some(found)) if right == found => continue,
                (Some(_), Some(_)) => "differs from what the log says",
                (Some(_), None) => "is missing",
                (None, _) => "is not in the log",
            };
            differences += 1;
            if differences <= DIFFERENCES_MAX {
                let damage = self.difference(raw, message, right);
                self.damage(damage);
            }
        }
        if differences > DIFFERENCES_MAX {
            let text = format!("{} more entries of the index differ from the log", differences - DIFFERENCES_MAX);
            self.damage(Damage::of_file(index_folder(self.folder), 0, text));
        }
        self.did(0, keys.len() as u64);
    }

    fn difference(&self, raw: &[u8], message: &str, right: &Entries) -> Damage {
        let key = Key::decode(raw);
        let shown = key.as_ref().map_or_else(|| format!("{raw:02x?}"), |key| format!("{key:?}"));
        let text = format!("the index's entry {shown} {message}; `sluice admin rebuild-index` builds it again");
        let mut damage = Damage::of_file(index_folder(self.folder), 0, text);
        if let Some((stream, segment, offset)) = key.as_ref().and_then(concerned) {
            let ledger = Ledger { entries: only(right, stream) };
            damage.stream = ledger.stream_name(stream);
            damage.segment = segment.map(|id| id.segment.get());
            damage.offset = offset;
        }
        damage
    }
}

struct Rebuilt<'a> {
    entries: Entries,
    /// The frame up to which it holds everything.
    last: Lsn,
    folder: &'a Path,
}

/// The one entry that names a stream.
fn only(entries: &Entries, stream: StreamId) -> Entries {
    let key = Key::Stream(stream).encode();
    let value: Option<Bytes> = entries.get(&key).cloned();
    value.map(|value| (key, value)).into_iter().collect()
}

/// The events that an entry is about.
fn concerned(key: &Key) -> Option<(StreamId, Option<SegmentId>, Option<u64>)> {
    match key {
        Key::Stream(id) => Some((*id, None, None)),
        Key::Segment(id) => Some((id.stream, Some(*id), None)),
        Key::Extent(id, base) => Some((id.stream, Some(*id), Some(base.get()))),
        Key::ParquetFile(id, first) => Some((id.stream, Some(*id), Some(first.get()))),
        _ => None,
    }
}
