package io.sluice.flink.tests;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.flink.sink.SluiceSink;
import io.sluice.flink.source.SluiceSource;
import io.sluice.flink.source.StoppingPositions;
import java.time.Duration;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.apache.flink.api.common.RuntimeExecutionMode;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.source.util.ratelimit.RateLimiterStrategy;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.streaming.api.datastream.DataStreamSink;
import org.apache.flink.streaming.api.datastream.DataStreamSource;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Jobs that fail on purpose, end unevenly or never checkpoint: each element must be in the stream exactly once, unchanged. */
@Tag("slow")
class ExactlyOnceITCase {
    private static final Duration TIMEOUT = Duration.ofSeconds(60);

    private static GatewayProcess gateway;
    private static TestStreams streams;
    private static Cluster cluster;

    @BeforeAll
    static void start() throws Exception {
        gateway = GatewayProcess.start();
        streams = new TestStreams(gateway);
        cluster = Cluster.start(2, 3);
    }

    @AfterAll
    static void stop() {
        cluster.close();
        streams.close();
        gateway.close();
    }

    private static SluiceSink<RowData> rowSink(String stream) {
        return SluiceSink.forRowData(AllTypes.ROW_TYPE)
                .setEndpoint(gateway.endpoint())
                .setStream(stream)
                .setSegments(3)
                .setRoutingKeyFields(List.of("row_id"))
                .setSinkId(stream.replace('/', '-'))
                .build();
    }

    private static SluiceSink<String> lineSink(String stream) {
        return SluiceSink.<String>builder()
                .setEndpoint(gateway.endpoint())
                .setStream(stream)
                .setSegments(2)
                .setSerializer(new SimpleStringSchema())
                .setRoutingKeyExtractor(String::getBytes)
                .setSinkId(stream.replace('/', '-'))
                .build();
    }

    private static DataStreamSource<Long> numbers(StreamExecutionEnvironment env, long count, double perSecond) {
        DataGeneratorSource<Long> source =
                new DataGeneratorSource<>(index -> index, count, RateLimiterStrategy.perSecond(perSecond), Types.LONG);
        return env.fromSource(source, WatermarkStrategy.noWatermarks(), "numbers");
    }

    private static List<String> lines(long count) {
        return LongStream.range(0, count).mapToObj(number -> "line " + number).collect(Collectors.toList());
    }

    private static void assertLines(String stream, long count) {
        assertThat(streams.lines(stream)).containsExactlyInAnyOrderElementsOf(lines(count));
    }

    @Test
    void everyTypeSurvivesFailoversOnBothSides() throws Exception {
        long count = 12_000;
        StreamExecutionEnvironment env = Cluster.environment(2, Duration.ofMillis(200), 10);
        numbers(env, count, 4_000)
                .map(new FailingMap<>("write", number -> number, 2_000, 5_500, 9_000))
                .map(AllTypes::row)
                .returns(InternalTypeInfo.of(AllTypes.ROW_TYPE))
                .sinkTo(rowSink("types/first"));
        JobClient job = env.executeAsync("write all types");
        Cluster.finish(job, TIMEOUT);
        assertThat(FailingMap.left("write")).as("failures that did not happen").isZero();

        env = Cluster.environment(2, Duration.ofMillis(200), 10);
        SluiceSource<RowData> source = SluiceSource.forRowData(AllTypes.ROW_TYPE)
                .setEndpoint(gateway.endpoint())
                .setStream("types/first")
                .setStoppingPositions(StoppingPositions.latest())
                .setRateLimit(4_000)
                .build();
        env.fromSource(source, WatermarkStrategy.noWatermarks(), "first")
                .map(new FailingMap<>("copy", row -> row.getLong(0), 3_000, 7_000, 11_000))
                .returns(InternalTypeInfo.of(AllTypes.ROW_TYPE))
                .sinkTo(rowSink("types/second"));
        Cluster.finish(env.executeAsync("copy all types"), TIMEOUT);
        assertThat(FailingMap.left("copy")).as("failures that did not happen").isZero();

        List<String> expected = LongStream.range(0, count).mapToObj(AllTypes::row).map(AllTypes::text).collect(Collectors.toList());
        for (String stream : List.of("types/first", "types/second")) {
            List<RowData> rows = streams.rows(stream);
            assertThat(rows).as(stream).hasSize((int) count);
            assertThat(rows.stream().map(AllTypes::text).collect(Collectors.toList()))
                    .as(stream)
                    .containsExactlyInAnyOrderElementsOf(expected);
        }
    }

