//! Schemas: the columns of a stream and the types of Flink SQL that Sluice stores.
//!
//! A [`Schema`] that exists is valid: it is made only by [`Schema::new`], which checks names, depth, number of fields
//! and every type's parameters. Its Arrow form is made once and shared.
//!
//! | here | Flink SQL | Arrow |
//! |---|---|---|
//! | `Boolean` | BOOLEAN | Boolean |
//! | `TinyInt` .. `BigInt` | TINYINT, SMALLINT, INT, BIGINT | Int8, Int16, Int32, Int64 |
//! | `Float`, `Double` | FLOAT, DOUBLE | Float32, Float64, every bit pattern kept |
//! | `Decimal` | DECIMAL(p, s) | Decimal128(p, s) |
//! | `Char`, `VarChar` | CHAR(n), VARCHAR(n), STRING | Utf8 |
//! | `Binary`, `VarBinary` | BINARY(n), VARBINARY(n), BYTES | Binary |
//! | `Date`, `Time` | DATE, TIME(p) | Date32, Time32(ms) |
//! | `Timestamp` | TIMESTAMP(p) | Timestamp: p 0..=3 ms, 4..=6 us, 7..=9 ns |
//! | `TimestampLtz` | TIMESTAMP_LTZ(p) | the same with time zone UTC |
//! | `Array`, `Map`, `Row` | ARRAY, MAP, ROW | List, Map, Struct |
//!
//! What Arrow cannot say (a length, a precision) is kept in the Arrow field's metadata under [`TYPE_METADATA_KEY`].

mod arrow;
mod check;
mod diff;
mod text;
mod wire;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::{Arc, OnceLock};

use ::arrow::datatypes::SchemaRef;

use crate::limits::TYPE_LENGTH_MAX;

pub use arrow::TYPE_METADATA_KEY;

/// Why something is not a schema, not the stream's schema, or not usable as routing key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A schema breaks a rule.
    #[error("schema is not valid: {0}")]
    Invalid(String),
    /// A column's name is reserved, empty or there twice.
    #[error("schema is not valid: {0}")]
    ColumnName(String),
    /// A schema is larger than a limit.
    #[error("schema has {actual} {what}, at most {limit} are allowed")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there is; where counting stopped.
        actual: usize,
        /// The limit.
        limit: usize,
    },
    /// A type Sluice does not store.
    #[error("column `{column}` has the type {given}, which Sluice does not store")]
    UnsupportedType {
        /// The column, with the way to it if nested.
        column: String,
        /// The type's name.
        given: String,
    },
    /// The routing key does not fit the schema.
    #[error("routing key is not valid: {0}")]
    RoutingKey(String),
    /// Rows or a batch have other columns than the schema.
    #[error("rows do not fit the stream's schema: {0}")]
    Mismatch(String),
}

/// A type without its nullability.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Kind {
    /// BOOLEAN.
    Boolean,
    /// TINYINT: 8 bits.
    TinyInt,
    /// SMALLINT: 16 bits.
    SmallInt,
    /// INT: 32 bits.
    Integer,
    /// BIGINT: 64 bits.
    BigInt,
    /// FLOAT: IEEE single.
    Float,
    /// DOUBLE: IEEE double.
    Double,
    /// DECIMAL.
    Decimal {
        /// Digits, 1..=38.
        precision: u8,
        /// Digits after the point, 0..=precision.
        scale: u8,
    },
    /// CHAR: characters, padded by the writer; validation refuses longer values.
    Char(u32),
    /// VARCHAR: characters at most; 2147483647 is STRING.
    VarChar(u32),
    /// BINARY: bytes, padded by the writer; validation refuses longer values.
    Binary(u32),
    /// VARBINARY: bytes at most; 2147483647 is BYTES.
    VarBinary(u32),
    /// DATE.
    Date,
    /// TIME with digits of a second, 0..=9; Flink keeps milliseconds.
    Time(u8),
    /// TIMESTAMP without time zone, with digits of a second, 0..=9.
    Timestamp(u8),
    /// TIMESTAMP with local time zone, with digits of a second, 0..=9.
    TimestampLtz(u8),
    /// ARRAY of this type.
    Array(Box<DataType>),
    /// MAP.
    Map {
        /// Never null.
        key: Box<DataType>,
        /// The value.
        value: Box<DataType>,
    },
    /// ROW with its fields.
    Row(Vec<Field>),
}

