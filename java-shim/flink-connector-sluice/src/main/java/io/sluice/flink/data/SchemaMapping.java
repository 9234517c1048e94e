package io.sluice.flink.data;

import io.sluice.proto.gateway.v1.DataType;
import io.sluice.proto.gateway.v1.Field;
import io.sluice.proto.gateway.v1.Schema;
import io.sluice.proto.gateway.v1.TypeKind;
import org.apache.flink.annotation.Internal;
import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.BigIntType;
import org.apache.flink.table.types.logical.BinaryType;
import org.apache.flink.table.types.logical.BooleanType;
import org.apache.flink.table.types.logical.CharType;
import org.apache.flink.table.types.logical.DateType;
import org.apache.flink.table.types.logical.DecimalType;
import org.apache.flink.table.types.logical.DoubleType;
import org.apache.flink.table.types.logical.FloatType;
import org.apache.flink.table.types.logical.IntType;
import org.apache.flink.table.types.logical.LocalZonedTimestampType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.MapType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.SmallIntType;
import org.apache.flink.table.types.logical.TimeType;
import org.apache.flink.table.types.logical.TimestampType;
import org.apache.flink.table.types.logical.TinyIntType;
import org.apache.flink.table.types.logical.VarBinaryType;
import org.apache.flink.table.types.logical.VarCharType;
import org.apache.flink.table.types.logical.utils.LogicalTypeChecks;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Flink's logical types as Sluice's schema and back. */
@Internal
public final class SchemaMapping {

    /** Id of the built-in schema {@code {key?, value, event_time?, headers?}}. */
    public static final long BYTES_SCHEMA_ID = 1;

    private static final int MAX_DEPTH = 16;

    private SchemaMapping() {}

    /**
     * The schema for a row type.
     *
     * @throws IllegalArgumentException naming column and type, for a type Sluice does not store or a reserved name
     */
    public static Schema toProto(RowType rowType) {
        if (rowType.getFieldCount() == 0) {
            throw new IllegalArgumentException("a stream needs at least one column");
        }
        Schema.Builder schema = Schema.newBuilder();
        for (RowType.RowField field : rowType.getFields()) {
            if (field.getName().startsWith("_")) {
                throw new IllegalArgumentException(
                        "column '" + field.getName() + "': names that start with '_' are reserved for system columns; rename it");
            }
            schema.addFields(field(field.getName(), field.getName(), field.getType(), field.getType().isNullable(), 1));
        }
        return schema.build();
    }

    /** The row type of a schema. */
    public static RowType fromProto(Schema schema) {
        return row(schema.getFieldsList(), false);
    }

    /** The bytes schema as the gateway has it. */
    public static RowType bytesRowType() {
        return (RowType)
                new RowType(
                        false,
                        List.of(
                                new RowType.RowField("key", new VarBinaryType(true, VarBinaryType.MAX_LENGTH)),
                                new RowType.RowField("value", new VarBinaryType(false, VarBinaryType.MAX_LENGTH)),
                                new RowType.RowField("event_time", new TimestampType(true, 3)),
                                new RowType.RowField(
                                        "headers",
                                        new MapType(
                                                true,
                                                new VarCharType(false, VarCharType.MAX_LENGTH),
                                                new VarBinaryType(true, VarBinaryType.MAX_LENGTH)))));
    }

    /**
     * Why rows of {@code table} can't be written to or read from a stream of {@code stream}, as one sentence; empty: they
     * can. Columns are compared by name, order, type and nullability; nothing is converted.
     */
    public static Optional<String> mismatch(Schema stream, RowType table) {
        Schema mine = toProto(table);
        int common = Math.min(stream.getFieldsCount(), mine.getFieldsCount());
        for (int i = 0; i < common; i++) {
            Field theirs = stream.getFields(i);
            Field ours = mine.getFields(i);
            if (!theirs.equals(ours)) {
                return Optional.of(
                        "column " + (i + 1) + " is '" + describe(ours) + "' here, but '" + describe(theirs) + "' in the stream");
            }
        }
        if (stream.getFieldsCount() != mine.getFieldsCount()) {
            return Optional.of(mine.getFieldsCount() + " columns here, but " + stream.getFieldsCount() + " in the stream");
        }
        return Optional.empty();
    }

    static IllegalArgumentException unsupported(String path, LogicalType type) {
        return new IllegalArgumentException(
                "column '" + path + "' has type " + type.asSummaryString() + ", which Sluice does not store; cast it or leave it out");
    }

    private static String describe(Field field) {
        return field.getName() + " " + type(field.getType()).asSummaryString();
    }

    private static Field field(String path, String name, LogicalType type, boolean nullable, int depth) {
        if (name.isEmpty()) {
            throw new IllegalArgumentException("a field of '" + path + "' has an empty name");
        }
        return Field.newBuilder().setName(name).setType(type(path, type, nullable, depth)).build();
    }

