//! Between what a writer says of a file and its ledger row.

use sluice_proto::storage::v1::ParquetFile;

use crate::parquet::WrittenFile;
use crate::parquet::paths::FilePath;

/// The ledger's row of a written file, under its published name.
pub(super) fn to_record(path: &FilePath, written: &WrittenFile) -> ParquetFile {
    ParquetFile {
        end: written.end_offset,
        path: path.to_string(),
        bytes: written.bytes,
        crc32c: written.crc32c,
        first_commit_seq: written.first_commit_seq,
        last_commit_seq: written.last_commit_seq,
        first_commit_ms: written.first_commit_ms,
        last_commit_ms: written.last_commit_ms,
        schema_id: written.schema_id,
        footer_bytes: written.footer_bytes,
        footer_crc32c: written.footer_crc32c,
    }
}

/// The other way; `first` is part of the row's key.
pub(crate) fn from_record(first: u64, row: &ParquetFile) -> WrittenFile {
    WrittenFile {
        rows: row.end.saturating_sub(first),
        bytes: row.bytes,
        first_offset: first,
        end_offset: row.end,
        first_commit_seq: row.first_commit_seq,
        last_commit_seq: row.last_commit_seq,
        first_commit_ms: row.first_commit_ms,
        last_commit_ms: row.last_commit_ms,
        schema_id: row.schema_id,
        crc32c: row.crc32c,
        footer_bytes: row.footer_bytes,
        footer_crc32c: row.footer_crc32c,
    }
}
