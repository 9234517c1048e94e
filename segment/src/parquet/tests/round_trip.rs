//! What is written is read, bit by bit, from anywhere, in any projection.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, Float32Array, Float64Array, Int64Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float32Type, Float64Type};
use proptest::prelude::*;

use super::data::{Random, all_types, batch};
use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_type_survives(seed: u64, sizes in proptest::collection::vec(1_usize..150, 1..6), compression in 0..3, from: prop::sample::Index,
                           to: prop::sample::Index, rows_max in 1_usize..200, bytes_max in 1_usize..60_000) {
        let (schema, mut random) = (all_types(), Random(seed));
        let batches: Vec<_> = sizes.iter().map(|rows| batch(&schema, *rows, &mut random)).collect();
        let compression = [Compression::None, Compression::Lz4, Compression::Zstd(3)][compression as usize];
        let (written, content) = write(&schema, &batches, &WriterOptions { compression, ..tiny() });
        let rows = sizes.iter().sum::<usize>();
        prop_assert_eq!((written.rows, written.end_offset, written.bytes), (rows as u64, FIRST + rows as u64, content.len() as u64));
        prop_assert_eq!((written.first_commit_seq, written.last_commit_seq), (11, 10 + sizes.len() as u64));
        prop_assert_eq!((written.first_commit_ms, written.last_commit_ms), (5000, 4990 + 10 * sizes.len() as u64));
        prop_assert_eq!(written.crc32c, crc32c::crc32c(&content));

        let reader = verify_file(file(content), expected(&schema, written)).unwrap();
        let (from, to) = (from.index(rows + 1), to.index(rows + 1));
        let (from, to) = (from.min(to), from.max(to));
        let columns: Vec<_> = (0..schema.fields().len()).filter(|_| random.below(3) == 0).collect();
        for columns in [None, Some(&columns[..])] {
            let wanted = slice(&schema, &batches, from, to);
            let wanted = columns.map_or(wanted.clone(), |columns| wanted.project(columns).unwrap());
            let mut at = FIRST + from as u64;
            let mut parts = Vec::new();
            for part in reader.read(at..FIRST + to as u64, columns, BatchSizes { rows_max, bytes_max }).unwrap() {
                let part = part.unwrap();
                prop_assert_eq!(part.base_offset, at);
                prop_assert!(part.rows.num_rows() <= rows_max);
                at += part.rows.num_rows() as u64;
                let commit = (0..sizes.len()).find(|commit| at <= FIRST + sizes[..=*commit].iter().sum::<usize>() as u64).unwrap() as u64;
                prop_assert_eq!((part.commit_seq, part.commit_ms), (11 + commit, 5000 + 10 * commit));
                parts.push(part.rows);
            }
            prop_assert_eq!(at, FIRST + to as u64);
            let found = concat_batches(&wanted.schema(), &parts).unwrap();
            for (wanted, found) in wanted.columns().iter().zip(found.columns()) {
                prop_assert_eq!(wanted.to_data(), found.to_data());
            }
            prop_assert_eq!(wanted.num_columns(), found.num_columns());
        }
    }
}

#[test]
fn schema_metadata_is_read_back() {
    let schema = all_types();
    let (written, content) = write(&schema, &[batch(&schema, 3, &mut Random(1))], &tiny());
    let reader = verify_file(file(content), expected(&schema, written)).unwrap();
    let read = reader.read(FIRST..FIRST + 3, None, BatchSizes::default()).unwrap().next().unwrap().unwrap();
    assert_eq!(read.rows.schema(), schema);
}

#[test]
fn float_bits_are_kept() {
    let doubles = [0x7ff8_0000_0000_0001_u64, 0xfff8_0000_0000_0002, 0x7ff0_0000_0000_0001, 0x8000_0000_0000_0000, 0];
    let floats = [0x7fc0_0001_u32, 0xffc0_0002, 0x7f80_0001, 0x8000_0000, 0];
    let double: ArrayRef = Arc::new(Float64Array::from_iter_values(doubles.map(f64::from_bits)));
    let float: ArrayRef = Arc::new(Float32Array::from_iter_values(floats.map(f32::from_bits)));
    let rows = RecordBatch::try_from_iter([("d", double), ("f", float)]).unwrap();
    let (written, content) = write(&rows.schema(), std::slice::from_ref(&rows), &tiny());
    let reader = verify_file(file(content), expected(&rows.schema(), written)).unwrap();
    let read = reader.read(FIRST..FIRST + 5, None, BatchSizes::default()).unwrap().next().unwrap().unwrap().rows;
    let bits: Vec<_> =
        read.column(0).as_primitive::<Float64Type>().values().iter().map(|value| value.to_bits()).collect();
    assert_eq!(bits, doubles);
    let bits: Vec<_> =
        read.column(1).as_primitive::<Float32Type>().values().iter().map(|value| value.to_bits()).collect();
    assert_eq!(bits, floats);
}

