//! Short histories, written by hand.

use std::collections::BTreeMap;

use crate::history::{
    AnomalyKind, Event, History, Key, Look, Opening, Outcome, Part, Poll, Range, Rows, Session, Snapshot, Stream, Time,
    Value, Write, WriteKind, Writer, check,
};

/// Two streams.
pub const S: Stream = Stream(0);
pub const T: Stream = Stream(1);
/// A plain writer and two sinks.
pub const W: Writer = Writer(0);
pub const X: Writer = Writer(1);
pub const Y: Writer = Writer(2);

/// The n-th value of a writer.
pub fn v(writer: Writer, n: u32) -> Value {
    Value { writer, n }
}

/// A history that grows line by line; every line is later than the ones before it. All events have one key.
pub struct Story {
    pub history: History,
    time: u64,
}

impl Story {
    pub fn new() -> Self {
        let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        let history = History { streams: names(&["s", "t"]), writers: names(&["w", "x", "y"]), ..History::default() };
        Self { history, time: 1 }
    }

    pub fn now(&mut self) -> Time {
        self.time += 1;
        Time(self.time)
    }

    /// What an acknowledged write comes to when it is asked and answered now.
    pub fn committed(&mut self, commit_seq: Option<u64>) -> Outcome {
        Outcome::Committed { asked: self.now(), answered: self.now(), commit_seq }
    }

    /// A plain append of the writer's values to a stream; the sequences are the values' numbers.
    pub fn append(&mut self, writer: Writer, stream: Stream, ns: &[u32], outcome: Outcome) {
        let kind = WriteKind::Append { first_sequence: ns[0].into() };
        self.write(writer, kind, &[(stream, ns)], outcome);
    }

    /// An acknowledged plain append of W to S.
    pub fn acknowledged(&mut self, ns: &[u32]) {
        let outcome = self.committed(None);
        self.append(W, S, ns, outcome);
    }

    /// A transaction of a sink.
    pub fn transaction(&mut self, sink: Writer, parts: &[(Stream, &[u32])], outcome: Outcome) {
        self.write(sink, WriteKind::Transaction { ordinal: 7 }, parts, outcome);
    }

    fn write(&mut self, writer: Writer, kind: WriteKind, parts: &[(Stream, &[u32])], outcome: Outcome) {
        let event = |n: &u32| Event { key: Key(0), value: v(writer, *n) };
        let part = |(stream, ns): &(Stream, &[u32])| Part { stream: *stream, events: ns.iter().map(event).collect() };
        self.history.writes.push(Write { writer, kind, parts: parts.iter().map(part).collect(), outcome });
    }

    /// W was opened on S.
    pub fn opening(&mut self, last_sequence: u64) {
        let at = self.now();
        self.history.openings.push(Opening { writer: W, stream: S, last_sequence, at });
    }

    /// A reader is given a batch of segment 0 where it stands; it says nothing of commits.
    pub fn read(&mut self, session: u32, stream: Stream, base_offset: u64, values: &[Value]) -> &mut Poll {
        self.read_segment(session, stream, 0, base_offset, values)
    }

    /// The same of any segment.
    pub fn read_segment(
        &mut self,
        session: u32,
        stream: Stream,
        segment: u32,
        base_offset: u64,
        values: &[Value],
    ) -> &mut Poll {
        let at = self.now();
        self.history.polls.push(Poll {
            session: Session(session),
            stream,
            segment,
            before: base_offset,
            base_offset,
            values: values.to_vec(),
            after: base_offset + values.len() as u64,
            commit_seq: u64::MAX,
            at,
        });
        self.history.polls.last_mut().unwrap()
    }

    /// Segment 0 of a stream was seen to end there.
    pub fn end(&mut self, stream: Stream, end: u64, commit_seq: Option<u64>) {
        let asked = self.now();
        self.history.snapshots.push(Snapshot { stream, asked, commit_seq, ends: BTreeMap::from([(0, end)]) });
    }

    /// One new file of segment 0 of a stream.
    pub fn file(&mut self, stream: Stream, base_offset: u64, rows: &[(Value, u64)]) -> &mut Look {
        let rows = Rows { segment: 0, base_offset, rows: rows.to_vec() };
        let mut files: Vec<Range> = self
            .history
            .looks
            .iter()
            .rev()
            .find(|look| look.stream == stream)
            .map_or(Vec::new(), |look| look.files.clone());
        files.push(rows.range());
        let at = self.now();
        self.history.looks.push(Look { stream, at, files, rows: vec![rows], complete: false });
        self.history.looks.last_mut().unwrap()
    }

    /// Nothing is wrong with it.
    #[track_caller]
    pub fn is_sound(&self) {
        let report = check(&self.history);
        assert!(report.total() == 0, "{report}");
    }

    /// This is wrong with it, once, and nothing else.
    #[track_caller]
    pub fn has_exactly(&self, kind: AnomalyKind) {
        let report = check(&self.history);
        assert!(report.counts == BTreeMap::from([(kind, 1)]), "not just {kind:?}: {report}");
        let anomaly = &report.anomalies[0];
        assert!(anomaly.kind == kind && anomaly.sentence.len() > 20 && !anomaly.stream.is_empty(), "{anomaly:?}");
    }
}

/// A story told in one expression.
pub fn story(tell: impl FnOnce(&mut Story)) -> Story {
    let mut story = Story::new();
    tell(&mut story);
    story
}
