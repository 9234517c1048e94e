package io.sluice.bench;

import io.sluice.flink.sink.SluiceSink;
import io.sluice.flink.sink.SluiceSinkBuilder;
import io.sluice.flink.source.SluiceSource;
import io.sluice.flink.source.StoppingPositions;
import java.util.Properties;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;

/** Sinks and sources of bytes of the measured systems, at one endpoint. */
abstract class Peer {
    final String endpoint;

    private Peer(String endpoint) {
        this.endpoint = endpoint;
    }

    static Peer of(Arguments arguments) {
        String system = arguments.text("system");
        switch (system) {
            case "sluice":
                return new Sluice(arguments.text("endpoint"), arguments.number("slice_s", 0));
            case "kafka":
                return new Kafka(arguments.text("endpoint"));
            case "discard":
                return new Discard();
            default:
                throw new IllegalArgumentException("unknown system " + system);
        }
    }

    /** Whether what goes into its sink can be read. */
    boolean keeps() {
        return true;
    }

    /** Exactly-once into a stream that exists. */
    abstract Sink<byte[]> sink(String stream, String id);

    /** Committed payloads from the start of a stream: up to its present end, or for ever. */
    abstract Source<byte[], ?, ?> source(String stream, boolean bounded);

    private static final class Sluice extends Peer {
        private final long sliceSeconds;

        /** @param sliceSeconds after which a sink goes on in another stream; 0: never */
        Sluice(String endpoint, long sliceSeconds) {
            super(endpoint);
            this.sliceSeconds = sliceSeconds;
        }

        @Override
        Sink<byte[]> sink(String stream, String id) {
            SluiceSinkBuilder<byte[]> sink = SluiceSink.<byte[]>builder()
                    .setEndpoint(endpoint)
                    .setSinkId("bench/" + id)
                    .setSegments(2)
                    .setSerializer(new Bytes());
            return (sliceSeconds == 0 ? sink.setStream(stream) : sink.setStreamRouter(new Slices(stream, sliceSeconds))).build();
        }

        @Override
        Source<byte[], ?, ?> source(String stream, boolean bounded) {
            return SluiceSource.forBytes(new Bytes())
                    .setEndpoint(endpoint)
                    .setStream(stream)
                    .setStoppingPositions(bounded ? StoppingPositions.latest() : StoppingPositions.unbounded())
                    .build();
        }
    }

    private static final class Kafka extends Peer {
        Kafka(String endpoint) {
            super(endpoint);
        }

        @Override
        Sink<byte[]> sink(String stream, String id) {
            return KafkaSink.<byte[]>builder()
                    .setBootstrapServers(endpoint)
                    .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
                    .setTransactionalIdPrefix(id)
                    .setKafkaProducerConfig(producer())
                    .setRecordSerializer(KafkaRecordSerializationSchema.<byte[]>builder()
                            .setTopic(stream)
                            .setValueSerializationSchema(new Bytes())
                            .build())
                    .build();
        }

        @Override
        Source<byte[], ?, ?> source(String stream, boolean bounded) {
            var builder = KafkaSource.<byte[]>builder()
                    .setBootstrapServers(endpoint)
                    .setTopics(stream)
                    .setStartingOffsets(OffsetsInitializer.earliest())
                    .setDeserializer(KafkaRecordDeserializationSchema.valueOnly(new Bytes()))
                    .setProperty(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
            return bounded ? builder.setBounded(OffsetsInitializer.latest()).build() : builder.build();
        }
    }

    /** What a producer needs to be fast with small records; measured better than the defaults on two cores. */
    static Properties producer() {
        Properties properties = new Properties();
        properties.put(ProducerConfig.BATCH_SIZE_CONFIG, Integer.toString(256 << 10));
        properties.put(ProducerConfig.LINGER_MS_CONFIG, "5");
        properties.put(ProducerConfig.BUFFER_MEMORY_CONFIG, Integer.toString(64 << 20));
        // the broker allows 15 minutes
        properties.put(ProducerConfig.TRANSACTION_TIMEOUT_CONFIG, "600000");
        return properties;
    }

    /** Nowhere: what generating alone costs, or Flink alone ({@link CommitOnlySink}). */
    private static final class Discard extends Peer {
        Discard() {
            super("");
        }

        @Override
        boolean keeps() {
            return false;
        }

        @Override
        Sink<byte[]> sink(String stream, String id) {
            return new DiscardingSink<>();
        }

        @Override
        Source<byte[], ?, ?> source(String stream, boolean bounded) {
            throw new IllegalStateException("discard keeps nothing that could be read");
        }
    }
}
