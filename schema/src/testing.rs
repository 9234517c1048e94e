//! Random schemas and batches of all types, for the tests of this crate.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, ListArray, MapArray, PrimitiveArray, RecordBatch,
        StringArray, StructArray,
    },
    buffer::{BooleanBuffer, NullBuffer, OffsetBuffer},
    datatypes::{
        DataType as ArrowType, Date32Type, Decimal128Type, Field as ArrowField, Float32Type, Float64Type, Int8Type,
        Int16Type, Int32Type, Int64Type, Time32MillisecondType, TimeUnit, TimestampMicrosecondType,
        TimestampMillisecondType, TimestampNanosecondType,
    },
};
use proptest::prelude::*;

use crate::{
    limits::TYPE_LENGTH_MAX,
    types::{DataType, Field, Kind, Schema},
};

/// Any type without children.
fn leaf() -> impl Strategy<Value = Kind> {
    let length = prop_oneof![1u32..20, Just(TYPE_LENGTH_MAX)];
    prop_oneof![
        Just(Kind::Boolean),
        Just(Kind::TinyInt),
        Just(Kind::SmallInt),
        Just(Kind::Integer),
        Just(Kind::BigInt),
        Just(Kind::Float),
        Just(Kind::Double),
        Just(Kind::Date),
        (1u8..=38, 0u8..=38).prop_map(|(p, s)| Kind::Decimal { precision: p, scale: s.min(p) }),
        length.clone().prop_map(Kind::Char),
        length.clone().prop_map(Kind::VarChar),
        length.clone().prop_map(Kind::Binary),
        length.prop_map(Kind::VarBinary),
        (0u8..=9).prop_map(Kind::Time),
        (0u8..=9).prop_map(Kind::Timestamp),
        (0u8..=9).prop_map(Kind::TimestampLtz),
    ]
}

fn data_type(kind: impl Strategy<Value = Kind>) -> impl Strategy<Value = DataType> {
    (kind, any::<bool>()).prop_map(|(kind, nullable)| DataType { kind, nullable })
}

fn fields(types: Vec<DataType>) -> Vec<Field> {
    let names = ["a", "B", "with space", "über", "`tick`", "f.g", "日本", "h"];
    types.into_iter().enumerate().map(|(i, t)| Field::new(format!("{}{i}", names[i % names.len()]), t)).collect()
}

/// Any type, nested up to three deep.
fn any_type() -> impl Strategy<Value = DataType> {
    data_type(leaf()).prop_recursive(3, 12, 4, |inner| {
        let map = (inner.clone(), inner.clone())
            .prop_map(|(key, value)| Kind::Map { key: Box::new(DataType::required(key.kind)), value: Box::new(value) });
        let array = inner.clone().prop_map(|item| Kind::Array(Box::new(item)));
        let row = prop::collection::vec(inner, 1..4).prop_map(|types| Kind::Row(fields(types)));
        data_type(prop_oneof![array, map, row])
    })
}

/// Any schema of 1 to 6 columns.
pub(crate) fn any_schema() -> impl Strategy<Value = Schema> {
    prop::collection::vec(any_type(), 1..=6).prop_map(|types| Schema::new(fields(types)).unwrap())
}

/// Any schema whose columns can all be routing columns.
pub(crate) fn any_flat_schema() -> impl Strategy<Value = Schema> {
    prop::collection::vec(data_type(leaf()), 1..=4).prop_map(|types| Schema::new(fields(types)).unwrap())
}

/// A batch with values all over each type's range, from a seed.
pub(crate) fn batch(schema: &Schema, rows: usize, seed: u64) -> RecordBatch {
    let mut random = Random(seed);
    let arrow = schema.to_arrow();
    let columns = schema.fields().iter().zip(arrow.fields());
    let columns = columns.map(|(field, arrow)| column(&field.data_type, arrow, rows, &mut random)).collect();
    RecordBatch::try_new(Arc::clone(&arrow), columns).unwrap()
}

/// SplitMix64: https://prng.di.unimi.it/splitmix64.c
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

