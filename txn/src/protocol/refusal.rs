//! How a rule says no.

use sluice_proto::gateway::v1::{ErrorClass, ErrorDetail, ErrorReason};

use crate::ledger;

/// A refusal: typed for programs, one sentence for people. Nothing changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// What clients switch on.
    pub detail: Box<ErrorDetail>,
    /// What is wrong and what to do.
    pub message: String,
}

impl Refusal {
    /// A refusal of this class and reason.
    pub fn new(class: ErrorClass, reason: ErrorReason, message: impl Into<String>) -> Self {
        let detail = ErrorDetail { class: class.into(), reason: reason.into(), ..ErrorDetail::default() };
        Self { detail: Box::new(detail), message: message.into() }
    }
    /// The request is wrong.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::InvalidArgument, ErrorReason::BadRequest, message)
    }
    /// Something that never existed.
    pub fn not_found(reason: ErrorReason, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::NotFound, reason, message)
    }
    /// A final no.
    pub fn rejected(reason: ErrorReason, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Rejected, reason, message)
    }
    /// A newer owner exists.
    pub fn fenced(reason: ErrorReason, current: u64, message: impl Into<String>) -> Self {
        let mut refusal = Self::new(ErrorClass::Fenced, reason, message);
        refusal.detail.current = Some(current);
        refusal
    }
    /// Names what it is about.
    #[must_use]
    pub fn about(mut self, resource: impl Into<String>) -> Self {
        self.detail.resource = resource.into();
        self
    }
    /// Names the next sequence or offset.
    #[must_use]
    pub fn expected(mut self, expected: u64) -> Self {
        self.detail.expected = Some(expected);
        self
    }
    /// Adds a fact for people.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl ToString) -> Self {
        self.detail.facts.insert(name.into(), value.to_string());
        self
    }
    /// The class.
    pub fn class(&self) -> ErrorClass {
        self.detail.class()
    }
    /// The reason.
    pub fn reason(&self) -> ErrorReason {
        self.detail.reason()
    }
}

/// Why a rule did not answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The rule says no.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// The state could not be read.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What a rule returns.
pub type Outcome<T> = Result<T, Failure>;