/// 100,000 rows of a number and an incompressible payload, in commits of 1000.
fn payloads(bytes: usize) -> Vec<RecordBatch> {
    let mut random = Random(5);
    (0..100)
        .map(|commit| {
            let number: ArrayRef = Arc::new(Int64Array::from_iter_values((0..1000).map(|row| commit * 1000 + row)));
            let payload: ArrayRef = Arc::new(BinaryArray::from_iter_values(
                (0..1000).map(|_| (0..bytes).map(|_| random.next() as u8).collect::<Vec<_>>()),
            ));
            RecordBatch::try_from_iter([("number", number), ("payload", payload)]).unwrap()
        })
        .collect()
}

#[test]
fn a_read_in_the_middle_reads_little() {
    let batches = payloads(60);
    let schema = batches[0].schema();
    let options = WriterOptions { row_group_bytes: 4 << 20, page_bytes: 64 << 10, ..WriterOptions::default() };
    let (written, content) = write(&schema, &batches, &options);
    let (bytes, footer) = (written.bytes, written.footer_bytes);
    assert!(bytes > 6_000_000 && footer < bytes / 50, "{bytes} bytes, footer {footer}");
    let counted = Counting::new(content);
    let reader = SegmentFileReader::open(counted.clone(), expected(&schema, written)).unwrap();
    assert_eq!(counted.take(), footer, "opening reads the footer alone");

    let read = |from: u64, to: u64, columns: Option<&[usize]>| {
        let sizes = BatchSizes::default();
        let rows: u64 = reader
            .read(FIRST + from..FIRST + to, columns, sizes)
            .unwrap()
            .map(|part| part.unwrap().rows.num_rows() as u64)
            .sum();
        assert_eq!(rows, to - from);
        counted.take()
    };
    let middle = read(55_555, 55_565, None);
    assert!(middle < bytes / 10, "{middle} of {bytes} bytes for ten rows");
    let last = read(99_999, 100_000, None);
    assert!(last < bytes / 10, "{last} of {bytes} bytes for the last row");
    let numbers = read(0, 100_000, Some(&[0]));
    assert!(numbers < bytes / 4, "{numbers} of {bytes} bytes for one column");
    let all = read(0, 100_000, None);
    assert!(all < bytes * 5 / 2, "{all} of {bytes} bytes for everything");
    assert_eq!(read(7, 7, None), 0);
}

#[test]
fn a_time_is_found_to_the_row() {
    let batches = payloads(60);
    let schema = batches[0].schema();
    // Groups of many commits, which begin and end inside batches.
    let options = WriterOptions { row_group_bytes: 4 << 20, page_bytes: 64 << 10, ..WriterOptions::default() };
    let (written, content) = write(&schema, &batches, &options);
    let bytes = written.bytes;
    let counted = Counting::new(content);
    let reader = SegmentFileReader::open(counted.clone(), expected(&schema, written)).unwrap();
    counted.take();
    // Commit n of 1000 rows came at 5000 + 10 n ms.
    for (time, row) in [(0, 0), (5000, 0), (5001, 1000), (5010, 1000), (5555, 56_000), (5990, 99_000), (5991, 100_000)]
    {
        assert_eq!(reader.offset_at_time(time).unwrap(), FIRST + row, "{time} ms");
    }
    let read = counted.take();
    assert!(read < 7 * bytes / 4, "{read} bytes for seven looks into {bytes}");
}

