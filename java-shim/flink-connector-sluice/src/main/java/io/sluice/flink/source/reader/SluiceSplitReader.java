package io.sluice.flink.source.reader;

import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.client.SluiceException;
import io.sluice.flink.source.SourceSettings;
import io.sluice.flink.source.split.SluiceSplit;
import io.sluice.proto.gateway.v1.Events;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import org.apache.flink.annotation.Internal;
import org.apache.flink.connector.base.source.reader.RecordsWithSplitIds;
import org.apache.flink.connector.base.source.reader.splitreader.SplitReader;
import org.apache.flink.connector.base.source.reader.splitreader.SplitsAddition;
import org.apache.flink.connector.base.source.reader.splitreader.SplitsChange;
import org.apache.flink.connector.base.source.reader.splitreader.SplitsRemoval;
import org.apache.flink.metrics.Counter;

/**
 * Reads all splits of a source reader over one Read call ({@link ReadSession}) and hands their blocks over in small batches.
 *
 * <p>Everything runs on the fetcher's thread except {@link #wakeUp} (any thread) and what an {@link EventBatch} does when a slice is
 * emitted (the task's thread).
 */
@Internal
final class SluiceSplitReader<T> implements SplitReader<EventRun<T>, SluiceSplit> {
    /** A batch ends when it holds this many bytes or slices; one block may be larger. */
    private static final long BATCH_BYTES = 1 << 20;

    private static final int BATCH_SLICES = 256;

    private final ReadSession<T> session;
    private final StreamSchemas<T> schemas;
    private final RateLimiter limiter;
    private final Counter bytesIn;

    SluiceSplitReader(
            SluiceClient client, SourceSettings<T> settings, RateLimiter limiter, PendingEvents pending, Counter bytesIn) {
        this.session = new ReadSession<>(client, settings.memoryBytes(), settings.reconnectTimeout(), pending);
        this.schemas = new StreamSchemas<>(client, settings.decoder());
        this.limiter = limiter;
        this.bytesIn = bytesIn;
    }

    @Override
    public RecordsWithSplitIds<EventRun<T>> fetch() throws IOException {
        try {
            while (true) {
                askForColumns();
                int rows = limiter.available();
                long wait = rows > 0 ? Long.MAX_VALUE : limiter.nanosUntilWorthwhile();
                if (!session.await(rows > 0, wait)) {
                    return new EventBatch<>(List.of(), Set.of(), slice -> {});
                }
                EventBatch<T> batch = handOver(limiter.available());
                if (!batch.isEmpty()) {
                    return batch;
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return new EventBatch<>(List.of(), Set.of(), slice -> {});
        }
    }

    /** In short attempts, so that a gateway that is away does not hold up a cancelled task. */
    private void askForColumns() throws IOException {
        try {
            for (SluiceSplit split : session.withoutColumns()) {
                session.setColumns(split, schemas.columns(split));
            }
        } catch (SluiceException e) {
            session.failed(e);
        }
    }

    private EventBatch<T> handOver(int maxRows) throws IOException {
        List<BlockSlice<T>> slices = new ArrayList<>();
        int rowsLeft = maxRows;
        long bytes = 0;
        while (rowsLeft > 0 && bytes < BATCH_BYTES && slices.size() < BATCH_SLICES) {
            Subscription<T> subscription = session.nextWithRows();
            if (subscription == null) {
                break;
            }
            BlockSlice<T> slice = slice(subscription, rowsLeft);
            slices.add(slice);
            rowsLeft -= slice.to() - slice.from();
            bytes += slice.blockBytes();
            session.handedOver(slice);
        }
        limiter.take(maxRows - rowsLeft);
        return new EventBatch<>(slices, session.removeDrained(), this::emitted);
    }

    /** The next rows of a subscription's head block. */
    private BlockSlice<T> slice(Subscription<T> subscription, int maxRows) throws IOException {
        Events events = subscription.head;
        if (subscription.openHead == null) {
            subscription.openHead = open(subscription.split(), events);
        }
        long base = events.getBaseOffset();
        int from = (int) (subscription.nextHandover - base);
        int end = (int) Math.min(events.getBlock().getRows(), subscription.split().end().orElse(Long.MAX_VALUE) - base);
        int to = from + Math.min(maxRows, end - from);
        return new BlockSlice<>(subscription, events, subscription.openHead, from, to, to == end);
    }

    private EventDecoder.Rows<T> open(SluiceSplit split, Events events) throws IOException {
        EventDecoder.Rows<T> rows;
        try {
            rows = schemas.blocks(events.getBlock().getSchemaId()).open(events.getBlock());
        } catch (IOException e) {
            throw new IOException("the block at offset " + events.getBaseOffset() + " of " + split.splitId() + " cannot be read: "
                    + e.getMessage(), e);
        }
        if (rows.size() != events.getBlock().getRows()) {
            throw new IOException("the block at offset " + events.getBaseOffset() + " of " + split.splitId() + " holds " + rows.size()
                    + " rows and claims " + events.getBlock().getRows());
        }
        return rows;
    }

    private void emitted(BlockSlice<T> slice) {
        if (slice.isLastOfBlock()) {
            bytesIn.inc(slice.blockBytes());
            session.release(slice);
        }
    }

    @Override
    public void handleSplitsChanges(SplitsChange<SluiceSplit> change) {
        if (change instanceof SplitsAddition) {
            session.add(change.splits());
        } else if (change instanceof SplitsRemoval) {
            session.remove(change.splits());
        } else {
            throw new UnsupportedOperationException("a change of splits of type " + change.getClass().getName() + " is not known");
        }
    }

    @Override
    public void pauseOrResumeSplits(Collection<SluiceSplit> toPause, Collection<SluiceSplit> toResume) {
        session.pauseOrResume(toPause, toResume);
    }

    @Override
    public void wakeUp() {
        session.wakeUp();
    }

    @Override
    public void close() {
        session.close();
    }
}
