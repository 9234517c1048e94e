//! Retries with growing, jittered pauses up to a deadline.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    error::{Error, Result},
    ids,
};

/// How long and how often a call is tried again. Only retriable errors are.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Time after which a call without success fails; streams count it from their last progress. Default 30 s.
    pub deadline: Duration,
    /// Pause after the first failure; it doubles from there. Default 50 ms.
    pub first_pause: Duration,
    /// Longest pause. Default 2 s.
    pub max_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(30),
            first_pause: Duration::from_millis(50),
            max_pause: Duration::from_secs(2),
        }
    }
}

impl RetryPolicy {
    /// The pause after `failures` failures: half of it fixed, half of it random.
    fn pause(&self, failures: u32, fraction: f64) -> Duration {
        let doubled = self.first_pause.saturating_mul(1 << failures.saturating_sub(1).min(16));
        doubled.min(self.max_pause).mul_f64(0.5 + fraction / 2.0)
    }
}

/// The retries of one call or stream.
#[derive(Debug)]
pub(crate) struct Backoff {
    policy: RetryPolicy,
    endpoint: String,
    since: Instant,
    failures: u32,
    idle_is_free: bool,
    /// Why the gateway last said no: it tells more than the silence in which the time ran out.
    refused: Option<Error>,
}

impl Backoff {
    pub fn new(policy: RetryPolicy, endpoint: &str) -> Self {
        Self {
            policy,
            endpoint: endpoint.to_string(),
            since: Instant::now(),
            failures: 0,
            idle_is_free: false,
            refused: None,
        }
    }

    /// Retries of a stream, which may have nothing to do for hours: the deadline counts from the first failure.
    pub fn of_stream(policy: RetryPolicy, endpoint: &str) -> Self {
        Self { idle_is_free: true, ..Self::new(policy, endpoint) }
    }

    /// Time left until the deadline.
    pub fn time_left(&self) -> Duration {
        self.policy.deadline.saturating_sub(self.since.elapsed())
    }

    /// Something succeeded: the next failure is a first one.
    pub fn progress(&mut self) {
        self.since = Instant::now();
        self.failures = 0;
        self.refused = None;
    }

    /// Waits before the next try; fails with `error` when it is final or the deadline is too near.
    pub async fn pause_after(&mut self, error: Error) -> Result<()> {
        if !error.is_retryable() {
            return Err(error);
        }
        if self.failures == 0 && self.idle_is_free {
            self.since = Instant::now();
        }
        self.failures += 1;
        let pause = self.policy.pause(self.failures, ids::random_fraction());
        if pause >= self.time_left() {
            let why = self.refused.as_ref().filter(|_| error.is_unreachable()).unwrap_or(&error);
            return Err(Error::gave_up(&self.endpoint, self.policy.deadline, why));
        }
        tracing::debug!(%error, failures = self.failures, "retrying");
        if !error.is_unreachable() {
            self.refused = Some(error);
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorClass, ErrorReason};

    #[test]
    fn pauses_double_up_to_the_longest() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.pause(1, 1.0), Duration::from_millis(50));
        assert_eq!(policy.pause(1, 0.0), Duration::from_millis(25));
        assert_eq!(policy.pause(3, 1.0), Duration::from_millis(200));
        assert_eq!(policy.pause(60, 1.0), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_at_the_deadline_and_names_the_endpoint() {
        let mut backoff = Backoff::new(RetryPolicy::default(), "http://example:1");
        let mut tries = 0;
        let error = loop {
            tries += 1;
            if let Err(error) = backoff.pause_after(Error::transport("connection refused")).await {
                break error;
            }
        };
        assert!(tries > 15, "{tries} tries");
        assert!(error.to_string().contains("http://example:1"), "{error}");
        assert!(error.to_string().contains("connection refused"), "{error}");
        assert!(error.is_retryable() && error.is_unreachable());
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_outlives_the_silence_at_the_end() {
        let mut backoff = Backoff::new(RetryPolicy::default(), "x");
        let full = Error::local(ErrorClass::Retriable, ErrorReason::Unavailable, "the disk is full");
        backoff.pause_after(full).await.unwrap();
        tokio::time::sleep(Duration::from_secs(30)).await;
        let error = backoff.pause_after(Error::transport("no answer")).await.unwrap_err();
        assert!(error.to_string().contains("the disk is full"), "{error}");
        assert!(error.is_retryable() && !error.is_unreachable());
    }

    #[tokio::test(start_paused = true)]
    async fn a_final_error_is_not_retried() {
        let mut backoff = Backoff::new(RetryPolicy::default(), "x");
        let refused = Error::local(ErrorClass::Rejected, ErrorReason::Sealed, "sealed");
        assert_eq!(backoff.pause_after(refused).await.unwrap_err().reason(), ErrorReason::Sealed);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_moves_the_deadline() {
        let mut backoff = Backoff::new(RetryPolicy::default(), "x");
        tokio::time::sleep(Duration::from_secs(29)).await;
        assert!(backoff.time_left() <= Duration::from_secs(1));
        backoff.progress();
        assert_eq!(backoff.time_left(), Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_stream_has_the_whole_deadline_after_its_first_failure() {
        let mut backoff = Backoff::of_stream(RetryPolicy::default(), "x");
        tokio::time::sleep(Duration::from_secs(3600)).await;
        backoff.pause_after(Error::transport("reset")).await.unwrap();
        assert!(backoff.time_left() > Duration::from_secs(29));
    }
}
