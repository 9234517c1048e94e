package io.sluice.flink.sink;

import org.apache.flink.annotation.PublicEvolving;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.table.types.logical.RowType;

import java.time.Duration;
import java.util.List;
import java.util.Map;

/** Builds a {@link SluiceSink}. Every setter's default is named; {@link #build} says what is missing or contradictory. */
@PublicEvolving
public class SluiceSinkBuilder<T> {

    SluiceSinkBuilder() {}

    SluiceSinkBuilder<T> setRowType(RowType rowType) {
        return this;
    }

    /** The gateway, {@code host:port} or {@code http://host:port}. Required. */
    public SluiceSinkBuilder<T> setEndpoint(String endpoint) {
        return this;
    }

    /**
     * The durable identity of this sink, {@code scope/name}, or {@code name} in the stream's scope. Required for
     * EXACTLY_ONCE; two jobs must not share one. Keep it when the job is restored or resubmitted.
     */
    public SluiceSinkBuilder<T> setSinkId(String sinkId) {
        return this;
    }

    /** The stream, {@code scope/stream}. This or {@link #setStreamRouter} is required. */
    public SluiceSinkBuilder<T> setStream(String stream) {
        return this;
    }

    /** Chooses the stream per element; a checkpoint is still one commit over all of them. Needs a sink id with scope. */
    public SluiceSinkBuilder<T> setStreamRouter(StreamRouter<T> router) {
        return this;
    }

    /** Turns elements into payloads (bytes streams). */
    public SluiceSinkBuilder<T> setSerializer(SerializationSchema<T> serializer) {
        return this;
    }

    /** The routing key for {@link #setSerializer}. Default: none. */
    public SluiceSinkBuilder<T> setRoutingKeyExtractor(RoutingKeyExtractor<T> extractor) {
        return this;
    }

    /** Turns elements into whole events: key, payload, event time, headers (bytes streams). */
    public SluiceSinkBuilder<T> setEventSerializer(EventSerializer<T> serializer) {
        return this;
    }

    /** Default: EXACTLY_ONCE. */
    public SluiceSinkBuilder<T> setDeliveryGuarantee(DeliveryGuarantee guarantee) {
        return this;
    }

    /** How long a commit is retried while the gateway is unreachable. Default: 2 minutes. */
    public SluiceSinkBuilder<T> setCommitTimeout(Duration timeout) {
        return this;
    }

    /** After restoring an older savepoint: go on, although later commits of the earlier run stay. Default: false. */
    public SluiceSinkBuilder<T> setAcceptDuplicates(boolean accept) {
        return this;
    }

    /** Default: ALLOW. */
    public SluiceSinkBuilder<T> setFreshStart(FreshStart freshStart) {
        return this;
    }

    /** Whether scope and stream are created when they are missing. Default: true. */
    public SluiceSinkBuilder<T> setAutoCreate(boolean autoCreate) {
        return this;
    }

    /** Segments of a stream this sink creates, 1..1024. Default: 1. */
    public SluiceSinkBuilder<T> setSegments(int segments) {
        return this;
    }

    /** Routing columns of a typed stream this sink creates; must equal those of one that exists. Default: none. */
    public SluiceSinkBuilder<T> setRoutingKeyFields(List<String> fields) {
        return this;
    }

    /** Labels of a stream this sink creates. Default: none. */
    public SluiceSinkBuilder<T> setLabels(Map<String, String> labels) {
        return this;
    }

    /** The sink; each call makes a new run of it. */
    public SluiceSink<T> build() {
        throw new UnsupportedOperationException();
    }
}
