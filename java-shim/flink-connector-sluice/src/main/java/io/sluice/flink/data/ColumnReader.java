package io.sluice.flink.data;

import java.io.IOException;

/** One column of an open block. Every index below the number of rows is safe once {@link #open} returned. */
abstract class ColumnReader {

    private final boolean nullable;
    private final String path;
    byte[] bytes;
    private int validity;
    private boolean hasNulls;
    private boolean absent;
    private boolean unwanted;
    int rows;

    ColumnReader(String path, boolean nullable) {
        this.path = path;
        this.nullable = nullable;
    }

    /** Takes this column's nodes and buffers; {@code expected} rows, or any number if negative. */
    final void open(MessageReader message, int expected) throws IOException {
        absent = false;
        rows = message.nextNode(expected);
        bytes = message.bytes;
        hasNulls = message.nulls() > 0;
        message.nextBuffer(hasNulls ? (rows + 7L) / 8 : 0);
        validity = message.bufferStart;
        openValues(message);
    }

    /** Nobody reads this column, so a block may lack it although it is NOT NULL. */
    final void setUnwanted() {
        unwanted = true;
    }

    /** The block lacks this column. */
    final void openAbsent(int expected) throws IOException {
        if (!nullable && !unwanted) {
            throw new IOException("the block lacks column '" + path + "', which is NOT NULL");
        }
        absent = true;
        rows = expected;
        bytes = null;
    }

    final boolean isNull(int index) {
        return absent || (hasNulls && (bytes[validity + (index >> 3)] & (1 << (index & 7))) == 0);
    }

    /** The value as Flink's internal object; null if it is null. */
    final Object get(int index) {
        return isNull(index) ? null : value(index);
    }

    /** Forgets the block. */
    void close() {
        bytes = null;
    }

    abstract void openValues(MessageReader message) throws IOException;

    /** The value as Flink's internal object, of a row where it is not null. */
    abstract Object value(int index);

    /** The same without an object, of a column of such numbers. */
    int intValue(int index) {
        return (int) value(index);
    }

    long longValue(int index) {
        return (long) value(index);
    }

    double doubleValue(int index) {
        return (double) value(index);
    }

    /** Checks {@code rows + 1} offsets at {@code start}: ascending, the last at most {@code limit} (if not negative). */
    static void checkOffsets(byte[] bytes, int start, int rows, int limit, String path) throws IOException {
        int previous = LittleEndian.getInt(bytes, start);
        boolean wrong = previous < 0;
        for (int i = 1; i <= rows; i++) {
            int offset = LittleEndian.getInt(bytes, start + 4 * i);
            wrong |= offset < previous;
            previous = offset;
        }
        if (wrong || (limit >= 0 && previous > limit)) {
            throw new IOException("column '" + path + "' of the block has offsets that are not ascending or beyond its values");
        }
    }

    final String path() {
        return path;
    }
}
