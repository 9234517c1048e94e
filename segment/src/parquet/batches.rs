//! Rows of a file, system columns included, batch by batch.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};

use super::columns::OFFSET_COLUMN;
use super::error::ReadError;
use super::reader::{BatchSizes, Inner, damaged};
use super::size::batch_bytes;

/// One read. Row groups are decoded one after the other, each only from the first row wanted.
pub(super) struct RawBatches {
    file: Arc<Inner>,
    mask: ProjectionMask,
    sizes: BatchSizes,
    /// Not yet handed out.
    offsets: Range<u64>,
    group: Option<ParquetRecordBatchReader>,
    /// Parts of a batch that was too large, in order.
    parts: VecDeque<RecordBatch>,
}

impl RawBatches {
    /// `roots`: the top-level columns of the file, `_offset` among them, ascending.
    pub(super) fn new(file: Arc<Inner>, offsets: Range<u64>, roots: Vec<usize>, sizes: BatchSizes) -> Self {
        let mask = ProjectionMask::roots(file.metadata.parquet_schema(), roots);
        Self { file, mask, sizes, offsets, group: None, parts: VecDeque::new() }
    }

    fn next_batch(&mut self) -> Result<Option<(u64, RecordBatch)>, ReadError> {
        while !self.offsets.is_empty() {
            if let Some(part) = self.parts.pop_front() {
                return self.hand_out(part).map(Some);
            }
            let group = match &mut self.group {
                Some(group) => group,
                none => none.insert(open_group(&self.file, &self.mask, self.sizes, &self.offsets)?),
            };
            match group.next() {
                Some(Ok(batch)) => split(batch, self.sizes.bytes_max, &mut self.parts),
                Some(Err(error)) => return Err(self.file.read_error(self.offsets.start, &error)),
                None if self.at_group_start() => self.group = None,
                None => {
                    let why = "a row group ends before its last row".to_owned();
                    return Err(damaged(&self.file.expected, self.offsets.start, why));
                }
            }
        }
        Ok(None)
    }

    fn at_group_start(&self) -> bool {
        self.file.group_offsets.binary_search(&self.offsets.start).is_ok()
    }

    fn hand_out(&mut self, batch: RecordBatch) -> Result<(u64, RecordBatch), ReadError> {
        let (base, rows) = (self.offsets.start, batch.num_rows() as u64);
        let offsets = batch.column_by_name(OFFSET_COLUMN).map(|column| column.as_primitive::<Int64Type>());
        let placed = offsets.is_some_and(|column| {
            column.value(0) as u64 == base && column.value(column.len() - 1) as u64 == base + rows - 1
        });
        if !placed || base + rows > self.offsets.end {
            let why = format!("the {rows} rows from here on carry other offsets");
            return Err(damaged(&self.file.expected, base, why));
        }
        self.offsets.start = base + rows;
        Ok((base, batch))
    }
}

impl Iterator for RawBatches {
    type Item = Result<(u64, RecordBatch), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_batch().transpose();
        if matches!(next, Some(Err(_))) {
            self.offsets.start = self.offsets.end;
        }
        next
    }
}

/// A decoder of the wanted rows of the row group that holds the first of them.
fn open_group(
    file: &Inner,
    mask: &ProjectionMask,
    sizes: BatchSizes,
    wanted: &Range<u64>,
) -> Result<ParquetRecordBatchReader, ReadError> {
    let index = file.group_offsets.partition_point(|first| *first <= wanted.start) - 1;
    let (first, end) = (file.group_offsets[index], file.group_offsets[index + 1].min(wanted.end));
    let (skip, select) = ((wanted.start - first) as usize, (end - wanted.start) as usize);
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file.source.clone(), file.metadata.clone())
        .with_row_groups(vec![index])
        .with_row_selection(RowSelection::from(vec![RowSelector::skip(skip), RowSelector::select(select)]))
        .with_projection(mask.clone())
        .with_batch_size(batch_rows(file, index, mask, sizes));
    builder.build().map_err(|error| file.read_error(wanted.start, &error))
}

/// Rows of a batch such that it stays below `bytes_max` even where the row group's rows are largest on average.
fn batch_rows(file: &Inner, group: usize, mask: &ProjectionMask, sizes: BatchSizes) -> usize {
    let parquet = file.metadata.metadata();
    let rows = parquet.row_group(group).num_rows().max(1);
    let mut row_bytes = 0_i64;
    for (leaf, chunk) in parquet.row_group(group).columns().iter().enumerate() {
        if !mask.leaf_included(leaf) {
            continue;
        }
        let index = parquet.offset_index().and_then(|groups| groups.get(group)).and_then(|leaves| leaves.get(leaf));
        let mut largest = chunk.uncompressed_size() / rows;
        if let Some((pages, bytes)) =
            index.and_then(|index| Some((index.page_locations(), index.unencoded_byte_array_data_bytes()?)))
        {
            let ends = pages.iter().skip(1).map(|page| page.first_row_index).chain([rows]);
            for ((page, end), bytes) in pages.iter().zip(ends).zip(bytes) {
                largest = largest.max(bytes / (end - page.first_row_index).max(1));
            }
        }
        row_bytes = row_bytes.saturating_add(largest.max(1));
    }
    (sizes.bytes_max / row_bytes.max(1) as usize).clamp(1, sizes.rows_max.max(1))
}

/// Halves a batch until each part has at most `bytes_max` or one row.
fn split(batch: RecordBatch, bytes_max: usize, parts: &mut VecDeque<RecordBatch>) {
    let rows = batch.num_rows();
    if rows > 1 && batch_bytes(&batch) > bytes_max {
        split(batch.slice(0, rows / 2), bytes_max, parts);
        split(batch.slice(rows / 2, rows - rows / 2), bytes_max, parts);
    } else if rows > 0 {
        parts.push_back(batch);
    }
}
