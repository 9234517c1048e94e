//! Writes one Parquet file of four rows with every type Sluice stores, edges included, and reads it back.
//! `integration/parquet/check_types.py` compares the file with the same values written down in Python, in pyarrow and in DuckDB.
//!
//! Run: `cargo run -p sluice-segment --example parquet_types -- <folder>`

#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Fields};
use sluice_schema::ids::SegmentNumber;
use sluice_schema::names::StreamName;
use sluice_schema::types::{DataType as SluiceType, Field, Kind, Schema};
use sluice_segment::env::{Disk, OpenMode, OsDisk};
use sluice_segment::parquet::paths::FilePath;
use sluice_segment::parquet::{
    BatchSizes, ExpectedFile, FileInfo, FileLabel, SegmentFileWriter, WriterOptions, WrittenFile, verify_file,
};

const FIRST: u64 = 4_000_000_000;
const MAX: u32 = i32::MAX as u32;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: parquet_types <folder>")?;
    let schema = Schema::new(fields())?.to_arrow();
    let DataType::Struct(columns) = DataType::Struct(schema.fields().clone()) else { return Err("unreachable".into()) };
    let rows = RecordBatch::try_new(schema.clone(), columns_of(&columns))?;
    let path = FilePath::published(StreamName::parse("types/all")?, SegmentNumber::new(2), FIRST..FIRST + 4)
        .ok_or("no rows")?;
    let target = path.below(Path::new(&folder));
    std::fs::create_dir_all(target.parent().ok_or("no parent folder")?)?;

    let info = FileInfo { stream: path.stream.clone(), segment: path.segment, first_offset: FIRST, schema_id: 17 };
    let out = std::fs::File::create(&target)?;
    let mut writer = SegmentFileWriter::new(out, schema.clone(), info, &WriterOptions::default())?;
    writer.write(&rows.slice(0, 3), FIRST, 41, 1_700_000_000_123)?;
    writer.write(&rows.slice(3, 1), FIRST + 3, 42, 1_700_000_001_000)?;
    let (written, _) = writer.finish()?;
    read_back(&target, &path, &rows, written)?;
    println!("{}", target.display());
    Ok(())
}

fn read_back(target: &Path, path: &FilePath, rows: &RecordBatch, written: WrittenFile) -> Result<(), Box<dyn Error>> {
    let label = FileLabel { path: target.display().to_string(), stream: path.stream.clone(), segment: path.segment };
    let expected = ExpectedFile { label, stream_schema: rows.schema(), written };
    let reader = verify_file(OsDisk.open(target, OpenMode::Read)?, expected)?;
    let read = reader.read(FIRST..FIRST + 4, None, BatchSizes::default())?.next().ok_or("no rows")??;
    if read.rows != *rows {
        return Err("the rows read back differ".into());
    }
    Ok(())
}

fn fields() -> Vec<Field> {
    let null = SluiceType::nullable;
    let must = SluiceType::required;
    let row = |fields: Vec<(&str, SluiceType)>| {
        Kind::Row(fields.into_iter().map(|(name, kind)| Field::new(name, kind)).collect())
    };
    let array = |item: SluiceType| Kind::Array(Box::new(item));
    let decimal = |precision, scale| Kind::Decimal { precision, scale };
    [
        ("id", must(Kind::BigInt)),
        ("boolean", null(Kind::Boolean)),
        ("tinyint", null(Kind::TinyInt)),
        ("smallint", null(Kind::SmallInt)),
        ("integer", null(Kind::Integer)),
        ("bigint", null(Kind::BigInt)),
        ("float", null(Kind::Float)),
        ("double", null(Kind::Double)),
        ("decimal5_2", null(decimal(5, 2))),
        ("decimal18_3", null(decimal(18, 3))),
        ("decimal38_10", null(decimal(38, 10))),
        ("char3", null(Kind::Char(3))),
        ("varchar9", null(Kind::VarChar(9))),
        ("string", must(Kind::VarChar(MAX))),
        ("binary2", null(Kind::Binary(2))),
        ("bytes", null(Kind::VarBinary(MAX))),
        ("date", null(Kind::Date)),
        ("time", null(Kind::Time(3))),
        ("timestamp0", null(Kind::Timestamp(0))),
        ("timestamp3", null(Kind::Timestamp(3))),
        ("timestamp6", null(Kind::Timestamp(6))),
        ("timestamp9", null(Kind::Timestamp(9))),
        ("timestamp_ltz3", null(Kind::TimestampLtz(3))),
        ("timestamp_ltz6", null(Kind::TimestampLtz(6))),
        ("timestamp_ltz9", null(Kind::TimestampLtz(9))),
        ("array_double", null(array(null(Kind::Double)))),
        ("array_array", null(array(null(array(null(Kind::Integer)))))),
        (
            "map",
            null(Kind::Map { key: Box::new(must(Kind::VarChar(MAX))), value: Box::new(null(Kind::VarBinary(MAX))) }),
        ),
        ("row", null(row(vec![("a", null(Kind::Float)), ("b", must(Kind::VarChar(MAX)))]))),
        ("row_deep", null(row(vec![("items", null(array(null(row(vec![("x", must(Kind::BigInt))])))))]))),
    ]
    .into_iter()
    .map(|(name, data_type)| Field::new(name, data_type))
    .collect()
}

