//! Every rule of schemas at its edges, with the sentence a refusal says; the way to the wire and to Arrow and back.

use proptest::prelude::*;
use sluice_proto::gateway::v1 as wire;
use wire::TypeKind;

use super::*;
use crate::{limits::*, testing::any_schema};

fn one(name: &str, kind: Kind) -> Result<Schema, SchemaError> {
    Schema::new(vec![Field::new(name, DataType::nullable(kind))])
}

fn refusal(name: &str, kind: Kind) -> String {
    one(name, kind).unwrap_err().to_string()
}

/// `depth` levels: ARRAYs around an INT.
fn nested(depth: usize) -> Kind {
    (1..depth).fold(Kind::Integer, |kind, _| Kind::Array(Box::new(DataType::nullable(kind))))
}

#[test]
fn parameters_at_their_edges() {
    for good in [
        Kind::Decimal { precision: 1, scale: 0 },
        Kind::Decimal { precision: 38, scale: 38 },
        Kind::Char(1),
        Kind::VarBinary(TYPE_LENGTH_MAX),
        Kind::Time(9),
        Kind::Timestamp(0),
        nested(SCHEMA_DEPTH_MAX),
    ] {
        one("a", good.clone()).unwrap_or_else(|error| panic!("{good}: {error}"));
    }
    for (bad, why) in [
        (Kind::Decimal { precision: 0, scale: 0 }, "DECIMAL has precision 0, 1 to 38 is allowed"),
        (Kind::Decimal { precision: 39, scale: 0 }, "DECIMAL has precision 39, 1 to 38 is allowed"),
        (Kind::Decimal { precision: 5, scale: 6 }, "DECIMAL has scale 6, 0 to its precision 5 is allowed"),
        (Kind::Char(0), "length 0 is not allowed, 1 to 2147483647 is"),
        (Kind::VarBinary(TYPE_LENGTH_MAX + 1), "length 2147483648 is not allowed, 1 to 2147483647 is"),
        (Kind::TimestampLtz(10), "precision 10 is not allowed, 0 to 9 is"),
        (Kind::Row(vec![]), "ROW has no fields, at least one is needed"),
    ] {
        assert_eq!(refusal("a", bad), format!("schema is not valid: column `a`: {why}"));
    }
    assert_eq!(refusal("a", nested(SCHEMA_DEPTH_MAX + 1)), "schema has 17 levels of nesting, at most 16 are allowed");
}

#[test]
fn names_of_columns() {
    assert!(one("a b/🦀", Kind::Integer).is_ok());
    let reserved = "schema is not valid: column name `_offset` starts with `_`, which is reserved for system columns";
    assert_eq!(refusal("_offset", Kind::Integer), reserved);
    assert_eq!(refusal("", Kind::Integer), "schema is not valid: a column has an empty name");
    assert!(refusal(&"a".repeat(FIELD_NAME_BYTES_MAX + 1), Kind::Integer).contains("at most 1024 are allowed"));
    // Only top-level names are reserved; siblings must differ at every level.
    let row = |names: [&str; 2]| Kind::Row(names.map(|n| Field::new(n, DataType::nullable(Kind::Date))).into());
    assert!(one("r", row(["_x", "y"])).is_ok());
    assert_eq!(refusal("r", row(["x", "x"])), "schema is not valid: the column name `x` occurs twice of `r`");
    assert_eq!(
        Schema::new(vec![]).unwrap_err().to_string(),
        "schema is not valid: it has no columns, at least one is needed"
    );
}

#[test]
fn all_fields_count_nested_ones_too() {
    let columns = |n: usize| (0..n).map(|i| Field::new(format!("c{i}"), DataType::nullable(Kind::Integer)));
    assert!(Schema::new(columns(SCHEMA_FIELDS_MAX).collect()).is_ok());
    assert!(Schema::new(columns(SCHEMA_FIELDS_MAX + 1).collect()).is_err());
    let mut with_map: Vec<Field> = columns(SCHEMA_FIELDS_MAX - 3).collect();
    let integer = || Box::new(DataType::required(Kind::Integer));
    with_map.push(Field::new("m", DataType::nullable(Kind::Map { key: integer(), value: integer() })));
    assert!(Schema::new(with_map.clone()).is_ok());
    with_map.extend(columns(1).map(|field| Field { name: "last".into(), ..field }));
    let error = Schema::new(with_map).unwrap_err().to_string();
    assert_eq!(error, "schema has 1025 fields, nested ones counted, at most 1024 are allowed");
}

