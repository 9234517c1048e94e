//! The tasks that look after a store while it serves.

use std::{sync::Arc, time::Duration};

use sluice_proto::storage::v1 as stored;
use sluice_schema::{ids::TransactionId, names::SinkName};
use sluice_segment::store::Wait;
use sluice_txn::{
    key::{Key, KeySpan},
    ledger::{Direction, Draft, Records as _},
    protocol::{requests, transactions},
};
use tokio::{sync::watch, task::JoinHandle};

use ::metrics::{counter, gauge};

use super::Engine;
use crate::metrics;

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// An OPEN transaction without an append for this long is aborted. PREPARED ones never end by time.
    pub open_transaction: Duration,
    /// Blocks of superseded transactions.
    pub superseded: Duration,
}

/// How often the log is looked at.
const MAINTAIN_EVERY: Duration = Duration::from_millis(500);
/// How often things that age are looked at.
const EXPIRE_EVERY: Duration = Duration::from_secs(60);
/// Remembered answers dropped by one commit.
const REQUESTS_PER_COMMIT: usize = 10_000;

/// The running tasks. They end when told to stop.
pub struct Upkeep {
    tasks: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

impl Upkeep {
    /// Starts the tasks.
    pub fn start(engine: &Arc<Engine>, retention: Retention) -> Self {
        let stop = watch::Sender::new(false);
        let maintain =
            every(
                MAINTAIN_EVERY,
                stop.subscribe(),
                Arc::clone(engine),
                |engine| async move { maintain(&engine).await },
            );
        let expire = every(EXPIRE_EVERY, stop.subscribe(), Arc::clone(engine), move |engine| async move {
            expire(&engine, retention).await
        });
        Self { tasks: vec![tokio::spawn(maintain), tokio::spawn(expire)], stop }
    }

    /// Ends the tasks and waits for what they are doing.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

async fn every<F, W>(pause: Duration, mut stop: watch::Receiver<bool>, engine: Arc<Engine>, work: F)
where
    F: Fn(Arc<Engine>) -> W,
    W: Future<Output = ()>,
{
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = tokio::time::sleep(pause) => work(Arc::clone(&engine)).await,
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone has stopped, too.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn maintain(engine: &Engine) {
    gauge!(metrics::LOG_BYTES).set(engine.store.log_bytes() as f64);
    let backlog = engine.store.backlog();
    gauge!(metrics::UNPUBLISHED_BYTES).set(backlog.unpublished_bytes as f64);
    gauge!(metrics::UNPUBLISHED_LIMIT_BYTES).set(backlog.limit_bytes as f64);
    let published = engine.tier.totals();
    counter!(metrics::PUBLISHED_FILES).absolute(published.files);
    counter!(metrics::PUBLISHED_BYTES).absolute(published.bytes);
    match engine.store.maintain().await {
        Ok(report) if report != Default::default() => tracing::debug!(?report, "maintained the log"),
        Ok(_) => {}
        Err(error) => tracing::error!(%error, "the log could not be maintained; it is tried again"),
    }
}

async fn expire(engine: &Engine, retention: Retention) {
    if let Err(error) = expire_all(engine, retention).await {
        tracing::error!(%error, "old transactions and answers could not be removed; it is tried again");
    }
}

async fn expire_all(engine: &Engine, retention: Retention) -> Result<(), sluice_segment::store::Error> {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (ttl, keep) = (millis(retention.open_transaction), millis(retention.superseded));
    let active = engine.store.read(|view| view.active(&KeySpan::active()))?;
    tell_ages(engine, &active)?;
    for (_, id) in active {
        let ended = engine.store.execute(Vec::new(), Wait::Accepted, move |draft: &mut Draft<'_>, _, now| {
            transactions::expire_open(draft, id, ttl, now)
        });
        if ended.await? {
            tracing::info!(transaction = %id, "an open transaction was idle for too long and is aborted");
        }
    }
    let superseded = engine.store.read(|view| {
        let all = view.records::<stored::Transaction>(&KeySpan::transactions(), Direction::Ascending, usize::MAX)?;
        let superseded = all.into_iter().filter(|(_, record)| record.abort_reason() == stored::AbortReason::Superseded);
        Ok::<_, sluice_txn::ledger::Error>(superseded.map(|(key, _)| key).collect::<Vec<_>>())
    })?;
    for key in superseded {
        let Key::Transaction(id) = key else { continue };
        let forget = engine.store.execute(Vec::new(), Wait::Accepted, move |draft: &mut Draft<'_>, _, now| {
            transactions::forget_superseded(draft, id, keep, now)
        });
        forget.await?;
    }
    let forgotten = engine.store.execute(Vec::new(), Wait::Accepted, |draft: &mut Draft<'_>, _, now| {
        requests::forget_old(draft, REQUESTS_PER_COMMIT, now)
    });
    forgotten.await?;
    Ok(())
}

/// Counts the transactions that are open and prepared, and how long the oldest prepared one has waited.
fn tell_ages(engine: &Engine, active: &[(SinkName, TransactionId)]) -> Result<(), sluice_segment::store::Error> {
    let now = engine.store.env().clock.now_ms();
    let (mut open, mut prepared, mut oldest) = (0u32, 0u32, now);
    for (_, id) in active {
        match engine.store.transaction(*id)? {
            Some(record) if record.state() == stored::TransactionState::Prepared => {
                prepared += 1;
                oldest = oldest.min(record.state_since_ms);
            }
            Some(_) => open += 1,
            None => {}
        }
    }
    gauge!(metrics::TRANSACTIONS, "state" => "open").set(open);
    gauge!(metrics::TRANSACTIONS, "state" => "prepared").set(prepared);
    gauge!(metrics::PREPARED_AGE_SECONDS).set(now.saturating_sub(oldest) as f64 / 1000.0);
    Ok(())
}
