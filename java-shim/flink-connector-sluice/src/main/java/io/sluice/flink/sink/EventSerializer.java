package io.sluice.flink.sink;

import org.apache.flink.annotation.PublicEvolving;
import org.apache.flink.api.common.serialization.SerializationSchema;

import java.io.Serializable;
import java.util.Map;

/** Turns an element into an event of the built-in bytes schema. Called on the task's thread. */
@PublicEvolving
public interface EventSerializer<T> extends Serializable {

    /** Called once per subtask before the first element. */
    default void open(SerializationSchema.InitializationContext context) throws Exception {}

    /** Routing key; null: none. Elements with equal keys keep their order. */
    byte[] key(T element);

    /** Payload, at most 4 MiB; not null. */
    byte[] value(T element);

    /**
     * Event time in milliseconds since 1970-01-01T00:00:00Z; null: none.
     *
     * @param flinkTimestamp the timestamp Flink attached to the element, or null
     */
    default Long eventTime(T element, Long flinkTimestamp) {
        return flinkTimestamp;
    }

    /** Headers; null or empty: none. */
    default Map<String, byte[]> headers(T element) {
        return null;
    }
}
