//! A store in a real folder with everything in it: snapshots, several log files, extents, a prepared transaction, a Parquet file.

use std::{
    fs,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::array::{ArrayRef, BinaryArray, RecordBatch, new_null_array};
use sluice_proto::storage::v1::{BlockInfo, BlockRef, Extent};
use sluice_schema::{
    block::{Encoded, encode},
    ids::{Offset, SegmentId, SegmentNumber},
    types::bytes_schema,
};
use sluice_txn::{
    ledger::Records as _,
    protocol::{events, transactions},
};

use crate::{
    log::Block,
    store::{
        EmbeddedStore, Options, Wait,
        tests::kit::{self, Place, World},
    },
    tier::{self, Tier},
    verify::{Progress, VerifyError, verify_folder, verify_store},
};

pub(crate) use kit::segment;

pub(crate) struct Filled {
    pub world: World,
    pub tier: Tier,
    /// The published file of segment 0.
    pub parquet: PathBuf,
}

/// A block of `rows` events of the bytes schema, and how it is named.
fn rows(rows: usize) -> (Block, impl FnOnce(&BlockRef) -> BlockInfo) {
    let values = |name: &str| -> ArrayRef {
        Arc::new(BinaryArray::from_iter_values((0..rows).map(|row| format!("{name} {row}"))))
    };
    let schema = bytes_schema();
    let arrow = schema.to_arrow();
    let nulls = |column: usize| new_null_array(arrow.field(column).data_type(), rows);
    let columns = vec![values("key"), values("value"), nulls(2), nulls(3)];
    let batch = RecordBatch::try_new(arrow.clone(), columns).unwrap();
    let Encoded { data, rows, columns } = encode(&schema, &batch).unwrap();
    (Block::new(data), move |at| BlockInfo { columns, ..kit::info(at, rows) })
}

pub(crate) async fn append(store: &EmbeddedStore, number: u32, count: usize) {
    let (block, info) = rows(count);
    let append = store.execute(vec![block], Wait::Durable, move |draft, refs, now| {
        events::append(draft, kit::STREAM, &[], vec![(SegmentNumber::new(number), info(&refs[0]))], now)
    });
    append.await.unwrap();
}

pub(crate) fn extents(store: &EmbeddedStore, number: u32) -> Vec<(u64, Extent)> {
    let found = store.extents(segment(number), Offset::ZERO, Offset::new(u64::MAX), usize::MAX).unwrap();
    found.into_iter().map(|(base, extent)| (base.get(), extent)).collect()
}

pub(crate) fn options() -> Options {
    Options { log_file_bytes: 32 << 10, log_limit_bytes: 8 << 20, snapshot_every_bytes: 4 << 20, ..Options::default() }
}

pub(crate) async fn fill() -> Filled {
    let world = Place::real().found(options()).await;
    for count in 1..8 {
        append(&world.store, 0, count * 20).await;
    }
    let (tier, mut tierer) = Tier::new(world.store.clone(), tier::Options::default());
    tierer.recover().await.unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let running = tokio::spawn(tierer.run(stopped));
    let id: SegmentId = segment(0);
    let end = world.store.segment(id).unwrap().unwrap().next_offset;
    tier.flush(vec![(id, end)]).await.unwrap();
    let _ = stop.send(true);
    running.await.unwrap();
    let (_, row) = world.store.parquet_files(id).unwrap().pop().unwrap();
    let parquet = world.place.folder().join("parquet").join(row.path);

    world.store.snapshot().await.unwrap();
    for count in 1..10 {
        append(&world.store, count % 2, count as usize * 7).await;
    }
    world.store.snapshot().await.unwrap();
    let epoch = world.open_writer(0).await;
    world.begin(kit::txn(1), 0, epoch).await.unwrap();
    let (block, info) = rows(30);
    let chunk = world.store.execute(vec![block], Wait::Durable, move |draft, refs, now| {
        transactions::append(draft, kit::txn(1), 0, segment(1), info(&refs[0]), now)
    });
    chunk.await.unwrap();
    world.prepare(kit::txn(1)).await.unwrap();
    for _ in 0..4 {
        append(&world.store, 1, 200).await;
    }
    Filled { world, tier, parquet }
}

/// The whole result, damage of every report included.
fn collected(work: impl FnOnce(&mut dyn FnMut(Progress) -> bool) -> Result<Progress, VerifyError>) -> Progress {
    let mut damage = Vec::new();
    let mut last = work(&mut |progress| {
        damage.extend(progress.damage);
        true
    })
    .unwrap();
    damage.append(&mut last.damage);
    Progress { damage, ..last }
}

pub(crate) fn verify_all(store: &EmbeddedStore, tier: &Tier) -> Progress {
    collected(|report| verify_store(store, tier, report))
}

pub(crate) fn verify_all_of(folder: &Path) -> Progress {
    collected(|report| verify_folder(folder, report))
}

/// Flips one bit of a file in place.
pub(crate) fn flip(file: &Path, at: u64, bit: u8) {
    let mut file = fs::OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut byte).unwrap();
    byte[0] ^= 1 << bit;
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&byte).unwrap();
}
