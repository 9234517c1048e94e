//! What a sink's writers do: open their slot, begin, append, prepare.

use sluice_proto::{
    gateway::v1::OpenWriterResponse,
    storage::v1::{BlockInfo, Chunk},
};
use sluice_txn::protocol::{
    Millis, Refusal,
    transactions::{self, Claim},
};

use super::Called;
use crate::{
    config::{Config, START_MS},
    event::Record,
    ids::{Place, Txn, run, sink},
    job::{Life, Sent},
    world::World,
};

const FENCED_WRITERS: &str = "I11: a fenced writer changes nothing";
const RIGHTFUL: &str = "I40: a rightful call is answered";
/// As the gateway's default.
const OPEN_TTL_MS: Millis = 24 * 3600 * 1000;

impl World {
    pub(super) fn open_writer(&mut self, attempt: u8, subtask: u8) -> bool {
        let job = self.attempt(attempt);
        if job.subtasks[usize::from(subtask)].epoch.is_some() {
            return false;
        }
        match self.send_open_writer(attempt, subtask) {
            Ok((answer, executed)) => {
                if executed {
                    self.slots[usize::from(subtask)] = Some(attempt);
                }
                self.attempt_mut(attempt).subtasks[usize::from(subtask)].epoch = Some(answer.writer_epoch);
            }
            Err(refusal) => self.blame(RIGHTFUL, format!("OpenWriter: {}", refusal.message)),
        }
        true
    }

    /// OpenWriter as an attempt sends it, every time.
    pub(super) fn send_open_writer(&mut self, attempt: u8, subtask: u8) -> Called<OpenWriterResponse> {
        let job = self.attempt(attempt);
        let (nonce, parallelism) = (run(job.run), u32::from(job.parallelism));
        self.control(attempt, 1 + u64::from(subtask), &[subtask], |draft| {
            let number = u32::from(subtask);
            let writer_epoch = transactions::open_writer(draft, &sink(), number, parallelism, nonce, START_MS)?;
            Ok(OpenWriterResponse { writer_epoch })
        })
    }

    /// Writes the next record of a split to every stream, in a transaction that is begun if there is none.
    pub(super) fn write(&mut self, attempt: u8, split: u8, config: &Config) -> bool {
        let job = self.attempt(attempt);
        let subtask = job.reader_of(split);
        if job.subtasks[usize::from(subtask)].epoch.is_none() {
            self.open_writer(attempt, subtask);
        }
        let job = self.attempt(attempt);
        let writer = &job.subtasks[usize::from(subtask)];
        let Some(epoch) = writer.epoch else { return false };
        let begins = !writer.open;
        if job.finished[usize::from(split)] || writer.current().is_some_and(|sent| sent.prepared) {
            return false;
        }

        let job = self.attempt_mut(attempt);
        let number = job.positions[usize::from(split)];
        job.positions[usize::from(split)] += 1;
        let writer = &mut job.subtasks[usize::from(subtask)];
        if begins {
            let txn = Txn { attempt, subtask, ordinal: writer.sent.len() as u8 };
            writer.sent.push(Sent { txn, records: Vec::new(), prepared: false, ended: false });
            writer.open = true;
        }
        let Some(sent) = writer.sent.last_mut() else { return false };
        sent.records.push((split, number));
        let sent = sent.clone();

        // A refusal fails the task; to a dead one nothing happens.
        let running = job.life == Life::Running;
        let right = self.may_write(&sent);
        if begins {
            let called = self.send_begin(sent.txn, epoch);
            if !self.accept("Begin", sent.txn, right, &called) {
                // It never was.
                let writer = &mut self.attempt_mut(attempt).subtasks[usize::from(subtask)];
                writer.sent.pop();
                writer.open = false;
                return running;
            }
        }
        let blocks = self.blocks_of(&sent, config);
        let first = blocks.len() - usize::from(config.streams);
        for (seq, (place, block)) in (first as u64..).zip(blocks.into_iter().skip(first)) {
            let called = self.send_append(sent.txn, seq, place, block);
            if !self.accept("Append", sent.txn, right, &called) {
                return running;
            }
        }
        true
    }

    pub(super) fn prepare(&mut self, attempt: u8, subtask: u8, config: &Config) -> bool {
        let Some(sent) = self.attempt(attempt).subtasks[usize::from(subtask)].current().cloned() else { return false };
        if sent.prepared || sent.records.is_empty() {
            return false;
        }
        let right = self.may_write(&sent);
        let claim = self.claim_of(&sent, config);
        let called = self.send_prepare(sent.txn, &claim);
        let running = self.attempt(attempt).life == Life::Running;
        if !self.accept("Prepare", sent.txn, right, &called) {
            return running;
        }
        self.sent_mut(sent.txn).prepared = true;
        true
    }

