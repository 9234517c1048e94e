//! Where rows go: plain appends, or one transaction.

use std::sync::Arc;

use sluice_client::{Client, Producer, ProducerOptions, Stream, Transaction, TransactionOptions};
use sluice_schema::names::{Name, SinkName};

use super::{Rows, WriteArgs};
use crate::cli::exit::Failure;

/// A way into the stream; opened with the first rows, so that an input that cannot be read leaves nothing behind.
pub struct Target {
    stream: Arc<Stream>,
    events: u64,
    way: Way,
}

enum Way {
    Unopened,
    Plain(Box<Producer>),
    Transaction(Box<Transaction>),
}

/// What was written.
pub struct Written {
    pub events: u64,
    /// With a transaction: its commit.
    pub commit_seq: Option<u64>,
}

impl Target {
    pub fn new(stream: Arc<Stream>) -> Self {
        Self { stream, events: 0, way: Way::Unopened }
    }

    pub async fn send(&mut self, client: &Client, args: &WriteArgs, rows: Rows) -> Result<(), Failure> {
        if let Way::Unopened = self.way {
            self.way = open(client, &self.stream, args).await?;
        }
        self.events += rows.len() as u64;
        match (&mut self.way, rows) {
            (Way::Plain(producer), Rows::Batch(batch)) => drop(producer.send_batch(&batch).await?),
            (Way::Plain(producer), Rows::Events(events)) => {
                for event in &events {
                    producer.send(event.as_event(&event.headers())).await?;
                }
            }
            (Way::Transaction(transaction), Rows::Batch(batch)) => transaction.send_batch(&self.stream, &batch).await?,
            (Way::Transaction(transaction), Rows::Events(events)) => {
                for event in &events {
                    transaction.send(&self.stream, event.as_event(&event.headers())).await?;
                }
            }
            (Way::Unopened, _) => {}
        }
        Ok(())
    }

    /// Makes everything durable and visible.
    pub async fn finish(self) -> Result<Written, Failure> {
        let commit_seq = match self.way {
            Way::Unopened => None,
            Way::Plain(producer) => {
                producer.flush().await?;
                None
            }
            Way::Transaction(transaction) => Some(transaction.commit().await?.commit_seq),
        };
        Ok(Written { events: self.events, commit_seq })
    }

    /// After a failure: the sentence says what is visible.
    pub async fn give_up(self, failure: Failure) -> Failure {
        let (message, exit) = match self.way {
            Way::Unopened => (format!("{}; nothing was written", failure.message), failure.exit),
            Way::Transaction(transaction) => {
                // It would end by itself; aborting frees its space at once.
                let _ = transaction.abort().await;
                (format!("{}; nothing was written", failure.message), failure.exit)
            }
            Way::Plain(producer) => {
                let _ = producer.flush().await;
                let note = "events before it may have been written, use --transaction for all or nothing";
                (format!("{}; {note}", failure.message), failure.exit)
            }
        };
        Failure { message, exit }
    }
}

async fn open(client: &Client, stream: &Stream, args: &WriteArgs) -> Result<Way, Failure> {
    if args.transaction {
        let sink = match &args.sink {
            Some(sink) => sink.clone(),
            None => SinkName::new(stream.name.scope.clone(), random_name()?),
        };
        let producer = client.transactional_producer(&sink, TransactionOptions::default()).await?;
        return Ok(Way::Transaction(Box::new(producer.begin())));
    }
    let writer = match &args.writer {
        Some(writer) => writer.clone(),
        None => random_name()?.to_string(),
    };
    let producer = client.producer(&stream.name, &writer, ProducerOptions::default()).await?;
    Ok(Way::Plain(Box::new(producer)))
}

fn random_name() -> Result<Name, Failure> {
    #[expect(clippy::disallowed_methods, reason = "the command line is the edge; no simulated code runs here")]
    let id = uuid::Uuid::new_v4();
    Name::parse(&format!("write-{id}")).map_err(|e| Failure::new(e.to_string()))
}
