//! Transactions of a sink's slots (protocol.md §3.3, §3.5).

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use sluice_proto::storage::v1::{
    self as stored, AbortReason, ActiveTransaction, BlockInfo, Chunk, Sink, Slot, Transaction, TransactionState,
};
use sluice_schema::{
    ids::{RunNonce, SegmentId, TransactionId},
    names::SinkName,
};

use super::{ErrorClass, ErrorReason, Millis, Outcome, PARALLELISM_MAX, Refusal, events};
use crate::{
    key::{Key, KeySpan},
    ledger::{Draft, Records},
};

/// Opens a slot: the epoch grows, OPEN transactions of older epochs end, PREPARED ones stay.
pub fn open_writer(
    draft: &mut Draft<'_>,
    sink: &SinkName,
    subtask: u32,
    parallelism: u32,
    run: RunNonce,
    now: Millis,
) -> Outcome<u64> {
    if parallelism == 0 || parallelism > PARALLELISM_MAX || subtask >= parallelism {
        let text = format!(
            "subtask {subtask} of {parallelism} is not possible: parallelism must be 1..={PARALLELISM_MAX} and above the subtask"
        );
        return Err(Refusal::bad_request(text).into());
    }
    let mut record = sink_or_new(draft, sink, now)?;
    record.slots = record.slots.max(subtask + 1);
    draft.put(&Key::Sink(sink.clone()), &record);
    bump_slot(draft, sink, subtask, run, now)
}

/// The sink's record; a new one needs its scope.
pub(super) fn sink_or_new(draft: &Draft<'_>, sink: &SinkName, now: Millis) -> Outcome<Sink> {
    if let Some(record) = draft.sink(sink)? {
        return Ok(record);
    }
    super::streams::require_scope(draft, &sink.scope)?;
    Ok(Sink { created_ms: now, ..Sink::default() })
}

/// Gives a slot its next epoch and ends the OPEN transactions of older ones.
pub(super) fn bump_slot(
    draft: &mut Draft<'_>,
    sink: &SinkName,
    subtask: u32,
    run: RunNonce,
    now: Millis,
) -> Outcome<u64> {
    let epoch = draft.slot(sink, subtask)?.map_or(0, |slot| slot.writer_epoch) + 1;
    draft.put(&Key::Slot(sink.clone(), subtask), &Slot { writer_epoch: epoch, run_nonce: run.to_bytes() });
    for (_, id) in draft.active(&KeySpan::active_of_slot(sink, subtask))? {
        let transaction = require(draft, id)?;
        if transaction.state() == TransactionState::Open && transaction.writer_epoch < epoch {
            end_aborted(draft, sink, id, transaction, AbortReason::Fenced, now)?;
        }
    }
    Ok(epoch)
}

/// A transaction that must exist.
pub(super) fn require(draft: &Draft<'_>, id: TransactionId) -> Outcome<Transaction> {
    let unknown = || {
        Refusal::not_found(ErrorReason::UnknownTransaction, format!("transaction {id} is unknown"))
            .about(format!("transaction {id}"))
    };
    Ok(draft.transaction(id)?.ok_or_else(unknown)?)
}

/// The sink a transaction belongs to.
pub fn sink_of(transaction: &Transaction) -> Option<SinkName> {
    SinkName::parse_parts(&transaction.scope, &transaction.sink).ok()
}

fn must_sink_of(transaction: &Transaction) -> Outcome<SinkName> {
    Ok(sink_of(transaction)
        .ok_or_else(|| Refusal::new(ErrorClass::Internal, ErrorReason::Bug, "a stored sink name is malformed"))?)
}

