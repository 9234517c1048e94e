//! Schemas from and to Arrow.

use std::{collections::HashMap, sync::Arc};

use ::arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Schema as ArrowSchema, TimeUnit};

use super::{DataType, Field, Kind, Schema, SchemaError};
use crate::limits::{SCHEMA_DEPTH_MAX, TYPE_LENGTH_MAX};

/// Key of Arrow field metadata whose value is the type in Flink's words where Arrow's type alone would be read as
/// another one: `CHAR(10)`, `TIMESTAMP(5)`.
pub const TYPE_METADATA_KEY: &str = "sluice.type";

/// The time zone of TIMESTAMP_LTZ.
const UTC: &str = "UTC";

pub(super) fn schema_to_arrow(fields: &[Field]) -> ArrowSchema {
    ArrowSchema::new(fields.iter().map(|field| field_to_arrow(&field.name, &field.data_type)).collect::<Vec<_>>())
}

fn field_to_arrow(name: &str, data_type: &DataType) -> ArrowField {
    let arrow = kind_to_arrow(&data_type.kind);
    let implied = plain_kind(&arrow);
    let field = ArrowField::new(name, arrow, data_type.nullable);
    let nested = !data_type.is_routable();
    if nested || implied.as_ref() == Some(&data_type.kind) {
        return field;
    }
    field.with_metadata(HashMap::from([(TYPE_METADATA_KEY.to_string(), data_type.kind.to_string())]))
}

fn kind_to_arrow(kind: &Kind) -> ArrowType {
    match kind {
        Kind::Boolean => ArrowType::Boolean,
        Kind::TinyInt => ArrowType::Int8,
        Kind::SmallInt => ArrowType::Int16,
        Kind::Integer => ArrowType::Int32,
        Kind::BigInt => ArrowType::Int64,
        Kind::Float => ArrowType::Float32,
        Kind::Double => ArrowType::Float64,
        // The precision is at most 38, so is the scale.
        Kind::Decimal { precision, scale } => ArrowType::Decimal128(*precision, *scale as i8),
        Kind::Char(_) | Kind::VarChar(_) => ArrowType::Utf8,
        Kind::Binary(_) | Kind::VarBinary(_) => ArrowType::Binary,
        Kind::Date => ArrowType::Date32,
        Kind::Time(_) => ArrowType::Time32(TimeUnit::Millisecond),
        Kind::Timestamp(precision) => ArrowType::Timestamp(unit(*precision), None),
        Kind::TimestampLtz(precision) => ArrowType::Timestamp(unit(*precision), Some(UTC.into())),
        Kind::Array(item) => ArrowType::List(Arc::new(field_to_arrow("item", item))),
        Kind::Map { key, value } => ArrowType::Map(Arc::new(map_entries(key, value)), false),
        Kind::Row(fields) => {
            ArrowType::Struct(fields.iter().map(|field| field_to_arrow(&field.name, &field.data_type)).collect())
        }
    }
}

/// The one child of an Arrow Map: a struct `entries` of `key` and `value`.
fn map_entries(key: &DataType, value: &DataType) -> ArrowField {
    let children = vec![field_to_arrow("key", key), field_to_arrow("value", value)];
    ArrowField::new("entries", ArrowType::Struct(children.into()), false)
}

