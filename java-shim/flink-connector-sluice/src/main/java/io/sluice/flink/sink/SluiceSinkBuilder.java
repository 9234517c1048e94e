package io.sluice.flink.sink;

import io.sluice.flink.client.Names;
import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.data.RoutingKey;
import io.sluice.flink.data.SchemaMapping;
import io.sluice.flink.sink.writer.ElementFormat;
import io.sluice.proto.gateway.v1.SinkName;
import io.sluice.proto.gateway.v1.StreamName;
import org.apache.flink.annotation.PublicEvolving;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.api.java.ClosureCleaner;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.table.types.logical.RowType;

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Builds a {@link SluiceSink}. Every setter's default is named; {@link #build} says what is missing or contradictory. */
@PublicEvolving
public class SluiceSinkBuilder<T> {

    private static final int SEGMENTS_MAX = 1024;

    private ElementFormat<T> rows;
    private String endpoint;
    private String sinkId;
    private String stream;
    private StreamRouter<T> router;
    private SerializationSchema<T> serializer;
    private RoutingKeyExtractor<T> keyExtractor;
    private EventSerializer<T> eventSerializer;
    private DeliveryGuarantee guarantee = DeliveryGuarantee.EXACTLY_ONCE;
    private Duration timeout = Duration.ofMinutes(2);
    private boolean acceptDuplicates;
    private FreshStart freshStart = FreshStart.ALLOW;
    private boolean autoCreate = true;
    private int segments = 1;
    private List<String> routingKeyFields = List.of();
    private Map<String, String> labels = Map.of();

    SluiceSinkBuilder() {}

    SluiceSinkBuilder<T> setFormat(ElementFormat<T> rows) {
        this.rows = rows;
        return this;
    }

    /** The gateway, {@code host:port} or {@code http://host:port}. Required. */
    public SluiceSinkBuilder<T> setEndpoint(String endpoint) {
        this.endpoint = endpoint;
        return this;
    }

    /**
     * The durable identity of this sink, {@code scope/name}, or {@code name} in the stream's scope. Required for
     * EXACTLY_ONCE; two jobs must not share one. Keep it when the job is restored or resubmitted.
     */
    public SluiceSinkBuilder<T> setSinkId(String sinkId) {
        this.sinkId = sinkId;
        return this;
    }

    /** The stream, {@code scope/stream}. This or {@link #setStreamRouter} is required. */
    public SluiceSinkBuilder<T> setStream(String stream) {
        this.stream = stream;
        return this;
    }

    /** Chooses the stream per element; a checkpoint is still one commit over all of them. Needs a sink id with scope. */
    public SluiceSinkBuilder<T> setStreamRouter(StreamRouter<T> router) {
        clean(router);
        this.router = router;
        return this;
    }

    /** Turns elements into payloads (bytes streams). */
    public SluiceSinkBuilder<T> setSerializer(SerializationSchema<T> serializer) {
        clean(serializer);
        this.serializer = serializer;
        return this;
    }

    /** The routing key for {@link #setSerializer}. Default: none. */
    public SluiceSinkBuilder<T> setRoutingKeyExtractor(RoutingKeyExtractor<T> extractor) {
        clean(extractor);
        this.keyExtractor = extractor;
        return this;
    }

    /** Turns elements into whole events: key, payload, event time, headers (bytes streams). */
    public SluiceSinkBuilder<T> setEventSerializer(EventSerializer<T> serializer) {
        clean(serializer);
        this.eventSerializer = serializer;
        return this;
    }

    /** Default: EXACTLY_ONCE. */
    public SluiceSinkBuilder<T> setDeliveryGuarantee(DeliveryGuarantee guarantee) {
        this.guarantee = Objects.requireNonNull(guarantee, "delivery guarantee");
        return this;
    }

    /** How long a commit, and any other call, is repeated while the gateway is unreachable. Default: 2 minutes. */
    public SluiceSinkBuilder<T> setCommitTimeout(Duration timeout) {
        this.timeout = Objects.requireNonNull(timeout, "commit timeout");
        return this;
    }

    /** After restoring an older savepoint: go on, although later commits of the earlier run stay. Default: false. */
    public SluiceSinkBuilder<T> setAcceptDuplicates(boolean accept) {
        this.acceptDuplicates = accept;
        return this;
    }

