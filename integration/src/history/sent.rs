//! What was sent, to be looked up by stream and value.

use std::collections::BTreeMap;

use super::operation::{History, Key, Stream, Value, Writer};

/// An event that was sent to a stream, and where readers saw it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    /// Its number among its writer's.
    pub n: u32,
    /// Its routing key.
    pub key: Key,
    /// Its write: the place in [`History::writes`].
    pub write: u32,
    /// Segment and offset where it was seen first.
    pub at: Option<(u32, u64)>,
}

/// Everything that was sent.
#[derive(Debug, Default)]
pub(super) struct AllSent {
    /// Ascending by `n`, mostly without a gap.
    by_writer: BTreeMap<(Stream, Writer), Vec<Sent>>,
}

impl AllSent {
    /// # Panics
    /// When a value was sent twice to a stream: such a history says nothing about duplicates.
    pub fn of(history: &History) -> Self {
        let mut by_writer: BTreeMap<(Stream, Writer), Vec<Sent>> = BTreeMap::new();
        for (write, number) in history.writes.iter().zip(0u32..) {
            for part in &write.parts {
                let sent = by_writer.entry((part.stream, write.writer)).or_default();
                sent.extend(part.events.iter().map(|event| Sent {
                    n: event.value.n,
                    key: event.key,
                    write: number,
                    at: None,
                }));
            }
        }
        for sent in by_writer.values_mut() {
            sent.sort_unstable_by_key(|sent| sent.n);
            assert!(sent.windows(2).all(|pair| pair[0].n < pair[1].n), "a value was sent twice to one stream");
        }
        Self { by_writer }
    }

    /// How many events were sent to a stream.
    pub fn count(&self, stream: Stream) -> u64 {
        let writers = (stream, Writer(0))..=(stream, Writer::NOBODY);
        self.by_writer.range(writers).map(|(_, sent)| sent.len() as u64).sum()
    }

    /// The event with this value.
    pub fn find(&self, stream: Stream, value: Value) -> Option<&Sent> {
        let sent = self.by_writer.get(&(stream, value.writer))?;
        sent.get(place(sent, value.n)?)
    }

    /// The same, to note where it was seen.
    pub fn find_mut(&mut self, stream: Stream, value: Value) -> Option<&mut Sent> {
        let sent = self.by_writer.get_mut(&(stream, value.writer))?;
        let place = place(sent, value.n)?;
        sent.get_mut(place)
    }
}

/// Where `n` stands: at its distance from the first one unless numbers were left out.
fn place(sent: &[Sent], n: u32) -> Option<usize> {
    let guess = n.checked_sub(sent.first()?.n)? as usize;
    match sent.get(guess) {
        Some(found) if found.n == n => Some(guess),
        _ => sent.binary_search_by_key(&n, |sent| sent.n).ok(),
    }
}
