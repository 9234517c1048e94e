//! Bytes that the rows of a batch take in memory.

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;

/// Bytes of values, offsets and validity of exactly the rows of `batch`: unlike Arrow's own figures, buffers shared with other slices count
/// only as far as these rows use them.
pub(super) fn batch_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(array_bytes).sum()
}

fn array_bytes(array: &ArrayRef) -> usize {
    let rows = array.len();
    let validity = if array.nulls().is_some() { rows.div_ceil(8) } else { 0 };
    validity
        + match array.data_type() {
            DataType::Boolean => rows.div_ceil(8),
            DataType::Utf8 => offset_bytes(array.as_string::<i32>().value_offsets()),
            DataType::Binary => offset_bytes(array.as_binary::<i32>().value_offsets()),
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                4 * rows + child_bytes(list.values(), list.value_offsets())
            }
            DataType::Map(_, _) => {
                let map = array.as_map();
                let entries = map.entries();
                4 * rows
                    + entries.columns().iter().map(|column| child_bytes(column, map.value_offsets())).sum::<usize>()
            }
            DataType::Struct(_) => array.as_struct().columns().iter().map(array_bytes).sum(),
            other => match other.primitive_width() {
                Some(width) => width * rows,
                None => array.get_array_memory_size(),
            },
        }
}

fn offset_bytes<O: OffsetSizeTrait>(offsets: &[O]) -> usize {
    size_of_val(offsets) + used(offsets).len()
}

fn child_bytes<O: OffsetSizeTrait>(values: &ArrayRef, offsets: &[O]) -> usize {
    let range = used(offsets);
    array_bytes(&values.slice(range.start, range.len()))
}

fn used<O: OffsetSizeTrait>(offsets: &[O]) -> std::ops::Range<usize> {
    match (offsets.first(), offsets.last()) {
        (Some(first), Some(last)) => first.as_usize()..last.as_usize(),
        _ => 0..0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{BinaryArray, Int64Array, ListArray};
    use arrow::datatypes::Int32Type;
    use std::sync::Arc;

    #[test]
    fn a_slice_counts_only_its_rows() {
        let payload: ArrayRef = Arc::new(BinaryArray::from_iter_values((0..100_usize).map(|row| vec![7_u8; row])));
        let number: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
        let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(
            (0..100).map(|row| Some((0..row % 3).map(Some).collect::<Vec<_>>())),
        ));
        let batch = RecordBatch::try_from_iter([("p", payload), ("n", number), ("l", list)]).unwrap();
        let (first, rest) = (batch_bytes(&batch.slice(0, 40)), batch_bytes(&batch.slice(40, 60)));
        let p = (0..40).sum::<usize>() + 41 * 4;
        let l = 40_usize.div_ceil(8) + 40 * 4 + (0..40).map(|row| row % 3).sum::<usize>() * 4;
        // The list's items may carry a validity bitmap; the lists carry one.
        let items_validity = (0..40).map(|row| row % 3).sum::<usize>().div_ceil(8);
        assert!((p + 320 + l..=p + 320 + l + items_validity).contains(&first) || first + 5 == p + 320 + l, "{first}");
        assert!(first + rest <= batch_bytes(&batch) + 32);
        assert!(rest > first);
    }
}
