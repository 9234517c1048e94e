package io.sluice.flink.data;

import io.sluice.proto.gateway.v1.Block;
import org.apache.flink.annotation.Internal;

import java.io.IOException;
import java.util.Map;

/** As {@link BlockReader}, for the built-in bytes schema. Not thread safe. */
@Internal
public final class BytesBlockReader {

    /** An open block of events. Everything handed out is a copy. */
    @Internal
    public interface Rows {
        /** Events in the block. */
        int size();

        /** Routing key, or null. */
        byte[] key(int index);

        /** Payload. */
        byte[] value(int index);

        /** Whether {@link #eventTime} is set. */
        boolean hasEventTime(int index);

        /** Milliseconds since 1970-01-01T00:00:00Z; 0 if not set. */
        long eventTime(int index);

        /** Headers in their order; empty if null. */
        Map<String, byte[]> headers(int index);
    }

    /** Checks and opens a block; see {@link BlockReader#open}. */
    public Rows open(Block block) throws IOException {
        throw new UnsupportedOperationException();
    }
}
