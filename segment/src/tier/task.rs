//! The one task that publishes.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use sluice_proto::storage::v1::{Extent, Segment, Stream};
use sluice_schema::ids::{Offset, SegmentId, StreamId};
use sluice_schema::names::StreamName;
use sluice_txn::key::{Key, KeySpan};
use sluice_txn::ledger::{Direction, Records};
use tokio::sync::{mpsc, oneshot, watch};

use super::{Command, Error, Recovered, Shared};
use crate::parquet::WrittenFile;
use crate::parquet::plan::{PendingExtent, Plan, PlannedFile, Reason, SegmentFacts, plan};
use crate::store::BacklogWatch;

/// Longest pause after failures of a segment.
const RETRY_MS_MAX: u64 = 10 * 60 * 1000;

/// Files that are written at the same time when somebody waits for them: each costs a processor, and memory for its row group.
const FILES_AT_ONCE: usize = 2;

/// Waits until `stop` says true; a sender that is gone has stopped, too.
async fn stopped(stop: &mut tokio::sync::watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Waits until writers are held back. While they are, it returns once after each time something was published: after a look
/// that published nothing, trying again is left to the next one in its turn.
pub(super) async fn writers_held(backlog: &mut BacklogWatch) {
    while backlog.changed().await.is_ok() {
        if backlog.borrow_and_update().holds_writers() {
            return;
        }
    }
    // The store is gone.
    std::future::pending().await
}

/// A file that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The segment.
    pub segment: SegmentId,
    /// Its offsets.
    pub offsets: Range<u64>,
    /// Its size.
    pub bytes: u64,
    /// What its rows took in the log.
    pub log_bytes: u64,
    /// Why it was published now.
    pub reason: Reason,
}

/// Publishes; there is one per store. Give it to a task of its own.
pub struct Tierer {
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<Command>,
    /// Segments that need no look before something changes.
    resting: HashMap<SegmentId, Rest>,
    /// Flushes that were asked for while files were published.
    flushes: VecDeque<Command>,
    /// Removals that wait for a backup or a verification to end.
    removals: Vec<(StreamName, oneshot::Sender<Result<(), Error>>)>,
    /// Says true when the task is to end.
    pub(super) stop: watch::Receiver<bool>,
}

/// A segment whose turn it is.
struct Work {
    segment: SegmentId,
    stream: StreamName,
    /// Everything below is due; 0: what the policy says.
    flush_below: u64,
    /// The segment's next offset when it was looked at.
    next_offset: u64,
    /// What was not published of it then.
    bytes: u64,
}

/// What a segment's turn came to.
enum Turn {
    Published(Published),
    /// When the rest will be due.
    NothingDue(Option<u64>),
}

/// What was published, and of each segment when the rest will be due.
#[derive(Default)]
struct Done {
    published: Vec<Published>,
    outcomes: Vec<(Work, Result<Option<u64>, Error>)>,
}

#[derive(Clone, Copy)]
struct Rest {
    /// The segment's next offset when it was looked at.
    next_offset: u64,
    /// Look again then, whatever happened. Milliseconds since 1970-01-01.
    until_ms: u64,
    /// Failures in a row.
    failures: u32,
}

impl Tierer {
    pub(super) fn new(shared: Arc<Shared>, inbox: mpsc::Receiver<Command>) -> Self {
        Self {
            shared,
            inbox,
            resting: HashMap::new(),
            flushes: VecDeque::new(),
            removals: Vec::new(),
            stop: watch::channel(false).1,
        }
    }

    /// Puts right what a crash left behind. Once, before anything reads files or [`Tierer::run`] begins.
    pub async fn recover(&mut self) -> Result<Recovered, Error> {
        self.shared.recover().await
    }