/// Row 0: least values; row 1: greatest values; row 2: null or empty; row 3: ordinary ones.
fn columns_of(fields: &Fields) -> Vec<ArrayRef> {
    let texts = |values: [Option<&str>; 4]| Arc::new(StringArray::from_iter(values)) as ArrayRef;
    let blobs = |values: [Option<&[u8]>; 4]| Arc::new(BinaryArray::from_iter(values)) as ArrayRef;
    let decimals = |precision, scale, values: [Option<i128>; 4]| {
        let array = Decimal128Array::from_iter(values).with_precision_and_scale(precision, scale);
        Arc::new(array.expect("a valid precision")) as ArrayRef
    };
    let (nines5, nines18, nines38) = (99_999, 10_i128.pow(18) - 1, 10_i128.pow(38) - 1);
    let floats = [Some(f32::from_bits(0xffc0_0123)), Some(-0.0), None, Some(1.5)];
    let doubles = [Some(f64::from_bits(0x7ff8_0000_dead_beef)), Some(-0.0), None, Some(1.5)];
    let (ms, us) = ([-62_135_596_800_000, 253_402_300_799_999], [-62_135_596_800_000_000, 253_402_300_799_999_999]);
    let ns = [-9_000_000_000_000_000_001, 9_000_000_000_000_000_007];
    let four = |edges: [i64; 2], usual: i64| [Some(edges[0]), Some(edges[1]), None, Some(usual)];
    let zone = |array: ArrayRef, name: &str| with_type(array, fields.find(name).expect("a column").1.data_type());
    let stamp = |edges, usual, name: &str| zone(Arc::new(Int64Array::from_iter(four(edges, usual))), name);
    vec![
        Arc::new(Int64Array::from_iter_values([0, 1, 2, 3])),
        Arc::new(BooleanArray::from(vec![Some(false), Some(true), None, Some(true)])),
        Arc::new(Int8Array::from_iter([Some(i8::MIN), Some(i8::MAX), None, Some(5)])),
        Arc::new(Int16Array::from_iter([Some(i16::MIN), Some(i16::MAX), None, Some(5)])),
        Arc::new(Int32Array::from_iter([Some(i32::MIN), Some(i32::MAX), None, Some(5)])),
        Arc::new(Int64Array::from_iter([Some(i64::MIN), Some(i64::MAX), None, Some(5)])),
        Arc::new(Float32Array::from_iter(floats)),
        Arc::new(Float64Array::from_iter(doubles)),
        decimals(5, 2, [Some(-nines5), Some(nines5), None, Some(12345)]),
        decimals(18, 3, [Some(-nines18), Some(nines18), None, Some(12345)]),
        decimals(38, 10, [Some(-nines38), Some(nines38), None, Some(12345)]),
        texts([Some("a  "), Some("漢字é"), None, Some("abc")]),
        texts([Some(""), Some("🦀🦀🦀🦀🦀🦀🦀🦀🦀"), None, Some("abc")]),
        texts([Some(""), Some("\u{0}\u{10ffff}"), Some("x"), Some("abc")]),
        blobs([Some(&[0, 0]), Some(&[255, 255]), None, Some(b"ab")]),
        blobs([Some(&[]), Some(&[0, 255, 128]), None, Some(b"abc")]),
        Arc::new(Date32Array::from_iter([Some(-719_162), Some(2_932_896), None, Some(0)])),
        Arc::new(Time32MillisecondArray::from_iter([Some(0), Some(86_399_999), None, Some(3_723_004)])),
        stamp([ms[0], 253_402_300_799_000], 1_000, "timestamp0"),
        stamp(ms, 1_001, "timestamp3"),
        stamp(us, 1_000_001, "timestamp6"),
        stamp(ns, 1_000_000_001, "timestamp9"),
        stamp(ms, 1_001, "timestamp_ltz3"),
        stamp(us, 1_000_001, "timestamp_ltz6"),
        stamp(ns, 1_000_000_001, "timestamp_ltz9"),
        list(fields, "array_double", [2, 0, 0, 1], Arc::new(Float64Array::from_iter([None, Some(-0.0), Some(1.5)]))),
        array_of_arrays(fields),
        map(fields),
        row(fields),
        row_deep(fields),
    ]
}

