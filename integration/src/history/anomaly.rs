//! What a history must not hold, by name, and the report of what it holds.

use std::{collections::BTreeMap, fmt};

use super::operation::{History, Stream, Value};

/// Anomalies of one kind that a report describes; the others are counted.
const DESCRIBED_MAX: u64 = 20;

/// The anomalies, named as in Jepsen's Kafka workload where it has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AnomalyKind {
    /// An event was seen that belongs to an aborted, open or prepared transaction, or that was not yet asked to commit.
    AbortedRead,
    /// An acknowledged event is nowhere, or one of an append is missing although a later one of it is there.
    LostWrite,
    /// One event lies at two offsets.
    Duplicate,
    /// One offset was seen with two values, by two readers or by one before and after a restart.
    InconsistentOffsets,
    /// Commit numbers contradict each other: along the offsets, between two readers, or with the answer of the commit.
    InconsistentCommit,
    /// A reader was given what it had been given before.
    NonmonotonicPoll,
    /// A write that was sent after another one was acknowledged lies before it.
    NonmonotonicSend,
    /// Events of one key and writer lie in another order than they were sent in, or in two segments.
    ReorderedKey,
    /// A transaction is visible in part: at the end, at a snapshot, or at two commits.
    TornGroup,
    /// A value was seen that nobody sent to that stream.
    GhostWrite,
    /// A reader's position went back.
    PositionRegression,
    /// The end of a stream lies before what was acknowledged or seen earlier.
    StaleRead,
    /// Parquet differs from what readers see, shows an offset twice, leaves one out or takes one back.
    ParquetTailDivergence,
    /// Offsets of a segment, or a reader's way through it, leave one out.
    GapInOffsets,
    /// Transactions lie in one order here and in another there (G0).
    WriteCycle,
}

/// One anomaly: where, what, and a sentence about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    /// Which one.
    pub kind: AnomalyKind,
    /// The stream.
    pub stream: String,
    /// The segment, where it has one.
    pub segment: Option<u32>,
    /// The offsets that show it.
    pub offsets: Vec<u64>,
    /// The values that show it.
    pub values: Vec<Value>,
    /// What is wrong.
    pub sentence: String,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in {}", self.kind, self.stream)?;
        if let Some(segment) = self.segment {
            write!(f, " segment {segment}")?;
        }
        write!(f, ": {}", self.sentence)
    }
}

/// How much was checked.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Writes, openings, polls, snapshots and looks.
    pub operations: u64,
    /// Batches that readers were given.
    pub polls: u64,
    /// Events sent.
    pub events: u64,
    /// Values seen by readers and in Parquet.
    pub observations: u64,
    /// Writes whose outcome no client learnt.
    pub unknown_outcomes: u64,
}

/// What a check found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    /// How much was checked.
    pub figures: Figures,
    /// How many anomalies of each kind there are.
    pub counts: BTreeMap<AnomalyKind, u64>,
    /// The first ones of each kind.
    pub anomalies: Vec<Anomaly>,
}

impl Report {
    /// All anomalies, also those not described.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { operations, polls, events, observations, unknown_outcomes } = self.figures;
        write!(
            f,
            "{operations} operations, {polls} polls, {events} events, {observations} observations, \
             {unknown_outcomes} unknown outcomes, {} anomalies",
            self.total()
        )?;
        for (kind, count) in &self.counts {
            write!(f, "\n{count} x {kind:?}")?;
        }
        for anomaly in &self.anomalies {
            write!(f, "\n{anomaly}")?;
        }
        Ok(())
    }
}

/// Where in a stream an anomaly shows.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub stream: Stream,
    pub segment: Option<u32>,
    pub offsets: Vec<u64>,
}

impl Place {
    /// Offsets of a segment.
    pub fn at(stream: Stream, segment: u32, offsets: impl IntoIterator<Item = u64>) -> Self {
        Self { stream, segment: Some(segment), offsets: offsets.into_iter().collect() }
    }

    /// A stream as a whole.
    pub fn of(stream: Stream) -> Self {
        Self { stream, segment: None, offsets: Vec::new() }
    }
}

/// Collects anomalies while a history is checked.
#[derive(Debug)]
pub(super) struct Findings<'a> {
    pub history: &'a History,
    report: Report,
}

impl<'a> Findings<'a> {
    pub fn new(history: &'a History, figures: Figures) -> Self {
        Self { history, report: Report { figures, ..Report::default() } }
    }

    /// Adds one; the sentence is made only when it is kept.
    pub fn add(
        &mut self,
        kind: AnomalyKind,
        place: Place,
        values: &[Value],
        sentence: impl FnOnce(&History) -> String,
    ) {
        let count = self.report.counts.entry(kind).or_default();
        *count += 1;
        if *count <= DESCRIBED_MAX {
            self.report.anomalies.push(Anomaly {
                kind,
                stream: self.history.stream_name(place.stream).to_string(),
                segment: place.segment,
                offsets: place.offsets,
                values: values.to_vec(),
                sentence: sentence(self.history),
            });
        }
    }

    pub fn into_report(self) -> Report {
        self.report
    }
}
