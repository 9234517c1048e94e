//! A gateway in a few lines of memory, with clients around it: every history it makes is sound.

use std::collections::BTreeMap;

use crate::history::{
    Event, History, Key, Look, Opening, Outcome, Part, Poll, Range, Rows, Session, Snapshot, Stream, Time, Value,
    Write, WriteKind, Writer,
};

const STREAMS: u16 = 2;
const SEGMENTS: u32 = 2;
/// Plain writers come first, then sinks. Each plain writer writes to the stream of its number.
const PLAIN_WRITERS: u16 = 2;
const WRITERS: u16 = 4;
const KEYS: u32 = 4;
const TAILING: u32 = 2;

type SegmentOf = (Stream, u32);

/// What a writer has under way: sent, and applied up to some event.
#[derive(Clone, Copy)]
struct Pending {
    write: usize,
    asked: Time,
    applied: usize,
    commit_seq: u64,
}

#[derive(Default)]
struct Client {
    next_n: u32,
    last_sequence: u64,
    pending: Option<Pending>,
    transactions: u64,
}

/// The whole world.
struct Model {
    history: History,
    time: u64,
    commit_seq: u64,
    segments: BTreeMap<SegmentOf, Vec<(Value, u64)>>,
    published: BTreeMap<SegmentOf, Vec<Range>>,
    clients: Vec<Client>,
    positions: BTreeMap<(u32, SegmentOf), u64>,
    sessions: u32,
}

/// The history of a run whose steps these numbers choose; it ends with reads and files of everything.
pub fn history(steps: &[u32]) -> History {
    let all = (0..STREAMS).flat_map(|stream| (0..SEGMENTS).map(move |segment| (Stream(stream), segment)));
    let names = |what: &str, count: u16| (0..count).map(|number| format!("{what}-{number}")).collect();
    let mut model = Model {
        history: History { streams: names("stream", STREAMS), writers: names("writer", WRITERS), ..History::default() },
        time: 0,
        commit_seq: 0,
        segments: all.clone().map(|at| (at, Vec::new())).collect(),
        published: all.map(|at| (at, Vec::new())).collect(),
        clients: (0..WRITERS).map(|_| Client::default()).collect(),
        positions: BTreeMap::new(),
        sessions: TAILING,
    };
    for step in steps {
        model.step(*step);
    }
    model.finish();
    model.history
}

impl Model {
    fn step(&mut self, step: u32) {
        let (action, choice) = (step % 16, step / 16);
        let writer = Writer((choice % u32::from(WRITERS)) as u16);
        let choice = choice / u32::from(WRITERS);
        let stream = Stream((choice % u32::from(STREAMS)) as u16);
        match action {
            0..=8 => self.write(writer, choice),
            9..=11 => self.tail(choice % TAILING, stream, (choice / 8) % SEGMENTS, choice / 64 % 5 + 1),
            12 => self.read_again(stream, (choice / 8) % SEGMENTS, choice / 64),
            13 => self.snapshot(stream, choice / 8 % 2 == 0),
            14 => self.publish(stream, choice / 8),
            _ => self.look(stream, false),
        }
    }

    fn now(&mut self) -> Time {
        self.time += 1;
        Time(self.time)
    }

    /// The next thing that happens to a writer: it sends, part of it is applied, it is answered, or the answer is lost.
    fn write(&mut self, writer: Writer, choice: u32) {
        let plain = writer.0 < PLAIN_WRITERS;
        let Some(pending) = self.clients[usize::from(writer.0)].pending else {
            return if plain { self.append(writer, choice) } else { self.transaction(writer, choice) };
        };
        let all = self.history.writes[pending.write].events().count();
        match choice % 8 {
            0 if plain => self.lose_answer_of_append(writer),
            0 => self.clients[usize::from(writer.0)].pending = None,
            1 if plain && pending.applied < all => self.apply(writer, 1),
            _ if pending.applied < all => self.apply(writer, all - pending.applied),
            _ => self.answer(writer, pending),
        }
    }

    fn append(&mut self, writer: Writer, choice: u32) {
        let first_sequence = self.clients[usize::from(writer.0)].last_sequence + 1;
        let events = self.events(writer, choice % 4 + 1, choice / 4);
        let part = Part { stream: Stream(writer.0), events };
        self.send(writer, WriteKind::Append { first_sequence }, vec![part]);
    }

    fn transaction(&mut self, writer: Writer, choice: u32) {
        let client = &mut self.clients[usize::from(writer.0)];
        let kind = WriteKind::Transaction { ordinal: client.transactions };
        client.transactions += 1;
        let part = |model: &mut Self, stream| {
            let events = model.events(writer, choice / 8 % 4 + 1, choice / 32);
            Part { stream: Stream(stream), events }
        };
        let parts = (0..STREAMS).map(|stream| part(self, stream)).collect();
        let never = match choice % 8 {
            0 => Outcome::Aborted,
            1 => Outcome::Open,
            2 => Outcome::Prepared,
            _ => return self.send(writer, kind, parts),
        };
        self.history.writes.push(Write { writer, kind, parts, outcome: never });
    }

    fn events(&mut self, writer: Writer, count: u32, choice: u32) -> Vec<Event> {
        let client = &mut self.clients[usize::from(writer.0)];
        let from = client.next_n;
        client.next_n += count;
        let event = |n: u32| Event { key: key_of(n.wrapping_mul(choice | 1)), value: Value { writer, n } };
        (from..client.next_n).map(event).collect()
    }

    fn send(&mut self, writer: Writer, kind: WriteKind, parts: Vec<Part>) {
        let asked = self.now();
        let write = self.history.writes.len();
        self.history.writes.push(Write { writer, kind, parts, outcome: Outcome::Unknown { asked } });
        self.clients[usize::from(writer.0)].pending = Some(Pending { write, asked, applied: 0, commit_seq: 0 });
    }

