//! The invariants of protocol.md §4 that can be read off one state of the ledger, as named functions.
//!
//! Each answers the first violation it finds. Tests, `sluice admin verify` and debug assertions use the same functions.

use std::collections::BTreeMap;

use sluice_proto::storage::v1::{Group, Segment, Sink, Transaction, TransactionState};
use sluice_schema::ids::{Offset, SegmentId};

use super::{attach::group_id, events::block_bytes};
use crate::{
    key::{Key, KeySpan},
    ledger::{Direction, Records, Result, View},
};

/// A violated invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which one, for example `I19`.
    pub invariant: &'static str,
    /// What was found.
    pub message: String,
}

fn violated(invariant: &'static str, message: String) -> Violation {
    Violation { invariant, message }
}

/// All violations of a state.
pub fn check(view: &dyn View) -> Result<Vec<Violation>> {
    let mut found = dense_offsets(view)?;
    found.extend(chains(view)?);
    found.extend(active_transactions(view)?);
    Ok(found)
}

/// I19, I34: Parquet files tile `[head, parquet_end)`, extents tile `[parquet_end, next_offset)` and hold `unpublished_bytes`.
pub fn dense_offsets(view: &dyn View) -> Result<Vec<Violation>> {
    let mut found = Vec::new();
    for (key, _) in
        view.records::<sluice_proto::storage::v1::Stream>(&KeySpan::streams(), Direction::Ascending, usize::MAX)?
    {
        let Key::Stream(stream) = key else { continue };
        for (id, segment) in view.segments(stream)? {
            found.extend(dense_segment(view, id, &segment)?);
        }
    }
    Ok(found)
}

fn dense_segment(view: &dyn View, id: SegmentId, segment: &Segment) -> Result<Option<Violation>> {
    let mut next = segment.head;
    for (first, file) in view.parquet_files(id)? {
        if first.get() != next || file.end <= next {
            return Ok(Some(violated(
                "I34",
                format!("segment {id}: a Parquet file covers [{first}, {}), expected it to start at {next}", file.end),
            )));
        }
        next = file.end;
    }
    if next != segment.parquet_end {
        return Ok(Some(violated(
            "I34",
            format!("segment {id}: Parquet files reach {next}, the segment says {}", segment.parquet_end),
        )));
    }
    let mut bytes = 0;
    for (base, extent) in view.extents(id, Offset::new(0), Offset::new(u64::MAX), usize::MAX)? {
        if base.get() != next {
            return Ok(Some(violated("I19", format!("segment {id}: an extent starts at {base}, expected {next}"))));
        }
        next += extent.block.as_ref().map_or(0, |block| u64::from(block.rows));
        bytes += extent.block.as_ref().map_or(0, block_bytes);
    }
    let wrong = if next != segment.next_offset {
        format!("extents reach {next}, the segment says {}", segment.next_offset)
    } else if bytes != segment.unpublished_bytes {
        format!("extents hold {bytes} bytes, the segment says {}", segment.unpublished_bytes)
    } else {
        return Ok(None);
    };
    Ok(Some(violated("I19", format!("segment {id}: {wrong}"))))
}

/// I13: the committed groups of a sink form one path that ends at its head, with falling commit_seq; I7: members point back.
pub fn chains(view: &dyn View) -> Result<Vec<Violation>> {
    let mut found = Vec::new();
    for (key, sink) in view.records::<Sink>(&KeySpan::sinks(), Direction::Ascending, usize::MAX)? {
        let Key::Sink(name) = key else { continue };
        let (mut at, mut above) = (group_id(&sink.head_group), u64::MAX);
        while let Some(id) = at {
            let Some(group): Option<Group> = view.group(id)? else {
                found.push(violated("I13", format!("sink {name}: group {id} of the chain is missing")));
                break;
            };
            if group.commit_seq >= above {
                found.push(violated(
                    "I13",
                    format!("sink {name}: group {id} has commit {} and follows {above}", group.commit_seq),
                ));
                break;
            }
            above = group.commit_seq;
            at = group_id(&group.prev_group);
        }
    }
    Ok(found)
}

/// The list of active transactions holds exactly the OPEN and PREPARED ones, with as many blocks as they say.
pub fn active_transactions(view: &dyn View) -> Result<Vec<Violation>> {
    let mut found = Vec::new();
    let mut active: BTreeMap<_, _> =
        view.active(&KeySpan::active())?.into_iter().map(|(sink, id)| (id, sink)).collect();
    for (key, transaction) in view.records::<Transaction>(&KeySpan::transactions(), Direction::Ascending, usize::MAX)? {
        let Key::Transaction(id) = key else { continue };
        let listed = active.remove(&id).is_some();
        let should = matches!(transaction.state(), TransactionState::Open | TransactionState::Prepared);
        if listed != should {
            found.push(violated(
                "I39",
                format!(
                    "transaction {id} is {} and {} the active list",
                    transaction.state().as_str_name(),
                    if listed { "in" } else { "not in" }
                ),
            ));
        }
        if should && view.chunks(id)?.len() as u64 != transaction.chunks {
            found.push(violated("I10", format!("transaction {id} says {} blocks and has others", transaction.chunks)));
        }
    }
    found.extend(
        active
            .into_keys()
            .map(|id| violated("I39", format!("transaction {id} is in the active list and does not exist"))),
    );
    Ok(found)
}
