//! The columns of a file: the stream's, then the system columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// The event's offset in its segment. Int64, not null.
pub const OFFSET_COLUMN: &str = "_offset";
/// The segment's number. Int32, not null.
pub const SEGMENT_COLUMN: &str = "_segment";
/// The commit that made the event visible. Int64, not null.
pub const COMMIT_SEQ_COLUMN: &str = "_commit_seq";
/// The time of that commit. Timestamp(ms, UTC), not null.
pub const COMMIT_TIME_COLUMN: &str = "_commit_time";
/// The system columns, in the order in which they follow the stream's.
pub const SYSTEM_COLUMNS: [&str; 4] = [OFFSET_COLUMN, SEGMENT_COLUMN, COMMIT_SEQ_COLUMN, COMMIT_TIME_COLUMN];

/// The keys of the footer's key-values. Values are decimal numbers unless told otherwise.
pub mod metadata {
    /// `scope/stream`.
    pub const STREAM: &str = "sluice.stream";
    /// The segment's number.
    pub const SEGMENT: &str = "sluice.segment";
    /// Offset of the first row.
    pub const FIRST_OFFSET: &str = "sluice.first_offset";
    /// First offset after the last row.
    pub const END_OFFSET: &str = "sluice.end_offset";
    /// Commit of the first row, the least of the file.
    pub const FIRST_COMMIT_SEQ: &str = "sluice.first_commit_seq";
    /// Commit of the last row, the greatest of the file.
    pub const LAST_COMMIT_SEQ: &str = "sluice.last_commit_seq";
    /// Id of the stream's schema.
    pub const SCHEMA_ID: &str = "sluice.schema_id";
    /// `crc32c:16384:` followed by eight hexadecimal digits for each 16 KiB from the file's start to the end of the last row group
    /// (the last one may be shorter).
    pub const CHECKSUMS: &str = "sluice.checksums";
}

/// The schema of a file: the stream's columns, then the system columns. Metadata of schema and fields is kept.
pub fn file_schema(stream: &Schema) -> SchemaRef {
    let utc_ms = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let mut fields: Vec<Arc<Field>> = stream.fields().iter().cloned().collect();
    for (name, data_type) in SYSTEM_COLUMNS.into_iter().zip([DataType::Int64, DataType::Int32, DataType::Int64, utc_ms])
    {
        fields.push(Arc::new(Field::new(name, data_type, false)));
    }
    Arc::new(Schema::new_with_metadata(fields, stream.metadata().clone()))
}

/// The system columns of `rows` events of one commit. The caller has checked that every offset, and the commit, fit an i64.
pub(super) fn system_arrays(
    first_offset: i64,
    rows: usize,
    segment: i32,
    commit_seq: i64,
    commit_ms: i64,
) -> [ArrayRef; 4] {
    let offsets = Int64Array::from_iter_values((first_offset..).take(rows));
    let segments = Int32Array::from_value(segment, rows);
    let commits = Int64Array::from_value(commit_seq, rows);
    let times = TimestampMillisecondArray::from_value(commit_ms, rows).with_timezone("UTC");
    [Arc::new(offsets), Arc::new(segments), Arc::new(commits), Arc::new(times)]
}

/// How two schemas differ in names, types or nullability, in words; none if they are alike. Metadata is not compared.
pub(super) fn difference(expected: &Schema, found: &Schema) -> Option<String> {
    let (wanted, got) = (expected.fields(), found.fields());
    if wanted.len() != got.len() {
        return Some(format!("{} columns where {} are expected", got.len(), wanted.len()));
    }
    for (index, (want, have)) in wanted.iter().zip(got).enumerate() {
        if want.name() != have.name() {
            return Some(format!("column {index} is {:?} where {:?} is expected", have.name(), want.name()));
        }
        if !want.data_type().equals_datatype(have.data_type()) || want.is_nullable() != have.is_nullable() {
            return Some(format!("column {:?} is {} where {} is expected", have.name(), words(have), words(want)));
        }
    }
    None
}

fn words(field: &Field) -> String {
    format!("{}{}", field.data_type(), if field.is_nullable() { "" } else { " not null" })
}
