package io.sluice.flink.data;

import com.dynatrace.hash4j.hashing.Hasher64;
import com.dynatrace.hash4j.hashing.Hashing;
import org.apache.flink.annotation.Internal;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.DecimalType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.LogicalTypeRoot;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.utils.LogicalTypeChecks;

import java.util.List;

/**
 * The canonical routing key of a row and its hash, the same as in the gateway and the Rust client.
 *
 * <p>For each routing column in order: byte 0 for null, else byte 1 and the value: integers, dates, times and timestamps
 * little endian in their Arrow width, booleans 1 byte, floating point numbers their bits, decimals 16 bytes of the
 * unscaled value, strings and binaries their length as u32 and their bytes. The hash is XXH3 with 64 bits, seed 0. Not
 * thread safe.
 */
@Internal
public final class RoutingKey {

    private static final Hasher64 XXH3 = Hashing.xxh3_64(0L);

    private final Part[] parts;
    private final GrowingBytes canonical = new GrowingBytes();

    /**
     * @param columns names of the routing columns, in order
     * @throws IllegalArgumentException if one does not exist or is nested
     */
    public RoutingKey(RowType rowType, List<String> columns) {
        parts = new Part[columns.size()];
        for (int i = 0; i < parts.length; i++) {
            String name = columns.get(i);
            int index = rowType.getFieldIndex(name);
            if (index < 0) {
                throw new IllegalArgumentException("routing key column '" + name + "' does not exist");
            }
            parts[i] = part(name, index, rowType.getTypeAt(index));
        }
    }

    /** The hash of canonical bytes. */
    public static long hash(byte[] canonical, int length) {
        return XXH3.hashBytesToLong(canonical, 0, length);
    }

    /** The hash of a key of the bytes schema; null is a key of its own. */
    public static long hashOfBytesKey(byte[] key) {
        GrowingBytes canonical = new GrowingBytes();
        if (key == null) {
            canonical.addByte((byte) 0);
        } else {
            canonical.extend(5 + key.length);
            canonical.size = 0;
            canonical.addByte((byte) 1);
            addWithLength(canonical, key);
        }
        return hash(canonical.bytes, canonical.size);
    }

    /** The hash that chooses the row's segment. */
    public long hash(RowData row) {
        canonical.size = 0;
        for (Part part : parts) {
            if (row.isNullAt(part.index)) {
                canonical.addByte((byte) 0);
            } else {
                canonical.addByte((byte) 1);
                part.encoder.encode(canonical, row, part.index);
            }
        }
        return hash(canonical.bytes, canonical.size);
    }

    private static Part part(String name, int index, LogicalType type) {
        switch (type.getTypeRoot()) {
            case BOOLEAN:
                return new Part(index, (out, row, at) -> out.addByte((byte) (row.getBoolean(at) ? 1 : 0)));
            case TINYINT:
                return new Part(index, (out, row, at) -> out.addByte(row.getByte(at)));
            case SMALLINT:
                return new Part(index, (out, row, at) -> out.addShort(row.getShort(at)));
            case INTEGER:
            case DATE:
            case TIME_WITHOUT_TIME_ZONE:
                return new Part(index, (out, row, at) -> out.addInt(row.getInt(at)));
            case BIGINT:
                return new Part(index, (out, row, at) -> out.addLong(row.getLong(at)));
            case FLOAT:
                return new Part(index, (out, row, at) -> out.addInt(Float.floatToRawIntBits(row.getFloat(at))));
            case DOUBLE:
                return new Part(index, (out, row, at) -> out.addLong(Double.doubleToRawLongBits(row.getDouble(at))));
            case DECIMAL:
                int digits = ((DecimalType) type).getPrecision();
                int scale = ((DecimalType) type).getScale();
                return new Part(
                        index, (out, row, at) -> Values.addDecimal(out, row.getDecimal(at, digits, scale), name, digits, scale));
            case TIMESTAMP_WITHOUT_TIME_ZONE:
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE:
                int precision = LogicalTypeChecks.getPrecision(type);
                return new Part(
                        index, (out, row, at) -> out.addLong(Values.timestamp(row.getTimestamp(at, precision), name, precision)));
            case CHAR:
            case VARCHAR:
                boolean padString = type.getTypeRoot() == LogicalTypeRoot.CHAR;
                int chars = LogicalTypeChecks.getLength(type);
                return new Part(
                        index,
                        (out, row, at) -> {
                            int lengthAt = out.extend(4);
                            int length = Values.addString(out, row.getString(at), name, chars, padString);
                            LittleEndian.putInt(out.bytes, lengthAt, length);
                        });
            case BINARY:
            case VARBINARY:
                boolean padBinary = type.getTypeRoot() == LogicalTypeRoot.BINARY;
                int bytes = LogicalTypeChecks.getLength(type);
                return new Part(
                        index,
                        (out, row, at) -> {
                            int lengthAt = out.extend(4);
                            int length = Values.addBinary(out, row.getBinary(at), name, bytes, padBinary);
                            LittleEndian.putInt(out.bytes, lengthAt, length);
                        });
            default:
                throw new IllegalArgumentException(
                        "column '" + name + "' of type " + type.asSummaryString() + " can't be a routing key; choose a column that is not nested");
        }
    }

    private static void addWithLength(GrowingBytes out, byte[] value) {
        out.addInt(value.length);
        out.add(value, 0, value.length);
    }

    private interface Encoder {
        void encode(GrowingBytes out, RowData row, int at);
    }

    private static final class Part {
        final int index;
        final Encoder encoder;

        Part(int index, Encoder encoder) {
            this.index = index;
            this.encoder = encoder;
        }
    }
}
