//! What a search may do: bounds, and which faults exist. The named configurations are in [`crate::configurations`].

use sluice_txn::protocol::Millis;

/// The time of every call but attaches.
pub const START_MS: Millis = 1_700_000_000_000;
/// Attaches are this far apart, so that two jobs in turn are not taken for flapping: a refusal by the clock is not modelled.
pub const BETWEEN_ATTACHES_MS: Millis = 10 * 60 * 1000;

/// Which snapshots a new attempt may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restores {
    /// The newest complete checkpoint, as Flink does by itself.
    Newest,
    /// Any complete checkpoint or savepoint, as people do.
    Any,
}

/// Bounds and faults.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its name.
    pub name: &'static str,
    /// What it is there for.
    pub about: &'static str,
    /// Splits of the source; also the most subtasks.
    pub splits: u8,
    /// Parallelisms of attempts; the first attempt takes the first.
    pub parallelisms: &'static [u8],
    /// Streams; a record goes to each.
    pub streams: u8,
    /// Segments of each stream.
    pub segments: u8,
    /// The highest checkpoint.
    pub checkpoints: u8,
    /// Attempts in all.
    pub attempts: u8,
    /// Attempts that run at one time.
    pub live: u8,
    /// Checkpoints under way at one time.
    pub concurrent: u8,
    /// Records of a split between two barriers.
    pub records: u8,
    /// Where attempts start from.
    pub restores: Restores,
    /// Restores may accept duplicates.
    pub accept_duplicates: bool,
    /// Restores may be new submissions.
    pub resubmit: bool,
    /// A submission without a complete checkpoint may start again without state.
    pub fresh_same: bool,
    /// New submissions may start without state.
    pub fresh_new: bool,
    /// Savepoints that nobody is told of.
    pub savepoints: bool,
    /// Checkpoints may be declined after their barrier passed the aggregator.
    pub declines: bool,
    /// Checkpoints may be cancelled with a part of the barriers on their way.
    pub cancels: bool,
    /// A subtask may have nothing to write.
    pub idle: bool,
    /// The source may end.
    pub bounded: bool,
    /// The job commits once, at its end, and has no checkpoints.
    pub batch: bool,
    /// Writers may prepare before their aggregator attached. Flink lets no barrier go before all tasks run, so in a streaming job
    /// only a source that ends at once does this (`tests/findings.rs`).
    pub eager: bool,
    /// How many calls of dead attempts may change something.
    pub late: u8,
    /// Every call that was made may arrive again.
    pub redeliver: bool,
    /// The committer may send its groups in any order.
    pub reorder: bool,
    /// How many answers may be lost.
    pub lost: u8,
    /// How many open transactions may end by time.
    pub expired: u8,
    /// Events of the plain writer.
    pub plain: u8,
    /// Publications.
    pub publications: u8,
    /// Few steps: a writer opens its slot with its first record and prepares at the barrier, an aggregator attaches as soon as it
    /// has read, and a start ends the attempt before. What lies between these is searched by the configurations that are not coarse.
    pub coarse: bool,
    /// Of how many states one is drained; 0: none.
    pub drain_every: u64,
}

impl Config {
    /// One job of two writers with two checkpoints and two attempts, without faults but crashes.
    pub const BASE: Self = Self {
        name: "base",
        about: "one job, crashes only",
        splits: 2,
        parallelisms: &[2],
        streams: 1,
        segments: 1,
        checkpoints: 2,
        attempts: 2,
        live: 1,
        concurrent: 1,
        records: 1,
        restores: Restores::Newest,
        accept_duplicates: false,
        resubmit: false,
        fresh_same: true,
        fresh_new: false,
        savepoints: false,
        declines: false,
        cancels: false,
        idle: false,
        bounded: false,
        batch: false,
        eager: false,
        late: 0,
        redeliver: false,
        reorder: false,
        lost: 0,
        expired: 0,
        plain: 0,
        publications: 0,
        coarse: true,
        drain_every: 8,
    };
}
