package io.sluice.flink.data;

import org.apache.flink.table.data.DecimalData;
import org.apache.flink.table.data.GenericArrayData;
import org.apache.flink.table.data.GenericMapData;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.types.logical.*;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** Random types and rows of every kind Sluice stores, from a seed. */
final class RandomRows {

    private final Random random;

    RandomRows(long seed) {
        random = new Random(seed);
    }

    RowType rowType(int depth) {
        int count = 1 + random.nextInt(6);
        List<RowType.RowField> fields = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            fields.add(new RowType.RowField("c" + i, type(depth)));
        }
        return new RowType(random.nextBoolean(), fields);
    }

    LogicalType type(int depth) {
        boolean nullable = random.nextInt(3) > 0;
        switch (random.nextInt(depth > 0 ? 19 : 16)) {
            case 0: return new BooleanType(nullable);
            case 1: return new TinyIntType(nullable);
            case 2: return new SmallIntType(nullable);
            case 3: return new IntType(nullable);
            case 4: return new BigIntType(nullable);
            case 5: return new FloatType(nullable);
            case 6: return new DoubleType(nullable);
            case 7:
                int precision = 1 + random.nextInt(38);
                return new DecimalType(nullable, precision, random.nextInt(precision + 1));
            case 8: return new CharType(nullable, 1 + random.nextInt(12));
            case 9: return new VarCharType(nullable, random.nextBoolean() ? VarCharType.MAX_LENGTH : 12);
            case 10: return new BinaryType(nullable, 1 + random.nextInt(12));
            case 11: return new VarBinaryType(nullable, random.nextBoolean() ? VarBinaryType.MAX_LENGTH : 12);
            case 12: return new DateType(nullable);
            case 13: return new TimeType(nullable, random.nextInt(10));
            case 14: return new TimestampType(nullable, random.nextInt(10));
            case 15: return new LocalZonedTimestampType(nullable, random.nextInt(10));
            case 16: return new ArrayType(nullable, type(depth - 1));
            case 17: return new MapType(nullable, random.nextBoolean() ? new VarCharType(false, 12) : new IntType(false), type(depth - 1));
            default: return rowType(depth - 1).copy(nullable);
        }
    }

    GenericRowData row(RowType type) {
        GenericRowData row = new GenericRowData(type.getFieldCount());
        for (int i = 0; i < type.getFieldCount(); i++) {
            row.setField(i, value(type.getTypeAt(i)));
        }
        return row;
    }

    Object value(LogicalType type) {
        if (type.isNullable() && random.nextInt(4) == 0) {
            return null;
        }
        switch (type.getTypeRoot()) {
            case BOOLEAN: return random.nextBoolean();
            case TINYINT: return (byte) random.nextInt();
            case SMALLINT: return (short) random.nextInt();
            case INTEGER: return random.nextInt();
            case DATE: return random.nextInt(5_000_000) - 2_000_000;
            case TIME_WITHOUT_TIME_ZONE: return random.nextInt(86_400_000);
            case BIGINT: return random.nextLong();
            case FLOAT: return random.nextInt(5) == 0 ? -0.0f : Float.intBitsToFloat(random.nextInt());
            case DOUBLE: return random.nextInt(5) == 0 ? Double.longBitsToDouble(0x7ff8_0000_dead_beefL) : Double.longBitsToDouble(random.nextLong());
            case DECIMAL: return decimal((DecimalType) type);
            case CHAR: return StringData.fromString(text(((CharType) type).getLength(), true));
            case VARCHAR: return StringData.fromString(text(12, false));
            case BINARY: return bytes(((BinaryType) type).getLength());
            case VARBINARY: return bytes(random.nextInt(13));
            case TIMESTAMP_WITHOUT_TIME_ZONE: return timestamp(((TimestampType) type).getPrecision());
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE: return timestamp(((LocalZonedTimestampType) type).getPrecision());
            case ARRAY:
                Object[] items = new Object[random.nextInt(5)];
                for (int i = 0; i < items.length; i++) {
                    items[i] = value(((ArrayType) type).getElementType());
                }
                return new GenericArrayData(items);
            case MAP:
                Map<Object, Object> map = new LinkedHashMap<>();
                for (int i = random.nextInt(5); i > 0; i--) {
                    map.put(value(((MapType) type).getKeyType()), value(((MapType) type).getValueType()));
                }
                return new GenericMapData(map);
            case ROW: return row((RowType) type);
            default: throw new AssertionError(type);
        }
    }

    private DecimalData decimal(DecimalType type) {
        BigInteger bound = BigInteger.TEN.pow(type.getPrecision());
        BigInteger unscaled = new BigInteger(bound.bitLength() + 3, random).mod(bound);
        BigDecimal value = new BigDecimal(random.nextBoolean() ? unscaled : unscaled.negate(), type.getScale());
        return DecimalData.fromBigDecimal(value, type.getPrecision(), type.getScale());
    }

    private TimestampData timestamp(int precision) {
        long nanosRange = 9_000_000_000_000L; // ms within the range of nanoseconds
        long millis = (long) ((random.nextDouble() - 0.5) * 2 * (precision > 6 ? nanosRange : 200_000_000_000_000L));
        int nanos = precision <= 3 ? 0 : precision <= 6 ? random.nextInt(1000) * 1000 : random.nextInt(1_000_000);
        return TimestampData.fromEpochMillis(millis, nanos);
    }

    private String text(int length, boolean exact) {
        int[] points = new int[exact ? length : random.nextInt(length + 1)];
        for (int i = 0; i < points.length; i++) {
            points[i] = "ab ü→𝄞".codePointAt("ab ü→𝄞".offsetByCodePoints(0, random.nextInt(6)));
        }
        return new String(points, 0, points.length);
    }

    private byte[] bytes(int length) {
        byte[] bytes = new byte[length];
        random.nextBytes(bytes);
        return bytes;
    }
}
