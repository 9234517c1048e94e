package io.sluice.flink.data;

import io.sluice.proto.gateway.v1.Block;
import org.apache.flink.annotation.Internal;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.RowType;

import java.io.IOException;

/**
 * Decodes blocks of one schema into rows, straight from the block's bytes. Not thread safe; use one per reader.
 *
 * <p>A block is checked when it is opened (checksum, Arrow header, every buffer in bounds, offsets ascending), so that
 * {@link Rows#row} never fails on bytes. Columns the block lacks are null.
 */
@Internal
public final class BlockReader {

    /** An open block. */
    @Internal
    public interface Rows {
        /** Rows in the block. */
        int size();

        /** Row {@code index} as a new object that holds no reference to the block. */
        RowData row(int index);
    }

    /**
     * @param schema the stream's columns
     * @param projection indices of the top-level columns wanted, in the order wanted; null: all
     */
    public BlockReader(RowType schema, int[] projection) {
        throw new UnsupportedOperationException();
    }

    /**
     * Checks and opens a block.
     *
     * @throws IOException if the bytes are not a block of this schema; the message says what is wrong
     */
    public Rows open(Block block) throws IOException {
        throw new UnsupportedOperationException();
    }
}
