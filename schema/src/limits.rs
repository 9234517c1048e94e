//! Every limit of Sluice's vocabulary, in one place.
//!
//! `_bytes` are bytes, `_MAX` is inclusive: the value itself is still allowed.

/// Bytes of a scope's, stream's, sink's, writer's or reader group's name.
pub const NAME_BYTES_MAX: usize = 128;

/// Fields of one schema, nested ones counted (the item of an ARRAY is one, key and value of a MAP are two).
pub const SCHEMA_FIELDS_MAX: usize = 1024;

/// Nesting of a schema: a top-level column of a plain type is 1 deep.
pub const SCHEMA_DEPTH_MAX: usize = 16;

/// Bytes of one column's name.
pub const FIELD_NAME_BYTES_MAX: usize = 1024;

/// Greatest length of CHAR, VARCHAR, BINARY and VARBINARY; as VARCHAR it is STRING, as VARBINARY it is BYTES.
pub const TYPE_LENGTH_MAX: u32 = 2_147_483_647;

/// Greatest precision of DECIMAL.
pub const DECIMAL_PRECISION_MAX: u8 = 38;

/// Greatest precision of TIME, TIMESTAMP and TIMESTAMP_LTZ: nanoseconds.
pub const TIME_PRECISION_MAX: u8 = 9;

/// Segments of one stream.
pub const SEGMENTS_MAX: u32 = 1024;

/// Bytes of one block's `data`.
pub const BLOCK_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of the flatbuffer that heads a block. The greatest schema needs about 64 KiB.
pub const BLOCK_METADATA_BYTES_MAX: usize = 256 * 1024;

/// Rows of one block. Bounds what is allocated for the columns a block leaves out.
pub const BLOCK_ROWS_MAX: u32 = 1 << 20;

/// Size of a block that writers aim at; between 256 KiB and 1 MiB the whole path is quickest.
pub const BLOCK_BYTES_TARGET: usize = 512 * 1024;

/// Bytes of one event.
pub const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Rows of one append of small rows.
pub const ROWS_PER_APPEND_MAX: usize = 8192;

/// Bytes of one append of small rows.
pub const ROWS_PER_APPEND_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of one gRPC message.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Labels of one stream.
pub const LABELS_MAX: usize = 64;

/// Bytes of one label: name and value together.
pub const LABEL_BYTES_MAX: usize = 4096;
