//! Records a history while concurrent clients make it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use super::operation::{History, Look, Opening, Outcome, Poll, Session, Snapshot, Stream, Time, Write, Writer};

/// Takes what clients did; clones record into one history. Every call is short and never waits for anything but the others.
///
/// A write is recorded before its first request is sent, so that a client that never comes back leaves a write whose
/// outcome is not known, and no value that is seen is one that nobody sent.
#[derive(Debug, Default, Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    clock: AtomicU64,
    sessions: AtomicU32,
    history: Mutex<History>,
}

/// A recorded write whose outcome may still change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteId(usize);

impl Recorder {
    /// A new moment: later than all that were noted before this call, by whomever.
    pub fn now(&self) -> Time {
        Time(self.shared.clock.fetch_add(1, Ordering::SeqCst))
    }

    /// A stream by its name.
    pub fn stream(&self, name: &str) -> Stream {
        Stream(number_of(&mut self.history().streams, name))
    }

    /// A plain writer or a sink by its name.
    pub fn writer(&self, name: &str) -> Writer {
        Writer(number_of(&mut self.history().writers, name))
    }

    /// A new reader.
    pub fn session(&self) -> Session {
        Session(self.shared.sessions.fetch_add(1, Ordering::Relaxed))
    }

    /// Before a write is sent.
    pub fn write(&self, write: Write) -> WriteId {
        let mut history = self.history();
        history.writes.push(write);
        WriteId(history.writes.len() - 1)
    }

    /// How a write stands now.
    pub fn outcome(&self, id: WriteId, outcome: Outcome) {
        if let Some(write) = self.history().writes.get_mut(id.0) {
            write.outcome = outcome;
        }
    }

    /// A plain writer was opened.
    pub fn opening(&self, opening: Opening) {
        self.history().openings.push(opening);
    }

    /// A reader was given a batch.
    pub fn poll(&self, poll: Poll) {
        self.history().polls.push(poll);
    }

    /// A stream's end was asked for and answered.
    pub fn snapshot(&self, snapshot: Snapshot) {
        self.history().snapshots.push(snapshot);
    }

    /// A stream's Parquet files were read.
    pub fn look(&self, look: Look) {
        self.history().looks.push(look);
    }

    /// Takes everything recorded so far; what comes later goes into a new history.
    pub fn take(&self) -> History {
        std::mem::take(&mut *self.history())
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.shared.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a name in a list; a new name is added.
fn number_of(names: &mut Vec<String>, name: &str) -> u16 {
    let place = names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_string());
        names.len() - 1
    });
    u16::try_from(place).expect("a history has fewer than 65535 streams and writers")
}