    /// Publishes what is due, now and then and on demand, until `stop` says true or every [`super::Tier`] is gone. A publication under way is finished first;
    /// if the future is dropped instead, the next start puts right what is left.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        self.stop = stop.clone();
        let interval = Duration::from_millis(self.shared.options.interval_ms.max(1));
        let mut backlog = self.shared.store.watch_backlog();
        // Writers may be held back from the start.
        backlog.mark_changed();
        loop {
            while let Some(flush) = self.flushes.pop_front() {
                self.obey(flush).await;
            }
            tokio::select! {
                biased;
                () = stopped(&mut stop) => {
                    return;
                }
                command = self.inbox.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => return,
                },
                () = writers_held(&mut backlog) => {
                    self.look().await;
                }
                () = tokio::time::sleep(interval) => {
                    self.look().await;
                }
            }
            self.remove_deferred().await;
        }
    }

    /// Looks at every segment and publishes what is due. Failures are logged, and tried again after a growing pause.
    pub async fn look(&mut self) -> Vec<Published> {
        self.rename_leftovers().await;
        let shared = self.shared.clone();
        let segments = self.shared.blocking(move || shared.segments_with_rows()).await.and_then(|found| found);
        let segments =
            segments.inspect_err(|error| tracing::warn!(%error, "cannot look for rows to publish")).unwrap_or_default();
        let present: std::collections::HashSet<_> = segments.iter().map(|(id, _, _)| *id).collect();
        self.resting.retain(|id, _| present.contains(id));
        let now_ms = self.shared.store.env().clock.now_ms();
        let pressed = self.shared.is_pressed();
        let due = |(id, _, segment): &(SegmentId, StreamName, Segment)| {
            let rest = self.resting.get(id);
            !rest.is_some_and(|rest| rest.holds(segment, now_ms) && !(pressed && rest.failures == 0))
        };
        let work = |(segment, stream, record): (SegmentId, StreamName, Segment)| Work {
            segment,
            stream,
            flush_below: 0,
            next_offset: record.next_offset,
            bytes: record.unpublished_bytes,
        };
        let queue = segments.into_iter().filter(due).map(work).collect();
        let Done { published, outcomes } = self.publish_due(queue).await;
        for (work, outcome) in outcomes {
            self.rest_after(&work, outcome);
        }
        published
    }

    /// When a segment is looked at again.
    fn rest_after(&mut self, work: &Work, outcome: Result<Option<u64>, Error>) {
        let segment = work.segment;
        match outcome {
            Ok(due_ms) => {
                let until_ms = due_ms.unwrap_or(u64::MAX);
                self.resting.insert(segment, Rest { next_offset: work.next_offset, until_ms, failures: 0 });
            }
            Err(Error::Stopped) => {}
            Err(error) if matches!(self.shared.stream_name(segment.stream), Ok(None)) => {
                tracing::debug!(%segment, %error, "the stream was deleted while it was published");
            }
            Err(error) => {
                tracing::warn!(%segment, %error, "cannot publish; trying again later");
                let failures = self.resting.get(&segment).map_or(0, |rest| rest.failures);
                let now_ms = self.shared.store.env().clock.now_ms();
                self.rest_after_failure(segment, now_ms, failures);
            }
        }
    }

    /// How many may be written at the same time where this is one of them. More than one only where somebody waits for it: otherwise
    /// writers and readers have better use for the processors. Not for the little that is published just because writers wait.
    fn files_at_once(&self, work: &Work) -> usize {
        let full = || work.bytes >= self.shared.options.policy.file_bytes_target;
        let waited_for = work.flush_below > 0 || self.shared.store.backlog().holds_writers() && full();
        if waited_for { FILES_AT_ONCE } else { 1 }
    }

    /// Publishes what is due of some segments, file by file, those first that come first.
    async fn publish_due(&mut self, mut queue: VecDeque<Work>) -> Done {
        let mut done = Done::default();
        let mut under_way = FuturesUnordered::new();
        loop {
            while !*self.stop.borrow()
                && queue.front().is_some_and(|work| under_way.len() < self.files_at_once(work))
                && let Some(work) = queue.pop_front()
            {
                under_way.push(Arc::clone(&self.shared).publish_next(work));
            }
            let Some((mut work, outcome)) = under_way.next().await else { break };
            match outcome {
                Ok(Turn::NothingDue(due_ms)) => done.outcomes.push((work, Ok(due_ms))),
                Ok(Turn::Published(file)) => {
                    match file.reason {
                        // What came meanwhile is little: other segments give writers more.
                        Reason::Held => done.outcomes.push((work, Ok(None))),
                        _ => {
                            work.bytes = work.bytes.saturating_sub(file.log_bytes);
                            queue.push_front(work);
                        }
                    }
                    done.published.push(file);
                    self.remove_between_files().await;
                }
                Err(error) => done.outcomes.push((work, Err(error))),
            }
        }
        // Left when the task is to end.
        done.outcomes.extend(queue.into_iter().map(|work| (work, Err(Error::Stopped))));
        done
    }

    /// Whoever deletes a stream waits for its files to go, and a backlog takes long: removals have a turn after each file.
    async fn remove_between_files(&mut self) {
        while let Ok(command) = self.inbox.try_recv() {
            match command {
                Command::RemoveFiles(stream, answer) => self.removals.push((stream, answer)),
                flush @ Command::Flush(..) => self.flushes.push_back(flush),
            }
        }
        self.remove_deferred().await;
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Flush(below, answer) => {
                let flushed = self.flush(below).await;
                // A caller that went away needs no answer.
                let _ = answer.send(flushed);
            }
            Command::RemoveFiles(stream, answer) => self.removals.push((stream, answer)),
        }
    }

    async fn flush(&mut self, below: Vec<(SegmentId, u64)>) -> Result<(), Error> {
        self.rename_leftovers().await;
        let mut queue = VecDeque::new();
        for (segment, flush_below) in below {
            if let Some(stream) = self.shared.stream_name(segment.stream)? {
                queue.push_back(Work { segment, stream, flush_below, next_offset: 0, bytes: 0 });
            }
        }
        self.publish_due(queue).await.outcomes.into_iter().try_for_each(|(_, outcome)| outcome.map(drop))
    }

    async fn remove_deferred(&mut self) {
        if self.removals.is_empty() || self.shared.store.files_are_held() {
            return;
        }
        for (stream, answer) in std::mem::take(&mut self.removals) {
            let shared = self.shared.clone();
            let removed = self.shared.blocking(move || shared.remove_files(&stream)).await;
            let _ = answer.send(removed.unwrap_or_else(Err));
        }
    }

    /// Renames that failed are tried again; until then the files are read under their hidden names.
    async fn rename_leftovers(&mut self) {
        let leftovers: Vec<_> = self.shared.renaming().iter().map(|(key, hidden)| (*key, hidden.clone())).collect();
        for ((segment, first), hidden) in leftovers {
            let row = self.shared.store.record(&Key::ParquetFile(segment, Offset::new(first)));
            let row: Result<Option<sluice_proto::storage::v1::ParquetFile>, _> = row;
            if let Ok(Some(row)) = row
                && let Err(error) = self.shared.rename(segment, first, hidden, self.shared.root.join(row.path)).await
            {
                tracing::warn!(%segment, first, %error, "cannot rename a published file; trying again later");
            }
        }
    }

    fn rest_after_failure(&mut self, id: SegmentId, now_ms: u64, failures: u32) {
        let pause_ms = (self.shared.options.interval_ms.max(1) << failures.min(16)).min(RETRY_MS_MAX);
        let rest = Rest { next_offset: u64::MAX, until_ms: now_ms.saturating_add(pause_ms), failures: failures + 1 };
        self.resting.insert(id, rest);
    }
}

