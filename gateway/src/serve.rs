//! `sluice serve`: everything that runs while a gateway serves.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use metrics_exporter_prometheus::PrometheusBuilder;
use sluice_segment::{
    env::Env,
    parquet::{WriterOptions, plan::TieringPolicy},
    store::{EmbeddedStore, IndexKind, Opened, Options},
    tier::{self, Tier},
};
use tokio::{net::TcpListener, sync::watch};
use tonic::transport::{Server, server::TcpIncoming};

use crate::{
    config::Settings,
    engine::{Engine, Retention, Upkeep},
    http::{self, Health, Stage},
    metrics, services,
};

/// The process's exit code after a failed write or sync: nothing may be acknowledged any more.
const EXIT_STORE_FAILED: i32 = 70;
/// Blocks of superseded transactions are kept for so long.
const SUPERSEDED_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// HTTP/2: measured, larger frames help more than larger windows.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
const FRAME_BYTES: u32 = 1 << 20;
const KEEPALIVE_EVERY: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Calls get this long to end at shutdown; long-lived reads are cut off then.
const DRAIN: Duration = Duration::from_secs(2);

/// Serves until `shutdown` ends, then stops cleanly: everything acknowledged is durable, everything accepted is synced.
///
/// The process ends with exit code 70 when the disk fails a write or a sync.
pub async fn serve(settings: Settings, shutdown: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
    let listener = bind(settings.listen, "listen").await?;
    let http_listener = bind(settings.http_listen, "http_listen").await?;
    let (address, http_address) = (listener.local_addr()?, http_listener.local_addr()?);
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    // A second gateway in one process (in tests) shares the first one's recorder.
    if ::metrics::set_global_recorder(recorder).is_ok() {
        metrics::describe();
    }

    let health = Health::default();
    let stop = watch::Sender::new(false);
    let http = tokio::spawn(http::serve(http_listener, health.clone(), handle, stopped(stop.subscribe())));

    let (engine, upkeep, tiering, lock) = start(&settings, &stop).await?;
    let routes = services::routes(Arc::clone(&engine)).await?;
    let server = Server::builder()
        .initial_stream_window_size(window(STREAM_WINDOW_BYTES, &settings))
        .initial_connection_window_size(window(CONNECTION_WINDOW_BYTES, &settings))
        .max_frame_size(FRAME_BYTES)
        .tcp_nodelay(true)
        .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_routes(routes)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), stopped(stop.subscribe()));
    let mut server = tokio::spawn(server);
    health.set(Stage::Ready);
    tracing::info!(%address, http = %http_address, data_dir = %settings.data_dir.display(), "ready");

    let ended = tokio::select! {
        () = shutdown => None,
        ended = &mut server => Some(ended),
    };
    health.set(Stage::Stopping);
    tracing::info!("stopping");
    stop.send_replace(true);
    if let Some(ended) = ended {
        ended.context("the gRPC server panicked")?.context("the gRPC server failed")?;
    } else if tokio::time::timeout(DRAIN, &mut server).await.is_err() {
        server.abort();
    }
    upkeep.stop().await;
    let _ = tiering.await;
    engine.store.close().await;
    http.abort();
    drop(lock);
    tracing::info!("stopped");
    Ok(())
}

/// What one client may have under way to the gateway: no more than a quarter of what may wait for the log.
fn window(most: u32, settings: &Settings) -> u32 {
    u32::try_from(settings.limits.queue_bytes.get() / 4).unwrap_or(most).min(most)
}

async fn bind(address: std::net::SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{key} = {address} cannot be bound: another process uses it (another gateway?), or the address is not this machine's")
    })
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // A sender that is gone has stopped, too.
    let _ = stop.wait_for(|stop| *stop).await;
}

type Started = (Arc<Engine>, Upkeep, tokio::task::JoinHandle<()>, Option<sluice_segment::lock::DirLock>);

/// Opens the store and starts what looks after it.
async fn start(settings: &Settings, stop: &watch::Sender<bool>) -> anyhow::Result<Started> {
    let env = Env::system(tokio::runtime::Handle::current());
    let options = Options {
        log_file_bytes: settings.log.file_bytes.get(),
        log_limit_bytes: settings.log.limit_bytes.get(),
        sync_bytes: settings.log.sync_bytes.get(),
        cache_bytes: settings.cache_bytes.get(),
        queue_bytes: u32::try_from(settings.limits.queue_bytes.get()).unwrap_or(u32::MAX >> 4),
        unpublished_limit_bytes: settings.limits.unpublished_bytes.get(),
        snapshot_every_bytes: (settings.log.limit_bytes.get() / 4).min(Options::default().snapshot_every_bytes),
        ..Options::default()
    };
    let folder = settings.data_dir.clone();
    let on_fatal = Box::new(|_: &str| std::process::exit(EXIT_STORE_FAILED));
    let opened =
        tokio::task::spawn_blocking(move || EmbeddedStore::open(&folder, env, options, IndexKind::Sled, on_fatal));
    let Opened { store, recovery, index_rebuilt, lock } = opened.await??;
    tracing::info!(frames = recovery.frames, last = recovery.last_lsn.0, index_rebuilt, "recovered");
    store.found().await?;

    let options = tier::Options {
        policy: TieringPolicy {
            file_bytes_target: settings.tiering.file_bytes_target.get(),
            age_ms_max: settings.tiering.max_age.as_millis(),
            ..TieringPolicy::default()
        },
        interval_ms: settings.tiering.interval.as_millis(),
        writer: WriterOptions {
            row_group_bytes: usize::try_from(settings.tiering.row_group_bytes.get()).unwrap_or(usize::MAX),
            ..WriterOptions::default()
        },
        ..tier::Options::default()
    };
    let read_ahead_bytes = u32::try_from(settings.limits.read_ahead_bytes.get()).unwrap_or(u32::MAX) as usize;
    let (tier, mut tierer) = Tier::new(store.clone(), options);
    tierer.recover().await?;
    let tiering = tokio::spawn(tierer.run(stop.subscribe()));
    let engine = Arc::new(Engine::new(store, tier, read_ahead_bytes));
    let open_transaction = settings.open_transaction_ttl.into();
    let upkeep = Upkeep::start(&engine, Retention { open_transaction, superseded: SUPERSEDED_KEPT });
    Ok((engine, upkeep, tiering, lock))
}
