package io.sluice.flink.tests;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.flink.source.SluiceSource;
import java.time.Duration;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.Metric;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The gauge that autoscalers go by: right within 1 % while the source is held back, while the stream grows, and at the tail. */
@Tag("slow")
class PendingRecordsITCase {
    private static final int BLOCK_ROWS = 8_000;
    private static final Duration TIMEOUT = Duration.ofSeconds(30);

    @Test
    void pendingRecordsIsRightAtThreeMoments() throws Exception {
        try (GatewayProcess gateway = GatewayProcess.start();
                TestStreams streams = new TestStreams(gateway);
                Cluster cluster = Cluster.start(1, 2)) {
            streams.create("pending/in", 3);
            // Few large blocks and little memory: a reader that is held back hears nothing new for seconds.
            List<String> lines = IntStream.range(0, 2 * BLOCK_ROWS).mapToObj(i -> String.format("%0100d", i)).collect(Collectors.toList());
            streams.append("pending/in", 0, lines, BLOCK_ROWS);
            streams.append("pending/in", 1, lines, BLOCK_ROWS);
            StreamExecutionEnvironment env = Cluster.environment(2, Duration.ofSeconds(1), 0);
            SluiceSource<String> source = SluiceSource.forBytes(new SimpleStringSchema())
                    .setEndpoint(gateway.endpoint())
                    .setStream("pending/in")
                    .setRateLimit(2_000)
                    .setReadMemory(MemorySize.ofMebiBytes(1))
                    .build();
            env.fromSource(source, WatermarkStrategy.noWatermarks(), "pending").sinkTo(new DiscardingSink<>());
            JobClient job = env.executeAsync("pending");
            Cluster.await("the first events", TIMEOUT, () -> emitted(cluster, job) > 1_000);
            assertRight(cluster, job, 4 * BLOCK_ROWS, "held back");

            streams.append("pending/in", 2, lines.subList(0, BLOCK_ROWS), BLOCK_ROWS);
            streams.append("pending/in", 0, lines.subList(0, BLOCK_ROWS), BLOCK_ROWS);
            long all = 6 * BLOCK_ROWS;
            // A reader gives 8000 rows out in 8 s and would only then hear of the new end by itself.
            Cluster.await("the new end", Duration.ofMillis(6_000), () -> pending(cluster, job) + emitted(cluster, job) > all - all / 100);
            assertRight(cluster, job, all, "after the stream grew");

            Cluster.await("the tail", Duration.ofSeconds(60), () -> emitted(cluster, job) == all);
            Cluster.await("nothing pending", TIMEOUT, () -> pending(cluster, job) == 0);
            Cluster.cancel(job);
        }
    }

    private static void assertRight(Cluster cluster, JobClient job, long committed, String when) {
        long before = emitted(cluster, job);
        long pending = pending(cluster, job);
        long after = emitted(cluster, job);
        long tolerance = committed / 100;
        assertThat(pending).as(when).isBetween(committed - after - tolerance, committed - before + tolerance);
    }

    private static long pending(Cluster cluster, JobClient job) {
        return sum(cluster, job, "pendingRecords");
    }

    private static long emitted(Cluster cluster, JobClient job) {
        return sum(cluster, job, "numRecordsOut");
    }

    private static long sum(Cluster cluster, JobClient job, String name) {
        return cluster.metrics.findOperatorMetricGroups(job.getJobID(), "Source: pending").stream()
                .map(group -> cluster.metrics.getMetricsByGroup(group).get(name))
                .filter(metric -> metric != null)
                .mapToLong(PendingRecordsITCase::value)
                .sum();
    }

    private static long value(Metric metric) {
        return metric instanceof Gauge
                ? ((Number) ((Gauge<?>) metric).getValue()).longValue()
                : ((org.apache.flink.metrics.Counter) metric).getCount();
    }
}
