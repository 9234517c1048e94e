//! Blocks round-trip for all types, bit for bit; bytes that are cut, flipped or lie are refused, and whatever is not
//! refused decodes. Lies are told by changing a good block, so that each test breaks exactly one rule.

use std::sync::Arc;

use arrow::{
    array::{
        Array as _, ArrayRef, AsArray as _, BinaryArray, Decimal128Array, Float64Array, Int32Array, ListArray,
        RecordBatch, StringArray, StructArray, Time32MillisecondArray,
    },
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{DataType as ArrowType, Field as ArrowField, Float64Type, Schema as ArrowSchema},
    ipc::{MetadataVersion, writer},
};
use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    limits::{EVENT_BYTES_MAX, TYPE_LENGTH_MAX},
    testing::{Random, any_schema, batch},
    types::{DataType, Field, Kind, bytes_schema},
};

fn crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
}

fn check_block(schema: &Schema, block: &Encoded) -> Result<(), BlockError> {
    validate(schema, &block.columns, block.rows, crc(&block.data), &block.data)
}

/// The sentence a block with this data is refused with.
fn refusal(schema: &Schema, block: &Encoded, data: &[u8]) -> String {
    validate(schema, &block.columns, block.rows, crc(data), data).expect_err("was accepted").to_string()
}

fn schema_of(kind: Kind, nullable: bool) -> Schema {
    Schema::new(vec![Field::new("c", DataType { kind, nullable })]).unwrap()
}

fn string_type(limit: u32) -> Schema {
    schema_of(Kind::VarChar(limit), true)
}

/// One column as a block, without any check of its values.
fn unchecked(schema: &Schema, column: ArrayRef) -> Encoded {
    let field = ArrowField::new("c", column.data_type().clone(), true);
    let batch = RecordBatch::try_new(Arc::new(ArrowSchema::new(vec![field])), vec![column]).unwrap();
    write(schema, &batch).unwrap()
}

/// A block of one column with the values changed: `find` occurs once in the body and becomes `put`.
fn patched(block: &Encoded, find: &[u8], put: &[u8]) -> Vec<u8> {
    assert_eq!(find.len(), put.len());
    let mut data = block.data.to_vec();
    let body = frame::parse(&block.data).unwrap().body_start;
    let places: Vec<_> = data[body..].windows(find.len()).enumerate().filter(|(_, w)| *w == find).collect();
    assert_eq!(places.len(), 1, "the bytes to change must occur once");
    let at = body + places[0].0;
    data[at..at + put.len()].copy_from_slice(put);
    data
}

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

proptest! {
    #[test]
    fn all_types_round_trip(schema in any_schema(), rows in 1usize..50, seed: u64) {
        let batch = batch(&schema, rows, seed);
        let block = encode(&schema, &batch).unwrap();
        prop_assert_eq!(check_block(&schema, &block), Ok(()));
        let back = decode(&schema, &block.columns, block.rows, block.data.clone()).unwrap();
        prop_assert_eq!(&back, &batch);
        // Bit for bit: equal rows make equal bytes.
        prop_assert_eq!(encode(&schema, &back).unwrap(), block);
    }

    #[test]
    fn memory_at_any_address_decodes_alike(schema in any_schema(), rows in 1usize..20, seed: u64, shift in 0usize..16) {
        let block = encode(&schema, &batch(&schema, rows, seed)).unwrap();
        let mut shifted = vec![0; shift];
        shifted.extend_from_slice(&block.data);
        let data = Bytes::from(shifted).slice(shift..);
        prop_assert_eq!(validate(&schema, &block.columns, block.rows, crc(&data), &data), Ok(()));
        let there = decode(&schema, &block.columns, block.rows, data).unwrap();
        prop_assert_eq!(there, decode(&schema, &block.columns, block.rows, block.data).unwrap());
    }

    #[test]
    fn slices_hold_their_rows(schema in any_schema(), rows in 1u32..40, seed: u64, from in 0u32..40, length in 1u32..40) {
        let batch = batch(&schema, rows as usize, seed);
        let block = encode(&schema, &batch).unwrap();
        let result = slice(&schema, &block.columns, block.rows, block.data, from..from + length);
        if from >= rows {
            prop_assert!(result.is_err());
        } else {
            let part = result.unwrap();
            let expected = length.min(rows - from);
            prop_assert_eq!(part.rows, expected);
            prop_assert_eq!(check_block(&schema, &part), Ok(()));
            let back = decode(&schema, &part.columns, part.rows, part.data).unwrap();
            prop_assert_eq!(back, batch.slice(from as usize, expected as usize));
        }
    }

    /// Random bytes over a good block: what the check accepts, the decoder accepts; nothing panics.
    #[test]
    fn accepted_means_decodable(schema in any_schema(), rows in 1usize..20, seed: u64, changes in 1usize..4) {
        let block = encode(&schema, &batch(&schema, rows, seed)).unwrap();
        let mut random = Random(seed ^ 0x5a5a);
        for _ in 0..20 {
            let mut data = block.data.to_vec();
            let body = frame::parse(&block.data).unwrap().body_start;
            for _ in 0..changes {
                // Half of them in the metadata, which is short.
                let end = if random.below(2) == 0 { body } else { data.len() };
                let at = random.below(end as u64) as usize;
                data[at] = [0, 1, 0x7f, 0x80, 0xff, random.next() as u8][random.below(6) as usize];
            }
            accepted_decodes(&schema, &block, data)?;
        }
    }
}

