//! The same answer for a repeated control call (protocol.md §3.4).

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use sluice_proto::storage::v1::Request;
use uuid::Uuid;

use super::{ErrorClass, ErrorReason, Millis, Outcome, Refusal};
use crate::{
    key::{Key, KeySpan},
    ledger::{Direction, Draft, Records},
};

/// How long an answer is remembered.
pub const REMEMBERED_MS: Millis = 7 * 24 * 3600 * 1000;

/// Identity of a control call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId {
    /// The client process.
    pub session: Uuid,
    /// Its call.
    pub seq: u64,
}

/// SHA-256 of a request's name and body.
pub fn digest(name: &str, body: &[u8]) -> Bytes {
    let mut hash = Sha256::new();
    hash.update(name.as_bytes());
    hash.update([0]);
    hash.update(body);
    Bytes::copy_from_slice(&hash.finalize())
}

/// The answer given before, if this call was made before; the same id with another body is refused.
pub fn recall(draft: &Draft<'_>, id: &RequestId, digest: &Bytes) -> Outcome<Option<Bytes>> {
    let Some(found) = draft.record::<Request>(&Key::Request(id.session, id.seq))? else { return Ok(None) };
    if found.digest != *digest {
        let text = format!("request {} of session {} was sent before with another body", id.seq, id.session);
        return Err(Refusal::new(ErrorClass::InvalidArgument, ErrorReason::RequestReused, text).into());
    }
    Ok(Some(found.answer))
}

/// Remembers an answer in the same commit as its effect.
pub fn remember(draft: &mut Draft<'_>, id: &RequestId, digest: Bytes, answer: Bytes, now: Millis) {
    draft.put(&Key::Request(id.session, id.seq), &Request { digest, answer, at_ms: now });
}

/// Forgets old answers, at most `limit` of them.
pub fn forget_old(draft: &mut Draft<'_>, limit: usize, now: Millis) -> Outcome<usize> {
    let all = draft.records::<Request>(&KeySpan::requests(), Direction::Ascending, usize::MAX)?;
    let old: Vec<Key> = all
        .into_iter()
        .filter(|(_, request)| now.saturating_sub(request.at_ms) > REMEMBERED_MS)
        .map(|(key, _)| key)
        .take(limit)
        .collect();
    for key in &old {
        draft.delete(key);
    }
    Ok(old.len())
}
