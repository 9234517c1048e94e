//! Why the store did not do what was asked.

use sluice_txn::{
    ledger,
    protocol::{ErrorClass, ErrorReason, Failure, Refusal},
};

use crate::log::LogError;

/// Why a command has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A rule says no; nothing changed.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// The state cannot be read.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The disk is full; nothing changed, the same command may be sent again.
    #[error("{0}")]
    Full(String),
    /// Too much waits to be published as Parquet; nothing changed, the same command may be sent again.
    #[error("{0}")]
    HeldBack(String),
    /// The store is stopping or has failed. Whether the command had an effect is unknown: ask again after the restart.
    #[error("the store is stopping: {0}")]
    Stopped(String),
}

impl Error {
    pub(super) fn stopped() -> Self {
        Self::Stopped("it takes no more commands".into())
    }
    pub(super) fn from_log(error: &LogError) -> Self {
        match error {
            LogError::Full(_) => Self::Full(error.to_string()),
            other => Self::Stopped(other.to_string()),
        }
    }
    /// The error as the wire tells it.
    pub fn into_refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Ledger(error @ ledger::Error::Damaged { .. }) => {
                Refusal::new(ErrorClass::Corrupt, ErrorReason::Damaged, error.to_string())
            }
            Self::Ledger(error) => Refusal::new(ErrorClass::Internal, ErrorReason::Bug, error.to_string()),
            Self::Full(text) | Self::HeldBack(text) => {
                Refusal::new(ErrorClass::Retriable, ErrorReason::Unavailable, text)
            }
            error @ Self::Stopped(_) => {
                Refusal::new(ErrorClass::Retriable, ErrorReason::Unavailable, error.to_string())
            }
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => Self::Refused(refusal),
            Failure::Ledger(error) => Self::Ledger(error),
        }
    }
}
