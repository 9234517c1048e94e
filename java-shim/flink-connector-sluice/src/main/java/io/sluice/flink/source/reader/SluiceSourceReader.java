package io.sluice.flink.source.reader;

import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.source.SourceSettings;
import io.sluice.flink.source.split.SluiceSplit;
import io.sluice.flink.source.split.SluiceSplitState;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.apache.flink.annotation.Internal;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.connector.base.source.reader.SingleThreadMultiplexSourceReaderBase;
import org.apache.flink.connector.base.source.reader.splitreader.SplitReader;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.util.UserCodeClassLoader;

/**
 * Reads splits. One fetcher thread reads all of them over one Read call ({@link SluiceSplitReader}); everything here runs on the task's
 * thread: {@code start}, then {@code addSplits}, {@code pollNext} and {@code snapshotState} in any order, then {@code close}.
 *
 * <p>Splits that are read to their end stay in the reader's state, with nothing left to read, so that a checkpoint always holds a
 * position of every segment.
 */
@Internal
public final class SluiceSourceReader<T>
        extends SingleThreadMultiplexSourceReaderBase<EventRun<T>, T, SluiceSplit, SluiceSplitState> {
    private final SourceSettings<T> settings;
    private final SluiceClient client;
    private final PendingEvents pending;
    private final Map<String, SluiceSplit> finished = new HashMap<>();
    private boolean gaugeRegistered;

    private SluiceSourceReader(
            Supplier<SplitReader<EventRun<T>, SluiceSplit>> splitReaders,
            PendingEvents pending,
            SluiceClient client,
            SourceSettings<T> settings,
            SourceReaderContext context) {
        super(
                splitReaders,
                new EventEmitter<>(context.metricGroup().getIOMetricGroup().getNumRecordsInCounter()),
                context.getConfiguration(),
                context);
        this.settings = settings;
        this.client = client;
        this.pending = pending;
    }

    /** A reader; connects when it gets its first split. */
    public static <T> SluiceSourceReader<T> create(SourceSettings<T> settings, SourceReaderContext context) throws Exception {
        settings.decoder().open(new ReaderInitializationContext(context));
        SluiceClient client = SluiceClient.acquire(settings.endpoint());
        PendingEvents pending = new PendingEvents(client, context.getIndexOfSubtask());
        double share = settings.rowsPerSecond() / Math.max(1, context.currentParallelism());
        RateLimiter limiter = share > 0 ? new RateLimiter(share, System::nanoTime) : RateLimiter.unlimited();
        Counter bytesIn = context.metricGroup().getIOMetricGroup().getNumBytesInCounter();
        Supplier<SplitReader<EventRun<T>, SluiceSplit>> splitReaders =
                () -> new SluiceSplitReader<>(client, settings, limiter, pending, bytesIn);
        return new SluiceSourceReader<>(splitReaders, pending, client, settings, context);
    }

    @Override
    public void start() {
        super.start();
        pending.start();
    }

    @Override
    public void addSplits(List<SluiceSplit> splits) {
        if (!gaugeRegistered) {
            context.metricGroup().setPendingRecordsGauge(pending::count);
            gaugeRegistered = true;
        }
        List<SluiceSplit> unfinished = new ArrayList<>();
        for (SluiceSplit split : splits) {
            if (split.isFinished()) {
                finished.put(split.splitId(), split);
            } else {
                pending.add(split);
                unfinished.add(split);
            }
        }
        if (!unfinished.isEmpty()) {
            super.addSplits(unfinished);
        }
    }

    @Override
    public List<SluiceSplit> snapshotState(long checkpointId) {
        List<SluiceSplit> splits = new ArrayList<>(super.snapshotState(checkpointId));
        splits.addAll(finished.values());
        if (settings.group() != null) {
            Map<String, Long> offsets = new HashMap<>();
            splits.forEach(split -> offsets.put(split.splitId(), split.offset()));
            context.sendSourceEventToCoordinator(new PositionsReport(checkpointId, offsets));
        }
        return splits;
    }

    @Override
    protected void onSplitFinished(Map<String, SluiceSplitState> finishedNow) {
        finishedNow.forEach((id, state) -> {
            finished.put(id, state.split().finishedAt(state.offset()));
            pending.remove(id);
        });
    }

    @Override
    protected SluiceSplitState initializedState(SluiceSplit split) {
        return new SluiceSplitState(split);
    }

    @Override
    protected SluiceSplit toSplitType(String splitId, SluiceSplitState state) {
        return state.toSplit();
    }

    @Override
    public void close() throws Exception {
        try {
            super.close();
        } finally {
            pending.close();
            client.close();
        }
    }

    /** What a deserializer may use. */
    private static final class ReaderInitializationContext implements DeserializationSchema.InitializationContext {
        private final SourceReaderContext context;

        ReaderInitializationContext(SourceReaderContext context) {
            this.context = context;
        }

        @Override
        public MetricGroup getMetricGroup() {
            return context.metricGroup().addGroup("deserializer");
        }

        @Override
        public UserCodeClassLoader getUserCodeClassLoader() {
            return context.getUserCodeClassLoader();
        }
    }
}
