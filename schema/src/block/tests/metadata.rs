//! Frames and metadata that are cut, flipped, of another kind, too large, or lie.

use arrow::{
    array::BinaryArray,
    ipc::{MetadataVersion, writer},
};

use super::*;
use crate::{
    limits::{EVENT_BYTES_MAX, TYPE_LENGTH_MAX},
    testing::batch,
    types::bytes_schema,
};

/// A batch as IPC bytes with the options of another writer.
fn with_options(batch: &RecordBatch, options: &writer::IpcWriteOptions) -> Vec<u8> {
    let mut tracker = writer::DictionaryTracker::new(true);
    let (_, message) = writer::IpcDataGenerator::default()
        .encode(batch, &mut tracker, options, &mut writer::CompressionContext::default())
        .unwrap();
    let mut data = Vec::new();
    writer::write_message(&mut data, message, options).unwrap();
    data
}

/// One block with every kind of buffer.
fn rich() -> (Schema, Encoded) {
    let text = || DataType::nullable(Kind::VarChar(TYPE_LENGTH_MAX));
    let map = Kind::Map { key: Box::new(DataType::required(Kind::Integer)), value: Box::new(text()) };
    let row = Kind::Row(vec![Field::new("x", DataType::nullable(Kind::Boolean)), Field::new("y", text())]);
    let schema = Schema::new(vec![
        Field::new("id", DataType::required(Kind::BigInt)),
        Field::new("text", text()),
        Field::new("list", DataType::nullable(Kind::Array(Box::new(text())))),
        Field::new("map", DataType::nullable(map)),
        Field::new("row", DataType::nullable(row)),
    ])
    .unwrap();
    let block = encode(&schema, &batch(&schema, 9, 4)).unwrap();
    assert!(block.columns.is_empty(), "all columns are there");
    (schema, block)
}

#[test]
fn every_cut_is_refused() {
    let (schema, block) = rich();
    for length in 0..block.data.len() {
        refusal(&schema, &block, &block.data[..length]);
    }
    let mut longer = block.data.to_vec();
    longer.extend_from_slice(&[0; 8]);
    assert!(refusal(&schema, &block, &longer).contains("its metadata says the body has"));
}

#[test]
fn every_flipped_bit_of_the_metadata_is_refused_or_harmless() {
    let (schema, block) = rich();
    let body = frame::parse(&block.data).unwrap().body_start;
    let original = decode(&schema, &[], block.rows, block.data.clone()).unwrap();
    let mut refused = 0;
    for bit in 0..body * 8 {
        let mut data = block.data.to_vec();
        data[bit / 8] ^= 1 << (bit % 8);
        match validate(&schema, &[], block.rows, crc(&data), &data) {
            Err(_) => refused += 1,
            Ok(()) => {
                let decoded = decode(&schema, &[], block.rows, data.into()).unwrap();
                assert_eq!(decoded.num_rows(), original.num_rows());
            }
        }
    }
    assert!(refused > body * 4, "only {refused} of {} bits matter", body * 8);
}

#[test]
fn every_flipped_bit_anywhere_is_seen_by_the_checksum() {
    let (schema, block) = rich();
    let good = crc(&block.data);
    for bit in 0..block.data.len() * 8 {
        let mut data = block.data.to_vec();
        data[bit / 8] ^= 1 << (bit % 8);
        let error = validate(&schema, &[], block.rows, good, &data).unwrap_err();
        assert!(matches!(error, BlockError::Checksum { .. }), "{error}");
    }
}

#[test]
fn rows_and_columns_must_agree_with_the_header() {
    let schema = bytes_schema();
    let block = encode(&schema, &batch(&schema, 5, 2)).unwrap();
    let said = |columns: &[u32], rows| {
        validate(&schema, columns, rows, crc(&block.data), &block.data).unwrap_err().to_string()
    };
    assert_eq!(said(&block.columns, 6), "block is malformed: its metadata says 5 rows, its header 6");
    assert_eq!(said(&block.columns, 0), "block is malformed: it has 0 rows, at least 1 is needed");
    assert_eq!(said(&[1, 0], 5), "block is malformed: its columns must ascend, 1 is followed by 0");
    assert_eq!(said(&[1, 1], 5), "block is malformed: its columns must ascend, 1 is followed by 1");
    assert_eq!(said(&[1, 4], 5), "block is malformed: it holds column 4, the schema ends with column 3");
    assert_eq!(said(&[0, 2], 5), "column `value`: it is NOT NULL, but the block leaves it out");
    assert_eq!(said(&[1], 5), "block is malformed: it holds more columns than its header and the schema say");
}

