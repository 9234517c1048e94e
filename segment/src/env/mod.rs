//! The outside world, behind five small traits: nothing else in this crate touches files, threads, time or randomness.
//!
//! | trait | real | for tests and simulation |
//! |---|---|---|
//! | [`Disk`], [`File`] | [`OsDisk`] | [`MemDisk`]: loses what was not synced, on demand ([`Survivors`]); [`TracedDisk`]: keeps every call, and one goes wrong |
//! | [`Executor`] | [`Threads`] | – |
//! | [`Clock`] | [`SystemClock`] | [`ManualClock`] |
//! | [`Rng`] | [`SystemRng`] | [`SeededRng`] |

mod clock;
mod direct;
mod disk;
mod executor;
mod mem_disk;
mod os_disk;
mod publish;
mod rng;
mod survivors;
mod traced_disk;

use std::sync::Arc;

pub use clock::{Clock, ManualClock, SystemClock};
pub use disk::{Disk, Entry, File, OpenMode};
pub use executor::{Executor, ExecutorExt, Running, Task, Threads, WorkLost};
pub use mem_disk::{CallKind, Changed, Left, MemDisk, Unsynced};
pub use os_disk::OsDisk;
pub use publish::{publish, remove_if_there, replace};
pub use rng::{Rng, SeededRng, SystemRng};
pub use survivors::{Image, Survivors};
pub use traced_disk::{Call, Fault, Replay, Struck, TracedDisk};

/// The four of them together; cheap to clone.
#[derive(Clone)]
pub struct Env {
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// Blocking work.
    pub executor: Arc<dyn Executor>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
}

impl Env {
    /// The real machine; short blocking work runs on the blocking pool of `runtime`.
    pub fn system(runtime: tokio::runtime::Handle) -> Self {
        Env {
            disk: Arc::new(OsDisk),
            executor: Arc::new(Threads::on(runtime)),
            clock: Arc::new(SystemClock::new()),
            rng: Arc::new(SystemRng),
        }
    }
}
