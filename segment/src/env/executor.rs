use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::oneshot;

/// Threads for the background: as many as files are published at the same time.
const BACKGROUND_THREADS: usize = 2;
/// Leaves them about a tenth of a processor that others want, too.
const BACKGROUND_NICE: i32 = 10;

type Work = Box<dyn FnOnce() + Send>;

/// Where blocking work runs. Object-safe, so that a simulation can run every task itself, in an order of its choice.
pub trait Executor: Send + Sync {
    /// Starts a blocking task that runs for long (a flush loop, a tierer); `name` is the thread's name, at most 15 bytes
    /// of it are shown by the system. The task ends when its closure returns; a panic ends it and is told by [`Task`].
    ///
    /// # Errors
    /// When the system gives no thread.
    fn spawn(&self, name: &str, task: Work) -> io::Result<Task>;

    /// Runs short blocking work (a file read, an encoding) some time soon, elsewhere. Order is not kept.
    fn run(&self, work: Work);

    /// As [`Executor::run`], for long work that may wait while others want the processors.
    fn run_background(&self, work: Work);
}

/// The answer of [`ExecutorExt::run_for`] when the work panicked or was thrown away at shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("blocking work ended without a result")]
pub struct WorkLost;

/// The result to come of work that was started.
#[derive(Debug)]
pub struct Running<T>(oneshot::Receiver<T>);

impl<T> Future for Running<T> {
    type Output = Result<T, WorkLost>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map_err(|_| WorkLost)
    }
}

/// Conveniences over [`Executor`].
pub trait ExecutorExt: Executor {
    /// Starts blocking work and gives its result. Dropping the future does not stop the work.
    fn run_for<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Running<T> {
        let (work, result) = answering(work);
        self.run(work);
        result
    }

    /// The same in the background.
    fn run_background_for<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Running<T> {
        let (work, result) = answering(work);
        self.run_background(work);
        result
    }
}

impl<E: Executor + ?Sized> ExecutorExt for E {}

fn answering<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> (Work, Running<T>) {
    let (answer, result) = oneshot::channel();
    let work = move || {
        // Nobody listening any more is no error: the caller went away.
        let _ = answer.send(work());
    };
    (Box::new(work), Running(result))
}

/// A long-running task that was started.
#[derive(Debug)]
pub struct Task {
    ended: oneshot::Receiver<bool>,
}

impl Task {
    /// A task and the means to tell how it ended: send `true` when its closure returned, `false` when it panicked.
    pub fn new() -> (oneshot::Sender<bool>, Task) {
        let (tell, ended) = oneshot::channel();
        (tell, Task { ended })
    }

    /// Waits until it ended, blocking the thread; never call it on an async runtime's own threads.
    ///
    /// # Errors
    /// [`WorkLost`] when it panicked.
    pub fn join(self) -> Result<(), WorkLost> {
        self.ended.blocking_recv().ok().filter(|returned| *returned).map(|_| ()).ok_or(WorkLost)
    }

    /// Waits until it ended.
    ///
    /// # Errors
    /// [`WorkLost`] when it panicked.
    pub async fn ended(self) -> Result<(), WorkLost> {
        self.ended.await.ok().filter(|returned| *returned).map(|_| ()).ok_or(WorkLost)
    }
}

/// Real threads: a thread of its own for a long task, tokio's blocking pool for short work, a few nice threads for the background.
#[derive(Debug, Clone)]
pub struct Threads {
    runtime: tokio::runtime::Handle,
    /// Started with the first work for them, ended with the last clone of this.
    background: Arc<OnceLock<Option<Sender<Work>>>>,
}

impl Threads {
    /// Short work runs on the blocking pool of `runtime`.
    pub fn on(runtime: tokio::runtime::Handle) -> Self {
        Threads { runtime, background: Arc::default() }
    }
}

/// Takes work until nobody can send any.
fn work_in_background(queue: &Mutex<Receiver<Work>>) {
    // Best effort: where niceness can't be set the work is done all the same. On Linux it is each thread's own.
    let _ = rustix::process::nice(BACKGROUND_NICE);
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = next else { return };
        // Whoever waits for it learns of a panic by its lost answer.
        let _ = catch_unwind(AssertUnwindSafe(work));
    }
}

/// `None` when the system gives no thread.
fn start_background() -> Option<Sender<Work>> {
    let (send, queue) = channel();
    let queue = Arc::new(Mutex::new(queue));
    let start = |_| {
        let queue = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("sluice-backgr".to_owned());
        thread.spawn(move || work_in_background(&queue)).is_ok()
    };
    (0..BACKGROUND_THREADS).map(start).fold(false, |any, started| any | started).then_some(send)
}

impl Executor for Threads {
    fn spawn(&self, name: &str, task: Work) -> io::Result<Task> {
        let (tell, handle) = Task::new();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let outcome = catch_unwind(AssertUnwindSafe(task));
            // Nobody waiting for the end is no error.
            let _ = tell.send(outcome.is_ok());
        })?;
        Ok(handle)
    }

    fn run(&self, work: Work) {
        self.runtime.spawn_blocking(work);
    }

    fn run_background(&self, work: Work) {
        match self.background.get_or_init(start_background) {
            // The threads live as long as the sender.
            Some(queue) => drop(queue.send(work)),
            None => self.run(work),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_gives_its_result_and_a_panic_is_told() {
        let threads = Threads::on(tokio::runtime::Handle::current());
        assert_eq!(threads.run_for(|| 6 * 7).await, Ok(42));
        assert_eq!(threads.run_for(|| -> u8 { panic!("on purpose") }).await, Err(WorkLost));
        assert_eq!(threads.run_background_for(|| 6 * 7).await, Ok(42));
        for _ in 0..=BACKGROUND_THREADS {
            assert_eq!(threads.run_background_for(|| -> u8 { panic!("on purpose") }).await, Err(WorkLost));
        }
        assert_eq!(threads.run_background_for(|| 6 * 7).await, Ok(42), "a panic takes no thread away");
        assert_eq!(threads.spawn("ends", Box::new(|| ())).unwrap().ended().await, Ok(()));
        assert_eq!(threads.spawn("panics", Box::new(|| panic!("on purpose"))).unwrap().ended().await, Err(WorkLost));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_background_is_nice_and_nothing_else() {
        let threads = Threads::on(tokio::runtime::Handle::current());
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        assert_eq!(threads.run_background_for(nice).await, Ok((before + BACKGROUND_NICE).min(19)));
        assert_eq!(threads.run_for(nice).await, Ok(before));
    }
}
