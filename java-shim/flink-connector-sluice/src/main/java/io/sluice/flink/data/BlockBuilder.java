package io.sluice.flink.data;

import org.apache.flink.annotation.Internal;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.RowType;

import java.util.Arrays;

/**
 * Collects rows of one schema and one segment into a block. Not thread safe; reused from block to block.
 *
 * <p>A row that is refused ({@link InvalidRowException}) leaves the builder unusable: its job fails.
 */
@Internal
public final class BlockBuilder implements BlockCollector {

    private final long schemaId;
    private final ColumnWriter[] columns;
    private final MessageWriter message = new MessageWriter();
    private int rows;

    public BlockBuilder(RowType rowType, long schemaId) {
        this(ColumnWriters.ofFields("", rowType), schemaId);
    }

    BlockBuilder(ColumnWriter[] columns, long schemaId) {
        this.columns = columns;
        this.schemaId = schemaId;
    }

    /**
     * Adds a row; nothing of it is kept.
     *
     * @throws InvalidRowException if a value does not fit its column
     */
    public void append(RowData row) {
        for (int i = 0; i < columns.length; i++) {
            columns[i].write(row, i);
        }
        rows++;
    }

    void countRow() {
        rows++;
    }

    @Override
    public int rows() {
        return rows;
    }

    @Override
    public int bytes() {
        int bytes = 0;
        for (ColumnWriter column : columns) {
            bytes += column.bytes();
        }
        return bytes;
    }

    @Override
    public BlockData finish() {
        int[] kept = new int[columns.length];
        int count = 0;
        for (int i = 0; i < columns.length; i++) {
            if (!columns[i].allNull()) {
                kept[count++] = i;
            }
        }
        // An empty list means all columns, so a block of nulls only has to carry them.
        boolean all = count == columns.length || count == 0;
        for (int i = 0; i < columns.length; i++) {
            if (all || !columns[i].allNull()) {
                columns[i].layOut(message);
            }
        }
        BlockData block = message.finish(schemaId, rows, all ? new int[0] : Arrays.copyOf(kept, count));
        for (ColumnWriter column : columns) {
            column.clear();
        }
        rows = 0;
        return block;
    }
}