/// A type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DataType {
    /// Which.
    pub kind: Kind,
    /// Whether null is allowed.
    pub nullable: bool,
}

impl DataType {
    /// A type that allows null.
    pub fn nullable(kind: Kind) -> Self {
        Self { kind, nullable: true }
    }

    /// A type that does not.
    pub fn required(kind: Kind) -> Self {
        Self { kind, nullable: false }
    }

    /// Whether values of this type can choose a segment: everything but ARRAY, MAP and ROW.
    pub fn is_routable(&self) -> bool {
        !matches!(self.kind, Kind::Array(_) | Kind::Map { .. } | Kind::Row(_))
    }
}

/// A column, or a field of a ROW.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
}

impl Field {
    /// A column.
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Self { name: name.into(), data_type }
    }
}

/// The columns of a stream, in order; always valid. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Schema {
    fields: Arc<[Field]>,
    arrow: SchemaRef,
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields
    }
}

impl Eq for Schema {}

impl Schema {
    /// Checks the columns.
    pub fn new(fields: Vec<Field>) -> Result<Self, SchemaError> {
        check::check(&fields)?;
        let arrow = Arc::new(arrow::schema_to_arrow(&fields));
        Ok(Self { fields: fields.into(), arrow })
    }

    /// The columns.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The Arrow form: one top-level field per column, in order.
    pub fn to_arrow(&self) -> SchemaRef {
        Arc::clone(&self.arrow)
    }

    /// The index of a top-level column.
    pub fn index_of(&self, column: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == column)
    }

    /// The indices of a routing key's columns, in the key's order. An empty key is allowed: rows then have none.
    ///
    /// Refused: a column that does not exist, is nested, or is named twice.
    pub fn routing_columns<S: AsRef<str>>(&self, routing_key: &[S]) -> Result<Vec<usize>, SchemaError> {
        let mut columns = Vec::with_capacity(routing_key.len());
        for name in routing_key {
            let name = name.as_ref();
            let shown = text::quoted(name);
            let Some(index) = self.index_of(name) else {
                return Err(SchemaError::RoutingKey(format!("there is no column {shown}")));
            };
            let data_type = &self.fields[index].data_type;
            if !data_type.is_routable() {
                let why = format!("column {shown} is {data_type}; ARRAY, MAP and ROW cannot choose a segment");
                return Err(SchemaError::RoutingKey(why));
            }
            if columns.contains(&index) {
                return Err(SchemaError::RoutingKey(format!("column {shown} is named twice")));
            }
            columns.push(index);
        }
        Ok(columns)
    }

    /// The first difference to what is expected, as one sentence that names the column; `None`: equal.
    pub fn diff(&self, expected: &Self) -> Option<String> {
        diff::first_difference(&self.fields, &expected.fields)
    }
}

/// Position of `key` in the bytes schema.
pub const BYTES_KEY: usize = 0;
/// Position of `value` in the bytes schema.
pub const BYTES_VALUE: usize = 1;
/// Position of `event_time` in the bytes schema.
pub const BYTES_EVENT_TIME: usize = 2;
/// Position of `headers` in the bytes schema.
pub const BYTES_HEADERS: usize = 3;

/// The built-in schema of opaque bytes:
/// `{key: BYTES, value: BYTES NOT NULL, event_time: TIMESTAMP(3), headers: MAP<STRING NOT NULL, BYTES NOT NULL>}`.
pub fn bytes_schema() -> Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    let make = || {
        let bytes = Kind::VarBinary(TYPE_LENGTH_MAX);
        let headers = Kind::Map {
            key: Box::new(DataType::required(Kind::VarChar(TYPE_LENGTH_MAX))),
            value: Box::new(DataType::required(bytes.clone())),
        };
        let fields = vec![
            Field::new("key", DataType::nullable(bytes.clone())),
            Field::new("value", DataType::required(bytes)),
            Field::new("event_time", DataType::nullable(Kind::Timestamp(3))),
            Field::new("headers", DataType::nullable(headers)),
        ];
        Schema::new(fields).expect("the built-in schema keeps the rules")
    };
    SCHEMA.get_or_init(make).clone()
}
