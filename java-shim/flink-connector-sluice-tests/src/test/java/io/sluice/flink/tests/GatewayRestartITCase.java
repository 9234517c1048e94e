package io.sluice.flink.tests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.flink.sink.SluiceSink;
import io.sluice.flink.source.SluiceSource;
import io.sluice.flink.source.StoppingPositions;
import java.time.Duration;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.source.util.ratelimit.RateLimiterStrategy;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.util.ExceptionUtils;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The gateway is killed with -9 under a job that reads from it and writes to it. */
@Tag("slow")
class GatewayRestartITCase {
    private static final int COUNT = 16_000;

    @Test
    void killsInTheMiddleOfTransactionsDoNotRestartTheJob() throws Exception {
        try (GatewayProcess gateway = GatewayProcess.start();
                TestStreams streams = new TestStreams(gateway);
                Cluster cluster = Cluster.start(1, 2)) {
            streams.create("restart/in", 4);
            for (int segment = 0; segment < 4; segment++) {
                streams.append("restart/in", segment, lines(segment), 50);
            }
            StreamExecutionEnvironment env = Cluster.environment(2, Duration.ofMillis(500), 3);
            SluiceSource<String> source = SluiceSource.forBytes(new SimpleStringSchema())
                    .setEndpoint(gateway.endpoint())
                    .setStream("restart/in")
                    .setStoppingPositions(StoppingPositions.latest())
                    .setRateLimit(2_000)
                    .build();
            env.fromSource(source, WatermarkStrategy.noWatermarks(), "in")
                    .sinkTo(SluiceSink.<String>builder()
                            .setEndpoint(gateway.endpoint())
                            .setStream("restart/out")
                            .setSegments(3)
                            .setSinkId("restart")
                            .setSerializer(new SimpleStringSchema())
                            .setRoutingKeyExtractor(String::getBytes)
                            .build());
            JobClient job = env.executeAsync("through gateway restarts");
            for (int kill = 0; kill < 3; kill++) {
                long seen = streams.count("restart/out");
                Cluster.await("a commit", Duration.ofSeconds(30), () -> streams.count("restart/out") > seen);
                // Off the rhythm of checkpoints, so that transactions are open and blocks under way.
                Thread.sleep(170 + 130 * kill);
                gateway.kill();
                Thread.sleep(700);
                gateway.restart();
            }
            Cluster.finish(job, Duration.ofSeconds(60));
            assertThat(cluster.restarts(job)).as("restarts of the job").isZero();
            List<String> expected = IntStream.range(0, 4).boxed().flatMap(segment -> lines(segment).stream()).collect(Collectors.toList());
            assertThat(streams.lines("restart/out")).containsExactlyInAnyOrderElementsOf(expected);
        }
    }

    @Test
    void anAtLeastOnceCheckpointWaitsForItsAppends() throws Exception {
        try (GatewayProcess gateway = GatewayProcess.start();
                TestStreams streams = new TestStreams(gateway);
                Cluster cluster = Cluster.start(1, 1)) {
            StreamExecutionEnvironment env = Cluster.environment(1, Duration.ofMillis(200), 0);
            env.fromSource(
                            new DataGeneratorSource<>(
                                    number -> "line " + number, Long.MAX_VALUE, RateLimiterStrategy.perSecond(500), Types.STRING),
                            WatermarkStrategy.noWatermarks(),
                            "lines")
                    .sinkTo(SluiceSink.<String>builder()
                            .setEndpoint(gateway.endpoint())
                            .setStream("frozen/out")
                            .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
                            .setSerializer(new SimpleStringSchema())
                            .build());
            JobClient job = env.executeAsync("frozen gateway");
            Cluster.await("appends", Duration.ofSeconds(30), () -> streams.count("frozen/out") > 0 && cluster.checkpoints(job) > 1);
            gateway.freeze();
            // One checkpoint may be on its way whose appends were answered before.
            Thread.sleep(600);
            long before = cluster.checkpoints(job);
            Thread.sleep(2_000);
            assertThat(cluster.checkpoints(job)).as("checkpoints while no append is answered").isEqualTo(before);
            gateway.thaw();
            Cluster.await("checkpoints again", Duration.ofSeconds(30), () -> cluster.checkpoints(job) > before);
            Cluster.cancel(job);
        }
    }

    private static List<String> lines(int segment) {
        return IntStream.range(0, COUNT / 4).mapToObj(i -> segment + "-" + i).collect(Collectors.toList());
    }

    @Test
    void aGatewayThatStaysAwayFailsTheJobNamingTheEndpoint() throws Exception {
        try (GatewayProcess gateway = GatewayProcess.start();
                TestStreams streams = new TestStreams(gateway);
                Cluster ignored = Cluster.start(1, 1)) {
            streams.create("away/in", 1);
            streams.append("away/in", 0, List.of("one"), 1);
            StreamExecutionEnvironment env = Cluster.environment(1, Duration.ofMillis(200), 0);
            SluiceSource<String> source = SluiceSource.forBytes(new SimpleStringSchema())
                    .setEndpoint(gateway.endpoint())
                    .setStream("away/in")
                    .setReconnectTimeout(Duration.ofSeconds(2))
                    .build();
            env.fromSource(source, WatermarkStrategy.noWatermarks(), "in").sinkTo(new DiscardingSink<>());
            JobClient job = env.executeAsync("gateway away");
            Cluster.await("the job to run", Duration.ofSeconds(20), () -> Cluster.runs(job));
            Thread.sleep(500);
            gateway.kill();
            assertThatThrownBy(() -> Cluster.finish(job, Duration.ofSeconds(40)))
                    .satisfies(failure -> assertThat(ExceptionUtils.stringifyException(failure))
                            .contains("the gateway at " + gateway.endpoint() + " could not be read from for 2 s"));
        }
    }
}
