package io.sluice.flink.source.reader;

import io.sluice.proto.gateway.v1.Events;

/** A run of rows {@code [from, to)} of one block, handed to the task at once. */
final class BlockSlice<T> {
    private final Subscription<T> subscription;
    private final Events events;
    private final EventDecoder.Rows<T> rows;
    private final int from;
    private final int to;
    private final boolean lastOfBlock;

    /**
     * @param subscription where the block came from
     * @param events the block
     * @param rows the block, open
     * @param from the first row
     * @param to the first row not to emit
     * @param lastOfBlock whether nothing of the block is left after this slice
     */
    BlockSlice(Subscription<T> subscription, Events events, EventDecoder.Rows<T> rows, int from, int to, boolean lastOfBlock) {
        this.subscription = subscription;
        this.events = events;
        this.rows = rows;
        this.from = from;
        this.to = to;
        this.lastOfBlock = lastOfBlock;
    }

    Subscription<T> subscription() {
        return subscription;
    }

    String splitId() {
        return subscription.splitId();
    }

    int segment() {
        return subscription.segment();
    }

    long baseOffset() {
        return events.getBaseOffset();
    }

    long commitSeq() {
        return events.getCommitSeq();
    }

    long commitTimeMs() {
        return events.getCommitTimeMs();
    }

    EventDecoder.Rows<T> rows() {
        return rows;
    }

    int from() {
        return from;
    }

    int to() {
        return to;
    }

    /** Whether the block's memory becomes free once the slice is emitted. */
    boolean isLastOfBlock() {
        return lastOfBlock;
    }

    /** The number under which the block was sent. */
    int subscriptionId() {
        return events.getSubscription();
    }

    Events events() {
        return events;
    }

    /** Bytes the block took of its subscription's credit. */
    long blockBytes() {
        return events.getBlock().getData().size();
    }
}
