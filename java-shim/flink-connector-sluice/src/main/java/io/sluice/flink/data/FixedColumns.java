package io.sluice.flink.data;

import org.apache.flink.table.data.DecimalData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.TimestampData;

/** Columns whose values all have the same width. */
final class FixedColumns {

    private FixedColumns() {}

    /** What they share: one array of values. */
    abstract static class Fixed extends ColumnWriter {
        final GrowingBytes values = new GrowingBytes();
        private final int width;

        Fixed(String path, boolean nullable, int width) {
            super(path, nullable);
            this.width = width;
        }

        @Override
        void placeholder() {
            values.addFilled((byte) 0, width);
        }

        @Override
        int bytes() {
            return values.size;
        }

        @Override
        void layOutValues(MessageWriter message) {
            message.addBuffer(values.bytes, values.size);
        }

        @Override
        void clearValues() {
            values.clear();
        }
    }

    static final class Booleans extends ColumnWriter {
        private final BitColumn values = new BitColumn();

        Booleans(String path, boolean nullable) {
            super(path, nullable);
        }

        @Override
        void value(RowData row, int position) {
            values.add(row.getBoolean(position));
        }

        @Override
        void value(Object value) {
            values.add((Boolean) value);
        }

        @Override
        void placeholder() {
            values.add(false);
        }

        @Override
        int bytes() {
            return values.bytes.size;
        }

        @Override
        void layOutValues(MessageWriter message) {
            message.addBuffer(values.bytes.bytes, values.bytes.size);
        }

        @Override
        void clearValues() {
            values.clear();
        }
    }

    static final class Bytes extends Fixed {
        Bytes(String path, boolean nullable) {
            super(path, nullable, 1);
        }

        @Override
        void value(RowData row, int position) {
            values.addByte(row.getByte(position));
        }

        @Override
        void value(Object value) {
            values.addByte((Byte) value);
        }
    }

    static final class Shorts extends Fixed {
        Shorts(String path, boolean nullable) {
            super(path, nullable, 2);
        }

        @Override
        void value(RowData row, int position) {
            values.addShort(row.getShort(position));
        }

        @Override
        void value(Object value) {
            values.addShort((Short) value);
        }
    }

    /** INTEGER and DATE. */
    static final class Ints extends Fixed {
        Ints(String path, boolean nullable) {
            super(path, nullable, 4);
        }

        @Override
        void value(RowData row, int position) {
            values.addInt(row.getInt(position));
        }

        @Override
        void value(Object value) {
            values.addInt((Integer) value);
        }
    }

    static final class Times extends Fixed {
        private static final int DAY_MS = 86_400_000;

        Times(String path, boolean nullable) {
            super(path, nullable, 4);
        }

        @Override
        void value(RowData row, int position) {
            add(row.getInt(position));
        }

        @Override
        void value(Object value) {
            add((Integer) value);
        }

        private void add(int millis) {
            if (millis < 0 || millis >= DAY_MS) {
                throw new InvalidRowException(path, "holds " + millis + " ms, which is no time of a day");
            }
            values.addInt(millis);
        }
    }

    static final class Longs extends Fixed {
        Longs(String path, boolean nullable) {
            super(path, nullable, 8);
        }

        @Override
        void value(RowData row, int position) {
            values.addLong(row.getLong(position));
        }

        @Override
        void value(Object value) {
            values.addLong((Long) value);
        }

        void addLong(long value) {
            countValid();
            values.addLong(value);
        }
    }

    /** Raw bits: every NaN and -0.0 is kept. */
    static final class Floats extends Fixed {
        Floats(String path, boolean nullable) {
            super(path, nullable, 4);
        }

        @Override
        void value(RowData row, int position) {
            values.addInt(Float.floatToRawIntBits(row.getFloat(position)));
        }

        @Override
        void value(Object value) {
            values.addInt(Float.floatToRawIntBits((Float) value));
        }
    }

    /** Raw bits: every NaN and -0.0 is kept. */
    static final class Doubles extends Fixed {
        Doubles(String path, boolean nullable) {
            super(path, nullable, 8);
        }

        @Override
        void value(RowData row, int position) {
            values.addLong(Double.doubleToRawLongBits(row.getDouble(position)));
        }

        @Override
        void value(Object value) {
            values.addLong(Double.doubleToRawLongBits((Double) value));
        }
    }

    static final class Decimals extends Fixed {
        private final int precision;
        private final int scale;

        Decimals(String path, boolean nullable, int precision, int scale) {
            super(path, nullable, 16);
            this.precision = precision;
            this.scale = scale;
        }

        @Override
        void value(RowData row, int position) {
            Values.addDecimal(values, row.getDecimal(position, precision, scale), path, precision, scale);
        }

        @Override
        void value(Object value) {
            Values.addDecimal(values, (DecimalData) value, path, precision, scale);
        }
    }

    static final class Timestamps extends Fixed {
        private final int precision;

        Timestamps(String path, boolean nullable, int precision) {
            super(path, nullable, 8);
            this.precision = precision;
        }

        @Override
        void value(RowData row, int position) {
            values.addLong(Values.timestamp(row.getTimestamp(position, precision), path, precision));
        }

        @Override
        void value(Object value) {
            values.addLong(Values.timestamp((TimestampData) value, path, precision));
        }
    }
}