    private static DataType type(String path, LogicalType type, boolean nullable, int depth) {
        if (depth > MAX_DEPTH) {
            throw new IllegalArgumentException("column '" + path + "' is nested deeper than " + MAX_DEPTH + " levels");
        }
        DataType.Builder to = DataType.newBuilder().setNullable(nullable);
        switch (type.getTypeRoot()) {
            case BOOLEAN:
                return to.setKind(TypeKind.BOOLEAN).build();
            case TINYINT:
                return to.setKind(TypeKind.TINYINT).build();
            case SMALLINT:
                return to.setKind(TypeKind.SMALLINT).build();
            case INTEGER:
                return to.setKind(TypeKind.INTEGER).build();
            case BIGINT:
                return to.setKind(TypeKind.BIGINT).build();
            case FLOAT:
                return to.setKind(TypeKind.FLOAT).build();
            case DOUBLE:
                return to.setKind(TypeKind.DOUBLE).build();
            case DATE:
                return to.setKind(TypeKind.DATE).build();
            case DECIMAL:
                DecimalType decimal = (DecimalType) type;
                return to.setKind(TypeKind.DECIMAL).setPrecision(decimal.getPrecision()).setScale(decimal.getScale()).build();
            case TIME_WITHOUT_TIME_ZONE:
                return to.setKind(TypeKind.TIME).setPrecision(LogicalTypeChecks.getPrecision(type)).build();
            case TIMESTAMP_WITHOUT_TIME_ZONE:
                return to.setKind(TypeKind.TIMESTAMP).setPrecision(LogicalTypeChecks.getPrecision(type)).build();
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE:
                return to.setKind(TypeKind.TIMESTAMP_LTZ).setPrecision(LogicalTypeChecks.getPrecision(type)).build();
            case CHAR:
                return to.setKind(TypeKind.CHAR).setLength(length(path, type)).build();
            case VARCHAR:
                return to.setKind(TypeKind.VARCHAR).setLength(length(path, type)).build();
            case BINARY:
                return to.setKind(TypeKind.BINARY).setLength(length(path, type)).build();
            case VARBINARY:
                return to.setKind(TypeKind.VARBINARY).setLength(length(path, type)).build();
            case ARRAY:
                LogicalType item = ((ArrayType) type).getElementType();
                return to.setKind(TypeKind.ARRAY)
                        .addChildren(field(path + ".item", "item", item, item.isNullable(), depth + 1))
                        .build();
            case MAP:
                MapType map = (MapType) type;
                return to.setKind(TypeKind.MAP)
                        .addChildren(field(path + ".key", "key", map.getKeyType(), false, depth + 1))
                        .addChildren(
                                field(path + ".value", "value", map.getValueType(), map.getValueType().isNullable(), depth + 1))
                        .build();
            case ROW:
                to.setKind(TypeKind.ROW);
                for (RowType.RowField field : ((RowType) type).getFields()) {
                    LogicalType child = field.getType();
                    to.addChildren(field(path + "." + field.getName(), field.getName(), child, child.isNullable(), depth + 1));
                }
                return to.build();
            default:
                throw unsupported(path, type);
        }
    }

    private static int length(String path, LogicalType type) {
        int length = LogicalTypeChecks.getLength(type);
        if (length < 1) {
            throw unsupported(path, type);
        }
        return length;
    }

    private static RowType row(List<Field> fields, boolean nullable) {
        List<RowType.RowField> columns = new ArrayList<>(fields.size());
        for (Field field : fields) {
            columns.add(new RowType.RowField(field.getName(), type(field.getType())));
        }
        return new RowType(nullable, columns);
    }

    private static LogicalType type(DataType type) {
        boolean nullable = type.getNullable();
        switch (type.getKind()) {
            case BOOLEAN:
                return new BooleanType(nullable);
            case TINYINT:
                return new TinyIntType(nullable);
            case SMALLINT:
                return new SmallIntType(nullable);
            case INTEGER:
                return new IntType(nullable);
            case BIGINT:
                return new BigIntType(nullable);
            case FLOAT:
                return new FloatType(nullable);
            case DOUBLE:
                return new DoubleType(nullable);
            case DECIMAL:
                return new DecimalType(nullable, type.getPrecision(), type.getScale());
            case CHAR:
                return new CharType(nullable, type.getLength());
            case VARCHAR:
                return new VarCharType(nullable, type.getLength());
            case BINARY:
                return new BinaryType(nullable, type.getLength());
            case VARBINARY:
                return new VarBinaryType(nullable, type.getLength());
            case DATE:
                return new DateType(nullable);
            case TIME:
                return new TimeType(nullable, type.getPrecision());
            case TIMESTAMP:
                return new TimestampType(nullable, type.getPrecision());
            case TIMESTAMP_LTZ:
                return new LocalZonedTimestampType(nullable, type.getPrecision());
            case ARRAY:
                return new ArrayType(nullable, type(type.getChildren(0).getType()));
            case MAP:
                return new MapType(nullable, type(type.getChildren(0).getType()), type(type.getChildren(1).getType()));
            case ROW:
                return row(type.getChildrenList(), nullable);
            default:
                throw new IllegalArgumentException(
                        "the stream has a column of type " + type.getKind() + ", which this version of the connector does not know; update it");
        }
    }
}
