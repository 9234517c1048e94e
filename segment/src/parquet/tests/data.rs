//! Random rows of every type.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use sluice_schema::types::{DataType as SluiceType, Field as SluiceField, Kind, Schema};

/// Every type Sluice stores, nullable and not, flat and nested.
pub(super) fn all_types() -> SchemaRef {
    let null = SluiceType::nullable;
    let must = SluiceType::required;
    let row = |fields: Vec<(&str, SluiceType)>| {
        Kind::Row(fields.into_iter().map(|(name, ty)| SluiceField::new(name, ty)).collect())
    };
    let map = |key: Kind, value: SluiceType| Kind::Map { key: Box::new(must(key)), value: Box::new(value) };
    let array = |item: SluiceType| Kind::Array(Box::new(item));
    let string = || Kind::VarChar(i32::MAX as u32);
    let mut kinds = vec![
        Kind::Boolean,
        Kind::TinyInt,
        Kind::SmallInt,
        Kind::Integer,
        Kind::BigInt,
        Kind::Float,
        Kind::Double,
        Kind::Char(5),
        Kind::VarChar(9),
        string(),
        Kind::Binary(4),
        Kind::VarBinary(i32::MAX as u32),
        Kind::Date,
        Kind::Time(0),
        Kind::Time(9),
    ];
    kinds.extend(
        [(1, 0), (5, 5), (9, 2), (18, 3), (19, 0), (38, 10)]
            .map(|(precision, scale)| Kind::Decimal { precision, scale }),
    );
    kinds.extend((0..=9).flat_map(|precision| [Kind::Timestamp(precision), Kind::TimestampLtz(precision)]));
    kinds.extend([
        array(null(Kind::Double)),
        array(must(string())),
        array(null(array(null(Kind::Integer)))),
        map(string(), null(Kind::VarBinary(9))),
        map(Kind::Integer, null(map(string(), must(Kind::Timestamp(9))))),
        row(vec![("a", null(Kind::Float)), ("b.c", must(string()))]),
        row(vec![(
            "deep",
            null(row(vec![(
                "list",
                null(array(null(row(vec![("x", must(Kind::BigInt)), ("y", null(Kind::Char(2)))])))),
            )])),
        )]),
    ]);
    let fields = kinds.into_iter().enumerate().flat_map(|(index, kind)| {
        [SluiceField::new(format!("n{index}"), null(kind.clone())), SluiceField::new(format!("m{index}"), must(kind))]
    });
    Schema::new(fields.collect()).unwrap().to_arrow()
}

/// SplitMix64: the same rows for the same seed.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// Often a bound, else any.
    fn integer(&mut self) -> i64 {
        match self.below(6) {
            0 => 0,
            1 => -1,
            2 => i64::MAX,
            3 => i64::MIN,
            _ => self.next() as i64,
        }
    }

    /// NaNs with payloads and signs, infinities, zeros of both signs, subnormals, any.
    fn double(&mut self) -> f64 {
        let bits = [0x7ff8_0000_0000_0001, 0xfff0_0000_dead_beef, 0x7ff0_0000_0000_0000, 0x8000_0000_0000_0000, 1, 0];
        f64::from_bits(bits.get(self.below(12)).copied().unwrap_or_else(|| self.next()))
    }

    fn float(&mut self) -> f32 {
        let bits = [0x7fc0_0001, 0xff80_beef, 0x7f80_0000, 0x8000_0000, 1, 0];
        f32::from_bits(bits.get(self.below(12)).copied().unwrap_or_else(|| self.next() as u32))
    }

    fn text(&mut self) -> String {
        let letters = ["a", "é", "漢", "🦀", "\0", " "];
        let length = self.below(7);
        (0..length).map(|_| letters[self.below(6)]).collect()
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = [0, 1, 4, 40, 200][self.below(5)];
        (0..length).map(|_| self.next() as u8).collect()
    }
}

pub(super) fn batch(schema: &SchemaRef, rows: usize, random: &mut Random) -> RecordBatch {
    let columns = schema.fields().iter().map(|field| array(field, rows, random)).collect();
    RecordBatch::try_new(schema.clone(), columns).unwrap()
}

