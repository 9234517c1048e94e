//! How a command ends.

use std::process::ExitCode;

use sluice_client::{Error, ErrorClass};

/// Exit codes, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The command did what it says.
    Ok = 0,
    /// Something failed that has no code of its own.
    Failure = 1,
    /// Arguments, settings or input are wrong: correct them.
    Usage = 2,
    /// What was named does not exist.
    NotFound = 3,
    /// The gateway could not be reached or did not answer in time.
    Unreachable = 4,
    /// It exists already, is in another state, belongs to a newer owner, or the request is refused for good.
    Conflict = 5,
    /// Stored bytes are damaged.
    Damaged = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// A failed command: one sentence and an exit code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The sentence.
    pub message: String,
    /// The code.
    pub exit: Exit,
}

/// What a command returns.
pub type Outcome = Result<(), Failure>;

impl Failure {
    /// A failure without a code of its own.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit: Exit::Failure }
    }

    /// Wrong arguments or input.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit: Exit::Usage }
    }

    /// Damaged bytes.
    pub fn damaged(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit: Exit::Damaged }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error.class() {
            ErrorClass::InvalidArgument => Exit::Usage,
            ErrorClass::NotFound => Exit::NotFound,
            ErrorClass::Retriable if error.is_unreachable() => Exit::Unreachable,
            ErrorClass::Conflict | ErrorClass::Fenced | ErrorClass::Rejected => Exit::Conflict,
            ErrorClass::Corrupt => Exit::Damaged,
            ErrorClass::Retriable | ErrorClass::Internal | ErrorClass::Unspecified => Exit::Failure,
        };
        Self { message: error.to_string(), exit }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<crate::config::Problem> for Failure {
    fn from(problem: crate::config::Problem) -> Self {
        Self::usage(problem.to_string())
    }
}

impl From<sluice_schema::types::SchemaError> for Failure {
    fn from(error: sluice_schema::types::SchemaError) -> Self {
        Self::usage(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use sluice_client::{ErrorReason, error::from_status, error::to_status, wire::ErrorDetail};

    use super::*;

    #[test]
    fn classes_have_their_codes() {
        let exit = |class: ErrorClass| {
            let detail =
                ErrorDetail { class: class.into(), reason: ErrorReason::BadRequest.into(), ..ErrorDetail::default() };
            Failure::from(from_status(&to_status(detail, "x"))).exit
        };
        assert_eq!(exit(ErrorClass::InvalidArgument), Exit::Usage);
        assert_eq!(exit(ErrorClass::NotFound), Exit::NotFound);
        assert_eq!(exit(ErrorClass::Fenced), Exit::Conflict);
        assert_eq!(exit(ErrorClass::Corrupt), Exit::Damaged);
        assert_eq!(exit(ErrorClass::Retriable), Exit::Failure, "it answered");
    }
}
