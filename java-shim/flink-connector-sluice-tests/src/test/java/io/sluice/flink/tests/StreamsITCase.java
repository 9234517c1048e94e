package io.sluice.flink.tests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.flink.client.Names;
import io.sluice.flink.client.SluiceException;
import io.sluice.flink.client.Streams;
import io.sluice.proto.gateway.v1.StreamConfig;
import io.sluice.proto.gateway.v1.StreamInfo;
import io.sluice.proto.gateway.v1.StreamName;
import org.apache.flink.table.types.logical.IntType;
import org.apache.flink.table.types.logical.RowType;
import org.junit.jupiter.api.Test;

/** Streams that sinks and sources make when they are missing. */
class StreamsITCase {
    @Test
    void aStreamIsMadeOnceWhoeverMakesIt() throws Exception {
        try (GatewayProcess gateway = GatewayProcess.start();
                TestStreams streams = new TestStreams(gateway)) {
            StreamName name = Names.stream("made/once");
            assertThatThrownBy(() -> Streams.getOrCreate(streams.client, name, null, TestStreams.TIMEOUT))
                    .isInstanceOfSatisfying(SluiceException.class, e -> assertThat(Streams.isMissing(e)).isTrue());
            StreamInfo made = Streams.getOrCreate(streams.client, name, () -> segments(2), TestStreams.TIMEOUT);
            assertThat(made.getSegmentsCount()).isEqualTo(2);
            StreamInfo found = Streams.getOrCreate(streams.client, name, () -> segments(5), TestStreams.TIMEOUT);
            assertThat(found).isEqualTo(made);
        }
    }

    @Test
    void whoComesSecondTakesWhatTheFirstMade() throws Exception {
        try (GatewayProcess gateway = GatewayProcess.start();
                TestStreams streams = new TestStreams(gateway)) {
            StreamInfo other = Streams.getOrCreate(
                    streams.client,
                    Names.stream("made/meanwhile"),
                    () -> {
                        streams.create("made/meanwhile", 3);
                        return segments(1);
                    },
                    TestStreams.TIMEOUT);
            assertThat(other.getSegmentsCount()).isEqualTo(3);

            StreamInfo typed = Streams.getOrCreate(
                    streams.client,
                    Names.stream("made/typed"),
                    () -> {
                        streams.create("made/typed", 1, RowType.of(new IntType()));
                        return segments(1);
                    },
                    TestStreams.TIMEOUT);
            // what it holds is for the caller to check
            assertThat(typed.getSchema().getFieldsCount()).isEqualTo(1);
        }
    }

    private static StreamConfig segments(int segments) {
        return StreamConfig.newBuilder().setSegments(segments).build();
    }
}
