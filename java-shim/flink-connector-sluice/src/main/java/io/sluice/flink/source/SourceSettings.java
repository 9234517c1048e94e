package io.sluice.flink.source;

import io.sluice.flink.source.reader.EventDecoder;
import java.io.Serializable;
import java.time.Duration;
import java.util.List;
import javax.annotation.Nullable;
import org.apache.flink.annotation.Internal;
import org.apache.flink.table.types.logical.RowType;

/** Everything a source is built with; travels to the enumerator and the readers. Immutable. */
@Internal
public final class SourceSettings<T> implements Serializable {
    private static final long serialVersionUID = 1L;

    /** How to make a stream that does not exist. */
    @Internal
    public static final class NewStream implements Serializable {
        private static final long serialVersionUID = 1L;

        private final RowType rowType;
        private final List<String> routingKey;
        private final int segments;

        /**
         * @param rowType its columns
         * @param routingKey columns whose values choose the segment
         * @param segments how many segments, at least 1
         */
        public NewStream(RowType rowType, List<String> routingKey, int segments) {
            this.rowType = rowType;
            this.routingKey = List.copyOf(routingKey);
            this.segments = segments;
        }

        public RowType rowType() {
            return rowType;
        }

        public List<String> routingKey() {
            return routingKey;
        }

        public int segments() {
            return segments;
        }
    }

    private final String endpoint;
    private final List<String> streams;
    private final EventDecoder<T> decoder;
    private final StartingPositions starting;
    private final StoppingPositions stopping;
    @Nullable private final String group;
    private final double rowsPerSecond;
    private final long memoryBytes;
    private final Duration reconnectTimeout;
    @Nullable private final NewStream newStream;
    private final long segmentLimit;

    SourceSettings(SluiceSourceBuilder<?> builder, EventDecoder<T> decoder) {
        this.endpoint = builder.endpoint;
        this.streams = List.copyOf(builder.streams);
        this.decoder = decoder;
        this.starting = builder.starting;
        this.stopping = builder.stopping;
        this.group = builder.group;
        this.rowsPerSecond = builder.rowsPerSecond;
        this.memoryBytes = builder.memoryBytes;
        this.reconnectTimeout = builder.reconnectTimeout;
        this.newStream = builder.newStream;
        this.segmentLimit = builder.segmentLimit;
    }

    public String endpoint() {
        return endpoint;
    }

    /** {@code scope/stream}, at least one. */
    public List<String> streams() {
        return streams;
    }

    public EventDecoder<T> decoder() {
        return decoder;
    }

    public StartingPositions starting() {
        return starting;
    }

    public StoppingPositions stopping() {
        return stopping;
    }

    /** The reader group that mirrors positions, {@code scope/group}; null: none. */
    @Nullable
    public String group() {
        return group;
    }

    /** Events per second of all readers together; 0: no limit. */
    public double rowsPerSecond() {
        return rowsPerSecond;
    }

    /** What arrived blocks of one reader may take, as a rule. */
    public long memoryBytes() {
        return memoryBytes;
    }

    /** How long the gateway may stay away before the job fails. */
    public Duration reconnectTimeout() {
        return reconnectTimeout;
    }

    /** How to make streams that do not exist; null: they are an error. */
    @Nullable
    public NewStream newStream() {
        return newStream;
    }

    /** A bounded source reads at most so many events of each segment. */
    public long segmentLimit() {
        return segmentLimit;
    }
}
