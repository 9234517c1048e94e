//! Rewrites what everybody saw at an offset, as if the gateway had done it: readers, ends and files stay in agreement.

use super::operation::{History, Poll, Range, Rows, Stream, Value};

/// A change of a segment at an offset.
#[derive(Debug, Clone, Copy)]
pub(super) enum Splice {
    /// The event is gone; later ones move down.
    Remove,
    /// This value comes there; the event and later ones move up.
    Insert(Value),
    /// This value lies there instead.
    Replace(Value),
    /// Nothing lies there; the event and later ones move up.
    Hole,
}

impl Splice {
    /// Applies it to everything that was seen of a segment. The offset must be below the segment's end.
    pub fn apply(self, history: &mut History, stream: Stream, segment: u32, offset: u64) {
        let at = |position: &mut u64| *position = self.position(*position, offset);
        let polls = std::mem::take(&mut history.polls);
        for mut poll in polls {
            if (poll.stream, poll.segment) != (stream, segment) {
                history.polls.push(poll);
                continue;
            }
            let rest = self.run(&mut poll.values, poll.base_offset, offset, |value| value);
            at(&mut poll.before);
            at(&mut poll.base_offset);
            at(&mut poll.after);
            let rest = rest.map(|values| {
                let after = std::mem::replace(&mut poll.after, offset);
                Poll { before: offset, base_offset: offset + 1, values, after, ..poll.clone() }
            });
            let parts = [Some(poll), rest].into_iter().flatten();
            history.polls.extend(parts.filter(|poll| !poll.values.is_empty()));
        }
        for snapshot in history.snapshots.iter_mut().filter(|snapshot| snapshot.stream == stream) {
            if let Some(end) = snapshot.ends.get_mut(&segment) {
                at(end);
            }
        }
        for look in history.looks.iter_mut().filter(|look| look.stream == stream) {
            let rows = std::mem::take(&mut look.rows);
            look.rows = rows.into_iter().flat_map(|rows| self.rows(rows, segment, offset)).collect();
            let files = std::mem::take(&mut look.files);
            look.files = files.into_iter().flat_map(|file| self.range(file, segment, offset)).collect();
        }
    }

    /// Where a position lies afterwards; one at the offset itself stays before what comes there.
    fn position(self, position: u64, offset: u64) -> u64 {
        match self {
            Self::Remove if position > offset => position - 1,
            Self::Insert(_) | Self::Hole if position > offset => position + 1,
            _ => position,
        }
    }

    /// Changes a run of what was seen from `base` on; answers the rest after a hole.
    fn run<T: Copy>(
        self,
        seen: &mut Vec<T>,
        base: u64,
        offset: u64,
        with_value: impl Fn(Value) -> T,
    ) -> Option<Vec<T>> {
        let at = offset.checked_sub(base).and_then(|at| usize::try_from(at).ok()).filter(|at| *at < seen.len())?;
        match self {
            Self::Remove => {
                seen.remove(at);
            }
            Self::Insert(value) => seen.insert(at, with_value(value)),
            Self::Replace(value) => seen[at] = with_value(value),
            Self::Hole => return Some(seen.split_off(at)),
        }
        None
    }

    fn rows(self, mut rows: Rows, segment: u32, offset: u64) -> Vec<Rows> {
        if rows.segment != segment {
            return vec![rows];
        }
        let at = offset.checked_sub(rows.base_offset).and_then(|at| rows.rows.get(usize::try_from(at).ok()?));
        let commit_seq = at.map_or(0, |(_, commit_seq)| *commit_seq);
        let rest = self.run(&mut rows.rows, rows.base_offset, offset, |value| (value, commit_seq));
        rows.base_offset = self.position(rows.base_offset, offset);
        let rest = rest.map(|rest| Rows { segment, base_offset: offset + 1, rows: rest });
        [Some(rows), rest].into_iter().flatten().filter(|rows| !rows.rows.is_empty()).collect()
    }

    fn range(self, file: Range, segment: u32, offset: u64) -> Vec<Range> {
        let Range { base_offset, end, .. } = file;
        if file.segment != segment {
            return vec![file];
        }
        if matches!(self, Self::Hole) && (base_offset..end).contains(&offset) {
            let parts = [Range { end: offset, ..file }, Range { base_offset: offset + 1, end: end + 1, segment }];
            return parts.into_iter().filter(|part| part.base_offset < part.end).collect();
        }
        let moved = Range { segment, base_offset: self.position(base_offset, offset), end: self.position(end, offset) };
        (moved.base_offset < moved.end).then_some(moved).into_iter().collect()
    }
}
