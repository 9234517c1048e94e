package io.sluice.flink.tests;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.flink.data.RoutingKey;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.table.data.DecimalData;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.types.logical.DecimalType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.LogicalTypeRoot;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.utils.LogicalTypeChecks;
import org.apache.flink.table.types.logical.utils.LogicalTypeParser;
import org.apache.flink.util.StringUtils;
import org.junit.jupiter.api.Test;

/** The shared routing-key vectors, which the Rust side checks too: a row goes to the same segment whoever routes it. */
class HashVectorsTest {
    private static final int NANOS_PER_MILLI = 1_000_000;

    @Test
    void everyVectorHashesAndRoutesAsWritten() throws Exception {
        Path file = Path.of(System.getProperty("sluice.root", "../.."), "schema", "vectors", "routing-key.json");
        JsonNode vectors = new ObjectMapper().readTree(file.toFile()).get("vectors");
        assertThat(vectors.size()).isGreaterThan(50);
        int bytesKeys = 0;
        for (JsonNode vector : vectors) {
            List<RowType.RowField> fields = new ArrayList<>();
            GenericRowData row = new GenericRowData(vector.get("columns").size());
            for (JsonNode column : vector.get("columns")) {
                LogicalType type = LogicalTypeParser.parse(column.get("type").asText(), getClass().getClassLoader());
                row.setField(fields.size(), value(type, column.get("value")));
                fields.add(new RowType.RowField("c" + fields.size(), type));
            }
            RowType rowType = new RowType(fields);
            long hash = new RoutingKey(rowType, rowType.getFieldNames()).hash(row);
            assertThat(String.format("%016x", hash)).as(vector.toString()).isEqualTo(vector.get("hash").asText());
            if (fields.size() == 1 && rowType.getTypeAt(0).is(LogicalTypeRoot.VARBINARY)) {
                // the key of a bytes stream takes a shorter way to the same hash
                assertThat(RoutingKey.hashOfBytesKey(row.isNullAt(0) ? null : row.getBinary(0))).as(vector.toString()).isEqualTo(hash);
                bytesKeys++;
            }
            for (Iterator<Map.Entry<String, JsonNode>> split = vector.get("segments").fields(); split.hasNext(); ) {
                Map.Entry<String, JsonNode> segments = split.next();
                assertThat(segmentOf(hash, Integer.parseInt(segments.getKey()))).as(vector.toString()).isEqualTo(segments.getValue().asInt());
            }
        }
        assertThat(bytesKeys).as("vectors that a bytes key has, too").isGreaterThan(2);
    }

    /** floor(hash * n / 2^64), in arithmetic of its own. */
    private static int segmentOf(long hash, int segments) {
        return new BigInteger(Long.toUnsignedString(hash)).multiply(BigInteger.valueOf(segments)).shiftRight(64).intValueExact();
    }

    private static Object value(LogicalType type, JsonNode value) {
        if (value.isNull()) {
            return null;
        }
        String text = value.asText();
        switch (type.getTypeRoot()) {
            case BOOLEAN:
                return value.asBoolean();
            case TINYINT:
                return Byte.parseByte(text);
            case SMALLINT:
                return Short.parseShort(text);
            case INTEGER:
            case DATE:
            case TIME_WITHOUT_TIME_ZONE:
                return Integer.parseInt(text);
            case BIGINT:
                return Long.parseLong(text);
            case FLOAT:
                return Float.intBitsToFloat(Integer.parseUnsignedInt(text, 16));
            case DOUBLE:
                return Double.longBitsToDouble(Long.parseUnsignedLong(text, 16));
            case DECIMAL:
                DecimalType decimal = (DecimalType) type;
                BigDecimal number = new BigDecimal(new BigInteger(text), decimal.getScale());
                return DecimalData.fromBigDecimal(number, decimal.getPrecision(), decimal.getScale());
            case CHAR:
            case VARCHAR:
                return StringData.fromString(text);
            case BINARY:
            case VARBINARY:
                return StringUtils.hexStringToByte(text);
            case TIMESTAMP_WITHOUT_TIME_ZONE:
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE:
                return timestamp(Long.parseLong(text), LogicalTypeChecks.getPrecision(type));
            default:
                throw new IllegalArgumentException("vectors hold no " + type);
        }
    }

    private static TimestampData timestamp(long units, int precision) {
        long perMilli = precision <= 3 ? 1 : precision <= 6 ? 1_000 : NANOS_PER_MILLI;
        long millis = Math.floorDiv(units, perMilli);
        return TimestampData.fromEpochMillis(millis, (int) (Math.floorMod(units, perMilli) * (NANOS_PER_MILLI / perMilli)));
    }
}
