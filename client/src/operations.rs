//! For operators and planners: status, verification, backup, sinks and transactions, scan plans.

use bytes::Bytes;
use sluice_proto::gateway::v1::{self as wire, GetStatusResponse, PlanResponse, SinkInfo, TransactionInfo};
use sluice_schema::{
    ids::TransactionId,
    names::{SinkName, StreamName},
};
use tonic::Streaming;

use crate::{
    connection::Client,
    error::{Error, Result, from_status},
    positions::Positions,
};

pub use sluice_proto::gateway::v1::TransactionState;

/// A running verification, see [`Client::verify`].
#[derive(Debug)]
pub struct Verification {
    progress: Streaming<wire::VerifyProgress>,
}

impl Verification {
    /// The next report; `None` after the one with `done`.
    pub async fn next(&mut self) -> Result<Option<wire::VerifyProgress>> {
        self.progress.message().await.map_err(|status| from_status(&status))
    }
}

impl Client {
    /// What the gateway is and how it does.
    pub async fn status(&self) -> Result<GetStatusResponse> {
        let request = wire::GetStatusRequest {};
        self.call(|| send!(self, admin_stub.get_status(request))).await
    }

    /// Has the gateway read everything back: checksums and offsets of log, index and Parquet files.
    pub async fn verify(&self) -> Result<Verification> {
        let request = wire::VerifyRequest {};
        let progress = self.call(|| send!(self, admin_stub.verify(request))).await?;
        Ok(Verification { progress })
    }

    /// Copies a consistent state of the data directory to `target`, an absolute path on the gateway's machine that is
    /// empty or does not exist.
    pub async fn backup(&self, target: &str) -> Result<wire::BackupResponse> {
        let request = wire::BackupRequest { target: target.to_string() };
        self.long_call(|| send!(self, admin_stub.backup(request))).await
    }

    /// All sinks, ascending by scope and name.
    pub async fn list_sinks(&self) -> Result<Vec<SinkInfo>> {
        let request = wire::ListSinksRequest {};
        Ok(self.call(|| send!(self, transactions_stub.list_sinks(request))).await?.sinks)
    }

    /// A sink; one never seen has incarnation 0 and no head.
    pub async fn sink(&self, sink: &SinkName) -> Result<SinkInfo> {
        let answer = self.sink_and_store(sink).await?;
        answer.sink.ok_or_else(|| Error::bug("the gateway's answer lacks the sink"))
    }

    pub(crate) async fn sink_and_store(&self, sink: &SinkName) -> Result<wire::GetSinkResponse> {
        let request = wire::GetSinkRequest { sink: Some(sink.into()) };
        self.call(|| send!(self, transactions_stub.get_sink(request))).await
    }

    /// Transactions of a sink (`None`: of all) in these states (empty: OPEN and PREPARED), newest first, at most `limit`.
    pub async fn list_transactions(
        &self,
        sink: Option<&SinkName>,
        states: &[TransactionState],
        limit: u32,
    ) -> Result<Vec<TransactionInfo>> {
        let states = states.iter().map(|state| (*state).into()).collect();
        let request = wire::ListTransactionsRequest { sink: sink.map(Into::into), states, limit };
        Ok(self.call(|| send!(self, transactions_stub.list(request))).await?.transactions)
    }

    /// One transaction, whatever its state.
    pub async fn transaction(&self, id: TransactionId) -> Result<TransactionInfo> {
        let request = wire::GetTransactionRequest { txn_id: id.to_bytes() };
        let answer = self.call(|| send!(self, transactions_stub.get(request))).await?;
        answer.transaction.ok_or_else(|| Error::bug("the gateway's answer lacks the transaction"))
    }

    /// Gives up an OPEN transaction and says why it is aborted. Idempotent; a prepared or committed one is refused.
    pub async fn abort_transaction(&self, id: TransactionId) -> Result<String> {
        let request = wire::AbortRequest { txn_id: id.to_bytes() };
        Ok(self.call(|| send!(self, transactions_stub.abort(request))).await?.abort_reason)
    }

    /// The files and ranges that make up a stream from `from` (absent: its earliest events) to one commit.
    pub async fn scan(&self, stream: &StreamName, from: Option<&Positions>) -> Result<PlanResponse> {
        let request = wire::PlanRequest { stream: Some(stream.into()), from: from.map(Into::into) };
        self.call(|| send!(self, scan_stub.plan(request))).await
    }

    /// The schema of an id.
    pub async fn schema(&self, schema_id: u64) -> Result<wire::Schema> {
        let request = wire::GetSchemaRequest { schema_id };
        let answer = self.call(|| send!(self, schemas_stub.get_schema(request))).await?;
        answer.schema.ok_or_else(|| Error::bug("the gateway's answer lacks the schema"))
    }
}

/// The 16 bytes of an id of the wire.
pub(crate) fn id_bytes(what: &str, bytes: &Bytes) -> Result<[u8; 16]> {
    bytes.as_ref().try_into().map_err(|_| Error::bug(format!("the gateway's {what} is {} bytes long", bytes.len())))
}