fn column(data_type: &DataType, field: &ArrowField, rows: usize, random: &mut Random) -> ArrayRef {
    let all_null = data_type.nullable && random.below(5) == 0;
    let nulls = data_type
        .nullable
        .then(|| NullBuffer::new(BooleanBuffer::collect_bool(rows, |_| !all_null && random.below(4) > 0)));
    match (&data_type.kind, field.data_type()) {
        (Kind::Boolean, _) => {
            Arc::new(BooleanArray::new(BooleanBuffer::collect_bool(rows, |_| random.below(2) == 0), nulls))
        }
        (Kind::TinyInt, _) => primitive::<Int8Type>(rows, nulls, || random.next() as i8),
        (Kind::SmallInt, _) => primitive::<Int16Type>(rows, nulls, || random.next() as i16),
        (Kind::Integer, _) => primitive::<Int32Type>(rows, nulls, || random.next() as i32),
        (Kind::BigInt, _) => primitive::<Int64Type>(rows, nulls, || random.next() as i64),
        (Kind::Float, _) => primitive::<Float32Type>(rows, nulls, || f32::from_bits(bits(random) as u32)),
        (Kind::Double, _) => primitive::<Float64Type>(rows, nulls, || f64::from_bits(bits(random))),
        (Kind::Date, _) => primitive::<Date32Type>(rows, nulls, || random.next() as i32),
        (Kind::Time(_), _) => primitive::<Time32MillisecondType>(rows, nulls, || random.below(86_400_000) as i32),
        (Kind::Timestamp(_) | Kind::TimestampLtz(_), ArrowType::Timestamp(unit, zone)) => {
            timestamps(*unit, zone.clone(), rows, nulls, random)
        }
        (Kind::Decimal { precision, scale }, _) => {
            let limit = 10i128.pow((*precision).into());
            let mut value = || (i128::from(random.next() as i64) << 64 | i128::from(random.next())) % limit;
            let values = (0..rows).map(|_| value()).collect::<Vec<_>>();
            let array = PrimitiveArray::<Decimal128Type>::new(values.into(), nulls);
            Arc::new(array.with_precision_and_scale(*precision, *scale as i8).unwrap())
        }
        (Kind::Char(length) | Kind::VarChar(length), _) => {
            let texts: Vec<String> = (0..rows).map(|_| text(random, *length)).collect();
            let offsets = OffsetBuffer::from_lengths(texts.iter().map(String::len));
            Arc::new(StringArray::new(offsets, texts.concat().into_bytes().into(), nulls))
        }
        (Kind::Binary(length) | Kind::VarBinary(length), _) => {
            let texts: Vec<Vec<u8>> = (0..rows).map(|_| bytes(random, *length)).collect();
            let offsets = OffsetBuffer::from_lengths(texts.iter().map(Vec::len));
            Arc::new(BinaryArray::new(offsets, texts.concat().into(), nulls))
        }
        (Kind::Array(item), ArrowType::List(child)) => {
            let (offsets, total) = lists(rows, random);
            let items = column(item, child, total, random);
            Arc::new(ListArray::new(Arc::clone(child), offsets, items, nulls))
        }
        (Kind::Map { key, value }, ArrowType::Map(entries, _)) => {
            let (offsets, total) = lists(rows, random);
            let ArrowType::Struct(pair) = entries.data_type() else { panic!("entries are a struct") };
            let children = vec![column(key, &pair[0], total, random), column(value, &pair[1], total, random)];
            let pairs = StructArray::new(pair.clone(), children, None);
            Arc::new(MapArray::new(Arc::clone(entries), offsets, pairs, nulls, false))
        }
        (Kind::Row(fields), ArrowType::Struct(children)) => {
            let columns = fields.iter().zip(children);
            let columns = columns.map(|(field, child)| column(&field.data_type, child, rows, random)).collect();
            Arc::new(StructArray::new(children.clone(), columns, nulls))
        }
        (kind, arrow) => panic!("{kind} is not mapped to {arrow}"),
    }
}

fn primitive<T: ArrowPrimitiveType>(
    rows: usize,
    nulls: Option<NullBuffer>,
    mut value: impl FnMut() -> T::Native,
) -> ArrayRef {
    let values: Vec<T::Native> = (0..rows).map(|_| value()).collect();
    Arc::new(PrimitiveArray::<T>::new(values.into(), nulls))
}

fn timestamps(
    unit: TimeUnit,
    zone: Option<Arc<str>>,
    rows: usize,
    nulls: Option<NullBuffer>,
    random: &mut Random,
) -> ArrayRef {
    let values: Vec<i64> = (0..rows).map(|_| random.next() as i64).collect();
    let values = values.into();
    match unit {
        TimeUnit::Millisecond => {
            Arc::new(PrimitiveArray::<TimestampMillisecondType>::new(values, nulls).with_timezone_opt(zone))
        }
        TimeUnit::Microsecond => {
            Arc::new(PrimitiveArray::<TimestampMicrosecondType>::new(values, nulls).with_timezone_opt(zone))
        }
        _ => Arc::new(PrimitiveArray::<TimestampNanosecondType>::new(values, nulls).with_timezone_opt(zone)),
    }
}

fn lists(rows: usize, random: &mut Random) -> (OffsetBuffer<i32>, usize) {
    let lengths: Vec<usize> = (0..rows).map(|_| random.below(4) as usize).collect();
    let total = lengths.iter().sum();
    (OffsetBuffer::from_lengths(lengths), total)
}

/// Bits of a float; NaNs of many kinds and both zeros are frequent. The upper half serves FLOAT as the lower does.
fn bits(random: &mut Random) -> u64 {
    let single = match random.below(6) {
        0 => 0x8000_0000,
        1 => 0x7fc0_0000 | random.below(1 << 22),
        2 => 0xff80_0001 | random.below(1 << 22),
        3 => 0x7f80_0000,
        _ => random.next() & 0xffff_ffff,
    };
    single << 32 | single
}

fn text(random: &mut Random, length: u32) -> String {
    let alphabet = ['a', 'Z', '0', ' ', '\n', '\0', 'ü', 'ß', '日', '本', '🦀', '\u{301}'];
    let length = random.below(u64::from(length.min(12)) + 1);
    // Mostly ASCII, so that both ways of the check are taken.
    let letters = if random.below(3) == 0 { alphabet.len() as u64 } else { 6 };
    (0..length).map(|_| alphabet[random.below(letters) as usize]).collect()
}

fn bytes(random: &mut Random, length: u32) -> Vec<u8> {
    let length = random.below(u64::from(length.min(12)) + 1);
    (0..length).map(|_| random.next() as u8).collect()
}
