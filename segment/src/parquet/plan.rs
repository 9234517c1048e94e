//! Decides which offset ranges of a segment are published next. Pure: no clock, no files.
//!
//! A file holds whole extents of one schema, from where the last file ended. Runs of extents that reached the target size are published at once;
//! the rest waits until it is full or one of these holds:
//!
//! | the rest is                                              | published because of |
//! |----------------------------------------------------------|----------------------|
//! | as large as `file_bytes_target` or `file_extents_max`    | [`Reason::Full`]     |
//! | followed by rows of another schema                       | [`Reason::Schema`]   |
//! | of a sealed segment                                      | [`Reason::Sealed`]   |
//! | below the offset up to which somebody asked              | [`Reason::Flush`]    |
//! | at least `age_ms_max` old (its first extent)             | [`Reason::Age`]      |
//! | at least `file_bytes_min` large and the log must shrink  | [`Reason::LogFull`]  |
//! | what writers wait for, however small                     | [`Reason::Held`]     |

use std::ops::Range;

/// When rows become a file. Bytes are those of the blocks in the log; files are mostly smaller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TieringPolicy {
    /// A file ends with the extent that reaches this size. Default 128 MiB.
    pub file_bytes_target: u64,
    /// A file ends at this many extents, which bounds the ledger commit that replaces them. Default 16,384, at least 1.
    pub file_extents_max: usize,
    /// When the log must shrink, less than this is left to be copied forward in the log. Default 8 MiB.
    pub file_bytes_min: u64,
    /// Rows become a file of whatever size at this age. Default 10 minutes.
    pub age_ms_max: u64,
}

impl Default for TieringPolicy {
    fn default() -> Self {
        Self {
            file_bytes_target: 128 << 20,
            file_extents_max: 16_384,
            file_bytes_min: 8 << 20,
            age_ms_max: 10 * 60 * 1000,
        }
    }
}

/// An extent that is not in Parquet yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingExtent {
    /// Offset of its first row.
    pub base_offset: u64,
    /// Its rows, at least 1.
    pub rows: u64,
    /// Bytes of its block in the log.
    pub bytes: u64,
    /// Time of its commit. Milliseconds since 1970-01-01.
    pub commit_ms: u64,
    /// Schema of its rows.
    pub schema_id: u64,
}

/// What is known of a segment beside its extents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SegmentFacts {
    /// Offsets below lie in Parquet.
    pub parquet_end: u64,
    /// Whether it takes no events any more.
    pub sealed: bool,
    /// Somebody waits until every offset below this lies in Parquet; 0: nobody.
    pub flush_below: u64,
    /// Whether the log is beyond its limit.
    pub log_full: bool,
    /// Whether writers are held back until less waits for publication.
    pub writers_held: bool,
}

/// Why a range is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It reached the target size or the largest count of extents.
    Full,
    /// The next rows have another schema.
    Schema,
    /// The segment is sealed: the range cannot grow.
    Sealed,
    /// Somebody asked.
    Flush,
    /// Its first row is old enough.
    Age,
    /// The log must shrink.
    LogFull,
    /// Writers are held back until less waits for publication.
    Held,
}

/// A range to publish as one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// Its offsets; extents are never split.
    pub offsets: Range<u64>,
    /// Bytes of its blocks in the log.
    pub bytes: u64,
    /// Its extents.
    pub extents: usize,
    /// Schema of its rows.
    pub schema_id: u64,
    /// Why.
    pub reason: Reason,
}

/// What to do with a segment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Files to publish, in this order: ascending, without a gap, from `parquet_end`.
    pub files: Vec<PlannedFile>,
    /// When age alone will make the rest a file; none if nothing is left. Milliseconds since 1970-01-01.
    pub due_ms: Option<u64>,
}

/// The extents do not tile the segment: the ledger is wrong, and nothing may be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an extent starts at offset {found} where offset {expected} is next")]
pub struct Gap {
    /// The offset that is missing or there twice.
    pub expected: u64,
    /// Where the extent starts.
    pub found: u64,
}

/// Plans one segment. `extents`: its extents from `parquet_end` on, ascending; at most a prefix may be given, then only its full files are right.
pub fn plan(
    facts: &SegmentFacts,
    extents: impl IntoIterator<Item = PendingExtent>,
    policy: &TieringPolicy,
    now_ms: u64,
) -> Result<Plan, Gap> {
    let mut plan = Plan::default();
    let mut run: Option<Run> = None;
    let mut next_offset = facts.parquet_end;
    for extent in extents {
        let end = extent.base_offset.checked_add(extent.rows).filter(|end| *end > extent.base_offset);
        let gap = Gap { expected: next_offset, found: extent.base_offset };
        next_offset = end.filter(|_| extent.base_offset == next_offset).ok_or(gap)?;
        if let Some(closed) = run.take_if(|run| run.schema_id != extent.schema_id) {
            plan.files.push(closed.file(Reason::Schema));
        }
        run.get_or_insert_with(|| Run::starting_at(&extent)).add(&extent);
        if let Some(full) =
            run.take_if(|run| run.bytes >= policy.file_bytes_target || run.extents >= policy.file_extents_max)
        {
            plan.files.push(full.file(Reason::Full));
        }
    }
    if let Some(rest) = run {
        match rest.reason(facts, policy, now_ms) {
            Some(reason) => plan.files.push(rest.file(reason)),
            None => plan.due_ms = Some(rest.first_commit_ms.saturating_add(policy.age_ms_max)),
        }
    }
    Ok(plan)
}

/// Extents on their way to become one file.
struct Run {
    offsets: Range<u64>,
    bytes: u64,
    extents: usize,
    schema_id: u64,
    first_commit_ms: u64,
}

impl Run {
    fn starting_at(extent: &PendingExtent) -> Self {
        let offsets = extent.base_offset..extent.base_offset;
        Self { offsets, bytes: 0, extents: 0, schema_id: extent.schema_id, first_commit_ms: extent.commit_ms }
    }

    fn add(&mut self, extent: &PendingExtent) {
        self.offsets.end += extent.rows;
        self.bytes = self.bytes.saturating_add(extent.bytes);
        self.extents += 1;
    }

    fn reason(&self, facts: &SegmentFacts, policy: &TieringPolicy, now_ms: u64) -> Option<Reason> {
        if facts.sealed {
            Some(Reason::Sealed)
        } else if self.offsets.start < facts.flush_below {
            Some(Reason::Flush)
        } else if now_ms.saturating_sub(self.first_commit_ms) >= policy.age_ms_max {
            Some(Reason::Age)
        } else if facts.log_full && self.bytes >= policy.file_bytes_min {
            Some(Reason::LogFull)
        } else if facts.writers_held {
            Some(Reason::Held)
        } else {
            None
        }
    }

    fn file(self, reason: Reason) -> PlannedFile {
        let Self { offsets, bytes, extents, schema_id, .. } = self;
        PlannedFile { offsets, bytes, extents, schema_id, reason }
    }
}

#[cfg(test)]
mod tests;