fn unit(precision: u8) -> TimeUnit {
    match precision {
        0..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}

fn precision_of(unit: TimeUnit) -> Option<u8> {
    match unit {
        TimeUnit::Second => None,
        TimeUnit::Millisecond => Some(3),
        TimeUnit::Microsecond => Some(6),
        TimeUnit::Nanosecond => Some(9),
    }
}

/// The type an Arrow type stands for where no metadata says more; `None` for nested types and those not stored.
fn plain_kind(arrow: &ArrowType) -> Option<Kind> {
    Some(match arrow {
        ArrowType::Boolean => Kind::Boolean,
        ArrowType::Int8 => Kind::TinyInt,
        ArrowType::Int16 => Kind::SmallInt,
        ArrowType::Int32 => Kind::Integer,
        ArrowType::Int64 => Kind::BigInt,
        ArrowType::Float32 => Kind::Float,
        ArrowType::Float64 => Kind::Double,
        ArrowType::Decimal128(precision, scale) => {
            Kind::Decimal { precision: *precision, scale: u8::try_from(*scale).ok()? }
        }
        ArrowType::Utf8 => Kind::VarChar(TYPE_LENGTH_MAX),
        ArrowType::Binary => Kind::VarBinary(TYPE_LENGTH_MAX),
        ArrowType::Date32 => Kind::Date,
        ArrowType::Time32(TimeUnit::Millisecond) => Kind::Time(3),
        ArrowType::Timestamp(unit, None) => Kind::Timestamp(precision_of(*unit)?),
        ArrowType::Timestamp(unit, Some(zone)) if is_utc(zone) => Kind::TimestampLtz(precision_of(*unit)?),
        _ => return None,
    })
}

fn is_utc(zone: &str) -> bool {
    matches!(zone, UTC | "Etc/UTC" | "Z" | "+00:00" | "+00")
}

impl Schema {
    /// The schema of Arrow batches, for example of a Parquet file that is imported. [`TYPE_METADATA_KEY`] is obeyed.
    ///
    /// Refused: types Sluice does not store. Cast them first.
    pub fn from_arrow(schema: &ArrowSchema) -> Result<Self, SchemaError> {
        let fields = schema.fields().iter();
        Self::new(fields.map(|field| field_from(field, "", 1)).collect::<Result<_, _>>()?)
    }
}

fn field_from(field: &ArrowField, path: &str, depth: usize) -> Result<Field, SchemaError> {
    if depth > SCHEMA_DEPTH_MAX {
        return Err(SchemaError::TooLarge { what: "levels of nesting", actual: depth, limit: SCHEMA_DEPTH_MAX });
    }
    let path = if path.is_empty() { field.name().clone() } else { format!("{path}.{}", field.name()) };
    let kind = kind_from(field, &path, depth)?;
    Ok(Field::new(field.name().as_str(), DataType { kind, nullable: field.is_nullable() }))
}

fn kind_from(field: &ArrowField, path: &str, depth: usize) -> Result<Kind, SchemaError> {
    let child = |child: &ArrowField| Ok(Box::new(field_from(child, path, depth + 1)?.data_type));
    let unsupported =
        || SchemaError::UnsupportedType { column: path.to_string(), given: field.data_type().to_string() };
    match field.data_type() {
        ArrowType::List(item) => Ok(Kind::Array(child(item)?)),
        ArrowType::Map(entries, _) => match entries.data_type() {
            ArrowType::Struct(pair) if pair.len() == 2 => {
                Ok(Kind::Map { key: child(&pair[0])?, value: child(&pair[1])? })
            }
            _ => Err(unsupported()),
        },
        ArrowType::Struct(fields) => {
            let fields = fields.iter().map(|field| field_from(field, path, depth + 1));
            Ok(Kind::Row(fields.collect::<Result<_, _>>()?))
        }
        plain => {
            let implied = plain_kind(plain).ok_or_else(unsupported)?;
            let Some(text) = field.metadata().get(TYPE_METADATA_KEY) else { return Ok(implied) };
            let said = parse_kind(text).filter(|said| kind_to_arrow(said) == *plain);
            said.ok_or_else(|| {
                let why = format!("column `{path}`: `{text}` in its metadata does not fit the Arrow type {plain}");
                SchemaError::Invalid(why)
            })
        }
    }
}

/// Reads the texts that [`field_to_arrow`] writes: a word and one number in parentheses.
fn parse_kind(text: &str) -> Option<Kind> {
    let (word, number) = text.strip_suffix(')')?.split_once('(')?;
    let number: u32 = number.parse().ok()?;
    let precision = u8::try_from(number);
    Some(match word {
        "CHAR" => Kind::Char(number),
        "VARCHAR" => Kind::VarChar(number),
        "BINARY" => Kind::Binary(number),
        "VARBINARY" => Kind::VarBinary(number),
        "TIME" => Kind::Time(precision.ok()?),
        "TIMESTAMP" => Kind::Timestamp(precision.ok()?),
        "TIMESTAMP_LTZ" => Kind::TimestampLtz(precision.ok()?),
        _ => return None,
    })
}
