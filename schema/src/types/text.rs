//! Types as Flink SQL writes them.

use std::fmt;

use super::{DataType, Field, Kind, Schema};
use crate::limits::TYPE_LENGTH_MAX;

/// How much of a column's name an error repeats.
const SHOWN_CHARS_MAX: usize = 80;

/// A column's name for an error: in backticks, control characters escaped, shortened if long.
pub(crate) fn quoted(name: &str) -> String {
    let shown = name.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug);
    let dots = if name.chars().nth(SHOWN_CHARS_MAX).is_some() { "…" } else { "" };
    format!("`{}{dots}`", shown.collect::<String>())
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::TinyInt => f.write_str("TINYINT"),
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Integer => f.write_str("INT"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Float => f.write_str("FLOAT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision}, {scale})"),
            Self::Char(length) => write!(f, "CHAR({length})"),
            Self::VarChar(TYPE_LENGTH_MAX) => f.write_str("STRING"),
            Self::VarChar(length) => write!(f, "VARCHAR({length})"),
            Self::Binary(length) => write!(f, "BINARY({length})"),
            Self::VarBinary(TYPE_LENGTH_MAX) => f.write_str("BYTES"),
            Self::VarBinary(length) => write!(f, "VARBINARY({length})"),
            Self::Date => f.write_str("DATE"),
            Self::Time(precision) => write!(f, "TIME({precision})"),
            Self::Timestamp(precision) => write!(f, "TIMESTAMP({precision})"),
            Self::TimestampLtz(precision) => write!(f, "TIMESTAMP_LTZ({precision})"),
            Self::Array(item) => write!(f, "ARRAY<{item}>"),
            Self::Map { key, value } => write!(f, "MAP<{key}, {value}>"),
            Self::Row(fields) => {
                f.write_str("ROW<")?;
                columns(fields, f)?;
                f.write_str(">")
            }
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.kind, f)?;
        if self.nullable { Ok(()) } else { f.write_str(" NOT NULL") }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.name.replace('`', "``"), self.data_type)
    }
}

impl fmt::Display for Schema {
    /// The column list of a CREATE TABLE, without its parentheses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        columns(self.fields(), f)
    }
}

fn columns(fields: &[Field], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (i, field) in fields.iter().enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        write!(f, "{comma}{field}")?;
    }
    Ok(())
}
