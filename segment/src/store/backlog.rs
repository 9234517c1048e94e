//! The backlog: committed bytes that lie in the log only and wait to be published as Parquet.
//!
//! Publishing writes the events once more before the log can give their space back, so a backlog that grows without end fills
//! the disk. Above a limit writers are held back until a publication brought it below (`admission`).

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use sluice_proto::storage::v1::Segment;
use sluice_schema::ids::SegmentId;
use sluice_txn::{
    key::{Key, KeySpan},
    ledger::{self, Direction, Records as _, View},
};
use tokio::sync::watch;

/// How much waits for publication, and how much may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Bytes of committed blocks that are not in Parquet yet, over all segments. Blocks of open and prepared transactions don't
    /// count.
    pub unpublished_bytes: u64,
    /// Writers are held back while more waits: the setting, or half of what the disk has room for if that is less.
    pub limit_bytes: u64,
    /// Writers are held back, and nothing was published for so long that they are refused. Until something is.
    pub stalled: bool,
    /// Whether maintenance has yet to see that something was published.
    published: bool,
    /// When maintenance last saw that writers are not held back, or that something was published. Milliseconds since 1970-01-01.
    progress_ms: u64,
}

/// Tells when writers are held back, when they are no more, and, while they are, each time something was published.
pub type BacklogWatch = watch::Receiver<Backlog>;

impl Backlog {
    /// Whether writers wait.
    pub fn holds_writers(&self) -> bool {
        self.unpublished_bytes > self.limit_bytes
    }
}

/// Counts what durable changes of segments say.
pub(super) struct BacklogCount {
    of_segments: Mutex<HashMap<SegmentId, u64>>,
    state: watch::Sender<Backlog>,
}

impl BacklogCount {
    /// Counts what a state of the ledger holds.
    pub(super) fn of(view: &dyn View, limit_bytes: u64, now_ms: u64) -> ledger::Result<Self> {
        let segments = view.records::<Segment>(&KeySpan::segments(), Direction::Ascending, usize::MAX)?;
        let counted = segments.into_iter().filter_map(|(key, segment)| match key {
            Key::Segment(id) if segment.unpublished_bytes > 0 => Some((id, segment.unpublished_bytes)),
            _ => None,
        });
        let of_segments: HashMap<_, _> = counted.collect();
        let unpublished_bytes = of_segments.values().sum();
        let state = Backlog { unpublished_bytes, limit_bytes, stalled: false, published: false, progress_ms: now_ms };
        Ok(Self { of_segments: Mutex::new(of_segments), state: watch::Sender::new(state) })
    }

    pub(super) fn now(&self) -> Backlog {
        *self.state.borrow()
    }

    pub(super) fn watch(&self) -> BacklogWatch {
        self.state.subscribe()
    }

    /// Takes the present `unpublished_bytes` of segments that changed; 0 for those that are gone.
    pub(super) fn set(&self, segments: impl IntoIterator<Item = (SegmentId, u64)>) {
        let mut of_segments = self.of_segments.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut more, mut less) = (0, 0);
        for (id, bytes) in segments {
            let before = if bytes > 0 { of_segments.insert(id, bytes) } else { of_segments.remove(&id) };
            more += bytes.saturating_sub(before.unwrap_or(0));
            less += before.unwrap_or(0).saturating_sub(bytes);
        }
        self.change(|state| {
            state.unpublished_bytes = (state.unpublished_bytes + more).saturating_sub(less);
            // A segment shrinks when it is published, or deleted.
            state.published |= less > 0;
            state.stalled &= less == 0 && state.holds_writers();
            less > 0
        });
    }

    /// Sets the limit, and says that publication stalled when writers were held back for `held_ms_max` without any.
    pub(super) fn review(&self, limit_bytes: u64, now_ms: u64, held_ms_max: u64) {
        self.change(|state| {
            let before = state.stalled;
            state.limit_bytes = limit_bytes;
            if std::mem::take(&mut state.published) || !state.holds_writers() {
                state.progress_ms = now_ms;
            }
            state.stalled = state.holds_writers() && now_ms.saturating_sub(state.progress_ms) >= held_ms_max;
            state.stalled != before
        });
    }

    /// Wakes who watches only for what [`BacklogWatch`] promises: most changes are appends that concern nobody.
    fn change(&self, change: impl FnOnce(&mut Backlog) -> bool) {
        self.state.send_if_modified(|state| {
            let held = state.holds_writers();
            let noteworthy = change(state);
            held != state.holds_writers() || held && noteworthy
        });
    }
}

#[cfg(test)]
mod tests {
    use sluice_schema::ids::{SegmentNumber, StreamId};
    use sluice_txn::ledger::MemoryIndex;

    use super::*;

    fn segment(number: u32) -> SegmentId {
        SegmentId::new(StreamId::new(1), SegmentNumber::new(number))
    }

    fn empty() -> BacklogCount {
        BacklogCount::of(&MemoryIndex::default(), 100, 0).unwrap()
    }

    #[test]
    fn the_sum_follows_every_segment() {
        let count = empty();
        count.set([(segment(0), 40), (segment(1), 30)]);
        assert_eq!(count.now().unpublished_bytes, 70);
        count.set([(segment(0), 90), (segment(1), 10)]);
        assert_eq!(count.now().unpublished_bytes, 100);
        assert!(!count.now().holds_writers(), "at the limit, not above it");
        count.set([(segment(0), 91)]);
        assert!(count.now().holds_writers());
        count.set([(segment(0), 0), (segment(7), 0)]);
        assert_eq!(count.now().unpublished_bytes, 10);
    }

    #[test]
    fn only_what_concerns_held_writers_wakes() {
        let count = empty();
        let mut watch = count.watch();
        let mut woken = || {
            std::mem::replace(&mut watch.has_changed().unwrap(), false) && {
                watch.mark_unchanged();
                true
            }
        };
        count.set([(segment(0), 80)]);
        count.set([(segment(0), 70)]);
        assert!(!woken(), "nobody is held");
        count.set([(segment(0), 120)]);
        assert!(woken(), "held from now on");
        count.set([(segment(1), 50)]);
        assert!(!woken(), "more of it");
        count.set([(segment(0), 60)]);
        assert!(woken(), "published, and still too much");
        count.set([(segment(1), 0)]);
        assert!(woken(), "no longer held");
        count.review(50, 0, 60);
        assert!(woken(), "held by a smaller limit");
        count.review(49, 0, 60);
        assert!(!woken());
    }

    #[test]
    fn publication_stalls_when_held_writers_see_none_for_long() {
        let count = empty();
        count.review(100, 1000, 60);
        count.set([(segment(0), 150), (segment(1), 150)]);
        count.review(100, 1059, 60);
        assert!(!count.now().stalled);
        count.set([(segment(0), 149)]);
        count.review(100, 1061, 60);
        assert!(!count.now().stalled, "something was published");
        count.set([(segment(0), 160)]);
        count.review(100, 1121, 60);
        assert!(count.now().stalled, "nothing was since");
        count.set([(segment(1), 100)]);
        assert!(!count.now().stalled, "something was");
        count.review(100, 1180, 60);
        count.review(100, 1240, 60);
        assert!(count.now().stalled);
        count.review(300, 1241, 60);
        assert!(!count.now().stalled, "nobody is held");
        count.review(100, 1242, 60);
        assert!(!count.now().stalled, "held anew");
    }
}
