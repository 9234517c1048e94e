package io.sluice.flink.data;

import org.apache.flink.core.memory.MemorySegment;
import org.apache.flink.core.memory.MemorySegmentFactory;
import org.apache.flink.table.data.DecimalData;
import org.apache.flink.table.data.GenericArrayData;
import org.apache.flink.table.data.GenericMapData;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.data.binary.BinaryStringData;
import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.DecimalType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.MapType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.utils.LogicalTypeChecks;

import java.io.IOException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The reader for each type. */
final class ColumnReaders {

    private ColumnReaders() {}

    static ColumnReader[] ofFields(String prefix, RowType type) {
        List<RowType.RowField> fields = type.getFields();
        ColumnReader[] readers = new ColumnReader[fields.size()];
        for (int i = 0; i < readers.length; i++) {
            readers[i] = of(prefix + fields.get(i).getName(), fields.get(i).getType());
        }
        return readers;
    }

    static ColumnReader of(String path, LogicalType type) {
        boolean nullable = type.isNullable();
        switch (type.getTypeRoot()) {
            case BOOLEAN:
                return new Booleans(path, nullable);
            case TINYINT:
                return new Fixed(path, nullable, 1, (bytes, at) -> bytes[at]);
            case SMALLINT:
                return new Fixed(path, nullable, 2, LittleEndian::getShort);
            case INTEGER:
            case DATE:
            case TIME_WITHOUT_TIME_ZONE:
                return new Ints(path, nullable);
            case BIGINT:
                return new Longs(path, nullable);
            case FLOAT:
                return new Fixed(path, nullable, 4, (bytes, at) -> Float.intBitsToFloat(LittleEndian.getInt(bytes, at)));
            case DOUBLE:
                return new Doubles(path, nullable);
            case DECIMAL:
                DecimalType decimal = (DecimalType) type;
                int digits = decimal.getPrecision();
                int scale = decimal.getScale();
                return new Fixed(path, nullable, 16, (bytes, at) -> decimal(bytes, at, digits, scale));
            case TIMESTAMP_WITHOUT_TIME_ZONE:
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE:
                int precision = LogicalTypeChecks.getPrecision(type);
                return new Timestamps(path, nullable, precision);
            case CHAR:
            case VARCHAR:
                return new Strings(path, nullable);
            case BINARY:
            case VARBINARY:
                return new Binaries(path, nullable);
            case ARRAY:
                return new Lists(path, nullable, of(path + ".item", ((ArrayType) type).getElementType()));
            case MAP:
                MapType map = (MapType) type;
                return new Maps(path, nullable, of(path + ".key", map.getKeyType()), of(path + ".value", map.getValueType()));
            case ROW:
                return new Rows(path, nullable, ofFields(path + ".", (RowType) type));
            default:
                throw SchemaMapping.unsupported(path, type);
        }
    }

    private static DecimalData decimal(byte[] bytes, int at, int precision, int scale) {
        if (DecimalData.isCompact(precision)) {
            return DecimalData.fromUnscaledLong(LittleEndian.getLong(bytes, at), precision, scale);
        }
        byte[] bigEndian = new byte[16];
        for (int i = 0; i < 16; i++) {
            bigEndian[i] = bytes[at + 15 - i];
        }
        return DecimalData.fromBigDecimal(new BigDecimal(new BigInteger(bigEndian), scale), precision, scale);
    }

    private static TimestampData timestamp(long value, int precision) {
        if (precision <= 3) {
            return TimestampData.fromEpochMillis(value);
        }
        long unitsPerMilli = precision <= 6 ? 1000L : 1_000_000L;
        int nanosPerUnit = precision <= 6 ? 1000 : 1;
        return TimestampData.fromEpochMillis(
                Math.floorDiv(value, unitsPerMilli), (int) Math.floorMod(value, unitsPerMilli) * nanosPerUnit);
    }

    /** Values of one width. */
    private abstract static class Width extends ColumnReader {
        private final int width;
        private int start;

        Width(String path, boolean nullable, int width) {
            super(path, nullable);
            this.width = width;
        }

        @Override
        final void openValues(MessageReader message) throws IOException {
            message.nextBuffer((long) width * rows);
            start = message.bufferStart;
        }

        final int at(int index) {
            return start + width * index;
        }
    }

    private static final class Ints extends Width {
        Ints(String path, boolean nullable) {
            super(path, nullable, 4);
        }

        @Override
        int intValue(int index) {
            return LittleEndian.getInt(bytes, at(index));
        }

        @Override
        Object value(int index) {
            return intValue(index);
        }
    }

    private static final class Longs extends Width {
        Longs(String path, boolean nullable) {
            super(path, nullable, 8);
        }

        @Override
        long longValue(int index) {
            return LittleEndian.getLong(bytes, at(index));
        }

        @Override
        Object value(int index) {
            return longValue(index);
        }
    }

    private static final class Doubles extends Width {
        Doubles(String path, boolean nullable) {
            super(path, nullable, 8);
        }

        @Override
        double doubleValue(int index) {
            return Double.longBitsToDouble(LittleEndian.getLong(bytes, at(index)));
        }

        @Override
        Object value(int index) {
            return doubleValue(index);
        }
    }

    private static final class Timestamps extends Width {
        private final int precision;

