use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

/// Where blocking work runs. Object-safe, so that a simulation can run every task itself, in an order of its choice.
pub trait Executor: Send + Sync {
    /// Starts a blocking task that runs for long (a flush loop, a tierer); `name` is the thread's name, at most 15 bytes
    /// of it are shown by the system. The task ends when its closure returns; a panic ends it and is told by [`Task`].
    ///
    /// # Errors
    /// When the system gives no thread.
    fn spawn(&self, name: &str, task: Box<dyn FnOnce() + Send>) -> io::Result<Task>;

    /// Runs short blocking work (a file read, an encoding) some time soon, elsewhere. Order is not kept.
    fn run(&self, work: Box<dyn FnOnce() + Send>);
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
        let (answer, result) = oneshot::channel();
        self.run(Box::new(move || {
            // Nobody listening any more is no error: the caller went away.
            let _ = answer.send(work());
        }));
        Running(result)
    }
}

impl<E: Executor + ?Sized> ExecutorExt for E {}

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

/// Real threads: a thread of its own for a long task, tokio's blocking pool for short work.
#[derive(Debug, Clone)]
pub struct Threads {
    runtime: tokio::runtime::Handle,
}

impl Threads {
    /// Short work runs on the blocking pool of `runtime`.
    pub fn on(runtime: tokio::runtime::Handle) -> Self {
        Threads { runtime }
    }
}

impl Executor for Threads {
    fn spawn(&self, name: &str, task: Box<dyn FnOnce() + Send>) -> io::Result<Task> {
        let (tell, handle) = Task::new();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let outcome = catch_unwind(AssertUnwindSafe(task));
            // Nobody waiting for the end is no error.
            let _ = tell.send(outcome.is_ok());
        })?;
        Ok(handle)
    }

    fn run(&self, work: Box<dyn FnOnce() + Send>) {
        self.runtime.spawn_blocking(work);
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
        assert_eq!(threads.spawn("ends", Box::new(|| ())).unwrap().ended().await, Ok(()));
        assert_eq!(threads.spawn("panics", Box::new(|| panic!("on purpose"))).unwrap().ended().await, Err(WorkLost));
    }
}
