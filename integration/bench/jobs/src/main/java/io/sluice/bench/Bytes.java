package io.sluice.bench;

import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;

/** Payloads as they are. */
final class Bytes implements SerializationSchema<byte[]>, DeserializationSchema<byte[]> {
    private static final long serialVersionUID = 1L;

    static final TypeInformation<byte[]> TYPE = PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;

    @Override
    public byte[] serialize(byte[] payload) {
        return payload;
    }

    @Override
    public byte[] deserialize(byte[] payload) {
        return payload;
    }

    @Override
    public boolean isEndOfStream(byte[] payload) {
        return false;
    }

    @Override
    public TypeInformation<byte[]> getProducedType() {
        return TYPE;
    }
}