#[test]
fn a_nullable_map_key_is_refused() {
    let key = Box::new(DataType::nullable(Kind::Integer));
    let error = refusal("m", Kind::Map { value: key.clone(), key });
    assert_eq!(error, "schema is not valid: column `m`: the key of a MAP must be NOT NULL");
}

#[test]
fn types_print_as_flink_writes_them() {
    let row = Kind::Row(vec![
        Field::new("x`y", DataType::required(Kind::Decimal { precision: 10, scale: 2 })),
        Field::new("z", DataType::nullable(nested(2))),
    ]);
    assert_eq!(DataType::required(row).to_string(), "ROW<`x``y` DECIMAL(10, 2) NOT NULL, `z` ARRAY<INT>> NOT NULL");
    assert_eq!(
        bytes_schema().to_string(),
        "`key` BYTES, `value` BYTES NOT NULL, `event_time` TIMESTAMP(3), \
         `headers` MAP<STRING NOT NULL, BYTES NOT NULL>"
    );
    assert_eq!(Kind::VarChar(7).to_string(), "VARCHAR(7)");
    assert_eq!(Kind::TimestampLtz(6).to_string(), "TIMESTAMP_LTZ(6)");
}

#[test]
fn timestamps_have_the_unit_their_precision_needs() {
    use ::arrow::datatypes::{DataType as ArrowType, TimeUnit::*};
    let units = [Millisecond, Millisecond, Millisecond, Millisecond, Microsecond, Microsecond, Microsecond];
    for (precision, unit) in units.into_iter().chain([Nanosecond; 3]).enumerate() {
        let arrow = |kind| one("t", kind).unwrap().to_arrow().field(0).data_type().clone();
        let precision = precision as u8;
        assert_eq!(arrow(Kind::Timestamp(precision)), ArrowType::Timestamp(unit, None));
        assert_eq!(arrow(Kind::TimestampLtz(precision)), ArrowType::Timestamp(unit, Some("UTC".into())));
    }
}

#[test]
fn what_arrow_cannot_say_is_in_the_metadata() {
    let said = |kind: Kind| one("c", kind).unwrap().to_arrow().field(0).metadata().get(TYPE_METADATA_KEY).cloned();
    assert_eq!(said(Kind::Char(10)).as_deref(), Some("CHAR(10)"));
    assert_eq!(said(Kind::TimestampLtz(5)).as_deref(), Some("TIMESTAMP_LTZ(5)"));
    assert_eq!(said(Kind::Time(0)).as_deref(), Some("TIME(0)"));
    assert_eq!(said(Kind::VarChar(TYPE_LENGTH_MAX)), None);
    assert_eq!(said(Kind::Timestamp(6)), None);
}

#[test]
fn the_bytes_schema_has_its_columns_in_place() {
    let schema = bytes_schema();
    for (name, index) in
        [("key", BYTES_KEY), ("value", BYTES_VALUE), ("event_time", BYTES_EVENT_TIME), ("headers", BYTES_HEADERS)]
    {
        assert_eq!(schema.index_of(name), Some(index));
    }
}

#[test]
fn routing_columns_exist_are_plain_and_differ() {
    let schema = bytes_schema();
    assert_eq!(schema.routing_columns(&["event_time", "key"]), Ok(vec![2, 0]));
    assert_eq!(schema.routing_columns::<&str>(&[]), Ok(vec![]));
    let refused = |names: &[&str]| schema.routing_columns(names).unwrap_err().to_string();
    assert_eq!(refused(&["Key"]), "routing key is not valid: there is no column `Key`");
    assert_eq!(refused(&["key", "key"]), "routing key is not valid: column `key` is named twice");
    assert!(refused(&["headers"]).contains("ARRAY, MAP and ROW cannot choose a segment"));
}

#[test]
fn a_difference_names_the_first_column() {
    let schema = |fields: &[(&str, Kind)]| {
        Schema::new(fields.iter().map(|(n, k)| Field::new(*n, DataType::nullable(k.clone()))).collect()).unwrap()
    };
    let stream = schema(&[("a", Kind::Integer), ("b", Kind::BigInt)]);
    assert_eq!(stream.diff(&stream.clone()), None);
    for (given, sentence) in [
        (schema(&[("a", Kind::Integer), ("b", Kind::Date)]), "column 2 `b` is DATE, the stream has BIGINT"),
        (schema(&[("a", Kind::Integer), ("x", Kind::BigInt)]), "column 2 is `x`, the stream has `b` there"),
        (schema(&[("a", Kind::Integer)]), "column 2 `b` of the stream is missing"),
    ] {
        assert_eq!(given.diff(&stream).as_deref(), Some(sentence));
    }
    let longer = schema(&[("a", Kind::Integer), ("b", Kind::BigInt), ("c", Kind::Date)]);
    assert_eq!(longer.diff(&stream).as_deref(), Some("column 3 `c` is not in the stream, which has 2"));
}

