//! The Rust client against a real gateway that crashes: nothing is lost, nothing comes twice, owners fence each other.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::Arc;

use sluice_client::{
    At, Client, ErrorClass, Event, PreparedTransaction, ProducerOptions, ReaderOptions, Start, Stream, StreamSettings,
    TransactionOptions,
    schema::names::{GroupName, Name, SinkName, StreamName},
};
use sluice_proto::gateway::v1::{self as wire, admin_client::AdminClient};
use support::Gateway;

async fn open(gateway: &Gateway, segments: u32) -> (Client, Arc<Stream>) {
    let client = Client::connect(&gateway.endpoint()).await.unwrap();
    client.create_scope(&Name::parse("demo").unwrap()).await.unwrap();
    let name = StreamName::parse("demo/s").unwrap();
    client.create_stream(&name, StreamSettings::bytes(segments).routed_by(["key"])).await.unwrap();
    let stream = Arc::new(client.stream(&name).await.unwrap());
    (client, stream)
}

fn sink() -> SinkName {
    SinkName::parse("demo/job").unwrap()
}

/// All committed values, in order by segment.
async fn values(client: &Client, stream: &Stream) -> Vec<String> {
    let mut reader = client.reader(&stream.name, Start::At(At::Earliest), ReaderOptions::bounded()).await.unwrap();
    let mut found = std::collections::BTreeMap::<u32, Vec<String>>::new();
    while let Some(batch) = reader.next().await.unwrap() {
        let events = batch.events().unwrap().map(|event| String::from_utf8(event.value.to_vec()).unwrap());
        found.entry(batch.segment).or_default().extend(events);
    }
    found.into_values().flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_transaction_outlives_gateway_and_client() {
    let mut gateway = Gateway::start();
    let (client, stream) = open(&gateway, 2).await;
    let producer = client.transactional_producer(&sink(), TransactionOptions::default()).await.unwrap();
    let mut transaction = producer.begin();
    for number in 0..100 {
        transaction.send(&stream, Event::keyed(b"k", format!("{number}").as_bytes())).await.unwrap();
    }
    let stored = transaction.prepare().await.unwrap().to_bytes();
    drop((producer, client));
    gateway.crash_and_restart();

    let client = Client::connect(&gateway.endpoint()).await.unwrap();
    assert!(values(&client, &stream).await.is_empty(), "prepared events are visible to nobody");
    let prepared = PreparedTransaction::from_bytes(&stored).unwrap();
    let options = TransactionOptions { restored: Some(prepared), ..TransactionOptions::default() };
    let mut producer = client.transactional_producer(&sink(), options.clone()).await.unwrap();
    let restored = producer.take_restored().expect("it is not committed yet");
    let commit = producer.commit(&restored).await.unwrap();
    assert_eq!(commit.events, 100);
    // The chain goes on behind it.
    let mut transaction = producer.begin();
    transaction.send(&stream, Event::keyed(b"k", b"after")).await.unwrap();
    transaction.commit().await.unwrap();

    let expected: Vec<String> = (0..100).map(|number| number.to_string()).chain(["after".into()]).collect();
    assert_eq!(values(&client, &stream).await, expected);
    assert_eq!(client.commit_prepared(&restored).await.unwrap(), commit, "a retry gets the first answer");
    let error = client.transactional_producer(&sink(), options).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Rejected, "an older state is not restored in silence: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_goes_on_after_the_gateway_crashed() {
    let mut gateway = Gateway::start();
    let (client, stream) = open(&gateway, 2).await;
    // Small blocks, so that many are on their way at each crash.
    let options = TransactionOptions { block_bytes: 4096, ..TransactionOptions::default() };
    let producer = client.transactional_producer(&sink(), options).await.unwrap();
    let mut transaction = producer.begin();
    let mut sent = Vec::new();
    for round in 0..3 {
        for number in 0..2000 {
            let value = format!("{round}-{number}");
            transaction.send(&stream, Event::keyed(b"k", value.as_bytes())).await.unwrap();
            sent.push(value);
        }
        gateway.crash_and_restart();
    }
    let commit = transaction.commit().await.unwrap();
    assert_eq!(commit.events, sent.len() as u64);
    assert_eq!(values(&client, &stream).await, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_owner_fences_the_older_one() {
    let gateway = Gateway::start();
    let (client, stream) = open(&gateway, 1).await;
    let old = client.transactional_producer(&sink(), TransactionOptions::default()).await.unwrap();
    let mut open = old.begin();
    open.send(&stream, Event::new(&vec![b'x'; 600 << 10])).await.unwrap();
    let mut prepared = old.begin();
    prepared.send(&stream, Event::new(b"prepared")).await.unwrap();
    let prepared = prepared.prepare().await.unwrap();

    let new = client.transactional_producer(&sink(), TransactionOptions::default()).await.unwrap();
    let error = open.commit().await.unwrap_err();
    assert!(matches!(error.class(), ErrorClass::Fenced | ErrorClass::Rejected), "{error}");
    let error = old.commit(&prepared).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Fenced, "{error}");

    let mut transaction = new.begin();
    transaction.send(&stream, Event::new(b"new")).await.unwrap();
    let commit = transaction.commit().await.unwrap();
    assert_eq!(commit.superseded_events, 1, "the prepared one of the older owner");
    assert_eq!(values(&client, &stream).await, ["new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn aborted_dropped_and_empty_transactions_leave_nothing() {
    let gateway = Gateway::start();
    let (client, stream) = open(&gateway, 1).await;
    let producer = client.transactional_producer(&sink(), TransactionOptions::default()).await.unwrap();
    let large = vec![b'x'; 600 << 10];
    let mut aborted = producer.begin();
    aborted.send(&stream, Event::new(&large)).await.unwrap();
    aborted.abort().await.unwrap();
    let mut dropped = producer.begin();
    dropped.send(&stream, Event::new(&large)).await.unwrap();
    drop(dropped);
    assert_eq!(producer.begin().commit().await.unwrap().commit_seq, 0);
    let mut kept = producer.begin();
    kept.send(&stream, Event::new(b"kept")).await.unwrap();
    assert!(kept.commit().await.unwrap().commit_seq > 0);
    assert_eq!(values(&client, &stream).await, ["kept"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_appends_and_a_reader_go_on_after_a_crash() {
    let mut gateway = Gateway::start();
    let (client, stream) = open(&gateway, 2).await;
    let mut reader = client.reader(&stream.name, Start::At(At::Earliest), ReaderOptions::default()).await.unwrap();
    let reading = tokio::spawn(async move {
        let mut found = Vec::new();
        while found.len() < 3000 {
            let batch = reader.next().await.unwrap().unwrap();
            found.extend(batch.events().unwrap().map(|event| String::from_utf8(event.value.to_vec()).unwrap()));
        }
        (found, reader.positions())
    });
    let producer = client.producer(&stream.name, "w", ProducerOptions::default()).await.unwrap();
    let sent: Vec<String> = (0..3000).map(|number| number.to_string()).collect();
    for part in sent.chunks(1000) {
        for value in part {
            producer.send(Event::keyed(b"k", value.as_bytes())).await.unwrap();
        }
        gateway.crash_and_restart();
    }
    producer.flush().await.unwrap();
    let (found, positions) = reading.await.unwrap();
    assert_eq!(found, sent);
    assert_eq!(positions[0].segments.values().sum::<u64>(), 3000);
    assert_eq!(values(&client, &stream).await, sent);

    let again = client.producer(&stream.name, "w", ProducerOptions::default()).await.unwrap();
    assert_eq!(again.last_sequence(), 3000);
    let error = producer.send(Event::new(b"late")).await.unwrap().durable().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Fenced, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn producers_on_one_call_outlive_a_crash_and_the_fencing_of_one_of_them() {
    let mut gateway = Gateway::start();
    let (client, stream) = open(&gateway, 1).await;
    let options = ProducerOptions { shared_connection: true, ..ProducerOptions::default() };
    let fenced = client.producer(&stream.name, "fenced", options.clone()).await.unwrap();
    let mut others = Vec::new();
    for name in ["a", "b", "c"] {
        others.push(client.producer(&stream.name, name, options.clone()).await.unwrap());
    }
    let mut sent = 0;
    for round in 0..3 {
        for producer in &others {
            for _ in 0..100 {
                producer.send(Event::new(b"kept")).await.unwrap();
                sent += 1;
            }
        }
        if round == 0 {
            gateway.crash_and_restart();
        }
        if round == 1 {
            client.producer(&stream.name, "fenced", ProducerOptions::default()).await.unwrap();
            let late = fenced.send(Event::new(b"late")).await.unwrap();
            for producer in &others {
                producer.send(Event::new(b"kept")).await.unwrap();
                sent += 1;
            }
            assert_eq!(late.durable().await.unwrap_err().class(), ErrorClass::Fenced);
        }
    }
    for producer in &others {
        producer.flush().await.unwrap();
    }
    assert_eq!(values(&client, &stream).await, vec!["kept"; sent]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_keeps_its_positions() {
    let mut gateway = Gateway::start();
    let (client, stream) = open(&gateway, 2).await;
    let producer = client.producer(&stream.name, "w", ProducerOptions::default()).await.unwrap();
    for number in 0..10 {
        producer.send(Event::keyed(format!("{number}").as_bytes(), b"v")).await.unwrap();
    }
    producer.flush().await.unwrap();
    let name = GroupName::parse("demo/g").unwrap();
    let (created, mut group) = client.create_group(&name, std::slice::from_ref(&stream.name), &[]).await.unwrap();
    assert!(created && group.lag_events().await.unwrap() == 10);
    let mut reader = group.reader(ReaderOptions::bounded()).await.unwrap();
    while reader.next().await.unwrap().is_some() {}
    let old = client.group(&name).await.unwrap();
    group.update(&reader.positions()).await.unwrap();
    group.checkpoint(1).await.unwrap();
    gateway.crash_and_restart();
    assert_eq!(group.positions().await.unwrap(), reader.positions());
    assert_eq!(group.checkpoints().await.unwrap().len(), 1);

    group.reset(sluice_client::ResetTo::At(At::Earliest)).await.unwrap();
    let error = old.update(&reader.positions()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Fenced, "{error}");
    group.update(&reader.positions()).await.unwrap();
    assert_eq!(group.lag_events().await.unwrap(), 0);
}

/// Bytes of a folder's files.
fn bytes_of(folder: &std::path::Path) -> u64 {
    let files = std::fs::read_dir(folder).unwrap();
    files.map(|file| file.and_then(|file| file.metadata()).map_or(0, |file| file.len())).sum()
}

/// A transaction whose blocks lie all over the log stays prepared while twenty times the log's limit is written.
#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_transaction_does_not_keep_the_log_from_shrinking() {
    const LIMIT: u64 = 4 << 20;
    let mut gateway = Gateway::start_with(&[
        "--set=log.file_bytes=1MiB",
        "--set=log.limit_bytes=4MiB",
        "--set=tiering.interval=100ms",
        "--set=cache_bytes=1MiB",
    ]);
    let log = gateway.data().join("log");
    let (client, stream) = open(&gateway, 1).await;
    let name = StreamName::parse("demo/bulk").unwrap();
    client.create_stream(&name, StreamSettings::bytes(1)).await.unwrap();
    let bulk = client.producer(&name, "w", ProducerOptions::default()).await.unwrap();
    let mut written = 0;
    let mut write = async |mebibytes: u64| {
        let end = written + (mebibytes << 20);
        while written < end {
            let value = vec![b'a' + (written % 26) as u8; 64 << 10];
            bulk.send(Event::new(&value)).await.unwrap();
            written += value.len() as u64;
        }
        bulk.flush().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        written
    };

    let options = TransactionOptions { block_bytes: 32 << 10, ..TransactionOptions::default() };
    let producer = client.transactional_producer(&sink(), options).await.unwrap();
    let mut transaction = producer.begin();
    let mut held = Vec::new();
    for part in 0..20 {
        for number in 0..20 {
            let value = format!("{part}-{number} {}", "held ".repeat(500));
            transaction.send(&stream, Event::keyed(b"k", value.as_bytes())).await.unwrap();
            held.push(value);
        }
        write(1).await;
    }
    let prepared = transaction.prepare().await.unwrap();
    let (before, mut largest) = (write(8).await, 0);
    while write(1).await < before + 20 * LIMIT {
        largest = largest.max(bytes_of(&log));
    }
    assert!(largest < 6 * LIMIT, "the log grew to {largest} bytes");

    let written = write(0).await;
    gateway.crash_and_restart();
    assert!(values(&client, &stream).await.is_empty(), "prepared events are visible to nobody");
    let commit = client.commit_prepared(&prepared).await.unwrap();
    assert_eq!(commit.events, held.len() as u64);
    assert!(values(&client, &stream).await == held, "the prepared events are not what was sent");
    let bulk = client.stream(&name).await.unwrap();
    let lengths: u64 = values(&client, &bulk).await.iter().map(|value| value.len() as u64).sum();
    assert_eq!(lengths, written);
}

/// A writer that is faster than publication, with small limits: it writes many times the limit, is held back, and what waits for
/// Parquet never grows beyond the limit and what is under way. Nothing but held writers makes files here.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_is_held_back_until_parquet_follows() {
    const LIMIT_BYTES: u64 = 1 << 20;
    const UNDER_WAY_BYTES: usize = 1 << 20;
    const EVENTS: u64 = 800;
    let gateway = Gateway::start_with(&["--set=limits.unpublished_bytes=1MiB", "--set=tiering.interval=1h"]);
    let (client, stream) = open(&gateway, 8).await;
    let options = ProducerOptions { unacknowledged_bytes: UNDER_WAY_BYTES, ..ProducerOptions::default() };
    let producer = client.producer(&stream.name, "w", options).await.unwrap();
    let mut admin = AdminClient::connect(gateway.endpoint()).await.unwrap();
    let text = |number: u64| format!("{number:05} ").repeat(6 << 10);
    let mut most = 0;
    for number in 0..EVENTS {
        let value = text(number);
        producer.send(Event::keyed(&number.to_be_bytes(), value.as_bytes())).await.unwrap();
        let status = admin.get_status(wire::GetStatusRequest {}).await.unwrap().into_inner();
        assert_eq!(status.tiering_backlog_limit_bytes, LIMIT_BYTES);
        most = most.max(status.tiering_backlog_bytes);
    }
    producer.flush().await.unwrap();
    assert!(most > LIMIT_BYTES, "{most}: the writer was not held back");
    // A quarter for what encoding adds.
    let under_way = UNDER_WAY_BYTES as u64 * 5 / 4;
    assert!(most <= LIMIT_BYTES + under_way, "{most} bytes waited for Parquet");
    let written: u64 = (0..EVENTS).map(|number| text(number).len() as u64).sum();
    assert!(written > 10 * (LIMIT_BYTES + under_way));
    let mut found = values(&client, &stream).await;
    found.sort();
    assert!(found.into_iter().eq((0..EVENTS).map(text)), "what is read is not what was written");
}
