package io.sluice.flink.source.enumerator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.flink.source.split.SluiceSplit;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The enumerator's state survives being written and read, also the bytes that version 1 wrote. */
class SluiceEnumeratorStateSerializerTest {
    private static final SluiceEnumeratorState STATE = new SluiceEnumeratorState(true, List.of(
            new SegmentProgress(new SluiceSplit("nyc", "flights", 7, 0, 42, 99L), true),
            new SegmentProgress(new SluiceSplit("nyc", "flights", 7, 1, 5, null), false)));

    private final SluiceEnumeratorStateSerializer serializer = SluiceEnumeratorStateSerializer.INSTANCE;

    @Test
    void roundTrips() throws IOException {
        for (SluiceEnumeratorState state : List.of(STATE, new SluiceEnumeratorState(false, List.of()))) {
            assertThat(serializer.deserialize(serializer.getVersion(), serializer.serialize(state))).isEqualTo(state);
        }
    }

    @Test
    void bytesOfVersion1StayReadable() throws IOException {
        try (InputStream golden = getClass().getResourceAsStream("/source/enumerator-state-v1.bin")) {
            byte[] bytes = golden.readAllBytes();
            assertThat(serializer.deserialize(1, bytes)).isEqualTo(STATE);
            assertThat(serializer.serialize(STATE)).as("version 1 must not change; add a version").isEqualTo(bytes);
        }
    }

    @Test
    void cutLongAndUnknownBytesAreRefused() throws IOException {
        byte[] bytes = serializer.serialize(STATE);
        for (int length = 0; length < bytes.length; length++) {
            byte[] cut = Arrays.copyOf(bytes, length);
            assertThatThrownBy(() -> serializer.deserialize(1, cut)).isInstanceOf(IOException.class);
        }
        assertThatThrownBy(() -> serializer.deserialize(1, Arrays.copyOf(bytes, bytes.length + 1))).hasMessageContaining("unexpected");
        assertThatThrownBy(() -> serializer.deserialize(2, bytes)).hasMessageContaining("version 2");
    }
}