    /// A split of a bounded source ends.
    pub(super) fn finish(&mut self, attempt: u8, split: u8) -> bool {
        let finished = &mut self.attempt_mut(attempt).finished[usize::from(split)];
        !std::mem::replace(finished, true)
    }

    /// Time passes over an idle transaction.
    pub(super) fn expire(&mut self, txn: Txn) -> bool {
        let called =
            self.call(|draft| transactions::expire_open(draft, txn.id(), OPEN_TTL_MS, START_MS + OPEN_TTL_MS + 1));
        match called {
            Ok((true, _)) => {
                self.sent_mut(txn).ended = true;
                self.spent.expired = self.spent.expired.saturating_add(1);
                true
            }
            Ok((false, changed)) => {
                if changed {
                    self.blame("I4: no clock ends what is not open", format!("{txn} changed"));
                }
                false
            }
            Err(refusal) => {
                self.blame(RIGHTFUL, format!("expiry of {txn}: {}", refusal.message));
                false
            }
        }
    }

    /// Whether the writer of a transaction may go on: nobody opened its slot since, and it did not end.
    fn may_write(&self, sent: &Sent) -> bool {
        self.slots[usize::from(sent.txn.subtask)] == Some(sent.txn.attempt) && !sent.ended
    }

    /// Holds an answer against the writer's right; a refusal fails the task. Answers whether the call was accepted.
    fn accept<T>(&mut self, call: &str, txn: Txn, right: bool, called: &Called<T>) -> bool {
        match called {
            Ok((_, changed)) => {
                if *changed && !right {
                    self.blame(FENCED_WRITERS, format!("{call} of {txn} was accepted after its slot was opened again"));
                }
                true
            }
            Err(refusal) => {
                if right {
                    self.blame(RIGHTFUL, format!("{call} of {txn}: {}", refusal.message));
                }
                self.end(txn.attempt, Life::Dead);
                false
            }
        }
    }

    pub(super) fn sent(&self, txn: Txn) -> Option<&Sent> {
        self.attempts
            .get(usize::from(txn.attempt))?
            .subtasks
            .get(usize::from(txn.subtask))?
            .sent
            .get(usize::from(txn.ordinal))
    }

    pub(super) fn sent_mut(&mut self, txn: Txn) -> &mut Sent {
        &mut self.attempt_mut(txn.attempt).subtasks[usize::from(txn.subtask)].sent[usize::from(txn.ordinal)]
    }

    pub(super) fn send_begin(&mut self, txn: Txn, epoch: u64) -> Called<()> {
        self.call(|draft| transactions::begin(draft, txn.id(), &sink(), txn.subtask.into(), epoch, START_MS))
    }

    pub(super) fn send_append(&mut self, txn: Txn, seq: u64, place: Place, block: BlockInfo) -> Called<bool> {
        self.call(|draft| transactions::append(draft, txn.id(), seq, place.id(), block, START_MS))
    }

    pub(super) fn send_prepare(&mut self, txn: Txn, claim: &Claim) -> Result<((u32, u64), bool), Refusal> {
        self.call(|draft| transactions::prepare(draft, txn.id(), claim, START_MS))
    }

    /// The blocks of a transaction in order: each record, to each stream.
    pub(super) fn blocks_of(&self, sent: &Sent, config: &Config) -> Vec<(Place, BlockInfo)> {
        let (line, attempt) = (self.attempt(sent.txn.attempt).line, sent.txn.attempt);
        let mut blocks = Vec::with_capacity(sent.records.len() * usize::from(config.streams));
        for (split, number) in &sent.records {
            let record = Record { line, split: *split, number: *number, attempt };
            for stream in 0..config.streams {
                blocks.push((Place { stream, segment: split % config.segments }, record.block()));
            }
        }
        blocks
    }

    /// What its writer says it sent.
    pub(super) fn claim_of(&self, sent: &Sent, config: &Config) -> Claim {
        let blocks = self.blocks_of(sent, config);
        let length = |block: &BlockInfo| block.at.map_or(0, |at| u64::from(at.length));
        let chunks: Vec<Chunk> = blocks
            .into_iter()
            .map(|(place, block)| Chunk {
                stream_id: place.id().stream.get(),
                segment: place.segment.into(),
                block: Some(block),
            })
            .collect();
        let infos = || chunks.iter().filter_map(|chunk| chunk.block.as_ref());
        Claim {
            chunks: chunks.len() as u64,
            events: infos().map(|block| u64::from(block.rows)).sum(),
            bytes: infos().map(length).sum(),
            digest: transactions::digest(&chunks),
        }
    }
}
