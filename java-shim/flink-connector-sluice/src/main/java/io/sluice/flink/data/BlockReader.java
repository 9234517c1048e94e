package io.sluice.flink.data;

import io.sluice.proto.gateway.v1.Block;
import org.apache.flink.annotation.Internal;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.RowType;

import java.io.IOException;
import java.util.Arrays;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Decodes blocks of one schema into rows, straight from the block's bytes. Not thread safe; use one per reader.
 *
 * <p>A block is checked when it is opened (checksum, Arrow header, every buffer in bounds, offsets ascending), so that
 * {@link Rows#row} never fails on bytes. Columns the block lacks are null.
 */
@Internal
public final class BlockReader {

    /** An open block; it and its rows are valid until the reader opens the next one. */
    @Internal
    public interface Rows {
        /** Rows in the block. */
        int size();

        /** Row {@code index}: reads its fields when they are asked for, and keeps the block as long as it is kept. */
        RowData row(int index);
    }

    private final MessageReader message = new MessageReader();
    private final ColumnReader[] columns;
    private final ColumnReader[] wanted;

    /**
     * @param schema the stream's columns
     * @param projection indices of the top-level columns wanted, in the order wanted; null: all
     */
    public BlockReader(RowType schema, int[] projection) {
        columns = ColumnReaders.ofFields("", schema);
        if (projection == null) {
            wanted = columns;
        } else {
            wanted = new ColumnReader[projection.length];
            Set<Integer> chosen = Arrays.stream(projection).boxed().collect(Collectors.toSet());
            for (int i = 0; i < columns.length; i++) {
                if (!chosen.contains(i)) {
                    columns[i].setUnwanted();
                }
            }
            for (int i = 0; i < wanted.length; i++) {
                wanted[i] = columns[projection[i]];
            }
        }
    }

    /**
     * Checks and opens a block.
     *
     * @throws IOException if the bytes are not a block of this schema; the message says what is wrong
     */
    public Rows open(Block block) throws IOException {
        openColumns(message, columns, block);
        return new OpenRows(block.getRows());
    }

    /** Opens every column of the schema, those the block lacks as nulls. */
    static void openColumns(MessageReader message, ColumnReader[] columns, Block block) throws IOException {
        try {
            openInOrder(message, columns, block);
        } catch (RuntimeException e) {
            // Flatbuffers checks no bounds of its own: an index outside the metadata shows as a runtime exception.
            throw new IOException("the block's Arrow header is malformed", e);
        }
    }

    private static void openInOrder(MessageReader message, ColumnReader[] columns, Block block) throws IOException {
        message.open(block);
        int rows = block.getRows();
        int present = block.getColumnsCount();
        int next = 0;
        for (int i = 0; i < columns.length; i++) {
            if (present == 0) {
                columns[i].open(message, rows);
            } else if (next < present && block.getColumns(next) == i) {
                columns[i].open(message, rows);
                next++;
            } else {
                columns[i].openAbsent(rows);
            }
        }
        if (next < present) {
            throw new IOException("the block names column " + block.getColumns(next) + ", which its schema does not have in that place");
        }
        message.close();
    }

    private final class OpenRows implements Rows {
        private final int rows;

        OpenRows(int rows) {
            this.rows = rows;
        }

        @Override
        public int size() {
            return rows;
        }

        @Override
        public RowData row(int index) {
            return new BlockRow(wanted, index);
        }
    }
}
