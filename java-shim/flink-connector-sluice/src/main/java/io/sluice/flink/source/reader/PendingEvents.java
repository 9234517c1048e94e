package io.sluice.flink.source.reader;

import io.sluice.flink.client.Rpc;
import io.sluice.flink.client.SluiceClient;
import io.sluice.flink.source.split.SluiceSplit;
import io.sluice.proto.gateway.v1.GetStreamRequest;
import io.sluice.proto.gateway.v1.SegmentInfo;
import io.sluice.proto.gateway.v1.StreamInfo;
import io.sluice.proto.gateway.v1.StreamName;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * How many committed events of the reader's splits are not emitted yet: the gauge {@code pendingRecords}.
 *
 * <p>The end of a segment comes with every block. A reader that is held back gets no blocks, so the ends of such segments are asked for
 * every few seconds, without waiting for the answer. Thread safe.
 */
final class PendingEvents implements AutoCloseable {
    static final Duration REFRESH_INTERVAL = Duration.ofSeconds(2);

    private static final Logger LOG = LoggerFactory.getLogger(PendingEvents.class);

    /** One split's part of the sum. */
    static final class Progress {
        private final SluiceSplit split;
        private final AtomicLong position;
        private final AtomicLong end;
        private volatile long endKnownAt = Long.MIN_VALUE;

        Progress(SluiceSplit split) {
            this.split = split;
            this.position = new AtomicLong(split.offset());
            this.end = new AtomicLong(split.offset());
        }

        /** Everything below {@code offset} is emitted. Cheap: called for each run of events. */
        void emitted(long offset) {
            position.lazySet(offset);
        }

        /** The segment reaches to {@code nextOffset}. */
        void reaches(long nextOffset) {
            end.accumulateAndGet(nextOffset, Math::max);
            endKnownAt = System.nanoTime();
        }

        private long pending() {
            long stop = Math.min(end.get(), split.end().orElse(Long.MAX_VALUE));
            return Math.max(0, stop - position.get());
        }
    }

    private final SluiceClient client;
    private final Map<String, Progress> splits = new ConcurrentHashMap<>();
    private final ScheduledExecutorService timer;

    PendingEvents(SluiceClient client, int subtask) {
        this.client = client;
        this.timer = Executors.newSingleThreadScheduledExecutor(task -> {
            Thread thread = new Thread(task, "sluice-source-pending-" + subtask);
            thread.setDaemon(true);
            return thread;
        });
    }

    void start() {
        long interval = REFRESH_INTERVAL.toMillis();
        timer.scheduleWithFixedDelay(this::refresh, 0, interval, TimeUnit.MILLISECONDS);
    }

    void add(SluiceSplit split) {
        splits.put(split.splitId(), new Progress(split));
        timer.execute(this::refresh);
    }

    void remove(String splitId) {
        splits.remove(splitId);
    }

    /** The part of a split; one that counts nowhere if the split is not known. */
    Progress of(SluiceSplit split) {
        Progress known = splits.get(split.splitId());
        return known == null ? new Progress(split) : known;
    }

    /** Committed events not emitted yet, over all splits. */
    long count() {
        return splits.values().stream().mapToLong(Progress::pending).sum();
    }

    /** Asks for the segments' ends where no block told them lately. */
    private void refresh() {
        long stale = System.nanoTime() - REFRESH_INTERVAL.toNanos();
        Map<StreamName, Map<Integer, Progress>> wanted = new HashMap<>();
        splits.forEach((id, progress) -> {
            if (progress.endKnownAt == Long.MIN_VALUE || progress.endKnownAt - stale < 0) {
                SluiceSplit split = progress.split;
                StreamName stream = StreamName.newBuilder().setScope(split.scope()).setName(split.stream()).build();
                wanted.computeIfAbsent(stream, name -> new HashMap<>()).put(split.segment(), progress);
            }
        });
        wanted.forEach((stream, segments) -> client
                .callAsync(Rpc.GET_STREAM, GetStreamRequest.newBuilder().setStream(stream).build(), REFRESH_INTERVAL)
                .whenComplete((answer, failure) -> {
                    if (failure != null) {
                        LOG.debug("the ends of {}/{} are not known for now", stream.getScope(), stream.getName(), failure);
                    } else {
                        learn(answer.getStream(), segments);
                    }
                }));
    }

    private static void learn(StreamInfo stream, Map<Integer, Progress> wanted) {
        for (SegmentInfo segment : stream.getSegmentsList()) {
            Progress progress = wanted.get(segment.getSegment());
            if (progress != null) {
                progress.reaches(segment.getNextOffset());
            }
        }
    }

    @Override
    public void close() {
        timer.shutdownNow();
    }
}
