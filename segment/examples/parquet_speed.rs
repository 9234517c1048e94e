//! Measures writing and reading of Parquet files under several settings; `WriterOptions::default()` was chosen by it.
//!
//! Three kinds of rows: 100-byte and 1 KiB incompressible payloads in the built-in bytes schema's shape, and bids as in Nexmark. Figures are per CPU
//! second of this process (all its threads; it uses one), the best of three runs, so that other work on the machine counts little.
//!
//! Run: `cargo run --release -p sluice-segment --example parquet_speed [-- <part of a setting's name>]`

#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use sluice_schema::ids::SegmentNumber;
use sluice_schema::names::StreamName;
use sluice_segment::env::{Disk, OpenMode, OsDisk};
use sluice_segment::parquet::{
    BatchSizes, Compression, ExpectedFile, FileInfo, FileLabel, SegmentFileReader, SegmentFileWriter, WriterOptions,
    WrittenFile, verify_file,
};

const RUNS: usize = 3;
const TOTAL_BYTES: usize = 256 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let folder = std::env::temp_dir().join(format!("sluice-parquet-speed-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    println!(
        "{:<10} {:<26} | {:>8} {:>8} {:>7} {:>7} | {:>8} {:>8} | {:>8} | {:>6}",
        "rows", "setting", "M rows/s", "MB/s", "B/row", "peakMB", "read Mr", "MB/s", "verify", "mid ms"
    );
    for (name, make) in KINDS {
        let rows = make();
        for (setting, options) in settings().into_iter().filter(|(setting, _)| setting.contains(&wanted)) {
            measure(&folder, name, setting, &rows, &options)?;
        }
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

type Kind = (&'static str, fn() -> Vec<RecordBatch>);
const KINDS: [Kind; 3] = [("100 B", || payloads(100)), ("1 KiB", || payloads(1024)), ("bids", bids)];

fn settings() -> Vec<(&'static str, WriterOptions)> {
    let base = WriterOptions::default();
    let with = |change: fn(&mut WriterOptions)| {
        let mut options = base.clone();
        change(&mut options);
        options
    };
    vec![
        ("default", base.clone()),
        ("uncompressed", with(|options| options.compression = Compression::None)),
        ("lz4", with(|options| options.compression = Compression::Lz4)),
        ("zstd 3", with(|options| options.compression = Compression::Zstd(3))),
        ("no dictionary", with(|options| options.dictionary_bytes = 0)),
        ("dictionary 64 KiB", with(|options| options.dictionary_bytes = 64 << 10)),
        ("dictionary 1 MiB", with(|options| options.dictionary_bytes = 1 << 20)),
        ("page 64 KiB", with(|options| options.page_bytes = 64 << 10)),
        ("page 1 MiB", with(|options| options.page_bytes = 1 << 20)),
        ("page rows 100000", with(|options| options.page_rows = 100_000)),
        ("row group 4 MiB", with(|options| options.row_group_bytes = 4 << 20)),
        ("row group 64 MiB", with(|options| options.row_group_bytes = 64 << 20)),
    ]
}

/// The best figures of the runs.
fn measure(
    folder: &Path,
    name: &str,
    setting: &str,
    rows: &[RecordBatch],
    options: &WriterOptions,
) -> Result<(), Box<dyn Error>> {
    let memory: usize = rows.iter().map(RecordBatch::get_array_memory_size).sum();
    let count: usize = rows.iter().map(RecordBatch::num_rows).sum();
    let path = folder.join("file");
    let (mut write_s, mut read_s, mut verify_s, mut middle_ms) = (f64::MAX, f64::MAX, f64::MAX, f64::MAX);
    let (mut bytes, mut peak) = (0, 0);
    for _ in 0..RUNS {
        let before = reset_peak()?;
        let start = cpu_seconds()?;
        let written = write(&path, rows, options)?;
        write_s = write_s.min(cpu_seconds()? - start);
        peak = peak_kib()?.saturating_sub(before);
        bytes = written.bytes;
        let expected = expected(&path, rows, written);
        let open = || OsDisk.open(&path, OpenMode::Read);

        let start = cpu_seconds()?;
        let reader = SegmentFileReader::open(open()?, expected.clone())?;
        let read: usize = reader
            .read(0..count as u64, None, BatchSizes::default())?
            .map(|part| part.map(|part| part.rows.num_rows()))
            .sum::<Result<_, _>>()?;
        read_s = read_s.min(cpu_seconds()? - start);
        assert_eq!(read, count, "all rows are read");

        let start = cpu_seconds()?;
        for step in 1..=10 {
            let from = (count * step / 11) as u64;
            reader.read(from..count as u64, None, BatchSizes::default())?.next().ok_or("no rows")??;
        }
        middle_ms = middle_ms.min((cpu_seconds()? - start) * 100.0);

        let start = cpu_seconds()?;
        verify_file(open()?, expected)?;
        verify_s = verify_s.min(cpu_seconds()? - start);
    }
    let per = |seconds: f64| (count as f64 / seconds / 1e6, memory as f64 / seconds / 1e6);
    let ((rows_w, mb_w), (rows_r, mb_r), (rows_v, _)) = (per(write_s), per(read_s), per(verify_s));
    println!(
        "{name:<10} {setting:<26} | {rows_w:>8.2} {mb_w:>8.0} {:>7.1} {:>7.0} | {rows_r:>8.2} {mb_r:>8.0} | {rows_v:>8.2} | {middle_ms:>6.1}",
        bytes as f64 / count as f64,
        peak as f64 / 1024.0,
    );
    Ok(())
}

fn write(path: &Path, rows: &[RecordBatch], options: &WriterOptions) -> Result<WrittenFile, Box<dyn Error>> {
    let info = FileInfo {
        stream: StreamName::parse("bench/rows")?,
        segment: SegmentNumber::new(0),
        first_offset: 0,
        schema_id: 1,
    };
    let out = File::create(path)?;
    let mut writer = SegmentFileWriter::new(out, rows[0].schema(), info, options)?;
    for (commit, batch) in rows.iter().enumerate() {
        writer.write(batch, writer.rows(), 1 + commit as u64, 1_700_000_000_000 + commit as u64)?;
    }
    Ok(writer.finish()?.0)
}

fn expected(path: &Path, rows: &[RecordBatch], written: WrittenFile) -> ExpectedFile {
    let stream = StreamName::parse("bench/rows").expect("a valid name");
    let label = FileLabel { path: path.display().to_string(), stream, segment: SegmentNumber::new(0) };
    ExpectedFile { label, stream_schema: rows[0].schema(), written }
}

/// User and system time of this process. Linux: ticks of 10 ms.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(") ").next().ok_or("no fields")?.split(' ').collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}

fn peak_kib() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.split_whitespace().nth(1).ok_or("no figure")?.parse()?)
}

/// Lets the peak start from what is in use now, and gives that.
fn reset_peak() -> Result<u64, Box<dyn Error>> {
    use std::io::Write;
    OpenOptions::new().write(true).open("/proc/self/clear_refs")?.write_all(b"5")?;
    peak_kib()
}

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Blocks of about 512 KiB: a key of 16 digits and a payload that does not compress.
fn payloads(bytes: usize) -> Vec<RecordBatch> {
    let mut state = 1;
    let block_rows = (512 << 10) / bytes;
    (0..TOTAL_BYTES / bytes / block_rows)
        .map(|_| {
            let keys: ArrayRef = Arc::new(BinaryArray::from_iter_values(
                (0..block_rows).map(|_| format!("{:016}", random(&mut state) % 100_000)),
            ));
            let value = |state: &mut u64| {
                (0..bytes / 8 + 1).flat_map(|_| random(state).to_le_bytes()).take(bytes).collect::<Vec<_>>()
            };
            let values: ArrayRef = Arc::new(BinaryArray::from_iter_values((0..block_rows).map(|_| value(&mut state))));
            RecordBatch::try_from_iter([("key", keys), ("value", values)]).expect("columns of one length")
        })
        .collect()
}

/// Blocks of 4,000 bids of about 155 bytes: few channels, many URLs, noise of 50 letters.
fn bids() -> Vec<RecordBatch> {
    let mut state = 2;
    let rows = 4000;
    (0..(TOTAL_BYTES / 155 / rows) as i64)
        .map(|block| {
            let mut numbers = |below: u64| -> ArrayRef {
                Arc::new(Int64Array::from_iter_values((0..rows).map(|_| (random(&mut state) % below) as i64)))
            };
            let (auctions, bidders, prices) = (numbers(100_000), numbers(50_000), numbers(10_000_000));
            let mut texts = |make: fn(u64, u64) -> String| -> ArrayRef {
                Arc::new(StringArray::from_iter_values((0..rows).map(|_| make(random(&mut state), random(&mut state)))))
            };
            let channels = texts(|a, _| format!("channel-{}", a % 10_000));
            let urls = texts(|a, b| {
                format!("https://www.nexmark.com/{:x}/{:x}/item.htm?query=1", a % 0xffff_ffff, b % 10_000)
            });
            let extras = texts(|mut a, _| (0..50).map(|_| char::from(b'a' + (random(&mut a) % 26) as u8)).collect());
            let times: ArrayRef = Arc::new(TimestampMillisecondArray::from_iter_values(
                (0..rows as i64).map(|row| 1_700_000_000_000 + (block * rows as i64 + row) / 10),
            ));
            RecordBatch::try_from_iter([
                ("auction", auctions),
                ("bidder", bidders),
                ("price", prices),
                ("channel", channels),
                ("url", urls),
                ("date_time", times),
                ("extra", extras),
            ])
            .expect("columns of one length")
        })
        .collect()
}
