package io.sluice.flink.source;

import io.sluice.flink.client.Names;
import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.source.reader.BytesEventDecoder;
import io.sluice.flink.source.reader.EventDecoder;
import io.sluice.flink.source.reader.RowDataEventDecoder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import javax.annotation.Nullable;
import org.apache.flink.annotation.Internal;
import org.apache.flink.annotation.PublicEvolving;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.RowType;

/**
 * Builds a {@link SluiceSource}. Required: an endpoint and at least one stream. Everything else has a default that its setter names.
 *
 * @param <T> what the source emits
 */
@PublicEvolving
public final class SluiceSourceBuilder<T> {
    private static final Duration SHORTEST_RECONNECT_TIMEOUT = Duration.ofSeconds(1);
    private static final MemorySize LEAST_MEMORY = MemorySize.ofMebiBytes(1);

    String endpoint;
    final List<String> streams = new ArrayList<>();
    StartingPositions starting = StartingPositions.earliest();
    StoppingPositions stopping = StoppingPositions.unbounded();
    @Nullable String group;
    double rowsPerSecond;
    long memoryBytes = MemorySize.ofMebiBytes(32).getBytes();
    Duration reconnectTimeout = Duration.ofMinutes(2);
    @Nullable SourceSettings.NewStream newStream;
    long segmentLimit = Long.MAX_VALUE;
    private final EventDecoder<T> decoder;

    private SluiceSourceBuilder(EventDecoder<T> decoder) {
        this.decoder = decoder;
    }

    static <T> SluiceSourceBuilder<T> forBytes(DeserializationSchema<T> deserializer) {
        return new SluiceSourceBuilder<>(new BytesEventDecoder<>(deserializer));
    }

    static SluiceSourceBuilder<RowData> forRows(RowDataEventDecoder decoder) {
        return new SluiceSourceBuilder<>(decoder);
    }

    /** The gateway, {@code host:port} or {@code http://host:port}. Required. */
    public SluiceSourceBuilder<T> setEndpoint(String endpoint) {
        this.endpoint = Objects.requireNonNull(endpoint);
        return this;
    }

    /** The stream to read, {@code scope/stream}. This or {@link #setStreams} is required. */
    public SluiceSourceBuilder<T> setStream(String stream) {
        return setStreams(List.of(stream));
    }

    /** The streams to read, {@code scope/stream} each. */
    public SluiceSourceBuilder<T> setStreams(List<String> streams) {
        this.streams.clear();
        this.streams.addAll(streams);
        return this;
    }

    /** Where to start without state. Default: at the earliest events. */
    public SluiceSourceBuilder<T> setStartingPositions(StartingPositions starting) {
        this.starting = Objects.requireNonNull(starting);
        return this;
    }

    /** Where to end; anything but {@link StoppingPositions#unbounded} makes the source bounded. Default: never. */
    public SluiceSourceBuilder<T> setStoppingPositions(StoppingPositions stopping) {
        this.stopping = Objects.requireNonNull(stopping);
        return this;
    }

    /**
     * The reader group that positions are mirrored into, {@code scope/group} or {@code group} in the first stream's scope. After each
     * completed checkpoint of the job the gateway records a checkpoint of the group with the same number and the positions of all
     * segments. Flink's state alone decides where a restored job goes on; the group is for lag, for retention, and for {@link
     * StartingPositions#groupOffsets}. Default: none.
     */
    public SluiceSourceBuilder<T> setReaderGroup(String group) {
        this.group = Objects.requireNonNull(group);
        return this;
    }

    /** At most so many events per second, all readers of the job together; each gets an equal share. 0: no limit. Default: 0. */
    public SluiceSourceBuilder<T> setRateLimit(double eventsPerSecond) {
        this.rowsPerSecond = eventsPerSecond;
        return this;
    }

    /** What blocks that arrived at one reader and are not emitted yet may take, as a rule. Default: 32 MiB; at least 1 MiB. */
    public SluiceSourceBuilder<T> setReadMemory(MemorySize memory) {
        this.memoryBytes = memory.getBytes();
        return this;
    }

    /** How long readers try to reach a gateway that went away before the job fails. Default: 2 minutes; at least 1 second. */
    public SluiceSourceBuilder<T> setReconnectTimeout(Duration timeout) {
        this.reconnectTimeout = Objects.requireNonNull(timeout);
        return this;
    }

    /**
     * Makes streams that do not exist instead of failing, with these columns. Default: a missing stream fails the job.
     *
     * @param rowType the columns
     * @param routingKey columns whose values choose an event's segment; empty: none
     * @param segments how many segments, at least 1
     */
    public SluiceSourceBuilder<T> setAutoCreate(RowType rowType, List<String> routingKey, int segments) {
        this.newStream = new SourceSettings.NewStream(rowType, routingKey, segments);
        return this;
    }

    /** A bounded source reads at most so many events of each segment. Default: all. */
    @Internal
    public SluiceSourceBuilder<T> setSegmentLimit(long events) {
        this.segmentLimit = events;
        return this;
    }

    /**
     * The source.
     *
     * @throws IllegalArgumentException naming what is missing or contradictory
     */
    public SluiceSource<T> build() {
        return new SluiceSource<>(settings());
    }

    /** What {@link #build} builds the source with. */
    @Internal
    public SourceSettings<T> settings() {
        if (endpoint == null) {
            throw new IllegalArgumentException("a Sluice source needs the gateway's endpoint: call setEndpoint(\"host:port\")");
        }
        if (streams.isEmpty()) {
            throw new IllegalArgumentException("a Sluice source needs a stream: call setStream(\"scope/stream\")");
        }
        streams.forEach(Names::stream);
        if (streams.stream().distinct().count() < streams.size()) {
            throw new IllegalArgumentException("a stream is named twice among " + streams);
        }
        SluiceClient.checkEndpoint(endpoint);
        if (group != null) {
            group = GroupNames.qualified(group, streams.get(0));
        } else if (starting.mode() == StartingPositions.Mode.GROUP) {
            throw new IllegalArgumentException("starting at a reader group's positions needs the group: call setReaderGroup(\"scope/group\")");
        }
        checkNamed(starting.positions().keySet(), "starting");
        checkNamed(stopping.positions().keySet(), "stopping");
        if (!(rowsPerSecond >= 0) || Double.isInfinite(rowsPerSecond)) {
            throw new IllegalArgumentException("a rate limit is a number of events per second, 0 for none, not " + rowsPerSecond);
        }
        if (memoryBytes < LEAST_MEMORY.getBytes()) {
            throw new IllegalArgumentException("reading needs at least " + LEAST_MEMORY + " of memory, not " + memoryBytes + " bytes");
        }
        if (reconnectTimeout.compareTo(SHORTEST_RECONNECT_TIMEOUT) < 0) {
            throw new IllegalArgumentException("the reconnect timeout must be at least 1 s, not " + reconnectTimeout);
        }
        return new SourceSettings<>(this, decoder);
    }

    private void checkNamed(Iterable<String> named, String which) {
        for (String stream : named) {
            if (!streams.contains(stream)) {
                throw new IllegalArgumentException(which + " positions are given for stream " + stream + ", which the source does not read ("
                        + streams + ")");
            }
        }
    }
}