#[test]
fn missing_columns_are_refused() {
    let narrow = string_type(TYPE_LENGTH_MAX);
    let block = encode(&narrow, &batch(&narrow, 3, 7)).unwrap();
    let wide = Schema::new(vec![
        Field::new("c", DataType::nullable(Kind::VarChar(TYPE_LENGTH_MAX))),
        Field::new("d", DataType::nullable(Kind::Integer)),
    ])
    .unwrap();
    assert_eq!(refusal(&wide, &block, &block.data), "column `d`: it is missing in the block");
}

#[test]
fn sizes_over_the_limits_are_refused() {
    let schema = bytes_schema();
    let error = validate(&schema, &[], 1, 0, &vec![0; BLOCK_BYTES_MAX + 1]).unwrap_err().to_string();
    assert_eq!(error, "size of a block in bytes is 8388609, at most 8388608 is allowed");
    let error = validate(&schema, &[], BLOCK_ROWS_MAX + 1, 0, &[]).unwrap_err().to_string();
    assert_eq!(error, "number of rows in a block is 1048577, at most 1048576 is allowed");

    let bytes = schema_of(Kind::VarBinary(TYPE_LENGTH_MAX), false);
    let event = |length: usize| unchecked(&bytes, Arc::new(BinaryArray::from_vec(vec![&vec![7; length]])));
    assert_eq!(check_block(&bytes, &event(EVENT_BYTES_MAX)), Ok(()));
    let error = check_block(&bytes, &event(EVENT_BYTES_MAX + 1)).unwrap_err().to_string();
    assert_eq!(error, "column `c`: a value has 4194305 bytes, an event may have at most 4194304");
}

#[test]
fn other_arrow_messages_are_refused() {
    let schema = string_type(TYPE_LENGTH_MAX);
    let batch = batch(&schema, 3, 11);
    let block = encode(&schema, &batch).unwrap();
    let old = writer::IpcWriteOptions::try_new(8, false, MetadataVersion::V4).unwrap();
    assert!(refusal(&schema, &block, &with_options(&batch, &old)).contains("only V5 is accepted"));

    let options = writer::IpcWriteOptions::default();
    let mut tracker = writer::DictionaryTracker::new(true);
    let generator = writer::IpcDataGenerator::default();
    let message = generator.schema_to_bytes_with_dictionary_tracker(&schema.to_arrow(), &mut tracker, &options);
    let mut data = Vec::new();
    writer::write_message(&mut data, message, &options).unwrap();
    assert!(refusal(&schema, &block, &data).contains("it holds a Schema, not a RecordBatch"));

    let not_arrow = [b"hello, ", &[0u8; 57][..]].concat();
    assert!(refusal(&schema, &block, &not_arrow).contains("does not start with an Arrow message mark"));
    for length in [-1i32, 0, 4, 1 << 20, i32::MAX] {
        let mut data = block.data.to_vec();
        data[4..8].copy_from_slice(&length.to_le_bytes());
        assert!(refusal(&schema, &block, &data).contains("its metadata cannot have"));
    }
}

#[test]
fn compressed_bodies_are_refused_before_anything_is_decoded() {
    let schema = schema_of(Kind::Integer, false);
    let data = hand_made(Lie::Compressed);
    let error = validate(&schema, &[], 2, crc(&data), &data).unwrap_err().to_string();
    assert_eq!(error, "block is malformed: its body is compressed, send it as it is");
}

#[test]
fn lying_metadata_is_refused_without_an_allocation_by_its_word() {
    let schema = schema_of(Kind::Integer, false);
    let good = hand_made(Lie::None);
    assert_eq!(validate(&schema, &[], 2, crc(&good), &good), Ok(()));
    for (lie, why) in [
        (Lie::Buffer(0, i64::MAX), "does not lie in the body"),
        (Lie::Buffer(0, -1), "does not lie in the body"),
        (Lie::Buffer(0, 24), "does not lie in the body"),
        (Lie::Buffer(0, 7), "its values do not fit their buffer of 7 bytes"),
        (Lie::Buffer(i64::MAX, 8), "does not lie in the body"),
        (Lie::Buffer(-8, 8), "does not lie in the body"),
        (Lie::Buffer(4, 4), "which is no multiple of 8"),
        (Lie::Node(i64::MAX, 0), "are impossible"),
        (Lie::Node(-1, 0), "are impossible"),
        (Lie::Node(3, 0), "it has 3 values, 2 are needed"),
        (Lie::Node(2, 3), "2 values with 3 nulls are impossible"),
        (Lie::Node(2, 1), "it says 1 nulls but has no validity bitmap"),
        (Lie::BodyLength(i64::MAX), "its metadata says the body has"),
        (Lie::View, "it holds view columns"),
        (Lie::NoNodes, "its metadata lists no columns"),
    ] {
        let data = hand_made(lie);
        let error = validate(&schema, &[], 2, crc(&data), &data).expect_err("was accepted").to_string();
        assert!(error.contains(why), "{lie:?}: {error}");
        assert!(decode(&schema, &[], 2, data.into()).is_err(), "{lie:?} was decoded");
    }
}

