package io.sluice.flink.data;

import io.sluice.proto.gateway.v1.Block;
import com.google.protobuf.ByteString;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.runtime.typeutils.RowDataSerializer;
import org.apache.flink.table.types.logical.*;
import org.junit.jupiter.api.Test;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.zip.CRC32C;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

/** Random rows of random types come back as they were; cut, flipped and lying blocks are refused, never misread. */
class BlockRoundTripTest {

    @Test
    void everyTypeComesBack() throws IOException {
        for (int seed = 0; seed < 400; seed++) {
            RandomRows random = new RandomRows(seed);
            RowType type = random.rowType(3);
            assertThat(SchemaMapping.fromProto(SchemaMapping.toProto(type))).as("seed %s", seed).isEqualTo(type.copy(false));
            BlockBuilder builder = new BlockBuilder(type, 7);
            BlockReader reader = new BlockReader(type, null);
            for (int round = 0; round < 2; round++) {
                List<RowData> rows = new ArrayList<>();
                for (int i = 0; i < 1 + seed % 40; i++) {
                    RowData row = random.row(type);
                    rows.add(row);
                    // Half of them as Flink's binary rows, as they come out of an exchange.
                    builder.append(i % 2 == 0 ? row : new RowDataSerializer(type).toBinaryRow(row).copy());
                }
                BlockData block = builder.finish();
                assertThat(block.rows).isEqualTo(rows.size());
                BlockReader.Rows read = reader.open(overTheWire(block));
                for (int i = 0; i < rows.size(); i++) {
                    assertThat(fields(type, read.row(i))).as("seed %s row %s of %s", seed, i, type).isEqualTo(rows.get(i));
                    // as an exchange or a state backend asks for the fields
                    RowDataSerializer serializer = new RowDataSerializer(type);
                    assertThat(serializer.toBinaryRow(read.row(i)).copy()).isEqualTo(serializer.toBinaryRow(rows.get(i)));
                }
            }
        }
    }

    @Test
    void columnsThatAreAllNullAreLeftOutAndReadAsNull() throws IOException {
        RowType type = RowType.of(new IntType(), new BigIntType(), new VarCharType(9), new IntType());
        BlockBuilder builder = new BlockBuilder(type, 1);
        builder.append(GenericRowData.of(null, 5L, null, 6));
        builder.append(GenericRowData.of(null, null, null, 7));
        BlockData block = builder.finish();
        assertThat(block.columns).containsExactly(1, 3);
        BlockReader.Rows all = new BlockReader(type, null).open(block.toProto());
        assertThat(fields(type, all.row(0))).isEqualTo(GenericRowData.of(null, 5L, null, 6));
        BlockReader.Rows some = new BlockReader(type, new int[] {3, 0}).open(block.toProto());
        assertThat(fields(RowType.of(new IntType(), new IntType()), some.row(1))).isEqualTo(GenericRowData.of(7, null));

        builder.append(GenericRowData.of(null, null, null, null));
        BlockData nulls = builder.finish();
        assertThat(nulls.columns).isEmpty();
        assertThat(fields(type, new BlockReader(type, null).open(nulls.toProto()).row(0))).isEqualTo(new GenericRowData(4));
    }

    @Test
    void onlyColumnsThatAreReadMustBeInTheBlock() throws IOException {
        LogicalType number = new BigIntType(false);
        BlockBuilder builder = new BlockBuilder(RowType.of(number), 1);
        builder.append(GenericRowData.of(5L));
        // as the gateway sends it to a reader that asked for the second of three columns
        Block block = builder.finish().toProto().toBuilder().clearColumns().addColumns(1).build();
        RowType type = RowType.of(number, number, number);
        assertThat(new BlockReader(type, new int[] {1}).open(block).row(0).getLong(0)).isEqualTo(5L);
        assertThatThrownBy(() -> new BlockReader(type, new int[] {1, 2}).open(block))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("the block lacks column 'f2', which is NOT NULL");
        assertThatThrownBy(() -> new BlockReader(type, null).open(block)).isInstanceOf(IOException.class);
    }

