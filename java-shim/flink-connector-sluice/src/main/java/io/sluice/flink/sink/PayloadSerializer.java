package io.sluice.flink.sink;

import org.apache.flink.api.common.serialization.SerializationSchema;

/** An event of a payload and, if there is an extractor, a key. */
final class PayloadSerializer<T> implements EventSerializer<T> {

    private static final long serialVersionUID = 1L;

    private final SerializationSchema<T> payload;
    private final RoutingKeyExtractor<T> key;

    PayloadSerializer(SerializationSchema<T> payload, RoutingKeyExtractor<T> key) {
        this.payload = payload;
        this.key = key;
    }

    @Override
    public void open(SerializationSchema.InitializationContext context) throws Exception {
        payload.open(context);
    }

    @Override
    public byte[] key(T element) {
        return key == null ? null : key.keyOf(element);
    }

    @Override
    public byte[] value(T element) {
        return payload.serialize(element);
    }
}