#[test]
fn buffers_that_overlap_are_refused() {
    let schema = schema_of(Kind::Integer, true);
    let data = hand_made(Lie::Overlap);
    let error = validate(&schema, &[], 2, crc(&data), &data).unwrap_err().to_string();
    let why = "a buffer of 8 bytes at 0 does not lie in the body after the one before it";
    assert_eq!(error, format!("column `c`: {why}"));
}

/// What [`hand_made`] gets wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Lie {
    None,
    Compressed,
    /// Offset and length.
    Buffer(i64, i64),
    /// Values and nulls.
    Node(i64, i64),
    BodyLength(i64),
    View,
    NoNodes,
    /// The bitmap lies where the values lie, and says what they happen to say.
    Overlap,
}

/// A block of one INT NOT NULL column with the values 1 and 2, made field by field.
fn hand_made(lie: Lie) -> Vec<u8> {
    use arrow::ipc;
    let mut fbb = flatbuffers::FlatBufferBuilder::new();
    let compression = (lie == Lie::Compressed).then(|| {
        let mut compression = ipc::BodyCompressionBuilder::new(&mut fbb);
        compression.add_codec(ipc::CompressionType::ZSTD);
        compression.finish()
    });
    let (mut offset, mut length, mut node, mut body_length) = (0, 8, (2, 0), 8);
    match lie {
        Lie::Buffer(start, bytes) => (offset, length) = (start, bytes),
        Lie::Node(values, nulls) => node = (values, nulls),
        Lie::BodyLength(lie) => body_length = lie,
        Lie::Overlap => node = (2, 1),
        _ => {}
    }
    let buffers = fbb.create_vector(&[
        ipc::Buffer::new(0, if lie == Lie::Overlap { 8 } else { 0 }),
        ipc::Buffer::new(offset, length),
    ]);
    let nodes = fbb.create_vector(&[ipc::FieldNode::new(node.0, node.1)]);
    let views = (lie == Lie::View).then(|| fbb.create_vector(&[1i64]));
    let mut batch = ipc::RecordBatchBuilder::new(&mut fbb);
    batch.add_length(2);
    if lie != Lie::NoNodes {
        batch.add_nodes(nodes);
    }
    batch.add_buffers(buffers);
    compression.into_iter().for_each(|compression| batch.add_compression(compression));
    views.into_iter().for_each(|views| batch.add_variadicBufferCounts(views));
    let header = batch.finish().as_union_value();
    let mut message = ipc::MessageBuilder::new(&mut fbb);
    message.add_version(MetadataVersion::V5);
    message.add_header_type(ipc::MessageHeader::RecordBatch);
    message.add_bodyLength(body_length);
    message.add_header(header);
    let message = message.finish();
    fbb.finish(message, None);

    let mut metadata = fbb.finished_data().to_vec();
    metadata.resize(metadata.len().next_multiple_of(8), 0);
    let mut data = vec![0xFF; 4];
    data.extend_from_slice(&(metadata.len() as i32).to_le_bytes());
    data.extend_from_slice(&metadata);
    data.extend_from_slice(&[1, 0, 0, 0, 2, 0, 0, 0]);
    data
}

#[test]
fn a_flatbuffer_made_to_cost_time_is_refused() {
    // 200 empty key-value tables: harmless to Arrow, but no RecordBatch of a writer has them.
    use arrow::ipc;
    let mut fbb = flatbuffers::FlatBufferBuilder::new();
    let pairs: Vec<_> = (0..200).map(|_| ipc::KeyValueBuilder::new(&mut fbb).finish()).collect();
    let pairs = fbb.create_vector(&pairs);
    let mut message = ipc::MessageBuilder::new(&mut fbb);
    message.add_custom_metadata(pairs);
    let message = message.finish();
    fbb.finish(message, None);
    let mut data = vec![0xFF; 4];
    let mut metadata = fbb.finished_data().to_vec();
    metadata.resize(metadata.len().next_multiple_of(8), 0);
    data.extend_from_slice(&(metadata.len() as i32).to_le_bytes());
    data.extend_from_slice(&metadata);
    let error = validate(&bytes_schema(), &[], 1, crc(&data), &data).unwrap_err().to_string();
    assert!(error.contains("its metadata is no Arrow message"), "{error}");
}