/// Opens a transaction under an id that the writer minted at random.
pub fn begin(
    draft: &mut Draft<'_>,
    id: TransactionId,
    sink: &SinkName,
    subtask: u32,
    epoch: u64,
    now: Millis,
) -> Outcome<()> {
    let slot = draft.slot(sink, subtask)?;
    let current = slot.as_ref().map_or(0, |slot| slot.writer_epoch);
    if let Some(found) = draft.transaction(id)? {
        let same = found.scope == sink.scope.as_str()
            && found.sink == sink.name.as_str()
            && found.subtask == subtask
            && found.writer_epoch == epoch;
        return match (same, found.state()) {
            (false, _) => Err(Refusal::rejected(
                ErrorReason::GroupMismatch,
                format!("transaction id {id} is used by another slot; mint a new one"),
            )
            .into()),
            (true, TransactionState::Aborted) => Err(aborted(id, &found).into()),
            (true, _) => Ok(()),
        };
    }
    if epoch > current {
        return Err(Refusal::bad_request(format!(
            "epoch {epoch} of slot {subtask} of sink {sink} was never given out (current: {current}); call OpenWriter"
        ))
        .into());
    }
    let Some(slot) = slot.filter(|_| epoch == current) else {
        return Err(stale_epoch(sink, subtask, epoch, current).into());
    };
    draft.put(
        &Key::Transaction(id),
        &Transaction {
            scope: sink.scope.to_string(),
            sink: sink.name.to_string(),
            subtask,
            writer_epoch: epoch,
            run_nonce: slot.run_nonce,
            state: TransactionState::Open.into(),
            touched_ms: now,
            state_since_ms: now,
            ..Transaction::default()
        },
    );
    draft.put(&Key::ActiveTransaction(sink.clone(), subtask, id), &ActiveTransaction {});
    Ok(())
}

fn stale_epoch(sink: &SinkName, subtask: u32, epoch: u64, current: u64) -> Refusal {
    Refusal::fenced(
        ErrorReason::StaleEpoch,
        current,
        format!("epoch {epoch} of slot {subtask} of sink {sink} is over: epoch {current} writes now"),
    )
    .about(format!("sink {sink}"))
}

/// Says that a transaction is aborted, and why.
pub(super) fn aborted(id: TransactionId, transaction: &Transaction) -> Refusal {
    let reason = transaction.abort_reason().as_str_name().to_string();
    let mut refusal = Refusal::rejected(
        ErrorReason::TransactionAborted,
        format!("transaction {id} was aborted ({reason}); its events are not part of the stream"),
    )
    .about(format!("transaction {id}"))
    .fact("aborted_ms", transaction.state_since_ms);
    refusal.detail.abort_reason = reason;
    refusal
}

/// Adds a block to an OPEN transaction; answers whether it was stored now (not a repeat).
pub fn append(
    draft: &mut Draft<'_>,
    id: TransactionId,
    seq: u64,
    segment: SegmentId,
    block: BlockInfo,
    now: Millis,
) -> Outcome<bool> {
    let mut transaction = require(draft, id)?;
    match transaction.state() {
        TransactionState::Open => {}
        TransactionState::Aborted => return Err(aborted(id, &transaction).into()),
        TransactionState::Committed => return Err(already_committed(id, &transaction).into()),
        _ if seq < transaction.chunks => {}
        _ => {
            return Err(Refusal::rejected(
                ErrorReason::TransactionPrepared,
                format!("transaction {id} is prepared; nothing can be added"),
            )
            .about(format!("transaction {id}"))
            .into());
        }
    }
    if seq < transaction.chunks {
        let stored: Option<Chunk> = draft.record(&Key::Chunk(id, seq))?;
        let crc = |info: Option<&BlockInfo>| info.and_then(|info| info.at.as_ref()).map(|at| (at.crc32c, at.length));
        return if stored.is_some_and(|chunk| crc(chunk.block.as_ref()) == crc(Some(&block))) {
            Ok(false)
        } else {
            Err(Refusal::rejected(
                ErrorReason::DigestMismatch,
                format!("block {seq} of transaction {id} was sent before with other bytes"),
            )
            .about(format!("transaction {id}"))
            .into())
        };
    }
    if seq > transaction.chunks {
        let text = format!("block {seq} of transaction {id} leaves a gap: the next is {}", transaction.chunks);
        return Err(Refusal::new(ErrorClass::Conflict, ErrorReason::OutOfSequence, text)
            .expected(transaction.chunks)
            .into());
    }
    let sink = must_sink_of(&transaction)?;
    let current = draft.slot(&sink, transaction.subtask)?.map_or(0, |slot| slot.writer_epoch);
    if transaction.writer_epoch != current {
        return Err(stale_epoch(&sink, transaction.subtask, transaction.writer_epoch, current).into());
    }
    events::require_writable(draft, segment, block.schema_id)?;
    transaction.chunks += 1;
    transaction.events += u64::from(block.rows);
    transaction.bytes += block.at.as_ref().map_or(0, |at| u64::from(at.length));
    transaction.touched_ms = now;
    draft.put(&Key::Transaction(id), &transaction);
    draft.put(
        &Key::Chunk(id, seq),
        &Chunk { stream_id: segment.stream.get(), segment: segment.segment.get(), block: Some(block) },
    );
    Ok(true)
}

