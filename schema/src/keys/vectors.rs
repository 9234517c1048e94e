//! The file `vectors/routing-key.json` holds what this code computes; the Java shim checks the same file.
//!
//! After a change of the *file's* content on purpose: `cargo test -p sluice-schema write_vectors -- --ignored`.
//! The canonical bytes and hashes of vectors that exist must never change.

use std::{fmt::Write as _, fs, path::PathBuf, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
        Int16Array, Int32Array, Int64Array, RecordBatch, StringArray, Time32MillisecondArray,
        TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    },
    datatypes::{DataType as ArrowType, Schema as ArrowSchema, TimeUnit},
};
use serde_json::{Value, json};

use super::{batch::each_canonical, hash_bytes_key, hashes, routing_hash, segment_of};
use crate::types::{DataType, Field, Kind, Schema};

const ABOUT: &str = "Routing-key vectors of Sluice. Each vector is one row: its routing columns in order with type and \
    value, the canonical bytes (hex), their XXH3-64 hash with seed 0 (hex, most significant digit first) and the \
    segment among n even ones. Values: null; BOOLEAN true/false; integers, DATE (days), TIME (ms), timestamps (ms for \
    precision 0..3, us for 4..6, ns for 7..9) and DECIMAL (unscaled) as decimal text; FLOAT and DOUBLE as IEEE bits in \
    hex, most significant digit first; CHAR, VARCHAR and STRING as text; BINARY, VARBINARY and BYTES in hex.";

const SEGMENTS: [u32; 6] = [1, 2, 3, 4, 7, 1024];

/// One routing column of one row.
struct Cell {
    kind: Kind,
    value: Value,
    array: ArrayRef,
}

fn cell(kind: Kind, value: Option<impl Into<Value>>, array: impl arrow::array::Array + 'static) -> Cell {
    Cell { kind, value: value.map_or(Value::Null, Into::into), array: Arc::new(array) }
}

fn boolean(v: Option<bool>) -> Cell {
    cell(Kind::Boolean, v, BooleanArray::from(vec![v]))
}
fn tinyint(v: Option<i8>) -> Cell {
    cell(Kind::TinyInt, v.map(|v| v.to_string()), Int8Array::from(vec![v]))
}
fn smallint(v: Option<i16>) -> Cell {
    cell(Kind::SmallInt, v.map(|v| v.to_string()), Int16Array::from(vec![v]))
}
fn int(v: Option<i32>) -> Cell {
    cell(Kind::Integer, v.map(|v| v.to_string()), Int32Array::from(vec![v]))
}
fn bigint(v: Option<i64>) -> Cell {
    cell(Kind::BigInt, v.map(|v| v.to_string()), Int64Array::from(vec![v]))
}
fn float(bits: Option<u32>) -> Cell {
    let array = Float32Array::from(vec![bits.map(f32::from_bits)]);
    cell(Kind::Float, bits.map(|bits| format!("{bits:08x}")), array)
}
fn double(bits: Option<u64>) -> Cell {
    let array = Float64Array::from(vec![bits.map(f64::from_bits)]);
    cell(Kind::Double, bits.map(|bits| format!("{bits:016x}")), array)
}
fn decimal(precision: u8, scale: u8, v: Option<i128>) -> Cell {
    let array = Decimal128Array::from(vec![v]).with_precision_and_scale(precision, scale as i8).unwrap();
    cell(Kind::Decimal { precision, scale }, v.map(|v| v.to_string()), array)
}
fn text(kind: Kind, v: Option<&str>) -> Cell {
    cell(kind, v, StringArray::from(vec![v]))
}
fn string(v: Option<&str>) -> Cell {
    text(Kind::VarChar(2_147_483_647), v)
}
fn binary(kind: Kind, v: Option<&[u8]>) -> Cell {
    cell(kind, v.map(hex), BinaryArray::from(vec![v]))
}
fn bytes(v: Option<&[u8]>) -> Cell {
    binary(Kind::VarBinary(2_147_483_647), v)
}
fn date(v: Option<i32>) -> Cell {
    cell(Kind::Date, v.map(|v| v.to_string()), Date32Array::from(vec![v]))
}
fn time(v: Option<i32>) -> Cell {
    cell(Kind::Time(0), v.map(|v| v.to_string()), Time32MillisecondArray::from(vec![v]))
}