fn array(field: &Field, rows: usize, random: &mut Random) -> ArrayRef {
    let nulls = field.is_nullable().then(|| (0..rows).map(|_| random.below(4) > 0).collect::<NullBuffer>());
    match field.data_type() {
        DataType::List(item) => {
            let offsets = offsets(rows, random);
            let items = array(item, offsets.last().copied().unwrap_or(0) as usize, random);
            Arc::new(ListArray::new(item.clone(), offsets, items, nulls))
        }
        DataType::Map(entries, sorted) => {
            let offsets = offsets(rows, random);
            let DataType::Struct(fields) = entries.data_type() else { panic!("a map's entries are a struct") };
            let count = offsets.last().copied().unwrap_or(0) as usize;
            let columns = fields.iter().map(|field| array(field, count, random)).collect();
            Arc::new(MapArray::new(
                entries.clone(),
                offsets,
                StructArray::new(fields.clone(), columns, None),
                nulls,
                *sorted,
            ))
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().map(|field| array(field, rows, random)).collect();
            Arc::new(StructArray::new(fields.clone(), columns, nulls))
        }
        flat => with_nulls(values(flat, rows, random), nulls),
    }
}

/// Empty lists are frequent.
fn offsets(rows: usize, random: &mut Random) -> OffsetBuffer<i32> {
    OffsetBuffer::from_lengths((0..rows).map(|_| random.below(4)))
}

fn with_nulls(array: ArrayRef, nulls: Option<NullBuffer>) -> ArrayRef {
    make_array(array.to_data().into_builder().nulls(nulls).build().unwrap())
}

fn values(data_type: &DataType, rows: usize, random: &mut Random) -> ArrayRef {
    let integers = |random: &mut Random| (0..rows).map(|_| random.integer()).collect::<Vec<_>>();
    match data_type {
        DataType::Boolean => Arc::new((0..rows).map(|_| Some(random.below(2) == 0)).collect::<BooleanArray>()),
        DataType::Int8 => Arc::new(Int8Array::from_iter_values(integers(random).into_iter().map(|value| value as i8))),
        DataType::Int16 => {
            Arc::new(Int16Array::from_iter_values(integers(random).into_iter().map(|value| value as i16)))
        }
        DataType::Int32 => {
            Arc::new(Int32Array::from_iter_values(integers(random).into_iter().map(|value| value as i32)))
        }
        DataType::Int64 => Arc::new(Int64Array::from(integers(random))),
        DataType::Float32 => Arc::new(Float32Array::from_iter_values((0..rows).map(|_| random.float()))),
        DataType::Float64 => Arc::new(Float64Array::from_iter_values((0..rows).map(|_| random.double()))),
        DataType::Date32 => {
            Arc::new(Date32Array::from_iter_values(integers(random).into_iter().map(|value| value as i32)))
        }
        DataType::Time32(TimeUnit::Millisecond) => {
            Arc::new(Time32MillisecondArray::from_iter_values((0..rows).map(|_| random.below(86_400_000) as i32)))
        }
        DataType::Utf8 => Arc::new(StringArray::from_iter_values((0..rows).map(|_| random.text()))),
        DataType::Binary => Arc::new(BinaryArray::from_iter_values((0..rows).map(|_| random.bytes()))),
        DataType::Decimal128(precision, scale) => {
            let bound = 10_i128.pow(u32::from(*precision)) - 1;
            let number = |random: &mut Random| match random.below(4) {
                0 => bound,
                1 => -bound,
                _ => (i128::from(random.next() as i64) << 64 | i128::from(random.next())) % (bound + 1),
            };
            let numbers = Decimal128Array::from_iter_values((0..rows).map(|_| number(random)));
            Arc::new(numbers.with_precision_and_scale(*precision, *scale).unwrap())
        }
        DataType::Timestamp(_, _) => {
            let numbers = Int64Array::from(integers(random)).to_data().into_builder().data_type(data_type.clone());
            make_array(numbers.build().unwrap())
        }
        other => panic!("no rows for {other}"),
    }
}