fn already_committed(id: TransactionId, transaction: &Transaction) -> Refusal {
    Refusal::rejected(
        ErrorReason::AlreadyCommitted,
        format!("transaction {id} is committed at {}", transaction.commit_seq),
    )
    .about(format!("transaction {id}"))
}

/// What a writer says it sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Blocks.
    pub chunks: u64,
    /// Events in them.
    pub events: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// See [`digest`].
    pub digest: Bytes,
}

/// SHA-256 over, for each block in order: seq u64, rows u64, length u64, crc32c u32, little endian.
pub fn digest(chunks: &[Chunk]) -> Bytes {
    let mut hash = Sha256::new();
    for (seq, chunk) in (0u64..).zip(chunks) {
        let (rows, length, crc) = chunk.block.as_ref().map_or((0, 0, 0), |block| {
            let at = block.at.as_ref();
            (u64::from(block.rows), at.map_or(0, |at| u64::from(at.length)), at.map_or(0, |at| at.crc32c))
        });
        hash.update(seq.to_le_bytes());
        hash.update(rows.to_le_bytes());
        hash.update(length.to_le_bytes());
        hash.update(crc.to_le_bytes());
    }
    Bytes::copy_from_slice(&hash.finalize())
}

/// Freezes an OPEN transaction; answers its slot and epoch, also on a repeat.
pub fn prepare(draft: &mut Draft<'_>, id: TransactionId, claim: &Claim, now: Millis) -> Outcome<(u32, u64)> {
    let mut transaction = require(draft, id)?;
    let receipt = (transaction.subtask, transaction.writer_epoch);
    let mismatch = |what: String| {
        Refusal::rejected(
            ErrorReason::DigestMismatch,
            format!("transaction {id} does not hold what its writer sent: {what}"),
        )
        .about(format!("transaction {id}"))
    };
    match transaction.state() {
        TransactionState::Open => {}
        TransactionState::Aborted => return Err(aborted(id, &transaction).into()),
        _ if transaction.digest == claim.digest => return Ok(receipt),
        _ => return Err(mismatch("it was prepared with another digest".into()).into()),
    }
    let sink = must_sink_of(&transaction)?;
    let current = draft.slot(&sink, transaction.subtask)?.map_or(0, |slot| slot.writer_epoch);
    if transaction.writer_epoch != current {
        return Err(stale_epoch(&sink, transaction.subtask, transaction.writer_epoch, current).into());
    }
    if transaction.chunks == 0 {
        return Err(Refusal::bad_request(format!("transaction {id} is empty; abort it instead of preparing it")).into());
    }
    let (stored, claimed) =
        ((transaction.chunks, transaction.events, transaction.bytes), (claim.chunks, claim.events, claim.bytes));
    if stored != claimed {
        return Err(mismatch(format!("(blocks, events, bytes) stored {stored:?}, sent {claimed:?}")).into());
    }
    let digest = digest(&draft.chunks(id)?);
    if digest != claim.digest {
        return Err(mismatch("the digests differ".into()).into());
    }
    transaction.state = TransactionState::Prepared.into();
    transaction.digest = digest;
    transaction.state_since_ms = now;
    draft.put(&Key::Transaction(id), &transaction);
    Ok(receipt)
}

