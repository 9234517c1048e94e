package io.sluice.flink.tests;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.flink.sink.SluiceSink;
import io.sluice.flink.source.SluiceSource;
import io.sluice.flink.source.SluiceSourceBuilder;
import io.sluice.flink.source.StartingPositions;
import io.sluice.flink.source.StoppingPositions;
import java.net.URL;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.testframe.external.ExternalContextFactory;
import org.apache.flink.connector.testframe.external.ExternalSystemDataReader;
import org.apache.flink.connector.testframe.external.ExternalSystemSplitDataWriter;
import org.apache.flink.connector.testframe.external.sink.DataStreamSinkV2ExternalContext;
import org.apache.flink.connector.testframe.external.sink.TestingSinkSettings;
import org.apache.flink.connector.testframe.external.source.DataStreamSourceExternalContext;
import org.apache.flink.connector.testframe.external.source.TestingSourceSettings;
import org.apache.flink.core.execution.CheckpointingMode;

/** What Flink's suites need to know of Sluice. Each test has a scope of its own; each split writer fills the next segment of two streams. */
final class SuiteContexts {
    private static final AtomicInteger TESTS = new AtomicInteger();

    private SuiteContexts() {}

    /** Makes a context per test. */
    static final class Factory implements ExternalContextFactory<Context> {
        private final GatewayResource resource;

        Factory(GatewayResource resource) {
            this.resource = resource;
        }

        @Override
        public Context createExternalContext(String testName) {
            return new Context(resource.gateway());
        }

        @Override
        public String toString() {
            return "streams of bytes";
        }
    }

    static final class Context implements DataStreamSourceExternalContext<String>, DataStreamSinkV2ExternalContext<String> {
        private static final int SINK_SEGMENTS = 3;
        private static final int SOURCE_STREAMS = 2;
        private static final int SOURCE_SEGMENTS = 4;

        private final String endpoint;
        private final TestStreams streams;
        private final String scope = "suite-" + TESTS.incrementAndGet();
        private final List<String> sourceStreams;
        private int writers;

        Context(GatewayProcess gateway) {
            this.endpoint = gateway.endpoint();
            this.streams = new TestStreams(gateway);
            this.sourceStreams = List.of(scope + "/in-0", scope + "/in-1");
            // The suite makes some of its sources before it makes the writers.
            sourceStreams.forEach(stream -> streams.create(stream, SOURCE_SEGMENTS));
        }

        @Override
        public Source<String, ?, ?> createSource(TestingSourceSettings settings) {
            SluiceSourceBuilder<String> source = SluiceSource.forBytes(new SimpleStringSchema())
                    .setEndpoint(endpoint)
                    .setStreams(sourceStreams)
                    .setStartingPositions(StartingPositions.earliest());
            if (settings.getBoundedness() == Boundedness.BOUNDED) {
                source.setStoppingPositions(StoppingPositions.latest());
            }
            return source.build();
        }

        @Override
        public ExternalSystemSplitDataWriter<String> createSourceSplitDataWriter(TestingSourceSettings settings) {
            String stream = sourceStreams.get(writers % SOURCE_STREAMS);
            int segment = writers / SOURCE_STREAMS;
            assertThat(segment).as("segments there are").isLessThan(SOURCE_SEGMENTS);
            writers++;
            return new ExternalSystemSplitDataWriter<String>() {
                @Override
                public void writeRecords(List<String> records) {
                    streams.append(stream, segment, records, 10);
                }

                @Override
                public void close() {}
            };
        }

        @Override
        public List<String> generateTestData(TestingSourceSettings settings, int splitIndex, long seed) {
            return generate(splitIndex + "-", seed);
        }

        @Override
        public Sink<String> createSink(TestingSinkSettings settings) {
            boolean exactlyOnce = settings.getCheckpointingMode().name().equals(CheckpointingMode.EXACTLY_ONCE.name());
            return SluiceSink.<String>builder()
                    .setEndpoint(endpoint)
                    .setStream(scope + "/sink")
                    .setSegments(SINK_SEGMENTS)
                    .setSinkId(scope + "/suite")
                    .setSerializer(new SimpleStringSchema())
                    .setRoutingKeyExtractor(String::getBytes)
                    .setDeliveryGuarantee(exactlyOnce ? DeliveryGuarantee.EXACTLY_ONCE : DeliveryGuarantee.AT_LEAST_ONCE)
                    .build();
        }

        @Override
        public ExternalSystemDataReader<String> createSinkDataReader(TestingSinkSettings settings) {
            return new ExternalSystemDataReader<String>() {
                private int seen;

                @Override
                public List<String> poll(Duration timeout) {
                    if (streams.count(scope + "/sink") <= seen) {
                        pauseFor(timeout);
                        return List.of();
                    }
                    // Segments are concatenated, so what is new is not at the end: the suite compares sets of what all polls brought.
                    List<String> all = streams.lines(scope + "/sink");
                    List<String> fresh = new ArrayList<>(all);
                    polled.forEach(fresh::remove);
                    polled.addAll(fresh);
                    seen = all.size();
                    return fresh;
                }

                private final List<String> polled = new ArrayList<>();

                @Override
                public void close() {}
            };
        }

        private static void pauseFor(Duration timeout) {
            try {
                Thread.sleep(Math.min(timeout.toMillis(), 100));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }

        @Override
        public List<String> generateTestData(TestingSinkSettings settings, long seed) {
            return generate("", seed);
        }

        private static List<String> generate(String prefix, long seed) {
            Random random = new Random(seed);
            List<String> records = new ArrayList<>();
            int count = 500 + random.nextInt(500);
            for (int i = 0; i < count; i++) {
                records.add(prefix + i + "-" + Long.toHexString(random.nextLong()));
            }
            return records;
        }

        @Override
        public TypeInformation<String> getProducedType() {
            return Types.STRING;
        }

        @Override
        public List<URL> getConnectorJarPaths() {
            return List.of();
        }

        @Override
        public void close() {
            streams.close();
        }
    }
}
