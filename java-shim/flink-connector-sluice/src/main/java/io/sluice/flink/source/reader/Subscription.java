package io.sluice.flink.source.reader;

import io.sluice.flink.source.split.SluiceSplit;
import io.sluice.proto.gateway.v1.Events;
import java.util.ArrayDeque;
import javax.annotation.Nullable;

/**
 * One split of a {@link ReadSession}: what has arrived of it and how much more the gateway may send. Guarded by the session's lock; the
 * fields named so belong to the fetcher's thread.
 */
final class Subscription<T> {
    /** What one arrived block costs beside its bytes: the objects around it. */
    private static final int BLOCK_OVERHEAD_BYTES = 512;

    private final SluiceSplit split;
    /** For the gauge of pending events. */
    final PendingEvents.Progress progress;
    /** Columns to ask for; null: not known yet. */
    @Nullable int[] columns;
    /** Blocks behind {@link #head}, oldest first. */
    final ArrayDeque<Events> arrived = new ArrayDeque<>();
    /** The block being handed over. Written by the fetcher's thread, under the lock. */
    @Nullable Events head;
    /** {@link #head}, open. Fetcher's thread only. */
    @Nullable EventDecoder.Rows<T> openHead;
    /** Next offset to be handed over. Fetcher's thread only. */
    long nextHandover;
    /** Next offset to arrive. */
    long nextArrival;
    /** Number on the present call; -1: not subscribed. */
    int id = -1;
    /** Bytes the gateway may still send or has sent on the present call and that are not emitted yet. */
    long window;
    /** Bytes that arrived, on whatever call, and are not emitted yet. */
    long held;

    boolean paused;
    /** The gateway has nothing more to send. */
    boolean complete;
    /** Nanosecond clock; not to be subscribed before, if {@link #failed}. */
    long retryAt;

    boolean failed;

    Subscription(SluiceSplit split, PendingEvents.Progress progress) {
        this.split = split;
        this.progress = progress;
        this.nextArrival = split.offset();
        this.nextHandover = split.offset();
    }

    SluiceSplit split() {
        return split;
    }

    String splitId() {
        return split.splitId();
    }

    int segment() {
        return split.segment();
    }

    boolean hasRows() {
        return !paused && (head != null || !arrived.isEmpty());
    }

    /** Whether everything is handed over. */
    boolean isDrained() {
        return complete && head == null && arrived.isEmpty();
    }

    /** Keeps a block that reaches beyond what has arrived. */
    void take(Events events) {
        long end = split.end().orElse(Long.MAX_VALUE);
        arrived.add(events);
        held += cost(events);
        nextArrival = Math.min(end, events.getBaseOffset() + events.getBlock().getRows());
        complete = nextArrival == end;
    }

    /** What a block costs in memory until it is emitted. */
    static long cost(Events events) {
        return events.getBlock().getData().size() + BLOCK_OVERHEAD_BYTES;
    }
}
