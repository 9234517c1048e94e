package io.sluice.flink.data;

import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.BinaryType;
import org.apache.flink.table.types.logical.CharType;
import org.apache.flink.table.types.logical.DecimalType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.MapType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.VarBinaryType;
import org.apache.flink.table.types.logical.VarCharType;
import org.apache.flink.table.types.logical.utils.LogicalTypeChecks;

import java.util.List;

/** The writer for each type. */
final class ColumnWriters {

    private ColumnWriters() {}

    static ColumnWriter[] ofFields(String prefix, RowType type) {
        List<RowType.RowField> fields = type.getFields();
        ColumnWriter[] writers = new ColumnWriter[fields.size()];
        for (int i = 0; i < writers.length; i++) {
            RowType.RowField field = fields.get(i);
            writers[i] = of(prefix + field.getName(), field.getType(), field.getType().isNullable());
        }
        return writers;
    }

    private static ColumnWriter of(String path, LogicalType type, boolean nullable) {
        switch (type.getTypeRoot()) {
            case BOOLEAN:
                return new FixedColumns.Booleans(path, nullable);
            case TINYINT:
                return new FixedColumns.Bytes(path, nullable);
            case SMALLINT:
                return new FixedColumns.Shorts(path, nullable);
            case INTEGER:
            case DATE:
                return new FixedColumns.Ints(path, nullable);
            case TIME_WITHOUT_TIME_ZONE:
                return new FixedColumns.Times(path, nullable);
            case BIGINT:
                return new FixedColumns.Longs(path, nullable);
            case FLOAT:
                return new FixedColumns.Floats(path, nullable);
            case DOUBLE:
                return new FixedColumns.Doubles(path, nullable);
            case DECIMAL:
                DecimalType decimal = (DecimalType) type;
                return new FixedColumns.Decimals(path, nullable, decimal.getPrecision(), decimal.getScale());
            case TIMESTAMP_WITHOUT_TIME_ZONE:
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE:
                return new FixedColumns.Timestamps(path, nullable, LogicalTypeChecks.getPrecision(type));
            case CHAR:
                return new VariableColumns.Strings(path, nullable, ((CharType) type).getLength(), true);
            case VARCHAR:
                return new VariableColumns.Strings(path, nullable, ((VarCharType) type).getLength(), false);
            case BINARY:
                return new VariableColumns.Binaries(path, nullable, ((BinaryType) type).getLength(), true);
            case VARBINARY:
                return new VariableColumns.Binaries(path, nullable, ((VarBinaryType) type).getLength(), false);
            case ARRAY:
                LogicalType item = ((ArrayType) type).getElementType();
                return new NestedColumns.Arrays(path, nullable, (ArrayType) type, of(path + ".item", item, item.isNullable()));
            case MAP:
                MapType map = (MapType) type;
                return new NestedColumns.Maps(
                        path,
                        nullable,
                        map,
                        of(path + ".key", map.getKeyType(), false),
                        of(path + ".value", map.getValueType(), map.getValueType().isNullable()));
            case ROW:
                return new NestedColumns.Rows(path, nullable, ofFields(path + ".", (RowType) type));
            default:
                throw SchemaMapping.unsupported(path, type);
        }
    }
}
