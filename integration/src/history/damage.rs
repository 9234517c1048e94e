//! Breaks a recorded history, never a gateway: each damage is what a certain bug would have left behind.

use super::{
    anomaly::{AnomalyKind, Figures, Findings},
    operation::{History, Outcome, Range, Rows, Stream, Time, Value, Write, WriteKind},
    placement::Placement,
    splice::Splice,
};

/// A damage. Unless it says otherwise all observers agree on the result, as if the gateway had done it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// An acknowledged event of a plain append is gone.
    Drop,
    /// An event comes twice.
    Duplicate,
    /// Two events of one key have changed places.
    Swap,
    /// One event of an acknowledged transaction is gone.
    Tear,
    /// An acknowledged transaction is gone.
    Lose,
    /// A value is there that nobody sent.
    Ghost,
    /// A visible transaction is one that was aborted.
    Reveal,
    /// An offset is left out.
    Hole,
    /// An acknowledged event lies behind one that was sent later.
    Late,
    /// Two transactions are woven into each other.
    Weave,
    /// One reader was given another value at an offset than the others.
    Change,
    /// One reader was given a batch twice.
    Repeat,
    /// One reader was not given a batch.
    Skip,
    /// One reader's position went back.
    Regress,
    /// One look at a stream's end did not see an acknowledged event.
    Shrink,
    /// One event of a transaction is of another commit, as Parquet says.
    Split,
    /// A row is missing in Parquet alone.
    Unpublish,
    /// A row has another value in Parquet alone.
    Rewrite,
    /// A file is there twice.
    Republish,
}

/// Every damage, its name and what a check must call it.
const TABLE: [(Damage, &str, AnomalyKind); 19] = [
    (Damage::Drop, "drop", AnomalyKind::LostWrite),
    (Damage::Duplicate, "dup", AnomalyKind::Duplicate),
    (Damage::Swap, "swap", AnomalyKind::ReorderedKey),
    (Damage::Tear, "tear", AnomalyKind::TornGroup),
    (Damage::Lose, "lose", AnomalyKind::LostWrite),
    (Damage::Ghost, "ghost", AnomalyKind::GhostWrite),
    (Damage::Reveal, "reveal", AnomalyKind::AbortedRead),
    (Damage::Hole, "hole", AnomalyKind::GapInOffsets),
    (Damage::Late, "late", AnomalyKind::NonmonotonicSend),
    (Damage::Weave, "weave", AnomalyKind::WriteCycle),
    (Damage::Change, "change", AnomalyKind::InconsistentOffsets),
    (Damage::Repeat, "repeat", AnomalyKind::NonmonotonicPoll),
    (Damage::Skip, "skip", AnomalyKind::GapInOffsets),
    (Damage::Regress, "regress", AnomalyKind::PositionRegression),
    (Damage::Shrink, "shrink", AnomalyKind::StaleRead),
    (Damage::Split, "split", AnomalyKind::TornGroup),
    (Damage::Unpublish, "parquet", AnomalyKind::ParquetTailDivergence),
    (Damage::Rewrite, "parquet-change", AnomalyKind::ParquetTailDivergence),
    (Damage::Republish, "parquet-twice", AnomalyKind::ParquetTailDivergence),
];

/// A place in a segment.
type At = (Stream, u32, u64);

