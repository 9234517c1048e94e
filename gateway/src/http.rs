//! HTTP: /health and /metrics.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;

/// What the gateway is doing, as /health tells it. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<AtomicU8>);

/// A stage of the gateway's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Recovering its state; calls are not answered yet.
    Starting,
    /// Answers calls.
    Ready,
    /// Shutting down.
    Stopping,
}

impl Health {
    /// Moves to another stage.
    pub fn set(&self, stage: Stage) {
        self.0.store(stage as u8, Ordering::Release);
    }

    /// The present stage.
    pub fn stage(&self) -> Stage {
        match self.0.load(Ordering::Acquire) {
            0 => Stage::Starting,
            1 => Stage::Ready,
            _ => Stage::Stopping,
        }
    }
}

#[derive(Clone)]
struct Served {
    health: Health,
    metrics: PrometheusHandle,
}

/// Serves until `stop` ends; the caller has bound the listener, so that a port in use is its error.
pub async fn serve(
    listener: TcpListener,
    health: Health,
    metrics: PrometheusHandle,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(health, metrics)).with_graceful_shutdown(stop).await
}

fn router(health: Health, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/health", get(answer_health))
        .route("/metrics", get(answer_metrics))
        .with_state(Served { health, metrics })
}

async fn answer_health(State(served): State<Served>) -> impl IntoResponse {
    let (status, text) = match served.health.stage() {
        Stage::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
        Stage::Ready => (StatusCode::OK, "ready"),
        Stage::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
    };
    let body = serde_json::json!({ "status": text, "version": env!("CARGO_PKG_VERSION") });
    (status, [(CONTENT_TYPE, "application/json")], body.to_string())
}

async fn answer_metrics(State(served): State<Served>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], served.metrics.render())
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    use super::*;

    async fn get(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn health_follows_the_stage_and_metrics_are_rendered() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || metrics::counter!(crate::metrics::COMMITS).increment(3));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let health = Health::default();
        tokio::spawn(serve(listener, health.clone(), handle, std::future::pending()));

        for (stage, status, word) in
            [(Stage::Starting, "503", "starting"), (Stage::Ready, "200", "ready"), (Stage::Stopping, "503", "stopping")]
        {
            health.set(stage);
            let answer = get(address, "/health").await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(word), "{answer}");
        }
        let answer = get(address, "/metrics").await;
        assert!(answer.contains("sluice_commits_total 3"), "{answer}");
        assert!(get(address, "/other").await.starts_with("HTTP/1.1 404"));
    }
}
