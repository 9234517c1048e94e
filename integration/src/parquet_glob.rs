//! What a batch engine sees that reads `<data>/parquet/<scope>/<stream>/*/*.parquet`, and nothing else: no ledger, no code of the gateway.

use std::{collections::BTreeMap, fs::File, path::Path};

use anyhow::{Context as _, bail};
use parquet::{
    file::reader::{FileReader as _, SerializedFileReader},
    record::RowAccessor as _,
};

/// Rows of a stream's files: segment -> offset -> value of the `value` column (bytes streams).
pub type Rows = BTreeMap<u32, BTreeMap<u64, Vec<u8>>>;

/// Reads every file that matches the glob. An offset that lies in two files, or a file that cannot be read, is an error.
pub fn read(data: &Path, scope: &str, stream: &str) -> anyhow::Result<Rows> {
    let mut rows = Rows::new();
    let folder = data.join("parquet").join(scope).join(stream);
    if !folder.exists() {
        return Ok(rows);
    }
    for segment in std::fs::read_dir(folder)? {
        for file in std::fs::read_dir(segment?.path())? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "parquet") {
                read_file(&path, &mut rows).with_context(|| path.display().to_string())?;
            }
        }
    }
    Ok(rows)
}

fn read_file(path: &Path, rows: &mut Rows) -> anyhow::Result<()> {
    let reader = SerializedFileReader::new(File::open(path)?)?;
    let names: Vec<String> =
        reader.metadata().file_metadata().schema().get_fields().iter().map(|field| field.name().to_string()).collect();
    let column = |name: &str| names.iter().position(|found| found == name).with_context(|| format!("no column {name}"));
    let (value, offset, segment) = (column("value")?, column("_offset")?, column("_segment")?);
    for row in reader.get_row_iter(None)? {
        let row = row?;
        let (segment, offset) = (row.get_int(segment)? as u32, row.get_long(offset)? as u64);
        let value = row.get_bytes(value)?.data().to_vec();
        if rows.entry(segment).or_default().insert(offset, value).is_some() {
            bail!("offset {offset} of segment {segment} is there twice");
        }
    }
    Ok(())
}

/// Whether the offsets of each segment are dense from 0.
pub fn check_dense(rows: &Rows) -> anyhow::Result<()> {
    for (segment, offsets) in rows {
        for (expected, found) in (0u64..).zip(offsets.keys()) {
            if expected != *found {
                bail!("segment {segment}: offset {expected} is missing, the next one is {found}");
            }
        }
    }
    Ok(())
}