    @Test
    void subtasksThatEndFarApartLoseNothing() throws Exception {
        // Two segments, one with ten events, one with many: one subtask ends at once, the other many checkpoints later.
        streams.create("ends/in", 2);
        List<String> all = lines(6_000);
        streams.append("ends/in", 0, all.subList(0, 10), 10);
        streams.append("ends/in", 1, all.subList(10, all.size()), 100);
        StreamExecutionEnvironment env = Cluster.environment(2, Duration.ofMillis(100), 0);
        copyLines(env, "ends/in", "ends/out", 4_000);
        JobClient job = env.executeAsync("ends far apart");
        Cluster.finish(job, TIMEOUT);
        assertThat(cluster.checkpoints(job)).as("checkpoints between the two ends").isGreaterThan(4);
        assertLines("ends/out", 6_000);
    }

    private static void copyLines(StreamExecutionEnvironment env, String from, String to, double rate) {
        SluiceSource<String> source = SluiceSource.forBytes(new SimpleStringSchema())
                .setEndpoint(gateway.endpoint())
                .setStream(from)
                .setStoppingPositions(StoppingPositions.latest())
                .setRateLimit(rate)
                .build();
        env.fromSource(source, WatermarkStrategy.noWatermarks(), from).sinkTo(lineSink(to));
    }

    @Test
    void aJobShorterThanACheckpointLosesNothing() throws Exception {
        StreamExecutionEnvironment env = Cluster.environment(2, Duration.ofMinutes(10), 0);
        numbers(env, 1_000, 100_000).map(number -> "line " + number).sinkTo(lineSink("short/out"));
        Cluster.finish(env.executeAsync("shorter than a checkpoint"), TIMEOUT);
        assertLines("short/out", 1_000);
    }

    @Test
    void oneEventIsEnoughForACommit() throws Exception {
        StreamExecutionEnvironment env = Cluster.environment(2, Duration.ofMinutes(10), 0);
        numbers(env, 1, 100).map(number -> "line " + number).sinkTo(lineSink("one/out"));
        Cluster.finish(env.executeAsync("one event"), TIMEOUT);
        assertLines("one/out", 1);
    }

    @Test
    void aStreamingJobWithoutCheckpointsCommitsAtItsEnd() throws Exception {
        StreamExecutionEnvironment env = Cluster.environment(2, null, 0);
        numbers(env, 1_000, 100_000).map(number -> "line " + number).sinkTo(lineSink("unchecked/out"));
        Cluster.finish(env.executeAsync("without checkpoints"), TIMEOUT);
        assertLines("unchecked/out", 1_000);
    }

    @Test
    void aBatchJobCommitsOnce() throws Exception {
        StreamExecutionEnvironment env = Cluster.environment(2, null, 0);
        env.setRuntimeMode(RuntimeExecutionMode.BATCH);
        numbers(env, 3_000, 100_000).map(number -> "line " + number).sinkTo(lineSink("batch/out"));
        Cluster.finish(env.executeAsync("batch"), TIMEOUT);
        assertLines("batch/out", 3_000);
        assertThat(streams.describe("batch/out").getCommitSeq()).as("commits of the store").isPositive();
    }

