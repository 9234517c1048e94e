package io.sluice.bench;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.LongAdder;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * W4: paced events through Flink into an exactly-once sink, and a second job that reads what is committed: how long from an event to
 * its reader. W5: the same while a third job keeps a transaction of the same stream open, or after its writer was killed.
 */
final class Latency {
    private static final int EVENT_BYTES = 100;
    /** Events of the first seconds, while Java still compiles, are not counted. */
    private static final Duration SETTLING = Duration.ofSeconds(5);
    /** From when another transaction may be open: a writer that starts slowly has settled, too. */
    private static final Duration SETTLED = SETTLING.plusSeconds(3);
    /** What the open transaction holds, so that no client keeps all of it to itself. */
    private static final long HELD_EVENTS = 200_000;

    private static final Duration CATCH_UP = Duration.ofSeconds(60);
    private static final LongAdder READ = new LongAdder();
    private static final ConcurrentLinkedQueue<double[]> MILLIS = new ConcurrentLinkedQueue<>();

    private Latency() {}

    static void run(Arguments arguments) throws Exception {
        Peer peer = Peer.of(arguments);
        String stream = arguments.text("stream");
        Duration interval = Duration.ofMillis(arguments.number("checkpoint_ms"));
        long holdMillis = arguments.number("hold_ms", 0);
        READ.reset();
        MILLIS.clear();
        try (LocalFlink flink = LocalFlink.start();
                KilledWriter killed = arguments.number("killed", 0) > 0 ? KilledWriter.start(arguments) : null) {
            JobID reader = peer.keeps() ? read(flink, peer, stream) : null;
            JobID writer = write(flink, peer, stream, interval, arguments);
            JobID holder = null;
            if (holdMillis > 0) {
                Thread.sleep(SETTLED.toMillis());
                holder = hold(flink, peer, stream, Duration.ofMillis(holdMillis));
            } else if (killed != null) {
                Thread.sleep(SETTLED.toMillis());
                killed.openAndKill();
                if (Progress.records() > 0) {
                    throw new IllegalStateException("nothing was written any more when the transaction was open: the machine is too busy");
                }
            }
            flink.await(writer);
            long written = Progress.records();
            if (holder != null) {
                flink.await(holder);
                written += HELD_EVENTS;
            }
            awaitRead(written);
            Report report = Progress.untilNow().times("checkpoint", flink.checkpointMillis(writer));
            if (reader != null) {
                flink.cancel(reader);
            }
            report.times("latency", MILLIS.stream().flatMapToDouble(Arrays::stream).toArray()).print();
        }
    }

    private static JobID write(LocalFlink flink, Peer peer, String stream, Duration interval, Arguments arguments) throws Exception {
        StreamExecutionEnvironment environment = flink.environment(interval);
        var source = new GeneratorSource<>(subtask -> new Stamped(true), GeneratorSource.Limits.of(arguments));
        Sink<byte[]> sink = peer.keeps() ? peer.sink(stream, "writer-" + stream.replace('/', '-')) : new CommitOnlySink();
        environment.fromSource(source, WatermarkStrategy.noWatermarks(), "paced", Bytes.TYPE)
                .map(event -> event)
                .returns(Bytes.TYPE)
                .sinkTo(sink);
        return environment.executeAsync("write " + stream).getJobID();
    }

    private static JobID hold(LocalFlink flink, Peer peer, String stream, Duration time) throws Exception {
        // a job whose sources have ended checkpoints at once: the only one, which commits
        StreamExecutionEnvironment environment = flink.environment(Duration.ofHours(1));
        environment.setParallelism(1);
        var limits = new GeneratorSource.Limits(1e6, HELD_EVENTS, HELD_EVENTS * 1000 / time.toMillis());
        var source = new GeneratorSource<>(subtask -> new Stamped(false), limits, false);
        environment.fromSource(source, WatermarkStrategy.noWatermarks(), "held", Bytes.TYPE)
                .sinkTo(peer.sink(stream, "holder-" + stream.replace('/', '-')));
        return environment.executeAsync("hold " + stream).getJobID();
    }

    private static JobID read(LocalFlink flink, Peer peer, String stream) throws Exception {
        StreamExecutionEnvironment environment = flink.environment(Duration.ofSeconds(1));
        environment.fromSource(peer.source(stream, false), WatermarkStrategy.noWatermarks(), stream, Bytes.TYPE)
                .sinkTo(new Receiver());
        return environment.executeAsync("read " + stream).getJobID();
    }

    private static void awaitRead(long events) throws InterruptedException {
        long deadline = System.nanoTime() + CATCH_UP.toNanos();
        while (READ.sum() < events) {
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("of " + events + " events only " + READ.sum() + " were read");
            }
            Thread.sleep(10);
        }
    }

    /** Events with the time of their making, or 0 for those that are not measured, and then bytes that do not compress. */
    private static final class Stamped implements GeneratorSource.Generator<byte[]> {
        private final Payloads payloads = new Payloads(EVENT_BYTES, 0);
        private final boolean measured;

        Stamped(boolean measured) {
            this.measured = measured;
        }

        @Override
        public byte[] next() {
            byte[] event = payloads.next();
            ByteBuffer.wrap(event).putLong(measured ? System.nanoTime() : 0);
            return event;
        }

        @Override
        public int bytes() {
            return EVENT_BYTES;
        }
    }

    /** How old events are when they are received; of one thread. */
    static final class Ages {
        private double[] millis = new double[1 << 16];
        private int count;
        private long countedFrom;

        void received(byte[] event) {
            READ.increment();
            long made = ByteBuffer.wrap(event).getLong();
            if (made == 0) {
                return;
            }
            if (countedFrom == 0) {
                countedFrom = made + SETTLING.toNanos();
            }
            if (made >= countedFrom) {
                if (count == millis.length) {
                    millis = Arrays.copyOf(millis, count * 2);
                }
                millis[count++] = (System.nanoTime() - made) / 1e6;
            }
        }

        void report() {
            MILLIS.add(Arrays.copyOf(millis, count));
        }
    }

    /** Notes how old each event is when it comes out of the reader. */
    private static final class Receiver implements Sink<byte[]> {
        private static final long serialVersionUID = 1L;

        @Override
        public SinkWriter<byte[]> createWriter(WriterInitContext context) {
            Ages ages = new Ages();
            return new SinkWriter<>() {
                @Override
                public void write(byte[] event, Context context) {
                    ages.received(event);
                }

                @Override
                public void flush(boolean endOfInput) {}

                @Override
                public void close() {
                    ages.report();
                }
            };
        }
    }
}
