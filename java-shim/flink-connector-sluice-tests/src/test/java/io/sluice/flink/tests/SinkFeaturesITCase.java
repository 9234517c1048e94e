package io.sluice.flink.tests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.flink.sink.FreshStart;
import io.sluice.flink.sink.SluiceSink;
import io.sluice.flink.sink.SluiceSinkBuilder;
import io.sluice.proto.gateway.v1.SegmentInfo;
import io.sluice.proto.gateway.v1.SinkInfo;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.flink.api.common.RuntimeExecutionMode;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.source.util.ratelimit.RateLimiterStrategy;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.streaming.api.datastream.DataStreamSource;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.logical.BigIntType;
import org.apache.flink.table.types.logical.IntType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.types.RowKind;
import org.apache.flink.util.ExceptionUtils;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What a sink can be told: several streams, other guarantees, no key; and what it refuses, each in one sentence. */
@Tag("slow")
class SinkFeaturesITCase {
    private static final Duration TIMEOUT = Duration.ofSeconds(60);

    private static GatewayProcess gateway;
    private static TestStreams streams;
    private static Cluster cluster;

    @BeforeAll
    static void start() throws Exception {
        gateway = GatewayProcess.start();
        streams = new TestStreams(gateway);
        cluster = Cluster.start(1, 4);
    }

    @AfterAll
    static void stop() {
        cluster.close();
        streams.close();
        gateway.close();
    }

    @Test
    void oneSinkWritesManyStreamsInOneCommit() throws Exception {
        StreamExecutionEnvironment env = Cluster.environment(2, Duration.ofMillis(300), 2);
        numbers(env, 6_000, 3_000)
                .map(new FailingMap<Long>("router", number -> number, 2_000))
                .returns(Types.LONG)
                .map(number -> "line " + number)
                .returns(Types.STRING)
                .sinkTo(lines()
                        .setStreamRouter(line -> "fan/out-" + Long.parseLong(line.substring(5)) % 3)
                        .setSinkId("fan/sink")
                        .build());
        Cluster.finish(env.executeAsync("fan out"), TIMEOUT);
        for (int stream = 0; stream < 3; stream++) {
            int rest = stream;
            assertThat(streams.lines("fan/out-" + stream))
                    .containsExactlyInAnyOrderElementsOf(IntStream.range(0, 6_000)
                            .filter(number -> number % 3 == rest)
                            .mapToObj(number -> "line " + number)
                            .collect(Collectors.toList()));
        }
        SinkInfo sink = streams.sink("fan/sink");
        assertThat(sink.getHeadGroup()).isNotEmpty();
        assertThat(sink.getOpenTransactions()).isZero();
    }

    @Test
    void atLeastOnceLosesNothingInAFailover() throws Exception {
        StreamExecutionEnvironment env = Cluster.environment(2, Duration.ofMillis(300), 3);
        numbers(env, 4_000, 3_000)
                .map(new FailingMap<Long>("atleast", number -> number, 1_000, 2_500))
                .returns(Types.LONG)
                .map(number -> "line " + number)
                .returns(Types.STRING)
                .sinkTo(lines()
                        .setStream("atleast/out")
                        .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
                        .build());
        Cluster.finish(env.executeAsync("at least once"), TIMEOUT);
        assertThat(new HashSet<>(streams.lines("atleast/out"))).containsExactlyInAnyOrderElementsOf(expected(4_000));
    }