fn with_type(array: ArrayRef, data_type: &DataType) -> ArrayRef {
    make_array(array.to_data().into_builder().data_type(data_type.clone()).build().expect("the same width"))
}

/// Row 2 is null.
fn nulls() -> Option<NullBuffer> {
    Some(NullBuffer::from(vec![true, true, false, true]))
}

fn list(fields: &Fields, name: &str, lengths: [usize; 4], items: ArrayRef) -> ArrayRef {
    let DataType::List(item) = fields.find(name).expect("a column").1.data_type() else { panic!("{name} is a list") };
    Arc::new(ListArray::new(item.clone(), OffsetBuffer::from_lengths(lengths), items, nulls()))
}

/// [[], [1, null], null] · [] · null · [[3]]
fn array_of_arrays(fields: &Fields) -> ArrayRef {
    let DataType::List(outer) = fields.find("array_array").expect("a column").1.data_type() else { panic!("a list") };
    let DataType::List(inner) = outer.data_type() else { panic!("a list of lists") };
    let numbers = Arc::new(Int32Array::from_iter([Some(1), None, Some(3)]));
    let valid = Some(NullBuffer::from(vec![true, true, false, true]));
    let inner = ListArray::new(inner.clone(), OffsetBuffer::from_lengths([0, 2, 0, 1]), numbers, valid);
    list(fields, "array_array", [3, 0, 0, 1], Arc::new(inner))
}

/// {"k": [0, 255], "": null} · {} · null · {"a": ""}
fn map(fields: &Fields) -> ArrayRef {
    let DataType::Map(entries, _) = fields.find("map").expect("a column").1.data_type() else { panic!("a map") };
    let DataType::Struct(parts) = entries.data_type() else { panic!("entries") };
    let keys = Arc::new(StringArray::from(vec!["k", "", "a"]));
    let values = Arc::new(BinaryArray::from_iter([Some(&[0_u8, 255][..]), None, Some(&[])]));
    let entries_array = StructArray::new(parts.clone(), vec![keys, values], None);
    Arc::new(MapArray::new(entries.clone(), OffsetBuffer::from_lengths([2, 0, 0, 1]), entries_array, nulls(), false))
}

/// (null, "") · (-0.0, "é") · null · (1.5, "abc")
fn row(fields: &Fields) -> ArrayRef {
    let DataType::Struct(parts) = fields.find("row").expect("a column").1.data_type() else { panic!("a row") };
    let a = Arc::new(Float32Array::from_iter([None, Some(-0.0), None, Some(1.5)]));
    let b = Arc::new(StringArray::from(vec!["", "é", "", "abc"]));
    Arc::new(StructArray::new(parts.clone(), vec![a, b], nulls()))
}

/// ([(1), null]) · ([]) · null · (null)
fn row_deep(fields: &Fields) -> ArrayRef {
    let DataType::Struct(parts) = fields.find("row_deep").expect("a column").1.data_type() else { panic!("a row") };
    let DataType::List(item) = parts[0].data_type() else { panic!("a list") };
    let DataType::Struct(inner) = item.data_type() else { panic!("a row") };
    let x = Arc::new(Int64Array::from_iter_values([1, 0]));
    let items = StructArray::new(inner.clone(), vec![x], Some(NullBuffer::from(vec![true, false])));
    let valid = Some(NullBuffer::from(vec![true, true, false, false]));
    let lists = ListArray::new(item.clone(), OffsetBuffer::from_lengths([2, 0, 0, 0]), Arc::new(items), valid);
    Arc::new(StructArray::new(parts.clone(), vec![Arc::new(lists)], nulls()))
}
