package io.sluice.flink.tests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.flink.source.SluiceSource;
import io.sluice.flink.source.SluiceSourceBuilder;
import io.sluice.flink.source.StartingPositions;
import io.sluice.flink.source.StoppingPositions;
import io.sluice.proto.gateway.v1.GroupInfo;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.util.CloseableIterator;
import org.apache.flink.util.ExceptionUtils;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Where sources start and end, and that completed checkpoints are mirrored into the reader group. */
@Tag("slow")
class ReaderGroupITCase {
    private static GatewayProcess gateway;
    private static TestStreams streams;
    private static Cluster cluster;

    @BeforeAll
    static void start() throws Exception {
        gateway = GatewayProcess.start();
        streams = new TestStreams(gateway);
        cluster = Cluster.start(1, 2);
    }

    @AfterAll
    static void stop() {
        cluster.close();
        streams.close();
        gateway.close();
    }

    private static List<String> lines(String prefix, int count) {
        return IntStream.range(0, count).mapToObj(i -> prefix + i).collect(Collectors.toList());
    }

    private static SluiceSourceBuilder<String> source(String stream) {
        return SluiceSource.forBytes(new SimpleStringSchema()).setEndpoint(gateway.endpoint()).setStream(stream);
    }

    private static List<String> readAll(SluiceSourceBuilder<String> source) throws Exception {
        StreamExecutionEnvironment env = Cluster.environment(2, null, 0);
        List<String> read = new ArrayList<>();
        try (CloseableIterator<String> rows =
                env.fromSource(source.build(), WatermarkStrategy.noWatermarks(), "source").executeAndCollect()) {
            rows.forEachRemaining(read::add);
        }
        return read;
    }

    @Test
    void aGroupFollowsTheJobAndASecondJobGoesOnThere() throws Exception {
        streams.create("groups/in", 2);
        streams.append("groups/in", 0, lines("a", 300), 20);
        streams.append("groups/in", 1, lines("b", 100), 20);
        StreamExecutionEnvironment env = Cluster.environment(2, Duration.ofMillis(200), 0);
        env.fromSource(source("groups/in").setReaderGroup("follower").setStartingPositions(StartingPositions.groupOffsets()).build(),
                        WatermarkStrategy.noWatermarks(), "in")
                .sinkTo(new DiscardingSink<>());
        JobClient job = env.executeAsync("follow");
        Cluster.await("the group at the end of the stream", Duration.ofSeconds(30), () -> positions("follower").equals(Map.of(0, 300L, 1, 100L)));
        GroupInfo group = streams.group("groups", "follower");
        assertThat(group.getLastCheckpoint()).isPositive();
        assertThat(group.getLagList()).allSatisfy(lag -> assertThat(lag.getEvents()).isZero());
        Cluster.cancel(job);
        assertThat(cluster.restarts(job)).isZero();

        streams.append("groups/in", 0, lines("late", 50), 20);
        List<String> read = readAll(source("groups/in")
                .setReaderGroup("groups/follower")
                .setStartingPositions(StartingPositions.groupOffsets())
                .setStoppingPositions(StoppingPositions.latest()));
        assertThat(read).containsExactlyInAnyOrderElementsOf(lines("late", 50));
    }

    private static Map<Integer, Long> positions(String group) {
        try {
            Map<Integer, Long> positions = new HashMap<>();
            streams.group("groups", group).getPositions(0).getSegmentsList()
                    .forEach(segment -> positions.put(segment.getSegment(), segment.getOffset()));
            return positions;
        } catch (IllegalStateException e) {
            return Map.of();
        }
    }

    @Test
    void positionsOfABoundedJobReachTheGroupAtItsEnd() throws Exception {
        streams.create("groups/bounded", 2);
        streams.append("groups/bounded", 0, lines("a", 30), 20);
        streams.append("groups/bounded", 1, lines("b", 10), 20);
        StreamExecutionEnvironment env = Cluster.environment(2, Duration.ofMillis(100), 0);
        env.fromSource(source("groups/bounded").setReaderGroup("ended").setStoppingPositions(StoppingPositions.latest()).build(),
                        WatermarkStrategy.noWatermarks(), "in")
                .sinkTo(new DiscardingSink<>());
        Cluster.finish(env.executeAsync("bounded group"), Duration.ofSeconds(30));
        Cluster.await("the group at the end", Duration.ofSeconds(10), () -> positions("ended").equals(Map.of(0, 30L, 1, 10L)));
    }

    @Test
    void startsAndEndsWhereItIsTold() throws Exception {
        streams.create("places/in", 2);
        streams.append("places/in", 0, lines("old", 10), 3);
        streams.append("places/in", 1, lines("other", 4), 3);
        Thread.sleep(20);
        long between = System.currentTimeMillis();
        Thread.sleep(20);
        streams.append("places/in", 0, lines("new", 10), 3);

        List<String> everything = new ArrayList<>(lines("old", 10));
        everything.addAll(lines("other", 4));
        everything.addAll(lines("new", 10));
        assertThat(readAll(source("places/in").setStoppingPositions(StoppingPositions.latest())))
                .containsExactlyInAnyOrderElementsOf(everything);
        assertThat(readAll(source("places/in")
                        .setStartingPositions(StartingPositions.latest())
                        .setStoppingPositions(StoppingPositions.latest())))
                .isEmpty();
        assertThat(readAll(source("places/in")
                        .setStartingPositions(StartingPositions.timestamp(between))
                        .setStoppingPositions(StoppingPositions.latest())))
                .containsExactlyElementsOf(lines("new", 10));
        List<String> old = new ArrayList<>(lines("old", 10));
        old.addAll(lines("other", 4));
        assertThat(readAll(source("places/in").setStoppingPositions(StoppingPositions.timestamp(between))))
                .containsExactlyInAnyOrderElementsOf(old);
        // Positions inside of blocks of three: rows before the start and from the end on must be cut off.
        assertThat(readAll(source("places/in")
                        .setStartingPositions(StartingPositions.positions(Map.of("places/in", Map.of(0, 4L, 1, 4L))))
                        .setStoppingPositions(StoppingPositions.positions(Map.of("places/in", Map.of(0, 8L, 1, 4L))))))
                .containsExactly("old4", "old5", "old6", "old7");
    }

    @Test
    void anUnknownStreamFailsTheJobAtOnceWithOneSentence() throws Exception {
        StreamExecutionEnvironment env = Cluster.environment(1, null, 100);
        env.fromSource(source("places/missing").build(), WatermarkStrategy.noWatermarks(), "in").sinkTo(new DiscardingSink<>());
        JobClient job = env.executeAsync("missing");
        assertThatThrownBy(() -> Cluster.finish(job, Duration.ofSeconds(30)))
                .satisfies(failure -> assertThat(ExceptionUtils.stringifyException(failure))
                        .contains("stream places/missing does not exist at the gateway " + gateway.endpoint()));
    }
}