        Timestamps(String path, boolean nullable, int precision) {
            super(path, nullable, 8);
            this.precision = precision;
        }

        @Override
        Object value(int index) {
            return timestamp(LittleEndian.getLong(bytes, at(index)), precision);
        }
    }

    private interface Decoder {
        Object decode(byte[] bytes, int at);
    }

    /** The rarer types. */
    private static final class Fixed extends Width {
        private final Decoder decoder;

        Fixed(String path, boolean nullable, int width, Decoder decoder) {
            super(path, nullable, width);
            this.decoder = decoder;
        }

        @Override
        Object value(int index) {
            return decoder.decode(bytes, at(index));
        }
    }

    private static final class Booleans extends ColumnReader {
        private int start;

        Booleans(String path, boolean nullable) {
            super(path, nullable);
        }

        @Override
        void openValues(MessageReader message) throws IOException {
            message.nextBuffer((rows + 7L) / 8);
            start = message.bufferStart;
        }

        @Override
        Object value(int index) {
            return (bytes[start + (index >> 3)] & (1 << (index & 7))) != 0;
        }
    }

    /** Offsets; an empty column may have none. */
    abstract static class Offsets extends ColumnReader {
        private int offsets;

        Offsets(String path, boolean nullable) {
            super(path, nullable);
        }

        final void openOffsets(MessageReader message) throws IOException {
            message.nextBuffer(rows == 0 ? 0 : 4L * (rows + 1L));
            offsets = message.bufferStart;
        }

        final void checkOffsets(int limit) throws IOException {
            if (rows > 0) {
                checkOffsets(bytes, offsets, rows, limit, path());
            }
        }

        final int from(int index) {
            return LittleEndian.getInt(bytes, offsets + 4 * index);
        }
    }

    static final class Binaries extends Offsets {
        private int start;

        Binaries(String path, boolean nullable) {
            super(path, nullable);
        }

        @Override
        void openValues(MessageReader message) throws IOException {
            openOffsets(message);
            message.nextBuffer(0);
            start = message.bufferStart;
            checkOffsets(message.bufferLength);
        }

        @Override
        byte[] value(int index) {
            return Arrays.copyOfRange(bytes, start + from(index), start + from(index + 1));
        }
    }

    /** Strings are read where they lie in the block. */
    private static final class Strings extends Offsets {
        private int start;
        private MemorySegment[] segments;

        Strings(String path, boolean nullable) {
            super(path, nullable);
        }

        @Override
        void openValues(MessageReader message) throws IOException {
            openOffsets(message);
            message.nextBuffer(0);
            start = message.bufferStart;
            checkOffsets(message.bufferLength);
            segments = new MemorySegment[] {MemorySegmentFactory.wrap(bytes)};
        }

        @Override
        Object value(int index) {
            int from = from(index);
            return BinaryStringData.fromAddress(segments, start + from, from(index + 1) - from);
        }

        @Override
        void close() {
            super.close();
            segments = null;
        }
    }

    private static final class Lists extends Offsets {
        private final ColumnReader items;

        Lists(String path, boolean nullable, ColumnReader items) {
            super(path, nullable);
            this.items = items;
        }

        @Override
        void openValues(MessageReader message) throws IOException {
            openOffsets(message);
            items.open(message, -1);
            checkOffsets(items.rows);
        }

        @Override
        Object value(int index) {
            int from = from(index);
            Object[] values = new Object[from(index + 1) - from];
            for (int i = 0; i < values.length; i++) {
                values[i] = items.get(from + i);
            }
            return new GenericArrayData(values);
        }

        @Override
        void close() {
            super.close();
            items.close();
        }
    }

    static final class Maps extends Offsets {
        private final ColumnReader keys;
        private final ColumnReader values;

        Maps(String path, boolean nullable, ColumnReader keys, ColumnReader values) {
            super(path, nullable);
            this.keys = keys;
            this.values = values;
        }

        @Override
        void openValues(MessageReader message) throws IOException {
            openOffsets(message);
            int entries = message.nextNode(-1);
            if (message.nulls() > 0) {
                throw new IOException("column '" + path() + "' of the block has null entries");
            }
            message.nextBuffer(0);
            keys.open(message, entries);
            values.open(message, entries);
            checkOffsets(entries);
        }

        @Override
        Object value(int index) {
            return new GenericMapData(entries(index));
        }

        Map<Object, Object> entries(int index) {
            Map<Object, Object> map = new LinkedHashMap<>();
            for (int i = from(index); i < from(index + 1); i++) {
                map.put(keys.get(i), values.get(i));
            }
            return map;
        }

        @Override
        void close() {
            super.close();
            keys.close();
            values.close();
        }
    }

    private static final class Rows extends ColumnReader {
        private final ColumnReader[] fields;

        Rows(String path, boolean nullable, ColumnReader[] fields) {
            super(path, nullable);
            this.fields = fields;
        }

        @Override
        void openValues(MessageReader message) throws IOException {
            for (ColumnReader field : fields) {
                field.open(message, rows);
            }
        }

        @Override
        Object value(int index) {
            GenericRowData row = new GenericRowData(fields.length);
            for (int i = 0; i < fields.length; i++) {
                row.setField(i, fields[i].get(index));
            }
            return row;
        }

        @Override
        void close() {
            super.close();
            for (ColumnReader field : fields) {
                field.close();
            }
        }
    }
}