impl Rest {
    /// Whether nothing new can be due. After failures new rows change nothing, only time does.
    fn holds(&self, segment: &Segment, now_ms: u64) -> bool {
        now_ms < self.until_ms && (self.failures > 0 || segment.next_offset == self.next_offset && !segment.sealed)
    }
}

impl Shared {
    /// Publishes the next file of a segment, if one is due.
    async fn publish_next(self: Arc<Self>, work: Work) -> (Work, Result<Turn, Error>) {
        let outcome = self.try_publish_next(&work).await;
        (work, outcome)
    }

    async fn try_publish_next(self: &Arc<Self>, work: &Work) -> Result<Turn, Error> {
        let Work { segment, ref stream, flush_below, .. } = *work;
        let shared = self.clone();
        let plan = self.blocking(move || shared.plan(segment, flush_below)).await??;
        // Only the first file: the extents were looked up no further than it may reach.
        let Some(first) = plan.files.into_iter().next() else { return Ok(Turn::NothingDue(plan.due_ms)) };
        let written = self.publish(segment, stream, &first).await.inspect_err(|_| self.count_failure())?;
        self.count(&written);
        tracing::info!(%segment, %stream, first = written.first_offset, end = written.end_offset, bytes = written.bytes, reason = ?first.reason, "published");
        let PlannedFile { offsets, bytes: log_bytes, reason, .. } = first;
        Ok(Turn::Published(Published { segment, offsets, bytes: written.bytes, log_bytes, reason }))
    }