fn accepted_decodes(schema: &Schema, block: &Encoded, data: Vec<u8>) -> Result<(), TestCaseError> {
    let accepted = validate(schema, &block.columns, block.rows, crc(&data), &data).is_ok();
    let decoded = decode(schema, &block.columns, block.rows, data.into());
    prop_assert!(!accepted || decoded.is_ok(), "accepted, but: {}", decoded.unwrap_err());
    Ok(())
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
fn nan_payloads_and_negative_zero_survive() {
    let schema = schema_of(Kind::Double, true);
    let bits = [0x8000_0000_0000_0000, 0x7ff8_0000_dead_beef, 0xfff0_0000_0000_0001, f64::INFINITY.to_bits(), 1];
    let column = Float64Array::from_iter_values(bits.iter().map(|bits| f64::from_bits(*bits)));
    let block = unchecked(&schema, Arc::new(column));
    let back = decode(&schema, &[], 5, block.data).unwrap();
    let back = back.column(0).as_primitive::<Float64Type>();
    assert_eq!(back.values().iter().map(|value| value.to_bits()).collect::<Vec<_>>(), bits);
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
        _ => {}
    }
    let buffers = fbb.create_vector(&[ipc::Buffer::new(0, 0), ipc::Buffer::new(offset, length)]);
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

#[test]
fn strings_must_be_utf8_slot_by_slot() {
    let schema = string_type(TYPE_LENGTH_MAX);
    let block = unchecked(&schema, Arc::new(StringArray::from(vec!["ab", "Zürich!"])));
    let invalid = patched(&block, "Zürich!".as_bytes(), b"Z\xc3\x28rich!");
    assert_eq!(refusal(&schema, &block, &invalid), "column `c`: row 1 holds invalid UTF-8");
    // The text as a whole is valid, but a slot ends within the ü.
    let offsets = |middle: u32| [0, middle, 10].map(u32::to_le_bytes).concat();
    let split = patched(&block, &offsets(2), &offsets(4));
    assert_eq!(refusal(&schema, &block, &split), "column `c`: row 1 holds invalid UTF-8");
}

#[test]
fn offsets_must_rise_within_their_data() {
    let schema = schema_of(Kind::VarBinary(TYPE_LENGTH_MAX), true);
    let block = unchecked(&schema, Arc::new(BinaryArray::from_vec(vec![b"ab", b"cde", b"f"])));
    let good = [0i32, 2, 5, 6].map(i32::to_le_bytes).concat();
    for (lie, row) in [
        ([0i32, 2, 1, 6], 1),
        ([0, 2, 5, 7], 2),
        ([-1, 2, 5, 6], 0),
        ([0, 2, 5, i32::MAX], 2),
        ([0, 2, i32::MIN, 6], 1),
        ([0, i32::MAX, i32::MIN, 6], 0),
        ([7, 7, 7, 6], 0),
    ] {
        let data = patched(&block, &good, &lie.map(i32::to_le_bytes).concat());
        let error = refusal(&schema, &block, &data);
        assert_eq!(error, format!("column `c`: the offsets of row {row} fall, are negative or end after 6"));
    }
    // Offsets that end in the middle of one: arrow's decoder would panic.
    let mut data = block.data.to_vec();
    let sixteen_twice = [16i64.to_le_bytes(); 2].concat();
    let at = data.windows(16).position(|window| window == sixteen_twice).expect("their length, then where data starts");
    data[at] = 17;
    assert_eq!(refusal(&schema, &block, &data), "column `c`: its offsets do not fit their buffer of 17 bytes");
    assert!(decode(&schema, &[], 3, data.into()).is_err());
    // Data that no slot covers is no harm.
    let inner = patched(&block, &good, &[1i32, 2, 5, 5].map(i32::to_le_bytes).concat());
    assert_eq!(validate(&schema, &[], 3, crc(&inner), &inner), Ok(()));
    assert_eq!(decode(&schema, &[], 3, inner.into()).unwrap().column(0).as_binary::<i32>().value(0), b"b");
}

#[test]
fn lists_must_stay_within_their_items() {
    let schema = schema_of(Kind::Array(Box::new(DataType::nullable(Kind::Integer))), true);
    let item = Arc::new(ArrowField::new("item", ArrowType::Int32, true));
    let items = Arc::new(Int32Array::from(vec![1, 2, 3]));
    let list = ListArray::new(item, OffsetBuffer::from_lengths([1, 2]), items, None);
    let block = unchecked(&schema, Arc::new(list));
    let good = [0i32, 1, 3].map(i32::to_le_bytes).concat();
    let data = patched(&block, &good, &[0i32, 1, 4].map(i32::to_le_bytes).concat());
    assert_eq!(refusal(&schema, &block, &data), "column `c`: the offsets of row 1 fall, are negative or end after 3");
}

#[test]
fn lengths_are_counted_in_characters() {
    let text = |values: Vec<Option<&str>>| Arc::new(StringArray::from(values));
    let schema = string_type(3);
    assert_eq!(check_block(&schema, &unchecked(&schema, text(vec![Some("🦀🦀🦀"), None, Some("abc")]))), Ok(()));
    let long = unchecked(&schema, text(vec![Some("abc"), Some("üüüü")]));
    let error = check_block(&schema, &long).unwrap_err().to_string();
    assert_eq!(error, "column `c`: row 1 holds 4 characters, at most 3 are allowed");
    let schema = schema_of(Kind::Char(1), true);
    assert!(check_block(&schema, &unchecked(&schema, text(vec![Some("ab")]))).is_err());
    let schema = schema_of(Kind::Binary(2), true);
    let long = unchecked(&schema, Arc::new(BinaryArray::from_vec(vec![b"ab", b"abc"])));
    let error = check_block(&schema, &long).unwrap_err().to_string();
    assert_eq!(error, "column `c`: row 1 holds 3 bytes, at most 2 are allowed");
}

#[test]
fn decimals_and_times_keep_their_range() {
    let schema = schema_of(Kind::Decimal { precision: 3, scale: 1 }, true);
    let decimals =
        |values: Vec<Option<i128>>| Arc::new(Decimal128Array::from(values).with_precision_and_scale(3, 1).unwrap());
    assert_eq!(check_block(&schema, &unchecked(&schema, decimals(vec![Some(999), Some(-999), None]))), Ok(()));
    for bad in [1000, -1000, i128::MIN, i128::MAX] {
        let error = check_block(&schema, &unchecked(&schema, decimals(vec![None, Some(bad)]))).unwrap_err().to_string();
        let why = format!("row 1 holds the unscaled value {bad}, at most 3 digits are allowed");
        assert_eq!(error, format!("column `c`: {why}"));
    }
    let schema = schema_of(Kind::Time(0), true);
    let times = |value: i32| unchecked(&schema, Arc::new(Time32MillisecondArray::from(vec![Some(value), None])));
    assert_eq!(check_block(&schema, &times(86_399_999)), Ok(()));
    for bad in [-1, 86_400_000] {
        let error = check_block(&schema, &times(bad)).unwrap_err().to_string();
        assert_eq!(error, format!("column `c`: row 0 holds {bad} ms, a time of day is 0 to 86399999"));
    }
}

#[test]
fn nulls_must_be_allowed_and_counted() {
    let required = schema_of(Kind::Integer, false);
    let block = unchecked(&required, Arc::new(Int32Array::from(vec![Some(1), None, None])));
    let error = check_block(&required, &block).unwrap_err().to_string();
    assert_eq!(error, "column `c`: it is NOT NULL but holds 2 nulls");

    let optional = schema_of(Kind::Integer, true);
    let column = Int32Array::from(vec![Some(0x0101_0101), None, Some(0x0202_0202)]);
    let block = unchecked(&optional, Arc::new(column));
    let data = patched(&block, &[0b101, 0, 0, 0, 0, 0, 0, 0], &[0b111, 0, 0, 0, 0, 0, 0, 0]);
    let error = refusal(&optional, &block, &data);
    assert_eq!(error, "column `c`: it says 1 nulls but its validity bitmap has 0");
    // Bits after the last row don't count.
    let data = patched(&block, &[0b101, 0, 0, 0, 0, 0, 0, 0], &[0b1111_1101, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(validate(&optional, &[], 3, crc(&data), &data), Ok(()));
}

#[test]
fn a_required_field_may_be_null_only_below_a_null_row() {
    let field = Field::new("x", DataType::required(Kind::Integer));
    let schema = schema_of(Kind::Row(vec![field]), true);
    let rows = |parent: [bool; 2]| {
        // Arrow refuses such a column itself, so the child is made nullable on the way.
        let child = Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef;
        let fields = vec![ArrowField::new("x", ArrowType::Int32, true)].into();
        unchecked(&schema, Arc::new(StructArray::new(fields, vec![child], Some(NullBuffer::from(parent.to_vec())))))
    };
    let masked = rows([true, false]);
    assert_eq!(check_block(&schema, &masked), Ok(()));
    assert!(decode(&schema, &[], 2, masked.data).unwrap().column(0).is_null(1));
    let error = check_block(&schema, &rows([true, true])).unwrap_err().to_string();
    assert_eq!(error, "column `c.x`: it is NOT NULL but holds 1 nulls");
}

#[test]
fn left_out_columns_come_back_as_nulls_of_every_type() {
    proptest!(|(schema in any_schema(), rows in 1usize..30, seed: u64)| {
        // The same columns, all nullable, behind one that is there.
        let mut fields = vec![Field::new("there", DataType::required(Kind::Integer))];
        fields.extend(schema.fields().iter().cloned().map(|mut field| {
            field.data_type.nullable = true;
            field
        }));
        let schema = Schema::new(fields).unwrap();
        let narrow = Schema::new(schema.fields()[..1].to_vec()).unwrap();
        let block = encode(&narrow, &batch(&narrow, rows, seed)).unwrap();
        prop_assert_eq!(validate(&schema, &[0], block.rows, crc(&block.data), &block.data), Ok(()));
        let wide = decode(&schema, &[0], block.rows, block.data.clone()).unwrap();
        prop_assert!(wide.columns()[1..].iter().all(|column| column.null_count() == rows));
        prop_assert_eq!(wide.schema(), schema.to_arrow());
        // And leaving them out is what encode does.
        let again = encode(&schema, &wide).unwrap();
        prop_assert_eq!((again.columns, again.data), (vec![0], block.data));
    });
}

#[test]
fn a_block_of_nothing_but_nulls_keeps_one_column() {
    let schema = string_type(TYPE_LENGTH_MAX);
    let column = Arc::new(StringArray::from(vec![None::<&str>; 4]));
    let block = unchecked(&schema, column);
    assert!(block.columns.is_empty());
    assert_eq!(decode(&schema, &block.columns, 4, block.data).unwrap().column(0).null_count(), 4);
}

#[test]
fn encode_refuses_other_columns_and_bad_values() {
    let schema = string_type(2);
    let batch_of = |name: &str, column: ArrayRef| {
        let field = ArrowField::new(name, column.data_type().clone(), true);
        RecordBatch::try_new(Arc::new(ArrowSchema::new(vec![field])), vec![column]).unwrap()
    };
    let refused = |batch: &RecordBatch| encode(&schema, batch).unwrap_err().to_string();
    let integers: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    assert_eq!(
        refused(&batch_of("c", integers)),
        "rows do not fit the stream's schema: column 1 `c` is Arrow Int32, the stream has Utf8"
    );
    let text = |value: &str| Arc::new(StringArray::from(vec![value])) as ArrayRef;
    assert!(refused(&batch_of("d", text("a"))).contains("column 1 is `d`, the stream has `c` there"));
    assert!(refused(&batch_of("c", text("abc"))).contains("row 0 holds 3 characters"));
    assert!(refused(&batch_of("c", text("abc")).slice(0, 0)).contains("0 rows"));
    assert!(encode(&schema, &batch_of("c", text("ab"))).is_ok());
}

#[test]
fn decode_refuses_values_that_were_never_checked() {
    let schema = string_type(TYPE_LENGTH_MAX);
    let block = unchecked(&schema, Arc::new(StringArray::from(vec!["ab", "Zürich!"])));
    let invalid = patched(&block, "Zürich!".as_bytes(), b"Z\xc3\x28rich!");
    assert!(decode(&schema, &[], 2, invalid.into()).is_err());
}
