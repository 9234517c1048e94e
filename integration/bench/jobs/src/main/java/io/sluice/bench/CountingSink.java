package io.sluice.bench;

import java.io.Serializable;
import java.util.function.ToLongFunction;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;

/** Counts records and their bytes and drops them. */
final class CountingSink<T> implements Sink<T> {
    private static final long serialVersionUID = 1L;

    /** For how many records, or bytes, an element stands. */
    interface Weight<T> extends ToLongFunction<T>, Serializable {}

    private final Weight<T> records;
    private final Weight<T> bytes;

    CountingSink(Weight<T> records, Weight<T> bytes) {
        this.records = records;
        this.bytes = bytes;
    }

    @Override
    public SinkWriter<T> createWriter(WriterInitContext context) {
        Progress.started();
        return new SinkWriter<>() {
            private long recordsSeen;
            private long bytesSeen;

            @Override
            public void write(T element, Context context) {
                recordsSeen += records.applyAsLong(element);
                bytesSeen += bytes.applyAsLong(element);
            }

            @Override
            public void flush(boolean endOfInput) {
                if (endOfInput) {
                    Progress.ended(recordsSeen, bytesSeen);
                }
            }

            @Override
            public void close() {}
        };
    }
}