    @Test
    void oneSinkObjectMayStandTwiceInAJob() throws Exception {
        StreamExecutionEnvironment env = Cluster.environment(2, Duration.ofMillis(300), 0);
        SluiceSink<String> sink =
                lines().setStream("shared/out").setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE).build();
        for (String side : List.of("left ", "right ")) {
            numbers(env, 2_000, 2_000).map(number -> side + number).returns(Types.STRING).sinkTo(sink);
        }
        Cluster.finish(env.executeAsync("shared"), TIMEOUT);
        assertThat(streams.lines("shared/out"))
                .containsExactlyInAnyOrderElementsOf(Stream.of("left ", "right ")
                        .flatMap(side -> IntStream.range(0, 2_000).mapToObj(number -> side + number))
                        .collect(Collectors.toList()));
    }

    @Test
    void oneSinkObjectMayBeUsedByOneJobAfterTheOther() throws Exception {
        SluiceSink<String> sink = lines().setStream("inturn/out").setSinkId("inturn").build();
        for (String job : List.of("first ", "second ")) {
            StreamExecutionEnvironment env = Cluster.environment(2, null, 0);
            env.setRuntimeMode(RuntimeExecutionMode.BATCH);
            numbers(env, 100, 100_000).map(number -> job + number).returns(Types.STRING).sinkTo(sink);
            Cluster.finish(env.executeAsync(job), TIMEOUT);
        }
        assertThat(streams.lines("inturn/out")).hasSize(200).doesNotHaveDuplicates();
    }

    @Test
    void noneWritesAllOfABoundedInputThatDoesNotFail() throws Exception {
        StreamExecutionEnvironment env = Cluster.environment(2, null, 0);
        numbers(env, 4_000, 100_000)
                .map(number -> "line " + number)
                .returns(Types.STRING)
                .sinkTo(lines().setStream("none/out").setDeliveryGuarantee(DeliveryGuarantee.NONE).build());
        Cluster.finish(env.executeAsync("none"), TIMEOUT);
        assertThat(streams.lines("none/out")).containsExactlyInAnyOrderElementsOf(expected(4_000));
    }

    @Test
    void eventsWithoutAKeyUseAllSegments() throws Exception {
        writeWithoutKeys("unkeyed/out");
        assertThat(streams.describe("unkeyed/out").getRoutingKeyList()).isEmpty();
        assertUsesAllSegments("unkeyed/out");
    }

    @Test
    void eventsWithoutAKeyUseAllSegmentsOfAStreamForKeysToo() throws Exception {
        streams.create("unkeyed/keyed", 3);
        writeWithoutKeys("unkeyed/keyed");
        assertThat(streams.describe("unkeyed/keyed").getRoutingKeyList()).isNotEmpty();
        assertUsesAllSegments("unkeyed/keyed");
    }

    private static void writeWithoutKeys(String stream) throws Exception {
        StreamExecutionEnvironment env = Cluster.environment(2, Duration.ofMillis(200), 0);
        // 12 MB: several blocks a subtask.
        numbers(env, 12_000, 20_000)
                .map(number -> "x".repeat(1_000))
                .returns(Types.STRING)
                .sinkTo(lines().setStream(stream).setSegments(3).setSinkId(stream.replace('/', '-')).build());
        Cluster.finish(env.executeAsync(stream), TIMEOUT);
    }

    private static void assertUsesAllSegments(String stream) {
        assertThat(streams.describe(stream).getSegmentsList())
                .extracting(SegmentInfo::getNextOffset)
                .allMatch(offset -> offset > 0);
        assertThat(streams.count(stream)).isEqualTo(12_000);
    }

    @Test
    void aSchemaUnlikeTheStreamsIsNamedAtTheStart() throws Exception {
        streams.create("refused/typed", 1, RowType.of(new org.apache.flink.table.types.logical.LogicalType[] {new IntType()}, new String[] {"a"}));
        RowType mine = RowType.of(new org.apache.flink.table.types.logical.LogicalType[] {new BigIntType()}, new String[] {"a"});
        String failure = failureOf(SluiceSink.forRowData(mine)
                .setEndpoint(gateway.endpoint())
                .setStream("refused/typed")
                .setSinkId("typed")
                .build(), mine, RowKind.INSERT);
        assertThat(failure).contains("column 1 is 'a BIGINT' here, but 'a INT' in the stream");
    }

    @Test
    void aChangelogRowIsRefused() throws Exception {
        RowType mine = RowType.of(new BigIntType());
        String failure = failureOf(SluiceSink.forRowData(mine)
                .setEndpoint(gateway.endpoint())
                .setStream("refused/changelog")
                .setSinkId("changelog")
                .build(), mine, RowKind.DELETE);
        assertThat(failure).contains("a row of kind -D arrived, but streams only take inserts");
    }

    @Test
    void anEventAboveTheLimitIsRefusedInOneSentence() throws Exception {
        StreamExecutionEnvironment env = Cluster.environment(1, Duration.ofMillis(300), 0);
        numbers(env, 1, 100)
                .map(number -> "x".repeat(9 << 20))
                .returns(Types.STRING)
                .sinkTo(lines().setStream("large/out").setSinkId("large").build());
        JobClient job = env.executeAsync("too large");
        assertThatThrownBy(() -> Cluster.finish(job, TIMEOUT))
                .satisfies(e -> assertThat(ExceptionUtils.stringifyException(e)).contains("an event is too large"));
    }

    @Test
    void aMissingStreamIsNotCreatedWhereThatIsForbidden() throws Exception {
        StreamExecutionEnvironment env = Cluster.environment(1, Duration.ofMillis(300), 0);
        numbers(env, 1, 100)
                .map(number -> "x")
                .returns(Types.STRING)
                .sinkTo(lines().setStream("absent/out").setSinkId("absent").setAutoCreate(false).build());
        JobClient job = env.executeAsync("absent");
        assertThatThrownBy(() -> Cluster.finish(job, TIMEOUT))
                .satisfies(e -> assertThat(ExceptionUtils.stringifyException(e)).contains("absent").contains("does not exist"));
    }

    @Test
    void aStrictSinkRefusesAFreshStartOverItsHistory() throws Exception {
        for (int run = 0; run < 2; run++) {
            StreamExecutionEnvironment env = Cluster.environment(1, Duration.ofMillis(300), 3);
            numbers(env, 100, 10_000)
                    .map(number -> "line " + number)
                    .returns(Types.STRING)
                    .sinkTo(lines().setStream("strict/out").setSinkId("strict").setFreshStart(FreshStart.REFUSE).build());
            JobClient job = env.executeAsync("strict " + run);
            if (run == 0) {
                Cluster.finish(job, TIMEOUT);
            } else {
                assertThatThrownBy(() -> Cluster.finish(job, TIMEOUT))
                        .satisfies(e -> assertThat(ExceptionUtils.stringifyException(e)).contains("sink.fresh-start"));
                // Refused for good: no restart was tried.
                assertThat(cluster.restarts(job)).isZero();
            }
        }
        assertThat(streams.count("strict/out")).isEqualTo(100);
    }

    @Test
    void aSecondJobOnTheSameSinkFencesTheFirst() throws Exception {
        JobClient first = endless("twice 1");
        Cluster.await("the first job's commit", TIMEOUT, () -> streams.count("twice/out") > 0);
        JobClient second = endless("twice 2");
        assertThatThrownBy(() -> Cluster.finish(first, TIMEOUT))
                .satisfies(e -> assertThat(ExceptionUtils.stringifyException(e)).containsAnyOf("taken sink", "taken the sink over", "FENCED"));
        long seen = streams.count("twice/out");
        Cluster.await("the second job's commit", TIMEOUT, () -> streams.count("twice/out") > seen);
        Cluster.cancel(second);
    }

    private static JobClient endless(String name) throws Exception {
        StreamExecutionEnvironment env = Cluster.environment(1, Duration.ofMillis(200), 0);
        numbers(env, Long.MAX_VALUE, 500)
                .map(number -> "line " + number)
                .returns(Types.STRING)
                .sinkTo(lines().setStream("twice/out").setSinkId("twice").build());
        return env.executeAsync(name);
    }

    private static String failureOf(SluiceSink<RowData> sink, RowType rowType, RowKind kind) throws Exception {
        StreamExecutionEnvironment env = Cluster.environment(1, Duration.ofMillis(300), 0);
        numbers(env, 1, 100)
                .map(number -> {
                    RowData row = GenericRowData.of(number);
                    row.setRowKind(kind);
                    return row;
                })
                .returns(InternalTypeInfo.of(rowType))
                .sinkTo(sink);
        JobClient job = env.executeAsync("refused");
        try {
            Cluster.finish(job, TIMEOUT);
            return "the job did not fail";
        } catch (Exception e) {
            return ExceptionUtils.stringifyException(e);
        }
    }

    private static SluiceSinkBuilder<String> lines() {
        SerializationSchema<String> serializer = new SimpleStringSchema();
        return SluiceSink.<String>builder().setEndpoint(gateway.endpoint()).setSerializer(serializer);
    }

    private static List<String> expected(int count) {
        return IntStream.range(0, count).mapToObj(number -> "line " + number).collect(Collectors.toList());
    }

    private static DataStreamSource<Long> numbers(StreamExecutionEnvironment env, long count, double perSecond) {
        return env.fromSource(
                new DataGeneratorSource<>(number -> number, count, RateLimiterStrategy.perSecond(perSecond), Types.LONG),
                WatermarkStrategy.noWatermarks(),
                "numbers");
    }
}
