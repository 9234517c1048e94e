package io.sluice.flink.tests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.flink.sink.SluiceSink;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.source.util.ratelimit.RateLimiterStrategy;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.StateRecoveryOptions;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.ExceptionUtils;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Restoring an older savepoint: refused while later checkpoints of it are committed, unless the user accepts duplicates. */
@Tag("slow")
class ForkedHistoryITCase {
    private static final long COUNT = 20_000;

    @Test
    void anOlderSavepointIsRefusedAndCanBeAccepted(@TempDir Path directory) throws Exception {
        try (GatewayProcess gateway = GatewayProcess.start();
                TestStreams streams = new TestStreams(gateway);
                Cluster cluster = Cluster.start(1, 2)) {
            JobClient first = submit(gateway, null, false, 5);
            Cluster.await("a commit", Duration.ofSeconds(30), () -> streams.count("fork/out") > 0);
            String savepoint = first.triggerSavepoint(directory.toUri().toString(), SavepointFormatType.CANONICAL).get();
            long atSavepoint = streams.count("fork/out");
            Cluster.await("later commits", Duration.ofSeconds(30), () -> streams.count("fork/out") > atSavepoint + 3_000);
            Cluster.cancel(first);
            long before = streams.count("fork/out");

            JobClient refused = submit(gateway, savepoint, false, 5);
            assertThatThrownBy(() -> Cluster.finish(refused, Duration.ofSeconds(40)))
                    .satisfies(failure -> assertThat(ExceptionUtils.stringifyException(failure))
                            .contains("FORKED_HISTORY")
                            .contains("fork")
                            .contains("accept"));
            assertThat(cluster.restarts(refused)).as("a final refusal must not loop").isZero();
            assertThat(streams.count("fork/out")).as("a refused job writes nothing").isEqualTo(before);

            Cluster.finish(submit(gateway, savepoint, true, 5), Duration.ofSeconds(60));
            List<String> lines = streams.lines("fork/out");
            assertThat(lines).hasSizeGreaterThan((int) COUNT);
            assertThat(lines.stream().distinct().collect(Collectors.toList()))
                    .containsExactlyInAnyOrderElementsOf(
                            LongStream.range(0, COUNT).mapToObj(number -> "line " + number).collect(Collectors.toList()));
        }
    }

    private static JobClient submit(GatewayProcess gateway, String savepoint, boolean acceptDuplicates, int restarts) throws Exception {
        StreamExecutionEnvironment env = Cluster.environment(2, Duration.ofMillis(300), restarts);
        if (savepoint != null) {
            Configuration restore = new Configuration();
            restore.set(StateRecoveryOptions.SAVEPOINT_PATH, savepoint);
            env.configure(restore);
        }
        DataGeneratorSource<Long> source =
                new DataGeneratorSource<>(index -> index, COUNT, RateLimiterStrategy.perSecond(3_000), Types.LONG);
        env.fromSource(source, WatermarkStrategy.noWatermarks(), "numbers")
                .uid("numbers")
                .map(number -> "line " + number)
                .uid("lines")
                .sinkTo(SluiceSink.<String>builder()
                        .setEndpoint(gateway.endpoint())
                        .setStream("fork/out")
                        .setSinkId("fork")
                        .setSerializer(new SimpleStringSchema())
                        .setAcceptDuplicates(acceptDuplicates)
                        .build())
                .uid("sink");
        return env.executeAsync("fork");
    }
}
