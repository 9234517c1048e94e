//! Routing keys of whole Arrow batches.

use arrow::{
    array::{Array, ArrowPrimitiveType, AsArray as _, BooleanArray, GenericByteArray, RecordBatch, UInt32Array},
    compute::take_record_batch,
    datatypes::{
        BinaryType, ByteArrayType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
        Int32Type, Int64Type, Time32MillisecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
        TimestampNanosecondType, ToByteSlice, Utf8Type,
    },
};

use super::{KeyRange, NULL, VALUE, routing_hash};
use crate::types::SchemaError;

/// The hash of every row's canonical routing key; `columns` are the routing columns in the key's order.
///
/// With no columns every row has the hash of no bytes: such batches go whole to one segment of the writer's choice.
pub fn hashes(batch: &RecordBatch, columns: &[usize]) -> Result<Vec<u64>, SchemaError> {
    let mut hashes = Vec::with_capacity(batch.num_rows());
    each_canonical(batch, columns, |canonical| hashes.push(routing_hash(canonical)))?;
    Ok(hashes)
}

/// The index in `ranges` of the range that owns each row. `ranges` must be ascending and cover the whole space.
pub fn route(batch: &RecordBatch, columns: &[usize], ranges: &[KeyRange]) -> Result<Vec<u32>, SchemaError> {
    let covered = ranges.first().is_some_and(|range| range.first() == 0)
        && ranges.last().is_some_and(|range| range.end() == 0)
        && ranges.windows(2).all(|pair| pair[0].end() == pair[1].first());
    if !covered {
        return Err(SchemaError::RoutingKey("the segments' key ranges do not cover the key space once".into()));
    }
    Ok(hashes(batch, columns)?.into_iter().map(|hash| owner(ranges, hash)).collect())
}

/// The index of the range that owns a hash, among ranges that ascend from 0.
fn owner(ranges: &[KeyRange], hash: u64) -> u32 {
    ranges.partition_point(|range| range.first() <= hash) as u32 - 1
}

/// The rows of each range, in their order: (index in `ranges`, rows), ascending, ranges without rows left out.
///
/// A batch whose rows all go to one range is passed through without a copy.
pub fn split(
    batch: &RecordBatch,
    columns: &[usize],
    ranges: &[KeyRange],
) -> Result<Vec<(u32, RecordBatch)>, SchemaError> {
    let owners = route(batch, columns, ranges)?;
    let Some(first) = owners.first() else { return Ok(Vec::new()) };
    if owners.iter().all(|owner| owner == first) {
        return Ok(vec![(*first, batch.clone())]);
    }
    let mut rows_of = vec![Vec::new(); ranges.len()];
    for (row, owner) in owners.iter().enumerate() {
        rows_of[*owner as usize].push(row as u32);
    }
    let mut parts = Vec::new();
    for (range, rows) in rows_of.into_iter().enumerate() {
        if rows.is_empty() {
            continue;
        }
        let part = take_record_batch(batch, &UInt32Array::from(rows));
        let part = part.map_err(|error| SchemaError::Mismatch(format!("rows cannot be split: {error}")))?;
        parts.push((range as u32, part));
    }
    Ok(parts)
}

/// Calls `visit` with the canonical routing key of each row, in order.
pub(super) fn each_canonical(
    batch: &RecordBatch,
    columns: &[usize],
    mut visit: impl FnMut(&[u8]),
) -> Result<(), SchemaError> {
    let columns = columns.iter().map(|index| column_of(batch, *index)).collect::<Result<Vec<_>, _>>()?;
    let mut canonical = Vec::with_capacity(64);
    for row in 0..batch.num_rows() {
        canonical.clear();
        for column in &columns {
            column.write(row, &mut canonical);
        }
        visit(&canonical);
    }
    Ok(())
}

/// A routing column: appends a row's canonical bytes.
trait Column {
    fn write(&self, row: usize, canonical: &mut Vec<u8>);
}

fn column_of(batch: &RecordBatch, index: usize) -> Result<Box<dyn Column + '_>, SchemaError> {
    let Some(array) = batch.columns().get(index) else {
        let why = format!("column {} is not in the batch, which has {}", index + 1, batch.num_columns());
        return Err(SchemaError::RoutingKey(why));
    };
    Ok(match array.data_type() {
        DataType::Boolean => Box::new(Booleans(array.as_boolean())),
        DataType::Int8 => fixed::<Int8Type>(array),
        DataType::Int16 => fixed::<Int16Type>(array),
        DataType::Int32 => fixed::<Int32Type>(array),
        DataType::Int64 => fixed::<Int64Type>(array),
        DataType::Float32 => fixed::<Float32Type>(array),
        DataType::Float64 => fixed::<Float64Type>(array),
        DataType::Decimal128(_, _) => fixed::<Decimal128Type>(array),
        DataType::Date32 => fixed::<Date32Type>(array),
        DataType::Time32(TimeUnit::Millisecond) => fixed::<Time32MillisecondType>(array),
        DataType::Timestamp(TimeUnit::Millisecond, _) => fixed::<TimestampMillisecondType>(array),
        DataType::Timestamp(TimeUnit::Microsecond, _) => fixed::<TimestampMicrosecondType>(array),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => fixed::<TimestampNanosecondType>(array),
        DataType::Utf8 => Box::new(Variable(array.as_bytes::<Utf8Type>())),
        DataType::Binary => Box::new(Variable(array.as_bytes::<BinaryType>())),
        other => {
            let why = format!("column {} is {other}, whose values cannot choose a segment", index + 1);
            return Err(SchemaError::RoutingKey(why));
        }
    })
}

