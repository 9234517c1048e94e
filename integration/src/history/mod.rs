//! A history of what concurrent clients sent and saw, and the check that the gateway kept its promises in it.
//!
//! Offsets are the version order: they are read off what readers were given, nothing is inferred, so the check needs one
//! pass per rule and no search. The anomalies are those of Jepsen's Kafka workload and what Sluice promises beyond Kafka:
//! one commit over all streams of a transaction, and Parquet that equals the tail.
//!
//! * [`Recorder`]: takes the operations from many tasks at once.
//! * [`History`]: the operations, plain data. Time in it is a counter, see [`Time`].
//! * [`check`]: the [`Report`] of a history; the same history always gives the same one.
//! * [`Damage`]: breaks a recorded history on purpose, to show that the check sees it.
//!
//! What it cannot see: an event that nobody was told about and that is nowhere, and what happens after the last read.

mod anomaly;
mod commits;
mod cycles;
mod damage;
mod operation;
mod order;
mod placement;
mod polls;
mod published;
mod recorder;
mod sent;
mod splice;
mod staleness;
#[cfg(test)]
mod tests;
mod visibility;

pub use anomaly::{Anomaly, AnomalyKind, Figures, Report};
pub use damage::Damage;
pub use operation::{
    Event, History, Key, Look, Opening, Outcome, Part, Poll, Range, Rows, Session, Snapshot, Stream, Time, Value,
    Write, WriteKind, Writer,
};
pub use recorder::{Recorder, WriteId};

use anomaly::Findings;
use placement::Placement;

/// Checks a history whose readers reached the end of every stream after the last write.
///
/// # Panics
/// When a value was sent twice to one stream: then nothing can be said about duplicates.
pub fn check(history: &History) -> Report {
    let mut findings = Findings::new(history, figures(history));
    let mut placement = Placement::of(&mut findings);
    // First, as it notes the commit of every offset.
    published::check(&mut findings, &mut placement);
    polls::check(&mut findings);
    visibility::check(&mut findings, &placement);
    order::check(&mut findings, &placement);
    commits::check(&mut findings, &placement);
    staleness::check(&mut findings, &placement);
    cycles::check(&mut findings, &placement);
    findings.into_report()
}

fn figures(history: &History) -> Figures {
    let History { writes, openings, polls, snapshots, looks, .. } = history;
    let operations = writes.len() + openings.len() + polls.len() + snapshots.len() + looks.len();
    let events: usize = writes.iter().map(|write| write.events().count()).sum();
    let read: usize = polls.iter().map(|poll| poll.values.len()).sum();
    let published: usize = looks.iter().flat_map(|look| &look.rows).map(|rows| rows.rows.len()).sum();
    let unknown = writes.iter().filter(|write| matches!(write.outcome, Outcome::Unknown { .. })).count();
    Figures {
        operations: operations as u64,
        polls: polls.len() as u64,
        events: events as u64,
        observations: (read + published) as u64,
        unknown_outcomes: unknown as u64,
    }
}
