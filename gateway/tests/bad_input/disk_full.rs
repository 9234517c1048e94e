//! A disk that is really full: clear errors, nothing acknowledged is lost, and all goes on when there is space again.

use std::time::Duration;

use bytes::Bytes;
use sluice_client::{ErrorClass::Retriable, ErrorReason::Unavailable, error::from_status};
use sluice_proto::gateway::v1 as wire;

use crate::{
    support::{Gateway, SmallDisk},
    transactions::Job,
    world::{Appends as _, World, claim, refused, sink_name},
};

const BALLAST: &str = "ballast";
/// Small log files, so that the disk also gets full where one begins.
const FLAGS: &[&str] = &["--set=log.file_bytes=1MiB", "--set=log.limit_bytes=4MiB", "--set=tiering.interval=200ms"];
const VALUE_BYTES: usize = 100 << 10;

#[tokio::test]
async fn every_write_is_refused_while_the_disk_is_full_and_taken_afterwards() {
    let disk = SmallDisk::new(40 << 10);
    let mut world = World::over(Gateway::start_on(&disk, FLAGS)).await;
    let job = Job::attach(&world).await;
    let epoch = world.open_writer("job").await;
    let prepared = world.prepared("job", epoch).await;
    let blocks = [world.block(4)];
    let open = world.begin("job", epoch, &blocks).await;
    let writer = world.init_writer("log", "w").await;
    let before = world.state().await;

    disk.fill(BALLAST);
    let group = job.group(&Bytes::new(), &[&prepared]);
    let scope = wire::CreateScopeRequest { request: world.request(), scope: "new".into() };
    let txn_id = Bytes::from_static(&[5; 16]);
    let begin = wire::BeginRequest { txn_id, sink: sink_name("job"), subtask: 0, writer_epoch: epoch };
    for _ in 0..3 {
        let answers = [
            ("rows", world.append(writer.rows(1, &[b"1"])).await.map(drop)),
            ("chunk", world.append_chunk(world.chunk(&open, 1, &world.block(9))).await.map(drop)),
            ("begin", world.transactions().begin(begin.clone()).await.map(drop)),
            ("prepare", world.transactions().prepare(claim(&open, &blocks)).await.map(drop)),
            ("commit", world.commit(&group).await.map(drop)),
            ("scope", world.streams().create_scope(scope.clone()).await.map(drop)),
        ];
        for (what, answer) in answers {
            let error = refused(what, answer, Retriable, Unavailable);
            assert!(error.to_string().contains("the disk is full"), "{what}: {error}");
        }
        // What only reads goes on.
        assert_eq!(world.gateway.run("read demo/log").ok().lines().count(), 2);
    }

    // A gateway that finds its disk full serves what can be read.
    world.gateway.crash_and_restart();
    world.reconnect().await;
    assert_eq!(world.gateway.run("read demo/log").ok().lines().count(), 2);
    let write = world.gateway.run_with("--timeout 300ms write demo/log", "c");
    assert!(write.code == 1 && write.err.contains("the disk is full"), "{}", write.err);
    disk.shrink(BALLAST, 0);
    world.assert_unchanged(&before).await;
    world.append(writer.rows(1, &[b"1"])).await.unwrap();
    assert_eq!(world.commit(&group).await.unwrap().events, 2);
    world.transactions().prepare(claim(&open, &blocks)).await.unwrap();
    assert!(world.streams().create_scope(scope).await.unwrap().into_inner().created);
}

/// Text that does not compress, different for each number.
fn value(number: u64) -> String {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'0' + (state >> 32) as u8 % 75)
    };
    format!("{number} {}", (0..VALUE_BYTES).map(|_| letter()).collect::<String>())
}

/// The values of `demo/log` behind the first two.
fn values(world: &World) -> Vec<String> {
    let read = world.gateway.run("read demo/log --from 0:2").ok();
    let value = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["value"].as_str().unwrap().into();
    read.lines().map(value).collect()
}

