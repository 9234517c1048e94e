//! Blocks that are cut, flipped, compressed, of another schema, over a limit, or lie about what is in them.

use arrow::ipc;
use bytes::Bytes;
use sluice_client::{
    ErrorClass::InvalidArgument,
    ErrorReason::{self, BadBlock, SchemaMismatch, TooLarge},
    error::from_status,
};
use sluice_proto::gateway::v1 as wire;
use sluice_schema::{
    block,
    ids::SchemaId,
    types::{DataType, Field, Kind, Schema},
};

use crate::world::{Appends as _, World, refused, schema};

/// The block with other bytes and the right checksum over them.
fn with_data(good: &wire::Block, data: impl Into<Bytes>) -> wire::Block {
    let data = data.into();
    wire::Block { crc32c: crc32c::crc32c(&data), data, ..good.clone() }
}

/// The block with every place of its bytes that reads `find` changed into `put`.
fn patched(good: &wire::Block, find: &[u8], put: &[u8]) -> wire::Block {
    let mut data = good.data.to_vec();
    let places: Vec<usize> = (0..=data.len() - find.len()).filter(|at| data[*at..].starts_with(find)).collect();
    assert!(!places.is_empty(), "{find:?} occurs");
    for at in places {
        data[at..at + put.len()].copy_from_slice(put);
    }
    with_data(good, data)
}

/// A block whose metadata says that its body is compressed.
fn compressed(good: &wire::Block) -> wire::Block {
    let mut fbb = flatbuffers::FlatBufferBuilder::new();
    let mut compression = ipc::BodyCompressionBuilder::new(&mut fbb);
    compression.add_codec(ipc::CompressionType::ZSTD);
    let compression = compression.finish();
    let nodes = fbb.create_vector(&[ipc::FieldNode::new(1, 0), ipc::FieldNode::new(1, 0)]);
    let buffers = fbb.create_vector(&[ipc::Buffer::new(0, 0); 5]);
    let mut header = ipc::RecordBatchBuilder::new(&mut fbb);
    header.add_length(1);
    header.add_nodes(nodes);
    header.add_buffers(buffers);
    header.add_compression(compression);
    let header = header.finish().as_union_value();
    let mut message = ipc::MessageBuilder::new(&mut fbb);
    message.add_version(ipc::MetadataVersion::V5);
    message.add_header_type(ipc::MessageHeader::RecordBatch);
    message.add_header(header);
    let message = message.finish();
    fbb.finish(message, None);
    let mut metadata = fbb.finished_data().to_vec();
    metadata.resize(metadata.len().next_multiple_of(8), 0);
    let data = [&[0xFF; 4], (metadata.len() as u32).to_le_bytes().as_slice(), &metadata].concat();
    with_data(&wire::Block { rows: 1, ..good.clone() }, data)
}

/// A block of another schema, whose number is `schema_id`.
fn of_another_schema(schema_id: u64) -> wire::Block {
    let text = DataType::required(Kind::VarChar(10));
    let other = Schema::new(vec![Field::new("x", text)]).unwrap();
    let column = arrow::array::StringArray::from(vec!["x", "y"]);
    let batch = arrow::array::RecordBatch::try_new(other.to_arrow(), vec![std::sync::Arc::new(column)]).unwrap();
    block::encode(&other, &batch).unwrap().into_wire(SchemaId::new(schema_id))
}

/// What is wrong, the block, and how it is refused.
fn bad_blocks(world: &World, good: &wire::Block) -> Vec<(String, wire::Block, ErrorReason)> {
    let mut bad = Vec::new();
    let mut add = |what: &str, block, reason| bad.push((what.to_string(), block, reason));
    let length = good.data.len();
    for cut in [0, 3, 4, 8, 9, length / 2, length - 8, length - 1] {
        add(&format!("cut to {cut} bytes"), with_data(good, good.data.slice(..cut)), BadBlock);
    }
    add("eight bytes more", with_data(good, [&good.data[..], &[0; 8]].concat()), BadBlock);
    for at in (0..length).step_by(41) {
        let mut data = good.data.to_vec();
        data[at] ^= 0x10;
        add(&format!("flipped at {at}"), wire::Block { data: data.into(), ..good.clone() }, BadBlock);
    }
    add("wrong checksum", wire::Block { crc32c: !good.crc32c, ..good.clone() }, BadBlock);

    add("0 rows", wire::Block { rows: 0, ..good.clone() }, BadBlock);
    add("a row more than there is", wire::Block { rows: good.rows + 1, ..good.clone() }, BadBlock);
    // The number of rows stands in the message's header and in the node of each column.
    let rows = i64::from(good.rows).to_le_bytes();
    for lie in [0, -1, i64::MAX, 1 << 40] {
        add(&format!("{lie} rows inside"), patched(good, &rows, &lie.to_le_bytes()), BadBlock);
    }
    for lie in [0, -8, i32::MAX, 1 << 30] {
        let data = [&[0xFF; 4], lie.to_le_bytes().as_slice(), &good.data[8..]].concat();
        add(&format!("metadata of {lie} bytes"), with_data(good, data), BadBlock);
    }
    let text_bytes: i64 = (0..good.rows).map(|row| format!("text {row}").len() as i64).sum();
    for lie in [-1, i64::MAX, 1 << 36, text_bytes + 4096] {
        let block = patched(good, &text_bytes.to_le_bytes(), &lie.to_le_bytes());
        add(&format!("text of {lie} bytes"), block, BadBlock);
    }
    add("compressed", compressed(good), BadBlock);
    add("invalid UTF-8", patched(good, b"text 5", b"text \xFF"), BadBlock);

    let columns = |columns: &[u32]| wire::Block { columns: columns.to_vec(), ..good.clone() };
    add("columns out of order", columns(&[1, 0]), BadBlock);
    add("a column that is not there", columns(&[0, 1, 2]), BadBlock);
    add("a column that must be there", columns(&[1]), BadBlock);
    add("columns of another schema", of_another_schema(good.schema_id), BadBlock);
    add("the number of another schema", wire::Block { schema_id: world.log.schema_id, ..good.clone() }, BadBlock);

    add("over 8 MiB", with_data(good, vec![0; (8 << 20) + 8]), TooLarge);
    add("over a million rows", wire::Block { rows: (1 << 20) + 1, ..good.clone() }, TooLarge);
    bad
}