impl Damage {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(damage, ..)| *damage)
    }

    /// The damage of a name, for example `drop`.
    pub fn parse(name: &str) -> Option<Self> {
        TABLE.iter().find(|(_, known, _)| *known == name).map(|(damage, ..)| *damage)
    }

    /// What a check must find, beside whatever else it finds.
    pub fn fitting(self) -> AnomalyKind {
        let row = TABLE.iter().find(|(damage, ..)| *damage == self);
        row.expect("the table has every damage").2
    }

    /// Damages a history that is sound; `pick` chooses the place. False: there is nothing that could be damaged so.
    #[must_use]
    pub fn apply(self, history: &mut History, pick: u64) -> bool {
        let placement = Placement::of(&mut Findings::new(history, Figures::default()));
        let scene = Scene { placement, pick };
        let done = match self {
            Self::Drop => scene.drop_event(history, |write| !write.is_transaction()),
            Self::Tear => scene.drop_event(history, |write| write.is_transaction() && write.events().count() > 1),
            Self::Lose => scene.lose(history),
            Self::Duplicate => scene.insert(history, Scene::value_before),
            Self::Ghost => scene.insert(history, |_, _| Some(Value::foreign(b"ghost"))),
            Self::Hole => scene.hole(history),
            Self::Reveal => scene.reveal(history),
            Self::Swap => scene.exchange(history, Scene::next_of_key),
            Self::Late => scene.exchange(history, Scene::sent_later),
            Self::Weave => scene.exchange(history, Scene::next_transaction),
            Self::Change => scene.change(history),
            Self::Repeat => scene.repeat(history),
            Self::Skip => scene.skip(history),
            Self::Regress => scene.regress(history),
            Self::Shrink => scene.shrink(history),
            Self::Split => scene.split(history),
            Self::Unpublish => scene.unpublish(history),
            Self::Rewrite => scene.rewrite(history),
            Self::Republish => scene.republish(history),
        };
        done.is_some()
    }
}

/// A sound history's version order, and which place to take.
struct Scene {
    placement: Placement,
    pick: u64,
}

/// Damages to what everybody saw.
impl Scene {
    fn drop_event(&self, history: &mut History, wanted: impl Fn(&Write) -> bool) -> Option<()> {
        let acknowledged = |write: &Write| wanted(write) && write.outcome.answered().is_some();
        let (stream, segment, offset) = self.first(self.places(history, acknowledged), Some)?;
        Splice::Remove.apply(history, stream, segment, offset);
        Some(())
    }

    fn lose(&self, history: &mut History) -> Option<()> {
        let writes = history.writes.iter().filter(|write| write.is_transaction() && write.outcome.answered().is_some());
        let mut places: Vec<At> = self.first(writes.collect(), |write| Some(self.placement.places(write).collect()))?;
        places.sort_unstable();
        for (stream, segment, offset) in places.into_iter().rev() {
            Splice::Remove.apply(history, stream, segment, offset);
        }
        Some(())
    }

    fn insert(&self, history: &mut History, value: impl Fn(&Self, At) -> Option<Value>) -> Option<()> {
        let find = |at| value(self, at).map(|value| (at, value));
        let ((stream, segment, offset), value) = self.first(self.places(history, |_| true), find)?;
        Splice::Insert(value).apply(history, stream, segment, offset);
        Some(())
    }

    fn value_before(&self, (stream, segment, offset): At) -> Option<Value> {
        self.value((stream, segment, offset.checked_sub(1)?))
    }

    fn hole(&self, history: &mut History) -> Option<()> {
        let (stream, segment, offset) = self.first(self.places(history, |_| true), Some)?;
        Splice::Hole.apply(history, stream, segment, offset);
        Some(())
    }

    fn reveal(&self, history: &mut History) -> Option<()> {
        let visible = |write: &Write| write.is_transaction() && self.placement.places(write).next().is_some();
        let find = |number: usize| visible(&history.writes[number]).then_some(number);
        let number = self.first((0..history.writes.len()).collect(), find)?;
        history.writes[number].outcome = Outcome::Aborted;
        Some(())
    }

    /// Exchanges an event with the one that `partner` names.
    fn exchange(&self, history: &mut History, partner: impl Fn(&Self, &History, At) -> Option<u64>) -> Option<()> {
        let find = |at| partner(self, history, at).map(|partner| (at, partner));
        let (at, partner) = self.first(self.places(history, |_| true), find)?;
        let (stream, segment, offset) = at;
        let (first, second) = (self.value(at)?, self.value((stream, segment, partner))?);
        Splice::Replace(second).apply(history, stream, segment, offset);
        Splice::Replace(first).apply(history, stream, segment, partner);
        Some(())
    }

    fn next_of_key(&self, _: &History, (stream, segment, offset): At) -> Option<u64> {
        let of = |value: Value| Some((value.writer, self.placement.sent.find(stream, value)?.key));
        let wanted = of(self.value((stream, segment, offset))?)?;
        let slots = self.placement.segments.get(&(stream, segment))?;
        let later = slots.iter().zip(0u64..).skip(offset as usize + 1);
        later
            .filter_map(|(slot, later)| Some((of(slot.as_ref()?.value)?, later)))
            .find(|(key, _)| *key == wanted)
            .map(|(_, at)| at)
    }