/// Gives up an OPEN transaction; answers why it is aborted, also on a repeat.
pub fn abort(draft: &mut Draft<'_>, id: TransactionId, reason: AbortReason, now: Millis) -> Outcome<AbortReason> {
    let transaction = require(draft, id)?;
    match transaction.state() {
        TransactionState::Aborted => Ok(transaction.abort_reason()),
        TransactionState::Committed => Err(already_committed(id, &transaction).into()),
        TransactionState::Open => {
            let sink = must_sink_of(&transaction)?;
            end_aborted(draft, &sink, id, transaction, reason, now)?;
            Ok(reason)
        }
        _ => Err(Refusal::rejected(
            ErrorReason::PreparedNeedsOperator,
            format!("transaction {id} is prepared and may be part of a checkpoint: it ends by its job's commit, not by an abort"),
        )
        .about(format!("transaction {id}"))
        .into()),
    }
}

/// Moves a transaction to ABORTED. The blocks of a superseded one stay until [`forget_superseded`]; others go at once.
pub(super) fn end_aborted(
    draft: &mut Draft<'_>,
    sink: &SinkName,
    id: TransactionId,
    mut transaction: Transaction,
    reason: AbortReason,
    now: Millis,
) -> Outcome<()> {
    transaction.state = TransactionState::Aborted.into();
    transaction.abort_reason = reason.into();
    transaction.state_since_ms = now;
    draft.delete(&Key::ActiveTransaction(sink.clone(), transaction.subtask, id));
    draft.put(&Key::Transaction(id), &transaction);
    if reason != AbortReason::Superseded {
        draft.delete_span(&KeySpan::chunks_of(id))?;
    }
    Ok(())
}

/// Ends an OPEN transaction that has been idle for longer than `ttl`; answers whether it did. PREPARED ones never end here.
pub fn expire_open(draft: &mut Draft<'_>, id: TransactionId, ttl: Millis, now: Millis) -> Outcome<bool> {
    let transaction = require(draft, id)?;
    let idle = now.saturating_sub(transaction.touched_ms.max(transaction.state_since_ms));
    if transaction.state() != TransactionState::Open || idle <= ttl {
        return Ok(false);
    }
    let sink = must_sink_of(&transaction)?;
    end_aborted(draft, &sink, id, transaction, AbortReason::OpenTtl, now)?;
    Ok(true)
}

/// Removes the blocks of a superseded transaction that ended longer than `keep` ago; answers whether it did.
pub fn forget_superseded(draft: &mut Draft<'_>, id: TransactionId, keep: Millis, now: Millis) -> Outcome<bool> {
    let transaction = require(draft, id)?;
    let over = now.saturating_sub(transaction.state_since_ms) > keep;
    if transaction.state() != TransactionState::Aborted || !over {
        return Ok(false);
    }
    draft.delete_span(&KeySpan::chunks_of(id))?;
    Ok(true)
}

/// The run a stored transaction or group belongs to.
pub(super) fn run_of(raw: &Bytes) -> RunNonce {
    RunNonce::from_bytes(raw).unwrap_or(RunNonce::new(uuid::Uuid::nil()))
}

/// Whether a stored transaction is OPEN or PREPARED.
pub fn is_active(transaction: &stored::Transaction) -> bool {
    matches!(transaction.state(), TransactionState::Open | TransactionState::Prepared)
}