fn timestamp(kind: Kind, v: Option<i64>) -> Cell {
    let value = v.map(|v| v.to_string());
    let schema = Schema::new(vec![Field::new("c", DataType::nullable(kind.clone()))]).unwrap();
    match schema.to_arrow().field(0).data_type() {
        ArrowType::Timestamp(TimeUnit::Millisecond, zone) => {
            cell(kind, value, TimestampMillisecondArray::from(vec![v]).with_timezone_opt(zone.clone()))
        }
        ArrowType::Timestamp(TimeUnit::Microsecond, zone) => {
            cell(kind, value, TimestampMicrosecondArray::from(vec![v]).with_timezone_opt(zone.clone()))
        }
        ArrowType::Timestamp(_, zone) => {
            cell(kind, value, TimestampNanosecondArray::from(vec![v]).with_timezone_opt(zone.clone()))
        }
        other => panic!("{other} is no timestamp"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn rows() -> Vec<Vec<Cell>> {
    let long = "Sluice/ü🦀 ".repeat(10_240 / 14 + 1);
    let ten = i128::pow(10, 37);
    let single = [
        vec![boolean(None), boolean(Some(false)), boolean(Some(true))],
        vec![tinyint(None), tinyint(Some(0)), tinyint(Some(-1)), tinyint(Some(i8::MIN)), tinyint(Some(i8::MAX))],
        vec![smallint(None), smallint(Some(258)), smallint(Some(-2)), smallint(Some(i16::MIN))],
        vec![int(None), int(Some(0)), int(Some(1)), int(Some(-1)), int(Some(i32::MIN)), int(Some(i32::MAX))],
        vec![bigint(None), bigint(Some(0)), bigint(Some(42)), bigint(Some(-42)), bigint(Some(i64::MIN))],
        vec![bigint(Some(i64::MAX)), bigint(Some(0x0102_0304_0506_0708))],
        vec![float(None), float(Some(0)), float(Some(0x8000_0000)), float(Some(0x3fc0_0000))],
        vec![float(Some(0x7fc0_0000)), float(Some(0xffc0_1234)), float(Some(0x7f80_0000)), float(Some(1))],
        vec![double(None), double(Some(0)), double(Some(1 << 63)), double(Some((-1.5f64).to_bits()))],
        vec![double(Some(0x7ff8_0000_0000_0000)), double(Some(0xfff8_0000_0000_beef))],
        vec![decimal(10, 2, None), decimal(10, 2, Some(0)), decimal(10, 2, Some(12_345)), decimal(10, 2, Some(-1))],
        vec![decimal(38, 0, Some(ten * 9 + 7)), decimal(38, 10, Some(-ten * 9)), decimal(1, 1, Some(9))],
        vec![string(None), string(Some("")), string(Some("a")), string(Some("AA")), string(Some("UA"))],
        vec![string(Some("Zürich")), string(Some("日本語")), string(Some("🦀")), string(Some("e\u{301}"))],
        vec![string(Some("nul\0inside")), string(Some(&long[..10_240])), string(Some(&"x".repeat(251)))],
        vec![string(Some(&"x".repeat(252))), string(Some(&"x".repeat(240))), string(Some(&"x".repeat(241)))],
        vec![text(Kind::Char(3), Some("ab ")), text(Kind::VarChar(5), Some("abcde")), text(Kind::Char(2), None)],
        vec![bytes(None), bytes(Some(b"")), bytes(Some(b"key")), bytes(Some(&[0, 0xff, 0x80, 0x7f]))],
        vec![binary(Kind::Binary(2), Some(&[1, 2])), binary(Kind::VarBinary(4), Some(&[0xde, 0xad, 0xbe, 0xef]))],
        vec![date(None), date(Some(0)), date(Some(-1)), date(Some(19_723))],
        vec![time(None), time(Some(0)), time(Some(86_399_999))],
        vec![timestamp(Kind::Timestamp(3), None), timestamp(Kind::Timestamp(0), Some(1_000))],
        vec![timestamp(Kind::Timestamp(3), Some(-1)), timestamp(Kind::Timestamp(6), Some(1_385_856_000_000_001))],
        vec![timestamp(Kind::Timestamp(9), Some(1_385_856_000_000_000_001)), timestamp(Kind::TimestampLtz(3), Some(1))],
        vec![timestamp(Kind::TimestampLtz(6), Some(i64::MIN)), timestamp(Kind::TimestampLtz(9), Some(i64::MAX))],
    ];
    let many = [
        vec![string(Some("UA")), int(Some(1545))],
        vec![int(Some(1545)), string(Some("UA"))],
        vec![string(None), int(None)],
        vec![string(Some("")), int(None)],
        vec![string(Some("ab")), string(Some("c"))],
        vec![string(Some("a")), string(Some("bc"))],
        vec![boolean(Some(true)), date(Some(1)), double(Some(0)), bytes(Some(b"\0"))],
    ];
    single.into_iter().flatten().map(|cell| vec![cell]).chain(many).collect()
}

fn batch(row: &[Cell]) -> RecordBatch {
    let fields = row
        .iter()
        .enumerate()
        .map(|(i, cell)| arrow::datatypes::Field::new(format!("c{i}"), cell.array.data_type().clone(), true));
    let schema = ArrowSchema::new(fields.collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), row.iter().map(|cell| Arc::clone(&cell.array)).collect()).unwrap()
}

fn vector(row: &[Cell]) -> Value {
    let mut canonical = Vec::new();
    let columns: Vec<usize> = (0..row.len()).collect();
    each_canonical(&batch(row), &columns, |bytes| canonical.extend_from_slice(bytes)).unwrap();
    let hash = routing_hash(&canonical);
    let columns: Vec<Value> = row.iter().map(|c| json!({"type": c.kind.to_string(), "value": c.value})).collect();
    let segments: serde_json::Map<_, _> =
        SEGMENTS.iter().map(|n| (n.to_string(), json!(segment_of(hash, *n)))).collect();
    json!({"columns": columns, "canonical": hex(&canonical), "hash": format!("{hash:016x}"), "segments": segments})
}

/// One vector per line, so that a difference is one line of a diff.
fn file_content() -> String {
    let vectors: Vec<String> = rows().iter().map(|row| vector(row).to_string()).collect();
    format!("{{\"about\":{},\n\"vectors\":[\n{}\n]}}\n", json!(ABOUT), vectors.join(",\n"))
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/routing-key.json")
}

#[test]
#[ignore = "writes the file; run it by name after a change on purpose"]
fn write_vectors() {
    fs::write(path(), file_content()).unwrap();
}

#[test]
fn the_file_holds_what_this_code_computes() {
    // Compared as JSON: the order of an object's keys depends on how serde_json was built.
    let stored: Value = serde_json::from_str(&fs::read_to_string(path()).unwrap()).unwrap();
    let stored = stored["vectors"].as_array().unwrap();
    let computed: Vec<Value> = rows().iter().map(|row| vector(row)).collect();
    for (stored, computed) in stored.iter().zip(&computed) {
        assert_eq!(stored, computed);
    }
    assert_eq!(stored.len(), computed.len());
    assert!(rows().len() >= 60, "only {} vectors", rows().len());
}

#[test]
fn hashes_are_xxh3_with_seed_0() {
    // From the reference implementation: XXH3_64bits of nothing, and of 0 alone.
    assert_eq!(routing_hash(b""), 0x2d06_8005_38d3_94c2);
    assert_eq!(routing_hash(&[0]), 0xc44b_dff4_074e_ecdb);
}

#[test]
fn canonical_bytes_written_by_hand() {
    let canonical = |cell: Cell| vector(&[cell])["canonical"].as_str().unwrap().to_string();
    assert_eq!(canonical(int(None)), "00");
    assert_eq!(canonical(boolean(Some(true))), "0101");
    assert_eq!(canonical(smallint(Some(258))), "010201");
    assert_eq!(canonical(int(Some(-1))), "01ffffffff");
    assert_eq!(canonical(bigint(Some(0x0102_0304_0506_0708))), "010807060504030201");
    assert_eq!(canonical(float(Some(0x8000_0000))), "0100000080");
    assert_eq!(canonical(decimal(10, 2, Some(-1))), format!("01{}", "ff".repeat(16)));
    assert_eq!(canonical(string(Some("ü"))), "0102000000c3bc");
    assert_eq!(canonical(bytes(Some(b""))), "0100000000");
    assert_eq!(canonical(date(Some(-1))), "01ffffffff");
}

#[test]
fn the_short_way_for_bytes_is_the_same_hash() {
    for key in [None, Some(0), Some(1), Some(250), Some(251), Some(252), Some(10_240)] {
        let key = key.map(|length| vec![7u8; length]);
        let by_batch = hashes(&batch(&[bytes(key.as_deref())]), &[0]).unwrap();
        assert_eq!(by_batch, [hash_bytes_key(key.as_deref())], "{:?} bytes", key.map(|key| key.len()));
    }
}
