//! What a batch engine sees that reads `<data>/parquet/<scope>/<stream>/*/*.parquet`, and nothing else: no ledger, no code of the gateway.

use std::{
    collections::BTreeMap,
    fs::{File, Metadata},
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context as _, bail};
use parquet::{
    file::reader::{FileReader as _, SerializedFileReader},
    record::RowAccessor as _,
};

use crate::history::{Range, Rows as Run, Value};

/// Rows of a stream's files: segment -> offset -> value of the `value` column (bytes streams).
pub type Rows = BTreeMap<u32, BTreeMap<u64, Vec<u8>>>;

/// Reads every file that matches the glob. An offset that lies in two files, or a file that cannot be read, is an error.
pub fn read(data: &Path, scope: &str, stream: &str) -> anyhow::Result<Rows> {
    let mut rows = Rows::new();
    for path in files(data, scope, stream)? {
        for row in rows_of(&path)? {
            if rows.entry(row.segment).or_default().insert(row.offset, row.value).is_some() {
                bail!("{}: offset {} of segment {} is there twice", path.display(), row.offset, row.segment);
            }
        }
    }
    Ok(rows)
}

/// One row of a file.
struct Row {
    segment: u32,
    offset: u64,
    commit_seq: u64,
    value: Vec<u8>,
}

/// The files that match the glob.
fn files(data: &Path, scope: &str, stream: &str) -> anyhow::Result<Vec<PathBuf>> {
    let folder = data.join("parquet").join(scope).join(stream);
    let mut files = Vec::new();
    if !folder.exists() {
        return Ok(files);
    }
    for segment in std::fs::read_dir(folder)? {
        for file in std::fs::read_dir(segment?.path())? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "parquet") {
                files.push(path);
            }
        }
    }
    Ok(files)
}

fn rows_of(path: &Path) -> anyhow::Result<Vec<Row>> {
    let read = || {
        let reader = SerializedFileReader::new(File::open(path)?)?;
        let fields = reader.metadata().file_metadata().schema().get_fields();
        let names: Vec<String> = fields.iter().map(|field| field.name().to_string()).collect();
        let column =
            |name: &str| names.iter().position(|found| found == name).with_context(|| format!("no column {name}"));
        let (value, offset) = (column("value")?, column("_offset")?);
        let (segment, commit_seq) = (column("_segment")?, column("_commit_seq")?);
        let row = |row: Result<parquet::record::Row, parquet::errors::ParquetError>| {
            let row = row?;
            Ok(Row {
                segment: row.get_int(segment)? as u32,
                offset: row.get_long(offset)? as u64,
                commit_seq: row.get_long(commit_seq)? as u64,
                value: row.get_bytes(value)?.data().to_vec(),
            })
        };
        reader.get_row_iter(None)?.map(row).collect::<anyhow::Result<Vec<_>>>()
    };
    read().with_context(|| path.display().to_string())
}

/// The files of one stream, looked at again and again. A file is read once, and again when it has changed, so that
/// many looks at many files cost what the files cost.
#[derive(Debug, Default)]
pub struct Files {
    read: BTreeMap<PathBuf, (Stamp, Vec<Range>)>,
}

/// Whether a file is still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: SystemTime,
}

impl Stamp {
    fn of(file: &Metadata) -> std::io::Result<Self> {
        Ok(Self { bytes: file.len(), modified: file.modified()? })
    }
}

impl Files {
    /// The offsets of every file that is there now, and the rows of those that were not read before.
    pub fn look(
        &mut self,
        data: &Path,
        scope: &str,
        stream: &str,
        value: impl Fn(&[u8]) -> Value,
    ) -> anyhow::Result<(Vec<Range>, Vec<Run>)> {
        let (mut ranges, mut new) = (Vec::new(), Vec::new());
        for path in files(data, scope, stream)? {
            let stamp = Stamp::of(&std::fs::metadata(&path)?)?;
            if self.read.get(&path).is_none_or(|(known, _)| *known != stamp) {
                let runs = runs(rows_of(&path)?, &value);
                self.read.insert(path.clone(), (stamp, runs.iter().map(Run::range).collect()));
                new.extend(runs);
            }
            ranges.extend(self.read.get(&path).into_iter().flat_map(|(_, ranges)| ranges));
        }
        ranges.sort_unstable();
        Ok((ranges, new))
    }
}

/// Rows as runs of consecutive offsets.
fn runs(rows: Vec<Row>, value: impl Fn(&[u8]) -> Value) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for Row { segment, offset, commit_seq, value: bytes } in rows {
        let row = (value(&bytes), commit_seq);
        match runs.last_mut().filter(|run| run.segment == segment && run.range().end == offset) {
            Some(run) => run.rows.push(row),
            None => runs.push(Run { segment, base_offset: offset, rows: vec![row] }),
        }
    }
    runs
}

/// Whether ranges in ascending order leave no offset of a segment out, from 0 on, and hold none twice.
pub fn check_tiled(ranges: &[Range]) -> anyhow::Result<()> {
    let mut ends: BTreeMap<u32, u64> = BTreeMap::new();
    for range in ranges {
        let end = ends.insert(range.segment, range.end).unwrap_or(0);
        if range.base_offset != end {
            bail!("segment {}: offset {end} comes next, a file begins at {}", range.segment, range.base_offset);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn range(segment: u32, base_offset: u64, end: u64) -> Range {
        Range { segment, base_offset, end }
    }

    #[test]
    fn tiled_ranges_leave_nothing_out_and_hold_nothing_twice() {
        check_tiled(&[]).unwrap();
        check_tiled(&[range(0, 0, 3), range(0, 3, 4), range(1, 0, 9)]).unwrap();
        for broken in
            [[range(0, 1, 3), range(0, 3, 4)], [range(0, 0, 3), range(0, 2, 4)], [range(0, 0, 3), range(0, 4, 5)]]
        {
            check_tiled(&broken).unwrap_err();
        }
    }

    #[test]
    fn rows_are_runs_of_consecutive_offsets() {
        let row = |segment, offset| Row { segment, offset, commit_seq: 7, value: vec![b'x'] };
        let rows = vec![row(0, 4), row(0, 5), row(0, 7), row(1, 8)];
        let found: Vec<_> = runs(rows, Value::foreign).iter().map(Run::range).collect();
        assert_eq!(found, [range(0, 4, 6), range(0, 7, 8), range(1, 8, 9)]);
    }
}
