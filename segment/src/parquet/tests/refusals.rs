//! What a writer and a reader refuse, and that a refusal changes nothing.

use std::io::Write;

use arrow::array::{ArrayRef, Int64Array};

use super::*;

fn numbers(rows: i64) -> RecordBatch {
    let number: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    RecordBatch::try_from_iter([("number", number)]).unwrap()
}

fn writer(info: FileInfo) -> SegmentFileWriter<Vec<u8>> {
    SegmentFileWriter::new(Vec::new(), numbers(0).schema(), info, &WriterOptions::default()).unwrap()
}

#[test]
fn a_writer_takes_only_what_follows() {
    let mut writer = writer(info());
    let other = RecordBatch::try_from_iter([("other", numbers(1).column(0).clone())]).unwrap();
    let two =
        RecordBatch::try_from_iter([("number", numbers(1).column(0).clone()), ("more", numbers(1).column(0).clone())])
            .unwrap();
    writer.write(&numbers(5), FIRST, 11, 5000).unwrap();
    let refusals = [
        (numbers(1), FIRST, 11, 5000, "rows start at offset 1000 where offset 1005 is next"),
        (numbers(1), FIRST + 6, 11, 5000, "rows start at offset 1006 where offset 1005 is next"),
        (numbers(0), FIRST + 5, 11, 5000, "a batch without rows at offset 1005"),
        (numbers(1), FIRST + 5, 10, 5000, "commit 10 at 5000 ms comes after commit 11 at 5000 ms"),
        (numbers(1), FIRST + 5, 11, 4999, "commit 11 at 4999 ms comes after commit 11 at 5000 ms"),
        (numbers(1), FIRST + 5, u64::MAX, 5000, "commit 18446744073709551615 exceeds"),
        (numbers(1), FIRST + 5, 11, u64::MAX, "commit time 18446744073709551615 exceeds"),
        (other, FIRST + 5, 11, 5000, "column 0 is \"other\" where \"number\" is expected"),
        (two, FIRST + 5, 11, 5000, "2 columns where 1 are expected"),
    ];
    for (rows, offset, seq, ms, why) in refusals {
        let error = writer.write(&rows, offset, seq, ms).unwrap_err().to_string();
        assert!(error.contains("nyc/flights segment 3") && error.contains(why), "{error}");
    }
    writer.write(&numbers(5), FIRST + 5, 11, 5000).unwrap();
    let (written, content) = writer.finish().unwrap();
    assert_eq!(written.rows, 10);
    verify_file(file(content), expected(&numbers(0).schema(), written)).unwrap();
}

#[test]
fn a_writer_refuses_what_cannot_be_a_file() {
    assert!(writer(info()).finish().unwrap_err().to_string().contains("at least one row"));
    let far = FileInfo { first_offset: i64::MAX as u64 - 1, ..info() };
    let mut far_writer = writer(far.clone());
    assert!(
        far_writer
            .write(&numbers(2), far.first_offset, 1, 1)
            .unwrap_err()
            .to_string()
            .contains("offset 9223372036854775808 exceeds")
    );
    far_writer.write(&numbers(1), far.first_offset, 1, 1).unwrap();
    let beyond = FileInfo { segment: SegmentNumber::new(1 << 31), ..info() };
    let refused = |schema: SchemaRef, info, options| {
        SegmentFileWriter::new(Vec::new(), schema, info, &options).map(|_| ()).unwrap_err().to_string()
    };
    assert!(refused(numbers(0).schema(), beyond, WriterOptions::default()).contains("exceeds 2147483647"));
    let reserved = RecordBatch::try_from_iter([("_segment", numbers(0).column(0).clone())]).unwrap().schema();
    assert!(refused(reserved, info(), WriterOptions::default()).contains("reserved name _segment"));
    let level = WriterOptions { compression: Compression::Zstd(23), ..WriterOptions::default() };
    assert!(refused(numbers(0).schema(), info(), level).contains("zstd level 23 is not one of 1 to 22"));
}

/// Takes so many bytes, then is full.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_told_as_such_wherever_it_strikes() {
    let write_to = |room: usize| -> Result<WrittenFile, WriteError> {
        let options = WriterOptions { row_group_bytes: 10_000, ..tiny() };
        let mut writer = SegmentFileWriter::new(Full(room), numbers(0).schema(), info(), &options)?;
        for commit in 0..20 {
            writer.write(&numbers(1000), FIRST + 1000 * commit, commit, commit)?;
        }
        writer.finish().map(|(written, _)| written)
    };
    let bytes = write_to(usize::MAX).unwrap().bytes as usize;
    assert_eq!(write_to(bytes).unwrap().bytes as usize, bytes);
    for room in (0..bytes).step_by(bytes / 40).chain([bytes - 1]) {
        let error = write_to(room).unwrap_err();
        assert!(
            matches!(&error, WriteError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull),
            "{room}: {error}"
        );
    }
}

#[test]
fn a_reader_refuses_what_the_file_does_not_hold() {
    let (written, content) = write(&numbers(0).schema(), &[numbers(10)], &tiny());
    let reader = verify_file(file(content), expected(&numbers(0).schema(), written)).unwrap();
    let sizes = BatchSizes::default();
    for (from, to) in
        [(FIRST - 1, FIRST + 1), (FIRST, FIRST + 11), (FIRST + 11, FIRST + 11), (FIRST + 5, FIRST + 4), (0, u64::MAX)]
    {
        let error = reader.read(from..to, None, sizes).map(|_| ()).unwrap_err();
        assert!(matches!(&error, ReadError::OutOfRange { .. }) && error.to_string().contains("1000..1010"), "{error}");
    }
    for columns in [&[1][..], &[0, 0]] {
        assert!(matches!(reader.read(FIRST..FIRST + 1, Some(columns), sizes), Err(ReadError::OutOfRange { .. })));
    }
    // Sizes of nothing still make progress, row by row.
    let sizes = BatchSizes { rows_max: 0, bytes_max: 0 };
    assert_eq!(
        reader
            .read(FIRST..FIRST + 10, Some(&[]), sizes)
            .unwrap()
            .map(|part| part.unwrap().rows.num_rows())
            .collect::<Vec<_>>(),
        [1; 10]
    );
}