    @Test
    void copiesOutliveTheirBlockAndRowsOutliveTheNext() throws IOException {
        RowType type = RowType.of(new VarCharType(100), new VarBinaryType(100));
        BlockBuilder builder = new BlockBuilder(type, 1);
        builder.append(GenericRowData.of(StringData.fromString("kept"), new byte[] {1, 2}));
        BlockData block = builder.finish();
        RowData row = new BlockReader(type, null).open(block.toProto()).row(0);
        builder.append(GenericRowData.of(StringData.fromString("next"), new byte[] {3, 4}));
        new BlockReader(type, null).open(builder.finish().toProto()).row(0);
        RowData copy = new RowDataSerializer(type).copy(row);
        assertThat(copy).isEqualTo(GenericRowData.of(StringData.fromString("kept"), new byte[] {1, 2}));
        java.util.Arrays.fill(block.data, (byte) 0);
        assertThat(copy).isEqualTo(GenericRowData.of(StringData.fromString("kept"), new byte[] {1, 2}));
        assertThat(row.getString(0)).as("it reads from the block").isNotEqualTo(StringData.fromString("kept"));
    }

    @Test
    void shortCharsAndBinariesArePadded() throws IOException {
        RowType type = RowType.of(new CharType(4), new BinaryType(3));
        BlockBuilder builder = new BlockBuilder(type, 1);
        builder.append(GenericRowData.of(StringData.fromString("ü"), new byte[] {9}));
        RowData row = new BlockReader(type, null).open(builder.finish().toProto()).row(0);
        assertThat(fields(type, row)).isEqualTo(GenericRowData.of(StringData.fromString("ü   "), new byte[] {9, 0, 0}));
    }

    @Test
    void valuesOutsideTheirColumnAreRefusedInOneSentence() {
        refused(new CharType(2), StringData.fromString("abc"), "column 'f0' holds a string of 3 characters, at most 2 are allowed");
        refused(new VarCharType(2), StringData.fromString("üöä"), "3 characters, at most 2");
        refused(new VarBinaryType(2), new byte[3], "holds 3 bytes, at most 2");
        refused(new TimeType(0), 86_400_000, "no time of a day");
        refused(new IntType(false), null, "column 'f0' is null, but the column is NOT NULL");
        refused(new TimestampType(9), TimestampData.fromEpochMillis(Long.MAX_VALUE / 1000), "outside the range of a timestamp of precision 9");
        refused(new LocalZonedTimestampType(6), TimestampData.fromEpochMillis(Long.MAX_VALUE / 100), "outside the range of a timestamp of precision 6");
    }

    @Test
    void theEdgesOfNanosecondsAreKept() throws IOException {
        RowType type = RowType.of(new TimestampType(9));
        for (long nanos : new long[] {Long.MIN_VALUE, -1, 0, Long.MAX_VALUE}) {
            BlockBuilder builder = new BlockBuilder(type, 1);
            TimestampData value = TimestampData.fromEpochMillis(Math.floorDiv(nanos, 1_000_000L), (int) Math.floorMod(nanos, 1_000_000L));
            builder.append(GenericRowData.of(value));
            assertThat(new BlockReader(type, null).open(builder.finish().toProto()).row(0).getTimestamp(0, 9)).isEqualTo(value);
        }
    }

    @Test
    void damagedBlocksAreRefused() {
        for (int seed = 0; seed < 40; seed++) {
            RandomRows random = new RandomRows(seed);
            RowType type = random.rowType(2);
            BlockBuilder builder = new BlockBuilder(type, 1);
            for (int i = 0; i < 10; i++) {
                builder.append(random.row(type));
            }
            BlockData block = builder.finish();
            Random flips = new Random(seed);
            for (int i = 0; i < 200; i++) {
                byte[] bytes = java.util.Arrays.copyOf(block.data, block.length);
                int at = i < 100 ? flips.nextInt(Math.min(bytes.length, 400)) : flips.nextInt(bytes.length);
                bytes[at] ^= (byte) (1 << flips.nextInt(8));
                Block flipped = block.toProto().toBuilder().setData(ByteString.copyFrom(bytes)).build();
                assertThatThrownBy(() -> new BlockReader(type, null).open(flipped)).isInstanceOf(IOException.class).hasMessageContaining("checksum");
                readOrRefuse(type, withChecksum(flipped));
                readOrRefuse(type, withChecksum(block.toProto().toBuilder().setData(ByteString.copyFrom(bytes, 0, at)).build()));
            }
        }
    }

