package io.sluice.flink.client;

import com.google.protobuf.ByteString;
import org.apache.flink.annotation.Internal;

import java.nio.ByteBuffer;
import java.util.UUID;

/** Ids of 128 bits: 16 bytes, big endian. */
@Internal
public final class Ids {

    private Ids() {}

    /** The id's bytes. */
    public static ByteString bytes(UUID id) {
        ByteBuffer buffer = ByteBuffer.allocate(16);
        buffer.putLong(id.getMostSignificantBits()).putLong(id.getLeastSignificantBits()).flip();
        return ByteString.copyFrom(buffer);
    }

    /** The id of 16 bytes; null for none, which is empty on the wire. */
    public static UUID uuid(ByteString bytes) {
        if (bytes.isEmpty()) {
            return null;
        }
        if (bytes.size() != 16) {
            throw new IllegalArgumentException("an id has 16 bytes, not " + bytes.size());
        }
        ByteBuffer buffer = bytes.asReadOnlyByteBuffer();
        return new UUID(buffer.getLong(), buffer.getLong());
    }
}
