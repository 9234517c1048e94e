//! One column being built from text or JSON.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder,
        Int8Builder, Int16Builder, Int32Builder, Int64Builder, ListArray, MapArray, StringBuilder, StructArray,
        Time32MillisecondBuilder,
    },
    buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer},
    compute::cast,
    datatypes::DataType as ArrowType,
};
use serde_json::value::RawValue;
use sluice_schema::types::{DataType, Field, Kind};

use super::{json_fault, scalar};

/// A column of a type.
#[derive(Debug)]
pub(super) struct Column {
    data_type: DataType,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Boolean(BooleanBuilder),
    TinyInt(Int8Builder),
    SmallInt(Int16Builder),
    Integer(Int32Builder),
    BigInt(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Decimal(Decimal128Builder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    Date(Date32Builder),
    Time(Time32MillisecondBuilder),
    /// In the unit of the precision.
    Timestamp(Int64Builder),
    List {
        item: Box<Column>,
        runs: Runs,
    },
    Map {
        key: Box<Column>,
        value: Box<Column>,
        runs: Runs,
    },
    Row {
        fields: Vec<(String, Column)>,
        valid: Vec<bool>,
    },
}

/// Where the children of each row end.
#[derive(Debug)]
struct Runs {
    ends: Vec<i32>,
    valid: Vec<bool>,
}

impl Runs {
    fn new() -> Self {
        Self { ends: vec![0], valid: Vec::new() }
    }

    fn push(&mut self, children: Option<usize>) -> Result<(), String> {
        let before = self.ends.last().copied().unwrap_or_default();
        let end = i32::try_from(children.unwrap_or_default()).ok().and_then(|count| before.checked_add(count));
        self.ends.push(end.ok_or("too many values in one batch")?);
        self.valid.push(children.is_some());
        Ok(())
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Option<NullBuffer>) {
        let ends = std::mem::replace(&mut self.ends, vec![0]);
        (OffsetBuffer::new(ScalarBuffer::from(ends)), nulls(std::mem::take(&mut self.valid)))
    }
}

fn nulls(valid: Vec<bool>) -> Option<NullBuffer> {
    valid.contains(&false).then(|| NullBuffer::new(BooleanBuffer::from(valid)))
}

impl Column {
    pub fn new(data_type: &DataType) -> Self {
        let child = |data_type: &DataType| Box::new(Column::new(data_type));
        let values = match &data_type.kind {
            Kind::Boolean => Values::Boolean(BooleanBuilder::new()),
            Kind::TinyInt => Values::TinyInt(Int8Builder::new()),
            Kind::SmallInt => Values::SmallInt(Int16Builder::new()),
            Kind::Integer => Values::Integer(Int32Builder::new()),
            Kind::BigInt => Values::BigInt(Int64Builder::new()),
            Kind::Float => Values::Float(Float32Builder::new()),
            Kind::Double => Values::Double(Float64Builder::new()),
            Kind::Decimal { .. } => Values::Decimal(Decimal128Builder::new()),
            Kind::Char(_) | Kind::VarChar(_) => Values::Text(StringBuilder::new()),
            Kind::Binary(_) | Kind::VarBinary(_) => Values::Bytes(BinaryBuilder::new()),
            Kind::Date => Values::Date(Date32Builder::new()),
            Kind::Time(_) => Values::Time(Time32MillisecondBuilder::new()),
            Kind::Timestamp(_) | Kind::TimestampLtz(_) => Values::Timestamp(Int64Builder::new()),
            Kind::Array(item) => Values::List { item: child(item), runs: Runs::new() },
            Kind::Map { key, value } => Values::Map { key: child(key), value: child(value), runs: Runs::new() },
            Kind::Row(fields) => {
                let column = |field: &Field| (field.name.clone(), Column::new(&field.data_type));
                Values::Row { fields: fields.iter().map(column).collect(), valid: Vec::new() }
            }
        };
        Self { data_type: data_type.clone(), values }
    }

    /// Adds null, if the type allows it.
    pub fn push_null(&mut self) -> Result<(), String> {
        if !self.data_type.nullable {
            return Err("it is null, but NOT NULL".into());
        }
        self.push_nothing()
    }

    /// Adds a null, whatever the type says: inside a null ROW its fields are null, too.
    fn push_nothing(&mut self) -> Result<(), String> {
        match &mut self.values {
            Values::Boolean(values) => values.append_null(),
            Values::TinyInt(values) => values.append_null(),
            Values::SmallInt(values) => values.append_null(),
            Values::Integer(values) => values.append_null(),
            Values::BigInt(values) | Values::Timestamp(values) => values.append_null(),
            Values::Float(values) => values.append_null(),
            Values::Double(values) => values.append_null(),
            Values::Decimal(values) => values.append_null(),
            Values::Text(values) => values.append_null(),
            Values::Bytes(values) => values.append_null(),
            Values::Date(values) => values.append_null(),
            Values::Time(values) => values.append_null(),
            Values::List { runs, .. } | Values::Map { runs, .. } => runs.push(None)?,
            Values::Row { fields, valid } => {
                for (_, column) in fields {
                    match column.data_type.nullable {
                        true => column.push_nothing()?,
                        false => column.push_placeholder()?,
                    }
                }
                valid.push(false);
            }
        }
        Ok(())
    }

    /// Something for a NOT NULL field of a ROW that is null itself; nobody sees it.
    fn push_placeholder(&mut self) -> Result<(), String> {
        match &mut self.values {
            Values::Boolean(values) => values.append_value(false),
            Values::TinyInt(values) => values.append_value(0),
            Values::SmallInt(values) => values.append_value(0),
            Values::Integer(values) => values.append_value(0),
            Values::BigInt(values) | Values::Timestamp(values) => values.append_value(0),
            Values::Float(values) => values.append_value(0.0),
            Values::Double(values) => values.append_value(0.0),
            Values::Decimal(values) => values.append_value(0),
            Values::Text(values) => values.append_value(scalar::characters("", &self.data_type.kind)?),
            Values::Bytes(values) => values.append_value(scalar::bytes("", &self.data_type.kind)?),
            Values::Date(values) => values.append_value(0),
            Values::Time(values) => values.append_value(0),
            Values::List { runs, .. } | Values::Map { runs, .. } => runs.push(Some(0))?,
            Values::Row { fields, valid } => {
                for (_, column) in fields {
                    column.push_placeholder()?;
                }
                valid.push(true);
            }
        }
        Ok(())
    }

    /// Adds a value from a CSV field; nested types are JSON in it.
    pub fn push_text(&mut self, text: &str) -> Result<(), String> {
        let kind = &self.data_type.kind;
        match &mut self.values {
            Values::Boolean(values) => values.append_value(scalar::boolean(text)?),
            Values::TinyInt(values) => values.append_value(scalar::integer(text, kind)?),
            Values::SmallInt(values) => values.append_value(scalar::integer(text, kind)?),
            Values::Integer(values) => values.append_value(scalar::integer(text, kind)?),
            Values::BigInt(values) => values.append_value(scalar::integer(text, kind)?),
            Values::Float(values) => values.append_value(scalar::float(text, kind)?),
            Values::Double(values) => values.append_value(scalar::float(text, kind)?),
            Values::Decimal(values) => match kind {
                Kind::Decimal { precision, scale } => values.append_value(scalar::decimal(text, *precision, *scale)?),
                _ => return Err(scalar::unfit(text, kind)),
            },
            Values::Text(values) => values.append_value(scalar::characters(text, kind)?),
            Values::Bytes(values) => values.append_value(scalar::bytes(text, kind)?),
            Values::Date(values) => values.append_value(scalar::date(text)?),
            Values::Time(values) => match kind {
                Kind::Time(precision) => values.append_value(scalar::time(text, *precision)?),
                _ => return Err(scalar::unfit(text, kind)),
            },
            Values::Timestamp(values) => match kind {
                Kind::Timestamp(precision) => values.append_value(scalar::timestamp(text, *precision)?),
                Kind::TimestampLtz(precision) => values.append_value(scalar::timestamp_ltz(text, *precision)?),
                _ => return Err(scalar::unfit(text, kind)),
            },
            Values::List { .. } | Values::Map { .. } | Values::Row { .. } => {
                let raw: &RawValue = serde_json::from_str(text)
                    .map_err(|e| format!("{} is no JSON: {}", scalar::shown(text), json_fault(&e)))?;
                return self.push_json(raw);
            }
        }
        Ok(())
    }

    /// Adds a JSON value.
    pub fn push_json(&mut self, raw: &RawValue) -> Result<(), String> {
        let text = raw.get();
        if text == "null" {
            return self.push_null();
        }
        let kind = &self.data_type.kind;
        match &mut self.values {
            Values::List { item, runs } => {
                let items: Vec<&RawValue> = json(text, "an array")?;
                for (index, raw) in items.iter().enumerate() {
                    item.push_json(raw).map_err(|e| format!("item {}: {e}", index + 1))?;
                }
                runs.push(Some(items.len()))
            }
            Values::Map { key, value, runs } => {
                let pairs = pairs(text)?;
                for pair in &pairs {
                    match &pair.key {
                        MapKey::Text(text) => key.push_text(text),
                        MapKey::Json(raw) => key.push_json(raw),
                    }
                    .map_err(|e| format!("key: {e}"))?;
                    match pair.value {
                        Some(raw) => value.push_json(raw),
                        None => value.push_null(),
                    }
                    .map_err(|e| format!("value: {e}"))?;
                }
                runs.push(Some(pairs.len()))
            }
            Values::Row { fields, valid } => {
                let mut given: BTreeMap<String, &RawValue> = json(text, "an object")?;
                for (name, column) in fields {
                    let pushed = match given.remove(name) {
                        Some(raw) => column.push_json(raw),
                        None => column.push_null(),
                    };
                    pushed.map_err(|e| format!("field `{name}`: {e}"))?;
                }
                if let Some(unknown) = given.keys().next() {
                    return Err(format!("the ROW has no field `{unknown}`"));
                }
                valid.push(true);
                Ok(())
            }
            _ => {
                let text = plain_json(text, kind)?;
                self.push_text(&text)
            }
        }
    }

    /// The column as an array of the Arrow type that belongs to its type; leaves it empty.
    pub fn take(&mut self, arrow: &ArrowType) -> Result<ArrayRef, String> {
        let wrong = || format!("{} is no Arrow type of {}", arrow, self.data_type.kind);
        let array: ArrayRef = match &mut self.values {
            Values::Boolean(values) => Arc::new(values.finish()),
            Values::TinyInt(values) => Arc::new(values.finish()),
            Values::SmallInt(values) => Arc::new(values.finish()),
            Values::Integer(values) => Arc::new(values.finish()),
            Values::BigInt(values) => Arc::new(values.finish()),
            Values::Float(values) => Arc::new(values.finish()),
            Values::Double(values) => Arc::new(values.finish()),
            Values::Decimal(values) => Arc::new(values.finish().with_data_type(arrow.clone())),
            Values::Text(values) => Arc::new(values.finish()),
            Values::Bytes(values) => Arc::new(values.finish()),
            Values::Date(values) => Arc::new(values.finish()),
            Values::Time(values) => Arc::new(values.finish()),
            Values::Timestamp(values) => cast(&values.finish(), arrow).map_err(|e| e.to_string())?,
            Values::List { item, runs } => {
                let ArrowType::List(field) = arrow else { return Err(wrong()) };
                let (offsets, nulls) = runs.take();
                let items = item.take(field.data_type())?;
                Arc::new(ListArray::try_new(field.clone(), offsets, items, nulls).map_err(|e| e.to_string())?)
            }
            Values::Map { key, value, runs } => {
                let ArrowType::Map(entries, ordered) = arrow else { return Err(wrong()) };
                let ArrowType::Struct(fields) = entries.data_type() else { return Err(wrong()) };
                let (offsets, nulls) = runs.take();
                let columns = vec![key.take(fields[0].data_type())?, value.take(fields[1].data_type())?];
                let pairs = StructArray::try_new(fields.clone(), columns, None).map_err(|e| e.to_string())?;
                let map = MapArray::try_new(entries.clone(), offsets, pairs, nulls, *ordered);
                Arc::new(map.map_err(|e| e.to_string())?)
            }
            Values::Row { fields, valid } => {
                let ArrowType::Struct(types) = arrow else { return Err(wrong()) };
                let valid = std::mem::take(valid);
                let rows = valid.len();
                let columns = fields.iter_mut().zip(types);
                let columns: Vec<ArrayRef> =
                    columns.map(|((_, column), field)| column.take(field.data_type())).collect::<Result<_, _>>()?;
                let row = StructArray::try_new_with_length(types.clone(), columns, nulls(valid), rows);
                Arc::new(row.map_err(|e| e.to_string())?)
            }
        };
        Ok(array)
    }
}

struct Pair<'a> {
    key: MapKey<'a>,
    value: Option<&'a RawValue>,
}

enum MapKey<'a> {
    Text(String),
    Json(&'a RawValue),
}

/// The pairs of a map: an object, or an array of objects with `key` and `value`.
fn pairs(text: &str) -> Result<Vec<Pair<'_>>, String> {
    if text.starts_with('{') {
        let object: BTreeMap<String, &RawValue> = json(text, "an object")?;
        let pair = |(key, value)| Pair { key: MapKey::Text(key), value: Some(value) };
        return Ok(object.into_iter().map(pair).collect());
    }
    let list: Vec<BTreeMap<String, &RawValue>> = json(text, "an object or an array of objects with `key` and `value`")?;
    let pair = |mut object: BTreeMap<String, _>| {
        let key = object.remove("key").ok_or("a map's pair has no `key`")?;
        let value = object.remove("value");
        match object.keys().next() {
            Some(other) => Err(format!("a map's pair has `key` and `value`, not `{other}`")),
            None => Ok(Pair { key: MapKey::Json(key), value }),
        }
    };
    list.into_iter().map(pair).collect()
}

fn json<'a, T: serde::Deserialize<'a>>(text: &'a str, what: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|_| format!("{} is not {what}", scalar::shown(text)))
}

/// The text of a JSON value of a plain type; strings stand for everything but booleans and integers.
fn plain_json<'a>(text: &'a str, kind: &Kind) -> Result<Cow<'a, str>, String> {
    let numeric = matches!(
        kind,
        Kind::TinyInt
            | Kind::SmallInt
            | Kind::Integer
            | Kind::BigInt
            | Kind::Float
            | Kind::Double
            | Kind::Decimal { .. }
    );
    match text.as_bytes().first() {
        Some(b'"') if *kind == Kind::Boolean => Err(scalar::unfit(text, kind)),
        Some(b'"') => {
            let inner: String = json(text, "a string")?;
            Ok(Cow::Owned(inner))
        }
        Some(b't' | b'f') if *kind == Kind::Boolean => Ok(Cow::Borrowed(text)),
        Some(b'-' | b'0'..=b'9') if numeric => Ok(Cow::Borrowed(text)),
        _ => Err(scalar::unfit(text, kind)),
    }
}
