package io.sluice.bench;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * W9 for Kafka, as its documentation advises: not a client for each of a thousand sources but one for each connection, which they
 * share. Idempotent and acknowledged by all replicas, which are Kafka's defaults; the schedule and sizes are those of
 * {@code sluice bench fan-in}.
 */
final class KafkaFanIn {
    private static final int CONNECTIONS = 8;
    private static final int SMALLEST = 20;
    private static final int LARGEST = 200;
    /** Events under way without a schedule: 64 for each of a thousand sources. */
    private static final int UNDER_WAY = 64 * 1000 / CONNECTIONS;

    private static final long LOOK_NANOS = TimeUnit.MILLISECONDS.toNanos(1);

    private KafkaFanIn() {}

    static void run(Arguments arguments) throws Exception {
        double perSecond = (double) arguments.number("rate") / CONNECTIONS;
        long nanos = (long) (Double.parseDouble(arguments.text("seconds")) * 1e9);
        ExecutorService threads = Executors.newFixedThreadPool(CONNECTIONS);
        List<Connection> connections = new ArrayList<>();
        for (int index = 0; index < CONNECTIONS; index++) {
            connections.add(new Connection(arguments, index));
        }
        try {
            Progress.started();
            List<Future<?>> running = new ArrayList<>();
            for (Connection connection : connections) {
                running.add(threads.submit(() -> {
                    connection.send(perSecond, nanos);
                    return null;
                }));
            }
            for (Future<?> one : running) {
                one.get();
            }
            double[] millis = connections.stream().flatMapToDouble(connection -> Arrays.stream(connection.millis())).toArray();
            Progress.untilEnd().times("latency", millis).print();
        } finally {
            threads.shutdown();
            connections.forEach(Connection::close);
        }
    }

    /** One client; what it notes is written by its sending thread and, from callbacks, by the client's own thread. */
    private static final class Connection implements AutoCloseable {
        private final KafkaProducer<byte[], byte[]> producer;
        private final String topic;
        private final Randoms randoms;
        private final Semaphore underWay = new Semaphore(UNDER_WAY);
        private double[] millis = new double[1 << 16];
        private int acknowledged;
        private volatile Exception failure;

        Connection(Arguments arguments, int index) {
            Properties properties = Peer.producer();
            properties.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, arguments.text("endpoint"));
            producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
            topic = arguments.text("stream");
            randoms = new Randoms(index);
            // the connection is made before the clock runs
            producer.partitionsFor(topic);
        }

        void send(double perSecond, long nanos) throws Exception {
            long started = System.nanoTime();
            long events = 0;
            long bytes = 0;
            while (true) {
                long due = started + (perSecond == 0 ? System.nanoTime() - started : (long) (events / perSecond * 1e9));
                if (due - started >= nanos) {
                    break;
                }
                if (due > System.nanoTime()) {
                    LockSupport.parkNanos(LOOK_NANOS);
                    continue;
                }
                byte[] event = new byte[SMALLEST + (int) Long.remainderUnsigned(randoms.next(), LARGEST - SMALLEST + 1)];
                if (perSecond == 0) {
                    underWay.acquire();
                    due = System.nanoTime();
                }
                long since = due;
                producer.send(new ProducerRecord<>(topic, event), (metadata, failed) -> {
                    note(since, failed);
                    if (perSecond == 0) {
                        underWay.release();
                    }
                });
                events++;
                bytes += event.length;
            }
            producer.flush();
            if (failure != null) {
                throw new ExecutionException("a record was refused", failure);
            }
            Progress.ended(events, bytes);
        }

        private void note(long since, Exception failed) {
            if (failed != null) {
                failure = failed;
                return;
            }
            if (acknowledged == millis.length) {
                millis = Arrays.copyOf(millis, acknowledged * 2);
            }
            millis[acknowledged++] = (System.nanoTime() - since) / 1e6;
        }

        /** After {@link #send}. */
        double[] millis() {
            return Arrays.copyOf(millis, acknowledged);
        }

        @Override
        public void close() {
            producer.close();
        }
    }
}
