package io.sluice.flink.tests;

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

/** What Flink's suites need to know of Sluice. Each test has a scope of its own; each split writer fills a stream of its own. */
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

        private final String endpoint;
        private final TestStreams streams;
        private final String scope = "suite-" + TESTS.incrementAndGet();
        private final List<String> sourceStreams = new ArrayList<>();

        Context(GatewayProcess gateway) {
            this.endpoint = gateway.endpoint();
            this.streams = new TestStreams(gateway);
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
            String stream = scope + "/split-" + sourceStreams.size();
            streams.create(stream, 1);
            sourceStreams.add(stream);
            return new ExternalSystemSplitDataWriter<String>() {
                @Override
                public void writeRecords(List<String> records) {
                    streams.append(stream, 0, records, 10);
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