#[test]
fn batches_stay_below_their_bytes_and_large_rows_come_alone() {
    // Tiny rows with a few huge ones that compress to nothing: averages mislead.
    let row = |row: usize| vec![1_u8; if row % 1000 == 999 { 3 << 20 } else { 3 }];
    let batches: Vec<_> = (0..10)
        .map(|commit| {
            let payload: ArrayRef =
                Arc::new(BinaryArray::from_iter_values((commit * 500..commit * 500 + 500).map(row)));
            RecordBatch::try_from_iter([("payload", payload)]).unwrap()
        })
        .collect();
    let schema = batches[0].schema();
    let (written, content) = write(&schema, &batches, &WriterOptions::default());
    let reader = verify_file(file(content), expected(&schema, written)).unwrap();
    let bytes_max = 1 << 20;
    let (mut rows, mut largest) = (0, 0);
    for part in reader.read(FIRST..FIRST + 5000, None, BatchSizes { rows_max: 4000, bytes_max }).unwrap() {
        let part = part.unwrap().rows;
        let bytes = super::super::size::batch_bytes(&part);
        assert!(part.num_rows() == 1 || bytes <= bytes_max, "{} rows of {bytes} bytes", part.num_rows());
        (rows, largest) = (rows + part.num_rows(), largest.max(bytes));
    }
    assert_eq!(rows, 5000);
    assert!(largest > 3 << 20);
}

#[test]
fn row_groups_end_by_encoded_size_and_by_size_in_memory() {
    let groups = |batches: &[RecordBatch]| {
        let schema = batches[0].schema();
        let options = WriterOptions { row_group_bytes: 1 << 20, ..WriterOptions::default() };
        let (written, content) = write(&schema, batches, &options);
        SegmentFileReader::open(file(content), expected(&schema, written)).unwrap().inner.group_offsets.len() - 1
    };
    // 7 MB that do not compress: 7 or 8 groups of 1 MiB.
    let count = groups(&payloads(60));
    assert!((6..=9).contains(&count), "{count}");
    // 64 MB of zeros compress to almost nothing, but a group never decodes to much more than 8 MiB.
    let zeros: ArrayRef = Arc::new(BinaryArray::from_iter_values((0..2000).map(|_| vec![0_u8; 1000])));
    let zeros = RecordBatch::try_from_iter([("payload", zeros)]).unwrap();
    let count = groups(&vec![zeros; 32]);
    assert!((6..=9).contains(&count), "{count}");
}

/// A payload that does not compress is stored as it is; one that does, and every other column, is compressed.
#[test]
fn payloads_are_compressed_where_it_pays() {
    use parquet::basic::{Compression as Stored, ZstdLevel};
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let mut random = Random(3);
    let mut noise = |bytes: usize| (0..bytes).map(|_| random.below(256) as u8).collect::<Vec<u8>>();
    let field = |name: &str, ty| arrow::datatypes::Field::new(name, ty, true);
    let binary = arrow::datatypes::DataType::Binary;
    let fields = vec![
        field("noise", binary.clone()),
        field("half", binary.clone()),
        field("same", binary.clone()),
        field("little", binary.clone()),
        field("none", binary),
        field("text", arrow::datatypes::DataType::Utf8),
    ];
    let schema = Arc::new(arrow::datatypes::Schema::new(fields));
    let rows = 100;
    let half = |noise: Vec<u8>| [noise, vec![7; 100]].concat();
    let column = |values: Vec<Vec<u8>>| -> ArrayRef { Arc::new(BinaryArray::from_iter_values(values)) };
    let columns: Vec<ArrayRef> = vec![
        column((0..rows).map(|_| noise(200)).collect()),
        column((0..rows).map(|_| half(noise(100))).collect()),
        column(vec![vec![7; 200]; rows]),
        column((0..rows).map(|_| noise(10)).collect()),
        Arc::new(BinaryArray::from(vec![None; rows])),
        Arc::new(arrow::array::StringArray::from(vec!["text"; rows])),
    ];
    let rows = RecordBatch::try_new(schema.clone(), columns).unwrap();
    for (compression, used) in [
        (Compression::Zstd(1), Stored::ZSTD(ZstdLevel::try_new(1).unwrap())),
        (Compression::Lz4, Stored::LZ4_RAW),
        (Compression::None, Stored::UNCOMPRESSED),
    ] {
        let (written, content) = write(&schema, std::slice::from_ref(&rows), &WriterOptions { compression, ..tiny() });
        let reader = SerializedFileReader::new(bytes::Bytes::from(content.clone())).unwrap();
        for column in reader.metadata().row_group(0).columns() {
            let wanted = if column.column_path().string() == "noise" { Stored::UNCOMPRESSED } else { used };
            assert_eq!(column.compression(), wanted, "{}", column.column_path());
        }
        verify_file(file(content), expected(&schema, written)).unwrap();
    }
}
