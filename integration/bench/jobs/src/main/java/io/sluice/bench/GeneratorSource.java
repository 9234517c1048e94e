package io.sluice.bench;

import java.io.IOException;
import java.io.Serializable;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.IntFunction;
import javax.annotation.Nullable;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/**
 * Emits records until a time is over or a number is reached, as fast as it can or at a pace. It has neither splits nor state, as a
 * measured job is never restored: {@code DataGeneratorSource} would cost more per record than the sinks that are measured.
 */
final class GeneratorSource<T> implements Source<T, GeneratorSource.NoSplit, Void> {
    private static final long serialVersionUID = 1L;
    /** Records between two looks at the clock and the mailbox. */
    private static final int RECORDS_AT_ONCE = 64;

    private final SerializableFactory<T> generators;
    private final Limits limits;
    private final boolean measured;

    /** The source of the measured job: its work starts and counts {@link Progress}. */
    GeneratorSource(SerializableFactory<T> generators, Limits limits) {
        this(generators, limits, true);
    }

    GeneratorSource(SerializableFactory<T> generators, Limits limits, boolean measured) {
        this.generators = generators;
        this.limits = limits;
        this.measured = measured;
    }

    /** Makes the records of one subtask. */
    interface Generator<T> {
        T next();

        /** Bytes of the newest record, as figures count them. */
        int bytes();
    }

    /** The generator of each subtask. */
    interface SerializableFactory<T> extends IntFunction<Generator<T>>, Serializable {}

    /** Of the whole job: how long it emits at most, how many records at most, and how many per second (0: as many as it can). */
    record Limits(double seconds, long records, long recordsPerSecond) implements Serializable {
        static Limits of(Arguments arguments) {
            return new Limits(
                    Double.parseDouble(arguments.text("seconds")),
                    arguments.number("records", Long.MAX_VALUE),
                    arguments.number("rate", 0));
        }
    }

    /** There are none. */
    static final class NoSplit implements SourceSplit {
        @Override
        public String splitId() {
            return "none";
        }
    }

    @Override
    public Boundedness getBoundedness() {
        return Boundedness.BOUNDED;
    }

    @Override
    public SourceReader<T, NoSplit> createReader(SourceReaderContext context) {
        return new Reader(generators.apply(context.getIndexOfSubtask()), context.currentParallelism());
    }

    private final class Reader implements SourceReader<T, NoSplit> {
        private final Generator<T> generator;
        private final long wanted;
        private final double perNanosecond;
        private long startedNanos;
        private long records;
        private long bytes;

        Reader(Generator<T> generator, int parallelism) {
            this.generator = generator;
            this.wanted = limits.records / parallelism;
            this.perNanosecond = limits.recordsPerSecond / 1e9 / parallelism;
        }

        @Override
        public void start() {
            if (measured) {
                Progress.started();
            }
            startedNanos = System.nanoTime();
        }

        @Override
        public InputStatus pollNext(ReaderOutput<T> output) {
            long elapsed = System.nanoTime() - startedNanos;
            if (records >= wanted || elapsed >= limits.seconds * 1e9) {
                if (measured) {
                    Progress.ended(records, bytes);
                }
                return InputStatus.END_OF_INPUT;
            }
            long due = perNanosecond == 0 ? wanted : Math.min(wanted, (long) (elapsed * perNanosecond));
            for (long end = Math.min(due, records + RECORDS_AT_ONCE); records < end; records++) {
                output.collect(generator.next());
                bytes += generator.bytes();
            }
            return records < due || perNanosecond == 0 ? InputStatus.MORE_AVAILABLE : InputStatus.NOTHING_AVAILABLE;
        }

        @Override
        public CompletableFuture<Void> isAvailable() {
            // asked only when a paced generator has emitted all that is due
            return CompletableFuture.runAsync(() -> {}, CompletableFuture.delayedExecutor(1, TimeUnit.MILLISECONDS));
        }

        @Override
        public List<NoSplit> snapshotState(long checkpointId) {
            return List.of();
        }

        @Override
        public void addSplits(List<NoSplit> splits) {}

        @Override
        public void notifyNoMoreSplits() {}

        @Override
        public void close() {}
    }

    @Override
    public SplitEnumerator<NoSplit, Void> createEnumerator(SplitEnumeratorContext<NoSplit> context) {
        return new SplitEnumerator<>() {
            @Override
            public void start() {}

            @Override
            public void handleSplitRequest(int subtask, @Nullable String host) {}

            @Override
            public void addSplitsBack(List<NoSplit> splits, int subtask) {}

            @Override
            public void addReader(int subtask) {}

            @Override
            public Void snapshotState(long checkpointId) {
                return null;
            }

            @Override
            public void close() {}
        };
    }

    @Override
    public SplitEnumerator<NoSplit, Void> restoreEnumerator(SplitEnumeratorContext<NoSplit> context, Void state) {
        return createEnumerator(context);
    }

    @Override
    public SimpleVersionedSerializer<NoSplit> getSplitSerializer() {
        return new Nothing<>();
    }

    @Override
    public SimpleVersionedSerializer<Void> getEnumeratorCheckpointSerializer() {
        return new Nothing<>();
    }

    /** For the state there is not. */
    private static final class Nothing<E> implements SimpleVersionedSerializer<E> {
        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(E nothing) {
            return new byte[0];
        }

        @Override
        public E deserialize(int version, byte[] bytes) throws IOException {
            throw new IOException("a measured job is not restored");
        }
    }
}
