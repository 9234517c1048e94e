package io.sluice.flink.data;

import io.sluice.proto.gateway.v1.Block;
import org.apache.flink.annotation.Internal;
import org.apache.flink.table.data.TimestampData;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;

/** As {@link BlockReader}, for the built-in bytes schema. Not thread safe. */
@Internal
public final class BytesBlockReader {

    /** An open block of events, valid until the reader opens the next one. Everything handed out is a copy. */
    @Internal
    public interface Rows {
        /** Events in the block. */
        int size();

        /** Routing key, or null. */
        byte[] key(int index);

        /** Payload; null only when {@code value} was not subscribed. */
        byte[] value(int index);

        /** Whether {@link #eventTime} is set. */
        boolean hasEventTime(int index);

        /** Milliseconds since 1970-01-01T00:00:00Z; 0 if not set. */
        long eventTime(int index);

        /** Headers in their order; empty if null. */
        Map<String, byte[]> headers(int index);
    }

    private final MessageReader message = new MessageReader();
    private final ColumnReader[] columns = ColumnReaders.ofFields("", SchemaMapping.bytesRowType());

    /** Checks and opens a block; see {@link BlockReader#open}. */
    public Rows open(Block block) throws IOException {
        BlockReader.openColumns(message, columns, block);
        return new OpenRows(block.getRows());
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
        public byte[] key(int index) {
            return (byte[]) columns[0].get(index);
        }

        @Override
        public byte[] value(int index) {
            return (byte[]) columns[1].get(index);
        }

        @Override
        public boolean hasEventTime(int index) {
            return !columns[2].isNull(index);
        }

        @Override
        public long eventTime(int index) {
            return hasEventTime(index) ? ((TimestampData) columns[2].value(index)).getMillisecond() : 0;
        }

        @Override
        public Map<String, byte[]> headers(int index) {
            if (columns[3].isNull(index)) {
                return Map.of();
            }
            Map<String, byte[]> headers = new LinkedHashMap<>();
            ((ColumnReaders.Maps) columns[3])
                    .entries(index)
                    .forEach((name, value) -> headers.put(name.toString(), (byte[]) value));
            return headers;
        }
    }
}
