package io.sluice.flink.tests;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.data.DecimalData;
import org.apache.flink.table.data.GenericArrayData;
import org.apache.flink.table.data.GenericMapData;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.data.binary.BinaryRowData;
import org.apache.flink.table.data.binary.BinarySegmentUtils;
import org.apache.flink.table.runtime.typeutils.InternalSerializers;
import org.apache.flink.table.runtime.typeutils.RowDataSerializer;
import org.apache.flink.table.types.logical.RowType;

/** Rows with a column of every type Sluice stores; row i is the same in every run, so that contents can be compared. */
final class AllTypes {
    static final RowType ROW_TYPE = (RowType) DataTypes.ROW(
                    DataTypes.FIELD("row_id", DataTypes.BIGINT().notNull()),
                    DataTypes.FIELD("bool", DataTypes.BOOLEAN()),
                    DataTypes.FIELD("tiny", DataTypes.TINYINT()),
                    DataTypes.FIELD("small", DataTypes.SMALLINT()),
                    DataTypes.FIELD("int32", DataTypes.INT()),
                    DataTypes.FIELD("float32", DataTypes.FLOAT()),
                    DataTypes.FIELD("float64", DataTypes.DOUBLE()),
                    DataTypes.FIELD("dec", DataTypes.DECIMAL(12, 3)),
                    DataTypes.FIELD("big_dec", DataTypes.DECIMAL(38, 10)),
                    DataTypes.FIELD("ch", DataTypes.CHAR(4)),
                    DataTypes.FIELD("vc", DataTypes.VARCHAR(20)),
                    DataTypes.FIELD("str", DataTypes.STRING()),
                    DataTypes.FIELD("bin", DataTypes.BINARY(3)),
                    DataTypes.FIELD("vb", DataTypes.BYTES()),
                    DataTypes.FIELD("dt", DataTypes.DATE()),
                    DataTypes.FIELD("tm", DataTypes.TIME(3)),
                    DataTypes.FIELD("ts0", DataTypes.TIMESTAMP(0)),
                    DataTypes.FIELD("ts6", DataTypes.TIMESTAMP(6)),
                    DataTypes.FIELD("ts9", DataTypes.TIMESTAMP(9)),
                    DataTypes.FIELD("ltz3", DataTypes.TIMESTAMP_LTZ(3)),
                    DataTypes.FIELD("arr", DataTypes.ARRAY(DataTypes.INT())),
                    DataTypes.FIELD("mp", DataTypes.MAP(DataTypes.STRING().notNull(), DataTypes.BIGINT())),
                    DataTypes.FIELD("nested", DataTypes.ROW(
                            DataTypes.FIELD("a", DataTypes.STRING()), DataTypes.FIELD("b", DataTypes.ARRAY(DataTypes.DOUBLE())))))
            .notNull()
            .getLogicalType();

    private static final long SEED = 0x5eed;
    private static final double NULLS = 0.1;

    private AllTypes() {}

    /** Row {@code id}: every column a function of it, some null. */
    static RowData row(long id) {
        Random random = new Random(SEED + id);
        GenericRowData row = new GenericRowData(ROW_TYPE.getFieldCount());
        Object[] values = {
            id,
            random.nextBoolean(),
            (byte) random.nextInt(),
            (short) random.nextInt(),
            random.nextInt(),
            id % 5 == 0 ? Float.NaN : random.nextFloat(),
            id % 7 == 0 ? -0.0 : random.nextDouble(),
            DecimalData.fromBigDecimal(BigDecimal.valueOf(random.nextInt(), 3), 12, 3),
            DecimalData.fromBigDecimal(new BigDecimal(new BigInteger(100, random), 10), 38, 10),
            StringData.fromString(String.format("%4d", id % 10_000)),
            StringData.fromString("v" + random.nextInt(1000)),
            StringData.fromString(id % 3 == 0 ? "" : "żółw 🐢 " + Long.toHexString(random.nextLong())),
            bytes(random, 3),
            bytes(random, random.nextInt(40)),
            random.nextInt(40_000) - 10_000,
            random.nextInt(86_400_000),
            TimestampData.fromEpochMillis(random.nextInt() * 1000L),
            TimestampData.fromEpochMillis(random.nextInt() * 100L, random.nextInt(1000) * 1000),
            TimestampData.fromEpochMillis(random.nextInt() * 100L, random.nextInt(1_000_000)),
            TimestampData.fromEpochMillis(random.nextInt() * 100L),
            new GenericArrayData(new Integer[] {1, null, random.nextInt()}),
            new GenericMapData(map(random)),
            GenericRowData.of(StringData.fromString("n" + id), new GenericArrayData(new double[] {random.nextDouble(), id})),
        };
        for (int i = 0; i < values.length; i++) {
            row.setField(i, i > 0 && random.nextDouble() < NULLS ? null : values[i]);
        }
        return row;
    }

    private static byte[] bytes(Random random, int length) {
        byte[] bytes = new byte[length];
        random.nextBytes(bytes);
        return bytes;
    }

    private static Map<StringData, Long> map(Random random) {
        Map<StringData, Long> map = new LinkedHashMap<>();
        for (int i = 0; i < random.nextInt(3); i++) {
            map.put(StringData.fromString("k" + i), i == 1 ? null : random.nextLong());
        }
        return map;
    }

    /** All columns as one comparable text: the bytes of Flink's own serializer. */
    static String text(RowData row) {
        RowDataSerializer serializer = (RowDataSerializer) InternalSerializers.<RowData>create(ROW_TYPE);
        BinaryRowData binary = serializer.toBinaryRow(row);
        byte[] bytes = BinarySegmentUtils.copyToBytes(binary.getSegments(), binary.getOffset(), binary.getSizeInBytes());
        return new String(bytes, StandardCharsets.ISO_8859_1);
    }
}
