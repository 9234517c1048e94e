//! The one mapping between [`ErrorDetail`] and gRPC status; client and gateway share it.
//!
//! A failed call carries a `google.rpc.Status` in `grpc-status-details-bin` whose only detail is one `ErrorDetail`.
//! A status without one is judged by its code: what a broken connection produces is retriable.

use std::error::Error as _;

use bytes::Bytes;
use prost::Message;
use sluice_proto::gateway::v1::{ErrorClass, ErrorDetail, ErrorReason};
use tonic::{Code, Status};

use super::Error;

/// Type URL of the detail.
const DETAIL_TYPE_URL: &str = "type.googleapis.com/sluice.gateway.v1.ErrorDetail";

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<AnyMessage>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct AnyMessage {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// The gRPC status of a typed error, with the sentence for people.
pub fn to_status(detail: ErrorDetail, message: impl Into<String>) -> Status {
    let message = message.into();
    let code = code_of(detail.class(), detail.reason());
    let details = vec![AnyMessage { type_url: DETAIL_TYPE_URL.into(), value: detail.encode_to_vec() }];
    let status = RpcStatus { code: code as i32, message: message.clone(), details };
    Status::with_details(code, message, Bytes::from(status.encode_to_vec()))
}

/// The typed error of a gRPC status.
pub fn from_status(status: &Status) -> Error {
    if let Some(detail) = detail_of(status) {
        return Error::new(detail, status.message());
    }
    let message = describe(status);
    match status.code() {
        _ if status.source().is_some() => Error::transport(message),
        Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Cancelled => Error::transport(message),
        Code::ResourceExhausted => Error::local(ErrorClass::Retriable, ErrorReason::Overloaded, message),
        Code::OutOfRange => Error::local(ErrorClass::InvalidArgument, ErrorReason::TooLarge, message),
        Code::InvalidArgument => Error::invalid(message),
        Code::Unimplemented => Error::local(
            ErrorClass::Rejected,
            ErrorReason::BadRequest,
            format!("the server there does not offer this call (is it a Sluice gateway of this version?): {message}"),
        ),
        Code::DataLoss => Error::local(ErrorClass::Corrupt, ErrorReason::Damaged, message),
        _ => Error::bug(message),
    }
}

fn detail_of(status: &Status) -> Option<ErrorDetail> {
    let rpc = RpcStatus::decode(status.details()).ok()?;
    let any = rpc.details.iter().find(|any| any.type_url == DETAIL_TYPE_URL)?;
    ErrorDetail::decode(any.value.as_slice()).ok()
}

/// The message with its causes, which for transport errors hold the only useful part ("connection refused").
fn describe(status: &Status) -> String {
    let mut text = status.message().to_string();
    let mut cause = status.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !words.is_empty() && !text.contains(&words) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&words);
        }
        cause = error.source();
    }
    if text.is_empty() { status.code().description().to_string() } else { text }
}

fn code_of(class: ErrorClass, reason: ErrorReason) -> Code {
    match class {
        ErrorClass::InvalidArgument => Code::InvalidArgument,
        ErrorClass::NotFound => Code::NotFound,
        ErrorClass::Conflict if reason == ErrorReason::AlreadyExists => Code::AlreadyExists,
        ErrorClass::Conflict | ErrorClass::Rejected => Code::FailedPrecondition,
        ErrorClass::Fenced => Code::Aborted,
        ErrorClass::Retriable => Code::Unavailable,
        ErrorClass::Corrupt => Code::DataLoss,
        ErrorClass::Internal | ErrorClass::Unspecified => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn detail(class: ErrorClass, reason: ErrorReason) -> ErrorDetail {
        ErrorDetail {
            class: class.into(),
            reason: reason.into(),
            resource: "stream nyc/flights".into(),
            expected: Some(7),
            current: None,
            abort_reason: String::new(),
            facts: HashMap::from([("limit".into(), "8".into())]),
        }
    }

    #[test]
    fn a_typed_error_survives_the_wire() {
        for class in 1..=8 {
            for reason in [ErrorReason::AlreadyExists, ErrorReason::OutOfSequence, ErrorReason::Damaged] {
                let class = ErrorClass::try_from(class).unwrap();
                let sent = detail(class, reason);
                let error = from_status(&to_status(sent.clone(), "what is wrong"));
                assert_eq!(*error.detail(), sent);
                assert_eq!(error.to_string(), "what is wrong");
                assert_eq!(error.is_retryable(), class == ErrorClass::Retriable);
                assert!(!error.is_unreachable());
            }
        }
    }

    #[test]
    fn codes_follow_the_class() {
        let code = |class, reason| to_status(detail(class, reason), "x").code();
        assert_eq!(code(ErrorClass::Conflict, ErrorReason::AlreadyExists), Code::AlreadyExists);
        assert_eq!(code(ErrorClass::Conflict, ErrorReason::Sealed), Code::FailedPrecondition);
        assert_eq!(code(ErrorClass::Fenced, ErrorReason::StaleEpoch), Code::Aborted);
        assert_eq!(code(ErrorClass::Corrupt, ErrorReason::Damaged), Code::DataLoss);
    }

    #[test]
    fn a_status_without_detail_is_judged_by_its_code() {
        for code in [Code::Unavailable, Code::DeadlineExceeded, Code::Unknown, Code::Cancelled] {
            let error = from_status(&Status::new(code, "gone"));
            assert!(error.is_retryable() && error.is_unreachable(), "{code:?}");
        }
        assert_eq!(from_status(&Status::new(Code::Internal, "x")).class(), ErrorClass::Internal);
        assert_eq!(from_status(&Status::new(Code::OutOfRange, "x")).reason(), ErrorReason::TooLarge);
    }

    #[test]
    fn garbage_in_the_details_is_ignored() {
        let status = Status::with_details(Code::Unavailable, "gone", Bytes::from_static(b"\xff\xff\xff"));
        assert!(from_status(&status).is_retryable());
    }
}
