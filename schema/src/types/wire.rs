//! Schemas from and to the wire.

use sluice_proto::gateway::v1 as wire;
use wire::TypeKind;

use super::{DataType, Field, Kind, Schema, SchemaError, text::quoted};
use crate::limits::SCHEMA_FIELDS_MAX;

impl TryFrom<&wire::Schema> for Schema {
    type Error = SchemaError;

    fn try_from(schema: &wire::Schema) -> Result<Self, SchemaError> {
        Schema::new(fields_from(&schema.fields, "")?)
    }
}

impl TryFrom<wire::Schema> for Schema {
    type Error = SchemaError;

    fn try_from(schema: wire::Schema) -> Result<Self, SchemaError> {
        Self::try_from(&schema)
    }
}

impl From<&Schema> for wire::Schema {
    fn from(schema: &Schema) -> Self {
        Self { fields: schema.fields().iter().map(field_to).collect() }
    }
}

impl From<Schema> for wire::Schema {
    fn from(schema: Schema) -> Self {
        Self::from(&schema)
    }
}

fn invalid(path: &str, why: impl std::fmt::Display) -> SchemaError {
    SchemaError::Invalid(format!("column {}: {why}", quoted(path)))
}

/// Recurses no deeper than the message does, which prost bounds; the schema's own limit is checked with its other rules.
fn fields_from(fields: &[wire::Field], path: &str) -> Result<Vec<Field>, SchemaError> {
    if fields.len() > SCHEMA_FIELDS_MAX {
        return Err(SchemaError::TooLarge { what: "fields", actual: fields.len(), limit: SCHEMA_FIELDS_MAX });
    }
    fields.iter().map(|field| Ok(Field::new(field.name.as_str(), type_of(field, path)?))).collect()
}

fn type_of(field: &wire::Field, path: &str) -> Result<DataType, SchemaError> {
    let path = if path.is_empty() { field.name.clone() } else { format!("{path}.{}", field.name) };
    let data_type = field.r#type.as_ref().ok_or_else(|| invalid(&path, "it has no type"))?;
    let kind = TypeKind::try_from(data_type.kind).map_err(|_| SchemaError::UnsupportedType {
        column: path.clone(),
        given: format!("number {}", data_type.kind),
    })?;
    unused_parameters(kind, data_type).map_err(|why| invalid(&path, why))?;
    let kind = kind_from(kind, data_type, &path)?;
    Ok(DataType { kind, nullable: data_type.nullable })
}

/// Refuses a parameter the type does not have: it would be lost in silence.
fn unused_parameters(kind: TypeKind, given: &wire::DataType) -> Result<(), String> {
    use TypeKind as T;
    let precision = matches!(kind, T::Decimal | T::Time | T::Timestamp | T::TimestampLtz);
    let scale = matches!(kind, T::Decimal);
    let length = matches!(kind, T::Char | T::Varchar | T::Binary | T::Varbinary);
    let children = matches!(kind, T::Array | T::Map | T::Row);
    let unused = [
        ("precision", !precision && given.precision != 0),
        ("scale", !scale && given.scale != 0),
        ("length", !length && given.length != 0),
        ("children", !children && !given.children.is_empty()),
    ];
    match unused.iter().find(|(_, wrong)| *wrong) {
        Some((what, _)) => Err(format!("{} has no {what}", kind.as_str_name())),
        None => Ok(()),
    }
}