    /// Commits so many more events of what a writer has under way.
    fn apply(&mut self, writer: Writer, count: usize) {
        self.commit_seq += 1;
        let Some(pending) = &mut self.clients[usize::from(writer.0)].pending else { return };
        let events = self.history.writes[pending.write].events().skip(pending.applied).take(count);
        for (stream, event) in events {
            let segment = u32::from(event.key.0) % SEGMENTS;
            self.segments.entry((stream, segment)).or_default().push((event.value, self.commit_seq));
        }
        pending.applied += count;
        pending.commit_seq = self.commit_seq;
    }

    fn answer(&mut self, writer: Writer, pending: Pending) {
        let answered = self.now();
        let write = &mut self.history.writes[pending.write];
        let commit_seq = write.is_transaction().then_some(pending.commit_seq);
        write.outcome = Outcome::Committed { asked: pending.asked, answered, commit_seq };
        let client = &mut self.clients[usize::from(writer.0)];
        client.last_sequence += pending.applied as u64;
        client.pending = None;
    }

    /// The writer is opened again, which says how much was applied.
    fn lose_answer_of_append(&mut self, writer: Writer) {
        let at = self.now();
        let client = &mut self.clients[usize::from(writer.0)];
        client.last_sequence += client.pending.take().map_or(0, |pending| pending.applied as u64);
        let last_sequence = client.last_sequence;
        self.history.openings.push(Opening { writer, stream: Stream(writer.0), last_sequence, at });
    }

    fn tail(&mut self, session: u32, stream: Stream, segment: u32, count: u32) {
        let from = self.positions.get(&(session, (stream, segment))).copied().unwrap_or(0);
        let to = self.poll(Session(session), stream, segment, from, count.into());
        self.positions.insert((session, (stream, segment)), to);
    }

    fn read_again(&mut self, stream: Stream, segment: u32, choice: u32) {
        let session = self.session();
        let end = self.segments[&(stream, segment)].len() as u64;
        let from = u64::from(choice) % (end + 1);
        let middle = self.poll(session, stream, segment, from, 3);
        self.poll(session, stream, segment, middle, 3);
    }

    fn session(&mut self) -> Session {
        self.sessions += 1;
        Session(self.sessions)
    }

    /// Gives a reader at most `count` events and answers where it stands then.
    fn poll(&mut self, session: Session, stream: Stream, segment: u32, from: u64, count: u64) -> u64 {
        let at = self.now();
        let seen: Vec<_> =
            self.segments[&(stream, segment)].iter().skip(from as usize).take(count as usize).copied().collect();
        let Some((_, commit_seq)) = seen.last().copied() else { return from };
        let after = from + seen.len() as u64;
        self.history.polls.push(Poll {
            session,
            stream,
            segment,
            before: from,
            base_offset: from,
            values: seen.into_iter().map(|(value, _)| value).collect(),
            after,
            commit_seq,
            at,
        });
        after
    }

    fn snapshot(&mut self, stream: Stream, names_commit: bool) {
        let asked = self.now();
        let of_stream = self.segments.range((stream, 0)..=(stream, SEGMENTS));
        let ends = of_stream.map(|((_, segment), events)| (*segment, events.len() as u64)).collect();
        let commit_seq = names_commit.then_some(self.commit_seq);
        self.history.snapshots.push(Snapshot { stream, asked, commit_seq, ends });
    }

    /// Makes a file of what is not published of a segment, or of the beginning of that.
    fn publish(&mut self, stream: Stream, choice: u32) {
        let at = (stream, choice % SEGMENTS);
        let files = self.published.entry(at).or_default();
        let (from, end) = (files.last().map_or(0, |file| file.end), self.segments[&at].len() as u64);
        if from < end {
            let rows = u64::from(choice / SEGMENTS) % (end - from) + 1;
            files.push(Range { segment: at.1, base_offset: from, end: from + rows });
        }
    }

    fn look(&mut self, stream: Stream, complete: bool) {
        let at = self.now();
        let files: Vec<Range> =
            self.published.range((stream, 0)..=(stream, SEGMENTS)).flat_map(|(_, files)| files.clone()).collect();
        let mut earlier = self.history.looks.iter().filter(|look| look.stream == stream);
        let known = earlier.next_back().map_or(Vec::new(), |look| look.files.clone());
        let rows = |file: &Range| Rows {
            segment: file.segment,
            base_offset: file.base_offset,
            rows: self.segments[&(stream, file.segment)][file.base_offset as usize..file.end as usize].to_vec(),
        };
        let rows = files.iter().filter(|file| !known.contains(file)).map(rows).collect();
        self.history.looks.push(Look { stream, at, files, rows, complete });
    }

    /// What is under way stays unknown; everything is read and published.
    fn finish(&mut self) {
        for stream in (0..STREAMS).map(Stream) {
            self.snapshot(stream, true);
            let session = self.session();
            for segment in 0..SEGMENTS {
                let mut from = 0;
                while from < self.segments[&(stream, segment)].len() as u64 {
                    from = self.poll(session, stream, segment, from, 7);
                }
                self.publish(stream, segment + SEGMENTS);
            }
            self.look(stream, false);
            for segment in 0..SEGMENTS {
                while self.published[&(stream, segment)].last().map_or(0, |file| file.end)
                    < self.segments[&(stream, segment)].len() as u64
                {
                    self.publish(stream, segment + 5 * SEGMENTS);
                }
            }
            self.look(stream, true);
        }
    }
}

/// The key of an event; keys differ between writers.
fn key_of(choice: u32) -> Key {
    Key((choice % KEYS) as u16)
}
