//! Parquet files: columns go by name and are cast where no value is lost.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, RecordBatch, new_null_array},
    compute::{CastOptions, cast_with_options},
};
use parquet::{arrow::arrow_reader::ParquetRecordBatchReaderBuilder, file::reader::ChunkReader};
use sluice_schema::types::Schema;

use super::{BATCH_ROWS, Rows, Sink};

/// Columns that Sluice's own files have beside the stream's.
const SYSTEM_PREFIX: char = '_';

pub(super) fn read(file: impl ChunkReader + 'static, schema: &Schema, sink: &mut Sink<'_>) -> Result<(), String> {
    let unreadable = |e: parquet::errors::ParquetError| format!(": it is no readable Parquet file: {e}");
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(unreadable)?;
    let unknown = builder
        .schema()
        .fields()
        .iter()
        .find(|field| schema.index_of(field.name()).is_none() && !field.name().starts_with(SYSTEM_PREFIX));
    if let Some(unknown) = unknown {
        return Err(format!(": the stream has no column `{}`", unknown.name()));
    }
    let mut row = 0;
    for batch in builder.with_batch_size(BATCH_ROWS).build().map_err(unreadable)? {
        let batch = batch.map_err(|e| format!(" from row {row}: {e}"))?;
        let rows = batch.num_rows();
        let batch = conform(&batch, schema).map_err(|e| format!(" rows {row} to {}, {e}", row + rows))?;
        row += rows;
        sink.progress.inc(batch.get_array_memory_size() as u64 / 8);
        if !sink.give(Rows::Batch(batch)) {
            break;
        }
    }
    Ok(())
}

fn conform(batch: &RecordBatch, schema: &Schema) -> Result<RecordBatch, String> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let arrow = schema.to_arrow();
    let column = |field: &Arc<arrow::datatypes::Field>| -> Result<ArrayRef, String> {
        let array = match batch.column_by_name(field.name()) {
            Some(array) if array.data_type() == field.data_type() => array.clone(),
            Some(array) => cast_with_options(array, field.data_type(), &options)
                .map_err(|e| format!("column `{}`: {e}", field.name()))?,
            None => new_null_array(field.data_type(), batch.num_rows()),
        };
        if !field.is_nullable() && array.null_count() > 0 {
            return Err(format!("column `{}`: it is null, but NOT NULL", field.name()));
        }
        Ok(array)
    };
    let columns = arrow.fields().iter().map(column).collect::<Result<_, _>>()?;
    RecordBatch::try_new(arrow, columns).map_err(|e| e.to_string())
}
