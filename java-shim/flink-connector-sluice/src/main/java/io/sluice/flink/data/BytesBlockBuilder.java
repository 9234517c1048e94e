package io.sluice.flink.data;

import org.apache.flink.annotation.Internal;

import java.util.Map;

/** As {@link BlockBuilder}, for the built-in bytes schema. Not thread safe. */
@Internal
public final class BytesBlockBuilder implements BlockCollector {

    private static final int UNBOUNDED = Integer.MAX_VALUE;

    private final VariableColumns.Binaries key = new VariableColumns.Binaries("key", true, UNBOUNDED, false);
    private final VariableColumns.Binaries value = new VariableColumns.Binaries("value", false, UNBOUNDED, false);
    private final FixedColumns.Longs eventTime = new FixedColumns.Longs("event_time", true);
    private final HeadersColumn headers = new HeadersColumn("headers");
    private final BlockBuilder block =
            new BlockBuilder(new ColumnWriter[] {key, value, eventTime, headers}, SchemaMapping.BYTES_SCHEMA_ID);

    /** Adds an event; {@code key}, {@code eventTime} and {@code headers} may be null. Nothing of it is kept. */
    public void append(byte[] key, byte[] value, Long eventTime, Map<String, byte[]> headers) {
        this.key.writeObject(key);
        this.value.writeObject(value);
        if (eventTime == null) {
            this.eventTime.writeNull();
        } else {
            this.eventTime.addLong(eventTime);
        }
        this.headers.writeObject(headers == null || headers.isEmpty() ? null : headers);
        block.countRow();
    }

    @Override
    public int rows() {
        return block.rows();
    }

    @Override
    public int bytes() {
        return block.bytes();
    }

    @Override
    public BlockData finish() {
        return block.finish();
    }
}
