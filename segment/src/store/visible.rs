//! How readers learn that something became visible.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use sluice_proto::storage::v1::{Cluster, Segment};
use sluice_schema::ids::SegmentId;
use sluice_txn::{
    key::{Key, KeySpan},
    ledger::Overlay,
};
use tokio::sync::watch;

use super::backlog::BacklogCount;

/// The end of a segment as it grows; `None` once the segment was deleted.
pub type SegmentWatch = watch::Receiver<Option<Segment>>;
/// The store's last commit_seq as it grows.
pub type CommitWatch = watch::Receiver<u64>;

pub(super) struct Visible {
    commits: watch::Sender<u64>,
    /// Segments that somebody watches. Senders nobody listens to are dropped when the map doubles.
    segments: Mutex<HashMap<SegmentId, watch::Sender<Option<Segment>>>>,
    backlog: Arc<BacklogCount>,
}

/// Below this size the map is not swept.
const SWEEP_MIN: usize = 1024;

impl Visible {
    pub(super) fn new(last_commit: u64, backlog: Arc<BacklogCount>) -> Self {
        Self { commits: watch::Sender::new(last_commit), segments: Mutex::default(), backlog }
    }

    pub(super) fn watch_commits(&self) -> CommitWatch {
        self.commits.subscribe()
    }

    /// The first value may be older than the index: read the index after subscribing.
    pub(super) fn watch_segment(&self, segment: SegmentId) -> SegmentWatch {
        let mut segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        if segments.len() >= SWEEP_MIN && segments.len().is_power_of_two() {
            segments.retain(|_, sender| sender.receiver_count() > 0);
        }
        segments.entry(segment).or_insert_with(|| watch::Sender::new(None)).subscribe()
    }

    /// What [`Self::announce`] has to tell of changes.
    pub(super) fn news(changes: &Overlay) -> Overlay {
        let mut news = changes.part(&KeySpan::segments());
        news.add(changes.part(&KeySpan::cluster()));
        news
    }

    /// Tells the news of durable changes that readers see already.
    pub(super) fn announce(&self, news: Overlay) {
        use prost::Message as _;
        let mut unpublished = Vec::new();
        let segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        for (raw, value) in news.iter() {
            match Key::decode(raw) {
                Some(Key::Segment(id)) => {
                    let segment = value.as_ref().and_then(|value| Segment::decode(value.clone()).ok());
                    unpublished.push((id, segment.as_ref().map_or(0, |segment| segment.unpublished_bytes)));
                    if let Some(sender) = segments.get(&id) {
                        sender.send_replace(segment);
                    }
                }
                Some(Key::Cluster) => {
                    if let Some(cluster) = value.as_ref().and_then(|value| Cluster::decode(value.clone()).ok()) {
                        self.commits.send_replace(cluster.last_commit_seq);
                    }
                }
                _ => {}
            }
        }
        if !unpublished.is_empty() {
            self.backlog.set(unpublished);
        }
    }
}
