//! `sluice txn` and `sluice sink`.

use clap::{Subcommand, ValueEnum};
use serde_json::json;
use sluice_client::{
    TransactionState,
    wire::{SinkInfo, TransactionInfo},
};
use sluice_schema::{ids::TransactionId, names::SinkName};
use uuid::Uuid;

use super::{
    Context,
    exit::Outcome,
    json as as_json,
    output::{Table, emit, id, size, time},
    scope::done,
};

#[derive(Debug, Subcommand)]
pub enum TxnCommand {
    /// List transactions, newest first
    List {
        /// Only of this sink, scope/sink
        #[arg(long)]
        sink: Option<SinkName>,
        /// Only in these states; without it: open and prepared
        #[arg(long, value_delimiter = ',')]
        state: Vec<State>,
        /// At most so many
        #[arg(long, default_value_t = 1000)]
        limit: u32,
    },
    /// Show one transaction
    Show {
        /// Its id
        transaction: Uuid,
    },
    /// Abort an open transaction; prepared ones are refused
    Abort {
        /// Its id
        transaction: Uuid,
    },
}

#[derive(Debug, Subcommand)]
pub enum SinkCommand {
    /// List all sinks
    List,
    /// Show one sink
    Show {
        /// Its name, scope/sink
        sink: SinkName,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum State {
    /// Takes events
    Open,
    /// Waits for its commit
    Prepared,
    /// Visible
    Committed,
    /// Given up
    Aborted,
}

impl From<State> for TransactionState {
    fn from(state: State) -> Self {
        match state {
            State::Open => Self::Open,
            State::Prepared => Self::Prepared,
            State::Committed => Self::Committed,
            State::Aborted => Self::Aborted,
        }
    }
}

pub async fn run_txn(command: TxnCommand, context: &Context) -> Outcome {
    let client = &context.client;
    match command {
        TxnCommand::List { sink, state, limit } => {
            let states: Vec<TransactionState> = state.into_iter().map(Into::into).collect();
            let found = client.list_transactions(sink.as_ref(), &states, limit).await?;
            let mut table = Table::new(&["TRANSACTION", "SINK", "SUBTASK>", "STATE", "SINCE", "EVENTS>", "SIZE>"]);
            for info in &found {
                table.row([
                    id(&info.txn_id),
                    as_json::sink_name(info.sink.as_ref()),
                    info.subtask.to_string(),
                    as_json::transaction_state(info.state()).to_string(),
                    time(info.state_since_ms),
                    info.events.to_string(),
                    size(info.bytes),
                ]);
            }
            emit(context.format, || table.render(), || found.iter().map(as_json::transaction).collect())
        }
        TxnCommand::Show { transaction } => {
            let info = client.transaction(TransactionId::new(transaction)).await?;
            emit(context.format, || show_transaction(&info), || as_json::transaction(&info))
        }
        TxnCommand::Abort { transaction } => {
            let reason = client.abort_transaction(TransactionId::new(transaction)).await?;
            let json = json!({ "transaction": transaction.to_string(), "abort_reason": reason });
            done(context, format!("transaction {transaction} is aborted ({reason})"), json)
        }
    }
}

pub async fn run_sink(command: SinkCommand, context: &Context) -> Outcome {
    let client = &context.client;
    match command {
        SinkCommand::List => {
            let sinks = client.list_sinks().await?;
            let heads =
                ["SINK", "INCARNATION>", "LAST COMMIT>", "CHECKPOINT>", "OPEN>", "PREPARED>", "OLDEST PREPARED"];
            let mut table = Table::new(&heads);
            for info in &sinks {
                table.row([
                    as_json::sink_name(info.sink.as_ref()),
                    info.incarnation.to_string(),
                    info.head_commit_seq.to_string(),
                    info.head_checkpoint.to_string(),
                    info.open_transactions.to_string(),
                    info.prepared_transactions.to_string(),
                    time(info.oldest_prepared_ms),
                ]);
            }
            emit(context.format, || table.render(), || sinks.iter().map(as_json::sink).collect())
        }
        SinkCommand::Show { sink } => {
            let info = client.sink(&sink).await?;
            emit(context.format, || show_sink(&info), || as_json::sink(&info))
        }
    }
}

fn show_transaction(info: &TransactionInfo) -> String {
    let streams: Vec<String> = info.streams.iter().map(|name| as_json::stream_name(Some(name))).collect();
    let state = match info.abort_reason.as_str() {
        "" => as_json::transaction_state(info.state()).to_string(),
        reason => format!("{} ({reason})", as_json::transaction_state(info.state())),
    };
    format!(
        "transaction  {}\nsink         {} subtask {} epoch {}\nstate        {state} since {}\nstreams      {}\n\
         holds        {} events, {} in {} blocks\nlast append  {}\ncommit       {}\n",
        id(&info.txn_id),
        as_json::sink_name(info.sink.as_ref()),
        info.subtask,
        info.writer_epoch,
        time(info.state_since_ms),
        if streams.is_empty() { "-".into() } else { streams.join(", ") },
        info.events,
        size(info.bytes),
        info.chunks,
        time(info.touched_ms),
        if info.commit_seq == 0 { "-".into() } else { info.commit_seq.to_string() },
    )
}

fn show_sink(info: &SinkInfo) -> String {
    format!(
        "sink         {}\nincarnation  {} run {}\nlast group   {} checkpoint {} commit {}\nopen         {} transactions\n\
         prepared     {} transactions, {} events, oldest {}\nsuperseded   {} events\n",
        as_json::sink_name(info.sink.as_ref()),
        info.incarnation,
        id(&info.run_nonce),
        id(&info.head_group),
        info.head_checkpoint,
        info.head_commit_seq,
        info.open_transactions,
        info.prepared_transactions,
        info.prepared_events,
        time(info.oldest_prepared_ms),
        info.superseded_events,
    )
}
