use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time. The only way in: nothing else reads a clock.
pub trait Clock: Send + Sync {
    /// Wall-clock milliseconds since 1970-01-01 UTC. May jump in either direction.
    fn now_ms(&self) -> u64;

    /// Time since some fixed moment; never goes back.
    fn monotonic(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[expect(clippy::disallowed_methods, reason = "the one real implementation of Clock")]
    pub fn new() -> Self {
        SystemClock { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one real implementation of Clock")]
    fn now_ms(&self) -> u64 {
        // A machine whose clock stands before 1970 gets 0: no rule of ours needs more of the wall clock than an order.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that stands still until it is moved; for tests.
#[derive(Debug, Default)]
pub struct ManualClock {
    state: Mutex<(u64, Duration)>,
}

impl ManualClock {
    /// Stands at `now_ms`.
    pub fn at(now_ms: u64) -> Self {
        ManualClock { state: Mutex::new((now_ms, Duration::ZERO)) }
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.0 = state.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX));
        state.1 = state.1.saturating_add(by);
    }

    /// Sets the wall clock alone, as an operator or NTP would.
    pub fn set_wall_ms(&self, now_ms: u64) {
        self.state.lock().expect("no holder of this lock panics").0 = now_ms;
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        self.state.lock().expect("no holder of this lock panics").0
    }

    fn monotonic(&self) -> Duration {
        self.state.lock().expect("no holder of this lock panics").1
    }
}