    @Test
    void aBatchJobThatFailsOnceStillCommitsOnce() throws Exception {
        StreamExecutionEnvironment env = Cluster.environment(2, null, 5);
        env.setRuntimeMode(RuntimeExecutionMode.BATCH);
        numbers(env, 3_000, 100_000)
                .map(new FailingMap<>("batch", number -> number, 1_500))
                .map(number -> "line " + number)
                .sinkTo(lineSink("batchfail/out"));
        Cluster.finish(env.executeAsync("failing batch"), TIMEOUT);
        assertThat(FailingMap.left("batch")).isZero();
        assertLines("batchfail/out", 3_000);
    }

    @Test
    void aFailureBeforeTheFirstCheckpointStartsOver() throws Exception {
        StreamExecutionEnvironment env = Cluster.environment(2, Duration.ofSeconds(1), 5);
        // 20 elements in, long before the first checkpoint: what was written is in no checkpoint and must not appear.
        numbers(env, 3_000, 2_000)
                .map(new FailingMap<>("early", number -> number, 20))
                .map(number -> "line " + number)
                .sinkTo(lineSink("early/out"));
        Cluster.finish(env.executeAsync("early failure"), TIMEOUT);
        assertThat(FailingMap.left("early")).isZero();
        assertLines("early/out", 3_000);
    }

    @Test
    void theSinkWorksWithAndWithoutUid() throws Exception {
        for (boolean named : new boolean[] {false, true}) {
            String stream = named ? "uid/with" : "uid/without";
            StreamExecutionEnvironment env = Cluster.environment(2, Duration.ofMillis(200), 5);
            DataStreamSink<String> sink = numbers(env, 2_000, 4_000)
                    .map(new FailingMap<>(stream, number -> number, 1_200))
                    .map(number -> "line " + number)
                    .sinkTo(lineSink(stream));
            if (named) {
                sink.uid("sluice-sink");
            }
            Cluster.finish(env.executeAsync(stream), TIMEOUT);
            assertLines(stream, 2_000);
        }
    }

    @Test
    void aKeyOfOneWriterKeepsItsOrder() throws Exception {
        StreamExecutionEnvironment env = Cluster.environment(2, Duration.ofMillis(200), 5);
        numbers(env, 4_000, 4_000)
                .setParallelism(1)
                .map(new FailingMap<>("order", number -> number, 1_000, 3_000))
                .setParallelism(1)
                .keyBy(number -> number % 7)
                .map(number -> (number % 7) + ":" + number)
                .sinkTo(SluiceSink.<String>builder()
                        .setEndpoint(gateway.endpoint())
                        .setStream("order/out")
                        .setSegments(2)
                        .setSerializer(new SimpleStringSchema())
                        .setRoutingKeyExtractor(line -> line.substring(0, 1).getBytes())
                        .setSinkId("order")
                        .build());
        Cluster.finish(env.executeAsync("order"), TIMEOUT);
        List<String> lines = streams.lines("order/out");
        assertThat(lines).hasSize(4_000);
        for (int key = 0; key < 7; key++) {
            String prefix = key + ":";
            List<Long> numbers = lines.stream()
                    .filter(line -> line.startsWith(prefix))
                    .map(line -> Long.parseLong(line.substring(2)))
                    .collect(Collectors.toList());
            int first = key;
            assertThat(numbers)
                    .as("key %d", key)
                    .isEqualTo(LongStream.range(0, 4_000).filter(number -> number % 7 == first).boxed().collect(Collectors.toList()));
        }
    }

    @Test
    void aKeyHasOneSegmentWhoeverWritesIt() throws Exception {
        StreamExecutionEnvironment env = Cluster.environment(2, Duration.ofMillis(200), 0);
        numbers(env, 2_000, 4_000).map(number -> "line " + number).sinkTo(lineSink("keyed/out"));
        Cluster.finish(env.executeAsync("keyed"), TIMEOUT);
        assertLines("keyed/out", 2_000);
        streams.linesOfSegments("keyed/out").forEach((segment, lines) -> assertThat(lines)
                .allSatisfy(line -> assertThat(SegmentKeys.segmentOf(line.getBytes(), 2)).as(line).isEqualTo(segment)));
    }
}
