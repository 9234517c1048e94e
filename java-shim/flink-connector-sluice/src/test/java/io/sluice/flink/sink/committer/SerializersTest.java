package io.sluice.flink.sink.committer;

import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.junit.jupiter.api.Test;

import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

/**
 * What lies in savepoints stays readable: the bytes of each version are kept as resources and read for ever. Cut, long,
 * flipped bytes and unknown versions are refused.
 */
class SerializersTest {

    private static final Group GROUP =
            new Group(new UUID(10, 11), 42, new UUID(12, 13), List.of(new UUID(14, 15), new UUID(16, 17)), 3);

    @Test
    void receipts() throws Exception {
        holds(new ReceiptSerializer(), new Receipt(new UUID(1, 2), 3, 4, 5, 6), "receipt-1.bin");
    }

    @Test
    void committables() throws Exception {
        holds(
                new GroupCommittableSerializer(),
                new GroupCommittable(new UUID(1, 2), new UUID(3, 4), "scope", "sink", GROUP),
                "committable-1.bin");
    }

    @Test
    void chains() throws Exception {
        Group second = new Group(new UUID(20, 21), 43, GROUP.id, List.of(new UUID(22, 23)), 3);
        holds(new Chain.Serializer(), new Chain(new UUID(5, 6), new UUID(12, 13), List.of(GROUP, second)), "chain-1.bin");
        Chain fresh = new Chain(new UUID(5, 6), null, List.of());
        Chain.Serializer serializer = new Chain.Serializer();
        assertThat(serializer.deserialize(1, serializer.serialize(fresh))).isEqualTo(fresh);
    }

    private static <T> void holds(SimpleVersionedSerializer<T> serializer, T value, String golden) throws Exception {
        byte[] bytes = serializer.serialize(value);
        assertThat(serializer.deserialize(serializer.getVersion(), bytes)).isEqualTo(value);
        assertThat(serializer.deserialize(1, golden(golden))).as("bytes of version 1").isEqualTo(value);
        assertThat(bytes).as("the format of version 1 must not change").isEqualTo(golden(golden));

        for (int length = 0; length < bytes.length; length++) {
            refused(serializer, 1, Arrays.copyOf(bytes, length));
        }
        refused(serializer, 1, Arrays.copyOf(bytes, bytes.length + 1));
        for (int bit = 0; bit < 8 * bytes.length; bit++) {
            byte[] flipped = bytes.clone();
            flipped[bit / 8] ^= (byte) (1 << (bit % 8));
            refused(serializer, 1, flipped);
        }
        refused(serializer, 2, bytes);
    }

    private static void refused(SimpleVersionedSerializer<?> serializer, int version, byte[] bytes) {
        assertThatThrownBy(() -> serializer.deserialize(version, bytes))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("job's state");
    }

    private static byte[] golden(String name) throws IOException {
        try (InputStream in = SerializersTest.class.getResourceAsStream("/golden/" + name)) {
            assertThat(in).as("resource /golden/" + name).isNotNull();
            return in.readAllBytes();
        }
    }
}
