package io.sluice.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * W6 and W7 for Kafka: its Java client in transactions, ended by a time or by their size. What is still on its way is flushed before
 * the commit, which would do so itself: so the time of the commit alone is known.
 */
final class KafkaClient {
    private static final int RECORDS_BETWEEN_CLOCKS = 256;

    private KafkaClient() {}

    static void run(Arguments arguments) throws Exception {
        String topic = arguments.text("stream");
        int size = (int) arguments.number("size");
        double seconds = Double.parseDouble(arguments.text("seconds", "1e9"));
        long commitNanos = arguments.number("commit_ms", 1_000_000_000) * 1_000_000;
        long transactionRecords = arguments.number("transaction_bytes", Long.MAX_VALUE) / size;
        long transactions = arguments.number("transactions", Long.MAX_VALUE);

        Properties properties = Peer.producer();
        properties.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, arguments.text("endpoint"));
        properties.put(ProducerConfig.TRANSACTIONAL_ID_CONFIG, "client-" + topic);
        Payloads payloads = new Payloads(size, 0);
        List<Double> prepares = new ArrayList<>();
        List<Double> commits = new ArrayList<>();
        long records = 0;
        AtomicReference<Exception> failure = new AtomicReference<>();
        try (var producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())) {
            producer.initTransactions();
            Progress.started();
            long started = System.nanoTime();
            long ended = started;
            while (ended - started < seconds * 1e9 && commits.size() < transactions) {
                producer.beginTransaction();
                long began = System.nanoTime();
                long before = records;
                while (records - before < transactionRecords
                        && (records % RECORDS_BETWEEN_CLOCKS != 0 || System.nanoTime() - began < commitNanos)) {
                    producer.send(new ProducerRecord<>(topic, payloads.next()), (metadata, failed) -> {
                        if (failed != null) {
                            failure.set(failed);
                        }
                    });
                    records++;
                }
                long flushing = System.nanoTime();
                producer.flush();
                long committing = System.nanoTime();
                prepares.add((committing - flushing) / 1e6);
                producer.commitTransaction();
                ended = System.nanoTime();
                commits.add((ended - committing) / 1e6);
            }
        }
        if (failure.get() != null) {
            throw new ExecutionException("a record was refused", failure.get());
        }
        Progress.ended(records, records * size);
        Progress.untilEnd().times("prepare", array(prepares)).times("commit", array(commits)).print();
    }

    private static double[] array(List<Double> times) {
        return times.stream().mapToDouble(Double::doubleValue).toArray();
    }
}
