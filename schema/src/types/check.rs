//! The rules every schema keeps.

use std::collections::HashSet;

use super::{DataType, Field, Kind, SchemaError, text::quoted};
use crate::limits::{
    DECIMAL_PRECISION_MAX, FIELD_NAME_BYTES_MAX, SCHEMA_DEPTH_MAX, SCHEMA_FIELDS_MAX, TIME_PRECISION_MAX,
    TYPE_LENGTH_MAX,
};

/// Checks all columns of a schema.
pub(super) fn check(fields: &[Field]) -> Result<(), SchemaError> {
    if fields.is_empty() {
        return Err(SchemaError::Invalid("it has no columns, at least one is needed".into()));
    }
    if let Some(field) = fields.iter().find(|field| field.name.starts_with('_')) {
        let why = format!("column name {} starts with `_`, which is reserved for system columns", quoted(&field.name));
        return Err(SchemaError::ColumnName(why));
    }
    let mut counted = 0;
    siblings(fields, "", 1, &mut counted)
}

/// `path` is the way to the siblings, `depth` theirs, `counted` the fields seen so far.
fn siblings(fields: &[Field], path: &str, depth: usize, counted: &mut usize) -> Result<(), SchemaError> {
    let mut names = HashSet::with_capacity(fields.len());
    for field in fields {
        let name = &field.name;
        if name.is_empty() {
            return Err(SchemaError::ColumnName(format!("a column{} has an empty name", inside(path))));
        }
        if name.len() > FIELD_NAME_BYTES_MAX {
            let limit = FIELD_NAME_BYTES_MAX;
            return Err(SchemaError::TooLarge { what: "bytes in a column's name", actual: name.len(), limit });
        }
        if !names.insert(name) {
            let why = format!("the column name {} occurs twice{}", quoted(name), inside(path));
            return Err(SchemaError::ColumnName(why));
        }
        one(&field.data_type, &join(path, name), depth, counted)?;
    }
    Ok(())
}

fn one(data_type: &DataType, path: &str, depth: usize, counted: &mut usize) -> Result<(), SchemaError> {
    *counted += 1;
    if *counted > SCHEMA_FIELDS_MAX {
        let what = "fields, nested ones counted";
        return Err(SchemaError::TooLarge { what, actual: *counted, limit: SCHEMA_FIELDS_MAX });
    }
    if depth > SCHEMA_DEPTH_MAX {
        return Err(SchemaError::TooLarge { what: "levels of nesting", actual: depth, limit: SCHEMA_DEPTH_MAX });
    }
    parameters(&data_type.kind).map_err(|why| SchemaError::Invalid(format!("column {}: {why}", quoted(path))))?;
    match &data_type.kind {
        Kind::Array(item) => one(item, &join(path, "item"), depth + 1, counted),
        Kind::Map { key, value } => {
            if key.nullable {
                let why = format!("column {}: the key of a MAP must be NOT NULL", quoted(path));
                return Err(SchemaError::Invalid(why));
            }
            one(key, &join(path, "key"), depth + 1, counted)?;
            one(value, &join(path, "value"), depth + 1, counted)
        }
        Kind::Row(fields) => siblings(fields, path, depth + 1, counted),
        _ => Ok(()),
    }
}

/// Checks precision, scale and length.
fn parameters(kind: &Kind) -> Result<(), String> {
    match *kind {
        Kind::Decimal { precision, scale } => {
            if !(1..=DECIMAL_PRECISION_MAX).contains(&precision) {
                return Err(format!("DECIMAL has precision {precision}, 1 to {DECIMAL_PRECISION_MAX} is allowed"));
            }
            if scale > precision {
                return Err(format!("DECIMAL has scale {scale}, 0 to its precision {precision} is allowed"));
            }
        }
        Kind::Char(length) | Kind::VarChar(length) | Kind::Binary(length) | Kind::VarBinary(length)
            if !(1..=TYPE_LENGTH_MAX).contains(&length) =>
        {
            return Err(format!("length {length} is not allowed, 1 to {TYPE_LENGTH_MAX} is"));
        }
        Kind::Time(precision) | Kind::Timestamp(precision) | Kind::TimestampLtz(precision)
            if precision > TIME_PRECISION_MAX =>
        {
            return Err(format!("precision {precision} is not allowed, 0 to {TIME_PRECISION_MAX} is"));
        }
        Kind::Row(ref fields) if fields.is_empty() => return Err("ROW has no fields, at least one is needed".into()),
        _ => {}
    }
    Ok(())
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_string() } else { format!("{path}.{name}") }
}

fn inside(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" of {}", quoted(path)) }
}