    /** Default: ALLOW. */
    public SluiceSinkBuilder<T> setFreshStart(FreshStart freshStart) {
        this.freshStart = Objects.requireNonNull(freshStart, "fresh start");
        return this;
    }

    /** Whether scope and stream are created when they are missing. Default: true. */
    public SluiceSinkBuilder<T> setAutoCreate(boolean autoCreate) {
        this.autoCreate = autoCreate;
        return this;
    }

    /** Segments of a stream this sink creates, 1..1024. Default: 1. */
    public SluiceSinkBuilder<T> setSegments(int segments) {
        this.segments = segments;
        return this;
    }

    /** Routing columns of a typed stream this sink creates; must equal those of one that exists. Default: none said. */
    public SluiceSinkBuilder<T> setRoutingKeyFields(List<String> fields) {
        this.routingKeyFields = List.copyOf(fields);
        return this;
    }

    /** Labels of a stream this sink creates. Default: none. */
    public SluiceSinkBuilder<T> setLabels(Map<String, String> labels) {
        this.labels = Map.copyOf(labels);
        return this;
    }

    /**
     * The sink; each call makes a new run of it.
     *
     * @throws IllegalArgumentException saying what is missing, malformed or contradictory
     */
    public SluiceSink<T> build() {
        SluiceClient.checkEndpoint(required(endpoint, "endpoint: call setEndpoint"));
        StreamName fixed = stream == null ? null : Names.stream(stream);
        check((fixed == null) != (router == null), "exactly one of setStream and setStreamRouter is needed");
        check(!timeout.isNegative() && !timeout.isZero(), "the commit timeout must be positive");
        check(segments >= 1 && segments <= SEGMENTS_MAX, "segments must be 1 to " + SEGMENTS_MAX + ", not " + segments);
        ElementFormat<T> format = format();
        boolean exactlyOnce = guarantee == DeliveryGuarantee.EXACTLY_ONCE;
        SinkName sink = exactlyOnce ? sink(fixed) : null;
        SinkSettings settings =
                new SinkSettings(
                        endpoint,
                        sink,
                        timeout,
                        acceptDuplicates,
                        freshStart,
                        autoCreate,
                        segments,
                        routingKeyFields.isEmpty() ? null : List.copyOf(routingKeyFields),
                        new HashMap<>(labels));
        StreamRouter<T> route = router == null ? new FixedStream<>(stream) : router;
        return exactlyOnce
                ? new ExactlyOnceSink<>(settings, format, route, stream)
                : new SluiceSink<>(settings, format, route, stream, guarantee);
    }

    private ElementFormat<T> format() {
        if (rows != null) {
            check(
                    serializer == null && eventSerializer == null && keyExtractor == null,
                    "a sink of rows takes no serializer and no routing key extractor; use setRoutingKeyFields");
            RowType rowType = rows.rowType();
            SchemaMapping.toProto(rowType);
            new RoutingKey(rowType, routingKeyFields);
            return rows;
        }
        check((serializer == null) != (eventSerializer == null), "exactly one of setSerializer and setEventSerializer is needed");
        check(keyExtractor == null || serializer != null, "setRoutingKeyExtractor belongs to setSerializer; an event serializer has its own key");
        check(routingKeyFields.isEmpty(), "setRoutingKeyFields belongs to sinks of rows; use setRoutingKeyExtractor");
        return eventSerializer == null
                ? ElementFormat.events(new PayloadSerializer<>(serializer, keyExtractor), keyExtractor != null)
                : ElementFormat.events(eventSerializer, true);
    }

    private SinkName sink(StreamName fixed) {
        required(sinkId, "sink id: EXACTLY_ONCE needs a durable name, call setSinkId");
        check(
                fixed != null || sinkId.indexOf('/') >= 0,
                "sink id '" + sinkId + "' has no scope and the streams are chosen per element: write it as scope/name");
        return Names.sink(sinkId, fixed == null ? "" : fixed.getScope());
    }

    private static void clean(Object function) {
        ClosureCleaner.clean(function, ExecutionConfig.ClosureCleanerLevel.RECURSIVE, true);
    }

    private static String required(String value, String what) {
        check(value != null && !value.isBlank(), "missing " + what);
        return value;
    }

    private static void check(boolean good, String message) {
        if (!good) {
            throw new IllegalArgumentException(message);
        }
    }
}
