package io.sluice.flink.source.reader;

import org.apache.flink.annotation.Internal;

/** The event to emit next: a row of an open block. One object walks over all rows of a batch. */
@Internal
public final class EventCursor<T> implements EventContext {
    private BlockSlice<T> slice;
    private int row;

    void moveTo(BlockSlice<T> newSlice, int newRow) {
        slice = newSlice;
        row = newRow;
    }

    EventDecoder.Rows<T> rows() {
        return slice.rows();
    }

    int row() {
        return row;
    }

    String splitId() {
        return slice.splitId();
    }

    /** Counts the event as emitted. */
    void markEmitted() {
        slice.subscription().progress.emitted(offset() + 1);
    }

    @Override
    public long offset() {
        return slice.baseOffset() + row;
    }

    @Override
    public int segment() {
        return slice.segment();
    }

    @Override
    public long commitSeq() {
        return slice.commitSeq();
    }

    @Override
    public long commitTimeMs() {
        return slice.commitTimeMs();
    }
}
