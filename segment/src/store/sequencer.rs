//! The one task that changes state.
//!
//! It takes everything that waits, runs the rules in order against the index plus what is accepted but not durable, writes one
//! frame, syncs if somebody waits for durability or enough bytes are unsynced, shows the changes to readers and answers.
//! The next round starts when this one ended: the longer a sync takes, the more share the next. The index takes the changes
//! later, in a task of its own.

use std::{
    sync::{
        Arc, PoisonError,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use bytes::Bytes;
use prost::Message as _;
use sluice_proto::storage::v1::{self as stored, FrameFacts, Mutation};
use sluice_txn::{
    key::RawKey,
    ledger::{Change, Draft, Overlay, View},
    protocol::Millis,
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{Error, OnFatal, Shared, Wait, open::condemn_index, table::Flusher, visible::Visible};
use crate::log::{Block, Log, LogError};

/// A round takes no more than this many bytes of blocks, so that a frame stays near the sync size.
const ROUND_BYTES: usize = 8 << 20;
const ROUND_COMMANDS: usize = 4096;
/// Below so much free space no events are taken: the index cannot refuse a write as the log can, and needs room for what the
/// log holds already.
pub(super) const FREE_BYTES_FOR_BLOCKS: u64 = 16 << 20;
/// Commands without blocks go on until here: commits, and deletions that free space.
const FREE_BYTES_FOR_FACTS: u64 = 8 << 20;
/// The index takes changes when so many keys wait for it, or so many bytes of log hold them: a start reads these again.
const FLUSH_KEYS: usize = 8192;
const FLUSH_LOG_BYTES: usize = 64 << 20;
/// With more keys than this the index is waited for.
const WAITING_KEYS_MAX: usize = 4 * FLUSH_KEYS;
/// Accepted changes are made durable when nothing came for this long.
const IDLE: Duration = Duration::from_millis(100);

/// A rule with the caller who waits for its answer.
pub(super) trait Job: Send {
    /// Runs the rule.
    fn run(self: Box<Self>, draft: &mut Draft<'_>, refs: &[stored::BlockRef], now: Millis) -> Verdict;
    /// Tells the caller that the rule did not run.
    fn refuse(self: Box<Self>, error: Error);
}

/// What a rule decided: whether its changes count, and how its caller is told.
pub(super) struct Verdict {
    pub keep: bool,
    pub finish: Finish,
}

type Finish = Box<dyn FnOnce(Result<(), Error>) + Send>;

pub(super) struct Command {
    pub blocks: Vec<Block>,
    pub wait: Wait,
    pub job: Box<dyn Job>,
    /// Its share of the queue; given back when it is written.
    pub room: OwnedSemaphorePermit,
}

pub(super) enum Message {
    Command(Box<Command>),
    /// Removes a log file that nothing needs any more, unless files are held; answers whether it did.
    RemoveLogFile(u64, oneshot::Sender<Result<bool, Error>>),
    /// Answers the files of the log.
    LogFiles(oneshot::Sender<Vec<crate::log::LogFile>>),
    Close(oneshot::Sender<()>),
}

pub(super) struct Sequencer {
    pub shared: Arc<Shared>,
    pub log: Log,
    pub queue: Receiver<Message>,
    /// Changes in the log that are not durable yet.
    pub overlay: Overlay,
    pub flusher: Flusher,
    /// Told when the next sync is done.
    pub waiting: Vec<Finish>,
    pub on_fatal: Option<OnFatal>,
}

impl Sequencer {
    /// Runs until the store is closed or fails.
    pub(super) fn run(mut self) {
        let closed = loop {
            match self.round() {
                Ok(None) => {}
                Ok(Some(closed)) => break closed,
                Err(error) => return self.fail(&error),
            }
        };
        let ended = self.make_durable().map_err(|error| error.to_string()).and_then(|()| self.mark());
        if let Err(error) = ended.and_then(|()| self.end_flusher()) {
            return self.fail(&error);
        }
        // Whoever closed the store finds nothing of it in use by this task.
        drop(self);
        if let Some(closed) = closed {
            let _ = closed.send(());
        }
    }

    /// Takes what waits and works it off; `Some` when the store is to close.
    fn round(&mut self) -> Result<Option<Option<oneshot::Sender<()>>>, String> {
        let first = match self.queue.recv_timeout(IDLE) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => {
                self.idle()?;
                return Ok(None);
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(Some(None)),
        };
        let mut commands = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Command(command) => {
                    bytes += command.blocks.iter().map(|block| block.data.len()).sum::<usize>();
                    commands.push(*command);
                }
                Message::RemoveLogFile(number, tell) => {
                    let _ = tell.send(self.remove_file(number));
                }
                Message::LogFiles(tell) => {
                    let _ = tell.send(self.log.files());
                }
                Message::Close(tell) => {
                    self.process(commands)?;
                    return Ok(Some(Some(tell)));
                }
            }
            let full = bytes >= ROUND_BYTES || commands.len() >= ROUND_COMMANDS;
            next = if full { None } else { self.queue.try_recv().ok() };
        }
        self.process(commands)?;
        Ok(None)
    }

    fn idle(&mut self) -> Result<(), String> {
        if self.log.unsynced_bytes() > 0 || !self.overlay.is_empty() {
            self.make_durable().map_err(|error| error.to_string())?;
        }
        if self.shared.table.waiting() > 0 && self.index_may_grow() {
            self.flusher.wake();
        }
        self.check_index().map_err(|error| error.to_string())?;
        // Also when nothing was left to sync: only the next frame proves the last one durable, and none may come for long.
        self.mark()
    }

    /// Says in the log what is durable. A full disk is no failure: only the proof is missing.
    fn mark(&mut self) -> Result<(), String> {
        match self.log.mark() {
            Ok(_) | Err(LogError::Full(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Under the lock that a hold is taken with, so that no file goes once [`super::EmbeddedStore::hold_files`] has returned.
    fn remove_file(&mut self, number: u64) -> Result<bool, Error> {
        let shared = Arc::clone(&self.shared);
        let state = shared.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        if state.holds > 0 {
            return Ok(false);
        }
        self.log.remove_file(number).map_err(|error| Error::from_log(&error))?;
        self.note_log_bytes();
        Ok(true)
    }

    /// Refuses what the disk has no room for and answers the others.
    fn refuse_without_room(&self, commands: Vec<Command>) -> Vec<Command> {
        let folder = &self.shared.folder;
        // A disk that does not tell is found full when a write fails.
        let Ok(Some(free)) = self.shared.env.disk.free_bytes(folder) else { return commands };
        if free >= FREE_BYTES_FOR_BLOCKS {
            return commands;
        }
        let fits = |command: &Command| free >= FREE_BYTES_FOR_FACTS && command.blocks.is_empty();
        let (fitting, others): (Vec<_>, Vec<_>) = commands.into_iter().partition(fits);
        for command in others {
            let text = format!(
                "the disk is full: the {} MiB left at {} are kept for the index; free some space",
                free >> 20,
                folder.display()
            );
            command.job.refuse(Error::Full(text));
        }
        fitting
    }

    fn process(&mut self, commands: Vec<Command>) -> Result<(), String> {
        let commands = self.refuse_without_room(commands);
        if commands.is_empty() {
            return Ok(());
        }
        // Blocks of commands that are refused are written too: their places were given before the rules ran.
        let blocks: Vec<Block> = commands.iter().flat_map(|command| command.blocks.iter().cloned()).collect();
        let plan = match self.log.plan(blocks.clone()) {
            Ok(plan) => plan,
            Err(error) => {
                commands.into_iter().for_each(|command| command.job.refuse(Error::from_log(&error)));
                return only_full(&error);
            }
        };
        let refs: Vec<stored::BlockRef> = plan.refs().iter().map(|at| (*at).into()).collect();
        let round = self.run_rules(commands, &refs);
        if !round.changes.is_empty() {
            let places: Vec<crate::log::BlockRef> = plan.refs().to_vec();
            let facts = encode_facts(&round.changes);
            self.flusher.log_bytes += facts.len() + blocks.iter().map(|block| block.data.len()).sum::<usize>();
            if let Err(error) = self.log.append(plan, &facts) {
                round.verdicts.into_iter().for_each(|(_, verdict)| (verdict.finish)(Err(Error::from_log(&error))));
                return only_full(&error);
            }
            for (at, block) in places.iter().zip(blocks) {
                self.shared.cache.insert(at, block.data);
            }
            self.overlay.add(round.changes);
            self.note_log_bytes();
        }
        drop(round.room);
        self.answer(round.verdicts)
    }

    /// Runs the rules in order, each over what the ones before it changed.
    fn run_rules(&self, commands: Vec<Command>, refs: &[stored::BlockRef]) -> Round {
        self.shared.table.read(|_, durable| self.run_rules_over(durable, commands, refs))
    }

    fn run_rules_over(&self, durable: &dyn View, commands: Vec<Command>, refs: &[stored::BlockRef]) -> Round {
        let now = self.shared.env.clock.now_ms();
        let accepted = self.overlay.over(durable);
        let mut frame = Overlay::default();
        let (mut verdicts, mut room) = (Vec::with_capacity(commands.len()), Vec::with_capacity(commands.len()));
        let mut next_block = 0;
        for command in commands {
            let own = &refs[next_block..next_block + command.blocks.len()];
            next_block += command.blocks.len();
            let (verdict, changes) = {
                let view = frame.over(&accepted);
                let mut draft = Draft::new(&view);
                let verdict = command.job.run(&mut draft, own, now);
                (verdict, draft.into_changes())
            };
            if verdict.keep {
                frame.add(changes);
            }
            verdicts.push((command.wait, verdict));
            room.push(command.room);
        }
        Round { changes: frame, verdicts, room }
    }

    /// Answers who waits for acceptance only; the others after the sync that this round needs.
    fn answer(&mut self, verdicts: Vec<(Wait, Verdict)>) -> Result<(), String> {
        let mut somebody_waits = false;
        for (wait, verdict) in verdicts {
            // A refusal, too, may rest on a state that is not durable yet.
            if wait == Wait::Durable || !verdict.keep {
                somebody_waits = true;
                self.waiting.push(verdict.finish);
            } else {
                (verdict.finish)(Ok(()));
            }
        }
        if somebody_waits || self.log.unsynced_bytes() >= self.shared.options.sync_bytes {
            self.make_durable().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Syncs what is written, shows it to readers, and answers those who waited for it.
    fn make_durable(&mut self) -> Result<(), LogError> {
        if self.log.unsynced_bytes() > 0 {
            self.log.sync()?;
        }
        let lsn = self.log.durable_lsn();
        if !self.overlay.is_empty() {
            let changes = std::mem::take(&mut self.overlay);
            let news = Visible::news(&changes);
            let waiting = self.shared.table.add(lsn, changes);
            self.shared.visible.announce(news);
            let due = waiting >= FLUSH_KEYS || self.flusher.log_bytes >= FLUSH_LOG_BYTES;
            if due && self.index_may_grow() {
                self.flusher.wake();
                if waiting >= WAITING_KEYS_MAX {
                    // Failed? Told below.
                    let _ = self.shared.table.flush();
                }
            }
            self.check_index()?;
        }
        self.shared.durable_lsn.store(lsn.0, Ordering::Release);
        for finish in self.waiting.drain(..) {
            finish(Ok(()));
        }
        Ok(())
    }

    /// A store whose index takes no changes must end: what it keeps in memory would grow without bound.
    fn check_index(&self) -> Result<(), LogError> {
        let Some(error) = self.shared.table.failure() else { return Ok(()) };
        condemn_index(&*self.shared.env.disk, &self.shared.folder);
        Err(LogError::Poisoned(error.to_string()))
    }

    /// The index cannot refuse a write as the log can. On a full disk it waits, with the little that is still taken there.
    fn index_may_grow(&self) -> bool {
        let free = self.shared.env.disk.free_bytes(&self.shared.folder);
        free.ok().flatten().is_none_or(|free| free >= FREE_BYTES_FOR_FACTS)
    }

    /// The next start has nothing to replay then.
    fn end_flusher(&mut self) -> Result<(), String> {
        self.flusher.end();
        if self.index_may_grow() {
            let _ = self.shared.table.flush();
        }
        self.check_index().map_err(|error| error.to_string())
    }

    fn note_log_bytes(&self) {
        let bytes = self.log.files().iter().map(|file| file.bytes).sum();
        self.shared.log_bytes.store(bytes, Ordering::Relaxed);
    }

    fn fail(mut self, message: &str) {
        tracing::error!(error = message, "the store failed and stops");
        self.shared.room.close();
        let error = || Error::Stopped(message.to_string());
        for finish in self.waiting.drain(..) {
            finish(Err(error()));
        }
        if let Some(on_fatal) = self.on_fatal.take() {
            on_fatal(message);
        }
    }
}

impl Drop for Sequencer {
    /// A rule that panicked takes the task down; whoever waits learns it from the channels, the process from here.
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(on_fatal) = self.on_fatal.take()
        {
            self.shared.room.close();
            on_fatal("the sequencer panicked");
        }
    }
}

/// What the rules of one round did.
struct Round {
    changes: Overlay,
    verdicts: Vec<(Wait, Verdict)>,
    room: Vec<OwnedSemaphorePermit>,
}

/// A full disk refuses one round and nothing else; any other error ends the store.
fn only_full(error: &LogError) -> Result<(), String> {
    if matches!(error, LogError::Full(_) | LogError::TooLarge(_)) { Ok(()) } else { Err(error.to_string()) }
}

fn encode_facts(changes: &Overlay) -> Vec<u8> {
    let mutation =
        |(key, value): (&RawKey, &Option<Bytes>)| Mutation { key: Bytes::copy_from_slice(key), value: value.clone() };
    FrameFacts { mutations: changes.iter().map(mutation).collect() }.encode_to_vec()
}

/// The changes of a frame.
pub(crate) fn decode_facts(facts: Bytes) -> Result<Vec<Change>, prost::DecodeError> {
    let facts = FrameFacts::decode(facts)?;
    Ok(facts.mutations.into_iter().map(|mutation| (mutation.key.to_vec(), mutation.value)).collect())
}
