package io.sluice.flink.data;

import com.google.protobuf.UnsafeByteOperations;
import io.sluice.proto.gateway.v1.Block;
import org.apache.flink.annotation.Internal;

/**
 * A finished block: one encapsulated Arrow IPC RecordBatch message and what the wire says about it. Owns its array:
 * nobody writes to it any more.
 */
@Internal
public final class BlockData {
    /** Schema of the rows, an id given out by the gateway. */
    public final long schemaId;
    /** Rows, at least 1. */
    public final int rows;
    /** CRC-32C of the first {@link #length} bytes of {@link #data}. */
    public final int crc32c;
    /** Top-level columns the batch holds, ascending; empty: all of the schema. */
    public final int[] columns;
    /** The message; may be longer than {@link #length}. */
    public final byte[] data;
    /** Bytes of {@link #data} that count. */
    public final int length;

    public BlockData(long schemaId, int rows, int crc32c, int[] columns, byte[] data, int length) {
        this.schemaId = schemaId;
        this.rows = rows;
        this.crc32c = crc32c;
        this.columns = columns;
        this.data = data;
        this.length = length;
    }

    /** As a message; wraps the array, copies nothing. */
    public Block toProto() {
        Block.Builder block =
                Block.newBuilder()
                        .setSchemaId(schemaId)
                        .setRows(rows)
                        .setCrc32C(crc32c)
                        .setData(UnsafeByteOperations.unsafeWrap(data, 0, length));
        for (int column : columns) {
            block.addColumns(column);
        }
        return block.build();
    }
}