fn kind_from(kind: TypeKind, given: &wire::DataType, path: &str) -> Result<Kind, SchemaError> {
    // Values above 255 are out of every range; 255 lets the check refuse them with its own sentence.
    let precision = u8::try_from(given.precision).unwrap_or(u8::MAX);
    let length = given.length;
    Ok(match kind {
        TypeKind::Unspecified => return Err(invalid(path, "its type is not given")),
        TypeKind::Boolean => Kind::Boolean,
        TypeKind::Tinyint => Kind::TinyInt,
        TypeKind::Smallint => Kind::SmallInt,
        TypeKind::Integer => Kind::Integer,
        TypeKind::Bigint => Kind::BigInt,
        TypeKind::Float => Kind::Float,
        TypeKind::Double => Kind::Double,
        TypeKind::Decimal => Kind::Decimal { precision, scale: u8::try_from(given.scale).unwrap_or(u8::MAX) },
        TypeKind::Char => Kind::Char(length),
        TypeKind::Varchar => Kind::VarChar(length),
        TypeKind::Binary => Kind::Binary(length),
        TypeKind::Varbinary => Kind::VarBinary(length),
        TypeKind::Date => Kind::Date,
        TypeKind::Time => Kind::Time(precision),
        TypeKind::Timestamp => Kind::Timestamp(precision),
        TypeKind::TimestampLtz => Kind::TimestampLtz(precision),
        TypeKind::Array => match given.children.as_slice() {
            [item] if item.name == "item" => Kind::Array(Box::new(type_of(item, path)?)),
            _ => return Err(invalid(path, "an ARRAY has exactly one child, named `item`")),
        },
        TypeKind::Map => match given.children.as_slice() {
            [key, value] if key.name == "key" && value.name == "value" => {
                Kind::Map { key: Box::new(type_of(key, path)?), value: Box::new(type_of(value, path)?) }
            }
            _ => return Err(invalid(path, "a MAP has exactly two children, named `key` and `value`")),
        },
        TypeKind::Row => Kind::Row(fields_from(&given.children, path)?),
    })
}

fn field_to(field: &Field) -> wire::Field {
    named(&field.name, &field.data_type)
}

fn named(name: &str, data_type: &DataType) -> wire::Field {
    wire::Field { name: name.to_string(), r#type: Some(type_to(data_type)) }
}

fn type_to(data_type: &DataType) -> wire::DataType {
    let mut to = wire::DataType { nullable: data_type.nullable, ..Default::default() };
    let kind = match &data_type.kind {
        Kind::Boolean => TypeKind::Boolean,
        Kind::TinyInt => TypeKind::Tinyint,
        Kind::SmallInt => TypeKind::Smallint,
        Kind::Integer => TypeKind::Integer,
        Kind::BigInt => TypeKind::Bigint,
        Kind::Float => TypeKind::Float,
        Kind::Double => TypeKind::Double,
        Kind::Decimal { precision, scale } => {
            to.precision = (*precision).into();
            to.scale = (*scale).into();
            TypeKind::Decimal
        }
        Kind::Char(length) => with_length(&mut to, *length, TypeKind::Char),
        Kind::VarChar(length) => with_length(&mut to, *length, TypeKind::Varchar),
        Kind::Binary(length) => with_length(&mut to, *length, TypeKind::Binary),
        Kind::VarBinary(length) => with_length(&mut to, *length, TypeKind::Varbinary),
        Kind::Date => TypeKind::Date,
        Kind::Time(precision) => with_precision(&mut to, *precision, TypeKind::Time),
        Kind::Timestamp(precision) => with_precision(&mut to, *precision, TypeKind::Timestamp),
        Kind::TimestampLtz(precision) => with_precision(&mut to, *precision, TypeKind::TimestampLtz),
        Kind::Array(item) => {
            to.children = vec![named("item", item)];
            TypeKind::Array
        }
        Kind::Map { key, value } => {
            to.children = vec![named("key", key), named("value", value)];
            TypeKind::Map
        }
        Kind::Row(fields) => {
            to.children = fields.iter().map(field_to).collect();
            TypeKind::Row
        }
    };
    to.kind = kind.into();
    to
}

fn with_length(to: &mut wire::DataType, length: u32, kind: TypeKind) -> TypeKind {
    to.length = length;
    kind
}

fn with_precision(to: &mut wire::DataType, precision: u8, kind: TypeKind) -> TypeKind {
    to.precision = precision.into();
    kind
}
