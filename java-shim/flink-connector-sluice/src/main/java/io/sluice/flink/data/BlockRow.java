package io.sluice.flink.data;

import org.apache.flink.table.data.ArrayData;
import org.apache.flink.table.data.DecimalData;
import org.apache.flink.table.data.MapData;
import org.apache.flink.table.data.RawValueData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.types.RowKind;
import org.apache.flink.types.variant.Variant;

/**
 * A row of an open block. A field is read from the block's bytes when it is asked for: most jobs ask for few, and numbers need no object.
 * Whoever keeps the row, or a string of it, keeps the whole block; Flink copies what it keeps.
 */
final class BlockRow implements RowData {

    private final ColumnReader[] columns;
    private final int index;
    private RowKind kind = RowKind.INSERT;

    BlockRow(ColumnReader[] columns, int index) {
        this.columns = columns;
        this.index = index;
    }

    @Override
    public int getArity() {
        return columns.length;
    }

    @Override
    public RowKind getRowKind() {
        return kind;
    }

    @Override
    public void setRowKind(RowKind kind) {
        this.kind = kind;
    }

    @Override
    public boolean isNullAt(int field) {
        return columns[field].isNull(index);
    }

    @Override
    public boolean getBoolean(int field) {
        return (boolean) columns[field].value(index);
    }

    @Override
    public byte getByte(int field) {
        return (byte) columns[field].value(index);
    }

    @Override
    public short getShort(int field) {
        return (short) columns[field].value(index);
    }

    @Override
    public int getInt(int field) {
        return columns[field].intValue(index);
    }

    @Override
    public long getLong(int field) {
        return columns[field].longValue(index);
    }

    @Override
    public float getFloat(int field) {
        return (float) columns[field].value(index);
    }

    @Override
    public double getDouble(int field) {
        return columns[field].doubleValue(index);
    }

    @Override
    public StringData getString(int field) {
        return (StringData) columns[field].value(index);
    }

    @Override
    public DecimalData getDecimal(int field, int precision, int scale) {
        return (DecimalData) columns[field].value(index);
    }

    @Override
    public TimestampData getTimestamp(int field, int precision) {
        return (TimestampData) columns[field].value(index);
    }

    @Override
    public <T> RawValueData<T> getRawValue(int field) {
        throw new UnsupportedOperationException("a stream has no RAW columns");
    }

    /** Flink 1 has neither the method nor its type, and never asks. */
    @Override
    public Variant getVariant(int field) {
        throw new UnsupportedOperationException("a stream has no VARIANT columns");
    }

    @Override
    public byte[] getBinary(int field) {
        return (byte[]) columns[field].value(index);
    }

    @Override
    public ArrayData getArray(int field) {
        return (ArrayData) columns[field].value(index);
    }

    @Override
    public MapData getMap(int field) {
        return (MapData) columns[field].value(index);
    }

    @Override
    public RowData getRow(int field, int fields) {
        return (RowData) columns[field].value(index);
    }

    /** As of Flink's own columnar rows: which fields are equal depends on their types, which a row does not know. */
    @Override
    public boolean equals(Object other) {
        throw new UnsupportedOperationException("rows of a block are compared field by field, or as copies");
    }

    @Override
    public int hashCode() {
        throw new UnsupportedOperationException("rows of a block are compared field by field, or as copies");
    }
}
