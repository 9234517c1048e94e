package io.sluice.flink.source.split;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** Splits survive being written and read, also the bytes that version 1 wrote. */
class SluiceSplitSerializerTest {
    private static final SluiceSplit WITH_END = new SluiceSplit("nyc", "flights", 7, 3, 42, 99L);
    private static final SluiceSplit WITHOUT_END = new SluiceSplit("nyc", "flights", Long.MAX_VALUE, 1023, 0, null);

    private final SluiceSplitSerializer serializer = SluiceSplitSerializer.INSTANCE;

    @Test
    void roundTrips() throws IOException {
        for (SluiceSplit split : new SluiceSplit[] {WITH_END, WITHOUT_END, WITH_END.at(99), WITHOUT_END.finishedAt(5)}) {
            assertThat(serializer.deserialize(serializer.getVersion(), serializer.serialize(split))).isEqualTo(split);
        }
    }

    @Test
    void bytesOfVersion1StayReadable() throws IOException {
        try (InputStream golden = getClass().getResourceAsStream("/source/split-v1.bin")) {
            byte[] bytes = golden.readAllBytes();
            assertThat(serializer.deserialize(1, bytes)).isEqualTo(WITH_END);
            assertThat(serializer.serialize(WITH_END)).as("version 1 must not change; add a version").isEqualTo(bytes);
        }
    }

    @Test
    void cutLongAndUnknownBytesAreRefused() throws IOException {
        byte[] bytes = serializer.serialize(WITH_END);
        for (int length = 0; length < bytes.length; length++) {
            byte[] cut = Arrays.copyOf(bytes, length);
            assertThatThrownBy(() -> serializer.deserialize(1, cut)).isInstanceOf(IOException.class);
        }
        assertThatThrownBy(() -> serializer.deserialize(1, Arrays.copyOf(bytes, bytes.length + 1))).hasMessageContaining("unexpected");
        assertThatThrownBy(() -> serializer.deserialize(2, bytes)).hasMessageContaining("version 2");
    }
}