/// Bytes of address space the process ever had: what was allocated by a lie's word would show here even when never touched.
fn peak_address_space(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[tokio::test]
async fn bad_blocks_are_refused_in_appends_and_in_transactions() {
    let world = World::new().await;
    let writer = world.init_writer("typed", "w").await;
    let epoch = world.open_writer("job").await;
    let txn = world.begin("job", epoch, &[]).await;
    // A length that no other number in the block has.
    let good = world.block(211);
    let before = world.state().await;
    let space = peak_address_space(world.gateway.pid());
    for (what, block, reason) in bad_blocks(&world, &good) {
        let error = refused(&what, world.append(writer.block(1, 0, block.clone())).await, InvalidArgument, reason);
        assert_eq!(reason == TooLarge, error.detail().facts.contains_key("limit"), "{what}");
        refused(&what, world.append_chunk(world.chunk(&txn, 0, &block)).await, InvalidArgument, reason);
    }
    let grown = peak_address_space(world.gateway.pid()).saturating_sub(space);
    assert!(
        grown < 4 << 30,
        "the gateway's address space grew by {grown} bytes: something allocates by a block's word"
    );
    world.assert_unchanged(&before).await;
    world.append(writer.block(1, 0, good.clone())).await.expect("the good block is taken");
    world.append_chunk(world.chunk(&txn, 0, &good)).await.expect("in the transaction, too");
}

#[tokio::test]
async fn blocks_of_another_streams_schema_are_refused() {
    let world = World::new().await;
    let writer = world.init_writer("typed", "w").await;
    let epoch = world.open_writer("job").await;
    let txn = world.begin("job", epoch, &[]).await;
    let schema = Some(wire::Schema::from(&schema()));
    let twin = world.create_stream("twin", wire::StreamConfig { schema, ..Default::default() }).await;
    let before = world.state().await;
    // Columns alike, but another schema: its number is not the stream's.
    let block = wire::Block { schema_id: twin.schema_id, ..world.block(2) };
    refused("plain", world.append(writer.block(1, 0, block.clone())).await, InvalidArgument, SchemaMismatch);
    let answer = world.append_chunk(world.chunk(&txn, 0, &block)).await;
    refused("in a transaction", answer, InvalidArgument, SchemaMismatch);
    world.assert_unchanged(&before).await;
}

#[tokio::test]
async fn messages_over_the_limit_are_refused() {
    let world = World::new().await;
    let writer = world.init_writer("typed", "w").await;
    let before = world.state().await;
    let block = with_data(&world.block(1), vec![0; 17 << 20]);
    let error = from_status(&world.append(writer.block(1, 0, block)).await.unwrap_err());
    assert_eq!((error.class(), error.reason()), (InvalidArgument, TooLarge), "{error}");
    world.assert_unchanged(&before).await;
}

/// A flipped bit under a right checksum is refused, or harmless: what was accepted can be read, and published as Parquet.
#[tokio::test]
async fn whatever_the_gateway_accepts_it_can_read_and_publish() {
    let world = World::new().await;
    let writer = world.init_writer("typed", "w").await;
    let good = world.block(9);
    let (mut accepted, mut refusals) = (0, 0);
    for at in 0..good.data.len() {
        let mut data = good.data.to_vec();
        data[at] ^= 1 << (at % 8);
        let first_seq = accepted * 9 + 1;
        match world.append(writer.block(first_seq, 1, with_data(&good, data))).await {
            Ok(_) => accepted += 1,
            answer => {
                refused(&format!("flipped at {at}"), answer, InvalidArgument, BadBlock);
                refusals += 1;
            }
        }
    }
    assert!(accepted > 0 && refusals > 100, "{accepted} accepted, {refusals} refused");
    let info = world.get_stream("typed").await;
    assert_eq!(info.segments[1].next_offset, accepted * 9);
    let in_log = world.state().await;
    let body = wire::FlushStreamRequest { stream: crate::world::stream("typed") };
    let published = world.streams().flush_stream(body).await.unwrap().into_inner();
    assert!(published.files > 0);
    assert_eq!(world.get_stream("typed").await.segments[1].parquet_end, accepted * 9);
    // From Parquet, blocks are encoded anew; the rows are the same.
    assert_eq!(world.state().await.rows(&world.typed), in_log.rows(&world.typed));
    assert!(!world.gateway.log().contains("panicked"));
}