    /// Segments with rows that are not in Parquet yet, those with the most bytes first.
    fn segments_with_rows(&self) -> Result<Vec<(SegmentId, StreamName, Segment)>, Error> {
        let streams: Vec<(Key, Stream)> = self.store.records(&KeySpan::streams(), Direction::Ascending, usize::MAX)?;
        let mut found = Vec::new();
        for (key, stream) in streams {
            let Key::Stream(id) = key else { continue };
            let name = stream_name(id, &stream)?;
            let segments =
                self.store.segments(id)?.into_iter().filter(|(_, segment)| segment.next_offset > segment.parquet_end);
            found.extend(segments.map(|(id, segment)| (id, name.clone(), segment)));
        }
        found.sort_by_key(|(_, _, segment)| Reverse(segment.unpublished_bytes));
        Ok(found)
    }

    fn stream_name(&self, id: StreamId) -> Result<Option<StreamName>, Error> {
        self.store.stream(id)?.map(|stream| stream_name(id, &stream)).transpose()
    }

    /// Plans one segment; right as far as the first file goes.
    fn plan(&self, id: SegmentId, flush_below: u64) -> Result<Plan, Error> {
        let policy = &self.options.policy;
        let limit = policy.file_extents_max.max(1);
        let read = self.store.read(|view| -> Result<_, Error> {
            let Some(segment) = view.segment(id)? else { return Ok(None) };
            let (from, to) = (Offset::new(segment.parquet_end), Offset::new(segment.next_offset));
            let extents = view.extents(id, from, to, limit)?;
            Ok(Some((segment, extents)))
        });
        let Some((segment, extents)) = read? else { return Ok(Plan::default()) };
        let facts = SegmentFacts {
            parquet_end: segment.parquet_end,
            sealed: segment.sealed,
            flush_below,
            log_full: self.log_is_full(),
            writers_held: self.store.backlog().holds_writers(),
        };
        let extents = extents.into_iter().map(pending);
        plan(&facts, extents, policy, self.store.env().clock.now_ms()).map_err(|gap| Error::Gap { segment: id, gap })
    }

    /// Earlier than the log starts to copy blocks forward: a file is the better place for them. And earlier than writers are
    /// held back.
    fn log_is_full(&self) -> bool {
        let backlog = self.store.backlog();
        self.store.log_bytes() > self.store.options().log_limit_bytes / 4 * 3
            || backlog.unpublished_bytes > backlog.limit_bytes / 4 * 3
    }

    /// Whether rows are published that could wait otherwise.
    fn is_pressed(&self) -> bool {
        self.log_is_full() || self.store.backlog().holds_writers()
    }

    fn count(&self, written: &WrittenFile) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.rows.fetch_add(written.rows, Ordering::Relaxed);
        self.bytes.fetch_add(written.bytes, Ordering::Relaxed);
    }

    fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }
}

fn stream_name(id: StreamId, stream: &Stream) -> Result<StreamName, Error> {
    StreamName::parse_parts(&stream.scope, &stream.name)
        .map_err(|error| Error::Damaged(format!("stream {id} in the ledger: {error}")))
}

fn pending((base, extent): (Offset, Extent)) -> PendingExtent {
    let block = extent.block.unwrap_or_default();
    PendingExtent {
        base_offset: base.get(),
        rows: u64::from(block.rows),
        bytes: block.at.map_or(0, |at| u64::from(at.length)),
        commit_ms: extent.commit_ms,
        schema_id: block.schema_id,
    }
}
