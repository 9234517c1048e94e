//! No damaged byte is ever served: each flip, cut and lie is an error that names the place.

use super::data::{Random, all_types, batch};
use super::*;

fn read_all(content: Vec<u8>, expected: ExpectedFile) -> Result<usize, ReadError> {
    let offsets = expected.written.first_offset..expected.written.end_offset;
    let reader = SegmentFileReader::open(file(content), expected)?;
    let parts = reader.read(offsets, None, BatchSizes::default())?;
    parts.map(|part| part.map(|part| part.rows.num_rows())).sum()
}

fn assert_damaged<T>(result: Result<T, ReadError>, what: &str) {
    let error = result.err().unwrap_or_else(|| panic!("{what} was not noticed"));
    let ReadError::Damaged { offset, .. } = &error else { panic!("{what}: {error}") };
    assert!((FIRST..FIRST + 200).contains(offset), "{what}: {error}");
    let text = error.to_string();
    assert!(
        text.contains("f.parquet") && text.contains("nyc/flights segment 3") && text.contains("offset 1"),
        "{text}"
    );
}

/// A small file of all types with several row groups.
fn small() -> (SchemaRef, WrittenFile, Vec<u8>) {
    let schema = all_types();
    let mut random = Random(9);
    let batches = [batch(&schema, 60, &mut random), batch(&schema, 40, &mut random)];
    let (written, content) = write(&schema, &batches, &tiny());
    (schema, written, content)
}

#[test]
fn every_flipped_bit_is_noticed_by_verify_and_by_reading() {
    let (schema, written, content) = small();
    assert_eq!(read_all(content.clone(), expected(&schema, written.clone())).unwrap(), 100);
    // Every 53rd byte, and each byte of the footer's end; the file holds some 100 KiB.
    let positions = (0..content.len()).step_by(53).chain(content.len() - 64..content.len());
    for at in positions {
        let mut flipped = content.clone();
        flipped[at] ^= 1 << (at % 8);
        assert_damaged(
            verify_file(file(flipped.clone()), expected(&schema, written.clone())),
            &format!("a flip at {at} (verify)"),
        );
        assert_damaged(read_all(flipped, expected(&schema, written.clone())), &format!("a flip at {at} (read)"));
    }
}

#[test]
fn a_wrong_length_is_noticed() {
    let (schema, written, content) = small();
    for length in [0, 1, 7, 8, 12, content.len() / 2, content.len() - 1] {
        assert_damaged(
            verify_file(file(content[..length].to_vec()), expected(&schema, written.clone())),
            &format!("a cut at {length}"),
        );
    }
    let longer = [&content[..], b"x"].concat();
    assert_damaged(verify_file(file(longer), expected(&schema, written.clone())), "an extra byte");
    // The ledger's own row may be the damaged one.
    for footer_bytes in [0, 7, written.footer_bytes - 1, written.footer_bytes + 1, written.bytes, u64::MAX] {
        let lie = WrittenFile { footer_bytes, ..written.clone() };
        assert_damaged(
            verify_file(file(content.clone()), expected(&schema, lie)),
            &format!("a footer of {footer_bytes} bytes"),
        );
    }
}

#[test]
fn a_file_unlike_the_ledger_is_noticed() {
    let (schema, written, content) = small();
    type Lie = (&'static str, fn(&mut ExpectedFile));
    let lies: [Lie; 12] = [
        ("another stream", |file| file.label.stream = StreamName::parse("nyc/flights2").unwrap()),
        ("another segment", |file| file.label.segment = SegmentNumber::new(4)),
        ("another first offset", |file| file.written.first_offset += 1),
        ("another end", |file| file.written.end_offset += 1),
        ("other rows", |file| file.written.rows -= 1),
        ("another first commit", |file| file.written.first_commit_seq -= 1),
        ("another last commit", |file| file.written.last_commit_seq += 1),
        ("another first time", |file| file.written.first_commit_ms -= 1),
        ("another last time", |file| file.written.last_commit_ms += 1),
        ("another schema id", |file| file.written.schema_id += 1),
        ("another checksum", |file| file.written.crc32c ^= 1),
        ("another schema", |file| file.stream_schema = Arc::new(file.stream_schema.project(&[0, 1]).unwrap())),
    ];
    for (what, lie) in lies {
        let mut expected = expected(&schema, written.clone());
        lie(&mut expected);
        let error =
            verify_file(file(content.clone()), expected).err().unwrap_or_else(|| panic!("{what} was not noticed"));
        assert!(matches!(error, ReadError::Damaged { .. }), "{what}: {error}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_no_damage() {
    let (schema, written, content) = small();
    let disk = MemDisk::new();
    disk.create_dir_all(Path::new("/d")).unwrap();
    disk.set_contents(Path::new("/d/f"), content);
    let opened = disk.open(Path::new("/d/f"), OpenMode::Read).unwrap();
    let offsets = written.first_offset..written.end_offset;
    let reader = SegmentFileReader::open(opened, expected(&schema, written)).unwrap();
    disk.fail(crate::env::CallKind::Read, disk.calls(crate::env::CallKind::Read) + 3, io::ErrorKind::TimedOut);
    let errors: Vec<_> = reader.read(offsets, None, BatchSizes::default()).unwrap().filter_map(Result::err).collect();
    assert!(
        matches!(&errors[..], [ReadError::Io { source, .. }] if source.kind() == io::ErrorKind::TimedOut),
        "{errors:?}"
    );
}
