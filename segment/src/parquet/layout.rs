//! How the columns of a file are encoded and compressed.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{Encoding, LogicalType, Type as PhysicalType, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::{ColumnDescriptor, ColumnPath};

use super::columns::{SYSTEM_COLUMNS, metadata};
use super::writer::{Compression, FileInfo, WriterOptions};

/// So many bytes of a payload column show whether it compresses.
const SAMPLE_BYTES: usize = 64 << 10;
/// Less says too little.
const SAMPLE_BYTES_MIN: usize = 4 << 10;
/// What gains less than this part of its size is stored as it is.
const GAIN_MIN: usize = 16;

/// What is known before the first rows.
pub(super) fn properties(
    schema: &Schema,
    info: &FileInfo,
    options: &WriterOptions,
) -> Result<WriterPropertiesBuilder, ParquetError> {
    let compression = match options.compression {
        Compression::None => parquet::basic::Compression::UNCOMPRESSED,
        Compression::Lz4 => parquet::basic::Compression::LZ4_RAW,
        Compression::Zstd(level) => {
            let outside = |_| ParquetError::General(format!("zstd level {level} is not one of 1 to 22"));
            parquet::basic::Compression::ZSTD(ZstdLevel::try_new(i32::from(level)).map_err(outside)?)
        }
    };
    let known = [
        (metadata::STREAM, info.stream.to_string()),
        (metadata::SEGMENT, info.segment.get().to_string()),
        (metadata::FIRST_OFFSET, info.first_offset.to_string()),
        (metadata::SCHEMA_ID, info.schema_id.to_string()),
    ];
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("sluice ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(compression)
        .set_data_page_size_limit(options.page_bytes.max(1))
        .set_data_page_row_count_limit(options.page_rows.max(1))
        .set_dictionary_page_size_limit(options.dictionary_bytes)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_statistics_truncate_length(Some(options.statistics_bytes.max(1)))
        .set_column_index_truncate_length(Some(options.statistics_bytes.max(1)))
        .set_key_value_metadata(Some(known.map(|(key, value)| KeyValue::new(key.to_owned(), value)).to_vec()));
    for leaf in ArrowSchemaConverter::new().convert(schema)?.columns() {
        builder = column_properties(builder, leaf, options);
    }
    Ok(builder)
}

/// Text repeats and gets a dictionary; payloads and numbers mostly don't, and pay for the attempt. System columns are ascending or constant.
fn column_properties(
    builder: WriterPropertiesBuilder,
    leaf: &ColumnDescriptor,
    options: &WriterOptions,
) -> WriterPropertiesBuilder {
    let path: ColumnPath = leaf.path().clone();
    if path.parts().len() == 1 && SYSTEM_COLUMNS.contains(&leaf.name()) {
        return builder.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    let text = leaf.logical_type_ref() == Some(&LogicalType::String);
    if leaf.physical_type() == PhysicalType::BYTE_ARRAY && !text {
        return builder.set_column_statistics_enabled(path, EnabledStatistics::None);
    }
    builder.set_column_dictionary_enabled(path, text && options.dictionary_bytes > 0)
}

/// Payloads are often compressed or encrypted already: trying again costs as much as all other work on them, and each reader pays, too.
pub(super) fn without_vain_compression(
    mut properties: WriterPropertiesBuilder,
    rows: &RecordBatch,
) -> Result<WriterPropertiesBuilder, ParquetError> {
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        if *field.data_type() == DataType::Binary && !compresses(column)? {
            let path = ColumnPath::new(vec![field.name().clone()]);
            properties = properties.set_column_compression(path, parquet::basic::Compression::UNCOMPRESSED);
        }
    }
    Ok(properties)
}

/// Of a sample from the middle of a binary column.
fn compresses(column: &dyn Array) -> Result<bool, ParquetError> {
    let values = column.as_binary::<i32>();
    let (first, end) = (values.value_offsets()[0] as usize, values.value_offsets()[values.len()] as usize);
    let length = (end - first).min(SAMPLE_BYTES);
    let from = first + (end - first - length) / 2;
    if length < SAMPLE_BYTES_MIN {
        return Ok(true);
    }
    let sample = &values.value_data()[from..from + length];
    let compressed = zstd::bulk::compress(sample, 1).map_err(|error| ParquetError::External(Box::new(error)))?;
    Ok(compressed.len() + sample.len() / GAIN_MIN <= sample.len())
}