/// The gateway fills the disk by itself. The last bytes are kept for facts: what is prepared is committed, and a stream can
/// be deleted, which frees space.
#[tokio::test]
async fn a_gateway_that_filled_its_disk_commits_and_deletes() {
    let disk = SmallDisk::new(40 << 10);
    let world = World::over(Gateway::start_on(&disk, FLAGS)).await;
    let job = Job::attach(&world).await;
    let epoch = world.open_writer("job").await;
    let prepared = world.prepared("job", epoch).await;
    world.create_stream("bulk", wire::StreamConfig::default()).await;
    let writer = world.init_writer("bulk", "w").await;
    let mut taken = 0;
    let refusal = loop {
        match world.append(writer.rows(taken + 1, &[value(taken).as_bytes()])).await {
            Ok(_) => taken += 1,
            refusal => break refused("the last value", refusal, Retriable, Unavailable),
        }
    };
    assert!(refusal.to_string().contains("the disk is full"), "{refusal}");
    assert!(taken > 50, "the disk took only {taken} values");
    assert_eq!(world.commit(&job.group(&Bytes::new(), &[&prepared])).await.unwrap().events, 2);
    assert_eq!(world.get_stream("bulk").await.segments[0].next_offset, taken);

    world.delete_stream("bulk").await;
    let writer = world.init_writer("log", "w").await;
    let mut tries = 0;
    while let Err(status) = world.append(writer.rows(1, &[b"space again"])).await {
        assert_eq!(from_status(&status).reason(), Unavailable, "{status:?}");
        tries += 1;
        assert!(tries < 100, "the space of the deleted stream is not given back: {status:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(values(&world), ["space again"]);
    assert!(!world.gateway.log().contains("panicked"));
}

/// Another process takes the last byte at any moment, and the gateway is killed while the disk is full.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_others_take_the_last_byte() {
    let disk = SmallDisk::new(48 << 10);
    let mut world = World::over(Gateway::start_on(&disk, FLAGS)).await;
    let mut acknowledged = Vec::new();
    for round in 0..6u64 {
        let writer = world.init_writer("log", "w").await;
        let ended = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20 * round));
                disk.fill(BALLAST);
            });
            tokio::task::block_in_place(|| {
                let appending = append_until_refused(&world, &writer, &mut acknowledged);
                tokio::runtime::Handle::current().block_on(appending)
            })
        });
        if !ended.contains("the disk is full") {
            // The index was cut short: the process ends and builds it again from the log.
            assert!(ended.contains("is stopping") || ended.contains("transport error"), "{ended}");
            assert_eq!(world.gateway.wait_end(), 70);
        }
        if round % 2 == 1 {
            world.gateway.kill();
            if let Some(code) = world.gateway.try_restart() {
                let log = world.gateway.log();
                let last = log.lines().last().unwrap_or_default();
                let clear = last.contains("No space left") || last.contains("the disk is full");
                assert!(code == 1 && last.starts_with("error: ") && clear, "{code}: {log}");
            }
        }
        disk.shrink(BALLAST, 0);
        if world.gateway.ended().is_some() {
            world.gateway.restart();
        }
        world.reconnect().await;
    }
    let found = values(&world);
    assert_eq!(found.len(), acknowledged.len());
    assert!(found == acknowledged, "the values differ from those acknowledged");
    assert!(!world.gateway.log().contains("panicked"));
    world.gateway.kill();
    world.gateway.restart();
    assert!(values(&world) == acknowledged, "the values differ after another start");
}

/// Appends values, each after the one before it was acknowledged; answers why that ended. A value whose fate is unknown
/// counts if the writer's next owner finds it applied.
async fn append_until_refused(
    world: &World,
    writer: &wire::InitWriterResponse,
    acknowledged: &mut Vec<String>,
) -> String {
    for seq in acknowledged.len() as u64 + 1.. {
        if seq <= writer.last_seq {
            acknowledged.push(value(seq));
            continue;
        }
        match world.append(writer.rows(seq, &[value(seq).as_bytes()])).await {
            Ok(answer) => {
                assert_eq!(answer.last_seq, seq);
                acknowledged.push(value(seq));
            }
            Err(status) => return from_status(&status).to_string(),
        }
    }
    unreachable!()
}
