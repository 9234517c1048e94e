//! Between the wire and the vocabulary.

use bytes::Bytes;
use prost::Message;
use sluice_client::error::wire::to_status;
use sluice_proto::gateway::v1 as wire;
use sluice_schema::{
    ids::InvalidId,
    names::{InvalidName, Name, SinkName, StreamName},
};
use sluice_segment::store;
use sluice_txn::{
    ledger::Draft,
    protocol::{ErrorClass, ErrorReason, Failure, Millis, Outcome, Refusal, requests},
};
use tonic::{Response, Status};
use uuid::Uuid;

use crate::engine::Engine;

/// A refusal as a gRPC status with the typed error in its details.
pub fn refused(refusal: Refusal) -> Status {
    to_status(*refusal.detail, refusal.message)
}

/// An error of the store as a gRPC status.
pub fn failed(error: store::Error) -> Status {
    refused(error.into_refusal())
}

/// A failure of a rule or a read as a gRPC status.
pub fn failure(failure: Failure) -> Status {
    failed(failure.into())
}

/// A malformed name.
pub fn bad_name(error: InvalidName) -> Status {
    refused(Refusal::new(ErrorClass::InvalidArgument, ErrorReason::BadName, error.to_string()))
}

/// A malformed id.
pub fn bad_id(error: InvalidId) -> Status {
    refused(Refusal::bad_request(error.to_string()))
}

/// A field that must be there.
pub fn required<T>(field: Option<T>, what: &str) -> Result<T, Status> {
    field.ok_or_else(|| refused(Refusal::bad_request(format!("{what} is missing"))))
}

/// A name of a scope, group or writer.
pub fn name(what: &'static str, text: &str) -> Result<Name, Status> {
    Name::parse_as(what, text).map_err(bad_name)
}

/// A stream's name.
pub fn stream_name(field: Option<wire::StreamName>) -> Result<StreamName, Status> {
    StreamName::try_from(required(field, "stream")?).map_err(bad_name)
}

/// A sink's name.
pub fn sink_name(field: Option<wire::SinkName>) -> Result<SinkName, Status> {
    SinkName::try_from(required(field, "sink")?).map_err(bad_name)
}

/// A 128-bit id.
macro_rules! id {
    ($type:ty, $bytes:expr) => {
        <$type>::from_bytes(&$bytes).map_err($crate::services::convert::bad_id)
    };
}
pub(super) use id;

/// The identity of a control call.
fn request_id(field: Option<wire::RequestId>) -> Result<requests::RequestId, Status> {
    let id = required(field, "request")?;
    let session = Uuid::from_slice(&id.session_id).ok().filter(|session| !session.is_nil());
    let session =
        session.ok_or_else(|| refused(Refusal::bad_request("session_id must be 16 random bytes, not all zero")))?;
    Ok(requests::RequestId { session, seq: id.request_seq })
}

/// Runs the rule of a control call once: a repeat of the call gets the first answer.
pub async fn control<A: Message + Default + 'static>(
    engine: &Engine,
    call: &'static str,
    id: Option<wire::RequestId>,
    body: &impl Message,
    rule: impl FnOnce(&mut Draft<'_>, Millis) -> Outcome<A> + Send + 'static,
) -> Result<Response<A>, Status> {
    let id = request_id(id)?;
    let digest = requests::digest(call, &body.encode_to_vec());
    let answer = engine
        .store
        .execute(Vec::new(), store::Wait::Durable, move |draft, _, now| {
            if let Some(answer) = requests::recall(draft, &id, &digest)? {
                return Ok(A::decode(answer).map_err(|error| {
                    Refusal::new(
                        ErrorClass::Corrupt,
                        ErrorReason::Damaged,
                        format!("a remembered answer is damaged: {error}"),
                    )
                })?);
            }
            let answer = rule(draft, now)?;
            requests::remember(draft, &id, digest, Bytes::from(answer.encode_to_vec()), now);
            Ok(answer)
        })
        .await
        .map_err(failed)?;
    Ok(Response::new(answer))
}

/// Answers each request of a call in order, with up to `in_flight` under way; ends the call at the first refusal.
///
/// `start` puts a request into its queue before the next one is taken, so that requests keep their order; what it returns
/// waits for the answer.
pub fn pipelined<Q, A, S, F, W>(
    mut requests: tonic::Streaming<Q>,
    in_flight: usize,
    start: S,
) -> impl futures::Stream<Item = Result<A, Status>> + Send
where
    Q: Send + 'static,
    A: Send + 'static,
    S: Fn(Q) -> F + Send + 'static,
    F: Future<Output = Result<W, Status>> + Send,
    W: Future<Output = Result<A, Status>> + Send + 'static,
{
    let (tell, waiting) = tokio::sync::mpsc::channel::<Result<W, Status>>(in_flight);
    tokio::spawn(async move {
        loop {
            let started = match requests.message().await {
                Ok(Some(request)) => start(request).await,
                Ok(None) => return,
                Err(status) => Err(status),
            };
            let ended = started.is_err();
            if tell.send(started).await.is_err() || ended {
                return;
            }
        }
    });
    futures::stream::unfold(Some(waiting), |waiting| async move {
        let mut waiting = waiting?;
        let answer = match waiting.recv().await? {
            Ok(answer) => answer.await,
            Err(status) => Err(status),
        };
        let next = answer.is_ok().then_some(waiting);
        Some((answer, next))
    })
}
