//! Every type goes to text and back; what does not fit is refused in a sentence that names the column.

use arrow::array::RecordBatch;
use proptest::prelude::*;
use serde_json::Value;
use sluice_schema::types::{Kind, Schema};

use super::*;
use crate::cli::schema_text;

fn schema(text: &str) -> Schema {
    schema_text::parse(text).unwrap()
}

fn json_rows(schema: &Schema, lines: &[&str]) -> Result<RecordBatch, String> {
    let mut builder = RowsBuilder::new(schema);
    for line in lines {
        builder.push_json(line)?;
    }
    builder.take()
}

fn rendered(schema: &Schema, batch: &RecordBatch, row: usize) -> String {
    let fields = schema.fields().iter().zip(batch.columns());
    let object: serde_json::Map<String, Value> =
        fields.map(|(field, column)| (field.name.clone(), json_value(column, &field.data_type.kind, row))).collect();
    Value::from(object).to_string()
}

/// The column of one value, from JSON and from CSV text, must give `out`.
fn both_ways(data_type: &str, json: &str, out: &str) {
    let schema = schema(&format!("c {data_type}"));
    let line = format!("{{\"c\":{json}}}");
    let batch = json_rows(&schema, &[&line]).unwrap_or_else(|e| panic!("{data_type} {json}: {e}"));
    assert_eq!(rendered(&schema, &batch, 0), format!("{{\"c\":{out}}}"), "{data_type} {json}");
    sluice_schema::block::encode(&schema, &batch).unwrap_or_else(|e| panic!("{data_type} {json}: {e}"));

    let text = csv_text(batch.column(0), &schema.fields()[0].data_type.kind, 0);
    let mut builder = RowsBuilder::new(&schema);
    builder.push_text([text.as_deref()]).unwrap_or_else(|e| panic!("{data_type} {text:?}: {e}"));
    assert_eq!(builder.take().unwrap(), batch, "{data_type} {text:?} as CSV");
}

#[test]
fn every_type_round_trips() {
    for (data_type, json, out) in [
        ("BOOLEAN", "true", "true"),
        ("TINYINT", "-128", "-128"),
        ("SMALLINT", "32767", "32767"),
        ("INT", "-2147483648", "-2147483648"),
        ("BIGINT", "9223372036854775807", "9223372036854775807"),
        ("BIGINT", "\"7\"", "7"),
        ("FLOAT", "0.1", "0.1"),
        ("FLOAT", "\"NaN\"", "\"NaN\""),
        ("DOUBLE", "-0.0", "-0.0"),
        ("DOUBLE", "1e300", "1e+300"),
        ("DOUBLE", "\"-Infinity\"", "\"-Infinity\""),
        ("DECIMAL(38, 2)", "123456789012345678901234567890123456.78", "\"123456789012345678901234567890123456.78\""),
        ("DECIMAL(5, 2)", "\"-0.05\"", "\"-0.05\""),
        ("DECIMAL(5, 0)", "1e3", "\"1000\""),
        ("CHAR(3)", "\"ä\"", "\"ä  \""),
        ("VARCHAR(3)", "\"äöü\"", "\"äöü\""),
        ("STRING", "\"a\\n\\\"b\"", "\"a\\n\\\"b\""),
        ("BINARY(4)", "\"AQI=\"", "\"AQIAAA==\""),
        ("BYTES", "\"\"", "\"\""),
        ("DATE", "\"0001-01-01\"", "\"0001-01-01\""),
        ("TIME(3)", "\"23:59:59.999\"", "\"23:59:59.999\""),
        ("TIME", "\"17:05\"", "\"17:05:00\""),
        ("TIMESTAMP(3)", "\"1969-12-31 23:59:59.999\"", "\"1969-12-31T23:59:59.999\""),
        ("TIMESTAMP(5)", "\"2013-01-31T17:05:09.00001\"", "\"2013-01-31T17:05:09.00001\""),
        ("TIMESTAMP(9)", "\"2262-04-11T23:47:16.854775807\"", "\"2262-04-11T23:47:16.854775807\""),
        ("TIMESTAMP_LTZ(0)", "\"2013-01-31T17:05:09+01:00\"", "\"2013-01-31T16:05:09Z\""),
        ("ARRAY<INT>", "[1,null,3]", "[1,null,3]"),
        ("ARRAY<ARRAY<STRING>>", "[[],[\"a\"],null]", "[[],[\"a\"],null]"),
        ("MAP<STRING, INT>", "{\"a\":1,\"b\":null}", "{\"a\":1,\"b\":null}"),
        ("MAP<INT, STRING>", "[{\"key\":1,\"value\":\"x\"}]", "[{\"key\":1,\"value\":\"x\"}]"),
        ("ROW<a INT, b ROW<c STRING NOT NULL>>", "{\"a\":1}", "{\"a\":1,\"b\":null}"),
        ("ROW<a INT NOT NULL>", "null", "null"),
        ("INT", "null", "null"),
    ] {
        both_ways(data_type, json, out);
    }
}