fn wire_schema(data_type: wire::DataType) -> Result<Schema, SchemaError> {
    Schema::try_from(wire::Schema { fields: vec![wire::Field { name: "a".into(), r#type: Some(data_type) }] })
}

fn wire_type(kind: TypeKind) -> wire::DataType {
    wire::DataType { kind: kind.into(), nullable: true, ..Default::default() }
}

#[test]
fn the_wire_is_read_strictly() {
    let refused = |data_type| wire_schema(data_type).unwrap_err().to_string();
    assert_eq!(
        refused(wire::DataType { kind: 27, ..Default::default() }),
        "column `a` has the type number 27, which Sluice does not store"
    );
    assert!(refused(wire_type(TypeKind::Unspecified)).contains("its type is not given"));
    let with_length = wire::DataType { length: 3, ..wire_type(TypeKind::Bigint) };
    assert_eq!(refused(with_length), "schema is not valid: column `a`: BIGINT has no length");
    let huge = wire::DataType { precision: 256 + 10, ..wire_type(TypeKind::Decimal) };
    assert!(refused(huge).contains("1 to 38 is allowed"));
    let child = |name: &str| wire::Field { name: name.into(), r#type: Some(wire_type(TypeKind::Date)) };
    let array = wire::DataType { children: vec![child("element")], ..wire_type(TypeKind::Array) };
    assert!(refused(array).contains("exactly one child, named `item`"));
    let map = wire::DataType { children: vec![child("key")], ..wire_type(TypeKind::Map) };
    assert!(refused(map).contains("exactly two children"));
    let untyped = wire::Schema { fields: vec![wire::Field { name: "a".into(), r#type: None }] };
    assert!(Schema::try_from(untyped).unwrap_err().to_string().contains("it has no type"));
}

#[test]
fn deep_wire_schemas_are_refused() {
    let mut data_type = wire_type(TypeKind::Integer);
    // prost reads messages nested at most 100 deep, two per level.
    for _ in 0..50 {
        let item = wire::Field { name: "item".into(), r#type: Some(data_type) };
        data_type = wire::DataType { children: vec![item], ..wire_type(TypeKind::Array) };
    }
    let error = wire_schema(data_type).unwrap_err().to_string();
    assert_eq!(error, "schema has 17 levels of nesting, at most 16 are allowed");
}

#[test]
fn foreign_arrow_types_are_refused_by_name() {
    use ::arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Schema as ArrowSchema, TimeUnit};
    for foreign in [
        ArrowType::UInt32,
        ArrowType::LargeUtf8,
        ArrowType::Timestamp(TimeUnit::Second, None),
        ArrowType::Timestamp(TimeUnit::Millisecond, Some("Europe/Berlin".into())),
        ArrowType::Decimal128(10, -2),
    ] {
        let arrow = ArrowSchema::new(vec![ArrowField::new("a", foreign.clone(), true)]);
        let error = Schema::from_arrow(&arrow).unwrap_err().to_string();
        assert_eq!(error, format!("column `a` has the type {foreign}, which Sluice does not store"));
    }
    let lying = ArrowField::new("a", ArrowType::Int32, true)
        .with_metadata([(TYPE_METADATA_KEY.to_string(), "CHAR(3)".to_string())].into());
    let error = Schema::from_arrow(&ArrowSchema::new(vec![lying])).unwrap_err().to_string();
    assert!(error.contains("does not fit the Arrow type Int32"), "{error}");
}

proptest! {
    #[test]
    fn schemas_round_trip_over_wire_and_arrow(schema in any_schema()) {
        let there = wire::Schema::from(&schema);
        prop_assert_eq!(&Schema::try_from(&there).unwrap(), &schema);
        prop_assert_eq!(&Schema::from_arrow(&schema.to_arrow()).unwrap(), &schema);
        prop_assert_eq!(schema.diff(&schema), None);
    }

    #[test]
    fn schemas_differ_if_and_only_if_a_difference_is_named(a in any_schema(), b in any_schema()) {
        prop_assert_eq!(a.diff(&b).is_none(), a == b);
    }
}