    @Test
    void aBlockOfAnotherSchemaIsRefused() {
        BlockBuilder builder = new BlockBuilder(RowType.of(new IntType(), new IntType()), 1);
        builder.append(GenericRowData.of(1, 2));
        Block block = builder.finish().toProto();
        for (RowType other : List.of(RowType.of(new IntType()), RowType.of(new IntType(), new IntType(), new IntType()), RowType.of(new VarCharType(3), new IntType()))) {
            assertThatThrownBy(() -> new BlockReader(other, null).open(block)).isInstanceOf(IOException.class);
        }
        assertThatThrownBy(() -> new BlockReader(RowType.of(new IntType(), new IntType()), null).open(block.toBuilder().setRows(2).build()))
                .isInstanceOf(IOException.class).hasMessageContaining("rows");
    }

    @Test
    void bytesEventsComeBack() throws IOException {
        BytesBlockBuilder builder = new BytesBlockBuilder();
        Map<String, byte[]> headers = new LinkedHashMap<>();
        headers.put("trace", new byte[] {4});
        headers.put("empty", new byte[0]);
        builder.append("k".getBytes(StandardCharsets.UTF_8), new byte[] {1, 2, 3}, 5L, headers);
        builder.append(null, new byte[0], null, null);
        BytesBlockReader.Rows rows = new BytesBlockReader().open(overTheWire(builder.finish()));
        assertThat(rows.size()).isEqualTo(2);
        assertThat(rows.key(0)).isEqualTo("k".getBytes(StandardCharsets.UTF_8));
        assertThat(rows.value(0)).isEqualTo(new byte[] {1, 2, 3});
        assertThat(rows.hasEventTime(0)).isTrue();
        assertThat(rows.eventTime(0)).isEqualTo(5);
        assertThat(rows.headers(0)).containsOnlyKeys("trace", "empty").containsEntry("trace", new byte[] {4});
        assertThat(rows.key(1)).isNull();
        assertThat(rows.value(1)).isEmpty();
        assertThat(rows.hasEventTime(1)).isFalse();
        assertThat(rows.headers(1)).isEmpty();

        builder.append(null, new byte[] {7}, null, null);
        BlockData plain = builder.finish();
        assertThat(plain.columns).containsExactly(1);
        assertThat(new BytesBlockReader().open(plain.toProto()).value(0)).isEqualTo(new byte[] {7});
    }

    /** A row of Flink's own with the same fields; it can be compared. */
    private static RowData fields(RowType type, RowData row) {
        GenericRowData fields = new GenericRowData(row.getArity());
        for (int i = 0; i < row.getArity(); i++) {
            fields.setField(i, RowData.createFieldGetter(type.getTypeAt(i), i).getFieldOrNull(row));
        }
        return fields;
    }

    private static void readOrRefuse(RowType type, Block block) {
        // With a matching checksum a flip may change values; it must not break the reader in another way.
        try {
            BlockReader.Rows rows = new BlockReader(type, null).open(block);
            for (int i = 0; i < rows.size(); i++) {
                fields(type, rows.row(i));
            }
        } catch (IOException refused) {
            assertThat(refused.getMessage()).isNotEmpty();
        }
    }

    private static void refused(LogicalType type, Object value, String message) {
        BlockBuilder builder = new BlockBuilder(RowType.of(type), 1);
        assertThatThrownBy(() -> builder.append(GenericRowData.of(value)))
                .isInstanceOf(InvalidRowException.class)
                .hasMessageContaining(message);
    }

    private static Block withChecksum(Block block) {
        CRC32C crc = new CRC32C();
        crc.update(block.getData().toByteArray());
        return block.toBuilder().setCrc32C((int) crc.getValue()).build();
    }

    private static Block overTheWire(BlockData block) throws IOException {
        return Block.parseFrom(block.toProto().toByteArray());
    }
}