    fn sent_later(&self, history: &History, at: At) -> Option<u64> {
        let answered = self.write(history, at)?.outcome.answered()?;
        let (stream, segment, offset) = at;
        let end = self.placement.segments.get(&(stream, segment))?.len() as u64;
        let asked = |later: u64| self.write(history, (stream, segment, later))?.outcome.asked();
        (offset + 1..end).find(|later| asked(*later).is_some_and(|asked| answered < asked))
    }

    /// The next event, where a transaction of at least two events here is followed by another such.
    fn next_transaction(&self, history: &History, (stream, segment, offset): At) -> Option<u64> {
        let transaction = |offset: u64| {
            let value = self.value((stream, segment, offset))?;
            let (number, write) = self.placement.write_of(history, stream, value)?;
            write.is_transaction().then_some(number)
        };
        let (first, second) = (transaction(offset)?, transaction(offset + 1)?);
        let woven =
            first != second && transaction(offset.checked_sub(1)?)? == first && transaction(offset + 2)? == second;
        woven.then_some(offset + 1)
    }
}

/// Damages to what one observer saw.
impl Scene {
    fn change(&self, history: &mut History) -> Option<()> {
        let read_by_another = |number: usize| {
            let poll = &history.polls[number];
            let mut others = history.polls.iter().enumerate().filter(|(other, _)| *other != number);
            let covers = |other: &super::Poll| {
                let end = other.base_offset + other.values.len() as u64;
                (other.stream, other.segment) == (poll.stream, poll.segment)
                    && (other.base_offset..end).contains(&poll.base_offset)
            };
            others.any(|(_, other)| covers(other)).then_some(number)
        };
        let number = self.first((0..history.polls.len()).collect(), read_by_another)?;
        *history.polls[number].values.first_mut()? = Value::foreign(b"change");
        Some(())
    }

    fn repeat(&self, history: &mut History) -> Option<()> {
        let number = self.first((0..history.polls.len()).collect(), Some)?;
        history.polls.insert(number + 1, history.polls[number].clone());
        Some(())
    }

    fn skip(&self, history: &mut History) -> Option<()> {
        let between = |number: usize| {
            let of = |poll: &super::Poll| (poll.session, poll.stream, poll.segment);
            let same = |poll: &super::Poll| of(poll) == of(&history.polls[number]);
            let (before, after) = history.polls.split_at(number);
            (before.iter().any(same) && after.iter().skip(1).any(same)).then_some(number)
        };
        let number = self.first((0..history.polls.len()).collect(), between)?;
        history.polls.remove(number);
        Some(())
    }

    fn regress(&self, history: &mut History) -> Option<()> {
        let number = self.first((0..history.polls.len()).collect(), Some)?;
        history.polls[number].after -= 1;
        Some(())
    }

    fn shrink(&self, history: &mut History) -> Option<()> {
        let known = |asked: Time, at: At| Some(self.write(history, at)?.outcome.answered()? < asked);
        let find = |number: usize| {
            let snapshot = &history.snapshots[number];
            snapshot.ends.iter().find_map(|(segment, end)| {
                let last = end.checked_sub(1)?;
                known(snapshot.asked, (snapshot.stream, *segment, last))?.then_some((number, *segment, last))
            })
        };
        let (number, segment, last) = self.first((0..history.snapshots.len()).collect(), find)?;
        history.snapshots[number].ends.insert(segment, last);
        Some(())
    }
}

/// Damages to what lay in Parquet.
impl Scene {
    fn split(&self, history: &mut History) -> Option<()> {
        let several = |write: &Write| matches!(write.kind, WriteKind::Transaction { .. }) && write.events().count() > 1;
        let published = |at| rows_with(history, at).next().is_some().then_some(at);
        let at = self.first(self.places(history, several), published)?;
        for (rows, place) in rows_with_mut(history, at) {
            rows.rows[place].1 += 1;
        }
        Some(())
    }

