//! Power is lost at any moment of a random workload, with commands under way: what was acknowledged is there, what was not is there
//! whole or not at all, and never out of order.

use bytes::Bytes;
use sluice_schema::ids::SegmentNumber;
use sluice_txn::protocol::events;

use super::{
    kit::{Place, STREAM, World, info, small},
    promises::{check, goes_on},
    workload::Workload,
};
use crate::{
    env::{MemDisk, Rng as _, SeededRng},
    log::Block,
    store::{Options, Wait},
};

/// Submits commands and takes the disk's image before they are answered.
async fn crash_in_flight(workload: &mut Workload, world: &World, disk: &MemDisk) -> MemDisk {
    let mut answers = Vec::new();
    for _ in 0..workload.rng.below(6) {
        let number = workload.rng.below(2) as u32;
        let wait = if workload.rng.below(2) == 0 { Wait::Durable } else { Wait::Accepted };
        let (mark, data) = workload.block();
        let submitted = world.store.submit(vec![Block::new(data)], wait, move |draft, refs, now| {
            events::append(draft, STREAM, &[], vec![(SegmentNumber::new(number), info(&refs[0], 2))], now)
        });
        answers.push((number, mark, submitted.await.unwrap()));
    }
    for _ in 0..workload.rng.below(3) {
        tokio::task::yield_now().await;
    }
    let image = disk.crash(workload.rng.next_u64());
    for (number, mark, answer) in answers {
        let base = answer.await.unwrap().unwrap()[0];
        workload.told.plain.insert((number, base), mark);
    }
    // What was only accepted counts from the next sync on.
    world.store.execute(Vec::new(), Wait::Durable, |_, _, _| Ok(())).await.unwrap();
    workload.durable();
    image
}

async fn run(seed: u64, steps: u32) {
    let disk = MemDisk::new();
    let options = Options { sync_bytes: 16 << 10, ..small() };
    let world = Place::Memory(disk.clone()).found(options.clone()).await;
    let mut workload = Workload::new(&world, seed).await;
    for step in 0..steps {
        workload.step(&world).await;
        if step % 5 == 4 {
            // What is accepted from here on may or may not be in the image.
            let told = workload.told.clone();
            let image = crash_in_flight(&mut workload, &world, &disk).await;
            println!("seed {seed}, step {step}");
            let found = Place::Memory(image).open(options.clone());
            assert_eq!(found.recovery.damage, []);
            check(&found, &told, &workload.sent, None).await;
            goes_on(found, &options).await;
        }
    }
    assert!(workload.errors.is_empty(), "seed {seed}: {:?}", workload.errors);
    assert_eq!(*world.fatal.lock().unwrap(), None, "seed {seed}");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_takes_nothing_that_was_acknowledged() {
    for seed in 0..40 {
        run(seed, 60).await;
    }
}

/// A crash during the start after a crash, and so on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_in_a_row_take_nothing_either() {
    for seed in 100..112 {
        let rng = SeededRng::new(seed);
        let mut disk = MemDisk::new();
        let mut acked: Vec<(u64, Bytes)> = Vec::new();
        let world = Place::Memory(disk.clone()).found(small()).await;
        let mut running = vec![world];
        for round in 0..12u64 {
            let world = running.last().unwrap();
            for n in 0..rng.below(5) {
                let data = Bytes::from(vec![(round * 16 + n) as u8; 2000]);
                acked.push((world.append(0, data.clone(), 1).await.unwrap(), data));
            }
            let _ = world.store.snapshot().await.unwrap();
            disk = disk.crash(rng.next_u64());
            let world = Place::Memory(disk.clone()).open(small());
            assert_eq!(world.committed(0).await, acked, "seed {seed}, round {round}");
            running.push(world);
        }
        for world in running {
            world.close().await;
        }
    }
}