struct Booleans<'a>(&'a BooleanArray);

impl Column for Booleans<'_> {
    fn write(&self, row: usize, canonical: &mut Vec<u8>) {
        if self.0.is_null(row) {
            return canonical.push(NULL);
        }
        canonical.extend_from_slice(&[VALUE, self.0.value(row).into()]);
    }
}

/// Values of a fixed width, as they lie in memory.
struct Fixed<'a, T: ArrowPrimitiveType>(&'a arrow::array::PrimitiveArray<T>);

fn fixed<T: ArrowPrimitiveType>(array: &dyn Array) -> Box<dyn Column + '_> {
    Box::new(Fixed(array.as_primitive::<T>()))
}

impl<T: ArrowPrimitiveType> Column for Fixed<'_, T> {
    fn write(&self, row: usize, canonical: &mut Vec<u8>) {
        if self.0.is_null(row) {
            return canonical.push(NULL);
        }
        canonical.push(VALUE);
        let value = self.0.value(row);
        let start = canonical.len();
        canonical.extend_from_slice(value.to_byte_slice());
        if cfg!(target_endian = "big") {
            canonical[start..].reverse();
        }
    }
}

struct Variable<'a, T: ByteArrayType<Offset = i32>>(&'a GenericByteArray<T>);

impl<T: ByteArrayType<Offset = i32>> Column for Variable<'_, T> {
    fn write(&self, row: usize, canonical: &mut Vec<u8>) {
        if self.0.is_null(row) {
            return canonical.push(NULL);
        }
        let value: &[u8] = self.0.value(row).as_ref();
        canonical.push(VALUE);
        // Arrow's offsets are 32 bits, so are its lengths.
        canonical.extend_from_slice(&(value.len() as u32).to_le_bytes());
        canonical.extend_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    //! Rows go where their hash belongs, in their order, none is lost; what cannot be routed is refused.
    use super::*;
    use crate::{
        keys::segment_of,
        testing::{any_flat_schema, batch},
        types::bytes_schema,
    };
    use arrow::compute::concat_batches;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn split_keeps_every_row_once_and_in_order(
            schema in any_flat_schema(), rows in 0usize..60, seed: u64, n in 1u32..9, from in 0usize..20,
        ) {
            let batch = batch(&schema, rows, seed);
            // A slice: hashes must not see what lies before it.
            let batch = batch.slice(from.min(rows), rows - from.min(rows));
            let columns: Vec<usize> = (0..schema.fields().len()).collect();
            let ranges = KeyRange::split_evenly(n);
            let owners = route(&batch, &columns, &ranges).unwrap();
            let hashes = hashes(&batch, &columns).unwrap();
            let even: Vec<u32> = hashes.iter().map(|hash| segment_of(*hash, n)).collect();
            prop_assert_eq!(&owners, &even);
            for (row, hash) in hashes.iter().enumerate() {
                prop_assert_eq!(super::hashes(&batch.slice(row, 1), &columns).unwrap(), [*hash]);
            }

            let parts = split(&batch, &columns, &ranges).unwrap();
            for (owner, part) in &parts {
                let rows: Vec<_> = owners.iter().enumerate().filter(|(_, o)| *o == owner).map(|(i, _)| i).collect();
                let expected: Vec<_> = rows.iter().map(|row| batch.slice(*row, 1)).collect();
                prop_assert_eq!(part, &concat_batches(&batch.schema(), &expected).unwrap());
            }
            prop_assert_eq!(parts.iter().map(|(_, part)| part.num_rows()).sum::<usize>(), batch.num_rows());
        }
    }

    #[test]
    fn a_range_owns_its_first_and_its_last_hash() {
        for n in [1, 2, 3, 7, 1024] {
            let ranges = KeyRange::split_evenly(n);
            for (i, range) in ranges.iter().enumerate() {
                assert_eq!((owner(&ranges, range.first()), owner(&ranges, range.last())), (i as u32, i as u32));
            }
        }
    }

    #[test]
    fn what_cannot_be_routed_is_refused() {
        let batch = batch(&bytes_schema(), 3, 1);
        let refused = |columns: &[usize], ranges: &[KeyRange]| route(&batch, columns, ranges).unwrap_err().to_string();
        assert!(refused(&[3], &[KeyRange::FULL]).contains("whose values cannot choose a segment"));
        assert!(refused(&[9], &[KeyRange::FULL]).contains("column 10 is not in the batch"));
        let gap = [KeyRange::new(0, 5).unwrap(), KeyRange::new(6, 0).unwrap()];
        for ranges in [&[][..], &gap[..], &gap[..1], &gap[1..]] {
            assert!(refused(&[0], ranges).contains("do not cover the key space"));
        }
    }
}
