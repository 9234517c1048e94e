//! The connection to a gateway: one channel for control calls, one for data, so that a commit never waits behind data.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use sluice_proto::gateway::v1::{
    self as wire, admin_client::AdminClient, reader_client::ReaderClient, reader_groups_client::ReaderGroupsClient,
    scan_client::ScanClient, schemas_client::SchemasClient, streams_client::StreamsClient,
    transactions_client::TransactionsClient, writers_client::WritersClient,
};
use tonic::{
    Response, Status,
    transport::{Channel, Endpoint},
};
use uuid::Uuid;

use crate::{
    error::{Error, Result, from_status},
    ids,
    producer::SharedUplink,
    retry::{Backoff, RetryPolicy},
};

/// Largest gRPC message in either direction.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// HTTP/2 window of one call.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
/// HTTP/2 window of a connection.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// Largest HTTP/2 frame accepted.
const FRAME_BYTES_MAX: u32 = 1 << 20;

/// A client of one gateway. Clones share the connection.
///
/// Connections are made when first needed and made again when they break; calls retry retriable failures until the
/// [`RetryPolicy`]'s deadline. Every method may be dropped midway: what it was to change may then have happened.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    endpoint: String,
    retry: RetryPolicy,
    control: Channel,
    data: Endpoint,
    shared_uplink: SharedUplink,
    session: Uuid,
    next_request: AtomicU64,
}

macro_rules! stubs {
    ($($method:ident -> $stub:ident),* $(,)?) => {
        impl Client {
            $(pub(crate) fn $method(&self) -> $stub<Channel> {
                $stub::new(self.shared.control.clone())
                    .max_decoding_message_size(MESSAGE_BYTES_MAX)
                    .max_encoding_message_size(MESSAGE_BYTES_MAX)
            })*
        }
    };
}

stubs! {
    streams_stub -> StreamsClient,
    schemas_stub -> SchemasClient,
    scan_stub -> ScanClient,
    groups_stub -> ReaderGroupsClient,
    admin_stub -> AdminClient,
    transactions_stub -> TransactionsClient,
    writers_stub -> WritersClient,
}

impl Client {
    /// A client of the gateway at `endpoint`, for example `http://127.0.0.1:9090`. Nothing is sent yet.
    pub fn new(endpoint: &str) -> Result<Self> {
        Self::with_retry(endpoint, RetryPolicy::default())
    }

    /// As [`new`](Self::new), with another retry policy.
    pub fn with_retry(endpoint: &str, retry: RetryPolicy) -> Result<Self> {
        let data = configure(endpoint)?;
        let shared = Shared {
            endpoint: endpoint.to_string(),
            retry,
            control: data.connect_lazy(),
            shared_uplink: SharedUplink::default(),
            data,
            session: ids::random(),
            next_request: AtomicU64::new(1),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// A client of the gateway at `endpoint`, after making sure that it answers.
    pub async fn connect(endpoint: &str) -> Result<Self> {
        let client = Self::new(endpoint)?;
        client.status().await?;
        Ok(client)
    }

    /// The address given at creation.
    pub fn endpoint(&self) -> &str {
        &self.shared.endpoint
    }

    /// A data channel of its own: producers and readers do not share flow control.
    pub(crate) fn data_channel(&self) -> Channel {
        self.shared.data.connect_lazy()
    }

    /// The call of all producers that share one.
    pub(crate) fn shared_uplink(&self) -> &SharedUplink {
        &self.shared.shared_uplink
    }

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(self.shared.retry, &self.shared.endpoint)
    }

    pub(crate) fn stream_backoff(&self) -> Backoff {
        Backoff::of_stream(self.shared.retry, &self.shared.endpoint)
    }

    /// Identity of a new control call.
    pub(crate) fn next_request(&self) -> Option<wire::RequestId> {
        let request_seq = self.shared.next_request.fetch_add(1, Ordering::Relaxed);
        Some(wire::RequestId { session_id: Bytes::copy_from_slice(self.shared.session.as_bytes()), request_seq })
    }

    /// Sends a call until it is answered, refused or out of time.
    pub(crate) async fn call<T, F>(&self, send: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = std::result::Result<Response<T>, Status>>,
    {
        let mut backoff = self.backoff();
        loop {
            let error = match tokio::time::timeout(backoff.time_left(), send()).await {
                Ok(Ok(response)) => return Ok(response.into_inner()),
                Ok(Err(status)) => from_status(&status),
                Err(_) => Error::transport("no answer"),
            };
            backoff.pause_after(error).await?;
        }
    }

    /// As [`call`](Self::call) for calls that may work for minutes: as long as the connection lives, the answer is awaited.
    pub(crate) async fn long_call<T, F>(&self, send: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = std::result::Result<Response<T>, Status>>,
    {
        let mut backoff = self.backoff();
        loop {
            match send().await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => backoff.pause_after(from_status(&status)).await?,
            }
        }
    }
}

/// Stub of the data plane for transactions.
pub(crate) fn transactions_on(channel: &Channel) -> TransactionsClient<Channel> {
    TransactionsClient::new(channel.clone())
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

/// Stub of the data plane for plain appends.
pub(crate) fn writers_on(channel: &Channel) -> WritersClient<Channel> {
    WritersClient::new(channel.clone())
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

/// Stub of the data plane for reads.
pub(crate) fn reader_on(channel: &Channel) -> ReaderClient<Channel> {
    ReaderClient::new(channel.clone())
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

fn configure(endpoint: &str) -> Result<Endpoint> {
    let malformed = || {
        Error::invalid(format!(
            "`{endpoint}` is not an endpoint: write http://HOST:PORT, for example http://127.0.0.1:9090"
        ))
    };
    let parsed = Endpoint::from_shared(endpoint.to_string()).map_err(|_| malformed())?;
    if parsed.uri().scheme_str() != Some("http") || parsed.uri().host().is_none_or(str::is_empty) {
        return Err(malformed());
    }
    Ok(parsed
        .connect_timeout(Duration::from_secs(5))
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(20))
        .keep_alive_while_idle(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn malformed_endpoints_are_refused() {
        for endpoint in ["", "127.0.0.1:9090", "https://x:1", "http://", "ftp://x", "http://a b"] {
            let error = Client::new(endpoint).unwrap_err();
            assert!(error.to_string().contains("http://HOST:PORT"), "{endpoint}: {error}");
        }
        assert!(Client::new("http://localhost:9090").is_ok());
    }

    #[tokio::test]
    async fn an_unreachable_gateway_is_named() {
        let retry = RetryPolicy { deadline: Duration::from_millis(300), ..RetryPolicy::default() };
        let client = Client::with_retry("http://127.0.0.1:1", retry).unwrap();
        let error = client.status().await.unwrap_err();
        assert!(error.is_unreachable() && error.to_string().contains("http://127.0.0.1:1"), "{error}");
    }
}
