//! Every input format: what is read, and errors that name line and column.

use std::{io::Cursor, sync::Arc};

use arrow::array::{AsArray as _, Int64Array};
use arrow::datatypes::{DataType, Field, Int32Type, Schema as ArrowSchema};
use tokio::sync::mpsc;

use super::*;
use crate::cli::schema_text;

fn run(read: impl FnOnce(&mut Sink<'_>) -> Result<(), String>) -> Result<Vec<Rows>, String> {
    let (sender, mut receiver) = mpsc::channel(100);
    let progress = ProgressBar::hidden();
    read(&mut Sink { batches: &sender, progress: &progress, rows: 0 })?;
    drop(sender);
    Ok(std::iter::from_fn(|| receiver.blocking_recv()).collect())
}

fn schema() -> Schema {
    schema_text::parse("carrier STRING NOT NULL, distance INT, note STRING").unwrap()
}

fn csv(text: &str, options: &Options) -> Result<Vec<Rows>, String> {
    run(|sink| csv_rows::read(Cursor::new(text.to_string()), &schema(), options, sink))
}

fn options() -> Options {
    Options { null: String::new(), delimiter: b',', header: true }
}

fn only_batch(rows: Vec<Rows>) -> RecordBatch {
    match rows.into_iter().next() {
        Some(Rows::Batch(batch)) => batch,
        _ => panic!("no batch"),
    }
}

#[test]
fn csv_goes_by_its_header() {
    let rows = csv("distance,carrier\n12,UA\n,\"A,A\"\n", &options()).unwrap();
    let batch = only_batch(rows);
    assert_eq!(batch.column(0).as_string::<i32>().value(1), "A,A");
    assert_eq!(batch.column(1).as_primitive::<Int32Type>().value(0), 12);
    assert!(batch.column(1).is_null(1) && batch.column(2).is_null(0));

    let by_order = Options { header: false, null: "NA".into(), delimiter: b';' };
    let batch = only_batch(csv("UA;NA;\nAA;7;x\n", &by_order).unwrap());
    assert!(batch.column(1).is_null(0));
    assert_eq!(batch.column(2).as_string::<i32>().value(0), "", "only NA is null");
}

#[test]
fn csv_errors_name_line_and_column() {
    for (text, expected) in [
        ("carrier,x\n", " line 1, the stream has no column `x`"),
        ("distance\n1\n", " line 1, the column `carrier` is missing, but NOT NULL"),
        ("carrier,carrier\n", " line 1, the column `carrier` stands twice"),
        ("carrier,distance\nUA,1\nUA,far\n", " line 3, column `distance`: `far` is no INT"),
        ("carrier,distance\n\"a\nb\",1\nUA,far\n", " line 4, column `distance`: `far` is no INT"),
        ("carrier,distance\nUA\n", " line 2, it has 1 fields instead of 2"),
    ] {
        assert_eq!(csv(text, &options()).err().unwrap(), expected);
    }
}

#[test]
fn json_lines_name_line_and_column() {
    let read = |text: &str| run(|sink| json_rows::read(Cursor::new(text.to_string()), &schema(), sink));
    let rows = read("{\"carrier\":\"UA\"}\n\n{\"carrier\":\"AA\",\"distance\":3}\r\n").unwrap();
    assert_eq!(only_batch(rows).num_rows(), 2);
    let error = read("{\"carrier\":\"UA\"}\n\n{\"carrier\":\"AA\",\"distance\":\"x\"}").err().unwrap();
    assert_eq!(error, " line 3, column `distance`: `x` is no INT");
    assert!(read("{\"carrier\":1").err().unwrap().starts_with(" line 1, it is no JSON object"));
}

#[test]
fn large_inputs_come_in_batches() {
    let line = "{\"carrier\":\"UA\"}\n".repeat(BATCH_ROWS * 2 + 1);
    let rows = run(|sink| json_rows::read(Cursor::new(line), &schema(), sink)).unwrap();
    assert_eq!(rows.iter().map(Rows::len).collect::<Vec<_>>(), [BATCH_ROWS, BATCH_ROWS, 1]);
}

#[test]
fn events_of_bytes_from_lines_and_json() {
    let lines = run(|sink| bytes::read_lines(Cursor::new("a\n\n\u{ff}b"), sink)).unwrap();
    let Some(Rows::Events(events)) = lines.into_iter().next() else { panic!() };
    assert_eq!(
        events.iter().map(|event| event.value.as_slice()).collect::<Vec<_>>(),
        [b"a".as_slice(), b"", "\u{ff}b".as_bytes()]
    );

    let full = r#"{"key":"k","value":{"x":1.0},"event_time":"1970-01-01 00:00:01","headers":{"h":"v"}}"#;
    let event = bytes::event(full).unwrap();
    assert_eq!((event.key.as_deref(), event.value.as_slice()), (Some(b"k".as_slice()), br#"{"x":1.0}"#.as_slice()));
    assert_eq!((event.event_time_ms, event.headers.len()), (Some(1000), 1));
    let event = bytes::event(r#"{"key_base64":"AQI=","value_base64":"/w==","event_time":-5}"#).unwrap();
    assert_eq!((event.key.unwrap(), event.value, event.event_time_ms), (vec![1, 2], vec![255], Some(-5)));
    for (line, part) in [
        ("{}", "`value`: it is missing"),
        (r#"{"value":"x","kye":"k"}"#, "no `kye`"),
        (r#"{"value_base64":"%"}"#, "no base64"),
        (r#"{"value":"x","event_time":"noon"}"#, "`noon` is no time"),
        (r#"{"value":"x","headers":[1]}"#, "object of strings"),
    ] {
        assert!(bytes::event(line).unwrap_err().contains(part), "{line}");
    }
}

#[test]
fn parquet_columns_go_by_name_and_are_cast_without_loss() {
    let write = |distance: i64| {
        let fields = vec![Field::new("distance", DataType::Int64, false), Field::new("carrier", DataType::Utf8, false)];
        let columns: Vec<arrow::array::ArrayRef> =
            vec![Arc::new(Int64Array::from(vec![distance])), Arc::new(arrow::array::StringArray::from(vec!["UA"]))];
        let batch = RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), columns).unwrap();
        let mut file = Vec::new();
        let mut writer = parquet::arrow::ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        ::bytes::Bytes::from(file)
    };
    let batch = only_batch(run(|sink| parquet_rows::read(write(7), &schema(), sink)).unwrap());
    assert_eq!(batch.column(1).as_primitive::<Int32Type>().value(0), 7);
    let error = run(|sink| parquet_rows::read(write(1 << 40), &schema(), sink)).err().unwrap();
    assert!(error.contains("column `distance`"), "{error}");
    let error = run(|sink| parquet_rows::read(::bytes::Bytes::from_static(b"PAR1"), &schema(), sink)).err().unwrap();
    assert!(error.contains("no readable Parquet file"), "{error}");
    let other = schema_text::parse("carrier STRING").unwrap();
    let error = run(|sink| parquet_rows::read(write(7), &other, sink)).err().unwrap();
    assert_eq!(error, ": the stream has no column `distance`");
}
