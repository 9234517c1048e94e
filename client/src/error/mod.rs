//! Why a call failed and what the caller does next.

pub mod wire;

use std::time::Duration;

use sluice_proto::gateway::v1::ErrorDetail;
pub use sluice_proto::gateway::v1::{ErrorClass, ErrorReason};
pub use wire::{from_status, to_status};

/// What every call of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed call: one sentence for people, [`class`](Self::class) and [`reason`](Self::reason) for programs.
///
/// Programs switch on the class (what to do next) and the reason (why), never on the text.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    message: String,
    detail: Box<ErrorDetail>,
    unreachable: bool,
}

impl Error {
    /// An error as the gateway described it.
    pub fn new(detail: ErrorDetail, message: impl Into<String>) -> Self {
        Self { message: message.into(), detail: Box::new(detail), unreachable: false }
    }

    /// An error found on this side of the wire.
    pub(crate) fn local(class: ErrorClass, reason: ErrorReason, message: impl Into<String>) -> Self {
        let detail = ErrorDetail { class: class.into(), reason: reason.into(), ..ErrorDetail::default() };
        Self::new(detail, message)
    }

    /// The caller's arguments are wrong.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::local(ErrorClass::InvalidArgument, ErrorReason::BadRequest, message)
    }

    /// The gateway broke the protocol, or this crate did.
    pub(crate) fn bug(message: impl Into<String>) -> Self {
        Self::local(ErrorClass::Internal, ErrorReason::Bug, message)
    }

    /// The connection failed before an answer came.
    pub(crate) fn transport(message: impl Into<String>) -> Self {
        let mut error = Self::local(ErrorClass::Retriable, ErrorReason::Unavailable, message);
        error.unreachable = true;
        error
    }

    /// The retries of a call used up their time; the sentence names the endpoint.
    pub(crate) fn gave_up(endpoint: &str, after: Duration, last: &Error) -> Self {
        let seconds = after.as_secs_f64();
        let message = if last.unreachable {
            format!(
                "cannot reach the gateway at {endpoint} within {seconds:.0} s ({}): is `sluice serve` running there?",
                last.message
            )
        } else {
            format!("the gateway at {endpoint} did not accept the call within {seconds:.0} s: {}", last.message)
        };
        Self { message, ..last.clone() }
    }

    /// What the caller does next.
    pub fn class(&self) -> ErrorClass {
        self.detail.class()
    }

    /// Why the call failed.
    pub fn reason(&self) -> ErrorReason {
        self.detail.reason()
    }

    /// Whether the same call may be sent again; calls of this crate have done so until their deadline before they fail.
    pub fn is_retryable(&self) -> bool {
        self.class() == ErrorClass::Retriable
    }

    /// Whether the gateway gave no answer at all: nothing listens, the connection broke, or it stayed silent.
    /// What the call was to change may have happened.
    pub fn is_unreachable(&self) -> bool {
        self.unreachable
    }

    /// What it is about, for example `stream nyc/flights`; empty when nothing is named.
    pub fn resource(&self) -> &str {
        &self.detail.resource
    }

    /// The whole typed error: also expected and current values, and further facts.
    pub fn detail(&self) -> &ErrorDetail {
        &self.detail
    }
}
