package io.sluice.bench;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.flink.api.connector.sink2.Committer;
import org.apache.flink.api.connector.sink2.CommitterInitContext;
import org.apache.flink.api.connector.sink2.CommittingSinkWriter;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SupportsCommitter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/**
 * Prepares and commits nothing: an event is with its reader when its committer is called. That is Flink's own way from an event to the
 * commit of its checkpoint; the rest of a system's time is its own and that of the job that reads.
 */
final class CommitOnlySink implements Sink<byte[]>, SupportsCommitter<Long> {
    private static final long serialVersionUID = 1L;
    /** Events of a checkpoint by the number that goes through Flink in their place. */
    private static final Map<Long, byte[][]> PREPARED = new ConcurrentHashMap<>();

    private static final AtomicLong NUMBERS = new AtomicLong();

    @Override
    public CommittingSinkWriter<byte[], Long> createWriter(WriterInitContext context) {
        return new CommittingSinkWriter<>() {
            private byte[][] events = new byte[1 << 10][];
            private int count;

            @Override
            public void write(byte[] event, Context context) {
                if (count == events.length) {
                    events = Arrays.copyOf(events, count * 2);
                }
                events[count++] = event;
            }

            @Override
            public void flush(boolean endOfInput) {}

            @Override
            public Collection<Long> prepareCommit() {
                if (count == 0) {
                    return List.of();
                }
                long number = NUMBERS.incrementAndGet();
                PREPARED.put(number, Arrays.copyOf(events, count));
                count = 0;
                return List.of(number);
            }

            @Override
            public void close() {}
        };
    }

    @Override
    public Committer<Long> createCommitter(CommitterInitContext context) {
        Latency.Ages ages = new Latency.Ages();
        return new Committer<>() {
            @Override
            public void commit(Collection<CommitRequest<Long>> requests) {
                for (CommitRequest<Long> request : requests) {
                    byte[][] events = Objects.requireNonNull(PREPARED.remove(request.getCommittable()), "committed a second time");
                    for (byte[] event : events) {
                        ages.received(event);
                    }
                }
            }

            @Override
            public void close() {
                ages.report();
            }
        };
    }

    @Override
    public SimpleVersionedSerializer<Long> getCommittableSerializer() {
        return new NumberSerializer();
    }

    private static final class NumberSerializer implements SimpleVersionedSerializer<Long> {
        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(Long number) {
            return Long.toString(number).getBytes(StandardCharsets.US_ASCII);
        }

        @Override
        public Long deserialize(int version, byte[] bytes) {
            return Long.valueOf(new String(bytes, StandardCharsets.US_ASCII));
        }
    }
}
