//! Values that break their type's rules, one rule at a time.

use arrow::{
    array::{
        AsArray as _, BinaryArray, Decimal128Array, Int32Array, ListArray, StringArray, StructArray,
        Time32MillisecondArray,
    },
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::DataType as ArrowType,
};

use super::*;
use crate::limits::TYPE_LENGTH_MAX;

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
    // What lies below a null does not count.
    let (offsets, nulls) = (OffsetBuffer::from_lengths([3, 4]), NullBuffer::from(vec![true, false]));
    let hidden = StringArray::new(offsets, b"abcdefg".to_vec().into(), Some(nulls));
    assert_eq!(check_block(&schema, &unchecked(&schema, Arc::new(hidden))), Ok(()));
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
    // What lies below a null does not count.
    let nulls = NullBuffer::from(vec![true, false]);
    let hidden = Decimal128Array::new(vec![1, 1000].into(), Some(nulls)).with_precision_and_scale(3, 1).unwrap();
    assert_eq!(check_block(&schema, &unchecked(&schema, Arc::new(hidden))), Ok(()));
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
    for not_below in [[true, true], [false, true]] {
        let error = check_block(&schema, &rows(not_below)).unwrap_err().to_string();
        assert_eq!(error, "column `c.x`: it is NOT NULL but holds 1 nulls");
    }
}

#[test]
fn entries_of_a_map_are_never_null() {
    // An ARRAY of ROWs has the same buffers as a MAP, but its ROWs may be null.
    let required = |name: &str| Field::new(name, DataType::required(Kind::Integer));
    let pair = Kind::Row(vec![required("key"), required("value")]);
    let rows = schema_of(Kind::Array(Box::new(DataType::nullable(pair))), true);
    let integer = || Box::new(DataType::required(Kind::Integer));
    let map = schema_of(Kind::Map { key: integer(), value: integer() }, true);
    let list_of = |valid: [bool; 2]| {
        let item = match rows.to_arrow().field(0).data_type() {
            ArrowType::List(item) => Arc::clone(item),
            other => panic!("{other} is no list"),
        };
        let ArrowType::Struct(fields) = item.data_type().clone() else { panic!("items are structs") };
        let column = || Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef;
        let pairs = StructArray::new(fields, vec![column(), column()], Some(NullBuffer::from(valid.to_vec())));
        unchecked(&rows, Arc::new(ListArray::new(item, OffsetBuffer::from_lengths([2]), Arc::new(pairs), None)))
    };
    assert_eq!(check_block(&map, &list_of([true, true])), Ok(()));
    let error = check_block(&map, &list_of([true, false])).unwrap_err().to_string();
    assert_eq!(error, "column `c`: it is NOT NULL but holds 1 nulls");
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