    fn unpublish(&self, history: &mut History) -> Option<()> {
        // A row that is followed by another one: a shorter file alone is no damage before everything is published.
        let followed = |at| rows_with(history, at).all(|(rows, place)| place + 1 < rows.rows.len());
        let find = |at| (rows_with(history, at).next().is_some() && followed(at)).then_some(at);
        let (stream, segment, offset) = self.first(self.places(history, |_| true), find)?;
        let apart = |file: Range| {
            let holds = file.segment == segment && (file.base_offset..file.end).contains(&offset);
            let parts = match holds {
                true => vec![Range { end: offset, ..file }, Range { base_offset: offset + 1, ..file }],
                false => vec![file],
            };
            parts.into_iter().filter(|part| part.base_offset < part.end)
        };
        for look in history.looks.iter_mut().filter(|look| look.stream == stream) {
            look.files = look.files.drain(..).flat_map(apart).collect();
            let cut = |rows: Rows| {
                let of = |part: Range| {
                    let from = (part.base_offset - rows.base_offset) as usize;
                    let to = (part.end - rows.base_offset) as usize;
                    Rows { segment: part.segment, base_offset: part.base_offset, rows: rows.rows[from..to].to_vec() }
                };
                apart(rows.range()).map(of).collect::<Vec<_>>()
            };
            look.rows = look.rows.drain(..).flat_map(cut).collect();
        }
        Some(())
    }

    fn rewrite(&self, history: &mut History) -> Option<()> {
        let published = |at| rows_with(history, at).next().is_some().then_some(at);
        let at = self.first(self.places(history, |_| true), published)?;
        for (rows, place) in rows_with_mut(history, at) {
            rows.rows[place].0 = Value::foreign(b"rewrite");
        }
        Some(())
    }

    fn republish(&self, history: &mut History) -> Option<()> {
        let number = self.first((0..history.looks.len()).collect(), |number: usize| {
            (!history.looks[number].files.is_empty()).then_some(number)
        })?;
        let files = &mut history.looks[number].files;
        files.push(*files.first()?);
        Some(())
    }
}

impl Scene {
    /// What `find` says of the first candidate from the picked one on of which it says something.
    fn first<T: Clone, U>(&self, candidates: Vec<T>, find: impl FnMut(T) -> Option<U>) -> Option<U> {
        let start = self.pick.checked_rem(candidates.len() as u64)? as usize;
        let (before, after) = candidates.split_at(start);
        after.iter().chain(before).cloned().find_map(find)
    }

    /// Where the events of certain writes lie.
    fn places(&self, history: &History, wanted: impl Fn(&Write) -> bool) -> Vec<At> {
        history.writes.iter().filter(|write| wanted(write)).flat_map(|write| self.placement.places(write)).collect()
    }

    fn value(&self, (stream, segment, offset): At) -> Option<Value> {
        self.placement.slot(stream, segment, offset).map(|slot| slot.value)
    }

    fn write<'a>(&self, history: &'a History, at: At) -> Option<&'a Write> {
        self.placement.write_of(history, at.0, self.value(at)?).map(|(_, write)| write)
    }
}

/// Rows that hold an offset, with the place in them.
fn rows_with(history: &History, (stream, segment, offset): At) -> impl Iterator<Item = (&Rows, usize)> {
    let looks = history.looks.iter().filter(move |look| look.stream == stream);
    looks.flat_map(|look| &look.rows).filter_map(move |rows| Some((rows, place(rows, segment, offset)?)))
}

/// The same, to change them.
fn rows_with_mut(history: &mut History, (stream, segment, offset): At) -> impl Iterator<Item = (&mut Rows, usize)> {
    let looks = history.looks.iter_mut().filter(move |look| look.stream == stream);
    looks.flat_map(|look| &mut look.rows).filter_map(move |rows| {
        let place = place(rows, segment, offset)?;
        Some((rows, place))
    })
}

fn place(rows: &Rows, segment: u32, offset: u64) -> Option<usize> {
    let place = usize::try_from(offset.checked_sub(rows.base_offset)?).ok()?;
    (rows.segment == segment && place < rows.rows.len()).then_some(place)
}
