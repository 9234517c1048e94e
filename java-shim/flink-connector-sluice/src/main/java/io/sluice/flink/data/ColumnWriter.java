package io.sluice.flink.data;

import org.apache.flink.table.data.RowData;

/**
 * Collects one column (or a nested part of one) of a block in heap arrays. Values come from a row, without boxing, or as
 * Flink's internal objects where they sit in an array or map.
 */
abstract class ColumnWriter {

    /** Where the value sits, for messages: {@code address.city}. */
    final String path;

    private final boolean nullable;
    private final BitColumn validity = new BitColumn();
    private int rows;
    private int nulls;
    private int deferredNulls;

    ColumnWriter(String path, boolean nullable) {
        this.path = path;
        this.nullable = nullable;
    }

    final void write(RowData row, int position) {
        if (row.isNullAt(position)) {
            writeNull();
        } else {
            countValid();
            value(row, position);
        }
    }

    final void writeObject(Object value) {
        if (value == null) {
            writeNull();
        } else {
            countValid();
            value(value);
        }
    }

    final void writeNull() {
        if (!nullable) {
            throw new InvalidRowException(path, "is null, but the column is NOT NULL");
        }
        boolean nothingButNulls = nulls == rows;
        if (nulls == 0) {
            validity.addOnes(rows);
        }
        rows++;
        nulls++;
        if (nothingButNulls) {
            // Most columns that start with nulls stay so and are left out of the block: only counted for now.
            deferredNulls++;
        } else {
            validity.add(false);
            placeholder();
        }
    }

    private void writeDeferredNulls() {
        for (; deferredNulls > 0; deferredNulls--) {
            validity.add(false);
            placeholder();
        }
    }

    /** What stands under a null parent: nobody reads it, but a NOT NULL child must not hold a null. */
    final void writeUnderNull() {
        if (nullable) {
            writeNull();
        } else {
            countValid();
            placeholder();
        }
    }

    final void countValid() {
        writeDeferredNulls();
        rows++;
        if (nulls > 0) {
            validity.add(true);
        }
    }

    final int rows() {
        return rows;
    }

    /** Whether the block may leave this column out. */
    final boolean allNull() {
        return nulls == rows;
    }

    final void layOut(MessageWriter message) {
        writeDeferredNulls();
        message.addNode(rows, nulls);
        message.addBuffer(validity.bytes.bytes, nulls == 0 ? 0 : validity.bytes.size);
        layOutValues(message);
    }

    final void clear() {
        rows = 0;
        nulls = 0;
        deferredNulls = 0;
        validity.clear();
        clearValues();
    }

    /** Adds the value, which is not null. */
    abstract void value(RowData row, int position);

    /** Adds the value, an object of Flink's internal data structures. */
    abstract void value(Object value);

    /** Adds a zero or empty value. */
    abstract void placeholder();

    /** Bytes held. */
    abstract int bytes();

    abstract void layOutValues(MessageWriter message);

    abstract void clearValues();
}