#[test]
fn what_does_not_fit_is_refused_with_the_column() {
    for (data_type, json, part) in [
        ("BOOLEAN", "1", "`1` is no BOOLEAN"),
        ("TINYINT", "128", "`128` is no TINYINT"),
        ("INT", "1.5", "`1.5` is no INT"),
        ("INT", "true", "`true` is no INT"),
        ("BIGINT", "9223372036854775808", "is no BIGINT"),
        ("FLOAT", "1e39", "is no FLOAT"),
        ("DOUBLE", "\"inf\"", "is no DOUBLE"),
        ("DECIMAL(5, 2)", "1000", "more digits than DECIMAL(5, 2) holds"),
        ("DECIMAL(5, 2)", "0.001", "more digits after the point"),
        ("DECIMAL(5, 2)", "\"x\"", "is no DECIMAL(5, 2)"),
        ("DECIMAL(5, 2)", "1e999999999", "more digits"),
        ("VARCHAR(2)", "\"abc\"", "has 3 characters, VARCHAR(2) holds 2"),
        ("STRING", "5", "`5` is no STRING"),
        ("BYTES", "\"%\"", "no base64"),
        ("BINARY(1)", "\"AQI=\"", "has 2 bytes"),
        ("DATE", "\"2013-02-30\"", "is no DATE"),
        ("TIME(0)", "\"24:00:00\"", "is no TIME(0)"),
        ("TIME(0)", "\"01:00:00.5\"", "more digits of a second"),
        ("TIMESTAMP(3)", "\"2013-01-31T00:00:00.0001\"", "more digits of a second"),
        ("TIMESTAMP(9)", "\"2300-01-01T00:00:00\"", "out of the range"),
        ("TIMESTAMP_LTZ(3)", "\"2013-01-31T00:00:00\"", "such as 2013-01-31T17:05:09Z"),
        ("ARRAY<INT NOT NULL>", "[1,null]", "item 2: it is null, but NOT NULL"),
        ("ARRAY<INT>", "{}", "is not an array"),
        ("MAP<STRING, INT>", "[{\"value\":1}]", "has no `key`"),
        ("ROW<a INT>", "{\"b\":1}", "no field `b`"),
        ("ROW<a INT>", "{\"a\":\"x\"}", "field `a`: `x` is no INT"),
        ("INT NOT NULL", "null", "it is null, but NOT NULL"),
    ] {
        let schema = schema(&format!("c {data_type}"));
        let error = json_rows(&schema, &[&format!("{{\"c\":{json}}}")]).unwrap_err();
        assert!(error.starts_with("column `c`: ") && error.contains(part), "{data_type} {json}: {error}");
    }
}

#[test]
fn unknown_and_missing_columns() {
    let schema = schema("a INT NOT NULL, b INT");
    assert!(json_rows(&schema, &["{\"a\":1}"]).is_ok());
    assert_eq!(json_rows(&schema, &["{\"b\":1}"]).unwrap_err(), "column `a`: it is null, but NOT NULL");
    assert_eq!(json_rows(&schema, &["{\"a\":1,\"x\":2}"]).unwrap_err(), "the stream has no column `x`");
    assert!(json_rows(&schema, &["[1]"]).unwrap_err().contains("no JSON object"));
    assert!(json_rows(&schema, &["{\"a\":"]).unwrap_err().contains("at character 5"));
}

proptest! {
    #[test]
    fn decimals_are_exact(unscaled in -99_999_999_999_999_999_999_999_999_999_999_999_999i128..=99_999_999_999_999_999_999_999_999_999_999_999_999, scale in 0u8..=38) {
        let data_type = schema(&format!("c DECIMAL(38, {scale})"));
        let mut builder = RowsBuilder::new(&data_type);
        let exact = scalar::decimal(&format!("{unscaled}e-{scale}"), 38, scale).unwrap();
        prop_assert_eq!(exact, unscaled);
        builder.push_text([Some(format!("{unscaled}E-{scale}").as_str())]).unwrap();
        let batch = builder.take().unwrap();
        let text = csv_text(batch.column(0), &Kind::Decimal { precision: 38, scale }, 0).unwrap();
        prop_assert_eq!(scalar::decimal(&text, 38, scale).unwrap(), unscaled);
    }

    #[test]
    fn floats_keep_their_bits(bits: u64, single_bits: u32) {
        let (value, single) = (f64::from_bits(bits), f32::from_bits(single_bits));
        prop_assume!(!value.is_nan() && !single.is_nan());
        let schema = schema("d DOUBLE, f FLOAT");
        let word = |x: f64, text: String| if x.is_finite() { text } else { format!("{}Infinity", if x < 0.0 { "-" } else { "" }) };
        let mut builder = RowsBuilder::new(&schema);
        let (d, f) = (word(value, value.to_string()), word(single.into(), single.to_string()));
        builder.push_text([Some(d.as_str()), Some(f.as_str())]).unwrap();
        let batch = builder.take().unwrap();
        let line = rendered(&schema, &batch, 0);
        prop_assert_eq!(json_rows(&schema, &[&line]).unwrap(), batch);
    }

    #[test]
    fn no_line_panics(line in "[\\{\\}\\[\\]\":,a-c0-9.eE+-]{0,40}") {
        let _ = json_rows(&schema("a INT, b MAP<STRING, ARRAY<DOUBLE>>, c DECIMAL(4,2)"), &[&line]);
    }
}
