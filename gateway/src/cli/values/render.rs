//! Arrow values as JSON and as CSV fields.

use arrow::{
    array::{Array, AsArray as _},
    datatypes::{
        Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
        Time32MillisecondType, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use serde_json::{Map, Number, Value};
use sluice_schema::types::Kind;

/// A value as JSON. `array` must have the Arrow type of `kind`, as decoded blocks have.
pub fn json_value(array: &dyn Array, kind: &Kind, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match kind {
        Kind::Boolean => array.as_boolean().value(row).into(),
        Kind::TinyInt => array.as_primitive::<Int8Type>().value(row).into(),
        Kind::SmallInt => array.as_primitive::<Int16Type>().value(row).into(),
        Kind::Integer => array.as_primitive::<Int32Type>().value(row).into(),
        Kind::BigInt => array.as_primitive::<Int64Type>().value(row).into(),
        Kind::Float => single(array.as_primitive::<Float32Type>().value(row)),
        Kind::Double => double(array.as_primitive::<Float64Type>().value(row)),
        Kind::Decimal { scale, .. } => decimal(array.as_primitive::<Decimal128Type>().value(row), *scale).into(),
        Kind::Char(_) | Kind::VarChar(_) => array.as_string::<i32>().value(row).into(),
        Kind::Binary(_) | Kind::VarBinary(_) => STANDARD.encode(array.as_binary::<i32>().value(row)).into(),
        Kind::Date => date(array.as_primitive::<Date32Type>().value(row)).into(),
        Kind::Time(precision) => time(array.as_primitive::<Time32MillisecondType>().value(row), *precision).into(),
        Kind::Timestamp(precision) => timestamp(array, *precision, row, "").into(),
        Kind::TimestampLtz(precision) => timestamp(array, *precision, row, "Z").into(),
        Kind::Array(item) => {
            let items = array.as_list::<i32>().value(row);
            (0..items.len()).map(|index| json_value(&items, &item.kind, index)).collect()
        }
        Kind::Map { key, value } => map(array, (&key.kind, &value.kind), row),
        Kind::Row(fields) => {
            let columns = array.as_struct().columns();
            let field = |(field, column): (&sluice_schema::types::Field, &arrow::array::ArrayRef)| {
                (field.name.clone(), json_value(column, &field.data_type.kind, row))
            };
            fields.iter().zip(columns).map(field).collect::<Map<_, _>>().into()
        }
    }
}

/// A value as the text of a CSV field; `None` is null.
pub fn csv_text(array: &dyn Array, kind: &Kind, row: usize) -> Option<String> {
    match json_value(array, kind, row) {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

fn map(array: &dyn Array, (key, value): (&Kind, &Kind), row: usize) -> Value {
    let map = array.as_map();
    let offsets = map.value_offsets();
    let range = offsets[row] as usize..offsets[row + 1] as usize;
    let pairs = range.map(|index| (json_value(map.keys(), key, index), json_value(map.values(), value, index)));
    if !matches!(key, Kind::Char(_) | Kind::VarChar(_)) {
        return pairs.map(|(key, value)| serde_json::json!({ "key": key, "value": value })).collect();
    }
    let text = |key: Value| key.as_str().unwrap_or_default().to_string();
    pairs.map(|(key, value)| (text(key), value)).collect::<Map<_, _>>().into()
}

/// The shortest number that reads back as the same float.
fn single(value: f32) -> Value {
    if value.is_finite() {
        double(value.to_string().parse().unwrap_or(f64::from(value)))
    } else {
        double(f64::from(value))
    }
}

fn double(value: f64) -> Value {
    match Number::from_f64(value) {
        Some(number) => number.into(),
        None if value.is_nan() => "NaN".into(),
        None if value > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}

fn decimal(unscaled: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn date(days: i32) -> String {
    let date = NaiveDate::default().checked_add_signed(chrono::TimeDelta::days(days.into()));
    date.map_or_else(|| format!("day {days} since 1970-01-01"), |date| date.format("%Y-%m-%d").to_string())
}

fn time(millis: i32, precision: u8) -> String {
    let millis = u32::try_from(millis).unwrap_or(u32::MAX);
    let time = NaiveTime::from_num_seconds_from_midnight_opt(millis / 1000, millis % 1000 * 1_000_000);
    let text =
        |time: NaiveTime| format!("{}{}", time.format("%H:%M:%S"), fraction(millis % 1000 * 1_000_000, precision));
    time.map_or_else(|| format!("{millis} ms"), text)
}

fn timestamp(array: &dyn Array, precision: u8, row: usize, zone: &str) -> String {
    let (value, per_second) = match precision {
        0..=3 => (array.as_primitive::<TimestampMillisecondType>().value(row), 1_000),
        4..=6 => (array.as_primitive::<TimestampMicrosecondType>().value(row), 1_000_000),
        _ => (array.as_primitive::<TimestampNanosecondType>().value(row), 1_000_000_000),
    };
    let (seconds, rest) = (value.div_euclid(per_second), value.rem_euclid(per_second));
    // Below 10^9, as the remainder is below `per_second`.
    let nanos = (rest * (1_000_000_000 / per_second)) as u32;
    let text = |at: NaiveDateTime| format!("{}{}{zone}", at.format("%Y-%m-%dT%H:%M:%S"), fraction(nanos, precision));
    let at = DateTime::from_timestamp(seconds, nanos).map(|at| at.naive_utc());
    at.map_or_else(|| format!("{value}/{per_second} s since 1970"), text)
}

/// The digits after the second: as many as the precision has, none if all are zero.
fn fraction(nanos: u32, precision: u8) -> String {
    if nanos == 0 || precision == 0 {
        return String::new();
    }
    let digits = format!("{nanos:09}");
    format!(".{}", &digits[..usize::from(precision.min(9))])
}
