package io.sluice.flink.tests;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.flink.client.EventStream;
import io.sluice.flink.client.Names;
import io.sluice.flink.data.BlockData;
import io.sluice.flink.data.BytesBlockBuilder;
import io.sluice.flink.source.SluiceSource;
import io.sluice.flink.source.StoppingPositions;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.accumulators.LongCounter;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichFlatMapFunction;
import org.apache.flink.api.common.serialization.AbstractDeserializationSchema;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.util.Collector;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * 2 GiB over many segments through a JVM with 256 MiB of heap: what was read ahead must stay bounded, also while the job is slow and
 * every segment has something to send. The job runs in a JVM of its own.
 */
@Tag("slow")
class LowMemoryReadITCase {
    private static final int SEGMENTS = 64;
    private static final int ROWS_PER_BLOCK = 1024;
    private static final int ROW_BYTES = 1024;
    private static final int BLOCKS = 2048;

    @Test
    @Timeout(value = 240, unit = TimeUnit.SECONDS)
    void twoGigabytesPassThrough256MegabytesOfHeap() throws Exception {
        try (GatewayProcess gateway = GatewayProcess.start();
                TestStreams streams = new TestStreams(gateway)) {
            streams.create("big/in", SEGMENTS);
            fill(streams);
            Path output = Files.createTempFile("sluice-low-memory", ".log");
            Process reader = new ProcessBuilder(
                            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                            "-Xmx256m",
                            "-XX:MaxDirectMemorySize=128m",
                            "-XX:+ExitOnOutOfMemoryError",
                            "--add-opens=java.base/java.util=ALL-UNNAMED",
                            "--add-opens=java.base/java.lang=ALL-UNNAMED",
                            "-cp", classPath(),
                            LowMemoryReadITCase.class.getName(),
                            gateway.endpoint())
                    .redirectErrorStream(true)
                    .redirectOutput(output.toFile())
                    .start();
            boolean ended = reader.waitFor(200, TimeUnit.SECONDS);
            reader.destroyForcibly();
            String text = Files.readString(output, StandardCharsets.UTF_8);
            assertThat(ended).as("the reader ended in time:\n" + text).isTrue();
            assertThat(text).contains("events=" + (long) BLOCKS * ROWS_PER_BLOCK);
            assertThat(reader.exitValue()).as(text).isZero();
            Files.delete(output);
        }
    }

    /** Surefire may put the class path into a manifest; this property always has all of it. */
    private static String classPath() {
        return System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")).replace("\n", File.pathSeparator);
    }

    private static void fill(TestStreams streams) throws Exception {
        byte[] payload = new byte[ROW_BYTES];
        try (EventStream writer = new EventStream(streams.client, Names.stream("big/in"), "filler", TestStreams.TIMEOUT)) {
            BlockData[] blocks = new BlockData[SEGMENTS];
            for (int segment = 0; segment < SEGMENTS; segment++) {
                BytesBlockBuilder block = new BytesBlockBuilder();
                byte[] key = SegmentKeys.keyOf(SEGMENTS, segment);
                for (int row = 0; row < ROWS_PER_BLOCK; row++) {
                    block.append(key, payload, null, null);
                }
                blocks[segment] = block.finish();
            }
            for (int i = 0; i < BLOCKS; i++) {
                writer.append(i % SEGMENTS, blocks[i % SEGMENTS]);
            }
            writer.flush();
        }
    }

    /** The job, in the JVM with little memory. */
    public static void main(String[] args) throws Exception {
        Configuration configuration = new Configuration();
        configuration.set(TaskManagerOptions.NETWORK_MEMORY_MIN, MemorySize.ofMebiBytes(16));
        configuration.set(TaskManagerOptions.NETWORK_MEMORY_MAX, MemorySize.ofMebiBytes(16));
        configuration.set(TaskManagerOptions.MANAGED_MEMORY_SIZE, MemorySize.ofMebiBytes(16));
        StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(2, configuration);
        env.enableCheckpointing(1_000);
        SluiceSource<Integer> source = SluiceSource.forBytes(new Lengths())
                .setEndpoint(args[0])
                .setStream("big/in")
                .setStoppingPositions(StoppingPositions.latest())
                .build();
        env.fromSource(source, WatermarkStrategy.noWatermarks(), "big").flatMap(new SlowAtFirst()).sinkTo(new DiscardingSink<>());
        Long events = env.execute("low memory").getAccumulatorResult("events");
        System.out.println("events=" + events);
    }

    /** The length of each payload. */
    private static final class Lengths extends AbstractDeserializationSchema<Integer> {
        private static final long serialVersionUID = 1L;

        @Override
        public Integer deserialize(byte[] payload) {
            return payload.length;
        }
    }

    /** Counts; takes its time with the first element, so that everything the gateway may send ahead arrives meanwhile. */
    private static final class SlowAtFirst extends RichFlatMapFunction<Integer, Integer> {
        private static final long serialVersionUID = 1L;
        private final LongCounter events = new LongCounter();
        private boolean started;

        @Override
        public void open(OpenContext context) {
            getRuntimeContext().addAccumulator("events", events);
        }

        @Override
        public void flatMap(Integer length, Collector<Integer> out) throws Exception {
            if (!started) {
                started = true;
                Thread.sleep(Duration.ofSeconds(3).toMillis());
            }
            if (length != ROW_BYTES) {
                throw new IllegalStateException("a payload has " + length + " bytes");
            }
            events.add(1L);
        }
    }
}
